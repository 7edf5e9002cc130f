/* sieve.h - watched certificates of one status, or that end soon, that are covered or
 * not, or under a notice, looked for in memory:
 * what a page asks for where few of many are so (the revoked ones of a fleet), and a
 * search through the file would look at all rows.
 *
 * All that is watched is looked at, some thousands in a turn of the loop, judged where a
 * status is asked for (verdicts.h), and the first ones behind a place are kept, in the
 * order of pages (watch_search.h): by the CA's DN, by the serial, by the CA.  Memory is
 * sorted otherwise, so that each page looks at all of it: 0.3 us for each certificate.
 *
 * The inventory thread.
 */
#ifndef PROXY_WATCH_SIEVE_H
#define PROXY_WATCH_SIEVE_H

#include "proxy/watch/watch_ask.h"

struct sieve;

/* Is a page of this filter better looked for here?  Not where it has a name, nor where it
 * is of a list or CA alone that has more than so many: there nearly each row is one. */
#define SIEVE_FEW 100000
bool sieve_fits(const struct watch_context *context, const struct watch_filter *f);

/* f is borrowed for life: status, covered, incident, notice, issuer, list,
 * expires_before, from and limit count. done is called once, from the loop.  NULL when
 * out of memory; ERR_NOT_FOUND in *e: no such list. */
struct sieve *sieve_new(struct watch_context *context, const struct watch_filter *f,
    void (*done)(void *arg, enum err e), void *arg, enum err *e);
void sieve_free(struct sieve *s); /* NULL is allowed; not before done */

/* In done and from then on: the places that were found, at most f->limit; and whether
 * there are more. */
size_t sieve_count(const struct sieve *s);
const struct watch_place *sieve_at(const struct sieve *s, size_t i);
bool sieve_has_more(const struct sieve *s);

/* What stands right before a place, whether there is such a certificate or not: a search
 * from there begins with it. */
struct watch_place sieve_before(const struct watch_place *p);

#endif
