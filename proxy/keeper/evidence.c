/* evidence.c - first what there is, then what it means. */
#include "proxy/keeper/evidence.h"

#include <assert.h>

#include "proxy/base/clock.h"

/* What there is. */

/* Of each status the newest; of revocations one that is no hold first. */
static void hear(struct evidence_answer *had, const struct facts *f)
{
	bool better = f->this_update > had->facts.this_update;

	if (had->found && f->status == STATUS_REVOKED &&
	    facts_are_hold(f) != facts_are_hold(&had->facts))
		better = !facts_are_hold(f);
	if (had->found && !better)
		return;
	had->found = true;
	had->facts = *f;
}

static void hear_facts(struct evidence *st, const struct facts *f)
{
	if (f->status == STATUS_GOOD)
		hear(&st->good, f);
	else if (f->status == STATUS_REVOKED)
		hear(&st->revoked, f);
	else if (f->status == STATUS_UNKNOWN)
		hear(&st->unknown, f);
}

/* In date, whether the lists allow it or not: those are heard beside it. */
static void hear_answer(struct evidence *st, const struct answer *a, int64_t now)
{
	if (a != NULL && a->error == ERR_OK && a->expiry > now)
		hear_facts(st, &a->facts);
}

static void gather_answers(struct evidence *st, const struct hot *hot,
    const struct issuer *i, const struct serial *s, int64_t now)
{
	for (size_t n = 0; n < issuer_keys_n(i); n++) {
		struct key k;

		issuer_key_at(i, n, s, &k);
		hear_answer(st, hot_find(hot, key_der(&k)), now);
	}
	if (st->kept.heard.found)
		hear_facts(st, &st->kept.heard.facts);
	if (st->kept.polled.found)
		hear_facts(st, &st->kept.polled.facts);
}

bool evidence_is_as_configured(const struct crl_set *set, const struct issuer *i)
{
	size_t place = 0;

	for (size_t n = 0; n < i->crl_n; n++) {
		const char *scope = i->crl[n].scope;

		if (crl_joins_name(set->joins, scope) != scope)
			continue; /* it is one of the others */
		if (place == set->shards_n ||
		    (set->shard[place].file != NULL &&
			strcmp(set->shard[place].file->scope, scope) != 0))
			return false;
		place++;
	}
	return true;
}

/* Where are the CAs that go by this issuer's name? */
static void find_cas(struct evidence_lists *l, const char *issuer)
{
	const struct watch_cas *cas = l->watched->cas;

	for (size_t n = 0; n < cas->n; n++)
		if (strcmp(cas->ca[n].issuer, issuer) == 0) {
			l->last = &cas->ca[n];
			if (l->first == NULL)
				l->first = l->last;
		}
}

/* Is one of them all that there is, in force and in date? */
static bool is_one_all(const struct crl_set *s, int64_t now)
{
	for (size_t n = 0; n < s->shards_n; n++) {
		const struct crl_facts *f = &s->shard[n].facts;

		if (s->shard[n].in_force && f->next_update > now && !f->has_point &&
		    !f->only_ca && !f->some_reasons)
			return true;
	}
	return false;
}

void evidence_list(const struct crl_set *set, const struct issuer *i,
    const struct inventory *watched, int64_t now, struct evidence_lists *out)
{
	*out = (struct evidence_lists){.set = set, .watched = watched, .now = now};
	out->absence = crl_set_absence(set, i->rules.absent, now, &out->absence_list);
	out->as_configured = evidence_is_as_configured(set, i);
	out->one_all = is_one_all(set, now);
	if (out->absence == CRL_ABSENT_GOOD && !out->as_configured)
		out->absence = CRL_ABSENT_MISSING;
	if (watched != NULL)
		find_cas(out, i->name);
}

