#include "proxy/push/hook_body.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "proxy/push/hook_made.h"
#include "proxy/push/hook_view.h"

static struct hook_body body;
static char why[256];

static bool reads(const char *json)
{
	return hook_body_read(&body, bytes_of(json, strlen(json)), why, sizeof why);
}

static void taken(const char *json)
{
	if (!reads(json))
		fail_msg("%s: %s", json, why);
}

static void refused(const char *json, const char *begins)
{
	assert_false(reads(json));
	if (strncmp(why, begins, strlen(begins)) != 0)
		fail_msg("%s: %s", json, why);
}

#define URL    "\"url\":\"https://hooks.example/T000\""
#define SECRET "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"

static void a_url_is_enough(void **state)
{
	(void)state;
	taken("{" URL "}");
	assert_string_equal(body.url, "https://hooks.example/T000");
	assert_int_equal(body.secrets_n, 0);
	assert_int_equal(body.types, WEBHOOK_CHANGES);
	assert_int_equal(body.format, WEBHOOK_STANDARD);
	assert_false(body.has_disabled);
}

static void all_that_there_is_may_be_said(void **state)
{
	(void)state;
	taken("{" URL ",\"secrets\":[\"" SECRET "\",\"" SECRET "\"],\"issuer\":\"demo\","
	      "\"watchlist\":\"fleet\",\"types\":[\"notices\",\"alarms\"],"
	      "\"format\":\"pagerduty\",\"routing_key\":\"R1\",\"disabled\":true}");
	assert_int_equal(body.secrets_n, 2);
	assert_string_equal(body.issuer, "demo");
	assert_string_equal(body.watchlist, "fleet");
	assert_int_equal(body.types, WEBHOOK_NOTICES | WEBHOOK_ALARMS);
	assert_int_equal(body.format, WEBHOOK_PAGERDUTY);
	assert_string_equal(body.routing_key, "R1");
	assert_true(body.has_disabled && body.disabled);
	taken("{" URL ",\"secret\":\"" SECRET "\",\"issuer\":null,\"disabled\":false}");
	assert_int_equal(body.secrets_n, 1);
	assert_true(body.has_disabled && !body.disabled);
}

static void what_is_wrong_is_told_by_its_field(void **state)
{
	(void)state;
	refused("", "body: not JSON");
	refused("[]", "body: not a JSON object");
	refused("{" URL "," URL "}", "body: not JSON");
	refused("{}", "url: missing");
	refused("{\"url\":1}", "url: not a string");
	refused("{\"url\":\"ftp://x/\"}", "url: is no http or https URL");
	refused("{\"url\":\"https://user:pass@x/\"}", "url: has a user name");
	refused("{\"url\":\"https://x/#a\"}", "url: has a fragment");
	refused("{" URL ",\"secret\":\"short\"}", "secret: a secret begins with");
	refused("{" URL ",\"secrets\":[]}", "secrets: not an array");
	refused("{" URL ",\"secrets\":[\"" SECRET "\",\"" SECRET "\",\"" SECRET "\"]}",
	    "secrets: more than 2");
	refused("{" URL ",\"secret\":\"" SECRET "\",\"secrets\":[\"" SECRET "\"]}",
	    "secret: is short for secrets");
	refused("{" URL ",\"issuer\":\"No Name\"}", "issuer: no name");
	refused("{" URL ",\"watchlist\":7}", "watchlist: not a string");
	refused("{" URL ",\"types\":\"changes\"}", "types: not an array");
	refused("{" URL ",\"types\":[\"all\"]}", "types: there are");
	refused("{" URL ",\"format\":\"teams\"}", "format: there are");
	refused("{" URL ",\"routing_key\":\"R\"}", "routing_key: is for");
	refused("{" URL ",\"disabled\":\"no\"}", "disabled: neither");
	refused("{" URL ",\"watchlists\":[]}", "unknown field \"watchlists\"");
}

