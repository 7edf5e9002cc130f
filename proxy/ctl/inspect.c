/* inspect.c - what was sent waits in a queue for its line of the answer. */
#include "proxy/ctl/inspect.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "proxy/ctl/bodies.h"
#include "proxy/ctl/progress.h"

#define LINE_MAX_N ((size_t)64 << 10)

/* A certificate that was sent and is not answered yet. */
struct sent_cert {
	struct sent_cert *next;
	const char *file; /* the bodies' */
	char serial[48];
	char name[];
};

struct inspection {
	const struct run *run;
	struct bodies *bodies;
	struct progress progress;
	struct sent_cert *first, **last;
	struct table_feed table;
	char *line; /* LINE_MAX_N */
	size_t line_n;
	uint64_t good, revoked, unknown, bad;
	bool failed;
};

/* Sending. */

static void on_sent(void *arg, const struct bodies_cert *c)
{
	struct inspection *i = arg;
	const char *name = c->name != NULL ? c->name : "";
	struct sent_cert *s = malloc(sizeof *s + strlen(name) + 1);

	if (s == NULL) {
		i->failed = true;
		return;
	}
	s->next = NULL;
	s->file = c->file;
	snprintf(s->serial, sizeof s->serial, "%s", c->serial);
	memcpy(s->name, name, strlen(name) + 1);
	*i->last = s;
	i->last = &s->next;
}

static size_t read_body(void *arg, char *p, size_t room)
{
	struct inspection *i = arg;
	size_t n = bodies_read(i->bodies, p, room);

	progress_draw(
	    &i->progress, bodies_done(i->bodies), bodies_size(i->bodies), false);
	return i->failed ? CLIENT_ABORT : n;
}

/* Answers. */

static void show_row(struct inspection *i, const json_t *row, const struct sent_cert *s)
{
	static const char *const heading[] = {
	    "STATUS", "SERIAL", "ISSUER", "REVOKED AT", "REASON", "NAME", "FILE"};
	const json_t *error = json_object_get(row, "error");
	const char *issuer = table_text(row, "issuer");
	const char *cell[7] = {table_text(row, "status"), table_text(row, "serial"),
	    issuer != NULL ? issuer : table_text(row, "issuer_name"),
	    table_text(row, "revoked_at"), table_text(row, "reason"),
	    s != NULL ? s->name : NULL, s != NULL ? s->file : NULL};

	if (error != NULL) {
		cell[0] = "bad";
		cell[4] = table_text(error, "message");
	}
	i->table.heading = heading;
	i->table.columns = 7;
	progress_clear(&i->progress);
	table_feed(&i->table, cell);
}

static void print_row(struct inspection *i, json_t *row, const struct sent_cert *s)
{
	if (s != NULL) /* what is no UTF-8 in it is left out */
		json_object_set_new(row, "file", json_string(s->file));
	json_dumpf(row, i->run->show.out, JSON_COMPACT | JSON_ENSURE_ASCII);
	fputc('\n', i->run->show.out);
}

/* Of status FILE all is shown. */
static bool is_shown(const struct inspection *i, const char *status)
{
	return !i->run->show.terminal || i->run->args->command == COMMAND_STATUS ||
	       status == NULL || strcmp(status, "good") != 0;
}

static struct sent_cert *pop(struct inspection *i)
{
	struct sent_cert *s = i->first;

	i->first = s->next;
	if (i->first == NULL)
		i->last = &i->first;
	return s;
}

/* What this row is the answer to, the caller's; NULL: nobody knows.  The server may
 * answer what our own reader still holds back (a certificate that does not say who
 * issued it), so that the serial is looked at too. */
static struct sent_cert *sent_of(struct inspection *i, const json_t *row)
{
	const char *serial = table_text(row, "serial");
	struct sent_cert *s = i->first;

	while (s != NULL && strcmp(s->serial, serial != NULL ? serial : "") != 0)
		s = s->next;
	if (s == NULL)
		return NULL;
	while (i->first != s)
		free(pop(i));
	return pop(i);
}

static void take_row(struct inspection *i, json_t *row)
{
	struct sent_cert *s = sent_of(i, row);
	const char *status = table_text(row, "status");

	if (status == NULL)
		i->bad++;
	else if (strcmp(status, "revoked") == 0)
		i->revoked++;
	else if (strcmp(status, "good") == 0)
		i->good++;
	else
		i->unknown++;
	if (i->run->args->json)
		print_row(i, row, s);
	else if (is_shown(i, status))
		show_row(i, row, s);
	free(s);
}

static bool take_line(struct inspection *i)
{
	json_t *row = json_loadb(i->line, i->line_n, 0, NULL);

	i->line_n = 0;
	if (row == NULL)
		return false;
	take_row(i, row);
	json_decref(row);
	return true;
}

static bool on_answer(void *arg, const char *p, size_t n)
{
	struct inspection *i = arg;

	for (size_t at = 0; at < n; at++) {
		if (p[at] == '\n') {
			if (!take_line(i))
				return false;
		} else if (i->line_n < LINE_MAX_N) {
			i->line[i->line_n++] = p[at];
		} else {
			return false;
		}
	}
	return !ferror(i->run->show.out);
}

/* The end. */

static void show_sum(const struct inspection *i)
{
	if (i->run->args->json || !i->run->show.terminal)
		return;
	fprintf(i->run->show.out, "%llu good, %llu revoked, %llu unknown",
	    (unsigned long long)i->good, (unsigned long long)i->revoked,
	    (unsigned long long)i->unknown);
	if (i->bad > 0)
		fprintf(
		    i->run->show.out, ", %llu unreadable", (unsigned long long)i->bad);
	fputc('\n', i->run->show.out);
}

static int code_of(const struct inspection *i)
{
	uint64_t all = i->good + i->revoked + i->unknown + i->bad;

	if (i->revoked > 0)
		return EXIT_REVOKED;
	if (all == 0)
		fputs("ocspctl: no certificate in there\n", stderr);
	return i->unknown + i->bad + bodies_unreadable(i->bodies) > 0 || all == 0
		   ? EXIT_UNDETERMINED
		   : EXIT_WELL;
}

static int ask(struct inspection *i)
{
	struct client_body body = {bodies_type(i->bodies), read_body, i};
	char *path = client_query("status", "serial", i->run->args->base), why[512];
	struct reply r = {0};
	int code, e;

	if (path == NULL)
		return run_no_memory();
	e = client_send(
	    i->run->client, "POST", path, &body, on_answer, i, &r, why, sizeof why);
	free(path);
	progress_clear(&i->progress);
	table_feed_end(&i->table);
	if (e != 0)
		fprintf(stderr, "ocspctl: %s\n", why);
	if (e != 0)
		return i->revoked > 0 ? EXIT_REVOKED : EXIT_UNREACHABLE;
	if (r.status != 200) {
		code = run_server_error(&r);
		json_decref(r.body);
		return code;
	}
	show_sum(i);
	return code_of(i);
}

int inspect(const struct run *run)
{
	struct inspection i = {.run = run, .table.show = &run->show};
	int code;

	i.last = &i.first;
	i.progress = (struct progress){.what = "check", .shown = isatty(STDERR_FILENO)};
	i.line = malloc(LINE_MAX_N);
	i.bodies = bodies_open(
	    run->args->rest, (size_t)run->args->rest_n, WATCH_PEM, on_sent, &i);
	code = i.line != NULL && i.bodies != NULL ? ask(&i) : run_no_memory();
	for (struct sent_cert *s = i.first, *next; s != NULL; s = next) {
		next = s->next;
		free(s);
	}
	bodies_close(i.bodies);
	free(i.line);
	return code;
}
