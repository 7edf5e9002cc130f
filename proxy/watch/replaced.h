/* replaced.h - of certificates that are hit (revoked, or announced to be): who stands in
 * for them?
 *
 * Someone does where a certificate stands on the same list that has all names of the
 * other, began later and has not ended (watch_newer.h), and is itself neither revoked nor
 * announced.  Nothing of it is kept: it is looked for when it is asked for, so that it is
 * right however lists, evidence and incidents change, and of those that are hit alone,
 * which are few.
 *
 * A batch: begin, add, ask; `done` is called when the file has told who comes into
 * question (on the search thread) and the keeper what those are.
 *
 * The inventory thread.
 */
#ifndef PROXY_WATCH_REPLACED_H
#define PROXY_WATCH_REPLACED_H

#include "cache/watch/watch_newer.h"
#include "proxy/base/access.h"
#include "proxy/watch/watch_context.h"

struct replaced;

/* done(arg): once for each replaced_ask(), from the loop.  NULL: out of memory. */
struct replaced *replaced_new(
    struct watch_context *context, void (*done)(void *arg), void *arg);
void replaced_free(struct replaced *r); /* NULL is allowed; not while it is asked */

/* A batch, empty: of lists of v (a reference is taken).  access: who is told; what he
 * does not see stands in for nobody; borrowed, or NULL. */
void replaced_begin(
    struct replaced *r, const struct inventory *v, const struct access *access);
/* A certificate of list number `list`, under this number of its CA; they are numbered
 * from 0.  False when out of memory. */
bool replaced_add(struct replaced *r, size_t list, uint32_t ca, const struct serial *s);
/* The same under whichever number of its CA the list has it; none: nothing is added. */
bool replaced_add_found(
    struct replaced *r, size_t list, uint32_t ca, const struct serial *s);
size_t replaced_count(const struct replaced *r);
void replaced_ask(struct replaced *r);

/* In done and until the next batch begins. */
enum err replaced_error(const struct replaced *r);
/* The latest of those who stand in for number i.  NULL: nobody does. */
const struct watch_newer *replaced_at(const struct replaced *r, size_t i);
/* What its CA is called in the configuration; "": it is none of it. */
const char *replaced_issuer(const struct replaced *r, const struct watch_newer *by);

#endif
