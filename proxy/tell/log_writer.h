/* log_writer.h - what the parts of telling share: the log, and whether it can be
 * written.
 *
 * Keeper's thread.  Inside proxy/telling*.c only.
 */
#ifndef PROXY_TELL_LOG_WRITER_H
#define PROXY_TELL_LOG_WRITER_H

#include "cache/change/change_log.h"
#include "cache/held/latch_file.h"
#include "proxy/base/context.h"

struct outlet; /* proxy/tell/outlet.h */

/* A log that is away is asked again after so long, doubled up to the last. */
#define TELLING_BACKOFF_FIRST_MS 100
#define TELLING_BACKOFF_LAST_MS  5000

struct core_writer {
	unsigned failures; /* in a row */
};

struct telling_core {
	const struct context *context;
	struct latches *latches;
	struct latch_file *latch_file;
	struct change_log *log;
	struct outlet *outlet;
	unsigned failing; /* writers whose last write failed: told at the first one */
	enum err why;     /* why not; ERR_OK: it could */
	uint64_t written; /* counts what got there */
};

/* A write of this writer (a list, or the single changes) has failed, or has worked: what
 * people are told of it.  The log may refuse the one and take the other, and says so once
 * for as long as one is refused. */
void core_failed(
    struct telling_core *c, struct core_writer *w, const char *who, enum err e);
void core_wrote(struct telling_core *c, struct core_writer *w);
/* It writes no more. */
void core_ended(struct telling_core *c, struct core_writer *w);
/* How long to wait after its failures (1..): half of it by chance. */
int64_t core_backoff_ms(struct telling_core *c, const struct core_writer *w);

/* b is durable: counted, measured from seen to durable, handed to the outlet.  Where the
 * log has left it out (seq 0), nothing happens. */
void core_logged(struct telling_core *c, struct change_batch *b);

/* The changes of these n latches are durable: their mark goes on disk.  l is handed over
 * (malloc); n may be 0. */
void core_latches_told(struct telling_core *c, struct latch *l, size_t n);

#endif
