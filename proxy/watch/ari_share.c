/* ari_share.c - leases, what is read with them, what is noticed elsewhere. */
#include "proxy/watch/ari_share.h"

#include <assert.h>
#include <event2/event.h>
#include <openssl/rand.h>
#include <stdio.h>
#include <stdlib.h>

#include "proxy/base/clock.h"
#include "proxy/base/log.h"
#include "proxy/base/store_event.h"
#include "proxy/base/timer.h"
#include "proxy/watch/ari_share_core.h"
#include "proxy/watch/node.h"

#define NEWS_MS 100 /* so long more news are waited for */
/* Clocks run differently: of a lease so much is not relied on. */
#define LEASE_SURE_MS (ARI_LEASE_MS / 10 * 9)

/* What is told. */

static void tell_waits(struct ari_share *s, enum err e)
{
	struct redis_health h;

	if (s->waits || e == ERR_CANCELLED)
		return;
	s->waits = true;
	ari_redis_health(s->redis, &h);
	log_warn("ari_waits", "err=%s why=%s effect=%s", err_label(e),
	    h.error[0] != '\0' ? h.error : err_text(e),
	    "no node asks for renewal information until Redis is back");
}

static void tell_goes_on(struct ari_share *s)
{
	if (s->waits)
		log_info("ari_goes_on", "store=redis");
	s->waits = false;
}

static void tell_refused(struct ari_share *s, size_t refused)
{
	if (refused > 0 && !s->refused)
		log_warn("ari_refused", "states=%zu remedy=%s", refused,
		    "give all nodes the same store-key-file");
	s->refused = refused > 0;
}

/* Leases. */

static void lose(struct ari_seat *seat)
{
	enum ari_seat_is was = seat->is;

	seat->is = SEAT_FREE;
	if (was == SEAT_HELD)
		seat->share->use.lost(seat->share->use.arg, seat->directory);
}

static void read_page(struct ari_seat *seat);

static void on_states(void *arg, enum err e, uint64_t next, size_t refused)
{
	struct ari_seat *seat = arg;
	struct ari_share *s = seat->share;

	seat->reading = false;
	if (e == ERR_CANCELLED)
		return;
	if (!ari_merge_end(&s->merge) && e == ERR_OK)
		e = ERR_STORE;
	tell_refused(s, refused);
	if (seat->is != SEAT_READING)
		return;
	if (e != ERR_OK) {
		tell_waits(s, e);
		seat->is = SEAT_FREE; /* the next turn begins again */
	} else if (seat->again || next != 0) {
		seat->from = seat->again ? 0 : next;
		seat->again = false;
		read_page(seat);
	} else {
		seat->is = SEAT_HELD;
		s->use.held(s->use.arg, seat->directory, seat->vanished);
		ari_savers_go(s);
	}
}

static void on_state(void *arg, const struct ari_who *w, const struct ari_state *state)
{
	struct ari_seat *seat = arg;

	ari_merge_one(&seat->share->merge, w, state);
}

static void read_page(struct ari_seat *seat)
{
	struct ari_share *s = seat->share;

	seat->reading = true;
	ari_redis_page(s->redis, ARI_STATES, seat->from, on_state, on_states, seat);
}

/* The lease is ours anew: what others have written meanwhile is read. */
static void begin_reading(struct ari_seat *seat, uint64_t version)
{
	lose(seat);
	seat->is = SEAT_READING;
	seat->vanished = version == 0;
	if (seat->reading) {
		seat->again = true;
		return;
	}
	seat->from = 0;
	read_page(seat);
}

static void on_lease(void *arg, enum err e, enum ari_lease lease, uint64_t version)
{
	struct ari_seat *seat = arg;
	struct ari_share *s = seat->share;

	seat->taking = false;
	if (e == ERR_CANCELLED)
		return;
	if (e != ERR_OK) {
		tell_waits(s, e);
		return;
	}
	tell_goes_on(s);
	if (!seat->wanted)
		return;
	if (lease == ARI_OTHERS) {
		lose(seat);
	} else {
		seat->until_ms = seat->sent_ms + LEASE_SURE_MS;
		if (lease == ARI_TAKEN || seat->is == SEAT_FREE)
			begin_reading(seat, version);
	}
	ari_notices_seen(s, version);
}

static void take(struct ari_seat *seat)
{
	/* who does not know yet what is watched would forget what others know */
	if (!seat->wanted || seat->taking || !seat->share->settled ||
	    shared_waits_for_lists(seat->share->core->shared))
		return;
	seat->taking = true;
	seat->sent_ms = clock_mono_ms();
	ari_redis_take(seat->share->redis, seat->directory, on_lease, seat);
}

/* All seats, and what failed before. */
static void turn(struct ari_share *s)
{
	if (s->core->stopping)
		return;
	for (struct ari_seat *seat = s->seats; seat != NULL; seat = seat->next) {
		if (seat->is == SEAT_HELD && seat->until_ms <= clock_mono_ms())
			lose(seat);
		take(seat);
	}
	ari_savers_go(s);
}

