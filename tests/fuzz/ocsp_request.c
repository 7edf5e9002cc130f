/* A request that parses has a key whose bytes are canonical and parse to the same key. */
#include "cache/ocsp/ocsp_request.h"

#include <stdlib.h>

#define MUST(x)                                                                          \
	do {                                                                             \
		if (!(x))                                                                \
			abort();                                                         \
	} while (0)

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

static void check_key(const struct key *k)
{
	struct ocsp_request again;
	struct key from_der, from_name;
	char name[KEY_NAME_MAX];
	size_t name_n = key_name(k, name);

	MUST(key_from_der(&from_der, key_der(k)) == ERR_OK);
	MUST(key_equal(&from_der, k) && from_der.hash == k->hash);
	MUST(ocsp_request_parse(&again, key_der(k)) == ERR_OK);
	MUST(key_equal(&again.key, k) && !again.has_nonce);
	MUST(key_from_name(&from_name, name, name_n) == ERR_OK);
	MUST(key_equal(&from_name, k));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	struct ocsp_request r;
	struct key k;
	enum err e = ocsp_request_parse(&r, bytes_of(data, n));

	if (e == ERR_OK)
		check_key(&r.key);
	/* What is canonical parses, and to itself. */
	if (key_from_der(&k, bytes_of(data, n)) == ERR_OK)
		MUST(e == ERR_OK && key_equal(&k, &r.key));
	return 0;
}
