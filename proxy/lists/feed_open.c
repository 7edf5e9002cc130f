/* feed_open.c - what the state directory has of a list is verified, and may be in force.
 */
#include "proxy/lists/feed_list.h"

#include <assert.h>

#include "proxy/base/clock.h"
#include "proxy/base/log.h"

/* What was in force by other certificates no longer is. */
static void drop_list(struct feed_list *l, const char *why)
{
	const struct crl_shard *s = feed_in_force(l);

	if (s == NULL)
		return;
	log_warn("crl_dropped", "issuer=%s url=%s entries=%zu reason=%s", l->issuer->name,
	    feed_url(l), s->n, why);
	l->drop = true;
	l->issuer->rearrange = true;
}

/* Once in a life: what this node told before. */
static void learn_told(struct feed_list *l, const struct feed_work *w)
{
	const struct crl_job *j = &w->job;

	if (l->told.state != FEED_UNKNOWN)
		return;
	l->told.state = FEED_NOTHING;
	if (j->open.has_told)
		l->told.state = j->open.next_left ? FEED_LEFT : FEED_UNPLACED;
	l->told.first_left = j->open.first_left;
	if (l->came.pace.n == 0)
		l->came.pace = j->pace;
	if (w->urls == l->urls && j->open.site < l->urls->n) {
		l->site[j->open.site].hints = j->hints;
		l->ask.from = j->open.site;
	}
	if (j->open.told_is_current && j->error == ERR_OK)
		memcpy(l->told.sha256, j->facts.sha256, sizeof l->told.sha256);
}

static bool cannot_be_read(enum err e)
{
	return e == ERR_NOMEM || e == ERR_STORE;
}

/* It is there, and nobody can say what it revokes.  One that is in force is verified
 * again for other certificates, and theirs is the last word. */
static bool is_riddle(const struct feed_list *l, enum err e)
{
	return cannot_be_read(e) || (feed_is_refusal(e) && !l->open.looked);
}

/* Out of memory to say that it is opened. */
static void open_again(struct feed_list *l)
{
	l->open.looked = false;
	l->open.state = FEED_TO_OPEN;
	feed_retry_later(l);
}

static struct feed_list *list_named(const struct feed_issuer *i, const char *scope)
{
	for (size_t n = 0; n < i->n; n++)
		if (strcmp(i->list[n]->scope, scope) == 0)
			return i->list[n];
	return NULL;
}

/* An earlier life found it to be another one, which is there: of its own it has
 * nothing. */
static bool is_another(struct feed_list *l, const struct crl_job *j)
{
	const struct feed_list *with =
	    j->open.same != NULL ? list_named(l->issuer, j->open.same) : NULL;

	if (with == NULL || with == l)
		return false;
	feed_join_soon(l, with);
	return l->joining != NULL;
}

static void opened(struct feed_work *w, bool skipped)
{
	struct feed_list *l = w->list;
	const struct crl_job *j = &w->job;

	assert(l->open.state == FEED_OPENING);
	l->open.state = FEED_TO_OPEN; /* unless we see otherwise */
	if (skipped) {
		feed_work_free(w);
		return;
	}
	if (w->ca != l->issuer->ca || l->settle.n > 0) { /* again, with what is now */
		feed_work_free(w);
		feed_open(l);
		return;
	}
	if (is_another(l, j)) {
		l->open.looked = true;
		l->open.state = FEED_OPENED;
		feed_work_free(w);
		if (!feed_say(l->issuer, feed_is_unopened(l->issuer)))
			open_again(l);
		return;
	}
	if (j->error != ERR_OK && j->error != ERR_NOT_FOUND)
		log_warn("crl_state_refused",
		    "issuer=%s url=%s file=current err=%s detail=%s", w->issuer->name,
		    feed_url(l), err_label(j->error), j->why);
	if (!cannot_be_read(j->error))
		learn_told(l, w);
	if (is_riddle(l, j->error)) {
		feed_retry_later(l);
		if (j->error == ERR_NOMEM || l->ask.state != FEED_CLOSED) {
			feed_work_free(w);
			return;
		}
	} else {
		l->open.looked = true;
		l->open.state = FEED_OPENED;
	}
	/* a folder that cannot be read keeps no list from being had */
	if (l->ask.state == FEED_CLOSED)
		l->ask.state = FEED_IDLE;
	if (j->error == ERR_OK) {
		if (l->ask.fetched_at == 0)
			l->ask.fetched_at = j->open.written_at;
		w->file = FEED_CURRENT;
		feed_publish(w);
	} else {
		if (feed_is_refusal(j->error))
			drop_list(l, "issuer");
		feed_work_free(w);
		if (!feed_say(l->issuer, feed_is_unopened(l->issuer)))
			open_again(l);
	}
	if (l->ask.state == FEED_IDLE)
		feed_ask(l);
}

void feed_open_again(struct feed_list *l)
{
	if (l->open.state == FEED_OPENED)
		l->open.state = FEED_TO_OPEN;
}

void feed_open(struct feed_list *l)
{
	struct feed_work *w;

	if (l->open.state != FEED_TO_OPEN || l->settle.n > 0 || feed_is_gone(l) ||
	    l->issuer->feed->cancelled)
		return;
	w = feed_work_new(l->issuer, l, CRL_JOB_OPEN, opened);
	if (w == NULL) {
		feed_retry_later(l);
		return;
	}
	l->open.state = FEED_OPENING;
	feed_work_queue(w);
}
