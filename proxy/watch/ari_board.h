/* ari_board.h - the notices by renewal information that are in force, for all threads.
 *
 * The thread "ari" puts a new table up, at most once a second; whoever answers questions
 * takes a reference, for as long as he likes.  A mutex, and no barrier: nobody who serves
 * clients of the front asks.
 */
#ifndef PROXY_WATCH_ARI_BOARD_H
#define PROXY_WATCH_ARI_BOARD_H

#include "cache/watch/ari_noticed.h"
#include "proxy/base/shared.h"

struct ari_board;

struct ari_board *ari_board_new(void);    /* NULL when out of memory */
void ari_board_free(struct ari_board *b); /* NULL is allowed */
/* t is handed over. */
void ari_board_put(struct ari_board *b, const struct ari_noticed *t);
/* A reference to what is in force; ari_noticed_none where nobody asks CAs.  Any thread.
 */
const struct ari_noticed *ari_board_get(const struct shared *shared);

#endif
