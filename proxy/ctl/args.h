/* args.h - the command line of ocspctl.
 *
 * Options may stand before and after the command.  Exit codes are those of the contract:
 * scripts and monitoring depend on them.
 */
#ifndef PROXY_CTL_ARGS_H
#define PROXY_CTL_ARGS_H

#include <stdbool.h>
#include <stdio.h>

#include "conf/network.h"

enum {
	EXIT_WELL = 0,
	EXIT_REVOKED = 1,      /* something is revoked */
	EXIT_UNDETERMINED = 2, /* something could not be determined; --strict: degraded */
	EXIT_USAGE = 64,       /* the command line; also what the server calls so (4xx) */
	EXIT_UNREACHABLE = 69  /* no server, or it failed */
};

enum command {
	COMMAND_STATUS,
	COMMAND_EXPLAIN,
	COMMAND_REFRESH,
	COMMAND_PURGE,
	COMMAND_LATCHES,
	COMMAND_WATCH,
	COMMAND_FIND,
	COMMAND_WATCHLIST,
	COMMAND_WEBHOOK,
	COMMAND_INCIDENT,
	COMMAND_CHECK,
	COMMAND_ALARMS,
	COMMAND_DISCOVER,
	COMMAND_TOKEN
};

#define ALLOW_MAX 16 /* --allow-address */

struct args { /* borrowed from argv */
	enum command command;
	const char *issuer, *serial; /* NULL where not given */
	/* find, watchlist, webhook, check, discover, status FILE: all arguments */
	char **rest;
	int rest_n;
	const char *url;
	const char *token_file; /* or NULL */
	const char *ca;         /* the same */
	bool json;
	bool accept_number;     /* refresh */
	bool strict;            /* status: what is degraded has an exit code, too */
	const char *map, *base; /* watchlist put and add, incident put, check; or NULL */
	const char *incident;   /* check: the list that is asked, or NULL */
	const char *deadline, *link; /* incident put; NULL where not given */
	/* watch: */
	const char *exec, *place, *since; /* NULL where not given */
	const char *watchlist;            /* or NULL: all */
	unsigned jobs;                    /* 1.. */
	bool batch, snapshot;
	bool notices, alarms;
	/* webhook put; NULL where not given: */
	const char *format, *types, *of_issuer;
	/* discover: */
	bool fetch;
	const char *write; /* or NULL */
	struct network allow[ALLOW_MAX];
	size_t allow_n;
};

/* Read argv, whose order may change; without --url, OCSPCTL_URL of the environment says
 * where the server is.  A serial may be as "openssl x509 -serial" prints it, "serial="
 * and all.  true: go on.  false: end with *code; what there is to say was written to out
 * (--help, --version) or err. */
bool args_read(struct args *a, int argc, char **argv, FILE *out, FILE *err, int *code);

#endif
