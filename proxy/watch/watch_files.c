/* watch_files.c - look at all, compare with what was there, read what is new. */
#include "proxy/watch/watch_files.h"

#include <errno.h>
#include <fcntl.h>
#include <openssl/crypto.h>
#include <stdlib.h>
#include <unistd.h>

#include "cache/watch/watch_body.h"
#include "cache/watch/watch_draft.h"
#include "proxy/base/alarms.h"
#include "proxy/base/log.h"
#include "proxy/watch/file_cert.h"
#include "proxy/watch/known.h"
#include "proxy/watch/watch_walk.h"

/* What tells that a file is another, or was written to. */
struct stamp {
	dev_t device;
	ino_t inode;
	off_t size;
	struct timespec modified, changed;
};

struct file {
	char *path;
	struct stamp stamp; /* of what was read */
	struct file_certs certs;
	int64_t gone, bad; /* since when; 0: it is not */
	bool told;         /* that it is unreadable */
	bool owes;         /* unreadable since the first round */
};

/* A file that a walk has met. */
struct sighting {
	char *path, *target; /* target NULL: the path */
	struct stamp stamp;
	int error; /* it cannot be looked at */
};

struct watch_files {
	char *name;
	char **paths, **labels;
	size_t paths_n, labels_n;
	struct file *file; /* by path */
	size_t n;
	bool relabelled;
	bool begun; /* the first round is over */
};

struct files_round {
	struct watch_files *f;
	struct watch_round *r;
	struct sighting *seen;
	size_t n, room;
	struct file *next; /* what becomes of f->file */
	size_t next_n;
	char **closed; /* what could not be looked at: who was there may be there still */
	size_t closed_n;
	bool full; /* no room for more, and told */
	bool nomem;
	uint8_t *buffer;
};

/* Sections. */

static void texts_free(char **t, size_t n)
{
	for (size_t i = 0; t != NULL && i < n; i++)
		free(t[i]);
	free(t);
}

static char **texts_copy(char *const *t, size_t n)
{
	char **copy = calloc(n + 1, sizeof *copy);

	for (size_t i = 0; copy != NULL && i < n; i++) {
		copy[i] = strdup(t[i]);
		if (copy[i] == NULL) {
			texts_free(copy, n);
			return NULL;
		}
	}
	return copy;
}

static bool same_texts(char *const *a, size_t a_n, char *const *b, size_t b_n)
{
	size_t i = 0;

	while (a_n == b_n && i < a_n && strcmp(a[i], b[i]) == 0)
		i++;
	return a_n == b_n && i == a_n;
}

bool watch_files_configure(struct watch_files *f, const struct conf_watchlist *c)
{
	char **paths = texts_copy(c->certificates, c->certificates_n);
	char **labels = texts_copy(c->labels, c->labels_n);

	if (paths == NULL || labels == NULL) {
		texts_free(paths, c->certificates_n);
		texts_free(labels, c->labels_n);
		return false;
	}
	f->relabelled =
	    f->relabelled || !same_texts(f->labels, f->labels_n, labels, c->labels_n);
	texts_free(f->paths, f->paths_n);
	texts_free(f->labels, f->labels_n);
	f->paths = paths;
	f->paths_n = c->certificates_n;
	f->labels = labels;
	f->labels_n = c->labels_n;
	return true;
}

struct watch_files *watch_files_new(const struct conf_watchlist *c)
{
	struct watch_files *f = calloc(1, sizeof *f);

	if (f == NULL)
		return NULL;
	f->name = strdup(c->name);
	if (f->name == NULL || !watch_files_configure(f, c)) {
		watch_files_free(f);
		return NULL;
	}
	return f;
}

static void file_free(struct file *x)
{
	free(x->path);
	file_certs_free(&x->certs);
}

/* why NULL: it can be read, or is watched no more. */
static void set_alarm(const struct watch_files *f, const struct file *x, const char *why)
{
	char subject[ALARM_SUBJECT_MAX];

	snprintf(subject, sizeof subject, "%s: %s", f->name, x->path);
	alarm_set(ALARM_WATCHLIST_UNREADABLE, why != NULL, "", subject, why);
}

