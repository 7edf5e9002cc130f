/* OpenSSL decodes; what its API hides is found again in the same bytes, by walking down
 * to it with ASN1_get_object(). */
#include "cache/ocsp/ocsp_response.h"

#include <assert.h>
#include <limits.h>
#include <openssl/err.h>
#include <time.h>

#include "cache/base/time_text.h"

/* What is signed of an answer, with its signature: about 300 octets with one
 * SingleResponse.  A longer one is parsed with its certificate; that is no limit. */
#define SIGNED_MAX 4096
#define HEADER_MAX 4 /* tag and length of SIGNED_MAX octets */

/* Take one element off the front of in: its tag must be (class, tag, constructed).  whole
 * and content may be NULL, and are not in.  Indefinite lengths are refused: DER has none,
 * and what they contain is not one run of bytes. */
static bool take(struct bytes *in, int class, int tag, bool constructed,
    struct bytes *whole, struct bytes *content)
{
	const unsigned char *p = in->p;
	int got_tag, got_class;
	long n;
	int form;

	if (in->n == 0 || in->n > LONG_MAX)
		return false;
	form = ASN1_get_object(&p, &n, &got_tag, &got_class, (long)in->n);
	if (form != (constructed ? V_ASN1_CONSTRUCTED : 0) || got_class != class ||
	    got_tag != tag)
		return false;
	if (content != NULL)
		*content = bytes_of(p, (size_t)n);
	if (whole != NULL)
		*whole = bytes_of(in->p, (size_t)(p - in->p) + (size_t)n);
	p += n;
	*in = bytes_of(p, in->n - (size_t)(p - in->p));
	return true;
}

static enum err status_of(uint8_t code)
{
	static const enum err said[] = {
	    [OCSP_RESPONSE_STATUS_SUCCESSFUL] = ERR_OK,
	    [OCSP_RESPONSE_STATUS_MALFORMEDREQUEST] = ERR_RESP_MALFORMED,
	    [OCSP_RESPONSE_STATUS_INTERNALERROR] = ERR_RESP_INTERNAL,
	    [OCSP_RESPONSE_STATUS_TRYLATER] = ERR_RESP_TRYLATER,
	    [4] = ERR_RESP_STATUS, /* RFC 6960 section 4.2.1: not used */
	    [OCSP_RESPONSE_STATUS_SIGREQUIRED] = ERR_RESP_SIGREQ,
	    [OCSP_RESPONSE_STATUS_UNAUTHORIZED] = ERR_RESP_UNAUTHORIZED,
	};
	return code < sizeof said / sizeof *said ? said[code] : ERR_RESP_STATUS;
}

static bool is_basic(struct bytes oid)
{
	const ASN1_OBJECT *basic = OBJ_nid2obj(NID_id_pkix_OCSP_basic);

	return bytes_equal(oid, bytes_of(OBJ_get0_data(basic), OBJ_length(basic)));
}

/* The bytes of BasicOCSPResponse, where the wrapper says successful and is DER to its
 * last octet: then d2i_OCSP_RESPONSE() would find nothing wrong either. */
static bool unwrap_der(struct bytes der, struct bytes *basic)
{
	struct bytes in, status, tagged, bytes, type;

	return take(&der, V_ASN1_UNIVERSAL, V_ASN1_SEQUENCE, true, NULL, &in) &&
	       der.n == 0 &&
	       take(&in, V_ASN1_UNIVERSAL, V_ASN1_ENUMERATED, false, NULL, &status) &&
	       status.n == 1 && status.p[0] == OCSP_RESPONSE_STATUS_SUCCESSFUL &&
	       take(&in, V_ASN1_CONTEXT_SPECIFIC, 0, true, NULL, &tagged) && in.n == 0 &&
	       take(&tagged, V_ASN1_UNIVERSAL, V_ASN1_SEQUENCE, true, NULL, &bytes) &&
	       tagged.n == 0 &&
	       take(&bytes, V_ASN1_UNIVERSAL, V_ASN1_OBJECT, false, NULL, &type) &&
	       is_basic(type) &&
	       take(&bytes, V_ASN1_UNIVERSAL, V_ASN1_OCTET_STRING, false, NULL, basic) &&
	       bytes.n == 0;
}

