/* verdicts.c - names of issuers once each, certificates by their place. */
#include "proxy/watch/verdicts.h"

#include <assert.h>
#include <stdlib.h>

#include "proxy/base/clock.h"
#include "proxy/keeper/evidence_ask.h"
#include "proxy/keeper/keeper.h"
#include "proxy/watch/ledger.h"

/* What is looked up once for a batch. */
struct batch_issuer {
	const struct issuer *issuer; /* NULL: it is not configured */
	struct evidence_lists lists;
};

/* What is known of a certificate's place in the inventory. */
struct batch_watch {
	bool known; /* else it is looked for */
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
	uint8_t *said;                   /* evidence_lists.said of each issuer */
	size_t said_room;
	size_t names_room, items_room;
	size_t last; /* the issuer of the certificate before: mostly the next one's too */
	bool asked;
	int64_t now;
};

struct verdicts *verdicts_new(
    struct watch_context *context, void (*done)(void *arg), void *arg)
{
	struct verdicts *v = calloc(1, sizeof *v);

	if (v == NULL)
		return NULL;
	v->context = context;
	v->done = done;
	v->arg = arg;
	return v;
}

void verdicts_free(struct verdicts *v)
{
	if (v == NULL)
		return;
	assert(!v->asked);
	free(v->ask.kept);
	free(v->ask.item);
	free(v->names);
	free(v->issuers);
	free(v->watch);
	free(v->said);
	free(v);
}

/* Searches in one list: some 10 ms. */
#define SEARCHES_MAX 16384
#define SAID_MAX     ((size_t)1 << 20) /* bytes; they are cleared for each batch */

static const struct inventory *inventory_of(const struct verdicts *v)
{
	return v->watched != NULL ? v->watched : ledger_inventory(v->context->shared);
}

size_t verdicts_turn(const struct verdicts *v, size_t most)
{
	size_t n = SEARCHES_MAX / (inventory_of(v)->n + 1);

	return n < 1 ? 1 : n < most ? n : most;
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
	const struct inventory *watched = inventory_of(v);
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

static void on_answer(void *inbox_arg, struct question *q)
{
	struct verdicts *v = (struct verdicts *)q;

	(void)inbox_arg;
	assert(v->asked && v->context->away > 0);
	v->asked = false;
	v->context->away--;
	v->now = clock_now();
	find_issuers(v);
	v->done(v->arg);
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
	return v->watch[i].known ? &v->watch[i].watch : NULL;
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
	       (watch != NULL && evidence_names_good(&b->lists, b->issuer, watch));
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
