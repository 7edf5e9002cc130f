/* 10-miss: what happens between a question that nobody can answer yet and its answer. */
#include "tests/lib/world.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

static const struct world_says good = {
    .serial = 1, .status = STATUS_GOOD, .from = -10, .to = 3600};

static int begin(void **state)
{
	(void)state;
	world_begin("", "");
	return 0;
}

static int begin_with_two_responders(void **state)
{
	(void)state;
	world_begin("", "ocsp = { \"" WORLD_FIRST "\", \"" WORLD_SECOND "\" }");
	return 0;
}

static int begin_with_little_room(void **state)
{
	(void)state;
	/* of which strangers may have one less */
	world_begin("", "max-in-flight = 3\n\tmax-waiting = 4\n\tfetch-rate = 1000");
	return 0;
}

static int end(void **state)
{
	(void)state;
	world_end();
	return 0;
}

/* T15: the "1,000 clients ask for one cold certificate at once: one upstream
 * request". */
static void a_thousand_who_ask_at_once_cost_one_fetch(void **state)
{
	struct world_asked *w[1000];
	struct bytes der;

	(void)state;
	for (int i = 0; i < 1000; i++)
		w[i] = world_ask(1, CERTID_SHA1);
	assert_int_equal(fake_fetches(), 1);
	der = world_sign(&good);
	fake_fetch_answer(0, 200, der);
	world_elapse(0);
	for (int i = 0; i < 1000; i++) {
		assert_int_equal(w[i]->answers, 1);
		assert_int_equal(w[i]->status, STATUS_GOOD);
		assert_int_equal(w[i]->tier, TIER_UPSTREAM);
		assert_int_equal(w[i]->body_n, der.n); /* R67 */
		assert_memory_equal(w[i]->body, der.p, der.n);
	}
	assert_int_equal(fake_fetches(), 1);
}

static void the_next_who_asks_gets_it_from_memory(void **state)
{
	struct world_asked *w;

	(void)state;
	world_ask(1, CERTID_SHA1);
	fake_fetch_answer(0, 200, world_sign(&good));
	world_elapse(0);
	w = world_ask(1, CERTID_SHA1);
	assert_int_equal(w->answers, 1);
	assert_int_equal(w->tier, TIER_MEMORY);
	assert_int_equal(fake_fetches(), 1);
}

/* R14: a SHA-1 answer is none for who asks by SHA-256. */
static void each_hash_algorithm_has_an_answer_of_its_own(void **state)
{
	struct world_says says = good;
	struct world_asked *w;

	(void)state;
	world_ask(1, CERTID_SHA1);
	fake_fetch_answer(0, 200, world_sign(&good));
	w = world_ask(1, CERTID_SHA256);
	assert_int_equal(fake_fetches(), 2);
	fake_fetch_answer(0, 200, world_sign(&good)); /* SHA-1 again */
	world_elapse(0);
	assert_int_equal(w->error, ERR_RESP_NOMATCH);
	world_elapse(3000);
	w = world_ask(1, CERTID_SHA256);
	says.hash = CERTID_SHA256;
	fake_fetch_answer(0, 200, world_sign(&says));
	world_elapse(0);
	assert_int_equal(w->status, STATUS_GOOD);
}

/* R149. Contract: tryLater after answer-timeout (8 s); the flight goes on for those who
 * come later. */
static void a_client_waits_no_longer_than_answer_timeout(void **state)
{
	struct world_asked *w = world_ask(1, CERTID_SHA1), *late;

	(void)state;
	world_elapse(7900);
	assert_int_equal(w->answers, 0);
	late = world_ask(1, CERTID_SHA1);
	world_elapse(200);
	assert_int_equal(w->answers, 1);
	assert_int_equal(w->error, ERR_UP_TIMEOUT);
	assert_int_equal(late->answers, 0);
	fake_fetch_answer(0, 200, world_sign(&good));
	world_elapse(0);
	assert_int_equal(late->status, STATUS_GOOD);
	assert_int_equal(fake_fetches(), 1);
}

