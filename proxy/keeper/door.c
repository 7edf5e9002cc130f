/* door.c - question, admit, latch, refuse, take. */
#include "proxy/keeper/door.h"

#include "proxy/base/clock.h"
#include "proxy/http/ocsp_http.h"
#include "proxy/keeper/intake.h"

/* Of one question. */
struct entry {
	const struct parts *d;
	struct door_visit *x;
	const struct issuer *i;
	struct admit_question q;
	struct admit_verdict v;
	struct facts held; /* room for q.held */
};

static bool ask(struct entry *n, const struct parts *d, struct door_visit *x)
{
	n->d = d;
	n->x = x;
	n->i = issuers_find(shared_conf(d->shared)->issuers, x->key, NULL);
	if (n->i == NULL)
		return false;
	answers_question(d->answers, n->i, x->key, &n->q, &n->held);
	n->q.nonce = x->nonce;
	if (x->newest != NULL && (n->q.held == NULL || facts_newer(x->newest, n->q.held)))
		n->q.held = x->newest;
	return true;
}

/* What every verdict says, also of a refused answer. */
static void heed(struct entry *n, enum err e)
{
	intake_latch(n->d, n->i, n->x->key, &n->v);
	n->x->facts = n->v.facts;
	n->x->newer =
	    e == ERR_OK && (n->q.held == NULL || facts_newer(&n->v.facts, n->q.held));
}

static void refuse(
    const struct entry *n, enum err e, enum metric counter, const char *from)
{
	answers_refused(n->d->answers, n->i, n->x->key, e, &n->v, counter, from);
}

static enum err enter(
    struct entry *n, const struct parts *d, struct door_visit *x, struct bytes der)
{
	enum err e;

	if (!ask(n, d, x))
		return ERR_REQ_ISSUER;
	e = admit_der(d->admit, &n->q, der, &n->v, x->trace);
	heed(n, e);
	if (e == ERR_OK)
		metrics_count(d->counters, M_ADMITTED_UPSTREAM);
	else
		refuse(n, e, M_REFUSED_UPSTREAM, x->from);
	return e;
}

enum err door_take(const struct parts *d, struct door_visit *x, struct bytes der,
    bool force, const struct answer **answer)
{
	struct entry n;
	enum err e = enter(&n, d, x, der);

	*answer = NULL;
	if (e != ERR_OK)
		return e;
	*answer = intake_take(d, n.i, x->key, &x->facts, der, force);
	return *answer != NULL ? ERR_OK : ERR_NOMEM;
}

enum err door_pass(
    const struct parts *d, struct door_visit *x, struct bytes der, struct answer **answer)
{
	char head[OCSP_HEAD_MAX];
	struct entry n;
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

static const struct answer *take_stored(const struct entry *n, struct bytes der)
{
	const struct answer *held = answers_in_date(n->d->answers, n->x->key);

	metrics_count(n->d->counters, M_ADMITTED_STORE);
	metrics_count(n->d->counters, M_STORE_HITS);
	if (!n->x->newer && held != NULL)
		return held;
	return intake_install(n->d, n->i, n->x->key, &n->x->facts, der);
}

enum err door_take_stored(const struct parts *d, struct door_visit *x, struct bytes value,
    const struct answer **answer)
{
	struct bytes der;
	struct entry n;
	enum err e;

	if (answer != NULL)
		*answer = NULL;
	if (!ask(&n, d, x))
		return ERR_REQ_ISSUER;
	e = admit_record(d->admit, &n.q, value, d->keys, &der, &n.v, x->trace);
	heed(&n, e);
	if (e != ERR_OK && e != ERR_RESP_EXPIRED && e != ERR_RESP_OLDER)
		refuse(&n, e, M_REFUSED_STORE, "store");
	if (e != ERR_OK || answer == NULL)
		return e;
	*answer = take_stored(&n, der);
	return *answer != NULL ? ERR_OK : ERR_NOMEM;
}
