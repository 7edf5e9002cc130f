/* feed_list.h - the feed's inside: its issuers, their lists, and the work under way.
 *
 * Each file calls those above it, and none below:
 *
 * feed_sites.c    the places where a list is to be had, and which is asked next
 * feed_list.c     what each list has in force, and when it is next looked after
 * feed_watch.c    what is told of lists that are late, or may not be all
 * feed_wait.c     who waits for what has not been opened
 * feed_work.c     whose job is next: of an issuer, and for the bulk thread
 * feed_held.c     held back on the way from in force to told
 * feed_tell.c     from in force to told
 * feed_publish.c  into force
 * feed_ask.c      when each list is asked for, and what comes of it
 * feed_open.c     what the state directory has of it
 * feed_park.c     which of them are needed
 * feed_wanted.c   which lists an issuer is to have
 * feed_conf.c     what the configuration makes of them
 * feed_join.c     one list under two URLs
 * feed_learn.c    what is learnt of them elsewhere
 * crl_feed.c      the timer, and what others ask
 * feed_has.c      does an issuer have the lists that others name
 * feed_print.c    for people: JSON and gauges
 *
 * Nobody else includes it.  Keeper's thread.
 *
 * A list is what one scope of an issuer is: where it is to be had may change, its files
 * and its place in what was told stay.  There may be several such sites, and the list is
 * the same at each: the next one is asked when one fails.  One that is gone from the
 * configuration is kept until a later reload finds no work that names it, and is the same
 * again when it comes back.  It may be in force still (kept), until what came with its
 * going is.
 *
 * Each list lives through four things at once, a struct each in struct feed_list: `open`
 * (what the disk has), `ask` (what the CA has), `settle` and `tell`, with `told` for what
 * the telling has reached.  A delta list would be asked for beside `ask`, with due time,
 * marks and failures of its own, be read by a kind of job of its own (crl_job.h) together
 * with the list that is in force, and come into force by feed_publish() as the list that
 * the two make; from there on it is one like any other.  Today it is refused
 * (ERR_CRL_DELTA, by crl_extension.c).
 */
#ifndef PROXY_LISTS_FEED_LIST_H
#define PROXY_LISTS_FEED_LIST_H

#include <assert.h>
#include <event2/event_struct.h>
#include <stddef.h>
#include <sys/queue.h>

#include "cache/crl/crl_slots.h"
#include "proxy/base/due.h"
#include "proxy/http/fetch.h"
#include "proxy/lists/crl_feed.h"
#include "proxy/lists/crl_job.h"

#define FEED_RETRY_MS 5000 /* after the disk or memory failed us */
#define FEED_DAY_MS   INT64_C(86400000)
#define FEED_ACCEPT_MS                                                                   \
	INT64_C(3600000) /* for the CA to publish, after the operator's word */
#define FEED_BATCH   32  /* openings in one message to the bulk thread, and back */
#define FEED_BATCHES 2   /* messages: one runs, one waits */

/* An issuer as it was configured: jobs outlive a configuration. */
struct feed_ca {
	unsigned refs;
	uint8_t id[32]; /* SHA-256 over its certificates and rules of lists */
	struct issuers *set;
	const struct issuer *issuer;
};

/* Where a list is held back on its way from in force to told. */
enum feed_step {
	FEED_FLOWS,   /* nowhere */
	FEED_FOLDER,  /* what an earlier life told cannot be looked at */
	FEED_INSTALL, /* its file cannot be made current */
	FEED_LINK,    /* nor next */
	FEED_COMPARE, /* it cannot be compared with the list that was told */
	FEED_MEMORY,
	FEED_RENAME /* told, but its file cannot be made told */
};

/* Where a list is to be had, in order of preference.  Immutable: jobs outlive it. */
struct feed_urls {
	unsigned refs;
	size_t n;
	bool strict; /* none of them is a name that the list may have */
	char *url[];
};

/* What is known of one of these. */
struct feed_site {
	bool local;
	struct crl_hints hints; /* validators are the site's own: no other sees them */
	struct crl_stamp stamp; /* local */
	int failures;           /* in a row */
	enum err error;         /* of the last one */
	int64_t again_ms; /* monotonic: passed over until then, where there is another */
};

