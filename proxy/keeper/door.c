/* door.c - question, admit, latch, refuse, take, tell. */
#include "proxy/keeper/door.h"

#include <assert.h>

#include "proxy/base/clock.h"
#include "proxy/http/ocsp_http.h"

enum how {
	HOW_STORED,  /* it came from the store */
	HOW_FETCHED, /* the store gets it too */
	HOW_FORCED   /* and in place of a newer value that was refused */
};

/* Of one question. */
struct passage {
	const struct door *door;
	struct door_visit *x;
	const struct issuer *i;
	struct admit_question q;
	struct admit_verdict v;
	struct facts held; /* room for q.held */
};

static bool ask(struct passage *n, const struct door *d, struct door_visit *x)
{
	n->door = d;
	n->x = x;
	n->i = issuers_find(shared_conf(d->context->shared)->issuers, x->key, NULL);
	if (n->i == NULL)
		return false;
	answers_question(d->answers, n->i, x->key, &n->q, &n->held);
	n->q.nonce = x->nonce;
	if (x->newest != NULL && (n->q.held == NULL || facts_newer(x->newest, n->q.held)))
		n->q.held = x->newest;
	return true;
}

/* A change is where the certificate's status moves to revoked, or away from it. */

static enum change_status change_status_of(enum status s)
{
	return s == STATUS_REVOKED ? CHANGE_REVOKED
	       : s == STATUS_GOOD  ? CHANGE_GOOD
				   : CHANGE_UNKNOWN;
}

static void tell(
    const struct door *d, struct single_change *c, enum status before, enum status now)
{
	c->before = change_status_of(before);
	c->now = change_status_of(now);
	teller_single(d->teller, c);
}

/* For every verdict that proves a revocation, and before its answer is taken. */
static void latch(const struct passage *n)
{
	const struct door *d = n->door;
	const struct issuer *i = n->i;
	const struct admit_verdict *v = &n->v;
	struct single_change c = {.issuer = i,
	    .revoked_at = v->revoked_at,
	    .reason = v->reason,
	    .this_update = v->facts.this_update};
	struct evidence before;
	bool news;

	assert(v->revoked_proved);
	key_serial(n->x->key, &c.serial);
	if (latches_find(d->evidence->latches, i, &c.serial) != NULL) {
		revoke_latch(d->revoker, i, n->x->key, v, false);
		return;
	}
	evidence_of(d->evidence, i, &c.serial, NULL, &before);
	/* what a list or a hold has said before is no change, but has a latch now */
	news = before.status != STATUS_REVOKED;
	revoke_latch(d->revoker, i, n->x->key, v, news);
	c.latch = latches_find(d->evidence->latches, i, &c.serial);
	if (news)
		tell(d, &c, before.status, STATUS_REVOKED);
}

/* May an answer with these facts move its certificate to or from revoked?  Revocations
 * that last have moved it with their latch; unknown moves nothing from good. */
static bool may_move(const struct facts *f)
{
	return f->status != STATUS_REVOKED || f->reason == REASON_CERTIFICATE_HOLD;
}

static void tell_move(const struct door *d, const struct issuer *i,
    const struct serial *s, const struct facts *f, const struct evidence *before,
    const struct evidence *after)
{
	const struct evidence *revoked = after->status == STATUS_REVOKED ? after : before;
	struct single_change c = {.issuer = i,
	    .serial = *s,
	    .revoked_at = revoked->revoked_at,
	    .reason = revoked->reason,
	    .this_update = f->this_update};

	if ((before->status == STATUS_REVOKED) != (after->status == STATUS_REVOKED))
		tell(d, &c, before->status, after->status);
}

static const struct answer *take(const struct passage *n, struct bytes der, enum how how)
{
	const struct door *d = n->door;
	const struct issuer *i = n->i;
	const struct key *k = n->x->key;
	const struct facts *f = &n->x->facts;
	bool look = may_move(f);
	struct evidence before, after;
	const struct answer *a;
	struct serial s;

	key_serial(k, &s);
	if (look)
		evidence_of(d->evidence, i, &s, NULL, &before);
	a = how == HOW_STORED
		? answers_install(d->answers, i, k, f, der, n->x->aside)
		: answers_take(d->answers, i, k, f, der, n->x->aside, how == HOW_FORCED);
	/* nothing but a hold makes of a certificate that is not revoked one that is */
	if (a == NULL || !look ||
	    (f->status != STATUS_REVOKED && before.status != STATUS_REVOKED))
		return a;
	evidence_of(d->evidence, i, &s, a, &after);
	tell_move(d, i, &s, f, &before, &after);
	return a;
}

/* The steps. */

/* What every verdict says, also of a refused answer. */
static void heed(struct passage *n, enum err e)
{
	if (n->v.revoked_proved)
		latch(n);
	n->x->facts = n->v.facts;
	n->x->newer =
	    e == ERR_OK && (n->q.held == NULL || facts_newer(&n->v.facts, n->q.held));
}