/* T21: what may be quoted in a log. */
static void no_mistake_quotes_a_secret(void **state)
{
	(void)state;
	refused("{" URL ",\"secret\":\"whsec_SECRETSECRET\"}", "secret:");
	assert_null(strstr(why, "SECRETSECRET"));
	refused("{" URL ",\"secret\":\"whsec_SECRETSECRET", "body:");
	assert_null(strstr(why, "SECRETSECRET"));
	refused("{\"url\":\"htp://x/SECRETSECRET\"}", "url:");
	assert_null(strstr(why, "SECRETSECRET"));
}

static void the_longest_is_taken_and_no_longer(void **state)
{
	char json[2 * WEBHOOK_URL_MAX], url[WEBHOOK_URL_MAX + 2];

	(void)state;
	memset(url, 'a', sizeof url);
	memcpy(url, "https://x/", 10);
	url[WEBHOOK_URL_MAX] = '\0';
	snprintf(json, sizeof json, "{\"url\":\"%s\"}", url);
	taken(json);
	snprintf(json, sizeof json, "{\"url\":\"%sa\"}", url);
	refused(json, "url: longer than 2048 octets");
}

/* What becomes of it. */

static struct webhook *made(const struct webhook *before, char *secret)
{
	char room[WEBHOOK_SECRET_TEXT];
	struct webhook *w = hook_made(&(struct hook_making){.name = "chat",
					  .body = &body,
					  .before = before,
					  .end = {7, 42, 1},
					  .now = 1700000000},
	    secret != NULL ? secret : room);

	assert_non_null(w);
	return w;
}

static void a_new_one_begins_at_the_end_with_a_secret_of_its_own(void **state)
{
	char secret[WEBHOOK_SECRET_TEXT], other[WEBHOOK_SECRET_TEXT];
	struct webhook_secret s;
	struct webhook *w, *x;

	(void)state;
	taken("{" URL "}");
	w = made(NULL, secret);
	x = made(NULL, other);
	assert_int_equal(w->from.seq, 42);
	assert_int_equal(w->revision, 1);
	assert_null(webhook_secret_parse(&s, bytes_of(secret, strlen(secret))));
	assert_int_equal(s.n, 32);
	assert_memory_equal(&s, &w->secret[0], sizeof s);
	assert_string_not_equal(secret, other);
	assert_true(w->start != x->start);
	webhook_unref(w);
	webhook_unref(x);
}

static void what_is_not_said_anew_stays(void **state)
{
	char secret[WEBHOOK_SECRET_TEXT];
	struct webhook *w, *x;

	(void)state;
	taken("{" URL ",\"secret\":\"" SECRET "\",\"format\":\"pagerduty\","
	      "\"routing_key\":\"R1\",\"disabled\":true,\"issuer\":\"demo\"}");
	assert_false(hook_lacks_key(&body, NULL));
	w = made(NULL, secret);
	assert_string_equal(secret, "");
	taken("{" URL ",\"format\":\"pagerduty\"}");
	assert_true(hook_lacks_key(&body, NULL));
	assert_false(hook_lacks_key(&body, w));
	x = made(w, secret);
	assert_string_equal(secret, "");
	assert_memory_equal(&x->secret[0], &w->secret[0], sizeof x->secret[0]);
	assert_string_equal(x->routing_key, "R1");
	assert_true(x->disabled);
	assert_string_equal(x->issuer, ""); /* no secret, and said: of all */
	assert_int_equal(x->start, w->start);
	assert_int_equal(x->revision, 2);
	assert_int_equal(x->enabled, w->enabled);
	webhook_unref(w);
	taken("{" URL ",\"disabled\":false}");
	w = made(x, secret);
	assert_false(w->disabled);
	assert_int_equal(w->enabled, x->enabled + 1);
	assert_string_equal(w->routing_key, "");
	webhook_unref(w);
	webhook_unref(x);
}

static void one_that_is_moved_is_the_same_elsewhere(void **state)
{
	struct webhook *w, *x;

	(void)state;
	taken("{" URL "}");
	w = made(NULL, NULL);
	x = hook_moved(w, &(struct change_pos){6, 5, 0}, 1700000001);
	assert_non_null(x);
	assert_int_equal(x->from.seq, 5);
	assert_true(x->start != w->start);
	assert_int_equal(x->revision, 2);
	assert_string_equal(x->url, w->url);
	assert_memory_equal(&x->secret[0], &w->secret[0], sizeof x->secret[0]);
	webhook_unref(w);
	assert_int_equal(x->refs, 1);
	webhook_unref(x);
}

