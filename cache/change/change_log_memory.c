/* change_log_memory.c - "memory:": a log that lives as long as the process.
 *
 * The batches themselves, counted, in an array from the oldest to the newest: they stand
 * from `first` to `first + n` and are moved to the front when the array is full.  Each
 * call is done when it returns.  A start is a new epoch, so that who resumes at a
 * position of an earlier life is told of the gap.
 *
 * A batch's age is that of its seen_at: cache/ reads no clock.
 */
#include "cache/change/change_log.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>

struct scope_told {
	uint8_t scope[CHANGE_SCOPE_N];
	struct change_told told;
};

struct memory_log {
	struct change_log log;
	struct change_log_config config; /* store is not kept */
	struct change_batch **batch;
	size_t first, n, room;
	size_t bytes; /* as the batches would be encoded */
	/* One for each list, in no order: thousands at most, asked for once in a list's
	 * change. */
	struct scope_told *told;
	size_t told_n, told_room;
	struct change_pos oldest, newest;
	bool full; /* events_full was told; until a trim makes room */
};

static const struct change_log_ops memory_ops;

static struct memory_log *of(struct change_log *l)
{
	assert(l->ops == &memory_ops);
	return (struct memory_log *)l;
}

static void drop_first(struct memory_log *l)
{
	struct change_batch *b = l->batch[l->first++];

	l->n--;
	l->bytes -= change_batch_size(b);
	l->oldest = (struct change_pos){b->epoch, b->seq, b->n};
	change_batch_unref(b);
}

static void memory_close(struct change_log *log)
{
	struct memory_log *l = of(log);

	while (l->n > 0)
		drop_first(l);
	free(l->batch);
	free(l->told);
	free(l);
}

static struct scope_told *find_told(struct memory_log *l, const uint8_t *scope)
{
	for (size_t i = 0; i < l->told_n; i++)
		if (memcmp(l->told[i].scope, scope, CHANGE_SCOPE_N) == 0)
			return &l->told[i];
	return NULL;
}

static void memory_told(
    struct change_log *log, const uint8_t *scope, change_log_told_fn *done, void *arg)
{
	const struct scope_told *s = find_told(of(log), scope);
	struct change_told t = {0};

	if (s != NULL)
		t = s->told;
	done(arg, ERR_OK, &t);
}

/* Room for one more batch and one more scope, so that nothing fails half way. */
static enum err reserve(struct memory_log *l)
{
	if (l->told_n == l->told_room) {
		size_t room = 2 * l->told_room + 16;
		struct scope_told *told = realloc(l->told, room * sizeof *told);

		if (told == NULL)
			return ERR_NOMEM;
		l->told = told;
		l->told_room = room;
	}
	if (l->first + l->n < l->room)
		return ERR_OK;
	if (l->n > l->room / 2 || l->room == 0) {
		size_t room = 2 * l->room + 64;
		struct change_batch **batch = realloc(l->batch, room * sizeof *batch);

		if (batch == NULL)
			return ERR_NOMEM;
		l->batch = batch;
		l->room = room;
	}
	if (l->n > 0)
		memmove(l->batch, l->batch + l->first, l->n * sizeof l->batch[0]);
	l->first = 0;
	return ERR_OK;
}

static void tell_full(struct memory_log *l)
{
	char text[128];

	if (l->full)
		return;
	l->full = true;
	if (l->config.hooks.event == NULL)
		return;
	snprintf(text, sizeof text,
	    "store=memory size=%zu effect=\"the oldest changes go\" option=events-size",
	    l->config.size);
	l->config.hooks.event(l->config.hooks.arg, true, "events_full", text);
}

static void make_room(struct memory_log *l, size_t need)
{
	while (l->bytes + need > l->config.size) {
		drop_first(l);
		tell_full(l);
	}
}

static void set_told(
    struct memory_log *l, const uint8_t *scope, const struct change_told *t)
{
	struct scope_told *s = find_told(l, scope);

	if (s == NULL) {
		s = &l->told[l->told_n++];
		memcpy(s->scope, scope, CHANGE_SCOPE_N);
	}
	s->told = *t;
}

static enum err append(struct memory_log *l, struct change_batch *b, const uint8_t *scope,
    const struct change_told *expect, const struct change_told *next)
{
	static const struct change_told unknown;
	const struct scope_told *s = scope != NULL ? find_told(l, scope) : NULL;
	size_t need = b != NULL && b->n > 0 ? change_batch_size(b) : 0;

	if (scope != NULL && !change_told_equal(s != NULL ? &s->told : &unknown, expect))
		return ERR_CONFLICT;
	if (need > l->config.size)
		return ERR_STORE_FULL;
	if (reserve(l) != ERR_OK)
		return ERR_NOMEM;
	if (need > 0) {
		make_room(l, need);
		b->epoch = l->newest.epoch;
		b->seq = l->newest.seq + 1;
		l->batch[l->first + l->n++] = change_batch_ref(b);
		l->bytes += need;
		l->newest = (struct change_pos){b->epoch, b->seq, b->n};
	}
	if (scope != NULL)
		set_told(l, scope, next);
	return ERR_OK;
}

