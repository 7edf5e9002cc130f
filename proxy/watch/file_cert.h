/* file_cert.h - the certificates of one file, as they are kept while it does not change.
 *
 * Each is one block: the texts behind the struct, so that two are compared as octets.
 */
#ifndef PROXY_WATCH_FILE_CERT_H
#define PROXY_WATCH_FILE_CERT_H

#include "cache/base/err.h"
#include "cache/watch/watch_cert.h"
#include "cache/watch/watch_error.h"

struct file_cert;
struct known;
struct watch_draft;

struct file_certs {
	struct file_cert **cert;
	size_t n;
};

/* The certificates in a text of PEM; out is empty.  False: out is to be freed, and e says
 * why. */
bool file_certs_read(struct file_certs *out, struct bytes text, const struct known *known,
    struct watch_error *e);
void file_certs_free(struct file_certs *c); /* the contents */
bool file_certs_equal(const struct file_certs *a, const struct file_certs *b);
/* With these labels, far fewer than WATCH_TEXT_MAX octets; as watch_draft_add(). */
enum err file_certs_add(const struct file_certs *c, const struct bytes *labels,
    size_t labels_n, struct watch_draft *draft);

#endif