void watch_files_free(struct watch_files *f)
{
	if (f == NULL)
		return;
	for (size_t i = 0; i < f->n; i++) {
		if (f->file[i].told)
			set_alarm(f, &f->file[i], NULL);
		file_free(&f->file[i]);
	}
	free(f->file);
	texts_free(f->paths, f->paths_n);
	texts_free(f->labels, f->labels_n);
	free(f->name);
	free(f);
}

const char *watch_files_name(const struct watch_files *f)
{
	return f->name;
}

/* Looking. */

static struct stamp stamp_of(const struct stat *st)
{
	return (struct stamp){
	    st->st_dev, st->st_ino, st->st_size, st->st_mtim, st->st_ctim};
}

static bool same_time(struct timespec a, struct timespec b)
{
	return a.tv_sec == b.tv_sec && a.tv_nsec == b.tv_nsec;
}

static bool same_stamp(const struct stamp *a, const struct stamp *b)
{
	return a->device == b->device && a->inode == b->inode && a->size == b->size &&
	       same_time(a->modified, b->modified) && same_time(a->changed, b->changed);
}

/* Makes room; NULL: there is none, or more files than may be. */
static struct sighting *seen_new(struct files_round *d, const char *path)
{
	size_t room = d->room > 0 ? 2 * d->room : 64;
	struct sighting *grown;

	if (d->n == d->r->room && d->full)
		return NULL;
	if (d->n == d->r->room) {
		d->full = true;
		log_error("watch_files_max", "watchlist=%s path=%s remedy=%s", d->f->name,
		    path, "it and what follows are not read: raise watch-max-files");
		return NULL;
	}
	if (d->n == d->room) {
		grown = realloc(d->seen, room * sizeof *grown);
		d->nomem = d->nomem || grown == NULL;
		if (grown == NULL)
			return NULL;
		d->seen = grown;
		d->room = room;
	}
	d->seen[d->n] = (struct sighting){.path = strdup(path)};
	if (d->seen[d->n].path == NULL) {
		d->nomem = true;
		return NULL;
	}
	return &d->seen[d->n++];
}

static void on_file(
    void *arg, const char *path, const char *target, const struct stat *st)
{
	struct files_round *d = arg;
	struct sighting *s = seen_new(d, path);

	if (s == NULL)
		return;
	s->stamp = stamp_of(st);
	if (target != path) {
		s->target = strdup(target);
		d->nomem = d->nomem || s->target == NULL;
	}
}

static void on_folder(void *arg, const char *path)
{
	struct files_round *d = arg;

	if (d->r->folder != NULL)
		d->r->folder(d->r->arg, path);
}

static void add_closed(struct files_round *d, const char *path)
{
	char **grown = realloc(d->closed, (d->closed_n + 1) * sizeof(char *));

	if (grown != NULL) {
		d->closed = grown;
		grown[d->closed_n] = strdup(path);
	}
	if (grown == NULL || grown[d->closed_n] == NULL)
		d->nomem = true;
	else
		d->closed_n++;
}

static void on_failed(void *arg, const char *path, int error)
{
	struct files_round *d = arg;
	struct sighting *s = seen_new(d, path);

	if (s == NULL)
		return;
	s->error = error;
	if (error != EXDEV)
		add_closed(d, path);
}

static int by_path(const void *a, const void *b)
{
	const struct sighting *x = a, *y = b;

	return strcmp(x->path, y->path);
}

static void seen_free(struct sighting *s)
{
	free(s->path);
	free(s->target);
}

/* In order, each once. */
static void sort_seen(struct files_round *d)
{
	size_t n = 0;

	if (d->n > 0)
		qsort(d->seen, d->n, sizeof *d->seen, by_path);
	for (size_t i = 0; i < d->n; i++)
		if (n > 0 && strcmp(d->seen[n - 1].path, d->seen[i].path) == 0)
			seen_free(&d->seen[i]);
		else
			d->seen[n++] = d->seen[i];
	d->n = n;
}

static void look(struct files_round *d)
{
	const struct watch_walk w = {on_file, on_folder, on_failed, d};

	for (size_t i = 0; i < d->f->paths_n && !d->nomem; i++)
		if (!watch_walk(&w, d->f->paths[i]))
			d->nomem = true;
	sort_seen(d);
}

/* Reading. */

