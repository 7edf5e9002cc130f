/* The one door, against answers that no CA should send.  Each is built here (forge.h), so
 * that one thing at a time is wrong with it; the public corpora follow in
 * admit_corpora.c. */
#include "cache/ocsp/admit.h"

#include <openssl/err.h>
#include <openssl/x509v3.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "cache/ocsp/record.h"
#include "cache/ocsp/responder.h"
#include "tests/lib/both_ways.h"
#include "tests/lib/forge.h"
#include "tests/lib/small_set.h"

#define NOW  INT64_C(1750000000) /* 2025-06-15T15:06:40Z */
#define HOUR INT64_C(3600)
#define DAY  (24 * HOUR)

#define OCSP_SIGNING "OCSPSigning"

static const uint8_t serial[] = {0x01, 0xaa, 0xf0, 0x0d};

/* Made once: keys and certificates.  Each test copies what it changes. */
static struct world {
	EVP_PKEY *ca_key, *renewed_key, *sibling_key, *root_key, *delegate_key, *rsa,
	    *weak, *ed;
	X509 *ca, *renewed, *sibling, *root, *rsa_ca, *weak_ca, *ed_ca;
	X509 *delegate, *rsa_delegate;
	struct issuers *issuers, *rsa_issuers, *weak_issuers, *ed_issuers;
} w;

/* Made for each test. */
static struct issuer issuer; /* a copy, so that a test may change the rules */
static struct key key;
static struct admit *ad;
static struct admit_question question;
static struct admit_verdict verdict;
static char checks[4096]; /* "parse status type ... latch=label" */
static char details[8192];

static X509 *certificate(struct forge_cert c)
{
	if (c.from == 0)
		c.from = NOW - 30 * DAY;
	if (c.to == 0)
		c.to = NOW + 30 * DAY;
	return forge_cert(&c);
}

static X509 *authority(const char *name, EVP_PKEY *k)
{
	return certificate((struct forge_cert){.subject = name,
	    .key = k,
	    .issuer_key = k,
	    .ca = true,
	    .usage = "critical,keyCertSign,cRLSign"});
}

/* What a good delegate has; a test takes one thing away. */
static struct forge_cert delegate_plan(void)
{
	return (struct forge_cert){.subject = "Delegate",
	    .key = w.delegate_key,
	    .issuer = w.ca,
	    .issuer_key = w.ca_key,
	    .usage = "critical,digitalSignature",
	    .ext_usage = OCSP_SIGNING,
	    .nocheck = true};
}

static struct issuers *issuers_of(X509 **certs, size_t n)
{
	struct issuer_spec spec = {
	    .name = "forge", .certificates = certs, .certificates_n = n};
	struct issuers *is = NULL;
	size_t clash[2];

	assert_int_equal(issuers_new(&is, &spec, 1, clash), ERR_OK);
	return is;
}

static int world_make(void **state)
{
	struct forge_cert d;

	(void)state;
	w.ca_key = forge_key("P-256");
	w.renewed_key = forge_key("P-256");
	w.sibling_key = forge_key("P-256");
	w.root_key = forge_key("P-256");
	w.delegate_key = forge_key("P-256");
	w.rsa = forge_key("2048");
	w.weak = forge_key("1024");
	w.ed = forge_key("ED25519");
	w.ca = authority("Forge CA", w.ca_key);
	w.renewed = authority("Forge CA", w.renewed_key);
	w.sibling = authority("Sibling CA", w.sibling_key);
	w.root = authority("Root CA", w.root_key);
	w.rsa_ca = authority("RSA CA", w.rsa);
	w.weak_ca = authority("Weak CA", w.weak);
	w.ed_ca = authority("Ed CA", w.ed);
	d = delegate_plan();
	w.delegate = certificate(d);
	d.key = w.rsa;
	w.rsa_delegate = certificate(d);
	w.issuers = issuers_of((X509 *[]){w.ca, w.renewed}, 2);
	w.rsa_issuers = issuers_of(&w.rsa_ca, 1);
	w.weak_issuers = issuers_of(&w.weak_ca, 1);
	w.ed_issuers = issuers_of(&w.ed_ca, 1);
	return 0;
}

static int world_free(void **state)
{
	EVP_PKEY *keys[] = {w.ca_key, w.renewed_key, w.sibling_key, w.root_key,
	    w.delegate_key, w.rsa, w.weak, w.ed};
	X509 *certs[] = {w.ca, w.renewed, w.sibling, w.root, w.rsa_ca, w.weak_ca, w.ed_ca,
	    w.delegate, w.rsa_delegate};
	struct issuers *sets[] = {w.issuers, w.rsa_issuers, w.weak_issuers, w.ed_issuers};

	(void)state;
	for (size_t i = 0; i < sizeof keys / sizeof *keys; i++)
		EVP_PKEY_free(keys[i]);
	for (size_t i = 0; i < sizeof certs / sizeof *certs; i++)
		X509_free(certs[i]);
	for (size_t i = 0; i < sizeof sets / sizeof *sets; i++)
		issuers_free(sets[i]);
	return 0;
}

static void ask_for(
    const struct issuers *is, enum certid_hash h, const uint8_t *octets, size_t n)
{
	struct serial s = {.n = (uint8_t)n};

	memcpy(s.octets, octets, n);
	issuer = *issuers_at(is, 0);
	issuer_key(&issuer, 0, h, &s, &key);
}

static int begin(void **state)
{
	(void)state;
	forge_reset();
	ad = admit_new();
	assert_non_null(ad);
	ask_for(w.issuers, CERTID_SHA256, serial, sizeof serial);
	question = (struct admit_question){
	    .issuer = &issuer, .key = &key, .now = NOW, .skew_s = 300, .max_size = 16384};
	return 0;
}

static int end(void **state)
{
	(void)state;
	admit_free(ad);
	return 0;
}

/* An answer that is right in everything, signed by the CA itself. */
static struct forge_response plan(void)
{
	struct forge_response f = {.id = w.ca,
	    .key = w.ca_key,
	    .signature = FORGE_ECDSA_SHA256,
	    .produced_at = forge_time(NOW - HOUR),
	    .singles_n = 1};

	f.single[0] = (struct forge_single){.hash = CERTID_SHA256,
	    .issuer = w.ca,
	    .serial = bytes_of(serial, sizeof serial),
	    .status = FORGE_GOOD,
	    .reason = REASON_NONE,
	    .this_update = forge_time(NOW - HOUR),
	    .next_update = forge_time(NOW + DAY)};
	return f;
}

static struct forge_response revoked_plan(int reason)
{
	struct forge_response f = plan();

	f.single[0].status = FORGE_REVOKED;
	f.single[0].reason = reason;
	f.single[0].revoked_at = forge_time(NOW - 2 * DAY);
	return f;
}

static struct forge_response delegated_plan(X509 *delegate)
{
	struct forge_response f = plan();

	f.id = delegate;
	f.key = w.delegate_key;
	f.certs[f.certs_n++] = delegate;
	return f;
}

static void note(void *arg, const char *check, enum err e, const char *detail)
{
	size_t n = strlen(checks), m = strlen(details);

	(void)arg;
	assert_non_null(detail);
	snprintf(checks + n, sizeof checks - n, "%s%s%s%s", n > 0 ? " " : "", check,
	    e != ERR_OK ? "=" : "", e != ERR_OK ? err_label(e) : "");
	snprintf(details + m, sizeof details - m, "%s\n", detail);
}

static const struct admit_trace trace = {note, NULL};

static const char *last_check(void)
{
	const char *p = strrchr(checks, ' ');

	return p != NULL ? p + 1 : checks;
}

/* What the door says of bytes.  The trace must end with the verdict, with or without it
 * the verdict is the same, and nothing is left in OpenSSL's queue. */
static const char *judge_as_remembered(struct bytes der)
{
	struct admit_verdict second;
	enum err e, f;

	checks[0] = details[0] = '\0';
	e = admit_der(ad, &question, der, &verdict, &trace);
	assert_int_equal(ERR_peek_error(), 0);
	f = admit_der(ad, &question, der, &second, NULL);
	assert_int_equal(e, f);
	assert_memory_equal(&verdict.facts, &second.facts, sizeof second.facts);
	if (e == ERR_OK)
		assert_null(strchr(checks, '='));
	else
		assert_string_equal(strchr(checks, '=') + 1, err_label(e));
	return err_label(e);
}

/* The same, which must be what a door says that remembers nobody. */
static const char *judge(struct bytes der)
{
	const char *said = judge_as_remembered(der);

	assert_string_equal(err_label(both_ways(ad, &question, der)), said);
	assert_int_equal(ERR_peek_error(), 0);
	return said;
}

static const char *judge_forged(const struct forge_response *f)
{
	return judge(forge_response(f));
}

#define ADMITTED "ok"

/* What is right. */

static void a_right_answer_is_admitted_with_all_its_facts(void **state)
{
	struct forge_response f = plan();

	(void)state;
	assert_string_equal(judge_forged(&f), ADMITTED);
	assert_int_equal(verdict.facts.status, STATUS_GOOD);
	assert_int_equal(verdict.facts.reason, REASON_NONE);
	assert_int_equal(verdict.facts.revoked_at, 0);
	assert_int_equal(verdict.facts.this_update, NOW - HOUR);
	assert_int_equal(verdict.facts.next_update, NOW + DAY);
	assert_int_equal(verdict.facts.produced_at, NOW - HOUR);
	assert_true(verdict.facts.signer_not_after == INT64_MAX);
	assert_memory_equal(verdict.facts.issuer_sha256, issuer.ca[0].sha256, 32);
	assert_int_equal(verdict.warnings, 0);
	assert_false(verdict.revoked_proved);
	assert_false(verdict.mac_ok);
	assert_string_equal(checks, "parse status type version signature_algorithm "
				    "responder signature extensions "
				    "certid single reason times produced_at order latch "
				    "crl");
}

/* R44, RFC 6960 section 4.2.2.2: the CA itself, or a delegate of its own. */
static void a_delegated_answer_is_admitted_until_its_delegate_ends(void **state)
{
	struct forge_response f = delegated_plan(w.delegate);

	(void)state;
	assert_string_equal(judge_forged(&f), ADMITTED);
	assert_int_equal(verdict.facts.signer_not_after, NOW + 30 * DAY);
	assert_non_null(strstr(checks, "responder delegate signature extensions"));
	assert_non_null(strstr(details, "CN=Delegate"));
	assert_non_null(strstr(details, "2025-07-15T15:06:40Z"));
	f.by_name = true;
	assert_string_equal(judge_forged(&f), ADMITTED);
}

static void a_revoked_answer_is_admitted_and_proves_the_revocation(void **state)
{
	struct forge_response f = revoked_plan(1);

	(void)state;
	assert_string_equal(judge_forged(&f), ADMITTED);
	assert_int_equal(verdict.facts.status, STATUS_REVOKED);
	assert_int_equal(verdict.facts.reason, 1);
	assert_int_equal(verdict.facts.revoked_at, NOW - 2 * DAY);
	assert_true(verdict.revoked_proved);
	assert_int_equal(verdict.revoked_at, NOW - 2 * DAY);
	assert_int_equal(verdict.reason, 1);
	f = revoked_plan(REASON_NONE);
	assert_string_equal(judge_forged(&f), ADMITTED);
	assert_true(verdict.revoked_proved);
	assert_int_equal(verdict.reason, REASON_NONE);
}

static void an_unknown_answer_is_admitted(void **state)
{
	struct forge_response f = plan();

	(void)state;
	f.single[0].status = FORGE_UNKNOWN;
	assert_string_equal(judge_forged(&f), ADMITTED);
	assert_int_equal(verdict.facts.status, STATUS_UNKNOWN);
}

static void every_hash_algorithm_with_and_without_parameters_is_the_same_certid(
    void **state)
{
	(void)state;
	for (int h = 0; h < CERTID_HASH_COUNT; h++) /* R12, R13 */
		for (int absent = 0; absent < 2; absent++) {
			struct forge_response f = plan();

			ask_for(w.issuers, (enum certid_hash)h, serial, sizeof serial);
			f.single[0].hash = (enum certid_hash)h;
			f.single[0].no_parameters = absent;
			assert_string_equal(judge_forged(&f), ADMITTED);
		}
}

