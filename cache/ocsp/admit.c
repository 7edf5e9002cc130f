/* The checks, one after the other in the order of the trace: each says its reason and
 * ends there. */
#include "cache/ocsp/admit.h"

#include <assert.h>
#include <inttypes.h>
#include <openssl/err.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "cache/base/signature.h"
#include "cache/crl/crl_set.h"
#include "cache/ocsp/record.h"
#include "cache/ocsp/responder.h"

/* CA/B Baseline Requirements 4.9.9: an answer of a public CA lives ten days at most. */
#define PUBLIC_AGE_MAX_S (INT64_C(10) * 24 * 3600)

struct admit {
	struct delegates *delegates;
};

/* One answer at the door: what the checks share. */
struct visit {
	struct admit *ad;
	const struct admit_question *q;
	struct admit_verdict *v;
	const struct admit_trace *trace;
	struct serial serial; /* of the key */
	bool stored;          /* out of a store: when it was fetched is not known */
};

struct admit *admit_new(void)
{
	struct admit *ad = calloc(1, sizeof *ad);

	if (ad == NULL)
		return NULL;
	ad->delegates = delegates_new();
	if (ad->delegates == NULL) {
		free(ad);
		return NULL;
	}
	return ad;
}

void admit_free(struct admit *ad)
{
	if (ad == NULL)
		return;
	delegates_free(ad->delegates);
	free(ad);
}

void admit_forget(struct admit *ad)
{
	delegates_forget(ad->delegates);
}

__attribute__((format(printf, 4, 5))) static void tell(
    const struct admit_trace *trace, const char *check, enum err e, const char *fmt, ...)
{
	char detail[512]; /* longer ones, of long names, are cut */
	va_list ap;

	va_start(ap, fmt);
	if (vsnprintf(detail, sizeof detail, fmt, ap) < 0)
		detail[0] = '\0';
	va_end(ap);
	trace->note(trace->arg, check, e, detail);
}

/* Tell of a check; its value is e.  A macro, so that nothing is formatted for nobody:
 * with a good MAC the whole door costs less than the text of one time. */
#define NOTE(vi, check, e, ...)                                                          \
	((vi)->trace != NULL ? tell((vi)->trace, check, e, __VA_ARGS__) : (void)0, (e))

struct text {
	char s[256];
};

/* RFC 3339, or seconds for what no calendar has. */
static struct text when(int64_t at)
{
	struct text out;
	time_t t = at;
	struct tm tm;

	if (gmtime_r(&t, &tm) == NULL ||
	    strftime(out.s, sizeof out.s, "%Y-%m-%dT%H:%M:%SZ", &tm) == 0)
		snprintf(out.s, sizeof out.s, "%" PRId64, at);
	return out;
}

static struct text algorithm(const X509_ALGOR *a)
{
	struct text out;

	if (OBJ_obj2txt(out.s, sizeof out.s, a->algorithm, 0) <= 0)
		out.s[0] = '\0';
	return out;
}

/* On one line, with what is not printable escaped. */
static struct text subject(const X509_NAME *name)
{
	struct text out = {""};

	if (name != NULL)
		X509_NAME_oneline(name, out.s, sizeof out.s);
	return out;
}

static struct text responder_id(const struct ocsp_response *r)
{
	const ASN1_OCTET_STRING *key = NULL;
	const X509_NAME *name = NULL;
	struct text out = {"byKey "};
	size_t n;

	OCSP_resp_get0_id(r->basic, &key, &name);
	if (name != NULL)
		return subject(name);
	n = key != NULL ? (size_t)ASN1_STRING_length(key) : 0;
	if (n > 32) /* a SHA-1 has 20: enough to see that this is none */
		n = 32;
	hex_encode(ASN1_STRING_get0_data(key), n, out.s + strlen(out.s));
	return out;
}

static struct text serial_text(const struct serial *s)
{
	struct text out = {""};

	serial_to_hex(s, out.s);
	return out;
}

/* What the bytes are. */

