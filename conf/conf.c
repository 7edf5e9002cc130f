/* From the draft that was checked to what threads read: issuers, the paths and hosts that
 * are answered at, the mirrored lists. */
#include "conf/conf.h"

#include <errno.h>
#include <openssl/ssl.h>
#include <stdlib.h>
#include <sys/stat.h>

#include "conf/address.h"
#include "conf/check.h"
#include "conf/values.h"

/* What is made of the options. */

/* path is handed over. */
static bool add_path(struct conf *c, char *path)
{
	char **grown;

	for (size_t i = 0; i < c->path_n; i++)
		if (strcmp(c->path[i], path) == 0) {
			free(path);
			return true;
		}
	grown = realloc(c->path, (c->path_n + 1) * sizeof *grown);
	if (grown == NULL) {
		free(path);
		return false;
	}
	c->path = grown;
	grown[c->path_n++] = path;
	return true;
}

static bool add_authority(struct conf *c, const struct address *a)
{
	struct conf_authority *grown;
	char *host;

	for (size_t i = 0; i < c->authority_n; i++)
		if (c->authority[i].port == a->port &&
		    strcmp(c->authority[i].host, a->host) == 0)
			return true;
	grown = realloc(c->authority, (c->authority_n + 1) * sizeof *grown);
	if (grown == NULL)
		return false;
	c->authority = grown;
	host = strdup(a->host);
	if (host == NULL)
		return false;
	grown[c->authority_n++] = (struct conf_authority){host, a->port};
	return true;
}

static bool add_url(struct conf *c, const char *text)
{
	struct url u;
	const char *why;
	char *path;

	if (url_parse(text, &u) != NULL) /* reported by draft_check() */
		return true;
	path = url_path_normal(&u, &why);
	if (path == NULL)
		return why != NULL;
	return add_path(c, path) && add_authority(c, &u.at);
}

/* One name of a list, when it is an http URL: who asks for it by that name asks us. */
static bool add_mirror(struct conf *c, size_t issuer, size_t list, const char *text)
{
	struct conf_mirror *grown;
	struct url u;
	char *host;

	if (strncasecmp(text, "http", 4) != 0 || url_parse(text, &u) != NULL)
		return true; /* a file; or reported by draft_check() */
	/* those of a list stand together */
	for (size_t i = c->mirror_n;
	     i-- > 0 && c->mirror[i].issuer == issuer && c->mirror[i].list == list;)
		if (c->mirror[i].port == u.at.port &&
		    strcmp(c->mirror[i].host, u.at.host) == 0 &&
		    strcmp(c->mirror[i].target, *u.path != '\0' ? u.path : "/") == 0)
			return true;
	grown = realloc(c->mirror, (c->mirror_n + 1) * sizeof *grown);
	if (grown == NULL)
		return false;
	c->mirror = grown;
	host = strdup(u.at.host);
	if (host == NULL)
		return false;
	grown[c->mirror_n++] = (struct conf_mirror){
	    host, u.at.port, *u.path != '\0' ? u.path : "/", issuer, list};
	return add_authority(c, &u.at);
}

/* Each place of a list, and its scope. */
static bool add_mirrors(
    struct conf *c, size_t issuer, size_t list, const struct issuer_list *l)
{
	for (size_t p = 0; p < l->place_n; p++)
		if (!add_mirror(c, issuer, list, l->place[p]))
			return false;
	return add_mirror(c, issuer, list, l->scope);
}

/* Names point into the set of issuers, which lives as long as the configuration. */
static bool make_mirrors(struct conf *c)
{
	for (size_t i = 0; c->issuers != NULL && i < issuers_count(c->issuers); i++) {
		const struct issuer *is = issuers_at(c->issuers, i);

		for (size_t k = 0; k < is->crl_n; k++)
			if (!add_mirrors(c, i, k, &is->crl[k]))
				return false;
	}
	return true;
}

