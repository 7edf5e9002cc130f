/* 40-store: a store is asked first and trusted never; several nodes fetch once. */
#include "tests/lib/world.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

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

static struct bytes says(enum status status, int64_t from, int64_t to)
{
	struct world_says s = {.serial = 1, .status = status, .from = from, .to = to};

	return world_sign(&s);
}

/* Put a bare OCSPResponse there, as another program could. */
static void store_has(struct bytes der)
{
	struct key k;

	world_key(1, CERTID_SHA1, &k);
	fake_store_put(&k, der);
}

static void compare(void)
{
	struct key k;

	world_key(1, CERTID_SHA1, &k);
	refreshes_compare(world_refreshes, &k);
	world_elapse(0);
}

static void what_the_store_has_costs_no_fetch(void **state)
{
	struct world_asked *w;

	(void)state;
	store_has(says(STATUS_GOOD, -10, 1000));
	w = world_ask(1, CERTID_SHA1);
	assert_int_equal(w->status, STATUS_GOOD);
	assert_int_equal(w->tier, TIER_STORE);
	assert_int_equal(fake_fetches(), 0);
}

static void what_was_fetched_is_stored(void **state)
{
	struct bytes value;
	struct key k;

	(void)state;
	world_ask(1, CERTID_SHA1);
	fake_fetch_answer(0, 200, says(STATUS_GOOD, 0, 1000));
	world_key(1, CERTID_SHA1, &k);
	assert_true(fake_store_get(&k, &value));
	assert_int_equal(metrics_sum(M_STORE_ERRORS), 0);
}

/* P11, T16: what the store offers goes through the one door, and what was refused is
 * written over. */
static void a_forged_value_is_refused_and_replaced(void **state)
{
	struct world_says forged = {
	    .serial = 1, .status = STATUS_GOOD, .to = 1000, .forged = true};
	struct world_asked *w;

	(void)state;
	store_has(world_sign(&forged));
	w = world_ask(1, CERTID_SHA1);
	assert_int_equal(w->answers, 0);
	assert_int_equal(fake_fetches(), 1);
	fake_fetch_answer(0, 200, says(STATUS_GOOD, 0, 1000));
	world_elapse(0);
	assert_int_equal(w->status, STATUS_GOOD);
	assert_int_equal(fake_store.forced, 1);
}

static void an_expired_value_is_a_miss_but_keeps_replays_out(void **state)
{
	struct bytes older = says(STATUS_GOOD, -2000, 1000);
	struct world_asked *w;

	(void)state;
	store_has(says(STATUS_GOOD, -1000, -10));
	w = world_ask(1, CERTID_SHA1);
	assert_int_equal(fake_fetches(), 1);
	fake_fetch_answer(0, 200, older); /* R68: older than what the store had */
	world_elapse(0);
	assert_int_equal(w->error, ERR_RESP_OLDER);
}

/* T16 */
static void a_store_that_is_down_is_a_miss_and_no_error(void **state)
{
	const struct world_says second = {.serial = 2, .status = STATUS_GOOD, .to = 1000};
	struct world_asked *w;

	(void)state;
	fake_store.down = true;
	w = world_ask(1, CERTID_SHA1);
	assert_int_equal(fake_fetches(), 1);
	fake_fetch_answer(0, 200, says(STATUS_GOOD, 0, 1000));
	world_elapse(0);
	assert_int_equal(w->status, STATUS_GOOD);
	assert_int_equal(world_ask(1, CERTID_SHA1)->tier, TIER_MEMORY);
	assert_int_equal(metrics_sum(M_STORE_ERRORS), 2); /* the read and the write */
	fake_store.down = false; /* what works again is no error */
	world_ask(2, CERTID_SHA1);
	fake_fetch_answer(0, 200, world_sign(&second));
	assert_int_equal(fake_store.puts, 2);
	assert_int_equal(metrics_sum(M_STORE_ERRORS), 2);
}

/* T15 over several nodes: the one without the lease waits for the other's answer. */
static void without_the_lease_it_waits_for_the_other_node(void **state)
{
	struct world_asked *w;

	(void)state;
	fake_store.shared = true;
	fake_store.lease = LEASE_TAKEN;
	w = world_ask(1, CERTID_SHA1);
	world_elapse(500);
	assert_int_equal(w->answers, 0);
	store_has(says(STATUS_GOOD, 0, 1000));
	world_elapse(300);
	assert_int_equal(w->status, STATUS_GOOD);
	assert_int_equal(w->tier, TIER_STORE);
	assert_int_equal(fake_fetches(), 0);
}

