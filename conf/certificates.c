/* PEM or DER, one or several in a file; what is not fit for its use is named with the
 * reason, and what has expired is a warning. */
#include "conf/certificates.h"

#include <errno.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>
#include <stdlib.h>

#include "conf/settings.h"

static const struct use {
	const char *option, *whose;
	const char *expired; /* what it means, and the remedy */
} uses[] = {
    [CERTIFICATE_CA] = {"certificate", "the CA",
	"its answers are still verified, take it out when the CA no longer needs it"},
    [CERTIFICATE_RESPONDER] = {"responder-certificate", "the responder",
	"what it signs is refused, name the responder's present one"},
    [CERTIFICATE_SERVER_CA] = {"upstream-tls-ca", "a CA",
	"no server's certificate is good by it, take it out"},
};

struct loading {
	struct certificates *out;
	enum certificate_use use;
	const char *path;
	time_t now;
	struct report *report;
	const char *file;
	int line;
};

#define REFUSE(l, ...)                                                                   \
	report_error(                                                                    \
	    (l)->report, (l)->file, (l)->line, uses[(l)->use].option, __VA_ARGS__)
#define WARN(l, ...)                                                                     \
	report_warning(                                                                  \
	    (l)->report, (l)->file, (l)->line, uses[(l)->use].option, __VA_ARGS__)

/* RFC 5280 sections 4.2.1.3 and 4.2.1.9.  What has neither extension is taken: the
 * operator names it as issuer, and delegates are checked directly against its key.  A
 * responder may be anything: the operator names it. */
static bool is_fit(const struct loading *l, X509 *x)
{
	uint32_t flags = X509_get_extension_flags(x);
	bool ca = l->use == CERTIFICATE_CA;

	if (ca && (flags & EXFLAG_BCONS) != 0 && (flags & EXFLAG_CA) == 0)
		REFUSE(l,
		    "%s is not a CA's (basicConstraints CA:FALSE); name the certificate "
		    "of the CA itself",
		    l->path);
	else if (ca && (flags & EXFLAG_KUSAGE) != 0 &&
		 (X509_get_key_usage(x) & (KU_KEY_CERT_SIGN | KU_CRL_SIGN)) == 0)
		REFUSE(l,
		    "%s is not a CA's (keyUsage without keyCertSign and cRLSign); name "
		    "the certificate of the CA itself",
		    l->path);
	else if (flags & EXFLAG_INVALID)
		REFUSE(l,
		    "%s has an extension that cannot be read; name another certificate",
		    l->path);
	else if (X509_get0_pubkey(x) == NULL)
		REFUSE(l,
		    "%s has a public key that cannot be used; name another certificate",
		    l->path);
	else
		return true;
	return false;
}

static void warn_about(const struct loading *l, X509 *x)
{
	time_t now = l->now;

	if (l->use == CERTIFICATE_CA && (X509_get_extension_flags(x) & EXFLAG_BCONS) == 0)
		WARN(l,
		    "%s does not say that it is a CA's (no basicConstraints); it is "
		    "taken, check that it is the right one",
		    l->path);
	if (X509_cmp_time(X509_get0_notAfter(x), &now) < 0)
		WARN(l, "%s has expired; %s", l->path, uses[l->use].expired);
	if (X509_cmp_time(X509_get0_notBefore(x), &now) > 0)
		WARN(l, "%s is not valid yet; check the clock", l->path);
}

/* x is handed over. */
static bool take(const struct loading *l, X509 *x)
{
	struct certificates *out = l->out;
	X509 **grown;
	int *lines;

	if (!is_fit(l, x)) {
		X509_free(x);
		return true;
	}
	grown = realloc(out->x, (out->n + 1) * sizeof(X509 *));
	if (grown != NULL)
		out->x = grown;
	lines = realloc(out->line, (out->n + 1) * sizeof *lines);
	if (lines != NULL)
		out->line = lines;
	if (grown == NULL || lines == NULL) {
		X509_free(x);
		return false;
	}
	lines[out->n] = l->line;
	grown[out->n++] = x;
	warn_about(l, x);
	return true;
}

/* OpenSSL would ask on the terminal. */
static int no_password(char *buffer, int size, int writing, void *arg)
{
	(void)buffer, (void)size, (void)writing, (void)arg;
	return -1;
}

static bool load_pem(const struct loading *l, BIO *bio)
{
	bool ok = true;
	X509 *x;
	int n = 0;

	while (ok && (x = PEM_read_bio_X509(bio, NULL, no_password, NULL)) != NULL) {
		ok = take(l, x);
		n++;
	}
	if (ok && ERR_GET_REASON(ERR_peek_last_error()) != PEM_R_NO_START_LINE)
		REFUSE(l,
		    "%s: certificate %d of the file cannot be read; export it again",
		    l->path, n + 1);
	else if (ok && n == 0)
		REFUSE(l,
		    "%s holds no certificate; name a PEM or DER file of %s's "
		    "certificate",
		    l->path, uses[l->use].whose);
	return ok;
}

static bool load_der(const struct loading *l, const char *data, size_t n)
{
	const unsigned char *p = (const unsigned char *)data;
	X509 *x = d2i_X509(NULL, &p, (long)n);

	if (x != NULL && p == (const unsigned char *)data + n)
		return take(l, x);
	REFUSE(l, "%s is not a certificate; name a PEM or DER file of %s's certificate",
	    l->path, uses[l->use].whose);
	X509_free(x);
	return true;
}

static char *read_it(const struct loading *l, size_t *n)
{
	char *data = read_regular_file(l->path, CERTIFICATE_FILE_MAX, n);

	if (data == NULL && errno == EFBIG)
		REFUSE(l, "%s is larger than %d bytes; name %s's certificates only",
		    l->path, CERTIFICATE_FILE_MAX, uses[l->use].whose);
	else if (data == NULL && errno == EINVAL)
		REFUSE(l, "%s is no regular file; name one that is", l->path);
	else if (data == NULL)
		REFUSE(l, "cannot read %s: %s; check its name and permissions", l->path,
		    strerror(errno));
	return data;
}

bool certificates_load(struct certificates *out, enum certificate_use use,
    const char *path, time_t now, struct report *r, const char *file, int line)
{
	struct loading l = {out, use, path, now, r, file, line};
	size_t n;
	char *data = read_it(&l, &n);
	BIO *bio = NULL;
	bool ok = true;

	if (data == NULL)
		return true;
	ERR_clear_error();
	if (memmem(data, n, "-----BEGIN", 10) != NULL) {
		bio = BIO_new_mem_buf(data, (int)n);
		ok = bio != NULL && load_pem(&l, bio);
	} else {
		ok = load_der(&l, data, n);
	}
	BIO_free(bio);
	ERR_clear_error();
	free(data);
	return ok;
}

char *certificates_pem(const struct certificates *c, size_t *n)
{
	BIO *bio = BIO_new(BIO_s_mem());
	bool ok = bio != NULL;
	char *text = NULL, *data;
	long size;

	for (size_t i = 0; ok && i < c->n; i++)
		ok = PEM_write_bio_X509(bio, c->x[i]) == 1;
	size = ok ? BIO_get_mem_data(bio, &data) : 0;
	if (size > 0 && (text = malloc((size_t)size)) != NULL) {
		memcpy(text, data, (size_t)size);
		*n = (size_t)size;
	}
	BIO_free(bio);
	return text;
}

void certificates_free(struct certificates *c)
{
	for (size_t i = 0; i < c->n; i++)
		X509_free(c->x[i]);
	free(c->x);
	free(c->line);
	*c = (struct certificates){0};
}
