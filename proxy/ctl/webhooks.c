/* webhooks.c - a row for each webhook, and what is sent of one. */
#include "proxy/ctl/webhooks.h"

#include <stdlib.h>
#include <string.h>

/* What there is. */

static const char *types_of(const json_t *hook, char out[64])
{
	size_t i, at = 0;
	json_t *type;

	out[0] = '\0';
	json_array_foreach(json_object_get(hook, "types"), i, type)
		if (json_is_string(type) && at < 32)
			at += (size_t)snprintf(out + at, 64 - at, "%s%.16s",
			    i > 0 ? "," : "", json_string_value(type));
	return out;
}

static const char *state_of(const json_t *hook)
{
	if (json_is_true(json_object_get(hook, "disabled")))
		return "disabled";
	return table_text(hook, "failing_since") != NULL ? "failing" : "well";
}

/* Why it is disabled, else what failed last while it does. */
static const char *why_of(const json_t *hook)
{
	const char *why = table_text(hook, "why");

	if (why != NULL)
		return why;
	return table_text(hook, "failing_since") != NULL ? table_text(hook, "last_error")
							 : NULL;
}

static void hook_rows(struct table *t, const json_t *hooks)
{
	size_t n;
	json_t *hook;

	json_array_foreach(hooks, n, hook) {
		const json_t *lag = json_object_get(hook, "lag");
		char types[64], number[24];
		const char *cell[8] = {table_text(hook, "name"), state_of(hook), NULL,
		    table_text(hook, "last_success"), table_text(hook, "format"),
		    types_of(hook, types), table_text(hook, "url"), why_of(hook)};

		snprintf(
		    number, sizeof number, "%lld", (long long)json_integer_value(lag));
		if (json_is_integer(lag))
			cell[2] = number;
		table_row(t, cell);
	}
}

static int list(const struct run *run)
{
	static const char *const heading[] = {
	    "NAME", "STATE", "LAG", "LAST SUCCESS", "FORMAT", "TYPES", "URL", "WHY"};
	json_t *hooks = NULL;
	int code = run_ask(run, "GET", client_query("webhooks", NULL, NULL), &hooks);

	if (code != 0)
		return code;
	if (run->args->json)
		run_print_json(run, hooks);
	else
		table_print(&run->show, heading, 8, hook_rows, hooks);
	json_decref(hooks);
	return EXIT_WELL;
}

/* What is said of one. */

/* "a,b" as an array. */
static json_t *types_json(const char *text)
{
	json_t *types = json_array();

	while (types != NULL && *text != '\0') {
		size_t n = strcspn(text, ",");

		json_array_append_new(types, json_stringn(text, n));
		text += n + (text[n] == ',');
	}
	return types;
}

static json_t *body_of_url(const struct args *a)
{
	return json_pack("{s:s, s:s*, s:s*, s:s*, s:o*}", "url", a->rest[2], "issuer",
	    a->of_issuer, "watchlist", a->watchlist, "format", a->format, "types",
	    a->types != NULL ? types_json(a->types) : NULL);
}

/* A file, or standard input; what is wrong is told without a word of it, since it has
 * secrets. */
static json_t *body_of_file(const char *path)
{
	bool is_stdin = strcmp(path, "-") == 0;
	FILE *f = is_stdin ? stdin : fopen(path, "re");
	json_error_t error = {.line = 0};
	json_t *body;

	if (f == NULL) {
		fprintf(stderr, "ocspctl: %s: cannot be read\n", path);
		return NULL;
	}
	body = json_loadf(f, JSON_REJECT_DUPLICATES, &error);
	if (!is_stdin)
		fclose(f);
	if (body == NULL)
		fprintf(stderr, "ocspctl: %s: is not JSON: line %d\n", path, error.line);
	return body;
}

static int put(const struct run *run)
{
	const struct args *a = run->args;
	const char *from = a->rest_n > 2 ? a->rest[2] : "-", *secret;
	json_t *body = strstr(from, "://") != NULL ? body_of_url(a) : body_of_file(from);
	char *path = client_name_path("webhooks", a->rest[1], NULL, NULL);
	struct reply r = {0};
	int code = body == NULL   ? EXIT_USAGE
		   : path == NULL ? run_no_memory()
				  : run_call(run, "PUT", path, body, &r);

	free(path);
	json_decref(body);
	if (code == 0 && r.status / 100 != 2)
		code = run_server_error(&r);
	else if (code == 0 && a->json)
		run_print_json(run, r.body);
	else if (code == 0) {
		fprintf(run->show.out, "%s: %s\n", a->rest[1],
		    r.status == 201 ? "made" : "changed");
		secret = table_text(r.body, "secret");
		if (secret != NULL)
			fprintf(run->show.out, "secret: %s\n", secret);
	}
	json_decref(r.body);
	return code;
}

/* POST NAME/what. */
static int post(const struct run *run, const char *what, const char *done)
{
	const struct args *a = run->args;
	char *path = client_name_path("webhooks", a->rest[1], NULL, NULL), *longer;
	int code;

	longer = path != NULL ? realloc(path, strlen(path) + strlen(what) + 2) : NULL;
	if (longer == NULL)
		free(path);
	else
		strcat(strcat(longer, "/"), what);
	if (longer != NULL && a->since != NULL)
		client_add_query(&longer, "since", a->since);
	code = run_ask(run, "POST", longer, NULL);
	if (code == 0 && !a->json)
		fprintf(run->show.out, "%s\n", done);
	return code;
}

static int drop(const struct run *run)
{
	int code = run_ask(run, "DELETE",
	    client_name_path("webhooks", run->args->rest[1], NULL, NULL), NULL);

	if (code == 0 && !run->args->json)
		fputs("removed\n", run->show.out);
	return code;
}

int webhook(const struct run *run)
{
	const char *verb = run->args->rest[0];

	if (strcmp(verb, "list") == 0)
		return list(run);
	if (strcmp(verb, "put") == 0)
		return put(run);
	if (strcmp(verb, "test") == 0)
		return post(run, "test", "delivered");
	if (strcmp(verb, "replay") == 0)
		return post(run, "replay", "goes on from there");
	return drop(run);
}
