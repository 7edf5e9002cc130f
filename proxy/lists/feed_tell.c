/* feed_tell.c - from in force to told: durable and past the barrier first, then the
 * changes.
 *
 * Nothing is told while a list that is in force has to settle: its end goes on with the
 * newest.  So what is linked as next is always what current is then.  The states are
 * drawn in feed_list.h.
 */
#include "proxy/lists/feed_list.h"

#include <assert.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "cache/watch/watch_pick.h"
#include "proxy/base/log.h"
#include "proxy/tell/teller.h"

/* Tries to read the list that was told, over two minutes: memory and descriptors come
 * back in that time, a disk does not.  Then subscribers are sent for a snapshot, which
 * holds all that this list would have told them. */
#define TRIES_MAX 6

static void tell(struct feed_work *w);

/* Settling. */

/* The comparison that was made while it was read still fits. */
static bool diff_fits(const struct feed_list *l, const struct crl_job *j)
{
	if (j->diff_made == NULL || l->tell.step != FEED_QUIET || l->told.first_left)
		return false;
	if (j->kind == CRL_JOB_READ && j->read.succeeds)
		return l->told.state == FEED_NOTHING;
	return l->told.state >= FEED_UNPLACED &&
	       memcmp(l->told.sha256, j->from, sizeof j->from) == 0;
}

static void settle_if_both(struct feed_work *w)
{
	struct feed_list *l = w->list;

	if (!w->passed || w->file != FEED_CURRENT)
		return;
	assert(l->settle.n > 0);
	l->settle.n--;
	l->settle.has_durable = true;
	memcpy(l->settle.durable, w->job.facts.sha256, sizeof l->settle.durable);
	if (l->settle.n == 0 && !feed_is_gone(l) && !l->issuer->feed->cancelled &&
	    diff_fits(l, &w->job)) {
		w->job.to = CRL_CURRENT;
		tell(w);
	} else {
		feed_work_free(w);
		feed_tell(l);
	}
	if (l->open.state == FEED_TO_OPEN && l->settle.n == 0)
		feed_retry_in(l, 0);
}

static void on_passed(struct barrier_want *want)
{
	struct feed_work *w = feed_work_passing(want);

	assert(!w->passed);
	w->passed = true;
	feed_release_old(w);
	if (w->file == FEED_GIVEN_UP)
		feed_work_free(w);
	else
		settle_if_both(w);
}

static void write_hints(const struct crl_job *j)
{
	crl_hints_write(j->dir, j->url, &j->hints);
	crl_pace_write(j->dir, &j->pace);
}

static void install_work(void *arg)
{
	struct feed_work *w = feed_work_of(arg);

	w->error_number = 0;
	if (crl_state_install(w->job.dir, w->job.read.path, w->job.read.fd) != 0)
		w->error_number = errno;
	else
		write_hints(&w->job);
	/* No moves are to be told of it, but of what follows, which may be here
	 * already. */
	if (w->base &&
	    (w->error_number != 0 ||
		(w->first && crl_state_link(w->job.dir, CRL_CURRENT, CRL_FIRST) != 0) ||
		crl_state_link(w->job.dir, CRL_CURRENT, CRL_TOLD) != 0))
		w->base = false;
}

static void take_base(const struct feed_work *w)
{
	struct feed_list *l = w->list;

	assert(l->told.state == FEED_NOTHING && l->tell.step == FEED_QUIET);
	l->told.state = FEED_BASE;
	l->told.first_left = w->first;
	l->told.base_facts = w->job.facts;
	memcpy(l->told.sha256, w->job.facts.sha256, sizeof l->told.sha256);
}

/* Also when a later one is durable. */
void feed_drop_stuck(struct feed_list *l)
{
	struct feed_work *w = l->settle.stuck;

	l->settle.stuck = NULL;
	if (w == NULL)
		return;
	assert(w->file == FEED_TO_INSTALL && l->settle.n > 0);
	l->settle.n--;
	w->file = FEED_GIVEN_UP;
	if (w->passed)
		feed_work_free(w);
}

