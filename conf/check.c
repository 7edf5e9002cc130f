/* One check for each thing that can be wrong, each with its place and remedy.  All of
 * them run, so that one load names every mistake. */
#include "conf/check.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/stat.h>

#include "cache/base/name.h"
#include "cache/base/secret.h"
#include "cache/base/utf8.h"
#include "cache/ocsp/responder.h"
#include "conf/address.h"
#include "conf/fault.h"
#include "conf/values.h"

/* No CA of the public web may keep an answer alive for longer (CA/Browser Forum BR
 * 4.9.10), and one without nextUpdate deserves no more. */
#define WITHOUT_NEXT_UPDATE_MIN_MS INT64_C(1000)
#define WITHOUT_NEXT_UPDATE_MAX_MS INT64_C(864000000)

/* In "unix:PATH", "lmdb:DIR" and "redis+unix://PATH", make the path absolute against the
 * file that names it. */
static bool make_absolute(const struct group *g, enum option_id id, char **text)
{
	const char *path = embedded_path(*text);
	char *absolute, *made = NULL;

	if (path == NULL || *path == '\0' || *path == '/')
		return true;
	absolute = path_beside(setting_of(g, id)->file, path);
	if (absolute != NULL &&
	    asprintf(&made, "%.*s%s", (int)(path - *text), *text, absolute) < 0)
		made = NULL;
	free(absolute);
	if (made == NULL)
		return false;
	free(*text);
	*text = made;
	return true;
}

/* Listeners. */

static const char *check_listener(const char *text)
{
	struct address a;
	const char *why;

	if (strncmp(text, "unix:", 5) == 0)
		return socket_path_check(text + 5);
	why = address_parse(text, &a);
	if (why == NULL && !address_is_numeric(&a))
		why = "names a host, and names are not looked up to listen; write an "
		      "address, like 0.0.0.0:PORT or [::]:PORT";
	return why;
}

static bool check_listen(const struct draft *d)
{
	const struct group *g = &d->settings->global;
	struct conf *c = d->conf;

	if (is_refused(g, OPTION_listen))
		return true;
	if (c->listen_n == 0)
		fault(d, g, OPTION_listen, 0,
		    "names no address; write at least one, like \"127.0.0.1:8080\"");
	if (c->listen_n > CONF_LISTEN_MAX)
		fault(d, g, OPTION_listen, CONF_LISTEN_MAX,
		    "names more than %d addresses; write fewer", CONF_LISTEN_MAX);
	for (size_t i = 0; i < c->listen_n; i++) {
		const char *why;

		if (!make_absolute(g, OPTION_listen, &c->listen[i]))
			return false;
		why = check_listener(c->listen[i]);
		if (why != NULL)
			fault_value(d, g, OPTION_listen, i, c->listen[i], why);
		else if (first_equal(c->listen, i) < i)
			fault_value(d, g, OPTION_listen, i, c->listen[i], TWICE);
	}
	return true;
}

/* One address of the API. */
static void check_api_address(const struct draft *d, size_t n)
{
	const struct group *g = &d->settings->global;
	const struct conf *c = d->conf;
	const char *why = check_listener(c->api_listen[n]);

	if (why == NULL && first_equal(c->api_listen, n) < n)
		why = TWICE;
	for (size_t i = 0; why == NULL && i < c->listen_n; i++)
		if (strcmp(c->listen[i], c->api_listen[n]) == 0)
			why = "is an address of listen too; choose another port";
	if (why != NULL)
		fault_value(d, g, OPTION_api_listen, n, c->api_listen[n], why);
}

static bool check_api_listen(const struct draft *d)
{
	const struct group *g = &d->settings->global;
	struct conf *c = d->conf;

	if (is_refused(g, OPTION_api_listen))
		return true;
	if (c->api_listen_n > CONF_API_LISTEN_MAX)
		fault(d, g, OPTION_api_listen, CONF_API_LISTEN_MAX,
		    "names more than %d addresses; write fewer", CONF_API_LISTEN_MAX);
	for (size_t i = 0; i < c->api_listen_n; i++) {
		if (!make_absolute(g, OPTION_api_listen, &c->api_listen[i]))
			return false;
		check_api_address(d, i);
	}
	return true;
}