static void another_node_stores_its_answer(void)
{
	fake_store.before_lease = NULL;
	store_has(says(STATUS_GOOD, 0, 2000));
}

/* T15: between our look and our lease the other node has stored its answer and given its
 * lease back. */
static void what_has_changed_before_the_lease_is_looked_at_again(void **state)
{
	struct world_asked *w;

	(void)state;
	fake_store.shared = true;
	fake_store.lease = LEASE_YOURS;
	fake_store.before_lease = another_node_stores_its_answer;
	w = world_ask(1, CERTID_SHA1);
	world_elapse(0);
	assert_int_equal(w->status, STATUS_GOOD);
	assert_int_equal(w->tier, TIER_STORE);
	assert_int_equal(fake_fetches(), 0);
	assert_int_equal(fake_store.releases, 0);
}

static void another_node_spoils_the_value(void)
{
	struct world_says forged = {.serial = 1,
	    .status = STATUS_GOOD,
	    .from = -(int64_t)fake_store.leases,
	    .to = 1000,
	    .forged = true};
	struct bytes der = world_sign(&forged);

	/* the first octets of a bare response are its lengths: make them differ */
	store_has(bytes_of(der.p, der.n - fake_store.leases));
}

static void a_store_that_changes_each_time_holds_nobody_up(void **state)
{
	struct world_asked *w;

	(void)state;
	fake_store.shared = true;
	fake_store.lease = LEASE_YOURS;
	fake_store.before_lease = another_node_spoils_the_value;
	w = world_ask(1, CERTID_SHA1);
	assert_int_equal(fake_store.leases, 2);
	assert_int_equal(fake_fetches(), 1);
	fake_fetch_answer(0, 200, says(STATUS_GOOD, 0, 1000));
	world_elapse(0);
	assert_int_equal(w->status, STATUS_GOOD);
}

static void word_of_the_others_answer_ends_the_wait_at_once(void **state)
{
	struct world_asked *w;

	(void)state;
	fake_store.shared = true;
	fake_store.lease = LEASE_TAKEN;
	w = world_ask(1, CERTID_SHA1);
	world_elapse(1000);
	store_has(says(STATUS_GOOD, 0, 1000));
	compare();
	assert_int_equal(w->status, STATUS_GOOD);
}

static void when_the_other_node_dies_this_one_fetches(void **state)
{
	struct world_asked *w;

	(void)state;
	fake_store.shared = true;
	fake_store.lease = LEASE_TAKEN;
	w = world_ask(1, CERTID_SHA1);
	world_elapse(500);
	fake_store.lease = LEASE_YOURS; /* the lease ran out */
	world_elapse(300);
	assert_int_equal(fake_fetches(), 1);
	fake_fetch_answer(0, 200, says(STATUS_GOOD, 0, 1000));
	world_elapse(0);
	assert_int_equal(w->status, STATUS_GOOD);
	assert_int_equal(fake_store.releases, 1);
	assert_int_equal(fake_store.failed_marks, 0);
}

static void another_nodes_failure_is_not_repeated(void **state)
{
	struct world_asked *w;

	(void)state;
	fake_store.shared = true;
	fake_store.lease = LEASE_FAILED;
	w = world_ask(1, CERTID_SHA1);
	world_elapse(0);
	assert_int_equal(w->answers, 1);
	assert_int_equal(err_wire(w->error), 3);
	assert_int_equal(fake_fetches(), 0);
}

static void our_failure_is_told_to_the_others(void **state)
{
	(void)state;
	fake_store.shared = true;
	fake_store.lease = LEASE_YOURS;
	world_ask(1, CERTID_SHA1);
	fake_fetch_fail(0, ERR_UP_CONNECT);
	world_elapse(0);
	assert_int_equal(fake_store.failed_marks, 1);
}

