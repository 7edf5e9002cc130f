/* feed_tell.c - from in force to told: durable and past the barrier first, then the
 * changes.
 *
 * `unsettled` counts the lists that are in force and not there yet; they get there in
 * their order, as barrier and disk thread keep it.  Nothing is told while one is: its end
 * goes on with the newest.  So what is linked as next is always what current is then.
 */
#include "proxy/lists/feed_list.h"

#include <errno.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>

#include "proxy/base/log.h"
#include "proxy/tell/teller.h"

/* Tries to read the list that was told, over two minutes: memory and descriptors come
 * back in that time, a disk does not.  Then subscribers are sent for a snapshot, which
 * holds all that this list would have told them. */
#define TRIES_MAX    6
#define HELD_LAST_MS 60000 /* the longest pause between tries */

static void tell(struct feed_work *w);

/* ---- held back ---- */

static const struct {
	const char *name, *effect, *remedy;
} step[] = {
    [FEED_FOLDER] = {"folder", "its changes are not told",
	"let the files of state-directory be read"},
    [FEED_INSTALL] = {"install",
	"it counts, but not after a restart; its changes are not told",
	"let state-directory be written"},
    [FEED_LINK] = {"next", "its changes are not told",
	"let state-directory be written, where hard links can be made"},
    [FEED_COMPARE] = {"compare", "its changes are not told",
	"let the files of state-directory be read; else subscribers see a gap"},
    [FEED_MEMORY] = {"memory", "its changes are not told", "more memory"},
    [FEED_RENAME] = {"told", "what is told is not known after a restart",
	"let state-directory be written"},
};

/* It is tried again, with back-off. */
static void hold_back(struct feed_list *l, enum feed_step at, const char *why)
{
	int64_t ms = FEED_RETRY_MS;

	if (l->held != at)
		l->held_n = 0;
	l->held = at;
	snprintf(l->held_why, sizeof l->held_why, "%s", why);
	log_error("crl_state_failed",
	    "issuer=%s url=%s step=%s detail=%s effect=%s remedy=%s", l->issuer->name,
	    l->url, step[at].name, why, step[at].effect, step[at].remedy);
	for (unsigned n = 0; n < l->held_n && ms < HELD_LAST_MS; n++)
		ms *= 2;
	l->held_n++;
	feed_retry_in(l, ms < HELD_LAST_MS ? ms : HELD_LAST_MS);
}

/* The disk's fault, with this file of the list's. */
static void hold_back_file(struct feed_work *w, enum feed_step at, const char *file)
{
	char why[512];

	snprintf(why, sizeof why, "%.400s/%s: %s", w->job.dir, file,
	    crl_state_why(w->error_number));
	hold_back(w->list, at, why);
}

/* This step has worked. */
static void let_flow(struct feed_list *l, enum feed_step at)
{
	if (l->held != at)
		return;
	log_each(LOG_INFO, "crl_state_recovered", "issuer=%s url=%s step=%s failures=%u",
	    l->issuer->name, l->url, step[at].name, l->held_n);
	l->held = FEED_FLOWS;
	l->held_n = 0;
}

bool feed_is_held_back(const struct feed_list *l, char *text, size_t n)
{
	/* opened, but what was told is not known */
	bool folder =
	    l->ask.state != FEED_CLOSED && !l->known && feed_in_force(l) != NULL;
	enum feed_step at = l->held != FEED_FLOWS ? l->held : FEED_FOLDER;

	if (l->held == FEED_FLOWS && !folder)
		return false;
	if (text != NULL)
		snprintf(text, n, "%s: %s%s%s", step[at].effect, step[at].name,
		    l->held != FEED_FLOWS ? ": " : "",
		    l->held != FEED_FLOWS ? l->held_why : "");
	return true;
}

/* ---- settling ---- */

bool feed_all_told(const struct feed_list *l)
{
	return l->unsettled == 0 && !l->telling && l->has_durable && l->has_told &&
	       memcmp(l->durable, l->told, sizeof l->durable) == 0;
}

/* The comparison that was made while it was read still fits. */
static bool diff_fits(const struct feed_list *l, const struct crl_job *j)
{
	if (j->diff_made == NULL || l->base || l->telling || l->next_left)
		return false;
	if (j->succeeds)
		return !l->has_told;
	return l->has_told && memcmp(l->told, j->from, sizeof j->from) == 0;
}

