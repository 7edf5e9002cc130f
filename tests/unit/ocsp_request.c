#include "cache/ocsp/ocsp_request.h"

#include <openssl/err.h>
#include <openssl/ocsp.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

#include "tests/lib/corpus.h"
#include "tests/lib/key_vectors.h"
#include "tests/lib/unhex.h"

/* Requests are composed as DER here: OpenSSL's own writer cannot make most of them. */
struct der {
	uint8_t p[4096];
	size_t n;
};

static struct der wrap(uint8_t tag, struct der in)
{
	struct der out = {.n = 0};

	out.p[out.n++] = tag;
	if (in.n >= 256) {
		out.p[out.n++] = 0x82;
		out.p[out.n++] = (uint8_t)(in.n >> 8);
	} else if (in.n >= 128) {
		out.p[out.n++] = 0x81;
	}
	out.p[out.n++] = (uint8_t)in.n;
	memcpy(out.p + out.n, in.p, in.n);
	out.n += in.n;
	return out;
}

static struct der hex(const char *text)
{
	struct der out;

	out.n = unhex(text, out.p, sizeof out.p);
	return out;
}

static struct der join(struct der a, struct der b)
{
	memcpy(a.p + a.n, b.p, b.n);
	a.n += b.n;
	return a;
}

#define NONE    hex("")
#define SHA1    "300906052b0e03021a0500"
#define NAME    "04146c6a9d7add904ef6c366625e6d956e0f3a9b7a2f"
#define KEY     "0414a7ba2104f62ae1c48711f8036a177d00b8059ea0"
#define SERIAL  "020101"
#define NONCE   "06092b0601050507300102"
#define LOCATOR "06092b0601050507300107"

static struct der certid(const char *alg)
{
	return wrap(0x30, hex(alg));
}

/* version: bytes before the list; one: the Requests; extensions: of the request. */
static struct der request(struct der version, struct der ones, struct der extensions)
{
	struct der list = wrap(0x30, ones);

	if (extensions.n > 0)
		extensions = wrap(0xa2, wrap(0x30, extensions));
	return wrap(0x30, wrap(0x30, join(version, join(list, extensions))));
}

static struct der one(struct der id, struct der extensions)
{
	if (extensions.n > 0)
		id = join(id, wrap(0xa0, wrap(0x30, extensions)));
	return wrap(0x30, id);
}

static struct der plain_one(void)
{
	return one(certid(SHA1 NAME KEY SERIAL), NONE);
}

/* The allocation ends where the bytes end, so that a sanitizer sees every read beyond. */
static enum err parse(struct ocsp_request *r, struct der d)
{
	uint8_t *p = malloc(d.n ? d.n : 1);
	enum err e;

	memcpy(p, d.p, d.n);
	e = ocsp_request_parse(r, bytes_of(p, d.n));
	free(p);
	assert_int_equal(ERR_peek_error(), 0);
	return e;
}

static void expect_key(struct der d)
{
	struct ocsp_request r;
	struct key k;
	uint8_t der[KEY_DER_MAX];
	size_t n = unhex(key_vectors[0].der, der, sizeof der);

	assert_int_equal(parse(&r, d), ERR_OK);
	assert_int_equal(key_from_der(&k, bytes_of(der, n)), ERR_OK);
	assert_true(key_equal(&k, &r.key));
	assert_int_equal(k.hash, r.key.hash);
}

static void expect_error(struct der d, enum err e)
{
	struct ocsp_request r;

	assert_int_equal(parse(&r, d), e);
}

static struct der extension(const char *oid, bool critical, struct der value)
{
	return wrap(
	    0x30, join(hex(oid), join(hex(critical ? "0101ff" : ""), wrap(0x04, value))));
}

static struct der with_extension(struct der x)
{
	return request(NONE, plain_one(), x);
}

