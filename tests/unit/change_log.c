/* change_log: what each kind of log that stands alone promises (memory and LMDB run
 * through the same cases), and what the file of the LMDB log has to survive: kills at any
 * moment, full disks, damage, the n-th call that fails.
 */
#include "tests/lib/faults.h"

#include <event2/event.h>
#include <event2/thread.h>
#include <lmdb.h>
#include <setjmp.h>
#include <signal.h>
#include <stdio.h>
#include <sys/resource.h>
#include <sys/wait.h>

#include <cmocka.h>

#include "cache/change/change_log.h"
#include "proxy/base/executor.h"
#include "proxy/base/inbox.h"
#include "tests/lib/child.h"
#include "tests/lib/lmdb_pages.h"
#include "tests/lib/log_of_before.h"
#include "tests/lib/store_kit.h"
#include "tests/lib/unhex.h"

#define NOW INT64_C(1700000000)
#define ALL ((size_t)1 << 40)

static char *dir;
static char url[4400];
static struct change_log *logs; /* log is one of math.h's */
static struct store_config store;
static struct change_log_config config;
static int events;
static char last_event[64], last_text[512];

static const uint8_t scope_a[CHANGE_SCOPE_N] = {1}, scope_b[CHANGE_SCOPE_N] = {2};
static const struct change_told unknown;
static const struct change_pos from_oldest;

static void on_event(void *arg, bool warn, const char *event, const char *text)
{
	(void)arg;
	assert_true(warn);
	events++;
	snprintf(last_event, sizeof last_event, "%s", event);
	snprintf(last_text, sizeof last_text, "%s", text);
}

static enum err open_log(void)
{
	return change_log_open(&logs, &config, last_text, sizeof last_text);
}

static int setup(const char *scheme)
{
	dir = kit_directory();
	snprintf(
	    url, sizeof url, "%s%s", scheme, strcmp(scheme, "memory:") == 0 ? "" : dir);
	memset(&store, 0, sizeof store);
	store.url = url;
	store.prefix = "";
	config = (struct change_log_config){
	    .store = &store, .size = 16 << 20, .now = NOW, .hooks.event = on_event};
	events = 0;
	return open_log();
}

static int memory(void **state)
{
	(void)state;
	return setup("memory:");
}

static int lmdb(void **state)
{
	(void)state;
	return setup("lmdb:");
}

static int teardown(void **state)
{
	(void)state;
	change_log_close(logs);
	logs = NULL;
	kit_remove(dir);
	return 0;
}

static void reopen(void)
{
	change_log_close(logs);
	logs = NULL;
	assert_int_equal(open_log(), ERR_OK);
}

static bool is_lmdb(void)
{
	return strncmp(url, "lmdb:", 5) == 0;
}

/* Batches and told pointers. */

/* n changes: serials first, first + 1, ... */
static struct change_batch *batch_at(
    const char *issuer, uint32_t first, uint32_t n, int64_t at)
{
	struct change_batch *b = change_batch_new(n);

	if (b == NULL)
		return NULL;
	snprintf(b->issuer, sizeof b->issuer, "%s", issuer);
	b->evidence = CHANGE_CRL;
	b->has_number = true;
	b->number[CRL_NUMBER_MAX - 1] = 7;
	b->seen_at_ms = at * 1000;
	b->published_at = at - 60;
	b->n = n;
	for (uint32_t i = 0; i < n; i++) {
		struct crl_entry *e = &b->change[i].entry;
		struct serial s = kit_serial(first + i);

		memcpy(e->octets + SERIAL_MAX - s.n, s.octets, s.n);
		e->n = s.n;
		e->reason = 1;
		e->spare[0] = CHANGE_REVOKED;
	}
	return b;
}

static struct change_batch *batch(uint32_t first, uint32_t n)
{
	return batch_at("demo", first, n, NOW);
}

static uint32_t first_serial(const struct change_batch *b)
{
	const uint8_t *p = b->change[0].entry.octets + SERIAL_MAX - 4;

	return (uint32_t)p[0] << 24 | (uint32_t)p[1] << 16 | (uint32_t)p[2] << 8 | p[3];
}

static struct change_told told_at(uint32_t done, uint32_t total)
{
	struct change_told t = {
	    .known = true, .this_update = NOW, .done = done, .total = total};

	memset(t.from, 0xf0, sizeof t.from);
	memset(t.to, 0x20, sizeof t.to);
	return t;
}

/* The calls, and what they gave. */

static int done_calls;
static enum err done_e;
static struct change_pos done_end;

static void on_done(void *arg, enum err e, const struct change_pos *end)
{
	(void)arg;
	done_calls++;
	done_e = e;
	done_end = *end;
}

static enum err append(struct change_batch *b, const uint8_t *scope,
    const struct change_told *expect, const struct change_told *next)
{
	int calls = done_calls;

	change_log_append(logs, b, scope, expect, next, on_done, NULL);
	assert_int_equal(done_calls, calls + 1);
	change_batch_unref(b);
	return done_e;
}

/* A single one. */
static enum err add(uint32_t first, uint32_t n)
{
	return append(batch(first, n), NULL, NULL, NULL);
}

/* count of them, all but the first waiting for it: so they go together. */
static struct {
	uint32_t left, n;
} burst;

static void on_burst(void *arg, enum err e, const struct change_pos *end)
{
	assert_int_equal(e, ERR_OK);
	on_done(arg, e, end);
	while (burst.left > 0) {
		struct change_batch *b = batch(--burst.left, burst.n);

		change_log_append(logs, b, NULL, NULL, NULL, on_burst, NULL);
		change_batch_unref(b);
	}
}

static void add_burst(uint32_t count, uint32_t n)
{
	int calls = done_calls;

	burst.left = count;
	burst.n = n;
	on_burst(NULL, ERR_OK, &from_oldest);
	assert_int_equal(done_calls, calls + 1 + (int)count);
}

static struct change_told told;
static enum err told_e;

static void on_told(void *arg, enum err e, const struct change_told *t)
{
	(void)arg;
	told_e = e;
	told = *t;
}

static void expect_told(const uint8_t *scope, const struct change_told *want)
{
	told_e = ERR_COUNT;
	change_log_told(logs, scope, on_told, NULL);
	assert_int_equal(told_e, ERR_OK);
	assert_true(change_told_equal(&told, want));
	if (!want->known)
		assert_memory_equal(&told, &unknown, sizeof told);
}

static struct {
	enum err e;
	int calls;
	size_t n;
	uint64_t first_seq, last_seq;
	uint32_t first_serial;
	uint32_t changes;
	bool gap;
	struct change_pos oldest, newest;
} page;

static void on_page(void *arg, enum err e, const struct change_log_page *p)
{
	(void)arg;
	page.calls++;
	page.e = e;
	page.n = p->n;
	page.gap = p->gap;
	page.oldest = p->oldest;
	page.newest = p->newest;
	page.changes = 0;
	page.first_seq = page.last_seq = 0;
	page.first_serial = 0;
	for (size_t i = 0; i < p->n; i++) {
		const struct change_batch *b = p->batches[i];

		assert_int_equal(b->epoch, p->newest.epoch);
		assert_true(b->seq > page.last_seq);
		page.last_seq = b->seq;
		page.changes += b->n;
	}
	if (p->n > 0) {
		page.first_seq = p->batches[0]->seq;
		if (p->batches[0]->kind != CHANGE_ALARMS)
			page.first_serial = first_serial(p->batches[0]);
	}
}

static void read_from(const struct change_pos *from, size_t max)
{
	int calls = page.calls;

	change_log_read(logs, from, max, on_page, NULL);
	assert_int_equal(page.calls, calls + 1);
	assert_int_equal(page.e, ERR_OK);
}

static void expect_gap(struct change_pos from, bool gap)
{
	read_from(&from, ALL);
	assert_int_equal(page.gap, gap);
	if (gap)
		assert_int_equal(page.n, 0);
}

static struct change_pos at(uint64_t seq, uint32_t index)
{
	return (struct change_pos){page.newest.epoch, seq, index};
}

/* Reads on from where the last page ended, counting. */
static uint32_t count_batches(void)
{
	uint32_t n = 0;

	for (struct change_pos from = from_oldest;;) {
		read_from(&from, 100000);
		assert_false(page.gap);
		if (page.n == 0)
			return n;
		n += (uint32_t)page.n;
		from = at(page.last_seq, CHANGE_BATCH_MAX);
	}
}

