/* How the log is cut into messages (T22, T23): a made-up log stands in for telling. */
#include "proxy/push/hook_next.h"

#include <event2/event.h>
#include <jansson.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "proxy/base/clock.h"
#include "proxy/tell/teller.h"
#include "proxy/watch/ledger.h"
#include "proxy/watch/watcher.h"

#define LOG_MAX 64
#define EPOCH   7

struct world {
	struct event_base *base;
	struct inbox *keeper, *own;
	struct shared shared;
	struct hook_maker maker;
	struct change_batch *log[LOG_MAX];
	size_t log_n;
	struct change_pos oldest;
	enum err error;
	unsigned reads;
	/* the webhook: */
	struct webhook *w;
	struct change_pos pos, upto;
	uint32_t many;
	struct hook_scan scan;
	struct hook_cut cut;
	int64_t now_ms;
};
static struct world *the; /* for the functions that replace others */

static struct change_pos end_of(const struct change_batch *b)
{
	return (struct change_pos){b->epoch, b->seq, b->n};
}

static struct change_pos newest(void)
{
	return the->log_n > 0 ? end_of(the->log[the->log_n - 1])
			      : (struct change_pos){EPOCH, 0, 0};
}

/* At most two batches a page, so that what is longer takes several. */
void teller_read(void *inbox_arg, struct msg *m)
{
	struct teller_ask *a = (struct teller_ask *)m;

	(void)inbox_arg;
	the->reads++;
	a->newest = newest();
	a->oldest = the->oldest;
	a->error = the->error;
	a->gap = a->error == ERR_OK && change_pos_cmp(&a->from, &the->oldest) < 0;
	a->batches = calloc(2, sizeof(struct change_batch *));
	a->n = 0;
	for (size_t i = 0; i < the->log_n && a->n < 2; i++) {
		const struct change_pos end = end_of(the->log[i]);

		if (a->error == ERR_OK && !a->gap && change_pos_cmp(&end, &a->from) > 0)
			a->batches[a->n++] = change_batch_ref(the->log[i]);
	}
	question_answer(&a->question);
}

struct watch_db *watcher_db(struct watcher *w)
{
	(void)w;
	return NULL;
}

const struct inventory *ledger_inventory(const struct shared *s)
{
	(void)s;
	return &inventory_none;
}

static void on_answer(void *arg)
{
	(void)arg;
}

static int set_up(void **state)
{
	struct world *w = calloc(1, sizeof *w);

	the = *state = w;
	w->base = event_base_new();
	w->keeper = inbox_new(w->base, w);
	w->own = inbox_new(w->base, w);
	w->shared.keeper = w->keeper;
	w->maker.shared = &w->shared;
	w->maker.api_url = "https://api.example";
	w->maker.pages = hook_pages_new(&w->shared, w->own, on_answer, w);
	w->oldest = w->pos = (struct change_pos){EPOCH, 0, 0};
	w->now_ms = 1000000;
	w->w = webhook_new(0);
	strcpy(w->w->name, "chat");
	w->w->types = WEBHOOK_CHANGES;
	return 0;
}

static void turn(struct world *w)
{
	do
		event_base_loop(w->base, EVLOOP_NONBLOCK);
	while (hook_pages_asking(w->maker.pages) > 0);
}

static int tear_down(void **state)
{
	struct world *w = *state;

	turn(w);
	hook_pages_free(w->maker.pages);
	inbox_free(w->own);
	inbox_free(w->keeper);
	event_base_free(w->base);
	for (size_t i = 0; i < w->log_n; i++)
		change_batch_unref(w->log[i]);
	webhook_unref(w->w);
	free(w->cut.body.p);
	free(w);
	return 0;
}

/* n changes of a list with this number, from this serial on. */
static void append(const char *issuer, uint32_t n, uint32_t first, int number)
{
	struct change_batch *b = change_batch_new(n);

	strcpy(b->issuer, issuer);
	b->evidence = CHANGE_CRL;
	b->has_number = true;
	b->number[CRL_NUMBER_MAX - 1] = (uint8_t)number;
	b->seen_at_ms = INT64_C(1700000123456);
	b->published_at = 1700000000 + number;
	b->n = n;
	b->epoch = EPOCH;
	b->seq = the->log_n + 1;
	for (uint32_t i = 0; i < n; i++) {
		struct serial s = {.n = 4};
		struct change *c = &b->change[i];

		put_be(s.octets, 0x10000000 + first + i, 4);
		crl_entry_set_serial(&c->entry, &s);
		crl_entry_set_at(&c->entry, 1700000000);
		c->entry.reason = 1;
		c->entry.spare[0] = CHANGE_REVOKED;
		c->entry.spare[1] = CHANGE_GOOD;
	}
	assert_true(the->log_n < LOG_MAX);
	the->log[the->log_n++] = b;
	hook_pages_grown(the->maker.pages);
}

