/* file_cert.c - a certificate that a reader lends, copied into one block. */
#include "proxy/watch/file_cert.h"

#include <stdlib.h>

#include "cache/base/issuer.h"
#include "cache/watch/watch_body.h"
#include "cache/watch/watch_draft.h"
#include "proxy/watch/known.h"

/* Lengths first, then what they are of: issuer's name, AKI, DN, names, URLs. */
struct file_cert {
	struct serial serial;
	int64_t not_before, not_after;
	uint64_t names_more;
	bool verified;
	size_t names_n, crl_n;
	size_t size; /* octets of the block */
	size_t length[];
};

#define FIXED 3

struct reading {
	struct file_certs *out;
	const struct known *known;
	bool nomem;
};

/* Text number i of c, in the order of the block. */
static struct bytes text_at(const struct watch_cert *c, size_t i)
{
	const char *name = c->configured != NULL ? c->configured->name : c->issuer;

	switch (i) {
	case 0:
		return bytes_of(name, name != NULL ? strlen(name) : 0);
	case 1:
		return c->aki;
	case 2:
		return c->issuer_name;
	default:
		i -= FIXED;
		return i < c->names_n ? c->names[i] : c->crl[i - c->names_n];
	}
}

static struct file_cert *cert_copy(const struct watch_cert *c)
{
	size_t n = FIXED + c->names_n + c->crl_n, head, size;
	struct file_cert *x;
	uint8_t *at;

	head = size = sizeof *x + n * sizeof(size_t);
	for (size_t i = 0; i < n; i++)
		size += text_at(c, i).n;
	x = calloc(1, size + 1);
	if (x == NULL)
		return NULL;
	memcpy(x->serial.octets, c->serial.octets, c->serial.n);
	x->serial.n = c->serial.n;
	x->not_before = c->not_before;
	x->not_after = c->not_after;
	x->names_more = c->names_more;
	x->verified = c->verified;
	x->names_n = c->names_n;
	x->crl_n = c->crl_n;
	x->size = size;
	at = (uint8_t *)x + head;
	for (size_t i = 0; i < n; i++) {
		struct bytes text = text_at(c, i);

		x->length[i] = text.n;
		if (text.n > 0)
			memcpy(at, text.p, text.n);
		at += text.n;
	}
	return x;
}

/* Reading. */

static bool on_cert(void *arg, const struct watch_cert *c)
{
	struct reading *r = arg;
	struct watch_cert whole = *c;
	struct file_cert **grown =
	    realloc(r->out->cert, (r->out->n + 1) * sizeof(struct file_cert *));

	if (grown != NULL) {
		r->out->cert = grown;
		known_complete(r->known, &whole);
		grown[r->out->n] = cert_copy(&whole);
	}
	r->nomem = grown == NULL || grown[r->out->n] == NULL;
	if (!r->nomem)
		r->out->n++;
	return !r->nomem;
}

bool file_certs_read(struct file_certs *out, struct bytes text, const struct known *known,
    struct watch_error *e)
{
	struct reading r = {.out = out, .known = known};
	const struct watch_want want = {
	    .format = WATCH_PEM, .issuers = known->index, .each = on_cert, .arg = &r};
	struct watch_body *b = watch_body_new(&want);
	bool ok = b != NULL && watch_body_feed(b, text) && watch_body_end(b);

	*e = (struct watch_error){.code = WATCH_NOMEM};
	if (!ok && b != NULL && !r.nomem)
		*e = *watch_body_error(b);
	watch_body_free(b);
	return ok;
}

void file_certs_free(struct file_certs *c)
{
	for (size_t i = 0; i < c->n; i++)
		free(c->cert[i]);
	free(c->cert);
	*c = (struct file_certs){0};
}

bool file_certs_equal(const struct file_certs *a, const struct file_certs *b)
{
	size_t i = 0;

	while (a->n == b->n && i < a->n && a->cert[i]->size == b->cert[i]->size &&
	       memcmp(a->cert[i], b->cert[i], a->cert[i]->size) == 0)
		i++;
	return a->n == b->n && i == a->n;
}

/* Drafts. */

/* c borrows from x and from texts, which has room for all of x's. */
static void lay_out(
    const struct file_cert *x, struct watch_cert *c, char *issuer, struct bytes *texts)
{
	size_t n = FIXED + x->names_n + x->crl_n;
	const uint8_t *at = (const uint8_t *)&x->length[n];

	for (size_t i = 0; i < n; at += x->length[i++])
		texts[i] = bytes_of(at, x->length[i]);
	memcpy(issuer, texts[0].p, texts[0].n);
	issuer[texts[0].n] = '\0';
	*c = (struct watch_cert){.serial = x->serial,
	    .issuer = texts[0].n > 0 ? issuer : NULL,
	    .aki = texts[1],
	    .issuer_name = texts[2],
	    .not_before = x->not_before,
	    .not_after = x->not_after,
	    .names = texts + FIXED,
	    .names_n = x->names_n,
	    .names_more = x->names_more,
	    .crl = texts + FIXED + x->names_n,
	    .crl_n = x->crl_n,
	    .verified = x->verified};
}

static size_t octets(const struct bytes *texts, size_t n)
{
	size_t sum = 0;

	for (size_t i = 0; i < n; i++)
		sum += texts[i].n + 1;
	return sum;
}

/* Labels come first: the last names are counted only, where both have no room. */
static void label(struct watch_cert *c, const struct bytes *labels, size_t n)
{
	size_t room = WATCH_TEXT_MAX - octets(labels, n);

	c->labels = labels;
	c->labels_n = n;
	while (octets(c->names, c->names_n) > room) {
		c->names_n--;
		c->names_more++;
	}
}

static enum err add(const struct file_cert *x, const struct bytes *labels,
    size_t labels_n, struct watch_draft *draft)
{
	struct bytes *texts = calloc(FIXED + x->names_n + x->crl_n, sizeof *texts);
	char *issuer = malloc(x->length[0] + 1);
	struct watch_cert c;
	enum err e = ERR_NOMEM;

	if (texts != NULL && issuer != NULL) {
		lay_out(x, &c, issuer, texts);
		label(&c, labels, labels_n);
		e = watch_draft_add(draft, &c);
	}
	free(texts);
	free(issuer);
	return e;
}

enum err file_certs_add(const struct file_certs *c, const struct bytes *labels,
    size_t labels_n, struct watch_draft *draft)
{
	enum err e = ERR_OK;

	for (size_t i = 0; i < c->n && e == ERR_OK; i++)
		e = add(c->cert[i], labels, labels_n, draft);
	return e;
}
