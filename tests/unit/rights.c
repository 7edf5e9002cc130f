/* Which right a call needs (rights.h): every call that the router knows has one. */
#include "proxy/api/rights.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "proxy/api/api_request.h"
#include "proxy/api/hook_request.h"
#include "proxy/api/watch_request.h"
#include "proxy/push/hook_body.h"

static const struct http1_limits limits = {8192, 4096};

/* DESIGN's table: what is asked, and which right it needs ("" none).  One row at least
 * for each thing that the router can make of a request: the_table_is_whole. */
static const struct row {
	const char *line, *type, *body;
	enum right right;
} rows[] = {
    {"GET /v1/issuers", NULL, "", RIGHT_READ},
    {"GET /v1/status/a/1", NULL, "", RIGHT_READ},
    {"GET /v1/explain/a/1", NULL, "", RIGHT_OPERATE},
    {"POST /v1/refresh", "application/json", "{\"issuer\":\"a\"}", RIGHT_OPERATE},
    {"POST /v1/purge", "application/json", "{\"issuer\":\"a\"}", RIGHT_OPERATE},
    {"GET /v1/latches", NULL, "", RIGHT_READ},
    {"DELETE /v1/latches/a/1", NULL, "", RIGHT_OPERATE},
    {"GET /metrics", NULL, "", RIGHT_READ},
    {"GET /readyz", NULL, "", 0},
    {"GET /v1/watchlists", NULL, "", RIGHT_READ},
    {"GET /v1/watchlists/w", NULL, "", RIGHT_READ},
    {"DELETE /v1/watchlists/w", NULL, "", RIGHT_MANAGE},
    {"DELETE /v1/watchlists/w/a/1", NULL, "", RIGHT_MANAGE},
    {"GET /v1/certificates", NULL, "", RIGHT_READ},
    {"GET /v1/summary", NULL, "", RIGHT_READ},
    {"PUT /v1/watchlists/w", "text/csv", "", RIGHT_MANAGE},
    {"POST /v1/watchlists/w", "text/csv", "", RIGHT_MANAGE},
    {"POST /v1/status", "application/x-ndjson", "", RIGHT_READ},
    {"GET /v1/incidents", NULL, "", RIGHT_READ},
    {"GET /v1/incidents/i", NULL, "", RIGHT_READ},
    {"PUT /v1/incidents/i", "text/plain", "", RIGHT_MANAGE},
    {"DELETE /v1/incidents/i", NULL, "", RIGHT_MANAGE},
    {"GET /v1/webhooks", NULL, "", RIGHT_READ},
    {"GET /v1/webhooks/w", NULL, "", RIGHT_READ},
    {"PUT /v1/webhooks/w", "application/json", "{\"url\":\"https://x/\"}", RIGHT_MANAGE},
    {"DELETE /v1/webhooks/w", NULL, "", RIGHT_MANAGE},
    {"POST /v1/webhooks/w/test", NULL, "", RIGHT_MANAGE},
    {"POST /v1/webhooks/w/replay?since=6b02c04d-000000000001-00001", NULL, "",
	RIGHT_MANAGE},
};

struct met {
	bool call[CALL_STOP], ask[WATCH_INCIDENT_DROP + 1], upload[UPLOAD_INCIDENT + 1];
	bool hook[HOOK_REPLAY + 1];
};

static void expect_hook(
    const struct row *row, const struct http1_request *r, struct met *met)
{
	struct hook_ask *ask = calloc(1, sizeof *ask);
	struct api_error e;

	assert_true(
	    hook_request_read(r, bytes_of(row->body, strlen(row->body)), ask, &e));
	met->hook[ask->what] = true;
	assert_int_equal(right_of_hook(ask->what), row->right);
	hook_ask_free(ask);
}

static void expect_call(
    const struct row *row, const struct http1_request *r, struct met *met)
{
	struct bytes body = bytes_of(row->body, strlen(row->body));
	struct watch_ask *ask = calloc(1, sizeof *ask);
	struct api_error e = {0};
	struct upload u;
	struct call c = {0};

	if (api_upload_read(r, false, &u, &e) == UPLOAD_READ) {
		met->upload[u.call] = true;
		assert_int_equal(right_of_upload(u.call), row->right);
	} else if (watch_request_is(r)) {
		assert_true(watch_request_read(r, ask, &e));
		met->ask[ask->what] = true;
		assert_int_equal(right_of_ask(ask->what), row->right);
	} else if (hook_request_is(r)) {
		expect_hook(row, r, met);
	} else {
		assert_int_equal(api_request_read(r, body, false, &c, &e), API_CALL);
		met->call[c.what] = true;
		assert_int_equal(right_of_call(c.what), row->right);
	}
	free(ask);
}

