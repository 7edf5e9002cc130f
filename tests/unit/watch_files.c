/* What a round says of files that come, change, break and go; the clock is the test's. */
#include "proxy/watch/watch_files.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "cache/watch/watch_draft.h"
#include "cache/watch/watch_record.h"
#include "proxy/base/log.h"
#include "proxy/watch/known.h"
#include "tests/lib/store_kit.h"
#include "tests/lib/watch_vectors.h"

static char *dir;
static struct issuers *issuers;
static struct known *known;
static struct watch_files *files;
static struct watch_round r;
static int64_t now;

static char *in(const char *name)
{
	static char path[2][4096];
	static int turn;

	turn = !turn;
	snprintf(path[turn], sizeof path[turn], "%s/%s", dir, name);
	return path[turn];
}

/* As a renewal does: another file of this name. */
static void put(const char *name, const char *text)
{
	FILE *f = fopen(in("../part"), "w");

	assert_non_null(f);
	fputs(text, f);
	fclose(f);
	assert_int_equal(rename(in("../part"), in(name)), 0);
}

static bool change(void)
{
	r = (struct watch_round){
	    .known = known, .now = now, .room = r.room > 0 ? r.room : 1000};
	assert_int_equal(watch_files_round(files, &r), ERR_OK);
	return r.changed;
}

/* Certificates of the draft, those that stand in two files once. */
static size_t certificates(void)
{
	struct watch_draft *d;
	size_t n;

	assert_int_equal(watch_files_draft(files, dir, &d), ERR_OK);
	n = watch_draft_count(d);
	watch_draft_free(d);
	return n;
}

static char *paths[] = {NULL};
static char name[] = "web", label[] = "owner=web team";
static char *labels[] = {label};

static int setup(void **state)
{
	size_t clash[2];
	char *box = kit_directory();

	(void)state;
	log_setup(LOG_ERROR - 1, 0, 0);
	assert_true(asprintf(&dir, "%s/in", box) > 0);
	free(box);
	assert_int_equal(mkdir(dir, 0700), 0);
	assert_int_equal(issuers_new(&issuers, NULL, 0, clash), ERR_OK);
	known = known_new(issuers);
	paths[0] = dir;
	r.room = 0;
	now = 1000;
	files = watch_files_new(&(struct conf_watchlist){.name = name,
	    .certificates = paths,
	    .certificates_n = 1,
	    .labels = labels,
	    .labels_n = 1});
	return known == NULL || files == NULL;
}

static int teardown(void **state)
{
	(void)state;
	watch_files_free(files);
	known_unref(known);
	issuers_free(issuers);
	*strrchr(dir, '/') = '\0';
	kit_remove(dir);
	return 0;
}

static void what_changes_is_read(void **state)
{
	(void)state;
	put("a.pem", PEM_FULL PEM_EC_KEY PEM_CA_A);
	put("b.pem", PEM_OF_B);
	put("privkey.pem", PEM_KEY);
	put("README", "Certificates of the web team.\n");
	assert_true(change());
	assert_int_equal(certificates(), 2);
	assert_int_equal(r.files, 4);
	assert_int_equal(r.unreadable, 0);
	assert_int_equal(r.again, INT64_MAX);
	assert_false(change());
	put("b.pem", PEM_OF_B); /* another file that says the same */
	assert_false(change());
	put("b.pem", PEM_OF_N);
	assert_true(change());
	put("c.pem", PEM_CN);
	assert_true(change());
	assert_int_equal(certificates(), 3);
}

static void what_is_half_written_keeps_what_it_had(void **state)
{
	static const char *const halves[] = {
	    "", "-----BEGIN CERTIFICATE-----\nMIIB", "text", PEM_CA_A, PEM_EC_KEY};

	(void)state;
	put("a.pem", PEM_FULL);
	change();
	for (size_t i = 0; i < sizeof halves / sizeof *halves; i++) {
		put("a.pem", halves[i]);
		assert_false(change());
		assert_int_equal(r.again, now + WATCH_UNREADABLE_MS);
		assert_int_equal(r.unreadable, 0);
		now += WATCH_UNREADABLE_MS - 1;
		assert_false(change());
		assert_int_equal(r.unreadable, 0);
		now++;
		assert_false(change());
		assert_int_equal(r.unreadable, 1); /* told */
		assert_int_equal(certificates(), 1);
		put("a.pem", PEM_FULL);
		assert_false(change());
		assert_int_equal(r.unreadable, 0);
	}
	put("a.pem", "-----BEGIN CERT");
	change();
	put("a.pem", PEM_CN);
	assert_true(change());
	now += WATCH_UNREADABLE_MS;
	assert_false(change());
	assert_int_equal(r.unreadable, 0);
}

static void what_is_gone_goes_after_a_while(void **state)
{
	(void)state;
	put("a.pem", PEM_FULL);
	put("b.pem", PEM_OF_B);
	change();
	unlink(in("b.pem"));
	assert_false(change());
	assert_int_equal(r.again, now + WATCH_GONE_MS);
	now += WATCH_GONE_MS - 1;
	assert_false(change());
	put("b.pem", PEM_OF_B); /* it was renewed by removing and writing */
	assert_false(change());
	now += WATCH_GONE_MS;
	assert_false(change());
	assert_int_equal(certificates(), 2);
	unlink(in("b.pem"));
	assert_false(change());
	now += WATCH_GONE_MS;
	assert_true(change());
	assert_int_equal(certificates(), 1);
	assert_false(change());
}

