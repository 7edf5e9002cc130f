#include "proxy/base/log.h"

#include <fcntl.h>
#include <inttypes.h>
#include <jansson.h>
#include <limits.h>
#include <math.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "proxy/base/clock.h"

#define AT    1795328880 /* 2026-11-22T06:28:00Z, by date -u */
#define STAMP "ts=2026-11-22T06:28:00.000Z "

static FILE *file;
static int real_stderr;
static char text[1 << 20];

/* What was logged since the last call. */
static const char *logged(void)
{
	size_t n;

	rewind(file);
	n = fread(text, 1, sizeof text - 1, file);
	text[n] = '\0';
	assert_int_equal(ftruncate(fileno(file), 0), 0);
	assert_true(lseek(STDERR_FILENO, 0, SEEK_SET) == 0);
	return text;
}

static int begin(void **state)
{
	(void)state;
	clock_set(AT, 1000000);
	log_setup(2, 0, 0);
	file = tmpfile();
	real_stderr = dup(STDERR_FILENO);
	return file == NULL || dup2(fileno(file), STDERR_FILENO) < 0;
}

static int end(void **state)
{
	(void)state;
	dup2(real_stderr, STDERR_FILENO);
	close(real_stderr);
	fclose(file);
	return 0;
}

static void a_line_is_time_level_event_and_pairs(void **state)
{
	(void)state;
	log_warn("upstream_failed", "issuer=%s err=\"%s\" ms=%d", "demo", "x", 12);
	log_info("none", " ");
	assert_string_equal(logged(), STAMP
	    "level=warn event=upstream_failed issuer=demo err=\"\\\"x\\\"\" ms=12\n" STAMP
	    "level=info event=none\n");
}

/* A reader that has stopped must not stop us; what it missed is counted. */
static void a_full_pipe_is_not_waited_for(void **state)
{
	char drained[65536];
	int fds[2], stderr_now = dup(STDERR_FILENO);
	ssize_t n;

	(void)state;
	assert_int_equal(pipe(fds), 0);
	assert_int_equal(dup2(fds[1], STDERR_FILENO), STDERR_FILENO);
	for (int i = 0; i < 2000; i++) /* more than any pipe's default holds */
		log_info("many", "i=%d text=%s", i, "a line of some length, to fill it");
	n = read(fds[0], drained, sizeof drained);
	assert_true(n > 0);
	log_flush();
	dup2(stderr_now, STDERR_FILENO);
	close(fds[1]);
	while ((n = read(fds[0], drained, sizeof drained - 1)) > 0) {
		drained[n] = '\0';
		if (strstr(drained, "event=log_dropped lines=") != NULL)
			break;
	}
	assert_true(n > 0);
	close(fds[0]);
	close(stderr_now);
}

static void every_conversion_that_we_promise_prints_as_printf_does(void **state)
{
	(void)state;
	log_info("n", "a=%d b=%u c=%ld d=%lu e=%lld f=%llu g=%zu h=%zd i=%" PRId64,
	    INT_MIN, UINT_MAX, LONG_MIN, ULONG_MAX, LLONG_MIN, ULLONG_MAX, SIZE_MAX,
	    (ssize_t)-1, INT64_MAX);
	assert_string_equal(logged(),
	    STAMP "level=info event=n a=-2147483648 b=4294967295 c=-9223372036854775808 "
		  "d=18446744073709551615 e=-9223372036854775808 f=18446744073709551615 "
		  "g=18446744073709551615 h=-1 i=9223372036854775807\n");
	log_info("n", "c=%c x=%x s=%.*s f=%f g=%.3f lit=yes mix=%s:%d pc=9%%", 'z', 255u,
	    2, "abc", 1.5, 0.12345, "host", 80);
	assert_string_equal(logged(), STAMP "level=info event=n c=z x=ff s=ab f=1.500000 "
					    "g=0.123 lit=yes mix=host:80 pc=9%\n");
}

