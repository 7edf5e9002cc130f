/* fake_fetch.c - fetch.h without a network: each fetch waits until the test answers it.
 */
#include "proxy/http/fetch.h"

#include <stdlib.h>
#include <unistd.h>

#include "proxy/http/fetch_words.h"
#include "tests/lib/world.h"

struct fetch {
	struct fetch *next;
	char *url, *if_none_match, *if_modified_since;
	bool learnt, sink;
	int sink_fd;
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
	if (n->url == NULL) { /* as the real one does */
		free(n);
		return NULL;
	}
	if (r->if_none_match != NULL)
		n->if_none_match = strdup(r->if_none_match);
	if (r->if_modified_since != NULL)
		n->if_modified_since = strdup(r->if_modified_since);
	n->learnt = r->learnt;
	n->sink = r->sink;
	n->sink_fd = r->sink_fd;
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
	free(n->if_none_match);
	free(n->if_modified_since);
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
	fake_fetch_reply(i, &(struct fake_reply){.status = http_status, .body = body});
}

void fake_fetch_reply(size_t i, const struct fake_reply *reply)
{
	const struct fetch *n = *nth(i);
	const struct fetch_end end = {.status = reply->status,
	    .location = "",
	    .cause = "",
	    .remedy = "",
	    .proxy = ""};
	char words[FETCH_WORDS_MAX] = "";
	struct fetch_result r = {.reached = true,
	    .status = reply->status,
	    .content_type = "application/ocsp-response",
	    .etag = reply->etag != NULL ? reply->etag : "",
	    .last_modified = reply->last_modified != NULL ? reply->last_modified : "",
	    .date = reply->date != NULL ? reply->date : "",
	    .retry_after = reply->retry_after != NULL ? reply->retry_after : "",
	    .body = reply->body,
	    .body_n = reply->body.n,
	    .detail = words};

	if (reply->status != 200 && reply->status != 304)
		fetch_words(words, &end);
	if (n->sink) {
		r.body = bytes_of(NULL, 0);
		if (reply->status == 200 && write(n->sink_fd, reply->body.p,
						reply->body.n) != (ssize_t)reply->body.n)
			abort();
	}
	finish(i, &r);
}

void fake_fetch_fail(size_t i, enum err e)
{
	struct fetch_result r = {.error = e,
	    .reached = e != ERR_UP_CONNECT,
	    .content_type = "",
	    .etag = "",
	    .last_modified = "",
	    .date = "",
	    .retry_after = "",
	    .detail = "as the test says"};

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

bool fake_fetch_learnt(size_t i)
{
	return (*nth(i))->learnt;
}

const char *fake_fetch_if_none_match(size_t i)
{
	return (*nth(i))->if_none_match;
}

const char *fake_fetch_if_modified_since(size_t i)
{
	return (*nth(i))->if_modified_since;
}

void fake_fetch_reset(void)
{
	while (waiting != NULL)
		fetch_free(take(&waiting));
	started = 0;
}
