/* hook_file.c - webhooks in one file: DIR/hooks.mdb, three databases.
 *   "meta"    "format" -> "ocspcached webhooks 1"
 *   "hooks"   name -> webhook_encode()
 *   "states"  name -> webhook_state_encode()
 * Secrets stand there as they are: the file is of mode 0600, as the configuration is that
 * has the key of the MAC.
 *
 * Written by group commit (lmdb_writer.h), with full sync: of a thousand deliveries that
 * end together a few transactions are made.  The file is bounded by HOOKS_MAX, and its
 * map has twice the room for that, so that it is never full.
 *
 * There is one node, and its leases are its own.
 */
#include <assert.h>
#include <errno.h>
#include <openssl/crypto.h>
#include <stdio.h>
#include <stdlib.h>

#include "cache/base/lmdb_file.h"
#include "cache/base/name.h"
#include "cache/store/lmdb_writer.h"
#include "proxy/base/store_event.h"
#include "proxy/push/hook_core.h"

#define FORMAT "ocspcached webhooks 1"
/* HOOKS_MAX of the largest, pages of their own each, and the same again for what is being
 * changed. */
#define FILE_SIZE ((size_t)256 << 20)
#define REMEDY                                                                           \
	"move it away while ocspcached is stopped, and put the webhooks again, or "      \
	"restore it from a copy"

enum item_what { ITEM_PUT, ITEM_DROP, ITEM_SAVE };

struct hook_item {
	struct hook_item *next;
	enum item_what what;
	const struct webhook *w; /* PUT, DROP: a reference */
	char name[WEBHOOK_NAME_MAX];
	hook_done_fn *done;
	void *arg;
	enum err error; /* the outcome */
	size_t n;
	uint8_t value[]; /* PUT, SAVE */
};

struct hook_job {
	struct lmdb_job job; /* first */
	struct hook_file *file;
	struct hook_item *items;
	int failure;
};

struct hook_file {
	struct hook_store store; /* first */
	struct lmdb_writer writer;
	MDB_dbi hooks, states;
	struct hook_item *first, **last;
	struct hook_job *job; /* under way */
	bool failed;          /* the last write did */
};

static const struct hook_store_ops file_ops;

static struct hook_file *of(struct hook_store *s)
{
	assert(s->ops == &file_ops);
	return (struct hook_file *)s;
}

static MDB_val val_of(const void *p, size_t n)
{
	return (MDB_val){n, (void *)(uintptr_t)p};
}

static void item_free(struct hook_item *i)
{
	webhook_unref(i->w);
	OPENSSL_cleanse(i->value, i->n);
	free(i);
}

/* Writing; the executor's thread. */

static int remove_key(MDB_txn *txn, MDB_dbi dbi, MDB_val *k)
{
	int e = mdb_del(txn, dbi, k, NULL);

	return e == MDB_NOTFOUND ? 0 : e;
}

static int apply(const struct hook_file *f, MDB_txn *txn, struct hook_item *i)
{
	MDB_val k = val_of(i->name, strlen(i->name)), v = val_of(i->value, i->n), held;
	int e;

	switch (i->what) {
	case ITEM_PUT:
		return mdb_put(txn, f->hooks, &k, &v, 0);
	case ITEM_DROP:
		e = remove_key(txn, f->states, &k);
		return e == 0 ? remove_key(txn, f->hooks, &k) : e;
	case ITEM_SAVE:
		break;
	}
	e = mdb_get(txn, f->hooks, &k, &held);
	if (e == MDB_NOTFOUND) {
		i->error = ERR_NOT_FOUND;
		return 0;
	}
	return e == 0 ? mdb_put(txn, f->states, &k, &v, 0) : e;
}

static void work(struct lmdb_job *lj)
{
	struct hook_job *j = (struct hook_job *)lj;
	MDB_txn *txn;
	int e = mdb_txn_begin(j->file->writer.env, NULL, 0, &txn);

	if (e == 0) {
		for (struct hook_item *i = j->items; e == 0 && i != NULL; i = i->next)
			e = apply(j->file, txn, i);
		e = lmdb_file_finish(txn, e);
	}
	j->failure = e;
}

/* What gathers, and what comes of it; the loop's thread. */

static struct lmdb_job *take_job(void *owner, bool *again)
{
	struct hook_file *f = owner;
	struct hook_job *j;

	*again = false;
	if (f->first == NULL)
		return NULL;
	j = calloc(1, sizeof *j);
	if (j == NULL) {
		*again = true;
		return NULL;
	}
	j->file = f;
	j->items = f->first;
	f->first = NULL;
	f->last = &f->first;
	f->job = j;
	return &j->job;
}

static enum err err_of(int e)
{
	return e == 0              ? ERR_OK
	       : e == ENOMEM       ? ERR_NOMEM
	       : e == MDB_MAP_FULL ? ERR_STORE_FULL
				   : ERR_STORE;
}