/* From the outer wrapper to the bytes of BasicOCSPResponse. */
static enum err unwrap(struct bytes der, struct bytes *basic)
{
	struct bytes in, status, tagged, bytes, type;
	enum err e;

	if (!take(&der, V_ASN1_UNIVERSAL, V_ASN1_SEQUENCE, true, NULL, &in) ||
	    !take(&in, V_ASN1_UNIVERSAL, V_ASN1_ENUMERATED, false, NULL, &status))
		return ERR_RESP_DER;
	/* Not OCSP_response_status(): it cuts a long value down to an int, and 2^32 would
	 * read as successful. */
	e = status.n == 1 ? status_of(status.p[0]) : ERR_RESP_STATUS;
	if (e != ERR_OK)
		return e;
	if (in.n == 0)
		return ERR_RESP_NOBYTES;
	if (!take(&in, V_ASN1_CONTEXT_SPECIFIC, 0, true, NULL, &tagged) ||
	    !take(&tagged, V_ASN1_UNIVERSAL, V_ASN1_SEQUENCE, true, NULL, &bytes) ||
	    !take(&bytes, V_ASN1_UNIVERSAL, V_ASN1_OBJECT, false, NULL, &type))
		return ERR_RESP_DER;
	if (!is_basic(type))
		return ERR_RESP_TYPE;
	if (!take(&bytes, V_ASN1_UNIVERSAL, V_ASN1_OCTET_STRING, false, NULL, basic))
		return ERR_RESP_DER;
	return ERR_OK;
}

/* Find tbsResponseData in BasicOCSPResponse and look at its version.  responderID is [1]
 * or [2], so a [0] in front is the version and nothing else. */
static enum err find_tbs(struct bytes basic, struct bytes *tbs)
{
	struct bytes in, data, version, number;

	if (!take(&basic, V_ASN1_UNIVERSAL, V_ASN1_SEQUENCE, true, NULL, &in) ||
	    !take(&in, V_ASN1_UNIVERSAL, V_ASN1_SEQUENCE, true, tbs, &data))
		return ERR_RESP_DER;
	if (!take(&data, V_ASN1_CONTEXT_SPECIFIC, 0, true, NULL, &version))
		return ERR_OK;
	if (!take(&version, V_ASN1_UNIVERSAL, V_ASN1_INTEGER, false, NULL, &number))
		return ERR_RESP_DER;
	return number.n == 1 && number.p[0] == 0 ? ERR_OK : ERR_RESP_VERSION;
}

static enum err parse_failed(void)
{
	return ERR_GET_REASON(ERR_peek_last_error()) == ERR_R_MALLOC_FAILURE
		   ? ERR_NOMEM
		   : ERR_RESP_DER;
}

/* The wrapper as a whole, by OpenSSL: everything that unwrap() does not look at. */
static enum err check_wrapper(struct bytes der)
{
	const unsigned char *p = der.p;
	OCSP_RESPONSE *outer = d2i_OCSP_RESPONSE(NULL, &p, (long)der.n);

	if (outer == NULL)
		return parse_failed();
	OCSP_RESPONSE_free(outer);
	return p == der.p + der.n ? ERR_OK : ERR_RESP_TRAILING;
}

static enum err parse_whole(struct ocsp_response *out, struct bytes basic)
{
	const unsigned char *p = basic.p;

	out->basic = d2i_OCSP_BASICRESP(NULL, &p, (long)basic.n);
	if (out->basic == NULL)
		return parse_failed();
	if (p == basic.p + basic.n)
		return ERR_OK;
	ocsp_response_free(out);
	return ERR_RESP_TRAILING;
}

/* BasicOCSPResponse up to its certificates, and its only certificate.  False where there
 * is none or several, or anything is not as DER has it: nothing is skipped that is not
 * accounted for to its last octet. */
