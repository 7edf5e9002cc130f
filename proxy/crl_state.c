/* crl_state.c - files of a list: mkostemp, link, fsync, rename.
 *
 * Everything under way is called new.*, so that one look over the folder at start finds
 * it.  rename() of one hard link over another of the same file does nothing and leaves
 * both names: so the old name is always unlinked afterwards too.
 */
#include "proxy/crl_state.h"

#include <assert.h>
#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <openssl/evp.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "conf/conf.h"
#include "proxy/http1.h"

#define LINE_MAX_BYTES 8192 /* of hints: a URL has at most 4 KiB */
#define PIECE_BYTES    (256 * 1024)
#define PEM_LINE_MAX   80 /* what is remembered of a line; our two are shorter */
#define PEM_BEGIN      "-----BEGIN X509 CRL-----"
#define PEM_END        "-----END X509 CRL-----"
#define LINK_NAME      "new.link"
#define HINTS_NEW_NAME "new.hints"

static const char *const file_name[] = {"current", "next", "told"};

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

int crl_state_dir(const char *state_directory, const uint8_t id[CHANGE_SCOPE_N],
    char *dir, size_t dir_n)
{
	char lists[PATH_MAX];
	struct stat s;

	if (crl_state_path(state_directory, id, dir, dir_n) != 0)
		return errno;
	if (stat(dir, &s) == 0 && S_ISDIR(s.st_mode))
		return 0;
	/* a new name is there after a power cut only when its folder was synced */
	if (join(state_directory, "crl", lists, sizeof lists) != 0 ||
	    conf_make_directory(dir) != 0 || sync_directory(lists) != 0 ||
	    sync_directory(state_directory) != 0)
		return errno;
	return 0;
}

void crl_state_clean(const char *dir)
{
	DIR *d = opendir(dir);
	struct dirent *e;

	if (d == NULL)
		return;
	while ((e = readdir(d)) != NULL)
		if (strncmp(e->d_name, "new.", 4) == 0)
			unlinkat(dirfd(d), e->d_name, 0);
	closedir(d);
}

int crl_state_new(const char *dir, char *path, size_t path_n)
{
	if (join(dir, "new.XXXXXX", path, path_n) != 0)
		return -1;
	return mkostemp(path, O_CLOEXEC);
}

