/* feed_held.c - a list that is held back on its way from in force to told, by the disk or
 * for want of memory. */
#include "proxy/lists/feed_list.h"

#include <stdio.h>

#include "proxy/base/log.h"

#define HELD_LAST_MS 60000 /* the longest pause between tries */

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
void feed_hold_back(struct feed_list *l, enum feed_step at, const char *why)
{
	int64_t ms = FEED_RETRY_MS;

	if (l->held.at != at)
		l->held.n = 0;
	l->held.at = at;
	snprintf(l->held.why, sizeof l->held.why, "%s", why);
	log_error("crl_state_failed",
	    "issuer=%s url=%s step=%s detail=%s effect=%s remedy=%s", l->issuer->name,
	    feed_url(l), step[at].name, why, step[at].effect, step[at].remedy);
	for (unsigned n = 0; n < l->held.n && ms < HELD_LAST_MS; n++)
		ms *= 2;
	l->held.n++;
	feed_retry_in(l, ms < HELD_LAST_MS ? ms : HELD_LAST_MS);
}

/* The disk's fault, with this file of the list's. */
void feed_hold_back_file(struct feed_work *w, enum feed_step at, const char *file)
{
	char why[512];

	snprintf(why, sizeof why, "%.400s/%s: %s", w->job.dir, file,
	    crl_state_why(w->error_number));
	feed_hold_back(w->list, at, why);
}

/* This step has worked. */
void feed_let_flow(struct feed_list *l, enum feed_step at)
{
	if (l->held.at != at)
		return;
	log_settled(LOG_INFO, "crl_state_recovered",
	    "issuer=%s url=%s step=%s failures=%u", l->issuer->name, feed_url(l),
	    step[at].name, l->held.n);
	l->held.at = FEED_FLOWS;
	l->held.n = 0;
}

bool feed_is_held_back(const struct feed_list *l, char *text, size_t n)
{
	/* opened, but what was told is not known */
	bool folder = l->ask.state != FEED_CLOSED && l->told.state == FEED_UNKNOWN &&
		      feed_in_force(l) != NULL;
	enum feed_step at = l->held.at != FEED_FLOWS ? l->held.at : FEED_FOLDER;

	if (l->held.at == FEED_FLOWS && !folder)
		return false;
	if (text != NULL)
		snprintf(text, n, "%s: %s%s%s", step[at].effect, step[at].name,
		    l->held.at != FEED_FLOWS ? ": " : "",
		    l->held.at != FEED_FLOWS ? l->held.why : "");
	return true;
}
