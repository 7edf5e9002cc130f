/* coverage.h - which lists do the certificates name that you run, and who issued them?
 *
 * A round walks through what is watched, CA by CA, a slice in a turn of the loop, and
 * counts by CA and by list; what has ended (notAfter) is left out.  The count goes to the
 * keeper, which makes lists and alarms of it (proxy/lists/watched_source.h).
 *
 * A round comes when the inventory was loaded and its CAs have their names of the
 * configuration, at a start and after each reload at once; COVERAGE_DELAY_MS after a
 * change of the inventory, and COVERAGE_KEEP times what the last one took behind it, so
 * that who changes lists all the time costs a tenth of a core at most; and each hour,
 * since certificates end.
 *
 * The inventory thread.
 */
#ifndef PROXY_WATCH_COVERAGE_H
#define PROXY_WATCH_COVERAGE_H

#include "proxy/watch/watch_context.h"

#define COVERAGE_DELAY_MS 1000
#define COVERAGE_KEEP     10

struct coverage;

/* Held; NULL: out of memory. */
struct coverage *coverage_new(struct watch_context *context);
/* The configuration is this one, and CAs are about to be named by it: what is under way
 * is given up, and nothing is begun until coverage_go(). */
void coverage_hold(struct coverage *c, const struct conf *conf);
void coverage_go(struct coverage *c); /* at once */
/* The inventory is another. */
void coverage_changed(struct coverage *c);
void coverage_cancel(struct coverage *c); /* we stop */
void coverage_free(struct coverage *c);   /* NULL is allowed */

#endif
