#include "cache/watch/watch_stored.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

static const uint8_t key[1][MAC_KEY_SIZE] = {{1, 2, 3}}, key2[1][MAC_KEY_SIZE] = {{4}};
static const uint8_t node[WATCH_NODE_N] = {0xab, 1};
static struct mac_keys *keys;

static int setup(void **state)
{
	struct mac_keys *of = mac_keys_new(key, 1);

	(void)state;
	keys = watch_stored_keys(of);
	mac_keys_free(of);
	return keys == NULL;
}

static int teardown(void **state)
{
	(void)state;
	mac_keys_free(keys);
	return 0;
}

static struct watch_stored stored(enum watch_stored_kind kind)
{
	struct watch_stored s = {.kind = kind, .at = 1700000000};

	s.mark = (struct watch_mark){{9, 8, 7}, 42};
	if (kind != STORED_GONE) {
		s.chunks = 3;
		s.certificates = 12345;
	}
	memcpy(s.node, node, sizeof node);
	return s;
}

static void a_field_is_a_name_or_a_part_of_one(void **state)
{
	char field[WATCH_FIELD_MAX], name[WATCH_NAME_MAX];
	uint8_t back[WATCH_NODE_N];
	static const char *const bad[] = {"", "..", "A", "a/", "/ab", "a b", "web/ab",
	    "web/ab010000000000000000000000000000/",
	    "web/AB010000000000000000000000000000",
	    "web/xb010000000000000000000000000000",
	    "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"};
	bool part;

	(void)state;
	watch_field_put(field, "web-1.x_y", NULL);
	assert_string_equal(field, "web-1.x_y");
	assert_true(watch_field_read(bytes_of(field, strlen(field)), name, back, &part));
	assert_string_equal(name, "web-1.x_y");
	assert_false(part);
	watch_field_put(field, "web", node);
	assert_string_equal(field, "web/ab010000000000000000000000000000");
	assert_true(watch_field_read(bytes_of(field, strlen(field)), name, back, &part));
	assert_true(part);
	assert_string_equal(name, "web");
	assert_memory_equal(back, node, sizeof node);
	for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
		assert_false(watch_field_read(
		    bytes_of(bad[i], strlen(bad[i])), name, back, &part));
}

static void what_was_encoded_is_read(void **state)
{
	static const struct {
		enum watch_stored_kind kind;
		const char *field;
	} of[] = {{STORED_LIST, "web"},
	    {STORED_PART, "web/ab010000000000000000000000000000"}, {STORED_GONE, "web"},
	    {STORED_GONE, "web/ab010000000000000000000000000000"}};

	(void)state;
	for (size_t i = 0; i < 4; i++) {
		struct watch_stored s = stored(of[i].kind), back;
		uint8_t value[WATCH_STORED_N];

		assert_true(watch_stored_encode(&s, of[i].field, keys, value));
		assert_int_equal(watch_stored_decode(&back, of[i].field, keys,
				     bytes_of(value, sizeof value)),
		    ERR_OK);
		assert_int_equal(back.kind, s.kind);
		assert_true(watch_mark_equal(&back.mark, &s.mark));
		assert_int_equal(back.at, s.at);
		assert_int_equal(back.chunks, s.chunks);
		assert_int_equal(back.certificates, s.certificates);
		assert_memory_equal(back.node, node, sizeof node);
	}
}

static enum err read_as(const uint8_t *value, size_t n, const char *field)
{
	uint8_t *exact = malloc(n + 1);
	struct watch_stored back;
	enum err e;

	memcpy(exact, value, n);
	e = watch_stored_decode(&back, field, keys, bytes_of(exact, n));
	free(exact);
	return e;
}

/* T16 */
static void a_head_is_good_in_its_place_alone(void **state)
{
	struct watch_stored s = stored(STORED_LIST);
	uint8_t value[WATCH_STORED_N + 1] = {0};
	struct watch_stored back;
	struct mac_keys *other = mac_keys_new(key2, 1), *plain = mac_keys_new(key, 1);

	(void)state;
	assert_true(watch_stored_encode(&s, "web", keys, value));
	assert_int_equal(read_as(value, WATCH_STORED_N, "web"), ERR_OK);
	assert_int_equal(read_as(value, WATCH_STORED_N, "wec"), ERR_RECORD_KEY);
	assert_int_equal(
	    read_as(value, WATCH_STORED_N, "web/ab010000000000000000000000000000"),
	    ERR_RECORD);
	/* Nor by a key of the answers'. */
	assert_int_equal(
	    watch_stored_decode(&back, "web", plain, bytes_of(value, WATCH_STORED_N)),
	    ERR_RECORD_KEY);
	assert_int_equal(
	    watch_stored_decode(&back, "web", other, bytes_of(value, WATCH_STORED_N)),
	    ERR_RECORD_KEY);
	assert_int_equal(
	    watch_stored_decode(&back, "web", NULL, bytes_of(value, WATCH_STORED_N)),
	    ERR_RECORD_KEY);
	for (size_t n = 0; n <= WATCH_STORED_N + 1; n++)
		if (n != WATCH_STORED_N)
			assert_int_equal(read_as(value, n, "web"), ERR_RECORD);
	for (size_t i = 0; i < WATCH_STORED_N * 8; i++) {
		value[i / 8] ^= (uint8_t)(1u << i % 8);
		assert_int_not_equal(read_as(value, WATCH_STORED_N, "web"), ERR_OK);
		value[i / 8] ^= (uint8_t)(1u << i % 8);
	}
	mac_keys_free(other);
	mac_keys_free(plain);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(a_field_is_a_name_or_a_part_of_one),
	    cmocka_unit_test(what_was_encoded_is_read),
	    cmocka_unit_test(a_head_is_good_in_its_place_alone),
	};

	return cmocka_run_group_tests_name("watch_stored", tests, setup, teardown);
}
