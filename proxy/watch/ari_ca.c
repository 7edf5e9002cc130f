/* ari_ca.c - directory, queue, questions, and what their answers change. */
#include "proxy/watch/ari_ca.h"

#include <assert.h>
#include <event2/event.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <strings.h>

#include "cache/base/time_text.h"
#include "cache/watch/ari_id.h"
#include "cache/watch/inventory.h"
#include "conf/address.h"
#include "proxy/base/alarms.h"
#include "proxy/base/clock.h"
#include "proxy/base/log.h"
#include "proxy/base/timer.h"
#include "proxy/http/fetch.h"
#include "proxy/http/http1.h"
#include "proxy/watch/ari_notices.h"
#include "proxy/watch/ledger.h"

#define URL_MAX       2048
#define DIRECTORY_MAX 65536 /* bytes; Let's Encrypt's has 1 KB */

struct question_out {
	struct ari_ca *ca;
	struct fetch *fetch; /* NULL: this place is free */
	struct ari_who who;
	struct ari_life life;
};

struct ari_ca {
	struct ari_core *core;
	char issuer[64];
	char directory[URL_MAX];
	char renewal_info[URL_MAX]; /* without '/' at its end; "": not known */
	bool learnt;                /* it is on another origin */
	struct fetch *reading;      /* the directory */
	int64_t directory_at;       /* seconds: when it is read next */
	uint32_t directory_failures;
	struct ari_pace pace;
	struct question_out out[ARI_IN_FLIGHT];
	struct ari_who queue[ARI_GROUP];
	size_t queued, taken;
	/* What is to be written: */
	struct ari_row row[ARI_GROUP];
	struct ari_state state[ARI_GROUP];
	bool told[ARI_GROUP]; /* it has a notice to tell when it is durable */
	size_t rows;
	struct ari_notices *notices;
	struct event *timer;
	int64_t behind_s;
	/* Of the incident that stands, or may come: */
	size_t noticed, asked;
	char page[WATCH_URL_MAX + 1]; /* the last one that was named */
};

static void go(struct ari_ca *c);

/* What is written. */

/* The row of this certificate that waits to be written, or NULL. */
static struct ari_row *waiting(struct ari_ca *c, const struct ari_who *w)
{
	for (size_t i = 0; i < c->rows; i++)
		if (serial_equal(&c->row[i].who.serial, &w->serial) &&
		    bytes_equal(ari_who_aki(&c->row[i].who), ari_who_aki(w)))
			return &c->row[i];
	return NULL;
}

/* One that fails leaves what was there: those are asked again sooner than they should,
 * and a notice waits for that. */
static void flush(struct ari_ca *c)
{
	enum err e;

	if (c->rows == 0)
		return;
	e = ari_db_put(c->core->db, c->row, c->rows);
	ari_tell_db(c->core, e);
	for (size_t i = 0; e == ERR_OK && i < c->rows; i++)
		if (c->told[i] &&
		    !ari_notices_add(c->notices, &c->row[i].who, &c->state[i]))
			log_error("notices_not_told", "issuer=%s err=%s effect=%s",
			    c->issuer, err_label(ERR_NOMEM), "told at the next start");
	c->rows = 0;
	ari_notices_send(c->notices);
}

/* state NULL: the certificate is nobody's any more. */
static void write_row(
    struct ari_ca *c, const struct ari_who *w, const struct ari_state *s, bool tell)
{
	if (c->rows == ARI_GROUP || waiting(c, w) != NULL)
		flush(c);
	c->row[c->rows] = (struct ari_row){.who = *w};
	c->told[c->rows] = tell;
	if (s != NULL) {
		c->state[c->rows] = *s;
		c->row[c->rows].state = &c->state[c->rows];
	}
	c->rows++;
}

