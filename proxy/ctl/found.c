/* found.c - a table by digest; URLs are taken as the configuration would. */
#include "proxy/ctl/found.h"

#include <openssl/err.h>
#include <openssl/x509v3.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "conf/address.h"

#define SLOTS     65536 /* three times FOUND_MAX */
#define URLS_MAX  64    /* that are looked at of one certificate */
#define URL_BYTES 2048  /* as a watchlist keeps (watch_cert.h) */

bool found_open(struct found *f)
{
	*f = (struct found){.cert = calloc(FOUND_MAX, sizeof *f->cert),
	    .slot = calloc(SLOTS, sizeof *f->slot),
	    .filled = calloc(FOUND_MAX, sizeof *f->filled),
	    .note = calloc(FOUND_NOTES_MAX, sizeof *f->note)};
	return f->cert != NULL && f->slot != NULL && f->filled != NULL && f->note != NULL;
}

void found_close(struct found *f)
{
	for (size_t i = 0; i < f->n; i++)
		X509_free(f->cert[i].x);
	for (size_t i = 0; i < f->places_n; i++)
		free(f->place[i]);
	for (size_t i = 0; i < f->notes_n; i++)
		free(f->note[i]);
	free(f->cert);
	free(f->place);
	free(f->note);
	free(f->slot);
	free(f->filled);
	*f = (struct found){0};
}

void found_note(struct found *f, const char *format, ...)
{
	char *text = NULL;
	va_list ap;
	int n;

	if (f->notes_n == FOUND_NOTES_MAX) {
		f->notes_more++;
		return;
	}
	va_start(ap, format);
	n = vasprintf(&text, format, ap);
	va_end(ap);
	if (n >= 0)
		f->note[f->notes_n++] = text;
	else
		f->notes_more++;
}

/* Places. */

bool found_begin(struct found *f, const char *place)
{
	char **grown = realloc(f->place, (f->places_n + 1) * sizeof *grown);

	f->filled_n = 0;
	if (grown == NULL)
		return false;
	f->place = grown;
	grown[f->places_n] = strdup(place);
	if (grown[f->places_n] == NULL)
		return false;
	f->places_n++;
	return true;
}

const char *found_place(const struct found *f)
{
	return f->place[f->places_n - 1];
}

/* A configured file may have nothing else than one CA. */
static bool is_one_ca(const struct found *f)
{
	const struct found_cert *first = &f->cert[f->filled[0]];

	for (size_t i = 0; i < f->filled_n; i++) {
		const struct found_cert *c = &f->cert[f->filled[i]];

		if (!c->is_ca || X509_NAME_cmp(X509_get_subject_name(c->x),
				     X509_get_subject_name(first->x)) != 0)
			return false;
	}
	return f->filled_n > 0;
}

void found_end(struct found *f, bool file)
{
	if (!file || !is_one_ca(f))
		return;
	for (size_t i = 0; i < f->filled_n; i++)
		if (f->cert[f->filled[i]].file == NULL)
			f->cert[f->filled[i]].file = found_place(f);
}

/* Certificates. */

/* What has neither basicConstraints nor another issuer than itself may be an old root. */
static bool is_ca(X509 *x)
{
	uint32_t flags = X509_get_extension_flags(x);

	return (flags & EXFLAG_CA) != 0 ||
	       ((flags & EXFLAG_BCONS) == 0 && (flags & EXFLAG_SI) != 0);
}

static uint32_t *slot_of(const struct found *f, const uint8_t sha256[32])
{
	uint32_t at = (uint32_t)(sha256[0] << 8 | sha256[1]);

	while (
	    f->slot[at] != 0 && memcmp(f->cert[f->slot[at] - 1].sha256, sha256, 32) != 0)
		at = (at + 1) % SLOTS;
	return &f->slot[at];
}

static void keep(struct found *f, X509 *x, const uint8_t sha256[32])
{
	uint32_t *slot = slot_of(f, sha256);
	struct found_cert *c = &f->cert[f->n];

	if (*slot != 0 || f->n == FOUND_MAX) {
		f->left_out += *slot == 0;
		X509_free(x);
	} else {
		*c = (struct found_cert){
		    .x = x, .place = found_place(f), .is_ca = is_ca(x)};
		memcpy(c->sha256, sha256, 32);
		*slot = (uint32_t)++f->n;
	}
	if (*slot != 0 && f->filled_n < FOUND_MAX)
		f->filled[f->filled_n++] = *slot - 1;
}

