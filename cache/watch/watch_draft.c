/* watch_draft.c - entries to be sorted in memory, rows behind each other in a spool.
 *
 * An entry is a list's (crl_entry.h), for the sake of its sort: its date is the place of
 * the row in the spool, negative, so that of two for one serial the later one stays; what
 * is only kept has a positive one and stays where nothing else was said.  Its shard is
 * the number of its CA. */
#include "cache/watch/watch_draft.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>
#include <xxhash.h>

#include "cache/base/issuer.h"
#include "cache/watch/watch_record.h"

#define ROOM_FIRST  1024 /* entries */
#define ROW_MAX     (64 + 3 * (size_t)WATCH_RUN_MAX)
#define SPOOL_BYTES ((size_t)256 * 1024) /* gathered before they are written */
#define LENGTH_N    4                    /* before each row */
#define SLOTS_FIRST 64

struct watch_draft {
	char *dir;
	struct crl_entry *entries;
	size_t n, room, mapped;
	struct watch_draft_ca *ca;
	size_t cas, cas_room;
	size_t last;     /* the CA of the last certificate: mostly the next one's too */
	uint32_t *slot;  /* by the hash of who it is: number of a CA, plus 1 */
	size_t slots;    /* a power of two */
	uint32_t *id;    /* once it is sorted, by the entry's shard */
	uint8_t *buffer; /* SPOOL_BYTES + LENGTH_N + ROW_MAX */
	size_t buffered, spooled;
	int fd;               /* -1: all of it is in the buffer */
	const uint8_t *spool; /* all rows, once it is sorted */
};

struct watch_draft *watch_draft_new(const char *dir)
{
	struct watch_draft *d = calloc(1, sizeof *d);

	if (d == NULL)
		return NULL;
	d->fd = -1;
	d->room = ROOM_FIRST;
	d->slots = SLOTS_FIRST;
	d->dir = strdup(dir);
	d->entries = crl_entries_new(d->room, &d->mapped);
	d->slot = calloc(d->slots, sizeof *d->slot);
	d->buffer = malloc(SPOOL_BYTES + LENGTH_N + ROW_MAX);
	if (d->dir != NULL && d->entries != NULL && d->slot != NULL && d->buffer != NULL)
		return d;
	watch_draft_free(d);
	return NULL;
}

static void ca_free(struct watch_draft_ca *ca)
{
	free((char *)(uintptr_t)ca->issuer);
	free((char *)(uintptr_t)ca->dn);
}

void watch_draft_free(struct watch_draft *d)
{
	if (d == NULL)
		return;
	if (d->spool != NULL && d->spool != d->buffer)
		munmap((uint8_t *)(uintptr_t)d->spool, d->spooled);
	if (d->fd >= 0)
		close(d->fd);
	for (size_t i = 0; i < d->cas; i++) {
		ca_free(&d->ca[i]);
	}
	crl_entries_free(d->entries, d->mapped);
	free(d->ca);
	free(d->slot);
	free(d->id);
	free(d->buffer);
	free(d->dir);
	free(d);
}

/* The spool. */

static enum err spool_failed(void)
{
	return errno == ENOSPC || errno == EDQUOT || errno == EFBIG ? ERR_STORE_FULL
								    : ERR_STORE;
}

/* A file without a name, where the file system has such; else its name goes at once. */
static int spool_open(const char *dir)
{
	char path[4352];
	int fd = open(dir, O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);

	if (fd >= 0 || (errno != EOPNOTSUPP && errno != EISDIR))
		return fd;
	if ((size_t)snprintf(path, sizeof path, "%s/.draft-XXXXXX", dir) >= sizeof path) {
		errno = ENAMETOOLONG;
		return -1;
	}
	fd = mkostemp(path, O_CLOEXEC);
	if (fd >= 0)
		unlink(path);
	return fd;
}

static enum err spool_flush(struct watch_draft *d)
{
	if (d->fd < 0 && (d->fd = spool_open(d->dir)) < 0)
		return spool_failed();
	for (size_t done = 0; done < d->buffered;) {
		ssize_t n = write(d->fd, d->buffer + done, d->buffered - done);

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return spool_failed();
		done += (size_t)n;
	}
	d->buffered = 0;
	return ERR_OK;
}

