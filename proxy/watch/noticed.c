/* noticed.c - by incidents in force, and by what CAs say of renewing. */
#include "proxy/watch/noticed.h"

static bool is_on(
    const struct inventory *v, const char *name, uint32_t ca, const struct watched *key)
{
	const struct incident *i = incidents_named(v->incidents, name);
	struct incident_of of;

	return i != NULL && incident_of(&of, i, v->cas, ca) &&
	       incident_has(&of, key, NULL);
}

static bool by_incident(const struct inventory *v, uint32_t ca, const struct serial *s)
{
	return v->incidents->in_force > 0 &&
	       incidents_with(v->incidents, v->cas, ca, s, NULL, 0) > 0;
}

bool noticed_fits(const struct watch_filter *f, const struct inventory *v,
    const struct ari_noticed *ari, uint32_t ca, const struct serial *s)
{
	struct watched key;

	watched_set(&key, s, WATCH_TIME_NONE, false);
	if (f->incident[0] != '\0' && !is_on(v, f->incident, ca, &key))
		return false;
	switch (f->noticed) {
	case WATCH_NOTICED_ARI:
		return ari_noticed_find(ari, ca, &key) != NULL;
	case WATCH_NOTICED_INCIDENT:
		return by_incident(v, ca, s);
	case WATCH_NOTICED_OR_NOT:
		break;
	}
	return true;
}

bool noticed_is(const struct inventory *v, const struct ari_noticed *ari, uint32_t ca,
    const struct serial *s)
{
	struct watched key;

	if (by_incident(v, ca, s))
		return true;
	watched_set(&key, s, WATCH_TIME_NONE, false);
	return ari->n > 0 && ari_noticed_find(ari, ca, &key) != NULL;
}
