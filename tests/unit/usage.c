/* usage: what clients asked for, of what is watched. */
#include "proxy/watch/usage.h"

#include <event2/event.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

#include "proxy/base/clock.h"
#include "proxy/watch/count.h"
#include "proxy/watch/incident_progress.h"
#include "tests/lib/watch_house.h"

static struct watch_house h;

static void begin_usage(void)
{
	h.context.usage = usage_new(&h.context);
	assert_non_null(h.context.usage);
}

/* As a stop does it: what is being written comes back first. */
static void end_usage(void)
{
	usage_cancel(h.context.usage);
	while (h.context.away > 0)
		event_base_loop(h.context.base, EVLOOP_ONCE);
	usage_free(h.context.usage);
	h.context.usage = NULL;
}

static int set_up(void **state)
{
	(void)state;
	watch_house_begin(&h, 64u << 20);
	begin_usage();
	return 0;
}

static int tear_down(void **state)
{
	(void)state;
	if (h.context.usage != NULL)
		end_usage();
	watch_house_end(&h);
	return 0;
}

static const struct issuer *house(void)
{
	return issuers_named(shared_conf(&h.shared)->issuers, "house");
}

/* A client asks for the house's serials [from, to), by this hash. */
static void ask_by(unsigned from, unsigned to, enum certid_hash hash)
{
	struct asked_keys *keys = malloc(sizeof *keys);

	assert_non_null(keys);
	for (keys->n = 0; from < to; from++) {
		struct serial s = watch_house_serial(from);

		issuer_key(house(), 0, hash, &s, &keys->key[keys->n++]);
	}
	usage_hear(h.context.usage, keys);
}

static void ask(unsigned from, unsigned to)
{
	ask_by(from, to, CERTID_SHA1);
}

static int64_t last(unsigned n)
{
	struct serial s = watch_house_serial(n);

	return usage_last(h.context.usage, "house", &s);
}

/* Turns of the loop until it is known. */
static void wait_for(unsigned n)
{
	int64_t until = clock_mono_ms() + 20000;

	while (last(n) == WATCH_TIME_NONE) {
		assert_true(clock_mono_ms() < until);
		event_base_loop(h.context.base, EVLOOP_ONCE);
	}
}

static void put(const char *name, unsigned from, unsigned n)
{
	assert_int_equal(watch_house_put(&h, LEDGER_PUT, name, from, n, false), ERR_OK);
}

static void who_is_watched_and_asked_for_is_known_by_the_minute(void **state)
{
	int64_t before = clock_now() - 60;

	(void)state;
	put("a", 1, 50);
	put("b", 40, 50);
	assert_int_equal(last(7), WATCH_TIME_NONE);
	ask(7, 8);
	ask_by(60, 61, CERTID_SHA256);
	ask(500, 600); /* not watched */
	ask(45, 46);
	wait_for(45);
	assert_in_range(last(7), before, clock_now());
	assert_in_range(last(60), before, clock_now());
	assert_int_equal(last(7) % 60, 0);
	assert_int_equal(last(8), WATCH_TIME_NONE);
	assert_int_equal(last(500), WATCH_TIME_NONE);
}

static bool is_recent(unsigned n, int64_t now)
{
	struct serial s = watch_house_serial(n);

	return usage_is_recent(h.context.usage, "house", &s, now);
}

static void in_use_is_who_was_asked_for_within_a_day(void **state)
{
	struct serial s = watch_house_serial(7);

	(void)state;
	put("a", 1, 50);
	ask(7, 8);
	wait_for(7);
	assert_true(is_recent(7, clock_now()));
	assert_true(is_recent(7, last(7) + 86399));
	assert_false(is_recent(7, last(7) + 86400));
	assert_false(is_recent(8, clock_now()));
	assert_false(usage_is_recent(h.context.usage, "", &s, clock_now()));
	assert_false(usage_is_recent(NULL, "house", &s, clock_now()));
}

/* A kill after it was written loses nothing; each is a row, however often asked for. */
static void a_restart_knows_it(void **state)
{
	int64_t at, until = clock_mono_ms() + 60000;
	bool written = false;

	(void)state;
	put("a", 1, 50);
	ask(7, 9);
	wait_for(8);
	at = last(7);
	while (!written) {
		assert_true(clock_mono_ms() < until);
		event_base_loop(h.context.base, EVLOOP_ONCE);
		written = h.context.away > 0;
	}
	end_usage();
	watch_house_again(&h, 64u << 20);
	begin_usage();
	assert_int_equal(last(7), at);
	assert_int_not_equal(last(8), WATCH_TIME_NONE);
	assert_int_equal(last(9), WATCH_TIME_NONE);
}