static void on_told(void *arg, const struct ari_who *w)
{
	struct ari_ca *c = arg;
	struct ari_state s;
	enum err e;

	flush(c);
	e = ari_db_get(c->core->db, w, &s);
	if (e == ERR_OK && s.untold) {
		s.untold = false;
		write_row(c, w, &s, false);
	} else if (e != ERR_NOT_FOUND) {
		ari_tell_db(c->core, e);
	}
}

/* The incident. */

static void raise_incident(struct ari_ca *c)
{
	char detail[ALARM_DETAIL_MAX];

	if (c->noticed == 0) {
		if (alarm_clear(ALARM_INCIDENT_OPEN, c->issuer, c->issuer))
			log_info("incident_closed", "issuer=%s", c->issuer);
		c->asked = 0;
		return;
	}
	snprintf(detail, sizeof detail, "%zu certificates, of %zu asked since; %.400s",
	    c->noticed, c->asked, c->page[0] != '\0' ? c->page : "no page was named");
	if (alarm_raise(ALARM_INCIDENT_OPEN, c->issuer, c->issuer, detail))
		log_error("incident_open", "issuer=%s page=%s remedy=%s", c->issuer,
		    c->page, alarm_row(ALARM_INCIDENT_OPEN)->remedy);
}

/* Nobody is told that a notice was taken back of what nobody has any more. */
static void forget(struct ari_ca *c, const struct ari_who *w)
{
	struct ari_state s;

	if (ari_db_get(c->core->db, w, &s) == ERR_OK && s.known.noticed &&
	    c->noticed > 0) {
		c->noticed--;
		raise_incident(c);
	}
	write_row(c, w, NULL, false);
}

/* Answers. */

static void judge(struct ari_ca *c, const struct question_out *q, struct ari_state *s,
    const struct ari_answer *a, bool *tell)
{
	bool was = s->known.noticed;
	enum ari_word word =
	    ari_judge(&s->known, a, q->life.not_before, q->life.not_after);

	s->start = a->start;
	s->end = a->end;
	memcpy(s->url, a->url, sizeof s->url);
	s->error[0] = '\0';
	*tell = word == ARI_NOTICE || word == ARI_WITHDRAWN;
	s->untold = s->untold || *tell;
	c->asked++;
	if (s->known.noticed && !was)
		c->noticed++;
	else if (was && !s->known.noticed && c->noticed > 0)
		c->noticed--;
	if (s->known.noticed && a->url[0] != '\0')
		memcpy(c->page, a->url, sizeof c->page);
	if (c->noticed > 0 || was)
		raise_incident(c);
}

static int64_t date_of(const struct fetch_result *r)
{
	int64_t at;

	return http1_date_parse(bytes_of(r->date, strlen(r->date)), &at) ? at
									 : clock_now();
}

static void tell_failure(struct ari_ca *c, struct ari_state *s, const char *id,
    const struct fetch_result *r, const char *why)
{
	metrics_count(c->core->counters, M_ARI_FAILED);
	snprintf(s->error, sizeof s->error, "%.*s", ARI_ERROR_MAX - 1,
	    why != NULL ? why : r->detail);
	log_warn("ari_failed", "issuer=%s id=%s status=%d why=%s", c->issuer, id,
	    r->status, s->error);
}

static void on_answer(void *arg, const struct fetch_result *r)
{
	struct question_out *q = arg;
	struct ari_ca *c = q->ca;
	struct ari_bounds bounds = ari_bounds(c->core);
	int64_t now = clock_now(), after = ari_retry_after(r->retry_after, date_of(r));
	static struct ari_answer a; /* one thread */
	struct ari_state s = {0};
	enum ari_outcome outcome;
	const char *why = NULL;
	char id[ARI_ID_MAX];
	bool tell = false;

	q->fetch = NULL;
	ari_pace_answered(&c->pace);
	ari_id(ari_who_aki(&q->who), &q->who.serial, id);
	if (ari_db_get(c->core->db, &q->who, &s) != ERR_OK)
		memset(&s, 0, sizeof s);
	if (r->error == ERR_OK && r->status == 200)
		why = ari_answer_read(&a, r->body);
	outcome = ari_outcome(r->error == ERR_OK ? r->status : 0, why == NULL);
	ari_pace_next(&s, outcome, after, now, &bounds, ari_chance(c->core));
	if (outcome == ARI_ANSWERED)
		judge(c, q, &s, &a, &tell);
	else
		tell_failure(c, &s, id, r, why);
	if (outcome == ARI_HALT)
		ari_pace_halt(&c->pace, after, now, &bounds);
	write_row(c, &q->who, &s, tell);
	if (tell)
		flush(c);
	go(c);
}

