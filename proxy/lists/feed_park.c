/* feed_park.c - which lists are needed, where only those are fetched that are.
 *
 * A list is needed when one of its names is among those that were said to be: its places,
 * and the name that it has for itself.  While nothing was said none is.
 */
#include "proxy/lists/feed_list.h"

#include <stdlib.h>

#include "cache/base/by_text.h"
#include "proxy/base/clock.h"

static bool is_named(const struct feed_issuer *i, const char *name)
{
	return i->need_n > 0 &&
	       bsearch(&name, i->need, i->need_n, sizeof *i->need, by_text) != NULL;
}

static bool is_needed(const struct feed_list *l)
{
	if (!l->issuer->need_watched || is_named(l->issuer, l->scope))
		return true;
	for (size_t k = 0; k < l->urls->n; k++)
		if (is_named(l->issuer, l->urls->url[k]))
			return true;
	return false;
}

static void park(struct feed_list *l)
{
	l->parked = true;
	feed_stop_fetch(l);
	l->ask.error = ERR_OK;
	l->ask.failures = 0;
	feed_watch_no_more(l);
}

static void unpark(struct feed_list *l)
{
	l->parked = false;
	feed_sites_excuse(l);
	l->ask.due_ms = clock_mono_ms();
}

void feed_park(struct feed_issuer *i)
{
	for (size_t k = 0; k < i->n; k++) {
		struct feed_list *l = i->list[k];

		if (l->parked != is_needed(l))
			continue;
		if (l->parked)
			unpark(l);
		else
			park(l);
		feed_watch_age(l); /* and feed_due() */
	}
	feed_drop_kept(i, "configuration");
}

static void names_free(char **name, size_t n)
{
	for (size_t k = 0; k < n; k++)
		free(name[k]);
	free(name);
}

bool crl_feed_need(
    struct crl_feed *f, const char *issuer, const char *const *url, size_t n)
{
	struct feed_issuer *i = feed_issuer_find(f, issuer);
	char **need;

	if (i == NULL || f->cancelled)
		return true;
	need = calloc(n + 1, sizeof *need);
	for (size_t k = 0; need != NULL && k < n; k++) {
		need[k] = strdup(url[k]);
		if (need[k] == NULL) {
			names_free(need, k);
			return false;
		}
	}
	if (need == NULL)
		return false;
	qsort(need, n, sizeof *need, by_text);
	names_free(i->need, i->need_n);
	i->need = need;
	i->need_n = n;
	feed_park(i);
	feed_next(i);
	return true;
}
