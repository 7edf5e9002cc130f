/* watch_texts.c - labels, then names, up to their bound. */
#include "cache/watch/watch_texts.h"

#include <strings.h>

#include "cache/watch/watch_name.h"

void watch_texts_reset(struct watch_texts *t)
{
	t->names_n = t->labels_n = t->crl_n = 0;
	t->name_octets = t->label_octets = 0;
	t->names_more = 0;
}

void watch_texts_name(struct watch_texts *t, struct bytes text)
{
	size_t left = WATCH_TEXT_MAX - t->name_octets, n = 0;
	char *at = t->name_room + t->name_octets;

	if (text.n == 0)
		return;
	if (t->names_more == 0 && left > 0)
		n = watch_name(text, at, left - 1);
	if (n == 0) {
		t->names_more++;
		return;
	}
	t->names[t->names_n++] = bytes_of(at, n);
	t->name_octets += n + 1;
}

bool watch_texts_label(struct watch_texts *t, struct bytes text)
{
	char *at = t->label_room + t->label_octets;

	if (text.n == 0)
		return true;
	if (text.n >= WATCH_TEXT_MAX - t->label_octets)
		return false;
	memcpy(at, text.p, text.n);
	t->labels[t->labels_n++] = bytes_of(at, text.n);
	t->label_octets += text.n + 1;
	return true;
}

bool watch_url_is_fetchable(struct bytes url)
{
	const char *text = (const char *)url.p;

	if (!(url.n > 7 && strncasecmp(text, "http://", 7) == 0) &&
	    !(url.n > 8 && strncasecmp(text, "https://", 8) == 0))
		return false;
	for (size_t i = 0; i < url.n; i++)
		if (url.p[i] <= ' ' || url.p[i] >= 0x7f)
			return false;
	return true;
}

void watch_texts_url(struct watch_texts *t, struct bytes text)
{
	char *at;

	if (t->crl_n == WATCH_URLS_MAX || text.n > WATCH_URL_MAX ||
	    !watch_url_is_fetchable(text))
		return;
	at = t->crl_room[t->crl_n];
	memcpy(at, text.p, text.n);
	t->crl[t->crl_n++] = bytes_of(at, text.n);
}

void watch_texts_end(struct watch_texts *t, struct watch_cert *c)
{
	while (t->name_octets + t->label_octets > WATCH_TEXT_MAX) {
		t->name_octets -= t->names[--t->names_n].n + 1;
		t->names_more++;
	}
	c->names = t->names;
	c->names_n = t->names_n;
	c->names_more = t->names_more;
	c->labels = t->labels;
	c->labels_n = t->labels_n;
	c->crl = t->crl;
	c->crl_n = t->crl_n;
}
