/* memo.h - what was heard of a certificate that no answer in memory shows (any more).
 *
 * The newest MEMOS_MAX of all certificates are kept, and told while they are in date:
 * these are rare, and what is forgotten is at worst told twice.
 *
 * Keeper's thread.
 */
#ifndef PROXY_KEEPER_MEMO_H
#define PROXY_KEEPER_MEMO_H

#include "cache/crl/crl_set.h"
#include "cache/held/answer.h"

#define MEMOS_MAX 1024

enum memo_kind {
	MEMO_REFUSED, /* a good, refused though it is newer than the list that has it */
	MEMO_HOLD     /* the last word about a hold: that it is on, or the good that ended
			 it.  The hot table may have dropped it (T19) */
};

struct memos;

struct memos *memos_new(void); /* NULL when out of memory */
void memos_free(struct memos *m);

/* A good was refused that is newer than the list that says revoked. */
void memos_refused(struct memos *m, const struct issuer *i, const struct serial *s,
    const struct facts *f);
/* An answer that fits what the lists in force say was admitted.  Of a hold, and of the
 * good that ends one (R70), the last word is kept; any other revocation has its latch. */
void memos_admitted(struct memos *m, const struct issuer *i, const struct serial *s,
    const struct facts *f, const struct crl_set *set);

/* False where there is none, or it has ended. */
bool memos_recall(const struct memos *m, const struct issuer *i, const struct serial *s,
    enum memo_kind kind, struct facts *f);
/* A purge: of one certificate, or (s is NULL) of all of the issuer. */
void memos_forget(struct memos *m, const struct issuer *i, const struct serial *s);

#endif
