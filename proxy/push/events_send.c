/* events_send.c - one subscriber: step by step what it is to be sent next, until it has
 * all, its socket is full, or others want their turn.
 */
#include "proxy/push/events_say.h"

#include <assert.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>

#include "proxy/push/events_standing.h"
#include "proxy/push/events_watch.h"

#define TURN_BYTES  (256 * 1024) /* to one subscriber, then others have their turn */
#define PIECES      16           /* events in one system call */
#define PAGES_BYTES (32u << 20)  /* of pages; over it a slow reader's is read again */

/* A snapshot. */

static void snapshot_end(struct sub *s)
{
	free(s->standing);
	s->standing = NULL;
	s->said_revoked = false;
	s->pos = s->share->snapshot.end;
	s->verified = true;
	s->say_position = true;
	snapshot_share_unref(s->share);
	s->share = NULL;
}

/* What is revoked already was sent: what is going to be follows. */
static enum step send_standing(struct sub *s)
{
	enum step step;
	bool end;

	if (s->standing == NULL)
		s->standing = calloc(1, sizeof *s->standing);
	if (s->standing == NULL)
		return STEP_LATER;
	step = events_standing(s, &end);
	if (step == STEP_MORE && end)
		snapshot_end(s);
	return step;
}

static enum step send_watched(struct sub *s)
{
	bool end;
	enum step step = events_watch_snapshot(s, &end);

	s->said_revoked = step == STEP_MORE && end;
	return step;
}

static enum step send_snapshot(struct sub *s)
{
	const struct crl_entry *entries[EVENTS_CHANGES];
	const struct snapshot *all = &s->share->snapshot;
	struct snapshot_cursor next = s->cursor;
	struct snapshot_part part;
	struct events_snapshot text;
	enum step step;

	assert(s->share->ready);
	if (!snapshot_next(all, &next, entries, EVENTS_CHANGES, &part)) {
		s->said_revoked = true;
		return STEP_MORE;
	}
	if (!access_issuer(s->access, part.of->name)) {
		s->cursor = next;
		s->events->turn_bytes += part.n; /* of looking */
		return STEP_MORE;
	}
	text = (struct events_snapshot){part.of->name, all->at,
	    part.from_list ? CHANGE_CRL : CHANGE_OCSP, part.list, entries, part.n};
	step = say_frame(
	    s, s->events->scratch, events_text_snapshot(&text, s->events->scratch));
	if (step != STEP_MORE)
		return step;
	s->cursor = next;
	metrics_count(s->events->counters, M_EVENTS_SENT);
	metrics_add(s->events->counters, M_CHANGES_SENT, part.n);
	return STEP_MORE;
}

/* Changes. */

struct piece {
	struct roll *roll;
	struct sheet *sheet;
	struct frame *frame;
};

static struct frame *frame_of(
    struct events *e, struct roll *r, struct sheet *sheet, const struct change_pos *pos)
{
	size_t before = r->bytes;
	struct frame *f = roll_frame(r, sheet, pos, e->scratch);

	if (r != &e->window)
		e->paged += r->bytes - before;
	return f;
}

/* What comes next for s, passing over what it does not want. */
static size_t gather(struct sub *s, struct piece piece[PIECES], bool *failed)
{
	struct change_pos pos = s->pos;
	size_t n = 0, bytes = 0;

	*failed = false;
	while (n < PIECES && bytes < TURN_BYTES) {
		struct roll *r = events_roll(s, &pos);
		struct sheet *sheet = r != NULL ? roll_after(r, &pos) : NULL;
		struct frame *f;

		if (sheet == NULL)
			break;
		if (!sub_wants(s, sheet)) {
			pos = sheet_end(sheet);
			if (n == 0)
				s->pos = pos;
			continue;
		}
		f = frame_of(s->events, r, sheet, &pos);
		if (f == NULL) {
			*failed = n == 0;
			break;
		}
		piece[n++] = (struct piece){r, sheet, f};
		pos = f->end;
		bytes += f->n;
	}
	return n;
}

/* f has gone out whole to s. */
static void count_sent(struct sub *s, const struct frame *f)
{
	struct events *e = s->events;

	s->pos = f->end;
	s->said_ms = e->now_ms;
	metrics_count(e->counters, M_EVENTS_SENT);
	metrics_add(e->counters, M_CHANGES_SENT, f->changes);
}

/* The texts that nobody else will want. */
static void drop_pieces(struct sub *s, struct piece *piece, size_t n)
{
	struct events *e = s->events;

	for (size_t i = 0; i < n; i++) {
		struct roll *r = piece[i].roll;
		size_t before = r->bytes;

		if (piece[i].frame->loose) {
			free(piece[i].frame);
		} else if (r != &e->window && s->page->refs == 1) {
			roll_forget(r, piece[i].sheet, piece[i].frame);
			e->paged -= before - r->bytes;
		}
	}
}

