/* 80-poll: what is watched and what no list tells of is asked for by OCSP, evenly. */
#include "tests/lib/world.h"

#include <openssl/evp.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "cache/watch/inventory.h"
#include "proxy/base/clock.h"
#include "proxy/base/log.h"
#include "proxy/keeper/unlatch.h"
#include "tests/lib/forge.h"

#define INTERVAL_S 100
#define CERTS_MAX  512
#define FOR_EVER   1000000 /* s */

static const char *const every = "watch-interval = \"100s\"";
static const char *const listed = "crl = \"http://lists.example/world.crl\"";

static const struct inventory *inventory;
static int64_t asked_at[CERTS_MAX]; /* by number, s; 0: never */
static unsigned asked[CERTS_MAX];   /* how often */
static int64_t least, most;         /* between two asks for one */

static int begin(void **state)
{
	(void)state;
	world_begin(every, "");
	memset(asked, 0, sizeof asked);
	memset(asked_at, 0, sizeof asked_at);
	least = INT64_MAX;
	most = 0;
	return 0;
}

static void put_in_force(const struct inventory *v)
{
	atomic_store(&world_shared.inventory, v);
	inventory_unref(inventory);
	inventory = v;
}

static int end(void **state)
{
	(void)state;
	world_end();
	put_in_force(NULL);
	return 0;
}

static int begin_with_list(void **state)
{
	begin(state);
	world_end();
	world_begin(every, listed);
	return 0;
}

static int begin_with_learnt(void **state)
{
	begin(state);
	world_end();
	world_begin(
	    "watch-interval = \"100s\" ccadb = \"none.csv\"", "crl = { \"ccadb\" }");
	return 0;
}

#define LIST_1 "http://lists.example/1.crl"
#define LIST_2 "http://lists.example/2.crl"

static int begin_with_two_lists(void **state)
{
	begin(state);
	world_end();
	world_begin(every, "crl = { \"" LIST_1 "\", \"" LIST_2 "\" }");
	return 0;
}

static const struct watch_cas *cas(void)
{
	static const struct watch_ca ca = {
	    .id = 7, .issuer = "world", .dn = "CN=World CA", .aki_n = 0};

	return watch_cas_with(&watch_cas_none, &ca);
}

static struct watched watched_of(unsigned number, int64_t not_after)
{
	struct serial s;
	struct watched w;

	world_serial(number, &s);
	watched_set(&w, &s, not_after, true);
	return w;
}

/* The list of this name has the certificates first to last; what else there is stays. */
static void watch_until(
    const char *name, unsigned first, unsigned last, int64_t not_after)
{
	struct watch_list *l = watch_list_new(name, WATCH_API, 1, last - first + 1);
	const struct watch_cas *c = cas();
	struct watched w[CERTS_MAX];

	for (unsigned n = first; n <= last; n++)
		w[n - first] = watched_of(n, not_after);
	qsort(w, last - first + 1, sizeof w[0], crl_order);
	for (unsigned n = first; n <= last; n++)
		assert_true(watch_list_add(l, 7, &w[n - first]));
	put_in_force(inventory_with(
	    inventory != NULL ? inventory : &inventory_none, l, c, &watch_points_none));
	assert_non_null(inventory);
	watch_list_unref(l);
	watch_cas_unref(c);
}

/* The certificates first and first + 1 name this list; the second one is a hint. */
static void watch_naming(const char *name, unsigned first, const char *url)
{
	const struct inventory *v = inventory != NULL ? inventory : &inventory_none;
	struct watch_list *l = watch_list_new(name, WATCH_API, 1, 2);
	struct watch_point_draft *d = watch_point_draft_new(v->points, NULL);
	const struct watch_points *points;
	const struct watch_cas *c = cas();
	struct watch_record row = {.not_after = WATCH_TIME_NONE};
	struct watched w[2];
	uint8_t run[128];
	size_t n = 0;

	watch_run_add(run, &n, url, strlen(url));
	row.crl = bytes_of(run, n);
	for (unsigned i = 0; i < 2; i++) {
		struct serial s;

		row.verified = i == 0;
		world_serial(first + i, &s);
		assert_true(watch_point_draft_entry(d, 7, &s, &row, &w[i]));
	}
	qsort(w, 2, sizeof w[0], crl_order);
	assert_true(watch_list_add(l, 7, &w[0]) && watch_list_add(l, 7, &w[1]));
	points = watch_point_draft_end(d);
	put_in_force(inventory_with(v, l, c, points));
	assert_non_null(inventory);
	watch_points_unref(points);
	watch_point_draft_free(d);
	watch_list_unref(l);
	watch_cas_unref(c);
}