/* A row of n bytes stands in the buffer, behind its length. */
static enum err spool_push(struct watch_draft *d, size_t n)
{
	put_be(d->buffer + d->buffered, n, LENGTH_N);
	d->buffered += LENGTH_N + n;
	d->spooled += LENGTH_N + n;
	return d->buffered > SPOOL_BYTES ? spool_flush(d) : ERR_OK;
}

static enum err spool_map(struct watch_draft *d)
{
	void *p;
	enum err e;

	d->spool = d->buffer;
	if (d->fd < 0)
		return ERR_OK;
	d->spool = NULL;
	if ((e = spool_flush(d)) != ERR_OK)
		return e;
	p = mmap(NULL, d->spooled, PROT_READ, MAP_SHARED, d->fd, 0);
	if (p == MAP_FAILED)
		return ERR_NOMEM;
	d->spool = p;
	return ERR_OK;
}

/* Whose certificates they are. */

/* What a certificate says of its CA, borrowed.  The strongest of the three tells it
 * (watch_cas_find()). */
struct who {
	const char *issuer;
	struct bytes aki, dn;
};

static uint64_t who_hash(const struct who *w)
{
	if (w->issuer[0] != '\0')
		return XXH3_64bits_withSeed(w->issuer, strlen(w->issuer), 1);
	return w->aki.n > 0 ? XXH3_64bits_withSeed(w->aki.p, w->aki.n, 2)
			    : XXH3_64bits_withSeed(w->dn.p, w->dn.n, 3);
}

static bool is_who(const struct watch_draft_ca *ca, const struct who *w)
{
	if (w->issuer[0] != '\0' || ca->issuer[0] != '\0')
		return strcmp(ca->issuer, w->issuer) == 0;
	if (w->aki.n > 0 || ca->aki_n > 0)
		return bytes_equal(bytes_of(ca->aki, ca->aki_n), w->aki);
	return bytes_equal(bytes_of(ca->dn, strlen(ca->dn)), w->dn);
}

static struct who who_of(const struct watch_draft_ca *ca)
{
	return (struct who){
	    ca->issuer, bytes_of(ca->aki, ca->aki_n), bytes_of(ca->dn, strlen(ca->dn))};
}

/* The slot that has it, or the empty one where it belongs. */
static uint32_t *slot_of(const struct watch_draft *d, const struct who *w)
{
	size_t at = who_hash(w) & (d->slots - 1);

	while (d->slot[at] != 0 && !is_who(&d->ca[d->slot[at] - 1], w))
		at = (at + 1) & (d->slots - 1);
	return &d->slot[at];
}

static bool slots_grow(struct watch_draft *d)
{
	uint32_t *more = calloc(2 * d->slots, sizeof *more);

	if (more == NULL)
		return false;
	free(d->slot);
	d->slot = more;
	d->slots *= 2;
	for (size_t i = 0; i < d->cas; i++) {
		struct who w = who_of(&d->ca[i]);

		*slot_of(d, &w) = (uint32_t)i + 1;
	}
	return true;
}

static bool cas_grow(struct watch_draft *d)
{
	size_t room = d->cas_room == 0 ? 4 : 2 * d->cas_room;
	void *p = realloc(d->ca, room * sizeof d->ca[0]);

	if (p == NULL)
		return false;
	d->ca = p;
	d->cas_room = room;
	return true;
}

static enum err ca_new(struct watch_draft *d, const struct who *w)
{
	struct watch_draft_ca *ca;

	if (d->cas == WATCH_DRAFT_CAS_MAX)
		return ERR_REQ_ISSUER;
	if ((d->cas == d->cas_room && !cas_grow(d)) ||
	    (2 * (d->cas + 1) > d->slots && !slots_grow(d)))
		return ERR_NOMEM;
	ca = &d->ca[d->cas];
	*ca = (struct watch_draft_ca){.issuer = strdup(w->issuer),
	    .dn = strndup(w->dn.n > 0 ? (const char *)w->dn.p : "", w->dn.n),
	    .aki_n = (uint8_t)w->aki.n};
	if (ca->issuer == NULL || ca->dn == NULL) {
		ca_free(ca);
		return ERR_NOMEM;
	}
	if (w->aki.n > 0)
		memcpy(ca->aki, w->aki.p, w->aki.n);
	*slot_of(d, w) = (uint32_t)++d->cas;
	d->last = d->cas - 1;
	return ERR_OK;
}

