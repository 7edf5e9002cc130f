/* change.h - a move of a certificate's status, a batch of them, what else the change log
 * holds, and the place of each in it.
 *
 * A batch is what the log keeps as one record: changes of one issuer that were found by
 * one evidence, at most CHANGE_BATCH_MAX, in the order of crl_entry_cmp().  It is
 * immutable and counted: keeper and API share it.
 *
 * A batch of kind CHANGE_WATCHED has no moves: its certificates are watched, and were
 * revoked when that began, or when the first list of their scope came.  What they were
 * before nobody knows (CHANGE_NONE).  One that names a watchlist came of what that list
 * has gained, and is for those who subscribed by it and for nobody else.
 *
 * A batch of kind CHANGE_NOTICES has no moves either: its certificates are going to be
 * revoked, or have to be replaced, says a source that nobody has signed; or are no longer
 * (each may be withdrawn).  A hint and never a status.  One that names a watchlist is for
 * that list's subscribers alone, as of kind CHANGE_WATCHED.
 *
 * A batch of kind CHANGE_ALARMS has no certificates: change[] is empty whatever n says,
 * which counts alarms.  What a node has found wrong, or right again, of one issuer or of
 * none.
 *
 * So who reads change[] knows the kind of what he reads: change_now() and change_before()
 * are of the first two, change_is_withdrawn() of the third.
 *
 * A place in the log is (epoch, sequence number of a batch, changes of it that are
 * covered).  Its text, the id of an event, is hexadecimal of fixed width, so that ids
 * sort as they were given: opaque to everybody else.  A new epoch says that what came
 * before may be lost.
 *
 * Encoded batches come from stores that others may write to: every field is checked.
 *
 * The log is shared by nodes of different versions, and holds more than changes: the head
 * of a record says its version and kind.
 * Older versions are read.  A newer version, or a kind that this program does not know,
 * is a gap for who reads it here, as a record that cannot be read is, but no damage.  It
 * is not passed over in silence: a subscriber who goes on at a node that knows the kind
 * would not miss it, but never have it.  So nodes of different versions can be on one
 * log: the older one sees a gap.
 */
#ifndef CACHE_CHANGE_CHANGE_H
#define CACHE_CHANGE_CHANGE_H

#include "cache/base/facts.h"
#include "cache/crl/crl_list.h"

#define CHANGE_BATCH_MAX 10000 /* 320 KB: one commit each, 305 of them for 3,048,289 */

enum change_status {
	CHANGE_GOOD, /* released: certificateHold ended */
	CHANGE_REVOKED,
	CHANGE_UNKNOWN,
	CHANGE_REMOVED, /* left a complete list without having been on hold: never good */
	CHANGE_NONE     /* before, of CHANGE_WATCHED: nothing was told */
};
/* "good", "revoked", ...; NULL of CHANGE_NONE. */
const char *change_status_name(enum change_status s);

/* 32 bytes: an entry whose spare octets tell the move. */
struct change {
	struct crl_entry entry; /* serial, revoked_at and reason: of the revocation, also
				   when it ended; spare[0]: now, spare[1]: before */
};
static inline enum change_status change_now(const struct change *c)
{
	return (enum change_status)c->entry.spare[0];
}
static inline enum change_status change_before(const struct change *c)
{
	return (enum change_status)c->entry.spare[1];
}

/* The same 32 bytes in a notice: only the serial and spare[0] are set. */
static inline bool change_is_withdrawn(const struct change *c)
{
	return c->entry.spare[0] != 0;
}
static inline void change_set_withdrawn(struct change *c, bool withdrawn)
{
	c->entry.spare[0] = withdrawn;
}

/* Of a notice: when to replace what it is of, seconds; both 0: nothing was said. */
struct change_window {
	int64_t after, before; /* after <= before */
};

/* Texts are UTF-8, or whatever a stranger wrote: who prints them escapes them. */
#define CHANGE_URL_MAX        2048 /* bytes */
#define CHANGE_NODE_MAX       255
#define CHANGE_ALARM_TEXT_MAX 511 /* of a subject, of a detail (proxy/base/alarms.h) */
#define CHANGE_ALARMS_MAX     20  /* in a batch: one event (proxy/push/events_text.h) */

struct change_alarm {
	const char *alarm; /* its row's name, of the characters of names; 1..63 of them */
	const char *subject, *detail;
	int64_t since; /* seconds */
	bool cleared;  /* it is so no more; else: it is so from now on */
};

enum change_evidence { CHANGE_OCSP, CHANGE_CRL };
enum change_source { CHANGE_INCIDENT, CHANGE_ARI };
enum change_kind { CHANGE_MOVES = 1, CHANGE_WATCHED, CHANGE_NOTICES, CHANGE_ALARMS };

