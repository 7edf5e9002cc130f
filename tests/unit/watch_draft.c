#include "cache/watch/watch_draft.h"

#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include <cmocka.h>

#include "cache/base/issuer.h"
#include "tests/lib/child.h"
#include "tests/lib/inventory_kit.h"
#include "tests/lib/store_kit.h"

static char *dir;

static int setup(void **state)
{
	(void)state;
	dir = kit_directory();
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	kit_remove(dir);
	return 0;
}

/* CAs are known by 10, 20, 30, ... from the last to the first. */
static void sort(struct watch_draft *d)
{
	size_t n = watch_draft_cas(d);
	uint32_t *id = calloc(n + 1, sizeof *id);

	for (size_t i = 0; i < n; i++)
		id[i] = (uint32_t)(10 * (n - i));
	assert_int_equal(watch_draft_sort(d, id), ERR_OK);
	free(id);
}

static void check_order(const struct watch_draft *d)
{
	for (size_t i = 1; i < watch_draft_count(d); i++) {
		uint32_t before = watch_draft_id(d, i - 1), now = watch_draft_id(d, i);

		assert_true(before < now ||
			    (before == now && crl_order(watch_draft_entry(d, i - 1),
						  watch_draft_entry(d, i)) < 0));
	}
}

/* Number i's name number k. */
static struct bytes name_of(const struct watch_draft *d, size_t i, size_t k)
{
	struct watch_record row;
	struct bytes text = {NULL, 0};

	assert_int_equal(watch_record_decode(&row, watch_draft_row(d, i)), ERR_OK);
	for (size_t n = 0; n <= k; n++)
		assert_true(watch_run_next(&row.names, &text));
	return text;
}

static bool is(struct bytes b, const char *text)
{
	return bytes_equal(b, bytes_of(text, strlen(text)));
}

static void any_order_comes_out_sorted(void **state)
{
	struct watch_draft *d = watch_draft_new(dir);

	(void)state;
	for (uint32_t i = 0; i < 3000; i++) {
		struct kit_cert c;
		char name[32];

		kit_cert(&c, i % 3, kit_wide_serial(i * 7919 % 3000));
		snprintf(name, sizeof name, "h%u.ca%u.example", i * 7919 % 3000, i % 3);
		kit_name(&c, name);
		assert_int_equal(watch_draft_add(d, &c.cert), ERR_OK);
	}
	assert_int_equal(watch_draft_count(d), 3000);
	assert_int_equal(watch_draft_cas(d), 3);
	sort(d);
	assert_int_equal(watch_draft_count(d), 3000);
	check_order(d);
	for (size_t i = 0; i < 3000; i++) { /* each with the row that is its own */
		struct serial s, want;
		unsigned n, ca;
		char text[32] = "";
		struct bytes name = name_of(d, i, 0);

		memcpy(text, name.p, name.n);
		assert_int_equal(sscanf(text, "h%u.ca%u.example", &n, &ca), 2);
		crl_entry_serial(watch_draft_entry(d, i), &s);
		want = kit_wide_serial(n);
		assert_true(serial_equal(&s, &want));
		assert_int_equal(watch_draft_id(d, i), 10 * (3 - ca));
	}
	watch_draft_free(d);
}

static void what_was_said_last_counts(void **state)
{
	struct watch_draft *d = watch_draft_new(dir);
	struct kit_cert c;

	(void)state;
	for (unsigned round = 0; round < 3; round++)
		for (unsigned i = 0; i < 100; i++) {
			char name[32];

			kit_cert(&c, 0, kit_wide_serial(i));
			snprintf(name, sizeof name, "r%u.example", round);
			kit_name(&c, name);
			c.cert.not_after = 1000 + round;
			assert_int_equal(watch_draft_add(d, &c.cert), ERR_OK);
		}
	sort(d);
	assert_int_equal(watch_draft_count(d), 100);
	for (size_t i = 0; i < 100; i++)
		assert_true(is(name_of(d, i, 0), "r2.example"));
	watch_draft_free(d);
}

