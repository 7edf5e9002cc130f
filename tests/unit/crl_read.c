/* One list: read, refused, searched. */
#include "cache/crl/crl_read.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <openssl/bn.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#include "cache/base/facts.h"
#include "cache/crl/crl_der.h"
#include "cache/crl/crl_walk.h"
#include "tests/lib/corpus.h"
#include "tests/lib/forge_crl.h"

#define NOW  1767268800 /* 2026-01-01T12:00:00Z */
#define HOUR 3600
#define URL  "http://crl.example/a.crl"

static const char THIS[] = "260101110000Z"; /* an hour before NOW */
static const char NEXT[] = "260108110000Z";

#define SERIAL(...)                                                                      \
	bytes_of(((const uint8_t[]){__VA_ARGS__}), sizeof((uint8_t[]){__VA_ARGS__}))

/* A CA, what it is asked to sign, and what we are asked to accept. */
struct desk {
	EVP_PKEY *key;
	X509 *ca[2];
	struct issuers *issuers;
	struct issuer issuer;
	struct crl_want want;
	struct forge_crl f;
	struct crl_list *list;
	char why[400];
};

static X509 *make_ca(const char *name, EVP_PKEY *key, const char *usage)
{
	struct forge_cert c = {.subject = name,
	    .key = key,
	    .issuer_key = key,
	    .from = NOW - 24 * HOUR,
	    .to = NOW + 24 * HOUR,
	    .usage = usage,
	    .ca = true};

	return forge_cert(&c);
}

/* second may be NULL. */
static void desk_issuer(struct desk *d, X509 *first, X509 *second)
{
	struct issuer_spec spec = {.name = "ca", .certificates = d->ca};
	size_t clash[2];

	d->ca[0] = first;
	d->ca[1] = second;
	spec.certificates_n = second != NULL ? 2 : 1;
	assert_int_equal(issuers_new(&d->issuers, &spec, 1, clash), ERR_OK);
	d->issuer = *issuers_at(d->issuers, 0);
	d->want = (struct crl_want){.issuer = &d->issuer,
	    .scope = URL,
	    .now = NOW,
	    .skew_s = 300,
	    .max_size = 1 << 30,
	    .copy_fd = -1};
	d->f = (struct forge_crl){.issuer = first,
	    .this_update = THIS,
	    .next_update = NEXT,
	    .number = "05",
	    .key = d->key};
}

static void desk_open_as(struct desk *d, const char *kind, enum forge_signature s)
{
	*d = (struct desk){.key = forge_key(kind)};
	desk_issuer(d, make_ca("List CA", d->key, "keyCertSign,cRLSign"), NULL);
	d->f.signature = s;
}

static void desk_open(struct desk *d)
{
	desk_open_as(d, "P-256", FORGE_ECDSA_SHA256);
}

static void desk_close(struct desk *d)
{
	crl_list_free(d->list);
	issuers_free(d->issuers);
	X509_free(d->ca[0]);
	X509_free(d->ca[1]);
	EVP_PKEY_free(d->key);
	forge_crl_reset();
	forge_reset();
}

static const char *read_pieces(struct desk *d, struct bytes der, size_t piece)
{
	int fd = forge_file(der);
	enum err e;

	crl_list_free(d->list);
	e = crl_read_pieces(&d->list, fd, piece, &d->want, d->why, sizeof d->why);
	close(fd);
	assert_int_equal(ERR_peek_error(), 0);
	assert_true((e == ERR_OK) == (d->list != NULL));
	assert_true((e == ERR_OK) == (d->why[0] == '\0'));
	return err_label(e);
}

/* The name of a list: SHA-256 of what is not signed and of the digest of what is; with
 * md NULL of everything. */
static void assert_named(const struct desk *d, struct bytes der, const EVP_MD *md)
{
	const unsigned char *tbs = der.p, *end;
	EVP_MD_CTX *c = EVP_MD_CTX_new();
	uint8_t digest[EVP_MAX_MD_SIZE], name[32];
	unsigned n = 0;
	int tag, class;
	long content;

	assert_non_null(c);
	assert_int_equal(EVP_DigestInit_ex(c, EVP_sha256(), NULL), 1);
	ASN1_get_object(&tbs, &content, &tag, &class, (long)der.n);
	end = tbs;
	ASN1_get_object(&end, &content, &tag, &class, content);
	end += content;
	if (md == NULL) {
		EVP_DigestUpdate(c, der.p, der.n);
	} else {
		EVP_Digest(tbs, (size_t)(end - tbs), digest, &n, md, NULL);
		EVP_DigestUpdate(c, der.p, (size_t)(tbs - der.p));
		EVP_DigestUpdate(c, end, (size_t)(der.p + der.n - end));
		EVP_DigestUpdate(c, digest, n);
	}
	EVP_DigestFinal_ex(c, name, NULL);
	EVP_MD_CTX_free(c);
	assert_memory_equal(d->list->facts.sha256, name, 32);
}

static const char *read_der(struct desk *d, struct bytes der)
{
	return read_pieces(d, der, CRL_PIECE);
}

/* What becomes of the list that is ordered. */
static const char *judge(struct desk *d)
{
	return read_der(d, forge_crl(&d->f));
}

#define assert_says(d, word) assert_non_null(strstr((d)->why, word))

/* The same with one entry more than what f has. */
static const char *judge_entry(struct desk *d, struct forge_crl_entry e)
{
	const char *said;

	d->f.entry = &e;
	d->f.entries_n = 1;
	said = judge(d);
	d->f.entry = NULL;
	d->f.entries_n = 0;
	return said;
}

static struct forge_crl_entry entry_of(struct bytes serial)
{
	return (struct forge_crl_entry){
	    .serial = serial, .at = "251231000000Z", .reason = -1};
}

static const char *judge_extension(struct desk *d, struct bytes extension)
{
	const char *said;

	d->f.extensions = extension;
	said = judge(d);
	d->f.extensions = (struct bytes){0};
	return said;
}

static const struct crl_entry *find(const struct desk *d, struct bytes serial)
{
	struct serial s = {.n = (uint8_t)serial.n};
	struct crl_entry key = {0};

	memcpy(s.octets, serial.p, serial.n);
	crl_entry_set_serial(&key, &s);
	return crl_entries_find(d->list->entries, d->list->n, &key);
}

static void a_list_says_what_is_in_it(void **state)
{
	const struct forge_crl_entry e[] = {
	    {SERIAL(0x01, 0x02, 0x03), "251231235959Z", 1, {0}},
	    {SERIAL(0x00, 0xff), "500101000000Z", -1, {0}}, /* 1950 */
	    {SERIAL(0xff), "20500101000000Z", 6, {0}}};
	const struct crl_entry *found;
	struct bytes der;
	char hex[CRL_NUMBER_HEX_MAX], number[CRL_NUMBER_TEXT_MAX];
	struct desk d;

	(void)state;
	desk_open(&d);
	d.f.entry = e;
	d.f.entries_n = 3;
	der = forge_crl(&d.f);
	assert_string_equal(read_der(&d, der), "ok");
	assert_int_equal(d.list->n, 3);
	assert_int_equal(d.list->facts.entries, 3);
	assert_int_equal(d.list->facts.size, der.n);
	assert_int_equal(d.list->facts.this_update, NOW - HOUR);
	assert_int_equal(d.list->facts.next_update, NOW - HOUR + 7 * 24 * HOUR);
	assert_int_equal(d.list->facts.warnings, CRL_WARN_LATER); /* 2050 */
	assert_named(&d, der, EVP_sha256());
	assert_memory_equal(d.list->facts.issuer_sha256, d.issuer.ca[0].sha256, 32);
	crl_number_text(&d.list->facts, number);
	assert_string_equal(number, "5");
	crl_number_hex(&d.list->facts, hex);
	assert_string_equal(hex, "0x05"); /* openssl crl -crlnumber */

	found = find(&d, e[0].serial);
	assert_non_null(found);
	assert_int_equal(crl_entry_at(found), INT64_C(1767225599)); /* date -d ... +%s */
	assert_int_equal(crl_entry_reason(found), 1);
	found = find(&d, e[1].serial);
	assert_non_null(found);
	assert_int_equal(crl_entry_at(found), INT64_C(-631152000));
	assert_int_equal(crl_entry_reason(found), REASON_NONE);
	found = find(&d, e[2].serial);
	assert_non_null(found);
	assert_int_equal(crl_entry_at(found), INT64_C(2524608000));
	assert_int_equal(crl_entry_reason(found), 6);
	/* neither the shorter nor the longer spelling of the same value */
	assert_null(find(&d, SERIAL(0x02, 0x03)));
	assert_null(find(&d, SERIAL(0x00, 0x01, 0x02, 0x03)));
	desk_close(&d);
}

static void a_list_without_entries_is_a_list(void **state)
{
	struct desk d;

	(void)state;
	desk_open(&d);
	assert_string_equal(judge(&d), "ok");
	assert_int_equal(d.list->n, 0);
	assert_null(d.list->entries);
	assert_null(find(&d, SERIAL(0x01)));
	assert_int_equal(d.list->facts.warnings, 0);
	desk_close(&d);
}

/* The DER of a name that is a commonName of this type. */
static struct bytes common_name_of(uint8_t tag, struct bytes text)
{
	return forge_der(
	    0x30, forge_der(0x31, forge_der(0x30, forge_join(forge_hex("0603550403"),
						      forge_der(tag, text)))));
}

static struct bytes common_name(uint8_t tag, const char *text)
{
	return common_name_of(tag, bytes_of(text, strlen(text)));
}

/* R89 */
static void a_list_of_another_issuer_is_refused(void **state)
{
	struct desk d;
	X509 *other;

	(void)state;
	desk_open(&d);
	other = make_ca("Other CA", d.key, "cRLSign");
	d.f.issuer = other;
	assert_string_equal(judge(&d), "crl_issuer");
	assert_says(&d, "Other CA");
	assert_says(&d, "List CA");
	d.f.name = common_name(0x0c, "Li st CA");
	assert_string_equal(judge(&d), "crl_issuer");
	d.f.name = common_name(0x12, "List CA"); /* a NumericString is no other one */
	assert_string_equal(judge(&d), "crl_issuer");
	d.f.name = common_name(0x04, "List CA"); /* no string at all */
	assert_string_equal(judge(&d), "crl_der");
	d.f.name = forge_hex("3000");
	assert_string_equal(judge(&d), "crl_issuer");
	d.f.name = forge_hex("30020500");
	assert_string_equal(judge(&d), "crl_der");
	X509_free(other);
	desk_close(&d);
}

