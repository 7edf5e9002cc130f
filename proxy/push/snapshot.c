/* snapshot.c - one walk over the latches, on the keeper's thread, for all snapshots that
 * wait; then each is sorted out, on the disk thread.
 *
 * A latch is known by its CA's id, and goes by the place of its issuer in the
 * configuration of the moment when the walk began: another one may be in force when it
 * ends, so nothing of it is kept but these numbers.
 */
#include "proxy/push/snapshot.h"

#include <assert.h>
#include <stddef.h>
#include <stdlib.h>

#include "cache/held/latch.h"
#include "proxy/base/clock.h"
#include "proxy/base/executor.h"
#include "proxy/keeper/keeper.h"
#include "proxy/tell/teller.h"

#define SLICE   2048 /* latches in one turn of the keeper: some 0.3 ms */
#define CHUNK_N 1024 /* 40 KB: what is allocated at once while walking */

/* Whose latches are wanted: open addressing over the CAs' ids, which are hashes already.
 */
struct seat {
	uint8_t id[32];
	uint32_t issuer; /* and one; 0: empty */
};

struct found {
	uint32_t issuer;
	struct crl_entry entry;
};
struct chunk {
	struct chunk *next;
	size_t n;
	struct found found[CHUNK_N];
};

struct snapshots {
	void *keeper;
	struct snapshot *waiting, **waiting_end;
	bool walking;             /* or at the disk thread */
	struct snapshot *taken;   /* those that this walk is for */
	struct latches_walk walk; /* arg: this */
	struct msg step;          /* the next slice */
	enum err error;
	struct seat *seats;
	size_t mask;
	struct chunk *chunks;
	uint64_t looked_at;
};

static void begin(struct snapshots *all);

/* The moment: lists, and the log's place. */

static const struct keeper_parts *parts_of(const struct snapshots *all)
{
	return keeper_parts(all->keeper);
}

static bool is_wanted(const struct snapshot *s, const struct issuer *i)
{
	return s->issuer[0] == '\0' || strcmp(s->issuer, i->name) == 0;
}

static void take_issuer(struct snapshot *s, const struct issuer *i)
{
	struct snapshot_issuer *to = &s->of[s->n++];
	const struct crl_set *set =
	    i->slot != NULL ? atomic_load_explicit(&i->slot->set, memory_order_acquire)
			    : &crl_set_none;
	size_t n = strlen(i->name);

	memcpy(to->name, i->name, n < sizeof to->name ? n : sizeof to->name - 1);
	to->set = crl_set_ref(set);
}

static enum err take_lists(struct snapshot *s, const struct issuers *is)
{
	size_t room = s->issuer[0] == '\0' ? issuers_count(is) : 1;

	s->of = calloc(room + 1, sizeof *s->of);
	if (s->of == NULL)
		return ERR_NOMEM;
	for (size_t n = 0; n < issuers_count(is) && s->n < room; n++)
		if (is_wanted(s, issuers_at(is, n))) {
			if (s->n == 0)
				s->_first = n;
			take_issuer(s, issuers_at(is, n));
		}
	return ERR_OK;
}

static void take_moment(struct snapshot *s, const struct keeper_parts *d)
{
	s->at = clock_now();
	s->of = NULL;
	s->latches = NULL;
	s->n = 0;
	teller_known_from(d->teller, &s->end);
	s->error = s->end.epoch == 0
		       ? ERR_STORE
		       : take_lists(s, shared_conf(d->context.shared)->issuers);
}

/* Whose latches. */

static struct seat *find_seat(const struct snapshots *all, const uint8_t id[32])
{
	uint64_t h;
	size_t i;

	memcpy(&h, id, sizeof h);
	for (i = (size_t)h & all->mask; all->seats[i].issuer != 0;
	     i = (i + 1) & all->mask)
		if (memcmp(all->seats[i].id, id, sizeof all->seats[i].id) == 0)
			break;
	return &all->seats[i];
}

static bool anybody_wants(const struct snapshots *all, const struct issuer *i)
{
	for (const struct snapshot *s = all->taken; s != NULL; s = s->_next)
		if (s->error == ERR_OK && is_wanted(s, i))
			return true;
	return false;
}

static enum err make_seats(struct snapshots *all, const struct issuers *is)
{
	size_t cas = 0, seats = 2;

