/* access.c - from struct conf_token to who calls, and what there is for it. */
#include "proxy/base/access.h"

#include <assert.h>
#include <openssl/crypto.h>
#include <openssl/sha.h>
#include <stdio.h>
#include <stdlib.h>
#include <strings.h>

#include "cache/watch/inventory.h"

/* One of them. */

static bool copy_list(char **from, size_t n, char ***to, size_t *to_n)
{
	*to = calloc(n + 1, sizeof **to);
	if (*to == NULL)
		return false;
	for (; *to_n < n; ++*to_n) {
		(*to)[*to_n] = strdup(from[*to_n]);
		if ((*to)[*to_n] == NULL)
			return false;
	}
	return true;
}

static void free_list(char **list, size_t n)
{
	for (size_t i = 0; i < n; i++)
		free(list[i]);
	free(list);
}

struct access *access_ref(struct access *a)
{
	if (a != NULL)
		atomic_fetch_add(&a->refs, 1);
	return a;
}

void access_unref(struct access *a)
{
	if (a == NULL || atomic_fetch_sub(&a->refs, 1) > 1)
		return;
	free_list(a->issuers, a->issuers_n);
	free_list(a->lists, a->lists_n);
	free(a);
}

static struct access *access_new(const struct conf_token *t)
{
	struct access *a = calloc(1, sizeof *a);

	if (a == NULL)
		return NULL;
	atomic_init(&a->refs, 1);
	snprintf(a->name, sizeof a->name, "%s", t->name);
	memcpy(a->hash, t->hash, sizeof a->hash);
	a->by_certificate = t->by_certificate;
	a->rights = t->rights_set;
	a->streams_max = (unsigned)t->token_max_streams;
	a->uploads_max = (unsigned)t->token_max_uploads;
	if (copy_list(t->issuers, t->issuers_n, &a->issuers, &a->issuers_n) &&
	    copy_list(t->watchlists, t->watchlists_n, &a->lists, &a->lists_n))
		return a;
	access_unref(a);
	return NULL;
}

static bool same_list(char **a, size_t n, char **b, size_t m)
{
	if (n != m)
		return false;
	for (size_t i = 0; i < n; i++)
		if (strcmp(a[i], b[i]) != 0)
			return false;
	return true;
}

static bool is_of(const struct access *a, const struct conf_token *t)
{
	return strcmp(a->name, t->name) == 0 &&
	       memcmp(a->hash, t->hash, sizeof a->hash) == 0 &&
	       a->by_certificate == t->by_certificate && a->rights == t->rights_set &&
	       a->streams_max == (unsigned)t->token_max_streams &&
	       a->uploads_max == (unsigned)t->token_max_uploads &&
	       same_list(a->issuers, a->issuers_n, t->issuers, t->issuers_n) &&
	       same_list(a->lists, a->lists_n, t->watchlists, t->watchlists_n);
}

/* All of them. */

void access_set_clear(struct access_set *s)
{
	for (size_t i = 0; i < s->n; i++)
		access_unref(s->of[i]);
	free(s->of);
	*s = (struct access_set){0};
}

/* As it was, with a reference; NULL: it is new, or other. */
static struct access *kept(const struct access_set *s, const struct conf_token *t)
{
	for (size_t i = 0; i < s->n; i++)
		if (is_of(s->of[i], t))
			return access_ref(s->of[i]);
	return NULL;
}

bool access_set_load(struct access_set *s, const struct conf *c)
{
	struct access_set made = {calloc(c->token_n + 1, sizeof *made.of), 0};

	if (made.of == NULL)
		return false;
	for (size_t i = 0; i < c->token_n; i++) {
		struct access *a = kept(s, &c->token[i]);

		if (a == NULL)
			a = access_new(&c->token[i]);
		if (a == NULL) {
			access_set_clear(&made);
			return false;
		}
		made.of[made.n++] = a;
	}
	access_set_clear(s);
	*s = made;
	return true;
}

/* Every hash is looked at, whole. */
static struct access *find(
    const struct access_set *s, const uint8_t hash[32], bool by_certificate)
{
	struct access *found = NULL;

	for (size_t i = 0; i < s->n; i++)
		if (CRYPTO_memcmp(hash, s->of[i]->hash, 32) == 0 &&
		    s->of[i]->by_certificate == by_certificate)
			found = s->of[i];
	return found;
}

struct access *access_set_find(const struct access_set *s, struct bytes token)
{
	uint8_t hash[SHA256_DIGEST_LENGTH];
	struct access *found;

	SHA256(token.p, token.n, hash);
	found = find(s, hash, false);
	OPENSSL_cleanse(hash, sizeof hash);
	return found;
}

