/* hooks.h - the thread "hooks": webhooks, each delivered in order, one message at a time.
 *
 * It has a loop, a libcurl and an executor of its own, below the others' priority: what
 * receivers do (they are a thousand, and half of them hang) costs those who serve
 * nothing. What there is to be told is read from the log (hook_pages.h), cut into
 * messages (hook_next.h), written as the receiver wants it (hook_format.h), signed
 * (hook_sign.h) and sent (hook_send.c).  What is to become of a webhook after that is
 * hook_turn.h's to say, and is saved before the next message is sent: a kill at any
 * moment sends the same message again, under the same id, and none is lost.
 *
 * A webhook is delivered by the node that has its lease (hook_store.h).  The calls of the
 * API are answered here, too (hook_desk.h).
 *
 * Stopping, in this order: hooks_drain() with the front; hooks_cancel() before the API is
 * stopped, which gets back what it asked; hooks_stop() when nobody asks any more and the
 * keeper still runs.
 */
#ifndef PROXY_PUSH_HOOKS_H
#define PROXY_PUSH_HOOKS_H

#include "proxy/base/shared.h"

struct hooks;

/* Opens the store; sets shared->hook_desk.  NULL with a line in why. */
struct hooks *hooks_new(struct shared *shared, char *why, size_t why_n);
struct inbox *hooks_inbox(struct hooks *h); /* one of shared->readers */
void hooks_listen(struct hooks *h);         /* after keeper_new(), before threads start */
int hooks_start(struct hooks *h);           /* 0 or errno */

/* Any thread. */
void hooks_reload(struct hooks *h);        /* conf in force has changed */
void hooks_drain(struct hooks *h);         /* nothing new is sent */
bool hooks_is_idle(const struct hooks *h); /* nothing is on its way that is not slow */
/* What is on its way is given up; it is sent again by who comes next. */
void hooks_cancel(struct hooks *h);
void hooks_stop(struct hooks *h);
void hooks_join(struct hooks *h);
void hooks_free(struct hooks *h); /* NULL is allowed */

/* Any thread. */
struct metrics_text;
void hooks_gauges(const struct hooks *h, struct metrics_text *t);

#endif
