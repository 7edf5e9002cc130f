/* subscriber.h - one subscriber: a socket, a place in the log, and what it waits for.
 *
 * It is always in exactly one list, which says the latter.  What it was being sent is not
 * kept for it: frames are the same bytes whenever they are written, so a place (pos, or a
 * snapshot's cursor) and the number of bytes that went already are all that a slow one
 * costs.
 *
 *	live     is at the end: the next walk passes it
 *	due      has something to be written now
 *	blocked  its socket is full
 *	queued   wants a page of the log, when others have theirs
 *	later    tried again with the next tick: out of memory, log or keeper not ready
 *
 * and in a lag_read or a snapshot_share (events_core.h): asked, and not answered yet.
 *
 * The API's thread.  Only the files of events include this.
 */
#ifndef PROXY_PUSH_SUBSCRIBER_H
#define PROXY_PUSH_SUBSCRIBER_H

#include <event2/event_struct.h>
#include <sys/queue.h>

#include "cache/change/change.h"
#include "proxy/base/access.h"
#include "proxy/http/pace.h"
#include "proxy/push/events_text.h"
#include "proxy/push/snapshot.h"
#include "proxy/push/watch_text.h"

struct events;
struct standing_cursor; /* proxy/push/standing_text.h */

#define SUB_MAGIC 0x7375626eu

struct sub;
TAILQ_HEAD(subs, sub);

/* What depends on watchlists may be other by the time that a socket takes more, so that
 * the same bytes cannot be written again: what is left of what was begun is kept, at most
 * some WATCH_EVENT_BYTES and a change or two more, or a record of alarms. */
struct sub_rest {
	size_t n;
	uint32_t events, changes; /* of which these are what was begun */
	char p[];
};

/* Of who has a watchlist. */
struct sub_watch {
	char list[WATCH_NAME_MAX];
	/* during a snapshot, references: */
	const struct watch_list *then;
	const struct watch_cas *cas;
	struct watch_cursor cursor;
};
void sub_watch_free(struct sub_watch *w); /* NULL is allowed */

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
	bool said_revoked : 1;    /* of the snapshot: what is revoked already */
	uint32_t skip;            /* bytes of the next frame that went already */
	uint32_t dropped;         /* bytes that the client sent us */
	struct events *events;
	struct subs *list;
	TAILQ_ENTRY(sub) link;
	struct change_pos pos;
	struct lag_page *page;        /* a reference, or NULL */
	struct snapshot_share *share; /* a reference, or NULL */
	struct snapshot_cursor cursor;
	struct standing_cursor *standing; /* in what follows in it; or NULL */
	struct sub_watch *watch;          /* NULL: by no watchlist */
	struct sub_rest *rest;            /* or NULL */
	struct access *access;            /* a reference, counted as a stream; or NULL */
	struct pace pace; /* from when its socket was full, or a snapshot began, on */
	int64_t said_ms;  /* when it was last told a position */
	int64_t joined_at;
	char issuer[64];              /* "": all */
	char since[EVENTS_SINCE_MAX]; /* for the gap that is to be said */
};
_Static_assert(sizeof(struct sub) <= 512, "an idle subscriber is this and no more");

void sub_move(struct sub *s, struct subs *to); /* NULL: into none */
/* Gone, with its references; s is freed. */
void sub_close(struct sub *s);
void sub_cut(struct sub *s); /* the same for a slow one: what it owes is dropped */

/* Somebody is due: the loop's next turn looks. */
void events_wake(struct events *e);

/* What several subscribers hold goes with the last of them.  page: NULL is allowed. */
void lag_page_unref(struct events *e, struct lag_page *p);
void snapshot_share_unref(struct snapshot_share *s);

#endif
