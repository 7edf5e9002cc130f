/* watch_reply.c - a status, a text, and back. */
#include "proxy/watch/watch_reply.h"

void watch_reply(struct watch_ask *a, struct json_line *body)
{
	if (body->failed) {
		watch_reply_fail(a, NULL, ERR_NOMEM);
		return;
	}
	a->status = 200;
	a->body = body->p;
	a->body_n = body->n;
	*body = (struct json_line){0};
	question_answer(&a->question);
}

void watch_reply_empty(struct watch_ask *a)
{
	a->status = 204;
	question_answer(&a->question);
}

void watch_reply_refuse(struct watch_ask *a, const struct refusal *r)
{
	a->status = r->status;
	a->refusal = *r;
	question_answer(&a->question);
}

void watch_reply_fail(
    struct watch_ask *a, const struct watch_context *context, enum err e)
{
	struct refusal r;

	refusal_of_err(&r, context, e);
	watch_reply_refuse(a, &r);
}
