/* Entries: values, search, order.
 *
 * The sort is a radix sort from the most significant bits (crl_entry_cmp's), in place, so
 * that a list needs no memory but its entries; linear whatever the serials are: those
 * that share their last octets are told apart by the next ones, at most 192 bits deep.
 * What fits the second cache is then sorted by 32-bit keys, and each entry moved once.
 * Entries that were dealt into 256 heaps as they were read were no faster: each of their
 * pages had to be zeroed twice. */
#include "cache/crl/crl_entry.h"

#include <assert.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#include "cache/base/facts.h"

#define HUGE_PAGE (2 * 1024 * 1024)

void crl_entry_set_serial(struct crl_entry *e, const struct serial *s)
{
	assert(s->n >= 1 && s->n <= SERIAL_MAX);
	memset(e->octets, 0, SERIAL_MAX - s->n);
	memcpy(e->octets + SERIAL_MAX - s->n, s->octets, s->n);
	e->n = s->n;
}

void crl_entry_serial(const struct crl_entry *e, struct serial *s)
{
	s->n = e->n;
	memcpy(s->octets, e->octets + SERIAL_MAX - e->n, e->n);
}

int64_t crl_entry_at(const struct crl_entry *e)
{
	int64_t at = (e->at[0] & 0x80) != 0 ? -1 : 0;

	for (size_t i = 0; i < sizeof e->at; i++)
		at = (int64_t)((uint64_t)at << 8 | e->at[i]);
	return at;
}

void crl_entry_set_at(struct crl_entry *e, int64_t at)
{
	uint64_t wire = (uint64_t)at << 24;

#if __BYTE_ORDER__ != __ORDER_BIG_ENDIAN__
	wire = __builtin_bswap64(wire);
#endif
	memcpy(e->at, &wire, sizeof e->at);
}

int crl_entry_reason(const struct crl_entry *e)
{
	return e->reason == CRL_NO_REASON ? REASON_NONE : e->reason;
}

bool crl_entry_is_hold(const struct crl_entry *e)
{
	return e->reason == REASON_CERTIFICATE_HOLD;
}

int crl_entry_weigh(const struct crl_entry *a, const struct crl_entry *b)
{
	bool hold = crl_entry_is_hold(a);
	int64_t at_a = crl_entry_at(a), at_b = crl_entry_at(b);

	if (hold != crl_entry_is_hold(b))
		return hold ? 1 : -1;
	return (at_a > at_b) - (at_a < at_b);
}

const struct crl_entry *crl_entries_find(
    const struct crl_entry *entries, size_t n, const struct crl_entry *key)
{
	const struct crl_entry *at = entries;

	if (n == 0)
		return NULL;
	while (n > 1) {
		size_t half = n / 2;

		at += crl_entry_cmp(&at[half - 1], key) < 0 ? half : 0;
		n -= half;
	}
	return crl_entry_cmp(at, key) == 0 ? at : NULL;
}

const struct crl_entry *crl_entries_gallop(
    const struct crl_entry *e, const struct crl_entry *end, const void *key)
{
	size_t n = (size_t)(end - e), low = 0, high = 1;

	if (n == 0 || crl_order(e, key) >= 0)
		return e;
	while (high < n && crl_order(e + high, key) < 0)
		low = high, high *= 2;
	if (high > n)
		high = n;
	/* low is before key, high is not (or is the end) */
	while (high - low > 1) {
		size_t middle = low + (high - low) / 2;

		if (crl_order(e + middle, key) < 0)
			low = middle;
		else
			high = middle;
	}
	return e + high;
}

static size_t mapping_of(size_t n)
{
	size_t page = (size_t)sysconf(_SC_PAGESIZE);
	size_t bytes = (n > 0 ? n : 1) * sizeof(struct crl_entry);

	return (bytes + page - 1) / page * page;
}

/* Huge pages where the system has them for the asking: a look-up touches 22 places of a
 * long list, and an index is filled in half the time. */
static void want_huge_pages(struct crl_entry *entries, size_t mapped)
{
	if (mapped >= HUGE_PAGE)
		(void)madvise(entries, mapped, MADV_HUGEPAGE);
}

struct crl_entry *crl_entries_new(size_t n, size_t *mapped)
{
	void *p;

