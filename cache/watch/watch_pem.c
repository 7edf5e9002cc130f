/* watch_pem.c - line by line; of a line only what may be a boundary is kept, and of a
 * block of a certificate its base64.
 */
#include "cache/watch/watch_pem.h"

#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <stdlib.h>

#include "cache/watch/watch_room.h"

#define DASHES   "-----"
#define DASHES_N 5
#define MARK_MAX 80 /* octets of a boundary: the longest that is ours has 38 */
#define BOM      "\xef\xbb\xbf" /* U+FEFF: editors write it before the first line */

struct watch_pem {
	size_t max;
	watch_pem_fn *each;
	watch_pem_bad_fn *bad;
	void *arg;
	enum { OUTSIDE, PASSING, DROPPING, INSIDE } at; /* DROPPING: it was bad */
	char mark[MARK_MAX + 1]; /* of this line, as far as it may be a boundary */
	size_t mark_n, line_n;
	bool dash;                /* this line begins with one */
	uint64_t line, begun;     /* begun: where the block begins */
	char label[MARK_MAX + 1]; /* of the block, or of the line that ends one */
	bool text;                /* there was something that is not blank */
	bool blocks;              /* and a block */
	unsigned bom_n;
	uint64_t passed_over;
	struct watch_room base64, der;
	size_t base64_n, padding;
	struct watch_error error;
};

struct watch_pem *watch_pem_new(
    size_t max, watch_pem_fn *each, watch_pem_bad_fn *bad, void *arg)
{
	struct watch_pem *p = calloc(1, sizeof *p);

	if (p == NULL)
		return NULL;
	p->max = max;
	p->each = each;
	p->bad = bad;
	p->arg = arg;
	p->line = 1;
	return p;
}

/* Behind a block nothing of it is left. */
static void wipe(struct watch_pem *p)
{
	if (p->base64_n > 0)
		OPENSSL_cleanse(p->base64.p, p->base64_n);
	p->base64_n = p->padding = 0;
}

void watch_pem_free(struct watch_pem *p)
{
	if (p == NULL)
		return;
	watch_room_free(&p->base64);
	watch_room_free(&p->der);
	free(p);
}

uint64_t watch_pem_passed_over(const struct watch_pem *p)
{
	return p->passed_over;
}

/* Tell of the block at `begun`; the rest of it is passed over. */
static bool block_is_bad(struct watch_pem *p)
{
	wipe(p);
	p->at = DROPPING;
	p->error.line = p->begun;
	return p->bad(p->arg, &p->error);
}

static bool is_blank(uint8_t c)
{
	return c == ' ' || (c >= '\t' && c <= '\r');
}

static bool is_trusted(const struct watch_pem *p)
{
	return strcmp(p->label, "TRUSTED CERTIFICATE") == 0;
}

static bool is_certificate(const char *label)
{
	return strcmp(label, "CERTIFICATE") == 0 ||
	       strcmp(label, "X509 CERTIFICATE") == 0 ||
	       strcmp(label, "TRUSTED CERTIFICATE") == 0;
}

/* Is the line "-----WORD LABEL-----"? */
static bool boundary(
    const struct watch_pem *p, const char *word, char label[MARK_MAX + 1])
{
	size_t begin = DASHES_N + strlen(word), n = p->mark_n;

	if (n == MARK_MAX || n < begin + 1 + DASHES_N ||
	    strncmp(p->mark + DASHES_N, word, strlen(word)) != 0 ||
	    p->mark[begin] != ' ' || strcmp(p->mark + n - DASHES_N, DASHES) != 0)
		return false;
	n -= begin + 1 + DASHES_N;
	memcpy(label, p->mark + begin + 1, n);
	label[n] = '\0';
	return true;
}

static bool block_begins(struct watch_pem *p, const char *label)
{
	strcpy(p->label, label);
	p->begun = p->line;
	p->blocks = true;
	p->at = is_certificate(label) ? INSIDE : PASSING;
	p->passed_over += p->at == PASSING;
	return true;
}

static bool nomem(struct watch_pem *p)
{
	watch_refuse(&p->error, WATCH_NOMEM, "out of memory");
	block_is_bad(p);
	return false;
}

static bool block_is_whole(struct watch_pem *p)
{
	int n = -1;
	bool go;

	if (!watch_room_grow(&p->der, p->base64_n))
		return nomem(p);
	if (p->base64_n % 4 == 0 && p->base64_n > 0)
		n = EVP_DecodeBlock(p->der.p, p->base64.p, (int)p->base64_n);
	if (n < 0) {
		watch_refuse(&p->error, WATCH_BAD_PEM, "its base64 is not whole");
		go = block_is_bad(p);
	} else {
		go = p->each(p->arg, p->begun, bytes_of(p->der.p, (size_t)n - p->padding),
		    is_trusted(p));
		OPENSSL_cleanse(p->der.p, (size_t)n);
	}
	wipe(p);
	p->at = OUTSIDE;
	return go;
}

static bool end_is_alone(struct watch_pem *p)
{
	p->begun = p->line;
	watch_refuse(
	    &p->error, WATCH_BAD_PEM, "the end of a certificate that has no begin");
	p->blocks = true;
	if (!block_is_bad(p))
		return false;
	p->at = OUTSIDE;
	return true;
}