static void note_parse(const struct visit *vi, enum err e, size_t n)
{
	static const char *const step[] = {"parse", "status", "type", "version"};
	char size[32];
	size_t at;

	switch (e) {
	case ERR_RESP_MALFORMED:
	case ERR_RESP_INTERNAL:
	case ERR_RESP_TRYLATER:
	case ERR_RESP_SIGREQ:
	case ERR_RESP_UNAUTHORIZED:
	case ERR_RESP_STATUS:
		at = 1;
		break;
	case ERR_RESP_NOBYTES:
	case ERR_RESP_TYPE:
		at = 2;
		break;
	case ERR_RESP_VERSION:
		at = 3;
		break;
	default:
		at = e == ERR_OK ? sizeof step / sizeof *step : 0;
	}
	snprintf(size, sizeof size, "%zu bytes", n);
	for (size_t i = 0; i <= at && i < sizeof step / sizeof *step; i++)
		(void)NOTE(vi, step[i], i == at ? e : ERR_OK, "%s", i == 0 ? size : "");
}

/* Who says it. */

static enum err check_algorithm(struct visit *vi, const struct ocsp_response *r)
{
	const X509_ALGOR *a = OCSP_resp_get0_tbs_sigalg(r->basic);
	bool sha1;
	enum err e = signature_algorithm_check(a, &vi->q->issuer->rules, &sha1);

	if (sha1)
		vi->v->warnings |= ADMIT_WARN_SHA1;
	return NOTE(vi, "signature_algorithm", e, "%s", algorithm(a).s);
}

/* Tell what responder_find() found, as the steps that it took. */
static enum err note_responder(const struct visit *vi, const struct ocsp_response *r,
    const struct responder *who, enum err e)
{
	bool signature = e == ERR_OK || e == ERR_RESP_SIGNATURE;
	enum err delegate = signature ? ERR_OK : e;

	(void)NOTE(vi, "responder", e == ERR_RESP_RESPONDER ? e : ERR_OK, "%s",
	    responder_id(r).s);
	if (e == ERR_RESP_RESPONDER)
		return e;
	if (who->delegate != NULL)
		(void)NOTE(vi, "delegate", delegate, "%s until %s%s",
		    subject(X509_get_subject_name(who->delegate)).s,
		    when(who->not_after).s,
		    who->named ? ", named by responder-certificate" : "");
	if (who->delegate == NULL || signature)
		(void)NOTE(vi, "signature", e, "%s",
		    who->delegate != NULL ? "by the delegate" : "by the issuer itself");
	return e;
}

static enum err check_responder(
    struct visit *vi, const struct ocsp_response *r, struct responder *who)
{
	enum err e = responder_find(
	    vi->ad->delegates, r, vi->q->issuer, vi->q->now, vi->q->skew_s, who);

	if (note_responder(vi, r, who, e) != ERR_OK)
		return e;
	if (who->sha1)
		vi->v->warnings |= ADMIT_WARN_SHA1;
	if (!who->nocheck)
		vi->v->warnings |= ADMIT_WARN_NOCHECK;
	vi->v->facts.signer_not_after = who->not_after;
	memcpy(
	    vi->v->facts.issuer_sha256, who->vouched, sizeof vi->v->facts.issuer_sha256);
	return ERR_OK;
}

static enum err check_extensions(const struct visit *vi, const struct ocsp_response *r)
{
	char what[80] = "";
	enum err e = ocsp_response_extensions(r, what, sizeof what);

	return NOTE(vi, "extensions", e, "%s", what);
}

/* R64: absent is not wrong, the times decide then. */
static enum err check_nonce(const struct visit *vi, const struct ocsp_response *r)
{
	struct bytes sent = vi->q->nonce, got = ocsp_response_nonce(r);

	if (sent.n == 0)
		return ERR_OK;
	return NOTE(vi, "nonce",
	    got.n == 0 || bytes_equal(sent, got) ? ERR_OK : ERR_RESP_NONCE, "%s",
	    got.n == 0 ? "none in the answer" : "in the answer");
}

/* Of which certificate. */

static bool serial_is_ours(const struct visit *vi, const struct ocsp_single *s)
{
	struct serial serial;

	return serial_from_asn1(&serial, s->serial) == ERR_OK &&
	       serial_equal(&serial, &vi->serial);
}

/* The CertID that was asked for: algorithm, both hashes and serial (R15, R52).  Hash
 * lengths are those of the algorithm, so equal runs are equal hashes. */
static bool is_asked(const struct visit *vi, const struct ocsp_single *s)
{
	const struct key *k = vi->q->key;

	return s->known_hash && s->hash == (enum certid_hash)k->hash &&
	       bytes_equal(s->name_hash, key_issuer_name_hash(k)) &&
	       bytes_equal(s->key_hash, key_issuer_key_hash(k)) && serial_is_ours(vi, s);
}

