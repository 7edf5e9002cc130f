/* 69-watched-lists: what watched certificates name is fetched, and told where it is not
 * had. */
#include "tests/lib/faults.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>

#include <cmocka.h>

#include "proxy/base/alarms.h"
#include "proxy/lists/watched_source.h"
#include "tests/lib/feed_world.h"

/* The teller is the test. */
bool teller_list(struct teller *t, const struct list_change *l)
{
	return feed_told(t, l);
}

#define L1         "http://learnt.example/1.crl"
#define L2         "http://learnt.example/2.crl"
#define CERTS      "certificate = \"ca.pem\" crl = { \"certificates\" } "
#define POINT(url) "fullname:URI:" url

static struct watched_source *source;

static void begin(const char *issuer)
{
	alarms_reset();
	feed_expects[LEARNT_CERTIFICATES] = true;
	live("", issuer);
	source = watched_source_new(&context, feed);
	assert_non_null(source);
}

static void end(void)
{
	watched_source_free(source);
	die();
	alarms_reset();
}

/* CA 1 is demo's, as is 2; 3 and 4 are nobody's and have one DN; of 5 there is a key
 * alone, and 6 was an issuer once. */
static const struct watch_ca each_ca[] = {{.id = 1, .issuer = "demo", .dn = "CN=a"},
    {.id = 2, .issuer = "demo", .dn = "CN=b"},
    {.id = 3, .issuer = "", .dn = "CN=Stranger"},
    {.id = 4, .issuer = "", .dn = "CN=Stranger", .aki_n = 1, .aki = {1}},
    {.id = 5, .issuer = "", .dn = "", .aki_n = 2, .aki = {0xab, 0xcd}},
    {.id = 6, .issuer = "gone", .dn = ""}};
#define CAS (sizeof each_ca / sizeof each_ca[0])

static const struct watch_cas *cas_make(void)
{
	const struct watch_cas *cas = watch_cas_ref(&watch_cas_none);

	for (size_t i = 0; i < CAS; i++) {
		const struct watch_cas *more = watch_cas_with(cas, &each_ca[i]);

		assert_non_null(more);
		watch_cas_unref(cas);
		cas = more;
	}
	return cas;
}

static uint16_t number_of(struct watch_point_draft *d, uint32_t id, const char *url)
{
	struct serial s = {.n = 1, .octets = {7}};
	struct watch_record row = {.not_after = 0};
	struct watched e;
	uint8_t run[256];
	size_t n = 0;

	watch_run_add(run, &n, url, strlen(url));
	row.crl = bytes_of(run, n);
	assert_true(watch_point_draft_entry(d, id, &s, &row, &e));
	return watched_point(&e);
}

/* Names of CA 1, each by two certificates, of which one is verified; and, with both,
 * the same of CA 2. */
static struct watched_names *count_of(const char *const *url, size_t n, bool both)
{
	struct watch_point_draft *d = watch_point_draft_new(&watch_points_none, NULL);
	struct watch_list *list = watch_list_new("web", WATCH_API, 1, 0);
	const struct watch_cas *cas = cas_make();
	const struct watch_points *points;
	const struct inventory *v;
	struct watched_names *names;

	for (size_t i = 0; i < n; i++) {
		number_of(d, 1, url[i]);
		if (both)
			number_of(d, 2, url[i]);
	}
	points = watch_point_draft_end(d);
	v = inventory_with(&inventory_none, list, cas, points);
	names = watched_names_new(v, shared_conf(&shared));
	assert_non_null(names);
	for (size_t k = 1; k <= points->n; k++)
		names->by_number[k] = (struct inventory_named){1, 1};
	inventory_unref(v);
	watch_points_unref(points);
	watch_point_draft_free(d);
	watch_cas_unref(cas);
	watch_list_unref(list);
	return names;
}

static void hear_all(const char *const *url, size_t n, bool both)
{
	watched_source_hear(source, count_of(url, n, both));
	feed_turn();
}

static void hear(const char *one, const char *two)
{
	const char *const url[] = {one, two};

	hear_all(url, (one != NULL) + (two != NULL), false);
}

static void ticks(int n)
{
	for (int i = 0; i < n; i++)
		watched_source_tick(source);
	feed_turn();
}

static struct {
	size_t n;
	enum alarm of;
	char issuer[64], subject[600], detail[200]; /* of the last */
} seen;