static void every_allowed_signature_algorithm_is_verified(void **state)
{
	static const enum forge_signature rsa[] = {FORGE_RSA_SHA256, FORGE_PSS_SHA256};
	struct forge_response f = plan();

	(void)state;
	for (size_t i = 0; i < 2; i++) { /* R43 */
		f.id = f.single[0].issuer = w.rsa_ca;
		f.key = w.rsa;
		f.signature = rsa[i];
		f.break_signature = false;
		ask_for(w.rsa_issuers, CERTID_SHA256, serial, sizeof serial);
		assert_string_equal(judge_forged(&f), ADMITTED);
		f.break_signature = true;
		assert_string_equal(judge_forged(&f), "signature");
	}
	f.id = f.single[0].issuer = w.ed_ca;
	f.key = w.ed;
	f.signature = FORGE_ED25519;
	f.break_signature = false;
	ask_for(w.ed_issuers, CERTID_SHA256, serial, sizeof serial);
	assert_string_equal(judge_forged(&f), ADMITTED);
	f.break_signature = true;
	assert_string_equal(judge_forged(&f), "signature");
}

/* A CA that was renewed is one CA: either key signs, for either CertID. */
static void the_renewed_ca_may_sign_for_the_old_one(void **state)
{
	struct forge_response f = plan();

	(void)state;
	f.id = w.renewed;
	f.key = w.renewed_key;
	assert_string_equal(judge_forged(&f), ADMITTED);
	assert_memory_equal(verdict.facts.issuer_sha256, issuer.ca[1].sha256, 32);
	f.by_name = true; /* both certificates fit the name: each is tried */
	assert_string_equal(judge_forged(&f), ADMITTED);
	assert_memory_equal(verdict.facts.issuer_sha256, issuer.ca[1].sha256, 32);
}

/* The wrapper. */

static void bytes_that_are_no_response_are_refused(void **state)
{
	static const char *const junk[] = {"", "0", "<html>", "\x30\x80",
	    "\x30\x03\x0a\x01", "\x30\x84\xff\xff\xff\xff\x0a", "\x02\x01\x05"};

	(void)state;
	for (size_t i = 0; i < sizeof junk / sizeof *junk; i++)
		assert_string_equal(
		    judge(bytes_of(junk[i], strlen(junk[i]))), "response_der");
}

static void a_truncated_answer_is_refused_at_every_length(void **state)
{
	struct forge_response f = delegated_plan(w.delegate);
	struct bytes der = forge_response(&f);

	(void)state;
	for (size_t n = 0; n < der.n; n++) {
		char *exact = malloc(n + 1); /* so that a read past the end is seen */

		memcpy(exact, der.p, n);
		assert_string_not_equal(judge(bytes_of(exact, n)), ADMITTED);
		free(exact);
	}
}

static void an_answer_with_any_one_byte_changed_is_never_another_answer(void **state)
{
	struct forge_response f = plan();
	struct bytes der = forge_response(&f);
	uint8_t *copy = malloc(der.n);

	(void)state;
	for (size_t i = 0; i < der.n; i++) {
		memcpy(copy, der.p, der.n);
		copy[i] ^= 0x01;
		/* Bits of the signature's own encoding aside, which ASN1_item_verify
		 * judges, every byte is covered by a check. */
		assert_string_not_equal(judge(bytes_of(copy, der.n)), ADMITTED);
	}
	free(copy);
}

/* R141: what a TLS server gets is exactly one OCSPResponse. */
static void bytes_after_the_answer_are_refused(void **state)
{
	struct forge_response f = plan();

	(void)state;
	assert_string_equal(
	    judge(forge_append(forge_response(&f), "", 1)), "response_trailing");
}

static void an_answer_over_the_size_limit_is_refused_unread(void **state)
{
	struct forge_response f = plan();
	struct bytes der = forge_response(&f);

	(void)state;
	question.max_size = der.n - 1;
	assert_string_equal(judge(der), "response_large");
	assert_string_equal(checks, "parse=response_large");
	question.max_size = der.n;
	assert_string_equal(judge(der), ADMITTED);
}

/* R39, R40 */
static void every_other_response_status_is_a_reason_of_its_own(void **state)
{
	static const char *const label[] = {[1] = "response_malformed_request",
	    "response_internal_error",
	    "response_try_later",
	    "response_status",
	    "response_sig_required",
	    "response_unauthorized",
	    "response_status"};
	struct forge_response f = plan();

	(void)state;
	f.no_bytes = true;
	for (f.status = 1; f.status <= 7; f.status++) {
		assert_string_equal(judge_forged(&f), label[f.status]);
		assert_int_equal(strncmp(last_check(), "status=", 7), 0);
	}
	f.status = 255;
	assert_string_equal(judge_forged(&f), "response_status");
	/* a good answer inside does not help: status 6 is unauthorized */
	f.status = 6;
	f.no_bytes = false;
	assert_string_equal(judge_forged(&f), "response_unauthorized");
}

/* A responseStatus of 2^32 is 0 for who keeps 32 bits of it. */
static void a_long_response_status_is_not_cut_down_to_successful(void **state)
{
	static const uint8_t der[] = {
	    0x30, 0x07, 0x0a, 0x05, 0x01, 0x00, 0x00, 0x00, 0x00};

	(void)state;
	assert_string_equal(judge(bytes_of(der, sizeof der)), "response_status");
}

/* R41 */
static void successful_without_bytes_or_with_another_type_is_refused(void **state)
{
	struct forge_response f = plan();

	(void)state;
	f.type = "1.3.6.1.5.5.7.48.1.99";
	assert_string_equal(judge_forged(&f), "response_type");
	f.no_bytes = true;
	assert_string_equal(judge_forged(&f), "response_no_bytes");
}

/* R42 */
static void a_version_other_than_v1_is_refused(void **state)
{
	struct forge_response f = plan();

	(void)state;
	f.version = 1;
	assert_string_equal(judge_forged(&f), "response_version");
	f.version = 2;
	assert_string_equal(judge_forged(&f), "response_version");
	/* v1 written out says the same as v1 left out, and the signature covers it */
	f.version = 0;
	f.explicit_v1 = true;
	assert_string_equal(judge_forged(&f), ADMITTED);
}

/* R67 */
static void long_lengths_are_verified_over_the_bytes_as_they_came(void **state)
{
	struct forge_response f = plan();

	(void)state;
	f.long_lengths = true;
	assert_string_equal(judge_forged(&f), ADMITTED);
	f.long_tbs_length = true; /* signed so: any re-encoding would not verify */
	assert_string_equal(judge_forged(&f), ADMITTED);
	f.indefinite = true;
	assert_string_equal(judge_forged(&f), "response_der");
}

/* The signature. */

/* R43 */
static void a_forged_signature_is_refused(void **state)
{
	struct forge_response f = plan();

	(void)state;
	f.key = w.sibling_key; /* T1 */
	assert_string_equal(judge_forged(&f), "signature");
	assert_string_equal(last_check(), "signature=signature");
	f = revoked_plan(1);
	f.break_signature = true;
	assert_string_equal(judge_forged(&f), "signature");
	assert_false(verdict.revoked_proved);
}

/* R43 */
static void md5_is_never_allowed(void **state)
{
	struct forge_response f = plan();

	(void)state;
	ask_for(w.rsa_issuers, CERTID_SHA256, serial, sizeof serial);
	f.id = f.single[0].issuer = w.rsa_ca;
	f.key = w.rsa;
	f.signature = FORGE_RSA_MD5;
	assert_string_equal(judge_forged(&f), "signature_algorithm");
	issuer.rules.allow_sha1 = true;
	assert_string_equal(judge_forged(&f), "signature_algorithm");
}

/* R43 */
static void sha1_signatures_need_the_issuers_option(void **state)
{
	static const enum forge_signature rsa[] = {FORGE_RSA_SHA1, FORGE_PSS_SHA1};
	struct forge_response f = plan();

	(void)state;
	f.signature = FORGE_ECDSA_SHA1;
	assert_string_equal(judge_forged(&f), "signature_algorithm");
	issuer.rules.allow_sha1 = true;
	assert_string_equal(judge_forged(&f), ADMITTED);
	assert_int_equal(verdict.warnings, ADMIT_WARN_SHA1);
	f.id = f.single[0].issuer = w.rsa_ca;
	f.key = w.rsa;
	for (size_t i = 0; i < 2; i++) {
		f.signature = rsa[i];
		ask_for(w.rsa_issuers, CERTID_SHA256, serial, sizeof serial);
		assert_string_equal(judge_forged(&f), "signature_algorithm");
		issuer.rules.allow_sha1 = true;
		assert_string_equal(judge_forged(&f), ADMITTED);
		assert_int_equal(verdict.warnings, ADMIT_WARN_SHA1);
	}
}

static void a_short_rsa_key_goes_only_with_sha1(void **state)
{
	struct forge_response f = plan();

	(void)state;
	ask_for(w.weak_issuers, CERTID_SHA256, serial, sizeof serial);
	f.id = f.single[0].issuer = w.weak_ca;
	f.key = w.weak;
	f.signature = FORGE_RSA_SHA256;
	assert_string_equal(judge_forged(&f), "signature_algorithm");
	issuer.rules.allow_sha1 = true;
	assert_string_equal(judge_forged(&f), ADMITTED);
}

/* An algorithm that does not go with the key: RSA's name over an EC key. */
static void an_algorithm_for_another_kind_of_key_is_no_signature(void **state)
{
	struct forge_response f = plan();

	(void)state;
	f.signature = FORGE_RSA_SHA256;
	f.key = w.rsa;
	assert_string_equal(judge_forged(&f), "signature");
}

/* Who signed. */

/* R51 */
static void a_responder_id_that_nobody_fits_is_refused(void **state)
{
	struct forge_response f = plan();

	(void)state;
	for (int by_name = 0; by_name < 2; by_name++) {
		f.by_name = by_name;
		f.id = w.sibling;
		assert_string_equal(judge_forged(&f), "responder_id");
		/* ... nor is the right signer found by trying */
		f.certs[0] = w.ca;
		f.certs_n = 1;
		assert_string_equal(judge_forged(&f), "responder_id");
		assert_string_equal(last_check(), "responder=responder_id");
	}
}

static void a_delegate_that_is_not_included_cannot_be_found(void **state)
{
	struct forge_response f = delegated_plan(w.delegate);

	(void)state;
	f.certs_n = 0;
	assert_string_equal(judge_forged(&f), "responder_id");
	/* not even right after it was remembered: it must come with each answer */
	f.certs_n = 1;
	assert_string_equal(judge_forged(&f), ADMITTED);
	f.certs_n = 0;
	assert_string_equal(judge_forged(&f), "responder_id");
}

static const char *judge_delegate(struct forge_cert c);

/* responder-certificate of the issuer: one, until the test ends. */
static void name_responder(X509 *x)
{
	static struct issuer_responder named;

	named.certificate = x;
	named.key = X509_get0_pubkey(x);
	assert_int_equal(X509_digest(x, EVP_sha256(), named.sha256, NULL), 1);
	issuer.responder = &named;
	issuer.responder_n = 1;
}

/* An answer by c, which is named and left out of it. */
static const char *judge_named(struct forge_cert c)
{
	X509 *x = certificate(c);
	struct forge_response f = delegated_plan(x);
	const char *said;

	f.certs_n = 0;
	name_responder(x);
	said = judge_forged(&f);
	issuer.responder_n = 0;
	X509_free(x);
	return said;
}

