/* watch_chunk.c - the layout, all integers big endian:
 *
 *   version           u8, 0x01
 *   of each CA:       length of the AKI u8, AKI; issuer's name and DN as texts of a row
 *                     (be16 and octets); certificates be32; and of each of these
 *       serial        length u8, octets as in DER
 *       row           length be32, octets (watch_record.c)
 *   MAC               32: of the name "chunk:FIELD:REVISION:NUMBER", the revision in
 *                     hexadecimal and the number in decimal digits, and all before it
 */
#include "cache/watch/watch_chunk.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>

#include "cache/base/name.h"
#include "cache/watch/watch_record.h"

#define VERSION    0x01
#define NAME_ROOM  (WATCH_FIELD_MAX + 2 * WATCH_REVISION_N + 24)
#define ISSUER_MAX NAME_MAX_OCTETS
/* The longest CA and the longest certificate. */
#define CA_ROOM  (1 + WATCH_AKI_MAX + 2 + ISSUER_MAX + 2 + WATCH_DN_MAX + 4)
#define ROW_ROOM (1 + SERIAL_MAX + 4 + 64 + 3 * WATCH_RUN_MAX)
_Static_assert(WATCH_CHUNK_FULL + CA_ROOM + ROW_ROOM + MAC_SIZE <= WATCH_CHUNK_MAX,
    "what follows the certificate that fills a chunk has room");

static struct bytes mac_name(const struct watch_chunk_place *p, char name[NAME_ROOM])
{
	char revision[2 * WATCH_REVISION_N + 1];
	int n;

	hex_encode(p->revision, WATCH_REVISION_N, revision);
	n = snprintf(
	    name, NAME_ROOM, "chunk:%s:%s:%u", p->field, revision, (unsigned)p->number);
	return bytes_of(name, (size_t)n);
}

/* Writing. */

static const struct watch_draft_ca *ca_at(const struct watch_draft *d, size_t i)
{
	return watch_draft_ca(d, watch_draft_id(d, i));
}

static size_t put_ca(uint8_t *out, const struct watch_draft_ca *ca)
{
	size_t n = 1u + ca->aki_n;

	out[0] = ca->aki_n;
	memcpy(out + 1, ca->aki, ca->aki_n);
	watch_run_add(out, &n, ca->issuer, strnlen(ca->issuer, ISSUER_MAX));
	watch_run_add(out, &n, ca->dn, strnlen(ca->dn, WATCH_DN_MAX));
	return n;
}

static size_t put_entry(uint8_t *out, const struct watch_draft *d, size_t i)
{
	struct bytes row = watch_draft_row(d, i);
	struct serial s;
	uint8_t *p = out;

	crl_entry_serial(watch_draft_entry(d, i), &s);
	*p++ = s.n;
	memcpy(p, s.octets, s.n);
	p = put_be(p + s.n, row.n, 4);
	memcpy(p, row.p, row.n);
	return (size_t)(p - out) + row.n;
}

size_t watch_chunk_encode(const struct watch_draft *d, size_t *at,
    const struct watch_chunk_place *place, const struct mac_keys *keys, uint8_t *out)
{
	size_t n = 1, end = watch_draft_count(d);
	char name[NAME_ROOM];

	assert(*at < end);
	out[0] = VERSION;
	while (*at < end && n < WATCH_CHUNK_FULL) {
		uint32_t id = watch_draft_id(d, *at), count = 0;
		uint8_t *counted;

		n += put_ca(out + n, ca_at(d, *at));
		counted = out + n;
		n += 4;
		for (; *at < end && n < WATCH_CHUNK_FULL && watch_draft_id(d, *at) == id;
		     ++*at, count++)
			n += put_entry(out + n, d, *at);
		put_be(counted, count, 4);
	}
	return mac_make(keys, mac_name(place, name), bytes_of(out, n), out + n)
		   ? n + MAC_SIZE
		   : 0;
}

/* Reading. */