static bool check_ocsp_path(const struct draft *d)
{
	const struct group *g = &d->settings->global;

	for (size_t i = 0; !is_refused(g, OPTION_ocsp_path) && i < d->conf->ocsp_path_n;
	     i++) {
		const char *why;
		char *path = path_normal(d->conf->ocsp_path[i], &why);

		if (path == NULL && why == NULL)
			return false;
		if (why != NULL)
			fault_value(
			    d, g, OPTION_ocsp_path, i, d->conf->ocsp_path[i], why);
		else if (first_equal(d->conf->ocsp_path, i) < i)
			fault_value(
			    d, g, OPTION_ocsp_path, i, d->conf->ocsp_path[i], TWICE);
		free(path);
	}
	return true;
}

/* Stores. */

static bool check_store(const struct draft *d)
{
	const struct group *g = &d->settings->global;
	const char *why;

	if (is_refused(g, OPTION_store))
		return true;
	if (!make_absolute(g, OPTION_store, &d->conf->store))
		return false;
	why = store_url_check(d->conf->store);
	if (why != NULL)
		fault_value(d, g, OPTION_store, 0, d->conf->store, why);
	return true;
}

static void check_prefix(const struct draft *d)
{
	const struct group *g = &d->settings->global;
	const char *prefix = d->conf->store_prefix;

	if (!is_refused(g, OPTION_store_prefix) && strpbrk(prefix, "{}") != NULL)
		fault(d, g, OPTION_store_prefix, 0,
		    "\"%s\" has a brace, and what stands in braces says in which slot of "
		    "a Redis Cluster a key is; leave { and } out",
		    prefix);
}

static void check_key_file(const struct draft *d)
{
	const struct group *g = &d->settings->global;
	const char *path = d->conf->store_key_file;
	char why[512];
	struct stat st;
	enum err e;

	if (is_refused(g, OPTION_store_key_file) || *path == '\0')
		return;
	if (stat(path, &st) == 0 && !S_ISREG(st.st_mode)) {
		fault(d, g, OPTION_store_key_file, 0,
		    "%s is no regular file; name one that is", path);
		return;
	}
	e = mac_keys_load(&d->conf->mac_keys, path, why, sizeof why);
	if (e == ERR_NOMEM)
		d->report->nomem = true;
	else if (e)
		fault(d, g, OPTION_store_key_file, 0,
		    "%s; write one line of 64 hexadecimal digits for each key, as "
		    "\"openssl rand -hex 32\" does",
		    why);
	else if ((st.st_mode & (S_IROTH | S_IWOTH)) != 0)
		advise(d, g, OPTION_store_key_file,
		    "is open to every user of this machine, and whoever knows a key can "
		    "forge answers; take that away with chmod o-rw");
}

static void check_state_directory(const struct draft *d)
{
	if (!is_refused(&d->settings->global, OPTION_state_directory) &&
	    *d->conf->state_directory == '\0')
		fault(d, &d->settings->global, OPTION_state_directory, 0,
		    "names no directory; write one that the daemon may write to");
}

/* Options against each other. */

static void check_order(const struct draft *d, enum option_id low, enum option_id high)
{
	const struct group *g = &d->settings->global;
	const struct option *lo = &option_table[low], *ho = &option_table[high];
	int64_t l = *option_number(lo, d->conf), h = *option_number(ho, d->conf);
	char ltext[VALUE_TEXT_MAX], htext[VALUE_TEXT_MAX];

	if (l > h && !is_refused(g, low) && !is_refused(g, high))
		fault(d, g, is_given(g, low) ? low : high, 0,
		    "%s is %s and %s is %s; the first may not be larger", lo->name,
		    value_text(lo->type, l, ltext), ho->name,
		    value_text(ho->type, h, htext));
}

static void check_lease(const struct draft *d)
{
	const struct group *g = &d->settings->global;
	const struct conf *c = d->conf;

	if (strncmp(c->store, "redis", 5) == 0 &&
	    c->lease_time_ms <= c->upstream_timeout_ms)
		advise(d, g,
		    is_given(g, OPTION_lease_time) ? OPTION_lease_time
						   : OPTION_upstream_timeout,
		    "lease-time is not longer than upstream-timeout, so that another "
		    "node may fetch what this one still waits for; write a longer "
		    "lease-time");
}

/* Issuers. */

