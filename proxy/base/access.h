/* access.h - who calls the API: a token of the configuration, what it may do and see.
 *
 * A value that is made from the configuration, counted, and immutable but for its count
 * of uses: whoever answers a call later, or on another thread, holds a reference, so that
 * a reload takes it from nobody.  NULL stands for "nobody is asked": no token is
 * configured, and everything may be done and seen.
 *
 * What it may not see is not there for it: whoever makes an answer asks access_issuer()
 * and access_list() of each thing that he tells, and passes it over without a word.
 *
 * A set belongs to one thread (the API's); its members may go anywhere.
 */
#ifndef PROXY_BASE_ACCESS_H
#define PROXY_BASE_ACCESS_H

#include <stdatomic.h>

#include "conf/conf.h"

struct inventory; /* cache/watch/inventory.h */
struct serial;    /* cache/base/key.h */

struct access {
	_Atomic unsigned refs;
	_Atomic unsigned uploads; /* in use */
	unsigned streams;         /* the same; the API's thread */
	unsigned streams_max, uploads_max;
	unsigned rights; /* enum right */
	char name[64];
	uint8_t hash[32];
	bool by_certificate;     /* whose hash it is; else the token's */
	char **issuers, **lists; /* n 0: all */
	size_t issuers_n, lists_n;
};

struct access_set {
	struct access **of;
	size_t n;
};

/* The tokens of c in the place of those of *s, which starts as zeros; one that is as it
 * was stays the same object.  False: out of memory; *s is what it was. */
bool access_set_load(struct access_set *s, const struct conf *c);
void access_set_clear(struct access_set *s);
/* Who has this token?  NULL: nobody.  The time that it takes does not tell how much of a
 * hash was right, nor whose. */
struct access *access_set_find(const struct access_set *s, struct bytes token);
/* Who shows the certificate with this SHA-256? */
struct access *access_set_shown(const struct access_set *s, const uint8_t hash[32]);
/* Is it still one of them? */
bool access_set_has(const struct access_set *s, const struct access *a);

/* "Bearer TOKEN" (RFC 6750 section 2.1; the scheme in any case); false: it is not. */
#define ACCESS_TOKEN_MAX 512
bool access_bearer(struct bytes authorization, struct bytes *token);

/* In all that follows a may be NULL: nobody is asked. */
struct access *access_ref(struct access *a);
void access_unref(struct access *a);

bool access_may(const struct access *a, enum right right);
/* Does it reach less than all? */
bool access_is_narrow(const struct access *a);
/* The only issuer or list that it reaches; NULL: there is not exactly one. */
const char *access_only_issuer(const struct access *a);
const char *access_only_list(const struct access *a);

/* Is there such an issuer, such a list for it?  issuer: a configured name; "": a CA that
 * is not configured, which who has only some issuers does not see. */
bool access_issuer(const struct access *a, const char *issuer);
bool access_list(const struct access *a, const char *list);
/* The same, of an issuer for who has only some lists: a certificate of it is on one. */
bool access_issuer_watched(
    const struct access *a, const struct inventory *v, const char *issuer);
/* A certificate: of an issuer that it has, and on a list that it has. */
bool access_certificate(const struct access *a, const struct inventory *v,
    const char *issuer, const struct serial *s);
/* v with the lists that it has and no others; a reference.  NULL: out of memory. */
const struct inventory *access_inventory(
    const struct access *a, const struct inventory *v);

/* Count one upload more.  False: it has as many as it may.  Any thread, as the end. */
bool access_upload_begin(struct access *a);
void access_upload_end(struct access *a);

#endif