static int by_length_down(const void *a, const void *b)
{
	const char *const *x = a, *const *y = b;
	size_t n = strlen(*x), m = strlen(*y);

	return n != m ? (n < m) - (n > m) : strcmp(*x, *y);
}

static bool make_paths(struct conf *c)
{
	for (size_t i = 0; i < c->ocsp_path_n; i++) {
		const char *why;
		char *path = path_normal(c->ocsp_path[i], &why);

		if (path != NULL ? !add_path(c, path) : why == NULL)
			return false;
	}
	for (size_t i = 0; i < c->issuer_n; i++)
		for (size_t k = 0; k < c->issuer[i].ocsp_n; k++)
			if (!add_url(c, c->issuer[i].ocsp[k]))
				return false;
	if (c->path_n > 1)
		qsort(c->path, c->path_n, sizeof *c->path, by_length_down);
	return true;
}

/* What is fetched because watched certificates name it is not known to be all, whatever
 * `absent` says of what is configured. */
static enum absent absent_of(const struct conf_issuer *is, const struct crl_lists *l)
{
	bool named = l->n == 0 && l->learns[LEARNT_CERTIFICATES] && !l->all;

	if (is->absent == ABSENT_UNKNOWN)
		return ABSENT_UNKNOWN;
	if (is->crl_need == CRL_NEED_WATCHED || named)
		return ABSENT_UNSAID;
	return l->all ? ABSENT_GOOD : (enum absent)is->absent;
}

static struct issuer_spec spec_of(const struct draft *d, size_t i)
{
	const struct conf_issuer *is = &d->conf->issuer[i];
	struct issuer_spec spec = {.name = is->name,
	    .certificates = d->ca[i].x,
	    .certificates_n = d->ca[i].n,
	    .responders = d->responder[i].x,
	    .responders_n = d->responder[i].n,
	    .ocsp = is->ocsp,
	    .ocsp_n = is->ocsp_n,
	    .crl = d->lists[i].list,
	    .crl_n = d->lists[i].n};
	char why[256];

	spec.rules = (struct issuer_rules){
	    .profile = is->profile == PROFILE_PUBLIC ? PROFILE_PUBLIC : PROFILE_PRIVATE,
	    .allow_sha1 = is->allow_sha1_signatures && is->profile != PROFILE_PUBLIC,
	    .nonce_forward = is->nonce == NONCE_FORWARD,
	    .nonce_rate = (unsigned)is->nonce_rate,
	    .unknown_ttl_s = is->unknown_ttl_ms / 1000,
	    .max_in_flight = (unsigned)is->max_in_flight,
	    .max_waiting = (unsigned)is->max_waiting,
	    .fetch_rate = (unsigned)is->fetch_rate,
	    .absent = absent_of(is, &d->lists[i]),
	    .learns = {d->lists[i].learns[LEARNT_CCADB],
		d->lists[i].learns[LEARNT_CERTIFICATES]},
	    .need_watched = is->crl_need == CRL_NEED_WATCHED};
	without_next_update_parse(
	    is->without_next_update, &spec.rules.without_next_update_s, why, sizeof why);
	return spec;
}

static void report_clash(const struct draft *d, size_t a, size_t b)
{
	size_t first = a < b ? a : b, second = a < b ? b : a;
	const struct conf_issuer *x = &d->conf->issuer[first];
	const struct conf_issuer *y = &d->conf->issuer[second];

	report_error(d->report, y->file, y->line, "certificate",
	    "issuer \"%s\" is the same CA as issuer \"%s\" at %s:%d (same name and key); "
	    "take one of them out",
	    y->name, x->name, x->file, x->line);
}

/* Also when something else was refused: two issuers alike are then said in the same load;
 * lists that were refused have no names, and are not needed for that.  at: the issuer of
 * each spec. */
