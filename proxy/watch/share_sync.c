/* share_sync.c - heads by name, and one name after the other. */
#include "proxy/watch/share_sync.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>

#include "proxy/base/clock.h"
#include "proxy/base/log.h"
#include "proxy/watch/ledger.h"
#include "proxy/watch/share_load.h"
#include "proxy/watch/share_save.h"
#include "proxy/watch/share_write.h"

struct share_sync {
	struct share_sync_want want;
	struct share_head *head; /* by field */
	size_t n, room;
	bool nomem;
	char (*name)[WATCH_NAME_MAX]; /* all that there is to look at, sorted */
	size_t names, at;
	size_t cursor; /* heads of names before this one */
	size_t swept;  /* heads that were */
	size_t gone;   /* tombstones */
	bool again;
	char back[WATCH_NAME_MAX]; /* the list that is being written back */
	bool lost;                 /* it was once loaded */
	const struct share_head **live;
	struct share_seen *seen; /* parts that the next look is to miss */
	size_t seen_n;
	struct share_load load;
	struct share_save save;
	struct share_write *write;
	struct ledger_job drop;
};

static void next(struct share_sync *y);

static void end(struct share_sync *y, enum err e)
{
	y->want.done(y->want.arg, e, y->again);
}

/* What ends a look: the connection, or we stop.  All else concerns one list. */
static bool is_over(struct share_sync *y, enum err e)
{
	if (y->want.core->stopping)
		e = ERR_CANCELLED;
	if (e != ERR_STORE && e != ERR_STORE_TIMEOUT && e != ERR_CANCELLED)
		return false;
	end(y, e);
	return true;
}

/* Heads. */

static void on_head(void *arg, struct bytes field, struct bytes value)
{
	struct share_sync *y = arg;
	char text[WATCH_FIELD_MAX], name[WATCH_NAME_MAX];
	uint8_t node[WATCH_NODE_N];
	bool part;

	if (y->nomem || !watch_field_read(field, name, node, &part))
		return; /* nobody's: another program's, or another version's */
	if (y->n == y->room) {
		size_t room = 2 * y->room + 64;
		void *p = realloc(y->head, room * sizeof y->head[0]);

		y->nomem = p == NULL;
		if (p == NULL)
			return;
		y->head = p;
		y->room = room;
	}
	memcpy(text, field.p, field.n);
	text[field.n] = '\0';
	y->nomem = !share_head_set(&y->head[y->n], y->want.core, text, value);
	y->n += !y->nomem;
}

static int head_cmp(const void *a, const void *b)
{
	const struct share_head *x = a, *y = b;
	int order = strcmp(x->name, y->name);

	return order != 0 ? order : strcmp(x->field, y->field);
}

static int name_cmp(const void *a, const void *b)
{
	return strcmp(a, b);
}

/* Of heads and of this node's lists, each once. */
static bool names_make(struct share_sync *y)
{
	const struct inventory *v = ledger_inventory(y->want.core->context->shared);
	size_t n = 0, kept = 0;

	y->name = malloc((y->n + v->n + v->incidents->in_force + 1) * sizeof y->name[0]);
	y->live = malloc((y->n + 1) * sizeof y->live[0]);
	y->seen = malloc((y->n + y->want.core->seen_n + 1) * sizeof y->seen[0]);
	if (y->name == NULL || y->live == NULL || y->seen == NULL)
		return false;
	for (size_t i = 0; i < y->n; i++)
		strcpy(y->name[n++], y->head[i].name);
	for (size_t i = 0; i < v->n; i++)
		strcpy(y->name[n++], v->list[i]->name);
	for (size_t i = 0; i < v->incidents->in_force; i++)
		strcpy(y->name[n++], v->incidents->item[i]->key);
	qsort(y->name, n, sizeof y->name[0], name_cmp);
	for (size_t i = 0; i < n; i++)
		if (i == 0 || strcmp(y->name[i], y->name[kept - 1]) != 0)
			memmove(y->name[kept++], y->name[i], sizeof y->name[0]);
	y->names = kept;
	return true;
}

/* One name. */

/* Its heads are behind each other, that of the API first. */
struct group {
	const struct share_head *api;
	const struct share_head *part;
	size_t parts;
};

/* Names come in the order of heads. */
static struct group group_of(struct share_sync *y, const char *name)
{
	struct group g = {NULL, NULL, 0};
	size_t i = y->cursor;