/* Whole, into the round's buffer.  0, or errno. */
static int read_all(
    struct files_round *d, const char *target, struct stamp *stamp, size_t *n)
{
	int fd = open(target, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY);
	struct stat st;
	ssize_t got = 1;
	int e;

	*n = 0;
	if (fd < 0)
		return errno;
	e = fstat(fd, &st) != 0 ? errno : !S_ISREG(st.st_mode) ? EINVAL : 0;
	*stamp = stamp_of(&st);
	while (e == 0 && got > 0 && *n <= WATCH_FILE_MAX) {
		got = read(fd, d->buffer + *n, WATCH_FILE_MAX + 1 - *n);
		if (got > 0)
			*n += (size_t)got;
		else if (got < 0)
			e = errno;
	}
	close(fd);
	return e == 0 && *n > WATCH_FILE_MAX ? EFBIG : e;
}

static bool is_key_name(const char *path)
{
	const char *name = strrchr(path, '/') + 1;
	size_t n = strlen(name);

	return (n >= 4 && strcmp(name + n - 4, ".key") == 0) ||
	       strncmp(name, "privkey", 7) == 0;
}

static void set_bad(struct files_round *d, struct file *x, const char *why)
{
	if (x->bad == 0) {
		x->bad = d->r->now;
		x->owes = !d->f->begun;
	}
	if (!x->told && d->r->now - x->bad >= WATCH_UNREADABLE_MS) {
		x->told = true;
		log_each(LOG_WARN, "watchlist_unreadable",
		    "watchlist=%s path=%s why=%s certificates=%zu remedy=%s", d->f->name,
		    x->path, why, x->certs.n,
		    "what it had is watched on: write it anew, or let ocspcached read "
		    "it");
		set_alarm(d->f, x, why);
	}
}

static void set_fine(struct files_round *d, struct file *x)
{
	if (x->told) {
		log_each(LOG_INFO, "watchlist_readable", "watchlist=%s path=%s",
		    d->f->name, x->path);
		set_alarm(d->f, x, NULL);
	}
	x->bad = 0;
	x->told = x->owes = false;
}

static void read_certs(struct files_round *d, struct file *x, struct bytes text)
{
	struct file_certs now = {0};
	struct watch_error e;
	bool ok = file_certs_read(&now, text, d->r->known, &e);

	if (!ok && e.code == WATCH_NOMEM) {
		d->nomem = true;
		x->stamp = (struct stamp){0}; /* it is to be read again */
	} else if (!ok && e.code != WATCH_BAD_NONE) {
		set_bad(d, x, e.why);
	} else if (now.n == 0 && x->certs.n > 0) {
		set_bad(d, x, "it has no certificate any more");
	} else {
		set_fine(d, x);
		d->r->changed = d->r->changed || !file_certs_equal(&now, &x->certs);
		file_certs_free(&x->certs);
		x->certs = now;
		return;
	}
	file_certs_free(&now);
}

static const char *text_of_errno(int e)
{
	return e == EXDEV   ? "a symbolic link that leads elsewhere is not followed"
	       : e == EFBIG ? "it is larger than 1 MiB"
			    : strerror(e);
}

static void read_file(struct files_round *d, struct file *x, const struct sighting *s)
{
	size_t n = 0;
	int e = s->error;

	x->stamp = s->stamp;
	if (e == 0)
		e = read_all(d, s->target != NULL ? s->target : x->path, &x->stamp, &n);
	if (e == 0)
		read_certs(d, x, bytes_of(d->buffer, n));
	else if (x->certs.n > 0 || e != EACCES || !is_key_name(x->path))
		set_bad(d, x, text_of_errno(e));
	OPENSSL_cleanse(d->buffer, n);
}

/* Comparing. */

/* x is on in this round. */
static void keep(struct files_round *d, struct file *x)
{
	struct watch_round *r = d->r;

	if (x->bad != 0 && !x->told && x->bad + WATCH_UNREADABLE_MS < r->again)
		r->again = x->bad + WATCH_UNREADABLE_MS;
	if (x->gone != 0 && x->gone + WATCH_GONE_MS < r->again)
		r->again = x->gone + WATCH_GONE_MS;
	r->unreadable += x->told;
	d->next[d->next_n++] = *x;
}

