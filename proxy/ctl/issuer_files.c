/* issuer_files.c - a temporary file, the loader's word, a rename. */
#include "proxy/ctl/issuer_files.h"

#include <errno.h>
#include <fcntl.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "cache/base/write_all.h"
#include "conf/conf.h"
#include "conf/settings.h"
#include "proxy/ctl/block.h"

#define MARK     "# made by ocspctl discover, which writes it anew\n"
#define FILE_MAX ((size_t)1 << 20) /* as the loader reads */

static char *path_of(const char *folder, const char *name, const char *end)
{
	char *path;

	return asprintf(&path, "%s/%s%s", folder, name, end) < 0 ? NULL : path;
}

/* What a file of ours holds; owned.  NULL with errno, ENOENT among them; EEXIST: it is
 * somebody else's. */
static char *read_ours(const char *path, size_t *n)
{
	char *text = read_regular_file(path, FILE_MAX, n);

	if (text == NULL ||
	    (*n >= sizeof MARK - 1 && memcmp(text, MARK, sizeof MARK - 1) == 0))
		return text;
	free(text);
	errno = EEXIST;
	return NULL;
}

/* Names. */

static bool has_certificate_of(const char *text, size_t n, const struct proposal *p)
{
	BIO *bio = BIO_new_mem_buf(text, (int)n);
	X509 *x = bio != NULL ? PEM_read_bio_X509(bio, NULL, NULL, NULL) : NULL;
	X509 *ca = p->ca[0]->x;
	bool is =
	    x != NULL &&
	    X509_NAME_cmp(X509_get_subject_name(x), X509_get_subject_name(ca)) == 0 &&
	    ASN1_STRING_cmp(X509_get0_pubkey_bitstr(x), X509_get0_pubkey_bitstr(ca)) == 0;

	X509_free(x);
	BIO_free(bio);
	ERR_clear_error();
	return is;
}

bool issuer_files_is_its(void *folder, const struct proposal *p, const char *name)
{
	char *path = path_of(folder, name, ".pem"), *text;
	size_t n = 0;
	bool is;

	text = path != NULL ? read_ours(path, &n) : NULL;
	is = text != NULL && has_certificate_of(text, n, p);
	free(text);
	free(path);
	return is;
}

/* By another CA of ours.  A file of somebody else's is told when it is to be written. */
bool issuer_files_is_taken(void *folder, const char *name)
{
	char *path = path_of(folder, name, ".pem"), *text;
	size_t n = 0;
	bool is;

	text = path != NULL ? read_ours(path, &n) : NULL;
	is = text != NULL;
	free(text);
	free(path);
	return is;
}

/* The loader. */

bool issuer_text_loads(const char *name, const char *text, char **why)
{
	struct conf_errors errors = {0};
	struct conf *c = conf_load(name, text, &errors);
	bool ok = c != NULL;

	*why = ok ? NULL : strdup(errors.n > 0 ? errors.line[0] : "out of memory");
	conf_free(c);
	conf_errors_free(&errors);
	return ok;
}

bool issuer_files_check(const char *folder, struct found *notes)
{
	struct conf_errors errors = {0};
	char *name = path_of(folder, "discover", "");
	struct conf *c =
	    name == NULL ? NULL : conf_load(name, "include(\"*.conf\")\n", &errors);
	bool ok = c != NULL;

	for (size_t i = 0; i < errors.n; i++)
		found_note(notes, "%s", errors.line[i]);
	conf_free(c);
	conf_errors_free(&errors);
	free(name);
	return ok;
}

/* Writing. */

bool issuer_files_open(const char *folder, struct found *notes)
{
	struct stat st;

	if (mkdir(folder, 0755) == 0)
		return true;
	if (errno == EEXIST && stat(folder, &st) == 0 && S_ISDIR(st.st_mode))
		return true;
	found_note(
	    notes, "%s: %s", folder, errno == EEXIST ? "is no folder" : strerror(errno));
	return false;
}

/* A new file, that nobody else has made there. */
static bool write_new(const char *path, const char *text, size_t n)
{
	int fd, e;

	if (unlink(path) != 0 && errno != ENOENT)
		return false;
	fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0644);
	if (fd < 0)
		return false;
	/* nothing in it is a secret, and the daemon is another user */
	e = fchmod(fd, 0644) == 0 && write_all(fd, text, n) && fsync(fd) == 0 ? 0 : errno;
	if (close(fd) != 0 && e == 0)
		e = errno;
	if (e != 0)
		unlink(path);
	errno = e;
	return e == 0;
}