	for (; i < y->n && strcmp(y->head[i].name, name) == 0; i++) {
		if (!y->head[i].part)
			g.api = &y->head[i];
		else if (g.parts++ == 0)
			g.part = &y->head[i];
	}
	y->cursor = i;
	return g;
}

static void on_loaded(void *arg, enum err e)
{
	struct share_sync *y = arg;
	const struct share_head *h = y->live[0];

	if (e == ERR_OK)
		log_each(LOG_INFO, "watchlist_changed",
		    "watchlist=%s source=%s certificates=%zu new=%s", h->name,
		    h->part ? "files" : "shared", y->load.job.certificates,
		    y->load.job.added ? "true" : "false");
	else if (e == ERR_NOT_FOUND)
		share_tell_refused(y->want.core, h, e, "chunks");
	else if (y->load.ledger && e != ERR_CANCELLED)
		log_error("watchlist_not_loaded", "watchlist=%s err=%s remedy=%s",
		    h->name, err_label(e),
		    "this node's copy is the one of before; see watch-size and the disk "
		    "of watch.mdb; tried again within a minute");
	if (!is_over(y, y->load.ledger ? ERR_OK : e))
		next(y);
}

static void load(struct share_sync *y, size_t n, bool add)
{
	y->load = (struct share_load){.core = y->want.core,
	    .head = y->live,
	    .n = n,
	    .copy = share_is_copy(y->want.core, y->live, n),
	    .add = add,
	    .done = on_loaded,
	    .arg = y};
	share_load_start(&y->load);
}

static void on_dropped(void *arg, struct ledger_job *j)
{
	struct share_sync *y = arg;

	y->want.core->context->away--;
	if (j->error == ERR_OK)
		log_each(LOG_INFO, "watchlist_deleted", "watchlist=%s source=%s", j->name,
		    j->source == WATCH_FILES ? "files" : "shared");
	if (!is_over(y, j->error == ERR_CANCELLED ? ERR_CANCELLED : ERR_OK))
		next(y);
}

static void drop(struct share_sync *y, const struct watch_list *list)
{
	y->drop = (struct ledger_job){
	    .what = LEDGER_DROP, .source = list->source, .done = on_dropped, .arg = y};
	strcpy(y->drop.name, list->name);
	y->want.core->context->away++;
	ledger_do(y->want.core->context->ledger, &y->drop);
}

static void on_written_back(void *arg, enum err e)
{
	struct share_sync *y = arg;

	if (y->write != NULL && share_write_is_done(y->write)) {
		if (y->lost) {
			share_tell_lost(y->want.core, y->back, "shared");
		} else {
			log_each(LOG_INFO, "watchlist_shared", "watchlist=%s", y->back);
		}
	}
	y->again = y->again || e == ERR_CONFLICT || e == ERR_NOT_FOUND;
	if (!is_over(y, e))
		next(y);
}

/* list: this node's. */
static void write_back(
    struct share_sync *y, const struct watch_list *list, const struct share_head *head)
{
	share_write_free(y->write);
	y->write = NULL;
	strcpy(y->back, list->name);
	y->lost = watch_mark_is_set(&list->mark);
	y->write = share_write_back(y->want.core, list, head, on_written_back, y);
	if (y->write == NULL)
		end(y, ERR_NOMEM);
}

static void on_saved(void *arg, enum err e)
{
	struct share_sync *y = arg;

	y->again = y->again || e == ERR_CONFLICT;
	if (!is_over(y, e))
		next(y);
}

/* A part, or the whole of a tombstone, goes. */
static void save(struct share_sync *y, const struct share_head *h, bool seen)
{
	y->save = (struct share_save){
	    .core = y->want.core, .old = h, .done = on_saved, .arg = y};
	if (seen)
		share_save_seen(&y->save);
	else
		share_save_start(&y->save);
}

/* This node's, of a section that there is no more. */
static bool is_left_over(const struct share_sync *y, const struct share_head *h)
{
	const struct share_core *s = y->want.core;

	return h->part && share_head_is_live(h) &&
	       memcmp(h->node, s->node, WATCH_NODE_N) == 0 &&
	       conf_watchlist_named(shared_conf(s->context->shared), h->name) == NULL;
}

static bool is_expired(const struct share_head *h)
{
	return h->part && share_head_is_live(h) &&
	       h->stored.at < clock_now() - SHARE_PART_S;
}