/* T25: control characters, quotes and new lines of a peer never make a line or a key. */
static void what_a_peer_says_cannot_forge_a_line_or_a_key(void **state)
{
	const char *volatile nothing = NULL;

	(void)state;
	log_info("e", "a=%s b=%s", "x\nts=1 level=error", "q\"\\=\t\r\x1b[2J");
	assert_string_equal(logged(),
	    STAMP "level=info event=e a=\"x\\nts=1 level=error\" "
		  "b=\"q\\\"\\\\=\\t\\r\\u001b[2J\"\n");
	log_info("e", "a=%s b=%s c=%s", "", nothing, "two words");
	assert_string_equal(
	    logged(), STAMP "level=info event=e a=\"\" b=\"\" c=\"two words\"\n");
}

/* RFC 3629 section 4 (syntax), and Unicode's C1 controls, which terminals obey. */
static void only_valid_utf8_is_written_as_it_is(void **state)
{
	(void)state;
	log_info("e", "a=%s b=%s c=%s d=%s e=%s f=%s", "\xc3\xa9\xf0\x9f\x98\x80",
	    "\xff\xc3", "\xc0\xaf", "\xed\xa0\x80", "\xc2\x9b", "\xf4\x90\x80\x80");
	assert_string_equal(logged(), STAMP
	    "level=info event=e a=\"\xc3\xa9\xf0\x9f\x98\x80\" b=\"\\\\xff\\\\xc3\" "
	    "c=\"\\\\xc0\\\\xaf\" d=\"\\\\xed\\\\xa0\\\\x80\" e=\"\\u009b\" "
	    "f=\"\\\\xf4\\\\x90\\\\x80\\\\x80\"\n");
}

static void json_has_the_same_keys_and_is_json(void **state)
{
	json_error_t e;
	json_t *o;

	(void)state;
	log_setup(2, 1, 0);
	log_warn("up", "s=%s n=%d u=%llu f=%.3f x=%x nan=%f c=%c lit=1 mix=%d%%",
	    "a\"\n\xff\\", -5, 5ull, 0.25, 16u, (double)NAN, '7', 50);
	o = json_loads(logged(), JSON_REJECT_DUPLICATES, &e);
	assert_non_null(o);
	assert_string_equal(
	    json_string_value(json_object_get(o, "ts")), "2026-11-22T06:28:00.000Z");
	assert_string_equal(json_string_value(json_object_get(o, "level")), "warn");
	assert_string_equal(json_string_value(json_object_get(o, "event")), "up");
	assert_string_equal(json_string_value(json_object_get(o, "s")), "a\"\n\\xff\\");
	assert_int_equal(json_integer_value(json_object_get(o, "n")), -5);
	assert_int_equal(json_integer_value(json_object_get(o, "u")), 5);
	assert_true(json_real_value(json_object_get(o, "f")) == 0.25);
	assert_string_equal(json_string_value(json_object_get(o, "x")), "10");
	assert_true(json_is_string(json_object_get(o, "nan")));
	assert_string_equal(json_string_value(json_object_get(o, "c")), "7");
	assert_string_equal(json_string_value(json_object_get(o, "lit")), "1");
	assert_string_equal(json_string_value(json_object_get(o, "mix")), "50%");
	json_decref(o);
	log_setup(2, 0, 0);
}

static void a_long_value_is_cut_and_marked(void **state)
{
	char long_text[5000];
	const char *line;

	(void)state;
	memset(long_text, 'x', sizeof long_text);
	long_text[sizeof long_text - 1] = '\0';
	log_info("e", "a=%s b=%d", long_text, 1);
	line = logged();
	assert_in_range(strlen(line), 500, 700);
	assert_non_null(strstr(line, "xxx...\" b=1\n"));

	/* never in the middle of a character */
	for (size_t i = 0; i + 2 < sizeof long_text; i += 2)
		memcpy(long_text + i, "\xc3\xa9", 2);
	log_info("e", "a=x%s", long_text);
	log_info("e", "a=%s", long_text);
	assert_null(strstr(logged(), "\\\\x"));
}

