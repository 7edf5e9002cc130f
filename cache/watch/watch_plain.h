/* watch_plain.h - serials in plain text, one a line, as CAs publish those that they are
 * going to revoke.
 *
 *   [serial] [ISSUER] SERIAL [whatever]   # a comment
 *
 * Words are separated by blanks and tabs.  A first word "serial" is passed over (Let's
 * Encrypt's list of 2020 has it); a word that names a configured issuer, and has a serial
 * behind it, is the issuer; what stands behind the serial means nothing.  '#' begins a
 * comment.  Empty lines are passed over, CR LF is taken, a byte order mark before the
 * first line too.  Where no issuers are known (want.issuers NULL), a word that is no
 * serial and has one behind it is an issuer's name.
 *
 * A serial whose issuer nobody names has none: watch_cert.issuer is NULL.
 */
#ifndef CACHE_WATCH_WATCH_PLAIN_H
#define CACHE_WATCH_WATCH_PLAIN_H

#include "cache/watch/watch_reader.h"

extern const struct watch_reader watch_plain_reader;

#endif