/* The parts that make up the list now; *bad: one cannot be read. */
static size_t live_parts(struct share_sync *y, const struct group *g, bool *bad)
{
	size_t n = 0;

	*bad = false;
	for (size_t i = 0; i < g->parts; i++) {
		const struct share_head *h = &g->part[i];

		if (h->error != ERR_OK) {
			share_tell_refused(y->want.core, h, h->error, "head");
			*bad = true;
		} else if (share_head_is_live(h) && !is_expired(h) &&
			   !is_left_over(y, h)) {
			y->live[n++] = h;
		}
	}
	return n;
}

static void note(struct share_sync *y, const struct share_head *h)
{
	struct share_seen *s = &y->seen[y->seen_n++];

	strcpy(s->field, h->field);
	memcpy(s->revision, h->stored.mark.revision, sizeof s->revision);
	s->at = h->stored.at;
}

static bool has_head(const struct group *g, const char *field)
{
	for (size_t i = 0; i < g->parts; i++)
		if (strcmp(g->part[i].field, field) == 0)
			return true;
	return false;
}

/* Remember those that are live, and of those that were so far what has no head any more:
 * how many are these? */
static size_t note_parts(
    struct share_sync *y, const char *name, const struct group *g, size_t live)
{
	const struct share_core *c = y->want.core;
	size_t missing = 0, n = strlen(name);

	for (size_t i = 0; i < live; i++)
		note(y, y->live[i]);
	for (size_t i = 0; i < c->seen_n; i++) {
		const struct share_seen *s = &c->seen[i];

		if (strncmp(s->field, name, n) != 0 || s->field[n] != '/' ||
		    has_head(g, s->field) || s->at < clock_now() - SHARE_PART_S)
			continue;
		y->seen[y->seen_n++] = *s;
		missing++;
	}
	return missing;
}

/* Is this node's part of a list there? */
static void look_for_part(struct share_sync *y, const char *name, size_t live)
{
	for (size_t i = 0; i < live; i++)
		if (memcmp(y->live[i]->node, y->want.core->node, WATCH_NODE_N) == 0)
			return;
	if (y->want.has_part(y->want.arg, name))
		y->want.part_lost(y->want.arg, name);
}

/* What follows returns false where there is nothing to do; else the callback of what was
 * begun goes on. */

/* A list from files, or one that is to be. */
static bool look_at_parts(struct share_sync *y, const char *name, const struct group *g,
    const struct watch_list *list)
{
	bool bad, ours = conf_watchlist_named(
			     shared_conf(y->want.core->context->shared), name) != NULL;
	size_t n = live_parts(y, g, &bad);
	struct watch_mark mark = share_load_mark(y->live, n);
	size_t missing = note_parts(y, name, g, n);

	look_for_part(y, name, n);
	/* What our files say is not there yet: it is about to come. */
	if (list != NULL && ours && !y->want.has_part(y->want.arg, name))
		return false;
	if (n > 0 && list != NULL && list->source == WATCH_FILES &&
	    watch_mark_equal(&list->mark, &mark))
		return false;
	if (n > 0)
		load(y, n, missing > 0);
	else if (list == NULL || ours || bad ||
		 (g->parts == 0 && watch_mark_is_set(&list->mark)))
		return false;
	else
		drop(y, list);
	return true;
}

static bool look_at_list(
    struct share_sync *y, const struct share_head *h, const struct watch_list *list)
{
	if (h->error != ERR_OK) {
		share_tell_refused(y->want.core, h, h->error, "head");
		return false;
	}
	if (list != NULL && watch_mark_equal(&list->mark, &h->stored.mark))
		return false;
	y->live[0] = h;
	if (list != NULL && list->source != WATCH_FILES &&
	    list->mark.number > h->stored.mark.number)
		write_back(y, list, h);
	else
		load(y, 1, false);
	return true;
}

static bool look_at(struct share_sync *y, const char *name)
{
	struct group g = group_of(y, name);
	const struct watch_list *list =
	    inventory_list(ledger_inventory(y->want.core->context->shared), name);
	bool api = list != NULL && list->source != WATCH_FILES;

	if (g.api != NULL && (g.api->error != ERR_OK || share_head_is_live(g.api)))
		return look_at_list(y, g.api, list);
	if (!api)
		return look_at_parts(y, name, &g, list);
	if (g.api != NULL && watch_mark_is_set(&list->mark) &&
	    list->mark.number <= g.api->stored.mark.number)
		drop(y, list);
	else
		write_back(y, list, g.api);
	return true;
}

/* The sweep: one head. */

