/* evidence.h - a certificate's effective status, from all evidence that this node has.
 *
 * Revoked if a latch, an in-date OCSP answer or a list in force says so (a
 * certificateHold no longer counts once a good newer than its evidence is admitted); else
 * good if an in-date OCSP answer says good, or every configured list is in date, none has
 * the serial and these are known to be all (crl_set_absence()); else unknown, and so it
 * is while a list has not been opened: who asks waits for that (crl_feed_wait()).  The
 * one place that knows this rule (README, Push): the API's status, the changes that are
 * told, bulk status and `explain` ask here.
 *
 * It comes in three parts, so that another thread can judge by the same rule: what only
 * the keeper knows of a certificate (evidence_kept), which may be copied from thread to
 * thread; what an issuer's lists say of whom they do not have (evidence_lists); and the
 * rest, which every reader of hot table and sets may look at by itself (evidence_judge).
 * Whoever asks the keeper first and looks at the rest behind it sees a revocation that
 * came between the two in the lists or in the hot table.
 */
#ifndef PROXY_KEEPER_EVIDENCE_H
#define PROXY_KEEPER_EVIDENCE_H

#include "cache/crl/crl_set.h"
#include "cache/held/hot.h"
#include "cache/held/latch.h"
#include "proxy/keeper/memo.h"
#include "proxy/lists/crl_feed.h"

struct evidence_answer {
	bool found;
	struct facts facts;
};
/* What the keeper's own tables have. */
struct evidence_kept {
	bool latched;
	int64_t revoked_at;             /* the latch's */
	int reason;                     /* the latch's */
	struct evidence_answer heard;   /* last word about a hold, no answer in memory */
	struct evidence_answer refused; /* a good that is newer than the list that says
					   revoked, in date: no evidence, but part of
					   what disagrees */
};
/* What it would mean that none of the lists has it, and the list in the way of that. */
struct evidence_lists {
	const struct crl_set *set; /* borrowed for this turn */
	enum crl_absence absence;
	size_t absence_list;
};
/* latch, answers of every key (each status's newest), list: what was found. */
struct evidence {
	enum status status; /* STATUS_GOOD, STATUS_REVOKED, STATUS_UNKNOWN */
	int64_t revoked_at; /* when revoked */
	int reason;
	bool disagree; /* OCSP and list contradict each other (R71) */
	struct evidence_kept kept;
	struct evidence_answer good, revoked, unknown; /* in-date OCSP answers */
	struct evidence_lists lists;
	struct crl_finding crl;
};

/* Where this node has it; all borrowed for life. */
struct evidence_sources {
	const struct hot *hot;
	struct memos *memos;
	struct latches *latches;
	struct crl_feed *crl_feed;
};

/* extra: an answer that may not be in the hot table (small hot-cache), or NULL.  Keeper's
 * thread. */
void evidence_of(const struct evidence_sources *from, const struct issuer *i,
    const struct serial *s, const struct answer *extra, struct evidence *out);

/* The parts.  The first one on the keeper's thread; now is clock_now(). */
void evidence_keep(const struct evidence_sources *from, const struct issuer *i,
    const struct serial *s, struct evidence_kept *out);
/* set: of i's slot.  Once for all certificates that are judged in one turn: linear in
 * the issuer's lists. */
void evidence_list(const struct crl_set *set, const struct issuer *i, int64_t now,
    struct evidence_lists *out);
void evidence_judge(const struct evidence_kept *kept, const struct evidence_lists *lists,
    const struct hot *hot, const struct issuer *i, const struct serial *s,
    const struct answer *extra, int64_t now, struct evidence *out);

#endif