	for (size_t n = 0; n < issuers_count(is); n++)
		cas += issuers_at(is, n)->ca_n;
	while (seats < 2 * cas)
		seats *= 2;
	all->seats = calloc(seats, sizeof *all->seats);
	if (all->seats == NULL)
		return ERR_NOMEM;
	all->mask = seats - 1;
	for (size_t n = 0; n < issuers_count(is); n++) {
		const struct issuer *i = issuers_at(is, n);

		for (size_t c = 0; anybody_wants(all, i) && c < i->ca_n; c++) {
			struct seat *seat = find_seat(all, i->ca[c].id);

			memcpy(seat->id, i->ca[c].id, sizeof seat->id);
			seat->issuer = (uint32_t)n + 1;
		}
	}
	return ERR_OK;
}

/* The walk. */

static struct found *new_found(struct snapshots *all)
{
	struct chunk *c = all->chunks;

	if (c == NULL || c->n == CHUNK_N) {
		c = malloc(sizeof *c);
		if (c == NULL)
			return NULL;
		c->n = 0;
		c->next = all->chunks;
		all->chunks = c;
	}
	return &c->found[c->n++];
}

static void on_latch(void *arg, const struct latch *l)
{
	struct snapshots *all = arg;
	uint32_t issuer = find_seat(all, l->ca_id)->issuer;
	struct found *f;

	all->looked_at++;
	if (issuer == 0 || all->error != ERR_OK)
		return;
	f = new_found(all);
	if (f == NULL) {
		all->error = ERR_NOMEM;
		return;
	}
	*f = (struct found){.issuer = issuer - 1};
	crl_entry_set_serial(&f->entry, &l->serial);
	crl_entry_set_at(&f->entry, l->revoked_at);
	f->entry.reason = l->reason == REASON_NONE ? CRL_NO_REASON : (uint8_t)l->reason;
}

/* Sorting out: on the disk thread. */

/* The issuer's place in s; s->n: none. */
static size_t place_in(const struct snapshot *s, uint32_t issuer)
{
	return issuer >= s->_first && issuer - s->_first < s->n ? issuer - s->_first
								: s->n;
}

/* at: where each issuer's begin, and behind them (no issuer's) the end. */
static void count_latches(const struct chunk *chunks, struct snapshot *s, size_t *at)
{
	size_t total = 0;

	for (const struct chunk *c = chunks; c != NULL; c = c->next)
		for (size_t i = 0; i < c->n; i++)
			at[place_in(s, c->found[i].issuer)]++;
	for (size_t n = 0; n < s->n; n++) {
		s->of[n].latches_n = at[n];
		at[n] = total;
		total += s->of[n].latches_n;
	}
	at[s->n] = total;
}

/* Each to its issuer's; then these sorted. */
static void place_latches(const struct chunk *chunks, struct snapshot *s, size_t *at)
{
	for (const struct chunk *c = chunks; c != NULL; c = c->next)
		for (size_t i = 0; i < c->n; i++) {
			size_t n = place_in(s, c->found[i].issuer);

			if (n < s->n)
				s->latches[at[n]++] = c->found[i].entry;
		}
	for (size_t n = 0; n < s->n; n++) {
		struct crl_entry *e = s->latches + at[n] - s->of[n].latches_n;

		s->of[n].latches = e;
		s->of[n].latches_n = crl_entries_sort(e, s->of[n].latches_n);
	}
}

static void sort_out(const struct chunk *chunks, struct snapshot *s)
{
	size_t *at = calloc(s->n + 1, sizeof *at), total;

	if (at == NULL) {
		s->error = ERR_NOMEM;
		return;
	}
	count_latches(chunks, s, at);
	total = at[s->n];
	if (total > 0) {
		s->latches = crl_entries_new(total, &s->mapped);
		if (s->latches != NULL)
			place_latches(chunks, s, at);
		else
			s->error = ERR_NOMEM;
	}
	free(at);
}

static void sort_work(void *arg)
{
	struct snapshots *all = arg;

	for (struct snapshot *s = all->taken; s != NULL; s = s->_next)
		if (s->error == ERR_OK)
			sort_out(all->chunks, s);
}

/* The end of a walk. */

static void reply(struct snapshot *s)
{
	if (s->error != ERR_OK)
		snapshot_drop(s);
	question_answer(&s->question);
}

