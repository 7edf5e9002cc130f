/* ari_place.c - the directory, whose turn it is, and what is asked there. */
#include "proxy/watch/ari_place.h"

#include <assert.h>
#include <event2/event.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <strings.h>

#include "cache/watch/ari_id.h"
#include "conf/address.h"
#include "proxy/base/clock.h"
#include "proxy/base/log.h"
#include "proxy/base/timer.h"
#include "proxy/watch/ari_share.h"

#define URL_MAX       2048
#define DIRECTORY_MAX 65536 /* bytes; Let's Encrypt's has 1 KB */

struct ari_place {
	struct ari_core *core;
	char directory[URL_MAX];
	char renewal_info[URL_MAX]; /* without '/' at its end; "": not known */
	bool learnt;                /* it is on another origin */
	struct fetch *reading;      /* the directory */
	int64_t read_at;            /* seconds: when it is read next */
	uint32_t failures;
	struct ari_pace pace;
	struct event *timer;
	struct ari_member {
		ari_turn_fn *ask_one;
		void *who;
	} * member;
	size_t member_n, turn;
};

/* The directory. */

static bool same_origin(const char *a, const char *b)
{
	struct url x, y;

	return url_parse(a, &x) == NULL && url_parse(b, &y) == NULL &&
	       x.at.port == y.at.port && strcmp(x.at.host, y.at.host) == 0 &&
	       (strncasecmp(a, "https:", 6) == 0) == (strncasecmp(b, "https:", 6) == 0);
}

/* NULL: taken; else why not. */
static const char *take_directory(struct ari_place *p, struct bytes body)
{
	json_t *all =
	    json_loadb((const char *)body.p, body.n, JSON_REJECT_DUPLICATES, NULL);
	json_t *place = json_object_get(all, "renewalInfo");
	const char *text = json_string_value(place), *why = NULL;
	size_t n = json_string_length(place);
	struct url u;

	if (!json_is_object(all))
		why = "the directory is no JSON object";
	else if (text == NULL)
		why = "the directory names no renewalInfo: the CA does not offer it";
	else if (n >= URL_MAX || strlen(text) != n || url_parse(text, &u) != NULL)
		why = "the directory's renewalInfo is no http or https URL";
	if (why == NULL) {
		while (n > 0 && text[n - 1] == '/')
			n--;
		snprintf(p->renewal_info, sizeof p->renewal_info, "%.*s", (int)n, text);
		p->learnt = !same_origin(p->directory, p->renewal_info);
	}
	json_decref(all);
	return why;
}

/* What is known of the place goes on being used. */
static void read_again_later(
    struct ari_place *p, const struct fetch_result *r, const char *why)
{
	static const int64_t again_s[] = {ARI_RETRY_S, 300, 1800, ARI_DEFAULT_S};
	const uint32_t last = sizeof again_s / sizeof again_s[0] - 1;
	int64_t now = clock_now(),
		wait = again_s[p->failures < last ? p->failures : last];

	if (r->error == ERR_OK && ari_outcome(r->status, false) == ARI_HALT) {
		ari_place_halt(p, ari_retry_after(r->retry_after, now));
		wait = p->pace.halted_until - now;
	}
	p->failures++;
	p->read_at = now + wait;
	metrics_count(p->core->counters, M_ARI_FAILED);
	log_warn("ari_directory_failed", "url=%s status=%d why=%s again_s=%lld",
	    p->directory, r->status, why, (long long)wait);
}

static void on_directory(void *arg, const struct fetch_result *r)
{
	struct ari_place *p = arg;
	const char *why = r->detail;

	p->reading = NULL;
	if (r->error == ERR_OK && r->status == 200)
		why = take_directory(p, r->body);
	if (why != NULL) {
		read_again_later(p, r, why);
		return;
	}
	p->failures = 0;
	p->read_at = clock_now() + ARI_DIRECTORY_S;
	ari_place_go(p);
}

static void read_directory(struct ari_place *p)
{
	const struct conf *c = shared_conf(p->core->shared);

	p->reading = fetch_start(p->core->fetcher,
	    &(struct fetch_request){.url = p->directory,
		.accept = "application/json",
		.timeout_ms = (int)c->upstream_timeout_ms,
		.max_size = DIRECTORY_MAX},
	    on_directory, p);
	if (p->reading == NULL)
		p->read_at = clock_now() + ARI_RETRY_S; /* out of memory */
}

