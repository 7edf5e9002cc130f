#include "cache/watch/inventory.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "cache/watch/watch_pick.h"
#include "tests/lib/inventory_kit.h"

#define DAY INT64_C(86400)

/* R16: spellings of different numbers never meet. */
static void an_entry_keeps_its_serial_as_it_is(void **state)
{
	static const struct serial like[] = {
	    {1, {0xff}}, {2, {0, 0xff}}, {1, {0}}, {2, {0xff, 0x00}}, {2, {0, 0x80}}};
	struct watched e, f;
	struct serial s;

	(void)state;
	assert_int_equal(sizeof e, 30);
	for (size_t i = 0; i < sizeof like / sizeof like[0]; i++) {
		watched_set(&e, &like[i], 5, true);
		watched_serial(&e, &s);
		assert_true(serial_equal(&s, &like[i]));
		assert_true(watched_is_verified(&e));
		for (size_t k = 0; k < i; k++) {
			watched_set(&f, &like[k], 5, true);
			assert_int_not_equal(crl_order(&e, &f), 0);
		}
	}
}

static void a_date_has_forty_bits(void **state)
{
	static const int64_t kept[] = {0, 1, -1, 1700000000, -2208988800, 253402300799,
	    (INT64_C(1) << 39) - 1, -(INT64_C(1) << 39) + 1, WATCH_TIME_NONE};
	struct serial s = {1, {1}};
	struct watched e;

	(void)state;
	for (size_t i = 0; i < sizeof kept / sizeof kept[0]; i++) {
		watched_set(&e, &s, kept[i], false);
		assert_int_equal(watched_not_after(&e), kept[i]);
	}
	watched_set(&e, &s, INT64_MAX, false);
	assert_int_equal(watched_not_after(&e), (INT64_C(1) << 39) - 1);
	watched_set(&e, &s, INT64_MIN + 1, false);
	assert_int_equal(watched_not_after(&e), -(INT64_C(1) << 39) + 1);
}

static int by_order(const void *a, const void *b)
{
	return crl_order(a, b);
}

/* Serials that are spread, of few shapes, that count up, and that end in the same octets.
 */
static struct serial of_shape(int shape, uint64_t i)
{
	struct serial s = {.n = 12, .octets = {1}};

	if (shape == 0)
		return kit_wide_serial(i);
	if (shape == 1)
		return kit_odd_serial();
	put_be(shape == 2 ? s.octets + 8 : s.octets + 1, i, 4);
	return s;
}

/* Wherever a search begins, it ends where halves would. */
static void a_place_is_found_in_lists_of_every_shape(void **state)
{
	static const size_t sizes[] = {0, 1, 64, 65, 700, 5000};
	static struct watched e[5000];

	(void)state;
	for (int shape = 0; shape < 4; shape++)
		for (size_t k = 0; k < sizeof sizes / sizeof sizes[0]; k++) {
			size_t n = sizes[k];

			for (size_t i = 0; i < n; i++) {
				struct serial s = of_shape(shape, 2 * i);

				watched_set(&e[i], &s, 0, false);
			}
			qsort(e, n, sizeof e[0], by_order);
			for (size_t i = 0; i < 500; i++) {
				struct serial s =
				    of_shape(shape, kit_random() % (2 * n + 3));
				struct watched key;
				size_t at;

				watched_set(&key, &s, 0, false);
				watched_ahead(e, n, &key, i % 2 == 0);
				at = watched_from(e, n, &key);
				assert_true(at <= n);
				assert_true(at == 0 || crl_order(&e[at - 1], &key) < 0);
				assert_true(at == n || crl_order(&e[at], &key) >= 0);
			}
		}
}

/* A model: plain arrays, looked through from one end to the other. */
struct model {
	uint32_t ca;
	struct serial serial;
	int64_t not_after;
	bool verified;
};

static int model_cmp(const void *a, const void *b)
{
	const struct model *x = a, *y = b;
	struct watched e, f;

	if (x->ca != y->ca)
		return x->ca < y->ca ? -1 : 1;
	watched_set(&e, &x->serial, 0, false);
	watched_set(&f, &y->serial, 0, false);
	return crl_order(&e, &f);
}

static const struct model *model_find(
    const struct model *m, size_t n, uint32_t ca, const struct serial *s)
{
	for (size_t i = 0; i < n; i++)
		if (m[i].ca == ca && serial_equal(&m[i].serial, s))
			return &m[i];
	return NULL;
}

