/* proposal.h - issuers out of what was found: who issued which of the certificates, and
 * the responders and lists that these name.
 *
 * A CA is its name and its key: two certificates of both are one issuer that was renewed.
 * Who issued a certificate is who verifies its signature; names alone are anybody's.
 *
 * Its name in the configuration is made of its commonName, [a-z0-9._-]; where two would
 * have one, each gets a hash of name and key behind it, so that it is the same in the
 * next run.  What is found does not change while proposals are used.  Pure.
 */
#ifndef PROXY_CTL_PROPOSAL_H
#define PROXY_CTL_PROPOSAL_H

#include <time.h>

#include "cache/base/name.h"
#include "proxy/ctl/found.h"

#define PROPOSAL_NAME_MAX   64 /* with its NUL */
#define PROPOSAL_PLACES_MAX 5  /* of its certificates that are named */
/* Responders, and lists: as many as an issuer may have (CONF_CRL_MAX). */
#define PROPOSAL_URLS_MAX 4096

struct proposal_url {
	char *text;
	unsigned named; /* by so many certificates */
};

struct proposal_urls {
	struct proposal_url *url;
	size_t n, left_out;
};

struct proposal {
	char name[PROPOSAL_NAME_MAX];
	char plain[PROPOSAL_NAME_MAX]; /* without a hash */
	const struct found_cert **ca;  /* one at least, of one name and key */
	size_t ca_n;
	unsigned issued; /* certificates that were found */
	const char *place[PROPOSAL_PLACES_MAX];
	size_t places_n;
	struct proposal_urls ocsp, crl;
	struct proposal_urls mirrors; /* where else lists of crl are */
	uint8_t sha256[32];           /* of name and key */
};

/* A certificate whose CA was not found. */
struct orphan {
	const struct found_cert *cert;
	bool self_issued; /* nobody else did */
};

struct proposals {
	struct proposal *one;
	size_t n;
	struct orphan *orphan; /* by the name of who issued them */
	size_t orphans_n;
	size_t leaves; /* certificates that are no CA's */
	size_t
	    expired; /* of those; nobody asks for them any more, and they are left out */
};

/* What is there already, of runs before. */
struct proposal_namer {
	/* Does this issuer go by this name? */
	bool (*is_its)(void *arg, const struct proposal *p, const char *name);
	/* Is this name somebody's? */
	bool (*is_taken)(void *arg, const char *name);
	void *arg;
};
/* namer: or NULL.  False: out of memory; to be freed all the same. */
bool proposals_make(struct proposals *out, const struct found *f,
    const struct proposal_namer *namer, time_t now);
void proposals_free(struct proposals *p);

/* What a commonName becomes; never empty. */
void proposal_plain_name(struct bytes common_name, char out[PROPOSAL_NAME_MAX]);

#endif
