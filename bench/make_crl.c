/* make_crl.c - a CA and revocation lists of any length, reproducible from a seed.
 *
 *	make_crl --new-ca P-256 --key ca.key --cert ca.pem
 *	make_crl --entries 3048289 --number 2 --key ca.key --cert ca.pem --out list.crl
 *
 * Entry i (from --first, 0) is the same in every list of one --seed, so that a list with
 * more entries contains the one with fewer, as a CA's lists do from one day to the next.
 * Serials are random, 16 to 20 octets; dates lie in 2025; each entry has a reason.
 * 3,048,289 entries are 155 MB, as the day of that many revocations had.
 */
#include <err.h>
#include <getopt.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "bench/listed.h"
#include "cache/base/bytes.h"

#define DAY       (24 * 60 * 60)
#define YEAR_2025 1735689600
#define ENTRY_MAX 64
#define BATCH     (256 * 1024)
#define FRONT_MAX 4096 /* names and times */

static struct order {
	uint64_t entries, first, seed, number;
	int64_t this_update, next_update;
	const char *key, *cert, *out, *scope, *new_ca;
} order = {.number = 1};

static void must(bool good, const char *what)
{
	if (good)
		return;
	ERR_print_errors_fp(stderr);
	errx(1, "%s", what);
}

/* Where bytes go: to the file, or to the signature. */
struct sink {
	FILE *f;
	EVP_MD_CTX *sign;
	size_t n;
	uint8_t batch[BATCH];
};

static void flush(struct sink *s)
{
	if (s->f != NULL)
		must(fwrite(s->batch, 1, s->n, s->f) == s->n, order.out);
	else
		must(EVP_DigestSignUpdate(s->sign, s->batch, s->n) == 1, "digest");
	s->n = 0;
}

static void put(struct sink *s, const uint8_t *p, size_t n)
{
	if (s->n + n > BATCH)
		flush(s);
	must(n <= BATCH, "element");
	memcpy(s->batch + s->n, p, n);
	s->n += n;
}

/* Bytes of the header of an element with n bytes of content, written to out. */
static size_t header(uint8_t out[6], uint8_t tag, size_t n)
{
	size_t octets = n < 128 ? 0 : n < 256 ? 1 : n < 65536 ? 2 : n < 1 << 24 ? 3 : 4;

	out[0] = tag;
	out[1] = (uint8_t)(octets == 0 ? n : 0x80 | octets);
	for (size_t i = 0; i < octets; i++)
		out[2 + i] = (uint8_t)(n >> 8 * (octets - 1 - i));
	return 2 + octets;
}

static void put_header(struct sink *s, uint8_t tag, size_t n)
{
	uint8_t h[6];

	put(s, h, header(h, tag, n));
}

static void digits(uint8_t *p, int n)
{
	p[0] = (uint8_t)('0' + n / 10);
	p[1] = (uint8_t)('0' + n % 10);
}

/* UTCTime in 2025, no leap year. */
static void put_date(uint8_t *p, uint32_t second)
{
	static const uint8_t days[] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
	uint32_t day = second / DAY, rest = second % DAY;
	int month = 0;

	while (day >= days[month])
		day -= days[month++];
	p[0] = 0x17;
	p[1] = 13;
	digits(p + 2, 25);
	digits(p + 4, month + 1);
	digits(p + 6, (int)day + 1);
	digits(p + 8, (int)(rest / 3600));
	digits(p + 10, (int)(rest / 60 % 60));
	digits(p + 12, (int)(rest % 60));
	p[14] = 'Z';
}

