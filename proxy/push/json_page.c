/* json_page.c - one page of the log as JSON, for who cannot keep a stream open:
 *
 *	{"events":[{"id","event":"changes","data":{...}}...],"position":ID,"gap":null}
 *
 * At most EVENTS_CHANGES changes, notices and alarms; the next page is that since
 *`position`, which also stands when nothing of the page was wanted.  After a gap
 *("gap":{"since","oldest"}) it is the oldest place, and there are no events.
 */
#include "proxy/push/events_core.h"

#include <assert.h>
#include <stdlib.h>

#include "proxy/http/api_reply.h"

#define READ_BYTES       (64 * 1024) /* a page of changes and their batches' heads */
#define WATCH_READ_BYTES (1u << 20)  /* of which few may concern a watchlist */
#define WATCH_PAGE_BYTES (256 * 1024)

static void reply_error(struct conn *c, enum err error)
{
	static const char away[] =
	    "{\"error\":{\"code\":\"unavailable\",\"message\":\"the "
	    "change log cannot be read now\"}}\n";

	if (error == ERR_NOMEM)
		api_reply_no_memory(c);
	else
		api_reply(c, 503, API_JSON, "Retry-After: 5\r\n",
		    bytes_of(away, sizeof away - 1));
}

/* Its watchlist may have been deleted since it was asked. */
static bool has_list(const struct json_page *j)
{
	return j->query.watchlist[0] == '\0' ||
	       watch_view_open(&j->events->view, j->events->shared, j->query.watchlist);
}

static void reply_gone(struct conn *c)
{
	static const char gone[] = "{\"error\":{\"code\":\"not_found\",\"message\":\"no "
				   "watchlist has this name\"}}\n";

	api_reply(c, 404, API_JSON, NULL, bytes_of(gone, sizeof gone - 1));
}

struct writing {
	char *text;
	size_t n, room;
	uint32_t changes;
	bool full; /* of text */
	bool failed;
};

/* Room for n more bytes. */
static char *room_for(struct writing *w, size_t n)
{
	char *bigger;

	if (w->failed)
		return NULL;
	if (w->room - w->n < n) {
		size_t room = 2 * w->room + n;

		bigger = realloc(w->text, room);
		if (bigger == NULL) {
			w->failed = true;
			return NULL;
		}
		w->text = bigger;
		w->room = room;
	}
	return w->text + w->n;
}

static void write_bytes(struct writing *w, struct bytes b)
{
	char *p = room_for(w, b.n);

	if (p == NULL)
		return;
	memcpy(p, b.p, b.n);
	w->n += b.n;
}

static void write_text(struct writing *w, const char *text)
{
	write_bytes(w, bytes_of(text, strlen(text)));
}

/* One event of what *pos does not cover of b, as far as the page has room. */
static void write_event(
    struct writing *w, const struct change_batch *b, struct change_pos *pos)
{
	bool within = pos->seq == b->seq && pos->epoch == b->epoch && pos->index < b->n;
	uint32_t from = within ? pos->index : 0, to = b->n;
	char *p;

	assert(w->changes < EVENTS_CHANGES);
	if (to - from > EVENTS_CHANGES - w->changes)
		to = from + EVENTS_CHANGES - w->changes;
	if (w->changes > 0)
		write_text(w, ",");
	p = room_for(w, events_text_room(b, to - from));
	if (p != NULL)
		w->n += events_text_member(b, from, to, p);
	w->changes += to - from;
	*pos = (struct change_pos){b->epoch, b->seq, to};
}

/* What of b concerns the watchlist; a page ends with an event that is full of text. */
static void write_watched(struct writing *w, const struct json_page *j,
    const struct change_batch *b, struct change_pos *pos)
{
	struct watch_view *view = &j->events->view;
	const struct change_pos end = {b->epoch, b->seq, b->n};
	struct watch_index *x = malloc(sizeof *x);

	if (x == NULL) {
		w->failed = true;
		return;
	}
	watch_index_make(x, b->change, b->n);
	view->out.n = 0;
	watch_text_changes(view, b, x, pos, EVENTS_CHANGES - w->changes, true);
	watch_view_rest(view);
	free(x);
	w->failed = w->failed || view->out.failed;
	if (view->changes > 0) {
		if (w->changes > 0)
			write_text(w, ",");
		write_bytes(w, bytes_of(view->out.p, view->out.n));
	}
	w->changes += view->changes;
	w->full = change_pos_cmp(pos, &end) < 0 || w->n >= WATCH_PAGE_BYTES;
}

