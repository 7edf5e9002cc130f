/* alarms_news.h - what the change log's readers are told of alarms: each raise and each
 * clear, once.
 *
 * From alarms_follow() on, an alarm that is raised or over is owed to them, until it is
 * in the log.  One that was over before it could be told is told as both, so that nobody
 * misses that it was.  What came several times meanwhile comes once: at most one raise
 * and one clear of an alarm are owed at any time, so that what is owed is bounded by the
 * table, however long the log is away.
 *
 * One that flaps is told ALARMS_NEWS_BURST times at once, and then once in
 * ALARMS_NEWS_PAUSE_MS, with what is so then: the last word is always told in the end.
 *
 * A process that is killed leaves its readers with alarms that nobody clears.  So what
 * they have as raised is kept on disk (proxy/tell/alarm_teller.h) and inherited by the
 * next life: what that finds again within ALARMS_GRACE_MS has stood all the time, and is
 * not told; of the rest they are owed a clear.
 *
 * Weak point: a node that never comes back clears nothing.  Its alarms have its name.
 *
 * One teller: the keeper's thread.
 */
#ifndef PROXY_BASE_ALARMS_NEWS_H
#define PROXY_BASE_ALARMS_NEWS_H

#include "cache/change/change.h"
#include "proxy/base/alarms.h"

#define ALARMS_NEWS_BURST    4
#define ALARMS_NEWS_PAUSE_MS 60000
/* In it lists are asked for, and what is watched is looked through.  A responder that
 * nobody has asked by then is not known to be down. */
#define ALARMS_GRACE_MS 300000

struct standing;
struct json_line;

/* What stands and what comes is owed; until alarms_reset(). */
void alarms_follow(void);
/* After that: an earlier life has told this one as raised.  node: the name that it had;
 * where that is not this node's, who has it by that name is owed a clear at once.  False:
 * no room, or no memory. */
bool alarms_inherit(enum alarm a, const char *issuer, const char *subject, int64_t since,
    const char *node);

/* What is owed and may be told now, those of one issuer together; they are being told
 * until alarms_news_told().  NULL: nothing, or no memory.  The caller's to free(). */
struct alarms_news {
	size_t n;
	struct standing *of[];
};
struct alarms_news *alarms_news_take(void);
/* The batch that begins with the one at `from`; *n: of how many it is.  NULL: out of
 * memory. */
struct change_batch *alarms_news_batch(
    const struct alarms_news *news, size_t from, size_t *n);
/* They are in the log; or not, and are owed again. */
void alarms_news_told(const struct alarms_news *news, size_t from, size_t n, bool told);
/* JSON: all that readers have as raised, or will when what is being told is told:
 * {"raised":[{"alarm","issuer","subject","since","node"}...]}. */
void alarms_news_known(struct json_line *out);

/* Once a second: what is over by itself, and what need not be kept. */
void alarms_news_tick(void);

#endif
