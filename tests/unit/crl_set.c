#include "cache/crl/crl_set.h"

#include <fcntl.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

#include "tests/lib/crl_kit.h"

#define NOW    INT64_C(1700000000)
#define LATER  (NOW + 86400)
#define SHARDS 4

/* One serial's marks: one list has it, the others do not. */
static const struct kit_mark nothing[KIT_SERIALS];
static const struct kit_mark *only(size_t serial, int reason, int64_t at)
{
	static struct kit_mark m[KIT_SERIALS];

	memset(m, 0, sizeof m);
	m[serial] = (struct kit_mark){true, reason, at};
	return m;
}

/* What several lists have, and what a set of them should say: found by looking at each.
 */
struct model {
	size_t shards_n;
	bool in_force[SHARDS];
	int64_t this_update[SHARDS];
	struct kit_mark mark[SHARDS][KIT_SERIALS];
};

static struct crl_finding model_find(const struct model *m, size_t serial)
{
	struct crl_finding f = {.reason = REASON_NONE};

	for (unsigned i = 0; i < m->shards_n; i++) {
		const struct kit_mark *k = &m->mark[i][serial];

		if (!k->listed)
			continue;
		if (!f.listed || m->this_update[i] > f.this_update)
			f.this_update = m->this_update[i];
		if (f.listed && kit_mark_is_hold(k) && !f.hold)
			continue;
		if (f.listed && kit_mark_is_hold(k) == f.hold && k->at >= f.revoked_at)
			continue;
		f.listed = true;
		f.hold = kit_mark_is_hold(k);
		f.reason = k->reason;
		f.revoked_at = k->at;
		f.shard = i;
	}
	return f;
}

static void assert_set_is(const struct crl_set *s, const struct model *m)
{
	size_t n = 0;

	assert_int_equal(s->shards_n, m->shards_n);
	for (size_t i = 0; i < m->shards_n; i++) {
		size_t mine = 0;

		assert_int_equal(s->shard[i].in_force, m->in_force[i]);
		assert_int_equal(s->shard[i].facts.this_update, m->this_update[i]);
		for (size_t k = 0; k < KIT_SERIALS; k++)
			mine += m->mark[i][k].listed;
		assert_int_equal(s->shard[i].n, mine);
		n += mine;
	}
	assert_int_equal(s->n, n);
	for (size_t i = 1; i < s->n; i++) {
		int order = crl_entry_cmp(&s->entries[i - 1], &s->entries[i]);

		assert_true(
		    order < 0 || (order == 0 && crl_entry_shard(&s->entries[i - 1]) <
						    crl_entry_shard(&s->entries[i])));
	}
	for (size_t i = 0; i < KIT_SERIALS; i++) {
		struct serial serial = kit_serial_at(i);
		struct crl_finding want = model_find(m, i), got;

		assert_int_equal(crl_set_find(s, &serial, &got), want.listed);
		assert_int_equal(got.listed, want.listed);
		assert_int_equal(got.hold, want.hold);
		assert_int_equal(got.reason, want.reason);
		assert_int_equal(got.revoked_at, want.revoked_at);
		assert_int_equal(got.this_update, want.this_update);
		assert_int_equal(got.shard, want.shard);
	}
}

static const struct crl_set *put_randomly(const struct crl_set *s, struct model *m)
{
	size_t shard = kit_random(m->shards_n);
	unsigned percent = (unsigned)kit_random(4) * 33;

	for (size_t i = 0; i < KIT_SERIALS; i++)
		kit_mark_randomly(&m->mark[shard][i], percent);
	m->in_force[shard] = true;
	m->this_update[shard] = NOW + (int64_t)kit_random(3);
	return kit_put(
	    s, m->shards_n, shard, m->mark[shard], m->this_update[shard], LATER);
}