/* Both kinds. */

static void an_empty_log_has_a_place_to_read_from(void **state)
{
	struct change_log_health h;

	(void)state;
	read_from(&from_oldest, ALL);
	assert_int_equal(page.n, 0);
	assert_false(page.gap);
	assert_int_equal(page.newest.epoch, NOW);
	assert_int_equal(page.newest.seq, 0);
	assert_int_equal(change_pos_cmp(&page.oldest, &page.newest), 0);
	expect_gap(page.newest, false);
	change_log_health(logs, &h);
	assert_true(h.up);
	assert_false(h.shared);
	assert_int_equal(h.durable, is_lmdb());
	assert_string_equal(h.error, "");
	assert_int_equal(change_pos_cmp(&h.newest, &page.newest), 0);
}

static void on_kinds(void *arg, enum err e, const struct change_log_page *p)
{
	struct change_batch *const *was = arg;
	uint8_t want[8192], got[8192];

	assert_int_equal(e, ERR_OK);
	assert_int_equal(p->n, 4);
	for (size_t i = 0; i < 4; i++) {
		size_t n = change_batch_encode(was[i], want);

		assert_true(n <= sizeof want);
		assert_int_equal(change_batch_size(p->batches[i]), n);
		change_batch_encode(p->batches[i], got);
		assert_memory_equal(got, want, n);
		assert_int_equal(p->batches[i]->seq, i + 1);
	}
	page.calls++;
}

/* T23: Two elements of one batch are two places; and several appends for one certificate
 * are several batches. */
static void notices_and_alarms_come_back_as_they_were(void **state)
{
	static const struct change_alarm alarms[] = {
	    {"crl_late", "http://x/y", "late", NOW, false},
	    {"log_down", "", "", NOW, true},
	};
	struct change_batch *b[4];
	int calls = page.calls;

	(void)state;
	for (int i = 0; i < 4; i++) {
		if (i == 1) {
			b[i] = change_alarms_new("node", alarms, 2);
			b[i]->seen_at_ms = NOW * 1000;
		} else {
			b[i] = change_notices_new(1, "https://x/y", i == 2);
			strcpy(b[i]->issuer, "demo");
			strcpy(b[i]->incident, "mass");
			b[i]->seen_at_ms = NOW * 1000;
			b[i]->n = 1;
			b[i]->change[0].entry.n = 1;
			b[i]->change[0].entry.octets[SERIAL_MAX - 1] = 7;
			change_set_withdrawn(&b[i]->change[0], i == 3);
		}
		change_batch_ref(b[i]);
		assert_int_equal(append(b[i], NULL, NULL, NULL), ERR_OK);
		assert_int_equal(b[i]->seq, i + 1);
	}
	if (is_lmdb())
		reopen();
	change_log_read(logs, &from_oldest, ALL, on_kinds, b);
	assert_int_equal(page.calls, calls + 1);
	page.newest = done_end;
	expect_gap(at(2, 1), false);
	assert_int_equal(page.first_seq, 2); /* its second is still to come */
	assert_int_equal(page.n, 3);
	expect_gap(at(2, 2), false);
	assert_int_equal(page.first_seq, 3);
	for (int i = 0; i < 4; i++)
		change_batch_unref(b[i]);
	change_log_trim(logs, NOW + 1);
	assert_int_equal(count_batches(), 0);
}

/* T23: in the order of appending, unchanged. */
static void batches_come_back_in_the_order_of_appending(void **state)
{
	(void)state;
	for (uint32_t i = 0; i < 100; i++) {
		assert_int_equal(add(1000 * i, 1 + i), ERR_OK);
		assert_int_equal(done_end.seq, i + 1);
		assert_int_equal(done_end.index, 1 + i);
		assert_int_equal(done_end.epoch, NOW);
	}
	read_from(&from_oldest, ALL);
	assert_int_equal(page.n, 100);
	assert_int_equal(page.first_seq, 1);
	assert_int_equal(page.last_seq, 100);
	assert_int_equal(page.changes, 5050);
	assert_int_equal(change_pos_cmp(&page.newest, &done_end), 0);
	for (uint32_t i = 0; i < 100; i++) {
		struct change_pos from = at(i, i); /* all of the batch before */

		read_from(&from, 1);
		assert_int_equal(page.n, 1);
		assert_int_equal(page.first_serial, 1000 * i);
	}
}

static struct change_batch *kept;

static void keep_first(void *arg, enum err e, const struct change_log_page *p)
{
	(void)arg;
	assert_int_equal(e, ERR_OK);
	assert_true(p->n > 0);
	kept = change_batch_ref(p->batches[0]);
}

static void a_batch_is_told_its_place_and_keeps_every_field(void **state)
{
	struct change_batch *b = batch(5, CHANGE_BATCH_MAX);
	uint8_t *x, *y;

	(void)state;
	b->change[77].entry.at[4] = 9;
	b->change[78].entry.spare[0] = CHANGE_GOOD;
	change_log_append(logs, b, NULL, NULL, NULL, on_done, NULL);
	assert_int_equal(done_e, ERR_OK);
	assert_int_equal(b->seq, 1);
	assert_int_equal(b->epoch, NOW);
	change_log_read(logs, &from_oldest, 1, keep_first, NULL);
	assert_int_equal(kept->seq, 1);
	assert_int_equal(kept->epoch, NOW);
	assert_int_equal(change_batch_size(b), change_batch_size(kept));
	x = malloc(change_batch_size(b));
	y = malloc(change_batch_size(b));
	change_batch_encode(b, x);
	change_batch_encode(kept, y);
	assert_memory_equal(x, y, change_batch_size(b));
	free(x);
	free(y);
	change_batch_unref(b);
	change_batch_unref(kept);
}

/* T23: whoever appends, batch i goes in once, and only behind i - 1. */
static void a_batch_goes_in_only_where_told_stands(void **state)
{
	struct change_told one = told_at(1, 3), two = told_at(2, 3), other = one;
	struct change_batch *late;

	(void)state;
	expect_told(scope_a, &unknown);
	assert_int_equal(append(batch(1, 5), scope_a, &one, &two), ERR_CONFLICT);
	assert_int_equal(append(batch(1, 5), scope_a, &unknown, &one), ERR_OK);
	expect_told(scope_a, &one);
	expect_told(scope_b, &unknown);
	assert_int_equal(append(batch(1, 5), scope_a, &unknown, &one), ERR_CONFLICT);
	other.to[31] ^= 1;
	assert_int_equal(append(batch(6, 5), scope_a, &other, &two), ERR_CONFLICT);
	other = one;
	other.from[0] ^= 1;
	assert_int_equal(append(batch(6, 5), scope_a, &other, &two), ERR_CONFLICT);
	other = one;
	other.this_update++;
	assert_int_equal(append(batch(6, 5), scope_a, &other, &two), ERR_CONFLICT);
	expect_told(scope_a, &one);
	assert_int_equal(count_batches(), 1);
	assert_int_equal(append(batch(6, 5), scope_a, &one, &two), ERR_OK);
	late = batch(6, 5);
	change_batch_ref(late);
	assert_int_equal(append(late, scope_a, &one, &two), ERR_CONFLICT);
	assert_int_equal(late->seq, 0);
	change_batch_unref(late);
	assert_int_equal(append(batch(9, 1), scope_b, &unknown, &two), ERR_OK);
	expect_told(scope_a, &two);
	expect_told(scope_b, &two);
	assert_int_equal(count_batches(), 3);
}

/* A baseline, and a batch that the filter emptied. */
static void no_batch_or_an_empty_one_moves_told_only(void **state)
{
	struct change_told base = told_at(0, 0), one = told_at(1, 2), two = told_at(2, 2);
	struct change_batch *empty = batch(1, 0);

	(void)state;
	assert_int_equal(add(1, 3), ERR_OK);
	assert_int_equal(append(NULL, scope_a, &unknown, &base), ERR_OK);
	assert_int_equal(done_end.seq, 1);
	assert_int_equal(done_end.index, 3);
	expect_told(scope_a, &base);
	change_batch_ref(empty);
	assert_int_equal(append(empty, scope_a, &base, &one), ERR_OK);
	assert_int_equal(empty->seq, 0);
	change_batch_unref(empty);
	expect_told(scope_a, &one);
	assert_int_equal(append(NULL, scope_a, &base, &two), ERR_CONFLICT);
	assert_int_equal(append(NULL, scope_a, &one, &two), ERR_OK);
	expect_told(scope_a, &two);
	assert_int_equal(count_batches(), 1);
}

