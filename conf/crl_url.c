/* crl_url.c - parted at " | ", then each place at its braces. */
#include "conf/crl_url.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>

#define BETWEEN " | "

static bool is_digit(uint8_t c)
{
	return c >= '0' && c <= '9';
}

/* Digits from *p on; *p is moved behind them. */
static const char *take_number(
    const uint8_t **p, const uint8_t *end, unsigned long *out, int *digits)
{
	*out = 0;
	for (*digits = 0; *p < end && is_digit(**p); ++*p) {
		if (++*digits > CRL_DIGITS_MAX)
			return "has a number of more than nine digits in its range; "
			       "write fewer lists";
		*out = *out * 10 + (unsigned long)(**p - '0');
	}
	return *digits > 0 ? NULL
			   : "has a brace that is no range; write {1..128} for 128 "
			     "lists, or %7B and %7D for braces of the URL";
}

/* The text behind '{'. */
static const char *take_range(struct bytes text, struct crl_pattern *out, size_t *lists_n)
{
	const uint8_t *p = text.p, *end = text.p + text.n, *from = p, *to;
	unsigned long last;
	int n, m;
	const char *why = take_number(&p, end, &out->first, &n);

	if (why != NULL)
		return why;
	if (end - p < 2 || p[0] != '.' || p[1] != '.')
		return "has a range without \"..\"; write {1..128}";
	to = p += 2;
	why = take_number(&p, end, &last, &m);
	if (why != NULL)
		return why;
	if (p == end || *p != '}')
		return "has a range without its \"}\"; write {1..128}";
	if (last < out->first)
		return "has a range that counts down; write the smaller number first";
	if ((n > 1 && *from == '0') || (m > 1 && *to == '0'))
		out->width = n > m ? n : m;
	out->after = bytes_of(p + 1, (size_t)(end - p - 1));
	out->ranged = true;
	*lists_n = last - out->first + 1;
	return NULL;
}

static bool has_brace(struct bytes text)
{
	for (size_t i = 0; i < text.n; i++)
		if (text.p[i] == '{' || text.p[i] == '}')
			return true;
	return false;
}

static const char *take_place(struct bytes text, struct crl_pattern *out, size_t *lists_n)
{
	const uint8_t *brace = memchr(text.p, '{', text.n);
	const char *why;

	*out = (struct crl_pattern){.before = text};
	*lists_n = 1;
	if (brace != NULL) {
		size_t n = (size_t)(brace - text.p);

		out->before.n = n;
		why = take_range(bytes_of(brace + 1, text.n - n - 1), out, lists_n);
		if (why != NULL)
			return why;
	}
	if (has_brace(out->after) && memchr(out->after.p, '{', out->after.n) != NULL)
		return "has two ranges, and one URL has one; write an item for each "
		       "value of the other";
	if (has_brace(out->before) || has_brace(out->after))
		return "has a \"}\" of no range; write {1..128} for 128 lists, or %7D "
		       "for a brace of the URL";
	return NULL;
}

static struct bytes trimmed(const char *p, size_t n)
{
	for (; n > 0 && *p == ' '; n--)
		p++;
	while (n > 0 && p[n - 1] == ' ')
		n--;
	return bytes_of(p, n);
}

static const char *add_place(struct crl_item *out, struct bytes text)
{
	size_t lists_n;
	const char *why;

	if (text.n == 0)
		return "has no URL on one side of a \"|\"; write one, or take the \"|\" "
		       "out";
	if (out->places_n == CRL_PLACES_MAX)
		return "names more than 16 places of one list; write fewer";
	why = take_place(text, &out->place[out->places_n], &lists_n);
	if (why != NULL)
		return why;
	if (out->places_n++ > 0 && lists_n != out->lists_n)
		return "has places with different numbers of lists, which are the same "
		       "lists at each; write ranges of equal length";
	out->lists_n = lists_n;
	out->ranged |= out->place[out->places_n - 1].ranged;
	return NULL;
}

const char *crl_item_parse(const char *text, struct crl_item *out)
{
	const char *between, *why;

	out->places_n = out->lists_n = 0;
	out->ranged = false;
	for (; (between = strstr(text, BETWEEN)) != NULL;
	     text = between + strlen(BETWEEN)) {
		why = add_place(out, trimmed(text, (size_t)(between - text)));
		if (why != NULL)
			return why;
	}
	return add_place(out, trimmed(text, strlen(text)));
}

char *crl_item_url(const struct crl_item *i, size_t list, size_t place)
{
	const struct crl_pattern *p = &i->place[place];
	char *url = NULL;
	int n;

	assert(place < i->places_n && list < i->lists_n);
	if (!p->ranged)
		return strndup((const char *)p->before.p, p->before.n);
	n = asprintf(&url, "%.*s%0*lu%.*s", (int)p->before.n, (const char *)p->before.p,
	    p->width, p->first + list, (int)p->after.n, (const char *)p->after.p);
	return n < 0 ? NULL : url;
}
