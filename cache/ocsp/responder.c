/* Candidates by responderID, then the rules in the order of enum err: of several that
 * will not do, the reason that is told is that of the one which came furthest. */
#include "cache/ocsp/responder.h"

#include <openssl/evp.h>
#include <openssl/sha.h>
#include <openssl/x509v3.h>
#include <stdlib.h>
#include <time.h>

#include "cache/base/signature.h"

/* A CA changes its delegate every few days or weeks and may use some at once; 1024 hold
 * those of hundreds of issuers in about 74 KB, plus the certificates.  One that is
 * forgotten costs one signature check. */
#define WAYS 4
#define SETS 256

/* Certificates in one answer that are tried.  Each costs two signature checks, and
 * certs[] is not signed: without a bound, whoever can alter an answer makes us compute.
 */
#define CANDIDATES_MAX 8

struct remembered {
	uint8_t id[32];    /* SHA-256 of the certificate */
	uint8_t ca[32];    /* issuer_ca.sha256 */
	X509 *certificate; /* owned; NULL: free.  Kept for its key, decoded and set up */
};

struct delegates {
	struct remembered set[SETS][WAYS]; /* the one used last in front */
};

struct delegates *delegates_new(void)
{
	return calloc(1, sizeof(struct delegates));
}

void delegates_forget(struct delegates *d)
{
	for (size_t s = 0; s < SETS; s++)
		for (size_t w = 0; w < WAYS; w++) {
			X509_free(d->set[s][w].certificate);
			d->set[s][w] = (struct remembered){0};
		}
}

void delegates_free(struct delegates *d)
{
	if (d != NULL)
		delegates_forget(d);
	free(d);
}

static void move_to_front(struct remembered *set, size_t w)
{
	struct remembered r = set[w];

	memmove(set + 1, set, w * sizeof *set);
	set[0] = r;
}

/* The remembered certificate (borrowed), or NULL. */
static X509 *recall(struct delegates *d, const uint8_t *id, const uint8_t *ca)
{
	struct remembered *set = d->set[id[0] % SETS];

	for (size_t w = 0; w < WAYS; w++)
		if (set[w].certificate != NULL && memcmp(set[w].id, id, 32) == 0 &&
		    memcmp(set[w].ca, ca, 32) == 0) {
			move_to_front(set, w);
			return set[0].certificate;
		}
	return NULL;
}

static void remember(struct delegates *d, const uint8_t *id, const uint8_t *ca, X509 *x)
{
	struct remembered *set = d->set[id[0] % SETS];

	if (X509_up_ref(x) != 1)
		return;
	move_to_front(set, WAYS - 1);
	X509_free(set[0].certificate);
	memcpy(set[0].id, id, 32);
	memcpy(set[0].ca, ca, 32);
	set[0].certificate = x;
}

/* RFC 6960 section 4.2.1: byKey is the SHA-1 of the key's BIT STRING without tag, length
 * and number of unused bits; byName is the subject (R51). */
static bool fits(const struct ocsp_response *r, const X509 *x)
{
	const ASN1_OCTET_STRING *by_key;
	const X509_NAME *by_name;
	const ASN1_BIT_STRING *bits = X509_get0_pubkey_bitstr(x);
	uint8_t hash[SHA_DIGEST_LENGTH];

	if (OCSP_resp_get0_id(r->basic, &by_key, &by_name) != 1)
		return false;
	if (by_name != NULL)
		return X509_NAME_cmp(by_name, X509_get_subject_name(x)) == 0;
	if (bits == NULL ||
	    EVP_Digest(ASN1_STRING_get0_data(bits), (size_t)ASN1_STRING_length(bits),
		hash, NULL, EVP_sha1(), NULL) != 1)
		return false;
	return bytes_equal(bytes_of(hash, sizeof hash),
	    bytes_of(ASN1_STRING_get0_data(by_key), (size_t)ASN1_STRING_length(by_key)));
}

static bool wall_clock(const ASN1_TIME *t, int64_t *at)
{
	struct tm tm;

	if (ASN1_TIME_to_tm(t, &tm) != 1)
		return false;
	*at = timegm(&tm);
	return true;
}

