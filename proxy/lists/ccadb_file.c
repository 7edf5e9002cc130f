/* ccadb_file.c - a file is read once to see that it is whole, and then for what it says.
 */
#include "proxy/lists/ccadb_file.h"

#include <errno.h>
#include <fcntl.h>
#include <openssl/evp.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "cache/base/write_all.h"

#define PIECE (256 * 1024)

bool ccadb_file_place(struct ccadb_file *f, const char *state_directory)
{
	uint8_t id[32];
	char hex[2 * sizeof id + 1];
	unsigned n = sizeof id;
	int length;

	if (EVP_Digest(f->name, strlen(f->name), id, &n, EVP_sha256(), NULL) != 1)
		return false;
	hex_encode(id, sizeof id, hex);
	length = snprintf(f->dir, sizeof f->dir, "%s/ccadb/%s", state_directory, hex);
	return length > 0 && (size_t)length < sizeof f->dir;
}

void ccadb_file_drop(struct ccadb_file *f)
{
	if (f->fd >= 0)
		close(f->fd);
	if (f->fresh[0] != '\0')
		unlink(f->fresh);
	f->fd = -1;
	f->fresh[0] = '\0';
}

static bool is_stopped(const struct ccadb_job *j)
{
	return atomic_load(j->stop);
}

static bool failed(struct ccadb_file *f, const char *what, int error)
{
	snprintf(f->why, sizeof f->why, "%.300s: %s", what, crl_state_why(error));
	return false;
}

/* Copying. */

static ssize_t read_some(int fd, uint8_t *p, size_t n)
{
	ssize_t r;

	do
		r = read(fd, p, n);
	while (r < 0 && errno == EINTR);
	return r;
}

static bool copy(const struct ccadb_job *j, struct ccadb_file *f, int from, uint8_t *room)
{
	size_t left = j->max_size;
	ssize_t n;

	while ((n = read_some(from, room, PIECE)) > 0) {
		if ((size_t)n > left) {
			snprintf(f->why, sizeof f->why,
			    "it has more bytes than ccadb-max-size");
			return false;
		}
		left -= (size_t)n;
		if (!write_all(f->fd, room, (size_t)n))
			return failed(f, f->fresh, errno);
	}
	return n == 0 || failed(f, f->name, errno);
}

/* A local file is copied first: what is being written to it meanwhile is not read
 * twice. */
