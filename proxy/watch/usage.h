/* usage.h - what is in use: when an OCSP client last asked for a watched certificate.
 *
 *	keeper     marks of hits, and questions -> their keys, within a minute
 *	           (asked_keys.h)
 *	here       key -> issuer and serial -> known to be watched: noted (asked.h)
 *	                                    -> else all lists are asked, many at once
 *	2 s later  what is due, each hour at most for each certificate -> watch.mdb;
 *	           what clients asked this node for -> the nodes that share the lists
 *	           (share_asked.h)
 *
 * Lists are asked about new ones alone, and with larger lists less often, so that it is a
 * thousandth of a core at most: a certificate that is asked for for the first time is
 * known a minute later where 15 million are watched, and at once where few are.  Each day
 * is seen who is not watched any more.
 *
 * A time is a minute: exact on the node that was asked, an hour old at most after a kill
 * and on others.  What lies ahead of this node's clock is not believed.
 *
 * Weak points: a flood of strangers' serials, which are on no list, may take the places
 * of who is asked for for the first time, until it is asked for again; and a table of a
 * million certificates takes some 50 ms of this thread when it doubles.
 *
 * The inventory thread.
 */
#ifndef PROXY_WATCH_USAGE_H
#define PROXY_WATCH_USAGE_H

#include "cache/watch/watch_asked.h"
#include "proxy/keeper/asked_keys.h"
#include "proxy/watch/watch_context.h"

#define USAGE_RECENT_S  86400 /* asked for within: it is in use (contract) */
#define USAGE_WRITE_MS  2000  /* so long more are waited for */
#define USAGE_PENDING   65536 /* not looked for yet; what comes beyond is not noted */
#define USAGE_AHEAD_MIN 10    /* clocks of nodes differ by no more */

struct usage;
struct metrics_text;

/* Reads what watch.mdb has.  NULL: out of memory. */
struct usage *usage_new(struct watch_context *context);
void usage_cancel(struct usage *u); /* we stop */
void usage_free(struct usage *u);   /* NULL is allowed */

/* What clients asked for; keys is handed over. */
void usage_hear(struct usage *u, struct asked_keys *keys);
/* tell is called with rows that this node's clients asked for, WATCH_ASKED_ROWS at most,
 * when they are written. */
void usage_on_own(struct usage *u,
    void (*tell)(void *arg, const struct watch_asked *rows, size_t n), void *arg);
/* What another node has noted; watched or not. */
void usage_hear_others(struct usage *u, const struct watch_asked *rows, size_t n);

/* When it was last asked for, in seconds since 1970; WATCH_TIME_NONE: never.  issuer: a
 * configured name, or "".  u NULL: nobody knows. */
int64_t usage_last(const struct usage *u, const char *issuer, const struct serial *s);
bool usage_is_recent(
    const struct usage *u, const char *issuer, const struct serial *s, int64_t now);

void usage_gauges(const struct usage *u, struct metrics_text *t); /* any thread */

#endif