static size_t entry(uint64_t i, uint8_t out[ENTRY_MAX])
{
	static const uint8_t reasons[] = {1, 4, 5};
	static const uint8_t extension[] = {
	    0x30, 12, 0x30, 10, 0x06, 3, 0x55, 0x1d, 21, 0x04, 3, 0x0a, 1};
	uint64_t r = listed_word(order.seed, i);
	size_t n = 2, serial_n;
	uint8_t *p = out + n;

	serial_n = listed_serial(order.seed, i, p + 2);
	p[0] = 0x02;
	p[1] = (uint8_t)serial_n;
	n += 2 + serial_n;
	put_date(out + n, (uint32_t)((r >> 16) % (365 * DAY)));
	n += 15;
	memcpy(out + n, extension, sizeof extension);
	n += sizeof extension;
	out[n++] = reasons[(r >> 8) % sizeof reasons];
	out[0] = 0x30;
	out[1] = (uint8_t)(n - 2);
	return n;
}

static size_t put_time(uint8_t *p, int64_t at)
{
	time_t t = at;
	struct tm tm;
	char text[20];

	must(gmtime_r(&t, &tm) != NULL && tm.tm_year < 150, "time");
	strftime(text, sizeof text, "%Y%m%d%H%M%SZ", &tm);
	p[0] = 0x17;
	p[1] = 13;
	memcpy(p + 2, text + 2, 13); /* years of two digits */
	return 15;
}

static size_t take_extension(uint8_t *p, X509_EXTENSION *e, const char *what)
{
	int n = e != NULL ? i2d_X509_EXTENSION(e, &p) : 0;

	must(n > 0, what);
	X509_EXTENSION_free(e);
	return (size_t)n;
}

static size_t add_extension(uint8_t *p, int nid, const char *value, X509 *cert)
{
	X509V3_CTX ctx;

	X509V3_set_ctx(&ctx, cert, NULL, NULL, NULL, 0);
	return take_extension(p, X509V3_EXT_conf_nid(NULL, &ctx, nid, value), value);
}

static size_t add_number(uint8_t *p)
{
	ASN1_INTEGER *i = ASN1_INTEGER_new();
	size_t n;

	must(i != NULL && ASN1_INTEGER_set_uint64(i, order.number) == 1, "number");
	n = take_extension(p, X509V3_EXT_i2d(NID_crl_number, 0, i), "number");
	ASN1_INTEGER_free(i);
	return n;
}

static size_t extensions(uint8_t out[2048], X509 *cert)
{
	uint8_t x[2000], h[6];
	char text[1024];
	size_t n, a, b;

	n = add_extension(x, NID_authority_key_identifier, "keyid:always", cert);
	n += add_number(x + n);
	if (order.scope != NULL) {
		snprintf(text, sizeof text, "critical,fullname:URI:%s", order.scope);
		n += add_extension(x + n, NID_issuing_distribution_point, text, cert);
	}
	a = header(h, 0x30, n);
	b = header(out, 0xa0, a + n);
	memcpy(out + b, h, a);
	memcpy(out + b + a, x, n);
	return a + b + n;
}

/* AlgorithmIdentifier of the signature that key makes with SHA-256. */
static size_t algorithm(uint8_t out[32], EVP_PKEY *key)
{
	static const uint8_t ecdsa[] = {
	    0x30, 10, 0x06, 8, 0x2a, 0x86, 0x48, 0xce, 0x3d, 4, 3, 2};
	static const uint8_t rsa[] = {
	    0x30, 13, 0x06, 9, 0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 1, 1, 11, 5, 0};
	bool is_rsa = EVP_PKEY_get_base_id(key) == EVP_PKEY_RSA;
	size_t n = is_rsa ? sizeof rsa : sizeof ecdsa;

	memcpy(out, is_rsa ? rsa : ecdsa, n);
	return n;
}

/* What tbsCertList has before the entries. */
static size_t front(uint8_t out[FRONT_MAX], X509 *cert, EVP_PKEY *key)
{
	static const uint8_t v2[] = {0x02, 1, 1};
	uint8_t *p = out;

	memcpy(p, v2, sizeof v2);
	p += sizeof v2;
	p += algorithm(p, key);
	must(i2d_X509_NAME(X509_get_subject_name(cert), NULL) < FRONT_MAX / 2, "name");
	must(i2d_X509_NAME(X509_get_subject_name(cert), &p) > 0, "name");
	p += put_time(p, order.this_update);
	p += put_time(p, order.next_update);
	return (size_t)(p - out);
}

