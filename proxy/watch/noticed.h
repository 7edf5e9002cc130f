/* noticed.h - is a certificate under a notice as a filter asks (incident=, notice=)?
 *
 * Pure functions, any thread that may borrow the inventory.
 */
#ifndef PROXY_WATCH_NOTICED_H
#define PROXY_WATCH_NOTICED_H

#include "cache/watch/ari_noticed.h"
#include "cache/watch/inventory.h"
#include "proxy/watch/watch_ask.h"

/* Does the filter ask for it? */
static inline bool noticed_is_asked(const struct watch_filter *f)
{
	return f->incident[0] != '\0' || f->noticed != WATCH_NOTICED_OR_NOT;
}
/* True also where it does not.  ari: what is on the board (ari_board.h). */
bool noticed_fits(const struct watch_filter *f, const struct inventory *v,
    const struct ari_noticed *ari, uint32_t ca, const struct serial *s);
/* Is it under a notice, by whomever?  Whether it is revoked already is the caller's to
 * ask. */
bool noticed_is(const struct inventory *v, const struct ari_noticed *ari, uint32_t ca,
    const struct serial *s);

#endif