/* The same certificate, by whatever hash algorithm and whichever of the CA's
 * certificates. */
static bool is_same_certificate(const struct visit *vi, const struct ocsp_single *s)
{
	const struct issuer *i = vi->q->issuer;
	size_t n;

	if (!s->known_hash || !serial_is_ours(vi, s))
		return false;
	n = certid_hash_size(s->hash);
	for (size_t c = 0; c < i->ca_n; c++)
		if (bytes_equal(s->name_hash, bytes_of(i->ca[c].name_hash[s->hash], n)) &&
		    bytes_equal(s->key_hash, bytes_of(i->ca[c].key_hash[s->hash], n)))
			return true;
	return false;
}

/* What all SingleResponses together say of our certificate. */
struct said {
	struct ocsp_single asked; /* the first with the CertID that was asked for */
	bool found, disagree;
	enum status status; /* of the last that names the certificate */
};

/* Reasons of RFC 5280 section 5.3.1, without 7, which is not used, and removeFromCRL (8),
 * which belongs to delta CRLs (R65). */
static bool reason_is_possible(int reason)
{
	return reason == REASON_NONE ||
	       (reason >= 0 && reason <= 10 && reason != 7 && reason != 8);
}

/* A revocation that the issuer has signed stays true whatever else is wrong with the
 * answer, if it is in date; a hold may be released and proves nothing (R53, R69). */
static void note_proof(struct visit *vi, const struct ocsp_single *s)
{
	const struct admit_question *q = vi->q;
	bool in_date =
	    s->this_update.readable && s->this_update.at <= q->now + q->skew_s &&
	    (s->has_next_update
		    ? s->next_update.readable && s->next_update.at > q->now &&
			  s->next_update.at > s->this_update.at
		    : !vi->stored && q->issuer->rules.without_next_update_s > 0);

	if (s->status != STATUS_REVOKED || !in_date || vi->v->revoked_proved ||
	    !reason_is_possible(s->reason) || s->reason == REASON_CERTIFICATE_HOLD)
		return;
	vi->v->revoked_proved = true;
	vi->v->revoked_at = s->revoked_at.at;
	vi->v->reason = s->reason;
}

static void read_singles(
    struct visit *vi, const struct ocsp_response *r, struct said *said)
{
	*said = (struct said){0};
	for (size_t i = 0; i < r->singles_n; i++) {
		struct ocsp_single s;

		ocsp_response_single(r, i, &s);
		if (!said->found && is_asked(vi, &s)) {
			said->found = true;
			said->asked = s;
		}
		/* The hashes of a key are always those of one of the issuer's
		 * certificates, so this holds for is_asked() too. */
		if (!is_same_certificate(vi, &s))
			continue;
		if (said->status != STATUS_NONE && s.status != said->status)
			said->disagree = true;
		said->status = s.status;
		note_proof(vi, &s);
	}
}

static enum err check_certid(const struct visit *vi, const struct said *said)
{
	return NOTE(vi, "certid", said->found ? ERR_OK : ERR_RESP_NOMATCH,
	    "%s, serial %s", certid_hash_name(vi->q->key->hash),
	    serial_text(&vi->serial).s);
}

/* R53, R55: some clients read the first SingleResponse, some the matching one, some
 * neither.  Only a body that all of them read alike is served. */
static enum err check_single(
    const struct visit *vi, const struct ocsp_response *r, const struct said *said)
{
	enum err e = said->disagree     ? ERR_RESP_CONTRADICT
		     : r->singles_n > 1 ? ERR_RESP_MULTIPLE
					: ERR_OK;

	return NOTE(vi, "single", e, "%zu in the answer", r->singles_n);
}

/* What it says. */

/* R63: exact form for public CAs, what OpenSSL reads for the others. */
static enum err read_time(struct visit *vi, const struct ocsp_time *t, int64_t *at)
{
	if (!t->readable || (!t->exact && vi->q->issuer->rules.profile == PROFILE_PUBLIC))
		return ERR_RESP_TIMEFORM;
	if (!t->exact)
		vi->v->warnings |= ADMIT_WARN_TIMEFORM;
	*at = t->at;
	return ERR_OK;
}

