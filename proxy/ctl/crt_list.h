/* crt_list.h - HAProxy's crt-list: a line is PATH [OPTIONS] [SNI]...
 *
 * Empty lines and those that begin with '#' name nothing; a blank in a path is written
 * with a backslash before it, as HAProxy reads it.  Pure.
 */
#ifndef PROXY_CTL_CRT_LIST_H
#define PROXY_CTL_CRT_LIST_H

#include <limits.h>
#include <stdbool.h>

#include "cache/base/bytes.h"

/* Certificates of one list: as many as a watchlist reads (watch-max-files). */
#define CRT_LIST_MAX 100000

/* The path that a line, without its end, names.  False: none. */
bool crt_list_path(struct bytes line, char out[PATH_MAX]);

#endif