/* Some lists stay, in any order, some go, some are new. */
static const struct crl_set *rearrange_randomly(const struct crl_set *s, struct model *m)
{
	int map[SHARDS], place[SHARDS] = {0, 1, 2, 3};
	struct model next = {.shards_n = 1 + kit_random(SHARDS)};
	struct crl_set *out;

	for (size_t i = SHARDS - 1; i > 0; i--) {
		size_t j = kit_random(i + 1);
		int swap = place[i];

		place[i] = place[j];
		place[j] = swap;
	}
	for (size_t i = 0; i < next.shards_n; i++) {
		map[i] = (size_t)place[i] < m->shards_n ? place[i] : -1;
		if (map[i] < 0)
			continue;
		next.in_force[i] = m->in_force[map[i]];
		next.this_update[i] = m->this_update[map[i]];
		memcpy(next.mark[i], m->mark[map[i]], sizeof next.mark[i]);
	}
	assert_int_equal(crl_set_rearrange(&out, s, map, next.shards_n, 7), ERR_OK);
	assert_int_equal(out->generation, 7);
	crl_set_unref(s);
	*m = next;
	return out;
}

/* T18: a list that comes touches no other list's entries, whatever serials they share. */
static void a_set_finds_what_looking_at_each_list_finds(void **state)
{
	(void)state;
	for (int life = 0; life < 200; life++) {
		struct model m = {.shards_n = 1 + kit_random(SHARDS)};
		const struct crl_set *s = NULL;

		for (int step = 0; step < 20; step++) {
			if (kit_random(5) == 0)
				s = rearrange_randomly(s, &m);
			else
				s = put_randomly(s, &m);
			assert_set_is(s, &m);
		}
		crl_set_unref(s);
	}
}

static void a_list_that_is_alone_is_taken_over_and_not_copied(void **state)
{
	struct crl_entry *entries;
	struct crl_list l;
	struct crl_set *s;

	(void)state;
	for (size_t shards_n = 1; shards_n <= 2; shards_n++) {
		kit_list(&l, only(3, 1, NOW), NOW, LATER);
		entries = l.entries;
		assert_int_equal(
		    crl_set_replace(&s, NULL, shards_n, shards_n - 1, &l, NULL, 1),
		    ERR_OK);
		assert_ptr_equal(s->entries, entries);
		assert_int_equal(crl_entry_shard(s->entries), shards_n - 1);
		assert_null(l.entries);
		assert_int_equal(l.n + l.mapped, 0);
		crl_set_unref(s);
	}
}

/* Merging gives the list's pages back as it reads them: a hundred thousand entries lie in
 * several of its pieces. */
static void what_is_merged_in_pieces_is_whole(void **state)
{
	enum { N = 100000 };
	struct crl_list l = {0};
	const struct crl_set *s = kit_put(NULL, 2, 0, only(2, 1, NOW), NOW, LATER);
	struct crl_set *merged;
	struct crl_finding f;
	struct serial serial = {4, {0}};

	(void)state;
	l.entries = crl_entries_new(N, &l.mapped);
	for (l.n = 0; l.n < N; l.n++) {
		for (int i = 0; i < 3; i++)
			serial.octets[1 + i] = (uint8_t)(l.n >> (16 - 8 * i));
		serial.octets[0] = 1;
		crl_entry_set_serial(&l.entries[l.n], &serial);
		crl_entry_set_at(&l.entries[l.n], (int64_t)l.n);
	}
	assert_int_equal(crl_entries_sort(l.entries, l.n), N);
	assert_int_equal(crl_set_replace(&merged, s, 2, 1, &l, NULL, 2), ERR_OK);
	assert_int_equal(merged->n, N + 1);
	assert_true(merged->mapped < (N + 1) * sizeof(struct crl_entry) + 4096);
	for (int k = 0; k < N; k++) {
		for (int i = 0; i < 3; i++)
			serial.octets[1 + i] = (uint8_t)(k >> (16 - 8 * i));
		assert_true(crl_set_find(merged, &serial, &f));
		assert_int_equal(f.revoked_at, k);
		assert_int_equal(f.shard, 1);
	}
	serial = kit_serial_at(2);
	assert_true(crl_set_find(merged, &serial, &f) && f.shard == 0);
	crl_set_unref(merged);
	crl_set_unref(s);
}

static enum crl_absence absence(const struct crl_set *s, int64_t now, size_t *list)
{
	return crl_set_absence(s, ABSENT_UNSAID, now, list);
}

/* R94: what is past its nextUpdate never says that something is not revoked; not at that
 * second either.  T19: what it lists stays revoked. */