/* Up to n certificates of three CAs, each once, sorted. */
static size_t model_make(struct model *m, size_t n)
{
	size_t made = 0;

	for (size_t i = 0; i < n; i++) {
		struct model one = {.ca = 1 + (uint32_t)(kit_random() % 3),
		    .serial = kit_odd_serial(),
		    .not_after = kit_random() % 4 == 0
				     ? WATCH_TIME_NONE
				     : 1700000000 + (int64_t)(kit_random() % 100) * DAY,
		    .verified = kit_random() % 2 == 0};

		if (model_find(m, made, one.ca, &one.serial) == NULL)
			m[made++] = one;
	}
	qsort(m, made, sizeof *m, model_cmp);
	return made;
}

static struct watch_list *list_of(const char *name, const struct model *m, size_t n)
{
	struct watch_list *l = watch_list_new(name, WATCH_API, 1, n);

	assert_non_null(l);
	for (size_t i = 0; i < n; i++) {
		struct watched e;

		watched_set(&e, &m[i].serial, m[i].not_after, m[i].verified);
		assert_true(watch_list_add(l, m[i].ca, &e));
	}
	return l;
}

static void check_list(const struct watch_list *l, const struct model *m, size_t n)
{
	assert_int_equal(l->n, n);
	for (size_t i = 0; i < n; i++) {
		const struct watched *e = watch_list_find(l, m[i].ca, &m[i].serial);

		assert_non_null(e);
		assert_int_equal(watched_not_after(e), m[i].not_after);
		assert_int_equal(watched_is_verified(e), m[i].verified);
	}
	for (int i = 0; i < 50; i++) {
		struct serial s = kit_odd_serial();
		uint32_t ca = (uint32_t)(kit_random() % 5);

		assert_int_equal(
		    watch_list_find(l, ca, &s) != NULL, model_find(m, n, ca, &s) != NULL);
	}
}

static void a_list_has_what_was_put_there(void **state)
{
	struct model m[200];

	(void)state;
	for (size_t round = 0; round < 60; round++) {
		size_t n = model_make(m, round * 3);
		struct watch_list *l = list_of("web", m, n);

		check_list(l, m, n);
		watch_list_unref(l);
	}
}

/* Two lists as one, and what one has besides the other. */
static void lists_are_joined_and_compared(void **state)
{
	struct model a[100], b[100], all[200], rest[100];

	(void)state;
	for (int round = 0; round < 60; round++) {
		size_t a_n = model_make(a, kit_random() % 100);
		size_t b_n = model_make(b, kit_random() % 100), all_n = 0, rest_n = 0;
		struct watch_list *x = list_of("old", a, a_n),
				  *y = list_of("new", b, b_n);
		struct watch_list *joined = watch_list_join(x, y);
		struct watch_list *minus = watch_list_minus(y, x);
		struct watch_list *whole = watch_list_minus(y, NULL);

		for (size_t i = 0; i < b_n; i++) {
			all[all_n++] = b[i];
			if (model_find(a, a_n, b[i].ca, &b[i].serial) == NULL)
				rest[rest_n++] = b[i];
		}
		for (size_t i = 0; i < a_n; i++)
			if (model_find(b, b_n, a[i].ca, &a[i].serial) == NULL)
				all[all_n++] = a[i];
		check_list(joined, all, all_n);
		check_list(minus, rest, rest_n);
		check_list(whole, b, b_n);
		assert_string_equal(joined->name, "new");
		watch_list_unref(x);
		watch_list_unref(y);
		watch_list_unref(joined);
		watch_list_unref(minus);
		watch_list_unref(whole);
	}
}

static const struct inventory *with(
    const struct inventory *v, const struct watch_list *l, const struct watch_cas *cas)
{
	const struct inventory *w = inventory_with(v, l, cas, &watch_points_none);

	assert_non_null(w);
	inventory_unref(v);
	return w;
}

