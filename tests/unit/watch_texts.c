#include "cache/watch/watch_texts.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

static struct watch_texts t;
static char long_text[WATCH_TEXT_MAX + 1];

static struct bytes text_of(const char *text)
{
	return bytes_of(text, strlen(text));
}

static struct watch_cert ended(void)
{
	struct watch_cert c = {.names = NULL};

	watch_texts_end(&t, &c);
	return c;
}

/* Each text takes its octets and one. */
static void a_name_of_all_the_room_fits(void **state)
{
	struct watch_cert c;

	(void)state;
	memset(long_text, 'x', sizeof long_text);
	for (size_t less = 0; less < 3; less++) {
		watch_texts_reset(&t);
		watch_texts_name(&t, bytes_of(long_text, WATCH_TEXT_MAX - less));
		c = ended();
		assert_int_equal(c.names_n, less > 0);
		assert_int_equal(c.names_more, less == 0);
	}
	watch_texts_name(&t, text_of("a")); /* two octets are left, none behind it */
	c = ended();
	assert_int_equal(c.names_n, 1);
	assert_int_equal(c.names_more, 1);
}

static void from_the_first_without_room_on_names_are_counted(void **state)
{
	struct watch_cert c;

	(void)state;
	watch_texts_reset(&t);
	watch_texts_name(&t, text_of("a"));
	watch_texts_name(&t, bytes_of(long_text, WATCH_TEXT_MAX));
	watch_texts_name(&t, text_of("b"));
	watch_texts_name(&t, text_of(""));
	c = ended();
	assert_int_equal(c.names_n, 1);
	assert_int_equal(c.names_more, 2);
}

static void labels_come_before_names(void **state)
{
	struct watch_cert c;

	(void)state;
	watch_texts_reset(&t);
	for (int i = 0; i < WATCH_TEXTS_MAX; i++)
		watch_texts_name(&t, text_of("n"));
	assert_int_equal(ended().names_n, WATCH_TEXTS_MAX);
	assert_true(watch_texts_label(&t, text_of("")));
	assert_true(watch_texts_label(&t, text_of("abc")));
	c = ended();
	assert_int_equal(c.labels_n, 1);
	assert_int_equal(c.names_n, WATCH_TEXTS_MAX - 2);
	assert_int_equal(c.names_more, 2);
	assert_true(watch_texts_label(&t, bytes_of(long_text, WATCH_TEXT_MAX - 5)));
	assert_false(watch_texts_label(&t, text_of("d")));
	assert_int_equal(ended().names_n, 0);
}

/* RFC 3986 section 2: a URL is printable ASCII.  Of those that certificates and bodies
 * name none has another scheme (T7): where it leads is looked at when it is fetched. */
static void only_urls_that_can_be_fetched_are_kept(void **state)
{
	static const char *const no[] = {"", "http://", "https://", "ldap://x/y",
	    "/x.crl", "ftp://x/", "http:/x", "http://x y/", "http://x/\n",
	    "http://x/\xc3\xa9", "http://x/\x7f", "xhttp://x/"};
	char url[WATCH_URL_MAX + 1];

	(void)state;
	watch_texts_reset(&t);
	for (size_t i = 0; i < sizeof no / sizeof no[0]; i++)
		watch_texts_url(&t, text_of(no[i]));
	memset(url, 'x', sizeof url);
	memcpy(url, "http://", 7);
	watch_texts_url(&t, bytes_of(url, sizeof url));
	assert_int_equal(ended().crl_n, 0);
	watch_texts_url(&t, bytes_of(url, sizeof url - 1));
	watch_texts_url(&t, text_of("HTTPS://X/~a%20;b"));
	assert_int_equal(ended().crl_n, 2);
	assert_int_equal(t.crl[0].n, WATCH_URL_MAX);
	assert_memory_equal(t.crl[1].p, "HTTPS://X/~a%20;b", 17);
	for (int i = 0; i < 20; i++)
		watch_texts_url(&t, text_of("http://a/"));
	assert_int_equal(ended().crl_n, WATCH_URLS_MAX);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(a_name_of_all_the_room_fits),
	    cmocka_unit_test(from_the_first_without_room_on_names_are_counted),
	    cmocka_unit_test(labels_come_before_names),
	    cmocka_unit_test(only_urls_that_can_be_fetched_are_kept),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
