/* crl_joins.h - names of lists that are another list of the same issuer: one complete
 * list, published under two URLs.
 *
 * Immutable; refs as of a set, which says by it under whose name it has them.
 */
#ifndef CACHE_CRL_CRL_JOINS_H
#define CACHE_CRL_CRL_JOINS_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>

struct crl_joins {
	_Atomic unsigned refs;
	size_t n;
	struct crl_join {
		char *scope, *with;
	} join[];
};

/* A copy of old (NULL: of none), in which scope is the list that is called with; with
 * NULL: it is its own again.  One reference; NULL when out of memory. */
struct crl_joins *crl_joins_new(
    const struct crl_joins *old, const char *scope, const char *with);
struct crl_joins *crl_joins_ref(struct crl_joins *j); /* NULL is allowed */
void crl_joins_unref(struct crl_joins *j);            /* NULL is allowed */
/* The name of the list that is called scope: scope itself where it is no other. */
const char *crl_joins_name(const struct crl_joins *j, const char *scope);

#endif
