/* teller.c - the log's owner: what holds the parts together, its upkeep, its gauges. */
#include "proxy/tell/teller.h"

#include "proxy/base/calm.h"
#include "proxy/base/clock.h"
#include "proxy/base/timer.h"
#include "proxy/tell/list_changes.h"
#include "proxy/tell/log_writer.h"
#include "proxy/tell/outlet.h"
#include "proxy/tell/singles.h"

#include <event2/event.h>
#include <event2/event_struct.h>
#include <stdlib.h>

#define TRIM_MS 60000 /* events-keep is days; and who waits for memory is looked at */

struct telling {
	struct telling_core core;
	struct singles *singles;
	struct lists *lists;
	struct event trim;
	struct calm calm; /* trimming is for good: not by a clock that may be wrong */
	uint64_t seen_written; /* core.written at the last tick that saw it move */
	int64_t still_since_ms;
};

static void on_trim(evutil_socket_t fd, short what, void *arg)
{
	struct telling *t = arg;
	int64_t keep_ms = shared_conf(t->core.context->shared)->events_keep_ms, before;

	(void)fd, (void)what;
	before = calm_look(&t->calm, keep_ms / 1000, CALM_MS);
	if (before != INT64_MIN)
		change_log_trim(t->core.log, before);
	singles_look_again(t->singles);
	lists_look_again(t->lists);
	timer_arm(&t->trim, TRIM_MS);
}

struct telling *telling_new(const struct context *context, struct latches *latches,
    struct latch_file *latch_file, struct change_log *log)
{
	struct telling *t = calloc(1, sizeof *t);

	if (t == NULL)
		return NULL;
	t->core.context = context;
	t->core.latches = latches;
	t->core.latch_file = latch_file;
	t->core.log = log;
	evtimer_assign(&t->trim, context->base, on_trim, t);
	t->core.outlet = outlet_new(context->base, log);
	t->singles = singles_new(&t->core);
	t->lists = lists_new(&t->core);
	if (t->core.outlet == NULL || t->singles == NULL || t->lists == NULL) {
		t->core.log = NULL;
		telling_free(t);
		return NULL;
	}
	return t;
}

void telling_start(struct telling *t)
{
	t->still_since_ms = clock_mono_ms();
	singles_add_latches(t->singles);
	on_trim(-1, 0, t); /* the first look, which trims nothing */
}

void telling_cancel(struct telling *t)
{
	lists_cancel(t->lists);
	outlet_cancel(t->core.outlet);
}

void telling_free(struct telling *t)
{
	if (t == NULL)
		return;
	change_log_close(t->core.log);
	singles_free(t->singles);
	lists_free(t->lists);
	outlet_free(t->core.outlet);
	event_del(&t->trim);
	free(t);
}

void telling_single(struct telling *t, const struct single_change *c)
{
	singles_add(t->singles, c);
}

void telling_list(struct telling *t, const struct list_change *l)
{
	lists_add(t->lists, l);
}

void telling_grown(struct telling *t)
{
	outlet_grown(t->core.outlet);
}

void telling_read(void *inbox_arg, struct msg *m)
{
	struct telling_ask *a = (struct telling_ask *)m;

	(void)inbox_arg;
	outlet_read(a->telling->core.outlet, a);
}

void telling_listen(
    struct telling *t, struct inbox *inbox, void (*run)(void *inbox_arg, struct msg *m))
{
	outlet_listen(t->core.outlet, inbox, run);
}

void telling_end(const struct telling *t, struct change_pos *end)
{
	outlet_end(t->core.outlet, end);
}

void telling_known_from(const struct telling *t, struct change_pos *from)
{
	struct change_log_health h;

	telling_end(t, from);
	change_log_health(t->core.log, &h);
	if (h.shared && from->epoch != 0 && h.oldest.epoch == from->epoch)
		*from = h.oldest;
}

static uint64_t waiting(const struct telling *t)
{
	return singles_count(t->singles) + lists_waiting(t->lists);
}

void telling_tick(struct telling *t)
{
	if (waiting(t) > 0 && t->seen_written == t->core.written)
		return;
	t->seen_written = t->core.written;
	t->still_since_ms = clock_mono_ms();
}

void telling_health(const struct telling *t, struct telling_health *out)
{
	change_log_health(t->core.log, &out->log);
	out->waiting = waiting(t);
	out->waiting_ms = out->waiting > 0 ? clock_mono_ms() - t->still_since_ms : 0;
	out->why = t->core.why;
}

static void gauge(
    struct metrics_text *t, const char *family, const char *help, double value)
{
	metrics_line(t, family, "gauge", help, "", value);
}

void telling_gauges(struct telling *t, struct metrics_text *text)
{
	struct change_log_health h;

	change_log_health(t->core.log, &h);
	gauge(text, "changes_waiting",
	    "Changes that are not in the change log yet; a gap counts as one.",
	    (double)waiting(t));
	gauge(text, "events_log_up", "1 while the change log can be written and read.",
	    h.up);
	gauge(text, "events_log_damaged",
	    "1 while a record of the change log cannot be read.", h.damage[0] != '\0');
	gauge(text, "events_log_bytes", "Size of the change log, where it is known.",
	    (double)h.bytes);
}
