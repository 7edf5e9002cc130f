/* ari_share_save.c - states on their way to Redis: as ari.mdb has them when they leave.
 *
 * One that fails stays, and leaves again with the next turn, when the lease is ours. */
#include <openssl/rand.h>
#include <stdlib.h>

#include "proxy/base/clock.h"
#include "proxy/watch/ari_share_core.h"

struct ari_saver {
	struct ari_saver *next, **at;
	struct ari_share *share;
	struct ari_seat *seat;
	void (*saved)(void *arg, const struct ari_who *w, size_t n);
	void *arg;
	struct ari_who *who; /* those that wait, the first `out->n` of them leaving */
	size_t n, room;
	struct ari_saving *out; /* under way, or NULL */
};

struct ari_saving {
	struct ari_saver *saver; /* NULL: it was freed */
	struct ari_seat *seat;
	int64_t sent_ms;
	uint64_t fresh;
	size_t n;
	struct ari_row row[ARI_SAVE_MAX];
	struct ari_state state[ARI_SAVE_MAX];
};

bool ari_saver_add(struct ari_saver *v, const struct ari_who *w)
{
	size_t room = v->room > 0 ? 2 * v->room : ARI_SAVE_MAX;
	struct ari_who *more;

	if (v->n == v->room) {
		more = realloc(v->who, room * sizeof *more);
		if (more == NULL)
			return false;
		v->who = more;
		v->room = room;
	}
	v->who[v->n++] = *w;
	return true;
}

static void on_saved(void *arg, enum err e, uint64_t before, bool news)
{
	struct ari_saving *o = arg;
	struct ari_saver *v = o->saver;
	struct ari_who who[ARI_SAVE_MAX];
	size_t n = o->n;

	o->seat->share->core->away--;
	if (e != ERR_CANCELLED)
		o->seat->share->saved(
		    o->seat, e, o->sent_ms, before, news ? o->fresh : 0);
	free(o);
	if (v == NULL)
		return;
	v->out = NULL;
	if (e != ERR_OK)
		return;
	memcpy(who, v->who, n * sizeof *who);
	v->n -= n;
	memmove(v->who, v->who + n, v->n * sizeof *v->who);
	v->saved(v->arg, who, n);
	ari_saver_go(v);
}

/* False: ari.mdb cannot be read. */
static bool fill(struct ari_saving *o, struct ari_core *core, const struct ari_who *w)
{
	struct ari_state *state = &o->state[o->n];
	enum err e = ari_db_get(core->db, w, state);

	if (e != ERR_OK && e != ERR_NOT_FOUND && e != ERR_RECORD) {
		ari_tell_db(core, e);
		return false;
	}
	o->row[o->n++] = (struct ari_row){.who = *w, .state = e == ERR_OK ? state : NULL};
	return true;
}

void ari_saver_go(struct ari_saver *v)
{
	struct ari_share *s = v->share;
	struct ari_saving *o;

	if (v->out != NULL || v->n == 0 || v->seat->is != SEAT_HELD)
		return;
	o = calloc(1, sizeof *o);
	if (o == NULL)
		return; /* the next turn */
	o->saver = v;
	o->seat = v->seat;
	o->sent_ms = clock_mono_ms();
	while (o->n < v->n && o->n < ARI_SAVE_MAX)
		if (!fill(o, s->core, &v->who[o->n]))
			break;
	if (o->n == 0 || RAND_bytes((uint8_t *)&o->fresh, sizeof o->fresh) != 1) {
		free(o);
		return;
	}
	o->fresh |= 1; /* 0 is none */
	v->out = o;
	s->core->away++;
	ari_redis_save(s->redis, v->seat->directory, o->row, o->n, o->fresh, on_saved, o);
}

void ari_savers_go(struct ari_share *s)
{
	for (struct ari_saver *v = s->savers; v != NULL; v = v->next)
		ari_saver_go(v);
}

bool ari_savers_are_full(const struct ari_seat *seat)
{
	for (const struct ari_saver *v = seat->share->savers; v != NULL; v = v->next)
		if (v->seat == seat && v->n >= ARI_SHARE_WAIT_MAX)
			return true;
	return false;
}

struct ari_saver *ari_saver_new(struct ari_share *s, const char *directory,
    void (*saved)(void *arg, const struct ari_who *w, size_t n), void *arg)
{
	struct ari_saver *v = calloc(1, sizeof *v);

	if (v == NULL)
		return NULL;
	v->share = s;
	v->seat = ari_share_seat(s, directory);
	v->saved = saved;
	v->arg = arg;
	if (v->seat == NULL) {
		free(v);
		return NULL;
	}
	v->next = s->savers;
	v->at = &s->savers;
	if (v->next != NULL)
		v->next->at = &v->next;
	s->savers = v;
	return v;
}

void ari_saver_free(struct ari_saver *v)
{
	if (v == NULL)
		return;
	if (v->out != NULL)
		v->out->saver = NULL;
	*v->at = v->next;
	if (v->next != NULL)
		v->next->at = v->at;
	free(v->who);
	free(v);
}
