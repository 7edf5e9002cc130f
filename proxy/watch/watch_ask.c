/* watch_ask.c - who answers what. */
#include "proxy/watch/watch_ask.h"

#include <assert.h>
#include <stdlib.h>

#include "proxy/base/log.h"
#include "proxy/watch/counts.h"
#include "proxy/watch/incident_calls.h"
#include "proxy/watch/page.h"
#include "proxy/watch/share.h"
#include "proxy/watch/watch_reply.h"
#include "proxy/watch/watcher.h"

/* A change that the ledger is to make for an ask. */
struct asked_job {
	struct ledger_job job; /* first */
	struct watch_context *context;
	struct watch_ask *ask;
};

/* Changes. */

static void refuse_job(struct asked_job *j)
{
	struct refusal r;

	if (j->job.foreign)
		refusal_of_files(&r, j->job.name);
	else if (j->job.error == ERR_NOT_FOUND && j->job.what == LEDGER_DROP)
		refusal_of_list(&r, j->context);
	else if (j->job.error == ERR_NOT_FOUND)
		refusal_of_entry(&r);
	else
		refusal_of_job(&r, j->context, &j->job);
	watch_reply_refuse(j->ask, &r);
}

static void on_job(void *arg, struct ledger_job *job)
{
	struct asked_job *j = arg;

	assert(j->context->away > 0);
	j->context->away--;
	if (job->error != ERR_OK || job->foreign) {
		refuse_job(j);
	} else {
		if (job->what == LEDGER_DROP)
			log_each(
			    LOG_INFO, "watchlist_deleted", "watchlist=%s", job->name);
		watch_reply_empty(j->ask);
	}
	free(j);
}

static void change(struct watch_context *context, struct watch_ask *a)
{
	struct asked_job *j;
	struct refusal r;

	if (refusal_of_source(&r, context, a->name) || refusal_of_share(&r, context)) {
		watch_reply_refuse(a, &r);
		return;
	}
	j = calloc(1, sizeof *j);
	if (j == NULL) {
		watch_reply_fail(a, context, ERR_NOMEM);
		return;
	}
	j->context = context;
	j->ask = a;
	j->job.what = a->what == WATCH_DROP ? LEDGER_DROP : LEDGER_REMOVE;
	memcpy(j->job.name, a->name, sizeof j->job.name);
	memcpy(j->job.issuer, a->issuer, sizeof j->job.issuer);
	j->job.serial = a->serial;
	j->job.done = on_job;
	j->job.arg = j;
	context->away++;
	share_change(context, &j->job);
}

/* All of them. */

/* Neither a configured issuer nor a CA of what is watched. */
static bool is_nobody(const struct watch_context *context, const char *issuer)
{
	return issuer[0] != '\0' &&
	       issuers_named(shared_conf(context->shared)->issuers, issuer) == NULL &&
	       watch_cas_called(ledger_inventory(context->shared)->cas, issuer, NULL) ==
		   NULL;
}

/* A CA by the identifier of its key: as by the name of its issuer. */
static bool sees_issuer(const struct watch_context *context, const struct watch_ask *a)
{
	const struct watch_cas *cas = ledger_inventory(context->shared)->cas;
	const struct watch_ca *ca = NULL;

	if (a->filter.issuer[0] == '\0' || access_issuer(a->access, a->filter.issuer))
		return true;
	while ((ca = watch_cas_called(cas, a->filter.issuer, ca)) != NULL)
		if (access_issuer(a->access, ca->issuer))
			return true;
	return false;
}

static void certificates(struct watch_context *context, struct watch_ask *a)
{
	struct refusal r;

	if (is_nobody(context, a->filter.issuer) || !sees_issuer(context, a)) {
		refusal_of_issuer(&r);
		watch_reply_refuse(a, &r);
		return;
	}
	page_make(context, a);
}

void watch_ask_take(void *watcher, struct msg *m)
{
	struct watch_ask *a = (struct watch_ask *)m;
	struct watch_context *context = watcher_context(watcher);
	struct counts *counts = watcher_counts(watcher);

	if (context->stopping)
		watch_reply_fail(a, context, ERR_CANCELLED);
	else if (a->what == WATCH_LISTS)
		counts_lists(counts, a);
	else if (a->what == WATCH_LIST)
		counts_list(counts, a);
	else if (a->what == WATCH_SUMMARY)
		counts_summary(counts, a);
	else if (a->what == WATCH_INCIDENTS || a->what == WATCH_INCIDENT_ONE)
		incident_calls_get(watcher_incidents(watcher), a);
	else if (a->what == WATCH_INCIDENT_DROP)
		incident_calls_drop(watcher_incidents(watcher), a);
	else if (a->what == WATCH_CERTIFICATES)
		certificates(context, a);
	else
		change(context, a);
}
