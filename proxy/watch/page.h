/* page.h - GET /v1/certificates: one page of what is watched, with the status of each.
 *
 * The file is searched a part at a time (watch_search.h), the keeper asked about what was
 * found, and what has another status than the one that is asked for is left out.  Where
 * few of many are asked for and no name, memory is looked through first (sieve.h), and
 * the file only has to give the rows.  Else it goes on until the page is full, or
 * PAGE_LOOK_MAX certificates were looked at: then it ends early, with a place to go on.
 *
 * The inventory thread; the looks into the file are the search thread's, as no barrier
 * may wait for them.
 */
#ifndef PROXY_WATCH_PAGE_H
#define PROXY_WATCH_PAGE_H

#include "proxy/watch/watch_ask.h"

#define PAGE_LOOK_MAX 20000

void page_make(struct watch_context *context, struct watch_ask *a);

#endif