static enum hook_next next_once(struct world *w)
{
	const struct hook_wish wish = {.w = w->w,
	    .pos = &w->pos,
	    .upto = w->upto,
	    .many = w->many,
	    .scan = &w->scan,
	    .now = 1700000200,
	    .now_ms = w->now_ms};

	return hook_next(&w->maker, &wish, &w->cut);
}

static enum hook_next next(struct world *w)
{
	enum hook_next n;

	while ((n = next_once(w)) == NEXT_WAITS || n == NEXT_MORE)
		turn(w);
	return n;
}

/* It was delivered. */
static void take(struct world *w)
{
	w->pos = w->cut.upto;
	w->upto = (struct change_pos){0};
	w->many = 0;
	w->scan = (struct hook_scan){0};
}

static json_t *body(struct world *w)
{
	json_t *j = json_loadb(w->cut.body.p, w->cut.body.n, 0, NULL);

	assert_non_null(j);
	return j;
}

static size_t changes_in(struct world *w)
{
	json_t *j = body(w);
	size_t n =
	    json_array_size(json_object_get(json_object_get(j, "data"), "changes"));

	json_decref(j);
	return n;
}

static void one_change_is_one_message(void **state)
{
	static const char expected[] =
	    "{\"type\":\"changes\",\"timestamp\":\"2023-11-14T22:15:23Z\",\"data\":{"
	    "\"issuer\":\"demo\",\"seen_at\":\"2023-11-14T22:15:23Z\",\"evidence\":"
	    "\"crl\",\"crl_number\":\"5\",\"changes\":[{\"serial\":\"10000001\","
	    "\"status\":"
	    "\"revoked\",\"previous\":\"good\",\"revoked_at\":\"2023-11-14T22:13:20Z\","
	    "\"reason\":\"keyCompromise\"}]}}";
	struct world *w = *state;

	assert_int_equal(next(w), NEXT_END);
	append("demo", 1, 1, 5);
	assert_int_equal(next(w), NEXT_MESSAGE);
	assert_string_equal(w->cut.type, "changes");
	assert_string_equal(w->cut.id, "00000007-000000000001-00001");
	assert_int_equal(w->cut.body.n, strlen(expected));
	assert_memory_equal(w->cut.body.p, expected, strlen(expected));
	assert_true(w->cut.open); /* the list may have more */
	take(w);
	assert_int_equal(next(w), NEXT_END);
}

/* T22 */
static void bodies_are_bounded_and_leave_nothing_out(void **state)
{
	struct world *w = *state;
	size_t sum = 0, messages = 0;
	char last[HOOK_ID_MAX] = "";

	append("demo", 900, 1, 5);
	while (next(w) == NEXT_MESSAGE) {
		assert_true(w->cut.body.n <= HOOK_BODY_MAX);
		assert_true(strcmp(last, w->cut.id) < 0);
		strcpy(last, w->cut.id);
		sum += changes_in(w);
		messages++;
		take(w);
	}
	assert_int_equal(sum, 900);
	assert_in_range(messages, 6, 9);
	assert_string_equal(last, "00000007-000000000001-00384");
}

static void more_than_a_thousand_of_a_list_are_a_thin_body(void **state)
{
	struct world *w = *state;
	json_t *j, *data;

	append("demo", 900, 1, 5);
	append("demo", 900, 1001, 5);
	append("demo", 900, 2001, 5);
	/* there may be more of it */
	assert_int_equal(next(w), NEXT_LATER);
	append("demo", 10, 3001, 5);
	assert_int_equal(next(w), NEXT_LATER);
	w->now_ms += HOOK_SETTLE_MS;
	assert_int_equal(next(w), NEXT_MESSAGE);
	assert_string_equal(w->cut.type, "changes.many");
	assert_string_equal(w->cut.id, "00000007-000000000004-0000a");
	j = body(w);
	data = json_object_get(j, "data");
	assert_int_equal(json_integer_value(json_object_get(data, "count")), 2710);
	assert_string_equal(json_string_value(json_object_get(data, "first")),
	    "00000007-000000000000-00000");
	assert_string_equal(json_string_value(json_object_get(data, "last")), w->cut.id);
	assert_string_equal(json_string_value(json_object_get(data, "url")),
	    "https://api.example/v1/"
	    "events?since=00000007-000000000000-00000&issuer=demo");
	json_decref(j);
	take(w);
	assert_int_equal(next(w), NEXT_END);
}

/* A later list, or another thing of the same issuer, is the end of a run: nothing has to
 * be waited for. */