/* R44 (c) */
static void a_named_responder_may_leave_its_certificate_out(void **state)
{
	struct forge_response f = delegated_plan(w.delegate);

	(void)state;
	f.certs_n = 0;
	name_responder(w.delegate);
	for (int by_name = 0; by_name < 2; by_name++) {
		f.by_name = by_name;
		assert_string_equal(judge_forged(&f), ADMITTED);
		assert_string_equal(checks,
		    "parse status type version signature_algorithm responder delegate "
		    "signature extensions certid single reason times produced_at order "
		    "latch crl");
		assert_non_null(strstr(details, "named by responder-certificate"));
	}
	assert_int_equal(verdict.facts.signer_not_after, NOW + 30 * DAY);
	assert_memory_equal(verdict.facts.issuer_sha256, issuer.responder[0].sha256, 32);
	f.break_signature = true;
	assert_string_equal(judge_forged(&f), "signature");
	f.break_signature = false;
	f.id = w.ca; /* R51 counts for it as well */
	assert_string_equal(judge_forged(&f), "signature");
	f.id = w.sibling;
	assert_string_equal(judge_forged(&f), "responder_id");
}

/* R44 (c): self-signed, of another CA, without any purpose. */
static void a_named_responder_is_one_by_the_operators_word(void **state)
{
	struct forge_cert c = {.subject = "Our responder", .key = w.delegate_key};

	(void)state;
	c.issuer_key = w.delegate_key;
	assert_string_equal(judge_named(c), ADMITTED);
	assert_int_equal(verdict.warnings, 0); /* nobody could revoke it */
	c.issuer = w.sibling;
	c.issuer_key = w.sibling_key;
	assert_string_equal(judge_named(c), ADMITTED);
	c.digest = EVP_sha1(); /* whose word that signature is does not count */
	assert_string_equal(judge_named(c), ADMITTED);
	assert_int_equal(verdict.warnings, 0);
	c = delegate_plan();
	c.nocheck = false;
	assert_string_equal(judge_named(c), ADMITTED);
	assert_int_equal(verdict.warnings, 0);
	/* who is not named is nobody, with the same key as well */
	c.subject = "Another";
	assert_string_equal(judge_delegate(c), ADMITTED);
	c.issuer = NULL;
	c.issuer_key = w.delegate_key;
	assert_string_equal(judge_delegate(c), "delegate_issuer");
}

static void a_named_responder_is_in_date_and_has_a_strong_key(void **state)
{
	struct forge_cert c = {.subject = "Our responder", .key = w.delegate_key};
	struct forge_response f;
	X509 *x;

	(void)state;
	c.issuer_key = w.delegate_key;
	c.to = NOW;
	assert_string_equal(judge_named(c), "delegate_validity");
	c.to = NOW + 1;
	assert_string_equal(judge_named(c), ADMITTED);
	assert_int_equal(verdict.facts.signer_not_after, NOW + 1);
	c.to = NOW + DAY;
	c.from = NOW + 301;
	assert_string_equal(judge_named(c), "delegate_validity");
	c.from = NOW - HOUR + 1; /* producedAt is an hour old: R62 */
	assert_string_equal(judge_named(c), "produced_at");
	/* as the configuration is tested: by the clock alone */
	x = certificate(c);
	name_responder(x);
	assert_int_equal(
	    responder_named_check(&issuer, 0, c.from - 1), ERR_RESP_VALIDITY);
	assert_int_equal(responder_named_check(&issuer, 0, c.from), ERR_OK);
	assert_int_equal(responder_named_check(&issuer, 0, c.to - 1), ERR_OK);
	assert_int_equal(responder_named_check(&issuer, 0, c.to), ERR_RESP_VALIDITY);
	X509_free(x);
	c = (struct forge_cert){.subject = "Weak", .key = w.weak, .issuer_key = w.weak};
	x = certificate(c);
	f = delegated_plan(x);
	f.certs_n = 0;
	f.key = w.weak;
	f.signature = FORGE_RSA_SHA256;
	name_responder(x);
	assert_int_equal(responder_named_check(&issuer, 0, NOW), ERR_RESP_SIGALG);
	assert_string_equal(judge_forged(&f), "signature_algorithm");
	issuer.rules.allow_sha1 = true;
	assert_int_equal(responder_named_check(&issuer, 0, NOW), ERR_OK);
	assert_string_equal(judge_forged(&f), ADMITTED);
	X509_free(x);
}

/* CA/Browser Forum BR 4.9.9: a responder's certificate is issued by the CA. */
static void a_public_ca_has_no_responders_but_its_own(void **state)
{
	struct forge_cert c = delegate_plan();

	(void)state;
	issuer.rules.profile = PROFILE_PUBLIC;
	assert_string_equal(judge_named(c), ADMITTED);
	c.nocheck = false;
	assert_string_equal(judge_named(c), "delegate_nocheck");
	c.ext_usage = "serverAuth";
	assert_string_equal(judge_named(c), "delegate_eku");
	c = delegate_plan();
	c.issuer = NULL;
	c.issuer_key = w.delegate_key;
	assert_string_equal(judge_named(c), "delegate_issuer");
	name_responder(w.delegate);
	assert_int_equal(responder_named_check(&issuer, 0, NOW), ERR_OK);
	assert_int_equal(
	    responder_named_check(&issuer, 0, NOW + 30 * DAY), ERR_RESP_VALIDITY);
	name_responder(w.sibling);
	assert_int_equal(responder_named_check(&issuer, 0, NOW), ERR_RESP_ISSUED);
}

/* ... so that it goes on being served when that one is taken out. */
static void what_is_right_without_them_does_not_rest_on_named_ones(void **state)
{
	struct forge_response f = delegated_plan(w.delegate);

	(void)state;
	name_responder(w.delegate);
	assert_string_equal(judge_forged(&f), ADMITTED);
	assert_memory_equal(verdict.facts.issuer_sha256, issuer.ca[0].sha256, 32);
	assert_null(strstr(details, "named by"));
	f = plan();
	name_responder(w.ca);
	assert_string_equal(judge_forged(&f), ADMITTED);
	assert_int_equal(verdict.facts.signer_not_after, INT64_MAX);
	assert_true(issuer_vouches(&issuer, issuer.ca[1].sha256));
}

/* Whoever can alter an answer on its way can add certificates, but hide nobody. */
static void strangers_do_not_hide_a_named_responder(void **state)
{
	struct forge_cert c = delegate_plan();
	struct forge_response f = delegated_plan(w.delegate);
	X509 *stranger;

	(void)state;
	c.issuer = w.sibling;
	c.issuer_key = w.sibling_key;
	stranger = certificate(c);
	for (f.certs_n = 0; f.certs_n < 10; f.certs_n++)
		f.certs[f.certs_n] = stranger;
	assert_string_equal(judge_forged(&f), "delegate_issuer");
	name_responder(w.delegate);
	f.by_name = true;
	assert_string_equal(judge_forged(&f), ADMITTED);
	X509_free(stranger);
}

static const char *judge_delegate(struct forge_cert c)
{
	X509 *x = certificate(c);
	struct forge_response f = delegated_plan(x);
	const char *said = judge_forged(&f);

	X509_free(x);
	return said;
}

/* R45, T4 */
static void a_delegate_must_name_ocsp_signing(void **state)
{
	static const char *const usages[] = {NULL, "anyExtendedKeyUsage",
	    "serverAuth,clientAuth", "codeSigning,anyExtendedKeyUsage"};
	struct forge_cert c = delegate_plan();

	(void)state;
	for (size_t i = 0; i < sizeof usages / sizeof *usages; i++) {
		c.ext_usage = usages[i];
		assert_string_equal(judge_delegate(c), "delegate_eku");
		assert_string_equal(last_check(), "delegate=delegate_eku");
	}
	c.ext_usage = "serverAuth,OCSPSigning";
	assert_string_equal(judge_delegate(c), ADMITTED);
}

/* R46, T4: each of these has all a delegate needs, but another issuer. */
static void a_delegate_of_another_ca_is_refused(void **state)
{
	struct forge_cert c = delegate_plan();

	(void)state;
	c.issuer = w.sibling;
	c.issuer_key = w.sibling_key;
	assert_string_equal(judge_delegate(c), "delegate_issuer");
	c.issuer = w.root; /* an ancestor, which signed the CA's certificate */
	c.issuer_key = w.root_key;
	assert_string_equal(judge_delegate(c), "delegate_issuer");
	c.issuer = NULL; /* itself */
	c.issuer_key = w.delegate_key;
	assert_string_equal(judge_delegate(c), "delegate_issuer");
}

/* R46, T4: below a CA is not by the CA. */
static void a_delegate_of_a_sub_ca_is_refused_though_its_chain_is_included(void **state)
{
	struct forge_cert sub = {.subject = "Sub CA",
	    .key = w.sibling_key,
	    .issuer = w.ca,
	    .issuer_key = w.ca_key,
	    .ca = true};
	X509 *sub_ca = certificate(sub), *x;
	struct forge_cert c = delegate_plan();
	struct forge_response f;

	(void)state;
	c.issuer = sub_ca;
	c.issuer_key = w.sibling_key;
	x = certificate(c);
	f = delegated_plan(x);
	f.certs[f.certs_n++] = sub_ca;
	assert_string_equal(judge_forged(&f), "delegate_issuer");
	X509_free(x);
	X509_free(sub_ca);
}

/* R47, T4: the CA's name on it, another key below it. */
static void a_forged_delegate_is_refused(void **state)
{
	struct forge_cert c = delegate_plan();

	(void)state;
	c.issuer_key = w.sibling_key;
	assert_string_equal(judge_delegate(c), "delegate_issuer");
}

/* R48, T4 */
static void a_delegate_outside_its_validity_is_refused(void **state)
{
	struct forge_cert c = delegate_plan();

	(void)state;
	c.to = NOW;
	assert_string_equal(judge_delegate(c), "delegate_validity");
	c.to = NOW + 1;
	assert_string_equal(judge_delegate(c), ADMITTED);
	assert_int_equal(facts_expiry(&verdict.facts), NOW + 1);
	c.to = 0;
	c.from = NOW + 301;
	assert_string_equal(judge_delegate(c), "delegate_validity");
}

/* R48: what is remembered is the signature, not the dates. */
static void a_remembered_delegate_still_expires(void **state)
{
	struct forge_cert c = delegate_plan();
	struct forge_response f;
	struct bytes der;
	X509 *x;

	(void)state;
	c.to = NOW + 100;
	x = certificate(c);
	f = delegated_plan(x);
	der = forge_response(&f);
	assert_string_equal(judge(der), ADMITTED);
	question.now = NOW + 99;
	assert_string_equal(judge(der), ADMITTED);
	question.now = NOW + 100;
	assert_string_equal(judge(der), "delegate_validity");
	X509_free(x);
}

/* ... nor the rules, nor the issuer. */
static void a_remembered_delegate_is_judged_by_the_rules_of_the_day(void **state)
{
	struct forge_cert c = delegate_plan();
	struct forge_response f;
	struct bytes der;
	X509 *x;

	(void)state;
	c.nocheck = false;
	x = certificate(c);
	f = delegated_plan(x);
	der = forge_response(&f);
	assert_string_equal(judge(der), ADMITTED);
	issuer.rules.profile = PROFILE_PUBLIC;
	assert_string_equal(judge(der), "delegate_nocheck");
	issuer.rules.profile = PROFILE_PRIVATE;
	issuer.ca++; /* the CA that issued it is no longer configured */
	issuer.ca_n = 1;
	assert_string_equal(judge(der), "delegate_issuer");
	issuer.ca--;
	issuer.ca_n = 2;
	admit_forget(ad);
	assert_string_equal(judge(der), ADMITTED);
	X509_free(x);
}

/* Seen from outside: the CA's key is exchanged below the same certificate hash. */
static void a_remembered_delegate_is_not_verified_again_until_forgotten(void **state)
{
	struct issuer_ca other = issuer.ca[0];
	struct forge_response f = delegated_plan(w.delegate);
	struct bytes der = forge_response(&f);

	(void)state;
	assert_string_equal(judge(der), ADMITTED);
	other.key = w.sibling_key;
	issuer.ca = &other;
	issuer.ca_n = 1;
	assert_string_equal(judge_as_remembered(der), ADMITTED);
	admit_forget(ad);
	assert_string_equal(judge(der), "delegate_issuer");
}

