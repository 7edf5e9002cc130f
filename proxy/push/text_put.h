/* text_put.h - JSON by hand: each writes at p and returns what follows.
 *
 * A list of millions of entries goes through here for everybody who listens, and a JSON
 * library's tree would cost twenty times as much.
 *
 * Pure functions, any thread.  Inside proxy/push only.
 */
#ifndef PROXY_PUSH_TEXT_PUT_H
#define PROXY_PUSH_TEXT_PUT_H

#include "cache/change/change.h"

static inline char *put(char *p, const char *text, size_t n)
{
	memcpy(p, text, n);
	return p + n;
}
#define PUT(p, text) put((p), (text), sizeof text - 1)

static inline char *put_text(char *p, const char *text)
{
	return put(p, text, strlen(text));
}

/* As a JSON string.  What is not plainly harmless is escaped, octet by octet: names of
 * ours never are, and a client's since may be anything.  Up to six octets for one, and
 * two. */
char *put_string(char *p, const char *text);
/* The same of a text that a stranger wrote: UTF-8 stays, but for controls, which are
 * escaped; what is none is U+FFFD. */
char *put_utf8(char *p, const char *text);
/* RFC 3339 in quotes; null for a time that it cannot write. */
char *put_time(char *p, int64_t at);
char *put_serial(char *p, const struct crl_entry *e); /* as serial_to_hex(), no quotes */
char *put_pos(char *p, const struct change_pos *pos);

#endif
