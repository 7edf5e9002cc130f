/* watchlists.c - pages of certificates, a list's numbers, and what is sent to one. */
#include "proxy/ctl/watchlists.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "proxy/ctl/bodies.h"
#include "proxy/ctl/progress.h"

/* Certificates. */

struct certificates {
	const struct run *run;
	struct table_feed table;
	size_t n, revoked, unknown;
};

/* "a.example" or "a.example (and 3 more)". */
static void joined(const json_t *texts, char out[300])
{
	size_t at = 0, i;
	json_t *text;

	out[0] = '\0';
	json_array_foreach(texts, i, text)
		if (at < 300 - 64)
			at += (size_t)snprintf(out + at, 300 - at, "%s%.60s",
			    i > 0 ? "," : "", json_string_value(text));
}

static void show_certificate(struct certificates *c, const json_t *row)
{
	static const char *const heading[] = {"STATUS", "SERIAL", "ISSUER", "NOT AFTER",
	    "REVOKED AT", "REASON", "COVERED", "REPLACED BY", "LAST ASKED", "WATCHLISTS",
	    "NAMES"};
	const json_t *by = json_object_get(row, "replaced_by");
	const char *issuer = table_text(row, "issuer"), *cell[11];
	char names[TABLE_FIRST_MAX], lists[300];

	joined(json_object_get(row, "watchlists"), lists);
	cell[0] = table_text(row, "status");
	cell[1] = table_text(row, "serial");
	cell[2] = issuer != NULL ? issuer : table_text(row, "issuer_name");
	cell[3] = table_text(row, "not_after");
	cell[4] = table_text(row, "revoked_at");
	cell[5] = table_text(row, "reason");
	cell[6] = json_is_true(json_object_get(row, "covered")) ? "yes" : "NO";
	cell[7] = json_is_object(by) ? table_text(by, "serial") : NULL;
	cell[8] = table_text(row, "last_asked");
	cell[9] = lists;
	cell[10] = table_first(json_object_get(row, "names"), names);
	c->table.heading = heading;
	c->table.columns = 11;
	table_feed(&c->table, cell);
}

static void take_certificate(struct certificates *c, const json_t *row)
{
	const char *status = table_text(row, "status");

	if (status != NULL && strcmp(status, "revoked") == 0)
		c->revoked++;
	else if (status == NULL || strcmp(status, "good") != 0)
		c->unknown++;
	if (c->run->args->json) {
		fputs(c->n == 0 ? "[\n" : ",\n", c->run->show.out);
		json_dumpf(row, c->run->show.out,
		    JSON_COMPACT | (c->run->show.terminal ? JSON_ENSURE_ASCII : 0));
	} else {
		show_certificate(c, row);
	}
	c->n++;
}

/* A page of /v1/certificates; *next: the place of the next one, owned, NULL: none. */
static int take_page(
    struct certificates *c, const char *name, const char *value, char **next)
{
	char *path = client_query("certificates", "limit", "1000");
	json_t *body = NULL, *row;
	const char *place;
	size_t i;
	int code;

	client_add_query(&path, name, value);
	client_add_query(&path, "next", *next);
	free(*next);
	*next = NULL;
	code = run_ask(c->run, "GET", path, &body);
	if (code != 0)
		return code;
	json_array_foreach(json_object_get(body, "certificates"), i, row)
		take_certificate(c, row);
	place = table_text(body, "next");
	*next = place != NULL ? strdup(place) : NULL;
	json_decref(body);
	return 0;
}

/* All certificates with this filter. */
static int show_all(const struct run *run, const char *name, const char *value)
{
	struct certificates c = {.run = run, .table.show = &run->show};
	char *next = NULL;
	int code;

	do
		code = take_page(&c, name, value, &next);
	while (code == 0 && next != NULL);
	free(next);
	table_feed_end(&c.table);
	if (code != 0)
		return code;
	if (run->args->json)
		fputs(c.n == 0 ? "[]\n" : "\n]\n", run->show.out);
	else if (c.n == 0 && run->show.terminal)
		fputs("none is on a watchlist\n", run->show.out);
	return c.revoked > 0   ? EXIT_REVOKED
	       : c.unknown > 0 ? EXIT_UNDETERMINED
			       : EXIT_WELL;
}

int certificates_show(const struct run *run, const char *name, const char *value)
{
	return show_all(run, name, value);
}

