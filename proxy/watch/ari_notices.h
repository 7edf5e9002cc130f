/* ari_notices.h - notices by renewal information on their way into the log.
 *
 * First the state says that there is something to tell (ari_state.untold), durable; then
 * it is told; then the state says that it was.  So a kill -9 anywhere loses nothing, and
 * one between the two last steps tells it twice.
 *
 * Those of one turn that say the same (the same page, raised or withdrawn) are one batch.
 *
 * The thread "ari".
 */
#ifndef PROXY_WATCH_ARI_NOTICES_H
#define PROXY_WATCH_ARI_NOTICES_H

#include "proxy/watch/ari_core.h"

struct ari_notices;

/* told: the states of these certificates are to be marked. */
struct ari_notices *ari_notices_new(struct ari_core *core, const char *issuer,
    void (*told)(void *arg, const struct ari_who *w, size_t n), void *arg);
void ari_notices_free(struct ari_notices *n); /* NULL is allowed */

/* state is durable, and says so.  False: out of memory; untold stays, and the next start
 * tells it. */
bool ari_notices_add(
    struct ari_notices *n, const struct ari_who *w, const struct ari_state *s);
/* Is it waiting, or on its way? */
bool ari_notices_has(const struct ari_notices *n, const struct ari_who *w);
/* What was added goes out. */
void ari_notices_send(struct ari_notices *n);

#endif
