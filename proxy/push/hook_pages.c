/* hook_pages.c - a list of pages, and questions to the keeper. */
#include "proxy/push/hook_pages.h"

#include <assert.h>
#include <stdlib.h>
#include <sys/queue.h>

#include "proxy/tell/teller.h"

#define READ_BYTES (1u << 20) /* of a page: about 30,000 changes */

/* What is known of what follows `from`. */
struct log_page {
	TAILQ_ENTRY(log_page) link;
	struct change_pos from;
	struct roll roll; /* empty: nothing does, or see gap and failed */
	bool gap, failed;
	struct change_pos oldest;
};

struct log_reading {
	struct teller_ask ask; /* first: it comes back as this */
	struct hook_pages *pages;
	bool stale; /* the log has grown since */
	LIST_ENTRY(log_reading) link;
};

struct hook_pages {
	struct shared *shared;
	struct inbox *own;
	void (*answered)(void *arg);
	void *arg;
	TAILQ_HEAD(page_list, log_page) pages; /* the one used last first */
	size_t pages_n;
	LIST_HEAD(, log_reading) readings;
	size_t readings_n;
};

struct hook_pages *hook_pages_new(
    struct shared *shared, struct inbox *own, void (*answered)(void *arg), void *arg)
{
	struct hook_pages *p = calloc(1, sizeof *p);

	if (p == NULL)
		return NULL;
	p->shared = shared;
	p->own = own;
	p->answered = answered;
	p->arg = arg;
	TAILQ_INIT(&p->pages);
	LIST_INIT(&p->readings);
	return p;
}

static void drop(struct hook_pages *p, struct log_page *page)
{
	TAILQ_REMOVE(&p->pages, page, link);
	p->pages_n--;
	roll_clear(&page->roll);
	free(page);
}

void hook_pages_free(struct hook_pages *p)
{
	if (p == NULL)
		return;
	assert(p->readings_n == 0);
	while (!TAILQ_EMPTY(&p->pages))
		drop(p, TAILQ_FIRST(&p->pages));
	free(p);
}

size_t hook_pages_asking(const struct hook_pages *p)
{
	return p->readings_n;
}

/* A page without batches says something of now, and is forgotten when that is over. */
static void forget_empty(struct hook_pages *p)
{
	struct log_page *page = TAILQ_FIRST(&p->pages), *next;

	for (; page != NULL; page = next) {
		next = TAILQ_NEXT(page, link);
		if (roll_n(&page->roll) == 0)
			drop(p, page);
	}
}

void hook_pages_grown(struct hook_pages *p)
{
	struct log_reading *r;

	forget_empty(p);
	LIST_FOREACH(r, &p->readings, link)
		r->stale = true;
}

static bool is_same(const struct change_pos *a, const struct change_pos *b)
{
	return a->epoch == b->epoch && a->seq == b->seq && a->index == b->index;
}

/* Answers. */

static void take_batches(struct log_page *page, struct teller_ask *a)
{
	bool whole = true;

	/* a page may end early, but nothing in it may be left out */
	for (size_t i = 0; i < a->n; i++) {
		if (whole)
			whole = roll_add(&page->roll, a->batches[i]);
		else
			change_batch_unref(a->batches[i]);
	}
	page->failed = a->error != ERR_OK || (a->n > 0 && roll_n(&page->roll) == 0);
	free(a->batches);
	a->batches = NULL;
}

static void keep_page(struct hook_pages *p, struct log_reading *r)
{
	struct log_page *page = calloc(1, sizeof *page);

	if (page == NULL) {
		for (size_t i = 0; i < r->ask.n; i++)
			change_batch_unref(r->ask.batches[i]);
		free(r->ask.batches);
		return; /* whoever waits asks again */
	}
	page->from = r->ask.from;
	page->gap = r->ask.gap;
	page->oldest = r->ask.oldest;
	take_batches(page, &r->ask);
	TAILQ_INSERT_HEAD(&p->pages, page, link);
	if (++p->pages_n > HOOK_PAGES_MAX)
		drop(p, TAILQ_LAST(&p->pages, page_list));
}

static void on_answer(void *inbox_arg, struct question *q)
{
	struct log_reading *r = (struct log_reading *)q;
	struct hook_pages *p = r->pages;

	(void)inbox_arg;
	LIST_REMOVE(r, link);
	p->readings_n--;
	if (!r->stale || r->ask.n > 0)
		keep_page(p, r);
	free(r);
	p->answered(p->arg);
}

/* Questions. */

static enum hook_read read_from(struct hook_pages *p, const struct change_pos *pos)
{
	struct log_reading *r;

	LIST_FOREACH(r, &p->readings, link)
		if (is_same(&r->ask.from, pos))
			return READ_WAITS;
	if (p->readings_n == HOOK_READS_MAX)
		return READ_WAITS;
	r = calloc(1, sizeof *r);
	if (r == NULL)
		return READ_FAILED;
	r->pages = p;
	r->ask.question.reply_to = p->own;
	r->ask.question.done = on_answer;
	r->ask.teller = p->shared->teller;
	r->ask.from = *pos;
	r->ask.max_bytes = READ_BYTES;
	LIST_INSERT_HEAD(&p->readings, r, link);
	p->readings_n++;
	question_ask(&r->ask.question, p->shared->keeper, teller_read);
	return READ_WAITS;
}

/* The batch of this page that follows pos; NULL: it does not say. */
static struct sheet *sheet_after(
    const struct log_page *page, const struct change_pos *pos)
{
	if (page->from.epoch != pos->epoch || change_pos_cmp(&page->from, pos) > 0)
		return NULL;
	return roll_after(&page->roll, pos);
}

static enum hook_read of_page(struct hook_pages *p, struct log_page *page,
    const struct change_pos *pos, struct hook_place *out)
{
	out->sheet = sheet_after(page, pos);
	out->roll = &page->roll;
	out->oldest = page->oldest;
	if (out->sheet != NULL) {
		TAILQ_REMOVE(&p->pages, page, link);
		TAILQ_INSERT_HEAD(&p->pages, page, link);
		return READ_BATCH;
	}
	if (roll_n(&page->roll) > 0 || !is_same(&page->from, pos))
		return READ_WAITS;
	return page->failed ? READ_FAILED : page->gap ? READ_GAP : READ_END;
}

enum hook_read hook_pages_after(
    struct hook_pages *p, const struct change_pos *pos, struct hook_place *out)
{
	struct log_page *page, *next;

	for (page = TAILQ_FIRST(&p->pages); page != NULL; page = next) {
		enum hook_read answer;

		next = TAILQ_NEXT(page, link);
		answer = of_page(p, page, pos, out);
		if (answer != READ_WAITS)
			return answer;
	}
	return read_from(p, pos);
}
