/* watch_issuer.h - which configured issuer a certificate is from.
 *
 * By what is known of it, the strongest first:
 * - its name in the configuration, where the body has one;
 * - the identifier of its key (AKI) and, where the certificate is there, its DN;
 * - the signature: a configured CA of this DN whose key verifies it, also where the AKI
 *   is absent or says something else;
 * - the DN alone, where one configured issuer has it and nothing contradicts: the
 *   certificate has no AKI.  Then it is a hint: `verified` stays false.
 *
 * CA certificates that a bundle has beside it (watch_chain) say who issued what has no
 * AKI and no configured issuer: their key identifier stands for the missing one.  They
 * need not be asked about configured issuers, whose own certificates are at hand.
 *
 * struct watch_issuers is immutable and may be read by any thread; it borrows the
 * issuers.  A chain belongs to one reader.
 */
#ifndef CACHE_WATCH_WATCH_ISSUER_H
#define CACHE_WATCH_WATCH_ISSUER_H

#include "cache/base/issuer.h"
#include "cache/watch/watch_cert.h"

/* A key identifier in hexadecimal of any case, with colons between octets as openssl
 * writes it: 1..WATCH_AKI_MAX octets.  False: anything else. */
bool watch_aki_from_hex(struct bytes text, uint8_t out[WATCH_AKI_MAX], size_t *n);

struct watch_issuers;

/* An index over n issuers, which are borrowed until watch_issuers_free().  NULL when out
 * of memory. */
struct watch_issuers *watch_issuers_new(const struct issuer *const *list, size_t n);
void watch_issuers_free(struct watch_issuers *w); /* NULL is allowed */

/* The issuer of this name, or NULL. */
const struct issuer *watch_issuers_named(
    const struct watch_issuers *w, struct bytes name);
/* The only issuer with a key of this identifier: its subjectKeyIdentifier, or the SHA-1
 * of its key (RFC 5280 section 4.2.1.2).  NULL: none, or several. */
const struct issuer *watch_issuers_with_key(
    const struct watch_issuers *w, struct bytes aki);

/* Which of the issuer's certificates has a key of this identifier; 0 also where none has.
 */
unsigned watch_issuer_ca(const struct issuer *i, struct bytes aki);

struct watch_x509; /* watch_x509.h */

/* Who issued x, of which c tells the AKI: sets configured, issuer and verified of c.  w
 * may be NULL: nobody did.  Without memory for a signature it is not verified. */
void watch_issuer_find(
    const struct watch_issuers *w, const struct watch_x509 *x, struct watch_cert *c);

/* The CA certificates of one bundle. */
struct watch_chain;
/* So many different ones are held, those that were used or added last: bundles have the
 * few above their certificates. */
#define WATCH_CHAIN_MAX 64

struct watch_chain *watch_chain_new(void); /* NULL when out of memory */
void watch_chain_free(struct watch_chain *h);
/* A CA certificate's DER; what cannot be used (a key that OpenSSL does not know) is
 * passed over.  False when out of memory. */
bool watch_chain_add(struct watch_chain *h, struct bytes der);
/* Did one of them sign x (the first WATCH_TRIES_MAX of x's issuer's name are asked)? Then
 * the identifier of its key, borrowed until the next watch_chain_add(); n 0: none did.
 * How strong the signature is does not matter: this names somebody whom we do not know.
 */
#define WATCH_TRIES_MAX 4
struct bytes watch_chain_find(struct watch_chain *h, const struct watch_x509 *x);

#endif
