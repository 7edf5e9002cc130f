/* ari_ca.h - one issuer's CA is asked for renewal information: directory, questions,
 * answers.
 *
 *	directory (once a day) -> renewalInfo
 *	who is due (ari_db.h), as the pace allows (ari_pace.h)
 *	    -> still watched, not over, not replaced? -> GET renewalInfo/ID
 *	    -> judged (ari_answer.h) -> state durable -> notices (ari_notices.h)
 *
 * What an answer changes is written in groups: when the queue has run empty, or
 * ARI_GROUP are there.  A kill before that asks those few again, sooner than the CA said.
 *
 * renewalInfo on another origin than the directory's is a stranger's word (T7).  An
 * explanation is for people and never fetched.
 *
 * The thread "ari".
 */
#ifndef PROXY_WATCH_ARI_CA_H
#define PROXY_WATCH_ARI_CA_H

#include "proxy/watch/ari_core.h"

#define ARI_GROUP       64
#define ARI_DIRECTORY_S 86400 /* it is read anew so often */

struct ari_ca;

/* NULL when out of memory. */
struct ari_ca *ari_ca_new(
    struct ari_core *core, const char *issuer, const char *directory);
/* Under way is given up; what is known is written.  NULL is allowed. */
void ari_ca_free(struct ari_ca *c);
const char *ari_ca_issuer(const struct ari_ca *c);
const char *ari_ca_directory(const struct ari_ca *c);

/* Something may have changed: who is due, the configuration.  Once a second at least. */
void ari_ca_go(struct ari_ca *c);
/* Write down what is known, and send what is to be told; when we stop. */
void ari_ca_settle(struct ari_ca *c);

struct ari_ca_state {
	size_t noticed;   /* certificates under a notice by ARI */
	int64_t behind_s; /* by how much the one that is due first is late; 0: not */
};
void ari_ca_state(const struct ari_ca *c, struct ari_ca_state *out);

#endif