/* R89: RFC 5280 section 7.1, in both profiles. */
static void a_name_is_the_same_in_another_spelling(void **state)
{
	static const struct {
		uint8_t tag;
		const char *text;
		size_t n;
		unsigned warnings;
	} row[] = {
	    {0x0c, "List CA", 7, 0},                            /* UTF8String */
	    {0x13, "List CA", 7, CRL_WARN_NAME},                /* PrintableString */
	    {0x14, "List CA", 7, CRL_WARN_NAME},                /* TeletexString */
	    {0x1e, "\0L\0i\0s\0t\0 \0C\0A", 14, CRL_WARN_NAME}, /* BMPString */
	    {0x0c, "LIST ca", 7, CRL_WARN_NAME},
	    {0x13, "  List   CA ", 12, CRL_WARN_NAME},
	};
	EVP_PKEY *other = forge_key("P-256");
	struct desk d;

	(void)state;
	desk_open(&d);
	for (size_t i = 0; i < sizeof row / sizeof row[0]; i++) {
		d.f.name = common_name_of(row[i].tag, bytes_of(row[i].text, row[i].n));
		d.issuer.rules.profile = i % 2 ? PROFILE_PUBLIC : PROFILE_PRIVATE;
		assert_string_equal(judge(&d), "ok");
		assert_int_equal(d.list->facts.warnings, row[i].warnings);
		d.f.key = other; /* the signature decides */
		assert_string_equal(judge(&d), "crl_signature");
		d.f.key = d.key;
	}
	EVP_PKEY_free(other);
	desk_close(&d);
}

/* R89 */
static void a_list_that_somebody_else_signed_is_refused(void **state)
{
	EVP_PKEY *other = forge_key("P-256"), *rsa = forge_key("2048");
	struct bytes der;
	struct desk d;

	(void)state;
	desk_open(&d);
	d.f.break_signature = true;
	assert_string_equal(judge(&d), "crl_signature");
	d.f.break_signature = false;
	d.f.key = other;
	assert_string_equal(judge(&d), "crl_signature");
	d.f.key = rsa; /* a key of another kind than the issuer's */
	d.f.signature = FORGE_RSA_SHA256;
	assert_string_equal(judge(&d), "crl_signature");
	d.f.key = d.key;
	d.f.signature = FORGE_ECDSA_SHA256;
	/* one bit of what is signed: the last octet of thisUpdate's minutes */
	der = forge_join(forge_crl(&d.f), (struct bytes){0});
	((uint8_t *)memmem((void *)(uintptr_t)der.p, der.n, THIS, 13))[9] ^= 1;
	assert_string_equal(read_der(&d, der), "crl_signature");
	EVP_PKEY_free(other);
	EVP_PKEY_free(rsa);
	desk_close(&d);
}

/* R89: RFC 5280 section 4.2.1.3; absent keyUsage allows it. */
static void the_issuers_key_usage_must_allow_signing_lists(void **state)
{
	static const struct {
		const char *usage, *said;
	} table[] = {{"keyCertSign", "crl_key_usage"}, {"cRLSign", "ok"}, {NULL, "ok"}};

	(void)state;
	for (size_t i = 0; i < 3; i++) {
		struct desk d = {.key = forge_key("P-256")};

		desk_issuer(&d, make_ca("List CA", d.key, table[i].usage), NULL);
		assert_string_equal(judge(&d), table[i].said);
		desk_close(&d);
	}
}

/* R89: a renewed CA has two certificates with one name. */
static void each_certificate_of_a_renewed_ca_may_sign(void **state)
{
	EVP_PKEY *young = forge_key("2048");
	struct desk d = {.key = forge_key("P-256")};

	(void)state;
	desk_issuer(&d, make_ca("List CA", d.key, "cRLSign"),
	    make_ca("List CA", young, "cRLSign"));
	assert_string_equal(judge(&d), "ok");
	assert_memory_equal(d.list->facts.issuer_sha256, d.issuer.ca[0].sha256, 32);
	d.f.key = young;
	d.f.signature = FORGE_RSA_SHA256;
	assert_string_equal(judge(&d), "ok");
	assert_memory_equal(d.list->facts.issuer_sha256, d.issuer.ca[1].sha256, 32);
	d.f.break_signature = true;
	assert_string_equal(judge(&d), "crl_signature");
	EVP_PKEY_free(young);
	desk_close(&d);
}

/* R89: neither of two certificates makes up for what the other lacks. */
static void the_key_that_may_not_sign_lists_does_not_verify_one(void **state)
{
	EVP_PKEY *young = forge_key("P-256");
	struct desk d = {.key = forge_key("P-256")};

	(void)state;
	desk_issuer(&d, make_ca("List CA", d.key, "keyCertSign"),
	    make_ca("List CA", young, "cRLSign"));
	assert_string_equal(judge(&d), "crl_key_usage");
	d.f.key = young;
	assert_string_equal(judge(&d), "ok");
	EVP_PKEY_free(young);
	desk_close(&d);
}

static void every_allowed_algorithm_verifies(void **state)
{
	static const struct {
		const char *key;
		enum forge_signature signature;
	} table[] = {{"2048", FORGE_RSA_SHA256}, {"2048", FORGE_PSS_SHA256},
	    {"ED25519", FORGE_ED25519}, {"P-384", FORGE_ECDSA_SHA256}};

	(void)state;
	for (size_t i = 0; i < sizeof table / sizeof *table; i++) {
		bool eddsa = table[i].signature == FORGE_ED25519;
		struct bytes der;
		struct desk d;

		desk_open_as(&d, table[i].key, table[i].signature);
		assert_string_equal(judge(&d), "ok");
		assert_string_equal(judge_entry(&d, entry_of(SERIAL(1))), "ok");
		der = forge_crl(&d.f);
		assert_string_equal(read_pieces(&d, der, 7), "ok");
		assert_named(&d, der, eddsa ? NULL : EVP_sha256());
		d.f.break_signature = true;
		assert_string_equal(judge(&d), "crl_signature");
		desk_close(&d);
	}
}

static struct bytes tagged(uint8_t tag, const char *hex)
{
	return hex != NULL ? forge_der(tag, forge_hex(hex)) : (struct bytes){0};
}

#define SHA256_ID "300d06096086480165030402010500"
#define MGF1      "301a06092a864886f70d010108" SHA256_ID

/* RFC 4055 section 3.1: what its parameters cannot be, or no key can do.  The signature
 * is none of PSS: where they are read, it does not fit. */
static void the_parameters_of_pss_are_read_or_refused(void **state)
{
	static const struct {
		const char *hash, *mask, *salt, *trailer, *said;
	} table[] = {
	    {SHA256_ID, MGF1, "020120", NULL, "crl_signature"},
	    {SHA256_ID, MGF1, "020120", "020101", "crl_signature"},
	    {SHA256_ID, MGF1, "02021000", NULL, "crl_signature"}, /* 4096 */
	    {SHA256_ID, MGF1, "02021001", NULL, "crl_signature_algorithm"},
	    {SHA256_ID, MGF1, "0201ff", NULL, "crl_signature_algorithm"},
	    {SHA256_ID, MGF1, "020900ffffffffffffffff", NULL, "crl_signature_algorithm"},
	    {SHA256_ID, MGF1, "020120", "020102", "crl_signature_algorithm"},
	    {SHA256_ID, MGF1, "020120", "020900ffffffffffffffff",
		"crl_signature_algorithm"},
	    {SHA256_ID, "301a06092a864886f70d010109" SHA256_ID, "020120", NULL,
		"crl_signature_algorithm"}, /* pSpecified */
	    {SHA256_ID, "300b06092a864886f70d010108", "020120", NULL,
		"crl_signature_algorithm"}, /* MGF1 of nothing */
	    {SHA256_ID, "301106092a864886f70d010108300406022a03", "020120", NULL,
		"crl_signature_algorithm"},
	    {"300406022a03", MGF1, "020120", NULL, "crl_signature_algorithm"},
	};
	struct desk d;

	(void)state;
	desk_open_as(&d, "2048", FORGE_RSA_SHA256);
	for (size_t i = 0; i < sizeof table / sizeof table[0]; i++) {
		struct bytes b = tagged(0xa0, table[i].hash);

		b = forge_join(b, tagged(0xa1, table[i].mask));
		b = forge_join(b, tagged(0xa2, table[i].salt));
		b = forge_join(b, tagged(0xa3, table[i].trailer));
		d.f.algorithm = forge_der(0x30,
		    forge_join(forge_hex("06092a864886f70d01010a"), forge_der(0x30, b)));
		if (strcmp(judge(&d), table[i].said) != 0)
			fail_msg("row %zu: %s", i, judge(&d));
	}
	desk_close(&d);
}

static void sha1_is_taken_only_where_it_is_allowed(void **state)
{
	static const enum forge_signature table[] = {FORGE_RSA_SHA1, FORGE_PSS_SHA1};
	struct bytes der;
	struct desk d;

	(void)state;
	desk_open_as(&d, "2048", FORGE_RSA_SHA1);
	for (size_t i = 0; i < 2; i++) {
		d.f.signature = table[i];
		d.issuer.rules.allow_sha1 = false;
		assert_string_equal(judge(&d), "crl_signature_algorithm");
		d.issuer.rules.allow_sha1 = true;
		der = forge_crl(&d.f);
		assert_string_equal(read_der(&d, der), "ok");
		assert_int_equal(d.list->facts.warnings, CRL_WARN_SHA1);
		assert_named(&d, der, NULL); /* who breaks SHA-1 makes no second list */
	}
	d.f.signature = FORGE_RSA_MD5;
	assert_string_equal(judge(&d), "crl_signature_algorithm");
	desk_close(&d);
}

static void a_short_key_is_not_believed(void **state)
{
	struct desk d;

	(void)state;
	desk_open_as(&d, "1024", FORGE_RSA_SHA256);
	assert_string_equal(judge(&d), "crl_signature_algorithm");
	desk_close(&d);
}

/* R90: RFC 5280 sections 5.1.2.1 and 5.3. */
static void the_version_fits_what_the_list_contains(void **state)
{
	struct forge_crl_entry e = entry_of(SERIAL(1));
	struct desk d;

	(void)state;
	desk_open(&d);
	d.f.number = NULL;
	d.f.version = "";
	assert_string_equal(judge(&d), "ok");
	assert_int_equal(d.list->facts.warnings, CRL_WARN_NONUMBER);
	assert_string_equal(judge_entry(&d, e), "ok");
	e.reason = 1; /* an entry extension in v1, usual and unusual */
	assert_string_equal(judge_entry(&d, e), "crl_version");
	e.reason = -1;
	e.extensions = forge_extension_of("1.2.3", false, forge_hex("0500"));
	assert_string_equal(judge_entry(&d, e), "crl_version");
	d.f.number = "01";
	assert_string_equal(judge(&d), "crl_version");
	d.f.number = NULL;
	d.f.version = "00"; /* v1 written out */
	assert_string_equal(judge(&d), "crl_version");
	d.f.version = "02";
	assert_string_equal(judge(&d), "crl_version");
	d.f.version = "0001";
	assert_string_equal(judge(&d), "crl_version");
	d.f.version = "01"; /* v2 without extensions */
	assert_string_equal(judge(&d), "ok");
	desk_close(&d);
}

