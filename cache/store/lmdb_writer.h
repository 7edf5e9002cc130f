/* lmdb_writer.h - an LMDB file that the keeper reads and the executor's thread writes to:
 * what the store of answers and the change log have in common.
 *
 * Opening: the file is looked at before LMDB sees it, made where there is none, compared
 * with its own page count and with the format that its owner writes (lmdb_file.h).  What
 * is damaged is shown to the owner, who puts it aside or refuses.
 *
 * Group commit: what is to be written gathers at the owner's.  When no job is on the
 * executor's thread it goes there at once, alone; else with all that gathered when that
 * one comes back.  So who is quiet writes without delay, who is busy pays one fsync for
 * many, without a timer, and what waits is never older than one job.
 *
 * Full: LMDB copies pages to change them, so a file that is full to the last page cannot
 * even delete.  An eighth of the map is therefore kept free: `limit` is what may be used,
 * and the owner drops something before a write that would pass it.
 *
 * Flags: MDB_NOTLS always, so that the reader's slot belongs to the transaction that is
 * renewed and not to a thread.
 *
 * Weak point: LMDB trusts its file; a page that something else overwrote can end the
 * process.
 */
#ifndef CACHE_STORE_LMDB_WRITER_H
#define CACHE_STORE_LMDB_WRITER_H

#include <lmdb.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "cache/base/err.h"
#include "cache/base/exec.h"

struct event;
struct event_base;
struct lmdb_writer;

/* The head of what goes to the executor's thread; the owner's while it gathers. */
struct lmdb_job {
	struct lmdb_writer *writer; /* NULL: it was closed meanwhile */
	const struct lmdb_writer_ops *ops;
};

/* What the owner does. */
struct lmdb_writer_ops {
	/* Open its databases, in the transaction that has compared the format. */
	int (*databases)(void *owner, MDB_txn *txn, MDB_dbi meta);
	/* They are open, and no transaction is. */
	int (*opened)(void *owner);
	/* The file is damaged: true when it is out of the way, to be made anew; false
	 * with a line in why. */
	bool (*damaged)(void *owner, const char *cause, char *why, size_t why_n);

	/* What gathered, as a job; NULL: nothing did, or (*again) there was no memory to
	 * let it go: this is asked again soon. */
	struct lmdb_job *(*take)(void *owner, bool *again);
	/* The executor's thread. */
	void (*work)(struct lmdb_job *j);
	/* Tell everybody how it ended.  False: one of them has closed the writer, so that
	 * j->writer is NULL.  j may be freed, as the last thing. */
	bool (*back)(void *owner, struct lmdb_job *j);
	/* It came back after the writer was closed: free it, and tell nobody. */
	void (*drop)(struct lmdb_job *j);
};

struct lmdb_writer_config {
	const char *dir;    /* where the file is; made where there is none */
	const char *name;   /* of the file */
	const char *format; /* in "meta" */
	const char *remedy; /* against damage, or a file of another version; static */
	unsigned flags;     /* of the environment, besides ours */
	size_t size;        /* of the map */
	struct event_base *base; /* NULL: jobs follow each other at once */
	struct exec exec;        /* without run: work is done where it is asked for */
	/* As store_hooks.event; may be NULL. */
	void (*event)(void *arg, bool warn, const char *event, const char *text);
	void *event_arg;
};

/* A part of its owner, who may read what has no underscore. */
struct lmdb_writer {
	MDB_env *env;
	MDB_txn *reader;    /* the keeper's: renewed and reset within one call */
	size_t page, limit; /* bytes: of a page; that may be used */
	char *path;
	char error[512]; /* of the last failure: path and cause */
	const char *remedy;
	const struct lmdb_writer_ops *_ops;
	void *_owner;
	struct lmdb_writer_config _config; /* but for the remedy its texts are not kept */
	MDB_dbi _names, _meta; /* LMDB's own list of the databases; ours of the format */
	struct event *_next;   /* launches the next job; NULL without a loop */
	struct lmdb_job *_job; /* until all were told of it; or NULL */
};

/* ERR_STORE, ERR_NOMEM, with a line in why.  To be closed also on failure. */
enum err lmdb_writer_open(struct lmdb_writer *w, const struct lmdb_writer_config *c,
    const struct lmdb_writer_ops *ops, void *owner, char *why, size_t why_n);
/* The executor has stopped: what it was given has run, though perhaps not come back.
 * What still gathers is the owner's to write, before. */
void lmdb_writer_close(struct lmdb_writer *w);

/* Is a job under way, or being told of? */
bool lmdb_writer_is_busy(const struct lmdb_writer *w);
/* Something gathered: hand it over when the last job is back. */
void lmdb_writer_launch(struct lmdb_writer *w);

/* Tell a warning (store_hooks.event). */
void lmdb_writer_tell(struct lmdb_writer *w, const char *event, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
/* What helps against e.  Static. */
const char *lmdb_writer_remedy(const struct lmdb_writer *w, int e);
/* The file could not be used: error and remedy say why, and so does this event. */
void lmdb_writer_failed(struct lmdb_writer *w, const char *event, int e);

/* Any thread, in a transaction: bytes of the pages in use by these databases, "meta" and
 * LMDB's own list of them, exactly: LMDB's map is a high-water mark. */
int lmdb_writer_used(const struct lmdb_writer *w, MDB_txn *txn, const MDB_dbi *dbi,
    size_t dbi_n, uint64_t *used);
/* How many records, at most max, are to be deleted in one transaction: each makes LMDB
 * copy about three pages, and the pages of the last two transactions are not free yet, so
 * that a small map takes small steps. */
size_t lmdb_writer_step(const struct lmdb_writer *w, size_t max);

#endif
