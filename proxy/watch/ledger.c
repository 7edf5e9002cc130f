/* ledger.c - what a job does, on the shelf; and how its outcome comes into force. */
#include "proxy/watch/ledger.h"

#include <assert.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>

#include "cache/watch/watch_asked.h"
#include "cache/watch/watch_put.h"
#include "proxy/base/executor.h"
#include "proxy/base/log.h"
#include "proxy/keeper/keeper.h"
#include "proxy/keeper/keeper_parts.h"
#include "proxy/watch/known.h"

struct ledger {
	struct shared *shared;
	struct executor *shelf;
	struct watch_db *db;
	char *dir;
	const struct inventory *v; /* the shelf's: its reference of what is in force */
	bool full;                 /* the shelf's: it was told that lists have no room */
	_Atomic bool stopping;
	/* the inventory thread's: */
	bool sweeping, sweep_again;
	void (*changed)(void *arg);
	void *changed_arg;
	ledger_gain_fn *gained;
	void *gained_arg;
	/* the shelf's while sweeping: */
	bool more;
	enum err sweep_error;
	/* what readyz says, of whoever asks: */
	pthread_mutex_t failing_lock;
	char failing[512]; /* "": all is well */
};

/* An inventory that was in force, on its way out. */
struct ledger_retired {
	struct msg msg;
	struct barrier_want want;
	const struct inventory *v;
};

/* Publishing. */

static void passed(struct barrier_want *w)
{
	struct ledger_retired *r =
	    (struct ledger_retired *)((char *)w - offsetof(struct ledger_retired, want));

	inventory_unref(r->v);
	free(r);
}

/* The keeper's thread: it borrows none itself while it runs this. */
static void at_keeper(void *keeper, struct msg *m)
{
	struct ledger_retired *r = (struct ledger_retired *)m;

	r->want.done = passed;
	barrier_pass(keeper_parts(keeper)->context.barrier, &r->want);
}

/* v is handed over; NULL: out of memory, nothing changes. */
static enum err publish(struct ledger_job *j, const struct inventory *v)
{
	struct ledger *l = j->_ledger;
	struct ledger_retired *r = j->_retired;

	if (v == NULL)
		return ERR_NOMEM;
	r->v = l->v;
	r->msg.run = at_keeper;
	j->_retired = NULL;
	j->_published = true;
	l->v = v;
	atomic_store_explicit(&l->shared->inventory, v, memory_order_release);
	inbox_post(l->shared->keeper, &r->msg);
	return ERR_OK;
}

const struct inventory *ledger_inventory(const struct shared *s)
{
	return shared_inventory(s);
}

/* Jobs, on the shelf. */

static enum err put_steps(struct ledger *l, struct watch_put *p)
{
	enum err e = ERR_OK;

	for (bool done = false; e == ERR_OK && !done;)
		e = atomic_load(&l->stopping) ? ERR_CANCELLED : watch_put_step(p, &done);
	return e;
}

/* v, where the incident that list takes the place of is withdrawn; a reference.  NULL:
 * out of memory. */
static const struct inventory *withdrawn(
    const struct inventory *v, const struct watch_list *old)
{
	char key[WATCH_NAME_MAX];
	const struct incident *i;
	const struct incidents *more = NULL;
	const struct inventory *w = NULL;

	incident_withdrawn_key(key, old->generation);
	i = incident_new(key, old);
	if (i != NULL)
		more = incidents_plus(v->incidents, i);
	if (more != NULL)
		w = inventory_announced(v, more);
	incidents_unref(more);
	incident_unref(i);
	return w;
}

static enum err with_list(struct ledger_job *j, const struct watch_list *list,
    const struct watch_points *points)
{
	struct ledger *l = j->_ledger;
	const struct watch_cas *cas = NULL;
	enum err e = watch_db_cas(l->db, &cas);

	if (e == ERR_OK)
		e = publish(j, inventory_with(l->v, list, cas, points));
	j->certificates = list->n;
	watch_cas_unref(cas);
	return e;
}