static void watch(const char *name, unsigned first, unsigned last)
{
	watch_until(name, first, last, WATCH_TIME_NONE);
}

/* The number of the certificate that a waiting fetch asks for: its request ends in it. */
static unsigned number_of(size_t fetch)
{
	const char *url = fake_fetch_url(fetch) + strlen(WORLD_FIRST);
	uint8_t text[512], der[512];
	int n = 0, der_n, padding = 0;

	for (; *url != '\0'; url++) {
		unsigned c = (unsigned char)*url;

		if (c == '%') {
			assert_int_equal(sscanf(url + 1, "%2x", &c), 1);
			url += 2;
		}
		padding += c == '=';
		text[n++] = (uint8_t)c;
	}
	der_n = EVP_DecodeBlock(der, text, n) - padding;
	return (unsigned)der[der_n - 2] << 8 | der[der_n - 1];
}

static void note(unsigned number)
{
	int64_t now = clock_now(), since = now - asked_at[number];

	if (asked[number]++ > 0) {
		least = since < least ? since : least;
		most = since > most ? since : most;
	}
	asked_at[number] = now;
}

static void answer(size_t fetch, enum status status, int reason)
{
	struct world_says s = {.serial = number_of(fetch),
	    .status = status,
	    .reason = reason,
	    .to = FOR_EVER};

	note(s.serial);
	fake_fetch_answer(fetch, 200, world_sign(&s));
	world_elapse(0);
	forge_reset(); /* it was taken: thousands more come */
}

static void answer_good(void)
{
	while (fake_fetches_waiting() > 0)
		answer(0, STATUS_GOOD, 0);
}

/* Time passes, and the CA says good to everything.  Returns the most fetches that there
 * were within a second. */
static size_t all_good(int64_t s)
{
	size_t busiest = 0;

	for (int64_t i = 0; i < s; i++) {
		size_t before = fake_fetches();

		world_elapse(1000);
		answer_good();
		if (fake_fetches() - before > busiest)
			busiest = fake_fetches() - before;
	}
	return busiest;
}

static unsigned asked_in_all(void)
{
	unsigned sum = 0;

	for (size_t i = 0; i < CERTS_MAX; i++)
		sum += asked[i];
	return sum;
}

static enum status status_of(unsigned number)
{
	struct evidence e;
	struct serial s;

	world_serial(number, &s);
	evidence_of(&world_parts()->evidence, world_issuer(), &s, NULL, &e);
	return e.status;
}

static bool is_held(unsigned number)
{
	struct key k;

	world_key(number, CERTID_SHA1, &k);
	return hot_find(world_shared.hot, key_der(&k)) != NULL;
}

/* R152: a revocation shows within the interval, whoever asks. */
static void each_is_asked_for_once_a_round_and_they_are_spread(void **state)
{
	(void)state;
	watch("fleet", 1, 50);
	assert_in_range(all_good(INTERVAL_S + 1), 1, 2);
	for (unsigned n = 1; n <= 50; n++)
		assert_in_range(asked[n], 1, 2);
	all_good(10 * INTERVAL_S);
	assert_in_range(asked_in_all(), 11 * 50, 12 * 50);
	assert_in_range(least, 88, 100);
	assert_in_range(most, 88, 102);
	assert_int_equal(status_of(1), STATUS_GOOD);
	assert_int_equal(status_of(51), STATUS_UNKNOWN);
}

static void nothing_is_asked_for_at_once(void **state)
{
	(void)state;
	watch("one", 1, 1);
	world_elapse(0);
	assert_int_equal(fake_fetches(), 0);
	all_good(INTERVAL_S + 1);
	assert_in_range(asked[1], 1, 2);
}

static void a_long_list_is_no_storm_and_is_asked_for_within_an_interval(void **state)
{
	(void)state;
	watch("a", 1, 2);
	all_good(130);
	watch("b", 100, 399);
	assert_in_range(all_good(INTERVAL_S + 2), 3, 5);
	for (unsigned n = 100; n <= 399; n++)
		assert_true(asked[n] >= 1);
	watch("b", 100, 100);
	all_good(2 * INTERVAL_S);
	assert_in_range(least, 50, 100);
}