static bool take(struct bytes *rest, size_t n, struct bytes *out)
{
	if (n > rest->n)
		return false;
	*out = bytes_of(rest->p, n);
	*rest = bytes_of(rest->p + n, rest->n - n);
	return true;
}

struct chunk_ca {
	struct watch_draft_ca ca;
	char issuer[ISSUER_MAX + 1], dn[WATCH_DN_MAX + 1];
};

static bool take_text(struct bytes *rest, char *out, size_t max)
{
	struct bytes text;

	if (!watch_run_next(rest, &text) || text.n > max ||
	    (text.n > 0 && memchr(text.p, 0, text.n) != NULL))
		return false;
	memcpy(out, text.p, text.n);
	out[text.n] = '\0';
	return true;
}

/* Somebody who can be known again. */
static bool take_ca(struct bytes *rest, struct chunk_ca *c, uint32_t *count)
{
	struct bytes aki, n;

	if (!take(rest, 1, &n) || n.p[0] > WATCH_AKI_MAX || !take(rest, n.p[0], &aki) ||
	    !take_text(rest, c->issuer, ISSUER_MAX) ||
	    !take_text(rest, c->dn, WATCH_DN_MAX) || !take(rest, 4, &n))
		return false;
	*count = (uint32_t)get_be(n.p, 4);
	c->ca = (struct watch_draft_ca){c->issuer, c->dn, (uint8_t)aki.n, {0}};
	memcpy(c->ca.aki, aki.p, aki.n);
	return *count > 0 && (aki.n > 0 || c->issuer[0] != '\0' || c->dn[0] != '\0');
}

/* The shortest form of a number (X.690 section 8.3.2). */
static bool is_serial(struct bytes o)
{
	return o.n == 1 || (o.p[0] != 0 && o.p[0] != 0xff) ||
	       (o.p[0] == 0) == (o.p[1] >= 0x80);
}

static bool take_entry(struct bytes *rest, struct serial *s, struct bytes *row)
{
	struct watch_record r;
	struct bytes n, octets;

	if (!take(rest, 1, &n) || n.p[0] == 0 || n.p[0] > SERIAL_MAX ||
	    !take(rest, n.p[0], &octets) || !is_serial(octets) || !take(rest, 4, &n) ||
	    !take(rest, (size_t)get_be(n.p, 4), row))
		return false;
	s->n = (uint8_t)octets.n;
	memcpy(s->octets, octets.p, octets.n);
	return watch_record_decode(&r, *row) == ERR_OK;
}

static enum err read_ca(struct bytes *rest, watch_chunk_fn *each, void *arg)
{
	struct chunk_ca c;
	struct serial s;
	struct bytes row;
	uint32_t count;
	enum err e = ERR_OK;

	if (!take_ca(rest, &c, &count))
		return ERR_RECORD;
	for (uint32_t i = 0; i < count; i++) {
		if (!take_entry(rest, &s, &row))
			return ERR_RECORD;
		if (!each(arg, &c.ca, &s, row, &e))
			return e;
	}
	return ERR_OK;
}

enum err watch_chunk_decode(struct bytes value, const struct watch_chunk_place *place,
    const struct mac_keys *keys, watch_chunk_fn *each, void *arg)
{
	char name[NAME_ROOM];
	struct bytes rest;
	enum err e = ERR_OK;

	if (value.n < 1 + MAC_SIZE || value.n > WATCH_CHUNK_MAX)
		return ERR_RECORD;
	rest = bytes_of(value.p, value.n - MAC_SIZE);
	if (!mac_is_good(keys, mac_name(place, name), rest, rest.p + rest.n))
		return ERR_RECORD_KEY;
	if (rest.p[0] != VERSION)
		return ERR_RECORD;
	rest = bytes_of(rest.p + 1, rest.n - 1);
	while (e == ERR_OK && rest.n > 0)
		e = read_ca(&rest, each, arg);
	return e;
}