static void many_scopes_are_apart(void **state)
{
	uint8_t scope[CHANGE_SCOPE_N] = {0};

	(void)state;
	for (uint32_t i = 0; i < 100; i++) {
		struct change_told t = told_at(i, 1000);

		scope[31] = (uint8_t)i;
		assert_int_equal(append(NULL, scope, &unknown, &t), ERR_OK);
	}
	for (uint32_t i = 0; i < 100; i++) {
		struct change_told t = told_at(i, 1000);

		scope[31] = (uint8_t)i;
		expect_told(scope, &t);
	}
}

/* An id names the last single change that it covers. */
static void who_has_part_of_a_batch_gets_that_batch_again(void **state)
{
	struct change_pos from;

	(void)state;
	for (uint32_t i = 0; i < 3; i++)
		assert_int_equal(add(100 * i, 10), ERR_OK);
	read_from(&from_oldest, ALL);
	from = at(2, 9);
	read_from(&from, ALL);
	assert_int_equal(page.first_seq, 2);
	assert_int_equal(page.n, 2);
	from = at(2, 0);
	read_from(&from, ALL);
	assert_int_equal(page.first_seq, 2);
	from = at(2, 10);
	read_from(&from, ALL);
	assert_int_equal(page.first_seq, 3);
	from = at(2, 5000);
	read_from(&from, ALL);
	assert_int_equal(page.first_seq, 3);
	from = at(3, 9);
	read_from(&from, ALL);
	assert_int_equal(page.n, 1);
	from = at(3, 10);
	read_from(&from, ALL);
	assert_int_equal(page.n, 0);
	assert_false(page.gap);
}

static void a_page_ends_where_its_bytes_do_but_has_one_batch(void **state)
{
	struct change_batch *b = batch(0, 100);
	size_t size = change_batch_size(b);

	(void)state;
	change_batch_unref(b);
	for (uint32_t i = 0; i < 10; i++)
		assert_int_equal(add(1000 * i, 100), ERR_OK);
	read_from(&from_oldest, 0);
	assert_int_equal(page.n, 1);
	read_from(&from_oldest, 3 * size - 1);
	assert_int_equal(page.n, 2);
	read_from(&from_oldest, 3 * size);
	assert_int_equal(page.n, 3);
	assert_int_equal(page.newest.seq, 10);
}

static void a_place_of_another_epoch_or_behind_the_end_is_a_gap(void **state)
{
	(void)state;
	assert_int_equal(add(1, 2), ERR_OK);
	read_from(&from_oldest, ALL);
	expect_gap((struct change_pos){NOW - 1, 1, 0}, true);
	expect_gap((struct change_pos){NOW + 1, 0, 0}, true);
	expect_gap(at(2, 0), true);
	expect_gap(at(UINT64_MAX, UINT32_MAX), true);
	expect_gap(at(1, 2), false);
	expect_gap(at(0, 0), false);
}

static void trimming_drops_what_is_old_and_only_that(void **state)
{
	struct change_told one = told_at(1, 1);

	(void)state;
	for (uint32_t i = 0; i < 10; i++)
		assert_int_equal(
		    append(batch_at("demo", i, 4, NOW + i), NULL, NULL, NULL), ERR_OK);
	assert_int_equal(append(NULL, scope_a, &unknown, &one), ERR_OK);
	change_log_trim(logs, NOW);
	assert_int_equal(count_batches(), 10);
	assert_int_equal(page.oldest.seq, 0);
	change_log_trim(logs, NOW + 6);
	assert_int_equal(count_batches(), 4);
	assert_int_equal(page.oldest.seq, 6);
	assert_int_equal(page.oldest.index, 4);
	read_from(&page.oldest, ALL);
	assert_int_equal(page.first_seq, 7);
	expect_gap(at(6, 4), false);
	expect_gap(at(6, 3), true); /* a change of it is lost to them */
	expect_gap(at(5, 4), true);
	expect_gap(at(0, 0), true);
	change_log_trim(logs, NOW + 1000);
	assert_int_equal(count_batches(), 0);
	assert_int_equal(page.oldest.seq, 10);
	assert_int_equal(change_pos_cmp(&page.oldest, &page.newest), 0);
	expect_told(scope_a, &one);
	assert_int_equal(add(1, 1), ERR_OK);
	assert_int_equal(done_end.seq, 11); /* numbers go on */
	expect_gap(at(10, 4), false);
	assert_int_equal(page.first_seq, 11);
	assert_int_equal(events, 0);
}

static void a_new_epoch_is_later_drops_batches_and_keeps_told(void **state)
{
	struct change_told one = told_at(1, 2);
	struct change_pos old;

	(void)state;
	assert_int_equal(append(batch(1, 5), scope_a, &unknown, &one), ERR_OK);
	old = done_end;
	change_log_new_epoch(logs, on_done, NULL);
	assert_int_equal(done_e, ERR_OK);
	assert_true(done_end.epoch > old.epoch);
	assert_int_equal(done_end.seq, 0);
	read_from(&from_oldest, ALL);
	assert_int_equal(page.n, 0);
	assert_int_equal(change_pos_cmp(&page.newest, &done_end), 0);
	assert_int_equal(change_pos_cmp(&page.oldest, &done_end), 0);
	expect_gap(old, true);
	expect_told(scope_a, &one);
	assert_int_equal(add(1, 1), ERR_OK);
	assert_int_equal(done_end.seq, 1);
	old = done_end;
	change_log_new_epoch(logs, on_done, NULL);
	assert_true(done_end.epoch > old.epoch);
}

/* The oldest go, it is told once, told pointers stay. */
static void a_full_log_drops_the_oldest_and_says_so_once(void **state)
{
	struct change_told t = told_at(0, 1000), next;
	struct change_log_health h;

	(void)state;
	config.size = 2 << 20;
	reopen();
	assert_int_equal(append(NULL, scope_a, &unknown, &t), ERR_OK);
	for (uint32_t i = 0; i < 60; i++) {
		next = told_at(i + 1, 1000);
		assert_int_equal(
		    append(batch(10000 * i, 1 + 161 * i), scope_a, &t, &next), ERR_OK);
		t = next;
		add_burst(20, 1);
	}
	assert_int_equal(events, 1);
	assert_string_equal(last_event, "events_full");
	assert_non_null(strstr(last_text, "events-size"));
	expect_told(scope_a, &t);
	read_from(&from_oldest, ALL);
	assert_int_equal(page.last_seq, 1260);
	assert_int_equal(page.newest.seq, 1260);
	assert_int_equal(page.first_seq, page.oldest.seq + 1);
	assert_true(page.n > 20); /* as many as there is room for */
	expect_gap(at(1, 1), true);
	change_log_health(logs, &h);
	assert_true(h.up);
	assert_true(h.bytes > config.size / 2 && h.bytes <= config.size);
	assert_int_equal(h.oldest.seq, page.oldest.seq);
	/* Age bounds it again, then size: that is another time. */
	change_log_trim(logs, NOW + 1);
	assert_int_equal(count_batches(), 0);
	for (uint32_t i = 0; i < 10; i++)
		assert_int_equal(add(10000 * i, CHANGE_BATCH_MAX), ERR_OK);
	assert_int_equal(events, 2);
}

static void what_can_never_fit_is_refused_and_drops_nothing(void **state)
{
	(void)state;
	config.size = 256 << 10;
	reopen();
	assert_int_equal(add(1, 1), ERR_OK);
	assert_int_equal(add(2, CHANGE_BATCH_MAX), ERR_STORE_FULL);
	assert_int_equal(append(batch(2, CHANGE_BATCH_MAX), scope_a, &unknown, &unknown),
	    ERR_STORE_FULL);
	assert_int_equal(count_batches(), 1);
	expect_told(scope_a, &unknown);
	assert_int_equal(add(3, 1), ERR_OK);
	assert_int_equal(count_batches(), 2);
}

