/* crl_pem: what openssl writes is read back, octet for octet. */
#include "proxy/lists/crl_pem.h"

#include <errno.h>
#include <fcntl.h>
#include <openssl/pem.h>
#include <openssl/x509.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

/* A list of n entries, and its PEM, both by OpenSSL. */
static void make_list(int n, uint8_t **der, int *der_n, char **pem, size_t *pem_n)
{
	EVP_PKEY *key = EVP_EC_gen("P-256");
	X509_CRL *c = X509_CRL_new();
	ASN1_TIME *t = ASN1_TIME_set(NULL, 1750000000);
	BIO *b = BIO_new(BIO_s_mem());

	X509_CRL_set_version(c, 1);
	X509_CRL_set1_lastUpdate(c, t);
	for (int i = 1; i <= n; i++) {
		X509_REVOKED *r = X509_REVOKED_new();
		ASN1_INTEGER *serial = ASN1_INTEGER_new();

		ASN1_INTEGER_set(serial, i);
		X509_REVOKED_set_serialNumber(r, serial);
		X509_REVOKED_set_revocationDate(r, t);
		X509_CRL_add0_revoked(c, r);
		ASN1_INTEGER_free(serial);
	}
	X509_CRL_sign(c, key, EVP_sha256());
	*der = NULL;
	*der_n = i2d_X509_CRL(c, der);
	PEM_write_bio_X509_CRL(b, c);
	*pem_n = (size_t)BIO_get_mem_data(b, pem);
	*pem = memcpy(malloc(*pem_n + 1), *pem, *pem_n);
	(*pem)[*pem_n] = '\0';
	BIO_free(b);
	ASN1_TIME_free(t);
	X509_CRL_free(c);
	EVP_PKEY_free(key);
}

static int file_of(const void *p, size_t n)
{
	char path[] = "/tmp/crl_import.XXXXXX";
	int fd = mkstemp(path);

	assert_true(fd >= 0);
	unlink(path);
	assert_int_equal(write(fd, p, n), n);
	lseek(fd, 0, SEEK_SET);
	return fd;
}

/* The next list of p is to be der, or the outcome is this. */
static void expect_next(struct crl_pem *p, enum err wanted, const uint8_t *der, int der_n)
{
	int to = file_of("", 0);
	uint8_t *got = malloc((size_t)der_n + 1);

	assert_int_equal(crl_pem_next(p, to), wanted);
	if (wanted == ERR_OK) {
		assert_int_equal(pread(to, got, (size_t)der_n + 1, 0), der_n);
		assert_memory_equal(got, der, (size_t)der_n);
	}
	free(got);
	close(to);
}

/* The one list of a text; what came of it is to be der where the outcome is ERR_OK. */
static void import(
    enum err wanted, const void *text, size_t n, const uint8_t *der, int der_n)
{
	int from = file_of(text, n);
	struct crl_pem *p = crl_pem_open(from, 1 << 20, NULL);

	assert_non_null(p);
	expect_next(p, wanted, der, der_n);
	if (wanted == ERR_OK)
		expect_next(p, ERR_NOT_FOUND, der, der_n);
	crl_pem_close(p);
	close(from);
}

static void import_text(enum err wanted, const char *text, const uint8_t *der, int der_n)
{
	import(wanted, text, strlen(text), der, der_n);
}

/* R113: a list may be PEM. */
static void pem_becomes_the_der_that_it_is(void **state)
{
	static const int entries[] = {
	    0, 1, 2, 3, 9000}; /* every length of padding; long */
	uint8_t *der;
	char *pem, *more;
	int der_n, from;
	size_t pem_n;

	(void)state;
	for (size_t i = 0; i < sizeof entries / sizeof entries[0]; i++) {
		make_list(entries[i], &der, &der_n, &pem, &pem_n);
		import(ERR_OK, pem, pem_n, der, der_n);
		from = file_of(pem, pem_n);
		assert_true(crl_pem_is(from));
		close(from);
		from = file_of(der, (size_t)der_n);
		assert_false(crl_pem_is(from));
		close(from);

		more = malloc(pem_n + 200);
		sprintf(
		    more, "0 text before,\n-----BEGIN NOTHING-----\n%snor behind\n", pem);
		import_text(ERR_OK, more, der, der_n);
		memcpy(more, pem, pem_n - 1); /* without the last line's end */
		import(ERR_OK, more, pem_n - 1, der, der_n);
		free(more);
		free(der);
		free(pem);
	}
}