bool found_add(struct found *f, struct bytes der)
{
	const unsigned char *p = der.p;
	X509 *x = d2i_X509(NULL, &p, (long)der.n);
	uint8_t sha256[32];
	bool whole = x != NULL && p == der.p + der.n &&
		     EVP_Digest(der.p, der.n, sha256, NULL, EVP_sha256(), NULL) == 1;

	ERR_clear_error();
	if (whole)
		keep(f, x, sha256);
	else
		X509_free(x);
	return whole;
}

/* Texts. */

void found_name(const X509_NAME *name, char out[FOUND_NAME_MAX])
{
	BIO *bio = BIO_new(BIO_s_mem());
	char *text = NULL;
	long n = 0;

	/* all that is no printable ASCII is escaped by that form */
	if (bio != NULL && X509_NAME_print_ex(bio, name, 0, XN_FLAG_RFC2253) >= 0)
		n = BIO_get_mem_data(bio, &text);
	if (n < 0 || text == NULL)
		n = 0;
	snprintf(out, FOUND_NAME_MAX, "%.*s%s", n < FOUND_NAME_MAX ? (int)n : 200,
	    text != NULL ? text : "", n < FOUND_NAME_MAX ? "" : "...");
	BIO_free(bio);
}

static bool is_taken_by_loader(const char *url)
{
	const char *why = NULL;
	struct url u;
	char *path;

	if (url_parse(url, &u) != NULL)
		return false;
	path = url_path_normal(&u, &why);
	free(path);
	return path != NULL;
}

/* The text of a name that is a URL; false: none, or none that we could have. */
static bool take_url(const GENERAL_NAME *name, char out[URL_BYTES])
{
	const ASN1_IA5STRING *s = name->type == GEN_URI ? name->d.ia5 : NULL;
	int n = s != NULL ? ASN1_STRING_length(s) : 0;

	if (n <= 0 || n >= URL_BYTES)
		return false;
	memcpy(out, ASN1_STRING_get0_data(s), (size_t)n);
	out[n] = '\0';
	return strlen(out) == (size_t)n && is_taken_by_loader(out);
}

void found_access(X509 *x, int nid, found_url_fn *fn, void *arg)
{
	AUTHORITY_INFO_ACCESS *all = X509_get_ext_d2i(x, NID_info_access, NULL, NULL);
	char url[URL_BYTES];

	for (int i = 0; i < sk_ACCESS_DESCRIPTION_num(all) && i < URLS_MAX; i++) {
		const ACCESS_DESCRIPTION *a = sk_ACCESS_DESCRIPTION_value(all, i);

		if (OBJ_obj2nid(a->method) == nid && take_url(a->location, url))
			fn(arg, url);
	}
	AUTHORITY_INFO_ACCESS_free(all);
	ERR_clear_error();
}

static void each_url(const DIST_POINT *p, found_url_fn *fn, void *arg)
{
	const GENERAL_NAMES *names;
	char url[URL_BYTES];

	if (p->distpoint == NULL || p->distpoint->type != 0 || p->reasons != NULL ||
	    p->CRLissuer != NULL)
		return;
	names = p->distpoint->name.fullname;
	for (int i = 0; i < sk_GENERAL_NAME_num(names) && i < URLS_MAX; i++)
		if (take_url(sk_GENERAL_NAME_value(names, i), url))
			fn(arg, url);
}

void found_lists(X509 *x, found_url_fn *fn, void *arg)
{
	CRL_DIST_POINTS *all =
	    X509_get_ext_d2i(x, NID_crl_distribution_points, NULL, NULL);

	for (int i = 0; i < sk_DIST_POINT_num(all) && i < URLS_MAX; i++)
		each_url(sk_DIST_POINT_value(all, i), fn, arg);
	CRL_DIST_POINTS_free(all);
	ERR_clear_error();
}