/* What an earlier certificate did not say. */
static enum err ca_learn(struct watch_draft_ca *ca, const struct who *w)
{
	if (ca->issuer[0] != '\0' && ca->aki_n == 0 && w->aki.n > 0) {
		memcpy(ca->aki, w->aki.p, w->aki.n);
		ca->aki_n = (uint8_t)w->aki.n;
	}
	if (ca->dn[0] == '\0' && w->dn.n > 0) {
		char *dn = strndup((const char *)w->dn.p, w->dn.n);

		if (dn == NULL)
			return ERR_NOMEM;
		free((char *)(uintptr_t)ca->dn);
		ca->dn = dn;
	}
	return ERR_OK;
}

/* Makes it d->last. */
static enum err ca_find(struct watch_draft *d, const struct who *w)
{
	if (w->issuer[0] == '\0' && w->aki.n == 0 && w->dn.n == 0)
		return ERR_REQ_ISSUER;
	if (d->cas == 0 || !is_who(&d->ca[d->last], w)) {
		uint32_t *slot = slot_of(d, w);

		if (*slot == 0)
			return ca_new(d, w);
		d->last = *slot - 1;
	}
	return ca_learn(&d->ca[d->last], w);
}

/* Adding. */

static enum err entry_add(struct watch_draft *d, const struct serial *s, int64_t place)
{
	struct crl_entry *e;

	if (d->n == d->room) {
		if (d->n > UINT32_MAX / 2 ||
		    !crl_entries_resize(&d->entries, 2 * d->room, &d->mapped))
			return ERR_NOMEM;
		d->room *= 2;
	}
	e = &d->entries[d->n++];
	crl_entry_set_serial(e, s);
	crl_entry_set_at(e, place);
	e->reason = CRL_NO_REASON;
	e->shard[0] = (uint8_t)(d->last >> 8);
	e->shard[1] = (uint8_t)d->last;
	return ERR_OK;
}

static struct bytes put_texts(uint8_t *p, const struct bytes *texts, size_t texts_n)
{
	size_t n = 0;

	for (size_t i = 0; i < texts_n; i++)
		watch_run_add(p, &n, (const char *)texts[i].p, texts[i].n);
	return bytes_of(p, n);
}

/* The row behind its length, in the buffer; its texts are copied once. */
static size_t put_row(struct watch_draft *d, const struct watch_cert *c)
{
	uint8_t *out = d->buffer + d->buffered + LENGTH_N, *p;
	struct watch_record r = {.not_before = c->not_before,
	    .not_after = c->not_after,
	    .verified = c->verified,
	    .names_more = c->names_more};

	p = out + watch_record_runs_at(&r);
	r.names = put_texts(p, c->names, c->names_n);
	r.labels = put_texts(p += r.names.n, c->labels, c->labels_n);
	r.crl = put_texts(p + r.labels.n, c->crl, c->crl_n);
	return watch_record_encode(&r, out);
}

enum err watch_draft_add(struct watch_draft *d, const struct watch_cert *c)
{
	const char *name = c->configured != NULL ? c->configured->name : c->issuer;
	struct who w = {name != NULL ? name : "", c->aki, c->issuer_name};
	enum err e = ca_find(d, &w);

	assert(d->spool == NULL);
	if (e == ERR_OK)
		e = entry_add(d, &c->serial, -1 - (int64_t)d->spooled);
	return e == ERR_OK ? spool_push(d, put_row(d, c)) : e;
}

enum err watch_draft_keep(struct watch_draft *d, const struct watch_draft_ca *ca,
    const struct serial *s, struct bytes row)
{
	struct who w = who_of(ca);
	enum err e = ca_find(d, &w);

	assert(d->spool == NULL && row.n <= ROW_MAX);
	if (e == ERR_OK)
		e = entry_add(d, s, (int64_t)d->spooled);
	if (e != ERR_OK)
		return e;
	memcpy(d->buffer + d->buffered + LENGTH_N, row.p, row.n);
	return spool_push(d, row.n);
}

