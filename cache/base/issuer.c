/* issuer.c - the indexes are open addressing, at most half full, built once: over all
 * CertIDs of all certificates, four for each, and over the certificates' ids.  CertID
 * hashes and ids are hashes already, so eight bytes of them are the index's hash;
 * somebody who looks for a long probe can make it no longer than the configured CAs do.
 */
#include "cache/base/issuer.h"

#include <assert.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <stdlib.h>

struct certid_slot {
	const struct issuer *issuer; /* NULL: empty */
	unsigned ca;
	enum certid_hash hash;
};

struct issuers {
	struct issuer *issuer;
	size_t n;
	struct certid_slot *slot;
	size_t mask;                   /* slots - 1, a power of two less one */
	const struct issuer **by_name; /* sorted */
	const struct issuer **by_id;
	size_t id_mask;
};

static size_t certid_home(const uint8_t *name_hash, const uint8_t *key_hash)
{
	uint64_t a, b;

	memcpy(&a, name_hash, sizeof a);
	memcpy(&b, key_hash, sizeof b);
	return (size_t)(a ^ b);
}

static bool slot_matches(const struct certid_slot *s, enum certid_hash h,
    const uint8_t *name_hash, const uint8_t *key_hash)
{
	const struct issuer_ca *ca = &s->issuer->ca[s->ca];
	size_t n = certid_hash_size(h);

	return s->hash == h && memcmp(ca->key_hash[h], key_hash, n) == 0 &&
	       memcmp(ca->name_hash[h], name_hash, n) == 0;
}

/* The slot of a CertID, or the empty one where it belongs. */
static struct certid_slot *find_slot(const struct issuers *is, enum certid_hash h,
    const uint8_t *name_hash, const uint8_t *key_hash)
{
	size_t i = certid_home(name_hash, key_hash) & is->mask;

	while (is->slot[i].issuer != NULL &&
	       !slot_matches(&is->slot[i], h, name_hash, key_hash))
		i = (i + 1) & is->mask;
	return &is->slot[i];
}

/* RFC 6960 section 4.1.1: the name as the DER of the certificate has it; of the key the
 * content of the BIT STRING without tag, length and number of unused bits. */
static bool hash_certid(struct issuer_ca *ca, enum certid_hash h)
{
	const EVP_MD *md = EVP_get_digestbynid(certid_hash_nid(h));
	const ASN1_BIT_STRING *key = X509_get0_pubkey_bitstr(ca->certificate);

	return md != NULL && key != NULL &&
	       X509_NAME_digest(X509_get_subject_name(ca->certificate), md,
		   ca->name_hash[h], NULL) == 1 &&
	       EVP_Digest(ASN1_STRING_get0_data(key), (size_t)ASN1_STRING_length(key),
		   ca->key_hash[h], NULL, md, NULL) == 1;
}

static bool hash_id(struct issuer_ca *ca)
{
	uint8_t both[64];

	memcpy(both, ca->name_hash[CERTID_SHA256], 32);
	memcpy(both + 32, ca->key_hash[CERTID_SHA256], 32);
	return EVP_Digest(both, sizeof both, ca->id, NULL, EVP_sha256(), NULL) == 1;
}

static enum err ca_fill(struct issuer_ca *ca, X509 *certificate)
{
	if (X509_up_ref(certificate) != 1)
		return ERR_INTERNAL;
	ca->certificate = certificate;
	ca->key = X509_get_pubkey(certificate);
	if (ca->key == NULL ||
	    X509_digest(certificate, EVP_sha256(), ca->sha256, NULL) != 1)
		goto fail;
	for (int h = 0; h < CERTID_HASH_COUNT; h++) {
		if (!hash_certid(ca, h))
			goto fail;
	}
	if (hash_id(ca))
		return ERR_OK;
fail:
	ERR_clear_error();
	return ERR_INTERNAL;
}

static enum err responder_fill(struct issuer_responder *r, X509 *certificate)
{
	if (X509_up_ref(certificate) != 1)
		return ERR_INTERNAL;
	r->certificate = certificate;
	r->key = X509_get_pubkey(certificate);
	if (r->key != NULL &&
	    X509_digest(certificate, EVP_sha256(), r->sha256, NULL) == 1)
		return ERR_OK;
	ERR_clear_error();
	return ERR_INTERNAL;
}

static enum err fill_certificates(struct issuer *i, const struct issuer_spec *spec)
{
	enum err e = ERR_OK;

	while (e == ERR_OK && i->ca_n < spec->certificates_n) {
		e = ca_fill(&i->ca[i->ca_n], spec->certificates[i->ca_n]);
		i->ca_n++;
	}
	while (e == ERR_OK && i->responder_n < spec->responders_n) {
		e = responder_fill(
		    &i->responder[i->responder_n], spec->responders[i->responder_n]);
		i->responder_n++;
	}
	return e;
}

