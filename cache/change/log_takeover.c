/* log_takeover.c - is there an old state; then slice after slice, until Redis says that
 * nothing is left.
 */
#include "cache/change/log_takeover.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define OLD_TAG   "e:"
#define CURSOR_N  24 /* of SCAN: 64 bits in decimal */
#define NAME_ROOM (REDIS_PREFIX_MAX + REDIS_TRACK_MAX + sizeof "state")
#define KEYS      4

struct takeover {
	struct redis_call call; /* first */
	struct redis_link *link;
	const struct redis_script *script;
	const char *prefix, *tag;
	log_takeover_fn *done;
	void *arg;
	char cursor[CURSOR_N]; /* "": all small keys were moved */
};

static void end(struct takeover *t, enum err e, bool taken, const redisReply *said)
{
	if (e != ERR_CANCELLED)
		t->done(t->arg, e, taken, said);
	free(t);
}

static bool go_on(struct takeover *t);

/* A cursor while small keys are moved, then how many batches were. */
static void on_slice(struct redis_call *c, enum err e, const redisReply *r)
{
	struct takeover *t = (struct takeover *)c;
	bool small = t->cursor[0] != '\0';

	if (e != ERR_OK) {
		end(t, e, true, NULL);
		return;
	}
	if (small && r->type == REDIS_REPLY_STRING && r->len < sizeof t->cursor) {
		strcpy(t->cursor, strcmp(r->str, "0") == 0 ? "" : r->str);
	} else if (small || r->type != REDIS_REPLY_INTEGER) {
		end(t, ERR_OK, true, r);
		return;
	} else if (r->integer <= 0) {
		end(t, ERR_OK, true, NULL);
		return;
	}
	if (!go_on(t))
		end(t, ERR_NOMEM, true, NULL);
}

static void add_name(struct takeover *t, const char *tag, const char *name)
{
	char out[NAME_ROOM];

	redis_call_add(&t->call, out,
	    (size_t)snprintf(out, sizeof out, "%s%s%s", t->prefix, tag, name));
}

static bool go_on(struct takeover *t)
{
	if (!redis_call_init(
		&t->call, t->link, t->script, 6 * NAME_ROOM + CURSOR_N, on_slice))
		return false;
	add_name(t, t->tag, "state");
	add_name(t, t->tag, "log");
	add_name(t, OLD_TAG, "state");
	add_name(t, OLD_TAG, "log");
	redis_call_add(&t->call, t->cursor, strlen(t->cursor));
	add_name(t, OLD_TAG, "");
	add_name(t, t->tag, "");
	redis_call_start(&t->call, KEYS);
	return true;
}

static void on_exists(void *arg, enum err e, const redisReply *r)
{
	struct takeover *t = arg;

	if (e != ERR_OK)
		end(t, e, false, NULL);
	else if (r->type != REDIS_REPLY_INTEGER)
		end(t, ERR_OK, false, r);
	else if (r->integer == 0)
		end(t, ERR_OK, false, NULL);
	else if (!go_on(t))
		end(t, ERR_NOMEM, false, NULL);
}

/* One key at first: the script touches two slots, and a cluster would refuse it. */
bool log_takeover_start(struct redis_link *link, const struct redis_script *script,
    const char *prefix, const char *tag, log_takeover_fn *done, void *arg)
{
	struct redis_conn *c = redis_link_commands(link);
	struct takeover *t = c != NULL ? calloc(1, sizeof *t) : NULL;
	char name[NAME_ROOM];

	if (t == NULL)
		return false;
	*t = (struct takeover){.link = link,
	    .script = script,
	    .prefix = prefix,
	    .tag = tag,
	    .done = done,
	    .arg = arg,
	    .cursor = "0"};
	snprintf(name, sizeof name, "%s" OLD_TAG "state", prefix);
	if (WORDS(c, on_exists, t, "EXISTS", name))
		return true;
	free(t);
	return false;
}
