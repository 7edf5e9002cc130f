/* watch_issuer.c - three sorted arrays: of names, of key identifiers, of hashes of DNs.
 */
#include "cache/watch/watch_issuer.h"

#include <openssl/err.h>
#include <openssl/x509v3.h>
#include <stdlib.h>

#include "cache/base/signature.h"
#include "cache/watch/watch_x509.h"

struct by_key {
	const struct issuer *issuer;
	uint8_t n, octets[WATCH_AKI_MAX];
};

struct by_subject {
	unsigned long hash; /* X509_NAME_hash_ex() */
	const struct issuer *issuer;
	const struct issuer_ca *ca;
};

struct watch_issuers {
	const struct issuer **name;
	struct by_key *key;
	struct by_subject *subject;
	size_t name_n, key_n, subject_n;
};

bool watch_aki_from_hex(struct bytes text, uint8_t out[WATCH_AKI_MAX], size_t *n)
{
	size_t i = 0;

	for (*n = 0; i + 2 <= text.n && *n < WATCH_AKI_MAX; i += 2, ++*n) {
		if (*n > 0 && text.p[i] == ':')
			i++;
		if (i + 2 > text.n || !hex_decode((const char *)text.p + i, 1, out + *n))
			return false;
	}
	return *n > 0 && i == text.n;
}

static int cmp_octets(const uint8_t *a, size_t a_n, const uint8_t *b, size_t b_n)
{
	int order = memcmp(a, b, a_n < b_n ? a_n : b_n);

	return order != 0 ? order : (a_n > b_n) - (a_n < b_n);
}

static int cmp_names(const void *a, const void *b)
{
	return strcmp((*(const struct issuer *const *)a)->name,
	    (*(const struct issuer *const *)b)->name);
}

static int cmp_keys(const void *a, const void *b)
{
	const struct by_key *x = a, *y = b;

	return cmp_octets(x->octets, x->n, y->octets, y->n);
}

static int cmp_subjects(const void *a, const void *b)
{
	const struct by_subject *x = a, *y = b;

	return (x->hash > y->hash) - (x->hash < y->hash);
}

static void add_key(struct watch_issuers *w, const struct issuer *i, struct bytes id)
{
	struct by_key *k = &w->key[w->key_n];

	if (id.n == 0 || id.n > sizeof k->octets)
		return;
	k->issuer = i;
	k->n = (uint8_t)id.n;
	memcpy(k->octets, id.p, id.n);
	w->key_n++;
}

/* n 0: it names none. */
static struct bytes subject_key_id(X509 *x)
{
	const ASN1_OCTET_STRING *s = X509_get0_subject_key_id(x);
	int n = s != NULL ? ASN1_STRING_length(s) : 0;

	return n > 0 ? bytes_of(ASN1_STRING_get0_data(s), (size_t)n) : bytes_of(NULL, 0);
}

static bool hash_name(const X509_NAME *name, unsigned long *hash)
{
	int ok = 0;

	*hash = X509_NAME_hash_ex(name, NULL, NULL, &ok);
	return ok == 1;
}

static struct bytes sha1_key_id(const struct issuer_ca *ca)
{
	return bytes_of(ca->key_hash[CERTID_SHA1], certid_hash_size(CERTID_SHA1));
}

static void add_issuer(struct watch_issuers *w, const struct issuer *i)
{
	w->name[w->name_n++] = i;
	for (size_t c = 0; c < i->ca_n; c++) {
		const struct issuer_ca *ca = &i->ca[c];
		struct by_subject *s = &w->subject[w->subject_n];

		add_key(w, i, subject_key_id(ca->certificate));
		add_key(w, i, sha1_key_id(ca));
		*s = (struct by_subject){.issuer = i, .ca = ca};
		w->subject_n +=
		    hash_name(X509_get_subject_name(ca->certificate), &s->hash);
	}
}

struct watch_issuers *watch_issuers_new(const struct issuer *const *list, size_t n)
{
	struct watch_issuers *w = calloc(1, sizeof *w);
	size_t cas = 0;

	if (w == NULL)
		return NULL;
	for (size_t i = 0; i < n; i++)
		cas += list[i]->ca_n;
	w->name = calloc(n + 1, sizeof *w->name);
	w->key = calloc(2 * cas + 1, sizeof *w->key);
	w->subject = calloc(cas + 1, sizeof *w->subject);
	if (w->name == NULL || w->key == NULL || w->subject == NULL) {
		watch_issuers_free(w);
		return NULL;
	}
	for (size_t i = 0; i < n; i++)
		add_issuer(w, list[i]);
	qsort(w->name, w->name_n, sizeof *w->name, cmp_names);
	qsort(w->key, w->key_n, sizeof *w->key, cmp_keys);
	qsort(w->subject, w->subject_n, sizeof *w->subject, cmp_subjects);
	ERR_clear_error();
	return w;
}

