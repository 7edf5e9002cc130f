/* args.c - getopt_long, and how many arguments each command takes. */
#include "proxy/ctl/args.h"

#include <getopt.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>

#include "proxy/base/version.h"

static const struct command_row {
	const char *name;
	enum command command;
	int min, max; /* arguments */
	const char *form;
} rows[] = {
    {"status", COMMAND_STATUS, 0, 2, "status [ISSUER SERIAL | FILE]"},
    {"explain", COMMAND_EXPLAIN, 1, 2, "explain ISSUER SERIAL | FILE"},
    {"refresh", COMMAND_REFRESH, 1, 2, "refresh [--accept-number] ISSUER [SERIAL]"},
    {"purge", COMMAND_PURGE, 1, 2, "purge ISSUER [SERIAL]"},
    {"latches", COMMAND_LATCHES, 0, 1, "latches [ISSUER]"},
    {"alarms", COMMAND_ALARMS, 0, 0, "alarms"},
    {"token", COMMAND_TOKEN, 0, 1, "token [NAME]"},
    {"watch", COMMAND_WATCH, 0, 1, "watch [ISSUER] [--exec COMMAND]"},
    {"find", COMMAND_FIND, 1, 1, "find NAME"},
    {"check", COMMAND_CHECK, 0, INT_MAX, "check [--incident FILE] [FILE | DIR]..."},
    {"watchlist", COMMAND_WATCHLIST, 1, INT_MAX,
	"watchlist list | show NAME | progress NAME | put NAME [FILE | DIR]... | "
	"add NAME [FILE | DIR]... | rm NAME [ISSUER SERIAL]"},
    {"incident", COMMAND_INCIDENT, 1, 3,
	"incident list | show NAME | put NAME [FILE] | rm NAME"},
    {"webhook", COMMAND_WEBHOOK, 1, 3,
	"webhook list | put NAME URL | put NAME [FILE] | test NAME | "
	"replay NAME --since ID | rm NAME"},
    {"discover", COMMAND_DISCOVER, 1, INT_MAX,
	"discover [--fetch [--allow-address NET[:PORT]]...] [--write DIR] "
	"FILE | DIR | HOST:PORT..."},
};

static const struct verb_row {
	enum command command;
	const char *name;
	int min, max; /* arguments behind it */
} verbs[] = {
    {COMMAND_WATCHLIST, "list", 0, 0},
    {COMMAND_WATCHLIST, "show", 1, 1},
    {COMMAND_WATCHLIST, "progress", 1, 1},
    {COMMAND_WATCHLIST, "put", 1, INT_MAX},
    {COMMAND_WATCHLIST, "add", 1, INT_MAX},
    {COMMAND_WATCHLIST, "rm", 1, 3},
    {COMMAND_INCIDENT, "list", 0, 0},
    {COMMAND_INCIDENT, "show", 1, 1},
    {COMMAND_INCIDENT, "put", 1, 2},
    {COMMAND_INCIDENT, "rm", 1, 1},
    {COMMAND_WEBHOOK, "list", 0, 0},
    {COMMAND_WEBHOOK, "put", 1, 2},
    {COMMAND_WEBHOOK, "test", 1, 1},
    {COMMAND_WEBHOOK, "replay", 1, 1},
    {COMMAND_WEBHOOK, "rm", 1, 1},
};

#define JOBS_MAX 1000 /* commands at once: a typing mistake is no fork bomb */

