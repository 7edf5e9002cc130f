/* evidence_ask.h - a message to the keeper: what its own tables have on many
 * certificates.
 *
 * Of nearly all of them it has nothing, so the answer is short: certificate number i has
 * kept[item[i].kept - 1], or nothing where that is 0.  The rest of the evidence is looked
 * at by who asks (evidence.h).
 *
 * One turn of the keeper for all: some 0.1 us for each, so whoever asks for many asks for
 * some ten thousand at most at a time.
 */
#ifndef PROXY_KEEPER_EVIDENCE_ASK_H
#define PROXY_KEEPER_EVIDENCE_ASK_H

#include "proxy/keeper/evidence.h"
#include "proxy/lists/crl_feed.h"

struct evidence_item {
	struct serial serial;
	uint32_t issuer; /* its place in name */
	uint32_t kept;   /* outcome */
};

struct evidence_ask {
	struct question question; /* by keeper_ask_evidence() */
	/* the asker's: issuers, configured or not, and certificates of theirs */
	const char (*name)[64];
	size_t names_n;
	struct evidence_item *item;
	size_t n;
	/* By clock_mono_ms(), until when the answer waits for lists of these issuers that
	 * are not opened yet; 0: it does not. */
	int64_t wait_until_ms;
	/* Outcome: ERR_NOMEM, ERR_CANCELLED: nothing is known.  kept is kept from one
	 * time to the next, and is the asker's to free; zeroes before the first. */
	enum err error;
	struct evidence_kept *kept;
	size_t kept_n, kept_room;
	/* the keeper's, zeroes before the first */
	struct keeper *_keeper;
	struct crl_wait _lists;
};

/* Answer it, without handing it back; keeper's thread. */
void evidence_ask_answer(const struct evidence_sources *from,
    const struct issuers *configured, struct evidence_ask *a);

#endif
