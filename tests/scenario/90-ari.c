/* 90-ari: a fleet is asked for renewal information for days, on a clock that is set. */
#include "tests/lib/faults.h"

#include <dirent.h>
#include <event2/event.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include <cmocka.h>

#include "cache/watch/ari_id.h"
#include "cache/watch/inventory.h"
#include "proxy/base/alarms.h"
#include "proxy/watch/ari_ca.h"
#include "proxy/watch/ari_enrol.h"
#include "proxy/watch/ari_place.h"
#include "tests/lib/tell_world.h"

#define DIRECTORY "https://acme.example/directory"
#define CA        7
#define ROUND_S   21600
#define STEP_MS   250

/* Fifteen thousand with make test-all; else so few that a minute has a few hundred
 * rounds' worth of them. */
static uint32_t fleet_n = 600;

static struct ari_core core;
static struct ari_place *place;
static struct ari_ca *ca;
static struct ari_enrol *enrol;
static const struct inventory *inventory;
static char dir[64];

/* What the CA says, and what it was asked. */
static struct {
	int halt; /* status of everything */
	const char *retry_after, *page;
	uint32_t hit_from, hit_to; /* these have the page */
	uint32_t asked;            /* questions since the last look */
	uint32_t early;            /* that came before their time */
	uint32_t most_in_flight;
	int64_t *last; /* seconds: when each was asked, 0: never */
	uint32_t most_in_minute, in_minute;
	int64_t minute;
} world;

static struct serial serial_at(uint32_t i)
{
	struct serial s = {.n = 5, .octets = {0}};

	s.octets[0] = i % 2 ? 0 : 1; /* every other one has a 00 in front */
	put_be(s.octets + 1, UINT64_C(0x80000000) + i, 4);
	return s;
}

static const uint8_t aki[20] = {0xfb, 0xff, 1, 2};

static const struct inventory *make_inventory(uint32_t n)
{
	struct watch_ca one = {.id = CA, .issuer = "demo", .dn = "", .aki_n = sizeof aki};
	const struct watch_cas *cas;
	struct watch_list *l = watch_list_new("web", WATCH_API, 1, n);
	const struct inventory *v;
	struct watched *all = calloc(n, sizeof *all);

	assert_non_null(l);
	assert_non_null(all);
	memcpy(one.aki, aki, sizeof aki);
	cas = watch_cas_with(&watch_cas_none, &one);
	for (uint32_t i = 0; i < n; i++) {
		struct serial s = serial_at(i);

		watched_set(&all[i], &s, WORLD_START + 90 * 86400, false);
	}
	qsort(all, n, sizeof *all, crl_order);
	for (uint32_t i = 0; i < n; i++)
		assert_true(watch_list_add(l, CA, &all[i]));
	free(all);
	v = inventory_with(&inventory_none, l, cas, inventory_none.points);
	assert_non_null(v);
	watch_list_unref(l);
	watch_cas_unref(cas);
	return v;
}

static bool all_asked(void *arg, const char *issuer)
{
	(void)arg;
	return strcmp(issuer, "demo") == 0;
}

static void on_enrolled(void *arg)
{
	(void)arg;
	ari_ca_look(ca);
	ari_place_go(place);
}

static void life(void)
{
	char why[512];

	core = (struct ari_core){.shared = &node[0].shared,
	    .base = node[0].context.base,
	    .counters = node[0].context.counters,
	    .chance = 42};
	core.inbox = inbox_new(core.base, &core);
	assert_int_equal(
	    ari_db_open(&core.db, dir, (size_t)64 << 20, why, sizeof why), ERR_OK);
	place = ari_place_new(&core, DIRECTORY);
	ca = ari_ca_new(&core, "demo", place);
	enrol = ari_enrol_new(&core, all_asked, on_enrolled, NULL);
	assert_non_null(ca);
	assert_non_null(enrol);
	ari_enrol_look(enrol, true);
}

static void turn(void)
{
	/* the gate and the log behind it are no part of what is tested */
	faults_pause();
	for (int i = 0; i < 6; i++)
		event_base_loop(core.base, EVLOOP_NONBLOCK);
	faults_resume();
}

static struct called {
	char id[ARI_ID_MAX];
	uint32_t i;
} * called;

