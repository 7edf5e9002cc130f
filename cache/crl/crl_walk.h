/* crl_walk.h - the parts of reading a list, for crl_read.c and its tests only.
 *
 * crl_walk() reads everything and believes it: what it returns was signed by nobody yet.
 * crl_read() asks crl_signature_by() and the rules about other lists before it hands
 * anything out.  They are apart so that a fuzzer, who has no key, gets behind the
 * signature.
 */
#ifndef CACHE_CRL_CRL_WALK_H
#define CACHE_CRL_CRL_WALK_H

#include "cache/crl/crl_input.h"

#define CRL_ALGORITHM_MAX 512  /* bytes of an AlgorithmIdentifier; RSA-PSS has 67 */
#define CRL_SIGNATURE_MAX 2048 /* of a signature: that of a 16,384 bit RSA key */

struct crl_walk {
	const struct crl_want *want;
	struct crl_input in;
	struct crl_signature signature;
	struct crl_list *list; /* owned, until it is handed out */
	size_t room;           /* entries that its mapping has room for */
	/* The issuer's certificates whose subject is the list's issuer name (R89). */
	const struct issuer_ca **candidates; /* owned */
	size_t candidates_n;
	bool v2;
	uint64_t list_end, tbs_end; /* places in the file */
	uint64_t total; /* bytes of the whole list, as its first header says */
	uint8_t algorithm[CRL_ALGORITHM_MAX]; /* the inner one */
	size_t algorithm_n;
	uint8_t signed_by[CRL_SIGNATURE_MAX]; /* the signature's octets */
	size_t signed_by_n;
	char *why;
	size_t why_n;
};

/* Everything but the signature and held.  w is finished by crl_walk_end() also on
 * failure. */
enum err crl_walk(struct crl_walk *w, int fd, size_t piece, const struct crl_want *want,
    char *why, size_t why_n);
void crl_walk_end(struct crl_walk *w);

/* crl_read() with pieces of another size. */
enum err crl_read_pieces(struct crl_list **out, int fd, size_t piece,
    const struct crl_want *want, char *why, size_t why_n);

/* Writes the line for people and returns e. */
enum err crl_refuse(struct crl_walk *w, enum err e, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

enum err crl_refuse_usage(struct crl_walk *w);

/* keyUsage with cRLSign, or none (RFC 5280 section 4.2.1.3). */
bool crl_may_be_signed_by(const struct issuer_ca *ca);

/* One element of DER.  Single-octet tags, definite lengths in the fewest octets. */
struct crl_tlv {
	uint8_t tag; /* its identifier octet: class, constructed, number */
	uint8_t head;
	size_t n;            /* of the content */
	const uint8_t *body; /* the content, where all of it is there */
};

/* The header at p, where have bytes are and left bytes remain of what contains it. */
bool crl_tlv_head(struct crl_tlv *t, const uint8_t *p, size_t have, uint64_t left);

/* Take one element from the front of b. */
bool crl_tlv_take(struct crl_tlv *t, struct bytes *b);

/* UTCTime or GeneralizedTime in RFC 5280's form (sections 5.1.2.4 to 5.1.2.6). */
bool crl_time(uint8_t tag, const uint8_t *p, size_t n, int64_t *at);

/* May an entry of a complete list have it? (RFC 5280 section 5.3.1) */
static inline bool crl_reason_is_known(uint8_t reason)
{
	return reason <= 10 && reason != 7 && reason != 8;
}

/* crl_extension.c: crlExtensions and crlEntryExtensions, the SEQUENCE's content. */
enum err crl_extensions(struct crl_walk *w, struct bytes extensions);
enum err crl_entry_extensions(
    struct crl_walk *w, struct bytes extensions, struct crl_entry *e);

#endif