static void a_run_ends_where_another_begins(void **state)
{
	struct world *w = *state;

	append("demo", 1001, 1, 5);
	append("demo", 1, 1, 6);
	assert_int_equal(next(w), NEXT_MESSAGE);
	assert_string_equal(w->cut.type, "changes.many");
	assert_int_equal(w->cut.many, 1001);
	assert_false(w->cut.open);
	take(w);
	assert_int_equal(next(w), NEXT_MESSAGE);
	assert_string_equal(w->cut.type, "changes");
}

/* T23 */
static void what_was_decided_is_made_again(void **state)
{
	struct world *w = *state;
	char id[HOOK_ID_MAX], *text;

	append("demo", 10, 1, 5);
	assert_int_equal(next(w), NEXT_MESSAGE);
	strcpy(id, w->cut.id);
	text = strndup(w->cut.body.p, w->cut.body.n);
	/* a restart, by which time the list has come whole */
	w->upto = w->cut.upto;
	w->scan = (struct hook_scan){0};
	append("demo", 5000, 11, 5);
	append("demo", 1, 1, 6);
	assert_int_equal(next(w), NEXT_MESSAGE);
	assert_string_equal(w->cut.id, id);
	assert_int_equal(w->cut.body.n, strlen(text));
	assert_memory_equal(w->cut.body.p, text, strlen(text));
	free(text);
	take(w);
	assert_int_equal(next(w), NEXT_MESSAGE);
	assert_int_equal(w->cut.many, 5000);
	w->upto = w->cut.upto;
	w->many = w->cut.many;
	strcpy(id, w->cut.id);
	assert_int_equal(next(w), NEXT_MESSAGE);
	assert_string_equal(w->cut.id, id);
	assert_int_equal(w->cut.many, 5000);
}

static void only_what_is_wanted_is_told(void **state)
{
	struct world *w = *state;

	strcpy(w->w->issuer, "demo");
	append("other", 3, 1, 5);
	append("demo", 2, 1, 5);
	append("other", 3, 4, 5);
	append("demo", 2, 3, 5); /* of the same list */
	append("other", 1, 1, 6);
	assert_int_equal(next(w), NEXT_MESSAGE);
	assert_string_equal(w->cut.id, "00000007-000000000002-00002");
	take(w);
	assert_int_equal(next(w), NEXT_MESSAGE);
	assert_string_equal(w->cut.id, "00000007-000000000004-00002");
	take(w);
	assert_int_equal(next(w), NEXT_END);
	/* the place has moved over what concerns others */
	assert_int_equal(w->pos.seq, 5);
	w->w->types = WEBHOOK_ALARMS;
	append("demo", 1, 1, 7);
	assert_int_equal(next(w), NEXT_END);
	assert_int_equal(w->pos.seq, 6);
}

static void what_is_no_longer_kept_is_a_gap(void **state)
{
	static const char expected[] = "{\"type\":\"gap\",\"timestamp\":\"2023-11-14T22:"
				       "16:40Z\",\"data\":{\"since\":"
				       "\"00000007-000000000000-00000\",\"oldest\":"
				       "\"00000007-000000000001-00002\"}}";
	struct world *w = *state;

	append("demo", 2, 1, 5);
	append("demo", 3, 1, 6);
	w->oldest = end_of(w->log[0]);
	assert_int_equal(next(w), NEXT_MESSAGE);
	assert_string_equal(w->cut.type, "gap");
	assert_string_equal(w->cut.id, "gap-00000007-000000000000-00000");
	assert_int_equal(w->cut.body.n, strlen(expected));
	assert_memory_equal(w->cut.body.p, expected, strlen(expected));
	take(w);
	assert_int_equal(next(w), NEXT_MESSAGE);
	assert_string_equal(w->cut.id, "00000007-000000000002-00003");
}

static void a_log_that_cannot_be_read_is_waited_for(void **state)
{
	struct world *w = *state;

	append("demo", 2, 1, 5);
	w->error = ERR_STORE;
	assert_int_equal(next(w), NEXT_LATER);
	w->error = ERR_OK;
	assert_int_equal(next(w), NEXT_LATER); /* known until somebody says otherwise */
	hook_pages_grown(w->maker.pages);
	assert_int_equal(next(w), NEXT_MESSAGE);
}

/* A thousand at one place are one question. */
static void pages_are_shared(void **state)
{
	struct world *w = *state;

	append("demo", 2, 1, 5);
	for (int i = 0; i < 1000; i++)
		assert_int_equal(next_once(w), NEXT_WAITS);
	turn(w);
	assert_int_equal(w->reads, 1);
	for (int i = 0; i < 1000; i++) {
		assert_int_equal(next(w), NEXT_MESSAGE);
		w->scan = (struct hook_scan){0};
	}
	assert_int_equal(w->reads, 2); /* and what follows it */
}