struct feed_work;
TAILQ_HEAD(feed_queue, feed_work);

/* What is told of again as it lasts. */
struct feed_again {
	int64_t at_ms;    /* monotonic: last */
	int64_t pause_ms; /* until it is told again; 0: it was not told */
};

struct feed_list {
	struct due due;             /* first; when it is next looked after */
	LIST_ENTRY(feed_list) link; /* in gone */
	struct feed_issuer *issuer;
	unsigned works;         /* under way that name it */
	struct feed_urls *urls; /* a reference */
	struct feed_site *site; /* of each */
	char *scope, *dir;
	uint8_t id[CHANGE_SCOPE_N];
	enum learnt learnt; /* who names it; LEARNT_COUNT: the configuration */
	/* Nobody needs it, and only what is needed is fetched: not asked for, nor missed.
	 * What is in force of it stays so. */
	bool parked;
	/* The name of the list that it was found to be, and is about to be joined with:
	 * not asked for any more.  NULL: none. */
	char *joining;
	/* In the configuration, and out of it again.
	 *
	 *	GONE ---------------+-- list_comes() --+--> LISTED
	 *	KEPT, KEPT_UNTOLD --+                  +--> RELIEVING, where others go
	 *	RELIEVING ------------- fetched ----------> LISTED
	 *	RELIEVING, LISTED ----- list_gone() --+---> GONE
	 *	                                      +---> KEPT, KEPT_UNTOLD, where it is
	 *	                                            in force and others come
	 *	KEPT, KEPT_UNTOLD ----- feed_drop_kept() --> GONE, when none is RELIEVING
	 */
	enum {
		FEED_GONE,        /* or new, and not in the configuration yet */
		FEED_RELIEVING,   /* came as others went, and was not fetched since */
		FEED_LISTED,      /* in the configuration */
		FEED_KEPT,        /* gone, and in force until no list relieves it */
		FEED_KEPT_UNTOLD, /* and not all was told as it went */
	} conf;
	bool drop; /* out of the set when it is next arranged */
	int place; /* in the set in force; -1: none */
	int next_place;

	/* What is current on disk is verified: at start, and again with other
	 * certificates of the issuer.
	 *
	 *	TO_OPEN --feed_open()--> OPENING --opened()--> OPENED
	 *	   ^                        |                    |
	 *	   +-- cannot be read now --+                    |
	 *	   +------------- other certificates ------------+
	 *
	 * One work at most is that of the opening: while OPENING, and only then. */
	struct {
		enum {
			FEED_TO_OPEN, /* waits: for its time, or for what is in force
					 to settle */
			FEED_OPENING,
			FEED_OPENED /* or overtaken by a later list */
		} state;
		bool looked; /* what was current has been found, or found absent; or a
				later one is in force */
	} open;
	/* Asked for, from the fetch or the job of a local file to its end.
	 *
	 *	CLOSED --opened()--> IDLE --feed_ask()--> ASKING
	 *	                      ^                    | |  ^
	 *	                      +---- ask_ends() ----+ |  | ask_ends()
	 *	                          feed_ask_again()   v  |
	 *	                                        ASKING_AGAIN
	 *
	 * One that is gone is left where it is, and comes back CLOSED: what was under way
	 * then is of no account. */
	struct {
		enum {
			FEED_CLOSED, /* what is on disk comes first */
			FEED_IDLE,
			FEED_ASKING,
			FEED_ASKING_AGAIN /* and once more after that */
		} state;
		bool anew; /* read the file whatever its stamp says */
		bool tried;
		size_t site; /* that is asked, or was last */
		size_t from; /* that the list came from; as many as there are: unknown */
		uint32_t been; /* a bit for each site that has failed in this ask */
		struct feed_work *fetching;
		struct fetch *fetch;
		int64_t due_ms;    /* monotonic */
		int64_t accept_ms; /* monotonic: the next list may begin a new count
				      until then */
		int failures;     /* in a row; also of looks that found no successor for a
				     list that is past its nextUpdate */
		enum err error;   /* of the last one */
		bool number_back; /* error is ERR_CRL_ROLLBACK for its number */
		struct feed_again refused; /* the same file, and not read again */
		char why[512];
		int64_t fetched_at; /* last time that all was well; 0: never */
	} ask;
	int64_t alarm_ms;   /* when its age and its end are next looked at */
	int64_t alarmed_ms; /* last alarm; 0: none */
	struct feed_again overdue;
	/* When what is in force came, and how often one does: only what is looked for
	 * can be late. */
	struct {
		int64_t at, at_ms; /* wall clock, s; monotonic */
		bool newly;        /* by the ask that is under way */
		struct crl_pace pace;
		uint64_t shrunk_from; /* entries of the one before it shrank; 0: it did
					 not */
		enum { FEED_FRESH, FEED_HALF_LEFT, FEED_SIXTH_LEFT } life;
	} came;

