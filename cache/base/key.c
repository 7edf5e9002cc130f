/* The canonical request is composed by hand and compared as bytes: all lengths of a
 * CertID that we serve are below 256, so that each header has two forms at most. */
#include "cache/base/key.h"

#include <assert.h>
#include <openssl/objects.h>

#define DER_INTEGER      0x02
#define DER_OCTET_STRING 0x04
#define DER_SEQUENCE     0x30
/* OCSPRequest, TBSRequest, requestList, Request and CertID: each is all that is in the
 * one before it. */
#define SEQUENCES 5
/* Every length is below 256, so a header has 2 bytes, or 3 from 128 on. */
#define HEADER_MAX 3
/* An AlgorithmIdentifier: 2 bytes of header, 2 + 9 of the OID, 2 of NULL. */
#define ALGORITHM_MAX 15

static const struct {
	const char *name;
	int nid;
	uint8_t size;
	uint8_t algorithm_n;
	uint8_t algorithm[ALGORITHM_MAX]; /* DER of AlgorithmIdentifier */
} hashes[CERTID_HASH_COUNT] = {
    /* 1.3.14.3.2.26 */
    [CERTID_SHA1] = {"sha1", NID_sha1, 20, 11,
	{0x30, 0x09, 0x06, 0x05, 0x2b, 0x0e, 0x03, 0x02, 0x1a, 0x05, 0x00}},
    /* 2.16.840.1.101.3.4.2.1, .2 and .3 */
    [CERTID_SHA256] = {"sha256", NID_sha256, 32, 15,
	{0x30, 0x0d, 0x06, 0x09, 0x60, 0x86, 0x48, 0x01, 0x65, 0x03, 0x04, 0x02, 0x01,
	    0x05, 0x00}},
    [CERTID_SHA384] = {"sha384", NID_sha384, 48, 15,
	{0x30, 0x0d, 0x06, 0x09, 0x60, 0x86, 0x48, 0x01, 0x65, 0x03, 0x04, 0x02, 0x02,
	    0x05, 0x00}},
    [CERTID_SHA512] = {"sha512", NID_sha512, 64, 15,
	{0x30, 0x0d, 0x06, 0x09, 0x60, 0x86, 0x48, 0x01, 0x65, 0x03, 0x04, 0x02, 0x03,
	    0x05, 0x00}},
};

_Static_assert(
    SEQUENCES *HEADER_MAX + ALGORITHM_MAX + 2 * (2 + CERTID_HASH_MAX) + 2 + SERIAL_MAX <=
	KEY_DER_MAX,
    "the longest canonical request fits");

const char *certid_hash_name(enum certid_hash h)
{
	assert(h < CERTID_HASH_COUNT);
	return hashes[h].name;
}

size_t certid_hash_size(enum certid_hash h)
{
	assert(h < CERTID_HASH_COUNT);
	return hashes[h].size;
}

int certid_hash_nid(enum certid_hash h)
{
	assert(h < CERTID_HASH_COUNT);
	return hashes[h].nid;
}

bool certid_hash_from_nid(int nid, enum certid_hash *h)
{
	for (int i = 0; i < CERTID_HASH_COUNT; i++) {
		if (hashes[i].nid == nid) {
			*h = i;
			return true;
		}
	}
	return false;
}

/* Two's complement of a number: out = -in, n octets both, big endian. */
static void negate(uint8_t *out, const uint8_t *in, size_t n)
{
	unsigned carry = 1;

	for (size_t i = n; i-- > 0;) {
		carry += (uint8_t)~in[i];
		out[i] = (uint8_t)carry;
		carry >>= 8;
	}
}

/* The shortest two's complement of a magnitude (big endian, leading zeros allowed). */
static enum err serial_set(struct serial *s, bool negative, const uint8_t *m, size_t n)
{
	uint8_t wide[SERIAL_MAX + 1] = {0};
	size_t i = 0;