/* Whichever comes first. */
static void what_is_kept_counts_where_nothing_else_is_said(void **state)
{
	struct watch_draft *d = watch_draft_new(dir);
	uint8_t names[32], row[128];
	struct watch_record r = {.not_after = 5};
	struct watch_draft_ca ca = {.issuer = "", .dn = "", .aki_n = 20};
	size_t n = 0;

	(void)state;
	memset(ca.aki, 1, 20);
	watch_run_add(names, &n, "kept.example", 12);
	r.names = bytes_of(names, n);
	n = watch_record_encode(&r, row);
	for (uint64_t i = 0; i < 30; i++) {
		struct serial s = kit_wide_serial(i);

		if (i < 10)
			assert_int_equal(kit_fill(d, 0, i, 1, "x"), ERR_OK);
		if (i < 20)
			assert_int_equal(
			    watch_draft_keep(d, &ca, &s, bytes_of(row, n)), ERR_OK);
		if (i >= 10)
			assert_int_equal(
			    kit_fill(d, 0, i < 20 ? i : i + 100, 1, "x"), ERR_OK);
	}
	assert_int_equal(watch_draft_cas(d), 1);
	sort(d);
	assert_int_equal(watch_draft_count(d), 30);
	for (size_t i = 0; i < 30; i++)
		assert_false(is(name_of(d, i, 0), "kept.example"));
	watch_draft_free(d);
	d = watch_draft_new(dir);
	for (uint64_t i = 0; i < 5; i++) {
		struct serial s = kit_wide_serial(i);

		assert_int_equal(watch_draft_keep(d, &ca, &s, bytes_of(row, n)), ERR_OK);
	}
	sort(d);
	assert_int_equal(watch_draft_count(d), 5);
	assert_true(is(name_of(d, 4, 0), "kept.example"));
	watch_draft_free(d);
}

static void a_ca_is_one_however_it_is_named(void **state)
{
	struct watch_draft *d = watch_draft_new(dir);
	char demo[] = "demo";
	struct issuer configured = {.name = demo};
	uint32_t id[4] = {7, 7, 3, 9};
	struct kit_cert c;

	(void)state;
	kit_cert(&c, 0, kit_wide_serial(1)); /* by its key, no DN */
	c.cert.issuer_name.n = 0;
	assert_int_equal(watch_draft_add(d, &c.cert), ERR_OK);
	kit_cert(&c, 0, kit_wide_serial(2)); /* the same key, and a DN */
	assert_int_equal(watch_draft_add(d, &c.cert), ERR_OK);
	kit_cert(&c, 0, kit_wide_serial(1)); /* by the name of an issuer */
	c.cert.configured = &configured;
	c.cert.aki.n = 0;
	assert_int_equal(watch_draft_add(d, &c.cert), ERR_OK);
	kit_cert(&c, 5, kit_wide_serial(2)); /* whose key another one tells */
	c.cert.issuer = "demo";
	assert_int_equal(watch_draft_add(d, &c.cert), ERR_OK);
	kit_cert(&c, 1, kit_wide_serial(3)); /* by its DN */
	c.cert.aki.n = 0;
	assert_int_equal(watch_draft_add(d, &c.cert), ERR_OK);
	kit_cert(&c, 2, kit_wide_serial(3));
	assert_int_equal(watch_draft_add(d, &c.cert), ERR_OK);
	assert_int_equal(watch_draft_cas(d), 4);
	assert_string_equal(watch_draft_ca(d, 0)->dn, "CN=CA 0,O=Test");
	assert_string_equal(watch_draft_ca(d, 1)->issuer, "demo");
	assert_int_equal(watch_draft_ca(d, 1)->aki_n, 20);
	assert_int_equal(watch_draft_ca(d, 1)->aki[0], 6);
	assert_string_equal(watch_draft_ca(d, 2)->dn, "CN=CA 1,O=Test");
	/* the first two turn out to be one: 1 and 2 stand once */
	assert_int_equal(watch_draft_sort(d, id), ERR_OK);
	assert_int_equal(watch_draft_count(d), 4);
	check_order(d);
	watch_draft_free(d);
}

static void who_is_of_no_ca_is_refused(void **state)
{
	struct watch_draft *d = watch_draft_new(dir);
	struct kit_cert c;

	(void)state;
	kit_cert(&c, 0, kit_wide_serial(1));
	c.cert.aki.n = c.cert.issuer_name.n = 0;
	assert_int_equal(watch_draft_add(d, &c.cert), ERR_REQ_ISSUER);
	watch_draft_free(d);
}

static void a_list_may_name_65535_cas(void **state)
{
	struct watch_draft *d = watch_draft_new(dir);
	struct kit_cert c;
	enum err e = ERR_OK;
	size_t n = 0;

	(void)state;
	for (; e == ERR_OK && n < 70000; n++) {
		kit_cert(&c, 0, kit_wide_serial(5));
		put_be(c.aki, n, 4);
		e = watch_draft_add(d, &c.cert);
	}
	assert_int_equal(e, ERR_REQ_ISSUER);
	assert_int_equal(n, WATCH_DRAFT_CAS_MAX + 1);
	watch_draft_free(d);
}

