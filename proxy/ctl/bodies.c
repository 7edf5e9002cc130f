/* bodies.c - a list of files, and lines of PEM that are kept until their block is whole.
 */
#include "proxy/ctl/bodies.h"

#include <errno.h>
#include <fts.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "proxy/ctl/table.h"

#define PIECE     (64 * 1024)
#define BLOCK_MAX (512 * 1024) /* of a certificate: more than the server takes */

struct bodies {
	char **file;
	size_t n, room, at; /* at: the next one to open */
	const char *name;   /* of the open one */
	FILE *in;
	int64_t done, size;
	size_t unreadable;
	enum watch_format format;
	bool sniffed;
	bodies_cert_fn *each;
	void *arg;
	struct watch_body *reader; /* of the open file */
	/* PEM: */
	char *line, *block;
	size_t line_room, block_n;
	bool in_block, too_long;
	/* What is to be sent, from out_at on. */
	char *out;
	size_t out_n, out_at, out_room;
};

/* Files. */

static bool add_file(struct bodies *b, const char *path, int64_t size)
{
	size_t room = b->room > 0 ? 2 * b->room : 16;

	if (b->n == b->room) {
		char **p = realloc(b->file, room * sizeof *p);

		if (p == NULL)
			return false;
		b->file = p;
		b->room = room;
	}
	b->file[b->n] = strdup(path);
	if (b->file[b->n] == NULL)
		return false;
	b->n++;
	b->size = size < 0 || b->size < 0 ? -1 : b->size + size;
	return true;
}

static void unreadable(struct bodies *b, const char *path, int e)
{
	b->unreadable++;
	fputs("ocspctl: ", stderr);
	show_text(stderr, path);
	fprintf(stderr, ": %s\n", strerror(e));
}

static int by_name(const FTSENT **x, const FTSENT **y)
{
	return strcmp((*x)->fts_name, (*y)->fts_name);
}

static bool add_tree(struct bodies *b, char *path)
{
	char *const roots[] = {path, NULL};
	FTS *tree = fts_open(roots, FTS_COMFOLLOW | FTS_PHYSICAL | FTS_NOCHDIR, by_name);
	bool well = tree != NULL;
	FTSENT *e;

	while (well && (e = fts_read(tree)) != NULL) {
		if (e->fts_info == FTS_F)
			well = add_file(b, e->fts_path, (int64_t)e->fts_statp->st_size);
		else if (e->fts_info == FTS_DNR || e->fts_info == FTS_ERR ||
			 e->fts_info == FTS_NS)
			unreadable(b, e->fts_path, e->fts_errno);
	}
	if (tree != NULL)
		fts_close(tree);
	return well;
}

static bool add_all(struct bodies *b, char *const *paths, size_t n)
{
	bool well = n > 0 || add_file(b, "-", -1);

	for (size_t i = 0; i < n && well; i++)
		well = strcmp(paths[i], "-") == 0 ? add_file(b, "-", -1)
						  : add_tree(b, paths[i]);
	return well;
}

/* What is sent. */

static bool send_bytes(struct bodies *b, const void *p, size_t n)
{
	if (b->out_room - b->out_n < n) {
		size_t room = 2 * (b->out_n + n);
		char *q = realloc(b->out, room);

		if (q == NULL)
			return false;
		b->out = q;
		b->out_room = room;
	}
	memcpy(b->out + b->out_n, p, n);
	b->out_n += n;
	return true;
}

static bool on_cert(void *arg, const struct watch_cert *c)
{
	struct bodies *b = arg;
	char name[512] = "", serial[SERIAL_HEX_MAX];
	struct bodies_cert told = {b->name, name, serial};

	serial_to_hex(&c->serial, serial);
	if (c->names_n > 0)
		snprintf(name, sizeof name, "%.*s", (int)c->names[0].n,
		    (const char *)c->names[0].p);
	b->each(b->arg, &told);
	return true;
}

static bool on_bad(void *arg, const struct watch_error *e)
{
	struct bodies *b = arg;
	struct bodies_cert told = {b->name, NULL, ""};

	(void)e;
	b->each(b->arg, &told);
	return true;
}

static struct watch_body *reader_new(struct bodies *b)
{
	struct watch_want want = {
	    .format = WATCH_PEM, .each = on_cert, .bad = on_bad, .arg = b};

	return watch_body_new(&want);
}

/* "-----BEGIN CERTIFICATE-----" and what else a certificate is called; begin: or END. */
static bool is_boundary(const char *line, const char *word)
{
	static const char *const label[] = {
	    "CERTIFICATE-----", "X509 CERTIFICATE-----", "TRUSTED CERTIFICATE-----"};
	size_t n = strlen(word);

	if (strncmp(line, "-----", 5) != 0 || strncmp(line + 5, word, n) != 0)
		return false;
	line += 5 + n;
	for (size_t i = 0; i < sizeof label / sizeof label[0]; i++) {
		size_t k = strlen(label[i]);

		if (strncmp(line, label[i], k) == 0 &&
		    strspn(line + k, " \t\r\n") == strlen(line + k))
			return true;
	}
	return false;
}