/* events-size at its smallest. */
static void the_smallest_log_takes_the_largest_batch(void **state)
{
	(void)state;
	config.size = 1 << 20;
	reopen();
	for (uint32_t i = 0; i < 20; i++) {
		assert_int_equal(add(10000 * i, CHANGE_BATCH_MAX), ERR_OK);
		add_burst(15, 1);
		add_burst(15, 20);
	}
	read_from(&from_oldest, ALL);
	assert_int_equal(page.newest.seq, 620);
	assert_int_equal(page.last_seq, 620);
}

static int chain_left;

static void append_more(void *arg, enum err e, const struct change_pos *end)
{
	assert_int_equal(e, ERR_OK);
	on_done(arg, e, end);
	if (chain_left-- > 0) {
		struct change_batch *b = batch((uint32_t)chain_left, 1);

		change_log_append(logs, b, NULL, NULL, NULL, append_more, NULL);
		change_batch_unref(b);
	}
}

static void read_more(void *arg, enum err e, const struct change_log_page *p)
{
	int *left = arg;

	assert_int_equal(e, ERR_OK);
	assert_int_equal(p->n, 1);
	if ((*left)-- > 0) {
		struct change_pos from = {
		    p->newest.epoch, p->batches[0]->seq, CHANGE_BATCH_MAX};

		change_log_trim(logs, 0);
		change_log_read(logs, &from, 1, read_more, arg);
		assert_int_equal(p->batches[0]->n, 1);
	}
}

static void a_callback_may_use_the_log(void **state)
{
	int left = 50;

	(void)state;
	chain_left = 100;
	append_more(NULL, ERR_OK, &from_oldest);
	assert_int_equal(chain_left, -1);
	assert_int_equal(count_batches(), 100);
	change_log_read(logs, &from_oldest, 1, read_more, &left);
	assert_int_equal(left, -1);
}

static void close_in_callback(void *arg, enum err e, const struct change_pos *end)
{
	on_done(arg, e, end);
	change_log_close(logs);
	logs = NULL;
}

static void a_callback_may_close_the_log(void **state)
{
	struct change_batch *b = batch(1, 1);

	(void)state;
	change_log_append(logs, b, NULL, NULL, NULL, close_in_callback, NULL);
	assert_null(logs);
	assert_int_equal(done_e, ERR_OK);
	change_batch_unref(b);
}

/* LMDB alone. */

/* An executor whose jobs run when the test says so, work and done apart. */
static struct {
	void (*work)(void *), (*done)(void *);
	void *arg;
} job;
static int jobs, queued;

static void hold(void *ctx, void (*work)(void *), void (*done)(void *), void *arg)
{
	(void)ctx;
	assert_int_equal(queued, 0); /* one at a time */
	job.work = work;
	job.done = done;
	job.arg = arg;
	jobs++;
	queued++;
}

static void let_go(void)
{
	assert_int_equal(queued, 1);
	job.work(job.arg);
	queued = 0;
	job.done(job.arg);
}

static void hold_writes(void)
{
	jobs = queued = 0;
	store.exec.run = hold;
	reopen();
}

static void give(struct change_batch *b, const uint8_t *scope,
    const struct change_told *expect, const struct change_told *next)
{
	change_log_append(logs, b, scope, expect, next, on_done, NULL);
	change_batch_unref(b);
}

/* T23 */
static void a_restart_keeps_batches_told_and_epoch(void **state)
{
	struct change_told one = told_at(1, 2), two = told_at(2, 2);
	struct change_log_health before, after;

	(void)state;
	assert_int_equal(
	    append(batch_at("demo", 1, 5, NOW - 10), scope_a, &unknown, &one), ERR_OK);
	assert_int_equal(append(batch(6, 7), scope_a, &one, &two), ERR_OK);
	change_log_health(logs, &before);
	config.now += 1000;
	reopen();
	change_log_health(logs, &after);
	assert_int_equal(change_pos_cmp(&before.newest, &after.newest), 0);
	assert_int_equal(after.bytes, before.bytes);
	expect_told(scope_a, &two);
	assert_int_equal(count_batches(), 2);
	change_log_trim(logs, NOW);
	reopen();
	assert_int_equal(count_batches(), 1);
	assert_int_equal(page.oldest.seq, 1);
	assert_int_equal(page.oldest.index, 5);
	change_log_trim(logs, NOW + 1);
	reopen();
	assert_int_equal(count_batches(), 0);
	assert_int_equal(add(1, 1), ERR_OK);
	assert_int_equal(done_end.seq, 3);
	assert_int_equal(done_end.epoch, NOW);
	change_log_new_epoch(logs, on_done, NULL);
	assert_int_equal(done_end.epoch, config.now);
	reopen();
	read_from(&from_oldest, ALL);
	assert_int_equal(page.newest.epoch, config.now);
	assert_int_equal(page.newest.seq, 0);
	expect_told(scope_a, &two);
	/* A clock that went back makes no earlier epoch. */
	config.now = NOW - 5000;
	reopen();
	change_log_new_epoch(logs, on_done, NULL);
	assert_int_equal(done_end.epoch, NOW + 1001);
}

/* T23: know, then tell; the second law. */
static void nothing_is_read_or_told_of_before_it_is_durable(void **state)
{
	struct change_told one = told_at(1, 1);
	int calls = done_calls;

	(void)state;
	hold_writes();
	give(batch(1, 1), scope_a, &unknown, &one);
	assert_int_equal(queued, 1);
	assert_int_equal(count_batches(), 0);
	expect_told(scope_a, &unknown);
	job.work(job.arg);
	queued = 0;
	assert_int_equal(done_calls, calls);
	job.done(job.arg);
	assert_int_equal(done_calls, calls + 1);
	assert_int_equal(count_batches(), 1);
	expect_told(scope_a, &one);
}

/* Each of them waits for the disk. */
static int commits;

int mdb_txn_commit(MDB_txn *txn)
{
	int (*real)(MDB_txn *) = (int (*)(MDB_txn *))dlsym(RTLD_NEXT, "mdb_txn_commit");

	commits++;
	return real(txn);
}

static void what_waits_goes_together_and_in_order(void **state)
{
	struct change_told t[52];
	struct change_batch *last = batch(99, 1);

	(void)state;
	hold_writes();
	for (uint32_t i = 0; i < 52; i++)
		t[i] = told_at(i, 100);
	give(batch(1, 1), scope_a, &unknown, &t[0]);
	for (uint32_t i = 1; i < 51; i++)
		give(batch(10 * i, 2), scope_a, &t[i - 1], &t[i]);
	give(batch(7, 1), scope_a, &t[3], &t[4]); /* somebody was there before */
	give(batch(8, 1), NULL, NULL, NULL);
	change_log_trim(logs, NOW - 1);
	change_log_append(logs, last, scope_a, &t[50], &t[51], on_done, NULL);
	let_go();
	assert_int_equal(queued, 1);
	commits = 0;
	let_go();
	assert_int_equal(jobs, 2);
	assert_int_equal(
	    commits, 3); /* what came before the trim, it, and what came after */
	assert_int_equal(queued, 0);
	assert_int_equal(done_e, ERR_OK);
	assert_int_equal(last->seq, 53);
	change_batch_unref(last);
	expect_told(scope_a, &t[51]);
	assert_int_equal(count_batches(), 53);
}

/* Pointers alone may take a megabyte: the limit is one on them too. */
static void its_bytes_are_those_of_all_that_is_in_it(void **state)
{
	struct change_told one = told_at(1, 1);
	uint8_t scope[CHANGE_SCOPE_N] = {9};
	struct change_log_health h;

	(void)state;
	hold_writes();
	for (int i = 0; i < 2000; i++) {
		memcpy(scope + 1, &i, sizeof i);
		give(NULL, scope, &unknown, &one);
	}
	give(batch(1, 1000), NULL, NULL, NULL);
	let_go();
	let_go(); /* what came after the first */
	change_log_health(logs, &h);
	assert_true(h.bytes > 2000 * (CHANGE_SCOPE_N + CHANGE_TOLD_N));
	change_log_close(logs);
	logs = NULL;
	assert_int_equal(lmdb_pages(dir, "events.mdb"), h.bytes);
}