static void a_canonical_request_is_its_own_key(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof key_vectors / sizeof key_vectors[0]; i++) {
		struct ocsp_request r;

		assert_int_equal(parse(&r, hex(key_vectors[i].der)), ERR_OK);
		assert_true(bytes_equal(key_der(&r.key),
		    bytes_of(hex(key_vectors[i].der).p, hex(key_vectors[i].der).n)));
		assert_int_equal(r.key.hash, key_vectors[i].hash);
		assert_false(r.has_nonce);
	}
	expect_key(request(NONE, plain_one(), NONE));
}

/* R87, T12, R8, R9, R13, R18-R20 */
static void all_spellings_are_one_key(void **state)
{
	struct der indefinite = {.n = 0},
		   signature =
		       wrap(0xa0, wrap(0x30, join(hex("300d06092a864886f70d01010b0500"),
						 hex("030300dead"))));
	struct der body = request(NONE, plain_one(), NONE);

	(void)state;
	/* R13: parameters absent */
	expect_key(
	    request(NONE, one(certid("300706052b0e03021a" NAME KEY SERIAL), NONE), NONE));
	/* version v1 written out */
	expect_key(request(hex("a003020100"), plain_one(), NONE));
	/* requestorName: a directoryName and an rfc822Name */
	expect_key(request(wrap(0xa1, wrap(0xa4, wrap(0x30, NONE))), plain_one(), NONE));
	expect_key(request(wrap(0xa1, wrap(0x81, hex("612e62"))), plain_one(), NONE));
	/* a signature that is broken */
	expect_key(wrap(0x30, join(wrap(0x30, wrap(0x30, plain_one())), signature)));
	/* a serviceLocator, also a critical one */
	expect_key(request(NONE,
	    one(certid(SHA1 NAME KEY SERIAL), extension(LOCATOR, false, hex("3000"))),
	    NONE));
	expect_key(request(NONE,
	    one(certid(SHA1 NAME KEY SERIAL), extension(LOCATOR, true, hex("3000"))),
	    NONE));
	/* acceptableResponses, preferred signature algorithms, an unknown one (R10) */
	expect_key(with_extension(extension(
	    "06092b0601050507300104", true, hex("300b06092b0601050507300101"))));
	expect_key(
	    with_extension(extension("06092b0601050507300108", true, hex("3000"))));
	expect_key(with_extension(extension("06032a0304", false, hex("0500"))));
	/* BER: an indefinite length outside, and one that is too long inside */
	indefinite =
	    join(join(hex("3080"), wrap(0x30, wrap(0x30, plain_one()))), hex("0000"));
	expect_key(indefinite);
	assert_int_equal(body.p[1], body.n - 2);
	expect_key(join(join(hex("3081"), (struct der){{body.p[1]}, 1}),
	    wrap(0x30, wrap(0x30, plain_one()))));
}

/* R5, R6 */
static void what_is_no_request_is_malformed(void **state)
{
	struct der body = request(NONE, plain_one(), NONE), part = body;

	(void)state;
	for (part.n = 0; part.n < body.n; part.n++)
		expect_error(part, ERR_REQ_DER);
	expect_error(join(body, hex("00")), ERR_REQ_TRAILING);
	expect_error(join(body, body), ERR_REQ_TRAILING);
	expect_error(hex("474554202f20485454502f312e310d0a"), ERR_REQ_DER);
	expect_error(hex("30030a0101"), ERR_REQ_DER); /* an OCSPResponse */
}

static void another_version_is_refused(void **state)
{
	(void)state;
	expect_error(request(hex("a003020101"), plain_one(), NONE), ERR_REQ_VERSION);
	expect_error(request(hex("a0030201ff"), plain_one(), NONE), ERR_REQ_VERSION);
	expect_error(
	    request(hex("a00a02080000000000000000"), plain_one(), NONE), ERR_REQ_DER);
	expect_error(request(hex("a00b0209010000000000000000"), plain_one(), NONE),
	    ERR_REQ_VERSION);
}

/* R142, R7 */
static void none_or_several_certids_are_refused(void **state)
{
	(void)state;
	expect_error(request(NONE, NONE, NONE), ERR_REQ_COUNT);
	expect_error(request(NONE, join(plain_one(), plain_one()), NONE), ERR_REQ_COUNT);
}

