/* change_alarms.c - the layout of a record of kind 4, behind the 16 octets that all have
 * (change.c):
 *
 *   offset  bytes
 *       16      1  c, length of the issuer's name, 0..63; 0: of none
 *       17      1  d, length of the node's name, 1..255
 *       18      2  0
 *       20      c  the issuer's name: a-z, 0-9, '.', '_', '-'
 *     20+c      d  the node's name: any octets but 0
 *   20+c+d         n alarms, 1..20, one after the other:
 *
 *        0      1  0 raised, 1 cleared
 *        1      1  a, length of the alarm's name, 1..63
 *        2      2  s, length of the subject, 0..511
 *        4      2  t, length of the detail, 0..511
 *        6      8  since when, seconds since 1970
 *       14      a  the alarm's name, of the characters of an issuer's
 *     14+a      s  the subject: any octets but 0
 *   14+a+s      t  the detail, the same
 *
 * Nothing follows.  So a batch has one encoding.
 */
#include <assert.h>

#include "cache/change/change_kinds.h"

#define ISSUER_AT 16
#define NODE_AT   17
#define FIXED_N   20
#define ALARM_N   14

_Static_assert(
    CHANGE_RECORD_MAX >= FIXED_N + CHANGE_NAME_MAX + CHANGE_NODE_MAX +
			     (size_t)CHANGE_ALARMS_MAX *
				 (ALARM_N + CHANGE_NAME_MAX + 2 * CHANGE_ALARM_TEXT_MAX),
    "no longer than the longest");

static size_t texts_n(const struct change_alarm *a)
{
	return strlen(a->alarm) + strlen(a->subject) + strlen(a->detail);
}

/* Copied to *p, which moves behind it. */
static const char *keep(char **p, const char *text, size_t n)
{
	char *at = *p;

	memcpy(at, text, n);
	at[n] = '\0';
	*p = at + n + 1;
	return at;
}

/* With room for n alarms and their texts, which *p is then. */
static struct change_batch *room(size_t n, size_t texts, char **p)
{
	size_t alarms = n * sizeof(struct change_alarm);
	struct change_batch *b = change_batch_room(CHANGE_ALARMS, 0, alarms + texts);

	if (b == NULL)
		return NULL;
	b->alarm = change_batch_behind(b, 0);
	*p = (char *)b->alarm + alarms;
	b->n = (uint32_t)n;
	return b;
}

struct change_batch *change_alarms_new(
    const char *node, const struct change_alarm *alarms, size_t n)
{
	size_t texts = strlen(node) + 1;
	struct change_batch *b;
	char *p;

	assert(n >= 1 && n <= CHANGE_ALARMS_MAX);
	for (size_t i = 0; i < n; i++)
		texts += texts_n(&alarms[i]) + 3;
	b = room(n, texts, &p);
	if (b == NULL)
		return NULL;
	b->node = keep(&p, node, strlen(node));
	for (size_t i = 0; i < n; i++) {
		const struct change_alarm *a = &alarms[i];

		b->alarm[i] = *a;
		b->alarm[i].alarm = keep(&p, a->alarm, strlen(a->alarm));
		b->alarm[i].subject = keep(&p, a->subject, strlen(a->subject));
		b->alarm[i].detail = keep(&p, a->detail, strlen(a->detail));
	}
	return b;
}

size_t change_alarms_size(const struct change_batch *b)
{
	size_t n = FIXED_N + strlen(b->issuer) + strlen(b->node);

	for (uint32_t i = 0; i < b->n; i++)
		n += ALARM_N + texts_n(&b->alarm[i]);
	return n;
}

static uint8_t *put_text(uint8_t *p, const char *text, size_t n)
{
	memcpy(p, text, n);
	return p + n;
}

static uint8_t *put_alarm(uint8_t *p, const struct change_alarm *a)
{
	size_t name = strlen(a->alarm), subject = strlen(a->subject),
	       detail = strlen(a->detail);

	assert(name >= 1 && name <= CHANGE_NAME_MAX);
	assert(subject <= CHANGE_ALARM_TEXT_MAX && detail <= CHANGE_ALARM_TEXT_MAX);
	*p++ = a->cleared;
	*p++ = (uint8_t)name;
	p = put_be(p, subject, 2);
	p = put_be(p, detail, 2);
	p = put_be(p, (uint64_t)a->since, 8);
	p = put_text(p, a->alarm, name);
	p = put_text(p, a->subject, subject);
	return put_text(p, a->detail, detail);
}

