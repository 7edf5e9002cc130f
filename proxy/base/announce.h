/* announce.h - what the daemon says of its configuration: its mistakes, that it runs with
 * it, and what a reload has changed.
 *
 * Events of the log, in the format that the configuration asks for, as far as it could be
 * read: who feeds our standard error to a parser gets no other line.  Only `-t` and `-p`
 * say the mistakes in plain text: people read these.
 *
 * No secrets: of a store's URL user and password are left out.  Names without end are cut
 * off ("and 9990 more").  Any thread.
 */
#ifndef PROXY_BASE_ANNOUNCE_H
#define PROXY_BASE_ANNOUNCE_H

#include "conf/conf.h"

/* Each warning and error of a load, one line each, with its own line in the log. */
void announce_mistakes(const struct conf_errors *e);
/* The same for people, and what it comes to. */
void announce_mistakes_plainly(const struct conf_errors *e, const char *path);

void announce_started(const struct conf *c, const char *path, unsigned workers);
void announce_reloaded(const struct conf *old, const struct conf *new, const char *path);

#endif
