/* crl_set.h - the lists of an issuer in force, merged: one look-up for all its shards.
 *
 * A set is immutable.  A list that comes into force makes a new set, with a generation
 * that no other set of this process has; the issuer's slot points to it.  The swap of
 * that pointer *is* the revocation: an answer remembers the generation that it was last
 * checked against, and one that was checked against another looks its serial up before it
 * is served (hot.h).
 *
 * Readers (workers, API) borrow a set for one callback, as they borrow answers; the
 * keeper drops the slot's reference only after a barrier has passed
 * (proxy/base/barrier.h). Who needs it longer takes a reference.
 *
 * Revoked if any list in force has the serial, in date or not; absent only if every
 * configured list is here and in date and none has it, and these are known to be all
 * (crl_set_absence()).
 *
 * Of a configured list one of three things is known: it has not been looked for yet (the
 * process has just started, a reload brought it); it was, and there is none; it is in
 * force.  The first is not the second: what a list that has not been opened may revoke is
 * not said to be good.  So a slot never holds NULL, and a set says of itself whether all
 * of its lists have been opened (`unopened`).
 */
#ifndef CACHE_CRL_CRL_SET_H
#define CACHE_CRL_CRL_SET_H

#include <stdatomic.h>

#include "cache/base/facts.h"
#include "cache/base/shared_file.h"
#include "cache/crl/crl_joins.h"
#include "cache/crl/crl_list.h"

/* A list's file, for the mirror, and what its head says of it. */
struct crl_file {
	_Atomic unsigned refs;
	struct shared_file *shared; /* a reference: who sends it takes one of its own */
	int64_t this_update, next_update;
	/* The latest thisUpdate of the lists of this scope that were here before it.
	 * Where it is not earlier than this one's, somebody may have another list of this
	 * date: the date alone tells nobody that he has this one.  Set before others see
	 * it. */
	int64_t before;
	uint8_t sha256[32];
	char scope[]; /* the name that the list goes by (issuer.h, crl_scope) */
};
#define CRL_BEFORE_NONE    INT64_MIN /* it is the first */
#define CRL_BEFORE_UNKNOWN INT64_MAX
/* fd is handed over, also on failure (NULL: out of memory).  One reference; before is
 * CRL_BEFORE_UNKNOWN. */
struct crl_file *crl_file_new(int fd, const struct crl_facts *f, const char *scope);
struct crl_file *crl_file_ref(const struct crl_file *f);
void crl_file_unref(struct crl_file *f); /* NULL is allowed */

/* One configured list. */
struct crl_shard {
	bool in_force; /* a list was verified; else the rest is zero */
	struct crl_facts facts;
	struct crl_file *file; /* a reference; may be NULL */
	size_t n;              /* entries of the set that are this list's */
};

struct crl_set {
	_Atomic unsigned refs;
	uint64_t generation;
	/* A configured list has not been opened: what is not listed here may be listed
	 * there.  Whoever puts the set into its slot says so before. */
	bool unopened;
	/* Nor is it known which lists there are: some are learnt, and who learns them
	 * does not know them yet.  Said with it. */
	bool unlearnt;
	struct crl_joins *joins;     /* a reference; NULL: none.  Said with it, too */
	const struct crl_set *owner; /* a reference: of the set that the entries belong
					to; NULL: they are this one's */
	const struct crl_entry *entries; /* sorted by serial; of a serial that several
					    lists have, by shard */
	size_t n;
	size_t mapped;
	size_t shards_n;
	struct crl_shard shard[];
};

/* An issuer's place for its set.  Made once for each name and never freed before all
 * threads have ended, so that answers may point to it. */
struct crl_slot {
	_Atomic(const struct crl_set *) set; /* never NULL */
};

/* Without lists, and for ever: of an issuer that has none, or none was found; and of one
 * whose lists have not been opened.  A reference is taken and given back as of any. */
extern struct crl_set crl_set_none, crl_set_unopened;

/* A set with shards_n lists, none in force. */
struct crl_set *crl_set_new(size_t shards_n, uint64_t generation);
/* The same lists and entries (which are shared) in a set of its own, so that it can say
 * otherwise what is opened.  NULL when out of memory. */
struct crl_set *crl_set_again(const struct crl_set *s, uint64_t generation);
/* A new set: that of old (borrowed; NULL: an empty one with shards_n; else it has
 * shards_n) with list in the place of shard.  list is emptied (its entries may be taken
 * over), file is handed over (NULL is allowed).  Linear in the entries; where the set has
 * no other list's entries, nothing is copied.  ERR_NOMEM: nothing was taken. */
enum err crl_set_replace(struct crl_set **out, const struct crl_set *old, size_t shards_n,
    size_t shard, struct crl_list *list, struct crl_file *file, uint64_t generation);
