#include "cache/base/issuer.h"

#include <openssl/ocsp.h>
#include <openssl/pem.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>

#include <cmocka.h>

#include "tests/lib/key_vectors.h"
#include "tests/lib/unhex.h"

static X509 *read_vector_ca(void)
{
	BIO *bio = BIO_new_mem_buf(vector_ca, -1);
	X509 *x = PEM_read_bio_X509(bio, NULL, NULL, NULL);

	BIO_free(bio);
	assert_non_null(x);
	return x;
}

/* Self-signed; key NULL: a new one. */
static X509 *make_ca(const char *name, long number, EVP_PKEY *key)
{
	EVP_PKEY *own = key == NULL ? EVP_EC_gen("P-256") : NULL;
	X509 *x = X509_new();
	X509_NAME *subject = X509_get_subject_name(x);

	if (key == NULL)
		key = own;
	X509_NAME_add_entry_by_txt(
	    subject, "CN", MBSTRING_ASC, (const unsigned char *)name, -1, -1, 0);
	X509_set_issuer_name(x, subject);
	ASN1_INTEGER_set(X509_get_serialNumber(x), number);
	X509_gmtime_adj(X509_getm_notBefore(x), 0);
	X509_gmtime_adj(X509_getm_notAfter(x), 3600);
	X509_set_pubkey(x, key);
	assert_true(X509_sign(x, key, EVP_sha256()) > 0);
	EVP_PKEY_free(own);
	return x;
}

static struct issuer_spec spec_of(const char *name, X509 *const *x, size_t n)
{
	return (struct issuer_spec){.name = name, .certificates = x, .certificates_n = n};
}

static void certids_are_those_of_openssl_ocsp(void **state)
{
	X509 *x = read_vector_ca();
	struct issuer_spec spec = spec_of("demo", &x, 1);
	struct issuers *is = NULL;
	size_t clash[2];

	(void)state;
	assert_int_equal(issuers_new(&is, &spec, 1, clash), ERR_OK);
	for (size_t i = 0; i < sizeof key_vectors / sizeof key_vectors[0]; i++) {
		uint8_t der[KEY_DER_MAX];
		size_t n = unhex(key_vectors[i].der, der, sizeof der);
		struct key asked, made;
		struct serial s;
		unsigned ca = 99;

		assert_int_equal(key_from_der(&asked, bytes_of(der, n)), ERR_OK);
		assert_ptr_equal(issuers_find(is, &asked, &ca), issuers_at(is, 0));
		assert_int_equal(ca, 0);
		assert_int_equal(serial_from_hex(&s, key_vectors[i].serial), ERR_OK);
		issuer_key(issuers_at(is, 0), 0, key_vectors[i].hash, &s, &made);
		assert_true(key_equal(&asked, &made));
	}
	issuers_free(is);
	X509_free(x);
}

static void hashes_are_those_of_ocsp_cert_to_id(void **state)
{
	X509 *x = make_ca("some CA", 7, NULL);
	struct issuer_spec spec = spec_of("a", &x, 1);
	struct issuers *is = NULL;
	size_t clash[2];
	uint8_t sum[32], both[64];

	(void)state;
	assert_int_equal(issuers_new(&is, &spec, 1, clash), ERR_OK);
	for (int h = 0; h < CERTID_HASH_COUNT; h++) {
		const struct issuer_ca *ca = &issuers_at(is, 0)->ca[0];
		const EVP_MD *md = EVP_get_digestbynid(certid_hash_nid(h));
		OCSP_CERTID *id = OCSP_cert_to_id(md, x, x);
		ASN1_OCTET_STRING *name, *key;

		OCSP_id_get0_info(&name, NULL, &key, NULL, id);
		assert_int_equal(ASN1_STRING_length(name), certid_hash_size(h));
		assert_memory_equal(
		    ASN1_STRING_get0_data(name), ca->name_hash[h], certid_hash_size(h));
		assert_memory_equal(
		    ASN1_STRING_get0_data(key), ca->key_hash[h], certid_hash_size(h));
		if (h == CERTID_SHA256) {
			memcpy(both, ASN1_STRING_get0_data(name), 32);
			memcpy(both + 32, ASN1_STRING_get0_data(key), 32);
			EVP_Digest(both, 64, sum, NULL, EVP_sha256(), NULL);
			assert_memory_equal(ca->id, sum, 32);
		}
		OCSP_CERTID_free(id);
	}
	issuers_free(is);
	X509_free(x);
}

