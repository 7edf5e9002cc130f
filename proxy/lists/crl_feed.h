/* crl_feed.h - every configured list: asked for in its time, read, brought into force,
 * its changes told.
 *
 *	due -> fetch to a file -> bulk: read, check, diff, merge -> swap the issuer's set
 *	    -> barrier; disk: current is durable
 *	    -> when both are: telling (changes into the log) -> told
 *
 * A list is due every crl-interval (jittered by a tenth), at its nextUpdate, at once as
 * the program starts and when the operator asks; after a failure with back-off.  What is
 * refused is told with its reason and counted; the old list stays in force.
 *
 * An http list that answers 304 is unchanged, and so is a file whose device, inode, size,
 * mtime and ctime (ns) are those of the last one.  Both are asked so only where what is
 * held of them cannot be that of two lists: validators as in crl_hints_take(), a file's
 * times when they were over by two seconds as it was looked at.  Else the next question,
 * the timer's and the operator's alike, is for the whole list.
 *
 * The first list of a scope, also after its files were lost, is a baseline: no changes,
 * but see below.  What it has of watched certificates is told all the same, before what
 * follows it; where nothing of the issuer is watched nothing is compared.
 *
 * What cannot go on from in force to told (a disk that fails, no memory) is held back: an
 * error in the log, a gauge, degraded in readyz, and tried again with back-off.  A list
 * that was told and cannot be read, try after try, is given up: then a gap in the log
 * says that changes are missing, and the scope begins anew with what is in force.
 *
 * At a start, and where a reload brings an issuer or a list, what the state directory has
 * is opened first.  Until each list of an issuer is (found and in force, or found absent)
 * its set says so (crl_set.h, unopened): nothing of it is good, and whoever has to judge
 * waits here (crl_feed_wait()).  A file that is there and cannot be read, or is not (any
 * more) what was verified when it was written, is not absent: nobody knows what it
 * revoked.  The list stays unopened until it can be read (tried every few seconds) or a
 * fetched one comes into force.
 *
 * Where a reload takes lists from an issuer and brings others (a URL has changed, and
 * with it the name that the list goes by), those that go and are in force are kept in
 * force until all that came with them are, as fetched since: what the disk has may be
 * older.  They count for what they revoke and for nothing else: they are not asked for,
 * not mirrored and not listed by the API.  Which stands for which is not asked: shards
 * may be cut anew.  A list that goes alone is kept by nobody.  Of the first list of the
 * new scope is told what it revokes and they do not (all that it revokes, where theirs
 * was not all told), and nothing of what they revoked and it does not.  A process that
 * is started with the changed configuration knows nothing of the old one, and keeps
 * nothing.
 *
 * A list may be had at several places.  An ask begins with the first and goes on to the
 * next at once when one fails, or brings what is refused; back-off begins when all have.
 * One that fails is passed over for a growing time, so that the first is the one that is
 * asked as soon as it is well (feed_sites.c).  Validators are each place's own.
 *
 * Keeper's thread; the work on lists on the bulk thread, one list at a time.  The feed
 * owns the issuers' slots (crl_set.h), which live as long as it does.
 */
#ifndef PROXY_LISTS_CRL_FEED_H
#define PROXY_LISTS_CRL_FEED_H

#include <event2/event_struct.h>
#include <jansson.h>
#include <sys/queue.h>

#include "cache/crl/crl_set.h"
#include "proxy/base/context.h"

struct crl_feed;
struct fetcher;
struct teller;
struct metrics_text;

/* All borrowed for life.  bulk: the thread for lists.  Nothing is begun before
 * crl_feed_start().  NULL when out of memory. */
struct crl_feed *crl_feed_new(const struct context *context, struct fetcher *fetcher,
    struct executor *bulk, struct teller *teller);
/* Read what the state directory has (current lists are in force from then on, verified
 * again), then fetch everything. */
void crl_feed_start(struct crl_feed *f);
/* conf comes into force, and lives until the one after it is: lists that are gone go out
 * of force, new ones are opened and fetched.  Call before anybody else knows conf: what
 * is not opened says so by then.  An issuer that there was no memory for keeps its lists,
 * and the whole is tried again after a few seconds. */
void crl_feed_reload(struct crl_feed *f, const struct conf *conf);
/* Begin nothing more; fetches under way and who waits are cancelled.  Before the bulk
 * thread is stopped. */
void crl_feed_cancel(struct crl_feed *f);
/* After bulk and disk were stopped, the inbox has run, barrier_free() and
 * teller_cancel(): nothing that was begun comes back any more.  Frees the slots. */
void crl_feed_free(struct crl_feed *f);

/* The slot of an issuer; made when it is asked for the first time, and then unopened.
 * NULL when out of memory. */
struct crl_slot *crl_feed_slot(struct crl_feed *f, const char *issuer);
/* The set in force; borrowed until control returns to the loop.  Never NULL. */
const struct crl_set *crl_feed_set(struct crl_feed *f, const char *issuer);

/* Somebody who waits for lists to be opened: a member of what waits, zeroed before its
 * first use. */
struct crl_wait {
	TAILQ_ENTRY(crl_wait) _link;
	struct crl_waits *_list; /* NULL: waits for nothing */
	size_t *_count;
	struct event _timer;
	bool _timed;
	/* ERR_OK: they are opened.  ERR_RESP_LISTS: not within the time.  ERR_CANCELLED:
	 * they will not be any more. */
	void (*done)(struct crl_wait *w, enum err e);
};
/* Wait until the lists of the issuer (NULL: of all) are opened, at most ms (-1: for as
 * long as it takes); the issuer's turn comes before those that nobody waits for.  False:
 * they are, or no issuer has this name; nothing happens.  True: w->done is called, once,
 * from the loop or by crl_feed_cancel(), never before this returns. */
