/* ccadb_sets.c - an index by key identifier and by fingerprint; URLs in sorted arrays. */
#include "cache/watch/ccadb_sets.h"

#include <assert.h>
#include <openssl/x509v3.h>
#include <stdlib.h>

#include "cache/base/by_text.h"

/* By what a record is found: a key identifier, or a certificate's SHA-256. */
struct ccadb_mark {
	uint8_t n;
	uint8_t octets[WATCH_AKI_MAX];
	bool fingerprint;
	size_t issuer;
};

struct ccadb_texts {
	char **text; /* UTF-8 */
	size_t n;
};

struct ccadb_found {
	struct ccadb_texts names;
	struct ccadb_texts full, part; /* URLs */
	struct ccadb_list *list;       /* when it is sorted */
	size_t lists, records;
	bool malformed;
};

struct ccadb_sets {
	struct ccadb_mark *mark;
	size_t marks;
	struct ccadb_found *found;
	size_t n;
};

/* Texts. */

static bool add_text(struct ccadb_texts *t, const void *p, size_t n)
{
	/* grows at powers of two */
	if ((t->n & (t->n - 1)) == 0) {
		char **more = realloc(t->text, (t->n == 0 ? 1 : 2 * t->n) * sizeof *more);

		if (more == NULL)
			return false;
		t->text = more;
	}
	t->text[t->n] = malloc(n + 1);
	if (t->text[t->n] == NULL)
		return false;
	memcpy(t->text[t->n], p, n);
	t->text[t->n++][n] = '\0';
	return true;
}

static void free_texts(struct ccadb_texts *t)
{
	for (size_t i = 0; i < t->n; i++)
		free(t->text[i]);
	free(t->text);
}

static bool has_text(const struct ccadb_texts *sorted, const char *text)
{
	return sorted->n > 0 && bsearch(&text, sorted->text, sorted->n,
				    sizeof *sorted->text, by_text) != NULL;
}

/* Sorted, each once. */
static void sort_texts(struct ccadb_texts *t)
{
	size_t n = 0;

	if (t->n == 0)
		return;
	qsort(t->text, t->n, sizeof *t->text, by_text);
	for (size_t i = 0; i < t->n; i++)
		if (n > 0 && strcmp(t->text[i], t->text[n - 1]) == 0)
			free(t->text[i]);
		else
			t->text[n++] = t->text[i];
	t->n = n;
}

/* Who is looked for. */

static int by_mark(const void *a, const void *b)
{
	const struct ccadb_mark *x = a, *y = b;

	if (x->fingerprint != y->fingerprint)
		return x->fingerprint ? 1 : -1;
	if (x->n != y->n)
		return x->n < y->n ? -1 : 1;
	return memcmp(x->octets, y->octets, x->n);
}

/* So that those of one issuer that are equal follow each other. */
static int by_mark_and_issuer(const void *a, const void *b)
{
	const struct ccadb_mark *x = a, *y = b;
	int d = by_mark(a, b);

	return d != 0 ? d : (x->issuer > y->issuer) - (x->issuer < y->issuer);
}

static void add_mark(
    struct ccadb_sets *s, size_t issuer, bool fingerprint, const void *p, size_t n)
{
	struct ccadb_mark *m = &s->mark[s->marks];

	if (n == 0 || n > sizeof m->octets)
		return;
	*m = (struct ccadb_mark){
	    .n = (uint8_t)n, .fingerprint = fingerprint, .issuer = issuer};
	memcpy(m->octets, p, n);
	s->marks++;
}

static bool add_names(struct ccadb_texts *t, const X509_NAME *subject)
{
	static const int kinds[] = {
	    NID_commonName, NID_organizationalUnitName, NID_organizationName};
	bool good = true;

	for (size_t k = 0; k < sizeof kinds / sizeof kinds[0]; k++)
		for (int at = -1; good;) {
			unsigned char *text;
			int n;

			at = X509_NAME_get_index_by_NID(
			    (X509_NAME *)(uintptr_t)subject, kinds[k], at);
			if (at < 0)
				break;
			n = ASN1_STRING_to_UTF8(&text,
			    X509_NAME_ENTRY_get_data(X509_NAME_get_entry(subject, at)));
			if (n < 0)
				continue;
			good = add_text(t, text, (size_t)n);
			OPENSSL_free(text);
		}
	return good;
}

static bool add_issuer(struct ccadb_sets *s, size_t i, const struct issuer *issuer)
{
	for (size_t c = 0; c < issuer->ca_n; c++) {
		const struct issuer_ca *ca = &issuer->ca[c];
		const ASN1_OCTET_STRING *id = X509_get0_subject_key_id(ca->certificate);

		add_mark(s, i, true, ca->sha256, sizeof ca->sha256);
		add_mark(s, i, false, ca->key_hash[CERTID_SHA1], 20);
		if (id != NULL)
			add_mark(s, i, false, ASN1_STRING_get0_data(id),
			    (size_t)ASN1_STRING_length(id));
		if (!add_names(
			&s->found[i].names, X509_get_subject_name(ca->certificate)))
			return false;
	}
	sort_texts(&s->found[i].names);
	return true;
}

