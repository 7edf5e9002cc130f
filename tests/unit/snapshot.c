/* What is revoked already: collected from made-up lists and real latches, and read. */
#include "proxy/push/snapshot.h"

#include <event2/event.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include <cmocka.h>

#include "cache/held/latch_file.h"
#include "proxy/base/executor.h"
#include "proxy/keeper/keeper.h"
#include "proxy/tell/teller.h"

static struct issuer_ca old_ca = {.id = {1}}, new_ca = {.id = {2}},
			other_ca = {.id = {3}};
static struct issuer_ca demo_cas[2];
static char demo_name[] = "demo", other_name[] = "other";
static struct crl_slot demo_slot = {&crl_set_none}, other_slot = {&crl_set_none};
static struct issuer two_issuers[2] = {
    {.name = demo_name, .ca = demo_cas, .ca_n = 2, .slot = &demo_slot},
    {.name = other_name, .ca = &other_ca, .ca_n = 1, .slot = &other_slot},
};
static struct issuer *the_issuers;
static size_t the_issuers_n;

struct world {
	struct event_base *base;
	struct inbox *inbox;
	struct conf conf;
	struct shared shared;
	struct keeper_parts parts;
	struct latches *latches;
	struct latch_file *file;
	char dir[64];
	struct crl_set *set; /* of demo */
	struct change_pos end;
	struct snapshots *all;
	unsigned done_n;
	struct snapshot *done;
	bool unopened;
	struct crl_wait *wait;
	const char *waits_for;
};
static struct world *the;

const struct keeper_parts *keeper_parts(struct keeper *k)
{
	assert_ptr_equal(k, the);
	return &the->parts;
}
bool crl_feed_wait(struct crl_feed *f, const char *issuer, struct crl_wait *w, int ms)
{
	(void)f;
	assert_int_equal(ms, -1);
	if (!the->unopened)
		return false;
	assert_null(the->wait);
	the->wait = w;
	the->waits_for = issuer;
	return true;
}
void teller_known_from(const struct teller *t, struct change_pos *end)
{
	(void)t;
	*end = the->end;
}
size_t issuers_count(const struct issuers *is)
{
	(void)is;
	return the_issuers_n;
}
const struct issuer *issuers_at(const struct issuers *is, size_t i)
{
	(void)is;
	return &the_issuers[i];
}

static int setup(void **state)
{
	struct world *w = calloc(1, sizeof *w);
	char why[256];

	the = w;
	demo_cas[0] = old_ca;
	demo_cas[1] = new_ca;
	strcpy(w->dir, "/tmp/snapshot.XXXXXX");
	assert_non_null(mkdtemp(w->dir));
	assert_int_equal(
	    latch_file_open(&w->latches, &w->file, w->dir, why, sizeof why), ERR_OK);
	w->base = event_base_new();
	w->inbox = inbox_new(w->base, w);
	the_issuers = two_issuers;
	the_issuers_n = 2;
	w->shared.conf = &w->conf;
	w->shared.keeper = w->inbox;
	w->parts.context.disk = executor_start(w->inbox, "disk", 0);
	w->all = snapshots_new();
	w->parts.context.shared = &w->shared;
	w->parts.latches = w->latches;
	w->end = (struct change_pos){3, 4, 5};
	*state = w;
	return 0;
}

static int teardown(void **state)
{
	struct world *w = *state;
	char path[128];

	executor_stop(w->parts.context.disk);
	inbox_free(w->inbox);
	executor_free(w->parts.context.disk);
	snapshots_free(w->all);
	event_base_free(w->base);
	atomic_store(&demo_slot.set, &crl_set_none);
	latches_free(w->latches);
	latch_file_close(w->file);
	crl_set_unref(w->set);
	snprintf(path, sizeof path, "rm -rf %s", w->dir);
	assert_int_equal(system(path), 0);
	free(w);
	return 0;
}

static void on_done(void *arg, struct question *q)
{
	((struct world *)arg)->done = (struct snapshot *)q;
	((struct world *)arg)->done_n++;
}

static void ask(struct world *w, struct snapshot *s, const char *issuer)
{
	memset(s, 0, sizeof *s);
	s->all = w->all;
	strcpy(s->issuer, issuer);
	s->question.reply_to = w->inbox;
	s->question.done = on_done;
	snapshot_take(w, &s->question.msg);
}