	while (n > 0 && m[0] == 0) {
		m++;
		n--;
	}
	if (n > SERIAL_MAX)
		return ERR_REQ_SERIAL;
	if (n > 0)
		memcpy(wide + sizeof wide - n, m, n);
	if (negative)
		negate(wide, wide, sizeof wide);
	/* Drop octets that only repeat the sign of the next one. */
	while (i + 1 < sizeof wide && wide[i] == ((wide[i + 1] & 0x80) != 0 ? 0xff : 0))
		i++;
	if (sizeof wide - i > SERIAL_MAX)
		return ERR_REQ_SERIAL;
	s->n = (uint8_t)(sizeof wide - i);
	memcpy(s->octets, wide + i, s->n);
	return ERR_OK;
}

/* The digits without the colons between them, from the last one on; false where something
 * else stands there, or more than m holds. */
static bool read_digits(const char *hex, size_t n, uint8_t m[SERIAL_MAX])
{
	size_t digits = 0;
	bool colon = true; /* one here would have no digit behind it */

	for (size_t i = n; i > 0; i--) {
		int v = hex_value((unsigned char)hex[i - 1]);

		if (hex[i - 1] == ':' && !colon) {
			colon = true;
			continue;
		}
		if (v < 0 || (digits >= 2 * SERIAL_MAX && v > 0))
			return false;
		if (digits < 2 * SERIAL_MAX)
			m[SERIAL_MAX - 1 - digits / 2] |= (uint8_t)(v << digits % 2 * 4);
		digits++;
		colon = false;
	}
	return !colon;
}

/* No negative zero. */
static enum err sign_serial(struct serial *s, bool negative, const uint8_t m[SERIAL_MAX])
{
	static const uint8_t zero[SERIAL_MAX];

	if (negative && memcmp(m, zero, sizeof zero) == 0)
		return ERR_REQ_SERIAL;
	return serial_set(s, negative, m, SERIAL_MAX);
}

static enum err hex_to_serial(struct serial *s, const char *hex, size_t n)
{
	uint8_t m[SERIAL_MAX] = {0};
	bool negative = n > 0 && hex[0] == '-';

	hex += negative;
	n -= negative;
	if (n > 2 && hex[0] == '0' && (hex[1] == 'x' || hex[1] == 'X')) {
		hex += 2;
		n -= 2;
	}
	return read_digits(hex, n, m) ? sign_serial(s, negative, m) : ERR_REQ_SERIAL;
}

enum err serial_from_hex_text(struct serial *s, struct bytes hex)
{
	return hex_to_serial(s, (const char *)hex.p, hex.n);
}

enum err serial_from_hex(struct serial *s, const char *hex)
{
	return hex_to_serial(s, hex, strlen(hex));
}

/* m = scale * m + value; false where it has no room. */
static bool append_digits(uint8_t m[SERIAL_MAX], uint64_t scale, uint64_t value)
{
	uint64_t carry = value;

	for (size_t i = SERIAL_MAX; i-- > 0; carry >>= 8) {
		carry += scale * m[i];
		m[i] = (uint8_t)carry;
	}
	return carry == 0;
}

/* Nine digits at a time: so many fit in 32 bits. */
static bool read_decimal(const uint8_t *p, size_t n, uint8_t m[SERIAL_MAX])
{
	while (n > 0) {
		uint64_t scale = 1, value = 0;

		for (int i = 0; i < 9 && n > 0; i++, n--, p++) {
			if (*p < '0' || *p > '9')
				return false;
			value = value * 10 + (*p - (uint64_t)'0');
			scale *= 10;
		}
		if (!append_digits(m, scale, value))
			return false;
	}
	return true;
}

enum err serial_from_decimal(struct serial *s, struct bytes digits)
{
	uint8_t m[SERIAL_MAX] = {0};
	bool negative = digits.n > 0 && digits.p[0] == '-';

	if (digits.n <= (size_t)negative ||
	    !read_decimal(digits.p + negative, digits.n - negative, m))
		return ERR_REQ_SERIAL;
	return sign_serial(s, negative, m);
}

