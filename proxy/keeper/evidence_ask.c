/* evidence_ask.c - a look into latches, memos and what was polled for each. */
#include "proxy/keeper/evidence_ask.h"

#include <stdlib.h>

static struct evidence_kept *room_for_one(struct evidence_ask *a)
{
	size_t room = a->kept_room > 0 ? 2 * a->kept_room : 64;
	struct evidence_kept *p;

	if (a->kept_n < a->kept_room)
		return &a->kept[a->kept_n];
	p = realloc(a->kept, room * sizeof *p);
	if (p == NULL)
		return NULL;
	a->kept = p;
	a->kept_room = room;
	return &p[a->kept_n];
}

static enum err look(const struct evidence_sources *from, const struct issuer *i,
    struct evidence_ask *a, struct evidence_item *item)
{
	struct evidence_kept kept, *place;

	item->kept = 0;
	if (i == NULL)
		return ERR_OK;
	evidence_keep(from, i, &item->serial, &kept);
	if (!kept.latched && !kept.heard.found && !kept.refused.found &&
	    !kept.polled.found)
		return ERR_OK;
	place = room_for_one(a);
	if (place == NULL)
		return ERR_NOMEM;
	*place = kept;
	item->kept = (uint32_t)++a->kept_n;
	return ERR_OK;
}

void evidence_ask_answer(const struct evidence_sources *from,
    const struct issuers *configured, struct evidence_ask *a)
{
	const struct issuer **issuer = calloc(a->names_n + 1, sizeof *issuer);

	a->kept_n = 0;
	a->error = issuer != NULL ? ERR_OK : ERR_NOMEM;
	for (size_t n = 0; issuer != NULL && n < a->names_n; n++)
		issuer[n] = issuers_named(configured, a->name[n]);
	for (size_t n = 0; n < a->n && a->error == ERR_OK; n++)
		a->error = look(from, issuer[a->item[n].issuer], a, &a->item[n]);
	free(issuer);
}
