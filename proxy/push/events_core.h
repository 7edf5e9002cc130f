/* events_core.h - what the files of events share; nobody else includes it.
 *
 * events.c       subscribing, news, the walk over those who listen, time, the end
 * events_send.c  one subscriber: what to write next
 * events_ask.c   questions to the keeper: pages of the log
 * events_shot.c  snapshots
 * events_page.c  one page as JSON
 *
 * A subscriber is always in exactly one list, which says what it waits for.  What it was
 * being sent is not kept for it: frames are the same bytes whenever they are written, so
 * a place (pos, or a snapshot's cursor) and the number of bytes that went already are all
 * that a slow one costs.
 *
 *	live     is at the end: the next walk passes it
 *	due      has something to be written now
 *	blocked  its socket is full
 *	queued   wants a page of the log, when others have theirs
 *	later    tried again with the next tick: out of memory, log or keeper not ready
 *
 * and in a struct reading or a struct shot: asked, and not answered yet.
 */
#ifndef PROXY_PUSH_EVENTS_CORE_H
#define PROXY_PUSH_EVENTS_CORE_H

#include <event2/event.h>
#include <event2/event_struct.h>
#include <sys/queue.h>

#include "proxy/http/pace.h"
#include "proxy/push/events.h"
#include "proxy/push/events_text.h"
#include "proxy/push/events_window.h"
#include "proxy/push/snapshot.h"

#define SUB_MAGIC 0x7375626eu

struct sub;
TAILQ_HEAD(subs, sub);

struct page { /* of the log, for those who are behind the window */
	unsigned refs;
	struct roll roll;
};

struct sub {
	struct event ev;
	unsigned magic;
	short armed;
	/* what is to be said before anything else, in this order: */
	bool say_head : 1;
	bool say_wait : 1; /* wait_for */
	bool say_gap : 1;
	bool say_position : 1;
	unsigned wait_for : 2; /* enum events_wait */
	bool told_wait : 1;    /* since it was last told a place */
	/* how pos comes about: */
	bool wants_end : 1;       /* it is the end of the log, which we do not know yet */
	bool bad_since : 1;       /* the client named none that is one */
	bool verified : 1;        /* it is one that the log has */
	bool wants_snapshot : 1;  /* it comes with a snapshot */
	bool snapshot_on_gap : 1; /* ... if the log no longer has it */
	uint32_t skip;            /* bytes of the next frame that went already */
	uint32_t dropped;         /* bytes that the client sent us */
	struct events *events;
	struct subs *list;
	TAILQ_ENTRY(sub) link;
	struct change_pos pos;
	struct page *page; /* a reference, or NULL */
	struct shot *shot; /* a reference, or NULL */
	struct snapshot_cursor cursor;
	struct pace pace; /* from when its socket was full, or a snapshot began, on */
	int64_t said_ms;  /* when it was last told a position */
	int64_t joined_at;
	char issuer[64];              /* "": all */
	char since[EVENTS_SINCE_MAX]; /* for the gap that is to be said */
};
_Static_assert(sizeof(struct sub) <= 512, "an idle subscriber is this and no more");

struct reading {                /* a page that was asked for, and who waits for it */
	struct telling_ask ask; /* first: it comes back as this */
	struct events *events;
	struct subs subs;
	TAILQ_ENTRY(reading) link;
};
struct shot {                     /* a snapshot, and who waits for it */
	struct snapshot snapshot; /* first: it comes back as this */
	struct events *events;
	unsigned refs; /* of those who read it, of the question, and of who borrows it */
	bool ready;
	bool holds;          /* ... its content, of so many bytes; */
	struct shot *lender; /* or else it borrows it here, if it has any: a reference */
	size_t bytes;
	int64_t taken_ms;
	struct subs subs;
	TAILQ_ENTRY(shot) link;
};
struct json_page {
	struct telling_ask ask; /* first: it comes back as this */
	struct events *events;
	struct conn *conn; /* NULL: its client has gone */
	struct events_query query;
	TAILQ_ENTRY(json_page) link;
};

struct news_list {
	struct msg *first, **last;
};

struct events {
	struct shared *shared;
	struct event_base *base;
	struct inbox *own;
	struct counters *counters;
	void (*idle)(void *arg);
	void *idle_arg;
	bool draining;
	size_t count, asking;
	/* options: */
	size_t max;
	int64_t timeout_ms, position_ms;
	/* turns: */
	struct event run, tick;
	int64_t now_ms;
	size_t turn_bytes; /* written since the callback began */
	struct subs live, due, blocked, queued, later;
	struct sub *cursor; /* of the walk over live; NULL: it has ended */
	/* the log, as far as it was told; from start to end it is in the window: */
	bool known;
	struct change_pos first; /* the end of the log when it became known */
	struct change_pos start, end;
	struct roll window;
	struct news_list news, walked; /* to come; passed on by the walk under way */
	/* questions: */
	TAILQ_HEAD(, reading) readings;
	TAILQ_HEAD(, shot) shots;
	struct snapshots *snapshots;
	TAILQ_HEAD(, json_page) pages;
	size_t readings_n;
	size_t shots_asked, shots_held; /* questions; contents */
	size_t shots_bytes, shots_max;  /* of contents */
	bool shots_wanted;              /* since the last tick: somebody found no room */
	size_t paged;                   /* bytes of all struct page */
	char scratch[EVENTS_TEXT_MAX];
};

/* events.c */
void events_wake(struct events *e); /* somebody is due */
void sub_move(struct sub *s, struct subs *to);
void sub_close(struct sub *s);
void sub_cut(struct sub *s); /* the same for a slow one: what it owes is dropped */
static inline bool events_has(const struct events *e, const struct change_pos *pos)
{
	return e->known && pos->epoch == e->start.epoch &&
	       change_pos_cmp(pos, &e->start) >= 0;
}

/* events_send.c: write what s can take, and put it where it belongs then. */
void events_send(struct sub *s);
/* s has to wait: say so, where it was not told or not for position-interval.  Its list
 * stays.  False: its client has gone, and s too. */
bool events_say_wait(struct sub *s, enum events_wait what);

/* events_ask.c */
void events_begin(struct events *e, const struct change_pos *end); /* it is known */
void events_read(struct sub *s); /* its list becomes one of those that wait */
void page_unref(struct events *e, struct page *p); /* NULL is allowed */
/* Ask for what follows from; done is called on this thread. */
void events_ask(struct events *e, struct telling_ask *a, const struct change_pos *from,
    size_t max_bytes, void (*done)(void *inbox_arg, struct question *q));
void events_answered(struct events *e); /* last in each done */
void events_learn(struct events *e, const struct change_pos *newest);

/* events_shot.c */
void events_snapshot(struct sub *s); /* its list becomes one of those that wait */
void shot_unref(struct shot *s);
void events_make_room(struct events *e); /* with each tick, before others try again */

/* events_page.c */
bool events_page(struct events *e, struct conn *c, const struct events_query *q);

#endif
