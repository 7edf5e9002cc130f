/* log_writer.h - what the parts of telling share: the log, and whether it can be
 * written.
 *
 * Keeper's thread.  Inside proxy/tell only.
 */
#ifndef PROXY_TELL_LOG_WRITER_H
#define PROXY_TELL_LOG_WRITER_H

#include "cache/change/change_log.h"
#include "cache/held/latch_file.h"
#include "proxy/base/context.h"

struct outlet; /* proxy/tell/outlet.h */

/* A log that is away is asked again after so long, doubled up to the last. */
#define TELLER_BACKOFF_FIRST_MS 100
#define TELLER_BACKOFF_LAST_MS  5000

/* Who writes: a list, or the single changes. */
struct log_user {
	unsigned failures; /* in a row */
};

struct log_writer {
	const struct context *context;
	struct latches *latches;
	struct latch_file *latch_file;
	struct change_log *log;
	struct outlet *outlet;
	unsigned failing; /* users whose last write failed: told at the first one */
	enum err why;     /* why not; ERR_OK: it could */
	uint64_t written; /* counts what got there */
};

/* A write of this user (a list, or the single changes) has failed, or has worked: what
 * people are told of it.  The log may refuse the one and take the other, and says so once
 * for as long as one is refused. */
void log_writer_failed(
    struct log_writer *w, struct log_user *u, const char *who, enum err e);
void log_writer_wrote(struct log_writer *w, struct log_user *u);
/* It writes no more. */
void log_writer_ended(struct log_writer *w, struct log_user *u);
/* How long to wait after its failures (1..): half of it by chance. */
int64_t log_writer_backoff_ms(struct log_writer *w, const struct log_user *u);

/* b is durable: counted, measured from seen to durable, handed to the outlet.  Where the
 * log has left it out (seq 0), nothing happens. */
void log_writer_durable(struct log_writer *w, struct change_batch *b);

/* The changes of these n latches are durable: their mark goes on disk.  l is handed over
 * (malloc); n may be 0. */
void log_writer_latches_told(struct log_writer *w, struct latch *l, size_t n);

#endif
