/* make_answers.c - a CA and signed answers for as many certificates as a bench asks for.
 *
 *	make_answers -n COUNT -d DIR [-r] [-i]
 *
 *	-r  RSA-2048 keys, not P-256       -i  signed by the issuer itself
 *
 * Writes DIR/ca.pem and its key DIR/ca.key (for make_crl), and DIR/pairs (pairs.h).  The
 * answers are "good" for a week, signed by a delegate whose certificate they carry, as
 * public CAs do: about 700 bytes each with P-256.  Keys are SHA-1 CertIDs with random
 * serials of 16 octets.
 */
#include "bench/pairs.h"

#include <err.h>
#include <openssl/err.h>
#include <openssl/ocsp.h>
#include <openssl/pem.h>
#include <openssl/rand.h>
#include <openssl/x509v3.h>
#include <stdlib.h>
#include <unistd.h>

#define DAY      (24 * 60 * 60)
#define SERIAL_N 16

struct party {
	X509 *cert;
	EVP_PKEY *key;
};

static bool rsa; /* all keys are; else P-256 */

static void must(bool good, const char *what)
{
	if (good)
		return;
	ERR_print_errors_fp(stderr);
	errx(1, "%s", what);
}

static void extend(X509 *cert, X509 *issuer, int nid, const char *value)
{
	X509V3_CTX ctx;
	X509_EXTENSION *e;

	X509V3_set_ctx(&ctx, issuer, cert, NULL, NULL, 0);
	e = X509V3_EXT_conf_nid(NULL, &ctx, nid, value);
	must(e != NULL && X509_add_ext(cert, e, -1), value);
	X509_EXTENSION_free(e);
}

static void serial_random(ASN1_INTEGER *out)
{
	unsigned char octets[SERIAL_N];
	BIGNUM *n;

	must(RAND_bytes(octets, sizeof octets) == 1, "random");
	octets[0] = (octets[0] & 0x7f) | 0x40; /* positive, and always as long */
	n = BN_bin2bn(octets, sizeof octets, NULL);
	must(n != NULL && BN_to_ASN1_INTEGER(n, out) != NULL, "serial");
	BN_free(n);
}

/* A certificate by issuer (NULL: by itself) that still lacks extensions and signature. */
static struct party party_new(const char *name, const struct party *issuer)
{
	struct party p = {X509_new(), rsa ? EVP_RSA_gen(2048) : EVP_EC_gen("P-256")};
	X509_NAME *subject;

	must(p.cert != NULL && p.key != NULL, "key");
	subject = X509_get_subject_name(p.cert);
	X509_set_version(p.cert, 2);
	serial_random(X509_get_serialNumber(p.cert));
	X509_gmtime_adj(X509_getm_notBefore(p.cert), -2L * DAY);
	X509_gmtime_adj(X509_getm_notAfter(p.cert), 300L * DAY);
	must(X509_NAME_add_entry_by_txt(
		 subject, "CN", MBSTRING_ASC, (const unsigned char *)name, -1, -1, 0) &&
		 X509_set_issuer_name(p.cert,
		     issuer != NULL ? X509_get_subject_name(issuer->cert) : subject) &&
		 X509_set_pubkey(p.cert, p.key),
	    name);
	return p;
}

static struct party ca_new(void)
{
	struct party ca = party_new("Bench CA", NULL);

	extend(ca.cert, ca.cert, NID_basic_constraints, "critical,CA:TRUE");
	extend(ca.cert, ca.cert, NID_key_usage, "critical,keyCertSign,cRLSign");
	extend(ca.cert, ca.cert, NID_subject_key_identifier, "hash");
	must(X509_sign(ca.cert, ca.key, EVP_sha256()) > 0, "CA");
	return ca;
}

static struct party delegate_new(const struct party *ca)
{
	struct party d = party_new("Bench OCSP", ca);

	extend(d.cert, ca->cert, NID_key_usage, "critical,digitalSignature");
	extend(d.cert, ca->cert, NID_ext_key_usage, "OCSPSigning");
	extend(d.cert, ca->cert, NID_id_pkix_OCSP_noCheck, "");
	must(X509_sign(d.cert, ca->key, EVP_sha256()) > 0, "delegate");
	return d;
}