static void a_list_out_of_date_covers_nothing_and_still_revokes(void **state)
{
	const struct crl_set *s = kit_put(NULL, 2, 0, only(5, 1, NOW), NOW, NOW + 100);
	struct serial serial = kit_serial_at(5);
	struct facts good = {.status = STATUS_GOOD, .this_update = NOW};
	struct crl_finding f;
	size_t list = 9;

	(void)state;
	/* the other list is not here */
	assert_int_equal(absence(s, NOW, &list), CRL_ABSENT_MISSING);
	assert_int_equal(list, 1);
	assert_int_equal(crl_set_oldest(s), 0);
	s = kit_put(s, 2, 1, nothing, NOW, NOW + 50);
	assert_int_equal(absence(s, NOW, NULL), CRL_ABSENT_GOOD);
	assert_int_equal(crl_set_oldest(s), 1);
	assert_int_equal(absence(s, NOW + 49, NULL), CRL_ABSENT_GOOD);
	assert_int_equal(absence(s, NOW + 50, &list), CRL_ABSENT_OVERDUE);
	assert_int_equal(list, 1);
	assert_int_equal(absence(s, NOW + 500, NULL), CRL_ABSENT_OVERDUE);
	assert_int_equal(crl_set_oldest(s), 1);
	assert_true(crl_set_find(s, &serial, &f));
	assert_int_equal(crl_set_judge(s, &serial, &good, NULL), CRL_CONTRADICTS);
	crl_set_unref(s);
}

static void a_set_without_lists_covers_nothing(void **state)
{
	struct crl_set *none = crl_set_new(0, 1), *two = crl_set_new(2, 2);
	struct serial serial = kit_serial_at(0);
	struct crl_finding f;

	(void)state;
	assert_int_equal(absence(none, NOW, NULL), CRL_ABSENT_NO_LIST);
	assert_int_equal(crl_set_oldest(none), 0);
	assert_int_equal(absence(two, NOW, NULL), CRL_ABSENT_MISSING);
	assert_false(crl_set_find(two, &serial, &f));
	assert_int_equal(f.reason, REASON_NONE);
	crl_set_unref(none);
	crl_set_unref(two);
}

static enum crl_absence absence_of(
    const struct crl_facts *a, const struct crl_facts *b, enum absent said)
{
	struct crl_set *s = crl_set_new(2, 1);
	enum crl_absence with, without;

	s->shard[0] = (struct crl_shard){.in_force = true, .facts = *a};
	s->shard[1] = (struct crl_shard){.in_force = true, .facts = *b};
	with = crl_set_absence(s, said, NOW, NULL);
	/* the same, when another list is in b's place */
	s->shard[1].facts = (struct crl_facts){.some_reasons = true};
	without = crl_set_absence_with(s, 1, b, said, NOW);
	assert_int_equal(with, without);
	crl_set_unref(s);
	return with;
}

static enum crl_absence of(const struct crl_facts *a, const struct crl_facts *b)
{
	return absence_of(a, b, ABSENT_UNSAID);
}

/* R103: lists for CA certificates alone know nothing of a server's; R105: what one with
 * onlySomeReasons does not list may be revoked for another reason. */
static void scope_and_reasons_decide_whether_absent_means_anything(void **state)
{
	const struct crl_facts all = {.next_update = LATER};
	const struct crl_facts users = {.next_update = LATER, .only_user = true};
	const struct crl_facts cas = {.next_update = LATER, .only_ca = true};
	const struct crl_facts some = {.next_update = LATER, .some_reasons = true};

	(void)state;
	assert_int_equal(of(&all, &all), CRL_ABSENT_GOOD);
	assert_int_equal(of(&users, &users), CRL_ABSENT_GOOD);
	assert_int_equal(of(&users, &cas), CRL_ABSENT_GOOD);
	assert_int_equal(of(&all, &cas), CRL_ABSENT_GOOD);
	assert_int_equal(of(&cas, &cas), CRL_ABSENT_ONLY_CA);
	assert_int_equal(of(&all, &some), CRL_ABSENT_REASONS);
	assert_int_equal(of(&some, &users), CRL_ABSENT_REASONS);
	assert_int_equal(of(&some, &some), CRL_ABSENT_REASONS);
	/* the operator does not know better */
	assert_int_equal(absence_of(&cas, &cas, ABSENT_GOOD), CRL_ABSENT_ONLY_CA);
	assert_int_equal(absence_of(&all, &some, ABSENT_GOOD), CRL_ABSENT_REASONS);
}

