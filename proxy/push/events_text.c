/* events_text.c - one frame around what each kind of batch says. */
#include "proxy/push/events_text.h"

#include <assert.h>

#include "proxy/push/notices_text.h"

_Static_assert(
    (CHANGE_ALARMS_MAX + 1) * (6 * (2 * CHANGE_ALARM_TEXT_MAX + CHANGE_NODE_MAX) + 512) <=
	EVENTS_TEXT_MAX,
    "all alarms of a batch are one event");

static char *put_change(
    char *p, const struct crl_entry *e, const char *now, const char *before)
{
	const char *reason = reason_name(crl_entry_reason(e));

	p = PUT(p, "{\"serial\":\"");
	p = put_serial(p, e);
	p = PUT(p, "\",\"status\":\"");
	p = put_text(p, now);
	p = PUT(p, "\",\"previous\":");
	if (before != NULL) {
		*p++ = '"';
		p = put_text(p, before);
		*p++ = '"';
	} else {
		p = PUT(p, "null");
	}
	p = PUT(p, ",\"revoked_at\":");
	p = put_time(p, crl_entry_at(e));
	p = PUT(p, ",\"reason\":");
	if (reason != NULL) {
		*p++ = '"';
		p = put_text(p, reason);
		*p++ = '"';
	} else {
		p = PUT(p, "null");
	}
	*p++ = '}';
	return p;
}

/* Up to the bracket of the array. */
static char *put_source(char *p, const char *issuer, int64_t seen_at,
    enum change_evidence evidence, const struct crl_facts *list)
{
	char number[CRL_NUMBER_TEXT_MAX] = "";

	if (list != NULL)
		crl_number_text(list, number);
	p = PUT(p, "{\"issuer\":");
	p = put_string(p, issuer);
	p = PUT(p, ",\"seen_at\":");
	p = put_time(p, seen_at);
	p = evidence == CHANGE_CRL ? PUT(p, ",\"evidence\":\"crl\"")
				   : PUT(p, ",\"evidence\":\"ocsp\"");
	p = PUT(p, ",\"crl_number\":");
	p = number[0] != '\0' ? put_string(p, number) : PUT(p, "null");
	return PUT(p, ",\"changes\":[");
}

static char *put_batch(char *p, const struct change_batch *b)
{
	const struct notices_head head = notices_head_of(b);
	struct crl_facts list = {.has_number = b->has_number};
	int64_t seen_at = b->seen_at_ms / 1000;

	if (b->kind == CHANGE_NOTICES)
		return put_notices_begin(p, &head);
	memcpy(list.number, b->number, sizeof list.number);
	return put_source(
	    p, b->issuer, seen_at, b->evidence, b->has_number ? &list : NULL);
}

static char *put_changes(
    char *p, const struct change_batch *b, uint32_t from, uint32_t to)
{
	p = put_batch(p, b);
	for (uint32_t i = from; i < to; i++) {
		const struct change *c = &b->change[i];

		if (i > from)
			*p++ = ',';
		p = put_change(p, &c->entry, change_status_name(change_now(c)),
		    change_status_name(change_before(c)));
	}
	return PUT(p, "]}");
}

static char *put_data(char *p, const struct change_batch *b, uint32_t from, uint32_t to)
{
	assert(from < to && to <= b->n && to - from <= EVENTS_CHANGES);
	if (b->kind == CHANGE_NOTICES)
		return put_notices(p, b, from, to);
	return b->kind == CHANGE_ALARMS ? put_alarms(p, b, from, to)
					: put_changes(p, b, from, to);
}

size_t events_text_room(const struct change_batch *b, uint32_t n)
{
	if (b->kind == CHANGE_ALARMS)
		return EVENTS_TEXT_MAX;
	return (b->kind == CHANGE_NOTICES ? EVENTS_HEAD_TEXT : EVENTS_FRAME_TEXT) +
	       (size_t)n * EVENTS_CHANGE_TEXT;
}

