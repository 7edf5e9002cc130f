/* snapshot.c - collected on the keeper's thread, read on the asker's. */
#include "proxy/snapshot.h"

#include "cache/latch.h"
#include "proxy/clock.h"
#include "proxy/crl_feed.h"
#include "proxy/keeper.h"
#include "proxy/telling.h"

#include <stdlib.h>

/* Collecting. */

struct collecting {
	const struct issuer *issuer;
	struct crl_entry *to; /* NULL: only count */
	size_t n;
};

static bool is_of(const struct issuer *i, const struct latch *l)
{
	for (size_t n = 0; n < i->ca_n; n++)
		if (memcmp(i->ca[n].id, l->ca_id, sizeof l->ca_id) == 0)
			return true;
	return false;
}

static void collect(void *arg, const struct latch *l)
{
	struct collecting *c = arg;
	struct crl_entry *e;

	if (!is_of(c->issuer, l))
		return;
	if (c->to != NULL) {
		e = &c->to[c->n];
		crl_entry_set_serial(e, &l->serial);
		crl_entry_set_at(e, l->revoked_at);
		e->reason =
		    l->reason == REASON_NONE ? CRL_REASON_NONE : (uint8_t)l->reason;
	}
	c->n++;
}

static bool collect_latches(
    struct snapshot_issuer *to, const struct latches *t, const struct issuer *i)
{
	struct collecting c = {.issuer = i};

	latches_each(t, collect, &c);
	if (c.n == 0)
		return true;
	to->latches = crl_entries_new(c.n, &to->mapped);
	if (to->latches == NULL)
		return false;
	c = (struct collecting){i, to->latches, 0};
	latches_each(t, collect, &c);
	to->latches_n = crl_entries_sort(to->latches, c.n);
	return true;
}

static bool collect_issuer(
    struct snapshot *s, const struct parts *d, const struct issuer *i)
{
	struct snapshot_issuer *to = &s->of[s->n];
	const struct crl_set *set = crl_feed_set(d->crl_feed, i->name);
	size_t n = strlen(i->name);

	memcpy(to->name, i->name, n < sizeof to->name ? n : sizeof to->name - 1);
	if (set != NULL)
		to->set = crl_set_ref(set);
	s->n++;
	return collect_latches(to, d->latches, i);
}

static bool collect_all(
    struct snapshot *s, const struct parts *d, const struct issuers *all)
{
	s->of = calloc(issuers_count(all) + 1, sizeof *s->of);
	if (s->of == NULL)
		return false;
	for (size_t n = 0; n < issuers_count(all); n++) {
		const struct issuer *i = issuers_at(all, n);

		if ((s->issuer[0] == '\0' || strcmp(s->issuer, i->name) == 0) &&
		    !collect_issuer(s, d, i))
			return false;
	}
	return true;
}

static void back(void *arg, struct msg *m)
{
	struct snapshot *s = (struct snapshot *)m;

	s->done(arg, s);
}

void snapshot_take(void *keeper, struct msg *m)
{
	struct snapshot *s = (struct snapshot *)m;
	const struct parts *d = keeper_parts(keeper);

	s->at = clock_now();
	s->error = ERR_OK;
	telling_end(d->telling, &s->end);
	if (s->end.epoch == 0)
		s->error = ERR_STORE;
	else if (!collect_all(s, d, shared_conf(d->shared)->issuers))
		s->error = ERR_NOMEM;
	if (s->error != ERR_OK)
		snapshot_drop(s);
	s->msg.run = back;
	inbox_post(s->reply_to, &s->msg);
}

void snapshot_drop(struct snapshot *s)
{
	for (size_t i = 0; i < s->n; i++) {
		crl_set_unref(s->of[i].set);
		if (s->of[i].latches != NULL)
			crl_entries_free(s->of[i].latches, s->of[i].mapped);
	}
	free(s->of);
	s->of = NULL;
	s->n = 0;
}

/* Reading. */

static bool is_hold(const struct crl_entry *e)
{
	return e->reason == REASON_CERTIFICATE_HOLD;
}

static bool is_stronger(const struct crl_entry *a, const struct crl_entry *b)
{
	if (is_hold(a) != is_hold(b))
		return is_hold(b);
	return crl_entry_at(a) < crl_entry_at(b);
}

/* The strongest of the entries with one serial, which stand together; *at moves behind
 * them. */
static const struct crl_entry *strongest(
    const struct crl_entry *entries, size_t n, size_t *at)
{
	const struct crl_entry *e = &entries[*at], *best = e;

	while (++*at < n && crl_entry_cmp(e, &entries[*at]) == 0)
		if (is_stronger(&entries[*at], best))
			best = &entries[*at];
	return best;
}

static const struct crl_entry *find_in_set(
    const struct crl_set *set, const struct crl_entry *key)
{
	const struct crl_entry *e;
	size_t at;

	if (set == NULL || set->n == 0)
		return NULL;
	e = crl_entries_find(set->entries, set->n, key);
	if (e == NULL)
		return NULL;
	at = (size_t)(e - set->entries);
	return strongest(set->entries, set->n, &at);
}

/* Entries of the lists, but for holds of which a latch knows worse. */
static size_t next_of_set(const struct snapshot_issuer *of, size_t *at,
    const struct crl_entry **entries, size_t room)
{
	size_t n = 0;

	while (of->set != NULL && *at < of->set->n && n < room) {
		const struct crl_entry *e = strongest(of->set->entries, of->set->n, at);

		if (is_hold(e) && of->latches_n > 0 &&
		    crl_entries_find(of->latches, of->latches_n, e) != NULL)
			continue;
		entries[n++] = e;
	}
	return n;
}

/* Latches of what no list has, or has on hold only. */
static size_t next_of_latches(const struct snapshot_issuer *of, size_t *at,
    const struct crl_entry **entries, size_t room)
{
	size_t n = 0;

	while (*at < of->latches_n && n < room) {
		const struct crl_entry *e = &of->latches[(*at)++],
				       *listed = find_in_set(of->set, e);

		if (listed == NULL || is_hold(listed))
			entries[n++] = e;
	}
	return n;
}

bool snapshot_next(const struct snapshot *s, struct snapshot_cursor *c,
    const struct crl_entry **entries, size_t room, struct snapshot_part *part)
{
	for (; c->issuer < s->n; c->issuer++, c->latches = false, c->at = 0) {
		const struct snapshot_issuer *of = &s->of[c->issuer];

		*part = (struct snapshot_part){.of = of, .from_list = !c->latches};
		if (!c->latches) {
			part->n = next_of_set(of, &c->at, entries, room);
			if (part->n > 0 && of->set->shards_n == 1)
				part->list = &of->set->shard[0].facts;
			if (part->n > 0)
				return true;
			c->latches = true;
			c->at = 0;
			part->from_list = false;
		}
		part->n = next_of_latches(of, &c->at, entries, room);
		if (part->n > 0)
			return true;
	}
	return false;
}