static void see(void *arg, const struct alarm_seen *s)
{
	(void)arg;
	if (s->alarm != seen.of)
		return;
	seen.n++;
	snprintf(seen.issuer, sizeof seen.issuer, "%s", s->issuer);
	snprintf(seen.subject, sizeof seen.subject, "%s", s->subject);
	snprintf(seen.detail, sizeof seen.detail, "%s", s->detail);
}

static size_t alarms_of(enum alarm a)
{
	memset(&seen, 0, sizeof seen);
	seen.of = a;
	assert_true(alarms_each(see, NULL));
	return seen.n;
}

/* T19: nothing of it is good before it is known which lists there are; then they come
 * and go with the certificates. */
static void what_is_named_is_learnt(void **state)
{
	(void)state;
	begin(CERTS);
	assert_int_equal(verdict('A'), CRL_NOT_YET);
	hear(L1, NULL);
	assert_true(fake_fetch_learnt(place_of(L1)));
	answer_url(L1, LIST(.number = "01", .serials = "A", .idp = POINT(L1)));
	assert_true(listed('A'));
	hear(L1, L2);
	assert_int_equal(fake_fetches_waiting(), 1);
	answer_url(L2, LIST(.number = "01", .serials = "B", .idp = POINT(L2)));
	assert_true(listed('A') && listed('B'));
	hear(L1, L2);
	ticks(3);
	assert_int_equal(fake_fetches_waiting(), 0);
	assert_int_equal(alarms_of(ALARM_UNCOVERED), 0);
	hear(L2, NULL);
	assert_int_equal(set()->shards_n, 1);
	hear(NULL, NULL);
	assert_int_equal(set()->shards_n, 0);
	end();
}

static void what_is_named_is_needed(void **state)
{
	static const char *const named[] = {B};

	(void)state;
	begin(BOTH "crl-need = \"watched\" ");
	assert_int_equal(fake_fetches_waiting(), 0);
	hear_all(named, 1, true); /* by two CAs of the name */
	assert_int_equal(fake_fetches_waiting(), 1);
	assert_true(is_asked_for(B));
	answer_url(B, LIST(.number = "01", .serials = "B", .idp = POINT(B)));
	hear(B, A);
	assert_true(is_asked_for(A));
	fail_url(A);
	ticks(1);
	assert_int_equal(alarms_of(ALARM_UNCOVERED), 0); /* it is had, and fails */
	end();
}

/* Neither a place nor a name, behind the first try of each; once, until it is had. */
static void what_nobody_has_is_told(void **state)
{
	(void)state;
	begin(BOTH);
	hear(A, L1);
	answer_url(A, LIST(.number = "01", .idp = POINT(A)));
	ticks(1);
	assert_int_equal(alarms_of(ALARM_UNCOVERED), 0); /* B may say that it is it */
	fail_url(B);
	overhear();
	ticks(1);
	assert_non_null(strstr(heard(), "event=uncovered issuer=demo url=" L1));
	assert_int_equal(alarms_of(ALARM_UNCOVERED), 1);
	assert_string_equal(seen.issuer, "demo");
	assert_string_equal(seen.subject, L1);
	assert_string_equal(
	    seen.detail, "watched certificates that name it: 2, verified: 1");
	overhear();
	hear(A, L1);
	refresh();
	assert_null(strstr(heard(), "event=uncovered"));
	assert_int_equal(alarms_of(ALARM_UNCOVERED), 1);
	answer_url(B, LIST(.number = "01")); /* all that there is */
	assert_int_equal(alarms_of(ALARM_UNCOVERED), 1);
	ticks(WATCHED_LOOK_S);
	assert_int_equal(alarms_of(ALARM_UNCOVERED), 0);
	end();
	begin(DEMO);
	answer_url(A, LIST(.number = "01", .idp = POINT(A)));
	hear(A, L2);
	assert_int_equal(alarms_of(ALARM_UNCOVERED), 1);
	assert_string_equal(seen.subject, L2);
	hear(A, NULL); /* it is not watched any more */
	assert_int_equal(alarms_of(ALARM_UNCOVERED), 0);
	end();
}

/* A list without a distribution point has all; and where OCSP alone is configured, it is
 * polled. */
