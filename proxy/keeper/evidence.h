/* evidence.h - a certificate's effective status, from all evidence that this node has.
 *
 * Revoked if a latch, an in-date OCSP answer or a list in force says so (a
 * certificateHold no longer counts once a good newer than its evidence is admitted); else
 * good if an in-date OCSP answer says good, or every configured list is in date, none has
 * the serial and these are known to be all (crl_set_absence()), or none has it, it is
 * watched, its signature by the issuer's key was verified, and the list that it names is
 * in force and in date (crl_set_absence_at()); else unknown, and so it is while a list
 * has not been opened: who asks waits for that (crl_feed_wait()).  The one place that
 * knows this rule (README, Push): the API's status, the changes that are told, bulk
 * status and `explain` ask here.
 *
 * *Watched* is what the inventory has (cache/watch/inventory.h).  What a line of text
 * says of a certificate is a hint and proves nothing, and a certificate that somebody
 * asks about is not watched for that.  The inventory is looked at only where it would
 * make a difference.
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
#include "cache/held/polled.h"
#include "cache/watch/inventory.h"
#include "proxy/base/shared.h"
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
	struct evidence_answer polled;  /* last word of polling, in date, the same */
	struct evidence_answer refused; /* a good that is newer than the list that says
					   revoked, in date: no evidence, but part of
					   what disagrees */
};
/* What the inventory says of a certificate; zeroes: it is not watched. */
struct evidence_watch {
	bool watched, verified;
	uint16_t point; /* the list that it names, of the inventory's points */
};
/* What it would mean that none of the lists has it, and the list in the way of that; and
 * what is watched of the issuer. */
struct evidence_lists {
	const struct crl_set *set; /* borrowed for this turn, as all here */
	enum crl_absence absence;
	size_t absence_list;
	bool as_configured; /* they are the lists of the configuration */
	bool one_all;       /* one of them is all that there is, in force and in date */
	const struct inventory *watched;
	const struct watch_ca *first, *last; /* its CAs that go by the issuer's name stand
						from first to last; NULL: there is none */
	/* Where many are judged: what crl_set_absence_at() said of each number of
	 * watched->points, plus one, 0 for what was not asked; else NULL.  The caller's.
	 */
	uint8_t *said;
	int64_t now;
};
/* The list that a watched certificate names. */
struct evidence_named {
	struct evidence_watch watch;
	const char *url;          /* borrowed for this turn; NULL: none that is known */
	enum crl_absence absence; /* with a URL: what that list says of whom none has */
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
	struct evidence_named named; /* zeroes where nothing else left it unknown */
};

/* Where this node has it; all borrowed for life. */
struct evidence_sources {
	const struct hot *hot;
	struct memos *memos;
	struct polled *polled; /* NULL: nothing was */
	struct latches *latches;
	struct crl_feed *crl_feed;
	const struct shared *shared; /* for the inventory; NULL: nothing is watched */
};

/* extra: an answer that may not be in the hot table (small hot-cache), or NULL.  Keeper's
 * thread. */
void evidence_of(const struct evidence_sources *from, const struct issuer *i,
    const struct serial *s, const struct answer *extra, struct evidence *out);

/* The parts.  The first one on the keeper's thread; now is clock_now(). */
void evidence_keep(const struct evidence_sources *from, const struct issuer *i,
    const struct serial *s, struct evidence_kept *out);
/* set: of i's slot; watched: NULL or what is in force.  Once for all certificates that
 * are judged in one turn: linear in the issuer's lists, and in the CAs that are watched.
 */
void evidence_list(const struct crl_set *set, const struct issuer *i,
    const struct inventory *watched, int64_t now, struct evidence_lists *out);
/* Is the set that of the lists that the configuration names, with others behind them that
 * were learnt?  Between a reload and the set that follows it (later, where memory was
 * short) it is not, and absence says nothing. */
bool evidence_is_as_configured(const struct crl_set *set, const struct issuer *i);
/* watch: what lists->watched says of it, where the caller has that; NULL: it is looked
 * for where it counts. */
void evidence_judge(const struct evidence_kept *kept, const struct evidence_lists *lists,
    const struct hot *hot, const struct issuer *i, const struct serial *s,
    const struct evidence_watch *watch, const struct answer *extra, struct evidence *out);

/* Of an entry of the inventory. */
struct evidence_watch evidence_watch_of(const struct watched *e);
/* May what the inventory says make a difference there, whoever it is?  Whoever judges
 * many looks for them before (inventory_many.h) where it may, and gives zeroes where it
 * may not. */
bool evidence_may_name(const struct evidence_lists *lists);
/* Is a certificate of which nothing else is known good by the list that it names?  What
 * evidence_judge() says, without a look at the rest: for counting. */
bool evidence_names_good(const struct evidence_lists *lists, const struct issuer *i,
    const struct evidence_watch *watch);

/* Would we learn of its revocation?  Its issuer is configured, and a list that is all, or
 * the one that it names (verified or not: the status does not rest on this), is in force
 * and in date, or the last answer about it is. */
bool evidence_is_covered(
    const struct evidence *e, const struct issuer *i, const struct evidence_watch *watch);
/* By lists alone: for counting. */
bool evidence_lists_cover(const struct evidence_lists *lists, const struct issuer *i,
    const struct evidence_watch *watch);

#endif