static void a_new_inventory_shares_the_lists_that_did_not_change(void **state)
{
	struct model m[10];
	size_t n = model_make(m, 10);
	struct watch_list *web = list_of("web", m, n), *mail = list_of("mail", m, n - 1);
	struct watch_list *again = list_of("web", m, 1);
	const struct inventory *one =
	    with(inventory_ref(&inventory_none), web, &watch_cas_none);
	const struct inventory *two =
	    inventory_with(one, mail, &watch_cas_none, &watch_points_none);
	const struct inventory *three =
	    inventory_with(two, again, &watch_cas_none, &watch_points_none);
	const struct inventory *four = inventory_without(three, "web");
	const struct inventory *five = inventory_without(four, "web");

	(void)state;
	assert_int_equal(two->n, 2);
	assert_int_equal(two->entries, 2 * n - 1);
	assert_ptr_equal(two->list[0], mail); /* by name */
	assert_ptr_equal(two->list[1], web);
	assert_ptr_equal(three->list[0], mail);
	assert_ptr_equal(inventory_list(three, "web"), again);
	assert_ptr_equal(
	    inventory_list(two, "web"), web); /* the old one stays as it was */
	assert_int_equal(three->entries, n);
	assert_int_equal(four->n, 1);
	assert_null(inventory_list(four, "web"));
	assert_int_equal(five->n, 1); /* what is not there goes without a word */
	inventory_unref(one);
	inventory_unref(two);
	assert_ptr_equal(three->list[0], mail); /* and outlives it */
	inventory_unref(three);
	inventory_unref(four);
	inventory_unref(five);
	watch_list_unref(web);
	watch_list_unref(mail);
	watch_list_unref(again);
	assert_int_equal(inventory_none.refs, 1);
	assert_int_equal(watch_cas_none.refs, 1);
	assert_int_equal(watch_points_none.refs, 1);
}

/* Some lists out of few serials, so that many stand on several. */
#define LISTS 7
static struct model models[LISTS][120];
static size_t models_n[LISTS];

static const struct inventory *make_inventory(size_t lists)
{
	const struct inventory *v = inventory_ref(&inventory_none);

	for (size_t l = 0; l < lists; l++) {
		struct watch_list *list;
		char name[16];

		snprintf(name, sizeof name, "list%zu", l);
		models_n[l] = model_make(models[l], kit_random() % 120);
		list = list_of(name, models[l], models_n[l]);
		v = with(v, list, &watch_cas_none);
		watch_list_unref(list);
	}
	return v;
}

static void who_is_watched_is_told_with_the_lists(void **state)
{
	const struct inventory *v = make_inventory(LISTS);
	size_t several = 0;

	(void)state;
	for (int i = 0; i < 3000; i++) {
		struct serial s = kit_odd_serial();
		uint32_t ca = (uint32_t)(kit_random() % 4);
		size_t out[LISTS], n = 0, want[LISTS];

		for (size_t l = 0; l < LISTS; l++)
			if (model_find(models[l], models_n[l], ca, &s) != NULL)
				want[n++] = l;
		assert_int_equal(inventory_lists_with(v, ca, &s, out, LISTS), n);
		if (n > 0)
			assert_memory_equal(out, want, n * sizeof out[0]);
		assert_int_equal(inventory_lists_with(v, ca, &s, NULL, 0), n > 0);
		several += n > 1;
	}
	assert_true(several > 100);
	inventory_unref(v);
}

/* Every certificate of a CA once, with what all lists say. */
static size_t all_of(struct model *all, size_t lists, uint32_t ca)
{
	size_t n = 0;

	for (size_t l = 0; l < lists; l++)
		for (size_t i = 0; i < models_n[l]; i++) {
			const struct model *m = &models[l][i];
			struct model *a =
			    (struct model *)(uintptr_t)model_find(all, n, ca, &m->serial);

			if (m->ca != ca)
				continue;
			if (a == NULL) {
				all[n++] = *m;
				continue;
			}
			a->verified |= m->verified;
			if (m->not_after != WATCH_TIME_NONE &&
			    (a->not_after == WATCH_TIME_NONE ||
				m->not_after < a->not_after))
				a->not_after = m->not_after;
		}
	qsort(all, n, sizeof *all, model_cmp);
	return n;
}