static bool is_hidden(const struct files_round *d, const struct file *x)
{
	for (size_t i = 0; i < d->closed_n; i++) {
		size_t n = strlen(d->closed[i]);

		if (strncmp(d->closed[i], x->path, n) == 0 && x->path[n] == '/')
			return true;
	}
	return d->full;
}

static void not_seen(struct files_round *d, struct file *x)
{
	if (is_hidden(d, x)) {
		keep(d, x);
		return;
	}
	set_fine(d, x);
	x->stamp = (struct stamp){0}; /* it is read if it comes again */
	if (x->gone == 0)
		x->gone = d->r->now;
	if (d->r->now - x->gone < WATCH_GONE_MS) {
		keep(d, x);
		return;
	}
	d->r->changed = d->r->changed || x->certs.n > 0;
	file_free(x);
}

static bool is_stopped(const struct files_round *d)
{
	return d->nomem || (d->r->stop != NULL && atomic_load(d->r->stop));
}

static void seen_again(struct files_round *d, struct file *x, const struct sighting *s)
{
	x->gone = 0;
	if (!is_stopped(d) && (d->r->anew || x->bad != 0 || s->error != 0 ||
				  !same_stamp(&x->stamp, &s->stamp)))
		read_file(d, x, s);
	keep(d, x);
}

static void seen_first(struct files_round *d, struct sighting *s)
{
	struct file x = {.path = s->path};

	if (is_stopped(d))
		return;
	s->path = NULL;
	read_file(d, &x, s);
	keep(d, &x);
}

/* Both are in one order. */
static void compare(struct files_round *d)
{
	struct watch_files *f = d->f;
	size_t i = 0, k = 0;

	while (i < f->n || k < d->n) {
		int order = i == f->n   ? 1
			    : k == d->n ? -1
					: strcmp(f->file[i].path, d->seen[k].path);

		if (order < 0)
			not_seen(d, &f->file[i++]);
		else if (order > 0)
			seen_first(d, &d->seen[k++]);
		else
			seen_again(d, &f->file[i++], &d->seen[k++]);
	}
	free(f->file);
	f->file = d->next;
	f->n = d->next_n;
	d->next = NULL;
}

static enum err round_end(struct files_round *d)
{
	bool stopped = is_stopped(d);

	if (!stopped && d->next == NULL)
		d->f->begun = true;
	for (size_t i = 0; i < d->n; i++)
		seen_free(&d->seen[i]);
	free(d->seen);
	texts_free(d->closed, d->closed_n);
	free(d->next);
	free(d->buffer);
	return d->nomem ? ERR_NOMEM : stopped ? ERR_CANCELLED : ERR_OK;
}

enum err watch_files_round(struct watch_files *f, struct watch_round *r)
{
	struct files_round d = {.f = f, .r = r, .buffer = malloc(WATCH_FILE_MAX + 1)};

	r->changed = f->relabelled || !f->begun;
	r->unreadable = 0;
	r->again = INT64_MAX;
	d.nomem = d.buffer == NULL;
	if (!d.nomem)
		look(&d);
	r->files = d.n;
	if (!is_stopped(&d)) {
		d.next = calloc(f->n + d.n + 1, sizeof *d.next);
		d.nomem = d.next == NULL;
	}
	if (d.next != NULL)
		compare(&d);
	if (!is_stopped(&d))
		f->relabelled = false;
	return round_end(&d);
}

/* Drafts. */

enum err watch_files_draft(
    const struct watch_files *f, const char *dir, struct watch_draft **out)
{
	struct watch_draft *d = watch_draft_new(dir);
	struct bytes *labels = calloc(f->labels_n + 1, sizeof *labels);
	enum err e = d != NULL && labels != NULL ? ERR_OK : ERR_NOMEM;

	for (size_t i = 0; labels != NULL && i < f->labels_n; i++)
		labels[i] = bytes_of(f->labels[i], strlen(f->labels[i]));
	for (size_t i = 0; i < f->n && e == ERR_OK; i++)
		e = file_certs_add(&f->file[i].certs, labels, f->labels_n, d);
	free(labels);
	*out = d;
	if (e == ERR_OK)
		return e;
	watch_draft_free(d);
	*out = NULL;
	return e;
}

bool watch_files_adds(const struct watch_files *f)
{
	for (size_t i = 0; i < f->n; i++)
		if (f->file[i].owes)
			return true;
	return false;
}
