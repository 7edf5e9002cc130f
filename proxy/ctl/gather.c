/* gather.c - what is named is opened; what is met in a folder, as far as that allows. */
#include "proxy/ctl/gather.h"

#include <errno.h>
#include <fcntl.h>
#include <openssl/crypto.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cache/watch/watch_body.h"
#include "cache/watch/watch_pem.h"
#include "conf/address.h"
#include "proxy/ctl/crt_list.h"
#include "proxy/ctl/tls_chain.h"
#include "proxy/watch/watch_walk.h"

/* Octets of a file: that is met in a folder, as with watchlists; that was named, such as
 * a bundle of all CAs. */
#define MET_MAX   ((size_t)1 << 20)
#define NAMED_MAX ((size_t)64 << 20)
/* The whole conversation with a server. */
#define SERVER_TIMEOUT_MS 10000

/* PEM and DER. */

struct pem_reading {
	struct found *found;
	size_t n, bad;
};

static bool on_block(void *arg, uint64_t line, struct bytes der, bool trusted)
{
	struct pem_reading *r = arg;
	const unsigned char *p = der.p;
	X509 *x;

	(void)line;
	if (trusted && (x = d2i_X509_AUX(NULL, &p, (long)der.n)) != NULL) {
		unsigned char *plain = NULL;
		int n = i2d_X509(x, &plain);

		if (n > 0 && found_add(r->found, bytes_of(plain, (size_t)n)))
			r->n++;
		OPENSSL_free(plain);
		X509_free(x);
	} else if (found_add(r->found, der)) {
		r->n++;
	} else {
		r->bad++;
	}
	return true;
}

static bool on_bad(void *arg, struct watch_error *e)
{
	struct pem_reading *r = arg;

	(void)e;
	r->bad++;
	return true;
}

static bool has_pem(struct bytes text)
{
	return memmem(text.p, text.n, "-----BEGIN ", 11) != NULL;
}

bool gather_text(struct found *f, struct bytes text)
{
	struct pem_reading r = {.found = f};
	struct watch_pem *pem;

	if (!has_pem(text))
		return text.n > 0 && text.p[0] == 0x30 && found_add(f, text);
	pem = watch_pem_new(WATCH_BLOCK_MAX, on_block, on_bad, &r);
	if (pem == NULL || !watch_pem_feed(pem, text) || !watch_pem_end(pem))
		r.bad++;
	watch_pem_free(pem);
	if (r.bad > 0 && r.n > 0)
		found_note(f, "%s: not all of its blocks can be read; export it again",
		    found_place(f));
	return r.n > 0;
}

/* Files. */

static void fail(struct gather *g, const char *path, int error)
{
	found_note(g->found, "%s: %s", path, strerror(error));
}

/* The whole file; NULL with errno. */
static uint8_t *read_whole(int fd, size_t max, size_t *n)
{
	struct stat st;
	uint8_t *text;
	ssize_t got = 0;

	if (fstat(fd, &st) != 0)
		return NULL;
	errno = !S_ISREG(st.st_mode) ? EINVAL : EFBIG;
	if (!S_ISREG(st.st_mode) || st.st_size < 0 || (size_t)st.st_size > max)
		return NULL;
	text = malloc((size_t)st.st_size + 1);
	for (*n = 0; text != NULL && *n < (size_t)st.st_size; *n += (size_t)got) {
		got = read(fd, text + *n, (size_t)st.st_size - *n);
		if (got <= 0)
			break;
	}
	if (got < 0) {
		OPENSSL_cleanse(text, *n);
		free(text);
		return NULL;
	}
	return text;
}

/* The certificates of a file; path: how it is called.  -1: it cannot be read, errno says
 * why; 0: none. The text is the caller's, who wipes it. */
static int take_file(
    struct gather *g, const char *path, struct bytes *text, int fd, size_t max)
{
	size_t n = 0;
	uint8_t *p = fd < 0 ? NULL : read_whole(fd, max, &n);
	int e = errno;
	bool any;

	if (fd >= 0)
		close(fd);
	errno = e;
	if (p == NULL)
		return -1;
	*text = bytes_of(p, n);
	g->read += (int64_t)n;
	progress_draw(g->progress, g->read, -1, false);
	if (!found_begin(g->found, path)) {
		g->nomem = true;
		return 0;
	}
	any = gather_text(g->found, *text);
	found_end(g->found, any);
	return any;
}

static void wipe(struct bytes *text)
{
	uint8_t *p = (uint8_t *)(uintptr_t)text->p;

	if (p != NULL)
		OPENSSL_cleanse(p, text->n);
	free(p);
	*text = bytes_of(NULL, 0);
}

static bool take_crt_list(struct gather *g, const char *path, struct bytes text);

