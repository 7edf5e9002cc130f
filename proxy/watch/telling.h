/* telling.h - certificates that stand on one incident go into the change log as notices:
 * matched, judged, batch after batch, with the told pointer of a scope.
 *
 * One at a time.  What is told of a scope is asked first, and again where somebody else
 * has moved it meanwhile: so it goes on behind what any node has told.  Batches are of
 * one issuer; what is revoked already is left out.
 *
 * The inventory thread; the matching is done on the executor's.
 */
#ifndef PROXY_WATCH_TELLING_H
#define PROXY_WATCH_TELLING_H

#include "cache/change/change_log.h"
#include "cache/watch/incident_hits.h"
#include "proxy/watch/watch_context.h"

/* Lists that are not opened yet are waited for so long, before who is revoked by them
 * counts as not. */
#define TELLING_WAIT_MS 30000

struct telling;

struct telling_want {
	const struct incident *incident; /* what is to be told is on this one; borrowed */
	const struct watch_list *list;   /* borrowed; NULL: all that is watched */
	enum incident_others others; /* OTHERS_SOME: for the list's subscribers alone */
	struct incident_but but[INCIDENT_BUT_MAX]; /* references are taken */
	struct incident_place upto; /* those before; incident_place_end(): all */
	bool withdrawn;             /* they are taken back */
	bool rare;  /* the scope is only written where there is something to tell */
	bool close; /* nothing is matched: the scope is closed where it stands */
	uint8_t scope[CHANGE_SCOPE_N];
	uint8_t id[INCIDENT_ID_N]; /* what the pointer is of */
	/* Not where others have begun or may begin: then ERR_CONFLICT, with `told`. */
	bool waits, first;
	struct change_told seen; /* but where it was looked at before, and stands so still
				  */
};

/* done(arg): once for each telling_start(), from the loop. */
struct telling *telling_new(
    struct watch_context *context, void (*done)(void *arg, enum err e), void *arg);
void telling_start(struct telling *a, const struct telling_want *want);
/* In done: as the pointer stands.  ERR_OK: it is closed. */
const struct change_told *telling_told(const struct telling *a);
struct incident_place telling_place(const struct telling *a);
/* Certificates that are matched and not told yet. */
size_t telling_waiting(const struct telling *a);
/* The inventory that it was matched with; 0: with none. */
uint64_t telling_number(const struct telling *a);
/* All of it was told by this telling: so all that stood in that inventory was. */
bool telling_is_whole(const struct telling *a);
void telling_cancel(struct telling *a); /* what is matched is given up */
void telling_stop(struct telling *a);   /* ends its thread; NULL is allowed */
void telling_free(struct telling *a);

/* Count who stands on an incident, on the same thread. */
struct telling_count {
	struct incident_hits_want want; /* what it borrows stays until done */
	const struct access *access;    /* only of issuers that he sees; borrowed */
	size_t n;
	bool counted;
	void (*done)(struct telling_count *c);
	struct telling *_telling;
};
void telling_count(struct telling *a, struct telling_count *c);

#endif
