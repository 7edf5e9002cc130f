#include "proxy/lists/crl_state.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <openssl/sha.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#define URL "http://crl.example/a.crl"

static char folder[64], dir[256];
static uint8_t id[CHANGE_SCOPE_N];

static void make_dir(void)
{
	struct crl_state_seen seen;

	assert_int_equal(crl_state_path(folder, id, dir, sizeof dir), 0);
	assert_int_equal(crl_state_look(dir, false, &seen), 0);
}

static int begin(void **state)
{
	(void)state;
	strcpy(folder, "/tmp/crl_state.XXXXXX");
	assert_non_null(mkdtemp(folder));
	crl_scope_id("demo", URL, id);
	make_dir();
	return 0;
}

static void remove_all(const char *path)
{
	DIR *d = opendir(path);
	struct dirent *e;

	while (d != NULL && (e = readdir(d)) != NULL)
		if (e->d_name[0] != '.')
			unlinkat(dirfd(d), e->d_name, 0);
	if (d != NULL)
		closedir(d);
	rmdir(path);
}

static int end(void **state)
{
	char lists[100];

	(void)state;
	remove_all(dir);
	snprintf(lists, sizeof lists, "%s/crl", folder);
	rmdir(lists);
	assert_int_equal(rmdir(folder), 0);
	return 0;
}

static void install(const char *text)
{
	char path[300];
	int fd = crl_state_new(dir, path, sizeof path);

	assert_true(fd >= 0);
	assert_int_equal(write(fd, text, strlen(text)), strlen(text));
	assert_int_equal(crl_state_install(dir, path, fd), 0);
	assert_int_equal(access(path, F_OK), -1);
	close(fd);
}

/* What the file says; "" where there is none. */
static const char *says(enum crl_state_name name)
{
	static char text[3][100];
	int fd = crl_state_open(dir, name);
	ssize_t n;

	text[name][0] = '\0';
	if (fd < 0) {
		assert_int_equal(errno, ENOENT);
		return text[name];
	}
	n = read(fd, text[name], sizeof text[name] - 1);
	close(fd);
	assert_true(n >= 0);
	text[name][n] = '\0';
	return text[name];
}

/* A rename that could not be made durable is tried again when it has been done. */
static void what_is_current_is_made_current_again(void **state)
{
	char path[300];
	int fd = crl_state_new(dir, path, sizeof path);

	(void)state;
	assert_int_equal(write(fd, "one", 3), 3);
	assert_int_equal(crl_state_install(dir, path, fd), 0);
	assert_int_equal(crl_state_install(dir, path, fd), 0);
	assert_string_equal(says(CRL_CURRENT), "one");
	install("two");
	assert_int_equal(crl_state_install(dir, path, fd), -1); /* too late */
	assert_int_equal(errno, ENOENT);
	assert_string_equal(says(CRL_CURRENT), "two");
	close(fd);
}

static size_t files(void)
{
	DIR *d = opendir(dir);
	struct dirent *e;
	size_t n = 0;

	while ((e = readdir(d)) != NULL)
		n += e->d_name[0] != '.';
	closedir(d);
	return n;
}

static void a_scope_is_issuer_and_name_and_not_their_sum(void **state)
{
	uint8_t a[CHANGE_SCOPE_N], b[CHANGE_SCOPE_N];

	(void)state;
	SHA256((const unsigned char *)"demo\0http://x/", 14, b);
	crl_scope_id("demo", "http://x/", a);
	assert_memory_equal(a, b, sizeof a);
	crl_scope_id("dem", "ohttp://x/", b);
	assert_memory_not_equal(a, b, sizeof a);
}

static void the_folder_is_made_once_and_is_nobody_elses(void **state)
{
	char again[256], small[20];
	struct crl_state_seen seen;
	struct stat s;

	(void)state;
	assert_int_equal(crl_state_look(dir, false, &seen), 0);
	assert_false(seen.hints || seen.file[CRL_CURRENT]);
	assert_int_equal(strlen(dir), strlen(folder) + 5 + 64);
	assert_int_equal(stat(dir, &s), 0);
	assert_int_equal(s.st_mode & 0777, 0700);
	assert_int_equal(crl_state_path(folder, id, small, sizeof small), -1);
	assert_int_equal(errno, ENAMETOOLONG);
	assert_int_equal(crl_state_path("/dev/null", id, again, sizeof again), 0);
	assert_int_equal(crl_state_look(again, false, &seen), ENOTDIR);
	assert_int_equal(crl_state_open("/dev/null", CRL_TOLD), -1);
}