	if (n > SIZE_MAX / 2 / sizeof(struct crl_entry))
		return NULL;
	*mapped = mapping_of(n);
	p = mmap(NULL, *mapped, PROT_READ | PROT_WRITE,
	    MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	if (p == MAP_FAILED)
		return NULL;
	want_huge_pages(p, *mapped);
	return p;
}

bool crl_entries_resize(struct crl_entry **entries, size_t n, size_t *mapped)
{
	size_t want;
	void *p;

	if (n > SIZE_MAX / 2 / sizeof(struct crl_entry))
		return false;
	want = mapping_of(n);
	if (want == *mapped)
		return true;
	p = mremap(*entries, *mapped, want, MREMAP_MAYMOVE);
	if (p == MAP_FAILED)
		return false;
	if (want > *mapped)
		want_huge_pages(p, want);
	*entries = p;
	*mapped = want;
	return true;
}

void crl_entries_free(struct crl_entry *entries, size_t mapped)
{
	if (entries != NULL)
		munmap(entries, mapped);
}

/* The order of crl_entry_cmp() as three words, the most significant one first. */
#define WORDS 3

static inline uint64_t word_of(const struct crl_entry *e, int word)
{
	uint64_t w;

	memcpy(&w, word == 0 ? e->octets + 13 : word == 1 ? e->octets + 5 : e->octets, 8);
#if __BYTE_ORDER__ == __ORDER_BIG_ENDIAN__
	w = __builtin_bswap64(w);
#endif
	return word < 2 ? w : w << 24 | e->n;
}

#define INSERTION_MAX 24 /* entries; fewer are shifted faster than counted */
#define DIGIT_BITS    8  /* 256 runs are as many as the caches follow at once */
#define DIGIT_VALUES  (1u << DIGIT_BITS)

/* Keys: the next two digits of an entry, and its place among at most 2^14. */
#define KEYED_BITS 14
#define KEYED_MAX  (1u << KEYED_BITS)

struct scratch {
	uint32_t key[KEYED_MAX], other[KEYED_MAX];
	struct crl_entry sorted[KEYED_MAX];
};

/* How many bits are known to be equal: always whole digits. */
struct depth {
	int word, left; /* bits of the word that are not looked at yet */
};

static struct depth deeper(struct depth d, int digits)
{
	d.left -= digits * DIGIT_BITS;
	return d.left > 0 ? d : (struct depth){d.word + 1, 64};
}

static inline uint32_t bits_of(const struct crl_entry *e, struct depth d, unsigned bits)
{
	return (uint32_t)(word_of(e, d.word) >> (d.left - (int)bits)) &
	       ((1u << bits) - 1);
}

static void sort_insertion(struct crl_entry *e, size_t n)
{
	for (size_t i = 1; i < n; i++) {
		struct crl_entry x;
		size_t k = i;

		if (crl_entry_cmp(&e[i - 1], &e[i]) <= 0)
			continue;
		x = e[i];
		do {
			e[k] = e[k - 1];
			k--;
		} while (k > 0 && crl_entry_cmp(&e[k - 1], &x) > 0);
		e[k] = x;
	}
}

/* Puts each entry into the run of its next digit; end[v]: where the run of v ends. */
static void partition(
    struct crl_entry *e, size_t n, struct depth d, uint32_t end[DIGIT_VALUES])
{
	uint32_t head[DIGIT_VALUES], sum = 0;

