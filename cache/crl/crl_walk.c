/* From the first byte of a list to its last.  Offsets are kept as places in the file,
 * since the window moves; an element's content is good until the next need. */
#include "cache/crl/crl_walk.h"

#include <assert.h>
#include <openssl/bio.h>
#include <openssl/err.h>
#include <openssl/x509.h>
#include <stdio.h>
#include <stdlib.h>

#include "cache/crl/crl_der.h"
#include "cache/crl/crl_extension.h"

#define NAME_TEXT_MAX 200

/* The fewest bytes that an entry can have: header, serial of one octet, UTCTime. */
#define ENTRY_MIN (2 + 3 + 15)

static uint64_t place(const struct crl_walk *w)
{
	return crl_input_place(&w->in);
}

static enum err explain(struct crl_walk *w, enum err e)
{
	if (e == ERR_CRL_TRUNCATED)
		return crl_refuse(w, e, "the list ends after %llu of %llu bytes",
		    (unsigned long long)w->in.read, (unsigned long long)w->total);
	if (e == ERR_STORE)
		return crl_refuse(w, e, "%s: %s",
		    w->in.copy_failed ? "the list's copy cannot be written"
				      : "the list cannot be read",
		    strerror(w->in.error));
	return e;
}

static enum err need(struct crl_walk *w, size_t n)
{
	enum err e = crl_input_need(&w->in, n);

	return e == ERR_OK ? ERR_OK : explain(w, e);
}

static enum err not_der(struct crl_walk *w, const char *what)
{
	return crl_refuse(w, ERR_CRL_DER, "not DER, or not a list: %s (at byte %llu)",
	    what, (unsigned long long)place(w));
}

/* The header k bytes into the window, of an element that ends at end at the latest. */
static enum err header(struct crl_walk *w, size_t k, uint64_t end, struct crl_tlv *t)
{
	uint64_t left = end - place(w) - k;
	enum err e = ERR_OK;

	assert(place(w) + k <= end);
	if (left < 2)
		return not_der(w, "an element is missing");
	e = need(w, k + 2);
	if (e == ERR_OK && w->in.at[k + 1] > 0x80 && w->in.at[k + 1] <= 0x84)
		e = need(w, k + 2 + (w->in.at[k + 1] & 0x7f));
	if (e != ERR_OK)
		return e;
	if (!crl_tlv_head(t, w->in.at + k, (size_t)(w->in.end - w->in.at) - k, left))
		return not_der(w, "an element's header");
	return ERR_OK;
}

/* The same, and its content. */
static enum err element(struct crl_walk *w, size_t k, uint64_t end, struct crl_tlv *t)
{
	enum err e = header(w, k, end, t);
	size_t n = k + t->head + t->n;

	if (e != ERR_OK)
		return e;
	if (n > CRL_ELEMENT_MAX)
		return not_der(w, "an element of over 64 KiB");
	e = need(w, n);
	t->body = w->in.at + k + t->head;
	return e;
}

static void consume(struct crl_walk *w, const struct crl_tlv *t)
{
	w->in.at += t->head + t->n;
}

/* What somebody sent instead of a list. */
static enum err refuse_start(struct crl_walk *w)
{
	const uint8_t *p = w->in.at;

	if (w->in.end - p > 3 && memcmp(p, "\xef\xbb\xbf", 3) == 0)
		p += 3; /* U+FEFF */
	while (p < w->in.end - 1 && (*p == ' ' || *p == '\t' || *p == '\r' || *p == '\n'))
		p++;
	if (*p == '<')
		return crl_refuse(w, ERR_CRL_DER,
		    "it begins with \"<\": a web page and not a list; is the URL right?");
	if (w->in.end - p >= 10 && memcmp(p, "-----BEGIN", 10) == 0)
		return crl_refuse(
		    w, ERR_CRL_DER, "it is PEM, and no \"X509 CRL\" block is in it");
	return not_der(w, "it does not begin with a SEQUENCE");
}

/* CertificateList's header: how long everything is. */
static enum err take_outer(struct crl_walk *w, size_t *k)
{
	struct crl_tlv t;
	enum err e = need(w, 1);

