/* Any text is refused with a reason or gives a configuration that prints as text which
 * loads to the same one; and no text, refused or not, stands in the way of the next. */
#include "conf/conf.h"

#include <openssl/pem.h>
#include <stdlib.h>
#include <unistd.h>

#define MUST(x)                                                                          \
	do {                                                                             \
		if (!(x))                                                                \
			abort();                                                         \
	} while (0)

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

static char dir[] = "/tmp/ocspcached-fuzz-XXXXXX";
static char file[64], certificate[64];

static void remove_files(void)
{
	unlink(certificate);
	rmdir(dir);
}

/* ca.pem, so that inputs get as far as issuers. */
static void make_files(void)
{
	EVP_PKEY *key = EVP_EC_gen("P-256");
	X509 *x = X509_new();
	FILE *f;

	MUST(key && x && mkdtemp(dir));
	atexit(remove_files);
	snprintf(file, sizeof file, "%s/fuzz.conf", dir);
	snprintf(certificate, sizeof certificate, "%s/ca.pem", dir);
	X509_gmtime_adj(X509_getm_notBefore(x), 0);
	X509_gmtime_adj(X509_getm_notAfter(x), 86400);
	X509_set_pubkey(x, key);
	MUST(X509_sign(x, key, EVP_sha256()) > 0);
	f = fopen(certificate, "w");
	MUST(f && PEM_write_X509(f, x) && fclose(f) == 0);
	X509_free(x);
	EVP_PKEY_free(key);
}

static char *print(const struct conf *c)
{
	char *text = NULL;
	size_t n;
	FILE *f = open_memstream(&text, &n);

	MUST(f);
	conf_print(c, f);
	MUST(fclose(f) == 0);
	return text;
}

static struct conf *load(const char *text)
{
	struct conf_errors errors;
	struct conf *c = conf_load(file, text, &errors);

	MUST((c == NULL) == (errors.n > 0));
	for (size_t i = 0; i < errors.n; i++)
		MUST(strncmp(errors.line[i], file, strlen(file)) == 0);
	conf_errors_free(&errors);
	return c;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	static const char good[] =
	    "issuer \"a\" { certificate = ca.pem ocsp = 'http://x' }";
	char *text, *first, *second;
	struct conf *c;

	if (*file == '\0')
		make_files();
	/* inputs stay in their directory: a glob over the machine is no test */
	if (memmem(data, n, "include", 7) != NULL &&
	    (memchr(data, '/', n) != NULL || memchr(data, '.', n) != NULL))
		return 0;
	text = strndup((const char *)data, n);
	MUST(text);
	c = load(text);
	free(text);
	if (c != NULL) {
		first = print(c);
		conf_free(c);
		c = load(first);
		MUST(c);
		second = print(c);
		MUST(strcmp(first, second) == 0);
		free(first);
		free(second);
	}
	conf_free(c);
	c = load(good);
	MUST(c && c->issuer_n == 1);
	conf_free(c);
	return 0;
}