static void a_reload_changes_nothing(void **state)
{
	(void)state;
	watch("fleet", 1, 50);
	all_good(INTERVAL_S);
	for (int i = 0; i < 20; i++) {
		world_reload(every, "");
		assert_int_equal(status_of(1), STATUS_GOOD);
		assert_in_range(all_good(5), 1, 2);
	}
	assert_in_range(least, 88, 102);
	assert_in_range(most, 88, 102);
}

static void a_reload_with_other_rules_forgets_what_was_heard_by_the_old_ones(void **state)
{
	(void)state;
	watch("fleet", 1, 5);
	all_good(INTERVAL_S);
	assert_int_equal(status_of(3), STATUS_GOOD);
	world_reload(every, "allow-sha1-signatures = true");
	assert_int_equal(status_of(3), STATUS_UNKNOWN);
	all_good(INTERVAL_S);
	assert_int_equal(status_of(3), STATUS_GOOD);
}

static void another_interval_counts_at_once(void **state)
{
	(void)state;
	watch("fleet", 1, 5);
	all_good(INTERVAL_S);
	world_reload("watch-interval = \"10s\"", "");
	all_good(12);
	for (unsigned n = 1; n <= 5; n++)
		assert_in_range(asked[n], 2, 3);
	world_reload(every, "");
	all_good(50);
	assert_in_range(asked_in_all(), 10, 20);
}

static void a_start_begins_anywhere_and_asks_no_faster(void **state)
{
	bool first[3] = {false};

	for (int i = 0; i < 12; i++) {
		if (i > 0)
			begin(state);
		watch("fleet", 1, 300);
		/* chance of the world's schedule: moved on by another number each time */
		for (int n = 0; n < i; n++)
			schedule_random(world_schedule);
		assert_in_range(all_good(3), 1, 5);
		for (unsigned n = 1; n <= 300; n++)
			if (asked[n] > 0)
				first[(n - 1) / 100] = true;
		if (i < 11)
			end(state);
	}
	assert_true(first[0] + first[1] + first[2] >= 2);
}

static void who_stands_on_two_lists_is_asked_for_once(void **state)
{
	(void)state;
	watch("a", 1, 40);
	watch("b", 1, 40);
	watch("c", 1, 40);
	all_good(4 * INTERVAL_S); /* the walk learns how many there are */
	least = INT64_MAX;
	all_good(4 * INTERVAL_S);
	assert_in_range(least, 85, 100);
}

static void it_ends_with_the_certificate_and_with_its_list(void **state)
{
	(void)state;
	watch_until("ends", 1, 1, WORLD_START + 250);
	watch("stays", 2, 2);
	all_good(240);
	assert_in_range(asked[1], 2, 3);
	all_good(15);
	asked[1] = asked[2] = 0;
	all_good(300);
	assert_int_equal(asked[1], 0);
	assert_in_range(asked[2], 2, 4);
	put_in_force(inventory_without(inventory, "stays"));
	all_good(2);
	asked[2] = 0;
	all_good(300);
	assert_int_equal(asked_in_all(), 0);
}

/* Only what no list in date would tell. */
static void lists_that_are_in_date_are_left_to_tell(void **state)
{
	unsigned before;

	(void)state;
	fake_list(-10, 500, NULL, 0);
	watch("fleet", 1, 10);
	all_good(490);
	assert_int_equal(asked_in_all(), 0);
	all_good(INTERVAL_S + 15); /* it runs out */
	assert_in_range(asked_in_all(), 10, 12);
	fake_list(-10, FOR_EVER, NULL, 0);
	all_good(2);
	before = asked_in_all();
	all_good(3 * INTERVAL_S);
	assert_int_equal(asked_in_all(), before);
}

/* No list is configured by its URL. */
static void learnt_lists_that_are_in_date_are_left_to_tell(void **state)
{
	(void)state;
	fake_list(-10, 2 * INTERVAL_S, NULL, 0);
	watch("fleet", 1, 10);
	all_good(2 * INTERVAL_S - 10);
	assert_int_equal(asked_in_all(), 0);
	all_good(INTERVAL_S + 15);
	assert_in_range(asked_in_all(), 10, 12);
}

