/* crl_job.c - everything here may take as long as a list is large, and blocks. */
#include "proxy/lists/crl_job.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <unistd.h>

#include "cache/crl/crl_read.h"
#include "cache/watch/watch_pick.h"
#include "proxy/base/clock.h"
#include "proxy/lists/crl_pem.h"

#define COMPARE_BYTES 65536
/* Room for the path of a file URL. */
#define LOCAL_MAX PATH_MAX

static struct crl_want want_of(const struct crl_job *j)
{
	return (struct crl_want){.issuer = j->issuer,
	    .scope = j->scope,
	    .names = j->urls,
	    .names_n = j->strict ? 0 : j->urls_n,
	    .now = j->now,
	    .skew_s = j->skew_s,
	    .max_size = j->max_size,
	    .copy_fd = -1,
	    .stop = j->stop};
}

/* One of our own files: verified again, with today's certificates. */
static enum err read_own(struct crl_job *j, int fd, struct crl_list **out)
{
	struct crl_want w = want_of(j);

	w.own = true;
	return crl_read(out, fd, &w, j->why, sizeof j->why);
}

static const struct crl_shard *held(const struct crl_job *j)
{
	if (j->old == NULL || j->shard < 0 || !j->old->shard[j->shard].in_force)
		return NULL;
	return &j->old->shard[j->shard];
}

/* where: a path or a URL, cut before the cause is. */
static enum err failed(struct crl_job *j, enum err e, const char *where)
{
	snprintf(j->why, sizeof j->why, "%.400s: %s", where, crl_state_why(errno));
	return e;
}

/* One of the list's own files. */
static enum err failed_own(struct crl_job *j, enum err e, const char *name)
{
	char path[PATH_MAX];

	snprintf(path, sizeof path, "%s/%s", j->dir, name);
	return failed(j, e, path);
}

static struct crl_diff_rules rules_of(const struct crl_job *j)
{
	bool several = j->old != NULL && j->old->shards_n > 1 && j->shard >= 0;

	return (struct crl_diff_rules){
	    .covered = j->old != NULL && crl_set_absence(j->old, j->absent, j->now,
					     NULL) == CRL_ABSENT_GOOD,
	    .others = several ? j->old : NULL,
	    .shard = several ? (unsigned)j->shard : 0,
	    .others_wait = j->kind == CRL_JOB_DIFF ||
			   (j->kind == CRL_JOB_READ && j->read.others_untold)};
}

/* The entries of the list in force: borrowed, or a copy where mapped is not 0. */
static void entries_free(const struct crl_entry *e, size_t mapped)
{
	if (mapped > 0)
		crl_entries_free((struct crl_entry *)(uintptr_t)e, mapped);
}

/* A list that comes into force. */

static enum err compare_with_held(struct crl_job *j, const struct crl_list *l)
{
	int64_t before = clock_mono_us();
	struct crl_diff_rules rules = rules_of(j);
	const struct crl_entry *e;
	size_t n, mapped;
	enum err error =
	    crl_set_shard_entries(j->old, (unsigned)j->shard, &e, &n, &mapped);

	if (error != ERR_OK)
		return error;
	error = crl_diff_make(&j->diff_made, e, n, l->entries, l->n, &rules);
	entries_free(e, mapped);
	j->diff_us = clock_mono_us() - before;
	memcpy(j->from, held(j)->facts.sha256, sizeof j->from);
	return error;
}

/* What it revokes and those in whose place it came do not. */
static enum err compare_with_none(struct crl_job *j, const struct crl_list *l)
{
	struct crl_diff_rules rules = rules_of(j);

	return crl_diff_make(&j->diff_made, NULL, 0, l->entries, l->n, &rules);
}

/* fd is handed over. */
static enum err merge(struct crl_job *j, struct crl_list *l, int fd)
{
	struct crl_file *file;
	enum err e = ERR_OK;