/* From the start, or from wherever a walk stopped. */
static void a_walk_meets_every_certificate_once(void **state)
{
	static struct model all[LISTS * 120];

	(void)state;
	for (size_t lists = 0; lists <= LISTS; lists++) {
		const struct inventory *v = make_inventory(lists);

		for (uint32_t ca = 0; ca <= 4; ca++) {
			size_t n = all_of(all, lists, ca), i = 0;
			struct inventory_walk *w = inventory_walk_new(v, ca, NULL);
			struct watched e;

			assert_non_null(w);
			while (inventory_walk_next(w, &e)) {
				struct serial s;

				watched_serial(&e, &s);
				assert_true(i < n && serial_equal(&s, &all[i].serial));
				assert_int_equal(
				    watched_is_verified(&e), all[i].verified);
				assert_int_equal(watched_not_after(&e), all[i].not_after);
				i++;
				if (kit_random() % 3 == 0) {
					inventory_walk_free(w);
					w = inventory_walk_new(v, ca, &e);
				}
			}
			assert_int_equal(i, n);
			inventory_walk_free(w);
		}
		inventory_unref(v);
	}
}

/* The CAs 1 and 2 are demo's, 3 is nobody's. */
static const struct watch_cas *cas_of_demo(void)
{
	const struct watch_cas *cas = watch_cas_ref(&watch_cas_none), *more;

	for (uint32_t id = 1; id <= 3; id++) {
		more = watch_cas_with(cas, &(struct watch_ca){.id = id,
					       .issuer = id < 3 ? "demo" : "",
					       .dn = id == 1 ? "CN=1" : "CN=2"});
		assert_non_null(more);
		watch_cas_unref(cas);
		cas = more;
	}
	return cas;
}

static bool is_of_demo(size_t lists, const struct serial *s)
{
	for (size_t l = 0; l < lists; l++)
		for (uint32_t ca = 1; ca <= 2; ca++)
			if (model_find(models[l], models_n[l], ca, s) != NULL)
				return true;
	return false;
}

static size_t entries_make(struct crl_entry *e, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		struct serial s = kit_odd_serial();

		memset(&e[i], 0, sizeof e[i]);
		crl_entry_set_serial(&e[i], &s);
	}
	return crl_entries_sort(e, n);
}

/* Of a list the entries that are watched, each once, whichever of the issuer's CAs they
 * are of. */
static void of_a_list_those_are_picked_that_are_watched(void **state)
{
	static struct crl_entry e[400];
	const struct watch_cas *cas = cas_of_demo();
	size_t all = 0;

	(void)state;
	for (int round = 0; round < 100; round++) {
		size_t lists = kit_random() % (LISTS + 1), n = kit_random() % 400, at = 0;
		const struct inventory *bare = make_inventory(lists);
		const struct inventory *v =
		    inventory_renamed(bare, cas, &watch_points_none);
		uint32_t *places;
		size_t picked;

		n = entries_make(e, n);
		assert_int_equal(watch_pick(v, "demo", e, n, &places, &picked), ERR_OK);
		for (size_t i = 0; i < n; i++) {
			struct serial s;

			crl_entry_serial(&e[i], &s);
			if (!is_of_demo(lists, &s))
				continue;
			assert_true(at < picked);
			assert_int_equal(places[at++], i);
		}
		assert_int_equal(at, picked);
		assert_true(picked == 0 || watch_picks_any(v, "demo"));
		assert_false(watch_picks_any(v, "other"));
		all += picked;
		free(places);
		assert_int_equal(watch_pick(v, "other", e, n, &places, &picked), ERR_OK);
		assert_int_equal(picked, 0);
		assert_null(places);
		inventory_unref(v);
		inventory_unref(bare);
	}
	assert_true(all > 500);
	assert_false(watch_picks_any(&inventory_none, "demo"));
	watch_cas_unref(cas);
}

static void ends_are_counted_by_the_days_that_are_left(void **state)
{
	struct watch_expiry x = {0};
	const int64_t now = 1700000000;
	static const int64_t left[] = {-DAY, 0, 1, 7 * DAY, 7 * DAY + 1, 30 * DAY,
	    30 * DAY + 1, 90 * DAY, 90 * DAY + 1, 1000 * DAY};

	(void)state;
	for (size_t i = 0; i < sizeof left / sizeof left[0]; i++)
		watch_expiry_add(&x, now + left[i], now);
	watch_expiry_add(&x, WATCH_TIME_NONE, now);
	assert_int_equal(x.expired, 2);
	assert_int_equal(x.in_7, 2);
	assert_int_equal(x.in_30, 2);
	assert_int_equal(x.in_90, 2);
	assert_int_equal(x.more, 3);
}