static void a_line_is_bounded_and_whole(void **state)
{
	char evil[5000];
	json_error_t e;
	const char *line;
	json_t *o;

	(void)state;
	memset(evil, '\x01', sizeof evil);
	evil[sizeof evil - 1] = '\0';
	for (int format = 0; format < 2; format++) {
		log_setup(2, format, 0);
		log_info("e", "n=%d a=%s b=%s c=%s", 1, evil, evil, evil);
		line = logged();
		assert_in_range(strlen(line), 20, 2048);
		assert_int_equal(line[strlen(line) - 1], '\n');
		assert_non_null(strstr(line, "truncated"));
	}
	o = json_loads(text, 0, &e);
	assert_non_null(o);
	assert_true(json_is_true(json_object_get(o, "truncated")));
	json_decref(o);
	log_setup(2, 0, 0);
}

static void levels_below_the_threshold_are_silent(void **state)
{
	(void)state;
	log_setup(1, 0, 0);
	assert_false(log_enabled(2));
	log_info("e", "a=%d", 1);
	log_debug("e", "a=%d", 1);
	assert_string_equal(logged(), "");
	log_setup(3, 0, 0);
	log_debug("e", "a=%d", 1);
	assert_string_equal(logged(), STAMP "level=debug event=e a=1\n");
	log_setup(2, 0, 0);
}

static void repeats_become_one_line_with_their_count(void **state)
{
	(void)state;
	log_setup(2, 0, 10000);
	for (int i = 0; i < 213; i++)
		log_warn("flood", "i=%d", i);
	log_warn("other", "i=%d", 1);
	log_flush_due(); /* too early */
	assert_string_equal(logged(),
	    STAMP "level=warn event=flood i=0\n" STAMP "level=warn event=other i=1\n");
	clock_set(AT, 1009999);
	log_warn("flood", "i=%d", 213);
	log_flush_due();
	assert_string_equal(logged(), "");
	clock_set(AT, 1010000);
	log_flush_due();
	log_flush_due();
	assert_string_equal(logged(), STAMP "level=warn event=flood repeated=213\n");

	/* by the next one after the window */
	log_warn("flood", "i=%d", 1);
	clock_set(AT, 1020000);
	log_warn("flood", "i=%d", 2);
	assert_string_equal(logged(), STAMP "level=warn event=flood i=2 repeated=1\n");

	/* at the end, whatever the time */
	log_warn("flood", "i=%d", 3);
	log_flush();
	log_flush();
	assert_string_equal(logged(), STAMP "level=warn event=flood repeated=1\n");
	log_setup(2, 0, 0);
}

/* A second issuer's failure is no repeat of the first one's, and a count says whose. */
static void each_subject_has_its_line_and_its_count(void **state)
{
	(void)state;
	log_setup(2, 0, 10000);
	clock_set(AT, 3000000);
	for (int i = 0; i < 3; i++) {
		log_warn("failed", "issuer=%s url=%s n=%d", "a", "http://a/", i);
		log_warn("failed", "issuer=%s url=%s n=%d", "b", "http://b c/", i);
	}
	assert_string_equal(logged(),
	    STAMP "level=warn event=failed issuer=a url=http://a/ n=0\n" STAMP
		  "level=warn event=failed issuer=b url=\"http://b c/\" n=0\n");
	log_flush();
	assert_string_equal(logged(),
	    STAMP "level=warn event=failed issuer=a url=http://a/ repeated=2\n" STAMP
		  "level=warn event=failed issuer=b url=\"http://b c/\" repeated=2\n");

	/* the count as JSON too; not the logfmt of before a reload in it */
	log_warn("failed", "issuer=%s n=%d", "c", 0);
	log_warn("failed", "issuer=%s n=%d", "c", 1);
	log_setup(2, 1, 10000);
	log_warn("failed", "issuer=%s n=%d", "d", 0);
	log_warn("failed", "issuer=%s n=%d", "d", 1);
	logged();
	log_flush();
	assert_non_null(strstr(logged(), "\"event\":\"failed\",\"repeated\":1}\n"));
	assert_non_null(
	    strstr(text, "\"event\":\"failed\",\"issuer\":\"d\",\"repeated\":1}\n"));
	log_setup(2, 0, 0);
}

