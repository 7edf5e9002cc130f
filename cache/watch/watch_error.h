/* watch_error.h - what is wrong with a line of a body, in words for who sent it.
 *
 * One table, as of err.h: the label is what the API calls it ({"error":{"code"}}), so it
 * is part of the contract once released.  Plain values, any thread.
 */
#ifndef CACHE_WATCH_WATCH_ERROR_H
#define CACHE_WATCH_WATCH_ERROR_H

#include "cache/base/bytes.h"

/* clang-format off */
/*  X(code,               "label") */
#define WATCH_BAD_TABLE(X) \
	X(WATCH_FINE,         "ok") \
	X(WATCH_BAD_PEM,      "bad_pem")          /* a block: no base64, no end, two of them */ \
	X(WATCH_BAD_DER,      "bad_certificate")  /* no certificate, or more than one */ \
	X(WATCH_BAD_NONE,     "no_certificate")   /* PEM: text, and not one block in it */ \
	X(WATCH_BAD_JSON,     "bad_json")         /* not one JSON object (RFC 8259) */ \
	X(WATCH_BAD_CSV,      "bad_csv")          /* not RFC 4180 */ \
	X(WATCH_BAD_UTF8,     "bad_utf8") \
	X(WATCH_BAD_LONG,     "too_long")         /* a line, a row or a block over its bound */ \
	X(WATCH_BAD_FIELD,    "bad_field")        /* absent, twice, or of another type */ \
	X(WATCH_BAD_SERIAL,   "bad_serial") \
	X(WATCH_BAD_BASE,     "serials_ambiguous") /* the whole body: hexadecimal or decimal? */ \
	X(WATCH_BAD_ISSUER,   "bad_issuer")       /* no name, no key identifier, not configured */ \
	X(WATCH_BAD_TIME,     "bad_time")         /* not RFC 3339 */ \
	X(WATCH_BAD_LABELS,   "labels_too_long") \
	X(WATCH_BAD_COLUMN,   "bad_column")       /* the header line, or map */ \
	X(WATCH_STOPPED,      "stopped")          /* the caller said so */ \
	X(WATCH_NOMEM,        "nomem")
/* clang-format on */

enum watch_bad {
#define X(code, label) code,
	WATCH_BAD_TABLE(X)
#undef X
	    WATCH_BAD_COUNT
};

struct watch_error {
	enum watch_bad code;
	uint64_t line; /* from 1; 0: the body as a whole */
	/* For people, valid UTF-8 without controls, without the line: "the serial \"12x\"
	 * is not hexadecimal".  Never anything of a PEM body. */
	char why[256];
};

const char *watch_bad_label(enum watch_bad code); /* static */

/* Fill e; returns false, so that `return watch_refuse(...)` ends who found it. */
bool watch_refuse(struct watch_error *e, enum watch_bad code, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

/* Text of others as it may be shown in `why`: at most 40 octets, cut between characters,
 * controls and what is no UTF-8 as '?'. */
#define WATCH_SHOWN_MAX 48
const char *watch_shown(struct bytes text, char out[WATCH_SHOWN_MAX]);

#endif
