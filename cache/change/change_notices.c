/* change_notices.c - the layout of a record of kind 3, behind the 16 octets that all have
 * (change.c):
 *
 *   offset  bytes
 *       16      1  source: 0 an incident's list, 1 ARI
 *       17      1  c, length of the issuer's name, 1..63
 *       18      1  i, length of the incident's name, 1..63; 0 with ARI
 *       19      1  w, length of the watchlist's name, 0..63; 0: for everybody
 *       20      8  deadline, seconds since 1970; 0: none
 *       28      2  u, length of the URL, 0..2048; 0: none
 *       30      1  1 where windows follow the notices, else 0
 *       31      1  0
 *       32      c  the issuer's name: a-z, 0-9, '.', '_', '-'
 *               i  the incident's name, of the same characters
 *               w  the watchlist's name, the same
 *               u  the URL: any octets but 0
 *            32*n  the notices, 32 bytes each:
 *
 *        0     21  the serial number, right-aligned, zeros before it
 *       21      1  how many octets of them are the serial's, 1..21, as in a change
 *       22      8  0
 *       30      1  0 announced, 1 withdrawn
 *       31      1  0
 *
 *            16*n  where they follow, windows, one for each notice:
 *
 *        0      8  replace after, seconds since 1970
 *        8      8  replace before, not earlier; both 0: nothing was said
 *
 * Nothing follows.  So a batch has one encoding.
 */
#include <assert.h>

#include "cache/change/change_kinds.h"

#define SOURCE_AT   16
#define ISSUER_AT   17
#define INCIDENT_AT 18
#define LIST_AT     19
#define DEADLINE_AT 20
#define URL_AT      28
#define WINDOWS_AT  30
#define FIXED_N     32
#define WINDOW_N    16

_Static_assert(CHANGE_RECORD_MAX >= FIXED_N + 3 * CHANGE_NAME_MAX + CHANGE_URL_MAX +
					CHANGE_BATCH_MAX * (32 + WINDOW_N),
    "the longest record");

struct change_batch *change_notices_new(size_t n, const char *url, bool windows)
{
	size_t windows_n = windows ? n * sizeof(struct change_window) : 0,
	       url_n = strlen(url);
	struct change_batch *b =
	    change_batch_room(CHANGE_NOTICES, n, windows_n + url_n + 1);
	char *behind;

	assert(n <= CHANGE_BATCH_MAX && url_n <= CHANGE_URL_MAX);
	if (b == NULL)
		return NULL;
	behind = change_batch_behind(b, n);
	if (windows)
		b->window = (struct change_window *)(void *)behind;
	b->url = memcpy(behind + windows_n, url, url_n + 1);
	return b;
}

size_t change_notices_size(const struct change_batch *b)
{
	return FIXED_N + strlen(b->issuer) + strlen(b->incident) + strlen(b->watchlist) +
	       strlen(b->url) + b->n * sizeof b->change[0] +
	       (b->window != NULL ? (size_t)b->n * WINDOW_N : 0);
}

static uint8_t *put_text(uint8_t *p, const char *text, uint8_t *length)
{
	assert(strlen(text) <= CHANGE_NAME_MAX);
	*length = (uint8_t)strlen(text);
	memcpy(p, text, *length);
	return p + *length;
}

void change_notices_encode(const struct change_batch *b, uint8_t *out)
{
	size_t url_n = strlen(b->url);
	uint8_t *p = out + FIXED_N;

	assert(b->n >= 1 && b->n <= CHANGE_BATCH_MAX && b->issuer[0] != '\0');
	assert((b->incident[0] == '\0') == (b->source == CHANGE_ARI));
	memset(out, 0, FIXED_N);
	change_head_put(b, out);
	out[SOURCE_AT] = (uint8_t)b->source;
	out[WINDOWS_AT] = b->window != NULL;
	put_be(out + DEADLINE_AT, (uint64_t)b->deadline, 8);
	put_be(out + URL_AT, url_n, 2);
	p = put_text(p, b->issuer, out + ISSUER_AT);
	p = put_text(p, b->incident, out + INCIDENT_AT);
	p = put_text(p, b->watchlist, out + LIST_AT);
	memcpy(p, b->url, url_n);
	p += url_n;
	memcpy(p, b->change, b->n * sizeof b->change[0]);
	p += b->n * sizeof b->change[0];
	for (uint32_t i = 0; b->window != NULL && i < b->n; i++) {
		assert(b->window[i].after <= b->window[i].before);
		p = put_be(p, (uint64_t)b->window[i].after, 8);
		p = put_be(p, (uint64_t)b->window[i].before, 8);
	}
}

