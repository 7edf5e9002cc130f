#include "cache/watch/incident_hits.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include <cmocka.h>

#include "tests/lib/inventory_kit.h"

static char dir[] = "/tmp/incident-XXXXXX";

static int make_dir(void **state)
{
	(void)state;
	return mkdtemp(dir) != NULL ? 0 : -1;
}

static int drop_dir(void **state)
{
	char path[64];

	(void)state;
	snprintf(path, sizeof path, "%s/watch.mdb", dir);
	unlink(path);
	snprintf(path, sizeof path, "%s/watch.mdb-lock", dir);
	unlink(path);
	snprintf(path, sizeof path, "%s/.watch.mdb-was-here", dir);
	unlink(path);
	rmdir(dir);
	return 0;
}

static struct watch_db *opened(void)
{
	struct watch_db *db;
	char why[256];

	assert_int_equal(
	    watch_db_open(&db, dir, (size_t)64 << 20, why, sizeof why), ERR_OK);
	return db;
}

static const struct inventory *loaded(struct watch_db *db)
{
	const struct inventory *v;
	uint64_t left_out;

	assert_int_equal(watch_db_load(db, &v, &left_out), ERR_OK);
	return v;
}

static struct incident_about about_of(const char *name, uint8_t id)
{
	struct incident_about a = {.deadline = 1583280000, .issuer = "demo"};

	memset(a.id, id, sizeof a.id);
	snprintf(a.name, sizeof a.name, "%s", name);
	snprintf(a.url, sizeof a.url, "https://ca.example/incident?n=%s", name);
	return a;
}

/* Certificate number n of whom nothing is said. */
static void add_anybodys(struct watch_draft *d, struct serial s)
{
	struct watch_cert c = {.serial = s,
	    .issuer_name = bytes_of(INCIDENT_ANYBODY, 1),
	    .not_before = WATCH_TIME_NONE,
	    .not_after = WATCH_TIME_NONE};

	assert_int_equal(watch_draft_add(d, &c), ERR_OK);
}

static void add_of(struct watch_draft *d, const char *issuer, struct serial s)
{
	struct watch_cert c = {.serial = s,
	    .issuer = issuer,
	    .not_before = WATCH_TIME_NONE,
	    .not_after = WATCH_TIME_NONE};

	assert_int_equal(watch_draft_add(d, &c), ERR_OK);
}

static void put_as(
    struct watch_db *db, const char *key, enum watch_source source, struct watch_draft *d)
{
	struct watch_put *p;
	bool done = false;

	assert_int_equal(watch_put_new(&p, db, key, source, false, d), ERR_OK);
	watch_put_told(p);
	while (!done)
		assert_int_equal(watch_put_step(p, &done), ERR_OK);
	watch_put_free(p);
}

/* An incident of numbers from..from+n-1 that anybody may have issued. */
static void put_incident(
    struct watch_db *db, const char *name, uint8_t id, uint64_t from, size_t n)
{
	struct incident_about a = about_of(name, id);
	struct watch_draft *d = watch_draft_new(dir);
	char key[WATCH_NAME_MAX];

	assert_int_equal(incident_say(d, &a), ERR_OK);
	for (size_t i = 0; i < n; i++)
		add_anybodys(d, kit_wide_serial(from + i));
	incident_key(key, name);
	put_as(db, key, WATCH_INCIDENT, d);
}

static void put_list(struct watch_db *db, const char *name, uint64_t from, size_t n)
{
	struct watch_draft *d = watch_draft_new(dir);

	assert_int_equal(kit_fill(d, 1, from, n, "web"), ERR_OK);
	put_as(db, name, WATCH_API, d);
}

/* The CA of the list. */
static uint32_t ca_of(const struct inventory *v, const char *list)
{
	return inventory_list(v, list)->ranges[0].ca;
}

static size_t announced(const struct inventory *v, uint32_t ca, uint64_t number)
{
	struct serial s = kit_wide_serial(number);

	return incidents_with(v->incidents, v->cas, ca, &s, NULL, 0);
}