/* What only this node lacks keeps no other one from asking. */
static void our_own_lack_of_turns_is_told_to_nobody(void **state)
{
	struct world_asked *w;

	(void)state;
	fake_store.shared = true;
	fake_store.lease = LEASE_YOURS;
	world_ask(1, CERTID_SHA1);
	fake_fetch_fail(0, ERR_UP_CONNECT);
	world_elapse(0);
	w = world_ask(2, CERTID_SHA1);
	world_elapse(0);
	assert_int_equal(w->error, ERR_UP_BACKOFF);
	assert_int_equal(fake_store.releases, 2);
	assert_int_equal(fake_store.failed_marks, 1);
}

static void hold_good(void)
{
	world_ask(1, CERTID_SHA1);
	fake_fetch_answer(0, 200, says(STATUS_GOOD, -10, 1000));
	world_elapse(0);
}

static void a_newer_answer_of_another_node_is_taken_over(void **state)
{
	(void)state;
	hold_good();
	store_has(says(STATUS_GOOD, 0, 2000));
	compare();
	assert_int_equal(world_ask(1, CERTID_SHA1)->this_update, WORLD_START);
	assert_int_equal(fake_fetches(), 1);
}

/* Contract 1.5: nothing that Redis does removes an answer from memory. */
static void nothing_the_store_does_takes_an_answer_from_memory(void **state)
{
	struct world_says forged = {
	    .serial = 1, .status = STATUS_REVOKED, .to = 1000, .forged = true};
	struct key k;

	(void)state;
	hold_good();
	world_key(1, CERTID_SHA1, &k);
	fake_store_drop(&k);
	compare();
	assert_int_equal(world_ask(1, CERTID_SHA1)->tier, TIER_MEMORY);
	store_has(says(STATUS_GOOD, -500, 5000)); /* older */
	compare();
	assert_int_equal(world_ask(1, CERTID_SHA1)->this_update, WORLD_START - 10);
	store_has(world_sign(&forged));
	compare();
	assert_int_equal(world_ask(1, CERTID_SHA1)->status, STATUS_GOOD);
	fake_store.down = true;
	compare();
	refreshes_compare_all(world_refreshes);
	world_elapse(1000);
	assert_int_equal(world_ask(1, CERTID_SHA1)->tier, TIER_MEMORY);
	assert_int_equal(fake_fetches(), 1);
}

static void another_nodes_revocation_takes_every_key_out_of_service(void **state)
{
	struct world_says revoked = {
	    .serial = 1, .hash = CERTID_SHA256, .status = STATUS_REVOKED, .to = 1000};
	struct key k;

	(void)state;
	hold_good();
	world_key(1, CERTID_SHA256, &k); /* not held here; the certificate is */
	fake_store_put(&k, world_sign(&revoked));
	refreshes_compare(world_refreshes, &k);
	world_elapse(0);
	assert_int_equal(latches_count(world_latches), 1);
	world_key(1, CERTID_SHA1, &k);
	assert_null(hot_find(world_shared.hot, key_der(&k)));
}

/* Other nodes' certificates are theirs: their news cost this one nothing. */
static void what_is_not_held_is_not_compared(void **state)
{
	struct key k;
	unsigned gets;

	(void)state;
	hold_good();
	gets = fake_store.gets;
	world_key(2, CERTID_SHA1, &k);
	refreshes_compare(world_refreshes, &k);
	world_elapse(0);
	assert_int_equal(fake_store.gets, gets);
	compare();
	assert_int_equal(fake_store.gets, gets + 1);
}

static void after_the_store_was_away_everything_held_is_compared(void **state)
{
	(void)state;
	hold_good();
	store_has(says(STATUS_GOOD, 0, 2000));
	refreshes_compare_all(world_refreshes);
	world_elapse(200);
	assert_int_equal(world_ask(1, CERTID_SHA1)->this_update, WORLD_START);
}

static void a_refresh_takes_a_newer_answer_of_another_node_instead_of_fetching(
    void **state)
{
	(void)state;
	hold_good();
	world_elapse(400000);
	store_has(says(STATUS_GOOD, 0, 2000));
	world_elapse(100000);
	assert_int_equal(world_ask(1, CERTID_SHA1)->this_update, WORLD_START + 400);
	assert_int_equal(fake_fetches(), 1);
}

static void a_refresh_that_another_node_has_just_made_is_not_made_again(void **state)
{
	(void)state;
	hold_good();
	fake_store.shared = true;
	fake_store.lease = LEASE_YOURS;
	fake_store.before_lease = another_node_stores_its_answer;
	world_elapse(500000); /* half of its life */
	assert_null(fake_store.before_lease);
	assert_int_equal(fake_fetches(), 1); /* the first one */
	assert_true(world_ask(1, CERTID_SHA1)->this_update > WORLD_START);
}

