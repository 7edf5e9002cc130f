#include "tests/lib/faults.h"

#include <lmdb.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "cache/base/facts.h"
#include "cache/held/latch_file.h"
#include "tests/lib/child.h"
#include "tests/lib/store_kit.h"

#define NOW INT64_C(1700000000)

static char *dir;
static struct latches *table;
static struct latch_file *file;
static char why[8192];

static int setup(void **state)
{
	(void)state;
	dir = kit_directory();
	return latch_file_open(&table, &file, dir, why, sizeof why);
}

static int teardown(void **state)
{
	(void)state;
	latches_free(table);
	latch_file_close(file);
	kit_remove(dir);
	return 0;
}

static void reopen(void)
{
	latches_free(table);
	latch_file_close(file);
	table = NULL;
	file = NULL;
	assert_int_equal(latch_file_open(&table, &file, dir, why, sizeof why), ERR_OK);
}

static struct latch make(int ca, uint32_t n, int64_t set_at)
{
	struct latch l = {.serial = kit_serial(n),
	    .reason = 1,
	    .revoked_at = NOW - 5000,
	    .set_at = set_at};
	struct issuer_ca c;

	kit_ca(&c, ca);
	memcpy(l.ca_id, c.id, sizeof l.ca_id);
	return l;
}

static const struct latch *look(int ca, uint32_t n)
{
	struct issuer_ca c;
	struct issuer i = {.ca = &c, .ca_n = 1};
	struct serial s = kit_serial(n);

	kit_ca(&c, ca);
	return latches_find(table, &i, &s);
}

static void what_was_put_is_there_after_a_restart(void **state)
{
	struct latch l[2] = {make(1, 7, NOW), make(2, 8, NOW - 10)};

	(void)state;
	l[1].reason = REASON_NONE; /* negative: must survive its four octets */
	l[1].revoked_at = -1;
	assert_int_equal(latch_file_put(file, l, 2), ERR_OK);
	reopen();
	assert_int_equal(latches_count(table), 2);
	assert_memory_equal(look(1, 7), &l[0], sizeof l[0]);
	assert_memory_equal(look(2, 8), &l[1], sizeof l[1]);
	assert_int_equal(latch_file_delete(file, l, 1), ERR_OK);
	assert_int_equal(latch_file_delete(file, l, 1), ERR_OK); /* gone is gone */
	reopen();
	assert_null(look(1, 7));
	assert_non_null(look(2, 8));
}

/* T20: a clock that is ahead at the start makes nobody forget. */
static void a_latch_of_any_age_is_read_until_it_is_swept(void **state)
{
	struct latch l[3] = {
	    make(1, 1, NOW), make(1, 2, NOW + 100), make(1, 3, INT64_MAX / 2)};

	(void)state;
	l[0].set_at = 1;
	latch_file_put(file, l, 3);
	reopen();
	assert_non_null(look(1, 1));
	assert_non_null(look(1, 2));
	assert_non_null(look(1, 3));
	assert_int_equal(latch_file_sweep(file, NOW + 1), ERR_OK);
	reopen();
	assert_null(look(1, 1));
	assert_non_null(look(1, 2));
}

/* T23: a latch whose change was not logged yet is told by the next life. */
static void what_was_not_told_is_marked_until_it_is(void **state)
{
	struct latch l[2] = {make(1, 7, NOW), make(1, 8, NOW)};

	(void)state;
	l[0].untold = l[1].untold = true;
	assert_int_equal(latch_file_put(file, l, 2), ERR_OK);
	reopen();
	assert_true(look(1, 7)->untold);
	assert_true(look(1, 8)->untold);
	assert_int_equal(latch_file_told(file, l, 1), ERR_OK);
	assert_int_equal(latch_file_told(file, l, 1), ERR_OK); /* told is told */
	reopen();
	assert_false(look(1, 7)->untold);
	assert_true(look(1, 8)->untold);
	l[1].untold = false;
	assert_int_equal(latch_file_put(file, &l[1], 1), ERR_OK);
	reopen();
	assert_false(look(1, 8)->untold);
}

/* T23: what a list told, or is still to tell, is told by nobody else. */
static void what_a_list_has_to_tell_is_marked_as_such(void **state)
{
	struct latch l = make(1, 7, NOW);

	(void)state;
	l.listed = true;
	assert_int_equal(latch_file_put(file, &l, 1), ERR_OK);
	reopen();
	assert_true(look(1, 7)->listed);
	assert_false(look(1, 7)->untold);
	latches_told(table, l.ca_id, &l.serial);
	assert_false(look(1, 7)->listed);
	assert_int_equal(latch_file_told(file, &l, 1), ERR_OK);
	reopen();
	assert_false(look(1, 7)->listed);
}

