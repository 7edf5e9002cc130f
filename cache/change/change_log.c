/* change_log.c - which log a URL means, and the calls through its table. */
#include "cache/change/change_log.h"

#include <assert.h>
#include <stdio.h>

static const struct {
	const char *scheme;
	enum err (*open)(struct change_log **out, const struct change_log_config *c,
	    char *why, size_t n);
} kinds[] = {
    {"memory:", change_log_memory_open},
    {"lmdb:", change_log_lmdb_open},
    {"redis://", change_log_redis_open},
    {"redis+unix://", change_log_redis_open},
};

enum err change_log_open(
    struct change_log **out, const struct change_log_config *c, char *why, size_t why_n)
{
	const char *url = c->store->url;

	*out = NULL;
	for (size_t i = 0; i < sizeof kinds / sizeof kinds[0]; i++)
		if (strncmp(url, kinds[i].scheme, strlen(kinds[i].scheme)) == 0)
			return kinds[i].open(out, c, why, why_n);
	/* The URL is not repeated: it may hold a password. */
	snprintf(why, why_n,
	    "unknown kind of store; use memory:, lmdb:DIR, redis://HOST:PORT or "
	    "redis+unix:///PATH");
	return ERR_STORE;
}

void change_log_close(struct change_log *l)
{
	if (l != NULL)
		l->ops->close(l);
}

void change_log_told(struct change_log *l, const uint8_t scope[CHANGE_SCOPE_N],
    change_log_told_fn *done, void *arg)
{
	l->ops->told(l, scope, done, arg);
}

void change_log_append(struct change_log *l, struct change_batch *b, const uint8_t *scope,
    const struct change_told *expect, const struct change_told *next,
    change_log_done_fn *done, void *arg)
{
	assert(scope != NULL ? expect != NULL && next != NULL : b != NULL && b->n > 0);
	assert(b == NULL || b->n <= CHANGE_BATCH_MAX);
	l->ops->append(l, b, scope, expect, next, done, arg);
}

void change_log_read(struct change_log *l, const struct change_pos *from,
    size_t max_bytes, change_log_page_fn *done, void *arg)
{
	l->ops->read(l, from, max_bytes, done, arg);
}

void change_log_new_epoch(struct change_log *l, change_log_done_fn *done, void *arg)
{
	l->ops->new_epoch(l, done, arg);
}

void change_log_trim(struct change_log *l, int64_t before)
{
	l->ops->trim(l, before);
}

void change_log_health(const struct change_log *l, struct change_log_health *out)
{
	memset(out, 0, sizeof *out);
	out->error = out->remedy = out->damage = "";
	l->ops->health(l, out);
}
