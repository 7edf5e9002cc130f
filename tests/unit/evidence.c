/* The rule for what is watched; the rest of it stands in tests/scenario/61-crl.c. */
#include "proxy/keeper/evidence.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

#define NOW   INT64_C(1700000000)
#define LATER (NOW + 3600)

static char url[3][32] = {
    "http://crl.example/0", "http://crl.example/1", "http://crl.example/2"};

/* An issuer with two lists that are parts, the first in force; a third is not configured.
 * Certificates 1.. are watched, each on one list of a CA of its name. */
static struct {
	struct issuer issuer;
	char *place[2];
	struct issuer_list crl[2];
	struct crl_set *set;
	const struct watch_cas *cas;
	const struct watch_points *points;
	const struct inventory *v;
	struct watch_list *list;
	uint16_t number[3];
	struct evidence e;
} t;

enum { NAMED, SECOND, STRANGE, NAMELESS, UNVERIFIED, OTHER_NAME, CERTIFICATES };

static struct serial serial_of(uint8_t n)
{
	return (struct serial){.n = 1, .octets = {n + 1}};
}

static uint16_t number_of(struct watch_point_draft *d, const char *text)
{
	struct serial s = serial_of(0);
	uint8_t run[64];
	struct watch_record row = {.not_after = 0};
	struct watched e;
	size_t n = 0;

	watch_run_add(run, &n, text, strlen(text));
	row.crl = bytes_of(run, n);
	assert_true(watch_point_draft_entry(d, 1, &s, &row, &e));
	return watched_point(&e);
}

static void add(uint32_t ca, uint8_t which, uint16_t point, bool verified)
{
	struct serial s = serial_of(which);
	struct watched e;

	watched_set(&e, &s, LATER, verified);
	watched_set_point(&e, point);
	assert_true(watch_list_add(t.list, ca, &e));
}

static void cas_make(void)
{
	static const struct watch_ca each[] = {{.id = 1, .issuer = "demo", .dn = ""},
	    {.id = 2, .issuer = "other", .dn = ""},
	    {.id = 3, .issuer = "demo", .dn = ""}};

	t.cas = watch_cas_ref(&watch_cas_none);
	for (size_t i = 0; i < 3; i++) {
		const struct watch_cas *more = watch_cas_with(t.cas, &each[i]);

		assert_non_null(more);
		watch_cas_unref(t.cas);
		t.cas = more;
	}
}

static int begin(void **state)
{
	static char name[] = "demo";
	struct watch_point_draft *d = watch_point_draft_new(&watch_points_none, NULL);

	(void)state;
	for (size_t i = 0; i < 3; i++)
		t.number[i] = number_of(d, url[i]);
	t.points = watch_point_draft_end(d);
	watch_point_draft_free(d);
	cas_make();
	t.list = watch_list_new("web", WATCH_API, 1, CERTIFICATES);
	add(1, NAMED, t.number[0], true);
	add(1, SECOND, t.number[1], true);
	add(1, STRANGE, t.number[2], true);
	add(1, NAMELESS, 0, true);
	add(1, UNVERIFIED, t.number[0], false);
	add(3, OTHER_NAME, t.number[0], true); /* its CA has two numbers */
	t.v = inventory_with(&inventory_none, t.list, t.cas, t.points);
	for (size_t i = 0; i < 2; i++) {
		t.place[i] = url[i];
		t.crl[i] = (struct issuer_list){
		    .place = &t.place[i], .place_n = 1, .scope = url[i]};
	}
	t.issuer = (struct issuer){.name = name, .crl = t.crl, .crl_n = 2};
	t.set = crl_set_new(2, 1);
	t.set->shard[0].in_force = true;
	t.set->shard[0].facts =
	    (struct crl_facts){.next_update = LATER, .has_point = true};
	return 0;
}

