/* What a stream gives is believed only where its numbers follow each other: an entry that
 * somebody deleted is a gap, and so is one that cannot be decoded. */
#include "cache/change/redis_page.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* "<seq>-0", as we write it. */
static bool entry_seq(const redisReply *id, uint64_t *seq)
{
	char text[24];
	unsigned long long v;

	if ((id->type != REDIS_REPLY_STRING && id->type != REDIS_REPLY_STATUS) ||
	    id->len >= sizeof text)
		return false;
	v = strtoull(id->str, NULL, 10);
	snprintf(text, sizeof text, "%llu-0", v);
	*seq = v;
	return v > 0 && strcmp(text, id->str) == 0;
}

/* The page cannot begin before what follows seq. */
static void leave_gap(struct redis_page *p, uint64_t seq)
{
	p->page.gap = true;
	p->page.oldest = (struct change_pos){p->page.newest.epoch, seq, REDIS_PAGE_ALL};
}

/* One batch, unless the place covers it. */
static void take_batch(struct redis_page *p, struct change_batch *b)
{
	bool covered =
	    p->from.epoch != 0 && p->from.seq == p->at.seq && p->from.index >= b->n;

	if (covered || p->page.gap) {
		change_batch_unref(b);
		return;
	}
	b->epoch = p->at.epoch;
	b->seq = p->at.seq;
	p->batch[p->page.n++] = b;
}

/* The entry of seq.  *over: look no further. */
static enum err take_entry(
    struct redis_page *p, uint64_t seq, const redisReply *value, bool *over)
{
	bool missing = seq > p->at.seq + 1;
	struct change_batch *b = NULL;
	enum err e;

	*over = p->page.n > 0 && missing;
	if (*over)
		return ERR_OK;
	if (value->type != REDIS_REPLY_STRING)
		return ERR_STORE;
	if (missing)
		leave_gap(p, seq - 1);
	e = change_batch_decode(&b, bytes_of(value->str, value->len));
	p->at = (struct change_pos){p->page.newest.epoch, seq, REDIS_PAGE_ALL};
	if (e == ERR_RECORD)
		p->bad(
		    p->arg, seq, change_batch_is_newer(bytes_of(value->str, value->len)));
	if (e == ERR_RECORD && p->page.n == 0)
		leave_gap(p, seq);
	else if (e == ERR_OK)
		take_batch(p, b);
	*over = e == ERR_OK ? p->page.gap : p->page.n > 0;
	return e == ERR_RECORD ? ERR_OK : e;
}

static enum err take_entries(struct redis_page *p, const redisReply *list)
{
	/* The batch of the place itself may come where the place may be inside of it. */
	bool inside = p->from.epoch != 0 && p->from.index < REDIS_PAGE_ALL, over = false;
	enum err e = ERR_OK;
	uint64_t seq;

	for (size_t i = 0; i + 1 < list->elements && e == ERR_OK && !over; i += 2) {
		if (!entry_seq(list->element[i], &seq) || seq > p->page.newest.seq ||
		    seq < p->at.seq || (seq == p->at.seq && (i > 0 || !inside)))
			return ERR_STORE;
		e = take_entry(p, seq, list->element[i + 1], &over);
	}
	if (list->elements == 0 && p->at.seq < p->page.newest.seq) {
		p->page.gap = true;
		p->page.oldest = p->page.newest;
	}
	return e;
}

static bool is_gap(const struct change_pos *from, const struct change_pos *oldest,
    const struct change_pos *newest)
{
	return from->epoch != 0 &&
	       (from->epoch != newest->epoch || from->seq > newest->seq ||
		   from->seq < oldest->seq ||
		   (from->seq == oldest->seq && from->index < oldest->index));
}

enum err redis_page_take(struct redis_page *p, const struct change_pos *oldest,
    const struct change_pos *newest, const redisReply *list)
{
	if (list->type != REDIS_REPLY_ARRAY)
		return ERR_STORE;
	p->page = (struct change_log_page){.oldest = *oldest,
	    .newest = *newest,
	    .gap = is_gap(&p->from, oldest, newest)};
	p->at = p->from.epoch != 0 ? p->from : *oldest;
	if (p->page.gap)
		return ERR_OK;
	p->batch = calloc(list->elements / 2 + 1, sizeof(struct change_batch *));
	p->page.batches = p->batch;
	return p->batch != NULL ? take_entries(p, list) : ERR_NOMEM;
}

void redis_page_drop(struct redis_page *p)
{
	for (size_t i = 0; i < p->page.n; i++)
		change_batch_unref(p->batch[i]);
	free(p->batch);
	p->batch = NULL;
	memset(&p->page, 0, sizeof p->page);
}