/* list takes the place of old, or of nothing. */
static enum err with_incident(struct ledger_job *j, const struct watch_list *list,
    const struct watch_list *old, const struct watch_points *points)
{
	struct ledger *l = j->_ledger;
	const struct inventory *base =
	    old != NULL ? withdrawn(l->v, old) : inventory_ref(l->v);
	const struct watch_cas *cas = NULL;
	enum err e = base != NULL ? watch_db_cas(l->db, &cas) : ERR_NOMEM;

	if (e == ERR_OK)
		e = publish(j, inventory_with(base, list, cas, points));
	j->certificates = list->n;
	watch_cas_unref(cas);
	inventory_unref(base);
	return e;
}

/* The points in force; where they are many, those alone that lists name which stay. NULL:
 * out of memory. */
static struct watch_point_draft *points_new(
    const struct ledger *l, const struct watch_list *goes)
{
	const struct watch_points *base = l->v->points;
	struct watch_point_draft *points;
	bool *used;

	if (!watch_points_are_many(base))
		return watch_point_draft_new(base, NULL);
	used = calloc(base->n + 1, sizeof *used);
	if (used == NULL)
		return NULL;
	inventory_points_used(l->v, goes, used);
	points = watch_point_draft_new(base, used);
	free(used);
	return points;
}

/* Told once, until all find room again. */
static void tell_left_out(struct ledger *l, const char *list, uint64_t left_out)
{
	if (left_out > 0 && !l->full)
		log_warn("watch_crl_left_out",
		    "watchlist=%s certificates=%llu most_of_ca=%d most=%d effect=%s",
		    list, (unsigned long long)left_out, WATCH_POINTS_OF_CA,
		    WATCH_POINTS_MAX,
		    "the lists that they name are not looked at: they are not good by "
		    "being watched");
	l->full = left_out > 0;
}

/* All that it has, where there is no memory to say less.  number: of the inventory with
 * which it comes into force; made before old may go. */
static const struct watch_list *gain_of(
    const struct watch_list *list, const struct watch_list *old, uint64_t number)
{
	struct watch_list *gain = watch_list_minus(list, old);

	if (gain == NULL)
		return watch_list_ref(list);
	gain->number = number;
	gain->mark = list->mark;
	return gain;
}

/* The put is done: its list comes into force, which takes the place of old. */
static enum err put_end(struct ledger_job *j, struct watch_put *p,
    const struct watch_list *old, struct watch_point_draft *points)
{
	const struct watch_points *table = NULL;
	const struct watch_list *list = NULL;
	enum err e = watch_put_list(p, old, points, &list);

	if (e == ERR_OK && (table = watch_point_draft_end(points)) == NULL)
		e = ERR_NOMEM;
	if (e == ERR_OK && j->source == WATCH_INCIDENT) {
		e = with_incident(j, list, old, table);
	} else if (e == ERR_OK) {
		if (!j->copy)
			j->_gain = gain_of(list, old, j->_ledger->v->number + 1);
		e = with_list(j, list, table);
	}
	if (e == ERR_OK)
		tell_left_out(j->_ledger, j->name, watch_point_draft_left_out(points));
	watch_points_unref(table);
	watch_list_unref(list);
	return e;
}

static enum err put(struct ledger_job *j, const struct watch_list *old)
{
	struct ledger *l = j->_ledger;
	struct watch_draft *draft = j->draft;
	struct watch_point_draft *points = NULL;
	struct watch_put *p = NULL;
	enum err e;

	j->added = old == NULL;
	j->draft = NULL;
	e = watch_put_new(&p, l->db, j->name, j->source, j->what == LEDGER_ADD, draft);
	if (e == ERR_OK) {
		watch_put_mark(p, &j->mark);
		if (j->copy || j->source == WATCH_INCIDENT)
			watch_put_told(p);
		e = put_steps(l, p);
	}
	if (e == ERR_OK &&
	    (points = points_new(l, j->what == LEDGER_PUT ? old : NULL)) == NULL)
		e = ERR_NOMEM;
	if (e == ERR_OK)
		e = put_end(j, p, old, points);
	watch_point_draft_free(points);
	watch_put_free(p);
	return e;
}