static const char usage[] =
    "usage: ocspctl [OPTION]... COMMAND [ARGUMENT]...\n"
    "\n"
    "  status                    issuers, responders, lists, and whether all is ready\n"
    "  status ISSUER SERIAL      is this certificate good, revoked or unknown\n"
    "  status FILE               of each certificate in a file of PEM\n"
    "  check [FILE | DIR]...     the same of many, also of NDJSON {issuer, serial};\n"
    "                            on a terminal those that are not good\n"
    "  find NAME                 watched certificates with this name, below it, or with\n"
    "                            the wildcard that covers it\n"
    "  watchlist list            the lists of certificates that you run\n"
    "  watchlist put NAME [FILE | DIR]...   make or replace one: PEM (keys are not\n"
    "                            sent), NDJSON or CSV; add NAME adds to it\n"
    "  watchlist rm NAME [ISSUER SERIAL]    delete it, or a certificate of it\n"
    "  watchlist show NAME       its certificates\n"
    "  watchlist progress NAME   how many of those that are hit are replaced: a bar\n"
    "                            until all are; in a pipe a line, and 1 until then\n"
    "  incident put NAME [FILE]  announce the serials that a CA is going to revoke; "
    "with\n"
    "                            list, show NAME, rm NAME\n"
    "  check --incident FILE [FILE | DIR]...   which of these certificates are on it,\n"
    "                            without telling anybody\n"
    "  webhook list              who is told by HTTP, how far, and what failed\n"
    "  webhook put NAME URL      make or change one; or FILE of JSON with secrets and\n"
    "                            all; the secret that is made is shown once\n"
    "  webhook test NAME, replay NAME, rm NAME   send a test; go back; delete it\n"
    "  explain ISSUER SERIAL     every check that its answers passed or failed;\n"
    "                            or FILE's\n"
    "  refresh ISSUER [SERIAL]   fetch lists and ask responders again now\n"
    "  purge ISSUER [SERIAL]     drop answers from memory and store\n"
    "  alarms                    what is wrong now, since when, and why\n"
    "  latches [ISSUER]          certificates that were seen revoked and stay so\n"
    "  token [NAME]              make a token, and print the block that lets it in\n"
    "  watch [ISSUER]            print each change of a certificate's status as it "
    "comes\n"
    "  discover FILE | DIR | HOST:PORT...   print the issuer sections that these\n"
    "                            certificates (PEM, DER, crt-list, a server's) need\n"
    "\n"
    "  --url URL                 http(s)://HOST:PORT or unix:/PATH ($OCSPCTL_URL, else\n"
    "                            http://127.0.0.1:8081)\n"
    "  --ca FILE                 https: the CA (PEM) of the server's certificate\n"
    "  --token-file FILE         send the token in FILE; token: write it there\n"
    "  --json                    print the server's JSON\n"
    "  --strict                  status: end with 2 also when something is degraded\n"
    "\n"
    "incident put:\n"
    "  --deadline TIME           when they will be revoked (2026-12-31T00:00:00Z)\n"
    "  --link URL                where the CA tells of it\n"
    "  --issuer ISSUER           who issued those whose line does not say; else anybody\n"
    "\n"
    "watchlist put and add, incident put, check:\n"
    "  --map MAP                 CSV: which column has what: serial=Col,issuer=Col,...\n"
    "  --serial hex | dec        serials in NDJSON, CSV and lines\n"
    "\n"
    "webhook:\n"
    "  --types TYPES             changes,notices,alarms (changes)\n"
    "  --format FORMAT           standard, slack, alertmanager, pagerduty, cloudevents\n"
    "  --issuer NAME, --watchlist NAME   of these alone\n"
    "  --since ID                replay: from this event on\n"
    "\n"
    "discover:\n"
    "  --fetch                   fetch CA certificates that are missing from where the\n"
    "                            certificates say; only public addresses are asked\n"
    "  --allow-address NET[:PORT]   and these, such as 10.0.0.0/8 (many times)\n"
    "  --write DIR               a NAME.conf and NAME.pem for each issuer, for\n"
    "                            include(\"DIR/*.conf\")\n"
    "\n"
    "refresh:\n"
    "  --accept-number           the next lists' numbers begin a new count: take them,\n"
    "                            though they are lower than those in force\n"
    "\n"
    "watch:\n"
    "  --exec COMMAND            run COMMAND (sh -c) for each change: OCSP_ISSUER,\n"
    "                            OCSP_SERIAL, OCSP_STATUS, ... and a line of JSON on "
    "its\n"
    "                            standard input; tried again until it succeeds\n"
    "  --jobs N                  as many commands at once (1)\n"
    "  --batch                   one command for many changes, all on its standard "
    "input\n"
    "  --place FILE              where its place is kept; it resumes there\n"
    "  --since ID                without a place yet: from this event on, not from now\n"
    "  --snapshot                without a place yet: first all that is revoked already\n"
    "  --watchlist NAME          only certificates on this watchlist, with their names\n"
    "  --notices                 also certificates that are going to be revoked, and\n"
    "                            those that are no longer: a hint from an unsigned "
    "source\n"
    "  --alarms                  also what is found wrong, and what is right again\n"
    "\n"
    "  --help, --version\n"
    "\n"
    "Exit status: 0 all well, 1 revoked, 2 could not be determined (--strict: or\n"
    "degraded), 64 usage, 69 server not reachable.\n";