	/* In force, and then: made current on disk, and past a barrier, behind which the
	 * sets before it go.  They get there in their order, as barrier and disk thread
	 * keep it; a later one may come into force before, also while an earlier one is
	 * told.  The second law is the teller's, who passes a barrier of its own with
	 * each list. */
	struct {
		unsigned n;              /* that are not there yet; 0: settled */
		struct feed_work *stuck; /* one of them, whose file could not be made
					    current */
		bool has_durable;
		uint8_t durable[32]; /* crl_facts.sha256 of the one that is current */
	} settle;
	/* What the log and the disk know to be told, of which list.
	 *
	 *	UNKNOWN --> NOTHING --------> BASE ---------+
	 *	   |           |                            v
	 *	   |           +------- changes told ---> PLACED <--> UNTIDY
	 *	   |                                        ^ ^
	 *	   +------> LEFT --- next told -------------+ |
	 *	   |          |                               |
	 *	   |          v next cannot be read           |
	 *	   +------> UNPLACED -- place or changes told +
	 */
	struct {
		enum {
			FEED_UNKNOWN,  /* what an earlier life told */
			FEED_NOTHING,  /* nothing ever was */
			FEED_LEFT,     /* one was, and an earlier life was telling
					  another */
			FEED_BASE,     /* the first of its scope is, as it is installed;
					  the log is yet to hear of it */
			FEED_UNPLACED, /* one was, of which the log may not know */
			FEED_PLACED,   /* the log knows what was told */
			FEED_UNTIDY    /* and told on disk is another */
		} state;
		/* From LEFT on: it is the first of its scope, and what that has of
		 * watched certificates comes before all else that is to be told. */
		bool first_left;
		uint8_t sha256[32]; /* from LEFT on: crl_facts.sha256 of the list that
				       was; zeros: to be read first */
		struct crl_facts base_facts;
		bool has_first;    /* a list has come into force up to NOTHING */
		uint8_t first[32]; /* then: crl_facts.sha256 of the first that did */
	} told;
	/* The telling that is under way.  It begins where nothing has to settle; what of
	 * it has failed makes it QUIET, and it begins anew from `told`.
	 *
	 *	QUIET --> COMPARING --> LINKING --> LOGGING --> RENAMING --> QUIET
	 *
	 * The first list has nothing to compare but what is watched of its issuer, next
	 * is linked already, and a place alone ends with the log. */
	struct {
		enum {
			FEED_QUIET,
			FEED_COMPARING, /* told, with next or current */
			FEED_LINKING,   /* current is to be next */
			FEED_LOGGING,   /* changes, or the place */
			FEED_RENAMING   /* next, or current, is to be told; or first
					   goes */
		} step;
		int64_t seen_at_ms;
		int64_t untold_since_ms; /* when the first one that is not told came
					    into force */
	} tell;
	int64_t retry_ms; /* to open and to tell; INT64_MAX: nothing to be tried again */
	struct {
		enum feed_step at; /* that failed last and has not worked since */
		unsigned n;        /* times in a row */
		char why[512];
	} held;
};

