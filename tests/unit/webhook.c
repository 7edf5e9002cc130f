#include "cache/watch/webhook.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

static const char *parse(struct webhook_secret *s, const char *text)
{
	return webhook_secret_parse(s, bytes_of(text, strlen(text)));
}

/* Standard Webhooks 1.0: the secret of its examples, and a key of RFC 8032 section 7.1,
 * test 1, with its public key behind it. */
#define HMAC_TEXT "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
#define ED_TEXT                                                                          \
	"whsk_nWGxne/9WmC6hEr0kuwsxERJxWl7MmkZcDusAxyuf2DXWpgBgrEKt9VL/tPJZAc6DuFy89qm"  \
	"IyWvAhpo9wdRGg=="
#define ED_SEED_TEXT "whsk_nWGxne/9WmC6hEr0kuwsxERJxWl7MmkZcDusAxyuf2A="

/* T21 */
static void secrets_are_those_of_standard_webhooks(void **state)
{
	static const uint8_t seed_begins[] = {0x9d, 0x61, 0xb1, 0x9d};
	struct webhook_secret s;
	char text[WEBHOOK_SECRET_TEXT];

	(void)state;
	assert_null(parse(&s, HMAC_TEXT));
	assert_false(s.ed25519);
	assert_int_equal(s.n, 24);
	assert_int_equal(s.octets[0], 0x31);
	assert_true(webhook_secret_text(&s, text));
	assert_string_equal(text, HMAC_TEXT);
	assert_null(parse(&s, ED_TEXT));
	assert_true(s.ed25519);
	assert_int_equal(s.n, 32);
	assert_memory_equal(s.octets, seed_begins, sizeof seed_begins);
	assert_true(webhook_secret_text(&s, text));
	assert_string_equal(text, ED_TEXT);
	assert_null(parse(&s, ED_SEED_TEXT));
	assert_true(webhook_secret_text(&s, text));
	assert_string_equal(text, ED_TEXT);
}

static void what_is_no_secret_is_told_by_what_is_wrong(void **state)
{
	static const struct {
		const char *text, *part;
	} bad[] = {
	    {"", "begins with"},
	    {"whpk_AAAA", "begins with"},
	    {"whsec_", "24 to 64"},
	    {"whsec_AAAA", "24 to 64"},
	    {"whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaS", "24 to 64"}, /* no group of 4 */
	    {"whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLa-_", "24 to 64"},
	    {"whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSwAB==", "24 to 64"}, /* spare bits */
	    {"whsec_ MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", "24 to 64"},
	    {"whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSwMfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
	     "MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw",
		"24 to 64"},
	    {"whsk_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", "Ed25519"},
	    {"whsk_nWGxne/9WmC6hEr0kuwsxERJxWl7MmkZcDusAxyuf2DXWpgBgrEKt9VL/tPJZAc6DuFy89"
	     "qmIyWvAhpo9wdRGA==",
		"not that of its private key"},
	};
	struct webhook_secret s;

	(void)state;
	for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
		const char *wrong = parse(&s, bad[i].text);

		assert_non_null(wrong);
		assert_non_null(strstr(wrong, bad[i].part));
	}
}

static struct webhook *sample(size_t issuers)
{
	struct webhook *w = webhook_new(issuers);

	assert_non_null(w);
	strcpy(w->name, "chat");
	strcpy(w->url, "https://hooks.example:8443/T000/B000/XXXX");
	strcpy(w->watchlist, "fleet");
	assert_null(parse(&w->secret[0], HMAC_TEXT));
	assert_null(parse(&w->secret[1], ED_TEXT));
	w->secrets_n = 2;
	w->types = WEBHOOK_CHANGES | WEBHOOK_ALARMS;
	w->format = WEBHOOK_PAGERDUTY;
	strcpy(w->routing_key, "R0123");
	w->changed_at = 1700000000;
	w->revision = 3;
	w->enabled = 2;
	w->start = UINT64_C(0x1122334455667788);
	w->from = (struct change_pos){7, 42, 3};
	for (size_t i = 0; i < issuers; i++)
		snprintf(w->issuers[i], sizeof w->issuers[i], "issuer-%zu", i);
	return w;
}

static struct webhook *again(const struct webhook *w)
{
	uint8_t binary[WEBHOOK_BINARY_MAX];
	size_t n = webhook_encode(w, binary);
	struct webhook *out;