static void a_ca_is_known_by_the_strongest_that_is_said(void **state)
{
	const struct watch_cas *t = watch_cas_ref(&watch_cas_none), *more;
	struct watch_ca ca[] = {
	    {.id = 3, .issuer = "", .dn = "CN=A", .aki_n = 2, .aki = {0xab, 0xcd}},
	    {.id = 1, .issuer = "demo", .dn = "CN=A", .aki_n = 0},
	    {.id = 2, .issuer = "", .dn = "CN=B", .aki_n = 0},
	    {.id = 1, .issuer = "again", .dn = "CN=A", .aki_n = 0}};
	struct bytes none = {NULL, 0}, aki = bytes_of(ca[0].aki, 2);

	(void)state;
	for (size_t i = 0; i < 4; i++) {
		more = watch_cas_with(t, &ca[i]);
		assert_non_null(more);
		watch_cas_unref(t);
		t = more;
	}
	assert_int_equal(t->n, 3); /* the fourth stands in the place of the second */
	assert_string_equal(watch_cas_at(t, 1)->issuer, "again");
	assert_null(watch_cas_at(t, 4));
	assert_int_equal(watch_cas_find(t, "again", aki, "CN=B")->id, 1);
	assert_null(watch_cas_find(t, "demo", aki, "CN=B"));
	assert_int_equal(watch_cas_find(t, "", aki, "CN=B")->id, 3);
	assert_int_equal(watch_cas_find(t, "", none, "CN=A")->id, 1);
	assert_int_equal(watch_cas_find(t, "", none, "CN=B")->id, 2);
	assert_null(watch_cas_find(t, "", none, ""));
	assert_int_equal(watch_cas_called(t, "again", NULL)->id, 1);
	assert_int_equal(watch_cas_called(t, "ABcd", NULL)->id, 3);
	assert_null(watch_cas_called(t, "ABcd", watch_cas_at(t, 3)));
	assert_null(watch_cas_called(t, "abc", NULL));
	assert_null(watch_cas_called(t, "", NULL));
	watch_cas_unref(t);
}

static long anon_kib(void)
{
	char line[256];
	long kib = 0;
	FILE *f = fopen("/proc/self/status", "r");

	while (f != NULL && fgets(line, sizeof line, f) != NULL)
		(void)sscanf(line, "RssAnon: %ld", &kib);
	if (f != NULL)
		fclose(f);
	return kib;
}

/* A certificate on two lists of one, two or both kinds: verified or a line of text; the
 * verified one's word counts, whatever order they stand in. */
static void whose_signature_was_verified_says_which_list_it_names(void **state)
{
	static const struct {
		bool verified[2];
		uint16_t point[2], is;
	} row[] = {
	    {{true, false}, {3, 4}, 3},
	    {{false, true}, {3, 4}, 4},
	    {{true, false}, {0, 4}, 0}, /* it names none: nobody else says it for it */
	    {{false, true}, {3, 0}, 0},
	    {{false, false}, {3, 4}, 3},
	    {{false, false}, {0, 4}, 4},
	    {{true, true}, {0, 4}, 4},
	    {{true, true}, {3, 4}, 3},
	};
	struct serial s = {.n = 2, .octets = {1, 2}}, other = {.n = 1, .octets = {1}};

	(void)state;
	for (size_t i = 0; i < sizeof row / sizeof row[0]; i++) {
		const struct inventory *v = inventory_ref(&inventory_none);
		struct inventory_walk *w;
		struct watched e, walked;

		for (int k = 0; k < 2; k++) {
			struct watch_list *l =
			    watch_list_new(k == 0 ? "a" : "b", WATCH_API, 1, 1);

			watched_set(&e, &s, 5, row[i].verified[k]);
			watched_set_point(&e, row[i].point[k]);
			assert_true(watch_list_add(l, 1, &e));
			v = with(v, l, &watch_cas_none);
			watch_list_unref(l);
		}
		assert_true(inventory_find(v, 1, &s, &e));
		assert_int_equal(watched_point(&e), row[i].is);
		assert_int_equal(
		    watched_is_verified(&e), row[i].verified[0] || row[i].verified[1]);
		w = inventory_walk_new(v, 1, NULL);
		assert_true(inventory_walk_next(w, &walked));
		assert_memory_equal(&walked, &e, sizeof e);
		inventory_walk_free(w);
		assert_false(inventory_find(v, 2, &s, &e));
		assert_false(inventory_find(v, 1, &other, &e));
		inventory_unref(v);
	}
}

