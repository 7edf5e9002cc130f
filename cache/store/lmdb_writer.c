/* lmdb_writer.c - opening, and one job at a time. */
#include "cache/store/lmdb_writer.h"

#include <assert.h>
#include <errno.h>
#include <event2/event.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cache/base/lmdb_file.h"

#define DATABASES 3  /* besides LMDB's own list, of each owner */
#define RETRY_MS  50 /* after there was no memory for the next job */

/* What people are told. */

void lmdb_writer_tell(struct lmdb_writer *w, const char *event, const char *format, ...)
{
	char text[768];
	va_list ap;

	if (w->_config.event == NULL)
		return;
	va_start(ap, format);
	vsnprintf(text, sizeof text, format, ap);
	va_end(ap);
	w->_config.event(w->_config.event_arg, true, event, text);
}

const char *lmdb_writer_remedy(const struct lmdb_writer *w, int e)
{
	return lmdb_file_is_damage(e) ? w->_config.remedy : lmdb_file_remedy(e);
}

void lmdb_writer_failed(struct lmdb_writer *w, const char *event, int e)
{
	snprintf(w->error, sizeof w->error, "%s: %s", w->path, mdb_strerror(e));
	w->remedy = lmdb_writer_remedy(w, e);
	lmdb_writer_tell(w, event, "store=lmdb error=\"%s\" file=%s remedy=\"%s\"",
	    mdb_strerror(e), w->path, w->remedy);
}

/* Room. */

static int add_pages(
    const struct lmdb_writer *w, MDB_txn *txn, MDB_dbi dbi, uint64_t *used)
{
	MDB_stat st;
	int e = mdb_stat(txn, dbi, &st);

	if (e == 0)
		*used += (st.ms_branch_pages + st.ms_leaf_pages + st.ms_overflow_pages) *
			 (uint64_t)w->page;
	return e;
}

int lmdb_writer_used(const struct lmdb_writer *w, MDB_txn *txn, const MDB_dbi *dbi,
    size_t dbi_n, uint64_t *used)
{
	int e;

	*used = 0;
	if ((e = add_pages(w, txn, w->_names, used)) == 0)
		e = add_pages(w, txn, w->_meta, used);
	for (size_t i = 0; e == 0 && i < dbi_n; i++)
		e = add_pages(w, txn, dbi[i], used);
	return e;
}

size_t lmdb_writer_step(const struct lmdb_writer *w, size_t max)
{
	size_t n = w->limit / w->page / 64;

	assert(max > 0);
	return n < 1 ? 1 : n < max ? n : max;
}

/* One job at a time. */

bool lmdb_writer_is_busy(const struct lmdb_writer *w)
{
	return w->_job != NULL;
}

static void work(void *arg)
{
	struct lmdb_job *j = arg;

	assert(j->writer != NULL && j->writer->_job == j);
	j->ops->work(j);
}

/* False: the writer was closed. */
static bool end_job(struct lmdb_writer *w, struct lmdb_job *j)
{
	assert(w->_job == j);
	if (!w->_ops->back(w->_owner, j))
		return false;
	w->_job = NULL;
	return true;
}

static void on_worked(void *arg)
{
	struct lmdb_job *j = arg;
	struct lmdb_writer *w = j->writer;

	if (w == NULL) {
		j->ops->drop(j);
		return;
	}
	if (!end_job(w, j))
		return;
	/* Not from here: this may be the last that a stopped executor brings back.
	 * Without a loop there is no such end. */
	if (w->_next != NULL)
		event_active(w->_next, EV_TIMEOUT, 0);
	else
		lmdb_writer_launch(w);
}

void lmdb_writer_launch(struct lmdb_writer *w)
{
	static const struct timeval retry = {0, RETRY_MS * 1000};
	bool alive = true, again = false;
	struct lmdb_job *j;

	assert(w->env != NULL);
	while (
	    alive && w->_job == NULL && (j = w->_ops->take(w->_owner, &again)) != NULL) {
		j->writer = w;
		j->ops = w->_ops;
		w->_job = j;
		if (w->_config.exec.run != NULL) {
			w->_config.exec.run(w->_config.exec.ctx, work, on_worked, j);
			return;
		}
		work(j);
		alive = end_job(w, j);
	}
	/* It goes on gathering; the next write may try, or time. */
	if (alive && again && w->_next != NULL)
		event_add(w->_next, &retry);
}

static void on_next(evutil_socket_t fd, short what, void *arg)
{
	(void)fd, (void)what;
	lmdb_writer_launch(arg);
}

void lmdb_writer_close(struct lmdb_writer *w)
{
	if (w->_job != NULL)
		w->_job->writer = NULL;
	if (w->_next != NULL)
		event_free(w->_next);
	if (w->reader != NULL)
		mdb_txn_abort(w->reader);
	if (w->env != NULL)
		mdb_env_close(w->env);
	free(w->path);
	*w = (struct lmdb_writer){0};
}

/* Opening. */

