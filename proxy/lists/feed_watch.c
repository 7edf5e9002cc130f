/* feed_watch.c - what is told of lists that are late, or may not be all.
 *
 * A list that its CA does not renew fails nothing: its server answers, and each look
 * finds the same.  So its end is an event of its own, said at once and then again as it
 * lasts, each time after twice as long, up to a day.
 */
#include "proxy/lists/feed_list.h"

#include <stdio.h>
#include <string.h>

#include "proxy/base/alarms.h"
#include "proxy/base/clock.h"
#include "proxy/base/log.h"

#define AGAIN_MS    60000 /* the first pause; then two minutes, four, ... */
#define LATE_TIMES  3     /* its pace, and no newer one has come */
#define SHRUNK_FROM 100   /* entries: half of a short list is soon gone */

bool feed_again(struct feed_again *a)
{
	int64_t now = clock_mono_ms();

	if (a->pause_ms > 0 && now - a->at_ms < a->pause_ms)
		return false;
	a->pause_ms = a->pause_ms == 0                ? AGAIN_MS
		      : 2 * a->pause_ms < FEED_DAY_MS ? 2 * a->pause_ms
						      : FEED_DAY_MS;
	a->at_ms = now;
	return true;
}

bool feed_is_over(const struct feed_list *l)
{
	const struct crl_shard *s = feed_in_force(l);

	return s != NULL && s->facts.next_update <= clock_now();
}

bool feed_number_is_back(const struct feed_list *l)
{
	const struct crl_shard *s = feed_in_force(l);

	return (s != NULL && (s->facts.warnings & CRL_WARN_BACK) != 0) ||
	       (l->ask.error == ERR_CRL_ROLLBACK && l->ask.number_back);
}

/* crl-age-alarm: when it is next looked at. */
static int64_t age_at(struct feed_list *l, const struct crl_facts *f)
{
	int64_t limit = l->issuer->age_alarm_ms, now = clock_mono_ms(), left;

	if (limit == 0) {
		alarm_clear(ALARM_CRL_OLD, l->issuer->name, feed_url(l));
		return INT64_MAX;
	}
	left = f->this_update * 1000 + limit - clock_now_ms();
	alarm_set(
	    ALARM_CRL_OLD, left < 0, l->issuer->name, feed_url(l), "no newer one came");
	if (left >= 0)
		return now + left + 1;
	if (l->alarmed_ms == 0 || now - l->alarmed_ms >= FEED_DAY_MS) {
		l->alarmed_ms = now;
		log_error("crl_old",
		    "issuer=%s url=%s age_s=%lld limit_s=%lld "
		    "remedy=%s",
		    l->issuer->name, feed_url(l),
		    (long long)(clock_now() - f->this_update), (long long)(limit / 1000),
		    "ask the CA why it issues no list");
	}
	return l->alarmed_ms + FEED_DAY_MS;
}

static const char *why_late(const struct feed_list *l)
{
	return l->ask.error != ERR_OK ? l->ask.why
	       : l->ask.tried         ? "the server has no newer one"
				      : "not asked for a newer one yet";
}

/* nextUpdate: when it is next looked at. */
static int64_t end_at(struct feed_list *l, const struct crl_facts *f)
{
	char next_update[CLOCK_TEXT_MAX];

	alarm_set(ALARM_CRL_OVERDUE, feed_is_over(l), l->issuer->name, feed_url(l),
	    why_late(l));
	if (!feed_is_over(l)) {
		l->overdue = (struct feed_again){0};
		return clock_mono_ms() + f->next_update * 1000 - clock_now_ms();
	}
	if (feed_again(&l->overdue)) {
		if (!clock_text(f->next_update, next_update))
			next_update[0] = '\0';
		log_warn("crl_overdue",
		    "issuer=%s url=%s next_update=%s overdue_s=%lld looks=%d detail=%s "
		    "effect=%s remedy=%s",
		    l->issuer->name, feed_url(l), next_update,
		    (long long)(clock_now() - f->next_update), l->ask.failures,
		    why_late(l), "what it does not have is unknown",
		    "where it stays so, tell the CA that its next list is late");
	}
	return l->overdue.at_ms + l->overdue.pause_ms;
}

