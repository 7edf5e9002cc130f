/* The walk through a list, without its signature: a fuzzer cannot make one, and behind it
 * is where a list is believed.  Whatever the walk accepts OpenSSL's decoder reads too,
 * and finds the same entries; and nothing is accepted whole, since nobody has the key. */
#include "cache/crl/crl_walk.h"

#include <openssl/err.h>
#include <openssl/x509v3.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

#include "cache/base/facts.h"
#include "cache/crl/crl_read.h"

#define NOW INT64_C(1767268800)

#define MUST(x)                                                                          \
	do {                                                                             \
		if (!(x))                                                                \
			abort();                                                         \
	} while (0)

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* "Fuzz CA", P-256; its key was thrown away. */
static const char ca_hex[] =
    "308201383081dfa003020102020203e8300a06082a8648ce3d04030230123110300e06035504"
    "030c0746757a7a2043413020170d3235303631343135303634305a180f393939393132333132"
    "33353935395a30123110300e06035504030c0746757a7a2043413059301306072a8648ce3d02"
    "0106082a8648ce3d0301070342000459f2a3f5b04af1d8993e11bc401be85f4c324a730d0565"
    "9d95700e98ed4eb4aab64fad3809e6894b7d169e68583db22b13b59b8bd90d4e0dfc861b8b53"
    "e61bada3233021300f0603551d130101ff040530030101ff300e0603551d0f0101ff04040302"
    "0106300a06082a8648ce3d0403020348003045022100ec0826b00e0093d02b3c328eb315cad3"
    "8b221e80c87e973f437f75329dc3f34e022066e4e8e5c6a2d95eecc2560c3cdb4f6d3f14fa59"
    "c9e20d7c5542d738e094f071";

static struct issuers *issuers;
static struct crl_want want;

static void make_issuer(void)
{
	uint8_t der[sizeof ca_hex / 2];
	const unsigned char *p = der;
	struct issuer_spec spec = {.name = "fuzz", .certificates_n = 1};
	size_t clash[2];
	X509 *ca;

	for (size_t i = 0; i < sizeof der; i++)
		der[i] = (uint8_t)(hex_value(ca_hex[2 * i]) << 4 |
				   hex_value(ca_hex[2 * i + 1]));
	ca = d2i_X509(NULL, &p, sizeof der);
	spec.certificates = &ca;
	MUST(ca != NULL && issuers_new(&issuers, &spec, 1, clash) == ERR_OK);
	X509_free(ca);
	want = (struct crl_want){.issuer = issuers_at(issuers, 0),
	    .scope = "http://a/b",
	    .now = NOW,
	    .skew_s = 300,
	    .max_size = 1 << 20,
	    .copy_fd = -1};
}

/* In the way in which a serial that a request can name is written. */
static bool is_named(const X509_REVOKED *r)
{
	struct serial s;

	return serial_from_asn1(&s, X509_REVOKED_get0_serialNumber(r)) == ERR_OK;
}

static const struct crl_entry *find(const struct crl_list *l, const X509_REVOKED *r)
{
	struct crl_entry key = {0};
	struct serial s;

	MUST(serial_from_asn1(&s, X509_REVOKED_get0_serialNumber(r)) == ERR_OK);
	crl_entry_set_serial(&key, &s);
	return crl_entries_find(l->entries, l->n, &key);
}

/* The reason as OpenSSL reads it, where there is one and it is assigned.  OpenSSL does
 * not mind what is behind it in the extension: 0a 01 nn is all that may be there. */
static int reason_of(const X509_REVOKED *r)
{
	int at = X509_REVOKED_get_ext_by_NID(r, NID_crl_reason, -1);
	ASN1_ENUMERATED *e = X509_REVOKED_get_ext_d2i(r, NID_crl_reason, NULL, NULL);
	long reason = e != NULL ? ASN1_ENUMERATED_get(e) : -1;

	ASN1_ENUMERATED_free(e);
	if (at < 0 || reason < 0 || reason > 10 || reason == 7 || reason == 8 ||
	    ASN1_STRING_length(X509_EXTENSION_get_data(X509_REVOKED_get_ext(r, at))) != 3)
		return REASON_NONE;
	return (int)reason;
}

static void check_entry(const struct crl_list *l, const X509_REVOKED *r)
{
	const struct crl_entry *e = find(l, r);
	struct tm tm;

	MUST(e != NULL && e->n >= 1 && e->n <= SERIAL_MAX);
	MUST(ASN1_TIME_to_tm(X509_REVOKED_get0_revocationDate(r), &tm) == 1);
	if ((l->facts.warnings & CRL_WARN_DUPLICATE) == 0) {
		MUST(crl_entry_at(e) == timegm(&tm));
		MUST(crl_entry_reason(e) == reason_of(r));
	}
}

static void check_list(const struct crl_list *l, const uint8_t *data, size_t size)
{
	const unsigned char *p = data;
	X509_CRL *crl = d2i_X509_CRL(NULL, &p, (long)size);
	STACK_OF(X509_REVOKED) *all = X509_CRL_get_REVOKED(crl);
	int n = sk_X509_REVOKED_num(all);
	uint64_t left_out = 0;

	MUST(crl != NULL && p == data + size);
	MUST(l->facts.entries == (uint64_t)(n > 0 ? n : 0) && l->n <= l->facts.entries);
	for (size_t i = 1; i < l->n; i++)
		MUST(crl_entry_cmp(&l->entries[i - 1], &l->entries[i]) < 0);
	for (int i = 0; i < n; i++) {
		const X509_REVOKED *r = sk_X509_REVOKED_value(all, i);

		if (is_named(r))
			check_entry(l, r);
		else
			left_out++;
	}
	MUST(l->facts.left_out == left_out && l->n <= l->facts.entries - left_out);
	MUST(l->facts.odd <= l->facts.entries - left_out);
	X509_CRL_free(crl);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	int fd = memfd_create("crl", MFD_CLOEXEC);
	struct crl_list *l = NULL;
	struct crl_walk w;
	char why[400];
	enum err e;

	if (issuers == NULL)
		make_issuer();
	MUST(fd >= 0 && write(fd, data, size) == (ssize_t)size);
	MUST(lseek(fd, 0, SEEK_SET) == 0);
	/* Pieces of all sizes, the same for the same input. */
	e = crl_walk(&w, fd, 1 + size % 97, &want, why, sizeof why);
	MUST(e < ERR_COUNT && (e == ERR_OK) == (why[0] == '\0'));
	if (e == ERR_OK)
		check_list(w.list, data, size);
	crl_walk_end(&w);
	MUST(lseek(fd, 0, SEEK_SET) == 0);
	MUST(crl_read(&l, fd, &want, why, sizeof why) != ERR_OK && l == NULL);
	MUST(why[0] != '\0' && ERR_peek_error() == 0);
	close(fd);
	return 0;
}
