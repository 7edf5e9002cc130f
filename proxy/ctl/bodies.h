/* bodies.h - what ocspctl sends of certificates: files, folders and standard input, one
 * behind the other, as one body.
 *
 * What it is is seen at the first file: CSV, where the caller says so or its name ends
 * so; NDJSON, where its first character that is no blank is '{'; else what the caller
 * says: PEM, or lines of serials.  Of PEM whole
 * certificates are sent, block by block, and nothing else: a private key that stands in a
 * server's file never leaves the machine.  Folders are gone through; links in them are
 * not followed.
 *
 * Each certificate is read here too, by the reader that the server has, so that what the
 * server answers in order can be told with file and name.
 */
#ifndef PROXY_CTL_BODIES_H
#define PROXY_CTL_BODIES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "cache/watch/watch_body.h"

struct bodies;

/* A certificate, or a block that is none (name NULL), in the order in which they are
 * sent; borrowed for the call. */
struct bodies_cert {
	const char *file;   /* "-": standard input */
	const char *name;   /* the first one of the certificate; "" */
	const char *serial; /* as the API writes it; "" */
};
typedef void bodies_cert_fn(void *arg, const struct bodies_cert *c);

/* paths are borrowed for life; none, or "-", is standard input.  each may be NULL.  NULL
 * when out of memory. */
struct bodies *bodies_open(char *const *paths, size_t n, enum watch_format unsaid,
    bodies_cert_fn *each, void *arg);
void bodies_close(struct bodies *b); /* NULL is allowed */

enum watch_format bodies_format(const struct bodies *b);
const char *bodies_type(const struct bodies *b); /* its Content-Type */
/* The next bytes of the body; 0: that was all, or nothing more can be read. */
size_t bodies_read(struct bodies *b, char *p, size_t room);
/* Read so far, and of all files together (-1: standard input is one of them). */
int64_t bodies_done(const struct bodies *b);
int64_t bodies_size(const struct bodies *b);
/* Files that could not be read, which were told on standard error; they are passed over.
 */
size_t bodies_unreadable(const struct bodies *b);

#endif