/* Questions. */

static struct question_out *free_place(struct ari_ca *c)
{
	for (size_t i = 0; i < ARI_IN_FLIGHT; i++)
		if (c->out[i].fetch == NULL)
			return &c->out[i];
	return NULL;
}

/* False: out of memory. */
static bool ask(struct ari_ca *c, const struct ari_who *w, const struct ari_life *life)
{
	const struct conf *conf = shared_conf(c->core->shared);
	struct question_out *q = free_place(c);
	char id[ARI_ID_MAX], url[URL_MAX + 1 + ARI_ID_MAX];

	assert(q != NULL);
	ari_id(ari_who_aki(w), &w->serial, id);
	snprintf(url, sizeof url, "%s/%s", c->renewal_info, id);
	*q = (struct question_out){.ca = c, .who = *w, .life = *life};
	q->fetch = fetch_start(c->core->fetcher,
	    &(struct fetch_request){.url = url,
		.accept = "application/json",
		.learnt = c->learnt,
		.timeout_ms = (int)conf->upstream_timeout_ms,
		.max_size = ARI_BODY_MAX},
	    on_answer, q);
	if (q->fetch == NULL)
		return false;
	metrics_count(c->core->counters, M_ARI_ASKED);
	ari_pace_asks(&c->pace, clock_mono_us(), (unsigned)conf->ari_rate);
	return true;
}

/* The file knows the time of who is asked only when he has been answered. */
static bool is_under_way(const struct ari_ca *c, const struct ari_who *w)
{
	for (size_t i = 0; i < ARI_IN_FLIGHT; i++)
		if (c->out[i].fetch != NULL &&
		    serial_equal(&c->out[i].who.serial, &w->serial) &&
		    bytes_equal(ari_who_aki(&c->out[i].who), ari_who_aki(w)))
			return true;
	return false;
}

/* Those that are due, of all CAs that go by the issuer's name.  *next_at: of the first
 * one that is not yet. */
static void fill(struct ari_ca *c, int64_t now, int64_t *next_at)
{
	const struct inventory *v = ledger_inventory(c->core->shared);
	const struct watch_ca *ca = NULL;
	int64_t next;
	size_t n;
	enum err e;

	flush(c);
	c->queued = c->taken = 0;
	*next_at = INT64_MAX;
	while ((ca = watch_cas_called(v->cas, c->issuer, ca)) != NULL) {
		if (ca->aki_n == 0 || strcmp(ca->issuer, c->issuer) != 0)
			continue;
		e = ari_db_due(c->core->db, bytes_of(ca->aki, ca->aki_n), now,
		    c->queue + c->queued, ARI_GROUP - c->queued, &n, &next);
		ari_tell_db(c->core, e);
		for (size_t i = c->queued, end = i + n; i < end; i++)
			if (!is_under_way(c, &c->queue[i]))
				c->queue[c->queued++] = c->queue[i];
		if (next < *next_at)
			*next_at = next;
	}
}