static enum err drop(struct ledger_job *j)
{
	struct ledger *l = j->_ledger;
	const struct inventory *base;
	enum err e = watch_db_drop(l->db, j->name);

	if (e != ERR_OK || j->name[0] != '!')
		return e == ERR_OK ? publish(j, inventory_without(l->v, j->name)) : e;
	base = withdrawn(l->v, inventory_list(l->v, j->name));
	e = publish(j, base != NULL ? inventory_without(base, j->name) : NULL);
	inventory_unref(base);
	return e;
}

/* *list: the list, a reference; then another one. */
static enum err remove_of(
    struct ledger_job *j, const struct watch_list **list, uint32_t ca)
{
	const struct watch_list *rest = NULL;
	enum err e = watch_db_remove(j->_ledger->db, *list, ca, &j->serial, &rest);

	if (e != ERR_OK)
		return e;
	watch_list_unref(*list);
	*list = rest;
	return ERR_OK;
}

/* Of every CA that is called so. */
static enum err remove_one(struct ledger_job *j, const struct watch_list *old)
{
	struct ledger *l = j->_ledger;
	const struct watch_list *list = watch_list_ref(old);
	const struct watch_ca *ca = NULL;
	enum err e = ERR_OK;

	while (e == ERR_OK && (ca = watch_cas_called(l->v->cas, j->issuer, ca)) != NULL)
		if (watch_list_find(list, ca->id, &j->serial) != NULL)
			e = remove_of(j, &list, ca->id);
	if (e == ERR_OK)
		e = list == old ? ERR_NOT_FOUND : with_list(j, list, l->v->points);
	watch_list_unref(list);
	return e;
}

/* *changed: one at least is called otherwise. */
static enum err name_each(struct ledger *l, const struct known *k, bool *changed)
{
	const struct watch_cas *cas = NULL;
	enum err e = watch_db_cas(l->db, &cas);

	*changed = false;
	for (size_t n = 0; e == ERR_OK && n < cas->n; n++) {
		const struct watch_ca *ca = &cas->ca[n];
		const char *name =
		    known_called(k, bytes_of(ca->aki, ca->aki_n), ca->issuer);

		if (strcmp(name, ca->issuer) == 0)
			continue;
		*changed = true;
		e = watch_db_name_ca(l->db, ca->id, name);
	}
	watch_cas_unref(cas);
	return e;
}

static enum err name_all(struct ledger_job *j)
{
	struct ledger *l = j->_ledger;
	const struct watch_cas *cas = NULL;
	bool changed;
	enum err e = name_each(l, j->known, &changed);

	if (!changed || e != ERR_OK)
		return e;
	e = watch_db_cas(l->db, &cas);
	if (e == ERR_OK) {
		j->_before = watch_cas_ref(l->v->cas);
		e = publish(j, inventory_renamed(l->v, cas, l->v->points));
	}
	watch_cas_unref(cas);
	return e;
}

static enum err job_run(struct ledger_job *j)
{
	struct ledger *l = j->_ledger;
	const struct watch_list *old = inventory_list(l->v, j->name);

	if (atomic_load(&l->stopping))
		return ERR_CANCELLED;
	j->_retired = malloc(sizeof *j->_retired);
	if (j->_retired == NULL)
		return ERR_NOMEM;
	if (j->what == LEDGER_NAME)
		return name_all(j);
	if (j->what == LEDGER_TOLD)
		return watch_db_told(l->db, j->name, j->generation, j->version);
	if (j->what == LEDGER_ASKED)
		return watch_db_asked_put(l->db, j->asked, j->asked_n);
	if (old == NULL && j->what != LEDGER_PUT)
		return ERR_NOT_FOUND;
	j->foreign = old != NULL && old->source != j->source;
	if (j->foreign)
		return ERR_OK;
	return j->what == LEDGER_DROP     ? drop(j)
	       : j->what == LEDGER_REMOVE ? remove_one(j, old)
					  : put(j, old);
}