struct list {
	uint8_t before[FRONT_MAX], behind[2048], alg[32];
	size_t before_n, behind_n, alg_n;
	size_t entries_n, tbs_n; /* bytes of content */
};

static void list_init(struct list *l, X509 *cert, EVP_PKEY *key)
{
	uint8_t e[ENTRY_MAX], h[6];

	*l = (struct list){0};
	l->before_n = front(l->before, cert, key);
	l->behind_n = extensions(l->behind, cert);
	l->alg_n = algorithm(l->alg, key);
	for (uint64_t i = 0; i < order.entries; i++)
		l->entries_n += entry(order.first + i, e);
	l->tbs_n = l->before_n + l->behind_n + l->entries_n;
	if (l->entries_n > 0)
		l->tbs_n += header(h, 0x30, l->entries_n);
}

static void put_tbs(struct sink *s, const struct list *l)
{
	uint8_t e[ENTRY_MAX];

	put_header(s, 0x30, l->tbs_n);
	put(s, l->before, l->before_n);
	if (l->entries_n > 0)
		put_header(s, 0x30, l->entries_n);
	for (uint64_t i = 0; i < order.entries; i++) {
		size_t n = entry(order.first + i, e);

		put(s, e, n);
	}
	put(s, l->behind, l->behind_n);
	flush(s);
}

/* The entries are made twice, once to be signed and once to be written: the length of an
 * ECDSA signature stands before what it signs, and is not known before. */
static void write_list(X509 *cert, EVP_PKEY *key)
{
	static struct sink s;
	static struct list l;
	uint8_t sig[1024], h[6];
	size_t sig_n = sizeof sig;

	list_init(&l, cert, key);
	s.sign = EVP_MD_CTX_new();
	must(s.sign != NULL &&
		 EVP_DigestSignInit(s.sign, NULL, EVP_sha256(), NULL, key) == 1,
	    "key");
	put_tbs(&s, &l);
	must(EVP_DigestSignFinal(s.sign, sig, &sig_n) == 1, "signature");
	EVP_MD_CTX_free(s.sign);
	s.f = fopen(order.out, "we");
	if (s.f == NULL)
		err(1, "%s", order.out);
	put_header(&s, 0x30,
	    header(h, 0x30, l.tbs_n) + l.tbs_n + l.alg_n + header(h, 0x03, sig_n + 1) +
		1 + sig_n);
	put_tbs(&s, &l);
	put(&s, l.alg, l.alg_n);
	put_header(&s, 0x03, sig_n + 1);
	put(&s, (const uint8_t[]){0}, 1);
	put(&s, sig, sig_n);
	flush(&s);
	if (fclose(s.f) != 0)
		err(1, "%s", order.out);
}

static void extend(X509 *cert, int nid, const char *value)
{
	X509V3_CTX ctx;
	X509_EXTENSION *e;

	X509V3_set_ctx(&ctx, cert, cert, NULL, NULL, 0);
	e = X509V3_EXT_conf_nid(NULL, &ctx, nid, value);
	must(e != NULL && X509_add_ext(cert, e, -1), value);
	X509_EXTENSION_free(e);
}

static FILE *open_or_die(const char *path, const char *mode)
{
	FILE *f = fopen(path, mode);

	if (f == NULL)
		err(1, "%s", path);
	return f;
}

