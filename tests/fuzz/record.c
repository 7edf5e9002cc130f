/* A value that is not of our making is refused or has no good MAC; what is read stays
 * inside the value. */
#include "cache/ocsp/record.h"

#include <stdlib.h>

#define MUST(x)                                                                          \
	do {                                                                             \
		if (!(x))                                                                \
			abort();                                                         \
	} while (0)

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

/* Written again, a record is the same bytes but for the MAC. */
static void check_again(const struct record *r, struct bytes value)
{
	uint8_t *out = malloc(r->der.n + RECORD_OVERHEAD);
	size_t n;

	MUST(out != NULL);
	n = record_encode(out, &r->key, &r->facts, r->der, NULL);
	MUST(n == value.n || n + 32 == value.n);
	out[43] = value.p[43]; /* whether a MAC follows */
	MUST(memcmp(out, value.p, n) == 0);
	free(out);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	static const uint8_t secret[1][32] = {"a key that no input knows"};
	static struct mac_keys *keys;
	struct bytes value = bytes_of(data, n);
	uint8_t hash[20] = {0};
	struct serial s = {1, {1}};
	struct record r;
	struct key k;

	if (keys == NULL)
		keys = mac_keys_new(secret, 1);
	/* Take the CertID inside as the one asked for, where there is one. */
	if (n < 81 || key_from_der(&k, bytes_of(data + 81,
					   data[76] <= n - 81 ? data[76] : 0)) != ERR_OK)
		key_make(&k, CERTID_SHA1, hash, hash, &s);
	if (record_decode(&r, value, &k, keys) != ERR_OK)
		return 0;
	MUST(!r.mac_ok && key_equal(&r.key, &k));
	MUST(r.der.n > 0 && r.der.p >= data && r.der.p + r.der.n <= data + n);
	if (data[0] == RECORD_VERSION)
		check_again(&r, value);
	return 0;
}
