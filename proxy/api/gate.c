/* gate.c - a token, or none. */
#include "proxy/api/gate.h"

#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>

#include "cache/base/err.h"
#include "proxy/api/api_path.h"
#include "proxy/api/logins.h"
#include "proxy/base/clock.h"
#include "proxy/base/log.h"

#define REALM "WWW-Authenticate: Bearer realm=\"ocspcached\""

struct gate {
	struct access_set tokens;
	struct logins *logins;
	struct counters *counters;
	struct access nobody; /* who may do nothing */
};

struct gate *gate_new(const struct conf *c, struct counters *counters)
{
	struct gate *g = calloc(1, sizeof *g);

	if (g == NULL)
		return NULL;
	g->counters = counters;
	atomic_init(&g->nobody.refs, 1);
	g->logins = logins_new();
	if (g->logins != NULL && access_set_load(&g->tokens, c))
		return g;
	gate_free(g);
	return NULL;
}

void gate_free(struct gate *g)
{
	if (g == NULL)
		return;
	access_set_clear(&g->tokens);
	logins_free(g->logins);
	free(g);
}

void gate_reload(struct gate *g, const struct conf *c)
{
	if (!access_set_load(&g->tokens, c))
		log_error("tokens_not_loaded", "err=%s text=%s", err_label(ERR_NOMEM),
		    "the tokens before are in force; reload again");
}

bool gate_keeps(void *gate, const struct access *a)
{
	const struct gate *g = gate;

	return a == NULL ? g->tokens.n == 0 : access_set_has(&g->tokens, a);
}

static bool is_path(const struct http1_request *r, const char *path)
{
	struct bytes rest;

	return path_begins(r->path, path, &rest) && rest.n == 0;
}

static void refuse(struct gate *g, const struct gate_from *from, bool given,
    struct api_error *e, const char **more)
{
	char place[LOGIN_FROM_MAX];
	unsigned tell;
	bool slow;

	slow = logins_failed(g->logins, &from->peer, clock_mono_ms(), &tell);
	metrics_count(g->counters, M_LOGINS_FAILED);
	login_from(&from->peer, place);
	if (tell > 0)
		log_each(LOG_WARN, "login_failed", "from=%s token=%s times=%u", place,
		    given ? "unknown" : "none", tell);
	if (slow) {
		*more = "Retry-After: 1\r\n";
		api_fail(e, 429, "too_many_requests",
		    "too many requests without a good token from %s", place);
		return;
	}
	*more = given ? REALM ", error=\"invalid_token\"\r\n" : REALM "\r\n";
	api_fail(e, 401, "unauthorized",
	    "send a token that is configured: Authorization: Bearer TOKEN (ocspctl "
	    "--token-file)");
}

bool gate_admit(struct gate *g, const struct gate_from *from,
    const struct http1_request *r, struct access **who, struct api_error *e,
    const char **more)
{
	struct bytes token;
	bool given = r->authorization.n > 0;

	*more = NULL;
	*who = NULL;
	if (g->tokens.n == 0 && !from->outside)
		return true;
	if (access_bearer(r->authorization, &token))
		*who = access_set_find(&g->tokens, token);
	else if (!given && from->certificate != NULL)
		*who = access_set_shown(&g->tokens, from->certificate);
	if (*who == NULL && (is_path(r, "/healthz") || (!given && is_path(r, "/readyz"))))
		*who = &g->nobody;
	if (*who != NULL)
		return true;
	memset(e, 0, sizeof *e);
	refuse(g, from, given, e, more);
	return false;
}

void gate_audit(struct audit *out, const struct gate_from *from,
    const struct http1_request *r, const struct access *who, const char *detail)
{
	login_from(&from->peer, out->from);
	snprintf(out->token, sizeof out->token, "%s", who != NULL ? who->name : "");
	snprintf(out->call, sizeof out->call, "%.*s %.*s%s%s", (int)r->method_text.n,
	    (const char *)r->method_text.p,
	    r->path.n < sizeof out->call ? (int)r->path.n : (int)sizeof out->call,
	    (const char *)r->path.p, detail[0] != '\0' ? " " : "", detail);
}