void serial_to_hex(const struct serial *s, char out[SERIAL_HEX_MAX])
{
	uint8_t m[SERIAL_MAX];
	char digits[2 * SERIAL_MAX + 1];
	const char *p = digits;
	bool negative = s->octets[0] & 0x80;

	assert(s->n >= 1 && s->n <= SERIAL_MAX);
	if (negative)
		negate(m, s->octets, s->n);
	else
		memcpy(m, s->octets, s->n);
	hex_encode(m, s->n, digits);
	while (p[0] == '0' && p[1] != '\0')
		p++;
	if (negative)
		*out++ = '-';
	memcpy(out, p, strlen(p) + 1);
}

enum err serial_from_asn1(struct serial *s, const ASN1_INTEGER *a)
{
	int n = ASN1_STRING_length(a);

	return serial_set(s, ASN1_STRING_type(a) == V_ASN1_NEG_INTEGER,
	    ASN1_STRING_get0_data(a), n < 0 ? 0 : (size_t)n);
}

bool serial_equal(const struct serial *a, const struct serial *b)
{
	return a->n == b->n && memcmp(a->octets, b->octets, a->n) == 0;
}

static uint8_t *write_header(uint8_t *p, uint8_t tag, size_t n)
{
	*p++ = tag;
	if (n >= 128)
		*p++ = 0x81;
	*p++ = (uint8_t)n;
	return p;
}

static uint8_t *write_value(uint8_t *p, uint8_t tag, const uint8_t *value, size_t n)
{
	p = write_header(p, tag, n);
	memcpy(p, value, n);
	return p + n;
}

void key_make(struct key *k, enum certid_hash h, const uint8_t *name_hash,
    const uint8_t *key_hash, const struct serial *s)
{
	size_t n, level[SEQUENCES];
	uint8_t *p = k->der;

	assert(h < CERTID_HASH_COUNT && s->n >= 1 && s->n <= SERIAL_MAX);
	n = hashes[h].algorithm_n + 2 * (2 + (size_t)hashes[h].size) + 2 + s->n;
	for (int i = SEQUENCES; i-- > 0;) {
		level[i] = n;
		n += n < 128 ? 2 : HEADER_MAX;
	}
	for (int i = 0; i < SEQUENCES; i++)
		p = write_header(p, DER_SEQUENCE, level[i]);
	memcpy(p, hashes[h].algorithm, hashes[h].algorithm_n);
	p += hashes[h].algorithm_n;
	p = write_value(p, DER_OCTET_STRING, name_hash, hashes[h].size);
	p = write_value(p, DER_OCTET_STRING, key_hash, hashes[h].size);
	p = write_value(p, DER_INTEGER, s->octets, s->n);
	k->hash = (uint8_t)h;
	k->der_n = (uint8_t)(p - k->der);
	assert(k->der_n == n);
}

/* Where the content of the CertID begins. */
static size_t certid_at(const uint8_t *der)
{
	size_t at = 0;

	for (int i = 0; i < SEQUENCES; i++)
		at += der[at + 1] == 0x81 ? HEADER_MAX : 2;
	return at;
}

static size_t name_hash_at(const struct key *k)
{
	return certid_at(k->der) + hashes[k->hash].algorithm_n + 2;
}

static size_t key_hash_at(const struct key *k)
{
	return name_hash_at(k) + hashes[k->hash].size + 2;
}

static size_t serial_at(const struct key *k)
{
	return key_hash_at(k) + hashes[k->hash].size + 2;
}

static bool find_algorithm(struct bytes der, size_t at, enum certid_hash *h)
{
	for (int i = 0; i < CERTID_HASH_COUNT; i++) {
		size_t n = hashes[i].algorithm_n;

		if (der.n - at >= n && memcmp(der.p + at, hashes[i].algorithm, n) == 0) {
			*h = i;
			return true;
		}
	}
	return false;
}

static bool serial_is_shortest(const struct serial *s)
{
	return s->n == 1 || s->octets[0] != ((s->octets[1] & 0x80) != 0 ? 0xff : 0);
}

/* What the bytes would say if they were canonical is taken from the places where it would
 * be, and written again: only a canonical request comes out as it went in.  So nothing
 * here has to judge tags and lengths, and cannot forget one. */
enum err key_from_der(struct key *k, struct bytes der)
{
	enum certid_hash h;
	struct serial s = {0};
	const uint8_t *name_hash;
	size_t at, size;