/* Whose token has some issuers alone. */
static void it_tells_no_more_than_its_token(void **state)
{
	char *issuers[] = {(char *)(uintptr_t) "one", (char *)(uintptr_t) "two"};
	char *lists[] = {(char *)(uintptr_t) "fleet"};
	struct access two = {.issuers = issuers, .issuers_n = 2};
	struct access one = {.issuers = issuers, .issuers_n = 1};
	struct access fleet = {.lists = lists, .lists_n = 1};
	char secret[WEBHOOK_SECRET_TEXT];
	struct webhook *w, *of_one, *of_fleet;

	(void)state;
	taken("{" URL "}");
	w = hook_made(
	    &(struct hook_making){.name = "chat", .body = &body, .access = &two}, secret);
	assert_int_equal(w->issuers_n, 2);
	assert_true(webhook_tells(w, "two"));
	assert_false(webhook_tells(w, "three"));
	assert_true(hook_is_seen(NULL, w));
	assert_true(hook_is_seen(&two, w));
	assert_false(hook_is_seen(&one, w));
	assert_false(hook_is_seen(&fleet, w));
	taken("{" URL ",\"issuer\":\"one\"}");
	of_one = made(NULL, NULL);
	assert_true(hook_is_seen(&one, of_one));
	assert_false(hook_is_seen(&fleet, of_one));
	taken("{" URL ",\"watchlist\":\"fleet\"}");
	of_fleet = made(NULL, NULL);
	assert_true(hook_is_seen(&fleet, of_fleet));
	assert_false(hook_is_seen(&one, of_fleet));
	webhook_unref(w);
	webhook_unref(of_one);
	webhook_unref(of_fleet);
}

static void it_is_shown_without_what_is_secret(void **state)
{
	struct webhook_state s = {.position = {7, 40, 1},
	    .gone_at = 1700000000,
	    .gone_why = "410 Gone",
	    .last_success = 1600000000,
	    .last_error = "HTTP 410"};
	struct json_line out = {0};
	struct webhook *w;

	(void)state;
	taken("{" URL ",\"secret\":\"" SECRET "\"}");
	w = made(NULL, NULL);
	s.start = w->start;
	hook_view(&out, w, &s, &(struct change_pos){7, 42, 1}, NULL);
	json_put_bytes(&out, "", 1);
	assert_string_equal(out.p,
	    "{\"name\":\"chat\",\"url\":\"https://hooks.example\",\"issuer\":null,"
	    "\"watchlist\":null,\"types\":[\"changes\"],\"format\":\"standard\","
	    "\"secrets\":1,\"disabled\":true,\"why\":\"410 Gone\","
	    "\"disabled_at\":\"2023-11-14T22:13:20Z\","
	    "\"position\":\"00000007-000000000028-00001\",\"lag\":2,"
	    "\"last_success\":\"2020-09-13T12:26:40Z\",\"last_error\":\"HTTP 410\","
	    "\"last_error_at\":null,\"failing_since\":null,\"next_try\":null}");
	free(out.p);
	webhook_unref(w);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(a_url_is_enough),
	    cmocka_unit_test(all_that_there_is_may_be_said),
	    cmocka_unit_test(what_is_wrong_is_told_by_its_field),
	    cmocka_unit_test(no_mistake_quotes_a_secret),
	    cmocka_unit_test(the_longest_is_taken_and_no_longer),
	    cmocka_unit_test(a_new_one_begins_at_the_end_with_a_secret_of_its_own),
	    cmocka_unit_test(what_is_not_said_anew_stays),
	    cmocka_unit_test(one_that_is_moved_is_the_same_elsewhere),
	    cmocka_unit_test(it_tells_no_more_than_its_token),
	    cmocka_unit_test(it_is_shown_without_what_is_secret),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