/* The marks in the file: a table that was read from it shows only those of its latches.
 */
static size_t marks_in_file(void)
{
	char path[4200];
	MDB_env *env;
	MDB_txn *txn;
	MDB_dbi dbi;
	MDB_stat st;

	latch_file_close(file);
	file = NULL;
	snprintf(path, sizeof path, "%s/latches.mdb", dir);
	assert_int_equal(mdb_env_create(&env), 0);
	mdb_env_set_maxdbs(env, 3);
	assert_int_equal(mdb_env_open(env, path, MDB_NOSUBDIR, 0600), 0);
	assert_int_equal(mdb_txn_begin(env, NULL, MDB_RDONLY, &txn), 0);
	assert_int_equal(mdb_dbi_open(txn, "untold", 0, &dbi), 0);
	assert_int_equal(mdb_stat(txn, dbi, &st), 0);
	mdb_txn_abort(txn);
	mdb_env_close(env);
	reopen();
	return st.ms_entries;
}

static void the_mark_goes_with_its_latch(void **state)
{
	struct latch l[4] = {
	    make(1, 7, NOW), make(1, 8, NOW), make(1, 9, NOW - 9), make(2, 9, NOW - 9)};

	(void)state;
	l[0].untold = l[1].untold = l[2].untold = true;
	l[3].listed = true;
	assert_int_equal(latch_file_put(file, l, 4), ERR_OK);
	assert_int_equal(marks_in_file(), 4);
	assert_int_equal(latch_file_delete(file, &l[0], 1), ERR_OK);
	assert_int_equal(marks_in_file(), 3);
	assert_int_equal(latch_file_sweep(file, NOW), ERR_OK);
	assert_int_equal(marks_in_file(), 1);
	assert_int_equal(latches_count(table), 1);
	assert_true(look(1, 8)->untold);
}

/* The map starts with 4 MiB; 60,000 latches do not fit. */
static void the_file_grows_by_itself(void **state)
{
	enum { N = 60000, PART = 5000 };
	struct latch *l = calloc(PART, sizeof *l);

	(void)state;
	for (uint32_t from = 0; from < N; from += PART) {
		for (uint32_t n = 0; n < PART; n++)
			l[n] = make(1, (from + n) * 2654435761u, NOW);
		assert_int_equal(latch_file_put(file, l, PART), ERR_OK);
	}
	free(l);
	reopen();
	assert_int_equal(latches_count(table), N);
	assert_int_equal(latch_file_sweep(file, NOW + 1), ERR_OK);
	reopen();
	assert_int_equal(latches_count(table), 0);
}

/* Durable when latch_file_put returns: the parent kills the writer at any moment. */
static void every_latch_that_was_reported_durable_survives_a_kill(void **state)
{
	uint32_t told = 0, n;
	int fds[2], status;
	pid_t pid;

	(void)state;
	teardown(NULL);
	table = NULL;
	file = NULL;
	dir = kit_directory();
	assert_int_equal(pipe(fds), 0);
	pid = child_fork();
	if (pid == 0) {
		if (latch_file_open(&table, &file, dir, why, sizeof why) != ERR_OK)
			_exit(1);
		for (n = 0;; n++) {
			struct latch l = make(1, n, NOW);

			if (latch_file_put(file, &l, 1) != ERR_OK ||
			    write(fds[1], &n, sizeof n) != sizeof n)
				_exit(1);
		}
	}
	close(fds[1]);
	while (told < 50 && read(fds[0], &n, sizeof n) == sizeof n)
		told++;
	kill(pid, SIGKILL);
	while (read(fds[0], &n, sizeof n) == sizeof n)
		told++;
	close(fds[0]);
	waitpid(pid, &status, 0);
	assert_true(WIFSIGNALED(status));
	reopen();
	assert_true(told >= 50);
	for (n = 0; n < told; n++)
		assert_non_null(look(1, n));
}

