/* ccadb_spoken.c - sorted URLs of each issuer, compared with what comes. */
#include "proxy/lists/ccadb_spoken.h"

#include <stdio.h>
#include <stdlib.h>
#include <sys/queue.h>

#include "cache/base/by_text.h"
#include "proxy/base/alarms.h"
#include "proxy/base/log.h"
#include "proxy/lists/crl_feed.h"

struct ccadb_said {
	LIST_ENTRY(ccadb_said) link;
	char issuer[64];
	char **url; /* all places, sorted */
	size_t n;
	bool whole;   /* these were all */
	bool nothing; /* told that they are not known now */
};

struct ccadb_spoken {
	LIST_HEAD(, ccadb_said) said;
};

static void urls_free(char **url, size_t n)
{
	for (size_t i = 0; url != NULL && i < n; i++)
		free(url[i]);
	free(url);
}

/* All places of a set, sorted.  NULL: out of memory. */
static char **urls_of(const struct ccadb_set *set, size_t *n)
{
	size_t all = 0;
	char **url;

	for (size_t i = 0; i < set->n; i++)
		all += set->list[i].n;
	url = calloc(all + 1, sizeof(char *));
	*n = 0;
	for (size_t i = 0; url != NULL && i < set->n; i++)
		for (size_t k = 0; k < set->list[i].n; k++) {
			url[*n] = strdup(set->list[i].place[k]);
			if (url[*n] == NULL) {
				urls_free(url, *n);
				return NULL;
			}
			(*n)++;
		}
	if (url != NULL)
		qsort(url, *n, sizeof(char *), by_text);
	return url;
}

/* How many of a are not in b, both sorted; one of them. */
static size_t count_new(
    char *const *a, size_t a_n, char *const *b, size_t b_n, const char **one)
{
	size_t n = 0, k = 0;

	for (size_t i = 0; i < a_n; i++) {
		while (k < b_n && strcmp(b[k], a[i]) < 0)
			k++;
		if (k < b_n && strcmp(b[k], a[i]) == 0)
			continue;
		*one = a[i];
		n++;
	}
	return n;
}

static void tell_changed(const struct ccadb_said *s, char *const *url, size_t n)
{
	const char *came = "", *went = "";
	size_t new = count_new(url, n, s->url, s->n, &came);
	size_t gone = count_new(s->url, s->n, url, n, &went);
	char detail[ALARM_DETAIL_MAX];

	if (new == 0 && gone == 0)
		return;
	snprintf(detail, sizeof detail, "%zu new %.200s, %zu gone %.200s", new, came,
	    gone, went);
	log_warn("lists_changed", "issuer=%s by=ccadb lists=%zu detail=%s", s->issuer, n,
	    detail);
	alarm_raise(ALARM_LISTS_CHANGED, s->issuer, "ccadb", detail);
}

static struct ccadb_said *said_of(struct ccadb_spoken *all, const char *issuer)
{
	struct ccadb_said *s;

	LIST_FOREACH(s, &all->said, link)
		if (strcmp(s->issuer, issuer) == 0)
			return s;
	s = calloc(1, sizeof *s);
	if (s == NULL)
		return NULL;
	snprintf(s->issuer, sizeof s->issuer, "%s", issuer);
	LIST_INSERT_HEAD(&all->said, s, link);
	return s;
}

static const char *why_not_all(const struct ccadb_set *set, bool whole)
{
	if (!whole)
		return "not all of ccadb could be read";
	if (set->records == 0)
		return "no record has its certificate, or its key and name";
	if (set->malformed)
		return "its record names lists that cannot be read";
	return set->n == 0 ? "its record names no list" : NULL;
}

/* Once, until it is well again. */
static void tell_nothing(struct ccadb_said *s, const char *why)
{
	if (why != NULL && !s->nothing)
		log_warn("ccadb_nothing", "issuer=%s detail=%s remedy=%s effect=%s",
		    s->issuer, why, "name its lists in crl",
		    s->whole ? "the lists that were known count on"
			     : "nothing is good by absence");
	s->nothing = why != NULL;
}

static bool learn(
    struct crl_feed *feed, const char *issuer, const struct ccadb_set *set, bool all)
{
	struct learnt_list *list = calloc(set->n + 1, sizeof *list);
	bool good;

	for (size_t i = 0; list != NULL && i < set->n; i++)
		list[i] = (struct learnt_list){
		    (const char *const *)set->list[i].place, set->list[i].n};
	good = list != NULL && (all ? crl_feed_learn : crl_feed_learn_part)(
				   feed, issuer, LEARNT_CCADB, list, set->n);
	free(list);
	return good;
}

bool ccadb_speak(struct ccadb_spoken *all, struct crl_feed *feed, const char *issuer,
    const struct ccadb_set *set, bool whole)
{
	struct ccadb_said *s = said_of(all, issuer);
	const char *why = set != NULL ? why_not_all(set, whole) : NULL;
	char **url;
	size_t n;

	if (s == NULL)
		return false;
	if (set != NULL)
		tell_nothing(s, why);
	if (set == NULL || set->n == 0 || (why != NULL && s->whole))
		return crl_feed_learn(feed, issuer, LEARNT_CCADB, NULL, 0);
	url = urls_of(set, &n);
	if (url == NULL || !learn(feed, issuer, set, why == NULL)) {
		urls_free(url, url != NULL ? n : 0);
		return false;
	}
	if (s->whole)
		tell_changed(s, url, n);
	urls_free(s->url, s->n);
	s->url = url;
	s->n = n;
	s->whole = why == NULL;
	return true;
}

static void said_free(struct ccadb_said *s)
{
	LIST_REMOVE(s, link);
	urls_free(s->url, s->n);
	free(s);
}

void ccadb_spoken_keep(struct ccadb_spoken *all, const struct issuers *is)
{
	struct ccadb_said *s, *next;

	for (s = LIST_FIRST(&all->said); s != NULL; s = next) {
		const struct issuer *i = issuers_named(is, s->issuer);

		next = LIST_NEXT(s, link);
		if (i != NULL && i->rules.learns[LEARNT_CCADB])
			continue;
		alarm_clear(ALARM_LISTS_CHANGED, s->issuer, "ccadb");
		said_free(s);
	}
}

struct ccadb_spoken *ccadb_spoken_new(void)
{
	struct ccadb_spoken *all = calloc(1, sizeof *all);

	if (all != NULL)
		LIST_INIT(&all->said);
	return all;
}

void ccadb_spoken_free(struct ccadb_spoken *all)
{
	if (all == NULL)
		return;
	while (!LIST_EMPTY(&all->said))
		said_free(LIST_FIRST(&all->said));
	free(all);
}