static void what_is_too_large_is_told(void **state)
{
	FILE *f;

	(void)state;
	put("a.pem", PEM_FULL);
	put("b.pem", "");
	f = fopen(in("b.pem"), "w");
	fputs(PEM_OF_B, f);
	for (size_t i = strlen(PEM_OF_B); i < WATCH_FILE_MAX; i++)
		fputc('\n', f);
	fclose(f);
	assert_true(change());
	assert_int_equal(certificates(), 2);
	f = fopen(in("b.pem"), "a");
	fputc('\n', f);
	fclose(f);
	assert_false(change());
	now += WATCH_UNREADABLE_MS;
	assert_false(change());
	assert_int_equal(r.unreadable, 1);
	assert_int_equal(certificates(), 2);
}

static void beyond_the_room_nothing_is_read_and_nothing_lost(void **state)
{
	(void)state;
	put("a.pem", PEM_FULL);
	put("b.pem", PEM_OF_B);
	change();
	r.room = 1;
	assert_false(change());
	now += WATCH_GONE_MS;
	assert_false(change());
	assert_int_equal(r.files, 1);
	assert_int_equal(certificates(), 2);
}

static void a_link_that_leads_elsewhere_is_told(void **state)
{
	(void)state;
	put("../secret.pem", PEM_FULL);
	put("b.pem", PEM_OF_B);
	assert_int_equal(symlink("../secret.pem", in("a.pem")), 0);
	assert_true(change());
	assert_int_equal(certificates(), 1);
	now += WATCH_UNREADABLE_MS;
	change();
	assert_int_equal(r.unreadable, 1);
	unlink(in("b.pem")); /* it hides nothing that is gone */
	change();
	now += WATCH_GONE_MS;
	assert_true(change());
	assert_int_equal(certificates(), 0);
}

/* What else is gone goes. */
static void what_lies_in_a_closed_folder_stays(void **state)
{
	(void)state;
	assert_int_equal(mkdir(in("sub"), 0700), 0);
	put("sub/a.pem", PEM_FULL);
	put("b.pem", PEM_OF_B);
	put("subway.pem", PEM_CN);
	change();
	assert_int_equal(certificates(), 3);
	assert_int_equal(rename(in("sub"), in("../sub")), 0);
	assert_int_equal(symlink("sub", in("sub")), 0); /* for root too */
	unlink(in("subway.pem"));
	assert_false(change());
	now += WATCH_GONE_MS;
	assert_true(change());
	assert_int_equal(certificates(), 2);
	assert_int_equal(r.unreadable, 1);
	unlink(in("sub"));
	assert_int_equal(rename(in("../sub"), in("sub")), 0);
	assert_false(change());
	assert_int_equal(r.unreadable, 0);
	assert_int_equal(certificates(), 2);
}

/* The last run had certificates of it, which nobody knows here. */
static void what_was_unreadable_at_first_is_owed(void **state)
{
	(void)state;
	put("a.pem", "-----BEGIN CERTIFICATE-----\n");
	put("b.pem", PEM_OF_B);
	assert_true(change());
	assert_true(watch_files_adds(files));
	put("c.pem", "-----BEGIN CERTIFICATE-----\n");
	assert_false(change());
	put("a.pem", PEM_FULL);
	assert_true(change());
	assert_false(watch_files_adds(files)); /* c had nothing before */
}

static void labels_are_said_of_each_and_a_change_is_one(void **state)
{
	struct watch_record row;
	struct bytes text;
	struct watch_draft *d;
	uint32_t id[8] = {0};

	(void)state;
	put("a.pem", PEM_FULL);
	change();
	assert_int_equal(watch_files_draft(files, dir, &d), ERR_OK);
	assert_int_equal(watch_draft_sort(d, id), ERR_OK);
	assert_int_equal(watch_record_decode(&row, watch_draft_row(d, 0)), ERR_OK);
	assert_true(watch_run_next(&row.labels, &text));
	assert_true(bytes_equal(text, bytes_of("owner=web team", 14)));
	assert_false(watch_run_next(&row.labels, &text));
	assert_true(watch_run_next(&row.names, &text));
	watch_draft_free(d);
	assert_true(watch_files_configure(
	    files, &(struct conf_watchlist){.certificates = paths, .certificates_n = 1}));
	assert_true(change());
	assert_false(change());
}

static void a_round_that_is_stopped_changes_nothing(void **state)
{
	_Atomic bool stop = true;

	(void)state;
	put("a.pem", PEM_FULL);
	change();
	put("b.pem", PEM_OF_B);
	r = (struct watch_round){.known = known, .now = now, .room = 10, .stop = &stop};
	assert_int_equal(watch_files_round(files, &r), ERR_CANCELLED);
	assert_int_equal(certificates(), 1);
	assert_true(change());
	assert_int_equal(certificates(), 2);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test_setup_teardown(what_changes_is_read, setup, teardown),
	    cmocka_unit_test_setup_teardown(
		what_is_half_written_keeps_what_it_had, setup, teardown),
	    cmocka_unit_test_setup_teardown(
		what_is_gone_goes_after_a_while, setup, teardown),
	    cmocka_unit_test_setup_teardown(what_is_too_large_is_told, setup, teardown),
	    cmocka_unit_test_setup_teardown(
		beyond_the_room_nothing_is_read_and_nothing_lost, setup, teardown),
	    cmocka_unit_test_setup_teardown(
		a_link_that_leads_elsewhere_is_told, setup, teardown),
	    cmocka_unit_test_setup_teardown(
		what_lies_in_a_closed_folder_stays, setup, teardown),
	    cmocka_unit_test_setup_teardown(
		what_was_unreadable_at_first_is_owed, setup, teardown),
	    cmocka_unit_test_setup_teardown(
		labels_are_said_of_each_and_a_change_is_one, setup, teardown),
	    cmocka_unit_test_setup_teardown(
		a_round_that_is_stopped_changes_nothing, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