/* Write one raw pair into a database of the closed file. */
static void scribble(
    const char *database, const void *k, size_t kn, const void *v, size_t vn)
{
	char path[4200];
	MDB_env *env;
	MDB_txn *txn;
	MDB_dbi dbi;
	MDB_val mk = {kn, (void *)(uintptr_t)k}, mv = {vn, (void *)(uintptr_t)v};

	latches_free(table);
	latch_file_close(file);
	table = NULL;
	file = NULL;
	snprintf(path, sizeof path, "%s/latches.mdb", dir);
	assert_int_equal(mdb_env_create(&env), 0);
	mdb_env_set_maxdbs(env, 3);
	assert_int_equal(mdb_env_open(env, path, MDB_NOSUBDIR, 0600), 0);
	assert_int_equal(mdb_txn_begin(env, NULL, 0, &txn), 0);
	assert_int_equal(mdb_dbi_open(txn, database, MDB_CREATE, &dbi), 0);
	assert_int_equal(mdb_put(txn, dbi, &mk, &mv, 0), 0);
	assert_int_equal(mdb_txn_commit(txn), 0);
	mdb_env_close(env);
}

static void a_file_with_an_unreadable_latch_is_refused(void **state)
{
	(void)state;
	scribble("latches", "short", 5, "x", 1);
	assert_int_equal(latch_file_open(&table, &file, dir, why, sizeof why), ERR_STORE);
	assert_non_null(strstr(why, "latches.mdb"));
	assert_non_null(strstr(why, "unreadable"));
}

static void a_file_with_an_unreadable_mark_is_refused(void **state)
{
	(void)state;
	scribble("untold", "short", 5, "", 0);
	assert_int_equal(latch_file_open(&table, &file, dir, why, sizeof why), ERR_STORE);
	assert_non_null(strstr(why, "unreadable"));
}

static void a_mark_without_a_latch_does_nothing(void **state)
{
	static const char key[33] = "a certificate of another CA id..";

	(void)state;
	scribble("untold", key, sizeof key, "", 0);
	reopen();
	assert_int_equal(latches_count(table), 0);
}

/* As a program from before there was a change log left it. */
static void a_file_without_marks_is_read_and_its_latches_are_told(void **state)
{
	struct latch l = make(1, 7, NOW);
	char path[4200];
	MDB_env *env;
	MDB_txn *txn;
	MDB_dbi dbi;

	(void)state;
	assert_int_equal(latch_file_put(file, &l, 1), ERR_OK);
	scribble("meta", "format", 6, "ocspcached latches 1", 20);
	snprintf(path, sizeof path, "%s/latches.mdb", dir);
	assert_int_equal(mdb_env_create(&env), 0);
	mdb_env_set_maxdbs(env, 3);
	assert_int_equal(mdb_env_open(env, path, MDB_NOSUBDIR, 0600), 0);
	assert_int_equal(mdb_txn_begin(env, NULL, 0, &txn), 0);
	assert_int_equal(mdb_dbi_open(txn, "untold", 0, &dbi), 0);
	assert_int_equal(mdb_drop(txn, dbi, 1), 0);
	assert_int_equal(mdb_txn_commit(txn), 0);
	mdb_env_close(env);
	reopen();
	assert_non_null(look(1, 7));
	assert_false(look(1, 7)->untold);
}

static void a_file_of_another_version_is_refused(void **state)
{
	(void)state;
	scribble("meta", "format", 6, "ocspcached latches 9", 20);
	assert_int_equal(latch_file_open(&table, &file, dir, why, sizeof why), ERR_STORE);
	assert_non_null(strstr(why, "another version"));
	assert_null(table);
	assert_null(file);
}

static void expect_refusal(const char *text)
{
	latches_free(table);
	latch_file_close(file);
	table = NULL;
	file = NULL;
	assert_int_equal(latch_file_open(&table, &file, dir, why, sizeof why), ERR_STORE);
	assert_null(table);
	if (strstr(why, "/latches.mdb: ") == NULL || strstr(why, text) == NULL ||
	    strstr(why, "restore it from a copy") == NULL ||
	    strstr(why, "latches.mdb.mark") == NULL)
		fail_msg("\"%s\" does not say \"%s\"", why, text);
}

/* R69: a revoked certificate becomes good again by an operator's word only, never by what
 * happened to a file. */
