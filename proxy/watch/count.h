/* count.h - one count: a walk through an inventory, certificate by certificate.
 *
 * Of lists: each of their entries, whether it is revoked, or announced and not revoked,
 * and of these two, which are *hit*, whether it is replaced (replaced.h) and in use
 * (usage.h); and whether it is covered by what that entry names.  Of all: each
 * certificate once, with its status and its end.
 *
 * The inventory thread; see counts.h.
 */
#ifndef PROXY_WATCH_COUNT_H
#define PROXY_WATCH_COUNT_H

#include "cache/watch/inventory.h"
#include "proxy/base/access.h"
#include "proxy/watch/watch_context.h"

struct count;

struct count_status {
	uint64_t good, revoked, unknown;
};

/* Of a list: see above. */
struct count_list {
	size_t revoked, announced, replaced, in_use, not_covered;
};

/* done: once, from the loop; the count is the caller's to read and free from then on. */
struct count_want {
	struct watch_context *context;
	struct access *access; /* only of issuers that it sees; borrowed, or NULL */
	void (*done)(void *arg, enum err e);
	void *arg;
};

/* Lists [first, end) of v, of which a reference is taken; or (count_of_all) everything.
 * NULL when out of memory. */
struct count *count_of_lists(
    const struct count_want *want, const struct inventory *v, size_t first, size_t end);
struct count *count_of_all(const struct count_want *want, const struct inventory *v);
void count_free(struct count *c); /* NULL is allowed */

const struct inventory *count_inventory(const struct count *c);
/* Of lists; by place in v->list. */
size_t count_entries(const struct count *c, size_t list); /* of issuers that are seen */
const struct count_list *count_list(const struct count *c, size_t list);
/* Of all. */
size_t count_of_ca(const struct count *c, size_t ca); /* place in v->cas->ca */
const struct count_status *count_status(const struct count *c);
const struct watch_expiry *count_expiry(const struct count *c);

#endif