int find(const struct run *run)
{
	return show_all(run, "name", run->args->rest[0]);
}

/* Lists. */

static bool has_revoked(const json_t *list)
{
	return json_integer_value(json_object_get(list, "revoked")) > 0;
}

static void list_rows(struct table *t, const json_t *lists)
{
	static const char *const field[] = {
	    "certificates", "revoked", "announced", "replaced", "in_use", "not_covered"};
	size_t n;
	json_t *list;

	json_array_foreach(lists, n, list) {
		const char *cell[8] = {
		    table_text(list, "name"), table_text(list, "source")};
		char count[6][24];

		for (size_t i = 0; i < 6; i++)
			cell[2 + i] = table_count(list, field[i], count[i]);
		table_row(t, cell);
	}
}

static void show_lists(const struct run *run, const json_t *lists)
{
	static const char *const heading[] = {"NAME", "SOURCE", "CERTIFICATES", "REVOKED",
	    "ANNOUNCED", "REPLACED", "IN USE", "NOT COVERED"};

	table_print(&run->show, heading, 8, list_rows, lists);
}

static int list_all(const struct run *run)
{
	json_t *lists = NULL, *list;
	int code = run_ask(run, "GET", client_query("watchlists", NULL, NULL), &lists);
	size_t n;

	if (code != 0)
		return code;
	if (run->args->json)
		run_print_json(run, lists);
	else
		show_lists(run, lists);
	json_array_foreach(lists, n, list)
		if (has_revoked(list))
			code = EXIT_REVOKED;
	json_decref(lists);
	return code;
}

/* The numbers of one list. */
static int get_list(const struct run *run, json_t **list)
{
	return run_ask(run, "GET",
	    client_name_path("watchlists", run->args->rest[1], NULL, NULL), list);
}

/* Progress. */

#define PROGRESS_S   2 /* until it is asked again; the server counts no oftener */
#define PROGRESS_BAR 24

/* What of a list is hit, how much of that is replaced, and still asked for. */
struct hits {
	long long hit, replaced, in_use, all;
};

static struct hits hits_of(const json_t *list)
{
	return (struct hits){
	    .hit = json_integer_value(json_object_get(list, "revoked")) +
		   json_integer_value(json_object_get(list, "announced")),
	    .replaced = json_integer_value(json_object_get(list, "replaced")),
	    .in_use = json_integer_value(json_object_get(list, "in_use")),
	    .all = json_integer_value(json_object_get(list, "certificates"))};
}

static void hits_text(const struct hits *h, char out[128])
{
	snprintf(out, 128, "%lld hit, %lld replaced, %lld in use, of %lld certificates",
	    h->hit, h->replaced, h->in_use, h->all);
}

/* A bar over the last one, for as long as something is left to be replaced. */
static void draw_hits(
    const struct run *run, struct progress *p, const struct hits *h, bool over)
{
	char bar[PROGRESS_BAR + 3], text[128], line[192];

	progress_bar(
	    bar, PROGRESS_BAR, h->hit > 0 ? h->replaced : 1, h->hit > 0 ? h->hit : 1);
	hits_text(h, text);
	snprintf(line, sizeof line, "%s  %s", bar, text);
	progress_over(p, run->show.out, line);
	if (over)
		fputc('\n', run->show.out);
}

static void print_hits(const struct run *run, const json_t *list, const struct hits *h)
{
	char text[128];

	if (run->args->json) {
		run_print_json(run, list);
		return;
	}
	hits_text(h, text);
	fprintf(run->show.out, "%s\n", text);
}

static int show_list(const struct run *run)
{
	json_t *list = NULL;
	int code = get_list(run, &list);
	struct hits h = hits_of(list);

	json_decref(list);
	if (code != 0)
		return code;
	code = show_all(run, "watchlist", run->args->rest[1]);
	if (run->show.terminal && !run->args->json)
		print_hits(run, NULL, &h);
	return code;
}

/* How far the replacing of what is hit has come: on a terminal a bar, until all of it is
 * replaced; elsewhere a line. */
static int show_progress(const struct run *run)
{
	bool follows = run->show.terminal && !run->args->json;
	struct progress bar = {.shown = follows};

	for (;;) {
		json_t *list = NULL;
		int code = get_list(run, &list);
		struct hits h = hits_of(list);
		bool over = code != 0 || h.replaced >= h.hit;

		if (code == 0 && follows)
			draw_hits(run, &bar, &h, over);
		else if (code == 0)
			print_hits(run, list, &h);
		json_decref(list);
		if (code != 0)
			return code;
		if (over || !follows)
			return over ? EXIT_WELL : EXIT_REVOKED;
		sleep(PROGRESS_S);
	}
}