static void a_file_that_was_cut_emptied_or_lost_is_refused_with_the_remedy(void **state)
{
	struct latch l[200];
	char path[4200], mark[4300], kept[4300];
	struct stat st;

	(void)state;
	snprintf(path, sizeof path, "%s/latches.mdb", dir);
	snprintf(mark, sizeof mark, "%s.mark", path);
	snprintf(kept, sizeof kept, "%s.kept", path);
	for (uint32_t n = 0; n < 200; n++)
		l[n] = make(1, n, NOW);
	assert_int_equal(latch_file_put(file, l, 200), ERR_OK);
	assert_int_equal(stat(path, &st), 0);
	assert_int_equal(link(path, kept), 0);
	assert_int_equal(unlink(path), 0);
	expect_refusal("it is gone");
	assert_int_equal(rename(kept, path), 0);
	reopen();
	assert_int_equal(latches_count(table), 200);
	for (off_t n = st.st_size - 1; n > 8192; n -= 4096) {
		assert_int_equal(truncate(path, n), 0);
		expect_refusal("cut short");
	}
	assert_int_equal(truncate(path, 0), 0);
	expect_refusal("it is empty");
	/* the operator's word */
	assert_int_equal(unlink(path), 0);
	assert_int_equal(unlink(mark), 0);
	reopen();
	assert_int_equal(latches_count(table), 0);
	assert_int_equal(access(mark, F_OK), 0);
}

/* As an earlier version left it. */
static void a_file_without_its_mark_gets_one(void **state)
{
	struct latch l = make(1, 7, NOW);
	char mark[4200];

	(void)state;
	assert_int_equal(latch_file_put(file, &l, 1), ERR_OK);
	snprintf(mark, sizeof mark, "%s/latches.mdb.mark", dir);
	assert_int_equal(unlink(mark), 0);
	reopen();
	assert_non_null(look(1, 7));
	assert_int_equal(access(mark, F_OK), 0);
}

/* The file system says no through RLIMIT_FSIZE. */
static void a_full_disk_is_told_until_a_latch_can_be_written_again(void **state)
{
	struct latch l[2] = {make(1, 1, NOW), make(1, 2, NOW)};
	struct rlimit small = {4096, RLIM_INFINITY}, all = {RLIM_INFINITY, RLIM_INFINITY};

	(void)state;
	signal(SIGXFSZ, SIG_IGN);
	assert_int_equal(latch_file_put(file, &l[0], 1), ERR_OK);
	assert_false(latch_file_failed(file, why, sizeof why));
	setrlimit(RLIMIT_FSIZE, &small);
	assert_int_equal(latch_file_put(file, &l[1], 1), ERR_STORE);
	setrlimit(RLIMIT_FSIZE, &all);
	assert_true(latch_file_failed(file, why, sizeof why));
	assert_non_null(strstr(why, "/latches.mdb: File too large; remedy: raise"));
	assert_int_equal(latch_file_told(file, &l[1], 1), ERR_OK); /* writes nothing */
	assert_true(latch_file_failed(file, why, sizeof why));
	assert_int_equal(latch_file_put(file, &l[1], 1), ERR_OK);
	assert_false(latch_file_failed(file, why, sizeof why));
	reopen();
	assert_int_equal(latches_count(table), 2);
}

static void a_missing_directory_is_an_error_with_its_name(void **state)
{
	struct latches *t;
	struct latch_file *f;

	(void)state;
	assert_int_equal(
	    latch_file_open(&t, &f, "/nonexistent", why, sizeof why), ERR_STORE);
	assert_non_null(strstr(why, "/nonexistent/latches.mdb"));
}

/* A disk that is full: the file system says no through RLIMIT_FSIZE. */
static void what_cannot_be_written_is_told_with_file_and_cause(void **state)
{
	pid_t pid;
	int status;

	(void)state;
	latch_file_close(file);
	file = NULL;
	latches_free(table);
	table = NULL;
	pid = child_fork();
	if (pid == 0) {
		struct rlimit limit = {4096, RLIM_INFINITY};
		struct latch l = make(1, 1, NOW);
		char path[4200];

		signal(SIGXFSZ, SIG_IGN);
		if (latch_file_open(&table, &file, dir, why, sizeof why) != ERR_OK)
			_exit(1);
		setrlimit(RLIMIT_FSIZE, &limit);
		if (latch_file_put(file, &l, 1) != ERR_STORE)
			_exit(2);
		latch_file_why(file, why, sizeof why);
		snprintf(path, sizeof path, "%s/latches.mdb: %s", dir, strerror(EFBIG));
		_exit(strcmp(why, path) == 0 ? 0 : 3);
	}
	waitpid(pid, &status, 0);
	assert_true(WIFEXITED(status));
	assert_int_equal(WEXITSTATUS(status), 0);
}

static void the_file_is_for_its_owner_alone(void **state)
{
	char path[4200];
	struct stat st;

	(void)state;
	snprintf(path, sizeof path, "%s/latches.mdb", dir);
	assert_int_equal(stat(path, &st), 0);
	assert_int_equal(st.st_mode & 077, 0);
}