static void settle_if_both(struct feed_work *w)
{
	struct feed_list *l = w->list;

	if (!w->passed || !w->durable)
		return;
	l->unsettled--;
	l->has_durable = true;
	memcpy(l->durable, w->job.facts.sha256, sizeof l->durable);
	if (l->unsettled == 0 && !l->gone && !l->issuer->feed->cancelled &&
	    diff_fits(l, &w->job)) {
		l->telling = true;
		w->job.to = CRL_CURRENT;
		tell(w);
	} else {
		feed_work_free(w);
		feed_tell(l);
	}
	if (l->open.state == FEED_TO_OPEN && l->unsettled == 0)
		feed_retry_in(l, 0);
}

static void on_passed(struct barrier_want *want)
{
	struct feed_work *w =
	    (struct feed_work *)((char *)want - offsetof(struct feed_work, want));

	w->passed = true;
	feed_release_old(w);
	if (w->dropped)
		feed_work_free(w);
	else
		settle_if_both(w);
}

static void install_work(void *arg)
{
	struct feed_work *w = arg;

	w->error_number = 0;
	if (crl_state_install(w->job.dir, w->job.path, w->job.fd) != 0)
		w->error_number = errno;
	else
		crl_hints_write(w->job.dir, w->job.url, &w->job.hints);
	/* Nothing is to be told of it, but of what follows, which may be here already. */
	if (w->base && (w->error_number != 0 ||
			   crl_state_link(w->job.dir, CRL_CURRENT, CRL_TOLD) != 0))
		w->base = false;
}

static void take_base(const struct feed_work *w)
{
	struct feed_list *l = w->list;

	l->has_told = l->base = true;
	l->base_facts = w->job.facts;
	memcpy(l->told, w->job.facts.sha256, sizeof l->told);
}

/* Also when a later one is durable. */
void feed_drop_stuck(struct feed_list *l)
{
	struct feed_work *w = l->stuck;

	l->stuck = NULL;
	if (w == NULL)
		return;
	l->unsettled--;
	w->dropped = true;
	if (w->passed)
		feed_work_free(w);
}

static void on_installed(void *arg)
{
	struct feed_work *w = arg;
	struct feed_list *l = w->list;

	if (w->error_number == 0) {
		let_flow(l, FEED_INSTALL);
		feed_drop_stuck(l);
		w->job.path[0] = '\0'; /* it is current now */
		if (w->base)
			take_base(w);
		w->durable = true;
		settle_if_both(w);
		return;
	}
	feed_drop_stuck(l);
	l->stuck = w;
	hold_back_file(w, FEED_INSTALL, "current");
}

/* Changes start from the first list that was in force. */
static void note_first(struct feed_list *l, const struct crl_facts *f)
{
	if (l->has_told || l->has_first)
		return;
	l->has_first = true;
	memcpy(l->first, f->sha256, sizeof l->first);
}

void feed_settle(struct feed_work *w)
{
	struct feed_list *l = w->list;
	bool install = !w->durable;

	w->base = install && l->known && !l->has_told && !l->telling &&
		  l->unsettled == 0 && w->job.diff_made == NULL;
	note_first(l, &w->job.facts);
	l->unsettled++;
	w->want.done = on_passed;
	barrier_pass(w->feed->context->barrier, &w->want);
	if (install) /* then w is still there: it settles after both */
		executor_run(w->feed->context->disk, install_work, on_installed, w);
}

/* ---- telling ---- */

static void told_work(void *arg)
{
	struct feed_work *w = arg;

	w->error_number = crl_state_told(w->job.dir) != 0 ? errno : 0;
}

static void end_telling(struct feed_work *w)
{
	struct feed_list *l = w->list;

	l->telling = false;
	feed_work_free(w);
	feed_tell(l);
}

static void try_later(struct feed_work *w, enum feed_step at, const char *why)
{
	w->list->telling = false;
	hold_back(w->list, at, why);
	feed_work_free(w);
}

/* A name that could not be changed does not keep what follows from being told; but the
 * list on disk is then another than the one that was told, and nothing may be compared
 * with it. */
