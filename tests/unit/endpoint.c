/* What the endings of fetches say of a responder's URL, without any fetch. */
#include "proxy/source/endpoint.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>

#include <cmocka.h>

static struct key key_of(uint8_t serial)
{
	uint8_t hash[20] = {7};
	struct key k;

	key_make(&k, CERTID_SHA1, hash, hash, &(struct serial){1, {serial}});
	return k;
}

static enum endpoint_change hear(
    struct endpoint *p, enum endpoint_word word, uint8_t serial, bool known)
{
	struct key k = key_of(serial);
	struct endpoint_news news = {word, &k, known, false, p->epoch};

	return endpoint_heard(p, &news, 1000);
}

static void several_different_keys_make_it_unwell_once(void **state)
{
	struct endpoint p = {0};

	(void)state;
	assert_int_equal(ENDPOINT_SEVERAL, 3);
	for (int n = 0; n < 9; n++)
		assert_int_equal(hear(&p, ENDPOINT_SICK, 1, true), ENDPOINT_AS_BEFORE);
	assert_int_equal(hear(&p, ENDPOINT_SICK, 2, true), ENDPOINT_AS_BEFORE);
	assert_int_equal(hear(&p, ENDPOINT_SICK, 3, false), ENDPOINT_AS_BEFORE);
	assert_int_equal(hear(&p, ENDPOINT_SICK, 3, true), ENDPOINT_FELL);
	assert_int_equal(p.failures, 1);
	assert_int_equal(p.failed_at_ms, 1000);
	/* from then on one is enough: the probe */
	assert_int_equal(hear(&p, ENDPOINT_SICK, 1, true), ENDPOINT_FELL);
	assert_int_equal(p.failures, 2);
	assert_int_equal(hear(&p, ENDPOINT_FINE, 1, true), ENDPOINT_ROSE);
	endpoint_clear(&p);
	assert_int_equal(hear(&p, ENDPOINT_SICK, 1, true), ENDPOINT_AS_BEFORE);
}

/* What a responder says to a stranger's serial neither raises nor clears a suspicion. */
static void a_strangers_answer_clears_no_suspicion(void **state)
{
	struct endpoint p = {0};

	(void)state;
	assert_int_equal(hear(&p, ENDPOINT_SICK, 1, true), ENDPOINT_AS_BEFORE);
	assert_int_equal(hear(&p, ENDPOINT_SICK, 2, true), ENDPOINT_AS_BEFORE);
	assert_int_equal(hear(&p, ENDPOINT_FINE, 9, false), ENDPOINT_AS_BEFORE);
	assert_int_equal(hear(&p, ENDPOINT_SICK, 3, true), ENDPOINT_FELL);
	/* one that was answered before does */
	endpoint_clear(&p);
	hear(&p, ENDPOINT_SICK, 1, true);
	hear(&p, ENDPOINT_SICK, 2, true);
	assert_int_equal(hear(&p, ENDPOINT_FINE, 4, true), ENDPOINT_AS_BEFORE);
	assert_int_equal(hear(&p, ENDPOINT_SICK, 3, true), ENDPOINT_AS_BEFORE);
}

static void what_was_under_way_when_it_fell_counts_no_more(void **state)
{
	struct key k = key_of(1);
	struct endpoint p = {0};
	struct endpoint_news old = {ENDPOINT_AWAY, &k, true, false, 0};

	(void)state;
	assert_int_equal(endpoint_heard(&p, &old, 1), ENDPOINT_FELL);
	assert_int_equal(endpoint_heard(&p, &old, 2), ENDPOINT_AS_BEFORE);
	old.word = ENDPOINT_SICK;
	assert_int_equal(endpoint_heard(&p, &old, 3), ENDPOINT_AS_BEFORE);
	assert_int_equal(p.failures, 1);
	old.word = ENDPOINT_FINE; /* but a late success is one */
	assert_int_equal(endpoint_heard(&p, &old, 4), ENDPOINT_ROSE);
}

static void one_finds_out_and_it_has_a_key_that_was_answered(void **state)
{
	struct endpoint p = {.failures = 1, .retry_at_ms = 500};
	struct key k = key_of(1);
	int whose, other;

	(void)state;
	assert_false(endpoint_may_be_asked(&p, &other, true, 499));
	assert_true(endpoint_may_be_asked(&p, &other, true, 500));
	assert_true(endpoint_may_be_asked(&p, &other, false, 500)); /* nothing better */
	endpoint_vouch(&p, &k, &whose);
	assert_false(endpoint_may_be_asked(&p, &other, false, 500));
	p.probe = &whose;
	assert_false(endpoint_may_be_asked(&p, &other, true, 500));
	assert_true(endpoint_may_be_asked(&p, &whose, true, 500));
	endpoint_clear(&p);
	assert_true(endpoint_may_be_asked(&p, &other, false, 0));
}

static void the_last_few_keys_are_remembered_and_taken_in_turn(void **state)
{
	struct endpoint p = {0};
	int whose;

	(void)state;
	assert_null(endpoint_vouched(&p));
	for (uint8_t n = 0; n < 2; n++) { /* twice the same is once */
		struct key k = key_of(1);

		endpoint_vouch(&p, &k, &whose);
	}
	for (uint8_t serial = 2; serial <= 5; serial++) {
		struct key k = key_of(serial);

		endpoint_vouch(&p, &k, &whose);
	}
	for (int round = 0; round < 2; round++) {
		unsigned seen = 0;

		for (int n = 0; n < ENDPOINT_VOUCHED; n++) {
			const struct endpoint_vouched *v = endpoint_vouched(&p);
			struct serial s;

			assert_ptr_equal(v->whose, &whose);
			key_serial(&v->key, &s);
			seen |= 1u << s.octets[0];
		}
		assert_int_equal(seen, 1u << 2 | 1u << 3 | 1u << 4 | 1u << 5);
	}
}

static void a_short_time_says_nothing_but_what_came_in_it_does(void **state)
{
	struct fetch_result f = {.error = ERR_UP_TIMEOUT, .reached = true};

	(void)state;
	assert_int_equal(endpoint_word(&f, true), ENDPOINT_SICK);
	assert_int_equal(endpoint_word(&f, false), ENDPOINT_SILENT);
	f.reached = false;
	assert_int_equal(endpoint_word(&f, true), ENDPOINT_AWAY);
	assert_int_equal(endpoint_word(&f, false), ENDPOINT_SILENT);
	f = (struct fetch_result){.error = ERR_UP_CONNECT};
	assert_int_equal(endpoint_word(&f, false), ENDPOINT_AWAY);
	f = (struct fetch_result){.error = ERR_OK, .reached = true, .status = 503};
	assert_int_equal(endpoint_word(&f, false), ENDPOINT_SICK);
	f.status = 499;
	assert_int_equal(endpoint_word(&f, false), ENDPOINT_FINE);
	f.error = ERR_NOMEM;
	assert_int_equal(endpoint_word(&f, true), ENDPOINT_SILENT);
}

int main(void)
{
	const struct CMUnitTest cases[] = {
	    cmocka_unit_test(several_different_keys_make_it_unwell_once),
	    cmocka_unit_test(a_strangers_answer_clears_no_suspicion),
	    cmocka_unit_test(what_was_under_way_when_it_fell_counts_no_more),
	    cmocka_unit_test(one_finds_out_and_it_has_a_key_that_was_answered),
	    cmocka_unit_test(the_last_few_keys_are_remembered_and_taken_in_turn),
	    cmocka_unit_test(a_short_time_says_nothing_but_what_came_in_it_does),
	};

	return cmocka_run_group_tests(cases, NULL, NULL);
}