/* R15, T3: same serial, same name, another key; and both hashes count. */
static void an_issuer_is_found_only_by_both_hashes(void **state)
{
	X509 *a = make_ca("one name", 1, NULL), *b = make_ca("one name", 1, NULL);
	struct issuer_spec spec[2] = {spec_of("a", &a, 1), spec_of("b", &b, 1)};
	struct issuers *is = NULL;
	const struct issuer *ia, *ib;
	struct serial s = {1, {5}};
	struct key k;
	size_t clash[2];

	(void)state;
	assert_int_equal(issuers_new(&is, spec, 2, clash), ERR_OK);
	ia = issuers_named(is, "a");
	ib = issuers_named(is, "b");
	assert_null(issuers_named(is, "c"));
	assert_int_equal(issuers_count(is), 2);
	for (int h = 0; h < CERTID_HASH_COUNT; h++) {
		uint8_t wrong[CERTID_HASH_MAX];
		const uint8_t *name = ia->ca[0].name_hash[h],
			      *key = ia->ca[0].key_hash[h];
		size_t last = certid_hash_size(h) - 1;

		issuer_key(ia, 0, h, &s, &k);
		assert_ptr_equal(issuers_find(is, &k, NULL), ia);
		issuer_key(ib, 0, h, &s, &k);
		assert_ptr_equal(issuers_find(is, &k, NULL), ib);
		memcpy(wrong, name, last + 1);
		wrong[last] ^= 1;
		key_make(&k, h, wrong, key, &s);
		assert_null(issuers_find(is, &k, NULL));
		memcpy(wrong, key, last + 1);
		wrong[last] ^= 1;
		key_make(&k, h, name, wrong, &s);
		assert_null(issuers_find(is, &k, NULL));
	}
	issuers_free(is);
	X509_free(a);
	X509_free(b);
}

static void two_issuers_with_one_certid_clash(void **state)
{
	EVP_PKEY *key = EVP_EC_gen("P-256");
	X509 *x[3] = {make_ca("other", 1, NULL), make_ca("renewed", 1, key),
	    make_ca("renewed", 2, key)};
	struct issuer_spec spec[3] = {
	    spec_of("a", &x[0], 1), spec_of("b", &x[1], 1), spec_of("c", &x[2], 1)};
	struct issuers *is = NULL;
	size_t clash[2] = {9, 9};

	(void)state;
	assert_int_equal(issuers_new(&is, spec, 3, clash), ERR_REQ_ISSUER);
	assert_int_equal(clash[0], 1);
	assert_int_equal(clash[1], 2);
	assert_null(is);
	EVP_PKEY_free(key);
	for (int i = 0; i < 3; i++)
		X509_free(x[i]);
}

static void a_renewed_ca_is_one_issuer(void **state)
{
	EVP_PKEY *key = EVP_EC_gen("P-256");
	X509 *x[3] = {
	    make_ca("ca", 1, key), make_ca("ca", 2, key), make_ca("ca", 3, NULL)};
	struct issuer_spec spec = spec_of("ca", x, 3);
	struct issuers *is = NULL;
	struct serial s = {1, {5}};
	struct key k;
	size_t clash[2];
	unsigned ca = 9;

	(void)state;
	assert_int_equal(issuers_new(&is, &spec, 1, clash), ERR_OK);
	issuer_key(issuers_at(is, 0), 1, CERTID_SHA1, &s, &k);
	assert_ptr_equal(issuers_find(is, &k, &ca), issuers_at(is, 0));
	assert_int_equal(ca, 0); /* the same CertID as number 0 */
	issuer_key(issuers_at(is, 0), 2, CERTID_SHA256, &s, &k);
	assert_ptr_equal(issuers_find(is, &k, &ca), issuers_at(is, 0));
	assert_int_equal(ca, 2);
	assert_memory_not_equal(
	    issuers_at(is, 0)->ca[0].sha256, issuers_at(is, 0)->ca[1].sha256, 32);
	assert_memory_equal(issuers_at(is, 0)->ca[0].id, issuers_at(is, 0)->ca[1].id, 32);
	assert_memory_not_equal(
	    issuers_at(is, 0)->ca[0].id, issuers_at(is, 0)->ca[2].id, 32);
	for (int i = 0; i < 3; i++)
		assert_ptr_equal(
		    issuers_with(is, issuers_at(is, 0)->ca[i].id), issuers_at(is, 0));
	issuers_free(is);
	EVP_PKEY_free(key);
	for (int i = 0; i < 3; i++)
		X509_free(x[i]);
}

/* R12: whoever takes a certificate out of service has to meet every key of it. */
static void the_keys_of_a_certificate_are_one_for_each_ca_and_hash(void **state)
{
	X509 *x[2] = {make_ca("ca", 1, NULL), make_ca("ca", 2, NULL)};
	struct issuer_spec spec = spec_of("ca", x, 2);
	struct issuers *is = NULL;
	struct serial s = {1, {5}}, seen;
	const struct issuer *i;
	size_t clash[2];

	(void)state;
	assert_int_equal(issuers_new(&is, &spec, 1, clash), ERR_OK);
	i = issuers_at(is, 0);
	assert_int_equal(issuer_keys_n(i), 2 * CERTID_HASH_COUNT);
	for (size_t n = 0; n < issuer_keys_n(i); n++) {
		struct key k, other;
		unsigned ca = 9;

		issuer_key_at(i, n, &s, &k);
		key_serial(&k, &seen);
		assert_true(serial_equal(&seen, &s));
		assert_ptr_equal(issuers_find(is, &k, &ca), i);
		assert_int_equal(ca, n / CERTID_HASH_COUNT);
		for (size_t m = 0; m < n; m++) {
			issuer_key_at(i, m, &s, &other);
			assert_false(key_equal(&k, &other));
		}
	}
	issuers_free(is);
	X509_free(x[0]);
	X509_free(x[1]);
}

