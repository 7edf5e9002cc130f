/* change.c - the layout of an encoded batch, all integers big endian, times as two's
 * complement:
 *
 *   offset  bytes
 *        0      1  version, 0x01
 *        1      1  evidence: 0 an OCSP answer, 1 a revocation list
 *        2      1  c, length of the issuer's name, 1..63
 *        3      1  m, length of the list's CRLNumber, 0..20; 0: it has none
 *        4      8  when a node found it, milliseconds since 1970
 *       12      8  thisUpdate of the list or the answer, seconds since 1970
 *       20      4  n, the number of changes, 1..10,000
 *       24      c  the issuer's name: a-z, 0-9, '.', '_', '-'
 *     24+c      m  the CRLNumber, unsigned, without leading zeros
 *   24+c+m   32*n  the changes, 32 bytes each:
 *
 *        0     21  the serial number, right-aligned, zeros before it
 *       21      1  how many octets of them are the serial's, 1..21: the content of its
 *                  DER INTEGER, shortest two's complement
 *       22      5  revocationDate, seconds since 1970; of the revocation, also when it
 *                  ended
 *       27      1  CRLReason; 0xff for none
 *       28      2  0
 *       30      1  status now: 0 good, 1 revoked, 2 unknown, 3 removed
 *       31      1  status before
 *
 * Nothing follows.  So a batch has one encoding.  Writers sort the changes of a list as
 * crl_entry_cmp() does; readers do not rely on it, and decoding does not check it.
 */
#include "cache/change/change.h"

#include <assert.h>
#include <stdatomic.h>
#include <stdlib.h>

#define VERSION      0x01
#define SEEN_OFFSET  4
#define TIME_OFFSET  12
#define COUNT_OFFSET 20
#define FIXED        24
#define ISSUER_MAX   63

_Static_assert(sizeof(struct change) == 32, "a change is 32 bytes (requirement)");
_Static_assert(offsetof(struct crl_entry, n) == 21 &&
		   offsetof(struct crl_entry, at) == 22 &&
		   offsetof(struct crl_entry, reason) == 27 &&
		   offsetof(struct crl_entry, shard) == 28 &&
		   offsetof(struct crl_entry, spare) == 30,
    "the layout above is that of the struct");

const char *change_status_name(enum change_status s)
{
	static const char *const name[] = {
	    [CHANGE_GOOD] = "good",
	    [CHANGE_REVOKED] = "revoked",
	    [CHANGE_UNKNOWN] = "unknown",
	    [CHANGE_REMOVED] = "removed",
	};

	assert(s <= CHANGE_REMOVED);
	return name[s];
}

struct change_batch *change_batch_new(size_t n)
{
	struct change_batch *b;

	assert(n <= CHANGE_BATCH_MAX);
	b = calloc(1, sizeof(*b) + n * sizeof(b->change[0]));
	if (b != NULL)
		atomic_init(&b->refs, 1);
	return b;
}

struct change_batch *change_batch_ref(const struct change_batch *b)
{
	struct change_batch *w = (struct change_batch *)(uintptr_t)b;
	unsigned had = atomic_fetch_add_explicit(&w->refs, 1, memory_order_relaxed);

	assert(had > 0);
	(void)had;
	return w;
}

void change_batch_unref(struct change_batch *b)
{
	if (b != NULL &&
	    atomic_fetch_sub_explicit(&b->refs, 1, memory_order_acq_rel) == 1)
		free(b);
}

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

size_t change_batch_size(const struct change_batch *b)
{
	return FIXED + strlen(b->issuer) + number_n(b) + b->n * sizeof(b->change[0]);
}

