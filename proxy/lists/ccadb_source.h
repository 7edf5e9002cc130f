/* ccadb_source.h - crl = "ccadb": which lists a CA has, as it told the CCADB.
 *
 *	due -> fetch of each place of `ccadb` -> bulk: read whole, joined with the issuers
 *	    that ask for it (ccadb_file.h) -> crl_feed_learn()
 *
 * Every ccadb-interval (a day), jittered; with back-off after a failure.  At a start and
 * after a reload what was kept is read first, so that issuers have their lists at once,
 * with the network down too.  Local files are read with each round.
 *
 * Nothing is taken from an issuer by a fault: a file that is not whole leaves the last
 * one, a record that names lists which cannot be read leaves its issuer's lists, and so
 * does a file that knows the issuer no more; each is told.  A set that has changed is
 * told too: lists_changed.
 *
 * Keeper's thread.
 */
#ifndef PROXY_LISTS_CCADB_SOURCE_H
#define PROXY_LISTS_CCADB_SOURCE_H

#include "proxy/base/context.h"

struct ccadb_source;
struct crl_feed;
struct fetcher;
struct metrics_text;

/* All borrowed for life.  NULL when out of memory. */
struct ccadb_source *ccadb_source_new(const struct context *context,
    struct crl_feed *feed, struct fetcher *fetcher, struct executor *bulk);
/* Before crl_feed_start(). */
void ccadb_source_start(struct ccadb_source *s, const struct conf *conf);
/* After crl_feed_reload(). */
void ccadb_source_reload(struct ccadb_source *s, const struct conf *conf);
/* Begin nothing more; before the bulk thread is stopped. */
void ccadb_source_cancel(struct ccadb_source *s);
/* After it was stopped and the inbox has run; NULL is allowed. */
void ccadb_source_free(struct ccadb_source *s);

void ccadb_source_gauges(const struct ccadb_source *s, struct metrics_text *t);

#endif