/* States, requests and mistakes: a line that is missing would tell the contrary. */
static void what_is_logged_each_time_is_never_a_repeat(void **state)
{
	(void)state;
	log_setup(2, 0, 10000);
	clock_set(AT, 4000000);
	for (int i = 0; i < 3; i++) {
		log_each(LOG_WARN, "down", "n=%d", i);
		log_each(LOG_INFO, "up", "n=%d", i);
	}
	log_flush();
	assert_string_equal(logged(),
	    STAMP "level=warn event=down n=0\n" STAMP "level=info event=up n=0\n" STAMP
		  "level=warn event=down n=1\n" STAMP "level=info event=up n=1\n" STAMP
		  "level=warn event=down n=2\n" STAMP "level=info event=up n=2\n");
	log_setup(1, 0, 0);
	log_each(LOG_INFO, "up", "n=%d", 1);
	assert_string_equal(logged(), "");
	log_setup(2, 0, 0);
}

/* Else the last line of a list that is well again would be that it has failed. */
static void what_has_ended_is_not_told_after_its_end(void **state)
{
	(void)state;
	log_setup(2, 0, 10000);
	clock_set(AT, 5000000);
	for (int i = 0; i < 3; i++) {
		log_warn("list_failed", "issuer=%s url=%s err=%s", "a", "u", "http");
		log_warn("list_failed", "issuer=%s url=%s err=%s", "a", "u2", "http");
		log_warn("list_failed", "issuer=%s url=%s err=%s", "b", "u", "http");
	}
	logged();
	log_settled(2, "list_well", "issuer=%s url=%s n=%d", "a", "u", 3);
	assert_string_equal(logged(), STAMP
	    "level=warn event=list_failed issuer=a url=u err=http repeated=2\n" STAMP
	    "level=info event=list_well issuer=a url=u n=3\n");
	/* what is new of it has its line, what is not owes nothing */
	log_warn("list_failed", "issuer=%s url=%s err=%s", "a", "u", "http");
	assert_string_equal(
	    logged(), STAMP "level=warn event=list_failed issuer=a url=u err=http\n");
	log_settled(2, "list_well", "issuer=%s url=%s n=%d", "a", "u", 1);
	assert_string_equal(
	    logged(), STAMP "level=info event=list_well issuer=a url=u n=1\n");
	/* of nobody: of nobody else */
	log_settled(2, "all_well", "n=%d", 1);
	assert_string_equal(logged(), STAMP "level=info event=all_well n=1\n");
	log_flush();
	assert_string_equal(logged(), STAMP
	    "level=warn event=list_failed issuer=a url=u2 err=http repeated=2\n" STAMP
	    "level=warn event=list_failed issuer=b url=u err=http repeated=2\n");
}

/* Many subjects of one event become one number again: log.h's weak point. */
static void subjects_of_one_event_are_bounded(void **state)
{
	unsigned lines = 0;

	(void)state;
	log_setup(2, 0, 10000);
	clock_set(AT, 5000000);
	for (int i = 0; i < 1000; i++)
		log_warn("storm", "issuer=i%d", i);
	for (const char *p = logged(); (p = strstr(p, "event=storm")) != NULL; p++)
		lines++;
	assert_int_equal(
	    lines, 33); /* 32 that are told apart, and the first of all others */
	log_warn("calm", "issuer=%s", "x");
	assert_string_equal(logged(), STAMP "level=warn event=calm issuer=x\n");
	log_flush();
	assert_non_null(strstr(logged(), "event=storm repeated=967\n"));
	log_setup(2, 0, 0);
}

