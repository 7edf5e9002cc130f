/* watch_x509.h - what a watchlist needs of one certificate, decoded by OpenSSL.
 *
 * Not by d2i_X509(): that makes a key of the certificate's public key, which takes ten
 * times as long as all the rest, and nobody asks for it.  Templates of the same kind read
 * the same grammar.
 *
 * Names are those of subjectAltName (DNS, IP, e-mail, URI, SmtpUTF8Mailbox, UPN); where
 * it has none, the last commonName.  What is no UTF-8 in them becomes U+FFFD, NUL too.
 * URLs of lists are those of crlDistributionPoints without reasons and without cRLIssuer:
 * others are of lists that say nothing about it, or not all.  An extension that cannot be
 * read, or is there twice, counts as absent.
 */
#ifndef CACHE_WATCH_WATCH_X509_H
#define CACHE_WATCH_WATCH_X509_H

#include <openssl/x509.h>

#include "cache/watch/watch_error.h"
#include "cache/watch/watch_texts.h"

struct watch_x509;

/* Of exactly one certificate's DER (copied); NULL with e: WATCH_BAD_DER,
 * WATCH_BAD_SERIAL, WATCH_NOMEM.  trusted: what OpenSSL puts behind it in a TRUSTED
 * CERTIFICATE is passed over. */
struct watch_x509 *watch_x509_new(struct bytes der, bool trusted, struct watch_error *e);
void watch_x509_free(struct watch_x509 *x); /* NULL is allowed */

/* Lay out c, but for line, configured, issuer and verified.  What it points to is
 * borrowed from x, and from t until its next reset.  False when out of memory. */
bool watch_x509_cert(struct watch_x509 *x, struct watch_texts *t, struct watch_cert *c);

bool watch_x509_is_ca(const struct watch_x509 *x); /* basicConstraints: CA:TRUE */
const X509_NAME *watch_x509_issuer(const struct watch_x509 *x);
const X509_ALGOR *watch_x509_algorithm(const struct watch_x509 *x);
struct bytes watch_x509_aki(const struct watch_x509 *x); /* n 0: absent */
struct bytes watch_x509_der(const struct watch_x509 *x); /* without what was behind it */
/* Does this key verify its signature?  Whatever the algorithm is worth. */
bool watch_x509_signed_by(const struct watch_x509 *x, EVP_PKEY *key);

#endif