	assert(j->set == NULL && j->shard >= 0 && (size_t)j->shard < j->shards_n);
	file = crl_file_new(fd, &l->facts, j->scope);
	if (file == NULL)
		return ERR_NOMEM;
	file->before = j->hints.before;
	if (j->compare && held(j) != NULL)
		e = compare_with_held(j, l);
	else if (j->kind == CRL_JOB_READ && j->read.succeeds)
		e = compare_with_none(j, l);
	if (e == ERR_OK)
		e = crl_set_replace(&j->set, j->old, j->shards_n, (size_t)j->shard, l,
		    file, j->generation);
	if (e != ERR_OK)
		crl_file_unref(file);
	return e;
}

/* READ. */

/* The path of file:///path, with its escapes decoded.  NULL: it is none. */
static const char *local_path(const char *url, char path[LOCAL_MAX])
{
	const char *p = strncmp(url, "file://", 7) == 0 ? strchr(url + 7, '/') : NULL;
	size_t n = 0;

	if (p == NULL)
		return NULL;
	for (; *p != '\0' && n < LOCAL_MAX - 1; p++) {
		int c = (unsigned char)*p;

		if (c == '%' && hex_value(p[1]) >= 0 && hex_value(p[2]) >= 0) {
			c = hex_value(p[1]) << 4 | hex_value(p[2]);
			p += 2;
		}
		if (c == 0)
			return NULL;
		path[n++] = (char)c;
	}
	path[n] = '\0';
	return *p == '\0' ? path : NULL;
}