/* R104: a list that names its distribution point may be one of several (RFC 5280 section
 * 5.2.5), and nobody but the operator knows whether all are configured. */
static void parts_are_not_all_until_the_operator_says_so(void **state)
{
	const struct crl_facts all = {.next_update = LATER};
	const struct crl_facts part = {.next_update = LATER, .has_point = true};
	const struct crl_facts cas = {.next_update = LATER, .only_ca = true};
	const struct crl_facts late = {.next_update = NOW, .has_point = true};

	(void)state;
	assert_int_equal(of(&part, &part), CRL_ABSENT_PART);
	assert_int_equal(absence_of(&part, &part, ABSENT_GOOD), CRL_ABSENT_GOOD);
	/* one that names none has what the others have */
	assert_int_equal(of(&all, &part), CRL_ABSENT_GOOD);
	assert_int_equal(of(&part, &all), CRL_ABSENT_GOOD);
	/* but not one that is about other certificates */
	assert_int_equal(of(&part, &cas), CRL_ABSENT_PART);
	assert_int_equal(absence_of(&part, &late, ABSENT_GOOD), CRL_ABSENT_OVERDUE);
	assert_int_equal(absence_of(&all, &all, ABSENT_UNKNOWN), CRL_ABSENT_BY_OPTION);
	assert_null(crl_absence_text(CRL_ABSENT_GOOD));
	for (enum crl_absence a = CRL_ABSENT_GOOD + 1; a <= CRL_ABSENT_PART; a++)
		assert_non_null(crl_absence_text(a));
}

#define AT(url) crl_set_absence_at(set, &i, url, NOW, &list)

/* R104: by each place of the list, by those of one that is joined with it, and a learnt
 * one by its name; the places of what is behind a joined one move up. */
static void a_list_is_named_by_each_of_its_places(void **state)
{
	static char a[] = "http://a/", a2[] = "http://a2/", b[] = "http://b/",
		    c[] = "http://c/";
	char *place[] = {a, a2, b, c};
	struct issuer_list crl[] = {{.place = place, .place_n = 2, .scope = a},
	    {.place = place + 2, .place_n = 1, .scope = b},
	    {.place = place + 3, .place_n = 1, .scope = c}};
	const struct issuer i = {.crl = crl, .crl_n = 3};
	struct crl_facts facts = {.next_update = LATER};
	struct crl_set *set = crl_set_new(3, 1);
	size_t list = 9;

	(void)state;
	set->joins = crl_joins_new(NULL, b, a);
	set->shard[0].in_force = set->shard[2].in_force = true;
	set->shard[0].facts = set->shard[2].facts = facts;
	set->shard[2].file =
	    crl_file_new(memfd_create("list", 0), &facts, "http://learnt/");
	for (size_t n = 0; n < 3; n++) {
		assert_int_equal(AT(place[n]), CRL_ABSENT_GOOD);
		assert_int_equal(list, 0);
	}
	assert_int_equal(AT(c), CRL_ABSENT_MISSING);
	assert_int_equal(list, 1);
	assert_int_equal(AT("http://learnt/"), CRL_ABSENT_GOOD);
	assert_int_equal(list, 2);
	set->unlearnt = true;
	assert_int_equal(absence(set, NOW, NULL), CRL_ABSENT_UNLEARNT);
	/* the set of another configuration: what stands there is another list, or none */
	set->shard[0].file = crl_file_new(memfd_create("list", 0), &facts, "http://old/");
	assert_int_equal(AT(a), CRL_ABSENT_NOT_OURS);
	assert_int_equal(AT(a2), CRL_ABSENT_NOT_OURS);
	crl_set_unref(set);
	set = crl_set_new(1, 2);
	assert_int_equal(AT(b), CRL_ABSENT_NOT_OURS);
	crl_set_unref(set);
}

/* R104: what the one list says that a certificate names, as its URL in the configuration
 * or as the distribution point that it has itself; how the others stand is nothing to it.
 */
