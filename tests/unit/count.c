/* How many are revoked, and all by status, CA and end. */
#include "proxy/watch/count.h"

#include <event2/event.h>
#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

#include "proxy/base/clock.h"
#include "tests/lib/watch_house.h"

#define MANY 10000 /* more than two batches */

static struct watch_house h;

static int set_up(void **state)
{
	(void)state;
	watch_house_begin(&h, 64u << 20);
	return 0;
}

static int tear_down(void **state)
{
	(void)state;
	watch_house_end(&h);
	return 0;
}

static struct {
	bool done;
	enum err error;
} told;

static void on_done(void *arg, enum err e)
{
	(void)arg;
	assert_false(told.done);
	told.done = true;
	told.error = e;
}

static const struct count_want want = {.context = &h.context, .done = on_done};

static struct count *end_of(struct count *c, enum err e)
{
	assert_non_null(c);
	assert_false(told.done); /* from the loop alone */
	watch_house_turn(&h, &told.done);
	told.done = false;
	assert_int_equal(told.error, e);
	return c;
}

static struct count *count_lists(size_t first, size_t end)
{
	return end_of(
	    count_of_lists(&want, ledger_inventory(&h.shared), first, end), ERR_OK);
}

static void put(const char *name, unsigned from, unsigned n, bool foreign)
{
	assert_int_equal(watch_house_put(&h, LEDGER_PUT, name, from, n, foreign), ERR_OK);
}

/* Serials 2 (revoked) and 3 (on hold) are hit: of the house, and of no other CA. */
static void each_list_has_its_own(void **state)
{
	struct count *c;

	(void)state;
	put("a", 1, 5, false);
	put("b", 3, 5, false);
	put("c", 1, 5, true);
	put("d", 4, MANY, false);
	c = count_lists(0, 4);
	assert_int_equal(count_revoked(c, 0), 2);
	assert_int_equal(count_revoked(c, 1), 1);
	assert_int_equal(count_revoked(c, 2), 0);
	assert_int_equal(count_revoked(c, 3), 0);
	assert_int_equal(count_not_covered(c, 0), 0);
	assert_int_equal(count_not_covered(c, 2), 5); /* nobody's */
	assert_int_equal(count_not_covered(c, 3), 0);
	assert_ptr_equal(count_inventory(c), ledger_inventory(&h.shared));
	count_free(c);
	c = count_lists(1, 2);
	assert_int_equal(count_revoked(c, 1), 1);
	count_free(c);
}

static void nothing_is_counted_too(void **state)
{
	struct count *c = count_lists(0, 0);

	(void)state;
	count_free(c);
	c = end_of(count_of_all(&want, ledger_inventory(&h.shared)), ERR_OK);
	assert_int_equal(
	    count_status(c)->good + count_status(c)->revoked + count_status(c)->unknown,
	    0);
	count_free(c);
	count_free(NULL);
}

/* Who stands on several lists counts once; whose issuer is not configured is unknown. */
static void all_are_counted_once(void **state)
{
	const struct inventory *v;
	struct count *c;
	size_t of_ca = 0;

	(void)state;
	put("a", 1, MANY, false);
	put("b", 1, 5, false);
	put("c", 1, 7, true);
	v = ledger_inventory(&h.shared);
	c = end_of(count_of_all(&want, v), ERR_OK);
	assert_int_equal(count_status(c)->revoked, 2);
	assert_int_equal(count_status(c)->good, MANY - 2);
	assert_int_equal(count_status(c)->unknown, 7);
	for (size_t i = 0; i < v->cas->n; i++)
		of_ca += count_of_ca(c, i);
	assert_int_equal(of_ca, MANY + 7);
	assert_int_equal(count_of_ca(c, 0), MANY);
	/* all ended in 1970 */
	assert_int_equal(count_expiry(c)->expired, MANY + 7);
	assert_int_equal(count_expiry(c)->more, 0);
	count_free(c);
}

/* What is counted is what was in force when it began. */
static void a_list_that_goes_meanwhile_is_counted(void **state)
{
	struct ledger_job drop = {.what = LEDGER_DROP, .name = "a"};
	struct count *c;

	(void)state;
	put("a", 1, MANY, false);
	c = count_of_lists(&want, ledger_inventory(&h.shared), 0, 1);
	assert_non_null(c);
	assert_int_equal(watch_house_job(&h, drop).error, ERR_OK);
	if (!told.done)
		watch_house_turn(&h, &told.done);
	told.done = false;
	assert_int_equal(told.error, ERR_OK);
	assert_int_equal(count_revoked(c, 0), 2);
	count_free(c);
}

static void a_stop_ends_it(void **state)
{
	struct count *c;

	(void)state;
	put("a", 1, MANY, false);
	h.context.stopping = true;
	c = end_of(
	    count_of_lists(&want, ledger_inventory(&h.shared), 0, 1), ERR_CANCELLED);
	count_free(c);
	assert_int_equal(h.context.away, 0);
}

#define A_HOUSE(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
	    A_HOUSE(each_list_has_its_own),
	    A_HOUSE(nothing_is_counted_too),
	    A_HOUSE(all_are_counted_once),
	    A_HOUSE(a_list_that_goes_meanwhile_is_counted),
	    A_HOUSE(a_stop_ends_it),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
