/* crl_pem.c - line by line outside of a list, base64 in slices inside. */
#include "proxy/lists/crl_pem.h"

#include <ctype.h>
#include <errno.h>
#include <openssl/evp.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define PIECE_BYTES  (256 * 1024)
#define PEM_LINE_MAX 80 /* what is remembered of a line; our two are shorter */
#define PEM_BEGIN    "-----BEGIN X509 CRL-----"
#define PEM_END      "-----END X509 CRL-----"
#define PEM_MARK     "\xef\xbb\xbf" /* U+FEFF: editors write it before the first line */

struct crl_pem {
	int from, to;
	uint64_t max_size, size; /* size: written of this list */
	const _Atomic bool *stop;
	enum { TEXT, INSIDE, ENDING, COMPLETE } at;
	EVP_ENCODE_CTX *base64;
	char line[PEM_LINE_MAX]; /* the line that is being read, TEXT, ENDING */
	size_t line_n;
	bool line_start; /* INSIDE: the next character begins a line */
	bool begun;      /* the first line is over */
	bool over;       /* and so is the file */
	uint8_t *piece;
	const uint8_t *p; /* what of the piece is not taken yet */
	size_t n;
};

static enum err put(struct crl_pem *x, const uint8_t *p, size_t n)
{
	if (n > x->max_size - x->size)
		return ERR_CRL_LARGE;
	x->size += n;
	while (x->to >= 0 && n > 0) {
		ssize_t wrote = write(x->to, p, n);

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
static enum err decode(struct crl_pem *x, const uint8_t *p, size_t n)
{
	uint8_t out[3072 + 64];
	enum err e = ERR_OK;

	while (n > 0 && e == ERR_OK) {
		int k = n < 4096 ? (int)n : 4096, out_n = 0;

		if (EVP_DecodeUpdate(x->base64, out, &out_n, p, k) < 0)
			return ERR_CRL_DER;
		e = put(x, out, (size_t)out_n);
		p += k;
		n -= (size_t)k;
	}
	return e;
}

static enum err block_ends(struct crl_pem *x)
{
	uint8_t out[64];
	int n = 0;

	x->at = COMPLETE;
	if (strcmp(x->line, PEM_END) != 0 || EVP_DecodeFinal(x->base64, out, &n) != 1)
		return ERR_CRL_DER;
	return put(x, out, (size_t)n);
}

/* A line is whole: is it one of ours? */
static enum err line_ends(struct crl_pem *x)
{
	const char *line = x->line;
	size_t mark = strlen(PEM_MARK);

	while (x->line_n > 0 && isspace((unsigned char)x->line[x->line_n - 1]))
		x->line_n--;
	x->line[x->line_n] = '\0';
	x->line_n = 0;
	if (x->at == ENDING)
		return block_ends(x);
	if (!x->begun && strncmp(line, PEM_MARK, mark) == 0)
		line += mark;
	x->begun = true;
	if (strcmp(line, PEM_BEGIN) != 0)
		return ERR_OK;
	x->at = INSIDE;
	x->line_start = true;
	EVP_DecodeInit(x->base64);
	return ERR_OK;
}

/* Text up to the end of its line. */
static enum err take_text(struct crl_pem *x)
{
	const uint8_t *end = memchr(x->p, '\n', x->n);
	size_t k = end == NULL ? x->n : (size_t)(end - x->p);

	for (size_t i = 0; i < k && x->line_n < sizeof x->line - 1; i++)
		x->line[x->line_n++] = x->p[i] == '\0' ? ' ' : (char)x->p[i];
	if (end != NULL)
		k++;
	x->p += k;
	x->n -= k;
	return end != NULL ? line_ends(x) : ERR_OK;
}

/* Base64 up to the '-' that begins the last line. */
static enum err take_base64(struct crl_pem *x)
{
	const uint8_t *end = memchr(x->p, '-', x->n);
	size_t k = end == NULL ? x->n : (size_t)(end - x->p);
	enum err e = ERR_OK;

	if (k > 0) {
		e = decode(x, x->p, k);
		x->line_start = x->p[k - 1] == '\n';
	}
	x->p += k;
	x->n -= k;
	if (end == NULL || e != ERR_OK)
		return e;
	x->at = ENDING;
	return x->line_start ? ERR_OK : ERR_CRL_DER;
}

/* The next piece; at the file's end the last line, which may have no end. */
static enum err more(struct crl_pem *x)
{
	ssize_t n;

	do
		n = read(x->from, x->piece, PIECE_BYTES);
	while (n < 0 && errno == EINTR);
	if (n < 0)
		return ERR_STORE;
	if (x->stop != NULL && atomic_load(x->stop))
		return ERR_CANCELLED;
	x->p = x->piece;
	x->n = (size_t)n;
	x->over = n == 0;
	return x->over && x->at != INSIDE ? line_ends(x) : ERR_OK;
}

enum err crl_pem_next(struct crl_pem *x, int to)
{
	enum err e = ERR_OK;

	x->to = to;
	x->size = 0;
	x->at = TEXT;
	while (e == ERR_OK && x->at != COMPLETE) {
		if (x->over)
			return x->at == TEXT ? ERR_NOT_FOUND : ERR_CRL_DER;
		if (x->n == 0)
			e = more(x);
		else
			e = x->at == INSIDE ? take_base64(x) : take_text(x);
	}
	return e;
}

struct crl_pem *crl_pem_open(int from, uint64_t max_size, const _Atomic bool *stop)
{
	struct crl_pem *x = calloc(1, sizeof *x);

	if (x == NULL)
		return NULL;
	x->from = from;
	x->max_size = max_size;
	x->stop = stop;
	x->base64 = EVP_ENCODE_CTX_new();
	x->piece = malloc(PIECE_BYTES);
	if (x->base64 == NULL || x->piece == NULL || lseek(from, 0, SEEK_SET) != 0) {
		crl_pem_close(x);
		return NULL;
	}
	return x;
}

void crl_pem_close(struct crl_pem *x)
{
	if (x == NULL)
		return;
	EVP_ENCODE_CTX_free(x->base64);
	free(x->piece);
	free(x);
}

bool crl_pem_is(int fd)
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
