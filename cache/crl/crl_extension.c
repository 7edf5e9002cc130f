/* Extensions of a list and of its entries.  They are walked in place, nothing is
 * allocated for one: some CAs put an invalidityDate into each of their entries. */
#include "cache/crl/crl_extension.h"

#include <openssl/x509v3.h>

#include "cache/crl/crl_der.h"

/* Extensions of one list or entry; RFC 5280 knows seven and three. */
#define EXTENSIONS_MAX 32

struct extension {
	struct bytes oid, value; /* the OID's content; what the OCTET STRING holds */
	bool critical;
};

/* 2.5.29.n, RFC 5280 sections 5.2 and 5.3 */
enum {
	CRL_NUMBER = 20,
	REASON_CODE = 21,
	HOLD_INSTRUCTION = 23,
	INVALIDITY_DATE = 24,
	DELTA_INDICATOR = 27,
	DISTRIBUTION_POINT = 28,
	CERTIFICATE_ISSUER = 29,
	AUTHORITY_KEY = 35,
	FRESHEST = 46
};

/* The last arc of 2.5.29.n, or -1. */
static int id_ce(struct bytes oid)
{
	return oid.n == 3 && oid.p[0] == 0x55 && oid.p[1] == 0x1d ? oid.p[2] : -1;
}

/* X.690 section 8.19: each arc in the fewest octets, and the last one ends. */
static bool oid_is_der(struct bytes oid)
{
	bool begins = true;

	for (size_t i = 0; i < oid.n; i++) {
		if (begins && oid.p[i] == 0x80)
			return false;
		begins = oid.p[i] < 0x80;
	}
	return oid.n > 0 && begins;
}

static bool take_extension(struct extension *x, struct bytes *b)
{
	struct crl_tlv t;
	struct bytes inner;

	*x = (struct extension){0};
	if (!crl_tlv_take(&t, b) || t.tag != 0x30)
		return false;
	inner = bytes_of(t.body, t.n);
	if (!crl_tlv_take(&t, &inner) || t.tag != 0x06)
		return false;
	x->oid = bytes_of(t.body, t.n);
	if (!oid_is_der(x->oid))
		return false;
	if (!crl_tlv_take(&t, &inner))
		return false;
	if (t.tag == 0x01) {
		/* FALSE is the default, which DER leaves out; some CAs write it. */
		if (t.n != 1 || (t.body[0] != 0xff && t.body[0] != 0))
			return false;
		x->critical = t.body[0] != 0;
		if (!crl_tlv_take(&t, &inner))
			return false;
	}
	x->value = bytes_of(t.body, t.n);
	return t.tag == 0x04 && inner.n == 0;
}

struct extension_list {
	struct extension x[EXTENSIONS_MAX];
	size_t n;
};

enum bad { GOOD, MALFORMED, TWICE, MANY };

static enum bad take_extensions(struct extension_list *xs, struct bytes b)
{
	xs->n = 0;
	if (b.n == 0)
		return MALFORMED; /* SIZE (1..MAX) */
	for (; b.n > 0; xs->n++) {
		if (xs->n == EXTENSIONS_MAX)
			return MANY;
		if (!take_extension(&xs->x[xs->n], &b))
			return MALFORMED;
		for (size_t i = 0; i < xs->n; i++)
			if (bytes_equal(xs->x[i].oid, xs->x[xs->n].oid))
				return TWICE;
	}
	return GOOD;
}

/* An OID for people. */
static void oid_text(struct bytes oid, char out[80])
{
	uint8_t der[2 + 127];
	const unsigned char *p = der;
	ASN1_OBJECT *o = NULL;

	if (oid.n < 128) {
		der[0] = 0x06;
		der[1] = (uint8_t)oid.n;
		memcpy(der + 2, oid.p, oid.n);
		o = d2i_ASN1_OBJECT(NULL, &p, (long)(2 + oid.n));
	}
	if (o == NULL || OBJ_obj2txt(out, 80, o, 1) <= 0)
		memcpy(out, "(an unreadable OID)", 20);
	ASN1_OBJECT_free(o);
}

