/* feed_has.c - does an issuer have the lists that others name? */
#include "proxy/lists/feed_list.h"

#include <stdlib.h>

#include "cache/base/by_text.h"

/* What an issuer's lists are called. */
struct feed_names {
	const char **name; /* sorted: places, and names for themselves */
	size_t n;
};

static bool names_make(const struct feed_issuer *i, struct feed_names *out)
{
	size_t most = i->n;

	for (size_t k = 0; k < i->n; k++)
		most += i->list[k]->urls->n;
	*out = (struct feed_names){.name = calloc(most + 1, sizeof(char *))};
	if (out->name == NULL)
		return false;
	for (size_t k = 0; k < i->n; k++) {
		const struct feed_list *l = i->list[k];

		out->name[out->n++] = l->scope;
		for (size_t p = 0; p < l->urls->n; p++)
			out->name[out->n++] = l->urls->url[p];
	}
	qsort(out->name, out->n, sizeof(char *), by_text);
	return true;
}

/* As the CA wrote it into one that is in force. */
static bool is_a_point(const struct crl_set *set, const char *url)
{
	struct bytes b = bytes_of(url, strlen(url));

	for (size_t n = 0; n < set->shards_n; n++)
		if (set->shard[n].in_force &&
		    crl_facts_have_point(&set->shard[n].facts, b))
			return true;
	return false;
}

/* Late or not: that is told otherwise. */
static bool has_one_that_is_all(const struct crl_set *set)
{
	for (size_t n = 0; n < set->shards_n; n++) {
		const struct crl_facts *f = &set->shard[n].facts;

		if (set->shard[n].in_force && !f->has_point && !f->only_ca &&
		    !f->some_reasons)
			return true;
	}
	return false;
}

bool crl_feed_has(
    struct crl_feed *f, const char *issuer, const char *const *url, size_t n, bool *has)
{
	const struct feed_issuer *i = feed_issuer_find(f, issuer);
	struct feed_names names;
	bool all;

	if (i == NULL || !names_make(i, &names))
		return i == NULL;
	all = feed_set_of(i)->unopened || has_one_that_is_all(feed_set_of(i));
	for (size_t k = 0; k < n; k++)
		has[k] = all ||
			 bsearch(&url[k], names.name, names.n, sizeof(char *), by_text) !=
			     NULL ||
			 is_a_point(feed_set_of(i), url[k]);
	free(names.name);
	return true;
}
