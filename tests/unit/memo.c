/* memo: what is remembered of certificates that no answer shows, and for how long. */
#include "proxy/keeper/memo.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "proxy/base/clock.h"
#include "tests/lib/small_set.h"

#define NOW INT64_C(1750000000)

static char name[] = "demo", other_name[] = "other";
static const struct issuer demo = {.name = name}, other = {.name = other_name};
static const struct serial one = {1, {1}}, two = {1, {2}};
static struct memos *memos;

static struct facts facts_of(enum status status, int reason, int64_t this_update)
{
	return (struct facts){.status = status,
	    .reason = reason,
	    .this_update = this_update,
	    .next_update = this_update + 100,
	    .signer_not_after = INT64_MAX};
}

static int64_t recalled(
    const struct issuer *i, const struct serial *s, enum memo_kind kind)
{
	struct facts f;

	return memos_recall(memos, i, s, kind, &f) ? f.this_update : 0;
}

static int begin(void **state)
{
	(void)state;
	clock_set(NOW, 1000);
	memos = memos_new();
	return memos == NULL;
}

static int end(void **state)
{
	(void)state;
	memos_free(memos);
	return 0;
}

static void a_refusal_is_recalled_until_it_ends_or_an_answer_fits(void **state)
{
	struct facts f = facts_of(STATUS_GOOD, 0, NOW);

	(void)state;
	memos_refused(memos, &demo, &one, &f);
	assert_int_equal(recalled(&demo, &one, MEMO_REFUSED), NOW);
	assert_int_equal(recalled(&demo, &one, MEMO_HOLD), 0);
	assert_int_equal(recalled(&demo, &two, MEMO_REFUSED), 0);
	assert_int_equal(recalled(&other, &one, MEMO_REFUSED), 0);
	clock_set(NOW + 100, 1000);
	assert_int_equal(recalled(&demo, &one, MEMO_REFUSED), 0);
	clock_set(NOW, 1000);
	memos_admitted(memos, &demo, &one, &f, &crl_set_none);
	assert_int_equal(recalled(&demo, &one, MEMO_REFUSED), 0);
	/* a good that no list and no hold is about is nothing to remember */
	assert_int_equal(recalled(&demo, &one, MEMO_HOLD), 0);
}

static void the_last_word_about_a_hold_is_kept(void **state)
{
	struct facts on = facts_of(STATUS_REVOKED, REASON_CERTIFICATE_HOLD, NOW);
	struct facts off = facts_of(STATUS_GOOD, 0, NOW + 10);
	struct facts f;

	(void)state;
	memos_admitted(memos, &demo, &one, &on, &crl_set_none);
	memos_admitted(memos, &demo, &one, &off, &crl_set_none);
	assert_true(memos_recall(memos, &demo, &one, MEMO_HOLD, &f));
	assert_int_equal(f.status, STATUS_GOOD);
	memos_admitted(memos, &demo, &one, &on, &crl_set_none); /* older */
	assert_int_equal(recalled(&demo, &one, MEMO_HOLD), NOW + 10);
}

/* R70: the good that ends a hold of a list, which no answer has said. */
static void a_good_of_a_listed_certificate_is_kept(void **state)
{
	const struct crl_set *set = small_set(
	    &(struct small_entry){one, REASON_CERTIFICATE_HOLD, NOW}, 1, NOW, NOW + 9, 1);
	struct facts f = facts_of(STATUS_GOOD, 0, NOW + 1);

	(void)state;
	memos_admitted(memos, &demo, &one, &f, set);
	memos_admitted(memos, &demo, &two, &f, set);
	assert_int_equal(recalled(&demo, &one, MEMO_HOLD), NOW + 1);
	assert_int_equal(recalled(&demo, &two, MEMO_HOLD), 0);
	small_set_unref(set);
}

static void a_purge_forgets_a_certificate_or_an_issuer(void **state)
{
	struct facts f = facts_of(STATUS_GOOD, 0, NOW);

	(void)state;
	memos_refused(memos, &demo, &one, &f);
	memos_refused(memos, &demo, &two, &f);
	memos_refused(memos, &other, &one, &f);
	memos_forget(memos, &demo, &one);
	assert_int_equal(recalled(&demo, &one, MEMO_REFUSED), 0);
	assert_int_equal(recalled(&demo, &two, MEMO_REFUSED), NOW);
	memos_forget(memos, &demo, NULL);
	assert_int_equal(recalled(&demo, &two, MEMO_REFUSED), 0);
	assert_int_equal(recalled(&other, &one, MEMO_REFUSED), NOW);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test_setup_teardown(
		a_refusal_is_recalled_until_it_ends_or_an_answer_fits, begin, end),
	    cmocka_unit_test_setup_teardown(
		the_last_word_about_a_hold_is_kept, begin, end),
	    cmocka_unit_test_setup_teardown(
		a_good_of_a_listed_certificate_is_kept, begin, end),
	    cmocka_unit_test_setup_teardown(
		a_purge_forgets_a_certificate_or_an_issuer, begin, end),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
