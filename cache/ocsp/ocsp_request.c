/* ocsp_request.c - what OpenSSL 3.0 does not hand out (the version, the parameters of the
 * hash algorithm) is read with its own ASN1_get_object() and d2i functions, from bytes
 * that its parser has taken before.
 */
#include "cache/ocsp/ocsp_request.h"

#include <assert.h>
#include <openssl/err.h>
#include <openssl/ocsp.h>

/* Looking for duplicates is quadratic.  Real clients send two extensions at most, and six
 * are known. */
#define EXTENSIONS_MAX 16

static bool extension_is_known(const ASN1_OBJECT *oid)
{
	switch (OBJ_obj2nid(oid)) {
	case NID_id_pkix_OCSP_Nonce:
	case NID_id_pkix_OCSP_CrlID:
	case NID_id_pkix_OCSP_acceptableResponses:
	case NID_id_pkix_OCSP_archiveCutoff:
	case NID_id_pkix_OCSP_serviceLocator:
	/* 1.3.6.1.5.5.7.48.1.8 under the name of an old draft: the preferred signature
	 * algorithms of RFC 6960 section 4.4.7.1 */
	case NID_id_pkix_OCSP_extendedStatus:
		return true;
	default:
		return false;
	}
}

/* One accessor for both lists of extensions. */
struct request_extensions {
	OCSP_REQUEST *request;
	OCSP_ONEREQ *one; /* or NULL: those of the request */
};

static int extensions_count(const struct request_extensions *l)
{
	return l->one != NULL ? OCSP_ONEREQ_get_ext_count(l->one)
			      : OCSP_REQUEST_get_ext_count(l->request);
}

static X509_EXTENSION *extensions_at(const struct request_extensions *l, int i)
{
	return l->one != NULL ? OCSP_ONEREQ_get_ext(l->one, i)
			      : OCSP_REQUEST_get_ext(l->request, i);
}

/* R10, R11 */
static enum err extensions_check(const struct request_extensions *l)
{
	int n = extensions_count(l);

	if (n > EXTENSIONS_MAX)
		return ERR_REQ_EXTENSION;
	for (int i = 0; i < n; i++) {
		X509_EXTENSION *x = extensions_at(l, i);
		const ASN1_OBJECT *oid = X509_EXTENSION_get_object(x);

		if (X509_EXTENSION_get_critical(x) && !extension_is_known(oid))
			return ERR_REQ_EXTENSION;
		for (int j = 0; j < i; j++) {
			X509_EXTENSION *y = extensions_at(l, j);

			if (OBJ_cmp(oid, X509_EXTENSION_get_object(y)) == 0)
				return ERR_REQ_EXTENSION;
		}
	}
	return ERR_OK;
}

static enum err nonce_set(struct ocsp_request *out, const ASN1_STRING *octets)
{
	int n = ASN1_STRING_length(octets);

	if (n < 1 || n > OCSP_NONCE_MAX)
		return ERR_REQ_NONCE;
	memcpy(out->nonce, ASN1_STRING_get0_data(octets), (size_t)n);
	out->nonce_n = (uint8_t)n;
	out->has_nonce = true;
	return ERR_OK;
}

/* R84, R88: an OCTET STRING within extnValue; what is none is an old client's bare nonce.
 */
static enum err nonce_read(struct ocsp_request *out, OCSP_REQUEST *request)
{
	int at = OCSP_REQUEST_get_ext_by_NID(request, NID_id_pkix_OCSP_Nonce, -1);
	const ASN1_STRING *value;
	ASN1_OCTET_STRING *inner;
	const unsigned char *p, *end;
	enum err e;

	if (at < 0)
		return ERR_OK;
	value = X509_EXTENSION_get_data(OCSP_REQUEST_get_ext(request, at));
	p = ASN1_STRING_get0_data(value);
	end = p + ASN1_STRING_length(value);
	inner = d2i_ASN1_OCTET_STRING(NULL, &p, end - p);
	e = nonce_set(out, inner != NULL && p == end ? inner : value);
	ASN1_OCTET_STRING_free(inner);
	return e;
}

/* The version is [0] EXPLICIT INTEGER DEFAULT v1(0), first in the TBSRequest (RFC 6960
 * section 4.1.1).  Written out although it is the default, it is another spelling. */
static enum err version_check(struct bytes der)
{
	const unsigned char *p = der.p, *end = der.p + der.n;
	ASN1_INTEGER *version;
	long n;
	int tag, class;
	bool first;

	for (int i = 0; i < 2; i++) {
		if ((ASN1_get_object(&p, &n, &tag, &class, end - p) & 0x80) != 0)
			return ERR_REQ_DER;
	}
	if ((ASN1_get_object(&p, &n, &tag, &class, end - p) & 0x80) != 0)
		return ERR_REQ_DER;
	if (class != V_ASN1_CONTEXT_SPECIFIC || tag != 0)
		return ERR_OK;
	version = d2i_ASN1_INTEGER(NULL, &p, end - p);
	first = version != NULL && ASN1_STRING_length(version) <= 1 &&
		ASN1_INTEGER_get(version) == 0;
	ASN1_INTEGER_free(version);
	return first ? ERR_OK : ERR_REQ_VERSION;
}

/* R13: parameters of the hash algorithm are absent or NULL; both are one key. */
static enum err parameters_check(OCSP_CERTID *id)
{
	unsigned char *der = NULL;
	const unsigned char *p;
	X509_ALGOR *algorithm = NULL;
	int n = i2d_OCSP_CERTID(id, &der), tag, class, type = V_ASN1_SEQUENCE;
	long left;