static void on_installed(void *arg)
{
	struct feed_work *w = feed_work_of(arg);
	struct feed_list *l = w->list;

	assert(w->file == FEED_TO_INSTALL && l->settle.stuck != w);
	if (w->error_number == 0) {
		feed_let_flow(l, FEED_INSTALL);
		feed_drop_stuck(l);
		w->job.read.path[0] = '\0'; /* it is current now */
		if (w->base)
			take_base(w);
		w->file = FEED_CURRENT;
		settle_if_both(w);
		return;
	}
	feed_drop_stuck(l);
	l->settle.stuck = w;
	feed_hold_back_file(w, FEED_INSTALL, "current");
}

/* Changes start from the first list that was in force. */
static void note_first(struct feed_list *l, const struct crl_facts *f)
{
	if (l->told.state > FEED_NOTHING || l->told.has_first)
		return;
	l->told.has_first = true;
	memcpy(l->told.first, f->sha256, sizeof l->told.first);
}

static const struct inventory *inventory_of(const struct feed_list *l)
{
	const struct inventory *v = shared_inventory(l->issuer->feed->context->shared);

	return v != NULL ? v : &inventory_none;
}

static bool is_watched(const struct feed_list *l)
{
	return watch_picks_any(inventory_of(l), l->issuer->name);
}

void feed_settle(struct feed_work *w)
{
	struct feed_list *l = w->list;
	bool install = w->file == FEED_TO_INSTALL;

	/* only what was read has a file to be installed */
	assert(!w->passed && install == (w->job.kind == CRL_JOB_READ));
	w->base = install && l->told.state == FEED_NOTHING &&
		  l->tell.step == FEED_QUIET && l->settle.n == 0 &&
		  w->job.diff_made == NULL;
	w->first = w->base && is_watched(l);
	note_first(l, &w->job.facts);
	l->settle.n++;
	w->want.done = on_passed;
	barrier_pass(w->feed->context->barrier, &w->want);
	if (install) /* then w is still there: it settles after both */
		executor_run(w->feed->context->disk, install_work, on_installed, w);
}

/* Telling. */

static void told_work(void *arg)
{
	struct feed_work *w = feed_work_of(arg);

	w->error_number = crl_state_told(w->job.dir) != 0 ? errno : 0;
}

static void end_telling(struct feed_work *w)
{
	struct feed_list *l = w->list;

	assert(l->tell.step != FEED_QUIET);
	l->tell.step = FEED_QUIET;
	feed_work_free(w);
	feed_tell(l);
}

static void try_later(struct feed_work *w, enum feed_step at, const char *why)
{
	assert(w->list->tell.step != FEED_QUIET);
	w->list->tell.step = FEED_QUIET;
	feed_hold_back(w->list, at, why);
	feed_work_free(w);
}

/* A name that could not be changed does not keep what follows from being told; but the
 * list on disk is then another than the one that was told, and nothing may be compared
 * with it. */
static void on_told(void *arg)
{
	struct feed_work *w = feed_work_of(arg);
	struct feed_list *l = w->list;

	assert(l->tell.step == FEED_RENAMING);
	if (w->error_number != 0)
		feed_hold_back_file(w, FEED_RENAME, "told");
	else
		feed_let_flow(l, FEED_RENAME);
	memcpy(l->told.sha256, w->job.facts.sha256, sizeof l->told.sha256);
	l->told.state = w->error_number != 0 ? FEED_UNTIDY : FEED_PLACED;
	end_telling(w);
}

static void first_told_work(void *arg)
{
	struct feed_work *w = feed_work_of(arg);

	w->error_number = crl_state_first_told(w->job.dir) != 0 ? errno : 0;
}

/* While the disk keeps it, it is looked at again: the log says then that all is told. */
static void on_first_told(void *arg)
{
	struct feed_work *w = feed_work_of(arg);
	struct feed_list *l = w->list;

	assert(l->tell.step == FEED_RENAMING && l->told.first_left);
	if (w->error_number != 0) {
		feed_hold_back_file(w, FEED_RENAME, "first");
	} else {
		feed_let_flow(l, FEED_RENAME);
		l->told.first_left = false;
	}
	memcpy(l->told.sha256, w->job.facts.sha256, sizeof l->told.sha256);
	if (l->told.state != FEED_LEFT)
		l->told.state = FEED_PLACED;
	end_telling(w);
}