/* A block is whole: to the server, and to our reader. */
static bool send_block(struct bodies *b)
{
	bool well = send_bytes(b, b->block, b->block_n);

	if (well && b->each != NULL) {
		if (b->reader == NULL)
			b->reader = reader_new(b);
		if (b->reader != NULL)
			watch_body_feed(b->reader, bytes_of(b->block, b->block_n));
	}
	return well;
}

static bool take_line(struct bodies *b, size_t n)
{
	if (is_boundary(b->line, "BEGIN ")) {
		b->in_block = true;
		b->block_n = 0;
	}
	if (!b->in_block)
		return true;
	if (b->block_n + n + 1 > BLOCK_MAX) {
		b->in_block = false;
		return true;
	}
	memcpy(b->block + b->block_n, b->line, n);
	b->block_n += n;
	if (!is_boundary(b->line, "END "))
		return true;
	b->in_block = false;
	if (b->block[b->block_n - 1] != '\n')
		b->block[b->block_n++] = '\n';
	return send_block(b);
}

/* False: the file is over. */
static bool read_line(struct bodies *b)
{
	ssize_t n = getline(&b->line, &b->line_room, b->in);

	if (n < 0)
		return false;
	b->done += n;
	return take_line(b, (size_t)n);
}

static bool read_piece(struct bodies *b)
{
	char piece[PIECE];
	size_t n = fread(piece, 1, sizeof piece, b->in);

	b->done += (int64_t)n;
	return n > 0 && send_bytes(b, piece, n);
}

/* From file to file. */

static bool is_csv(const char *name)
{
	size_t n = strlen(name);

	return n > 4 && strcmp(name + n - 4, ".csv") == 0;
}

static void sniff(struct bodies *b)
{
	int c;

	b->sniffed = true;
	if (b->format == WATCH_CSV || is_csv(b->name)) {
		b->format = WATCH_CSV;
		return;
	}
	do
		c = getc(b->in);
	while (c == ' ' || c == '\t' || c == '\r' || c == '\n');
	if (c != EOF)
		ungetc(c, b->in);
	if (c == '{')
		b->format = WATCH_NDJSON;
}

static void end_file(struct bodies *b)
{
	if (ferror(b->in))
		unreadable(b, b->name, errno);
	if (b->in != stdin)
		fclose(b->in);
	b->in = NULL;
	b->in_block = false;
	if (b->reader != NULL)
		watch_body_end(b->reader);
	watch_body_free(b->reader);
	b->reader = NULL;
}

/* False: there are no more. */
static bool next_file(struct bodies *b)
{
	while (b->in == NULL && b->at < b->n) {
		b->name = b->file[b->at++];
		b->in = strcmp(b->name, "-") == 0 ? stdin : fopen(b->name, "r");
		if (b->in == NULL)
			unreadable(b, b->name, errno);
		else if (!b->sniffed)
			sniff(b);
	}
	return b->in != NULL;
}

size_t bodies_read(struct bodies *b, char *p, size_t room)
{
	size_t n;

	while (b->out_at == b->out_n && next_file(b)) {
		b->out_at = b->out_n = 0;
		if (b->format == WATCH_PEM ? !read_line(b) : !read_piece(b))
			end_file(b);
	}
	n = b->out_n - b->out_at < room ? b->out_n - b->out_at : room;
	if (n > 0)
		memcpy(p, b->out + b->out_at, n);
	b->out_at += n;
	return n;
}

/* Life. */

void bodies_close(struct bodies *b)
{
	if (b == NULL)
		return;
	if (b->in != NULL)
		end_file(b);
	for (size_t i = 0; i < b->n; i++)
		free(b->file[i]);
	free(b->file);
	free(b->line);
	free(b->block);
	free(b->out);
	free(b);
}

struct bodies *bodies_open(char *const *paths, size_t n, enum watch_format unsaid,
    bodies_cert_fn *each, void *arg)
{
	struct bodies *b = calloc(1, sizeof *b);

	if (b == NULL)
		return NULL;
	b->each = each;
	b->arg = arg;
	b->format = unsaid;
	b->block = malloc(BLOCK_MAX);
	if (b->block == NULL || !add_all(b, paths, n)) {
		bodies_close(b);
		return NULL;
	}
	next_file(b);
	return b;
}

enum watch_format bodies_format(const struct bodies *b)
{
	return b->format;
}

const char *bodies_type(const struct bodies *b)
{
	return b->format == WATCH_PEM      ? "application/x-pem-file"
	       : b->format == WATCH_NDJSON ? "application/x-ndjson"
	       : b->format == WATCH_PLAIN  ? "text/plain"
					   : "text/csv";
}

int64_t bodies_done(const struct bodies *b)
{
	return b->done;
}

int64_t bodies_size(const struct bodies *b)
{
	return b->size;
}

size_t bodies_unreadable(const struct bodies *b)
{
	return b->unreadable;
}
