/* watch_serial.h - serial numbers in a body of text: which base they are in.
 *
 * Hexadecimal, unless the caller says decimal.  Not said, a body in which all serials
 * are nothing but digits and one of them has more than ten is refused at its end: ten
 * digits may be a test CA's that counts, more are an inventory's that writes them in
 * decimal, or a rare chance.  A sign, a colon, 0x and a letter are no digits.
 */
#ifndef CACHE_WATCH_WATCH_SERIAL_H
#define CACHE_WATCH_WATCH_SERIAL_H

#include "cache/base/key.h"
#include "cache/watch/watch_error.h"

enum watch_base { WATCH_BASE_UNSAID, WATCH_BASE_HEX, WATCH_BASE_DEC };

/* ?serial=: "hex", "dec"; "" is unsaid.  False: anything else. */
bool watch_base_of(const char *text, enum watch_base *base);

struct watch_serials {
	enum watch_base base;
	bool letters;       /* one was hexadecimal for certain */
	uint64_t long_line; /* where the first of more than ten digits was; 0: none */
};

/* Of the text of one line.  WATCH_BAD_SERIAL: not in this base, or longer than
 * SERIAL_MAX octets. */
bool watch_serial_read(struct watch_serials *w, struct bytes text, uint64_t line,
    struct serial *s, struct watch_error *e);
/* WATCH_BAD_BASE, with the first line of more than ten digits. */
bool watch_serials_end(const struct watch_serials *w, struct watch_error *e);

#endif
