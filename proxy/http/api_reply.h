/* api_reply.h - an answer of the API: every one but an event stream.
 *
 * Its head says that nothing of it may be kept, nor taken for another type than it names.
 * On the thread of the connection; what has no connection on any.
 */
#ifndef PROXY_HTTP_API_REPLY_H
#define PROXY_HTTP_API_REPLY_H

#include <jansson.h>

#include "proxy/http/conn.h"

#define API_JSON "application/json"

#define API_HEAD_MAX 512
/* The head of an answer, for who has no connection to reply on.  type and more: as in
 * api_reply(); framing and connection: lines with their end, or "". */
struct bytes api_reply_head(char head[API_HEAD_MAX], int status, const char *type,
    const char *more, const char *framing, const char *connection);

/* A JSON string of text for people; bytes that are not UTF-8 become '?'. */
json_t *json_text(const char *s);
/* {"error":{"code","message"}}; NULL when out of memory. */
json_t *api_error_json(const char *code, const char *message);

/* Answer the current request, or a parked one.  type: its Content-Type; NULL where there
 * is no body.  more: further header lines, each with its end, or NULL.  body is borrowed
 * for the call, and left out of the answer to a HEAD.  Who is to come back later (503,
 * 429), or with a token (401), does not keep its place meanwhile: the connection ends. */
void api_reply(
    struct conn *c, int status, const char *type, const char *more, struct bytes body);
/* 200, with as much of f as its client takes, when it takes it. */
void api_reply_file(struct conn *c, const char *type, struct shared_file *f);
/* 500: there is no memory for what was to be said. */
void api_reply_no_memory(struct conn *c);

#endif
