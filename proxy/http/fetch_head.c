/* fetch_head.c - one header line after the other, each judged when it is there. */
#include "proxy/http/fetch_head.h"

#include <stdio.h>
#include <string.h>
#include <strings.h>

#define HEAD_MAX_BYTES 65536 /* a responder's is under 1 KiB */

/* The value in a line of a head, without space around it; NULL: it is another's. */
static const char *value_in(const char *line, size_t n, const char *name, size_t *value_n)
{
	size_t name_n = strlen(name);
	const char *p, *end = line + n;

	if (n <= name_n || line[name_n] != ':' || strncasecmp(line, name, name_n) != 0)
		return NULL;
	p = line + name_n + 1;
	while (p < end && strchr(" \t\r\n", *p) != NULL)
		p++;
	while (end > p && strchr(" \t\r\n", end[-1]) != NULL)
		end--;
	*value_n = (size_t)(end - p);
	return p;
}

static bool is_word_of(const char *words, const char *p, size_t n)
{
	for (size_t m; *words != '\0'; words += m + (words[m] == ' ')) {
		m = strcspn(words, " ");
		if (m == n && strncasecmp(words, p, n) == 0)
			return true;
	}
	return false;
}

/* One coding of each kind, and only what is known.  libcurl would undo five, one inside
 * the other, each of which makes up to a thousand bytes of one without asking us in
 * between; and what we have not asked for, the fewest decoders should see. */
static const struct {
	const char *header, *words;
} codings[HEAD_CODINGS] = {
    [HEAD_CONTENT_ENCODING] = {"Content-Encoding", "identity gzip x-gzip deflate"},
    [HEAD_TRANSFER_ENCODING] = {"Transfer-Encoding", "identity chunked"},
};

static bool coding_is_fit(struct fetch_head *h, int i, const char *line, size_t n)
{
	char quote[FETCH_QUOTE_MAX];
	size_t value_n;
	const char *p = value_in(line, n, codings[i].header, &value_n);
	bool twice = h->coded[i];

	if (p == NULL || value_n == 0)
		return true;
	h->coded[i] = true;
	if (!twice && is_word_of(codings[i].words, p, value_n))
		return true;
	fetch_quote(quote, p, value_n);
	snprintf(h->refusal, sizeof h->refusal,
	    "%s: %s, which nobody asked for; let the server send identity",
	    codings[i].header, quote);
	return false;
}

bool fetch_head_line(struct fetch_head *h, const char *line, size_t n)
{
	h->n += n;
	h->too_large = h->n > HEAD_MAX_BYTES;
	if (h->too_large)
		return false;
	if (n >= 5 && memcmp(line, "HTTP/", 5) == 0) { /* after a 1xx the next begins */
		h->whole = false;
		memset(h->coded, 0, sizeof h->coded);
	} else if (n > 0 && (line[0] == '\r' || line[0] == '\n')) {
		h->whole = true; /* also when trailers follow the body */
	}
	return coding_is_fit(h, HEAD_CONTENT_ENCODING, line, n) &&
	       coding_is_fit(h, HEAD_TRANSFER_ENCODING, line, n);
}