static void *log_many(void *arg)
{
	for (int i = 0; i < 200; i++)
		log_info("many", "thread=%s i=%d", (const char *)arg, i);
	return NULL;
}

static void lines_of_several_threads_do_not_mix(void **state)
{
	static char name[4][100];
	pthread_t t[4];
	unsigned lines = 0;
	int fd[2];
	size_t n = 0;
	ssize_t got;

	(void)state;
	assert_int_equal(pipe(fd), 0);
	assert_true(fcntl(fd[1], F_SETPIPE_SZ, 1 << 20) > 0);
	dup2(fd[1], STDERR_FILENO);
	for (int i = 0; i < 4; i++) {
		memset(name[i], 'a' + i, sizeof name[i] - 1);
		assert_int_equal(pthread_create(&t[i], NULL, log_many, name[i]), 0);
	}
	for (int i = 0; i < 4; i++)
		pthread_join(t[i], NULL);
	dup2(fileno(file), STDERR_FILENO);
	close(fd[1]);
	while ((got = read(fd[0], text + n, sizeof text - 1 - n)) > 0)
		n += (size_t)got;
	close(fd[0]);
	text[n] = '\0';
	for (char *l = strtok(text, "\n"); l != NULL; l = strtok(NULL, "\n")) {
		const char *v = strstr(l, "thread=");

		assert_int_equal(strncmp(l, STAMP, strlen(STAMP)), 0);
		assert_non_null(v);
		assert_int_equal(strspn(v + 7, (char[]){v[7], '\0'}), 99);
		lines++;
	}
	assert_int_equal(lines, 800);
}

/* The table of names is bounded; what is beyond it is logged, never lost.  Last: it fills
 * the table. */
static void more_events_than_the_table_holds_are_still_logged(void **state)
{
	static char name[600][8];

	(void)state;
	log_setup(2, 0, 10000);
	clock_set(AT, 6000000);
	for (int i = 0; i < 600; i++) {
		snprintf(name[i], sizeof name[i], "e%d", i);
		log_info(name[i], "a=%d", 1);
	}
	assert_non_null(strstr(logged(), "event=e599 "));
	log_info(name[599], "a=%d", 1);
	assert_non_null(strstr(logged(), "event=e599 "));
	log_info(name[0], "a=%d", 1);
	assert_string_equal(logged(), "");
}

int main(void)
{
	const struct CMUnitTest cases[] = {
	    cmocka_unit_test(a_line_is_time_level_event_and_pairs),
	    cmocka_unit_test(a_full_pipe_is_not_waited_for),
	    cmocka_unit_test(every_conversion_that_we_promise_prints_as_printf_does),
	    cmocka_unit_test(what_a_peer_says_cannot_forge_a_line_or_a_key),
	    cmocka_unit_test(only_valid_utf8_is_written_as_it_is),
	    cmocka_unit_test(json_has_the_same_keys_and_is_json),
	    cmocka_unit_test(a_long_value_is_cut_and_marked),
	    cmocka_unit_test(a_line_is_bounded_and_whole),
	    cmocka_unit_test(levels_below_the_threshold_are_silent),
	    cmocka_unit_test(repeats_become_one_line_with_their_count),
	    cmocka_unit_test(each_subject_has_its_line_and_its_count),
	    cmocka_unit_test(what_is_logged_each_time_is_never_a_repeat),
	    cmocka_unit_test(what_has_ended_is_not_told_after_its_end),
	    cmocka_unit_test(subjects_of_one_event_are_bounded),
	    cmocka_unit_test(lines_of_several_threads_do_not_mix),
	    cmocka_unit_test(more_events_than_the_table_holds_are_still_logged),
	};

	return cmocka_run_group_tests(cases, begin, end);
}
