/* change.c - the layout of an encoded batch, all integers big endian, times as two's
 * complement.  Each record of the log, whatever it holds, begins with the same 16 octets:
 *
 *   offset  bytes
 *        0      1  version, 0x02
 *        1      1  kind: 1 changes, 2 watched and revoked already, 3 notices
 *                  (change_notices.c), 4 alarms (change_alarms.c)
 *        2      2  0
 *        4      4  n, the number of what it holds, 1..10,000: a place in the log counts
 *                  them
 *        8      8  when a node found it, milliseconds since 1970
 *
 * and goes on, where it is of kind 1 or 2:
 *
 *       16      1  evidence: 0 an OCSP answer, 1 a revocation list
 *       17      1  c, length of the issuer's name, 1..63
 *       18      1  m, length of the list's CRLNumber, 0..20; 0: it has none
 *       19      1  w, length of the watchlist's name, 0..63; 0: for everybody, as all of
 *                  kind 1 is
 *       20      8  thisUpdate of the list or the answer, seconds since 1970
 *       28      c  the issuer's name: a-z, 0-9, '.', '_', '-'
 *     28+c      m  the CRLNumber, unsigned, without leading zeros
 *   28+c+m      w  the watchlist's name, of the same characters
 * 28+c+m+w   32*n  the changes, 32 bytes each:
 *
 *        0     21  the serial number, right-aligned, zeros before it
 *       21      1  how many octets of them are the serial's, 1..21: the content of its
 *                  DER INTEGER, shortest two's complement
 *       22      5  revocationDate, seconds since 1970; of the revocation, also when it
 *                  ended
 *       27      1  CRLReason; 0xff for none
 *       28      2  0
 *       30      1  status now: 0 good, 1 revoked, 2 unknown, 3 removed; 1 in kind 2
 *       31      1  status before; 4, which is none, in kind 2 and only there
 *
 * Nothing follows.  So a batch has one encoding.  Writers sort the changes of a list as
 * crl_entry_cmp() does; readers do not rely on it, and decoding does not check it.
 *
 * Version 1, which is read and not written any more, had changes only, and before them:
 *
 *        0      1  version, 0x01
 *        1      3  evidence, c, m
 *        4      8  when a node found it
 *       12      8  thisUpdate
 *       20      4  n
 *       24         name, number and changes, as above
 */
#include "cache/change/change.h"

#include <assert.h>

#include "cache/change/change_kinds.h"

#define LIST_AT 19 /* length of the watchlist's name */

/* Where the head of a version has what; its three lengths and times. */
struct layout {
	uint8_t version;
	size_t evidence, name, number, seen, time, count, fixed;
};
static const struct layout layouts[] = {
    {0x01, 1, 2, 3, 4, 12, 20, 24},
    {CHANGE_VERSION, 16, 17, 18, 8, 20, 4, 28},
};
static const struct layout *const ours = &layouts[1];

_Static_assert(sizeof(struct change) == 32, "a change is 32 bytes (requirement)");
_Static_assert(offsetof(struct crl_entry, n) == 21 &&
		   offsetof(struct crl_entry, at) == 22 &&
		   offsetof(struct crl_entry, reason) == 27 &&
		   offsetof(struct crl_entry, shard) == 28 &&
		   offsetof(struct crl_entry, spare) == 30,
    "the layout above is that of the struct");

/* Octets of the number without leading zeros; one for zero itself. */
static size_t number_n(const struct change_batch *b)
{
	size_t n = CRL_NUMBER_MAX;

	if (!b->has_number)
		return 0;
	while (n > 1 && b->number[CRL_NUMBER_MAX - n] == 0)
		n--;
	return n;
}

static size_t changes_size(const struct change_batch *b)
{
	return ours->fixed + strlen(b->issuer) + number_n(b) + strlen(b->watchlist) +
	       b->n * sizeof b->change[0];
}

static void changes_encode(const struct change_batch *b, uint8_t *out)
{
	size_t name = strlen(b->issuer), number = number_n(b),
	       list = strlen(b->watchlist);
	uint8_t *p = out + ours->fixed;

	assert(name >= 1 && name <= CHANGE_NAME_MAX && b->n >= 1 &&
	       b->n <= CHANGE_BATCH_MAX);
	assert(list <= CHANGE_NAME_MAX && (list == 0 || b->kind == CHANGE_WATCHED));
	memset(out, 0, ours->fixed);
	change_head_put(b, out);
	out[LIST_AT] = (uint8_t)list;
	out[ours->evidence] = (uint8_t)b->evidence;
	out[ours->name] = (uint8_t)name;
	out[ours->number] = (uint8_t)number;
	put_be(out + ours->time, (uint64_t)b->published_at, 8);
	memcpy(p, b->issuer, name);
	memcpy(p + name, b->number + CRL_NUMBER_MAX - number, number);
	memcpy(p + name + number, b->watchlist, list);
	memcpy(p + name + number + list, b->change, b->n * sizeof b->change[0]);
}