	if (n <= 0)
		return ERR_NOMEM;
	p = der;
	if ((ASN1_get_object(&p, &left, &tag, &class, n) & 0x80) == 0)
		algorithm = d2i_X509_ALGOR(NULL, &p, left);
	if (algorithm != NULL)
		X509_ALGOR_get0(NULL, &type, NULL, algorithm);
	X509_ALGOR_free(algorithm);
	OPENSSL_free(der);
	return type == V_ASN1_UNDEF || type == V_ASN1_NULL ? ERR_OK : ERR_REQ_DER;
}

static enum err certid_read(struct key *k, OCSP_CERTID *id)
{
	ASN1_OCTET_STRING *name_hash, *key_hash;
	ASN1_INTEGER *number;
	ASN1_OBJECT *oid;
	enum certid_hash h;
	struct serial s;
	enum err e;
	int n;

	OCSP_id_get0_info(&name_hash, &oid, &key_hash, &number, id);
	if (!certid_hash_from_nid(OBJ_obj2nid(oid), &h))
		return ERR_REQ_HASH;
	n = (int)certid_hash_size(h);
	if (ASN1_STRING_length(name_hash) != n || ASN1_STRING_length(key_hash) != n)
		return ERR_REQ_DER;
	e = parameters_check(id);
	if (e == ERR_OK)
		e = serial_from_asn1(&s, number);
	if (e == ERR_OK)
		key_make(k, h, ASN1_STRING_get0_data(name_hash),
		    ASN1_STRING_get0_data(key_hash), &s);
	return e;
}

/* requestorName and optionalSignature are not looked at (R8, R9). */
static enum err request_read(struct ocsp_request *out, OCSP_REQUEST *request)
{
	OCSP_ONEREQ *one;
	enum err e;

	if (OCSP_request_onereq_count(request) != 1)
		return ERR_REQ_COUNT;
	one = OCSP_request_onereq_get0(request, 0);
	e = extensions_check(&(struct request_extensions){request, NULL});
	if (e == ERR_OK)
		e = extensions_check(&(struct request_extensions){request, one});
	if (e == ERR_OK)
		e = nonce_read(out, request);
	if (e == ERR_OK)
		e = certid_read(&out->key, OCSP_onereq_get0_id(one));
	return e;
}

enum err ocsp_request_parse(struct ocsp_request *out, struct bytes der)
{
	const unsigned char *p = der.p;
	OCSP_REQUEST *request = NULL;
	enum err e = ERR_REQ_DER;

	*out = (struct ocsp_request){0};
	if (der.n > 0 && der.n <= INT32_MAX)
		request = d2i_OCSP_REQUEST(NULL, &p, (long)der.n);
	if (request != NULL && p != der.p + der.n)
		e = ERR_REQ_TRAILING;
	else if (request != NULL)
		e = version_check(der);
	if (e == ERR_OK)
		e = request_read(out, request);
	OCSP_REQUEST_free(request);
	/* Also after success: a bare nonce is tried as an OCTET STRING first. */
	ERR_clear_error();
	return e;
}

/* What we send. */

/* DER is written from its end: each length is known when it is put in front. */
struct writer {
	uint8_t *start, *p;
};

static void put(struct writer *w, const void *bytes, size_t n)
{
	assert((size_t)(w->p - w->start) >= n);
	w->p -= n;
	memcpy(w->p, bytes, n);
}

/* Tag and length of the n bytes that follow; lengths up to 65535. */
static void put_header(struct writer *w, uint8_t tag, size_t n)
{
	uint8_t head[4] = {tag, (uint8_t)n};
	size_t head_n = 2;

	if (n > 255) {
		head[1] = 0x82;
		head[2] = (uint8_t)(n >> 8);
		head[3] = (uint8_t)n;
		head_n = 4;
	} else if (n > 127) {
		head[1] = 0x81;
		head[2] = (uint8_t)n;
		head_n = 3;
	}
	put(w, head, head_n);
}

static size_t written(const struct writer *w, const uint8_t *end)
{
	return (size_t)(end - w->p);
}

/* The content of a TLV of ours. */
static struct bytes content(struct bytes tlv)
{
	size_t head = tlv.p[1] < 0x80 ? 2 : 2 + (tlv.p[1] & 0x7f);

	return bytes_of(tlv.p + head, tlv.n - head);
}

size_t ocsp_request_build(
    const struct key *k, struct bytes nonce, uint8_t out[OCSP_REQUEST_MAX])
{
	static const uint8_t oid[] = {
	    0x06, 0x09, 0x2b, 0x06, 0x01, 0x05, 0x05, 0x07, 0x30, 0x01, 0x02};
	uint8_t *end = out + OCSP_REQUEST_MAX;
	struct writer w = {out, end};
	struct bytes list = content(content(key_der(k)));

	assert(nonce.n <= OCSP_NONCE_MAX);
	if (nonce.n == 0) {
		memcpy(out, k->der, k->der_n);
		return k->der_n;
	}
	put(&w, nonce.p, nonce.n);
	put_header(&w, 0x04, nonce.n);          /* Nonce */
	put_header(&w, 0x04, written(&w, end)); /* extnValue */
	put(&w, oid, sizeof oid);
	put_header(&w, 0x30, written(&w, end)); /* Extension */
	put_header(&w, 0x30, written(&w, end)); /* Extensions */
	put_header(&w, 0xa2, written(&w, end)); /* requestExtensions [2] */
	put(&w, list.p, list.n);
	put_header(&w, 0x30, written(&w, end)); /* tbsRequest */
	put_header(&w, 0x30, written(&w, end));
	memmove(out, w.p, written(&w, end));
	return written(&w, end);
}
