/* webhook_binary.c - webhooks and their states as they are kept; integers big endian, a
 * text is its length (2 octets) and its octets, a place is epoch (4), seq (8), index (4).
 *
 * A webhook:                          A state:
 *   version, 0x01                1      version, 0x01                   1
 *   changed_at                   8      start                           8
 *   revision, enabled, start    24      position                       16
 *   from                        16      gone_enabled, gone_at          16
 *   1: disabled                  1      last_success, last_error_at,
 *   types, format                2        next_try, failing_since      32
 *   url, issuer, watchlist,             tries                           4
 *     routing_key            texts      upto                           16
 *   secrets: how many            1      many                            4
 *     each 1 HMAC, 2 Ed25519     1      gone_why, last_error        texts
 *     octets: how many           1
 *     octets
 *   issuers: how many            2
 *     each                    text
 */
#include <assert.h>

#include "cache/base/utf8.h"
#include "cache/watch/webhook.h"

#define VERSION 0x01

static uint8_t *put_text(uint8_t *p, const char *text)
{
	p = put_be(p, strlen(text), 2);
	while (*text != '\0')
		*p++ = (uint8_t)*text++;
	return p;
}

static uint8_t *put_pos(uint8_t *p, const struct change_pos *pos)
{
	p = put_be(p, pos->epoch, 4);
	p = put_be(p, pos->seq, 8);
	return put_be(p, pos->index, 4);
}

/* What is left to read; once something was missing or wrong nothing more is read. */
struct webhook_reading {
	struct bytes rest;
	bool bad;
};

static const uint8_t *take(struct webhook_reading *c, size_t n)
{
	const uint8_t *p = c->rest.p;

	if (c->bad || c->rest.n < n) {
		c->bad = true;
		return NULL;
	}
	c->rest = bytes_of(p + n, c->rest.n - n);
	return p;
}

static uint64_t take_be(struct webhook_reading *c, size_t n)
{
	const uint8_t *p = take(c, n);

	return p != NULL ? get_be(p, n) : 0;
}

static void take_text(struct webhook_reading *c, char *out, size_t room)
{
	size_t n = (size_t)take_be(c, 2);
	const uint8_t *p = take(c, n);

	out[0] = '\0';
	if (p == NULL)
		return;
	if (n >= room || memchr(p, '\0', n) != NULL) {
		c->bad = true;
		return;
	}
	memcpy(out, p, n);
	out[n] = '\0';
}

/* For people: what could not be shown must not cost a position. */
static void take_words(struct webhook_reading *c, char *out, size_t room)
{
	take_text(c, out, room);
	if (!utf8_is_valid(bytes_of(out, strlen(out))))
		out[0] = '\0';
}

static void take_pos(struct webhook_reading *c, struct change_pos *pos)
{
	pos->epoch = (uint32_t)take_be(c, 4);
	pos->seq = take_be(c, 8);
	pos->index = (uint32_t)take_be(c, 4);
	if (pos->seq >= UINT64_C(1) << 48 || pos->index > CHANGE_BATCH_MAX)
		c->bad = true; /* it has no text */
}

/* A webhook. */

static uint8_t *put_secrets(uint8_t *p, const struct webhook *w)
{
	*p++ = (uint8_t)w->secrets_n;
	for (size_t i = 0; i < w->secrets_n; i++) {
		const struct webhook_secret *s = &w->secret[i];

		*p++ = s->ed25519 ? 2 : 1;
		*p++ = s->n;
		memcpy(p, s->octets, s->n);
		p += s->n;
	}
	return p;
}

size_t webhook_encode(const struct webhook *w, uint8_t *out)
{
	uint8_t *p = out;

	assert(w->secrets_n >= 1 && w->issuers_n <= WEBHOOK_ISSUERS_MAX);
	*p++ = VERSION;
	p = put_be(p, (uint64_t)w->changed_at, 8);
	p = put_be(p, w->revision, 8);
	p = put_be(p, w->enabled, 8);
	p = put_be(p, w->start, 8);
	p = put_pos(p, &w->from);
	*p++ = w->disabled;
	*p++ = (uint8_t)w->types;
	*p++ = (uint8_t)w->format;
	p = put_text(p, w->url);
	p = put_text(p, w->issuer);
	p = put_text(p, w->watchlist);
	p = put_text(p, w->routing_key);
	p = put_secrets(p, w);
	p = put_be(p, w->issuers_n, 2);
	for (size_t i = 0; i < w->issuers_n; i++)
		p = put_text(p, w->issuers[i]);
	return (size_t)(p - out);
}

static void take_secret(struct webhook_reading *c, struct webhook_secret *s)
{
	unsigned kind = (unsigned)take_be(c, 1);
	const uint8_t *p;

	s->ed25519 = kind == 2;
	s->n = (uint8_t)take_be(c, 1);
	p = take(c, s->n);
	if (p == NULL || kind < 1 || kind > 2 || s->n > WEBHOOK_SECRET_MAX ||
	    s->n < WEBHOOK_SECRET_MIN || (s->ed25519 && s->n != WEBHOOK_SEED_N)) {
		c->bad = true;
		s->n = 0;
		return;
	}
	memcpy(s->octets, p, s->n);
}

