/* feed_wanted.c - which lists an issuer is to have: those of the configuration, those
 * that are learnt behind them, and no list twice under two names.
 *
 * Nothing of the issuer's lists changes here but where one that stays is to be had.
 */
#include "proxy/lists/feed_list.h"

#include <assert.h>
#include <stdlib.h>

#include "conf/crl_url.h"
#include "proxy/base/clock.h"

struct feed_list *feed_list_find(
    struct feed_list *const *list, size_t n, const uint8_t *id)
{
	for (size_t k = 0; k < n; k++)
		if (memcmp(list[k]->id, id, sizeof list[k]->id) == 0)
			return list[k];
	return NULL;
}

static struct feed_list *find_gone(const struct feed_issuer *i, const uint8_t *id)
{
	struct feed_list *l;

	LIST_FOREACH(l, &i->gone, link)
		if (memcmp(l->id, id, sizeof l->id) == 0)
			return l;
	return NULL;
}

/* Is what is known of the list from a place that is gone, or is nothing known that a new
 * place might mend? */
static bool has_to_ask(const struct feed_list *l, const struct feed_urls *urls)
{
	return l->ask.state >= FEED_ASKING || l->ask.error != ERR_OK ||
	       l->ask.from == l->urls->n || strcmp(l->urls->url[0], urls->url[0]) != 0 ||
	       feed_urls_find(urls, l->urls->url[l->ask.from]) == urls->n;
}

/* The same list from elsewhere. */
static bool list_move(struct feed_list *l, struct feed_urls *urls)
{
	struct feed_site *site;
	bool ask = has_to_ask(l, urls);

	if (feed_urls_same(l->urls, urls))
		return true;
	site = feed_sites_new(urls, l);
	if (site == NULL)
		return false;
	feed_stop_fetch(l);
	if (strcmp(feed_url(l), urls->url[0]) != 0)
		feed_watch_no_more(l);
	l->ask.from = l->ask.from < l->urls->n
			  ? feed_urls_find(urls, l->urls->url[l->ask.from])
			  : urls->n;
	feed_urls_unref(l->urls);
	free(l->site);
	l->urls = feed_urls_ref(urls);
	l->site = site;
	l->ask.site = 0;
	if (!ask)
		return true;
	l->ask.failures = 0;
	feed_ask_again(l);
	l->ask.due_ms = clock_mono_ms();
	feed_due(l);
	return true;
}

/* The list with this id.  A new one begins as one that is gone: what comes of this
 * configuration is not known yet.  NULL: out of memory. */
static struct feed_list *list_for(
    struct feed_issuer *i, struct feed_urls *urls, const char *scope, const uint8_t *id)
{
	struct feed_list *l = feed_list_find(i->list, i->n, id);

	if (l == NULL)
		l = find_gone(i, id);
	if (l != NULL)
		return list_move(l, urls) ? l : NULL;
	l = feed_list_new(i, urls, scope, id);
	if (l == NULL)
		return NULL;
	LIST_INSERT_HEAD(&i->gone, l, link);
	return l;
}

static void wanted_clear(struct feed_wanted *all)
{
	for (size_t k = 0; k < all->want_n; k++)
		feed_urls_unref(all->want[k].urls);
	free(all->want);
}

static void want(struct feed_wanted *all, struct feed_urls *urls, const char *scope,
    enum learnt learnt)
{
	all->want[all->want_n++] = (struct want_list){urls, scope, learnt};
}

static struct want_list *find_wanted(const struct feed_wanted *all, const char *scope)
{
	for (size_t k = 0; k < all->want_n; k++)
		if (strcmp(all->want[k].scope, scope) == 0)
			return &all->want[k];
	return NULL;
}

static bool want_configured(const struct issuer *c, struct feed_wanted *all)
{
	for (size_t k = 0; k < c->crl_n; k++) {
		const struct issuer_list *l = &c->crl[k];
		struct feed_urls *urls =
		    feed_urls_new((const char *const *)l->place, l->place_n, l->strict);

		if (urls == NULL)
			return false;
		want(all, urls, l->scope, LEARNT_COUNT);
	}
	return true;
}

static bool is_wanted(const struct feed_wanted *all, const struct feed_urls *urls)
{
	for (size_t k = 0; k < all->want_n; k++)
		if (feed_urls_meet(all->want[k].urls, urls))
			return true;
	return false;
}

