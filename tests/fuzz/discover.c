/* What ocspctl discover prints always loads, and as what it was meant, whatever a CA is
 * called and whatever its certificates point to.  The first line is the CA's name, the
 * second the place where it was found and a path of a crt-list, the others are URLs; DER
 * is read as a certificate too. */
#include <openssl/pem.h>
#include <unistd.h>

#include "conf/conf.h"
#include "proxy/ctl/block.c"
#include "proxy/ctl/crt_list.c"
#include "proxy/ctl/found.c"
#include "proxy/ctl/proposal.c"

#define MUST(x)                                                                          \
	do {                                                                             \
		if (!(x))                                                                \
			abort();                                                         \
	} while (0)

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

static char certificate[] = "/tmp/ocspcached-fuzz-XXXXXX";
static EVP_PKEY *key;

static void remove_file(void)
{
	unlink(certificate);
	EVP_PKEY_free(key);
}

static X509 *make_ca(struct bytes name)
{
	X509 *x = X509_new();
	X509_NAME *empty = X509_NAME_new();

	MUST(x != NULL && empty != NULL);
	X509_gmtime_adj(X509_getm_notBefore(x), 0);
	X509_gmtime_adj(X509_getm_notAfter(x), 86400);
	X509_set_pubkey(x, key);
	if (name.n > 0)
		X509_NAME_add_entry_by_NID(X509_get_subject_name(x), NID_commonName,
		    V_ASN1_UTF8STRING, name.p, (int)name.n, -1, 0);
	/* no certificate that can be read has a name that cannot be written */
	if (i2d_X509_NAME(X509_get_subject_name(x), NULL) <= 0)
		X509_set_subject_name(x, empty);
	ERR_clear_error();
	X509_NAME_free(empty);
	return x;
}

static void make_file(void)
{
	X509 *x;
	FILE *f;
	int fd = mkstemp(certificate);

	key = EVP_EC_gen("P-256");
	MUST(fd >= 0 && key != NULL);
	atexit(remove_file);
	x = make_ca(bytes_of((const uint8_t *)"ca", 2));
	MUST(X509_sign(x, key, EVP_sha256()) > 0);
	f = fdopen(fd, "w");
	MUST(f != NULL && PEM_write_X509(f, x) == 1 && fclose(f) == 0);
	X509_free(x);
}

static struct bytes line(struct bytes *rest)
{
	const uint8_t *nl = rest->n > 0 ? memchr(rest->p, '\n', rest->n) : NULL;
	struct bytes l = bytes_of(rest->p, nl != NULL ? (size_t)(nl - rest->p) : rest->n);

	rest->p += l.n + (nl != NULL);
	rest->n -= l.n + (nl != NULL);
	return l;
}

/* As a certificate's would be taken. */
static void take(struct proposal *p, struct bytes text, bool crl)
{
	ASN1_IA5STRING *s = ASN1_IA5STRING_new();
	GENERAL_NAME name = {.type = GEN_URI, .d.ia5 = s};
	struct adding a = {.urls = crl ? &p->crl : &p->ocsp};
	char url[URL_BYTES];

	MUST(s != NULL && text.n < INT32_MAX);
	if (ASN1_STRING_set(s, text.p, (int)text.n) == 1 && take_url(&name, url))
		add_url(&a, url);
	MUST(!a.nomem);
	ASN1_IA5STRING_free(s);
}

static void check_urls(const struct proposal_urls *u, char *const *list, size_t n)
{
	MUST(u->n == n);
	for (size_t i = 0; i < n; i++)
		MUST(strcmp(u->url[i].text, list[i]) == 0);
}

/* Each line of it is a comment or one of ours. */
static void check_text(const char *text)
{
	for (const char *c = text; *c != '\0'; c++)
		MUST(*c == '\n' || *c == '\t' || (*c >= ' ' && *c < 0x7f));
}

static void check_block(const struct proposal *p)
{
	const char *file = certificate;
	struct conf_errors errors = {0};
	char *text = NULL;
	size_t n;
	FILE *out = open_memstream(&text, &n);
	struct conf *c;

	MUST(out != NULL);
	block_write(out, p, &file, 1);
	MUST(fclose(out) == 0);
	check_text(text);
	c = conf_load("/fuzz.conf", text, &errors);
	MUST((c != NULL) == block_is_whole(p));
	if (c != NULL) {
		MUST(c->issuer_n == 1 && strcmp(c->issuer[0].name, p->name) == 0);
		MUST(c->issuer[0].certificate_n == 1);
		check_urls(&p->ocsp, c->issuer[0].ocsp, c->issuer[0].ocsp_n);
		if (p->crl.n <= 1)
			check_urls(&p->crl, c->issuer[0].crl, c->issuer[0].crl_n);
		else
			MUST(c->issuer[0].crl_n == 1 &&
			     strcmp(c->issuer[0].crl[0], "certificates") == 0);
		MUST(c->watchlist_n == 0);
	}
	conf_free(c);
	conf_errors_free(&errors);
	free(text);
}

static void check_certificate(struct bytes der)
{
	struct found f;
	struct proposals all;

	MUST(found_open(&f) && found_begin(&f, "fuzz"));
	if (found_add(&f, der))
		found_end(&f, true);
	MUST(proposals_make(&all, &f, NULL, 0));
	MUST(all.n == 0 && all.leaves + f.n <= 2);
	proposals_free(&all);
	found_close(&f);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	struct bytes rest = bytes_of(data, n), name, second;
	char place[300], path[PATH_MAX];
	struct found_cert ca = {.place = place};
	const struct found_cert *cas[] = {&ca};
	struct proposal p = {
	    .ca = cas, .ca_n = 1, .issued = 1, .place = {place}, .places_n = 1};

	if (key == NULL)
		make_file();
	if (n > 0 && data[0] == 0x30)
		check_certificate(rest);
	name = line(&rest);
	second = line(&rest);
	snprintf(place, sizeof place, "%.*s", (int)(second.n < 299 ? second.n : 299),
	    second.p != NULL ? (const char *)second.p : "");
	if (crt_list_path(second, path))
		MUST(path[0] != '\0' && strlen(path) <= second.n);
	ca.x = make_ca(name);
	plain_name(&p, p.plain);
	MUST(digest(&p));
	for (int digits = 0; digits <= 32; digits += 8) {
		hashed_name(&p, digits, p.name);
		MUST(name_is_plain(bytes_of(p.name, strlen(p.name))));
		MUST(p.name[0] != '.' && p.name[0] != '-');
	}
	for (bool crl = false; rest.n > 0; crl = !crl)
		take(&p, line(&rest), crl);
	check_block(&p);
	X509_free(ca.x);
	urls_free(&p.ocsp);
	urls_free(&p.crl);
	return 0;
}