/* first: the first issuer of this name. */
static void check_name(const struct draft *d, size_t i, const struct group *first)
{
	const struct group *g = d->settings->issuer[i];

	if (g->name == NULL)
		return;
	if (!name_is_plain(bytes_of(g->name, strlen(g->name)))) {
		report_error(d->report, g->file, g->line, "issuer",
		    "\"%.80s\" is no name; write 1 to 63 of a-z, 0-9, '.', '_' and '-'",
		    g->name);
		return;
	}
	if (first != g)
		report_error(d->report, g->file, g->line, "issuer",
		    "\"%s\" is the name of another one, at %s:%d; choose another name, "
		    "or "
		    "put both into one",
		    g->name, first->file, first->line);
}

static const char *name_of(const struct group *g)
{
	return g->name != NULL ? g->name : "";
}

static bool load_all(const struct draft *d, const struct group *g, enum option_id id,
    enum certificate_use use, char *const *path, size_t n, struct certificates *out)
{
	time_t now = time(NULL);

	for (size_t k = 0; k < n; k++) {
		int line;
		const char *file = place(g, id, k, &line);

		if (!certificates_load(out, use, path[k], now, d->report, file, line))
			return false;
	}
	return true;
}

static bool check_certificates(const struct draft *d, size_t i)
{
	const struct group *g = d->settings->issuer[i];
	const struct conf_issuer *is = &d->conf->issuer[i];

	if (!is_refused(g, OPTION_certificate) && is->certificate_n == 0)
		fault(d, g, OPTION_certificate, 0,
		    "issuer \"%s\" has none; write certificate = \"FILE\" with the CA's "
		    "certificate",
		    name_of(g));
	return load_all(d, g, OPTION_certificate, CERTIFICATE_CA, is->certificate,
		   is->certificate_n, &d->ca[i]) &&
	       load_all(d, g, OPTION_responder_certificate, CERTIFICATE_RESPONDER,
		   is->responder_certificate, is->responder_certificate_n,
		   &d->responder[i]);
}

static bool is_ca_of(const struct issuer *is, const uint8_t sha256[32])
{
	for (size_t n = 0; n < is->ca_n; n++)
		if (memcmp(is->ca[n].sha256, sha256, 32) == 0)
			return true;
	return false;
}

/* That one is out of date was said when it was read. */
static const char *why_no_responder(enum err e, enum profile profile)
{
	if (e == ERR_OK || e == ERR_RESP_VALIDITY)
		return NULL;
	return profile == PROFILE_PUBLIC
		   ? "profile \"public\" takes only the CA's own delegates with strong "
		     "keys; write profile = \"private\", or name another certificate"
		   : "RSA needs 2048 bits, EC 224; let the responder have a stronger key";
}

void draft_check_responders(const struct draft *d, size_t i, const struct issuer *is)
{
	const struct group *g = d->settings->issuer[i];
	const struct certificates *c = &d->responder[i];
	const char *file = setting_of(g, OPTION_responder_certificate)->file, *why;
	int64_t now = time(NULL);

	for (size_t n = 0; n < c->n; n++) {
		const char *option = option_table[OPTION_responder_certificate].name;
		enum err e = responder_named_check(is, n, now);
		char name[256];

		X509_NAME_oneline(X509_get_subject_name(c->x[n]), name, sizeof name);
		why = why_no_responder(e, is->rules.profile);
		if (is_ca_of(is, is->responder[n].sha256))
			report_warning(d->report, file, c->line[n], option,
			    "%s is the CA itself, which may sign anyway; take it out",
			    name);
		else if (why != NULL)
			report_error(d->report, file, c->line[n], option,
			    "%s cannot be used (%s): %s", name, err_text(e), why);
	}
}