static void clear(struct snapshots *all)
{
	for (struct chunk *c = all->chunks, *next; c != NULL; c = next) {
		next = c->next;
		free(c);
	}
	free(all->seats);
	all->chunks = NULL;
	all->seats = NULL;
}

/* Whoever gets the last reply may free all. */
static void sorted(void *arg)
{
	struct snapshots *all = arg;
	struct snapshot *s = all->taken, *next;

	assert(all->walking && s != NULL);
	clear(all);
	all->taken = NULL;
	all->walking = false;
	if (all->waiting != NULL)
		begin(all);
	for (; s != NULL; s = next) {
		next = s->_next;
		reply(s);
	}
}

static void sort_elsewhere(struct snapshots *all)
{
	for (struct snapshot *s = all->taken; s != NULL; s = s->_next)
		if (s->error == ERR_OK)
			s->error = all->error;
	executor_run(parts_of(all)->context.disk, sort_work, sorted, all);
}

static void walk_on(struct snapshots *all)
{
	const struct keeper_parts *d = parts_of(all);
	bool more = latches_walk_on(d->latches, &all->walk, SLICE);

	if (more && all->error == ERR_OK) {
		inbox_post(d->context.shared->keeper, &all->step);
		return;
	}
	if (more)
		latches_walk_end(d->latches, &all->walk);
	sort_elsewhere(all);
}

static void on_step(void *keeper, struct msg *m)
{
	struct snapshots *all =
	    (struct snapshots *)((char *)m - offsetof(struct snapshots, step));

	assert(keeper == all->keeper && all->walking);
	walk_on(all);
}

static void enter(struct snapshots *all, struct snapshot *s)
{
	s->_next = NULL;
	*all->waiting_end = s;
	all->waiting_end = &s->_next;
}

static void on_lists(struct crl_wait *w, enum err e)
{
	struct snapshot *s =
	    (struct snapshot *)((char *)w - offsetof(struct snapshot, lists));

	if (e == ERR_OK) {
		snapshot_take(s->all->keeper, &s->question.msg);
		return;
	}
	s->error = e;
	reply(s);
}

static bool waits_for_lists(struct snapshots *all, struct snapshot *s)
{
	const char *issuer = s->issuer[0] != '\0' ? s->issuer : NULL;

	s->lists.done = on_lists;
	return crl_feed_wait(parts_of(all)->crl_feed, issuer, &s->lists, -1);
}

/* Those that wait, but for whom a reload has brought lists that are not opened. */
static void take_waiting(struct snapshots *all)
{
	struct snapshot *s = all->waiting, *next, **end = &all->taken;

	all->waiting = NULL;
	all->waiting_end = &all->waiting;
	for (; s != NULL; s = next) {
		next = s->_next;
		if (waits_for_lists(all, s))
			continue;
		take_moment(s, parts_of(all));
		*end = s;
		end = &s->_next;
	}
	*end = NULL;
}

static void begin(struct snapshots *all)
{
	const struct keeper_parts *d = parts_of(all);

	assert(!all->walking && all->taken == NULL);
	all->walking = true;
	take_waiting(all);
	if (all->taken == NULL) {
		all->walking = false;
		return;
	}
	all->error = make_seats(all, shared_conf(d->context.shared)->issuers);
	if (all->error != ERR_OK) {
		sort_elsewhere(all);
		return;
	}
	all->walk = (struct latches_walk){.fn = on_latch, .arg = all};
	latches_walk_begin(d->latches, &all->walk);
	walk_on(all);
}

void snapshot_take(void *keeper, struct msg *m)
{
	struct snapshot *s = (struct snapshot *)m;
	struct snapshots *all = s->all;

	all->keeper = keeper;
	if (waits_for_lists(all, s))
		return;
	enter(all, s);
	if (!all->walking)
		begin(all);
}

struct snapshots *snapshots_new(void)
{
	struct snapshots *all = calloc(1, sizeof *all);

	if (all == NULL)
		return NULL;
	all->waiting_end = &all->waiting;
	all->step.run = on_step;
	return all;
}

void snapshots_free(struct snapshots *all)
{
	free(all);
}

uint64_t snapshots_looked_at(const struct snapshots *all)
{
	return all->looked_at;
}
