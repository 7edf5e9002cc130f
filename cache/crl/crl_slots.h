/* crl_slots.h - the place of each issuer's lists in force, by the issuer's name.
 *
 * A slot (crl_set.h) is made when it is asked for first, with a set that is not opened,
 * and stays where it is until crl_slots_free(): issuers and answers point to it, through
 * any number of configurations, and every thread reads it.  The table is one thread's,
 * the keeper's, and so is putting another set into a slot.
 */
#ifndef CACHE_CRL_CRL_SLOTS_H
#define CACHE_CRL_CRL_SLOTS_H

#include "cache/crl/crl_set.h"

struct crl_slots;

struct crl_slots *crl_slots_new(void); /* NULL when out of memory */
/* Gives back each slot's reference to its set.  Nobody reads them any more. */
void crl_slots_free(struct crl_slots *s); /* NULL is allowed */

/* The slot of an issuer's name; made where there is none.  NULL when out of memory.  O(1)
 * on average. */
struct crl_slot *crl_slots_of(struct crl_slots *s, const char *name);

#endif
