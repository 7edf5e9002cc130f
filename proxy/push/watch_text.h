/* watch_text.h - the text of events for who has a watchlist: of each batch the changes
 * whose certificates stand on it, with the names and labels that it has for them.
 *
 * Nothing of a batch is copied for a subscriber: each look goes on from a place, by a
 * gallop through the batch and the list (watch_match.h), and stops when an event is full:
 * at EVENTS_CHANGES changes, or at about WATCH_EVENT_BYTES of text, as one certificate
 * may have 16 KiB of names.  A change of an issuer is that of a certificate of each CA
 * that goes by its name (one that was renewed has several).
 *
 * Names are read from watch.mdb, in the list's order, where the list has any.  Where they
 * cannot be read the change is told without: it is what matters.  A list that was
 * replaced since it was borrowed may have lost its rows: `missing` says so, and whoever
 * has a newer one looks again.
 *
 * The API's thread reads the file itself: a view, which lasts as long as what is gathered
 * for one subscriber, is one transaction, and a row 0.2 us.  Weak point: a page that is
 * not in memory is waited for; no hit is, but the other streams and calls of the API are.
 *
 * Rejected: a text of each change for all whose lists have it.  Few certificates stand on
 * two lists, and names differ by list; writing a change costs 0.15 us, its names 1 us.
 *
 * One thread; a view is valid for one callback.
 */
#ifndef PROXY_PUSH_WATCH_TEXT_H
#define PROXY_PUSH_WATCH_TEXT_H

#include "cache/watch/inventory.h"
#include "cache/watch/watch_db.h"
#include "cache/watch/watch_match.h"
#include "cache/watch/watch_rows.h"
#include "proxy/base/access.h"
#include "proxy/base/json_line.h"
#include "proxy/base/shared.h"
#include "proxy/push/events_text.h"
#include "proxy/push/snapshot.h"

#define WATCH_EVENT_BYTES (32 * 1024)

struct watch_hit { /* in a batch */
	uint32_t change, ca;
	bool bare; /* the file has nothing to say of it */
};

enum watch_entries {
	WATCH_CHANGES, /* each of a struct change */
	WATCH_REVOKED, /* what is revoked already */
	WATCH_NOTICES  /* each of a struct change, or announced where that is none */
};

struct watch_view {
	const struct shared *shared;
	const struct inventory *v;     /* in force; borrowed */
	const struct watch_list *list; /* of it; NULL: of all */
	struct watch_db *db;
	const struct access *access; /* whose snapshot it is; or NULL */
	struct watch_rows *rows;     /* NULL: nobody has asked yet */
	struct json_line out;        /* what is written; its memory stays */
	size_t steps;                /* of gallops: what it has cost */
	bool missing;                /* a row is not there */
	bool unreadable;             /* names could not be read */
	/* where the gallop through the last batch ended, in the entries of a CA: */
	const struct watched *entries, *last;
	/* an event under way: */
	size_t begun;            /* of out */
	uint32_t changes;        /* in it */
	bool full;               /* nothing more is put in */
	enum watch_entries what; /* what the entries are */
	struct watch_hit hit[2 * EVENTS_CHANGES];
};

/* False: there is no list of this name.  out is emptied. */
bool watch_view_open(struct watch_view *w, const struct shared *shared, const char *name);
/* Of no list: for what is said of all certificates, without names. */
void watch_view_open_all(struct watch_view *w, const struct shared *shared);
/* Has the list a certificate of this issuer? */
bool watch_view_has_issuer(const struct watch_view *w, const char *issuer);
/* What it holds of the file is given back: last in each callback. */
void watch_view_rest(struct watch_view *w);
void watch_view_close(struct watch_view *w); /* frees out */

/* For who writes events of his own: the first entry is to come; and one more, of which
 * the list has nothing to say where it is bare.  window: of a notice, or NULL. */
void watch_text_begin(struct watch_view *w, enum watch_entries what);
void watch_text_entry(struct watch_view *w, uint32_t ca, const struct crl_entry *e,
    bool bare, const struct change_window *window);

/* Of changes or notices: write the event of what *pos does not cover of b, with at most
 * `room` of them
 * (1..EVENTS_CHANGES), and move *pos behind it, or to the end of b where nothing more
 * concerns the list.  w->changes: how many there are, with 0 nothing was written.  x: the
 * index of b.  member: for a page.  Out of memory w->out has failed. */
void watch_text_changes(struct watch_view *w, const struct change_batch *b,
    const struct watch_index *x, struct change_pos *pos, uint32_t room, bool member);

/* How many changes of b, from number `from` on, concern the list; *last: behind the last
 * of them, as it is counted in b.  Nothing is written. */
uint32_t watch_text_count(struct watch_view *w, const struct change_batch *b,
    const struct watch_index *x, uint32_t from, uint32_t *last);

/* Where a reader of a snapshot is in his list; starts as zeros. */
struct watch_cursor {
	size_t issuer; /* of the snapshot */
	uint32_t ca;   /* 0: before the first one that goes by its name */
	size_t at;     /* entries of it */
};
/* Write the next event of what is revoked already of the certificates on `list`, whose
 * CAs stand in cas; their texts are those of w->list.  False: that was all.  It looks at
 * a slice of the list: there may be more though nothing was written. */
bool watch_text_snapshot(struct watch_view *w, const struct snapshot *s,
    const struct watch_list *list, const struct watch_cas *cas, struct watch_cursor *c);

#endif