static void job_work(void *arg)
{
	struct ledger_job *j = arg;

	j->error = job_run(j);
	free(j->_retired);
	j->_retired = NULL;
	watch_draft_free(j->draft);
	j->draft = NULL;
	known_unref(j->known);
	j->known = NULL;
}

/* Whether the file takes what is written. */

bool ledger_failing(struct ledger *l, char *why, size_t why_n)
{
	pthread_mutex_lock(&l->failing_lock);
	snprintf(why, why_n, "%s", l->failing);
	pthread_mutex_unlock(&l->failing_lock);
	return why[0] != '\0';
}

static void set_failing(struct ledger *l, const char *why)
{
	pthread_mutex_lock(&l->failing_lock);
	snprintf(l->failing, sizeof l->failing, "%s", why);
	pthread_mutex_unlock(&l->failing_lock);
}

/* A change was written, or not: told when that becomes another.  What has nothing to do
 * with the file says nothing of it. */
static void look_at_outcome(struct ledger *l, enum err e)
{
	char why[512], before[512];
	bool failed = ledger_failing(l, before, sizeof before);

	if (e == ERR_OK && failed) {
		set_failing(l, "");
		log_each(LOG_INFO, "watch_db_well", "file=%s/watch.mdb", l->dir);
	}
	if (e != ERR_STORE && e != ERR_STORE_FULL && e != ERR_RECORD)
		return;
	watch_db_why(l->db, why, sizeof why);
	set_failing(l, why);
	if (!failed)
		log_error("watch_db_failing", "err=%s why=%s", err_label(e), why);
}

/* Sweeping. */

static void sweep_work(void *arg)
{
	struct ledger *l = arg;

	l->more = false;
	l->sweep_error =
	    atomic_load(&l->stopping) ? ERR_CANCELLED : watch_db_sweep(l->db, &l->more);
}

static void sweep(struct ledger *l);

static void swept(void *arg)
{
	struct ledger *l = arg;
	bool again = l->sweep_again || (l->more && l->sweep_error == ERR_OK);
	char why[512];

	l->sweeping = l->sweep_again = false;
	if (l->sweep_error != ERR_OK && l->sweep_error != ERR_CANCELLED) {
		watch_db_why(l->db, why, sizeof why);
		log_warn("watch_sweep_failed", "err=%s why=%s", err_label(l->sweep_error),
		    why);
	}
	if (again && !atomic_load(&l->stopping))
		sweep(l);
}

static void sweep(struct ledger *l)
{
	if (l->sweeping) {
		l->sweep_again = true;
		return;
	}
	l->sweeping = true;
	executor_run(l->shelf, sweep_work, swept, l);
}

/* Gains. */

/* Is the CA an issuer's now that was not it before? */
static bool is_new_name(
    const struct watch_cas *before, const struct watch_cas *now, uint32_t ca)
{
	const struct watch_ca *x = watch_cas_at(before, ca), *y = watch_cas_at(now, ca);

	return y != NULL && y->issuer[0] != '\0' &&
	       (x == NULL || strcmp(x->issuer, y->issuer) != 0);
}

/* What l has of such CAs, as of no generation: no mark goes with it.  NULL: nothing, or
 * out of memory. */
static struct watch_list *named_of(const struct watch_list *l,
    const struct watch_cas *before, const struct watch_cas *now, uint64_t number)
{
	struct watch_list *out = NULL;

	for (size_t n = 0; n < l->ranges_n; n++) {
		const struct watch_range *r = &l->ranges[n];

		if (!is_new_name(before, now, r->ca))
			continue;
		if (out == NULL)
			out = watch_list_new(l->name, l->source, 0, l->n);
		if (out != NULL)
			out->number = number;
		for (uint32_t i = 0; out != NULL && i < r->n; i++)
			if (!watch_list_add(out, r->ca, &l->entries[r->first + i]))
				return watch_list_unref(out), NULL;
	}
	return out;
}

static void gain_names(struct ledger *l, const struct watch_cas *before)
{
	const struct inventory *v = ledger_inventory(l->shared);

	for (size_t i = 0; i < v->n; i++) {
		struct watch_list *named =
		    named_of(v->list[i], before, v->cas, v->number);

		if (named != NULL)
			l->gained(l->gained_arg, named);
	}
}

