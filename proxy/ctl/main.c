/* main.c - ocspctl: one command, one or two calls of the API, an exit code. */
#include "proxy/ctl/args.h"

#include <curl/curl.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "proxy/ctl/discover.h"
#include "proxy/ctl/elements.h"
#include "proxy/ctl/incidents.h"
#include "proxy/ctl/inspect.h"
#include "proxy/ctl/make_token.h"
#include "proxy/ctl/run.h"
#include "proxy/ctl/show.h"
#include "proxy/ctl/watch.h"
#include "proxy/ctl/watchlists.h"
#include "proxy/ctl/webhooks.h"
#include "proxy/ctl/which.h"

/* Give an answer to its printer; the answer is handed over. */
static int finish(const struct run *run, struct reply *r,
    int (*show)(const struct show *s, const json_t *value),
    int (*code_of)(const json_t *value))
{
	int code = r->status == 200 ? code_of(r->body) : -1;

	if (code < 0)
		code = run_server_error(r);
	else if (run->args->json)
		run_print_json(run, r->body);
	else
		show(&run->show, r->body);
	json_decref(r->body);
	return code;
}

/* GET /v1/{what}/{issuer}/{serial} */
static int about_certificate(const struct run *run, const char *what, const char *issuer,
    const char *serial, int (*show)(const struct show *s, const json_t *value),
    int (*code_of)(const json_t *value))
{
	char *path = client_path(what, issuer, serial);
	struct reply r;
	int code;

	if (path == NULL) {
		fputs("ocspctl: out of memory\n", stderr);
		return EXIT_UNDETERMINED;
	}
	code = run_call(run, "GET", path, NULL, &r);
	free(path);
	return code != 0 ? code : finish(run, &r, show, code_of);
}

static int explain(const struct run *run)
{
	struct which w;
	int code;

	if (run->args->serial != NULL)
		return about_certificate(run, "explain", run->args->issuer,
		    run->args->serial, show_explain, code_explain);
	code = which(run, &w);
	return code != 0 ? code
			 : about_certificate(run, "explain", w.issuer, w.serial,
			       show_explain, code_explain);
}

static bool is_degraded(const json_t *ready)
{
	return json_array_size(json_object_get(ready, "degraded")) > 0;
}

/* Both answers in one: {"issuers":[...],"ready":...,...}. */
static int print_overview(const struct run *run, json_t *issuers, json_t *ready)
{
	int code = code_ready(ready);
	json_t *both;

	if (!run->args->json)
		return show_overview(&run->show, issuers, ready);
	if (code < 0 || !json_is_array(issuers))
		return -1;
	both = json_pack("{s:O}", "issuers", issuers);
	json_object_update(both, ready);
	run_print_json(run, both);
	json_decref(both);
	return code;
}

static int overview(const struct run *run)
{
	struct reply issuers, ready;
	int code = run_call(run, "GET", "/v1/issuers", NULL, &issuers);

	if (code != 0)
		return code;
	code = issuers.status == 200 ? run_call(run, "GET", "/readyz", NULL, &ready) : -1;
	if (code == 0) {
		code = print_overview(run, issuers.body, ready.body);
		if (code < 0)
			code = run_server_error(&ready);
		else if (code == EXIT_WELL && run->args->strict &&
			 is_degraded(ready.body))
			code = EXIT_UNDETERMINED;
		json_decref(ready.body);
	} else if (code < 0) {
		code = run_server_error(&issuers);
	}
	json_decref(issuers.body);
	return code;
}

/* GET /v1/latches. */

struct latches_shown {
	const struct run *run;
	struct elements elements;
	struct show_latches shown;
	size_t n;
};

static void on_latch(void *arg, const json_t *latch)
{
	struct latches_shown *l = arg;

	if (!l->run->args->json) {
		show_latch(&l->shown, latch);
	} else {
		fputs(l->n == 0 ? "[\n" : ",\n", l->run->show.out);
		json_dumpf(latch, l->run->show.out,
		    JSON_COMPACT | (l->run->show.terminal ? JSON_ENSURE_ASCII : 0));
	}
	l->n++;
}

static bool on_latch_bytes(void *arg, const char *p, size_t n)
{
	struct latches_shown *l = arg;

	return elements_feed(&l->elements, p, n, on_latch, l) &&
	       !ferror(l->run->show.out);
}

