/* unlatch.c - the steps, each begun by the end of the one before. */
#include "proxy/keeper/unlatch.h"

#include <assert.h>
#include <stdlib.h>

#include "proxy/base/clock.h"
#include "proxy/keeper/evidence.h"
#include "proxy/keeper/revoke.h"
#include "proxy/source/upstream.h"
#include "proxy/tell/teller.h"

struct unlatch {
	struct msg begin;
	const struct keeper_parts *with;
	char issuer[64]; /* its name: a reload may come between */
	struct serial serial;
	void (*done)(void *arg, const struct unlatch_end *end);
	void *arg;
	struct unlatch_end end;
	size_t waiting;      /* for calls of the store, then for flights */
	struct latch *latch; /* those that were removed */
	size_t latch_n;
	struct key *key; /* to be fetched anew */
	size_t key_n;
	bool cancelled; /* a fetch was: nothing is known by now */
	struct evidence before;
};

static const struct issuer *issuer_of(const struct unlatch *u)
{
	return issuers_named(shared_conf(u->with->context.shared)->issuers, u->issuer);
}

static void unlatch_free(struct unlatch *u)
{
	free(u->latch);
	free(u->key);
	free(u);
}

/* Nothing has happened. */
static void give_up(struct unlatch *u, enum err e)
{
	u->end.e = e;
	u->done(u->arg, &u->end);
	unlatch_free(u);
}

/* Told, and the end. */

static void tell(const struct unlatch *u)
{
	const struct issuer *i = issuer_of(u);
	struct single_change c = {.issuer = i,
	    .serial = u->serial,
	    .before = CHANGE_REVOKED,
	    .revoked_at = u->before.revoked_at,
	    .reason = u->before.reason,
	    .this_update = clock_now()};
	struct evidence after;

	if (i == NULL || u->before.status != STATUS_REVOKED)
		return;
	evidence_of(&u->with->evidence, i, &u->serial, NULL, &after);
	if (after.status == STATUS_REVOKED)
		return;
	c.now = after.status == STATUS_GOOD ? CHANGE_GOOD : CHANGE_UNKNOWN;
	teller_single(u->with->teller, &c);
}

static void on_fetched(void *arg, const struct answer *a, enum err e, enum tier tier)
{
	struct unlatch *u = arg;

	(void)a, (void)tier;
	assert(u->waiting > 0);
	u->cancelled = u->cancelled || e == ERR_CANCELLED;
	if (--u->waiting > 0)
		return;
	if (!u->cancelled)
		tell(u);
	unlatch_free(u);
}

static void fetch(struct unlatch *u)
{
	const struct issuer *i = issuer_of(u);
	size_t n = u->key_n;

	if (i != NULL)
		upstream_retry_now(u->with->source, i);
	u->waiting = n + 1; /* one is ours, until all are begun */
	for (size_t k = 0; k < n; k++) {
		enum err e =
		    flights_go(u->with->flights, &u->key[k], FLIGHT_FORCE, on_fetched, u);

		if (e != ERR_OK)
			on_fetched(u, NULL, e, TIER_NONE);
	}
	on_fetched(u, NULL, ERR_OK, TIER_NONE);
}

/* Disk. */

static void write_step(void *arg) /* the disk's thread */
{
	struct unlatch *u = arg;

	u->end.disk = latch_file_delete(u->with->latch_file, u->latch, u->latch_n);
}

static void on_written(void *arg)
{
	struct unlatch *u = arg;
	char why[PATH_MAX + 128];

	assert(u->latch_n > 0 && u->key_n > 0 && u->waiting == 0);
	latch_file_why(u->with->latch_file, why, sizeof why);
	u->end.why = why;
	u->done(u->arg, &u->end);
	fetch(u);
}

/* Memory. */

/* Under which keys it is asked for: those under which something is held, or the usual
 * one.  False when out of memory. */
static bool choose_keys(struct unlatch *u, const struct issuer *i)
{
	u->latch = calloc(i->ca_n, sizeof *u->latch);
	u->key = calloc(issuer_keys_n(i), sizeof *u->key);
	if (u->latch == NULL || u->key == NULL)
		return false;
	for (size_t n = 0; n < issuer_keys_n(i); n++) {
		struct key *k = &u->key[u->key_n];

		issuer_key_at(i, n, &u->serial, k);
		u->key_n += hot_find(u->with->context.shared->hot, key_der(k)) != NULL;
	}
	if (u->key_n == 0) {
		issuer_key_at(i, 0, &u->serial, &u->key[0]);
		u->key_n = 1;
	}
	return true;
}

static void take_back(struct unlatch *u)
{
	const struct issuer *i = issuer_of(u);

	if (i == NULL || !choose_keys(u, i)) {
		give_up(u, i == NULL ? ERR_REQ_ISSUER : ERR_NOMEM);
		return;
	}
	evidence_of(&u->with->evidence, i, &u->serial, NULL, &u->before);
	u->latch_n = revoke_unlatch(u->with->revoker, i, &u->serial,
	    u->before.crl.listed && !u->before.crl.hold, u->latch);
	if (u->latch_n == 0) { /* somebody else was faster */
		give_up(u, ERR_NOT_FOUND);
		return;
	}
	flights_forget(u->with->flights, i, &u->serial);
	polled_forget(u->with->evidence.polled, i->name, &u->serial);
	executor_run(u->with->context.disk, write_step, on_written, u);
}

/* Store. */

static void on_dropped(void *arg, enum err e)
{
	struct unlatch *u = arg;

	if (e != ERR_OK && e != ERR_NOT_FOUND)
		u->end.store = e;
	assert(u->waiting > 0);
	if (--u->waiting == 0)
		take_back(u);
}

static void drop_stored(void *keeper, struct msg *m)
{
	struct unlatch *u = (struct unlatch *)m; /* begin is its first member */
	const struct issuer *i = issuer_of(u);
	struct key k;

	(void)keeper;
	if (i == NULL) {
		give_up(u, ERR_REQ_ISSUER);
		return;
	}
	u->waiting = issuer_keys_n(i) + 1; /* one is ours */
	for (size_t n = 0, all = issuer_keys_n(i); n < all; n++) {
		issuer_key_at(i, n, &u->serial, &k);
		store_delete(u->with->store, &k, on_dropped, u);
	}
	on_dropped(u, ERR_OK);
}

enum err unlatch(const struct keeper_parts *with, const struct issuer *i,
    const struct serial *s, void (*done)(void *arg, const struct unlatch_end *end),
    void *arg)
{
	struct unlatch *u;

	if (latches_find(with->latches, i, s) == NULL)
		return ERR_NOT_FOUND;
	u = calloc(1, sizeof *u);
	if (u == NULL)
		return ERR_NOMEM;
	*u = (struct unlatch){.begin.run = drop_stored,
	    .with = with,
	    .serial = *s,
	    .done = done,
	    .arg = arg,
	    .end.why = ""};
	memcpy(u->issuer, i->name, strlen(i->name) + 1);
	inbox_post(with->inbox, &u->begin);
	return ERR_OK;
}
