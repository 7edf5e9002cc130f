/* call_latches.c - walked through, sorted, written. */
#include "proxy/api/call_latches.h"

#include <assert.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#include "proxy/base/clock.h"

#define SLICE   2048 /* latches in one turn of the keeper: some 0.3 ms */
#define CHUNK_N 1024 /* 64 KB: what is allocated at once while walking */

/* Whose latches are wanted: open addressing over the CAs' ids, which are hashes already.
 */
struct listed_issuer {
	uint8_t id[32];
	uint32_t issuer; /* its number, and one; 0: empty */
};

struct latch_row {
	uint32_t issuer;
	int reason;
	int64_t revoked_at, set_at;
	struct serial serial;
};
struct latch_rows {
	struct latch_rows *next;
	size_t n;
	struct latch_row row[CHUNK_N];
};

struct latch_lists {
	unsigned making;
	struct shared_file *read[LATCH_LISTS_MAX]; /* references; NULL: a free place */
};

struct latch_listing {
	struct latch_lists *all;
	struct keeper *keeper;
	void (*done)(void *arg, enum err e, struct shared_file *file);
	void *arg;
	struct msg step; /* the next slice */
	struct latches_walk walk;
	struct listed_issuer *seats;
	size_t mask;
	char (*names)[64]; /* of the issuers: a reload may come between */
	struct latch_rows *chunks;
	size_t n;
	enum err error;
	struct shared_file *file;
};

/* Those there are. */

struct latch_lists *latch_lists_new(void)
{
	return calloc(1, sizeof(struct latch_lists));
}

void latch_lists_free(struct latch_lists *all)
{
	if (all == NULL)
		return;
	assert(all->making == 0);
	for (size_t i = 0; i < LATCH_LISTS_MAX; i++)
		shared_file_unref(all->read[i]);
	free(all);
}

/* Who reads has a reference, and so does the answer that is on its way. */
void latch_lists_sweep(struct latch_lists *all)
{
	for (size_t i = 0; i < LATCH_LISTS_MAX; i++)
		if (all->read[i] != NULL && atomic_load(&all->read[i]->refs) == 1) {
			shared_file_unref(all->read[i]);
			all->read[i] = NULL;
		}
}

static bool has_room(const struct latch_lists *all)
{
	unsigned n = all->making;

	for (size_t i = 0; i < LATCH_LISTS_MAX; i++)
		n += all->read[i] != NULL;
	return n < LATCH_LISTS_MAX;
}

static void count_reader(struct latch_lists *all, struct shared_file *f)
{
	size_t i = 0;

	while (all->read[i] != NULL)
		i++;
	assert(i < LATCH_LISTS_MAX);
	all->read[i] = shared_file_ref(f);
}

/* Whose latches. */

static struct listed_issuer *find_seat(
    const struct latch_listing *l, const uint8_t id[32])
{
	uint64_t h;
	size_t i;

	memcpy(&h, id, sizeof h);
	for (i = (size_t)h & l->mask; l->seats[i].issuer != 0; i = (i + 1) & l->mask)
		if (memcmp(l->seats[i].id, id, sizeof l->seats[i].id) == 0)
			break;
	return &l->seats[i];
}

static void take_seats(struct latch_listing *l, const struct issuer *i, size_t number)
{
	snprintf(l->names[number], sizeof l->names[number], "%s", i->name);
	for (size_t c = 0; c < i->ca_n; c++) {
		struct listed_issuer *seat = find_seat(l, i->ca[c].id);

		memcpy(seat->id, i->ca[c].id, sizeof seat->id);
		seat->issuer = (uint32_t)number + 1;
	}
}

static enum err make_seats(
    struct latch_listing *l, const struct issuers *is, const char *issuer)
{
	size_t cas = 0, seats = 2, n = issuers_count(is);

	for (size_t i = 0; i < n; i++)
		cas += issuers_at(is, i)->ca_n;
	while (seats < 2 * cas)
		seats *= 2;
	l->seats = calloc(seats, sizeof *l->seats);
	l->names = calloc(n + 1, sizeof *l->names);
	if (l->seats == NULL || l->names == NULL)
		return ERR_NOMEM;
	l->mask = seats - 1;
	for (size_t i = 0; i < n; i++)
		if (issuer[0] == '\0' || strcmp(issuer, issuers_at(is, i)->name) == 0)
			take_seats(l, issuers_at(is, i), i);
	return ERR_OK;
}

/* The walk. */

static struct latch_row *new_row(struct latch_listing *l)
{
	struct latch_rows *c = l->chunks;

	if (c == NULL || c->n == CHUNK_N) {
		c = malloc(sizeof *c);
		if (c == NULL)
			return NULL;
		c->n = 0;
		c->next = l->chunks;
		l->chunks = c;
	}
	l->n++;
	return &c->row[c->n++];
}

static void on_latch(void *arg, const struct latch *latch)
{
	struct latch_listing *l = arg;
	uint32_t issuer = find_seat(l, latch->ca_id)->issuer;
	struct latch_row *r;

	if (issuer == 0 || l->error != ERR_OK)
		return;
	r = new_row(l);
	if (r == NULL) {
		l->error = ERR_NOMEM;
		return;
	}
	*r = (struct latch_row){
	    issuer - 1, latch->reason, latch->revoked_at, latch->set_at, latch->serial};
}

/* Sorted and written: on the disk thread. */

static int serial_order(const struct serial *a, const struct serial *b)
{
	if (a->n != b->n)
		return a->n < b->n ? -1 : 1;
	return memcmp(a->octets, b->octets, a->n);
}

