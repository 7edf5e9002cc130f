#include "proxy/base/thread.h"

#include <event2/event.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

/* Starting. */

struct seen {
	sigset_t mask;
	char name[32];
};

static void *look(void *arg)
{
	struct seen *s = arg;

	pthread_sigmask(SIG_SETMASK, NULL, &s->mask);
	pthread_getname_np(pthread_self(), s->name, sizeof s->name);
	return arg;
}

static void a_thread_hears_no_signal(void **state)
{
	static const int ours[] = {SIGTERM, SIGINT, SIGHUP, SIGPIPE, SIGUSR1, SIGALRM};
	struct seen s;
	sigset_t before, after;
	void *result = NULL;
	pthread_t t;

	(void)state;
	pthread_sigmask(SIG_SETMASK, NULL, &before);
	assert_int_equal(thread_start(&t, "looker", look, &s), 0);
	pthread_sigmask(SIG_SETMASK, NULL, &after);
	assert_int_equal(pthread_join(t, &result), 0);
	assert_ptr_equal(result, &s);
	for (size_t i = 0; i < sizeof ours / sizeof ours[0]; i++) {
		assert_int_equal(sigismember(&s.mask, ours[i]), 1);
		assert_int_equal(/* and who made it hears what it heard */
		    sigismember(&after, ours[i]), sigismember(&before, ours[i]));
	}
}

static void a_thread_has_its_name(void **state)
{
	char name[] = "worker12";
	struct seen s;
	pthread_t t;

	(void)state;
	assert_int_equal(thread_start(&t, name, look, &s), 0);
	name[0] = '\0';
	pthread_join(t, NULL);
	assert_string_equal(s.name, "worker12");
	assert_int_equal(
	    thread_start(&t, "a name of thirty bytes and so on", look, &s), 0);
	pthread_join(t, NULL);
	assert_string_equal(s.name, "a name of thirt");
}

/* Orders. */

struct listener {
	struct event_base *base;
	struct inbox *inbox;
	struct order order;
	int heard;
	bool tell_again; /* while it is being heard, once */
};

static void on_heard(void *owner)
{
	struct listener *l = owner;

	l->heard++;
	if (l->tell_again) {
		l->tell_again = false;
		order_post(&l->order, l->inbox);
	}
}

static void turn(struct listener *l)
{
	event_base_loop(l->base, EVLOOP_NONBLOCK);
}

static void begin(struct listener *l)
{
	memset(l, 0, sizeof *l);
	l->base = event_base_new();
	l->inbox = inbox_new(l->base, NULL);
	order_init(&l->order, on_heard, l);
}

static void end(struct listener *l)
{
	inbox_free(l->inbox);
	event_base_free(l->base);
}

static void told_twice_before_it_was_heard_is_heard_once(void **state)
{
	struct listener l;

	(void)state;
	begin(&l);
	order_post(&l.order, l.inbox);
	order_post(&l.order, l.inbox);
	assert_int_equal(l.heard, 0);
	turn(&l);
	turn(&l);
	assert_int_equal(l.heard, 1);
	end(&l);
}

static void told_after_it_was_heard_is_heard_again(void **state)
{
	struct listener l;

	(void)state;
	begin(&l);
	for (int i = 1; i <= 3; i++) {
		order_post(&l.order, l.inbox);
		turn(&l);
		assert_int_equal(l.heard, i);
	}
	end(&l);
}

static void told_while_it_is_heard_is_heard_again(void **state)
{
	struct listener l;

	(void)state;
	begin(&l);
	l.tell_again = true;
	order_post(&l.order, l.inbox);
	turn(&l);
	turn(&l);
	assert_int_equal(l.heard, 2);
	end(&l);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(a_thread_hears_no_signal),
	    cmocka_unit_test(a_thread_has_its_name),
	    cmocka_unit_test(told_twice_before_it_was_heard_is_heard_once),
	    cmocka_unit_test(told_after_it_was_heard_is_heard_again),
	    cmocka_unit_test(told_while_it_is_heard_is_heard_again),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