static void the_list_that_is_named_speaks_for_itself(void **state)
{
	static char a[] = "http://a/1.crl", b[] = "http://b/2.crl", s[] = "http://own/2";
	char *place[] = {a, b};
	struct issuer_list crl[] = {{.place = place, .place_n = 1, .scope = a},
	    {.place = place + 1, .place_n = 1, .scope = s}};
	const struct issuer i = {.crl = crl, .crl_n = 2};
	struct crl_set *set = crl_set_new(2, 1);
	struct crl_facts *f = &set->shard[0].facts;
	size_t list = 9;

	(void)state;
	assert_int_equal(AT(a), CRL_ABSENT_MISSING);
	assert_int_equal(list, 0);
	set->shard[0].in_force = true;
	*f = (struct crl_facts){.next_update = LATER, .has_point = true};
	assert_int_equal(AT(a), CRL_ABSENT_GOOD);
	assert_int_equal(AT(b), CRL_ABSENT_MISSING);
	assert_int_equal(list, 1);
	assert_int_equal(AT(s), CRL_ABSENT_MISSING);
	assert_int_equal(AT("http://a/1.crl/"), CRL_ABSENT_NOT_OURS);
	assert_int_equal(AT("http://a/1.cr"), CRL_ABSENT_NOT_OURS);
	assert_int_equal(crl_set_absence_at(set, &i, a, LATER, NULL), CRL_ABSENT_OVERDUE);
	/* a name that its distribution point has besides; as many as there is room for */
	assert_int_equal(AT("http://x/7"), CRL_ABSENT_NOT_OURS);
	for (char url[] = "http://x/0"; url[9] <= '9'; url[9]++)
		crl_facts_add_point(f, bytes_of(url, strlen(url)));
	assert_int_equal(AT("http://x/0"), CRL_ABSENT_GOOD);
	assert_int_equal(AT("http://x/7"), CRL_ABSENT_GOOD);
	assert_int_equal(AT("http://x/8"), CRL_ABSENT_NOT_OURS);
	/* two lists of one name: one that is well is enough */
	set->shard[1].in_force = true;
	set->shard[1].facts = (struct crl_facts){.next_update = NOW, .has_point = true};
	crl_facts_add_point(&set->shard[1].facts, bytes_of(a, strlen(a)));
	assert_int_equal(AT(a), CRL_ABSENT_GOOD);
	assert_int_equal(list, 0);
	assert_int_equal(AT(s), CRL_ABSENT_OVERDUE);
	f->some_reasons = true;
	assert_int_equal(AT(a), CRL_ABSENT_REASONS);
	set->shard[1].facts.next_update = LATER;
	assert_int_equal(AT(a), CRL_ABSENT_GOOD);
	assert_int_equal(list, 1);
	set->shard[1].facts.only_ca = true;
	assert_int_equal(AT(s), CRL_ABSENT_ONLY_CA);
	set->unopened = true;
	assert_int_equal(AT(a), CRL_ABSENT_UNOPENED);
#undef AT
	crl_set_unref(set);
	assert_null(crl_absence_text_at(CRL_ABSENT_GOOD));
	assert_string_equal(
	    crl_absence_text_at(CRL_ABSENT_OVERDUE), "is past its nextUpdate");
}