static void tell_gains(struct ledger_job *j)
{
	struct ledger *l = j->_ledger;
	bool is_told = j->_published && l->gained != NULL;

	if (is_told && j->_before != NULL)
		gain_names(l, j->_before);
	if (is_told && j->_gain != NULL)
		l->gained(l->gained_arg, j->_gain);
	else
		watch_list_unref(j->_gain);
	watch_cas_unref(j->_before);
	j->_gain = NULL;
	j->_before = NULL;
}

static void job_done(void *arg)
{
	struct ledger_job *j = arg;
	struct ledger *l = j->_ledger;

	if (!j->foreign && (j->error != ERR_OK || j->_published))
		look_at_outcome(l, j->error);
	if (j->what < LEDGER_TOLD && !atomic_load(&l->stopping))
		sweep(l);
	tell_gains(j);
	if (j->_published && l->changed != NULL)
		l->changed(l->changed_arg);
	j->done(j->arg, j);
}

void ledger_on_change(struct ledger *l, void (*changed)(void *arg), void *arg)
{
	l->changed = changed;
	l->changed_arg = arg;
}

void ledger_on_gain(struct ledger *l, ledger_gain_fn *gained, void *arg)
{
	l->gained = gained;
	l->gained_arg = arg;
	for (size_t i = 0; i < l->v->n; i++) {
		bool untold = true;

		watch_db_is_untold(l->db, l->v->list[i]->name, &untold);
		if (untold)
			gained(arg, watch_list_ref(l->v->list[i]));
	}
}

void ledger_do(struct ledger *l, struct ledger_job *j)
{
	assert(j->done != NULL);
	j->_ledger = l;
	executor_run(l->shelf, job_work, job_done, j);
}

/* Life. */

struct ledger *ledger_new(struct shared *shared, struct inbox *inbox, const char *dir,
    size_t size, char *why, size_t why_n)
{
	struct ledger *l = calloc(1, sizeof *l);
	uint64_t left_out;
	enum err e;

	snprintf(why, why_n, "%s", err_text(ERR_NOMEM));
	if (l == NULL)
		return NULL;
	pthread_mutex_init(&l->failing_lock, NULL);
	l->shared = shared;
	l->v = inventory_ref(&inventory_none);
	l->dir = strdup(dir);
	if (l->dir == NULL)
		goto fail;
	e = watch_db_open(&l->db, dir, size, why, why_n);
	if (e != ERR_OK)
		goto fail;
	if (watch_db_is_gone(l->db))
		log_warn("watch_db_gone", "file=%s/watch.mdb remedy=%s", dir,
		    "it was here and was removed: watchlists that came by the API are "
		    "gone with it; put them again");
	inventory_unref(l->v);
	l->v = NULL;
	e = watch_db_load(l->db, &l->v, &left_out);
	if (e != ERR_OK) {
		if (e != ERR_NOMEM)
			watch_db_why(l->db, why, why_n);
		goto fail;
	}
	tell_left_out(l, "", left_out);
	l->shelf = executor_start(inbox, "shelf", 0);
	if (l->shelf == NULL)
		goto fail;
	atomic_store(&shared->inventory, l->v);
	sweep(l);
	return l;

fail:
	ledger_free(l);
	return NULL;
}

void ledger_cancel(struct ledger *l)
{
	atomic_store(&l->stopping, true);
}

void ledger_stop(struct ledger *l)
{
	if (l == NULL)
		return;
	ledger_cancel(l);
	executor_stop(l->shelf);
}

void ledger_free(struct ledger *l)
{
	if (l == NULL)
		return;
	executor_free(l->shelf);
	if (l->v != NULL)
		inventory_unref(l->v);
	atomic_store(&l->shared->inventory, &inventory_none);
	watch_db_close(l->db);
	pthread_mutex_destroy(&l->failing_lock);
	free(l->dir);
	free(l);
}

struct watch_db *ledger_db(struct ledger *l)
{
	return l->db;
}

const char *ledger_dir(const struct ledger *l)
{
	return l->dir;
}
