/* tokens.c - who may call the API: names, hashes, rights and what they are for. */
#include "cache/base/name.h"
#include "conf/fault.h"

enum right conf_right(const char *word)
{
	static const struct {
		const char *word;
		enum right right;
	} all[] = {{"read", RIGHT_READ}, {"subscribe", RIGHT_SUBSCRIBE},
	    {"manage", RIGHT_MANAGE}, {"operate", RIGHT_OPERATE}};

	for (size_t i = 0; i < sizeof all / sizeof all[0]; i++)
		if (strcmp(word, all[i].word) == 0)
			return all[i].right;
	return 0;
}

static void check_name(const struct draft *d, size_t t)
{
	const struct group *g = d->settings->token[t];

	if (g->name == NULL)
		return;
	if (!name_is_plain(bytes_of(g->name, strlen(g->name)))) {
		report_error(d->report, g->file, g->line, "token",
		    "\"%.80s\" is no name; write 1 to 63 of a-z, 0-9, '.', '_' and '-'",
		    g->name);
		return;
	}
	for (size_t k = 0; k < t; k++)
		if (strcmp(d->conf->token[k].name, g->name) == 0) {
			report_error(d->report, g->file, g->line, "token",
			    "\"%s\" is the name of another one, at %s:%d; choose another "
			    "name",
			    g->name, d->settings->token[k]->file,
			    d->settings->token[k]->line);
			return;
		}
}

/* The digits are not repeated in what is said: they may be a token that somebody put
 * here instead of its hash. */
static void check_hash(const struct draft *d, size_t t)
{
	const struct group *g = d->settings->token[t];
	struct conf_token *token = &d->conf->token[t];
	enum option_id id;
	const char *text;

	token->by_certificate = *token->client_certificate != '\0';
	id = token->by_certificate ? OPTION_client_certificate : OPTION_sha256;
	text = token->by_certificate ? token->client_certificate : token->sha256;
	if (is_refused(g, OPTION_sha256) || is_refused(g, OPTION_client_certificate))
		return;
	if (token->by_certificate == (*token->sha256 != '\0')) {
		fault(d, g, OPTION_sha256, 0,
		    "is what a token is known by; write it or client-certificate");
		return;
	}
	if (strlen(text) != 64 || !hex_decode(text, sizeof token->hash, token->hash)) {
		fault(d, g, id, 0,
		    token->by_certificate
			? "is not 64 hexadecimal digits; write the SHA-256 of the "
			  "certificate's DER"
			: "is not 64 hexadecimal digits; write the SHA-256 of the token, "
			  "as "
			  "\"ocspctl token\" prints it");
		return;
	}
	for (size_t k = 0; k < t; k++)
		if (d->conf->token[k].by_certificate == token->by_certificate &&
		    memcmp(d->conf->token[k].hash, token->hash, sizeof token->hash) == 0)
			fault(d, g, id, 0, "is that of another token; make one for each");
}

static void check_rights(const struct draft *d, size_t t)
{
	const struct group *g = d->settings->token[t];
	struct conf_token *token = &d->conf->token[t];

	if (is_refused(g, OPTION_rights))
		return;
	if (token->rights_n == 0)
		fault(d, g, OPTION_rights, 0,
		    "are none; write some of \"read\", \"subscribe\", \"manage\" and "
		    "\"operate\", or take the token out");
	for (size_t i = 0; i < token->rights_n; i++) {
		enum right right = conf_right(token->rights[i]);

		if (right == 0)
			fault_value(d, g, OPTION_rights, i, token->rights[i],
			    "is no right; there are read, subscribe, manage and operate");
		token->rights_set |= right;
	}
}

static bool has_issuer(const struct conf *c, const char *name)
{
	for (size_t i = 0; i < c->issuer_n; i++)
		if (strcmp(c->issuer[i].name, name) == 0)
			return true;
	return false;
}

/* A watchlist may come later, through the API; an issuer stands in the configuration. */
static void check_reach(const struct draft *d, size_t t)
{
	const struct group *g = d->settings->token[t];
	const struct conf_token *token = &d->conf->token[t];

	for (size_t i = 0; i < token->issuers_n; i++)
		if (!has_issuer(d->conf, token->issuers[i]))
			fault_value(d, g, OPTION_issuers, i, token->issuers[i],
			    "is no issuer that is configured; correct it, or take it "
			    "out");
	for (size_t i = 0; i < token->watchlists_n; i++)
		if (!name_is_plain(
			bytes_of(token->watchlists[i], strlen(token->watchlists[i]))))
			fault_value(d, g, OPTION_watchlists, i, token->watchlists[i],
			    "is no name of a watchlist; write 1 to 63 of a-z, 0-9, '.', "
			    "'_' and '-'");
}

void draft_check_tokens(const struct draft *d)
{
	for (size_t t = 0; t < d->conf->token_n; t++) {
		check_name(d, t);
		check_hash(d, t);
		check_rights(d, t);
		check_reach(d, t);
	}
}
