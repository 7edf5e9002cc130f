/* show.c - one function for each kind of answer. */
#include "proxy/ctl/show.h"

#include <stdlib.h>
#include <string.h>

#include "cache/base/time_text.h"
#include "proxy/ctl/args.h"

/* A list's number in decimal, as the API has it, and in hexadecimal, as openssl has it:
 * "4097 (0x1001)".  What is none is shown as it is. */
#define NUMBER_OCTETS 20 /* RFC 5280 section 5.2.3 */
#define NUMBER_MAX    (50 + 2 * NUMBER_OCTETS + 6)
static const char *number_text(const char *decimal, char out[NUMBER_MAX])
{
	unsigned char octet[NUMBER_OCTETS] = {0};
	size_t first = 0;
	char *p;

	if (decimal == NULL || decimal[0] == '\0' || strlen(decimal) > 50)
		return decimal;
	for (const char *d = decimal; *d != '\0'; d++) { /* times ten, and the digit */
		unsigned carry = (unsigned)(*d - '0');

		if (*d < '0' || *d > '9')
			return decimal;
		for (size_t i = sizeof octet; i-- > 0; carry >>= 8) {
			carry += octet[i] * 10U;
			octet[i] = (unsigned char)carry;
		}
		if (carry != 0)
			return decimal;
	}
	while (first < sizeof octet - 1 && octet[first] == 0)
		first++;
	p = out + sprintf(out, "%s (0x", decimal);
	for (; first < sizeof octet; first++)
		p += sprintf(p, "%02X", octet[first]);
	strcpy(p, ")");
	return out;
}

/* A line "name  value". */
static void line(const struct show *s, const char *name, const char *value)
{
	fprintf(s->out, "%-10s  ", name);
	show_text(s->out, value != NULL ? value : "-");
	fputc('\n', s->out);
}

/* A change. */

void show_change(const struct show *s, const json_t *data, const json_t *change)
{
	const json_t *names = json_object_get(change, "names"); /* of a watchlist */
	char name[TABLE_FIRST_MAX], label[TABLE_FIRST_MAX];
	const char *const cell[] = {table_text(data, "issuer"),
	    table_text(change, "serial"), table_text(change, "status"),
	    table_text(change, "previous"), table_text(change, "revoked_at"),
	    table_text(change, "reason"), table_first(names, name),
	    table_first(json_object_get(change, "labels"), label)};
	size_t n = sizeof cell / sizeof cell[0];

	table_line(s->out, cell, names != NULL ? n : n - 2);
}

/* A notice, an alarm. */

void show_notice(
    const struct show *s, const json_t *data, const json_t *notice, bool listed)
{
	bool withdrawn = json_is_true(json_object_get(notice, "withdrawn"));
	const char *incident = table_text(data, "incident"),
		   *deadline = table_text(data, "deadline");
	char name[TABLE_FIRST_MAX], label[TABLE_FIRST_MAX];
	const char *const cell[] = {table_text(data, "issuer"),
	    table_text(notice, "serial"), withdrawn ? "withdrawn" : "announced",
	    incident != NULL ? incident : table_text(data, "source"),
	    deadline != NULL ? deadline : table_text(notice, "replace_before"),
	    table_text(data, "url"), table_first(json_object_get(notice, "names"), name),
	    table_first(json_object_get(notice, "labels"), label)};
	size_t n = sizeof cell / sizeof cell[0];

	table_line(s->out, cell, listed ? n : n - 2);
}

void show_alarm(const struct show *s, const json_t *alarm, bool cleared)
{
	const char *const cell[] = {table_text(alarm, "issuer"),
	    table_text(alarm, "alarm"), cleared ? "cleared" : "raised",
	    table_text(alarm, "since"), table_text(alarm, "subject"),
	    table_text(alarm, "node"), table_text(alarm, "detail")};

	table_line(s->out, cell, sizeof cell / sizeof cell[0]);
}

/* Status. */

int code_status(const json_t *status)
{
	const char *word = table_text(status, "status");

	if (word == NULL)
		return -1;
	if (strcmp(word, "good") == 0)
		return EXIT_WELL;
	return strcmp(word, "revoked") == 0 ? EXIT_REVOKED : EXIT_UNDETERMINED;
}

static void evidence_rows(struct table *t, const json_t *evidence)
{
	size_t n;
	json_t *e;

	json_array_foreach(evidence, n, e) {
		char number[NUMBER_MAX];
		const char *cell[] = {"evidence", table_text(e, "kind"),
		    table_text(e, "status"), table_text(e, "this_update"),
		    table_text(e, "next_update"),
		    number_text(table_text(e, "crl_number"), number)};

		table_row(t, cell);
	}
}