static void everything_is_copied(void **state)
{
	X509 *x = read_vector_ca();
	char name[] = "demo", url[] = "http://127.0.0.1/";
	char *urls[] = {url};
	struct issuer_spec spec = spec_of(name, &x, 1);
	struct issuers *is = NULL;
	size_t clash[2];

	(void)state;
	spec.ocsp = urls;
	spec.ocsp_n = 1;
	spec.responders = &x;
	spec.responders_n = 1;
	spec.rules.max_in_flight = 64;
	assert_int_equal(issuers_new(&is, &spec, 1, clash), ERR_OK);
	name[0] = 'X';
	url[0] = 'X';
	X509_free(x);
	assert_string_equal(issuers_at(is, 0)->name, "demo");
	assert_int_equal(issuers_at(is, 0)->ocsp_n, 1);
	assert_string_equal(issuers_at(is, 0)->ocsp[0], "http://127.0.0.1/");
	assert_int_equal(issuers_at(is, 0)->rules.max_in_flight, 64);
	assert_int_equal(issuers_at(is, 0)->responder_n, 1);
	assert_int_equal(
	    EVP_PKEY_get_base_id(issuers_at(is, 0)->responder[0].key), EVP_PKEY_EC);
	assert_int_equal(EVP_PKEY_get_base_id(issuers_at(is, 0)->ca[0].key), EVP_PKEY_EC);
	issuers_free(is);
	issuers_free(NULL);
}

static void a_certificate_without_a_usable_key_is_refused(void **state)
{
	X509 *good = read_vector_ca(), *x[2] = {good, X509_new()};
	struct issuer_spec spec = spec_of("a", x, 2);
	struct issuers *is = NULL;
	size_t clash[2];

	(void)state;
	assert_int_equal(issuers_new(&is, &spec, 1, clash), ERR_INTERNAL);
	assert_null(is);
	spec.certificates_n = 1;
	spec.responders = x;
	spec.responders_n = 2;
	assert_int_equal(issuers_new(&is, &spec, 1, clash), ERR_INTERNAL);
	assert_null(is);
	X509_free(x[1]);
	X509_free(good);
}

static void an_empty_set_finds_nothing(void **state)
{
	struct issuers *is = NULL;
	uint8_t hash[64] = {0};
	struct serial s = {1, {1}};
	struct key k;
	size_t clash[2];

	(void)state;
	assert_int_equal(issuers_new(&is, NULL, 0, clash), ERR_OK);
	assert_int_equal(issuers_count(is), 0);
	key_make(&k, CERTID_SHA1, hash, hash, &s);
	assert_null(issuers_find(is, &k, NULL));
	assert_null(issuers_named(is, ""));
	assert_null(issuers_with(is, (const uint8_t[32]){0}));
	issuers_free(is);
}

static void hundred_issuers_are_all_found(void **state)
{
	enum { N = 100 };
	X509 *x[N];
	char name[N][16];
	struct issuer_spec spec[N];
	struct issuers *is = NULL;
	struct serial s = {1, {5}};
	size_t clash[2];

	(void)state;
	for (int i = 0; i < N; i++) {
		snprintf(name[i], sizeof name[i], "ca-%d", i);
		x[i] = make_ca(name[i], 1, NULL);
		spec[i] = spec_of(name[i], &x[i], 1);
	}
	assert_int_equal(issuers_new(&is, spec, N, clash), ERR_OK);
	for (int i = 0; i < N; i++) {
		for (int h = 0; h < CERTID_HASH_COUNT; h++) {
			struct key k;

			issuer_key(issuers_at(is, i), 0, h, &s, &k);
			assert_ptr_equal(issuers_find(is, &k, NULL), issuers_at(is, i));
		}
		assert_ptr_equal(issuers_named(is, name[i]), issuers_at(is, i));
		assert_ptr_equal(
		    issuers_with(is, issuers_at(is, i)->ca[0].id), issuers_at(is, i));
		X509_free(x[i]);
	}
	issuers_free(is);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(certids_are_those_of_openssl_ocsp),
	    cmocka_unit_test(hashes_are_those_of_ocsp_cert_to_id),
	    cmocka_unit_test(an_issuer_is_found_only_by_both_hashes),
	    cmocka_unit_test(two_issuers_with_one_certid_clash),
	    cmocka_unit_test(a_renewed_ca_is_one_issuer),
	    cmocka_unit_test(the_keys_of_a_certificate_are_one_for_each_ca_and_hash),
	    cmocka_unit_test(everything_is_copied),
	    cmocka_unit_test(a_certificate_without_a_usable_key_is_refused),
	    cmocka_unit_test(an_empty_set_finds_nothing),
	    cmocka_unit_test(hundred_issuers_are_all_found),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