static bool split(struct bytes basic, struct bytes *signed_part, struct bytes *only)
{
	struct bytes in, rest, tagged, certs;

	if (!take(&basic, V_ASN1_UNIVERSAL, V_ASN1_SEQUENCE, true, NULL, &in) ||
	    basic.n > 0)
		return false;
	rest = in;
	if (!take(&rest, V_ASN1_UNIVERSAL, V_ASN1_SEQUENCE, true, NULL, NULL) ||
	    !take(&rest, V_ASN1_UNIVERSAL, V_ASN1_SEQUENCE, true, NULL, NULL) ||
	    !take(&rest, V_ASN1_UNIVERSAL, V_ASN1_BIT_STRING, false, NULL, NULL))
		return false;
	*signed_part = bytes_of(in.p, in.n - rest.n);
	return take(&rest, V_ASN1_CONTEXT_SPECIFIC, 0, true, NULL, &tagged) &&
	       rest.n == 0 &&
	       take(&tagged, V_ASN1_UNIVERSAL, V_ASN1_SEQUENCE, true, NULL, &certs) &&
	       tagged.n == 0 &&
	       take(&certs, V_ASN1_UNIVERSAL, V_ASN1_SEQUENCE, true, only, NULL) &&
	       certs.n == 0;
}

/* A BasicOCSPResponse without certificates: another header before the same bytes. */
static OCSP_BASICRESP *decode_signed(struct bytes signed_part)
{
	unsigned char copy[SIGNED_MAX + HEADER_MAX], *end = copy;
	const unsigned char *p = copy;
	OCSP_BASICRESP *basic;

	if (signed_part.n > SIGNED_MAX)
		return NULL;
	ASN1_put_object(&end, 1, (int)signed_part.n, V_ASN1_SEQUENCE, V_ASN1_UNIVERSAL);
	memcpy(end, signed_part.p, signed_part.n);
	end += signed_part.n;
	basic = d2i_OCSP_BASICRESP(NULL, &p, end - copy);
	if (basic != NULL && p == end)
		return basic;
	OCSP_BASICRESP_free(basic);
	return NULL;
}

/* All but a certificate that is remembered; false: it has to be parsed as a whole. */
static bool parse_known(
    struct ocsp_response *out, struct bytes basic, const struct ocsp_memory *memory)
{
	struct bytes signed_part, only;

	if (memory == NULL || !split(basic, &signed_part, &only))
		return false;
	if (!memory->find(memory->arg, only, &out->known))
		return false;
	out->known_der = only;
	out->basic = decode_signed(signed_part);
	if (out->basic != NULL)
		return true;
	ERR_clear_error();
	X509_free(out->known.certificate);
	out->known = (struct ocsp_known){0};
	out->known_der = bytes_of(NULL, 0);
	return false;
}

enum err ocsp_response_parse(struct ocsp_response *out, struct bytes der, size_t max,
    const struct ocsp_memory *memory)
{
	struct bytes basic;
	enum err e = ERR_OK;

	*out = (struct ocsp_response){0};
	if (der.n > max || der.n > INT_MAX)
		return ERR_RESP_LARGE;
	if (der.n == 0)
		return ERR_RESP_DER;
	if (!unwrap_der(der, &basic) && (e = check_wrapper(der)) == ERR_OK)
		e = unwrap(der, &basic);
	if (e != ERR_OK || (e = find_tbs(basic, &out->tbs)) != ERR_OK)
		return e;
	if (!parse_known(out, basic, memory) && (e = parse_whole(out, basic)) != ERR_OK)
		return e;
	out->singles_n = (size_t)OCSP_resp_count(out->basic);
	return ERR_OK;
}

void ocsp_response_free(struct ocsp_response *r)
{
	OCSP_BASICRESP_free(r->basic);
	X509_free(r->known.certificate);
	*r = (struct ocsp_response){0};
}

int ocsp_response_certificates_n(const struct ocsp_response *r)
{
	const STACK_OF(X509) *certs = OCSP_resp_get0_certs(r->basic);

	if (r->known.certificate != NULL)
		return 1;
	return certs != NULL ? sk_X509_num(certs) : 0;
}

