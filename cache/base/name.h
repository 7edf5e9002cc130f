/* name.h - the names that operators give: of issuers, and of whatever else is named in
 * the configuration or through the API.  They stand in paths, in keys of stores and in
 * logs.
 */
#ifndef CACHE_BASE_NAME_H
#define CACHE_BASE_NAME_H

#include "cache/base/bytes.h"

#define NAME_MAX_OCTETS 63

/* [a-z0-9._-]{1,63}, and not only dots, which are no segment of a URL. */
static inline bool name_is_plain(struct bytes name)
{
	bool other = false;

	if (name.n < 1 || name.n > NAME_MAX_OCTETS)
		return false;
	for (size_t i = 0; i < name.n; i++) {
		uint8_t c = name.p[i];

		if (!(c >= 'a' && c <= 'z') && !(c >= '0' && c <= '9') && c != '.' &&
		    c != '_' && c != '-')
			return false;
		other = other || c != '.';
	}
	return other;
}

#endif
