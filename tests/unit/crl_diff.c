#include "cache/change/crl_diff.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

#include "tests/lib/crl_kit.h"

#define NOW    INT64_C(1700000000)
#define SHARDS 4

static const struct crl_diff_rules covered = {.covered = true};
static const struct crl_diff_rules uncovered = {.covered = false};

static struct crl_diff *diff(const struct crl_list *old, const struct crl_list *new,
    const struct crl_diff_rules *rules)
{
	struct crl_diff *d;

	assert_int_equal(
	    crl_diff_make(&d, old->entries, old->n, new->entries, new->n, rules), ERR_OK);
	if (rules->others == NULL)
		assert_int_equal(d->added + d->released + d->removed, d->n);
	return d;
}

static void lists_free(struct crl_list *a, struct crl_list *b)
{
	if (a->entries != NULL)
		crl_entries_free(a->entries, a->mapped);
	if (b->entries != NULL)
		crl_entries_free(b->entries, b->mapped);
}

/* What is to be told of a certificate. */
static const struct change *find(const struct change *c, size_t n, size_t serial)
{
	struct serial want = kit_serial_at(serial), is;

	for (size_t i = 0; i < n; i++) {
		if (change_is_moot(&c[i]))
			continue;
		crl_entry_serial(&c[i].entry, &is);
		if (serial_equal(&want, &is))
			return &c[i];
	}
	return NULL;
}

static void assert_change(const struct change *c, enum change_status now,
    enum change_status before, int reason, int64_t at)
{
	assert_non_null(c);
	assert_int_equal(change_now(c), now);
	assert_int_equal(change_before(c), before);
	assert_int_equal(crl_entry_reason(&c->entry), reason);
	assert_int_equal(crl_entry_at(&c->entry), at);
	assert_int_equal(crl_entry_shard(&c->entry), 0);
}

/* R72: each way in which one entry can move, written down by hand.  T19:
 * what leaves a list was released only if it was on hold. */
static void each_move_of_an_entry_has_its_change(void **state)
{
	static const struct {
		struct kit_mark old, new;
		int now; /* -1: no change */
		enum change_status before;
		int reason;
		int64_t at;
	} row[] = {
	    {{false, 0, 0}, {true, 1, NOW}, CHANGE_REVOKED, CHANGE_GOOD, 1, NOW},
	    {{false, 0, 0}, {true, 6, NOW}, CHANGE_REVOKED, CHANGE_GOOD, 6, NOW},
	    {{false, 0, 0}, {true, REASON_NONE, 3}, CHANGE_REVOKED, CHANGE_GOOD,
		REASON_NONE, 3},
	    {{true, 1, NOW}, {false, 0, 0}, CHANGE_REMOVED, CHANGE_REVOKED, 1, NOW},
	    {{true, REASON_NONE, NOW}, {false, 0, 0}, CHANGE_REMOVED, CHANGE_REVOKED,
		REASON_NONE, NOW},
	    {{true, 6, NOW}, {false, 0, 0}, CHANGE_GOOD, CHANGE_REVOKED, 6, NOW},
	    {{true, 6, NOW}, {true, 4, NOW + 9}, CHANGE_REVOKED, CHANGE_REVOKED, 4,
		NOW + 9},
	    {{true, 6, NOW}, {true, REASON_NONE, NOW}, CHANGE_REVOKED, CHANGE_REVOKED,
		REASON_NONE, NOW},
	    {{true, 1, NOW}, {true, 6, NOW}, -1, 0, 0, 0},
	    {{true, 1, NOW}, {true, 4, NOW}, -1, 0, 0, 0},
	    {{true, 1, NOW}, {true, 1, NOW - 5}, -1, 0, 0, 0},
	    {{true, 6, NOW}, {true, 6, NOW - 5}, -1, 0, 0, 0},
	    {{true, 1, NOW}, {true, 1, NOW}, -1, 0, 0, 0},
	};
	enum { N = sizeof row / sizeof row[0] };
	struct kit_mark old[KIT_SERIALS] = {0}, new[KIT_SERIALS] = {0};
	struct crl_list a, b;
	struct crl_diff *d;

	(void)state;
	for (size_t i = 0; i < N; i++) {
		old[i] = row[i].old;
		new[i] = row[i].new;
	}
	kit_list(&a, old, NOW, NOW);
	kit_list(&b, new, NOW, NOW);
	d = diff(&a, &b, &covered);
	assert_int_equal(d->n, 8);
	assert_int_equal(d->added, 5);
	assert_int_equal(d->released, 1);
	assert_int_equal(d->removed, 2);
	for (size_t i = 0; i < N; i++) {
		const struct change *c = find(d->changes, d->n, i);

		if (row[i].now < 0)
			assert_null(c);
		else
			assert_change(c, (enum change_status)row[i].now, row[i].before,
			    row[i].reason, row[i].at);
	}
	crl_diff_free(d);
	lists_free(&a, &b);
}