/* A file that somebody named; links are followed, as his word leads. */
static void take_named(struct gather *g, const char *path, bool may_be_list)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
	struct bytes text = {0};
	int n = take_file(g, path, &text, fd, NAMED_MAX);

	if (n < 0 && errno == EFBIG)
		found_note(g->found, "%s: is over %zu MiB", path, NAMED_MAX >> 20);
	else if (n < 0)
		fail(g, path, errno);
	else if (n == 0 && !has_pem(text) && may_be_list && take_crt_list(g, path, text))
		n = 1;
	if (n == 0)
		found_note(g->found, "%s: holds no certificate%s", path,
		    may_be_list ? ", and is no crt-list of HAProxy's" : "");
	wipe(&text);
}

static void on_met(void *arg, const char *path, const char *target, const struct stat *st)
{
	struct gather *g = arg;
	struct bytes text = {0};
	int fd;

	if ((size_t)st->st_size > MET_MAX)
		return;
	fd = open(target, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
	if (take_file(g, path, &text, fd, MET_MAX) < 0 && errno != ENOENT)
		fail(g, path, errno);
	wipe(&text);
}

static void on_folder(void *arg, const char *path)
{
	(void)arg;
	(void)path;
}

static void on_failed(void *arg, const char *path, int error)
{
	struct gather *g = arg;

	if (error == EXDEV)
		found_note(
		    g->found, "%s: leads out of the folder; name it by itself", path);
	else
		fail(g, path, error);
}

/* HAProxy's lists. */

/* As seen from the folder of the list; owned. */
static char *beside(const char *list, const char *path)
{
	const char *slash = strrchr(list, '/');
	char *out;

	if (path[0] == '/' || slash == NULL)
		return strdup(path);
	return asprintf(&out, "%.*s/%s", (int)(slash - list), list, path) < 0 ? NULL
									      : out;
}

static void take_entry(struct gather *g, const char *list, const char *path)
{
	char *file = beside(list, path), *issuer = NULL;

	if (file == NULL || asprintf(&issuer, "%s.issuer", file) < 0) {
		g->nomem = true;
		issuer = NULL;
	} else {
		take_named(g, file, false);
		if (access(issuer, F_OK) == 0)
			take_named(g, issuer, false);
	}
	free(file);
	free(issuer);
}

/* False: nothing in it is a path that is there, so that this is none. */
static bool take_crt_list(struct gather *g, const char *list, struct bytes text)
{
	const uint8_t *p = text.p, *end = text.p + text.n;
	char path[PATH_MAX], *file;
	size_t n = 0;

	while (p < end && n < CRT_LIST_MAX && !g->nomem) {
		const uint8_t *nl = memchr(p, '\n', (size_t)(end - p));
		struct bytes line = bytes_of(p, (size_t)((nl != NULL ? nl : end) - p));

		p += line.n + 1;
		if (!crt_list_path(line, path))
			continue;
		file = n == 0 ? beside(list, path) : NULL;
		if (n++ == 0 && (file == NULL || access(file, F_OK) != 0)) {
			free(file);
			return false;
		}
		free(file);
		take_entry(g, list, path);
	}
	if (n == CRT_LIST_MAX)
		found_note(
		    g->found, "%s: is read up to its certificate %d", list, CRT_LIST_MAX);
	return n > 0;
}

/* Servers. */

static void on_chain(void *arg, struct bytes der)
{
	struct gather *g = arg;

	found_add(g->found, der);
}

static void take_server(struct gather *g, const char *what, const struct address *at)
{
	char why[256], doing[HOST_MAX + 32];

	snprintf(doing, sizeof doing, "asking %s:%d", at->host, at->port);
	g->progress->what = doing;
	progress_draw(g->progress, -1, -1, true);
	if (!found_begin(g->found, what))
		g->nomem = true;
	else if (!tls_chain(at, SERVER_TIMEOUT_MS, on_chain, g, why, sizeof why))
		found_note(g->found, "%s: %s", what, why);
	progress_clear(g->progress);
	g->progress->what = "reading";
}

/* Absolute, so that a configuration anywhere may name it; owned. */
static char *absolute(const char *path)
{
	char *here = path[0] == '/' ? NULL : getcwd(NULL, 0), *out = NULL;

	if (here == NULL)
		return path[0] == '/' ? strdup(path) : NULL;
	if (asprintf(&out, "%s/%s", here, path) < 0)
		out = NULL;
	free(here);
	return out;
}

void gather(struct gather *g, const char *what)
{
	const struct watch_walk w = {on_met, on_folder, on_failed, g};
	struct address at;
	struct stat st;
	char *path;

	if (stat(what, &st) != 0) {
		int e = errno;

		if (strchr(what, '/') == NULL && address_parse(what, &at) == NULL)
			take_server(g, what, &at);
		else
			fail(g, what, e);
		return;
	}
	path = absolute(what);
	if (path == NULL)
		g->nomem = true;
	else if (!S_ISDIR(st.st_mode))
		take_named(g, path, true);
	else if (!watch_walk(&w, path))
		g->nomem = true;
	free(path);
}
