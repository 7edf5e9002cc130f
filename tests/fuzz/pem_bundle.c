/* PEM bundles, with one configured issuer.  Whatever the pieces, the same comes of them,
 * within its bounds; and what is one certificate to us is one to OpenSSL. */
#include "tests/lib/fuzz_watch.h"

#include <openssl/err.h>
#include <openssl/pem.h>

#include "cache/watch/watch_issuer.h"
#include "cache/watch/watch_x509.h"
#include "tests/lib/watch_vectors.h"

static struct watch_issuers *index_of_a;
static struct watch_texts texts;

static void make_issuer(void)
{
	static struct issuers *issuers;
	struct issuer_spec spec = {.name = "a", .certificates_n = 1};
	BIO *b = BIO_new_mem_buf(PEM_CA_A, -1);
	X509 *ca = PEM_read_bio_X509(b, NULL, NULL, NULL);
	const struct issuer *list[1];
	size_t clash[2];

	spec.certificates = &ca;
	MUST(ca != NULL && issuers_new(&issuers, &spec, 1, clash) == ERR_OK);
	list[0] = issuers_at(issuers, 0);
	index_of_a = watch_issuers_new(list, 1);
	MUST(index_of_a != NULL);
	X509_free(ca);
	BIO_free(b);
}

struct seen {
	uint64_t hash;
	size_t n;
};

static bool each(void *arg, const struct watch_cert *c)
{
	struct seen *s = arg;

	MUST(c->labels_n == 0 && c->issuer_der.n > 0);
	MUST((c->issuer != NULL) == (c->configured != NULL));
	MUST(!c->verified || c->configured != NULL);
	MUST(utf8_is_valid(c->issuer_name) && c->issuer_name.n <= WATCH_DN_MAX);
	fuzz_cert(&s->hash, c);
	fuzz_mix(&s->hash, c->issuer_der.p, c->issuer_der.n);
	s->n++;
	return true;
}

static bool bad(void *arg, const struct watch_error *e)
{
	struct seen *s = arg;

	fuzz_error(&s->hash, e);
	return true;
}

static struct seen read_all(const uint8_t *data, size_t size, size_t piece)
{
	struct seen s = {.hash = 1};
	struct watch_want want = {.format = WATCH_PEM,
	    .issuers = index_of_a,
	    .each = each,
	    .bad = bad,
	    .arg = &s};
	struct watch_body *b = watch_body_new(&want);

	MUST(b != NULL);
	MUST(fuzz_feed(b, bytes_of(data, size), piece));
	MUST(watch_body_count(b).certificates == s.n && ERR_peek_error() == 0);
	watch_body_free(b);
	return s;
}

/* The input as DER: most of it is behind base64 else. */
static void ask_openssl(const uint8_t *data, size_t size)
{
	const unsigned char *p = data;
	X509 *x = d2i_X509(NULL, &p, (long)size);
	struct watch_error e = {.code = WATCH_FINE};
	struct watch_x509 *ours = watch_x509_new(bytes_of(data, size), false, &e);
	bool good = x != NULL && p == data + size;

	MUST((ours != NULL) == good || e.code == WATCH_BAD_SERIAL);
	ERR_clear_error();
	if (ours != NULL) {
		struct seen s = {.hash = 1};
		struct watch_cert c;
		struct serial serial;

		watch_x509_cert(ours, &texts, &c);
		c.is_ca = false;
		each(&s, &c);
		MUST(serial_from_asn1(&serial, X509_get0_serialNumber(x)) == ERR_OK);
		MUST(serial_equal(&serial, &c.serial));
	}
	watch_x509_free(ours);
	X509_free(x);
	MUST(ERR_peek_error() == 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct seen whole;

	if (index_of_a == NULL)
		make_issuer();
	whole = read_all(data, size, size + 1);
	MUST(read_all(data, size, 1 + size % 61).hash == whole.hash);
	ask_openssl(data, size);
	return 0;
}
