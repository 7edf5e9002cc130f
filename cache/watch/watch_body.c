/* watch_body.c - which reader a body has, and what is common to all. */
#include "cache/watch/watch_body.h"

#include <assert.h>
#include <stdlib.h>
#include <strings.h>

#include "cache/watch/watch_bundle.h"
#include "cache/watch/watch_csv.h"
#include "cache/watch/watch_ndjson.h"
#include "cache/watch/watch_plain.h"

static const struct {
	const char *type;
	const struct watch_reader *reader;
} formats[] = {
    [WATCH_PEM] = {"application/x-pem-file", &watch_bundle_reader},
    [WATCH_NDJSON] = {"application/x-ndjson", &watch_ndjson_reader},
    [WATCH_CSV] = {"text/csv", &watch_csv_reader},
    [WATCH_PLAIN] = {"text/plain", &watch_plain_reader},
};

#define FORMATS (sizeof formats / sizeof formats[0])

struct watch_body {
	struct watch_want want;
	struct watch_out out;
	const struct watch_reader *reader;
	void *state; /* the reader's */
	bool over;   /* it ended, well or not */
};

bool watch_format_of(const char *content_type, enum watch_format *f)
{
	size_t n = strcspn(content_type, "; \t");
	const char *rest = content_type + n + strspn(content_type + n, " \t");

	for (size_t i = 0; i < FORMATS; i++)
		if (strlen(formats[i].type) == n && (*rest == '\0' || *rest == ';') &&
		    strncasecmp(formats[i].type, content_type, n) == 0) {
			*f = (enum watch_format)i;
			return true;
		}
	return false;
}

struct watch_body *watch_body_new(const struct watch_want *want)
{
	struct watch_body *b = calloc(1, sizeof *b);

	assert(want->each != NULL && want->format < FORMATS);
	if (b == NULL)
		return NULL;
	b->want = *want;
	b->out.want = &b->want;
	b->out.serials.base = want->base;
	b->reader = formats[want->format].reader;
	b->state = b->reader->new (&b->out);
	if (b->state == NULL) {
		free(b);
		return NULL;
	}
	b->want.map = NULL; /* read */
	return b;
}

bool watch_body_feed(struct watch_body *b, struct bytes piece)
{
	assert(!b->over);
	b->over = !b->reader->feed(b->state, piece);
	return !b->over;
}

bool watch_body_end(struct watch_body *b)
{
	assert(!b->over);
	b->over = true;
	return b->reader->end(b->state);
}

const struct watch_error *watch_body_error(const struct watch_body *b)
{
	return &b->out.error;
}

struct watch_count watch_body_count(const struct watch_body *b)
{
	struct watch_count count = b->out.count;

	if (b->reader->passed_over != NULL)
		count.passed_over = b->reader->passed_over(b->state);
	return count;
}

void watch_body_free(struct watch_body *b)
{
	if (b == NULL)
		return;
	b->reader->free(b->state);
	free(b);
}
