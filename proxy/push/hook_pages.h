/* hook_pages.h - the log as webhooks read it: pages, each read once for all who are
 * there.
 *
 * A thousand webhooks stand at the end of the log together, and read what comes as one;
 * those that fail fall behind, each to its own place.  So pages (a run of batches without
 * a gap, roll.h) are kept while there is room, the one that was used last the longest,
 * and the keeper is asked for what none of them has, at most HOOK_READS_MAX questions at
 * a time.  Who has to wait is not remembered here: each answer says `answered`, and he
 * looks again.
 *
 * The thread that delivers.
 */
#ifndef PROXY_PUSH_HOOK_PAGES_H
#define PROXY_PUSH_HOOK_PAGES_H

#include "proxy/base/shared.h"
#include "proxy/push/roll.h"

#define HOOK_PAGES_MAX 16 /* of 1 MiB each, about */
#define HOOK_READS_MAX 4

struct hook_pages;

/* own: the inbox of this thread.  answered(arg): what was asked for is there, or could
 * not be had: whoever waits looks again.  NULL when out of memory. */
struct hook_pages *hook_pages_new(
    struct shared *shared, struct inbox *own, void (*answered)(void *arg), void *arg);
/* No question is away any more. */
void hook_pages_free(struct hook_pages *p);
size_t hook_pages_asking(const struct hook_pages *p);

/* The log may have grown, or can be read again: what was said of its end, of gaps and of
 * failures is forgotten. */
void hook_pages_grown(struct hook_pages *p);

enum hook_read {
	READ_BATCH, /* roll and sheet: the first batch that pos does not cover in full;
		       until the loop turns */
	READ_END,   /* nothing follows pos, as far as is known */
	READ_WAITS, /* it is being read */
	READ_GAP,   /* what followed pos is no longer kept: *oldest is where it goes on */
	READ_FAILED /* the log cannot be read now: try again after hook_pages_grown() */
};
struct hook_place {
	struct roll *roll;
	struct sheet *sheet;
	struct change_pos oldest;
};
enum hook_read hook_pages_after(
    struct hook_pages *p, const struct change_pos *pos, struct hook_place *out);

#endif
