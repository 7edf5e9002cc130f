#include "cache/watch/watch_x509.h"

#include <dirent.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include <cmocka.h>

#include "cache/base/utf8.h"
#include "tests/lib/forge.h"
#include "tests/lib/watch_vectors.h"

#define FROM INT64_C(1767323045) /* date -d 2026-01-02T03:04:05Z +%s */
#define TO   INT64_C(1798761599) /* date -d 2026-12-31T23:59:59Z +%s */

static struct watch_texts texts;

static size_t der_of(const char *pem, uint8_t *out, size_t room)
{
	BIO *b = BIO_new_mem_buf(pem, -1);
	char *name, *header;
	unsigned char *data;
	long n;

	assert_int_equal(PEM_read_bio(b, &name, &header, &data, &n), 1);
	assert_true((size_t)n <= room);
	memcpy(out, data, (size_t)n);
	OPENSSL_free(name);
	OPENSSL_free(header);
	OPENSSL_free(data);
	BIO_free(b);
	return (size_t)n;
}

static struct watch_x509 *open_pem(const char *pem, struct watch_cert *c)
{
	struct watch_error e = {.code = WATCH_FINE};
	uint8_t der[4096];
	size_t n = der_of(pem, der, sizeof der);
	struct watch_x509 *x = watch_x509_new(bytes_of(der, n), false, &e);

	assert_non_null(x);
	assert_int_equal(e.code, WATCH_FINE);
	memset(der, 0xee, sizeof der); /* it is copied */
	watch_x509_cert(x, &texts, c);
	assert_int_equal(ERR_peek_error(), 0);
	return x;
}

static void expect_texts(const struct bytes *list, size_t n, const char *const *expected)
{
	for (size_t i = 0; i < n; i++) {
		assert_non_null(expected[i]);
		if (list[i].n != strlen(expected[i]) ||
		    memcmp(list[i].p, expected[i], list[i].n) != 0)
			fail_msg("%.*s, not %s", (int)list[i].n, (const char *)list[i].p,
			    expected[i]);
	}
	assert_null(expected[n]);
}

static void expect_serial(const struct watch_cert *c, const char *expected)
{
	char hex[SERIAL_HEX_MAX];

	serial_to_hex(&c->serial, hex);
	assert_string_equal(hex, expected);
}

/* What openssl says of the same file: see the vectors' head. */
static void a_certificate_says_who_it_is(void **state)
{
	static const char *const names[] = {"www.shop.example", "*.shop.example",
	    "xn--bcher-kva.example", "192.0.2.7", "2001:db8::5", "Jo.Doe@mail.example",
	    "https://app.example:8443/Path?Q", "jo@corp.example",
	    "j\xc3\xbcrgen@post.example", NULL};
	static const char *const crl[] = {"http://crl.example/a.crl",
	    "https://crl.example/b.crl", "http://crl.example/c.crl", NULL};
	static const char dn[] =
	    "CN=Watch CA A,O=M\xc3\xbcller\\, S\xc3\xb6hne \\+ Co,C=DE";
	struct watch_cert c;
	struct watch_x509 *x = open_pem(PEM_FULL, &c);
	const unsigned char *p = c.issuer_der.p;
	X509_NAME *name;

	(void)state;
	expect_serial(&c, "78f169e25ad34bc43cb52da61e970f80555de66e");
	expect_texts(c.names, c.names_n, names);
	assert_int_equal(c.names_more, 0);
	expect_texts(c.crl, c.crl_n, crl);
	assert_int_equal(c.labels_n, 0);
	assert_int_equal(c.not_before, FROM);
	assert_int_equal(c.not_after, TO);
	assert_int_equal(c.issuer_name.n, strlen(dn));
	assert_memory_equal(c.issuer_name.p, dn, strlen(dn));
	assert_int_equal(c.aki.n, 20);
	assert_false(c.is_ca || c.verified);
	name = d2i_X509_NAME(NULL, &p, (long)c.issuer_der.n);
	assert_int_equal(X509_NAME_cmp(name, watch_x509_issuer(x)), 0);
	X509_NAME_free(name);
	watch_x509_free(x);
}

