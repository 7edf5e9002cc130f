/* fake_fetch.c - fetch.h without a network: each fetch waits until the test answers it.
 */
#include "proxy/fetch.h"

#include "tests/lib/world.h"

#include <stdlib.h>

struct fetch {
	struct fetch *next;
	char *url;
	fetch_done_fn *done;
	void *arg;
};

static struct fetch *waiting;
static size_t started;

struct fetch *fetch_start(
    struct fetcher *f, const struct fetch_request *r, fetch_done_fn *done, void *arg)
{
	struct fetch *n = calloc(1, sizeof *n), **end = &waiting;

	(void)f;
	if (n == NULL)
		return NULL;
	n->url = strdup(r->url);
	n->done = done;
	n->arg = arg;
	while (*end != NULL)
		end = &(*end)->next;
	*end = n;
	started++;
	return n;
}

static struct fetch *take(struct fetch **link)
{
	struct fetch *n = *link;

	*link = n->next;
	return n;
}

static void fetch_free(struct fetch *n)
{
	free(n->url);
	free(n);
}

void fetch_cancel(struct fetch *f)
{
	for (struct fetch **link = &waiting; *link != NULL; link = &(*link)->next) {
		if (*link == f) {
			fetch_free(take(link));
			return;
		}
	}
}

static struct fetch **nth(size_t i)
{
	struct fetch **link = &waiting;

	while (i-- > 0 && *link != NULL)
		link = &(*link)->next;
	if (*link == NULL)
		abort(); /* the test answers a fetch that was not made */
	return link;
}

static void finish(size_t i, const struct fetch_result *r)
{
	struct fetch *n = take(nth(i));

	n->done(n->arg, r);
	fetch_free(n);
}

void fake_fetch_answer(size_t i, int http_status, struct bytes body)
{
	struct fetch_result r = {.status = http_status,
	    .content_type = "application/ocsp-response",
	    .body = body,
	    .detail = ""};

	finish(i, &r);
}

void fake_fetch_fail(size_t i, enum err e)
{
	struct fetch_result r = {
	    .error = e, .content_type = "", .detail = "as the test says"};

	finish(i, &r);
}

size_t fake_fetches(void)
{
	return started;
}

size_t fake_fetches_waiting(void)
{
	size_t n = 0;

	for (struct fetch *f = waiting; f != NULL; f = f->next)
		n++;
	return n;
}

const char *fake_fetch_url(size_t i)
{
	return (*nth(i))->url;
}

void fake_fetch_reset(void)
{
	while (waiting != NULL)
		fetch_free(take(&waiting));
	started = 0;
}
