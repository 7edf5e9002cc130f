/* share_write.c - the steps:
 *   look     the head; a list of the API that is newer there is loaded first, where it
 *            is to be added to or taken from
 *   base     this node's part of before (files that cannot be read now keep theirs)
 *   whole    all that the list is to have
 *   save     chunks and head; another head: look again
 *   load     back, into force; or drop
 */
#include "proxy/watch/share_write.h"

#include <assert.h>
#include <stdlib.h>

#include "proxy/watch/share_load.h"
#include "proxy/watch/share_save.h"
#include "proxy/watch/share_whole.h"

struct share_write {
	struct share_core *core;
	struct ledger_job *job; /* NULL: a list is written back */
	char name[WATCH_NAME_MAX];
	char field[WATCH_FIELD_MAX];
	struct share_head head; /* as it was looked at */
	struct share_whole whole;
	struct share_save save;
	struct share_load load;
	const struct share_head *loading;
	struct ledger_job drop;
	int tries;
	bool committed;
	void (*done)(void *arg, enum err e);
	void *arg;
};

static void end(struct share_write *w, enum err e)
{
	w->done(w->arg, e);
}

static const struct watch_list *local(const struct share_write *w)
{
	return inventory_list(ledger_inventory(w->core->context->shared), w->name);
}

static void look(struct share_write *w);

static void again(struct share_write *w)
{
	if (w->job == NULL || ++w->tries >= SHARE_TRIES)
		end(w, ERR_CONFLICT);
	else
		look(w);
}

/* Back into force. */

static void on_loaded(void *arg, enum err e)
{
	struct share_write *w = arg;

	if (w->job != NULL) {
		w->job->added = w->load.job.added;
		w->job->certificates = w->load.job.certificates;
		w->job->shared = !w->load.ledger;
	}
	if (e == ERR_NOT_FOUND) { /* there is a newer one already: it will be loaded */
		e = ERR_OK;
		if (w->job != NULL)
			w->job->certificates = w->save.stored.certificates;
	}
	end(w, e);
}

/* The head that was just written. */
static void load_back(struct share_write *w)
{
	w->head.error = ERR_OK;
	w->head.stored = w->save.stored;
	w->loading = &w->head;
	w->load = (struct share_load){.core = w->core,
	    .head = &w->loading,
	    .n = 1,
	    .copy = w->job == NULL,
	    .done = on_loaded,
	    .arg = w};
	share_load_start(&w->load);
}

static void on_dropped(void *arg, struct ledger_job *j)
{
	struct share_write *w = arg;

	w->core->context->away--;
	if (w->job != NULL && j->error != ERR_NOT_FOUND)
		w->job->shared = false;
	end(w, j->error == ERR_NOT_FOUND ? ERR_OK : j->error);
}

static void drop_local(struct share_write *w)
{
	w->drop = (struct ledger_job){.what = LEDGER_DROP,
	    .source = share_source(w->name, false),
	    .done = on_dropped,
	    .arg = w};
	strcpy(w->drop.name, w->name);
	w->core->context->away++;
	ledger_do(w->core->context->ledger, &w->drop);
}

/* Saving. */

/* It is loaded with the others' (share_sync.h). */
static void end_part(struct share_write *w)
{
	w->job->certificates = w->save.stored.certificates;
	end(w, ERR_OK);
}

static void on_saved(void *arg, enum err e)
{
	struct share_write *w = arg;

	if (e == ERR_CONFLICT || e == ERR_NOT_FOUND) {
		again(w);
		return;
	}
	if (e != ERR_OK) {
		end(w, e);
		return;
	}
	w->committed = true;
	if (w->save.stored.kind == STORED_GONE)
		drop_local(w);
	else if (w->save.stored.kind == STORED_LIST)
		load_back(w);
	else
		end_part(w);
}

static void save(struct share_write *w, const struct watch_draft *draft)
{
	const struct watch_list *list = local(w);

	w->save = (struct share_save){.core = w->core,
	    .old = &w->head,
	    .draft = draft,
	    .above = list != NULL ? list->mark.number : 0,
	    .done = on_saved,
	    .arg = w};
	share_save_start(&w->save);
}

/* The whole. */

static void on_whole(void *arg, enum err e)
{
	struct share_write *w = arg;

	if (w->core->stopping)
		e = ERR_CANCELLED;
	if (e == ERR_OK)
		save(w, w->whole.draft != NULL ? w->whole.draft : w->whole.more);
	else if (e == ERR_NOT_FOUND && w->job != NULL) {
		w->job->shared = false;
		end(w, e);
	} else {
		end(w, e);
	}
}

static void make_whole(struct share_write *w, const struct watch_list *base)
{
	bool sorted = w->whole.sorted;

	share_whole_clear(&w->whole);
	w->whole.core = w->core;
	w->whole.sorted = sorted;
	w->whole.done = on_whole;
	w->whole.arg = w;
	w->whole.more = w->job != NULL ? w->job->draft : NULL;
	w->whole.base = base != NULL ? watch_list_ref(base) : NULL;
	if (w->job != NULL && w->job->what == LEDGER_REMOVE) {
		w->whole.issuer = w->job->issuer;
		w->whole.serial = w->job->serial;
	}
	share_whole_make(&w->whole);
}

