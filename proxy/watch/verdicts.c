/* verdicts.c - names of issuers once each, certificates by their place. */
#include "proxy/watch/verdicts.h"

#include <assert.h>
#include <event2/event.h>
#include <stdlib.h>

#include "cache/watch/inventory_many.h"
#include "proxy/base/clock.h"
#include "proxy/base/timer.h"
#include "proxy/keeper/evidence_ask.h"
#include "proxy/keeper/keeper.h"
#include "proxy/watch/ledger.h"

/* What is looked up once for a batch. */
struct batch_issuer {
	const struct issuer *issuer; /* NULL: it is not configured */
	struct evidence_lists lists;
	bool looked; /* in the inventory, for those of whom nobody has said what it has */
};

/* What is known of a certificate's place in the inventory. */
struct batch_watch {
	bool known; /* by who added it; else it is looked for */
	struct evidence_watch watch;
};

struct verdicts {
	struct evidence_ask ask; /* first: what comes back is this */
	struct watch_context *context;
	void (*done)(void *arg);
	void *arg;
	char (*names)[64];
	struct batch_issuer *issuers;    /* as many */
	struct batch_watch *watch;       /* for each of ask.item */
	const struct inventory *watched; /* of the caller; NULL: the one in force */
	const struct inventory *held;   /* a reference to that, from the answer to done */
	const struct inventory *judged; /* borrowed, in done */
	struct inventory_many *many;    /* NULL: nobody was looked for yet */
	struct event *turn;
	size_t looks;              /* the issuer whose certificates are looked for */
	const struct watch_ca *ca; /* of it; NULL: none is looked for */
	size_t from, to;           /* those that are at once, of ask.item */
	uint8_t *said;             /* evidence_lists.said of each issuer */
	size_t said_room;
	size_t names_room, items_room;
	size_t last; /* the issuer of the certificate before: mostly the next one's too */
	bool asked;
	int64_t now;
};

static void on_turn(evutil_socket_t fd, short what, void *arg);

struct verdicts *verdicts_new(
    struct watch_context *context, void (*done)(void *arg), void *arg)
{
	struct verdicts *v = calloc(1, sizeof *v);

	if (v == NULL)
		return NULL;
	v->context = context;
	v->done = done;
	v->arg = arg;
	v->turn = evtimer_new(context->base, on_turn, v);
	if (v->turn == NULL) {
		free(v);
		return NULL;
	}
	return v;
}

void verdicts_free(struct verdicts *v)
{
	if (v == NULL)
		return;
	assert(!v->asked);
	event_free(v->turn);
	inventory_many_free(v->many);
	free(v->ask.kept);
	free(v->ask.item);
	free(v->names);
	free(v->issuers);
	free(v->watch);
	free(v->said);
	free(v);
}

#define SAID_MAX ((size_t)1 << 20) /* bytes; they are cleared for each batch */

static const struct inventory *inventory_of(const struct verdicts *v)
{
	return v->watched != NULL ? v->watched : ledger_inventory(v->context->shared);
}

size_t verdicts_worth(const struct verdicts *v)
{
	return inventory_many_worth(inventory_of(v));
}

/* Adding. */

static bool names_grow(struct verdicts *v)
{
	size_t room = v->names_room > 0 ? 2 * v->names_room : 8;
	char(*names)[64] = realloc(v->names, room * sizeof *names);
	struct batch_issuer *issuers;

	if (names == NULL)
		return false;
	v->names = names;
	issuers = realloc(v->issuers, room * sizeof *issuers);
	if (issuers == NULL)
		return false;
	v->issuers = issuers;
	v->names_room = room;
	return true;
}