/* R91: RFC 5280 section 5.1.2.6. */
static void an_empty_list_of_entries_is_for_the_private_profile_only(void **state)
{
	struct desk d;

	(void)state;
	desk_open(&d);
	d.f.empty = true;
	assert_string_equal(judge(&d), "ok");
	assert_int_equal(d.list->facts.warnings, CRL_WARN_EMPTY);
	d.issuer.rules.profile = PROFILE_PUBLIC;
	assert_string_equal(judge(&d), "crl_empty_list");
	d.f.empty = false;
	assert_string_equal(judge(&d), "ok");
	desk_close(&d);
}

/* R92: RFC 5280 section 5.1.1.2. */
static void both_signature_algorithms_are_the_same(void **state)
{
	struct desk d;

	(void)state;
	desk_open_as(&d, "2048", FORGE_RSA_SHA256);
	d.f.other_inner = true;
	d.f.inner = FORGE_PSS_SHA256;
	assert_string_equal(judge(&d), "crl_signature_algorithm");
	d.f.inner = FORGE_RSA_SHA256;
	assert_string_equal(judge(&d), "ok");
	desk_close(&d);
}

/* R93: RFC 5280 sections 5.2 and 5.3. */
static void an_unknown_critical_extension_refuses_the_list(void **state)
{
	struct forge_crl_entry e = entry_of(SERIAL(1));
	struct bytes loud, quiet;
	struct desk d;

	(void)state;
	desk_open(&d);
	loud = forge_extension_of("1.2.3.4", true, forge_hex("0500"));
	quiet = forge_extension_of("1.2.3.4", false, forge_hex("0500"));
	assert_string_equal(judge_extension(&d, loud), "crl_extension");
	assert_says(&d, "1.2.3.4");
	assert_string_equal(judge_extension(&d, quiet), "ok");
	e.extensions = loud;
	assert_string_equal(judge_entry(&d, e), "crl_entry_extension");
	assert_says(&d, "1.2.3.4");
	assert_says(&d, "entry 1");
	e.extensions = quiet;
	assert_string_equal(judge_entry(&d, e), "ok");
	e.reason = 4; /* ... and the reason is still seen */
	assert_string_equal(judge_entry(&d, e), "ok");
	assert_int_equal(crl_entry_reason(d.list->entries), 4);
	desk_close(&d);
}

/* Headers that were looked at by themselves; the linker leads here (Makefile). */
static size_t headers;
bool __real_crl_tlv_take(struct crl_tlv *t, struct bytes *b);
bool __wrap_crl_tlv_take(struct crl_tlv *t, struct bytes *b);

bool __wrap_crl_tlv_take(struct crl_tlv *t, struct bytes *b)
{
	headers++;
	return __real_crl_tlv_take(t, b);
}

/* How many of them for each of the entries of a list of such ones. */
static size_t headers_of(struct desk *d, struct forge_crl_entry e)
{
	struct forge_crl_entry entry[101];
	size_t one;

	for (size_t i = 0; i < 101; i++)
		entry[i] = e;
	d->f.entry = entry;
	d->f.entries_n = 1;
	headers = 0;
	assert_string_equal(judge(d), "ok");
	one = headers;
	d->f.entries_n = 101;
	headers = 0;
	assert_string_equal(judge(d), "ok");
	assert_int_equal((headers - one) % 100, 0);
	return (headers - one) / 100;
}

/* R110: three million of them are read in a third of a second: with a serial of any
 * length and a reason or none, which is what nearly all lists are made of. */
static void a_usual_entry_is_read_without_a_look_at_each_header(void **state)
{
	static const uint8_t octets[SERIAL_MAX] = {0x40};
	static const uint8_t length[] = {1, 2, 16, 20, SERIAL_MAX};
	struct forge_crl_entry e;
	struct desk d;

	(void)state;
	desk_open(&d);
	for (size_t i = 0; i < sizeof length; i++) {
		e = entry_of(bytes_of(octets, length[i]));
		assert_int_equal(headers_of(&d, e), 0);
		for (e.reason = 0; e.reason <= 10; e.reason++)
			if (e.reason != 7 && e.reason != 8)
				assert_int_equal(headers_of(&d, e), 0);
	}
	e = entry_of(SERIAL(0x00, 0x80));
	assert_int_equal(headers_of(&d, e), 0);
	e.at = "491231235959Z";
	assert_int_equal(headers_of(&d, e), 0);
	/* serial, date, extensions; extension, OID, value */
	e.extensions = forge_extension_of("2.5.29.24", false, /* invalidityDate */
	    forge_hex("180f32303235313233313030303030305a"));
	assert_true(headers_of(&d, e) >= 6);
	d.f.version = "";
	d.f.number = NULL;
	assert_int_equal(headers_of(&d, entry_of(SERIAL(1))), 0);
	desk_close(&d);
}

static void an_extension_twice_refuses_the_list(void **state)
{
	struct bytes x;
	struct desk d;

	(void)state;
	desk_open(&d);
	x = forge_extension_of("1.2.3.4", false, forge_hex("0500"));
	assert_string_equal(judge_extension(&d, forge_join(x, x)), "crl_extension");
	x = forge_extension_of("2.5.29.20", false, forge_hex("020105"));
	assert_string_equal(judge_extension(&d, x), "crl_extension");
	x = (struct bytes){0};
	for (int i = 0; i < 40; i++) {
		char oid[24];

		snprintf(oid, sizeof oid, "1.2.3.%d", i);
		x = forge_join(x, forge_extension_of(oid, false, forge_hex("0500")));
	}
	assert_string_equal(judge_extension(&d, x), "crl_extension");
	desk_close(&d);
}

/* RFC 5280 section 4.1: an extension is an OID, a BOOLEAN or none, and an OCTET STRING;
 * X.690 says how each is written. */
static void an_extension_that_is_none_refuses_the_list(void **state)
{
	static const struct {
		const char *der, *list, *entry;
	} table[] = {
	    {"300906032a030404020500", "ok", "ok"},
	    {"300c06032a030401010004020500", "ok", "ok"}, /* FALSE, which some write */
	    {"300c06032a03040101ff04020500", "crl_extension", "crl_entry_extension"},
	    {"300506032a0304", "crl_der", "crl_entry"}, /* no value */
	    {"300806032a0304010100", "crl_der", "crl_entry"},
	    {"300806032a03040101ff", "crl_der", "crl_entry"},
	    {"300706032a03040500", "crl_der", "crl_entry"}, /* not an OCTET STRING */
	    {"300b06032a0304040205000500", "crl_der", "crl_entry"}, /* and more */
	    {"300906032a030404030500", "crl_der", "crl_entry"},     /* cut */
	    {"310906032a030404020500", "crl_der", "crl_entry"},     /* not a SEQUENCE */
	    {"300404020500", "crl_der", "crl_entry"},               /* no OID */
	    {"3000", "crl_der", "crl_entry"},
	    {"3006060004020500", "crl_der", "crl_entry"}, /* an OID of no arc */
	    {"300906032a038404020500", "crl_der",
		"crl_entry"}, /* whose last arc goes on */
	    {"300906032a800404020500", "crl_der", "crl_entry"}, /* longer than needed */
	    {"300c06032a030401010104020500", "crl_der", "crl_entry"}, /* TRUE is 0xff */
	    {"300d06032a03040102ffff04020500", "crl_der", "crl_entry"},
	    {"300b06032a0304010004020500", "crl_der", "crl_entry"},
	};
	struct forge_crl_entry e = entry_of(SERIAL(1));
	struct desk d;

	(void)state;
	desk_open(&d);
	for (size_t i = 0; i < sizeof table / sizeof table[0]; i++) {
		e.extensions = forge_hex(table[i].der);
		assert_string_equal(judge_extension(&d, e.extensions), table[i].list);
		assert_string_equal(judge_entry(&d, e), table[i].entry);
	}
	desk_close(&d);
}

static void known_extensions_of_entries_are_read_or_ignored(void **state)
{
	struct forge_crl_entry e = entry_of(SERIAL(1));
	struct desk d;

	(void)state;
	desk_open(&d);
	e.reason = 6;
	e.extensions = forge_extension_of("2.5.29.24", false, /* invalidityDate */
	    forge_der(0x18, bytes_of("20251201000000Z", 15)));
	e.extensions = forge_join(e.extensions, /* holdInstructionCode */
	    forge_extension_of("2.5.29.23", true, forge_hex("06072a8648ce380202")));
	assert_string_equal(judge_entry(&d, e), "ok");
	assert_int_equal(crl_entry_reason(d.list->entries), 6);
	desk_close(&d);
}

/* R94 */
static void the_times_of_a_list_make_sense(void **state)
{
	struct desk d;

	(void)state;
	desk_open(&d);
	d.f.this_update = "260101120501Z"; /* the skew is 300 s */
	assert_string_equal(judge(&d), "crl_this_update_future");
	d.f.this_update = "260101120500Z";
	assert_string_equal(judge(&d), "ok");
	d.f.next_update = d.f.this_update;
	assert_string_equal(judge(&d), "crl_next_before_this");
	d.f.this_update = THIS;
	d.f.next_update = NULL;
	assert_string_equal(judge(&d), "crl_next_update_missing");
	assert_string_equal(
	    judge_entry(&d, entry_of(SERIAL(1))), "crl_next_update_missing");
	/* a stale list still revokes */
	d.f.this_update = "250101000000Z";
	d.f.next_update = "250108000000Z";
	assert_string_equal(judge(&d), "ok");
	desk_close(&d);
}

/* R95: RFC 5280 section 5.2.3. */
static void a_lower_number_is_a_rollback(void **state)
{
	struct crl_facts held;
	struct desk d;

	(void)state;
	desk_open(&d);
	d.f.number = "0100";
	assert_string_equal(judge(&d), "ok");
	held = d.list->facts;
	d.want.held = &held;
	assert_string_equal(judge_entry(&d, entry_of(SERIAL(1))), "ok");
	assert_int_equal(d.list->facts.warnings, CRL_WARN_REUSED);
	d.f.number = "00ff";
	assert_string_equal(judge(&d), "crl_rollback");
	assert_says(&d, "255");
	assert_says(&d, "256");
	d.want.own = true; /* our own file: it was judged when it came */
	assert_string_equal(judge(&d), "ok");
	d.want.own = false;
	d.f.number = "0101";
	assert_string_equal(judge(&d), "ok");
	assert_int_equal(d.list->facts.warnings, 0);
	d.f.number = NULL; /* the CA gave up counting: thisUpdate decides */
	assert_string_equal(judge(&d), "ok");
	assert_int_equal(d.list->facts.warnings, CRL_WARN_NONUMBER);
	desk_close(&d);
}

/* R95, RFC 5280 section 5.2.3: each key has a count of its own; a certificate that was
 * renewed with the same key has not. */