TAILQ_HEAD(crl_waits, crl_wait);

/* What a source of lists says of an issuer. */
struct feed_learnt {
	bool told;               /* it has spoken */
	bool known;              /* and knows them */
	bool surplus;            /* it was told that there are too many */
	struct feed_urls **urls; /* references */
	size_t n;
};

struct feed_issuer {
	LIST_ENTRY(feed_issuer) link;
	struct feed_issuer *next; /* of the same hash */
	uint64_t hash;            /* of the name */
	struct crl_feed *feed;
	char name[64];
	struct crl_slot *slot; /* of the feed's slots */
	struct feed_ca *ca;
	struct feed_list *
	    *list; /* as configured, and those that are learnt behind them */
	size_t n;
	struct feed_learnt learnt[LEARNT_COUNT];
	bool learns[LEARNT_COUNT]; /* by the configuration */
	bool need_watched;
	/* Lists that are others under another name: their places are the others'. */
	struct crl_joins *joins;
	bool joining; /* one of the lists is about to be one */
	char **need;  /* names of the lists that are needed, sorted */
	size_t need_n;
	LIST_HEAD(, feed_list) gone;
	int64_t interval_ms, age_alarm_ms; /* 0: none */
	enum absent absent;
	bool part;                 /* it was told that its lists may be a part */
	struct feed_queue queue;   /* jobs that wait for their turn */
	struct feed_work *running; /* its one job at, or for, the bulk thread */
	bool rearrange;   /* the set is of other lists than the configured ones */
	int64_t retry_ms; /* to rearrange */
	bool configured;  /* by the configuration in force */
	uint64_t failed[ERR_COUNT]; /* asks, by reason */
	struct crl_waits waits;
	size_t waits_n;
};

struct feed_batch {
	struct crl_feed *feed;
	bool busy;
	size_t n, done; /* done: in the time that one message may take */
	struct feed_work *work[FEED_BATCH];
};

struct crl_feed {
	const struct context *context;
	const struct conf *conf;
	struct fetcher *fetcher;
	struct executor *bulk;
	struct teller *teller;
	bool expected[LEARNT_COUNT]; /* there is a source that will speak */
	struct crl_slots *slots;
	char *state_directory; /* jobs outlive a configuration */
	LIST_HEAD(, feed_issuer) issuers;
	struct feed_issuer **bucket; /* by name; a power of two, at least the issuers */
	size_t buckets, issuers_n;
	struct feed_queue works;         /* all of them */
	struct feed_queue opens, others; /* for the bulk thread, when there is room */
	struct feed_batch batch[FEED_BATCHES];
	struct dues dues; /* lists */
	struct event timer;
	int64_t armed_ms;  /* what it is armed for; INT64_MAX: it is not */
	_Atomic bool stop; /* read by jobs */
	bool cancelled;
	int64_t reload_ms;      /* INT64_MAX: the configuration was taken */
	int64_t arrange_ms;     /* the earliest of its issuers' to rearrange */
	size_t unopened;        /* issuers whose set is */
	struct crl_waits waits; /* for all of them */
	size_t waits_n;
};

#define FEED_WORK_MAGIC 0x6c697374u