static void take_fixed(struct webhook_reading *c, struct webhook *w)
{
	c->bad = take_be(c, 1) != VERSION || c->bad;
	w->changed_at = (int64_t)take_be(c, 8);
	w->revision = take_be(c, 8);
	w->enabled = take_be(c, 8);
	w->start = take_be(c, 8);
	take_pos(c, &w->from);
	w->disabled = take_be(c, 1) != 0;
	w->types = (unsigned)take_be(c, 1);
	w->format = (enum webhook_format)take_be(c, 1);
	if (w->types == 0 || w->types >= 1 << WEBHOOK_TYPES ||
	    w->format >= WEBHOOK_FORMATS)
		c->bad = true;
}

static void take_texts(struct webhook_reading *c, struct webhook *w)
{
	take_text(c, w->url, sizeof w->url);
	take_text(c, w->issuer, sizeof w->issuer);
	take_text(c, w->watchlist, sizeof w->watchlist);
	take_text(c, w->routing_key, sizeof w->routing_key);
	w->secrets_n = (size_t)take_be(c, 1);
	if (w->secrets_n < 1 || w->secrets_n > WEBHOOK_SECRETS) {
		c->bad = true;
		w->secrets_n = 1;
	}
	for (size_t i = 0; i < w->secrets_n; i++)
		take_secret(c, &w->secret[i]);
}

/* With its issuers: *w becomes a longer one. */
static enum err take_issuers(struct webhook_reading *c, struct webhook **w)
{
	size_t n = (size_t)take_be(c, 2);
	struct webhook *longer;

	if (c->bad || n > WEBHOOK_ISSUERS_MAX)
		return ERR_RECORD;
	longer = webhook_new(n);
	if (longer == NULL)
		return ERR_NOMEM;
	memcpy(longer, *w, sizeof *longer);
	longer->issuers_n = n;
	webhook_unref(*w);
	*w = longer;
	for (size_t i = 0; i < n; i++)
		take_text(c, longer->issuers[i], sizeof longer->issuers[i]);
	return c->bad || c->rest.n > 0 ? ERR_RECORD : ERR_OK;
}

enum err webhook_decode(struct webhook **out, const char *name, struct bytes in)
{
	struct webhook_reading c = {.rest = in};
	struct webhook *w = webhook_new(0);
	enum err e;

	*out = NULL;
	if (w == NULL)
		return ERR_NOMEM;
	assert(strlen(name) < sizeof w->name);
	strcpy(w->name, name);
	take_fixed(&c, w);
	take_texts(&c, w);
	e = take_issuers(&c, &w);
	if (e == ERR_OK)
		*out = w;
	else
		webhook_unref(w);
	return e;
}

/* A state. */

size_t webhook_state_encode(const struct webhook_state *s, uint8_t *out)
{
	uint8_t *p = out;

	*p++ = VERSION;
	p = put_be(p, s->start, 8);
	p = put_pos(p, &s->position);
	p = put_be(p, s->gone_enabled, 8);
	p = put_be(p, (uint64_t)s->gone_at, 8);
	p = put_be(p, (uint64_t)s->last_success, 8);
	p = put_be(p, (uint64_t)s->last_error_at, 8);
	p = put_be(p, (uint64_t)s->next_try, 8);
	p = put_be(p, (uint64_t)s->failing_since, 8);
	p = put_be(p, s->tries, 4);
	p = put_pos(p, &s->upto);
	p = put_be(p, s->many, 4);
	p = put_text(p, s->gone_why);
	p = put_text(p, s->last_error);
	return (size_t)(p - out);
}

enum err webhook_state_decode(struct webhook_state *s, struct bytes in)
{
	struct webhook_reading c = {.rest = in};

	memset(s, 0, sizeof *s);
	c.bad = take_be(&c, 1) != VERSION;
	s->start = take_be(&c, 8);
	take_pos(&c, &s->position);
	s->gone_enabled = take_be(&c, 8);
	s->gone_at = (int64_t)take_be(&c, 8);
	s->last_success = (int64_t)take_be(&c, 8);
	s->last_error_at = (int64_t)take_be(&c, 8);
	s->next_try = (int64_t)take_be(&c, 8);
	s->failing_since = (int64_t)take_be(&c, 8);
	s->tries = (uint32_t)take_be(&c, 4);
	take_pos(&c, &s->upto);
	s->many = (uint32_t)take_be(&c, 4);
	take_words(&c, s->gone_why, sizeof s->gone_why);
	take_words(&c, s->last_error, sizeof s->last_error);
	return c.bad || c.rest.n > 0 ? ERR_RECORD : ERR_OK;
}
