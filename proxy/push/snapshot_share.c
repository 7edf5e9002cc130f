/* snapshot_share.c - snapshots: who shares one, how many are held, who makes room.
 *
 * A snapshot is a value that never changes, and any number of subscribers reads it at
 * their own pace.  Those who ask within a second get the same one.  Each later one is a
 * question of its own, for the place from which its reader goes on is newer; but where it
 * says the same, it borrows the content of the one before (a lender), so that slow
 * readers of lists that do not change hold one content among them.
 *
 * What is held is content that differs: SHARES_FEW of them whatever their size, and more
 * within snapshot-memory (the lists of each counted in full).  Beyond, who comes waits;
 * and when somebody waits, those who have had a content for SHARE_HOLD_MS and still owe
 * us a sign make room: what they hold is not held without bound.
 */
#include "proxy/push/events_core.h"

#include <assert.h>
#include <stdlib.h>

#include "proxy/base/clock.h"
#include "proxy/push/events_say.h"

#define SHARES_FEW    16
#define SHARE_JOIN_MS 1000   /* who comes within so long gets the same one */
#define SHARE_HOLD_MS 300000 /* a list of 100,000 entries, at the least pace twice */

/* Holding. */

static struct snapshot_share *content_of(struct snapshot_share *s)
{
	return s->lender != NULL ? s->lender : s;
}

/* What it says is here: held by itself, or as another one says it already. */
static void hold(struct snapshot_share *s)
{
	struct events *e = s->events;
	struct snapshot_share *o;

	assert(!s->holds && s->lender == NULL);
	TAILQ_FOREACH(o, &e->shares, link)
		if (o != s && o->holds && snapshot_same(&o->snapshot, &s->snapshot))
			break;
	if (o != NULL) {
		snapshot_drop(&s->snapshot);
		s->snapshot.of = o->snapshot.of;
		s->snapshot.n = o->snapshot.n;
		s->lender = o;
		o->refs++;
		return;
	}
	s->holds = true;
	s->bytes = snapshot_bytes(&s->snapshot);
	e->shares_held++;
	e->shares_bytes += s->bytes;
}

static bool has_room(const struct events *e)
{
	return e->shares_asked < SHARES_FEW &&
	       (e->shares_held < SHARES_FEW || e->shares_bytes < e->shares_max);
}

/* The content that has been held for longest. */
static struct snapshot_share *oldest(const struct events *e)
{
	struct snapshot_share *s, *found = NULL;

	TAILQ_FOREACH(s, &e->shares, link)
		if (s->holds && (found == NULL || s->taken_ms < found->taken_ms))
			found = s;
	return found;
}

void snapshot_share_make_room(struct events *e)
{
	struct snapshot_share *old = oldest(e);
	struct sub *s, *next;

	if (!e->shares_wanted || has_room(e) || old == NULL ||
	    e->now_ms - old->taken_ms < SHARE_HOLD_MS)
		return;
	for (s = TAILQ_FIRST(&e->blocked); s != NULL; s = next) {
		next = TAILQ_NEXT(s, link);
		if (s->share != NULL && content_of(s->share) == old)
			sub_cut(s);
	}
}

/* Reading. */

static void begin(struct sub *s, struct snapshot_share *share)
{
	struct events *e = s->events;

	assert(s->share == NULL && share->ready);
	s->wants_snapshot = false;
	s->cursor = (struct snapshot_cursor){0};
	s->share = share;
	pace_begin(&s->pace, e->now_ms);
	share->refs++;
	sub_move(s, &e->due);
}

static void on_snapshot(void *arg, struct question *q)
{
	struct snapshot_share *share = (struct snapshot_share *)q;
	struct events *e = share->events;
	bool ok = share->snapshot.error == ERR_OK;
	enum events_wait wait =
	    share->snapshot.error == ERR_STORE ? WAIT_LOG : WAIT_SNAPSHOT;
	struct sub *s;

	(void)arg;
	assert(e->magic == EVENTS_MAGIC && e->shares_asked > 0 && !share->ready);
	e->now_ms = clock_mono_ms();
	e->shares_asked--;
	share->ready = true;
	share->taken_ms = ok ? e->now_ms : INT64_MIN / 2;
	if (ok && !TAILQ_EMPTY(&share->subs))
		hold(share);
	while ((s = TAILQ_FIRST(&share->subs)) != NULL) {
		if (ok)
			begin(s, share);
		else if (events_say_wait(s, wait))
			sub_move(s, &e->later);
	}
	snapshot_share_unref(share);
	events_wake(e);
	events_answered(e);
}

/* Asking. */

static struct snapshot_share *share_new(struct events *e, const char *issuer)
{
	struct snapshot_share *share = calloc(1, sizeof *share);

	if (share == NULL)
		return NULL;
	share->events = e;
	share->refs = 1;
	TAILQ_INIT(&share->subs);
	TAILQ_INSERT_TAIL(&e->shares, share, link);
	share->snapshot.all = e->snapshots;
	memcpy(share->snapshot.issuer, issuer, sizeof share->snapshot.issuer);
	share->snapshot.question.reply_to = e->own;
	share->snapshot.question.done = on_snapshot;
	e->shares_asked++;
	e->asking++;
	return share;
}

/* Who joins a snapshot of a moment ago gets what followed it from the log. */
static bool is_fit(
    const struct events *e, const struct snapshot_share *share, const struct sub *s)
{
	return strcmp(share->snapshot.issuer, s->issuer) == 0 &&
	       (!share->ready || e->now_ms - share->taken_ms < SHARE_JOIN_MS);
}

void snapshot_share_join(struct sub *s)
{
	struct events *e = s->events;
	struct snapshot_share *share;

	assert(s->wants_snapshot);
	TAILQ_FOREACH(share, &e->shares, link)
		if (is_fit(e, share, s))
			break;
	if (share != NULL && share->ready) {
		begin(s, share);
		events_wake(e);
		return;
	}
	if (share != NULL) {
		sub_move(s, &share->subs);
		return;
	}
	share = has_room(e) ? share_new(e, s->issuer) : NULL;
	if (share == NULL) {
		e->shares_wanted = true;
		sub_move(s, &e->later);
		return;
	}
	sub_move(s, &share->subs);
	question_ask(&share->snapshot.question, e->shared->keeper, snapshot_take);
}