static void what_another_list_has_is_not_told(void **state)
{
	(void)state;
	begin(DEMO);
	hear(L1, NULL);
	answer_url(A, LIST(.number = "01"));
	ticks(1);
	assert_int_equal(alarms_of(ALARM_UNCOVERED), 0);
	end();
	begin("certificate = \"ca.pem\" ocsp = \"http://ocsp.example/\" ");
	hear(L1, NULL);
	ticks(1);
	assert_int_equal(alarms_of(ALARM_UNCOVERED), 0);
	end();
}

static void who_is_none_of_ours_is_told(void **state)
{
	struct watched_names *names;

	(void)state;
	begin(DEMO);
	names = count_of(NULL, 0, false);
	for (size_t k = 0; k < CAS; k++)
		names->certificates[k] = (uint32_t)k + 1;
	watched_source_hear(source, names);
	assert_int_equal(alarms_of(ALARM_NOT_CONFIGURED), 3);
	assert_string_equal(seen.issuer, "");
	assert_string_equal(seen.subject, "gone"); /* by subject: CN=..., abcd, gone */
	assert_string_equal(seen.detail, "watched certificates: 6");
	names = count_of(NULL, 0, false);
	names->certificates[2] = 3;
	names->certificates[3] = 4;
	watched_source_hear(source, names);
	assert_int_equal(alarms_of(ALARM_NOT_CONFIGURED), 1);
	assert_string_equal(seen.subject, "CN=Stranger");
	assert_string_equal(seen.detail, "watched certificates: 7");
	names = count_of(NULL, 0, false);
	names->certificates[4] = 1;
	watched_source_hear(source, names);
	assert_int_equal(alarms_of(ALARM_NOT_CONFIGURED), 1);
	assert_string_equal(seen.subject, "abcd");
	hear(NULL, NULL);
	assert_int_equal(alarms_of(ALARM_NOT_CONFIGURED), 0);
	end();
}

/* CAs in it have their names of that one. */
static void a_count_of_another_configuration_is_passed_over(void **state)
{
	static const char *const url[] = {L1};
	struct watched_names *names;

	(void)state;
	begin(CERTS);
	names = count_of(url, 1, false);
	watched_source_reload(source);
	reload("", CERTS "crl-interval = \"1h\" ");
	watched_source_hear(source, names);
	ticks(WATCHED_LOOK_S);
	assert_int_equal(verdict('A'), CRL_NOT_YET);
	hear(L1, NULL);
	assert_true(is_asked_for(L1));
	end();
}

/* T7: other alarms have room. */
static void what_strangers_name_is_bounded(void **state)
{
	static char text[300][48];
	const char *url[300];

	(void)state;
	begin(DEMO);
	for (size_t i = 0; i < 300; i++) {
		snprintf(text[i], sizeof text[i], "http://x.example/%zu", i);
		url[i] = text[i];
	}
	answer_url(A, LIST(.number = "01", .idp = POINT(A)));
	hear_all(url, 300, false);
	assert_int_equal(alarms_of(ALARM_UNCOVERED), WATCHED_URLS_MAX);
	end();
}

/* Each allocation in turn: what was not said is said with the next tick, and no alarm
 * that stands goes for want of memory. */
static void it_needs_memory(void **state)
{
	unsigned n = 0, calls;

	(void)state;
	do {
		static const char *const url[] = {L1, L2};
		struct watched_names *names;

		n++;
		begin("certificate = \"ca.pem\" crl = { \"" A "\", \"certificates\" } ");
		answer_url(A, LIST(.number = "01", .idp = POINT(A)));
		names = count_of(url, 2, false);
		faults_arm(FAULT_MEMORY, n, 1);
		watched_source_hear(source, names);
		calls = faults_disarm();
		ticks(1);
		feed_elapse(20);
		if (set()->shards_n < 3)
			hear(L1, L2); /* there was none for the count itself */
		for (int k = 0; k < 100 && fake_fetches_waiting() < 2; k++)
			feed_elapse(100);
		assert_true(is_asked_for(L1) && is_asked_for(L2));
		end();
		remove_tree(folder);
	} while (calls >= n);
}

int main(void)
{
	const struct CMUnitTest cases[] = {
	    CASE(what_is_named_is_learnt),
	    CASE(what_is_named_is_needed),
	    CASE(what_nobody_has_is_told),
	    CASE(what_another_list_has_is_not_told),
	    CASE(who_is_none_of_ours_is_told),
	    CASE(a_count_of_another_configuration_is_passed_over),
	    CASE(what_strangers_name_is_bounded),
	    CASE(it_needs_memory),
	};

	return cmocka_run_group_tests(cases, NULL, NULL);
}
