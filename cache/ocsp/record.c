/* record.c - the layout, all integers big endian, times in seconds since 1970 as two's
 * complement:
 *
 *   offset  bytes
 *        0      1  version, 0x01
 *        1      8  thisUpdate
 *        9      8  producedAt
 *       17      8  nextUpdate (ours where the answer had none)
 *       25      8  notAfter of the delegated signer; 2^63-1 where the issuer signed
 *       33      8  revocationTime; 0 unless revoked
 *       41      1  status: 1 good, 2 revoked, 3 unknown
 *       42      1  CRLReason; 0xff for none
 *       43      1  flags: bit 0 says that a MAC follows; the others are 0
 *       44     32  SHA-256 of the configured certificate that vouches: the CA's, or a
 *                  responder's of responder-certificate
 *       76      1  c, length of the CertID
 *       77      4  d, length of the OCSPResponse
 *       81      c  the CertID, as its canonical OCSPRequest (cache/base/key.h)
 *     81+c      d  the OCSPResponse, as it came
 *   81+c+d     32  MAC, if flagged
 *
 * The MAC is HMAC-SHA-256 over four octets with the length of the key's name (key_name(),
 * without a store's prefix), the name, and all of the value before the MAC.  Nothing
 * follows it.
 */
#include "cache/ocsp/record.h"

#include <assert.h>

#define NOT_AFTER_OFFSET  25
#define REVOKED_AT_OFFSET 33
#define STATUS_OFFSET     41
#define REASON_OFFSET     42
#define FLAGS_OFFSET      43
#define ISSUER_OFFSET     44
#define KEY_N_OFFSET      76
#define DER_N_OFFSET      77
#define FIXED             81
#define FLAG_MAC          1
#define NO_REASON         0xff
#define DER_TAG           0x30

_Static_assert(
    FIXED + KEY_DER_MAX + MAC_SIZE <= RECORD_OVERHEAD, "the overhead is enough");

/* What a record is named in its MAC. */
static struct bytes mac_name(const struct key *k, char name[KEY_NAME_MAX])
{
	return bytes_of(name, key_name(k, name));
}

static void put_fixed(uint8_t *out, const struct key *k, const struct facts *f, size_t n)
{
	out[0] = RECORD_VERSION;
	put_be(out + RECORD_THIS_UPDATE_OFFSET, (uint64_t)f->this_update, 8);
	put_be(out + RECORD_PRODUCED_AT_OFFSET, (uint64_t)f->produced_at, 8);
	put_be(out + RECORD_NEXT_UPDATE_OFFSET, (uint64_t)f->next_update, 8);
	put_be(out + NOT_AFTER_OFFSET, (uint64_t)f->signer_not_after, 8);
	put_be(out + REVOKED_AT_OFFSET, (uint64_t)f->revoked_at, 8);
	out[STATUS_OFFSET] = (uint8_t)f->status;
	out[REASON_OFFSET] = f->reason == REASON_NONE ? NO_REASON : (uint8_t)f->reason;
	out[FLAGS_OFFSET] = 0;
	memcpy(out + ISSUER_OFFSET, f->issuer_sha256, sizeof f->issuer_sha256);
	out[KEY_N_OFFSET] = k->der_n;
	put_be(out + DER_N_OFFSET, n, 4);
}

size_t record_encode(uint8_t *out, const struct key *k, const struct facts *f,
    struct bytes der, const struct mac_keys *keys)
{
	size_t n = FIXED + k->der_n + der.n;
	char name[KEY_NAME_MAX];

	assert(der.n > 0 && der.n <= UINT32_MAX && f->status != STATUS_NONE);
	put_fixed(out, k, f, der.n);
	memcpy(out + FIXED, k->der, k->der_n);
	memcpy(out + FIXED + k->der_n, der.p, der.n);
	if (keys == NULL)
		return n;
	out[FLAGS_OFFSET] = FLAG_MAC;
	if (mac_make(keys, mac_name(k, name), bytes_of(out, n), out + n))
		return n + MAC_SIZE;
	/* Out of memory: a record without MAC is good too, and costs its reader more. */
	out[FLAGS_OFFSET] = 0;
	return n;
}

/* Read the fixed part: false for values that no encoder writes. */
static bool get_facts(struct facts *f, const uint8_t *p)
{
	uint8_t status = p[STATUS_OFFSET], reason = p[REASON_OFFSET];

	if (status < STATUS_GOOD || status > STATUS_UNKNOWN ||
	    (reason != NO_REASON && reason_name(reason) == NULL))
		return false;
	f->status = status;
	f->reason = reason == NO_REASON ? REASON_NONE : reason;
	f->this_update = (int64_t)get_be(p + RECORD_THIS_UPDATE_OFFSET, 8);
	f->produced_at = (int64_t)get_be(p + RECORD_PRODUCED_AT_OFFSET, 8);
	f->next_update = (int64_t)get_be(p + RECORD_NEXT_UPDATE_OFFSET, 8);
	f->signer_not_after = (int64_t)get_be(p + NOT_AFTER_OFFSET, 8);
	f->revoked_at = (int64_t)get_be(p + REVOKED_AT_OFFSET, 8);
	memcpy(f->issuer_sha256, p + ISSUER_OFFSET, sizeof f->issuer_sha256);
	return true;
}

static enum err decode(struct record *r, struct bytes value, const struct key *k,
    const struct mac_keys *keys)
{
	size_t der_n, mac_n, n;
	const uint8_t *p = value.p;
	char name[KEY_NAME_MAX];

	if (value.n < FIXED || p[0] != RECORD_VERSION || p[FLAGS_OFFSET] > FLAG_MAC)
		return ERR_RECORD;
	der_n = get_be(p + DER_N_OFFSET, 4);
	mac_n = p[FLAGS_OFFSET] == FLAG_MAC ? MAC_SIZE : 0;
	n = FIXED + p[KEY_N_OFFSET];
	if (der_n == 0 || value.n < n || value.n - n < mac_n ||
	    value.n - n - mac_n != der_n)
		return ERR_RECORD;
	if (!get_facts(&r->facts, p) ||
	    key_from_der(&r->key, bytes_of(p + FIXED, p[KEY_N_OFFSET])) != ERR_OK)
		return ERR_RECORD;
	if (!key_equal(&r->key, k))
		return ERR_RECORD_KEY;
	r->der = bytes_of(p + n, der_n);
	n += der_n;
	r->mac_ok =
	    mac_n > 0 && mac_is_good(keys, mac_name(k, name), bytes_of(p, n), p + n);
	return ERR_OK;
}

enum err record_decode(struct record *r, struct bytes value, const struct key *k,
    const struct mac_keys *keys)
{
	*r = (struct record){0};
	if (value.n > 0 && value.p[0] == DER_TAG) {
		r->key = *k;
		r->der = value;
		return ERR_OK;
	}
	return decode(r, value, k, keys);
}