/* How many turns it took until so many were back. */
static unsigned turn_until(struct world *w, unsigned done_n)
{
	unsigned turns = 0;

	for (; w->done_n < done_n; turns++)
		event_base_loop(w->base, EVLOOP_ONCE);
	return turns;
}

static void take(struct world *w, struct snapshot *s, const char *issuer)
{
	w->done = NULL;
	ask(w, s, issuer);
	turn_until(w, w->done_n + 1);
	assert_ptr_equal(w->done, s);
}

static struct serial serial_of(uint8_t n)
{
	return (struct serial){1, {n}};
}

static void add_latch(struct world *w, uint8_t ca, uint8_t serial, int64_t at, int reason)
{
	const struct latch l = {.ca_id = {ca},
	    .serial = serial_of(serial),
	    .reason = reason,
	    .revoked_at = at,
	    .set_at = 1000};

	assert_int_equal(latches_add(w->latches, &l, NULL), ERR_OK);
}

struct listed {
	uint8_t serial;
	int64_t at;
	int reason;
};

static void add_list(
    struct world *w, size_t shards, size_t shard, const struct listed *of, size_t n)
{
	struct crl_list *list = calloc(1, sizeof *list);
	struct crl_set *set;

	list->entries = crl_entries_new(n, &list->mapped);
	for (size_t i = 0; i < n; i++) {
		const struct serial s = serial_of(of[i].serial);

		crl_entry_set_serial(&list->entries[i], &s);
		crl_entry_set_at(&list->entries[i], of[i].at);
		list->entries[i].reason = (uint8_t)of[i].reason;
	}
	list->n = crl_entries_sort(list->entries, n);
	list->facts.has_number = true;
	list->facts.number[CRL_NUMBER_MAX - 1] = 77;
	assert_int_equal(
	    crl_set_replace(&set, w->set, shards, shard, list, NULL, shard + 1), ERR_OK);
	crl_list_free(list);
	crl_set_unref(w->set);
	w->set = set;
	atomic_store(&demo_slot.set, set);
}

/* Reads it in steps of `room` and writes "serial:reason:c|o", sorted by serial. */
static const char *text_of(const struct snapshot *s, size_t room)
{
	static char text[4096];
	struct snapshot_cursor c = {0};
	const struct crl_entry *e[64];
	struct snapshot_part part;
	char cell[256][64] = {{0}};
	size_t n = 0;

	while (snapshot_next(s, &c, e, room, &part)) {
		assert_true(part.n >= 1 && part.n <= room);
		for (size_t i = 0; i < part.n; i++) {
			char *to = cell[e[i]->octets[SERIAL_MAX - 1]];

			assert_string_equal(to, ""); /* each once */
			snprintf(to, sizeof cell[0], "%d:%d@%lld:%s",
			    e[i]->octets[SERIAL_MAX - 1], crl_entry_reason(e[i]),
			    (long long)crl_entry_at(e[i]), part.from_list ? "c" : "o");
		}
	}
	text[0] = '\0';
	for (size_t i = 0; i < 256; i++)
		if (cell[i][0] != '\0')
			n += (size_t)snprintf(
			    text + n, sizeof text - n, "%s%s", n > 0 ? " " : "", cell[i]);
	return text;
}

static void lists_and_latches_are_joined(void **state)
{
	static const struct listed of[] = {{10, 100, 1}, {11, 101, 6}, {12, 102, 6}};
	struct world *w = *state;
	struct snapshot s;

	add_list(w, 1, 0, of, 3);
	add_latch(w, 1, 10, 99, 4);  /* listed */
	add_latch(w, 2, 11, 105, 4); /* on hold there: the latch knows worse */
	add_latch(w, 2, 20, 106, REASON_NONE);
	add_latch(w, 1, 21, 109, 5); /* seen under both certificates of the CA */
	add_latch(w, 2, 21, 107, 1);
	add_latch(w, 3, 30, 108, 1); /* the other CA */
	take(w, &s, "demo");
	assert_int_equal(s.error, ERR_OK);
	assert_int_equal(s.n, 1);
	assert_int_equal(change_pos_cmp(&s.end, &w->end), 0);
	for (size_t room = 1; room < 8; room++)
		assert_string_equal(text_of(&s, room),
		    "10:1@100:c 11:4@105:o 12:6@102:c 20:-1@106:o 21:1@107:o");
	snapshot_drop(&s);
	take(w, &s, "");
	assert_int_equal(s.n, 2);
	assert_string_equal(text_of(&s, 2),
	    "10:1@100:c 11:4@105:o 12:6@102:c 20:-1@106:o "
	    "21:1@107:o 30:1@108:o");
	snapshot_drop(&s);
}

