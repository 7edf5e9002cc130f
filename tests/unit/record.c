#include "cache/ocsp/record.h"

#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include <cmocka.h>

#include "tests/lib/key_vectors.h"
#include "tests/lib/unhex.h"

static const uint8_t keys_two[2][32] = {{1, 2, 3}, {4, 5, 6}};
static const struct facts revoked = {.status = STATUS_REVOKED,
    .reason = 1,
    .revoked_at = 1700000000,
    .this_update = 0x0102030405060708,
    .next_update = 1800000000,
    .produced_at = 0x1112131415161718,
    .signer_not_after = INT64_MAX,
    .issuer_sha256 = {0xaa, 0xbb}};
static const uint8_t response[] = {0x30, 0x03, 0x0a, 0x01, 0x06, 'x', 'y', 'z'};
#define RESPONSE bytes_of(response, sizeof response)

static struct key vector_key(size_t i)
{
	uint8_t der[KEY_DER_MAX];
	struct key k;
	size_t n = unhex(key_vectors[i].der, der, sizeof der);

	assert_int_equal(key_from_der(&k, bytes_of(der, n)), ERR_OK);
	return k;
}

static void assert_facts_equal(const struct facts *a, const struct facts *b)
{
	assert_int_equal(a->status, b->status);
	assert_int_equal(a->reason, b->reason);
	assert_int_equal(a->revoked_at, b->revoked_at);
	assert_int_equal(a->this_update, b->this_update);
	assert_int_equal(a->next_update, b->next_update);
	assert_int_equal(a->produced_at, b->produced_at);
	assert_int_equal(a->signer_not_after, b->signer_not_after);
	assert_memory_equal(a->issuer_sha256, b->issuer_sha256, 32);
}

/* The allocation ends where the value ends, so that a sanitizer sees every read beyond.
 */
static enum err decode(struct record *r, const uint8_t *value, size_t n,
    const struct key *k, const struct mac_keys *keys)
{
	uint8_t *copy = malloc(n ? n : 1);
	enum err e;

	memcpy(copy, value, n);
	e = record_decode(r, bytes_of(copy, n), k, keys);
	if (e == ERR_OK) {
		assert_true(r->der.p >= copy && r->der.p + r->der.n <= copy + n);
		r->der.p = value + (r->der.p - copy);
	}
	free(copy);
	return e;
}

static void a_record_is_read_as_it_was_written(void **state)
{
	struct mac_keys *keys = mac_keys_new(keys_two, 2);
	uint8_t value[sizeof response + RECORD_OVERHEAD];
	struct facts f = revoked;

	(void)state;
	for (size_t i = 0; i < sizeof key_vectors / sizeof key_vectors[0]; i++) {
		struct key k = vector_key(i);

		for (int mac = 0; mac < 2; mac++) {
			struct record r;
			size_t n;

			f.status = i % 2 ? STATUS_GOOD : STATUS_UNKNOWN;
			f.reason = i % 3 ? REASON_NONE : 10;
			f.this_update = i % 4 ? INT64_MIN : 5;
			n = record_encode(value, &k, &f, RESPONSE, mac ? keys : NULL);
			assert_true(n <= sizeof value);
			assert_int_equal(decode(&r, value, n, &k, keys), ERR_OK);
			assert_int_equal(r.mac_ok, mac);
			assert_facts_equal(&r.facts, &f);
			assert_true(key_equal(&r.key, &k));
			assert_true(bytes_equal(r.der, RESPONSE));
			assert_int_equal(decode(&r, value, n, &k, NULL), ERR_OK);
			assert_false(r.mac_ok);
		}
	}
	mac_keys_free(keys);
	mac_keys_free(NULL);
}

/* Other programs read this: the offsets of record.c, written out once more. */
static void the_layout_is_the_documented_one(void **state)
{
	struct mac_keys *keys = mac_keys_new(keys_two, 1);
	struct key k = vector_key(0);
	uint8_t value[sizeof response + RECORD_OVERHEAD], expected[512], input[1024],
	    mac[32];
	char name[KEY_NAME_MAX];
	size_t n = record_encode(value, &k, &revoked, RESPONSE, keys), at, name_n;
	unsigned mac_n;

	(void)state;
	at =
	    unhex("01 0102030405060708 1112131415161718 000000006b49d200 7fffffffffffffff"
		  "000000006553f100 02 01 01"
		  "aabb000000000000000000000000000000000000000000000000000000000000"
		  "44 00000008",
		expected, sizeof expected);
	assert_int_equal(at, 81);
	assert_int_equal(k.der_n, 0x44);
	memcpy(expected + at, k.der, k.der_n);
	at += k.der_n;
	memcpy(expected + at, response, sizeof response);
	at += sizeof response;
	assert_int_equal(n, at + 32);
	assert_memory_equal(value, expected, at);

	/* the MAC, by OpenSSL's one-shot HMAC */
	name_n = key_name(&k, name);
	memcpy(input, (uint8_t[]){0, 0, 0, (uint8_t)name_n}, 4);
	memcpy(input + 4, name, name_n);
	memcpy(input + 4 + name_n, expected, at);
	HMAC(EVP_sha256(), keys_two[0], 32, input, 4 + name_n + at, mac, &mac_n);
	assert_memory_equal(value + at, mac, 32);
	assert_memory_equal(value + RECORD_THIS_UPDATE_OFFSET, "\1\2\3\4\5\6\7\10", 8);
	assert_memory_equal(
	    value + RECORD_PRODUCED_AT_OFFSET, "\21\22\23\24\25\26\27\30", 8);
	mac_keys_free(keys);
}