static enum err note_status(const struct visit *vi, enum err e)
{
	const struct facts *f = &vi->v->facts;
	const char *reason = reason_name(f->reason);

	if (f->status != STATUS_REVOKED)
		return NOTE(vi, "reason", e, "%s", status_name(f->status));
	return NOTE(vi, "reason", e, "revoked at %s, %s (%d)", when(f->revoked_at).s,
	    reason != NULL ? reason : "no reason", f->reason);
}

/* A date of revocation in the future is taken as it is: revoked from now on is the safe
 * reading, and clients do the same. */
static enum err check_reason(struct visit *vi, const struct ocsp_single *s)
{
	struct facts *f = &vi->v->facts;
	enum err e = ERR_OK;

	f->status = s->status;
	f->reason = s->reason;
	if (f->status == STATUS_REVOKED)
		e = reason_is_possible(s->reason)
			? read_time(vi, &s->revoked_at, &f->revoked_at)
			: ERR_RESP_REASON;
	return note_status(vi, e);
}

/* R57, R59..R61.  Expired is expired to the second: what is admitted will be served. */
static enum err check_window(struct visit *vi)
{
	const struct facts *f = &vi->v->facts;
	const struct admit_question *q = vi->q;
	enum err e = ERR_OK;

	if (f->this_update > q->now + q->skew_s)
		e = ERR_RESP_FUTURE;
	else if (f->next_update <= f->this_update)
		e = ERR_RESP_ORDER;
	else if (f->next_update <= q->now)
		e = ERR_RESP_EXPIRED;
	else if (q->issuer->rules.profile == PROFILE_PUBLIC &&
		 f->this_update < q->now - PUBLIC_AGE_MAX_S)
		e = ERR_RESP_OLD;
	else if (f->this_update < f->next_update - PUBLIC_AGE_MAX_S)
		vi->v->warnings |= ADMIT_WARN_LONG;
	return NOTE(vi, "times", e, "%s to %s, now %s", when(f->this_update).s,
	    when(f->next_update).s, when(q->now).s);
}

/* R58: an answer without nextUpdate lives as long as the operator says, from now.  Out of
 * a store, "now" would make it live again with each reading. */
static enum err read_next_update(struct visit *vi, const struct ocsp_single *s)
{
	int64_t life = vi->q->issuer->rules.without_next_update_s;

	if (s->has_next_update)
		return read_time(vi, &s->next_update, &vi->v->facts.next_update);
	if (life <= 0 || vi->stored)
		return ERR_RESP_NONEXT;
	vi->v->facts.next_update = vi->q->now + life;
	vi->v->warnings |= ADMIT_WARN_NONEXT;
	return ERR_OK;
}

static enum err check_times(struct visit *vi, const struct ocsp_single *s)
{
	struct facts *f = &vi->v->facts;
	enum err e = read_time(vi, &s->this_update, &f->this_update);

	if (e != ERR_OK)
		return NOTE(vi, "times", e, "thisUpdate");
	e = read_next_update(vi, s);
	if (e == ERR_RESP_NONEXT && f->this_update > vi->q->now + vi->q->skew_s)
		e = ERR_RESP_FUTURE;
	if (e != ERR_OK)
		return NOTE(
		    vi, "times", e, "thisUpdate %s, nextUpdate", when(f->this_update).s);
	return check_window(vi);
}

/* R62.  Before thisUpdate is right for answers made in advance (RFC 9919's own example).
 * Outside the delegate's validity it is not: that key had no say then.  For the issuer
 * itself not_before and not_after are open, as its dates are nowhere looked at. */
static enum err check_produced(
    struct visit *vi, const struct ocsp_response *r, const struct responder *who)
{
	struct ocsp_time t = ocsp_response_produced_at(r);
	int64_t *at = &vi->v->facts.produced_at;
	enum err e = read_time(vi, &t, at);

	if (e == ERR_OK && (*at > vi->q->now + vi->q->skew_s || *at < who->not_before ||
			       *at > who->not_after))
		e = ERR_RESP_PRODUCED;
	return NOTE(vi, "produced_at", e, "%s", when(*at).s);
}

/* After what we know already. */

/* R68: older never replaces newer.  Away from revoked (a hold, for what is latched comes
 * no further than the next check) only by a newer thisUpdate (R70): within the second of
 * a revocation the good one may have been made before it. */