/* What several lists of an issuer have comes once, the strongest. */
static void shards_are_one_list(void **state)
{
	static const struct listed one[] = {{10, 100, 6}, {11, 100, 1}, {12, 100, 1}},
				   two[] = {{10, 200, 1}, {11, 50, 3}, {13, 100, 1}};
	struct world *w = *state;
	struct snapshot s;

	add_list(w, 2, 0, one, 3);
	add_list(w, 2, 1, two, 3);
	take(w, &s, "demo");
	for (size_t room = 1; room < 6; room++)
		assert_string_equal(
		    text_of(&s, room), "10:1@200:c 11:3@50:c 12:1@100:c 13:1@100:c");
	snapshot_drop(&s);
}

static void the_lists_number_is_told_where_there_is_one(void **state)
{
	static const struct listed of[] = {{10, 100, 1}};
	struct world *w = *state;
	struct snapshot_cursor c = {0};
	const struct crl_entry *e[4];
	struct snapshot_part part;
	struct snapshot s;

	add_list(w, 1, 0, of, 1);
	take(w, &s, "demo");
	assert_true(snapshot_next(&s, &c, e, 4, &part));
	assert_non_null(part.list);
	assert_int_equal(part.list->number[CRL_NUMBER_MAX - 1], 77);
	assert_string_equal(part.of->name, "demo");
	assert_false(snapshot_next(&s, &c, e, 4, &part));
	snapshot_drop(&s);
}

/* It holds what it was made of: a list that is replaced meanwhile stays for it. */
static void a_snapshot_keeps_its_lists(void **state)
{
	static const struct listed of[] = {{10, 100, 1}}, next[] = {{11, 100, 1}};
	struct world *w = *state;
	struct snapshot s;

	add_list(w, 1, 0, of, 1);
	take(w, &s, "demo");
	add_list(w, 1, 0, next, 1);
	assert_string_equal(text_of(&s, 4), "10:1@100:c");
	snapshot_drop(&s);
	take(w, &s, "demo");
	assert_string_equal(text_of(&s, 4), "11:1@100:c");
	snapshot_drop(&s);
}

static void without_a_place_in_the_log_there_is_none(void **state)
{
	struct world *w = *state;
	struct snapshot s;

	w->end = (struct change_pos){0};
	take(w, &s, "");
	assert_int_equal(s.error, ERR_STORE);
	assert_int_equal(s.n, 0);
	snapshot_drop(&s);
}

/* A list that has not been opened may revoke what no answer shows: the snapshot waits for
 * it, and takes the log's place of the moment when it is taken. */
static void it_waits_until_the_lists_are_opened(void **state)
{
	static const struct listed of[] = {{10, 100, 1}};
	const enum err ends[] = {ERR_OK, ERR_CANCELLED};
	struct world *w = *state;
	struct snapshot s = {.question = {.reply_to = w->inbox, .done = on_done},
	    .issuer = "demo",
	    .all = w->all};

	for (size_t i = 0; i < 2; i++) {
		w->unopened = true;
		w->done = NULL;
		w->wait = NULL;
		s.n = 0;
		snapshot_take(w, &s.question.msg);
		assert_non_null(w->wait);
		assert_string_equal(w->waits_for, "demo");
		event_base_loop(w->base, EVLOOP_NONBLOCK);
		assert_null(w->done);
		if (ends[i] == ERR_OK)
			add_list(w, 1, 0, of, 1);
		w->end.seq = 9;
		w->unopened = false;
		w->wait->done(w->wait, ends[i]);
		turn_until(w, (unsigned)i + 1);
		assert_ptr_equal(w->done, &s);
		assert_int_equal(s.error, ends[i]);
		if (ends[i] == ERR_OK) {
			assert_string_equal(text_of(&s, 4), "10:1@100:c");
			assert_int_equal(s.end.seq, 9);
		}
		snapshot_drop(&s);
	}
	w->unopened = true; /* of all issuers */
	s.issuer[0] = '\0';
	w->wait = NULL;
	snapshot_take(w, &s.question.msg);
	assert_null(w->waits_for);
	w->wait->done(w->wait, ERR_CANCELLED);
	turn_until(w, 3);
}

