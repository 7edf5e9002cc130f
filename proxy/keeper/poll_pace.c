/* poll_pace.c - distances, and what a whole round has taught. */
#include "proxy/keeper/poll_pace.h"

static int64_t distance(const struct poll_pace *p, int64_t interval_us)
{
	return interval_us / (int64_t)p->n;
}

/* Who stands on several lists is counted once when a round has told how many those are.
 */
static void count_anew(struct poll_pace *p, const struct poll_count *count)
{
	if (count->all != p->counted) {
		p->counted = count->all;
		p->share = 1;
		p->walked = SIZE_MAX;
	}
	p->n = (size_t)((double)count->all * p->share);
	if (p->n < count->most)
		p->n = count->most;
}

bool poll_pace_set(struct poll_pace *p, const struct poll_count *count,
    int64_t interval_us, int64_t now_us, unsigned chance)
{
	if (count->all == 0) {
		*p = (struct poll_pace){0};
		return false;
	}
	if (p->n == 0) {
		*p = (struct poll_pace){.began_us = now_us};
		count_anew(p, count);
		p->due_us = now_us + distance(p, interval_us) * chance / 65536;
		return true;
	}
	count_anew(p, count);
	if (p->due_us > now_us + distance(p, interval_us))
		p->due_us = now_us + distance(p, interval_us);
	return false;
}

void poll_pace_next(struct poll_pace *p, int64_t interval_us, unsigned chance)
{
	int64_t most = distance(p, interval_us);

	p->due_us += most - most / 10 * chance / 65536;
	p->walked += p->walked != SIZE_MAX;
}

void poll_pace_round(struct poll_pace *p, int64_t now_us)
{
	if (p->walked != SIZE_MAX && p->walked < p->counted)
		p->share = (double)p->walked / (double)p->counted;
	p->walked = 0;
	p->began_us = now_us;
	p->told = false;
	if (p->due_us < now_us)
		p->due_us = now_us;
}

int64_t poll_pace_late_us(const struct poll_pace *p, int64_t now_us)
{
	return p->n > 0 && now_us > p->due_us ? now_us - p->due_us : 0;
}

bool poll_pace_tells(struct poll_pace *p, int64_t interval_us, int64_t now_us)
{
	if (p->told || poll_pace_late_us(p, now_us) <= interval_us / 10 ||
	    now_us - p->began_us <= interval_us)
		return false;
	return p->told = true;
}
