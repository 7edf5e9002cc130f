/* watch_reply.h - how an ask is answered, once, by whichever module has the answer.
 *
 * The inventory thread; the ask is its asker's from then on.
 */
#ifndef PROXY_WATCH_WATCH_REPLY_H
#define PROXY_WATCH_WATCH_REPLY_H

#include "proxy/base/json_line.h"
#include "proxy/watch/watch_ask.h"

/* 200 with this text, which is taken over; or 500 where it failed. */
void watch_reply(struct watch_ask *a, struct json_line *body);
void watch_reply_empty(struct watch_ask *a); /* 204 */
void watch_reply_refuse(struct watch_ask *a, const struct refusal *r);
/* context may be NULL with ERR_NOMEM. */
void watch_reply_fail(
    struct watch_ask *a, const struct watch_context *context, enum err e);

#endif