X509 *ocsp_response_certificate(const struct ocsp_response *r, int n)
{
	assert(n >= 0 && n < ocsp_response_certificates_n(r));
	return r->known.certificate != NULL
		   ? r->known.certificate
		   : sk_X509_value(OCSP_resp_get0_certs(r->basic), n);
}

/* Extensions whose meaning we know, so that they may be critical (R56).  The content of
 * an SCT list (RFC 6962 section 3.3) is not looked at. */
static bool extension_is_known(int nid)
{
	switch (nid) {
	case NID_id_pkix_OCSP_Nonce:
	case NID_id_pkix_OCSP_CrlID:
	case NID_id_pkix_OCSP_archiveCutoff:
	case NID_id_pkix_OCSP_serviceLocator:
	case NID_id_pkix_OCSP_valid: /* OpenSSL's name for extended-revoke, ...48.1.9 */
	case NID_ct_cert_scts:
		return true;
	default:
		return false;
	}
}

/* Both kinds of extensions are reached by two functions of the same shape. */
struct response_extensions {
	int n;
	X509_EXTENSION *(*at)(void *owner, int i);
	void *owner;
};

static X509_EXTENSION *of_response(void *owner, int i)
{
	return OCSP_BASICRESP_get_ext(owner, i);
}

static X509_EXTENSION *of_single(void *owner, int i)
{
	return OCSP_SINGLERESP_get_ext(owner, i);
}

/* Quadratic, in a list that response-max-size bounds to some hundreds. */
static bool appears_before(const struct response_extensions *x, int i)
{
	const ASN1_OBJECT *o = X509_EXTENSION_get_object(x->at(x->owner, i));

	for (int j = 0; j < i; j++)
		if (OBJ_cmp(X509_EXTENSION_get_object(x->at(x->owner, j)), o) == 0)
			return true;
	return false;
}

static enum err check_extensions(
    const struct response_extensions *x, char *what, size_t what_n)
{
	for (int i = 0; i < x->n; i++) {
		X509_EXTENSION *ext = x->at(x->owner, i);
		const ASN1_OBJECT *o = X509_EXTENSION_get_object(ext);

		if ((X509_EXTENSION_get_critical(ext) &&
			!extension_is_known(OBJ_obj2nid(o))) ||
		    appears_before(x, i)) {
			OBJ_obj2txt(what, (int)what_n, o, 1);
			return ERR_RESP_EXTENSION;
		}
	}
	return ERR_OK;
}

enum err ocsp_response_extensions(
    const struct ocsp_response *r, char *what, size_t what_n)
{
	struct response_extensions x = {
	    OCSP_BASICRESP_get_ext_count(r->basic), of_response, r->basic};
	enum err e = check_extensions(&x, what, what_n);

	for (size_t i = 0; e == ERR_OK && i < r->singles_n; i++) {
		OCSP_SINGLERESP *s = OCSP_resp_get0(r->basic, (int)i);

		x = (struct response_extensions){
		    OCSP_SINGLERESP_get_ext_count(s), of_single, s};
		e = check_extensions(&x, what, what_n);
	}
	return e;
}

struct bytes ocsp_response_nonce(const struct ocsp_response *r)
{
	int at = OCSP_BASICRESP_get_ext_by_NID(r->basic, NID_id_pkix_OCSP_Nonce, -1);
	const unsigned char *p, *inner;
	const ASN1_STRING *value;
	int tag, class;
	long n, inner_n;

	if (at < 0)
		return bytes_of(NULL, 0);
	value = X509_EXTENSION_get_data(OCSP_BASICRESP_get_ext(r->basic, at));
	p = inner = ASN1_STRING_get0_data(value);
	n = ASN1_STRING_length(value);
	/* primitive, universal, and nothing behind it */
	if (ASN1_get_object(&inner, &inner_n, &tag, &class, n) == 0 &&
	    tag == V_ASN1_OCTET_STRING && class == V_ASN1_UNIVERSAL &&
	    inner + inner_n == p + n)
		return bytes_of(inner, (size_t)inner_n);
	return bytes_of(p, (size_t)n);
}