static void memory_append(struct change_log *log, struct change_batch *b,
    const uint8_t *scope, const struct change_told *expect,
    const struct change_told *next, change_log_done_fn *done, void *arg)
{
	struct memory_log *l = of(log);
	enum err e = append(l, b, scope, expect, next);
	struct change_pos end = l->newest;

	done(arg, e, &end);
}

static bool is_gap(const struct memory_log *l, const struct change_pos *from)
{
	return from->epoch != 0 &&
	       (from->epoch != l->newest.epoch || from->seq > l->newest.seq ||
		   from->seq < l->oldest.seq ||
		   (from->seq == l->oldest.seq && from->index < l->oldest.index));
}

/* How many of those that are kept `from` has behind it; it is no gap. */
static size_t count_covered(const struct memory_log *l, const struct change_pos *from)
{
	size_t n = from->epoch != 0 ? (size_t)(from->seq - l->oldest.seq) : 0;

	if (n > 0 && from->index < l->batch[l->first + n - 1]->n)
		n--;
	return n;
}

static void memory_read(struct change_log *log, const struct change_pos *from,
    size_t max_bytes, change_log_page_fn *done, void *arg)
{
	const struct memory_log *l = of(log);
	struct change_log_page page = {
	    .oldest = l->oldest, .newest = l->newest, .gap = is_gap(l, from)};
	struct change_batch **copy = NULL;
	size_t skip = page.gap ? l->n : count_covered(l, from), bytes = 0;

	for (size_t i = l->first + skip; i < l->first + l->n; i++) {
		bytes += change_batch_size(l->batch[i]);
		if (page.n > 0 && bytes > max_bytes)
			break;
		page.n++;
	}
	/* A copy with references: the callback may append, and so drop. */
	if (page.n > 0 &&
	    (copy = malloc(page.n * sizeof(struct change_batch *))) == NULL) {
		page.n = 0;
		done(arg, ERR_NOMEM, &page);
		return;
	}
	for (size_t i = 0; i < page.n; i++)
		copy[i] = change_batch_ref(l->batch[l->first + skip + i]);
	page.batches = copy;
	done(arg, ERR_OK, &page);
	for (size_t i = 0; i < page.n; i++)
		change_batch_unref(copy[i]);
	free(copy);
}

static void memory_new_epoch(struct change_log *log, change_log_done_fn *done, void *arg)
{
	struct memory_log *l = of(log);
	struct change_pos end = {l->newest.epoch + 1, 0, 0};

	while (l->n > 0)
		drop_first(l);
	l->oldest = l->newest = end;
	done(arg, ERR_OK, &end);
}

static void memory_trim(struct change_log *log, int64_t before)
{
	struct memory_log *l = of(log);

	while (l->n > 0 && l->batch[l->first]->seen_at_ms / 1000 < before)
		drop_first(l);
	if (l->bytes < l->config.size / 4 * 3)
		l->full = false; /* age bounds it again */
}

static void memory_health(const struct change_log *log, struct change_log_health *out)
{
	const struct memory_log *l = (const struct memory_log *)log;

	assert(log->ops == &memory_ops);
	out->up = true;
	out->oldest = l->oldest;
	out->newest = l->newest;
	out->bytes = l->bytes;
}

static const struct change_log_ops memory_ops = {
    .close = memory_close,
    .told = memory_told,
    .append = memory_append,
    .read = memory_read,
    .new_epoch = memory_new_epoch,
    .trim = memory_trim,
    .health = memory_health,
};

enum err change_log_memory_open(
    struct change_log **out, const struct change_log_config *c, char *why, size_t n)
{
	struct memory_log *l = calloc(1, sizeof *l);

	*out = NULL;
	if (l == NULL) {
		snprintf(why, n, "%s", err_text(ERR_NOMEM));
		return ERR_NOMEM;
	}
	l->log.ops = &memory_ops;
	l->config = *c;
	l->config.store = NULL;
	l->newest.epoch = c->now > 0 && c->now < UINT32_MAX ? (uint32_t)c->now : 1;
	l->oldest = l->newest;
	*out = &l->log;
	return ERR_OK;
}
