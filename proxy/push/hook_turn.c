/* hook_turn.c - a schedule, and the end of it. */
#include "proxy/push/hook_turn.h"

#include <assert.h>

#include "cache/base/backoff.h"

static int64_t step_ms(const struct hook_turn *t, const struct hook_retry *r)
{
	size_t i = t->failures - 1;

	return r->ms[i < r->n ? i : r->n - 1];
}

static void count(struct hook_turn *t, const struct hook_moment *m)
{
	if (t->failures < UINT16_MAX)
		t->failures++;
	/* a clock that was put back begins anew: given up is who failed for so long */
	if (t->failing_at == 0 || t->failing_at > m->now)
		t->failing_at = m->now;
}

enum hook_goes hook_turn_ended(struct hook_turn *t, const struct hook_answer *a,
    const struct hook_retry *r, const struct hook_moment *m)
{
	int64_t wait_ms;

	assert(r->n > 0);
	if (a->verdict == HOOK_TAKEN) {
		*t = (struct hook_turn){0};
		return HOOK_GOES_ON;
	}
	count(t, m);
	if (a->verdict == HOOK_GONE || m->now - t->failing_at >= HOOK_GIVEN_UP_S)
		return HOOK_GIVEN_UP;
	wait_ms = backoff_spread_ms(step_ms(t, r), m->random);
	if (wait_ms < a->wait_s * 1000)
		wait_ms = a->wait_s * 1000;
	t->next_ms = m->now_ms + wait_ms;
	return HOOK_WAITS;
}

bool hook_turn_may(const struct hook_turn *t, int64_t now_ms)
{
	return now_ms >= t->next_ms;
}
