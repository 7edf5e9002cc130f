/* poll_walk.c - CA after CA, by their numbers. */
#include "proxy/keeper/poll_walk.h"

/* The first CA from this number on that goes by the issuer's name; or NULL. */
static const struct watch_ca *ca_from(
    const struct inventory *v, const char *issuer, uint32_t id)
{
	for (size_t n = 0; n < v->cas->n; n++)
		if (v->cas->ca[n].id >= id && strcmp(v->cas->ca[n].issuer, issuer) == 0)
			return &v->cas->ca[n];
	return NULL;
}

static void add_ca(
    struct poll_count *count, const struct inventory *v, const struct watch_ca *ca)
{
	size_t most = 0;

	for (size_t i = 0; i < v->n; i++) {
		size_t n;

		watch_list_of(v->list[i], ca->id, &n);
		count->all += n;
		if (n > most)
			most = n;
	}
	count->most += most;
}

struct poll_count poll_count(const struct inventory *v, const char *issuer)
{
	struct poll_count count = {0};
	const struct watch_ca *ca = NULL;

	while ((ca = ca_from(v, issuer, ca != NULL ? ca->id + 1 : 0)) != NULL)
		add_ca(&count, v, ca);
	return count;
}

void poll_place_by_chance(
    struct poll_place *p, const struct inventory *v, const char *issuer, uint32_t chance)
{
	const struct watch_ca *ca = NULL;

	*p = (struct poll_place){0};
	if (v->n == 0)
		return;
	while ((ca = ca_from(v, issuer, ca != NULL ? ca->id + 1 : 0)) != NULL) {
		size_t n;
		const struct watched *e =
		    watch_list_of(v->list[chance % v->n], ca->id, &n);

		if (n == 0)
			continue;
		*p = (struct poll_place){ca->id, true, e[chance / v->n % n]};
		return;
	}
}

static bool begin(struct poll_walk *w, const struct watch_ca *ca)
{
	bool same = w->place->has_after && w->place->ca == ca->id;

	w->_walk = inventory_walk_new(w->v, ca->id, same ? &w->place->after : NULL);
	w->place->ca = ca->id;
	w->place->has_after = same;
	return w->_walk != NULL;
}

bool poll_walk_next(
    struct poll_walk *w, struct watched *out, struct bytes *aki, bool *wrapped)
{
	for (;;) {
		const struct watch_ca *ca = ca_from(w->v, w->issuer, w->place->ca);

		if (ca == NULL && *wrapped)
			return false;
		if (ca == NULL) {
			*wrapped = true;
			*w->place = (struct poll_place){0};
			continue;
		}
		if (w->_walk == NULL && !begin(w, ca))
			return false;
		if (inventory_walk_next(w->_walk, out)) {
			w->place->has_after = true;
			w->place->after = *out;
			*aki = bytes_of(ca->aki, ca->aki_n);
			return true;
		}
		poll_walk_end(w);
		*w->place = (struct poll_place){.ca = ca->id + 1};
	}
}

void poll_walk_end(struct poll_walk *w)
{
	inventory_walk_free(w->_walk);
	w->_walk = NULL;
}
