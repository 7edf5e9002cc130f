/* watch_x509.c - the parts of a certificate that a watchlist needs, by OpenSSL's
 * templates. */
#include "cache/watch/watch_x509.h"

#include <arpa/inet.h>
#include <limits.h>
#include <openssl/asn1t.h>
#include <openssl/bio.h>
#include <openssl/err.h>
#include <openssl/x509v3.h>
#include <stdlib.h>
#include <time.h>

#include "cache/base/utf8.h"

/* SubjectPublicKeyInfo, its key as bits. */
struct watch_spki {
	X509_ALGOR *algorithm;
	ASN1_BIT_STRING *key;
};

/* RFC 5280 section 4.1. */
struct watch_tbs {
	ASN1_INTEGER *version, *serial;
	X509_ALGOR *algorithm;
	X509_NAME *issuer;
	X509_VAL *validity;
	X509_NAME *subject;
	struct watch_spki *spki;
	ASN1_BIT_STRING *issuer_id, *subject_id;
	STACK_OF(X509_EXTENSION) * extensions;
};

struct watch_outer {
	ASN1_STRING *tbs; /* as it came: what is signed */
	X509_ALGOR *algorithm;
	ASN1_BIT_STRING *signature;
};

/* clang-format off */
ASN1_SEQUENCE(watch_spki) = {
	ASN1_SIMPLE(struct watch_spki, algorithm, X509_ALGOR),
	ASN1_SIMPLE(struct watch_spki, key, ASN1_BIT_STRING)
} static_ASN1_SEQUENCE_END_name(struct watch_spki, watch_spki)

ASN1_SEQUENCE(watch_tbs) = {
	ASN1_EXP_OPT(struct watch_tbs, version, ASN1_INTEGER, 0),
	ASN1_SIMPLE(struct watch_tbs, serial, ASN1_INTEGER),
	ASN1_SIMPLE(struct watch_tbs, algorithm, X509_ALGOR),
	ASN1_SIMPLE(struct watch_tbs, issuer, X509_NAME),
	ASN1_SIMPLE(struct watch_tbs, validity, X509_VAL),
	ASN1_SIMPLE(struct watch_tbs, subject, X509_NAME),
	ASN1_SIMPLE(struct watch_tbs, spki, watch_spki),
	ASN1_IMP_OPT(struct watch_tbs, issuer_id, ASN1_BIT_STRING, 1),
	ASN1_IMP_OPT(struct watch_tbs, subject_id, ASN1_BIT_STRING, 2),
	ASN1_EXP_SEQUENCE_OF_OPT(struct watch_tbs, extensions, X509_EXTENSION, 3)
} static_ASN1_SEQUENCE_END_name(struct watch_tbs, watch_tbs)

ASN1_SEQUENCE(watch_outer) = {
	ASN1_SIMPLE(struct watch_outer, tbs, ASN1_SEQUENCE),
	ASN1_SIMPLE(struct watch_outer, algorithm, X509_ALGOR),
	ASN1_SIMPLE(struct watch_outer, signature, ASN1_BIT_STRING)
} static_ASN1_SEQUENCE_END_name(struct watch_outer, watch_outer)
    /* clang-format on */

    struct watch_x509 {
	struct watch_outer *outer;
	struct watch_tbs *tbs;
	uint8_t *der; /* owned */
	size_t der_n;
	struct serial serial;
	uint8_t aki[WATCH_AKI_MAX];
	size_t aki_n;
	bool is_ca;
};

static struct bytes octets(const ASN1_STRING *s)
{
	int n = s != NULL ? ASN1_STRING_length(s) : 0;

	return n > 0 ? bytes_of(ASN1_STRING_get0_data(s), (size_t)n) : bytes_of(NULL, 0);
}

static void *extension(const struct watch_x509 *x, int nid)
{
	return X509V3_get_d2i(x->tbs->extensions, nid, NULL, NULL);
}

static void read_aki(struct watch_x509 *x)
{
	AUTHORITY_KEYID *a = extension(x, NID_authority_key_identifier);
	struct bytes id = octets(a != NULL ? a->keyid : NULL);

	if (id.n > 0 && id.n <= sizeof x->aki) {
		memcpy(x->aki, id.p, id.n);
		x->aki_n = id.n;
	}
	AUTHORITY_KEYID_free(a);
}

static void read_constraints(struct watch_x509 *x)
{
	BASIC_CONSTRAINTS *b = extension(x, NID_basic_constraints);

	x->is_ca = b != NULL && b->ca != 0;
	BASIC_CONSTRAINTS_free(b);
}

static bool decode(struct watch_x509 *x, struct bytes der, bool trusted)
{
	const unsigned char *p = der.p, *tbs;
	struct bytes raw;

	x->outer = (struct watch_outer *)ASN1_item_d2i(
	    NULL, &p, (long)der.n, ASN1_ITEM_rptr(watch_outer));
	if (x->outer == NULL || (p != der.p + der.n && !trusted))
		return false;
	x->der_n = (size_t)(p - der.p);
	raw = octets(x->outer->tbs);
	tbs = raw.p;
	x->tbs = (struct watch_tbs *)ASN1_item_d2i(
	    NULL, &tbs, (long)raw.n, ASN1_ITEM_rptr(watch_tbs));
	return x->tbs != NULL && tbs == raw.p + raw.n;
}