static void without_names_the_last_cn_is_the_name(void **state)
{
	static const char *const names[] = {"xn--bcher-2pa.xn--bcher-kva.example", NULL};
	struct watch_cert c;
	struct watch_x509 *x = open_pem(PEM_CN, &c);

	(void)state;
	expect_texts(c.names, c.names_n, names);
	expect_serial(&c, "80");
	assert_int_equal(c.aki.n, 0);
	assert_int_equal(c.crl_n, 0);
	watch_x509_free(x);
}

/* NUL, Latin-1, an address of three octets, an empty name, UTF-8 in an IA5String. */
static void odd_names_come_out_as_utf8(void **state)
{
	static const char *const names[] = {"nul\xef\xbf\xbd.example",
	    "b\xef\xbf\xbdro.example", "a\xef\xbf\xbd@x", "xn--tr-xka.example", NULL};
	struct watch_cert c;
	struct watch_x509 *x = open_pem(PEM_ODD, &c);

	(void)state;
	expect_texts(c.names, c.names_n, names);
	watch_x509_free(x);
}

static void what_cannot_be_read_counts_as_absent(void **state)
{
	static const char *const names[] = {"kept.example", NULL};
	struct watch_cert c;
	struct watch_x509 *x = open_pem(PEM_BROKEN_SAN, &c);

	(void)state;
	expect_texts(c.names, c.names_n, names);
	assert_int_equal(c.aki.n, 0); /* 65 octets */
	assert_int_equal(c.not_before, -631152000);
	assert_int_equal(c.not_after, INT64_C(253402300799));
	watch_x509_free(x);
}

static void a_ca_is_known_by_its_constraints(void **state)
{
	static const struct {
		const char *pem;
		bool ca;
	} row[] = {{PEM_CA_A, true}, {PEM_CA_N, true}, {PEM_CA_LEAF, true},
	    {PEM_FULL, false}, {PEM_OF_B, false}};

	(void)state;
	for (size_t i = 0; i < sizeof row / sizeof row[0]; i++) {
		struct watch_cert c;
		struct watch_x509 *x = open_pem(row[i].pem, &c);

		assert_int_equal(c.is_ca, row[i].ca);
		assert_int_equal(watch_x509_is_ca(x), row[i].ca);
		watch_x509_free(x);
	}
}

/* R16: of any sign. */
static void serials_are_those_of_the_der(void **state)
{
	struct watch_error e = {.code = WATCH_FINE};
	struct watch_cert c;
	struct watch_x509 *x = open_pem(PEM_NEGATIVE_SERIAL, &c);
	uint8_t der[4096];
	size_t n;

	(void)state;
	expect_serial(&c, "-1005");
	watch_x509_free(x);
	x = open_pem(PEM_ZERO_SERIAL, &c);
	expect_serial(&c, "0");
	watch_x509_free(x);
	n = der_of(PEM_LONG_SERIAL, der, sizeof der);
	assert_null(watch_x509_new(bytes_of(der, n), false, &e));
	assert_int_equal(e.code, WATCH_BAD_SERIAL);
}

static EVP_PKEY *key_of(const char *pem)
{
	BIO *b = BIO_new_mem_buf(pem, -1);
	X509 *x = PEM_read_bio_X509(b, NULL, NULL, NULL);
	EVP_PKEY *key = X509_get_pubkey(x);

	X509_free(x);
	BIO_free(b);
	return key;
}

