/* crl_diff.h - what changed between two lists of one scope.
 *
 * Both are sorted, so it is one walk.  The result depends on the two lists and on `rules`
 * alone, in their order: every node that has both makes the same batches of it.
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
	/* Other lists of the issuer: a serial that one of them has moved nowhere.  NULL,
	 * or with shard the place of the list that is compared. */
	const struct crl_set *others;
	unsigned shard;
};

/* From old to new; either may be empty.  An entry that came: revoked.  One that left:
 * released if it was certificateHold, else removed.  One whose reason or date alone
 * changed: a change only from hold to another reason (revoked, previous revoked).
 * ERR_NOMEM.  *out is the caller's, also when empty. */
enum err crl_diff_make(struct crl_diff **out, const struct crl_entry *old, size_t old_n,
    const struct crl_entry *new, size_t new_n, const struct crl_diff_rules *rules);
void crl_diff_free(struct crl_diff *d);

/* The entries of one shard of a set, as a list of their own (a copy; the whole array
 * itself, and *mapped 0, where the set has one shard). */
enum err crl_set_shard_entries(const struct crl_set *s, unsigned shard,
    const struct crl_entry **entries, size_t *n, size_t *mapped);

#endif