static void check_responders(const struct draft *d, size_t i)
{
	const struct group *g = d->settings->issuer[i];
	const struct conf_issuer *is = &d->conf->issuer[i];

	if (is_refused(g, OPTION_ocsp))
		return;
	if (is->ocsp_n == 0 && is->crl_n == 0 && !is_refused(g, OPTION_crl))
		fault(d, g, OPTION_ocsp, 0,
		    "issuer \"%s\" has no way to get an answer; write ocsp = \"URL\" of "
		    "the CA's responder, or crl = \"URL\" of its revocation list",
		    name_of(g));
	if (is->ocsp_n == 0 && is->crl_n > 0)
		advise(d, g, OPTION_crl,
		    "is all that there is: statuses and changes are told, but OCSP "
		    "requests "
		    "get tryLater, since answers from a list come in a later version; "
		    "write "
		    "ocsp = \"URL\" if the CA has a responder");
	for (size_t k = 0; k < is->ocsp_n; k++) {
		struct url u;
		const char *why = url_parse(is->ocsp[k], &u);
		const char *path_why = NULL;

		if (why == NULL) {
			free(url_path_normal(&u, &path_why));
			why = path_why;
		}
		if (why != NULL)
			fault_value(d, g, OPTION_ocsp, k, is->ocsp[k], why);
		else if (first_equal(is->ocsp, k) < k)
			fault_value(d, g, OPTION_ocsp, k, is->ocsp[k], TWICE);
	}
}

static void check_ari(const struct draft *d, size_t i)
{
	const struct group *g = d->settings->issuer[i];
	const char *ari = d->conf->issuer[i].ari, *why;
	struct url u;

	if (is_refused(g, OPTION_ari) || *ari == '\0')
		return;
	why = url_parse(ari, &u);
	if (why != NULL)
		fault_value(d, g, OPTION_ari, 0, ari, why);
	else if (strncasecmp(ari, "https:", 6) != 0)
		advise(d, g, OPTION_ari,
		    "is http: whoever is between can move windows, and make notices of "
		    "it; write https");
}

/* A serial is of the CA that issued it: what is said of one CA's must not count for
 * another's of the same number (RFC 5280 section 4.1.2.2). */
static void check_names(const struct draft *d, size_t i)
{
	const struct certificates *ca = &d->ca[i];

	for (size_t k = 1; k < ca->n; k++)
		if (X509_NAME_cmp(X509_get_subject_name(ca->x[0]),
			X509_get_subject_name(ca->x[k])) != 0) {
			fault(d, d->settings->issuer[i], OPTION_certificate, 0,
			    "names CAs of different names, and what is said of one of "
			    "them would count for the serials of all; write an issuer "
			    "section for each CA");
			return;
		}
}

bool without_next_update_parse(const char *text, int64_t *s, char *why, size_t why_n)
{
	int64_t ms;

	*s = 0;
	if (strcmp(text, "refuse") == 0)
		return true;
	if (!value_duration(text, &ms, why, why_n))
		return false;
	if (ms < WITHOUT_NEXT_UPDATE_MIN_MS || ms > WITHOUT_NEXT_UPDATE_MAX_MS) {
		snprintf(why, why_n, "%s is out of range; write \"refuse\", or 1s to 10d",
		    text);
		return false;
	}
	*s = ms / 1000;
	return true;
}

static void check_rules(const struct draft *d, size_t i)
{
	const struct group *g = d->settings->issuer[i];
	const struct conf_issuer *is = &d->conf->issuer[i];
	char why[256];
	int64_t s;

	if (!is_refused(g, OPTION_without_next_update) &&
	    !without_next_update_parse(is->without_next_update, &s, why, sizeof why))
		fault(d, g, OPTION_without_next_update, 0, "%s", why);
	if (is->profile == PROFILE_PUBLIC && is->allow_sha1_signatures)
		fault(d, g, OPTION_allow_sha1_signatures, 0,
		    "profile \"public\" refuses SHA-1 signatures; take this out, or "
		    "write profile = \"private\"");
}

/* The way to responders and lists. */

static void check_proxy(const struct draft *d)
{
	const struct group *g = &d->settings->global;
	const struct conf *c = d->conf;
	struct address proxy, ours;
	const char *why;

	if (is_refused(g, OPTION_upstream_proxy) || *c->upstream_proxy == '\0')
		return;
	why = proxy_url_parse(c->upstream_proxy, &proxy);
	if (why != NULL)
		fault_value(d, g, OPTION_upstream_proxy, 0, c->upstream_proxy, why);
	for (size_t i = 0; why == NULL && i < c->listen_n; i++)
		if (address_parse(c->listen[i], &ours) == NULL &&
		    ours.port == proxy.port && strcmp(ours.host, proxy.host) == 0)
			fault_value(d, g, OPTION_upstream_proxy, 0, c->upstream_proxy,
			    "is where we listen ourselves; name the proxy");
}

