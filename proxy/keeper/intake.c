/* intake.c - before, the deed, after. */
#include "proxy/keeper/intake.h"

#include "proxy/keeper/evidence.h"
#include "proxy/keeper/revoke.h"
#include "proxy/tell/teller.h"

static enum change_status change_status_of(enum status s)
{
	return s == STATUS_REVOKED ? CHANGE_REVOKED
	       : s == STATUS_GOOD  ? CHANGE_GOOD
				   : CHANGE_UNKNOWN;
}

static void tell(
    const struct parts *d, struct single_change *c, enum status before, enum status now)
{
	if (d->telling == NULL)
		return;
	c->before = change_status_of(before);
	c->now = change_status_of(now);
	telling_single(d->telling, c);
}

void intake_latch(const struct parts *d, const struct issuer *i, const struct key *k,
    const struct admit_verdict *v)
{
	struct single_change c = {.issuer = i,
	    .revoked_at = v->revoked_at,
	    .reason = v->reason,
	    .this_update = v->facts.this_update};
	struct evidence before;
	bool news;

	if (!v->revoked_proved)
		return;
	key_serial(k, &c.serial);
	if (latches_find(d->latches, i, &c.serial) != NULL) {
		revoke_latch(d->revoker, i, k, v, false);
		return;
	}
	evidence_of(d, i, &c.serial, NULL, &before);
	/* what a list or a hold has said before is no change, but has a latch now */
	news = before.status != STATUS_REVOKED;
	revoke_latch(d->revoker, i, k, v, news);
	c.latch = latches_find(d->latches, i, &c.serial);
	if (news)
		tell(d, &c, before.status, STATUS_REVOKED);
}

/* May an answer with these facts move its certificate to or from revoked?  Revocations
 * that last have moved it with their latch; unknown moves nothing from good. */
static bool may_move(const struct facts *f)
{
	return f->status != STATUS_REVOKED || f->reason == REASON_CERTIFICATE_HOLD;
}

static void tell_move(const struct parts *d, const struct issuer *i,
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

static const struct answer *take_in(const struct parts *d, const struct issuer *i,
    const struct key *k, const struct facts *f, struct bytes der, bool fetched,
    bool force)
{
	bool look = d->telling != NULL && may_move(f);
	struct evidence before, after;
	const struct answer *a;
	struct serial s;

	key_serial(k, &s);
	if (look)
		evidence_of(d, i, &s, NULL, &before);
	a = fetched ? answers_take(d->answers, i, k, f, der, force)
		    : answers_install(d->answers, i, k, f, der);
	/* nothing but a hold makes of a certificate that is not revoked one that is */
	if (a == NULL || !look ||
	    (f->status != STATUS_REVOKED && before.status != STATUS_REVOKED))
		return a;
	evidence_of(d, i, &s, a, &after);
	tell_move(d, i, &s, f, &before, &after);
	return a;
}

const struct answer *intake_install(const struct parts *d, const struct issuer *i,
    const struct key *k, const struct facts *facts, struct bytes der)
{
	return take_in(d, i, k, facts, der, false, false);
}

const struct answer *intake_take(const struct parts *d, const struct issuer *i,
    const struct key *k, const struct facts *facts, struct bytes der, bool force)
{
	return take_in(d, i, k, facts, der, true, force);
}
