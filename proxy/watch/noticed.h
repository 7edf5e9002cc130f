/* noticed.h - is a certificate under a notice as a filter asks (incident=, notice=)?
 *
 * Pure functions, any thread that may borrow the inventory.
 */
#ifndef PROXY_WATCH_NOTICED_H
#define PROXY_WATCH_NOTICED_H

#include "cache/watch/inventory.h"
#include "proxy/watch/watch_ask.h"

/* Does the filter ask for it? */
static inline bool noticed_is_asked(const struct watch_filter *f)
{
	return f->incident[0] != '\0' || f->noticed != WATCH_NOTICED_OR_NOT;
}
/* True also where it does not. */
bool noticed_fits(const struct watch_filter *f, const struct inventory *v, uint32_t ca,
    const struct serial *s);

#endif
