/* How a list is refused: with a line for people that ends up in a log. */
#include "cache/crl/crl_reading.h"

#include <openssl/x509v3.h>
#include <stdarg.h>
#include <stdio.h>

/* Text of peers goes into logs: nothing but printable ASCII. */
static void make_printable(char *s)
{
	for (; *s != '\0'; s++)
		if (*s < ' ' || *s > '~')
			*s = '?';
}

enum err crl_refuse(struct crl_walk *w, enum err e, const char *format, ...)
{
	va_list ap;

	if (w->why_n > 0) {
		va_start(ap, format);
		(void)vsnprintf(w->why, w->why_n, format, ap);
		va_end(ap);
		make_printable(w->why);
	}
	return e;
}

enum err crl_refuse_usage(struct crl_walk *w)
{
	return crl_refuse(w, ERR_CRL_USAGE,
	    "the issuer's certificate has a keyUsage without cRLSign (RFC 5280 section "
	    "6.3.3 (f))");
}

bool crl_may_be_signed_by(const struct issuer_ca *ca)
{
	return (X509_get_key_usage(ca->certificate) & KU_CRL_SIGN) != 0;
}