static void a_signature_is_verified_over_what_came(void **state)
{
	EVP_PKEY *a = key_of(PEM_CA_A), *a2 = key_of(PEM_CA_A2);
	struct watch_error e;
	struct watch_cert c;
	struct watch_x509 *x = open_pem(PEM_FULL, &c);
	uint8_t der[4096];
	size_t n = der_of(PEM_FULL, der, sizeof der);
	struct bytes copy = watch_x509_der(x);

	(void)state;
	assert_int_equal(copy.n, n);
	assert_memory_equal(copy.p, der, n);
	assert_true(watch_x509_signed_by(x, a));
	assert_false(watch_x509_signed_by(x, a2));
	watch_x509_free(x);
	der[60] ^= 1; /* in the issuer's name */
	x = watch_x509_new(bytes_of(der, n), false, &e);
	assert_non_null(x);
	assert_false(watch_x509_signed_by(x, a));
	assert_int_equal(ERR_peek_error(), 0);
	watch_x509_free(x);
	EVP_PKEY_free(a);
	EVP_PKEY_free(a2);
}

static void what_is_no_certificate_is_refused(void **state)
{
	struct watch_error e;
	uint8_t der[4096];
	size_t n = der_of(PEM_OF_B, der, sizeof der - 1);

	(void)state;
	for (size_t i = 0; i < n; i++) {
		uint8_t *cut = malloc(i + 1);

		memcpy(cut, der, i);
		assert_null(watch_x509_new(bytes_of(cut, i), false, &e));
		assert_int_equal(e.code, WATCH_BAD_DER);
		assert_int_equal(ERR_peek_error(), 0);
		free(cut);
	}
	der[n] = 0;
	assert_null(watch_x509_new(bytes_of(der, n + 1), false, &e));
	assert_int_equal(e.code, WATCH_BAD_DER);
	assert_string_equal(e.why, "there are octets behind the certificate");
	n = der_of(PEM_KEY, der, sizeof der);
	assert_null(watch_x509_new(bytes_of(der, n), false, &e));
	n = der_of(PEM_EC_KEY, der, sizeof der);
	assert_null(watch_x509_new(bytes_of(der, n), false, &e));
}

/* A certificate of its own making, for what no vector has. */
static struct watch_x509 *make(X509_NAME *issuer, const char *names, struct watch_cert *c)
{
	EVP_PKEY *key = forge_key("P-256");
	struct watch_error e;
	struct watch_x509 *ours;
	unsigned char *der = NULL;
	X509 *x = X509_new();
	int n;

	assert_int_equal(X509_set_issuer_name(x, issuer), 1);
	assert_int_equal(ASN1_INTEGER_set(X509_get_serialNumber(x), 7), 1);
	X509_gmtime_adj(X509_getm_notBefore(x), 0);
	X509_gmtime_adj(X509_getm_notAfter(x), 3600);
	assert_int_equal(X509_set_pubkey(x, key), 1);
	if (names != NULL) {
		X509_EXTENSION *ext =
		    X509V3_EXT_conf_nid(NULL, NULL, NID_subject_alt_name, names);

		assert_non_null(ext);
		X509_add_ext(x, ext, -1);
		X509_EXTENSION_free(ext);
	}
	assert_true(X509_sign(x, key, EVP_sha256()) > 0);
	n = i2d_X509(x, &der);
	ours = watch_x509_new(bytes_of(der, (size_t)n), false, &e);
	assert_non_null(ours);
	assert_true(watch_x509_cert(ours, &texts, c));
	OPENSSL_free(der);
	X509_free(x);
	EVP_PKEY_free(key);
	return ours;
}

/* 13 octets each with their end: 1260 in 16 KiB. */
static void of_very_many_names_the_first_are_kept(void **state)
{
	X509_NAME *issuer = X509_NAME_new();
	char *names = malloc(100000), *p = names;
	struct watch_cert c;
	struct watch_x509 *x;

	(void)state;
	for (int i = 0; i < 2000; i++)
		p += sprintf(p, "%sDNS:name-%04d.xx", i > 0 ? "," : "", i);
	x = make(issuer, names, &c);
	assert_int_equal(c.names_n, 1260);
	assert_int_equal(c.names_more, 740);
	assert_memory_equal(c.names[1259].p, "name-1259.xx", 12);
	watch_x509_free(x);
	X509_NAME_free(issuer);
	free(names);
}

