/* forge_crl.c - DER from the inside to the outside, signed last. */
#include "tests/lib/forge_crl.h"

#include <openssl/err.h>
#include <openssl/x509v3.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#define MUST(x)                                                                          \
	do {                                                                             \
		if (!(x)) {                                                              \
			fprintf(stderr, "forge_crl: %s (line %d)\n", #x, __LINE__);      \
			ERR_print_errors_fp(stderr);                                     \
			exit(99);                                                        \
		}                                                                        \
	} while (0)

/* Everything that was built, to be freed by forge_crl_reset(). */
struct block {
	struct block *next;
	uint8_t bytes[];
};
static struct block *blocks;

static uint8_t *room(size_t n)
{
	struct block *b = malloc(sizeof *b + n + 1);

	MUST(b != NULL);
	b->next = blocks;
	blocks = b;
	return b->bytes;
}

void forge_crl_reset(void)
{
	while (blocks != NULL) {
		struct block *b = blocks;

		blocks = b->next;
		free(b);
	}
}

struct bytes forge_join(struct bytes a, struct bytes b)
{
	uint8_t *p = room(a.n + b.n);

	if (a.n > 0)
		memcpy(p, a.p, a.n);
	if (b.n > 0)
		memcpy(p + a.n, b.p, b.n);
	return bytes_of(p, a.n + b.n);
}

static size_t header(uint8_t *out, uint8_t tag, size_t n, size_t octets_min)
{
	size_t octets = n < 128 ? 0 : n < 256 ? 1 : n < 65536 ? 2 : n < 1 << 24 ? 3 : 4;

	if (octets < octets_min)
		octets = octets_min;
	out[0] = tag;
	out[1] = (uint8_t)(octets == 0 ? n : 0x80 | octets);
	for (size_t i = 0; i < octets; i++)
		out[2 + i] = (uint8_t)(n >> 8 * (octets - 1 - i));
	return 2 + octets;
}

static struct bytes wrap(uint8_t tag, struct bytes content, size_t octets_min)
{
	uint8_t h[6];

	return forge_join(bytes_of(h, header(h, tag, content.n, octets_min)), content);
}

struct bytes forge_der(uint8_t tag, struct bytes content)
{
	return wrap(tag, content, 0);
}

struct bytes forge_hex(const char *hex)
{
	size_t n = strlen(hex) / 2;
	uint8_t *p = room(n);

	for (size_t i = 0; i < n; i++)
		p[i] = (uint8_t)(hex_value(hex[2 * i]) << 4 | hex_value(hex[2 * i + 1]));
	return bytes_of(p, n);
}

static struct bytes time_of(const char *text)
{
	size_t n = strlen(text);

	return forge_der(n == 13 ? 0x17 : 0x18, bytes_of(text, n));
}

struct bytes forge_extension_of(const char *oid, bool critical, struct bytes value)
{
	ASN1_OBJECT *o = OBJ_txt2obj(oid, 1);
	struct bytes b;

	MUST(o != NULL);
	b = forge_der(0x06, bytes_of(OBJ_get0_data(o), OBJ_length(o)));
	ASN1_OBJECT_free(o);
	if (critical)
		b = forge_join(b, forge_hex("0101ff"));
	return forge_der(0x30, forge_join(b, forge_der(0x04, value)));
}

struct bytes forge_idp(const char *words)
{
	X509_EXTENSION *e =
	    X509V3_EXT_conf_nid(NULL, NULL, NID_issuing_distribution_point, words);
	const ASN1_OCTET_STRING *value;
	struct bytes b;

	MUST(e != NULL);
	value = X509_EXTENSION_get_data(e);
	b = forge_extension_of("2.5.29.28", true,
	    bytes_of(ASN1_STRING_get0_data(value), (size_t)ASN1_STRING_length(value)));
	X509_EXTENSION_free(e);
	return b;
}

/* At most as long as its parts and four headers of short lengths, or 2 octets more. */
static size_t entry_size(const struct forge_crl_entry *e)
{
	return e->serial.n + strlen(e->at) + e->extensions.n + 64;
}

static size_t put(uint8_t *out, uint8_t tag, const void *p, size_t n)
{
	size_t h = header(out, tag, n, 0);

	if (n > 0)
		memcpy(out + h, p, n);
	return h + n;
}

/* Written in place: lists of a million entries are made of this. */
static size_t put_entry(uint8_t *out, const struct forge_crl_entry *e)
{
	uint8_t reason[] = {0x30, 10, 0x06, 3, 0x55, 0x1d, 21, 0x04, 3, 0x0a, 1, 0};
	size_t x = (e->reason >= 0 ? sizeof reason : 0) + e->extensions.n;
	size_t at_n = strlen(e->at), n, h;
	uint8_t head[6], *p = out;

	n = header(head, 0x02, e->serial.n, 0) + e->serial.n;
	n += 2 + at_n + (x > 0 ? header(head, 0x30, x, 0) + x : 0);
	p += header(p, 0x30, n, 0);
	p += put(p, 0x02, e->serial.p, e->serial.n);
	p += put(p, at_n == 13 ? 0x17 : 0x18, e->at, at_n);
	if (x > 0) {
		h = header(p, 0x30, x, 0);
		p += h;
	}
	if (e->reason >= 0) {
		reason[sizeof reason - 1] = (uint8_t)e->reason;
		memcpy(p, reason, sizeof reason);
		p += sizeof reason;
	}
	if (e->extensions.n > 0) {
		memcpy(p, e->extensions.p, e->extensions.n);
		p += e->extensions.n;
	}
	return (size_t)(p - out);
}

static struct bytes entries(const struct forge_crl *f)
{
	size_t most = 0, n = 0;
	uint8_t *p;

	for (size_t i = 0; i < f->entries_n; i++)
		most += entry_size(&f->entry[i]);
	p = room(most);
	for (size_t i = 0; i < f->entries_n; i++)
		n += put_entry(p + n, &f->entry[i]);
	return forge_join(bytes_of(p, n), f->entries);
}

static struct bytes extensions(const struct forge_crl *f)
{
	struct bytes b = {0};

	if (f->number != NULL)
		b = forge_extension_of(
		    "2.5.29.20", false, forge_der(0x02, forge_hex(f->number)));
	b = forge_join(b, f->extensions);
	return b.n > 0 ? forge_der(0xa0, forge_der(0x30, b)) : b;
}

static struct bytes name(const struct forge_crl *f)
{
	const unsigned char *p;
	size_t n;

	if (f->name.n > 0)
		return f->name;
	MUST(X509_NAME_get0_der(X509_get_subject_name(f->issuer), &p, &n) == 1);
	return bytes_of(p, n);
}

static struct bytes algorithm(const struct forge_crl *f, enum forge_signature kind)
{
	return f->algorithm.n > 0 ? f->algorithm : forge_algorithm(kind);
}

static struct bytes tbs(const struct forge_crl *f)
{
	const char *version = f->version != NULL ? f->version : "01";
	struct bytes b = {0}, list = entries(f);

	if (version[0] != '\0')
		b = forge_der(0x02, forge_hex(version));
	b = forge_join(b, algorithm(f, f->other_inner ? f->inner : f->signature));
	b = forge_join(b, name(f));
	b = forge_join(b, time_of(f->this_update));
	if (f->next_update != NULL)
		b = forge_join(b, time_of(f->next_update));
	if (list.n > 0 || f->empty)
		b = forge_join(b, forge_der(0x30, list));
	return forge_der(0x30, forge_join(b, extensions(f)));
}

struct bytes forge_crl(const struct forge_crl *f)
{
	struct bytes b = tbs(f), s = forge_sign(f->signature, f->key, b), out;
	uint8_t *signature = room(1 + s.n);

	signature[0] = 0;
	memcpy(signature + 1, s.p, s.n);
	if (f->break_signature)
		signature[s.n] ^= 1;
	b = forge_join(b, algorithm(f, f->signature));
	b = forge_join(b, forge_der(0x03, bytes_of(signature, 1 + s.n)));
	if (f->indefinite)
		out = forge_join(forge_join(forge_hex("3080"), b), forge_hex("0000"));
	else
		out = wrap(0x30, b, f->long_length ? 4 : 0);
	return out;
}

int forge_file(struct bytes b)
{
	int fd = memfd_create("list", MFD_CLOEXEC);

	MUST(fd >= 0);
	for (size_t n = 0; n < b.n;) {
		ssize_t k = write(fd, b.p + n, b.n - n);

		MUST(k > 0);
		n += (size_t)k;
	}
	MUST(lseek(fd, 0, SEEK_SET) == 0);
	return fd;
}
