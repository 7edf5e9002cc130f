/* ari_state.h - what is known of a certificate's renewal information: how it is kept.
 *
 * Named by its issuer's key identifier and its serial number, as the CA is asked for it
 * (ari_id.h), and never by the name that an issuer has in the configuration: who is
 * called otherwise after a reload is asked for no sooner.
 *
 * Plain values; pure functions, any thread.  What is read comes from a disk or a store
 * that others may write to: every field is checked.
 */
#ifndef CACHE_WATCH_ARI_STATE_H
#define CACHE_WATCH_ARI_STATE_H

#include "cache/watch/ari_answer.h"

struct ari_who {
	uint8_t aki_n; /* 1..WATCH_AKI_MAX */
	uint8_t aki[WATCH_AKI_MAX];
	struct serial serial;
};
static inline struct bytes ari_who_aki(const struct ari_who *w)
{
	return bytes_of(w->aki, w->aki_n);
}

static inline bool ari_who_equal(const struct ari_who *a, const struct ari_who *b)
{
	return serial_equal(&a->serial, &b->serial) &&
	       bytes_equal(ari_who_aki(a), ari_who_aki(b));
}

#define ARI_ERROR_MAX 256 /* its length is one octet */

struct ari_state {
	struct ari_known known;
	int64_t asked_at;   /* seconds, when it was asked for last; 0: never */
	int64_t next_at;    /* seconds, not before */
	int64_t start, end; /* the last window; 0: there was none */
	bool untold;       /* a notice, or that it was withdrawn, is not in the log yet */
	uint32_t failures; /* in a row */
	char url[WATCH_URL_MAX + 1]; /* of the last answer; "": none */
	char error[ARI_ERROR_MAX];   /* UTF-8; why the last one failed; "": it did not */
};

/* Two nodes know one certificate: is a of a later answer, or does it say that what b has
 * yet to tell was told? */
bool ari_state_is_newer(const struct ari_state *a, const struct ari_state *b);

#define ARI_STATE_MAX (2 + 8 * 6 + 4 + 2 + WATCH_URL_MAX + 1 + ARI_ERROR_MAX)
/* Bytes written; out has room for ARI_STATE_MAX. */
size_t ari_state_encode(const struct ari_state *s, uint8_t *out);
/* ERR_RECORD: not in our encoding. */
enum err ari_state_decode(struct ari_state *s, struct bytes in);

/* A certificate as a key: an identifier's length, itself, and the serial's likewise. */
#define ARI_WHO_MAX (1 + WATCH_AKI_MAX + 1 + SERIAL_MAX)
size_t ari_who_encode(const struct ari_who *w, uint8_t *out);
bool ari_who_decode(struct ari_who *w, struct bytes in);

#endif
