/* The one door on arbitrary bytes, as an answer from upstream and as a value out of a
 * store; and the parsing that lies behind the signature, which a fuzzer cannot make, by
 * itself.
 *
 * The CA is fixed and its key was thrown away: only the seeds in corpus/ocsp_response are
 * signed by it.  So whatever is admitted must say what a seed says.
 *
 * A door that remembers the seed's delegate, one that has seen all the inputs before, and
 * one that has seen nothing say the same of every input. */
#include "cache/ocsp/ocsp_response.h"

#include <openssl/err.h>
#include <stdlib.h>

#include "cache/ocsp/admit.h"
#include "tests/lib/both_ways.h"
#include "tests/lib/unhex.h"

#define NOW INT64_C(1750000000) /* the seeds: from an hour before to a day after */

/* "Fuzz CA", P-256; made with tests/lib/forge.c. */
static const uint8_t ca_der[] = {
    0x30,
    0x82,
    0x01,
    0x38,
    0x30,
    0x81,
    0xdf,
    0xa0,
    0x03,
    0x02,
    0x01,
    0x02,
    0x02,
    0x02,
    0x03,
    0xe8,
    0x30,
    0x0a,
    0x06,
    0x08,
    0x2a,
    0x86,
    0x48,
    0xce,
    0x3d,
    0x04,
    0x03,
    0x02,
    0x30,
    0x12,
    0x31,
    0x10,
    0x30,
    0x0e,
    0x06,
    0x03,
    0x55,
    0x04,
    0x03,
    0x0c,
    0x07,
    0x46,
    0x75,
    0x7a,
    0x7a,
    0x20,
    0x43,
    0x41,
    0x30,
    0x20,
    0x17,
    0x0d,
    0x32,
    0x35,
    0x30,
    0x36,
    0x31,
    0x34,
    0x31,
    0x35,
    0x30,
    0x36,
    0x34,
    0x30,
    0x5a,
    0x18,
    0x0f,
    0x39,
    0x39,
    0x39,
    0x39,
    0x31,
    0x32,
    0x33,
    0x31,
    0x32,
    0x33,
    0x35,
    0x39,
    0x35,
    0x39,
    0x5a,
    0x30,
    0x12,
    0x31,
    0x10,
    0x30,
    0x0e,
    0x06,
    0x03,
    0x55,
    0x04,
    0x03,
    0x0c,
    0x07,
    0x46,
    0x75,
    0x7a,
    0x7a,
    0x20,
    0x43,
    0x41,
    0x30,
    0x59,
    0x30,
    0x13,
    0x06,
    0x07,
    0x2a,
    0x86,
    0x48,
    0xce,
    0x3d,
    0x02,
    0x01,
    0x06,
    0x08,
    0x2a,
    0x86,
    0x48,
    0xce,
    0x3d,
    0x03,
    0x01,
    0x07,
    0x03,
    0x42,
    0x00,
    0x04,
    0x59,
    0xf2,
    0xa3,
    0xf5,
    0xb0,
    0x4a,
    0xf1,
    0xd8,
    0x99,
    0x3e,
    0x11,
    0xbc,
    0x40,
    0x1b,
    0xe8,
    0x5f,
    0x4c,
    0x32,
    0x4a,
    0x73,
    0x0d,
    0x05,
    0x65,
    0x9d,
    0x95,
    0x70,
    0x0e,
    0x98,
    0xed,
    0x4e,
    0xb4,
    0xaa,
    0xb6,
    0x4f,
    0xad,
    0x38,
    0x09,
    0xe6,
    0x89,
    0x4b,
    0x7d,
    0x16,
    0x9e,
    0x68,
    0x58,
    0x3d,
    0xb2,
    0x2b,
    0x13,
    0xb5,
    0x9b,
    0x8b,
    0xd9,
    0x0d,
    0x4e,
    0x0d,
    0xfc,
    0x86,
    0x1b,
    0x8b,
    0x53,
    0xe6,
    0x1b,
    0xad,
    0xa3,
    0x23,
    0x30,
    0x21,
    0x30,
    0x0f,
    0x06,
    0x03,
    0x55,
    0x1d,
    0x13,
    0x01,
    0x01,
    0xff,
    0x04,
    0x05,
    0x30,
    0x03,
    0x01,
    0x01,
    0xff,
    0x30,
    0x0e,
    0x06,
    0x03,
    0x55,
    0x1d,
    0x0f,
    0x01,
    0x01,
    0xff,
    0x04,
    0x04,
    0x03,
    0x02,
    0x01,
    0x06,
    0x30,
    0x0a,
    0x06,
    0x08,
    0x2a,
    0x86,
    0x48,
    0xce,
    0x3d,
    0x04,
    0x03,
    0x02,
    0x03,
    0x48,
    0x00,
    0x30,
    0x45,
    0x02,
    0x21,
    0x00,
    0xec,
    0x08,
    0x26,
    0xb0,
    0x0e,
    0x00,
    0x93,
    0xd0,
    0x2b,
    0x3c,
    0x32,
    0x8e,
    0xb3,
    0x15,
    0xca,
    0xd3,
    0x8b,
    0x22,
    0x1e,
    0x80,
    0xc8,
    0x7e,
    0x97,
    0x3f,
    0x43,
    0x7f,
    0x75,
    0x32,
    0x9d,
    0xc3,
    0xf3,
    0x4e,
    0x02,
    0x20,
    0x66,
    0xe4,
    0xe8,
    0xe5,
    0xc6,
    0xa2,
    0xd9,
    0x5e,
    0xec,
    0xc2,
    0x56,
    0x0c,
    0x3c,
    0xdb,
    0x4f,
    0x6d,
    0x3f,
    0x14,
    0xfa,
    0x59,
    0xc9,
    0xe2,
    0x0d,
    0x7c,
    0x55,
    0x42,
    0xd7,
    0x38,
    0xe0,
    0x94,
    0xf0,
    0x71,
};