static bool is_url(const char *text)
{
	return strstr(text, "://") != NULL;
}

/* A path is made absolute.  False: out of memory. */
static bool check_records(const struct draft *d, size_t i)
{
	const struct group *g = &d->settings->global;
	char **place = &d->conf->ccadb[i];
	struct url u;
	const char *why = is_url(*place) ? url_parse(*place, &u) : NULL;

	if (!is_url(*place) && **place != '/') {
		char *path = path_beside(setting_of(g, OPTION_ccadb)->file, *place);

		if (path == NULL)
			return false;
		free(*place);
		*place = path;
	}
	if (why != NULL)
		fault_value(d, g, OPTION_ccadb, i, *place, why);
	else if (first_equal(d->conf->ccadb, i) < i)
		fault_value(d, g, OPTION_ccadb, i, *place, TWICE);
	return true;
}

/* Does the issuer ask for them?  Where there are none, that is a mistake. */
static bool asks_for_records(const struct draft *d, size_t i)
{
	const struct conf_issuer *is = &d->conf->issuer[i];
	size_t k = 0;

	while (k < is->crl_n && strcmp(is->crl[k], "ccadb") != 0)
		k++;
	if (k < is->crl_n && d->conf->ccadb_n == 0 &&
	    !is_refused(&d->settings->global, OPTION_ccadb))
		fault(d, d->settings->issuer[i], OPTION_crl, k,
		    "\"ccadb\" needs to be told where its records are; write ccadb = "
		    "\"URL "
		    "or file\" outside of issuers");
	return k < is->crl_n;
}

static bool check_ccadb(const struct draft *d)
{
	bool asked = false;

	for (size_t i = 0; i < d->conf->ccadb_n; i++)
		if (!check_records(d, i))
			return false;
	for (size_t i = 0; i < d->conf->issuer_n; i++)
		asked = asks_for_records(d, i) || asked;
	if (d->conf->ccadb_n > 0 && !asked)
		advise(d, &d->settings->global, OPTION_ccadb,
		    "no issuer has crl = \"ccadb\": it is not read");
	return true;
}

static bool check_server_cas(const struct draft *d)
{
	const struct group *g = &d->settings->global;
	struct conf *c = d->conf;
	struct certificates cas = {0};
	bool ok = true;

	if (is_refused(g, OPTION_upstream_tls_ca) || *c->upstream_tls_ca == '\0')
		return true;
	ok = load_all(d, g, OPTION_upstream_tls_ca, CERTIFICATE_SERVER_CA,
	    &c->upstream_tls_ca, 1, &cas);
	if (ok && cas.n > 0) {
		c->server_cas = certificates_pem(&cas, &c->server_cas_n);
		ok = c->server_cas != NULL;
	}
	certificates_free(&cas);
	return ok;
}

struct name {
	const struct group *group;
	size_t issuer;
};

static int cmp_names(const void *a, const void *b)
{
	const struct name *x = a, *y = b;
	int order = strcmp(name_of(x->group), name_of(y->group));

	return order != 0 ? order : (x->issuer > y->issuer) - (x->issuer < y->issuer);
}

/* Of each issuer the first one with its name, by sorting: there may be thousands. */
static const struct group **first_named(const struct draft *d)
{
	size_t n = d->conf->issuer_n;
	struct name *names = calloc(n + 1, sizeof *names);
	const struct group **first = calloc(n + 1, sizeof *first);

	if (names == NULL || first == NULL) {
		free(names);
		free(first);
		return NULL;
	}
	for (size_t i = 0; i < n; i++)
		names[i] = (struct name){d->settings->issuer[i], i};
	qsort(names, n, sizeof *names, cmp_names);
	for (size_t i = 0; i < n; i++) {
		bool same = i > 0 && strcmp(name_of(names[i].group),
					 name_of(names[i - 1].group)) == 0;

		first[names[i].issuer] =
		    same ? first[names[i - 1].issuer] : names[i].group;
	}
	free(names);
	return first;
}

static bool check_names_of_all(const struct draft *d)
{
	const struct group **first = first_named(d);

	for (size_t i = 0; first != NULL && i < d->conf->issuer_n; i++)
		check_name(d, i, first[i]);
	free(first);
	return first != NULL;
}