static void add_o(X509_NAME *name, const char *text)
{
	assert_int_equal(X509_NAME_add_entry_by_NID(name, NID_organizationName,
			     V_ASN1_UTF8STRING, (const unsigned char *)text, -1, -1, 0),
	    1);
}

static void a_long_dn_is_cut_between_characters(void **state)
{
	char text[121];
	struct watch_cert c;

	(void)state;
	for (size_t i = 0; i < 120; i += 2)
		memcpy(text + i, "\xc3\xa4", 2);
	text[120] = '\0';
	for (int shift = 0; shift < 2; shift++) {
		X509_NAME *issuer = X509_NAME_new();
		struct watch_x509 *x;

		for (int i = 0; i < 10; i++)
			add_o(issuer, text);
		add_o(issuer, shift ? "x" : "xy"); /* it is written first */
		x = make(issuer, NULL, &c);
		assert_int_equal(
		    c.issuer_name.n, WATCH_DN_MAX - (size_t)(c.issuer_name.n % 2));
		assert_true(utf8_is_valid(c.issuer_name));
		assert_true(c.issuer_der.n > WATCH_DN_MAX);
		watch_x509_free(x);
		X509_NAME_free(issuer);
	}
}

/* RFC 4514 section 2.4; an IA5String that is none is read as Latin-1. */
static void a_dn_is_text_whatever_its_strings_are(void **state)
{
	static const char expected[] = "O=caf\xc3\xa9\\0A";
	X509_NAME *issuer = X509_NAME_new();
	struct watch_cert c;
	struct watch_x509 *x;

	(void)state;
	assert_int_equal(
	    X509_NAME_add_entry_by_NID(issuer, NID_organizationName, V_ASN1_IA5STRING,
		(const unsigned char *)"caf\xe9\n", 5, -1, 0),
	    1);
	x = make(issuer, NULL, &c);
	assert_true(bytes_equal(c.issuer_name, bytes_of(expected, strlen(expected))));
	watch_x509_free(x);
	X509_NAME_free(issuer);
	issuer = X509_NAME_new();
	x = make(issuer, NULL, &c);
	assert_int_equal(c.issuer_name.n, 0);
	assert_true(c.issuer_der.n > 0);
	watch_x509_free(x);
	X509_NAME_free(issuer);
}

/* PEM_TRUSTED is PEM_OF_B with OpenSSL's settings behind it. */
static void trust_settings_are_passed_over(void **state)
{
	struct watch_error e;
	uint8_t der[4096], plain[4096];
	size_t n = der_of(PEM_TRUSTED, der, sizeof der);
	size_t plain_n = der_of(PEM_OF_B, plain, sizeof plain);
	struct watch_x509 *x = watch_x509_new(bytes_of(der, n), true, &e);

	(void)state;
	assert_non_null(x);
	assert_true(bytes_equal(watch_x509_der(x), bytes_of(plain, plain_n)));
	watch_x509_free(x);
	assert_null(watch_x509_new(bytes_of(der, n), false, &e));
}

/* ---- the same files as OpenSSL reads them -------------------------------------------
 */

#define VECTORS "/usr/lib/python3/dist-packages/cryptography_vectors/x509/custom"

static int64_t seconds(const ASN1_TIME *t)
{
	struct tm tm;

	return ASN1_TIME_to_tm(t, &tm) == 1 ? timegm(&tm) : WATCH_TIME_NONE;
}

static size_t names_in(X509 *x)
{
	GENERAL_NAMES *all = X509_get_ext_d2i(x, NID_subject_alt_name, NULL, NULL);
	size_t n = 0;

	for (int i = 0; i < sk_GENERAL_NAME_num(all); i++) {
		const GENERAL_NAME *g = sk_GENERAL_NAME_value(all, i);

		n += (g->type == GEN_DNS || g->type == GEN_EMAIL || g->type == GEN_URI) &&
		     ASN1_STRING_length(g->d.ia5) > 0;
		n += g->type == GEN_IPADD && (ASN1_STRING_length(g->d.ip) == 4 ||
						 ASN1_STRING_length(g->d.ip) == 16);
	}
	GENERAL_NAMES_free(all);
	return n;
}

