/* notices_text.h - the data of events of notices and of alarms, as events_text.h has that
 * of changes: keys in one order, and the same bytes whenever they are written.
 *
 * Names and labels are those of a watchlist, so who has none is told none: a certificate
 * may stand on a thousand lists, each with names of its own, and a frame is one text for
 * everybody.
 *
 * Pure functions, any thread.
 */
#ifndef PROXY_PUSH_NOTICES_TEXT_H
#define PROXY_PUSH_NOTICES_TEXT_H

#include "proxy/push/text_put.h"

/* What is said of all notices of an event. */
struct notices_head {
	const char *issuer;
	int64_t seen_at; /* seconds */
	enum change_source source;
	const char *incident; /* "" with CHANGE_ARI */
	const char *url;      /* "": none */
	int64_t deadline;     /* 0: none */
};
struct notices_head notices_head_of(const struct change_batch *b); /* borrows from b */

/* Each writes at p and returns what follows.  Up to the bracket of the array. */
char *put_notices_begin(char *p, const struct notices_head *h);
/* One notice up to where names and labels go; and what comes behind them, with the brace.
 * w: NULL, or both 0: nothing was said. */
char *put_notice_begin(char *p, const struct crl_entry *e);
char *put_notice_end(char *p, const struct change_window *w, bool withdrawn);
/* All of [from, to) of b, with neither names nor labels. */
char *put_notices(char *p, const struct change_batch *b, uint32_t from, uint32_t to);

char *put_alarms(char *p, const struct change_batch *b, uint32_t from, uint32_t to);

#endif
