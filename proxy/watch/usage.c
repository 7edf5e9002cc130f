/* usage.c - what is pending, who of it is watched, what is written. */
#include "proxy/watch/usage.h"

#include <assert.h>
#include <event2/event.h>
#include <stdlib.h>

#include "cache/watch/asked.h"
#include "cache/watch/inventory_many.h"
#include "proxy/base/clock.h"
#include "proxy/base/log.h"
#include "proxy/base/seed.h"
#include "proxy/base/timer.h"
#include "proxy/watch/ledger.h"

#define ENTRIES_A_MS   250 /* of all lists: a look at each costs a thousandth of it */
#define LOOK_MAX_MS    60000
#define SIEVE_FIRST_MS 60000 /* when names are those of the configuration */
#define SIEVE_MS       86400000
#define WRITE_MAX      4096 /* rows in one step */

/* Those that are looked for in the lists. */
struct usage_look {
	struct asked_row *row;     /* by issuer, while it is looked for */
	size_t n, from, to;        /* from..to: of one issuer, at once */
	const struct inventory *v; /* a reference; NULL: nothing is looked for */
	const struct watch_ca *ca; /* of v */
	bool sieve; /* who is not watched is dropped; else who is, is noted */
};

struct usage {
	struct watch_context *context;
	struct asked_table *table;
	struct asked_row *pending; /* USAGE_PENDING */
	size_t pending_n;
	struct usage_look look;
	struct inventory_many *many;
	struct event *turn, *write_timer, *sieve_timer;
	bool turn_armed;
	bool sieving;
	size_t sieve_place;
	struct watch_asked *gone; /* rows that are to be deleted */
	size_t gone_n, gone_room;
	void (*tell)(void *arg, const struct watch_asked *rows, size_t n);
	void *tell_arg;
	struct ledger_job job;
	struct watch_asked written[WRITE_MAX];
	bool writing, stopping;
	_Atomic size_t count;
};

static uint32_t minute_of(int64_t now)
{
	return now > 0 ? (uint32_t)(now / 60) : 1;
}

static void count(struct usage *u)
{
	atomic_store_explicit(&u->count, asked_count(u->table), memory_order_relaxed);
}

/* Writing. */

static void arm_write(struct usage *u)
{
	if (!u->stopping && !u->writing && (asked_is_due(u->table) || u->gone_n > 0) &&
	    !evtimer_pending(u->write_timer, NULL))
		timer_arm(u->write_timer, USAGE_WRITE_MS);
}

/* What cannot be written is due again an hour later; what the file lacks is told by the
 * ledger. */
static void on_written(void *arg, struct ledger_job *job)
{
	struct usage *u = arg;

	(void)job;
	assert(u->writing);
	u->writing = false;
	u->context->away--;
	arm_write(u);
}

static void row_out(
    const struct usage *u, const struct asked_row *row, struct watch_asked *out)
{
	strcpy(out->issuer, asked_issuer_name(u->table, row->issuer));
	out->serial = row->serial;
	out->minute = row->minute;
}

/* What was dropped first; what has come back is due behind it. */
static size_t take_gone(struct usage *u)
{
	size_t n = u->gone_n < WRITE_MAX ? u->gone_n : WRITE_MAX;

	u->gone_n -= n;
	if (n > 0)
		memcpy(u->written, u->gone + u->gone_n, n * sizeof u->gone[0]);
	return n;
}

static size_t take_due(struct usage *u)
{
	static const size_t most = WATCH_ASKED_ROWS;
	struct asked_row row[WATCH_ASKED_ROWS];
	struct watch_asked own[WATCH_ASKED_ROWS];
	size_t n = 0, got = most;

	while (got == most && n + most <= WRITE_MAX) {
		size_t mine = 0;

		got = asked_due(u->table, row, most);
		for (size_t i = 0; i < got; i++, n++) {
			row_out(u, &row[i], &u->written[n]);
			if (row[i].own)
				own[mine++] = u->written[n];
		}
		if (mine > 0 && u->tell != NULL)
			u->tell(u->tell_arg, own, mine);
	}
	return n;
}

static void on_write(evutil_socket_t fd, short what, void *arg)
{
	struct usage *u = arg;
	size_t n;

	(void)fd, (void)what;
	assert(!u->writing);
	if ((n = take_gone(u)) == 0 && (n = take_due(u)) == 0)
		return;
	u->job = (struct ledger_job){.what = LEDGER_ASKED,
	    .asked = u->written,
	    .asked_n = n,
	    .done = on_written,
	    .arg = u};
	u->writing = true;
	u->context->away++;
	ledger_do(u->context->ledger, &u->job);
}

/* Looking. */

static int row_cmp(const void *a, const void *b)
{
	const struct asked_row *x = a, *y = b;

	return (x->issuer > y->issuer) - (x->issuer < y->issuer);
}