static void compare(const struct watch_x509 *ours, const struct watch_cert *c, X509 *x)
{
	struct serial s;
	const ASN1_OCTET_STRING *aki = X509_get0_authority_key_id(x);
	size_t names = names_in(x);

	assert_int_equal(serial_from_asn1(&s, X509_get0_serialNumber(x)), ERR_OK);
	assert_true(serial_equal(&s, &c->serial));
	assert_int_equal(c->not_before, seconds(X509_get0_notBefore(x)));
	assert_int_equal(c->not_after, seconds(X509_get0_notAfter(x)));
	assert_int_equal(
	    X509_NAME_cmp(watch_x509_issuer(ours), X509_get_issuer_name(x)), 0);
	assert_int_equal(c->is_ca, X509_check_ca(x) == 1);
	if ((X509_get_extension_flags(x) & EXFLAG_INVALID) == 0)
		assert_int_equal(c->aki.n, aki != NULL ? ASN1_STRING_length(aki) : 0);
	if (names > 0 && c->names_more == 0)
		assert_true(c->names_n >= names); /* and other names */
}

static bool compare_file(const char *path)
{
	FILE *f = fopen(path, "r");
	char *name, *header;
	unsigned char *data;
	long n;
	bool certificate;

	assert_non_null(f);
	if (PEM_read(f, &name, &header, &data, &n) != 1) {
		fclose(f);
		ERR_clear_error();
		return false;
	}
	certificate = strcmp(name, "CERTIFICATE") == 0;
	if (certificate) {
		const unsigned char *p = data;
		struct watch_error e;
		X509 *x = d2i_X509(NULL, &p, n);
		struct watch_x509 *ours =
		    watch_x509_new(bytes_of(data, (size_t)n), false, &e);
		struct watch_cert c;

		ERR_clear_error();
		if ((ours != NULL) != (x != NULL && p == data + n) &&
		    e.code != WATCH_BAD_SERIAL)
			fail_msg("%s: %s", path, e.why);
		if (ours != NULL) {
			watch_x509_cert(ours, &texts, &c);
			compare(ours, &c, x);
		}
		watch_x509_free(ours);
		X509_free(x);
	}
	fclose(f);
	OPENSSL_free(name);
	OPENSSL_free(header);
	OPENSSL_free(data);
	ERR_clear_error();
	return certificate;
}

/* Every certificate of python3-cryptography's collection of odd ones. */
static void openssl_reads_the_same(void **state)
{
	DIR *d = opendir(VECTORS);
	struct dirent *entry;
	size_t n = 0;

	(void)state;
	if (d == NULL) {
		fprintf(stderr, "skipped: " VECTORS " is not there "
				"(python3-cryptography-vectors)\n");
		skip();
	}
	while ((entry = readdir(d)) != NULL) {
		char path[1024];

		snprintf(path, sizeof path, VECTORS "/%s", entry->d_name);
		if (strstr(entry->d_name, ".pem") != NULL)
			n += compare_file(path);
	}
	closedir(d);
	assert_true(n > 50);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(a_certificate_says_who_it_is),
	    cmocka_unit_test(without_names_the_last_cn_is_the_name),
	    cmocka_unit_test(odd_names_come_out_as_utf8),
	    cmocka_unit_test(what_cannot_be_read_counts_as_absent),
	    cmocka_unit_test(a_ca_is_known_by_its_constraints),
	    cmocka_unit_test(serials_are_those_of_the_der),
	    cmocka_unit_test(a_signature_is_verified_over_what_came),
	    cmocka_unit_test(what_is_no_certificate_is_refused),
	    cmocka_unit_test(of_very_many_names_the_first_are_kept),
	    cmocka_unit_test(a_long_dn_is_cut_between_characters),
	    cmocka_unit_test(a_dn_is_text_whatever_its_strings_are),
	    cmocka_unit_test(trust_settings_are_passed_over),
	    cmocka_unit_test(openssl_reads_the_same),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
