/* crl_state.c - files of a list: mkostemp, link, fsync, rename.
 *
 * Everything under way is called new.*, so that one look over the folder at start finds
 * it.  rename() of one hard link over another of the same file does nothing and leaves
 * both names: so the old name is always unlinked afterwards too.
 */
#include "proxy/lists/crl_state.h"

#include <assert.h>
#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <openssl/evp.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "conf/conf.h"
#include "proxy/http/http1.h"

#define LINE_MAX_BYTES 8192 /* of hints: a URL has at most 4 KiB */
#define LINK_NAME      "new.link"

static const char *const file_name[] = {"current", "next", "told", "first"};

bool crl_scope_id(const char *issuer, const char *scope, uint8_t id[CHANGE_SCOPE_N])
{
	EVP_MD_CTX *c = EVP_MD_CTX_new();
	bool ok = c != NULL && EVP_DigestInit_ex(c, EVP_sha256(), NULL) == 1 &&
		  EVP_DigestUpdate(c, issuer, strlen(issuer) + 1) == 1 &&
		  EVP_DigestUpdate(c, scope, strlen(scope)) == 1 &&
		  EVP_DigestFinal_ex(c, id, NULL) == 1;

	EVP_MD_CTX_free(c);
	return ok;
}

/* 0 or -1 with errno. */
static int sync_directory(const char *path)
{
	int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC), r, e;

	if (fd < 0)
		return -1;
	r = fsync(fd);
	e = errno;
	close(fd);
	errno = e;
	return r;
}

static int join(const char *dir, const char *name, char *path, size_t path_n)
{
	int n = snprintf(path, path_n, "%s/%s", dir, name);

	if (n >= 0 && (size_t)n < path_n)
		return 0;
	errno = ENAMETOOLONG;
	return -1;
}

int crl_state_path(const char *state_directory, const uint8_t id[CHANGE_SCOPE_N],
    char *dir, size_t dir_n)
{
	char hex[2 * CHANGE_SCOPE_N + 1], name[sizeof hex + 4];

	hex_encode(id, CHANGE_SCOPE_N, hex);
	snprintf(name, sizeof name, "crl/%s", hex);
	return join(state_directory, name, dir, dir_n);
}

/* A new name is there after a power cut only when its folder was synced: one sync for all
 * that were made before it, when the first of them is to be durable.  Counted, so that
 * the threads that make and install need not know of each other. */
static _Atomic uint64_t folders_made, folders_synced;

static int make_folder(const char *dir)
{
	if (conf_make_directory(dir) != 0)
		return errno;
	atomic_fetch_add(&folders_made, 1);
	return 0;
}

/* STATE/crl and STATE, of STATE/crl/SCOPE. */
static int sync_made(const char *dir)
{
	uint64_t made = atomic_load(&folders_made);
	char path[PATH_MAX];

	if (atomic_load(&folders_synced) >= made)
		return 0;
	for (const char *up = "..";; up = "../..") {
		if (join(dir, up, path, sizeof path) != 0 || sync_directory(path) != 0)
			return -1;
		if (strcmp(up, "../..") == 0)
			break;
	}
	atomic_store(&folders_synced, made);
	return 0;
}

static void note_seen(struct crl_state_seen *seen, const char *name)
{
	for (size_t n = 0; n < sizeof file_name / sizeof file_name[0]; n++)
		seen->file[n] |= strcmp(name, file_name[n]) == 0;
	seen->hints |= strcmp(name, "hints") == 0;
	seen->same |= strcmp(name, "same") == 0;
	seen->pace |= strcmp(name, "pace") == 0;
}

int crl_state_look(const char *dir, bool clean, struct crl_state_seen *seen)
{
	DIR *d = opendir(dir);
	struct dirent *e;

	*seen = (struct crl_state_seen){0};
	if (d == NULL)
		return errno == ENOENT ? make_folder(dir) : errno;
	for (errno = 0; (e = readdir(d)) != NULL; errno = 0) {
		if (clean && strncmp(e->d_name, "new.", 4) == 0)
			unlinkat(dirfd(d), e->d_name, 0);
		note_seen(seen, e->d_name);
	}
	if (errno != 0) {
		int error = errno;

		closedir(d);
		return error;
	}
	closedir(d);
	return 0;
}

int crl_state_new(const char *dir, char *path, size_t path_n)
{
	if (join(dir, "new.XXXXXX", path, path_n) != 0)
		return -1;
	return mkostemp(path, O_CLOEXEC);
}

/* Whatever stands there: a FIFO would have us wait for a writer for ever. */
static int open_regular(const char *dir, const char *name)
{
	char path[PATH_MAX];
	struct stat s;
	int fd;

	if (join(dir, name, path, sizeof path) != 0)
		return -1;
	fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOFOLLOW);
	if (fd < 0 || (fstat(fd, &s) == 0 && S_ISREG(s.st_mode)))
		return fd;
	close(fd);
	errno = ENXIO; /* what a socket gives */
	return -1;
}

