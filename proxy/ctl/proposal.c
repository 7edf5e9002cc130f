/* proposal.c - CAs in the order of their names; each certificate to the one that verifies
 * it. */
#include "proxy/ctl/proposal.h"

#include <openssl/err.h>
#include <openssl/x509v3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* CAs of one name that are asked whether they signed: a stranger's bundle may have any
 * number of them. */
#define TRIES_MAX 64
/* Digits of a hash in a name; all of them where that many are equal. */
#define HASH_DIGITS 8
#define PLAIN_MAX   (PROPOSAL_NAME_MAX - 1 - 1 - 32) /* room for a '-' and 32 digits */

/* Names. */

void proposal_plain_name(struct bytes cn, char out[PROPOSAL_NAME_MAX])
{
	size_t n = 0;

	for (size_t i = 0; i < cn.n && n < PLAIN_MAX; i++) {
		uint8_t c = cn.p[i];

		if (c >= 'A' && c <= 'Z')
			c = (uint8_t)(c + 'a' - 'A');
		if ((c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') ||
		    (n > 0 && (c == '.' || c == '_')))
			out[n++] = (char)c;
		else if (n > 0 && out[n - 1] != '-')
			out[n++] = '-';
	}
	while (n > 0 && strchr("-._", out[n - 1]) != NULL)
		n--;
	out[n] = '\0';
	if (n == 0)
		strcpy(out, "ca");
}

/* Its commonName, or what stands for it. */
static void plain_name(const struct proposal *p, char out[PROPOSAL_NAME_MAX])
{
	static const int nids[] = {
	    NID_commonName, NID_organizationalUnitName, NID_organizationName};
	const X509_NAME *name = X509_get_subject_name(p->ca[0]->x);
	const ASN1_STRING *text = NULL;
	unsigned char *utf8 = NULL;
	int n = 0;

	for (size_t i = 0; i < sizeof nids / sizeof *nids && text == NULL; i++) {
		int at =
		    X509_NAME_get_index_by_NID((X509_NAME *)(uintptr_t)name, nids[i], -1);

		if (at >= 0)
			text = X509_NAME_ENTRY_get_data(X509_NAME_get_entry(name, at));
	}
	if (text != NULL)
		n = ASN1_STRING_to_UTF8(&utf8, text);
	proposal_plain_name(bytes_of(utf8, n > 0 ? (size_t)n : 0), out);
	OPENSSL_free(utf8);
	ERR_clear_error();
}

/* digits: 0 for none. */
static void hashed_name(const struct proposal *p, int digits, char out[PROPOSAL_NAME_MAX])
{
	int n = snprintf(out, PROPOSAL_NAME_MAX, "%s%s", p->plain, digits > 0 ? "-" : "");

	for (int i = 0; i < digits / 2; i++)
		n += snprintf(
		    out + n, PROPOSAL_NAME_MAX - (size_t)n, "%02x", p->sha256[i]);
}

static bool is_taken(const struct proposals *all, size_t i,
    const struct proposal_namer *namer, const char *name)
{
	for (size_t k = 0; k < i; k++)
		if (strcmp(all->one[k].name, name) == 0)
			return true;
	return namer != NULL && namer->is_taken(namer->arg, name);
}

static bool has_namesake(const struct proposals *all, size_t i)
{
	for (size_t k = 0; k < all->n; k++)
		if (k != i && strcmp(all->one[k].plain, all->one[i].plain) == 0)
			return true;
	return false;
}

static void give_name(struct proposals *all, size_t i, const struct proposal_namer *namer)
{
	static const int digits[] = {0, HASH_DIGITS, 32};
	struct proposal *p = &all->one[i];

	for (size_t k = 0; k < 3 && namer != NULL; k++) {
		hashed_name(p, digits[k], p->name);
		if (namer->is_its(namer->arg, p, p->name) &&
		    !is_taken(all, i, NULL, p->name))
			return;
	}
	for (size_t k = has_namesake(all, i); k < 3; k++) {
		hashed_name(p, digits[k], p->name);
		if (!is_taken(all, i, namer, p->name))
			return;
	}
}

/* CAs. */

static int key_cmp(X509 *a, X509 *b)
{
	const ASN1_BIT_STRING *x = X509_get0_pubkey_bitstr(a);
	const ASN1_BIT_STRING *y = X509_get0_pubkey_bitstr(b);

	return ASN1_STRING_cmp(x, y);
}

static int by_name_and_key(const void *a, const void *b)
{
	const struct found_cert *x = *(const struct found_cert *const *)a;
	const struct found_cert *y = *(const struct found_cert *const *)b;
	int n = X509_NAME_cmp(X509_get_subject_name(x->x), X509_get_subject_name(y->x));

	if (n == 0)
		n = key_cmp(x->x, y->x);
	return n != 0 ? n : memcmp(x->sha256, y->sha256, 32);
}

/* The CAs of one name that stand together in `ca`: where they begin. */
static size_t first_named(
    const struct found_cert *const *ca, size_t n, const X509_NAME *name)
{
	size_t low = 0, high = n;

	while (low < high) {
		size_t mid = (low + high) / 2;

		if (X509_NAME_cmp(X509_get_subject_name(ca[mid]->x), name) < 0)
			low = mid + 1;
		else
			high = mid;
	}
	return low;
}

/* The first CA of that name and key whose key verifies x, or n. */
static size_t who_issued(const struct found_cert *const *ca, size_t n, X509 *x)
{
	const X509_NAME *name = X509_get_issuer_name(x);
	int tries = 0;
	bool is = false;
	size_t i = first_named(ca, n, name);

	for (; i < n && !is && X509_NAME_cmp(X509_get_subject_name(ca[i]->x), name) == 0;
	     i++) {
		EVP_PKEY *key = X509_get0_pubkey(ca[i]->x);

		if (i > 0 && tries > 0 && key_cmp(ca[i - 1]->x, ca[i]->x) == 0)
			continue; /* the same, renewed */
		if (tries++ == TRIES_MAX)
			break;
		is = key != NULL && X509_verify(x, key) == 1;
	}
	ERR_clear_error();
	return is ? i - 1 : n;
}

/* Proposals. */

struct proposing {
	struct proposals *out;
	const struct found_cert **ca; /* sorted */
	size_t n;
	size_t *of; /* of each CA: index + 1 of its proposal */
	time_t now;
	bool nomem;
};

struct adding {
	struct proposal_urls *urls, *mirrors;
	bool nomem;
};

static void add_url(void *arg, const char *text)
{
	struct adding *a = arg;
	struct proposal_urls *u = a->urls;
	struct proposal_url *grown;

	for (size_t i = 0; i < u->n; i++)
		if (strcmp(u->url[i].text, text) == 0) {
			u->url[i].named++;
			return;
		}
	if (u->n == PROPOSAL_URLS_MAX) {
		u->left_out++;
		return;
	}
	grown = realloc(u->url, (u->n + 1) * sizeof *grown);
	if (grown != NULL)
		u->url = grown;
	if (grown == NULL || (grown[u->n].text = strdup(text)) == NULL) {
		a->nomem = true;
		return;
	}
	grown[u->n++].named = 1;
}

/* The first one, and the others in its place. */
static void add_list(void *arg, const char *text)
{
	struct adding *crl = arg;

	add_url(crl, text);
	crl->urls = crl->mirrors;
}

static void add_urls(struct proposing *m, struct proposal *p, X509 *x)
{
	struct adding ocsp = {.urls = &p->ocsp};
	struct adding crl = {.urls = &p->crl, .mirrors = &p->mirrors};

	found_access(x, NID_ad_OCSP, add_url, &ocsp);
	found_lists(x, add_list, &crl);
	m->nomem = m->nomem || ocsp.nomem || crl.nomem;
}

static bool is_same(const struct found_cert *a, const struct found_cert *b)
{
	return X509_NAME_cmp(X509_get_subject_name(a->x), X509_get_subject_name(b->x)) ==
		   0 &&
	       key_cmp(a->x, b->x) == 0;
}

/* All certificates of this CA: those of its name and key stand together. */
static bool add_cas(
    const struct proposing *m, struct proposal *p, size_t one, size_t index)
{
	size_t first = one, end = one + 1;

	while (first > 0 && is_same(m->ca[first - 1], m->ca[one]))
		first--;
	while (end < m->n && is_same(m->ca[end], m->ca[one]))
		end++;
	p->ca = calloc(end - first, sizeof(const struct found_cert *));
	if (p->ca == NULL)
		return false;
	for (size_t k = first; k < end; k++) {
		p->ca[p->ca_n++] = m->ca[k];
		m->of[k] = index + 1;
	}
	return true;
}

static bool digest(struct proposal *p)
{
	X509 *x = p->ca[0]->x;
	const ASN1_BIT_STRING *key = X509_get0_pubkey_bitstr(x);
	unsigned char *name = NULL;
	EVP_MD_CTX *md = EVP_MD_CTX_new();
	int n = i2d_X509_NAME(X509_get_subject_name(x), &name);
	bool ok = md != NULL && n > 0 && EVP_DigestInit_ex(md, EVP_sha256(), NULL) == 1 &&
		  EVP_DigestUpdate(md, name, (size_t)n) == 1 &&
		  EVP_DigestUpdate(md, ASN1_STRING_get0_data(key),
		      (size_t)ASN1_STRING_length(key)) == 1 &&
		  EVP_DigestFinal_ex(md, p->sha256, NULL) == 1;

	EVP_MD_CTX_free(md);
	OPENSSL_free(name);
	return ok;
}

static struct proposal *proposal_of(struct proposing *m, size_t ca)
{
	struct proposals *out = m->out;
	struct proposal *grown;

	if (m->of[ca] != 0)
		return &out->one[m->of[ca] - 1];
	grown = realloc(out->one, (out->n + 1) * sizeof *grown);
	if (grown == NULL)
		return NULL;
	out->one = grown;
	grown[out->n] = (struct proposal){0};
	out->n++;
	if (!add_cas(m, &grown[out->n - 1], ca, out->n - 1) ||
	    !digest(&grown[out->n - 1]))
		return NULL;
	return &grown[out->n - 1];
}

static bool add_orphan(struct proposals *out, const struct found_cert *c)
{
	struct orphan *grown = realloc(out->orphan, (out->orphans_n + 1) * sizeof *grown);

	if (grown == NULL)
		return false;
	out->orphan = grown;
	grown[out->orphans_n++] =
	    (struct orphan){c, (X509_get_extension_flags(c->x) & EXFLAG_SI) != 0 &&
				   X509_verify(c->x, X509_get0_pubkey(c->x)) == 1};
	ERR_clear_error();
	return true;
}

static void add_leaf(struct proposing *m, const struct found_cert *c)
{
	struct proposal *p;
	size_t ca;

	m->out->leaves++;
	if (X509_cmp_time(X509_get0_notAfter(c->x), &m->now) < 0) {
		m->out->expired++;
		return;
	}
	ca = who_issued(m->ca, m->n, c->x);
	if (ca == m->n) {
		m->nomem = !add_orphan(m->out, c);
		return;
	}
	p = proposal_of(m, ca);
	m->nomem = p == NULL;
	if (p == NULL)
		return;
	p->issued++;
	if (p->places_n < PROPOSAL_PLACES_MAX &&
	    (p->places_n == 0 || strcmp(p->place[p->places_n - 1], c->place) != 0))
		p->place[p->places_n++] = c->place;
	add_urls(m, p, c->x);
}

static bool collect_cas(struct proposing *m, const struct found *f)
{
	m->ca = calloc(f->n + 1, sizeof(const struct found_cert *));
	m->of = calloc(f->n + 1, sizeof *m->of);
	if (m->ca == NULL || m->of == NULL)
		return false;
	for (size_t i = 0; i < f->n; i++)
		if (f->cert[i].is_ca)
			m->ca[m->n++] = &f->cert[i];
	qsort(m->ca, m->n, sizeof(const struct found_cert *), by_name_and_key);
	return true;
}

static int by_issuer(const void *a, const void *b)
{
	const struct orphan *x = a, *y = b;
	int n = X509_NAME_cmp(
	    X509_get_issuer_name(x->cert->x), X509_get_issuer_name(y->cert->x));

	return n != 0 ? n : memcmp(x->cert->sha256, y->cert->sha256, 32);
}

bool proposals_make(struct proposals *out, const struct found *f,
    const struct proposal_namer *namer, time_t now)
{
	struct proposing m = {.out = out, .now = now};

	*out = (struct proposals){0};
	m.nomem = !collect_cas(&m, f);
	for (size_t i = 0; i < f->n && !m.nomem; i++)
		if (!f->cert[i].is_ca)
			add_leaf(&m, &f->cert[i]);
	if (out->orphans_n > 1)
		qsort(out->orphan, out->orphans_n, sizeof *out->orphan, by_issuer);
	for (size_t i = 0; i < out->n && !m.nomem; i++)
		plain_name(&out->one[i], out->one[i].plain);
	for (size_t i = 0; i < out->n && !m.nomem; i++)
		give_name(out, i, namer);
	free(m.ca);
	free(m.of);
	return !m.nomem;
}

static void urls_free(struct proposal_urls *u)
{
	for (size_t i = 0; i < u->n; i++)
		free(u->url[i].text);
	free(u->url);
}

void proposals_free(struct proposals *p)
{
	for (size_t i = 0; i < p->n; i++) {
		free(p->one[i].ca);
		urls_free(&p->one[i].ocsp);
		urls_free(&p->one[i].crl);
		urls_free(&p->one[i].mirrors);
	}
	free(p->one);
	free(p->orphan);
	*p = (struct proposals){0};
}
