/* Candidates by responderID, then the rules in the order of enum err: of several that
 * will not do, the reason that is told is that of the one which came furthest. */
#include "cache/ocsp/responder.h"

#include <openssl/evp.h>
#include <openssl/sha.h>
#include <openssl/x509v3.h>
#include <stdlib.h>
#include <time.h>
#include <xxhash.h>

#include "cache/base/signature.h"
#include "cache/ocsp/verifier.h"

/* A CA changes its delegate every few days or weeks and may use some at once; 1024 hold
 * those of hundreds of issuers, at about 5 KB each.  One that is forgotten costs one
 * decoding and one signature check. */
#define WAYS       4
#define SETS       256
#define SET_OCTETS 64

/* Certificates in one answer that are tried.  Each costs two signature checks, and
 * certs[] is not signed: without a bound, whoever can alter an answer makes us compute.
 */
#define CANDIDATES_MAX 8

struct remembered {
	uint8_t ca[32];    /* issuer_ca.sha256 */
	X509 *certificate; /* owned; decoded from der, with its key set up */
	uint8_t key_sha1[SHA_DIGEST_LENGTH];
	size_t n;
	uint8_t der[];
};

struct delegates {
	struct remembered *set[SETS][WAYS]; /* owned; the one used last in front */
	struct verifier *verifier;          /* of answers */
};

struct delegates *delegates_new(void)
{
	struct delegates *d = calloc(1, sizeof *d);

	if (d != NULL && (d->verifier = verifier_new()) == NULL) {
		free(d);
		return NULL;
	}
	return d;
}

static void remembered_free(struct remembered *r)
{
	if (r != NULL)
		X509_free(r->certificate);
	free(r);
}

void delegates_forget(struct delegates *d)
{
	for (size_t s = 0; s < SETS; s++)
		for (size_t w = 0; w < WAYS; w++) {
			remembered_free(d->set[s][w]);
			d->set[s][w] = NULL;
		}
	verifier_forget(d->verifier);
}

void delegates_free(struct delegates *d)
{
	if (d == NULL)
		return;
	delegates_forget(d);
	verifier_free(d->verifier);
	free(d);
}

/* By its first octets, among which its serial is: a hash says where to look and no more.
 * No seed: who is in the table was issued by a CA that we know. */
static struct remembered **set_of(struct delegates *d, struct bytes der)
{
	return d->set[XXH3_64bits(der.p, der.n < SET_OCTETS ? der.n : SET_OCTETS) % SETS];
}

/* What is remembered of these bytes, as issued by this CA or (NULL) by any; NULL for
 * nothing.  It is in front of its set then. */
static struct remembered *recall(struct delegates *d, struct bytes der, const uint8_t *ca)
{
	struct remembered **set = set_of(d, der);

	for (size_t w = 0; w < WAYS && set[w] != NULL; w++) {
		struct remembered *r = set[w];

		if (!bytes_equal(bytes_of(r->der, r->n), der) ||
		    (ca != NULL && memcmp(r->ca, ca, 32) != 0))
			continue;
		memmove(set + 1, set, w * sizeof *set);
		set[0] = r;
		return r;
	}
	return NULL;
}

bool delegates_find(void *d, struct bytes der, struct ocsp_known *out)
{
	const struct remembered *r = recall(d, der, NULL);

	if (r == NULL || X509_up_ref(r->certificate) != 1)
		return false;
	out->certificate = r->certificate;
	memcpy(out->key_sha1, r->key_sha1, sizeof out->key_sha1);
	return true;
}

/* RFC 6960 section 4.2.1: of the key's BIT STRING without tag, length and number of
 * unused bits. */
static bool hash_key(const X509 *x, uint8_t out[SHA_DIGEST_LENGTH])
{
	const ASN1_BIT_STRING *bits = X509_get0_pubkey_bitstr(x);

	return bits != NULL &&
	       EVP_Digest(ASN1_STRING_get0_data(bits), (size_t)ASN1_STRING_length(bits),
		   out, NULL, EVP_sha1(), NULL) == 1;
}

/* That ca issued what has these bytes.  They are decoded for it, so that what is
 * remembered is what they are and nothing that came otherwise.  NULL when out of memory:
 * nothing is lost but time. */
static struct remembered *remember(
    struct delegates *d, struct bytes der, const uint8_t *ca)
{
	struct remembered *r = malloc(sizeof *r + der.n), **set;
	const unsigned char *p = der.p;

	if (r == NULL)
		return NULL;
	r->certificate = d2i_X509(NULL, &p, (long)der.n);
	if (r->certificate == NULL || p != der.p + der.n ||
	    !hash_key(r->certificate, r->key_sha1)) {
		remembered_free(r);
		return NULL;
	}
	memcpy(r->ca, ca, sizeof r->ca);
	r->n = der.n;
	memcpy(r->der, der.p, der.n);
	set = set_of(d, der);
	remembered_free(set[WAYS - 1]);
	memmove(set + 1, set, (WAYS - 1) * sizeof *set);
	set[0] = r;
	return r;
}

/* RFC 6960 section 4.2.1: byName is the subject, byKey the hash of the key (R51), which
 * is computed where it is not known. */