/* What came, and when the next one is due.
 *
 * A wall clock that steps ahead makes no list late: what has gone by since it came is
 * what both clocks say has.  Nor does a restart: nothing is late before this life has
 * asked for a newer one, and it knows from the disk when the last one came. */

static int64_t since_it_came_s(const struct feed_list *l)
{
	int64_t wall = clock_now() - l->came.at;
	int64_t mono = (clock_mono_ms() - l->came.at_ms) / 1000;

	return wall < mono ? wall : mono;
}

/* Neither late nor near its end. */
static void forget_time(struct feed_list *l)
{
	alarm_clear(ALARM_CRL_LATE, l->issuer->name, feed_url(l));
	alarm_clear(ALARM_CRL_EXPIRING, l->issuer->name, feed_url(l));
	l->came.life = FEED_FRESH;
}

/* By half, where there is something to be half of. */
static void watch_size(struct feed_work *w, const struct crl_facts *was)
{
	struct feed_list *l = w->list;
	uint64_t n = w->job.facts.entries;
	char detail[96];

	if (l->came.shrunk_from > 0 && n > l->came.shrunk_from / 2) {
		l->came.shrunk_from = 0;
		alarm_clear(ALARM_CRL_SHRUNK, w->issuer->name, feed_url(l));
	}
	if (was->entries < SHRUNK_FROM || n > was->entries / 2)
		return;
	l->came.shrunk_from = was->entries;
	snprintf(detail, sizeof detail, "%llu entries, and %llu before",
	    (unsigned long long)n, (unsigned long long)was->entries);
	alarm_raise(ALARM_CRL_SHRUNK, w->issuer->name, feed_url(l), detail);
	log_warn("crl_shrunk", "issuer=%s url=%s entries=%llu was=%llu remedy=%s",
	    w->issuer->name, feed_url(l), (unsigned long long)n,
	    (unsigned long long)was->entries,
	    "ask the CA whether the others have expired");
}

void feed_watch_comes(struct feed_work *w)
{
	struct feed_list *l = w->list;
	const struct crl_shard *s = feed_in_force(l);
	int64_t age_s = 0;

	if (s != NULL && memcmp(s->facts.sha256, w->job.facts.sha256, 32) == 0)
		return; /* verified by other certificates */
	if (s != NULL)
		watch_size(w, &s->facts);
	if (w->job.kind == CRL_JOB_OPEN && clock_now() > w->job.open.written_at)
		age_s = clock_now() - w->job.open.written_at;
	l->came.at = clock_now() - age_s;
	l->came.at_ms = clock_mono_ms() - age_s * 1000;
	crl_pace_note(&l->came.pace, w->job.facts.this_update);
	w->job.pace = l->came.pace;
	l->came.newly = w->job.kind == CRL_JOB_READ;
	forget_time(l);
}

static void watch_pace(const struct feed_list *l)
{
	int64_t pace_s = crl_pace_median_s(&l->came.pace), age_s = since_it_came_s(l);
	bool late = pace_s > 0 && age_s > LATE_TIMES * pace_s;
	char detail[sizeof l->ask.why + 96];

	snprintf(detail, sizeof detail,
	    "it came %lld s ago, and one each %lld s before; %s", (long long)age_s,
	    (long long)pace_s, why_late(l));
	if (alarm_set(ALARM_CRL_LATE, late, l->issuer->name, feed_url(l), detail) && late)
		log_warn("crl_late",
		    "issuer=%s url=%s age_s=%lld interval_s=%lld detail=%s remedy=%s",
		    l->issuer->name, feed_url(l), (long long)age_s, (long long)pace_s,
		    why_late(l), "ask the CA whether it still issues its list");
}

/* FEED_FRESH also from its end on: then it is overdue. */
static int life_of(const struct feed_list *l, const struct crl_facts *f)
{
	int64_t left = f->next_update - (l->came.at + since_it_came_s(l));
	int64_t life = f->next_update - f->this_update;

	if (feed_is_over(l) || left > life / 2)
		return FEED_FRESH;
	return left > life / 6 ? FEED_HALF_LEFT : FEED_SIXTH_LEFT;
}

