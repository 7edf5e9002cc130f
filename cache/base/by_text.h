/* by_text.h - the order of an array of strings, for qsort() and bsearch(): by octets.
 * Pure, any thread.
 */
#ifndef CACHE_BASE_BY_TEXT_H
#define CACHE_BASE_BY_TEXT_H

#include <string.h>

/* a, b: pointers to elements, which are char * or const char *. */
static inline int by_text(const void *a, const void *b)
{
	return strcmp(*(const char *const *)a, *(const char *const *)b);
}

#endif