/* Texts of 16 KiB and eight URLs, so many that they are spooled; and nothing is left in
 * the folder. */
static void long_texts_go_to_a_spool_without_a_name(void **state)
{
	struct watch_draft *d = watch_draft_new(dir);
	static char long_text[WATCH_TEXT_MAX];
	struct bytes url[WATCH_URLS_MAX];
	struct kit_cert c;
	struct watch_record row;
	struct bytes text;

	(void)state;
	memset(long_text, 'x', sizeof long_text);
	for (size_t i = 0; i < WATCH_URLS_MAX; i++)
		url[i] = bytes_of(long_text, WATCH_URL_MAX);
	for (uint64_t i = 0; i < 100; i++) {
		kit_cert(&c, 0, kit_wide_serial(i));
		c.name[0] = bytes_of(long_text, WATCH_TEXT_MAX - 1 - i);
		c.cert.names_n = 1;
		c.cert.names_more = i;
		c.cert.crl = url;
		c.cert.crl_n = WATCH_URLS_MAX;
		assert_int_equal(watch_draft_add(d, &c.cert), ERR_OK);
	}
	assert_int_equal(rmdir(dir), 0); /* empty */
	assert_int_equal(mkdir(dir, 0700), 0);
	sort(d);
	assert_int_equal(watch_draft_count(d), 100);
	for (size_t i = 0; i < 100; i++) {
		assert_int_equal(
		    watch_record_decode(&row, watch_draft_row(d, i)), ERR_OK);
		assert_true(watch_run_next(&row.names, &text));
		assert_int_equal(text.n, WATCH_TEXT_MAX - 1 - row.names_more);
		assert_int_equal(row.crl.n, WATCH_URLS_MAX * (WATCH_URL_MAX + 2));
	}
	watch_draft_free(d);
}

static void a_full_disk_is_told(void **state)
{
	pid_t pid = child_fork();
	int status;

	(void)state;
	if (pid == 0) {
		struct rlimit limit = {300000, RLIM_INFINITY};
		struct watch_draft *d = watch_draft_new(dir);

		signal(SIGXFSZ, SIG_IGN);
		setrlimit(RLIMIT_FSIZE, &limit);
		_exit(kit_fill(d, 0, 0, 20000, "x") == ERR_STORE_FULL ? 0 : 1);
	}
	waitpid(pid, &status, 0);
	assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 0);
}

/* R16: the shortest and the longest, padded and negative ones come out as they went in.
 */
static void every_serial_is_its_own(void **state)
{
	struct watch_draft *d = watch_draft_new(dir);
	static struct serial s[500];
	size_t n = 0;

	(void)state;
	while (n < 500) {
		struct kit_cert c;
		bool known = false;

		s[n] = kit_odd_serial();
		for (size_t i = 0; i < n; i++)
			known |= serial_equal(&s[i], &s[n]);
		kit_cert(&c, 0, s[n]);
		assert_int_equal(watch_draft_add(d, &c.cert), ERR_OK);
		n += !known;
	}
	sort(d);
	assert_int_equal(watch_draft_count(d), n);
	for (size_t i = 0; i < n; i++) {
		struct serial back;
		size_t at = 0;

		for (size_t k = 0; k < n; k++) {
			crl_entry_serial(watch_draft_entry(d, i), &back);
			at += serial_equal(&back, &s[k]);
		}
		assert_int_equal(at, 1);
	}
	watch_draft_free(d);
}

static void a_folder_that_is_not_there_is_told(void **state)
{
	struct watch_draft *d = watch_draft_new("/nonexistent");

	(void)state;
	assert_int_equal(kit_fill(d, 0, 0, 20000, "x"), ERR_STORE);
	watch_draft_free(d);
}

#define CASE(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
	    CASE(any_order_comes_out_sorted),
	    CASE(what_was_said_last_counts),
	    CASE(what_is_kept_counts_where_nothing_else_is_said),
	    CASE(a_ca_is_one_however_it_is_named),
	    CASE(who_is_of_no_ca_is_refused),
	    CASE(a_list_may_name_65535_cas),
	    CASE(long_texts_go_to_a_spool_without_a_name),
	    CASE(a_full_disk_is_told),
	    CASE(every_serial_is_its_own),
	    CASE(a_folder_that_is_not_there_is_told),
	};

	return cmocka_run_group_tests_name("watch_draft", tests, NULL, NULL);
}
