/* What a path, a folder and a pattern lead to, and which links are followed. */
#include "proxy/watch/watch_walk.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "tests/lib/store_kit.h"

static char *dir;
static char found[4096];

static const char *in(const char *name)
{
	static char path[2][4096];
	static int turn;

	turn = !turn;
	snprintf(path[turn], sizeof path[turn], "%s/%s", dir, name);
	return path[turn];
}

static void make(const char *name)
{
	FILE *f = fopen(in(name), "w");

	assert_non_null(f);
	fclose(f);
}

static void note(const char *mark, const char *path)
{
	size_t n = strlen(found);

	snprintf(found + n, sizeof found - n, "%s%s ", mark, path + strlen(dir) + 1);
}

static void on_file(
    void *arg, const char *path, const char *target, const struct stat *st)
{
	(void)arg;
	assert_true(S_ISREG(st->st_mode));
	assert_int_equal(target[0], '/');
	note("", path);
}

static void on_folder(void *arg, const char *path)
{
	*(size_t *)arg += strlen(path) >= strlen(dir);
}

static void on_failed(void *arg, const char *path, int error)
{
	(void)arg;
	note(error == EXDEV ? "!" : "?", path);
}

/* Names in the order of the alphabet, and how many folders were told. */
static size_t walk(const char *pattern)
{
	size_t folders = 0;
	const struct watch_walk w = {on_file, on_folder, on_failed, &folders};

	found[0] = '\0';
	assert_true(watch_walk(&w, in(pattern)));
	return folders;
}

static bool has(const char *name)
{
	size_t n = strlen(name);

	for (const char *at = found; (at = strstr(at, name)) != NULL; at++)
		if ((at == found || at[-1] == ' ') && at[n] == ' ')
			return true;
	return false;
}

static size_t names(void)
{
	size_t n = 0;

	for (const char *at = found; *at != '\0'; at++)
		n += *at == ' ';
	return n;
}

static int setup(void **state)
{
	static const char *const folders[] = {
	    "live", "live/a", "live/b", "archive", "archive/a", "other", "deep"};

	(void)state;
	dir = kit_directory();
	for (size_t i = 0; i < sizeof folders / sizeof *folders; i++)
		assert_int_equal(mkdir(in(folders[i]), 0700), 0);
	make("archive/a/cert1.pem");
	make("other/secret.pem");
	make("live/b/cert.pem");
	make("live/b/.hidden.pem");
	return symlink("../../archive/a/cert1.pem", in("live/a/cert.pem"));
}

static int teardown(void **state)
{
	(void)state;
	kit_remove(dir);
	return 0;
}

static void patterns_folders_and_files_are_found(void **state)
{
	(void)state;
	assert_int_equal(walk("live/*/cert.pem"), 3); /* live, a, b */
	assert_true(has("live/a/cert.pem") && has("live/b/cert.pem"));
	assert_int_equal(names(), 2);
	assert_int_equal(walk("live/"), 3);
	assert_int_equal(names(), 2); /* but for the hidden one */
	assert_int_equal(walk("live/b/cert.pem"), 1);
	assert_string_equal(found, "live/b/cert.pem ");
	walk("live/[bc]/c?rt.*");
	assert_string_equal(found, "live/b/cert.pem ");
	walk("live/b/.h*");
	assert_string_equal(found, "live/b/.hidden.pem ");
	walk("l*"); /* a folder that a pattern meets */
	assert_true(has("live/b/cert.pem"));
	assert_int_equal(walk("none/*.pem"), 0);
	assert_string_equal(found, "");
	walk("other/none.pem");
	assert_string_equal(found, "");
}

static void links_lead_nowhere_else(void **state)
{
	(void)state;
	assert_int_equal(symlink("../../other/secret.pem", in("live/b/link.pem")), 0);
	assert_int_equal(symlink(in("other"), in("live/c")), 0);
	assert_int_equal(symlink("b", in("live/d")), 0); /* inside */
	walk("live/");
	assert_true(has("!live/b/link.pem") && has("!live/c"));
	assert_true(has("live/d/cert.pem") && has("live/a/cert.pem"));
	walk("live/b/link.pem");
	assert_string_equal(found, "!live/b/link.pem ");
	walk("live/a/cert.pem"); /* certbot's */
	assert_string_equal(found, "live/a/cert.pem ");
	unlink(in("live/b/link.pem"));
	unlink(in("live/c"));
	unlink(in("live/d"));
}

/* A link that leads to where it is, and no folder without end. */
static void no_walk_is_without_end(void **state)
{
	char name[200] = "deep";
	size_t n;

	(void)state;
	for (int i = 1; i <= WATCH_WALK_DEPTH + 1; i++) {
		strcat(name, "/f");
		assert_int_equal(mkdir(in(name), 0700), 0);
		n = strlen(name);
		strcat(name, "/x.pem");
		make(name);
		name[n] = '\0';
	}
	walk("deep");
	assert_int_equal(names(), WATCH_WALK_DEPTH);
	assert_int_equal(symlink(".", in("deep/f/loop")), 0);
	assert_true(walk("deep") < 1000);
	assert_int_equal(symlink("self", in("deep/self")), 0);
	walk("deep/self");
	assert_true(has("?deep/self"));
}

static void what_is_no_file_is_passed_over(void **state)
{
	(void)state;
	assert_int_equal(mkfifo(in("other/fifo"), 0600), 0);
	walk("other/");
	assert_string_equal(found, "other/secret.pem ");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(patterns_folders_and_files_are_found),
	    cmocka_unit_test(links_lead_nowhere_else),
	    cmocka_unit_test(no_walk_is_without_end),
	    cmocka_unit_test(what_is_no_file_is_passed_over),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
