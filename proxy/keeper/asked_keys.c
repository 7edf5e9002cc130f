/* asked_keys.c - marks into messages. */
#include "proxy/keeper/asked_keys.h"

#include <assert.h>
#include <stdlib.h>

#include "cache/watch/inventory.h"

#define ROUND_S 60

/* Is anything watched, and does anybody want to know? */
static bool is_wanted(const struct asked_collector *c)
{
	const struct inventory *v = shared_inventory(c->shared);

	return c->shared->asked_to != NULL && v != NULL && v->n > 0;
}

static void post(struct asked_collector *c)
{
	struct asked_keys *keys = c->keys;

	if (keys == NULL)
		return;
	c->keys = NULL;
	keys->msg.run = c->shared->asked_run;
	inbox_post(c->shared->asked_to, &keys->msg);
}

static void add(struct asked_collector *c, const struct key *k)
{
	if (c->keys == NULL && (c->keys = malloc(sizeof *c->keys)) != NULL)
		c->keys->n = 0;
	if (c->keys == NULL)
		return;
	c->keys->key[c->keys->n++] = *k;
	if (c->keys->n == ASKED_KEYS)
		post(c);
}

void asked_collect(struct asked_collector *c, const struct key *k)
{
	if (is_wanted(c))
		add(c, k);
}

static void on_asked(void *arg, const struct answer *a)
{
	struct key k;

	if (key_from_der(&k, answer_key(a)) == ERR_OK)
		add(arg, &k);
}

void asked_collect_garbage(struct asked_collector *c, const struct hot_garbage *g)
{
	if (is_wanted(c))
		hot_garbage_asked(g, on_asked, c);
}

void asked_collect_tick(struct asked_collector *c)
{
	struct hot *t = c->shared->hot;
	size_t slots;

	if (!is_wanted(c))
		return;
	slots = hot_slots(t) / ROUND_S + 1;
	hot_asked(t, slots > ASKED_SLOTS ? slots : ASKED_SLOTS, on_asked, c);
	post(c);
}

void asked_collect_end(struct asked_collector *c)
{
	free(c->keys);
	c->keys = NULL;
}
