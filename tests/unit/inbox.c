#include "proxy/base/inbox.h"

#include <event2/event.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#define SENDERS  4
#define MESSAGES 20000

struct note {
	struct msg msg;
	unsigned sender, number;
};

struct receiver {
	struct event_base *base;
	struct inbox *in;
	unsigned next[SENDERS];
	unsigned got, want;
	bool disorder;
};

static void on_note(void *arg, struct msg *m)
{
	struct receiver *r = arg;
	struct note *n = (struct note *)m;

	if (n->number != r->next[n->sender]++)
		r->disorder = true;
	free(n);
	if (++r->got == r->want)
		event_base_loopbreak(r->base);
}

static void post(struct receiver *r, unsigned sender, unsigned number)
{
	struct note *n = calloc(1, sizeof *n);

	if (n == NULL)
		abort();
	n->msg.run = on_note;
	n->sender = sender;
	n->number = number;
	inbox_post(r->in, &n->msg);
}

static void open_receiver(struct receiver *r, unsigned want)
{
	*r = (struct receiver){.base = event_base_new(), .want = want};
	assert_non_null(r->base);
	r->in = inbox_new(r->base, r);
	assert_non_null(r->in);
}

static void close_receiver(struct receiver *r)
{
	inbox_free(r->in);
	event_base_free(r->base);
}

struct sender {
	struct receiver *to;
	unsigned index;
};

static void *send_all(void *arg)
{
	const struct sender *s = arg;

	for (unsigned i = 0; i < MESSAGES; i++)
		post(s->to, s->index, i);
	return NULL;
}

static void messages_of_each_sender_arrive_in_order_and_none_is_lost(void **state)
{
	struct receiver r;
	struct sender s[SENDERS];
	pthread_t t[SENDERS];

	(void)state;
	open_receiver(&r, SENDERS * MESSAGES);
	for (unsigned i = 0; i < SENDERS; i++) {
		s[i] = (struct sender){&r, i};
		assert_int_equal(pthread_create(&t[i], NULL, send_all, &s[i]), 0);
	}
	/* Returns only when all have come: a lost wake-up would hang here. */
	event_base_loop(r.base, EVLOOP_NO_EXIT_ON_EMPTY);
	for (unsigned i = 0; i < SENDERS; i++)
		pthread_join(t[i], NULL);
	assert_int_equal(r.got, SENDERS * MESSAGES);
	assert_false(r.disorder);
	close_receiver(&r);
}

/* Ping-pong: each message is posted when the queue is empty and the receiver about to
 * sleep, which is where a wake-up would get lost. */
struct player {
	struct event_base *base;
	struct inbox *in;
	struct player *other;
	unsigned left;
};

static void on_ball(void *arg, struct msg *m)
{
	struct player *p = arg;

	if (p->left-- == 0) {
		event_base_loopbreak(p->base);
		return;
	}
	inbox_post(p->other->in, m);
	if (p->left == 0)
		event_base_loopbreak(p->base);
}

static void *play(void *arg)
{
	struct player *p = arg;

	event_base_loop(p->base, EVLOOP_NO_EXIT_ON_EMPTY);
	return NULL;
}

static void no_wake_up_is_lost_between_two_that_wait_for_each_other(void **state)
{
	struct player p[2];
	struct msg ball = {.run = on_ball};
	pthread_t t[2];

	(void)state;
	for (int i = 0; i < 2; i++) {
		p[i] = (struct player){.base = event_base_new(), .left = 20000};
		p[i].other = &p[1 - i];
		p[i].in = inbox_new(p[i].base, &p[i]);
		assert_non_null(p[i].in);
	}
	inbox_post(p[0].in, &ball);
	for (int i = 0; i < 2; i++)
		assert_int_equal(pthread_create(&t[i], NULL, play, &p[i]), 0);
	for (int i = 0; i < 2; i++)
		pthread_join(t[i], NULL);
	for (int i = 0; i < 2; i++) {
		inbox_free(p[i].in);
		event_base_free(p[i].base);
	}
}

static void what_has_not_run_is_run_by_inbox_free(void **state)
{
	struct receiver r;

	(void)state;
	open_receiver(&r, 0);
	for (unsigned i = 0; i < 10; i++)
		post(&r, 0, i);
	inbox_free(r.in);
	assert_int_equal(r.got, 10);
	assert_false(r.disorder);
	event_base_free(r.base);
	inbox_free(NULL);
}

struct again {
	struct msg msg;
	struct inbox *in;
	int runs, depth;
};

