/* hook_made.c - field by field. */
#include "proxy/push/hook_made.h"

#include <openssl/rand.h>
#include <stddef.h>
#include <stdio.h>

#define MADE_SECRET 32 /* octets: as many as SHA-256 has */

bool hook_lacks_key(const struct hook_body *b, const struct webhook *before)
{
	return b->format == WEBHOOK_PAGERDUTY && b->routing_key[0] == '\0' &&
	       (before == NULL || before->routing_key[0] == '\0');
}

static bool make_secret(struct webhook *w, char secret[WEBHOOK_SECRET_TEXT])
{
	w->secrets_n = 1;
	w->secret[0] = (struct webhook_secret){.n = MADE_SECRET};
	return RAND_bytes(w->secret[0].octets, MADE_SECRET) == 1 &&
	       webhook_secret_text(&w->secret[0], secret);
}

/* Those that are given, else those that it had, else one that is made. */
static bool set_secrets(
    const struct hook_making *m, struct webhook *w, char secret[WEBHOOK_SECRET_TEXT])
{
	const struct hook_body *b = m->body;
	bool given = b->secrets_n > 0;

	secret[0] = '\0';
	if (!given && m->before == NULL)
		return make_secret(w, secret);
	w->secrets_n = given ? b->secrets_n : m->before->secrets_n;
	memcpy(w->secret, given ? b->secret : m->before->secret, sizeof w->secret);
	return true;
}

static void set_disabled(const struct hook_making *m, struct webhook *w)
{
	const struct hook_body *b = m->body;

	w->enabled = m->before != NULL ? m->before->enabled : 0;
	w->disabled =
	    b->has_disabled ? b->disabled : m->before != NULL && m->before->disabled;
	if (b->has_disabled && !b->disabled)
		w->enabled++; /* also of one that was given up */
}

static bool begin_at(struct webhook *w, const struct change_pos *from)
{
	w->from = *from;
	return RAND_bytes((uint8_t *)&w->start, sizeof w->start) == 1;
}

static bool set_start(const struct hook_making *m, struct webhook *w)
{
	if (m->before == NULL)
		return begin_at(w, &m->end);
	w->from = m->before->from;
	w->start = m->before->start;
	return true;
}

static void set_body(const struct hook_making *m, struct webhook *w)
{
	const struct hook_body *b = m->body;
	bool keeps_key = b->format == WEBHOOK_PAGERDUTY && b->routing_key[0] == '\0' &&
			 m->before != NULL;

	snprintf(w->name, sizeof w->name, "%s", m->name);
	strcpy(w->url, b->url);
	strcpy(w->issuer, b->issuer);
	strcpy(w->watchlist, b->watchlist);
	w->types = b->types;
	w->format = b->format;
	strcpy(w->routing_key, keeps_key ? m->before->routing_key : b->routing_key);
}

/* Whose token has some issuers, and names none, tells of these. */
static size_t bound(const struct hook_making *m)
{
	return m->access != NULL && m->body->issuer[0] == '\0' ? m->access->issuers_n : 0;
}

struct webhook *hook_made(const struct hook_making *m, char secret[WEBHOOK_SECRET_TEXT])
{
	struct webhook *w = webhook_new(bound(m));

	if (w == NULL)
		return NULL;
	set_body(m, w);
	for (size_t i = 0; i < w->issuers_n; i++)
		snprintf(
		    w->issuers[i], sizeof w->issuers[i], "%s", m->access->issuers[i]);
	set_disabled(m, w);
	w->changed_at = m->now;
	w->revision = m->before != NULL ? m->before->revision + 1 : 1;
	if (set_secrets(m, w, secret) && set_start(m, w))
		return w;
	webhook_unref(w);
	return NULL;
}

struct webhook *hook_moved(
    const struct webhook *old, const struct change_pos *since, int64_t now)
{
	struct webhook *w = webhook_new(old->issuers_n);

	if (w == NULL)
		return NULL;
	memcpy(w->name, old->name,
	    sizeof *w - offsetof(struct webhook, name) +
		old->issuers_n * sizeof old->issuers[0]);
	w->changed_at = now;
	w->revision++;
	if (begin_at(w, since))
		return w;
	webhook_unref(w);
	return NULL;
}