static const char hint[] = "ocspctl --help tells how it is used\n";

static bool read_jobs(struct args *a, const char *text, FILE *err)
{
	char *end;
	long n = strtol(text, &end, 10);

	if (end == text || *end != '\0' || n < 1 || n > JOBS_MAX) {
		fprintf(err, "ocspctl: --jobs %s: is a number from 1 to %d\n", text,
		    JOBS_MAX);
		return false;
	}
	a->jobs = (unsigned)n;
	return true;
}

static bool read_allowed(struct args *a, const char *text, FILE *err)
{
	const char *why = a->allow_n == ALLOW_MAX
			      ? "is one more than the 16 that there may be"
			      : network_parse(text, &a->allow[a->allow_n]);

	if (why != NULL)
		fprintf(err, "ocspctl: --allow-address %s: %s\n", text, why);
	else
		a->allow_n++;
	return why == NULL;
}

/* An option with a text, or none: false. */
static bool take_text(struct args *a, int c)
{
	const struct {
		int c;
		const char **text;
	} texts[] = {{'u', &a->url}, {'t', &a->token_file}, {'k', &a->ca},
	    {'e', &a->exec}, {'p', &a->place}, {'s', &a->since}, {'w', &a->watchlist},
	    {'m', &a->map}, {'x', &a->base}, {'r', &a->write}, {'F', &a->format},
	    {'T', &a->types}, {'I', &a->of_issuer}, {'C', &a->incident},
	    {'D', &a->deadline}, {'L', &a->link}};

	for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++)
		if (texts[i].c == c) {
			*texts[i].text = optarg;
			return true;
		}
	return false;
}

static bool take_flag(struct args *a, int c)
{
	const struct {
		int c;
		bool *flag;
	} flags[] = {{'j', &a->json}, {'d', &a->strict}, {'b', &a->batch},
	    {'a', &a->snapshot}, {'i', &a->notices}, {'l', &a->alarms},
	    {'c', &a->accept_number}, {'f', &a->fetch}};

	for (size_t i = 0; i < sizeof flags / sizeof flags[0]; i++)
		if (flags[i].c == c) {
			*flags[i].flag = true;
			return true;
		}
	return false;
}

/* true: go on; otherwise *code. */
static bool read_options(
    struct args *a, int argc, char **argv, FILE *out, FILE *err, int *code)
{
	static const struct option options[] = {
	    {"url", required_argument, NULL, 'u'},
	    {"token-file", required_argument, NULL, 't'},
	    {"ca", required_argument, NULL, 'k'},
	    {"json", no_argument, NULL, 'j'},
	    {"strict", no_argument, NULL, 'd'},
	    {"exec", required_argument, NULL, 'e'},
	    {"place", required_argument, NULL, 'p'},
	    {"since", required_argument, NULL, 's'},
	    {"jobs", required_argument, NULL, 'n'},
	    {"batch", no_argument, NULL, 'b'},
	    {"snapshot", no_argument, NULL, 'a'},
	    {"watchlist", required_argument, NULL, 'w'},
	    {"notices", no_argument, NULL, 'i'},
	    {"alarms", no_argument, NULL, 'l'},
	    {"accept-number", no_argument, NULL, 'c'},
	    {"map", required_argument, NULL, 'm'},
	    {"serial", required_argument, NULL, 'x'},
	    {"format", required_argument, NULL, 'F'},
	    {"types", required_argument, NULL, 'T'},
	    {"issuer", required_argument, NULL, 'I'},
	    {"incident", required_argument, NULL, 'C'},
	    {"deadline", required_argument, NULL, 'D'},
	    {"link", required_argument, NULL, 'L'},
	    {"fetch", no_argument, NULL, 'f'},
	    {"allow-address", required_argument, NULL, 'o'},
	    {"write", required_argument, NULL, 'r'},
	    {"help", no_argument, NULL, 'h'},
	    {"version", no_argument, NULL, 'V'},
	    {NULL, 0, NULL, 0},
	};
	int c;

