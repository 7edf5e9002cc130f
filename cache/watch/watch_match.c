/* watch_match.c - from a change to the entry that is not before it, and back.
 *
 * Serials are spread evenly by the first word of the order (crl_entry.h), so that the
 * first bits of its way from the first change to the last tell where a serial is, but for
 * one or two steps.  Where they are not spread the index tells little, and halves tell
 * the rest. */
#include "cache/watch/watch_match.h"

#include <assert.h>

#define STEPS 8  /* one after the other, before halving */
#define PASS  16 /* entries, one after the other, before a leap */
#define FINE  (WATCH_FINE_BITS - WATCH_INDEX_BITS)

void watch_index_make(struct watch_index *x, const struct change *changes, size_t n)
{
	size_t bucket = 0;

	assert(n <= CHANGE_BATCH_MAX);
	*x = (struct watch_index){.change = changes, .n = n, .sorted = true};
	for (size_t i = 1; i < n && x->sorted; i++)
		x->sorted = crl_order(&changes[i - 1], &changes[i]) <= 0;
	if (n == 0 || !x->sorted)
		return;
	x->first = crl_order_word(&changes[0]);
	x->span = crl_order_word(&changes[n - 1]) - x->first;
	while (x->span >> x->shift >> WATCH_INDEX_BITS != 0)
		x->shift++;
	x->fine = x->shift > FINE ? x->shift - FINE : 0;
	for (size_t i = 0; i < n; i++) {
		uint64_t way = crl_order_word(&changes[i]) - x->first;

		x->any[way >> x->fine >> 6] |= UINT64_C(1) << (way >> x->fine & 63);
		while (bucket <= way >> x->shift)
			x->before[bucket++] = (uint16_t)i;
	}
	while (bucket <= 1u << WATCH_INDEX_BITS)
		x->before[bucket++] = (uint16_t)n;
}

/* How many of n values of `size` bytes are before key. */
static size_t halve(const char *p, size_t n, size_t size, const void *key)
{
	size_t low = 0;

	while (n > 0) {
		bool is = crl_order(p + (low + n / 2) * size, key) < 0;

		low += is ? n / 2 + 1 : 0;
		n = is ? n - n / 2 - 1 : n / 2;
	}
	return low;
}

/* The first change from number `from` on that is not before the entry. */
static inline size_t change_from(
    const struct watch_index *x, size_t from, const struct watched *e)
{
	uint64_t w = crl_order_word(e);
	uint64_t bucket = w > x->first ? (w - x->first) >> x->shift : 0;
	size_t at;

	if (bucket >= 1u << WATCH_INDEX_BITS)
		bucket = 1u << WATCH_INDEX_BITS;
	at = x->before[bucket] > from ? x->before[bucket] : from;
	for (int i = 0; i < STEPS; i++, at++)
		if (at >= x->n || crl_order(&x->change[at], e) >= 0)
			return at;
	return at +
	       halve((const char *)&x->change[at], x->n - at, sizeof x->change[0], e);
}

/* The next entry that may be a change's; only so many are passed that there is not one.
 */
static inline const struct watched *entry_pass(
    const struct watch_index *x, const struct watched *e, const struct watched *end)
{
	for (int i = 0; i < PASS && e < end; i++, e++) {
		uint64_t way = crl_order_word(e) - x->first;

		if (way > x->span ||
		    (x->any[way >> x->fine >> 6] >> (way >> x->fine & 63) & 1) != 0)
			break;
	}
	return e;
}

/* The first entry that is not before the change. */
static inline const struct watched *entry_from(
    struct watch_match *m, const struct change *c)
{
	const struct watched *e = m->entry;
	size_t n = (size_t)(m->end - e), low = 0, high = m->step;

	if (n == 0 || crl_order(e, c) >= 0)
		return e;
	while (high < n && crl_order(e + high, c) < 0) {
		low = high;
		high *= 2;
	}
	if (high > n)
		high = n;
	low += 1 + halve((const char *)(e + low + 1), high - low - 1, sizeof *e, c);
	m->step = (m->step + low + 1) / 2;
	return e + low;
}

void watch_match_start(struct watch_match *m, const struct watch_index *x, size_t from,
    const struct watched *entries, const struct watched *end)
{
	assert(from <= x->n);
	*m = (struct watch_match){
	    .index = x, .change = from, .entry = entries, .end = end, .step = 1};
	if (x->sorted && from < x->n)
		m->entry = entry_from(m, &x->change[from]);
}

/* Nothing is known of their order: each is looked for. */
static size_t next_unsorted(struct watch_match *m, const struct watched **entry)
{
	const struct watch_index *x = m->index;
	size_t n = (size_t)(m->end - m->entry);

	while (m->change < x->n) {
		size_t i = m->change++;
		size_t at = watched_from(m->entry, n, &x->change[i]);

		if (at < n && crl_order(&m->entry[at], &x->change[i]) == 0) {
			*entry = &m->entry[at];
			return i;
		}
	}
	return x->n;
}

/* The entry stays where the certificate has moved twice, or may have: in what follows. */
static inline size_t match(struct watch_match *m, const struct watched **entry)
{
	const struct watch_index *x = m->index;
	size_t i = m->change++;

	*entry = m->entry;
	if (m->change < x->n && crl_order(&x->change[m->change], m->entry) != 0)
		m->entry++;
	return i;
}

size_t watch_match_next(struct watch_match *m, const struct watched **entry)
{
	const struct watch_index *x = m->index;
	const struct watched *here;

	if (entry == NULL)
		entry = &here;
	if (!x->sorted)
		return next_unsorted(m, entry);
	while (
	    m->change < x->n && (m->entry = entry_pass(x, m->entry, m->end)) < m->end) {
		m->change = change_from(x, m->change, m->entry);
		if (m->change == x->n)
			break;
		if (crl_order(&x->change[m->change], m->entry) == 0)
			return match(m, entry);
		m->entry = entry_from(m, &x->change[m->change]);
	}
	m->change = x->n;
	return x->n;
}
