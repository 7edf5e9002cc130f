/* feed_print.c - the lists as people and programs see them: JSON and gauges. */
#include "proxy/lists/feed_list.h"

#include <stdio.h>
#include <string.h>

#include "proxy/base/clock.h"
#include "proxy/base/metrics.h"

#define LABELS_MAX 256

/* RFC 3339, or null where at is none. */
static json_t *time_json(bool known, int64_t at)
{
	char text[CLOCK_TEXT_MAX];

	return known && clock_text(at, text) ? json_string(text) : json_null();
}

static json_t *error_json(const struct feed_list *l)
{
	if (l->ask.error == ERR_OK)
		return json_null();
	/* what a server sent may be in it, in any bytes */
	return json_sprintf("%s: %s", err_label(l->ask.error), l->ask.why);
}

static json_t *list_json(const struct feed_list *l)
{
	const struct crl_shard *s = feed_in_force(l);
	const struct crl_facts *f = s != NULL ? &s->facts : NULL;
	static const char *const source[LEARNT_COUNT] = {"ccadb", "certificates"};
	char number[CRL_NUMBER_TEXT_MAX] = "";
	json_t *error = error_json(l), *row;

	if (f != NULL)
		crl_number_text(f, number);
	if (error == NULL) /* bytes that are no UTF-8 */
		error = json_string(err_label(l->ask.error));
	row = json_pack("{s:s, s:s?, s:o, s:o, s:o, s:o, s:o, s:o}", "url", feed_url(l),
	    "from", l->ask.from < l->urls->n ? l->urls->url[l->ask.from] : NULL,
	    "crl_number", number[0] != '\0' ? json_string(number) : json_null(),
	    "this_update", time_json(f != NULL, f != NULL ? f->this_update : 0),
	    "next_update", time_json(f != NULL, f != NULL ? f->next_update : 0),
	    "entries", s != NULL ? json_integer((json_int_t)s->n) : json_null(),
	    "fetched_at", time_json(l->ask.fetched_at != 0, l->ask.fetched_at),
	    "last_error", error);
	if (l->learnt != LEARNT_COUNT)
		json_object_set_new(row, "learnt", json_string(source[l->learnt]));
	if (l->parked)
		json_object_set_new(row, "needed", json_false());
	return row;
}

json_t *crl_feed_json(struct crl_feed *f, const struct issuer *issuer)
{
	const struct feed_issuer *i = feed_issuer_find(f, issuer->name);
	json_t *all = json_array();

	for (size_t n = 0; i != NULL && n < i->n; n++)
		if (feed_in_force(i->list[n]) != NULL || i->list[n]->parked ||
		    i->list[n]->ask.error != ERR_OK)
			json_array_append_new(all, list_json(i->list[n]));
	return all;
}

size_t crl_feed_held_back(const struct crl_feed *f, char *text, size_t n)
{
	const struct feed_issuer *i;
	char why[768];
	size_t count = 0;

	text[0] = '\0';
	LIST_FOREACH(i, &f->issuers, link)
		for (size_t k = 0; k < i->n; k++) {
			const struct feed_list *l = i->list[k];

			if (!feed_is_held_back(l, why, sizeof why) || count++ > 0)
				continue;
			snprintf(
			    text, n, "issuer %s: list %s: %s", i->name, feed_url(l), why);
		}
	return count;
}

static bool is_failing(const struct feed_list *l)
{
	return l->ask.error != ERR_OK && l->ask.error != ERR_STORE &&
	       l->ask.error != ERR_CANCELLED;
}

size_t crl_feed_failing(const struct crl_feed *f, char *text, size_t n)
{
	const struct feed_issuer *i;
	size_t count = 0;

	text[0] = '\0';
	LIST_FOREACH(i, &f->issuers, link)
		for (size_t k = 0; k < i->n; k++) {
			const struct feed_list *l = i->list[k];

			if (!is_failing(l) || count++ > 0)
				continue;
			snprintf(text, n, "issuer %s: list %s: %s: %s", i->name,
			    feed_url(l), err_label(l->ask.error), l->ask.why);
		}
	return count;
}

/* NULL: the disk has nothing against what is fetched.  (What was, and cannot be made
 * current, is held back.) */
static const char *disk_error(const struct feed_list *l)
{
	return l->ask.error == ERR_STORE ? l->ask.why : NULL;
}

size_t crl_feed_refused_by_disk(
    const struct crl_feed *f, const char **issuer, const char **why)
{
	const struct feed_issuer *i;
	size_t count = 0;

	*issuer = *why = NULL;
	LIST_FOREACH(i, &f->issuers, link)
		for (size_t n = 0; n < i->n; n++) {
			const char *error = disk_error(i->list[n]);

			if (error == NULL)
				continue;
			count++;
			*issuer = i->name;
			*why = error;
		}
	return count;
}