void watch_issuers_free(struct watch_issuers *w)
{
	if (w == NULL)
		return;
	free(w->name);
	free(w->key);
	free(w->subject);
	free(w);
}

const struct issuer *watch_issuers_named(const struct watch_issuers *w, struct bytes name)
{
	size_t low = 0, high = w->name_n;

	while (low < high) {
		size_t middle = low + (high - low) / 2;
		const char *other = w->name[middle]->name;
		int order =
		    cmp_octets((const uint8_t *)other, strlen(other), name.p, name.n);

		if (order == 0)
			return w->name[middle];
		if (order < 0)
			low = middle + 1;
		else
			high = middle;
	}
	return NULL;
}

const struct issuer *watch_issuers_with_key(
    const struct watch_issuers *w, struct bytes aki)
{
	const struct issuer *found = NULL;
	size_t low = 0, high = w->key_n;

	while (low < high) { /* the first that is not before it */
		size_t middle = low + (high - low) / 2;
		const struct by_key *k = &w->key[middle];

		if (cmp_octets(k->octets, k->n, aki.p, aki.n) < 0)
			low = middle + 1;
		else
			high = middle;
	}
	for (; low < w->key_n; low++) {
		const struct by_key *k = &w->key[low];

		if (cmp_octets(k->octets, k->n, aki.p, aki.n) != 0)
			break;
		if (found != NULL && found != k->issuer)
			return NULL;
		found = k->issuer;
	}
	return found;
}

static size_t first_subject(const struct watch_issuers *w, unsigned long hash)
{
	size_t low = 0, high = w->subject_n;

	while (low < high) {
		size_t middle = low + (high - low) / 2;

		if (w->subject[middle].hash < hash)
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

static bool has_key_id(const struct issuer_ca *ca, struct bytes aki)
{
	return bytes_equal(subject_key_id(ca->certificate), aki) ||
	       bytes_equal(sha1_key_id(ca), aki);
}

unsigned watch_issuer_ca(const struct issuer *i, struct bytes aki)
{
	for (unsigned n = 0; n < i->ca_n; n++)
		if (has_key_id(&i->ca[n], aki))
			return n;
	return 0;
}

/* By a signature that this issuer's rules believe (signature.h). */
static bool verifies(const struct by_subject *s, const struct watch_x509 *x)
{
	const struct issuer_rules *rules = &s->issuer->rules;
	bool sha1;

	return signature_algorithm_check(watch_x509_algorithm(x), rules, &sha1) ==
		   ERR_OK &&
	       signature_key_is_strong(s->ca->key, rules) &&
	       watch_x509_signed_by(x, s->ca->key);
}

/* What the CAs of x's issuer's name come to. */
struct finding {
	const struct by_subject *verified, *by_key;
	const struct issuer *by_name; /* the only one */
	bool several;
};

static void look(struct finding *f, const struct by_subject *s,
    const struct watch_x509 *x, struct bytes aki, bool keys)
{
	bool fits = aki.n > 0 && has_key_id(s->ca, aki);

	if (fits == keys && f->verified == NULL && verifies(s, x))
		f->verified = s;
	if (fits && f->by_key == NULL)
		f->by_key = s;
	f->several = f->several || (f->by_name != NULL && f->by_name != s->issuer);
	f->by_name = s->issuer;
}

static struct finding look_at_all(
    const struct watch_issuers *w, const struct watch_x509 *x)
{
	const X509_NAME *name = watch_x509_issuer(x);
	struct bytes aki = watch_x509_aki(x);
	struct finding f = {0};
	unsigned long hash;
	size_t first;

	if (!hash_name(name, &hash))
		return f;
	first = first_subject(w, hash);
	/* those with its key first: they are nearly always right */
	for (int keys = 1; keys >= 0 && f.verified == NULL; keys--)
		for (size_t i = first; i < w->subject_n && w->subject[i].hash == hash;
		     i++) {
			const struct by_subject *s = &w->subject[i];

			if (X509_NAME_cmp(
				X509_get_subject_name(s->ca->certificate), name) == 0)
				look(&f, s, x, aki, keys);
		}
	return f;
}

void watch_issuer_find(
    const struct watch_issuers *w, const struct watch_x509 *x, struct watch_cert *c)
{
	struct finding f = {0};

	if (w != NULL)
		f = look_at_all(w, x);
	c->verified = f.verified != NULL;
	if (f.verified != NULL)
		c->configured = f.verified->issuer;
	else if (f.by_key != NULL)
		c->configured = f.by_key->issuer;
	else if (watch_x509_aki(x).n == 0 && !f.several)
		c->configured = f.by_name;
	else
		c->configured = NULL;
	c->issuer = c->configured != NULL ? c->configured->name : NULL;
}