static void a_number_is_compared_within_one_key(void **state)
{
	EVP_PKEY *old = forge_key("P-256"), *young = forge_key("P-256");
	struct desk d = {.key = old};
	struct crl_facts held;

	(void)state;
	desk_issuer(
	    &d, make_ca("List CA", old, "cRLSign"), make_ca("List CA", young, "cRLSign"));
	d.f.signature = FORGE_ECDSA_SHA256;
	d.f.number = "1267";
	assert_string_equal(judge(&d), "ok");
	held = d.list->facts;
	d.want.held = &held;
	d.f.number = "01";
	d.f.key = young;
	assert_string_equal(judge(&d), "ok");
	assert_int_equal(d.list->facts.warnings, 0);
	assert_false(crl_number_is_back(&d.list->facts, &held));
	d.f.number = "1267"; /* and the same number of another key is no second one */
	assert_string_equal(judge(&d), "ok");
	assert_int_equal(d.list->facts.warnings, 0);
	d.f.this_update = "260101105959Z"; /* the date is everybody's */
	assert_string_equal(judge(&d), "crl_rollback");
	d.f.this_update = THIS;
	issuers_free(d.issuers); /* the order of certificates makes no key another */
	{
		X509 *first = d.ca[0], *second = d.ca[1];

		desk_issuer(&d, second, first);
	}
	d.f.signature = FORGE_ECDSA_SHA256;
	d.f.key = old;
	d.f.number = "01";
	d.want.held = &held;
	assert_string_equal(judge(&d), "crl_rollback");
	EVP_PKEY_free(young);
	desk_close(&d);
}

/* R95: a list that has expired keeps no later one away, with whatever number; what is no
 * later it does. */
static void an_expired_list_is_no_bar_to_a_later_one(void **state)
{
	struct crl_facts held;
	struct desk d;

	(void)state;
	desk_open(&d);
	d.f.number = "1267";
	assert_string_equal(judge(&d), "ok");
	held = d.list->facts;
	d.want.held = &held;
	d.f.number = "01";
	d.f.this_update = "260101110001Z"; /* a second later */
	held.next_update = NOW + 1;
	assert_string_equal(judge(&d), "crl_rollback");
	held.next_update = NOW;
	assert_string_equal(judge(&d), "ok");
	assert_int_equal(d.list->facts.warnings, CRL_WARN_BACK);
	d.f.number = "1268";
	assert_string_equal(judge(&d), "ok");
	assert_int_equal(d.list->facts.warnings, 0);
	d.f.number = "01";
	d.f.this_update = THIS;
	assert_string_equal(judge(&d), "crl_rollback");
	d.f.this_update = "260101105959Z";
	assert_string_equal(judge(&d), "crl_rollback");
	d.f.number = "1268";
	assert_string_equal(judge(&d), "crl_rollback");
	desk_close(&d);
}

/* R95: the operator's word; and what is refused without it says so. */
static void a_new_count_is_taken_where_the_operator_says_so(void **state)
{
	struct crl_facts held, older = {0};
	struct desk d;

	(void)state;
	desk_open(&d);
	d.f.number = "1267";
	assert_string_equal(judge(&d), "ok");
	held = d.list->facts;
	d.want.held = &held;
	d.want.older = &older;
	d.f.number = "01";
	assert_string_equal(judge(&d), "crl_rollback");
	assert_says(&d, "--accept-number");
	assert_true(crl_number_is_back(&older, &held));
	assert_int_equal(older.this_update, held.this_update);
	d.want.accept_number = true;
	assert_string_equal(judge(&d), "ok");
	assert_int_equal(d.list->facts.warnings, CRL_WARN_ACCEPTED);
	d.f.this_update = "251231105959Z";
	assert_string_equal(judge(&d), "ok");
	assert_int_equal(d.list->facts.warnings, CRL_WARN_ACCEPTED);
	d.f.this_update = THIS;
	d.f.number = "1268"; /* nothing to be accepted */
	assert_string_equal(judge(&d), "ok");
	assert_int_equal(d.list->facts.warnings, 0);
	desk_close(&d);
}

/* R95: the very same list again is nothing to be warned of. */
static void the_same_list_again_is_accepted_without_a_word(void **state)
{
	struct crl_facts held;
	struct bytes der;
	struct desk d;

	(void)state;
	desk_open(&d);
	der = forge_crl(&d.f);
	assert_string_equal(read_der(&d, der), "ok");
	held = d.list->facts;
	d.want.held = &held;
	assert_string_equal(read_der(&d, der), "ok");
	assert_int_equal(d.list->facts.warnings, 0);
	desk_close(&d);
}

/* R95 */
static void a_number_has_up_to_20_octets_and_is_not_negative(void **state)
{
	static const char longest[] = "00ffffffffffffffffffffffffffffffffffffffff";
	char hex[CRL_NUMBER_HEX_MAX], number[CRL_NUMBER_TEXT_MAX];
	struct desk d;
	BIGNUM *n = NULL;
	char *text;

	(void)state;
	desk_open(&d);
	d.f.number = longest; /* 20 octets and the sign's */
	assert_string_equal(judge(&d), "ok");
	crl_number_text(&d.list->facts, number);
	assert_true(BN_hex2bn(&n, longest) > 0);
	text = BN_bn2dec(n);
	assert_string_equal(number, text);
	OPENSSL_free(text);
	crl_number_hex(&d.list->facts, hex);
	text = BN_bn2hex(n);
	assert_memory_equal(hex, "0x", 2);
	assert_string_equal(hex + 2, text);
	OPENSSL_free(text);
	BN_free(n);
	d.f.number = "00";
	assert_string_equal(judge(&d), "ok");
	crl_number_text(&d.list->facts, number);
	assert_string_equal(number, "0");
	crl_number_hex(&d.list->facts, hex);
	assert_string_equal(hex, "0x00");
	d.f.number = "01ffffffffffffffffffffffffffffffffffffffff";
	assert_string_equal(judge(&d), "crl_number");
	d.f.number = "ff";
	assert_string_equal(judge(&d), "crl_number");
	d.f.number = "0001";
	assert_string_equal(judge(&d), "crl_number");
	d.f.number = "";
	assert_string_equal(judge(&d), "crl_number");
	d.f.number = NULL;
	assert_string_equal(judge(&d), "ok");
	crl_number_text(&d.list->facts, number);
	assert_string_equal(number, "");
	crl_number_hex(&d.list->facts, hex);
	assert_string_equal(hex, "");
	desk_close(&d);
}

/* R96 T18 */
static void an_earlier_this_update_is_a_rollback(void **state)
{
	struct crl_facts held;
	struct desk d;

	(void)state;
	desk_open(&d);
	assert_string_equal(judge(&d), "ok");
	held = d.list->facts;
	d.want.held = &held;
	d.f.number = "06";
	d.f.this_update = "260101105959Z";
	assert_string_equal(judge(&d), "crl_rollback");
	d.f.number = NULL;
	assert_string_equal(judge(&d), "crl_rollback");
	d.f.this_update = THIS;
	assert_string_equal(judge(&d), "ok");
	desk_close(&d);
}

/* R98 (OpenSSL's CVE-2026-28388): a delta list is refused, with number or without. */
static void a_delta_list_is_refused(void **state)
{
	struct bytes delta;
	struct desk d;

	(void)state;
	desk_open(&d);
	delta = forge_extension_of("2.5.29.27", true, forge_hex("020101"));
	assert_string_equal(judge_extension(&d, delta), "crl_delta");
	d.f.number = NULL;
	assert_string_equal(judge_extension(&d, delta), "crl_delta");
	delta = forge_extension_of("2.5.29.27", false, (struct bytes){0});
	assert_string_equal(judge_extension(&d, delta), "crl_delta");
	desk_close(&d);
}

/* R100: RFC 5280 section 5.3.1. */
static void an_entry_of_a_complete_list_removes_nothing(void **state)
{
	struct forge_crl_entry e = entry_of(SERIAL(1));
	struct desk d;

	(void)state;
	desk_open(&d);
	e.reason = 8;
	assert_string_equal(judge_entry(&d, e), "crl_entry");
	assert_says(&d, "delta");
	desk_close(&d);
}

static void reasons_are_those_of_rfc_5280(void **state)
{
	struct forge_crl_entry e = entry_of(SERIAL(1));
	struct desk d;

	(void)state;
	desk_open(&d);
	for (e.reason = 0; e.reason < 256; e.reason++) {
		bool good = e.reason <= 10 && e.reason != 7 && e.reason != 8;

		assert_string_equal(
		    judge_entry(&d, e), e.reason != 8 ? "ok" : "crl_entry");
		if (e.reason == 8)
			continue;
		assert_int_equal(
		    crl_entry_reason(d.list->entries), good ? e.reason : REASON_NONE);
		assert_int_equal(d.list->facts.odd, !good);
	}
	e.reason = -1;
	e.extensions = forge_extension_of("2.5.29.21", true, forge_hex("0a0101"));
	assert_string_equal(judge_entry(&d, e), "ok"); /* critical, and known */
	assert_int_equal(crl_entry_reason(d.list->entries), 1);
	e.extensions = forge_extension_of("2.5.29.21", true, forge_hex("0a0107"));
	assert_string_equal(judge_entry(&d, e), "crl_entry_extension");
	desk_close(&d);
}

/* R93: of an entry's extensions that are not critical none costs the list its use; what
 * cannot be read of a reason leaves a revocation without one, never a hold. */