static void nothing_revoked_is_nothing(void **state)
{
	struct world *w = *state;
	struct snapshot s;

	take(w, &s, "");
	assert_string_equal(text_of(&s, 4), "");
	snapshot_drop(&s);
}

static void two_that_say_the_same_are_told_from_others(void **state)
{
	static const struct listed of[] = {{10, 100, 1}, {11, 101, 1}};
	struct world *w = *state;
	struct snapshot a, b, c, d, e;

	add_list(w, 1, 0, of, 2);
	add_latch(w, 1, 20, 99, 4);
	take(w, &a, "");
	w->end.seq++; /* another place */
	take(w, &b, "");
	take(w, &c, "demo");
	add_latch(w, 1, 21, 99, 4);
	take(w, &d, "");
	add_list(w, 1, 0, of, 2); /* the same entries, but another list */
	take(w, &e, "");
	assert_true(snapshot_same(&a, &b));
	assert_false(snapshot_same(&a, &c));
	assert_false(snapshot_same(&a, &d));
	assert_false(snapshot_same(&d, &e));
	assert_int_equal(snapshot_bytes(&a), 3 * sizeof(struct crl_entry));
	assert_int_equal(snapshot_bytes(&d), 4 * sizeof(struct crl_entry));
	snapshot_drop(&a);
	snapshot_drop(&b);
	snapshot_drop(&c);
	snapshot_drop(&d);
	snapshot_drop(&e);
}

/* A crowd of issuers and latches: latch n is of issuer n modulo their number. */

#define CROWD   2000
#define LATCHES 100000

static struct issuer crowd[CROWD];
static struct issuer_ca crowd_ca[CROWD];
static char crowd_name[CROWD][8];

static struct latch crowd_latch(uint32_t n)
{
	struct latch l = {
	    .serial = {4, {1, (uint8_t)(n >> 16), (uint8_t)(n >> 8), (uint8_t)n}},
	    .reason = 1,
	    .revoked_at = 100,
	    .set_at = 1000};

	memcpy(l.ca_id, crowd_ca[n % CROWD].id, sizeof l.ca_id);
	return l;
}

static void make_crowd(struct world *w)
{
	for (uint32_t n = 0; n < CROWD; n++) {
		snprintf(crowd_name[n], sizeof crowd_name[n], "i%u", n);
		memset(crowd_ca[n].id, 0, sizeof crowd_ca[n].id);
		memcpy(crowd_ca[n].id, &n, sizeof n);
		crowd_ca[n].id[31] = 7;
		crowd[n] =
		    (struct issuer){.name = crowd_name[n], .ca = &crowd_ca[n], .ca_n = 1};
	}
	the_issuers = crowd;
	the_issuers_n = CROWD;
	for (uint32_t n = 0; n < LATCHES; n++) {
		struct latch l = crowd_latch(n);

		assert_int_equal(latches_add(w->latches, &l, NULL), ERR_OK);
	}
}

static size_t latches_in(const struct snapshot *s)
{
	size_t n = 0;

	for (size_t i = 0; i < s->n; i++)
		n += s->of[i].latches_n;
	return n;
}

static bool holds(const struct snapshot *s, uint32_t n)
{
	const struct latch l = crowd_latch(n);
	struct crl_entry key = {0};
	const struct snapshot_issuer *of = &s->of[s->n > 1 ? n % CROWD : 0];

	crl_entry_set_serial(&key, &l.serial);
	return crl_entries_find(of->latches, of->latches_n, &key) != NULL;
}

static unsigned others;

static void on_other(void *arg, struct msg *m)
{
	struct world *w = arg;

	if (w->done_n > 0)
		return;
	others++;
	inbox_post(w->inbox, m);
}

/* Each latch is looked at once, however many issuers there are, and the keeper does what
 * else it has to do in between. */
static void one_walk_is_enough_and_holds_nobody_up(void **state)
{
	struct world *w = *state;
	static struct msg other; /* it may be on its way still when the world ends */
	struct snapshot s;
	unsigned turns;

	make_crowd(w);
	others = 0;
	other.run = on_other;
	inbox_post(w->inbox, &other);
	ask(w, &s, "");
	assert_int_equal(w->done_n, 0);
	turns = turn_until(w, 1);
	assert_int_equal(snapshots_looked_at(w->all), LATCHES);
	assert_true(turns >= LATCHES / 4096);
	assert_true(others >= LATCHES / 4096);
	assert_int_equal(s.n, CROWD);
	assert_int_equal(latches_in(&s), LATCHES);
	for (uint32_t n = 0; n < LATCHES; n += 37)
		assert_true(holds(&s, n));
	snapshot_drop(&s);
}

