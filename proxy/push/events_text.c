/* events_text.c - written by hand: a list of millions of entries goes through here for
 * everybody who listens, and a JSON library's tree would cost twenty times as much. */
#include "proxy/push/events_text.h"

#include <assert.h>

#define PUT(p, text) put((p), (text), sizeof text - 1)

static char *put(char *p, const char *text, size_t n)
{
	memcpy(p, text, n);
	return p + n;
}

static char *put_text(char *p, const char *text)
{
	return put(p, text, strlen(text));
}

/* As a JSON string.  What is not plainly harmless is escaped, octet by octet: names of
 * ours never are, and a client's since may be anything. */
static char *put_string(char *p, const char *text)
{
	static const char digit[] = "0123456789abcdef";

	*p++ = '"';
	for (; *text != '\0'; text++) {
		unsigned char c = (unsigned char)*text;

		if ((c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '.' ||
		    c == '_' || c == '-') {
			*p++ = (char)c;
		} else {
			p = PUT(p, "\\u00");
			*p++ = digit[c >> 4];
			*p++ = digit[c & 15];
		}
	}
	*p++ = '"';
	return p;
}

static char *put_digits(char *p, unsigned v, int n)
{
	for (int i = n - 1; i >= 0; i--, v /= 10)
		p[i] = (char)('0' + v % 10);
	return p + n;
}

/* The civil date of a day since 1970-01-01, in years that begin in March, so that a leap
 * day is a year's last. */
static char *put_date(char *p, int64_t day)
{
	unsigned era_day, era_year, year_day, month, era;

	day += 719468; /* since 0000-03-01; not negative for the years that we write */
	era = (unsigned)(day / 146097);
	era_day = (unsigned)(day % 146097);
	era_year = (era_day - era_day / 1460 + era_day / 36524 - era_day / 146096) / 365;
	year_day = era_day - (365 * era_year + era_year / 4 - era_year / 100);
	month = (5 * year_day + 2) / 153;
	p = put_digits(p, era * 400 + era_year + (month >= 10), 4);
	*p++ = '-';
	p = put_digits(p, month < 10 ? month + 3 : month - 9, 2);
	*p++ = '-';
	return put_digits(p, year_day - (153 * month + 2) / 5 + 1, 2);
}

/* RFC 3339 in quotes; null for a time that it cannot write. */
static char *put_time(char *p, int64_t at)
{
	static const int64_t first = -62135596800 /* 0001 */,
			     last = 253402300799 /* 9999 */;
	unsigned second;
	int64_t day;

	if (at < first || at > last)
		return PUT(p, "null");
	day = at >= 0 ? at / 86400 : -((86399 - at) / 86400);
	second = (unsigned)(at - day * 86400);
	*p++ = '"';
	p = put_date(p, day);
	*p++ = 'T';
	p = put_digits(p, second / 3600, 2);
	*p++ = ':';
	p = put_digits(p, second / 60 % 60, 2);
	*p++ = ':';
	p = put_digits(p, second % 60, 2);
	return PUT(p, "Z\"");
}

/* As serial_to_hex() writes it. */
static char *put_serial(char *p, const struct crl_entry *e)
{
	static const char digit[] = "0123456789abcdef";
	const uint8_t *at = e->octets + SERIAL_MAX - e->n, *end = e->octets + SERIAL_MAX;

	if (*at >= 0x80) { /* negative: rare enough for the long way */
		char text[SERIAL_HEX_MAX];
		struct serial s;

		crl_entry_serial(e, &s);
		serial_to_hex(&s, text);
		return put_text(p, text);
	}
	while (at < end - 1 && *at == 0)
		at++;
	if (*at >= 16)
		*p++ = digit[*at >> 4];
	*p++ = digit[*at++ & 15];
	for (; at < end; at++) {
		*p++ = digit[*at >> 4];
		*p++ = digit[*at & 15];
	}
	return p;
}

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
	struct crl_facts list = {.has_number = b->has_number};
	int64_t seen_at = b->seen_at_ms / 1000;

	memcpy(list.number, b->number, sizeof list.number);
	return put_source(
	    p, b->issuer, seen_at, b->evidence, b->has_number ? &list : NULL);
}

static char *put_changes(
    char *p, const struct change_batch *b, uint32_t from, uint32_t to)
{
	assert(from < to && to <= b->n && to - from <= EVENTS_CHANGES);
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

static char *put_pos(char *p, const struct change_pos *pos)
{
	char text[CHANGE_POS_TEXT_MAX];

	change_pos_text(pos, text);
	return put_text(p, text);
}

static char *put_event(char *p, const struct change_pos *end)
{
	p = PUT(p, "id: ");
	p = put_pos(p, end);
	return PUT(p, "\nevent: changes\ndata: ");
}

static char *put_member(char *p, const struct change_pos *end)
{
	p = PUT(p, "{\"id\":\"");
	p = put_pos(p, end);
	return PUT(p, "\",\"event\":\"changes\",\"data\":");
}

size_t events_text_changes(
    const struct change_batch *b, uint32_t from, uint32_t to, char *out)
{
	const struct change_pos end = {b->epoch, b->seq, to};
	char *p = put_event(out, &end);

	p = put_changes(p, b, from, to);
	p = PUT(p, "\n\n");
	return (size_t)(p - out);
}

size_t events_text_member(
    const struct change_batch *b, uint32_t from, uint32_t to, char *out)
{
	const struct change_pos end = {b->epoch, b->seq, to};
	char *p = put_member(out, &end);

	p = put_changes(p, b, from, to);
	*p++ = '}';
	return (size_t)(p - out);
}

size_t events_text_begin(
    const struct change_batch *b, const struct change_pos *end, bool member, char *out)
{
	char *p = member ? put_member(out, end) : put_event(out, end);

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
