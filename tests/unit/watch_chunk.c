#include "cache/watch/watch_chunk.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

#include "cache/watch/watch_record.h"
#include "tests/lib/inventory_kit.h"
#include "tests/lib/store_kit.h"

static const uint8_t key[1][MAC_KEY_SIZE] = {{1, 2, 3}};
static const uint8_t revision[WATCH_REVISION_N] = {0xcd, 2};
static struct mac_keys *keys;
static char *dir;

static int setup(void **state)
{
	struct mac_keys *of = mac_keys_new(key, 1);

	(void)state;
	keys = watch_stored_keys(of);
	mac_keys_free(of);
	dir = kit_directory();
	return keys == NULL;
}

static int teardown(void **state)
{
	(void)state;
	mac_keys_free(keys);
	kit_remove(dir);
	return 0;
}

/* By its own numbers of CAs. */
static struct watch_draft *sorted(struct watch_draft *d)
{
	uint32_t *id = calloc(watch_draft_cas(d) + 1, sizeof *id);

	for (size_t i = 0; i < watch_draft_cas(d); i++)
		id[i] = (uint32_t)i;
	assert_int_equal(watch_draft_sort(d, id), ERR_OK);
	free(id);
	return d;
}

struct reader {
	struct watch_draft *out;
	size_t n, stop_at;
};

static bool on_entry(void *arg, const struct watch_draft_ca *ca, const struct serial *s,
    struct bytes row, enum err *e)
{
	struct reader *r = arg;

	if (++r->n == r->stop_at) {
		*e = ERR_STORE_FULL;
		return false;
	}
	*e = watch_draft_keep(r->out, ca, s, row);
	return *e == ERR_OK;
}

static enum err read_chunk(
    struct reader *r, const uint8_t *value, size_t n, uint32_t number)
{
	struct watch_chunk_place place = {"web", revision, number};
	uint8_t *exact = malloc(n + 1);
	enum err e;

	memcpy(exact, value, n);
	e = watch_chunk_decode(bytes_of(exact, n), &place, keys, on_entry, r);
	free(exact);
	return e;
}

static void assert_same(const struct watch_draft *a, const struct watch_draft *b)
{
	assert_int_equal(watch_draft_count(a), watch_draft_count(b));
	for (size_t i = 0; i < watch_draft_count(a); i++) {
		const struct watch_draft_ca *x = watch_draft_ca(a, watch_draft_id(a, i)),
					    *y = watch_draft_ca(b, watch_draft_id(b, i));
		struct serial s, t;

		crl_entry_serial(watch_draft_entry(a, i), &s);
		crl_entry_serial(watch_draft_entry(b, i), &t);
		assert_true(serial_equal(&s, &t));
		assert_true(bytes_equal(watch_draft_row(a, i), watch_draft_row(b, i)));
		assert_string_equal(x->issuer, y->issuer);
		assert_string_equal(x->dn, y->dn);
		assert_true(
		    bytes_equal(bytes_of(x->aki, x->aki_n), bytes_of(y->aki, y->aki_n)));
	}
}

/* 5,000 certificates of three CAs, in as many chunks as it takes. */
static void a_list_is_what_its_chunks_say(void **state)
{
	struct watch_draft *d = watch_draft_new(dir);
	struct reader r = {.out = watch_draft_new(dir)};
	uint8_t *value = malloc(WATCH_CHUNK_MAX);
	uint32_t number = 0;

	(void)state;
	for (unsigned ca = 0; ca < 3; ca++)
		assert_int_equal(kit_fill(d, ca, 1000 * ca, 1000 + 1000 * ca,
				     "a label that takes some room in the row, so that "
				     "there are several chunks of it"),
		    ERR_OK);
	sorted(d);
	for (size_t at = 0; at < watch_draft_count(d);) {
		struct watch_chunk_place place = {"web", revision, number};
		size_t before = at, n = watch_chunk_encode(d, &at, &place, keys, value);

		assert_true(n > MAC_SIZE && n <= WATCH_CHUNK_MAX && at > before);
		assert_true(at == watch_draft_count(d) || n >= WATCH_CHUNK_FULL);
		assert_int_equal(read_chunk(&r, value, n, number++), ERR_OK);
		assert_int_equal(r.n, at);
	}
	assert_true(number > 2);
	assert_same(d, sorted(r.out));
	free(value);
	watch_draft_free(d);
	watch_draft_free(r.out);
}

/* Of one certificate with 16 KiB of names, and of serials of every shape. */
static void long_rows_and_odd_serials_are_read_back(void **state)
{
	struct watch_draft *d = watch_draft_new(dir);
	struct reader r = {.out = watch_draft_new(dir)};
	struct bytes names[WATCH_TEXT_MAX / 64];
	char text[63];
	uint8_t *value = malloc(WATCH_CHUNK_MAX);
	uint32_t number = 0;
	struct kit_cert c;

	(void)state;
	memset(text, 'x', sizeof text);
	for (size_t i = 0; i < sizeof names / sizeof names[0]; i++)
		names[i] = bytes_of(text, sizeof text);
	for (unsigned i = 0; i < 100; i++) {
		struct serial s = {.n = SERIAL_MAX};

		s.octets[0] = i % 2 == 0 ? 0x00 : 0xff; /* a sign */
		s.octets[1] = i % 2 == 0 ? 0x80 : 0x7f;
		s.octets[20] = (uint8_t)i;
		kit_cert(&c, 1, s);
		c.cert.names = names;
		c.cert.names_n = sizeof names / sizeof names[0];
		assert_int_equal(watch_draft_add(d, &c.cert), ERR_OK);
	}
	kit_cert(&c, 1, (struct serial){.n = 1}); /* 0 */
	assert_int_equal(watch_draft_add(d, &c.cert), ERR_OK);
	sorted(d);
	for (size_t at = 0; at < watch_draft_count(d); number++) {
		struct watch_chunk_place place = {"web", revision, number};
		size_t n = watch_chunk_encode(d, &at, &place, keys, value);

		assert_int_equal(read_chunk(&r, value, n, number), ERR_OK);
	}
	assert_same(d, sorted(r.out));
	free(value);
	watch_draft_free(d);
	watch_draft_free(r.out);
}