/* Was there no memory for OpenSSL?  Then what could not be read may be there all the
 * same.  Empties its queue. */
static bool out_of_memory(void)
{
	bool found = false;
	unsigned long code;

	while ((code = ERR_get_error()) != 0)
		found = found || ERR_GET_REASON(code) == ERR_R_MALLOC_FAILURE;
	return found;
}

/* What OpenSSL says of it, without the file and the line of its source. */
static void refuse_der(struct watch_error *e, bool behind)
{
	const char *reason = ERR_reason_error_string(ERR_peek_error());

	if (behind)
		watch_refuse(e, WATCH_BAD_DER, "there are octets behind the certificate");
	else
		watch_refuse(e, WATCH_BAD_DER, "not the DER of a certificate (%s)",
		    reason != NULL ? reason : "malformed");
	if (out_of_memory())
		watch_refuse(e, WATCH_NOMEM, "out of memory");
}

static bool take(
    struct watch_x509 *x, struct bytes der, bool trusted, struct watch_error *e)
{
	if (der.n > INT_MAX || !decode(x, der, trusted)) {
		refuse_der(e, x->outer != NULL && x->der_n == 0);
		return false;
	}
	if (serial_from_asn1(&x->serial, x->tbs->serial) != ERR_OK)
		return watch_refuse(e, WATCH_BAD_SERIAL,
		    "its serial number has more than %d octets", SERIAL_MAX);
	read_aki(x);
	read_constraints(x);
	x->der = malloc(x->der_n);
	if (out_of_memory() || x->der == NULL)
		return watch_refuse(e, WATCH_NOMEM, "out of memory");
	memcpy(x->der, der.p, x->der_n);
	return true;
}

struct watch_x509 *watch_x509_new(struct bytes der, bool trusted, struct watch_error *e)
{
	struct watch_x509 *x = calloc(1, sizeof *x);

	ERR_clear_error();
	if (x == NULL) {
		watch_refuse(e, WATCH_NOMEM, "out of memory");
	} else if (!take(x, der, trusted, e)) {
		watch_x509_free(x);
		x = NULL;
	}
	return x;
}

void watch_x509_free(struct watch_x509 *x)
{
	if (x == NULL)
		return;
	ASN1_item_free((ASN1_VALUE *)x->tbs, ASN1_ITEM_rptr(watch_tbs));
	ASN1_item_free((ASN1_VALUE *)x->outer, ASN1_ITEM_rptr(watch_outer));
	free(x->der);
	free(x);
}

/* Of others' octets a name: what is no UTF-8 becomes U+FFFD. */
static void add_name(struct watch_texts *t, struct bytes in)
{
	uint8_t out[WATCH_TEXT_MAX + UTF8_MAX]; /* more has no room there either */
	size_t n = 0, len;

	for (size_t i = 0; i < in.n && n < WATCH_TEXT_MAX; i += len) {
		unsigned code = 0;

		len = utf8_length(in.p + i, in.n - i, &code);
		if (len == 0 || code == 0) {
			len = 1;
			code = 0xfffd;
		}
		n += utf8_put(code, out + n);
	}
	watch_texts_name(t, bytes_of(out, n));
}

static void add_ip(struct watch_texts *t, struct bytes ip)
{
	char text[INET6_ADDRSTRLEN];

	if ((ip.n == 4 || ip.n == 16) &&
	    inet_ntop(ip.n == 4 ? AF_INET : AF_INET6, ip.p, text, sizeof text) != NULL)
		watch_texts_name(t, bytes_of(text, strlen(text)));
}

/* SmtpUTF8Mailbox (RFC 9598) and the UPN of Microsoft: UTF8String both. */
static void add_other(struct watch_texts *t, const OTHERNAME *o)
{
	int nid = OBJ_obj2nid(o->type_id);

	if ((nid == NID_id_on_SmtpUTF8Mailbox || nid == NID_ms_upn) &&
	    o->value->type == V_ASN1_UTF8STRING)
		add_name(t, octets(o->value->value.utf8string));
}

static void add_general(struct watch_texts *t, const GENERAL_NAME *g)
{
	switch (g->type) {
	case GEN_DNS:
	case GEN_EMAIL:
	case GEN_URI:
		add_name(t, octets(g->d.ia5));
		break;
	case GEN_IPADD:
		add_ip(t, octets(g->d.ip));
		break;
	case GEN_OTHERNAME:
		add_other(t, g->d.otherName);
		break;
	default: /* names of directories, numbers: nobody looks for them */
		break;
	}
}

static void add_common_name(struct watch_texts *t, const X509_NAME *subject)
{
	int at = -1, last = -1;
	unsigned char *text = NULL;

	while ((at = X509_NAME_get_index_by_NID(subject, NID_commonName, at)) >= 0)
		last = at;
	if (last < 0)
		return;
	at = ASN1_STRING_to_UTF8(
	    &text, X509_NAME_ENTRY_get_data(X509_NAME_get_entry(subject, last)));
	if (at > 0)
		add_name(t, bytes_of(text, (size_t)at));
	OPENSSL_free(text);
}

