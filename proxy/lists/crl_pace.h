/* crl_pace.h - how often a CA issues a list: the dates of its last ones.
 *
 *	STATE/crl/SCOPE/pace    "this-update" and up to six times, seconds since 1970
 *
 * The dates are the CA's own (thisUpdate), so that an interval is the same on every node,
 * after a restart, and whatever our clock says.  It is the interval as seen from here:
 * lists that came and went between two looks are in none.
 *
 * Only a hint: where it cannot be read or written, the pace is learnt anew.
 *
 * Weak point: a CA that issues a list with each revocation has no pace but that of its
 * worst days, and is late when it is quiet.
 */
#ifndef PROXY_LISTS_CRL_PACE_H
#define PROXY_LISTS_CRL_PACE_H

#include <stdint.h>

#define CRL_PACE_INTERVALS 5 /* so that two that are odd do not count */

struct crl_pace {
	unsigned n;
	int64_t at[CRL_PACE_INTERVALS + 1]; /* thisUpdate, each later than the one before
					     */
};

/* A list has come into force.  One of the date of the last is that one; with an earlier
 * one the CA begins anew, and so does the pace. */
void crl_pace_note(struct crl_pace *p, int64_t this_update);
/* The median of the last five intervals, seconds; 0: there are fewer. */
int64_t crl_pace_median_s(const struct crl_pace *p);

/* As with crl_hints_read() and crl_hints_write() (crl_state.h), they block. */
void crl_pace_read(const char *dir, struct crl_pace *p);
void crl_pace_write(const char *dir, const struct crl_pace *p);

#endif
