/* crl_url.h - one item of `crl` as the lists that it stands for, each with its places.
 *
 *	"http://x/{1..128}.crl"                      128 lists
 *	"http://a/{01..9}.crl | http://b/{1..9}.crl" nine, each to be had at a and at b
 *
 * What stands between " | " are places of the same lists, in order of preference; it is
 * parted first, so that each place has a range of its own, and equally many.  A range
 * counts up from its first number to its last, both within; where one of them is written
 * with a zero before it, all have as many digits as the longer one.  A brace that belongs
 * to no range is a mistake: in a URL it is %7B or %7D.
 *
 * Pure functions on the text of the configuration, which is borrowed; what the URLs are
 * is not looked at.  A range makes no memory: its URLs are made one by one.
 */
#ifndef CONF_CRL_URL_H
#define CONF_CRL_URL_H

#include "cache/base/bytes.h"

#define CRL_PLACES_MAX 16 /* of one list; nobody publishes at more */
#define CRL_DIGITS_MAX 9  /* of a number: crl-max-lists is smaller by far */

/* A place of the lists: `before`, the number, `after`; without a range all is before. */
struct crl_pattern {
	struct bytes before, after;
	bool ranged;
	unsigned long first;
	int width; /* digits at least */
};

struct crl_item {
	struct crl_pattern place[CRL_PLACES_MAX];
	size_t places_n;
	size_t lists_n;
	bool ranged;
};

/* NULL, or "what is wrong; remedy", static.  text is borrowed for as long as out is. */
const char *crl_item_parse(const char *text, struct crl_item *out);
/* The URL of one of its lists at one of its places; owned.  NULL when out of memory. */
char *crl_item_url(const struct crl_item *i, size_t list, size_t place);

#endif
