/* snapshot.c - collected on the keeper's thread. */
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
		e->reason = l->reason == REASON_NONE ? CRL_NO_REASON : (uint8_t)l->reason;
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
	telling_known_from(d->telling, &s->end);
	if (s->end.epoch == 0)
		s->error = ERR_STORE;
	else if (!collect_all(s, d, shared_conf(d->shared)->issuers))
		s->error = ERR_NOMEM;
	if (s->error != ERR_OK)
		snapshot_drop(s);
	s->msg.run = back;
	inbox_post(s->reply_to, &s->msg);
}