static int remove_it(const struct run *run)
{
	const struct args *a = run->args;
	char *path = client_name_path("watchlists", a->rest[1],
	    a->rest_n > 2 ? a->rest[2] : NULL, a->rest_n > 2 ? a->rest[3] : NULL);
	int code = run_ask(run, "DELETE", path, NULL);

	if (code == 0 && !a->json)
		fputs("removed\n", run->show.out);
	return code;
}

/* Sending. */

struct sent {
	struct bodies *bodies;
	struct progress progress;
};

/* A file that cannot be read must not make a list that has less. */
static size_t read_body(void *arg, char *p, size_t room)
{
	struct sent *s = arg;
	size_t n = bodies_read(s->bodies, p, room);

	if (bodies_unreadable(s->bodies) > 0)
		return CLIENT_ABORT;
	progress_draw(
	    &s->progress, bodies_done(s->bodies), bodies_size(s->bodies), n == 0);
	return n;
}

static int report_sent(const struct run *run, const struct reply *r)
{
	char count[24];

	if (r->status / 100 != 2)
		return run_server_error(r);
	if (run->args->json) {
		run_print_json(run, r->body);
		return EXIT_WELL;
	}
	if (run->args->command == COMMAND_INCIDENT) {
		fprintf(run->show.out, "%s: %lld serials, %s of them watched\n",
		    run->args->rest[1],
		    (long long)json_integer_value(json_object_get(r->body, "serials")),
		    table_count(r->body, "hit", count) != NULL ? count : "?");
		return EXIT_WELL;
	}
	fprintf(run->show.out, "%s: %lld certificates", run->args->rest[1],
	    (long long)json_integer_value(json_object_get(r->body, "certificates")));
	if (table_count(r->body, "not_covered", count) != NULL && strcmp(count, "0") != 0)
		fprintf(run->show.out, ", %s of them not covered", count);
	fputs("\n", run->show.out);
	return EXIT_WELL;
}

int body_send(const struct run *run, const char *what, const char *method)
{
	const struct args *a = run->args;
	struct sent s = {
	    .progress = {.what = a->rest[1], .shown = isatty(STDERR_FILENO)}};
	struct client_body body = {.read = read_body, .arg = &s};
	enum watch_format unsaid = a->map != NULL                   ? WATCH_CSV
				   : a->command == COMMAND_INCIDENT ? WATCH_PLAIN
								    : WATCH_PEM;
	char *path = client_name_path(what, a->rest[1], NULL, NULL), why[512];
	struct reply r = {0};
	int code = EXIT_UNREACHABLE, e;

	client_add_query(&path, "map", a->map);
	client_add_query(&path, "serial", a->base);
	client_add_query(&path, "deadline", a->deadline);
	client_add_query(&path, "url", a->link);
	client_add_query(&path, "issuer", a->of_issuer);
	s.bodies = bodies_open(a->rest + 2, (size_t)a->rest_n - 2, unsaid, NULL, NULL);
	if (path == NULL || s.bodies == NULL) {
		free(path);
		bodies_close(s.bodies);
		return run_no_memory();
	}
	body.type = bodies_type(s.bodies);
	e = client_send(
	    run->client, method, path, &body, NULL, NULL, &r, why, sizeof why);
	progress_clear(&s.progress);
	if (e == 0)
		code = report_sent(run, &r);
	else
		fprintf(stderr, "ocspctl: %s\n", why);
	if (bodies_unreadable(s.bodies) > 0)
		code = EXIT_USAGE;
	json_decref(r.body);
	bodies_close(s.bodies);
	free(path);
	return code;
}

int watchlist(const struct run *run)
{
	const char *verb = run->args->rest[0];

	if (strcmp(verb, "list") == 0)
		return list_all(run);
	if (strcmp(verb, "show") == 0)
		return show_list(run);
	if (strcmp(verb, "progress") == 0)
		return show_progress(run);
	if (strcmp(verb, "rm") == 0)
		return remove_it(run);
	return body_send(run, "watchlists", strcmp(verb, "put") == 0 ? "PUT" : "POST");
}
