/* webhook.c - the value, and what is asked of it. */
#include "cache/watch/webhook.h"

#include <assert.h>
#include <openssl/crypto.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>

const char *webhook_type_name(enum webhook_type type)
{
	switch (type) {
	case WEBHOOK_CHANGES:
		return "changes";
	case WEBHOOK_NOTICES:
		return "notices";
	case WEBHOOK_ALARMS:
		return "alarms";
	}
	return NULL;
}

const char *webhook_format_name(enum webhook_format format)
{
	static const char *const name[WEBHOOK_FORMATS] = {
	    "standard", "slack", "alertmanager", "pagerduty", "cloudevents"};

	return format < WEBHOOK_FORMATS ? name[format] : NULL;
}

static size_t size_of(size_t issuers_n)
{
	return sizeof(struct webhook) +
	       issuers_n * sizeof(((struct webhook *)0)->issuers[0]);
}

struct webhook *webhook_new(size_t issuers_n)
{
	struct webhook *w = calloc(1, size_of(issuers_n));

	if (w == NULL)
		return NULL;
	w->refs = 1;
	w->issuers_n = issuers_n;
	return w;
}

/* The count is no part of the value: who has it to read may hold it longer. */
static struct webhook *counted(const struct webhook *w)
{
	return (struct webhook *)(uintptr_t)w;
}

struct webhook *webhook_ref(const struct webhook *w)
{
	atomic_fetch_add(&counted(w)->refs, 1);
	return counted(w);
}

void webhook_unref(const struct webhook *w)
{
	if (w != NULL && atomic_fetch_sub(&counted(w)->refs, 1) == 1) {
		OPENSSL_cleanse(counted(w), size_of(w->issuers_n));
		free(counted(w));
	}
}

bool webhook_tells(const struct webhook *w, const char *issuer)
{
	if (w->issuer[0] != '\0' && strcmp(w->issuer, issuer) != 0)
		return false;
	for (size_t i = 0; i < w->issuers_n; i++)
		if (strcmp(w->issuers[i], issuer) == 0)
			return true;
	return w->issuers_n == 0;
}

void webhook_shown(const struct webhook *w, char out[WEBHOOK_SHOWN_MAX])
{
	const char *host = strstr(w->url, "://");
	size_t n = host != NULL ? (size_t)(host + 3 - w->url) : 0;

	n += strcspn(w->url + n, "/?#");
	snprintf(out, WEBHOOK_SHOWN_MAX, "%.*s", (int)n, w->url);
}

const struct change_pos *webhook_position(
    const struct webhook *w, const struct webhook_state *s)
{
	return s != NULL && s->start == w->start ? &s->position : &w->from;
}

bool webhook_is_disabled(const struct webhook *w, const struct webhook_state *s)
{
	return w->disabled ||
	       (s != NULL && s->gone_at != 0 && s->gone_enabled == w->enabled);
}