static bool statuses_are_good(const struct change *c, enum change_kind kind)
{
	if (kind == CHANGE_WATCHED)
		return change_now(c) == CHANGE_REVOKED && change_before(c) == CHANGE_NONE;
	return change_now(c) <= CHANGE_REMOVED && change_before(c) <= CHANGE_REMOVED;
}

static bool change_is_good(const struct change *c, enum change_kind kind)
{
	const struct crl_entry *e = &c->entry;

	return change_serial_is_good(e) &&
	       (e->reason == CRL_NO_REASON || reason_name(e->reason) != NULL) &&
	       crl_entry_shard(e) == 0 && statuses_are_good(c, kind);
}

/* The layout of changes in this version, or NULL. */
static const struct layout *layout_of(struct bytes in)
{
	for (size_t i = 0; i < sizeof layouts / sizeof layouts[0]; i++)
		if (in.n >= layouts[i].fixed && in.p[0] == layouts[i].version)
			return &layouts[i];
	return NULL;
}

/* What only our version has before the changes. */
static enum change_kind kind_of(const uint8_t *p)
{
	return p[0] == CHANGE_VERSION ? (enum change_kind)p[CHANGE_KIND_AT]
				      : CHANGE_MOVES;
}

static size_t list_of(const uint8_t *p)
{
	return p[0] == CHANGE_VERSION ? p[LIST_AT] : 0;
}

static bool kind_is_good(const uint8_t *p)
{
	if (p[0] != CHANGE_VERSION)
		return true;
	return p[2] == 0 && p[3] == 0 &&
	       (p[CHANGE_KIND_AT] == CHANGE_WATCHED ||
		   (p[CHANGE_KIND_AT] == CHANGE_MOVES && p[LIST_AT] == 0));
}

/* Lengths and the fields before the changes; *n: how many these are. */
static bool head_is_good(struct bytes in, const struct layout *l, size_t *n)
{
	const uint8_t *p = in.p;
	size_t name = p[l->name], number = p[l->number], list = list_of(p);

	if (!kind_is_good(p) || p[l->evidence] > CHANGE_CRL)
		return false;
	if (name < 1 || name > CHANGE_NAME_MAX || number > CRL_NUMBER_MAX ||
	    list > CHANGE_NAME_MAX)
		return false;
	*n = get_be(p + l->count, 4);
	if (*n < 1 || *n > CHANGE_BATCH_MAX ||
	    in.n != l->fixed + name + number + list + *n * sizeof(struct change))
		return false;
	if (number > 1 && p[l->fixed + name] == 0)
		return false;
	return change_name_is_good(p + l->fixed, name) &&
	       (list == 0 || change_name_is_good(p + l->fixed + name + number, list));
}

static enum err changes_decode(struct change_batch **out, struct bytes in)
{
	const struct layout *l = layout_of(in);
	struct change_batch *b;
	const uint8_t *p = in.p;
	size_t n, name, number, list;

	if (l == NULL || !head_is_good(in, l, &n))
		return ERR_RECORD;
	b = change_batch_new(n);
	if (b == NULL)
		return ERR_NOMEM;
	name = p[l->name];
	number = p[l->number];
	list = list_of(p);
	b->n = (uint32_t)n;
	b->kind = kind_of(p);
	b->evidence = (enum change_evidence)p[l->evidence];
	b->has_number = number > 0;
	b->seen_at_ms = (int64_t)get_be(p + l->seen, 8);
	b->published_at = (int64_t)get_be(p + l->time, 8);
	memcpy(b->issuer, p + l->fixed, name);
	memcpy(b->number + CRL_NUMBER_MAX - number, p + l->fixed + name, number);
	memcpy(b->watchlist, p + l->fixed + name + number, list);
	memcpy(b->change, p + l->fixed + name + number + list, n * sizeof b->change[0]);
	for (size_t i = 0; i < n; i++) {
		if (!change_is_good(&b->change[i], b->kind)) {
			change_batch_unref(b);
			return ERR_RECORD;
		}
	}
	*out = b;
	return ERR_OK;
}

