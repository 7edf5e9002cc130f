/* ask: what goes back to who asked. */
#include "proxy/keeper/ask.h"

#include <event2/event.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

static int answers;
static void *heard_by;

static void on_done(void *inbox_arg, struct question *q)
{
	(void)q;
	answers++;
	heard_by = inbox_arg;
}

static void it_comes_back_once_with_its_outcome(void **state)
{
	struct answer signed_one, error_one;
	const struct {
		const struct answer *answer;
		enum err given, error;
		enum tier tier, want;
	} cases[] = {
	    {&signed_one, ERR_OK, ERR_OK, TIER_STORE, TIER_STORE},
	    {&signed_one, ERR_UP_TIMEOUT, ERR_OK, TIER_FORWARD, TIER_FORWARD},
	    {&error_one, ERR_OK, ERR_OK, TIER_MEMORY, TIER_NONE}, /* a repeated error */
	    {NULL, ERR_UP_TIMEOUT, ERR_UP_TIMEOUT, TIER_UPSTREAM, TIER_NONE},
	};
	struct event_base *base = event_base_new();
	struct inbox *in = inbox_new(base, &heard_by);

	(void)state;
	memset(&signed_one, 0, sizeof signed_one);
	memset(&error_one, 0, sizeof error_one);
	signed_one.facts.status = STATUS_GOOD;
	error_one.facts.status = STATUS_NONE;
	error_one.error = ERR_RESP_CRL;
	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
		struct ask a = {.question = {.reply_to = in, .done = on_done}};

		answers = 0;
		ask_reply(&a, cases[i].answer, cases[i].given, cases[i].tier);
		assert_int_equal(answers, 0); /* never before the asker's next turn */
		event_base_loop(base, EVLOOP_NONBLOCK);
		event_base_loop(base, EVLOOP_NONBLOCK);
		assert_int_equal(answers, 1);
		assert_ptr_equal(heard_by, &heard_by);
		assert_ptr_equal(a.answer, cases[i].answer);
		assert_int_equal(a.error, cases[i].error);
		assert_int_equal(a.tier, cases[i].want);
	}
	inbox_free(in);
	event_base_free(base);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(it_comes_back_once_with_its_outcome),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
