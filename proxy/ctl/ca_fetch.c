/* ca_fetch.c - one fetch, and a loop until it has ended. */
#include "proxy/ctl/ca_fetch.h"

#include <event2/event.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/pkcs7.h>
#include <stdlib.h>

#include "proxy/base/version.h"
#include "proxy/ctl/gather.h"
#include "proxy/http/fetch.h"

#define TIMEOUT_MS 10000
/* A certificate has 2 KiB; bundles of a bridge CA's cross-certificates have some 100. */
#define SIZE_MAX_BYTES ((size_t)256 << 10)

struct ca_fetch {
	struct event_base *base;
	struct fetcher *fetcher;
	struct found *found;
	const char *url;
	bool done;
};

struct ca_fetch *ca_fetch_open(const struct network *allow, size_t n)
{
	struct ca_fetch *c = calloc(1, sizeof *c);

	if (c == NULL)
		return NULL;
	c->base = event_base_new();
	c->fetcher =
	    c->base == NULL ? NULL : fetcher_new(c->base, "ocspctl/" OCSPCACHED_VERSION);
	if (c->fetcher == NULL) {
		ca_fetch_close(c);
		return NULL;
	}
	fetcher_configure(
	    c->fetcher, &(struct fetch_policy){.proxy = "", .guard = {allow, n}});
	return c;
}

void ca_fetch_close(struct ca_fetch *c)
{
	if (c == NULL)
		return;
	fetcher_free(c->fetcher);
	if (c->base != NULL)
		event_base_free(c->base);
	free(c);
}

static PKCS7 *read_pkcs7(struct bytes body)
{
	const unsigned char *p = body.p;
	PKCS7 *p7 = d2i_PKCS7(NULL, &p, (long)body.n);
	BIO *bio;

	if (p7 != NULL)
		return p7;
	bio = BIO_new_mem_buf(body.p, (int)body.n);
	p7 = bio != NULL ? PEM_read_bio_PKCS7(bio, NULL, NULL, NULL) : NULL;
	BIO_free(bio);
	return p7;
}

static bool take_pkcs7(struct found *f, struct bytes body)
{
	PKCS7 *p7 = read_pkcs7(body);
	const STACK_OF(X509) *all = NULL;
	bool any = false;

	if (p7 != NULL && PKCS7_type_is_signed(p7) && p7->d.sign != NULL)
		all = p7->d.sign->cert;
	for (int i = 0; i < sk_X509_num(all); i++) {
		unsigned char *der = NULL;
		int n = i2d_X509(sk_X509_value(all, i), &der);

		any = (n > 0 && found_add(f, bytes_of(der, (size_t)n))) || any;
		OPENSSL_free(der);
	}
	PKCS7_free(p7);
	ERR_clear_error();
	return any;
}

static void on_done(void *arg, const struct fetch_result *r)
{
	struct ca_fetch *c = arg;

	c->done = true;
	if (r->error != ERR_OK || r->status != 200)
		found_note(c->found, "%s: %s", c->url, r->detail);
	else if (!gather_text(c->found, r->body) && !take_pkcs7(c->found, r->body))
		found_note(
		    c->found, "%s: what comes from there is no certificate", c->url);
}

bool ca_fetch(struct ca_fetch *c, const char *url, struct found *f)
{
	const struct fetch_request r = {.url = url,
	    .accept = "application/pkix-cert, application/pkcs7-mime",
	    .learnt = true,
	    .timeout_ms = TIMEOUT_MS,
	    .max_size = SIZE_MAX_BYTES};

	c->found = f;
	c->url = url;
	c->done = false;
	if (!found_begin(f, url) || fetch_start(c->fetcher, &r, on_done, c) == NULL)
		return false;
	while (!c->done && event_base_loop(c->base, EVLOOP_ONCE) == 0)
		;
	return true;
}
