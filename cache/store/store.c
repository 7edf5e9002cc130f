/* store.c - which store a URL means, and the calls through its table. */
#include "cache/store/store.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>

static const struct {
	const char *scheme;
	enum err (*open)(
	    struct store **out, const struct store_config *c, char *why, size_t n);
} kinds[] = {
    {"memory:", store_memory_open},
    {"lmdb:", store_lmdb_open},
    {"redis://", store_redis_open},
    {"redis+unix://", store_redis_open},
};

/* What nobody shares is on this machine, and there once it is open. */
static void settle(const struct store *s, const struct store_hooks *hooks)
{
	struct store_health h;

	store_health(s, &h);
	if (!h.shared && hooks->settled != NULL)
		hooks->settled(hooks->arg);
}

enum err store_open(
    struct store **out, const struct store_config *c, char *why, size_t why_n)
{
	*out = NULL;
	for (size_t i = 0; i < sizeof kinds / sizeof kinds[0]; i++)
		if (strncmp(c->url, kinds[i].scheme, strlen(kinds[i].scheme)) == 0) {
			enum err e = kinds[i].open(out, c, why, why_n);

			if (e == ERR_OK)
				settle(*out, &c->hooks);
			return e;
		}
	/* The URL is not repeated: it may hold a password. */
	snprintf(why, why_n,
	    "unknown kind of store; use memory:, lmdb:DIR, redis://HOST:PORT or "
	    "redis+unix:///PATH");
	return ERR_STORE;
}

void store_close(struct store *s)
{
	if (s != NULL)
		s->ops->close(s);
}

void store_get(struct store *s, const struct key *k, store_got_fn *done, void *arg)
{
	s->ops->get(s, k, done, arg);
}

void store_put(struct store *s, const struct key *k, const struct facts *f,
    struct bytes der, bool force, store_done_fn *done, void *arg)
{
	assert(der.n > 0 && f->status != STATUS_NONE); /* errors are never stored (R39) */
	s->ops->put(s, k, f, der, force, done, arg);
}

void store_delete(struct store *s, const struct key *k, store_done_fn *done, void *arg)
{
	s->ops->del(s, k, done, arg);
}

void store_purge(struct store *s, const struct issuer *i, store_done_fn *done, void *arg)
{
	s->ops->purge(s, i, done, arg);
}

struct store_seen store_seen_of(struct bytes value)
{
	struct store_seen seen = {
	    .n = (uint8_t)(value.n < STORE_SEEN_MAX ? value.n : STORE_SEEN_MAX)};

	assert(value.p != NULL || value.n == 0);
	if (seen.n > 0)
		memcpy(seen.octets, value.p, seen.n);
	return seen;
}

void store_lease(struct store *s, const struct key *k, const struct store_seen *seen,
    int lease_ms, store_lease_fn *done, void *arg)
{
	assert(lease_ms > 0);
	s->ops->lease(s, k, seen, lease_ms, done, arg);
}

void store_release(struct store *s, const struct key *k, int failed_ms)
{
	assert(failed_ms >= 0);
	s->ops->release(s, k, failed_ms);
}

void store_sweep(struct store *s, int64_t now)
{
	s->ops->sweep(s, now);
}

void store_health(const struct store *s, struct store_health *out)
{
	memset(out, 0, sizeof *out);
	out->error = out->remedy = "";
	s->ops->health(s, out);
}