/* R39: failures become seconds-long negative answers, and then the CA is asked again. */
static void a_failure_is_repeated_for_error_ttl_and_not_longer(void **state)
{
	struct world_asked *w = world_ask(1, CERTID_SHA1);

	(void)state;
	fake_fetch_answer(0, 200, bytes_of("<html>", 6));
	world_elapse(0);
	fake_fetch_answer(0, 200, bytes_of("<html>", 6)); /* by POST, the same */
	world_elapse(0);
	assert_int_equal(w->error, ERR_RESP_DER);
	for (int i = 0; i < 50; i++) {
		w = world_ask(1, CERTID_SHA1);
		assert_int_equal(w->answers, 1);
		assert_int_equal(w->tier, TIER_NONE);
	}
	assert_int_equal(fake_fetches(), 2);
	world_elapse(2100);
	w = world_ask(1, CERTID_SHA1);
	assert_int_equal(fake_fetches(), 3);
	fake_fetch_answer(0, 200, world_sign(&good));
	world_elapse(0);
	assert_int_equal(w->status, STATUS_GOOD);
}

/* R39, R151: an upstream unauthorized is repeated for unknown-ttl (60 s), never longer.
 */
static void unauthorized_is_repeated_for_unknown_ttl(void **state)
{
	static const uint8_t unauthorized[] = {0x30, 3, 0x0a, 1, 6};
	struct world_asked *w = world_ask(1, CERTID_SHA1);

	(void)state;
	fake_fetch_answer(0, 200, bytes_of(unauthorized, sizeof unauthorized));
	world_elapse(58000);
	assert_int_equal(w->error, ERR_RESP_UNAUTHORIZED);
	w = world_ask(1, CERTID_SHA1);
	assert_int_equal(w->error, ERR_RESP_UNAUTHORIZED);
	assert_int_equal(fake_fetches(), 1);
	world_elapse(3000);
	world_ask(1, CERTID_SHA1);
	assert_int_equal(fake_fetches(), 2);
}

/* R151: the same for a signed unknown, whatever its nextUpdate. */
static void a_signed_unknown_is_repeated_for_unknown_ttl(void **state)
{
	struct world_says says = good;
	struct world_asked *w = world_ask(1, CERTID_SHA1);
	struct bytes value;
	struct key k;

	(void)state;
	says.status = STATUS_UNKNOWN;
	says.to = 7 * 86400;
	fake_fetch_answer(0, 200, world_sign(&says));
	world_elapse(50000);
	assert_int_equal(w->status, STATUS_UNKNOWN);
	assert_int_equal(world_ask(1, CERTID_SHA1)->status, STATUS_UNKNOWN);
	assert_int_equal(fake_fetches(), 1);
	world_key(1, CERTID_SHA1, &k);
	assert_false(
	    fake_store_get(&k, &value)); /* no other node shall repeat it either */
	world_elapse(11000);
	world_ask(1, CERTID_SHA1);
	assert_int_equal(fake_fetches(), 2);
}

static void a_forged_answer_leads_to_the_next_responder(void **state)
{
	struct world_says forged = good;
	struct world_asked *w = world_ask(1, CERTID_SHA1);

	(void)state;
	forged.forged = true;
	assert_memory_equal(fake_fetch_url(0), WORLD_FIRST, strlen(WORLD_FIRST));
	fake_fetch_answer(0, 200, world_sign(&forged));
	world_elapse(0);
	assert_int_equal(w->answers, 0);
	assert_memory_equal(fake_fetch_url(0), WORLD_SECOND, strlen(WORLD_SECOND));
	fake_fetch_answer(0, 200, world_sign(&good));
	world_elapse(0);
	assert_int_equal(w->status, STATUS_GOOD);
}

static void a_responder_that_is_down_is_passed_over_until_its_back_off_ends(void **state)
{
	(void)state;
	world_ask(1, CERTID_SHA1);
	fake_fetch_fail(0, ERR_UP_CONNECT);
	world_elapse(0);
	fake_fetch_answer(0, 200, world_sign(&good));
	world_elapse(0);
	world_ask(2, CERTID_SHA1);
	assert_memory_equal(fake_fetch_url(0), WORLD_SECOND, strlen(WORLD_SECOND));
	world_elapse(11000);
	world_ask(3, CERTID_SHA1);
	assert_memory_equal(
	    fake_fetch_url(fake_fetches_waiting() - 1), WORLD_FIRST, strlen(WORLD_FIRST));
}