/* R96: what is current stays until another is there in full. */
static void a_list_goes_from_current_to_next_to_told(void **state)
{
	int old;
	char text[10] = "";

	(void)state;
	assert_string_equal(says(CRL_CURRENT), "");
	assert_int_equal(crl_state_link(dir, CRL_CURRENT, CRL_NEXT), -1);
	assert_int_equal(crl_state_told(dir), -1);
	install("one");
	assert_string_equal(says(CRL_CURRENT), "one");
	assert_int_equal(crl_state_link(dir, CRL_CURRENT, CRL_NEXT), 0);
	assert_string_equal(says(CRL_NEXT), "one");
	old = crl_state_open(dir, CRL_CURRENT);
	install("two"); /* while one is being told */
	assert_string_equal(says(CRL_NEXT), "one");
	assert_int_equal(crl_state_told(dir), 0);
	assert_string_equal(says(CRL_TOLD), "one");
	assert_string_equal(says(CRL_NEXT), "");
	assert_string_equal(says(CRL_CURRENT), "two");
	assert_int_equal(read(old, text, 9), 3); /* who has it open reads on */
	assert_string_equal(text, "one");
	close(old);
	assert_int_equal(files(), 2);
}

/* rename() of two names of one file leaves both. */
static void telling_a_list_again_leaves_no_name_behind(void **state)
{
	(void)state;
	install("one");
	assert_int_equal(crl_state_link(dir, CRL_CURRENT, CRL_NEXT), 0);
	assert_int_equal(crl_state_link(dir, CRL_CURRENT, CRL_NEXT), 0);
	assert_int_equal(files(), 2);
	assert_int_equal(crl_state_told(dir), 0);
	assert_int_equal(crl_state_link(dir, CRL_CURRENT, CRL_NEXT), 0);
	assert_int_equal(crl_state_told(dir), 0);
	assert_string_equal(says(CRL_NEXT), "");
	assert_string_equal(says(CRL_TOLD), "one");
	assert_int_equal(files(), 2);
}

/* Those of the last of several URLs; whose they are is told. */
static void read_hints(const char *url, struct crl_hints *h)
{
	char first[] = "http://first.example/", *own = strdup(url);
	char *const urls[] = {first, own};
	size_t whose = crl_hints_read(dir, urls, 2, h);

	assert_true(whose == (h->before == CRL_BEFORE_UNKNOWN ? 2 : 1));
	free(own);
}

static void what_was_under_way_is_cleaned_and_nothing_else(void **state)
{
	char path[300];
	struct crl_hints h = {.etag = "\"1\""};
	struct crl_state_seen seen;
	struct stat s;

	(void)state;
	install("one");
	crl_hints_write(dir, URL, &h);
	assert_int_equal(crl_state_link(dir, CRL_CURRENT, CRL_NEXT), 0);
	for (int i = 0; i < 3; i++)
		close(crl_state_new(dir, path, sizeof path));
	assert_int_equal(files(), 6);
	assert_int_equal(crl_state_look(dir, false, &seen), 0);
	assert_int_equal(files(), 6);
	assert_int_equal(crl_state_look(dir, true, &seen), 0);
	assert_int_equal(files(), 3);
	assert_true(seen.hints && seen.file[CRL_CURRENT] && seen.file[CRL_NEXT]);
	assert_false(seen.file[CRL_TOLD]);
	assert_string_equal(says(CRL_CURRENT), "one");
	assert_int_equal(crl_state_stat(dir, CRL_NEXT, &s), 0);
	assert_int_equal(s.st_nlink, 2);
	assert_int_equal(crl_state_stat(dir, CRL_TOLD, &s), -1);
}

static void write_text(const char *name, const char *text)
{
	char path[300];
	FILE *f;

	snprintf(path, sizeof path, "%s/%s", dir, name);
	f = fopen(path, "w");
	assert_non_null(f);
	fputs(text, f);
	fclose(f);
}

/* RFC 9110 sections 8.8.1 and 8.8.2.2 (R115): what may be that of two lists is not kept.
 */
