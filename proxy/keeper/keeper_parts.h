/* keeper_parts.h - what the keeper works with.
 *
 * Every pointer is there for the keeper's life (keeper_make.h); who is handed one borrows
 * it for as long.  Keeper's thread.
 */
#ifndef PROXY_KEEPER_KEEPER_PARTS_H
#define PROXY_KEEPER_KEEPER_PARTS_H

#include "proxy/keeper/forward.h"
#include "proxy/keeper/poll.h"
#include "proxy/keeper/refresh.h"

struct keeper_parts {
	struct context context;
	struct admit *admit;
	struct source *source;
	struct mac_keys *keys; /* the store's; NULL without store-key-file */
	struct latches *latches;
	struct latch_file *latch_file;
	struct store *store;
	struct teller *teller;
	struct crl_feed *crl_feed;
	struct ccadb_source *ccadb;     /* what crl = "ccadb" asks */
	struct watched_source *watched; /* what crl = "certificates" does */
	/* keeper_parts_make(): */
	struct evidence_sources evidence;
	struct revoker *revoker;
	struct answers *answers;
	struct door door;
	struct flights *flights;
	struct forwards *forwards;
	struct refreshes *refreshes;
	struct polls *polls;
	/* Nobody else's: */
	struct inbox *inbox;
	struct fetcher *fetcher;
	struct executor *bulk; /* the thread for lists */
};

/* Make what is made of others, out of all that stands before it; false when out of
 * memory. */
bool keeper_parts_make(struct keeper_parts *p);
void keeper_parts_free(struct keeper_parts *p); /* these; after flights_cancel() */

#endif