	if (e == ERR_CRL_TRUNCATED)
		return crl_refuse(w, e, "the list is empty: not a single byte");
	if (e != ERR_OK)
		return e;
	if (w->in.at[0] != 0x30)
		return refuse_start(w);
	e = header(w, 0, UINT64_MAX, &t);
	if (e != ERR_OK)
		return e;
	w->total = t.head + (uint64_t)t.n;
	*k = t.head;
	if (w->total > w->want->max_size)
		return crl_refuse(w, ERR_CRL_LARGE,
		    "the list has %llu bytes; crl-max-size is %llu",
		    (unsigned long long)w->total, (unsigned long long)w->want->max_size);
	return ERR_OK;
}

/* version INTEGER OPTIONAL: absent is v1, and the only value that may be written is v2's,
 * 1. */
static enum err take_version(struct crl_walk *w, size_t *k)
{
	struct crl_tlv t;
	enum err e = element(w, *k, w->tbs_end, &t);

	if (e != ERR_OK || t.tag != 0x02)
		return e;
	if (t.n != 1 || t.body[0] != 1)
		return crl_refuse(w, ERR_CRL_VERSION,
		    "the list's version is written as %d; only v2 (1) may be",
		    t.n == 1 ? t.body[0] : -1);
	w->v2 = true;
	*k += t.head + t.n;
	return ERR_OK;
}

static enum err take_algorithm(struct crl_walk *w, size_t *k)
{
	struct crl_tlv t;
	enum err e = element(w, *k, w->tbs_end, &t);

	if (e != ERR_OK)
		return e;
	if (t.tag != 0x30)
		return not_der(w, "no AlgorithmIdentifier");
	w->algorithm_n = t.head + t.n;
	if (w->algorithm_n > sizeof w->algorithm)
		return crl_refuse(w, ERR_CRL_SIGALG,
		    "the signature's AlgorithmIdentifier has %zu bytes", w->algorithm_n);
	memcpy(w->algorithm, w->in.at + *k, w->algorithm_n);
	*k += w->algorithm_n;
	return ERR_OK;
}

/* Everything up to the algorithm, which says how to digest what has been seen by then. */
static enum err take_front(struct crl_walk *w)
{
	const char *why = "";
	struct crl_tlv tbs;
	uint64_t tbs_place;
	size_t k = 0;
	enum err e = take_outer(w, &k);

	if (e != ERR_OK)
		return e;
	e = header(w, k, w->total, &tbs);
	if (e != ERR_OK)
		return e;
	if (tbs.tag != 0x30)
		return not_der(w, "tbsCertList is no SEQUENCE");
	tbs_place = k;
	k += tbs.head;
	w->tbs_end = k + tbs.n;
	e = take_version(w, &k);
	if (e == ERR_OK)
		e = take_algorithm(w, &k);
	if (e != ERR_OK)
		return e;
	e = crl_signature_begin(&w->signature, bytes_of(w->algorithm, w->algorithm_n),
	    tbs.head + (uint64_t)tbs.n, w->want->issuer->rules.allow_sha1, &why);
	if (e == ERR_CRL_SIGALG)
		return crl_refuse(w, e, "%s", why);
	if (w->signature.sha1)
		w->list->facts.warnings |= CRL_WARN_SHA1;
	if (e == ERR_OK)
		e = crl_input_sign(&w->in, &w->signature, tbs_place, w->tbs_end);
	w->in.at += k;
	return e;
}

static void name_text(const X509_NAME *name, char out[NAME_TEXT_MAX])
{
	BIO *bio = BIO_new(BIO_s_mem());
	int n = 0;

	if (bio != NULL && name != NULL &&
	    X509_NAME_print_ex(bio, name, 0, XN_FLAG_RFC2253) > 0)
		n = BIO_read(bio, out, NAME_TEXT_MAX - 1);
	out[n > 0 ? n : 0] = '\0';
	BIO_free(bio);
}

static enum err refuse_issuer(struct crl_walk *w, const X509_NAME *name)
{
	char theirs[NAME_TEXT_MAX], ours[NAME_TEXT_MAX];

	name_text(name, theirs);
	name_text(X509_get_subject_name(w->want->issuer->ca[0].certificate), ours);
	return crl_refuse(w, ERR_CRL_ISSUER,
	    "the list is from another issuer: it is that of \"%s\", not of \"%s\"",
	    theirs, ours);
}