static void on_in_log(void *arg, enum err e)
{
	struct feed_work *w = feed_work_of(arg);

	assert(w->list->tell.step == FEED_LOGGING);
	assert(e == ERR_OK || e == ERR_CANCELLED);
	if (e == ERR_CANCELLED) {
		w->list->tell.step = FEED_QUIET;
		feed_work_free(w);
	} else if (w->list->told.first_left) {
		w->list->tell.step = FEED_RENAMING;
		executor_run(w->feed->context->disk, first_told_work, on_first_told, w);
	} else if (w->pointing) {
		w->list->told.state = FEED_PLACED;
		end_telling(w);
	} else {
		w->list->tell.step = FEED_RENAMING;
		executor_run(w->feed->context->disk, told_work, on_told, w);
	}
}

static void log_changes(const struct feed_work *w, const struct crl_diff *d)
{
	char number[CRL_NUMBER_TEXT_MAX], hex[CRL_NUMBER_HEX_MAX];

	crl_number_text(&w->job.facts, number);
	crl_number_hex(&w->job.facts, hex);
	if (w->job.baseline) {
		log_each(LOG_INFO, "crl_watched_revoked",
		    "issuer=%s url=%s crl_number=%s crl_number_hex=%s certificates=%zu",
		    w->issuer->name, feed_url(w->list), number, hex, d->added);
		return;
	}
	log_each(LOG_INFO, "crl_changes",
	    "issuer=%s url=%s crl_number=%s crl_number_hex=%s added=%zu released=%zu "
	    "removed=%zu",
	    w->issuer->name, feed_url(w->list), number, hex, d->added, d->released,
	    d->removed);
}

static void tell_log(struct feed_work *w)
{
	struct list_change c = {.baseline = w->job.baseline,
	    .lost = w->lost,
	    .facts = w->job.facts,
	    .seen_at_ms = w->list->tell.seen_at_ms,
	    .untold_since_ms = w->list->tell.untold_since_ms,
	    .diff = w->job.diff_made,
	    .done = on_in_log,
	    .arg = w};

	assert(w->list->tell.step < FEED_LOGGING);
	w->list->tell.step = FEED_LOGGING;
	if (c.diff != NULL)
		log_changes(w, c.diff);
	strcpy(c.issuer, w->issuer->name);
	memcpy(c.scope, w->list->id, sizeof c.scope);
	if (!c.baseline)
		memcpy(c.from, w->job.from, sizeof c.from);
	memcpy(c.to, w->job.facts.sha256, sizeof c.to);
	if (!teller_list(w->feed->teller, &c))
		try_later(w, FEED_MEMORY, err_text(ERR_NOMEM));
	else if (c.diff != NULL)
		w->job.diff_made = NULL; /* what is not told, the bulk thread frees */
}

static void link_work(void *arg)
{
	struct feed_work *w = feed_work_of(arg);

	w->error_number =
	    crl_state_link(w->job.dir, CRL_CURRENT, CRL_NEXT) != 0 ? errno : 0;
}

static void on_linked(void *arg)
{
	struct feed_work *w = feed_work_of(arg);

	assert(w->list->tell.step == FEED_LINKING);
	if (w->error_number != 0) {
		w->list->tell.step = FEED_QUIET;
		feed_hold_back_file(w, FEED_LINK, "next");
		feed_work_free(w);
		return;
	}
	feed_let_flow(w->list, FEED_LINK);
	tell_log(w);
}

/* What current is becomes next, and is told. */
static void tell(struct feed_work *w)
{
	assert(w->list->tell.step <= FEED_COMPARING);
	assert(w->job.to != CRL_CURRENT || w->list->settle.n == 0);
	if (w->job.to != CRL_CURRENT || w->pointing) {
		tell_log(w);
		return;
	}
	w->list->tell.step = FEED_LINKING;
	executor_run(w->feed->context->disk, link_work, on_linked, w);
}

static void refused(const struct feed_work *w, const char *file, const char *why)
{
	log_warn("crl_state_refused", "issuer=%s url=%s file=%s detail=%s",
	    w->issuer->name, feed_url(w->list), file, why);
}

