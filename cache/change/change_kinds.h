/* change_kinds.h - what the encodings of the kinds of batches share.
 *
 * A kind's file makes room for its batches, and writes and checks what stands behind the
 * head that all have; change.c knows which of them a record is for.
 *
 * Pure functions, any thread.  Inside cache/change only.
 */
#ifndef CACHE_CHANGE_CHANGE_KINDS_H
#define CACHE_CHANGE_CHANGE_KINDS_H

#include "cache/change/change.h"

/* The head: version, kind, two zeros, count, time. */
#define CHANGE_VERSION  0x02
#define CHANGE_KIND_AT  1
#define CHANGE_COUNT_AT 4
#define CHANGE_SEEN_AT  8
#define CHANGE_HEAD_N   16
#define CHANGE_NAME_MAX 63 /* of an issuer, a watchlist, an incident, an alarm */

/* change_batch.c.  Room for n changes, and for `behind` bytes behind them, all zero. */
struct change_batch *change_batch_room(enum change_kind kind, size_t n, size_t behind);
/* Where these begin, aligned for anything. */
void *change_batch_behind(struct change_batch *b, size_t n);
void change_head_put(const struct change_batch *b, uint8_t *out);
/* Count and time; returns the count. */
size_t change_head_get(struct change_batch *b, struct bytes in);
/* Of the characters of our names, 1..CHANGE_NAME_MAX of them? */
bool change_name_is_good(const uint8_t *p, size_t n);
/* Right-aligned behind zeros, and the content of a DER INTEGER? */
bool change_serial_is_good(const struct crl_entry *e);

/* As change_batch_size() and its two; in has CHANGE_HEAD_N bytes, and this kind. */
size_t change_notices_size(const struct change_batch *b);
void change_notices_encode(const struct change_batch *b, uint8_t *out);
enum err change_notices_decode(struct change_batch **out, struct bytes in);
size_t change_alarms_size(const struct change_batch *b);
void change_alarms_encode(const struct change_batch *b, uint8_t *out);
enum err change_alarms_decode(struct change_batch **out, struct bytes in);

#endif