/* What is remembered of a delegate spares its decoding; each of these is judged with a
 * door that remembers it and with one that does not. */

/* An answer by w.delegate is admitted, which is remembered from then on. */
static struct bytes delegate_remembered(void)
{
	struct forge_response f = delegated_plan(w.delegate);
	struct bytes der = forge_response(&f);

	assert_string_equal(judge(der), ADMITTED);
	return der;
}

/* R47.  The certificate is the last thing in the answer; what is changed is its
 * signature. */
static void a_certificate_that_differs_in_its_last_byte_is_not_remembered(void **state)
{
	struct bytes der = delegate_remembered();
	uint8_t *copy = malloc(der.n);

	(void)state;
	assert_non_null(copy);
	memcpy(copy, der.p, der.n);
	copy[der.n - 1] ^= 1;
	assert_string_equal(judge(bytes_of(copy, der.n)), "delegate_issuer");
	free(copy);
}

/* R47: ... in any of its bytes (each fifth is tried): none is left out of the comparison.
 */
static void a_certificate_that_differs_in_any_byte_is_not_remembered(void **state)
{
	struct bytes der = delegate_remembered();
	int n = i2d_X509(w.delegate, NULL);
	uint8_t *copy = malloc(der.n);

	(void)state;
	assert_non_null(copy);
	for (int i = 1; i <= n; i += 5) {
		memcpy(copy, der.p, der.n);
		copy[der.n - (size_t)i] ^= 0x10;
		assert_string_not_equal(judge(bytes_of(copy, der.n)), ADMITTED);
	}
	free(copy);
}

/* R50 */
static void several_certificates_are_read_in_any_order(void **state)
{
	X509 *two[][2] = {{w.delegate, w.ca}, {w.ca, w.delegate},
	    {w.delegate, w.delegate}, {w.delegate, w.rsa_delegate},
	    {w.rsa_delegate, w.delegate}};

	(void)state;
	delegate_remembered();
	for (size_t i = 0; i < sizeof two / sizeof *two; i++) {
		struct forge_response f = delegated_plan(two[i][0]);

		f.id = w.delegate;
		f.certs[f.certs_n++] = two[i][1];
		assert_string_equal(judge_forged(&f), ADMITTED);
	}
}

/* R47.  DER or not, at each place around the certificate.  What OpenSSL takes is
 * admitted. */
static void what_is_odd_around_a_remembered_certificate_is_read_as_a_whole(void **state)
{
	int admitted = 0, refused = 0;

	(void)state;
	for (int place = FORGE_CERTIFICATE; place < FORGE_PLACES; place++)
		for (int odd = 0; odd < FORGE_ODDS; odd++) {
			struct forge_response f = delegated_plan(w.delegate);
			bool good;

			forge_reset();
			delegate_remembered();
			f.produced_at = forge_time(NOW - HOUR);
			f.single[0].this_update = forge_time(NOW - HOUR);
			f.single[0].next_update = forge_time(NOW + DAY);
			f.where = (enum forge_place)place;
			f.odd = (enum forge_odd)odd;
			good = strcmp(judge_forged(&f), ADMITTED) == 0;
			admitted += good;
			refused += !good;
			if (odd == FORGE_TAIL || odd == FORGE_BEHIND)
				assert_false(good);
			if (odd == FORGE_WIDE)
				assert_true(good);
		}
	assert_true(admitted > 5 && refused > 20);
}

/* An answer that is too long for its signed part to be copied. */
static void a_long_answer_by_a_remembered_delegate_is_admitted(void **state)
{
	struct forge_response f = delegated_plan(w.delegate);

	(void)state;
	delegate_remembered();
	f.extension.oid = "1.2.3.4";
	f.extension.value_n = 5000;
	assert_string_equal(judge_forged(&f), ADMITTED);
}

/* R46: who remembers it for one CA has not heard of another one. */
static void a_remembered_delegate_of_another_issuer_is_refused(void **state)
{
	struct bytes der = delegate_remembered();
	struct issuers *others = issuers_of(&w.sibling, 1);

	(void)state;
	ask_for(others, CERTID_SHA256, serial, sizeof serial);
	assert_string_equal(judge(der), "delegate_issuer");
	ask_for(w.issuers, CERTID_SHA256, serial, sizeof serial);
	assert_string_equal(judge(der), ADMITTED);
	issuers_free(others);
}

/* R44 (c).  A reload that takes a name away, and nothing is forgotten. */
static void a_responder_that_is_named_no_more_is_refused_though_remembered(void **state)
{
	struct forge_cert c = delegate_plan();
	struct forge_response f;
	X509 *x;

	(void)state;
	c.issuer_key = w.sibling_key; /* named, and not the CA's own */
	x = certificate(c);
	name_responder(x);
	f = delegated_plan(x);
	assert_string_equal(judge_forged(&f), ADMITTED);
	issuer.responder_n = 0;
	assert_string_equal(judge_forged(&f), "delegate_issuer");
	X509_free(x);
	/* the CA's own, which the public profile has to verify, left out of its answer */
	issuer.rules.profile = PROFILE_PUBLIC;
	name_responder(w.delegate);
	f = delegated_plan(w.delegate);
	f.certs_n = 0;
	assert_string_equal(judge_forged(&f), ADMITTED);
	issuer.responder_n = 0;
	assert_string_equal(judge_forged(&f), "responder_id");
	f.certs_n = 1;
	assert_string_equal(judge_forged(&f), ADMITTED);
}

/* A reference of its own: nothing that the table does meanwhile takes it away. */
static void a_remembered_certificate_outlives_the_table(void **state)
{
	struct forge_response f = delegated_plan(w.delegate);
	struct bytes der = forge_response(&f);
	struct delegates *d = delegates_new();
	const struct ocsp_memory memory = {delegates_find, d};
	struct responder who;
	struct ocsp_response r;

	(void)state;
	assert_non_null(d);
	for (int i = 0; i < 2; i++) {
		assert_int_equal(ocsp_response_parse(&r, der, der.n, &memory), ERR_OK);
		assert_int_equal(r.known.certificate != NULL, i == 1);
		assert_int_equal(ocsp_response_certificates_n(&r), 1);
		assert_int_equal(responder_find(d, &r, &issuer, NOW, 300, &who), ERR_OK);
		if (i == 1)
			delegates_free(d);
		assert_int_equal(
		    X509_cmp(ocsp_response_certificate(&r, 0), w.delegate), 0);
		ocsp_response_free(&r);
	}
}

/* More delegates than one set of the table has places for, each still verified right. */
static void many_delegates_push_one_another_out_and_are_verified_again(void **state)
{
	(void)state;
	for (int i = 0; i < 300; i++) {
		struct forge_cert c = delegate_plan();
		bool forged = i % 3 == 2;

		forge_reset();
		if (forged)
			c.issuer_key = w.sibling_key;
		assert_string_equal(
		    judge_delegate(c), forged ? "delegate_issuer" : ADMITTED);
	}
}

/* R49 */
static void a_delegate_without_nocheck_is_a_warning_or_a_refusal(void **state)
{
	struct forge_cert c = delegate_plan();

	(void)state;
	c.nocheck = false;
	assert_string_equal(judge_delegate(c), ADMITTED);
	assert_int_equal(verdict.warnings, ADMIT_WARN_NOCHECK);
	issuer.rules.profile = PROFILE_PUBLIC;
	assert_string_equal(judge_delegate(c), "delegate_nocheck");
}

/* R49, BR 7.1.2.8: what a delegate's certificate must not have. */
static void a_delegates_extensions_may_forbid_its_use(void **state)
{
	struct forge_cert c = delegate_plan();

	(void)state;
	c.usage = "critical,keyEncipherment";
	assert_string_equal(judge_delegate(c), "delegate_usage");
	c.usage = "critical,nonRepudiation";
	assert_string_equal(judge_delegate(c), ADMITTED);
	c.usage = NULL;
	assert_string_equal(judge_delegate(c), ADMITTED);
	c.critical = "1.2.3.4.5"; /* RFC 5280 section 4.2 */
	assert_string_equal(judge_delegate(c), "delegate_usage");
	c.critical = NULL;
	c.ca = true;
	assert_string_equal(judge_delegate(c), ADMITTED);
	issuer.rules.profile = PROFILE_PUBLIC; /* BR 7.1.2.8.4 */
	assert_string_equal(judge_delegate(c), "delegate_usage");
}

static void a_sha1_signature_of_a_delegate_needs_the_option_too(void **state)
{
	struct forge_cert c = delegate_plan();

	(void)state;
	c.digest = EVP_sha1();
	assert_string_equal(judge_delegate(c), "signature_algorithm");
	assert_string_equal(last_check(), "delegate=signature_algorithm");
	issuer.rules.allow_sha1 = true;
	assert_string_equal(judge_delegate(c), ADMITTED);
	assert_int_equal(verdict.warnings, ADMIT_WARN_SHA1);
}

static void a_delegate_with_a_short_key_is_refused(void **state)
{
	struct forge_cert c = delegate_plan();
	struct forge_response f;
	X509 *x;

	(void)state;
	c.key = w.weak;
	x = certificate(c);
	f = delegated_plan(x);
	f.key = w.weak;
	f.signature = FORGE_RSA_SHA256;
	assert_string_equal(judge_forged(&f), "signature_algorithm");
	X509_free(x);
}

static void an_rsa_delegate_of_an_ec_ca_is_admitted(void **state)
{
	struct forge_response f = delegated_plan(w.rsa_delegate);

	(void)state;
	f.key = w.rsa;
	f.signature = FORGE_RSA_SHA256;
	assert_string_equal(judge_forged(&f), ADMITTED);
	f.signature = FORGE_PSS_SHA256;
	assert_string_equal(judge_forged(&f), ADMITTED);
}

/* R50 */
static void the_issuers_certificate_and_strangers_in_certs_do_no_harm(void **state)
{
	struct forge_response f = plan();

	(void)state;
	f.certs[0] = w.ca;
	f.certs[1] = w.sibling;
	f.certs_n = 2;
	assert_string_equal(judge_forged(&f), ADMITTED);
	f.by_name = true;
	assert_string_equal(judge_forged(&f), ADMITTED);
	f = delegated_plan(w.delegate);
	f.certs[0] = w.root;
	f.certs[1] = w.ca;
	f.certs[2] = w.delegate;
	f.certs[3] = w.sibling;
	f.certs_n = 4;
	assert_string_equal(judge_forged(&f), ADMITTED);
}

/* Two certificates fit the name; the first one in the list is not the signer. */
static void each_certificate_that_fits_is_tried_and_the_best_reason_told(void **state)
{
	struct forge_cert c = delegate_plan();
	X509 *impostor;
	struct forge_response f;

	(void)state;
	c.key = w.sibling_key;
	c.issuer_key = w.sibling_key;
	impostor = certificate(c);
	f = delegated_plan(impostor);
	f.certs[1] = w.delegate;
	f.certs_n = 2;
	f.by_name = true;
	assert_string_equal(judge_forged(&f), ADMITTED);
	f.break_signature = true; /* the impostor: issuer; the delegate: signature */
	assert_string_equal(judge_forged(&f), "signature");
	X509_free(impostor);
}

/* certs[] is not signed: what is put there costs a bounded number of verifications. */
static void only_so_many_candidates_are_tried(void **state)
{
	struct forge_cert c = delegate_plan();
	struct forge_response f;
	X509 *impostor;

	(void)state;
	c.issuer_key = w.sibling_key;
	impostor = certificate(c);
	f = delegated_plan(impostor);
	for (size_t i = 0; i < 7; i++)
		f.certs[i] = impostor;
	f.certs[7] = w.delegate;
	f.certs_n = 8;
	assert_string_equal(judge_forged(&f), ADMITTED);
	f.certs[7] = impostor;
	f.certs[8] = w.delegate;
	f.certs_n = 9;
	assert_string_equal(judge_forged(&f), "delegate_issuer");
	for (size_t i = 0; i < 8; i++) /* what does not fit is not counted */
		f.certs[i] = w.sibling;
	assert_string_equal(judge_forged(&f), ADMITTED);
	X509_free(impostor);
}

