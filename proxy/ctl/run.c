/* run.c - a call, its error, its JSON. */
#include "proxy/ctl/run.h"

#include <stdlib.h>

int run_server_error(const struct reply *r)
{
	const char *message = json_string_value(
	    json_object_get(json_object_get(r->body, "error"), "message"));

	fputs("ocspctl: ", stderr);
	show_text(stderr, message != NULL ? message : "this is no answer of ocspcached");
	fprintf(stderr, " (HTTP %ld)\n", r->status);
	return r->status >= 400 && r->status < 500 && message != NULL ? EXIT_USAGE
								      : EXIT_UNREACHABLE;
}

int run_call(const struct run *run, const char *method, const char *path,
    const json_t *body, struct reply *r)
{
	char why[512];

	if (client_call(run->client, method, path, body, r, why, sizeof why) == 0)
		return 0;
	fprintf(stderr, "ocspctl: %s\n", why);
	return EXIT_UNREACHABLE;
}

void run_print_json(const struct run *run, const json_t *value)
{
	json_dumpf(value, run->show.out,
	    run->show.terminal ? JSON_INDENT(2) | JSON_ENSURE_ASCII : 0);
	fputc('\n', run->show.out);
}

int run_no_memory(void)
{
	fputs("ocspctl: out of memory\n", stderr);
	return EXIT_UNDETERMINED;
}

int run_ask(const struct run *run, const char *method, char *path, json_t **body)
{
	struct reply r;
	int code = path != NULL ? run_call(run, method, path, NULL, &r) : run_no_memory();

	free(path);
	if (code != 0)
		return code;
	if (r.status / 100 != 2) {
		code = run_server_error(&r);
		json_decref(r.body);
		return code;
	}
	if (body != NULL)
		*body = r.body;
	else
		json_decref(r.body);
	return 0;
}
