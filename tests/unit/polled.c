/* polled: what was heard of watched certificates, in few bytes. */
#include "cache/held/polled.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

#include "tests/lib/inventory_kit.h"

#define NOW INT64_C(1750000000)

static struct polled *t;

static int begin(void **state)
{
	(void)state;
	t = polled_new(7);
	assert_non_null(t);
	return 0;
}

static int end(void **state)
{
	(void)state;
	polled_free(t);
	return 0;
}

static struct facts good(int64_t this_update)
{
	return (struct facts){.status = STATUS_GOOD,
	    .reason = REASON_NONE,
	    .this_update = this_update,
	    .produced_at = this_update};
}

static void hear(const char *issuer, uint64_t number, const struct facts *f,
    int64_t expiry, int64_t now)
{
	struct serial s = kit_wide_serial(number);

	assert_true(polled_put(t, issuer, &s, f, expiry, now));
}

static bool word(const char *issuer, uint64_t number, struct polled_word *out)
{
	struct serial s = kit_wide_serial(number);

	return polled_find(t, issuer, &s, out);
}

static void what_was_heard_last_is_found_by_issuer_and_serial(void **state)
{
	struct facts f = {.status = STATUS_REVOKED,
	    .reason = REASON_CERTIFICATE_HOLD,
	    .revoked_at = NOW - 7,
	    .this_update = NOW - 5,
	    .produced_at = NOW - 3};
	struct polled_word w;

	(void)state;
	assert_false(word("a", 1, &w));
	hear("a", 1, &f, NOW + 9, NOW);
	assert_false(word("b", 1, &w) || word("a", 2, &w));
	assert_true(word("a", 1, &w));
	assert_true(facts_are_hold(&w.facts));
	assert_int_equal(w.facts.revoked_at, NOW - 7);
	assert_int_equal(w.facts.this_update, NOW - 5);
	assert_int_equal(w.facts.produced_at, NOW - 3);
	assert_int_equal(facts_expiry(&w.facts), NOW + 9);
	assert_int_equal(w.heard_at, NOW);
	f = good(NOW + 1);
	hear("a", 1, &f, NOW + 90, NOW + 2);
	hear("b", 1, &f, NOW + 91, NOW + 3);
	assert_true(word("a", 1, &w));
	assert_int_equal(w.facts.status, STATUS_GOOD);
	assert_int_equal(w.facts.reason, REASON_NONE);
	assert_int_equal(w.heard_at, NOW + 2);
	assert_true(word("b", 1, &w));
	assert_int_equal(w.heard_at, NOW + 3);
	polled_free(NULL);
	assert_false(polled_find(NULL, "a", &(struct serial){1, {1}}, &w));
}

static void an_older_word_changes_nothing_and_the_same_counts_as_heard(void **state)
{
	struct facts f = good(NOW), old = good(NOW - 1);
	struct polled_word w;

	(void)state;
	hear("a", 1, &f, NOW + 100, NOW);
	hear("a", 1, &old, NOW + 50, NOW + 10);
	assert_true(word("a", 1, &w));
	assert_int_equal(w.heard_at, NOW);
	assert_int_equal(w.facts.next_update, NOW + 100);
	hear("a", 1, &f, NOW + 100, NOW + 20);
	assert_true(word("a", 1, &w));
	assert_int_equal(w.heard_at, NOW + 20);
}

static void times_beyond_32_bits_end_in_them(void **state)
{
	struct facts f = {.status = STATUS_REVOKED,
	    .revoked_at = -1,
	    .this_update = NOW,
	    .produced_at = INT64_C(1) << 40};
	struct polled_word w;

	(void)state;
	hear("a", 1, &f, INT64_C(253402300799), NOW);
	assert_true(word("a", 1, &w));
	assert_int_equal(w.facts.revoked_at, 0);
	assert_int_equal(w.facts.produced_at, UINT32_MAX);
	assert_int_equal(w.facts.next_update, UINT32_MAX);
}

static void what_is_forgotten_is_gone_and_may_come_again(void **state)
{
	struct facts f = good(NOW), old = good(NOW - 100);
	struct serial s = kit_wide_serial(2);
	struct polled_word w;

	(void)state;
	for (uint64_t n = 0; n < 5; n++) {
		hear("a", n, &f, NOW + 100, NOW);
		hear("b", n, &f, NOW + 100, NOW);
	}
	polled_forget(t, "a", &s);
	polled_forget(t, "nobody", &s);
	polled_forget(t, "nobody", NULL);
	assert_false(word("a", 2, &w));
	assert_true(word("a", 1, &w) && word("a", 3, &w) && word("b", 2, &w));
	hear("a", 2, &old, NOW + 100, NOW);
	assert_true(word("a", 2, &w));
	assert_int_equal(w.facts.this_update, NOW - 100);
	polled_forget(t, "b", NULL);
	for (uint64_t n = 0; n < 5; n++)
		assert_true(word("a", n, &w) && !word("b", n, &w));
}

/* Odd serials, against a list that is searched one after the other. */
static void it_agrees_with_a_plain_list(void **state)
{
	static struct {
		struct serial s;
		int64_t at;
	} plain[4000];
	size_t n = 0;

	(void)state;
	for (int i = 0; i < 6000; i++) {
		struct serial s = kit_odd_serial();
		struct facts f = good(NOW + i);
		size_t at = 0;

		while (at < n && !serial_equal(&plain[at].s, &s))
			at++;
		if (at == sizeof plain / sizeof plain[0])
			continue;
		n += at == n;
		plain[at].s = s;
		plain[at].at = NOW + i;
		assert_true(polled_put(t, "a", &s, &f, NOW + 10000, NOW));
	}
	assert_true(n > 1000);
	for (size_t i = 0; i < n; i++) {
		struct polled_word w;

		assert_true(polled_find(t, "a", &plain[i].s, &w));
		assert_int_equal(w.facts.this_update, plain[i].at);
	}
}

/* 48 bytes each, at least a seventh and at most half of the table empty. */
static void memory_is_what_those_need_that_live(void **state)
{
	struct facts f = good(NOW);
	struct polled_word w;
	(void)state;
	for (uint64_t n = 0; n < 100000; n++)
		hear("a", n, &f, NOW + 100 + (n % 10 == 0), NOW);
	assert_in_range(polled_bytes(t), 100000 * 48 * 7 / 6, 100000 * 48 * 2);
	for (uint64_t n = 0; n < 100000; n += 997)
		assert_true(word("a", n, &w));
	/* those that have ended make room for others */
	for (uint64_t n = 100000; n < 190000; n++)
		hear("a", n, &f, NOW + 200, NOW + 100);
	assert_in_range(polled_bytes(t), 100000 * 48 * 7 / 6, 100000 * 48 * 2);
	assert_true(word("a", 10, &w) && word("a", 189999, &w));
	assert_false(word("a", 11, &w));
}

int main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(name, begin, end)
	const struct CMUnitTest tests[] = {
	    T(what_was_heard_last_is_found_by_issuer_and_serial),
	    T(an_older_word_changes_nothing_and_the_same_counts_as_heard),
	    T(times_beyond_32_bits_end_in_them),
	    T(what_is_forgotten_is_gone_and_may_come_again),
	    T(it_agrees_with_a_plain_list),
	    T(memory_is_what_those_need_that_live),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