int show_status(const struct show *s, const json_t *status)
{
	static const char *const heading[] = {
	    " ", "KIND", "STATUS", "THIS UPDATE", "NEXT UPDATE", "LIST"};
	static const char *const colour[] = {"\033[32m", "\033[1;31m", "\033[33m"};
	const json_t *evidence = json_object_get(status, "evidence");
	int code = code_status(status);

	if (code < 0)
		return -1;
	line(s, "issuer", table_text(status, "issuer"));
	line(s, "serial", table_text(status, "serial"));
	if (s->colour)
		fputs(colour[code], s->out);
	line(s, "status", table_text(status, "status"));
	if (s->colour)
		fputs("\033[0m", s->out);
	if (code == EXIT_REVOKED) {
		line(s, "revoked_at", table_text(status, "revoked_at"));
		line(s, "reason", table_text(status, "reason"));
	}
	if (table_text(status, "missing") != NULL)
		line(s, "missing", table_text(status, "missing"));
	if (json_is_true(json_object_get(status, "disagree")))
		line(s, "disagree", "OCSP and CRL say different things");
	if (json_array_size(evidence) > 0)
		table_print(s, heading, 6, evidence_rows, evidence);
	return code;
}

/* Explain. */

int code_explain(const json_t *explain)
{
	const json_t *answers = json_object_get(explain, "answers");
	size_t n;
	json_t *a;

	if (!json_is_array(answers))
		return -1;
	json_array_foreach(answers, n, a)
		if (!json_is_true(json_object_get(a, "admitted")))
			return EXIT_UNDETERMINED;
	return n > 0 ? EXIT_WELL : EXIT_UNDETERMINED;
}

static void check_rows(struct table *t, const json_t *answers)
{
	size_t n, m;
	json_t *a, *c;

	json_array_foreach(answers, n, a) {
		const char *admitted =
		    json_is_true(json_object_get(a, "admitted")) ? "admitted" : "refused";

		json_array_foreach(json_object_get(a, "checks"), m, c) {
			const char *cell[] = {table_text(a, "from"),
			    table_text(a, "hash"), admitted, table_text(c, "check"),
			    json_is_true(json_object_get(c, "ok")) ? "ok" : "FAILED",
			    table_text(c, "code"), table_text(c, "detail")};

			table_row(t, cell);
		}
	}
}

/* What the CA says of renewing it. */
static void show_ari(const struct show *s, const json_t *ari)
{
	const char *start = table_text(ari, "window_start");

	if (!json_is_object(ari))
		return;
	if (start != NULL) {
		line(s, "renew from", start);
		line(s, "renew until", table_text(ari, "window_end"));
	}
	if (table_text(ari, "explanation_url") != NULL)
		line(s, "because", table_text(ari, "explanation_url"));
	if (table_text(ari, "asked_at") != NULL)
		line(s, "CA asked", table_text(ari, "asked_at"));
	if (table_text(ari, "last_error") != NULL)
		line(s, "CA failed", table_text(ari, "last_error"));
	line(s, "asked next", table_text(ari, "next_ask_at"));
}

int show_explain(const struct show *s, const json_t *explain)
{
	static const char *const heading[] = {
	    "FROM", "HASH", "ANSWER", "CHECK", "RESULT", "CODE", "DETAIL"};
	int code = code_explain(explain);

	if (code >= 0)
		table_print(
		    s, heading, 7, check_rows, json_object_get(explain, "answers"));
	if (code >= 0)
		show_ari(s, json_object_get(explain, "ari"));
	return code;
}

/* Latches. */

void show_latch(struct show_latches *l, const json_t *latch)
{
	static const char *const heading[] = {
	    "ISSUER", "SERIAL", "REVOKED AT", "REASON", "SEEN SINCE"};
	static const char *const field[] = {
	    "issuer", "serial", "revoked_at", "reason", "since"};
	const char *cell[5];

	for (size_t i = 0; i < 5; i++)
		cell[i] = table_text(latch, field[i]);
	l->table.show = l->show;
	l->table.heading = heading;
	l->table.columns = 5;
	table_feed(&l->table, cell);
}

void show_latches_end(struct show_latches *l)
{
	table_feed_end(&l->table);
}

/* Alarms. */

int code_alarms(const json_t *alarms)
{
	if (!json_is_array(alarms))
		return -1;
	return json_array_size(alarms) == 0 ? EXIT_WELL : EXIT_UNDETERMINED;
}

/* What to do, by our own table; NULL: it is an alarm of another version. */
static const char *remedy_of(const char *alarm)
{
	static const struct {
		const char *name, *remedy;
	} row[] = {
#define ALARM(id, name, event, level, stands_s, subject, meaning, remedy) {name, remedy},
#include "proxy/base/alarms.def"
#undef ALARM
	};

	for (size_t i = 0; alarm != NULL && i < sizeof row / sizeof row[0]; i++)
		if (strcmp(row[i].name, alarm) == 0)
			return row[i].remedy;
	return NULL;
}

static void alarm_rows(struct table *t, const json_t *alarms)
{
	const json_t *a;
	size_t n;

	json_array_foreach(alarms, n, a) {
		const char *alarm = table_text(a, "alarm");
		const char *cell[] = {alarm, table_text(a, "issuer"),
		    table_text(a, "subject"), table_text(a, "since"),
		    table_text(a, "node"), table_text(a, "detail"), remedy_of(alarm)};

		table_row(t, cell);
	}
}

