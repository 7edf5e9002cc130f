/* ari_share_notices.c - the notices that another node has found, into our ari.mdb.
 *
 * All of them are read when their version is another: those that are there, and then what
 * became of those that stand here.  Reading takes a tenth of the time at most. */
#include "proxy/base/clock.h"
#include "proxy/watch/ari_share_core.h"

#define REST 10 /* so many times as long as a reading took, until the next */

static void read_page(struct ari_share *s, uint64_t from);
static void compare(struct ari_share *s, const struct ari_who *after);

static void notices_end(struct ari_share *s, bool good)
{
	int64_t now = clock_mono_ms();

	s->notices.reading = false;
	s->notices.not_before_ms = now + REST * (now - s->notices.began_ms);
	if (good)
		s->notices.version = s->notices.reads;
}

static void on_notice(void *arg, const struct ari_who *w, const struct ari_state *state)
{
	struct ari_share *s = arg;

	ari_merge_one(&s->merge, w, state);
}

static void on_compared(void *arg, enum err e, uint64_t next, size_t refused)
{
	struct ari_share *s = arg;

	(void)next, (void)refused;
	if (e == ERR_CANCELLED)
		return;
	if (!ari_merge_end(&s->merge) || e != ERR_OK)
		notices_end(s, false);
	else
		compare(s, &s->notices.after);
}

/* Those that stand here, from the one after `after` on (NULL: the first). */
static void compare(struct ari_share *s, const struct ari_who *after)
{
	struct ari_who *who = s->notices.who;
	size_t n = 0;
	enum err e =
	    ari_db_noticed(s->core->db, bytes_of(NULL, 0), after, who, ARI_SAVE_MAX, &n);

	ari_tell_db(s->core, e);
	if (e != ERR_OK || n == 0) {
		notices_end(s, e == ERR_OK);
		return;
	}
	s->notices.after = who[n - 1];
	ari_redis_get(s->redis, who, n, on_notice, on_compared, s);
}

static void on_notices(void *arg, enum err e, uint64_t next, size_t refused)
{
	struct ari_share *s = arg;

	(void)refused; /* who takes the lease tells it */
	if (e == ERR_CANCELLED)
		return;
	if (!ari_merge_end(&s->merge) || e != ERR_OK)
		notices_end(s, false);
	else if (next != 0)
		read_page(s, next);
	else
		compare(s, NULL);
}

static void read_page(struct ari_share *s, uint64_t from)
{
	ari_redis_page(s->redis, ARI_NOTICES, from, on_notice, on_notices, s);
}

void ari_notices_seen(struct ari_share *s, uint64_t version)
{
	int64_t now = clock_mono_ms();

	/* 0: they have vanished, and who asks writes them again */
	if (version == 0 || version == s->notices.version || s->notices.reading ||
	    now < s->notices.not_before_ms || s->core->stopping)
		return;
	s->notices.reading = true;
	s->notices.reads = version;
	s->notices.began_ms = now;
	read_page(s, 0);
}

/* What was there before is here, too: then so is this. */
void ari_notices_made(struct ari_share *s, uint64_t before, uint64_t made)
{
	if (before == s->notices.version && !s->notices.reading)
		s->notices.version = made;
}
