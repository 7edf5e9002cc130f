#include "cache/watch/watch_plain.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "tests/lib/key_vectors.h"
#include "tests/lib/watch_kit.h"

static struct watch_kit kit;

static void start(void)
{
	kit = (struct watch_kit){.want = {.format = WATCH_PLAIN}};
}

/* The same comes of it however it is cut into pieces. */
static void expect(const char *body, const char *text)
{
	static const size_t pieces[] = {0, 1, 3, 64};

	for (size_t i = 0; i < sizeof pieces / sizeof pieces[0]; i++) {
		kit.piece = pieces[i];
		watch_kit_read(&kit, body, strlen(body));
		assert_string_equal(kit.text, text);
	}
	kit.piece = 0;
}

/* As the list of 29 February 2020 is written (caa-rechecking-incident-affected-serials):
 * serial, number of the account, names. */
static void lets_encrypts_form_of_2020(void **state)
{
	(void)state;
	start();
	expect("serial 0300a8b7e5ab6bd1a1b2c3d4e5f60718293a 54321 missing CAA checking "
	       "results for www.example.com names: [example.com www.example.com]\n"
	       "serial 04FF 7 names: [x.example]\r\n",
	    "1 - 300a8b7e5ab6bd1a1b2c3d4e5f60718293a\n2 - 4ff\n");
}

static void comments_blanks_and_whatever_stands_behind(void **state)
{
	(void)state;
	start();
	expect("\xef\xbb\xbf# what we revoke\n\n  03:AB # one\n\t0x0d\tother words "
	       "\xff\xfe\n#\nf#x",
	    "3 - 3ab\n4 - d\n6 - f\n");
	expect("", "");
}

static void a_configured_issuer_before_a_serial_is_its_issuer(void **state)
{
	static const struct watch_kit_issuer list[] = {
	    {"cafe", vector_ca, false}, {NULL}};

	(void)state;
	start();
	kit.want.issuers = watch_kit_issuers(list);
	expect("serial cafe 02\ncafe\ncafe x.example\nabcd 03\n",
	    "1 cafe* 2\n2 - cafe\n3 - cafe\n4 - abcd\n");
	expect("r3 01ab\n",
	    "1!! bad_serial: the serial \"r3\" is not hexadecimal, or longer than any "
	    "certificate's\n");
	start();
	expect("r3 01ab\n", "1 r3 1ab\n");
}

static void a_bad_line_is_named(void **state)
{
	(void)state;
	start();
	expect("01ab\nserial\n",
	    "1 - 1ab\n2!! bad_serial: the serial \"\" is not hexadecimal, or longer than "
	    "any certificate's\n");
	expect("names: [x]\n", "1!! bad_serial: the serial \"names:\" is not "
			       "hexadecimal, or longer than any "
			       "certificate's\n");
}

static void decimals_are_said_to_be(void **state)
{
	(void)state;
	start();
	expect("12345678901\n2\n",
	    "1 - 12345678901\n2 - 2\n1!! serials_ambiguous: all serials are digits, and "
	    "this one has more than ten: say whether they are hexadecimal or decimal "
	    "(serial=hex, serial=dec)\n");
	kit.want.base = WATCH_BASE_DEC;
	expect("serial 258 2\n", "1 - 102\n");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(lets_encrypts_form_of_2020),
	    cmocka_unit_test(comments_blanks_and_whatever_stands_behind),
	    cmocka_unit_test(a_configured_issuer_before_a_serial_is_its_issuer),
	    cmocka_unit_test(a_bad_line_is_named),
	    cmocka_unit_test(decimals_are_said_to_be),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
