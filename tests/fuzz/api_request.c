/* Any request to the API is a call with sound arguments, or an error that can be said. */
#include "proxy/api/api_request.h"

#include <stdlib.h>

#include "proxy/api/hook_request.h"
#include "proxy/http/api_reply.h"

#define MUST(x)                                                                          \
	do {                                                                             \
		if (!(x))                                                                \
			abort();                                                         \
	} while (0)

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

static void check_call(const struct call *c)
{
	MUST(c->what < CALL_STOP);
	MUST(memchr(c->issuer, '\0', sizeof c->issuer) != NULL);
	MUST(!c->has_serial || (c->serial.n >= 1 && c->serial.n <= SERIAL_MAX));
}

static void check_error(const struct api_error *e)
{
	json_t *body;

	MUST(e->status >= 400 && e->status < 600 && e->code != NULL);
	MUST(memchr(e->message, '\0', sizeof e->message) != NULL);
	MUST((e->allow != NULL) == (e->status == 405));
	body = api_error_json(e->code, e->message);
	MUST(body != NULL); /* the message is UTF-8 whatever was asked */
	json_decref(body);
}

static void check_events(const struct http1_request *r)
{
	struct events_query q;
	struct api_error e;

	if (!api_request_events(r, &q, &e)) {
		check_error(&e);
		return;
	}
	MUST(memchr(q.issuer, '\0', sizeof q.issuer) != NULL);
	MUST(memchr(q.since_text, '\0', sizeof q.since_text) != NULL);
	MUST(!q.has_since || q.bad_since || q.since.epoch != 0);
	MUST(!q.json || !q.snapshot);
}

static void check_hook(const struct http1_request *r, struct bytes body)
{
	struct hook_ask *ask = calloc(1, sizeof *ask);
	struct api_error e;

	MUST(ask != NULL);
	if (!hook_request_read(r, body, ask, &e)) {
		check_error(&e);
	} else {
		MUST((ask->body != NULL) == (ask->what == HOOK_PUT));
		MUST((ask->name[0] != '\0') == (ask->what != HOOK_LIST));
		MUST((ask->since.epoch != 0) == (ask->what == HOOK_REPLAY));
	}
	hook_ask_free(ask);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	const struct http1_limits limits = {8192, 4096};
	struct http1_request r;
	struct api_error e;

	if (http1_parse(&r, (const char *)data, n, &limits) != 0)
		return 0;
	if (hook_request_is(&r))
		check_hook(&r, bytes_of(data + r.head_n, n - r.head_n));
	for (int any_host = 0; any_host < 2; any_host++) {
		struct bytes body = bytes_of(data + r.head_n, n - r.head_n);
		struct call c = {0};

		memset(&e, 0, sizeof e);
		switch (api_request_read(&r, body, any_host, &c, &e)) {
		case API_CALL:
			check_call(&c);
			break;
		case API_ERROR:
			check_error(&e);
			break;
		case API_EVENTS:
			check_events(&r);
			break;
		case API_ALARMS:
		case API_HEALTHZ:
			break;
		}
	}
	return 0;
}
