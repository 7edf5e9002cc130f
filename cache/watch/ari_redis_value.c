/* ari_redis_value.c - states as they stand in Redis, under a MAC.  The layout is at the
 * top of ari_redis.c. */
#include <openssl/sha.h>

#include "cache/watch/ari_redis_core.h"

#define VALUE_MAX (ARI_MARK_N + ARI_STATE_MAX + MAC_SIZE)
#define LABEL_MAX (sizeof "noticed:" + ARI_WHO_MAX)

enum ari_row_kind { ROW_GONE, ROW_PLAIN, ROW_NOTICED };

static struct bytes label(const char *what, const uint8_t *who, size_t n, uint8_t *out)
{
	uint8_t *p = out;

	while (*what != '\0')
		*p++ = (uint8_t)*what++;
	memcpy(p, who, n);
	return bytes_of(out, (size_t)(p - out) + n);
}

/* What others are to hear of, in eight octets. */
static void mark_of(const struct ari_state *s, uint8_t out[ARI_MARK_N])
{
	uint8_t all[2 + 8 + 8 + WATCH_URL_MAX], digest[SHA256_DIGEST_LENGTH], *p = all;
	size_t n = strlen(s->url);

	*p++ = s->known.noticed;
	*p++ = s->untold;
	p = put_be(p, (uint64_t)s->start, 8);
	p = put_be(p, (uint64_t)s->end, 8);
	memcpy(p, s->url, n);
	SHA256(all, (size_t)(p - all) + n, digest);
	memcpy(out, digest, ARI_MARK_N);
}

size_t ari_row_encode(const struct ari_redis *r, const struct ari_row *row, uint8_t *out)
{
	const struct ari_state *s = row->state;
	uint8_t *who = out + 4, *p, name[LABEL_MAX];
	size_t who_n = ari_who_encode(&row->who, who), n = 0;
	struct bytes state;

	p = who + who_n;
	if (s != NULL)
		n = ari_state_encode(s, p);
	state = bytes_of(p, n);
	out[0] = s == NULL                       ? ROW_GONE
		 : s->known.noticed || s->untold ? ROW_NOTICED
						 : ROW_PLAIN;
	out[1] = (uint8_t)who_n;
	put_be(out + 2, n, 2);
	p += n;
	memset(p, 0, 2 * MAC_SIZE + ARI_MARK_N);
	if (s != NULL) {
		mark_of(s, p + 2 * MAC_SIZE);
		if (!mac_make(r->keys, label("state:", who, who_n, name), state, p) ||
		    !mac_make(r->keys, label("noticed:", who, who_n, name), state,
			p + MAC_SIZE))
			return 0;
	}
	return (size_t)(p + 2 * MAC_SIZE + ARI_MARK_N - out);
}

bool ari_value_read(const struct ari_redis *r, enum ari_redis_what what,
    struct bytes field, struct bytes v, struct ari_who *w, struct ari_state *s)
{
	uint8_t name[LABEL_MAX];
	size_t at = what == ARI_NOTICES ? ARI_MARK_N : 0;
	struct bytes state;

	if (!ari_who_decode(w, field) || v.n < at + MAC_SIZE || v.n > VALUE_MAX)
		return false;
	state = bytes_of(v.p + at, v.n - at - MAC_SIZE);
	return mac_is_good(r->keys,
		   label(what == ARI_NOTICES ? "noticed:" : "state:", field.p, field.n,
		       name),
		   state, v.p + v.n - MAC_SIZE) &&
	       ari_state_decode(s, state) == ERR_OK;
}
