/* watch_record.c - the layout:
 *   flags          u8: 1 verified, 2 names_more is there
 *   notBefore      40 bits (watch_date_put())
 *   notAfter       40 bits
 *   names, labels, crl: bytes of each run, be16 each
 *   [names_more    be64, not 0]
 *   the three runs: of each text its bytes, be16, and they
 */
#include "cache/watch/watch_record.h"

#include <assert.h>

#include "cache/watch/watched.h"

#define VERIFIED 1u
#define MORE     2u
#define HEAD_N   (1 + 2 * WATCH_DATE_N + 3 * 2)
_Static_assert(WATCH_RUN_MAX <= UINT16_MAX, "the length of a run has 16 bits");

bool watch_run_next(struct bytes *run, struct bytes *text)
{
	if (run->n < 2)
		return false;
	*text = bytes_of(run->p + 2, (size_t)get_be(run->p, 2));
	if (text->n > run->n - 2)
		return false;
	*run = bytes_of(text->p + text->n, run->n - 2 - text->n);
	return true;
}

void watch_run_add(uint8_t *p, size_t *n, const char *text, size_t text_n)
{
	assert(text_n <= UINT16_MAX);
	put_be(p + *n, text_n, 2);
	if (text_n > 0)
		memcpy(p + *n + 2, text, text_n);
	*n += 2 + text_n;
}

size_t watch_record_runs_at(const struct watch_record *r)
{
	return HEAD_N + (r->names_more > 0 ? 8 : 0);
}

size_t watch_record_size(const struct watch_record *r)
{
	return watch_record_runs_at(r) + r->names.n + r->labels.n + r->crl.n;
}

static uint8_t *put_run(uint8_t *p, struct bytes run)
{
	if (run.n > 0 && run.p != p)
		memcpy(p, run.p, run.n);
	return p + run.n;
}

size_t watch_record_encode(const struct watch_record *r, uint8_t *out)
{
	uint8_t *p = out;

	assert(r->names.n <= WATCH_RUN_MAX && r->labels.n <= WATCH_RUN_MAX &&
	       r->crl.n <= WATCH_RUN_MAX);
	*p++ = (uint8_t)((r->verified ? VERIFIED : 0) | (r->names_more > 0 ? MORE : 0));
	watch_date_put(p, r->not_before);
	watch_date_put(p + WATCH_DATE_N, r->not_after);
	p = put_be(p + 2 * WATCH_DATE_N, r->names.n, 2);
	p = put_be(p, r->labels.n, 2);
	p = put_be(p, r->crl.n, 2);
	if (r->names_more > 0)
		p = put_be(p, r->names_more, 8);
	p = put_run(put_run(put_run(p, r->names), r->labels), r->crl);
	return (size_t)(p - out);
}

/* n octets of what is left. */
static bool take(struct bytes *rest, size_t n, struct bytes *out)
{
	if (n > rest->n)
		return false;
	*out = bytes_of(rest->p, n);
	*rest = bytes_of(rest->p + n, rest->n - n);
	return true;
}

/* A run of whole texts and nothing else. */
static bool take_run(struct bytes *rest, const uint8_t *size, struct bytes *out)
{
	struct bytes run, text;

	if (get_be(size, 2) > WATCH_RUN_MAX || !take(rest, (size_t)get_be(size, 2), out))
		return false;
	run = *out;
	while (watch_run_next(&run, &text))
		;
	return run.n == 0;
}

/* What put_be() of the date that was read would not write again. */
static bool is_date(const uint8_t in[WATCH_DATE_N])
{
	uint8_t again[WATCH_DATE_N];

	watch_date_put(again, watch_date_get(in));
	return memcmp(again, in, sizeof again) == 0;
}

enum err watch_record_decode(struct watch_record *r, struct bytes in)
{
	struct bytes head, more;

	*r = (struct watch_record){0};
	if (!take(&in, HEAD_N, &head) || (head.p[0] & ~(VERIFIED | MORE)) != 0 ||
	    !is_date(head.p + 1) || !is_date(head.p + 1 + WATCH_DATE_N))
		return ERR_RECORD;
	r->verified = (head.p[0] & VERIFIED) != 0;
	r->not_before = watch_date_get(head.p + 1);
	r->not_after = watch_date_get(head.p + 1 + WATCH_DATE_N);
	if ((head.p[0] & MORE) != 0) {
		if (!take(&in, 8, &more) || (r->names_more = get_be(more.p, 8)) == 0)
			return ERR_RECORD;
	}
	if (!take_run(&in, head.p + HEAD_N - 6, &r->names) ||
	    !take_run(&in, head.p + HEAD_N - 4, &r->labels) ||
	    !take_run(&in, head.p + HEAD_N - 2, &r->crl) || in.n != 0)
		return ERR_RECORD;
	return ERR_OK;
}

void watch_record_watched(
    const struct watch_record *r, const struct serial *s, struct watched *out)
{
	watched_set(out, s, r->not_after, r->verified);
	if (r->names.n == 0 && r->labels.n == 0 && r->names_more == 0)
		out->flags |= WATCH_BARE;
}
