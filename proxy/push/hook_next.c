/* hook_next.c - cutting the log. */
#include "proxy/push/hook_next.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>

#include "proxy/push/hook_format.h"

#define LOOKS_MAX 64 /* at batches, in a turn */

/* A webhook's place in a batch. */
struct cut_place {
	struct hook_maker *m;
	const struct hook_wish *of;
	const struct change_batch *b;
	const struct watch_index *index; /* with a watchlist */
	uint32_t from;                   /* elements of b before it are covered */
};

/* What a kind of batch is to webhooks. */
static const struct kind_row {
	unsigned bit;
	const char *type, *many; /* NULL: never */
} kind_rows[] = {
    [CHANGE_MOVES] = {WEBHOOK_CHANGES, "changes", "changes.many"},
    [CHANGE_WATCHED] = {WEBHOOK_CHANGES, "changes", "changes.many"},
    [CHANGE_NOTICES] = {WEBHOOK_NOTICES, "notices", "notices.many"},
    [CHANGE_ALARMS] = {WEBHOOK_ALARMS, "alarms", NULL},
};

static const struct kind_row *row_of(const struct change_batch *b)
{
	static const struct kind_row none;

	return b->kind < sizeof kind_rows / sizeof kind_rows[0] ? &kind_rows[b->kind]
								: &none;
}

/* Whether its certificates are on the watchlist is seen later; alarms have none, and are
 * for who watches one of their issuer's. */
static bool wants(
    struct hook_maker *m, const struct webhook *w, const struct change_batch *b)
{
	if ((row_of(b)->bit & w->types) == 0 || !webhook_tells(w, b->issuer) ||
	    !change_batch_is_for(b, w->issuer, w->watchlist))
		return false;
	return b->kind != CHANGE_ALARMS || w->watchlist[0] == '\0' ||
	       watch_view_has_issuer(&m->view, b->issuer);
}

/* What comes of a list, or of an incident, may come in many batches. */
static bool may_run(const struct change_batch *b)
{
	if (b->kind == CHANGE_NOTICES)
		return b->source == CHANGE_INCIDENT;
	return row_of(b)->many != NULL && b->evidence == CHANGE_CRL;
}

static bool is_of_list(const struct change_batch *a, const struct change_batch *b)
{
	return a->has_number == b->has_number && a->published_at == b->published_at &&
	       memcmp(a->number, b->number, sizeof a->number) == 0;
}

/* Are these parts of one list's changes, or of one incident's notices? */
static bool is_run(const struct change_batch *a, const struct change_batch *b)
{
	if (a->kind != b->kind || strcmp(a->issuer, b->issuer) != 0 || !may_run(b))
		return false;
	return a->kind == CHANGE_NOTICES ? strcmp(a->incident, b->incident) == 0
					 : is_of_list(a, b);
}

/* False: no memory. */
static bool cut_place_at(struct cut_place *p, const struct hook_wish *of,
    struct hook_maker *m, const struct hook_place *at, const struct change_pos *pos)
{
	const struct change_batch *b = at->sheet->batch;
	bool within = pos->epoch == b->epoch && pos->seq == b->seq;

	*p =
	    (struct cut_place){.m = m, .of = of, .b = b, .from = within ? pos->index : 0};
	if (of->w->watchlist[0] == '\0' || b->kind == CHANGE_ALARMS)
		return true;
	p->index = roll_index(at->roll, at->sheet);
	return p->index != NULL;
}

/* Of its elements; *last: behind the last of them. */
static uint32_t count(const struct cut_place *p, uint32_t *last)
{
	if (p->index != NULL)
		return watch_text_count(&p->m->view, p->b, p->index, p->from, last);
	*last = p->b->n;
	return p->b->n - p->from;
}

/* Bodies. */

/* The data of an event, out of its frame. */
static struct bytes data_of(const char *frame, size_t n)
{
	static const char mark[] = "\ndata: ";
	const char *at = memmem(frame, n, mark, sizeof mark - 1);

