/* feed_learn.c - lists that the configuration does not name: what a source has learnt.
 *
 * Their URLs are strangers' words: each is looked at as one of the configuration is, and
 * where it leads is for the fetch to look at (fetch.h, learnt).
 */
#include "proxy/lists/feed_list.h"

#include <assert.h>
#include <stdlib.h>

#include "conf/address.h"
#include "conf/crl_url.h"
#include "proxy/base/log.h"

#define URL_MAX 2048 /* octets, as in a certificate of a watchlist (watch_texts.h) */

static const char *const source_name[LEARNT_COUNT] = {"ccadb", "certificates"};

/* What a source has said this time, as far as it is taken. */
struct lesson {
	struct feed_urls **urls;
	size_t n;
	size_t left_out; /* for crl-max-lists */
	size_t refused;  /* none of its places is a URL */
};

static const char *why_not(const char *url)
{
	struct url u;

	return strlen(url) > URL_MAX ? "is too long" : url_parse(url, &u);
}

/* Those of its places that are URLs.  *n: how many. */
static void take_places(const struct feed_issuer *i, enum learnt from,
    const struct learnt_list *l, const char *url[CRL_PLACES_MAX], size_t *n)
{
	*n = 0;
	for (size_t k = 0; k < l->n && *n < CRL_PLACES_MAX; k++) {
		const char *why = why_not(l->url[k]);

		if (why == NULL)
			url[(*n)++] = l->url[k];
		else
			log_warn("crl_learnt_refused",
			    "issuer=%s url=%.200s from=%s detail=%s", i->name, l->url[k],
			    source_name[from], why);
	}
}

static bool is_listed(const struct feed_issuer *i, const struct feed_urls *u)
{
	for (size_t k = 0; k < i->n; k++)
		if (feed_urls_meet(i->list[k]->urls, u))
			return true;
	return false;
}

/* How many of the issuer's lists are not this source's. */
static size_t others(const struct feed_issuer *i, enum learnt from)
{
	size_t n = 0;

	for (size_t k = 0; k < i->n; k++)
		n += i->list[k]->learnt != from;
	return n;
}

/* Beyond crl-max-lists go those that are not here yet: what is in force stays. */
static void drop_surplus(struct feed_issuer *i, enum learnt from, struct lesson *l)
{
	size_t most = (size_t)feed_conf(i->feed)->crl_max_lists, n = 0, fresh = 0, room;

	for (size_t k = 0; k < l->n; k++)
		fresh += !is_listed(i, l->urls[k]);
	room = others(i, from) + l->n - fresh;
	room = room < most ? most - room : 0;
	if (fresh <= room)
		return;
	for (size_t k = 0; k < l->n; k++) {
		if (!is_listed(i, l->urls[k]) && room-- == 0) {
			room = 0;
			l->left_out++;
			feed_urls_unref(l->urls[k]);
			continue;
		}
		l->urls[n++] = l->urls[k];
	}
	l->n = n;
}

static bool read_lesson(struct feed_issuer *i, enum learnt from,
    const struct learnt_list *lists, size_t n, struct lesson *out)
{
	const char *url[CRL_PLACES_MAX];
	size_t places;

	*out = (struct lesson){.urls = calloc(n + 1, sizeof(struct feed_urls *))};
	for (size_t k = 0; out->urls != NULL && k < n; k++) {
		take_places(i, from, &lists[k], url, &places);
		if (places == 0) {
			out->refused++;
			continue;
		}
		out->urls[out->n] = feed_urls_new(url, places, false);
		if (out->urls[out->n] == NULL) {
			feed_urls_clear(out->urls, out->n);
			return false;
		}
		out->n++;
	}
	if (out->urls == NULL)
		return false;
	drop_surplus(i, from, out);
	return true;
}

static void tell_surplus(
    const struct feed_issuer *i, enum learnt from, size_t left_out, bool told)
{
	if (left_out > 0 && !told)
		log_error("crl_learnt_surplus",
		    "issuer=%s from=%s left_out=%zu effect=%s remedy=%s", i->name,
		    source_name[from], left_out,
		    "what they revoke is not known; nothing is good by absence",
		    "raise crl-max-lists");
}

/* The issuer's lists with what is learnt now in the place of what was.  False: out of
 * memory, and they are what they were. */
static bool take_lesson(struct feed_issuer *i, enum learnt from, const struct issuer *c,
    const struct feed_learnt *lesson)
{
	struct feed_learnt was = i->learnt[from];

	i->learnt[from] = *lesson;
	feed_forget_gone(i);
	if (!feed_set_lists(i, c)) {
		i->learnt[from] = was;
		return false;
	}
	feed_urls_clear(was.urls, was.n);
	feed_begin_lists(i);
	return true;
}

static bool learn(struct crl_feed *f, const char *issuer, enum learnt from,
    const struct learnt_list *lists, size_t n, bool all)
{
	struct feed_issuer *i = feed_issuer_find(f, issuer);
	const struct issuer *c = issuers_named(f->conf->issuers, issuer);
	struct feed_learnt learnt;
	struct lesson l;

	assert(lists != NULL || n == 0);
	if (i == NULL || c == NULL || !i->learns[from] || f->cancelled)
		return true;
	if (lists == NULL && (i->learnt[from].known || i->learnt[from].n > 0))
		return true; /* what was known before is better than nothing */
	if (!read_lesson(i, from, lists, n, &l))
		return false;
	learnt = (struct feed_learnt){.told = true,
	    .known = lists != NULL && all && l.left_out == 0 && l.refused == 0,
	    .surplus = l.left_out > 0,
	    .urls = l.urls,
	    .n = l.n};
	tell_surplus(i, from, l.left_out, i->learnt[from].surplus);
	if (!take_lesson(i, from, c, &learnt)) {
		feed_urls_clear(l.urls, l.n);
		return false;
	}
	feed_arm(f);
	feed_wake(i);
	return true;
}

bool crl_feed_learn(struct crl_feed *f, const char *issuer, enum learnt from,
    const struct learnt_list *lists, size_t n)
{
	return learn(f, issuer, from, lists, n, true);
}

bool crl_feed_learn_part(struct crl_feed *f, const char *issuer, enum learnt from,
    const struct learnt_list *lists, size_t n)
{
	return learn(f, issuer, from, lists, n, false);
}

void crl_feed_expect(struct crl_feed *f, enum learnt from)
{
	f->expected[from] = true;
}
