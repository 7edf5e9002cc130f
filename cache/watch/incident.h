/* incident.h - what a CA is going to revoke: the serials of an incident, and what is said
 * of all of them.
 *
 * An incident is kept as a watchlist is (WATCH_INCIDENT): the same rows in watch.mdb, the
 * same head and chunks in a store that nodes share, the same compare and set.  Only its
 * name there differs, "!NAME", and one row more has what is said of all (incident_about).
 * Of whom a serial is, is told as a list tells it, by a CA of the table (watch_ca.h),
 * which need not be watched, nor configured; serials that anybody may have issued are
 * those of a CA that nobody is (INCIDENT_ANYBODY).
 *
 * One that was replaced or deleted is *withdrawn*: it is kept under "~" and its
 * generation until that was told (proxy/watch/notices.h), and announces nothing.
 *
 * All are part of the inventory, and found there (inventory.incidents).  Immutable and
 * counted; any thread.
 *
 * Weak point: 30 bytes a serial, which an array of nothing but serials would do in 21;
 * what is kept, sent and loaded as lists are is worth it.
 */
#ifndef CACHE_WATCH_INCIDENT_H
#define CACHE_WATCH_INCIDENT_H

#include "cache/watch/watch_ca.h"
#include "cache/watch/watch_list.h"
#include "cache/watch/watch_record.h"

struct watch_draft;

#define INCIDENT_ANYBODY    "*" /* the DN of the CA that anybody may be: no DN is it */
#define INCIDENT_ID_N       16  /* random, of each PUT */
#define INCIDENT_URL_MAX    2048
#define INCIDENT_ISSUER_MAX (2 * WATCH_AKI_MAX + 1) /* a name or a hexadecimal AKI */

/* What is said of all serials. */
struct incident_about {
	uint8_t id[INCIDENT_ID_N];
	char name[WATCH_NAME_MAX];        /* [a-z0-9._-]{1,63} */
	int64_t deadline;                 /* seconds, or WATCH_TIME_NONE: nobody said */
	char issuer[INCIDENT_ISSUER_MAX]; /* as ?issuer= said; "": nobody did */
	char url[INCIDENT_URL_MAX];       /* valid UTF-8; "": nobody said */
};

/* The row of it, among those of a draft.  As watch_draft_add(). */
enum err incident_say(struct watch_draft *d, const struct incident_about *about);
/* A row of a list that is being built: what is said of all is kept with the list, where
 * it is that row (only that has labels).  ERR_RECORD: not what incident_say() wrote.
 * ERR_NOMEM. */
enum err incident_hear(struct watch_list *l, const struct watch_record *row);

/* "!NAME": under which an incident is kept; "~0000002a": one that was withdrawn. */
void incident_key(char key[WATCH_NAME_MAX], const char *name);
void incident_withdrawn_key(char key[WATCH_NAME_MAX], uint32_t generation);
static inline bool incident_is_key(const char *name)
{
	return name[0] == '!' || name[0] == '~';
}

struct incident {
	_Atomic unsigned refs;
	char key[WATCH_NAME_MAX];
	bool withdrawn;
	struct incident_about about;
	size_t serials;
	const struct watch_list *list; /* a reference; its serials, and the row besides */
	struct incident_index *index;  /* by range of the list */
};

/* NULL when out of memory. */
const struct incident *incident_new(const char *key, const struct watch_list *list);
const struct incident *incident_ref(const struct incident *i);
void incident_unref(const struct incident *i); /* NULL is allowed */

struct incidents {
	_Atomic unsigned refs;
	size_t n, in_force;            /* those in force come first */
	const struct incident *item[]; /* references; by key */
};
extern struct incidents incidents_none; /* a reference is taken as of any */
const struct incidents *incidents_ref(const struct incidents *s);
void incidents_unref(const struct incidents *s); /* NULL is allowed */
/* The same with this one in the place of the one of its key, or besides; without the one
 * of this key.  NULL when out of memory. */
const struct incidents *incidents_plus(
    const struct incidents *s, const struct incident *i);
const struct incidents *incidents_minus(const struct incidents *s, const char *key);
/* In force, by name; or by key.  NULL: there is none.  Borrowed. */
const struct incident *incidents_named(const struct incidents *s, const char *name);
const struct incident *incidents_at(const struct incidents *s, const char *key);

/* Has a range what is said of all; has it the serials of anybody? */
bool incident_is_about(const struct watch_cas *cas, const struct watch_range *r);
bool incident_is_anybodys(const struct watch_cas *cas, const struct watch_range *r);

/* Does an incident name certificates of this CA?  Made once for all that are asked for; a
 * plain value that borrows the incident and cas. */
#define INCIDENT_OF_MAX 8
struct incident_of {
	const struct incident *incident;
	const struct watch_cas *cas;
	uint32_t ca;
	size_t n; /* ranges that may have them, the first ones of: */
	uint32_t range[INCIDENT_OF_MAX];
};
/* cas: of the inventory.  False: it names none of this CA. */
bool incident_of(struct incident_of *out, const struct incident *i,
    const struct watch_cas *cas, uint32_t ca);
/* Is the certificate of an entry (either kind of entry: crl_order()) on it?  *at (may be
 * NULL): its place among the incident's entries, the same for whoever asks.  Some 30 ns
 * in order, whatever number of serials there is. */
bool incident_has(const struct incident_of *of, const void *entry, uint32_t *at);

/* The same question is to come: what it will look at first is brought near, and once more
 * what follows from that (again).  Whoever asks for many does so some entries ahead. */
void incident_ahead(const struct incident_of *of, const void *entry, bool again);

/* The incidents in force that announce this certificate: out[] (room for max; may be
 * NULL) has the first of them, by name, borrowed.  Returns how many there are.  Whether
 * it is revoked already (then it is announced no more) is the caller's to ask. */
size_t incidents_with(const struct incidents *s, const struct watch_cas *cas, uint32_t ca,
    const struct serial *serial, const struct incident **out, size_t max);

#endif