static enum err enter(struct hook_store *s, const struct hook_item *i)
{
	if (i->what == ITEM_PUT && hook_core_put(s, i->w) == NULL)
		return ERR_NOMEM; /* a restart will show it */
	if (i->what == ITEM_DROP)
		hook_core_drop(s, i->name);
	return ERR_OK;
}

static void tell(struct hook_file *f, struct hook_item *i, int failure)
{
	enum err e = failure != 0 ? err_of(failure) : i->error;

	if (e == ERR_OK)
		e = enter(&f->store, i);
	i->done(i->arg, e);
	item_free(i);
}

static bool back(void *owner, struct lmdb_job *lj)
{
	struct hook_file *f = owner;
	struct hook_job *j = (struct hook_job *)lj;

	f->failed = j->failure != 0;
	if (f->failed)
		lmdb_writer_failed(&f->writer, "webhooks_write_failed", j->failure);
	f->job = NULL;
	while (j->items != NULL) {
		struct hook_item *i = j->items;

		j->items = i->next;
		tell(f, i, j->failure);
	}
	free(j);
	return true;
}

static void drop_job(struct lmdb_job *lj)
{
	struct hook_job *j = (struct hook_job *)lj;

	while (j->items != NULL) {
		struct hook_item *i = j->items;

		j->items = i->next;
		item_free(i);
	}
	free(j);
}

/* Opening. */

static int databases(void *owner, MDB_txn *txn, MDB_dbi meta)
{
	struct hook_file *f = owner;
	int e = mdb_dbi_open(txn, "hooks", MDB_CREATE, &f->hooks);

	(void)meta;
	return e == 0 ? mdb_dbi_open(txn, "states", MDB_CREATE, &f->states) : e;
}

/* Into the table; nobody is told yet. */
static int read_one(struct hook_file *f, const MDB_val *k, const MDB_val *v)
{
	char name[WEBHOOK_NAME_MAX];
	struct webhook *w;
	enum err e;

	if (!name_is_plain(bytes_of(k->mv_data, k->mv_size)) || f->store.n == HOOKS_MAX)
		return MDB_CORRUPTED;
	memcpy(name, k->mv_data, k->mv_size);
	name[k->mv_size] = '\0';
	e = webhook_decode(&w, name, bytes_of(v->mv_data, v->mv_size));
	if (e != ERR_OK)
		return e == ERR_NOMEM ? ENOMEM : MDB_CORRUPTED;
	f->store.slot[f->store.n] = calloc(1, sizeof *f->store.slot[0]);
	if (f->store.slot[f->store.n] == NULL) {
		webhook_unref(w);
		return ENOMEM;
	}
	f->store.slot[f->store.n++]->w = w;
	return 0;
}

/* LMDB's order is memcmp()'s, which is that of the table. */
static int opened(void *owner)
{
	struct hook_file *f = owner;
	MDB_cursor *cursor;
	MDB_txn *txn;
	MDB_val k, v;
	int e = mdb_txn_begin(f->writer.env, NULL, MDB_RDONLY, &txn);

	if (e != 0)
		return e;
	if ((e = mdb_cursor_open(txn, f->hooks, &cursor)) == 0) {
		while ((e = mdb_cursor_get(cursor, &k, &v, MDB_NEXT)) == 0 &&
		       (e = read_one(f, &k, &v)) == 0)
			;
		mdb_cursor_close(cursor);
	}
	mdb_txn_abort(txn);
	return e == MDB_NOTFOUND ? 0 : e;
}

static bool damaged(void *owner, const char *cause, char *why, size_t why_n)
{
	const struct hook_file *f = owner;

	snprintf(why, why_n, "%s: %s; " REMEDY, f->writer.path, cause);
	return false;
}

static const struct lmdb_writer_ops writer_ops = {.databases = databases,
    .opened = opened,
    .damaged = damaged,
    .take = take_job,
    .work = work,
    .back = back,
    .drop = drop_job};

static void file_close(struct hook_store *s)
{
	struct hook_file *f = of(s);
	struct hook_item *i = f->first;

	/* what was given to the executor has been written, and comes back to nobody */
	for (struct hook_item *j = f->job != NULL ? f->job->items : NULL; j != NULL;
	     j = j->next)
		j->done(j->arg, ERR_CANCELLED);
	while (i != NULL) {
		struct hook_item *next = i->next;

		i->done(i->arg, ERR_CANCELLED);
		item_free(i);
		i = next;
	}
	lmdb_writer_close(&f->writer);
	hook_core_clear(s);
	free(f);
}

enum err hook_file_open(
    struct hook_store **out, const struct hook_store_config *c, char *why, size_t why_n)
{
	struct hook_file *f = calloc(1, sizeof *f);
	struct lmdb_writer_config wc = {.dir = c->conf->store + strlen("lmdb:"),
	    .name = "hooks.mdb",
	    .format = FORMAT,
	    .remedy = REMEDY,
	    .size = FILE_SIZE,
	    .base = c->base,
	    .exec = c->exec,
	    .event = store_event_log};
	enum err e = ERR_NOMEM;

