/* conf_certificate.h - the certificates of an issuer, from its files. */
#ifndef CONF_CONF_CERTIFICATE_H
#define CONF_CONF_CERTIFICATE_H

#include "conf/conf_report.h"

#include <openssl/x509.h>

#define CERTIFICATE_FILE_MAX                                                             \
	(1 << 20) /* bytes; a CA has a few renewals, not a bundle                        \
		   */

struct certificates {
	X509 **x; /* owned */
	size_t n;
};

/* Append all certificates of one file (PEM, several; or DER, one) that may be an
 * issuer's. What is wrong with them is reported at file:line.  now: for warnings about
 * expiry. False when memory ran out. */
bool certificates_load(struct certificates *out, const char *path, time_t now,
    struct report *r, const char *file, int line);
void certificates_free(struct certificates *c);

#endif
