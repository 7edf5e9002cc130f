/* ari_share_core.c - seats by their directory, and what is read on its way into ari.mdb.
 */
#include "proxy/watch/ari_share_core.h"

struct ari_seat *ari_share_seat(const struct ari_share *s, const char *directory)
{
	struct ari_seat *seat = s->seats;

	while (seat != NULL && strcmp(seat->directory, directory) != 0)
		seat = seat->next;
	return seat;
}

/* What is read goes into ari.mdb. */

static void merge_write(struct ari_merge *m)
{
	enum err e = ERR_OK;

	if (m->n > 0)
		e = ari_db_put(m->core->db, m->row, m->n);
	ari_tell_db(m->core, e);
	if (e != ERR_OK)
		m->failed = true;
	m->n = 0;
}

bool ari_merge_end(struct ari_merge *m)
{
	bool failed;

	merge_write(m);
	failed = m->failed;
	m->failed = false;
	return !failed;
}

static void merge_put(struct ari_merge *m, const struct ari_who *w,
    const struct ari_state *state, bool is_news)
{
	if (m->n == ARI_SAVE_MAX)
		merge_write(m);
	m->core->noticed_changed |= is_news;
	m->state[m->n] = *state;
	m->row[m->n] = (struct ari_row){.who = *w, .state = &m->state[m->n]};
	m->n++;
}

/* state: as Redis has it; NULL: it has none.  Then a notice that was told is nobody's. */
void ari_merge_one(
    struct ari_merge *m, const struct ari_who *w, const struct ari_state *state)
{
	struct ari_state own;
	enum err e = ari_db_get(m->core->db, w, &own);

	if (e == ERR_NOT_FOUND || e == ERR_RECORD) {
		if (state != NULL)
			merge_put(m, w, state, state->known.noticed);
	} else if (e != ERR_OK) {
		ari_tell_db(m->core, e);
		m->failed = true;
	} else if (state == NULL && own.known.noticed && !own.untold) {
		own.known.noticed = false;
		merge_put(m, w, &own, true);
	} else if (state != NULL && ari_state_is_newer(state, &own)) {
		merge_put(m, w, state, own.known.noticed || state->known.noticed);
	}
}