static void line_ends_and_lengths_are_free(void **state)
{
	uint8_t *der;
	char *pem, *crlf, *one, *to_crlf, *to_one;
	int der_n;
	size_t pem_n;

	(void)state;
	make_list(3000, &der, &der_n, &pem, &pem_n);
	crlf = to_crlf = malloc(2 * pem_n);
	one = to_one = malloc(2 * pem_n);
	for (const char *p = pem; *p != '\0'; p++) {
		if (*p == '\n') {
			*to_crlf++ = '\r';
			if (p[-1] == '-' || p[1] == '-')
				*to_one++ = '\n';
		} else {
			*to_one++ = *p;
		}
		*to_crlf++ = *p;
	}
	import(ERR_OK, crlf, (size_t)(to_crlf - crlf), der, der_n);
	import(ERR_OK, one, (size_t)(to_one - one), der, der_n); /* one line of 100 KB */
	free(crlf);
	free(one);
	free(der);
	free(pem);
}

static void what_is_no_pem_is_refused(void **state)
{
	uint8_t *der;
	char *pem;
	int der_n;
	size_t pem_n;

	(void)state;
	make_list(5, &der, &der_n, &pem, &pem_n);
	import_text(ERR_NOT_FOUND, "<html>404</html>", der, der_n);
	import_text(ERR_CRL_DER, "-----BEGIN X509 CRL-----", der, der_n);
	import_text(ERR_CRL_DER, "-----BEGIN X509 CRL-----\nMIIB\n", der, der_n);
	import_text(ERR_CRL_DER,
	    "-----BEGIN X509 CRL-----\nMI*B\n-----END X509 CRL-----\n", der, der_n);
	import_text(ERR_CRL_DER,
	    "-----BEGIN X509 CRL-----\nMII\n-----END X509 CRL-----\n", der, der_n);
	import_text(ERR_CRL_DER, "-----BEGIN X509 CRL-----\nMIIB\n-----END X509 CRL\n",
	    der, der_n);
	import_text(ERR_CRL_DER, "-----BEGIN X509 CRL-----\nMIIB-----END X509 CRL-----\n",
	    der, der_n);
	import_text(ERR_NOT_FOUND, "-----BEGIN CERTIFICATE-----\nMIIB\n", der, der_n);
	for (size_t n = 1; n < pem_n - 1; n += 7)
		import(n < strlen("-----BEGIN X509 CRL-----") ? ERR_NOT_FOUND : ERR_CRL_DER,
		    pem, n, der, der_n);
	free(der);
	free(pem);
}

/* As editors on Windows leave it. */
static void a_mark_before_the_first_line_is_nothing(void **state)
{
	char *pem, *text;
	uint8_t *der;
	size_t pem_n;
	int der_n;

	(void)state;
	make_list(3, &der, &der_n, &pem, &pem_n);
	text = malloc(pem_n + 40);
	sprintf(text, "\xef\xbb\xbf%s", pem);
	import_text(ERR_OK, text, der, der_n);
	sprintf(text, "a line\n\xef\xbb\xbf%s", pem); /* elsewhere it is text */
	import_text(ERR_NOT_FOUND, text, der, der_n);
	free(text);
	free(der);
	free(pem);
}