/* "the CA comes back: fresh answers without a restart" */
static void after_an_outage_the_first_probe_brings_answers_again(void **state)
{
	struct world_asked *w;
	int failed = 0;

	(void)state;
	for (int i = 0; i < 60; i++) {
		world_ask(1, CERTID_SHA1);
		if (fake_fetches_waiting() > 0) {
			fake_fetch_fail(0, ERR_UP_CONNECT);
			failed++;
		}
		world_elapse(1000);
	}
	assert_in_range(failed, 5, 30); /* back-off doubles, but is capped at 10 s */
	world_elapse(16000);            /* the longest pause: 10 s and half */
	w = world_ask(1, CERTID_SHA1);
	assert_int_equal(fake_fetches_waiting(), 1);
	fake_fetch_answer(0, 200, world_sign(&good));
	world_elapse(0);
	assert_int_equal(w->status, STATUS_GOOD);
}

/* A miss over a cap waits its turn; over max-waiting it is told at once (T13). */
static void misses_over_the_cap_wait_their_turn_and_a_flood_is_bounded(void **state)
{
	struct world_asked *w[7];
	struct world_says says = good;

	(void)state;
	for (unsigned i = 0; i < 7; i++)
		w[i] = world_ask(i, CERTID_SHA1);
	assert_int_equal(fake_fetches_waiting(), 2);
	world_elapse(0);
	assert_int_equal(w[5]->error, ERR_UP_BUSY);
	assert_int_equal(w[6]->error, ERR_UP_BUSY);
	for (unsigned i = 0; i < 5; i++) {
		says.serial = i;
		fake_fetch_answer(0, 200, world_sign(&says));
		world_elapse(0);
		assert_int_equal(w[i]->status, STATUS_GOOD);
	}
}

static struct bytes good_of(unsigned serial)
{
	struct world_says says = good;

	says.serial = serial;
	return world_sign(&says);
}

/* One more certificate is asked for, and its fetch ends so. */
static enum err answered(unsigned serial, int http_status, struct bytes body)
{
	struct world_asked *w = world_ask(serial, CERTID_SHA1);

	while (w->answers == 0) { /* by GET, and by POST where that is no answer */
		fake_fetch_answer(0, http_status, body);
		world_elapse(0);
	}
	return w->error;
}

/* T13: whoever asks for serials that the responder has errors for keeps it from nobody:
 * an error is the answer of one certificate. */
static void what_one_certificate_gets_is_no_other_ones_error(void **state)
{
	static const uint8_t internal[] = {0x30, 3, 0x0a, 1, 2},
			     later[] = {0x30, 3, 0x0a, 1, 3};
	static const struct {
		int http_status;
		const uint8_t *body;
		enum err error;
	} bad[] = {{404, NULL, ERR_UP_HTTP}, {500, NULL, ERR_UP_HTTP},
	    {200, internal, ERR_RESP_INTERNAL}, {200, later, ERR_RESP_TRYLATER}};
	unsigned serial = 100;

	(void)state;
	for (size_t n = 0; n < sizeof bad / sizeof bad[0]; n++) {
		struct bytes body =
		    bytes_of(bad[n].body, bad[n].body != NULL ? sizeof later : 0);

		for (int i = 0; i < 12; i++) {
			assert_int_equal(
			    answered(serial++, bad[n].http_status, body), bad[n].error);
			assert_int_equal(answered(serial, 200, good_of(serial)), ERR_OK);
			serial++;
		}
	}
}

/* And who gets no answer at all: their time is theirs. */
static void strangers_whose_fetches_hang_leave_room_for_a_refresh(void **state)
{
	struct world_asked *w;
	size_t theirs;

	(void)state;
	assert_int_equal(answered(1, 200, good_of(1)), ERR_OK);
	world_elapse(1790000); /* ten seconds before it is due */
	for (unsigned serial = 100; serial < 400; serial++)
		world_ask(serial, CERTID_SHA1);
	theirs = fake_fetches_waiting();
	assert_int_equal(theirs, 48); /* of max-in-flight = 64 */
	world_elapse(20000);
	assert_int_equal(fake_fetches_waiting(), theirs + 1);
	fake_fetch_answer(theirs, 200, good_of(1));
	world_elapse(0);
	w = world_ask(1, CERTID_SHA1);
	assert_int_equal(w->tier, TIER_MEMORY);
	assert_true(w->this_update > WORLD_START + 1700);
}