static bool is_encoded_alike(const struct issuer_ca *ca, struct bytes der)
{
	const unsigned char *p;
	size_t n;

	return X509_NAME_get0_der(X509_get_subject_name(ca->certificate), &p, &n) == 1 &&
	       bytes_equal(bytes_of(p, n), der);
}

/* R89: the name by RFC 5280 section 7.1, whatever its strings' types, case and spacing;
 * which of the certificates with that name it is, the signature says. */
static enum err find_candidates(
    struct crl_walk *w, const X509_NAME *name, struct bytes der)
{
	const struct issuer *i = w->want->issuer;
	bool may = false, alike = false;

	w->candidates = calloc(i->ca_n, sizeof *w->candidates);
	if (w->candidates == NULL)
		return ERR_NOMEM;
	for (size_t n = 0; n < i->ca_n; n++) {
		const struct issuer_ca *ca = &i->ca[n];

		if (X509_NAME_cmp(X509_get_subject_name(ca->certificate), name) != 0)
			continue;
		w->candidates[w->candidates_n++] = ca;
		may = may || crl_may_be_signed_by(ca);
		alike = alike || is_encoded_alike(ca, der);
	}
	if (w->candidates_n == 0)
		return refuse_issuer(w, name);
	if (!may)
		return crl_refuse_usage(w);
	if (!alike)
		w->list->facts.warnings |= CRL_WARN_NAME;
	return ERR_OK;
}

static enum err take_name(struct crl_walk *w, struct bytes der)
{
	const unsigned char *p = der.p;
	X509_NAME *name = d2i_X509_NAME(NULL, &p, (long)der.n);
	enum err e = ERR_OK;

	if (name == NULL || p != der.p + der.n)
		e = not_der(w, "the issuer's name cannot be read");
	if (e == ERR_OK)
		e = find_candidates(w, name, der);
	X509_NAME_free(name);
	return e;
}

static enum err take_issuer(struct crl_walk *w)
{
	struct crl_tlv t;
	enum err e = element(w, 0, w->tbs_end, &t);

	if (e != ERR_OK)
		return e;
	if (t.tag != 0x30)
		return not_der(w, "the issuer's name is no SEQUENCE");
	e = take_name(w, bytes_of(w->in.at, t.head + t.n));
	consume(w, &t);
	return e;
}

static bool is_time(const struct crl_tlv *t)
{
	return t->tag == 0x17 || t->tag == 0x18;
}

static enum err take_time(struct crl_walk *w, const char *what, int64_t *at)
{
	struct crl_tlv t;
	enum err e = element(w, 0, w->tbs_end, &t);

	if (e != ERR_OK)
		return e;
	if (!is_time(&t))
		return not_der(w, "no time where one has to be");
	if (!crl_time(t.tag, t.body, t.n, at))
		return crl_refuse(w, ERR_CRL_TIMEFORM,
		    "%s is \"%.*s\", which is not YYMMDDHHMMSSZ until 2049 and "
		    "YYYYMMDDHHMMSSZ from 2050 on (RFC 5280 section 5.1.2)",
		    what, t.n < 40 ? (int)t.n : 40, (const char *)t.body);
	consume(w, &t);
	return ERR_OK;
}

static enum err take_times(struct crl_walk *w)
{
	struct crl_facts *f = &w->list->facts;
	struct crl_tlv t = {0};
	enum err e = take_time(w, "thisUpdate", &f->this_update);

	if (e == ERR_OK && place(w) < w->tbs_end)
		e = header(w, 0, w->tbs_end, &t);
	if (e != ERR_OK)
		return e;
	if (!is_time(&t))
		return crl_refuse(w, ERR_CRL_NONEXT,
		    "the list has no nextUpdate, so that nobody can tell how long it "
		    "holds (RFC 5280 section 5.1.2.5)");
	e = take_time(w, "nextUpdate", &f->next_update);
	if (e == ERR_OK && f->next_update <= f->this_update)
		return crl_refuse(w, ERR_CRL_ORDER,
		    "the list's nextUpdate is not after its thisUpdate");
	return e;
}