static int end(void **state)
{
	(void)state;
	inventory_unref(t.v);
	watch_list_unref(t.list);
	watch_cas_unref(t.cas);
	watch_points_unref(t.points);
	crl_set_unref(t.set);
	return 0;
}

/* What the inventory has of it, of each CA that goes by the issuer's name. */
static struct evidence_watch watch_of(const struct serial *s)
{
	const struct watch_ca *ca = NULL;
	struct watched e, all;
	bool found = false;

	while ((ca = watch_cas_called(t.v->cas, "demo", ca)) != NULL) {
		if (!inventory_find(t.v, ca->id, s, &e))
			continue;
		if (found)
			watched_join(&all, &e);
		else
			all = e;
		found = true;
	}
	return found ? evidence_watch_of(&all) : (struct evidence_watch){0};
}

/* By a look into the inventory, by what the caller has of it, and with a memory of what
 * was said: all the same. */
static enum status status_of(uint8_t which)
{
	static const struct evidence_kept nothing;
	struct serial s = serial_of(which);
	struct evidence_watch watch = watch_of(&s);
	uint8_t said[4] = {0};
	struct evidence_lists lists;

	evidence_list(t.set, &t.issuer, t.v, NOW, &lists);
	evidence_judge(&nothing, &lists, NULL, &t.issuer, &s, NULL, NULL, &t.e);
	lists.said = said;
	for (int i = 0; i < 2; i++) {
		struct evidence again;

		evidence_judge(
		    &nothing, &lists, NULL, &t.issuer, &s, &watch, NULL, &again);
		assert_int_equal(again.status, t.e.status);
		assert_int_equal(again.named.absence, t.e.named.absence);
		assert_ptr_equal(again.named.url, t.e.named.url);
	}
	if (t.e.named.watch.watched && t.e.status == STATUS_GOOD)
		assert_true(evidence_may_name(&lists));
	assert_int_equal(evidence_names_good(&lists, &t.issuer, &watch) ||
			     lists.absence == CRL_ABSENT_GOOD,
	    t.e.status == STATUS_GOOD);
	return t.e.status;
}

static bool is_covered(uint8_t which)
{
	struct serial s = serial_of(which);
	struct evidence_watch watch = watch_of(&s);

	status_of(which);
	return evidence_is_covered(&t.e, &t.issuer, &watch);
}

static void what_is_watched_is_good_by_the_list_that_it_names(void **state)
{
	(void)state;
	assert_int_equal(status_of(NAMED), STATUS_GOOD);
	assert_int_equal(status_of(OTHER_NAME), STATUS_GOOD);
	assert_int_equal(status_of(SECOND), STATUS_UNKNOWN);
	assert_int_equal(t.e.named.absence, CRL_ABSENT_MISSING);
	assert_string_equal(t.e.named.url, url[1]);
	assert_int_equal(status_of(STRANGE), STATUS_UNKNOWN);
	assert_int_equal(t.e.named.absence, CRL_ABSENT_NOT_OURS);
	assert_int_equal(status_of(NAMELESS), STATUS_UNKNOWN);
	assert_null(t.e.named.url);
	assert_int_equal(status_of(UNVERIFIED), STATUS_UNKNOWN);
	assert_true(t.e.named.watch.watched && !t.e.named.watch.verified);
	assert_int_equal(status_of(CERTIFICATES), STATUS_UNKNOWN);
	assert_false(t.e.named.watch.watched);
	t.set->shard[0].facts.next_update = NOW;
	assert_int_equal(status_of(NAMED), STATUS_UNKNOWN);
	assert_int_equal(t.e.named.absence, CRL_ABSENT_OVERDUE);
}

