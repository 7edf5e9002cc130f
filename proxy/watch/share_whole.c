/* share_whole.c - rows, kept one after the other: of two for one certificate the first
 * one counts, so what is added goes in before what was there. */
#include "proxy/watch/share_whole.h"

#include <assert.h>
#include <stdlib.h>

#include "cache/watch/watch_rows.h"
#include "proxy/base/executor.h"
#include "proxy/watch/ledger.h"

#define SLICE 1024 /* rows in one look at the file */

static enum err sort(struct watch_draft *d)
{
	size_t n = watch_draft_cas(d);
	uint32_t *id = malloc((n + 1) * sizeof *id);
	enum err e = ERR_NOMEM;

	for (size_t i = 0; id != NULL && i < n; i++)
		id[i] = (uint32_t)i; /* watch_draft_ca()'s number */
	if (id != NULL)
		e = watch_draft_sort(d, id);
	free(id);
	return e;
}

static enum err keep_more(struct share_whole *w)
{
	enum err e = ERR_OK;

	for (size_t i = 0; e == ERR_OK && i < watch_draft_count(w->more); i++) {
		const struct watch_draft_ca *ca =
		    watch_draft_ca(w->more, watch_draft_id(w->more, i));
		struct serial s;

		crl_entry_serial(watch_draft_entry(w->more, i), &s);
		e = watch_draft_keep(w->draft, ca, &s, watch_draft_row(w->more, i));
	}
	return e;
}

/* Of one CA. */
struct slice {
	struct share_whole *whole;
	struct watch_draft_ca ca;
	bool wanted; /* the CA of the one that is to be left out */
};

static enum err keep_row(
    struct slice *s, const struct crl_entry *entry, const struct watch_record *row)
{
	struct share_whole *w = s->whole;
	uint8_t *encoded;
	struct serial serial;
	enum err e;

	crl_entry_serial(entry, &serial);
	if (s->wanted && serial_equal(&serial, &w->serial)) {
		w->left_out++;
		return ERR_OK;
	}
	encoded = malloc(watch_record_size(row));
	if (encoded == NULL)
		return ERR_NOMEM;
	e = watch_draft_keep(w->draft, &s->ca, &serial,
	    bytes_of(encoded, watch_record_encode(row, encoded)));
	free(encoded);
	return e;
}

static bool is_called(const struct share_whole *w, uint32_t id)
{
	const struct watch_ca *ca = NULL;

	while (
	    w->issuer != NULL && (ca = watch_cas_called(w->_cas, w->issuer, ca)) != NULL)
		if (ca->id == id)
			return true;
	return false;
}

/* In a transaction of its own: none is open for long. */
static enum err keep_slice(
    struct slice *s, const struct watch_range *r, uint32_t from, uint32_t n)
{
	struct share_whole *w = s->whole;
	struct watch_rows *rows = NULL;
	enum err e = watch_rows_open(&rows, ledger_db(w->core->context->ledger));

	for (uint32_t i = from; e == ERR_OK && i < from + n; i++) {
		const struct crl_entry *entry =
		    (const struct crl_entry *)&w->base->entries[r->first + i];
		struct watch_record row;

		e = watch_rows_find(rows, w->base->generation, r->ca, entry, &row);
		if (e == ERR_OK)
			e = keep_row(s, entry, &row);
		else if (e == ERR_NOT_FOUND)
			e = ERR_STORE;
	}
	watch_rows_close(rows);
	return e;
}

static enum err keep_range(struct share_whole *w, const struct watch_range *r)
{
	const struct watch_ca *ca = watch_cas_at(w->_cas, r->ca);
	struct slice s = {.whole = w, .wanted = is_called(w, r->ca)};
	enum err e = ca != NULL ? ERR_OK : ERR_RECORD;

	if (e == ERR_OK) {
		s.ca = (struct watch_draft_ca){ca->issuer, ca->dn, ca->aki_n, {0}};
		memcpy(s.ca.aki, ca->aki, ca->aki_n);
	}
	for (uint32_t i = 0; e == ERR_OK && i < r->n; i += SLICE)
		e = keep_slice(&s, r, i, r->n - i < SLICE ? r->n - i : SLICE);
	return e;
}

static enum err join(struct share_whole *w)
{
	enum err e = ERR_OK;

	w->draft = watch_draft_new(ledger_dir(w->core->context->ledger));
	if (w->draft == NULL)
		return ERR_NOMEM;
	if (w->more != NULL)
		e = keep_more(w);
	for (size_t i = 0; e == ERR_OK && i < w->base->ranges_n; i++)
		e = keep_range(w, &w->base->ranges[i]);
	if (e == ERR_OK && w->issuer != NULL && w->left_out == 0)
		return ERR_NOT_FOUND;
	return e == ERR_OK ? sort(w->draft) : e;
}

static void work(void *arg)
{
	struct share_whole *w = arg;

	w->error = ERR_OK;
	if (w->more != NULL && !w->sorted)
		w->error = sort(w->more);
	w->sorted = true;
	if (w->error == ERR_OK && w->base != NULL)
		w->error = join(w);
}

static void over(void *arg)
{
	struct share_whole *w = arg;

	w->core->context->away--;
	w->done(w->arg, w->error);
}

void share_whole_make(struct share_whole *w)
{
	const struct inventory *v = ledger_inventory(w->core->context->shared);

	assert(w->draft == NULL && (w->more != NULL || w->base != NULL));
	watch_cas_unref(w->_cas);
	w->_cas = watch_cas_ref(v->cas);
	w->left_out = 0;
	w->core->context->away++;
	executor_run(w->core->thread, work, over, w);
}

void share_whole_clear(struct share_whole *w)
{
	watch_draft_free(w->draft);
	watch_list_unref(w->base);
	watch_cas_unref(w->_cas);
	w->draft = NULL;
	w->base = NULL;
	w->_cas = NULL;
}