static bool is_older(const struct facts *f, const struct facts *held)
{
	if (f->this_update != held->this_update)
		return f->this_update < held->this_update;
	if (held->status == STATUS_REVOKED && f->status != STATUS_REVOKED)
		return true;
	return f->produced_at < held->produced_at;
}

static enum err check_order(const struct visit *vi)
{
	const struct facts *held = vi->q->held;

	if (held == NULL || held->status == STATUS_NONE)
		return NOTE(vi, "order", ERR_OK, "nothing is held");
	return NOTE(vi, "order", is_older(&vi->v->facts, held) ? ERR_RESP_OLDER : ERR_OK,
	    "held: %s, thisUpdate %s, producedAt %s", status_name(held->status),
	    when(held->this_update).s, when(held->produced_at).s);
}

/* R69: revoked stays revoked; neither good nor unknown comes after it. */
static enum err check_latch(const struct visit *vi)
{
	bool refused = vi->q->latched && vi->v->facts.status != STATUS_REVOKED;

	return NOTE(vi, "latch", refused ? ERR_RESP_LATCH : ERR_OK, "%s",
	    vi->q->latched ? "latched as revoked" : "no latch");
}

static struct text list_text(const struct crl_set *s, const struct crl_finding *found)
{
	struct text out = {""};

	if (s == NULL || s->shards_n == 0)
		snprintf(out.s, sizeof out.s, "no list is in force");
	else if (!found->listed)
		snprintf(out.s, sizeof out.s, "no list in force has it");
	else
		snprintf(out.s, sizeof out.s, "%s since %.40s by the list of %.40s",
		    found->hold ? "on hold" : "revoked", when(found->revoked_at).s,
		    when(found->this_update).s);
	return out;
}

static enum err list_error(enum crl_verdict v)
{
	if (v == CRL_FITS)
		return ERR_OK;
	return v == CRL_NOT_YET ? ERR_RESP_LISTS : ERR_RESP_CRL;
}

/* R71: what the lists say outweighs a good or unknown, but for a hold that a newer one
 * ends.  That the statement is newer than the list is worth an alarm. */
static enum err check_crl(const struct visit *vi)
{
	const struct crl_set *s = vi->q->crl;
	struct crl_finding found = {.reason = REASON_NONE};
	enum crl_verdict said =
	    s != NULL ? crl_set_judge(s, &vi->serial, &vi->v->facts, &found) : CRL_FITS;

	vi->v->crl_disagrees = said == CRL_DISAGREES;
	return NOTE(vi, "crl", list_error(said), "%s", list_text(s, &found).s);
}

/* After all that the answer itself tells. */
static enum err check_known(const struct visit *vi)
{
	enum err e = check_order(vi);

	if (e == ERR_OK)
		e = check_latch(vi);
	return e == ERR_OK ? check_crl(vi) : e;
}

/* The door. */

static enum err judge(struct visit *vi, const struct ocsp_response *r)
{
	struct responder who;
	struct said said;
	enum err e;

	if ((e = check_algorithm(vi, r)) != ERR_OK ||
	    (e = check_responder(vi, r, &who)) != ERR_OK ||
	    (e = check_extensions(vi, r)) != ERR_OK || (e = check_nonce(vi, r)) != ERR_OK)
		return e;
	read_singles(vi, r, &said);
	if ((e = check_certid(vi, &said)) != ERR_OK ||
	    (e = check_single(vi, r, &said)) != ERR_OK ||
	    (e = check_reason(vi, &said.asked)) != ERR_OK ||
	    (e = check_times(vi, &said.asked)) != ERR_OK ||
	    (e = check_produced(vi, r, &who)) != ERR_OK)
		return e;
	return check_known(vi);
}

static enum err judge_der(struct visit *vi, struct bytes der)
{
	const struct ocsp_memory memory = {delegates_find, vi->ad->delegates};
	struct ocsp_response r;
	enum err e = ocsp_response_parse(&r, der, vi->q->max_size, &memory);

	note_parse(vi, e, der.n);
	if (e == ERR_OK)
		e = judge(vi, &r);
	ocsp_response_free(&r);
	ERR_clear_error();
	return e;
}

static struct visit visit_begin(struct admit *ad, const struct admit_question *q,
    struct admit_verdict *v, const struct admit_trace *trace)
{
	struct visit vi = {.ad = ad, .q = q, .v = v, .trace = trace};