static void validators_that_two_lists_may_share_are_not_kept(void **state)
{
	static const char modified[] = "Sun, 06 Nov 1994 08:49:37 GMT";
	static const struct {
		const char *etag, *last_modified, *date;
		bool keeps_etag, keeps_date;
	} row[] = {
	    {"\"1\"", modified, "Sun, 06 Nov 1994 08:49:39 GMT", true, true},
	    {"\"1\"", modified, "Sunday, 06-Nov-94 08:49:39 GMT", true, true},
	    {"", modified, "Mon, 07 Nov 1994 08:49:39 GMT", false, true},
	    {"W/\"1\"", modified, "Sun, 06 Nov 1994 08:49:39 GMT", false, true},
	    {"\"1\"", modified, "Sun, 06 Nov 1994 08:49:38 GMT", false, false},
	    {"\"1\"", modified, modified, false, false},
	    {"\"1\"", modified, "Sun, 06 Nov 1994 08:49:30 GMT", false, false},
	    {"\"1\"", modified, "", false, false},
	    {"\"1\"", modified, "now", false, false},
	    {"\"1\"", "yesterday", "Sun, 06 Nov 1994 08:49:39 GMT", false, false},
	    {"\"1\"", "", "", true, false},
	    {"W/\"1\"", "", "Sun, 06 Nov 1994 08:49:39 GMT", false, false},
	    {"1", "", "", false, false},
	    {"", "", "", false, false},
	};
	char longest[257] = "\"";
	struct crl_hints h;

	(void)state;
	for (size_t i = 0; i < sizeof row / sizeof row[0]; i++) {
		memset(&h, 'x', sizeof h);
		crl_hints_take(&h, row[i].etag, row[i].last_modified, row[i].date);
		assert_string_equal(h.etag, row[i].keeps_etag ? row[i].etag : "");
		assert_string_equal(
		    h.last_modified, row[i].keeps_date ? row[i].last_modified : "");
	}
	memset(longest + 1, 'x', sizeof longest - 2);
	crl_hints_take(&h, longest, "", "");
	assert_string_equal(h.etag, "");
}

static void hints_are_of_one_url_or_none(void **state)
{
	struct crl_hints h = {.etag = "W/\"a b\"", .last_modified = "", .before = -17}, r;

	(void)state;
	memset(h.sha256, 0xa5, 32);
	read_hints(URL, &r);
	assert_string_equal(r.etag, "");
	assert_true(r.before == CRL_BEFORE_UNKNOWN);
	crl_hints_write(dir, URL, &h);
	read_hints(URL, &r);
	assert_memory_equal(&h, &r, sizeof h);
	read_hints(URL "x", &r);
	assert_string_equal(r.etag, "");
	assert_int_equal(r.sha256[0], 0);
}

/* A file that was cut, or written by somebody else, gives none: no header of ours is made
 * of it. */
static void broken_hints_are_none(void **state)
{
	static const char *const broken[] = {
	    "",
	    "url " URL "\netag \"1\"\nlast-modified \n",
	    "url " URL "\netag \"1\"\nlast-modified \nbefore 7\nsha256 00\n",
	    "url " URL "\netag \"1\"\rX: y\nlast-modified \nbefore 7\nsha256 "
	    "0000000000000000000000000000000000000000000000000000000000000000\n",
	    "url " URL "\netag \"1\"\nlast-modified "
	    "01234567890123456789012345678901234567890123456789012345678901234567890\n"
	    "before 7\nsha256 "
	    "0000000000000000000000000000000000000000000000000000000000000000\n",
	    "url " URL "\netag \"1\"\nlast-modified \nbefore 7x\nsha256 "
	    "0000000000000000000000000000000000000000000000000000000000000000\n",
	    /* of a version that kept every validator */
	    "url " URL "\netag \"1\"\nlast-modified \nsha256 "
	    "0000000000000000000000000000000000000000000000000000000000000000\n",
	    "url " URL "\netag \"1\"\nlast-modified \nbefore 7\nsha256 "
	    "000000000000000000000000000000000000000000000000000000000000000g\n",
	    "url " URL "\netag \"1\"\nlast-modified \nbefore 7\nsha256 "
	    "0000000000000000000000000000000000000000000000000000000000000000",
	};
	struct crl_hints h;

	(void)state;
	for (size_t i = 0; i < sizeof broken / sizeof broken[0]; i++) {
		write_text("hints", broken[i]);
		read_hints(URL, &h);
		assert_string_equal(h.etag, "");
		assert_true(h.before == CRL_BEFORE_UNKNOWN);
	}
	memset(&h, 0, sizeof h);
	strcpy(h.etag, "\"1\"\nX: y");
	remove_all(dir);
	crl_hints_write(dir, URL, &h);
	read_hints(URL, &h);
	assert_string_equal(h.etag, "");
	make_dir();
}

