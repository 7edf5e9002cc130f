/* store_memory.c - "memory:": nothing is kept below the hot table.
 *
 * Every read is a miss and every write succeeds at once, so that the keeper needs no
 * special case for a node without a store.
 */
#include "cache/store/store.h"

#include <stdio.h>
#include <stdlib.h>

static void memory_close(struct store *s)
{
	free(s);
}

static void memory_get(
    struct store *s, const struct key *k, store_got_fn *done, void *arg)
{
	(void)s, (void)k;
	done(arg, ERR_NOT_FOUND, bytes_of(NULL, 0));
}

static void memory_put(struct store *s, const struct key *k, const struct facts *f,
    struct bytes der, bool force, store_done_fn *done, void *arg)
{
	(void)s, (void)k, (void)f, (void)der, (void)force;
	if (done != NULL)
		done(arg, ERR_OK);
}

static void memory_del(
    struct store *s, const struct key *k, store_done_fn *done, void *arg)
{
	(void)s, (void)k;
	if (done != NULL)
		done(arg, ERR_OK);
}

static void memory_purge(
    struct store *s, const struct issuer *i, store_done_fn *done, void *arg)
{
	(void)s, (void)i;
	if (done != NULL)
		done(arg, ERR_OK);
}

static void memory_lease(struct store *s, const struct key *k,
    const struct store_seen *seen, int lease_ms, store_lease_fn *done, void *arg)
{
	(void)s, (void)k, (void)seen, (void)lease_ms;
	done(arg, LEASE_ALONE, 0);
}

static void memory_release(struct store *s, const struct key *k, int failed_ms)
{
	(void)s, (void)k, (void)failed_ms;
}

static void memory_sweep(struct store *s, int64_t now)
{
	(void)s, (void)now;
}

static void memory_health(const struct store *s, struct store_health *out)
{
	(void)s;
	out->kind = "memory";
	out->up = true;
}

static const struct store_ops memory_ops = {
    .close = memory_close,
    .get = memory_get,
    .put = memory_put,
    .del = memory_del,
    .purge = memory_purge,
    .lease = memory_lease,
    .release = memory_release,
    .sweep = memory_sweep,
    .health = memory_health,
};

enum err store_memory_open(
    struct store **out, const struct store_config *c, char *why, size_t n)
{
	struct store *s;

	*out = NULL;
	if (strcmp(c->url, "memory:") != 0) {
		snprintf(why, n, "memory: takes no path");
		return ERR_STORE;
	}
	s = calloc(1, sizeof *s);
	if (s == NULL)
		return ERR_NOMEM;
	s->ops = &memory_ops;
	*out = s;
	return ERR_OK;
}
