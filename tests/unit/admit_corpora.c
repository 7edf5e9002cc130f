/* The one door on the public corpora: answers of real CAs, and what others made of them.
 * The expected verdicts are those of the corpora's authors, not ours. */
#include "cache/ocsp/admit.h"

#include <dirent.h>
#include <openssl/err.h>
#include <openssl/ocsp.h>
#include <openssl/pem.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include <cmocka.h>

#include "tests/lib/both_ways.h"
#include "tests/lib/corpus.h"

#define OPENSSL_SET "openssl-ocsp/"

struct blob {
	uint8_t p[131072];
	size_t n;
};

static void load(struct blob *b, const char *folder, const char *file)
{
	char name[512];

	snprintf(name, sizeof name, "%s%s", folder, file);
	b->n = corpus_read(name, b->p, sizeof b->p);
}

/* PEM or DER, as the corpora have both. */
static X509 *certificate(const char *folder, const char *file)
{
	struct blob b;
	const unsigned char *p = b.p;
	X509 *x;
	BIO *bio;

	load(&b, folder, file);
	bio = BIO_new_mem_buf(b.p, (int)b.n);
	x = b.p[0] == 0x30 ? d2i_X509(NULL, &p, (long)b.n)
			   : PEM_read_bio_X509(bio, NULL, NULL, NULL);
	BIO_free(bio);
	assert_non_null(x);
	return x;
}

struct desk {
	struct issuers *issuers;
	struct issuer issuer;
	struct key key;
	struct admit *ad;
	struct admit_question q;
	struct admit_verdict v;
	struct bytes der;
};

static void desk_open(struct desk *d, X509 *ca, const ASN1_INTEGER *serial)
{
	struct issuer_spec spec = {
	    .name = "ca", .certificates = &ca, .certificates_n = 1};
	struct serial s;
	size_t clash[2];

	assert_int_equal(issuers_new(&d->issuers, &spec, 1, clash), ERR_OK);
	assert_int_equal(serial_from_asn1(&s, serial), ERR_OK);
	d->issuer = *issuers_at(d->issuers, 0);
	issuer_key(&d->issuer, 0, CERTID_SHA1, &s, &d->key);
	d->ad = admit_new();
	assert_non_null(d->ad);
	d->q = (struct admit_question){
	    .issuer = &d->issuer, .key = &d->key, .skew_s = 300, .max_size = 65536};
	d->der = (struct bytes){0};
}

static void desk_close(struct desk *d)
{
	admit_free(d->ad);
	issuers_free(d->issuers);
}

static void ask_by(struct desk *d, enum certid_hash h)
{
	struct serial s;

	key_serial(&d->key, &s);
	issuer_key(&d->issuer, 0, h, &s, &d->key);
}

static const char *judge(struct desk *d, const struct blob *b)
{
	struct bytes der = bytes_of(b->p, b->n);
	enum err e = admit_der(d->ad, &d->q, der, &d->v, NULL);

	assert_int_equal(both_ways(d->ad, &d->q, der), e);
	assert_int_equal(ERR_peek_error(), 0);
	return err_label(e);
}

static int64_t seconds(const ASN1_GENERALIZEDTIME *t)
{
	struct tm tm;

	assert_int_equal(ASN1_TIME_to_tm(t, &tm), 1);
	return timegm(&tm);
}

/* The second after thisUpdate of the first SingleResponse, or after producedAt where that
 * is later; read without our code. */
static int64_t inside_the_window(const struct blob *b)
{
	const unsigned char *p = b->p;
	OCSP_RESPONSE *r = d2i_OCSP_RESPONSE(NULL, &p, (long)b->n);
	OCSP_BASICRESP *basic = OCSP_response_get1_basic(r);
	ASN1_GENERALIZEDTIME *from;
	int64_t this_update, produced;

	assert_non_null(basic);
	OCSP_single_get0_status(OCSP_resp_get0(basic, 0), NULL, NULL, &from, NULL);
	this_update = seconds(from);
	produced = seconds(OCSP_resp_get0_produced_at(basic));
	OCSP_BASICRESP_free(basic);
	OCSP_RESPONSE_free(r);
	return (produced > this_update ? produced : this_update) + 1;
}

/* The certificate that a row of verdicts.tsv is about: ISOP_ND2 -> ND2_Cert_ICA.pem. */
static X509 *subject_of(const char *response)
{
	static const char *const files[] = {"D1_Cert_EE.pem", "D2_Cert_ICA.pem",
	    "D3_Cert_EE.pem", "ND1_Cert_EE.pem", "ND2_Cert_ICA.pem", "ND3_Cert_EE.pem"};
	const char *base = strrchr(response, '_');
	size_t n;

	base = base != NULL ? base + 1 : response;
	n = strlen(base);
	for (size_t i = 0; i < sizeof files / sizeof *files; i++)
		if (strncmp(files[i], base, n) == 0 && files[i][n] == '_')
			return certificate(OPENSSL_SET, files[i]);
	fail_msg("no certificate for %s", response);
	return NULL;
}