/* Those that come during a walk get the next one, all together. */
static void a_crowd_shares_a_walk(void **state)
{
	struct world *w = *state;
	struct snapshot s[16];

	make_crowd(w);
	for (size_t i = 0; i < 16; i++) {
		w->end.seq = 10 + i;
		ask(w, &s[i], i == 3 ? "" : crowd_name[i]);
	}
	turn_until(w, 16);
	assert_int_equal(snapshots_looked_at(w->all), 2 * LATCHES);
	for (size_t i = 0; i < 16; i++) {
		assert_int_equal(s[i].error, ERR_OK);
		/* the place is that of the walk, not of the question */
		assert_int_equal(s[i].end.seq, i == 0 ? 10 : 25);
		assert_int_equal(latches_in(&s[i]), i == 3 ? LATCHES : LATCHES / CROWD);
		assert_true(holds(&s[i], (uint32_t)(i + CROWD)));
		if (i != 3)
			assert_string_equal(s[i].of[0].name, crowd_name[i]);
		snapshot_drop(&s[i]);
	}
	take(w, &s[0], "nobody");
	assert_int_equal(s[0].n, 0);
	snapshot_drop(&s[0]);
}

/* A reload may bring lists while a snapshot waits for its walk. */
static void who_waits_for_a_walk_waits_for_new_lists_too(void **state)
{
	struct world *w = *state;
	struct snapshot first, second;

	make_crowd(w);
	ask(w, &first, "");
	ask(w, &second, crowd_name[7]);
	w->unopened = true;
	turn_until(w, 1);
	assert_ptr_equal(w->done, &first);
	while (w->wait == NULL)
		event_base_loop(w->base, EVLOOP_ONCE);
	assert_string_equal(w->waits_for, crowd_name[7]);
	w->unopened = false;
	w->end.seq = 99;
	w->wait->done(w->wait, ERR_OK);
	turn_until(w, 2);
	assert_int_equal(second.end.seq, 99);
	assert_int_equal(latches_in(&second), LATCHES / CROWD);
	snapshot_drop(&first);
	snapshot_drop(&second);
}

/* Lists and latches are of the moment when the walk began, whatever comes and goes while
 * it is under way: a certificate that a list takes over from a latch, or a latch from a
 * list, is in one of them. */
static void it_is_of_one_moment(void **state)
{
	static const struct listed of[] = {{10, 100, 1}}, next[] = {{11, 100, 1}};
	struct world *w = *state;
	struct latch gone;
	struct snapshot s;

	add_list(w, 1, 0, of, 1);
	make_crowd(w);
	crowd[5].slot = &demo_slot;
	w->end.seq = 7;
	ask(w, &s, "");
	for (uint32_t n = 0; n < LATCHES; n += 10)
		assert_int_equal(
		    latches_remove(w->latches, &crowd[n % CROWD],
			&(struct serial){
			    4, {1, (uint8_t)(n >> 16), (uint8_t)(n >> 8), (uint8_t)n}},
			&gone),
		    1);
	w->end.seq = 8;
	add_list(w, 1, 0, next, 1);
	the_issuers_n = 0; /* a reload */
	turn_until(w, 1);
	assert_int_equal(s.end.seq, 7);
	assert_int_equal(s.n, CROWD);
	assert_int_equal(latches_in(&s), LATCHES);
	assert_true(holds(&s, 0) && holds(&s, 50));
	assert_int_equal(s.of[5].set->entries[0].octets[SERIAL_MAX - 1], 10);
	snapshot_drop(&s);
}

#define CASE(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
	    CASE(lists_and_latches_are_joined),
	    CASE(shards_are_one_list),
	    CASE(the_lists_number_is_told_where_there_is_one),
	    CASE(a_snapshot_keeps_its_lists),
	    CASE(two_that_say_the_same_are_told_from_others),
	    CASE(without_a_place_in_the_log_there_is_none),
	    CASE(it_waits_until_the_lists_are_opened),
	    CASE(nothing_revoked_is_nothing),
	    CASE(one_walk_is_enough_and_holds_nobody_up),
	    CASE(a_crowd_shares_a_walk),
	    CASE(who_waits_for_a_walk_waits_for_new_lists_too),
	    CASE(it_is_of_one_moment),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