static bool drop(struct usage *u, const struct asked_row *row)
{
	size_t room = u->gone_room == 0 ? 256 : 2 * u->gone_room;
	struct watch_asked *more;

	if (u->gone_n == u->gone_room) {
		more = realloc(u->gone, room * sizeof *more);
		if (more == NULL)
			return false;
		u->gone = more;
		u->gone_room = room;
	}
	row_out(u, row, &u->gone[u->gone_n]);
	u->gone[u->gone_n++].minute = 0;
	asked_drop(u->table, row->issuer, &row->serial);
	return true;
}

static void note(struct usage *u, const struct asked_row *row)
{
	if (!asked_note(u->table, row))
		log_warn("asked_not_noted", "most=%zu effect=%s", ASKED_MAX,
		    "last_asked of more certificates is not known, and in_use counts "
		    "less of them");
}

/* The end of what was looked for at once; none: nobody is watched of that issuer. */
static void run_end(struct usage *u, bool none)
{
	struct usage_look *k = &u->look;

	for (size_t i = k->from, n = 0; i < k->to; i++, n++) {
		bool watched = !none && inventory_many_at(u->many, n) != NULL;

		if (watched && !k->sieve)
			note(u, &k->row[i]);
		else if (!watched && k->sieve)
			drop(u, &k->row[i]);
	}
	k->from = k->to;
	k->ca = NULL;
}

static const char *name_of(const struct usage *u)
{
	return asked_issuer_name(u->table, u->look.row[u->look.from].issuer);
}

/* Those of the next issuer.  Without memory for one it is left out. */
static void run_begin(struct usage *u)
{
	struct usage_look *k = &u->look;
	bool ok = true;

	inventory_many_clear(u->many);
	k->to = k->from;
	k->ca = watch_cas_called(k->v->cas, name_of(u), NULL);
	while (k->to < k->n && k->row[k->to].issuer == k->row[k->from].issuer &&
	       inventory_many_count(u->many) < INVENTORY_MANY_MAX &&
	       (ok = inventory_many_add(u->many, &k->row[k->to].serial)))
		k->to++;
	if (!ok && k->to == k->from)
		k->from = k->to = k->to + 1;
	else if (k->ca == NULL)
		run_end(u, true);
	else
		inventory_many_begin(u->many, k->v, k->ca->id);
}

/* A slice.  False: there is more to do. */
static bool look(struct usage *u)
{
	struct usage_look *k = &u->look;
	size_t left = INVENTORY_SLICE;

	while (k->ca != NULL || k->from < k->n) {
		if (k->ca == NULL) {
			run_begin(u);
			continue;
		}
		if (!inventory_many_go_on(u->many, &left))
			return false;
		k->ca = watch_cas_called(k->v->cas, name_of(u), k->ca);
		if (k->ca != NULL)
			inventory_many_begin(u->many, k->v, k->ca->id);
		else
			run_end(u, false);
	}
	return true;
}

static void turn_in(struct usage *u, int64_t ms)
{
	if (!u->stopping)
		u->turn_armed = timer_arm(u->turn, ms);
}

/* What a look at all lists costs is spread. */
static int64_t pause_ms(const struct usage *u)
{
	int64_t ms =
	    (int64_t)(ledger_inventory(u->context->shared)->entries / ENTRIES_A_MS);

	return ms < LOOK_MAX_MS ? ms : LOOK_MAX_MS;
}

static void look_end(struct usage *u)
{
	inventory_unref(u->look.v);
	free(u->look.row);
	u->look = (struct usage_look){0};
	count(u);
	arm_write(u);
}

/* The next ones to look for; false: there are none. */
static bool look_begin(struct usage *u)
{
	struct usage_look *k = &u->look;
	size_t room = u->pending_n > 0 ? u->pending_n : INVENTORY_MANY_MAX;

	if (u->pending_n == 0 && !u->sieving)
		return false;
	*k = (struct usage_look){.row = calloc(room, sizeof *k->row)};
	if (k->row == NULL)
		return false;
	if (u->pending_n > 0) {
		k->n = u->pending_n;
		memcpy(k->row, u->pending, k->n * sizeof k->row[0]);
		u->pending_n = 0;
	} else {
		k->sieve = true;
		k->n = asked_walk(u->table, &u->sieve_place, k->row, room);
		u->sieving = k->n > 0;
	}
	qsort(k->row, k->n, sizeof k->row[0], row_cmp);
	k->v = inventory_ref(ledger_inventory(u->context->shared));
	return true;
}

static void on_turn(evutil_socket_t fd, short what, void *arg)
{
	struct usage *u = arg;

	(void)fd, (void)what;
	u->turn_armed = false;
	if (u->look.v == NULL && !look_begin(u))
		return;
	if (!look(u)) {
		turn_in(u, 0);
		return;
	}
	look_end(u);
	if (u->pending_n > 0 || u->sieving)
		turn_in(u, pause_ms(u));
}

static void on_sieve(evutil_socket_t fd, short what, void *arg)
{
	struct usage *u = arg;

	(void)fd, (void)what;
	u->sieving = true;
	u->sieve_place = 0;
	if (!u->turn_armed && u->look.v == NULL)
		turn_in(u, pause_ms(u));
	timer_arm(u->sieve_timer, SIEVE_MS);
}

/* Hearing. */

