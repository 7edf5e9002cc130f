/* log_takeover.h - what a version of before has kept of the log in Redis becomes ours.
 *
 * That version had the log's keys without a hash tag: PREFIXe:state, PREFIXe:log,
 * PREFIXe:told:SCOPE, PREFIXe:one:CERT, PREFIXe:left:ISSUER, with the same values; its
 * batches are of version 1 (change.c).  A cluster never had them, since its scripts
 * touched keys of several slots.
 *
 * Where there is such a state, LOG_TAKE_OVER moves it, slice after slice: first the told
 * pointers and the rest of the small keys, each with what is left of its life, then the
 * log from its oldest batch on; what was moved is gone there.  In the end the old state
 * goes, and only then does the log begin its check.  So a kill anywhere is gone on from,
 * by this node or another, and the values:
 *	no log of ours    is the old one: same epoch, same places, same changes; nobody
 *	                  sees a gap
 *	a log of ours     gets the batches behind its own; pointers of ours stay
 *
 * The second comes of a node of the version before that still runs.  Its log has vanished
 * for it: it begins a new epoch under the old names, which its subscribers see as a gap,
 * and goes on telling.  What it found meanwhile is taken whenever a node of ours connects
 * (the last of them is that old node itself, when it was upgraded), so that nothing is
 * lost; what both versions have told of a list then comes twice, which is allowed.
 * Keeping its log whole for it and beginning an own one was rejected: nobody would ever
 * drop it, each subscriber would see a gap, and single changes which only that node has
 * found would be told to nobody else.
 *
 * No right is needed that the log does not have anyway: hence no RENAME.
 *
 * The keeper's thread.
 */
#ifndef CACHE_CHANGE_LOG_TAKEOVER_H
#define CACHE_CHANGE_LOG_TAKEOVER_H

#include "cache/redis/redis_call.h"

/* e: ERR_OK, or that of the connection.  taken: there was something.  said: NULL, or what
 * Redis has said instead; for the call.  Not called when the link is freed. */
typedef void log_takeover_fn(void *arg, enum err e, bool taken, const redisReply *said);

/* script: LOG_TAKE_OVER; valid as long as the link, as prefix.  tag: what stands between
 * the prefix and our names.  False: not even begun, done is not called. */
bool log_takeover_start(struct redis_link *link, const struct redis_script *script,
    const char *prefix, const char *tag, log_takeover_fn *done, void *arg);

#endif