	memset(end, 0, DIGIT_VALUES * sizeof *end);
	for (size_t i = 0; i < n; i++)
		end[bits_of(&e[i], d, DIGIT_BITS)]++;
	for (unsigned v = 0; v < DIGIT_VALUES; v++) {
		head[v] = sum;
		sum += end[v];
		end[v] = sum;
	}
	for (unsigned v = 0; v < DIGIT_VALUES; v++)
		while (head[v] < end[v]) {
			struct crl_entry x = e[head[v]];
			unsigned to = bits_of(&e[head[v]], d, DIGIT_BITS);

			/* Follow the displaced entries until one belongs here.  Digits
			 * are read where the entry lies: of a copy just written they
			 * would have to wait. */
			while (to != v) {
				struct crl_entry *there = &e[head[to]++], y = *there;
				unsigned next = bits_of(there, d, DIGIT_BITS);

				*there = x;
				/* for the next one of this run: the processor follows
				 * fewer streams than there are runs */
				__builtin_prefetch(
				    (const void *)((uintptr_t)there + 2 * sizeof x), 1);
				x = y;
				to = next;
			}
			e[head[v]++] = x;
		}
}

/* One pass over the keys by the digit at shift. */
static void sort_keys(uint32_t *to, const uint32_t *from, size_t n, unsigned shift)
{
	uint32_t at[DIGIT_VALUES] = {0}, sum = 0;

	for (size_t i = 0; i < n; i++)
		at[from[i] >> shift & (DIGIT_VALUES - 1)]++;
	for (unsigned v = 0; v < DIGIT_VALUES; v++) {
		uint32_t count = at[v];

		at[v] = sum;
		sum += count;
	}
	for (size_t i = 0; i < n; i++)
		to[at[from[i] >> shift & (DIGIT_VALUES - 1)]++] = from[i];
}

static void sort_from(
    struct crl_entry *e, size_t n, struct depth d, struct scratch *scratch);

/* By the next two digits; those that share them go on. */
static void sort_keyed(struct crl_entry *e, size_t n, struct depth d, struct scratch *s)
{
	uint32_t *key = s->key;

	assert(n <= KEYED_MAX && d.left >= 2 * DIGIT_BITS);
	for (size_t i = 0; i < n; i++)
		key[i] = bits_of(&e[i], d, 2 * DIGIT_BITS) << KEYED_BITS | (uint32_t)i;
	sort_keys(s->other, key, n, KEYED_BITS);
	sort_keys(key, s->other, n, KEYED_BITS + DIGIT_BITS);
	for (size_t i = 0; i < n; i++)
		s->sorted[i] = e[key[i] & (KEYED_MAX - 1)];
	memcpy(e, s->sorted, n * sizeof *e);
	for (size_t from = 0, i = 1; i <= n; i++)
		if (i == n || bits_of(&e[i], d, 2 * DIGIT_BITS) !=
				  bits_of(&e[from], d, 2 * DIGIT_BITS)) {
			sort_from(e + from, i - from, deeper(d, 2), s);
			from = i;
		}
}

static void sort_partitioned(
    struct crl_entry *e, size_t n, struct depth d, struct scratch *scratch)
{
	uint32_t end[DIGIT_VALUES], from = 0;

	partition(e, n, d, end);
	for (unsigned v = 0; v < DIGIT_VALUES; v++) {
		sort_from(e + from, end[v] - from, deeper(d, 1), scratch);
		from = end[v];
	}
}

/* Depth: at most one level for each 8 bits, 24 of 1 KiB. */
static void sort_from(
    struct crl_entry *e, size_t n, struct depth d, struct scratch *scratch)
{
	if (n <= INSERTION_MAX) {
		sort_insertion(e, n);
		return;
	}
	if (d.word == WORDS)
		return; /* equal in everything */
	if (n <= KEYED_MAX && d.left >= 2 * DIGIT_BITS && scratch != NULL)
		sort_keyed(e, n, d, scratch);
	else
		sort_partitioned(e, n, d, scratch);
}

/* Of two entries for one serial. */
static bool stays(const struct crl_entry *a, const struct crl_entry *b)
{
	int order = crl_entry_weigh(a, b);

	if (order == 0)
		order = memcmp(a, b, sizeof *a); /* whichever, but always the same */
	return order < 0;
}

static size_t join_duplicates(struct crl_entry *e, size_t n)
{
	size_t kept = 0;

	for (size_t i = 1; i < n; i++)
		if (crl_entry_cmp(&e[kept], &e[i]) != 0) {
			if (++kept != i)
				e[kept] = e[i];
		} else if (stays(&e[i], &e[kept])) {
			e[kept] = e[i];
		}
	return n > 0 ? kept + 1 : 0;
}

size_t crl_entries_sort(struct crl_entry *entries, size_t n)
{
	/* Without it the sort is only slower. */
	struct scratch *scratch = n > INSERTION_MAX ? malloc(sizeof *scratch) : NULL;

	assert(n <= UINT32_MAX);
	sort_from(entries, n, (struct depth){0, 64}, scratch);
	free(scratch);
	return join_duplicates(entries, n);
}