static void an_odd_entry_counts_without_what_is_odd(void **state)
{
	static const char *const reason[] = {"020101", /* INTEGER */
	    "0a020001", "0a00", "0a01", "", "0500", "0a010100", "0c0161", "0101ff"};
	struct forge_crl_entry e = entry_of(SERIAL(1));
	struct bytes hold, many = {0};
	struct desk d;

	(void)state;
	desk_open(&d);
	for (size_t i = 0; i < sizeof reason / sizeof *reason; i++) {
		e.extensions =
		    forge_extension_of("2.5.29.21", false, forge_hex(reason[i]));
		assert_string_equal(judge_entry(&d, e), "ok");
		assert_int_equal(crl_entry_reason(d.list->entries), REASON_NONE);
		assert_int_equal(d.list->facts.odd, 1);
		e.extensions =
		    forge_extension_of("2.5.29.21", true, forge_hex(reason[i]));
		assert_string_equal(judge_entry(&d, e), "crl_entry_extension");
	}
	/* a reason twice: neither */
	hold = forge_extension_of("2.5.29.21", false, forge_hex("0a0106"));
	e.reason = 1;
	e.extensions = hold;
	assert_string_equal(judge_entry(&d, e), "ok");
	assert_int_equal(crl_entry_reason(d.list->entries), REASON_NONE);
	assert_int_equal(d.list->facts.odd, 1);
	e.reason = 6;
	e.extensions = forge_extension_of("2.5.29.21", true, forge_hex("0a0106"));
	assert_string_equal(judge_entry(&d, e), "crl_entry_extension");
	/* others twice, too many, or none where there have to be some */
	e.extensions = forge_extension_of("2.5.29.24", false, forge_hex("0500"));
	assert_string_equal(judge_entry(&d, e), "ok"); /* nobody asks for its date */
	assert_int_equal(crl_entry_reason(d.list->entries), 6);
	e.extensions = forge_join(e.extensions, e.extensions);
	assert_string_equal(judge_entry(&d, e), "ok");
	assert_int_equal(crl_entry_reason(d.list->entries), 6);
	assert_int_equal(d.list->facts.odd, 1);
	for (int i = 0; i < 40; i++) {
		char oid[24];

		snprintf(oid, sizeof oid, "1.2.3.%d", i);
		many =
		    forge_join(many, forge_extension_of(oid, false, forge_hex("0500")));
	}
	e.extensions = many;
	assert_string_equal(judge_entry(&d, e), "ok");
	assert_int_equal(crl_entry_reason(d.list->entries), 6);
	assert_int_equal(d.list->facts.odd, 1);
	e.extensions =
	    forge_join(many, forge_extension_of("1.2.9", true, forge_hex("0500")));
	assert_string_equal(judge_entry(&d, e), "crl_entry_extension");
	d.f.entries_n = 0;
	d.f.entries = forge_hex("3014020101170d3235313233313030303030305a3000");
	assert_string_equal(judge(&d), "ok");
	assert_int_equal(d.list->facts.odd, 1);
	desk_close(&d);
}

/* R93: what no request can name is in no index, and costs nobody else anything. */
static void an_entry_that_nobody_can_ask_for_is_left_out(void **state)
{
	static const uint8_t many[32] = {0x5a, 0x34};
	struct forge_crl_entry e[] = {entry_of(bytes_of(many, 22)), entry_of(SERIAL(1)),
	    entry_of(bytes_of(many, 32)), entry_of(SERIAL(2)),
	    entry_of(bytes_of(many, 22))};
	struct crl_entry key = {0};
	struct desk d;

	(void)state;
	desk_open(&d);
	e[0].reason = 7;
	e[2].reason = 6;
	d.f.entry = e;
	d.f.entries_n = 5;
	assert_string_equal(judge(&d), "ok");
	assert_int_equal(d.list->n, 2);
	assert_int_equal(d.list->facts.entries, 5);
	assert_int_equal(d.list->facts.left_out, 3);
	assert_int_equal(d.list->facts.odd, 0);
	assert_int_equal(d.list->facts.warnings, 0);
	for (uint8_t i = 1; i <= 2; i++) {
		const struct crl_entry *found;

		crl_entry_set_serial(&key, &(struct serial){1, {i}});
		found = crl_entries_find(d.list->entries, d.list->n, &key);
		assert_non_null(found);
		assert_int_equal(crl_entry_reason(found), REASON_NONE);
	}
	d.f.entries_n = 1; /* a list of such entries only */
	assert_string_equal(judge(&d), "ok");
	assert_int_equal(d.list->n, 0);
	assert_null(d.list->entries);
	e[0].extensions = forge_extension_of("1.2.9", true, forge_hex("0500"));
	assert_string_equal(judge(&d), "crl_entry_extension");
	e[0] = entry_of(forge_join(forge_hex("00"), bytes_of(many, 22))); /* no DER */
	assert_string_equal(judge(&d), "crl_entry");
	desk_close(&d);
}

/* R102 */
static void freshest_crl_changes_nothing(void **state)
{
	struct desk d;

	(void)state;
	desk_open(&d);
	assert_string_equal(judge_extension(&d, forge_extension_of("2.5.29.46", false,
						    forge_hex("3000"))),
	    "ok");
	desk_close(&d);
}

/* R103: RFC 5280 section 5.2.5. */
static void the_scope_of_a_list_is_understood(void **state)
{
	static const struct {
		const char *words, *said;
		bool only_user, only_ca;
	} table[] = {{"onlyuser:TRUE", "ok", true, false},
	    {"onlyCA:TRUE", "ok", false, true},
	    {"onlyAA:TRUE", "crl_scope", false, false},
	    {"onlyuser:TRUE,onlyCA:TRUE", "crl_scope", false, false},
	    {"fullname:URI:" URL ",onlyuser:TRUE", "ok", true, false}};
	struct desk d;

	(void)state;
	desk_open(&d);
	for (size_t i = 0; i < sizeof table / sizeof *table; i++) {
		assert_string_equal(
		    judge_extension(&d, forge_idp(table[i].words)), table[i].said);
		if (d.list != NULL) {
			assert_true(d.list->facts.only_user == table[i].only_user);
			assert_true(d.list->facts.only_ca == table[i].only_ca);
		}
	}
	/* empty; and not critical, which changes nothing */
	assert_string_equal(
	    judge_extension(&d, forge_extension_of("2.5.29.28", true, forge_hex("3000"))),
	    "crl_scope");
	assert_string_equal(judge_extension(&d, forge_extension_of("2.5.29.28", false,
						    forge_hex("3000"))),
	    "crl_scope");
	assert_string_equal(
	    judge_extension(&d, forge_extension_of("2.5.29.28", true, forge_hex("0500"))),
	    "crl_der");
	desk_close(&d);
}

static struct bytes two_urls(const char *a, const char *b)
{
	struct bytes names = forge_join(forge_der(0x86, bytes_of(a, strlen(a))),
	    forge_der(0x86, bytes_of(b, strlen(b))));

	return forge_extension_of(
	    "2.5.29.28", true, forge_der(0x30, forge_der(0xa0, forge_der(0xa0, names))));
}

/* R104 T18: one shard does not answer for another. */
static void the_distribution_point_is_the_lists_own_name(void **state)
{
	struct desk d;

	(void)state;
	desk_open(&d);
	assert_string_equal(judge_extension(&d, forge_idp("fullname:URI:" URL)), "ok");
	assert_true(d.list->facts.has_point);
	assert_true(crl_facts_have_point(&d.list->facts, bytes_of(URL, strlen(URL))));
	assert_string_equal(judge_extension(&d, two_urls("ldap://x/y", URL)), "ok");
	/* all its names are known: a certificate may name it by any of them */
	assert_true(crl_facts_have_point(&d.list->facts, bytes_of(URL, strlen(URL))));
	assert_true(crl_facts_have_point(
	    &d.list->facts, bytes_of("ldap://x/y", strlen("ldap://x/y"))));
	assert_false(crl_facts_have_point(
	    &d.list->facts, bytes_of("ldap://x/", strlen("ldap://x/"))));
	assert_string_equal(
	    judge_extension(&d, two_urls("ldap://x/y", "x")), "crl_scope");
	assert_string_equal(
	    judge_extension(&d, forge_idp("fullname:URI:http://crl.example/b.crl")),
	    "crl_scope");
	assert_says(&d, "http://crl.example/b.crl");
	assert_says(&d, URL);
	assert_says(&d, "crl-scope");
	/* byte for byte: neither case nor a prefix will do */
	assert_string_equal(
	    judge_extension(&d, forge_idp("fullname:URI:http://CRL.example/a.crl")),
	    "crl_scope");
	assert_string_equal(
	    judge_extension(&d, forge_idp("fullname:URI:" URL "x")), "crl_scope");
	assert_string_equal(
	    judge_extension(&d, forge_idp("fullname:DNS:crl.example")), "crl_scope");
	d.want.scope = "http://crl.example/b.crl";
	assert_string_equal(
	    judge_extension(&d, forge_idp("fullname:URI:http://crl.example/b.crl")),
	    "ok");
	desk_close(&d);
}

/* One directoryName as the list's name for itself: each text is TYPE=VALUE. */
static struct bytes directory_idp(int type, const char *const (*rdn)[2], size_t n)
{
	X509_NAME *name = X509_NAME_new();
	unsigned char *der = NULL;
	struct bytes names;
	int size;

	assert_non_null(name);
	for (size_t i = 0; i < n; i++)
		assert_int_equal(
		    X509_NAME_add_entry_by_txt(name, rdn[i][0], type,
			(const unsigned char *)rdn[i][1], (int)strlen(rdn[i][1]), -1, 0),
		    1);
	size = i2d_X509_NAME(name, &der);
	assert_true(size > 0);
	names = forge_der(0xa4, bytes_of(der, (size_t)size));
	OPENSSL_free(der);
	X509_NAME_free(name);
	return forge_extension_of(
	    "2.5.29.28", true, forge_der(0x30, forge_der(0xa0, forge_der(0xa0, names))));
}

/* R104: RFC 5280 section 5.2.5 allows any name; PKIs with a directory use theirs.  What
 * is expected is what `openssl x509 -nameopt RFC2253` prints for such names. */
static void a_directory_name_may_be_the_lists_own_name(void **state)
{
	static const char *const plain[][2] = {
	    {"C", "US"}, {"O", "Test Certificates"}, {"CN", "CRL1"}};
	static const char *const trap[][2] = {
	    {"C", "US"}, {"O", "Test Certificates,CN=CRL1"}};
	static const char *const slash[][2] = {
	    {"C", "US/O=Test Certificates"}, {"CN", "CRL1"}};
	struct desk d;

	(void)state;
	desk_open(&d);
	d.want.scope = "dirName:CN=CRL1,O=Test Certificates,C=US";
	for (size_t i = 0; i < 2; i++) /* as RFC 5280 section 7.1 compares them */
		assert_string_equal(
		    judge_extension(&d,
			directory_idp(i > 0 ? V_ASN1_UTF8STRING : V_ASN1_PRINTABLESTRING,
			    plain, 3)),
		    "ok");
	/* fewer RDNs, RDNs in another order, the separators inside a value */
	assert_string_equal(
	    judge_extension(&d, directory_idp(V_ASN1_PRINTABLESTRING, plain, 2)),
	    "crl_scope");
	assert_string_equal(
	    judge_extension(&d, directory_idp(V_ASN1_UTF8STRING, slash, 2)), "crl_scope");
	d.want.scope = "dirName:C=US,O=Test Certificates,CN=CRL1";
	assert_string_equal(
	    judge_extension(&d, directory_idp(V_ASN1_PRINTABLESTRING, plain, 3)),
	    "crl_scope");
	/* the refusal has what is to be written */
	assert_says(&d, " dirName:CN=CRL1,O=Test Certificates,C=US, not of ");
	assert_says(&d, "crl-scope");
	d.want.scope = "dirName:O=Test Certificates,CN=CRL1,C=US";
	assert_string_equal(
	    judge_extension(&d, directory_idp(V_ASN1_UTF8STRING, trap, 2)), "crl_scope");
	d.want.scope = "dirName:O=Test Certificates\\,CN=CRL1,C=US";
	assert_string_equal(
	    judge_extension(&d, directory_idp(V_ASN1_UTF8STRING, trap, 2)), "ok");
	/* UTF8String whose octets are none */
	assert_string_equal(
	    judge_extension(
		&d, forge_extension_of("2.5.29.28", true,
			forge_hex("3014a012a010a40e300c310a300806035504030c01ff"))),
	    "crl_der");
	desk_close(&d);
}

