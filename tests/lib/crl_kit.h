/* crl_kit.h - what the tests of lists in force share: serials that are easy to confuse,
 * lists made of marks, random numbers that are the same in each run, and a count of the
 * memory that is mapped.
 *
 * A header with definitions, for one file of one program: it defines mmap, mremap and
 * munmap, so that a mapping that is forgotten shows (LeakSanitizer does not see those)
 * and that one can be refused.
 */
#ifndef TESTS_LIB_CRL_KIT_H
#define TESTS_LIB_CRL_KIT_H

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "cache/crl/crl_set.h"
#include "tests/lib/unhex.h"

/* Called before the sanitizers are ready. */
#define EARLY __attribute__((no_sanitize("address", "undefined", "thread")))

static _Atomic long kit_mapped; /* bytes that are mapped now, by this program's calls */
static int kit_refuse = -1;     /* this many calls go well, then one fails; -1: none */

EARLY static bool kit_refused(void)
{
	if (kit_refuse < 0 || kit_refuse-- > 0)
		return false;
	errno = ENOMEM;
	return true;
}

EARLY static long kit_pages(size_t n)
{
	return (long)((n + 4095) / 4096 * 4096);
}

EARLY void *mmap(void *at, size_t n, int prot, int flags, int fd, off_t offset)
{
	long p;

	if (kit_refused())
		return MAP_FAILED;
	p = syscall(SYS_mmap, at, n, prot, flags, fd, offset);
	if (p != -1)
		kit_mapped += kit_pages(n);
	return (void *)p;
}

EARLY void *mremap(void *at, size_t n, size_t new_n, int flags, ...)
{
	long p;

	if (kit_refused())
		return MAP_FAILED;
	p = syscall(SYS_mremap, at, n, new_n, flags, NULL);
	if (p != -1)
		kit_mapped += kit_pages(new_n) - kit_pages(n);
	return (void *)p;
}

EARLY int munmap(void *at, size_t n)
{
	int e = (int)syscall(SYS_munmap, at, n);

	if (e == 0)
		kit_mapped -= kit_pages(n);
	return e;
}

/* Of each case: it has unmapped what it has mapped (the libraries have mappings too). */
static long kit_mapped_before;

static int kit_begin(void **state)
{
	(void)state;
	kit_refuse = -1;
	kit_mapped_before = kit_mapped;
	return 0;
}

static int kit_end(void **state)
{
	(void)state;
	return kit_mapped == kit_mapped_before ? 0 : -1;
}

/* xorshift64: any run is like any other. */
static uint64_t kit_random(uint64_t below)
{
	static uint64_t x = UINT64_C(88172645463325252);

	x ^= x << 13;
	x ^= x >> 7;
	x ^= x << 17;
	return (x >> 11) % below;
}

/* Octets that differ in length, sign, first, middle and last octet, and nothing else. */
static const char *const kit_serial_hex[] = {"00", "01", "7f", "80", "ff", "0080", "00ff",
    "ff7f", "0100", "0101", "8000", "008000", "0102030405060708", "0202030405060708",
    "010102030405060708", "0100000000000000000102030405060708",
    "0200000000000000000102030405060708", "03000000000000000000000000000000000001",
    "0300000000000000000000000000000000000001",
    "0400000000000000000000000000000000000001",
    "0300000000000000000000000000000000000002",
    "7fffffffffffffffffffffffffffffffffffffff",
    "00ffffffffffffffffffffffffffffffffffffffff",
    "00feffffffffffffffffffffffffffffffffffffff"};
#define KIT_SERIALS (sizeof kit_serial_hex / sizeof kit_serial_hex[0])

static struct serial kit_serial_at(size_t i)
{
	struct serial s = {0};

	s.n = (uint8_t)unhex(kit_serial_hex[i], s.octets, sizeof s.octets);
	return s;
}

/* What one list says of one serial. */
struct kit_mark {
	bool listed;
	int reason;
	int64_t at;
};

static bool kit_mark_is_hold(const struct kit_mark *m)
{
	return m->listed && m->reason == 6; /* RFC 5280 section 5.3.1 */
}

/* Few dates, so that some are equal. */
static void kit_mark_randomly(struct kit_mark *m, unsigned percent)
{
	static const int reason[] = {REASON_NONE, 1, 4, 6, 6};

	*m = (struct kit_mark){0};
	if (kit_random(100) >= percent)
		return;
	m->listed = true;
	m->reason = reason[kit_random(sizeof reason / sizeof reason[0])];
	m->at = 1700000000 + (int64_t)kit_random(3);
}

/* The list with these marks, as crl_read() would give it. */
static void kit_list(struct crl_list *l, const struct kit_mark m[KIT_SERIALS],
    int64_t this_update, int64_t next_update)
{
	*l = (struct crl_list){0};
	l->facts.this_update = this_update;
	l->facts.next_update = next_update;
	for (size_t i = 0; i < KIT_SERIALS; i++)
		l->facts.entries += m[i].listed;
	if (l->facts.entries == 0)
		return;
	l->entries = crl_entries_new(l->facts.entries, &l->mapped);
	assert(l->entries != NULL);
	for (size_t i = 0; i < KIT_SERIALS; i++) {
		struct crl_entry *e = &l->entries[l->n];
		struct serial s = kit_serial_at(i);

		if (!m[i].listed)
			continue;
		crl_entry_set_serial(e, &s);
		crl_entry_set_at(e, m[i].at);
		e->reason =
		    m[i].reason == REASON_NONE ? CRL_NO_REASON : (uint8_t)m[i].reason;
		l->n++;
	}
	l->n = crl_entries_sort(l->entries, l->n);
	assert(l->n == l->facts.entries);
}

/* old with a list of these marks in the place of shard; old's reference is dropped. */
static const struct crl_set *kit_put(const struct crl_set *old, size_t shards_n,
    size_t shard, const struct kit_mark m[KIT_SERIALS], int64_t this_update,
    int64_t next_update)
{
	static uint64_t generation = 1000;
	struct crl_set *s = NULL;
	struct crl_list l;
	enum err e;

	kit_list(&l, m, this_update, next_update);
	e = crl_set_replace(&s, old, shards_n, shard, &l, NULL, ++generation);
	assert(e == ERR_OK && s->generation == generation);
	(void)e;
	crl_set_unref(old);
	return s;
}

#endif
