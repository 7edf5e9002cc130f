/* ari_share.h - nodes of a fleet that ask for renewal information together: store =
 * "redis…" with store-key-file (ari_redis.h).
 *
 * One node asks at a directory: who holds its lease.  Whoever gets it first reads all
 * states that there are, into his own ari.mdb where they are newer, then tells what is
 * marked untold, and only then asks.  What an answer changes is durable here, then in
 * Redis, and then told (ari_notices.h): so a node that is killed loses no notice, and
 * between the two last steps only the next one tells it again.  What was answered in the
 * second before a kill is asked again, sooner than the CA said.
 *
 * Nodes that do not ask read what notices are in force, into their ari.mdb likewise, when
 * a version says that they are others.
 *
 * While Redis is away the lease runs out, and nobody asks; what is not saved yet waits.
 *
 * Weak points: which of two states is newer, their nodes' clocks say.  After a flush of
 * Redis only the node that asks has all of its states: when it is lost right then,
 * certificates are asked anew, at the pace of the CA.  That a CA wants to be left alone
 * as a whole (429, 503) dies with the node that was told so: the next one hears it again.
 *
 * The thread "ari".
 */
#ifndef PROXY_WATCH_ARI_SHARE_H
#define PROXY_WATCH_ARI_SHARE_H

#include "cache/base/exec.h"
#include "proxy/watch/ari_core.h"

/* A lease is taken, or kept, so often; and a save keeps it, too. */
#define ARI_SHARE_TURN_MS 3000
/* No questions while so many states wait to be saved. */
#define ARI_SHARE_WAIT_MAX 256

struct ari_share;

struct ari_share_use {
	struct exec exec; /* looks names up */
	/* The lease is ours, and all is read.  vanished: notices that were there are not
	 * (a flush): they are to be saved again. */
	void (*held)(void *arg, const char *directory, bool vanished);
	/* It is not ours any more. */
	void (*lost)(void *arg, const char *directory);
	void *arg;
};

/* core->db is open.  NULL with a line in why. */
struct ari_share *ari_share_new(
    struct ari_core *core, const struct ari_share_use *use, char *why, size_t why_n);
/* After its savers.  NULL is allowed. */
void ari_share_free(struct ari_share *s);

/* This node wants to ask there; false: out of memory. */
bool ari_share_join(struct ari_share *s, const char *directory);
/* It does not any more: others may. */
void ari_share_quit(struct ari_share *s, const char *directory);
void ari_share_quit_all(struct ari_share *s); /* we stop; core->away until it is done */

/* These are true of a NULL share: who is alone asks. */
/* Is it this node that asks there? */
bool ari_share_holds(const struct ari_share *s, const char *directory);
/* The same, sure right now, and what is known so far is saved but for a few. */
bool ari_share_may_ask(const struct ari_share *s, const char *directory);

/* States on their way to Redis, of one issuer. */
struct ari_saver;
/* saved: the state of ari.mdb is there, too; one may come twice.  NULL: out of memory. */
struct ari_saver *ari_saver_new(struct ari_share *s, const char *directory,
    void (*saved)(void *arg, const struct ari_who *w, size_t n), void *arg);
void ari_saver_free(struct ari_saver *v); /* NULL is allowed */
/* What ari.mdb has of it is to be saved (that it has nothing, too).  False: out of
 * memory; it is saved with the next answer. */
bool ari_saver_add(struct ari_saver *v, const struct ari_who *w);
void ari_saver_go(struct ari_saver *v); /* what was added goes out */

#endif
