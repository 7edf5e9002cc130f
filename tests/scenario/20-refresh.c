/* 20-refresh: answers that are used stay fresh, and none outlives its nextUpdate. */
#include "tests/lib/world.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "proxy/base/log.h"

static int begin(void **state)
{
	(void)state;
	world_begin("", "");
	return 0;
}

static int end(void **state)
{
	(void)state;
	world_end();
	return 0;
}

static struct bytes says(int64_t to)
{
	struct world_says s = {.serial = 1, .status = STATUS_GOOD, .from = 0, .to = to};

	return world_sign(&s);
}

static struct bytes says_of(unsigned serial, int64_t to)
{
	struct world_says s = {
	    .serial = serial, .status = STATUS_GOOD, .from = 0, .to = to};

	return world_sign(&s);
}

static void hold_an_answer(int64_t to)
{
	world_ask(1, CERTID_SHA1);
	fake_fetch_answer(0, 200, says(to));
	world_elapse(0);
}

/* What the log says from overhear() to heard(). */
static FILE *said;
static int true_stderr;

static void overhear(void)
{
	said = tmpfile();
	fflush(stderr);
	true_stderr = dup(STDERR_FILENO);
	assert_true(said != NULL && true_stderr >= 0);
	assert_int_equal(dup2(fileno(said), STDERR_FILENO), STDERR_FILENO);
	log_setup(LEVEL_WARN, LOG_FORMAT_LOGFMT, 0);
}

static void heard(char *text, size_t room)
{
	ssize_t n;

	log_setup(LEVEL_ERROR, LOG_FORMAT_LOGFMT, 0);
	dup2(true_stderr, STDERR_FILENO);
	close(true_stderr);
	n = pread(fileno(said), text, room - 1, 0);
	assert_true(n >= 0);
	text[n] = '\0';
	fclose(said);
}

/* R143: refresh at half of its life; no client asks or waits for it. */
static void a_used_answer_is_fetched_anew_at_half_of_its_life(void **state)
{
	struct world_asked *w;

	(void)state;
	hold_an_answer(1000);
	world_elapse(499000);
	assert_int_equal(fake_fetches(), 1);
	world_elapse(2000);
	assert_int_equal(fake_fetches(), 2);
	w = world_ask(1, CERTID_SHA1); /* meanwhile the old one is served */
	assert_int_equal(w->answers, 1);
	assert_int_equal(w->this_update, WORLD_START);
	fake_fetch_answer(0, 200, says(1000));
	world_elapse(0);
	assert_int_equal(world_ask(1, CERTID_SHA1)->this_update, WORLD_START + 501);
}

static void an_answer_that_nobody_asks_for_again_is_not_refreshed_for_ever(void **state)
{
	struct key k;

	(void)state;
	hold_an_answer(1000);
	world_elapse(501000);
	assert_int_equal(fake_fetches(), 2); /* it was used once: by its first client */
	fake_fetch_answer(0, 200, says(1000));
	world_elapse(999000);
	assert_int_equal(fake_fetches(), 2);
	world_elapse(10000);
	world_key(1, CERTID_SHA1, &k);
	assert_null(hot_find(world_shared.hot, key_der(&k)));
	world_ask(1, CERTID_SHA1);
	assert_int_equal(fake_fetches(), 3);
}

static void one_that_is_used_late_is_refreshed_late(void **state)
{
	(void)state;
	hold_an_answer(1000);
	world_elapse(501000);
	fake_fetch_answer(0, 200, says(1000)); /* unused from here on: lives until 1501 */
	world_elapse(700000);
	assert_int_equal(fake_fetches(), 2);
	/* a hit: what a worker does */
	{
		struct key k;

		world_key(1, CERTID_SHA1, &k);
		hot_visit(hot_find(world_shared.hot, key_der(&k)));
	}
	world_elapse(150000);
	assert_int_equal(fake_fetches(), 3);
}

/* P23, R133, R132: the old one is served until nextUpdate, never after. R134: then
 * tryLater. */
