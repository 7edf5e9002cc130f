/* watch_list.h - one watchlist in memory: which certificates, of which CAs, sorted.
 *
 * Immutable once it is built, and counted: inventories share their lists, whoever walks
 * through one (a subscriber, at his own pace) holds a reference, and goes on with it when
 * the name has another list.
 *
 * One block of entries for each list: 30 bytes an entry and less than a page besides.
 */
#ifndef CACHE_WATCH_WATCH_LIST_H
#define CACHE_WATCH_WATCH_LIST_H

#include <stdatomic.h>

#include "cache/base/err.h"
#include "cache/watch/watched.h"

/* With NUL: [a-z0-9._-]{1,63}; of an incident one octet before it (incident.h). */
#define WATCH_NAME_MAX 65

enum watch_source { WATCH_API, WATCH_FILES, WATCH_INCIDENT };

/* Which state of a shared store a list is the copy of (watch_stored.h); all zeros: of
 * none. */
#define WATCH_REVISION_N 16
struct watch_mark {
	uint8_t revision[WATCH_REVISION_N];
	uint64_t number;
};

/* The entries of one CA. */
struct watch_range {
	uint32_t ca;       /* watch_ca.id */
	uint32_t first, n; /* entries */
};

struct incident_about;

struct watch_list {
	_Atomic unsigned refs;
	char name[WATCH_NAME_MAX];
	enum watch_source source;
	uint32_t generation; /* the file's, under which it has the names */
	uint32_t version;    /* counts the changes that a generation has had */
	struct watch_mark mark;
	uint64_t
	    number; /* of a gain: of the inventory with which it came; 1: at a start */
	size_t n;
	struct watched *entries;    /* sorted within each range */
	struct watch_range *ranges; /* by ca */
	size_t ranges_n;
	size_t room, mapped;         /* entries; bytes of them (0: of the heap) */
	struct incident_about *said; /* of an incident: owned (free()); or NULL */
};

/* Empty, with room for so many entries; one reference.  NULL when out of memory. */
struct watch_list *watch_list_new(
    const char *name, enum watch_source source, uint32_t generation, size_t room);
/* While it is built: by ca, then by serial, each once, within the room.  False when out
 * of memory. */
bool watch_list_add(struct watch_list *l, uint32_t ca, const struct watched *e);

bool watch_mark_equal(const struct watch_mark *a, const struct watch_mark *b);
bool watch_mark_is_set(const struct watch_mark *m);

const struct watch_list *watch_list_ref(const struct watch_list *l);
void watch_list_unref(const struct watch_list *l); /* NULL is allowed */

/* The entries of a CA, borrowed from the list; NULL and 0: it has none. */
const struct watched *watch_list_of(const struct watch_list *l, uint32_t ca, size_t *n);
const struct watched *watch_list_find(
    const struct watch_list *l, uint32_t ca, const struct serial *s); /* or NULL */

/* All of base and of more; of one that both have, more's.  It is called as more is, and
 * has its mark.
 * NULL when out of memory, as the next. */
struct watch_list *watch_list_join(
    const struct watch_list *base, const struct watch_list *more);
/* Those of l that base (NULL: none) does not have: what a PUT or a POST brought. */
struct watch_list *watch_list_minus(
    const struct watch_list *l, const struct watch_list *base);

#endif
