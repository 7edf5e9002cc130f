/* hook_core.c - the table: slots in the order of names. */
#include "proxy/push/hook_core.h"

#include <event2/event.h>
#include <stdlib.h>
#include <string.h>

static void on_begin(evutil_socket_t fd, short what, void *arg)
{
	struct hook_store *s = arg;

	(void)fd, (void)what;
	s->ops->begin(s);
}

bool hook_core_init(struct hook_store *s, const struct hook_store_ops *ops,
    const struct hook_store_config *c)
{
	s->ops = ops;
	s->config = *c;
	s->config.conf = NULL;
	s->begin = event_new(c->base, -1, 0, on_begin, s);
	if (s->begin == NULL)
		return false;
	event_active(s->begin, EV_TIMEOUT, 0);
	return true;
}

static void slot_free(struct hook_slot *slot)
{
	webhook_unref(slot->w);
	free(slot->raw);
	free(slot->state);
	free(slot);
}

void hook_core_clear(struct hook_store *s)
{
	if (s->begin != NULL)
		event_free(s->begin);
	while (s->n > 0)
		slot_free(s->slot[--s->n]);
}

void hook_core_settle(struct hook_store *s)
{
	if (s->settled)
		return;
	s->settled = true;
	s->config.settled(s->config.arg);
}

/* The table. */

/* Where it is, or would be. */
static size_t place_of(const struct hook_store *s, const char *name, bool *found)
{
	size_t low = 0, high = s->n;

	*found = false;
	while (low < high) {
		size_t middle = (low + high) / 2;
		int order = strcmp(name, s->slot[middle]->w->name);

		if (order == 0) {
			*found = true;
			return middle;
		}
		if (order < 0)
			high = middle;
		else
			low = middle + 1;
	}
	return low;
}

struct hook_slot *hook_core_find(const struct hook_store *s, const char *name)
{
	bool found;
	size_t at = place_of(s, name, &found);

	return found ? s->slot[at] : NULL;
}

static struct hook_slot *add(struct hook_store *s, size_t at)
{
	struct hook_slot *slot = s->n < HOOKS_MAX ? calloc(1, sizeof *slot) : NULL;

	if (slot == NULL)
		return NULL;
	memmove(&s->slot[at + 1], &s->slot[at], (s->n - at) * sizeof s->slot[0]);
	s->slot[at] = slot;
	s->n++;
	return slot;
}

struct hook_slot *hook_core_put(struct hook_store *s, const struct webhook *w)
{
	bool found;
	size_t at = place_of(s, w->name, &found);
	struct hook_slot *slot = found ? s->slot[at] : add(s, at);
	const struct webhook *before;

	if (slot == NULL || slot->w == w)
		return slot;
	before = slot->w;
	slot->w = webhook_ref(w);
	s->config.put(s->config.arg, w, before);
	webhook_unref(before);
	return slot;
}

void hook_core_drop(struct hook_store *s, const char *name)
{
	bool found;
	size_t at = place_of(s, name, &found);
	struct hook_slot *slot;

	if (!found)
		return;
	slot = s->slot[at];
	s->n--;
	memmove(&s->slot[at], &s->slot[at + 1], (s->n - at) * sizeof s->slot[0]);
	s->config.dropped(s->config.arg, slot->w);
	slot_free(slot);
}
