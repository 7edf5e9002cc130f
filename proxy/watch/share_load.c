/* share_load.c - chunk after chunk into a draft, and the draft to the ledger. */
#include "proxy/watch/share_load.h"

#include <assert.h>
#include <openssl/evp.h>
#include <stdio.h>

#include "proxy/watch/known.h"

/* Of several: what they have in common is that each is what it is. */
struct watch_mark share_load_mark(const struct share_head *const *head, size_t n)
{
	struct watch_mark m = {{0}, 0};
	uint8_t digest[32] = {0};
	EVP_MD_CTX *c;

	if (n == 1 && !head[0]->part)
		return head[0]->stored.mark;
	c = EVP_MD_CTX_new();
	if (c == NULL || EVP_DigestInit_ex(c, EVP_sha256(), NULL) != 1)
		n = 0;
	for (size_t i = 0; i < n; i++)
		if (EVP_DigestUpdate(c, head[i]->node, WATCH_NODE_N) != 1 ||
		    EVP_DigestUpdate(
			c, head[i]->stored.mark.revision, WATCH_REVISION_N) != 1)
			n = 0;
	if (n > 0 && EVP_DigestFinal_ex(c, digest, NULL) == 1)
		memcpy(m.revision, digest, sizeof m.revision);
	EVP_MD_CTX_free(c);
	return m;
}

static void end(struct share_load *l, enum err e)
{
	if (!l->_lent)
		watch_draft_free(l->_draft);
	known_unref(l->_known);
	l->_draft = NULL;
	l->_known = NULL;
	l->done(l->arg, e);
}

/* Into force. */

static void on_job(void *arg, struct ledger_job *j)
{
	struct share_load *l = arg;

	l->core->context->away--;
	end(l, j->foreign ? ERR_CONFLICT : j->error);
}

static void put(struct share_load *l);

static void on_dropped(void *arg, struct ledger_job *j)
{
	struct share_load *l = arg;

	l->core->context->away--;
	if (j->error != ERR_OK && j->error != ERR_NOT_FOUND)
		end(l, j->error);
	else
		put(l);
}

static void begin_job(struct share_load *l, enum ledger_what what,
    enum watch_source source, void (*done)(void *arg, struct ledger_job *j))
{
	l->job = (struct ledger_job){
	    .what = what, .source = source, .copy = l->copy, .done = done, .arg = l};
	strcpy(l->job.name, l->head[0]->name);
	l->core->context->away++;
}

static void put(struct share_load *l)
{
	const struct watch_list *old =
	    inventory_list(ledger_inventory(l->core->context->shared), l->head[0]->name);

	begin_job(l, l->add && old != NULL ? LEDGER_ADD : LEDGER_PUT,
	    share_source(l->head[0]->name, l->head[0]->part), on_job);
	l->job.mark = share_load_mark(l->head, l->n);
	l->job.draft = l->_draft;
	l->_draft = NULL;
	ledger_do(l->core->context->ledger, &l->job);
}

/* One of the other source had this name before: it is gone. */
static void apply(struct share_load *l)
{
	const struct watch_list *old =
	    inventory_list(ledger_inventory(l->core->context->shared), l->head[0]->name);
	enum watch_source source = share_source(l->head[0]->name, l->head[0]->part);

	l->ledger = true;
	if (old == NULL || old->source == source) {
		put(l);
		return;
	}
	begin_job(l, LEDGER_DROP, old->source, on_dropped);
	ledger_do(l->core->context->ledger, &l->job);
}

/* Reading. */

static bool on_entry(void *arg, const struct watch_draft_ca *ca, const struct serial *s,
    struct bytes row, enum err *e)
{
	struct share_load *l = arg;
	struct watch_draft_ca who = *ca;

	/* Issuers are called as this node's configuration does. */
	who.issuer = known_called(l->_known, bytes_of(ca->aki, ca->aki_n), ca->issuer);
	l->_read++;
	*e = watch_draft_keep(l->_draft, &who, s, row);
	return *e == ERR_OK;
}

static void next(struct share_load *l);

static void refuse(struct share_load *l, enum err e)
{
	char what[24];

	snprintf(what, sizeof what, "chunk %u", (unsigned)l->_place.number);
	share_tell_refused(l->core, l->head[l->_at], e, what);
	end(l, e);
}

static void on_chunk(void *arg, enum err e, struct bytes value)
{
	struct share_load *l = arg;

	if (e == ERR_OK)
		e = watch_chunk_decode(value, &l->_place, l->core->keys, on_entry, l);
	if (l->core->stopping) {
		end(l, ERR_CANCELLED);
	} else if (e == ERR_RECORD || e == ERR_RECORD_KEY) {
		refuse(l, e);
	} else if (e != ERR_OK) {
		end(l, e);
	} else {
		l->_place.number++;
		next(l);
	}
}

/* The next chunk of this head, or the next head that has one. */
static void next(struct share_load *l)
{
	for (; l->_at < l->n; l->_at++, l->_place.number = 0, l->_read = 0) {
		const struct watch_stored *of = &l->head[l->_at]->stored;

		l->_place.field = l->head[l->_at]->field;
		l->_place.revision = of->mark.revision;
		if (l->_place.number < of->chunks) {
			watch_redis_chunk(l->core->redis, &l->_place, on_chunk, l);
			return;
		}
		if (l->_read != of->certificates) {
			refuse(l, ERR_RECORD);
			return;
		}
	}
	if (l->_lent)
		end(l, ERR_OK);
	else
		apply(l);
}

static void begin(struct share_load *l, struct watch_draft *draft)
{
	assert(l->n > 0);
	l->ledger = false;
	l->_at = 0;
	l->_read = 0;
	l->_place.number = 0;
	l->_known = known_ref(l->core->context->known);
	l->_draft = draft;
	if (l->_draft == NULL)
		end(l, ERR_NOMEM);
	else
		next(l);
}

void share_load_start(struct share_load *l)
{
	l->_lent = false;
	begin(l, watch_draft_new(ledger_dir(l->core->context->ledger)));
}

void share_load_read(struct share_load *l, struct watch_draft *draft)
{
	l->_lent = true;
	begin(l, draft);
}
