/* feed_list.c - an issuer and its lists: what each has in force, and when it is next
 * looked after. */
#include "proxy/lists/feed_list.h"

#include <assert.h>
#include <event2/event.h>
#include <stdlib.h>
#include <xxhash.h>

#include "proxy/base/clock.h"
#include "proxy/base/log.h"
#include "proxy/base/timer.h"

static _Atomic uint64_t generations; /* 0 is nobody's */

/* Life. */

void feed_ca_unref(struct feed_ca *c)
{
	if (c == NULL || --c->refs > 0)
		return;
	issuers_free(c->set);
	free(c);
}

static void list_clear(struct feed_list *l)
{
	feed_urls_unref(l->urls);
	free(l->site);
	free(l->scope);
	free(l->dir);
	free(l->joining);
	free(l);
}

struct feed_list *feed_list_new(
    struct feed_issuer *i, struct feed_urls *urls, const char *scope, const uint8_t *id)
{
	struct feed_list *l = calloc(1, sizeof *l);
	char dir[PATH_MAX];

	if (l == NULL ||
	    crl_state_path(i->feed->state_directory, id, dir, sizeof dir) != 0) {
		free(l);
		return NULL;
	}
	l->issuer = i;
	l->place = -1;
	l->learnt = LEARNT_COUNT;
	l->ask.from = urls->n;
	l->alarm_ms = l->retry_ms = INT64_MAX;
	memcpy(l->id, id, sizeof l->id);
	l->urls = feed_urls_ref(urls);
	l->site = feed_sites_new(urls, NULL);
	l->scope = strdup(scope);
	l->dir = strdup(dir);
	if (l->site == NULL || l->scope == NULL || l->dir == NULL ||
	    !dues_add(&i->feed->dues, &l->due, INT64_MAX)) {
		list_clear(l);
		return NULL;
	}
	return l;
}

void feed_list_free(struct feed_list *l)
{
	assert(l->works == 0 && l->ask.fetch == NULL);
	dues_remove(&l->issuer->feed->dues, &l->due);
	list_clear(l);
}

void feed_learnt_clear(struct feed_learnt *l)
{
	feed_urls_clear(l->urls, l->n);
	*l = (struct feed_learnt){0};
}

struct feed_issuer *feed_issuer_find(const struct crl_feed *f, const char *name)
{
	struct feed_issuer *i;
	uint64_t hash = XXH3_64bits(name, strlen(name));

	if (f->buckets == 0)
		return NULL;
	for (i = f->bucket[hash & (f->buckets - 1)]; i != NULL; i = i->next)
		if (i->hash == hash && strcmp(i->name, name) == 0)
			return i;
	return NULL;
}

void feed_issuer_free(struct feed_issuer *i)
{
	struct feed_list *l;

	for (size_t n = 0; n < i->n; n++)
		feed_list_free(i->list[n]);
	free(i->list);
	for (int from = 0; from < LEARNT_COUNT; from++)
		feed_learnt_clear(&i->learnt[from]);
	for (size_t n = 0; n < i->need_n; n++)
		free(i->need[n]);
	free(i->need);
	while ((l = LIST_FIRST(&i->gone)) != NULL) {
		LIST_REMOVE(l, link);
		feed_list_free(l);
	}
	feed_ca_unref(i->ca);
	crl_joins_unref(i->joins);
	free(i);
}

/* In force. */

const struct crl_shard *feed_in_force(const struct feed_list *l)
{
	const struct crl_set *s = feed_set_of(l->issuer);

	return l->place >= 0 && (size_t)l->place < s->shards_n &&
		       s->shard[l->place].in_force
		   ? &s->shard[l->place]
		   : NULL;
}

bool feed_is_unopened(const struct feed_issuer *i)
{
	for (size_t n = 0; n < i->n; n++)
		if (!i->list[n]->open.looked)
			return true;
	for (int from = 0; from < LEARNT_COUNT; from++)
		if (i->learns[from] && i->feed->expected[from] && !i->learnt[from].told)
			return true;
	return false;
}

bool feed_is_unlearnt(const struct feed_issuer *i)
{
	for (int from = 0; from < LEARNT_COUNT; from++)
		if (i->learns[from] && !i->learnt[from].known)
			return true;
	return false;
}

