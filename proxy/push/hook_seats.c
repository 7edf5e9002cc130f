/* hook_seats.c - three counts. */
#include "proxy/push/hook_seats.h"

#include <assert.h>

bool hook_seat_take(struct hook_seats *s, struct hook_seat *of, bool doubted)
{
	assert(of->kind == SEAT_NONE);
	if (s->quick == HOOK_QUICK)
		return false;
	if (doubted && (s->doubted == HOOK_QUICK / 2 || s->slow == HOOK_SLOW))
		return false;
	s->quick++;
	s->doubted += doubted;
	*of = (struct hook_seat){SEAT_QUICK, doubted};
	return true;
}

static void quick_give(struct hook_seats *s, struct hook_seat *of)
{
	assert(s->quick > 0 && s->doubted >= of->doubted);
	s->quick--;
	s->doubted -= of->doubted;
	of->doubted = false;
}

void hook_seat_slow(struct hook_seats *s, struct hook_seat *of)
{
	if (of->kind != SEAT_QUICK || s->slow == HOOK_SLOW)
		return;
	quick_give(s, of);
	s->slow++;
	of->kind = SEAT_SLOW;
}

void hook_seat_give(struct hook_seats *s, struct hook_seat *of)
{
	if (of->kind == SEAT_QUICK)
		quick_give(s, of);
	else if (of->kind == SEAT_SLOW)
		s->slow--;
	of->kind = SEAT_NONE;
}
