/* watch_files.h - one watchlist that is read from files: what they say, and what has
 * changed.
 *
 * A round looks at every file that the section names, and reads those that are not what
 * they were (by inode, size and times).  Of each file its certificates are kept, about
 * half a kilobyte each, so that one that is renewed is one file read.  A private key is
 * never copied (watch_body.h), and what was read is wiped.
 *
 *   cannot be read, has a broken block, or no certificate any more (half written, as a
 *   rule): it keeps its last certificates, is read again in each round, and told when
 *   that lasts WATCH_UNREADABLE_MS: watchlist_unreadable
 *   is gone: its certificates go after WATCH_GONE_MS, so that who renews by removing and
 *   writing anew takes nothing away
 *   has never had a certificate: a key, a chain, a text; nothing, and nothing is told;
 *   one called *.key or privkey* that may not be read neither
 *   lies in a folder that cannot be read, which is told likewise: it stays
 *
 * What was unreadable in the first round has last certificates only in the list that the
 * last run left: until all of those were read, or are gone, the draft is to be added to
 * that list (watch_files_adds()), so that it loses nothing.
 *
 * One owner, one thread at a time: the thread "files".
 */
#ifndef PROXY_WATCH_WATCH_FILES_H
#define PROXY_WATCH_WATCH_FILES_H

#include <stdatomic.h>

#include "cache/base/err.h"
#include "conf/conf.h"

#define WATCH_FILE_MAX      (1024 * 1024)
#define WATCH_UNREADABLE_MS 10000
#define WATCH_GONE_MS       10000

struct known;
struct watch_draft;
struct watch_files;

/* Empty.  NULL when out of memory. */
struct watch_files *watch_files_new(const struct conf_watchlist *c);
void watch_files_free(struct watch_files *f); /* NULL is allowed */
/* Its section is this one now (copied).  False: out of memory, it is as it was. */
bool watch_files_configure(struct watch_files *f, const struct conf_watchlist *c);
const char *watch_files_name(const struct watch_files *f);

struct watch_round {
	const struct known *known;                   /* who may have issued what */
	bool anew;                                   /* read all: known is another */
	int64_t now;                                 /* monotonic, in ms */
	size_t room;                                 /* files that may be read */
	void (*folder)(void *arg, const char *path); /* is about to be read */
	void *arg;
	const _Atomic bool *stop; /* set: it ends early, with ERR_CANCELLED */
	/* Outcome. */
	bool changed;      /* the certificates are others, or what is said of them */
	size_t files;      /* that were looked at */
	size_t unreadable; /* that are told to be */
	int64_t again;     /* when the next round is due, if nothing changes; INT64_MAX */
};
/* ERR_NOMEM, ERR_CANCELLED: what was not looked at is as it was. */
enum err watch_files_round(struct watch_files *f, struct watch_round *r);

/* All of it, spooled to dir.  ERR_NOMEM, ERR_STORE, ERR_STORE_FULL, ERR_REQ_ISSUER. */
enum err watch_files_draft(
    const struct watch_files *f, const char *dir, struct watch_draft **out);
bool watch_files_adds(const struct watch_files *f);

#endif
