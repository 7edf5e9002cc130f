/* ari_enrol.c - which lists were walked, and the place in the one that is. */
#include "proxy/watch/ari_enrol.h"

#include <event2/event.h>
#include <stdlib.h>

#include "cache/watch/inventory.h"
#include "proxy/base/clock.h"
#include "proxy/base/log.h"
#include "proxy/base/timer.h"

#define SLICE 1000 /* rows of one commit: a few milliseconds */

struct walked {
	uint32_t generation, version; /* name a list's content */
};

struct ari_enrol {
	struct ari_core *core;
	bool (*asked)(void *arg, const char *issuer);
	void (*enrolled)(void *arg);
	void *arg;
	struct event *timer;
	struct walked *walked;
	size_t walked_n;
	const struct watch_list *list; /* being walked, a reference; or NULL */
	size_t range, entry;
	struct ari_row row[SLICE];
};

static void on_timer(evutil_socket_t fd, short what, void *arg);

struct ari_enrol *ari_enrol_new(struct ari_core *core,
    bool (*asked)(void *arg, const char *issuer), void (*enrolled)(void *arg), void *arg)
{
	struct ari_enrol *e = calloc(1, sizeof *e);

	if (e == NULL)
		return NULL;
	e->core = core;
	e->asked = asked;
	e->enrolled = enrolled;
	e->arg = arg;
	e->timer = evtimer_new(core->base, on_timer, e);
	if (e->timer == NULL) {
		ari_enrol_free(e);
		return NULL;
	}
	return e;
}

void ari_enrol_free(struct ari_enrol *e)
{
	if (e == NULL)
		return;
	watch_list_unref(e->list);
	if (e->timer != NULL)
		event_free(e->timer);
	free(e->walked);
	free(e);
}

/* Which lists were walked. */

static bool was_walked(const struct ari_enrol *e, const struct watch_list *l)
{
	for (size_t i = 0; i < e->walked_n; i++)
		if (e->walked[i].generation == l->generation &&
		    e->walked[i].version == l->version)
			return true;
	return false;
}

/* Those that are in force no more are left out.  False: out of memory. */
static bool note_walked(
    struct ari_enrol *e, const struct inventory *v, const struct watch_list *l)
{
	struct walked *new = malloc((v->n + 1) * sizeof *new);
	size_t n = 0;

	if (new == NULL)
		return false;
	for (size_t i = 0; i < v->n; i++)
		if (was_walked(e, v->list[i]))
			new[n++] =
			    (struct walked){v->list[i]->generation, v->list[i]->version};
	new[n++] = (struct walked){l->generation, l->version};
	free(e->walked);
	e->walked = new;
	e->walked_n = n;
	return true;
}

static const struct watch_list *next_list(
    const struct ari_enrol *e, const struct inventory *v)
{
	for (size_t i = 0; i < v->n; i++)
		if (!was_walked(e, v->list[i]))
			return watch_list_ref(v->list[i]);
	return NULL;
}

/* The walk. */

/* Rows of entries whose CA is asked, up to a slice; returns how many. */
static size_t take_slice(struct ari_enrol *e, const struct inventory *v,
    const struct ari_state *fresh, int64_t now)
{
	size_t n = 0;

	for (; e->range < e->list->ranges_n; e->range++, e->entry = 0) {
		const struct watch_range *r = &e->list->ranges[e->range];
		const struct watch_ca *ca = watch_cas_at(v->cas, r->ca);

		if (ca == NULL || ca->aki_n == 0 || ca->issuer[0] == '\0' ||
		    !e->asked(e->arg, ca->issuer))
			continue;
		for (; e->entry < r->n; e->entry++) {
			const struct watched *w = &e->list->entries[r->first + e->entry];
			int64_t end = watched_not_after(w);

			if (n == SLICE)
				return n;
			if (end != WATCH_TIME_NONE && end <= now)
				continue;
			e->row[n] = (struct ari_row){.state = fresh, .if_new = true};
			e->row[n].who.aki_n = ca->aki_n;
			memcpy(e->row[n].who.aki, ca->aki, ca->aki_n);
			watched_serial(w, &e->row[n++].who.serial);
		}
	}
	return n;
}

/* False: nothing is left to walk, or it failed and is tried again with the next look. */
static bool slice(struct ari_enrol *e)
{
	const struct inventory *v = shared_inventory(e->core->shared);
	int64_t now = clock_now();
	struct ari_state fresh = {.next_at = now};
	enum err err = ERR_OK;
	size_t n;

	if (e->list == NULL) {
		e->range = e->entry = 0;
		if ((e->list = next_list(e, v)) == NULL)
			return false;
	}
	n = take_slice(e, v, &fresh, now);
	if (n > 0)
		err = ari_db_put(e->core->db, e->row, n);
	ari_tell_db(e->core, err);
	if (err == ERR_OK && e->range < e->list->ranges_n)
		return true;
	if (err == ERR_OK && !note_walked(e, v, e->list))
		err = ERR_NOMEM;
	watch_list_unref(e->list);
	e->list = NULL;
	e->enrolled(e->arg);
	return err == ERR_OK;
}

static void on_timer(evutil_socket_t fd, short what, void *arg)
{
	struct ari_enrol *e = arg;

	(void)fd, (void)what;
	if (!e->core->stopping && slice(e) && !timer_arm(e->timer, 1))
		log_error("ari_late", "err=%s", err_label(ERR_NOMEM));
}

void ari_enrol_look(struct ari_enrol *e, bool again)
{
	if (again) {
		e->walked_n = 0;
		watch_list_unref(e->list);
		e->list = NULL;
	}
	on_timer(-1, 0, e);
}