/* One row.  The issuer that an operator would name is the direct one, which is what the
 * set calls the untrusted file; only the last row, where OpenSSL builds a chain of three
 * to a cross root, has another one as its CA file.  We build no chains: there the named
 * issuer is ICA-Cross, and its answer is admitted. */
static const char *judge_row(const char *response, const char *issuer_file)
{
	char file[128];
	X509 *ca = certificate(OPENSSL_SET, issuer_file), *subject = subject_of(response);
	struct blob b;
	struct desk d;
	const char *said;

	snprintf(file, sizeof file, "%s.der", response);
	load(&b, OPENSSL_SET, file);
	desk_open(&d, ca, X509_get0_serialNumber(subject));
	d.issuer.rules.allow_sha1 = true;
	d.q.now = inside_the_window(&b);
	said = judge(&d, &b);
	desk_close(&d);
	X509_free(subject);
	X509_free(ca);
	return said;
}

/* Why each class must fail, in our words; more than one where it depends on the form of
 * the answer: an issuer with another name or key matches neither CertID nor responderID,
 * and the first that is looked at tells. */
static bool reason_fits(const char *class, const char *said)
{
	static const struct {
		const char *class, *reasons;
	} table[] = {
	    {"ISOP", "signature"},
	    {"WRID", "responder_id"},
	    {"WINH", "certid signature"}, /* altered after signing */
	    {"WIKH", "certid signature"},
	    {"WSNIC", "certid responder_id delegate_issuer"},
	    {"WKIC", "certid responder_id delegate_issuer signature"},
	    {"WKDOSC", "delegate_issuer responder_id signature"},
	    {"ISDOSC", "delegate_issuer"},
	};

	for (size_t i = 0; i < sizeof table / sizeof *table; i++)
		if (strcmp(table[i].class, class) == 0)
			return strstr(table[i].reasons, said) != NULL;
	return false;
}

/* R66 */
static void the_verdicts_on_openssls_set_are_ours(void **state)
{
	struct blob b;
	char *save, *line;
	int rows = 0;

	(void)state;
	load(&b, OPENSSL_SET, "verdicts.tsv");
	b.p[b.n] = '\0';
	for (line = strtok_r((char *)b.p, "\n", &save); line != NULL;
	     line = strtok_r(NULL, "\n", &save)) {
		char response[64], ca[64], issuer[64], class[64];
		const char *said;
		int refuse;

		if (line[0] == '#')
			continue;
		assert_int_equal(sscanf(line, "%63s %63s %63s %d %63[^\n]", response, ca,
				     issuer, &refuse, class),
		    5);
		said = judge_row(response, issuer);
		if (refuse ? !reason_fits(class, said) : strcmp(said, "ok") != 0)
			fail_msg("%s with %s (%s): %s", response, issuer, class, said);
		rows++;
	}
	assert_int_equal(rows, 55);
}

/* The other half of the last row: the root above the issuer is not the issuer (R46). */
static void the_cross_root_is_not_the_issuer(void **state)
{
	(void)state;
	assert_string_equal(judge_row("ND1", "ND1_Cross_Root.pem"), "responder_id");
}

static void the_set_of_2012_needs_the_sha1_option(void **state)
{
	X509 *ca = certificate(OPENSSL_SET, "ND1_Issuer_ICA.pem"), *x = subject_of("ND1");
	struct blob b;
	struct desk d;

	(void)state;
	load(&b, OPENSSL_SET, "ND1.der");
	desk_open(&d, ca, X509_get0_serialNumber(x));
	d.q.now = inside_the_window(&b);
	assert_string_equal(judge(&d, &b), "signature_algorithm");
	d.issuer.rules.allow_sha1 = true;
	assert_string_equal(judge(&d, &b), "ok");
	assert_int_equal(d.v.warnings & ADMIT_WARN_SHA1, ADMIT_WARN_SHA1);
	desk_close(&d);
	X509_free(x);
	X509_free(ca);
}