static enum err refuse_unknown(
    struct crl_walk *w, enum err e, const char *of, struct bytes oid)
{
	char name[80];

	oid_text(oid, name);
	return crl_refuse(w, e,
	    "%s has the critical extension %s, which is not known here: the list must "
	    "not be used (RFC 5280 section 5.2)",
	    of, name);
}

static enum err refuse_bad(
    struct crl_walk *w, enum bad bad, const struct extension_list *xs)
{
	char name[80];

	if (bad == TWICE) {
		oid_text(xs->x[xs->n].oid, name);
		return crl_refuse(
		    w, ERR_CRL_EXTENSION, "the list has the extension %s twice", name);
	}
	if (bad == MANY)
		return crl_refuse(w, ERR_CRL_EXTENSION,
		    "the list has more than %d extensions", EXTENSIONS_MAX);
	return crl_refuse(w, ERR_CRL_DER, "the list has extensions that are not DER");
}

/* Entries.  An extension that is not critical may be anything but broken DER: it costs
 * the entry what it says, which is counted, and never the list (RFC 5280 sections 5.2 and
 * 5.3).  What an odd reason leaves is a revocation without one: never less. */

struct entry_extensions {
	struct crl_walk *walk;
	struct crl_entry *entry;
	struct extension_list
	    seen;    /* the first of them; compared with those that follow */
	bool reason; /* there was one */
	bool odd;
};

/* reasonCode, an ENUMERATED of one octet; CRL_NO_REASON for any other. */
static uint8_t reason_of(struct bytes value)
{
	struct crl_tlv t;

	if (!crl_tlv_take(&t, &value) || t.tag != 0x0a || t.n != 1 || value.n != 0)
		return CRL_NO_REASON;
	return t.body[0];
}

static enum err take_reason(struct entry_extensions *xs, const struct extension *x)
{
	uint8_t reason = reason_of(x->value);
	bool fits = crl_reason_is_known(reason) && !xs->reason;

	if (reason == 8)
		return crl_refuse(xs->walk, ERR_CRL_ENTRY,
		    "reason removeFromCRL, which only delta lists may have; if this is "
		    "one, configure the URL of the complete list");
	if (!fits && x->critical)
		return crl_refuse(xs->walk, ERR_CRL_ENTRY_EXTENSION,
		    "a critical reasonCode that is none of RFC 5280 section 5.3.1: the "
		    "list must not be used (section 5.3)");
	xs->entry->reason = fits ? reason : CRL_NO_REASON;
	xs->odd |= !fits;
	xs->reason = true;
	return ERR_OK;
}

static enum err take_entry_extension(
    struct entry_extensions *xs, const struct extension *x)
{
	switch (id_ce(x->oid)) {
	case REASON_CODE:
		return take_reason(xs, x);
	case CERTIFICATE_ISSUER:
		return crl_refuse(xs->walk, ERR_CRL_INDIRECT,
		    "an entry names another issuer (certificateIssuer); indirect lists "
		    "are not used");
	case HOLD_INSTRUCTION:
	case INVALIDITY_DATE:
		return ERR_OK;
	default:
		return x->critical ? refuse_unknown(xs->walk, ERR_CRL_ENTRY_EXTENSION,
					 "an entry", x->oid)
				   : ERR_OK;
	}
}

/* Is x one that was there before?  Of more than EXTENSIONS_MAX it is not asked. */
static bool is_again(struct extension_list *seen, const struct extension *x)
{
	for (size_t i = 0; i < seen->n; i++)
		if (bytes_equal(seen->x[i].oid, x->oid))
			return true;
	if (seen->n == EXTENSIONS_MAX)
		return true;
	seen->x[seen->n++] = *x;
	return false;
}

enum err crl_entry_extensions(
    struct crl_walk *w, struct bytes extensions, struct crl_entry *e)
{
	struct entry_extensions xs; /* not zeroed: each entry of some lists has them */
	struct extension x;
	enum err err = ERR_OK;

