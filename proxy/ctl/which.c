/* which.c - the file as a bulk status, of whose answer the first line counts. */
#include "proxy/ctl/which.h"

#include <stdlib.h>
#include <string.h>

#include "proxy/ctl/bodies.h"

#define LINE_MAX_N ((size_t)64 << 10)

struct asked {
	struct bodies *bodies;
	char *line; /* LINE_MAX_N */
	size_t line_n;
	bool whole;
};

static size_t read_body(void *arg, char *p, size_t room)
{
	return bodies_read(((struct asked *)arg)->bodies, p, room);
}

static bool on_answer(void *arg, const char *p, size_t n)
{
	struct asked *a = arg;

	for (size_t i = 0; i < n && !a->whole; i++) {
		if (p[i] == '\n')
			a->whole = true;
		else if (a->line_n == LINE_MAX_N)
			return false;
		else
			a->line[a->line_n++] = p[i];
	}
	return true;
}

/* What the line says; an exit code where it names no certificate of ours. */
static int take(const struct asked *a, struct which *out)
{
	json_t *row = json_loadb(a->line, a->line_n, 0, NULL);
	const char *issuer = table_text(row, "issuer");
	const char *serial = table_text(row, "serial");
	const char *name = table_text(row, "issuer_name");
	int code = 0;

	if (issuer != NULL && serial != NULL && strlen(issuer) < sizeof out->issuer &&
	    strlen(serial) < sizeof out->serial) {
		strcpy(out->issuer, issuer);
		strcpy(out->serial, serial);
	} else {
		code = EXIT_UNDETERMINED;
		fprintf(stderr, "ocspctl: %s%s\n",
		    name != NULL ? "no configured issuer has issued it: "
				 : "no certificate in there",
		    name != NULL ? name : "");
	}
	json_decref(row);
	return code;
}

static int ask(const struct run *run, struct asked *a, struct which *out)
{
	struct client_body body = {bodies_type(a->bodies), read_body, a};
	struct reply r = {0};
	char why[512];
	int code;

	if (client_send(run->client, "POST", "/v1/status", &body, on_answer, a, &r, why,
		sizeof why) != 0) {
		fprintf(stderr, "ocspctl: %s\n", why);
		return EXIT_UNREACHABLE;
	}
	code = r.status == 200 ? take(a, out) : run_server_error(&r);
	json_decref(r.body);
	return code;
}

int which(const struct run *run, struct which *out)
{
	struct asked a = {.line = malloc(LINE_MAX_N)};
	int code;

	a.bodies =
	    bodies_open(run->args->rest, (size_t)run->args->rest_n, false, NULL, NULL);
	code = a.line != NULL && a.bodies != NULL ? ask(run, &a, out) : run_no_memory();
	bodies_close(a.bodies);
	free(a.line);
	return code;
}
