/* ari_pace.c - the rate, the bounds, and what chance adds. */
#include "proxy/watch/ari_pace.h"

#include <string.h>

#include "cache/base/backoff.h"
#include "proxy/http/http1.h"

bool ari_pace_may(
    const struct ari_pace *p, int64_t now_us, int64_t now_s, int64_t *wait_us)
{
	*wait_us = 0;
	if (p->in_flight >= ARI_IN_FLIGHT)
		return false;
	if (p->halted_until > now_s)
		*wait_us = (p->halted_until - now_s) * 1000000;
	else if (p->free_us > now_us)
		*wait_us = p->free_us - now_us;
	return *wait_us == 0;
}

/* A timer that comes late is made up for by one question; what was not asked while
 * nothing was due is not. */
void ari_pace_asks(struct ari_pace *p, int64_t now_us, unsigned rate)
{
	int64_t distance = 1000000 / (rate > 0 ? rate : 1);

	p->in_flight++;
	p->free_us = (now_us - p->free_us < distance ? p->free_us : now_us) + distance;
}

void ari_pace_answered(struct ari_pace *p)
{
	if (p->in_flight > 0)
		p->in_flight--;
}

enum ari_outcome ari_outcome(int status, bool readable)
{
	if (status == 429 || status == 503)
		return ARI_HALT;
	if (status == 404)
		return ARI_NOT_FOUND;
	return status == 200 && readable ? ARI_ANSWERED : ARI_FAILED;
}

int64_t ari_retry_after(const char *text, int64_t now)
{
	struct bytes in = bytes_of(text, strlen(text));
	int64_t at, seconds = 0;

	if (http1_date_parse(in, &at))
		return at > now ? at - now : 0;
	if (in.n == 0)
		return -1;
	for (size_t i = 0; i < in.n; i++) {
		if (text[i] < '0' || text[i] > '9')
			return -1;
		if (seconds < INT32_MAX)
			seconds = seconds * 10 + (text[i] - '0');
	}
	return seconds;
}

static int64_t within(int64_t s, const struct ari_bounds *b)
{
	return s < b->min_s ? b->min_s : s > b->max_s ? b->max_s : s;
}

static int64_t by_chance(int64_t most, unsigned chance)
{
	return most > 0 ? most * (int64_t)(chance & 0xffff) / 65535 : 0;
}

/* Without chance: the least. */
static int64_t least_wait(
    const struct ari_state *s, enum ari_outcome outcome, int64_t retry_after)
{
	static const struct backoff again = {
	    .initial_ms = ARI_RETRY_S, .max_ms = ARI_DEFAULT_S, .doublings = 30};

	switch (outcome) {
	case ARI_NOT_FOUND:
		return ARI_NOT_FOUND_S;
	case ARI_FAILED:
		return backoff_step_ms(
		    &again, (int)(s->failures < 30 ? s->failures : 30));
	case ARI_ANSWERED:
	case ARI_HALT:
		break;
	}
	return retry_after >= 0 ? retry_after : ARI_DEFAULT_S;
}

void ari_pace_next(struct ari_state *s, enum ari_outcome outcome, int64_t retry_after,
    int64_t now_s, const struct ari_bounds *b, unsigned chance)
{
	bool first = s->asked_at == 0;
	int64_t wait, most;

	s->asked_at = now_s;
	s->failures = outcome == ARI_ANSWERED || outcome == ARI_NOT_FOUND
			  ? 0
			  : s->failures + (s->failures < UINT32_MAX);
	wait = least_wait(s, outcome, retry_after);
	/* a failure is tried again by our own word, which the bounds are not for */
	if (outcome != ARI_FAILED)
		wait = within(wait, b);
	most = first && outcome == ARI_ANSWERED ? wait : wait / 20;
	if (wait + most > b->max_s && first)
		most = b->max_s > wait ? b->max_s - wait : 0;
	/* now is somewhere in its second: not a moment early */
	s->next_at = now_s + 1 + wait + by_chance(most, chance);
}

void ari_pace_halt(
    struct ari_pace *p, int64_t retry_after, int64_t now_s, const struct ari_bounds *b)
{
	p->halted_until =
	    now_s + 1 + within(retry_after >= 0 ? retry_after : ARI_RETRY_S, b);
}

bool ari_is_behind(
    const struct ari_state *first_due, int64_t now_s, const struct ari_bounds *b)
{
	int64_t since =
	    first_due->asked_at > 0 ? first_due->asked_at : first_due->next_at;

	/* who was not to be asked for longer than that (replaced until now, or failures)
	 * is late from then on */
	if (since < first_due->next_at - b->max_s)
		since = first_due->next_at - b->max_s;
	/* a twentieth is what chance adds */
	return now_s - since > b->max_s + b->max_s / 20 && first_due->next_at < now_s;
}
