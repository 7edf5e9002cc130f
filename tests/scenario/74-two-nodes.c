/* 74-two-nodes: one log, and other nodes that write to it. */
#include "tests/lib/tell_world.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

/* Two nodes, one log, calls in any order, and now and then one of them is killed. */
static void two_nodes_tell_a_list_once(void **state)
{
	unsigned seed = 1;

	for (int round = 0; round < 60; round++) {
		bool killed = false;

		tell_end(state);
		tell_begin(state);
		set_told('0', 'A', 0, 0);
		for (int i = 0; i < NODES; i++) {
			node[i].gate->slow = node[i].gate->shared = true;
			tell_list(&node[i], &A, &B);
		}
		for (int i = 0; i < 200 && node[0].done + node[1].done < 2; i++) {
			struct node *n = &node[rand_r(&seed) % NODES];
			unsigned dice = (unsigned)rand_r(&seed) % 100;

			gate_pass(n->gate);
			tell_elapse(dice < 20 ? 300 : 0);
			if (dice != 99 || killed || n->done > 0)
				continue;
			killed = true;
			again(n);
			n->gate->slow = n->gate->shared = true;
			tell_list(n, &A, &B);
		}
		for (int i = 0; i < 100; i++) {
			while (gate_pass(node[0].gate) || gate_pass(node[1].gate))
				tell_turn();
			tell_elapse(100);
		}
		for (int i = 0; i < NODES; i++) {
			assert_int_equal(node[i].done, 1);
			assert_int_equal(node[i].outcome, ERR_OK);
		}
		assert_int_equal(look(), 3);
		expect_count(10, 30010, 1);
		expect_told('B', 3, 3);
	}
	forget();
}

static void a_node_goes_on_where_another_died(void **state)
{
	struct node *n = &node[0];

	(void)state;
	set_told('A', 'B', 1, 3); /* one batch was told */
	n->gate->shared = true;
	tell_list(n, &A, &B);
	tell_elapse(1900);
	assert_int_equal(look(), 0); /* it may still be at it */
	tell_elapse(400);
	assert_int_equal(n->done, 1);
	assert_int_equal(look(), 2);
	expect_told('B', 3, 3);
	forget();
}

static void a_node_that_moves_is_not_overtaken(void **state)
{
	struct node *n = &node[0];

	(void)state;
	n->gate->shared = true;
	set_told('A', 'B', 0, 3);
	tell_list(n, &A, &B);
	for (uint32_t i = 1; i <= 3; i++) {
		tell_elapse(1500);
		assert_int_equal(n->done, 0);
		set_told('A', 'B', i, 3);
	}
	tell_elapse(300);
	assert_int_equal(n->done, 1);
	assert_int_equal(n->gate->appends, 0);
}

/* Another list is under way: it ends, or its node was killed.  A newer one is not
 * believed before it is complete. */
static void another_list_is_waited_for_and_overtaken_when_it_stands_still(void **state)
{
	struct node *n = &node[0];

	(void)state;
	n->gate->shared = true;
	set_told('A', 'Z', 1, 5); /* newer */
	tell_list(n, &A, &B);
	tell_elapse(4000);
	assert_int_equal(n->done, 0);
	set_told('A', 'Z', 5, 5);
	tell_elapse(300);
	assert_int_equal(n->done, 1);
	assert_int_equal(n->outcome, ERR_OK);
	expect_told('Z', 5, 5);
	assert_int_equal(look(), 0);

	set_told('A', 'Z', 1, 5);
	tell_list(n, &A, &B);
	tell_elapse(4900);
	assert_int_equal(n->done, 1);
	tell_elapse(500);
	assert_int_equal(n->done, 2);
	expect_told('B', 3, 3);
	assert_int_equal(look(), 3);
	expect_count(10, 30010, 1);
	forget();
}

static void alone_nobody_is_waited_for(void **state)
{
	struct node *n = &node[0];

	(void)state;
	set_told('A', 'Z', 1, 5);
	tell_list(n, &A, &B);
	tell_turn();
	assert_int_equal(n->done, 1);
	expect_told('B', 3, 3);
	assert_int_equal(look(), 3);
	forget();
}