static int latches(const struct run *run)
{
	char *path = client_query("latches", "issuer", run->args->issuer);
	struct latches_shown l = {.run = run, .shown.show = &run->show};
	char why[512] = "out of memory";
	struct reply r = {0};
	bool whole;
	int e = -1;

	if (path != NULL)
		e = client_get(
		    run->client, path, on_latch_bytes, &l, &r, why, sizeof why);
	free(path);
	whole = elements_end(&l.elements);
	show_latches_end(&l.shown);
	if (e != 0)
		fprintf(stderr, "ocspctl: %s\n", why);
	if (e != 0)
		return EXIT_UNREACHABLE;
	if (r.status != 200 || !whole) {
		e = run_server_error(&r);
		json_decref(r.body);
		return e;
	}
	if (run->args->json)
		fputs(l.n == 0 ? "[]\n" : "\n]\n", run->show.out);
	return EXIT_WELL;
}

/* POST {"issuer"[,"serial"][,"accept_number"]} */
static int order(const struct run *run, const char *path, const char *done)
{
	json_t *body = json_pack("{s:s, s:s*, s:o*}", "issuer", run->args->issuer,
	    "serial", run->args->serial, "accept_number",
	    run->args->accept_number ? json_true() : NULL);
	struct reply r;
	int code;

	if (body == NULL) {
		fputs("ocspctl: an issuer's name and a serial are plain text\n", stderr);
		return EXIT_USAGE;
	}
	code = run_call(run, "POST", path, body, &r);
	json_decref(body);
	if (code != 0)
		return code;
	if (r.status / 100 != 2)
		code = run_server_error(&r);
	else if (!run->args->json)
		fprintf(run->show.out, "%s\n", done);
	json_decref(r.body);
	return code;
}

static int alarms(const struct run *run)
{
	struct reply r;
	int code = run_call(run, "GET", "/v1/alarms", NULL, &r);

	return code != 0 ? code : finish(run, &r, show_alarms, code_alarms);
}

static int run_command(const struct run *run)
{
	switch (run->args->command) {
	case COMMAND_ALARMS:
		return alarms(run);
	case COMMAND_FIND:
		return find(run);
	case COMMAND_WATCHLIST:
		return watchlist(run);
	case COMMAND_WEBHOOK:
		return webhook(run);
	case COMMAND_DISCOVER:
		return discover(run);
	case COMMAND_INCIDENT:
		return incident(run);
	case COMMAND_CHECK:
		return run->args->incident != NULL ? check_incident(run) : inspect(run);
	case COMMAND_STATUS:
		if (run->args->issuer == NULL)
			return overview(run);
		if (run->args->serial == NULL)
			return inspect(run);
		return about_certificate(run, "status", run->args->issuer,
		    run->args->serial, show_status, code_status);
	case COMMAND_EXPLAIN:
		return explain(run);
	case COMMAND_REFRESH:
		return order(run, "/v1/refresh", "refresh started");
	case COMMAND_PURGE:
		return order(run, "/v1/purge", "purged");
	case COMMAND_LATCHES:
		return latches(run);
	case COMMAND_TOKEN: /* before there is a client */
		break;
	case COMMAND_WATCH:
		return watch(run->client, run->args, &run->show);
	}
	abort();
}

int main(int argc, char **argv)
{
	const char *term = getenv("TERM"), *no_colour = getenv("NO_COLOR");
	struct args args;
	struct run run = {.args = &args, .show = {.out = stdout, .now = time(NULL)}};
	char why[512];
	int code;

	if (!args_read(&args, argc, argv, stdout, stderr, &code))
		return code;
	if (args.command == COMMAND_TOKEN)
		return make_token(&args, stdout, stderr);
	run.show.terminal = isatty(STDOUT_FILENO);
	run.show.colour = run.show.terminal && term != NULL &&
			  strcmp(term, "dumb") != 0 &&
			  (no_colour == NULL || no_colour[0] == '\0');
	if (curl_global_init(CURL_GLOBAL_DEFAULT) != CURLE_OK) {
		fputs("ocspctl: libcurl does not start\n", stderr);
		return EXIT_UNREACHABLE;
	}
	run.client = client_open(args.url, args.token_file, args.ca, why, sizeof why);
	if (run.client != NULL) {
		code = run_command(&run);
		client_close(run.client);
	} else {
		fprintf(stderr, "ocspctl: %s\n", why);
		code = EXIT_USAGE;
	}
	curl_global_cleanup();
	if (fflush(stdout) != 0 && code == EXIT_WELL)
		code = EXIT_UNDETERMINED; /* what was found did not get out */
	return code;
}
