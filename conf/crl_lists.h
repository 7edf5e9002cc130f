/* crl_lists.h - what an issuer's crl and crl-scope come to: its lists, each with the
 * places where it is to be had and the name that it has for itself.
 *
 * Lists that have one name are one list, whose places follow each other: number and time
 * of the last one are kept by its name, and two would each take the other's for its own.
 */
#ifndef CONF_CRL_LISTS_H
#define CONF_CRL_LISTS_H

#include "cache/base/issuer.h"

struct crl_lists {
	struct issuer_list *list;
	size_t n;
	bool learns[LEARNT_COUNT];
	bool all; /* a range, or "ccadb": by the operator's word these are all */
};

void crl_lists_free(struct crl_lists *l); /* the contents */

#endif