	assert_true(n <= sizeof binary);
	assert_int_equal(webhook_decode(&out, w->name, bytes_of(binary, n)), ERR_OK);
	return out;
}

static void a_webhook_is_read_as_it_was_written(void **state)
{
	struct webhook *w = sample(2), *x = again(w);
	size_t n = sizeof *w + 2 * sizeof w->issuers[0];

	(void)state;
	assert_memory_equal(w, x, n);
	webhook_unref(w);
	webhook_unref(x);
}

static void the_largest_webhook_fits(void **state)
{
	struct webhook *w = sample(WEBHOOK_ISSUERS_MAX), *x;

	(void)state;
	memset(w->url, 'u', WEBHOOK_URL_MAX);
	memset(w->routing_key, 'k', WEBHOOK_KEY_MAX);
	memset(w->issuer, 'i', sizeof w->issuer - 1);
	memset(w->watchlist, 'w', sizeof w->watchlist - 1);
	memset(w->secret[0].octets, 1, WEBHOOK_SECRET_MAX);
	w->secret[0].n = WEBHOOK_SECRET_MAX;
	w->secret[1] = w->secret[0];
	for (size_t i = 0; i < WEBHOOK_ISSUERS_MAX; i++)
		memset(w->issuers[i], 'n', sizeof w->issuers[i] - 1);
	x = again(w);
	assert_string_equal(x->url, w->url);
	assert_string_equal(
	    x->issuers[WEBHOOK_ISSUERS_MAX - 1], w->issuers[WEBHOOK_ISSUERS_MAX - 1]);
	webhook_unref(w);
	webhook_unref(x);
}

/* A stranger's bytes: each cut, each longer by one, and each octet changed is refused or
 * read, and never read beyond. */
static void bytes_that_are_no_webhook_are_refused(void **state)
{
	struct webhook *w = sample(1), *x;
	uint8_t binary[WEBHOOK_BINARY_MAX];
	size_t n = webhook_encode(w, binary);

	(void)state;
	for (size_t cut = 0; cut < n; cut++) {
		assert_int_equal(
		    webhook_decode(&x, "chat", bytes_of(binary, cut)), ERR_RECORD);
		assert_null(x);
	}
	binary[n] = 0;
	assert_int_equal(webhook_decode(&x, "chat", bytes_of(binary, n + 1)), ERR_RECORD);
	for (size_t i = 0; i < n; i++) {
		binary[i] ^= 0xff;
		if (webhook_decode(&x, "chat", bytes_of(binary, n)) == ERR_OK)
			webhook_unref(x);
		binary[i] ^= 0xff;
	}
	binary[0]++;
	assert_int_equal(webhook_decode(&x, "chat", bytes_of(binary, n)), ERR_RECORD);
	webhook_unref(w);
}

static struct webhook_state full_state(void)
{
	struct webhook_state s = {.start = 5,
	    .position = {7, 43, 1},
	    .gone_enabled = 2,
	    .gone_at = 1700000001,
	    .last_success = 1,
	    .last_error_at = 2,
	    .next_try = 3,
	    .failing_since = 4,
	    .tries = 6,
	    .upto = {7, 44, 10000},
	    .many = 3048289};

	memset(s.gone_why, 'g', sizeof s.gone_why - 1);
	memset(s.last_error, 'e', sizeof s.last_error - 1);
	return s;
}

static void a_state_is_read_as_it_was_written(void **state)
{
	struct webhook_state s = full_state(), t;
	uint8_t binary[WEBHOOK_STATE_MAX];
	size_t n = webhook_state_encode(&s, binary);

	(void)state;
	assert_true(n <= sizeof binary);
	assert_int_equal(webhook_state_decode(&t, bytes_of(binary, n)), ERR_OK);
	assert_memory_equal(&s, &t, sizeof s);
	for (size_t cut = 0; cut < n; cut++)
		assert_int_equal(
		    webhook_state_decode(&t, bytes_of(binary, cut)), ERR_RECORD);
}

static void an_error_that_is_no_utf8_costs_no_position(void **state)
{
	struct webhook_state s = {.start = 5, .position = {7, 43, 1}}, t;
	uint8_t binary[WEBHOOK_STATE_MAX];
	size_t n;

	(void)state;
	strcpy(s.last_error, "caf\xe9");
	n = webhook_state_encode(&s, binary);
	assert_int_equal(webhook_state_decode(&t, bytes_of(binary, n)), ERR_OK);
	assert_string_equal(t.last_error, "");
	assert_int_equal(t.position.seq, 43);
}