int crl_state_open(const char *dir, enum crl_state_name name)
{
	return open_regular(dir, file_name[name]);
}

const char *crl_state_why(int e)
{
	return e == ENXIO || e == ELOOP ? "not a regular file" : strerror(e);
}

int crl_state_stat(const char *dir, enum crl_state_name name, struct stat *s)
{
	char path[PATH_MAX];

	return join(dir, file_name[name], path, sizeof path) == 0 ? lstat(path, s) : -1;
}

/* from is gone when this returns, also where both were one file. */
static int move(const char *dir, const char *from, enum crl_state_name to)
{
	char path[PATH_MAX];

	if (join(dir, file_name[to], path, sizeof path) != 0 || rename(from, path) != 0)
		return -1;
	if (unlink(from) != 0 && errno != ENOENT)
		return -1;
	return sync_directory(dir);
}

static bool is_current(const char *dir, int fd)
{
	struct stat ours, current;

	return fstat(fd, &ours) == 0 && crl_state_stat(dir, CRL_CURRENT, &current) == 0 &&
	       ours.st_dev == current.st_dev && ours.st_ino == current.st_ino;
}

/* Tried again after a rename that could not be made durable, it has its name already. */
int crl_state_install(const char *dir, const char *path, int fd)
{
	char same[PATH_MAX];
	int e;

	if (fsync(fd) != 0)
		return -1;
	if (join(dir, "same", same, sizeof same) == 0)
		unlink(same); /* it has a list of its own */
	e = is_current(dir, fd) ? sync_directory(dir) : move(dir, path, CRL_CURRENT);
	return e != 0 ? -1 : sync_made(dir);
}

int crl_state_link(const char *dir, enum crl_state_name from, enum crl_state_name to)
{
	char path[PATH_MAX], temporary[PATH_MAX];

	assert(from != to);
	if (join(dir, file_name[from], path, sizeof path) != 0 ||
	    join(dir, LINK_NAME, temporary, sizeof temporary) != 0)
		return -1;
	if (unlink(temporary) != 0 && errno != ENOENT)
		return -1;
	if (link(path, temporary) != 0)
		return -1;
	return move(dir, temporary, to);
}

int crl_state_told(const char *dir)
{
	char path[PATH_MAX];

	if (join(dir, file_name[CRL_NEXT], path, sizeof path) != 0)
		return -1;
	return move(dir, path, CRL_TOLD);
}

int crl_state_first_told(const char *dir)
{
	char path[PATH_MAX];

	if (join(dir, file_name[CRL_FIRST], path, sizeof path) != 0)
		return -1;
	if (unlink(path) != 0 && errno != ENOENT)
		return -1;
	return sync_directory(dir);
}

/* Seconds from Last-Modified to Date, from which on nothing more is made in that second,
 * by a server whose clock and whose files' clock are one. */
#define SETTLED_S 2

/* A field that is not there, or is longer than any server's, is as none. */
static void keep_field(char *out, size_t out_n, const char *value)
{
	if (strlen(value) < out_n)
		strcpy(out, value);
}

static bool is_settled(const char *last_modified, const char *date)
{
	int64_t modified, made;

	return http1_date_parse(
		   bytes_of(last_modified, strlen(last_modified)), &modified) &&
	       http1_date_parse(bytes_of(date, strlen(date)), &made) &&
	       made - modified >= SETTLED_S;
}

void crl_hints_take(
    struct crl_hints *h, const char *etag, const char *last_modified, const char *date)
{
	h->etag[0] = h->last_modified[0] = '\0';
	if (last_modified[0] != '\0' && !is_settled(last_modified, date))
		return;
	keep_field(h->last_modified, sizeof h->last_modified, last_modified);
	if (etag[0] == '"')
		keep_field(h->etag, sizeof h->etag, etag);
}

/* Texts. */

/* Beside its place first, so that a kill leaves the whole text or none. */
static FILE *draft_open(const char *dir, const char *name, char path[PATH_MAX])
{
	char draft[NAME_MAX];

	snprintf(draft, sizeof draft, "new.%s", name);
	if (join(dir, draft, path, PATH_MAX) != 0)
		return NULL;
	unlink(path); /* never into what somebody else has put there */
	return fopen(path, "wxe");
}

/* n: of fprintf(). */
static void draft_close(
    FILE *f, int n, const char *dir, const char *name, const char *draft)
{
	char path[PATH_MAX];

	if (fclose(f) == 0 && n > 0 && join(dir, name, path, sizeof path) == 0)
		rename(draft, path);
}

