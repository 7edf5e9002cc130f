/* ari_enrol.h - watched certificates get their place in the queue (ari_db.h).
 *
 * A list that was walked is not walked again until it changes; who stands there already
 * keeps his time.  A slice a turn, so that answers of CAs are heard in between: fifteen
 * million certificates take a minute or two.  Who is not watched any more leaves when his
 * turn comes.
 *
 * The thread "ari".
 */
#ifndef PROXY_WATCH_ARI_ENROL_H
#define PROXY_WATCH_ARI_ENROL_H

#include "proxy/watch/ari_core.h"

struct ari_enrol;

/* asked: is this issuer's CA asked for renewal information? */
struct ari_enrol *ari_enrol_new(struct ari_core *core,
    bool (*asked)(void *arg, const char *issuer), void (*enrolled)(void *arg), void *arg);
void ari_enrol_free(struct ari_enrol *e); /* NULL is allowed */
/* Once a second, and when an issuer began to be asked (again: all lists are walked). */
void ari_enrol_look(struct ari_enrol *e, bool again);

#endif
