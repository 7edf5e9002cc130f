/* Read, copy, sign and digest one piece while it is in the cache: a list costs one pass
 * over its bytes, whatever is done with them. */
#include "cache/crl/crl_input.h"

#include <assert.h>
#include <errno.h>
#include <openssl/evp.h>
#include <openssl/sha.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <unistd.h>

enum err crl_input_open(
    struct crl_input *in, int fd, size_t piece, const struct crl_want *w)
{
	*in = (struct crl_input){
	    .fd = fd, .copy_fd = w->copy_fd, .stop = w->stop, .piece = piece};
	assert(piece > 0);
	in->room = malloc(CRL_ELEMENT_MAX + piece);
	in->whole = EVP_MD_CTX_new();
	in->at = in->end = in->room;
	if (in->room == NULL || in->whole == NULL ||
	    EVP_DigestInit_ex(in->whole, EVP_sha256(), NULL) != 1) {
		crl_input_close(in);
		return ERR_NOMEM;
	}
	return ERR_OK;
}

void crl_input_close(struct crl_input *in)
{
	free(in->room);
	EVP_MD_CTX_free(in->whole);
	in->room = NULL;
	in->whole = NULL;
}

static enum err copy(struct crl_input *in, const uint8_t *p, size_t n)
{
	while (in->copy_fd >= 0 && n > 0) {
		ssize_t k = write(in->copy_fd, p, n);

		if (k < 0 && errno == EINTR)
			continue;
		if (k <= 0) {
			in->error = k < 0 ? errno : EIO;
			in->copy_failed = true;
			return ERR_STORE;
		}
		p += k;
		n -= (size_t)k;
	}
	return ERR_OK;
}

/* Give the signature what it still lacks of what was read. */
static enum err give_to_signature(struct crl_input *in)
{
	uint64_t to = in->read < in->signed_to ? in->read : in->signed_to;
	uint64_t from = in->signed_from;

	if (in->signature == NULL || from >= to)
		return ERR_OK;
	assert(in->read - from <= (uint64_t)(in->end - in->room));
	in->signed_from = to;
	return crl_signature_update(
	    in->signature, in->end - (in->read - from), (size_t)(to - from));
}

static enum err digest(struct crl_input *in, uint64_t from, uint64_t to)
{
	if (from >= to)
		return ERR_OK;
	assert(in->read - from <= (uint64_t)(in->end - in->room));
	return EVP_DigestUpdate(
		   in->whole, in->end - (in->read - from), (size_t)(to - from)) == 1
		   ? ERR_OK
		   : ERR_NOMEM;
}

/* What was read and is not spared.  Not before it is known what is: until then everything
 * is still in the window. */
static enum err give_to_digest(struct crl_input *in)
{
	uint64_t from = in->digested > in->spared_to ? in->digested : in->spared_to;
	uint64_t to = in->read < in->spared_from ? in->read : in->spared_from;
	enum err e;

	if (in->signature == NULL)
		return ERR_OK;
	e = digest(in, in->digested, to);
	if (e == ERR_OK)
		e = digest(in, from, in->read);
	in->digested = in->read;
	return e;
}

static enum err give(struct crl_input *in)
{
	enum err e = give_to_signature(in);

	return e == ERR_OK ? give_to_digest(in) : e;
}

enum err crl_input_sign(
    struct crl_input *in, struct crl_signature *s, uint64_t from, uint64_t to)
{
	assert(crl_input_place(in) == 0 && from <= in->read && from <= to);
	in->signature = s;
	in->signed_from = from;
	in->signed_to = to;
	if (s->md != NULL && EVP_MD_get_size(s->md) >= SHA256_DIGEST_LENGTH) {
		in->spared_from = from;
		in->spared_to = to;
	}
	return give(in);
}

/* One piece, or what is left of the file. */
static enum err next_piece(struct crl_input *in)
{
	uint8_t *to = in->room + CRL_ELEMENT_MAX;
	size_t carried = (size_t)(in->end - in->at), got = 0;

	assert(carried <= CRL_ELEMENT_MAX);
	memmove(to - carried, in->at, carried);
	in->at = to - carried;
	in->end = to;
	while (got < in->piece) {
		ssize_t k = read(in->fd, to + got, in->piece - got);

		if (k < 0 && errno == EINTR)
			continue;
		if (k < 0) {
			in->error = errno;
			return ERR_STORE;
		}
		if (k == 0)
			break;
		got += (size_t)k;
	}
	in->end = to + got;
	in->read += got;
	if (got == 0)
		return ERR_CRL_TRUNCATED;
	return copy(in, to, got);
}

enum err crl_input_more(struct crl_input *in, size_t n)
{
	enum err e = ERR_OK;

	assert(n <= CRL_ELEMENT_MAX);
	while (e == ERR_OK && (size_t)(in->end - in->at) < n) {
		if (in->stop != NULL &&
		    atomic_load_explicit(in->stop, memory_order_relaxed))
			return ERR_CANCELLED;
		e = next_piece(in);
		if (e == ERR_OK)
			e = give(in);
	}
	return e;
}

enum err crl_input_digest(struct crl_input *in, uint8_t out[32])
{
	if (in->spared_to > 0 &&
	    EVP_DigestUpdate(in->whole, in->signature->hash, in->signature->hash_n) != 1)
		return ERR_NOMEM;
	return EVP_DigestFinal_ex(in->whole, out, NULL) == 1 ? ERR_OK : ERR_NOMEM;
}