/* T16: no change of a record with a MAC is taken for ours. */
static void one_changed_bit_loses_the_mac(void **state)
{
	struct mac_keys *keys = mac_keys_new(keys_two, 1);
	struct key k = vector_key(0);
	uint8_t value[sizeof response + RECORD_OVERHEAD];
	size_t n = record_encode(value, &k, &revoked, RESPONSE, keys);
	struct record r;

	(void)state;
	for (size_t bit = 0; bit < 8 * n; bit++) {
		value[bit / 8] ^= (uint8_t)(1 << bit % 8);
		if (decode(&r, value, n, &k, keys) == ERR_OK)
			assert_false(r.mac_ok);
		value[bit / 8] ^= (uint8_t)(1 << bit % 8);
	}
	mac_keys_free(keys);
}

static void every_other_length_is_refused(void **state)
{
	struct mac_keys *keys = mac_keys_new(keys_two, 1);
	struct key k = vector_key(21); /* sha512 */
	uint8_t value[sizeof response + RECORD_OVERHEAD + 1];
	struct record r;

	(void)state;
	for (int mac = 0; mac < 2; mac++) {
		size_t n =
		    record_encode(value, &k, &revoked, RESPONSE, mac ? keys : NULL);

		for (size_t i = 0; i < n; i++)
			assert_int_equal(decode(&r, value, i, &k, keys), ERR_RECORD);
		value[n] = 0;
		assert_int_equal(decode(&r, value, n + 1, &k, keys), ERR_RECORD);
		/* a length of 2^32-1 */
		memset(value + 77, 0xff, 4);
		assert_int_equal(decode(&r, value, n, &k, keys), ERR_RECORD);
	}
	mac_keys_free(keys);
}

/* T1, T16: another certificate's value, moved in the store */
static void a_value_under_another_key_is_refused(void **state)
{
	struct mac_keys *keys = mac_keys_new(keys_two, 1);
	struct key a = vector_key(0), b = vector_key(1), c = vector_key(7);
	uint8_t value[sizeof response + RECORD_OVERHEAD];
	size_t n = record_encode(value, &a, &revoked, RESPONSE, keys);
	struct record r;

	(void)state;
	assert_int_equal(decode(&r, value, n, &b, keys), ERR_RECORD_KEY);
	assert_int_equal(decode(&r, value, n, &c, keys), ERR_RECORD_KEY);
	/* with the CertID inside patched, the MAC tells */
	memcpy(value + 81, b.der, b.der_n);
	assert_int_equal(a.der_n, b.der_n);
	assert_int_equal(decode(&r, value, n, &b, keys), ERR_OK);
	assert_false(r.mac_ok);
	mac_keys_free(keys);
}

static void a_bare_response_is_told_apart(void **state)
{
	struct mac_keys *keys = mac_keys_new(keys_two, 1);
	struct key k = vector_key(0);
	struct facts zero = {0};
	struct record r;

	(void)state;
	assert_int_equal(decode(&r, response, sizeof response, &k, keys), ERR_OK);
	assert_false(r.mac_ok);
	assert_facts_equal(&r.facts, &zero);
	assert_true(bytes_equal(r.der, RESPONSE));
	assert_true(key_equal(&r.key, &k));
	assert_int_equal(decode(&r, response, 0, &k, keys), ERR_RECORD);
	/* whatever stands behind it */
	assert_int_equal(record_decode(&r, bytes_of(response, 0), &k, keys), ERR_RECORD);
	assert_int_equal(decode(&r, (const uint8_t *)"\2hello", 6, &k, keys), ERR_RECORD);
	mac_keys_free(keys);
}

static void statuses_and_reasons_that_nobody_writes_are_refused(void **state)
{
	static const struct {
		size_t at;
		uint8_t value;
	} bad[] = {{41, 0}, {41, 4}, {41, 255}, {42, 7}, {42, 11}, {42, 254}, {43, 2},
	    {43, 3}, {43, 0x80}, {0, 0}, {0, 2}};
	struct key k = vector_key(0);
	uint8_t value[sizeof response + RECORD_OVERHEAD];
	size_t n = record_encode(value, &k, &revoked, RESPONSE, NULL);
	struct record r;

	(void)state;
	for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
		uint8_t was = value[bad[i].at];

		value[bad[i].at] = bad[i].value;
		assert_int_equal(decode(&r, value, n, &k, NULL), ERR_RECORD);
		value[bad[i].at] = was;
	}
}