/* LIST_2 is not in force. */
static void a_list_that_is_in_date_is_left_to_tell_of_who_names_it(void **state)
{
	struct crl_slot *slot = crl_feed_slot(NULL, NULL);
	struct crl_set *two;

	(void)state;
	fake_list(-10, FOR_EVER, NULL, 0);
	assert_int_equal(crl_set_rearrange(&two, atomic_load(&slot->set),
			     (const int[]){0, -1}, 2, 1000),
	    ERR_OK);
	crl_set_unref(atomic_exchange(&slot->set, two));
	watch_naming("one", 1, LIST_1);
	watch_naming("two", 11, LIST_2);
	all_good(3 * INTERVAL_S);
	assert_int_equal(asked[1], 0);
	assert_in_range(asked[2], 2, 4);
	assert_in_range(asked[11], 2, 4);
	assert_in_range(asked[12], 2, 4);
}

static void lists_that_are_not_opened_are_waited_for(void **state)
{
	(void)state;
	fake_list_unopened();
	watch("fleet", 1, 10);
	all_good(3 * INTERVAL_S);
	assert_int_equal(asked_in_all(), 0);
	fake_list_absent();
	all_good(INTERVAL_S + 2);
	assert_in_range(asked_in_all(), 10, 12);
}

static void what_an_overdue_list_has_revoked_needs_no_asking(void **state)
{
	const struct fake_entry e[] = {{1, 1}, {2, REASON_CERTIFICATE_HOLD}};

	(void)state;
	fake_list(-10, 1, e, 2);
	watch("fleet", 1, 3);
	all_good(2 * INTERVAL_S);
	assert_int_equal(asked[1], 0);
	assert_in_range(asked[2], 1, 3);
	assert_in_range(asked[3], 1, 3);
}

/* R72, R152: told once, and for good. */
static void a_revocation_is_latched_told_once_and_asked_for_no_more(void **state)
{
	struct serial s;

	(void)state;
	watch("fleet", 1, 3);
	all_good(INTERVAL_S);
	assert_int_equal(fake_told.n, 0);
	while (fake_told.n == 0) {
		world_elapse(1000);
		if (fake_fetches_waiting() > 0 && number_of(0) == 2)
			answer(0, STATUS_REVOKED, 1);
		answer_good();
	}
	world_serial(2, &s);
	assert_true(serial_equal(&fake_told.change[0].serial, &s));
	assert_int_equal(fake_told.change[0].before, CHANGE_GOOD);
	assert_int_equal(fake_told.change[0].now, CHANGE_REVOKED);
	assert_true(fake_told.latch[0]);
	assert_non_null(latches_find(world_latches, world_issuer(), &s));
	assert_int_equal(status_of(2), STATUS_REVOKED);
	asked[2] = 0;
	all_good(5 * INTERVAL_S);
	assert_int_equal(asked[2], 0);
	assert_int_equal(fake_told.n, 1);
}

static void a_hold_and_its_end_are_told(void **state)
{
	(void)state;
	watch("fleet", 1, 1);
	while (asked[1] == 0) {
		world_elapse(1000);
		if (fake_fetches_waiting() > 0)
			answer(0, STATUS_REVOKED, REASON_CERTIFICATE_HOLD);
	}
	assert_int_equal(fake_told.n, 1);
	assert_int_equal(status_of(1), STATUS_REVOKED);
	assert_false(is_held(1));
	all_good(INTERVAL_S + 1);
	assert_int_equal(fake_told.n, 2);
	assert_int_equal(fake_told.change[1].now, CHANGE_GOOD);
	assert_int_equal(status_of(1), STATUS_GOOD);
}

/* T28: a responder that is away is left alone, and all are asked for when it is back. */
static void a_responder_that_fails_is_backed_off(void **state)
{
	size_t before;

	(void)state;
	watch("fleet", 1, 100);
	for (int i = 0; i < 2 * INTERVAL_S; i++) {
		world_elapse(1000);
		while (fake_fetches_waiting() > 0)
			fake_fetch_fail(0, ERR_UP_CONNECT);
	}
	/* a probe in each pause of up to 15 s, none of the 200 that would have been due
	 */
	assert_in_range(fake_fetches(), 10, 60);
	before = fake_fetches();
	assert_in_range(all_good(17), 0, 16 * 4);
	all_good(INTERVAL_S);
	for (unsigned n = 1; n <= 100; n++)
		assert_true(asked[n] >= 1);
	assert_in_range(fake_fetches() - before, 100, 230);
}