/* T21: whoever adds a call adds its right, or nobody has it, and a row here. */
static void the_table_is_whole(void **state)
{
	struct met met = {0};

	(void)state;
	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
		char head[512];
		struct http1_request r;

		snprintf(head, sizeof head,
		    "%s HTTP/1.1\r\nHost: localhost\r\n%s%s%sContent-Length: 0\r\n\r\n",
		    rows[i].line, rows[i].type != NULL ? "Content-Type: " : "",
		    rows[i].type != NULL ? rows[i].type : "",
		    rows[i].type != NULL ? "\r\n" : "");
		assert_int_equal(http1_parse(&r, head, strlen(head), &limits), 0);
		expect_call(&rows[i], &r, &met);
	}
	for (size_t i = 0; i < sizeof met.call; i++)
		assert_true(met.call[i]);
	for (size_t i = 0; i < sizeof met.ask; i++)
		assert_true(met.ask[i]);
	for (size_t i = 0; i < sizeof met.upload; i++)
		assert_true(met.upload[i]);
	for (size_t i = 0; i < sizeof met.hook; i++)
		assert_true(met.hook[i]);
}

static void what_has_no_row_is_nobodys(void **state)
{
	const struct access all = {
	    .rights = RIGHT_READ | RIGHT_SUBSCRIBE | RIGHT_MANAGE | RIGHT_OPERATE};
	struct call c = {.what = CALL_STOP};
	struct api_error e = {0};

	(void)state;
	assert_int_equal(right_of_call(CALL_STOP), 0);
	assert_false(access_may(&all, 0));
	assert_false(rights_call(&all, NULL, &c, &e));
	assert_int_equal(e.status, 403);
	/* where nobody is asked */
	assert_true(rights_call(NULL, NULL, &c, &e));
}

static void no_right_contains_another(void **state)
{
	static const enum right each[] = {
	    RIGHT_READ, RIGHT_SUBSCRIBE, RIGHT_MANAGE, RIGHT_OPERATE};

	(void)state;
	for (size_t i = 0; i < 4; i++)
		for (size_t k = 0; k < 4; k++) {
			const struct access a = {.rights = each[i]};

			assert_int_equal(access_may(&a, each[k]), i == k);
		}
}

/* T21: a webhook tells no more than the token that made it sees. */
static void a_webhook_is_narrowed_to_its_token(void **state)
{
	char one[] = "one", two[] = "two";
	char *issuers[] = {one, two}, *lists[] = {one, two};
	struct access a = {.rights = RIGHT_MANAGE, .issuers = issuers, .lists = lists};
	struct hook_body body = {.issuer = ""};
	struct hook_ask ask = {.what = HOOK_PUT, .body = &body};
	struct api_error e = {0};

	(void)state;
	assert_true(rights_hook(&a, &ask, &e)); /* it reaches all */
	assert_string_equal(body.issuer, "");
	a.issuers_n = 2;
	assert_true(rights_hook(&a, &ask, &e)); /* hook_made() binds it to both */
	a.issuers_n = a.lists_n = 1;
	assert_true(rights_hook(&a, &ask, &e));
	assert_string_equal(body.issuer, "one");
	assert_string_equal(body.watchlist, "one");
	strcpy(body.issuer, "two");
	assert_false(rights_hook(&a, &ask, &e));
	assert_int_equal(e.status, 404);
	strcpy(body.issuer, "one");
	strcpy(body.watchlist, "two");
	assert_false(rights_hook(&a, &ask, &e));
	a.lists_n = 2;
	body.watchlist[0] = '\0';
	assert_false(rights_hook(&a, &ask, &e));
	assert_int_equal(e.status, 403);
	ask.what = HOOK_LIST;
	assert_false(rights_hook(&a, &ask, &e)); /* manage does not read */
}

static void a_call_is_narrowed_to_the_only_one(void **state)
{
	char one[] = "one", two[] = "two";
	char *issuers[] = {one, two}, *lists[] = {one};
	struct access a = {.rights = RIGHT_READ | RIGHT_SUBSCRIBE,
	    .issuers = issuers,
	    .issuers_n = 1,
	    .lists = lists};
	struct events_query q = {.issuer = ""};
	struct call c = {.what = CALL_LATCHES};
	struct api_error e = {0};

	(void)state;
	assert_true(rights_events(&a, &q, &e));
	assert_string_equal(q.issuer, "one");
	assert_string_equal(q.watchlist, "");
	assert_true(rights_call(&a, NULL, &c, &e));
	assert_string_equal(c.issuer, "one");
	/* of two there is not the only one: what goes for all of them is not narrowed */
	a.issuers_n = 2;
	q.issuer[0] = c.issuer[0] = '\0';
	assert_true(rights_events(&a, &q, &e));
	assert_string_equal(q.issuer, "");
	assert_false(rights_call(&a, NULL, &c, &e));
	assert_int_equal(e.status, 403);
	assert_non_null(strstr(e.message, "issuer="));
	a.lists_n = 1;
	assert_true(rights_events(&a, &q, &e));
	assert_string_equal(q.watchlist, "one");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(the_table_is_whole),
	    cmocka_unit_test(what_has_no_row_is_nobodys),
	    cmocka_unit_test(no_right_contains_another),
	    cmocka_unit_test(a_webhook_is_narrowed_to_its_token),
	    cmocka_unit_test(a_call_is_narrowed_to_the_only_one),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
