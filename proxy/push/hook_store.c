/* hook_store.c - which kind it is of, and what is asked of any. */
#include "proxy/push/hook_core.h"

#include <assert.h>

const char *hook_store_refusal(const struct conf *c)
{
	if (strncmp(c->store, "memory:", 7) == 0)
		return "store = \"memory:\" keeps no webhooks; use lmdb: or redis:";
	if (strncmp(c->store, "redis", 5) == 0 && c->mac_keys == NULL)
		return "webhooks on a shared store need store-key-file, whose key "
		       "encrypts their secrets";
	return NULL;
}

enum err hook_store_open(
    struct hook_store **out, const struct hook_store_config *c, char *why, size_t why_n)
{
	assert(hook_store_refusal(c->conf) == NULL);
	return strncmp(c->conf->store, "lmdb:", 5) == 0
		   ? hook_file_open(out, c, why, why_n)
		   : hook_redis_open(out, c, why, why_n);
}

void hook_store_close(struct hook_store *s)
{
	if (s != NULL)
		s->ops->close(s);
}

bool hook_store_is_up(const struct hook_store *s, char *why, size_t why_n)
{
	return s->ops->is_up(s, why, why_n);
}

bool hook_store_has_settled(const struct hook_store *s)
{
	return s->settled;
}

const struct webhook *hook_store_find(const struct hook_store *s, const char *name)
{
	const struct hook_slot *slot = hook_core_find(s, name);

	return slot != NULL ? slot->w : NULL;
}

size_t hook_store_count(const struct hook_store *s)
{
	return s->n;
}

const struct webhook *hook_store_at(const struct hook_store *s, size_t i)
{
	assert(i < s->n);
	return s->slot[i]->w;
}

void hook_store_put(struct hook_store *s, const struct webhook *w,
    const struct webhook *before, hook_done_fn *done, void *arg)
{
	if (hook_store_find(s, w->name) != before)
		done(arg, ERR_CONFLICT);
	else if (before == NULL && s->n >= HOOKS_MAX)
		done(arg, ERR_STORE_FULL);
	else
		s->ops->change(s, w, before, done, arg);
}

void hook_store_drop(
    struct hook_store *s, const struct webhook *w, hook_done_fn *done, void *arg)
{
	if (hook_store_find(s, w->name) != w)
		done(arg, ERR_CONFLICT);
	else
		s->ops->change(s, NULL, w, done, arg);
}

void hook_store_state(
    struct hook_store *s, const char *name, hook_state_fn *done, void *arg)
{
	s->ops->state(s, name, done, arg);
}

void hook_store_take(
    struct hook_store *s, const char *name, hook_state_fn *done, void *arg)
{
	s->ops->take(s, name, done, arg);
}

void hook_store_keep(
    struct hook_store *s, const char *name, hook_done_fn *done, void *arg)
{
	s->ops->keep(s, name, done, arg);
}

void hook_store_leave(struct hook_store *s, const char *name)
{
	s->ops->leave(s, name);
}

bool hook_store_holds(const struct hook_store *s, const char *name)
{
	return s->ops->holds(s, name);
}

void hook_store_save(struct hook_store *s, const char *name,
    const struct webhook_state *state, hook_done_fn *done, void *arg)
{
	s->ops->save(s, name, state, done, arg);
}
