/* poll_walk: an issuer's watched certificates, round and round. */
#include "proxy/keeper/poll_walk.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

#include "tests/lib/inventory_kit.h"

static const struct inventory *v;
static const struct watch_cas *cas;

static void add_ca(uint32_t id, const char *issuer)
{
	const struct watch_ca ca = {
	    .id = id, .issuer = issuer, .dn = "", .aki_n = 1, .aki = {(uint8_t)id}};
	const struct watch_cas *old = cas;

	cas = watch_cas_with(old, &ca);
	assert_non_null(cas);
	watch_cas_unref(old);
}

/* 3 and 9 are CAs of "demo", 5 is another issuer's, 7 nobody's. */
static int begin(void **state)
{
	(void)state;
	cas = watch_cas_ref(&watch_cas_none);
	add_ca(3, "demo");
	add_ca(5, "other");
	add_ca(7, "");
	add_ca(9, "demo");
	v = inventory_renamed(&inventory_none, cas, &watch_points_none);
	assert_non_null(v);
	return 0;
}

static int end(void **state)
{
	(void)state;
	inventory_unref(v);
	watch_cas_unref(cas);
	return 0;
}

/* The serials of two octets from first on, of each of these CAs. */
static void put(
    const char *name, const uint32_t *ca, size_t ca_n, unsigned first, unsigned n)
{
	struct watch_list *l = watch_list_new(name, WATCH_API, 1, ca_n * n);
	const struct inventory *old = v;

	for (size_t i = 0; i < ca_n; i++)
		for (unsigned s = first; s < first + n; s++) {
			struct serial serial = {2, {(uint8_t)(s >> 8), (uint8_t)s}};
			struct watched w;

			watched_set(&w, &serial, WATCH_TIME_NONE, true);
			assert_true(watch_list_add(l, ca[i], &w));
		}
	v = inventory_with(old, l, cas, &watch_points_none);
	assert_non_null(v);
	inventory_unref(old);
	watch_list_unref(l);
}

/* What the next n of the walk are: ca * 65536 + serial.  Returns how often it wrapped. */
static unsigned next(struct poll_place *place, unsigned *out, size_t n)
{
	struct poll_walk w = {.v = v, .issuer = "demo", .place = place};
	unsigned wraps = 0;

	for (size_t i = 0; i < n; i++) {
		struct watched e;
		struct serial s;
		struct bytes aki;
		bool wrapped = false;

		assert_true(poll_walk_next(&w, &e, &aki, &wrapped));
		watched_serial(&e, &s);
		assert_int_equal(aki.n, 1);
		out[i] =
		    (unsigned)aki.p[0] << 16 | (unsigned)s.octets[0] << 8 | s.octets[1];
		wraps += wrapped;
	}
	poll_walk_end(&w);
	return wraps;
}

static const uint32_t all[] = {3, 5, 7, 9};

static void every_certificate_of_the_issuer_once_a_round(void **state)
{
	const uint32_t last[] = {9};
	struct poll_place place = {0};
	unsigned got[16];

	(void)state;
	put("a", all, 4, 0x1001, 2);
	put("b", all, 4, 0x1002, 2);
	put("c", last, 1, 0x1005, 1);
	assert_int_equal(next(&place, got, 8), 1);
	assert_int_equal(got[0], 0x31001);
	assert_int_equal(got[2], 0x31003);
	assert_int_equal(got[3], 0x91001);
	assert_int_equal(got[6], 0x91005);
	assert_int_equal(got[7], 0x31001);
	/* one by one it is the same */
	for (int i = 1; i < 7; i++) {
		unsigned one;

		assert_int_equal(next(&place, &one, 1), 0);
		assert_int_equal(one, got[i]);
	}
	assert_int_equal(next(&place, got, 1), 1);
}

static void it_goes_on_in_another_inventory(void **state)
{
	struct poll_place place = {0};
	unsigned got[8];

	(void)state;
	put("a", all, 4, 0x1001, 4);
	next(&place, got, 2);
	put("a", all, 4, 0x1000, 3); /* 1001, where it stands, and 1003 are not new */
	next(&place, got, 2);
	assert_int_equal(got[0], 0x91000);
	put("a", all, 1, 0x1000, 1); /* the CA where it stands is gone */
	assert_int_equal(next(&place, got, 2), 2);
	assert_int_equal(got[0], 0x31000);
	assert_int_equal(got[1], 0x31000);
}

static void nobody_is_nobody(void **state)
{
	const uint32_t others[] = {5, 7};
	struct poll_place place;
	struct poll_walk w = {.v = v, .issuer = "demo", .place = &place};
	struct watched e;
	struct bytes aki;
	bool wrapped = false;

	(void)state;
	poll_place_by_chance(&place, v, "demo", 77);
	assert_int_equal(place.ca, 0);
	assert_false(poll_walk_next(&w, &e, &aki, &wrapped));
	assert_int_equal(poll_count(v, "demo").all, 0);
	put("a", others, 2, 0x1000, 10);
	w.v = v;
	wrapped = false;
	assert_false(poll_walk_next(&w, &e, &aki, &wrapped));
	assert_int_equal(poll_count(v, "demo").all, 0);
	assert_int_equal(poll_count(v, "other").all, 10);
	poll_walk_end(&w);
}

static void they_are_counted_on_all_lists(void **state)
{
	const uint32_t last[] = {9};

	(void)state;
	put("a", all, 4, 0x1000, 10);
	put("b", all, 4, 0x1005, 7);
	put("c", last, 1, 0x2000, 12);
	assert_int_equal(poll_count(v, "demo").all, 2 * 17 + 12);
	assert_int_equal(poll_count(v, "demo").most, 10 + 12);
}

static void chance_begins_it_anywhere(void **state)
{
	bool seen[100] = {false};
	unsigned different = 0;

	(void)state;
	put("a", all, 4, 0x1000, 50);
	put("b", all, 4, 0x1032, 50);
	for (uint32_t chance = 0; chance < 1000; chance++) {
		struct poll_place place;
		unsigned got;

		poll_place_by_chance(&place, v, "demo", chance * UINT32_C(2654435769));
		next(&place, &got, 1);
		if (got >> 16 != 3)
			continue; /* behind the last of its CA */
		different += !seen[got - 0x31000];
		seen[got - 0x31000] = true;
	}
	assert_in_range(different, 90, 100);
}

int main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(name, begin, end)
	const struct CMUnitTest tests[] = {
	    T(every_certificate_of_the_issuer_once_a_round),
	    T(it_goes_on_in_another_inventory),
	    T(nobody_is_nobody),
	    T(they_are_counted_on_all_lists),
	    T(chance_begins_it_anywhere),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
