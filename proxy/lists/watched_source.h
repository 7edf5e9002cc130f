/* watched_source.h - crl = "certificates", crl-need = "watched": which lists the watched
 * certificates name; and alarms for those that nobody has.
 *
 *	the inventory thread's count (proxy/watch/coverage.h) -> watched_source_hear()
 *	    -> crl_feed_learn(), crl_feed_need()
 *	    -> behind the first try of each list: uncovered, not_configured
 *
 * A list that is named and not had is uncovered: neither a place nor a name of one of the
 * issuer's lists, configured or learnt; unless one of them is all that there is.  One
 *that is had and cannot be fetched has events of its own.  An issuer that has responders
 *and no `crl` is covered by polling.
 *
 * What the lists' side changes (a reload, the CCADB, a list that comes into force) is
 *seen with the next look, at most WATCHED_LOOK_S later.
 *
 * URLs and DNs are strangers' words: of one issuer WATCHED_URLS_MAX are told, of CAs
 * WATCHED_CAS_MAX, so that other alarms have room.
 *
 * Keeper's thread, where nothing else is said.
 */
#ifndef PROXY_LISTS_WATCHED_SOURCE_H
#define PROXY_LISTS_WATCHED_SOURCE_H

#include "cache/watch/inventory.h"
#include "proxy/base/context.h"

#define WATCHED_LOOK_S   60
#define WATCHED_URLS_MAX 100
#define WATCHED_CAS_MAX  1000

struct conf;
struct crl_feed;
struct watched_source;

/* What was counted.  Whose it is says msg, which is the first. */
struct watched_names {
	struct msg msg;
	const struct conf *conf; /* that was in force; compared and never read */
	/* References.  The inventory itself is not kept: it may be large, and old. */
	const struct watch_cas *cas;
	const struct watch_points *points;
	uint32_t *certificates;            /* of each of cas->ca, by place */
	struct inventory_named *by_number; /* of points; 0: who names none */
};
/* Nothing is counted yet.  Any thread; NULL when out of memory. */
struct watched_names *watched_names_new(
    const struct inventory *v, const struct conf *conf);
void watched_names_free(struct watched_names *n); /* NULL is allowed */

/* Borrowed for life.  NULL when out of memory. */
struct watched_source *watched_source_new(
    const struct context *context, struct crl_feed *feed);
/* Before crl_feed_start(). */
void watched_source_start(struct watched_source *s);
/* Before the next configuration is in force.  The count behind it is waited for; one of
 * another configuration than that in force is passed over. */
void watched_source_reload(struct watched_source *s);
void watched_source_hear(struct watched_source *s, struct watched_names *n); /* taken */
void watched_source_tick(struct watched_source *s); /* once a second */
void watched_source_free(struct watched_source *s); /* NULL is allowed */

#endif