/* RFC 9919's own example: P-521, delegated, byKey, producedAt before thisUpdate (R62). */
static void the_example_of_rfc_9919_is_admitted_under_both_profiles(void **state)
{
	static const char folder[] = "rfc9919-example/";
	X509 *ca = certificate(folder, "root_certification_authority_certificate.der");
	X509 *x = certificate(folder, "end_entity_certificate.der");
	struct blob b;
	struct desk d;

	(void)state;
	load(&b, folder, "ocsp_response.der");
	desk_open(&d, ca, X509_get0_serialNumber(x));
	ask_by(&d, CERTID_SHA256);
	d.q.now = 1712320667; /* 2024-04-05T12:37:47Z */
	assert_string_equal(judge(&d, &b), "ok");
	assert_int_equal(d.v.facts.status, STATUS_GOOD);
	assert_int_equal(d.v.facts.produced_at, 1712061467); /* 2024-04-02T12:37:47Z */
	assert_int_equal(d.v.facts.this_update, 1712147867); /* 2024-04-03T12:37:47Z */
	assert_int_equal(d.v.facts.next_update, 1712752667); /* 2024-04-10T12:37:47Z */
	d.issuer.rules.profile = PROFILE_PUBLIC;
	assert_string_equal(judge(&d, &b), "ok");
	assert_int_equal(d.v.warnings, 0);
	d.q.now = 1712752667;
	assert_string_equal(judge(&d, &b), "expired");
	d.q.now = 1712320667;
	ask_by(&d, CERTID_SHA1); /* R14 */
	assert_string_equal(judge(&d, &b), "certid");
	desk_close(&d);
	X509_free(x);
	X509_free(ca);
}

static void the_answers_of_rustcrypto_end_as_they_should(void **state)
{
	static const char folder[] = "rustcrypto-x509-ocsp/";
	static const struct {
		const char *file, *said;
		enum certid_hash hash;
	} table[] = {
	    {"ocsp-malformed.der", "response_malformed_request", CERTID_SHA1},
	    {"ocsp-internal-error.der", "response_internal_error", CERTID_SHA1},
	    {"ocsp-try-later.der", "response_try_later", CERTID_SHA1},
	    {"ocsp-sig-required.der", "response_sig_required", CERTID_SHA1},
	    {"ocsp-unauthorized.der", "response_unauthorized", CERTID_SHA1},
	    /* the delegate is not included: nobody can verify these alone */
	    {"ocsp-by-key-res.der", "responder_id", CERTID_SHA1},
	    {"ocsp-dtm-no-chain-res.der", "responder_id", CERTID_SHA1},
	    {"sha1-certid-ocsp-res.der", "responder_id", CERTID_SHA1},
	    {"sha256-certid-ocsp-res.der", "responder_id", CERTID_SHA256},
	    {"sha512-certid-ocsp-res.der", "responder_id", CERTID_SHA512},
	    {"ocsp-multiple-responses-res.der", "responder_id", CERTID_SHA1},
	    /* delegated by another CA */
	    {"DODEMAILCA_63-resp.der", "delegate_issuer", CERTID_SHA1},
	};
	X509 *ca = certificate(folder, "rsa-2048-sha256-ca.der");
	X509 *x = certificate(folder, "rsa-2048-sha256-crt.der");
	struct desk d;

	(void)state;
	desk_open(&d, ca, X509_get0_serialNumber(x));
	d.q.now = 1577836801; /* 2020-01-01T00:00:01Z */
	for (size_t i = 0; i < sizeof table / sizeof *table; i++) {
		struct blob b;

		load(&b, folder, table[i].file);
		ask_by(&d, table[i].hash);
		assert_string_equal(judge(&d, &b), table[i].said);
	}
	desk_close(&d);
	X509_free(x);
	X509_free(ca);
}

static void the_revoked_answer_of_rustcrypto_is_admitted_as_revoked(void **state)
{
	static const char folder[] = "rustcrypto-x509-ocsp/";
	X509 *ca = certificate(folder, "rsa-2048-sha256-ca.der");
	ASN1_INTEGER *three = ASN1_INTEGER_new();
	struct blob b;
	struct desk d;

	(void)state;
	assert_int_equal(ASN1_INTEGER_set(three, 3), 1);
	load(&b, folder, "rsa-2048-sha256-revoked-ocsp-res.der");
	desk_open(&d, ca, three);
	d.q.now = inside_the_window(&b);
	assert_string_equal(judge(&d, &b), "ok");
	assert_int_equal(d.v.facts.status, STATUS_REVOKED);
	assert_true(d.v.revoked_proved);
	desk_close(&d);
	ASN1_INTEGER_free(three);
	X509_free(ca);
}

