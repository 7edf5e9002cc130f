/* ledger.h - the inventory in force, and whoever changes it, one after the other.
 *
 * A change is a job.  Jobs are done in the order in which they came, on a thread of their
 * own ("shelf"): they wait for the disk, sort and join lists of millions, and neither
 * searches nor barriers may wait for that.  That thread alone writes to watch.mdb and
 * publishes: first the file has the change, durable, then the new inventory is in force,
 * then whoever asked is told.  The old inventory is the keeper's to drop, when a barrier
 * has passed (readers: the keeper itself and all that its barriers go through).
 *
 * What a PUT or ADD has brought is a gain, which has to be told where it is revoked
 * already (gains.h).  The file has a mark of it from the step on that made it the list,
 * until LEDGER_TOLD: at a start, lists with a mark have gained all that they are.  So are
 * the certificates of a CA that the configuration calls by another name than before, or
 * only now; of these there is no mark.
 *
 * An incident is a list by another name (incident.h), without gains: whoever tells of
 * incidents (notices.h) looks at those of each inventory that comes into force.
 *
 * What no list has any more in the file is swept behind each job, a slice at a time, so
 * that a job waits for one slice at most.
 *
 * The functions are the inventory thread's.
 */
#ifndef PROXY_WATCH_LEDGER_H
#define PROXY_WATCH_LEDGER_H

#include "cache/watch/inventory.h"
#include "proxy/base/shared.h"

struct ledger;
struct known;
struct watch_asked;
struct watch_db;
struct watch_draft;

enum ledger_what {
	LEDGER_PUT,    /* the draft is the list */
	LEDGER_ADD,    /* the draft is added to the list */
	LEDGER_DROP,   /* the list is gone; an incident in force is withdrawn (incident.h)
			*/
	LEDGER_REMOVE, /* a certificate of it is */
	LEDGER_TOLD,   /* what it has gained is told, up to a generation and version */
	LEDGER_NAME,   /* the configuration has changed: who is called what */
	LEDGER_ASKED   /* when clients last asked for some certificates */
};

/* list: what it has gained, with the list's name, generation and version; a reference,
 * handed over.  It may have nothing. */
typedef void ledger_gain_fn(void *arg, const struct watch_list *list);

struct ledger_job {
	enum ledger_what what;
	char name[WATCH_NAME_MAX];
	enum watch_source source;  /* whose lists the asker changes */
	struct watch_draft *draft; /* PUT, ADD: handed over */
	struct known *known;       /* NAME: a reference, handed over */
	struct watch_mark mark;    /* PUT: of the shared store; or zeros */
	bool copy; /* PUT, ADD: another node made the change, and tells of it */
	char issuer[2 * WATCH_AKI_MAX + 1]; /* REMOVE: a name or a hexadecimal AKI */
	struct serial serial;               /* REMOVE */
	uint32_t generation, version;       /* TOLD */
	const struct watch_asked *asked; /* ASKED: the asker's until done; and so many */
	size_t asked_n;
	/* Once, from the loop; the job is the asker's again. */
	void (*done)(void *arg, struct ledger_job *j);
	void *arg;
	/* Outcome.  ERR_NOT_FOUND: no such list (but for PUT), or it does not have that
	 * certificate; ERR_STORE, ERR_STORE_FULL, ERR_NOMEM: the list is as it was, but
	 * where memory was short at the very end, when the file had it already, and a
	 * restart will show it; ERR_CANCELLED: we stop. */
	enum err error;
	bool shared;  /* error is of the shared store (share.h) */
	bool alone;   /* done on this node alone: to be done again when Redis is back */
	bool foreign; /* nothing was done: the list is of another source */
	bool added;   /* PUT: there was none of this name */
	size_t certificates;
	/* the ledger's: */
	struct ledger *_ledger;
	struct ledger_retired *_retired;
	const struct watch_list *_gain;
	const struct watch_cas *_before; /* NAME: who was called what */
	bool _published;
};

/* dir: of watch.mdb, opened or made there, size: bytes that it may have; its lists are
 * published.  inbox: of the inventory thread, for what comes back.  NULL with a line in
 * why: file, cause and remedy. */
struct ledger *ledger_new(struct shared *shared, struct inbox *inbox, const char *dir,
    size_t size, char *why, size_t why_n);
/* changed is called when an inventory has come into force, before its job is done. */
void ledger_on_change(struct ledger *l, void (*changed)(void *arg), void *arg);
/* gained is called for each gain, before its job is done; and from here for those that an
 * earlier life has left untold. */
void ledger_on_gain(struct ledger *l, ledger_gain_fn *gained, void *arg);
void ledger_do(struct ledger *l, struct ledger_job *j);
/* What is being written is given up between two steps, what waits or comes is not begun;
 * all come back with ERR_CANCELLED. */
void ledger_cancel(struct ledger *l);
/* The same, and waits for the thread: what it has done is in the inbox when this returns.
 * NULL is allowed, as in the next. */
void ledger_stop(struct ledger *l);
void ledger_free(struct ledger *l); /* after its readers have ended */

/* Any thread: what is read from the file. */
struct watch_db *ledger_db(struct ledger *l);
const char *ledger_dir(const struct ledger *l);
/* Any thread.  Could the last change not be written, since watch.mdb is full or takes
 * nothing?  Its file, cause and remedy then, until the next one that is. */
bool ledger_failing(struct ledger *l, char *why, size_t why_n);

/* The inventory in force, of shared->inventory: borrowed for one callback by the keeper
 * and by whoever its barriers go through; longer with a reference.  Never NULL. */
const struct inventory *ledger_inventory(const struct shared *s);

#endif