static bool copy_local(const struct ccadb_job *j, struct ccadb_file *f, uint8_t *room)
{
	int from = open(f->name, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	struct stat s;
	bool good;

	if (from < 0)
		return failed(f, f->name, errno);
	f->fd = crl_state_new(f->dir, f->fresh, sizeof f->fresh);
	if (f->fd < 0) {
		f->fresh[0] = '\0';
		good = failed(f, f->dir, errno);
	} else if (fstat(from, &s) != 0 || !S_ISREG(s.st_mode)) {
		good = failed(f, f->name, ENXIO);
	} else {
		good = copy(j, f, from, room);
	}
	close(from);
	return good;
}

/* Reading. */

struct ccadb_reading {
	struct ccadb_sets *sets; /* NULL: it is only looked at */
	uint64_t records, bad;
	struct watch_error first;
	bool nomem;
};

static bool on_record(void *arg, const struct ccadb_record *r)
{
	struct ccadb_reading *x = arg;

	x->records++;
	x->nomem = x->sets != NULL && !ccadb_sets_take(x->sets, r);
	return !x->nomem;
}

static void on_bad(void *arg, const struct watch_error *e)
{
	struct ccadb_reading *x = arg;

	if (x->bad++ == 0)
		x->first = *e;
}

static bool read_file(const struct ccadb_job *j, struct ccadb_file *f, int fd,
    struct ccadb_reading *x, uint8_t *room)
{
	struct ccadb_want want = {.record = on_record, .bad = on_bad, .arg = x};
	struct ccadb_reader *r = ccadb_reader_new(&want);
	struct watch_error e = {0};
	ssize_t n = -1;
	bool good;

	if (r == NULL || lseek(fd, 0, SEEK_SET) != 0) {
		ccadb_reader_free(r);
		return failed(f, f->name, r == NULL ? ENOMEM : errno);
	}
	do
		n = read_some(fd, room, PIECE);
	while (n > 0 && !is_stopped(j) &&
	       ccadb_reader_feed(r, bytes_of(room, (size_t)n), &e));
	good = n == 0 && ccadb_reader_end(r, &e);
	ccadb_reader_free(r);
	if (n < 0)
		return failed(f, f->name, errno);
	if (!good)
		snprintf(f->why, sizeof f->why, "line %llu: %s",
		    (unsigned long long)e.line, e.why);
	return good;
}

/* Is all of it there? */
static bool is_whole(
    const struct ccadb_job *j, struct ccadb_file *f, int fd, uint8_t *room)
{
	struct ccadb_reading x = {0};

	if (!read_file(j, f, fd, &x, room))
		return false;
	if (x.records == 0)
		snprintf(f->why, sizeof f->why, "it has no record");
	else if (!f->local && f->known && x.records < f->records / 2)
		snprintf(f->why, sizeof f->why,
		    "it has %llu records, and the one before %llu; if it is not cut "
		    "short, delete %.200s",
		    (unsigned long long)x.records, (unsigned long long)f->records,
		    f->dir);
	return f->why[0] == '\0';
}

static void take_fresh(const struct ccadb_job *j, struct ccadb_file *f, uint8_t *room)
{
	f->taken = (!f->local || copy_local(j, f, room)) && f->fd >= 0 &&
		   is_whole(j, f, f->fd, room);
	if (f->taken && crl_state_install(f->dir, f->fresh, f->fd) != 0) {
		f->taken = failed(f, f->fresh, errno);
	} else if (f->taken) {
		f->fresh[0] = '\0';
		f->hints = f->asked;
		crl_hints_write(f->dir, f->name, &f->hints);
	}
	ccadb_file_drop(f);
}

static void look(struct ccadb_file *f)
{
	struct crl_state_seen seen;
	int e = crl_state_look(f->dir, f->fresh[0] == '\0', &seen);
	char *name = (char *)(uintptr_t)f->name;

	if (e != 0)
		failed(f, f->dir, e);
	else if (!f->local)
		crl_hints_read(f->dir, &name, 1, &f->hints);
	f->look = e != 0;
}

static void read_current(const struct ccadb_job *j, struct ccadb_file *f,
    struct ccadb_reading *x, uint8_t *room)
{
	char why[sizeof f->why];
	int fd = crl_state_open(f->dir, CRL_CURRENT);

	if (fd < 0)
		return;
	memcpy(why, f->why, sizeof why);
	f->known = read_file(j, f, fd, x, room);
	if (f->known || why[0] != '\0') /* else it is this that is wrong */
		memcpy(f->why, why, sizeof why);
	close(fd);
	f->records = x->records;
	f->bad = x->bad;
	f->first = x->first;
}

static void run(struct ccadb_job *j, uint8_t *room)
{
	bool nomem = false;

	for (size_t i = 0; i < j->n && !nomem && !is_stopped(j); i++) {
		struct ccadb_file *f = &j->file[i];
		struct ccadb_reading x = {.sets = j->sets};

		f->taken = false;
		f->why[0] = '\0';
		if (f->look)
			look(f);
		if (f->local || f->fresh[0] != '\0')
			take_fresh(j, f, room);
		f->known = false;
		read_current(j, f, &x, room);
		nomem = x.nomem;
	}
	if (nomem || !ccadb_sets_sort(j->sets)) {
		ccadb_sets_free(j->sets);
		j->sets = NULL;
	}
}

void ccadb_job_run(void *job)
{
	struct ccadb_job *j = job;
	uint8_t *room = malloc(PIECE);

	if (room == NULL) {
		ccadb_sets_free(j->sets);
		j->sets = NULL;
		return;
	}
	run(j, room);
	free(room);
}
