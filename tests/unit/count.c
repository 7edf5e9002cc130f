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
	assert_int_equal(count_list(c, 0)->revoked, 2);
	assert_int_equal(count_list(c, 1)->revoked, 1);
	assert_int_equal(count_list(c, 2)->revoked, 0);
	assert_int_equal(count_list(c, 3)->revoked, 0);
	assert_int_equal(count_list(c, 0)->not_covered, 0);
	assert_int_equal(count_list(c, 2)->not_covered, 5); /* nobody's */
	assert_int_equal(count_list(c, 3)->not_covered, 0);
	assert_ptr_equal(count_inventory(c), ledger_inventory(&h.shared));
	count_free(c);
	c = count_lists(1, 2);
	assert_int_equal(count_list(c, 1)->revoked, 1);
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

#define FROM INT64_C(1700000000)
#define TO   INT64_C(4000000000)

/* By who has its name and began later, in date, on the same list, and is not hit himself,
 * of whatever CA. */
static void who_is_hit_is_replaced_by_a_newer_one(void **state)
{
	static const struct watch_house_cert all[] = {
	    {WATCH_HOUSE_REVOKED, FROM, TO, "a.example", false},
	    {WATCH_HOUSE_HELD, FROM + 1, TO, "a.example", false},
	    {20, FROM + 2, TO, "a.example", false},
	    {21, FROM + 3, TO, "b.example", true},
	    {22, FROM, TO, "b.example", false},
	};
	static const struct watch_house_cert not_yet[] = {
	    {WATCH_HOUSE_REVOKED, FROM, TO, "a.example", false},
	    {WATCH_HOUSE_HELD, FROM, TO, "b.example", false},
	    {20, FROM, TO, "a.example", false},           /* no later */
	    {21, FROM + 1, FROM + 2, "a.example", false}, /* ended */
	    {22, FROM + 1, TO, "*.example", false},       /* another name */
	};
	static const struct watch_house_cert other[] = {
	    {WATCH_HOUSE_REVOKED, FROM, TO, "a.example", false},
	    {WATCH_HOUSE_HELD, FROM + 1, TO, "a.example", false},
	    {21, FROM + 2, TO, "a.example", true},
	};
	struct count *c;

	(void)state;
	watch_house_put_certs(&h, "a", all, 5);
	watch_house_put_certs(&h, "b", not_yet, 5);
	watch_house_put_certs(&h, "c", other, 2);
	c = count_lists(0, 3);
	assert_int_equal(count_list(c, 0)->revoked, 2);
	assert_int_equal(count_list(c, 0)->replaced, 2);
	assert_int_equal(count_list(c, 1)->revoked, 2);
	assert_int_equal(count_list(c, 1)->replaced, 0);
	assert_int_equal(count_list(c, 2)->replaced, 0); /* by one that is hit */
	count_free(c);
	watch_house_put_certs(&h, "c", other, 3);
	c = count_lists(2, 3);
	assert_int_equal(count_list(c, 2)->revoked, 2);
	assert_int_equal(count_list(c, 2)->replaced, 2);
	assert_int_equal(count_list(c, 2)->announced, 0);
	assert_int_equal(count_list(c, 2)->in_use, 0); /* nobody notes that here */
	count_free(c);
}

/* Who is announced and not revoked is hit too, of any CA; by whom he is replaced must not
 * be announced. */
static void who_is_announced_is_hit(void **state)
{
	static const struct watch_house_cert all[] = {
	    {WATCH_HOUSE_REVOKED, FROM, TO, "a.example", false},
	    {10, FROM, TO, "b.example", false},
	    {11, FROM, TO, "c.example", true},
	    {12, FROM + 1, TO, "b.example", false},
	    {13, FROM + 1, TO, "a.example", false},
	    {20, FROM + 1, TO, "c.example", false},
	};
	struct count *c;

	(void)state;
	watch_house_put_certs(&h, "a", all, 6);
	watch_house_announce(&h, "inc", 1, 12); /* 1..12 */
	c = count_lists(0, 1);
	assert_int_equal(count_list(c, 0)->revoked, 1);
	assert_int_equal(count_list(c, 0)->announced, 3); /* 10, 11, 12 */
	assert_int_equal(count_list(c, 0)->replaced, 2);  /* by 13, by 20 */
	assert_int_equal(count_list(c, 0)->not_covered, 1);
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
	assert_int_equal(count_list(c, 0)->revoked, 2);
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
	    A_HOUSE(who_is_hit_is_replaced_by_a_newer_one),
	    A_HOUSE(who_is_announced_is_hit),
	    A_HOUSE(a_list_that_goes_meanwhile_is_counted),
	    A_HOUSE(a_stop_ends_it),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
