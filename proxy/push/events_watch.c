/* events_watch.c - by watchlist: gathered, written, and what did not fit kept. */
#include "proxy/push/events_watch.h"

#include <assert.h>
#include <stdlib.h>

#include "proxy/base/log.h"

/* What a step of a gallop, and a byte of text, cost to make, in bytes written. */
#define STEP_BYTES 64
#define TEXT_BYTES 4
#define SAY_MS     60000

void events_looked(struct events *e)
{
	watch_view_rest(&e->view);
	e->turn_bytes += STEP_BYTES * e->view.steps + TEXT_BYTES * e->view.out.n;
	e->view.steps = 0;
}

void events_say_unreadable(struct events *e, const struct sub *s)
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

/* Alarms: all of them or none.  False: out of memory. */
static bool gather_alarms(struct sub *s, const struct sheet *sheet)
{
	struct events *e = s->events;
	const struct change_batch *b = sheet->batch;
	struct watch_view *w = &e->view;
	struct json_line *out = &w->out;
	bool wanted = watch_view_has_issuer(w, b->issuer);
	size_t before = out->n;

	w->changes = wanted ? b->n : 0;
	if (wanted)
		json_put_bytes(
		    out, e->scratch, events_text_changes(b, 0, b->n, e->scratch));
	if (out->failed) {
		out->n = before;
		out->failed = false;
		return false;
	}
	s->pos = sheet_end(sheet);
	return true;
}

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
	while (w->out.n < WATCH_GATHER && w->steps < WATCH_STEPS) {
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
		if (sheet->batch->kind == CHANGE_ALARMS ? !gather_alarms(s, sheet)
							: !gather_sheet(s, r, sheet)) {
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
	events_looked(s->events);
	events_say_unreadable(s->events, s);
	if (s->events->view.out.n > 0)
		return say_gathered(s, &s->events->view.out, g.events, g.changes);
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
	while (!*end && v->out.n < WATCH_GATHER && v->steps < WATCH_STEPS) {
		*end =
		    !watch_text_snapshot(v, &s->share->snapshot, w->then, w->cas, &next);
		events += v->changes > 0;
		changes += v->changes;
	}
	events_looked(e);
	events_say_unreadable(e, s);
	if (v->out.failed)
		return *end = false, STEP_LATER;
	w->cursor = next;
	if (v->out.n > 0)
		return *end = false, say_gathered(s, &v->out, events, changes);
	if (*end)
		end_snapshot(s);
	return STEP_MORE;
}
