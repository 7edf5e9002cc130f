/* context.h - what every module of the keeper's thread works with.
 *
 * The keeper makes it first, so that nothing of it is ever NULL, and frees it last; a
 * module borrows it for life.  What else a module works with is an argument when it is
 * made.
 */
#ifndef PROXY_BASE_CONTEXT_H
#define PROXY_BASE_CONTEXT_H

#include "proxy/base/barrier.h"
#include "proxy/base/executor.h"
#include "proxy/base/metrics.h"
#include "proxy/base/schedule.h"
#include "proxy/base/shared.h"

struct context {
	struct event_base *base;
	struct shared *shared;
	struct barrier *barrier;
	struct counters *counters;
	struct executor *disk;
	struct schedule *schedule; /* what is due; and chance: schedule_random() */
};

#endif