static void a_long_trim_lets_others_pass(void **state)
{
	int calls;

	(void)state;
	config.size = 64 << 20;
	hold_writes();
	for (uint32_t i = 0; i < 15001; i++)
		give(batch(i, 1), NULL, NULL, NULL);
	let_go();
	let_go();
	assert_int_equal(count_batches(), 15001);
	change_log_trim(logs, NOW + 1);
	calls = done_calls;
	give(batch_at("demo", 1, 1, NOW + 1), NULL, NULL, NULL);
	let_go();
	assert_in_range(count_batches(), 1, 5001); /* 10,000 or a little more are gone */
	let_go(); /* the append, and the rest of the trim behind it */
	assert_int_equal(done_calls, calls + 1);
	assert_int_equal(done_e, ERR_OK);
	assert_int_equal(count_batches(), 1);
	assert_int_equal(queued, 0);
	assert_int_equal(page.oldest.seq, 15001);
}

static void closing_writes_what_waits_and_calls_nobody(void **state)
{
	int calls;

	(void)state;
	hold_writes();
	calls = done_calls;
	give(batch(1, 1), NULL, NULL, NULL);
	give(batch(2, 1), NULL, NULL, NULL);
	change_log_trim(logs, 1);
	job.work(job.arg); /* the executor ends what it has */
	change_log_close(logs);
	logs = NULL;
	job.done(job.arg); /* and what it brings back comes too late */
	store.exec.run = NULL;
	assert_int_equal(open_log(), ERR_OK);
	assert_int_equal(done_calls, calls);
	assert_int_equal(count_batches(), 2);
	/* Three in one job, the first closes. */
	hold_writes();
	give(batch(3, 1), NULL, NULL, NULL);
	calls = done_calls;
	for (uint32_t i = 4; i < 7; i++) {
		struct change_batch *b = batch(i, 1);

		change_log_append(logs, b, NULL, NULL, NULL, close_in_callback, NULL);
		change_batch_unref(b);
	}
	let_go();
	let_go();
	assert_null(logs);
	assert_int_equal(done_calls, calls + 2);
	store.exec.run = NULL;
	assert_int_equal(open_log(), ERR_OK);
	assert_int_equal(count_batches(), 6);
}

/* A done that comes back when the executor has stopped starts nothing new. */
static void a_stopped_executor_is_given_nothing_more(void **state)
{
	struct event_base *base = event_base_new();

	(void)state;
	store.base = base;
	hold_writes();
	give(batch(1, 1), NULL, NULL, NULL);
	give(batch(2, 1), NULL, NULL, NULL);
	let_go();
	assert_int_equal(queued, 0);
	event_base_loop(base, EVLOOP_NONBLOCK);
	assert_int_equal(queued, 1);
	give(batch(3, 1), NULL, NULL, NULL);
	let_go();
	assert_int_equal(queued, 0);
	change_log_close(logs);
	event_base_free(base);
	store.base = NULL;
	store.exec.run = NULL;
	assert_int_equal(open_log(), ERR_OK);
	assert_int_equal(count_batches(), 3);
}

static void a_log_that_was_larger_before_goes_on(void **state)
{
	(void)state;
	for (uint32_t i = 0; i < 30; i++)
		assert_int_equal(add(10000 * i, CHANGE_BATCH_MAX), ERR_OK);
	config.size = 1 << 20;
	reopen();
	assert_int_equal(count_batches(), 30);
	assert_int_equal(add(1, CHANGE_BATCH_MAX), ERR_OK);
	assert_int_equal(add(2, 1), ERR_OK);
	assert_true(count_batches() <= 3);
	assert_int_equal(page.newest.seq, 32);
	assert_string_equal(last_event, "events_full");
}

/* The same while nothing else is done: a told pointer can always move. */
static void a_full_log_still_moves_told(void **state)
{
	struct change_told t = told_at(0, 1000), next;

	(void)state;
	config.size = 1 << 20;
	reopen();
	add_burst(3000, 10);
	assert_string_equal(last_event, "events_full");
	assert_int_equal(append(NULL, scope_a, &unknown, &t), ERR_OK);
	for (uint32_t i = 1; i < 50; i++, t = next) {
		next = told_at(i, 1000);
		assert_int_equal(append(NULL, scope_a, &t, &next), ERR_OK);
	}
	expect_told(scope_a, &t);
}

/* Told pointers alone fill it: ERR_STORE_FULL, and what is there can be read. */
static void told_pointers_are_never_dropped(void **state)
{
	uint8_t scope[CHANGE_SCOPE_N] = {0};
	struct change_told t = told_at(1, 2);
	uint32_t n = 0;
	enum err e;

	(void)state;
	config.size = 256 << 10;
	reopen();
	do {
		scope[0] = (uint8_t)n;
		scope[1] = (uint8_t)(n >> 8);
		e = append(NULL, scope, &unknown, &t);
	} while (e == ERR_OK && ++n < 10000);
	assert_int_equal(e, ERR_STORE_FULL);
	assert_true(n > 500);
	for (uint32_t i = 0; i < n; i++) {
		scope[0] = (uint8_t)i;
		scope[1] = (uint8_t)(i >> 8);
		expect_told(scope, &t);
	}
	reopen();
	expect_told(scope, &t);
}

/* What stands in the file, written past the log. */

static void scribble(const char *database, MDB_val k, MDB_val v)
{
	char path[4300];
	MDB_env *env;
	MDB_txn *txn;
	MDB_dbi dbi;

	change_log_close(logs);
	logs = NULL;
	snprintf(path, sizeof path, "%s/events.mdb", dir);
	assert_int_equal(mdb_env_create(&env), 0);
	mdb_env_set_maxdbs(env, 3);
	mdb_env_set_mapsize(env, 16 << 20);
	assert_int_equal(mdb_env_open(env, path, MDB_NOSUBDIR, 0600), 0);
	assert_int_equal(mdb_txn_begin(env, NULL, 0, &txn), 0);
	assert_int_equal(mdb_dbi_open(txn, database, 0, &dbi), 0);
	assert_int_equal(mdb_put(txn, dbi, &k, &v, 0), 0);
	assert_int_equal(mdb_txn_commit(txn), 0);
	mdb_env_close(env);
}

static MDB_val text(const char *s)
{
	return (MDB_val){strlen(s), (void *)(uintptr_t)s};
}

static MDB_val octets(const char *s, size_t n)
{
	return (MDB_val){n, (void *)(uintptr_t)s};
}

static void expect_refusal(const char *what)
{
	char path[4300];

	change_log_close(logs);
	assert_int_equal(open_log(), ERR_STORE);
	assert_null(logs);
	snprintf(path, sizeof path, "%s/events.mdb: ", dir);
	assert_non_null(strstr(last_text, path));
	if (strstr(last_text, what) == NULL || strstr(last_text, "move it away") == NULL)
		fail_msg("\"%s\" does not say \"%s\"", last_text, what);
}

static void a_file_of_another_version_is_refused_and_left_alone(void **state)
{
	(void)state;
	assert_int_equal(add(1, 1), ERR_OK);
	scribble("meta", text("format"), text("ocspcached events 2"));
	expect_refusal("another version");
	scribble("meta", text("format"), text("ocspcached events 1"));
	assert_int_equal(open_log(), ERR_OK);
	assert_int_equal(count_batches(), 1);
	scribble("meta", text("epoch"), text("no"));
	expect_refusal("damaged");
	scribble("meta", text("epoch"), octets("\0\0\0", 4));
	expect_refusal("damaged");
	scribble("meta", text("epoch"), octets("\0\0\0\1", 4));
	scribble("meta", text("dropped"), octets("\1\0\0\0\0\0\0\0\0\0\0", 12));
	expect_refusal("damaged");
	/* dropped, and still there */
	scribble("meta", text("dropped"), octets("\0\0\0\0\0\0\0\1\0\0\0\1", 12));
	expect_refusal("damaged");
	scribble("meta", text("dropped"), octets("\0\0\0\0\0\0\0\0\0\0\0", 12));
	scribble("log", text("a key of another kind"), text("?"));
	expect_refusal("damaged");
}

static void what_is_no_log_at_all_is_refused_with_the_reason(void **state)
{
	char path[4300];
	FILE *f;

	(void)state;
	change_log_close(logs);
	logs = NULL;
	snprintf(path, sizeof path, "%s/events.mdb", dir);
	f = fopen(path, "w");
	for (int i = 0; i < 20000; i++)
		fputs("not a database ", f);
	fclose(f);
	expect_refusal("not a change log");
	snprintf(url, sizeof url, "lmdb:%s", path);
	assert_int_equal(open_log(), ERR_STORE);
	assert_non_null(strstr(last_text, "Not a directory"));
	snprintf(url, sizeof url, "lmdb:");
	assert_int_equal(open_log(), ERR_STORE);
	assert_non_null(strstr(last_text, "needs a directory"));
	snprintf(url, sizeof url, "lmbd:secret@/x");
	assert_int_equal(open_log(), ERR_STORE);
	assert_non_null(strstr(last_text, "unknown kind"));
	assert_null(strstr(last_text, "secret"));
	assert_null(logs);
}

