/* ccadb.c - columns by the header line, arrays by watch_json.h. */
#include "cache/watch/ccadb.h"

#include <openssl/evp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cache/base/utf8.h"
#include "cache/watch/watch_issuer.h"
#include "cache/watch/watch_json.h"
#include "cache/watch/watch_row.h"
#include "cache/watch/watch_texts.h"

enum column { C_NAME, C_FINGERPRINT, C_KEY, C_FULL, C_ALL_FULL, C_PARTS, COLUMNS };
static const char *const column[COLUMNS] = {
    [C_NAME] = "Certificate Name",
    [C_FINGERPRINT] = "SHA-256 Fingerprint",
    [C_KEY] = "Subject Key Identifier",
    [C_FULL] = "Full CRL Issued By This CA",
    [C_ALL_FULL] = "JSON Array of All Full CRL URLs",
    [C_PARTS] = "JSON Array of Partitioned CRLs",
};

#define NO_COLUMN SIZE_MAX

struct ccadb_urls {
	struct bytes at[CCADB_URLS_MAX];
	size_t n;
};

struct ccadb_reader {
	struct ccadb_want want;
	struct watch_row *row;
	struct watch_error error;
	size_t at[COLUMNS];
	size_t columns; /* 0: the header is still to come */
	uint8_t bom_n;  /* octets of a byte order mark so far */
	uint8_t key[WATCH_AKI_MAX];
	struct ccadb_urls full, part;
	/* Strings with escapes are decoded here. */
	uint8_t room[2][CCADB_ROW_MAX];
};

/* Columns. */

static bool is_needed(const struct ccadb_reader *r, enum column c)
{
	switch (c) {
	case C_NAME:
	case C_KEY:
		return true;
	case C_FINGERPRINT:
		return false;
	case C_ALL_FULL: /* newer than the others */
		return r->at[C_FULL] == NO_COLUMN;
	default:
		return c != C_FULL || r->at[C_ALL_FULL] == NO_COLUMN;
	}
}

static bool columns_are_there(struct ccadb_reader *r)
{
	char missing[sizeof r->error.why] = "";
	size_t n = 0;

	for (int c = 0; c < COLUMNS; c++)
		if (r->at[c] == NO_COLUMN && is_needed(r, (enum column)c))
			n += (size_t)snprintf(missing + n, sizeof missing - n, "%s\"%s\"",
			    n > 0 ? ", " : "", column[c]);
	return n == 0 || watch_refuse(&r->error, WATCH_BAD_COLUMN,
			     "the header line has no column %.200s", missing);
}

static bool take_header(struct ccadb_reader *r)
{
	r->columns = watch_row_fields(r->row);
	for (int c = 0; c < COLUMNS; c++) {
		r->at[c] = NO_COLUMN;
		for (size_t i = 0; i < r->columns; i++) {
			struct bytes f = watch_row_field(r->row, i);

			if (strlen(column[c]) == f.n && memcmp(column[c], f.p, f.n) == 0)
				r->at[c] = i;
		}
	}
	r->error.line = 1;
	return columns_are_there(r);
}

static struct bytes value(const struct ccadb_reader *r, enum column c)
{
	struct bytes s = bytes_of(NULL, 0);

	if (r->at[c] == NO_COLUMN)
		return s;
	s = watch_row_field(r->row, r->at[c]);
	while (s.n > 0 && s.p[0] <= ' ')
		s = bytes_of(s.p + 1, s.n - 1);
	while (s.n > 0 && s.p[s.n - 1] <= ' ')
		s.n--;
	return s;
}

/* Who it is. */

static bool take_key(struct ccadb_reader *r, struct ccadb_record *out)
{
	uint8_t room[WATCH_AKI_MAX + 2];
	struct bytes text = value(r, C_KEY);
	int n;

	if (text.n == 0)
		return true;
	/* EVP_DecodeBlock() counts padding as octets */
	if (text.n % 4 != 0 || text.n / 4 * 3 > sizeof room)
		return false;
	n = EVP_DecodeBlock(room, text.p, (int)text.n);
	for (size_t i = text.n; n > 0 && i > text.n - 2 && text.p[i - 1] == '='; i--)
		n--;
	if (n <= 0 || n > WATCH_AKI_MAX)
		return false;
	memcpy(r->key, room, (size_t)n);
	out->key = bytes_of(r->key, (size_t)n);
	return true;
}

static bool take_fingerprint(struct ccadb_reader *r, struct ccadb_record *out)
{
	struct bytes text = value(r, C_FINGERPRINT);
	uint8_t octets[WATCH_AKI_MAX];
	size_t n;

	if (text.n == 0)
		return true;
	if (!watch_aki_from_hex(text, octets, &n) || n != sizeof out->sha256)
		return false;
	memcpy(out->sha256, octets, n);
	out->has_fingerprint = true;
	return true;
}

/* Lists. */

static bool has_url(const struct ccadb_urls *u, struct bytes url)
{
	for (size_t i = 0; i < u->n; i++)
		if (u->at[i].n == url.n && memcmp(u->at[i].p, url.p, url.n) == 0)
			return true;
	return false;
}

