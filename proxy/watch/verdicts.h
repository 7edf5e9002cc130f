/* verdicts.h - the status of many certificates, without a fetch: a batch.
 *
 * Begin, add, ask; `done` is called when the keeper has said what it alone knows and the
 * watchlists, in slices of some milliseconds, what they have of whom their word may make
 * good (inventory_many.h); within that call each certificate is judged by the one rule
 * (evidence.h) from that, the hot table and the lists in force.  While an issuer's lists
 * have not been opened nothing of it is good; who tells somebody waits for that, for a
 * while (verdicts_wait()), and who counts does not.
 *
 * The inventory thread, through which the keeper's barriers go.
 */
#ifndef PROXY_WATCH_VERDICTS_H
#define PROXY_WATCH_VERDICTS_H

#include "proxy/keeper/evidence.h"
#include "proxy/watch/watch_context.h"

struct verdicts;

/* done(arg): once for each verdicts_ask(), from the loop. */
struct verdicts *verdicts_new(
    struct watch_context *context, void (*done)(void *arg), void *arg);
/* NULL is allowed; not while it is asked. */
void verdicts_free(struct verdicts *v);

/* A certificate of the issuer of this name ("" or one that is not configured: unknown, by
 * nobody's word); they are numbered from 0.  False when out of memory. */
bool verdicts_add(struct verdicts *v, const char *issuer, const struct serial *s);
/* The same with what the batch's inventory says of it, which is not looked for then. */
bool verdicts_add_watched(struct verdicts *v, const char *issuer, const struct serial *s,
    const struct evidence_watch *watch);
/* The same for who asks for revocations alone, which nothing that is watched changes. */
bool verdicts_add_unwatched(
    struct verdicts *v, const char *issuer, const struct serial *s);
/* Whom the caller says nothing of is looked for in all watchlists, where that counts: a
 * batch of so many pays. */
size_t verdicts_worth(const struct verdicts *v);
/* The batch's inventory, from now on, borrowed; else it is the one in force when it is
 * judged. */
void verdicts_watch(struct verdicts *v, const struct inventory *watched);
size_t verdicts_count(const struct verdicts *v);
const struct serial *verdicts_serial(const struct verdicts *v, size_t i);
/* Until then, by clock_mono_ms(), each answer waits for lists that are not opened yet. */
void verdicts_wait(struct verdicts *v, int64_t until_ms);
void verdicts_ask(struct verdicts *v);
bool verdicts_are_asked(const struct verdicts *v);
/* In done: call it once more for the same batch, in another turn of the loop. */
void verdicts_later(struct verdicts *v);

/* In done.  ERR_NOMEM, ERR_CANCELLED (we stop, and it waited): there are none. */
enum err verdicts_error(const struct verdicts *v);
/* The issuer's name; "": none that is configured now. */
const char *verdicts_issuer(const struct verdicts *v, size_t i);
void verdicts_at(struct verdicts *v, size_t i, struct evidence *out);
/* For counting: only the status, and only whether it is revoked.  Where neither the
 * keeper's tables nor a list have a certificate the hot table is not asked for what the
 * lists say by themselves (good), or what is not counted.  What this does not find is a
 * hold that only an OCSP answer told, when MEMOS_MAX others were told after it. */
enum status verdicts_status(struct verdicts *v, size_t i);
bool verdicts_is_revoked(struct verdicts *v, size_t i);
/* Would we learn of its revocation (evidence_is_covered())? */
bool verdicts_is_covered(struct verdicts *v, size_t i);
void verdicts_clear(struct verdicts *v); /* empty, for the next batch */

#endif
