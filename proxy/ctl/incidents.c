/* incidents.c - a table, what is sent, and a list that is searched here. */
#include "proxy/ctl/incidents.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "proxy/ctl/bodies.h"
#include "proxy/ctl/progress.h"
#include "proxy/ctl/watchlists.h"

/* The calls. */

static void incident_row(struct table *t, const json_t *i)
{
	static const char *const field[] = {"serials", "hit", "replaced", "in_use"};
	const char *cell[8] = {
	    table_text(i, "name"), table_text(i, "deadline"), table_text(i, "issuer")};
	char count[4][24];

	for (size_t n = 0; n < 4; n++)
		cell[3 + n] = table_count(i, field[n], count[n]);
	cell[7] = table_text(i, "url");
	table_row(t, cell);
}

static void incident_rows(struct table *t, const json_t *all)
{
	size_t n;
	json_t *i;

	json_array_foreach(all, n, i)
		incident_row(t, i);
}

static int list_incidents(const struct run *run)
{
	static const char *const heading[] = {
	    "NAME", "DEADLINE", "ISSUER", "SERIALS", "HIT", "REPLACED", "IN USE", "URL"};
	json_t *all = NULL;
	int code = run_ask(run, "GET", client_query("incidents", NULL, NULL), &all);

	if (code != 0)
		return code;
	if (run->args->json)
		run_print_json(run, all);
	else
		table_print(&run->show, heading, 8, incident_rows, all);
	json_decref(all);
	return EXIT_WELL;
}

/* The certificates that it announces. */
static int show_incident(const struct run *run)
{
	const char *name = run->args->rest[1];
	json_t *i = NULL;
	int code =
	    run_ask(run, "GET", client_name_path("incidents", name, NULL, NULL), &i);

	json_decref(i);
	return code != 0 ? code : certificates_show(run, "incident", name);
}

static int remove_incident(const struct run *run)
{
	int code = run_ask(run, "DELETE",
	    client_name_path("incidents", run->args->rest[1], NULL, NULL), NULL);

	if (code == 0 && !run->args->json)
		fputs("removed\n", run->show.out);
	return code;
}

int incident(const struct run *run)
{
	const char *verb = run->args->rest[0];

	if (strcmp(verb, "list") == 0)
		return list_incidents(run);
	if (strcmp(verb, "show") == 0)
		return show_incident(run);
	if (strcmp(verb, "rm") == 0)
		return remove_incident(run);
	return body_send(run, "incidents", "PUT");
}

/* A list that is searched here. */

struct checking {
	const struct run *run;
	struct progress progress;
	struct serial *serial; /* of the list; sorted once it is whole */
	size_t n, room;
	bool nomem;
	struct table_feed table;
	uint64_t hit, all;
};

static int serial_order(const void *a, const void *b)
{
	const struct serial *x = a, *y = b;

	return x->n != y->n ? (int)x->n - (int)y->n : memcmp(x->octets, y->octets, x->n);
}

static bool on_serial(void *arg, const struct watch_cert *c)
{
	struct checking *k = arg;

	if (k->n == k->room) {
		size_t room = 2 * k->room + 1024;
		void *p = realloc(k->serial, room * sizeof k->serial[0]);

		k->nomem = p == NULL;
		if (p == NULL)
			return false;
		k->serial = p;
		k->room = room;
	}
	k->serial[k->n++] = c->serial;
	return true;
}

static int list_is_bad(const struct checking *k, const struct watch_body *body)
{
	const struct watch_error *e = watch_body_error(body);

	if (k->nomem)
		return run_no_memory();
	fprintf(stderr, "ocspctl: %s: line %llu: %s\n", k->run->args->incident,
	    (unsigned long long)e->line, e->why);
	return EXIT_USAGE;
}

