/* The reader of event streams: texts and meanings are those of the WHATWG's examples
 * (HTML, section 9.2.6).  The client is no part of the library, so its file is compiled
 * in here. */
#include "proxy/ctl/sse.c"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>

#include <cmocka.h>

static char told[4096];

static void note(void *arg, const struct sse_block *b)
{
	size_t n = strlen(told);

	(void)arg;
	if (b->comment != NULL) {
		snprintf(told + n, sizeof told - n, "[:%s]", b->comment);
		return;
	}
	snprintf(told + n, sizeof told - n, "[%s|%s|%s]", b->id != NULL ? b->id : "-",
	    b->event,
	    b->too_large      ? "too large"
	    : b->data != NULL ? b->data
			      : "-");
}

/* Whole, byte by byte, and cut in two at every place: always the same. */
static void expect(const char *text, const char *want)
{
	struct sse s = {0};
	size_t n = strlen(text);

	told[0] = '\0';
	for (size_t i = 0; i < n; i++)
		assert_true(sse_feed(&s, text + i, 1, note, NULL));
	assert_string_equal(told, want);
	for (size_t i = 0; i <= n; i++) {
		sse_reset(&s);
		told[0] = '\0';
		assert_true(sse_feed(&s, text, i, note, NULL));
		assert_true(sse_feed(&s, text + i, n - i, note, NULL));
		assert_string_equal(told, want);
	}
	sse_reset(&s);
}

static void blocks_are_read_as_the_standard_says(void **state)
{
	(void)state;
	expect("data: YHOO\ndata: +2\ndata: 10\n\n", "[-|message|YHOO\n+2\n10]");
	expect(": test stream\n\ndata: first event\nid: 1\n\ndata:second event\nid\n\n"
	       "data:  third event\n\n",
	    "[:test stream][1|message|first event][|message|second event][-|message| "
	    "third event]");
	expect(":\ndata: 1\n:one\n\n", "[:][:one][-|message|1]");
	expect("data\n\ndata\ndata\n\ndata:", "[-|message|][-|message|\n]");
	expect("event: add\r\ndata: 73857293\r\n\r\nevent: remove\rdata: 2153\r\r",
	    "[-|add|73857293][-|remove|2153]");
	expect("retry: 10\nunknown: x\n\n", "");
}

static void an_id_without_data_is_a_position(void **state)
{
	(void)state;
	expect("id: a0\n\nid: a1\nevent: changes\ndata: {}\n\n",
	    "[a0|message|-][a1|changes|{}]");
	expect("event: gap\n\n", "");
}

static char piece[65536];

static bool feed(struct sse *s, const char *text)
{
	return sse_feed(s, text, strlen(text), note, NULL);
}

/* n bytes, in a line or each piece in a line of its own. */
static bool feed_much(struct sse *s, size_t n, bool lines)
{
	bool ok = true;

	memset(piece, 'x', sizeof piece);
	for (; ok && n >= sizeof piece; n -= sizeof piece)
		ok = (!lines || feed(s, "data: ")) &&
		     sse_feed(s, piece, sizeof piece, note, NULL) &&
		     (!lines || feed(s, "\n"));
	return ok;
}

/* The next one is read: else it would come again after each reconnect, for ever. */
static void what_is_too_large_is_told_without_its_data(void **state)
{
	struct sse s = {0};

	(void)state;
	told[0] = '\0';
	for (int lines = 0; lines < 2; lines++) {
		assert_true(feed(&s, "id: a1\nevent: changes\n"));
		assert_true(lines || feed(&s, "data: "));
		assert_true(feed_much(&s, SSE_MAX + sizeof piece, lines));
		assert_true(feed(&s, "\n\nid: a2\ndata: x\n\n"));
		assert_true(s.line_room <= 2 * SSE_MAX && s.data_room <= 2 * SSE_MAX);
	}
	/* its id may stand behind it */
	assert_true(feed_much(&s, SSE_MAX, false) && feed(&s, "\nid: a3\n\ndata: y\n\n"));
	assert_string_equal(told, "[a1|changes|too large][a2|message|x]"
				  "[a1|changes|too large][a2|message|x]"
				  "[a3|message|too large][-|message|y]");
	sse_reset(&s);
}

static void what_never_ends_ends_the_stream(void **state)
{
	struct sse s = {0};

	(void)state;
	for (int lines = 0; lines < 2; lines++) {
		assert_true(feed_much(&s, SSE_END, lines));
		errno = 0;
		assert_false(feed_much(&s, SSE_MAX + 2 * sizeof piece, lines));
		assert_int_equal(errno, EFBIG);
		sse_reset(&s);
	}
}

static void an_id_that_is_too_long_is_none(void **state)
{
	char text[300] = "id: ";

	(void)state;
	memset(text + 4, 'a', 200);
	strcpy(text + 204, "\ndata: x\n\n");
	expect(text, "[-|message|x]");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(blocks_are_read_as_the_standard_says),
	    cmocka_unit_test(an_id_without_data_is_a_position),
	    cmocka_unit_test(what_is_too_large_is_told_without_its_data),
	    cmocka_unit_test(what_never_ends_ends_the_stream),
	    cmocka_unit_test(an_id_that_is_too_long_is_none),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