static bool digits(const char *p, int n, int *out)
{
	*out = 0;
	for (int i = 0; i < n; i++) {
		if (p[i] < '0' || p[i] > '9')
			return false;
		*out = *out * 10 + (p[i] - '0');
	}
	return true;
}

/* YYYYMMDDHHMMSSZ and nothing else.  A 60th second is refused: RFC 5280 has none. */
static bool read_exact(const char *p, int n, int64_t *at)
{
	struct tm tm = {0};

	if (n != 15 || p[14] != 'Z' || !digits(p, 4, &tm.tm_year) ||
	    !digits(p + 4, 2, &tm.tm_mon) || !digits(p + 6, 2, &tm.tm_mday) ||
	    !digits(p + 8, 2, &tm.tm_hour) || !digits(p + 10, 2, &tm.tm_min) ||
	    !digits(p + 12, 2, &tm.tm_sec))
		return false;
	if (tm.tm_mon < 1 || tm.tm_mon > 12 || tm.tm_mday < 1 ||
	    tm.tm_mday > month_days(tm.tm_year, tm.tm_mon) || tm.tm_hour > 23 ||
	    tm.tm_min > 59 || tm.tm_sec > 59)
		return false;
	tm.tm_year -= 1900;
	tm.tm_mon -= 1;
	*at = timegm(&tm);
	return true;
}

static struct ocsp_time time_of(const ASN1_GENERALIZEDTIME *t)
{
	struct ocsp_time out = {0};
	struct tm tm;

	if (t == NULL)
		return out;
	out.exact = read_exact(
	    (const char *)ASN1_STRING_get0_data(t), ASN1_STRING_length(t), &out.at);
	out.readable = out.exact;
	if (!out.exact && ASN1_TIME_to_tm(t, &tm) == 1) {
		out.at = timegm(&tm);
		out.readable = true;
	}
	return out;
}

static struct bytes string_bytes(const ASN1_STRING *s)
{
	return bytes_of(ASN1_STRING_get0_data(s), (size_t)ASN1_STRING_length(s));
}

/* The parameters of hashAlgorithm are not looked at: no algorithm that a key can have
 * takes any, and absent and NULL are the same CertID (R13). */
static void read_certid(const OCSP_SINGLERESP *s, struct ocsp_single *out)
{
	/* OCSP_id_get0_info() writes nothing, but takes no const. */
	union {
		const OCSP_CERTID *borrowed;
		OCSP_CERTID *id;
	} u = {OCSP_SINGLERESP_get0_id(s)};
	ASN1_OCTET_STRING *name, *key;
	ASN1_OBJECT *algorithm;
	ASN1_INTEGER *serial;

	OCSP_id_get0_info(&name, &algorithm, &key, &serial, u.id);
	out->known_hash = certid_hash_from_nid(OBJ_obj2nid(algorithm), &out->hash);
	out->name_hash = string_bytes(name);
	out->key_hash = string_bytes(key);
	out->serial = serial;
}

void ocsp_response_single(
    const struct ocsp_response *r, size_t i, struct ocsp_single *out)
{
	ASN1_GENERALIZEDTIME *revoked = NULL, *this_update = NULL, *next_update = NULL;
	OCSP_SINGLERESP *s = OCSP_resp_get0(r->basic, (int)i);
	int status, reason = REASON_NONE;

	*out = (struct ocsp_single){0};
	read_certid(s, out);
	status =
	    OCSP_single_get0_status(s, &reason, &revoked, &this_update, &next_update);
	out->status = status == V_OCSP_CERTSTATUS_GOOD      ? STATUS_GOOD
		      : status == V_OCSP_CERTSTATUS_REVOKED ? STATUS_REVOKED
							    : STATUS_UNKNOWN;
	out->reason = status == V_OCSP_CERTSTATUS_REVOKED ? reason : REASON_NONE;
	out->revoked_at = time_of(revoked);
	out->this_update = time_of(this_update);
	out->has_next_update = next_update != NULL;
	out->next_update = time_of(next_update);
}

struct ocsp_time ocsp_response_produced_at(const struct ocsp_response *r)
{
	return time_of(OCSP_resp_get0_produced_at(r->basic));
}
