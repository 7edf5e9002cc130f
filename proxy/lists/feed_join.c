/* feed_join.c - one complete list that is published under two URLs: the later one becomes
 * a place of the earlier one, so that it is fetched, indexed and told once.
 *
 * Which lists are so is found as they are read (crl_job.c), and kept for the next life in
 * the folder of the one that goes: were it fetched anew there, it might be the newer one
 * of the two, and the first of its scope, whose changes are not told.
 */
#include "proxy/lists/feed_list.h"

#include <stdio.h>
#include <stdlib.h>

#include "proxy/base/clock.h"
#include "proxy/base/log.h"

struct join_note {
	char *dir, *scope;
};

static void note_free(struct join_note *n)
{
	free(n->dir);
	free(n->scope);
	free(n);
}

static void note_work(void *arg)
{
	struct join_note *n = arg;

	crl_state_join(n->dir, n->scope);
	note_free(n);
}

/* For the next life. */
static void note_join(const struct feed_list *l)
{
	struct join_note *n = calloc(1, sizeof *n);

	if (n == NULL)
		return;
	n->dir = strdup(l->dir);
	n->scope = strdup(l->joining);
	if (n->dir != NULL && n->scope != NULL)
		executor_run(l->issuer->feed->context->disk, note_work, NULL, n);
	else
		note_free(n);
}

/* False: out of memory. */
static bool join_list(struct feed_issuer *i, struct feed_list *l)
{
	struct crl_joins *joins = crl_joins_new(i->joins, l->scope, l->joining);
	char remedy[900];

	if (joins == NULL)
		return false;
	snprintf(remedy, sizeof remedy, "write \"%.400s | %.400s\" in crl", l->joining,
	    feed_url(l));
	log_warn("crl_twice", "issuer=%s url=%s same_as=%s remedy=%s", i->name,
	    feed_url(l), l->joining, remedy);
	note_join(l);
	crl_joins_unref(i->joins);
	i->joins = joins;
	free(l->joining);
	l->joining = NULL;
	return true;
}

void feed_join(struct feed_issuer *i)
{
	struct crl_feed *f = i->feed;
	const struct issuer *c = issuers_named(f->conf->issuers, i->name);
	bool done = true;

	for (size_t n = 0; n < i->n; n++)
		if (i->list[n]->joining != NULL)
			done &= join_list(i, i->list[n]);
	if (done && feed_set_lists(i, c)) {
		i->joining = false;
		feed_begin_lists(i);
		feed_wake(i);
		return;
	}
	f->arrange_ms = clock_mono_ms() + FEED_RETRY_MS;
	feed_arm(f);
}
