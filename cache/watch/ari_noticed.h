/* ari_noticed.h - the notices by renewal information that are in force: of which
 * certificates, why, and when they are to be replaced.
 *
 * Immutable once it is built, and counted; any thread.  Small: those of an incident, not
 * all that is watched.
 */
#ifndef CACHE_WATCH_ARI_NOTICED_H
#define CACHE_WATCH_ARI_NOTICED_H

#include <stdatomic.h>

#include "cache/crl/crl_entry.h"
#include "cache/watch/ari_state.h"

struct ari_notice {
	uint32_t ca;            /* watch_ca.id */
	uint32_t url;           /* place in ari_noticed.url */
	struct crl_entry entry; /* the serial, for crl_order() */
	int64_t start, end;     /* the window that the CA suggests */
};

struct ari_noticed {
	_Atomic unsigned refs;
	size_t n, room;
	struct ari_notice *notice; /* by ca, then by serial */
	size_t urls_n, urls_room;
	char **url; /* each once; "" for no page */
};

extern struct ari_noticed ari_noticed_none; /* a reference is taken as of any */

/* Empty; one reference.  NULL when out of memory. */
struct ari_noticed *ari_noticed_new(void);
/* While it is built, in any order.  False: out of memory. */
bool ari_noticed_add(struct ari_noticed *t, uint32_t ca, const struct ari_who *w,
    const struct ari_state *s);
void ari_noticed_sort(struct ari_noticed *t); /* it is built */
const struct ari_noticed *ari_noticed_ref(const struct ari_noticed *t);
void ari_noticed_unref(const struct ari_noticed *t); /* NULL is allowed */

/* The notice of a certificate; entry: either kind of entry (crl_order()).  NULL: none is
 * in force. */
const struct ari_notice *ari_noticed_find(
    const struct ari_noticed *t, uint32_t ca, const void *entry);
/* Those of a CA: *n of them, borrowed; NULL and 0. */
const struct ari_notice *ari_noticed_of(
    const struct ari_noticed *t, uint32_t ca, size_t *n);
static inline const char *ari_noticed_url(
    const struct ari_noticed *t, const struct ari_notice *n)
{
	return t->url[n->url];
}

#endif