static void take(struct usage *u, const struct asked_row *row)
{
	if (asked_find(u->table, row->issuer, &row->serial) != 0)
		note(u, row);
	else if (u->pending_n < USAGE_PENDING)
		u->pending[u->pending_n++] = *row;
}

static void took(struct usage *u)
{
	if (u->pending_n > 0 && !u->turn_armed && u->look.v == NULL)
		turn_in(u, pause_ms(u));
	arm_write(u);
}

void usage_hear(struct usage *u, struct asked_keys *keys)
{
	const struct issuers *is = shared_conf(u->context->shared)->issuers;
	struct asked_row row = {.own = true, .minute = minute_of(clock_now())};

	for (size_t i = 0; !u->stopping && i < keys->n; i++) {
		const struct issuer *of = issuers_find(is, &keys->key[i], NULL);

		if (of == NULL || (row.issuer = asked_issuer(u->table, of->name)) == 0)
			continue;
		key_serial(&keys->key[i], &row.serial);
		take(u, &row);
	}
	free(keys);
	took(u);
}

void usage_on_own(struct usage *u,
    void (*tell)(void *arg, const struct watch_asked *rows, size_t n), void *arg)
{
	u->tell = tell;
	u->tell_arg = arg;
}

void usage_hear_others(struct usage *u, const struct watch_asked *rows, size_t n)
{
	uint32_t most = minute_of(clock_now()) + USAGE_AHEAD_MIN;

	for (size_t i = 0; !u->stopping && i < n; i++) {
		struct asked_row row = {
		    .minute = rows[i].minute, .serial = rows[i].serial};

		row.issuer = asked_issuer(u->table, rows[i].issuer);
		if (row.issuer != 0 && row.minute <= most)
			take(u, &row);
	}
	took(u);
}

/* Telling. */

int64_t usage_last(const struct usage *u, const char *issuer, const struct serial *s)
{
	uint16_t i = u != NULL ? asked_issuer_find(u->table, issuer) : 0;
	uint32_t minute = i != 0 ? asked_find(u->table, i, s) : 0;

	return minute != 0 ? (int64_t)minute * 60 : WATCH_TIME_NONE;
}

bool usage_is_recent(
    const struct usage *u, const char *issuer, const struct serial *s, int64_t now)
{
	int64_t at = usage_last(u, issuer, s);

	return at != WATCH_TIME_NONE && now - at < USAGE_RECENT_S;
}

void usage_gauges(const struct usage *u, struct metrics_text *t)
{
	metrics_line(t, "asked_certificates", "gauge",
	    "Watched certificates of which is known when a client last asked for them.",
	    "", (double)atomic_load_explicit(&u->count, memory_order_relaxed));
}

/* Life. */

static bool on_loaded(void *arg, const struct watch_asked *row)
{
	struct usage *u = arg;
	struct asked_row r = {.issuer = asked_issuer(u->table, row->issuer),
	    .minute = row->minute,
	    .serial = row->serial};

	return r.minute > minute_of(clock_now()) + USAGE_AHEAD_MIN || r.issuer == 0 ||
	       asked_load(u->table, &r);
}

static void load(struct usage *u)
{
	struct watch_db *db = ledger_db(u->context->ledger);
	enum err e = watch_db_asked_load(db, on_loaded, u);
	char why[512];

	if (e == ERR_OK)
		return;
	watch_db_why(db, why, sizeof why);
	log_warn("asked_not_read", "err=%s why=%s effect=%s", err_label(e), why,
	    "last_asked begins anew");
}

static bool make(struct usage *u)
{
	struct event_base *base = u->context->base;

	u->table = asked_new(seed_new());
	u->pending = malloc(USAGE_PENDING * sizeof *u->pending);
	u->many = inventory_many_new();
	u->turn = evtimer_new(base, on_turn, u);
	u->write_timer = evtimer_new(base, on_write, u);
	u->sieve_timer = evtimer_new(base, on_sieve, u);
	return u->table != NULL && u->pending != NULL && u->many != NULL &&
	       u->turn != NULL && u->write_timer != NULL && u->sieve_timer != NULL &&
	       timer_arm(u->sieve_timer, SIEVE_FIRST_MS);
}

struct usage *usage_new(struct watch_context *context)
{
	struct usage *u = calloc(1, sizeof *u);

	if (u == NULL)
		return NULL;
	u->context = context;
	if (!make(u)) {
		usage_free(u);
		return NULL;
	}
	load(u);
	count(u);
	return u;
}

void usage_cancel(struct usage *u)
{
	u->stopping = true;
	event_del(u->turn);
	event_del(u->write_timer);
	event_del(u->sieve_timer);
}

static void event_drop(struct event *e)
{
	if (e != NULL)
		event_free(e);
}

void usage_free(struct usage *u)
{
	if (u == NULL)
		return;
	assert(!u->writing);
	event_drop(u->turn);
	event_drop(u->write_timer);
	event_drop(u->sieve_timer);
	inventory_unref(u->look.v);
	free(u->look.row);
	inventory_many_free(u->many);
	asked_free(u->table);
	free(u->pending);
	free(u->gone);
	free(u);
}
