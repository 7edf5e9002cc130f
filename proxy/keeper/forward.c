/* forward.c - a forward is an ask, its fetch and a token of its issuer. */
#include "proxy/keeper/forward.h"

#include <assert.h>
#include <stddef.h>
#include <stdlib.h>
#include <sys/queue.h>

#include "proxy/base/clock.h"
#include "proxy/keeper/door.h"
#include "proxy/lists/crl_feed.h"

/* A client's whole wait is answer-timeout; a quarter of it is left for the cached answer.
 */
#define SHARE_OF_WAIT 3 / 4

struct bucket { /* tokens of one issuer, by its name: a reload changes nothing */
	char name[64];
	int64_t tokens_ms; /* thousandths of a token */
	int64_t filled_at_ms;
};

struct forward {
	LIST_ENTRY(forward) link;
	struct forwards *all;
	struct ask *ask;
	struct crl_wait lists; /* while the issuer's are not opened */
	bool waited;           /* for them */
	struct source_ask *source_ask;
	struct answer *got;
};

struct forwards {
	const struct context *context;
	const struct door *door;
	struct answers *answers;
	struct source *source;
	struct crl_feed *crl_feed;
	struct flights *flights;
	struct bucket *buckets;
	size_t buckets_n;
	LIST_HEAD(, forward) list;
	bool cancelled;
};

static struct bucket *bucket_of(struct forwards *fs, const struct issuer *i)
{
	struct bucket *b;

	for (size_t n = 0; n < fs->buckets_n; n++) {
		if (strcmp(fs->buckets[n].name, i->name) == 0)
			return &fs->buckets[n];
	}
	b = realloc(fs->buckets, (fs->buckets_n + 1) * sizeof *b);
	if (b == NULL)
		return NULL;
	fs->buckets = b;
	b = &fs->buckets[fs->buckets_n++];
	memset(b, 0, sizeof *b);
	strncpy(b->name, i->name, sizeof b->name - 1);
	b->tokens_ms = (int64_t)i->rules.nonce_rate * 1000;
	b->filled_at_ms = clock_mono_ms();
	return b;
}

/* One of nonce-rate's tokens; a second's worth gathers. */
static bool token_take(struct forwards *fs, const struct issuer *i)
{
	struct bucket *b = bucket_of(fs, i);
	int64_t now = clock_mono_ms(), full = (int64_t)i->rules.nonce_rate * 1000;

	if (b == NULL)
		return false;
	if (now - b->filled_at_ms >= 1000)
		b->tokens_ms = full;
	else
		b->tokens_ms += (now - b->filled_at_ms) * i->rules.nonce_rate;
	if (b->tokens_ms > full)
		b->tokens_ms = full;
	b->filled_at_ms = now;
	if (b->tokens_ms < 1000)
		return false;
	b->tokens_ms -= 1000;
	return true;
}

static void forward_free(struct forward *f)
{
	LIST_REMOVE(f, link);
	crl_feed_wait_end(&f->lists);
	if (f->got != NULL) /* a reader may hold it until a barrier has passed */
		hot_discard(f->all->context->shared->hot, f->got);
	free(f);
}

static void without_nonce(struct forwards *fs, struct ask *a)
{
	metrics_count(fs->context->counters, M_NONCE_CAPPED);
	a->nonce_n = 0;
	flights_ask(fs->flights, a);
}

static enum err judge(void *arg, struct bytes der, const char *from)
{
	struct forward *f = arg;
	struct ask *a = f->ask;

	return door_pass(f->all->door,
	    &(struct door_visit){
		.key = &a->key, .nonce = bytes_of(a->nonce, a->nonce_n), .from = from},
	    der, &f->got);
}

static void on_fetched(void *arg, enum err e)
{
	struct forward *f = arg;
	struct forwards *fs = f->all;
	struct ask *a = f->ask;

	assert(a->nonce_n > 0 && (e != ERR_OK || f->got != NULL));
	f->source_ask = NULL;
	if (e == ERR_OK)
		ask_reply(a, f->got, ERR_OK, TIER_FORWARD);
	else if (e == ERR_RESP_CRL) /* the same without the nonce: not asked for again */
		answers_back_off(fs->answers, &a->key);
	forward_free(f);
	if (e != ERR_OK)
		without_nonce(fs, a);
}

