/* ari_ca.c - queue, questions, and what their answers change. */
#include "proxy/watch/ari_ca.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>

#include "cache/base/utf8.h"
#include "cache/watch/ari_id.h"
#include "cache/watch/inventory.h"
#include "proxy/base/alarms.h"
#include "proxy/base/clock.h"
#include "proxy/base/log.h"
#include "proxy/http/http1.h"
#include "proxy/watch/ari_notices.h"
#include "proxy/watch/ari_place.h"
#include "proxy/watch/ari_share.h"

struct question_out {
	struct ari_ca *ca;
	struct fetch *fetch; /* NULL: this place is free */
	struct ari_who who;
	struct ari_life life;
};

struct ari_ca {
	struct ari_core *core;
	char issuer[64];
	struct ari_place *place;
	int64_t look_at;       /* seconds: until then nobody is due */
	int64_t rest_until_ms; /* monotonic: what is learnt cannot be kept */
	struct question_out out[ARI_IN_FLIGHT];
	struct ari_who queue[ARI_GROUP];
	size_t queued, taken;
	/* What is to be written: */
	struct ari_row row[ARI_GROUP];
	struct ari_state state[ARI_GROUP];
	bool told[ARI_GROUP]; /* it has a notice to tell when it is durable */
	size_t rows;
	struct ari_notices *notices;
	struct ari_saver *saver; /* NULL: this node is alone */
	int64_t behind_s;
	/* Of the incident that stands, or may come: */
	size_t noticed, asked;
	char page[WATCH_URL_MAX + 1]; /* the last one that was named */
};

/* What is written. */

/* The row of this certificate that waits to be written, or NULL. */
static struct ari_row *waiting(struct ari_ca *c, const struct ari_who *w)
{
	for (size_t i = 0; i < c->rows; i++)
		if (ari_who_equal(&c->row[i].who, w))
			return &c->row[i];
	return NULL;
}

static void notice_add(
    struct ari_ca *c, const struct ari_who *w, const struct ari_state *s)
{
	if (!ari_notices_add(c->notices, w, s))
		log_error("notices_not_told", "issuer=%s err=%s effect=%s", c->issuer,
		    err_label(ERR_NOMEM), "told at the next start");
}

/* What is durable here is to be so in Redis. */
static void save_rows(struct ari_ca *c)
{
	for (size_t i = 0; i < c->rows; i++)
		if (!ari_saver_add(c->saver, &c->row[i].who))
			log_error("ari_late", "issuer=%s err=%s", c->issuer,
			    err_label(ERR_NOMEM));
	ari_saver_go(c->saver);
}

/* It is: what is still to be told is told. */
static void on_saved(void *arg, const struct ari_who *w, size_t n)
{
	struct ari_ca *c = arg;
	struct ari_state s;

	for (size_t i = 0; i < n; i++)
		if (ari_db_get(c->core->db, &w[i], &s) == ERR_OK && s.untold &&
		    !ari_notices_has(c->notices, &w[i]))
			notice_add(c, &w[i], &s);
	ari_notices_send(c->notices);
}

/* One that fails leaves what was there: those are asked again sooner than they should,
 * and a notice waits for that. */
static void write_rows(struct ari_ca *c)
{
	enum err e = ari_db_put(c->core->db, c->row, c->rows);

	ari_tell_db(c->core, e);
	if (e != ERR_OK) /* those stay due, and would be asked for again at once */
		c->rest_until_ms = clock_mono_ms() + ARI_RETRY_S * 1000;
	for (size_t i = 0; e == ERR_OK && i < c->rows; i++) {
		c->core->noticed_changed |= c->told[i] || c->row[i].state == NULL;
		if (c->told[i] && c->saver == NULL)
			notice_add(c, &c->row[i].who, &c->state[i]);
	}
	if (e == ERR_OK && c->saver != NULL)
		save_rows(c);
	c->rows = 0;
}

static void flush(struct ari_ca *c)
{
	if (c->rows > 0)
		write_rows(c);
	if (c->core->noticed_changed && c->core->renew_board != NULL)
		c->core->renew_board(c->core);
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
		if (s->next_at < c->look_at)
			c->look_at = s->next_at;
	}
	c->rows++;
}

/* At once, where it is saved elsewhere: what is read there is not told again. */
static void on_told(void *arg, const struct ari_who *w, size_t n)
{
	struct ari_ca *c = arg;
	struct ari_state s;
	enum err e;

	flush(c);
	for (size_t i = 0; i < n; i++) {
		e = ari_db_get(c->core->db, &w[i], &s);
		if (e == ERR_OK && s.untold) {
			s.untold = false;
			write_row(c, &w[i], &s, false);
		} else if (e != ERR_NOT_FOUND) {
			ari_tell_db(c->core, e);
		}
	}
	if (c->saver != NULL)
		flush(c);
}

/* The incident. */