void crl_state_text_write(const char *dir, const char *name, const char *text)
{
	char draft[PATH_MAX];
	FILE *f = draft_open(dir, name, draft);

	if (f != NULL)
		draft_close(f, fprintf(f, "%s", text), dir, name, draft);
}

bool crl_state_text_read(const char *dir, const char *name, char *text, size_t text_n)
{
	int fd = open_regular(dir, name);
	ssize_t n = fd >= 0 ? read(fd, text, text_n) : -1;

	if (fd >= 0)
		close(fd);
	if (n < 0 || (size_t)n >= text_n)
		return false;
	text[n] = '\0';
	return true;
}

/* Hints: "name value" lines, sha256 the last, so that half a file has none. */

static bool is_clean(const char *text)
{
	for (; *text != '\0'; text++)
		if (iscntrl((unsigned char)*text))
			return false;
	return true;
}

/* The value of the next line, which must be called name; NULL: it is not. */
static char *next_value(FILE *f, const char *name, char line[LINE_MAX_BYTES])
{
	size_t n = strlen(name);
	char *end;

	if (fgets(line, LINE_MAX_BYTES, f) == NULL)
		return NULL;
	end = strchr(line, '\n');
	if (end == NULL || strncmp(line, name, n) != 0 || line[n] != ' ')
		return NULL;
	*end = '\0';
	return is_clean(line) ? line + n + 1 : NULL;
}

static bool copy_value(char *out, size_t out_n, const char *value)
{
	if (value == NULL || strlen(value) >= out_n)
		return false;
	strcpy(out, value);
	return true;
}

static bool number_value(int64_t *out, const char *value)
{
	char *end;

	if (value == NULL)
		return false;
	errno = 0;
	*out = strtoll(value, &end, 10);
	return errno == 0 && end != value && *end == '\0';
}

static bool digest_value(uint8_t out[32], const char *value)
{
	return value != NULL && strlen(value) == 64 && hex_decode(value, 32, out);
}

static size_t find_url(char *const *url, size_t n, const char *value)
{
	size_t k = 0;

	while (k < n && (value == NULL || strcmp(value, url[k]) != 0))
		k++;
	return k;
}

/* Of which URL they are; n: of none. */
static size_t parse_hints(FILE *f, char *const *url, size_t n, struct crl_hints *h)
{
	char line[LINE_MAX_BYTES];
	size_t k = find_url(url, n, next_value(f, "url", line));
	bool all = k < n &&
		   copy_value(h->etag, sizeof h->etag, next_value(f, "etag", line)) &&
		   copy_value(h->last_modified, sizeof h->last_modified,
		       next_value(f, "last-modified", line)) &&
		   number_value(&h->before, next_value(f, "before", line)) &&
		   digest_value(h->sha256, next_value(f, "sha256", line));

	return all ? k : n;
}

static const struct crl_hints no_hints = {.before = CRL_BEFORE_UNKNOWN};

size_t crl_hints_read(const char *dir, char *const *url, size_t n, struct crl_hints *h)
{
	size_t k;
	int fd = open_regular(dir, "hints");
	FILE *f;

	*h = no_hints;
	if (fd < 0)
		return n;
	f = fdopen(fd, "r");
	if (f == NULL) {
		close(fd);
		return n;
	}
	k = parse_hints(f, url, n, h);
	if (k == n)
		*h = no_hints;
	fclose(f);
	return k;
}

void crl_hints_write(const char *dir, const char *url, const struct crl_hints *h)
{
	char draft[PATH_MAX], hex[65];
	FILE *f;

	if (!is_clean(url) || !is_clean(h->etag) || !is_clean(h->last_modified))
		return;
	f = draft_open(dir, "hints", draft);
	if (f == NULL)
		return;
	hex_encode(h->sha256, 32, hex);
	draft_close(f,
	    fprintf(f, "url %s\netag %s\nlast-modified %s\nbefore %lld\nsha256 %s\n", url,
		h->etag, h->last_modified, (long long)h->before, hex),
	    dir, "hints", draft);
}

/* Joins. */

void crl_state_join(const char *dir, const char *scope)
{
	char draft[PATH_MAX];
	FILE *f = is_clean(scope) ? draft_open(dir, "same", draft) : NULL;

	if (f != NULL)
		draft_close(f, fprintf(f, "scope %s\n", scope), dir, "same", draft);
}

char *crl_state_same(const char *dir)
{
	char line[LINE_MAX_BYTES];
	int fd = open_regular(dir, "same");
	FILE *f = fd >= 0 ? fdopen(fd, "r") : NULL;
	const char *scope;
	char *same = NULL;

	if (f == NULL) {
		if (fd >= 0)
			close(fd);
		return NULL;
	}
	scope = next_value(f, "scope", line);
	if (scope != NULL)
		same = strdup(scope);
	fclose(f);
	return same;
}