int crl_state_open(const char *dir, enum crl_state_name name)
{
	char path[PATH_MAX];

	if (join(dir, file_name[name], path, sizeof path) != 0)
		return -1;
	return open(path, O_RDONLY | O_CLOEXEC);
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

int crl_state_install(const char *dir, const char *path, int fd)
{
	if (fsync(fd) != 0)
		return -1;
	return move(dir, path, CRL_CURRENT);
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

static bool parse_hints(FILE *f, const char *url, struct crl_hints *h)
{
	char line[LINE_MAX_BYTES];
	const char *value = next_value(f, "url", line);

	return value != NULL && strcmp(value, url) == 0 &&
	       copy_value(h->etag, sizeof h->etag, next_value(f, "etag", line)) &&
	       copy_value(h->last_modified, sizeof h->last_modified,
		   next_value(f, "last-modified", line)) &&
	       number_value(&h->before, next_value(f, "before", line)) &&
	       digest_value(h->sha256, next_value(f, "sha256", line));
}

static const struct crl_hints no_hints = {.before = CRL_BEFORE_UNKNOWN};

void crl_hints_read(const char *dir, const char *url, struct crl_hints *h)
{
	char path[PATH_MAX];
	FILE *f = NULL;

	*h = no_hints;
	if (join(dir, "hints", path, sizeof path) == 0)
		f = fopen(path, "re");
	if (f == NULL)
		return;
	if (!parse_hints(f, url, h))
		*h = no_hints;
	fclose(f);
}

void crl_hints_write(const char *dir, const char *url, const struct crl_hints *h)
{
	char path[PATH_MAX], temporary[PATH_MAX], hex[65];
	FILE *f;
	int n;

	if (!is_clean(url) || !is_clean(h->etag) || !is_clean(h->last_modified) ||
	    join(dir, "hints", path, sizeof path) != 0 ||
	    join(dir, HINTS_NEW_NAME, temporary, sizeof temporary) != 0)
		return;
	f = fopen(temporary, "we");
	if (f == NULL)
		return;
	hex_encode(h->sha256, 32, hex);
	n = fprintf(f, "url %s\netag %s\nlast-modified %s\nbefore %lld\nsha256 %s\n", url,
	    h->etag, h->last_modified, (long long)h->before, hex);
	if (fclose(f) == 0 && n > 0)
		rename(temporary, path);
}

/* Importing: DER is copied; of PEM what stands between the two lines is decoded. */

struct import {
	int from, to;
	uint64_t max_size, size;
	const _Atomic bool *stop;
	/* PEM: */
	enum { BEFORE, INSIDE, ENDING, AFTER } at;
	EVP_ENCODE_CTX *base64;
	char line[PEM_LINE_MAX]; /* the line that is being read, BEFORE, ENDING, AFTER */
	size_t line_n;
	bool line_start; /* INSIDE: the next character begins a line */
};

static enum err put(struct import *im, const uint8_t *p, size_t n)
{
	if (n > im->max_size - im->size)
		return ERR_CRL_LARGE;
	im->size += n;
	while (n > 0) {
		ssize_t wrote = write(im->to, p, n);

		if (wrote < 0 && errno == EINTR)
			continue;
		if (wrote <= 0)
			return ERR_STORE;
		p += wrote;
		n -= (size_t)wrote;
	}
	return ERR_OK;
}

/* Base64 in slices, so that what it becomes has room on the stack. */
static enum err decode(struct import *im, const uint8_t *p, size_t n)
{
	uint8_t out[3072 + 64];
	enum err e = ERR_OK;

	while (n > 0 && e == ERR_OK) {
		int k = n < 4096 ? (int)n : 4096, out_n = 0;

		if (EVP_DecodeUpdate(im->base64, out, &out_n, p, k) < 0)
			return ERR_CRL_DER;
		e = put(im, out, (size_t)out_n);
		p += k;
		n -= (size_t)k;
	}
	return e;
}

/* A line is whole: is it one of ours? */
static enum err line_ends(struct import *im)
{
	uint8_t out[64];
	int n = 0;

	while (im->line_n > 0 && isspace((unsigned char)im->line[im->line_n - 1]))
		im->line_n--;
	im->line[im->line_n] = '\0';
	im->line_n = 0;
	if (im->at == ENDING) {
		im->at = AFTER;
		if (strcmp(im->line, PEM_END) != 0 ||
		    EVP_DecodeFinal(im->base64, out, &n) != 1)
			return ERR_CRL_DER;
		return put(im, out, (size_t)n);
	}
	if (strcmp(im->line, PEM_BEGIN) != 0)
		return ERR_OK;
	if (im->at == AFTER) /* two lists: which one is meant? */
		return ERR_CRL_TRAILING;
	im->at = INSIDE;
	im->line_start = true;
	EVP_DecodeInit(im->base64);
	return ERR_OK;
}

/* Text up to the end of its line; returns how much was taken. */
static size_t take_text(struct import *im, const uint8_t *p, size_t n, enum err *e)
{
	const uint8_t *end = memchr(p, '\n', n);
	size_t k = end == NULL ? n : (size_t)(end - p);

	for (size_t i = 0; i < k && im->line_n < sizeof im->line - 1; i++)
		im->line[im->line_n++] = p[i] == '\0' ? ' ' : (char)p[i];
	if (end == NULL)
		return n;
	*e = line_ends(im);
	return k + 1;
}

/* Base64 up to the '-' that begins the last line. */
static size_t take_base64(struct import *im, const uint8_t *p, size_t n, enum err *e)
{
	const uint8_t *end = memchr(p, '-', n);
	size_t k = end == NULL ? n : (size_t)(end - p);

	if (k > 0) {
		*e = decode(im, p, k);
		im->line_start = p[k - 1] == '\n';
	}
	if (end != NULL) {
		if (*e == ERR_OK && !im->line_start)
			*e = ERR_CRL_DER;
		im->at = ENDING;
	}
	return k;
}

static enum err take_pem(struct import *im, const uint8_t *p, size_t n)
{
	enum err e = ERR_OK;

	while (n > 0 && e == ERR_OK) {
		size_t k = im->at == INSIDE ? take_base64(im, p, n, &e)
					    : take_text(im, p, n, &e);

		p += k;
		n -= k;
	}
	return e;
}

static enum err import_all(struct import *im, uint8_t *piece, bool pem)
{
	for (;;) {
		ssize_t n = read(im->from, piece, PIECE_BYTES);
		enum err e;

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return ERR_STORE;
		if (im->stop != NULL && atomic_load(im->stop))
			return ERR_CANCELLED;
		if (n == 0)
			return ERR_OK;
		e = pem ? take_pem(im, piece, (size_t)n) : put(im, piece, (size_t)n);
		if (e != ERR_OK)
			return e;
	}
}

bool crl_state_is_pem(int fd)
{
	uint8_t start[2] = {0, 0};
	ssize_t n = pread(fd, start, sizeof start, 0);
	struct stat s;

	if (n <= 0)
		return false;
	if (start[0] != 0x30 || start[1] >= 0x80) /* no text has octets over 127 there */
		return start[0] != 0x30;
	return fstat(fd, &s) != 0 ||
	       s.st_size != 2 + start[1]; /* "0...", or a tiny list */
}

enum err crl_state_import(
    int from, int fd, uint64_t max_size, const _Atomic bool *stop, uint64_t *size)
{
	struct import im = {.from = from, .to = fd, .max_size = max_size, .stop = stop};
	bool pem = crl_state_is_pem(from);
	uint8_t *piece = malloc(PIECE_BYTES);
	enum err e = ERR_NOMEM;

	im.base64 = EVP_ENCODE_CTX_new();
	if (piece != NULL && im.base64 != NULL)
		e = import_all(&im, piece, pem);
	if (e == ERR_OK && pem) {
		e = line_ends(&im); /* the last line may have no end */
		if (e == ERR_OK && im.at != AFTER)
			e = ERR_CRL_DER;
	}
	EVP_ENCODE_CTX_free(im.base64);
	free(piece);
	*size = im.size;
	return e;
}
