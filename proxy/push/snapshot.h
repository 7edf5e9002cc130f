/* snapshot.h - what is revoked already: a message to the keeper that collects it.
 *
 * For each issuer that is asked for: its revocation lists as they are in force (a
 * reference, nothing is copied) and its latches (sorted), and the place in the change log
 * up to which they were told at that moment.  All of it is of one turn of the keeper, so
 * nothing can fall between the snapshot and what follows that place.  The turn is one in
 * which the lists of all that is asked for are opened: however long that takes, a
 * snapshot without them would say that nothing is revoked.
 *
 * The latches are many and the keeper has others to serve.  So they are passed through
 * once, whatever the number of issuers, in slices; a latch that is removed before its
 * turn is taken along (latch.h), so that lists and latches are of the same moment all the
 * same.  One that came in the meantime may be in the snapshot too, and is told after it.
 * Snapshots that are asked for during a walk share the next one: two walks at most for a
 * crowd.  Sorting is the disk thread's work.
 *
 * It is what this node knows: a certificateHold that only an OCSP answer told is in no
 * list and sets no latch, and is not in it.
 *
 * A message both ways (proxy/base/inbox.h).
 */
#ifndef PROXY_PUSH_SNAPSHOT_H
#define PROXY_PUSH_SNAPSHOT_H

#include "cache/change/change.h"
#include "cache/crl/crl_set.h"
#include "proxy/lists/crl_feed.h"

/* The collecting: made by who asks (the API), touched on the keeper's thread only, and
 * freed when all that was asked has come back. */
struct snapshots;
struct snapshots *snapshots_new(void); /* NULL when out of memory */
void snapshots_free(struct snapshots *s);

struct snapshot_issuer {
	char name[64];
	const struct crl_set *set;       /* a reference */
	const struct crl_entry *latches; /* sorted; each serial once; of the snapshot */
	size_t latches_n;
};

struct snapshot {
	struct question question; /* to shared->keeper, with snapshot_take */
	struct snapshots *all;
	char issuer[64]; /* "": all that are configured */
	/* outcome: */
	enum err error; /* ERR_OK, ERR_NOMEM; ERR_STORE: the log's place is unknown;
			   ERR_CANCELLED: we stop */
	struct change_pos end; /* everything up to here is in the snapshot */
	int64_t at;            /* wall clock, seconds */
	struct snapshot_issuer *of;
	size_t n;
	struct crl_entry *latches; /* of all issuers */
	size_t mapped;
	/* the keeper's: */
	struct crl_wait lists;
	struct snapshot *_next;
	size_t _first; /* issuer of the configuration: of[0] */
};

/* The run of a snapshot, for shared->keeper, whose arg is the keeper. */
void snapshot_take(void *keeper, struct msg *m);
/* Drops what the outcome holds; the struct itself is the asker's.  Any thread. */
void snapshot_drop(struct snapshot *s);
/* Latches that were looked at, ever: what it has cost. */
uint64_t snapshots_looked_at(const struct snapshots *s);

/* Do both say the same (of whatever place and time)?  Linear in the latches: lists are
 * the same when they are one object. */
bool snapshot_same(const struct snapshot *a, const struct snapshot *b);
/* Of lists and latches, in bytes; lists count in full, whoever else holds them. */
size_t snapshot_bytes(const struct snapshot *s);

/* Where a reader of a snapshot is; starts as zeros. */
struct snapshot_cursor {
	size_t issuer;
	bool latches; /* its lists are done */
	size_t at;
};
struct snapshot_part {
	const struct snapshot_issuer *of;
	bool from_list;
	const struct crl_facts *list; /* with from_list, where the issuer has one list */
	size_t n;                     /* entries written */
};
/* What it knows of this serial (of key nothing else counts), as snapshot_next() would
 * tell it; NULL: it is not revoked. */
const struct crl_entry *snapshot_find(
    const struct snapshot_issuer *of, const struct crl_entry *key, bool *from_list);
/* The next entries, at most room, all of one issuer and one evidence; each certificate
 * once, the strongest that is known of it: not hold before hold, then the earlier date.
 * false: that was all.  The same cursor gives the same entries. */
bool snapshot_next(const struct snapshot *s, struct snapshot_cursor *c,
    const struct crl_entry **entries, size_t room, struct snapshot_part *part);

#endif