	xs.walk = w;
	xs.entry = e;
	xs.seen.n = 0;
	xs.reason = false;
	xs.odd = extensions.n == 0; /* SIZE (1..MAX) */
	while (err == ERR_OK && extensions.n > 0) {
		if (!take_extension(&x, &extensions))
			return crl_refuse(
			    w, ERR_CRL_ENTRY, "an entry has extensions that are not DER");
		xs.odd |= is_again(&xs.seen, &x);
		err = take_entry_extension(&xs, &x);
	}
	w->list->facts.odd += xs.odd;
	return err;
}

static enum err take_number(struct crl_walk *w, struct bytes value)
{
	struct crl_facts *f = &w->list->facts;
	struct crl_tlv t;

	if (!crl_tlv_take(&t, &value) || t.tag != 0x02 || t.n == 0 || value.n != 0 ||
	    (t.n > 1 && t.body[0] == 0 && t.body[1] < 0x80))
		return crl_refuse(w, ERR_CRL_NUMBER, "CRLNumber is not an INTEGER");
	if (t.body[0] >= 0x80)
		return crl_refuse(w, ERR_CRL_NUMBER, "CRLNumber is negative");
	if (t.body[0] == 0) { /* the sign's octet, or zero itself */
		t.body++;
		t.n--;
	}
	if (t.n > CRL_NUMBER_MAX)
		return crl_refuse(w, ERR_CRL_NUMBER,
		    "CRLNumber has %zu octets; RFC 5280 section 5.2.3 allows %d", t.n,
		    CRL_NUMBER_MAX);
	memcpy(f->number + CRL_NUMBER_MAX - t.n, t.body, t.n);
	f->has_number = true;
	return ERR_OK;
}

/* Names of other kinds are none that anybody gives to a list. */
static bool is_scope(const GENERAL_NAME *n)
{
	return (n->type == GEN_URI && n->d.uniformResourceIdentifier != NULL) ||
	       (n->type == GEN_DIRNAME && n->d.directoryName != NULL);
}

/* The name as crl-scope has it; nothing where it has no such form.  RFC 2253 escapes what
 * means something in a name, so that no two look alike (X509_NAME_oneline() lets a "/" in
 * a value be a separator); how a value's characters are encoded makes no difference. */
static struct bytes scope_text(BIO *b, const GENERAL_NAME *n)
{
	const ASN1_IA5STRING *url = n->d.uniformResourceIdentifier;
	char *p;
	long size;

	(void)BIO_reset(b);
	if (n->type == GEN_URI)
		return bytes_of(
		    ASN1_STRING_get0_data(url), (size_t)ASN1_STRING_length(url));
	if (BIO_puts(b, "dirName:") <= 0 ||
	    X509_NAME_print_ex(b, n->d.directoryName, 0, XN_FLAG_RFC2253) < 0)
		return (struct bytes){0};
	size = BIO_get_mem_data(b, &p);
	return bytes_of(p, (size_t)size);
}

static bool is_wanted(const struct crl_want *w, struct bytes own)
{
	if (bytes_equal(own, bytes_of(w->scope, strlen(w->scope))))
		return true;
	for (size_t k = 0; k < w->names_n; k++)
		if (bytes_equal(own, bytes_of(w->names[k], strlen(w->names[k]))))
			return true;
	return false;
}

/* R104: a list speaks for its own part of the certificates only. */
static enum err find_scope(struct crl_walk *w, const GENERAL_NAMES *names, BIO *b)
{
	const char *scope = w->want->scope;
	struct bytes own = {0};
	bool found = false;

	for (int i = 0; i < sk_GENERAL_NAME_num(names); i++) {
		const GENERAL_NAME *n = sk_GENERAL_NAME_value(names, i);

		if (!is_scope(n))
			continue;
		own = scope_text(b, n);
		found |= is_wanted(w->want, own);
		if (n->type == GEN_URI)
			crl_facts_add_point(&w->list->facts, own);
	}
	if (found)
		return ERR_OK;
	if (own.n == 0)
		return crl_refuse(w, ERR_CRL_SCOPE,
		    "the list's distributionPoint has neither URL nor directoryName, so "
		    "that it cannot be told whether it is the list of %s",
		    scope);
	return crl_refuse(w, ERR_CRL_SCOPE,
	    "the list says that it is that of %.*s, not of %s; if it is the right one, "
	    "give the name that it has for itself as crl-scope",
	    own.n < 300 ? (int)own.n : 300, (const char *)own.p, scope);
}