	assert(at != NULL && n > 2);
	at += sizeof mark - 1;
	return bytes_of(at, (size_t)(frame + n - at) - 2);
}

/* The event of at most room elements; *end: what it covers.  Empty: nothing concerns the
 * webhook any more. */
static struct bytes event_of(
    const struct cut_place *p, uint32_t room, struct change_pos *end)
{
	struct watch_view *v = &p->m->view;
	uint32_t to = p->b->n - p->from > room ? p->from + room : p->b->n;

	*end = (struct change_pos){p->b->epoch, p->b->seq, to};
	if (p->index == NULL)
		return data_of(
		    p->m->scratch, events_text_changes(p->b, p->from, to, p->m->scratch));
	*end = (struct change_pos){p->b->epoch, p->b->seq, p->from};
	v->out.n = 0;
	watch_text_changes(v, p->b, p->index, end, room, false);
	if (v->changes == 0 || v->out.failed)
		return bytes_of(NULL, 0);
	return data_of(v->out.p, v->out.n);
}

static bool write_body(const struct cut_place *p, struct hook_cut *cut, struct bytes data)
{
	const struct hook_message text = {.type = cut->type,
	    .id = cut->id,
	    .at = cut->at,
	    .data = data,
	    .routing_key = p->of->w->routing_key,
	    .source = p->m->api_url};

	cut->body.n = 0;
	return hook_format_write(p->of->w->format, &text, &cut->body) &&
	       !cut->body.failed;
}

static bool is_single(const struct cut_place *p)
{
	return row_of(p->b)->bit == WEBHOOK_ALARMS &&
	       hook_format_is_single(p->of->w->format);
}

/* A body of at most room elements, fewer where they are long; or of exactly so many, up
 * to `decided`.  Nothing of it concerns the webhook: cut->type stays NULL.  False: no
 * memory. */
static bool cut_full(const struct cut_place *p, uint32_t room,
    const struct change_pos *decided, struct hook_cut *cut)
{
	while (room > 0) {
		struct bytes data = event_of(p, room, &cut->upto);

		if (data.n == 0)
			return !p->m->view.out.failed;
		if (decided != NULL)
			cut->upto = *decided;
		cut->type = row_of(p->b)->type;
		cut->at = p->b->seen_at_ms / 1000;
		change_pos_text(&cut->upto, cut->id);
		if (!write_body(p, cut, data))
			return false;
		if (cut->body.n <= HOOK_BODY_MAX || room == 1 || decided != NULL)
			break;
		room = (uint32_t)((uint64_t)room * HOOK_BODY_MAX / cut->body.n);
		room = room > 1 ? room : 1;
	}
	return true;
}

/* {"count","first","last","url"}: the place before the first, that of the last, and where
 * what lies between them is to be had. */
static bool cut_thin(const struct cut_place *p, const struct change_pos *pos,
    const struct change_pos *last, uint32_t many, struct hook_cut *cut)
{
	const struct webhook *w = p->of->w;
	char first[CHANGE_POS_TEXT_MAX], data[1024];
	int n;

	change_pos_text(pos, first);
	change_pos_text(last, cut->id);
	cut->type = row_of(p->b)->many;
	cut->at = p->b->seen_at_ms / 1000;
	cut->upto = *last;
	cut->many = many;
	n = snprintf(data, sizeof data,
	    "{\"count\":%u,\"first\":\"%s\",\"last\":\"%s\",\"url\":\"%s"
	    "/v1/events?since=%s&issuer=%s%s%s\"}",
	    many, first, cut->id, p->m->api_url, first, p->b->issuer,
	    w->watchlist[0] != '\0' ? "&watchlist=" : "", w->watchlist);
	assert(n > 0 && n < (int)sizeof data);
	return write_body(p, cut, bytes_of(data, (size_t)n));
}

