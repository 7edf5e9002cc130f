#include "cache/base/seal.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

/* The MAC key of all 0x0b, and what `seal_keys_new(..., "ocspcached webhooks 1")` makes
 * of it: HMAC-SHA-256 over the length of the purpose in four octets, the purpose, and
 * nothing.  Sealed with it by python-cryptography: k = hmac.digest(b"\x0b" * 32,
 * (21).to_bytes(4, "big") + purpose, "sha256") n = bytes(range(12)); n +
 * AESGCM(k).encrypt(n, b"secret", b"hook:chat") */
static const uint8_t theirs[] = {
    0x00,
    0x01,
    0x02,
    0x03,
    0x04,
    0x05,
    0x06,
    0x07,
    0x08,
    0x09,
    0x0a,
    0x0b,
    0x04,
    0x2f,
    0xc2,
    0xe0,
    0x59,
    0xec,
    0x24,
    0xdd,
    0xd8,
    0xe6,
    0x6d,
    0x8d,
    0x28,
    0xb5,
    0x88,
    0xd2,
    0x30,
    0x91,
    0xb2,
    0xa6,
    0x89,
    0x78,
};

static struct seal_keys *keys_of(const uint8_t *first, size_t n)
{
	uint8_t octets[2][MAC_KEY_SIZE];
	struct mac_keys *m;
	struct seal_keys *k;

	for (size_t i = 0; i < n; i++)
		memset(octets[i], first[i], sizeof octets[i]);
	m = mac_keys_new((const uint8_t(*)[MAC_KEY_SIZE])octets, n);
	assert_non_null(m);
	k = seal_keys_new(m, "ocspcached webhooks 1");
	assert_non_null(k);
	mac_keys_free(m);
	return k;
}

static struct bytes text(const char *t)
{
	return bytes_of(t, strlen(t));
}

static void what_another_program_sealed_is_opened(void **state)
{
	struct seal_keys *k = keys_of((const uint8_t[]){0x0b}, 1);
	uint8_t out[sizeof theirs];
	size_t n;

	(void)state;
	assert_int_equal(
	    seal_open(k, text("hook:chat"), bytes_of(theirs, sizeof theirs), out, &n),
	    ERR_OK);
	assert_int_equal(n, 6);
	assert_memory_equal(out, "secret", 6);
	seal_keys_free(k);
}

static void it_opens_under_its_name_and_as_it_was_alone(void **state)
{
	struct seal_keys *k = keys_of((const uint8_t[]){1}, 1);
	uint8_t sealed[6 + SEAL_OVERHEAD], again[6 + SEAL_OVERHEAD], out[64];
	size_t n;

	(void)state;
	assert_true(seal_close(k, text("a"), text("secret"), sealed));
	assert_true(seal_close(k, text("a"), text("secret"), again));
	assert_memory_not_equal(sealed, again, sizeof sealed); /* the nonce */
	assert_null(memmem(sealed, sizeof sealed, "secret", 6));
	assert_int_equal(
	    seal_open(k, text("a"), bytes_of(sealed, sizeof sealed), out, &n), ERR_OK);
	assert_int_equal(
	    seal_open(k, text("b"), bytes_of(sealed, sizeof sealed), out, &n),
	    ERR_RECORD_KEY);
	for (size_t i = 0; i < sizeof sealed; i++) {
		sealed[i] ^= 1;
		assert_int_equal(
		    seal_open(k, text("a"), bytes_of(sealed, sizeof sealed), out, &n),
		    ERR_RECORD_KEY);
		sealed[i] ^= 1;
	}
	for (size_t cut = 0; cut < SEAL_OVERHEAD; cut++)
		assert_int_equal(
		    seal_open(k, text("a"), bytes_of(sealed, cut), out, &n), ERR_RECORD);
	seal_keys_free(k);
}

static void the_first_key_seals_and_all_open(void **state)
{
	struct seal_keys *old = keys_of((const uint8_t[]){1}, 1);
	struct seal_keys *both = keys_of((const uint8_t[]){2, 1}, 2);
	struct seal_keys *new = keys_of((const uint8_t[]){2}, 1);
	uint8_t by_old[SEAL_OVERHEAD + 1], by_both[SEAL_OVERHEAD + 1], out[8];
	size_t n;

	(void)state;
	assert_true(seal_close(old, text("a"), text("x"), by_old));
	assert_true(seal_close(both, text("a"), text("x"), by_both));
	assert_int_equal(
	    seal_open(both, text("a"), bytes_of(by_old, sizeof by_old), out, &n), ERR_OK);
	assert_int_equal(
	    seal_open(new, text("a"), bytes_of(by_both, sizeof by_both), out, &n),
	    ERR_OK);
	assert_int_equal(
	    seal_open(old, text("a"), bytes_of(by_both, sizeof by_both), out, &n),
	    ERR_RECORD_KEY);
	seal_keys_free(old);
	seal_keys_free(both);
	seal_keys_free(new);
	seal_keys_free(NULL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(what_another_program_sealed_is_opened),
	    cmocka_unit_test(it_opens_under_its_name_and_as_it_was_alone),
	    cmocka_unit_test(the_first_key_seals_and_all_open),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