/* False: it is no URL that can be a list's, or one too many. */
static bool add_url(struct ccadb_urls *u, struct bytes url)
{
	if (url.n == 0 || has_url(u, url))
		return true;
	if (url.n > CCADB_URL_MAX || !watch_url_is_fetchable(url) ||
	    u->n == CCADB_URLS_MAX)
		return false;
	u->at[u->n++] = url;
	return true;
}

/* False: not all of it could be read. */
static bool add_array(
    struct ccadb_reader *r, struct ccadb_urls *u, struct bytes text, int room)
{
	struct watch_error e = {0};
	struct watch_json j = {text.p, text.p, text.p + text.n, r->room[room], &e};
	struct bytes url;
	bool all = true;

	if (text.n == 0)
		return true;
	if (!watch_json_expect(&j, '['))
		return false;
	if (watch_json_take(&j, ']'))
		return watch_json_peek(&j) == 0 && j.p == j.end;
	do {
		if (!watch_json_string(&j, &url))
			return false;
		all = add_url(u, url) && all;
	} while (watch_json_take(&j, ','));
	return watch_json_expect(&j, ']') && watch_json_peek(&j) == 0 && j.p == j.end &&
	       all;
}

/* The row. */

static void tell(struct ccadb_reader *r, const char *why)
{
	struct watch_error e = {.line = watch_row_line(r->row)};

	watch_refuse(&e, WATCH_BAD_FIELD, "%s", why);
	if (r->want.bad != NULL)
		r->want.bad(r->want.arg, &e);
}

static bool take_record(struct ccadb_reader *r)
{
	struct ccadb_record out = {
	    .line = watch_row_line(r->row), .name = value(r, C_NAME)};

	r->full.n = r->part.n = 0;
	if (watch_row_fields(r->row) != r->columns || !utf8_is_valid(out.name) ||
	    !take_key(r, &out) || !take_fingerprint(r, &out)) {
		tell(r, "it has other fields than the header, a name that is no UTF-8, a "
			"key identifier that is no base64, or a bad fingerprint");
		return true;
	}
	if (out.key.n == 0 && !out.has_fingerprint)
		return true;
	out.malformed = !add_url(&r->full, value(r, C_FULL));
	out.malformed = !add_array(r, &r->full, value(r, C_ALL_FULL), 0) || out.malformed;
	out.malformed = !add_array(r, &r->part, value(r, C_PARTS), 1) || out.malformed;
	if (out.malformed)
		tell(r, "it names lists that are no array of URLs");
	out.full = r->full.at;
	out.full_n = r->full.n;
	out.part = r->part.at;
	out.part_n = r->part.n;
	return r->want.record(r->want.arg, &out) ||
	       watch_refuse(&r->error, WATCH_STOPPED, "stopped");
}

static bool take_step(struct ccadb_reader *r, enum watch_row_step step)
{
	switch (step) {
	case WATCH_ROW_WHOLE:
		return r->columns == 0 ? take_header(r) : take_record(r);
	case WATCH_ROW_BAD: /* what is behind a bad header means nothing */
		if (r->columns > 0 && r->want.bad != NULL)
			r->want.bad(r->want.arg, &r->error);
		return r->columns > 0;
	case WATCH_ROW_OVER:
		return false;
	default:
		return true;
	}
}

static bool feed(struct ccadb_reader *r, struct bytes piece)
{
	while (piece.n > 0)
		if (!take_step(r, watch_row_step(r->row, &piece, &r->error)))
			return false;
	return true;
}

bool ccadb_reader_feed(struct ccadb_reader *r, struct bytes piece, struct watch_error *e)
{
	static const uint8_t bom[] = {0xef, 0xbb, 0xbf};
	bool good = true;

	while (r->bom_n < 3 && piece.n > 0 && piece.p[0] == bom[r->bom_n]) {
		r->bom_n++;
		piece = bytes_of(piece.p + 1, piece.n - 1);
	}
	if (r->bom_n < 3 && piece.n > 0) { /* what only began like one is text */
		good = feed(r, bytes_of(bom, r->bom_n));
		r->bom_n = 3;
	}
	good = good && feed(r, piece);
	if (!good)
		*e = r->error;
	return good;
}

bool ccadb_reader_end(struct ccadb_reader *r, struct watch_error *e)
{
	bool good = take_step(r, watch_row_end(r->row, &r->error));

	if (good && r->columns == 0) {
		r->error.line = 1;
		good =
		    watch_refuse(&r->error, WATCH_BAD_COLUMN, "there is no header line");
	}
	if (!good)
		*e = r->error;
	return good;
}

struct ccadb_reader *ccadb_reader_new(const struct ccadb_want *want)
{
	struct ccadb_reader *r = malloc(sizeof *r);

	if (r == NULL)
		return NULL;
	r->want = *want;
	r->columns = 0;
	r->bom_n = 0;
	r->error = (struct watch_error){0};
	r->row = watch_row_new(CCADB_ROW_MAX);
	if (r->row == NULL) {
		free(r);
		return NULL;
	}
	return r;
}

void ccadb_reader_free(struct ccadb_reader *r)
{
	if (r == NULL)
		return;
	watch_row_free(r->row);
	free(r);
}
