/* follow.c - reload, round, jobs, and again. */
#include "proxy/watch/follow.h"

#include <assert.h>
#include <errno.h>
#include <event2/event.h>
#include <stdlib.h>
#include <sys/inotify.h>
#include <unistd.h>

#include "cache/watch/watch_draft.h"
#include "proxy/base/clock.h"
#include "proxy/base/executor.h"
#include "proxy/base/log.h"
#include "proxy/base/timer.h"
#include "proxy/watch/known.h"
#include "proxy/watch/share.h"
#include "proxy/watch/watch_files.h"

#define NICENESS 10
#define EVENTS                                                                           \
	(IN_CREATE | IN_MOVED_TO | IN_MOVED_FROM | IN_DELETE | IN_CLOSE_WRITE |          \
	    IN_ATTRIB | IN_DELETE_SELF | IN_MOVE_SELF | IN_ONLYDIR)

struct follow_list {
	struct follow *follow;
	struct watch_files *files;
	bool dirty; /* what was read has not come into force */
	struct watch_draft *draft;
	struct ledger_job job;
};

struct follow {
	struct watch_context *context;
	struct executor *thread;
	int inotify;
	struct event *told, *timer;
	struct follow_list *list;
	size_t n;
	_Atomic bool stopping;
	_Atomic size_t files, unreadable; /* as of the last round */
	bool busy;                        /* a round or its jobs are under way */
	bool woken;                       /* something has changed since it began */
	bool reload;
	bool put_again; /* all lists */
	size_t jobs;
	/* Of the round; the thread's while it lasts. */
	struct known *known;
	bool anew;
	size_t max;
	int64_t again;
};

struct dropping {
	struct ledger_job job; /* first */
	struct follow *follow;
};

static void go_on(struct follow *f);

/* The round, on the thread. */

static void on_folder(void *arg, const char *path)
{
	struct follow *f = arg;

	if (f->inotify >= 0 && inotify_add_watch(f->inotify, path, EVENTS) < 0 &&
	    errno != ENOENT && errno != ENOTDIR && errno != EACCES)
		log_warn("watch_folder_failed", "path=%s why=%s remedy=%s", path,
		    strerror(errno),
		    "changes in it are seen within a minute: raise "
		    "fs.inotify.max_user_watches");
}

static void look_at(struct follow *f, struct follow_list *l, struct watch_round *r)
{
	enum err e = watch_files_round(l->files, r);

	l->dirty = l->dirty || r->changed;
	if (e == ERR_OK && l->dirty)
		e = watch_files_draft(
		    l->files, ledger_dir(f->context->ledger), &l->draft);
	if (e != ERR_OK && e != ERR_CANCELLED)
		log_error("watchlist_files_failed", "watchlist=%s err=%s remedy=%s",
		    watch_files_name(l->files), err_label(e),
		    "the list is as it was; tried again within a minute");
}

static void round_work(void *arg)
{
	struct follow *f = arg;
	struct watch_round r = {.known = f->known,
	    .anew = f->anew,
	    .now = clock_mono_ms(),
	    .room = f->max,
	    .folder = on_folder,
	    .arg = f,
	    .stop = &f->stopping};
	size_t files = 0, unreadable = 0;

	f->again = INT64_MAX;
	for (size_t i = 0; i < f->n && !atomic_load(&f->stopping); i++) {
		look_at(f, &f->list[i], &r);
		files += r.files;
		unreadable += r.unreadable;
		r.room -= r.files;
		f->again = r.again < f->again ? r.again : f->again;
	}
	atomic_store(&f->files, files);
	atomic_store(&f->unreadable, unreadable);
}

/* Jobs. */

static void job_over(struct follow *f)
{
	assert(f->jobs > 0 && f->context->away > 0);
	f->jobs--;
	f->context->away--;
	if (f->jobs == 0)
		go_on(f);
}

static void tell(const struct ledger_job *j)
{
	if (j->foreign)
		log_error("watchlist_conflict", "watchlist=%s remedy=%s", j->name,
		    "a list of the API has this name and stays: delete it, or call the "
		    "section otherwise");
	else if (j->error == ERR_OK && j->what == LEDGER_DROP)
		log_each(
		    LOG_INFO, "watchlist_deleted", "watchlist=%s source=files", j->name);
	else if (j->error == ERR_OK)
		log_each(LOG_INFO, "watchlist_changed",
		    "watchlist=%s source=files certificates=%zu new=%s", j->name,
		    j->certificates, j->added ? "true" : "false");
	else if (j->error != ERR_CANCELLED)
		log_error("watchlist_files_failed", "watchlist=%s err=%s remedy=%s",
		    j->name, err_label(j->error),
		    "the list is as it was; tried again within a minute, one that is to "
		    "go with the next reload");
}