static int by_id(const void *a, const void *b)
{
	return strcmp(((const struct called *)a)->id, ((const struct called *)b)->id);
}

static void call_all(void)
{
	called = calloc(fleet_n, sizeof *called);
	for (uint32_t i = 0; i < fleet_n; i++) {
		struct serial s = serial_at(i);

		called[i].i = i;
		ari_id(bytes_of(aki, sizeof aki), &s, called[i].id);
	}
	qsort(called, fleet_n, sizeof *called, by_id);
}

static uint32_t number_called(const char *id)
{
	struct called key;
	const struct called *c;

	snprintf(key.id, sizeof key.id, "%s", id);
	c = bsearch(&key, called, fleet_n, sizeof *called, by_id);
	assert_non_null(c);
	return c->i;
}

static void answer_one(void)
{
	static char body[400];
	const char *id = strrchr(fake_fetch_url(0), '/') + 1;
	struct fake_reply r = {.status = 200, .retry_after = world.retry_after};
	uint32_t i;

	if (strcmp(fake_fetch_url(0), DIRECTORY) == 0) {
		snprintf(
		    body, sizeof body, "{\"renewalInfo\":\"https://acme.example/ri/\"}");
	} else if (world.halt != 0) {
		r.status = world.halt;
		world.asked++;
	} else {
		i = number_called(id);
		world.asked++;
		world.early +=
		    world.last[i] != 0 && tell_now_ms / 1000 < world.last[i] + ROUND_S;
		world.last[i] = tell_now_ms / 1000;
		snprintf(body, sizeof body,
		    "{\"suggestedWindow\":{\"start\":\"2026-01-01T00:00:00Z\","
		    "\"end\":\"2026-01-02T00:00:00Z\"}%s%s%s}",
		    i >= world.hit_from && i < world.hit_to ? ",\"explanationURL\":\""
							    : "",
		    i >= world.hit_from && i < world.hit_to ? world.page : "",
		    i >= world.hit_from && i < world.hit_to ? "\"" : "");
	}
	r.body = bytes_of(body, strlen(body));
	fake_fetch_reply(0, &r);
}

/* Time goes on; a question is answered in the next step. */
static void pass(int64_t seconds)
{
	int64_t end = tell_mono_ms + seconds * 1000;

	while (tell_mono_ms < end) {
		uint32_t before = world.asked;

		if (fake_fetches_waiting() > world.most_in_flight)
			world.most_in_flight = (uint32_t)fake_fetches_waiting();
		while (fake_fetches_waiting() > 0)
			answer_one();
		if (world.minute != tell_mono_ms / 60000) {
			world.minute = tell_mono_ms / 60000;
			world.in_minute = 0;
			ari_place_go(place); /* as the tick does, more often */
		}
		world.in_minute += world.asked - before;
		if (world.in_minute > world.most_in_minute)
			world.most_in_minute = world.in_minute;
		tell_mono_ms += STEP_MS;
		tell_now_ms += STEP_MS;
		set_time();
		if (tell_mono_ms % 1000 == 0)
			ari_place_go(place);
		turn();
	}
}

static void end_life(void)
{
	ari_enrol_free(enrol);
	ari_ca_free(ca);
	ari_place_free(place);
	ari_db_close(core.db);
	inbox_free(core.inbox);
}

static int begin(void **state)
{
	if (tell_begin(state) != 0)
		return -1;
	if (getenv("TEST_ALL") != NULL)
		fleet_n = 15000;
	/* thousands of commits: on a disk that is the time of the test */
	strcpy(dir, "/dev/shm/ari.XXXXXX");
	if (mkdtemp(dir) == NULL) {
		strcpy(dir, "/tmp/ari.XXXXXX");
		assert_non_null(mkdtemp(dir));
	}
	memset(&world, 0, sizeof world);
	world.retry_after = "21600";
	world.page = "";
	world.last = calloc(fleet_n, sizeof *world.last);
	inventory = make_inventory(fleet_n);
	atomic_store(&node[0].shared.inventory, inventory);
	node[0].shared.teller = node[0].teller;
	call_all();
	life();
	return 0;
}