static void a_position_counts_only_under_the_start_that_it_is_of(void **state)
{
	struct webhook *w = sample(0);
	struct webhook_state s = {.start = w->start, .position = {7, 50, 1}};

	(void)state;
	assert_int_equal(webhook_position(w, NULL)->seq, 42);
	assert_int_equal(webhook_position(w, &s)->seq, 50);
	s.start++;
	assert_int_equal(webhook_position(w, &s)->seq, 42);
	webhook_unref(w);
}

static void what_was_given_up_goes_on_when_it_is_enabled_anew(void **state)
{
	struct webhook *w = sample(0);
	struct webhook_state s = {.gone_enabled = w->enabled};

	(void)state;
	assert_false(webhook_is_disabled(w, NULL));
	assert_false(webhook_is_disabled(w, &s));
	s.gone_at = 1700000001;
	assert_true(webhook_is_disabled(w, &s));
	w->enabled++;
	assert_false(webhook_is_disabled(w, &s));
	w->disabled = true;
	assert_true(webhook_is_disabled(w, NULL));
	webhook_unref(w);
}

static void it_tells_what_it_asks_for_and_its_token_had(void **state)
{
	struct webhook *all = sample(0), *two = sample(2);

	(void)state;
	assert_true(webhook_tells(all, "any"));
	assert_true(webhook_tells(all, ""));
	strcpy(all->issuer, "one");
	assert_true(webhook_tells(all, "one"));
	assert_false(webhook_tells(all, "any"));
	assert_false(webhook_tells(all, ""));
	assert_true(webhook_tells(two, "issuer-1"));
	assert_false(webhook_tells(two, "issuer-2"));
	assert_false(webhook_tells(two, ""));
	strcpy(two->issuer, "issuer-2");
	assert_false(webhook_tells(two, "issuer-2"));
	webhook_unref(all);
	webhook_unref(two);
}

/* T21: the path of a URL is a secret of chat services. */
static void of_a_url_scheme_and_host_are_shown(void **state)
{
	static const struct {
		const char *url, *shown;
	} each[] = {
	    {"https://hooks.example:8443/T000/B000/XXXX", "https://hooks.example:8443"},
	    {"http://[::1]:9/", "http://[::1]:9"},
	    {"https://hooks.example?key=1", "https://hooks.example"},
	    {"https://hooks.example", "https://hooks.example"},
	};
	char shown[WEBHOOK_SHOWN_MAX];

	(void)state;
	for (size_t i = 0; i < sizeof each / sizeof each[0]; i++) {
		struct webhook *w = sample(0);

		strcpy(w->url, each[i].url);
		webhook_shown(w, shown);
		assert_string_equal(shown, each[i].shown);
		webhook_unref(w);
	}
}

static void names_are_those_of_the_contract(void **state)
{
	(void)state;
	assert_string_equal(webhook_type_name(WEBHOOK_NOTICES), "notices");
	assert_null(webhook_type_name((enum webhook_type)8));
	assert_string_equal(webhook_format_name(WEBHOOK_ALERTMANAGER), "alertmanager");
	assert_null(webhook_format_name(WEBHOOK_FORMATS));
}

static void who_holds_it_keeps_it(void **state)
{
	struct webhook *w = sample(0);
	const struct webhook *held = webhook_ref(w);

	(void)state;
	webhook_unref(w);
	assert_string_equal(held->name, "chat");
	webhook_unref(held);
	webhook_unref(NULL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(secrets_are_those_of_standard_webhooks),
	    cmocka_unit_test(what_is_no_secret_is_told_by_what_is_wrong),
	    cmocka_unit_test(a_webhook_is_read_as_it_was_written),
	    cmocka_unit_test(the_largest_webhook_fits),
	    cmocka_unit_test(bytes_that_are_no_webhook_are_refused),
	    cmocka_unit_test(a_state_is_read_as_it_was_written),
	    cmocka_unit_test(an_error_that_is_no_utf8_costs_no_position),
	    cmocka_unit_test(a_position_counts_only_under_the_start_that_it_is_of),
	    cmocka_unit_test(what_was_given_up_goes_on_when_it_is_enabled_anew),
	    cmocka_unit_test(it_tells_what_it_asks_for_and_its_token_had),
	    cmocka_unit_test(of_a_url_scheme_and_host_are_shown),
	    cmocka_unit_test(names_are_those_of_the_contract),
	    cmocka_unit_test(who_holds_it_keeps_it),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
