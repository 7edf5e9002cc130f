/* log_writer.c - failures are told once for all who write, and again for who cannot for
 * long. */
#include "proxy/tell/log_writer.h"

#include <assert.h>
#include <limits.h>
#include <stdlib.h>

#include "cache/base/backoff.h"
#include "proxy/base/alarms.h"
#include "proxy/base/clock.h"
#include "proxy/base/log.h"
#include "proxy/tell/outlet.h"

/* Half a minute of failures is no failover any more, and then one in five minutes: as
 * TELLER_BACKOFF_LAST_MS has it. */
static bool is_to_be_told(unsigned failures)
{
	return failures == 12 || failures % 80 == 0;
}

static void tell_held_back(const struct log_writer *w, enum err e)
{
	struct change_log_health h;

	change_log_health(w->log, &h);
	log_each(LOG_WARN, "changes_held_back", "err=%s error=%s remedy=%s effect=%s",
	    err_label(e), h.error, h.remedy, "told when the log can be written again");
	alarm_raise(
	    ALARM_LOG_DOWN, "", "changes", h.error[0] != '\0' ? h.error : err_text(e));
}

void log_writer_failed(
    struct log_writer *w, struct log_user *u, const char *who, enum err e)
{
	w->why = e;
	if (u->failures++ == 0 && w->failing++ == 0)
		tell_held_back(w, e);
	if (is_to_be_told(u->failures))
		log_each(LOG_ERROR, "changes_not_told",
		    "of=%s err=%s failures=%u remedy=%s", who, err_label(e), u->failures,
		    "see what the store says; its events are in the log before this");
}

void log_writer_wrote(struct log_writer *w, struct log_user *u)
{
	w->why = ERR_OK;
	w->written++;
	if (u->failures > 0 && w->failing == 1)
		log_each(LOG_INFO, "changes_flow_again", "log=up");
	log_writer_ended(w, u);
}

void log_writer_ended(struct log_writer *w, struct log_user *u)
{
	assert(u->failures == 0 || w->failing > 0);
	w->failing -= u->failures > 0;
	u->failures = 0;
	if (w->failing == 0)
		alarm_clear(ALARM_LOG_DOWN, "", "changes");
}

int64_t log_writer_backoff_ms(struct log_writer *w, const struct log_user *u)
{
	static const struct backoff b = {
	    TELLER_BACKOFF_FIRST_MS, TELLER_BACKOFF_LAST_MS, INT_MAX};
	int failures = u->failures < INT_MAX ? (int)u->failures : INT_MAX;
	int64_t ms = backoff_step_ms(&b, failures);

	assert(failures > 0);
	return ms / 2 + ms / 2 * (int64_t)schedule_random(w->context->schedule) / 65536;
}

static enum metric written(const struct change_batch *b)
{
	if (b->kind == CHANGE_NOTICES)
		return b->source == CHANGE_ARI ? M_NOTICES_ARI : M_NOTICES_INCIDENT;
	if (b->kind == CHANGE_ALARMS)
		return M_ALARMS_WRITTEN;
	return b->evidence == CHANGE_CRL ? M_CHANGES_CRL : M_CHANGES_OCSP;
}

void log_writer_durable(struct log_writer *w, struct change_batch *b)
{
	if (b->seq == 0 || b->n == 0)
		return;
	metrics_add(w->context->counters, written(b), b->n);
	if (change_batch_is_changes(b))
		metrics_observe_us(w->context->counters, H_SEEN_DURABLE,
		    (clock_now_ms() - b->seen_at_ms) * 1000);
	outlet_appended(w->outlet, b);
}

/* On the disk thread; needs nothing that teller_free() frees. */
struct told_job {
	struct latch_file *file;
	struct latch *latch;
	size_t n;
	enum err e;
};

static void told_write(void *arg)
{
	struct told_job *j = arg;

	j->e = latch_file_told(j->file, j->latch, j->n);
}

/* A mark that stays is a change told twice, at the next start. */
static void told_written(void *arg)
{
	struct told_job *j = arg;
	char why[PATH_MAX + 128];

	if (j->e != ERR_OK) {
		latch_file_why(j->file, why, sizeof why);
		log_warn("latch_not_durable", "err=%s detail=%s effect=%s",
		    err_label(j->e), why, "its change is told again at the next start");
	}
	free(j->latch);
	free(j);
}

void log_writer_latches_told(struct log_writer *w, struct latch *l, size_t n)
{
	struct told_job *j = n > 0 ? malloc(sizeof *j) : NULL;

	if (j == NULL) {
		free(l);
		return;
	}
	*j = (struct told_job){w->latch_file, l, n, ERR_OK};
	executor_run(w->context->disk, told_write, told_written, j);
}
