/* asked_keys.h - what clients asked for, handed to who wants to know
 * (proxy/watch/usage.h, by shared->asked_to).
 *
 * A hit leaves a mark in the answer and nothing else (hot_visit()).  Each second the
 * marks of a part of the table are looked at, and cleared: of a sixtieth, so that all are
 * within a minute, or of ASKED_SLOTS where that is more.  Answers that left the table are
 * looked at before they are freed; what is not in it comes here by itself: each question
 * of a client to the keeper, whatever becomes of it.
 *
 * Keys are collected and posted once a second, ASKED_KEYS in a message.  Without a
 * watchlist nothing is collected, and marks stay.  What memory has no room for is not
 * told; whoever is asked for again is.
 *
 * Keeper's thread.
 */
#ifndef PROXY_KEEPER_ASKED_KEYS_H
#define PROXY_KEEPER_ASKED_KEYS_H

#include "proxy/base/shared.h"

#define ASKED_SLOTS 1024 /* 20 us */
#define ASKED_KEYS  1024

/* A message to shared->asked_to, which has it from then on; freed with free(). */
struct asked_keys {
	struct msg msg;
	size_t n;
	struct key key[ASKED_KEYS];
};

struct asked_collector { /* starts as zeros but for shared */
	struct shared *shared;
	struct asked_keys *keys; /* to be posted; NULL: none */
};

/* A client has asked for k. */
void asked_collect(struct asked_collector *c, const struct key *k);
/* Answers that left the table, and that no reader has any more. */
void asked_collect_garbage(struct asked_collector *c, const struct hot_garbage *g);
/* Once a second. */
void asked_collect_tick(struct asked_collector *c);
void asked_collect_end(struct asked_collector *c); /* what was not posted is dropped */

#endif