/* A NUL or a newline in a name neither shortens the comparison nor gets into a log. */
static void a_scope_with_control_characters_is_neither_equal_nor_printed(void **state)
{
	static const char evil[] = URL "\0\nERROR";
	struct bytes names;
	struct desk d;

	(void)state;
	desk_open(&d);
	names = forge_der(0x86, bytes_of(evil, sizeof evil - 1));
	names = forge_der(0x30, forge_der(0xa0, forge_der(0xa0, names)));
	assert_string_equal(
	    judge_extension(&d, forge_extension_of("2.5.29.28", true, names)),
	    "crl_scope");
	assert_null(strchr(d.why, '\n'));
	desk_close(&d);
}

/* R105 */
static void a_list_of_some_reasons_says_so(void **state)
{
	struct desk d;

	(void)state;
	desk_open(&d);
	assert_string_equal(judge(&d), "ok");
	assert_false(d.list->facts.some_reasons || d.list->facts.has_point);
	assert_string_equal(
	    judge_extension(&d, forge_idp("onlysomereasons:keyCompromise")), "ok");
	assert_true(d.list->facts.some_reasons);
	desk_close(&d);
}

/* R106: RFC 5280 section 5.3.3. */
static void an_indirect_list_is_refused(void **state)
{
	struct forge_crl_entry e = entry_of(SERIAL(1));
	struct desk d;

	(void)state;
	desk_open(&d);
	assert_string_equal(
	    judge_extension(&d, forge_idp("indirectCRL:TRUE")), "crl_indirect");
	e.extensions = forge_extension_of("2.5.29.29", true, forge_hex("3000"));
	assert_string_equal(judge_entry(&d, e), "crl_indirect");
	e.extensions = forge_extension_of("2.5.29.29", false, forge_hex("3000"));
	assert_string_equal(judge_entry(&d, e), "crl_indirect");
	desk_close(&d);
}

/* R107 */
static void of_a_serial_twice_the_stronger_entry_stays(void **state)
{
	static const struct forge_crl_entry hold = {.at = "250101000000Z", .reason = 6},
					    late = {.at = "251201000000Z", .reason = 4},
					    early = {.at = "250601000000Z", .reason = 1};
	static const struct {
		const struct forge_crl_entry *e[3];
		int reason;
	} table[] = {{{&hold, &late, &early}, 1}, {{&early, &late, &hold}, 1},
	    {{&late, &hold, &hold}, 4}, {{&hold, &late, &late}, 4}};
	static const uint8_t twice[] = {0x12, 0x34}, once[] = {7};
	struct forge_crl_entry e[4];
	struct desk d;

	(void)state;
	desk_open(&d);
	for (size_t i = 0; i < sizeof table / sizeof *table; i++) {
		e[3] = entry_of(bytes_of(once, 1));
		for (size_t k = 0; k < 3; k++) {
			e[k] = *table[i].e[k];
			e[k].serial = bytes_of(twice, 2);
		}
		d.f.entry = e;
		d.f.entries_n = 4;
		assert_string_equal(judge(&d), "ok");
		assert_int_equal(d.list->n, 2);
		assert_int_equal(d.list->facts.entries, 4);
		assert_int_equal(d.list->facts.warnings, CRL_WARN_DUPLICATE);
		assert_int_equal(
		    crl_entry_reason(find(&d, SERIAL(0x12, 0x34))), table[i].reason);
	}
	desk_close(&d);
}

/* R108 (OpenSSL's CVE-2026-35189) */
static void a_relative_distribution_point_is_refused(void **state)
{
	struct bytes idp;
	struct desk d;

	(void)state;
	desk_open(&d);
	/* [0] { [1] { CN=x } } */
	idp = forge_der(
	    0x30, forge_der(0xa0,
		      forge_der(0xa1, forge_der(0x30, forge_hex("0603550403130178")))));
	assert_string_equal(
	    judge_extension(&d, forge_extension_of("2.5.29.28", true, idp)), "crl_scope");
	assert_says(&d, "nameRelativeToCRLIssuer");
	desk_close(&d);
}

/* R109: RFC 5280 sections 5.1.2.4 to 5.1.2.6. */
static void times_have_rfc_5280s_form(void **state)
{
	static const struct {
		const char *at;
		bool good;
	} table[] = {{"251231000000Z", true}, {"491231235959Z", true},
	    {"500101000000Z", true}, {"20500101000000Z", true}, {"99991231235959Z", true},
	    {"240229000000Z", true}, {"20491231235959Z", false}, /* UTCTime until 2049 */
	    {"2512310000Z", false},                              /* no seconds */
	    {"251231000000+0000", false}, {"2512310000000", false},
	    {"20500101000000.5Z", false}, {"250229000000Z", false},
	    {"251301000000Z", false}, {"250001000000Z", false}, {"251200000000Z", false},
	    {"251231240000Z", false}, {"251231006000Z", false}, {"251231000060Z", false},
	    {"25123100000:Z", false}, {"2512310000/0Z", false}, {"25123100 000Z", false},
	    {"2\xb5"
	     "1231000000Z",
		false},
	    {"\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xffZ", false}, {"", false},
	    {"21000229000000Z", false}, {"/0500101000000Z", false}};
	struct desk d;

	(void)state;
	desk_open(&d);
	for (size_t i = 0; i < sizeof table / sizeof *table; i++) {
		struct forge_crl_entry e = entry_of(SERIAL(1));
		const char *said = table[i].good ? "ok" : "crl_time_format";

		e.at = table[i].at;
		assert_string_equal(judge_entry(&d, e), said);
		e.reason = 1;
		assert_string_equal(judge_entry(&d, e), said);
		if (!table[i].good) {
			d.f.this_update = table[i].at;
			assert_string_equal(judge(&d), said);
			d.f.this_update = THIS;
			d.f.next_update = table[i].at;
			assert_string_equal(judge(&d), said);
			d.f.next_update = NEXT;
		}
	}
	desk_close(&d);
}

/* R109: the entry counts. */
static void an_entry_after_this_update_counts_and_is_warned_of(void **state)
{
	struct forge_crl_entry e = entry_of(SERIAL(1));
	struct desk d;

	(void)state;
	desk_open(&d);
	e.at = THIS;
	assert_string_equal(judge_entry(&d, e), "ok");
	assert_int_equal(d.list->facts.warnings, 0);
	e.at = "260101110001Z";
	assert_string_equal(judge_entry(&d, e), "ok");
	assert_int_equal(d.list->facts.warnings, CRL_WARN_LATER);
	assert_non_null(find(&d, SERIAL(1)));
	desk_close(&d);
}

static void serials_are_der(void **state)
{
	static const uint8_t many[SERIAL_MAX + 1] = {0x12, 0x34};
	struct desk d;

	(void)state;
	desk_open(&d);
	assert_string_equal(judge_entry(&d, entry_of(bytes_of(many, SERIAL_MAX))), "ok");
	assert_string_equal(
	    judge_entry(&d, entry_of(bytes_of(many, SERIAL_MAX + 1))), "ok");
	assert_int_equal(d.list->n, 0);
	assert_string_equal(judge_entry(&d, entry_of((struct bytes){0})), "crl_entry");
	assert_string_equal(judge_entry(&d, entry_of(SERIAL(0, 0x7f))), "crl_entry");
	assert_string_equal(judge_entry(&d, entry_of(SERIAL(0xff, 0x80))), "crl_entry");
	assert_string_equal(judge_entry(&d, entry_of(SERIAL(0, 0x80))), "ok");
	assert_string_equal(judge_entry(&d, entry_of(SERIAL(0xff, 0x7f))), "ok");
	assert_string_equal(judge_entry(&d, entry_of(SERIAL(0))), "ok");
	desk_close(&d);
}

static void a_malformed_entry_is_refused_with_its_place(void **state)
{
	static const struct {
		const char *hex, *said;
	} table[] = {
	    {"3000", "crl_entry"},       /* nothing in it */
	    {"3003020101", "crl_entry"}, /* no date */
	    {"0203010101", "crl_entry"}, /* no SEQUENCE */
	    {"3014020101170d3235313233313030303030305a0500", "crl_entry"}, /* NULL */
	    {"3012220101170d3235313233313030303030305a", "crl_entry"},   /* constructed */
	    {"3080020101170d3235313233313030303030305a0000", "crl_der"}, /* indefinite */
	    {"308112020101170d3235313233313030303030305a", "crl_der"},   /* long length */
	    {"30130281"
	     "0101170d3235313233313030303030305a",
		"crl_entry"},                                        /* the same inside */
	    {"3f12020101170d3235313233313030303030305a", "crl_der"}, /* high tag */
	};
	struct desk d;

	(void)state;
	desk_open(&d);
	for (size_t i = 0; i < sizeof table / sizeof *table; i++) {
		d.f.entries =
		    forge_join(forge_hex("3012020102170d3235313233313030303030305a"),
			forge_hex(table[i].hex));
		assert_string_equal(judge(&d), table[i].said);
		if (strcmp(table[i].said, "crl_entry") == 0)
			assert_says(&d, "entry 2");
	}
	desk_close(&d);
}

/* X.690 sections 8.1.2, 8.1.3 and 10.1. */
static void a_header_is_in_der_and_whole(void **state)
{
	static const struct {
		const char *hex;
		uint64_t left;
		size_t head, content;
	} good[] = {
	    {"3000", 2, 2, 0},
	    {"307f", 129, 2, 127},
	    {"308180", 131, 3, 128},
	    {"3081ff", 258, 3, 255},
	    {"30820100", 260, 4, 256},
	    {"3083010000", 65541, 5, 65536},
	    {"308401000000", 16777222, 6, 16777216},
	};
	static const struct {
		const char *hex;
		uint64_t left;
	} bad[] = {
	    {"30", 1000}, {"3080", 1000},                       /* indefinite */
	    {"308100", 1000},                                   /* one octet too many */
	    {"30817f", 1000},                                   /* */
	    {"30820080", 1000},                                 /* */
	    {"3082007f", 1000},                                 /* */
	    {"3083000100", 1000},                               /* */
	    {"308400010000", 70000}, {"30850001000000", 70000}, /* longer than we read */
	    {"30850100000000", 70000}, {"30ff", 1000}, {"3081", 1000}, /* cut */
	    {"308201", 1000}, {"30840100", 1 << 30}, {"3001", 2}, /* more than there is */
	    {"308180", 130}, {"1f0100", 1000}, /* a tag of several octets */
	};
	struct crl_tlv t;

	(void)state;
	for (size_t i = 0; i < sizeof good / sizeof good[0]; i++) {
		struct bytes b = forge_hex(good[i].hex);

		if (!crl_tlv_head(&t, b.p, b.n, good[i].left))
			fail_msg("good %zu", i);
		assert_int_equal(t.tag, 0x30);
		assert_int_equal(t.head, good[i].head);
		assert_int_equal(t.n, good[i].content);
		assert_false(crl_tlv_head(&t, b.p, b.n, good[i].left - 1));
	}
	for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
		struct bytes b = forge_hex(bad[i].hex);

		if (crl_tlv_head(&t, b.p, b.n, bad[i].left))
			fail_msg("bad %zu", i);
	}
	forge_crl_reset();
}

