/* watch_ca.h - the CAs that issued what is watched, configured or not.
 *
 * An *issuer* is a CA that we answer for (issuer.h; watch_issuer.h finds it).  A watched
 * certificate may be of any CA: it is known by the name of an issuer while it is one, and
 * by its key's identifier (AKI) and its name (DN) always.  Each has a number that the
 * file gave it (watch_db.h) and that never becomes another's; what is in memory knows CAs
 * by it.
 *
 * Several may have one name or one DN: a CA was renewed, or watched before it was
 * configured.  Whoever asks by name or DN asks for each of them.
 *
 * The table is immutable and counted; any thread.
 */
#ifndef CACHE_WATCH_WATCH_CA_H
#define CACHE_WATCH_WATCH_CA_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "cache/watch/watch_cert.h"

struct watch_ca {
	uint32_t id;        /* 1.. */
	const char *issuer; /* the configured issuer's name; "": it is none */
	const char *dn;     /* RFC 4514's form; "": nobody said */
	uint8_t aki_n;      /* 0: nobody said */
	uint8_t aki[WATCH_AKI_MAX];
};

struct watch_cas {
	_Atomic unsigned refs;
	size_t n;
	struct watch_ca ca[]; /* by id */
};

extern struct watch_cas
    watch_cas_none; /* a reference is taken and given back as of any */

const struct watch_cas *watch_cas_ref(const struct watch_cas *t);
void watch_cas_unref(const struct watch_cas *t); /* NULL is allowed */

/* The same with this one besides, or in the place of the one with its id.  Everything is
 * copied.  NULL when out of memory. */
const struct watch_cas *watch_cas_with(
    const struct watch_cas *t, const struct watch_ca *ca);

const struct watch_ca *watch_cas_at(const struct watch_cas *t, uint32_t id); /* or NULL */
/* Who is this?  By the issuer's name where one is given; else by AKI; else by DN.  NULL:
 * nobody that is here. */
const struct watch_ca *watch_cas_find(
    const struct watch_cas *t, const char *issuer, struct bytes aki, const char *dn);
/* The next after `after` (NULL: the first) that goes by this issuer's name, or has the
 * AKI that this is the hexadecimal of: what the API calls issuer. */
const struct watch_ca *watch_cas_called(
    const struct watch_cas *t, const char *issuer_or_aki, const struct watch_ca *after);

#endif