size_t change_batch_encode(const struct change_batch *b, uint8_t *out)
{
	size_t name = strlen(b->issuer), number = number_n(b);
	uint8_t *p = out + FIXED;

	assert(name >= 1 && name <= ISSUER_MAX && b->n >= 1 && b->n <= CHANGE_BATCH_MAX);
	out[0] = VERSION;
	out[1] = (uint8_t)b->evidence;
	out[2] = (uint8_t)name;
	out[3] = (uint8_t)number;
	put_be(out + SEEN_OFFSET, (uint64_t)b->seen_at_ms, 8);
	put_be(out + TIME_OFFSET, (uint64_t)b->published_at, 8);
	put_be(out + COUNT_OFFSET, b->n, 4);
	memcpy(p, b->issuer, name);
	memcpy(p + name, b->number + CRL_NUMBER_MAX - number, number);
	memcpy(p + name + number, b->change, b->n * sizeof(b->change[0]));
	return change_batch_size(b);
}

static bool name_is_good(const uint8_t *p, size_t n)
{
	for (size_t i = 0; i < n; i++)
		if (!((p[i] >= 'a' && p[i] <= 'z') || (p[i] >= '0' && p[i] <= '9') ||
			p[i] == '.' || p[i] == '_' || p[i] == '-'))
			return false;
	return n >= 1 && n <= ISSUER_MAX;
}

static bool serial_is_good(const struct crl_entry *e)
{
	const uint8_t *p;

	if (e->n < 1 || e->n > SERIAL_MAX)
		return false;
	for (int i = 0; i < SERIAL_MAX - e->n; i++)
		if (e->octets[i] != 0)
			return false;
	p = e->octets + SERIAL_MAX - e->n;
	/* X.690 section 8.3.2: the first nine bits are not all equal */
	return e->n == 1 ||
	       !((p[0] == 0x00 && p[1] < 0x80) || (p[0] == 0xff && p[1] >= 0x80));
}

static bool change_is_good(const struct change *c)
{
	const struct crl_entry *e = &c->entry;

	return serial_is_good(e) &&
	       (e->reason == CRL_NO_REASON || reason_name(e->reason) != NULL) &&
	       crl_entry_shard(e) == 0 && e->spare[0] <= CHANGE_REMOVED &&
	       e->spare[1] <= CHANGE_REMOVED;
}

/* Lengths and the fields before the changes; *n: how many these are. */
static bool head_is_good(struct bytes in, size_t *n)
{
	const uint8_t *p = in.p;

	if (in.n < FIXED || p[0] != VERSION || p[1] > CHANGE_CRL)
		return false;
	if (p[2] < 1 || p[2] > ISSUER_MAX || p[3] > CRL_NUMBER_MAX)
		return false;
	*n = get_be(p + COUNT_OFFSET, 4);
	if (*n < 1 || *n > CHANGE_BATCH_MAX ||
	    in.n != FIXED + (size_t)p[2] + p[3] + *n * sizeof(struct change))
		return false;
	if (p[3] > 1 && p[FIXED + p[2]] == 0)
		return false;
	return name_is_good(p + FIXED, p[2]);
}

enum err change_batch_decode(struct change_batch **out, struct bytes in)
{
	struct change_batch *b;
	const uint8_t *p = in.p;
	size_t n;

	*out = NULL;
	if (!head_is_good(in, &n))
		return ERR_RECORD;
	b = change_batch_new(n);
	if (b == NULL)
		return ERR_NOMEM;
	b->n = (uint32_t)n;
	b->evidence = (enum change_evidence)p[1];
	b->has_number = p[3] > 0;
	b->seen_at_ms = (int64_t)get_be(p + SEEN_OFFSET, 8);
	b->published_at = (int64_t)get_be(p + TIME_OFFSET, 8);
	memcpy(b->issuer, p + FIXED, p[2]);
	memcpy(b->number + CRL_NUMBER_MAX - p[3], p + FIXED + p[2], p[3]);
	memcpy(b->change, p + FIXED + p[2] + p[3], n * sizeof(b->change[0]));
	for (size_t i = 0; i < n; i++) {
		if (!change_is_good(&b->change[i])) {
			change_batch_unref(b);
			return ERR_RECORD;
		}
	}
	*out = b;
	return ERR_OK;
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