static void what_is_ber_and_not_der_is_refused(void **state)
{
	struct desk d;

	(void)state;
	desk_open(&d);
	d.f.indefinite = true;
	assert_string_equal(judge(&d), "crl_der");
	d.f.indefinite = false;
	d.f.long_length = true;
	assert_string_equal(judge(&d), "crl_der");
	desk_close(&d);
}

static void what_is_no_list_is_refused_in_words_that_help(void **state)
{
	struct desk d;

	(void)state;
	desk_open(&d);
	assert_string_equal(
	    read_der(&d, bytes_of("\r\n <!DOCTYPE html>", 18)), "crl_der");
	assert_says(&d, "\"<\"");
	assert_string_equal(
	    read_der(&d, bytes_of("-----BEGIN X509 CRL-----\nMII", 28)), "crl_der");
	assert_says(&d, "PEM");
	assert_string_equal(read_der(&d, bytes_of("", 0)), "crl_truncated");
	assert_string_equal(read_der(&d, bytes_of("   ", 3)), "crl_der");
	assert_string_equal(read_der(&d, bytes_of("\x30\x00", 2)), "crl_der");
	desk_close(&d);
}

/* R111 T18: wherever the file ends. */
static void a_list_that_ends_early_is_refused(void **state)
{
	struct forge_crl_entry e = entry_of(SERIAL(1));
	struct bytes der;
	struct desk d;

	(void)state;
	desk_open(&d);
	d.f.entry = &e;
	d.f.entries_n = 1;
	d.f.extensions = forge_idp("fullname:URI:" URL);
	der = forge_crl(&d.f);
	assert_string_equal(read_der(&d, der), "ok");
	for (size_t n = 0; n < der.n; n++) {
		assert_string_equal(read_der(&d, bytes_of(der.p, n)), "crl_truncated");
		assert_string_equal(
		    read_pieces(&d, bytes_of(der.p, n), 11), "crl_truncated");
	}
	assert_string_equal(
	    read_der(&d, forge_join(der, bytes_of("\n", 1))), "crl_trailing");
	desk_close(&d);
}

/* Every single octet changed in every way that a flipped bit can: never a crash, and
 * never accepted. */
static void no_flipped_bit_is_accepted(void **state)
{
	struct forge_crl_entry e = entry_of(SERIAL(1));
	struct bytes der;
	uint8_t *p;
	struct desk d;

	(void)state;
	desk_open(&d);
	e.reason = 1;
	d.f.entry = &e;
	d.f.entries_n = 1;
	d.f.extensions = forge_idp("fullname:URI:" URL ",onlyuser:TRUE");
	der = forge_crl(&d.f);
	p = malloc(der.n);
	assert_non_null(p);
	for (size_t bit = 0; bit < 8 * der.n; bit++) {
		memcpy(p, der.p, der.n);
		p[bit / 8] ^= (uint8_t)(1u << bit % 8);
		assert_string_not_equal(read_der(&d, bytes_of(p, der.n)), "ok");
	}
	free(p);
	desk_close(&d);
}

static void a_list_over_the_limit_is_not_read_on(void **state)
{
	struct bytes der;
	struct desk d;

	(void)state;
	desk_open(&d);
	der = forge_crl(&d.f);
	d.want.max_size = der.n;
	assert_string_equal(read_der(&d, der), "ok");
	d.want.max_size = der.n - 1;
	assert_string_equal(read_der(&d, der), "crl_large");
	/* only the header is needed to know */
	assert_string_equal(
	    read_der(&d, bytes_of("\x30\x84\xff\xff\xff\xff\x30\x00", 8)), "crl_large");
	desk_close(&d);
}

static void an_element_that_is_too_long_is_refused(void **state)
{
	uint8_t *p = calloc(1, 70000);
	struct desk d;

	(void)state;
	desk_open(&d);
	assert_non_null(p);
	assert_string_equal(
	    judge_extension(&d, forge_extension_of("1.2.3", false, bytes_of(p, 60000))),
	    "ok");
	assert_string_equal(
	    judge_extension(&d, forge_extension_of("1.2.3", false, bytes_of(p, 70000))),
	    "crl_der");
	free(p);
	desk_close(&d);
}

static void the_file_is_read_from_its_place(void **state)
{
	struct bytes der;
	struct desk d;
	int fd;

	(void)state;
	desk_open(&d);
	der = forge_crl(&d.f);
	fd = forge_file(forge_join(bytes_of("xyz", 3), der));
	assert_int_equal(lseek(fd, 3, SEEK_SET), 3);
	assert_int_equal(crl_read(&d.list, fd, &d.want, d.why, sizeof d.why), ERR_OK);
	close(fd);
	desk_close(&d);
}

static void the_copy_is_byte_identical(void **state)
{
	struct bytes der;
	struct desk d;
	uint8_t *copy;

	(void)state;
	desk_open(&d);
	der = forge_crl(&d.f);
	for (size_t piece = 1; piece < 300; piece += 37) {
		d.want.copy_fd = forge_file((struct bytes){0});
		assert_string_equal(read_pieces(&d, der, piece), "ok");
		copy = malloc(der.n + 1);
		assert_non_null(copy);
		assert_int_equal(pread(d.want.copy_fd, copy, der.n + 1, 0), der.n);
		assert_memory_equal(copy, der.p, der.n);
		free(copy);
		close(d.want.copy_fd);
	}
	d.want.copy_fd = open("/dev/full", O_WRONLY | O_CLOEXEC);
	assert_string_equal(read_der(&d, der), "store");
	assert_says(&d, strerror(ENOSPC));
	close(d.want.copy_fd);
	desk_close(&d);
}

static void what_cannot_be_read_is_the_stores_fault(void **state)
{
	struct desk d;
	int fd = open("/dev/null", O_WRONLY | O_CLOEXEC);

	(void)state;
	desk_open(&d);
	assert_int_equal(crl_read(&d.list, fd, &d.want, d.why, sizeof d.why), ERR_STORE);
	assert_says(&d, strerror(EBADF));
	assert_null(d.list);
	/* nobody has to want to know why */
	assert_int_equal(crl_read(&d.list, fd, &d.want, NULL, 0), ERR_STORE);
	close(fd);
	desk_close(&d);
}

static void reading_stops_when_it_is_told_to(void **state)
{
	_Atomic bool stop = true;
	struct desk d;

	(void)state;
	desk_open(&d);
	d.want.stop = &stop;
	assert_string_equal(judge(&d), "cancelled");
	stop = false;
	assert_string_equal(judge(&d), "ok");
	desk_close(&d);
}

/* n entries: serials of 1 to 20 octets that are all different, in no order. */
static struct forge_crl_entry *many_entries(size_t n, uint8_t (*serial)[SERIAL_MAX])
{
	static const char *const at[] = {"251231000000Z", "240229235959Z",
	    "500101000000Z", "991231235959Z", "250102030405Z"};
	struct forge_crl_entry *e = calloc(n, sizeof *e);

	assert_non_null(e);
	for (size_t i = 0; i < n; i++) {
		uint64_t x = (i + 1) * UINT64_C(0x9e3779b97f4a7c15);
		size_t len = 4 + x % 17;

		memset(serial[i], (int)(x >> 56), SERIAL_MAX);
		serial[i][0] = 0x01 + (uint8_t)(x >> 48) % 0x7f;
		serial[i][len - 3] = (uint8_t)(i >> 16);
		serial[i][len - 2] = (uint8_t)(i >> 8);
		serial[i][len - 1] = (uint8_t)i;
		e[i] = (struct forge_crl_entry){.serial = bytes_of(serial[i], len),
		    .at = at[x % 5],
		    .reason = x % 3 == 0 ? -1 : (int)(x % 7)};
	}
	return e;
}

/* Each entry as OpenSSL reads it. */
static void assert_as_openssl(const struct desk *d, struct bytes der)
{
	const unsigned char *p = der.p;
	X509_CRL *crl = d2i_X509_CRL(NULL, &p, (long)der.n);
	STACK_OF(X509_REVOKED) *all = X509_CRL_get_REVOKED(crl);

	assert_non_null(crl);
	assert_int_equal(d->list->facts.entries, sk_X509_REVOKED_num(all));
	for (int i = 0; i < sk_X509_REVOKED_num(all); i++) {
		const X509_REVOKED *r = sk_X509_REVOKED_value(all, i);
		ASN1_ENUMERATED *reason =
		    X509_REVOKED_get_ext_d2i(r, NID_crl_reason, NULL, NULL);
		const struct crl_entry *e;
		struct crl_entry key = {0};
		struct serial s;
		struct tm tm;

		assert_int_equal(
		    serial_from_asn1(&s, X509_REVOKED_get0_serialNumber(r)), ERR_OK);
		crl_entry_set_serial(&key, &s);
		e = crl_entries_find(d->list->entries, d->list->n, &key);
		assert_non_null(e);
		crl_entry_serial(e, &s);
		assert_int_equal(
		    ASN1_TIME_to_tm(X509_REVOKED_get0_revocationDate(r), &tm), 1);
		assert_int_equal(crl_entry_at(e), timegm(&tm));
		assert_int_equal(crl_entry_reason(e),
		    reason != NULL ? ASN1_ENUMERATED_get(reason) : REASON_NONE);
		ASN1_ENUMERATED_free(reason);
	}
	X509_CRL_free(crl);
}

/* Pieces of every size up to twice an entry's, so that each element is cut everywhere;
 * and a list over several pieces of the real size. */
static void an_entry_may_lie_across_two_pieces(void **state)
{
	static uint8_t serial[20000][SERIAL_MAX];
	struct forge_crl_entry *e = many_entries(20000, serial);
	struct bytes der;
	struct desk d;

	(void)state;
	desk_open(&d);
	d.f.entry = e;
	d.f.entries_n = 40;
	der = forge_crl(&d.f);
	for (size_t piece = 1; piece < 130; piece++) {
		assert_string_equal(read_pieces(&d, der, piece), "ok");
		assert_int_equal(d.list->n, 40);
		assert_named(&d, der, EVP_sha256());
	}
	assert_as_openssl(&d, der);
	d.f.entries_n = 20000;
	der = forge_crl(&d.f);
	assert_true(der.n > 2 * CRL_PIECE);
	assert_string_equal(read_der(&d, der), "ok");
	assert_named(&d, der, EVP_sha256());
	assert_as_openssl(&d, der);
	free(e);
	desk_close(&d);
}

