/* Bodies, as ocspcached(8) shows them: what the manual has is what is sent. */
#include "proxy/push/hook_format.h"

#include <jansson.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#define MANUAL "proxy/ocspcached.8"

/* What the examples are of. */
static const char changes[] =
    "{\"issuer\":\"demo\",\"seen_at\":\"2026-11-30T12:00:01Z\",\"evidence\":\"crl\","
    "\"crl_number\":\"7\",\"changes\":[{\"serial\":\"1004\",\"status\":\"revoked\","
    "\"previous\":\"good\",\"revoked_at\":\"2026-11-30T12:00:00Z\",\"reason\":"
    "\"keyCompromise\",\"names\":[\"pay.shop.example\"],\"labels\":[\"owner=payments\"]}]"
    "}";
static const char alarms[] =
    "{\"seen_at\":\"2026-11-30T12:00:01Z\",\"node\":\"node-a\",\"raised\":[{\"alarm\":"
    "\"crl_overdue\",\"issuer\":\"demo\",\"subject\":\"http://crl.example/demo.crl\","
    "\"since\":\"2026-11-30T12:00:00Z\",\"node\":\"node-a\",\"detail\":\"connect: "
    "refused\"}],"
    "\"cleared\":[]}";
static const char cleared[] =
    "{\"seen_at\":\"2026-11-30T12:00:01Z\",\"node\":\"node-a\",\"raised\":[],\"cleared\":"
    "[{"
    "\"alarm\":\"crl_overdue\",\"issuer\":\"demo\",\"subject\":\"a\",\"since\":"
    "\"2026-11-30T12:00:00Z\",\"node\":\"node-a\",\"detail\":\"\"}]}";

static struct hook_message message_of(const char *type, const char *data)
{
	return (struct hook_message){.type = type,
	    .id = "6b02c04d-000000000001-00001",
	    .at = 1796040001, /* 2026-11-30T12:00:01Z */
	    .data = bytes_of(data, strlen(data)),
	    .routing_key = "R0123456789ABCDEF0123456789ABCDE",
	    .source = "https://ocspcached.example:8081"};
}

static char *body_of(enum webhook_format f, const char *type, const char *data)
{
	const struct hook_message m = message_of(type, data);
	struct json_line out = {0};

	assert_true(hook_format_write(f, &m, &out) && !out.failed);
	json_put_bytes(&out, "", 1);
	return out.p;
}

static json_t *parse(const char *text)
{
	json_t *j = json_loads(text, 0, NULL);

	if (j == NULL)
		fail_msg("no JSON: %s", text);
	return j;
}

/* The lines of the manual behind the comment that names the example, as one. */
static char *example_of(const char *format)
{
	FILE *f = fopen(MANUAL, "r");
	char line[1024], mark[64], *text = calloc(1, 8192);
	bool found = false;

	assert_non_null(f);
	snprintf(mark, sizeof mark, ".\\\" body %s\n", format);
	while (fgets(line, sizeof line, f) != NULL) {
		if (strcmp(line, mark) == 0)
			found = true;
		else if (found && strcmp(line, ".Ed\n") == 0)
			break;
		else if (found && line[0] != '.')
			strncat(text, line, strcspn(line, "\n"));
	}
	fclose(f);
	if (!found)
		fail_msg("%s has no example of %s", MANUAL, format);
	/* a backslash is \e there */
	for (char *p = text; (p = strstr(p, "\\e")) != NULL; p++)
		memmove(p + 1, p + 2, strlen(p + 2) + 1);
	return text;
}

static void the_manual_has_each_as_it_is(void **state)
{
	(void)state;
	for (enum webhook_format f = 0; f < WEBHOOK_FORMATS; f++) {
		bool of_alarms = f == WEBHOOK_ALERTMANAGER || f == WEBHOOK_PAGERDUTY;
		char *text = body_of(f, of_alarms ? "alarms" : "changes",
			 of_alarms ? alarms : changes),
		     *example = example_of(webhook_format_name(f));
		json_t *is = parse(text), *shown = parse(example);

		if (!json_equal(is, shown))
			fail_msg("%s: %s", webhook_format_name(f), text);
		json_decref(is);
		json_decref(shown);
		free(text);
		free(example);
	}
}

static const char *get(const json_t *j, const char *a, const char *b)
{
	const json_t *of = json_object_get(j, a);

	return json_string_value(b == NULL ? of : json_object_get(of, b));
}

