#include "cache/crl/crl_slots.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>

#include <cmocka.h>

/* First law: what a list that has not been opened may revoke is not said to be good. */
static void a_slot_begins_with_lists_that_are_not_opened(void **state)
{
	struct crl_slots *s = crl_slots_new();
	struct crl_slot *slot = crl_slots_of(s, "demo");

	(void)state;
	assert_ptr_equal(atomic_load(&slot->set), &crl_set_unopened);
	assert_true(atomic_load(&slot->set)->unopened);
	crl_slots_free(s);
	crl_slots_free(NULL);
}

static void a_name_has_one_slot_which_never_moves(void **state)
{
	enum { N = 1000 };
	struct crl_slots *s = crl_slots_new();
	struct crl_slot *slot[N];
	char name[16];

	(void)state;
	for (int i = 0; i < N; i++) {
		snprintf(name, sizeof name, "ca-%d", i);
		slot[i] = crl_slots_of(s, name);
	}
	for (int i = 0; i < N; i++) {
		snprintf(name, sizeof name, "ca-%d", i);
		assert_ptr_equal(crl_slots_of(s, name), slot[i]);
		for (int k = 0; k < i; k++)
			assert_ptr_not_equal(slot[k], slot[i]);
	}
	crl_slots_free(s);
}

static void its_set_goes_with_it(void **state)
{
	struct crl_slots *s = crl_slots_new();
	struct crl_slot *slot = crl_slots_of(s, "demo");
	struct crl_set *set = crl_set_new(1, 7);

	(void)state;
	crl_set_unref(atomic_exchange(&slot->set, crl_set_ref(set)));
	assert_int_equal(atomic_load(&set->refs), 2);
	crl_slots_free(s);
	assert_int_equal(atomic_load(&set->refs), 1);
	crl_set_unref(set);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(a_slot_begins_with_lists_that_are_not_opened),
	    cmocka_unit_test(a_name_has_one_slot_which_never_moves),
	    cmocka_unit_test(its_set_goes_with_it),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