static void on_timer(evutil_socket_t fd, short what, void *arg)
{
	struct ari_share *s = arg;

	(void)fd, (void)what;
	turn(s);
	if (!timer_arm(s->timer, ARI_SHARE_TURN_MS))
		log_error("ari_late", "err=%s", err_label(ERR_NOMEM));
}

static void on_up(void *arg)
{
	turn(arg);
}

static void on_settled(void *arg)
{
	struct ari_share *s = arg;

	s->settled = true;
	turn(s);
}

/* The version comes with the next lease. */
static void on_news(void *arg)
{
	struct ari_share *s = arg;

	timer_arm(s->timer, NEWS_MS);
}

/* Who wants to ask. */

bool ari_share_join(struct ari_share *s, const char *directory)
{
	struct ari_seat *seat = ari_share_seat(s, directory);

	if (seat == NULL) {
		seat = calloc(1, sizeof *seat);
		if (seat == NULL || (seat->directory = strdup(directory)) == NULL) {
			free(seat);
			return false;
		}
		seat->share = s;
		seat->next = s->seats;
		s->seats = seat;
	}
	seat->wanted = true;
	take(seat);
	return true;
}

static void on_left(void *arg, enum err e)
{
	struct ari_share *s = arg;

	(void)e; /* else it runs out by itself */
	s->core->away--;
}

static void quit(struct ari_seat *seat)
{
	struct ari_share *s = seat->share;

	seat->wanted = false;
	seat->is = SEAT_FREE;
	s->core->away++;
	ari_redis_leave(s->redis, seat->directory, on_left, s);
}

void ari_share_quit(struct ari_share *s, const char *directory)
{
	struct ari_seat *seat = ari_share_seat(s, directory);

	if (seat != NULL)
		quit(seat);
}

void ari_share_quit_all(struct ari_share *s)
{
	for (struct ari_seat *seat = s->seats; seat != NULL; seat = seat->next)
		if (seat->wanted)
			quit(seat);
}

bool ari_share_holds(const struct ari_share *s, const char *directory)
{
	const struct ari_seat *seat = s != NULL ? ari_share_seat(s, directory) : NULL;

	return s == NULL || (seat != NULL && seat->is == SEAT_HELD);
}

bool ari_share_may_ask(const struct ari_share *s, const char *directory)
{
	const struct ari_seat *seat;

	if (s == NULL)
		return true;
	seat = ari_share_seat(s, directory);
	return seat != NULL && seat->is == SEAT_HELD &&
	       seat->until_ms > clock_mono_ms() && !ari_savers_are_full(seat);
}

/* Saving, as the seat sees it. */

static void on_seat_saved(
    struct ari_seat *seat, enum err e, int64_t sent_ms, uint64_t before, uint64_t made)
{
	struct ari_share *s = seat->share;

	if (e == ERR_OK) {
		if (seat->until_ms < sent_ms + LEASE_SURE_MS)
			seat->until_ms = sent_ms + LEASE_SURE_MS;
		if (made != 0)
			ari_notices_made(s, before, made);
	} else if (e == ERR_CONFLICT) {
		lose(seat);
	} else {
		tell_waits(s, e);
	}
}

/* Life. */

static bool open_redis(struct ari_share *s, char *why, size_t why_n)
{
	const struct conf *c = shared_conf(s->core->shared);
	struct redis_link_config link = {.prefix = c->store_prefix,
	    .base = s->core->base,
	    .exec = s->use.exec,
	    .timeout_ms = (int)c->store_timeout_ms,
	    .connect_timeout_ms = REDIS_CONNECT_MS,
	    .backoff_max_ms = (int)c->store_backoff_max_ms,
	    .event = store_event_log};
	struct ari_redis_use use = {.keys = c->mac_keys,
	    .up = on_up,
	    .settled = on_settled,
	    .news = on_news,
	    .arg = s};

	_Static_assert(NODE_N == ARI_NODE_N, "a token begins with the node's id");
	if (!node_id(use.token, c->state_directory, why, why_n))
		return false;
	return RAND_bytes(use.token + NODE_N, ARI_TOKEN_N - NODE_N) == 1 &&
	       ari_redis_open(&s->redis, &link, c->store, &use, why, why_n) == ERR_OK;
}

struct ari_share *ari_share_new(
    struct ari_core *core, const struct ari_share_use *use, char *why, size_t why_n)
{
	struct ari_share *s = calloc(1, sizeof *s);

	snprintf(why, why_n, "%s", err_text(ERR_NOMEM));
	if (s == NULL)
		return NULL;
	s->core = s->merge.core = core;
	s->use = *use;
	s->saved = on_seat_saved;
	s->timer = evtimer_new(core->base, on_timer, s);
	if (s->timer == NULL || !timer_arm(s->timer, 0) || !open_redis(s, why, why_n)) {
		ari_share_free(s);
		return NULL;
	}
	return s;
}

void ari_share_free(struct ari_share *s)
{
	if (s == NULL)
		return;
	assert(s->savers == NULL);
	ari_redis_close(s->redis);
	if (s->timer != NULL)
		event_free(s->timer);
	while (s->seats != NULL) {
		struct ari_seat *seat = s->seats;

		s->seats = seat->next;
		free(seat->directory);
		free(seat);
	}
	free(s);
}
