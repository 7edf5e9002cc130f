/* hook_turns.c - one webhook: what it does next, and what became of it. */
#include <assert.h>
#include <stdio.h>
#include <stdlib.h>

#include "proxy/base/clock.h"
#include "proxy/base/log.h"
#include "proxy/push/hooks_core.h"

/* Saving. */

/* It is where it outlives us: the next step may be made. */
static void saved(struct hook *k)
{
	k->unsaved = false;
	k->saved = k->state.position;
	k->saved_ms = k->kept_ms = clock_mono_ms();
	k->cut_saved = k->state.upto.epoch != 0;
}

static void on_saved(void *arg, enum err e)
{
	struct hook *k = arg;

	if (!hook_back(k))
		return;
	k->phase = HOOK_READY;
	if (e == ERR_OK) {
		saved(k);
	} else if (e == ERR_CONFLICT) {
		log_info("webhook_lease_lost", "webhook=%s", k->w->name);
		hook_lose(k);
		return;
	} else if (e != ERR_NOT_FOUND && e != ERR_CANCELLED) {
		log_warn(
		    "webhook_not_saved", "webhook=%s err=%s", k->w->name, err_label(e));
	}
	/* what is not saved is tried again with the next tick */
	k->wait = FOR_TIME;
	if (e == ERR_OK)
		hook_due(k);
}

static void save(struct hook *k, enum hook_phase phase)
{
	k->phase = phase;
	k->unsaved = true;
	hook_leaves(k);
	hook_store_save(k->hooks->store, k->w->name, &k->state, on_saved, k);
}

/* Its next message. */

/* A message that was cut at the end of the log is what it is from now on. */
static void begin(struct hook *k)
{
	bool known = change_pos_cmp(&k->state.upto, &k->cut.upto) == 0 &&
		     k->state.upto.epoch == k->cut.upto.epoch && k->cut_saved;

	if (strcmp(k->cut.type, "gap") != 0) {
		k->state.upto = k->cut.upto;
		k->state.many = k->cut.many;
	}
	if (k->cut.open && !known)
		save(k, HOOK_CUTTING);
	else
		hook_send(k);
}

static void look(struct hook *k)
{
	const struct hook_wish wish = {.w = k->w,
	    .pos = &k->state.position,
	    .upto = k->state.upto,
	    .many = k->state.many,
	    .scan = &k->scan,
	    .now = clock_now(),
	    .now_ms = clock_mono_ms()};

	switch (hook_next(&k->hooks->maker, &wish, &k->cut)) {
	case NEXT_MESSAGE:
		begin(k);
		return;
	case NEXT_END:
		k->wait = FOR_END;
		break;
	case NEXT_WAITS:
		k->wait = FOR_LOG;
		break;
	case NEXT_MORE:
		hook_due(k); /* others have theirs first */
		break;
	case NEXT_LATER:
	case NEXT_NO_LIST:
	case NEXT_NOMEM:
		k->wait = FOR_TIME;
		break;
	}
}

void hook_step(struct hook *k)
{
	struct hooks *h = k->hooks;

	if (k->phase != HOOK_READY || k->dropped || h->draining || h->cancelled)
		return;
	k->wait = FOR_TIME;
	if (k->unsaved) {
		save(k, HOOK_SAVING);
		return;
	}
	if (webhook_is_disabled(k->w, &k->state) ||
	    !hook_turn_may(&k->turn, clock_mono_ms()))
		return;
	if (!hook_store_holds(h->store, k->w->name)) {
		hook_lose(k);
		return;
	}
	if (k->cut.type != NULL)
		begin(k);
	else
		look(k);
}

/* What became of a try. */

static void taken(struct hook *k)
{
	struct webhook_state *s = &k->state;

	if (s->tries > 0)
		log_settled(LOG_INFO, "webhook_works", "webhook=%s after_failures=%u",
		    k->w->name, s->tries);
	metrics_count(k->hooks->counters, M_HOOKS_TAKEN);
	k->proven = true;
	s->position = k->cut.upto;
	s->upto = (struct change_pos){0};
	s->many = 0;
	s->last_success = clock_now();
	s->tries = 0;
	s->failing_since = s->next_try = 0;
	hook_cut_drop(k);
}

static void failed(struct hook *k, enum hook_goes goes, const char *why)
{
	struct webhook_state *s = &k->state;
	int64_t wait_ms = k->turn.next_ms - clock_mono_ms();

	s->tries = k->turn.failures;
	s->failing_since = k->turn.failing_at;
	s->last_error_at = clock_now();
	s->next_try = goes == HOOK_WAITS ? s->last_error_at + (wait_ms + 999) / 1000 : 0;
	snprintf(s->last_error, sizeof s->last_error, "%s", why);
	metrics_count(k->hooks->counters,
	    goes == HOOK_GIVEN_UP ? M_HOOKS_GIVEN_UP : M_HOOKS_FAILED);
	if (goes == HOOK_WAITS) {
		log_warn("webhook_failed", "webhook=%s id=%s tries=%u next_s=%lld why=%s",
		    k->w->name, k->cut.id, s->tries, (long long)((wait_ms + 999) / 1000),
		    why);
		return;
	}
	s->gone_at = s->last_error_at;
	s->gone_enabled = k->w->enabled;
	snprintf(s->gone_why, sizeof s->gone_why, "%s", why);
	log_error("webhook_disabled", "webhook=%s why=%s remedy=%s", k->w->name, why,
	    "mend its receiver, then PUT it with \"disabled\":false: it goes on where it "
	    "was");
	hook_disabled_say(k);
}

void hook_ended(struct hook *k, const struct hook_answer *a, const char *why)
{
	struct hooks *h = k->hooks;
	const struct hook_moment now = {clock_now(), clock_mono_ms(), hooks_chance(h)};
	enum hook_goes goes;

	k->phase = HOOK_READY;
	if (k->sent_start != k->w->start) {
		hook_due(k); /* it was moved meanwhile: nothing of that counts */
	} else {
		goes = hook_turn_ended(&k->turn, a, &h->retry, &now);
		if (goes == HOOK_GOES_ON)
			taken(k);
		else
			failed(k, goes, why);
		save(k, HOOK_SAVING);
	}
	hooks_wake(h, FOR_SEAT);
}
