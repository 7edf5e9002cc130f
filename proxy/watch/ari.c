/* ari.c - the loop, what it is told, which issuers are asked. */
#include "proxy/watch/ari.h"

#include <assert.h>
#include <errno.h>
#include <event2/event.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>

#include "cache/watch/inventory.h"
#include "proxy/base/alarms.h"
#include "proxy/base/executor.h"
#include "proxy/base/log.h"
#include "proxy/base/seed.h"
#include "proxy/base/thread.h"
#include "proxy/base/version.h"
#include "proxy/http/fetch.h"
#include "proxy/watch/ari_board.h"
#include "proxy/watch/ari_ca.h"
#include "proxy/watch/ari_enrol.h"
#include "proxy/watch/ari_place.h"
#include "proxy/watch/ari_share.h"
#include "proxy/watch/share.h"
#include "proxy/watch/watcher.h"

#define WHY_MAX 4400

struct ari {
	struct ari_core core;
	struct ari_enrol *enrol;
	struct ari_ca **ca; /* each issuer that has `ari` */
	size_t ca_n;
	struct ari_place **place; /* each directory that they name */
	size_t place_n;
	struct event *tick;
	struct ari_board *board;
	/* References: an address is not another table's while it is compared. */
	const struct watch_cas *cas;      /* that the board goes by; or NULL */
	const struct watch_cas *enrolled; /* that lists are walked by; or NULL */
	struct executor *names; /* looks up where Redis is; NULL: this node is alone */
	struct order reload, cancel;
	_Atomic int64_t behind_s, oldest_s; /* of all, as of the last second */
	_Atomic size_t noticed;
	pthread_t thread;
	bool started;
};

/* Which issuers. */

static struct ari_ca *ca_of(const struct ari *a, const char *issuer)
{
	for (size_t i = 0; i < a->ca_n; i++)
		if (strcmp(ari_ca_issuer(a->ca[i]), issuer) == 0)
			return a->ca[i];
	return NULL;
}

static bool is_asked(void *arg, const char *issuer)
{
	return ca_of(arg, issuer) != NULL;
}

static const struct conf_issuer *asked_issuer(const struct conf *c, const char *name)
{
	for (size_t i = 0; i < c->issuer_n; i++)
		if (strcmp(c->issuer[i].name, name) == 0)
			return c->issuer[i].ari[0] != '\0' ? &c->issuer[i] : NULL;
	return NULL;
}

static void drop_place(struct ari *a, struct ari_place *p)
{
	if (a->core.share != NULL)
		ari_share_quit(a->core.share, ari_place_directory(p));
	ari_place_free(p);
}

/* It is out of the array first: what it still writes renews the board, by who is there.
 */
static void drop_ca(struct ari *a, size_t at)
{
	struct ari_ca *ca = a->ca[at];

	a->ca[at] = a->ca[--a->ca_n];
	ari_ca_free(ca);
}

/* Those that go, or ask at another directory.  What they have under way is given up. */
static void drop_others(struct ari *a, const struct conf *c)
{
	size_t n = 0;

	for (size_t i = a->ca_n; i-- > 0;) {
		const char *name = ari_ca_issuer(a->ca[i]);
		const struct conf_issuer *is = asked_issuer(c, name);

		const char *at = ari_place_directory(ari_ca_place(a->ca[i]));

		if (is != NULL && strcmp(is->ari, at) == 0)
			continue;
		if (is == NULL)
			alarm_clear(ALARM_INCIDENT_OPEN, name, name);
		alarm_clear(ALARM_ARI_BEHIND, name, at);
		drop_ca(a, i);
	}
	for (size_t i = 0; i < a->place_n; i++)
		if (ari_place_members(a->place[i]) > 0)
			a->place[n++] = a->place[i];
		else
			drop_place(a, a->place[i]);
	a->place_n = n;
}

/* The place of this directory, made where there is none; NULL when out of memory.  There
 * is room for as many as there are issuers. */
static struct ari_place *place_at(struct ari *a, const char *directory)
{
	for (size_t i = 0; i < a->place_n; i++)
		if (strcmp(ari_place_directory(a->place[i]), directory) == 0)
			return a->place[i];
	if (a->core.share != NULL && !ari_share_join(a->core.share, directory))
		return NULL;
	a->place[a->place_n] = ari_place_new(&a->core, directory);
	return a->place[a->place_n] != NULL ? a->place[a->place_n++] : NULL;
}

static struct ari_ca *ca_at(struct ari *a, const struct conf_issuer *is)
{
	struct ari_place *p = place_at(a, is->ari);

	return p != NULL ? ari_ca_new(&a->core, is->name, p) : NULL;
}

