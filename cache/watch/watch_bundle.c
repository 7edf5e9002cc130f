/* watch_bundle.c - certificates of a bundle, in order, as soon as their issuers are
 * known. */
#include "cache/watch/watch_bundle.h"

#include <stdlib.h>

#include "cache/watch/watch_issuer.h"
#include "cache/watch/watch_pem.h"
#include "cache/watch/watch_x509.h"

struct pem_bundle {
	struct watch_out *out;
	struct watch_pem *pem;
	struct watch_chain *chain;
	struct watch_texts *texts;
	struct {
		struct watch_x509 *x; /* owned */
		uint64_t line;
	} waiting[WATCH_WAIT_MAX]; /* a ring, the oldest at first */
	size_t first, n;
};

static void pop(struct pem_bundle *b)
{
	watch_x509_free(b->waiting[b->first].x);
	b->waiting[b->first].x = NULL;
	b->first = (b->first + 1) % WATCH_WAIT_MAX;
	b->n--;
}

static bool nomem(struct pem_bundle *b)
{
	b->out->error.line = 0;
	return watch_refuse(&b->out->error, WATCH_NOMEM, "out of memory");
}

/* Hand out those that wait, in order, up to the first that a CA certificate may still
 * explain; `all`: whoever issued them. */
static bool hand_out(struct pem_bundle *b, bool all)
{
	while (b->n > 0) {
		struct watch_x509 *x = b->waiting[b->first].x;
		struct watch_cert c;
		bool go;

		if (!watch_x509_cert(x, b->texts, &c))
			return nomem(b);
		c.line = b->waiting[b->first].line;
		watch_issuer_find(b->out->want->issuers, x, &c);
		if (c.configured == NULL && c.aki.n == 0) {
			c.aki = watch_chain_find(b->chain, x);
			if (c.aki.n == 0 && !all && b->n < WATCH_WAIT_MAX)
				return true;
		}
		go = watch_out_cert(b->out, &c);
		pop(b);
		if (!go)
			return false;
	}
	return true;
}

static bool block_is_bad(void *arg, struct watch_error *e)
{
	struct pem_bundle *b = arg;

	if (!hand_out(b, true))
		return false;
	b->out->error = *e;
	return watch_out_bad(b->out, e->line);
}

static bool take_ca(struct pem_bundle *b, struct watch_x509 *x)
{
	bool added = watch_chain_add(b->chain, watch_x509_der(x));

	watch_x509_free(x);
	b->out->count.cas++;
	return added ? hand_out(b, false) : nomem(b);
}

static bool take_block(void *arg, uint64_t line, struct bytes der, bool trusted)
{
	struct pem_bundle *b = arg;
	struct watch_error e = {.line = line};
	struct watch_x509 *x = watch_x509_new(der, trusted, &e);

	if (x == NULL)
		return block_is_bad(b, &e);
	if (watch_x509_is_ca(x))
		return take_ca(b, x);
	b->waiting[(b->first + b->n) % WATCH_WAIT_MAX].x = x;
	b->waiting[(b->first + b->n) % WATCH_WAIT_MAX].line = line;
	b->n++;
	return hand_out(b, false);
}

static bool feed(void *reader, struct bytes piece)
{
	struct pem_bundle *b = reader;

	return watch_pem_feed(b->pem, piece);
}

static bool end(void *reader)
{
	struct pem_bundle *b = reader;

	return watch_pem_end(b->pem) && hand_out(b, true);
}

static void bundle_free(void *reader)
{
	struct pem_bundle *b = reader;

	if (b == NULL)
		return;
	while (b->n > 0)
		pop(b);
	watch_pem_free(b->pem);
	watch_chain_free(b->chain);
	free(b->texts);
	free(b);
}

static void *bundle_new(struct watch_out *out)
{
	struct pem_bundle *b = calloc(1, sizeof *b);

	if (b == NULL)
		return NULL;
	b->out = out;
	b->pem = watch_pem_new(WATCH_BLOCK_MAX, take_block, block_is_bad, b);
	b->chain = watch_chain_new();
	b->texts = malloc(sizeof *b->texts);
	if (b->pem == NULL || b->chain == NULL || b->texts == NULL) {
		bundle_free(b);
		return NULL;
	}
	return b;
}

static uint64_t passed_over(const void *reader)
{
	const struct pem_bundle *b = reader;

	return watch_pem_passed_over(b->pem);
}

const struct watch_reader watch_bundle_reader = {
    bundle_new, feed, end, bundle_free, passed_over};