static bool cut_gap(struct hook_maker *m, const struct hook_wish *of,
    const struct change_pos *oldest, struct hook_cut *cut)
{
	const struct cut_place p = {.m = m, .of = of};
	char since[CHANGE_POS_TEXT_MAX];
	size_t n;

	change_pos_text(of->pos, since);
	n = events_text_gap_data(since, oldest, m->scratch);
	snprintf(cut->id, sizeof cut->id, "gap-%s", since);
	cut->type = "gap";
	cut->upto = *oldest;
	cut->at = of->now;
	return write_body(&p, cut, bytes_of(m->scratch, n));
}

bool hook_test_body(struct hook_maker *m, const struct webhook *w, const char *id,
    int64_t now, struct json_line *body)
{
	char data[WEBHOOK_NAME_MAX + 32];
	int n = snprintf(data, sizeof data, "{\"webhook\":\"%s\"}", w->name);
	const struct hook_message text = {.type = "test",
	    .id = id,
	    .at = now,
	    .data = bytes_of(data, (size_t)n),
	    .routing_key = w->routing_key,
	    .source = m->api_url};

	return hook_format_write(w->format, &text, body) && !body->failed;
}

/* Runs. */

/* What of a run was counted is cut: in full where it is not too much. */
static enum hook_next cut_run(
    const struct cut_place *p, const struct hook_scan *s, bool open, struct hook_cut *cut)
{
	bool many = s->count > HOOK_FULL_MAX;
	bool ok = many ? cut_thin(p, p->of->pos, &s->last, s->count, cut)
		       : cut_full(p, is_single(p) ? 1 : HOOK_ROOM, NULL, cut);

	cut->open = open;
	if (!ok)
		return NEXT_NOMEM;
	return cut->type != NULL ? NEXT_MESSAGE : NEXT_MORE;
}

/* Does this batch end the run of `first`?  Else it is counted, or passed over. */
static bool ends_run(
    const struct cut_place *p, const struct change_batch *first, struct hook_scan *s)
{
	uint32_t last = 0, n;

	if (!wants(p->m, p->of->w, p->b))
		return ++s->passed > HOOK_PASS_MAX;
	if (!is_run(first, p->b))
		return true;
	n = count(p, &last);
	if (n > 0)
		s->last = (struct change_pos){p->b->epoch, p->b->seq, last};
	s->count += n;
	return false;
}

static void scan_moves(struct hook_scan *s, const struct change_batch *b, int64_t now_ms)
{
	s->at = (struct change_pos){b->epoch, b->seq, b->n};
	s->moved_ms = now_ms;
}

/* The batch at *pos has something for the webhook: how long is its run?  *whole: it is
 * known to have ended. */
static enum hook_next follow_run(struct hook_maker *m, const struct hook_wish *of,
    const struct change_batch *first, bool *whole)
{
	struct hook_scan *s = of->scan;
	struct hook_place at;
	struct cut_place p;

	for (int looks = 0; looks < LOOKS_MAX; looks++) {
		enum hook_read read = hook_pages_after(m->pages, &s->at, &at);

		if (read == READ_WAITS)
			return NEXT_WAITS;
		*whole = read == READ_BATCH;
		if (read != READ_BATCH)
			return s->count > HOOK_FULL_MAX &&
				       s->moved_ms + HOOK_SETTLE_MS > of->now_ms
				   ? NEXT_LATER
				   : NEXT_MESSAGE;
		if (!cut_place_at(&p, of, m, &at, &s->at))
			return NEXT_NOMEM;
		if (ends_run(&p, first, s))
			return NEXT_MESSAGE;
		scan_moves(s, at.sheet->batch, of->now_ms);
	}
	return NEXT_MORE;
}