/* R71: every row of "when OCSP and CRL disagree". */
static void a_statement_is_judged_by_the_table(void **state)
{
	static const struct {
		bool listed;
		int reason; /* in the list of NOW */
		enum status status;
		int64_t this_update;
		enum crl_verdict verdict;
	} row[] = {
	    {true, 1, STATUS_GOOD, NOW - 1, CRL_CONTRADICTS},
	    {true, 1, STATUS_GOOD, NOW, CRL_CONTRADICTS},
	    {true, 1, STATUS_GOOD, NOW + 1, CRL_DISAGREES},
	    {true, REASON_NONE, STATUS_GOOD, NOW + 1, CRL_DISAGREES},
	    {true, 1, STATUS_UNKNOWN, NOW, CRL_CONTRADICTS},
	    {true, 1, STATUS_UNKNOWN, NOW + 1, CRL_DISAGREES},
	    {true, 1, STATUS_REVOKED, NOW - 1, CRL_FITS},
	    {true, 1, STATUS_REVOKED, NOW + 1, CRL_FITS},
	    {true, 6, STATUS_GOOD, NOW - 1, CRL_CONTRADICTS},
	    {true, 6, STATUS_GOOD, NOW, CRL_CONTRADICTS},
	    {true, 6, STATUS_GOOD, NOW + 1, CRL_FITS},
	    {true, 6, STATUS_UNKNOWN, NOW, CRL_CONTRADICTS},
	    {true, 6, STATUS_UNKNOWN, NOW + 1, CRL_FITS},
	    {true, 6, STATUS_REVOKED, NOW, CRL_FITS},
	    {true, 1, STATUS_NONE, NOW, CRL_FITS},
	    {false, 0, STATUS_GOOD, NOW - 1, CRL_FITS},
	    {false, 0, STATUS_REVOKED, NOW - 1, CRL_FITS},
	    {false, 0, STATUS_UNKNOWN, NOW + 1, CRL_FITS},
	};

	(void)state;
	for (size_t i = 0; i < sizeof row / sizeof row[0]; i++) {
		const struct crl_set *s = kit_put(NULL, 1, 0,
		    row[i].listed ? only(7, row[i].reason, NOW - 9) : nothing, NOW,
		    LATER);
		struct facts f = {
		    .status = row[i].status, .this_update = row[i].this_update};
		struct serial serial = kit_serial_at(7);
		struct crl_finding found;

		assert_int_equal(crl_set_judge(s, &serial, &f, &found), row[i].verdict);
		assert_int_equal(found.listed, row[i].listed);
		assert_int_equal(crl_set_judge(s, &serial, &f, NULL), row[i].verdict);
		serial = kit_serial_at(8);
		assert_int_equal(crl_set_judge(s, &serial, &f, &found), CRL_FITS);
		assert_false(found.listed);
		crl_set_unref(s);
	}
}

/* T19: what a list that has not been opened may revoke is not good, nor is it unknown;
 * what the others say stands, and revoked needs no list. */
static void an_unopened_list_lets_nobody_be_good(void **state)
{
	static const struct {
		int reason; /* -1: not listed */
		enum status status;
		int64_t this_update;
		enum crl_verdict verdict;
	} row[] = {
	    {-1, STATUS_GOOD, NOW + 1, CRL_NOT_YET},
	    {-1, STATUS_UNKNOWN, NOW + 1, CRL_NOT_YET},
	    {-1, STATUS_REVOKED, NOW + 1, CRL_FITS},
	    {1, STATUS_GOOD, NOW, CRL_CONTRADICTS},
	    {1, STATUS_GOOD, NOW + 1, CRL_DISAGREES},
	    {6, STATUS_GOOD, NOW, CRL_CONTRADICTS},
	    {6, STATUS_GOOD, NOW + 1, CRL_NOT_YET}, /* the other may have it for good */
	    {6, STATUS_UNKNOWN, NOW + 1, CRL_NOT_YET},
	    {6, STATUS_REVOKED, NOW, CRL_FITS},
	};
	struct serial serial = kit_serial_at(7);

	(void)state;
	for (size_t i = 0; i < sizeof row / sizeof row[0]; i++) {
		struct crl_set *s = (struct crl_set *)(uintptr_t)kit_put(NULL, 2, 0,
		    row[i].reason >= 0 ? only(7, row[i].reason, NOW - 9) : nothing, NOW,
		    LATER);
		struct facts f = {
		    .status = row[i].status, .this_update = row[i].this_update};

		s->unopened = true;
		assert_int_equal(crl_set_judge(s, &serial, &f, NULL), row[i].verdict);
		if (row[i].reason < 0)
			assert_int_equal(
			    crl_set_judge(&crl_set_unopened, &serial, &f, NULL),
			    row[i].verdict);
		s = (struct crl_set *)(uintptr_t)kit_put(s, 2, 1, nothing, NOW, LATER);
		assert_int_equal(absence(s, NOW, NULL), CRL_ABSENT_GOOD);
		s->unopened = true;
		assert_int_equal(absence(s, NOW, NULL), CRL_ABSENT_UNOPENED);
		crl_set_unref(s);
	}
}

