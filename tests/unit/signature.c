#include "cache/base/signature.h"

#include <openssl/evp.h>
#include <openssl/rsa.h>
#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

static const struct issuer_rules strict, old = {.allow_sha1 = true};

static enum err check(int nid, const struct issuer_rules *rules, bool *sha1)
{
	X509_ALGOR *a = X509_ALGOR_new();
	enum err e;

	assert_int_equal(X509_ALGOR_set0(a, OBJ_nid2obj(nid), V_ASN1_UNDEF, NULL), 1);
	e = signature_algorithm_check(a, rules, sha1);
	X509_ALGOR_free(a);
	return e;
}

/* R43: what FIPS 186-5 and SP 800-131A approve for signing, and nothing else. */
static void the_algorithms_of_our_time_are_allowed(void **state)
{
	static const int good[] = {NID_sha256WithRSAEncryption,
	    NID_sha512WithRSAEncryption, NID_ecdsa_with_SHA256, NID_ecdsa_with_SHA384,
	    NID_RSA_SHA3_256, NID_ED25519, NID_ED448};
	static const int bad[] = {NID_md5WithRSAEncryption, NID_dsa_with_SHA256,
	    NID_ripemd160WithRSA, NID_sha256, NID_undef};
	bool sha1;

	(void)state;
	for (size_t i = 0; i < sizeof good / sizeof good[0]; i++) {
		assert_int_equal(check(good[i], &strict, &sha1), ERR_OK);
		assert_false(sha1);
	}
	for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
		assert_int_equal(check(bad[i], &old, &sha1), ERR_RESP_SIGALG);
}

/* R43 */
static void sha1_is_for_who_allows_it(void **state)
{
	static const int nid[] = {NID_sha1WithRSAEncryption, NID_ecdsa_with_SHA1};
	bool sha1;

	(void)state;
	for (size_t i = 0; i < sizeof nid / sizeof nid[0]; i++) {
		assert_int_equal(check(nid[i], &strict, &sha1), ERR_RESP_SIGALG);
		assert_true(sha1);
		assert_int_equal(check(nid[i], &old, &sha1), ERR_OK);
		assert_true(sha1);
	}
}

/* RFC 4055 section 3.1: parameters of RSASSA-PSS that are empty say SHA-1. */
static void pss_without_a_digest_is_sha1(void **state)
{
	RSA_PSS_PARAMS *none = RSA_PSS_PARAMS_new();
	X509_ALGOR *a = X509_ALGOR_new();
	ASN1_STRING *der = ASN1_STRING_new();
	bool sha1;

	(void)state;
	assert_non_null(ASN1_item_pack(none, ASN1_ITEM_rptr(RSA_PSS_PARAMS), &der));
	X509_ALGOR_set0(a, OBJ_nid2obj(NID_rsassaPss), V_ASN1_SEQUENCE, der);
	assert_int_equal(signature_algorithm_check(a, &strict, &sha1), ERR_RESP_SIGALG);
	assert_true(sha1);
	X509_ALGOR_free(a);
	RSA_PSS_PARAMS_free(none);
	assert_int_equal(check(NID_rsassaPss, &old, &sha1), ERR_RESP_SIGALG);
}

static bool is_strong(EVP_PKEY *key, const struct issuer_rules *rules)
{
	bool strong;

	assert_non_null(key);
	strong = signature_key_is_strong(key, rules);
	EVP_PKEY_free(key);
	return strong;
}

/* NIST SP 800-57 part 1, table 2: 112 bits are RSA 2048 and EC 224, 80 are 1024 and 160.
 */
static void a_key_is_as_strong_as_its_bits(void **state)
{
	(void)state;
	assert_true(is_strong(EVP_EC_gen("P-256"), &strict));
	assert_true(is_strong(EVP_EC_gen("P-224"), &strict));
	assert_false(is_strong(EVP_EC_gen("P-192"), &strict));
	assert_true(is_strong(EVP_EC_gen("P-192"), &old));
	assert_false(is_strong(EVP_RSA_gen(1024), &strict));
	assert_true(is_strong(EVP_RSA_gen(1024), &old));
	assert_false(is_strong(EVP_RSA_gen(1016), &old));
	assert_true(is_strong(EVP_RSA_gen(2048), &strict));
	assert_true(is_strong(EVP_PKEY_Q_keygen(NULL, NULL, "ED25519"), &strict));
	assert_false(is_strong(EVP_PKEY_Q_keygen(NULL, NULL, "X25519"), &old));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(the_algorithms_of_our_time_are_allowed),
	    cmocka_unit_test(sha1_is_for_who_allows_it),
	    cmocka_unit_test(pss_without_a_digest_is_sha1),
	    cmocka_unit_test(a_key_is_as_strong_as_its_bits),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