static struct forward *forward_new(struct forwards *fs, struct ask *a)
{
	struct forward *f = calloc(1, sizeof *f);

	if (f == NULL)
		return NULL;
	f->all = fs;
	f->ask = a;
	LIST_INSERT_HEAD(&fs->list, f, link);
	return f;
}

/* What is left of the share of the client's wait, and never nothing: an ask that has
 * just come is tried, however long it was on its way. */
static int wait_ms(const struct forward *f)
{
	const struct conf *c = shared_conf(f->all->context->shared);
	int64_t left = c->answer_timeout_ms * SHARE_OF_WAIT;

	if (f->waited)
		left -= clock_mono_ms() - f->ask->asked_at_ms;
	return left > 1 ? (int)left : 1;
}

static void fetch(struct forward *f, const struct issuer *i)
{
	struct source *s = f->all->source;
	struct ask *a = f->ask;
	enum err e = s->ops->ask(s,
	    &(struct source_question){.issuer = i,
		.key = &a->key,
		.known = answers_know(f->all->answers, &a->key),
		.nonce = bytes_of(a->nonce, a->nonce_n),
		.wait_ms = wait_ms(f)},
	    judge, on_fetched, f, &f->source_ask);

	if (e != ERR_OK)
		on_fetched(f, e);
}

static void on_lists(struct crl_wait *w, enum err e)
{
	struct forward *f =
	    (struct forward *)((char *)w - offsetof(struct forward, lists));
	struct forwards *fs = f->all;
	struct ask *a = f->ask;
	const struct issuer *i =
	    issuers_find(shared_conf(fs->context->shared)->issuers, &a->key, NULL);

	assert(f->source_ask == NULL && f->got == NULL);
	f->waited = true;
	if (e == ERR_OK && i != NULL) {
		fetch(f, i);
		return;
	}
	forward_free(f);
	without_nonce(fs, a);
}

void forwards_ask(struct forwards *fs, struct ask *a)
{
	const struct conf *c = shared_conf(fs->context->shared);
	const struct issuer *i = issuers_find(c->issuers, &a->key, NULL);
	struct crl_feed *feed = fs->crl_feed;
	struct forward *f;

	if (fs->cancelled || i == NULL) {
		ask_reply(a, NULL, i == NULL ? ERR_REQ_ISSUER : ERR_CANCELLED, TIER_NONE);
		return;
	}
	if (answers_backing_off(fs->answers, &a->key) || !token_take(fs, i) ||
	    (f = forward_new(fs, a)) == NULL) {
		without_nonce(fs, a);
		return;
	}
	f->lists.done = on_lists;
	if (!crl_feed_wait(feed, i->name, &f->lists, wait_ms(f)))
		fetch(f, i);
}

struct forwards *forwards_new(const struct door *door, struct source *source,
    struct crl_feed *crl_feed, struct flights *flights)
{
	struct forwards *fs = calloc(1, sizeof *fs);

	if (fs == NULL)
		return NULL;
	fs->context = door->context;
	fs->door = door;
	fs->answers = door->answers;
	fs->source = source;
	fs->crl_feed = crl_feed;
	fs->flights = flights;
	LIST_INIT(&fs->list);
	return fs;
}

void forwards_cancel(struct forwards *fs)
{
	struct forward *f;

	fs->cancelled = true;
	while ((f = LIST_FIRST(&fs->list)) != NULL) {
		if (f->source_ask != NULL)
			fs->source->ops->cancel(fs->source, f->source_ask);
		ask_reply(f->ask, NULL, ERR_CANCELLED, TIER_NONE);
		forward_free(f);
	}
}

void forwards_free(struct forwards *fs)
{
	if (fs == NULL)
		return;
	assert(LIST_EMPTY(&fs->list));
	free(fs->buckets);
	free(fs);
}