static void an_incident_is_kept_and_announces_what_is_on_it(void **state)
{
	struct watch_db *db = opened();
	const struct inventory *v;
	const struct incident *i, *found[2];
	struct serial s = kit_wide_serial(150);

	(void)state;
	put_list(db, "web", 100, 100);
	put_incident(db, "2020-02-29", 1, 150, 100);
	watch_db_close(db);
	db = opened();
	v = loaded(db);
	assert_int_equal(v->n, 1);
	assert_int_equal(v->entries, 100);
	assert_int_equal(v->incidents->in_force, 1);
	i = incidents_named(v->incidents, "2020-02-29");
	assert_non_null(i);
	assert_int_equal(i->serials, 100);
	assert_int_equal(i->about.deadline, 1583280000);
	assert_string_equal(i->about.name, "2020-02-29");
	assert_string_equal(i->about.issuer, "demo");
	assert_string_equal(i->about.url, "https://ca.example/incident?n=2020-02-29");
	for (uint64_t n = 100; n < 300; n++)
		assert_int_equal(announced(v, ca_of(v, "web"), n), n >= 150 && n < 250);
	assert_int_equal(
	    incidents_with(v->incidents, v->cas, ca_of(v, "web"), &s, found, 2), 1);
	assert_ptr_equal(found[0], i);
	inventory_unref(v);
	watch_db_close(db);
}

static void a_replaced_or_deleted_one_announces_nothing_and_stays_until_told(void **state)
{
	struct watch_db *db = opened();
	const struct inventory *v;
	const struct incident *gone;

	(void)state;
	put_incident(db, "2020-02-29", 2, 160, 10);
	v = loaded(db);
	assert_int_equal(v->incidents->in_force, 1);
	assert_int_equal(v->incidents->n, 2);
	assert_int_equal(announced(v, ca_of(v, "web"), 150), 0);
	assert_int_equal(announced(v, ca_of(v, "web"), 160), 1);
	gone = v->incidents->item[1];
	assert_true(gone->withdrawn);
	assert_int_equal(gone->about.id[0], 1);
	assert_int_equal(watch_db_drop(db, gone->key), ERR_OK);
	assert_int_equal(watch_db_drop(db, "!2020-02-29"), ERR_OK);
	assert_int_equal(watch_db_drop(db, "!2020-02-29"), ERR_NOT_FOUND);
	inventory_unref(v);
	v = loaded(db);
	assert_int_equal(v->incidents->in_force, 0);
	assert_int_equal(v->incidents->n, 1);
	assert_int_equal(v->incidents->item[0]->about.id[0], 2);
	assert_int_equal(announced(v, ca_of(v, "web"), 160), 0);
	inventory_unref(v);
	watch_db_close(db);
}

static void a_named_issuers_serials_are_no_others(void **state)
{
	struct incident_about a = about_of("named", 3);
	struct watch_db *db = opened();
	struct watch_draft *d = watch_draft_new(dir), *lists = watch_draft_new(dir);
	const struct inventory *v;

	(void)state;
	assert_int_equal(incident_say(d, &a), ERR_OK);
	add_of(d, "demo", kit_wide_serial(5));
	put_as(db, "!named", WATCH_INCIDENT, d);
	add_of(lists, "demo", kit_wide_serial(5));
	put_as(db, "a", WATCH_API, lists);
	lists = watch_draft_new(dir);
	add_of(lists, "other", kit_wide_serial(5));
	put_as(db, "b", WATCH_API, lists);
	v = loaded(db);
	assert_int_equal(announced(v, ca_of(v, "a"), 5), 1);
	assert_int_equal(announced(v, ca_of(v, "b"), 5), 0);
	inventory_unref(v);
	watch_db_close(db);
}