static bool check_issuers(struct draft *d)
{
	if (!check_names_of_all(d))
		return false;
	for (size_t i = 0; i < d->conf->issuer_n; i++) {
		if (!check_certificates(d, i))
			return false;
		check_names(d, i);
		check_responders(d, i);
		check_ari(d, i);
		if (!draft_check_lists(d, i))
			return false;
		check_rules(d, i);
	}
	if (d->conf->issuer_n == 0 && !d->settings->incomplete)
		report_error(d->report, d->settings->global.file, 0, NULL,
		    "no issuer is configured; add issuer \"NAME\" { certificate = "
		    "\"FILE\" ocsp = \"URL\" }");
	return true;
}

/* Watchlists of files. */

#define LABELS_MAX                                                                       \
	4096 /* octets of all labels: names have the rest of an entry's room             \
	      */

static void check_watchlist_name(const struct draft *d, size_t i)
{
	const struct group *g = d->settings->watchlist[i];

	if (g->name == NULL)
		return;
	if (!name_is_plain(bytes_of(g->name, strlen(g->name)))) {
		report_error(d->report, g->file, g->line, "watchlist",
		    "\"%.80s\" is no name; write 1 to 63 of a-z, 0-9, '.', '_' and '-'",
		    g->name);
		return;
	}
	for (size_t k = 0; k < i; k++)
		if (strcmp(name_of(d->settings->watchlist[k]), g->name) == 0) {
			report_error(d->report, g->file, g->line, "watchlist",
			    "\"%s\" is the name of another one, at %s:%d; choose another "
			    "name, or put both into one",
			    g->name, d->settings->watchlist[k]->file,
			    d->settings->watchlist[k]->line);
			return;
		}
}

static void check_labels(const struct draft *d, const struct group *g, size_t i)
{
	const struct conf_watchlist *w = &d->conf->watchlist[i];
	size_t n = 0;

	for (size_t k = 0; k < w->labels_n; k++) {
		n += strlen(w->labels[k]);
		if (!utf8_is_valid(bytes_of(w->labels[k], strlen(w->labels[k]))))
			fault(d, g, OPTION_labels, k,
			    "has one that is no UTF-8; write it in UTF-8");
		if (*w->labels[k] == '\0')
			fault(d, g, OPTION_labels, k, "has an empty one; take it out");
	}
	if (n > LABELS_MAX)
		fault(d, g, OPTION_labels, 0,
		    "are longer than %d octets together; write shorter ones", LABELS_MAX);
}

static void check_watchlists(const struct draft *d)
{
	for (size_t i = 0; i < d->conf->watchlist_n; i++) {
		const struct group *g = d->settings->watchlist[i];
		const struct conf_watchlist *w = &d->conf->watchlist[i];

		check_watchlist_name(d, i);
		if (!is_refused(g, OPTION_labels))
			check_labels(d, g, i);
		if (is_refused(g, OPTION_certificates))
			continue;
		if (w->certificates_n == 0)
			fault(d, g, OPTION_certificates, 0,
			    "watchlist \"%s\" has none; write certificates = \"FOLDER\", "
			    "or "
			    "a file or pattern",
			    name_of(g));
		for (size_t k = 0; k < w->certificates_n; k++)
			if (first_equal(w->certificates, k) < k)
				fault_value(d, g, OPTION_certificates, k,
				    w->certificates[k], TWICE);
	}
}

bool draft_check(struct draft *d)
{
	if (!check_listen(d) || !check_api_listen(d) || !check_ocsp_path(d) ||
	    !check_store(d) || !check_server_cas(d) || !draft_check_allowed(d) ||
	    !draft_check_webhooks(d))
		return false;
	check_proxy(d);
	check_prefix(d);
	check_key_file(d);
	check_state_directory(d);
	draft_check_folders(d);
	check_order(d, OPTION_refresh_min, OPTION_refresh_max);
	check_order(d, OPTION_backoff_initial, OPTION_backoff_max);
	check_order(d, OPTION_ari_interval_min, OPTION_ari_interval_max);
	check_lease(d);
	check_watchlists(d);
	draft_check_tokens(d);
	if (!draft_check_api_tls(d))
		return false;
	return check_ccadb(d) && check_issuers(d);
}