static bool make_room(struct ari *a, size_t issuers)
{
	struct ari_ca **ca = realloc(a->ca, (issuers + 1) * sizeof *ca);
	struct ari_place **place = realloc(a->place, (issuers + 1) * sizeof *place);

	a->ca = ca != NULL ? ca : a->ca;
	a->place = place != NULL ? place : a->place;
	return ca != NULL && place != NULL;
}

/* True: some were not there before. */
static bool add_new(struct ari *a, const struct conf *c)
{
	bool added = false;

	if (!make_room(a, c->issuer_n)) {
		log_error("ari_not_asked", "err=%s", err_label(ERR_NOMEM));
		return false;
	}
	for (size_t i = 0; i < c->issuer_n; i++) {
		const struct conf_issuer *is = &c->issuer[i];

		if (is->ari[0] == '\0' || ca_of(a, is->name) != NULL)
			continue;
		a->ca[a->ca_n] = ca_at(a, is);
		if (a->ca[a->ca_n] == NULL) {
			log_error("ari_not_asked", "issuer=%s err=%s", is->name,
			    err_label(ERR_NOMEM));
			continue;
		}
		a->ca_n++;
		added = true;
	}
	return added;
}

/* With other nodes. */

static bool asks_at(const struct ari_ca *c, const char *directory)
{
	return strcmp(ari_place_directory(ari_ca_place(c)), directory) == 0;
}

static void on_held(void *arg, const char *directory, bool vanished)
{
	struct ari *a = arg;

	log_info("ari_lease", "url=%s held=yes", directory);
	for (size_t i = 0; i < a->ca_n; i++)
		if (asks_at(a->ca[i], directory))
			ari_ca_take_up(a->ca[i], vanished);
	for (size_t i = 0; i < a->place_n; i++)
		ari_place_go(a->place[i]);
}

static void on_lost(void *arg, const char *directory)
{
	struct ari *a = arg;

	log_info("ari_lease", "url=%s held=no", directory);
	for (size_t i = 0; i < a->ca_n; i++)
		if (asks_at(a->ca[i], directory))
			ari_ca_stand_down(a->ca[i]);
}

static bool is_wanted(const struct conf *c)
{
	for (size_t i = 0; i < c->issuer_n; i++)
		if (c->issuer[i].ari[0] != '\0')
			return true;
	return false;
}

static bool open_share(struct ari *a, char *why, size_t why_n)
{
	struct ari_share_use use = {.held = on_held, .lost = on_lost, .arg = a};

	if (a->names == NULL)
		a->names = executor_start(a->core.inbox, "arinames", 0);
	if (a->names == NULL) {
		snprintf(why, why_n, "a thread: %s", strerror(errno));
		return false;
	}
	use.exec = executor_exec(a->names);
	if (a->core.share == NULL)
		a->core.share = ari_share_new(&a->core, &use, why, why_n);
	return a->core.share != NULL;
}

/* The file is opened when there is somebody to ask, and Redis.  False: why says what is
 * wrong. */
static bool open_db(struct ari *a, const struct conf *c, char *why, size_t why_n)
{
	if (!is_wanted(c))
		return true;
	if (a->core.db == NULL && ari_db_open(&a->core.db, conf_data_folder(c),
				      (size_t)c->watch_size, why, why_n) != ERR_OK)
		return false;
	return !share_is_wanted(c) || open_share(a, why, why_n);
}

static void configure(struct ari *a)
{
	const struct conf *c = shared_conf(a->core.shared);
	char why[WHY_MAX];

	if (!open_db(a, c, why, sizeof why)) {
		log_error("ari_not_asked", "why=%s", why);
		return;
	}
	if (a->core.db == NULL)
		return;
	fetcher_configure(
	    a->core.fetcher, &(struct fetch_policy){.proxy = c->upstream_proxy,
				 .tls_ca = bytes_of(c->server_cas, c->server_cas_n),
				 .guard = {c->allowed, c->allow_address_n, false}});
	drop_others(a, c);
	a->core.noticed_changed = true;
	ari_enrol_look(a->enrol, add_new(a, c));
}

/* What it is told. */

static void on_reload(void *arg)
{
	struct ari *a = arg;

	if (!a->core.stopping)
		configure(a);
}

static void on_cancel(void *arg)
{
	struct ari *a = arg;

	if (a->core.stopping)
		return;
	for (size_t i = 0; i < a->ca_n; i++)
		ari_ca_settle(a->ca[i]);
	a->core.stopping = true;
}

/* The board. */

/* All with this key identifier, of whichever name. */
static enum err take_noticed(
    struct ari *a, struct ari_noticed *t, const struct watch_ca *ca)
{
	struct ari_who who[64], after;
	struct ari_state s;
	size_t n = 64;
	enum err e = ERR_OK;

