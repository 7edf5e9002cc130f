#include "cache/base/key.h"

#include <openssl/ocsp.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

#include "tests/lib/corpus.h"
#include "tests/lib/key_vectors.h"
#include "tests/lib/unhex.h"

#define VECTORS (sizeof key_vectors / sizeof key_vectors[0])

static void take_vector(const struct key_vector *v, struct key *k)
{
	uint8_t der[KEY_DER_MAX];
	size_t n = unhex(v->der, der, sizeof der);

	assert_int_equal(key_from_der(k, bytes_of(der, n)), ERR_OK);
	assert_int_equal(k->hash, v->hash);
	assert_memory_equal(key_der(k).p, der, n);
}

static void what_openssl_sends_is_a_key_byte_for_byte(void **state)
{
	struct key k, again;
	struct serial s, expected;
	char hex[SERIAL_HEX_MAX];

	(void)state;
	for (size_t i = 0; i < VECTORS; i++) {
		take_vector(&key_vectors[i], &k);
		key_serial(&k, &s);
		serial_to_hex(&s, hex);
		assert_string_equal(hex, key_vectors[i].serial);
		assert_int_equal(serial_from_hex(&expected, hex), ERR_OK);
		assert_true(serial_equal(&s, &expected));
		key_make(&again, k.hash, key_issuer_name_hash(&k).p,
		    key_issuer_key_hash(&k).p, &s);
		assert_true(key_equal(&k, &again));
	}
}

/* All lengths of serial, so all places where a length takes a second byte. */
static void key_make_writes_what_i2d_writes(void **state)
{
	uint8_t name[CERTID_HASH_MAX], key[CERTID_HASH_MAX];

	(void)state;
	for (size_t i = 0; i < CERTID_HASH_MAX; i++) {
		name[i] = (uint8_t)(i * 7);
		key[i] = (uint8_t)(255 - i);
	}
	for (int h = 0; h < CERTID_HASH_COUNT; h++) {
		for (uint8_t n = 1; n <= SERIAL_MAX; n++) {
			struct serial s = {.n = n};
			struct key k;
			OCSP_REQUEST *req = OCSP_REQUEST_new();
			OCSP_CERTID *id = OCSP_CERTID_new();
			ASN1_OCTET_STRING *nh, *kh;
			ASN1_OBJECT *md;
			ASN1_INTEGER *serial;
			X509_ALGOR *alg;
			unsigned char *der = NULL;
			int der_n;

			memset(s.octets, 0x5a, n);
			key_make(&k, h, name, key, &s);

			/* The algorithm is the first member, and OpenSSL has no setter.
			 */
			alg = (X509_ALGOR *)(void *)id;
			X509_ALGOR_set0(
			    alg, OBJ_nid2obj(certid_hash_nid(h)), V_ASN1_NULL, NULL);
			assert_int_equal(
			    OCSP_id_get0_info(&nh, &md, &kh, &serial, id), 1);
			ASN1_STRING_set(nh, name, (int)certid_hash_size(h));
			ASN1_STRING_set(kh, key, (int)certid_hash_size(h));
			ASN1_STRING_set(serial, s.octets, n);
			assert_non_null(OCSP_request_add0_id(req, id));
			der_n = i2d_OCSP_REQUEST(req, &der);
			assert_int_equal(key_der(&k).n, der_n);
			assert_memory_equal(key_der(&k).p, der, der_n);
			OPENSSL_free(der);
			OCSP_REQUEST_free(req);
		}
	}
}

static void one_changed_byte_is_not_the_same_key(void **state)
{
	(void)state;
	for (size_t i = 0; i < VECTORS; i++) {
		struct key k, changed;
		uint8_t der[KEY_DER_MAX];

		take_vector(&key_vectors[i], &k);
		for (size_t at = 0; at < k.der_n; at++) {
			for (int bit = 0; bit < 8; bit++) {
				memcpy(der, k.der, k.der_n);
				der[at] ^= (uint8_t)(1 << bit);
				if (key_from_der(&changed, bytes_of(der, k.der_n)) !=
				    ERR_OK)
					continue;
				/* Only hashes and serial may differ. */
				assert_memory_equal(changed.der, der, k.der_n);
				assert_false(key_equal(&k, &changed));
			}
		}
	}
}