static bool serial_is_der(const uint8_t *p, size_t n)
{
	if (n < 1)
		return false;
	return n == 1 || !((p[0] == 0 && p[1] < 0x80) || (p[0] == 0xff && p[1] >= 0x80));
}

static enum err bad_entry(struct crl_walk *w, const char *what)
{
	return crl_refuse(w, ERR_CRL_ENTRY, "entry %llu (at byte %llu): %s",
	    (unsigned long long)w->list->facts.entries + 1, (unsigned long long)place(w),
	    what);
}

/* What the extensions' refusal lacks: where it was. */
static enum err say_where(struct crl_walk *w, enum err e)
{
	size_t n = w->why_n > 0 ? strlen(w->why) : 0;

	if (n + 1 < w->why_n)
		(void)snprintf(w->why + n, w->why_n - n, " (entry %llu, at byte %llu)",
		    (unsigned long long)w->list->facts.entries + 1,
		    (unsigned long long)place(w));
	return e;
}

/* b: what is behind the date. */
static enum err take_entry_rest(struct crl_walk *w, struct bytes b, struct crl_entry *e)
{
	struct crl_tlv t;
	enum err err;

	if (!crl_tlv_take(&t, &b) || t.tag != 0x30 || b.n != 0)
		return bad_entry(w, "what follows the date is not extensions");
	if (!w->v2)
		return crl_refuse(w, ERR_CRL_VERSION,
		    "a v1 list with an extension in entry %llu (RFC 5280 section 5.3)",
		    (unsigned long long)w->list->facts.entries + 1);
	err = crl_entry_extensions(w, bytes_of(t.body, t.n), e);
	return err == ERR_OK ? ERR_OK : say_where(w, err);
}

static enum err bad_date(struct crl_walk *w, const uint8_t *p, size_t n)
{
	return crl_refuse(w, ERR_CRL_TIMEFORM,
	    "the date of entry %llu is \"%.*s\", which is not YYMMDDHHMMSSZ until 2049 "
	    "and YYYYMMDDHHMMSSZ from 2050 on",
	    (unsigned long long)w->list->facts.entries + 1, n < 40 ? (int)n : 40,
	    (const char *)p);
}

/* The serial's place is written only here: what is not taken leaves it zeroed. */
static inline void set_entry(
    struct crl_walk *w, struct crl_entry *e, struct bytes serial, int64_t at)
{
	assert(serial.n >= 1 && serial.n <= SERIAL_MAX);
	memcpy(e->octets + SERIAL_MAX - serial.n, serial.p, serial.n);
	e->n = (uint8_t)serial.n;
	e->reason = CRL_NO_REASON;
	crl_entry_set_at(e, at);
	if (at > w->list->facts.this_update)
		w->list->facts.warnings |= CRL_WARN_LATER;
}

/* Any entry; b: its content.  *e is taken, or (*left_out) may be written to again. */
static enum err take_entry(
    struct crl_walk *w, struct bytes b, struct crl_entry *e, bool *left_out)
{
	struct crl_tlv serial, date;
	int64_t at;

	if (!crl_tlv_take(&serial, &b) || serial.tag != 0x02 ||
	    !serial_is_der(serial.body, serial.n))
		return bad_entry(w, "no serial number in DER");
	if (!crl_tlv_take(&date, &b) || !is_time(&date))
		return bad_entry(w, "no revocationDate");
	if (!crl_time(date.tag, date.body, date.n, &at))
		return bad_date(w, date.body, date.n);
	*left_out = serial.n > SERIAL_MAX;
	if (!*left_out)
		set_entry(w, e, bytes_of(serial.body, serial.n), at);
	return b.n == 0 ? ERR_OK : take_entry_rest(w, b, e);
}

/* The entry that nearly all lists are made of, read without looking at each header by
 * itself: serial, UTCTime, and a reasonCode or nothing.  False, and nothing is taken, for
 * any other, be it right or wrong. */
static inline bool take_usual_entry(
    struct crl_walk *w, struct bytes b, struct crl_entry *e)
{
	static const uint8_t extensions[] = {
	    0x30, 0x0c, 0x30, 0x0a, 0x06, 0x03, 0x55, 0x1d, 0x15, 0x04, 0x03, 0x0a, 0x01};
	const size_t date_n = 15;
	size_t n = b.n > 1 ? b.p[1] : 0, with_date = 2 + n + date_n;
	bool reason = b.n == with_date + sizeof extensions + 1;
	const uint8_t *date, *rest;
	int64_t at;

