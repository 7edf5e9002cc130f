/* watch_point.h - the lists that watched certificates name, each once, by a number.
 *
 * A *point* is a CA and the URL of a list of its: what its certificates name as their
 * distribution point, or what the line that put them on a watchlist says.  Of several it
 * is the first that is http or https.  An entry in memory (watched.h) has room for the
 * number only: 16 bits, since all points of all CAs that publish theirs are some ten
 * thousand, and an entry stays within its 32 bytes.  0 is none, or one that found no
 * room.
 *
 * Numbers mean something in memory only.  The file has the URLs in its rows, so they are
 * given anew at each start, to those that are named then.  They are those of an
 * inventory: its entries are read with its points and with no others, since a number that
 * no entry has any more may be another point's in the next inventory.
 *
 * Strangers write the URLs: there is room for so many of a CA, so many of all, and so
 * many octets.  Who finds none has 0, which proves nothing of it, and is counted.
 *
 * The table is immutable and counted; any thread.  A draft has one owner.
 */
#ifndef CACHE_WATCH_WATCH_POINT_H
#define CACHE_WATCH_WATCH_POINT_H

#include <stdatomic.h>

#include "cache/watch/watch_record.h"
#include "cache/watch/watched.h"

#define WATCH_POINTS_MAX    65535             /* 16 bits */
#define WATCH_POINTS_OF_CA  4096              /* the most that a CA publishes is 1,600 */
#define WATCH_POINTS_OCTETS ((size_t)8 << 20) /* of URLs: 65,535 of 128 */

struct watch_point {
	uint32_t ca;     /* watch_ca.id */
	const char *url; /* NULL: the number is nobody's */
};

struct watch_points {
	_Atomic unsigned refs;
	size_t n;                /* numbers are 1..n */
	size_t used;             /* of them */
	size_t most;             /* of one CA */
	size_t octets;           /* of all URLs */
	struct watch_point at[]; /* by number, less one */
};

extern struct watch_points
    watch_points_none; /* a reference is taken and given back as of any */

const struct watch_points *watch_points_ref(const struct watch_points *t);
void watch_points_unref(const struct watch_points *t); /* NULL is allowed */
/* The URL of this number; NULL: it is 0, or nobody's. */
const char *watch_points_url(const struct watch_points *t, uint16_t number);
/* Is one of the bounds so near that what is not used any more has to go? */
bool watch_points_are_many(const struct watch_points *t);

struct watch_point_draft;

/* The points of base (a reference is taken), and those that will come.  used: by number
 * up to base->n, which of them are still named; NULL: all.  NULL when out of memory. */
struct watch_point_draft *watch_point_draft_new(
    const struct watch_points *base, const bool *used);
/* The entry of a certificate of this CA, as its row says it.  False: out of memory. */
bool watch_point_draft_entry(struct watch_point_draft *d, uint32_t ca,
    const struct serial *s, const struct watch_record *row, struct watched *out);
/* Entries whose list found no room. */
uint64_t watch_point_draft_left_out(const struct watch_point_draft *d);
/* All of them as a table: base, where nothing came.  A reference for the caller; NULL
 * when out of memory. */
const struct watch_points *watch_point_draft_end(const struct watch_point_draft *d);
void watch_point_draft_free(struct watch_point_draft *d); /* NULL is allowed */

#endif
