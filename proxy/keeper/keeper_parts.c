/* keeper_parts.c - from the evidence to the polls. */
#include "proxy/keeper/keeper_parts.h"

bool keeper_parts_make(struct keeper_parts *p)
{
	p->evidence = (struct evidence_sources){.hot = p->context.shared->hot,
	    .memos = memos_new(),
	    .polled = polled_new((uint64_t)schedule_random(p->context.schedule) << 32 |
				 schedule_random(p->context.schedule)),
	    .latches = p->latches,
	    .crl_feed = p->crl_feed,
	    .shared = p->context.shared};
	p->revoker = revoker_new(&p->context, p->latches, p->latch_file, p->store);
	p->answers = answers_new(&p->context, &p->evidence, p->revoker, p->store);
	p->door = (struct door){.context = &p->context,
	    .evidence = &p->evidence,
	    .admit = p->admit,
	    .keys = p->keys,
	    .answers = p->answers,
	    .revoker = p->revoker,
	    .teller = p->teller};
	p->flights = flights_new(&p->door, p->source, p->store, p->crl_feed);
	p->forwards = forwards_new(&p->door, p->source, p->crl_feed, p->flights);
	p->refreshes = refreshes_new(&p->context, p->answers, p->flights);
	p->polls = polls_new(&p->context, &p->evidence, p->flights, p->source);
	return p->evidence.memos != NULL && p->evidence.polled != NULL &&
	       p->revoker != NULL && p->answers != NULL && p->flights != NULL &&
	       p->forwards != NULL && p->refreshes != NULL && p->polls != NULL;
}

void keeper_parts_free(struct keeper_parts *p)
{
	polls_free(p->polls);
	refreshes_free(p->refreshes);
	forwards_free(p->forwards);
	flights_free(p->flights);
	answers_free(p->answers);
	revoker_free(p->revoker);
	polled_free(p->evidence.polled);
	memos_free(p->evidence.memos);
}