	*out = NULL;
	snprintf(why, why_n, "%s", err_text(e));
	if (f == NULL)
		return e;
	f->last = &f->first;
	if (hook_core_init(&f->store, &file_ops, c))
		e = lmdb_writer_open(&f->writer, &wc, &writer_ops, f, why, why_n);
	if (e == ERR_OK)
		*out = &f->store;
	else
		file_close(&f->store);
	return e;
}

static void file_begin(struct hook_store *s)
{
	for (size_t i = 0; i < s->n; i++)
		s->config.put(s->config.arg, s->slot[i]->w, NULL);
	hook_core_settle(s);
}

static bool file_is_up(const struct hook_store *s, char *why, size_t why_n)
{
	const struct hook_file *f = (const struct hook_file *)s;

	if (!f->failed)
		return true;
	snprintf(why, why_n, "%s%s%s", f->writer.error,
	    f->writer.remedy[0] != '\0' ? "; remedy: " : "", f->writer.remedy);
	return false;
}

/* Calls. */

static struct hook_item *item_new(
    enum item_what what, const char *name, size_t room, hook_done_fn *done, void *arg)
{
	struct hook_item *i = calloc(1, sizeof *i + room);

	if (i == NULL) {
		done(arg, ERR_NOMEM);
		return NULL;
	}
	i->what = what;
	assert(strlen(name) < sizeof i->name);
	strcpy(i->name, name);
	i->done = done;
	i->arg = arg;
	return i;
}

static void submit(struct hook_file *f, struct hook_item *i)
{
	*f->last = i;
	f->last = &i->next;
	lmdb_writer_launch(&f->writer);
}

static bool changes(const struct hook_item *i, const char *name)
{
	for (; i != NULL; i = i->next)
		if (i->what != ITEM_SAVE && strcmp(i->name, name) == 0)
			return true;
	return false;
}

static void file_change(struct hook_store *s, const struct webhook *w,
    const struct webhook *before, hook_done_fn *done, void *arg)
{
	struct hook_file *f = of(s);
	const char *name = (w != NULL ? w : before)->name;
	struct hook_item *i;

	if (changes(f->first, name) || (f->job != NULL && changes(f->job->items, name))) {
		done(arg, ERR_CONFLICT);
		return;
	}
	i = item_new(w != NULL ? ITEM_PUT : ITEM_DROP, name,
	    w != NULL ? WEBHOOK_BINARY_MAX : 0, done, arg);
	if (i == NULL)
		return;
	i->w = webhook_ref(w != NULL ? w : before);
	if (w != NULL)
		i->n = webhook_encode(w, i->value);
	submit(f, i);
}

static void file_save(struct hook_store *s, const char *name,
    const struct webhook_state *state, hook_done_fn *done, void *arg)
{
	struct hook_item *i = item_new(ITEM_SAVE, name, WEBHOOK_STATE_MAX, done, arg);

	if (i == NULL)
		return;
	i->n = webhook_state_encode(state, i->value);
	submit(of(s), i);
}

/* *found: there is one that can be read.  One of another version is none: what it says
 * was delivered is delivered again. */
static enum err read_state(
    struct hook_file *f, const char *name, struct webhook_state *state, bool *found)
{
	MDB_val k = val_of(name, strlen(name)), v;
	int e = mdb_txn_renew(f->writer.reader);

	*found = false;
	if (e != 0)
		return err_of(e);
	e = mdb_get(f->writer.reader, f->states, &k, &v);
	if (e == 0)
		*found =
		    webhook_state_decode(state, bytes_of(v.mv_data, v.mv_size)) == ERR_OK;
	mdb_txn_reset(f->writer.reader);
	return e == MDB_NOTFOUND ? ERR_OK : err_of(e);
}

static void file_state(
    struct hook_store *s, const char *name, hook_state_fn *done, void *arg)
{
	struct webhook_state state;
	bool found;
	enum err e = read_state(of(s), name, &state, &found);

	done(arg, e, found ? &state : NULL);
}

static void file_keep(
    struct hook_store *s, const char *name, hook_done_fn *done, void *arg)
{
	(void)s, (void)name;
	done(arg, ERR_OK);
}

static void file_leave(struct hook_store *s, const char *name)
{
	(void)s, (void)name;
}

static bool file_holds(const struct hook_store *s, const char *name)
{
	(void)s, (void)name;
	return true;
}

static const struct hook_store_ops file_ops = {.close = file_close,
    .begin = file_begin,
    .is_up = file_is_up,
    .change = file_change,
    .state = file_state,
    .take = file_state,
    .keep = file_keep,
    .leave = file_leave,
    .holds = file_holds,
    .save = file_save};