/* A list on its way: fetched, read, in force, durable, told. */
struct feed_work {
	unsigned magic; /* FEED_WORK_MAGIC: others hand it back as a void pointer */
	struct crl_job job;
	TAILQ_ENTRY(feed_work) link; /* in works */
	/* Where its job is.
	 *
	 *	           feed_work_queue()          run_job()       take()
	 *	OUTSIDE ---------------------> QUEUED ---------> DUE -------> RUNNING
	 *	  ^  ^                           |                ^             | |
	 *	  |  +--------- skipped ---------+                +- no turn ---+ |
	 *	  +------------------------- job_done() --------------------------+
	 */
	enum {
		FEED_OUTSIDE, /* with who makes, fetches, settles or tells it */
		FEED_QUEUED,  /* in its issuer's queue */
		FEED_DUE,     /* its issuer's one job, in opens or others */
		FEED_RUNNING  /* in a batch, at the bulk thread */
	} at;
	TAILQ_ENTRY(feed_work) waiting; /* QUEUED, DUE */
	struct crl_feed *feed;
	struct feed_issuer *issuer;
	struct feed_list *list; /* NULL for CRL_JOB_ARRANGE */
	struct feed_urls *urls; /* of the list; its job borrows from them */
	size_t site;            /* READ: that it is read from */
	struct feed_ca *ca;
	/* The job is back, or skipped: not begun, or for nobody any more.  w is whose
	 * this is now. */
	void (*done)(struct feed_work *w, bool skipped);
	bool conditional;
	int64_t fetch_us;
	struct barrier_want want;
	const struct crl_set *retired; /* what it took the place of */
	/* In force it settles when both are done: the barrier, and its file.
	 *
	 *	TO_INSTALL ---- on_installed() ----> CURRENT, as what was opened is
	 *	  |  ^   |
	 *	  |  +---+ stuck, and tried again
	 *	  +--> GIVEN_UP, goes when the barrier has passed */
	bool passed;
	enum {
		FEED_TO_INSTALL,
		FEED_CURRENT, /* durable */
		FEED_GIVEN_UP /* a later list is durable, or the list is gone */
	} file;
	bool base;     /* the first list of its scope: told as it is installed */
	bool first;    /* base, and certificates of its issuer are watched */
	bool pointing; /* nothing to tell but the place */
	bool lost;     /* a list was told before, and nobody can say any more which */
	int error_number;
};

static inline struct feed_work *feed_work_of(void *arg)
{
	struct feed_work *w = arg;

	assert(w->magic == FEED_WORK_MAGIC);
	return w;
}
static inline struct feed_work *feed_work_passing(struct barrier_want *want)
{
	return feed_work_of((char *)want - offsetof(struct feed_work, want));
}
static inline const struct crl_set *feed_set_of(const struct feed_issuer *i)
{
	return atomic_load_explicit(&i->slot->set, memory_order_acquire);
}
static inline const struct conf *feed_conf(const struct crl_feed *f)
{
	return f->conf;
}
/* Is the issuer's set one of lists, in which each has its place?  Else it is one of the
 * two that have none. */
static inline bool feed_has_places(const struct feed_issuer *i)
{
	return feed_set_of(i)->shards_n > 0;
}
static inline bool feed_is_gone(const struct feed_list *l)
{
	return l->conf != FEED_RELIEVING && l->conf != FEED_LISTED;
}
static inline bool feed_is_kept(const struct feed_list *l)
{
	return l->conf >= FEED_KEPT;
}
/* Was it a list, and refused? */
static inline bool feed_is_refusal(int e)
{
	return e >= ERR_CRL_LARGE && e <= ERR_CRL_ROLLBACK;
}

/* The name by which people know it. */
static inline const char *feed_url(const struct feed_list *l)
{
	return l->urls->url[0];
}

/* feed_sites.c. */

/* One reference; NULL: out of memory.  Of n at most CRL_PLACES_MAX are taken. */
struct feed_urls *feed_urls_new(const char *const *url, size_t n, bool strict);
struct feed_urls *feed_urls_ref(struct feed_urls *u);
void feed_urls_unref(struct feed_urls *u);               /* NULL is allowed */
void feed_urls_clear(struct feed_urls **urls, size_t n); /* all of an array, and it */
bool feed_urls_same(const struct feed_urls *a, const struct feed_urls *b);
/* Which of them is this one; u->n: none. */
size_t feed_urls_find(const struct feed_urls *u, const char *url);
/* Is one of a's one of b's? */
bool feed_urls_meet(const struct feed_urls *a, const struct feed_urls *b);
/* Sites for them, with what `old` (may be NULL) knows of those that it had.  NULL: out of
 * memory. */
struct feed_site *feed_sites_new(const struct feed_urls *u, const struct feed_list *old);
/* Which is asked next: of those that have not failed in this ask the first one that is
 * not passed over, else the one whose pause ends first.  As many as there are: none. */
