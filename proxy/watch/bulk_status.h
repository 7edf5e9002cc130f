/* bulk_status.h - POST /v1/status: the status of as many certificates as a body names,
 * streamed both ways.
 *
 * A line for each, in order; a bad line is answered in its place.  Never fetches.  Behind
 * a start it waits, as a single status does, until the lists of the issuers are opened,
 * but no longer than answer-timeout for all of the body: then what only they know is
 * unknown. A batch (verdicts.h) is what the body brings until it pauses, a few thousand
 * lines with few watchlists and INVENTORY_MANY_MAX with many: the body waits while the
 * keeper is asked for it and whom lists leave unknown is looked for in the watchlists, so
 * memory is that of a batch and its text (10 MB at most but for what bad lines say).
 *
 * The inventory thread.
 */
#ifndef PROXY_WATCH_BULK_STATUS_H
#define PROXY_WATCH_BULK_STATUS_H

#include "proxy/watch/watch_upload.h"

/* What is taken, its place and who asks are handed over, o stays the caller's.  Issuers
 * that he does not see are answered as those that are not configured, certificates that
 * he does not see as unknown ones. */
void bulk_status_open(struct watch_context *context, struct watch_order *o);

#endif