/* The same entries, which live as long as one of the sets does. */
static void a_set_again_says_otherwise_what_is_opened(void **state)
{
	struct crl_set *s = (struct crl_set *)(uintptr_t)kit_put(
			   NULL, 1, 0, only(7, 1, NOW - 9), NOW, LATER),
		       *again, *third;
	struct serial serial = kit_serial_at(7);
	struct crl_finding found;

	(void)state;
	s->unopened = true;
	again = crl_set_again(s, 77);
	assert_true(again->unopened);
	again->unopened = false;
	third = crl_set_again(again, 78);
	assert_false(third->unopened);
	assert_true(s->unopened);
	assert_int_equal(again->generation, 77);
	crl_set_unref(s);
	crl_set_unref(again);
	assert_ptr_equal(third->owner, s); /* not again: no chain */
	assert_true(crl_set_find(third, &serial, &found));
	assert_true(third->shard[0].in_force && third->shard[0].n == 1);
	crl_set_unref(third);
}

/* R71: of a serial in two lists the newer one's thisUpdate is what a good has to beat;
 * on hold is only what no list has otherwise. */
static void the_newest_list_that_has_a_serial_judges(void **state)
{
	const struct crl_set *s = kit_put(NULL, 2, 0, only(7, 6, NOW - 9), NOW, LATER);
	struct facts f = {.status = STATUS_GOOD, .this_update = NOW + 5};
	struct serial serial = kit_serial_at(7);

	(void)state;
	assert_int_equal(crl_set_judge(s, &serial, &f, NULL), CRL_FITS);
	s = kit_put(s, 2, 1, only(7, 6, NOW - 9), NOW + 10, LATER);
	assert_int_equal(crl_set_judge(s, &serial, &f, NULL), CRL_CONTRADICTS);
	s = kit_put(s, 2, 1, only(7, 1, NOW - 8), NOW, LATER);
	assert_int_equal(crl_set_judge(s, &serial, &f, NULL), CRL_DISAGREES);
	crl_set_unref(s);
}

static int some_fd(void)
{
	int fd = open("/dev/null", O_RDONLY | O_CLOEXEC);

	assert_true(fd >= 0);
	return fd;
}

static bool is_open(int fd)
{
	return fcntl(fd, F_GETFD) >= 0;
}

static void a_file_is_open_as_long_as_a_set_or_a_reader_has_it(void **state)
{
	const struct crl_facts facts = {
	    .size = 42, .this_update = 1, .next_update = 2, .sha256 = {7}};
	int fd = some_fd(), map[2] = {-1, 0}, none[1] = {-1};
	struct crl_file *file = crl_file_new(fd, &facts, "a");
	struct crl_list l = {.facts = facts};
	struct crl_set *a, *b, *c, *d;

	(void)state;
	assert_int_equal(file->shared->size, 42);
	assert_int_equal(file->this_update, 1);
	assert_int_equal(file->next_update, 2);
	assert_memory_equal(file->sha256, facts.sha256, 32);
	assert_int_equal(crl_set_replace(&a, NULL, 1, 0, &l, file, 1), ERR_OK);
	assert_int_equal(crl_set_rearrange(&b, a, map, 2, 2), ERR_OK);
	assert_int_equal(crl_set_rearrange(&d, a, none, 1, 4), ERR_OK);
	crl_set_unref(a);
	assert_ptr_equal(b->shard[1].file, file);
	assert_null(d->shard[0].file);
	assert_int_equal(crl_set_replace(&c, b, 2, 0, &l, NULL, 3), ERR_OK);
	crl_set_unref(b);
	assert_ptr_equal(crl_file_ref(file), file);
	crl_set_unref(c);
	assert_true(is_open(fd));
	crl_file_unref(file);
	assert_false(is_open(fd));
	crl_set_unref(d);
	crl_set_unref(NULL);
	crl_file_unref(NULL);
}

/* R112: while a reload is between the configuration and the set, no list goes out under
 * another's name. */
