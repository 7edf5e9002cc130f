/* An owner that writes numbers, and an executor that keeps its jobs until it is told. */
#include "cache/store/lmdb_writer.h"

#include <event2/event.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "tests/lib/store_kit.h"

struct batch {
	struct lmdb_job job; /* first */
	struct owner *owner;
	int n; /* numbers in it */
};

struct owner {
	struct lmdb_writer writer;
	MDB_dbi numbers;
	int waiting;
	int written, jobs, damaged; /* what has happened */
	bool no_memory, aside, close_in_back;
	const char *event;
};

/* The executor. */
static struct {
	void (*work)(void *arg), (*done)(void *arg);
	void *arg;
} held;

static void hold(void *ctx, void (*work)(void *arg), void (*done)(void *arg), void *arg)
{
	(void)ctx;
	assert_null(held.work);
	held.work = work;
	held.done = done;
	held.arg = arg;
}

static void let_go(void)
{
	void (*work)(void *arg) = held.work;

	assert_non_null(work);
	held.work = NULL;
	work(held.arg);
	held.done(held.arg);
}

static int databases(void *owner, MDB_txn *txn, MDB_dbi meta)
{
	struct owner *o = owner;

	(void)meta;
	return mdb_dbi_open(txn, "numbers", MDB_CREATE, &o->numbers);
}

static int opened(void *owner)
{
	(void)owner;
	return 0;
}

static bool damaged(void *owner, const char *cause, char *why, size_t why_n)
{
	struct owner *o = owner;

	o->damaged++;
	snprintf(why, why_n, "damaged: %s", cause);
	return o->aside && unlink(o->writer.path) == 0;
}

static struct lmdb_job *take(void *owner, bool *again)
{
	struct owner *o = owner;
	struct batch *b = o->waiting > 0 && !o->no_memory ? calloc(1, sizeof *b) : NULL;

	*again = o->no_memory;
	o->no_memory = false;
	if (b == NULL)
		return NULL;
	b->owner = o;
	b->n = o->waiting;
	o->waiting = 0;
	return &b->job;
}

static void work(struct lmdb_job *j)
{
	struct batch *b = (struct batch *)j;
	int one = 1;
	MDB_val k = {sizeof b->n, &b->n}, v = {sizeof one, &one};
	MDB_txn *txn;

	assert_int_equal(mdb_txn_begin(b->owner->writer.env, NULL, 0, &txn), 0);
	assert_int_equal(mdb_put(txn, b->owner->numbers, &k, &v, 0), 0);
	assert_int_equal(mdb_txn_commit(txn), 0);
}

static int dropped;

static void drop(struct lmdb_job *j)
{
	dropped++;
	free(j);
}

static bool back(void *owner, struct lmdb_job *j)
{
	struct owner *o = owner;
	struct batch *b = (struct batch *)j;
	bool alive;

	assert_true(lmdb_writer_is_busy(&o->writer));
	o->written += b->n;
	o->jobs++;
	if (o->close_in_back)
		lmdb_writer_close(&o->writer);
	alive = j->writer != NULL;
	free(b);
	return alive;
}

static const struct lmdb_writer_ops ops = {
    databases, opened, damaged, take, work, back, drop};

static void on_event(void *arg, bool warn, const char *event, const char *text)
{
	struct owner *o = arg;

	assert_true(warn);
	o->event = event;
	assert_non_null(strstr(text, "store=lmdb"));
}

static char *dir;
static char why[1024];
static struct event_base *base;

static int setup(void **state)
{
	(void)state;
	memset(&held, 0, sizeof held);
	dropped = 0;
	dir = kit_directory();
	base = event_base_new();
	return base != NULL ? 0 : -1;
}

static int teardown(void **state)
{
	(void)state;
	event_base_free(base);
	kit_remove(dir);
	return 0;
}

static enum err open_as(struct owner *o, const char *format, bool async)
{
	struct lmdb_writer_config c = {.dir = dir,
	    .name = "numbers.mdb",
	    .format = format,
	    .remedy = "count again",
	    .size = 1 << 20,
	    .base = async ? base : NULL,
	    .exec = {.run = async ? hold : NULL},
	    .event = on_event,
	    .event_arg = o};

	return lmdb_writer_open(&o->writer, &c, &ops, o, why, sizeof why);
}

static void add(struct owner *o)
{
	o->waiting++;
	lmdb_writer_launch(&o->writer);
}

static void what_gathers_while_a_job_is_under_way_goes_together(void **state)
{
	struct owner o = {0};

	(void)state;
	assert_int_equal(open_as(&o, "numbers 1", true), ERR_OK);
	lmdb_writer_launch(&o.writer); /* nothing */
	assert_false(lmdb_writer_is_busy(&o.writer));
	for (int i = 0; i < 5; i++)
		add(&o);
	assert_true(lmdb_writer_is_busy(&o.writer));
	let_go();
	assert_int_equal(o.written, 1); /* at once, alone */
	assert_false(lmdb_writer_is_busy(&o.writer));
	event_base_loop(base, EVLOOP_NONBLOCK);
	assert_true(lmdb_writer_is_busy(&o.writer));
	let_go();
	assert_int_equal(o.written, 5);
	assert_int_equal(o.jobs, 2);
	event_base_loop(base, EVLOOP_NONBLOCK);
	assert_false(lmdb_writer_is_busy(&o.writer));
	lmdb_writer_close(&o.writer);
}

