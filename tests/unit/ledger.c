/* Jobs change the lists one after the other, on disk and in force; and what fails changes
 * nothing. */
#include "proxy/watch/ledger.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

#include "cache/watch/watch_db.h"
#include "proxy/watch/known.h"
#include "tests/lib/watch_house.h"

#define SIZE (1u << 20)

static struct watch_house h;

static int set_up(void **state)
{
	(void)state;
	watch_house_begin(&h, SIZE);
	return 0;
}

static int tear_down(void **state)
{
	(void)state;
	watch_house_end(&h);
	return 0;
}

/* Certificates of a list that is in force; -1: there is none. */
static int in_force(const char *name)
{
	const struct watch_list *l = inventory_list(ledger_inventory(&h.shared), name);

	return l != NULL ? (int)l->n : -1;
}

/* In force, and after a restart. */
static void has(const char *name, int n)
{
	assert_int_equal(in_force(name), n);
	watch_house_again(&h, SIZE);
	assert_int_equal(in_force(name), n);
}

static void a_put_is_in_force_and_on_disk(void **state)
{
	(void)state;
	assert_int_equal(watch_house_put(&h, LEDGER_PUT, "web", 1, 10, false), ERR_OK);
	has("web", 10);
	assert_int_equal(watch_house_put(&h, LEDGER_PUT, "web", 5, 3, false), ERR_OK);
	has("web", 3);
	assert_int_equal(watch_house_put(&h, LEDGER_ADD, "web", 7, 4, false), ERR_OK);
	has("web", 6); /* one was there */
	assert_int_equal(
	    watch_house_put(&h, LEDGER_ADD, "none", 1, 1, false), ERR_NOT_FOUND);
	has("none", -1);
}

static void a_list_of_files_is_not_the_apis_to_change(void **state)
{
	struct ledger_job job = {
	    .what = LEDGER_DROP, .name = "web", .source = WATCH_FILES};

	(void)state;
	assert_int_equal(watch_house_put(&h, LEDGER_PUT, "web", 1, 2, false), ERR_OK);
	job = watch_house_job(&h, job);
	assert_true(job.foreign);
	has("web", 2);
}

static void a_certificate_goes_and_then_the_list(void **state)
{
	struct ledger_job job = {
	    .what = LEDGER_REMOVE, .name = "web", .issuer = "house", .serial = {1, {2}}};

	(void)state;
	assert_int_equal(watch_house_put(&h, LEDGER_PUT, "web", 1, 3, false), ERR_OK);
	assert_int_equal(watch_house_job(&h, job).error, ERR_OK);
	has("web", 2);
	assert_int_equal(watch_house_job(&h, job).error, ERR_NOT_FOUND);
	strcpy(job.issuer, "other");
	job.serial.octets[0] = 1;
	assert_int_equal(watch_house_job(&h, job).error, ERR_NOT_FOUND);
	has("web", 2);
	job.what = LEDGER_DROP;
	assert_int_equal(watch_house_job(&h, job).error, ERR_OK);
	has("web", -1);
	assert_int_equal(watch_house_job(&h, job).error, ERR_NOT_FOUND);
}

/* Of CAs that are called so by the configuration, now. */
static void a_ca_is_called_as_it_is_configured(void **state)
{
	struct ledger_job job = {.what = LEDGER_NAME};
	struct issuers *none;
	size_t clash[2];

	(void)state;
	assert_int_equal(watch_house_put(&h, LEDGER_PUT, "web", 1, 3, false), ERR_OK);
	job.known = known_ref(h.context.known);
	assert_int_equal(watch_house_job(&h, job).error, ERR_OK);
	assert_string_equal(
	    watch_cas_called(ledger_inventory(&h.shared)->cas, "house", NULL)->dn,
	    "CN=House CA");
	/* a configuration without it, and one with it again */
	assert_int_equal(issuers_new(&none, NULL, 0, clash), ERR_OK);
	job.known = known_new(none);
	issuers_free(none);
	assert_int_equal(watch_house_job(&h, job).error, ERR_OK);
	assert_null(watch_cas_called(ledger_inventory(&h.shared)->cas, "house", NULL));
	has("web", 3);
	assert_null(watch_cas_called(ledger_inventory(&h.shared)->cas, "house", NULL));
	job.known = known_ref(h.context.known);
	assert_int_equal(watch_house_job(&h, job).error, ERR_OK);
	assert_non_null(
	    watch_cas_called(ledger_inventory(&h.shared)->cas, "house", NULL));
}