/* The name of a learnt list: that of its URLs which is first by the alphabet, so that it
 * is the same list, also after a restart, when they are named in another order; and the
 * one that it had for as long as that is among them. */
static const char *scope_of(const struct feed_issuer *i, const struct feed_urls *urls)
{
	const char *first = urls->url[0];

	for (size_t k = 0; k < i->n; k++)
		if (i->list[k]->learnt != LEARNT_COUNT &&
		    feed_urls_find(urls, i->list[k]->scope) < urls->n)
			return i->list[k]->scope;
	for (size_t k = 1; k < urls->n; k++)
		if (strcmp(urls->url[k], first) < 0)
			first = urls->url[k];
	return first;
}

/* Of one that two sources name, the first one's word counts. */
static void want_learnt(
    const struct feed_issuer *i, const struct issuer *c, struct feed_wanted *all)
{
	for (int from = 0; from < LEARNT_COUNT; from++) {
		const struct feed_learnt *l = &i->learnt[from];

		for (size_t k = 0; c->rules.learns[from] && k < l->n; k++)
			if (!is_wanted(all, l->urls[k]))
				want(all, feed_urls_ref(l->urls[k]),
				    scope_of(i, l->urls[k]), (enum learnt)from);
	}
}

/* a's places, and b's behind them; NULL: out of memory. */
static struct feed_urls *both(const struct feed_urls *a, const struct feed_urls *b)
{
	const char *url[2 * CRL_PLACES_MAX];

	memcpy(url, a->url, a->n * sizeof *url);
	memcpy(url + a->n, b->url, b->n * sizeof *url);
	return feed_urls_new(url, a->n + b->n, a->strict);
}

/* The places of those that are another list become that one's. */
static bool join_wanted(const struct feed_issuer *i, struct feed_wanted *all)
{
	for (size_t k = 0; i->joins != NULL && k < i->joins->n; k++) {
		const struct crl_join *j = &i->joins->join[k];
		struct want_list *b = find_wanted(all, j->scope);
		struct want_list *a = find_wanted(all, j->with);
		struct feed_urls *urls;

		if (a == NULL || b == NULL || a->urls == NULL || b->urls == NULL)
			continue;
		urls = both(a->urls, b->urls);
		if (urls == NULL)
			return false;
		feed_urls_unref(a->urls);
		a->urls = urls;
		feed_urls_unref(b->urls);
		b->urls = NULL;
	}
	return true;
}

static bool add_lists(struct feed_issuer *i, struct feed_wanted *all)
{
	for (size_t k = 0; k < all->want_n; k++) {
		const struct want_list *w = &all->want[k];
		uint8_t id[CHANGE_SCOPE_N];
		struct feed_list *l;

		if (w->urls == NULL)
			continue;
		if (!crl_scope_id(i->name, w->scope, id))
			return false;
		if (feed_list_find(all->list, all->n, id) != NULL)
			continue;
		l = list_for(i, w->urls, w->scope, id);
		if (l == NULL)
			return false;
		l->learnt = w->learnt;
		all->list[all->n++] = l;
	}
	return true;
}

bool feed_wanted(struct feed_issuer *i, const struct issuer *c, struct feed_wanted *all)
{
	size_t most = c != NULL ? c->crl_n : 0;
	bool found;

	for (int from = 0; from < LEARNT_COUNT; from++)
		most += i->learnt[from].n;
	*all = (struct feed_wanted){.want = calloc(most + 1, sizeof(struct want_list)),
	    .list = calloc(most + 1, sizeof(struct feed_list *))};
	found = all->want != NULL && all->list != NULL;
	if (found && c != NULL) {
		found = want_configured(c, all);
		if (found)
			want_learnt(i, c, all);
		found = found && join_wanted(i, all) && add_lists(i, all);
	}
	if (all->want != NULL)
		wanted_clear(all);
	if (!found)
		free(all->list);
	return found;
}

void feed_forget_joins(struct feed_issuer *i)
{
	for (size_t k = 0; i->joins != NULL && k < i->joins->n;) {
		const struct crl_join *j = &i->joins->join[k];
		struct crl_joins *fewer;
		bool there = false;

		for (size_t n = 0; n < i->n; n++)
			there |= strcmp(i->list[n]->scope, j->with) == 0;
		fewer = there ? NULL : crl_joins_new(i->joins, j->scope, NULL);
		if (fewer == NULL) {
			k++;
			continue;
		}
		crl_joins_unref(i->joins);
		i->joins = fewer;
	}
}