void evidence_keep(const struct evidence_sources *from, const struct issuer *i,
    const struct serial *s, struct evidence_kept *out)
{
	const struct latch *l = latches_find(from->latches, i, s);
	struct polled_word word;

	*out = (struct evidence_kept){.latched = l != NULL};
	if (l != NULL) {
		out->revoked_at = l->revoked_at;
		out->reason = l->reason;
	}
	out->heard.found = memos_recall(from->memos, i, s, MEMO_HOLD, &out->heard.facts);
	out->refused.found =
	    memos_recall(from->memos, i, s, MEMO_REFUSED, &out->refused.facts);
	out->polled.found = polled_find(from->polled, i->name, s, &word) &&
			    word.facts.next_update > clock_now();
	if (out->polled.found)
		out->polled.facts = word.facts;
}

/* What is watched. */

struct evidence_watch evidence_watch_of(const struct watched *e)
{
	return (struct evidence_watch){true, watched_is_verified(e), watched_point(e)};
}

static struct evidence_watch watch_find(
    const struct evidence_lists *l, const char *issuer, const struct serial *s)
{
	struct watched all, one;
	bool found = false;

	for (const struct watch_ca *ca = l->first; ca != NULL && ca <= l->last; ca++) {
		if (strcmp(ca->issuer, issuer) != 0 ||
		    !inventory_find(l->watched, ca->id, s, &one))
			continue;
		if (found)
			watched_join(&all, &one);
		else
			all = one;
		found = true;
	}
	return found ? evidence_watch_of(&all) : (struct evidence_watch){0};
}

/* What the list of this number says of whom none has; NOT_OURS without a number. */
static enum crl_absence absence_at(
    const struct evidence_lists *l, const struct issuer *i, uint16_t point)
{
	const char *url = watch_points_url(l->watched->points, point);
	enum crl_absence a;

	if (url == NULL)
		return CRL_ABSENT_NOT_OURS;
	if (l->said != NULL && l->said[point] > 0)
		return (enum crl_absence)(l->said[point] - 1);
	a = crl_set_absence_at(l->set, i, url, l->now, NULL);
	if (l->said != NULL)
		l->said[point] = (uint8_t)(a + 1);
	return a;
}

/* May the list that a certificate names make it good? */
static bool names_count(const struct evidence_lists *l)
{
	return l->first != NULL && l->as_configured &&
	       l->absence != CRL_ABSENT_BY_OPTION && !l->set->unopened;
}

bool evidence_may_name(const struct evidence_lists *lists)
{
	bool in_force = false;

	for (size_t n = 0; n < lists->set->shards_n && !in_force; n++)
		in_force = lists->set->shard[n].in_force;
	/* where absence is no evidence it is covered all the same */
	return in_force && lists->absence != CRL_ABSENT_GOOD && lists->first != NULL &&
	       lists->as_configured && !lists->set->unopened;
}

bool evidence_names_good(const struct evidence_lists *lists, const struct issuer *i,
    const struct evidence_watch *watch)
{
	return watch->verified && names_count(lists) &&
	       absence_at(lists, i, watch->point) == CRL_ABSENT_GOOD;
}

static void name_list(struct evidence *st, const struct issuer *i, const struct serial *s,
    const struct evidence_watch *watch)
{
	struct evidence_named *n = &st->named;

	if (!names_count(&st->lists) || st->crl.listed)
		return;
	n->watch = watch != NULL ? *watch : watch_find(&st->lists, i->name, s);
	n->url = watch_points_url(st->lists.watched->points, n->watch.point);
	n->absence = absence_at(&st->lists, i, n->watch.point);
	if (n->watch.verified && n->absence == CRL_ABSENT_GOOD)
		st->status = STATUS_GOOD;
}

/* What it means. */

/* A good that is newer ends a hold, and nothing else (R70). */
static bool is_ended(const struct evidence *st, bool hold, int64_t this_update)
{
	return hold && st->good.found && st->good.facts.this_update > this_update;
}

static void revoked(struct evidence *st, int64_t at, int reason)
{
	if (st->status == STATUS_REVOKED)
		return;
	st->status = STATUS_REVOKED;
	st->revoked_at = at;
	st->reason = reason;
}