static void a_file_is_found_by_the_name_of_its_list(void **state)
{
	const char *const scope[] = {"http://a.example/", "http://b.example/"};
	struct crl_list l = {.facts = {.size = 1}};
	struct crl_set *a, *b, *c;
	struct crl_file *file[2];
	int map[3] = {1, -1, 0};

	(void)state;
	for (int i = 0; i < 2; i++)
		file[i] = crl_file_new(some_fd(), &l.facts, scope[i]);
	assert_int_equal(crl_set_replace(&a, NULL, 2, 0, &l, file[0], 1), ERR_OK);
	assert_int_equal(crl_set_replace(&b, a, 2, 1, &l, file[1], 2), ERR_OK);
	assert_int_equal(crl_set_rearrange(&c, b, map, 3, 3), ERR_OK);
	for (size_t place = 0; place < 4; place++) {
		assert_null(crl_set_file(a, place, scope[1]));
		for (int i = 0; i < 2; i++) {
			assert_ptr_equal(crl_set_file(b, place, scope[i]), file[i]);
			assert_ptr_equal(crl_set_file(c, place, scope[i]), file[i]);
		}
		assert_null(crl_set_file(c, place, "http://c.example/"));
	}
	crl_set_unref(a);
	crl_set_unref(b);
	crl_set_unref(c);
}

static void without_memory_nothing_is_taken(void **state)
{
	int fd = some_fd(), map[1] = {0};
	struct crl_file *file = crl_file_new(fd, &(struct crl_facts){0}, "a");
	const struct crl_set *s = kit_put(NULL, 2, 0, only(1, 1, NOW), NOW, LATER);
	struct crl_set *out = NULL;
	struct crl_list l;

	(void)state;
	kit_list(&l, only(2, 1, NOW), NOW, LATER);
	kit_refuse = 0;
	assert_int_equal(crl_set_replace(&out, s, 2, 1, &l, file, 2), ERR_NOMEM);
	kit_refuse = 0;
	assert_int_equal(crl_set_rearrange(&out, s, map, 1, 2), ERR_NOMEM);
	assert_null(out);
	assert_int_equal(l.n, 1);
	assert_true(is_open(fd));
	assert_int_equal(crl_set_replace(&out, s, 2, 1, &l, file, 2), ERR_OK);
	crl_set_unref(out);
	assert_false(is_open(fd));
	crl_set_unref(s);
}

static void *ref_and_unref(void *set)
{
	const struct crl_set *s = set;

	for (int i = 0; i < 50000; i++) {
		struct crl_file *f = crl_file_ref(s->shard[0].file);

		crl_set_unref(crl_set_ref(s));
		crl_file_unref(f);
	}
	crl_set_unref(s);
	return NULL;
}

static void two_threads_may_hold_a_set_and_its_file(void **state)
{
	int fd = some_fd();
	struct crl_file *file = crl_file_new(fd, &(struct crl_facts){0}, "a");
	struct crl_set *s;
	struct crl_list l;
	pthread_t t[2];

	(void)state;
	kit_list(&l, only(2, 1, NOW), NOW, LATER);
	assert_int_equal(crl_set_replace(&s, NULL, 1, 0, &l, file, 1), ERR_OK);
	crl_set_ref(s);
	for (int i = 0; i < 2; i++)
		assert_int_equal(pthread_create(&t[i], NULL, ref_and_unref, s), 0);
	for (int i = 0; i < 2; i++)
		pthread_join(t[i], NULL);
	assert_false(is_open(fd));
}

int main(void)
{
#define CASE(f) cmocka_unit_test_setup_teardown(f, kit_begin, kit_end)
	const struct CMUnitTest tests[] = {
	    CASE(a_set_finds_what_looking_at_each_list_finds),
	    CASE(a_list_that_is_alone_is_taken_over_and_not_copied),
	    CASE(what_is_merged_in_pieces_is_whole),
	    CASE(a_list_out_of_date_covers_nothing_and_still_revokes),
	    CASE(a_set_without_lists_covers_nothing),
	    CASE(scope_and_reasons_decide_whether_absent_means_anything),
	    CASE(parts_are_not_all_until_the_operator_says_so),
	    CASE(a_list_is_named_by_each_of_its_places),
	    CASE(the_list_that_is_named_speaks_for_itself),
	    CASE(a_statement_is_judged_by_the_table),
	    CASE(an_unopened_list_lets_nobody_be_good),
	    CASE(a_set_again_says_otherwise_what_is_opened),
	    CASE(the_newest_list_that_has_a_serial_judges),
	    CASE(a_file_is_open_as_long_as_a_set_or_a_reader_has_it),
	    CASE(a_file_is_found_by_the_name_of_its_list),
	    CASE(without_memory_nothing_is_taken),
	    CASE(two_threads_may_hold_a_set_and_its_file),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