static void refuse(
    const struct passage *n, enum err e, enum metric counter, const char *from)
{
	answers_refused(n->door->answers, n->i, n->x->key, e, &n->v, counter, from);
}

static enum err enter(
    struct passage *n, const struct door *d, struct door_visit *x, struct bytes der)
{
	enum err e;

	if (!ask(n, d, x))
		return ERR_REQ_ISSUER;
	e = admit_der(d->admit, &n->q, der, &n->v, x->trace);
	heed(n, e);
	if (e == ERR_OK)
		metrics_count(d->context->counters, M_ADMITTED_UPSTREAM);
	else
		refuse(n, e, M_REFUSED_UPSTREAM, x->from);
	return e;
}

enum err door_take(const struct door *d, struct door_visit *x, struct bytes der,
    bool force, const struct answer **answer)
{
	struct passage n;
	enum err e = enter(&n, d, x, der);

	*answer = NULL;
	if (e != ERR_OK)
		return e;
	*answer = take(&n, der, force ? HOW_FORCED : HOW_FETCHED);
	return *answer != NULL ? ERR_OK : ERR_NOMEM;
}

enum err door_pass(
    const struct door *d, struct door_visit *x, struct bytes der, struct answer **answer)
{
	char head[OCSP_HEAD_MAX];
	struct passage n;
	enum err e = enter(&n, d, x, der);

	*answer = NULL;
	if (e != ERR_OK)
		return e;
	*answer = answer_new(
	    x->key, &x->facts, bytes_of(head, ocsp_http_head(head, &x->facts, der)), der);
	if (*answer == NULL)
		return ERR_NOMEM;
	(*answer)->obtained_at = clock_now();
	return ERR_OK;
}

static const struct answer *take_stored(const struct passage *n, struct bytes der)
{
	const struct answer *held = answers_in_date(n->door->answers, n->x->key);

	metrics_count(n->door->context->counters, M_ADMITTED_STORE);
	metrics_count(n->door->context->counters, M_STORE_HITS);
	if (!n->x->newer && held != NULL)
		return held;
	return take(n, der, HOW_STORED);
}

/* It was right when it was written: it has ended since, or what is newer has come, here
 * or in a list.  No fault of who keeps it. */
static bool is_outlived(enum err e, const struct admit_verdict *v)
{
	return e == ERR_RESP_EXPIRED || e == ERR_RESP_OLDER ||
	       (e == ERR_RESP_CRL && !v->crl_disagrees);
}

enum err door_take_stored(const struct door *d, struct door_visit *x, struct bytes value,
    const struct answer **answer)
{
	struct bytes der;
	struct passage n;
	enum err e;

	if (answer != NULL)
		*answer = NULL;
	if (!ask(&n, d, x))
		return ERR_REQ_ISSUER;
	e = admit_record(d->admit, &n.q, value, d->keys, &der, &n.v, x->trace);
	heed(&n, e);
	if (e != ERR_OK && !is_outlived(e, &n.v))
		refuse(&n, e, M_REFUSED_STORE, "store");
	if (e != ERR_OK || answer == NULL)
		return e;
	*answer = take_stored(&n, der);
	return *answer != NULL ? ERR_OK : ERR_NOMEM;
}

enum err door_look(const struct door *d, const struct key *k, struct bytes der,
    const struct admit_trace *trace)
{
	const struct issuer *i =
	    issuers_find(shared_conf(d->context->shared)->issuers, k, NULL);
	struct admit_question q;
	struct admit_verdict v;
	struct facts held;

	if (i == NULL)
		return ERR_REQ_ISSUER;
	answers_question(d->answers, i, k, &q, &held);
	q.held = NULL;
	return admit_der(d->admit, &q, der, &v, trace);
}

/* Another name has another slot for its lists. */
static bool has_changed(const struct issuer *was, const struct issuer *is)
{
	return is == NULL || strcmp(was->name, is->name) != 0 ||
	       was->rules.profile != is->rules.profile ||
	       was->rules.allow_sha1 != is->rules.allow_sha1 ||
	       was->rules.without_next_update_s != is->rules.without_next_update_s;
}

bool door_issuer_changed(const struct issuer *was, const struct issuer *is)
{
	bool changed = has_changed(was, is);

	for (size_t n = 0; !changed && n < was->ca_n; n++)
		changed = !issuer_vouches(is, was->ca[n].sha256);
	for (size_t n = 0; !changed && n < was->responder_n; n++)
		changed = !issuer_vouches(is, was->responder[n].sha256);
	return changed;
}

bool door_rules_changed(
    const struct issuers *old, const struct issuers *new, const struct answer *a)
{
	const struct issuer *was, *is;
	struct key k;

	/* an error may be what the reload is to mend */
	if (a->facts.status == STATUS_NONE || key_from_der(&k, answer_key(a)) != ERR_OK)
		return true;
	was = issuers_find(old, &k, NULL);
	is = issuers_find(new, &k, NULL);
	return was == NULL || has_changed(was, is) ||
	       !issuer_vouches(is, a->facts.issuer_sha256);
}