int show_alarms(const struct show *s, const json_t *alarms)
{
	static const char *const heading[] = {
	    "ALARM", "ISSUER", "SUBJECT", "SINCE", "NODE", "DETAIL", "REMEDY"};

	if (json_array_size(alarms) > 0)
		table_print(s, heading, 7, alarm_rows, alarms);
	else if (s->terminal && json_is_array(alarms))
		fputs("no alarm stands\n", s->out);
	return code_alarms(alarms);
}

/* Overview. */

int code_ready(const json_t *ready)
{
	const json_t *word = json_object_get(ready, "ready");

	if (!json_is_boolean(word))
		return -1;
	return json_is_true(word) ? EXIT_WELL : EXIT_UNDETERMINED;
}

static const char *health_of(const json_t *responder)
{
	const json_t *healthy = json_object_get(responder, "healthy");

	if (json_is_null(healthy))
		return "not asked yet";
	return json_is_true(healthy) ? "healthy" : "failing";
}

static void responder_rows(struct table *t, const json_t *issuers)
{
	size_t n, m;
	json_t *i, *r;

	json_array_foreach(issuers, n, i) {
		const char *name = table_text(i, "name"),
			   *source = table_text(i, "source");
		const json_t *responders = json_object_get(i, "responders");
		const char *none[] = {name, source, NULL, NULL, NULL};

		if (json_array_size(responders) == 0)
			table_row(t, none);
		json_array_foreach(responders, m, r) {
			const char *cell[] = {name, source, table_text(r, "url"),
			    health_of(r), table_text(r, "last_error")};

			table_row(t, cell);
		}
	}
}

/* RFC 3339, as the API writes it; -1: none. */
static int64_t time_of(const json_t *object, const char *field)
{
	const char *text = table_text(object, field);
	int64_t at;

	return text != NULL && time_from_text(bytes_of(text, strlen(text)), &at) ? at
										 : -1;
}

/* In the largest unit of which there are two: "90m", "40h", "3d". */
static void age_text(int64_t s, char *out, size_t n)
{
	const struct {
		char unit;
		int64_t s;
	} row[] = {{'d', 86400}, {'h', 3600}, {'m', 60}, {'s', 1}};
	size_t i = 0;

	while (i < 3 && s < 2 * row[i].s)
		i++;
	snprintf(out, n, "%lld%c", (long long)(s / row[i].s), row[i].unit);
}

static void list_row(struct table *t, const char *issuer, const json_t *list)
{
	const json_t *n = json_object_get(list, "entries");
	int64_t from = time_of(list, "this_update"), to = time_of(list, "next_update"),
		now = t->show->now;
	char entries[24] = "", age[24] = "", number[NUMBER_MAX];
	const char *cell[] = {issuer, "list", table_text(list, "url"), "in force",
	    number_text(table_text(list, "crl_number"), number), entries, age,
	    table_text(list, "last_error")};

	if (from < 0)
		cell[3] = "none";
	else if (to >= 0 && to < now)
		cell[3] = "overdue";
	if (json_is_integer(n))
		snprintf(
		    entries, sizeof entries, "%lld", (long long)json_integer_value(n));
	if (from >= 0)
		age_text(now > from ? now - from : 0, age, sizeof age);
	table_row(t, cell);
}

static void list_rows(struct table *t, const json_t *issuers)
{
	size_t n, m;
	json_t *i, *list;

	json_array_foreach(issuers, n, i)
		json_array_foreach(json_object_get(i, "crls"), m, list)
			list_row(t, table_text(i, "name"), list);
}

static bool has_lists(const json_t *issuers)
{
	size_t n;
	json_t *i;

	json_array_foreach(issuers, n, i)
		if (json_array_size(json_object_get(i, "crls")) > 0)
			return true;
	return false;
}

static void lines(const struct show *s, const char *name, const json_t *list)
{
	size_t n;
	json_t *item;

	json_array_foreach(list, n, item)
		line(s, name, json_string_value(item));
}

int show_overview(const struct show *s, const json_t *issuers, const json_t *ready)
{
	static const char *const heading[] = {
	    "ISSUER", "SOURCE", "RESPONDER", "HEALTH", "LAST ERROR"};
	static const char *const of_lists[] = {
	    "ISSUER", " ", "LIST", "STATE", "NUMBER", "ENTRIES", "AGE", "LAST ERROR"};
	int code = code_ready(ready);

	if (code < 0 || !json_is_array(issuers))
		return -1;
	table_print(s, heading, 5, responder_rows, issuers);
	if (s->terminal && has_lists(issuers))
		fputc('\n', s->out);
	if (has_lists(issuers))
		table_print(s, of_lists, 8, list_rows, issuers);
	if (s->terminal)
		fputc('\n', s->out);
	line(s, "ready", code == EXIT_WELL ? "yes" : "no");
	lines(s, "reason", json_object_get(ready, "reasons"));
	lines(s, "degraded", json_object_get(ready, "degraded"));
	return code;
}