static enum err check_full_name(struct crl_walk *w, const GENERAL_NAMES *names)
{
	BIO *b = BIO_new(BIO_s_mem());
	enum err e = b != NULL ? find_scope(w, names, b) : ERR_NOMEM;

	BIO_free(b);
	return e;
}

static enum err check_point(struct crl_walk *w, const DIST_POINT_NAME *p)
{
	if (p == NULL)
		return ERR_OK;
	if (p->type != 0)
		return crl_refuse(w, ERR_CRL_SCOPE,
		    "the list's distributionPoint is relative to its issuer's name "
		    "(nameRelativeToCRLIssuer), which no certificate is compared with");
	return check_full_name(w, p->name.fullname);
}

/* BOOLEAN DEFAULT FALSE. */
static bool says(int flag)
{
	return flag > 0;
}

static enum err check_idp(struct crl_walk *w, const ISSUING_DIST_POINT *p)
{
	struct crl_facts *f = &w->list->facts;
	int only = says(p->onlyuser) + says(p->onlyCA) + says(p->onlyattr);

	if (says(p->indirectCRL))
		return crl_refuse(w, ERR_CRL_INDIRECT,
		    "the list is indirect (indirectCRL): it speaks for other issuers "
		    "too");
	if (p->distpoint == NULL && only == 0 && p->onlysomereasons == NULL)
		return crl_refuse(w, ERR_CRL_SCOPE,
		    "issuingDistributionPoint is empty, which RFC 5280 section 5.2.5 "
		    "forbids");
	if (only > 1)
		return crl_refuse(w, ERR_CRL_SCOPE,
		    "issuingDistributionPoint limits the list to more than one kind of "
		    "certificate");
	if (says(p->onlyattr))
		return crl_refuse(
		    w, ERR_CRL_SCOPE, "the list is about attribute certificates only");
	f->only_user = says(p->onlyuser);
	f->only_ca = says(p->onlyCA);
	f->some_reasons = p->onlysomereasons != NULL;
	f->has_point = p->distpoint != NULL;
	return check_point(w, p->distpoint);
}

static enum err take_idp(struct crl_walk *w, struct bytes value)
{
	const unsigned char *p = value.p;
	ISSUING_DIST_POINT *idp = d2i_ISSUING_DIST_POINT(NULL, &p, (long)value.n);
	enum err e;

	if (idp == NULL || p != value.p + value.n)
		e = crl_refuse(w, ERR_CRL_DER, "issuingDistributionPoint cannot be read");
	else
		e = check_idp(w, idp);
	ISSUING_DIST_POINT_free(idp);
	return e;
}

static enum err take_one(struct crl_walk *w, const struct extension *x)
{
	switch (id_ce(x->oid)) {
	case CRL_NUMBER:
		return take_number(w, x->value);
	case DISTRIBUTION_POINT:
		return take_idp(w, x->value);
	case DELTA_INDICATOR:
		return crl_refuse(w, ERR_CRL_DELTA,
		    "this is a delta list; configure the URL of the complete one");
	case AUTHORITY_KEY: /* each key with the issuer's name is tried */
	case FRESHEST:      /* a hint where delta lists are (R102) */
		return ERR_OK;
	default:
		return x->critical
			   ? refuse_unknown(w, ERR_CRL_EXTENSION, "the list", x->oid)
			   : ERR_OK;
	}
}

enum err crl_extensions(struct crl_walk *w, struct bytes extensions)
{
	struct extension_list xs;
	enum bad bad = take_extensions(&xs, extensions);
	enum err e = ERR_OK;

	if (bad != GOOD)
		return refuse_bad(w, bad, &xs);
	for (size_t i = 0; i < xs.n && e == ERR_OK; i++)
		e = take_one(w, &xs.x[i]);
	return e;
}
