/* evidence.h - a certificate's effective status, from all evidence that this node has.
 *
 * Revoked if a latch, an in-date OCSP answer or a list in force says so (a
 * certificateHold no longer counts once a good newer than its evidence is admitted); else
 * good if an in-date OCSP answer says good, or every configured list is in date, none has
 * the serial and these are known to be all (crl_set_absence()); else unknown, and so it
 * is while a list has not been opened: who asks waits for that (crl_feed_wait()).  The
 * one place that knows this rule (README, Push): the API's status, the changes that are
 * told, and `explain` ask here.
 *
 * Keeper's thread.
 */
#ifndef PROXY_KEEPER_EVIDENCE_H
#define PROXY_KEEPER_EVIDENCE_H

#include "cache/crl/crl_set.h"
#include "cache/held/hot.h"
#include "cache/held/latch.h"
#include "proxy/keeper/memo.h"
#include "proxy/lists/crl_feed.h"

/* latch, answers of every key (each status's newest), list: what was found. */
struct evidence_answer {
	bool found;
	struct facts facts;
};
struct evidence {
	enum status status; /* STATUS_GOOD, STATUS_REVOKED, STATUS_UNKNOWN */
	int64_t revoked_at; /* when revoked */
	int reason;
	bool disagree;             /* OCSP and list contradict each other (R71) */
	const struct latch *latch; /* borrowed until the table changes; or NULL */
	struct evidence_answer good, revoked, unknown; /* in-date OCSP answers */
	struct evidence_answer refused; /* a good that is newer than the list that says
					   revoked, in date: no evidence, but part of
					   what disagrees */
	const struct crl_set *set;      /* borrowed for this turn */
	struct crl_finding crl;
	/* what it would mean that none of them has it, and the list in the way of that */
	enum crl_absence absence;
	size_t absence_list;
};

/* Where this node has it; all borrowed for life. */
struct evidence_sources {
	const struct hot *hot;
	struct memos *memos;
	struct latches *latches;
	struct crl_feed *crl_feed;
};

/* extra: an answer that may not be in the hot table (small hot-cache), or NULL. */
void evidence_of(const struct evidence_sources *from, const struct issuer *i,
    const struct serial *s, const struct answer *extra, struct evidence *out);

#endif
