/* watch_kit.c - a body in pieces, and text of what came. */
#include "tests/lib/watch_kit.h"

#include <assert.h>
#include <inttypes.h>
#include <openssl/pem.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include "cache/base/issuer.h"
#include "cache/watch/watch_issuer.h"

#define ISSUERS_MAX 16

static void print(struct watch_kit *k, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

static void print(struct watch_kit *k, const char *format, ...)
{
	va_list ap;
	int n;

	va_start(ap, format);
	n = vsnprintf(k->text + k->n, sizeof k->text - k->n, format, ap);
	va_end(ap);
	assert(n >= 0 && (size_t)n < sizeof k->text - k->n);
	k->n += (size_t)n;
}

static void print_list(
    struct watch_kit *k, const char *what, const struct bytes *list, size_t n)
{
	for (size_t i = 0; i < n; i++)
		print(k, "%s%.*s", i == 0 ? what : ";", (int)list[i].n,
		    (const char *)list[i].p);
}

static void print_time(struct watch_kit *k, int64_t at)
{
	if (at != WATCH_TIME_NONE)
		print(k, "%" PRId64, at);
}

static bool each(void *arg, const struct watch_cert *c)
{
	char hex[SERIAL_HEX_MAX], key[2 * WATCH_AKI_MAX + 1];
	struct watch_kit *k = arg;

	assert(!c->is_ca);
	assert(c->configured == NULL || strcmp(c->configured->name, c->issuer) == 0);
	serial_to_hex(&c->serial, hex);
	print(k, "%" PRIu64 " %s%s %s", c->line, c->issuer != NULL ? c->issuer : "-",
	    c->configured != NULL ? "*" : "", hex);
	if (c->aki.n > 0) {
		hex_encode(c->aki.p, c->aki.n, key);
		print(k, " key=%s", key);
	}
	if (c->not_before != WATCH_TIME_NONE || c->not_after != WATCH_TIME_NONE) {
		print(k, " ");
		print_time(k, c->not_before);
		print(k, "..");
		print_time(k, c->not_after);
	}
	print_list(k, " names=", c->names, c->names_n);
	if (c->names_more > 0)
		print(k, "+%" PRIu64, c->names_more);
	print_list(k, " labels=", c->labels, c->labels_n);
	print_list(k, " crl=", c->crl, c->crl_n);
	print(k, "%s\n", c->verified ? " verified" : "");
	memcpy(k->issuer_text, c->issuer_name.p != NULL ? c->issuer_name.p : (void *)k,
	    c->issuer_name.n);
	k->issuer_text[c->issuer_name.n] = '\0';
	k->count.certificates++;
	return k->stop_at == 0 || k->count.certificates < k->stop_at;
}

static bool bad(void *arg, const struct watch_error *e)
{
	struct watch_kit *k = arg;

	print(k, "%" PRIu64 "! %s: %s\n", e->line, watch_bad_label(e->code), e->why);
	return true;
}

static bool feed_all(
    struct watch_kit *k, struct watch_body *b, const uint8_t *p, size_t n)
{
	size_t step = k->piece > 0 ? k->piece : n;

	for (size_t i = 0; i < n; i += step) {
		size_t m = n - i < step ? n - i : step;
		uint8_t *piece = malloc(m);
		bool go;

		assert(piece != NULL);
		memcpy(piece, p + i, m);
		go = watch_body_feed(b, bytes_of(piece, m));
		free(piece);
		if (!go)
			return false;
	}
	return watch_body_end(b);
}

bool watch_kit_read(struct watch_kit *k, const void *body, size_t n)
{
	struct watch_body *b;
	bool good;

	k->n = 0;
	k->text[0] = '\0';
	k->count = (struct watch_count){0};
	k->want.each = each;
	k->want.bad = k->go_on ? bad : NULL;
	k->want.arg = k;
	b = watch_body_new(&k->want);
	assert(b != NULL);
	good = feed_all(k, b, body, n);
	if (!good) {
		const struct watch_error *e = watch_body_error(b);

		print(k, "%" PRIu64 "!! %s: %s\n", e->line, watch_bad_label(e->code),
		    e->why);
	}
	k->count = watch_body_count(b);
	watch_body_free(b);
	return good;
}

static X509 *read_pem(const char *pem)
{
	BIO *b = BIO_new_mem_buf(pem, -1);
	X509 *x = PEM_read_bio_X509(b, NULL, NULL, NULL);

	assert(x != NULL);
	BIO_free(b);
	return x;
}

/* Kept, so that LeakSanitizer has nothing to say of them. */
static struct kept {
	struct issuers *issuers;
	struct watch_issuers *index;
	const struct issuer *list[ISSUERS_MAX];
} kept[ISSUERS_MAX];
static size_t kept_n;

static void forget(void)
{
	for (size_t i = 0; i < kept_n; i++) {
		watch_issuers_free(kept[i].index);
		issuers_free(kept[i].issuers);
	}
}

const struct watch_issuers *watch_kit_issuers(const struct watch_kit_issuer *list)
{
	struct issuer_spec spec[ISSUERS_MAX] = {{.name = NULL}};
	X509 *ca[ISSUERS_MAX];
	struct kept *k = &kept[kept_n];
	size_t n = 0, cas = 0, clash[2];

	assert(kept_n < ISSUERS_MAX);
	for (; list->name != NULL; list++, cas++) {
		bool more = n > 0 && strcmp(spec[n - 1].name, list->name) == 0;

		assert(cas < ISSUERS_MAX);
		ca[cas] = read_pem(list->pem);
		n += !more;
		if (!more)
			spec[n - 1] = (struct issuer_spec){
			    .name = list->name, .certificates = &ca[cas]};
		spec[n - 1].certificates_n++;
		spec[n - 1].rules.allow_sha1 = list->allow_sha1;
	}
	assert(issuers_new(&k->issuers, spec, n, clash) == ERR_OK);
	while (cas > 0)
		X509_free(ca[--cas]);
	for (size_t i = 0; i < n; i++)
		k->list[i] = issuers_at(k->issuers, i);
	k->index = watch_issuers_new(k->list, n);
	assert(k->index != NULL);
	if (kept_n++ == 0)
		atexit(forget);
	return k->index;
}
