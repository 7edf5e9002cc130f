/* noticed.c - by incidents in force; by ARI nothing is. */
#include "proxy/watch/noticed.h"

bool noticed_fits(const struct watch_filter *f, const struct inventory *v, uint32_t ca,
    const struct serial *s)
{
	const struct incident *i;
	struct incident_of of;
	struct watched key;

	if (f->noticed == WATCH_NOTICED_ARI)
		return false;
	if (f->incident[0] == '\0')
		return !noticed_is_asked(f) ||
		       incidents_with(v->incidents, v->cas, ca, s, NULL, 0) > 0;
	i = incidents_named(v->incidents, f->incident);
	watched_set(&key, s, WATCH_TIME_NONE, false);
	return i != NULL && incident_of(&of, i, v->cas, ca) &&
	       incident_has(&of, &key, NULL);
}
