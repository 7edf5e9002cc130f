/* known.h - the configured issuers, as whoever reads a body knows them.
 *
 * A body may take minutes, and a configuration is gone one barrier after the next one is
 * in force.  So this is a set of its own, made once for each configuration (certificates
 * are shared), and counted: a body that began under it ends under it.  What it says of an
 * issuer beyond name, certificates and rules is nothing.
 *
 * Immutable; any thread.
 */
#ifndef PROXY_WATCH_KNOWN_H
#define PROXY_WATCH_KNOWN_H

#include <stdatomic.h>

#include "cache/watch/watch_issuer.h"

struct known_issuer {
	uint8_t aki_n;
	uint8_t aki[WATCH_AKI_MAX];
	char dn[WATCH_DN_MAX + 1];
};

struct known {
	_Atomic unsigned refs;
	struct issuers *issuers;
	struct watch_issuers *index;
	struct known_issuer *of; /* as many, in their order */
};

/* One reference.  NULL when out of memory. */
struct known *known_new(const struct issuers *configured);
struct known *known_ref(struct known *k);
void known_unref(struct known *k); /* NULL is allowed */

/* What a body did not say of its issuer, and the configuration does: the identifier of
 * its key and its DN, so that the certificate's CA is known by them also when the
 * configuration calls it otherwise one day, or no more.  Borrowed from k. */
void known_complete(const struct known *k, struct watch_cert *c);
/* What a CA is called: by the configuration, which knows it by its key; what has no known
 * key keeps this name, which is all that it has.  Borrowed from k, or issuer itself. */
const char *known_called(const struct known *k, struct bytes aki, const char *issuer);
/* The DN of a configured issuer; "": not configured. */
const char *known_dn(const struct known *k, const char *issuer);

#endif