/* R10, R11 */
static void unknown_critical_and_duplicate_extensions_are_refused(void **state)
{
	struct der nonce = extension(NONCE, false, hex("0401aa"));
	struct der unknown = extension("06032a0304", false, hex("0500"));
	struct der critical = extension("06032a0304", true, hex("0500"));
	struct der many = NONE;

	(void)state;
	expect_error(with_extension(critical), ERR_REQ_EXTENSION);
	expect_error(with_extension(join(nonce, nonce)), ERR_REQ_EXTENSION);
	expect_error(
	    with_extension(join(join(unknown, nonce), unknown)), ERR_REQ_EXTENSION);
	expect_error(request(NONE, one(certid(SHA1 NAME KEY SERIAL), critical), NONE),
	    ERR_REQ_EXTENSION);
	expect_error(request(NONE,
			 one(certid(SHA1 NAME KEY SERIAL), join(unknown, unknown)), NONE),
	    ERR_REQ_EXTENSION);
	/* The same one in both lists is none twice. */
	expect_key(request(NONE, one(certid(SHA1 NAME KEY SERIAL), unknown), unknown));
	for (int i = 0; i < 17; i++) {
		struct der x = unknown;

		x.p[6] = (uint8_t)i;
		many = join(many, x);
	}
	expect_error(with_extension(many), ERR_REQ_EXTENSION);
}

/* R84, RFC 9654 section 2.1 */
static void a_nonce_has_1_to_128_octets(void **state)
{
	struct der octets = {.n = 0};
	struct ocsp_request r;

	(void)state;
	for (size_t n = 0; n <= 300; n++) {
		struct der d;

		octets.n = n;
		if (n > 0)
			octets.p[n - 1] = (uint8_t)n;
		d = with_extension(extension(NONCE, false, wrap(0x04, octets)));
		if (n < 1 || n > 128) {
			expect_error(d, ERR_REQ_NONCE);
			continue;
		}
		expect_key(d);
		assert_int_equal(parse(&r, d), ERR_OK);
		assert_true(r.has_nonce);
		assert_int_equal(r.nonce_n, n);
		assert_memory_equal(r.nonce, octets.p, n);
	}
}

/* R88 */
static void a_bare_nonce_is_tolerated(void **state)
{
	struct ocsp_request r;
	struct der long_one = {.n = 129};

	(void)state;
	assert_int_equal(
	    parse(&r, with_extension(extension(NONCE, false, hex("0102030405060708")))),
	    ERR_OK);
	assert_true(r.has_nonce);
	assert_int_equal(r.nonce_n, 8);
	assert_memory_equal(r.nonce, "\1\2\3\4\5\6\7\10", 8);
	/* begins like an OCTET STRING, but is none */
	assert_int_equal(
	    parse(&r, with_extension(extension(NONCE, true, hex("0402aabbcc")))), ERR_OK);
	assert_int_equal(r.nonce_n, 5);
	memset(long_one.p, 0x55, long_one.n);
	expect_error(with_extension(extension(NONCE, false, long_one)), ERR_REQ_NONCE);
	expect_error(with_extension(extension(NONCE, false, NONE)), ERR_REQ_NONCE);
}

/* R12, RFC 9919's example in a GET has an MD5 CertID */
static void a_hash_that_we_do_not_serve_is_not_malformed(void **state)
{
	(void)state;
	expect_error(request(NONE,
			 one(certid("300c06082a864886f70d02050500"
				    "0410eeca7a1932a92f674075e1865badbba3"
				    "0410a889c4496403d2619e040ad282ffc159" SERIAL),
			     NONE),
			 NONE),
	    ERR_REQ_HASH);
}

static void hashes_of_another_length_are_malformed(void **state)
{
	static const char *const id[] = {SHA1 "0400" KEY SERIAL, SHA1 NAME "0400" SERIAL,
	    SHA1 "04136c6a9d7add904ef6c366625e6d956e0f3a9b7a" KEY SERIAL,
	    SHA1 NAME "0415a7ba2104f62ae1c48711f8036a177d00b8059ea000" SERIAL,
	    "300d06096086480165030402010500" NAME KEY SERIAL};

	(void)state;
	for (size_t i = 0; i < sizeof id / sizeof id[0]; i++)
		expect_error(request(NONE, one(certid(id[i]), NONE), NONE), ERR_REQ_DER);
}

