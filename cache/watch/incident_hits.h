/* incident_hits.h - which of what is watched stands on an incident.
 *
 * In an order that depends on the incident and on who is called what, and on nothing else
 * (not on the lists, nor on the node): by the SHA-256 of the issuer's name, then by the
 * place on the incident.  So whoever tells of them in this order says by a place how far
 * he is, and any node goes on from there (proxy/watch/notices.h).
 *
 * 15 million entries on a thousand lists against 3 million serials: under a second; so it
 * is work for a thread that nobody waits for.  Plain values, any thread.
 */
#ifndef CACHE_WATCH_INCIDENT_HITS_H
#define CACHE_WATCH_INCIDENT_HITS_H

#include "cache/watch/inventory.h"

/* How far: those before this place.  Plain value; all zeros is before the first. */
struct incident_place {
	uint8_t issuer[32]; /* SHA-256 of its name */
	uint32_t at;        /* a place on the incident */
};
struct incident_place incident_place_end(void); /* behind all of them */
int incident_place_cmp(const struct incident_place *a, const struct incident_place *b);

#define INCIDENT_BUT_MAX 2

struct incident_hits_want {
	const struct incident *incident;
	const struct inventory *inventory; /* whose lists, and whose names of CAs */
	const struct watch_list *list;     /* only what is on this one; NULL: on all */
	/* Of a list: whether another one has it, too. */
	enum incident_others { OTHERS_OR_NOT, OTHERS_NONE, OTHERS_SOME } others;
	/* Not those that stand on one of these, too, before its place. */
	struct incident_but {
		const struct incident *incident; /* NULL: none is */
		struct incident_place upto;
	} but[INCIDENT_BUT_MAX];
	const _Atomic bool *stop; /* give up when it is set; NULL: never */
};

struct incident_hit {
	uint32_t who; /* of incident_hits.who */
	uint32_t at;
};

/* A CA, or all that go by one issuer's name. */
struct incident_who {
	uint8_t sha256[32];
	char issuer[64]; /* "": not configured; such come last */
	uint32_t ca;     /* the first of them */
};

struct incident_hits {
	size_t n;                 /* certificates, each once */
	struct incident_hit *hit; /* in order */
	size_t told; /* of them, the first ones: their issuer is configured */
	size_t whos;
	struct incident_who *who; /* in order */
};

/* False: out of memory, or it was stopped. */
bool incident_hits_find(struct incident_hits *out, const struct incident_hits_want *want);
void incident_hits_clear(struct incident_hits *h);

struct incident_place incident_hits_place(const struct incident_hits *h, size_t i);
/* The first that is not before this place; h->told: none. */
size_t incident_hits_from(const struct incident_hits *h, const struct incident_place *p);

#endif