#define CASE(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

/* What is in the file when a test of faults begins, and what it puts there. */
static struct latch before[2], fresh[2];

static enum err put_fresh(void)
{
	return latch_file_put(file, fresh, 2);
}

static enum err tell_before(void)
{
	return latch_file_told(file, before, 2);
}

static enum err delete_before(void)
{
	return latch_file_delete(file, before, 2);
}

static enum err sweep_before(void)
{
	return latch_file_sweep(file, NOW);
}

/* "1u": the first one is there, and untold. */
static void say_latches(char text[16])
{
	*text = '\0';
	for (uint32_t n = 1; n <= 4; n++) {
		const struct latch *l = look(1, n);

		if (l != NULL)
			sprintf(text + strlen(text), "%u%s", n, l->untold ? "u" : "");
	}
}

static void begin_with_before(void)
{
	teardown(NULL);
	table = NULL;
	assert_int_equal(setup(NULL), ERR_OK);
	assert_int_equal(latch_file_put(file, before, 2), ERR_OK);
	reopen();
}

/* One step whose n-th call of the kind fails; false: there were fewer. */
static bool survives(
    enum fault kind, unsigned long n, enum err (*step)(void), const char *done)
{
	char text[16];
	unsigned long calls;
	enum err e;

	begin_with_before();
	faults_arm(kind, n, 1);
	e = step();
	calls = faults_disarm();
	assert_true(e == (calls < n                 ? ERR_OK
			     : kind == FAULT_MEMORY ? ERR_NOMEM
						    : ERR_STORE));
	assert_int_equal(latch_file_failed(file, why, sizeof why), e != ERR_OK);
	reopen();
	say_latches(text);
	assert_string_equal(text, e == ERR_OK ? done : "1u2u");
	assert_int_equal(step(), ERR_OK);
	reopen();
	say_latches(text);
	assert_string_equal(text, done);
	return calls >= n;
}

/* What is reported durable is in the file, and what is not has changed nothing, whatever
 * allocation or write fails. */
static void what_fails_is_reported_and_changes_nothing(void **state)
{
	static const struct {
		enum err (*step)(void);
		const char *done; /* as say_latches() */
	} steps[] = {{put_fresh, "1u2u3u4"}, {tell_before, "12"}, {delete_before, ""},
	    {sweep_before, ""}};
	static const enum fault kinds[] = {
	    FAULT_MEMORY, FAULT_DISK_FULL, FAULT_DISK_ERROR};

	(void)state;
	for (uint32_t n = 0; n < 2; n++) {
		before[n] = make(1, 1 + n, NOW - 9);
		fresh[n] = make(1, 3 + n, NOW);
		before[n].untold = true;
	}
	fresh[0].untold = true;
	for (size_t s = 0; s < sizeof steps / sizeof *steps; s++)
		for (size_t k = 0; k < sizeof kinds / sizeof *kinds; k++) {
			unsigned long n = 1;

			while (survives(kinds[k], n, steps[s].step, steps[s].done))
				n++;
			assert_true(n > 1); /* it has such calls */
		}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    CASE(what_was_put_is_there_after_a_restart),
	    CASE(a_latch_of_any_age_is_read_until_it_is_swept),
	    CASE(what_was_not_told_is_marked_until_it_is),
	    CASE(what_a_list_has_to_tell_is_marked_as_such),
	    CASE(the_mark_goes_with_its_latch),
	    CASE(a_mark_without_a_latch_does_nothing),
	    CASE(the_file_grows_by_itself),
	    CASE(every_latch_that_was_reported_durable_survives_a_kill),
	    CASE(what_fails_is_reported_and_changes_nothing),
	    CASE(a_file_with_an_unreadable_latch_is_refused),
	    CASE(a_file_with_an_unreadable_mark_is_refused),
	    CASE(a_file_without_marks_is_read_and_its_latches_are_told),
	    CASE(a_file_of_another_version_is_refused),
	    CASE(a_file_that_was_cut_emptied_or_lost_is_refused_with_the_remedy),
	    CASE(a_file_without_its_mark_gets_one),
	    CASE(a_full_disk_is_told_until_a_latch_can_be_written_again),
	    CASE(a_missing_directory_is_an_error_with_its_name),
	    CASE(what_cannot_be_written_is_told_with_file_and_cause),
	    CASE(the_file_is_for_its_owner_alone),
	};

	return cmocka_run_group_tests_name("latch_file", tests, NULL, NULL);
}