static int open_databases(struct lmdb_writer *w, bool *same)
{
	MDB_txn *txn;
	int e = mdb_txn_begin(w->env, NULL, 0, &txn);

	if (e != 0)
		return e;
	if ((e = mdb_dbi_open(txn, NULL, 0, &w->_names)) == 0)
		e = lmdb_file_format(txn, w->_names, w->_config.format, &w->_meta, same);
	if (e == 0 && !*same) {
		mdb_txn_abort(txn);
		return 0;
	}
	if (e == 0)
		e = w->_ops->databases(w->_owner, txn, w->_meta);
	return lmdb_file_finish(txn, e);
}

static int open_env(struct lmdb_writer *w, bool *same)
{
	size_t size = w->_config.size, page = (size_t)sysconf(_SC_PAGESIZE);
	unsigned flags = MDB_NOSUBDIR | MDB_NOTLS | w->_config.flags;
	MDB_stat st;
	int e, dead;

	if ((e = mdb_env_create(&w->env)) != 0 ||
	    (e = mdb_env_set_maxdbs(w->env, DATABASES)) != 0 ||
	    (e = mdb_env_set_mapsize(w->env, size / page * page)) != 0 ||
	    (e = mdb_env_open(w->env, w->path, flags, 0600)) != 0 ||
	    (e = mdb_env_stat(w->env, &st)) != 0)
		return e;
	w->page = st.ms_psize;
	w->limit = size / 8 * 7;
	if ((e = lmdb_file_mend(w->env, w->page)) != 0 ||
	    (e = mdb_reader_check(w->env, &dead)) != 0 ||
	    (e = open_databases(w, same)) != 0 || !*same ||
	    (e = w->_ops->opened(w->_owner)) != 0)
		return e;
	e = mdb_txn_begin(w->env, NULL, MDB_RDONLY, &w->reader);
	if (e == 0)
		mdb_txn_reset(w->reader);
	return e;
}

static bool show_damage(struct lmdb_writer *w, const char *cause, char *why, size_t why_n)
{
	if (w->env != NULL)
		mdb_env_close(w->env);
	w->env = NULL;
	return w->_ops->damaged(w->_owner, cause, why, why_n);
}

/* Look at the file before LMDB does, and make it where there is none. */
static enum err prepare(struct lmdb_writer *w, char *why, size_t why_n)
{
	char cause[LMDB_FILE_WHY];
	enum lmdb_file_is is = lmdb_file_look(w->path, cause);
	int e = 0;

	if (is == LMDB_UNUSABLE) {
		snprintf(why, why_n, "%s: %s", w->path, cause);
		return ERR_STORE;
	}
	if (is == LMDB_DAMAGED && !show_damage(w, cause, why, why_n))
		return ERR_STORE;
	if (is != LMDB_LOOKS_WELL)
		e = lmdb_file_make(w->path);
	if (e != 0)
		lmdb_file_why(why, why_n, w->path, e);
	return e == 0 ? ERR_OK : ERR_STORE;
}

static enum err open_file(struct lmdb_writer *w, char *why, size_t why_n)
{
	bool same = true;
	int e;

	if (prepare(w, why, why_n) != ERR_OK)
		return ERR_STORE;
	e = open_env(w, &same);
	if (e != 0 && lmdb_file_is_damage(e)) {
		if (!show_damage(w, lmdb_file_text(e), why, why_n) ||
		    prepare(w, why, why_n) != ERR_OK)
			return ERR_STORE;
		e = open_env(w, &same);
	}
	if (e != 0)
		lmdb_file_why(why, why_n, w->path, e);
	else if (!same)
		snprintf(why, why_n,
		    "%s: written by another version of ocspcached (this one reads "
		    "\"%s\"); %s",
		    w->path, w->_config.format, w->_config.remedy);
	return e == 0 && same ? ERR_OK : ERR_STORE;
}

static enum err make_path(
    struct lmdb_writer *w, const char *dir, const char *name, char *why, size_t why_n)
{
	char path[4096];
	size_t room = sizeof path - strlen(name) - 2;
	int e;

	if (dir[0] == '\0' || (size_t)snprintf(path, sizeof path, "%s", dir) >= room) {
		snprintf(why, why_n, "lmdb: needs a directory (lmdb:/path)");
		return ERR_STORE;
	}
	if ((e = lmdb_file_directories(path)) != 0) {
		lmdb_file_why(why, why_n, dir, e);
		return ERR_STORE;
	}
	strcat(strcat(path, "/"), name);
	w->path = strdup(path);
	return w->path != NULL ? ERR_OK : ERR_NOMEM;
}

enum err lmdb_writer_open(struct lmdb_writer *w, const struct lmdb_writer_config *c,
    const struct lmdb_writer_ops *ops, void *owner, char *why, size_t why_n)
{
	enum err e = ERR_OK;

	*w = (struct lmdb_writer){
	    .remedy = "", ._ops = ops, ._owner = owner, ._config = *c};
	if (c->base != NULL && (w->_next = event_new(c->base, -1, 0, on_next, w)) == NULL)
		e = ERR_NOMEM;
	if (e == ERR_OK)
		e = make_path(w, c->dir, c->name, why, why_n);
	if (e == ERR_NOMEM)
		snprintf(why, why_n, "%s", err_text(e));
	if (e == ERR_OK)
		e = open_file(w, why, why_n);
	w->_config.dir = w->_config.name = w->_config.format = NULL;
	return e;
}