static void on_again(void *arg, struct msg *m)
{
	struct again *a = (struct again *)m;

	(void)arg;
	assert_int_equal(a->depth++, 0);
	if (++a->runs < 3)
		inbox_post(a->in, m);
	a->depth--;
}

static void a_message_that_posts_itself_runs_in_a_later_turn(void **state)
{
	struct event_base *base = event_base_new();
	struct inbox *in = inbox_new(base, NULL);
	struct again a = {.msg = {.run = on_again}, .in = in};

	(void)state;
	inbox_post(in, &a.msg);
	for (int turn = 1; turn <= 3; turn++) {
		event_base_loop(base, EVLOOP_ONCE | EVLOOP_NONBLOCK);
		assert_int_equal(a.runs, turn);
	}
	event_base_loop(base, EVLOOP_ONCE | EVLOOP_NONBLOCK);
	assert_int_equal(a.runs, 3);
	inbox_free(in);
	event_base_free(base);
}

struct sum {
	struct question question;
	int a, b, sum, answers;
};
static int who_knows, who_asks; /* the inboxes' arguments */

static void on_sum(void *arg, struct msg *m)
{
	struct sum *s = (struct sum *)m;

	assert_ptr_equal(arg, &who_knows);
	s->sum = s->a + s->b;
	question_answer(&s->question);
}

static void on_summed(void *arg, struct question *q)
{
	assert_ptr_equal(arg, &who_asks);
	((struct sum *)q)->answers++;
	assert_ptr_equal(q->owner, q);
}

static void a_question_goes_to_one_thread_and_comes_back_to_the_other(void **state)
{
	struct event_base *mine = event_base_new(), *other = event_base_new();
	struct inbox *to = inbox_new(other, &who_knows),
		     *back = inbox_new(mine, &who_asks);
	struct sum s = {.question = {.reply_to = back, .done = on_summed}, .a = 2};

	(void)state;
	s.question.owner = &s;
	for (int i = 1; i <= 2; i++) { /* it may be asked again when it is back */
		s.b = i;
		question_ask(&s.question, to, on_sum);
		event_base_loop(mine, EVLOOP_NONBLOCK);
		assert_int_equal(s.sum, i == 1 ? 0 : 3);
		event_base_loop(other, EVLOOP_NONBLOCK);
		assert_int_equal(s.sum, 2 + i);
		assert_int_equal(s.answers, i - 1);
		event_base_loop(mine, EVLOOP_NONBLOCK);
		assert_int_equal(s.answers, i);
	}
	inbox_free(to);
	inbox_free(back);
	event_base_free(mine);
	event_base_free(other);
}

/* A loop with much to do: what is active already waits for it. */

static void on_other(evutil_socket_t fd, short what, void *arg)
{
	const struct receiver *r = arg;

	(void)fd, (void)what;
	assert_int_equal(r->got, 1);
}

static void a_message_comes_before_what_else_the_loop_has(void **state)
{
	struct receiver r = {.base = event_base_new(), .want = 1};
	struct event *other[3];

	(void)state;
	assert_int_equal(event_base_priority_init(r.base, 2), 0);
	r.in = inbox_new(r.base, &r);
	assert_non_null(r.in);
	for (int i = 0; i < 3; i++) {
		other[i] = event_new(r.base, -1, 0, on_other, &r);
		event_active(other[i], EV_TIMEOUT, 0);
	}
	post(&r, 0, 0);
	event_base_loop(r.base, EVLOOP_ONCE);
	assert_int_equal(r.got, 1);
	event_base_loop(r.base, EVLOOP_NONBLOCK);
	for (int i = 0; i < 3; i++)
		event_free(other[i]);
	inbox_free(r.in);
	event_base_free(r.base);
}

int main(void)
{
	const struct CMUnitTest cases[] = {
	    cmocka_unit_test(messages_of_each_sender_arrive_in_order_and_none_is_lost),
	    cmocka_unit_test(no_wake_up_is_lost_between_two_that_wait_for_each_other),
	    cmocka_unit_test(what_has_not_run_is_run_by_inbox_free),
	    cmocka_unit_test(a_message_that_posts_itself_runs_in_a_later_turn),
	    cmocka_unit_test(a_message_comes_before_what_else_the_loop_has),
	    cmocka_unit_test(a_question_goes_to_one_thread_and_comes_back_to_the_other),
	};

	return cmocka_run_group_tests(cases, NULL, NULL);
}