/* One that fails by itself is tried again before its next round, and holds up nobody. */
static void one_that_gets_no_answer_is_tried_again_soon(void **state)
{
	unsigned failed = 0;
	int64_t first = 0;

	(void)state;
	watch("fleet", 1, 10);
	all_good(INTERVAL_S);
	asked[5] = 0;
	while (asked[5] == 0) {
		world_elapse(1000);
		for (size_t n = 0; n < fake_fetches_waiting() && failed < 2; n++) {
			if (number_of(n) != 5)
				continue;
			first = failed++ == 0 ? clock_now() : first;
			fake_fetch_fail(n, ERR_UP_TIMEOUT);
			world_elapse(0);
			break;
		}
		answer_good();
	}
	assert_int_equal(failed, 2);
	assert_in_range(clock_now() - first, 10, 45);
	assert_in_range(most, 88, 140);
}

static void what_a_responder_does_not_know_waits_for_its_next_round(void **state)
{
	static const uint8_t unauthorized[] = {0x30, 3, 0x0a, 1, 6};

	(void)state;
	watch("fleet", 1, 1);
	for (int i = 0; i < 5 * INTERVAL_S; i++) {
		world_elapse(1000);
		while (fake_fetches_waiting() > 0)
			fake_fetch_answer(0, 200, bytes_of(unauthorized, 5));
	}
	assert_in_range(fake_fetches(), 4, 6);
	assert_false(is_held(1)); /* no error is kept for nobody either */
}

/* Clients come first: at most a quarter of the fetches, and none while one waits. */
static void polls_use_a_quarter_of_the_fetches_and_none_that_is_waited_for(void **state)
{
	(void)state;
	world_reload(every, "max-in-flight = 8");
	watch("fleet", 1, 400);
	world_elapse(5000);
	assert_int_equal(fake_fetches_waiting(), 2);
	for (unsigned n = 401; n <= 410; n++)
		world_ask(n, CERTID_SHA1);
	world_elapse(0);
	assert_int_equal(fake_fetches_waiting(), 6); /* what strangers may have */
	answer(0, STATUS_GOOD, 0);
	answer(0, STATUS_GOOD, 0);
	world_elapse(500); /* four clients still wait for their turn, or two */
	assert_int_equal(fake_fetches_waiting(), 6);
	for (size_t n = 0; n < 6; n++)
		assert_true(number_of(n) > 400);
	answer_good();
	assert_int_equal(asked[410], 1);
	world_elapse(500);
	assert_int_equal(fake_fetches_waiting(), 2);
}

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

static unsigned heard_of(const char *event)
{
	static char text[65536];
	unsigned times = 0;
	ssize_t n;

	log_setup(LEVEL_ERROR, LOG_FORMAT_LOGFMT, 0);
	dup2(true_stderr, STDERR_FILENO);
	close(true_stderr);
	n = pread(fileno(said), text, sizeof text - 1, 0);
	assert_true(n >= 0);
	text[n] = '\0';
	fclose(said);
	for (const char *at = text; (at = strstr(at, event)) != NULL; at++)
		times++;
	return times;
}

static void a_round_that_takes_too_long_is_told_once(void **state)
{
	struct poll_state s;

	(void)state;
	world_reload(every, "fetch-rate = 1");
	watch("fleet", 1, 300);
	overhear();
	for (int i = 0; i < 250; i++) {
		world_elapse(1000);
		answer_good();
	}
	assert_int_equal(heard_of("event=polls_behind issuer=world"), 1);
	polls_state(world_parts()->polls, "world", &s);
	assert_int_equal(s.certificates, 300);
	assert_in_range(s.behind_s, 100, 250);
	assert_in_range(fake_fetches(), 200, 260);
	polls_state(world_parts()->polls, "nobody", &s);
	assert_int_equal(s.certificates, 0);
}

/* What clients use is not pushed out by what is polled; its status is known all the same.
 */