static void on_put(void *arg, struct ledger_job *j)
{
	struct follow_list *l = arg;

	l->dirty = j->foreign || j->error != ERR_OK || j->alone;
	tell(j);
	job_over(l->follow);
}

static void put(struct follow *f, struct follow_list *l)
{
	const struct watch_list *old = inventory_list(
	    ledger_inventory(f->context->shared), watch_files_name(l->files));
	bool add = old != NULL && watch_files_adds(l->files);

	l->job = (struct ledger_job){.what = add ? LEDGER_ADD : LEDGER_PUT,
	    .source = WATCH_FILES,
	    .draft = l->draft,
	    .done = on_put,
	    .arg = l};
	strcpy(l->job.name, watch_files_name(l->files));
	l->draft = NULL;
	f->jobs++;
	f->context->away++;
	share_change(f->context, &l->job);
}

static void on_dropped(void *arg, struct ledger_job *j)
{
	struct dropping *d = arg;
	struct follow *f = d->follow;

	tell(j);
	free(d);
	job_over(f);
}

static void drop(struct follow *f, const char *name)
{
	struct dropping *d = calloc(1, sizeof *d);

	if (d == NULL) {
		log_error("watchlist_files_failed", "watchlist=%s err=%s", name,
		    err_label(ERR_NOMEM));
		return;
	}
	d->follow = f;
	d->job = (struct ledger_job){
	    .what = LEDGER_DROP, .source = WATCH_FILES, .done = on_dropped, .arg = d};
	strcpy(d->job.name, name);
	f->jobs++;
	f->context->away++;
	ledger_do(f->context->ledger, &d->job);
}

/* The configuration. */

/* Those of before, or new ones; NULL: out of memory. */
static struct watch_files *take_files(
    struct follow *f, const struct conf_watchlist *c, bool *dirty)
{
	for (size_t i = 0; i < f->n; i++) {
		struct watch_files *files = f->list[i].files;

		if (files == NULL || strcmp(watch_files_name(files), c->name) != 0)
			continue;
		if (!watch_files_configure(files, c))
			return NULL;
		f->list[i].files = NULL;
		*dirty = f->list[i].dirty;
		return files;
	}
	return watch_files_new(c);
}

static void lists_free(struct follow_list *list, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		watch_files_free(list[i].files);
		watch_draft_free(list[i].draft);
	}
	free(list);
}

/* A list that there is no memory for stays as it is in the inventory. */
static void take_sections(struct follow *f, const struct conf *c)
{
	struct follow_list *list = calloc(c->watchlist_n + 1, sizeof *list);
	size_t n = 0;

	for (size_t i = 0; list != NULL && i < c->watchlist_n; i++) {
		list[n].follow = f;
		list[n].files = take_files(f, &c->watchlist[i], &list[n].dirty);
		n += list[n].files != NULL;
	}
	if (list == NULL || n < c->watchlist_n)
		log_error("watchlist_files_failed", "err=%s remedy=%s",
		    err_label(ERR_NOMEM), "reload again");
	if (list == NULL)
		return;
	lists_free(f->list, f->n);
	f->list = list;
	f->n = n;
}

static void drop_others(struct follow *f, const struct conf *c)
{
	const struct inventory *v = ledger_inventory(f->context->shared);

	for (size_t i = 0; i < v->n; i++)
		if (v->list[i]->source == WATCH_FILES &&
		    conf_watchlist_named(c, v->list[i]->name) == NULL)
			drop(f, v->list[i]->name);
}

/* Folders that no section names any more are forgotten with the descriptor. */
static void open_inotify(struct follow *f)
{
	if (f->told != NULL)
		event_del(f->told);
	if (f->inotify >= 0)
		close(f->inotify);
	f->inotify = f->n > 0 ? inotify_init1(IN_NONBLOCK | IN_CLOEXEC) : -1;
	if (f->n > 0 && f->inotify < 0)
		log_warn("watch_folder_failed", "why=%s remedy=%s", strerror(errno),
		    "changes are seen within a minute: raise "
		    "fs.inotify.max_user_instances");
}

static void take_conf(struct follow *f)
{
	const struct conf *c = shared_conf(f->context->shared);

	f->reload = false;
	f->anew = true;
	f->max = (size_t)c->watch_max_files;
	take_sections(f, c);
	if (f->n > 0 && strncmp(c->store, "redis", 5) == 0 && f->context->share == NULL)
		log_warn("watchlists_of_this_node", "watchlists=%zu why=%s", f->n,
		    "without store-key-file lists from files are this node's alone: "
		    "other "
		    "nodes of the store do not have them");
	if (f->context->share == NULL) /* else it looks at what is left of them */
		drop_others(f, c);
	open_inotify(f);
}