/* Gauges. */

static double entries(const struct feed_list *l, const struct crl_shard *s)
{
	(void)l;
	return (double)s->n;
}

static double overdue(const struct feed_list *l, const struct crl_shard *s)
{
	(void)s;
	return feed_is_over(l);
}

static double odd_entries(const struct feed_list *l, const struct crl_shard *s)
{
	(void)l;
	return (double)(s->facts.odd + s->facts.left_out);
}

static double age(const struct feed_list *l, const struct crl_shard *s)
{
	(void)l;
	return (double)(clock_now() - s->facts.this_update);
}

static double left(const struct feed_list *l, const struct crl_shard *s)
{
	(void)l;
	return (double)(s->facts.next_update - clock_now());
}

static double fetched_age(const struct feed_list *l, const struct crl_shard *s)
{
	(void)s;
	return (double)(clock_now() - l->ask.fetched_at);
}

static double too_old(const struct feed_list *l, const struct crl_shard *s)
{
	int64_t limit = l->issuer->age_alarm_ms;

	return limit > 0 && clock_now_ms() - s->facts.this_update * 1000 > limit;
}

static double number_back(const struct feed_list *l, const struct crl_shard *s)
{
	(void)s;
	return feed_number_is_back(l);
}

static double held_back(const struct feed_list *l, const struct crl_shard *s)
{
	(void)s;
	return feed_is_held_back(l, NULL, 0);
}

/* What is told of each list in force. */
static const struct list_row {
	const char *family, *help;
	double (*value)(const struct feed_list *l, const struct crl_shard *s);
} rows[] = {
    {"crl_entries", "Certificates that the list in force revokes.", entries},
    {"crl_odd_entries",
	"Entries of the list in force that were taken without what is odd in them, or "
	"left "
	"out.",
	odd_entries},
    {"crl_age_seconds", "Since thisUpdate of the list in force.", age},
    {"crl_next_update_seconds",
	"Until nextUpdate of the list in force; negative when it has passed.", left},
    {"crl_overdue", "1 while the list in force is past its nextUpdate.", overdue},
    {"crl_fetched_age_seconds", "Since the list was last fetched or found unchanged.",
	fetched_age},
    {"crl_number_back",
	"1 while the list has a lower number than one before: refused, or taken after "
	"its "
	"end.",
	number_back},
    {"crl_age_alarm", "1 while the list is older than crl-age-alarm.", too_old},
    {"crl_held_back", "1 while a fault keeps the changes of the list from being told.",
	held_back},
};

static void print_row(
    const struct crl_feed *f, struct metrics_text *t, const struct list_row *row)
{
	const struct feed_issuer *i;
	const char *help = row->help;
	char labels[LABELS_MAX];

	LIST_FOREACH(i, &f->issuers, link)
		for (size_t n = 0; n < i->n; n++) {
			const struct crl_shard *s = feed_in_force(i->list[n]);

			if (s == NULL)
				continue;
			snprintf(labels, sizeof labels, "issuer=\"%s\",list=\"%zu\"",
			    i->name, n);
			metrics_line(t, row->family, "gauge", help, labels,
			    row->value(i->list[n], s));
			help = NULL;
		}
}

static void print_failed(const struct crl_feed *f, struct metrics_text *t, bool refused)
{
	const struct feed_issuer *i;
	const char *help = refused
			       ? "Lists that were refused, by reason."
			       : "Lists that could not be fetched or read, by reason.";
	char labels[LABELS_MAX];

	LIST_FOREACH(i, &f->issuers, link)
		for (int e = 0; e < ERR_COUNT; e++) {
			if (i->failed[e] == 0 || feed_is_refusal(e) != refused)
				continue;
			snprintf(labels, sizeof labels, "issuer=\"%s\",reason=\"%s\"",
			    i->name, err_label((enum err)e));
			metrics_line(t,
			    refused ? "crl_refused_total" : "crl_fetch_failures_total",
			    "counter", help, labels, (double)i->failed[e]);
			help = NULL;
		}
}

void crl_feed_gauges(struct crl_feed *f, struct metrics_text *t)
{
	const char *issuer, *why;

	for (size_t n = 0; n < sizeof rows / sizeof rows[0]; n++)
		print_row(f, t, &rows[n]);
	metrics_line(t, "crl_refused_by_disk", "gauge",
	    "Lists that cannot be written to the state directory, or read.", "",
	    (double)crl_feed_refused_by_disk(f, &issuer, &why));
	print_failed(f, t, true);
	print_failed(f, t, false);
}