static void polled_answers_push_nobody_out(void **state)
{
	(void)state;
	world_reload("watch-interval = \"100s\"\nhot-cache = \"8K\"", "");
	hot_set_budget(world_shared.hot, 8192);
	for (unsigned n = 401; n <= 404; n++) {
		world_ask(n, CERTID_SHA1);
		answer_good();
	}
	assert_true(is_held(401) && is_held(404));
	watch("fleet", 1, 50);
	all_good(2 * INTERVAL_S);
	for (unsigned n = 401; n <= 404; n++)
		assert_true(is_held(n));
	for (unsigned n = 1; n <= 50; n++) {
		assert_false(is_held(n));
		assert_int_equal(status_of(n), STATUS_GOOD);
	}
}

static void the_first_client_of_a_polled_one_gets_it_from_the_store(void **state)
{
	struct world_asked *w;
	size_t before;

	(void)state;
	watch("fleet", 1, 1);
	all_good(INTERVAL_S);
	before = fake_fetches();
	w = world_ask(1, CERTID_SHA1);
	assert_int_equal(w->answers, 1);
	assert_int_equal(w->status, STATUS_GOOD);
	assert_int_equal(w->tier, TIER_STORE);
	assert_int_equal(fake_fetches(), before);
	assert_true(is_held(1));
	all_good(INTERVAL_S); /* from now on a poll renews what is held */
	assert_true(world_ask(1, CERTID_SHA1)->this_update > w->this_update);
}

/* What a client has just had fetched is not asked for again; what he got from the store
 * says nothing about when it was asked for. */
static void what_a_client_had_fetched_counts(void **state)
{
	(void)state;
	watch("fleet", 1, 1);
	all_good(INTERVAL_S);
	for (int i = 0; i < 30; i++) {
		world_ask_anew(1, CERTID_SHA1);
		world_elapse(0);
		answer_good();
		all_good(20);
	}
	assert_in_range(asked[1], 30, 32); /* his alone */
	for (int i = 0; i < 20; i++) {
		struct key k;

		world_key(1, CERTID_SHA1, &k);
		hot_remove(world_shared.hot, key_der(&k));
		world_ask(1, CERTID_SHA1);
		all_good(20);
	}
	assert_in_range(asked[1], 34, 37);
}

/* A client who joins a poll need not wait for it where the store has what he may have. */
static void who_joins_a_poll_gets_what_the_store_has(void **state)
{
	struct world_asked *w;

	(void)state;
	watch("fleet", 1, 1);
	all_good(INTERVAL_S);
	while (fake_fetches_waiting() == 0)
		world_elapse(1000);
	w = world_ask(1, CERTID_SHA1); /* it is being fetched */
	assert_int_equal(w->answers, 0);
	fake_fetch_fail(0, ERR_UP_TIMEOUT);
	world_elapse(0);
	while (fake_fetches_waiting() > 0 && w->answers == 0) {
		fake_fetch_fail(0, ERR_UP_TIMEOUT);
		world_elapse(0);
	}
	assert_int_equal(w->answers, 1);
	assert_int_equal(w->status, STATUS_GOOD);
	assert_int_equal(w->tier, TIER_STORE);
}

/* The same while the store is being read: he has it, and the poll goes on. */
static void who_joins_a_poll_in_time_does_not_wait_for_its_fetch(void **state)
{
	struct world_says says = {
	    .serial = 1, .status = STATUS_GOOD, .from = -1000, .to = FOR_EVER};
	struct world_asked *w;
	struct key k;

	(void)state;
	world_key(1, CERTID_SHA1, &k);
	fake_store_put(&k, world_sign(&says));
	fake_store.silent = true;
	watch("fleet", 1, 1);
	while (fake_store.gets == 0)
		world_elapse(1000);
	w = world_ask(1, CERTID_SHA1);
	assert_int_equal(w->answers, 0);
	fake_store.silent = false;
	fake_store_speak();
	world_elapse(0);
	assert_int_equal(w->answers, 1);
	assert_int_equal(w->status, STATUS_GOOD);
	assert_int_equal(w->tier, TIER_STORE);
	assert_int_equal(fake_fetches_waiting(), 1);
	answer_good();
	assert_true(is_held(1)); /* he uses it */
	assert_true(world_ask(1, CERTID_SHA1)->this_update > w->this_update);
}

static void put_as_another_node(unsigned number, enum status status, int64_t from)
{
	struct world_says says = {.serial = number,
	    .status = status,
	    .reason = status == STATUS_REVOKED ? 1 : 0,
	    .from = from,
	    .to = FOR_EVER};
	struct key k;

	world_key(number, CERTID_SHA1, &k);
	fake_store_put(&k, world_sign(&says));
	polls_hear(world_parts()->polls, &k);
	world_elapse(0);
}