/* The CA certificate that issued x directly, and x's key to use; NULL where none did.  d
 * may be NULL: nothing is remembered. */
static const struct issuer_ca *issued_by(
    struct delegates *d, const struct issuer *i, X509 *x, EVP_PKEY **key)
{
	uint8_t id[32];

	if (X509_digest(x, EVP_sha256(), id, NULL) != 1)
		return NULL;
	for (size_t n = 0; n < i->ca_n; n++) {
		const struct issuer_ca *ca = &i->ca[n];
		X509 *known = d != NULL ? recall(d, id, ca->sha256) : NULL;

		if (known == NULL &&
		    X509_NAME_cmp(X509_get_issuer_name(x),
			X509_get_subject_name(ca->certificate)) == 0 &&
		    X509_verify(x, ca->key) == 1) {
			if (d != NULL)
				remember(d, id, ca->sha256, x);
			known = x;
		}
		if (known != NULL) {
			*key = X509_get0_pubkey(known);
			return ca;
		}
	}
	return NULL;
}

/* R45: the purpose must be named.  RFC 6960 section 4.2.2.2: anyExtendedKeyUsage, or none
 * at all, does not make a certificate a responder's. */
static bool names_ocsp_signing(X509 *x)
{
	return (X509_get_extension_flags(x) & EXFLAG_XKUSAGE) != 0 &&
	       (X509_get_extended_key_usage(x) & XKU_OCSP_SIGN) != 0;
}

/* A delegate that is a CA itself: RFC 6960 does not forbid it, BoringSSL takes it,
 * Firefox (mozpkix) does not, and the CA/B Baseline Requirements (7.1.2.8.4) forbid it
 * since such certificates were issued by mistake in 2020.  So the profile decides. */
static bool usage_is_allowed(X509 *x, const struct issuer_rules *rules)
{
	uint32_t flags = X509_get_extension_flags(x);
	uint32_t usage = X509_get_key_usage(x); /* UINT32_MAX without the extension */

	if ((flags & (EXFLAG_INVALID | EXFLAG_CRITICAL)) != 0)
		return false;
	if ((flags & EXFLAG_CA) != 0 && rules->profile == PROFILE_PUBLIC)
		return false;
	return (usage & (KU_DIGITAL_SIGNATURE | KU_NON_REPUDIATION)) != 0;
}

/* The skew is for a delegate that was made just now.  None at the end: the answer would
 * be served after it (R48). */
static enum err check_dates(
    const X509 *x, int64_t now, int64_t skew_s, struct responder *out)
{
	return wall_clock(X509_get0_notBefore(x), &out->not_before) &&
		       wall_clock(X509_get0_notAfter(x), &out->not_after) &&
		       out->not_before <= now + skew_s && out->not_after > now
		   ? ERR_OK
		   : ERR_RESP_VALIDITY;
}

/* In the order of enum err, so that a larger reason came further. */
static enum err check_delegate(struct delegates *d, const struct issuer *i, X509 *x,
    int64_t now, int64_t skew_s, struct responder *out, EVP_PKEY **key)
{
	const struct issuer_ca *ca;
	enum err e =
	    signature_algorithm_check(X509_get0_tbs_sigalg(x), &i->rules, &out->sha1);

	if (e != ERR_OK)
		return e;
	ca = issued_by(d, i, x, key);
	if (ca == NULL)
		return ERR_RESP_ISSUED;
	out->vouched = ca->sha256;
	if (!names_ocsp_signing(x))
		return ERR_RESP_EKU;
	if (!usage_is_allowed(x, &i->rules))
		return ERR_RESP_USAGE;
	e = check_dates(x, now, skew_s, out);
	if (e != ERR_OK)
		return e;
	out->nocheck = X509_get_ext_by_NID(x, NID_id_pkix_OCSP_noCheck, -1) >= 0;
	if (!out->nocheck && i->rules.profile == PROFILE_PUBLIC)
		return ERR_RESP_NOCHECK;
	return ERR_OK;
}

