/* share_save.c - some chunks at a time are on their way. */
#include "proxy/watch/share_save.h"

#include <assert.h>
#include <stdlib.h>
#include <sys/random.h>

#include "proxy/base/clock.h"

#define FLYING_MAX 4 /* chunks without an answer */

static void end(struct share_save *s, enum err e)
{
	free(s->_buffer);
	s->_buffer = NULL;
	s->done(s->arg, e);
}

static void on_committed(void *arg, enum err e)
{
	end(arg, e);
}

static void commit(struct share_save *s)
{
	const struct share_head *old = s->old;
	const struct watch_stored *new = &s->stored;
	struct watch_commit c = {.field = old->field,
	    .expected = bytes_of(old->raw, old->raw_n),
	    .head = bytes_of(s->_head, sizeof s->_head),
	    .revision = new->kind != STORED_GONE ? new->mark.revision : NULL,
	    .chunks = new->chunks,
	    .old = share_head_is_live(old) ? old->stored.mark.revision : NULL};

	if (!watch_stored_encode(new, old->field, s->core->keys, s->_head))
		end(s, ERR_NOMEM);
	else
		watch_redis_commit(s->core->redis, &c, on_committed, s);
}

static void go_on(struct share_save *s);

static void on_saved(void *arg, enum err e)
{
	struct share_save *s = arg;

	s->_flying--;
	if (s->_error == ERR_OK)
		s->_error = s->core->stopping ? ERR_CANCELLED : e;
	go_on(s);
}

static void send_chunk(struct share_save *s)
{
	size_t n;

	s->_place.number = s->stored.chunks;
	n = watch_chunk_encode(s->draft, &s->_at, &s->_place, s->core->keys, s->_buffer);
	if (n == 0) {
		s->_error = ERR_NOMEM;
		return;
	}
	s->stored.chunks++;
	s->_flying++;
	watch_redis_save(
	    s->core->redis, &s->_place, bytes_of(s->_buffer, n), on_saved, s);
}

/* An answer may come before watch_redis_save() returns: one more is flying meanwhile. */
static void go_on(struct share_save *s)
{
	size_t n = watch_draft_count(s->draft);

	s->_flying++;
	while (s->_error == ERR_OK && s->_at < n && s->_flying <= FLYING_MAX)
		send_chunk(s);
	s->_flying--;
	if (s->_flying > 0)
		return;
	if (s->_error != ERR_OK)
		end(s, s->_error);
	else
		commit(s);
}

/* What the new head says before its chunks are known.  False: there is no chance. */
static bool begin(struct share_save *s)
{
	uint64_t number = s->old->error == ERR_OK ? s->old->stored.mark.number : 0;

	s->stored = (struct watch_stored){.at = clock_now(),
	    .kind = s->draft == NULL ? STORED_GONE
		    : s->old->part   ? STORED_PART
				     : STORED_LIST,
	    .certificates = s->draft != NULL ? watch_draft_count(s->draft) : 0};
	s->stored.mark.number = 1 + (number > s->above ? number : s->above);
	memcpy(s->stored.node, s->core->node, sizeof s->stored.node);
	return getrandom(s->stored.mark.revision, WATCH_REVISION_N, 0) ==
	       WATCH_REVISION_N;
}

void share_save_start(struct share_save *s)
{
	if (s->draft != NULL)
		s->_buffer = malloc(WATCH_CHUNK_MAX);
	if (!begin(s) || (s->draft != NULL && s->_buffer == NULL)) {
		end(s, ERR_NOMEM);
		return;
	}
	if (s->draft == NULL) {
		commit(s);
		return;
	}
	s->_place = (struct watch_chunk_place){
	    .field = s->old->field, .revision = s->stored.mark.revision};
	go_on(s);
}

void share_save_seen(struct share_save *s)
{
	assert(share_head_is_live(s->old));
	s->stored = s->old->stored;
	s->stored.at = clock_now();
	commit(s);
}
