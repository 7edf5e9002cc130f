/* watch_csv.h - certificates in CSV (RFC 4180): a header line, then a row each.
 *
 * UTF-8; a byte order mark before the header is taken; rows end with CR LF or LF, and
 * may have line ends inside of quotes.  Each row has as many fields as the header; empty
 * lines are passed over.  Fields are serial, issuer, issuer_key, names, not_before,
 * not_after, crl and labels; the middle ones of these are lists, separated by ';'.
 * Blanks around a value and around an element of a list are no part of it; an empty
 * value is an absent one.
 *
 * map says which column has what: "serial=Serial Number,issuer=CA".  It is given as text,
 * percent-decoded by the caller, its fields are read in the same way as a line of CSV
 * (so a column with a comma is written serial="Serial, hex"), and with it no other column
 * is looked at.  Without it columns are found by the names of the fields, in any case.
 * A column that is not there, or twice, is told (WATCH_BAD_COLUMN).
 */
#ifndef CACHE_WATCH_WATCH_CSV_H
#define CACHE_WATCH_WATCH_CSV_H

#include "cache/watch/watch_reader.h"

extern const struct watch_reader watch_csv_reader;

#endif