/* How late is the one that waits longest, and is that too late? */
static void look_behind(struct ari_ca *c, int64_t now)
{
	struct ari_bounds bounds = ari_bounds(c->core);
	struct ari_state s;
	bool behind = false;

	c->behind_s = 0;
	if (c->queued > 0 && ari_db_get(c->core->db, &c->queue[0], &s) == ERR_OK) {
		behind = ari_is_behind(&s, now, &bounds);
		if (now > s.next_at)
			c->behind_s = now - s.next_at;
	}
	if (alarm_set(ALARM_ARI_BEHIND, behind, c->issuer, c->directory,
		"a round takes longer than ari-interval-max"))
		log_event(behind ? LOG_WARN : LOG_INFO,
		    behind ? "ari_behind" : "ari_in_time",
		    "issuer=%s behind_s=%lld remedy=%s", c->issuer,
		    (long long)c->behind_s, alarm_row(ALARM_ARI_BEHIND)->remedy);
}

/* The next of the queue that is to be asked for; false: none is left. */
static bool next_of_queue(
    struct ari_ca *c, int64_t now, struct ari_who *w, struct ari_life *life)
{
	while (c->taken < c->queued) {
		*w = c->queue[c->taken++];
		if (!ari_life(c->core, c->issuer, w, life) ||
		    (life->not_after != WATCH_TIME_NONE && life->not_after <= now))
			forget(c, w);
		else
			return true;
	}
	return false;
}

/* The directory. */

static bool same_origin(const char *a, const char *b)
{
	struct url x, y;

	return url_parse(a, &x) == NULL && url_parse(b, &y) == NULL &&
	       x.at.port == y.at.port && strcmp(x.at.host, y.at.host) == 0 &&
	       (strncasecmp(a, "https:", 6) == 0) == (strncasecmp(b, "https:", 6) == 0);
}

/* NULL: taken; else why not. */
static const char *take_directory(struct ari_ca *c, struct bytes body)
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
		snprintf(c->renewal_info, sizeof c->renewal_info, "%.*s", (int)n, text);
		c->learnt = !same_origin(c->directory, c->renewal_info);
	}
	json_decref(all);
	return why;
}

static void on_directory(void *arg, const struct fetch_result *r)
{
	static const int64_t again_s[] = {60, 300, 1800, ARI_DEFAULT_S};
	struct ari_ca *c = arg;
	int64_t after = ari_retry_after(r->retry_after, date_of(r)), wait;
	struct ari_bounds bounds = ari_bounds(c->core);
	const char *why = r->detail;
	size_t step = c->directory_failures;

	c->reading = NULL;
	if (r->error == ERR_OK && r->status == 200)
		why = take_directory(c, r->body);
	if (why == NULL) {
		c->directory_failures = 0;
		c->directory_at = clock_now() + ARI_DIRECTORY_S;
		go(c);
		return;
	}
	if (step >= sizeof again_s / sizeof again_s[0])
		step = sizeof again_s / sizeof again_s[0] - 1;
	wait = again_s[step];
	if (ari_outcome(r->status, false) == ARI_HALT) {
		ari_pace_halt(&c->pace, after, clock_now(), &bounds);
		wait = c->pace.halted_until - clock_now();
	}
	c->directory_failures++;
	c->directory_at = clock_now() + wait;
	metrics_count(c->core->counters, M_ARI_FAILED);
	log_warn("ari_directory_failed", "issuer=%s url=%s status=%d why=%s again_s=%lld",
	    c->issuer, c->directory, r->status, why, (long long)wait);
	go(c);
}

static void read_directory(struct ari_ca *c)
{
	const struct conf *conf = shared_conf(c->core->shared);

	c->reading = fetch_start(c->core->fetcher,
	    &(struct fetch_request){.url = c->directory,
		.accept = "application/json",
		.timeout_ms = (int)conf->upstream_timeout_ms,
		.max_size = DIRECTORY_MAX},
	    on_directory, c);
	if (c->reading == NULL)
		c->directory_at = clock_now() + 60; /* out of memory */
}

/* The turn. */

static void later(struct ari_ca *c, int64_t us)
{
	if (!timer_arm(c->timer, us / 1000 + 1))
		log_error(
		    "ari_late", "issuer=%s err=%s", c->issuer, err_label(ERR_NOMEM));
}