static void tell_expiring(const struct feed_list *l, const struct crl_facts *f)
{
	char detail[sizeof l->ask.why + 96], until[CLOCK_TEXT_MAX];

	if (!clock_text(f->next_update, until))
		until[0] = '\0';
	snprintf(detail, sizeof detail, "less than %s of its life is left, until %s; %s",
	    l->came.life == FEED_SIXTH_LEFT ? "a sixth" : "half", until, why_late(l));
	alarm_raise_again(ALARM_CRL_EXPIRING, l->issuer->name, feed_url(l), detail);
	log_warn("crl_expiring", "issuer=%s url=%s next_update=%s detail=%s remedy=%s",
	    l->issuer->name, feed_url(l), until, detail, "ask the CA for its next list");
}

static void watch_life(struct feed_list *l, const struct crl_facts *f)
{
	int life = life_of(l, f);

	if (life == FEED_FRESH)
		alarm_clear(ALARM_CRL_EXPIRING, l->issuer->name, feed_url(l));
	if (life > (int)l->came.life) {
		l->came.life = life;
		tell_expiring(l, f);
	}
	l->came.life = life;
}

void feed_watch_ask(struct feed_list *l)
{
	const struct crl_shard *s = feed_in_force(l);
	const char *issuer = l->issuer->name;

	if (feed_is_gone(l) || l->parked)
		return; /* nobody looks at it again */
	alarm_set(ALARM_CRL_REFUSED, feed_is_refusal(l->ask.error), issuer, feed_url(l),
	    l->ask.why);
	alarm_set(ALARM_CRL_NUMBER_BACK, feed_number_is_back(l), issuer, feed_url(l),
	    l->ask.error == ERR_CRL_ROLLBACK ? "refused"
					     : "taken, after the end of the one before");
	if (s == NULL || l->came.newly) {
		l->came.newly = false; /* nobody has asked for a newer one yet */
		return;
	}
	watch_pace(l);
	watch_life(l, &s->facts);
}

void feed_watch_no_more(struct feed_list *l)
{
	static const enum alarm of_lists[] = {ALARM_CRL_LATE, ALARM_CRL_OVERDUE,
	    ALARM_CRL_EXPIRING, ALARM_CRL_OLD, ALARM_CRL_REFUSED, ALARM_CRL_NUMBER_BACK,
	    ALARM_CRL_SHRUNK};

	for (size_t n = 0; n < sizeof of_lists / sizeof of_lists[0]; n++)
		alarm_clear(of_lists[n], l->issuer->name, feed_url(l));
	l->came.life = FEED_FRESH;
	l->came.shrunk_from = 0;
}

void feed_watch_age(struct feed_list *l)
{
	const struct crl_shard *s =
	    feed_is_gone(l) || l->parked ? NULL : feed_in_force(l);
	int64_t age = s != NULL ? age_at(l, &s->facts) : INT64_MAX;
	int64_t end = s != NULL ? end_at(l, &s->facts) : INT64_MAX;

	if (s == NULL) { /* it is another one's, if anybody's */
		alarm_clear(ALARM_CRL_OLD, l->issuer->name, feed_url(l));
		alarm_clear(ALARM_CRL_OVERDUE, l->issuer->name, feed_url(l));
		forget_time(l);
	}
	l->alarm_ms = age < end ? age : end;
	feed_due(l);
}

void feed_watch_part(struct feed_issuer *i)
{
	const struct crl_set *s = feed_set_of(i);
	enum crl_absence a = crl_set_absence(s, i->absent, clock_now(), NULL);

	/* who asks for those of watched certificates alone knows that they are a part */
	if (a == CRL_ABSENT_PART && !i->part && !i->learns[LEARNT_CERTIFICATES])
		log_warn("crl_part", "issuer=%s detail=%s", i->name, crl_absence_text(a));
	/* not where one of them is only late */
	if (a == CRL_ABSENT_PART || a == CRL_ABSENT_GOOD || a == CRL_ABSENT_BY_OPTION)
		i->part = a == CRL_ABSENT_PART;
}
