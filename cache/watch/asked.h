/* asked.h - when an OCSP client last asked for what is watched: one time a certificate.
 *
 * Whoever notes (proxy/watch/usage.h) notes watched certificates alone, so that the table
 * is as large as what is watched and used: 32 bytes a certificate, of three quarters
 * taken.  Beyond ASKED_MAX (each of 15 million watched certificates is used) nothing new
 * is noted.
 *
 * A time is a minute, and never goes back: what several nodes noted of a certificate is
 * joined in any order, and as often as one likes.
 *
 * What is to be kept elsewhere (a file, other nodes) is *due*: a certificate that was
 * never written, or was last written ASKED_EACH minutes before the time that it has now.
 * So each is written once an hour at most, however often it is asked for, and what a
 * reader has is an hour old at most.
 *
 * Issuers go by the names of the configuration, numbered here from 1: who renames one
 * starts anew with it.
 *
 * Plain state of one owner, one thread.
 */
#ifndef CACHE_WATCH_ASKED_H
#define CACHE_WATCH_ASKED_H

#include "cache/base/key.h"
#include "cache/base/name.h"

#define ASKED_MAX  ((size_t)1 << 24)
#define ASKED_EACH 60 /* minutes */

struct asked_table;

/* seed: random, since serials are anybody's (T14).  NULL: out of memory. */
struct asked_table *asked_new(uint64_t seed);
void asked_free(struct asked_table *t); /* NULL is allowed */

struct asked_row {
	uint16_t issuer;
	bool own;        /* a client of this node asked last */
	uint32_t minute; /* since 1970; never 0 */
	struct serial serial;
};

/* The number of an issuer.  0: it has none (asked_issuer_find()), or there is no memory
 * for one, or none left. */
uint16_t asked_issuer(struct asked_table *t, const char *name);
uint16_t asked_issuer_find(const struct asked_table *t, const char *name);
const char *asked_issuer_name(const struct asked_table *t, uint16_t issuer);

/* It was asked for at this minute; an earlier one changes nothing.  False: no memory, or
 * no room. */
bool asked_note(struct asked_table *t, const struct asked_row *row);
/* The same, as what was written says. */
bool asked_load(struct asked_table *t, const struct asked_row *row);
/* 0: never. */
uint32_t asked_find(const struct asked_table *t, uint16_t issuer, const struct serial *s);
/* It is not watched any more. */
void asked_drop(struct asked_table *t, uint16_t issuer, const struct serial *s);
size_t asked_count(const struct asked_table *t);

/* Take the next ones that are due, with the times that they have now: they count as
 * written. */
size_t asked_due(struct asked_table *t, struct asked_row *out, size_t max);
bool asked_is_due(const struct asked_table *t);
/* A walk, from *place 0 on: the next ones; 0: that was all.  What is noted meanwhile may
 * be met, or not. */
size_t asked_walk(
    const struct asked_table *t, size_t *place, struct asked_row *out, size_t max);

#endif
