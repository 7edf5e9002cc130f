/* share_asked.c - pieces out, pieces in. */
#include "proxy/watch/share_asked.h"

#include <event2/event.h>
#include <stdlib.h>

#include "proxy/base/log.h"
#include "proxy/base/timer.h"
#include "proxy/watch/usage.h"

struct share_asked {
	struct share_core *core;
	struct event *timer;
	char place[WATCH_REDIS_PLACE_MAX]; /* of the last piece */
	size_t news;                       /* of this reading */
	struct watch_asked row[WATCH_ASKED_ROWS];
	uint8_t piece[WATCH_ASKED_MAX];
};

static bool is_up(const struct share_asked *a)
{
	return !a->core->stopping && a->core->redis != NULL &&
	       watch_redis_is_up(a->core->redis);
}

static void rest(struct share_asked *a)
{
	if (!a->core->stopping)
		timer_arm(a->timer, SHARE_ASKED_MS);
}

/* Out. */

static void on_added(void *arg, enum err e)
{
	(void)arg;
	if (e != ERR_OK && e != ERR_CANCELLED)
		log_warn("asked_not_shared", "err=%s effect=%s", err_label(e),
		    "other nodes learn an hour later that these certificates are used");
}

static void tell(void *arg, const struct watch_asked *rows, size_t n)
{
	struct share_asked *a = arg;
	size_t size;

	if (!is_up(a))
		return;
	size = watch_asked_encode(rows, n, a->core->keys, a->piece);
	if (size == 0)
		on_added(a, ERR_NOMEM);
	else
		watch_redis_asked_add(
		    a->core->redis, bytes_of(a->piece, size), on_added, a);
}

/* In. */

static void on_piece(void *arg, struct bytes place, struct bytes value)
{
	struct share_asked *a = arg;
	size_t n;
	enum err e;

	if (place.n >= sizeof a->place ||
	    (strlen(a->place) == place.n && memcmp(a->place, place.p, place.n) == 0))
		return;
	memcpy(a->place, place.p, place.n);
	a->place[place.n] = '\0';
	a->news++;
	e = watch_asked_decode(value, a->core->keys, a->row, &n);
	if (e == ERR_OK) {
		usage_hear_others(a->core->context->usage, a->row, n);
		return;
	}
	metrics_count(a->core->context->counters, M_WATCHLISTS_REFUSED);
	log_warn("asked_refused", "err=%s key=%s{w}:a:asked remedy=%s", err_label(e),
	    shared_conf(a->core->context->shared)->store_prefix,
	    e == ERR_RECORD_KEY
		? "see that all nodes have one store-key-file; else somebody has written "
		  "there"
		: "another version may have written it: run one version on all nodes");
}

static void on_read(void *arg, enum err e)
{
	struct share_asked *a = arg;

	if (e == ERR_OK && a->news == WATCH_REDIS_READ && !a->core->stopping)
		timer_arm(a->timer, 0);
	else
		rest(a);
}

static void on_timer(evutil_socket_t fd, short what, void *arg)
{
	struct share_asked *a = arg;

	(void)fd, (void)what;
	a->news = 0;
	if (is_up(a))
		watch_redis_asked_read(a->core->redis, a->place, on_piece, on_read, a);
	else
		rest(a);
}

struct share_asked *share_asked_new(struct share_core *core)
{
	struct share_asked *a = calloc(1, sizeof *a);

	if (a == NULL)
		return NULL;
	a->core = core;
	a->place[0] = '0';
	a->timer = evtimer_new(core->context->base, on_timer, a);
	if (a->timer == NULL || !timer_arm(a->timer, SHARE_ASKED_MS)) {
		share_asked_free(a);
		return NULL;
	}
	usage_on_own(core->context->usage, tell, a);
	return a;
}

void share_asked_free(struct share_asked *a)
{
	if (a == NULL)
		return;
	if (a->timer != NULL)
		event_free(a->timer);
	free(a);
}
