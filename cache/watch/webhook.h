/* webhook.h - a webhook: whom to tell what, and how far it has been told.
 *
 * Two values, since two write them.  The *webhook* is what an operator says: made and
 * changed by the API, on whichever node.  Its *state* is what becomes of it: written by
 * the node that delivers, once a delivery, and durable before the next one.
 *
 * What an operator says of the state is said by the webhook, and takes force when it is
 * there: `start` is where to begin, and leaves a state of another start behind (one that
 * is new, or moved back, begins there); `enabled` counts how often it was enabled, and a
 * state that was given up under another count does not disable it.  So neither ever
 * writes what is the other's.
 *
 * A webhook is immutable and counted: the loop's table, a delivery under way and an
 * answer may have it at once, on any thread.  Its secrets, its URL (Slack's is one) and
 * routing key are never shown, nor logged.
 *
 * Pure functions, but for the count.
 */
#ifndef CACHE_WATCH_WEBHOOK_H
#define CACHE_WATCH_WEBHOOK_H

#include "cache/change/change.h"

#define WEBHOOK_NAME_MAX   64   /* with NUL, as of issuers and watchlists */
#define WEBHOOK_URL_MAX    2048 /* octets; what every HTTP server takes */
#define WEBHOOK_KEY_MAX    255  /* octets of a routing key; PagerDuty's have 32 */
#define WEBHOOK_SECRETS    2    /* the new one, and the old one until all know it */
#define WEBHOOK_SECRET_MIN 24   /* octets of an HMAC key (Standard Webhooks 1.0) */
#define WEBHOOK_SECRET_MAX 64
#define WEBHOOK_SEED_N     32 /* octets of an Ed25519 private key (RFC 8032) */
/* Issuers of the token that made it: one that has more has to name the one it wants. */
#define WEBHOOK_ISSUERS_MAX 128

enum webhook_type {
	WEBHOOK_CHANGES = 1 << 0,
	WEBHOOK_NOTICES = 1 << 1,
	WEBHOOK_ALARMS = 1 << 2
};
#define WEBHOOK_TYPES 3 /* bits */
/* "changes", ... of one bit; NULL: there is none. */
const char *webhook_type_name(enum webhook_type type);

enum webhook_format {
	WEBHOOK_STANDARD,
	WEBHOOK_SLACK,
	WEBHOOK_ALERTMANAGER,
	WEBHOOK_PAGERDUTY,
	WEBHOOK_CLOUDEVENTS,
	WEBHOOK_FORMATS
};
const char *webhook_format_name(enum webhook_format format);

struct webhook_secret {
	bool ed25519; /* octets: the seed; else the key of an HMAC */
	uint8_t n;
	uint8_t octets[WEBHOOK_SECRET_MAX];
};
/* "whsec_" and base64 of 24 to 64 octets, or "whsk_" and base64 of a seed, alone or with
 * its public key behind it (64 octets).  NULL, or what is wrong, static. */
const char *webhook_secret_parse(struct webhook_secret *out, struct bytes text);
/* As it was given, but a whsk_ always with its public key.  False: OpenSSL's fault. */
#define WEBHOOK_SECRET_TEXT (8 + (WEBHOOK_SECRET_MAX + 2) / 3 * 4)
bool webhook_secret_text(const struct webhook_secret *s, char out[WEBHOOK_SECRET_TEXT]);

struct webhook {
	_Atomic unsigned refs;
	char name[WEBHOOK_NAME_MAX];
	char url[WEBHOOK_URL_MAX + 1]; /* http or https, without user and fragment */
	struct webhook_secret secret[WEBHOOK_SECRETS];
	size_t secrets_n; /* 1 or 2 */
	char issuer[64];  /* "": all that it reaches */
	char watchlist[64];
	unsigned types; /* enum webhook_type */
	enum webhook_format format;
	char routing_key[WEBHOOK_KEY_MAX + 1]; /* "" but of PagerDuty */
	bool disabled;                         /* by an operator */
	int64_t changed_at;                    /* by an operator, seconds */
	uint64_t revision;                     /* 1, 2, ... */
	uint64_t enabled;                      /* how often it was enabled */
	uint64_t start;                        /* random: told apart from others */
	struct change_pos from;                /* where a delivery under `start` begins */
	/* The issuers of the token that made it, where it has some only; 0: all.  (Of a
	 * token that has some watchlists only, `watchlist` is one.) */
	size_t issuers_n;
	char issuers[][64];
};

/* Room for n issuers; zeroes but for these n and one reference.  NULL: out of memory. */
struct webhook *webhook_new(size_t issuers_n);
struct webhook *webhook_ref(const struct webhook *w);
/* NULL is allowed.  What nobody has any more is wiped. */
void webhook_unref(const struct webhook *w);
/* May it tell what is of this issuer ("": of none), by its own filter and by its token's?
 */
bool webhook_tells(const struct webhook *w, const char *issuer);

/* Of the URL, what may be shown: scheme, host and port. */
#define WEBHOOK_SHOWN_MAX 300
void webhook_shown(const struct webhook *w, char out[WEBHOOK_SHOWN_MAX]);

/* Binary form.  Bytes written; out has room for WEBHOOK_BINARY_MAX. */
#define WEBHOOK_BINARY_MAX 12288
size_t webhook_encode(const struct webhook *w, uint8_t *out);
/* Of the name, under which it stands.  ERR_RECORD: not in our encoding.  ERR_NOMEM. */
enum err webhook_decode(struct webhook **out, const char *name, struct bytes in);

/* How far it is. */
#define WEBHOOK_ERROR_MAX 256
struct webhook_state {
	uint64_t start;             /* of the webhook that position is of */
	struct change_pos position; /* delivered, up to here */
	/* Given up, under this count of webhook.enabled; gone_at 0: it is not. */
	uint64_t gone_enabled;
	int64_t gone_at;
	char gone_why[WEBHOOK_ERROR_MAX];
	/* Seconds; 0: never, or none. */
	int64_t last_success, last_error_at, next_try, failing_since;
	uint32_t tries; /* of the message that is under way, that failed */
	/* It covers what stands between position and here: decided before its first try,
	 * so that each try has the same id and body, whatever the log has got meanwhile.
	 * epoch 0: not decided. */
	struct change_pos upto;
	uint32_t many; /* so many changes or notices, told by a thin body; 0: in full */
	char last_error[WEBHOOK_ERROR_MAX]; /* UTF-8; of the last failure */
};
/* Where to go on: from its position, or where its start says.  s NULL: nothing is known.
 */
const struct change_pos *webhook_position(
    const struct webhook *w, const struct webhook_state *s);
bool webhook_is_disabled(const struct webhook *w, const struct webhook_state *s);
#define WEBHOOK_STATE_MAX                                                                \
	(1 + 8 + 16 + 8 + 8 * 5 + 4 + 16 + 4 + 2 * (2 + WEBHOOK_ERROR_MAX))
size_t webhook_state_encode(const struct webhook_state *s, uint8_t *out);
enum err webhook_state_decode(struct webhook_state *s, struct bytes in); /* ERR_RECORD */

#endif