size_t feed_site_next(const struct feed_list *l);
void feed_site_failed(struct feed_list *l, size_t site, enum err e);
/* None is passed over any more. */
void feed_sites_excuse(struct feed_list *l);
/* Local files are read again; of those that were refused only. */
void feed_sites_read_again(struct feed_list *l, bool refused_only);

/* feed_list.c. */

void feed_ca_unref(struct feed_ca *c); /* NULL is allowed */
/* urls: a reference is taken.  NULL: out of memory. */
struct feed_list *feed_list_new(
    struct feed_issuer *i, struct feed_urls *urls, const char *scope, const uint8_t *id);
void feed_list_free(struct feed_list *l);
/* What a source has said counts no more. */
void feed_learnt_clear(struct feed_learnt *l);
struct feed_issuer *feed_issuer_find(const struct crl_feed *f, const char *name);
void feed_issuer_free(struct feed_issuer *i);
/* What the set in force has of this list; NULL: nothing. */
const struct crl_shard *feed_in_force(const struct feed_list *l);
/* Is one of its lists not opened, or a source still to say which there are? */
bool feed_is_unopened(const struct feed_issuer *i);
/* Is it not known which lists there are? */
bool feed_is_unlearnt(const struct feed_issuer *i);
/* A generation that no other set has. */
uint64_t feed_generation(void);
/* Put s (a reference) into the slot, unopened or not; the slot's reference to the one
 * before is the caller's now. */
const struct crl_set *feed_put(struct feed_issuer *i, struct crl_set *s, bool unopened);
/* Lists that are kept in force though they are gone. */
size_t feed_kept(const struct feed_issuer *i);
/* They go, if nothing relieves them any more, with a word of the reason. */
void feed_drop_kept(struct feed_issuer *i, const char *why);
bool feed_may_join(const struct feed_list *l);
/* l is the list `with` under another name: it is joined with it, in the next turn. */
void feed_join_soon(struct feed_list *l, const struct feed_list *with);
/* When it is to be looked after; INT64_MAX: what it waits for moves it. */
int64_t feed_next_ms(const struct feed_list *l);
/* One of the list's times has changed: the timer, for the earliest of all lists. */
void feed_due(struct feed_list *l);
void feed_arm(struct crl_feed *f);
/* Have the list looked after in FEED_RETRY_MS, or in so many. */
void feed_retry_later(struct feed_list *l);
void feed_retry_in(struct feed_list *l, int64_t ms);

/* Is everything told of it that is in force? */
bool feed_all_told(const struct feed_list *l);

/* feed_watch.c. */

/* An alarm a day for a list that its CA does not renew (R114), and a warning from its
 * nextUpdate on. */
void feed_watch_age(struct feed_list *l);
/* Tell, once for as long as it is so, that its lists may not be all (crl_set.h). */
void feed_watch_part(struct feed_issuer *i);
/* The end of an ask: what was refused, a number that is lower than one before, and a list
 * of which no newer one was there although it is time. */
void feed_watch_ask(struct feed_list *l);
/* The list of w is about to take the place of the one in force. */
void feed_watch_comes(struct feed_work *w);
/* It is gone from the configuration, or goes under another URL. */
void feed_watch_no_more(struct feed_list *l);
/* Has it a lower number than one before: refused, or taken after its end? */
bool feed_number_is_back(const struct feed_list *l);
/* Is it past its nextUpdate? */
bool feed_is_over(const struct feed_list *l);
/* Is it to be told now?  At first, and then after a minute, two, four, ... a day. */
bool feed_again(struct feed_again *a);

/* feed_wait.c. */

/* w waits for this issuer, or for all (NULL). */
void feed_wait_begin(
    struct crl_feed *f, struct feed_issuer *i, struct crl_wait *w, int ms);
/* Whose lists are opened now, call done.  Last of all that is done in a turn: it may do
 * anything. */
void feed_wake(struct feed_issuer *i);
void feed_wake_all(struct crl_feed *f);
void feed_waits_cancel(struct crl_feed *f);

/* feed_work.c. */

