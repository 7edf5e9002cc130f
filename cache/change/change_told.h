/* change_told.h - the *told* pointer: how far a list's changes are in the change log.
 *
 * The log keeps one for each list's scope and moves it in the same step that appends
 * (change_log.h).  A plain value; its binary form comes from stores that others may write
 * to, so that every field is checked.
 */
#ifndef CACHE_CHANGE_CHANGE_TOLD_H
#define CACHE_CHANGE_CHANGE_TOLD_H

#include "cache/base/bytes.h"
#include "cache/base/err.h"

/* done == total: all of them. */
struct change_told {
	bool known; /* false: nothing was ever told of this scope; the rest is zero */
	uint8_t from[32], to[32]; /* crl_facts.sha256; from is zero for a baseline */
	int64_t this_update;      /* of `to` */
	uint32_t done, total;     /* batches */
};
bool change_told_equal(const struct change_told *a, const struct change_told *b);

/* Binary form, for LMDB and Redis (layout in change_told.c): CHANGE_TOLD_N octets. */
#define CHANGE_TOLD_N (1 + 32 + 32 + 8 + 4 + 4)
void change_told_encode(const struct change_told *t, uint8_t out[CHANGE_TOLD_N]);
/* ERR_RECORD: not in our encoding. */
enum err change_told_decode(struct change_told *t, struct bytes in);

#endif