/* Extensions. */

/* R64: where a nonce was sent, the answer has that one or none. */
static void another_nonce_than_we_sent_is_refused(void **state)
{
	static const uint8_t in_forgery[] = {5, 0};
	struct forge_response f = plan();

	(void)state;
	question.nonce = bytes_of("another", 7);
	assert_string_equal(judge_forged(&f), ADMITTED); /* none in the answer */
	f.extension = (struct forge_extension){"1.3.6.1.5.5.7.48.1.2", false, false, 0};
	assert_string_equal(judge_forged(&f), "nonce");
	assert_string_equal(last_check(), "nonce=nonce");
	question.nonce = bytes_of(in_forgery, sizeof in_forgery);
	assert_string_equal(judge_forged(&f), ADMITTED);
	question.nonce =
	    bytes_of(NULL, 0); /* R87: where none was sent, none is looked at */
	assert_string_equal(judge_forged(&f), ADMITTED);
}

/* R56: OpenSSL's own verification does not look at these. */
static void an_unknown_critical_extension_is_refused_in_both_places(void **state)
{
	struct forge_response f = plan();

	(void)state;
	f.extension = (struct forge_extension){"1.2.3.4.5", true, false, 0};
	assert_string_equal(judge_forged(&f), "response_extension");
	assert_non_null(strstr(details, "1.2.3.4.5"));
	f.extension.critical = false;
	assert_string_equal(judge_forged(&f), ADMITTED);
	f.single[0].extension = (struct forge_extension){"1.2.3.4.5", true, false, 0};
	assert_string_equal(judge_forged(&f), "response_extension");
	f.single[0].extension.critical = false;
	assert_string_equal(judge_forged(&f), ADMITTED);
}

/* R56 */
static void the_known_extensions_may_be_critical(void **state)
{
	static const char *const known[] = {"1.3.6.1.5.5.7.48.1.2",
	    "1.3.6.1.5.5.7.48.1.3", "1.3.6.1.5.5.7.48.1.6", "1.3.6.1.5.5.7.48.1.7",
	    "1.3.6.1.5.5.7.48.1.9", "1.3.6.1.4.1.11129.2.4.5"};
	struct forge_response f = plan();

	(void)state;
	for (size_t i = 0; i < sizeof known / sizeof *known; i++) {
		f.extension = (struct forge_extension){known[i], true, false, 0};
		f.single[0].extension = f.extension;
		assert_string_equal(judge_forged(&f), ADMITTED);
	}
}

/* R56 */
static void an_extension_that_appears_twice_is_refused(void **state)
{
	struct forge_response f = plan();

	(void)state;
	f.extension = (struct forge_extension){"1.2.3.4.5", false, true, 0};
	assert_string_equal(judge_forged(&f), "response_extension");
	f.extension = (struct forge_extension){0};
	f.single[0].extension =
	    (struct forge_extension){"1.3.6.1.5.5.7.48.1.6", false, true, 0};
	assert_string_equal(judge_forged(&f), "response_extension");
}

/* Which certificate. */

/* R52, R54, T1 */
static void an_answer_for_another_certificate_is_refused(void **state)
{
	static const uint8_t other[] = {0x01, 0xaa, 0xf0, 0x0e};
	struct forge_response f = plan();

	(void)state;
	f.single[0].serial = bytes_of(other, sizeof other);
	assert_string_equal(judge_forged(&f), "certid");
	assert_non_null(strstr(details, "1aaf00d"));
	f = plan();
	f.single[0].issuer = w.sibling;
	assert_string_equal(judge_forged(&f), "certid");
	f = plan();
	f.singles_n = 0;
	assert_string_equal(judge_forged(&f), "certid");
}

/* R15, CVE-2016-7444: one serial is the beginning of the other. */
static void a_serial_that_begins_like_ours_is_another(void **state)
{
	static const uint8_t longer[] = {0x01, 0xaa, 0xf0, 0x0d, 0x00};
	struct forge_response f = plan();

	(void)state;
	f.single[0].serial = bytes_of(serial, 3);
	assert_string_equal(judge_forged(&f), "certid");
	f.single[0].serial = bytes_of(longer, sizeof longer);
	assert_string_equal(judge_forged(&f), "certid");
}

/* R16: -1, 255 and 1 share octets or magnitude. */
static void a_negative_serial_never_aliases_a_positive_one(void **state)
{
	static const struct {
		uint8_t octets[3];
		size_t n;
	} serials[] = {
	    {{0xff}, 1}, {{0x00, 0xff}, 2}, {{0x01}, 1}, {{0x00}, 1}, {{0xff, 0x01}, 2}};
	size_t n = sizeof serials / sizeof *serials;

	(void)state;
	for (size_t asked = 0; asked < n; asked++)
		for (size_t got = 0; got < n; got++) {
			struct forge_response f = plan();

			ask_for(w.issuers, CERTID_SHA256, serials[asked].octets,
			    serials[asked].n);
			f.single[0].serial =
			    bytes_of(serials[got].octets, serials[got].n);
			assert_string_equal(
			    judge_forged(&f), asked == got ? ADMITTED : "certid");
		}
}

/* T1, R15: every question against every answer; only its own is admitted. */
static void no_answer_is_taken_for_another_question(void **state)
{
	static const struct {
		uint8_t octets[20];
		size_t n;
	} serials[] = {{{0x01, 0xaa, 0xf0, 0x0d}, 4}, {{0x01, 0xaa, 0xf0, 0x0d, 0x00}, 5},
	    {{0x01, 0xaa, 0xf0, 0x8d}, 4}, {{0x00, 0x80}, 2}, {{0x80}, 1},
	    {{0x7f, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17, 18, 19},
		20}};
	X509 *issuers[] = {w.ca, w.renewed, w.sibling};
	const size_t n = sizeof serials / sizeof *serials, all = 2 * 3 * n;

	(void)state;
	for (size_t q = 0; q < 2 * n; q++)
		for (size_t a = 0; a < all; a++) {
			struct forge_response f;
			size_t asked = q / 2, got = a / 6, by = a / 2 % 3;
			bool same = got == asked && by == 0 && a % 2 == q % 2;

			forge_reset();
			f = plan();
			ask_for(w.issuers, q % 2 ? CERTID_SHA256 : CERTID_SHA1,
			    serials[asked].octets, serials[asked].n);
			f.single[0].hash = a % 2 ? CERTID_SHA256 : CERTID_SHA1;
			f.single[0].issuer = issuers[by];
			f.single[0].serial =
			    bytes_of(serials[got].octets, serials[got].n);
			assert_string_equal(judge_forged(&f), same ? ADMITTED : "certid");
		}
}

/* A serial that no key can have is no crash and no match. */
static void a_serial_of_forty_octets_matches_nothing(void **state)
{
	static const uint8_t octets[40] = {0x01, 0xaa, 0xf0, 0x0d};
	struct forge_response f = plan();

	(void)state;
	f.single[0].serial = bytes_of(octets, sizeof octets);
	assert_string_equal(judge_forged(&f), "certid");
}

/* R14: the same certificate, but by another algorithm than was asked. */
static void an_answer_by_another_hash_algorithm_is_not_served(void **state)
{
	struct forge_response f = plan();

	(void)state;
	f.single[0].hash = CERTID_SHA1;
	assert_string_equal(judge_forged(&f), "certid");
	assert_false(verdict.revoked_proved);
	/* ... though a revocation of the certificate is one under every name */
	f = revoked_plan(1);
	f.single[0].hash = CERTID_SHA1;
	assert_string_equal(judge_forged(&f), "certid");
	assert_true(verdict.revoked_proved);
}

static struct forge_response pair(struct forge_single a, struct forge_single b)
{
	struct forge_response f = plan();

	f.single[0] = a;
	f.single[1] = b;
	f.singles_n = 2;
	return f;
}

/* R53, T6: OpenSSL's OCSP_resp_find_status() says "good" to the first of these. */
static void contradicting_duplicates_are_refused_and_prove_the_revocation(void **state)
{
	struct forge_single good = plan().single[0], bad = revoked_plan(1).single[0];
	struct forge_response f = pair(good, bad);

	(void)state;
	assert_string_equal(judge_forged(&f), "contradicting_duplicates");
	assert_true(verdict.revoked_proved);
	assert_int_equal(verdict.reason, 1);
	f = pair(bad, good);
	assert_string_equal(judge_forged(&f), "contradicting_duplicates");
	assert_true(verdict.revoked_proved);
	assert_int_equal(verdict.revoked_at, NOW - 2 * DAY);
	f.break_signature = true;
	assert_string_equal(judge_forged(&f), "signature");
	assert_false(verdict.revoked_proved);
}

/* R15: of another CA with the same name nothing is said about ours, nor of one with the
 * same key (RFC 6960 section 4.1.1: the CertID has both hashes). */
static void a_single_that_fits_in_one_hash_only_is_of_another_ca(void **state)
{
	struct forge_single good = plan().single[0], bad = revoked_plan(4).single[0];
	EVP_PKEY *other = forge_key("P-256");
	X509 *of[] = {authority("Forge CA", other), authority("Another CA", w.ca_key)};
	struct forge_response f;

	(void)state;
	for (size_t i = 0; i < 4; i++) {
		bad.issuer = of[i % 2];
		bad.hash = i < 2 ? good.hash : CERTID_SHA1;
		f = pair(good, bad);
		assert_string_not_equal(judge_forged(&f), "contradicting_duplicates");
		assert_false(verdict.revoked_proved);
	}
	X509_free(of[0]);
	X509_free(of[1]);
	EVP_PKEY_free(other);
}

/* R53, T6 */
static void a_contradiction_under_another_hash_algorithm_is_one_too(void **state)
{
	struct forge_single good = plan().single[0], bad = revoked_plan(4).single[0];
	struct forge_response f;

	(void)state;
	bad.hash = CERTID_SHA1;
	f = pair(good, bad);
	assert_string_equal(judge_forged(&f), "contradicting_duplicates");
	assert_true(verdict.revoked_proved);
	bad.hash = CERTID_SHA256;
	bad.issuer = w.renewed; /* the same CA by its other certificate */
	f = pair(good, bad);
	assert_string_equal(judge_forged(&f), "contradicting_duplicates");
	assert_true(verdict.revoked_proved);
}

static void what_proves_a_revocation_is_in_date_and_no_hold(void **state)
{
	struct forge_single good = plan().single[0], bad = revoked_plan(1).single[0];
	struct forge_response f;

	(void)state;
	bad.this_update = forge_time(NOW - 3 * DAY);
	bad.next_update = forge_time(NOW);
	f = pair(good, bad);
	assert_string_equal(judge_forged(&f), "contradicting_duplicates");
	assert_false(verdict.revoked_proved);
	bad.next_update = forge_time(NOW + 1);
	f = pair(good, bad);
	assert_string_equal(judge_forged(&f), "contradicting_duplicates");
	assert_true(verdict.revoked_proved);
	bad.reason = REASON_CERTIFICATE_HOLD;
	f = pair(good, bad);
	assert_string_equal(judge_forged(&f), "contradicting_duplicates");
	assert_false(verdict.revoked_proved);
}

/* R55, R52, R142 */
static void more_than_one_single_response_is_refused(void **state)
{
	static const uint8_t other[] = {0x77};
	struct forge_single ours = plan().single[0], another = ours;
	struct forge_response f;

	(void)state;
	another.serial = bytes_of(other, 1);
	f = pair(ours, another);
	assert_string_equal(judge_forged(&f), "multiple_responses");
	f = pair(another, ours); /* never index 0 */
	assert_string_equal(judge_forged(&f), "multiple_responses");
	f = pair(ours, ours);
	assert_string_equal(judge_forged(&f), "multiple_responses");
	f = pair(another, revoked_plan(1).single[0]);
	assert_string_equal(judge_forged(&f), "multiple_responses");
	assert_true(verdict.revoked_proved);
	/* another certificate's revocation is not ours */
	another = revoked_plan(1).single[0];
	another.serial = bytes_of(other, 1);
	f = pair(ours, another);
	assert_string_equal(judge_forged(&f), "multiple_responses");
	assert_false(verdict.revoked_proved);
}