/* The allocation ends where the bytes end, so that a sanitizer sees every read beyond. */
static void every_shorter_and_longer_spelling_is_refused(void **state)
{
	(void)state;
	for (size_t i = 0; i < VECTORS; i++) {
		struct key k, other;

		take_vector(&key_vectors[i], &k);
		for (size_t n = 0; n < k.der_n; n++) {
			uint8_t *part = malloc(n ? n : 1);

			memcpy(part, k.der, n);
			assert_int_equal(
			    key_from_der(&other, bytes_of(part, n)), ERR_REQ_DER);
			free(part);
		}
		memset(k.der + k.der_n, 0, 1);
		assert_int_equal(
		    key_from_der(&other, bytes_of(k.der, k.der_n + 1u)), ERR_REQ_DER);
	}
}

/* R13: with parameters absent it is the same key, but not its canonical spelling. */
static void absent_algorithm_parameters_are_not_canonical(void **state)
{
	static const char *const spelling[] = {
	    "3040303e303c303a3038300706052b0e03021a"
	    "04146c6a9d7add904ef6c366625e6d956e0f3a9b7a2f"
	    "0414a7ba2104f62ae1c48711f8036a177d00b8059ea0020101",
	    /* a length in two bytes that needs one */
	    "3081423040303e303c303a300906052b0e03021a0500"
	    "04146c6a9d7add904ef6c366625e6d956e0f3a9b7a2f"
	    "0414a7ba2104f62ae1c48711f8036a177d00b8059ea0020101",
	    /* a serial with a needless zero, and a negative one with a needless ff */
	    "30433041303f303d303b300906052b0e03021a0500"
	    "04146c6a9d7add904ef6c366625e6d956e0f3a9b7a2f"
	    "0414a7ba2104f62ae1c48711f8036a177d00b8059ea002020001",
	    "30433041303f303d303b300906052b0e03021a0500"
	    "04146c6a9d7add904ef6c366625e6d956e0f3a9b7a2f"
	    "0414a7ba2104f62ae1c48711f8036a177d00b8059ea00202ff80",
	    /* a serial without octets */
	    "3041303f303d303b3039300906052b0e03021a0500"
	    "04146c6a9d7add904ef6c366625e6d956e0f3a9b7a2f"
	    "0414a7ba2104f62ae1c48711f8036a177d00b8059ea00200",
	};
	uint8_t der[KEY_DER_MAX];
	struct key k;

	(void)state;
	for (size_t i = 0; i < sizeof spelling / sizeof spelling[0]; i++) {
		size_t n = unhex(spelling[i], der, sizeof der);

		assert_int_equal(key_from_der(&k, bytes_of(der, n)), ERR_REQ_DER);
	}
}

/* R16, T1 */
static void a_negative_serial_never_aliases_a_positive_one(void **state)
{
	static const char *const hex[] = {"0", "1", "-1", "7f", "80", "-80", "-81", "ff",
	    "100", "-ff", "-100", "8000", "-8000", "7fff", "ffff", "-ffff", "10000"};
	const size_t n = sizeof hex / sizeof hex[0];
	struct serial a, b;
	char back[SERIAL_HEX_MAX];

	(void)state;
	for (size_t i = 0; i < n; i++) {
		assert_int_equal(serial_from_hex(&a, hex[i]), ERR_OK);
		serial_to_hex(&a, back);
		assert_string_equal(back, hex[i]);
		for (size_t j = 0; j < n; j++) {
			assert_int_equal(serial_from_hex(&b, hex[j]), ERR_OK);
			assert_int_equal(serial_equal(&a, &b), i == j);
		}
	}
}

/* Decimal as `openssl x509 -text` and Java write it; pairs by bc, the largest of 21
 * octets by 2^167 - 1. */
