/* keeper_make.h - the keeper's parts are made in order, and freed in the other.
 *
 * The hooks of the store and of the change log stand here too: they find what they call
 * in the parts, also while these are made.
 */
#ifndef PROXY_KEEPER_KEEPER_MAKE_H
#define PROXY_KEEPER_KEEPER_MAKE_H

#include "proxy/keeper/keeper_parts.h"

/* Make all of it, in p of zeroes; inbox_arg is what the inbox's messages are run with.
 * Opens latches, store and change log, creates directories; of threads it starts those of
 * the disks alone.  Sets shared->teller.  False with a line in why: keeper_unmake(). */
bool keeper_make(struct keeper_parts *p, struct shared *shared, void *inbox_arg,
    char *why, size_t why_n);
/* Also what was made in part.  After every other thread was joined. */
void keeper_unmake(struct keeper_parts *p);

#endif