	/* With so many bytes certid_at() stays inside; a canonical request has more. */
	if (der.n > KEY_DER_MAX || der.n < SEQUENCES * HEADER_MAX)
		return ERR_REQ_DER;
	at = certid_at(der.p);
	if (!find_algorithm(der, at, &h))
		return ERR_REQ_DER;
	size = hashes[h].size;
	name_hash = der.p + at + hashes[h].algorithm_n + 2;
	at += hashes[h].algorithm_n + 2 * (2 + size) + 2;
	if (der.n <= at || der.n - at > SERIAL_MAX)
		return ERR_REQ_DER;
	s.n = (uint8_t)(der.n - at);
	memcpy(s.octets, der.p + at, s.n);
	if (!serial_is_shortest(&s))
		return ERR_REQ_DER;
	key_make(k, h, name_hash, name_hash + size + 2, &s);
	return bytes_equal(key_der(k), der) ? ERR_OK : ERR_REQ_DER;
}

struct bytes key_der(const struct key *k)
{
	return bytes_of(k->der, k->der_n);
}

struct bytes key_issuer_name_hash(const struct key *k)
{
	return bytes_of(k->der + name_hash_at(k), hashes[k->hash].size);
}

struct bytes key_issuer_key_hash(const struct key *k)
{
	return bytes_of(k->der + key_hash_at(k), hashes[k->hash].size);
}

void key_serial(const struct key *k, struct serial *s)
{
	size_t at = serial_at(k);

	s->n = (uint8_t)(k->der_n - at);
	memcpy(s->octets, k->der + at, s->n);
}

bool key_equal(const struct key *a, const struct key *b)
{
	return bytes_equal(key_der(a), key_der(b));
}

size_t key_name(const struct key *k, char out[KEY_NAME_MAX])
{
	struct bytes name = key_issuer_name_hash(k), key = key_issuer_key_hash(k);
	struct serial s;
	char *p = out;
	size_t n = strlen(hashes[k->hash].name);

	memcpy(p, hashes[k->hash].name, n);
	p += n;
	*p++ = ':';
	hex_encode(name.p, name.n, p);
	p += 2 * name.n;
	*p++ = ':';
	hex_encode(key.p, key.n, p);
	p += 2 * key.n;
	*p++ = ':';
	key_serial(k, &s);
	serial_to_hex(&s, p);
	return (size_t)(p - out) + strlen(p);
}

/* Either case; the caller compares with what key_name() writes. */
static bool read_hash(uint8_t *out, size_t size, const char **p, const char *end)
{
	if ((size_t)(end - *p) < 2 * size + 1)
		return false;
	if (!hex_decode(*p, size, out))
		return false;
	*p += 2 * size;
	return *(*p)++ == ':';
}

static bool read_hash_name(enum certid_hash *h, const char **p, const char *end)
{
	for (int i = 0; i < CERTID_HASH_COUNT; i++) {
		size_t n = strlen(hashes[i].name);

		if ((size_t)(end - *p) > n && memcmp(*p, hashes[i].name, n) == 0 &&
		    (*p)[n] == ':') {
			*p += n + 1;
			*h = i;
			return true;
		}
	}
	return false;
}

enum err key_from_name(struct key *k, const char *name, size_t n)
{
	const char *p = name, *end = name + n;
	uint8_t name_hash[CERTID_HASH_MAX], key_hash[CERTID_HASH_MAX];
	char again[KEY_NAME_MAX];
	enum certid_hash h;
	struct serial s;

	if (!read_hash_name(&h, &p, end) ||
	    !read_hash(name_hash, hashes[h].size, &p, end) ||
	    !read_hash(key_hash, hashes[h].size, &p, end) ||
	    hex_to_serial(&s, p, (size_t)(end - p)) != ERR_OK)
		return ERR_REQ_DER;
	key_make(k, h, name_hash, key_hash, &s);
	/* One name for a key: upper case and leading zeros are somebody else's. */
	if (key_name(k, again) != n || memcmp(again, name, n) != 0)
		return ERR_REQ_DER;
	return ERR_OK;
}