/* kind: "P-256", or the bits of an RSA key. */
static void new_ca(const char *kind)
{
	EVP_PKEY *key =
	    kind[0] == 'P' ? EVP_EC_gen(kind) : EVP_RSA_gen((unsigned)atoi(kind));
	X509 *cert = X509_new();
	X509_NAME *name = X509_get_subject_name(cert);
	FILE *f;

	must(key != NULL && X509_set_version(cert, X509_VERSION_3) &&
		 ASN1_INTEGER_set(X509_get_serialNumber(cert), 1) &&
		 X509_gmtime_adj(X509_getm_notBefore(cert), -2L * DAY) != NULL &&
		 X509_gmtime_adj(X509_getm_notAfter(cert), 3000L * DAY) != NULL &&
		 X509_NAME_add_entry_by_txt(name, "CN", MBSTRING_ASC,
		     (const unsigned char *)"Bench list CA", -1, -1, 0) &&
		 X509_set_issuer_name(cert, name) && X509_set_pubkey(cert, key),
	    "CA");
	extend(cert, NID_basic_constraints, "critical,CA:TRUE");
	extend(cert, NID_key_usage, "critical,keyCertSign,cRLSign");
	extend(cert, NID_subject_key_identifier, "hash");
	must(X509_sign(cert, key, EVP_sha256()) > 0, "CA");
	f = open_or_die(order.key, "we");
	must(PEM_write_PrivateKey(f, key, NULL, NULL, 0, NULL, NULL) && fclose(f) == 0,
	    "key");
	f = open_or_die(order.cert, "we");
	must(PEM_write_X509(f, cert) && fclose(f) == 0, "certificate");
	X509_free(cert);
	EVP_PKEY_free(key);
}

static void make(void)
{
	FILE *f = open_or_die(order.key, "re");
	EVP_PKEY *key = PEM_read_PrivateKey(f, NULL, NULL, NULL);
	X509 *cert;

	fclose(f);
	f = open_or_die(order.cert, "re");
	cert = PEM_read_X509(f, NULL, NULL, NULL);
	fclose(f);
	must(key != NULL && cert != NULL && X509_check_private_key(cert, key) == 1,
	    "key and certificate");
	write_list(cert, key);
	X509_free(cert);
	EVP_PKEY_free(key);
}

static const struct option options[] = {{"entries", 1, NULL, 'n'},
    {"first", 1, NULL, 'f'}, {"seed", 1, NULL, 's'}, {"number", 1, NULL, 'N'},
    {"this-update", 1, NULL, 't'}, {"next-update", 1, NULL, 'u'}, {"key", 1, NULL, 'k'},
    {"cert", 1, NULL, 'c'}, {"out", 1, NULL, 'o'}, {"scope", 1, NULL, 'S'},
    {"new-ca", 1, NULL, 'C'}, {0}};

static bool take_option(int o)
{
	switch (o) {
	case 'n':
		order.entries = strtoull(optarg, NULL, 10);
		return true;
	case 'f':
		order.first = strtoull(optarg, NULL, 10);
		return true;
	case 's':
		order.seed = listed_mix(strtoull(optarg, NULL, 10));
		return true;
	case 'N':
		order.number = strtoull(optarg, NULL, 10);
		return true;
	case 't':
		order.this_update = strtoll(optarg, NULL, 10);
		return true;
	case 'u':
		order.next_update = strtoll(optarg, NULL, 10);
		return true;
	case 'k':
		order.key = optarg;
		return true;
	case 'c':
		order.cert = optarg;
		return true;
	case 'o':
		order.out = optarg;
		return true;
	case 'S':
		order.scope = optarg;
		return true;
	case 'C':
		order.new_ca = optarg;
		return true;
	default:
		return false;
	}
}

int main(int argc, char **argv)
{
	int o;

	order.this_update = (int64_t)time(NULL) - 60;
	order.next_update = order.this_update + 7 * DAY;
	while ((o = getopt_long(argc, argv, "", options, NULL)) != -1)
		if (!take_option(o))
			return 64;
	if (order.key == NULL || order.cert == NULL ||
	    (order.out == NULL && order.new_ca == NULL))
		errx(64, "usage: make_crl [--new-ca P-256|BITS] --key FILE --cert FILE "
			 "[--out FILE --entries N --first N --seed N --number N "
			 "--this-update SECONDS --next-update SECONDS --scope URL]");
	if (order.new_ca != NULL)
		new_ca(order.new_ca);
	if (order.out != NULL)
		make();
	return 0;
}