/* The longest record: notices with windows and the longest URL and names. */
#define CHANGE_RECORD_MAX ((size_t)CHANGE_BATCH_MAX * (32 + 16) + 4096)

struct change_batch {
	_Atomic unsigned refs;
	uint32_t epoch; /* set by the log, as the next */
	uint64_t seq;   /* 1.. */
	size_t memory;  /* bytes that it occupies */
	enum change_kind kind;
	char watchlist[64]; /* CHANGE_WATCHED, CHANGE_NOTICES: for whom; "", as else: for
			       everybody */
	char issuer[64];    /* CHANGE_ALARMS: "": of none */
	/* of CHANGE_NOTICES; what it points at is of the batch's own memory: */
	enum change_source source;
	char incident[64];            /* its name; "" with CHANGE_ARI, and only there */
	int64_t deadline;             /* seconds; 0: none is known */
	const char *url;              /* "": none */
	struct change_window *window; /* NULL, or as many as change has */
	/* of CHANGE_ALARMS, the same: */
	const char *node; /* who found them; not empty */
	struct change_alarm *alarm;
	/* of changes: */
	enum change_evidence evidence;
	bool has_number; /* of the list */
	uint8_t number[CRL_NUMBER_MAX];
	int64_t published_at; /* thisUpdate of the list or the answer, seconds */
	/* of all: */
	int64_t seen_at_ms; /* wall clock: when a node found it */
	uint32_t n;         /* 1..CHANGE_BATCH_MAX, 1..CHANGE_ALARMS_MAX alarms; 0 only in
			       a batch that the filter emptied, which is never appended */
	struct change change[];
};

/* Room for n changes (up to CHANGE_BATCH_MAX), all zero, its n too, of kind CHANGE_MOVES;
 * one reference.  NULL when out of memory. */
struct change_batch *change_batch_new(size_t n);
/* The same of kind CHANGE_NOTICES; url (up to CHANGE_URL_MAX) is copied.  windows: with
 * room for as many. */
struct change_batch *change_notices_new(size_t n, const char *url, bool windows);
/* Of kind CHANGE_ALARMS with these n (1..CHANGE_ALARMS_MAX), whose texts are copied. */
struct change_batch *change_alarms_new(
    const char *node, const struct change_alarm *alarms, size_t n);
struct change_batch *change_batch_ref(const struct change_batch *b);
void change_batch_unref(struct change_batch *b); /* NULL is allowed */
/* Of CHANGE_MOVES or CHANGE_WATCHED: its elements are what has become of certificates. */
bool change_batch_is_changes(const struct change_batch *b);
/* Is it for who wants what is of this issuer ("": of all), by this watchlist ("": by
 * none)?  Alarms without an issuer are for those who name neither; whether others concern
 * a watchlist is for who knows its certificates. */
bool change_batch_is_for(
    const struct change_batch *b, const char *issuer, const char *watchlist);

/* Binary form (layout in change.c, change_notices.c, change_alarms.c and ocspcached(8)).
 * Returns bytes written; out has room for change_batch_size(b), at most
 * CHANGE_RECORD_MAX.  epoch and seq are the log's and not part of it.  b has elements,
 * and an issuer unless they are alarms. */
size_t change_batch_size(const struct change_batch *b);
size_t change_batch_encode(const struct change_batch *b, uint8_t *out);
/* ERR_RECORD: neither in our encoding nor in that of version 1.  ERR_NOMEM.  That changes
 * are sorted is not checked: nobody relies on it.  What is read of our version encodes to
 * the same bytes. */
enum err change_batch_decode(struct change_batch **out, struct bytes in);
/* Of what was ERR_RECORD: does it begin as a record of a newer version, or of a kind that
 * this one does not know? */
bool change_batch_is_newer(struct bytes in);

struct change_pos {
	uint32_t epoch;
	uint64_t seq;   /* 0: before the first batch */
	uint32_t index; /* elements of batch seq that are covered; its n: all */
};
#define CHANGE_POS_TEXT_MAX 32
/* "67409c1a-00000000002a-00003": strcmp() orders texts as change_pos_cmp() orders places.
 * seq is below 2^48, index at most CHANGE_BATCH_MAX. */
void change_pos_text(const struct change_pos *p, char out[CHANGE_POS_TEXT_MAX]);
/* Takes exactly what change_pos_text wrote; text may have no NUL. */
bool change_pos_parse(struct change_pos *p, const char *text, size_t n);
int change_pos_cmp(const struct change_pos *a, const struct change_pos *b);

#endif