/* R113: one after another, with anything between them; each may be passed over. */
static void lists_follow_each_other(void **state)
{
	static const int entries[] = {2, 20000, 0};
	char *pem[3], *text, *end;
	uint8_t *der[3];
	size_t pem_n[3];
	int der_n[3], from;
	struct crl_pem *p;

	(void)state;
	for (size_t i = 0; i < 3; i++)
		make_list(entries[i], &der[i], &der_n[i], &pem[i], &pem_n[i]);
	text = malloc(pem_n[0] + pem_n[1] + pem_n[2] + 200);
	end = text + sprintf(text,
			 "one\r\n%s\r\n\n-----BEGIN CERTIFICATE-----\nMIIB\n"
			 "-----END CERTIFICATE-----\n%stwo\n%s",
			 pem[0], pem[1], pem[2]);
	from = file_of(text, (size_t)(end - text));
	p = crl_pem_open(from, 1 << 20, NULL);
	for (size_t i = 0; i < 3; i++)
		expect_next(p, ERR_OK, der[i], der_n[i]);
	expect_next(p, ERR_NOT_FOUND, der[0], der_n[0]);
	expect_next(p, ERR_NOT_FOUND, der[0], der_n[0]);
	crl_pem_close(p);
	p = crl_pem_open(from, 1 << 20, NULL); /* from the beginning, wherever it stood */
	assert_int_equal(crl_pem_next(p, -1), ERR_OK);
	assert_int_equal(crl_pem_next(p, -1), ERR_OK);
	expect_next(p, ERR_OK, der[2], der_n[2]);
	crl_pem_close(p);
	end[-30] = '*'; /* a later one that is broken */
	assert_int_equal(pwrite(from, text, (size_t)(end - text), 0), end - text);
	p = crl_pem_open(from, 1 << 20, NULL);
	expect_next(p, ERR_OK, der[0], der_n[0]);
	expect_next(p, ERR_OK, der[1], der_n[1]);
	expect_next(p, ERR_CRL_DER, der[2], der_n[2]);
	crl_pem_close(p);
	close(from);
	for (size_t i = 0; i < 3; i++) {
		free(der[i]);
		free(pem[i]);
	}
	free(text);
}

static void reading_is_bounded_and_can_be_stopped(void **state)
{
	_Atomic bool stop = true;
	char *pem;
	uint8_t *der;
	size_t pem_n;
	int der_n, from, full = open("/dev/full", O_WRONLY);
	struct crl_pem *p;

	(void)state;
	make_list(30, &der, &der_n, &pem, &pem_n);
	from = file_of(pem, pem_n);
	p = crl_pem_open(from, (uint64_t)der_n, &stop);
	assert_int_equal(crl_pem_next(p, -1), ERR_CANCELLED);
	crl_pem_close(p);
	p = crl_pem_open(from, (uint64_t)der_n - 1, NULL);
	assert_int_equal(crl_pem_next(p, -1), ERR_CRL_LARGE);
	crl_pem_close(p);
	p = crl_pem_open(from, (uint64_t)der_n, NULL);
	expect_next(p, ERR_OK, der, der_n);
	crl_pem_close(p);
	p = crl_pem_open(from, (uint64_t)der_n, NULL);
	assert_int_equal(crl_pem_next(p, full), ERR_STORE);
	assert_int_equal(errno, ENOSPC);
	crl_pem_close(p);
	crl_pem_close(NULL);
	close(full);
	close(from);
	free(der);
	free(pem);
}

int main(void)
{
	const struct CMUnitTest cases[] = {
	    cmocka_unit_test(pem_becomes_the_der_that_it_is),
	    cmocka_unit_test(line_ends_and_lengths_are_free),
	    cmocka_unit_test(what_is_no_pem_is_refused),
	    cmocka_unit_test(a_mark_before_the_first_line_is_nothing),
	    cmocka_unit_test(lists_follow_each_other),
	    cmocka_unit_test(reading_is_bounded_and_can_be_stopped),
	};

	return cmocka_run_group_tests(cases, NULL, NULL);
}