/* The parts of a record, within its bytes. */
struct notices_parts {
	struct bytes issuer, incident, list, url;
	size_t n;
	const uint8_t *notices, *windows; /* windows: NULL for none */
};

static struct bytes next(const uint8_t **p, size_t n)
{
	struct bytes b = bytes_of(*p, n);

	*p += n;
	return b;
}

/* Lengths alone. */
static bool cut(struct bytes in, struct notices_parts *r)
{
	const uint8_t *p = in.p, *at;
	size_t names, url, each;

	if (in.n < FIXED_N || p[WINDOWS_AT] > 1)
		return false;
	names = (size_t)p[ISSUER_AT] + p[INCIDENT_AT] + p[LIST_AT];
	url = get_be(p + URL_AT, 2);
	each = sizeof(struct change) + (p[WINDOWS_AT] == 1 ? WINDOW_N : 0);
	r->n = get_be(p + CHANGE_COUNT_AT, 4);
	if (r->n < 1 || r->n > CHANGE_BATCH_MAX ||
	    in.n != FIXED_N + names + url + r->n * each)
		return false;
	at = p + FIXED_N;
	r->issuer = next(&at, p[ISSUER_AT]);
	r->incident = next(&at, p[INCIDENT_AT]);
	r->list = next(&at, p[LIST_AT]);
	r->url = next(&at, url);
	r->notices = next(&at, r->n * sizeof(struct change)).p;
	r->windows = p[WINDOWS_AT] == 1 ? at : NULL;
	return true;
}

static bool is_good(const uint8_t *p, const struct notices_parts *r)
{
	bool ari = p[SOURCE_AT] == CHANGE_ARI;

	return p[2] == 0 && p[3] == 0 && p[SOURCE_AT] <= CHANGE_ARI && p[31] == 0 &&
	       change_name_is_good(r->issuer.p, r->issuer.n) &&
	       (ari ? r->incident.n == 0
		    : change_name_is_good(r->incident.p, r->incident.n)) &&
	       (r->list.n == 0 || change_name_is_good(r->list.p, r->list.n)) &&
	       r->url.n <= CHANGE_URL_MAX && memchr(r->url.p, 0, r->url.n) == NULL;
}

static bool notice_is_good(const struct crl_entry *e)
{
	static const uint8_t zero[8];

	return change_serial_is_good(e) && memcmp(e->at, zero, sizeof zero) == 0 &&
	       e->spare[0] <= 1 && e->spare[1] == 0;
}

static bool take_entries(struct change_batch *b, const struct notices_parts *r)
{
	const uint8_t *w = r->windows;

	memcpy(b->change, r->notices, r->n * sizeof b->change[0]);
	for (size_t i = 0; i < r->n; i++) {
		if (!notice_is_good(&b->change[i].entry))
			return false;
		if (w == NULL)
			continue;
		b->window[i].after = (int64_t)get_be(w + WINDOW_N * i, 8);
		b->window[i].before = (int64_t)get_be(w + WINDOW_N * i + 8, 8);
		if (b->window[i].after > b->window[i].before)
			return false;
	}
	return true;
}

enum err change_notices_decode(struct change_batch **out, struct bytes in)
{
	char url[CHANGE_URL_MAX + 1] = "";
	struct change_batch *b;
	struct notices_parts r;

	if (!cut(in, &r) || !is_good(in.p, &r))
		return ERR_RECORD;
	memcpy(url, r.url.p, r.url.n);
	b = change_notices_new(r.n, url, r.windows != NULL);
	if (b == NULL)
		return ERR_NOMEM;
	change_head_get(b, in);
	b->source = (enum change_source)in.p[SOURCE_AT];
	b->deadline = (int64_t)get_be(in.p + DEADLINE_AT, 8);
	memcpy(b->issuer, r.issuer.p, r.issuer.n);
	memcpy(b->incident, r.incident.p, r.incident.n);
	memcpy(b->watchlist, r.list.p, r.list.n);
	if (!take_entries(b, &r)) {
		change_batch_unref(b);
		return ERR_RECORD;
	}
	*out = b;
	return ERR_OK;
}