static void the_file_is_its_owners_alone_and_directories_are_made(void **state)
{
	char path[4300];
	struct stat st;

	(void)state;
	snprintf(url, sizeof url, "lmdb:%s/a/b", dir);
	reopen();
	snprintf(path, sizeof path, "%s/a", dir);
	assert_int_equal(stat(path, &st), 0);
	assert_int_equal(st.st_mode & 0777, 0700);
	snprintf(path, sizeof path, "%s/a/b/events.mdb", dir);
	assert_int_equal(stat(path, &st), 0);
	assert_int_equal(st.st_mode & 077, 0);
}

/* What a store returns is never trusted. */
/* T23: What cannot be read may have been what somebody waits for. */
static void a_damaged_batch_is_a_gap_and_told_once(void **state)
{
	static const char garbage[100] = {0};
	struct change_log_health h;
	struct change_pos from;

	(void)state;
	for (uint32_t i = 1; i <= 5; i++)
		assert_int_equal(add(i, 3), ERR_OK);
	scribble("log", octets("\0\0\0\0\0\0\0\2", 8), octets(garbage, sizeof garbage));
	scribble("log", octets("\0\0\0\0\0\0\0\5", 8), octets(garbage, 3));
	assert_int_equal(open_log(), ERR_OK);
	read_from(&from_oldest, ALL); /* what is before it */
	assert_false(page.gap);
	assert_int_equal(page.n, 1);
	assert_int_equal(page.last_seq, 1);
	from = at(1, 3);
	read_from(&from, ALL);
	assert_true(page.gap);
	assert_int_equal(page.n, 0);
	assert_int_equal(page.oldest.seq, 2);
	from = page.oldest;
	read_from(&from, ALL); /* what is behind it */
	assert_false(page.gap);
	assert_int_equal(page.n, 2);
	assert_int_equal(page.first_seq, 3);
	assert_int_equal(page.last_seq, 4);
	from = at(4, 3);
	read_from(&from, ALL);
	assert_true(page.gap);
	assert_int_equal(page.newest.seq, 5);
	from = page.oldest;
	read_from(&from, ALL); /* the end */
	assert_false(page.gap);
	assert_int_equal(page.n, 0);
	assert_int_equal(events, 2);
	assert_string_equal(last_event, "events_damaged");
	read_from(&from, 1);
	assert_int_equal(events, 2);
	change_log_health(logs, &h);
	assert_true(h.up);
	assert_non_null(strstr(h.damage, "/events.mdb: a batch cannot be read"));
	assert_int_equal(add(6, 1), ERR_OK);
	assert_int_equal(done_end.seq, 6);
	read_from(&from, ALL);
	assert_int_equal(page.first_seq, 6);
	change_log_trim(logs, NOW + 1);
	assert_int_equal(count_batches(), 0);
	change_log_health(logs, &h);
	assert_string_equal(h.damage, ""); /* it is gone */
}

/* T23: of a newer version, which this one may share a log with. */
static void a_record_of_another_kind_is_a_gap_and_no_damage(void **state)
{
	/* when, n; version 2, kind 5, one of them, when, what follows */
	static const char other[12 + 16 + 5] = "\0\0\0\0\0\0\0\1\0\0\0\1\2\5\0\0\0\0\0\1";
	struct change_log_health h;
	struct change_pos from;

	(void)state;
	for (uint32_t i = 1; i <= 3; i++)
		assert_int_equal(add(i, 3), ERR_OK);
	scribble("log", octets("\0\0\0\0\0\0\0\2", 8), octets(other, sizeof other));
	assert_int_equal(open_log(), ERR_OK);
	from = at(1, 3);
	for (int i = 0; i < 2; i++) {
		read_from(&from, ALL);
		assert_true(page.gap);
		assert_int_equal(page.oldest.seq, 2);
	}
	from = page.oldest;
	read_from(&from, ALL);
	assert_int_equal(page.n, 1);
	assert_int_equal(page.first_seq, 3);
	assert_int_equal(events, 1);
	assert_string_equal(last_event, "events_newer");
	change_log_health(logs, &h);
	assert_true(h.up);
	assert_string_equal(h.damage, "");
}

static void put_row(MDB_env *env, const char *database, const void *k, size_t k_n,
    const void *v, size_t n)
{
	MDB_val key = octets(k, k_n), value = octets(v, n);
	MDB_txn *txn;
	MDB_dbi dbi;

	assert_int_equal(mdb_txn_begin(env, NULL, 0, &txn), 0);
	assert_int_equal(mdb_dbi_open(txn, database, MDB_CREATE, &dbi), 0);
	assert_int_equal(mdb_put(txn, dbi, &key, &value, 0), 0);
	assert_int_equal(mdb_txn_commit(txn), 0);
}

/* A file as the version before left it, with its batches. */
static void make_file_of_before(void)
{
	char path[4300];
	MDB_env *env;
	uint8_t key[8], value[300], scope[CHANGE_SCOPE_N];
	size_t n;

	change_log_close(logs);
	logs = NULL;
	snprintf(path, sizeof path, "%s/events.mdb", dir);
	assert_int_equal(unlink(path), 0);
	assert_int_equal(mdb_env_create(&env), 0);
	mdb_env_set_maxdbs(env, 3);
	assert_int_equal(mdb_env_open(env, path, MDB_NOSUBDIR, 0600), 0);
	put_row(env, "meta", "format", 6, "ocspcached events 1", 19);
	put_be(value, BEFORE_EPOCH, 4);
	put_row(env, "meta", "epoch", 5, value, 4);
	memset(value, 0, 12);
	put_row(env, "meta", "dropped", 7, value, 12);
	for (unsigned i = 0; i < BEFORE_BATCHES; i++) {
		put_be(key, i + 1, 8);
		put_be(value, BEFORE_SEEN, 8);
		put_be(value + 8, before_batch[i].n, 4);
		n = unhex(before_batch[i].hex, value + 12, sizeof value - 12);
		put_row(env, "log", key, 8, value, 12 + n);
	}
	unhex(BEFORE_SCOPE, scope, sizeof scope);
	n = unhex(BEFORE_TOLD, value, sizeof value);
	put_row(env, "told", scope, sizeof scope, value, n);
	mdb_env_close(env);
}

/* T23: batches of version 1 are read, and what comes stands behind them. */
static void a_file_of_the_version_before_is_gone_on_with(void **state)
{
	const struct change_pos second = {BEFORE_EPOCH, 2, 1};
	struct change_told was;
	uint8_t scope[CHANGE_SCOPE_N];

	(void)state;
	make_file_of_before();
	assert_int_equal(open_log(), ERR_OK);
	read_from(&from_oldest, ALL);
	assert_false(page.gap);
	assert_int_equal(page.n, 3);
	assert_int_equal(page.newest.epoch, BEFORE_EPOCH);
	assert_int_equal(page.newest.seq, 3);
	unhex(BEFORE_SCOPE, scope, sizeof scope);
	change_log_told(logs, scope, on_told, NULL);
	assert_int_equal(told_e, ERR_OK);
	was = told;
	assert_true(was.known && was.done == 1 && was.total == 1);
	assert_int_equal(append(batch(7, 2), scope, &was, &was), ERR_OK);
	assert_int_equal(done_end.epoch, BEFORE_EPOCH);
	assert_int_equal(done_end.seq, 4);
	reopen();
	read_from(&second, ALL); /* an id that was given before */
	assert_false(page.gap);
	assert_int_equal(page.n, 2);
	assert_int_equal(page.last_seq, 4);
	assert_int_equal(events, 0);
}

/* A list whose pointer cannot be read is held back: as a baseline it would lose what was
 * not told. */
