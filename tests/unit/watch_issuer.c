#include "cache/watch/watch_issuer.h"

#include <openssl/err.h>
#include <openssl/pem.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "cache/watch/watch_x509.h"
#include "tests/lib/forge.h"
#include "tests/lib/unhex.h"
#include "tests/lib/watch_kit.h"
#include "tests/lib/watch_vectors.h"

/* openssl x509 -noout -ext subjectKeyIdentifier; of N -ocspid, its key's hash. */
#define KEY_A "0b99932c6ce772642b3d07243447991d1598ded3"
#define KEY_B "bb546067b7ec4c9f36785cc311a6cd27c1cfb6ef"
#define KEY_N "bb5890ed9595ee2495ba9cb0a99d825fa2f48f77"

static struct watch_x509 *open_pem(const char *pem)
{
	BIO *b = BIO_new_mem_buf(pem, -1);
	struct watch_error e;
	struct watch_x509 *x;
	char *name, *header;
	unsigned char *data;
	long n;

	assert_int_equal(PEM_read_bio(b, &name, &header, &data, &n), 1);
	x = watch_x509_new(bytes_of(data, (size_t)n), false, &e);
	assert_non_null(x);
	OPENSSL_free(name);
	OPENSSL_free(header);
	OPENSSL_free(data);
	BIO_free(b);
	return x;
}

/* "a" by which an issuer is named, and whether it was verified. */
static void expect(
    const struct watch_issuers *w, const char *pem, const char *name, bool verified)
{
	struct watch_x509 *x = open_pem(pem);
	struct watch_cert c = {.verified = !verified};

	watch_issuer_find(w, x, &c);
	if (name == NULL) {
		assert_null(c.configured);
		assert_null(c.issuer);
	} else {
		assert_non_null(c.configured);
		assert_string_equal(c.configured->name, name);
		assert_string_equal(c.issuer, name);
	}
	assert_int_equal(c.verified, verified);
	assert_int_equal(ERR_peek_error(), 0);
	watch_x509_free(x);
}

static void an_issuer_is_found_by_its_key_and_verified(void **state)
{
	static const struct watch_kit_issuer list[] = {{"b", PEM_CA_B, false},
	    {"a", PEM_CA_A, false}, {"n", PEM_CA_N, false}, {NULL}};
	const struct watch_issuers *w = watch_kit_issuers(list);

	(void)state;
	expect(w, PEM_FULL, "a", true);
	expect(w, PEM_OF_B, "b", true);
	expect(w, PEM_OF_N, "n", true); /* the SHA-1 of its key */
	expect(NULL, PEM_FULL, NULL, false);
}

static void without_its_key_it_is_found_by_its_signature(void **state)
{
	static const struct watch_kit_issuer two[] = {
	    {"old", PEM_CA_A, false}, {"new", PEM_CA_A2, false}, {NULL}};
	static const struct watch_kit_issuer renewed[] = {
	    {"a", PEM_CA_A, false}, {"a", PEM_CA_A2, false}, {NULL}};
	const struct watch_issuers *w = watch_kit_issuers(two);

	(void)state;
	expect(w, PEM_CN, "old", true);
	expect(w, PEM_NO_AKI_A2, "new", true);
	expect(w, PEM_WRONG_AKI, "old", true);
	expect(w, PEM_STRANGER, NULL, false); /* either may have the name */
	w = watch_kit_issuers(renewed);
	expect(w, PEM_CN, "a", true);
	expect(w, PEM_NO_AKI_A2, "a", true);
	expect(w, PEM_STRANGER, "a", false); /* one issuer of that name */
}

static void a_hint_is_not_verified(void **state)
{
	static const struct watch_kit_issuer list[] = {
	    {"a", PEM_CA_A, false}, {"b", PEM_CA_B, false}, {NULL}};
	const struct watch_issuers *w = watch_kit_issuers(list);

	(void)state;
	expect(w, PEM_FORGED, "a", false);    /* its AKI says so */
	expect(w, PEM_STRANGER, "a", false);  /* its name alone */
	expect(w, PEM_REKEYED, NULL, false);  /* its AKI says another key */
	expect(w, PEM_OF_N, NULL, false);     /* not configured */
	expect(w, PEM_NO_AKI_A2, "a", false); /* another key of the same name */
}

/* R43: what is too weak for answers is too weak here. */
static void a_weak_signature_verifies_nothing(void **state)
{
	static const struct watch_kit_issuer strict[] = {{"a", PEM_CA_A, false}, {NULL}};
	static const struct watch_kit_issuer lax[] = {{"a", PEM_CA_A, true}, {NULL}};

	(void)state;
	expect(watch_kit_issuers(strict), PEM_SHA1, "a", false);
	expect(watch_kit_issuers(lax), PEM_SHA1, "a", true);
}

