/* What is known of configured issuers outlives their configuration, and fills in what a
 * body left out. */
#include "proxy/watch/known.h"

#include <openssl/pem.h>
#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

#include "tests/lib/watch_vectors.h"

#define DN_A  "CN=Watch CA A,O=M\xc3\xbcller\\, S\xc3\xb6hne \\+ Co,C=DE"
#define KEY_A "0b99932c6ce772642b3d07243447991d1598ded3"
#define KEY_N "bb5890ed9595ee2495ba9cb0a99d825fa2f48f77"

static struct known *known;

/* A by its own words (see watch_vectors.h), B, and N, which has no identifier of a key.
 */
static int set_up(void **state)
{
	static const char *const pem[] = {PEM_CA_A, PEM_CA_B, PEM_CA_N};
	static const char *const name[] = {"a", "b", "n"};
	struct issuer_spec spec[3] = {{.name = NULL}};
	struct issuers *configured;
	X509 *ca[3];
	size_t clash[2];

	(void)state;
	for (size_t i = 0; i < 3; i++) {
		BIO *b = BIO_new_mem_buf(pem[i], -1);

		ca[i] = PEM_read_bio_X509(b, NULL, NULL, NULL);
		BIO_free(b);
		assert_non_null(ca[i]);
		spec[i] = (struct issuer_spec){
		    .name = name[i], .certificates = &ca[i], .certificates_n = 1};
	}
	assert_int_equal(issuers_new(&configured, spec, 3, clash), ERR_OK);
	known = known_new(configured);
	assert_non_null(known);
	issuers_free(configured); /* the copy stands on its own */
	for (size_t i = 0; i < 3; i++)
		X509_free(ca[i]);
	return 0;
}

static int tear_down(void **state)
{
	(void)state;
	known_unref(known);
	known_unref(NULL);
	return 0;
}

static void is_key(struct bytes b, const char *hex)
{
	char text[2 * WATCH_AKI_MAX + 1];

	hex_encode(b.p, b.n, text);
	assert_string_equal(text, hex);
}

static struct watch_cert of(const char *issuer)
{
	struct watch_cert c = {.issuer = issuer};

	c.configured = issuer != NULL ? issuers_named(known->issuers, issuer) : NULL;
	known_complete(known, &c);
	return c;
}

/* openssl x509 -noout -ext subjectKeyIdentifier; of N the SHA-1 of its key: openssl x509
 * -pubkey | openssl ec -pubin -outform DER | tail -c 65 | sha1sum */
static void a_body_that_left_it_out_has_key_and_name(void **state)
{
	struct watch_cert c = of("a");

	(void)state;
	is_key(c.aki, KEY_A);
	assert_true(bytes_equal(c.issuer_name, bytes_of(DN_A, strlen(DN_A))));
	c = of("n");
	is_key(c.aki, KEY_N);
	c = of(NULL);
	assert_int_equal(c.aki.n, 0);
	assert_int_equal(c.issuer_name.n, 0);
}

static void what_a_body_says_stays(void **state)
{
	static const uint8_t key[] = {1, 2};
	struct watch_cert c = {
	    .configured = issuers_named(known->issuers, "b"), .aki = {key, sizeof key}};

	(void)state;
	known_complete(known, &c);
	is_key(c.aki, "0102");
	assert_true(bytes_equal(c.issuer_name, bytes_of("CN=Watch CA B", 13)));
	c.issuer_name = bytes_of("CN=x", 4);
	known_complete(known, &c);
	assert_true(bytes_equal(c.issuer_name, bytes_of("CN=x", 4)));
}

static void names_are_those_of_the_configuration(void **state)
{
	(void)state;
	assert_string_equal(known_dn(known, "a"), DN_A);
	assert_string_equal(known_dn(known, "b"), "CN=Watch CA B");
	assert_string_equal(known_dn(known, "c"), "");
	assert_non_null(watch_issuers_with_key(known->index, of("n").aki));
}

static void a_reference_keeps_it(void **state)
{
	struct known *first = known, *second = known_ref(known);

	(void)state;
	known_unref(first);
	assert_string_equal(known_dn(second, "b"), "CN=Watch CA B");
	known = second; /* tear_down() has it */
}

static void none_are_known_of_none(void **state)
{
	struct issuers *none;
	struct known *k;
	size_t clash[2];

	(void)state;
	assert_int_equal(issuers_new(&none, NULL, 0, clash), ERR_OK);
	k = known_new(none);
	assert_non_null(k);
	assert_string_equal(known_dn(k, "a"), "");
	known_unref(k);
	issuers_free(none);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(a_body_that_left_it_out_has_key_and_name),
	    cmocka_unit_test(what_a_body_says_stays),
	    cmocka_unit_test(names_are_those_of_the_configuration),
	    cmocka_unit_test(a_reference_keeps_it),
	    cmocka_unit_test(none_are_known_of_none),
	};

	return cmocka_run_group_tests(tests, set_up, tear_down);
}