/* Certificate n of CA 1 names list n % 4 (0: none), and is verified where n is odd; all
 * stand on two lists. */
static void lists_that_are_named_are_counted(void **state)
{
	const struct inventory *v = inventory_ref(&inventory_none);
	struct inventory_named named[5] = {0};
	bool used[5] = {false};

	(void)state;
	for (int k = 0; k < 3; k++) {
		struct watch_list *l = watch_list_new(k == 0   ? "a"
						      : k == 1 ? "b"
							       : "c",
		    WATCH_API, 1, 100);

		for (uint8_t n = 1; n <= 100; n++) {
			struct serial s = {.n = 1, .octets = {n}};
			struct watched e;

			watched_set(&e, &s, 5, n % 2 == 1);
			watched_set_point(&e, k < 2 ? n % 4 : 4);
			assert_true(watch_list_add(l, k < 2 ? 1 : 2, &e));
		}
		v = with(v, l, &watch_cas_none);
		watch_list_unref(l);
	}
	assert_true(inventory_named(v, 1, named));
	assert_int_equal(named[0].verified, 0);
	assert_int_equal(named[0].hinted, 25);
	assert_int_equal(named[1].verified, 25);
	assert_int_equal(named[2].hinted, 25);
	assert_int_equal(named[3].verified, 25);
	assert_int_equal(named[4].verified + named[4].hinted, 0);
	inventory_points_used(v, inventory_list(v, "c"), used);
	assert_true(used[0] && used[1] && used[2] && used[3] && !used[4]);
	inventory_points_used(v, NULL, used);
	assert_true(used[4]);
	inventory_unref(v);
}

static void an_entry_has_at_most_32_bytes_of_memory(void **state)
{
	const struct inventory *v = inventory_ref(&inventory_none);
	long before = anon_kib();

	(void)state;
#ifdef __SANITIZE_ADDRESS__
	skip(); /* its own memory is counted too */
#endif
	for (size_t l = 0; l < 100; l++) {
		struct watch_list *list;
		struct watched e;
		char name[16];

		snprintf(name, sizeof name, "list%zu", l);
		list = watch_list_new(name, WATCH_API, 1, 15000);
		for (uint32_t i = 0; i < 15000; i++) {
			struct serial s = {.n = 4};

			/* in order: the last octet counts first */
			s.octets[0] = 1;
			s.octets[2] = (uint8_t)(i >> 8);
			s.octets[3] = (uint8_t)(i >> 16);
			s.octets[1] = (uint8_t)(i & 0xff);
			watched_set(&e, &s, 0, false);
			assert_true(watch_list_add(list, 1, &e));
		}
		v = with(v, list, &watch_cas_none);
		watch_list_unref(list);
	}
	assert_true((double)(anon_kib() - before) * 1024 / 1500000 <= 32);
	inventory_unref(v);
	assert_true((double)(anon_kib() - before) * 1024 / 1500000 <= 1); /* given back */
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(an_entry_keeps_its_serial_as_it_is),
	    cmocka_unit_test(a_date_has_forty_bits),
	    cmocka_unit_test(a_place_is_found_in_lists_of_every_shape),
	    cmocka_unit_test(a_list_has_what_was_put_there),
	    cmocka_unit_test(lists_are_joined_and_compared),
	    cmocka_unit_test(a_new_inventory_shares_the_lists_that_did_not_change),
	    cmocka_unit_test(who_is_watched_is_told_with_the_lists),
	    cmocka_unit_test(a_walk_meets_every_certificate_once),
	    cmocka_unit_test(of_a_list_those_are_picked_that_are_watched),
	    cmocka_unit_test(ends_are_counted_by_the_days_that_are_left),
	    cmocka_unit_test(a_ca_is_known_by_the_strongest_that_is_said),
	    cmocka_unit_test(whose_signature_was_verified_says_which_list_it_names),
	    cmocka_unit_test(lists_that_are_named_are_counted),
	    cmocka_unit_test(an_entry_has_at_most_32_bytes_of_memory),
	};

	return cmocka_run_group_tests_name("inventory", tests, NULL, NULL);
}