/* Turns. */

/* One question of the next issuer that has somebody who is due. */
static bool ask_next(struct ari_place *p)
{
	for (size_t i = 0; i < p->member_n; i++) {
		p->turn = (p->turn + 1) % p->member_n;
		if (p->member[p->turn].ask_one(p->member[p->turn].who))
			return true;
	}
	return false;
}

void ari_place_go(struct ari_place *p)
{
	int64_t now = clock_now(), wait_us = 0;

	if (p->core->stopping || !ari_share_may_ask(p->core->share, p->directory))
		return;
	if (p->reading == NULL && now >= p->read_at && p->pace.halted_until <= now)
		read_directory(p);
	if (p->renewal_info[0] == '\0')
		return; /* the next second looks again */
	while (ari_pace_may(&p->pace, clock_mono_us(), now, &wait_us))
		if (!ask_next(p))
			return;
	if (wait_us > 0 && wait_us < 1000000 && !timer_arm(p->timer, wait_us / 1000 + 1))
		log_error(
		    "ari_late", "url=%s err=%s", p->directory, err_label(ERR_NOMEM));
}

static void on_timer(evutil_socket_t fd, short what, void *arg)
{
	(void)fd, (void)what;
	ari_place_go(arg);
}

/* Questions. */

struct fetch *ari_place_ask(
    struct ari_place *p, const char *id, fetch_done_fn *done, void *arg)
{
	const struct conf *c = shared_conf(p->core->shared);
	char url[URL_MAX + 1 + ARI_ID_MAX];
	struct fetch *f;

	snprintf(url, sizeof url, "%s/%s", p->renewal_info, id);
	f = fetch_start(p->core->fetcher,
	    &(struct fetch_request){.url = url,
		.accept = "application/json",
		.learnt = p->learnt,
		.timeout_ms = (int)c->upstream_timeout_ms,
		.max_size = ARI_BODY_MAX},
	    done, arg);
	if (f == NULL)
		return NULL;
	metrics_count(p->core->counters, M_ARI_ASKED);
	ari_pace_asks(&p->pace, clock_mono_us(), (unsigned)c->ari_rate);
	return f;
}

void ari_place_answered(struct ari_place *p)
{
	ari_pace_answered(&p->pace);
}

void ari_place_halt(struct ari_place *p, int64_t retry_after)
{
	struct ari_bounds bounds = ari_bounds(p->core);

	ari_pace_halt(&p->pace, retry_after, clock_now(), &bounds);
	log_warn("ari_halted", "url=%s seconds=%lld", p->directory,
	    (long long)(p->pace.halted_until - clock_now()));
}

/* Members and life. */

bool ari_place_join(struct ari_place *p, ari_turn_fn *ask_one, void *member)
{
	struct ari_member *more = realloc(p->member, (p->member_n + 1) * sizeof *more);

	if (more == NULL)
		return false;
	p->member = more;
	p->member[p->member_n++] = (struct ari_member){ask_one, member};
	return true;
}

void ari_place_leave(struct ari_place *p, const void *member)
{
	for (size_t i = 0; i < p->member_n; i++)
		if (p->member[i].who == member) {
			p->member[i] = p->member[--p->member_n];
			return;
		}
}

size_t ari_place_members(const struct ari_place *p)
{
	return p->member_n;
}

struct ari_place *ari_place_new(struct ari_core *core, const char *directory)
{
	struct ari_place *p = calloc(1, sizeof *p);

	if (p == NULL)
		return NULL;
	p->core = core;
	snprintf(p->directory, sizeof p->directory, "%s", directory);
	p->timer = evtimer_new(core->base, on_timer, p);
	if (p->timer == NULL) {
		ari_place_free(p);
		return NULL;
	}
	return p;
}

void ari_place_free(struct ari_place *p)
{
	if (p == NULL)
		return;
	assert(p->member_n == 0);
	if (p->reading != NULL)
		fetch_cancel(p->reading);
	if (p->timer != NULL)
		event_free(p->timer);
	free(p->member);
	free(p);
}

const char *ari_place_directory(const struct ari_place *p)
{
	return p->directory;
}
