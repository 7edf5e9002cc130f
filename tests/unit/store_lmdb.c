#include "tests/lib/faults.h" /* first: it has a malloc of its own */

#include <errno.h>
#include <event2/event.h>
#include <event2/thread.h>
#include <fcntl.h>
#include <lmdb.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "cache/store/store.h"
#include "proxy/base/executor.h"
#include "proxy/base/inbox.h"
#include "tests/lib/child.h"
#include "tests/lib/lmdb_pages.h"
#include "tests/lib/store_kit.h"

#define THIS INT64_C(1700000000)
#define NEXT INT64_C(1700600000)
#define MAX  65536

static char *dir;
static char url[4400];
static struct store *store;
static struct store_config config;
static int events, settles;
static char last_event[64], last_text[512];

static void on_event(void *arg, bool warn, const char *event, const char *text)
{
	(void)arg;
	assert_true(warn); /* each of them is one that a person should read */
	events++;
	snprintf(last_event, sizeof last_event, "%s", event);
	snprintf(last_text, sizeof last_text, "%s", text);
}

static void on_settled(void *arg)
{
	(void)arg;
	settles++;
}

/* An executor whose jobs run when the test says so, work and done apart. */
static struct {
	void (*work)(void *), (*done)(void *);
	void *arg;
} job;
static int jobs, queued;