/* What was told cannot be compared with: the scope begins anew. */
static void begin_anew(struct feed_work *w, const char *why)
{
	refused(w, "told", why);
	w->job.baseline = w->lost = true;
	w->list->held.at = FEED_FLOWS;
	w->list->held.n = 0;
}

static void take_comparison(struct feed_work *w)
{
	const struct feed_list *l = w->list;
	const struct crl_job *j = &w->job;

	if (j->baseline)
		begin_anew(w, j->why);
	else if (l->told.state == FEED_UNTIDY &&
		 memcmp(l->told.sha256, j->from, sizeof j->from) != 0)
		begin_anew(w, "not the list that was told last");
	else
		feed_let_flow(w->list, FEED_COMPARE);
}

static void compared(struct feed_work *w, bool skipped)
{
	struct feed_list *l = w->list;
	const struct crl_job *j = &w->job;

	assert(l->tell.step == FEED_COMPARING);
	if (skipped) {
		l->tell.step = FEED_QUIET;
		feed_work_free(w);
	} else if (j->error == ERR_NOT_FOUND && j->to == CRL_CURRENT) {
		end_telling(w); /* out of force meanwhile */
	} else if (j->error != ERR_OK && j->error != ERR_NOMEM && j->to == CRL_NEXT) {
		refused(w, "next", j->why);
		l->told.state = FEED_UNPLACED; /* then from told to current */
		end_telling(w);
	} else if (j->error != ERR_OK) {
		try_later(w, FEED_COMPARE, j->why);
	} else if (j->to == CRL_CURRENT &&
		   (l->settle.n > 0 ||
		       memcmp(l->settle.durable, j->facts.sha256, 32) != 0)) {
		end_telling(w); /* a newer one is on its way, and will be told */
	} else {
		take_comparison(w);
		tell(w);
	}
}

/* A list that took the place of the first before that one was on the disk has changes
 * that nobody can tell any more. */
static bool has_lost(const struct feed_list *l, const struct crl_facts *facts)
{
	return l->told.has_first &&
	       memcmp(l->told.first, facts->sha256, sizeof l->told.first) != 0;
}

/* It cannot be read any more, nor will it be: what follows it says so when it is to be
 * compared. */
static void give_first_up(struct feed_work *w)
{
	refused(w, "told", w->job.why);
	w->list->told.first_left = false;
	end_telling(w);
}

static void first_compared(struct feed_work *w, bool skipped)
{
	struct feed_list *l = w->list;
	struct crl_job *j = &w->job;
	bool again = j->error == ERR_NOMEM || (j->error == ERR_STORE && !j->diff.give_up);

	assert(l->tell.step == FEED_COMPARING);
	if (skipped) {
		l->tell.step = FEED_QUIET;
		feed_work_free(w);
	} else if (j->error != ERR_OK && again) {
		try_later(w, FEED_COMPARE, j->why);
	} else if (j->error != ERR_OK && j->to == CRL_TOLD) {
		give_first_up(w);
	} else if (j->error != ERR_OK ||
		   (j->to == CRL_CURRENT &&
		       (l->settle.n > 0 ||
			   memcmp(l->settle.durable, j->facts.sha256, 32) != 0))) {
		end_telling(w); /* a newer one is on its way, or none */
	} else {
		feed_let_flow(l, FEED_COMPARE);
		j->baseline = true;
		w->lost = j->to == CRL_CURRENT && has_lost(l, &j->facts);
		w->pointing = j->to == CRL_TOLD;
		tell(w);
	}
}

static struct feed_work *begin_telling(
    struct feed_list *l, void (*done)(struct feed_work *w, bool skipped))
{
	struct feed_work *w = feed_work_new(l->issuer, l, CRL_JOB_DIFF, done);

	assert(l->tell.step == FEED_QUIET);
	if (w == NULL) {
		feed_hold_back(l, FEED_MEMORY, err_text(ERR_NOMEM));
		return NULL;
	}
	feed_let_flow(l, FEED_MEMORY);
	return w;
}