static int end(void **state)
{
	char path[400];
	struct dirent *e;
	DIR *d;

	end_life();
	inventory_unref(inventory);
	free(world.last);
	free(called);
	alarms_reset();
	fake_fetch_reset();
	d = opendir(dir);
	while ((e = readdir(d)) != NULL) {
		snprintf(path, sizeof path, "%s/%s", dir, e->d_name);
		unlink(path);
	}
	closedir(d);
	rmdir(dir);
	return tell_end(state);
}

static uint32_t never_asked(void)
{
	uint32_t n = 0;

	for (uint32_t i = 0; i < fleet_n; i++)
		n += world.last[i] == 0;
	return n;
}

/* R147, and the contract: two a second, two in flight, Retry-After, no storm. */
static void a_fleet_is_asked_evenly_and_never_early(void **state)
{
	uint32_t in_round;

	(void)state;
	pass(fleet_n / 2 + 60);
	assert_int_equal(never_asked(), 0); /* all of them, at the rate */
	assert_int_equal(world.asked, fleet_n);
	assert_true(world.most_in_minute <= 121);
	assert_true(world.most_in_flight <= 2);
	world.asked = 0;
	pass(ROUND_S - fleet_n / 2 - 120);
	assert_int_equal(world.asked, 0);  /* nothing before its time */
	pass(ROUND_S + fleet_n / 2 + 600); /* the second question comes within a round */
	/* who was among the first, and had luck, a third one */
	assert_in_range(world.asked, fleet_n, fleet_n + fleet_n / 4);
	world.asked = world.most_in_minute = 0;
	pass(2 * ROUND_S);
	in_round = world.asked / 2;
	assert_in_range(in_round, fleet_n * 9 / 10, fleet_n);
	assert_int_equal(world.early, 0);
	/* evenly: no minute has three times its share, nor the rate */
	assert_true(world.most_in_minute <= 3 * (in_round / (ROUND_S / 60) + 4));
}

/* Times are kept: who is started again and again asks no sooner. */
static void a_restart_asks_nobody_again(void **state)
{
	uint32_t asked;

	(void)state;
	pass(fleet_n / 4);
	asked = world.asked;
	assert_in_range(asked, fleet_n / 4, fleet_n * 3 / 4);
	for (int i = 0; i < 5; i++) {
		end_life();
		fake_fetch_reset();
		life();
		pass(2);
	}
	/* what was under way, or not written, is asked again: two for each life */
	assert_in_range(world.asked, asked, asked + 5 * (2 * 2 + 3));
	pass(fleet_n / 4 + 120);
	assert_int_equal(never_asked(), 0);
	assert_true(world.early <= 5 * 2);
	assert_true(world.asked <= fleet_n + 5 * 2);
}

/* 429 and 503 are for the whole CA. */
static void a_ca_that_says_stop_is_asked_nothing(void **state)
{
	uint32_t asked;

	(void)state;
	pass(20);
	asked = world.asked;
	assert_in_range(asked, 20, 45);
	world.halt = 503;
	world.retry_after = "1800";
	pass(5);
	assert_in_range(world.asked - asked, 1, 2);
	asked = world.asked;
	pass(1700);
	assert_int_equal(world.asked, asked);
	world.halt = 0;
	world.retry_after = "21600";
	pass(120);
	assert_in_range(world.asked - asked, 30, 240);
}

/* Notices of the log, by certificate. */
static void look_at_notices(uint32_t *told, uint32_t *withdrawn)
{
	*told = *withdrawn = 0;
	look();
	for (size_t i = 0; i < held.n; i++) {
		const struct change_batch *b = held.batch[i];

		assert_int_equal(b->kind, CHANGE_NOTICES);
		assert_int_equal(b->source, CHANGE_ARI);
		assert_string_equal(b->issuer, "demo");
		for (uint32_t n = 0; n < b->n; n++)
			if (change_is_withdrawn(&b->change[n]))
				++*withdrawn;
			else
				++*told;
	}
}

static void see_incident(void *arg, const struct alarm_seen *s)
{
	if (s->alarm == ALARM_INCIDENT_OPEN)
		snprintf(arg, ALARM_DETAIL_MAX, "%s", s->detail);
}

static const char *incident(void)
{
	static char detail[ALARM_DETAIL_MAX];

	detail[0] = '\0';
	assert_true(alarms_each(see_incident, detail));
	return detail;
}

