/* Signatures made by OpenSSL's own signing, checked with kept contexts and without: they
 * say the same of good ones, of altered ones, and of those by another key. */
#include "cache/ocsp/verifier.h"

#include <openssl/err.h>
#include <openssl/evp.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

#include "tests/lib/forge.h"

static const uint8_t text[] = {0x30, 0x03, 0x02, 0x01, 0x2a};

static EVP_PKEY *ec, *ec2, *rsa, *ed;
static struct verifier *v;

static int keys_make(void **state)
{
	(void)state;
	ec = forge_key("P-256");
	ec2 = forge_key("P-256");
	rsa = forge_key("2048");
	ed = forge_key("ED25519");
	return 0;
}

static int keys_free(void **state)
{
	(void)state;
	EVP_PKEY_free(ec);
	EVP_PKEY_free(ec2);
	EVP_PKEY_free(rsa);
	EVP_PKEY_free(ed);
	return 0;
}

static int begin(void **state)
{
	(void)state;
	forge_reset();
	v = verifier_new();
	assert_non_null(v);
	return 0;
}

static int end(void **state)
{
	(void)state;
	verifier_free(v);
	ERR_clear_error();
	return 0;
}

/* left: unused bits of the BIT STRING. */
static bool check(enum forge_signature kind, struct bytes signature, long left,
    struct bytes data, EVP_PKEY *key)
{
	struct bytes der = forge_algorithm(kind);
	const unsigned char *p = der.p;
	X509_ALGOR *a = d2i_X509_ALGOR(NULL, &p, (long)der.n);
	ASN1_BIT_STRING *s = ASN1_BIT_STRING_new();
	bool kept, again, plain;

	assert_true(a != NULL && s != NULL);
	assert_int_equal(ASN1_STRING_set(s, signature.p, (int)signature.n), 1);
	s->flags &= ~(ASN1_STRING_FLAG_BITS_LEFT | 0x07);
	s->flags |= ASN1_STRING_FLAG_BITS_LEFT | left;
	kept = verifier_check(v, a, s, data, key);
	again = verifier_check(v, a, s, data, key);
	plain = verifier_check(NULL, a, s, data, key);
	assert_int_equal(kept, plain);
	assert_int_equal(again, plain);
	ASN1_BIT_STRING_free(s);
	X509_ALGOR_free(a);
	return plain;
}

static const struct {
	enum forge_signature kind;
	EVP_PKEY **key;
} algorithms[] = {
    {FORGE_ECDSA_SHA256, &ec},
    {FORGE_ECDSA_SHA1, &ec},
    {FORGE_RSA_SHA256, &rsa},
    {FORGE_RSA_SHA1, &rsa},
    {FORGE_PSS_SHA256, &rsa},
    {FORGE_ED25519, &ed},
};
#define ALGORITHMS (sizeof algorithms / sizeof *algorithms)

/* R43 */
static void good_signatures_are_good_by_every_algorithm(void **state)
{
	struct bytes data = bytes_of(text, sizeof text);

	(void)state;
	for (size_t i = 0; i < ALGORITHMS; i++) {
		enum forge_signature kind = algorithms[i].kind;
		EVP_PKEY *key = *algorithms[i].key;

		assert_true(check(kind, forge_sign(kind, key, data), 0, data, key));
	}
}

/* R43: ... and one after the other by the same key, whatever came between. */
static void each_signature_is_checked_by_itself(void **state)
{
	struct bytes data = bytes_of(text, sizeof text);

	(void)state;
	for (size_t i = 0; i < ALGORITHMS; i++) {
		enum forge_signature kind = algorithms[i].kind;
		EVP_PKEY *key = *algorithms[i].key;
		struct bytes good = forge_sign(kind, key, data);

		for (size_t n = 0; n < good.n; n += 5) {
			struct bytes bad = forge_append(good, "", 0);

			((uint8_t *)(uintptr_t)bad.p)[n] ^= 4;
			assert_false(check(kind, bad, 0, data, key));
		}
		assert_false(check(kind, bytes_of(good.p, good.n - 1), 0, data, key));
		assert_false(check(kind, forge_append(good, "", 1), 0, data, key));
		assert_false(check(kind, bytes_of("", 0), 0, data, key));
		assert_false(check(kind, good, 0, bytes_of(text, 4), key));
		assert_false(check(kind, good, 3, data, key));
		assert_true(check(kind, good, 0, data, key));
	}
}

/* R43 */
static void a_signature_by_another_key_or_kind_is_refused(void **state)
{
	struct bytes data = bytes_of(text, sizeof text);
	struct bytes by_ec = forge_sign(FORGE_ECDSA_SHA256, ec, data);
	struct bytes by_rsa = forge_sign(FORGE_RSA_SHA256, rsa, data);

	(void)state;
	assert_true(check(FORGE_ECDSA_SHA256, by_ec, 0, data, ec));
	assert_false(check(FORGE_ECDSA_SHA256, by_ec, 0, data, ec2));
	assert_false(check(FORGE_ECDSA_SHA256, by_ec, 0, data, rsa));
	assert_false(check(FORGE_RSA_SHA256, by_ec, 0, data, ec));
	assert_true(check(FORGE_RSA_SHA256, by_rsa, 0, data, rsa));
	assert_false(check(FORGE_RSA_SHA1, by_rsa, 0, data, rsa));
	assert_false(check(FORGE_PSS_SHA256, by_rsa, 0, data, rsa));
	assert_true(check(FORGE_ECDSA_SHA256, by_ec, 0, data, ec));
}

/* A key that its owner has freed is not taken for the one that gets its address. */
static void keys_come_and_go(void **state)
{
	struct bytes data = bytes_of(text, sizeof text);

	(void)state;
	for (int i = 0; i < 600; i++) {
		EVP_PKEY *key = forge_key("P-256");

		forge_reset();
		assert_true(check(FORGE_ECDSA_SHA256,
		    forge_sign(FORGE_ECDSA_SHA256, key, data), 0, data, key));
		EVP_PKEY_free(key);
		if (i % 100 == 99)
			verifier_forget(v);
	}
}

static void freeing_nothing_is_allowed(void **state)
{
	(void)state;
	verifier_free(NULL);
}

#define CASE(name) cmocka_unit_test_setup_teardown(name, begin, end)

int main(void)
{
	const struct CMUnitTest tests[] = {
	    CASE(good_signatures_are_good_by_every_algorithm),
	    CASE(each_signature_is_checked_by_itself),
	    CASE(a_signature_by_another_key_or_kind_is_refused),
	    CASE(keys_come_and_go),
	    cmocka_unit_test(freeing_nothing_is_allowed),
	};

	return cmocka_run_group_tests(tests, keys_make, keys_free);
}
