/* store_kit.h - what the tests of stores and latches share: keys, facts, a place on disk.
 *
 * Header only, so that each test still links with the library alone.
 */
#ifndef TESTS_STORE_KIT_H
#define TESTS_STORE_KIT_H

#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>

#include "cache/base/issuer.h"
#include "cache/ocsp/record.h"

/* The two hashes of CA number ca, any octets. */
static inline void kit_ca(struct issuer_ca *out, int ca)
{
	memset(out, 0, sizeof *out);
	for (int h = 0; h < CERTID_HASH_COUNT; h++) {
		memset(out->name_hash[h], 0x10 + ca, CERTID_HASH_MAX);
		memset(out->key_hash[h], 0x80 + ca, CERTID_HASH_MAX);
	}
	memset(out->id, 0x40 + ca, sizeof out->id);
}

static inline struct serial kit_serial(uint32_t n)
{
	struct serial s = {5, {1}};

	for (int i = 0; i < 4; i++)
		s.octets[1 + i] = (uint8_t)(n >> (24 - 8 * i));
	return s;
}

static inline struct key kit_key(int ca, enum certid_hash h, uint32_t n)
{
	struct issuer_ca c;
	struct serial s = kit_serial(n);
	struct key k;

	kit_ca(&c, ca);
	key_make(&k, h, c.name_hash[h], c.key_hash[h], &s);
	return k;
}

static inline struct facts kit_facts(int64_t this_update, int64_t next_update)
{
	return (struct facts){.status = STATUS_GOOD,
	    .reason = REASON_NONE,
	    .this_update = this_update,
	    .next_update = next_update,
	    .produced_at = this_update,
	    .signer_not_after = INT64_MAX};
}

/* A new directory under $TMPDIR or /tmp; kit_remove() deletes it with all below. */
static inline char *kit_directory(void)
{
	const char *top = getenv("TMPDIR");
	char *path = malloc(4096);

	snprintf(path, 4096, "%s/ocspcached-test-XXXXXX", top != NULL ? top : "/tmp");
	if (mkdtemp(path) == NULL)
		abort();
	return path;
}

static inline int kit_unlink(
    const char *path, const struct stat *st, int type, struct FTW *ftw)
{
	(void)st, (void)type, (void)ftw;
	return remove(path);
}

static inline void kit_remove(char *path)
{
	nftw(path, kit_unlink, 16, FTW_DEPTH | FTW_PHYS);
	free(path);
}

#endif
