/* known.c - a copy of the set of issuers, and an index over it. */
#include "proxy/watch/known.h"

#include <assert.h>
#include <openssl/bio.h>
#include <openssl/x509v3.h>
#include <stdlib.h>

/* room: certificates of all issuers together. */
static void spec_of(const struct issuer *i, struct issuer_spec *s, X509 ***room)
{
	X509 **certificates = *room;

	for (size_t n = 0; n < i->ca_n; n++)
		certificates[n] = i->ca[n].certificate;
	*s = (struct issuer_spec){.name = i->name,
	    .certificates = certificates,
	    .certificates_n = i->ca_n,
	    .rules = i->rules};
	*room += i->ca_n;
}

static struct issuers *issuers_copy(const struct issuers *from)
{
	size_t n = issuers_count(from), cas = 0, clash[2];
	struct issuer_spec *specs = calloc(n + 1, sizeof *specs);
	struct issuers *out = NULL;
	X509 **certificates, **room;

	for (size_t i = 0; i < n; i++)
		cas += issuers_at(from, i)->ca_n;
	certificates = room = calloc(cas + 1, sizeof *certificates);
	if (specs != NULL && certificates != NULL) {
		for (size_t i = 0; i < n; i++)
			spec_of(issuers_at(from, i), &specs[i], &room);
		if (issuers_new(&out, specs, n, clash) != ERR_OK)
			out = NULL;
	}
	free(certificates);
	free(specs);
	return out;
}

static struct watch_issuers *index_over(const struct issuers *is)
{
	size_t n = issuers_count(is);
	const struct issuer **list = calloc(n + 1, sizeof *list);
	struct watch_issuers *index = NULL;

	for (size_t i = 0; list != NULL && i < n; i++)
		list[i] = issuers_at(is, i);
	if (list != NULL)
		index = watch_issuers_new(list, n);
	free(list);
	return index;
}

/* As watch_x509.h writes it: RFC 4514, but letters outside of ASCII as they are. */
#define DN_FLAGS                                                                         \
	((XN_FLAG_RFC2253 & ~(unsigned long)ASN1_STRFLGS_ESC_MSB) |                      \
	    ASN1_STRFLGS_UTF8_CONVERT)

static void put_dn(const X509_NAME *name, char out[WATCH_DN_MAX + 1])
{
	BIO *b = BIO_new(BIO_s_mem());
	int n = 0;

	if (b != NULL && X509_NAME_print_ex(b, name, 0, DN_FLAGS) >= 0)
		n = BIO_read(b, out, WATCH_DN_MAX);
	out[n > 0 ? n : 0] = '\0';
	BIO_free(b);
}

/* Its subjectKeyIdentifier, which is what certificates name; else the SHA-1 of its key
 * (RFC 5280 section 4.2.1.2). */
static void put_aki(const struct issuer_ca *ca, struct known_issuer *out)
{
	const ASN1_OCTET_STRING *id = X509_get0_subject_key_id(ca->certificate);
	int n = id != NULL ? ASN1_STRING_length(id) : 0;

	if (n > 0 && n <= WATCH_AKI_MAX) {
		memcpy(out->aki, ASN1_STRING_get0_data(id), (size_t)n);
		out->aki_n = (uint8_t)n;
		return;
	}
	out->aki_n = (uint8_t)certid_hash_size(CERTID_SHA1);
	memcpy(out->aki, ca->key_hash[CERTID_SHA1], out->aki_n);
}

static struct known_issuer *describe(const struct issuers *is)
{
	size_t n = issuers_count(is);
	struct known_issuer *of = calloc(n + 1, sizeof *of);

	for (size_t i = 0; of != NULL && i < n; i++) {
		const struct issuer_ca *ca = &issuers_at(is, i)->ca[0];

		put_aki(ca, &of[i]);
		put_dn(X509_get_subject_name(ca->certificate), of[i].dn);
	}
	return of;
}

struct known *known_new(const struct issuers *configured)
{
	struct known *k = calloc(1, sizeof *k);

	if (k == NULL)
		return NULL;
	atomic_init(&k->refs, 1);
	k->issuers = issuers_copy(configured);
	if (k->issuers != NULL)
		k->index = index_over(k->issuers);
	if (k->index != NULL)
		k->of = describe(k->issuers);
	if (k->of != NULL)
		return k;
	known_unref(k);
	return NULL;
}

struct known *known_ref(struct known *k)
{
	atomic_fetch_add_explicit(&k->refs, 1, memory_order_relaxed);
	return k;
}

void known_unref(struct known *k)
{
	if (k == NULL || atomic_fetch_sub_explicit(&k->refs, 1, memory_order_acq_rel) > 1)
		return;
	free(k->of);
	watch_issuers_free(k->index);
	issuers_free(k->issuers);
	free(k);
}

/* i is one of them, which stand behind each other. */
static const struct known_issuer *about(const struct known *k, const struct issuer *i)
{
	size_t n = (size_t)(i - issuers_at(k->issuers, 0));

	assert(issuers_at(k->issuers, n) == i);
	return &k->of[n];
}

void known_complete(const struct known *k, struct watch_cert *c)
{
	const struct known_issuer *of;

	if (c->configured == NULL || (c->aki.n > 0 && c->issuer_name.n > 0))
		return;
	of = about(k, c->configured);
	if (c->aki.n == 0)
		c->aki = bytes_of(of->aki, of->aki_n);
	if (c->issuer_name.n == 0)
		c->issuer_name = bytes_of(of->dn, strlen(of->dn));
}

const char *known_called(const struct known *k, struct bytes aki, const char *issuer)
{
	const struct issuer *i = aki.n > 0 ? watch_issuers_with_key(k->index, aki) : NULL;

	if (i != NULL)
		return i->name;
	return aki.n > 0 ? "" : issuer;
}

const char *known_dn(const struct known *k, const char *issuer)
{
	const struct issuer *i = issuers_named(k->issuers, issuer);

	return i != NULL ? about(k, i)->dn : "";
}