/* A certificate whose answer has ended is no stranger, also when it gets errors for a
 * while: its question is the probe. */
static void what_was_answered_once_stays_known(void **state)
{
	struct world_asked *w;

	(void)state;
	for (unsigned serial = 1; serial <= 3; serial++)
		answered(serial, 200, good_of(serial));
	world_elapse(3700000); /* all have ended */
	while (fake_fetches_waiting() > 0)
		fake_fetch_fail(0, ERR_UP_TIMEOUT);
	for (int round = 0; round < 5; round++) {
		world_elapse(20000);
		assert_int_equal(answered(1, 500, bytes_of(NULL, 0)), ERR_UP_HTTP);
	}
	w = world_ask(100, CERTID_SHA1); /* it is unwell, and was found so by serial 1 */
	assert_int_equal(w->error, ERR_UP_BACKOFF);
	world_elapse(20000);
	assert_int_equal(answered(1, 200, good_of(1)), ERR_OK);
	assert_int_equal(answered(101, 200, good_of(101)), ERR_OK);
}

/* R131 */
static void who_asks_for_cached_only_causes_no_fetch(void **state)
{
	struct world_asked *w = world_ask_cached(1, CERTID_SHA1);

	(void)state;
	world_elapse(0);
	assert_int_equal(w->answers, 1);
	assert_int_equal(w->error, ERR_NOT_FOUND);
	assert_int_equal(fake_fetches(), 0);
	world_ask(1, CERTID_SHA1);
	w = world_ask_cached(1, CERTID_SHA1); /* a fetch is under way: not waited for */
	assert_int_equal(w->answers, 1);
	fake_fetch_answer(0, 200, world_sign(&good));
	world_elapse(0);
	assert_int_equal(world_ask_cached(1, CERTID_SHA1)->status, STATUS_GOOD);
}

/* R130: no-cache fetches anew, at most once in revalidate-min for a key. */
static void no_cache_fetches_anew_but_not_each_time(void **state)
{
	struct world_asked *w;

	(void)state;
	world_ask(1, CERTID_SHA1);
	fake_fetch_answer(0, 200, world_sign(&good));
	world_elapse(0);
	assert_int_equal(world_ask_anew(1, CERTID_SHA1)->tier, TIER_MEMORY);
	world_elapse(11000);
	w = world_ask_anew(1, CERTID_SHA1);
	assert_int_equal(w->answers, 0);
	assert_int_equal(fake_fetches(), 2);
	fake_fetch_fail(0, ERR_UP_CONNECT); /* the held one is still good */
	world_elapse(0);
	assert_int_equal(w->status, STATUS_GOOD);
}

/* Who waits on the keeper's thread. */

static struct {
	unsigned n;
	enum err e;
} told;

static void on_told(void *arg, const struct answer *a, enum err e, enum tier tier)
{
	assert_ptr_equal(arg, &told);
	assert_null(a);
	assert_true(tier == TIER_MEMORY || tier == TIER_NONE);
	told.n++;
	told.e = e;
}

static void go(enum flight_why why, enum err expected)
{
	unsigned before = told.n;
	struct key k;

	world_key(1, CERTID_SHA1, &k);
	assert_int_equal(flights_go(world_flights, &k, why, on_told, &told), expected);
	assert_int_equal(told.n, before); /* never before it returns */
}

static void who_waits_for_a_flight_is_told_from_the_loop_and_once(void **state)
{
	(void)state;
	told.n = 0;
	go(FLIGHT_COMPARE, ERR_OK); /* the store has nothing, and that is all */
	assert_int_equal(flights_count(world_flights), 0);
	go(FLIGHT_COMPARE, ERR_OK);
	world_elapse(0);
	assert_int_equal(told.n, 2);
	assert_int_equal(told.e, ERR_NOT_FOUND);
	go(FLIGHT_CLIENT, ERR_OK);
	go(FLIGHT_CLIENT, ERR_OK); /* joins it */
	world_elapse(0);
	assert_int_equal(told.n, 2);
	fake_fetch_fail(0, ERR_UP_CONNECT);
	world_elapse(0);
	assert_int_equal(told.n, 4);
	world_elapse(0);
	assert_int_equal(told.n, 4);
}

