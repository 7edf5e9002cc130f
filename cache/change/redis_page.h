/* redis_page.h - a page of the log out of what a Redis says is one.
 *
 * What is missing between two batches, or cannot be read, ends the page; where the page
 * would begin with it, it is a gap.
 */
#ifndef CACHE_CHANGE_REDIS_PAGE_H
#define CACHE_CHANGE_REDIS_PAGE_H

#include <hiredis/hiredis.h>

#include "cache/change/change_log.h"

/* An index that covers any batch. */
#define REDIS_PAGE_ALL CHANGE_BATCH_MAX

struct redis_page {
	struct change_pos from; /* set by the caller, as the next two */
	/* This batch cannot be read; newer: change_batch_is_newer(). */
	void (*bad)(void *arg, uint64_t seq, bool newer);
	void *arg;
	struct change_log_page page; /* the outcome */
	/* Inside: */
	struct change_batch **batch;
	struct change_pos at; /* what follows it was not looked at yet */
};

/* list: id, batch, id, batch... of what stands between these ends; borrowed.  ERR_STORE:
 * it cannot be that. */
enum err redis_page_take(struct redis_page *p, const struct change_pos *oldest,
    const struct change_pos *newest, const redisReply *list);
void redis_page_drop(struct redis_page *p);

#endif
