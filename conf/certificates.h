/* certificates.h - the certificates that options name, from their files.
 *
 * PEM or DER.  What is not fit for its use is a mistake of the load; what is out of date
 * is taken with a warning.  The main thread.
 */
#ifndef CONF_CERTIFICATES_H
#define CONF_CERTIFICATES_H

#include <openssl/x509.h>

#include "conf/report.h"

/* Bytes; a CA has a few renewals, not a bundle. */
#define CERTIFICATE_FILE_MAX (1 << 20)

/* What a certificate is for: says which ones are fit for it, and the words. */
enum certificate_use {
	CERTIFICATE_CA,        /* certificate */
	CERTIFICATE_RESPONDER, /* responder-certificate */
	CERTIFICATE_SERVER_CA  /* upstream-tls-ca */
};

struct certificates {
	X509 **x;  /* owned */
	int *line; /* of each: where its file is named */
	size_t n;
};

/* Append all certificates of one file (PEM, several; or DER, one) that are fit for their
 * use.  What is wrong with them is reported at file:line.  now: for warnings about
 * expiry.  False when memory ran out. */
bool certificates_load(struct certificates *out, enum certificate_use use,
    const char *path, time_t now, struct report *r, const char *file, int line);
void certificates_free(struct certificates *c);

/* All of them as PEM: *n octets, owned by the caller.  NULL when out of memory. */
char *certificates_pem(const struct certificates *c, size_t *n);

#endif