static enum step push_pieces(struct sub *s, struct piece *piece, size_t n)
{
	struct iovec iov[PIECES];
	size_t left, i;
	ssize_t taken;

	for (i = 0; i < n; i++)
		iov[i] = (struct iovec){piece[i].frame->text, piece[i].frame->n};
	taken = say_push(s, iov, n);
	if (taken < 0)
		return STEP_GONE;
	left = (size_t)taken;
	for (i = 0; i < n && left >= piece[i].frame->n; i++) {
		left -= piece[i].frame->n;
		count_sent(s, piece[i].frame);
	}
	s->skip = (uint32_t)left;
	return i == n ? STEP_MORE : STEP_FULL;
}

static enum step send_changes(struct sub *s)
{
	struct piece piece[PIECES];
	bool failed;
	size_t n = gather(s, piece, &failed);
	enum step step;

	if (n > 0) {
		step = push_pieces(s, piece, n);
		drop_pieces(s, piece, n);
		return step;
	}
	if (failed)
		return STEP_LATER;
	return events_read_on(s) ? STEP_END : STEP_WAITS;
}

/* The steps in their order. */

/* Is it known where s stands?  It asks where it is not. */
static bool is_placed(struct sub *s)
{
	struct events *e = s->events;

	if (s->wants_end && e->known) {
		/* Who was told to wait has been here since before it was known. */
		s->pos = s->told_wait || s->say_wait ? e->first : e->end;
		s->wants_end = false;
		s->verified = true;
		s->say_position = true;
	} else if (!s->wants_end && !s->bad_since && !s->verified &&
		   events_has(e, &s->pos) && change_pos_cmp(&s->pos, &e->end) <= 0) {
		s->verified = true;
		s->say_position = true;
	}
	return s->verified;
}

static enum step next_step(struct sub *s)
{
	bool placed;

	if (s->rest != NULL)
		return say_rest(s);
	placed = s->wants_snapshot || s->share != NULL || is_placed(s);

	/* Who has seen the head of an answer gets every change from then on; only where
	 * the log was never reached there is nothing from which on, and it is told to
	 * wait. */
	if (s->say_wait || s->say_gap || s->say_position ||
	    (s->say_head && !s->wants_end))
		return say_prefix(s);
	if (s->watch != NULL && !events_watch_open(s))
		return STEP_GONE;
	if (s->wants_snapshot) {
		snapshot_share_join(s);
		return STEP_WAITS;
	}
	if (s->said_revoked)
		return send_standing(s);
	if (s->share != NULL)
		return s->watch != NULL ? send_watched(s) : send_snapshot(s);
	if (!placed) {
		events_read(s);
		return STEP_WAITS;
	}
	return s->watch != NULL ? events_watch_changes(s) : send_changes(s);
}

static void arm(struct sub *s, short want)
{
	struct events *e = s->events;

	if (want == s->armed)
		return;
	event_del(&s->ev);
	s->armed = want;
	if (event_assign(&s->ev, e->base, event_get_fd(&s->ev), want,
		event_get_callback(&s->ev), s) != 0 ||
	    event_add(&s->ev, NULL) != 0)
		sub_close(s);
}

static void block(struct sub *s)
{
	struct events *e = s->events;

	if (s->list != &e->blocked) {
		if (s->share == NULL)
			pace_begin(&s->pace, e->now_ms);
		sub_move(s, &e->blocked);
	}
	if (e->paged > PAGES_BYTES) {
		lag_page_unref(e, s->page);
		s->page = NULL;
	}
}

void events_send(struct sub *s)
{
	struct events *e = s->events;
	size_t before = e->turn_bytes;
	short want = EV_READ | EV_PERSIST;
	enum step step;

	assert(s->magic == SUB_MAGIC && s->list != NULL);
	do
		step = next_step(s);
	while (step == STEP_MORE && e->turn_bytes - before < TURN_BYTES);
	switch (step) {
	case STEP_MORE:
		sub_move(s, &e->due);
		events_wake(e);
		break;
	case STEP_END:
		if (s->list != &e->live)
			sub_move(s, &e->live);
		break;
	case STEP_FULL:
		block(s);
		want |= EV_WRITE;
		break;
	case STEP_WAITS:
		break;
	case STEP_LATER:
		sub_move(s, &e->later);
		break;
	case STEP_GONE:
		sub_close(s);
		return;
	}
	arm(s, want);
}
