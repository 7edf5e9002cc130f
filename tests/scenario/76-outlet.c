/* 76-outlet: from the log to the API's thread: news, and pages that it asks for. */
#include "tests/lib/tell_world.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

/* News. */

/* P37 */
static void news_are_the_log_whoever_wrote_it(void **state)
{
	struct node *n = &node[0];
	struct change_pos at;

	(void)state;
	for (uint32_t i = 0; i < 50; i++) {
		if (i % 7 == 3)
			append_foreign(1000 + i);
		if (i % 11 == 5)
			n->gate->slow = !n->gate->slow;
		tell_revoked(n, i, true);
		tell_turn();
		if (i % 5 == 4)
			while (gate_pass(n->gate))
				tell_turn();
	}
	n->gate->slow = false;
	while (gate_pass(n->gate))
		tell_turn();
	append_foreign(2000);
	teller_grown(n->teller);
	teller_grown(n->teller);
	tell_turn();
	assert_int_equal(n->news_n, look());
	expect_news_whole(n);
	teller_end(n->teller, &at);
	assert_int_equal(change_pos_cmp(&at, &held.newest), 0);
	/* after a snapshot: what others told may be news to this node, on a shared log */
	teller_known_from(n->teller, &at);
	assert_int_equal(change_pos_cmp(&at, &held.newest), 0);
	n->gate->shared = true;
	teller_known_from(n->teller, &at);
	assert_int_equal(change_pos_cmp(&at, &held.oldest), 0);
	n->gate->shared = false;
	/* its own need no reading when nobody is in between */
	n->gate->reads = 0;
	tell_revoked(n, 500, true);
	tell_turn();
	assert_int_equal(n->gate->reads, 0);
	assert_int_equal(n->news_n, look());
	forget();
}

/* Asked for before an append, answered behind it. */
static void a_page_that_comes_late_repeats_nothing(void **state)
{
	struct node *n = &node[0];

	(void)state;
	n->gate->slow = true;
	tell_revoked(n, 1, true);
	append_foreign(2);
	teller_grown(n->teller);
	tell_turn();
	gate_pass(n->gate); /* the append, not the next of what the API knows */
	tell_revoked(n, 3, true);
	tell_turn();
	while (gate_pass(n->gate))
		tell_turn();
	assert_int_equal(look(), 3);
	assert_int_equal(n->news_n, 3);
	tell_revoked(n, 4, true);
	teller_grown(n->teller);
	tell_turn();
	while (gate_pass(n->gate))
		tell_turn();
	assert_int_equal(n->news_n, 4);
	expect_news_whole(n);
	forget();
}

static void a_new_epoch_is_a_gap(void **state)
{
	struct node *n = &node[0];
	enum err e;

	(void)state;
	tell_revoked(n, 1, true);
	tell_turn();
	change_log_new_epoch(memory, ignore_end, &e); /* another node */
	append_foreign(2);
	teller_grown(n->teller);
	tell_turn();
	tell_revoked(n, 3, true);
	tell_turn();
	assert_int_equal(n->news_n, 3);
	assert_true(n->news[1].gap);
	assert_false(n->news[2].gap);
	assert_int_equal(n->news[2].end.seq, 2);
	expect_news_whole(n);
}

/* P37: what another node appended behind it comes before the word that our epoch has
 * begun: nobody is sent back. */
static void a_page_of_our_epoch_may_come_before_its_word(void **state)
{
	struct node *n = &node[0];

	(void)state;
	tell_revoked(n, 1, true);
	tell_turn();
	set_told('0', 'A', 0, 0);
	n->gate->epoch_late = true;
	tell_list(n, NULL, &B);
	tell_turn();
	assert_int_equal(n->gate->epochs, 1);
	append_foreign(2);
	teller_grown(n->teller);
	tell_turn();
	append_foreign(3);
	teller_grown(n->teller);
	tell_turn();
	assert_int_equal(n->news_n, 3);
	assert_true(n->news[1].gap);
	gate_word(n->gate);
	tell_turn();
	assert_int_equal(n->done, 1);
	expect_told('B', 0, 0);
	assert_int_equal(n->news_n, 3);
	expect_news_whole(n);
}

/* A million changes never pile up with an API that is slow. */
static void news_have_a_bound(void **state)
{
	struct node *n = &node[0];
	struct crl all = {'B', 0, SERIALS, 1};
	size_t bytes = 0, most = TELLER_NEWS_MAX + CHANGE_BATCH_MAX * 32 + 4096;
	uint64_t changes = 0;

	(void)state;
	set_told('0', 'A', 0, 0);
	n->keep = true;
	tell_list(n, &A, &all);
	tell_elapse(2000);
	assert_int_equal(n->done, 1);
	for (int i = 0; i < 10; i++) {
		bytes = 0;
		for (size_t k = 0; k < n->kept_n; k++)
			bytes += n->kept[k]->batch->n * 32u;
		if (changes == 0)
			assert_true(bytes > TELLER_NEWS_MAX - 400000);
		assert_true(bytes < most);
		changes += bytes / 32;
		give_back(n);
		tell_elapse(20);
	}
	assert_int_equal(changes, SERIALS - 10);
	expect_news_whole(n);
	assert_int_equal(look(), 120);
	expect_count(10, SERIALS, 1);
	forget();
}