static bool is_wanted(const struct json_page *j, const struct change_batch *b)
{
	const struct events_query *q = &j->query;

	return change_batch_is_for(b, q->issuer, q->watchlist) &&
	       access_issuer(q->access, b->issuer) &&
	       (b->kind != CHANGE_ALARMS || q->watchlist[0] == '\0' ||
		   watch_view_has_issuer(&j->events->view, b->issuer));
}

static void write_events(
    struct writing *w, const struct json_page *j, struct change_pos *pos)
{
	for (size_t i = 0; i < j->ask.n && w->changes < EVENTS_CHANGES && !w->full; i++) {
		const struct change_batch *b = j->ask.batches[i];

		if (!is_wanted(j, b))
			*pos = (struct change_pos){b->epoch, b->seq, b->n};
		else if (j->query.watchlist[0] != '\0' && b->kind != CHANGE_ALARMS)
			write_watched(w, j, b, pos);
		else
			write_event(w, b, pos);
	}
}

static void write_end(struct writing *w, const struct change_pos *pos, const char *since)
{
	char text[CHANGE_POS_TEXT_MAX], *p;

	change_pos_text(pos, text);
	write_text(w, "],\"position\":\"");
	write_text(w, text);
	write_text(w, "\",\"gap\":");
	if (since == NULL) {
		write_text(w, "null}\n");
		return;
	}
	p = room_for(w, EVENTS_FRAME_TEXT);
	if (p != NULL)
		w->n += events_text_gap_data(since, pos, p);
	write_text(w, "}\n");
}

static void reply_page(struct conn *c, const struct json_page *j)
{
	const struct events_query *q = &j->query;
	bool gap = q->has_since && (q->bad_since || j->ask.gap);
	struct change_pos pos = gap            ? j->ask.oldest
				: q->has_since ? q->since
					       : j->ask.newest;
	struct writing w = {0};

	write_text(&w, "{\"events\":[");
	if (q->has_since && !gap)
		write_events(&w, j, &pos);
	write_end(&w, &pos, gap ? q->since_text : NULL);
	if (w.failed)
		reply_error(c, ERR_NOMEM);
	else
		api_reply(c, 200, API_JSON, NULL, bytes_of(w.text, w.n));
	free(w.text);
}

static void on_answer(void *arg, struct question *q)
{
	struct json_page *j = (struct json_page *)q;
	struct teller_ask *a = &j->ask;
	struct events *e = j->events;

	(void)arg;
	assert(e->magic == EVENTS_MAGIC);
	TAILQ_REMOVE(&e->json_pages, j, link);
	if (j->conn != NULL && !has_list(j))
		reply_gone(j->conn);
	else if (j->conn != NULL &&
		 (a->newest.epoch == 0 || (a->error != ERR_OK && a->n == 0)))
		reply_error(j->conn, a->error);
	else if (j->conn != NULL)
		reply_page(j->conn, j);
	for (size_t i = 0; i < a->n; i++)
		change_batch_unref(a->batches[i]);
	free(a->batches);
	access_unref(j->query.access);
	free(j);
	events_answered(e);
}

bool json_page_serve(struct events *e, struct conn *c, const struct events_query *q)
{
	static const struct change_pos oldest;
	struct json_page *j = calloc(1, sizeof *j);

	if (j == NULL) {
		reply_error(c, ERR_NOMEM);
		return true;
	}
	j->events = e;
	j->query = *q;
	access_ref(j->query.access);
	if (!q->has_since && e->known) {
		j->ask.newest = e->end;
		reply_page(c, j);
		access_unref(j->query.access);
		free(j);
		return true;
	}
	j->conn = c;
	TAILQ_INSERT_TAIL(&e->json_pages, j, link);
	conn_park(c, j);
	events_ask(e, &j->ask, q->has_since && !q->bad_since ? &q->since : &oldest,
	    q->watchlist[0] != '\0' ? WATCH_READ_BYTES : READ_BYTES, on_answer);
	return true;
}

bool json_page_gone(struct events *e, const void *parked)
{
	struct json_page *j;

	TAILQ_FOREACH(j, &e->json_pages, link)
		if (j == parked) {
			j->conn = NULL;
			return true;
		}
	return false;
}