static void with_the_ca_down_it_is_served_until_next_update_and_then_no_more(void **state)
{
	struct world_asked *w;

	(void)state;
	hold_an_answer(100);
	for (int s = 1; s < 100; s++) {
		world_elapse(1000);
		while (fake_fetches_waiting() > 0)
			fake_fetch_fail(0, ERR_UP_CONNECT);
		w = world_ask(1, CERTID_SHA1);
		assert_int_equal(w->answers, 1);
		assert_int_equal(w->status, STATUS_GOOD);
	}
	assert_in_range(fake_fetches(), 4, 40); /* tried again and again, with pauses */
	world_elapse(1000);
	w = world_ask(1, CERTID_SHA1);
	while (fake_fetches_waiting() > 0)
		fake_fetch_fail(0, ERR_UP_CONNECT);
	world_elapse(0);
	assert_int_equal(w->answers, 1);
	assert_int_equal(w->status, STATUS_NONE);
	assert_int_equal(err_wire(w->error), 3);
	/* and it recovers */
	world_elapse(16000); /* the longest pause: 10 s and half */
	w = world_ask(1, CERTID_SHA1);
	fake_fetch_answer(0, 200, says(100));
	world_elapse(0);
	assert_int_equal(w->status, STATUS_GOOD);
}

/* R68: what comes must not be older than what is held. */
static void an_older_answer_never_replaces_a_newer_one(void **state)
{
	struct bytes old = says(1000);

	(void)state;
	world_elapse(5000);
	hold_an_answer(1000);
	world_elapse(501000);
	fake_fetch_answer(0, 200, old);
	world_elapse(0);
	assert_int_equal(world_ask(1, CERTID_SHA1)->this_update, WORLD_START + 5);
}

/* A responder that signs in advance gives the same bytes until its next batch. */
static void the_same_answer_again_does_not_make_it_ask_each_second(void **state)
{
	struct bytes der = says(1000);

	(void)state;
	world_ask(1, CERTID_SHA1);
	fake_fetch_answer(0, 200, der);
	world_elapse(0);
	for (int s = 0; s < 990; s += 5) {
		world_elapse(5000);
		while (fake_fetches_waiting() > 0)
			fake_fetch_answer(0, 200, der);
		world_ask(1, CERTID_SHA1);
	}
	assert_in_range(fake_fetches(), 3, 30);
}

/* R61, T5: nextUpdate in the year 9999. */
static void absurd_validity_does_not_stop_the_refresh(void **state)
{
	(void)state;
	hold_an_answer(INT64_C(253402300799) - WORLD_START - 1);
	world_elapse(INT64_C(345600000) + 3600000); /* refresh-max: four days */
	assert_int_equal(fake_fetches(), 2);
}

/* R133, T26: an error of the responder is worth less than a signed answer in date. */
static void no_error_of_the_responder_displaces_a_signed_answer(void **state)
{
	static const uint8_t wire[] = {1, 2, 3, 5, 6, 4, 7};

	(void)state;
	hold_an_answer(100000);
	world_elapse(50100000);
	for (size_t i = 0; i < sizeof wire; i++) {
		const uint8_t der[] = {0x30, 3, 0x0a, 1, wire[i]};

		for (int n = 0; n < 700 && fake_fetches_waiting() == 0; n++)
			world_elapse(1000);
		assert_int_equal(fake_fetches_waiting(), 1);
		fake_fetch_answer(0, 200, bytes_of(der, sizeof der));
		world_elapse(0);
		assert_int_equal(world_ask(1, CERTID_SHA1)->status, STATUS_GOOD);
	}
}

/* P13, T28: HAProxy's one stuck update held up all others. */
static void a_refresh_that_hangs_holds_up_no_other_and_is_told(void **state)
{
	(void)state;
	for (unsigned serial = 1; serial <= 3; serial++) {
		world_ask(serial, CERTID_SHA1);
		fake_fetch_answer(0, 200, says_of(serial, 1000));
		world_elapse(2000); /* due one after the other */
	}
	world_elapse(499000);
	assert_int_equal(fake_fetches_waiting(), 3);
	assert_in_range(refreshes_overdue_s(world_refreshes), 4, 6);
	fake_fetch_answer(2, 200, says_of(3, 1000)); /* the first one hangs */
	fake_fetch_answer(1, 200, says_of(2, 1000));
	world_elapse(60000);
	assert_int_equal(world_ask(2, CERTID_SHA1)->this_update, WORLD_START + 505);
	assert_int_equal(world_ask(3, CERTID_SHA1)->this_update, WORLD_START + 505);
	assert_int_equal(world_ask(1, CERTID_SHA1)->status, STATUS_GOOD);
	assert_in_range(refreshes_overdue_s(world_refreshes), 64, 66);
	fake_fetch_answer(0, 200, says_of(1, 1000));
	world_elapse(0);
	assert_int_equal(refreshes_overdue_s(world_refreshes), 0);
}