static const struct issuer *with_key(const struct watch_issuers *w, const char *hex)
{
	uint8_t octets[64];
	size_t n = unhex(hex, octets, sizeof octets);

	return watch_issuers_with_key(w, bytes_of(octets, n));
}

static unsigned ca_of(const struct issuer *i, const char *hex)
{
	uint8_t octets[64];

	return watch_issuer_ca(i, bytes_of(octets, unhex(hex, octets, sizeof octets)));
}

static const struct issuer *issuer_a(const struct watch_kit_issuer *list)
{
	return watch_issuers_named(watch_kit_issuers(list), bytes_of("a", 1));
}

/* Which of a renewed CA's keys, so that its responder is asked by that one. */
static void of_a_renewed_issuer_the_certificate_is_found_by_its_key(void **state)
{
	static const struct watch_kit_issuer first[] = {
	    {"a", PEM_CA_A, false}, {"a", PEM_CA_A2, false}, {NULL}};
	static const struct watch_kit_issuer second[] = {
	    {"a", PEM_CA_A2, false}, {"a", PEM_CA_A, false}, {NULL}};
	const struct issuer *as = issuer_a(first), *turned = issuer_a(second);

	(void)state;
	assert_int_equal(ca_of(as, KEY_A), 0);
	assert_int_equal(ca_of(turned, KEY_A), 1);
	assert_int_equal(ca_of(turned, KEY_B), 0);
	assert_int_equal(watch_issuer_ca(turned, bytes_of(NULL, 0)), 0);
}

static void issuers_are_found_by_name_and_by_key(void **state)
{
	static const struct watch_kit_issuer list[] = {{"b", PEM_CA_B, false},
	    {"n", PEM_CA_N, false}, {"a", PEM_CA_A, false}, {"ab", PEM_CA_A2, false},
	    {NULL}};
	const struct watch_issuers *w = watch_kit_issuers(list);

	(void)state;
	for (const struct watch_kit_issuer *i = list; i->name != NULL; i++) {
		struct bytes name = bytes_of(i->name, strlen(i->name));

		assert_string_equal(watch_issuers_named(w, name)->name, i->name);
	}
	assert_null(watch_issuers_named(w, bytes_of("c", 1)));
	assert_null(watch_issuers_named(w, bytes_of("abc", 3)));
	assert_string_equal(watch_issuers_named(w, bytes_of("abc", 2))->name, "ab");
	assert_null(watch_issuers_named(w, bytes_of("", 0)));
	assert_string_equal(with_key(w, KEY_A)->name, "a");
	assert_string_equal(with_key(w, KEY_B)->name, "b");
	assert_string_equal(with_key(w, KEY_N)->name, "n");
	assert_null(with_key(w, "00"));
	assert_null(with_key(w, ""));
	assert_null(with_key(w, KEY_A "00"));
	w = watch_issuers_new(NULL, 0);
	assert_non_null(w);
	assert_null(watch_issuers_named(w, bytes_of("a", 1)));
	assert_null(with_key(w, KEY_A));
	expect(w, PEM_FULL, NULL, false);
	watch_issuers_free((struct watch_issuers *)(uintptr_t)w);
	watch_issuers_free(NULL);
}

/* One key under two names: whose certificate it is only its DN says. */
static void a_key_of_two_issuers_names_none(void **state)
{
	EVP_PKEY *key = forge_key("P-256");
	struct forge_cert one = {.subject = "One",
	    .key = key,
	    .issuer_key = key,
	    .from = 1700000000,
	    .to = 1900000000,
	    .ca = true};
	struct forge_cert two = one;
	struct issuer_spec spec[2] = {
	    {.name = "one", .certificates_n = 1}, {.name = "two", .certificates_n = 1}};
	const struct issuer *list[2];
	struct watch_issuers *w;
	struct issuers *is;
	size_t clash[2];
	X509 *ca[2];

	(void)state;
	two.subject = "Two";
	ca[0] = forge_cert(&one);
	ca[1] = forge_cert(&two);
	for (int i = 0; i < 2; i++)
		spec[i].certificates = &ca[i];
	assert_int_equal(issuers_new(&is, spec, 2, clash), ERR_OK);
	for (size_t i = 0; i < 2; i++)
		list[i] = issuers_at(is, i);
	for (size_t n = 1; n <= 2; n++) {
		const uint8_t *id = list[0]->ca->key_hash[CERTID_SHA1];

		w = watch_issuers_new(list, n);
		assert_ptr_equal(
		    watch_issuers_with_key(w, bytes_of(id, 20)), n == 1 ? list[0] : NULL);
		watch_issuers_free(w);
	}
	issuers_free(is);
	X509_free(ca[0]);
	X509_free(ca[1]);
	EVP_PKEY_free(key);
}