static bool holds(const struct ari_ca *c)
{
	return ari_share_holds(c->core->share, ari_place_directory(c->place));
}

static void raise_incident(struct ari_ca *c)
{
	char detail[ALARM_DETAIL_MAX];

	if (!holds(c))
		return; /* who asks raises it */
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
	if (c->noticed == 0 && s->known.noticed)
		c->asked = 0; /* since the first one */
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
	int n = snprintf(s->error, sizeof s->error, "%.*s", ARI_ERROR_MAX - 1,
	    why != NULL ? why : r->detail);

	/* half a character would not be read again */
	while (n > 0 && !utf8_is_valid(bytes_of(s->error, (size_t)n)))
		s->error[--n] = '\0';
	metrics_count(c->core->counters, M_ARI_FAILED);
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
	ari_place_answered(c->place);
	ari_id(ari_who_aki(&q->who), &q->who.serial, id);
	if (waiting(c, &q->who) != NULL) /* that it was told */
		flush(c);
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
		ari_place_halt(c->place, after);
	write_row(c, &q->who, &s, tell);
	/* a kill must not make us ask a CA that wants to be left alone */
	if (tell || outcome == ARI_HALT || c->core->stopping)
		flush(c);
	ari_place_go(c->place);
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
	struct question_out *q = free_place(c);
	char id[ARI_ID_MAX];

	assert(q != NULL);
	ari_id(ari_who_aki(w), &w->serial, id);
	*q = (struct question_out){.ca = c, .who = *w, .life = *life};
	q->fetch = ari_place_ask(c->place, id, on_answer, q);
	return q->fetch != NULL;
}

/* The file knows the time of who is asked only when he has been answered. */
static bool is_under_way(const struct ari_ca *c, const struct ari_who *w)
{
	for (size_t i = 0; i < ARI_IN_FLIGHT; i++)
		if (c->out[i].fetch != NULL && ari_who_equal(&c->out[i].who, w))
			return true;
	return false;
}

/* Those that are due, of all CAs that go by the issuer's name. */
static void fill(struct ari_ca *c, int64_t now)
{
	const struct inventory *v = shared_inventory(c->core->shared);
	const struct watch_ca *ca = NULL;
	int64_t next;
	size_t n;
	enum err e;

	flush(c);
	c->queued = c->taken = 0;
	c->look_at = INT64_MAX;
	while ((ca = watch_cas_called(v->cas, c->issuer, ca)) != NULL) {
		if (ca->aki_n == 0 || strcmp(ca->issuer, c->issuer) != 0)
			continue;
		e = ari_db_due(c->core->db, bytes_of(ca->aki, ca->aki_n), now,
		    c->queue + c->queued, ARI_GROUP - c->queued, &n, &next);
		ari_tell_db(c->core, e);
		if (e != ERR_OK)
			next = now + ARI_RETRY_S;
		for (size_t i = c->queued, end = i + n; i < end; i++)
			if (!is_under_way(c, &c->queue[i]))
				c->queue[c->queued++] = c->queue[i];
		if (next < c->look_at)
			c->look_at = next;
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
	if (alarm_set(ALARM_ARI_BEHIND, behind, c->issuer, ari_place_directory(c->place),
		"a round takes longer than ari-interval-max"))
		log_event(behind ? LOG_WARN : LOG_INFO,
		    behind ? "ari_behind" : "ari_in_time",
		    "issuer=%s behind_s=%lld remedy=%s", c->issuer,
		    (long long)c->behind_s, alarm_row(ALARM_ARI_BEHIND)->remedy);
}

/* Whoever stands in for it may be announced, revoked or taken off the list. */
static void look_again_later(struct ari_ca *c, const struct ari_who *w, int64_t now)
{
	struct ari_state s;

	if (ari_db_get(c->core->db, w, &s) != ERR_OK)
		memset(&s, 0, sizeof s);
	s.next_at = now + ARI_NOT_FOUND_S;
	write_row(c, w, &s, false);
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
		else if (ari_is_replaced(c->core, w, life))
			look_again_later(c, w, now);
		else
			return true;
	}
	return false;
}

/* Its turn. */

static bool ask_one(void *member)
{
	struct ari_ca *c = member;
	int64_t now = clock_now();
	struct ari_life life;
	struct ari_who w;

	if (clock_mono_ms() < c->rest_until_ms)
		return false;
	if (next_of_queue(c, now, &w, &life))
		return ask(c, &w, &life);
	if (now < c->look_at)
		return false;
	fill(c, now);
	look_behind(c, now);
	return next_of_queue(c, now, &w, &life) && ask(c, &w, &life);
}

void ari_ca_look(struct ari_ca *c)
{
	c->look_at = 0;
}

void ari_ca_settle(struct ari_ca *c)
{
	flush(c);
}

/* Of this CA: when the one that is next was asked for last; 0: never, or there is none.
 */