	if ((b.n != with_date && !reason) || b.p[0] != 0x02 || n > SERIAL_MAX ||
	    !serial_is_der(b.p + 2, n))
		return false;
	date = b.p + 2 + n;
	rest = date + date_n;
	if (date[0] != 0x17 || date[1] != 13 || !crl_time(0x17, date + 2, 13, &at))
		return false;
	if (reason && (memcmp(rest, extensions, sizeof extensions) != 0 || !w->v2 ||
			  !crl_reason_is_known(rest[sizeof extensions])))
		return false;
	set_entry(w, e, bytes_of(b.p + 2, n), at);
	if (reason)
		e->reason = rest[sizeof extensions];
	return true;
}

/* As many as there will be if all are like the next one, and some more: address space
 * only, until it is written to. */
static enum err more_room(struct crl_walk *w, size_t entry_n)
{
	struct crl_list *l = w->list;
	uint64_t left = w->list_end - place(w);
	size_t room = l->n + (size_t)(left / entry_n) + (size_t)(left / entry_n) / 16 + 1;
	size_t most = l->n + (size_t)(left / ENTRY_MIN) + 1;

	if (room > most)
		room = most;
	if (l->entries == NULL)
		l->entries = crl_entries_new(room, &l->mapped);
	else if (!crl_entries_resize(&l->entries, room, &l->mapped))
		return ERR_NOMEM;
	w->room = room;
	return l->entries != NULL ? ERR_OK : ERR_NOMEM;
}

static enum err take_next_entry(struct crl_walk *w, struct bytes b)
{
	struct crl_list *l = w->list;
	struct crl_entry *entry = &l->entries[l->n];
	uint64_t odd = l->facts.odd;
	bool left_out = false;
	enum err e = ERR_OK;

	assert(l->n < w->room);
	if (!take_usual_entry(w, b, entry))
		e = take_entry(w, b, entry, &left_out);
	l->n += !left_out;
	l->facts.entries++;
	l->facts.left_out += left_out;
	if (left_out)
		l->facts.odd = odd;
	return e;
}

static enum err take_entries(struct crl_walk *w)
{
	struct crl_list *l = w->list;
	struct crl_tlv t;
	enum err e = ERR_OK;

	while (place(w) < w->list_end) {
		e = element(w, 0, w->list_end, &t);
		if (e != ERR_OK)
			return e;
		if (t.tag != 0x30)
			return bad_entry(w, "no SEQUENCE");
		if (l->n == w->room)
			e = more_room(w, t.head + t.n);
		if (e == ERR_OK)
			e = take_next_entry(w, bytes_of(t.body, t.n));
		if (e != ERR_OK)
			return e;
		consume(w, &t);
	}
	return ERR_OK;
}

/* revokedCertificates, where there are any. */
static enum err take_revoked(struct crl_walk *w)
{
	struct crl_tlv t;
	enum err e;

	if (place(w) == w->tbs_end)
		return ERR_OK;
	e = header(w, 0, w->tbs_end, &t);
	if (e != ERR_OK || t.tag != 0x30)
		return e;
	w->in.at += t.head;
	w->list_end = place(w) + t.n;
	if (t.n > 0)
		return take_entries(w);
	if (w->want->issuer->rules.profile == PROFILE_PUBLIC)
		return crl_refuse(w, ERR_CRL_EMPTY,
		    "revokedCertificates is there and empty, which RFC 5280 section "
		    "5.1.2.6 forbids; profile \"private\" tolerates it");
	w->list->facts.warnings |= CRL_WARN_EMPTY;
	return ERR_OK;
}

static enum err take_extensions(struct crl_walk *w)
{
	struct crl_tlv t;
	struct bytes b;
	enum err e;

	if (place(w) == w->tbs_end)
		return ERR_OK;
	e = element(w, 0, w->tbs_end, &t);
	if (e != ERR_OK)
		return e;
	if (t.tag != 0xa0)
		return not_der(w, "something unknown in tbsCertList");
	if (!w->v2)
		return crl_refuse(w, ERR_CRL_VERSION,
		    "a v1 list with extensions (RFC 5280 section 5.1.2.1)");
	b = bytes_of(t.body, t.n);
	consume(w, &t);
	if (place(w) != w->tbs_end || !crl_tlv_take(&t, &b) || t.tag != 0x30 || b.n != 0)
		return not_der(w, "crlExtensions");
	return crl_extensions(w, bytes_of(t.body, t.n));
}