static bool block_ends(struct watch_pem *p, const char *label)
{
	bool go;

	if (p->at == OUTSIDE)
		return !is_certificate(label) || end_is_alone(p);
	if (p->at == INSIDE && strcmp(label, p->label) == 0)
		return block_is_whole(p);
	go = true;
	if (p->at == INSIDE) {
		watch_refuse(
		    &p->error, WATCH_BAD_PEM, "its end is that of another block");
		go = block_is_bad(p);
	}
	p->at = OUTSIDE;
	return go;
}

/* A line that begins with dashes is over. */
static bool mark_ends(struct watch_pem *p)
{
	char label[MARK_MAX + 1];

	while (p->mark_n > 0 && is_blank((uint8_t)p->mark[p->mark_n - 1]))
		p->mark_n--;
	p->mark[p->mark_n] = '\0';
	if (boundary(p, "END", label))
		return block_ends(p, label);
	if (boundary(p, "BEGIN", label)) {
		if (p->at == INSIDE) {
			watch_refuse(&p->error, WATCH_BAD_PEM, "it has no end");
			if (!block_is_bad(p))
				return false;
		}
		return block_begins(p, label);
	}
	if (p->at != INSIDE)
		return true; /* "---- my certificates ----" */
	watch_refuse(
	    &p->error, WATCH_BAD_PEM, "there is something else in it than base64");
	return block_is_bad(p);
}

static bool is_base64(uint8_t c)
{
	return (c >= '0' && c <= '9') || ((c | 0x20) >= 'a' && (c | 0x20) <= 'z') ||
	       c == '+' || c == '/';
}

static bool take_base64(struct watch_pem *p, struct bytes s)
{
	for (size_t i = 0; i < s.n; i++) {
		uint8_t c = s.p[i];

		if (is_blank(c))
			continue;
		p->padding += c == '=';
		if (c == '=' ? p->padding > 2 : p->padding > 0 || !is_base64(c)) {
			watch_refuse(&p->error, WATCH_BAD_PEM,
			    "there is something else in it than base64");
			return block_is_bad(p);
		}
		if (p->base64_n == p->max) {
			watch_refuse(&p->error, WATCH_BAD_LONG,
			    "more than %zu octets of base64 are no certificate", p->max);
			return block_is_bad(p);
		}
		if (!watch_room_grow(&p->base64, p->base64_n + 1))
			return nomem(p);
		p->base64.p[p->base64_n++] = c;
	}
	return true;
}

/* Of the line's first octets those that may be a boundary's: five dashes, and what is
 * behind them.  Nothing else is ever copied, so no key is. */
static void take_mark(struct watch_pem *p, struct bytes s)
{
	if (p->mark_n != p->line_n)
		return; /* it was none before, or is too long for one */
	for (size_t i = 0; i < s.n && p->mark_n < MARK_MAX; i++) {
		if (p->mark_n < DASHES_N && s.p[i] != '-')
			break;
		p->mark[p->mark_n++] = s.p[i] == '\0' ? '?' : (char)s.p[i];
	}
}

/* Some of a line, without its end. */
static bool take_part(struct watch_pem *p, struct bytes s)
{
	while (p->line == 1 && p->line_n == 0 && p->bom_n < 3 && s.n > 0 &&
	       s.p[0] == (uint8_t)BOM[p->bom_n]) {
		p->bom_n++;
		s = bytes_of(s.p + 1, s.n - 1);
	}
	if (s.n == 0)
		return true;
	if (p->line_n == 0)
		p->dash = s.p[0] == '-';
	take_mark(p, s);
	p->line_n += s.n;
	for (size_t i = 0; i < s.n && !p->text; i++)
		p->text = !is_blank(s.p[i]);
	return p->at != INSIDE || p->dash || take_base64(p, s);
}

static bool line_ends(struct watch_pem *p)
{
	bool go = !p->dash || mark_ends(p);

	/* there are files whose line ends were lost, and then a key is behind the dashes
	 */
	OPENSSL_cleanse(p->mark, p->mark_n);
	p->line++;
	p->line_n = p->mark_n = 0;
	p->dash = false;
	return go;
}

bool watch_pem_feed(struct watch_pem *p, struct bytes piece)
{
	while (piece.n > 0) {
		const uint8_t *end = memchr(piece.p, '\n', piece.n);
		size_t n = end != NULL ? (size_t)(end - piece.p) : piece.n;

		if (!take_part(p, bytes_of(piece.p, n)) || (end != NULL && !line_ends(p)))
			return false;
		n += end != NULL;
		piece = bytes_of(piece.p + n, piece.n - n);
	}
	return true;
}

bool watch_pem_end(struct watch_pem *p)
{
	if (!line_ends(p))
		return false;
	if (p->at == PASSING || p->at == INSIDE) {
		watch_refuse(&p->error, WATCH_BAD_PEM, "it has no end");
		return block_is_bad(p);
	}
	if (p->text && !p->blocks) {
		p->begun = 1;
		watch_refuse(&p->error, WATCH_BAD_NONE, "there is no block of PEM in it");
		return block_is_bad(p);
	}
	return true;
}