uint64_t feed_generation(void)
{
	return atomic_fetch_add(&generations, 1) + 1;
}

/* From this store on, every cached answer of the issuer is looked up again. */
const struct crl_set *feed_put(struct feed_issuer *i, struct crl_set *s, bool unopened)
{
	const struct crl_set *old = feed_set_of(i);

	if (s->shards_n > 0) { /* the two others are everybody's */
		s->unopened = unopened;
		s->unlearnt = feed_is_unlearnt(i);
		crl_joins_unref(s->joins);
		s->joins = crl_joins_ref(i->joins);
	}
	assert(s->unopened == unopened);
	i->feed->unopened += (size_t)s->unopened - (size_t)old->unopened;
	atomic_store_explicit(&i->slot->set, s, memory_order_release);
	return old;
}

size_t feed_kept(const struct feed_issuer *i)
{
	const struct feed_list *l;
	size_t n = 0;

	LIST_FOREACH(l, &i->gone, link)
		n += feed_is_kept(l);
	return n;
}

void feed_drop_kept(struct feed_issuer *i, const char *why)
{
	struct feed_list *l;

	for (size_t n = 0; n < i->n; n++)
		if (i->list[n]->conf == FEED_RELIEVING && !i->list[n]->parked)
			return;
	LIST_FOREACH(l, &i->gone, link) {
		if (!feed_is_kept(l))
			continue;
		l->conf = FEED_GONE;
		i->rearrange = true;
		log_warn("crl_dropped", "issuer=%s url=%s entries=%zu reason=%s", i->name,
		    feed_url(l), feed_in_force(l) != NULL ? feed_in_force(l)->n : 0, why);
	}
}

/* May it be another list under another name?  Not where its names are crl-scope's, which
 * are said of this one alone; nor while it has to relieve others. */
bool feed_may_join(const struct feed_list *l)
{
	return l->conf == FEED_LISTED && l->joining == NULL && !l->urls->strict &&
	       feed_urls_find(l->urls, l->scope) < l->urls->n;
}

void feed_join_soon(struct feed_list *l, const struct feed_list *with)
{
	struct crl_feed *f = l->issuer->feed;

	/* what is learnt and what is not are never one: a learnt URL would become a
	 * configured one */
	if (!feed_may_join(l) || !feed_may_join(with) ||
	    (l->learnt == LEARNT_COUNT) != (with->learnt == LEARNT_COUNT))
		return;
	l->joining = strdup(with->scope);
	if (l->joining == NULL)
		return; /* with the next list, then */
	l->issuer->joining = true;
	f->arrange_ms = clock_mono_ms();
	feed_arm(f);
}

/* Times. */

int64_t feed_next_ms(const struct feed_list *l)
{
	int64_t next = l->retry_ms < l->alarm_ms ? l->retry_ms : l->alarm_ms;

	return l->ask.state == FEED_IDLE && !l->parked && l->ask.due_ms < next
		   ? l->ask.due_ms
		   : next;
}

void feed_arm(struct crl_feed *f)
{
	int64_t next = dues_next(&f->dues);

	if (f->reload_ms < next)
		next = f->reload_ms;
	if (f->arrange_ms < next)
		next = f->arrange_ms;
	if (f->cancelled || next == f->armed_ms)
		return;
	f->armed_ms = next;
	evtimer_del(&f->timer);
	if (next == INT64_MAX)
		return;
	timer_arm(&f->timer, next - clock_mono_ms());
}

void feed_due(struct feed_list *l)
{
	struct crl_feed *f = l->issuer->feed;

	dues_move(&f->dues, &l->due, feed_is_gone(l) ? INT64_MAX : feed_next_ms(l));
	feed_arm(f);
}

void feed_retry_in(struct feed_list *l, int64_t ms)
{
	l->retry_ms = clock_mono_ms() + ms;
	feed_due(l);
}

void feed_retry_later(struct feed_list *l)
{
	feed_retry_in(l, FEED_RETRY_MS);
}

bool feed_all_told(const struct feed_list *l)
{
	return l->settle.n == 0 && l->tell.step == FEED_QUIET && l->settle.has_durable &&
	       l->told.state >= FEED_LEFT && !l->told.first_left &&
	       memcmp(l->settle.durable, l->told.sha256, sizeof l->settle.durable) == 0;
}