static void what_others_noted_counts_but_for_the_future(void **state)
{
	uint32_t now = (uint32_t)(clock_now() / 60);
	struct watch_asked rows[] = {{"house", watch_house_serial(7), now - 500},
	    {"house", watch_house_serial(8), now + 60},
	    {"house", watch_house_serial(99), now},
	    {"nobody", watch_house_serial(9), now},
	    {"house", watch_house_serial(10), now - 3}};

	(void)state;
	put("a", 1, 50);
	usage_hear_others(h.context.usage, rows, 5);
	wait_for(10);
	assert_int_equal(last(7), (int64_t)(now - 500) * 60);
	assert_int_equal(last(8), WATCH_TIME_NONE);
	assert_int_equal(last(99), WATCH_TIME_NONE);
	assert_int_equal(last(9), WATCH_TIME_NONE);
	ask(7, 8); /* known already: noted at once */
	assert_true(last(7) >= (int64_t)now * 60);
	rows[0].minute = now - 600;
	usage_hear_others(h.context.usage, rows, 1);
	assert_true(last(7) >= (int64_t)now * 60);
}

struct told {
	size_t n;
	struct watch_asked row[8];
};

static void on_own(void *arg, const struct watch_asked *rows, size_t n)
{
	struct told *t = arg;

	for (size_t i = 0; i < n && t->n < 8; i++)
		t->row[t->n++] = rows[i];
}

/* What is told on is what clients asked here, once. */
static void other_nodes_are_told_of_our_own(void **state)
{
	uint32_t now = (uint32_t)(clock_now() / 60);
	struct watch_asked row = {"house", watch_house_serial(7), now};
	struct serial eight = watch_house_serial(8);
	int64_t until = clock_mono_ms() + 60000;
	struct told t = {0};

	(void)state;
	usage_on_own(h.context.usage, on_own, &t);
	put("a", 1, 50);
	usage_hear_others(h.context.usage, &row, 1);
	ask(8, 9);
	wait_for(8);
	while (t.n == 0) {
		assert_true(clock_mono_ms() < until);
		event_base_loop(h.context.base, EVLOOP_ONCE);
	}
	assert_int_equal(t.n, 1);
	assert_string_equal(t.row[0].issuer, "house");
	assert_true(serial_equal(&t.row[0].serial, &eight));
}

static bool counted;

static void on_counted(void *arg, enum err e)
{
	(void)arg;
	assert_int_equal(e, ERR_OK);
	counted = true;
}

static void who_is_hit_and_asked_for_is_in_use(void **state)
{
	const struct count_want want = {.context = &h.context, .done = on_counted};
	struct count *c;

	(void)state;
	put("a", 1, 50);
	ask(WATCH_HOUSE_REVOKED, WATCH_HOUSE_REVOKED + 1);
	ask(20, 21);
	wait_for(20);
	counted = false;
	c = count_of_lists(&want, ledger_inventory(&h.shared), 0, 1);
	assert_non_null(c);
	watch_house_turn(&h, &counted);
	assert_int_equal(count_list(c, 0)->revoked, 2);
	assert_int_equal(count_list(c, 0)->in_use, 1);
	count_free(c);
}

/* Of an incident each certificate counts once, on however many lists it stands. */
static void an_incident_has_its_own_counts(void **state)
{
	static const struct watch_house_cert web[] = {
	    {10, 1700000000, 4000000000, "a.example", false},
	    {11, 1700000000, 4000000000, "b.example", false},
	    {12, 1700000000, 4000000000, "c.example", false},
	    {30, 1700000001, 4000000000, "a.example", false}};
	static const struct watch_house_cert mail[] = {
	    {10, 1700000000, 4000000000, "a.example", false},
	    {11, 1700000000, 4000000000, "b.example", false},
	    {31, 1700000001, 4000000000, "a.example", false},
	    {32, 1700000001, 4000000000, "b.example", false}};
	const struct inventory *v;
	struct incident_progress *p;

	(void)state;
	watch_house_put_certs(&h, "mail", mail, 4);
	watch_house_put_certs(&h, "web", web, 4);
	put("many", 1000, 9000); /* on no incident */
	watch_house_announce(&h, "inc", 10, 3);
	ask(10, 12);
	ask(30, 31);
	wait_for(30);
	v = ledger_inventory(&h.shared);
	counted = false;
	p = incident_progress_new(
	    &h.context, v, incidents_named(v->incidents, "inc"), NULL, on_counted, NULL);
	assert_non_null(p);
	watch_house_turn(&h, &counted);
	assert_int_equal(incident_progress_replaced(p), 2); /* 10 and 11 */
	assert_int_equal(incident_progress_in_use(p), 2);
	incident_progress_free(p);
	assert_int_equal(h.context.away, 0);
}

#define A_HOUSE(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
	    A_HOUSE(who_is_watched_and_asked_for_is_known_by_the_minute),
	    A_HOUSE(in_use_is_who_was_asked_for_within_a_day),
	    A_HOUSE(a_restart_knows_it),
	    A_HOUSE(what_others_noted_counts_but_for_the_future),
	    A_HOUSE(other_nodes_are_told_of_our_own),
	    A_HOUSE(who_is_hit_and_asked_for_is_in_use),
	    A_HOUSE(an_incident_has_its_own_counts),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