static int64_t next_asked_at(const struct ari_ca *c, struct bytes aki)
{
	struct ari_state s;
	struct ari_who w;
	int64_t next;
	size_t n;

	return ari_db_due(c->core->db, aki, INT64_MAX, &w, 1, &n, &next) == ERR_OK &&
		       n == 1 && ari_db_get(c->core->db, &w, &s) == ERR_OK
		   ? s.asked_at
		   : 0;
}

void ari_ca_state(const struct ari_ca *c, struct ari_ca_state *out)
{
	const struct watch_cas *cas = shared_inventory(c->core->shared)->cas;
	const struct watch_ca *ca = NULL;
	int64_t now = clock_now(), at;

	*out = (struct ari_ca_state){.noticed = c->noticed, .behind_s = c->behind_s};
	while (holds(c) && (ca = watch_cas_called(cas, c->issuer, ca)) != NULL) {
		if (ca->aki_n == 0 || strcmp(ca->issuer, c->issuer) != 0)
			continue;
		at = next_asked_at(c, bytes_of(ca->aki, ca->aki_n));
		if (at > 0 && now - at > out->oldest_s)
			out->oldest_s = now - at;
	}
}

/* Life. */

/* One that is under a notice, or whose is untold. */
static void take_up_one(struct ari_ca *c, const struct ari_who *w, bool save)
{
	struct ari_state s;

	if (ari_db_get(c->core->db, w, &s) != ERR_OK)
		return;
	c->noticed += s.known.noticed;
	memcpy(c->page, s.url, sizeof c->page);
	if (s.untold && !ari_notices_has(c->notices, w))
		notice_add(c, w, &s);
	if (save)
		ari_saver_add(c->saver, w);
}

static void take_up_all(struct ari_ca *c, struct bytes aki, bool save)
{
	struct ari_who who[64], after;
	size_t n = 0;
	enum err e = ERR_OK;

	for (bool first = true; e == ERR_OK && (first || n > 0); first = false) {
		e = ari_db_noticed(c->core->db, aki, first ? NULL : &after, who, 64, &n);
		for (size_t i = 0; e == ERR_OK && i < n; i++)
			take_up_one(c, &who[i], save);
		if (n > 0)
			after = who[n - 1];
	}
	ari_tell_db(c->core, e);
}

/* What is untold goes out with the first that is settled. */
void ari_ca_take_up(struct ari_ca *c, bool save)
{
	const struct inventory *v = shared_inventory(c->core->shared);
	const struct watch_ca *ca = NULL;

	flush(c);
	c->queued = c->taken = 0;
	c->look_at = 0;
	c->noticed = c->asked = 0;
	while ((ca = watch_cas_called(v->cas, c->issuer, ca)) != NULL)
		if (ca->aki_n > 0 && strcmp(ca->issuer, c->issuer) == 0)
			take_up_all(c, bytes_of(ca->aki, ca->aki_n), save);
	if (c->noticed > 0)
		raise_incident(c);
	if (save)
		ari_saver_go(c->saver);
}

void ari_ca_stand_down(struct ari_ca *c)
{
	c->noticed = c->asked = 0;
	c->behind_s = 0;
	alarm_clear(ALARM_INCIDENT_OPEN, c->issuer, c->issuer);
	alarm_clear(ALARM_ARI_BEHIND, c->issuer, ari_place_directory(c->place));
}

struct ari_ca *ari_ca_new(
    struct ari_core *core, const char *issuer, struct ari_place *place)
{
	struct ari_ca *c = calloc(1, sizeof *c);

	if (c == NULL)
		return NULL;
	c->core = core;
	c->place = place;
	snprintf(c->issuer, sizeof c->issuer, "%s", issuer);
	c->notices = ari_notices_new(core, issuer, on_told, c);
	if (core->share != NULL)
		c->saver =
		    ari_saver_new(core->share, ari_place_directory(place), on_saved, c);
	if (c->notices == NULL || (core->share != NULL && c->saver == NULL) ||
	    !ari_place_join(place, ask_one, c)) {
		ari_saver_free(c->saver);
		ari_notices_free(c->notices);
		free(c);
		return NULL;
	}
	if (holds(c))
		ari_ca_take_up(c, false);
	return c;
}

void ari_ca_free(struct ari_ca *c)
{
	if (c == NULL)
		return;
	ari_place_leave(c->place, c);
	for (size_t i = 0; i < ARI_IN_FLIGHT; i++)
		if (c->out[i].fetch != NULL) {
			fetch_cancel(c->out[i].fetch);
			ari_place_answered(c->place);
		}
	flush(c);
	ari_saver_free(c->saver);
	ari_notices_free(c->notices);
	free(c);
}

const char *ari_ca_issuer(const struct ari_ca *c)
{
	return c->issuer;
}

struct ari_place *ari_ca_place(const struct ari_ca *c)
{
	return c->place;
}