/* A new set with other configured lists (reload): map[i] is the old place of new list i,
 * or -1 for a new one; no old place stands twice.  old is borrowed (NULL: none of the
 * lists is in force).  Entries of lists without a new place are gone.  ERR_NOMEM. */
enum err crl_set_rearrange(struct crl_set **out, const struct crl_set *old,
    const int *map, size_t shards_n, uint64_t generation);
const struct crl_set *crl_set_ref(const struct crl_set *s);
void crl_set_unref(const struct crl_set *s); /* NULL is allowed */
/* The file of the list that goes by this name, or is joined with one, borrowed from the
 * set; NULL: it is not in force, or has no file.  It stands at place, unless the lists
 * are about to be arranged for another configuration. */
struct crl_file *crl_set_file(const struct crl_set *s, size_t place, const char *scope);

struct crl_finding {
	bool listed;
	bool hold;  /* certificateHold, and no list says worse */
	int reason; /* REASON_NONE where absent */
	int64_t revoked_at;
	unsigned shard;      /* of the entry that counts */
	int64_t this_update; /* of the newest list that has the serial */
};
/* Not hold before hold, then the earlier date, then the list that stands first. */
bool crl_set_find(
    const struct crl_set *s, const struct serial *serial, struct crl_finding *out);

/* What it says of a serial that no list has it: that it is good, or which sentence is
 * missing for that. */
enum crl_absence {
	CRL_ABSENT_GOOD,
	CRL_ABSENT_BY_OPTION, /* the operator says unknown */
	CRL_ABSENT_UNOPENED,  /* one has not been opened */
	CRL_ABSENT_UNLEARNT,  /* nobody knows yet which there are */
	CRL_ABSENT_NO_LIST,   /* none is in force */
	CRL_ABSENT_MISSING,   /* one is not */
	CRL_ABSENT_OVERDUE,   /* one is past its nextUpdate */
	CRL_ABSENT_REASONS,   /* one has onlySomeReasons */
	CRL_ABSENT_ONLY_CA,   /* all have onlyContainsCACerts */
	CRL_ABSENT_PART,      /* nobody knows whether these are all */
	CRL_ABSENT_NOT_OURS   /* the list that is asked about is not configured */
};

/* Good only where every configured list is in force and in date, none has
 * onlySomeReasons, one at least does not have onlyContainsCACerts (R94, R103, R105), and
 * these are known to be all lists of the CA: one of them, about such certificates, names
 * no distribution point of its own, and so is all there is; or the operator says so.  A
 * list that does name one may be a part whose others are not configured (R104).
 *
 * A question names a serial and not what kind of certificate it is.  It is taken for an
 * end-entity certificate: that is what is asked about, and what the lists of public CAs
 * with onlyContainsUserCerts are for.  So such lists count, and lists that all have
 * onlyContainsCACerts know nothing.  Who asks about CA certificates too configures the
 * issuer's list for them as another of its lists.
 *
 * list (may be NULL): which of them is in the way; meant with MISSING, OVERDUE, REASONS.
 */
enum crl_absence crl_set_absence(
    const struct crl_set *s, enum absent said, int64_t now, size_t *list);
/* The same with a list of these facts, which is in force, in the place of another. */
enum crl_absence crl_set_absence_with(const struct crl_set *s, size_t place,
    const struct crl_facts *facts, enum absent said, int64_t now);
/* What the one list says of whom none has, for a certificate that is known to be on that
 * one if on any, since its CA has signed that it is: the list of this URL, which its
 * place in the configuration has, or its distributionPoint.  It has to be in force and in
 * date, about all reasons and such certificates; how the others stand makes no
 * difference, but that all have been opened.  Where s is still of another configuration
 * than i, lists that stand elsewhere there are not configured.
 * list (may be NULL): which of them it is, where there is one. */
enum crl_absence crl_set_absence_at(const struct crl_set *s, const struct issuer *i,
    const char *url, int64_t now, size_t *list);
/* The sentence for people: what is missing, and what to do.  NULL: nothing is. */
const char *crl_absence_text(enum crl_absence a);
/* The same of the one list. */
const char *crl_absence_text_at(enum crl_absence a);

/* Of the lists in force, the one with the earliest nextUpdate; 0 where there is none. */
size_t crl_set_oldest(const struct crl_set *s);

/* What the lists say to an OCSP statement about this certificate (R71).  Good and
 * unknown are the statements that a list can contradict. */
enum crl_verdict {
	CRL_FITS,        /* not listed; or the statement is revoked; or a hold and a newer
			    good or unknown */
	CRL_CONTRADICTS, /* listed; the statement is not newer than the list */
	CRL_DISAGREES,   /* listed (no hold); the statement is newer: an alarm */
	CRL_NOT_YET      /* it would fit, but a list that has not been opened may have the
			    serial: nobody knows */
};
enum crl_verdict crl_set_judge(const struct crl_set *s, const struct serial *serial,
    const struct facts *f, struct crl_finding *found /* may be NULL */);

#endif
