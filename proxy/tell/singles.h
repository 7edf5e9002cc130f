/* singles.h - changes that came with answers, one at a time, and those of latches
 * that an earlier life did not tell.
 *
 * Through a barrier, then into the log; several are under way at once, of one certificate
 * never more than one.  What fails goes back to its place.  So the log has the changes of
 * a certificate in their order; those of two certificates change places only where the
 * log refused the one and took the other.
 *
 * Which of a single change and a list tells the change of a latch: the table in latch.h.
 *
 * Keeper's thread.
 */
#ifndef PROXY_TELL_SINGLES_H
#define PROXY_TELL_SINGLES_H

#include "proxy/tell/log_writer.h"
#include "proxy/tell/teller.h"

struct singles;

struct singles *singles_new(struct log_writer *writer);
void singles_add(struct singles *s, const struct single_change *c);
/* All latches in the table that are untold and whose issuer is configured. */
void singles_add_latches(struct singles *s);
/* Now and then: those that had no memory for a timer. */
void singles_look_again(struct singles *s);
size_t singles_count(const struct singles *s);
/* After the log was closed. */
void singles_free(struct singles *s);

#endif