static const char *event_of(const struct change_batch *b)
{
	if (b->kind == CHANGE_NOTICES)
		return "notices";
	return b->kind == CHANGE_ALARMS ? "alarms" : "changes";
}

static char *put_event(
    char *p, const struct change_batch *b, const struct change_pos *end)
{
	p = PUT(p, "id: ");
	p = put_pos(p, end);
	p = PUT(p, "\nevent: ");
	p = put_text(p, event_of(b));
	return PUT(p, "\ndata: ");
}

static char *put_member(
    char *p, const struct change_batch *b, const struct change_pos *end)
{
	p = PUT(p, "{\"id\":\"");
	p = put_pos(p, end);
	p = PUT(p, "\",\"event\":\"");
	p = put_text(p, event_of(b));
	return PUT(p, "\",\"data\":");
}

size_t events_text_changes(
    const struct change_batch *b, uint32_t from, uint32_t to, char *out)
{
	const struct change_pos end = {b->epoch, b->seq, to};
	char *p = put_event(out, b, &end);

	p = put_data(p, b, from, to);
	p = PUT(p, "\n\n");
	return (size_t)(p - out);
}

size_t events_text_member(
    const struct change_batch *b, uint32_t from, uint32_t to, char *out)
{
	const struct change_pos end = {b->epoch, b->seq, to};
	char *p = put_member(out, b, &end);

	p = put_data(p, b, from, to);
	*p++ = '}';
	return (size_t)(p - out);
}

size_t events_text_begin(
    const struct change_batch *b, const struct change_pos *end, bool member, char *out)
{
	char *p = member ? put_member(out, b, end) : put_event(out, b, end);

	assert(b->kind != CHANGE_ALARMS);

	return (size_t)(put_batch(p, b) - out);
}

size_t events_text_snapshot_begin(const struct events_snapshot *s, char *out)
{
	char *p = PUT(out, "event: snapshot\ndata: ");

	return (size_t)(put_source(p, s->issuer, s->at, s->evidence, s->list) - out);
}

size_t events_text_change(const struct crl_entry *e, enum change_status now,
    enum change_status before, char *out)
{
	char *p = put_change(out, e, change_status_name(now), change_status_name(before));

	return (size_t)(p - out) - 1; /* without the brace */
}

size_t events_text_snapshot(const struct events_snapshot *s, char *out)
{
	char *p = out + events_text_snapshot_begin(s, out);

	assert(s->n >= 1 && s->n <= EVENTS_CHANGES);
	for (size_t i = 0; i < s->n; i++) {
		if (i > 0)
			*p++ = ',';
		p = put_change(
		    p, s->entries[i], change_status_name(CHANGE_REVOKED), NULL);
	}
	p = PUT(p, "]}\n\n");
	return (size_t)(p - out);
}

size_t events_text_position(const struct change_pos *pos, char *out)
{
	char *p = PUT(out, "id: ");

	p = put_pos(p, pos);
	p = PUT(p, "\n\n");
	return (size_t)(p - out);
}

size_t events_text_wait(enum events_wait what, char *out)
{
	static const char *const text[WAITS] = {
	    [WAIT_LOG] = ": waiting for the change log, which cannot be read now\n\n",
	    [WAIT_SNAPSHOT] =
		": waiting for what is revoked already; lists may have to be "
		"opened first\n\n"};
	size_t n = strlen(text[what]);

	memcpy(out, text[what], n);
	return n;
}

size_t events_text_gap_data(const char *since, const struct change_pos *oldest, char *out)
{
	char *p = PUT(out, "{\"since\":");

	assert(strlen(since) <= EVENTS_SINCE_MAX);
	p = put_string(p, since);
	p = PUT(p, ",\"oldest\":\"");
	p = put_pos(p, oldest);
	p = PUT(p, "\"}");
	return (size_t)(p - out);
}

size_t events_text_gap(const char *since, const struct change_pos *oldest, char *out)
{
	char *p = PUT(out, "event: gap\ndata: ");

	p += events_text_gap_data(since, oldest, p);
	p = PUT(p, "\n\n");
	return (size_t)(p - out);
}
