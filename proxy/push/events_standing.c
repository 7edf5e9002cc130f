/* events_standing.c - slices, until there is enough to be written or others want their
 * turn. */
#include "proxy/push/events_standing.h"

#include <assert.h>

#include "proxy/push/events_watch.h"

/* A slice costs what a gallop does. */
static bool gather(
    struct sub *s, struct standing_cursor *c, uint32_t *events, uint32_t *changes)
{
	struct watch_view *v = &s->events->view;
	bool more = true;

	*events = *changes = 0;
	while (more && v->out.n < WATCH_GATHER && v->steps < WATCH_STEPS) {
		more = standing_text_next(v, &s->share->snapshot, c);
		*events += v->changes > 0;
		*changes += v->changes;
	}
	return more;
}

enum step events_standing(struct sub *s, bool *end)
{
	struct events *e = s->events;
	struct standing_cursor next = *s->standing;
	uint32_t events, changes;
	bool more;

	assert(s->share != NULL && s->share->ready);
	*end = false;
	if (s->watch == NULL) {
		watch_view_open_all(&e->view, e->shared);
		e->view.access = s->access;
	}
	more = gather(s, &next, &events, &changes);
	events_looked(e);
	if (s->watch != NULL)
		events_say_unreadable(e, s);
	if (e->view.out.failed)
		return STEP_LATER;
	*s->standing = next;
	if (e->view.out.n > 0)
		return say_gathered(s, &e->view.out, events, changes);
	*end = !more;
	return STEP_MORE;
}