static void what_was_not_listed_was_good_only_where_the_lists_covered_it(void **state)
{
	struct kit_mark m[KIT_SERIALS] = {[4] = {true, 1, NOW}};
	struct crl_list none = {0}, one;
	struct crl_diff *d;

	(void)state;
	kit_list(&one, m, NOW, NOW);
	d = diff(&none, &one, &covered);
	assert_change(find(d->changes, 1, 4), CHANGE_REVOKED, CHANGE_GOOD, 1, NOW);
	crl_diff_free(d);
	d = diff(&none, &one, &uncovered);
	assert_change(find(d->changes, 1, 4), CHANGE_REVOKED, CHANGE_UNKNOWN, 1, NOW);
	crl_diff_free(d);
	lists_free(&one, &none);
}

static void equal_lists_make_an_empty_diff(void **state)
{
	struct kit_mark m[KIT_SERIALS] = {[4] = {true, 1, NOW}, [5] = {true, 6, NOW}};
	struct crl_list none = {0}, one;
	struct crl_diff *d;

	(void)state;
	kit_list(&one, m, NOW, NOW);
	d = diff(&one, &one, &covered);
	assert_int_equal(d->n, 0);
	crl_diff_free(d);
	d = diff(&none, &none, &covered);
	assert_int_equal(d->n, 0);
	assert_int_equal(d->mapped, 0);
	crl_diff_free(d);
	crl_diff_free(NULL);
	lists_free(&one, &none);
}

/* What all lists together say of a serial. */
enum moved { ABSENT, HELD, REVOKED };

static enum moved model_of(struct kit_mark m[SHARDS][KIT_SERIALS], size_t serial)
{
	enum moved worst = ABSENT;

	for (size_t i = 0; i < SHARDS; i++) {
		if (m[i][serial].listed && !kit_mark_is_hold(&m[i][serial]))
			return REVOKED;
		if (m[i][serial].listed)
			worst = HELD;
	}
	return worst;
}

/* The change that the move of one serial asks for, or none. */
static void assert_move_is_told(const struct crl_diff *d, size_t serial,
    enum moved before, enum moved after, const struct kit_mark *old,
    const struct kit_mark *new)
{
	const struct change *c = find(d->changes, d->n, serial);

	if (after > before)
		assert_change(c, CHANGE_REVOKED,
		    before == ABSENT ? CHANGE_GOOD : CHANGE_REVOKED, new->reason,
		    new->at);
	else if (after == ABSENT && before != ABSENT)
		assert_change(c, before == HELD ? CHANGE_GOOD : CHANGE_REMOVED,
		    CHANGE_REVOKED, old->reason, old->at);
	else
		assert_null(c);
}

/* R72: lists come one after the other, each is compared with its predecessor and settled
 * against the set that it came into: what is told is what the whole moved, no more and no
 * less.  The set may hold the new list or still the old one. */
static void of_several_lists_the_whole_decides_what_moved(void **state)
{
	struct kit_mark m[SHARDS][KIT_SERIALS] = {0}, old[KIT_SERIALS];
	const struct crl_set *s = NULL, *before = NULL;

	(void)state;
	for (int step = 0; step < 6000; step++) {
		unsigned shard = (unsigned)kit_random(SHARDS);
		struct crl_diff_rules rules = {.covered = true, .shard = shard};
		enum moved was[KIT_SERIALS];
		struct crl_list a, b;
		struct crl_diff *d;

		for (size_t i = 0; i < KIT_SERIALS; i++)
			was[i] = model_of(m, i);
		memcpy(old, m[shard], sizeof old);
		for (size_t i = 0; i < KIT_SERIALS; i++)
			if (kit_random(3) == 0)
				kit_mark_randomly(&m[shard][i], 40);
		if (s != NULL)
			crl_set_ref(before = s);
		s = kit_put(s, SHARDS, shard, m[shard], NOW, NOW);
		kit_list(&a, old, NOW, NOW);
		kit_list(&b, m[shard], NOW, NOW);
		rules.others = step % 2 == 0 ? before : s;
		d = diff(&a, &b, &rules);
		for (size_t i = 0; i < KIT_SERIALS; i++)
			assert_move_is_told(
			    d, i, was[i], model_of(m, i), &old[i], &m[shard][i]);
		for (size_t i = 1; i < d->n; i++)
			assert_true(crl_entry_cmp(&d->changes[i - 1].entry,
					&d->changes[i].entry) < 0);
		crl_diff_free(d);
		lists_free(&a, &b);
		crl_set_unref(before);
		before = NULL;
	}
	crl_set_unref(s);
}

