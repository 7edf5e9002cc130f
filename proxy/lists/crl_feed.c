/* crl_feed.c - the feed's life, its timer, and what others ask of it.
 *
 * One timer stands at the earliest of all due times.
 */
#include "proxy/lists/feed_list.h"

#include <assert.h>
#include <event2/event.h>
#include <stdlib.h>

#include "proxy/base/clock.h"
#include "proxy/base/log.h"

/* Times. */

static void look_after(struct feed_list *l, int64_t now)
{
	assert(!feed_is_gone(l));
	if (l->retry_ms <= now) {
		l->retry_ms = INT64_MAX;
		feed_open(l);
		feed_tell(l);
	}
	if (l->alarm_ms <= now)
		feed_watch_age(l);
	if (l->ask.state == FEED_IDLE && l->ask.due_ms <= now)
		feed_ask(l);
}

static void rearrange_all(struct crl_feed *f)
{
	struct feed_issuer *i;

	f->arrange_ms = INT64_MAX;
	LIST_FOREACH(i, &f->issuers, link) {
		if (i->joining)
			feed_join(i);
		if (i->rearrange)
			feed_next(i);
	}
}

static void on_timer(evutil_socket_t fd, short what, void *arg)
{
	struct crl_feed *f = arg;
	int64_t now = clock_mono_ms();

	(void)fd, (void)what;
	assert(!f->cancelled);
	f->armed_ms = INT64_MAX;
	if (f->reload_ms <= now)
		crl_feed_reload(f, f->conf);
	if (f->arrange_ms <= now)
		rearrange_all(f);
	while (dues_next(&f->dues) <= now) {
		struct feed_list *l = (struct feed_list *)dues_first(&f->dues);

		dues_move(&f->dues, &l->due, INT64_MAX);
		look_after(l, now);
		if (feed_next_ms(l) > now) /* else what it waits for moves it */
			feed_due(l);
	}
	feed_arm(f);
}

/* Life. */

struct crl_feed *crl_feed_new(const struct context *context, struct fetcher *fetcher,
    struct executor *bulk, struct teller *teller)
{
	struct crl_feed *f = calloc(1, sizeof *f);

	if (f == NULL)
		return NULL;
	f->context = context;
	f->conf = shared_conf(context->shared);
	f->fetcher = fetcher;
	f->bulk = bulk;
	f->teller = teller;
	f->reload_ms = f->arrange_ms = f->armed_ms = INT64_MAX;
	TAILQ_INIT(&f->works);
	TAILQ_INIT(&f->opens);
	TAILQ_INIT(&f->others);
	TAILQ_INIT(&f->waits);
	f->state_directory = strdup(feed_conf(f)->state_directory);
	f->slots = crl_slots_new();
	if (f->state_directory == NULL || f->slots == NULL) {
		free(f->state_directory);
		crl_slots_free(f->slots);
		free(f);
		return NULL;
	}
	evtimer_assign(&f->timer, context->base, on_timer, f);
	return f;
}

void crl_feed_cancel(struct crl_feed *f)
{
	struct feed_issuer *i;

	if (f->cancelled)
		return;
	f->cancelled = true;
	atomic_store(&f->stop, true);
	evtimer_del(&f->timer);
	LIST_FOREACH(i, &f->issuers, link) {
		for (size_t n = 0; n < i->n; n++)
			feed_stop_fetch(i->list[n]);
		feed_works_drop(i);
	}
	feed_waits_cancel(f);
}

void crl_feed_free(struct crl_feed *f)
{
	struct feed_issuer *i;

	if (f == NULL)
		return;
	crl_feed_cancel(f);
	feed_waits_cancel(f); /* who came since */
	feed_works_free(f);
	while ((i = LIST_FIRST(&f->issuers)) != NULL) {
		LIST_REMOVE(i, link);
		feed_issuer_free(i);
	}
	dues_free(&f->dues);
	free(f->bucket);
	free(f->state_directory);
	crl_slots_free(f->slots);
	free(f);
}

/* Questions. */

const struct crl_set *crl_feed_set(struct crl_feed *f, const char *issuer)
{
	const struct feed_issuer *i = feed_issuer_find(f, issuer);

	return i == NULL ? &crl_set_none : feed_set_of(i);
}

void crl_feed_refresh(struct crl_feed *f, const struct issuer *issuer, bool accept_number)
{
	struct feed_issuer *i = feed_issuer_find(f, issuer->name);

	if (i == NULL || f->cancelled)
		return;
	if (accept_number)
		log_warn("crl_accept_number", "issuer=%s for_s=%lld", i->name,
		    (long long)(FEED_ACCEPT_MS / 1000));
	for (size_t n = 0; n < i->n; n++) {
		struct feed_list *l = i->list[n];

		l->ask.failures = 0;
		l->ask.anew = true;
		feed_sites_excuse(l);
		if (accept_number)
			l->ask.accept_ms = clock_mono_ms() + FEED_ACCEPT_MS;
		if (l->held.at != FEED_FLOWS) /* whoever asks may have mended it */
			feed_retry_in(l, 0);
		if (l->ask.state == FEED_IDLE)
			feed_ask(l);
		else
			feed_ask_again(l);
	}
}

bool crl_feed_tried_all(const struct crl_feed *f)
{
	const struct feed_issuer *i;

	LIST_FOREACH(i, &f->issuers, link)
		for (size_t n = 0; n < i->n; n++)
			if (!i->list[n]->ask.tried && !i->list[n]->parked)
				return false;
	return true;
}

bool crl_feed_wait(struct crl_feed *f, const char *issuer, struct crl_wait *w, int ms)
{
	struct feed_issuer *i = issuer != NULL ? feed_issuer_find(f, issuer) : NULL;
	bool opened =
	    issuer == NULL ? f->unopened == 0 : i == NULL || !feed_set_of(i)->unopened;

	if (opened)
		return false;
	feed_wait_begin(f, i, w, ms);
	if (i != NULL && i->waits_n == 1)
		feed_hurry(i);
	return true;
}