static void all_keys_verify_and_the_first_one_writes(void **state)
{
	struct mac_keys *both = mac_keys_new(keys_two, 2),
			*first = mac_keys_new(keys_two, 1),
			*second = mac_keys_new(keys_two + 1, 1);
	struct key k = vector_key(0);
	uint8_t value[sizeof response + RECORD_OVERHEAD];
	struct record r;
	size_t n;

	(void)state;
	n = record_encode(value, &k, &revoked, RESPONSE, both);
	assert_int_equal(decode(&r, value, n, &k, first), ERR_OK);
	assert_true(r.mac_ok);
	assert_int_equal(decode(&r, value, n, &k, second), ERR_OK);
	assert_false(r.mac_ok);
	n = record_encode(value, &k, &revoked, RESPONSE, second);
	assert_int_equal(decode(&r, value, n, &k, both), ERR_OK);
	assert_true(r.mac_ok);
	mac_keys_free(both);
	mac_keys_free(first);
	mac_keys_free(second);
}

/* Load text as a key file; why gets the message. */
static enum err load(struct mac_keys **out, const char *text, char *why, size_t why_n)
{
	char path[] = "/tmp/ocspcached-record-XXXXXX";
	int fd = mkstemp(path);
	enum err e;

	assert_true(fd >= 0);
	assert_int_equal(write(fd, text, strlen(text)), strlen(text));
	close(fd);
	why[0] = '\0';
	e = mac_keys_load(out, path, why, why_n);
	if (e != ERR_OK)
		assert_non_null(strstr(why, path));
	unlink(path);
	return e;
}

#define KEY_LINE "0102030000000000000000000000000000000000000000000000000000000000"

static void a_key_file_has_comments_and_empty_lines(void **state)
{
	struct mac_keys *keys = NULL, *first = mac_keys_new(keys_two, 1);
	struct key k = vector_key(0);
	uint8_t value[sizeof response + RECORD_OVERHEAD];
	char why[200];
	struct record r;
	size_t n;

	(void)state;
	assert_int_equal(
	    load(&keys, "# ours\n\n\r\n" KEY_LINE "\r\nABCDEF" KEY_LINE, why, sizeof why),
	    ERR_RECORD);
	assert_non_null(strstr(why, ":5:"));
	assert_int_equal(
	    load(&keys, "# ours\n\n" KEY_LINE "\n" KEY_LINE, why, sizeof why), ERR_OK);
	n = record_encode(value, &k, &revoked, RESPONSE, keys);
	assert_int_equal(decode(&r, value, n, &k, first), ERR_OK);
	assert_true(r.mac_ok);
	mac_keys_free(keys);
	mac_keys_free(first);
}

static void a_bad_key_file_is_named_with_its_line(void **state)
{
	struct mac_keys *keys = NULL;
	char why[200], many[20 * 65 + 1] = "";

	(void)state;
	assert_int_equal(load(&keys, "", why, sizeof why), ERR_RECORD);
	assert_int_equal(load(&keys, "# none\n", why, sizeof why), ERR_RECORD);
	assert_int_equal(load(&keys, KEY_LINE "0\n", why, sizeof why), ERR_RECORD);
	assert_non_null(strstr(why, ":1:"));
	assert_int_equal(load(&keys, " " KEY_LINE "\n", why, sizeof why), ERR_RECORD);
	assert_int_equal(
	    load(&keys,
		KEY_LINE "\ng102030000000000000000000000000000000000000000000000000"
			 "000000000\n",
		why, sizeof why),
	    ERR_RECORD);
	assert_non_null(strstr(why, ":2:"));
	for (int i = 0; i < 20; i++)
		strcat(many, KEY_LINE "\n");
	assert_int_equal(load(&keys, many, why, sizeof why), ERR_RECORD);
	assert_int_equal(
	    mac_keys_load(&keys, "/nonexistent/keys", why, sizeof why), ERR_RECORD);
	assert_non_null(strstr(why, "/nonexistent/keys: No such file"));
	assert_null(keys);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(a_record_is_read_as_it_was_written),
	    cmocka_unit_test(the_layout_is_the_documented_one),
	    cmocka_unit_test(one_changed_bit_loses_the_mac),
	    cmocka_unit_test(every_other_length_is_refused),
	    cmocka_unit_test(a_value_under_another_key_is_refused),
	    cmocka_unit_test(a_bare_response_is_told_apart),
	    cmocka_unit_test(statuses_and_reasons_that_nobody_writes_are_refused),
	    cmocka_unit_test(all_keys_verify_and_the_first_one_writes),
	    cmocka_unit_test(a_key_file_has_comments_and_empty_lines),
	    cmocka_unit_test(a_bad_key_file_is_named_with_its_line),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