static enum hook_next cut_here(
    const struct cut_place *p, const struct hook_wish *of, struct hook_cut *cut)
{
	struct hook_scan *s = of->scan;
	enum hook_next next;
	bool whole = true;
	uint32_t last = 0;

	if (!may_run(p->b))
		return cut_run(p, &(struct hook_scan){0}, false, cut);
	if (s->at.epoch == 0) {
		s->count = count(p, &last);
		s->last = (struct change_pos){p->b->epoch, p->b->seq, last};
		s->passed = 0;
		scan_moves(s, p->b, of->now_ms);
	}
	next = follow_run(p->m, of, p->b, &whole);
	if (next != NEXT_MESSAGE)
		return next;
	return cut_run(p, s, !whole, cut);
}

/* As it was decided before. */
static enum hook_next cut_again(
    const struct cut_place *p, const struct hook_wish *of, struct hook_cut *cut)
{
	uint32_t last = 0, n = of->upto.index - p->from;

	if (of->many > 0)
		return cut_thin(p, of->pos, &of->upto, of->many, cut) ? NEXT_MESSAGE
								      : NEXT_NOMEM;
	if (p->index != NULL) {
		struct cut_place upto = *p;

		upto.from = of->upto.index;
		n = count(p, &last) - count(&upto, &last);
	}
	if (n > 0 && n <= EVENTS_CHANGES && !cut_full(p, n, &of->upto, cut))
		return NEXT_NOMEM;
	/* nothing of it concerns the webhook now */
	if (cut->type == NULL)
		*of->pos = of->upto;
	return cut->type != NULL ? NEXT_MESSAGE : NEXT_MORE;
}

static bool is_decided(const struct hook_wish *of, const struct cut_place *p)
{
	return of->upto.epoch != 0 && of->upto.epoch == p->b->epoch &&
	       (of->many > 0 || of->upto.seq == p->b->seq) &&
	       change_pos_cmp(&of->upto, of->pos) > 0;
}

/* One batch.  NEXT_MORE: nothing of it concerns the webhook, and *pos is behind it. */
static enum hook_next look(struct hook_maker *m, const struct hook_wish *of,
    const struct hook_place *at, struct hook_cut *cut)
{
	struct cut_place p;
	uint32_t last = 0;

	if (!cut_place_at(&p, of, m, at, of->pos))
		return NEXT_NOMEM;
	if (!wants(m, of->w, p.b) || count(&p, &last) == 0) {
		*of->pos = (struct change_pos){p.b->epoch, p.b->seq, p.b->n};
		*of->scan = (struct hook_scan){0};
		return NEXT_MORE;
	}
	return is_decided(of, &p) ? cut_again(&p, of, cut) : cut_here(&p, of, cut);
}

static enum hook_next next(
    struct hook_maker *m, const struct hook_wish *of, struct hook_cut *cut)
{
	for (int looks = 0; looks < LOOKS_MAX; looks++) {
		struct hook_place at;
		enum hook_next found;

		switch (hook_pages_after(m->pages, of->pos, &at)) {
		case READ_END:
			return NEXT_END;
		case READ_WAITS:
			return NEXT_WAITS;
		case READ_FAILED:
			return NEXT_LATER;
		case READ_GAP:
			return cut_gap(m, of, &at.oldest, cut) ? NEXT_MESSAGE
							       : NEXT_NOMEM;
		case READ_BATCH:
			break;
		}
		found = look(m, of, &at, cut);
		if (found != NEXT_MORE || of->scan->at.epoch != 0)
			return found;
	}
	return NEXT_MORE;
}

enum hook_next hook_next(
    struct hook_maker *m, const struct hook_wish *of, struct hook_cut *cut)
{
	enum hook_next found;

	cut->type = NULL;
	cut->many = 0;
	cut->open = false;
	if (of->w->watchlist[0] != '\0' &&
	    !watch_view_open(&m->view, m->shared, of->w->watchlist))
		return NEXT_NO_LIST;
	found = next(m, of, cut);
	watch_view_rest(&m->view);
	return found;
}