/* Appends a copy to the *n of out. */
static bool copy_text(char **out, size_t *n, const char *text)
{
	out[*n] = strdup(text);
	return out[(*n)++] != NULL;
}

static bool list_fill(struct issuer_list *l, const struct issuer_list *from)
{
	bool ok;

	l->strict = from->strict;
	l->scope = strdup(from->scope);
	l->place = calloc(from->place_n, sizeof *l->place);
	ok = l->scope != NULL && l->place != NULL;
	for (size_t k = 0; ok && k < from->place_n; k++)
		ok = copy_text(l->place, &l->place_n, from->place[k]);
	return ok;
}

void issuer_list_clear(struct issuer_list *l)
{
	for (size_t k = 0; k < l->place_n; k++)
		free(l->place[k]);
	free(l->place);
	free(l->scope);
}

static enum err issuer_fill(struct issuer *i, const struct issuer_spec *spec)
{
	i->rules = spec->rules;
	i->name = strdup(spec->name);
	i->ca = calloc(spec->certificates_n, sizeof *i->ca);
	i->responder = calloc(spec->responders_n + 1, sizeof *i->responder);
	i->ocsp = calloc(spec->ocsp_n + 1, sizeof *i->ocsp);
	i->crl = calloc(spec->crl_n + 1, sizeof *i->crl);
	if (i->name == NULL || i->ca == NULL || i->responder == NULL || i->ocsp == NULL ||
	    i->crl == NULL)
		return ERR_NOMEM;
	while (i->ocsp_n < spec->ocsp_n)
		if (!copy_text(i->ocsp, &i->ocsp_n, spec->ocsp[i->ocsp_n]))
			return ERR_NOMEM;
	while (i->crl_n < spec->crl_n) {
		size_t n = i->crl_n++;

		if (!list_fill(&i->crl[n], &spec->crl[n]))
			return ERR_NOMEM;
	}
	return fill_certificates(i, spec);
}

static void issuer_empty(struct issuer *i)
{
	for (size_t c = 0; c < i->ca_n; c++) {
		EVP_PKEY_free(i->ca[c].key);
		X509_free(i->ca[c].certificate);
	}
	for (size_t r = 0; r < i->responder_n; r++) {
		EVP_PKEY_free(i->responder[r].key);
		X509_free(i->responder[r].certificate);
	}
	for (size_t u = 0; u < i->ocsp_n; u++)
		free(i->ocsp[u]);
	for (size_t u = 0; u < i->crl_n; u++)
		issuer_list_clear(&i->crl[u]);
	free(i->crl);
	free(i->ca);
	free(i->responder);
	free(i->ocsp);
	free(i->name);
}

/* Index one certificate; false with *other where another issuer has its CertID. */
static bool index_ca(
    struct issuers *is, const struct issuer *i, unsigned c, size_t *other)
{
	const struct issuer_ca *ca = &i->ca[c];

	for (int h = 0; h < CERTID_HASH_COUNT; h++) {
		struct certid_slot *s =
		    find_slot(is, h, ca->name_hash[h], ca->key_hash[h]);

		if (s->issuer == NULL) {
			*s = (struct certid_slot){i, c, h};
		} else if (s->issuer != i) {
			*other = (size_t)(s->issuer - is->issuer);
			return false;
		}
	}
	return true;
}

static bool has_id(const struct issuer *i, const uint8_t id[32])
{
	for (size_t c = 0; c < i->ca_n; c++)
		if (memcmp(i->ca[c].id, id, sizeof i->ca[c].id) == 0)
			return true;
	return false;
}

/* The place of the issuer with this id, or the empty one where it belongs. */
static const struct issuer **find_id(const struct issuers *is, const uint8_t id[32])
{
	uint64_t h;
	size_t i;

	memcpy(&h, id, sizeof h);
	i = (size_t)h & is->id_mask;
	while (is->by_id[i] != NULL && !has_id(is->by_id[i], id))
		i = (i + 1) & is->id_mask;
	return &is->by_id[i];
}

static size_t slots_for(size_t n)
{
	size_t slots = 2;

	while (slots < 2 * n)
		slots *= 2;
	return slots;
}

static enum err index_new(struct issuers *is)
{
	size_t cas = 0, slots, ids;

	for (size_t i = 0; i < is->n; i++)
		cas += is->issuer[i].ca_n;
	slots = slots_for(cas * CERTID_HASH_COUNT);
	ids = slots_for(cas);
	is->slot = calloc(slots, sizeof *is->slot);
	is->by_id = calloc(ids, sizeof *is->by_id);
	is->mask = slots - 1;
	is->id_mask = ids - 1;
	return is->slot != NULL && is->by_id != NULL ? ERR_OK : ERR_NOMEM;
}