static void on_counted(void *arg, enum err e)
{
	struct share_sync *y = arg;
	const struct share_head *h = &y->head[y->swept - 1];
	const struct watch_list *list =
	    inventory_list(ledger_inventory(y->want.core->context->shared), h->name);

	if (e != ERR_NOT_FOUND) {
		if (!is_over(y, e))
			next(y);
	} else if (h->part) {
		if (memcmp(h->node, y->want.core->node, WATCH_NODE_N) == 0)
			y->want.part_lost(y->want.arg, h->name);
		next(y);
	} else if (list != NULL && watch_mark_equal(&list->mark, &h->stored.mark)) {
		write_back(y, list, h);
	} else {
		next(y);
	}
}

static void on_forgotten(void *arg, enum err e)
{
	struct share_sync *y = arg;

	if (!is_over(y, e))
		next(y);
}

static void forget(struct share_sync *y, const struct share_head *h)
{
	struct watch_commit c = {
	    .field = h->field, .expected = bytes_of(h->raw, h->raw_n)};

	y->gone--;
	watch_redis_commit(y->want.core->redis, &c, on_forgotten, y);
}

/* So old, or so many that are newer, that it may go. */
static bool is_forgettable(const struct share_sync *y, const struct share_head *h)
{
	size_t newer = 0;

	if (h->error != ERR_OK || h->stored.kind != STORED_GONE)
		return false;
	if (h->stored.at < clock_now() - SHARE_GONE_S)
		return true;
	if (y->gone <= SHARE_GONE_MAX)
		return false;
	for (size_t i = 0; i < y->n; i++)
		newer += y->head[i].error == ERR_OK &&
			 y->head[i].stored.kind == STORED_GONE &&
			 y->head[i].stored.at > h->stored.at;
	return newer >= SHARE_GONE_MAX;
}

static bool sweep(struct share_sync *y, const struct share_head *h)
{
	bool own = h->part && memcmp(h->node, y->want.core->node, WATCH_NODE_N) == 0;

	if (is_left_over(y, h) || (y->want.sweep && is_expired(h) && !own))
		save(y, h, false);
	else if (!y->want.sweep)
		return false;
	else if (is_forgettable(y, h))
		forget(y, h);
	else if (!share_head_is_live(h))
		return false;
	else if (own && h->stored.at < clock_now() - SHARE_SEEN_S)
		save(y, h, true);
	else if (h->stored.chunks > 0)
		watch_redis_count(y->want.core->redis, h->field, h->stored.mark.revision,
		    h->stored.chunks, on_counted, y);
	else
		return false;
	return true;
}

/* The way through. */

/* All names were looked at. */
static void keep_seen(struct share_sync *y)
{
	struct share_core *c = y->want.core;

	if (y->seen == NULL)
		return;
	free(c->seen);
	c->seen = y->seen;
	c->seen_n = y->seen_n;
	y->seen = NULL;
}

static void next(struct share_sync *y)
{
	while (y->at < y->names)
		if (look_at(y, y->name[y->at++]))
			return;
	keep_seen(y);
	while (y->swept < y->n)
		if (sweep(y, &y->head[y->swept++]))
			return;
	end(y, ERR_OK);
}

static void on_heads(void *arg, enum err e)
{
	struct share_sync *y = arg;

	if (y->want.core->stopping)
		e = ERR_CANCELLED;
	if (e == ERR_OK && (y->nomem || !names_make(y)))
		e = ERR_NOMEM;
	if (e == ERR_RECORD)
		log_error("watchlist_refused", "key=%s%s err=%s remedy=%s",
		    shared_conf(y->want.core->context->shared)->store_prefix,
		    "{w}:l:lists", err_label(e),
		    "something else stands under this key: remove it, or choose another "
		    "store-prefix");
	if (e != ERR_OK) {
		end(y, e);
		return;
	}
	if (y->n > 0)
		qsort(y->head, y->n, sizeof y->head[0], head_cmp);
	for (size_t i = 0; i < y->n; i++)
		y->gone +=
		    y->head[i].error == ERR_OK && y->head[i].stored.kind == STORED_GONE;
	next(y);
}

struct share_sync *share_sync_start(const struct share_sync_want *want)
{
	struct share_sync *y = calloc(1, sizeof *y);

	if (y == NULL)
		return NULL;
	y->want = *want;
	watch_redis_heads(want->core->redis, on_head, on_heads, y);
	return y;
}

void share_sync_free(struct share_sync *y)
{
	if (y == NULL)
		return;
	share_write_free(y->write);
	for (size_t i = 0; i < y->n; i++)
		share_head_clear(&y->head[i]);
	free(y->head);
	free(y->name);
	free(y->live);
	free(y->seen);
	free(y);
}
