/* watch_context.h - what the modules of the inventory thread work with.
 *
 * The watcher (watcher.h) owns all of it; a module borrows the struct for life.
 */
#ifndef PROXY_WATCH_WATCH_CONTEXT_H
#define PROXY_WATCH_WATCH_CONTEXT_H

#include "proxy/base/metrics.h"
#include "proxy/base/shared.h"

struct event_base;
struct executor;
struct known;
struct ledger;
struct notices;
struct share;
struct streams;
struct usage;

struct watch_context {
	struct shared *shared;
	struct event_base *base;
	struct inbox *inbox;
	struct counters *counters;
	struct ledger *ledger;
	struct share *share; /* NULL: lists are this node's alone */
	struct notices *notices;
	struct executor *search; /* a thread that looks into the file */
	struct streams *streams;
	struct usage *usage; /* NULL in tests: nobody notes what clients ask for */
	struct known *known; /* of the configuration in force; changes at a reload */
	/* Questions that are at the keeper, jobs that are at the ledger, searches: a stop
	 * waits for these. */
	size_t away;
	bool stopping;
};

#endif