static void ca_write(const char *dir, const struct party *ca)
{
	char path[4096];
	FILE *f;

	snprintf(path, sizeof path, "%s/ca.pem", dir);
	f = fopen(path, "we");
	if (f == NULL || !PEM_write_X509(f, ca->cert) || fclose(f) != 0)
		err(1, "%s", path);
	snprintf(path, sizeof path, "%s/ca.key", dir);
	f = fopen(path, "we");
	if (f == NULL || !PEM_write_PrivateKey(f, ca->key, NULL, NULL, 0, NULL, NULL) ||
	    fclose(f) != 0)
		err(1, "%s", path);
}

static struct bytes request_der(OCSP_CERTID *id, unsigned char **der)
{
	OCSP_REQUEST *q = OCSP_REQUEST_new();
	int n;

	must(
	    q != NULL && OCSP_request_add0_id(q, OCSP_CERTID_dup(id)) != NULL, "request");
	n = i2d_OCSP_REQUEST(q, der);
	must(n > 0, "request");
	OCSP_REQUEST_free(q);
	return bytes_of(*der, (size_t)n);
}

static struct bytes answer_der(OCSP_CERTID *id, const struct party *ca,
    const struct party *signer, unsigned char **der)
{
	OCSP_BASICRESP *b = OCSP_BASICRESP_new();
	ASN1_TIME *now = X509_gmtime_adj(NULL, -60),
		  *end = X509_gmtime_adj(NULL, 7 * DAY);
	OCSP_RESPONSE *r;
	int n;

	must(b != NULL && now != NULL && end != NULL &&
		 OCSP_basic_add1_status(
		     b, id, V_OCSP_CERTSTATUS_GOOD, 0, NULL, now, end) != NULL &&
		 OCSP_basic_sign(b, signer->cert, signer->key, EVP_sha256(), NULL,
		     OCSP_RESPID_KEY | (signer->cert == ca->cert ? OCSP_NOCERTS : 0)),
	    "answer");
	r = OCSP_response_create(OCSP_RESPONSE_STATUS_SUCCESSFUL, b);
	must(r != NULL, "answer");
	n = i2d_OCSP_RESPONSE(r, der);
	must(n > 0, "answer");
	OCSP_RESPONSE_free(r);
	OCSP_BASICRESP_free(b);
	ASN1_TIME_free(now);
	ASN1_TIME_free(end);
	return bytes_of(*der, (size_t)n);
}

static void pair_make(FILE *f, const struct party *ca, const struct party *signer)
{
	unsigned char *request = NULL, *answer = NULL;
	ASN1_INTEGER *serial = ASN1_INTEGER_new();
	OCSP_CERTID *id;

	must(serial != NULL, "serial");
	serial_random(serial);
	id = OCSP_cert_id_new(EVP_sha1(), X509_get_subject_name(ca->cert),
	    X509_get0_pubkey_bitstr(ca->cert), serial);
	must(id != NULL, "CertID");
	if (!pairs_write(
		f, request_der(id, &request), answer_der(id, ca, signer, &answer)))
		err(1, "pairs");
	OCSP_CERTID_free(id);
	ASN1_INTEGER_free(serial);
	OPENSSL_free(request);
	OPENSSL_free(answer);
}

int main(int argc, char **argv)
{
	const char *dir = NULL;
	struct party ca, signer;
	bool by_issuer = false;
	char path[4096];
	long count = 0;
	FILE *f;
	int o;

	while ((o = getopt(argc, argv, "n:d:ri")) != -1)
		if (o == 'n')
			count = atol(optarg);
		else if (o == 'd')
			dir = optarg;
		else if (o == 'r')
			rsa = true;
		else if (o == 'i')
			by_issuer = true;
		else
			return 64;
	if (count <= 0 || dir == NULL)
		errx(64, "usage: make_answers -n COUNT -d DIR [-r] [-i]");
	ca = ca_new();
	signer = by_issuer ? ca : delegate_new(&ca);
	ca_write(dir, &ca);
	snprintf(path, sizeof path, "%s/pairs", dir);
	f = fopen(path, "we");
	if (f == NULL || !pairs_start(f))
		err(1, "%s", path);
	for (long i = 0; i < count; i++)
		pair_make(f, &ca, &signer);
	if (fclose(f) != 0)
		err(1, "%s", path);
	return 0;
}