static void add_names(const struct watch_x509 *x, struct watch_texts *t)
{
	GENERAL_NAMES *all = extension(x, NID_subject_alt_name);

	for (int i = 0; i < sk_GENERAL_NAME_num(all); i++)
		add_general(t, sk_GENERAL_NAME_value(all, i));
	GENERAL_NAMES_free(all);
	if (t->names_n == 0 && t->names_more == 0)
		add_common_name(t, x->tbs->subject);
}

static void add_urls(const struct watch_x509 *x, struct watch_texts *t)
{
	CRL_DIST_POINTS *all = extension(x, NID_crl_distribution_points);

	for (int i = 0; i < sk_DIST_POINT_num(all); i++) {
		const DIST_POINT *p = sk_DIST_POINT_value(all, i);

		if (p->reasons != NULL || p->CRLissuer != NULL || p->distpoint == NULL ||
		    p->distpoint->type != 0)
			continue;
		for (int k = 0; k < sk_GENERAL_NAME_num(p->distpoint->name.fullname);
		     k++) {
			const GENERAL_NAME *g =
			    sk_GENERAL_NAME_value(p->distpoint->name.fullname, k);

			if (g->type == GEN_URI)
				watch_texts_url(
				    t, octets(g->d.uniformResourceIdentifier));
		}
	}
	CRL_DIST_POINTS_free(all);
}

/* RFC 4514, but letters outside of ASCII as they are. */
#define DN_FLAGS                                                                         \
	((XN_FLAG_RFC2253 & ~(unsigned long)ASN1_STRFLGS_ESC_MSB) |                      \
	    ASN1_STRFLGS_UTF8_CONVERT)

static size_t cut(const uint8_t *text, size_t n, size_t max)
{
	size_t at = 0, len;
	unsigned code;

	for (; at < n; at += len) {
		len = utf8_length(text + at, n - at, &code);
		if (len == 0 || at + len > max)
			break;
	}
	return at;
}

static struct bytes name_text(const X509_NAME *name, char out[WATCH_DN_MAX])
{
	BIO *b = BIO_new(BIO_s_mem());
	char *text = NULL;
	size_t n = 0;

	if (b != NULL && X509_NAME_print_ex(b, name, 0, DN_FLAGS) >= 0) {
		long all = BIO_get_mem_data(b, &text);

		n = all > 0 ? cut((uint8_t *)text, (size_t)all, WATCH_DN_MAX) : 0;
		if (n > 0)
			memcpy(out, text, n);
	}
	BIO_free(b);
	return bytes_of(out, n);
}

static int64_t seconds(const ASN1_TIME *t)
{
	struct tm tm;

	return ASN1_TIME_to_tm(t, &tm) == 1 ? (int64_t)timegm(&tm) : WATCH_TIME_NONE;
}

bool watch_x509_cert(struct watch_x509 *x, struct watch_texts *t, struct watch_cert *c)
{
	const unsigned char *name;
	size_t name_n;

	memset(c, 0, sizeof *c);
	c->serial = x->serial;
	c->aki = watch_x509_aki(x);
	c->is_ca = x->is_ca;
	if (X509_NAME_get0_der(x->tbs->issuer, &name, &name_n) == 1)
		c->issuer_der = bytes_of(name, name_n);
	c->issuer_name = name_text(x->tbs->issuer, t->dn);
	c->not_before = seconds(x->tbs->validity->notBefore);
	c->not_after = seconds(x->tbs->validity->notAfter);
	watch_texts_reset(t);
	add_names(x, t);
	add_urls(x, t);
	watch_texts_end(t, c);
	return !out_of_memory();
}

bool watch_x509_is_ca(const struct watch_x509 *x)
{
	return x->is_ca;
}

const X509_NAME *watch_x509_issuer(const struct watch_x509 *x)
{
	return x->tbs->issuer;
}

const X509_ALGOR *watch_x509_algorithm(const struct watch_x509 *x)
{
	return x->outer->algorithm;
}

struct bytes watch_x509_aki(const struct watch_x509 *x)
{
	return bytes_of(x->aki, x->aki_n);
}

struct bytes watch_x509_der(const struct watch_x509 *x)
{
	return bytes_of(x->der, x->der_n);
}

/* ASN1_SEQUENCE "encodes" the string as it is, so that what is verified are the octets
 * that came (as in ocsp_response.c).  Section 4.1.1.2: both algorithms are the same. */
bool watch_x509_signed_by(const struct watch_x509 *x, EVP_PKEY *key)
{
	bool ok = X509_ALGOR_cmp(x->outer->algorithm, x->tbs->algorithm) == 0 &&
		  ASN1_item_verify(ASN1_ITEM_rptr(ASN1_SEQUENCE), x->outer->algorithm,
		      x->outer->signature, x->outer->tbs, key) == 1;

	ERR_clear_error();
	return ok;
}
