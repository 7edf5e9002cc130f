/* announce.c - lines are made of short lists of names. */
#include "proxy/base/announce.h"

#include <stdio.h>
#include <string.h>

#include "cache/base/secret.h"
#include "proxy/base/log.h"
#include "proxy/base/version.h"

/* Names with commas between them.  What the log takes of a value is bounded too, but it
 * would not say how many are missing. */
#define NAMES_BYTES 440
struct names {
	size_t n, shown, used;
	char text[NAMES_BYTES + 32];
};

static void names_add(struct names *s, const char *mark, const char *name)
{
	size_t need = strlen(mark) + strlen(name) + 1;

	s->n++;
	if (s->shown + 1 < s->n || s->used + need >= NAMES_BYTES)
		return;
	s->used += (size_t)sprintf(
	    s->text + s->used, "%s%s%s", s->shown > 0 ? "," : "", mark, name);
	s->shown++;
}

static const char *names_text(struct names *s)
{
	if (s->shown < s->n)
		sprintf(s->text + s->used, "%sand %zu more", s->shown > 0 ? " " : "",
		    s->n - s->shown);
	return s->text;
}

/* Mistakes. */

void announce_mistakes(const struct conf_errors *e)
{
	for (size_t i = 0; i < e->warning_n; i++)
		log_each(LOG_WARN, "config_warning", "detail=%s", e->warning[i]);
	for (size_t i = 0; i < e->n; i++)
		log_each(LOG_ERROR, "config_error", "detail=%s", e->line[i]);
}

void announce_mistakes_plainly(const struct conf_errors *e, const char *path)
{
	for (size_t i = 0; i < e->warning_n; i++)
		fprintf(stderr, "warning: %s\n", e->warning[i]);
	for (size_t i = 0; i < e->n; i++)
		fprintf(stderr, "error: %s\n", e->line[i]);
	if (e->n > 0)
		fprintf(stderr, "ocspcached: %s: %zu error%s in the configuration\n",
		    path, e->n, e->n == 1 ? "" : "s");
}

/* Running. */

/* A path may have an '@' too, and has no password. */
static const char *store_shown(const char *store, char *out, size_t n)
{
	return strncmp(store, "redis", 5) == 0 ? url_shown(store, out, n) : store;
}

static size_t lists_of(const struct conf *c)
{
	size_t n = 0;

	for (size_t i = 0; i < c->issuer_n; i++)
		n += c->issuer[i].crl_n;
	return n;
}

void announce_started(const struct conf *c, const char *path, unsigned workers)
{
	struct names listen = {0}, api = {0};
	char store[512];

	for (size_t i = 0; i < c->listen_n; i++)
		names_add(&listen, "", c->listen[i]);
	for (size_t i = 0; i < c->api_listen_n; i++)
		names_add(&api, "", c->api_listen[i]);
	log_each(LOG_INFO, "started",
	    "version=%s file=%s listen=%s api=%s store=%s workers=%u issuers=%zu "
	    "lists=%zu",
	    OCSPCACHED_VERSION, path, names_text(&listen), names_text(&api),
	    store_shown(c->store, store, sizeof store), workers, c->issuer_n,
	    lists_of(c));
}

/* Reloaded. */

struct changes {
	struct names options, issuers;
	size_t n[CONF_CHANGED + 1];
};

static void add_option(void *arg, const char *option)
{
	struct changes *c = arg;

	names_add(&c->options, "", option);
}

static void add_issuer(void *arg, enum conf_change what, const char *issuer)
{
	static const char *const mark[] = {
	    [CONF_ADDED] = "+", [CONF_REMOVED] = "-", [CONF_CHANGED] = "~"};
	struct changes *c = arg;

	c->n[what]++;
	names_add(&c->issuers, mark[what], issuer);
}

void announce_reloaded(const struct conf *old, const struct conf *new, const char *path)
{
	struct changes c = {0};

	conf_changed(old, new, add_option, &c);
	if (conf_tokens_differ(old, new))
		add_option(&c, "tokens");
	conf_issuers_changed(old, new, add_issuer, &c);
	log_each(LOG_INFO, "reloaded",
	    "file=%s options=%s issuers=%zu added=%zu removed=%zu changed=%zu names=%s "
	    "lists=%zu",
	    path, names_text(&c.options), new->issuer_n, c.n[CONF_ADDED],
	    c.n[CONF_REMOVED], c.n[CONF_CHANGED], names_text(&c.issuers), lists_of(new));
}