static bool is_failing(void)
{
	char why[512];
	bool failing = ledger_failing(h.context.ledger, why, sizeof why);

	assert_int_equal(
	    failing, strstr(why, "watch.mdb: it is full; raise watch-size") != NULL);
	return failing;
}

static void what_has_no_room_changes_nothing_and_is_told(void **state)
{
	(void)state;
	assert_int_equal(watch_house_put(&h, LEDGER_PUT, "web", 1, 10, false), ERR_OK);
	assert_false(is_failing());
	assert_int_equal(
	    watch_house_put(&h, LEDGER_PUT, "web", 100, 20000, false), ERR_STORE_FULL);
	assert_true(is_failing());
	/* what has nothing to do with the file */
	assert_int_equal(
	    watch_house_put(&h, LEDGER_ADD, "none", 1, 1, false), ERR_NOT_FOUND);
	assert_true(is_failing());
	assert_int_equal(in_force("web"), 10);
	assert_int_equal(watch_house_put(&h, LEDGER_ADD, "web", 11, 1, false), ERR_OK);
	assert_false(is_failing());
	has("web", 11);
}

static void on_change(void *arg)
{
	++*(int *)arg;
}

static void who_counts_is_told_of_each_change_and_of_no_failure(void **state)
{
	int changes = 0;

	(void)state;
	ledger_on_change(h.context.ledger, on_change, &changes);
	assert_int_equal(watch_house_put(&h, LEDGER_PUT, "web", 1, 2, false), ERR_OK);
	assert_int_equal(changes, 1);
	assert_int_equal(
	    watch_house_put(&h, LEDGER_ADD, "none", 1, 1, false), ERR_NOT_FOUND);
	assert_int_equal(changes, 1);
}

static void a_stop_gives_jobs_back(void **state)
{
	(void)state;
	assert_int_equal(watch_house_put(&h, LEDGER_PUT, "web", 1, 2, false), ERR_OK);
	ledger_cancel(h.context.ledger);
	assert_int_equal(
	    watch_house_put(&h, LEDGER_PUT, "web", 5, 9, false), ERR_CANCELLED);
	has("web", 2);
}

/* A reference outlives what took its place. */
static void an_inventory_that_somebody_holds_stays(void **state)
{
	const struct inventory *v;

	(void)state;
	assert_int_equal(watch_house_put(&h, LEDGER_PUT, "web", 1, 5, false), ERR_OK);
	v = inventory_ref(ledger_inventory(&h.shared));
	assert_int_equal(watch_house_put(&h, LEDGER_PUT, "web", 1, 1, false), ERR_OK);
	assert_int_equal(inventory_list(v, "web")->n, 5);
	assert_int_equal(in_force("web"), 1);
	inventory_unref(v);
}

#define A_HOUSE(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
	    A_HOUSE(a_put_is_in_force_and_on_disk),
	    A_HOUSE(a_list_of_files_is_not_the_apis_to_change),
	    A_HOUSE(a_certificate_goes_and_then_the_list),
	    A_HOUSE(a_ca_is_called_as_it_is_configured),
	    A_HOUSE(what_has_no_room_changes_nothing_and_is_told),
	    A_HOUSE(who_counts_is_told_of_each_change_and_of_no_failure),
	    A_HOUSE(a_stop_gives_jobs_back),
	    A_HOUSE(an_inventory_that_somebody_holds_stays),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
