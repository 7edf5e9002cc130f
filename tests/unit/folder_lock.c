#include "proxy/base/folder_lock.h"

#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "tests/lib/store_kit.h"

static char *dir;
static char path[4400], why[1024];
static struct folder_locks locks;

static const char *in_dir(const char *name)
{
	snprintf(path, sizeof path, "%s/%s", dir, name);
	return path;
}

static bool take(struct folder_locks *l, const char *folder)
{
	return folder_lock_take(l, folder, why, sizeof why);
}

static void refused(const char *folder, const char *words)
{
	assert_false(take(&locks, folder));
	assert_non_null(strstr(why, folder));
	assert_non_null(strstr(why, words));
	assert_int_equal(locks.n, 0);
}

/* Another process: what does it find there? */
static int elsewhere(const char *folder)
{
	struct folder_locks other = {{0}, 0};
	int status = -1;
	pid_t pid = fork();

	if (pid == 0)
		_exit(take(&other, folder) ? 0 : 1);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	return WEXITSTATUS(status);
}

static void a_folder_is_made_and_held_until_it_is_dropped(void **state)
{
	struct folder_locks other = {{0}, 0};
	char pid[32];

	(void)state;
	assert_true(take(&locks, in_dir("a/b")));
	assert_int_equal(elsewhere(in_dir("a/b")), 1);
	assert_int_equal(elsewhere(in_dir("a")), 0);
	assert_false(take(&other, in_dir("a/b")));
	snprintf(pid, sizeof pid, "(process %ld)", (long)getpid());
	assert_non_null(strstr(why, pid));
	assert_non_null(strstr(why, "its own state-directory and, with lmdb:, its own"));
	folder_locks_drop(&locks);
	assert_int_equal(elsewhere(in_dir("a/b")), 0);
}

static void a_folder_with_two_names_is_taken_once(void **state)
{
	char link_path[4400];

	(void)state;
	assert_true(take(&locks, in_dir("a")));
	snprintf(link_path, sizeof link_path, "%s/link", dir);
	assert_int_equal(symlink("a", link_path), 0);
	assert_true(take(&locks, link_path));
	assert_true(take(&locks, in_dir("a/")));
	assert_true(take(&locks, in_dir("a/../a")));
	assert_int_equal(locks.n, 1);
	assert_int_equal(elsewhere(link_path), 1);
	assert_true(take(&locks, in_dir("b")));
	assert_int_equal(locks.n, 2);
}

static void write_lock(const char *folder, const char *text)
{
	FILE *f;

	assert_true(take(&locks, folder));
	folder_locks_drop(&locks);
	snprintf(path, sizeof path, "%s/lock", folder);
	f = fopen(path, "w");
	assert_non_null(f);
	fputs(text, f);
	fclose(f);
}

/* What stands in the file is for people, and a stranger's. */
static void a_holder_that_wrote_nonsense_has_no_number(void **state)
{
	const char *const text[] = {"", "x\n", "12", "-1\n", "\n", "12 13\n",
	    "123456789012345678901234567890\n", "1\xff\n"};
	char folder[4400];
	int fd;

	(void)state;
	snprintf(folder, sizeof folder, "%s/a", dir);
	for (size_t i = 0; i < sizeof text / sizeof text[0]; i++) {
		write_lock(folder, text[i]);
		fd = open(path, O_RDWR);
		assert_int_equal(flock(fd, LOCK_EX | LOCK_NB), 0);
		refused(folder, "/lock: another ocspcached uses this folder");
		close(fd);
	}
}

static void what_is_left_over_binds_nobody(void **state)
{
	(void)state;
	write_lock(in_dir("a"), "1\n");
	assert_true(take(&locks, in_dir("a")));
	assert_int_equal(elsewhere(in_dir("a")), 1);
}

static void what_is_no_file_is_not_waited_for(void **state)
{
	char lock[4400], folder[4400];

	(void)state;
	snprintf(folder, sizeof folder, "%s/a", dir);
	snprintf(lock, sizeof lock, "%s/a/lock", dir);
	assert_int_equal(mkdir(folder, 0700), 0);
	assert_int_equal(mkfifo(lock, 0600), 0);
	refused(folder, "/lock: not a regular file; move it away");
	assert_int_equal(unlink(lock), 0);
	assert_int_equal(mkdir(lock, 0700), 0);
	refused(folder, "/lock: not a regular file; move it away");
	assert_int_equal(rmdir(lock), 0);
	assert_int_equal(symlink(in_dir("made"), lock), 0);
	refused(folder, "/lock: not a regular file; move it away");
	assert_int_equal(access(in_dir("made"), F_OK), -1);
	assert_int_equal(unlink(lock), 0);
	assert_true(take(&locks, folder));
}

static void what_cannot_be_had_is_told_with_the_remedy(void **state)
{
	struct rlimit old, none;
	char file[4400], longest[4200];

	(void)state;
	snprintf(file, sizeof file, "%s/file", dir);
	fclose(fopen(file, "w"));
	refused(file, ": Not a directory; each part of its path has to be a folder");
	strcat(file, "/x");
	refused(file, ": Not a directory; each part of its path has to be a folder");
	memset(longest, 'x', sizeof longest);
	longest[sizeof longest - 1] = '\0';
	assert_false(take(&locks, longest));
	assert_non_null(strstr(why, "xxx"));
	assert_int_equal(getrlimit(RLIMIT_NOFILE, &old), 0);
	none = (struct rlimit){3, old.rlim_max};
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &none), 0);
	assert_false(take(&locks, in_dir("a")));
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &old), 0);
	assert_non_null(strstr(why, "/a/lock: Too many open files; allow more desc"));
}

/* Root may write everywhere, but to what the kernel keeps. */
static void who_may_not_write_there_is_told_whose_it_has_to_be(void **state)
{
	int status = -1;
	pid_t pid;

	(void)state;
	if (geteuid() != 0)
		skip();
	assert_int_equal(mkdir(in_dir("a"), 0700), 0);
	assert_int_equal(chmod(dir, 0755), 0);
	pid = fork();
	if (pid == 0) {
		if (setgid(65534) != 0 || setuid(65534) != 0 || take(&locks, in_dir("a")))
			_exit(2);
		_exit(strstr(why, "/a/lock: Permission denied; give it to the user") ==
		      NULL);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(WEXITSTATUS(status), 0);
}

static int setup(void **state)
{
	(void)state;
	dir = kit_directory();
	locks = (struct folder_locks){{0}, 0};
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	folder_locks_drop(&locks);
	kit_remove(dir);
	return 0;
}

#define CASE(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
	    CASE(a_folder_is_made_and_held_until_it_is_dropped),
	    CASE(a_folder_with_two_names_is_taken_once),
	    CASE(a_holder_that_wrote_nonsense_has_no_number),
	    CASE(what_is_left_over_binds_nobody),
	    CASE(what_is_no_file_is_not_waited_for),
	    CASE(what_cannot_be_had_is_told_with_the_remedy),
	    CASE(who_may_not_write_there_is_told_whose_it_has_to_be),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