/* signatureAlgorithm and signatureValue. */
static enum err take_back(struct crl_walk *w)
{
	struct crl_tlv t;
	enum err e = element(w, 0, w->total, &t);

	if (e != ERR_OK)
		return e;
	if (!bytes_equal(
		bytes_of(w->in.at, t.head + t.n), bytes_of(w->algorithm, w->algorithm_n)))
		return crl_refuse(w, ERR_CRL_SIGALG,
		    "the signature's algorithm is not the one that is signed (RFC 5280 "
		    "section 5.1.1.2)");
	consume(w, &t);
	e = element(w, 0, w->total, &t);
	if (e != ERR_OK)
		return e;
	if (t.tag != 0x03 || t.n < 1 || t.body[0] != 0 || t.n - 1 > sizeof w->signed_by)
		return not_der(w, "the signature is no BIT STRING of whole octets");
	w->signed_by_n = t.n - 1;
	memcpy(w->signed_by, t.body + 1, w->signed_by_n);
	consume(w, &t);
	if (place(w) != w->total)
		return not_der(w, "something behind the signature");
	return ERR_OK;
}

static enum err expect_end(struct crl_walk *w)
{
	enum err e = crl_input_need(&w->in, 1);

	if (e == ERR_CRL_TRUNCATED)
		return ERR_OK;
	if (e == ERR_OK)
		return crl_refuse(w, ERR_CRL_TRAILING,
		    "there are bytes behind the list, which has %llu",
		    (unsigned long long)w->total);
	return explain(w, e);
}

static enum err index_entries(struct crl_walk *w)
{
	struct crl_list *l = w->list;
	size_t n;

	if (l->n == 0) { /* all may have been left out */
		crl_entries_free(l->entries, l->mapped);
		l->entries = NULL;
		return ERR_OK;
	}
	n = crl_entries_sort(l->entries, l->n);
	if (n != l->n)
		l->facts.warnings |= CRL_WARN_DUPLICATE;
	l->n = n;
	return crl_entries_resize(&l->entries, l->n, &l->mapped) ? ERR_OK : ERR_NOMEM;
}

static enum err walk(struct crl_walk *w)
{
	static enum err (*const steps[])(struct crl_walk *) = {take_front, take_issuer,
	    take_times, take_revoked, take_extensions, take_back, expect_end,
	    index_entries};
	struct crl_facts *f = &w->list->facts;
	enum err e = ERR_OK;

	for (size_t i = 0; i < sizeof steps / sizeof *steps && e == ERR_OK; i++)
		e = steps[i](w);
	if (e != ERR_OK)
		return e;
	f->size = w->total;
	if (!f->has_number)
		f->warnings |= CRL_WARN_NONUMBER;
	e = crl_signature_finish(&w->signature);
	return e == ERR_OK ? crl_input_digest(&w->in, f->sha256) : e;
}

enum err crl_walk(struct crl_walk *w, int fd, size_t piece, const struct crl_want *want,
    char *why, size_t why_n)
{
	enum err e;

	assert(want->issuer != NULL && want->issuer->ca_n > 0 && want->scope != NULL);
	*w = (struct crl_walk){.want = want, .why = why, .why_n = why_n};
	if (why_n > 0)
		why[0] = '\0';
	e = crl_input_open(&w->in, fd, piece, want);
	w->list = calloc(1, sizeof *w->list);
	if (e == ERR_OK)
		e = w->list != NULL ? walk(w) : ERR_NOMEM;
	if (e != ERR_OK && why_n > 0 && why[0] == '\0')
		(void)crl_refuse(w, e, "%s", err_text(e));
	return e;
}

void crl_walk_end(struct crl_walk *w)
{
	crl_input_close(&w->in);
	crl_signature_end(&w->signature);
	crl_list_free(w->list);
	free(w->candidates);
	ERR_clear_error(); /* refusals leave traces of their decoders */
}