	optind = 0; /* glibc: start anew, also after another argv */
	opterr = 0;
	while ((c = getopt_long(argc, argv, ":hV", options, NULL)) != -1) {
		if (take_text(a, c) || take_flag(a, c))
			continue;
		*code = EXIT_USAGE;
		if (c == 'n'   ? read_jobs(a, optarg, err)
		    : c == 'o' ? read_allowed(a, optarg, err)
			       : false)
			continue;
		if (c == 'h' || c == 'V') {
			fputs(c == 'h' ? usage : "ocspctl " OCSPCACHED_VERSION "\n", out);
			*code = EXIT_WELL;
		} else if (c == ':' || c == '?') {
			fprintf(err, "ocspctl: %s: %s\n%s", argv[optind - 1],
			    c == ':' ? "needs a value" : "no such option", hint);
		}
		return false;
	}
	return true;
}

static const struct command_row *row_of(const char *name)
{
	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++)
		if (strcmp(rows[i].name, name) == 0)
			return &rows[i];
	return NULL;
}

static bool is_hook(const struct args *a, const char *verb)
{
	return a->command == COMMAND_WEBHOOK && strcmp(a->rest[0], verb) == 0;
}

static bool has_watch_options(const struct args *a)
{
	return a->exec != NULL || a->place != NULL || a->jobs > 1 || a->batch ||
	       a->snapshot || (a->since != NULL && !is_hook(a, "replay")) ||
	       (a->watchlist != NULL && !is_hook(a, "put")) || a->notices || a->alarms;
}

static bool is_incident_put(const struct args *a)
{
	return a->command == COMMAND_INCIDENT && strcmp(a->rest[0], "put") == 0;
}

/* Of incident put, and of check. */
static bool incident_options_fit(const struct args *a, const char *name, FILE *err)
{
	if ((a->deadline != NULL || a->link != NULL) && !is_incident_put(a))
		fprintf(err,
		    "ocspctl: %s: --deadline and --link go with incident put\n%s", name,
		    hint);
	else if (a->incident != NULL && a->command != COMMAND_CHECK)
		fprintf(err, "ocspctl: %s: --incident goes with check\n%s", name, hint);
	else
		return true;
	return false;
}

/* What a webhook is, besides its URL, is in the FILE that has all of it. */
static bool hook_options_fit(const struct args *a, FILE *err)
{
	bool given = a->format != NULL || a->types != NULL ||
		     (a->of_issuer != NULL && !is_incident_put(a));
	bool by_url =
	    is_hook(a, "put") && a->rest_n == 3 && strstr(a->rest[2], "://") != NULL;

	if (is_hook(a, "replay") && a->since == NULL)
		fprintf(err, "ocspctl: webhook replay: needs --since ID\n");
	else if (given && !by_url)
		fprintf(err, "ocspctl: --format, --types and --issuer go with webhook "
			     "put NAME URL\n");
	else if (is_hook(a, "put") && a->watchlist != NULL && !by_url)
		fprintf(err, "ocspctl: --watchlist goes with webhook put NAME URL\n");
	else
		return true;
	return false;
}

static bool has_verbs(enum command command)
{
	return command == COMMAND_WATCHLIST || command == COMMAND_INCIDENT ||
	       command == COMMAND_WEBHOOK;
}

