/* hook_redis_look.c - all webhooks are read, and what is new among them is taken. */
#include <stdio.h>

#include "cache/base/name.h"
#include "cache/redis/redis_word.h"
#include "proxy/base/clock.h"
#include "proxy/base/log.h"
#include "proxy/push/hook_redis_core.h"

/* The next look: where news tell of changes, in case one was missed; where Redis tells
 * none, or the last look failed. */
#define SWEEP_MS 60000
#define POLL_MS  1000
/* So long others wait for who delivers a webhook to write it again. */
#define OTHERS_MS 2000
/* A node that was away for longer brings back what was deleted meanwhile. */
#define GONE_KEEP_S (30 * 86400)

static void tell_refused(struct hook_redis *r, const char *name, enum err e)
{
	if (strcmp(r->refused, name) == 0 || r->refused_in == r->looks)
		return; /* one a look: who floods us with them floods no log */
	r->refused_in = r->looks;
	snprintf(r->refused, sizeof r->refused, "%s", name);
	log_warn("webhook_refused", "webhook=%s err=%s remedy=%s", name, err_label(e),
	    "give all nodes the same store-key-file, or put the webhook again");
}

static void take_one(struct hook_redis *r, const char *name, struct bytes value)
{
	struct hook_slot *slot = hook_core_find(&r->store, name);
	struct webhook *w;
	enum err e;

	if (slot == NULL || !bytes_equal(bytes_of(slot->raw, slot->raw_n), value)) {
		e = hook_sealed_open(&r->seals, name, value, &w);
		if (e != ERR_OK) {
			tell_refused(r, name, e);
		} else if ((slot = hook_core_put(&r->store, w)) != NULL) {
			hook_copy_keep(&slot->raw, &slot->raw_n, value);
		}
		webhook_unref(w);
	}
	if (slot != NULL) {
		slot->seen = r->looks;
		slot->missed_ms = 0;
	}
}

/* The name of a field, as text. */
static bool name_of(const redisReply *f, char name[WEBHOOK_NAME_MAX])
{
	if (!redis_reply_is_text(f) || !name_is_plain(bytes_of(f->str, f->len)))
		return false;
	memcpy(name, f->str, f->len);
	name[f->len] = '\0';
	return true;
}

static bool is_pairs(const redisReply *r)
{
	return r->type == REDIS_REPLY_ARRAY && r->elements % 2 == 0;
}

static void take_hooks(struct hook_redis *r, const redisReply *hooks)
{
	char name[WEBHOOK_NAME_MAX];

	for (size_t i = 0; i < hooks->elements; i += 2) {
		const redisReply *v = hooks->element[i + 1];

		if (name_of(hooks->element[i], name) && redis_reply_is_text(v))
			take_one(r, name, bytes_of(v->str, v->len));
	}
}

/* Deleted, by somebody who has the key? */
static bool is_gone(const struct hook_redis *r, const redisReply *gone, const char *name)
{
	for (size_t i = 0; i < gone->elements; i += 2) {
		const redisReply *f = gone->element[i], *v = gone->element[i + 1];

		if (redis_reply_is_text(f) && redis_reply_is_text(v) &&
		    bytes_equal(bytes_of(f->str, f->len), bytes_of(name, strlen(name))))
			return hook_tomb_is_good(
			    &r->seals, name, bytes_of(v->str, v->len));
	}
	return false;
}

/* It has vanished.  Who delivers it writes it again at once, since he knows best how far
 * it is; the others when he did not. */
static void miss(struct hook_redis *r, struct hook_slot *slot, int64_t now_ms)
{
	if (slot->missed_ms == 0)
		slot->missed_ms = now_ms;
	if (slot->held_until_ms > now_ms || now_ms - slot->missed_ms >= OTHERS_MS)
		hook_change_again(r, slot);
}

/* Those that this look has not seen; how many are to be looked for again. */
static size_t look_for_missing(struct hook_redis *r, const redisReply *gone)
{
	int64_t now_ms = clock_mono_ms();
	size_t missing = 0;

	for (size_t i = r->store.n; i-- > 0;) {
		struct hook_slot *slot = r->store.slot[i];

		if (slot->seen == r->looks)
			continue;
		if (is_gone(r, gone, slot->w->name)) {
			hook_core_drop(&r->store, slot->w->name);
		} else {
			miss(r, slot, now_ms);
			missing++;
		}
	}
	return missing;
}

static void on_swept(void *arg, enum err e, const redisReply *reply)
{
	(void)arg, (void)e, (void)reply; /* else the next look tries it again */
}

/* Tombstones of long ago go; each look takes a few. */
static void sweep(struct hook_redis *r, const redisReply *gone)
{
	struct redis_conn *c = redis_link_commands(r->link);
	int64_t before = clock_now() - GONE_KEEP_S;
	char key[HOOK_KEY_ROOM], name[WEBHOOK_NAME_MAX];
	int swept = 0;

	snprintf(key, sizeof key, "%s" HOOK_TRACK "gone", r->prefix);
	for (size_t i = 0; c != NULL && i < gone->elements && swept < 16; i += 2) {
		const redisReply *v = gone->element[i + 1];

		if (!name_of(gone->element[i], name) || !redis_reply_is_text(v) ||
		    hook_tomb_at(bytes_of(v->str, v->len)) >= before)
			continue;
		redis_conn_send(
		    c, 3, (const char *const[]){"HDEL", key, name}, NULL, on_swept, NULL);
		swept++;
	}
}

static enum err take_look(struct hook_redis *r, const redisReply *reply)
{
	const redisReply *hooks, *gone;

	if (reply->type == REDIS_REPLY_ERROR)
		return redis_word_err(reply);
	if (reply->type != REDIS_REPLY_ARRAY || reply->elements != 2)
		return ERR_RECORD;
	hooks = reply->element[0];
	gone = reply->element[1];
	if (!is_pairs(hooks) || !is_pairs(gone))
		return ERR_RECORD;
	r->looks++;
	take_hooks(r, hooks);
	r->missing = look_for_missing(r, gone);
	sweep(r, gone);
	return ERR_OK;
}

static void on_look(struct redis_call *rc, enum err e, const redisReply *reply)
{
	struct hook_call *c = (struct hook_call *)rc;
	struct hook_redis *r = c->redis;

	r->looking = false;
	hook_call_free(c);
	if (e == ERR_CANCELLED)
		return;
	if (e == ERR_OK)
		e = take_look(r, reply);
	if (e == ERR_OK)
		hook_core_settle(&r->store);
	hook_look_soon(r, r->again ? HOOK_NEWS_MS
			  : e == ERR_OK && r->missing == 0 && redis_link_hears(r->link)
			      ? SWEEP_MS
			      : POLL_MS);
	r->again = false;
}

void hook_look(struct hook_redis *r)
{
	struct hook_call *c;

	if (r->looking) {
		r->again = true;
		return;
	}
	c = hook_call_new(r, HOOK_SCRIPT_LOOK, "", 0, on_look);
	if (c == NULL) {
		hook_look_soon(r, POLL_MS);
		return;
	}
	r->looking = true;
	hook_call_key(c, "h:hooks", "");
	hook_call_key(c, "h:gone", "");
	redis_call_start(&c->call, 2);
}