static void a_damaged_told_pointer_is_an_error_and_no_baseline(void **state)
{
	static const char nothing[CHANGE_TOLD_N];
	struct change_told one = told_at(1, 1);
	struct change_log_health h;

	(void)state;
	scribble("told", octets((const char *)scope_a, CHANGE_SCOPE_N), text("?"));
	assert_int_equal(open_log(), ERR_OK);
	change_log_told(logs, scope_a, on_told, NULL);
	assert_int_equal(told_e, ERR_RECORD);
	assert_string_equal(last_event, "events_damaged");
	assert_int_equal(append(batch(1, 1), scope_a, &unknown, &one), ERR_RECORD);
	assert_int_equal(count_batches(), 0);
	assert_int_equal(append(batch(1, 1), scope_b, &unknown, &one), ERR_OK);
	change_log_health(logs, &h);
	assert_non_null(strstr(h.damage, "a list's pointer cannot be read"));
	scribble("told", octets((const char *)scope_a, CHANGE_SCOPE_N),
	    octets(nothing, sizeof nothing));
	assert_int_equal(open_log(), ERR_OK);
	change_log_told(logs, scope_a, on_told, NULL);
	change_log_health(logs, &h);
	assert_string_equal(h.damage, "");
}

static void a_file_that_was_cut_short_ends_nothing(void **state)
{
	char path[4300];

	(void)state;
	snprintf(path, sizeof path, "%s/events.mdb", dir);
	for (uint32_t i = 0; i < 50; i++)
		assert_int_equal(add(100 * i, 100), ERR_OK);
	for (off_t pages = 60; pages > 0; pages -= 4) {
		change_log_close(logs);
		assert_int_equal(truncate(path, pages * 4096 - 1), 0);
		logs = NULL;
		expect_refusal("cut short");
	}
	assert_int_equal(truncate(path, 0), 0);
	expect_refusal("empty");
	assert_int_equal(unlink(path), 0); /* as the remedy says: a new epoch */
	assert_int_equal(open_log(), ERR_OK);
	assert_int_equal(count_batches(), 0);
}

/* Kills.  Three chains of appends at once, as fast as the disk takes them: two lists with
 * told pointers, and single changes.  Batch i of a list has the serials 100000 * i and
 * on, and batch_n(i) changes. */

#define CHAINS 3
#define TOTAL  1000000

static const char *const chain_name[CHAINS] = {"list-a", "list-b", "single"};

struct chain {
	int number;
	struct change_told told;
	uint32_t next;
	int fd; /* acknowledgements */
};

static uint32_t batch_n(uint32_t i)
{
	return i % 37 == 5 ? CHANGE_BATCH_MAX : 1 + i * 7 % 300;
}

static const uint8_t *chain_scope(int number)
{
	return number == 0 ? scope_a : number == 1 ? scope_b : NULL;
}

static void chain_step(struct chain *c);

static void on_chain(void *arg, enum err e, const struct change_pos *end)
{
	struct chain *c = arg;
	uint8_t number = (uint8_t)c->number;

	(void)end;
	if (e != ERR_OK)
		_exit(3);
	if (c->number < 2)
		c->told = told_at(c->next, TOTAL);
	if (write(c->fd, &number, 1) != 1)
		_exit(4);
	chain_step(c);
}

static void chain_step(struct chain *c)
{
	struct change_told next = told_at(c->next + 1, TOTAL);
	struct change_batch *b =
	    batch_at(chain_name[c->number], 100000 * c->next, batch_n(c->next), NOW);

	c->next++;
	change_log_append(logs, b, chain_scope(c->number), &c->told, &next, on_chain, c);
	change_batch_unref(b);
}

static void append_until_killed(int fd)
{
	struct event_base *base = event_base_new();
	struct inbox *inbox = inbox_new(base, NULL);
	struct executor *disk = executor_start(inbox, "disk", 0);
	struct chain chain[CHAINS];

	store.base = base;
	store.exec = executor_exec(disk);
	if (open_log() != ERR_OK)
		_exit(2);
	for (int i = 0; i < CHAINS; i++) {
		chain[i] = (struct chain){.number = i, .fd = fd};
		if (i < 2) {
			change_log_told(logs, chain_scope(i), on_told, NULL);
			chain[i].told = told;
			chain[i].next = told.done;
		}
		chain_step(&chain[i]);
	}
	event_base_dispatch(base);
	_exit(5);
}

static void count_chain(void *arg, enum err e, const struct change_log_page *p)
{
	uint32_t *count = arg;

	assert_int_equal(e, ERR_OK);
	assert_false(p->gap);
	for (size_t i = 0; i < p->n; i++) {
		const struct change_batch *b = p->batches[i];
		int c = 0;

		assert_int_equal(b->seq, count[CHAINS] + 1); /* without holes */
		count[CHAINS]++;
		while (strcmp(chain_name[c], b->issuer) != 0)
			c++;
		if (c < 2) { /* once, in order, whole */
			assert_int_equal(first_serial(b), 100000 * count[c]);
			assert_int_equal(b->n, batch_n(count[c]));
		}
		count[c]++;
	}
}

/* count: batches of each chain, then of all. */
static void check_chains(uint32_t count[CHAINS + 1])
{
	uint32_t before;

	memset(count, 0, (CHAINS + 1) * sizeof count[0]);
	read_from(&from_oldest, 1);
	do {
		struct change_pos from = at(count[CHAINS], CHANGE_BATCH_MAX);

		before = count[CHAINS];
		change_log_read(logs, &from, 1 << 20, count_chain, count);
	} while (count[CHAINS] > before);
	assert_int_equal(count[CHAINS], page.newest.seq);
	for (int c = 0; c < 2; c++) {
		change_log_told(logs, chain_scope(c), on_told, NULL);
		assert_int_equal(told_e, ERR_OK);
		assert_int_equal(told.done, count[c]);
	}
}

/* T23: kill -9 at any moment. */
static void no_kill_parts_the_log_from_told(void **state)
{
	int rounds = getenv("TEST_ALL") != NULL ? 200 : 20;
	uint32_t count[CHAINS + 1], acked[CHAINS] = {0};

	(void)state;
	srand(4);
	config.size = 1 << 30;
	change_log_close(logs);
	logs = NULL;
	for (int round = 0; round < rounds; round++) {
		int fds[2], status;
		uint8_t c;
		pid_t pid;

		assert_int_equal(pipe(fds), 0);
		pid = child_fork();
		if (pid == 0)
			append_until_killed(fds[1]);
		close(fds[1]);
		usleep((useconds_t)(1000 + rand() % 60000));
		kill(pid, SIGKILL);
		while (read(fds[0], &c, 1) == 1)
			acked[c]++;
		close(fds[0]);
		waitpid(pid, &status, 0);
		assert_true(WIFSIGNALED(status));
		assert_int_equal(open_log(), ERR_OK);
		check_chains(count);
		/* What was told of is there; one of each chain may be there untold. */
		for (int i = 0; i < CHAINS; i++) {
			assert_true(count[i] >= acked[i]);
			assert_true(count[i] <= acked[i] + 1 + (uint32_t)round);
		}
		change_log_close(logs);
		logs = NULL;
	}
	assert_true(count[CHAINS] > (uint32_t)rounds);
	assert_int_equal(open_log(), ERR_OK);
}

/* A disk that is full: the file system says no through RLIMIT_FSIZE. */
static void a_full_disk_is_told_and_the_log_goes_on_when_there_is_room(void **state)
{
	pid_t pid;
	int status;

	(void)state;
	change_log_close(logs);
	logs = NULL;
	pid = child_fork();
	if (pid == 0) {
		struct change_told one = told_at(1, 2), two = told_at(2, 2);
		struct rlimit limit = {40 * 4096, RLIM_INFINITY};
		struct change_log_health h;

		signal(SIGXFSZ, SIG_IGN);
		if (open_log() != ERR_OK ||
		    append(batch(1, 10), scope_a, &unknown, &one) != ERR_OK)
			_exit(1);
		setrlimit(RLIMIT_FSIZE, &limit);
		if (append(batch(2, CHANGE_BATCH_MAX), scope_a, &one, &two) == ERR_OK)
			_exit(2);
		change_log_health(logs, &h);
		if (h.up || !h.refuses || strstr(h.error, "/events.mdb: ") == NULL ||
		    h.remedy[0] == '\0' || events == 0 ||
		    strcmp(last_event, "events_write_failed") != 0 ||
		    strstr(last_text, "/events.mdb") == NULL)
			_exit(3);
		expect_told(scope_a, &one);
		if (count_batches() != 1)
			_exit(4);
		limit.rlim_cur = RLIM_INFINITY;
		setrlimit(RLIMIT_FSIZE, &limit);
		if (append(batch(2, CHANGE_BATCH_MAX), scope_a, &one, &two) != ERR_OK)
			_exit(5);
		change_log_health(logs, &h);
		if (!h.up || count_batches() != 2)
			_exit(6);
		change_log_close(logs);
		_exit(0);
	}
	waitpid(pid, &status, 0);
	assert_true(WIFEXITED(status));
	assert_int_equal(WEXITSTATUS(status), 0);
	assert_int_equal(open_log(), ERR_OK);
	assert_int_equal(count_batches(), 2);
}

