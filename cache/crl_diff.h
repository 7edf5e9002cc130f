/* crl_diff.h - what changed between two lists of one scope.
 *
 * Both are sorted, so it is one walk.  The result depends on the two lists and on `rules`
 * alone, in their order: every node that has both makes the same batches of it.  That
 * holds across nodes and restarts only where `others` is NULL or the same: a node whose
 * other lists differ leaves other changes out, and those behind them move to other
 * batches.  Who cuts batches that another node may have to go on with makes the diff
 * without others, cuts it, and then settles each batch (crl_diff_settle()).
 *
 * Pure functions, any thread (ours: bulk).
 */
#ifndef CACHE_CRL_DIFF_H
#define CACHE_CRL_DIFF_H

#include "cache/change.h"
#include "cache/crl_set.h"

struct crl_diff {
	struct change *changes; /* sorted by serial; mmap */
	size_t n;
	size_t mapped;
	size_t added, released, removed; /* n together */
};

struct crl_diff_rules {
	bool covered; /* the issuer's lists were complete and in date before: what was not
			 listed was good, else unknown */
	/* The issuer's other lists, see crl_diff_settle(); NULL: there are none, or it
	 * is called later. */
	const struct crl_set *others;
	unsigned shard;
};

/* From old to new, each sorted with each serial once; either may be empty.  An entry that
 * came: revoked.  One that left: released if it was certificateHold, else removed.  One
 * whose reason or date alone changed: a change only from hold to another reason (revoked,
 * previous revoked; it is counted as added).  Date and reason are those of new's entry,
 * of old's where it left.  Linear in both.
 * ERR_NOMEM.  *out is the caller's, also when empty. */
enum err crl_diff_make(struct crl_diff **out, const struct crl_entry *old, size_t old_n,
    const struct crl_entry *new, size_t new_n, const struct crl_diff_rules *rules);
void crl_diff_free(struct crl_diff *d); /* NULL is allowed */

/* Leave out, of n sorted changes of one list, what moved nowhere because another list of
 * the issuer says as much: of a certificate that another one revokes, everything; of one
 * that another one has on hold, everything but a revocation for another reason, which was
 * revoked before.  In place; returns how many are left.
 *
 * others: a set; of it every list but that at place shard is looked at, so that it may
 * hold the old list there, or the new one.  The others have to be those whose changes are
 * settled already, neither older nor newer: while running, the lists of an issuer come
 * into force one after the other, and each is settled against the set that it came into.
 * Where several lists of an issuer wait for it together (after a restart), each stands in
 * the set as it was told last until its own turn: two that both bring a certificate would
 * else each leave it to the other, and nobody would be told. */
size_t crl_diff_settle(
    struct change *changes, size_t n, const struct crl_set *others, unsigned shard);

/* The entries of one shard of a set, as a list of their own: a copy, with shard 0, to be
 * freed with crl_entries_free() when *mapped is not 0.  Where the set has one shard it is
 * the set's array itself, borrowed from it, and *mapped is 0; NULL where *n is 0.
 * ERR_NOMEM. */
enum err crl_set_shard_entries(const struct crl_set *s, unsigned shard,
    const struct crl_entry **entries, size_t *n, size_t *mapped);

#endif