static bool fits(const struct ocsp_response *r, const X509 *x, const uint8_t *key_sha1)
{
	uint8_t made[SHA_DIGEST_LENGTH];
	const ASN1_OCTET_STRING *by_key;
	const X509_NAME *by_name;

	if (OCSP_resp_get0_id(r->basic, &by_key, &by_name) != 1)
		return false;
	if (by_name != NULL)
		return X509_NAME_cmp(by_name, X509_get_subject_name(x)) == 0;
	if (key_sha1 == NULL && !hash_key(x, made))
		return false;
	return bytes_equal(bytes_of(key_sha1 != NULL ? key_sha1 : made, sizeof made),
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

/* The CA certificate that issued x directly, and x's key to use; NULL where none did.
 * der: x's bytes.  d may be NULL: nothing is remembered. */
static const struct issuer_ca *issued_by(struct delegates *d, const struct issuer *i,
    X509 *x, struct bytes der, EVP_PKEY **key)
{
	for (size_t n = 0; n < i->ca_n; n++) {
		const struct issuer_ca *ca = &i->ca[n];
		const struct remembered *known =
		    d != NULL ? recall(d, der, ca->sha256) : NULL;

		if (known == NULL) {
			if (X509_NAME_cmp(X509_get_issuer_name(x),
				X509_get_subject_name(ca->certificate)) != 0 ||
			    X509_verify(x, ca->key) != 1)
				continue;
			if (d != NULL)
				known = remember(d, der, ca->sha256);
		}
		*key = X509_get0_pubkey(known != NULL ? known->certificate : x);
		return ca;
	}
	return NULL;
}

/* The same by the bytes that OpenSSL writes for it, where they are not at hand. */
static const struct issuer_ca *find_issuer(struct delegates *d, const struct issuer *i,
    X509 *x, struct bytes der, EVP_PKEY **key)
{
	const struct issuer_ca *ca;
	unsigned char *made = NULL;
	int n;

	if (der.n > 0)
		return issued_by(d, i, x, der, key);
	n = i2d_X509(x, &made);
	if (n <= 0)
		return NULL;
	ca = issued_by(d, i, x, bytes_of(made, (size_t)n), key);
	OPENSSL_free(made);
	return ca;
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

/* In the order of enum err, so that a larger reason came further.  der: x's bytes, or
 * none. */
static enum err check_delegate(struct delegates *d, const struct issuer *i, X509 *x,
    struct bytes der, int64_t now, int64_t skew_s, struct responder *out, EVP_PKEY **key)
{
	const struct issuer_ca *ca;
	enum err e =
	    signature_algorithm_check(X509_get0_tbs_sigalg(x), &i->rules, &out->sha1);

	if (e != ERR_OK)
		return e;
	ca = find_issuer(d, i, x, der, key);
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
		e = check_delegate(
		    d, i, n->certificate, (struct bytes){0}, now, skew_s, out, &key);
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

/* Over the bytes that came (R67). */
static enum err check_signature(struct delegates *d, const struct ocsp_response *r,
    const struct issuer *i, EVP_PKEY *key)
{
	if (key == NULL || !signature_key_is_strong(key, &i->rules))
		return ERR_RESP_SIGALG;
	return verifier_check(d->verifier, OCSP_resp_get0_tbs_sigalg(r->basic),
		   OCSP_resp_get0_signature(r->basic), r->tbs, key)
		   ? ERR_OK
		   : ERR_RESP_SIGNATURE;
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

static enum err try_issuer(struct delegates *d, const struct ocsp_response *r,
    const struct issuer *i, struct responder *out)
{
	enum err best = ERR_RESP_RESPONDER;

	for (size_t n = 0; n < i->ca_n && best != ERR_OK; n++) {
		struct responder c = {.vouched = i->ca[n].sha256,
		    .not_before = INT64_MIN,
		    .not_after = INT64_MAX,
		    .nocheck = true};

		if (fits(r, i->ca[n].certificate, i->ca[n].key_hash[CERTID_SHA1]))
			keep_best(&best, out, check_signature(d, r, i, i->ca[n].key), &c);
	}
	return best;
}

static void try_included(struct delegates *d, const struct ocsp_response *r,
    const struct issuer *i, int64_t now, int64_t skew_s, enum err *best,
    struct responder *out)
{
	const uint8_t *key_sha1 = r->known.certificate != NULL ? r->known.key_sha1 : NULL;
	int tried = 0, all = ocsp_response_certificates_n(r);

	for (int n = 0; n < all && *best != ERR_OK; n++) {
		struct responder c = {.delegate = ocsp_response_certificate(r, n)};
		EVP_PKEY *key = NULL;
		enum err e;

		if (!fits(r, c.delegate, key_sha1))
			continue;
		if (tried++ == CANDIDATES_MAX)
			break;
		e = check_delegate(d, i, c.delegate, r->known_der, now, skew_s, &c, &key);
		if (e == ERR_OK)
			e = check_signature(d, r, i, key);
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

		if (!fits(r, named->certificate, NULL))
			continue;
		e = check_named(d, i, named, now, skew_s, &c);
		if (e == ERR_OK)
			e = check_signature(d, r, i, named->key);
		keep_best(best, out, e, &c);
	}
}

enum err responder_find(struct delegates *d, const struct ocsp_response *r,
    const struct issuer *i, int64_t now, int64_t skew_s, struct responder *out)
{
	enum err best;

	*out = (struct responder){0};
	best = try_issuer(d, r, i, out);
	try_included(d, r, i, now, skew_s, &best, out);
	try_named(d, r, i, now, skew_s, &best, out);
	return best;
}