static int feed_list(struct checking *k, struct bodies *b, struct watch_body *body)
{
	static char piece[64 * 1024];
	size_t n;

	while ((n = bodies_read(b, piece, sizeof piece)) > 0) {
		progress_draw(&k->progress, bodies_done(b), bodies_size(b), false);
		if (!watch_body_feed(body, bytes_of(piece, n)))
			return list_is_bad(k, body);
	}
	progress_clear(&k->progress);
	if (bodies_unreadable(b) > 0)
		return EXIT_USAGE;
	if (!watch_body_end(body))
		return list_is_bad(k, body);
	if (k->n > 0)
		qsort(k->serial, k->n, sizeof k->serial[0], serial_order);
	return 0;
}

/* 0, or an exit code. */
static int read_list(struct checking *k)
{
	const struct args *a = k->run->args;
	char *path = (char *)(uintptr_t)a->incident;
	struct watch_want want = {
	    .issuer_optional = true, .map = a->map, .each = on_serial, .arg = k};
	struct watch_body *body = NULL;
	struct bodies *b =
	    bodies_open(&path, 1, a->map != NULL ? WATCH_CSV : WATCH_PLAIN, NULL, NULL);
	int code = EXIT_UNDETERMINED;

	if (a->base != NULL && !watch_base_of(a->base, &want.base)) {
		fputs("ocspctl: --serial is hex or dec\n", stderr);
		code = EXIT_USAGE;
	} else if (b != NULL) {
		want.format = bodies_format(b);
		body = watch_body_new(&want);
		code = body != NULL ? feed_list(k, b, body) : run_no_memory();
	} else {
		code = run_no_memory();
	}
	watch_body_free(body);
	bodies_close(b);
	return code;
}

static void show_hit(struct checking *k, const struct bodies_cert *c)
{
	static const char *const heading[] = {"STATUS", "SERIAL", "NAME", "FILE"};
	const char *cell[4] = {"announced", c->serial, c->name, c->file};
	json_t *row;

	if (!k->run->args->json) {
		k->table.heading = heading;
		k->table.columns = 4;
		progress_clear(&k->progress);
		table_feed(&k->table, cell);
		return;
	}
	row = json_pack("{s:s, s:s, s:s*, s:s*}", "status", "announced", "serial",
	    c->serial, "name", c->name, "file", c->file);
	json_dumpf(row, k->run->show.out, JSON_COMPACT | JSON_ENSURE_ASCII);
	fputc('\n', k->run->show.out);
	json_decref(row);
}

static void on_mine(void *arg, const struct bodies_cert *c)
{
	struct checking *k = arg;
	struct serial s;

	if (c->name == NULL || serial_from_hex(&s, c->serial) != ERR_OK)
		return;
	k->all++;
	if (k->n == 0 || bsearch(&s, k->serial, k->n, sizeof s, serial_order) == NULL)
		return;
	k->hit++;
	show_hit(k, c);
}

static int check_files(struct checking *k)
{
	const struct args *a = k->run->args;
	struct bodies *b = bodies_open(a->rest, (size_t)a->rest_n, WATCH_PEM, on_mine, k);
	char piece[4096];
	size_t unreadable;

	if (b == NULL)
		return run_no_memory();
	while (bodies_read(b, piece, sizeof piece) > 0)
		progress_draw(&k->progress, bodies_done(b), bodies_size(b), false);
	unreadable = bodies_unreadable(b);
	bodies_close(b);
	progress_clear(&k->progress);
	table_feed_end(&k->table);
	if (k->run->show.terminal && !a->json)
		fprintf(k->run->show.out, "%llu of %llu are on the list\n",
		    (unsigned long long)k->hit, (unsigned long long)k->all);
	if (k->all == 0)
		fputs("ocspctl: no certificate in there\n", stderr);
	return k->hit > 0                      ? EXIT_REVOKED
	       : unreadable > 0 || k->all == 0 ? EXIT_UNDETERMINED
					       : EXIT_WELL;
}

int check_incident(const struct run *run)
{
	struct checking k = {.run = run, .table.show = &run->show};
	int code;

	k.progress = (struct progress){.what = "check", .shown = isatty(STDERR_FILENO)};
	code = read_list(&k);
	if (code == 0)
		code = check_files(&k);
	free(k.serial);
	return code;
}
