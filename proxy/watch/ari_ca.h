/* ari_ca.h - one issuer's certificates are asked for renewal information: who is due, and
 * what their answers change.
 *
 *	who is due (ari_db.h), when it is this issuer's turn (ari_place.h)
 *	    -> still watched, not over, not replaced? -> a question
 *	    -> judged (ari_answer.h) -> state durable -> notices (ari_notices.h)
 *
 * What an answer changes is written in groups: each second, when the queue has run empty,
 * or ARI_GROUP are there; a notice at once.  A kill before that asks those few again,
 * sooner than the CA said.
 * With a share (ari_share.h) a state is durable in Redis, too, before a notice is told.
 * An explanation is for people and never fetched.
 *
 * The thread "ari".
 */
#ifndef PROXY_WATCH_ARI_CA_H
#define PROXY_WATCH_ARI_CA_H

#include "proxy/watch/ari_core.h"

#define ARI_GROUP 64

struct ari_ca;
struct ari_place;

/* place: borrowed for life; it is joined.  NULL when out of memory. */
struct ari_ca *ari_ca_new(
    struct ari_core *core, const char *issuer, struct ari_place *place);
/* Under way is given up; what is known is written; it leaves its place.  NULL is allowed.
 */
void ari_ca_free(struct ari_ca *c);
const char *ari_ca_issuer(const struct ari_ca *c);
struct ari_place *ari_ca_place(const struct ari_ca *c);

/* What an earlier life, or another node, has left: who is under a notice, and what is not
 * told yet.  ari_ca_new() does it where this node asks; then whenever it begins to. save:
 * Redis has lost them (ari_share.h). */
void ari_ca_take_up(struct ari_ca *c, bool save);
/* Another node asks. */
void ari_ca_stand_down(struct ari_ca *c);
/* Somebody may be due sooner than it knows: certificates were enrolled. */
void ari_ca_look(struct ari_ca *c);
/* Write down what is known, and send what is to be told: once a second, and when we stop.
 */
void ari_ca_settle(struct ari_ca *c);

struct ari_ca_state {
	size_t noticed;   /* certificates under a notice by ARI */
	int64_t behind_s; /* by how much the one that is due first is late; 0: not */
	int64_t oldest_s; /* since that one was asked for last; 0: it never was */
};
void ari_ca_state(const struct ari_ca *c, struct ari_ca_state *out);

#endif
