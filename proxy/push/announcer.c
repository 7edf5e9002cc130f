/* announcer.c - incidents in force, by name. */
#include "proxy/push/announcer.h"

static void set_head(struct announcer *a, const struct incident *i)
{
	a->key = i->about.name;
	a->head = (struct notices_head){.source = CHANGE_INCIDENT,
	    .incident = i->about.name,
	    .url = i->about.url,
	    .deadline = i->about.deadline != WATCH_TIME_NONE ? i->about.deadline : 0};
}

bool announcer_next(struct announcer *a, const struct inventory *v, uint32_t ca,
    const char *key, bool behind)
{
	const struct incidents *all = v->incidents;

	for (size_t n = 0; n < all->in_force; n++) {
		const struct incident *i = all->item[n];
		int order = strcmp(i->about.name, key);

		if (order < 0 || (order == 0 && behind) ||
		    !incident_of(&a->of, i, v->cas, ca))
			continue;
		set_head(a, i);
		return true;
	}
	return false;
}

bool announcer_has(
    const struct announcer *a, const void *entry, struct change_window *window)
{
	*window = (struct change_window){0};
	return incident_has(&a->of, entry, NULL);
}