/* Of each type in each format; the types that have little in them. */
static void each_type_has_a_body(void **state)
{
	static const struct {
		const char *type, *data;
	} of[] = {{"changes", changes}, {"alarms", alarms}, {"alarms", cleared},
	    {"notices", "{\"issuer\":\"demo\",\"seen_at\":\"2026-11-30T12:00:01Z\","
			"\"source\":\"incident\",\"incident\":\"ca-2026\",\"deadline\":"
			"\"2026-12-03T00:00:00Z\",\"url\":null,\"notices\":[{\"serial\":"
			"\"1004\",\"names\":[],\"labels\":[],\"replace_after\":null,"
			"\"replace_before\":null,\"withdrawn\":false}]}"},
	    {"gap", "{\"since\":\"1\",\"oldest\":\"2\"}"},
	    {"test", "{\"webhook\":\"a\"}"},
	    {"changes.many",
		"{\"count\":1001,\"first\":\"1\",\"last\":\"2\",\"url\":\"/v1\"}"},
	    {"notices.many",
		"{\"count\":1001,\"first\":\"1\",\"last\":\"2\",\"url\":\"/v1\"}"}};

	(void)state;
	for (enum webhook_format f = 0; f < WEBHOOK_FORMATS; f++) {
		for (size_t i = 0; i < sizeof of / sizeof of[0]; i++) {
			char *text = body_of(f, of[i].type, of[i].data);

			json_decref(parse(text));
			free(text);
		}
	}
}

static void what_is_over_resolves_what_it_raised(void **state)
{
	char *text = body_of(WEBHOOK_PAGERDUTY, "alarms", cleared);
	json_t *j = parse(text);

	(void)state;
	assert_string_equal(get(j, "event_action", NULL), "resolve");
	assert_string_equal(get(j, "dedup_key", NULL), "crl_overdue/demo/a");
	json_decref(j);
	free(text);
	text = body_of(WEBHOOK_ALERTMANAGER, "alarms", cleared);
	j = parse(text);
	assert_string_equal(
	    get(json_array_get(j, 0), "endsAt", NULL), "2026-11-30T12:00:01Z");
	assert_string_equal(
	    get(json_array_get(j, 0), "labels", "alertname"), "crl_overdue");
	json_decref(j);
	free(text);
}

/* Strangers' names do not become a chat's links, nor end a string. */
static void strangers_words_are_escaped(void **state)
{
	static const char evil[] =
	    "{\"issuer\":\"demo\",\"changes\":[{\"serial\":\"1\",\"status\":\"revoked\","
	    "\"names\":[\"<!channel> & <http://evil|here>\",\"a\\\"b\\\\c\\u0007\","
	    "\"z\xc3\xbcrich.example\"],\"labels\":[]}]}";
	char *text = body_of(WEBHOOK_SLACK, "changes", evil);
	json_t *j = parse(text);

	(void)state;
	assert_string_equal(get(j, "text", NULL),
	    "ocspcached: demo 1 revoked: &lt;!channel&gt; &amp; "
	    "&lt;http://evil|here&gt;, "
	    "a\"b\\c\x07, z\xc3\xbcrich.example");
	json_decref(j);
	free(text);
	text = body_of(WEBHOOK_ALERTMANAGER, "changes", evil);
	json_decref(parse(text));
	free(text);
}

static void a_chat_is_told_the_first_and_how_many(void **state)
{
	char data[8192] = "{\"issuer\":\"demo\",\"changes\":[", *text;
	const char *more;
	json_t *j;

	(void)state;
	for (int i = 0; i < 50; i++)
		snprintf(data + strlen(data), sizeof data - strlen(data),
		    "%s{\"serial\":\"%d\",\"status\":\"revoked\"}", i > 0 ? "," : "", i);
	strcat(data, "]}");
	text = body_of(WEBHOOK_SLACK, "changes", data);
	j = parse(text);
	more = strrchr(get(j, "text", NULL), '\n');
	assert_string_equal(more, "\n30 more");
	json_decref(j);
	free(text);
}

static void what_is_no_json_has_no_body(void **state)
{
	const struct hook_message m = message_of("changes", "[1");
	struct json_line out = {0};

	(void)state;
	assert_false(hook_format_write(WEBHOOK_SLACK, &m, &out));
	free(out.p);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(the_manual_has_each_as_it_is),
	    cmocka_unit_test(each_type_has_a_body),
	    cmocka_unit_test(what_is_over_resolves_what_it_raised),
	    cmocka_unit_test(strangers_words_are_escaped),
	    cmocka_unit_test(a_chat_is_told_the_first_and_how_many),
	    cmocka_unit_test(what_is_no_json_has_no_body),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