static void key_identifiers_are_read_as_they_are_printed(void **state)
{
	static const struct {
		const char *text, *hex;
	} row[] = {{"AB:cd:01", "abcd01"}, {"abcd01", "abcd01"}, {"AB:cd01", "abcd01"},
	    {"00", "00"}, {"", NULL}, {"a", NULL}, {"abc", NULL}, {"ab:", NULL},
	    {":ab", NULL}, {"a:b", NULL}, {"ab::cd", NULL}, {"0xab", NULL},
	    {"ab cd", NULL}, {"ag", NULL}};
	uint8_t out[WATCH_AKI_MAX], expected[WATCH_AKI_MAX];
	char text[2 * WATCH_AKI_MAX + 3];
	size_t n;

	(void)state;
	for (size_t i = 0; i < sizeof row / sizeof row[0]; i++) {
		bool good = watch_aki_from_hex(
		    bytes_of(row[i].text, strlen(row[i].text)), out, &n);

		assert_int_equal(good, row[i].hex != NULL);
		if (good) {
			assert_int_equal(n, unhex(row[i].hex, expected, sizeof expected));
			assert_memory_equal(out, expected, n);
		}
	}
	memset(text, 'f', sizeof text);
	assert_true(watch_aki_from_hex(bytes_of(text, 128), out, &n));
	assert_int_equal(n, 64);
	assert_false(watch_aki_from_hex(bytes_of(text, 130), out, &n));
}

static void add_pem(struct watch_chain *h, const char *pem)
{
	struct watch_x509 *x = open_pem(pem);

	assert_true(watch_chain_add(h, watch_x509_der(x)));
	watch_x509_free(x);
}

static void expect_chain(struct watch_chain *h, const char *pem, const char *hex)
{
	struct watch_x509 *x = open_pem(pem);
	struct bytes found = watch_chain_find(h, x);
	uint8_t octets[64];

	assert_int_equal(found.n, unhex(hex, octets, sizeof octets));
	assert_memory_equal(found.p != NULL ? found.p : octets, octets, found.n);
	assert_int_equal(ERR_peek_error(), 0);
	watch_x509_free(x);
}

static void a_chain_names_the_key_that_signed(void **state)
{
	struct watch_chain *h = watch_chain_new();

	(void)state;
	assert_non_null(h);
	expect_chain(h, PEM_NO_AKI_B, "");
	add_pem(h, PEM_CA_A);
	add_pem(h, PEM_CA_B);
	add_pem(h, PEM_CA_N);
	expect_chain(h, PEM_NO_AKI_B, KEY_B);
	expect_chain(h, PEM_CN, KEY_A);
	expect_chain(h, PEM_OF_N, KEY_N);
	expect_chain(h, PEM_STRANGER, ""); /* A's name, not its key */
	watch_chain_free(h);
	watch_chain_free(NULL);
}

/* 64 are held; who was used last is not the one that goes. */
static void a_chain_forgets_who_was_not_used(void **state)
{
	struct watch_chain *h = watch_chain_new();
	struct watch_x509 *b = open_pem(PEM_CA_B);
	uint8_t der[4096];
	struct bytes of_b = watch_x509_der(b);

	(void)state;
	assert_true(of_b.n <= sizeof der);
	memcpy(der, of_b.p, of_b.n);
	add_pem(h, PEM_CA_B);
	add_pem(h, PEM_CA_N);
	expect_chain(h, PEM_NO_AKI_B, KEY_B);
	for (int i = 0; i < WATCH_CHAIN_MAX - 1; i++) {
		der[of_b.n - 1] ^= (uint8_t)(i + 1); /* another signature */
		assert_true(watch_chain_add(h, bytes_of(der, of_b.n)));
		der[of_b.n - 1] ^= (uint8_t)(i + 1);
		add_pem(h, PEM_CA_B); /* it is there already */
	}
	expect_chain(h, PEM_OF_N, "");
	expect_chain(h, PEM_NO_AKI_B, KEY_B);
	assert_true(watch_chain_add(h, bytes_of("no certificate", 14)));
	expect_chain(h, PEM_NO_AKI_B, KEY_B);
	watch_x509_free(b);
	watch_chain_free(h);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(an_issuer_is_found_by_its_key_and_verified),
	    cmocka_unit_test(without_its_key_it_is_found_by_its_signature),
	    cmocka_unit_test(a_hint_is_not_verified),
	    cmocka_unit_test(a_weak_signature_verifies_nothing),
	    cmocka_unit_test(of_a_renewed_issuer_the_certificate_is_found_by_its_key),
	    cmocka_unit_test(issuers_are_found_by_name_and_by_key),
	    cmocka_unit_test(a_key_of_two_issuers_names_none),
	    cmocka_unit_test(key_identifiers_are_read_as_they_are_printed),
	    cmocka_unit_test(a_chain_names_the_key_that_signed),
	    cmocka_unit_test(a_chain_forgets_who_was_not_used),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
