/* standing_text.c - for each issuer, each CA of that name, each who announces: a walk. */
#include "proxy/push/standing_text.h"

#include <stdlib.h>

#include "proxy/watch/ari_board.h"

#define SLICE 2048 /* certificates, in one look: a look is some 50 ns */

/* Certificates of a CA, from where the cursor is. */
struct standing_walk {
	const struct watched *at, *end; /* of the list, or */
	struct inventory_walk *all;     /* of all lists */
	struct watched here;
};

static bool walk_start(struct standing_walk *k, const struct watch_view *w, uint32_t ca,
    const struct standing_cursor *c)
{
	size_t n;

	*k = (struct standing_walk){0};
	if (w->list == NULL) {
		k->all = inventory_walk_new(w->v, ca, c->after ? &c->last : NULL);
		return k->all != NULL;
	}
	k->at = watch_list_of(w->list, ca, &n);
	k->end = n > 0 ? k->at + n : k->at;
	if (c->after && n > 0)
		k->at += watched_from(k->at, n, &c->last);
	if (c->after && k->at < k->end && crl_order(k->at, &c->last) == 0)
		k->at++;
	return true;
}

/* Valid until the next one. */
static const struct watched *walk_next(struct standing_walk *k)
{
	if (k->all != NULL)
		return inventory_walk_next(k->all, &k->here) ? &k->here : NULL;
	return k->at < k->end ? k->at++ : NULL;
}

/* One notice; with the head where it is the first. */
static void put_one(struct watch_view *w, const struct announcer *a, uint32_t ca,
    const struct watched *e, const struct crl_entry *entry,
    const struct change_window *window)
{
	char text[EVENTS_HEAD_TEXT];

	if (w->changes == 0) {
		char *p = PUT(text, "event: snapshot\ndata: ");

		p = put_notices_begin(p, &a->head);
		json_put_bytes(&w->out, text, (size_t)(p - text));
	}
	watch_text_entry(w, ca, entry, w->list == NULL || watched_is_bare(e), window);
}

/* Of an issuer's certificate: is it announced, and not revoked? */
static bool is_standing(const struct announcer *a, const struct snapshot_issuer *of,
    const struct watched *e, struct crl_entry *entry, struct change_window *window)
{
	struct serial serial;
	bool from_list;

	if (!announcer_has(a, e, window))
		return false;
	*entry = (struct crl_entry){0};
	watched_serial(e, &serial);
	crl_entry_set_serial(entry, &serial);
	return snapshot_find(of, entry, &from_list) == NULL;
}

/* True: there may be more in this CA by this announcer. */
static bool put_slice(struct watch_view *w, const struct announcer *a,
    const struct snapshot_issuer *of, uint32_t ca, struct standing_cursor *c)
{
	const struct watched *e = NULL;
	size_t looks = 0;
	struct standing_walk k;

	if (!walk_start(&k, w, ca, c)) {
		w->out.failed = true;
		return true;
	}
	while (looks < SLICE && !w->full && w->changes < EVENTS_CHANGES &&
	       (e = walk_next(&k)) != NULL) {
		struct change_window window;
		struct crl_entry entry;

		looks++;
		c->last = *e;
		if (is_standing(a, of, e, &entry, &window))
			put_one(w, a, ca, e, &entry, &window);
	}
	c->after = c->after || looks > 0;
	inventory_walk_free(k.all);
	w->steps += looks + 1;
	return e != NULL || looks == SLICE;
}

/* The CA that *c is at, or the next one that goes by the issuer's name; NULL: none. */
static const struct watch_ca *ca_at(
    const struct watch_view *w, const char *issuer, const struct standing_cursor *c)
{
	const struct watch_ca *ca = NULL;

	do
		ca = watch_cas_called(w->v->cas, issuer, ca);
	while (ca != NULL && ca->id < c->ca);
	return ca;
}

static void next_issuer(struct standing_cursor *c)
{
	*c = (struct standing_cursor){.issuer = c->issuer + 1};
}

static void next_ca(struct standing_cursor *c, uint32_t ca)
{
	*c = (struct standing_cursor){.issuer = c->issuer, .ca = ca + 1};
}

/* A slice of what an announcer says of a CA. */
static void put_announced(struct watch_view *w, const struct snapshot *s,
    const struct snapshot_issuer *of, uint32_t ca, struct standing_cursor *c)
{
	const struct ari_noticed *ari = ari_board_get(w->shared);
	struct announcer a;

	if (!announcer_next(&a, w->v, ari, ca, c->key, !c->inside && c->key[0] != '\0')) {
		next_ca(c, ca);
	} else {
		if (!c->inside || strcmp(c->key, a.key) != 0) {
			*c = (struct standing_cursor){
			    .issuer = c->issuer, .ca = ca, .inside = true};
			strcpy(c->key, a.key);
		}
		a.head.issuer = of->name;
		a.head.seen_at = s->at;
		c->inside = put_slice(w, &a, of, ca, c);
		if (w->changes > 0)
			json_put(&w->out, "]}\n\n");
	}
	ari_noticed_unref(ari);
}

bool standing_text_next(
    struct watch_view *w, const struct snapshot *s, struct standing_cursor *c)
{
	const struct snapshot_issuer *of;
	const struct watch_ca *ca;

	watch_text_begin(w, WATCH_NOTICES);
	if (c->issuer == s->n)
		return false;
	w->steps++;
	of = &s->of[c->issuer];
	ca = w->v != NULL && access_issuer(w->access, of->name) ? ca_at(w, of->name, c)
								: NULL;
	if (ca == NULL)
		return next_issuer(c), true;
	if (ca->id != c->ca) /* the one that it was at has gone */
		*c = (struct standing_cursor){.issuer = c->issuer, .ca = ca->id};
	put_announced(w, s, of, ca->id, c);
	return true;
}