void change_alarms_encode(const struct change_batch *b, uint8_t *out)
{
	size_t issuer = strlen(b->issuer), node = strlen(b->node);
	uint8_t *p = out + FIXED_N;

	assert(b->n >= 1 && b->n <= CHANGE_ALARMS_MAX);
	assert(issuer <= CHANGE_NAME_MAX && node >= 1 && node <= CHANGE_NODE_MAX);
	memset(out, 0, FIXED_N);
	change_head_put(b, out);
	out[ISSUER_AT] = (uint8_t)issuer;
	out[NODE_AT] = (uint8_t)node;
	p = put_text(p, b->issuer, issuer);
	p = put_text(p, b->node, node);
	for (uint32_t i = 0; i < b->n; i++)
		p = put_alarm(p, &b->alarm[i]);
}

/* One alarm at *at, within its bytes. */
struct alarm_parts {
	bool cleared;
	int64_t since;
	struct bytes alarm, subject, detail;
};

static bool is_text(struct bytes b, size_t most)
{
	return b.n <= most && memchr(b.p, 0, b.n) == NULL;
}

static bool next_alarm(struct bytes in, size_t *at, struct alarm_parts *r)
{
	const uint8_t *p = in.p + *at;
	size_t left = in.n - *at;

	if (left < ALARM_N || p[0] > 1)
		return false;
	r->cleared = p[0] == 1;
	r->alarm = bytes_of(p + ALARM_N, p[1]);
	r->subject = bytes_of(r->alarm.p + r->alarm.n, get_be(p + 2, 2));
	r->detail = bytes_of(r->subject.p + r->subject.n, get_be(p + 4, 2));
	r->since = (int64_t)get_be(p + 6, 8);
	if (left - ALARM_N < r->alarm.n + r->subject.n + r->detail.n)
		return false;
	*at += ALARM_N + r->alarm.n + r->subject.n + r->detail.n;
	return change_name_is_good(r->alarm.p, r->alarm.n) &&
	       is_text(r->subject, CHANGE_ALARM_TEXT_MAX) &&
	       is_text(r->detail, CHANGE_ALARM_TEXT_MAX);
}

/* Everything before the alarms; *at: where these begin. */
static bool head_is_good(struct bytes in, size_t *at)
{
	const uint8_t *p = in.p;
	size_t n;

	if (in.n < FIXED_N || p[2] != 0 || p[3] != 0 || p[18] != 0 || p[19] != 0)
		return false;
	n = get_be(p + CHANGE_COUNT_AT, 4);
	*at = FIXED_N + (size_t)p[ISSUER_AT] + p[NODE_AT];
	return n >= 1 && n <= CHANGE_ALARMS_MAX && *at <= in.n && p[NODE_AT] >= 1 &&
	       (p[ISSUER_AT] == 0 || change_name_is_good(p + FIXED_N, p[ISSUER_AT])) &&
	       is_text(bytes_of(p + FIXED_N + p[ISSUER_AT], p[NODE_AT]), CHANGE_NODE_MAX);
}

/* Where n alarms end, and the bytes of their texts with a NUL each. */
static bool measure(struct bytes in, size_t at, size_t n, size_t *texts)
{
	struct alarm_parts r;

	for (size_t i = 0; i < n; i++) {
		if (!next_alarm(in, &at, &r))
			return false;
		*texts += r.alarm.n + r.subject.n + r.detail.n + 3;
	}
	return at == in.n;
}

static const char *keep_bytes(char **p, struct bytes b)
{
	return keep(p, (const char *)b.p, b.n);
}

enum err change_alarms_decode(struct change_batch **out, struct bytes in)
{
	size_t at, n, texts = CHANGE_NODE_MAX + 1;
	struct change_batch *b;
	struct alarm_parts r;
	char *p;

	if (!head_is_good(in, &at))
		return ERR_RECORD;
	n = get_be(in.p + CHANGE_COUNT_AT, 4);
	if (!measure(in, at, n, &texts))
		return ERR_RECORD;
	b = room(n, texts, &p);
	if (b == NULL)
		return ERR_NOMEM;
	change_head_get(b, in);
	memcpy(b->issuer, in.p + FIXED_N, in.p[ISSUER_AT]);
	b->node = keep(&p, (const char *)in.p + FIXED_N + in.p[ISSUER_AT], in.p[NODE_AT]);
	for (size_t i = 0; i < n && next_alarm(in, &at, &r); i++)
		b->alarm[i] = (struct change_alarm){keep_bytes(&p, r.alarm),
		    keep_bytes(&p, r.subject), keep_bytes(&p, r.detail), r.since,
		    r.cleared};
	*out = b;
	return ERR_OK;
}