static void a_cancel_tells_who_waits_and_nobody_after_it(void **state)
{
	(void)state;
	told.n = 0;
	go(FLIGHT_COMPARE, ERR_OK);
	flights_cancel(world_flights);
	assert_int_equal(told.n, 1);
	assert_int_equal(told.e, ERR_NOT_FOUND);
	go(FLIGHT_FORCE, ERR_CANCELLED);
	world_elapse(1000);
	assert_int_equal(told.n, 1);
}

static void a_cancel_ends_a_flight_that_fetches(void **state)
{
	(void)state;
	told.n = 0;
	go(FLIGHT_FORCE, ERR_OK);
	world_elapse(0);
	assert_int_equal(told.n, 0);
	flights_cancel(world_flights);
	assert_int_equal(told.n, 1);
	assert_int_equal(told.e, ERR_CANCELLED);
	world_elapse(1000);
	assert_int_equal(told.n, 1);
}

/* R121: caches in front come back at different moments, and none after max-age-cap. */
static void max_age_is_spread_below_its_cap(void **state)
{
	struct world_says says = good;
	uint32_t least = UINT32_MAX, most = 0;

	(void)state;
	says.to = 86400;
	for (unsigned serial = 1; serial <= 60; serial++) {
		const struct answer *a;
		struct key k;

		says.serial = serial;
		world_ask(serial, CERTID_SHA1);
		fake_fetch_answer(0, 200, world_sign(&says));
		world_elapse(0);
		world_key(serial, CERTID_SHA1, &k);
		a = hot_find(world_shared.hot, key_der(&k));
		assert_in_range(a->max_age_cap, 2700, 3600);
		least = a->max_age_cap < least ? a->max_age_cap : least;
		most = a->max_age_cap > most ? a->max_age_cap : most;
	}
	assert_true(most - least > 450); /* half of the spread, by 60 draws: sure */
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test_setup_teardown(
		a_thousand_who_ask_at_once_cost_one_fetch, begin, end),
	    cmocka_unit_test_setup_teardown(
		the_next_who_asks_gets_it_from_memory, begin, end),
	    cmocka_unit_test_setup_teardown(
		each_hash_algorithm_has_an_answer_of_its_own, begin, end),
	    cmocka_unit_test_setup_teardown(
		a_client_waits_no_longer_than_answer_timeout, begin, end),
	    cmocka_unit_test_setup_teardown(
		a_failure_is_repeated_for_error_ttl_and_not_longer, begin, end),
	    cmocka_unit_test_setup_teardown(
		unauthorized_is_repeated_for_unknown_ttl, begin, end),
	    cmocka_unit_test_setup_teardown(
		a_signed_unknown_is_repeated_for_unknown_ttl, begin, end),
	    cmocka_unit_test_setup_teardown(a_forged_answer_leads_to_the_next_responder,
		begin_with_two_responders, end),
	    cmocka_unit_test_setup_teardown(
		a_responder_that_is_down_is_passed_over_until_its_back_off_ends,
		begin_with_two_responders, end),
	    cmocka_unit_test_setup_teardown(
		after_an_outage_the_first_probe_brings_answers_again, begin, end),
	    cmocka_unit_test_setup_teardown(
		misses_over_the_cap_wait_their_turn_and_a_flood_is_bounded,
		begin_with_little_room, end),
	    cmocka_unit_test_setup_teardown(
		what_one_certificate_gets_is_no_other_ones_error, begin, end),
	    cmocka_unit_test_setup_teardown(
		strangers_whose_fetches_hang_leave_room_for_a_refresh, begin, end),
	    cmocka_unit_test_setup_teardown(
		what_was_answered_once_stays_known, begin, end),
	    cmocka_unit_test_setup_teardown(
		who_asks_for_cached_only_causes_no_fetch, begin, end),
	    cmocka_unit_test_setup_teardown(
		no_cache_fetches_anew_but_not_each_time, begin, end),
	    cmocka_unit_test_setup_teardown(
		who_waits_for_a_flight_is_told_from_the_loop_and_once, begin, end),
	    cmocka_unit_test_setup_teardown(
		a_cancel_tells_who_waits_and_nobody_after_it, begin, end),
	    cmocka_unit_test_setup_teardown(
		a_cancel_ends_a_flight_that_fetches, begin, end),
	    cmocka_unit_test_setup_teardown(max_age_is_spread_below_its_cap, begin, end),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