/* Every node cuts the same batches, whatever its other lists are; those that wait to be
 * told themselves keep a certificate that is brought from nobody. */
static void other_lists_move_no_boundary(void **state)
{
	(void)state;
	for (int life = 0; life < 300; life++) {
		struct kit_mark m[KIT_SERIALS], old[KIT_SERIALS], other[KIT_SERIALS];
		struct crl_diff_rules rules = {.covered = true, .shard = 1};
		struct crl_list a, b;
		struct crl_diff *alone, *d, *wait;
		const struct crl_set *s;

		for (size_t i = 0; i < KIT_SERIALS; i++) {
			kit_mark_randomly(&old[i], 60);
			kit_mark_randomly(&m[i], 60);
			kit_mark_randomly(&other[i], 40);
		}
		s = kit_put(NULL, 2, 0, other, NOW, NOW);
		kit_list(&a, old, NOW, NOW);
		kit_list(&b, m, NOW, NOW);
		alone = diff(&a, &b, &rules);
		rules.others = s;
		d = diff(&a, &b, &rules);
		rules.others_wait = true;
		wait = diff(&a, &b, &rules);
		assert_int_equal(d->n, alone->n);
		assert_int_equal(wait->n, alone->n);
		assert_int_equal(wait->added, alone->added);
		assert_int_equal(wait->released, d->released);
		assert_int_equal(wait->removed, d->removed);
		for (size_t i = 0; i < d->n; i++) {
			const struct change *c = &alone->changes[i];

			assert_int_equal(
			    crl_entry_cmp(&d->changes[i].entry, &c->entry), 0);
			if (change_now(c) == CHANGE_REVOKED)
				assert_memory_equal(&wait->changes[i], c, sizeof *c);
		}
		crl_diff_free(alone);
		crl_diff_free(d);
		crl_diff_free(wait);
		lists_free(&a, &b);
		crl_set_unref(s);
	}
}

/* n serials: 0, step, 2 * step, ...; the date tells which. */
static void long_list(struct crl_list *l, size_t n, size_t step)
{
	*l = (struct crl_list){0};
	l->entries = crl_entries_new(n, &l->mapped);
	for (; l->n < n; l->n++) {
		struct serial s = {4, {1}};

		for (int i = 0; i < 3; i++)
			s.octets[1 + i] = (uint8_t)(l->n * step >> (16 - 8 * i));
		crl_entry_set_serial(&l->entries[l->n], &s);
		crl_entry_set_at(&l->entries[l->n], (int64_t)(l->n * step));
		l->entries[l->n].reason = CRL_NO_REASON;
	}
	l->n = crl_entries_sort(l->entries, l->n);
}

/* Multiples of 3 leave, multiples of 2 come, those of 6 stay: beyond the first mapping.
 */
static void many_changes_cost_their_own_memory_and_no_more(void **state)
{
	enum { N = 60000 };
	struct crl_list a, b;
	struct crl_diff *d;

	(void)state;
	long_list(&a, N, 3);
	long_list(&b, N, 2);
	d = diff(&a, &b, &covered);
	assert_int_equal(d->added, N - N / 3);
	assert_int_equal(d->removed, N - N / 3);
	assert_int_equal(d->mapped, kit_pages(d->n * sizeof(struct change)));
	for (size_t i = 0; i < d->n; i++) {
		int64_t at = crl_entry_at(&d->changes[i].entry);

		assert_true(at % 6 != 0 || at >= 2 * N);
		assert_int_equal(change_now(&d->changes[i]),
		    at % 3 != 0 ? CHANGE_REVOKED : CHANGE_REMOVED);
		assert_true(i == 0 || crl_entry_cmp(&d->changes[i - 1].entry,
					  &d->changes[i].entry) < 0);
	}
	crl_diff_free(d);
	lists_free(&a, &b);
}

static void without_memory_there_is_no_diff(void **state)
{
	struct crl_list none = {0}, b;
	struct crl_diff *d = NULL;
	int refused = 0;

	(void)state;
	long_list(&b, 20000, 1); /* grows four times */
	for (;; refused++) {
		enum err e;

		kit_refuse = refused;
		e = crl_diff_make(&d, NULL, 0, b.entries, b.n, &covered);
		if (e == ERR_OK)
			break;
		assert_int_equal(e, ERR_NOMEM);
		assert_null(d);
	}
	kit_refuse = -1;
	assert_true(refused >= 3);
	crl_diff_free(d);
	lists_free(&b, &none);
}