static int64_t ms_of(struct timespec t)
{
	return (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

static struct crl_stamp stamp_of(const struct stat *s)
{
	int64_t settled = clock_now_ms() - STAMP_SETTLED_MS;

	return (struct crl_stamp){
	    .known = ms_of(s->st_mtim) <= settled && ms_of(s->st_ctim) <= settled,
	    .device = s->st_dev,
	    .inode = s->st_ino,
	    .size = s->st_size,
	    .mtime = s->st_mtim,
	    .ctime = s->st_ctim};
}

static bool same_time(struct timespec a, struct timespec b)
{
	return a.tv_sec == b.tv_sec && a.tv_nsec == b.tv_nsec;
}

static bool same_file(const struct crl_stamp *a, const struct crl_stamp *b)
{
	return a->known && b->known && a->device == b->device && a->inode == b->inode &&
	       a->size == b->size && same_time(a->mtime, b->mtime) &&
	       same_time(a->ctime, b->ctime);
}

/* Is fd the file that was read last?  Its stamp, taken before it is read: what changes it
 * meanwhile shows the next time. */
static enum err look_at(struct crl_job *j, int fd)
{
	struct crl_stamp stamp;
	struct stat s;

	if (fstat(fd, &s) != 0)
		return failed(j, ERR_STORE, j->url);
	if (!S_ISREG(s.st_mode)) {
		snprintf(j->why, sizeof j->why, "%.400s: not a regular file", j->url);
		return ERR_STORE;
	}
	stamp = stamp_of(&s);
	if (!j->read.anew && same_file(&stamp, &j->read.stamp) &&
	    (j->read.stamp.refused ? j->now < j->read.stamp.until : held(j) != NULL)) {
		j->read.found =
		    j->read.stamp.refused ? CRL_READ_REFUSED : CRL_READ_UNCHANGED;
		return ERR_OK;
	}
	j->read.stamp = stamp;
	return ERR_OK;
}

static enum err read_from_start(
    struct crl_job *j, int fd, struct crl_want *w, struct crl_list **out)
{
	if (lseek(fd, 0, SEEK_SET) != 0)
		return failed(j, ERR_STORE, j->read.path);
	return crl_read(out, fd, w, j->why, sizeof j->why);
}

/* A file of PEM may have lists of several CAs, as openssl's -CRLfile has them, or of
 * several scopes: the one that the issuer has signed for this scope is taken out.  Where
 * there are two of those, or none, none is guessed. */
struct bundle {
	size_t n;              /* lists so far */
	size_t ours, refused;  /* signed by the issuer; in its name, and not in order */
	enum err error;        /* of the last of these, or of the first list of all, */
	char why[512];         /* and why */
	char first[512];       /* why the first list is none */
	struct crl_list *list; /* owned: ours, whose DER is the job's file */
	int scratch;           /* for the lists behind it; -1: not made yet */
};

/* Is it a list that others want, and nothing to be told of here? */
static bool is_others(enum err e)
{
	return e == ERR_CRL_ISSUER || e == ERR_CRL_SCOPE || e == ERR_CRL_DELTA;
}

static bool has_stopped(enum err e)
{
	return e == ERR_NOMEM || e == ERR_STORE || e == ERR_CANCELLED;
}

/* The next list has come out like this; l is handed over. */
static void note_outcome(
    struct crl_job *j, struct bundle *b, enum err e, struct crl_list *l)
{
	bool ours = e == ERR_OK || e == ERR_CRL_ROLLBACK || e == ERR_CRL_FUTURE;
	bool again = l != NULL && b->list != NULL &&
		     memcmp(l->facts.sha256, b->list->facts.sha256, 32) == 0;
	bool others = is_others(e) || again;

	if (b->n == 0)
		memcpy(b->first, j->why, sizeof b->first);
	if (b->n++ == 0 || !others) {
		b->ours += ours;
		b->refused += !ours && !others;
		if (ours || b->ours == 0) {
			b->error = e;
			memcpy(b->why, j->why, sizeof b->why);
		}
	}
	if (b->list != NULL)
		crl_list_free(l);
	else
		b->list = l;
}

/* Into the job's file until ours is in it, then into one without a name. */
static int file_for_next(struct crl_job *j, struct bundle *b)
{
	char path[PATH_MAX];
	int fd = j->read.fd;

	if (b->list != NULL) {
		if (b->scratch < 0) {
			b->scratch = crl_state_new(j->dir, path, sizeof path);
			if (b->scratch >= 0)
				unlink(path);
		}
		fd = b->scratch;
	}
	return fd >= 0 && ftruncate(fd, 0) == 0 && lseek(fd, 0, SEEK_SET) == 0 ? fd : -1;
}

static enum err read_next(
    struct crl_job *j, struct bundle *b, struct crl_pem *pem, struct crl_want *w)
{
	struct crl_list *l = NULL;
	int fd = file_for_next(j, b);
	enum err e = fd >= 0 ? crl_pem_next(pem, fd) : ERR_STORE;

	if (e == ERR_STORE)
		return failed(j, e, j->read.path);
	if (e == ERR_CRL_DER)
		snprintf(j->why, sizeof j->why,
		    "an \"X509 CRL\" block without end, or that is no base64");
	if (e != ERR_OK)
		return e;
	e = read_from_start(j, fd, w, &l);
	if (has_stopped(e))
		return e;
	note_outcome(j, b, e, l);
	return ERR_OK;
}

static enum err choose(struct crl_job *j, struct bundle *b, struct crl_list **out)
{
	if (b->n == 0)
		return ERR_NOT_FOUND;
	if (b->ours > 1) {
		snprintf(j->why, sizeof j->why,
		    "%zu of the %zu lists in it are this issuer's, of one scope: which "
		    "one is meant cannot be told; publish it alone",
		    b->ours, b->n);
		return ERR_CRL_BUNDLE;
	}
	if (b->ours == 0 && b->refused != 1 && b->n > 1) {
		snprintf(j->why, sizeof j->why,
		    "none of the %zu lists in it can be taken as this issuer's; the "
		    "first: %.300s",
		    b->n, b->first);
		return ERR_CRL_BUNDLE;
	}
	memcpy(j->why, b->why, sizeof j->why);
	*out = b->list;
	b->list = NULL;
	return b->error;
}

/* ERR_NOT_FOUND: there is no list in it. */
static enum err read_bundle(
    struct crl_job *j, int from, struct crl_want *w, struct crl_list **out)
{
	struct crl_pem *pem = crl_pem_open(from, j->max_size, j->stop);
	struct bundle b = {.scratch = -1};
	enum err e = pem != NULL ? ERR_OK : ERR_NOMEM;

	while (e == ERR_OK)
		e = read_next(j, &b, pem, w);
	crl_pem_close(pem);
	if (e == ERR_NOT_FOUND)
		e = choose(j, &b, out);
	crl_list_free(b.list);
	if (b.scratch >= 0)
		close(b.scratch);
	return e;
}

/* from is a whole file: the list in it goes to a file of the job's as DER. */
static enum err read_copy(
    struct crl_job *j, int from, struct crl_want *w, struct crl_list **out)
{
	enum err e;

	j->read.fd = crl_state_new(j->dir, j->read.path, sizeof j->read.path);
	if (j->read.fd < 0) {
		j->read.path[0] = '\0';
		return failed(j, ERR_STORE, j->dir);
	}
	if (!crl_pem_is(from)) {
		w->copy_fd = j->read.fd;
		return crl_read(out, from, w, j->why, sizeof j->why);
	}
	e = read_bundle(j, from, w, out);
	if (e != ERR_NOT_FOUND)
		return e;
	w->copy_fd = j->read.fd; /* a file that changes meanwhile may be one now */
	return read_from_start(j, from, w, out); /* for the words for what it is */
}

/* What came over HTTP is the job's file; PEM is not what becomes current. */
static enum err read_fetched(struct crl_job *j, struct crl_want *w, struct crl_list **out)
{
	char path[PATH_MAX];
	int from = j->read.fd;
	enum err e;

	if (!crl_pem_is(from))
		return read_from_start(j, from, w, out);
	memcpy(path, j->read.path, sizeof path);
	e = read_copy(j, from, w, out);
	close(from);
	unlink(path);
	return e;
}

/* Is the file byte for byte the list in force, so that there is nothing to copy, to read
 * and to verify?  At a start this is so for nearly all. */
static bool is_held(struct crl_job *j, int fd)
{
	const struct crl_shard *h = held(j);
	uint8_t piece[COMPARE_BYTES], other[COMPARE_BYTES];
	uint64_t at = 0;
	ssize_t n = 1;

	if (h == NULL || h->file == NULL ||
	    (uint64_t)j->read.stamp.size != h->file->shared->size)
		return false;
	for (; at < h->file->shared->size && !atomic_load(j->stop); at += (uint64_t)n) {
		n = pread(fd, piece, sizeof piece, (off_t)at);
		if (n <= 0 ||
		    pread(h->file->shared->fd, other, (size_t)n, (off_t)at) != n ||
		    memcmp(piece, other, (size_t)n) != 0)
			return false;
	}
	return at == h->file->shared->size;
}

static enum err read_local(struct crl_job *j, struct crl_want *w, struct crl_list **out)
{
	char path[LOCAL_MAX];
	enum err e;
	int fd;

	if (local_path(j->url, path) == NULL) {
		snprintf(j->why, sizeof j->why, "not file:///path");
		return ERR_STORE;
	}
	fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK); /* a FIFO must not block */
	if (fd < 0)
		return failed(j, errno == ENOENT ? ERR_NOT_FOUND : ERR_STORE, j->url);
	e = look_at(j, fd);
	if (e == ERR_OK && j->read.found == CRL_READ_NEW && is_held(j, fd))
		j->read.found = CRL_READ_UNCHANGED;
	if (e == ERR_OK && j->read.found == CRL_READ_NEW)
		e = read_copy(j, fd, w, out);
	close(fd);
	return e;
}

/* Will the same bytes be refused tomorrow too? */
static bool is_final(enum err e)
{
	return e >= ERR_CRL_LARGE && e <= ERR_CRL_ROLLBACK && e != ERR_CRL_FUTURE;
}

/* What the list that came has before it. */
static int64_t before_of(const struct crl_job *j)
{
	const struct crl_shard *h = held(j);
	int fd;

	if (j->read.found == CRL_READ_TWIN)
		return CRL_BEFORE_UNKNOWN;
	if (j->read.found == CRL_READ_UNCHANGED)
		return h->file != NULL ? h->file->before : CRL_BEFORE_UNKNOWN;
	if (h != NULL)
		return h->file != NULL && h->file->before > h->facts.this_update
			   ? h->file->before
			   : h->facts.this_update;
	fd = crl_state_open(j->dir, CRL_CURRENT); /* one that was, and is refused now? */
	if (fd < 0)
		return errno == ENOENT ? CRL_BEFORE_NONE : CRL_BEFORE_UNKNOWN;
	close(fd);
	return CRL_BEFORE_UNKNOWN;
}

/* RFC 5280 section 5.2.5: without a distribution point it is about all that the CA
 * issues, and so is the other: what differs is where it is published. */
static int find_twin(const struct crl_job *j, const struct crl_facts *f)
{
	if (j->old == NULL || f->has_point || j->read.peer == NULL ||
	    !j->read.peer[j->shard])
		return -1;
	for (size_t n = 0; n < j->old->shards_n; n++)
		if ((int)n != j->shard && j->read.peer[n] && j->old->shard[n].in_force &&
		    memcmp(j->old->shard[n].facts.sha256, f->sha256, 32) == 0)
			return (int)n;
	return -1;
}

static void take_list(struct crl_job *j, struct crl_list *l)
{
	const struct crl_shard *h = held(j);
	int fd;

	j->facts = l->facts;
	memcpy(j->hints.sha256, j->facts.sha256, sizeof j->hints.sha256);
	if (h != NULL && memcmp(h->facts.sha256, l->facts.sha256, 32) == 0)
		j->read.found = CRL_READ_UNCHANGED;
	else
		j->read.twin = find_twin(j, &j->facts);
	if (j->read.twin >= 0 && j->read.twin < j->shard)
		j->read.found = CRL_READ_TWIN;
	j->hints.before = before_of(j);
	if (j->read.found != CRL_READ_NEW)
		return;
	fd = open(j->read.path, O_RDONLY | O_CLOEXEC);
	j->error = fd >= 0 ? merge(j, l, fd) : failed(j, ERR_STORE, j->read.path);
}

/* A list that is refused for the one in force may be taken when that has ended. */
static int64_t refused_until(const struct crl_job *j)
{
	return j->error == ERR_CRL_ROLLBACK && held(j)->facts.next_update > j->now
		   ? held(j)->facts.next_update
		   : INT64_MAX;
}

static void work_read(struct crl_job *j)
{
	struct crl_want w = want_of(j);
	struct crl_list *l = NULL;

	assert(j->read.found == CRL_READ_NEW && j->read.local == (j->read.fd < 0));
	j->read.twin = -1;
	w.held = held(j) != NULL ? &held(j)->facts : NULL;
	w.accept_number = j->read.accept_number;
	w.older = &j->facts;
	j->error = j->read.local ? read_local(j, &w, &l) : read_fetched(j, &w, &l);
	if (j->error == ERR_OK && l != NULL)
		take_list(j, l);
	crl_list_free(l);
	if (j->read.found != CRL_READ_NEW)
		return;
	j->read.number_back = j->error == ERR_CRL_ROLLBACK &&
			      crl_number_is_back(&j->facts, &held(j)->facts);
	j->read.stamp.refused = is_final(j->error);
	j->read.stamp.until = refused_until(j);
	j->read.stamp.known &= j->error == ERR_OK || j->read.stamp.refused;
}

/* OPEN. */

static bool same_inode(const struct stat *a, const struct stat *b)
{
	return a->st_ino != 0 && a->st_dev == b->st_dev && a->st_ino == b->st_ino;
}

/* The file's identity; false: there is none.  One that cannot be looked at (EIO) is
 * there, and no other's: were it taken for none, what this node told would be forgotten
 * without a word. */
static bool identify(const struct crl_job *j, const struct crl_state_seen *seen,
    enum crl_state_name name, struct stat *s)
{
	if (seen->file[name] && crl_state_stat(j->dir, name, s) != 0)
		memset(s, 0, sizeof *s);
	return seen->file[name];
}

static void find_told(struct crl_job *j, const struct crl_state_seen *seen)
{
	struct stat current, next, told;
	bool has_current = identify(j, seen, CRL_CURRENT, &current);

	j->open.has_told = identify(j, seen, CRL_TOLD, &told);
	j->open.told_is_current =
	    has_current && j->open.has_told && same_inode(&told, &current);
	j->open.next_left = j->open.has_told && identify(j, seen, CRL_NEXT, &next) &&
			    !same_inode(&next, &told);
	j->open.first_left = j->open.has_told && seen->file[CRL_FIRST];
	if (has_current)
		j->open.written_at = current.st_mtime;
}

static void work_open(struct crl_job *j)
{
	struct crl_state_seen seen;
	struct crl_list *l = NULL;
	int e = crl_state_look(j->dir, j->open.first, &seen), fd;

	if (e != 0) {
		errno = e;
		j->error = failed(j, ERR_STORE, j->dir);
		return;
	}
	j->open.site = j->urls_n;
	if (seen.hints)
		j->open.site = crl_hints_read(j->dir, j->urls, j->urls_n, &j->hints);
	if (seen.pace)
		crl_pace_read(j->dir, &j->pace);
	if (seen.same)
		j->open.same = crl_state_same(j->dir);
	find_told(j, &seen);
	if (!seen.file[CRL_CURRENT]) {
		j->error = ERR_NOT_FOUND;
		return;
	}
	fd = crl_state_open(j->dir, CRL_CURRENT);
	if (fd < 0) {
		j->error = failed_own(j, ERR_STORE, "current");
		return;
	}
	j->error = read_own(j, fd, &l);
	if (j->error != ERR_OK) {
		close(fd);
		return;
	}
	j->facts = l->facts;
	if (memcmp(j->hints.sha256, j->facts.sha256, sizeof j->hints.sha256) != 0)
		j->hints.before = CRL_BEFORE_UNKNOWN;
	j->error = merge(j, l, fd);
	crl_list_free(l);
}

/* ARRANGE. */

static void work_arrange(struct crl_job *j)
{
	assert(j->old != NULL && j->arrange.map != NULL);
	j->error = crl_set_rearrange(
	    &j->set, j->old, j->arrange.map, j->shards_n, j->generation);
}

/* DIFF. */

static enum err read_named(
    struct crl_job *j, enum crl_state_name name, struct crl_list **out)
{
	int fd = crl_state_open(j->dir, name);
	enum err e;

	if (fd < 0)
		return failed_own(j, errno == ENOENT ? ERR_NOT_FOUND : ERR_STORE,
		    name == CRL_TOLD ? "told" : "next");
	e = read_own(j, fd, out);
	close(fd);
	return e;
}

/* The list that was told is no longer in the set: what was absent meant what it does with
 * that one in its place, in date or not when the one after it was seen. */
static struct crl_diff_rules rules_since(
    const struct crl_job *j, const struct crl_facts *told)
{
	struct crl_diff_rules rules = rules_of(j);
	struct crl_facts then = *told;

	then.next_update = told->next_update > j->diff.seen_at ? INT64_MAX : 0;
	rules.covered = j->old != NULL && j->shard >= 0 &&
			crl_set_absence_with(j->old, (size_t)j->shard, &then, j->absent,
			    j->now) == CRL_ABSENT_GOOD;
	return rules;
}

/* That a list dated before the one that was told is in force was the operator's word, in
 * this life or in an earlier one. */
static void note_count(struct crl_job *j, const struct crl_list *told)
{
	if (j->facts.this_update < told->facts.this_update)
		j->facts.warnings |= CRL_WARN_ACCEPTED;
}

/* Against the list in force, which needs no second copy where it is the only one. */
static enum err compare_with_current(struct crl_job *j, const struct crl_list *told)
{
	struct crl_diff_rules rules = rules_since(j, &told->facts);
	const struct crl_entry *e;
	size_t n, mapped;
	enum err error;

	if (held(j) == NULL) /* out of force since it was asked for */
		return ERR_NOT_FOUND;
	j->facts = held(j)->facts;
	note_count(j, told);
	error = crl_set_shard_entries(j->old, (unsigned)j->shard, &e, &n, &mapped);
	if (error != ERR_OK)
		return error;
	error = crl_diff_make(&j->diff_made, told->entries, told->n, e, n, &rules);
	entries_free(e, mapped);
	return error;
}

static enum err compare_with_next(struct crl_job *j, const struct crl_list *told)
{
	struct crl_diff_rules rules = rules_since(j, &told->facts);
	struct crl_list *next = NULL;
	enum err e = read_named(j, CRL_NEXT, &next);

	if (e != ERR_OK)
		return e;
	j->facts = next->facts;
	note_count(j, told);
	e = crl_diff_make(
	    &j->diff_made, told->entries, told->n, next->entries, next->n, &rules);
	crl_list_free(next);
	return e;
}

/* Of the list that was told, what it says; then the comparison. */
static enum err compare_told(struct crl_job *j)
{
	struct crl_list *told = NULL;
	enum err e = read_named(j, CRL_TOLD, &told);

	j->baseline = is_final(e) || e == ERR_NOT_FOUND;
	if (e != ERR_OK)
		return e;
	memcpy(j->from, told->facts.sha256, sizeof j->from);
	e = j->to == CRL_NEXT ? compare_with_next(j, told)
			      : compare_with_current(j, told);
	crl_list_free(told);
	return e;
}

/* The first list. */

static enum err compare_first_entries(
    struct crl_job *j, const struct crl_entry *entries, size_t n)
{
	struct crl_diff_rules rules = rules_of(j);
	uint32_t *places;
	size_t places_n;
	enum err e;

	rules.others_wait = j->diff.others_untold;
	e = watch_pick(j->diff.watched, j->issuer->name, entries, n, &places, &places_n);
	if (e != ERR_OK || places_n == 0)
		return e;
	return crl_diff_first(&j->diff_made, entries, n, places, places_n, &rules);
}

static enum err compare_first_of_set(struct crl_job *j)
{
	const struct crl_entry *entries;
	size_t n, mapped;
	enum err e;

	j->facts = held(j)->facts;
	e = crl_set_shard_entries(j->old, (unsigned)j->shard, &entries, &n, &mapped);
	if (e != ERR_OK)
		return e;
	e = compare_first_entries(j, entries, n);
	entries_free(entries, mapped);
	return e;
}

/* Another may be in force by now; told is read then. */
static enum err compare_first(struct crl_job *j)
{
	struct crl_list *told = NULL;
	enum err e;

	if (held(j) != NULL &&
	    (j->to == CRL_CURRENT ||
		memcmp(held(j)->facts.sha256, j->diff.told, sizeof j->diff.told) == 0))
		return compare_first_of_set(j);
	if (j->to == CRL_CURRENT)
		return ERR_NOT_FOUND;
	e = read_named(j, CRL_TOLD, &told);
	if (e != ERR_OK)
		return e;
	j->facts = told->facts;
	e = compare_first_entries(j, told->entries, told->n);
	crl_list_free(told);
	return e;
}

/* What cannot be read cannot be compared: as if it had never been. */
static void compare(struct crl_job *j)
{
	assert(j->to != CRL_TOLD && j->diff_made == NULL);
	j->error = compare_told(j);
	j->baseline |= j->error != ERR_OK && j->error != ERR_CANCELLED && j->diff.give_up;
	if (!j->baseline)
		return;
	if (j->why[0] == '\0')
		snprintf(j->why, sizeof j->why, "%s", err_text(j->error));
	j->error = j->to == CRL_NEXT || held(j) == NULL ? ERR_NOT_FOUND : ERR_OK;
	if (held(j) != NULL)
		j->facts = held(j)->facts;
}

/* Telling may take as long as the log is away: not with a set in hand. */
static void work_diff(struct crl_job *j)
{
	if (j->diff.watched != NULL)
		j->error = compare_first(j);
	else
		compare(j);
	crl_set_unref(j->old);
	j->old = NULL;
}

void crl_job_work(struct crl_job *j)
{
	static void (*const work[])(struct crl_job *) = {
	    work_open, work_read, work_arrange, work_diff};
	int64_t before = clock_mono_us();

	assert(j->kind <= CRL_JOB_DIFF && j->error == ERR_OK && j->stop != NULL);
	work[j->kind](j);
	if (j->error != ERR_OK && j->why[0] == '\0')
		snprintf(j->why, sizeof j->why, "%s", err_text(j->error));
	j->us = clock_mono_us() - before;
}

void crl_job_clear(struct crl_job *j)
{
	crl_set_unref(j->old);
	crl_set_unref(j->set);
	crl_diff_free(j->diff_made);
	if (j->kind == CRL_JOB_ARRANGE)
		free(j->arrange.map);
	if (j->kind == CRL_JOB_DIFF)
		inventory_unref(j->diff.watched);
	if (j->kind == CRL_JOB_OPEN)
		free(j->open.same);
	if (j->kind != CRL_JOB_READ)
		return;
	free(j->read.peer);
	if (j->read.fd >= 0)
		close(j->read.fd);
	if (j->read.path[0] != '\0')
		unlink(j->read.path);
}