static bool build_issuers(struct draft *d, struct issuer_spec *spec, size_t *at)
{
	size_t n = 0, clash[2] = {0, 0};
	enum err e;

	for (size_t i = 0; i < d->conf->issuer_n; i++)
		if (d->ca[i].n > 0) {
			at[n] = i;
			spec[n] = spec_of(d, i);
			spec[n].crl_n = report_is_clean(d->report) ? spec[n].crl_n : 0;
			n++;
		}
	e = issuers_new(&d->conf->issuers, spec, n, clash);
	if (e == ERR_REQ_ISSUER)
		report_clash(d, at[clash[0]], at[clash[1]]);
	else if (e && e != ERR_NOMEM)
		report_error(d->report, d->settings->global.file, 0, "issuer",
		    "the issuers cannot be used: %s; check their certificates",
		    err_text(e));
	for (size_t k = 0; e == ERR_OK && k < n; k++)
		draft_check_responders(d, at[k], issuers_at(d->conf->issuers, k));
	return e != ERR_NOMEM;
}

static bool make_issuers(struct draft *d)
{
	size_t n = d->conf->issuer_n;
	struct issuer_spec *spec = calloc(n + 1, sizeof *spec);
	size_t *at = calloc(n + 1, sizeof *at);
	bool ok = spec != NULL && at != NULL && build_issuers(d, spec, at);

	free(spec);
	free(at);
	return ok;
}

/* Loading. */

static bool fill_issuers(struct draft *d)
{
	struct conf *c = d->conf;
	size_t n = d->settings->issuer_n;

	c->issuer = calloc(n + 1, sizeof *c->issuer);
	d->ca = calloc(n + 1, sizeof *d->ca);
	d->responder = calloc(n + 1, sizeof *d->responder);
	d->lists = calloc(n + 1, sizeof *d->lists);
	if (c->issuer == NULL || d->ca == NULL || d->responder == NULL ||
	    d->lists == NULL)
		return false;
	for (size_t i = 0; i < n; i++) {
		struct group *g = d->settings->issuer[i];
		struct conf_issuer *is = &c->issuer[i];

		c->issuer_n++;
		is->name = strdup(g->name != NULL ? g->name : "");
		is->file = strdup(g->file);
		is->line = g->line;
		if (is->name == NULL || is->file == NULL ||
		    !values_apply(is, SCOPE_ISSUER, g, d->report))
			return false;
	}
	return true;
}

static bool fill_watchlists(struct draft *d)
{
	struct conf *c = d->conf;
	size_t n = d->settings->watchlist_n;

	c->watchlist = calloc(n + 1, sizeof *c->watchlist);
	if (c->watchlist == NULL)
		return false;
	for (size_t i = 0; i < n; i++) {
		struct group *g = d->settings->watchlist[i];
		struct conf_watchlist *w = &c->watchlist[i];

		c->watchlist_n++;
		w->name = strdup(g->name != NULL ? g->name : "");
		if (w->name == NULL || !values_apply(w, SCOPE_WATCHLIST, g, d->report))
			return false;
	}
	return true;
}

static bool fill_tokens(struct draft *d)
{
	struct conf *c = d->conf;
	size_t n = d->settings->token_n;

	c->token = calloc(n + 1, sizeof *c->token);
	if (c->token == NULL)
		return false;
	for (size_t i = 0; i < n; i++) {
		struct group *g = d->settings->token[i];
		struct conf_token *t = &c->token[i];

		c->token_n++;
		t->name = strdup(g->name != NULL ? g->name : "");
		if (t->name == NULL || !values_apply(t, SCOPE_TOKEN, g, d->report))
			return false;
	}
	return true;
}

static bool build(struct draft *d)
{
	return values_apply(d->conf, SCOPE_GLOBAL, &d->settings->global, d->report) &&
	       fill_issuers(d) && fill_watchlists(d) && fill_tokens(d) &&
	       draft_check(d) && make_issuers(d) && make_paths(d->conf) &&
	       make_mirrors(d->conf);
}