struct ccadb_sets *ccadb_sets_new(const struct issuer *const *issuer, size_t n)
{
	struct ccadb_sets *s = calloc(1, sizeof *s);
	size_t cas = 0;
	bool good;

	if (s == NULL)
		return NULL;
	for (size_t i = 0; i < n; i++)
		cas += issuer[i]->ca_n;
	s->n = n;
	s->mark = calloc(3 * cas + 1, sizeof *s->mark);
	s->found = calloc(n + 1, sizeof *s->found);
	good = s->mark != NULL && s->found != NULL;
	for (size_t i = 0; good && i < n; i++)
		good = add_issuer(s, i, issuer[i]);
	if (!good) {
		ccadb_sets_free(s);
		return NULL;
	}
	qsort(s->mark, s->marks, sizeof *s->mark, by_mark_and_issuer);
	return s;
}

void ccadb_sets_free(struct ccadb_sets *s)
{
	if (s == NULL)
		return;
	for (size_t i = 0; s->found != NULL && i < s->n; i++) {
		free_texts(&s->found[i].names);
		free_texts(&s->found[i].full);
		free_texts(&s->found[i].part);
		free(s->found[i].list);
	}
	free(s->found);
	free(s->mark);
	free(s);
}

/* Records. */

/* The first mark that is not before m. */
static size_t mark_from(const struct ccadb_sets *s, const struct ccadb_mark *m)
{
	size_t low = 0, high = s->marks;

	while (low < high) {
		size_t middle = low + (high - low) / 2;

		if (by_mark(&s->mark[middle], m) < 0)
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

static bool add_urls(struct ccadb_texts *t, const struct bytes *url, size_t n)
{
	for (size_t i = 0; i < n; i++)
		if (!add_text(t, url[i].p, url[i].n))
			return false;
	return true;
}

static bool add_record(struct ccadb_found *f, const struct ccadb_record *r)
{
	f->records++;
	f->malformed = f->malformed || r->malformed;
	return add_urls(&f->full, r->full, r->full_n) &&
	       add_urls(&f->part, r->part, r->part_n);
}

static bool is_called(const struct ccadb_found *f, struct bytes name)
{
	for (size_t i = 0; i < f->names.n; i++)
		if (strlen(f->names.text[i]) == name.n &&
		    memcmp(f->names.text[i], name.p, name.n) == 0)
			return true;
	return false;
}

/* Those that have this mark; an issuer whose mark is there twice counts once. */
static bool take_by(struct ccadb_sets *s, const struct ccadb_record *r,
    const struct ccadb_mark *m, size_t *taken)
{
	for (size_t i = mark_from(s, m), last = SIZE_MAX;
	     i < s->marks && by_mark(&s->mark[i], m) == 0; i++) {
		size_t issuer = s->mark[i].issuer;

		if (issuer == last || issuer == *taken)
			continue;
		if (!m->fingerprint && !is_called(&s->found[issuer], r->name))
			continue;
		last = issuer;
		if (!add_record(&s->found[issuer], r))
			return false;
		if (m->fingerprint)
			*taken = issuer;
	}
	return true;
}

bool ccadb_sets_take(struct ccadb_sets *s, const struct ccadb_record *r)
{
	struct ccadb_mark m = {.n = sizeof r->sha256, .fingerprint = true};
	size_t taken = SIZE_MAX;

	if (r->has_fingerprint) {
		memcpy(m.octets, r->sha256, sizeof r->sha256);
		if (!take_by(s, r, &m, &taken))
			return false;
	}
	if (r->key.n == 0)
		return true;
	m = (struct ccadb_mark){.n = (uint8_t)r->key.n};
	memcpy(m.octets, r->key.p, r->key.n);
	return take_by(s, r, &m, &taken);
}

/* The end. */

static void drop_parts_that_are_full(struct ccadb_found *f)
{
	size_t n = 0;

	for (size_t i = 0; i < f->part.n; i++)
		if (has_text(&f->full, f->part.text[i]))
			free(f->part.text[i]);
		else
			f->part.text[n++] = f->part.text[i];
	f->part.n = n;
}

/* False: out of memory. */
static bool lay_out(struct ccadb_found *f)
{
	sort_texts(&f->full);
	sort_texts(&f->part);
	drop_parts_that_are_full(f);
	f->list = calloc(f->part.n + 1, sizeof *f->list);
	if (f->list == NULL)
		return false;
	if (f->full.n > 0)
		f->list[f->lists++] = (struct ccadb_list){f->full.text, f->full.n};
	for (size_t i = 0; i < f->part.n; i++)
		f->list[f->lists++] = (struct ccadb_list){&f->part.text[i], 1};
	return true;
}

bool ccadb_sets_sort(struct ccadb_sets *s)
{
	for (size_t i = 0; i < s->n; i++)
		if (!lay_out(&s->found[i]))
			return false;
	return true;
}

void ccadb_sets_of(const struct ccadb_sets *s, size_t i, struct ccadb_set *out)
{
	const struct ccadb_found *f = &s->found[i];

	assert(i < s->n);
	*out = (struct ccadb_set){f->list, f->lists, f->records, f->malformed};
}