	for (bool first = true; e == ERR_OK && n == 64; first = false) {
		e = ari_db_noticed(a->core.db, bytes_of(ca->aki, ca->aki_n),
		    first ? NULL : &after, who, 64, &n);
		for (size_t i = 0; e == ERR_OK && i < n; i++)
			if (ari_db_get(a->core.db, &who[i], &s) == ERR_OK &&
			    s.known.noticed && !ari_noticed_add(t, ca->id, &who[i], &s))
				e = ERR_NOMEM;
		if (n > 0)
			after = who[n - 1];
	}
	return e;
}

static void keep_cas(const struct watch_cas **kept, const struct watch_cas *cas)
{
	const struct watch_cas *before = *kept;

	*kept = watch_cas_ref(cas);
	watch_cas_unref(before);
}

/* What is in force has changed, or CAs have other numbers. */
static void renew_board(struct ari_core *core)
{
	struct ari *a = (struct ari *)core; /* its first member */
	const struct watch_cas *cas = shared_inventory(a->core.shared)->cas;
	struct ari_noticed *t;
	enum err e = ERR_OK;

	if (!a->core.noticed_changed && cas == a->cas)
		return;
	t = ari_noticed_new();
	if (t == NULL)
		e = ERR_NOMEM;
	for (size_t i = 0; e == ERR_OK && i < cas->n; i++)
		if (cas->ca[i].aki_n > 0 && is_asked(a, cas->ca[i].issuer))
			e = take_noticed(a, t, &cas->ca[i]);
	if (e != ERR_OK) { /* the next second tries again */
		ari_tell_db(&a->core, e == ERR_NOMEM ? ERR_OK : e);
		ari_noticed_unref(t);
		return;
	}
	ari_noticed_sort(t);
	ari_board_put(a->board, t);
	a->core.noticed_changed = false;
	keep_cas(&a->cas, cas);
}

/* CAs that are new besides have lists of their own, which are walked in any case. */
static bool are_called_the_same(
    const struct watch_cas *before, const struct watch_cas *now)
{
	if (before == NULL || now->n < before->n)
		return false;
	for (size_t i = 0; before != now && i < before->n; i++)
		if (before->ca[i].id != now->ca[i].id ||
		    before->ca[i].aki_n != now->ca[i].aki_n ||
		    strcmp(before->ca[i].issuer, now->ca[i].issuer) != 0)
			return false;
	return true;
}

/* A CA that has another name may be one that is asked now: lists that were walked before
 * are walked again. */
static void enrol(struct ari *a)
{
	const struct watch_cas *cas = shared_inventory(a->core.shared)->cas;
	bool again = !are_called_the_same(a->enrolled, cas);

	keep_cas(&a->enrolled, cas);
	ari_enrol_look(a->enrol, again);
}

static void on_tick(evutil_socket_t fd, short what, void *arg)
{
	struct ari *a = arg;
	struct ari_ca_state s;
	int64_t behind_s = 0, oldest_s = 0;
	size_t noticed = 0;

	(void)fd, (void)what;
	/* also when nobody is asked any more: the board forgets them */
	if (a->core.stopping || a->core.db == NULL)
		return;
	enrol(a);
	for (size_t i = 0; i < a->place_n; i++)
		ari_place_go(a->place[i]);
	for (size_t i = 0; i < a->ca_n; i++) {
		ari_ca_settle(a->ca[i]);
		ari_ca_state(a->ca[i], &s);
		noticed += s.noticed;
		if (s.behind_s > behind_s)
			behind_s = s.behind_s;
		if (s.oldest_s > oldest_s)
			oldest_s = s.oldest_s;
	}
	renew_board(&a->core);
	atomic_store(&a->behind_s, behind_s);
	atomic_store(&a->oldest_s, oldest_s);
	atomic_store(&a->noticed, noticed);
}

/* Who was enrolled may be due. */
static void on_enrolled(void *arg)
{
	struct ari *a = arg;

	for (size_t i = 0; i < a->ca_n; i++)
		ari_ca_look(a->ca[i]);
	for (size_t i = 0; i < a->place_n; i++)
		ari_place_go(a->place[i]);
}

void ari_reload(struct ari *a)
{
	order_post(&a->reload, a->core.inbox);
}

void ari_cancel(struct ari *a)
{
	order_post(&a->cancel, a->core.inbox);
}