static void hold(void *ctx, void (*work)(void *), void (*done)(void *), void *arg)
{
	(void)ctx;
	assert_int_equal(queued, 0); /* one batch at a time */
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

static enum err open_store(void)
{
	char why[512] = "";
	enum err e = store_open(&store, &config, why, sizeof why);

	if (e != ERR_OK)
		snprintf(last_text, sizeof last_text, "%s", why);
	return e;
}

static int setup(void **state)
{
	(void)state;
	dir = kit_directory();
	snprintf(url, sizeof url, "lmdb:%s", dir);
	memset(&config, 0, sizeof config);
	config.url = url;
	config.prefix = "";
	config.size = 16 << 20;
	config.max_value = MAX;
	config.hooks.event = on_event;
	config.hooks.settled = on_settled;
	events = settles = jobs = queued = 0;
	return open_store();
}

static int teardown(void **state)
{
	(void)state;
	store_close(store);
	store = NULL;
	kit_remove(dir);
	return 0;
}

static void reopen(void)
{
	store_close(store);
	store = NULL;
	assert_int_equal(open_store(), ERR_OK);
}

/* What a get gave: the DER inside, as a string. */
static struct {
	enum err e;
	char der[MAX];
	size_t n;
	int calls;
} got;

static void on_got(void *arg, enum err e, struct bytes value)
{
	const struct key *k = arg;
	struct record r;

	assert_true(e == ERR_OK || value.n == 0);
	got.calls++;
	got.e = e;
	got.n = 0;
	if (e != ERR_OK)
		return;
	assert_int_equal(record_decode(&r, value, k, NULL), ERR_OK);
	memcpy(got.der, r.der.p, r.der.n);
	got.n = r.der.n;
}

static void expect(struct key k, const char *der)
{
	int calls = got.calls;

	store_get(store, &k, on_got, &k);
	assert_int_equal(got.calls, calls + 1);
	assert_int_equal(got.e, der != NULL ? ERR_OK : ERR_NOT_FOUND);
	if (der != NULL) {
		assert_int_equal(got.n, 2 + strlen(der));
		assert_memory_equal(got.der + 2, der, strlen(der));
	}
}

static int done_calls;
static enum err done_e;

static void on_done(void *arg, enum err e)
{
	(void)arg;
	done_calls++;
	done_e = e;
}

/* A DER SEQUENCE of this text (under 128 bytes). */
static void put_at(
    struct key k, int64_t this_update, int64_t next, const char *text, bool force)
{
	uint8_t der[130] = {0x30, (uint8_t)strlen(text)};
	struct facts f = kit_facts(this_update, next);

	memcpy(der + 2, text, strlen(text));
	store_put(store, &k, &f, bytes_of(der, 2 + strlen(text)), force, on_done, NULL);
}

static void put(struct key k, int64_t this_update, const char *text, bool force)
{
	put_at(k, this_update, NEXT, text, force);
}

static void hold_writes(void)
{
	config.exec.run = hold;
	reopen();
}

static struct key one(uint32_t n)
{
	return kit_key(1, CERTID_SHA1, n);
}

/* The index and the answers of a closed store fit each other; returns how many. */
static size_t check_file(void)
{
	char path[4200];
	MDB_env *env;
	MDB_txn *txn;
	MDB_dbi answers, expiry;
	MDB_cursor *c;
	MDB_val k, v;
	MDB_stat st;
	size_t n = 0;

	store_close(store);
	store = NULL;
	snprintf(path, sizeof path, "%s/answers.mdb", dir);
	assert_int_equal(mdb_env_create(&env), 0);
	mdb_env_set_maxdbs(env, 3);
	assert_int_equal(mdb_env_open(env, path, MDB_NOSUBDIR | MDB_RDONLY, 0600), 0);
	assert_int_equal(mdb_txn_begin(env, NULL, MDB_RDONLY, &txn), 0);
	assert_int_equal(mdb_dbi_open(txn, "answers", 0, &answers), 0);
	assert_int_equal(mdb_dbi_open(txn, "expiry", 0, &expiry), 0);
	mdb_stat(txn, expiry, &st);
	assert_int_equal(mdb_cursor_open(txn, answers, &c), 0);
	while (mdb_cursor_get(c, &k, &v, MDB_NEXT) == 0) {
		uint8_t index[8 + 200];
		MDB_val ik = {8 + k.mv_size, index}, iv;

		memcpy(index, v.mv_data, 8);
		memcpy(index + 8, k.mv_data, k.mv_size);
		assert_int_equal(mdb_get(txn, expiry, &ik, &iv), 0);
		n++;
	}
	assert_int_equal(n, st.ms_entries);
	mdb_cursor_close(c);
	mdb_txn_abort(txn);
	mdb_env_close(env);
	return n;
}

static void an_answer_is_found_again_also_after_a_restart(void **state)
{
	struct store_health h;

	(void)state;
	expect(one(1), NULL);
	put(one(1), THIS, "first", false);
	assert_int_equal(done_e, ERR_OK);
	expect(one(1), "first");
	reopen();
	expect(one(1), "first");
	store_health(store, &h);
	assert_string_equal(h.kind, "lmdb");
	assert_true(h.up);
	assert_false(h.shared);
	assert_int_equal(h.entries, 1);
	assert_int_equal(settles, 2);      /* each time before store_open() returned */
	assert_int_equal(check_file(), 1); /* it closes the store */
	assert_int_equal(lmdb_pages(dir, "answers.mdb"), h.bytes);
}

/* P21, R15, R16, T3: every part of a CertID tells answers apart. */
static void keys_that_differ_in_one_part_are_apart(void **state)
{
	(void)state;
	put(kit_key(1, CERTID_SHA1, 5), THIS, "a", false);
	put(kit_key(2, CERTID_SHA1, 5), THIS, "b", false);
	put(kit_key(1, CERTID_SHA256, 5), THIS, "c", false);
	put(kit_key(1, CERTID_SHA512, 6), THIS, "d", false);
	expect(kit_key(1, CERTID_SHA1, 5), "a");
	expect(kit_key(2, CERTID_SHA1, 5), "b");
	expect(kit_key(1, CERTID_SHA256, 5), "c");
	expect(kit_key(1, CERTID_SHA512, 6), "d");
	expect(kit_key(1, CERTID_SHA512, 5), NULL);
}

/* R68: a replay never replaces what is newer; force does. */
static void an_older_answer_replaces_a_newer_one_only_by_force(void **state)
{
	(void)state;
	put(one(1), THIS, "new", false);
	put(one(1), THIS - 1, "old", false);
	assert_int_equal(done_e, ERR_OK);
	expect(one(1), "new");
	put(one(1), THIS, "same", false);
	expect(one(1), "same");
	put(one(1), THIS - 1, "forced", true);
	expect(one(1), "forced");
	assert_int_equal(check_file(), 1);
}

static void of_equal_this_updates_the_newer_produced_at_stays(void **state)
{
	struct facts f = kit_facts(THIS, NEXT);
	struct key k = one(1);

	(void)state;
	f.produced_at = THIS + 500;
	store_put(store, &k, &f, bytes_of("\x30\x01x", 3), false, NULL, NULL);
	f.produced_at = THIS + 499;
	store_put(store, &k, &f, bytes_of("\x30\x01y", 3), false, NULL, NULL);
	expect(one(1), "x");
}

/* An answer whose nextUpdate moved leaves no second entry in the index. */
static void the_index_follows_every_rewrite_and_delete(void **state)
{
	struct key k = one(3);

	(void)state;
	for (int i = 0; i < 20; i++)
		put_at(one(1), THIS + i, NEXT + 100 * i, "x", false);
	put_at(one(2), THIS, NEXT - 7, "y", true);
	put_at(one(2), THIS, NEXT + 7, "y", true);
	put(one(3), THIS, "z", false);
	store_delete(store, &k, on_done, NULL);
	expect(one(3), NULL);
	assert_int_equal(check_file(), 2);
}

static void a_put_is_read_before_it_is_written(void **state)
{
	struct key k = one(1);

	(void)state;
	hold_writes();
	put(one(1), THIS, "flying", false);
	assert_int_equal(queued, 1);
	done_calls = 0;
	expect(one(1), "flying");
	put(one(1), THIS + 1, "gathering", false);
	expect(one(1), "gathering");
	put(one(1), THIS - 1, "late", false);
	expect(one(1), "gathering");
	store_delete(store, &k, on_done, NULL);
	expect(one(1), NULL);
	put(one(1), THIS - 9, "older after a delete", false);
	expect(one(1), "older after a delete");
	assert_int_equal(done_calls, 0);
	let_go(); /* the first; the next follows by itself */
	assert_int_equal(done_calls, 1);
	expect(one(1), "older after a delete");
	let_go();
	assert_int_equal(done_calls, 5);
	expect(one(1), "older after a delete");
	assert_int_equal(check_file(), 1);
}

/* A put that loses against the batch before it is not shown for a moment either. */
static void what_will_lose_is_never_read(void **state)
{
	(void)state;
	hold_writes();
	put(one(1), THIS + 5, "newer", false);
	put(one(1), THIS, "older", false);
	expect(one(1), "newer");
	job.work(job.arg); /* committed, not yet told */
	expect(one(1), "newer");
	queued = 0;
	job.done(job.arg);
	expect(one(1), "newer");
	let_go();
	expect(one(1), "newer");
}

static void writes_that_come_while_one_is_under_way_go_together(void **state)
{
	(void)state;
	hold_writes();
	for (uint32_t n = 0; n < 2500; n++)
		put(one(n), THIS, "x", false);
	assert_int_equal(jobs, 1);
	done_calls = 0;
	let_go();
	assert_int_equal(jobs, 2);
	let_go();
	assert_int_equal(jobs, 2);
	assert_int_equal(done_calls, 2500);
	assert_int_equal(check_file(), 2500);
}

static void a_purge_takes_all_of_an_issuer_and_nothing_else(void **state)
{
	struct issuer_ca ca[2];
	struct issuer i = {.ca = ca, .ca_n = 2};

	(void)state;
	kit_ca(&ca[0], 1);
	kit_ca(&ca[1], 3);
	for (uint32_t n = 0; n < 1500; n++)
		put(kit_key(1, CERTID_SHA1, n), THIS, "x", false);
	put(kit_key(1, CERTID_SHA512, 1), THIS, "x", false);
	put(kit_key(3, CERTID_SHA384, 1), THIS, "x", false);
	put(kit_key(2, CERTID_SHA1, 1), THIS, "other", false);
	store_purge(store, &i, on_done, NULL);
	assert_int_equal(done_e, ERR_OK);
	expect(kit_key(1, CERTID_SHA1, 0), NULL);
	expect(kit_key(1, CERTID_SHA1, 1499), NULL);
	expect(kit_key(1, CERTID_SHA512, 1), NULL);
	expect(kit_key(3, CERTID_SHA384, 1), NULL);
	expect(kit_key(2, CERTID_SHA1, 1), "other");
	assert_int_equal(check_file(), 1);
}

static void a_purge_also_takes_what_is_not_yet_written(void **state)
{
	struct issuer_ca ca;
	struct issuer i = {.ca = &ca, .ca_n = 1};

	(void)state;
	kit_ca(&ca, 1);
	hold_writes();
	put(one(1), THIS, "flying", false);
	put(one(2), THIS, "gathering", false);
	put(kit_key(2, CERTID_SHA1, 1), THIS, "other", false);
	store_purge(store, &i, on_done, NULL);
	expect(one(1), NULL);
	expect(one(2), NULL);
	put(one(2), THIS - 1, "after", false);
	expect(one(2), "after");
	let_go();
	expect(one(1), NULL);
	let_go();
	expect(one(1), NULL);
	expect(one(2), "after");
	expect(kit_key(2, CERTID_SHA1, 1), "other");
	assert_int_equal(check_file(), 2);
}

static void sweeping_deletes_what_expired_and_only_that(void **state)
{
	(void)state;
	for (uint32_t n = 0; n < 300; n++)
		put_at(one(n), THIS, NEXT + n, "x", false);
	store_sweep(store, NEXT + 200); /* nextUpdate itself is the first dead second */
	expect(one(199), NULL);
	expect(one(200), "x");
	assert_int_equal(check_file(), 100);
}

static void a_long_sweep_comes_in_several_batches(void **state)
{
	(void)state;
	hold_writes();
	for (uint32_t n = 0; n < 12000; n++)
		put(one(n), THIS, "x", false);
	let_go();
	let_go();
	jobs = 0;
	store_sweep(store, NEXT + 1);
	let_go();
	assert_int_equal(queued, 1); /* the rest, with whatever gathered meanwhile */
	let_go();
	assert_int_equal(queued, 0);
	assert_int_equal(jobs, 2);
	assert_int_equal(check_file(), 0);
}

/* When full, the answers that expire first go. */
static void a_full_store_drops_what_expires_first_and_keeps_the_rest(void **state)
{
	static uint8_t der[3000] = {0x30, 0x82, 0x0b, 0xb4};
	struct store_health h;
	uint32_t n, first = 0;

	(void)state;
	store_close(store);
	config.size = 1 << 20;
	assert_int_equal(open_store(), ERR_OK);
	for (n = 0; n < 2000; n++) {
		struct facts f = kit_facts(THIS, NEXT + n);
		struct key k = one(n);

		store_put(store, &k, &f, bytes_of(der, sizeof der), false, on_done, NULL);
		assert_int_equal(done_e, ERR_OK);
	}
	assert_string_equal(last_event, "store_full");
	store_health(store, &h);
	assert_true(h.up);
	assert_true(h.entries > 50);
	assert_true(h.bytes <= config.size);
	/* What is left is the newest, without a hole. */
	for (n = 0; n < 2000; n++) {
		struct key k = one(n);

		store_get(store, &k, on_got, &k);
		if (got.e == ERR_OK)
			break;
	}
	first = n;
	assert_int_equal(2000 - first, h.entries);
	for (; n < 2000; n++) {
		struct key k = one(n);

		store_get(store, &k, on_got, &k);
		assert_int_equal(got.e, ERR_OK);
	}
	assert_int_equal(check_file(), 2000 - first);
}

static void a_full_store_takes_a_large_batch_too(void **state)
{
	static uint8_t der[1000] = {0x30, 0x82, 0x03, 0xe4};

	(void)state;
	store_close(store);
	config.size = 1 << 20;
	config.exec.run = hold;
	assert_int_equal(open_store(), ERR_OK);
	done_calls = 0;
	for (uint32_t n = 0; n < 3000; n++) {
		struct facts f = kit_facts(THIS, NEXT + n);
		struct key k = kit_key(1, (enum certid_hash)(n % 4), n * 2654435761u);

		store_put(store, &k, &f, bytes_of(der, sizeof der), false, on_done, NULL);
	}
	let_go();
	let_go();
	assert_int_equal(done_calls, 3000);
	assert_int_equal(done_e, ERR_OK);
	assert_true(check_file() > 50);
}

static void a_value_over_the_limit_is_neither_written_nor_read(void **state)
{
	static uint8_t der[MAX + 1] = {0x30};
	struct facts f = kit_facts(THIS, NEXT);
	struct key k = one(1);

	(void)state;
	store_put(store, &k, &f, bytes_of(der, sizeof der), false, on_done, NULL);
	assert_int_equal(done_e, ERR_STORE);
	expect(one(1), NULL);
	put(one(1), THIS, "a value of more than thirty-two octets", false);
	store_close(store);
	config.max_value = 32;
	assert_int_equal(open_store(), ERR_OK);
	expect(one(1), NULL);
}

static void on_got_again(void *arg, enum err e, struct bytes value)
{
	struct key k = one(2);

	(void)arg, (void)e;
	assert_true(value.n > 0);
	put(one(3), THIS, "from inside", false);
	expect(k, "two");
	expect(one(3), "from inside");
}

static void a_callback_may_use_the_store(void **state)
{
	struct key k = one(1);

	(void)state;
	put(one(1), THIS, "one", false);
	put(one(2), THIS, "two", false);
	store_get(store, &k, on_got_again, NULL);
}

static void closing_writes_what_is_pending_and_calls_nobody(void **state)
{
	(void)state;
	hold_writes();
	put(one(1), THIS, "flying", false);
	put(one(2), THIS, "gathering", false);
	done_calls = 0;
	job.work(job.arg); /* the executor ran it and stopped */
	config.exec.run = NULL;
	reopen();
	job.done(job.arg); /* the inbox is emptied later */
	assert_int_equal(done_calls, 0);
	expect(one(1), "flying");
	expect(one(2), "gathering");
}

/* The keeper stops the disk, empties its inbox, and closes the store last. */
static void a_stopped_executor_is_given_nothing_more(void **state)
{
	struct event_base *base = event_base_new();

	(void)state;
	config.base = base;
	hold_writes();
	put(one(1), THIS, "flying", false);
	put(one(2), THIS, "gathering", false);
	let_go();
	assert_int_equal(queued, 0);
	event_base_loop(base, EVLOOP_NONBLOCK); /* alive, the next turn brings the next */
	assert_int_equal(queued, 1);
	put(one(3), THIS, "last", false);
	let_go();
	assert_int_equal(queued, 0);
	config.exec.run = NULL;
	store_close(store);
	event_base_free(base);
	config.base = NULL;
	assert_int_equal(open_store(), ERR_OK);
	expect(one(2), "gathering");
	expect(one(3), "last");
}

static void on_lease(void *arg, enum lease l, int64_t ms)
{
	(void)ms;
	*(enum lease *)arg = l;
}

static void nobody_else_is_asked_for_a_lease(void **state)
{
	enum lease l = LEASE_TAKEN;
	struct key k = one(1);

	(void)state;
	store_lease(store, &k, NULL, 1000, on_lease, &l);
	assert_int_equal(l, LEASE_ALONE);
	store_release(store, &k, 1000);
}

static void missing_directories_are_made_for_their_owner_alone(void **state)
{
	struct stat st;
	char path[4300];

	(void)state;
	store_close(store);
	snprintf(url, sizeof url, "lmdb:%s/a/b", dir);
	assert_int_equal(open_store(), ERR_OK);
	snprintf(path, sizeof path, "%s/a", dir);
	assert_int_equal(stat(path, &st), 0);
	assert_int_equal(st.st_mode & 0777, 0700);
	snprintf(path, sizeof path, "%s/a/b/answers.mdb", dir);
	assert_int_equal(stat(path, &st), 0);
	assert_int_equal(st.st_mode & 077, 0);
}

static void expect_refusal(const char *text)
{
	store = NULL;
	assert_int_equal(open_store(), ERR_STORE);
	assert_null(store);
	if (strstr(last_text, text) == NULL)
		fail_msg("\"%s\" does not say \"%s\"", last_text, text);
}

/* A length without its bytes ended the daemon when a flight looked at them. */
static void without_memory_a_get_brings_nothing(void **state)
{
	struct key k = one(1);
	unsigned long calls, n = 0;

	(void)state;
	put(k, THIS, "answer", false);
	do {
		faults_arm(FAULT_MEMORY, ++n, 1);
		store_get(store, &k, on_got, &k);
		calls = faults_disarm();
		assert_true(got.e == ERR_STORE || calls < n);
	} while (calls >= n);
	assert_true(n > 1);
	expect(k, "answer");
}

static void what_cannot_work_is_refused_with_the_reason(void **state)
{
	char path[4300];
	FILE *f;

	(void)state;
	store_close(store);
	snprintf(path, sizeof path, "%s/answers.mdb", dir);
	f = fopen(path, "w");
	fclose(f);
	snprintf(url, sizeof url, "lmdb:%s", path);
	expect_refusal("answers.mdb");
	snprintf(url, sizeof url, "lmdb:");
	expect_refusal("directory");
	snprintf(url, sizeof url, "lmbd:/x");
	expect_refusal("unknown kind");
}

static void scribble_format(const char *format)
{
	char path[4300];
	MDB_env *env;
	MDB_txn *txn;
	MDB_dbi dbi;
	MDB_val k = {6, (void *)(uintptr_t) "format"};
	MDB_val v = {strlen(format), (void *)(uintptr_t)format};

	snprintf(path, sizeof path, "%s/answers.mdb", dir);
	assert_int_equal(mdb_env_create(&env), 0);
	mdb_env_set_maxdbs(env, 3);
	assert_int_equal(mdb_env_open(env, path, MDB_NOSUBDIR, 0600), 0);
	assert_int_equal(mdb_txn_begin(env, NULL, 0, &txn), 0);
	assert_int_equal(mdb_dbi_open(txn, "meta", MDB_CREATE, &dbi), 0);
	assert_int_equal(mdb_put(txn, dbi, &k, &v, 0), 0);
	assert_int_equal(mdb_txn_commit(txn), 0);
	mdb_env_close(env);
}

static void a_file_of_another_version_is_refused_and_left_alone(void **state)
{
	(void)state;
	put(one(1), THIS, "x", false);
	store_close(store);
	scribble_format("ocspcached answers 2");
	expect_refusal("another version");
	scribble_format("ocspcached answers 1");
	assert_int_equal(open_store(), ERR_OK);
	expect(one(1), "x");
}

/* stapled: a corrupt disk entry ended the daemon. */
/* A cache: begun anew, and told; what was there is kept for who wants to know. */
static void expect_put_aside(const char *cause)
{
	char path[4300];

	store = NULL;
	last_event[0] = '\0';
	assert_int_equal(open_store(), ERR_OK);
	assert_string_equal(last_event, "store_put_aside");
	if (strstr(last_text, cause) == NULL)
		fail_msg("\"%s\" does not say \"%s\"", last_text, cause);
	snprintf(path, sizeof path, "%s/answers.mdb.damaged", dir);
	assert_non_null(strstr(last_text, path));
	assert_int_equal(access(path, F_OK), 0);
	expect(one(1), NULL);
	put(one(1), THIS, "anew", false);
	expect(one(1), "anew");
}

static void a_damaged_file_is_put_aside_and_begun_anew(void **state)
{
	char path[4300];
	FILE *f;

	(void)state;
	snprintf(path, sizeof path, "%s/answers.mdb", dir);
	put(one(1), THIS, "x", false);
	store_close(store);
	f = fopen(path, "w");
	for (int i = 0; i < 20000; i++)
		fputs("not a database ", f);
	fclose(f);
	expect_put_aside("no LMDB file");
	store_close(store);
	assert_int_equal(truncate(path, 0), 0);
	expect_put_aside("empty");
	store_close(store);
	assert_int_equal(unlink(path), 0);
	assert_int_equal(mkfifo(path, 0600), 0);
	expect_refusal("is a FIFO and no file");
}

static void a_truncated_file_ends_nothing(void **state)
{
	char path[4300];

	(void)state;
	for (uint32_t n = 0; n < 500; n++)
		put(one(n), THIS, "x", false);
	store_close(store);
	snprintf(path, sizeof path, "%s/answers.mdb", dir);
	assert_int_equal(truncate(path, 5 * 4096), 0);
	expect_put_aside("cut short");
}

/* Write without end, tell each committed number through the pipe. */
static void write_until_killed(int fd)
{
	if (open_store() != ERR_OK)
		_exit(1);
	for (uint32_t n = 0;; n++) {
		put_at(one(n), THIS, NEXT + n % 97, "x", false);
		if (done_e != ERR_OK)
			_exit(2);
		put_at(one(n / 2), THIS + n, NEXT + n % 31, "again", false);
		if (write(fd, &n, sizeof n) != sizeof n)
			_exit(3);
	}
}

static void nothing_committed_is_lost_by_a_kill(void **state)
{
	(void)state;
	store_close(store);
	store = NULL;
	for (uint32_t round = 0; round < 5; round++) {
		uint32_t told = 0, n;
		int fds[2], status;
		pid_t pid;

		assert_int_equal(pipe(fds), 0);
		pid = child_fork();
		if (pid == 0)
			write_until_killed(fds[1]);
		close(fds[1]);
		while (told < 40 + 37 * round && read(fds[0], &n, sizeof n) == sizeof n)
			told++;
		kill(pid, SIGKILL);
		while (read(fds[0], &n, sizeof n) == sizeof n)
			told++;
		close(fds[0]);
		waitpid(pid, &status, 0);
		assert_true(WIFSIGNALED(status));
		assert_int_equal(open_store(), ERR_OK);
		for (n = 0; n < told; n++) {
			struct key k = one(n);

			store_get(store, &k, on_got, &k);
			assert_int_equal(got.e, ERR_OK);
		}
		assert_true(check_file() >= told);
	}
	assert_int_equal(open_store(), ERR_OK);
}

/* A disk that fails: the directory's file system says no through RLIMIT_FSIZE. */
static void a_write_that_fails_is_told_and_the_store_goes_on(void **state)
{
	pid_t pid;
	int status;

	(void)state;
	store_close(store);
	store = NULL;
	pid = child_fork();
	if (pid == 0) {
		struct store_health h;
		struct rlimit limit = {20 * 4096, 20 * 4096};

		signal(SIGXFSZ, SIG_IGN);
		if (open_store() != ERR_OK)
			_exit(1);
		put(one(1), THIS, "kept", false);
		setrlimit(RLIMIT_FSIZE, &limit);
		for (uint32_t n = 2; n < 2000; n++)
			put(one(n), THIS, "x", false);
		store_health(store, &h);
		if (done_e != ERR_STORE || h.up || !h.refuses || events == 0 ||
		    strstr(h.error, "/answers.mdb: File too") == NULL ||
		    strstr(h.remedy, "LimitFSIZE") == NULL)
			_exit(2);
		if (strstr(last_text, strerror(EFBIG)) == NULL ||
		    strstr(last_text, "/answers.mdb") == NULL)
			_exit(4);
		expect(one(1), "kept");
		store_close(store);
		_exit(got.e == ERR_OK ? 0 : 3);
	}
	waitpid(pid, &status, 0);
	assert_true(WIFEXITED(status));
	assert_int_equal(WEXITSTATUS(status), 0);
	assert_int_equal(open_store(), ERR_OK);
	expect(one(1), "kept");
}

/* The real executor, for ThreadSanitizer. */
static int threaded_done;

static void on_threaded(void *arg, enum err e)
{
	assert_int_equal(e, ERR_OK);
	if (++threaded_done == 3000)
		event_base_loopbreak(arg);
}

static void reads_and_writes_go_together_with_the_disk_thread(void **state)
{
	struct event_base *base = event_base_new();
	struct inbox *inbox = inbox_new(base, NULL);
	struct executor *disk = executor_start(inbox, "disk", 0);

	(void)state;
	store_close(store);
	config.exec = executor_exec(disk);
	config.base = base;
	assert_int_equal(open_store(), ERR_OK);
	threaded_done = 0;
	for (uint32_t n = 0; n < 3000; n++) {
		struct facts f = kit_facts(THIS, NEXT + n % 100);
		struct key k = one(n % 1000);

		store_put(
		    store, &k, &f, bytes_of("\x30\x01x", 3), false, on_threaded, base);
		expect(one(n % 1000), "x");
		if (n % 50 == 0)
			event_base_loop(base, EVLOOP_NONBLOCK);
		if (n % 500 == 0)
			store_sweep(store, THIS);
	}
	if (threaded_done < 3000)
		event_base_dispatch(base);
	assert_int_equal(threaded_done, 3000);
	put(one(7), THIS + 1, "last", false);
	executor_stop(disk);
	executor_free(disk);
	config.exec.run = NULL;
	config.base = NULL;
	reopen();
	inbox_free(inbox); /* ends of jobs that outlive the store */
	event_base_free(base);
	expect(one(7), "last");
	assert_int_equal(check_file(), 1000);
	assert_int_equal(open_store(), ERR_OK);
}

#define CASE(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
	    CASE(an_answer_is_found_again_also_after_a_restart),
	    CASE(keys_that_differ_in_one_part_are_apart),
	    CASE(an_older_answer_replaces_a_newer_one_only_by_force),
	    CASE(of_equal_this_updates_the_newer_produced_at_stays),
	    CASE(the_index_follows_every_rewrite_and_delete),
	    CASE(a_put_is_read_before_it_is_written),
	    CASE(what_will_lose_is_never_read),
	    CASE(writes_that_come_while_one_is_under_way_go_together),
	    CASE(a_purge_takes_all_of_an_issuer_and_nothing_else),
	    CASE(a_purge_also_takes_what_is_not_yet_written),
	    CASE(sweeping_deletes_what_expired_and_only_that),
	    CASE(a_long_sweep_comes_in_several_batches),
	    CASE(a_full_store_drops_what_expires_first_and_keeps_the_rest),
	    CASE(a_full_store_takes_a_large_batch_too),
	    CASE(a_value_over_the_limit_is_neither_written_nor_read),
	    CASE(a_callback_may_use_the_store),
	    CASE(closing_writes_what_is_pending_and_calls_nobody),
	    CASE(a_stopped_executor_is_given_nothing_more),
	    CASE(nobody_else_is_asked_for_a_lease),
	    CASE(missing_directories_are_made_for_their_owner_alone),
	    CASE(without_memory_a_get_brings_nothing),
	    CASE(what_cannot_work_is_refused_with_the_reason),
	    CASE(a_file_of_another_version_is_refused_and_left_alone),
	    CASE(a_truncated_file_ends_nothing),
	    CASE(a_damaged_file_is_put_aside_and_begun_anew),
	    CASE(nothing_committed_is_lost_by_a_kill),
	    CASE(a_write_that_fails_is_told_and_the_store_goes_on),
	    CASE(reads_and_writes_go_together_with_the_disk_thread),
	};
	int failed;

	evthread_use_pthreads();
	failed = cmocka_run_group_tests_name("store_lmdb", tests, NULL, NULL);
	libevent_global_shutdown();
	return failed;
}
