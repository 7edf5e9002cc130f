/* hook_table.c - which webhooks there are, and which of them are ours to deliver. */
#include <assert.h>
#include <stdlib.h>

#include "proxy/base/alarms.h"
#include "proxy/base/clock.h"
#include "proxy/base/log.h"
#include "proxy/base/timer.h"
#include "proxy/push/hooks_core.h"

#define AGAIN_MS     5000 /* to take a lease that another node has */
#define KEEP_MS      (HOOK_LEASE_MS / 3)
#define IDLE_SAVE_MS 60000 /* a place that moved over what concerns others */

unsigned hooks_chance(struct hooks *h)
{
	/* of splitmix64 */
	uint64_t x = h->random += UINT64_C(0x9e3779b97f4a7c15);

	x = (x ^ x >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
	return (unsigned)(x >> 48);
}

/* Who is due. */

/* With the next turn of the loop, not within this one.  No memory: the tick does. */
void hooks_turn(struct hooks *h)
{
	if (!evtimer_pending(h->steps, NULL))
		(void)timer_arm(h->steps, 0);
}

void hooks_wake(struct hooks *h, enum hook_wait what)
{
	h->woken |= 1u << what;
	hooks_turn(h);
}

void hook_due(struct hook *k)
{
	struct hooks *h = k->hooks;

	if (k->due)
		return;
	k->due = true;
	TAILQ_INSERT_TAIL(&h->due, k, due_link);
	hooks_turn(h);
}

static void undue(struct hook *k)
{
	if (k->due)
		TAILQ_REMOVE(&k->hooks->due, k, due_link);
	k->due = false;
}

/* Once for all that has woken somebody since: a wave ends as a thousand tries. */
static void gather(struct hooks *h)
{
	unsigned woken = h->woken;
	struct hook *k;

	h->woken = 0;
	if (woken == 0)
		return;
	TAILQ_FOREACH(k, &h->all, link)
		if (k->phase == HOOK_READY && (woken & 1u << k->wait) != 0)
			hook_due(k);
}

struct hook *hooks_next(struct hooks *h)
{
	struct hook *k;

	gather(h);
	k = TAILQ_FIRST(&h->due);
	if (k != NULL)
		undue(k);
	return k;
}

struct hook *hook_find(struct hooks *h, const char *name)
{
	struct hook *k;

	TAILQ_FOREACH(k, &h->all, link)
		if (!k->dropped && strcmp(k->w->name, name) == 0)
			return k;
	return NULL;
}

void hook_cut_drop(struct hook *k)
{
	free(k->cut.body.p);
	k->cut = (struct hook_cut){0};
	k->cut_saved = false;
	k->scan = (struct hook_scan){0};
}

static void free_hook(struct hook *k)
{
	assert(k->fetch == NULL && k->away == 0);
	TAILQ_REMOVE(&k->hooks->all, k, link);
	undue(k);
	hook_cut_drop(k);
	webhook_unref(k->w);
	free(k);
}

void hook_leaves(struct hook *k)
{
	k->away++;
	k->hooks->away++;
}

bool hook_back(struct hook *k)
{
	assert(k->away > 0 && k->hooks->away > 0);
	k->away--;
	k->hooks->away--;
	if (!k->dropped)
		return true;
	if (k->away == 0)
		free_hook(k);
	return false;
}

void hook_disabled_say(const struct hook *k)
{
	if (k->state.gone_at != 0 && webhook_is_disabled(k->w, &k->state) &&
	    !k->w->disabled)
		alarm_raise(ALARM_WEBHOOK_DISABLED, "", k->w->name, k->state.gone_why);
	else
		alarm_clear(ALARM_WEBHOOK_DISABLED, "", k->w->name);
}

/* Leases. */

void hook_lose(struct hook *k)
{
	hook_send_cancel(k);
	hook_cut_drop(k);
	k->phase = HOOK_ASIDE;
	k->unsaved = k->proven = false;
	k->again_ms = clock_mono_ms() + AGAIN_MS;
}

/* As an operator has it: begun anew, or moved. */
static void follow_start(struct hook *k)
{
	if (k->state.start == k->w->start)
		return;
	k->state.start = k->w->start;
	k->state.position = k->w->from;
	k->state.upto = (struct change_pos){0};
	k->state.many = 0;
	k->state.tries = 0;
	k->state.failing_since = k->state.next_try = 0;
}

/* An operator has enabled what was given up: its failures of then count no more, also not
 * after a restart. */
static void forgive(struct hook *k)
{
	struct webhook_state *s = &k->state;

	if (s->gone_at == 0 || s->gone_enabled == k->w->enabled)
		return;
	s->gone_at = 0;
	s->gone_why[0] = '\0';
	s->tries = 0;
	s->failing_since = s->next_try = 0;
	k->turn = (struct hook_turn){0};
	k->unsaved = true;
}

/* Where the one who delivered before has left it; when it is to be tried again counts for
 * whoever goes on. */
static void go_on_from(struct hook *k, const struct webhook_state *s)
{
	int64_t wait_s;

	k->state = s != NULL ? *s : (struct webhook_state){.start = ~k->w->start};
	follow_start(k);
	k->saved = k->state.position;
	k->saved_ms = k->kept_ms = clock_mono_ms();
	k->cut_saved = k->state.upto.epoch != 0;
	wait_s = k->state.next_try - clock_now();
	wait_s = wait_s < 0 ? 0 : wait_s < 2 * HOOK_WAIT_MAX_S ? wait_s : 0;
	k->turn = (struct hook_turn){.failures = k->state.tries,
	    .failing_at = k->state.failing_since,
	    .next_ms = clock_mono_ms() + wait_s * 1000};
}

static void on_taken(void *arg, enum err e, const struct webhook_state *s)
{
	struct hook *k = arg;

	if (!hook_back(k))
		return;
	k->phase = HOOK_ASIDE;
	k->again_ms = clock_mono_ms() + AGAIN_MS;
	if (e != ERR_OK) {
		if (e != ERR_CONFLICT && e != ERR_CANCELLED)
			log_warn("webhook_lease_failed", "webhook=%s err=%s", k->w->name,
			    err_label(e));
		return;
	}
	k->phase = HOOK_READY;
	k->unsaved = false;
	hook_cut_drop(k);
	go_on_from(k, s);
	forgive(k);
	hook_disabled_say(k);
	hook_due(k);
}

void hook_take(struct hook *k)
{
	struct hooks *h = k->hooks;

	if (k->phase != HOOK_ASIDE || k->dropped || h->draining || h->cancelled)
		return;
	k->phase = HOOK_TAKING;
	hook_leaves(k);
	hook_store_take(h->store, k->w->name, on_taken, k);
}

static void on_kept(void *arg, enum err e)
{
	struct hook *k = arg;

	if (!hook_back(k) || e != ERR_CONFLICT || k->phase <= HOOK_TAKING)
		return;
	log_info("webhook_lease_lost", "webhook=%s", k->w->name);
	if (k->phase == HOOK_READY || k->phase == HOOK_SENDING)
		hook_lose(k); /* else the save that is away says so too */
}

void hook_tick_lease(struct hook *k, int64_t now_ms)
{
	struct hooks *h = k->hooks;

	if (k->phase == HOOK_ASIDE && now_ms >= k->again_ms)
		hook_take(k);
	if (k->phase <= HOOK_TAKING || now_ms - k->kept_ms < KEEP_MS || h->cancelled)
		return;
	k->kept_ms = now_ms;
	if (k->phase == HOOK_READY && now_ms - k->saved_ms >= IDLE_SAVE_MS &&
	    change_pos_cmp(&k->saved, &k->state.position) != 0) {
		k->unsaved = true; /* the next step does it */
		return;
	}
	hook_leaves(k);
	hook_store_keep(h->store, k->w->name, on_kept, k);
}

void hooks_let_go(struct hooks *h)
{
	struct hook *k;

	TAILQ_FOREACH(k, &h->all, link) {
		hook_send_cancel(k);
		if (k->phase > HOOK_TAKING)
			hook_store_leave(h->store, k->w->name);
		if (k->phase == HOOK_SENDING)
			k->phase = HOOK_READY;
	}
}

/* The table. */

static struct hook *hook_new(struct hooks *h)
{
	struct hook *k = calloc(1, sizeof *k);

	if (k == NULL)
		return NULL;
	k->hooks = h;
	TAILQ_INSERT_TAIL(&h->all, k, link);
	return k;
}

/* Another URL, filter or secret, enabled or moved: it is tried at once, with a message
 * that is made anew. */
static void changed(struct hook *k)
{
	if (k->phase <= HOOK_TAKING)
		return;
	follow_start(k);
	k->turn.next_ms = 0;
	k->turn.failures = 0;
	forgive(k);
	k->state.upto = (struct change_pos){0};
	k->state.many = 0;
	if (k->phase == HOOK_READY)
		hook_cut_drop(k);
	hook_disabled_say(k);
	hook_due(k);
}

void hook_put(void *hooks, const struct webhook *w, const struct webhook *before)
{
	struct hooks *h = hooks;
	struct hook *k = hook_find(h, w->name);

	(void)before;
	if (k == NULL)
		k = hook_new(h);
	if (k == NULL) {
		log_error("webhook_not_delivered", "webhook=%s err=%s", w->name,
		    err_label(ERR_NOMEM));
		return;
	}
	webhook_unref(k->w);
	k->w = webhook_ref(w);
	if (k->phase == HOOK_ASIDE)
		hook_take(k);
	else
		changed(k);
}

void hook_dropped(void *hooks, const struct webhook *w)
{
	struct hooks *h = hooks;
	struct hook *k = hook_find(h, w->name);

	if (k == NULL)
		return;
	alarm_clear(ALARM_WEBHOOK_DISABLED, "", w->name);
	hook_send_cancel(k);
	k->dropped = true;
	if (k->away == 0)
		free_hook(k);
	hooks_wake(h, FOR_SEAT);
}

bool hook_live(void *hooks, const char *name, struct webhook_state *out)
{
	const struct hook *k = hook_find(hooks, name);

	if (k == NULL || k->phase <= HOOK_TAKING)
		return false;
	*out = k->state;
	return true;
}

void hooks_free_table(struct hooks *h)
{
	struct hook *k;

	while ((k = TAILQ_FIRST(&h->all)) != NULL) {
		k->away = 0; /* the store was closed: nothing comes back */
		free_hook(k);
	}
}
