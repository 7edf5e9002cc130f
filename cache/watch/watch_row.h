/* watch_row.h - one row of CSV after another (RFC 4180), fed in pieces.
 *
 * Fields are separated by commas; one that begins with a quote ends with the next quote
 * that is alone, and two of them are one in it; there may be no quote in others.  Rows
 * end with LF or CR LF; a CR by itself is allowed inside of quotes only.  Rows without
 * anything in them are passed over.  A plain state of one reader.
 */
#ifndef CACHE_WATCH_WATCH_ROW_H
#define CACHE_WATCH_WATCH_ROW_H

#include "cache/watch/watch_error.h"

/* More columns than a spreadsheet program shows at once are no inventory. */
#define WATCH_COLUMNS_MAX 1024

struct watch_row;

struct watch_row *watch_row_new(size_t max); /* octets of a row; NULL: out of memory */
void watch_row_free(struct watch_row *r);

enum watch_row_step {
	WATCH_ROW_MORE,  /* the piece is used up */
	WATCH_ROW_WHOLE, /* a row is there, borrowed until the next step */
	WATCH_ROW_BAD,   /* one is not RFC 4180, and passed over */
	WATCH_ROW_OVER   /* too long, or out of memory: nothing can be read behind it */
};
/* Reads on from the piece, which is moved to what is not used yet.  e, with its line, of
 * the last two. */
enum watch_row_step watch_row_step(
    struct watch_row *r, struct bytes *piece, struct watch_error *e);
/* What was fed has no more; WHOLE at most once, then MORE. */
enum watch_row_step watch_row_end(struct watch_row *r, struct watch_error *e);

uint64_t watch_row_line(const struct watch_row *r); /* where the row begins, from 1 */
size_t watch_row_fields(const struct watch_row *r); /* 1.. */
struct bytes watch_row_field(const struct watch_row *r, size_t i);

#endif
