/* ari_state.c - one octet of version and one of flags, numbers in network order, texts
 * behind their lengths.
 */
#include "cache/watch/ari_state.h"

#include <string.h>

#include "cache/base/utf8.h"

#define VERSION 1

enum { SEEN = 1, ORDINARY = 2, NOTICED = 4, UNTOLD = 8, FLAGS = 15 };

bool ari_state_is_newer(const struct ari_state *a, const struct ari_state *b)
{
	return a->asked_at > b->asked_at ||
	       (a->asked_at == b->asked_at && b->untold && !a->untold);
}

size_t ari_state_encode(const struct ari_state *s, uint8_t *out)
{
	size_t url_n = strlen(s->url), error_n = strlen(s->error);
	uint8_t *p = out;

	*p++ = VERSION;
	*p++ = (uint8_t)((s->known.seen ? SEEN : 0) | (s->known.ordinary ? ORDINARY : 0) |
			 (s->known.noticed ? NOTICED : 0) | (s->untold ? UNTOLD : 0));
	p = put_be(p, (uint64_t)s->known.start, 8);
	p = put_be(p, s->known.page, 8);
	p = put_be(p, (uint64_t)s->asked_at, 8);
	p = put_be(p, (uint64_t)s->next_at, 8);
	p = put_be(p, (uint64_t)s->start, 8);
	p = put_be(p, (uint64_t)s->end, 8);
	p = put_be(p, s->failures, 4);
	p = put_be(p, url_n, 2);
	memcpy(p, s->url, url_n);
	p += url_n;
	*p++ = (uint8_t)error_n;
	memcpy(p, s->error, error_n);
	return (size_t)(p + error_n - out);
}

/* A text of so many octets of `in` from *at on, without NUL and controls. */
static bool take_text(char *out, size_t room, struct bytes in, size_t *at, size_t n)
{
	struct bytes text = bytes_of(in.p + *at, n);

	if (n >= room || n > in.n - *at || !utf8_is_valid(text) ||
	    memchr(text.p, 0, n) != NULL)
		return false;
	memcpy(out, text.p, n);
	out[n] = '\0';
	*at += n;
	return true;
}

static int64_t take_number(struct bytes in, size_t *at)
{
	*at += 8;
	return (int64_t)get_be(in.p + *at - 8, 8);
}

#define FIXED_N (2 + 8 * 6 + 4 + 2)

enum err ari_state_decode(struct ari_state *s, struct bytes in)
{
	size_t at = 2;

	memset(s, 0, sizeof *s);
	if (in.n < FIXED_N + 1 || in.p[0] != VERSION || (in.p[1] & ~FLAGS) != 0)
		return ERR_RECORD;
	s->known.seen = (in.p[1] & SEEN) != 0;
	s->known.ordinary = (in.p[1] & ORDINARY) != 0;
	s->known.noticed = (in.p[1] & NOTICED) != 0;
	s->untold = (in.p[1] & UNTOLD) != 0;
	s->known.start = take_number(in, &at);
	s->known.page = (uint64_t)take_number(in, &at);
	s->asked_at = take_number(in, &at);
	s->next_at = take_number(in, &at);
	s->start = take_number(in, &at);
	s->end = take_number(in, &at);
	s->failures = (uint32_t)get_be(in.p + at, 4);
	at += 6;
	if (!take_text(s->url, sizeof s->url, in, &at, get_be(in.p + at - 2, 2)) ||
	    at == in.n)
		return ERR_RECORD;
	at++;
	if (!take_text(s->error, sizeof s->error, in, &at, in.p[at - 1]) || at != in.n)
		return ERR_RECORD;
	return ERR_OK;
}

size_t ari_who_encode(const struct ari_who *w, uint8_t *out)
{
	uint8_t *p = out;

	*p++ = w->aki_n;
	memcpy(p, w->aki, w->aki_n);
	p += w->aki_n;
	*p++ = w->serial.n;
	memcpy(p, w->serial.octets, w->serial.n);
	return (size_t)(p + w->serial.n - out);
}

bool ari_who_decode(struct ari_who *w, struct bytes in)
{
	size_t at;

	memset(w, 0, sizeof *w);
	if (in.n < 2 || in.p[0] == 0 || in.p[0] > WATCH_AKI_MAX || in.n < 2u + in.p[0])
		return false;
	w->aki_n = in.p[0];
	memcpy(w->aki, in.p + 1, w->aki_n);
	at = 1u + w->aki_n;
	w->serial.n = in.p[at++];
	if (w->serial.n == 0 || w->serial.n > SERIAL_MAX || in.n != at + w->serial.n)
		return false;
	memcpy(w->serial.octets, in.p + at, w->serial.n);
	return true;
}