static void without_an_executor_work_is_done_at_once(void **state)
{
	struct owner o = {0};

	(void)state;
	assert_int_equal(open_as(&o, "numbers 1", false), ERR_OK);
	add(&o);
	assert_int_equal(o.written, 1);
	assert_false(lmdb_writer_is_busy(&o.writer));
	lmdb_writer_close(&o.writer);
}

static void without_memory_it_is_tried_again_in_a_while(void **state)
{
	struct owner o = {.no_memory = true};

	(void)state;
	assert_int_equal(open_as(&o, "numbers 1", true), ERR_OK);
	add(&o);
	assert_false(lmdb_writer_is_busy(&o.writer));
	event_base_loop(base, EVLOOP_ONCE);
	assert_true(lmdb_writer_is_busy(&o.writer));
	let_go();
	assert_int_equal(o.written, 1);
	lmdb_writer_close(&o.writer);
}

static void what_comes_back_after_the_end_is_dropped(void **state)
{
	struct owner o = {0};

	(void)state;
	assert_int_equal(open_as(&o, "numbers 1", true), ERR_OK);
	add(&o);
	held.work(held.arg); /* the executor has stopped: it has run */
	lmdb_writer_close(&o.writer);
	held.done(held.arg);
	assert_int_equal(dropped, 1);
	assert_int_equal(o.written, 0);
}

static void who_is_told_may_close_it(void **state)
{
	struct owner o = {.close_in_back = true};

	(void)state;
	for (int async = 0; async < 2; async++) {
		assert_int_equal(open_as(&o, "numbers 1", async), ERR_OK);
		add(&o);
		if (async)
			let_go();
		assert_null(o.writer.env);
	}
	event_base_loop(base, EVLOOP_NONBLOCK);
	assert_int_equal(o.written, 2);
	assert_int_equal(dropped, 0);
}

static void another_version_is_refused_with_the_remedy(void **state)
{
	struct owner o = {0};

	(void)state;
	assert_int_equal(open_as(&o, "numbers 1", false), ERR_OK);
	lmdb_writer_close(&o.writer);
	assert_int_equal(open_as(&o, "numbers 2", false), ERR_STORE);
	assert_non_null(strstr(why, "/numbers.mdb: written by another version"));
	assert_non_null(strstr(why, "count again"));
	lmdb_writer_close(&o.writer);
	assert_int_equal(o.damaged, 0);
	assert_int_equal(open_as(&o, "numbers 1", false), ERR_OK);
	lmdb_writer_close(&o.writer);
}

static void damage_is_shown_and_the_owner_decides(void **state)
{
	struct owner o = {0};
	char path[4200];

	(void)state;
	assert_int_equal(open_as(&o, "numbers 1", false), ERR_OK);
	lmdb_writer_close(&o.writer);
	snprintf(path, sizeof path, "%s/numbers.mdb", dir);
	assert_int_equal(truncate(path, 0), 0);
	assert_int_equal(open_as(&o, "numbers 1", false), ERR_STORE);
	assert_int_equal(o.damaged, 1);
	assert_non_null(strstr(why, "damaged: "));
	lmdb_writer_close(&o.writer);
	o.aside = true;
	assert_int_equal(open_as(&o, "numbers 1", false), ERR_OK);
	assert_int_equal(o.damaged, 2);
	lmdb_writer_close(&o.writer);
}

static void a_failure_is_kept_with_file_cause_and_remedy(void **state)
{
	struct owner o = {0};

	(void)state;
	assert_int_equal(open_as(&o, "numbers 1", false), ERR_OK);
	assert_string_equal(o.writer.error, "");
	assert_string_equal(o.writer.remedy, "");
	lmdb_writer_failed(&o.writer, "numbers_failed", ENOSPC);
	assert_string_equal(o.event, "numbers_failed");
	assert_non_null(strstr(o.writer.error, "/numbers.mdb: No space left on device"));
	assert_true(o.writer.remedy[0] != '\0');
	lmdb_writer_close(&o.writer);
}

#define CASE(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
	    CASE(what_gathers_while_a_job_is_under_way_goes_together),
	    CASE(without_an_executor_work_is_done_at_once),
	    CASE(without_memory_it_is_tried_again_in_a_while),
	    CASE(what_comes_back_after_the_end_is_dropped),
	    CASE(who_is_told_may_close_it),
	    CASE(another_version_is_refused_with_the_remedy),
	    CASE(damage_is_shown_and_the_owner_decides),
	    CASE(a_failure_is_kept_with_file_cause_and_remedy),
	};

	return cmocka_run_group_tests_name("lmdb_writer", tests, NULL, NULL);
}