/* COMMAND VERB ...: does the verb have what it needs? */
static bool verb_fits(enum command command, char **argument, int n)
{
	for (size_t i = 0; i < sizeof verbs / sizeof verbs[0]; i++)
		if (verbs[i].command == command &&
		    strcmp(verbs[i].name, argument[0]) == 0)
			return n - 1 >= verbs[i].min && n - 1 <= verbs[i].max &&
			       (strcmp(argument[0], "rm") != 0 || n != 3);
	return false;
}

static bool takes_bodies(const struct args *a)
{
	return a->command == COMMAND_CHECK || is_incident_put(a) ||
	       (a->command == COMMAND_STATUS && a->rest_n == 1) ||
	       (a->command == COMMAND_WATCHLIST &&
		   (strcmp(a->rest[0], "put") == 0 || strcmp(a->rest[0], "add") == 0));
}

/* Options that go with other commands. */
static bool options_fit(const struct args *a, const char *name, FILE *err)
{
	if (a->command != COMMAND_WATCH && has_watch_options(a))
		fprintf(err, "ocspctl: %s: takes none of the options of watch\n%s", name,
		    hint);
	else if (a->command != COMMAND_REFRESH && a->accept_number)
		fprintf(err, "ocspctl: %s: --accept-number goes with refresh\n%s", name,
		    hint);
	else if (a->strict && (a->command != COMMAND_STATUS || a->rest_n > 0))
		fprintf(err, "ocspctl: --strict goes with status of the whole daemon\n%s",
		    hint);
	else if ((a->batch || a->jobs > 1) && a->exec == NULL)
		fprintf(err, "ocspctl: watch: --batch and --jobs go with --exec\n");
	else if (a->alarms && a->exec != NULL)
		fprintf(err,
		    "ocspctl: watch: --alarms goes without --exec: no command is run for "
		    "alarms; watch --alarms --json prints them\n");
	else if ((a->map != NULL && a->command != COMMAND_WATCHLIST &&
		     !is_incident_put(a) && a->incident == NULL) ||
		 ((a->map != NULL || a->base != NULL) && !takes_bodies(a)))
		fprintf(err,
		    "ocspctl: %s: --map goes with watchlist put and add and incident "
		    "put, --serial with these and check\n%s",
		    name, hint);
	else if (a->command != COMMAND_DISCOVER &&
		 (a->fetch || a->write != NULL || a->allow_n > 0))
		fprintf(err, "ocspctl: %s: takes none of the options of discover\n%s",
		    name, hint);
	else if (a->allow_n > 0 && !a->fetch)
		fprintf(err, "ocspctl: discover: --allow-address goes with --fetch\n");
	else
		return hook_options_fit(a, err);
	return false;
}

static const char *default_url(void)
{
	const char *url = getenv("OCSPCTL_URL");

	return url != NULL && url[0] != '\0' ? url : "http://127.0.0.1:8081";
}

static const char *without_name(const char *serial)
{
	static const char name[] = "serial=";

	return strncmp(serial, name, sizeof name - 1) == 0 ? serial + sizeof name - 1
							   : serial;
}

bool args_read(struct args *a, int argc, char **argv, FILE *out, FILE *err, int *code)
{
	const struct command_row *row;
	int n;

	*a = (struct args){.url = default_url(), .jobs = 1};
	if (!read_options(a, argc, argv, out, err, code))
		return false;
	*code = EXIT_USAGE;
	argv += optind;
	n = argc - optind;
	if (n == 0) {
		fputs(usage, err);
		return false;
	}
	row = row_of(argv[0]);
	if (row == NULL) {
		fprintf(err, "ocspctl: %s: no such command\n%s", argv[0], hint);
		return false;
	}
	n--;
	if (n < row->min || n > row->max ||
	    (has_verbs(row->command) && !verb_fits(row->command, argv + 1, n))) {
		fprintf(err, "usage: ocspctl %s\n", row->form);
		return false;
	}
	a->command = row->command;
	a->rest = argv + 1;
	a->rest_n = n;
	if (!incident_options_fit(a, row->name, err) || !options_fit(a, row->name, err))
		return false;
	a->issuer = n > 0 ? argv[1] : NULL;
	a->serial = n > 1 ? without_name(argv[2]) : NULL;
	return true;
}
