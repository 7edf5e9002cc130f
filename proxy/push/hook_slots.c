#include "proxy/push/hook_slots.h"

#include <assert.h>

bool hook_slot_take(struct hook_slots *s, struct hook_slot *of, bool doubted)
{
	assert(of->kind == SLOT_NONE);
	if (s->quick == HOOK_QUICK)
		return false;
	if (doubted && (s->doubted == HOOK_QUICK / 2 || s->slow == HOOK_SLOW))
		return false;
	s->quick++;
	s->doubted += doubted;
	*of = (struct hook_slot){SLOT_QUICK, doubted};
	return true;
}

static void quick_give(struct hook_slots *s, struct hook_slot *of)
{
	assert(s->quick > 0 && s->doubted >= of->doubted);
	s->quick--;
	s->doubted -= of->doubted;
	of->doubted = false;
}

void hook_slot_slow(struct hook_slots *s, struct hook_slot *of)
{
	if (of->kind != SLOT_QUICK || s->slow == HOOK_SLOW)
		return;
	quick_give(s, of);
	s->slow++;
	of->kind = SLOT_SLOW;
}

void hook_slot_give(struct hook_slots *s, struct hook_slot *of)
{
	if (of->kind == SLOT_QUICK)
		quick_give(s, of);
	else if (of->kind == SLOT_SLOW)
		s->slow--;
	of->kind = SLOT_NONE;
}
