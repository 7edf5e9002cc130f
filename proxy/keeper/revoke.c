/* revoke.c - a latch into memory and onto the disk; answers out of the table and the
 * store.
 */
#include "proxy/keeper/revoke.h"

#include <assert.h>
#include <limits.h>
#include <stdlib.h>

#include "proxy/base/clock.h"
#include "proxy/base/log.h"

struct latch_job {
	struct latch_job *next;
	struct revoker *all;
	struct latch latch;
	enum err e;
};

struct revoker {
	const struct context *context;
	struct latches *latches;
	struct latch_file *latch_file;
	struct store *store;
	struct latch_job *failed;
};

/* Latches. */

static void latch_write(void *arg)
{
	struct latch_job *j = arg;

	j->e = latch_file_put(j->all->latch_file, &j->latch, 1);
}

static void latch_written(void *arg)
{
	struct latch_job *j = arg;
	char why[PATH_MAX + 128];

	if (j->e == ERR_OK) {
		free(j);
		return;
	}
	latch_file_why(j->all->latch_file, why, sizeof why);
	log_error("latch_not_durable", "err=%s detail=%s effect=%s", err_label(j->e), why,
	    "kept in memory; written again each second");
	j->next = j->all->failed;
	j->all->failed = j;
}

void revoke_tick(struct revoker *r)
{
	struct latch_job *j = r->failed, *next;

	r->failed = NULL;
	for (; j != NULL; j = next) {
		next = j->next;
		if (latches_has(r->latches, &j->latch))
			executor_run(r->context->disk, latch_write, latch_written, j);
		else
			free(j);
	}
}

static void latch_add(struct revoker *r, const struct latch *l)
{
	struct latch_job *j;
	bool added;

	if (latches_add(r->latches, l, &added) != ERR_OK) {
		log_error("latch_not_kept", "err=%s", err_label(ERR_NOMEM));
		return;
	}
	if (!added)
		return;
	metrics_count(r->context->counters, M_LATCHED);
	j = calloc(1, sizeof *j);
	if (j == NULL) {
		log_error("latch_not_durable", "err=%s", err_label(ERR_NOMEM));
		return;
	}
	j->all = r;
	j->latch = *l;
	executor_run(r->context->disk, latch_write, latch_written, j);
}

/* Answers. */

static void take_out(struct revoker *r, const struct key *k)
{
	hot_remove(r->context->shared->hot, key_der(k));
	schedule_cancel(r->context->schedule, k);
}

/* Take the answers of a revoked certificate out of service, all but those that say
 * revoked. */
static void withdraw_held(
    struct revoker *r, const struct issuer *i, const struct serial *s)
{
	for (size_t n = 0; n < issuer_keys_n(i); n++) {
		const struct answer *a;
		struct key k;

		issuer_key_at(i, n, s, &k);
		a = hot_find(r->context->shared->hot, key_der(&k));
		if (a != NULL && a->facts.status != STATUS_REVOKED)
			take_out(r, &k);
	}
}

/* The store's too: no node shall find an old good under another hash algorithm. */
static void withdraw_stored(struct revoker *r, const struct issuer *i,
    const struct serial *s, const struct key *but)
{
	for (size_t n = 0; n < issuer_keys_n(i); n++) {
		const struct answer *a;
		struct key k;

		issuer_key_at(i, n, s, &k);
		a = hot_find(r->context->shared->hot, key_der(&k));
		if (!key_equal(&k, but) &&
		    (a == NULL || a->facts.status != STATUS_REVOKED))
			store_delete(r->store, &k, NULL, NULL);
	}
}

void revoke_latch(struct revoker *r, const struct issuer *i, const struct key *k,
    const struct admit_verdict *v, bool untold)
{
	struct latch l = {.reason = v->reason,
	    .revoked_at = v->revoked_at,
	    .set_at = clock_now(),
	    .untold = untold,
	    .listed = !untold};
	char serial[SERIAL_HEX_MAX];
	unsigned ca = 0;

	assert(v->revoked_proved);
	key_serial(k, &l.serial);
	issuers_find(shared_conf(r->context->shared)->issuers, k, &ca);
	memcpy(l.ca_id, i->ca[ca].id, sizeof l.ca_id);
	if (latches_find(r->latches, i, &l.serial) == NULL) {
		serial_to_hex(&l.serial, serial);
		log_each(LOG_INFO, "revoked", "issuer=%s serial=%s reason=%s", i->name,
		    serial,
		    reason_name(v->reason) != NULL ? reason_name(v->reason) : "none");
		withdraw_stored(r, i, &l.serial, k);
	}
	latch_add(r, &l);
	withdraw_held(r, i, &l.serial);
}

/* Was the latch what it was for? */
static bool rests_on_latch(const struct answer *a, bool listed)
{
	return a->error != ERR_OK || (a->facts.status == STATUS_REVOKED &&
					 !facts_are_hold(&a->facts) && !listed);
}

size_t revoke_unlatch(struct revoker *r, const struct issuer *i, const struct serial *s,
    bool listed, struct latch *removed)
{
	size_t latches = latches_remove(r->latches, i, s, removed);

	for (size_t n = 0; latches > 0 && n < issuer_keys_n(i); n++) {
		const struct answer *a;
		struct key k;

		issuer_key_at(i, n, s, &k);
		a = hot_find(r->context->shared->hot, key_der(&k));
		if (a != NULL && rests_on_latch(a, listed))
			take_out(r, &k);
	}
	return latches;
}

void revoke_withdraw(struct revoker *r, const struct issuer *i, const struct key *k,
    const struct facts *facts)
{
	struct serial s;

	assert(facts->status == STATUS_REVOKED);
	key_serial(k, &s);
	withdraw_held(r, i, &s);
	if (facts_are_hold(facts))
		withdraw_stored(r, i, &s, k);
}

struct revoker *revoker_new(const struct context *context, struct latches *latches,
    struct latch_file *latch_file, struct store *store)
{
	struct revoker *r = malloc(sizeof *r);

	if (r != NULL)
		*r = (struct revoker){.context = context,
		    .latches = latches,
		    .latch_file = latch_file,
		    .store = store};
	return r;
}

void revoker_free(struct revoker *r)
{
	if (r == NULL)
		return;
	for (struct latch_job *j = r->failed, *next; j != NULL; j = next) {
		next = j->next;
		free(j);
	}
	free(r);
}