/* T15: what another node has asked counts, and what it has heard is known here too. */
static void what_another_node_has_stored_counts(void **state)
{
	size_t before;

	(void)state;
	fake_store.shared = true;
	fake_store.lease = LEASE_YOURS;
	watch("fleet", 1, 4);
	all_good(INTERVAL_S);
	before = fake_fetches();
	for (int i = 0; i < 20; i++) {
		for (unsigned n = 1; n <= 4; n++)
			put_as_another_node(n, STATUS_GOOD, 0);
		all_good(40);
	}
	assert_int_equal(fake_fetches(), before);
	assert_int_equal(fake_told.n, 0);
	put_as_another_node(3, STATUS_REVOKED, 0);
	assert_int_equal(status_of(3), STATUS_REVOKED);
	assert_int_equal(status_of(4), STATUS_GOOD);
	assert_int_equal(fake_fetches(), before);
	put_as_another_node(77, STATUS_GOOD, 0); /* nobody polls it here */
	assert_int_equal(status_of(77), STATUS_UNKNOWN);
}

/* After a restart: what was made within half an interval is not asked for again. */
static void what_the_store_has_counts_while_it_is_young(void **state)
{
	struct world_says says = {.status = STATUS_GOOD, .to = FOR_EVER};
	struct key k;

	(void)state;
	for (says.serial = 1; says.serial <= 20; says.serial++) {
		says.from = says.serial <= 10 ? 0 : -1000;
		world_key(says.serial, CERTID_SHA1, &k);
		fake_store_put(&k, world_sign(&says));
		forge_reset();
	}
	watch("fleet", 1, 20);
	all_good(48);
	for (unsigned n = 1; n <= 10; n++)
		assert_int_equal(asked[n], 0);
	all_good(INTERVAL_S);
	for (unsigned n = 1; n <= 20; n++)
		assert_true(asked[n] >= 1);
}

/* After a restart: what it has is known at once, and is no reason not to ask. */
static void what_the_store_has_is_read_as_it_begins(void **state)
{
	struct world_says says = {
	    .status = STATUS_GOOD, .reason = 1, .from = -1000, .to = FOR_EVER};
	struct key k;

	(void)state;
	atomic_store(&world_shared.store_settled, true);
	for (says.serial = 1; says.serial <= 200; says.serial++) {
		says.status = says.serial == 7 ? STATUS_REVOKED : STATUS_GOOD;
		world_key(says.serial, CERTID_SHA1, &k);
		fake_store_put(&k, world_sign(&says));
		forge_reset();
	}
	watch("fleet", 1, 200);
	world_elapse(2000);
	for (unsigned n = 1; n <= 200; n++) {
		assert_int_equal(status_of(n), n == 7 ? STATUS_REVOKED : STATUS_GOOD);
		assert_false(is_held(n));
	}
	assert_int_equal(fake_told.n, 1);
	assert_in_range(fake_fetches(), 0, 6);
	answer_good();
	all_good(INTERVAL_S);
	for (unsigned n = 1; n <= 200; n++)
		assert_int_equal(asked[n] >= 1, n != 7);
}

/* R68: an answer that is older than what was heard is refused, held or not. */
static void nothing_older_is_heard(void **state)
{
	struct world_says old = {.serial = 1, .status = STATUS_GOOD, .to = FOR_EVER};
	struct bytes der = world_sign(&old);
	uint8_t copy[4096];
	struct key k;

	(void)state;
	memcpy(copy, der.p, der.n);
	der.p = copy;
	watch("fleet", 1, 1);
	all_good(INTERVAL_S);
	world_key(1, CERTID_SHA1, &k);
	fake_store_drop(&k); /* memory: keeps nothing */
	while (fake_fetches_waiting() == 0)
		world_elapse(1000);
	fake_fetch_answer(0, 200, der);
	world_elapse(0);
	assert_false(fake_store_get(&k, &der));
	assert_int_equal(status_of(1), STATUS_GOOD);
}

static void a_purge_forgets_what_was_heard(void **state)
{
	struct serial s;

	(void)state;
	watch("fleet", 1, 2);
	all_good(INTERVAL_S);
	world_serial(1, &s);
	polled_forget(world_parts()->evidence.polled, "world", &s);
	assert_int_equal(status_of(1), STATUS_UNKNOWN);
	assert_int_equal(status_of(2), STATUS_GOOD);
	all_good(INTERVAL_S);
	assert_int_equal(status_of(1), STATUS_GOOD);
}

