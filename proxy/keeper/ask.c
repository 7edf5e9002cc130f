/* ask.c - the way back of a question. */
#include "proxy/keeper/ask.h"

#include <assert.h>

void ask_reply(struct ask *a, const struct answer *answer, enum err e, enum tier tier)
{
	assert(answer != NULL || e != ERR_OK);
	a->answer = answer;
	a->error = answer != NULL ? ERR_OK : e;
	a->tier =
	    answer != NULL && answer->facts.status != STATUS_NONE ? tier : TIER_NONE;
	question_answer(&a->question);
}