static void draft_free(struct draft *d)
{
	for (size_t i = 0; d->ca != NULL && i < d->settings->issuer_n; i++)
		certificates_free(&d->ca[i]);
	for (size_t i = 0; d->responder != NULL && i < d->settings->issuer_n; i++)
		certificates_free(&d->responder[i]);
	for (size_t i = 0; d->lists != NULL && i < d->settings->issuer_n; i++)
		crl_lists_free(&d->lists[i]);
	free(d->ca);
	free(d->responder);
	free(d->lists);
	settings_free(d->settings);
}

static struct conf *load(
    const char *path, const char *base_text, bool trial, struct conf_errors *errors)
{
	struct report report = {.errors = errors};
	struct settings settings;
	struct draft d = {.settings = &settings, .report = &report, .trial = trial};
	struct conf *c;

	*errors = (struct conf_errors){0};
	c = d.conf = calloc(1, sizeof *c);
	if (!settings_read(&settings, path, base_text, &report) || c == NULL ||
	    !build(&d))
		report.nomem = true;
	if (report.nomem)
		report_error(&report, path, 0, NULL, "out of memory; try again");
	report_finish(&report);
	errors->log_format = c != NULL ? c->log_format : LOG_FORMAT_LOGFMT;
	draft_free(&d);
	if (report_is_clean(&report))
		return c;
	conf_free(c);
	return NULL;
}

struct conf *conf_load(
    const char *path, const char *base_text, struct conf_errors *errors)
{
	return load(path, base_text, false, errors);
}

struct conf *conf_try(const char *path, struct conf_errors *errors)
{
	return load(path, NULL, true, errors);
}

void conf_free(struct conf *c)
{
	if (c == NULL)
		return;
	issuers_free(c->issuers);
	mac_keys_free(c->mac_keys);
	free(c->server_cas);
	SSL_CTX_free(c->api_tls);
	free(c->allowed);
	free(c->webhook_allowed);
	free(c->webhook_retry_ms);
	for (size_t i = 0; i < c->issuer_n; i++) {
		values_free(&c->issuer[i], SCOPE_ISSUER);
		free(c->issuer[i].name);
		free(c->issuer[i].file);
	}
	free(c->issuer);
	for (size_t i = 0; i < c->watchlist_n; i++) {
		values_free(&c->watchlist[i], SCOPE_WATCHLIST);
		free(c->watchlist[i].name);
	}
	free(c->watchlist);
	for (size_t i = 0; i < c->token_n; i++) {
		values_free(&c->token[i], SCOPE_TOKEN);
		free(c->token[i].name);
	}
	free(c->token);
	for (size_t i = 0; i < c->path_n; i++)
		free(c->path[i]);
	free(c->path);
	for (size_t i = 0; i < c->authority_n; i++)
		free(c->authority[i].host);
	free(c->authority);
	for (size_t i = 0; i < c->mirror_n; i++)
		free(c->mirror[i].host);
	free(c->mirror);
	values_free(c, SCOPE_GLOBAL);
	free(c);
}

const struct conf_watchlist *conf_watchlist_named(const struct conf *c, const char *name)
{
	for (size_t i = 0; i < c->watchlist_n; i++)
		if (strcmp(c->watchlist[i].name, name) == 0)
			return &c->watchlist[i];
	return NULL;
}

int conf_make_directory(const char *path)
{
	char *copy = strdup(path);
	struct stat st;
	int rc = 0;

	if (copy == NULL)
		return -1;
	if (*copy == '\0') {
		errno = ENOENT;
		rc = -1;
	}
	for (char *at = copy + 1; rc == 0; at++) {
		char end = *at;

		if (end != '/' && end != '\0')
			continue;
		*at = '\0';
		if (mkdir(copy, 0700) < 0 && errno != EEXIST)
			rc = -1;
		*at = end;
		if (end == '\0')
			break;
	}
	free(copy);
	if (rc == 0 && stat(path, &st) == 0 && !S_ISDIR(st.st_mode)) {
		errno = ENOTDIR;
		rc = -1;
	}
	return rc;
}