/* What it says. */

/* R65 */
static void reasons_that_no_answer_can_have_are_refused(void **state)
{
	(void)state;
	for (int reason = 0; reason <= 12; reason++) {
		struct forge_response f = revoked_plan(reason);
		bool possible = reason <= 10 && reason != 7 && reason != 8;

		assert_string_equal(judge_forged(&f), possible ? ADMITTED : "reason");
		assert_int_equal(verdict.revoked_proved,
		    possible && reason != REASON_CERTIFICATE_HOLD);
	}
}

/* R65, R69 */
static void a_hold_is_revoked_but_latches_nothing(void **state)
{
	struct forge_response f = revoked_plan(REASON_CERTIFICATE_HOLD);

	(void)state;
	assert_string_equal(judge_forged(&f), ADMITTED);
	assert_int_equal(verdict.facts.status, STATUS_REVOKED);
	assert_int_equal(verdict.facts.reason, REASON_CERTIFICATE_HOLD);
	assert_false(verdict.revoked_proved);
}

static void a_revocation_date_in_the_future_is_revoked_now(void **state)
{
	struct forge_response f = revoked_plan(1);

	(void)state;
	f.single[0].revoked_at = forge_time(NOW + 30 * DAY);
	assert_string_equal(judge_forged(&f), ADMITTED);
	assert_int_equal(verdict.facts.revoked_at, NOW + 30 * DAY);
	assert_true(verdict.revoked_proved);
}

/* R57, T5 */
static void this_update_may_be_in_the_future_by_the_skew_only(void **state)
{
	struct forge_response f = plan();

	(void)state;
	f.single[0].this_update = forge_time(NOW + 300);
	assert_string_equal(judge_forged(&f), ADMITTED);
	f.single[0].this_update = forge_time(NOW + 301);
	assert_string_equal(judge_forged(&f), "this_update_future");
	f.single[0].this_update = "99991231235959Z";
	assert_string_equal(judge_forged(&f), "this_update_future");
	f = revoked_plan(1);
	f.single[0].this_update = forge_time(NOW + 301);
	assert_string_equal(judge_forged(&f), "this_update_future");
	assert_false(verdict.revoked_proved);
}

/* P4, R59 */
static void next_update_is_the_end_to_the_second(void **state)
{
	struct forge_response f = plan();

	(void)state;
	f.single[0].next_update = forge_time(NOW + 1);
	assert_string_equal(judge_forged(&f), ADMITTED);
	f.single[0].next_update = forge_time(NOW);
	assert_string_equal(judge_forged(&f), "expired");
	assert_non_null(strstr(details, "2025-06-15T15:06:40Z"));
	f = revoked_plan(1);
	f.single[0].next_update = forge_time(NOW);
	assert_string_equal(judge_forged(&f), "expired");
	assert_false(verdict.revoked_proved);
}

/* R61 */
static void next_update_must_be_after_this_update(void **state)
{
	struct forge_response f = plan();

	(void)state;
	f.single[0].next_update = f.single[0].this_update;
	assert_string_equal(judge_forged(&f), "next_before_this");
	f.single[0].next_update = "19700101000000Z";
	assert_string_equal(judge_forged(&f), "next_before_this");
}

/* R61, T5 */
static void the_year_9999_is_far_away_and_no_overflow(void **state)
{
	struct forge_response f = plan();

	(void)state;
	f.single[0].next_update = "99991231235959Z";
	assert_string_equal(judge_forged(&f), ADMITTED);
	/* date -u -d 9999-12-31T23:59:59Z +%s */
	assert_true(verdict.facts.next_update == INT64_C(253402300799));
	assert_int_equal(verdict.warnings, ADMIT_WARN_LONG);
	assert_non_null(strstr(details, "9999-12-31T23:59:59Z"));
}

/* R60, R61 */
static void ten_days_are_a_warning_or_for_public_cas_the_end(void **state)
{
	struct forge_response f = plan();

	(void)state;
	f.single[0].this_update = forge_time(NOW - 10 * DAY);
	f.single[0].next_update = forge_time(NOW + DAY);
	assert_string_equal(judge_forged(&f), ADMITTED);
	assert_int_equal(verdict.warnings, ADMIT_WARN_LONG);
	issuer.rules.profile = PROFILE_PUBLIC;
	assert_string_equal(judge_forged(&f), ADMITTED);
	f.single[0].this_update = forge_time(NOW - 10 * DAY - 1);
	assert_string_equal(judge_forged(&f), "this_update_old");
	issuer.rules.profile = PROFILE_PRIVATE;
	assert_string_equal(judge_forged(&f), ADMITTED);
	f = plan();
	f.single[0].next_update = forge_time(NOW - HOUR + 10 * DAY);
	assert_string_equal(judge_forged(&f), ADMITTED);
	assert_int_equal(verdict.warnings, 0);
}

/* R58 */
static void without_next_update_the_operator_says_how_long(void **state)
{
	struct forge_response f = plan();

	(void)state;
	f.single[0].next_update = NULL;
	assert_string_equal(judge_forged(&f), "next_update_missing");
	issuer.rules.without_next_update_s = 600;
	assert_string_equal(judge_forged(&f), ADMITTED);
	assert_int_equal(verdict.facts.next_update, NOW + 600);
	assert_int_equal(verdict.warnings, ADMIT_WARN_NONEXT);
}

/* R63, T5 */
static void times_of_another_form_are_read_for_private_cas_only(void **state)
{
	static const struct {
		const char *content;
		int64_t at; /* 0: nobody reads it */
	} forms[] = {
	    {"20250615140640.5Z", NOW - HOUR},
	    {"20250615160640+0200", NOW - HOUR},
	    {"202506151406Z", NOW - HOUR - 40},
	    {"20250615140640", 0},
	    {"20250230000000Z", 0},
	    {"20251301000000Z", 0},
	    {"20250615240000Z", 0},
	    {"20250615140660Z", 0},
	    {"2025061514064Z", 0},
	    {"2025O615140640Z", 0},
	    {"20250615140640Z ", 0},
	    {"-0250615140640Z", 0},
	    {"", 0},
	    {"Z", 0},
	};

	(void)state;
	for (size_t i = 0; i < sizeof forms / sizeof *forms; i++) {
		struct forge_response f = plan();

		f.single[0].this_update = forms[i].content;
		issuer.rules.profile = PROFILE_PRIVATE;
		assert_string_equal(
		    judge_forged(&f), forms[i].at != 0 ? ADMITTED : "time_format");
		if (forms[i].at != 0) {
			assert_int_equal(verdict.facts.this_update, forms[i].at);
			assert_int_equal(verdict.warnings, ADMIT_WARN_TIMEFORM);
		}
		issuer.rules.profile = PROFILE_PUBLIC;
		assert_string_equal(judge_forged(&f), "time_format");
		assert_string_equal(last_check(), "times=time_format");
	}
}

/* R63 */
static void the_form_counts_in_every_time_of_an_answer(void **state)
{
	struct forge_response f = plan();

	(void)state;
	issuer.rules.profile = PROFILE_PUBLIC;
	f.single[0].next_update = "20250616150640.0Z";
	assert_string_equal(judge_forged(&f), "time_format");
	f = plan();
	f.produced_at = "20250615140640.0Z";
	assert_string_equal(judge_forged(&f), "time_format");
	assert_string_equal(last_check(), "produced_at=time_format");
	f = revoked_plan(1);
	f.single[0].revoked_at = "20250615140640.0Z";
	assert_string_equal(judge_forged(&f), "time_format");
	assert_string_equal(last_check(), "reason=time_format");
}

static void the_leap_day_is_a_day_and_only_in_leap_years(void **state)
{
	struct forge_response f = plan();

	(void)state;
	f.single[0].this_update = "20240229120000Z";
	assert_string_equal(judge_forged(&f), ADMITTED);
	assert_int_equal(verdict.facts.this_update, 1709208000); /* date -u */
	f.single[0].this_update = "20230229120000Z";
	assert_string_equal(judge_forged(&f), "time_format");
	f.single[0].this_update = "19000229120000Z";
	assert_string_equal(judge_forged(&f), "time_format");
	f.single[0].this_update = "20000229120000Z";
	assert_string_equal(judge_forged(&f), ADMITTED);
	/* nor has November 31 days */
	f.single[0].this_update = "20241130120000Z";
	assert_string_equal(judge_forged(&f), ADMITTED);
	f.single[0].this_update = "20241131120000Z";
	assert_string_equal(judge_forged(&f), "time_format");
}

/* R62, T5 */
static void produced_at_has_its_bounds(void **state)
{
	struct forge_cert c = delegate_plan();
	struct forge_response f = plan();
	X509 *x;

	(void)state;
	f.produced_at = forge_time(NOW + 300);
	assert_string_equal(judge_forged(&f), ADMITTED);
	f.produced_at = forge_time(NOW + 301);
	assert_string_equal(judge_forged(&f), "produced_at");
	/* before thisUpdate, as in RFC 9919's example */
	f.produced_at = forge_time(NOW - 2 * DAY);
	assert_string_equal(judge_forged(&f), ADMITTED);
	/* before the CA's own certificate: its dates are not looked at */
	f.produced_at = forge_time(NOW - 300 * DAY);
	assert_string_equal(judge_forged(&f), ADMITTED);
	c.from = NOW - HOUR;
	x = certificate(c);
	f = delegated_plan(x);
	f.produced_at = forge_time(NOW - HOUR);
	assert_string_equal(judge_forged(&f), ADMITTED);
	f.produced_at = forge_time(NOW - HOUR - 1);
	assert_string_equal(judge_forged(&f), "produced_at");
	X509_free(x);
}

/* The issuer's certificate is trusted because the operator named it. */
static void an_expired_issuer_certificate_is_still_the_issuer(void **state)
{
	X509 *old = certificate((struct forge_cert){.subject = "Old CA",
	    .key = w.ca_key,
	    .issuer_key = w.ca_key,
	    .from = NOW - 900 * DAY,
	    .to = NOW - 800 * DAY,
	    .ca = true});
	struct issuers *is = issuers_of(&old, 1);
	struct forge_response f = plan();

	(void)state;
	ask_for(is, CERTID_SHA256, serial, sizeof serial);
	f.id = f.single[0].issuer = old;
	assert_string_equal(judge_forged(&f), ADMITTED);
	issuers_free(is);
	X509_free(old);
}

/* What we know already. */

static struct facts held(enum status s, int64_t this_update, int64_t produced_at)
{
	return (struct facts){.status = s,
	    .reason = s == STATUS_REVOKED ? REASON_CERTIFICATE_HOLD : REASON_NONE,
	    .this_update = this_update,
	    .next_update = NOW + DAY,
	    .produced_at = produced_at};
}

/* R68, T2 */
static void an_older_answer_never_replaces_a_newer_one(void **state)
{
	struct forge_response f = plan(); /* both NOW - HOUR */
	struct facts h = held(STATUS_GOOD, NOW - HOUR + 1, NOW - HOUR);

	(void)state;
	question.held = &h;
	assert_string_equal(judge_forged(&f), "older_than_held");
	h = held(STATUS_GOOD, NOW - HOUR, NOW - HOUR + 1);
	assert_string_equal(judge_forged(&f), "older_than_held");
	h = held(STATUS_GOOD, NOW - HOUR, NOW - HOUR); /* the same again */
	assert_string_equal(judge_forged(&f), ADMITTED);
	h = held(STATUS_GOOD, NOW - HOUR - 1, NOW); /* newer thisUpdate wins */
	assert_string_equal(judge_forged(&f), ADMITTED);
	h = held(STATUS_GOOD, NOW - HOUR + 1, NOW - HOUR);
	h.next_update = NOW - 1; /* also when what is held has expired */
	assert_string_equal(judge_forged(&f), "older_than_held");
}

