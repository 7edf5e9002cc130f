/* ari_core.c - chance, the configuration's bounds, and what the inventory says of one. */
#include "proxy/watch/ari_core.h"

#include "cache/watch/inventory.h"
#include "cache/watch/watch_newer.h"
#include "cache/watch/watch_rows.h"
#include "proxy/base/clock.h"
#include "proxy/base/log.h"

/* Numbers that strangers cannot tell from each other are not needed here: any sequence
 * that two nodes do not have in common is (splitmix64). */
unsigned ari_chance(struct ari_core *core)
{
	uint64_t x = core->chance += UINT64_C(0x9e3779b97f4a7c15);

	x = (x ^ x >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
	x = (x ^ x >> 27) * UINT64_C(0x94d049bb133111eb);
	return (unsigned)((x ^ x >> 31) & 0xffff);
}

struct ari_bounds ari_bounds(const struct ari_core *core)
{
	const struct conf *c = shared_conf(core->shared);

	return (struct ari_bounds){
	    c->ari_interval_min_ms / 1000, c->ari_interval_max_ms / 1000};
}

/* The first date that a list has for it. */
static int64_t not_before_of(const struct ari_core *core, const struct inventory *v,
    uint32_t ca, const struct serial *s)
{
	int64_t found = WATCH_TIME_NONE;
	struct watch_record row;
	struct watch_rows *rows;
	struct crl_entry e;

	if (core->watch_db == NULL || watch_rows_open(&rows, core->watch_db) != ERR_OK)
		return found;
	memset(&e, 0, sizeof e);
	crl_entry_set_serial(&e, s);
	for (size_t i = 0; i < v->n && found == WATCH_TIME_NONE; i++)
		if (watch_list_find(v->list[i], ca, s) != NULL &&
		    watch_rows_find(rows, v->list[i]->generation, ca, &e, &row) == ERR_OK)
			found = row.not_before;
	watch_rows_close(rows);
	return found;
}

bool ari_life(const struct ari_core *core, const char *issuer, const struct ari_who *w,
    struct ari_life *out)
{
	const struct inventory *v = shared_inventory(core->shared);
	const struct watch_ca *ca = NULL;
	struct watched e;

	while ((ca = watch_cas_called(v->cas, issuer, ca)) != NULL) {
		if (strcmp(ca->issuer, issuer) != 0 ||
		    !bytes_equal(bytes_of(ca->aki, ca->aki_n), ari_who_aki(w)) ||
		    !inventory_find(v, ca->id, &w->serial, &e))
			continue;
		out->ca = ca->id;
		out->not_after = watched_not_after(&e);
		out->not_before = not_before_of(core, v, ca->id, &w->serial);
		return true;
	}
	return false;
}

static bool is_announced(const struct ari_core *core, const struct watch_newer *by)
{
	const struct watch_ca *ca =
	    watch_cas_at(shared_inventory(core->shared)->cas, by->ca);
	struct ari_who w = {.serial = by->serial};
	struct ari_state s;

	if (ca == NULL || ca->aki_n == 0)
		return false;
	w.aki_n = ca->aki_n;
	memcpy(w.aki, ca->aki, ca->aki_n);
	return ari_db_get(core->db, &w, &s) == ERR_OK && s.known.noticed;
}

/* On this list. */
static bool has_newer(const struct ari_core *core, struct watch_newers *newers,
    uint32_t generation, uint32_t ca, const struct serial *s)
{
	const struct watch_newer_set *set;
	int64_t since;

	if (watch_newers_find(newers, generation, ca, s, &set, &since) != ERR_OK)
		return false;
	for (size_t i = 0; i < set->n && set->at[i].not_before > since; i++)
		if (!is_announced(core, &set->at[i]))
			return true;
	return false;
}

bool ari_is_replaced(
    const struct ari_core *core, const struct ari_who *w, const struct ari_life *life)
{
	const struct inventory *v = shared_inventory(core->shared);
	struct watch_newers *newers;
	bool found = false;

	if (core->watch_db == NULL ||
	    watch_newers_open(&newers, core->watch_db, clock_now()) != ERR_OK)
		return false;
	for (size_t i = 0; i < v->n && !found; i++)
		if (watch_list_find(v->list[i], life->ca, &w->serial) != NULL)
			found = has_newer(
			    core, newers, v->list[i]->generation, life->ca, &w->serial);
	watch_newers_close(newers);
	return found;
}

void ari_tell_db(struct ari_core *core, enum err e)
{
	char why[512];

	if (e == ERR_OK)
		return;
	ari_db_why(core->db, why, sizeof why);
	log_error("ari_db_failed", "err=%s why=%s effect=%s", err_label(e), why,
	    "certificates are asked for anew after a restart");
}