/* R44 (c), and its limits: responder.h. */
static enum err check_named(struct delegates *d, const struct issuer *i,
    const struct issuer_responder *n, int64_t now, int64_t skew_s, struct responder *out)
{
	EVP_PKEY *key;
	enum err e;

	if (i->rules.profile == PROFILE_PUBLIC)
		e = check_delegate(d, i, n->certificate, now, skew_s, out, &key);
	else
		e = check_dates(n->certificate, now, skew_s, out);
	out->vouched = n->sha256;
	out->delegate = n->certificate;
	out->named = true;
	out->nocheck = true;
	return e;
}

enum err responder_named_check(const struct issuer *i, size_t n, int64_t now)
{
	const struct issuer_responder *named = &i->responder[n];
	struct responder out = {0};

	if (!signature_key_is_strong(named->key, &i->rules))
		return ERR_RESP_SIGALG;
	return check_named(NULL, i, named, now, 0, &out);
}

static enum err check_signature(
    const struct ocsp_response *r, const struct issuer *i, EVP_PKEY *key)
{
	if (key == NULL || !signature_key_is_strong(key, &i->rules))
		return ERR_RESP_SIGALG;
	return ocsp_response_signed_by(r, key) ? ERR_OK : ERR_RESP_SIGNATURE;
}

/* The reason kept is that of the candidate that came furthest.  ERR_RESP_RESPONDER, where
 * it starts, means that there was none: any other reason replaces it. */
static void keep_best(
    enum err *best, struct responder *out, enum err e, const struct responder *c)
{
	if (e == ERR_OK || *best == ERR_RESP_RESPONDER || e > *best) {
		*best = e;
		*out = *c;
	}
}

static enum err try_issuer(
    const struct ocsp_response *r, const struct issuer *i, struct responder *out)
{
	enum err best = ERR_RESP_RESPONDER;

	for (size_t n = 0; n < i->ca_n && best != ERR_OK; n++) {
		struct responder c = {.vouched = i->ca[n].sha256,
		    .not_before = INT64_MIN,
		    .not_after = INT64_MAX,
		    .nocheck = true};

		if (fits(r, i->ca[n].certificate))
			keep_best(&best, out, check_signature(r, i, i->ca[n].key), &c);
	}
	return best;
}

static void try_included(struct delegates *d, const struct ocsp_response *r,
    const struct issuer *i, int64_t now, int64_t skew_s, enum err *best,
    struct responder *out)
{
	const STACK_OF(X509) *certs = OCSP_resp_get0_certs(r->basic);
	int tried = 0;

	for (int n = 0; n < sk_X509_num(certs) && *best != ERR_OK; n++) {
		struct responder c = {.delegate = sk_X509_value(certs, n)};
		EVP_PKEY *key = NULL;
		enum err e;

		if (!fits(r, c.delegate))
			continue;
		if (tried++ == CANDIDATES_MAX)
			break;
		e = check_delegate(d, i, c.delegate, now, skew_s, &c, &key);
		if (e == ERR_OK)
			e = check_signature(r, i, key);
		keep_best(best, out, e, &c);
	}
}

static void try_named(struct delegates *d, const struct ocsp_response *r,
    const struct issuer *i, int64_t now, int64_t skew_s, enum err *best,
    struct responder *out)
{
	for (size_t n = 0; n < i->responder_n && *best != ERR_OK; n++) {
		const struct issuer_responder *named = &i->responder[n];
		struct responder c = {0};
		enum err e;

		if (!fits(r, named->certificate))
			continue;
		e = check_named(d, i, named, now, skew_s, &c);
		if (e == ERR_OK)
			e = check_signature(r, i, named->key);
		keep_best(best, out, e, &c);
	}
}

enum err responder_find(struct delegates *d, const struct ocsp_response *r,
    const struct issuer *i, int64_t now, int64_t skew_s, struct responder *out)
{
	enum err best;

	*out = (struct responder){0};
	best = try_issuer(r, i, out);
	try_included(d, r, i, now, skew_s, &best, out);
	try_named(d, r, i, now, skew_s, &best, out);
	return best;
}