/* Each kind in the one function of each that knows it. */
size_t change_batch_size(const struct change_batch *b)
{
	if (b->kind == CHANGE_NOTICES)
		return change_notices_size(b);
	return b->kind == CHANGE_ALARMS ? change_alarms_size(b) : changes_size(b);
}

size_t change_batch_encode(const struct change_batch *b, uint8_t *out)
{
	if (b->kind == CHANGE_NOTICES)
		change_notices_encode(b, out);
	else if (b->kind == CHANGE_ALARMS)
		change_alarms_encode(b, out);
	else
		changes_encode(b, out);
	return change_batch_size(b);
}

enum err change_batch_decode(struct change_batch **out, struct bytes in)
{
	bool kinds = in.n >= CHANGE_HEAD_N && in.p[0] == CHANGE_VERSION;

	*out = NULL;
	if (kinds && in.p[CHANGE_KIND_AT] == CHANGE_NOTICES)
		return change_notices_decode(out, in);
	if (kinds && in.p[CHANGE_KIND_AT] == CHANGE_ALARMS)
		return change_alarms_decode(out, in);
	return changes_decode(out, in);
}

bool change_batch_is_newer(struct bytes in)
{
	const uint8_t *p = in.p;
	uint64_t n = in.n >= CHANGE_HEAD_N ? get_be(p + ours->count, 4) : 0;

	return n >= 1 && n <= CHANGE_BATCH_MAX && p[2] == 0 && p[3] == 0 &&
	       (p[0] > CHANGE_VERSION ||
		   (p[0] == CHANGE_VERSION && p[CHANGE_KIND_AT] > CHANGE_ALARMS));
}

/* Hexadecimal digits of a place: epoch, sequence number, index.  48 bits of batches last
 * for 8,900 years at a thousand a second. */
#define EPOCH_DIGITS 8
#define SEQ_DIGITS   12
#define INDEX_DIGITS 5
#define SEQ_AT       (EPOCH_DIGITS + 1)
#define INDEX_AT     (SEQ_AT + SEQ_DIGITS + 1)
#define POS_N        (INDEX_AT + INDEX_DIGITS)

_Static_assert(POS_N < CHANGE_POS_TEXT_MAX, "a place fits");
_Static_assert(CHANGE_BATCH_MAX < 1 << 4 * INDEX_DIGITS, "an index fits");

static void put_hex(char *p, int digits, uint64_t v)
{
	for (int i = digits - 1; i >= 0; i--, v >>= 4)
		p[i] = "0123456789abcdef"[v & 15];
}

void change_pos_text(const struct change_pos *p, char out[CHANGE_POS_TEXT_MAX])
{
	assert(p->seq >> 4 * SEQ_DIGITS == 0 && p->index <= CHANGE_BATCH_MAX);
	put_hex(out, EPOCH_DIGITS, p->epoch);
	out[SEQ_AT - 1] = '-';
	put_hex(out + SEQ_AT, SEQ_DIGITS, p->seq);
	out[INDEX_AT - 1] = '-';
	put_hex(out + INDEX_AT, INDEX_DIGITS, p->index);
	out[POS_N] = '\0';
}

static bool get_hex(const char *p, int digits, uint64_t *v)
{
	*v = 0;
	for (int i = 0; i < digits; i++) {
		if (hex_value((unsigned char)p[i]) < 0 || (p[i] >= 'A' && p[i] <= 'F'))
			return false;
		*v = *v << 4 | (uint64_t)hex_value((unsigned char)p[i]);
	}
	return true;
}

bool change_pos_parse(struct change_pos *p, const char *text, size_t n)
{
	uint64_t epoch, seq, index;

	if (n != POS_N || text[SEQ_AT - 1] != '-' || text[INDEX_AT - 1] != '-' ||
	    !get_hex(text, EPOCH_DIGITS, &epoch) ||
	    !get_hex(text + SEQ_AT, SEQ_DIGITS, &seq) ||
	    !get_hex(text + INDEX_AT, INDEX_DIGITS, &index) || index > CHANGE_BATCH_MAX)
		return false;
	*p = (struct change_pos){(uint32_t)epoch, seq, (uint32_t)index};
	return true;
}

int change_pos_cmp(const struct change_pos *a, const struct change_pos *b)
{
	if (a->epoch != b->epoch)
		return a->epoch < b->epoch ? -1 : 1;
	if (a->seq != b->seq)
		return a->seq < b->seq ? -1 : 1;
	if (a->index != b->index)
		return a->index < b->index ? -1 : 1;
	return 0;
}