/* NULL: out of memory. */
struct feed_work *feed_work_new(struct feed_issuer *i, struct feed_list *l,
    enum crl_job_kind kind, void (*done)(struct feed_work *w, bool skipped));
void feed_work_free(struct feed_work *w);
/* The bulk thread's next, after those of its issuer that wait already. */
void feed_work_queue(struct feed_work *w);
/* All that wait for their turn are skipped; all that there are are freed. */
void feed_works_drop(struct feed_issuer *i);
void feed_works_free(struct crl_feed *f);
/* The issuer's next job, if none is under way. */
void feed_next(struct feed_issuer *i);
/* Somebody waits for the issuer's lists: its opening comes first. */
void feed_hurry(struct feed_issuer *i);
/* What is in force is what the job began with, or says otherwise what is opened: its set
 * comes into force. */
void feed_swap(struct feed_work *w);
/* No reader has the sets any more that w took the place of: they go. */
void feed_release_old(struct feed_work *w);
/* The set in force shall say that a list is unopened, or that none is.  False: out of
 * memory, and it says what it said. */
bool feed_say(struct feed_issuer *i, bool unopened);

/* feed_held.c. */

/* It is tried again, with back-off. */
void feed_hold_back(struct feed_list *l, enum feed_step at, const char *why);
/* The disk's fault, with this file of the list's. */
void feed_hold_back_file(struct feed_work *w, enum feed_step at, const char *file);
/* This step has worked. */
void feed_let_flow(struct feed_list *l, enum feed_step at);
/* Is the list held back?  Then text (room for n) says where and why, for people. */
bool feed_is_held_back(const struct feed_list *l, char *text, size_t n);

/* feed_tell.c. */

/* w has come into force, with its job's file to be made current (or durable already). */
void feed_settle(struct feed_work *w);
/* Go on with what is left to be told, or to be made durable. */
void feed_tell(struct feed_list *l);
/* One whose file could not be made current is given up. */
void feed_drop_stuck(struct feed_list *l);

/* feed_publish.c: the list that w's job has read comes into force. */
void feed_publish(struct feed_work *w);

/* feed_ask.c. */

/* Of one that is opened, and not asked for now; nothing where it is parked. */
void feed_ask(struct feed_list *l);
/* Once more after that, where it is asked for now. */
void feed_ask_again(struct feed_list *l);
void feed_stop_fetch(struct feed_list *l);

/* feed_park.c. */

/* Those that nobody needs are parked, and those that are needed are no more. */
void feed_park(struct feed_issuer *i);

/* feed_wanted.c. */

/* The lists that an issuer is to have: as they are named, then as they are. */
struct feed_wanted {
	struct want_list {
		struct feed_urls *urls; /* a reference; NULL: it is another one */
		const char *scope;
		enum learnt learnt;
	} * want;
	size_t want_n;
	struct feed_list **list; /* owned */
	size_t n;
};
/* By c (NULL: nothing) and by what is learnt.  False: out of memory. */
bool feed_wanted(struct feed_issuer *i, const struct issuer *c, struct feed_wanted *all);
/* The one with this id; NULL: none. */
struct feed_list *feed_list_find(
    struct feed_list *const *list, size_t n, const uint8_t *id);
/* A list is another one for as long as that is there. */
void feed_forget_joins(struct feed_issuer *i);

/* feed_conf.c. */

/* The lists of what is configured (NULL: nothing) and learnt are the issuer's.  False:
 * out of memory, and they are those that they were. */
bool feed_set_lists(struct feed_issuer *i, const struct issuer *c);
/* Those that have come are begun with. */
void feed_begin_lists(struct feed_issuer *i);
/* Those of a gone configuration that nothing names any more. */
void feed_forget_gone(struct feed_issuer *i);

/* feed_join.c: those that wait for it are joined. */
void feed_join(struct feed_issuer *i);

/* feed_open.c: what is current on disk is verified, where that is to be done and nothing
 * of the list is on its way. */
void feed_open(struct feed_list *l);
/* That is to be done again; one under way will see for itself. */
void feed_open_again(struct feed_list *l);

#endif