static void compare(struct feed_work *w, enum crl_state_name to)
{
	struct feed_list *l = w->list;

	w->job.to = to;
	w->job.diff.seen_at = l->tell.seen_at_ms / 1000;
	w->job.diff.give_up = l->held.at == FEED_COMPARE && l->held.n + 1 >= TRIES_MAX;
	l->tell.step = FEED_COMPARING;
	feed_work_queue(w);
}

static void tell_difference(struct feed_list *l, enum crl_state_name to)
{
	struct feed_work *w = begin_telling(l, compared);

	if (w != NULL)
		compare(w, to);
}

/* The first list, with what it has of watched certificates: the list in force, or the one
 * that stands for told. */
static void tell_first(struct feed_list *l, enum crl_state_name to)
{
	struct feed_work *w = begin_telling(l, first_compared);

	if (w == NULL)
		return;
	w->job.diff.watched = inventory_ref(inventory_of(l));
	memcpy(w->job.diff.told, l->told.sha256, sizeof w->job.diff.told);
	compare(w, to);
}

/* Nothing to compare: the first list, or the place alone. */
static void tell_plainly(struct feed_list *l, const struct crl_facts *facts)
{
	struct feed_work *w = begin_telling(l, compared);

	if (w == NULL)
		return;
	w->job.to = CRL_CURRENT;
	w->job.facts = *facts;
	w->job.baseline = l->told.state != FEED_UNPLACED;
	w->lost = w->job.baseline && has_lost(l, facts);
	w->pointing = l->told.state != FEED_NOTHING;
	memcpy(w->job.from, facts->sha256, sizeof w->job.from);
	tell(w);
}

static void tidy_work(void *arg)
{
	struct feed_work *w = feed_work_of(arg);

	w->error_number =
	    crl_state_link(w->job.dir, CRL_CURRENT, CRL_TOLD) != 0 ? errno : 0;
}

/* All is told that is current: that is what told has to be. */
static void tidy(struct feed_list *l)
{
	struct feed_work *w = begin_telling(l, compared);

	if (w == NULL)
		return;
	memcpy(w->job.facts.sha256, l->told.sha256, sizeof l->told.sha256);
	l->tell.step = FEED_RENAMING;
	executor_run(w->feed->context->disk, tidy_work, on_told, w);
}

static void retry_install(struct feed_list *l)
{
	struct feed_work *w = l->settle.stuck;

	assert(w->file == FEED_TO_INSTALL);
	l->settle.stuck = NULL;
	executor_run(l->issuer->feed->context->disk, install_work, on_installed, w);
}

/* Of the list that is in force, once it is current on disk. */
static void tell_current(struct feed_list *l)
{
	const struct crl_shard *s = feed_in_force(l);

	if (s == NULL || !l->settle.has_durable ||
	    memcmp(s->facts.sha256, l->settle.durable, sizeof l->settle.durable) != 0)
		return;
	if (l->told.state >= FEED_UNPLACED &&
	    memcmp(l->told.sha256, l->settle.durable, sizeof l->told.sha256) != 0)
		tell_difference(l, CRL_CURRENT);
	else if (l->told.state == FEED_NOTHING && is_watched(l))
		tell_first(l, CRL_CURRENT);
	else if (l->told.state == FEED_NOTHING || l->told.state == FEED_UNPLACED)
		tell_plainly(l, &s->facts);
	else if (l->told.state == FEED_UNTIDY)
		tidy(l);
}

void feed_tell(struct feed_list *l)
{
	if (feed_is_gone(l) || l->tell.step != FEED_QUIET ||
	    l->ask.state == FEED_CLOSED || l->issuer->feed->cancelled ||
	    l->retry_ms != INT64_MAX)
		return;
	/* not beside an install of a later list, or the older one would be current */
	if (l->settle.stuck != NULL && l->settle.n == 1)
		retry_install(l);
	else if (l->settle.n > 0 || l->told.state == FEED_UNKNOWN)
		return;
	else if (l->told.first_left)
		tell_first(l, CRL_TOLD);
	else if (l->told.state == FEED_LEFT)
		tell_difference(l, CRL_NEXT);
	else if (l->told.state == FEED_BASE)
		tell_plainly(l, &l->told.base_facts);
	else
		tell_current(l);
}