static void a_serial_in_decimal_is_the_same_number(void **state)
{
	static const struct {
		const char *decimal, *hex;
	} row[] = {{"0", "0"}, {"000", "0"}, {"128", "80"}, {"-128", "-80"},
	    {"0000000004097", "1001"}, {"999999999", "3b9ac9ff"},
	    {"1000000000", "3b9aca00"}, {"-256", "-100"},
	    {"340282366920938463463374607431768211455",
		"ffffffffffffffffffffffffffffffff"},
	    {"187072209578355573530071658587684226515959365500927",
		"7fffffffffffffffffffffffffffffffffffffffff"}};
	static const char *const bad[] = {"", "-", "-0", "+1", " 1", "1 ", "1a", "0x1",
	    "1:2", "--1", "187072209578355573530071658587684226515959365500928",
	    "99999999999999999999999999999999999999999999999999999999999999999999"};
	struct serial a, b;

	(void)state;
	for (size_t i = 0; i < sizeof row / sizeof row[0]; i++) {
		struct bytes text = bytes_of(row[i].decimal, strlen(row[i].decimal));

		assert_int_equal(serial_from_decimal(&a, text), ERR_OK);
		assert_int_equal(serial_from_hex(&b, row[i].hex), ERR_OK);
		assert_true(serial_equal(&a, &b));
	}
	for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
		assert_int_equal(
		    serial_from_decimal(&a, bytes_of(bad[i], strlen(bad[i]))),
		    ERR_REQ_SERIAL);
}

static void a_serial_in_hexadecimal_ends_where_its_text_does(void **state)
{
	struct serial a, b;

	(void)state;
	assert_int_equal(serial_from_hex_text(&a, bytes_of("1a:2b\"", 5)), ERR_OK);
	assert_int_equal(serial_from_hex(&b, "1a2b"), ERR_OK);
	assert_true(serial_equal(&a, &b));
	assert_int_equal(serial_from_hex_text(&a, bytes_of("", 0)), ERR_REQ_SERIAL);
	assert_int_equal(serial_from_hex_text(&a, bytes_of("1\0002", 3)), ERR_REQ_SERIAL);
}

/* X.690 section 8.3.3: the octets of some numbers. */
static void serials_are_the_shortest_twos_complement(void **state)
{
	static const struct {
		const char *hex, *octets;
	} row[] = {{"0", "00"}, {"7f", "7f"}, {"80", "0080"}, {"-80", "80"},
	    {"-81", "ff7f"}, {"-1", "ff"}, {"-100", "ff00"}, {"ffff", "00ffff"},
	    {"-8000", "8000"}};
	uint8_t octets[SERIAL_MAX];
	struct serial s;

	(void)state;
	for (size_t i = 0; i < sizeof row / sizeof row[0]; i++) {
		size_t n = unhex(row[i].octets, octets, sizeof octets);

		assert_int_equal(serial_from_hex(&s, row[i].hex), ERR_OK);
		assert_int_equal(s.n, n);
		assert_memory_equal(s.octets, octets, n);
	}
}

static void a_serial_is_read_in_any_case_and_with_leading_zeros(void **state)
{
	/* `openssl x509 -text` and browsers write colons, programs 0x */
	static const char *const same[] = {"abc", "ABC", "0abc", "00aBc", "0xABC",
	    "0Xabc", "0A:BC", "a:bc", "0x0a:bc", "00:00:0a:bc", "a:b:c",
	    "0000000000000000000000000000000000000000000000abc"};
	static const char *const bad[] = {"", "-", "-0", "-00", "0x", "0x0x1", "x1", "1g",
	    " 1", "1 ", "+1", "--1", ":ab", "ab:", "a::b", ":", "0x:a", "-0x0",
	    "serial=1", "8000000000000000000000000000000000000000000",
	    /* 21 octets of magnitude with the top bit: 22 octets */
	    "800000000000000000000000000000000000000000",
	    "-800000000000000000000000000000000000000001"};
	struct serial a, b;

	(void)state;
	assert_int_equal(serial_from_hex(&a, "abc"), ERR_OK);
	for (size_t i = 0; i < sizeof same / sizeof same[0]; i++) {
		assert_int_equal(serial_from_hex(&b, same[i]), ERR_OK);
		assert_true(serial_equal(&a, &b));
	}
	for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
		assert_int_equal(serial_from_hex(&b, bad[i]), ERR_REQ_SERIAL);
	assert_int_equal(
	    serial_from_hex(&b, "7fffffffffffffffffffffffffffffffffffffffff"), ERR_OK);
	assert_int_equal(b.n, SERIAL_MAX);
	assert_int_equal(
	    serial_from_hex(&b, "-800000000000000000000000000000000000000000"), ERR_OK);
	assert_int_equal(b.n, SERIAL_MAX);
	assert_int_equal(serial_from_hex(&a, "-1f"), ERR_OK);
	assert_int_equal(serial_from_hex(&b, "-0x1F"), ERR_OK);
	assert_true(serial_equal(&a, &b));
}