/* The place of this name; SIZE_MAX when out of memory.  Batches have few. */
static size_t place_of(struct verdicts *v, const char *name)
{
	size_t n = v->ask.names_n, length = strlen(name);

	if (n > 0 && strcmp(v->names[v->last], name) == 0)
		return v->last;
	for (size_t i = 0; i < n; i++)
		if (strcmp(v->names[i], name) == 0)
			return v->last = i;
	if (n == v->names_room && !names_grow(v))
		return SIZE_MAX;
	assert(length < sizeof v->names[0]);
	memcpy(v->names[n], name, length + 1);
	v->issuers[n].looked = false;
	v->ask.names_n++;
	return v->last = n;
}

static bool items_grow(struct verdicts *v)
{
	size_t room = v->items_room > 0 ? 2 * v->items_room : 64;
	struct evidence_item *items = realloc(v->ask.item, room * sizeof *items);
	struct batch_watch *watch;

	if (items == NULL)
		return false;
	v->ask.item = items;
	watch = realloc(v->watch, room * sizeof *watch);
	if (watch == NULL)
		return false;
	v->watch = watch;
	v->items_room = room;
	return true;
}

static bool add(struct verdicts *v, const char *issuer, const struct serial *s,
    struct batch_watch watch)
{
	size_t place = place_of(v, issuer);

	assert(!v->asked);
	if (place == SIZE_MAX || (v->ask.n == v->items_room && !items_grow(v)))
		return false;
	v->watch[v->ask.n] = watch;
	v->ask.item[v->ask.n++] =
	    (struct evidence_item){.serial = *s, .issuer = (uint32_t)place};
	return true;
}

bool verdicts_add(struct verdicts *v, const char *issuer, const struct serial *s)
{
	return add(v, issuer, s, (struct batch_watch){.known = false});
}

bool verdicts_add_watched(struct verdicts *v, const char *issuer, const struct serial *s,
    const struct evidence_watch *watch)
{
	assert(v->watched != NULL);
	return add(v, issuer, s, (struct batch_watch){true, *watch});
}

bool verdicts_add_unwatched(
    struct verdicts *v, const char *issuer, const struct serial *s)
{
	return add(v, issuer, s, (struct batch_watch){.known = true});
}

void verdicts_watch(struct verdicts *v, const struct inventory *watched)
{
	assert(!v->asked && v->ask.n == 0);
	v->watched = watched;
}

size_t verdicts_count(const struct verdicts *v)
{
	return v->ask.n;
}

const struct serial *verdicts_serial(const struct verdicts *v, size_t i)
{
	assert(i < v->ask.n);
	return &v->ask.item[i].serial;
}

void verdicts_clear(struct verdicts *v)
{
	assert(!v->asked);
	v->ask.n = v->ask.names_n = v->last = 0;
}

/* Asking. */

static const struct crl_set *set_of(const struct issuer *i)
{
	return i->slot != NULL ? atomic_load_explicit(&i->slot->set, memory_order_acquire)
			       : &crl_set_unopened; /* the keeper had no memory for it */
}

/* Room for what each issuer's lists say of those that are named, for this batch; NULL:
 * there is none, and each certificate asks for itself. */
static uint8_t *said_of(struct verdicts *v, const struct inventory *watched)
{
	size_t n = v->ask.names_n * (watched->points->n + 1);
	uint8_t *p = n > v->said_room && n <= SAID_MAX ? realloc(v->said, n) : v->said;

	if (p == NULL || n > SAID_MAX)
		return NULL;
	v->said = p;
	if (n > v->said_room)
		v->said_room = n;
	memset(p, 0, n);
	return p;
}

static void find_issuers(struct verdicts *v)
{
	const struct issuers *is = shared_conf(v->context->shared)->issuers;
	const struct inventory *watched = v->judged;
	uint8_t *said = said_of(v, watched);

	for (size_t n = 0; n < v->ask.names_n; n++) {
		struct batch_issuer *b = &v->issuers[n];

		b->issuer = issuers_named(is, v->names[n]);
		if (b->issuer == NULL)
			continue;
		evidence_list(set_of(b->issuer), b->issuer, watched, v->now, &b->lists);
		if (said != NULL)
			b->lists.said = said + n * (watched->points->n + 1);
	}
}

