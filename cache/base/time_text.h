/* time_text.h - times that others wrote as text.  Pure, any thread; no locale, no zone of
 * the machine.
 */
#ifndef CACHE_BASE_TIME_TEXT_H
#define CACHE_BASE_TIME_TEXT_H

#include "cache/base/bytes.h"

/* RFC 3339 date-time: a fraction of a second is dropped, an offset is taken off, 'T' and
 * 'Z' may be small, a blank may stand for 'T'.  A 60th second is taken where there can be
 * one (23:59 UTC) as the first of the next day.  false: anything else. */
bool time_from_text(struct bytes text, int64_t *at);

int month_days(int year, int month); /* 28..31; month from 1 */

#endif
