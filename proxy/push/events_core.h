/* events_core.h - what the files of events share; nobody else includes it.
 *
 * The log's batches are on their way to a subscriber as
 *
 *	batch       changes of one issuer, or notices, or alarms, as they were logged
 *	            (change.h)
 *	sheet       a batch, with its frames
 *	frame       the text of one event of a batch: what goes over the wire
 *	roll        sheets, one behind the other in the order of the log (roll.h)
 *
 * and who holds what is
 *
 *	struct events
 *	  window ----------- roll: what was told last, for all who are at the end or near
 *	  news, walked ----- batches that are still to come into it; that it got last
 *	  live, due ... ---- struct sub: a socket and a place (subscriber.h)
 *	                       page ---> lag_page: roll; one for all who read it
 *	                       share --> snapshot_share: snapshot; one for all who read it
 *	  lag_reads -------- lag_read: the keeper is asked for a page; the subs that wait
 *	  shares ----------- snapshot_share: the same for a snapshot; then its readers
 *	  json_pages ------- json_page: the same for a client that polls; its connection
 *
 * The files, of which each calls those above it only:
 *
 *	subscriber.c      one subscriber: in and out of its lists, its end
 *	events_say.c      bytes to one subscriber, and what comes before its events
 *	events_ask.c      questions to the keeper: pages for those who are behind
 *	snapshot_share.c  snapshots: who shares one, who makes room
 *	events_watch.c    what of all that concerns a subscriber's watchlist
 *	events_standing.c the notices in force, at the end of a snapshot
 *	events_send.c     what to write next to one subscriber
 *	json_page.c       one page as JSON
 *	events.c          subscribing, news, the walk over those who listen, time, the end
 */
#ifndef PROXY_PUSH_EVENTS_CORE_H
#define PROXY_PUSH_EVENTS_CORE_H

#include <event2/event.h>
#include <event2/event_struct.h>
#include <sys/queue.h>

#include "proxy/push/events.h"
#include "proxy/push/roll.h"
#include "proxy/push/subscriber.h"

struct lag_page { /* of the log, for those who are behind the window */
	unsigned refs;
	struct roll roll;
};

struct lag_read {              /* a page that was asked for, and who waits for it */
	struct teller_ask ask; /* first: it comes back as this */
	struct events *events;
	struct subs subs;
	TAILQ_ENTRY(lag_read) link;
};

struct snapshot_share {           /* a snapshot, and who waits for it */
	struct snapshot snapshot; /* first: it comes back as this */
	struct events *events;
	unsigned refs; /* of those who read it, of the question, and of who borrows it */
	bool ready;
	/* Its content, of so many bytes, is its own; or else that of the lender, to which
	 * this is a reference, if it has any. */
	bool holds;
	struct snapshot_share *lender;
	size_t bytes;
	int64_t taken_ms;
	struct subs subs;
	TAILQ_ENTRY(snapshot_share) link;
};

struct json_page {
	struct teller_ask ask; /* first: it comes back as this */
	struct events *events;
	struct conn *conn; /* NULL: its client has gone */
	struct events_query query;
	TAILQ_ENTRY(json_page) link;
};

struct news_list {
	struct msg *first, **last;
};

#define EVENTS_MAGIC 0x65766e74u

struct events {
	unsigned magic;
	struct shared *shared;
	struct event_base *base;
	struct inbox *own;
	struct counters *counters;
	void (*idle)(void *arg);
	void *idle_arg;
	bool draining;
	size_t count, asking;
	size_t watching; /* of count: by watchlist */
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
	int64_t told_ms;               /* when the last walk began */
	struct news_list news, walked; /* to come; passed on by the walk under way */
	/* questions: */
	TAILQ_HEAD(, lag_read) lag_reads;
	size_t lag_reads_n;
	size_t paged; /* bytes of all struct lag_page */
	TAILQ_HEAD(, snapshot_share) shares;
	struct snapshots *snapshots;
	size_t shares_asked, shares_held; /* questions; contents */
	size_t shares_bytes, shares_max;  /* of contents */
	bool shares_wanted; /* since the last tick: somebody found no room */
	TAILQ_HEAD(, json_page) json_pages;
	/* by watchlist: */
	struct watch_view view; /* of the callback under way */
	int64_t names_said_ms;  /* when it was last said that names cannot be read */
	char scratch[EVENTS_TEXT_MAX];
};

/* Does what follows pos come from the window? */
static inline bool events_has(const struct events *e, const struct change_pos *pos)
{
	return e->known && pos->epoch == e->start.epoch &&
	       change_pos_cmp(pos, &e->start) >= 0;
}

static inline struct roll *events_roll(struct sub *s, const struct change_pos *pos)
{
	if (events_has(s->events, pos))
		return &s->events->window;
	return s->page != NULL ? &s->page->roll : NULL;
}

/* The whole of a batch, or nothing; what a watchlist has of it is looked up then. */
static inline bool sub_wants(const struct sub *s, const struct sheet *sheet)
{
	return change_batch_is_for(
		   sheet->batch, s->issuer, s->watch != NULL ? s->watch->list : "") &&
	       access_issuer(s->access, sheet->batch->issuer);
}

/* events_ask.c */
void events_begin(struct events *e, const struct change_pos *end); /* it is known */
void events_read(struct sub *s); /* its list becomes one of those that wait */
/* s has had what is here of the log.  True: it is at the end; false: it waits for a page.
 */
bool events_read_on(struct sub *s);
/* Ask for what follows from; done is called on this thread. */
void events_ask(struct events *e, struct teller_ask *a, const struct change_pos *from,
    size_t max_bytes, void (*done)(void *inbox_arg, struct question *q));
void events_answered(struct events *e); /* last in each done */

/* snapshot_share.c */
void snapshot_share_join(struct sub *s); /* its list becomes one of those that wait */
/* With each tick, before others try again. */
void snapshot_share_make_room(struct events *e);

/* events_send.c: write what s can take, and put it where it belongs then. */
void events_send(struct sub *s);

/* json_page.c: as events_serve() and events_gone(). */
bool json_page_serve(struct events *e, struct conn *c, const struct events_query *q);
bool json_page_gone(struct events *e, const void *parked);

#endif