/* Looking for certificates in the inventory. */

static bool is_looked_for(const struct verdicts *v, size_t i)
{
	return v->ask.item[i].issuer == v->looks && !v->watch[i].known;
}

/* As many of an issuer, from v->from on, as go at once.  False: out of memory. */
static bool look_begin(struct verdicts *v)
{
	if (v->many == NULL && (v->many = inventory_many_new()) == NULL)
		return false;
	inventory_many_clear(v->many);
	for (v->to = v->from;
	     v->to < v->ask.n && inventory_many_count(v->many) < INVENTORY_MANY_MAX;
	     v->to++)
		if (is_looked_for(v, v->to) &&
		    !inventory_many_add(v->many, &v->ask.item[v->to].serial))
			return false;
	v->ca = v->issuers[v->looks].lists.first;
	inventory_many_begin(v->many, v->judged, v->ca->id);
	return true;
}

/* The next issuer for whose certificates it counts.  False: there is none. */
static bool look_next(struct verdicts *v)
{
	for (size_t n = 0; n < v->ask.names_n; n++) {
		struct batch_issuer *b = &v->issuers[n];

		if (b->looked || b->issuer == NULL || !evidence_may_name(&b->lists))
			continue;
		v->looks = n;
		v->from = 0;
		return true;
	}
	return false;
}

static void look_end(struct verdicts *v)
{
	for (size_t i = v->from, n = 0; i < v->to; i++) {
		const struct watched *e;

		if (!is_looked_for(v, i))
			continue;
		e = inventory_many_at(v->many, n++);
		v->watch[i].watch =
		    e != NULL ? evidence_watch_of(e) : (struct evidence_watch){0};
	}
	v->from = v->to;
	v->ca = NULL;
	v->issuers[v->looks].looked = v->from == v->ask.n;
}

/* The next CA that goes by the issuer's name, or that was all. */
static void look_on(struct verdicts *v)
{
	const struct watch_cas *cas = v->judged->cas;
	const char *name = v->names[v->looks];

	while (++v->ca < cas->ca + cas->n)
		if (strcmp(v->ca->issuer, name) == 0) {
			inventory_many_begin(v->many, v->judged, v->ca->id);
			return;
		}
	look_end(v);
}

/* A slice.  False: there is more to do. */
static bool look(struct verdicts *v)
{
	size_t left = INVENTORY_SLICE;

	while (v->ca != NULL || v->from < v->ask.n || look_next(v)) {
		if (v->ca == NULL && !look_begin(v)) {
			v->ask.error = ERR_NOMEM;
			return true;
		}
		if (!inventory_many_go_on(v->many, &left))
			return false;
		look_on(v);
	}
	return true;
}

static void turn_soon(struct verdicts *v)
{
	if (!timer_arm(v->turn, 0))
		event_active(v->turn, EV_TIMEOUT, 1);
}

/* By now lists may have changed, and what counts. */
static void go_on(struct verdicts *v)
{
	const struct inventory *held = v->held;

	v->now = clock_now();
	find_issuers(v);
	if (v->ask.error == ERR_OK && !look(v)) {
		turn_soon(v);
		return;
	}
	v->asked = false;
	v->held = NULL;
	assert(v->context->away > 0);
	v->context->away--;
	v->done(v->arg); /* v may be gone behind it */
	inventory_unref(held);
}

static void on_turn(evutil_socket_t fd, short what, void *arg)
{
	(void)fd, (void)what;
	go_on(arg);
}

static void on_answer(void *inbox_arg, struct question *q)
{
	struct verdicts *v = (struct verdicts *)q;

	(void)inbox_arg;
	assert(v->asked && v->held == NULL);
	v->judged = v->held = inventory_ref(inventory_of(v));
	v->ca = NULL;
	v->from = v->ask.n;
	go_on(v);
}

