/* forge.c - DER from the inside to the outside, signed last. */
#include "tests/lib/forge.h"

#include <openssl/err.h>
#include <openssl/rsa.h>
#include <openssl/sha.h>
#include <openssl/x509v3.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#define ARENA (1024 * 1024)

static uint8_t arena[ARENA];
static size_t used;

#define MUST(x)                                                                          \
	do {                                                                             \
		if (!(x)) {                                                              \
			fprintf(stderr, "forge: %s (line %d)\n", #x, __LINE__);          \
			ERR_print_errors_fp(stderr);                                     \
			exit(99);                                                        \
		}                                                                        \
	} while (0)

void forge_reset(void)
{
	used = 0;
}

static uint8_t *room(size_t n)
{
	uint8_t *p = arena + used;

	MUST(n <= ARENA - used);
	used += n;
	return p;
}

static struct bytes join(struct bytes a, struct bytes b)
{
	uint8_t *p = room(a.n + b.n);

	if (a.n > 0)
		memcpy(p, a.p, a.n);
	if (b.n > 0)
		memcpy(p + a.n, b.p, b.n);
	return bytes_of(p, a.n + b.n);
}

struct bytes forge_append(struct bytes b, const void *tail, size_t n)
{
	return join(b, bytes_of(tail, n));
}

/* width: octets of the length at least, besides the first; 0: as DER has it. */
static struct bytes wrap_wide(uint8_t tag, struct bytes content, int width)
{
	uint8_t head[8];
	size_t n = 0;
	int octets = content.n < 128     ? 0
		     : content.n < 256   ? 1
		     : content.n < 65536 ? 2
					 : 3;

	if (octets < width)
		octets = width;
	head[n++] = tag;
	if (octets == 0)
		head[n++] = (uint8_t)content.n;
	else
		head[n++] = (uint8_t)(0x80 | octets);
	for (int i = octets - 1; i >= 0; i--)
		head[n++] = (uint8_t)(content.n >> (8 * i));
	return join(bytes_of(head, n), content);
}

static struct bytes wrap(uint8_t tag, struct bytes content)
{
	return wrap_wide(tag, content, 0);
}

static struct bytes text(uint8_t tag, const char *s)
{
	return wrap(tag, bytes_of(s, strlen(s)));
}

static struct bytes byte(uint8_t tag, uint8_t value)
{
	return wrap(tag, bytes_of(&value, 1));
}

static struct bytes hex(const char *s)
{
	size_t n = strlen(s) / 2;
	uint8_t *p = room(n);

	for (size_t i = 0; i < n; i++)
		p[i] = (uint8_t)(hex_value(s[2 * i]) << 4 | hex_value(s[2 * i + 1]));
	return bytes_of(p, n);
}

static struct bytes oid(const char *dotted)
{
	ASN1_OBJECT *o = OBJ_txt2obj(dotted, 1);
	struct bytes b;

	MUST(o != NULL);
	b = wrap(0x06, bytes_of(OBJ_get0_data(o), OBJ_length(o)));
	ASN1_OBJECT_free(o);
	return b;
}

const char *forge_time(int64_t at)
{
	char *p = (char *)room(32);
	time_t t = at;
	struct tm tm;

	MUST(gmtime_r(&t, &tm) != NULL && strftime(p, 32, "%Y%m%d%H%M%SZ", &tm) > 0);
	return p;
}

EVP_PKEY *forge_key(const char *kind)
{
	EVP_PKEY *k;

	if (strcmp(kind, "ED25519") == 0)
		k = EVP_PKEY_Q_keygen(NULL, NULL, "ED25519");
	else if (kind[0] == 'P')
		k = EVP_PKEY_Q_keygen(NULL, NULL, "EC", kind);
	else
		k = EVP_PKEY_Q_keygen(NULL, NULL, "RSA", (size_t)atoi(kind));
	MUST(k != NULL);
	return k;
}

static void add_extension(X509 *x, int nid, const char *value)
{
	X509_EXTENSION *e;

	if (value == NULL)
		return;
	e = X509V3_EXT_conf_nid(NULL, NULL, nid, value);
	MUST(e != NULL && X509_add_ext(x, e, -1) == 1);
	X509_EXTENSION_free(e);
}

static void add_unknown(X509 *x, const char *dotted)
{
	static const uint8_t null[] = {0x05, 0x00};
	ASN1_OBJECT *o = OBJ_txt2obj(dotted, 1);
	ASN1_OCTET_STRING *data = ASN1_OCTET_STRING_new();
	X509_EXTENSION *e;

	MUST(data != NULL && ASN1_OCTET_STRING_set(data, null, sizeof null) == 1);
	e = X509_EXTENSION_create_by_OBJ(NULL, o, 1, data);
	MUST(e != NULL && X509_add_ext(x, e, -1) == 1);
	X509_EXTENSION_free(e);
	ASN1_OCTET_STRING_free(data);
	ASN1_OBJECT_free(o);
}

static void set_subject(X509 *x, const char *cn)
{
	X509_NAME *n = X509_get_subject_name(x);

	if (cn[0] != '\0')
		MUST(X509_NAME_add_entry_by_txt(n, "CN", MBSTRING_UTF8,
			 (const unsigned char *)cn, -1, -1, 0) == 1);
}

X509 *forge_cert(const struct forge_cert *c)
{
	static long serial = 1000;
	X509 *x = X509_new();
	const EVP_MD *md = c->digest;

	MUST(x != NULL && X509_set_version(x, X509_VERSION_3) == 1);
	MUST(ASN1_INTEGER_set(X509_get_serialNumber(x), serial++) == 1);
	set_subject(x, c->subject);
	X509_set_issuer_name(x, X509_get_subject_name(c->issuer != NULL ? c->issuer : x));
	MUST(ASN1_TIME_set(X509_getm_notBefore(x), c->from) != NULL);
	MUST(ASN1_TIME_set(X509_getm_notAfter(x), c->to) != NULL);
	MUST(X509_set_pubkey(x, c->key) == 1);
	if (c->ca)
		add_extension(x, NID_basic_constraints, "critical,CA:TRUE");
	add_extension(x, NID_key_usage, c->usage);
	add_extension(x, NID_ext_key_usage, c->ext_usage);
	if (c->nocheck)
		add_extension(x, NID_id_pkix_OCSP_noCheck, "");
	if (c->critical != NULL)
		add_unknown(x, c->critical);
	if (md == NULL && EVP_PKEY_get_base_id(c->issuer_key) != EVP_PKEY_ED25519)
		md = EVP_sha256();
	MUST(X509_sign(x, c->issuer_key, md) > 0);
	return x;
}

static struct bytes name_der(X509 *x)
{
	unsigned char *p = NULL;
	int n = i2d_X509_NAME(X509_get_subject_name(x), &p);
	struct bytes b;

	MUST(n > 0);
	b = join(bytes_of(p, (size_t)n), (struct bytes){0});
	OPENSSL_free(p);
	return b;
}

static struct bytes digest(const EVP_MD *md, struct bytes in)
{
	uint8_t *p = room(EVP_MAX_MD_SIZE);
	unsigned n;

	MUST(EVP_Digest(in.p, in.n, p, &n, md, NULL) == 1);
	return bytes_of(p, n);
}

static struct bytes key_bits(X509 *x)
{
	const ASN1_BIT_STRING *b = X509_get0_pubkey_bitstr(x);

	return bytes_of(ASN1_STRING_get0_data(b), (size_t)ASN1_STRING_length(b));
}

static struct bytes certid(const struct forge_single *s)
{
	static const char *const algorithm[] = {[CERTID_SHA1] = "1.3.14.3.2.26",
	    [CERTID_SHA256] = "2.16.840.1.101.3.4.2.1",
	    [CERTID_SHA384] = "2.16.840.1.101.3.4.2.2",
	    [CERTID_SHA512] = "2.16.840.1.101.3.4.2.3"};
	const EVP_MD *md = s->hash == CERTID_SHA1     ? EVP_sha1()
			   : s->hash == CERTID_SHA256 ? EVP_sha256()
			   : s->hash == CERTID_SHA384 ? EVP_sha384()
						      : EVP_sha512();
	struct bytes b = oid(algorithm[s->hash]);

	if (!s->no_parameters)
		b = join(b, hex("0500"));
	b = wrap(0x30, b);
	b = join(b, wrap(0x04, digest(md, name_der(s->issuer))));
	b = join(b, wrap(0x04, digest(md, key_bits(s->issuer))));
	return wrap(0x30, join(b, wrap(0x02, s->serial)));
}

static struct bytes extensions(uint8_t tag, const struct forge_extension *x)
{
	struct bytes one, value = hex("0500");

	if (x->oid == NULL)
		return (struct bytes){0};
	one = oid(x->oid);
	if (x->critical)
		one = join(one, hex("0101ff"));
	if (x->value_n > 0)
		value = wrap(0x04, bytes_of(room(x->value_n), x->value_n));
	one = wrap(0x30, join(one, wrap(0x04, value)));
	if (x->twice)
		one = join(one, one);
	return wrap(tag, wrap(0x30, one));
}

static struct bytes cert_status(const struct forge_single *s)
{
	struct bytes b;

	if (s->status == FORGE_GOOD)
		return hex("8000");
	if (s->status == FORGE_UNKNOWN)
		return hex("8200");
	b = text(0x18, s->revoked_at);
	if (s->reason >= 0)
		b = join(b, wrap(0xa0, byte(0x0a, (uint8_t)s->reason)));
	return wrap(0xa1, b);
}

static struct bytes single(const struct forge_single *s)
{
	struct bytes b = join(certid(s), cert_status(s));

	b = join(b, text(0x18, s->this_update));
	if (s->next_update != NULL)
		b = join(b, wrap(0xa0, text(0x18, s->next_update)));
	return wrap(0x30, join(b, extensions(0xa1, &s->extension)));
}

static struct bytes tbs(const struct forge_response *f)
{
	struct bytes b = {0}, all = {0};

	if (f->version != 0 || f->explicit_v1)
		b = wrap(0xa0, byte(0x02, (uint8_t)f->version));
	b = join(b, f->by_name
			? wrap(0xa1, name_der(f->id))
			: wrap(0xa2, wrap(0x04, digest(EVP_sha1(), key_bits(f->id)))));
	b = join(b, text(0x18, f->produced_at));
	for (size_t i = 0; i < f->singles_n; i++)
		all = join(all, single(&f->single[i]));
	b = join(b, wrap(0x30, all));
	b = join(b, extensions(0xa1, &f->extension));
	return wrap_wide(0x30, b, f->long_tbs_length ? 4 : 0);
}

/* AlgorithmIdentifiers as RFC 4055, 5758 and 8410 have them. */
static const struct {
	const char *algorithm;
	const EVP_MD *(*md)(void);
	int pss_salt; /* 0: not PSS */
} kinds[] = {
    [FORGE_ECDSA_SHA256] = {"300a06082a8648ce3d040302", EVP_sha256, 0},
    [FORGE_ECDSA_SHA1] = {"300906072a8648ce3d0401", EVP_sha1, 0},
    [FORGE_RSA_SHA256] = {"300d06092a864886f70d01010b0500", EVP_sha256, 0},
    [FORGE_RSA_SHA1] = {"300d06092a864886f70d0101050500", EVP_sha1, 0},
    [FORGE_RSA_MD5] = {"300d06092a864886f70d0101040500", EVP_md5, 0},
    [FORGE_PSS_SHA256] =
	{"304106092a864886f70d01010a3034a00f300d06096086480165030402010500"
	 "a11c301a06092a864886f70d010108300d06096086480165030402010500"
	 "a203020120",
	    EVP_sha256, 32},
    [FORGE_PSS_SHA1] = {"300d06092a864886f70d01010a3000", EVP_sha1, 20},
    [FORGE_ED25519] = {"300506032b6570", NULL, 0},
};

struct bytes forge_algorithm(enum forge_signature kind)
{
	return hex(kinds[kind].algorithm);
}

struct bytes forge_sign(enum forge_signature kind, EVP_PKEY *key, struct bytes data)
{
	EVP_MD_CTX *ctx = EVP_MD_CTX_new();
	EVP_PKEY_CTX *pctx;
	const EVP_MD *md = kinds[kind].md != NULL ? kinds[kind].md() : NULL;
	int salt = kinds[kind].pss_salt;
	size_t n = 1024;
	uint8_t *p = room(n);

	MUST(ctx != NULL && EVP_DigestSignInit(ctx, &pctx, md, NULL, key) == 1);
	if (salt > 0) {
		MUST(EVP_PKEY_CTX_set_rsa_padding(pctx, RSA_PKCS1_PSS_PADDING) == 1);
		MUST(EVP_PKEY_CTX_set_rsa_pss_saltlen(pctx, salt) == 1);
	}
	MUST(EVP_DigestSign(ctx, p, &n, data.p, data.n) == 1);
	EVP_MD_CTX_free(ctx);
	return bytes_of(p, n);
}

static struct bytes sign(const struct forge_response *f, struct bytes data)
{
	struct bytes s = forge_sign(f->signature, f->key, data);
	uint8_t *last = arena + (s.p - arena) + s.n - 1;

	if (f->break_signature)
		*last ^= 1;
	return s;
}

/* Content that is wrapped in tag, unless f wants it to be odd there. */
static struct bytes element(const struct forge_response *f, enum forge_place place,
    uint8_t tag, struct bytes content, int width)
{
	struct bytes b;
	uint8_t *p;

	if (f->where != place)
		return wrap_wide(tag, content, width);
	switch (f->odd) {
	case FORGE_TAIL:
		return wrap_wide(tag, join(content, hex("0500")), width);
	case FORGE_BEHIND:
		return join(wrap_wide(tag, content, width), hex("0500"));
	case FORGE_INDEFINITE:
		b = join(bytes_of((uint8_t[]){tag, 0x80}, 2), content);
		return join(b, hex("0000"));
	case FORGE_WIDE:
		return wrap_wide(tag, content, width + 4);
	default:
		b = wrap_wide(tag, content, 3);
	}
	p = arena + (b.p - arena);
	switch (f->odd) {
	case FORGE_LONGER:
	case FORGE_SHORTER:
		put_be(p + 2, content.n + (f->odd == FORGE_LONGER ? 1 : -1u), 3);
		return b;
	case FORGE_PRIMITIVE:
		p[0] ^= 0x20;
		return b;
	default:
		p[0] ^= 0x01;
		return b;
	}
}

static struct bytes certs(const struct forge_response *f)
{
	struct bytes all = {0};

	for (size_t i = 0; i < f->certs_n; i++) {
		struct bytes x, content;
		unsigned char *der = NULL;
		int n = i2d_X509(f->certs[i], &der);

		MUST(n > 4 && der[1] == 0x82);
		x = bytes_of(der, (size_t)n);
		content = bytes_of(der + 4, (size_t)n - 4);
		if (i == 0 && f->where == FORGE_CERTIFICATE)
			x = element(f, FORGE_CERTIFICATE, 0x30, content, 0);
		all = join(all, x);
		OPENSSL_free(der);
	}
	if (f->certs_n == 0)
		return all;
	all = element(f, FORGE_CERTIFICATES, 0x30, all, 0);
	return element(f, FORGE_TAGGED, 0xa0, all, 0);
}

static struct bytes basic(const struct forge_response *f)
{
	struct bytes data = tbs(f);
	struct bytes b = join(data, hex(kinds[f->signature].algorithm));

	b = join(b, wrap(0x03, join(hex("00"), sign(f, data))));
	return element(f, FORGE_BASIC, 0x30, join(b, certs(f)), f->long_lengths ? 3 : 0);
}

struct bytes forge_response(const struct forge_response *f)
{
	struct bytes b = byte(0x0a, (uint8_t)f->status), inner;
	int wide = f->long_lengths ? 4 : 0;

	if (!f->no_bytes) {
		inner = oid(f->type != NULL ? f->type : "1.3.6.1.5.5.7.48.1.1");
		inner = join(inner, element(f, FORGE_OCTETS, 0x04, basic(f), wide));
		b = join(b, wrap_wide(0xa0, wrap_wide(0x30, inner, wide), wide));
	}
	if (f->indefinite)
		return join(join(hex("3080"), b), hex("0000"));
	return wrap_wide(0x30, b, wide);
}
