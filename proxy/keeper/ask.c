/* ask.c - the way back of a question. */
#include "proxy/keeper/ask.h"

static void run_done(void *inbox_arg, struct msg *m)
{
	struct ask *a = (struct ask *)m; /* msg is its first member */

	a->done(inbox_arg, a);
}

void ask_reply(struct ask *a, const struct answer *answer, enum err e, enum tier tier)
{
	a->answer = answer;
	a->error = answer != NULL ? ERR_OK : e;
	a->tier =
	    answer != NULL && answer->facts.status != STATUS_NONE ? tier : TIER_NONE;
	a->msg.run = run_done;
	inbox_post(a->reply_to, &a->msg);
}