/* R143: who watches must have time to act: the alarm is there before the last quarter. */
static void a_refresh_that_keeps_failing_is_told_before_the_last_quarter(void **state)
{
	uint64_t told = 0;
	char text[65536];

	(void)state;
	hold_an_answer(8640);
	overhear();
	for (int s = 0; s < 8640 * 3 / 4; s += 5) {
		world_elapse(5000);
		while (fake_fetches_waiting() > 0)
			fake_fetch_fail(0, ERR_UP_CONNECT);
		told = metrics_sum(M_REFRESHES_LATE);
		if (s < 8640 * 3 / 5)
			assert_int_equal(told, 0);
	}
	assert_true(told > 0);
	heard(text, sizeof text);
	/* with whom it concerns */
	assert_non_null(strstr(text, "event=refresh_late issuer=world left_s="));
	assert_non_null(strstr(text, " remedy="));
}

/* P31, P32: proftpd#519: the good answer was dropped before a better
 * one came. */
static void a_refused_refresh_leaves_the_held_answer(void **state)
{
	struct world_says forged = {
	    .serial = 1, .status = STATUS_GOOD, .to = 2000, .forged = true};

	(void)state;
	hold_an_answer(1000);
	world_elapse(501000);
	fake_fetch_answer(0, 200, world_sign(&forged));
	world_elapse(0);
	assert_int_equal(world_ask(1, CERTID_SHA1)->this_update, WORLD_START);
	world_elapse(100000);
	assert_true(fake_fetches() > 2); /* and it is tried again */
	fake_fetch_answer(0, 200, bytes_of("<html>", 6));
	world_elapse(0);
	assert_int_equal(world_ask(1, CERTID_SHA1)->this_update, WORLD_START);
}

static const struct answer *held(void)
{
	struct key k;

	world_key(1, CERTID_SHA1, &k);
	return hot_find(world_shared.hot, key_der(&k));
}

/* R125: an answer that came after another one of the same thisUpdate is known by it no
 * more (proxy/http/ocsp_http.h), until one with a date of its own. */
static void a_date_that_two_answers_share_is_nobodys(void **state)
{
	struct world_says again = {
	    .serial = 1, .status = STATUS_GOOD, .from = -501, .to = 1000};

	(void)state;
	hold_an_answer(1000);
	assert_false(held()->date_shared);
	world_elapse(501000);
	fake_fetch_answer(0, 200, world_sign(&again));
	world_elapse(0);
	assert_int_equal(held()->facts.this_update, WORLD_START);
	assert_true(held()->date_shared);
	world_ask(1, CERTID_SHA1);
	world_elapse(500000);
	fake_fetch_answer(0, 200, says(1000));
	world_elapse(0);
	assert_int_equal(held()->facts.this_update, WORLD_START + 1001);
	assert_false(held()->date_shared);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test_setup_teardown(
		a_used_answer_is_fetched_anew_at_half_of_its_life, begin, end),
	    cmocka_unit_test_setup_teardown(
		an_answer_that_nobody_asks_for_again_is_not_refreshed_for_ever, begin,
		end),
	    cmocka_unit_test_setup_teardown(
		one_that_is_used_late_is_refreshed_late, begin, end),
	    cmocka_unit_test_setup_teardown(
		with_the_ca_down_it_is_served_until_next_update_and_then_no_more, begin,
		end),
	    cmocka_unit_test_setup_teardown(
		an_older_answer_never_replaces_a_newer_one, begin, end),
	    cmocka_unit_test_setup_teardown(
		the_same_answer_again_does_not_make_it_ask_each_second, begin, end),
	    cmocka_unit_test_setup_teardown(
		a_date_that_two_answers_share_is_nobodys, begin, end),
	    cmocka_unit_test_setup_teardown(
		absurd_validity_does_not_stop_the_refresh, begin, end),
	    cmocka_unit_test_setup_teardown(
		no_error_of_the_responder_displaces_a_signed_answer, begin, end),
	    cmocka_unit_test_setup_teardown(
		a_refresh_that_hangs_holds_up_no_other_and_is_told, begin, end),
	    cmocka_unit_test_setup_teardown(
		a_refresh_that_keeps_failing_is_told_before_the_last_quarter, begin, end),
	    cmocka_unit_test_setup_teardown(
		a_refused_refresh_leaves_the_held_answer, begin, end),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