static void a_serial_of_openssl_is_read_with_its_sign(void **state)
{
	static const char *const hex[] = {"0", "1", "-1", "80", "-80", "-81",
	    "1234567890abcdef", "-1234567890abcdef",
	    "ffeeddccbbaa99887766554433221100ffeeddcc"};

	(void)state;
	for (size_t i = 0; i < sizeof hex / sizeof hex[0]; i++) {
		BIGNUM *bn = NULL;
		ASN1_INTEGER *a;
		struct serial s;
		char back[SERIAL_HEX_MAX];

		assert_true(BN_hex2bn(&bn, hex[i]) > 0);
		a = BN_to_ASN1_INTEGER(bn, NULL);
		assert_int_equal(serial_from_asn1(&s, a), ERR_OK);
		serial_to_hex(&s, back);
		assert_string_equal(back, hex[i]);
		ASN1_INTEGER_free(a);
		BN_free(bn);
	}
}

static void a_serial_of_22_octets_is_refused(void **state)
{
	uint8_t magnitude[22] = {1};
	ASN1_INTEGER *a = ASN1_INTEGER_new();
	struct serial s;

	(void)state;
	ASN1_STRING_set(a, magnitude, 22);
	assert_int_equal(serial_from_asn1(&s, a), ERR_REQ_SERIAL);
	magnitude[0] = 0x80; /* 21 octets and a sign pad */
	ASN1_STRING_set(a, magnitude, 21);
	assert_int_equal(serial_from_asn1(&s, a), ERR_REQ_SERIAL);
	ASN1_INTEGER_free(a);
}

static void a_name_leads_back_to_its_key(void **state)
{
	(void)state;
	for (size_t i = 0; i < VECTORS; i++) {
		struct key k, again;
		char name[KEY_NAME_MAX];
		size_t n;

		take_vector(&key_vectors[i], &k);
		n = key_name(&k, name);
		assert_int_equal(n, strlen(name));
		assert_int_equal(key_from_name(&again, name, n), ERR_OK);
		assert_true(key_equal(&k, &again));
		assert_int_equal(again.hash, k.hash);
		for (size_t cut = 0; cut < n; cut++) {
			char *part = malloc(cut ? cut : 1);

			memcpy(part, name, cut);
			/* A shorter serial is another name; nothing else may be one. */
			if (key_from_name(&again, part, cut) == ERR_OK)
				assert_false(key_equal(&k, &again));
			free(part);
		}
	}
}

static void only_one_name_leads_to_a_key(void **state)
{
#define NAME_HASH "6c6a9d7add904ef6c366625e6d956e0f3a9b7a2f"
#define KEY_HASH  "a7ba2104f62ae1c48711f8036a177d00b8059ea0"
	static const char *const bad[] = {
	    "sha1:6C6a9d7add904ef6c366625e6d956e0f3a9b7a2f:" KEY_HASH ":1",
	    "sha1:" NAME_HASH ":" KEY_HASH ":01", "sha1:" NAME_HASH ":" KEY_HASH ":AB",
	    "sha1:" NAME_HASH ":" KEY_HASH ":-0", "sha1:" NAME_HASH ":" KEY_HASH ":",
	    "sha1:" NAME_HASH ":" KEY_HASH, "sha256:" NAME_HASH ":" KEY_HASH ":1",
	    "SHA1:" NAME_HASH ":" KEY_HASH ":1", "md5:" NAME_HASH ":" KEY_HASH ":1",
	    "sha1:" NAME_HASH "-" KEY_HASH ":1", "", "sha1:", "sha1"};
	static const char good[] = "sha1:" NAME_HASH ":" KEY_HASH ":1";
	struct key k, vector;

	(void)state;
	take_vector(&key_vectors[0], &vector);
	assert_int_equal(key_from_name(&k, good, sizeof good - 1), ERR_OK);
	assert_true(key_equal(&k, &vector));
	assert_int_equal(key_from_name(&k, good, sizeof good), ERR_REQ_DER);
	for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
		assert_int_equal(key_from_name(&k, bad[i], strlen(bad[i])), ERR_REQ_DER);
}