/* What is good or unknown where nothing says revoked. */
static enum status unrevoked(const struct evidence *st)
{
	return (st->good.found && !st->lists.set->unopened) ||
		       (st->lists.absence == CRL_ABSENT_GOOD && !st->crl.listed)
		   ? STATUS_GOOD
		   : STATUS_UNKNOWN;
}

/* What lasts first, so that it names date and reason. */
static void judge(struct evidence *st)
{
	const struct facts *f = &st->revoked.facts;
	bool ocsp = st->revoked.found && !is_ended(st, facts_are_hold(f), f->this_update);
	bool crl = st->crl.listed && !is_ended(st, st->crl.hold, st->crl.this_update);

	st->status = unrevoked(st);
	st->reason = REASON_NONE;
	if (st->kept.latched)
		revoked(st, st->kept.revoked_at, st->kept.reason);
	if (ocsp && !facts_are_hold(f))
		revoked(st, f->revoked_at, f->reason);
	if (crl && !st->crl.hold)
		revoked(st, st->crl.revoked_at, st->crl.reason);
	if (ocsp)
		revoked(st, f->revoked_at, f->reason);
	if (crl)
		revoked(st, st->crl.revoked_at, st->crl.reason);
}

/* Which of several lists would have the serial is not known, so it is the oldest of
 * them that has to know better. */
static bool lists_are_newer(const struct crl_set *s, int64_t this_update)
{
	for (size_t n = 0; n < s->shards_n; n++)
		if (s->shard[n].facts.this_update < this_update)
			return false;
	return true;
}

/* R71: revoked by a list and good by a newer answer, or the other way round. */
static bool disagrees(const struct evidence *st)
{
	const struct evidence_answer *refused = &st->kept.refused;

	if (st->crl.listed)
		return !st->crl.hold &&
		       ((st->good.found &&
			    st->good.facts.this_update > st->crl.this_update) ||
			   (refused->found &&
			       refused->facts.this_update > st->crl.this_update));
	return st->lists.absence == CRL_ABSENT_GOOD && st->revoked.found &&
	       lists_are_newer(st->lists.set, st->revoked.facts.this_update);
}

void evidence_judge(const struct evidence_kept *kept, const struct evidence_lists *lists,
    const struct hot *hot, const struct issuer *i, const struct serial *s,
    const struct evidence_watch *watch, const struct answer *extra, struct evidence *out)
{
	assert(i != NULL && s->n > 0);
	*out = (struct evidence){.kept = *kept, .lists = *lists};
	gather_answers(out, hot, i, s, lists->now);
	hear_answer(out, extra, lists->now);
	crl_set_find(lists->set, s, &out->crl);
	judge(out);
	if (out->status == STATUS_UNKNOWN)
		name_list(out, i, s, watch);
	out->disagree = disagrees(out);
}

void evidence_of(const struct evidence_sources *from, const struct issuer *i,
    const struct serial *s, const struct answer *extra, struct evidence *out)
{
	struct evidence_kept kept;
	struct evidence_lists lists;
	const struct inventory *watched =
	    from->shared != NULL
		? atomic_load_explicit(&from->shared->inventory, memory_order_acquire)
		: NULL;

	evidence_keep(from, i, s, &kept);
	evidence_list(
	    crl_feed_set(from->crl_feed, i->name), i, watched, clock_now(), &lists);
	evidence_judge(&kept, &lists, from->hot, i, s, NULL, extra, out);
}

bool evidence_lists_cover(const struct evidence_lists *l, const struct issuer *i,
    const struct evidence_watch *watch)
{
	if (!l->as_configured || l->set->unopened)
		return false;
	return l->absence == CRL_ABSENT_GOOD || l->one_all ||
	       (watch->watched && l->watched != NULL &&
		   absence_at(l, i, watch->point) == CRL_ABSENT_GOOD);
}

bool evidence_is_covered(
    const struct evidence *e, const struct issuer *i, const struct evidence_watch *watch)
{
	return i != NULL && (e->good.found || e->revoked.found || e->unknown.found ||
				evidence_lists_cover(&e->lists, i, watch));
}