static void on_told(void *arg)
{
	struct feed_work *w = arg;
	struct feed_list *l = w->list;

	l->untidy = w->error_number != 0;
	if (l->untidy)
		hold_back_file(w, FEED_RENAME, "told");
	else
		let_flow(l, FEED_RENAME);
	l->has_told = true;
	memcpy(l->told, w->job.facts.sha256, sizeof l->told);
	l->pointed = true;
	l->next_left = false;
	end_telling(w);
}

static void on_in_log(void *arg, enum err e)
{
	struct feed_work *w = arg;

	if (e == ERR_CANCELLED) {
		w->list->telling = false;
		feed_work_free(w);
	} else if (e != ERR_OK) {
		try_later(w, FEED_MEMORY, err_text(e));
	} else if (w->pointing) {
		w->list->pointed = true;
		w->list->base = false;
		end_telling(w);
	} else {
		executor_run(w->feed->context->disk, told_work, on_told, w);
	}
}

static void log_changes(const struct feed_work *w, const struct crl_diff *d)
{
	char number[CRL_NUMBER_TEXT_MAX], hex[CRL_NUMBER_HEX_MAX];

	crl_number_text(&w->job.facts, number);
	crl_number_hex(&w->job.facts, hex);
	log_each(LOG_INFO, "crl_changes",
	    "issuer=%s url=%s crl_number=%s crl_number_hex=%s added=%zu released=%zu "
	    "removed=%zu",
	    w->issuer->name, w->list->url, number, hex, d->added, d->released,
	    d->removed);
}

static void tell_log(struct feed_work *w)
{
	struct list_change c = {.baseline = w->job.baseline,
	    .lost = w->lost,
	    .facts = w->job.facts,
	    .seen_at_ms = w->list->seen_at_ms,
	    .untold_since_ms = w->list->untold_since_ms,
	    .diff = w->job.baseline ? NULL : w->job.diff_made,
	    .done = on_in_log,
	    .arg = w};

	if (c.diff != NULL)
		log_changes(w, c.diff);
	strcpy(c.issuer, w->issuer->name);
	memcpy(c.scope, w->list->id, sizeof c.scope);
	if (!c.baseline)
		memcpy(c.from, w->job.from, sizeof c.from);
	memcpy(c.to, w->job.facts.sha256, sizeof c.to);
	if (c.diff != NULL)
		w->job.diff_made = NULL; /* what is not told, the bulk thread frees */
	telling_list(w->feed->telling, &c);
}

static void link_work(void *arg)
{
	struct feed_work *w = arg;

	w->error_number =
	    crl_state_link(w->job.dir, CRL_CURRENT, CRL_NEXT) != 0 ? errno : 0;
}

static void on_linked(void *arg)
{
	struct feed_work *w = arg;

	if (w->error_number != 0) {
		w->list->telling = false;
		hold_back_file(w, FEED_LINK, "next");
		feed_work_free(w);
		return;
	}
	let_flow(w->list, FEED_LINK);
	tell_log(w);
}

/* What current is becomes next, and is told. */
static void tell(struct feed_work *w)
{
	if (w->job.to == CRL_NEXT || w->pointing)
		tell_log(w);
	else
		executor_run(w->feed->context->disk, link_work, on_linked, w);
}

static void refused(const struct feed_work *w, const char *file, const char *why)
{
	log_warn("crl_state_refused", "issuer=%s url=%s file=%s detail=%s",
	    w->issuer->name, w->list->url, file, why);
}

/* What was told cannot be compared with: the scope begins anew. */
static void begin_anew(struct feed_work *w, const char *why)
{
	refused(w, "told", why);
	w->job.baseline = w->lost = true;
	w->list->held = FEED_FLOWS;
	w->list->held_n = 0;
}

static void take_comparison(struct feed_work *w)
{
	const struct feed_list *l = w->list;
	const struct crl_job *j = &w->job;

	if (j->baseline)
		begin_anew(w, j->why);
	else if (l->untidy && memcmp(l->told, j->from, sizeof j->from) != 0)
		begin_anew(w, "not the list that was told last");
	else
		let_flow(w->list, FEED_COMPARE);
}

