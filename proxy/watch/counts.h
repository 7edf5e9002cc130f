/* counts.h - how many of what is watched are revoked, are good, end soon: GET
 * /v1/watchlists and GET /v1/summary.
 *
 * Counting asks for the status of each certificate, a few thousand in a turn of the loop
 * and of the keeper's.  What was counted is told again while it is younger than
 * COUNTS_KEEP times what it took, so that who asks all the time costs a tenth of a core
 * at most; who asks during a count gets that one.
 *
 * The inventory thread.
 */
#ifndef PROXY_WATCH_COUNTS_H
#define PROXY_WATCH_COUNTS_H

#include "proxy/watch/watch_ask.h"

#define COUNTS_KEEP 10

struct counts;

struct counts *counts_new(struct watch_context *context); /* NULL: out of memory */
void counts_free(struct counts *c); /* nothing is asked; NULL is allowed */

/* The inventory is another: what was counted holds the old one's memory no longer. */
void counts_forget(struct counts *c);

void counts_lists(struct counts *c, struct watch_ask *a); /* all */
void counts_list(struct counts *c, struct watch_ask *a);  /* that of a->name */
void counts_summary(struct counts *c, struct watch_ask *a);

#endif
