/* events_text.h - the text of events: frames of Server-Sent Events and the JSON in them.
 *
 * Keys stand in one order, data in one line, and the same change always gives the same
 * bytes: a frame that a socket took half of may be thrown away and written again.
 *
 * Pure functions, any thread.
 */
#ifndef PROXY_PUSH_EVENTS_TEXT_H
#define PROXY_PUSH_EVENTS_TEXT_H

#include "cache/change/change.h"

#define EVENTS_CHANGES 1000 /* changes or notices in one event, at most */
/* One change or notice, its comma included: serial 43, times 20, words and keys. */
#define EVENTS_CHANGE_TEXT 192
/* Everything of a frame besides its changes; an issuer's name is 63 bytes at most. */
#define EVENTS_FRAME_TEXT 512
/* The same of one of notices: an octet of its URL may take six. */
#define EVENTS_HEAD_TEXT (EVENTS_FRAME_TEXT + 6 * CHANGE_URL_MAX)
#define EVENTS_TEXT_MAX  (EVENTS_HEAD_TEXT + EVENTS_CHANGES * EVENTS_CHANGE_TEXT)
#define EVENTS_SINCE_MAX 32 /* of a client's since, as it is repeated to it */

/* The functions write no NUL and return the length.  out has room for EVENTS_TEXT_MAX, or
 * EVENTS_FRAME_TEXT where neither changes nor a batch's head are written. */

/* What an event of n elements of b takes at most. */
size_t events_text_room(const struct change_batch *b, uint32_t n);
/* "id: ...\nevent: changes\ndata: {...}\n\n": elements [from, to) of b, of any kind; of
 * notices and alarms as notices_text.h has them, as "event: notices", "event: alarms". */
size_t events_text_changes(
    const struct change_batch *b, uint32_t from, uint32_t to, char *out);
/* The same as a member of the array of a JSON page: {"id","event","data"}. */
size_t events_text_member(
    const struct change_batch *b, uint32_t from, uint32_t to, char *out);
/* "event: snapshot\ndata: {...}\n\n": what is revoked already. */
struct events_snapshot {
	const char *issuer;
	int64_t at; /* seconds */
	enum change_evidence evidence;
	const struct crl_facts *list; /* for its number; NULL: null */
	const struct crl_entry *const *entries;
	size_t n; /* 1..EVENTS_CHANGES */
};
size_t events_text_snapshot(const struct events_snapshot *s, char *out);
/* The same in parts, for who has more to say of each change: up to the bracket of the
 * array (in EVENTS_HEAD_TEXT bytes), for an event that covers all up to end, which is of
 * one width whatever it is; and one change without the brace that closes it, in
 * EVENTS_CHANGE_TEXT bytes.  b has certificates.  Of s only what stands before the
 * entries. */
size_t events_text_begin(
    const struct change_batch *b, const struct change_pos *end, bool member, char *out);
size_t events_text_snapshot_begin(const struct events_snapshot *s, char *out);
size_t events_text_change(const struct crl_entry *e, enum change_status now,
    enum change_status before, char *out);
/* "id: POSITION\n\n" */
size_t events_text_position(const struct change_pos *p, char *out);
/* ": waiting for ...\n\n": a comment, which says why nothing else comes. */
enum events_wait {
	WAIT_LOG,      /* the change log cannot be read now */
	WAIT_SNAPSHOT, /* what is revoked already is not there yet */
	WAITS
};
size_t events_text_wait(enum events_wait what, char *out);
/* "event: gap\ndata: {...}\n\n"; since: a client's, of at most EVENTS_SINCE_MAX bytes. */
size_t events_text_gap(const char *since, const struct change_pos *oldest, char *out);
/* {"since","oldest"} */
size_t events_text_gap_data(
    const char *since, const struct change_pos *oldest, char *out);

#endif
