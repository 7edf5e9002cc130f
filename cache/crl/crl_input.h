/* crl_input.h - the bytes of a list, piece by piece, for the parts of crl_read.c only.
 *
 * What is not yet consumed is the window at..end.  Each piece that is read goes, while it
 * is in the processor's cache, to the copy, to the signature and to the digest of the
 * file; then the parser meets it.  A part of an element at the end of the window is
 * moved in front of the next piece, so that elements of up to CRL_ELEMENT_MAX bytes are
 * seen whole whatever the pieces are.
 */
#ifndef CACHE_CRL_CRL_INPUT_H
#define CACHE_CRL_CRL_INPUT_H

#include "cache/crl/crl_list.h"
#include "cache/crl/crl_signature.h"

/* Bytes of one element that is not a list of elements: an entry, a name, the extensions.
 * Those of real lists are below 1 KiB. */
#define CRL_ELEMENT_MAX (64 * 1024)

struct crl_input {
	const uint8_t *at, *end; /* the window */
	uint64_t read;           /* bytes so far: where the window ends in the file */
	int fd, copy_fd;
	const _Atomic bool *stop;
	size_t piece;
	uint8_t *room; /* owned: CRL_ELEMENT_MAX and a piece */
	EVP_MD_CTX *whole;
	struct crl_signature *signature; /* NULL until what it covers is known */
	uint64_t signed_from, signed_to; /* still to be given to signature */
	uint64_t digested; /* whole has had what lies before, or has no need */
	uint64_t spared_from, spared_to; /* signature's digest stands for these */
	int error;                       /* errno of a failed read or write */
	bool copy_failed;                /* ... which it was */
};

/* piece: bytes read at once, 1..; CRL_PIECE but in tests. */
enum err crl_input_open(
    struct crl_input *in, int fd, size_t piece, const struct crl_want *w);
void crl_input_close(struct crl_input *in);

/* Have n more bytes (at most CRL_ELEMENT_MAX) in the window.  ERR_CRL_TRUNCATED when the
 * file ends before; ERR_STORE, ERR_CANCELLED, ERR_NOMEM.  The window may move. */
enum err crl_input_more(struct crl_input *in, size_t n);
static inline enum err crl_input_need(struct crl_input *in, size_t n)
{
	return (size_t)(in->end - in->at) >= n ? ERR_OK : crl_input_more(in, n);
}

/* Where the window begins in the file. */
static inline uint64_t crl_input_place(const struct crl_input *in)
{
	return in->read - (uint64_t)(in->end - in->at);
}

/* From now on the bytes from..to of the file go to s.  Nothing may be consumed before. */
enum err crl_input_sign(
    struct crl_input *in, struct crl_signature *s, uint64_t from, uint64_t to);

/* A name for the whole of what was read, which no other file has: SHA-256 of what s does
 * not cover, followed by s's digest.  So the bulk is digested once.  Where that digest
 * has fewer than 32 bytes, or there is none, it is SHA-256 of everything.  After
 * crl_signature_finish(). */
enum err crl_input_digest(struct crl_input *in, uint8_t out[32]);

#endif
