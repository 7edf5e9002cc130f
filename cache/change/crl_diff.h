/* crl_diff.h - what changed between two lists of one scope.
 *
 * Both are sorted, so it is one walk.  Which changes there are, and in which order,
 * depends on the two lists alone: every node that has both cuts the same batches, and may
 * go on with those of another.  What the issuer's other lists say, which may differ from
 * node to node, only marks changes that are not to be told.
 *
 * The first list of a scope is a diff from nothing, of as many changes as it has entries.
 * Only those that are watched are ever told, and only those are there, each with its
 * place among all: so the cut is that of the list, and three million entries cost
 * nothing.
 *
 * Pure functions, any thread (ours: bulk).
 */
#ifndef CACHE_CHANGE_CRL_DIFF_H
#define CACHE_CHANGE_CRL_DIFF_H

#include "cache/change/change.h"
#include "cache/crl/crl_set.h"

struct crl_diff {
	struct change *changes; /* sorted by serial; mmap */
	size_t n;
	size_t mapped;
	/* Of the first list: by change, which of the cut it is; owned.  Else NULL. */
	uint32_t *place;
	size_t cut; /* changes that the cut counts; n where all are there */
	size_t added, released, removed; /* without those that are moot */
};

struct crl_diff_rules {
	bool covered; /* the issuer's lists were complete and in date before: what was not
			 listed was good, else unknown */
	/* The issuer's other lists, or NULL: every list of this set but that at place
	 * shard, so that it may hold the old list there, or the new one.  The others have
	 * to be those whose changes are told already, neither older nor newer: while
	 * running, the lists of an issuer come into force one after the other, and each
	 * is compared with the set that it came into. */
	const struct crl_set *others;
	unsigned shard;
	/* The others may wait to be told themselves (after a restart): a certificate that
	 * this list brings is told also where another has it, or each would leave it to
	 * the other. */
	bool others_wait;
};

/* From old to new, each sorted with each serial once; either may be empty.  An entry that
 * came: revoked.  One that left: released if it was certificateHold, else removed.  One
 * whose reason or date alone changed: a change only from hold to another reason (revoked,
 * previous revoked; it is counted as added).  Date and reason are those of new's entry,
 * of old's where it left.  Linear in both, and in the others.
 *
 * Moot is what moved nowhere because another list says as much: of a certificate that
 * another one revokes, everything; of one that another one has on hold, everything but a
 * revocation for another reason, which was revoked before.
 * ERR_NOMEM.  *out is the caller's, also when empty. */
enum err crl_diff_make(struct crl_diff **out, const struct crl_entry *old, size_t old_n,
    const struct crl_entry *new, size_t new_n, const struct crl_diff_rules *rules);
/* From nothing to a list of n entries, of which places[] are to be told, in rising order;
 * handed over, also on failure (malloc; NULL where there are none).  Each change is
 * revoked, previous none. */
enum err crl_diff_first(struct crl_diff **out, const struct crl_entry *entries, size_t n,
    uint32_t *places, size_t places_n, const struct crl_diff_rules *rules);
void crl_diff_free(struct crl_diff *d); /* NULL is allowed */
/* How many batches it is cut into; d may be NULL. */
uint32_t crl_diff_batches(const struct crl_diff *d);
/* The first change of batch `at`, or of a later one; d->n: there is none. */
size_t crl_diff_from(const struct crl_diff *d, uint32_t at);
/* A change of a diff that is there for the cut only. */
static inline bool change_is_moot(const struct change *c)
{
	return crl_entry_shard(&c->entry) != 0;
}

/* The entries of one shard of a set, as a list of their own: a copy, with shard 0, to be
 * freed with crl_entries_free() when *mapped is not 0.  Where the set has one shard it is
 * the set's array itself, borrowed from it, and *mapped is 0; NULL where *n is 0.
 * ERR_NOMEM. */
enum err crl_set_shard_entries(const struct crl_set *s, unsigned shard,
    const struct crl_entry **entries, size_t *n, size_t *mapped);

#endif
