/* upstream_core.h - asks, queues, hosts and responders, for the parts of upstream.h only.
 *
 *	upstream.c        what is known by name; asking, cancelling, life
 *	upstream_pump.c   whose turn it is
 *	upstream_fetch.c  one fetch: how it is asked, judged, and what it says of health
 *	upstream_queue.c  lanes, lines and shares: who waits where, and for what
 *
 * One way, downwards.
 *
 * An ask is waiting (in a lane of its issuer's queue), fetching, or being told its end.
 * Only the pump starts fetches, and it runs only from the loop (the kick event or a
 * queue's timer), never inside a caller's ask() or cancel(): so whatever a callback does,
 * it finds the queues whole.
 *
 * A queue has four lanes, two for each class (keys that were answered before, and
 * strangers).  The classes take turns.  Within one, asks that go on from a responder that
 * failed come first, and neither lane holds up the other when the host at its head is
 * full.  A lane that waits for a host stands in that host's line for its class; a place
 * that gets free goes to the first there, so that issuers with a common host take turns.
 */
#ifndef PROXY_SOURCE_UPSTREAM_CORE_H
#define PROXY_SOURCE_UPSTREAM_CORE_H

#include <event2/event_struct.h>
#include <sys/queue.h>

#include "cache/ocsp/ocsp_request.h"
#include "proxy/http/fetch_words.h"
#include "proxy/source/endpoint.h"
#include "proxy/source/upstream.h"

#define UPSTREAM_LANES 4 /* of each class: going on, fresh */
/* What a fetch costs; a rate of n a second adds n each ms. */
#define UPSTREAM_TOKEN 1000

struct lane;
struct issuer_queue;
TAILQ_HEAD(ask_list, source_ask);
TAILQ_HEAD(lane_list, lane);
TAILQ_HEAD(queue_list, issuer_queue);

enum class { KNOWN, STRANGER, CLASSES };

/* How many asks of each class there are: of fetches under way, or waiting. */
struct share {
	unsigned n[CLASSES];
};

/* host:port of responders, with the fetches under way there. */
struct host {
	char *name;
	struct share in_flight;
	struct lane_list line[CLASSES]; /* lanes whose first ask waits for a place here */
	enum class turn;
};

struct responder {
	char *url;
	struct host *host;
	struct endpoint endpoint;
	const char *last_error;
	char words[FETCH_WORDS_MAX]; /* of last_error */
	uint64_t fetches, failed;
	bool asked; /* one fetch has ended at least */
};

struct lane {
	TAILQ_ENTRY(lane) link; /* in host->line */
	struct host *blocked_on;
	struct host *woken_by; /* has a place for us: pass it on if it is not used */
	struct issuer_queue *queue;
	enum class class;
	struct ask_list asks;
};

/* An issuer's queue, by the issuer's name. */
struct issuer_queue {
	char *name;
	struct upstream *up;
	TAILQ_ENTRY(issuer_queue) link; /* in up->kicked */
	bool is_kicked;
	struct issuer_rules rules; /* as of the last ask */
	struct share in_flight, waiting;
	int64_t tokens, refilled_ms;
	struct event *timer; /* the next token */
	enum class turn;
	struct lane lane[UPSTREAM_LANES];
};

enum ask_state { ASK_WAITING, ASK_FETCHING, ASK_JUDGING, ASK_CANCELLED };

struct source_ask {
	TAILQ_ENTRY(source_ask) link; /* in lane->asks, or up->busy */
	struct upstream *up;
	struct issuer_queue *queue;
	struct lane *lane;
	enum class class;
	enum ask_state state;
	int64_t deadline_ms;
	int fair_ms; /* a timeout of a fetch that had less says nothing */
	struct event timer;
	source_judge_fn *judge;
	source_done_fn *done;
	void *arg;
	/* the fetch under way: */
	struct fetch *fetch;
	struct responder *at;
	struct place *here; /* the same, in place[] */
	bool posts;
	unsigned epoch;
	int timeout_ms;
	/* the outcome so far: */
	bool tried_any, unauthorized;
	enum err error;
	struct key key;
	uint8_t nonce_n;
	uint8_t nonce[OCSP_NONCE_MAX];
	unsigned n;
	struct place {
		struct responder *r;
		bool tried;
		bool get_failed; /* POST is left */
	} place[];
};

struct upstream {
	struct source source; /* first: the caller's handle */
	struct event_base *base;
	struct fetcher *fetcher;
	struct upstream_config config;
	struct counters *counters;
	uint64_t random;
	void *hosts, *responders, *queues; /* tsearch(3) trees, by their first member */
	struct event *kick;
	struct queue_list kicked;
	struct ask_list busy; /* asks that are in no lane */
};

enum lane_kind { GOING_ON, FRESH };

/* Shares: of a bound. */
unsigned upstream_sum(const struct share *s);
bool upstream_has_room(const struct share *s, enum class c, unsigned bound);

/* Queues, lanes and the lines before hosts. */
void upstream_kick(struct issuer_queue *q); /* its turns are handed out, from the loop */
struct lane *upstream_lane(const struct source_ask *a, enum lane_kind kind);
void upstream_block(struct lane *l, struct host *h);
void upstream_unblock(struct lane *l);
/* A place at h may be free: to the first lane in a line; the lines take turns. */
void upstream_wake(const struct upstream *u, struct host *h);
/* Into a lane, which keeps the order of arrival; and out of it, among the busy ones. */
void upstream_wait(struct source_ask *a, struct lane *l);
void upstream_leave(struct source_ask *a);

/* One fetch. */
/* The responder to ask next, NULL for none; *n: how many could be asked. */
struct place *upstream_next(struct source_ask *a, int64_t now, int *n);
/* Start the ask at the head of a lane; everything that bounds it was looked at. */
void upstream_start(struct source_ask *a, struct place *p, int64_t left, int places);
void upstream_release(struct source_ask *a); /* gives back what the fetch took */
void upstream_end(struct source_ask *a, enum err e);

/* Events: the kick of all (arg: upstream), a queue's next token, an ask's timer. */
void upstream_on_kick(evutil_socket_t fd, short what, void *arg);
void upstream_on_token(evutil_socket_t fd, short what, void *arg);
void upstream_on_timeout(evutil_socket_t fd, short what, void *arg);

#endif
