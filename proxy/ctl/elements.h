/* elements.h - the elements of a JSON array as they come, fed piece by piece.
 *
 * An array of hundreds of thousands is neither kept nor parsed whole.  Between the
 * outermost brackets elements are cut at the commas that stand in no string and in no
 * inner bracket; each is then parsed by itself, so that what is no JSON is found there.
 */
#ifndef PROXY_CTL_ELEMENTS_H
#define PROXY_CTL_ELEMENTS_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>

#define ELEMENT_MAX ((size_t)64 << 10) /* bytes; ours have 300 */

struct elements {
	char *text; /* of the element that is coming */
	size_t n, room;
	unsigned depth; /* brackets that are open */
	bool in_string, escaped;
	bool begun, ended; /* the outermost brackets were seen */
	bool more;         /* a comma was */
};

/* Starts as zeros.  fn borrows the element.  false: this is no array, an element is too
 * long or no JSON, or out of memory. */
bool elements_feed(struct elements *e, const char *p, size_t n,
    void (*fn)(void *arg, const json_t *element), void *arg);
/* The array was whole; frees. */
bool elements_end(struct elements *e);

#endif
