/* watch_plain.c - the first words of a line. */
#include "cache/watch/watch_plain.h"

#include <stdlib.h>

#include "cache/base/issuer.h"
#include "cache/base/name.h"
#include "cache/watch/watch_issuer.h"
#include "cache/watch/watch_lines.h"

struct plain {
	struct watch_out *out;
	struct watch_lines lines;
	char issuer[NAME_MAX_OCTETS + 1]; /* of the line before */
	const struct issuer *configured;  /* of that name, or NULL */
};

static bool is_blank(uint8_t c)
{
	return c == ' ' || c == '\t' || c == '\r';
}

/* n 0: there is none.  text is what follows. */
static struct bytes next_word(struct bytes *text)
{
	size_t n = 0;
	struct bytes word;

	while (text->n > 0 && is_blank(text->p[0]))
		*text = bytes_of(text->p + 1, text->n - 1);
	while (n < text->n && !is_blank(text->p[n]) && text->p[n] != '#')
		n++;
	word = bytes_of(text->p, n);
	*text = n < text->n && text->p[n] == '#' ? bytes_of(text->p + n, 0)
						 : bytes_of(text->p + n, text->n - n);
	return word;
}

static bool is_serial(const struct plain *l, struct bytes word)
{
	struct serial s;

	return word.n > 0 && (l->out->serials.base == WATCH_BASE_DEC
				     ? serial_from_decimal(&s, word)
				     : serial_from_hex_text(&s, word)) == ERR_OK;
}

/* Is the word an issuer's name?  One look-up for all lines of an issuer that follow each
 * other. */
static bool is_issuer(struct plain *l, struct bytes word)
{
	const struct watch_issuers *all = l->out->want->issuers;
	const struct issuer *found = NULL;

	if (!name_is_plain(word))
		return false;
	if (l->issuer[0] != '\0' && strlen(l->issuer) == word.n &&
	    memcmp(l->issuer, word.p, word.n) == 0)
		return true;
	if (all != NULL ? (found = watch_issuers_named(all, word)) == NULL
			: is_serial(l, word))
		return false;
	memcpy(l->issuer, word.p, word.n);
	l->issuer[word.n] = '\0';
	l->configured = found;
	return true;
}

static bool take(void *reader, struct bytes text)
{
	struct plain *l = reader;
	struct watch_cert c = {.line = l->lines.line,
	    .not_before = WATCH_TIME_NONE,
	    .not_after = WATCH_TIME_NONE};
	struct bytes word = next_word(&text), second, rest;

	if (word.n == 6 && memcmp(word.p, "serial", 6) == 0)
		word = next_word(&text);
	else if (word.n == 0)
		return true;
	rest = text;
	second = next_word(&rest);
	if (is_serial(l, second) && is_issuer(l, word)) {
		c.configured = l->configured;
		c.issuer = l->issuer;
		word = second;
	}
	return watch_serial_read(
		   &l->out->serials, word, c.line, &c.serial, &l->out->error) &&
	       watch_out_cert(l->out, &c);
}

static bool feed(void *reader, struct bytes piece)
{
	struct plain *l = reader;

	return watch_lines_feed(&l->lines, piece);
}

static bool end(void *reader)
{
	struct plain *l = reader;

	return watch_lines_end(&l->lines);
}

static void plain_free(void *reader)
{
	struct plain *l = reader;

	if (l == NULL)
		return;
	watch_lines_free(&l->lines);
	free(l);
}

static void *plain_new(struct watch_out *out)
{
	struct plain *l = calloc(1, sizeof *l);

	if (l == NULL)
		return NULL;
	l->out = out;
	watch_lines_start(&l->lines, out, take, l);
	return l;
}

const struct watch_reader watch_plain_reader = {plain_new, feed, end, plain_free, NULL};