/* News that come while our own fetch is under way are not lost with it. */
static void what_another_node_wrote_during_a_fetch_is_compared_after_it(void **state)
{
	struct world_says revoked = {.serial = 1, .status = STATUS_REVOKED, .to = 1000};

	(void)state;
	hold_good();
	world_elapse(500000);
	assert_int_equal(fake_fetches_waiting(), 1); /* the refresh */
	store_has(world_sign(&revoked));
	compare();
	assert_int_equal(world_ask(1, CERTID_SHA1)->status, STATUS_GOOD);
	fake_fetch_fail(0, ERR_UP_TIMEOUT);
	world_elapse(0);
	assert_int_equal(world_ask(1, CERTID_SHA1)->status, STATUS_REVOKED);
	assert_int_equal(latches_count(world_latches), 1);
}

static void a_silent_store_holds_clients_no_longer_than_answer_timeout(void **state)
{
	struct world_asked *w;

	(void)state;
	fake_store.silent = true;
	w = world_ask(1, CERTID_SHA1);
	world_elapse(8100);
	assert_int_equal(w->answers, 1);
	fake_store.silent = false;
	fake_store_speak(); /* after all: the flight goes on */
	world_elapse(0);
	assert_int_equal(fake_fetches(), 1);
	fake_fetch_answer(0, 200, says(STATUS_GOOD, 0, 1000));
	world_elapse(0);
	assert_int_equal(world_ask(1, CERTID_SHA1)->status, STATUS_GOOD);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test_setup_teardown(
		what_the_store_has_costs_no_fetch, begin, end),
	    cmocka_unit_test_setup_teardown(what_was_fetched_is_stored, begin, end),
	    cmocka_unit_test_setup_teardown(
		a_forged_value_is_refused_and_replaced, begin, end),
	    cmocka_unit_test_setup_teardown(
		an_expired_value_is_a_miss_but_keeps_replays_out, begin, end),
	    cmocka_unit_test_setup_teardown(
		a_store_that_is_down_is_a_miss_and_no_error, begin, end),
	    cmocka_unit_test_setup_teardown(
		without_the_lease_it_waits_for_the_other_node, begin, end),
	    cmocka_unit_test_setup_teardown(
		word_of_the_others_answer_ends_the_wait_at_once, begin, end),
	    cmocka_unit_test_setup_teardown(
		when_the_other_node_dies_this_one_fetches, begin, end),
	    cmocka_unit_test_setup_teardown(
		another_nodes_failure_is_not_repeated, begin, end),
	    cmocka_unit_test_setup_teardown(
		our_failure_is_told_to_the_others, begin, end),
	    cmocka_unit_test_setup_teardown(
		our_own_lack_of_turns_is_told_to_nobody, begin, end),
	    cmocka_unit_test_setup_teardown(
		a_newer_answer_of_another_node_is_taken_over, begin, end),
	    cmocka_unit_test_setup_teardown(
		nothing_the_store_does_takes_an_answer_from_memory, begin, end),
	    cmocka_unit_test_setup_teardown(
		another_nodes_revocation_takes_every_key_out_of_service, begin, end),
	    cmocka_unit_test_setup_teardown(what_is_not_held_is_not_compared, begin, end),
	    cmocka_unit_test_setup_teardown(
		after_the_store_was_away_everything_held_is_compared, begin, end),
	    cmocka_unit_test_setup_teardown(
		a_refresh_takes_a_newer_answer_of_another_node_instead_of_fetching, begin,
		end),
	    cmocka_unit_test_setup_teardown(
		what_has_changed_before_the_lease_is_looked_at_again, begin, end),
	    cmocka_unit_test_setup_teardown(
		a_store_that_changes_each_time_holds_nobody_up, begin, end),
	    cmocka_unit_test_setup_teardown(
		a_refresh_that_another_node_has_just_made_is_not_made_again, begin, end),
	    cmocka_unit_test_setup_teardown(
		what_another_node_wrote_during_a_fetch_is_compared_after_it, begin, end),
	    cmocka_unit_test_setup_teardown(
		a_silent_store_holds_clients_no_longer_than_answer_timeout, begin, end),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
