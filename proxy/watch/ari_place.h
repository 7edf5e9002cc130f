/* ari_place.h - where renewal information is asked for: one CA's ACME directory, for all
 * issuers that name it.
 *
 * The pace is the place's: a CA with ten intermediates is one CA, whoever of them issued
 * what is asked for.  Its issuers (ari_ca.h) take turns.
 *
 * The directory is read once a day.  A renewalInfo on another origin than the directory's
 * is a stranger's word (T7).
 *
 * The thread "ari".
 */
#ifndef PROXY_WATCH_ARI_PLACE_H
#define PROXY_WATCH_ARI_PLACE_H

#include "proxy/http/fetch.h"
#include "proxy/watch/ari_core.h"

#define ARI_DIRECTORY_S 86400 /* it is read anew so often */

struct ari_place;

/* NULL when out of memory. */
struct ari_place *ari_place_new(struct ari_core *core, const char *directory);
/* After its issuers.  NULL is allowed. */
void ari_place_free(struct ari_place *p);
const char *ari_place_directory(const struct ari_place *p);

/* An issuer takes turns from now on, until it leaves: ask_one(member) asks for one
 * certificate (ari_place_ask()); false: nobody is due.  False: out of memory. */
typedef bool ari_turn_fn(void *member);
bool ari_place_join(struct ari_place *p, ari_turn_fn *ask_one, void *member);
void ari_place_leave(struct ari_place *p, const void *member);
size_t ari_place_members(const struct ari_place *p);

/* Something may have changed: who is due, what may be asked.  Once a second at least. */
void ari_place_go(struct ari_place *p);

/* For its issuers: a question for `id` goes out; done as fetch_start() has it.  NULL: out
 * of memory. */
struct fetch *ari_place_ask(
    struct ari_place *p, const char *id, fetch_done_fn *done, void *arg);
/* It was answered; and the CA says that it wants to be left alone (retry_after: of
 * ari_retry_after()). */
void ari_place_answered(struct ari_place *p);
void ari_place_halt(struct ari_place *p, int64_t retry_after);

#endif