void verdicts_later(struct verdicts *v)
{
	assert(!v->asked && v->held == NULL);
	v->asked = true;
	v->context->away++;
	v->held = inventory_ref(v->judged);
	turn_soon(v);
}

void verdicts_wait(struct verdicts *v, int64_t until_ms)
{
	v->ask.wait_until_ms = until_ms;
}

void verdicts_ask(struct verdicts *v)
{
	assert(!v->asked);
	v->asked = true;
	v->context->away++;
	v->ask.name = (const char(*)[64])v->names;
	v->ask.question.reply_to = v->context->inbox;
	v->ask.question.done = on_answer;
	keeper_ask_evidence(v->context->shared, &v->ask);
}

bool verdicts_are_asked(const struct verdicts *v)
{
	return v->asked;
}

/* Judging. */

enum err verdicts_error(const struct verdicts *v)
{
	return v->ask.error;
}

const char *verdicts_issuer(const struct verdicts *v, size_t i)
{
	const struct batch_issuer *b = &v->issuers[v->ask.item[i].issuer];

	return b->issuer != NULL ? b->issuer->name : "";
}

static const struct evidence_kept *kept_of(const struct verdicts *v, size_t i)
{
	static const struct evidence_kept nothing;
	uint32_t kept = v->ask.item[i].kept;

	assert(kept <= v->ask.kept_n);
	return kept > 0 ? &v->ask.kept[kept - 1] : &nothing;
}

static const struct evidence_watch *watch_of(const struct verdicts *v, size_t i)
{
	return &v->watch[i].watch;
}

void verdicts_at(struct verdicts *v, size_t i, struct evidence *out)
{
	const struct evidence_item *item = &v->ask.item[i];
	const struct batch_issuer *b = &v->issuers[item->issuer];

	assert(i < v->ask.n && v->ask.error == ERR_OK);
	if (b->issuer != NULL) {
		evidence_judge(kept_of(v, i), &b->lists, v->context->shared->hot,
		    b->issuer, &item->serial, watch_of(v, i), NULL, out);
		return;
	}
	*out = (struct evidence){.status = STATUS_UNKNOWN, .reason = REASON_NONE};
}

/* Does anybody but the hot table have it? */
static bool is_noted(const struct verdicts *v, size_t i)
{
	const struct evidence_item *item = &v->ask.item[i];
	struct crl_finding found;

	return item->kept > 0 ||
	       crl_set_find(v->issuers[item->issuer].lists.set, &item->serial, &found);
}

/* Do lists alone say good of whom none has? */
static bool is_good_by_lists(const struct verdicts *v, size_t i)
{
	const struct batch_issuer *b = &v->issuers[v->ask.item[i].issuer];
	const struct evidence_watch *watch = watch_of(v, i);

	return b->lists.absence == CRL_ABSENT_GOOD ||
	       evidence_names_good(&b->lists, b->issuer, watch);
}

enum status verdicts_status(struct verdicts *v, size_t i)
{
	const struct batch_issuer *b = &v->issuers[v->ask.item[i].issuer];
	struct evidence e;

	if (b->issuer != NULL && is_good_by_lists(v, i) && !is_noted(v, i))
		return STATUS_GOOD;
	verdicts_at(v, i, &e);
	return e.status;
}

bool verdicts_is_revoked(struct verdicts *v, size_t i)
{
	const struct batch_issuer *b = &v->issuers[v->ask.item[i].issuer];

	return b->issuer != NULL && is_noted(v, i) &&
	       verdicts_status(v, i) == STATUS_REVOKED;
}

bool verdicts_is_covered(struct verdicts *v, size_t i)
{
	const struct batch_issuer *b = &v->issuers[v->ask.item[i].issuer];
	struct evidence e;

	if (b->issuer == NULL)
		return false;
	if (evidence_lists_cover(&b->lists, b->issuer, watch_of(v, i)))
		return true;
	verdicts_at(v, i, &e);
	return evidence_is_covered(&e, b->issuer, watch_of(v, i));
}
