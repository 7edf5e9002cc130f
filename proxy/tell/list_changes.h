/* list_changes.h - the changes of lists, batch after batch, with the scope's told
 * pointer.
 *
 * The pointer (change_log.h) says from which list to which, and how many batches of how
 * many are in the log.  Each list that comes into force asks for it and decides:
 *
 *	ours, complete                  done
 *	ours, begun                     go on behind it, once nobody else moves it
 *	complete, at our base or older  begin: ours holds at least what is missing
 *	complete, newer                 done: another node has told more
 *	another list, begun             wait for its end; who stands still is overtaken
 *
 * Also a newer one that was begun is waited for and not believed: were its node to die,
 * the next list would be told from ours, and what lies before ours by nobody.  It is
 * believed where ours was told before, and only its place is to be made known (from is
 * to).
 *
 * Without a base (baseline) there are no moves to tell, so a pointer that stands at an
 * older list can only be moved by a node that has one; if none does within LISTS_BASE_MS,
 * the changes in between are lost to this log, and a new epoch says so.  Nor is a log
 * believed that knows nothing of the scope, where this node has lost what it told (lost).
 *
 * What a baseline has of watched certificates is told all the same, as batches from no
 * list to this one; those of the cut that have none are leapt over, so that it takes as
 * many appends as there is to tell.  A node that watches nothing of the issuer leaves a
 * pointer without batches there, from which one that does begins; and takes one that
 * another has begun for told.
 *
 * Keeper's thread.
 */
#ifndef PROXY_TELL_LIST_CHANGES_H
#define PROXY_TELL_LIST_CHANGES_H

#include "proxy/tell/log_writer.h"
#include "proxy/tell/teller.h"

struct list_changes;

struct list_changes *list_changes_new(struct log_writer *writer);
/* As teller_list(). */
bool list_changes_add(struct list_changes *l, const struct list_change *c);
void list_changes_cancel(struct list_changes *l);
/* Now and then: those that had no memory for a timer. */
void list_changes_look_again(struct list_changes *l);
/* Changes that are not in the log yet; a gap that is not counts as one. */
uint64_t list_changes_waiting(const struct list_changes *l);
/* After list_changes_cancel() and after the log was closed. */
void list_changes_free(struct list_changes *l);

#endif