static void put_in_log(struct change_batch *b)
{
	b->seen_at_ms = INT64_C(1700000123456);
	b->epoch = EPOCH;
	b->seq = the->log_n + 1;
	the->log[the->log_n++] = b;
	hook_pages_grown(the->maker.pages);
}

static void append_alarms(const char *issuer)
{
	const struct change_alarm of[] = {
	    {.alarm = "crl_overdue", .subject = "http://a/", .detail = "", .since = 1},
	    {.alarm = "crl_late", .subject = "http://b/", .detail = "", .cleared = true}};
	struct change_batch *b = change_alarms_new("node-a", of, 2);

	strcpy(b->issuer, issuer);
	put_in_log(b);
}

static void alarms_are_told_to_who_wants_them(void **state)
{
	struct world *w = *state;
	json_t *j, *data;

	w->w->types = WEBHOOK_ALARMS;
	append("demo", 1, 1, 5);
	append_alarms("demo");
	append_alarms("");
	assert_int_equal(next(w), NEXT_MESSAGE);
	assert_string_equal(w->cut.type, "alarms");
	assert_false(w->cut.open);
	j = body(w);
	data = json_object_get(j, "data");
	assert_int_equal(json_array_size(json_object_get(data, "raised")), 1);
	assert_int_equal(json_array_size(json_object_get(data, "cleared")), 1);
	json_decref(j);
	take(w);
	strcpy(w->w->issuer, "demo"); /* those of none are not for it */
	assert_int_equal(next(w), NEXT_END);
}

/* PagerDuty takes one event a body. */
static void a_form_of_one_alarm_has_one_in_each(void **state)
{
	struct world *w = *state;

	w->w->types = WEBHOOK_ALARMS;
	w->w->format = WEBHOOK_PAGERDUTY;
	append_alarms("demo");
	assert_int_equal(next(w), NEXT_MESSAGE);
	assert_string_equal(w->cut.id, "00000007-000000000001-00001");
	take(w);
	assert_int_equal(next(w), NEXT_MESSAGE);
	assert_string_equal(w->cut.id, "00000007-000000000001-00002");
	take(w);
	assert_int_equal(next(w), NEXT_END);
}

static void append_notices(const char *incident, uint32_t n)
{
	struct change_batch *b = change_notices_new(n, "https://ca.example/", false);

	strcpy(b->issuer, "demo");
	strcpy(b->incident, incident);
	b->source = CHANGE_INCIDENT;
	b->n = n;
	for (uint32_t i = 0; i < n; i++) {
		struct serial s = {.n = 4};

		put_be(s.octets, 0x10000000 + i, 4);
		crl_entry_set_serial(&b->change[i].entry, &s);
	}
	put_in_log(b);
}

static void notices_of_an_incident_are_a_run(void **state)
{
	struct world *w = *state;

	w->w->types = WEBHOOK_NOTICES;
	append_notices("first", 3);
	append_notices("second", 800);
	append_notices("second", 800);
	append_notices("third", 1);
	assert_int_equal(next(w), NEXT_MESSAGE);
	assert_string_equal(w->cut.type, "notices");
	take(w);
	assert_int_equal(next(w), NEXT_MESSAGE);
	assert_string_equal(w->cut.type, "notices.many");
	assert_int_equal(w->cut.many, 1600);
	take(w);
	assert_int_equal(next(w), NEXT_MESSAGE);
	assert_string_equal(w->cut.type, "notices");
}

static void a_test_is_a_message(void **state)
{
	static const char expected[] =
	    "{\"type\":\"test\",\"timestamp\":\"2023-11-14T22:16:40Z\",\"data\":{"
	    "\"webhook\":\"chat\"}}";
	struct world *w = *state;

	assert_true(hook_test_body(&w->maker, w->w, "test-1", 1700000200, &w->cut.body));
	assert_int_equal(w->cut.body.n, strlen(expected));
	assert_memory_equal(w->cut.body.p, expected, strlen(expected));
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
	    TEST(one_change_is_one_message),
	    TEST(bodies_are_bounded_and_leave_nothing_out),
	    TEST(more_than_a_thousand_of_a_list_are_a_thin_body),
	    TEST(a_run_ends_where_another_begins),
	    TEST(what_was_decided_is_made_again),
	    TEST(only_what_is_wanted_is_told),
	    TEST(what_is_no_longer_kept_is_a_gap),
	    TEST(a_log_that_cannot_be_read_is_waited_for),
	    TEST(pages_are_shared),
	    TEST(alarms_are_told_to_who_wants_them),
	    TEST(a_form_of_one_alarm_has_one_in_each),
	    TEST(notices_of_an_incident_are_a_run),
	    TEST(a_test_is_a_message),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
