/* events_shot.c - snapshots: who shares one, how many are held, who makes room.
 *
 * A snapshot is a value that never changes, and any number of subscribers reads it at
 * their own pace.  Those who ask within a second get the same one.  Each later one is a
 * question of its own, for the place from which its reader goes on is newer; but where it
 * says the same, it borrows the content of the one before (a lender), so that slow
 * readers of lists that do not change hold one content among them.
 *
 * What is held is content that differs: SHOTS_FEW of them whatever their size, and more
 * within snapshot-memory (the lists of each counted in full).  Beyond, who comes waits;
 * and when somebody waits, those who have had a content for SHOT_HOLD_MS and still owe
 * us a sign make room: what they hold is not held without bound.
 */
#include "proxy/push/events_core.h"

#include <stdlib.h>

#include "proxy/base/clock.h"

#define SHOTS_FEW     16
#define SHOT_SHARE_MS 1000   /* who comes within so long gets the same one */
#define SHOT_HOLD_MS  300000 /* a list of 100,000 entries, at the least pace twice */

/* Holding. */

static struct shot *content_of(struct shot *s)
{
	return s->lender != NULL ? s->lender : s;
}

/* What it says is here: held by itself, or as another one says it already. */
static void hold(struct shot *s)
{
	struct events *e = s->events;
	struct shot *o;

	TAILQ_FOREACH(o, &e->shots, link)
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
	e->shots_held++;
	e->shots_bytes += s->bytes;
}

static bool has_room(const struct events *e)
{
	return e->shots_asked < SHOTS_FEW &&
	       (e->shots_held < SHOTS_FEW || e->shots_bytes < e->shots_max);
}

/* The content that has been held for longest. */
static struct shot *oldest(const struct events *e)
{
	struct shot *s, *found = NULL;

	TAILQ_FOREACH(s, &e->shots, link)
		if (s->holds && (found == NULL || s->taken_ms < found->taken_ms))
			found = s;
	return found;
}

void events_make_room(struct events *e)
{
	struct shot *old = oldest(e);
	struct sub *s, *next;

	if (!e->shots_wanted || has_room(e) || old == NULL ||
	    e->now_ms - old->taken_ms < SHOT_HOLD_MS)
		return;
	for (s = TAILQ_FIRST(&e->blocked); s != NULL; s = next) {
		next = TAILQ_NEXT(s, link);
		if (s->shot != NULL && content_of(s->shot) == old)
			sub_cut(s);
	}
}

/* Reading. */

static void begin(struct sub *s, struct shot *shot)
{
	struct events *e = s->events;

	s->wants_snapshot = false;
	s->cursor = (struct snapshot_cursor){0};
	s->shot = shot;
	pace_begin(&s->pace, e->now_ms);
	shot->refs++;
	sub_move(s, &e->due);
}

static void on_shot(void *arg, struct question *q)
{
	struct shot *shot = (struct shot *)q;
	struct events *e = shot->events;
	bool ok = shot->snapshot.error == ERR_OK;
	enum events_wait wait =
	    shot->snapshot.error == ERR_STORE ? WAIT_LOG : WAIT_SNAPSHOT;
	struct sub *s;

	(void)arg;
	e->now_ms = clock_mono_ms();
	e->shots_asked--;
	shot->ready = true;
	shot->taken_ms = ok ? e->now_ms : INT64_MIN / 2;
	if (ok && !TAILQ_EMPTY(&shot->subs))
		hold(shot);
	while ((s = TAILQ_FIRST(&shot->subs)) != NULL) {
		if (ok)
			begin(s, shot);
		else if (events_say_wait(s, wait))
			sub_move(s, &e->later);
	}
	shot_unref(shot);
	events_wake(e);
	events_answered(e);
}

/* Asking. */

static struct shot *shot_new(struct events *e, const char *issuer)
{
	struct shot *shot = calloc(1, sizeof *shot);

	if (shot == NULL)
		return NULL;
	shot->events = e;
	shot->refs = 1;
	TAILQ_INIT(&shot->subs);
	TAILQ_INSERT_TAIL(&e->shots, shot, link);
	shot->snapshot.all = e->snapshots;
	memcpy(shot->snapshot.issuer, issuer, sizeof shot->snapshot.issuer);
	shot->snapshot.question.reply_to = e->own;
	shot->snapshot.question.done = on_shot;
	e->shots_asked++;
	e->asking++;
	return shot;
}

/* Who joins a snapshot of a moment ago gets what followed it from the log. */
static bool is_fit(const struct events *e, const struct shot *shot, const struct sub *s)
{
	return strcmp(shot->snapshot.issuer, s->issuer) == 0 &&
	       (!shot->ready || e->now_ms - shot->taken_ms < SHOT_SHARE_MS);
}

void events_snapshot(struct sub *s)
{
	struct events *e = s->events;
	struct shot *shot;

	TAILQ_FOREACH(shot, &e->shots, link)
		if (is_fit(e, shot, s))
			break;
	if (shot != NULL && shot->ready) {
		begin(s, shot);
		events_wake(e);
		return;
	}
	if (shot != NULL) {
		sub_move(s, &shot->subs);
		return;
	}
	shot = has_room(e) ? shot_new(e, s->issuer) : NULL;
	if (shot == NULL) {
		e->shots_wanted = true;
		sub_move(s, &e->later);
		return;
	}
	sub_move(s, &shot->subs);
	question_ask(&shot->snapshot.question, e->shared->keeper, snapshot_take);
}