/* A FIFO would be waited for, a device might do anything: whatever is no file is not
 * read, and is told apart from what is not there. */
static void what_is_no_regular_file_is_neither_read_nor_waited_for(void **state)
{
	struct crl_hints h = {.etag = "\"1\""}, read;
	char path[300], new[300];

	(void)state;
	snprintf(path, sizeof path, "%s/told", dir);
	assert_int_equal(mkfifo(path, 0600), 0);
	assert_int_equal(crl_state_open(dir, CRL_TOLD), -1);
	assert_string_equal(crl_state_why(errno), "not a regular file");
	assert_int_equal(unlink(path), 0);
	assert_int_equal(mkdir(path, 0700), 0);
	assert_int_equal(crl_state_open(dir, CRL_TOLD), -1);
	assert_string_equal(crl_state_why(errno), "not a regular file");
	assert_int_equal(rmdir(path), 0);
	assert_int_equal(symlink("/dev/zero", path), 0);
	assert_int_equal(crl_state_open(dir, CRL_TOLD), -1);
	assert_string_equal(crl_state_why(errno), "not a regular file");
	assert_int_equal(unlink(path), 0);
	assert_int_equal(symlink("nothing", path), 0);
	assert_int_equal(crl_state_open(dir, CRL_TOLD), -1);
	assert_string_equal(crl_state_why(errno), "not a regular file");
	assert_int_equal(unlink(path), 0);
	assert_int_equal(mknod(path, S_IFSOCK | 0600, 0), 0);
	assert_int_equal(crl_state_open(dir, CRL_TOLD), -1);
	assert_string_equal(crl_state_why(errno), "not a regular file");
	assert_int_equal(unlink(path), 0);
	assert_int_equal(crl_state_open(dir, CRL_TOLD), -1);
	assert_int_equal(errno, ENOENT);
	assert_string_equal(crl_state_why(EIO), strerror(EIO));

	snprintf(path, sizeof path, "%s/hints", dir);
	snprintf(new, sizeof new, "%s/new.hints", dir);
	assert_int_equal(mkfifo(path, 0600), 0);
	assert_int_equal(mkfifo(new, 0600), 0);
	read_hints(URL, &read);
	assert_string_equal(read.etag, "");
	crl_hints_write(dir, URL, &h);
	read_hints(URL, &read);
	assert_string_equal(read.etag, "\"1\"");
}

/* The name of another list, until there is one of its own. */
static void a_list_may_be_known_to_be_another(void **state)
{
	struct crl_state_seen seen;
	char *same;

	(void)state;
	assert_null(crl_state_same(dir));
	crl_state_join(dir, "http://first.example/");
	crl_state_join(dir, URL);
	crl_state_join(dir, "a\nb"); /* not written */
	assert_int_equal(crl_state_look(dir, true, &seen), 0);
	assert_true(seen.same);
	same = crl_state_same(dir);
	assert_string_equal(same, URL);
	free(same);
	install("one");
	assert_null(crl_state_same(dir));
	assert_int_equal(crl_state_look(dir, true, &seen), 0);
	assert_false(seen.same);
}

int main(void)
{
	const struct CMUnitTest cases[] = {
	    cmocka_unit_test(a_scope_is_issuer_and_name_and_not_their_sum),
	    cmocka_unit_test_setup_teardown(
		the_folder_is_made_once_and_is_nobody_elses, begin, end),
	    cmocka_unit_test_setup_teardown(
		a_list_goes_from_current_to_next_to_told, begin, end),
	    cmocka_unit_test_setup_teardown(
		telling_a_list_again_leaves_no_name_behind, begin, end),
	    cmocka_unit_test_setup_teardown(
		what_is_current_is_made_current_again, begin, end),
	    cmocka_unit_test_setup_teardown(
		what_was_under_way_is_cleaned_and_nothing_else, begin, end),
	    cmocka_unit_test_setup_teardown(
		a_list_may_be_known_to_be_another, begin, end),
	    cmocka_unit_test(validators_that_two_lists_may_share_are_not_kept),
	    cmocka_unit_test_setup_teardown(hints_are_of_one_url_or_none, begin, end),
	    cmocka_unit_test_setup_teardown(broken_hints_are_none, begin, end),
	    cmocka_unit_test_setup_teardown(
		what_is_no_regular_file_is_neither_read_nor_waited_for, begin, end),
	};

	return cmocka_run_group_tests(cases, NULL, NULL);
}