static void hash_algorithms_are_known_by_name_size_and_nid(void **state)
{
	enum certid_hash h;

	(void)state;
	for (int i = 0; i < CERTID_HASH_COUNT; i++) {
		assert_true(certid_hash_from_nid(certid_hash_nid(i), &h));
		assert_int_equal(h, i);
		assert_int_equal(certid_hash_size(i),
		    EVP_MD_get_size(EVP_get_digestbyname(certid_hash_name(i))));
	}
	assert_false(certid_hash_from_nid(NID_md5, &h));
	assert_false(certid_hash_from_nid(NID_undef, &h));
}

/* Public requests of others (RustCrypto, RFC 9919, boulder): canonical as they are. */
static void requests_of_others_are_keys(void **state)
{
	static const struct {
		const char *file, *serial;
		enum certid_hash hash;
	} row[] = {
	    {"rustcrypto-x509-ocsp/sha1-certid-ocsp-req.der", "10001", CERTID_SHA1},
	    {"rustcrypto-x509-ocsp/sha256-certid-ocsp-req.der", "10001", CERTID_SHA256},
	    {"rustcrypto-x509-ocsp/sha384-certid-ocsp-req.der", "10001", CERTID_SHA384},
	    {"rustcrypto-x509-ocsp/sha512-certid-ocsp-req.der", "10001", CERTID_SHA512},
	    {"rfc9919-example/ocsp_request.der", "1aaf00d", CERTID_SHA256},
	    {"boulder-responder/ocsp.req", "9cf1912ea8d50908", CERTID_SHA1}};

	(void)state;
	for (size_t i = 0; i < sizeof row / sizeof row[0]; i++) {
		uint8_t der[1024];
		char hex[SERIAL_HEX_MAX];
		size_t n = corpus_read(row[i].file, der, sizeof der);
		struct serial s;
		struct key k;

		assert_int_equal(key_from_der(&k, bytes_of(der, n)), ERR_OK);
		assert_int_equal(k.hash, row[i].hash);
		key_serial(&k, &s);
		serial_to_hex(&s, hex);
		assert_string_equal(hex, row[i].serial);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(what_openssl_sends_is_a_key_byte_for_byte),
	    cmocka_unit_test(key_make_writes_what_i2d_writes),
	    cmocka_unit_test(one_changed_byte_is_not_the_same_key),
	    cmocka_unit_test(every_shorter_and_longer_spelling_is_refused),
	    cmocka_unit_test(absent_algorithm_parameters_are_not_canonical),
	    cmocka_unit_test(a_negative_serial_never_aliases_a_positive_one),
	    cmocka_unit_test(serials_are_the_shortest_twos_complement),
	    cmocka_unit_test(a_serial_is_read_in_any_case_and_with_leading_zeros),
	    cmocka_unit_test(a_serial_in_decimal_is_the_same_number),
	    cmocka_unit_test(a_serial_in_hexadecimal_ends_where_its_text_does),
	    cmocka_unit_test(a_serial_of_openssl_is_read_with_its_sign),
	    cmocka_unit_test(a_serial_of_22_octets_is_refused),
	    cmocka_unit_test(a_name_leads_back_to_its_key),
	    cmocka_unit_test(only_one_name_leads_to_a_key),
	    cmocka_unit_test(hash_algorithms_are_known_by_name_size_and_nid),
	    cmocka_unit_test(requests_of_others_are_keys),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