/* The base. */

static void on_part_read(void *arg, enum err e)
{
	struct share_write *w = arg;

	if (e == ERR_OK)
		make_whole(w, NULL);
	else
		end(w, e);
}

/* Of this node's part, what its files do not say now stays. */
static void add_part(struct share_write *w)
{
	w->loading = &w->head;
	w->load = (struct share_load){
	    .core = w->core, .head = &w->loading, .n = 1, .done = on_part_read, .arg = w};
	share_load_read(&w->load, w->job->draft);
}

static void on_caught_up(void *arg, enum err e)
{
	struct share_write *w = arg;

	if (e == ERR_OK || e == ERR_NOT_FOUND) {
		again(w);
		return;
	}
	w->job->shared = !w->load.ledger;
	end(w, e);
}

/* What others have made of it first. */
static void catch_up(struct share_write *w)
{
	w->loading = &w->head;
	w->load = (struct share_load){.core = w->core,
	    .head = &w->loading,
	    .n = 1,
	    .copy = share_is_copy(w->core, &w->loading, 1),
	    .done = on_caught_up,
	    .arg = w};
	share_load_start(&w->load);
}

/* A list that is there, or whose head cannot be read while this node has a good copy. */
static void change_list(struct share_write *w)
{
	const struct watch_list *list = local(w);
	bool live = share_head_is_live(&w->head);

	if (live &&
	    (list == NULL || !watch_mark_equal(&list->mark, &w->head.stored.mark))) {
		catch_up(w);
		return;
	}
	if (list == NULL || (!live && w->head.error == ERR_OK && w->head.raw_n > 0)) {
		end(w, ERR_NOT_FOUND);
		return;
	}
	make_whole(w, list);
}

static void drop(struct share_write *w)
{
	bool none = w->head.raw_n == 0 ||
		    (w->head.error == ERR_OK && w->head.stored.kind == STORED_GONE);

	if (none && local(w) == NULL)
		end(w, ERR_NOT_FOUND);
	else
		save(w, NULL);
}

static void looked(struct share_write *w)
{
	enum ledger_what what = w->job->what;

	if (w->job->source == WATCH_FILES) {
		if (what == LEDGER_ADD && share_head_is_live(&w->head))
			add_part(w);
		else
			make_whole(w, NULL);
	} else if (what == LEDGER_PUT) {
		make_whole(w, NULL);
	} else if (what == LEDGER_DROP) {
		drop(w);
	} else {
		change_list(w);
	}
}

static void on_head(void *arg, enum err e, struct bytes value)
{
	struct share_write *w = arg;

	share_head_clear(&w->head);
	if (w->core->stopping)
		e = ERR_CANCELLED;
	if (e == ERR_NOT_FOUND) {
		e = ERR_OK;
		value = bytes_of("", 0);
	}
	if (e == ERR_OK && !share_head_set(&w->head, w->core, w->field, value))
		e = ERR_NOMEM;
	if (e == ERR_OK)
		looked(w);
	else
		end(w, e);
}

static void look(struct share_write *w)
{
	if (w->core->stopping)
		end(w, ERR_CANCELLED);
	else
		watch_redis_head(w->core->redis, w->field, on_head, w);
}

/* Life. */

static struct share_write *write_new(struct share_core *core, const char *name,
    void (*done)(void *arg, enum err e), void *arg)
{
	struct share_write *w = calloc(1, sizeof *w);

	if (w == NULL)
		return NULL;
	w->core = core;
	strcpy(w->name, name);
	w->done = done;
	w->arg = arg;
	return w;
}

struct share_write *share_write_job(struct share_core *core, struct ledger_job *job,
    void (*done)(void *arg, enum err e), void *arg)
{
	struct share_write *w = write_new(core, job->name, done, arg);

	if (w == NULL)
		return NULL;
	w->job = job;
	job->shared = true;
	watch_field_put(
	    w->field, job->name, job->source == WATCH_FILES ? core->node : NULL);
	look(w);
	return w;
}

struct share_write *share_write_back(struct share_core *core,
    const struct watch_list *list, const struct share_head *head,
    void (*done)(void *arg, enum err e), void *arg)
{
	struct share_write *w = write_new(core, list->name, done, arg);

	if (w == NULL)
		return NULL;
	watch_field_put(w->field, list->name, NULL);
	if (!share_head_set(&w->head, core, w->field,
		head != NULL ? bytes_of(head->raw, head->raw_n) : bytes_of("", 0))) {
		free(w);
		return NULL;
	}
	make_whole(w, list);
	return w;
}

bool share_write_is_done(const struct share_write *w)
{
	return w->committed;
}

void share_write_free(struct share_write *w)
{
	if (w == NULL)
		return;
	share_whole_clear(&w->whole);
	share_head_clear(&w->head);
	free(w);
}