struct part { /* one of the two files */
	char *path, *fresh, *text;
	size_t n;
	bool differs;
};

static void part_free(struct part *f)
{
	if (f->fresh != NULL)
		unlink(f->fresh);
	free(f->path);
	free(f->fresh);
	free(f->text);
}

static char *pem_text(const struct proposal *p, size_t *n)
{
	char *text = NULL;
	FILE *out = open_memstream(&text, n);
	bool ok = out != NULL && fputs(MARK, out) >= 0;

	for (size_t i = 0; ok && i < p->ca_n; i++)
		ok = PEM_write_X509(out, p->ca[i]->x) == 1;
	if (out != NULL && fclose(out) != 0)
		ok = false;
	if (ok)
		return text;
	free(text);
	return NULL;
}

static char *conf_text(const struct proposal *p, const char *pem, size_t *n)
{
	char *text = NULL;
	FILE *out = open_memstream(&text, n);

	if (out == NULL)
		return NULL;
	fputs(MARK, out);
	block_write(out, p, &pem, 1);
	if (fclose(out) == 0)
		return text;
	free(text);
	return NULL;
}

/* text is handed over.  False with a note. */
static bool part_make(struct part *f, const char *folder, const struct proposal *p,
    const char *end, struct found *notes)
{
	char *old, *hidden = NULL;
	size_t n = 0;

	f->path = path_of(folder, p->name, end);
	if (asprintf(&hidden, ".%s%s", p->name, end) >= 0)
		f->fresh = path_of(folder, hidden, ".new");
	free(hidden);
	if (f->path == NULL || f->fresh == NULL || f->text == NULL) {
		found_note(notes, "out of memory");
		return false;
	}
	old = read_ours(f->path, &n);
	if (old == NULL && errno != ENOENT) {
		found_note(notes,
		    errno == EEXIST ? "%s: is not by ocspctl discover, and is left as it "
				      "is; move it, "
				      "or name another folder"
				    : "%s: cannot be read",
		    f->path);
		return false;
	}
	f->differs = old == NULL || n != f->n || memcmp(old, f->text, n) != 0;
	free(old);
	if (f->differs && !write_new(f->fresh, f->text, f->n)) {
		found_note(notes, "%s: %s", f->fresh, strerror(errno));
		return false;
	}
	return true;
}

/* Is the section right with the certificate as it is beside it now? */
static bool would_load(const struct part *conf, const struct part *pem,
    const struct proposal *p, struct found *notes)
{
	size_t n = 0;
	char *text = conf_text(p, pem->differs ? pem->fresh : pem->path, &n), *why = NULL;
	bool ok = text != NULL && issuer_text_loads(conf->path, text, &why);

	if (!ok)
		found_note(notes, "%s", why != NULL ? why : "out of memory");
	free(why);
	free(text);
	return ok;
}

static bool part_settle(const struct part *f, struct found *notes)
{
	if (!f->differs || rename(f->fresh, f->path) == 0)
		return true;
	found_note(notes, "%s: %s", f->path, strerror(errno));
	return false;
}

enum issuer_file issuer_files_put(
    const char *folder, const struct proposal *p, struct found *notes)
{
	struct part conf = {0}, pem = {0};
	char pem_name[PROPOSAL_NAME_MAX + 4];
	bool ok;

	snprintf(pem_name, sizeof pem_name, "%s.pem", p->name);
	pem.text = pem_text(p, &pem.n);
	conf.text = conf_text(p, pem_name, &conf.n);
	ok = part_make(&pem, folder, p, ".pem", notes) &&
	     part_make(&conf, folder, p, ".conf", notes) &&
	     would_load(&conf, &pem, p, notes) && part_settle(&pem, notes) &&
	     part_settle(&conf, notes);
	part_free(&pem);
	part_free(&conf);
	return !ok                           ? ISSUER_FILE_REFUSED
	       : pem.differs || conf.differs ? ISSUER_FILE_WRITTEN
					     : ISSUER_FILE_SAME;
}
