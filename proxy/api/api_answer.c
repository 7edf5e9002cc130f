/* api_answer.c - from an outcome to a reply. */
#include "proxy/api/api_answer.h"

#include <stdio.h>
#include <stdlib.h>

#include "proxy/http/api_reply.h"

static const char type_metrics[] = "text/plain; version=0.0.4; charset=utf-8";
static const char type_openmetrics[] =
    "application/openmetrics-text; version=1.0.0; charset=utf-8";

/* Answer with a JSON value (borrowed) and a line end. */
static void json_out(struct conn *c, int status, const char *more, const json_t *body)
{
	char *text = body != NULL ? json_dumps(body, JSON_COMPACT) : NULL;
	size_t n = text != NULL ? strlen(text) : 0;

	if (text == NULL) {
		api_reply_no_memory(c);
		return;
	}
	text[n] = '\n'; /* in the place of the NUL */
	api_reply(c, status, API_JSON, more, bytes_of(text, n + 1));
	free(text);
}

void answer_error(
    struct conn *c, int status, const char *code, const char *more, const char *message)
{
	json_t *body = api_error_json(code, message);

	json_out(c, status, more, body);
	json_decref(body);
}

void answer_refused(struct conn *c, const struct api_error *e, const char *more)
{
	char allow[64] = "";

	if (e->allow != NULL)
		snprintf(allow, sizeof allow, "Allow: %s\r\n", e->allow);
	answer_error(c, e->status, e->code, more != NULL ? more : allow, e->message);
}

void answer_call(struct conn *c, const struct call *call)
{
	if (call->http_status == 202 || call->http_status == 204)
		api_reply(c, call->http_status, NULL, NULL, bytes_of(NULL, 0));
	else if (call->file != NULL)
		api_reply_file(c, API_JSON, call->file);
	else if (call->what == CALL_METRICS && json_is_string(call->body))
		api_reply(c, call->http_status,
		    call->openmetrics ? type_openmetrics : type_metrics, NULL,
		    bytes_of(
			json_string_value(call->body), json_string_length(call->body)));
	else
		json_out(c, call->http_status, NULL, call->body);
}

void answer_ask(struct conn *c, const struct watch_ask *ask)
{
	const struct refusal *r = &ask->refusal;

	if (r->status != 0)
		answer_error(c, r->status, r->code,
		    r->status == 503 ? "Retry-After: 5\r\n" : NULL, r->message);
	else if (ask->body == NULL)
		api_reply(c, ask->status, NULL, NULL, bytes_of(NULL, 0));
	else
		api_reply(
		    c, ask->status, API_JSON, NULL, bytes_of(ask->body, ask->body_n));
}

void answer_hook(struct conn *c, const struct hook_ask *ask)
{
	if (ask->status >= 400)
		answer_error(c, ask->status, ask->code,
		    ask->status == 503 ? "Retry-After: 5\r\n" : NULL, ask->message);
	else if (ask->text == NULL)
		api_reply(c, ask->status, NULL, NULL, bytes_of(NULL, 0));
	else
		api_reply(
		    c, ask->status, API_JSON, NULL, bytes_of(ask->text, ask->text_n));
}