void ari_tell(void *inbox_arg, struct msg *m)
{
	struct ari *a = inbox_arg;
	struct ari_ask *ask = (struct ari_ask *)m;
	const struct watch_cas *cas = shared_inventory(a->core.shared)->cas;
	const struct watch_ca *ca = NULL;
	struct ari_who w = {.serial = ask->serial};

	ask->found = false;
	while (a->core.db != NULL && !ask->found &&
	       (ca = watch_cas_called(cas, ask->issuer, ca)) != NULL) {
		if (ca->aki_n == 0 || strcmp(ca->issuer, ask->issuer) != 0)
			continue;
		w.aki_n = ca->aki_n;
		memcpy(w.aki, ca->aki, ca->aki_n);
		ask->found = ari_db_get(a->core.db, &w, &ask->state) == ERR_OK;
	}
	question_answer(&ask->question);
}

void ari_gauges(struct ari *a, struct metrics_text *t)
{
	metrics_line(t, "ari_behind_seconds", "gauge",
	    "By how much the certificate is late that is to be asked for next.", "",
	    (double)atomic_load(&a->behind_s));
	metrics_line(t, "ari_oldest_seconds", "gauge",
	    "Seconds since the certificate that is to be asked next was asked for last.",
	    "", (double)atomic_load(&a->oldest_s));
	metrics_line(t, "ari_noticed", "gauge",
	    "Certificates that a CA announces by renewal information.", "",
	    (double)atomic_load(&a->noticed));
}

/* Life. */

static void *run(void *arg)
{
	static const struct timeval second = {1, 0};
	struct ari *a = arg;

	event_add(a->tick, &second);
	configure(a);
	while (!a->core.stopping || a->core.away > 0)
		event_base_loop(a->core.base, EVLOOP_ONCE);
	if (a->core.share != NULL)
		ari_share_quit_all(a->core.share);
	while (a->core.away > 0)
		event_base_loop(a->core.base, EVLOOP_ONCE);
	return NULL;
}

static bool make(struct ari *a, char *why, size_t why_n)
{
	struct ari_core *core = &a->core;
	const struct conf *c = shared_conf(core->shared);

	snprintf(why, why_n, "%s", err_text(ERR_NOMEM));
	core->chance = seed_new();
	core->renew_board = renew_board;
	core->watch_db = watcher_db(core->shared->watcher);
	core->base = event_base_new();
	core->inbox = core->base != NULL ? inbox_new(core->base, a) : NULL;
	core->counters = metrics_thread();
	if (core->inbox == NULL || core->counters == NULL)
		return false;
	core->fetcher = fetcher_new(core->base, "ocspcached/" OCSPCACHED_VERSION);
	a->board = ari_board_new();
	core->shared->ari_board = a->board;
	a->enrol = ari_enrol_new(core, is_asked, on_enrolled, a);
	a->tick = event_new(core->base, -1, EV_PERSIST, on_tick, a);
	return core->fetcher != NULL && a->board != NULL && a->enrol != NULL &&
	       a->tick != NULL && open_db(a, c, why, why_n);
}

struct ari *ari_new(struct shared *shared, char *why, size_t why_n)
{
	struct ari *a = calloc(1, sizeof *a);

	if (a == NULL) {
		snprintf(why, why_n, "%s", err_text(ERR_NOMEM));
		return NULL;
	}
	a->core.shared = shared;
	shared->ari = a;
	order_init(&a->reload, on_reload, a);
	order_init(&a->cancel, on_cancel, a);
	if (!make(a, why, why_n)) {
		ari_free(a);
		return NULL;
	}
	return a;
}

struct inbox *ari_inbox(struct ari *a)
{
	return a->core.inbox;
}

int ari_start(struct ari *a)
{
	int e = thread_start(&a->thread, "ari", run, a);

	a->started = e == 0;
	return e;
}

void ari_join(struct ari *a)
{
	if (!a->started)
		return;
	pthread_join(a->thread, NULL);
	a->started = false;
}

void ari_free(struct ari *a)
{
	if (a == NULL)
		return;
	assert(!a->started);
	while (a->ca_n > 0)
		drop_ca(a, a->ca_n - 1);
	free(a->ca);
	for (size_t i = 0; i < a->place_n; i++)
		ari_place_free(a->place[i]);
	free(a->place);
	ari_share_free(a->core.share);
	executor_stop(a->names);
	executor_free(a->names);
	ari_enrol_free(a->enrol);
	if (a->core.fetcher != NULL)
		fetcher_free(a->core.fetcher);
	if (a->core.inbox != NULL)
		inbox_free(a->core.inbox);
	if (a->tick != NULL)
		event_free(a->tick);
	ari_db_close(a->core.db);
	if (a->core.base != NULL)
		event_base_free(a->core.base);
	watch_cas_unref(a->cas);
	watch_cas_unref(a->enrolled);
	a->core.shared->ari = NULL;
	a->core.shared->ari_board = NULL;
	ari_board_free(a->board);
	free(a);
}
