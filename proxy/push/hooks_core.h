/* hooks_core.h - what the files of hooks share; nobody else includes it.
 *
 * What a webhook is doing (its state), and what it waits for:
 *
 *	           taken                 a message            saved, or needs not be
 *	ASIDE --> TAKING --> READY -------------------> CUTTING ------------------> READY
 *	  ^          |         |  ^                                                   |
 *	  |          |         |  +-- SAVING <--------------- SENDING <---------------+
 *	  +----------+---------+        what came of it                    a place is free
 *	    another node has the lease
 *
 * In READY it waits for one of enum hook_wait, and each of these wakes all who wait for
 * it.  Who is woken is due, and those who are due step one after the other, a slice of
 * them at a time: a thousand are woken at once, and the loop has to turn meanwhile, for
 * every barrier goes through it.
 *
 *	hooks.c       the thread, its life, time
 *	hook_turns.c  one webhook: what it does next
 *	hook_table.c  which webhooks there are: put, dropped, leases, who waits for what
 *	hook_send.c   one try: signed, sent, judged; tests, too
 *
 * each of which calls those below it; these call it by `ended`, and have a webhook step
 * by hook_due().
 */
#ifndef PROXY_PUSH_HOOKS_CORE_H
#define PROXY_PUSH_HOOKS_CORE_H

#include <event2/event.h>
#include <sys/queue.h>

#include "proxy/base/executor.h"
#include "proxy/base/metrics.h"
#include "proxy/base/thread.h"
#include "proxy/http/fetch.h"
#include "proxy/push/hook_desk.h"
#include "proxy/push/hook_next.h"
#include "proxy/push/hook_own.h"
#include "proxy/push/hook_seats.h"
#include "proxy/push/hook_turn.h"
#include "proxy/push/hooks.h"

enum hook_phase {
	HOOK_ASIDE,
	HOOK_TAKING,
	HOOK_READY,
	HOOK_CUTTING,
	HOOK_SENDING,
	HOOK_SAVING
};
enum hook_wait {
	FOR_TIME, /* until the next tick looks */
	FOR_LOG,  /* a page that is being read */
	FOR_END,  /* the log grows */
	FOR_SEAT  /* a place to send is free */
};

struct hook {
	TAILQ_ENTRY(hook) link, due_link;
	struct hooks *hooks;
	bool due;                /* in hooks.due */
	const struct webhook *w; /* a reference; when dropped the last one that was */
	enum hook_phase phase;
	enum hook_wait wait; /* in HOOK_READY */
	bool dropped;        /* freed when nothing is away */
	unsigned away;       /* calls of the store */
	bool unsaved; /* state says more than the store has, and it must be there */
	bool proven;  /* it took a message, since we deliver it */
	struct webhook_state state;
	struct change_pos saved; /* state.position, as the store has it */
	int64_t saved_ms, kept_ms, again_ms;
	struct hook_scan scan;
	struct hook_turn turn;
	struct hook_cut cut; /* type NULL: none */
	bool cut_saved;      /* upto and many are in the store */
	struct fetch *fetch; /* in HOOK_SENDING */
	struct hook_seat seat;
	int64_t sent_ms;
	uint64_t sent_start; /* webhook.start, as it was sent */
};

struct hook_test { /* beside what is delivered */
	LIST_ENTRY(hook_test) link;
	struct hooks *hooks;
	struct fetch *fetch;
	hook_tested_fn *done;
	void *arg;
};

struct hooks {
	struct shared *shared;
	struct event_base *base;
	struct inbox *inbox;
	struct executor *disk;
	struct counters *counters;
	struct hook_store *store; /* NULL: there is none */
	struct hook_desk *desk;
	struct fetcher *fetcher;
	struct hook_maker maker;
	struct hook_seats seats;
	TAILQ_HEAD(, hook) all;
	TAILQ_HEAD(, hook) due; /* these step, the first one next */
	unsigned woken;         /* 1 << enum hook_wait: who waits for it is due */
	struct event *steps;
	LIST_HEAD(, hook_test) tests;
	size_t tests_n;
	struct event *tick;
	struct order reload, drain, cancel, stop, grown;
	bool draining, cancelled, leaving;
	uint64_t random;
	/* hook_turns.c's, for those below it: */
	void (*ended)(struct hook *k, const struct hook_answer *a, const char *why);
	/* of the configuration, copied: */
	struct hook_own own;
	struct network *allow;
	size_t allow_n;
	uint8_t *tls_ca;
	char *api_url;
	int64_t *retry_ms;
	struct hook_retry retry;
	int timeout_ms;
	/* for others to see: */
	size_t away; /* of all, calls of the store */
	_Atomic size_t busy, count, failing, disabled;
	pthread_t thread;
	bool started;
};

/* hook_table.c */
void hooks_wake(struct hooks *h, enum hook_wait what); /* all who wait for it are due */
void hook_due(struct hook *k);                         /* it steps soon; again: once */
void hooks_turn(struct hooks *h);                      /* those who are due step */
struct hook *hooks_next(struct hooks *h);              /* who is due; NULL: nobody */
unsigned hooks_chance(struct hooks *h);                /* 0..65535 */
void hook_cut_drop(struct hook *k);
void hook_disabled_say(const struct hook *k);              /* the alarm */
struct hook *hook_find(struct hooks *h, const char *name); /* or NULL */
void hook_put(void *hooks, const struct webhook *w, const struct webhook *before);
void hook_dropped(void *hooks, const struct webhook *w);
bool hook_live(void *hooks, const char *name, struct webhook_state *out);
/* A call of the store begins. */
void hook_leaves(struct hook *k);
/* One of its calls has come back.  False: it was dropped, and is freed where it was the
 * last. */
bool hook_back(struct hook *k);
void hook_take(struct hook *k);
void hook_tick_lease(struct hook *k, int64_t now_ms);
/* Another node has it, or will: what was made here goes. */
void hook_lose(struct hook *k);
void hooks_let_go(struct hooks *h); /* of all: we stop */
void hooks_free_table(struct hooks *h);

/* hook_turns.c */
void hook_step(struct hook *k);
void hook_ended(
    struct hook *k, const struct hook_answer *a, const char *why); /* of a try */

/* hook_send.c: false: there is no place, or no memory; hook_ended() is called when it was
 * sent. */
bool hook_send(struct hook *k);
void hook_send_slow(struct hook *k, int64_t now_ms);
void hook_send_cancel(struct hook *k);
void hook_test(void *hooks, const struct webhook *w, const char *id, hook_tested_fn *done,
    void *done_arg);
void hook_tests_cancel(struct hooks *h);

#endif