struct access *access_set_shown(const struct access_set *s, const uint8_t hash[32])
{
	return find(s, hash, true);
}

bool access_set_has(const struct access_set *s, const struct access *a)
{
	for (size_t i = 0; i < s->n; i++)
		if (s->of[i] == a)
			return true;
	return false;
}

/* b64token of RFC 6750, which is RFC 7235's token68. */
static bool is_token_octet(uint8_t c)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
	       (c >= '0' && c <= '9') || (c != '\0' && strchr("-._~+/=", c) != NULL);
}

bool access_bearer(struct bytes authorization, struct bytes *token)
{
	static const char scheme[] = "bearer ";
	size_t n = sizeof scheme - 1;

	if (authorization.n <= n ||
	    strncasecmp((const char *)authorization.p, scheme, n) != 0)
		return false;
	while (n < authorization.n && authorization.p[n] == ' ')
		n++;
	*token = bytes_of(authorization.p + n, authorization.n - n);
	if (token->n == 0 || token->n > ACCESS_TOKEN_MAX)
		return false;
	for (size_t i = 0; i < token->n; i++)
		if (!is_token_octet(token->p[i]))
			return false;
	return true;
}

/* What it may, and what there is for it. */

bool access_may(const struct access *a, enum right right)
{
	return a == NULL || (right != 0 && (a->rights & right) == (unsigned)right);
}

bool access_is_narrow(const struct access *a)
{
	return a != NULL && (a->issuers_n > 0 || a->lists_n > 0);
}

const char *access_only_issuer(const struct access *a)
{
	return a != NULL && a->issuers_n == 1 ? a->issuers[0] : NULL;
}

const char *access_only_list(const struct access *a)
{
	return a != NULL && a->lists_n == 1 ? a->lists[0] : NULL;
}

static bool list_has(char **list, size_t n, const char *name)
{
	for (size_t i = 0; i < n; i++)
		if (strcmp(list[i], name) == 0)
			return true;
	return false;
}

bool access_issuer(const struct access *a, const char *issuer)
{
	return a == NULL || a->issuers_n == 0 ||
	       list_has(a->issuers, a->issuers_n, issuer);
}

bool access_list(const struct access *a, const char *list)
{
	return a == NULL || a->lists_n == 0 || list_has(a->lists, a->lists_n, list);
}

/* Does one of its lists have one of this CA: this one, or any (s NULL)? */
static bool is_listed(const struct access *a, const struct inventory *v, uint32_t ca,
    const struct serial *s)
{
	for (size_t i = 0; i < a->lists_n; i++) {
		const struct watch_list *l = inventory_list(v, a->lists[i]);
		size_t n = 0;

		if (l == NULL)
			continue;
		if (s != NULL ? watch_list_find(l, ca, s) != NULL
			      : watch_list_of(l, ca, &n) != NULL)
			return true;
	}
	return false;
}

static bool is_watched(const struct access *a, const struct inventory *v,
    const char *issuer, const struct serial *s)
{
	const struct watch_ca *ca = NULL;

	if (!access_issuer(a, issuer))
		return false;
	if (a == NULL || a->lists_n == 0)
		return true;
	while (v != NULL && (ca = watch_cas_called(v->cas, issuer, ca)) != NULL)
		if (is_listed(a, v, ca->id, s))
			return true;
	return false;
}

bool access_issuer_watched(
    const struct access *a, const struct inventory *v, const char *issuer)
{
	return is_watched(a, v, issuer, NULL);
}

bool access_certificate(const struct access *a, const struct inventory *v,
    const char *issuer, const struct serial *s)
{
	return is_watched(a, v, issuer, s);
}

const struct inventory *access_inventory(
    const struct access *a, const struct inventory *v)
{
	const struct inventory *made = inventory_ref(v), *less;

	if (a == NULL || a->lists_n == 0)
		return made;
	for (size_t i = 0; i < v->n; i++) {
		if (list_has(a->lists, a->lists_n, v->list[i]->name))
			continue;
		less = inventory_without(made, v->list[i]->name);
		inventory_unref(made);
		if (less == NULL)
			return NULL;
		made = less;
	}
	return made;
}

bool access_upload_begin(struct access *a)
{
	if (a == NULL)
		return true;
	if (atomic_fetch_add(&a->uploads, 1) < a->uploads_max)
		return true;
	atomic_fetch_sub(&a->uploads, 1);
	return false;
}

void access_upload_end(struct access *a)
{
	if (a == NULL)
		return;
	assert(atomic_load(&a->uploads) > 0);
	atomic_fetch_sub(&a->uploads, 1);
}