bool crl_feed_wait(struct crl_feed *f, const char *issuer, struct crl_wait *w, int ms);
/* How many wait for the issuer's. */
size_t crl_feed_waiting(const struct crl_feed *f, const char *issuer);
/* Wait no longer: done is not called.  Also for one that does not wait. */
void crl_feed_wait_end(struct crl_wait *w);

/* Lists that somebody else names (`crl = "ccadb"`, "certificates"): a source speaks for
 * each issuer whose configuration asks for it (issuer_rules.learns) after
 * crl_feed_start(), after each reload, and when what it knows has changed.
 *
 * crl_feed_expect(), before crl_feed_start(): there is this source.  From then on such an
 * issuer is not opened until the source has spoken: at a start nobody knows which lists
 * the state directory has of it, and what they revoke must not be good.  So a source
 * speaks at once, from a state of its own that outlives the process; where it has none it
 * says so (lists NULL): then the issuer is open, for what OCSP says, and nothing of it is
 * good by absence (CRL_ABSENT_UNLEARNT) until it knows more.  A source that is not
 * expected is waited for by nobody, and nothing is good by absence all the same. */
void crl_feed_expect(struct crl_feed *f, enum learnt from);
/* One that was learnt, and where it is to be had: URLs as they are, in order of
 * preference; there are no ranges in them.  Borrowed for the call. */
struct learnt_list {
	const char *const *url;
	size_t n;
};
/* These n are the issuer's lists by this source, and those that it named before go, as
 * they do with a reload; NULL: it knows nothing yet (and what it knew before stays).
 * What is no http or https URL is left out; so are those beyond crl-max-lists that are
 * not here yet: where a list is left out, nothing is good by absence, and that is told.
 * One that has a
 * place in common with one that is configured, or stands before it, is that one.  They
 * are lists as others are, but for the mirror, and fetched as learnt URLs are (fetch.h).
 * False: out of memory; nothing has changed, to be said again.  Nothing happens where the
 * issuer does not ask for this source. */
bool crl_feed_learn(struct crl_feed *f, const char *issuer, enum learnt from,
    const struct learnt_list *lists, size_t n);
/* The same, where it is known that these are not all: nothing is good by absence. */
bool crl_feed_learn_part(struct crl_feed *f, const char *issuer, enum learnt from,
    const struct learnt_list *lists, size_t n);
/* Of an issuer with `crl-need = "watched"`: these are the names of the lists that are
 * needed, places or crl-scope, byte for byte, in the place of those that were said
 * before; none are until the first call.  The others are neither asked for nor missed;
 * what is in force of them still revokes.  Kept for an issuer that needs all.  False: out
 * of memory, and nothing has changed. */
bool crl_feed_need(
    struct crl_feed *f, const char *issuer, const char *const *url, size_t n);

/* Of these n URLs, is each a list that the issuer has: a place or the crl-scope of one
 * that is configured or learnt, or in the distribution point of one in force?  Each is
 * where one in force is all that there is, and while its lists are not opened.  An issuer
 * that is not there has none.  False: out of memory. */
bool crl_feed_has(
    struct crl_feed *f, const char *issuer, const char *const *url, size_t n, bool *has);

/* Fetch all lists of the issuer now, whatever back-off says; one under way is followed by
 * another.  What is held back is tried now too.  accept_number: the next list of each
 * that is another than the one in force is taken with the number and the date that it
 * has, as the first of a new count (R95), if it comes within an hour and in this life. */
void crl_feed_refresh(struct crl_feed *f, const struct issuer *i, bool accept_number);

/* Has each configured list been asked for since the start, well or not?  One of the
 * state directory is in force before that. */
bool crl_feed_tried_all(const struct crl_feed *f);

/* Of how many lists a fault (disk, memory) keeps the changes from being told, or the
 * place of what was told from being kept.  They are tried again; the log has each with
 * its remedy.  text (room for n) gets a line on one of them; "" where there is none. */
size_t crl_feed_held_back(const struct crl_feed *f, char *text, size_t n);
/* Of how many lists the last try brought none that can be used: that could not be
 * fetched, or were refused; what a disk refuses is told below.  text as above, with URL
 * and why. */
size_t crl_feed_failing(const struct crl_feed *f, char *text, size_t n);
/* Lists that a disk refuses: that cannot be written to the state directory, or read.
 * Returns how many; *issuer and *why: of one of them, borrowed until control returns to
 * the loop; NULL for none. */
size_t crl_feed_refused_by_disk(
    const struct crl_feed *f, const char **issuer, const char **why);

/* For people: GET /v1/issuers' "crls" of this issuer, one object for each
 * list that is in force or has an error, or is not needed.  {"url","from","crl_number",
 * "this_update","next_update","entries","fetched_at","last_error"}, with "learnt" where
 * it is, and "needed":false; what is not known is null. */
json_t *crl_feed_json(struct crl_feed *f, const struct issuer *i);

/* Gauges: age and entries of each list, seconds to nextUpdate, whether it is held back,
 * refused by reason. */
void crl_feed_gauges(struct crl_feed *f, struct metrics_text *t);

#endif