static void go(struct ari_ca *c)
{
	int64_t now = clock_now(), wait_us = 0, next_at = INT64_MAX;
	struct ari_life life;
	struct ari_who w;

	if (c->core->stopping)
		return;
	if (c->reading == NULL && now >= c->directory_at && c->pace.halted_until <= now)
		read_directory(c);
	if (c->renewal_info[0] == '\0')
		return; /* once a second it is seen whether it is time */
	while (ari_pace_may(&c->pace, clock_mono_us(), now, &wait_us)) {
		if (!next_of_queue(c, now, &w, &life)) {
			fill(c, now, &next_at);
			look_behind(c, now);
			if (c->queued == 0)
				break;
			continue;
		}
		if (!ask(c, &w, &life))
			break;
	}
	if (wait_us > 0 && wait_us < 1000000)
		later(c, wait_us);
}

static void on_timer(evutil_socket_t fd, short what, void *arg)
{
	(void)fd, (void)what;
	go(arg);
}

void ari_ca_go(struct ari_ca *c)
{
	go(c);
}

void ari_ca_settle(struct ari_ca *c)
{
	flush(c);
}

void ari_ca_state(const struct ari_ca *c, struct ari_ca_state *out)
{
	*out = (struct ari_ca_state){.noticed = c->noticed, .behind_s = c->behind_s};
}

/* Life. */

/* What an earlier life has left: who is under a notice, and what it did not tell. */
static void take_up(struct ari_ca *c)
{
	const struct inventory *v = ledger_inventory(c->core->shared);
	const struct watch_ca *ca = NULL;
	struct ari_who who[64], after;
	struct ari_state s;
	size_t n = 0;
	enum err e = ERR_OK;

	while ((ca = watch_cas_called(v->cas, c->issuer, ca)) != NULL) {
		if (ca->aki_n == 0 || strcmp(ca->issuer, c->issuer) != 0)
			continue;
		for (bool first = true; e == ERR_OK && (first || n > 0); first = false) {
			e = ari_db_noticed(c->core->db, bytes_of(ca->aki, ca->aki_n),
			    first ? NULL : &after, who, 64, &n);
			for (size_t i = 0; e == ERR_OK && i < n; i++) {
				if (ari_db_get(c->core->db, &who[i], &s) != ERR_OK)
					continue;
				c->noticed += s.known.noticed;
				memcpy(c->page, s.url, sizeof c->page);
				if (s.untold)
					ari_notices_add(c->notices, &who[i], &s);
			}
			if (n > 0)
				after = who[n - 1];
		}
		ari_tell_db(c->core, e);
	}
	if (c->noticed > 0)
		raise_incident(c);
	ari_notices_send(c->notices);
}

struct ari_ca *ari_ca_new(
    struct ari_core *core, const char *issuer, const char *directory)
{
	struct ari_ca *c = calloc(1, sizeof *c);

	if (c == NULL)
		return NULL;
	c->core = core;
	snprintf(c->issuer, sizeof c->issuer, "%s", issuer);
	snprintf(c->directory, sizeof c->directory, "%s", directory);
	c->notices = ari_notices_new(core, issuer, on_told, c);
	c->timer = evtimer_new(core->base, on_timer, c);
	if (c->notices == NULL || c->timer == NULL) {
		ari_ca_free(c);
		return NULL;
	}
	take_up(c);
	return c;
}

void ari_ca_free(struct ari_ca *c)
{
	if (c == NULL)
		return;
	for (size_t i = 0; i < ARI_IN_FLIGHT; i++)
		if (c->out[i].fetch != NULL)
			fetch_cancel(c->out[i].fetch);
	if (c->reading != NULL)
		fetch_cancel(c->reading);
	if (c->notices != NULL)
		flush(c);
	ari_notices_free(c->notices);
	if (c->timer != NULL)
		event_free(c->timer);
	free(c);
}

const char *ari_ca_issuer(const struct ari_ca *c)
{
	return c->issuer;
}

const char *ari_ca_directory(const struct ari_ca *c)
{
	return c->directory;
}
