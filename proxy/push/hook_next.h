/* hook_next.h - the next message of a webhook: which part of the log, and its body.
 *
 * The log is cut by what it is, not by when it is read.  A body has what one batch has
 * for this webhook (its types, its issuers, its watchlist), up to HOOK_BODY_MAX octets;
 * its id is the place of the last change in it.  A list's changes come in many batches,
 * and those of one list are a *run*: where more than HOOK_FULL_MAX of a run concern the
 * webhook they are one thin body, which says how many they are, after which place and up
 * to which, and where they are to be had.  Whether a run goes on is not known at the end
 * of the log; so a cut that was made there is `open`, and is saved with the webhook's
 * state (`upto`, `many`) before its first try: every later one makes the same body of it.
 * A run that has already more than HOOK_FULL_MAX is given HOOK_SETTLE_MS to come whole.
 *
 * Batches of other webhooks in between (another issuer's) do not end a run, but at most
 * HOOK_PASS_MAX of them are looked through for its next one.
 *
 * Weak points: one certificate whose names alone are longer than a body is told all the
 * same, in a longer one.  A body that is made again after the watchlist was changed has
 * the names of now, and none is sent of what is not on it any more.
 *
 * The thread that delivers.
 */
#ifndef PROXY_PUSH_HOOK_NEXT_H
#define PROXY_PUSH_HOOK_NEXT_H

#include "cache/watch/webhook.h"
#include "proxy/push/hook_pages.h"
#include "proxy/push/watch_text.h"

#define HOOK_BODY_MAX  20000 /* octets: what Standard Webhooks 1.0 advises */
#define HOOK_ROOM      150   /* changes of a body, of which few are longer */
#define HOOK_FULL_MAX  1000  /* of a run; more are a thin body */
#define HOOK_PASS_MAX  64
#define HOOK_SETTLE_MS 1000
#define HOOK_ID_MAX    (CHANGE_POS_TEXT_MAX + 8)

/* What messages are made with; one for all webhooks. */
struct hook_maker {
	const struct shared *shared;
	struct hook_pages *pages;
	const char *api_url; /* borrowed */
	struct watch_view view;
	char scratch[EVENTS_TEXT_MAX];
};

/* Of one webhook; starts as zeros, and again where its place is set anew. */
struct hook_scan {
	struct change_pos at;   /* looked at up to here; epoch 0: it has not begun */
	struct change_pos last; /* of what was counted */
	uint32_t count, passed;
	int64_t moved_ms; /* when `at` did last */
};

struct hook_cut { /* a message */
	const char *type;
	char id[HOOK_ID_MAX];
	struct change_pos upto; /* delivered up to here, once it is taken */
	uint32_t many;          /* 0: in full */
	bool open;
	int64_t at;            /* seconds: when it was seen */
	struct json_line body; /* the caller's to free */
};

enum hook_next {
	NEXT_MESSAGE, /* *cut is one */
	NEXT_END,     /* nothing is left; *pos is the place of that */
	NEXT_WAITS,   /* the log is being read: hook_pages' answered() */
	NEXT_LATER,   /* the run may not be whole, or the log cannot be read: try later */
	NEXT_MORE,    /* it has looked at much: let others have their turn */
	NEXT_NO_LIST, /* its watchlist is not there */
	NEXT_NOMEM
};

/* What follows *pos, which is moved over all that does not concern w.  decided: as it was
 * saved (epoch 0: nothing), for *pos as it was then. */
struct hook_wish {
	const struct webhook *w;
	struct change_pos *pos;
	struct change_pos upto;
	uint32_t many;
	struct hook_scan *scan;
	int64_t now, now_ms; /* seconds of the wall clock; monotonic */
};
enum hook_next hook_next(
    struct hook_maker *m, const struct hook_wish *of, struct hook_cut *cut);
/* A test's body.  False: no memory. */
bool hook_test_body(struct hook_maker *m, const struct webhook *w, const char *id,
    int64_t now, struct json_line *body);

#endif
