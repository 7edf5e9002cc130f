/* notices_text.c - texts that strangers wrote stand in both: put_utf8() escapes them. */
#include "proxy/push/notices_text.h"

/* Notices. */

struct notices_head notices_head_of(const struct change_batch *b)
{
	return (struct notices_head){.issuer = b->issuer,
	    .seen_at = b->seen_at_ms / 1000,
	    .source = b->source,
	    .incident = b->incident,
	    .url = b->url,
	    .deadline = b->deadline};
}

static char *put_or_null(char *p, const char *text)
{
	return text[0] != '\0' ? put_utf8(p, text) : PUT(p, "null");
}

static char *put_time_or_null(char *p, int64_t at, bool is)
{
	return is ? put_time(p, at) : PUT(p, "null");
}

char *put_notices_begin(char *p, const struct notices_head *h)
{
	p = PUT(p, "{\"issuer\":");
	p = put_string(p, h->issuer);
	p = PUT(p, ",\"seen_at\":");
	p = put_time(p, h->seen_at);
	p = h->source == CHANGE_ARI ? PUT(p, ",\"source\":\"ari\"")
				    : PUT(p, ",\"source\":\"incident\"");
	p = PUT(p, ",\"incident\":");
	p = put_or_null(p, h->incident);
	p = PUT(p, ",\"deadline\":");
	p = put_time_or_null(p, h->deadline, h->deadline != 0);
	p = PUT(p, ",\"url\":");
	p = put_or_null(p, h->url);
	return PUT(p, ",\"notices\":[");
}

char *put_notice_begin(char *p, const struct crl_entry *e)
{
	p = PUT(p, "{\"serial\":\"");
	p = put_serial(p, e);
	return PUT(p, "\"");
}

char *put_notice_end(char *p, const struct change_window *w, bool withdrawn)
{
	bool said = w != NULL && (w->after != 0 || w->before != 0);

	p = PUT(p, ",\"replace_after\":");
	p = put_time_or_null(p, said ? w->after : 0, said);
	p = PUT(p, ",\"replace_before\":");
	p = put_time_or_null(p, said ? w->before : 0, said);
	return withdrawn ? PUT(p, ",\"withdrawn\":true}")
			 : PUT(p, ",\"withdrawn\":false}");
}

char *put_notices(char *p, const struct change_batch *b, uint32_t from, uint32_t to)
{
	const struct notices_head head = notices_head_of(b);

	p = put_notices_begin(p, &head);
	for (uint32_t i = from; i < to; i++) {
		if (i > from)
			*p++ = ',';
		p = put_notice_begin(p, &b->change[i].entry);
		p = PUT(p, ",\"names\":[],\"labels\":[]");
		p = put_notice_end(p, b->window != NULL ? &b->window[i] : NULL,
		    change_is_withdrawn(&b->change[i]));
	}
	return PUT(p, "]}");
}

/* Alarms. */

/* As GET /v1/alarms has it. */
static char *put_alarm(
    char *p, const struct change_batch *b, const struct change_alarm *a)
{
	p = PUT(p, "{\"alarm\":");
	p = put_utf8(p, a->alarm);
	p = PUT(p, ",\"issuer\":");
	p = put_or_null(p, b->issuer);
	p = PUT(p, ",\"subject\":");
	p = put_utf8(p, a->subject);
	p = PUT(p, ",\"since\":");
	p = put_time(p, a->since);
	p = PUT(p, ",\"node\":");
	p = put_utf8(p, b->node);
	p = PUT(p, ",\"detail\":");
	p = put_utf8(p, a->detail);
	*p++ = '}';
	return p;
}

/* Those that were raised, or that were cleared. */
static char *put_some(
    char *p, const struct change_batch *b, uint32_t from, uint32_t to, bool cleared)
{
	bool more = false;

	for (uint32_t i = from; i < to; i++) {
		if (b->alarm[i].cleared != cleared)
			continue;
		if (more)
			*p++ = ',';
		p = put_alarm(p, b, &b->alarm[i]);
		more = true;
	}
	return p;
}

char *put_alarms(char *p, const struct change_batch *b, uint32_t from, uint32_t to)
{
	p = PUT(p, "{\"seen_at\":");
	p = put_time(p, b->seen_at_ms / 1000);
	p = PUT(p, ",\"node\":");
	p = put_utf8(p, b->node);
	p = PUT(p, ",\"raised\":[");
	p = put_some(p, b, from, to, false);
	p = PUT(p, "],\"cleared\":[");
	p = put_some(p, b, from, to, true);
	return PUT(p, "]}");
}
