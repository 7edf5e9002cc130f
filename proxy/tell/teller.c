/* teller.c - the log's owner: what holds the parts together, its upkeep, its gauges. */
#include "proxy/tell/teller.h"

#include <assert.h>
#include <event2/event.h>
#include <event2/event_struct.h>
#include <stdlib.h>

#include "proxy/base/calm.h"
#include "proxy/base/clock.h"
#include "proxy/base/timer.h"
#include "proxy/tell/alarm_teller.h"
#include "proxy/tell/batches.h"
#include "proxy/tell/list_changes.h"
#include "proxy/tell/log_writer.h"
#include "proxy/tell/outlet.h"
#include "proxy/tell/singles.h"

#define TRIM_MS 60000 /* events-keep is days; and who waits for memory is looked at */

struct teller {
	struct log_writer writer;
	struct singles *singles;
	struct list_changes *list_changes;
	struct batches *batches;
	struct alarm_teller *alarms; /* NULL: they are not told */
	struct event trim;
	struct calm calm; /* trimming is for good: not by a clock that may be wrong */
	uint64_t seen_written; /* writer.written at the last tick that saw it move */
	int64_t still_since_ms;
};

static void on_trim(evutil_socket_t fd, short what, void *arg)
{
	struct teller *t = arg;
	int64_t keep_ms = shared_conf(t->writer.context->shared)->events_keep_ms, before;

	(void)fd, (void)what;
	before = calm_look(&t->calm, keep_ms / 1000, CALM_MS);
	if (before != INT64_MIN)
		change_log_trim(t->writer.log, before);
	singles_look_again(t->singles);
	list_changes_look_again(t->list_changes);
	batches_look_again(t->batches);
	timer_arm(&t->trim, TRIM_MS);
}

struct teller *teller_new(const struct context *context, struct latches *latches,
    struct latch_file *latch_file, struct change_log *log)
{
	struct teller *t = calloc(1, sizeof *t);

	if (t == NULL)
		return NULL;
	t->writer.context = context;
	t->writer.latches = latches;
	t->writer.latch_file = latch_file;
	t->writer.log = log;
	evtimer_assign(&t->trim, context->base, on_trim, t);
	t->writer.outlet = outlet_new(context->base, log);
	t->singles = singles_new(&t->writer);
	t->list_changes = list_changes_new(&t->writer);
	t->batches = batches_new(&t->writer);
	if (t->writer.outlet == NULL || t->singles == NULL || t->list_changes == NULL ||
	    t->batches == NULL) {
		t->writer.log = NULL;
		teller_free(t);
		return NULL;
	}
	return t;
}

void teller_start(struct teller *t)
{
	t->still_since_ms = clock_mono_ms();
	singles_add_latches(t->singles);
	on_trim(-1, 0, t); /* the first look, which trims nothing */
}

bool teller_alarms(struct teller *t, const char *state_directory)
{
	assert(t->alarms == NULL);
	t->alarms = alarm_teller_new(&t->writer, state_directory);
	return t->alarms != NULL;
}

void teller_cancel(struct teller *t)
{
	if (t->alarms != NULL)
		alarm_teller_cancel(t->alarms);
	list_changes_cancel(t->list_changes);
	batches_cancel(t->batches);
	outlet_cancel(t->writer.outlet);
}

void teller_free(struct teller *t)
{
	if (t == NULL)
		return;
	change_log_close(t->writer.log);
	singles_free(t->singles);
	list_changes_free(t->list_changes);
	batches_free(t->batches);
	alarm_teller_free(t->alarms);
	outlet_free(t->writer.outlet);
	event_del(&t->trim);
	free(t);
}

void teller_single(struct teller *t, const struct single_change *c)
{
	singles_add(t->singles, c);
}

bool teller_list(struct teller *t, const struct list_change *l)
{
	return list_changes_add(t->list_changes, l);
}

void teller_append(void *inbox_arg, struct msg *m)
{
	struct teller_batch *b = (struct teller_batch *)m;

	(void)inbox_arg;
	batches_add(b->teller->batches, b);
}

void teller_scope_ask(void *inbox_arg, struct msg *m)
{
	struct teller_scope *s = (struct teller_scope *)m;

	(void)inbox_arg;
	batches_ask(s->teller->batches, s);
}

void teller_grown(struct teller *t)
{
	outlet_grown(t->writer.outlet);
}

void teller_read(void *inbox_arg, struct msg *m)
{
	struct teller_ask *a = (struct teller_ask *)m;

	(void)inbox_arg;
	outlet_read(a->teller->writer.outlet, a);
}

void teller_listen(
    struct teller *t, struct inbox *inbox, void (*run)(void *inbox_arg, struct msg *m))
{
	assert(inbox != NULL && run != NULL);
	outlet_listen(t->writer.outlet, inbox, run);
}

void teller_grows(struct teller *t, struct order *order, struct inbox *inbox)
{
	outlet_grows(t->writer.outlet, order, inbox);
}

void teller_end(const struct teller *t, struct change_pos *end)
{
	outlet_end(t->writer.outlet, end);
}

void teller_known_from(const struct teller *t, struct change_pos *from)
{
	struct change_log_health h;

	teller_end(t, from);
	change_log_health(t->writer.log, &h);
	if (h.shared && from->epoch != 0 && h.oldest.epoch == from->epoch)
		*from = h.oldest;
}

static uint64_t waiting(const struct teller *t)
{
	return singles_count(t->singles) + list_changes_waiting(t->list_changes) +
	       batches_waiting(t->batches);
}

void teller_tick(struct teller *t)
{
	if (t->alarms != NULL)
		alarm_teller_tick(t->alarms);
	if (waiting(t) > 0 && t->seen_written == t->writer.written)
		return;
	t->seen_written = t->writer.written;
	t->still_since_ms = clock_mono_ms();
}

void teller_health(const struct teller *t, struct teller_health *out)
{
	change_log_health(t->writer.log, &out->log);
	out->waiting = waiting(t);
	out->waiting_ms = out->waiting > 0 ? clock_mono_ms() - t->still_since_ms : 0;
	out->why = t->writer.why;
}

static void gauge(
    struct metrics_text *t, const char *family, const char *help, double value)
{
	metrics_line(t, family, "gauge", help, "", value);
}

void teller_gauges(struct teller *t, struct metrics_text *text)
{
	struct change_log_health h;

	change_log_health(t->writer.log, &h);
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