/* The n-th call that fails, for each n; both kinds.  Whatever is answered, log and told
 * agree afterwards, and what was said to be done is there. */

static uint32_t steps_done;

static void fault_steps(void)
{
	struct change_told t = unknown, next;

	for (uint32_t i = 0; i < 12; i++) {
		struct change_batch *b;

		faults_pause();
		b = batch_at("list-a", 100000 * i, batch_n(i), NOW);
		faults_resume();
		next = told_at(i + 1, TOTAL);
		change_log_append(logs, b, scope_a, &t, &next, on_done, NULL);
		change_batch_unref(b);
		if (done_e != ERR_OK)
			return;
		steps_done++;
		t = next;
		faults_exempt(true);
		expect_told(scope_a, &t);
		faults_exempt(false);
		change_log_read(logs, &from_oldest, 1 << 20, on_page, NULL);
		change_log_told(logs, scope_a, on_told, NULL);
		change_log_trim(logs, 1);
	}
}

static void fail_every_call(enum fault kind)
{
	unsigned long calls, n = 1, step = getenv("TEST_ALL") != NULL ? 1 : 3;

	do {
		uint32_t count[CHAINS + 1];
		enum err e;

		change_log_close(logs);
		logs = NULL;
		kit_remove(dir);
		dir = kit_directory();
		snprintf(url, sizeof url, "%s%s",
		    is_lmdb() ? "lmdb:" : "memory:", is_lmdb() ? dir : "");
		steps_done = 0;
		faults_arm(kind, n, 1);
		e = open_log();
		if (e == ERR_OK)
			fault_steps();
		calls = faults_disarm();
		if (e != ERR_OK)
			assert_null(logs);
		if (is_lmdb())
			reopen();
		else if (logs == NULL)
			assert_int_equal(open_log(), ERR_OK);
		check_chains(count);
		assert_true(count[0] >= steps_done);
		assert_true(count[0] <= steps_done + 1);
		n += step;
	} while (calls >= n - step);
}

/* T23 */
static void without_memory_nothing_is_half_done(void **state)
{
	(void)state;
	fail_every_call(FAULT_MEMORY);
}

/* T23 */
static void on_a_disk_that_fails_nothing_is_half_done(void **state)
{
	(void)state;
	fail_every_call(FAULT_DISK_FULL);
	fail_every_call(FAULT_DISK_ERROR);
}

/* The real executor, for ThreadSanitizer. */
static int threaded_done;

static void on_threaded(void *arg, enum err e, const struct change_pos *end)
{
	assert_int_equal(e, ERR_OK);
	assert_int_equal(end->seq, ++threaded_done);
	if (threaded_done == 1000)
		event_base_loopbreak(arg);
}

static void reads_and_appends_go_together_with_the_disk_thread(void **state)
{
	struct event_base *base = event_base_new();
	struct inbox *inbox = inbox_new(base, NULL);
	struct executor *disk = executor_start(inbox, "disk", 0);

	(void)state;
	store.base = base;
	store.exec = executor_exec(disk);
	reopen();
	threaded_done = 0;
	for (uint32_t i = 0; i < 1000; i++) {
		struct change_batch *b = batch(i, 1 + i % 50);

		change_log_append(logs, b, NULL, NULL, NULL, on_threaded, base);
		change_batch_unref(b);
		if (i % 20 == 0)
			event_base_loop(base, EVLOOP_NONBLOCK);
		if (i % 100 == 0) {
			struct change_pos from = {NOW, (uint64_t)threaded_done, 0};

			change_log_trim(logs, 1);
			read_from(&from, 10000);
			assert_false(page.gap);
		}
	}
	if (threaded_done < 1000)
		event_base_dispatch(base);
	assert_int_equal(threaded_done, 1000);
	executor_stop(disk);
	store.exec.run = NULL;
	store.base = NULL;
	reopen();
	inbox_free(inbox); /* ends of jobs that outlive the log */
	event_base_free(base);
	assert_int_equal(count_batches(), 1000);
}

#define CASE(f, setup) cmocka_unit_test_setup_teardown(f, setup, teardown)
#define BOTH(setup)                                                                      \
	CASE(an_empty_log_has_a_place_to_read_from, setup),                              \
	    CASE(batches_come_back_in_the_order_of_appending, setup),                    \
	    CASE(a_batch_is_told_its_place_and_keeps_every_field, setup),                \
	    CASE(a_batch_goes_in_only_where_told_stands, setup),                         \
	    CASE(no_batch_or_an_empty_one_moves_told_only, setup),                       \
	    CASE(many_scopes_are_apart, setup),                                          \
	    CASE(who_has_part_of_a_batch_gets_that_batch_again, setup),                  \
	    CASE(a_page_ends_where_its_bytes_do_but_has_one_batch, setup),               \
	    CASE(a_place_of_another_epoch_or_behind_the_end_is_a_gap, setup),            \
	    CASE(notices_and_alarms_come_back_as_they_were, setup),                      \
	    CASE(trimming_drops_what_is_old_and_only_that, setup),                       \
	    CASE(a_new_epoch_is_later_drops_batches_and_keeps_told, setup),              \
	    CASE(a_full_log_drops_the_oldest_and_says_so_once, setup),                   \
	    CASE(what_can_never_fit_is_refused_and_drops_nothing, setup),                \
	    CASE(the_smallest_log_takes_the_largest_batch, setup),                       \
	    CASE(a_callback_may_use_the_log, setup),                                     \
	    CASE(a_callback_may_close_the_log, setup),                                   \
	    CASE(without_memory_nothing_is_half_done, setup)

int main(void)
{
	const struct CMUnitTest in_memory[] = {
	    BOTH(memory),
	};
	const struct CMUnitTest in_lmdb[] = {
	    BOTH(lmdb),
	    CASE(a_restart_keeps_batches_told_and_epoch, lmdb),
	    CASE(nothing_is_read_or_told_of_before_it_is_durable, lmdb),
	    CASE(what_waits_goes_together_and_in_order, lmdb),
	    CASE(its_bytes_are_those_of_all_that_is_in_it, lmdb),
	    CASE(a_long_trim_lets_others_pass, lmdb),
	    CASE(closing_writes_what_waits_and_calls_nobody, lmdb),
	    CASE(a_stopped_executor_is_given_nothing_more, lmdb),
	    CASE(a_log_that_was_larger_before_goes_on, lmdb),
	    CASE(a_full_log_still_moves_told, lmdb),
	    CASE(told_pointers_are_never_dropped, lmdb),
	    CASE(a_file_of_another_version_is_refused_and_left_alone, lmdb),
	    CASE(what_is_no_log_at_all_is_refused_with_the_reason, lmdb),
	    CASE(the_file_is_its_owners_alone_and_directories_are_made, lmdb),
	    CASE(a_damaged_batch_is_a_gap_and_told_once, lmdb),
	    CASE(a_record_of_another_kind_is_a_gap_and_no_damage, lmdb),
	    CASE(a_file_of_the_version_before_is_gone_on_with, lmdb),
	    CASE(a_damaged_told_pointer_is_an_error_and_no_baseline, lmdb),
	    CASE(a_file_that_was_cut_short_ends_nothing, lmdb),
	    CASE(no_kill_parts_the_log_from_told, lmdb),
	    CASE(a_full_disk_is_told_and_the_log_goes_on_when_there_is_room, lmdb),
	    CASE(on_a_disk_that_fails_nothing_is_half_done, lmdb),
	    CASE(reads_and_appends_go_together_with_the_disk_thread, lmdb),
	};
	int failed;

	evthread_use_pthreads();
	failed = cmocka_run_group_tests_name("change_log, memory", in_memory, NULL, NULL);
	failed += cmocka_run_group_tests_name("change_log, lmdb", in_lmdb, NULL, NULL);
	libevent_global_shutdown();
	return failed;
}