/* P28, R68: Boulder's bug: in the second of the revocation, good won. */
static void within_one_second_revoked_wins(void **state)
{
	struct forge_response good = plan(), bad = revoked_plan(6);
	struct facts h = held(STATUS_REVOKED, NOW - HOUR, NOW - HOUR);

	(void)state;
	question.held = &h;
	assert_string_equal(judge_forged(&good), "older_than_held");
	assert_string_equal(judge_forged(&bad), ADMITTED);
	good.single[0].status = FORGE_UNKNOWN;
	assert_string_equal(judge_forged(&good), "older_than_held");
	h = held(STATUS_GOOD, NOW - HOUR, NOW - HOUR);
	assert_string_equal(judge_forged(&bad), ADMITTED);
}

/* R70 */
static void a_hold_is_released_by_a_newer_this_update_only(void **state)
{
	struct forge_response f = plan();
	struct facts h = held(STATUS_REVOKED, NOW - HOUR - 1, NOW - HOUR);

	(void)state;
	question.held = &h;
	assert_string_equal(judge_forged(&f), ADMITTED);
	h = held(STATUS_REVOKED, NOW - HOUR, NOW - DAY); /* only produced later */
	assert_string_equal(judge_forged(&f), "older_than_held");
}

/* An old proof is still a proof: what is held says good, and is newer. */
static void a_replayed_revocation_is_refused_but_latched(void **state)
{
	struct forge_response f = revoked_plan(1);
	struct facts h = held(STATUS_GOOD, NOW - 60, NOW - 60);

	(void)state;
	question.held = &h;
	assert_string_equal(judge_forged(&f), "older_than_held");
	assert_true(verdict.revoked_proved);
}

/* R69 */
static void what_is_latched_is_never_good_nor_unknown_again(void **state)
{
	struct forge_response f = plan();

	(void)state;
	question.latched = true;
	assert_string_equal(judge_forged(&f), "contradicted_by_latch");
	f.single[0].status = FORGE_UNKNOWN;
	assert_string_equal(judge_forged(&f), "contradicted_by_latch");
	f = revoked_plan(1);
	assert_string_equal(judge_forged(&f), ADMITTED);
	f = revoked_plan(REASON_CERTIFICATE_HOLD);
	assert_string_equal(judge_forged(&f), ADMITTED);
}

/* Lists in force. */

/* Ours with this reason, published at this time; another where reason is negative. */
static void list(int64_t this_update, int reason)
{
	struct small_entry e = {.reason = reason, .at = NOW - 3 * DAY};

	key_serial(&key, &e.serial);
	if (reason < 0) {
		e.serial.octets[0] ^= 2;
		e.reason = REASON_NONE;
	}
	small_set_unref(question.crl);
	question.crl = small_set(&e, 1, this_update, NOW + DAY, 1);
}

static void no_list(void)
{
	small_set_unref(question.crl);
	question.crl = NULL;
}

/* R71, row by row: the answers of plan() and revoked_plan() are of an hour ago. */
static void what_a_list_says_revoked_is_good_by_no_answer(void **state)
{
	struct forge_response good = plan(), unknown = plan(), revoked = revoked_plan(1);

	(void)state;
	unknown.single[0].status = FORGE_UNKNOWN;
	list(NOW, 1); /* the answer is older */
	assert_string_equal(judge_forged(&good), "contradicted_by_crl");
	assert_false(verdict.crl_disagrees);
	assert_string_equal(last_check(), "crl=contradicted_by_crl");
	assert_non_null(strstr(details, "by the list of 2025-06-15T15:06:40Z\n"));
	assert_string_equal(judge_forged(&unknown), "contradicted_by_crl");
	list(NOW - HOUR, 1); /* as old: not newer */
	assert_string_equal(judge_forged(&good), "contradicted_by_crl");
	assert_false(verdict.crl_disagrees);
	list(NOW - 2 * HOUR, 1); /* the answer is newer: still refused, and an alarm */
	assert_string_equal(judge_forged(&good), "contradicted_by_crl");
	assert_true(verdict.crl_disagrees);
	assert_string_equal(judge_forged(&revoked), ADMITTED);
	assert_false(verdict.crl_disagrees);
	list(NOW, -1); /* absent */
	assert_string_equal(judge_forged(&good), ADMITTED);
	assert_string_equal(judge_forged(&revoked), ADMITTED);
	assert_string_equal(last_check(), "crl");
	no_list();
}

/* R70, R71 */
static void a_hold_in_a_list_ends_with_a_newer_good(void **state)
{
	struct forge_response good = plan();

	(void)state;
	list(NOW - HOUR, REASON_CERTIFICATE_HOLD);
	assert_string_equal(judge_forged(&good), "contradicted_by_crl");
	assert_non_null(strstr(details, "on hold since 2025-06-12T15:06:40Z"));
	list(NOW - HOUR - 1, REASON_CERTIFICATE_HOLD);
	assert_string_equal(judge_forged(&good), ADMITTED);
	no_list();
}

/* A list counts for what it has when its nextUpdate is past, too. */
static void a_list_that_has_expired_still_revokes(void **state)
{
	struct forge_response good = plan();
	struct small_entry e = {.reason = 1, .at = NOW - 3 * DAY};

	(void)state;
	key_serial(&key, &e.serial);
	question.crl = small_set(&e, 1, NOW - 3 * DAY, NOW - DAY, 1);
	assert_string_equal(judge_forged(&good), "contradicted_by_crl");
	no_list();
}

/* The latch comes first: it names the graver alarm. */
static void latch_and_list_are_told_as_the_latch(void **state)
{
	struct forge_response good = plan();

	(void)state;
	question.latched = true;
	list(NOW, 1);
	assert_string_equal(judge_forged(&good), "contradicted_by_latch");
	no_list();
}

/* Stored values. */

static const uint8_t mac_key[1][32] = {{1, 2, 3}};

static const char *judge_value(struct bytes value, const struct mac_keys *keys)
{
	struct bytes der;
	enum err e;

	checks[0] = details[0] = '\0';
	e = admit_record(ad, &question, value, keys, &der, &verdict, &trace);
	assert_int_equal(ERR_peek_error(), 0);
	if (e == ERR_OK) {
		assert_true(
		    der.n > 0 && der.p >= value.p && der.p + der.n <= value.p + value.n);
	} else {
		assert_int_equal(der.n, 0);
		assert_string_equal(strchr(checks, '=') + 1, err_label(e));
	}
	return err_label(e);
}

static uint8_t record[32768];

/* Facts as admit_der() found them, in a record. */
static struct bytes stored(
    const struct facts *f, struct bytes der, const struct mac_keys *k)
{
	return bytes_of(record, record_encode(record, &key, f, der, k));
}

static void with_a_good_mac_the_facts_are_judged_and_not_the_der(void **state)
{
	struct mac_keys *keys = mac_keys_new(mac_key, 1);
	struct forge_response f = plan();
	struct facts facts;

	(void)state;
	f.break_signature = true; /* nobody looks */
	judge_forged(&f);
	facts = (struct facts){.status = STATUS_GOOD,
	    .reason = REASON_NONE,
	    .this_update = NOW - HOUR,
	    .next_update = NOW + DAY,
	    .produced_at = NOW - HOUR,
	    .signer_not_after = INT64_MAX};
	memcpy(facts.issuer_sha256, issuer.ca[1].sha256, 32);
	assert_string_equal(
	    judge_value(stored(&facts, forge_response(&f), keys), keys), ADMITTED);
	assert_true(verdict.mac_ok);
	assert_int_equal(verdict.warnings, 0);
	assert_int_equal(verdict.facts.next_update, NOW + DAY);
	assert_string_equal(
	    checks, "record mac issuer reason times produced_at order latch crl");
	assert_string_equal(
	    judge_value(stored(&facts, forge_response(&f), NULL), keys), "signature");
	mac_keys_free(keys);
}

/* R71: a list may have come since the value was stored. */
static void with_a_good_mac_the_lists_count_all_the_same(void **state)
{
	struct mac_keys *keys = mac_keys_new(mac_key, 1);
	struct forge_response f = plan();
	struct facts facts;

	(void)state;
	judge_forged(&f);
	facts = verdict.facts;
	list(NOW - 2 * HOUR, 1);
	assert_string_equal(judge_value(stored(&facts, forge_response(&f), keys), keys),
	    "contradicted_by_crl");
	assert_true(verdict.mac_ok && verdict.crl_disagrees);
	assert_string_equal(judge_value(stored(&facts, forge_response(&f), NULL), keys),
	    "contradicted_by_crl");
	list(NOW, -1);
	assert_string_equal(
	    judge_value(stored(&facts, forge_response(&f), keys), keys), ADMITTED);
	assert_false(verdict.crl_disagrees);
	no_list();
	mac_keys_free(keys);
}

/* T16 */
static void a_good_mac_replaces_the_signature_only(void **state)
{
	struct mac_keys *keys = mac_keys_new(mac_key, 1);
	struct bytes der = bytes_of("\x30\x00", 2);
	struct facts right = {.status = STATUS_GOOD,
	    .reason = REASON_NONE,
	    .this_update = NOW - HOUR,
	    .next_update = NOW + DAY,
	    .produced_at = NOW - HOUR,
	    .signer_not_after = NOW + 60};
	struct facts f, h;

	(void)state;
	memcpy(right.issuer_sha256, issuer.ca[0].sha256, 32);
	f = right;
	assert_string_equal(judge_value(stored(&f, der, keys), keys), ADMITTED);
	f.issuer_sha256[0] ^= 1;
	assert_string_equal(judge_value(stored(&f, der, keys), keys), "record_issuer");
	f = right;
	f.signer_not_after = NOW;
	assert_string_equal(
	    judge_value(stored(&f, der, keys), keys), "delegate_validity");
	f = right;
	f.next_update = NOW;
	assert_string_equal(judge_value(stored(&f, der, keys), keys), "expired");
	f = right;
	f.this_update = NOW + 301;
	assert_string_equal(
	    judge_value(stored(&f, der, keys), keys), "this_update_future");
	f = right;
	f.this_update = NOW - 11 * DAY;
	assert_string_equal(judge_value(stored(&f, der, keys), keys), ADMITTED);
	issuer.rules.profile = PROFILE_PUBLIC;
	assert_string_equal(judge_value(stored(&f, der, keys), keys), "this_update_old");
	issuer.rules.profile = PROFILE_PRIVATE;
	f = right;
	f.produced_at = NOW + 301;
	assert_string_equal(judge_value(stored(&f, der, keys), keys), "produced_at");
	h = held(STATUS_GOOD, NOW - HOUR + 1, NOW);
	question.held = &h;
	assert_string_equal(
	    judge_value(stored(&right, der, keys), keys), "older_than_held");
	question.held = NULL;
	question.latched = true;
	assert_string_equal(
	    judge_value(stored(&right, der, keys), keys), "contradicted_by_latch");
	question.latched = false;
	question.max_size = 1;
	assert_string_equal(
	    judge_value(stored(&right, der, keys), keys), "response_large");
	mac_keys_free(keys);
}

/* R44 (c): a MAC does not make up for a responder that is named no more. */
static void a_record_rests_on_the_named_responder_that_vouched(void **state)
{
	struct mac_keys *keys = mac_keys_new(mac_key, 1);
	struct forge_response f = delegated_plan(w.delegate);
	struct bytes der;
	struct facts facts;

	(void)state;
	f.certs_n = 0;
	der = forge_response(&f);
	name_responder(w.delegate);
	assert_string_equal(judge(der), ADMITTED);
	facts = verdict.facts;
	assert_string_equal(judge_value(stored(&facts, der, keys), keys), ADMITTED);
	assert_true(verdict.mac_ok);
	assert_string_equal(judge_value(stored(&facts, der, NULL), keys), ADMITTED);
	name_responder(w.rsa_delegate);
	assert_string_equal(
	    judge_value(stored(&facts, der, keys), keys), "record_issuer");
	assert_string_equal(judge_value(stored(&facts, der, NULL), keys), "responder_id");
	mac_keys_free(keys);
}

