/* events_core.h - what the files of events share; nobody else includes it.
 *
 * subscriber.c   one subscriber: in and out of its lists
 * events_ask.c   questions to the keeper: pages of the log
 * events_shot.c  snapshots
 * events_send.c  what to write next to one subscriber
 * events_page.c  one page as JSON
 * events.c       subscribing, news, the walk over those who listen, time, the end
 *
 * Each calls those above it only.
 */
#ifndef PROXY_PUSH_EVENTS_CORE_H
#define PROXY_PUSH_EVENTS_CORE_H

#include <event2/event.h>
#include <event2/event_struct.h>
#include <sys/queue.h>

#include "proxy/push/events.h"
#include "proxy/push/events_window.h"
#include "proxy/push/subscriber.h"

struct page { /* of the log, for those who are behind the window */
	unsigned refs;
	struct roll roll;
};

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
/* Ask for what follows from; done is called on this thread. */
void events_ask(struct events *e, struct telling_ask *a, const struct change_pos *from,
    size_t max_bytes, void (*done)(void *inbox_arg, struct question *q));
void events_answered(struct events *e); /* last in each done */
void events_learn(struct events *e, const struct change_pos *newest);

/* events_shot.c */
void events_snapshot(struct sub *s);     /* its list becomes one of those that wait */
void events_make_room(struct events *e); /* with each tick, before others try again */

/* events_page.c */
bool events_page(struct events *e, struct conn *c, const struct events_query *q);

#endif