size_t watch_draft_count(const struct watch_draft *d)
{
	return d->n;
}

size_t watch_draft_size(const struct watch_draft *d)
{
	return d->spooled;
}

size_t watch_draft_cas(const struct watch_draft *d)
{
	return d->cas;
}

const struct watch_draft_ca *watch_draft_ca(const struct watch_draft *d, size_t i)
{
	return &d->ca[i];
}

/* Sorting. */

static int id_cmp(const void *a, const void *b)
{
	uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;

	return (x > y) - (x < y);
}

/* d->id: the ids in order, each once; returns how many. */
static size_t ids_make(struct watch_draft *d, const uint32_t *id)
{
	size_t n = 0;

	d->id = malloc((d->cas + 1) * sizeof d->id[0]);
	if (d->id == NULL)
		return 0;
	memcpy(d->id, id, d->cas * sizeof id[0]);
	qsort(d->id, d->cas, sizeof d->id[0], id_cmp);
	for (size_t i = 0; i < d->cas; i++)
		if (n == 0 || d->id[i] != d->id[n - 1])
			d->id[n++] = d->id[i];
	return n;
}

/* Entries by their CAs: start[i] is where those of id number i begin. */
static bool deal(struct watch_draft *d, const uint32_t *id, size_t ids, size_t *start)
{
	size_t mapped;
	struct crl_entry *to = crl_entries_new(d->n, &mapped);
	uint16_t *rank = calloc(d->cas, sizeof *rank);

	if (to == NULL || rank == NULL) {
		crl_entries_free(to, to != NULL ? mapped : 0);
		free(rank);
		return false;
	}
	for (size_t i = 0; i < d->cas; i++)
		rank[i] = (uint16_t)((uint32_t *)bsearch(
					 &id[i], d->id, ids, sizeof d->id[0], id_cmp) -
				     d->id);
	for (size_t i = 0; i < d->n; i++)
		start[rank[crl_entry_shard(&d->entries[i])] + 1]++;
	for (size_t i = 1; i <= ids; i++)
		start[i] += start[i - 1];
	for (size_t i = 0; i < d->n; i++) {
		unsigned r = rank[crl_entry_shard(&d->entries[i])];
		struct crl_entry *e = &to[start[r]++];

		*e = d->entries[i];
		e->shard[0] = (uint8_t)(r >> 8);
		e->shard[1] = (uint8_t)r;
	}
	memmove(start + 1, start, ids * sizeof *start);
	start[0] = 0;
	crl_entries_free(d->entries, d->mapped);
	d->entries = to;
	d->mapped = mapped;
	d->room = d->n;
	free(rank);
	return true;
}

enum err watch_draft_sort(struct watch_draft *d, const uint32_t *id)
{
	size_t ids = ids_make(d, id), kept = 0;
	size_t *start = calloc(ids + 2, sizeof *start);
	enum err e = spool_map(d);

	if (d->id == NULL || start == NULL || (d->cas > 1 && !deal(d, id, ids, start)))
		e = ERR_NOMEM;
	else if (d->cas == 1)
		start[1] = d->n;
	for (size_t i = 0; e == ERR_OK && i < ids; i++) {
		size_t n =
		    crl_entries_sort(d->entries + start[i], start[i + 1] - start[i]);

		if (kept != start[i])
			memmove(d->entries + kept, d->entries + start[i],
			    n * sizeof d->entries[0]);
		kept += n;
	}
	if (e == ERR_OK)
		d->n = kept;
	free(start);
	return e;
}

uint32_t watch_draft_id(const struct watch_draft *d, size_t i)
{
	return d->id[crl_entry_shard(&d->entries[i])];
}

const struct crl_entry *watch_draft_entry(const struct watch_draft *d, size_t i)
{
	return &d->entries[i];
}

struct bytes watch_draft_row(const struct watch_draft *d, size_t i)
{
	int64_t place = crl_entry_at(&d->entries[i]);
	const uint8_t *p = d->spool + (place < 0 ? -1 - place : place);

	return bytes_of(p + LENGTH_N, (size_t)get_be(p, LENGTH_N));
}
