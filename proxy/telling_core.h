/* telling_core.h - what the parts of telling share: the log, and whether it can be
 * written.
 *
 * Keeper's thread.  Inside proxy/telling*.c only.
 */
#ifndef PROXY_TELLING_CORE_H
#define PROXY_TELLING_CORE_H

#include "cache/change_log.h"
#include "proxy/parts.h"

struct outlet; /* proxy/telling_outlet.h */

/* A log that is away is asked again after so long, doubled up to the last. */
#define TELLING_BACKOFF_FIRST_MS 100
#define TELLING_BACKOFF_LAST_MS  5000

struct telling_core {
	struct parts d;
	struct change_log *log;
	struct outlet *outlet;
	bool held_back; /* the log could not be written: told once */
};

/* A write has failed, or has worked: what people are told of it. */
void core_failed(struct telling_core *c, enum err e);
void core_wrote(struct telling_core *c);
/* How long to wait after so many failures in a row (1..): half of it by chance. */
int64_t core_backoff_ms(struct telling_core *c, unsigned failures);

/* b is durable: counted, measured from seen to durable, handed to the outlet.  Where the
 * log has left it out (seq 0), nothing happens. */
void core_logged(struct telling_core *c, struct change_batch *b);

/* The changes of these n latches are durable: their mark goes on disk.  l is handed over
 * (malloc); n may be 0. */
void core_latches_told(struct telling_core *c, struct latch *l, size_t n);

struct event;
/* Arm a timer; false when out of memory. */
bool core_arm(struct event *timer, int64_t ms);

#endif
