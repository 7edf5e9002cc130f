/* events_watch.c - by watchlist: gathered, written, and what did not fit kept. */
#include "proxy/push/events_watch.h"

#include <assert.h>
#include <stdlib.h>

#include "proxy/base/log.h"

#define WATCH_GATHER (32 * 1024) /* of text, before it is written */
/* What a step of a gallop, and a byte of text, cost to make, in bytes written. */
#define STEP_BYTES 64
#define TEXT_BYTES 4
#define TURN_STEPS 2048 /* then others have their turn */
#define SAY_MS     60000

/* Out. */

static void count(struct sub *s, uint32_t events, uint32_t changes)
{
	struct counters *counters = s->events->counters;

	s->said_ms = s->events->now_ms;
	metrics_add(counters, M_EVENTS_SENT, events);
	metrics_add(counters, M_CHANGES_SENT, changes);
}

enum step events_watch_rest(struct sub *s)
{
	struct sub_watch *w = s->watch;
	enum step step = say_frame(s, w->rest, w->rest_n);

	if (step != STEP_MORE)
		return step;
	free(w->rest);
	w->rest = NULL;
	count(s, w->events, w->changes);
	return STEP_MORE;
}

/* All that was gathered.  Who has half an event that we have no memory to keep is let go:
 * it comes back to that event's beginning. */
static enum step push(struct sub *s, uint32_t events, uint32_t changes)
{
	const struct json_line *out = &s->events->view.out;
	struct sub_watch *w = s->watch;
	struct iovec iov = {out->p, out->n};
	ssize_t taken;

	assert(s->skip == 0 && w->rest == NULL && out->n > 0);
	taken = say_push(s, &iov, 1);
	if (taken < 0)
		return STEP_GONE;
	if ((size_t)taken == out->n) {
		count(s, events, changes);
		return STEP_MORE;
	}
	w->rest_n = out->n - (size_t)taken;
	w->rest = malloc(w->rest_n);
	if (w->rest == NULL)
		return STEP_GONE;
	memcpy(w->rest, out->p + taken, w->rest_n);
	w->events = events;
	w->changes = changes;
	return STEP_FULL;
}

/* It was looked at: what that has cost. */
static void looked(struct events *e)
{
	watch_view_rest(&e->view);
	e->turn_bytes += STEP_BYTES * e->view.steps + TEXT_BYTES * e->view.out.n;
	e->view.steps = 0;
}

static void say_unreadable(struct events *e, const struct sub *s)
{
	char why[512] = "";

	if (!e->view.unreadable ||
	    (e->names_said_ms != 0 && e->now_ms - e->names_said_ms < SAY_MS))
		return;
	e->names_said_ms = e->now_ms;
	watch_db_why(e->view.db, why, sizeof why);
	log_warn("event_names_unreadable", "watchlist=%s why=%s", s->watch->list, why);
}

bool events_watch_open(struct sub *s)
{
	struct events *e = s->events;

	e->view.access = s->access;
	return watch_view_open(&e->view, e->shared, s->watch->list);
}

/* Changes. */

/* One batch.  False: out of memory. */
static bool gather_sheet(struct sub *s, struct roll *r, struct sheet *sheet)
{
	struct events *e = s->events;
	struct watch_view *w = &e->view;
	size_t before = r->bytes, out = w->out.n;
	const struct watch_index *x = roll_index(r, sheet);
	struct change_pos pos = s->pos;

	if (r != &e->window)
		e->paged += r->bytes - before;
	if (x == NULL)
		return false;
	watch_text_changes(w, sheet->batch, x, &pos, EVENTS_CHANGES, false);
	if (w->out.failed) {
		w->out.n = out;
		w->out.failed = false;
		return false;
	}
	s->pos = pos;
	return true;
}

struct gleaned {
	uint32_t events, changes;
	bool failed, end; /* out of memory; nothing more is here */
};

static void gather(struct sub *s, struct gleaned *g)
{
	struct watch_view *w = &s->events->view;

	*g = (struct gleaned){0};
	while (w->out.n < WATCH_GATHER && w->steps < TURN_STEPS) {
		struct roll *r = events_roll(s, &s->pos);
		struct sheet *sheet = r != NULL ? roll_after(r, &s->pos) : NULL;

		if (sheet == NULL) {
			g->end = true;
			return;
		}
		w->steps++;
		if (!sub_wants(s, sheet)) {
			s->pos = sheet_end(sheet);
			continue;
		}
		if (!gather_sheet(s, r, sheet)) {
			g->failed = true;
			return;
		}
		g->events += w->changes > 0;
		g->changes += w->changes;
	}
}

enum step events_watch_changes(struct sub *s)
{
	struct gleaned g;

	gather(s, &g);
	looked(s->events);
	say_unreadable(s->events, s);
	if (s->events->view.out.n > 0)
		return push(s, g.events, g.changes);
	if (g.failed)
		return STEP_LATER;
	if (!g.end)
		return STEP_MORE;
	return events_read_on(s) ? STEP_END : STEP_WAITS;
}

/* A snapshot. */

/* The list as it was when the snapshot began: a place in it means nothing in another. */
static void begin_snapshot(struct sub *s)
{
	const struct watch_view *v = &s->events->view;
	struct sub_watch *w = s->watch;

	w->then = watch_list_ref(v->list);
	w->cas = watch_cas_ref(v->v->cas);
	w->cursor = (struct watch_cursor){0};
}

static void end_snapshot(struct sub *s)
{
	struct sub_watch *w = s->watch;

	watch_list_unref(w->then);
	watch_cas_unref(w->cas);
	w->then = NULL;
	w->cas = NULL;
}

enum step events_watch_snapshot(struct sub *s, bool *end)
{
	struct events *e = s->events;
	struct sub_watch *w = s->watch;
	struct watch_view *v = &e->view;
	uint32_t events = 0, changes = 0;
	struct watch_cursor next;

	assert(s->share->ready);
	if (w->then == NULL)
		begin_snapshot(s);
	*end = false;
	next = w->cursor;
	while (!*end && v->out.n < WATCH_GATHER && v->steps < TURN_STEPS) {
		*end =
		    !watch_text_snapshot(v, &s->share->snapshot, w->then, w->cas, &next);
		events += v->changes > 0;
		changes += v->changes;
	}
	looked(e);
	say_unreadable(e, s);
	if (v->out.failed)
		return *end = false, STEP_LATER;
	w->cursor = next;
	if (v->out.n > 0)
		return *end = false, push(s, events, changes);
	if (*end)
		end_snapshot(s);
	return STEP_MORE;
}