static void boulders_answer_is_admitted(void **state)
{
	static const char folder[] = "boulder-responder/";
	X509 *ca = certificate(folder, "test-ca.der.pem");
	BIGNUM *n = NULL;
	ASN1_INTEGER *serial;
	struct blob b;
	struct desk d;

	(void)state;
	assert_true(BN_hex2bn(&n, "9CF1912EA8D50908") > 0);
	serial = BN_to_ASN1_INTEGER(n, NULL);
	load(&b, folder, "ocsp.resp");
	desk_open(&d, ca, serial);
	d.issuer.rules.allow_sha1 = true;
	d.q.now = 1447286400; /* 2015-11-12, the clock of Boulder's test */
	assert_string_equal(judge(&d, &b), "ok");
	assert_int_equal(d.v.facts.status, STATUS_GOOD);
	assert_int_equal(d.v.warnings & ADMIT_WARN_LONG, ADMIT_WARN_LONG);
	desk_close(&d);
	ASN1_INTEGER_free(serial);
	BN_free(n);
	X509_free(ca);
}

/* R66.  Every file of a folder, whatever it is, by every certificate that is in the
 * folder, at a door that has seen all of them before; what comes of it is not the point.
 */

struct walk {
	X509 *ca[64];
	size_t ca_n, files;
};

static void each_file(const char *folder,
    void (*visit)(struct walk *w, const char *folder, const char *file), struct walk *w)
{
	char path[1024];
	struct dirent *e;
	DIR *d;

	corpus_path(folder, path);
	d = opendir(path);
	assert_non_null(d);
	while ((e = readdir(d)) != NULL)
		if (e->d_type == DT_REG)
			visit(w, folder, e->d_name);
	closedir(d);
}

static void keep_if_certificate(struct walk *w, const char *folder, const char *file)
{
	struct blob b;
	const unsigned char *p = b.p;
	X509 *x;
	BIO *bio;

	load(&b, folder, file);
	bio = BIO_new_mem_buf(b.p, (int)b.n);
	x = d2i_X509(NULL, &p, (long)b.n);
	if (x == NULL)
		x = PEM_read_bio_X509(bio, NULL, NULL, NULL);
	BIO_free(bio);
	ERR_clear_error();
	if (x != NULL && w->ca_n < sizeof w->ca / sizeof *w->ca)
		w->ca[w->ca_n++] = x;
	else
		X509_free(x);
}

/* When it is in date, as far as it is an answer. */
static int64_t some_time(const struct blob *b)
{
	const unsigned char *p = b->p;
	OCSP_RESPONSE *r = d2i_OCSP_RESPONSE(NULL, &p, (long)b->n);
	OCSP_BASICRESP *basic = r != NULL ? OCSP_response_get1_basic(r) : NULL;
	int64_t at = 1400000000;

	if (basic != NULL)
		at = seconds(OCSP_resp_get0_produced_at(basic)) + 1;
	OCSP_BASICRESP_free(basic);
	OCSP_RESPONSE_free(r);
	ERR_clear_error();
	return at;
}

static void judge_by_all(struct walk *w, const char *folder, const char *file)
{
	struct blob b;

	load(&b, folder, file);
	for (size_t i = 0; i < w->ca_n; i++) {
		struct desk d;

		desk_open(&d, w->ca[i], X509_get0_serialNumber(w->ca[i]));
		d.issuer.rules.allow_sha1 = true;
		d.q.now = some_time(&b);
		(void)both_ways(d.ad, &d.q, bytes_of(b.p, b.n));
		desk_close(&d);
	}
	w->files++;
}

/* R66 */
static void a_memory_of_delegates_changes_nothing_in_any_corpus(void **state)
{
	static const char *const folders[] = {OPENSSL_SET, "rfc9919-example/",
	    "rustcrypto-x509-ocsp/", "boulder-responder/"};
	size_t files = 0;

	(void)state;
	for (size_t i = 0; i < sizeof folders / sizeof *folders; i++) {
		struct walk w = {.ca_n = 0};

		each_file(folders[i], keep_if_certificate, &w);
		assert_true(w.ca_n > 0);
		each_file(folders[i], judge_by_all, &w);
		files += w.files;
		for (size_t n = 0; n < w.ca_n; n++)
			X509_free(w.ca[n]);
	}
	assert_true(files > 60);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(the_verdicts_on_openssls_set_are_ours),
	    cmocka_unit_test(the_cross_root_is_not_the_issuer),
	    cmocka_unit_test(the_set_of_2012_needs_the_sha1_option),
	    cmocka_unit_test(the_example_of_rfc_9919_is_admitted_under_both_profiles),
	    cmocka_unit_test(the_answers_of_rustcrypto_end_as_they_should),
	    cmocka_unit_test(the_revoked_answer_of_rustcrypto_is_admitted_as_revoked),
	    cmocka_unit_test(boulders_answer_is_admitted),
	    cmocka_unit_test(a_memory_of_delegates_changes_nothing_in_any_corpus),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
