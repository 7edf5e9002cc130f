/* What is between a list that was read and one that is used: who signed it, and what was
 * in force before. */
#include "cache/crl/crl_read.h"

#include <openssl/err.h>
#include <openssl/evp.h>
#include <stdio.h>

#include "cache/base/signature.h"
#include "cache/crl/crl_walk.h"

static bool signed_by(const struct crl_walk *w, const struct issuer_ca *ca)
{
	return crl_signature_by(
	    &w->signature, ca->key, bytes_of(w->signed_by, w->signed_by_n));
}

static enum err check_signature(struct crl_walk *w)
{
	const struct issuer_rules *rules = &w->want->issuer->rules;
	size_t weak = 0;

	for (size_t n = 0; n < w->candidates_n; n++) {
		const struct issuer_ca *ca = w->candidates[n];

		if (!signature_key_is_strong(ca->key, rules)) {
			weak++;
		} else if (signed_by(w, ca)) {
			memcpy(w->list->facts.issuer_sha256, ca->sha256, 32);
			memcpy(
			    w->list->facts.key_sha256, ca->key_hash[CERTID_SHA256], 32);
			return crl_may_be_signed_by(ca) ? ERR_OK : crl_refuse_usage(w);
		}
	}
	if (weak == w->candidates_n)
		return crl_refuse(w, ERR_CRL_SIGALG,
		    "the issuer's key is too short to believe its signature");
	return crl_refuse(w, ERR_CRL_SIGNATURE,
	    "the list's signature does not verify with the issuer's certificate%s; it "
	    "was altered, or the CA has a new key whose certificate is missing here",
	    w->candidates_n > 1 ? "s" : "");
}

static enum err refuse_date(struct crl_walk *w, const struct crl_facts *held)
{
	return crl_refuse(w, ERR_CRL_ROLLBACK,
	    "the list's thisUpdate is %lld s before that of the one in force: an old "
	    "list, "
	    "or the CA's clock went back (then: ocspctl refresh --accept-number ISSUER)",
	    (long long)(held->this_update - w->list->facts.this_update));
}

static enum err refuse_number(struct crl_walk *w, const struct crl_facts *held)
{
	char theirs[CRL_NUMBER_TEXT_MAX], ours[CRL_NUMBER_TEXT_MAX];
	char theirs_hex[CRL_NUMBER_HEX_MAX], ours_hex[CRL_NUMBER_HEX_MAX];

	crl_number_text(&w->list->facts, theirs);
	crl_number_text(held, ours);
	crl_number_hex(&w->list->facts, theirs_hex);
	crl_number_hex(held, ours_hex);
	return crl_refuse(w, ERR_CRL_ROLLBACK,
	    "the list has CRLNumber %s (%s), the one in force %s (%s): an old list, or "
	    "the CA lost its count (then: ocspctl refresh --accept-number ISSUER)",
	    theirs, theirs_hex, ours, ours_hex);
}

static bool is_reused(const struct crl_facts *f, const struct crl_facts *held)
{
	return f->has_number && held->has_number && crl_number_cmp(f, held) == 0 &&
	       memcmp(f->key_sha256, held->key_sha256, sizeof f->key_sha256) == 0 &&
	       memcmp(f->sha256, held->sha256, sizeof f->sha256) != 0;
}

/* R95, R96: nothing older than what is in force. */
static enum err check_held(struct crl_walk *w)
{
	const struct crl_facts *held = w->want->held;
	struct crl_facts *f = &w->list->facts;
	bool back, earlier, over;

	if (held == NULL)
		return ERR_OK;
	back = crl_number_is_back(f, held);
	earlier = f->this_update < held->this_update;
	over = held->next_update <= w->want->now && f->this_update > held->this_update;
	if (is_reused(f, held))
		f->warnings |= CRL_WARN_REUSED;
	if (w->want->accept_number && (back || earlier)) {
		f->warnings |= CRL_WARN_ACCEPTED;
		return ERR_OK;
	}
	if (back && over)
		f->warnings |= CRL_WARN_BACK;
	if (!earlier && (!back || over))
		return ERR_OK;
	if (w->want->older != NULL)
		*w->want->older = *f;
	return back ? refuse_number(w, held) : refuse_date(w, held);
}

static enum err check_fresh(struct crl_walk *w)
{
	const struct crl_want *want = w->want;
	int64_t ahead = w->list->facts.this_update - want->now;

	if (want->own)
		return ERR_OK;
	if (ahead > want->skew_s)
		return crl_refuse(w, ERR_CRL_FUTURE,
		    "the list's thisUpdate is %lld s in the future; is our clock right?",
		    (long long)ahead);
	return check_held(w);
}

/* A context that cannot be initialized lacks memory too, and not all of OpenSSL says so.
 */
static bool is_no_memory(unsigned long queued)
{
	return ERR_GET_REASON(queued) == ERR_R_MALLOC_FAILURE ||
	       (ERR_GET_LIB(queued) == ERR_LIB_EVP &&
		   ERR_GET_REASON(queued) == EVP_R_INITIALIZATION_ERROR);
}

/* OpenSSL answers an allocation that failed as it does a bad list.  That is no refusal,
 * and to be tried again. */
static enum err or_no_memory(enum err e, char *why, size_t why_n)
{
	unsigned long queued;

	while (e != ERR_OK && e != ERR_NOMEM && (queued = ERR_get_error()) != 0)
		if (is_no_memory(queued)) {
			e = ERR_NOMEM;
			snprintf(why, why_n, "%s", err_text(e));
		}
	return e;
}

enum err crl_read_pieces(struct crl_list **out, int fd, size_t piece,
    const struct crl_want *want, char *why, size_t why_n)
{
	struct crl_walk w;
	enum err e;

	ERR_clear_error();
	e = crl_walk(&w, fd, piece, want, why, why_n);
	*out = NULL;
	if (e == ERR_OK)
		e = check_signature(&w);
	if (e == ERR_OK)
		e = check_fresh(&w);
	if (e == ERR_OK) {
		*out = w.list;
		w.list = NULL;
	}
	e = or_no_memory(e, why, why_n);
	crl_walk_end(&w);
	return e;
}

enum err crl_read(
    struct crl_list **out, int fd, const struct crl_want *w, char *why, size_t why_n)
{
	return crl_read_pieces(out, fd, CRL_PIECE, w, why, why_n);
}