static void what_is_said_of_the_issuer_counts_before_it(void **state)
{
	(void)state;
	t.issuer.rules.absent = ABSENT_UNKNOWN;
	assert_int_equal(status_of(NAMED), STATUS_UNKNOWN);
	t.issuer.rules.absent = ABSENT_GOOD; /* one is missing: only who is watched */
	assert_int_equal(status_of(NAMED), STATUS_GOOD);
	assert_int_equal(status_of(SECOND), STATUS_UNKNOWN);
	t.set->shard[1] = t.set->shard[0];
	for (uint8_t i = 0; i <= CERTIFICATES; i++)
		assert_int_equal(status_of(i), STATUS_GOOD);
	t.issuer.rules.absent = ABSENT_UNSAID;
	assert_int_equal(status_of(SECOND), STATUS_GOOD);
	assert_int_equal(status_of(UNVERIFIED), STATUS_UNKNOWN);
	/* lists that have not been opened may have anybody */
	t.set->unopened = true;
	assert_int_equal(status_of(NAMED), STATUS_UNKNOWN);
	t.set->unopened = false;
	/* between a reload and the set that follows it nobody knows which is which */
	t.set->shards_n = 1;
	assert_int_equal(status_of(NAMED), STATUS_UNKNOWN);
}

/* R94, T18: good is what no list has. */
static void who_is_listed_is_revoked_though_watched(void **state)
{
	struct serial s = serial_of(NAMED);
	size_t mapped;
	struct crl_entry *e = crl_entries_new(1, &mapped);

	(void)state;
	crl_entry_set_serial(e, &s);
	crl_entry_set_at(e, NOW - 5);
	e->reason = 1;
	e->shard[0] = 0;
	e->shard[1] = 1; /* not even by the list that it names */
	t.set->entries = e;
	t.set->n = 1;
	t.set->mapped = mapped;
	t.set->shard[1] = t.set->shard[0];
	/* evidence_names_good() is for whom nothing else is known of */
	{
		static const struct evidence_kept nothing;
		struct evidence_lists lists;

		evidence_list(t.set, &t.issuer, t.v, NOW, &lists);
		evidence_judge(&nothing, &lists, NULL, &t.issuer, &s, NULL, NULL, &t.e);
		assert_int_equal(t.e.status, STATUS_REVOKED);
	}
	assert_int_equal(status_of(OTHER_NAME), STATUS_GOOD);
}

static void who_would_be_told_of_is_covered(void **state)
{
	struct evidence_watch none = {0};

	(void)state;
	assert_true(is_covered(NAMED));
	assert_true(is_covered(UNVERIFIED)); /* its list would revoke it all the same */
	assert_false(is_covered(SECOND));
	assert_false(is_covered(STRANGE));
	assert_false(is_covered(NAMELESS));
	assert_false(is_covered(CERTIFICATES));
	assert_false(evidence_is_covered(&t.e, NULL, &none));
	t.e.unknown.found = true; /* an answer in date */
	assert_true(evidence_is_covered(&t.e, &t.issuer, &none));
	/* one that is all */
	t.set->shard[0].facts.has_point = false;
	assert_true(is_covered(STRANGE));
	t.set->shard[0].facts.only_ca = true;
	assert_false(is_covered(STRANGE));
	t.set->shard[0].facts.only_ca = false;
	t.set->shard[0].facts.next_update = NOW;
	assert_false(is_covered(NAMED));
	/* all are there, by the operator's word */
	t.set->shard[0].facts =
	    (struct crl_facts){.next_update = LATER, .has_point = true};
	t.set->shard[1] = t.set->shard[0];
	assert_false(is_covered(STRANGE));
	t.issuer.rules.absent = ABSENT_GOOD;
	assert_true(is_covered(STRANGE));
}

int main(void)
{
#define CASE(f) cmocka_unit_test_setup_teardown(f, begin, end)
	const struct CMUnitTest tests[] = {
	    CASE(what_is_watched_is_good_by_the_list_that_it_names),
	    CASE(what_is_said_of_the_issuer_counts_before_it),
	    CASE(who_is_listed_is_revoked_though_watched),
	    CASE(who_would_be_told_of_is_covered),
	};

	return cmocka_run_group_tests_name("evidence", tests, NULL, NULL);
}
