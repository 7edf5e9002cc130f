/* feed_watch.c - what is told of lists that are late, or may not be all.
 *
 * A list that its CA does not renew fails nothing: its server answers, and each look
 * finds the same.  So its end is an event of its own, said at once and then again as it
 * lasts, each time after twice as long, up to a day.
 */
#include "proxy/lists/feed_list.h"

#include <stdio.h>

#include "proxy/base/alarms.h"
#include "proxy/base/clock.h"
#include "proxy/base/log.h"

#define AGAIN_MS 60000 /* the first pause; then two minutes, four, ... */

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

void feed_watch_ask(const struct feed_list *l)
{
	const char *issuer = l->issuer->name;

	if (feed_is_gone(l) || l->parked)
		return; /* nobody looks at it again */
	alarm_set(ALARM_CRL_REFUSED, feed_is_refusal(l->ask.error), issuer, feed_url(l),
	    l->ask.why);
	alarm_set(ALARM_CRL_NUMBER_BACK, feed_number_is_back(l), issuer, feed_url(l),
	    l->ask.error == ERR_CRL_ROLLBACK ? "refused"
					     : "taken, after the end of the one before");
}

void feed_watch_no_more(const struct feed_list *l)
{
	static const enum alarm of_lists[] = {
	    ALARM_CRL_OVERDUE, ALARM_CRL_OLD, ALARM_CRL_REFUSED, ALARM_CRL_NUMBER_BACK};

	for (size_t n = 0; n < sizeof of_lists / sizeof of_lists[0]; n++)
		alarm_clear(of_lists[n], l->issuer->name, feed_url(l));
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