/* corpus/ocsp_response/delegated */
static const char delegated[] =
    "308202760a0100a082026f3082026b06092b06010505073001010482025c308202583081b0a21604"
    "14babe6843afa090698accdc8e6825ff647e0222a9180f32303235303631353134303634305a3081"
    "843081813059300d06096086480165030402010500042040d0186bfc6d74b17be0affde7f5073b18"
    "6c36f91a6a3daefcf218361440209f0420752e3e482e6a4e88d8347e34060dd661597ba7d29941c5"
    "3736299b89d4807a47020401aaf00d8000180f32303235303631353134303634305aa011180f3230"
    "3235303631363135303634305a300a06082a8648ce3d0403020348003045022100bb05d426fc9625"
    "33015ee351c00302be85d79c65fe2e67ca852214f02e4a1f4f02200d5961d2bc1e0f4d76422fe619"
    "fb0a5dd57bf8d693c32871bbc3e22bde7d0daca082014b30820147308201433081eba00302010202"
    "0203e9300a06082a8648ce3d04030230123110300e06035504030c0746757a7a2043413020170d32"
    "35303631343135303634305a180f39393939313233313233353935395a300c310a30080603550403"
    "0c01443059301306072a8648ce3d020106082a8648ce3d030107034200041240c73b660e66b45bcb"
    "a750b4b319b8f554039c9244b2047d97bb31020c1a6c15d109d53da7356b28ec2669f13fb3f67720"
    "0ea6c51ab6e430ac28b120e27c09a3353033300b0603551d0f04040302078030130603551d25040c"
    "300a06082b06010505070309300f06092b060105050730010504020500300a06082a8648ce3d0403"
    "02034700304402204e7ec06d5bd75b613bc4d02f327196529603ce537f8f5c64a1288739604ae68e"
    "0220501b0c31607e08d291bc28b62ad13d8095eae5c7617949b3f1316d820c9ae0aa";

static struct issuers *issuers;
static struct issuer issuer;
static struct key key;
static struct admit *always; /* has seen every input */

static void must(bool ok)
{
	if (!ok)
		abort();
}

static void make_issuer(void)
{
	static const struct serial serial = {4, {0x01, 0xaa, 0xf0, 0x0d}};
	const unsigned char *p = ca_der;
	X509 *ca = d2i_X509(NULL, &p, sizeof ca_der);
	struct issuer_spec spec = {
	    .name = "fuzz", .certificates = &ca, .certificates_n = 1};
	size_t clash[2];

	must(ca != NULL && issuers_new(&issuers, &spec, 1, clash) == ERR_OK);
	X509_free(ca);
	issuer = *issuers_at(issuers, 0);
	issuer_key(&issuer, 0, CERTID_SHA256, &serial, &key);
}

static void note(void *arg, const char *check, enum err e, const char *detail)
{
	size_t *n = arg;

	must(check != NULL && detail != NULL && e < ERR_COUNT);
	*n += strlen(detail);
}

static void must_be_a_seed(const struct facts *f)
{
	must(f->status == STATUS_GOOD || f->status == STATUS_REVOKED);
	must(f->this_update == NOW - 3600);
}

static struct admit_question question(void)
{
	return (struct admit_question){
	    .issuer = &issuer, .key = &key, .now = NOW, .skew_s = 300, .max_size = 16384};
}

static void compare(struct bytes in)
{
	struct admit_question q = question();
	struct admit *ad = admit_new();
	struct admit_verdict v;
	uint8_t seed[1024];
	size_t n = unhex(delegated, seed, sizeof seed);

	must(ad != NULL);
	must(admit_der(ad, &q, bytes_of(seed, n), &v, NULL) == ERR_OK);
	(void)both_ways(ad, &q, in);
	(void)both_ways(always, &q, in);
	admit_free(ad);
}

static void judge(struct admit *ad, struct bytes in)
{
	struct admit_question q = question();
	size_t told = 0;
	struct admit_trace trace = {note, &told};
	struct admit_verdict v, w;
	struct bytes der;
	enum err e = admit_der(ad, &q, in, &v, &trace), f;

	must(ERR_peek_error() == 0);
	if (e == ERR_OK)
		must_be_a_seed(&v.facts);
	/* An answer with nextUpdate is the same answer out of a store. */
	f = admit_record(ad, &q, in, NULL, &der, &w, &trace);
	if (in.n > 0 && in.p[0] == 0x30)
		must(f == e);
	if (f == ERR_OK)
		must_be_a_seed(&w.facts);
	must(ERR_peek_error() == 0);
}

static void parse(struct bytes in)
{
	struct ocsp_response r;
	struct ocsp_single s;
	char what[80];

	if (ocsp_response_parse(&r, in, 16384, NULL) == ERR_OK) {
		must(r.tbs.p > in.p && r.tbs.p + r.tbs.n <= in.p + in.n);
		(void)ocsp_response_extensions(&r, what, sizeof what);
		(void)ocsp_response_produced_at(&r);
		for (size_t i = 0; i < r.singles_n; i++) {
			ocsp_response_single(&r, i, &s);
			must(!s.this_update.exact || s.this_update.readable);
		}
		ocsp_response_free(&r);
	}
	ERR_clear_error();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct admit *ad;

	if (issuers == NULL) {
		make_issuer();
		always = admit_new();
		must(always != NULL);
	}
	compare(bytes_of(data, size));
	ad = admit_new();
	must(ad != NULL);
	judge(ad, bytes_of(data, size));
	admit_free(ad);
	parse(bytes_of(data, size));
	return 0;
}