/* Older than what was told last, by a node that slept: what it has is in what was. */
static void a_list_that_is_behind_is_told_already(void **state)
{
	struct node *n = &node[0];

	(void)state;
	set_told('A', 'Z', 5, 5);
	tell_list(n, &A, &B);
	tell_turn();
	assert_int_equal(n->done, 1);
	expect_told('Z', 5, 5);
	assert_int_equal(look(), 0);
	forget();
}

/* R95, T23: a list that begins a new count is dated before what others have told, which
 * holds nothing of it; and what follows it goes on from there. */
static void a_new_count_is_told_whatever_was_told_before(void **state)
{
	struct node *n = &node[0];
	struct crl c = {'C', 0, 20010, 1};

	(void)state;
	n->gate->shared = true;
	set_told('A', 'Z', 5, 5);
	list_warnings = CRL_WARN_ACCEPTED;
	tell_list(n, &A, &B);
	list_warnings = 0;
	tell_turn();
	assert_int_equal(n->done, 1);
	expect_told('B', 3, 3);
	assert_int_equal(look(), 3);
	forget();
	tell_list(n, &B, &c);
	tell_turn();
	assert_int_equal(n->done, 2);
	expect_told('C', 1, 1);
}

/* The pointer stands at a list that we never saw, older than ours: from our own base. */
static void from_an_older_base_more_is_told_than_needed(void **state)
{
	struct node *n = &node[0];
	struct crl d = {'D', 0, 20010, 1};

	(void)state;
	set_told('A', 'B', 3, 3); /* not ours */
	tell_list(n, &A, &d);
	tell_turn();
	assert_int_equal(n->done, 1);
	expect_told('D', 2, 2);
	assert_int_equal(look(), 2);
	forget();
}

static void without_a_base_another_node_is_waited_for(void **state)
{
	struct node *n = &node[0];

	(void)state;
	n->gate->shared = true;
	set_told('0', 'A', 0, 0);
	tell_list(n, NULL, &B);
	tell_elapse(5000);
	assert_int_equal(n->done, 0);
	set_told('A', 'B', 3, 3);
	tell_elapse(600);
	assert_int_equal(n->done, 1);
	assert_int_equal(n->gate->epochs, 0);

	set_told('0', 'A', 0, 0);
	tell_list(n, NULL, &B);
	tell_elapse(9900);
	assert_int_equal(n->done, 1);
	tell_elapse(700);
	assert_int_equal(n->done, 2);
	assert_int_equal(n->gate->epochs, 1);
	expect_told('B', 0, 0);
}

/* A node that has told all it has, and starts while another tells a newer list, has
 * nothing to add, however long that takes: no gap. */
static void who_has_told_its_list_leaves_a_newer_one_to_others(void **state)
{
	struct node *n = &node[0];

	(void)state;
	n->gate->shared = true;
	set_told('A', 'B', 1, 3);
	tell_list(n, &A, &A);
	tell_elapse(30000);
	assert_int_equal(n->done, 1);
	assert_int_equal(n->gate->epochs, 0);
	expect_told('B', 1, 3);
}

int main(void)
{
	const struct CMUnitTest cases[] = {
	    CASE(two_nodes_tell_a_list_once),
	    CASE(a_node_goes_on_where_another_died),
	    CASE(a_node_that_moves_is_not_overtaken),
	    CASE(another_list_is_waited_for_and_overtaken_when_it_stands_still),
	    CASE(alone_nobody_is_waited_for),
	    CASE(a_list_that_is_behind_is_told_already),
	    CASE(a_new_count_is_told_whatever_was_told_before),
	    CASE(from_an_older_base_more_is_told_than_needed),
	    CASE(without_a_base_another_node_is_waited_for),
	    CASE(who_has_told_its_list_leaves_a_newer_one_to_others),
	};

	return cmocka_run_group_tests(cases, NULL, NULL);
}
