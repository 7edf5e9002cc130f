/* gained.h - what a watchlist has gained and is revoked already, cut into batches of the
 * change log: of one issuer and one evidence each, which is a list, or what was answered.
 *
 * Plain values; what they point to is borrowed for one callback.
 */
#ifndef PROXY_WATCH_GAINED_H
#define PROXY_WATCH_GAINED_H

#include "cache/change/change.h"
#include "proxy/keeper/evidence.h"

struct gained {
	const char *issuer;
	enum change_evidence evidence;
	const struct crl_facts *list; /* the evidence, or NULL */
	struct change change;
};

/* A revoked one.  Its evidence is the list where that says as much as all together. */
void gained_set(struct gained *out, const char *issuer, const struct serial *s,
    const struct evidence *e);
/* Batch after batch, in the order of each. */
void gained_sort(struct gained *g, size_t n);
/* How many of n sorted ones, from the first on, are of one batch. */
size_t gained_run(const struct gained *g, size_t n);
/* Of n that are; n is at most CHANGE_BATCH_MAX.  NULL when out of memory. */
struct change_batch *gained_batch(
    const char *watchlist, const struct gained *g, size_t n);

#endif
