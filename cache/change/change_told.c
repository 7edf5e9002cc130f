/* change_told.c - the told pointer, and its binary form:
 *   1 octet   1: format; 0: nothing was ever told, and the rest is zero
 *   32, 32    from, to
 *   8, 4, 4   this_update, done, total: big-endian
 */
#include "cache/change/change_told.h"

bool change_told_equal(const struct change_told *a, const struct change_told *b)
{
	if (!a->known || !b->known)
		return a->known == b->known;
	return memcmp(a->from, b->from, sizeof a->from) == 0 &&
	       memcmp(a->to, b->to, sizeof a->to) == 0 &&
	       a->this_update == b->this_update && a->done == b->done &&
	       a->total == b->total;
}

void change_told_encode(const struct change_told *t, uint8_t out[CHANGE_TOLD_N])
{
	uint8_t *p = out + 1;

	memset(out, 0, CHANGE_TOLD_N);
	if (!t->known)
		return;
	out[0] = 1;
	memcpy(p, t->from, 32);
	memcpy(p + 32, t->to, 32);
	p = put_be(p + 64, (uint64_t)t->this_update, 8);
	p = put_be(p, t->done, 4);
	put_be(p, t->total, 4);
}

enum err change_told_decode(struct change_told *t, struct bytes in)
{
	static const uint8_t nothing[CHANGE_TOLD_N];
	const uint8_t *p = in.p;

	memset(t, 0, sizeof *t);
	if (in.n != CHANGE_TOLD_N)
		return ERR_RECORD;
	if (memcmp(p, nothing, CHANGE_TOLD_N) == 0)
		return ERR_OK;
	if (p[0] != 1 || get_be(p + 73, 4) > get_be(p + 77, 4))
		return ERR_RECORD;
	t->known = true;
	memcpy(t->from, p + 1, 32);
	memcpy(t->to, p + 33, 32);
	t->this_update = (int64_t)get_be(p + 65, 8);
	t->done = (uint32_t)get_be(p + 73, 4);
	t->total = (uint32_t)get_be(p + 77, 4);
	return ERR_OK;
}
