#include "cache/watch/watch_bundle.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "tests/lib/watch_kit.h"
#include "tests/lib/watch_vectors.h"

/* The vectors' dates, and key identifiers as in watch_issuer.c. */
#define DATES " 1767323045..1798761599"
#define KEY_A " key=0b99932c6ce772642b3d07243447991d1598ded3"
#define KEY_B " key=bb546067b7ec4c9f36785cc311a6cd27c1cfb6ef"

static const struct watch_kit_issuer only_a[] = {{"a", PEM_CA_A, false}, {NULL}};
static const struct watch_issuers *a;
static struct watch_kit kit;

static int set_up(void **state)
{
	(void)state;
	a = watch_kit_issuers(only_a);
	return 0;
}

static void start(const struct watch_issuers *issuers)
{
	kit = (struct watch_kit){.want = {.format = WATCH_PEM, .issuers = issuers}};
}

static void expect(const char *body, const char *text)
{
	static const size_t pieces[] = {0, 1, 33};

	for (size_t i = 0; i < sizeof pieces / sizeof pieces[0]; i++) {
		kit.piece = pieces[i];
		watch_kit_read(&kit, body, strlen(body));
		assert_string_equal(kit.text, text);
	}
	kit.piece = 0;
}

static int lines_of(const char *text)
{
	int n = 0;

	for (; *text != '\0'; text++)
		n += *text == '\n';
	return n;
}

static void a_servers_file_is_its_certificate(void **state)
{
	char told[1024];

	(void)state;
	start(a);
	snprintf(told, sizeof told,
	    "%d a* 78f169e25ad34bc43cb52da61e970f80555de66e" KEY_A DATES
	    " names=www.shop.example;*.shop.example;xn--bcher-kva.example;192.0.2.7;"
	    "2001:db8::5;Jo.Doe@mail.example;https://app.example:8443/Path?Q;"
	    "jo@corp.example;j\xc3\xbcrgen@post.example crl=http://crl.example/a.crl;"
	    "https://crl.example/b.crl;http://crl.example/c.crl verified\n",
	    lines_of(PEM_KEY) + 1);
	expect(PEM_KEY PEM_FULL PEM_CA_A, told);
	assert_int_equal(kit.count.certificates, 1);
	assert_int_equal(kit.count.cas, 1);
	assert_int_equal(kit.count.passed_over, 1);
	assert_string_equal(
	    kit.issuer_text, "CN=Watch CA A,O=M\xc3\xbcller\\, S\xc3\xb6hne \\+ Co,C=DE");
}

static void a_ca_is_never_an_entry(void **state)
{
	(void)state;
	start(a);
	expect(PEM_CA_A PEM_CA_LEAF PEM_CA_B, "");
	assert_int_equal(kit.count.cas, 3);
}

/* An AKI needs no chain. */
static void an_issuer_that_is_not_configured_is_its_key(void **state)
{
	(void)state;
	start(a);
	expect(PEM_OF_B, "1 - 1003" KEY_B DATES " names=b.example\n");
	assert_string_equal(kit.issuer_text, "CN=Watch CA B");
	start(NULL);
	expect(PEM_OF_B, "1 - 1003" KEY_B DATES " names=b.example\n");
}

static void what_has_no_aki_waits_for_its_ca(void **state)
{
	char told[1024];
	int n = lines_of(PEM_NO_AKI_B);

	(void)state;
	start(a);
	snprintf(told, sizeof told,
	    "1 - 1004" KEY_B DATES " names=chain.example\n%d - 1003" KEY_B DATES
	    " names=b.example\n",
	    n + 1);
	expect(PEM_NO_AKI_B PEM_OF_B PEM_CA_B, told); /* in order */
	snprintf(told, sizeof told,
	    "1 - 1004" DATES " names=chain.example\n%d - 1003" KEY_B DATES
	    " names=b.example\n",
	    n + 1);
	expect(PEM_NO_AKI_B PEM_OF_B, told); /* it did not come */
	snprintf(told, sizeof told, "%d - 1004" KEY_B DATES " names=chain.example\n",
	    lines_of(PEM_CA_B) + 1);
	expect(PEM_CA_B PEM_NO_AKI_B, told);
}

static void a_bad_block_waits_for_nobody(void **state)
{
	char told[1024];
	int n = lines_of(PEM_NO_AKI_B);

	(void)state;
	start(a);
	kit.go_on = true;
	snprintf(told, sizeof told,
	    "1 - 1004" DATES
	    " names=chain.example\n%d! bad_certificate: not the DER of a "
	    "certificate (header too long)\n%d - 1003" KEY_B DATES " names=b.example\n",
	    n + 1, n + 4);
	expect(PEM_NO_AKI_B
	    "-----BEGIN CERTIFICATE-----\nMIIB\n-----END CERTIFICATE-----\n" PEM_OF_B,
	    told);
}

/* 16 wait at most: the first of 17 is told without its CA, the rest with it. */
static void so_many_wait_and_no_more(void **state)
{
	char *body = calloc(WATCH_WAIT_MAX + 2, 2048);
	size_t with = 0;

	(void)state;
	start(a);
	assert_non_null(body);
	for (int i = 0; i < WATCH_WAIT_MAX; i++)
		strcat(body, PEM_NO_AKI_B);
	strcat(body, PEM_CA_B);
	assert_true(watch_kit_read(&kit, body, strlen(body)));
	for (const char *p = kit.text; (p = strstr(p, KEY_B)) != NULL; p++)
		with++;
	assert_int_equal(kit.count.certificates, WATCH_WAIT_MAX);
	assert_int_equal(with, WATCH_WAIT_MAX - 1);
	assert_memory_equal(kit.text, "1 - 1004" DATES " names=chain.example\n", 8);
	free(body);
}

static void trust_settings_are_passed_over(void **state)
{
	(void)state;
	start(a);
	expect(PEM_TRUSTED, "1 - 1003" KEY_B DATES " names=b.example\n");
}

static void what_is_no_certificate_is_told_and_a_stop_is_a_stop(void **state)
{
	(void)state;
	start(a);
	expect("hello\n", "1!! no_certificate: there is no block of PEM in it\n");
	kit.go_on = true;
	kit.stop_at = 1;
	expect(PEM_OF_B PEM_OF_B,
	    "1 - 1003" KEY_B DATES " names=b.example\n1!! stopped: stopped\n");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(a_servers_file_is_its_certificate),
	    cmocka_unit_test(a_ca_is_never_an_entry),
	    cmocka_unit_test(an_issuer_that_is_not_configured_is_its_key),
	    cmocka_unit_test(what_has_no_aki_waits_for_its_ca),
	    cmocka_unit_test(a_bad_block_waits_for_nobody),
	    cmocka_unit_test(so_many_wait_and_no_more),
	    cmocka_unit_test(trust_settings_are_passed_over),
	    cmocka_unit_test(what_is_no_certificate_is_told_and_a_stop_is_a_stop),
	};

	return cmocka_run_group_tests(tests, set_up, NULL);
}
