/* watch_put.h - a draft becomes a list: PUT and POST, in steps of a bounded size.
 *
 * Until the last step the list is what it was, also after a crash; a put that is given up
 * leaves rows that are swept.  A POST of few certificates is one step into the list as
 * it is; one of many is a PUT of all.
 *
 * The thread that writes to the file (watch_db.h).
 */
#ifndef CACHE_WATCH_WATCH_PUT_H
#define CACHE_WATCH_WATCH_PUT_H

#include "cache/watch/watch_db.h"
#include "cache/watch/watch_draft.h"

struct watch_put;

/* add: to the list of this name, where there is one, instead of replacing it; the caller
 * knows that nobody changes that list until the put ends.  draft is handed over, also on
 * failure.  CAs that the file does not know are known from now on.  ERR_NOMEM, ERR_STORE,
 * ERR_STORE_FULL. */
enum err watch_put_new(struct watch_put **out, struct watch_db *db, const char *name,
    enum watch_source source, bool add, struct watch_draft *draft);
/* What it gains is told elsewhere: it is not marked as untold (watch_db_told()). */
void watch_put_told(struct watch_put *p);
/* What comes of it has this mark; without, it loses the one that it had. */
void watch_put_mark(struct watch_put *p, const struct watch_mark *mark);
/* One transaction.  ERR_STORE_FULL, ERR_STORE, ERR_NOMEM: then only free may follow. */
enum err watch_put_step(struct watch_put *p, bool *done);
/* When it is done, once: the list as it is now, for the inventory; a reference for the
 * caller.  old: the list that it was (NULL: there was none), as the inventory has it.
 * points: of which the inventory will have the table (watch_point_draft_end()). */
enum err watch_put_list(struct watch_put *p, const struct watch_list *old,
    struct watch_point_draft *points, const struct watch_list **out);
void watch_put_free(struct watch_put *p); /* NULL is allowed */

#endif