/* Another node saw it revoked; this one latches it too. */
static void a_revoked_record_with_a_good_mac_proves_the_revocation(void **state)
{
	struct mac_keys *keys = mac_keys_new(mac_key, 1);
	struct facts f = {.status = STATUS_REVOKED,
	    .reason = 1,
	    .revoked_at = NOW - DAY,
	    .this_update = NOW - HOUR,
	    .next_update = NOW + DAY,
	    .produced_at = NOW - HOUR,
	    .signer_not_after = INT64_MAX};

	(void)state;
	memcpy(f.issuer_sha256, issuer.ca[0].sha256, 32);
	assert_string_equal(
	    judge_value(stored(&f, bytes_of("\x30\x00", 2), keys), keys), ADMITTED);
	assert_true(verdict.revoked_proved);
	assert_int_equal(verdict.revoked_at, NOW - DAY);
	assert_int_equal(verdict.reason, 1);
	mac_keys_free(keys);
}

/* T16 */
static void without_a_good_mac_everything_is_verified(void **state)
{
	static const uint8_t other_key[1][32] = {{9}};
	struct mac_keys *keys = mac_keys_new(mac_key, 1),
			*other = mac_keys_new(other_key, 1);
	struct forge_response f = plan();
	struct bytes der = forge_response(&f);
	struct facts facts;

	(void)state;
	assert_string_equal(judge(der), ADMITTED);
	facts = verdict.facts;
	facts.status = STATUS_REVOKED; /* a lie in the header is not believed */
	facts.next_update = NOW + 900 * DAY;
	assert_string_equal(judge_value(stored(&facts, der, other), keys), ADMITTED);
	assert_false(verdict.mac_ok);
	assert_int_equal(verdict.warnings, ADMIT_WARN_UNSIGNED_MAC);
	assert_int_equal(verdict.facts.status, STATUS_GOOD);
	assert_int_equal(verdict.facts.next_update, NOW + DAY);
	assert_string_equal(judge_value(stored(&facts, der, NULL), keys), ADMITTED);
	assert_string_equal(judge_value(stored(&facts, der, keys), NULL), ADMITTED);
	assert_string_equal(judge_value(der, keys), ADMITTED); /* bare */
	assert_int_equal(verdict.warnings, ADMIT_WARN_UNSIGNED_MAC);
	assert_int_equal(strncmp(checks, "record mac parse status", 23), 0);
	f.key = w.sibling_key;
	assert_string_equal(judge_value(forge_response(&f), keys), "signature");
	mac_keys_free(keys);
	mac_keys_free(other);
}

/* R58: "now" must not start again with each reading of a store. */
static void without_next_update_only_a_mac_tells_when_it_was_fetched(void **state)
{
	struct mac_keys *keys = mac_keys_new(mac_key, 1);
	struct forge_response f = plan();
	struct bytes der;
	struct facts facts;

	(void)state;
	issuer.rules.without_next_update_s = 600;
	f.single[0].next_update = NULL;
	der = forge_response(&f);
	assert_string_equal(judge(der), ADMITTED);
	facts = verdict.facts;
	question.now = NOW + 599;
	assert_string_equal(judge_value(stored(&facts, der, keys), keys), ADMITTED);
	assert_int_equal(verdict.facts.next_update, NOW + 600);
	question.now = NOW + 600;
	assert_string_equal(judge_value(stored(&facts, der, keys), keys), "expired");
	question.now = NOW + 1;
	assert_string_equal(
	    judge_value(stored(&facts, der, NULL), keys), "next_update_missing");
	assert_string_equal(judge_value(der, keys), "next_update_missing");
	mac_keys_free(keys);
}

/* T1, T16 */
static void a_record_of_another_key_or_of_nothing_is_refused(void **state)
{
	struct mac_keys *keys = mac_keys_new(mac_key, 1);
	struct forge_response f = plan();
	struct bytes der = forge_response(&f), value;

	(void)state;
	assert_string_equal(judge(der), ADMITTED);
	value = stored(&verdict.facts, der, keys);
	ask_for(w.issuers, CERTID_SHA256, (const uint8_t *)"\x05", 1);
	assert_string_equal(judge_value(value, keys), "record_key");
	assert_string_equal(judge_value(bytes_of("junk", 4), keys), "record");
	assert_string_equal(judge_value(bytes_of("", 0), keys), "record");
	mac_keys_free(keys);
}

static void freeing_nothing_is_allowed(void **state)
{
	(void)state;
	admit_free(NULL);
}

#define CASE(f) cmocka_unit_test_setup_teardown(f, begin, end)

int main(void)
{
	const struct CMUnitTest tests[] = {
	    CASE(a_right_answer_is_admitted_with_all_its_facts),
	    CASE(a_delegated_answer_is_admitted_until_its_delegate_ends),
	    CASE(a_revoked_answer_is_admitted_and_proves_the_revocation),
	    CASE(an_unknown_answer_is_admitted),
	    CASE(every_hash_algorithm_with_and_without_parameters_is_the_same_certid),
	    CASE(every_allowed_signature_algorithm_is_verified),
	    CASE(the_renewed_ca_may_sign_for_the_old_one),
	    CASE(bytes_that_are_no_response_are_refused),
	    CASE(a_truncated_answer_is_refused_at_every_length),
	    CASE(an_answer_with_any_one_byte_changed_is_never_another_answer),
	    CASE(bytes_after_the_answer_are_refused),
	    CASE(an_answer_over_the_size_limit_is_refused_unread),
	    CASE(every_other_response_status_is_a_reason_of_its_own),
	    CASE(a_long_response_status_is_not_cut_down_to_successful),
	    CASE(successful_without_bytes_or_with_another_type_is_refused),
	    CASE(a_version_other_than_v1_is_refused),
	    CASE(long_lengths_are_verified_over_the_bytes_as_they_came),
	    CASE(a_forged_signature_is_refused),
	    CASE(md5_is_never_allowed),
	    CASE(sha1_signatures_need_the_issuers_option),
	    CASE(a_short_rsa_key_goes_only_with_sha1),
	    CASE(an_algorithm_for_another_kind_of_key_is_no_signature),
	    CASE(a_responder_id_that_nobody_fits_is_refused),
	    CASE(a_delegate_that_is_not_included_cannot_be_found),
	    CASE(a_named_responder_may_leave_its_certificate_out),
	    CASE(a_named_responder_is_one_by_the_operators_word),
	    CASE(a_named_responder_is_in_date_and_has_a_strong_key),
	    CASE(a_public_ca_has_no_responders_but_its_own),
	    CASE(what_is_right_without_them_does_not_rest_on_named_ones),
	    CASE(strangers_do_not_hide_a_named_responder),
	    CASE(a_delegate_must_name_ocsp_signing),
	    CASE(a_delegate_of_another_ca_is_refused),
	    CASE(a_delegate_of_a_sub_ca_is_refused_though_its_chain_is_included),
	    CASE(a_forged_delegate_is_refused),
	    CASE(a_delegate_outside_its_validity_is_refused),
	    CASE(a_remembered_delegate_still_expires),
	    CASE(a_remembered_delegate_is_judged_by_the_rules_of_the_day),
	    CASE(a_remembered_delegate_is_not_verified_again_until_forgotten),
	    CASE(a_certificate_that_differs_in_its_last_byte_is_not_remembered),
	    CASE(a_certificate_that_differs_in_any_byte_is_not_remembered),
	    CASE(several_certificates_are_read_in_any_order),
	    CASE(what_is_odd_around_a_remembered_certificate_is_read_as_a_whole),
	    CASE(a_long_answer_by_a_remembered_delegate_is_admitted),
	    CASE(a_remembered_delegate_of_another_issuer_is_refused),
	    CASE(a_responder_that_is_named_no_more_is_refused_though_remembered),
	    CASE(a_remembered_certificate_outlives_the_table),
	    CASE(many_delegates_push_one_another_out_and_are_verified_again),
	    CASE(a_delegate_without_nocheck_is_a_warning_or_a_refusal),
	    CASE(a_delegates_extensions_may_forbid_its_use),
	    CASE(a_sha1_signature_of_a_delegate_needs_the_option_too),
	    CASE(a_delegate_with_a_short_key_is_refused),
	    CASE(an_rsa_delegate_of_an_ec_ca_is_admitted),
	    CASE(the_issuers_certificate_and_strangers_in_certs_do_no_harm),
	    CASE(each_certificate_that_fits_is_tried_and_the_best_reason_told),
	    CASE(only_so_many_candidates_are_tried),
	    CASE(another_nonce_than_we_sent_is_refused),
	    CASE(an_unknown_critical_extension_is_refused_in_both_places),
	    CASE(the_known_extensions_may_be_critical),
	    CASE(an_extension_that_appears_twice_is_refused),
	    CASE(an_answer_for_another_certificate_is_refused),
	    CASE(a_serial_that_begins_like_ours_is_another),
	    CASE(a_negative_serial_never_aliases_a_positive_one),
	    CASE(no_answer_is_taken_for_another_question),
	    CASE(a_serial_of_forty_octets_matches_nothing),
	    CASE(an_answer_by_another_hash_algorithm_is_not_served),
	    CASE(contradicting_duplicates_are_refused_and_prove_the_revocation),
	    CASE(a_single_that_fits_in_one_hash_only_is_of_another_ca),
	    CASE(a_contradiction_under_another_hash_algorithm_is_one_too),
	    CASE(what_proves_a_revocation_is_in_date_and_no_hold),
	    CASE(more_than_one_single_response_is_refused),
	    CASE(reasons_that_no_answer_can_have_are_refused),
	    CASE(a_hold_is_revoked_but_latches_nothing),
	    CASE(a_revocation_date_in_the_future_is_revoked_now),
	    CASE(this_update_may_be_in_the_future_by_the_skew_only),
	    CASE(next_update_is_the_end_to_the_second),
	    CASE(next_update_must_be_after_this_update),
	    CASE(the_year_9999_is_far_away_and_no_overflow),
	    CASE(ten_days_are_a_warning_or_for_public_cas_the_end),
	    CASE(without_next_update_the_operator_says_how_long),
	    CASE(times_of_another_form_are_read_for_private_cas_only),
	    CASE(the_form_counts_in_every_time_of_an_answer),
	    CASE(the_leap_day_is_a_day_and_only_in_leap_years),
	    CASE(produced_at_has_its_bounds),
	    CASE(an_expired_issuer_certificate_is_still_the_issuer),
	    CASE(an_older_answer_never_replaces_a_newer_one),
	    CASE(within_one_second_revoked_wins),
	    CASE(a_hold_is_released_by_a_newer_this_update_only),
	    CASE(a_replayed_revocation_is_refused_but_latched),
	    CASE(what_is_latched_is_never_good_nor_unknown_again),
	    CASE(what_a_list_says_revoked_is_good_by_no_answer),
	    CASE(a_hold_in_a_list_ends_with_a_newer_good),
	    CASE(a_list_that_has_expired_still_revokes),
	    CASE(latch_and_list_are_told_as_the_latch),
	    CASE(with_a_good_mac_the_lists_count_all_the_same),
	    CASE(with_a_good_mac_the_facts_are_judged_and_not_the_der),
	    CASE(a_good_mac_replaces_the_signature_only),
	    CASE(a_record_rests_on_the_named_responder_that_vouched),
	    CASE(a_revoked_record_with_a_good_mac_proves_the_revocation),
	    CASE(without_a_good_mac_everything_is_verified),
	    CASE(without_next_update_only_a_mac_tells_when_it_was_fetched),
	    CASE(a_record_of_another_key_or_of_nothing_is_refused),
	    cmocka_unit_test(freeing_nothing_is_allowed),
	};

	return cmocka_run_group_tests(tests, world_make, world_free);
}