/* The cycle. */

static void on_told(evutil_socket_t fd, short what, void *arg)
{
	struct follow *f = arg;
	char events[16384];

	(void)what;
	while (read(fd, events, sizeof events) > 0)
		continue;
	if (!f->woken && !f->busy)
		timer_arm(f->timer, FOLLOW_DELAY_MS);
	f->woken = true;
}

static void listen_to(struct follow *f)
{
	if (f->told != NULL)
		event_free(f->told);
	f->told = NULL;
	if (f->inotify < 0)
		return;
	f->told =
	    event_new(f->context->base, f->inotify, EV_READ | EV_PERSIST, on_told, f);
	if (f->told == NULL || event_add(f->told, NULL) != 0)
		log_warn("watch_folder_failed", "why=%s", err_text(ERR_NOMEM));
}

static void round_done(void *arg)
{
	struct follow *f = arg;

	f->context->away--;
	f->anew = false;
	known_unref(f->known);
	f->known = NULL;
	f->jobs = 1; /* ours: nothing goes on before all are begun */
	f->context->away++;
	for (size_t i = 0; i < f->n && !atomic_load(&f->stopping); i++)
		if (f->list[i].draft != NULL)
			put(f, &f->list[i]);
	job_over(f);
}

static void begin_round(struct follow *f)
{
	f->busy = true;
	f->woken = false;
	for (size_t i = 0; i < f->n && f->put_again; i++)
		f->list[i].dirty = true;
	f->put_again = false;
	f->known = known_ref(f->context->known);
	f->context->away++;
	executor_run(f->thread, round_work, round_done, f);
}

/* A round and its jobs are over. */
static void go_on(struct follow *f)
{
	int64_t wait = FOLLOW_SWEEP_MS, now = clock_mono_ms();

	f->busy = false;
	if (atomic_load(&f->stopping))
		return;
	if (f->again != INT64_MAX && f->again - now < wait)
		wait = f->again - now;
	if (f->woken)
		wait = FOLLOW_DELAY_MS;
	if (f->reload || f->anew)
		wait = 0;
	if (wait == 0 || f->n > 0)
		timer_arm(f->timer, wait > 0 ? wait : 0);
}

static void on_timer(evutil_socket_t fd, short what, void *arg)
{
	struct follow *f = arg;

	(void)fd, (void)what;
	if (f->busy || atomic_load(&f->stopping))
		return;
	if (!f->reload) {
		begin_round(f);
		return;
	}
	f->busy = true;
	f->jobs = 1;
	f->context->away++;
	take_conf(f);
	listen_to(f);
	f->again = INT64_MAX;
	job_over(f);
}

void follow_again(struct follow *f)
{
	f->put_again = true;
	if (!f->woken && !f->busy)
		timer_arm(f->timer, FOLLOW_DELAY_MS);
	f->woken = true;
}

void follow_reload(struct follow *f)
{
	f->reload = true;
	if (!f->busy)
		timer_arm(f->timer, 0);
}

/* Life. */

struct follow *follow_new(struct watch_context *context)
{
	struct follow *f = calloc(1, sizeof *f);

	if (f == NULL)
		return NULL;
	f->context = context;
	f->inotify = -1;
	f->again = INT64_MAX;
	f->timer = evtimer_new(context->base, on_timer, f);
	f->thread = executor_start(context->inbox, "files", NICENESS);
	if (f->timer == NULL || f->thread == NULL) {
		follow_stop(f);
		follow_free(f);
		return NULL;
	}
	return f;
}

void follow_cancel(struct follow *f)
{
	atomic_store(&f->stopping, true);
	event_del(f->timer);
}

void follow_stop(struct follow *f)
{
	if (f == NULL)
		return;
	atomic_store(&f->stopping, true);
	executor_stop(f->thread);
}

void follow_free(struct follow *f)
{
	if (f == NULL)
		return;
	executor_free(f->thread);
	lists_free(f->list, f->n);
	if (f->told != NULL)
		event_free(f->told);
	if (f->timer != NULL)
		event_free(f->timer);
	if (f->inotify >= 0)
		close(f->inotify);
	known_unref(f->known);
	free(f);
}

void follow_gauges(const struct follow *f, struct metrics_text *t)
{
	metrics_line(t, "watchlist_files", "gauge",
	    "Files that watchlists of the configuration are read from.", "",
	    (double)atomic_load(&f->files));
	metrics_line(t, "watchlist_unreadable", "gauge",
	    "Of these, files that cannot be read, and keep their last certificates.", "",
	    (double)atomic_load(&f->unreadable));
}