	assert(q->issuer != NULL && q->issuer->ca_n > 0 && q->key != NULL);
	assert(q->max_size > 0 && q->skew_s >= 0);
	*v = (struct admit_verdict){.reason = REASON_NONE};
	v->facts.reason = REASON_NONE;
	key_serial(q->key, &vi.serial);
	return vi;
}

enum err admit_der(struct admit *ad, const struct admit_question *q, struct bytes der,
    struct admit_verdict *v, const struct admit_trace *trace)
{
	struct visit vi = visit_begin(ad, q, v, trace);

	return judge_der(&vi, der);
}

/* The certificate that a record was verified against must still be configured. */
static enum err check_record_issuer(const struct visit *vi)
{
	const uint8_t *sha256 = vi->v->facts.issuer_sha256;
	enum err e = issuer_vouches(vi->q->issuer, sha256) ? ERR_OK : ERR_RECORD_ISSUER;
	char hex[65];

	hex_encode(sha256, 32, hex);
	return NOTE(vi, "issuer", e, "%s", hex);
}

static enum err check_record_status(const struct visit *vi)
{
	const struct facts *f = &vi->v->facts;
	enum err e = ERR_OK;

	if (f->status != STATUS_GOOD && f->status != STATUS_REVOKED &&
	    f->status != STATUS_UNKNOWN)
		e = ERR_RECORD;
	else if (f->status == STATUS_REVOKED && !reason_is_possible(f->reason))
		e = ERR_RESP_REASON;
	if (e == ERR_RECORD)
		return NOTE(vi, "reason", e, "no status");
	return note_status(vi, e);
}

static enum err check_record_signer(const struct visit *vi)
{
	int64_t end = vi->v->facts.signer_not_after;

	if (end == INT64_MAX)
		return ERR_OK; /* the issuer itself: no delegate, no check */
	return NOTE(vi, "delegate", end > vi->q->now ? ERR_OK : ERR_RESP_VALIDITY,
	    "until %s", when(end).s);
}

static enum err check_record_produced(const struct visit *vi)
{
	int64_t at = vi->v->facts.produced_at;

	return NOTE(vi, "produced_at",
	    at > vi->q->now + vi->q->skew_s ? ERR_RESP_PRODUCED : ERR_OK, "%s",
	    when(at).s);
}

/* The MAC says that a node of ours verified the signature, the form and the CertID.  What
 * depends on the time, on our rules, and on what we know since, is checked here. */
static enum err judge_facts(struct visit *vi)
{
	const struct facts *f = &vi->v->facts;
	enum err e;

	if ((e = check_record_issuer(vi)) != ERR_OK ||
	    (e = check_record_signer(vi)) != ERR_OK ||
	    (e = check_record_status(vi)) != ERR_OK || (e = check_window(vi)) != ERR_OK)
		return e;
	if (f->status == STATUS_REVOKED && f->reason != REASON_CERTIFICATE_HOLD) {
		vi->v->revoked_proved = true;
		vi->v->revoked_at = f->revoked_at;
		vi->v->reason = f->reason;
	}
	e = check_record_produced(vi);
	return e == ERR_OK ? check_known(vi) : e;
}

enum err admit_record(struct admit *ad, const struct admit_question *q,
    struct bytes value, const struct mac_keys *keys, struct bytes *der,
    struct admit_verdict *v, const struct admit_trace *trace)
{
	struct visit vi = visit_begin(ad, q, v, trace);
	struct record r;
	enum err e = record_decode(&r, value, q->key, keys);

	*der = (struct bytes){0};
	if (e == ERR_OK && r.der.n > q->max_size)
		e = ERR_RESP_LARGE;
	if (NOTE(&vi, "record", e, "%zu bytes", value.n) != ERR_OK)
		return e;
	(void)NOTE(
	    &vi, "mac", ERR_OK, "%s", r.mac_ok ? "good" : "not good: verified in full");
	if (r.mac_ok) {
		v->mac_ok = true;
		v->facts = r.facts;
		e = judge_facts(&vi);
	} else {
		v->warnings |= ADMIT_WARN_UNSIGNED_MAC;
		vi.stored = true;
		e = judge_der(&vi, r.der);
	}
	if (e == ERR_OK)
		*der = r.der;
	return e;
}
