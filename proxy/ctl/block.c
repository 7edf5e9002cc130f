/* block.c - comments, then options, one value a line. */
#include "proxy/ctl/block.h"

#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "conf/values.h"

#define MIRRORS_MAX 3 /* of a list: who has lost four places has lost the CA */

void block_comment(FILE *out, const char *format, ...)
{
	char *text = NULL;
	va_list ap;

	va_start(ap, format);
	if (vasprintf(&text, format, ap) < 0)
		text = NULL;
	va_end(ap);
	fputs("# ", out);
	for (size_t i = 0; text != NULL && text[i] != '\0' && i < BLOCK_COMMENT_MAX; i++)
		fputc(text[i] >= ' ' && text[i] < 0x7f ? text[i] : '?', out);
	fputc('\n', out);
	free(text);
}

static void put_value(FILE *out, const char *text)
{
	fputc('"', out);
	value_quote(out, text, strlen(text));
	fputc('"', out);
}

/* option = { "..." }, with who names each. */
static void put_urls(FILE *out, const struct proposal *p, const char *option,
    const struct proposal_urls *u)
{
	if (u->n == 0)
		return;
	fprintf(out, "\t%s = {\n", option);
	for (size_t i = 0; i < u->n; i++) {
		fputs("\t\t", out);
		put_value(out, u->url[i].text);
		fprintf(out, "%s # named by %u of %u\n", i + 1 < u->n ? "," : "",
		    u->url[i].named, p->issued);
	}
	fputs("\t}\n", out);
	if (u->left_out > 0)
		block_comment(out, "%s: %zu more are left out", option, u->left_out);
}

static void put_certificates(FILE *out, const char *const *file, size_t n)
{
	fputs("\tcertificate = ", out);
	if (n > 1)
		fputs("{ ", out);
	for (size_t i = 0; i < n; i++) {
		fputs(i > 0 ? ", " : "", out);
		put_value(out, file[i]);
	}
	fputs(n > 1 ? " }\n" : "\n", out);
}

static void say_whence(FILE *out, const struct proposal *p)
{
	char name[FOUND_NAME_MAX], until[16];

	found_name(X509_get_subject_name(p->ca[0]->x), name);
	block_comment(out, "%s", name);
	block_comment(out, "issued %u of the certificates found:", p->issued);
	for (size_t i = 0; i < p->places_n; i++)
		block_comment(out, "    %s", p->place[i]);
	if (p->issued > p->places_n && p->places_n == PROPOSAL_PLACES_MAX)
		block_comment(out, "    and others");
	for (size_t i = 0; i < p->ca_n; i++) {
		struct tm t = {0};

		if (ASN1_TIME_to_tm(X509_get0_notAfter(p->ca[i]->x), &t) != 1 ||
		    strftime(until, sizeof until, "%Y-%m-%d", &t) == 0)
			snprintf(until, sizeof until, "?");
		block_comment(out, "its certificate until %s comes from %s", until,
		    p->ca[i]->place);
	}
}

/* What is to be known of its lists. */
static void say_lists(FILE *out, const struct proposal *p)
{
	if (p->crl.n == 0)
		block_comment(out,
		    "none of them names a list: crl = \"ccadb\" takes those that CCADB "
		    "has of a public CA");
	else if (p->crl.n > 1)
		block_comment(out,
		    "the CA divides its list in %zu parts or more; fetched are those "
		    "that "
		    "certificates on watchlists name",
		    p->crl.n);
}

/* The one list, at all its places; the next certificate may name another part of a list
 * that is divided. */
static void put_lists(FILE *out, const struct proposal *p)
{
	if (p->crl.n > 1)
		fputs("\tcrl = \"certificates\"\n\tcrl-need = \"watched\"\n", out);
	if (p->crl.n != 1)
		return;
	fputs("\tcrl = \"", out);
	value_quote(out, p->crl.url[0].text, strlen(p->crl.url[0].text));
	for (size_t i = 0; i < p->mirrors.n && i < MIRRORS_MAX; i++) {
		fputs(" | ", out);
		value_quote(out, p->mirrors.url[i].text, strlen(p->mirrors.url[i].text));
	}
	fprintf(out, "\" # named by %u of %u\n", p->crl.url[0].named, p->issued);
}

bool block_is_whole(const struct proposal *p)
{
	return p->ocsp.n + p->crl.n > 0;
}

void block_write(
    FILE *out, const struct proposal *p, const char *const *certificate, size_t n)
{
	say_whence(out, p);
	say_lists(out, p);
	fputs("issuer ", out);
	put_value(out, p->name);
	fputs(" {\n", out);
	put_certificates(out, certificate, n);
	put_urls(out, p, "ocsp", &p->ocsp);
	put_lists(out, p);
	fputs("}\n", out);
}