/* R148: the first answer that shows it is the alarm; all within a round; each once. */
static void an_incident_is_told_once_and_taken_back(void **state)
{
	uint32_t told, withdrawn, hit = fleet_n / 5;

	(void)state;
	pass(fleet_n / 2 + 60);
	assert_string_equal(incident(), "");
	world.page = "https://ca.example/incident";
	world.hit_from = 100;
	world.hit_to = 100 + hit;
	while (incident()[0] == '\0')
		pass(1);
	look_at_notices(&told, &withdrawn);
	assert_in_range(told, 0, 1);
	assert_non_null(strstr(incident(), "1 certificates, of "));
	pass(2 * ROUND_S + 600);
	look_at_notices(&told, &withdrawn);
	assert_int_equal(told, hit);
	assert_int_equal(withdrawn, 0);
	end_life(); /* an ordinary end, in the middle */
	fake_fetch_reset();
	life();
	assert_non_null(strstr(incident(), "https://ca.example/incident"));
	pass(ROUND_S + ROUND_S / 10);
	look_at_notices(&told, &withdrawn);
	assert_int_equal(told, hit);
	world.hit_to = world.hit_from;
	pass(ROUND_S + ROUND_S / 10);
	look_at_notices(&told, &withdrawn);
	assert_int_equal(told, hit);
	assert_int_equal(withdrawn, hit);
	assert_string_equal(incident(), "");
}

/* A kill between the state and the log: told by the next life. */
static void what_was_not_told_is_told_by_the_next_life(void **state)
{
	uint32_t told, withdrawn;

	(void)state;
	world.page = "https://ca.example/incident";
	world.hit_to = fleet_n;
	node[0].gate->down = ERR_STORE;
	pass(30);
	look_at_notices(&told, &withdrawn);
	assert_int_equal(told, 0);
	assert_true(incident()[0] != '\0');
	node[0].gate->down = ERR_OK;
	pass(60); /* the log is back: nothing was lost */
	look_at_notices(&told, &withdrawn);
	assert_true(told >= 30);
}

/* Which certificates were told of; how many there are. */
static uint32_t told_of(bool *of)
{
	uint32_t n = 0;

	look();
	for (size_t i = 0; i < held.n; i++)
		for (uint32_t k = 0; k < held.batch[i]->n; k++) {
			struct serial s;
			uint32_t number;

			crl_entry_serial(&held.batch[i]->change[k].entry, &s);
			number = (uint32_t)(get_be(s.octets + s.n - 4, 4) - 0x80000000);
			assert_true(number < fleet_n);
			n += !of[number];
			of[number] = true;
		}
	return n;
}

/* Each allocation of some seconds in the middle of an incident fails once: nothing
 * crashes, and whatever was announced is told, by the next start at the latest. */
static void without_memory_no_notice_is_lost(void **state)
{
	bool *of = calloc(fleet_n, sizeof *of);
	unsigned long calls = 0, n = 0, done = 0;
	uint32_t told, withdrawn;

	(void)state;
	pass(10);
	world.page = "https://ca.example/incident";
	world.hit_to = fleet_n;
	do {
		faults_arm(FAULT_MEMORY, ++n, 1);
		pass(2);
		calls = faults_disarm();
		done += calls >= n;
	} while (calls >= n && n < fleet_n / 5);
	assert_true(done > 20);
	end_life();
	fake_fetch_reset();
	life();
	pass(2 * ROUND_S + 600);
	assert_int_equal(told_of(of), fleet_n);
	look_at_notices(&told, &withdrawn);
	assert_int_equal(withdrawn, 0);
	assert_in_range(told, fleet_n, fleet_n + done); /* twice where the mark failed */
	free(of);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test_setup_teardown(
		a_fleet_is_asked_evenly_and_never_early, begin, end),
	    cmocka_unit_test_setup_teardown(a_restart_asks_nobody_again, begin, end),
	    cmocka_unit_test_setup_teardown(
		a_ca_that_says_stop_is_asked_nothing, begin, end),
	    cmocka_unit_test_setup_teardown(
		an_incident_is_told_once_and_taken_back, begin, end),
	    cmocka_unit_test_setup_teardown(
		what_was_not_told_is_told_by_the_next_life, begin, end),
	    cmocka_unit_test_setup_teardown(without_memory_no_notice_is_lost, begin, end),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