static void compared(struct feed_work *w, bool skipped)
{
	struct feed_list *l = w->list;
	const struct crl_job *j = &w->job;

	if (skipped) {
		l->telling = false;
		feed_work_free(w);
	} else if (j->error == ERR_NOT_FOUND && j->to == CRL_CURRENT) {
		end_telling(w); /* out of force meanwhile */
	} else if (j->error != ERR_OK && j->error != ERR_NOMEM && j->to == CRL_NEXT) {
		refused(w, "next", j->why);
		l->next_left = false; /* then from told to current */
		end_telling(w);
	} else if (j->error != ERR_OK) {
		try_later(w, FEED_COMPARE, j->why);
	} else if (j->to == CRL_CURRENT &&
		   (l->unsettled > 0 || memcmp(l->durable, j->facts.sha256, 32) != 0)) {
		end_telling(w); /* a newer one is on its way, and will be told */
	} else {
		take_comparison(w);
		tell(w);
	}
}

static struct feed_work *begin_telling(struct feed_list *l)
{
	struct feed_work *w = feed_work_new(l->issuer, l, CRL_JOB_DIFF, compared);

	if (w == NULL) {
		hold_back(l, FEED_MEMORY, err_text(ERR_NOMEM));
		return NULL;
	}
	let_flow(l, FEED_MEMORY);
	l->telling = true;
	return w;
}

static void tell_difference(struct feed_list *l, enum crl_state_name to)
{
	struct feed_work *w = begin_telling(l);

	if (w == NULL)
		return;
	w->job.to = to;
	w->job.seen_at = l->seen_at_ms / 1000;
	w->job.give_up = l->held == FEED_COMPARE && l->held_n + 1 >= TRIES_MAX;
	feed_work_queue(w);
}

/* Nothing to compare: the first list, or the place alone.  A list that took the place of
 * the first before that one was on the disk has changes that nobody can tell any more. */
static void tell_plainly(struct feed_list *l, const struct crl_facts *facts)
{
	struct feed_work *w = begin_telling(l);

	if (w == NULL)
		return;
	w->job.to = CRL_CURRENT;
	w->job.facts = *facts;
	w->job.baseline = !l->has_told || l->base;
	w->lost = w->job.baseline && l->has_first &&
		  memcmp(l->first, facts->sha256, sizeof l->first) != 0;
	w->pointing = l->has_told;
	memcpy(w->job.from, facts->sha256, sizeof w->job.from);
	tell(w);
}

static void tidy_work(void *arg)
{
	struct feed_work *w = arg;

	w->error_number =
	    crl_state_link(w->job.dir, CRL_CURRENT, CRL_TOLD) != 0 ? errno : 0;
}

/* All is told that is current: that is what told has to be. */
static void tidy(struct feed_list *l)
{
	struct feed_work *w = begin_telling(l);

	if (w == NULL)
		return;
	memcpy(w->job.facts.sha256, l->told, sizeof l->told);
	executor_run(w->feed->context->disk, tidy_work, on_told, w);
}

static void retry_install(struct feed_list *l)
{
	struct feed_work *w = l->stuck;

	l->stuck = NULL;
	executor_run(l->issuer->feed->context->disk, install_work, on_installed, w);
}

void feed_tell(struct feed_list *l)
{
	const struct crl_shard *s = feed_in_force(l);

	if (l->gone || l->telling || l->ask.state == FEED_CLOSED ||
	    l->issuer->feed->cancelled)
		return;
	if (l->retry_ms != INT64_MAX)
		return;
	/* not beside an install of a later list, or the older one would be current */
	if (l->stuck != NULL && l->unsettled == 1) {
		retry_install(l);
		return;
	}
	if (l->unsettled > 0 || !l->known)
		return;
	if (l->base)
		tell_plainly(l, &l->base_facts);
	else if (l->next_left)
		tell_difference(l, CRL_NEXT);
	else if (s == NULL || !l->has_durable ||
		 memcmp(s->facts.sha256, l->durable, sizeof l->durable) != 0)
		return;
	else if (l->has_told && memcmp(l->told, l->durable, sizeof l->told) != 0)
		tell_difference(l, CRL_CURRENT);
	else if (!l->pointed)
		tell_plainly(l, &s->facts);
	else if (l->untidy)
		tidy(l);
}