static void assert_sorted(const struct crl_entry *e, size_t n)
{
	for (size_t i = 1; i < n; i++)
		assert_true(crl_entry_cmp(&e[i - 1], &e[i]) < 0);
}

/* R110: a million entries, and each is found. */
static void a_million_entries_are_searchable(void **state)
{
	const size_t n = 1000000;
	uint8_t(*serial)[SERIAL_MAX] = malloc(n * sizeof *serial);
	struct forge_crl_entry *e;
	struct desk d;

	(void)state;
	assert_non_null(serial);
	e = many_entries(n, serial);
	desk_open(&d);
	d.f.entry = e;
	d.f.entries_n = n;
	assert_string_equal(judge(&d), "ok");
	assert_int_equal(d.list->n, n);
	assert_true(d.list->mapped <= n * sizeof(struct crl_entry) + 65536);
	assert_sorted(d.list->entries, n);
	for (size_t i = 0; i < n; i++) {
		const struct crl_entry *x = find(&d, e[i].serial);

		assert_non_null(x);
		assert_int_equal(crl_entry_reason(x), e[i].reason);
	}
	assert_null(find(&d, SERIAL(0x7f, 0x7f, 0x7f)));
	free(e);
	free(serial);
	desk_close(&d);
}

/* A CA of the openssl command, in a folder of its own. */
static void run(const char *dir, const char *command)
{
	char line[2048];

	snprintf(line, sizeof line, "cd %s && { %s; } >log 2>&1 || { cat log; exit 1; }",
	    dir, command);
	assert_int_equal(system(line), 0);
}

static void the_lists_of_the_openssl_command_are_accepted(void **state)
{
	static const char conf[] =
	    "printf '[ca]\\ndefault_ca=c\\n[c]\\ndatabase=index.txt\\nserial=serial\\n"
	    "new_certs_dir=.\\ncertificate=ca.pem\\nprivate_key=ca.key\\n"
	    "default_md=sha256\\npolicy=p\\ndefault_days=30\\ndefault_crl_days=7\\n"
	    "[n]\\ndatabase=index.txt\\ncertificate=ca.pem\\nprivate_key=ca.key\\n"
	    "default_md=sha256\\ndefault_crl_days=7\\ncrlnumber=crlnumber\\n"
	    "crl_extensions=x\\n[x]\\nauthorityKeyIdentifier=keyid:always\\n"
	    "[p]\\ncommonName=supplied\\n' >conf";
	char dir[] = "/tmp/crl-test-XXXXXX", path[64];
	struct desk d = {0};
	X509 *ca;
	FILE *f;
	int fd;

	(void)state;
	if (system("openssl version >/dev/null 2>&1") != 0)
		skip();
	assert_non_null(mkdtemp(dir));
	run(dir, conf);
	run(dir, "touch index.txt; echo 1000 >serial; echo 0a >crlnumber");
	run(dir, "openssl req -x509 -newkey rsa:2048 -nodes -subj '/CN=Command CA' "
		 "-keyout ca.key -out ca.pem -days 30 -addext keyUsage=cRLSign");
	run(dir, "openssl req -newkey rsa:2048 -nodes -subj /CN=a -keyout a.key -out "
		 "a.csr && openssl ca -config conf -batch -notext -in a.csr -out a.pem");
	run(dir, "openssl ca -config conf -gencrl -out v1.pem && "
		 "openssl crl -in v1.pem -outform DER -out v1.crl");
	run(dir, "openssl ca -config conf -revoke a.pem -crl_reason keyCompromise && "
		 "openssl ca -config conf -name n -gencrl -out v2.pem && "
		 "openssl crl -in v2.pem -outform DER -out v2.crl");
	snprintf(path, sizeof path, "%s/ca.pem", dir);
	f = fopen(path, "re");
	assert_non_null(f);
	ca = PEM_read_X509(f, NULL, NULL, NULL);
	fclose(f);
	assert_non_null(ca);
	desk_issuer(&d, ca, NULL);
	d.want.now = (int64_t)time(NULL);

	snprintf(path, sizeof path, "%s/v1.crl", dir);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	assert_int_equal(crl_read(&d.list, fd, &d.want, d.why, sizeof d.why), ERR_OK);
	assert_int_equal(d.list->n, 0);
	assert_int_equal(d.list->facts.warnings, CRL_WARN_NONUMBER);
	close(fd);
	crl_list_free(d.list);

	snprintf(path, sizeof path, "%s/v2.crl", dir);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	assert_int_equal(crl_read(&d.list, fd, &d.want, d.why, sizeof d.why), ERR_OK);
	close(fd);
	assert_int_equal(d.list->facts.number[CRL_NUMBER_MAX - 1], 0x0a);
	assert_int_equal(crl_entry_reason(find(&d, SERIAL(0x10, 0x00))), 1);
	snprintf(path, sizeof path, "rm -r %s", dir);
	assert_int_equal(system(path), 0);
	desk_close(&d);
}

/* The 2,064 inputs of OpenSSL's fuzzer for lists (its fuzz-corpora at ce771805c094): none
 * of them is a list of our CA. */
static void no_input_of_openssls_fuzzer_is_accepted(void **state)
{
	static uint8_t in[1 << 20];
	char folder[1024];
	size_t seen = 0;
	struct dirent *e;
	struct desk d;
	DIR *all;

	(void)state;
	corpus_path("openssl-fuzz-crl/seeds", folder);
	all = opendir(folder);
	assert_non_null(all);
	desk_open(&d);
	while ((e = readdir(all)) != NULL) {
		char name[512];
		size_t n;

		if (e->d_name[0] == '.')
			continue;
		snprintf(name, sizeof name, "openssl-fuzz-crl/seeds/%s", e->d_name);
		n = corpus_read(name, in, sizeof in);
		assert_string_not_equal(read_der(&d, bytes_of(in, n)), "ok");
		assert_string_not_equal(read_pieces(&d, bytes_of(in, n), 13), "ok");
		seen++;
	}
	closedir(all);
	assert_int_equal(seen, 2064);
	desk_close(&d);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(a_list_says_what_is_in_it),
	    cmocka_unit_test(a_list_without_entries_is_a_list),
	    cmocka_unit_test(a_list_of_another_issuer_is_refused),
	    cmocka_unit_test(a_name_is_the_same_in_another_spelling),
	    cmocka_unit_test(a_list_that_somebody_else_signed_is_refused),
	    cmocka_unit_test(the_issuers_key_usage_must_allow_signing_lists),
	    cmocka_unit_test(each_certificate_of_a_renewed_ca_may_sign),
	    cmocka_unit_test(the_key_that_may_not_sign_lists_does_not_verify_one),
	    cmocka_unit_test(every_allowed_algorithm_verifies),
	    cmocka_unit_test(the_parameters_of_pss_are_read_or_refused),
	    cmocka_unit_test(sha1_is_taken_only_where_it_is_allowed),
	    cmocka_unit_test(a_short_key_is_not_believed),
	    cmocka_unit_test(the_version_fits_what_the_list_contains),
	    cmocka_unit_test(an_empty_list_of_entries_is_for_the_private_profile_only),
	    cmocka_unit_test(both_signature_algorithms_are_the_same),
	    cmocka_unit_test(an_unknown_critical_extension_refuses_the_list),
	    cmocka_unit_test(a_usual_entry_is_read_without_a_look_at_each_header),
	    cmocka_unit_test(an_extension_twice_refuses_the_list),
	    cmocka_unit_test(an_extension_that_is_none_refuses_the_list),
	    cmocka_unit_test(known_extensions_of_entries_are_read_or_ignored),
	    cmocka_unit_test(the_times_of_a_list_make_sense),
	    cmocka_unit_test(a_lower_number_is_a_rollback),
	    cmocka_unit_test(a_number_is_compared_within_one_key),
	    cmocka_unit_test(an_expired_list_is_no_bar_to_a_later_one),
	    cmocka_unit_test(a_new_count_is_taken_where_the_operator_says_so),
	    cmocka_unit_test(the_same_list_again_is_accepted_without_a_word),
	    cmocka_unit_test(a_number_has_up_to_20_octets_and_is_not_negative),
	    cmocka_unit_test(an_earlier_this_update_is_a_rollback),
	    cmocka_unit_test(a_delta_list_is_refused),
	    cmocka_unit_test(an_entry_of_a_complete_list_removes_nothing),
	    cmocka_unit_test(reasons_are_those_of_rfc_5280),
	    cmocka_unit_test(an_odd_entry_counts_without_what_is_odd),
	    cmocka_unit_test(an_entry_that_nobody_can_ask_for_is_left_out),
	    cmocka_unit_test(freshest_crl_changes_nothing),
	    cmocka_unit_test(the_scope_of_a_list_is_understood),
	    cmocka_unit_test(the_distribution_point_is_the_lists_own_name),
	    cmocka_unit_test(a_directory_name_may_be_the_lists_own_name),
	    cmocka_unit_test(
		a_scope_with_control_characters_is_neither_equal_nor_printed),
	    cmocka_unit_test(a_list_of_some_reasons_says_so),
	    cmocka_unit_test(an_indirect_list_is_refused),
	    cmocka_unit_test(of_a_serial_twice_the_stronger_entry_stays),
	    cmocka_unit_test(a_relative_distribution_point_is_refused),
	    cmocka_unit_test(times_have_rfc_5280s_form),
	    cmocka_unit_test(an_entry_after_this_update_counts_and_is_warned_of),
	    cmocka_unit_test(serials_are_der),
	    cmocka_unit_test(a_malformed_entry_is_refused_with_its_place),
	    cmocka_unit_test(a_header_is_in_der_and_whole),
	    cmocka_unit_test(what_is_ber_and_not_der_is_refused),
	    cmocka_unit_test(what_is_no_list_is_refused_in_words_that_help),
	    cmocka_unit_test(a_list_that_ends_early_is_refused),
	    cmocka_unit_test(no_flipped_bit_is_accepted),
	    cmocka_unit_test(a_list_over_the_limit_is_not_read_on),
	    cmocka_unit_test(an_element_that_is_too_long_is_refused),
	    cmocka_unit_test(the_file_is_read_from_its_place),
	    cmocka_unit_test(the_copy_is_byte_identical),
	    cmocka_unit_test(what_cannot_be_read_is_the_stores_fault),
	    cmocka_unit_test(reading_stops_when_it_is_told_to),
	    cmocka_unit_test(an_entry_may_lie_across_two_pieces),
	    cmocka_unit_test(a_million_entries_are_searchable),
	    cmocka_unit_test(the_lists_of_the_openssl_command_are_accepted),
	    cmocka_unit_test(no_input_of_openssls_fuzzer_is_accepted),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