static void without_a_listener_nothing_is_read(void **state)
{
	struct node *n = &node[0];

	(void)state;
	teller_free(n->teller);
	n->gate = gate_new(memory);
	n->teller = teller_new(&n->context, n->latches, n->latch_file, &n->gate->log);
	tell_revoked(n, 1, true);
	append_foreign(2);
	teller_grown(n->teller);
	tell_turn();
	assert_int_equal(n->gate->reads, 0);
	assert_int_equal(n->news_n, 0);
}

/* News that the API still has when the keeper is gone. */
static void news_outlive_the_telling(void **state)
{
	struct node *n = &node[0];

	(void)state;
	n->keep = true;
	tell_revoked(n, 1, true);
	tell_turn();
	teller_free(n->teller);
	assert_int_equal(n->kept_n, 1);
	assert_int_equal(number_of(&n->kept[0]->batch->change[0]), 1);
	give_back(n);
	n->gate = gate_new(memory);
	n->teller = teller_new(&n->context, n->latches, n->latch_file, &n->gate->log);
}

/* Questions. */

static int answers;

static void on_answer(void *inbox_arg, struct question *q)
{
	assert_ptr_equal(inbox_arg, q->owner);
	answers++;
}

static void ask(struct node *n, struct teller_ask *a, size_t max_bytes)
{
	struct change_pos from = a->from;

	*a = (struct teller_ask){
	    .question = {.reply_to = n->api, .done = on_answer, .owner = n},
	    .teller = n->teller,
	    .from = from,
	    .max_bytes = max_bytes};
	question_ask(&a->question, inbox, teller_read);
}

static void drop_pages(struct teller_ask *a)
{
	for (size_t i = 0; i < a->n; i++)
		change_batch_unref(a->batches[i]);
	free(a->batches);
}

static void what_was_before_can_be_asked_for(void **state)
{
	struct node *n = &node[0];
	struct teller_ask a = {0};

	(void)state;
	answers = 0;
	for (uint32_t i = 0; i < 10; i++)
		tell_revoked(n, i, true);
	ask(n, &a, SIZE_MAX);
	tell_turn();
	assert_int_equal(answers, 1);
	assert_int_equal(a.error, ERR_OK);
	assert_int_equal(a.n, 10);
	assert_false(a.gap);
	assert_int_equal(number_of(&a.batches[9]->change[0]), 9);
	a.from = a.oldest;
	a.from.epoch++;
	drop_pages(&a);
	ask(n, &a, SIZE_MAX);
	tell_turn();
	assert_int_equal(answers, 2);
	assert_true(a.gap);
	assert_int_equal(a.n, 0);
	n->gate->down = ERR_STORE;
	ask(n, &a, SIZE_MAX);
	tell_turn();
	assert_int_equal(a.error, ERR_STORE);
}

static void a_stop_answers_every_question(void **state)
{
	struct node *n = &node[0];
	struct teller_ask a = {0}, b = {0};

	(void)state;
	answers = 0;
	tell_revoked(n, 1, true);
	n->gate->slow = true;
	ask(n, &a, SIZE_MAX);
	append_foreign(3);
	teller_grown(n->teller); /* a page of news is under way too */
	tell_turn();
	teller_cancel(n->teller);
	tell_turn();
	assert_int_equal(answers, 1);
	assert_int_equal(a.error, ERR_CANCELLED);
	ask(n, &b, SIZE_MAX);
	tell_turn();
	assert_int_equal(answers, 2);
	assert_int_equal(b.error, ERR_CANCELLED);
	assert_int_equal(n->news_n, 1);
	teller_cancel(n->teller); /* again, as it is freed */
	tell_revoked(n, 2, true); /* the log gets it, the API nothing more */
	teller_grown(n->teller);
	tell_turn();
	while (gate_pass(n->gate)) /* the log answers when nobody asks any more */
		tell_turn();
	assert_int_equal(answers, 2);
	assert_int_equal(n->news_n, 1);
	assert_int_equal(look(), 3);
	forget();
}

int main(void)
{
	const struct CMUnitTest cases[] = {
	    CASE(news_are_the_log_whoever_wrote_it),
	    CASE(a_page_that_comes_late_repeats_nothing),
	    CASE(a_new_epoch_is_a_gap),
	    CASE(a_page_of_our_epoch_may_come_before_its_word),
	    CASE(news_have_a_bound),
	    CASE(without_a_listener_nothing_is_read),
	    CASE(news_outlive_the_telling),
	    CASE(what_was_before_can_be_asked_for),
	    CASE(a_stop_answers_every_question),
	};

	return cmocka_run_group_tests(cases, NULL, NULL);
}