static void the_entries_of_one_list_of_a_set_are_a_list(void **state)
{
	(void)state;
	for (size_t shards_n = 1; shards_n <= SHARDS; shards_n++) {
		struct kit_mark m[SHARDS][KIT_SERIALS];
		const struct crl_set *s = NULL;

		for (size_t i = 0; i < shards_n; i++) {
			for (size_t k = 0; k < KIT_SERIALS; k++)
				kit_mark_randomly(&m[i][k], i == 2 ? 0 : 50);
			s = kit_put(s, shards_n, i, m[i], NOW, NOW);
		}
		for (unsigned i = 0; i < shards_n; i++) {
			const struct crl_entry *e;
			struct crl_list l;
			size_t n, mapped;

			kit_list(&l, m[i], NOW, NOW);
			assert_int_equal(
			    crl_set_shard_entries(s, i, &e, &n, &mapped), ERR_OK);
			assert_int_equal(n, l.n);
			if (n > 0)
				assert_memory_equal(e, l.entries, n * sizeof *e);
			if (shards_n == 1) {
				assert_ptr_equal(e, s->entries);
				assert_int_equal(mapped, 0);
			}
			if (mapped > 0)
				crl_entries_free(
				    (struct crl_entry *)(uintptr_t)e, mapped);
			if (l.entries != NULL)
				crl_entries_free(l.entries, l.mapped);
		}
		crl_set_unref(s);
	}
}

/* Of 25,003 entries every thousandth, and the last. */
static struct crl_diff *first_of_many(size_t *entries_n)
{
	size_t n = 25003, mapped, picked = 0;
	struct crl_entry *e = crl_entries_new(n, &mapped);
	uint32_t *places = malloc(n * sizeof *places);
	struct crl_diff *d;

	for (size_t i = 0; i < n; i++) {
		struct serial s = {.n = 5, .octets = {0x10}};

		put_be(s.octets + 1, i * 2654435761u, 4);
		crl_entry_set_serial(&e[i], &s);
		crl_entry_set_at(&e[i], NOW);
		e[i].reason = 1;
	}
	*entries_n = crl_entries_sort(e, n);
	for (size_t i = 0; i < *entries_n; i++)
		if (i % 1000 == 0 || i + 1 == *entries_n)
			places[picked++] = (uint32_t)i;
	assert_int_equal(
	    crl_diff_first(&d, e, *entries_n, places, picked, &covered), ERR_OK);
	assert_int_equal(d->n, picked);
	assert_int_equal(d->added, picked);
	crl_entries_free(e, mapped);
	return d;
}

/* Only what is watched is there, and the cut is that of all entries. */
static void a_first_list_is_cut_by_all_that_it_has(void **state)
{
	size_t n;
	struct crl_diff *d = first_of_many(&n);

	(void)state;
	assert_int_equal(d->cut, n);
	assert_int_equal(crl_diff_batches(d), (n + 9999) / 10000);
	for (uint32_t at = 0; at <= crl_diff_batches(d); at++) {
		size_t from = crl_diff_from(d, at);

		assert_true(from == d->n || d->place[from] >= at * 10000);
		assert_true(from == 0 || d->place[from - 1] < at * 10000);
	}
	for (size_t i = 0; i < d->n; i++) {
		assert_change(&d->changes[i], CHANGE_REVOKED, CHANGE_NONE, 1, NOW);
		assert_true(i == 0 || crl_entry_cmp(&d->changes[i - 1].entry,
					  &d->changes[i].entry) < 0);
	}
	crl_diff_free(d);
	assert_int_equal(crl_diff_batches(NULL), 0);
	assert_int_equal(crl_diff_first(&d, NULL, 20001, NULL, 0, &covered), ERR_OK);
	assert_int_equal(crl_diff_batches(d), 3); /* nothing of it is watched */
	assert_int_equal(crl_diff_from(d, 0), 0);
	assert_int_equal(d->n, 0);
	crl_diff_free(d);
}

int main(void)
{
#define CASE(f) cmocka_unit_test_setup_teardown(f, kit_begin, kit_end)
	const struct CMUnitTest tests[] = {
	    CASE(each_move_of_an_entry_has_its_change),
	    CASE(what_was_not_listed_was_good_only_where_the_lists_covered_it),
	    CASE(equal_lists_make_an_empty_diff),
	    CASE(of_several_lists_the_whole_decides_what_moved),
	    CASE(other_lists_move_no_boundary),
	    CASE(many_changes_cost_their_own_memory_and_no_more),
	    CASE(without_memory_there_is_no_diff),
	    CASE(a_first_list_is_cut_by_all_that_it_has),
	    CASE(the_entries_of_one_list_of_a_set_are_a_list),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