/* R13: nothing but absent and NULL */
static void other_parameters_of_the_hash_are_malformed(void **state)
{
	static const char *const alg[] = {"300906052b0e03021a3000",
	    "300906052b0e03021a0400", "300a06052b0e03021a0201 00",
	    "300a06052b0e03021a050100"};

	(void)state;
	for (size_t i = 0; i < sizeof alg / sizeof alg[0]; i++) {
		struct der d = hex(alg[i]);

		d = wrap(0x30, join(d, hex(NAME KEY SERIAL)));
		expect_error(request(NONE, one(d, NONE), NONE), ERR_REQ_DER);
	}
}

/* R16 */
static void serials_keep_their_sign_and_length(void **state)
{
	static const struct {
		const char *der, *serial;
		enum err e;
	} row[] = {{"020100", "0", ERR_OK}, {"0201ff", "-1", ERR_OK},
	    {"02020080", "80", ERR_OK}, {"020180", "-80", ERR_OK},
	    {"021500ffeeddccbbaa99887766554433221100ffeeddcc",
		"ffeeddccbbaa99887766554433221100ffeeddcc", ERR_OK},
	    {"02157fffffffffffffffffffffffffffffffffffffffff",
		"7fffffffffffffffffffffffffffffffffffffffff", ERR_OK},
	    {"021600ffffffffffffffffffffffffffffffffffffffffff", NULL, ERR_REQ_SERIAL},
	    {"021c01020304050607080910111213141516171819202122232425262728", NULL,
		ERR_REQ_SERIAL},
	    /* padded, and empty: not DER, and OpenSSL takes neither */
	    {"02020001", NULL, ERR_REQ_DER}, {"0202ffff", NULL, ERR_REQ_DER},
	    {"0200", NULL, ERR_REQ_DER}};

	(void)state;
	for (size_t i = 0; i < sizeof row / sizeof row[0]; i++) {
		struct der id = wrap(0x30, join(hex(SHA1 NAME KEY), hex(row[i].der)));
		struct ocsp_request r;
		struct serial s;
		char text[SERIAL_HEX_MAX];

		assert_int_equal(parse(&r, request(NONE, one(id, NONE), NONE)), row[i].e);
		if (row[i].e != ERR_OK)
			continue;
		key_serial(&r.key, &s);
		serial_to_hex(&s, text);
		assert_string_equal(text, row[i].serial);
	}
}

/* T11 */
static void deep_and_wide_nesting_is_refused(void **state)
{
	struct der deep = NONE, wide = NONE;

	(void)state;
	for (int i = 0; i < 1000; i++)
		deep = wrap(0x30, deep);
	expect_error(deep, ERR_REQ_DER);
	for (int i = 0; i < 2000; i++)
		wide = join(wide, hex("3080"));
	expect_error(wide, ERR_REQ_DER);
}