/* The chunk of three certificates of two CAs, without its MAC. */
static size_t small(uint8_t *value)
{
	struct watch_draft *d = watch_draft_new(dir);
	struct watch_chunk_place place = {"web", revision, 7};
	size_t at = 0, n;

	assert_int_equal(kit_fill(d, 1, 0, 2, "x"), ERR_OK);
	assert_int_equal(kit_fill(d, 2, 5, 1, "y"), ERR_OK);
	n = watch_chunk_encode(sorted(d), &at, &place, keys, value);
	watch_draft_free(d);
	return n - MAC_SIZE;
}

/* T16 */
static void a_chunk_is_good_in_its_place_alone(void **state)
{
	uint8_t *value = malloc(WATCH_CHUNK_MAX), other[WATCH_REVISION_N] = {1};
	size_t n = small(value) + MAC_SIZE;
	struct reader r = {.out = watch_draft_new(dir)};
	struct watch_chunk_place place = {"wec", revision, 7};

	(void)state;
	assert_int_equal(read_chunk(&r, value, n, 6), ERR_RECORD_KEY);
	assert_int_equal(
	    watch_chunk_decode(bytes_of(value, n), &place, keys, on_entry, &r),
	    ERR_RECORD_KEY);
	place = (struct watch_chunk_place){"web", other, 7};
	assert_int_equal(
	    watch_chunk_decode(bytes_of(value, n), &place, keys, on_entry, &r),
	    ERR_RECORD_KEY);
	for (size_t i = 0; i < n; i++) {
		value[i] ^= 0x10;
		assert_int_equal(read_chunk(&r, value, n, 7), ERR_RECORD_KEY);
		value[i] ^= 0x10;
	}
	for (size_t cut = 0; cut < n; cut++)
		assert_int_not_equal(read_chunk(&r, value, cut, 7), ERR_OK);
	assert_int_equal(r.n, 0); /* nothing is handed out before the MAC is good */
	assert_int_equal(read_chunk(&r, value, n, 7), ERR_OK);
	assert_int_equal(r.n, 3);
	free(value);
	watch_draft_free(r.out);
}

/* T16: whatever a node of ours with a fault writes, with a good MAC: each is refused, or
 * is a chunk that can be read to its end. */
static void what_is_not_in_our_encoding_is_refused(void **state)
{
	static const char name[] = "chunk:web:cd020000000000000000000000000000:7";
	uint8_t *value = malloc(WATCH_CHUNK_MAX);
	size_t n = small(value), refused = 0, whole = 0;
	struct reader r = {.out = watch_draft_new(dir)};

	(void)state;
	for (size_t i = 0; i < 8 * n; i++) {
		enum err e;

		value[i / 8] ^= (uint8_t)(1u << i % 8);
		assert_true(mac_make(keys, bytes_of(name, sizeof name - 1),
		    bytes_of(value, n), value + n));
		e = read_chunk(&r, value, n + MAC_SIZE, 7);
		assert_true(e == ERR_OK || e == ERR_RECORD);
		refused += e == ERR_RECORD;
		value[i / 8] ^= (uint8_t)(1u << i % 8);
	}
	assert_true(refused > n);
	for (size_t cut = 1; cut < n; cut++) {
		uint8_t *part = malloc(cut + MAC_SIZE);

		memcpy(part, value, cut);
		assert_true(mac_make(keys, bytes_of(name, sizeof name - 1),
		    bytes_of(part, cut), part + cut));
		whole += read_chunk(&r, part, cut + MAC_SIZE, 7) == ERR_OK;
		free(part);
	}
	assert_int_equal(whole, 2); /* of nobody, and of the first CA alone */
	free(value);
	watch_draft_free(r.out);
}

static void who_is_told_can_stop(void **state)
{
	uint8_t *value = malloc(WATCH_CHUNK_MAX);
	size_t n = small(value) + MAC_SIZE;
	struct reader r = {.out = watch_draft_new(dir), .stop_at = 2};

	(void)state;
	assert_int_equal(read_chunk(&r, value, n, 7), ERR_STORE_FULL);
	assert_int_equal(r.n, 2);
	free(value);
	watch_draft_free(r.out);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(a_list_is_what_its_chunks_say),
	    cmocka_unit_test(long_rows_and_odd_serials_are_read_back),
	    cmocka_unit_test(a_chunk_is_good_in_its_place_alone),
	    cmocka_unit_test(what_is_not_in_our_encoding_is_refused),
	    cmocka_unit_test(who_is_told_can_stop),
	};

	return cmocka_run_group_tests_name("watch_chunk", tests, setup, teardown);
}