static enum err index_build(struct issuers *is, size_t clash[2])
{
	enum err e = index_new(is);

	if (e != ERR_OK)
		return e;
	for (size_t n = 0; n < is->n; n++) {
		const struct issuer *i = &is->issuer[n];

		for (unsigned c = 0; c < i->ca_n; c++) {
			clash[1] = n;
			if (!index_ca(is, i, c, &clash[0]))
				return ERR_REQ_ISSUER;
			*find_id(is, i->ca[c].id) = i;
		}
	}
	return ERR_OK;
}

static int cmp_names(const void *a, const void *b)
{
	return strcmp((*(const struct issuer *const *)a)->name,
	    (*(const struct issuer *const *)b)->name);
}

static enum err sort_names(struct issuers *is)
{
	is->by_name = calloc(is->n + 1, sizeof(const struct issuer *));
	if (is->by_name == NULL)
		return ERR_NOMEM;
	for (size_t i = 0; i < is->n; i++)
		is->by_name[i] = &is->issuer[i];
	qsort(is->by_name, is->n, sizeof(const struct issuer *), cmp_names);
	return ERR_OK;
}

enum err issuers_new(
    struct issuers **out, const struct issuer_spec *specs, size_t n, size_t clash[2])
{
	struct issuers *is = calloc(1, sizeof *is);
	enum err e = ERR_NOMEM;

	if (is == NULL)
		return ERR_NOMEM;
	is->issuer = calloc(n + 1, sizeof *is->issuer);
	if (is->issuer == NULL)
		goto fail;
	while (is->n < n) {
		assert(specs[is->n].certificates_n > 0);
		e = issuer_fill(&is->issuer[is->n], &specs[is->n]);
		is->n++;
		if (e != ERR_OK)
			goto fail;
	}
	e = index_build(is, clash);
	if (e == ERR_OK)
		e = sort_names(is);
	if (e != ERR_OK)
		goto fail;
	*out = is;
	return ERR_OK;
fail:
	issuers_free(is);
	return e;
}

void issuers_free(struct issuers *is)
{
	if (is == NULL)
		return;
	for (size_t i = 0; i < is->n; i++)
		issuer_empty(&is->issuer[i]);
	free(is->issuer);
	free(is->by_name);
	free(is->slot);
	free(is->by_id);
	free(is);
}

size_t issuers_count(const struct issuers *is)
{
	return is->n;
}

const struct issuer *issuers_at(const struct issuers *is, size_t i)
{
	assert(i < is->n);
	return &is->issuer[i];
}

void issuers_set_slot(struct issuers *is, size_t i, struct crl_slot *slot)
{
	is->issuer[i].slot = slot;
}

const struct issuer *issuers_named(const struct issuers *is, const char *name)
{
	size_t low = 0, high = is->n;

	while (low < high) {
		size_t middle = low + (high - low) / 2;
		int order = strcmp(is->by_name[middle]->name, name);

		if (order == 0)
			return is->by_name[middle];
		if (order < 0)
			low = middle + 1;
		else
			high = middle;
	}
	return NULL;
}

const struct issuer *issuers_with(const struct issuers *is, const uint8_t ca_id[32])
{
	return *find_id(is, ca_id);
}

const struct issuer *issuers_find(
    const struct issuers *is, const struct key *k, unsigned *ca)
{
	const struct certid_slot *s =
	    find_slot(is, k->hash, key_issuer_name_hash(k).p, key_issuer_key_hash(k).p);

	if (s->issuer != NULL && ca != NULL)
		*ca = s->ca;
	return s->issuer;
}

bool issuer_vouches(const struct issuer *i, const uint8_t sha256[32])
{
	for (size_t n = 0; n < i->ca_n; n++)
		if (memcmp(i->ca[n].sha256, sha256, 32) == 0)
			return true;
	for (size_t n = 0; n < i->responder_n; n++)
		if (memcmp(i->responder[n].sha256, sha256, 32) == 0)
			return true;
	return false;
}

void issuer_key(const struct issuer *i, unsigned ca, enum certid_hash h,
    const struct serial *s, struct key *out)
{
	assert(ca < i->ca_n);
	key_make(out, h, i->ca[ca].name_hash[h], i->ca[ca].key_hash[h], s);
}

size_t issuer_keys_n(const struct issuer *i)
{
	return i->ca_n * CERTID_HASH_COUNT;
}

void issuer_key_at(
    const struct issuer *i, size_t n, const struct serial *s, struct key *out)
{
	issuer_key(i, (unsigned)(n / CERTID_HASH_COUNT),
	    (enum certid_hash)(n % CERTID_HASH_COUNT), s, out);
}