/* Against a search through all, with serials of every shape. */
static void each_serial_is_found_and_no_other(void **state)
{
	struct watch_list *l = watch_list_new("!odd", WATCH_INCIDENT, 1, 4000);
	struct watch_ca ca = {.id = 7, .issuer = "", .dn = INCIDENT_ANYBODY};
	const struct watch_cas *one = watch_cas_with(&watch_cas_none, &ca), *cas;
	struct watched e[4000];
	const struct incident *i;
	struct incident_of of;
	size_t n = 0;

	(void)state;
	for (size_t k = 0; k < 4000; k++) {
		struct serial s =
		    k % 2 == 0 ? kit_odd_serial() : kit_wide_serial(k / 400);

		watched_set(&e[k], &s, 0, false);
	}
	qsort(e, 4000, sizeof e[0], crl_order);
	for (size_t k = 0; k < 4000; k += 2, n++)
		if (k == 0 || crl_order(&e[k], &l->entries[l->n - 1]) != 0)
			assert_true(watch_list_add(l, 7, &e[k]));
	ca = (struct watch_ca){.id = 9, .issuer = "demo", .dn = ""};
	cas = watch_cas_with(one, &ca);
	i = incident_new("!odd", l);
	assert_true(incident_of(&of, i, cas, 9));
	for (size_t k = 0; k < 4000; k++) {
		size_t at = watched_from(l->entries, l->n, &e[k]);
		bool is = at < l->n && crl_order(&l->entries[at], &e[k]) == 0;
		uint32_t found = UINT32_MAX;

		assert_int_equal(incident_has(&of, &e[k], &found), is);
		if (is)
			assert_int_equal(found, at);
	}
	incident_unref(i);
	watch_list_unref(l);
	watch_cas_unref(one);
	watch_cas_unref(cas);
}

static struct incident_hits hits_of(const struct inventory *v, const char *name,
    const char *list, const struct incident *but)
{
	struct incident_hits_want want = {.incident = incidents_named(v->incidents, name),
	    .inventory = v,
	    .list = list != NULL ? inventory_list(v, list) : NULL,
	    .but[1] = {but, incident_place_end()}};
	struct incident_hits h;

	assert_true(incident_hits_find(&h, &want));
	return h;
}

/* 90 certificates on two lists, which share 10; 30 of them are of an issuer that is
 * configured. */
static void hits_come_once_and_in_an_order_that_says_how_far(void **state)
{
	struct watch_db *db = opened();
	struct watch_draft *d = watch_draft_new(dir);
	const struct inventory *v;
	struct incident_hits h, rest;
	struct incident_place place;

	(void)state;
	for (uint64_t n = 1000; n < 1030; n++)
		add_of(d, "demo", kit_wide_serial(n));
	put_as(db, "first", WATCH_API, d);
	put_list(db, "second", 1030, 40);
	put_list(db, "third", 1060, 30);
	put_incident(db, "wide", 5, 1000, 85);
	put_incident(db, "narrow", 6, 1010, 10);
	v = loaded(db);
	h = hits_of(v, "wide", NULL, NULL);
	assert_int_equal(h.n, 85);
	assert_int_equal(h.told, 30);
	assert_string_equal(h.who[h.hit[29].who].issuer, "demo");
	for (size_t i = 0; i < h.told; i++) {
		place = incident_hits_place(&h, i);
		assert_int_equal(incident_hits_from(&h, &place), i);
	}
	place = (struct incident_place){.at = 0};
	assert_int_equal(incident_hits_from(&h, &place), 0);
	place = incident_place_end();
	assert_int_equal(incident_hits_from(&h, &place), h.told);
	rest = hits_of(v, "wide", NULL, incidents_named(v->incidents, "narrow"));
	assert_int_equal(rest.n, 75);
	assert_int_equal(rest.told, 20);
	incident_hits_clear(&rest);
	rest = hits_of(v, "wide", "third", NULL);
	assert_int_equal(rest.n, 25);
	incident_hits_clear(&rest);
	incident_hits_clear(&h);
	inventory_unref(v);
	watch_db_close(db);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(an_incident_is_kept_and_announces_what_is_on_it),
	    cmocka_unit_test(
		a_replaced_or_deleted_one_announces_nothing_and_stays_until_told),
	    cmocka_unit_test(a_named_issuers_serials_are_no_others),
	    cmocka_unit_test(each_serial_is_found_and_no_other),
	    cmocka_unit_test(hits_come_once_and_in_an_order_that_says_how_far),
	};
	return cmocka_run_group_tests(tests, make_dir, drop_dir);
}
