/* feed_sites.c - the places where a list is to be had.
 *
 * Each ask begins with the first of them, which is the one that is wanted: a list comes
 * back to it as soon as it is well again.  While it fails it is passed over for a time
 * that doubles, so that one that does not answer at all costs its timeout at most once in
 * that time, and not at every ask.  Nothing is passed over where there is nothing else.
 */
#include "proxy/lists/feed_list.h"

#include <assert.h>
#include <stdlib.h>

#include "conf/crl_url.h"
#include "proxy/base/clock.h"

#define PASS_MAX_MS  INT64_C(3600000) /* a crl-interval that is longer is the longest */
#define PASS_DOUBLES 20               /* more would be over it from 1 ms on */

static_assert(CRL_PLACES_MAX <= 32, "a bit for each in ask.been");

struct feed_urls *feed_urls_new(const char *const *url, size_t n, bool strict)
{
	size_t most = n < CRL_PLACES_MAX ? n : CRL_PLACES_MAX;
	struct feed_urls *u = calloc(1, sizeof *u + most * sizeof(char *));

	assert(n > 0);
	if (u == NULL)
		return NULL;
	u->refs = 1;
	u->strict = strict;
	for (; u->n < most; u->n++) {
		u->url[u->n] = strdup(url[u->n]);
		if (u->url[u->n] == NULL) {
			feed_urls_unref(u);
			return NULL;
		}
	}
	return u;
}

struct feed_urls *feed_urls_ref(struct feed_urls *u)
{
	u->refs++;
	return u;
}

void feed_urls_unref(struct feed_urls *u)
{
	if (u == NULL || --u->refs > 0)
		return;
	for (size_t k = 0; k < u->n; k++)
		free(u->url[k]);
	free(u);
}

void feed_urls_clear(struct feed_urls **urls, size_t n)
{
	for (size_t k = 0; k < n; k++)
		feed_urls_unref(urls[k]);
	free(urls);
}

size_t feed_urls_find(const struct feed_urls *u, const char *url)
{
	size_t k = 0;

	while (k < u->n && strcmp(u->url[k], url) != 0)
		k++;
	return k;
}

bool feed_urls_meet(const struct feed_urls *a, const struct feed_urls *b)
{
	for (size_t k = 0; k < a->n; k++)
		if (feed_urls_find(b, a->url[k]) < b->n)
			return true;
	return false;
}

bool feed_urls_same(const struct feed_urls *a, const struct feed_urls *b)
{
	if (a->n != b->n || a->strict != b->strict)
		return false;
	for (size_t k = 0; k < a->n; k++)
		if (strcmp(a->url[k], b->url[k]) != 0)
			return false;
	return true;
}

struct feed_site *feed_sites_new(const struct feed_urls *u, const struct feed_list *old)
{
	struct feed_site *site = calloc(u->n, sizeof *site);

	for (size_t k = 0; site != NULL && k < u->n; k++) {
		size_t was = old != NULL ? feed_urls_find(old->urls, u->url[k]) : 0;

		if (old != NULL && was < old->urls->n)
			site[k] = old->site[was];
		site[k].local = strncmp(u->url[k], "file:", 5) == 0;
	}
	return site;
}

size_t feed_site_next(const struct feed_list *l)
{
	int64_t now = clock_mono_ms();
	size_t best = l->urls->n;

	for (size_t k = 0; k < l->urls->n; k++) {
		if ((l->ask.been >> k & 1) != 0)
			continue;
		if (l->site[k].again_ms <= now)
			return k;
		if (best == l->urls->n || l->site[k].again_ms < l->site[best].again_ms)
			best = k;
	}
	return best;
}

void feed_site_failed(struct feed_list *l, size_t site, enum err e)
{
	struct feed_site *s = &l->site[site];
	int64_t ms = l->issuer->interval_ms, most = ms > PASS_MAX_MS ? ms : PASS_MAX_MS;

	for (int n = 0; n < s->failures && ms < most; n++)
		ms *= 2;
	s->error = e;
	if (s->failures < PASS_DOUBLES)
		s->failures++;
	s->again_ms = clock_mono_ms() + (ms < most ? ms : most);
	l->ask.been |= UINT32_C(1) << site;
}

void feed_sites_excuse(struct feed_list *l)
{
	for (size_t k = 0; k < l->urls->n; k++)
		l->site[k].again_ms = 0;
}

void feed_sites_read_again(struct feed_list *l, bool refused_only)
{
	for (size_t k = 0; k < l->urls->n; k++)
		l->site[k].stamp.known &= refused_only && !l->site[k].stamp.refused;
}