static void on_unlatched(void *arg, const struct unlatch_end *end)
{
	*(enum err *)arg = end->e;
}

/* What the operator takes back does not stand in what was heard either. */
static void a_latch_that_is_taken_back_is_polled_again(void **state)
{
	enum err e = ERR_INTERNAL;
	struct serial s;

	(void)state;
	world_serial(1, &s);
	watch("fleet", 1, 1);
	while (asked[1] == 0) {
		world_elapse(1000);
		if (fake_fetches_waiting() > 0)
			answer(0, STATUS_REVOKED, 1);
	}
	assert_int_equal(status_of(1), STATUS_REVOKED);
	assert_int_equal(
	    unlatch(world_parts(), world_issuer(), &s, on_unlatched, &e), ERR_OK);
	world_elapse(0);
	assert_int_equal(e, ERR_OK);
	assert_int_equal(status_of(1), STATUS_UNKNOWN);
	answer_good(); /* asked for by that at once */
	assert_int_equal(status_of(1), STATUS_GOOD);
	assert_int_equal(fake_told.n, 2);
	asked[1] = 0;
	all_good(2 * INTERVAL_S);
	assert_in_range(asked[1], 1, 3);
}

static void a_stop_ends_it(void **state)
{
	size_t before;

	(void)state;
	watch("fleet", 1, 100);
	world_elapse(5000);
	assert_true(fake_fetches_waiting() > 0);
	flights_cancel(world_flights);
	before = fake_fetches();
	world_elapse(INTERVAL_S * 1000);
	assert_int_equal(fake_fetches(), before);
}

#define T(name) cmocka_unit_test_setup_teardown(name, begin, end)
#define L(name) cmocka_unit_test_setup_teardown(name, begin_with_list, end)
#define N(name) cmocka_unit_test_setup_teardown(name, begin_with_learnt, end)

int main(void)
{
	const struct CMUnitTest tests[] = {
	    T(each_is_asked_for_once_a_round_and_they_are_spread),
	    T(nothing_is_asked_for_at_once),
	    T(a_long_list_is_no_storm_and_is_asked_for_within_an_interval),
	    T(a_reload_changes_nothing),
	    T(a_reload_with_other_rules_forgets_what_was_heard_by_the_old_ones),
	    T(another_interval_counts_at_once),
	    T(a_start_begins_anywhere_and_asks_no_faster),
	    T(who_stands_on_two_lists_is_asked_for_once),
	    T(it_ends_with_the_certificate_and_with_its_list),
	    L(lists_that_are_in_date_are_left_to_tell),
	    N(learnt_lists_that_are_in_date_are_left_to_tell),
	    cmocka_unit_test_setup_teardown(
		a_list_that_is_in_date_is_left_to_tell_of_who_names_it,
		begin_with_two_lists, end),
	    L(lists_that_are_not_opened_are_waited_for),
	    L(what_an_overdue_list_has_revoked_needs_no_asking),
	    T(a_revocation_is_latched_told_once_and_asked_for_no_more),
	    T(a_hold_and_its_end_are_told),
	    T(a_responder_that_fails_is_backed_off),
	    T(one_that_gets_no_answer_is_tried_again_soon),
	    T(what_a_responder_does_not_know_waits_for_its_next_round),
	    T(polls_use_a_quarter_of_the_fetches_and_none_that_is_waited_for),
	    T(a_round_that_takes_too_long_is_told_once),
	    T(polled_answers_push_nobody_out),
	    T(the_first_client_of_a_polled_one_gets_it_from_the_store),
	    T(what_a_client_had_fetched_counts),
	    T(who_joins_a_poll_gets_what_the_store_has),
	    T(who_joins_a_poll_in_time_does_not_wait_for_its_fetch),
	    T(what_another_node_has_stored_counts),
	    T(what_the_store_has_counts_while_it_is_young),
	    T(what_the_store_has_is_read_as_it_begins),
	    T(nothing_older_is_heard),
	    T(a_purge_forgets_what_was_heard),
	    T(a_latch_that_is_taken_back_is_polled_again),
	    T(a_stop_ends_it),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
