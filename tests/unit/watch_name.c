#include "cache/watch/watch_name.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

static void expect(const char *text, const char *spelling)
{
	char out[512];
	size_t n = watch_name(bytes_of(text, strlen(text)), out, sizeof out);

	if (n != strlen(spelling) || memcmp(out, spelling, n) != 0)
		fail_msg("%s: %.*s, not %s", text, (int)n, out, spelling);
}

static void a_dns_name_is_in_lower_case_without_its_last_dot(void **state)
{
	(void)state;
	expect("WWW.Shop.EXAMPLE", "www.shop.example");
	expect("*.Shop.Example.", "*.shop.example");
	expect("_sip._tcp.A-b.example", "_sip._tcp.a-b.example");
	expect("XN--Bcher-KVA.example", "xn--bcher-kva.example");
	expect("localhost", "localhost");
	expect(".", ".");
	expect("", "");
}

/* RFC 3492 section 7.1 (A), (L), and Python's codec "punycode" for the others. */
static void labels_outside_of_ascii_are_a_labels(void **state)
{
	(void)state;
	expect("B\xc3\xbc"
	       "cher.Example",
	    "xn--bcher-kva.example");
	expect("*.m\xc3\xbcnchen.example.", "*.xn--mnchen-3ya.example");
	expect("\xd9\x84\xd9\x8a\xd9\x87\xd9\x85\xd8\xa7\xd8\xa8\xd8\xaa\xd9\x83\xd9\x84"
	       "\xd9\x85"
	       "\xd9\x88\xd8\xb4\xd8\xb9\xd8\xb1\xd8\xa8\xd9\x8a\xd8\x9f",
	    "xn--egbpdaj6bu4bxfgehfvwxn");
	expect("3\xe5\xb9\xb4"
	       "B\xe7\xb5\x84\xe9\x87\x91\xe5\x85\xab\xe5\x85\x88\xe7\x94\x9f",
	    "xn--3b-ww4c5e180e575a65lsy2b");
	expect("\xe4\xbb\x96\xe4\xbb\xac\xe4\xb8\xba\xe4\xbb\x80\xe4\xb9\x88\xe4\xb8\x8d"
	       "\xe8\xaf"
	       "\xb4\xe4\xb8\xad\xe6\x96\x87.example",
	    "xn--ihqwcrb4cv8a8dqg056pqjye.example");
	expect("\xd0\xbf\xd1\x80\xd0\xb8\xd0\xbc\xd0\xb5\xd1\x80.example",
	    "xn--e1afmkfd.example");
	expect("fa\xc3\x9f.pr\xc3\xb6st-x", "xn--fa-hia.xn--prst-x-xxa");
	/* capitals are not mapped: the header's weak point */
	expect("B\xc3\x9c"
	       "CHER",
	    "xn--bcher-2pa");
}

static void what_is_no_dns_name_stays_readable(void **state)
{
	(void)state;
	expect("M\xc3\xbcller GmbH & Co", "m\xc3\xbcller gmbh & co");
	expect("Example Server 1", "example server 1");
	expect("B\xef\xbf\xbdro.Example", "b\xef\xbf\xbdro.example");
	/* 64 characters are no label */
	expect("\xc3\xa4"
	       "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa",
	    "\xc3\xa4"
	    "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa");
}

/* RFC 5952, and inet_ntop() for the rest. */
static void addresses_have_one_spelling(void **state)
{
	(void)state;
	expect("192.0.2.7", "192.0.2.7");
	expect("2001:DB8:0:0:0:0:0:5", "2001:db8::5");
	expect("::FFFF:192.0.2.1", "::ffff:192.0.2.1");
	expect("1.2.3", "1.2.3");
	expect("1.2.3.4.", "1.2.3.4");
	expect("300.1.1.1", "300.1.1.1");
	expect("a:b", "a:b");
}

static void hosts_of_mail_and_uris_are_names(void **state)
{
	(void)state;
	expect("Jo.Doe@Mail.Example", "Jo.Doe@mail.example");
	expect("\"a@b\"@M\xc3\xbcnchen.Example", "\"a@b\"@xn--mnchen-3ya.example");
	expect("J\xc3\xbcrgen@x.example", "J\xc3\xbcrgen@x.example");
	expect("HTTPS://App.Example:8443/Path?Q", "https://app.example:8443/Path?Q");
	expect("http://Me:Pw@Host.Example#F", "http://Me:Pw@host.example#F");
	expect("ldap://[2001:DB8::1]:389/cn=A", "ldap://[2001:db8::1]:389/cn=A");
	expect("spiffe://Trust.Domain/ns/A", "spiffe://trust.domain/ns/A");
	expect("http://", "http://");
	expect("1x://A@B", "1x://A@b");
}

static void what_has_no_room_has_no_spelling(void **state)
{
	static const char *const text[] = {"www.example", "m\xc3\xbcnchen.example",
	    "192.0.2.7", "jo@mail.example", "http://a.example/x", "2001:db8::5", "x y"};

	(void)state;
	for (size_t i = 0; i < sizeof text / sizeof text[0]; i++) {
		struct bytes in = bytes_of(text[i], strlen(text[i]));
		char out[64];
		size_t n = watch_name(in, out, sizeof out);

		assert_true(n > 0);
		for (size_t room = 0; room < n; room++) {
			char *small = malloc(room + 1);

			assert_non_null(small);
			assert_int_equal(watch_name(in, small, room), 0);
			free(small);
		}
		assert_int_equal(watch_name(in, out, n), n);
	}
}

static void a_spelling_is_its_own_spelling(void **state)
{
	static const char *const text[] = {"WWW.Example.", "*.m\xc3\xbcnchen.Example",
	    "2001:DB8::0:5", "A@B.C", "HTTP://X@Y.Z/q", "\xc3\xa4 B"};

	(void)state;
	for (size_t i = 0; i < sizeof text / sizeof text[0]; i++) {
		char once[128], twice[128];
		size_t n =
		    watch_name(bytes_of(text[i], strlen(text[i])), once, sizeof once);

		assert_int_equal(watch_name(bytes_of(once, n), twice, sizeof twice), n);
		assert_memory_equal(once, twice, n);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(a_dns_name_is_in_lower_case_without_its_last_dot),
	    cmocka_unit_test(labels_outside_of_ascii_are_a_labels),
	    cmocka_unit_test(what_is_no_dns_name_stays_readable),
	    cmocka_unit_test(addresses_have_one_spelling),
	    cmocka_unit_test(hosts_of_mail_and_uris_are_names),
	    cmocka_unit_test(what_has_no_room_has_no_spelling),
	    cmocka_unit_test(a_spelling_is_its_own_spelling),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
