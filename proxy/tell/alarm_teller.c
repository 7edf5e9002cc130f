/* alarm_teller.c - rounds: kept on disk, then in the log. */
#include "proxy/tell/alarm_teller.h"

#include <assert.h>
#include <errno.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/queue.h>

#include "proxy/base/alarms_news.h"
#include "proxy/base/clock.h"
#include "proxy/base/json_line.h"
#include "proxy/base/log.h"
#include "proxy/tell/alarm_file.h"

#define APPENDS_MAX 16 /* under way: one fsync or round trip for all of them */

#define ALARM_TELLER_MAGIC 0x616c726du

struct alarm_teller {
	unsigned magic; /* ALARM_TELLER_MAGIC: log and disk hand us void pointers */
	struct log_writer *writer;
	enum { TELLER_IDLE, TELLER_KEEPING, TELLER_TELLING } state;
	struct alarms_news *news; /* of this round; NULL: none */
	size_t begun;             /* of it */
	LIST_HEAD(, alarm_append) appends;
	unsigned appends_n;
	bool failed;   /* one of its appends: no more are begun */
	bool tidy;     /* the disk has no more than what readers have */
	bool not_kept; /* the disk refuses: told once */
	bool going;    /* go() is on the stack */
	bool cancelled;
	struct log_user user;
	int64_t again_ms;     /* monotonic: not before, for the back-off */
	char *folder;         /* state-directory */
	struct json_line out; /* KEEPING: on its way to the disk */
	int error_number;     /* what came of it */
};

struct alarm_append {
	LIST_ENTRY(alarm_append) link;
	struct alarm_teller *all;
	struct change_batch *batch;
	size_t from, n; /* of the round */
};

/* What was not begun is owed again. */
static void end_round(struct alarm_teller *t)
{
	assert(t->appends_n == 0 && t->state != TELLER_IDLE);
	if (t->news != NULL)
		alarms_news_told(t->news, t->begun, t->news->n - t->begun, false);
	free(t->news);
	t->news = NULL;
	t->begun = 0;
	t->failed = false;
	t->state = TELLER_IDLE;
}

static void back_off(struct alarm_teller *t, enum err e)
{
	if (t->failed) /* one of several that were under way */
		return;
	t->failed = true;
	log_writer_failed(t->writer, &t->user, "alarms", e);
	t->again_ms = clock_mono_ms() + log_writer_backoff_ms(t->writer, &t->user);
}

static void append_free(struct alarm_append *a)
{
	LIST_REMOVE(a, link);
	a->all->appends_n--;
	change_batch_unref(a->batch);
	free(a);
}

static void go(struct alarm_teller *t);

static bool has_clears(const struct change_batch *b)
{
	for (size_t n = 0; n < b->n; n++)
		if (b->alarm[n].cleared)
			return true;
	return false;
}

static void on_appended(void *arg, enum err e, const struct change_pos *end)
{
	struct alarm_append *a = arg;
	struct alarm_teller *t = a->all;

	(void)end;
	assert(t->magic == ALARM_TELLER_MAGIC && t->appends_n > 0);
	alarms_news_told(t->news, a->from, a->n, e == ERR_OK);
	if (e == ERR_OK) {
		log_writer_wrote(t->writer, &t->user);
		log_writer_durable(t->writer, a->batch);
		t->tidy &= !has_clears(a->batch);
	} else {
		back_off(t, e);
	}
	append_free(a);
	go(t);
}

/* False: out of memory. */
static bool append(struct alarm_teller *t)
{
	struct alarm_append *a = calloc(1, sizeof *a);

	if (a != NULL)
		a->batch = alarms_news_batch(t->news, t->begun, &a->n);
	if (a == NULL || a->batch == NULL) {
		free(a);
		return false;
	}
	a->all = t;
	a->from = t->begun;
	t->begun += a->n;
	LIST_INSERT_HEAD(&t->appends, a, link);
	t->appends_n++;
	change_log_append(t->writer->log, a->batch, NULL, NULL, NULL, on_appended, a);
	return true;
}

static void go(struct alarm_teller *t)
{
	if (t->going || t->state != TELLER_TELLING)
		return;
	t->going = true;
	while (!t->failed && !t->cancelled && t->begun < t->news->n &&
	       t->appends_n < APPENDS_MAX)
		if (!append(t))
			back_off(t, ERR_NOMEM);
	t->going = false;
	if (t->appends_n == 0)
		end_round(t);
}

/* On the disk thread. */
static void keep_work(void *arg)
{
	struct alarm_teller *t = arg;

	t->error_number = alarm_file_write(t->folder, bytes_of(t->out.p, t->out.n));
}

static void not_kept(struct alarm_teller *t, const char *why)
{
	if (!t->not_kept)
		log_warn("alarms_not_kept", "detail=%s effect=%s", why,
		    "after a restart, alarms that are over may stand for who follows "
		    "events");
	t->not_kept = true;
}

static void on_kept(void *arg)
{
	struct alarm_teller *t = arg;
	char why[PATH_MAX + 128];

	assert(t->magic == ALARM_TELLER_MAGIC && t->state == TELLER_KEEPING);
	snprintf(why, sizeof why, "%s/" ALARM_FILE_NAME ": %s", t->folder,
	    strerror(t->error_number));
	if (t->error_number != 0)
		not_kept(t, why);
	else
		t->not_kept = false;
	free(t->out.p);
	t->out = (struct json_line){0};
	t->tidy = true;
	if (t->news == NULL || t->cancelled) {
		end_round(t);
		return;
	}
	t->state = TELLER_TELLING;
	go(t);
}

/* Without memory for it, as where the disk refuses. */
static void keep(struct alarm_teller *t)
{
	t->state = TELLER_KEEPING;
	alarms_news_known(&t->out);
	if (t->out.failed) {
		t->error_number = ENOMEM;
		on_kept(t);
		return;
	}
	executor_run(t->writer->context->disk, keep_work, on_kept, t);
}

void alarm_teller_tick(struct alarm_teller *t)
{
	alarms_news_tick();
	if (t->cancelled || t->state != TELLER_IDLE || clock_mono_ms() < t->again_ms)
		return;
	t->news = alarms_news_take();
	if (t->news != NULL || !t->tidy)
		keep(t);
}

void alarm_teller_cancel(struct alarm_teller *t)
{
	t->cancelled = true;
}

struct alarm_teller *alarm_teller_new(
    struct log_writer *writer, const char *state_directory)
{
	struct alarm_teller *t = calloc(1, sizeof *t);
	char why[PATH_MAX + 256];

	if (t == NULL || (t->folder = strdup(state_directory)) == NULL) {
		free(t);
		return NULL;
	}
	t->magic = ALARM_TELLER_MAGIC;
	t->writer = writer;
	t->tidy = true;
	alarms_follow();
	if (!alarm_file_read(t->folder, why, sizeof why))
		not_kept(t, why);
	return t;
}

void alarm_teller_free(struct alarm_teller *t)
{
	struct alarm_append *a;

	if (t == NULL)
		return;
	while ((a = LIST_FIRST(&t->appends)) != NULL)
		append_free(a);
	free(t->news);
	free(t->out.p);
	free(t->folder);
	free(t);
}
