/* args.c - getopt_long, and how many arguments each command takes. */
#include "proxy/ctl/args.h"

#include "proxy/version.h"

#include <getopt.h>
#include <string.h>

static const struct command_row {
	const char *name;
	enum command command;
	int min, max; /* arguments */
	const char *form;
} rows[] = {
    {"status", COMMAND_STATUS, 0, 2, "status [ISSUER SERIAL]"},
    {"explain", COMMAND_EXPLAIN, 2, 2, "explain ISSUER SERIAL"},
    {"refresh", COMMAND_REFRESH, 1, 2, "refresh ISSUER [SERIAL]"},
    {"purge", COMMAND_PURGE, 1, 2, "purge ISSUER [SERIAL]"},
};

static const char *const later[] = {"check", "watch", "watchlist", "webhook"};

static const char usage[] =
    "usage: ocspctl [OPTION]... COMMAND [ARGUMENT]...\n"
    "\n"
    "  status                    issuers, their responders, and whether all is ready\n"
    "  status ISSUER SERIAL      is this certificate good, revoked or unknown\n"
    "  explain ISSUER SERIAL     every check that its answers passed or failed\n"
    "  refresh ISSUER [SERIAL]   ask the responders again now\n"
    "  purge ISSUER [SERIAL]     drop answers from memory and store\n"
    "\n"
    "  --url URL                 http://HOST:PORT or unix:/PATH (http://127.0.0.1:8081)\n"
    "  --token-file FILE         send the token in FILE\n"
    "  --json                    print the server's JSON\n"
    "  --help, --version\n"
    "\n"
    "Exit status: 0 all well, 1 revoked, 2 could not be determined, 64 usage,\n"
    "69 server not reachable.\n";

static const char hint[] = "ocspctl --help tells how it is used\n";

/* true: go on; otherwise *code. */
static bool read_options(
    struct args *a, int argc, char **argv, FILE *out, FILE *err, int *code)
{
	static const struct option options[] = {
	    {"url", required_argument, NULL, 'u'},
	    {"token-file", required_argument, NULL, 't'},
	    {"json", no_argument, NULL, 'j'},
	    {"help", no_argument, NULL, 'h'},
	    {"version", no_argument, NULL, 'V'},
	    {NULL, 0, NULL, 0},
	};
	int c;

	optind = 0; /* glibc: start anew, also after another argv */
	opterr = 0;
	while ((c = getopt_long(argc, argv, ":hV", options, NULL)) != -1) {
		switch (c) {
		case 'u':
			a->url = optarg;
			break;
		case 't':
			a->token_file = optarg;
			break;
		case 'j':
			a->json = true;
			break;
		case 'h':
			fputs(usage, out);
			*code = EXIT_WELL;
			return false;
		case 'V':
			fputs("ocspctl " OCSPCACHED_VERSION "\n", out);
			*code = EXIT_WELL;
			return false;
		default:
			fprintf(err, "ocspctl: %s: %s\n%s", argv[optind - 1],
			    c == ':' ? "needs a value" : "no such option", hint);
			*code = EXIT_USAGE;
			return false;
		}
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

static const char *why_no_row(const char *name)
{
	for (size_t i = 0; i < sizeof later / sizeof later[0]; i++)
		if (strcmp(later[i], name) == 0)
			return "not in this version";
	return "no such command";
}

bool args_read(struct args *a, int argc, char **argv, FILE *out, FILE *err, int *code)
{
	const struct command_row *row;
	int n;

	*a = (struct args){.url = "http://127.0.0.1:8081"};
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
		fprintf(err, "ocspctl: %s: %s\n%s", argv[0], why_no_row(argv[0]), hint);
		return false;
	}
	n--;
	if (n < row->min || n > row->max || (row->min == 0 && n == 1)) {
		fprintf(err, "usage: ocspctl %s\n", row->form);
		return false;
	}
	a->command = row->command;
	a->issuer = n > 0 ? argv[1] : NULL;
	a->serial = n > 1 ? argv[2] : NULL;
	return true;
}
