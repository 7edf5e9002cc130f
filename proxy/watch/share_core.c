/* share_core.c - heads, and what is told of those that are refused. */
#include "proxy/watch/share_core.h"

#include <stdlib.h>
#include <xxhash.h>

#include "proxy/base/alarms.h"
#include "proxy/base/clock.h"
#include "proxy/base/log.h"
#include "proxy/watch/ledger.h"

bool share_head_set(struct share_head *h, const struct share_core *s, const char *field,
    struct bytes value)
{
	*h = (struct share_head){.error = ERR_RECORD, .raw_n = value.n};
	h->raw = malloc(value.n + 1);
	if (h->raw == NULL)
		return false;
	memcpy(h->raw, value.p, value.n);
	strcpy(h->field, field);
	if (watch_field_read(bytes_of(field, strlen(field)), h->name, h->node, &h->part))
		h->error = watch_stored_decode(
		    &h->stored, field, s->keys, bytes_of(h->raw, h->raw_n));
	return true;
}

void share_head_clear(struct share_head *h)
{
	free(h->raw);
	h->raw = NULL;
}

static bool was_told(struct share_core *s, uint64_t hash)
{
	for (size_t i = 0; i < SHARE_TOLD; i++)
		if (s->told[i] == hash)
			return true;
	s->told[s->told_n++ % SHARE_TOLD] = hash;
	return false;
}

void share_tell_refused(
    struct share_core *s, const struct share_head *h, enum err e, const char *what)
{
	uint64_t hash = XXH3_64bits_withSeed(h->raw, h->raw_n, (unsigned)e) ^
			XXH3_64bits(h->field, strlen(h->field));

	metrics_count(s->context->counters, M_WATCHLISTS_REFUSED);
	if (was_told(s, hash))
		return;
	log_error("watchlist_refused",
	    "watchlist=%s key=%s%s field=%s what=%s err=%s "
	    "remedy=%s",
	    h->name, shared_conf(s->context->shared)->store_prefix, "{w}:l:lists",
	    h->field, what, err_label(e),
	    e == ERR_RECORD_KEY
		? "the last good one stays; see that all nodes have one store-key-file; "
		  "else somebody has changed it: put the list again, or delete it"
	    : e == ERR_NOT_FOUND
		? "it is missing; nodes that have the list write it again within a "
		  "minute; else put it again: and see that Redis evicts no keys without "
		  "TTL"
		: "the last good one stays; another version may have written it: run "
		  "one version on all nodes, then put the list again");
}

void share_tell_lost(struct share_core *s, const char *name, const char *source)
{
	metrics_count(s->context->counters, M_WATCHLISTS_LOST);
	alarm_raise(ALARM_WATCHLIST_LOST, "", name, "it had vanished from Redis");
	log_error("watchlist_lost", "watchlist=%s source=%s remedy=%s", name, source,
	    "it had vanished from Redis, or was older there, and this node writes it "
	    "back: see whether Redis was flushed, evicts keys without TTL, or went back "
	    "to an older state");
}

/* Has the last look seen this part as it is now? */
static bool was_seen(const struct share_core *s, const struct share_head *h)
{
	for (size_t i = 0; h->part && i < s->seen_n; i++)
		if (strcmp(s->seen[i].field, h->field) == 0)
			return memcmp(s->seen[i].revision, h->stored.mark.revision,
				   WATCH_REVISION_N) == 0;
	return false;
}

bool share_is_copy(
    const struct share_core *s, const struct share_head *const *head, size_t n)
{
	const struct inventory *v = ledger_inventory(s->context->shared);
	bool had = inventory_list(v, head[0]->name) != NULL;
	size_t news = 0;

	for (size_t i = 0; i < n; i++) {
		const struct watch_stored *of = &head[i]->stored;
		int64_t late_s = clock_now() - of->at;

		if (was_seen(s, head[i]))
			continue;
		news++;
		/* whole seconds: within two */
		if (memcmp(of->node, s->node, sizeof s->node) == 0 ||
		    (had && (late_s < -1 || late_s > 1)))
			return false;
	}
	return news > 0;
}