static void requests_of_others_are_read(void **state)
{
#define RUST "rustcrypto-x509-ocsp/"
	static const struct {
		const char *file;
		enum err e;
		enum certid_hash hash;
		int nonce_n;
	} row[] = {{RUST "sha1-certid-ocsp-req.der", ERR_OK, CERTID_SHA1, 0},
	    {RUST "sha224-certid-ocsp-req.der", ERR_REQ_HASH, 0, 0},
	    {RUST "sha256-certid-ocsp-req.der", ERR_OK, CERTID_SHA256, 0},
	    {RUST "sha384-certid-ocsp-req.der", ERR_OK, CERTID_SHA384, 0},
	    {RUST "sha512-certid-ocsp-req.der", ERR_OK, CERTID_SHA512, 0},
	    {RUST "ocsp-multiple-requests-req.der", ERR_REQ_COUNT, 0, 0},
	    {RUST "ocsp-multiple-requests-nonce-req.der", ERR_REQ_COUNT, 0, 0},
	    {RUST "ocsp-multiple-exts-clean-req.der", ERR_OK, CERTID_SHA1, 32},
	    {RUST "ocsp-signed-req.der", ERR_OK, CERTID_SHA1, 0},
	    {RUST "ocsp-try-later.der", ERR_REQ_DER, 0, 0},
	    {RUST "rsa-2048-sha256-crt.der", ERR_REQ_DER, 0, 0},
	    {"rfc9919-example/ocsp_request.der", ERR_OK, CERTID_SHA256, 0},
	    {"boulder-responder/ocsp.req", ERR_OK, CERTID_SHA1, 0}};

	(void)state;
	for (size_t i = 0; i < sizeof row / sizeof row[0]; i++) {
		struct der d;
		struct ocsp_request r;

		d.n = corpus_read(row[i].file, d.p, sizeof d.p);
		assert_int_equal(parse(&r, d), row[i].e);
		if (row[i].e != ERR_OK)
			continue;
		assert_int_equal(r.key.hash, row[i].hash);
		assert_int_equal(r.has_nonce, row[i].nonce_n > 0);
		assert_int_equal(r.nonce_n, row[i].nonce_n);
	}
}

/* RFC 9654 section 2.1.  OpenSSL reads what we build, and writes the same bytes. */
static void what_we_send_with_a_nonce_is_read_back_as_it_was(void **state)
{
	uint8_t nonce[OCSP_NONCE_MAX], out[OCSP_REQUEST_MAX], *der;
	const unsigned char *p;
	struct ocsp_request q;
	OCSP_REQUEST *r;
	size_t n;

	(void)state;
	memset(nonce, 0x5a, sizeof nonce);
	for (size_t v = 0; v < sizeof key_vectors / sizeof key_vectors[0]; v++) {
		struct key k;
		struct der d = hex(key_vectors[v].der);

		assert_int_equal(key_from_der(&k, bytes_of(d.p, d.n)), ERR_OK);
		n = ocsp_request_build(&k, bytes_of(NULL, 0), out);
		assert_true(bytes_equal(bytes_of(out, n), key_der(&k)));
		for (size_t len = 1; len <= OCSP_NONCE_MAX; len++) {
			n = ocsp_request_build(&k, bytes_of(nonce, len), out);
			assert_int_equal(
			    ocsp_request_parse(&q, bytes_of(out, n)), ERR_OK);
			assert_true(key_equal(&q.key, &k));
			assert_int_equal(q.nonce_n, len);
			assert_memory_equal(q.nonce, nonce, len);
			p = out;
			r = d2i_OCSP_REQUEST(NULL, &p, (long)n);
			der = NULL;
			assert_int_equal(i2d_OCSP_REQUEST(r, &der), n);
			assert_memory_equal(der, out, n);
			OPENSSL_free(der);
			OCSP_REQUEST_free(r);
		}
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(a_canonical_request_is_its_own_key),
	    cmocka_unit_test(what_we_send_with_a_nonce_is_read_back_as_it_was),
	    cmocka_unit_test(all_spellings_are_one_key),
	    cmocka_unit_test(what_is_no_request_is_malformed),
	    cmocka_unit_test(another_version_is_refused),
	    cmocka_unit_test(none_or_several_certids_are_refused),
	    cmocka_unit_test(unknown_critical_and_duplicate_extensions_are_refused),
	    cmocka_unit_test(a_nonce_has_1_to_128_octets),
	    cmocka_unit_test(a_bare_nonce_is_tolerated),
	    cmocka_unit_test(a_hash_that_we_do_not_serve_is_not_malformed),
	    cmocka_unit_test(hashes_of_another_length_are_malformed),
	    cmocka_unit_test(other_parameters_of_the_hash_are_malformed),
	    cmocka_unit_test(serials_keep_their_sign_and_length),
	    cmocka_unit_test(deep_and_wide_nesting_is_refused),
	    cmocka_unit_test(requests_of_others_are_read),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