/* Of a certificate that two certificates of its CA have a latch for, the older first. */
static int row_order(const void *x, const void *y)
{
	const struct latch_row *a = x, *b = y;
	int order = serial_order(&a->serial, &b->serial);

	if (a->issuer != b->issuer)
		return a->issuer < b->issuer ? -1 : 1;
	return order != 0 ? order : (a->set_at > b->set_at) - (a->set_at < b->set_at);
}

static struct latch_row *sort(const struct latch_listing *l)
{
	struct latch_row *rows = malloc((l->n + 1) * sizeof *rows);
	size_t n = 0;

	for (const struct latch_rows *c = l->chunks; rows != NULL && c != NULL;
	     c = c->next) {
		memcpy(rows + n, c->row, c->n * sizeof *rows);
		n += c->n;
	}
	if (rows != NULL)
		qsort(rows, n, sizeof *rows, row_order);
	return rows;
}

static void put_time(FILE *f, const char *name, int64_t at)
{
	char text[CLOCK_TEXT_MAX];

	if (clock_text(at, text))
		fprintf(f, ",\"%s\":\"%s\"", name, text);
	else
		fprintf(f, ",\"%s\":null", name);
}

/* Names of issuers and reasons, digits and times: nothing that JSON would escape. */
static void put_row(FILE *f, const struct latch_listing *l, const struct latch_row *r)
{
	const char *reason = reason_name(r->reason);
	char serial[SERIAL_HEX_MAX];

	serial_to_hex(&r->serial, serial);
	fprintf(f, "{\"issuer\":\"%s\",\"serial\":\"%s\",\"status\":\"revoked\"",
	    l->names[r->issuer], serial);
	put_time(f, "revoked_at", r->revoked_at);
	if (reason != NULL)
		fprintf(f, ",\"reason\":\"%s\"", reason);
	else
		fputs(",\"reason\":null", f);
	put_time(f, "since", r->set_at);
	fputc('}', f);
}

static void put_rows(FILE *f, const struct latch_listing *l, const struct latch_row *rows)
{
	const struct latch_row *before = NULL;

	fputc('[', f);
	for (size_t i = 0; i < l->n; i++) {
		const struct latch_row *r = &rows[i];

		if (before != NULL && before->issuer == r->issuer &&
		    serial_equal(&before->serial, &r->serial))
			continue;
		fputs(before == NULL ? "\n" : ",\n", f);
		put_row(f, l, r);
		before = r;
	}
	fputs("\n]\n", f);
}

static enum err write_rows(struct latch_listing *l, const struct latch_row *rows)
{
	int fd = memfd_create("latches", MFD_CLOEXEC);
	FILE *f = fd >= 0 ? fdopen(dup(fd), "w") : NULL;
	long size = -1;
	bool failed;

	if (f == NULL) {
		if (fd >= 0)
			close(fd);
		return ERR_NOMEM;
	}
	put_rows(f, l, rows);
	failed = fflush(f) != 0 || (size = ftell(f)) < 0;
	if (fclose(f) != 0 || failed) {
		close(fd);
		return ERR_NOMEM;
	}
	l->file = shared_file_new(fd, (uint64_t)size);
	return l->file != NULL ? ERR_OK : ERR_NOMEM;
}

static void write_work(void *arg)
{
	struct latch_listing *l = arg;
	struct latch_row *rows = l->error == ERR_OK ? sort(l) : NULL;

	if (rows == NULL)
		l->error = ERR_NOMEM;
	else
		l->error = write_rows(l, rows);
	free(rows);
}

/* The end. */

static void list_free(struct latch_listing *l)
{
	for (struct latch_rows *c = l->chunks, *next; c != NULL; c = next) {
		next = c->next;
		free(c);
	}
	free(l->seats);
	free(l->names);
	free(l);
}

static void written(void *arg)
{
	struct latch_listing *l = arg;

	l->all->making--;
	if (l->file != NULL)
		count_reader(l->all, l->file);
	l->done(l->arg, l->error, l->file);
	list_free(l);
}

static void walk_on(struct latch_listing *l)
{
	const struct keeper_parts *d = keeper_parts(l->keeper);

	if (latches_walk_on(d->latches, &l->walk, SLICE))
		inbox_post(d->inbox, &l->step);
	else
		executor_run(d->context.disk, write_work, written, l);
}

static void on_step(void *keeper, struct msg *m)
{
	(void)keeper;
	walk_on(
	    (struct latch_listing *)((char *)m - offsetof(struct latch_listing, step)));
}

enum err latch_list_make(struct latch_lists *all, struct keeper *k, const char *issuer,
    void (*done)(void *arg, enum err e, struct shared_file *file), void *arg)
{
	struct latch_listing *l;

	if (!has_room(all))
		return ERR_UP_BUSY;
	l = calloc(1, sizeof *l);
	if (l == NULL)
		return ERR_NOMEM;
	*l = (struct latch_listing){.all = all, .keeper = k, .done = done, .arg = arg};
	l->step.run = on_step;
	if (make_seats(l, keeper_conf(k)->issuers, issuer) != ERR_OK) {
		list_free(l);
		return ERR_NOMEM;
	}
	all->making++;
	l->walk = (struct latches_walk){.fn = on_latch, .arg = l};
	latches_walk_begin(keeper_parts(k)->latches, &l->walk);
	inbox_post(keeper_parts(k)->inbox, &l->step);
	return ERR_OK;
}
