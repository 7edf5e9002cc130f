/* api_answer.h - the answers of the API's calls: what came back of them as a reply.
 *
 * The API's thread; everything is borrowed for the call.
 */
#ifndef PROXY_API_API_ANSWER_H
#define PROXY_API_API_ANSWER_H

#include "proxy/api/api_query.h"
#include "proxy/api/calls.h"
#include "proxy/http/conn.h"
#include "proxy/push/hook_desk.h"
#include "proxy/watch/watch_ask.h"

/* more: further lines of the head, each with its end, or NULL. */
void answer_error(
    struct conn *c, int status, const char *code, const char *more, const char *message);
/* What a request was refused with; more: NULL, or in the place of Allow. */
void answer_refused(struct conn *c, const struct api_error *e, const char *more);
void answer_call(struct conn *c, const struct call *call);
void answer_ask(struct conn *c, const struct watch_ask *ask);
void answer_hook(struct conn *c, const struct hook_ask *ask);

#endif
