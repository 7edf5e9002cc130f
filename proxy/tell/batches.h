/* batches.h - batches that another thread has made, on their way into the log: what is
 * watched and revoked already, notices, alarms.
 *
 * Each goes through a barrier, so that no worker can newly serve what it was before, and
 * then into the log as it is.  The log away, they wait, are tried again with back-off in
 * the order in which they came, and are answered when they are durable.  Who asked keeps
 * what is to be told again after a kill: here nothing is on disk.
 *
 * Keeper's thread.
 */
#ifndef PROXY_TELL_BATCHES_H
#define PROXY_TELL_BATCHES_H

#include "proxy/tell/log_writer.h"
#include "proxy/tell/teller.h"

struct batches;

struct batches *batches_new(struct log_writer *writer);
void batches_add(struct batches *b, struct teller_batch *t);
/* How far is a scope told? */
void batches_ask(struct batches *b, struct teller_scope *s);
/* What is not at the log is answered with ERR_CANCELLED, and so is what comes. */
void batches_cancel(struct batches *b);
/* Now and then: those that had no memory for a timer. */
void batches_look_again(struct batches *b);
uint64_t batches_waiting(const struct batches *b); /* changes */
/* After the log was closed.  What was at the log, or in a barrier, is answered no more.
 */
void batches_free(struct batches *b);

#endif
