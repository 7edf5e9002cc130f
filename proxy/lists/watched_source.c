/* watched_source.c - rows by issuer, what is said of them, and what is an alarm. */
#include "proxy/lists/watched_source.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>

#include "cache/base/by_text.h"
#include "conf/conf.h"
#include "proxy/base/alarms.h"
#include "proxy/base/log.h"
#include "proxy/base/shared.h"
#include "proxy/lists/crl_feed.h"

/* A list that certificates of a configured issuer name. */
struct watched_row {
	const struct issuer *issuer; /* of the configuration in force */
	uint32_t number;             /* of the points */
};

struct watched_rows {
	struct watched_names *names; /* NULL: nothing was counted */
	struct watched_row *row;     /* by issuer, then number */
	size_t n;
};

struct watched_source {
	const struct context *context;
	struct crl_feed *feed;
	struct watched_rows now;
	bool said;     /* all issuers were told what is in now */
	bool unlooked; /* what is uncovered is to be looked for */
	unsigned ticks;
};

struct watched_names *watched_names_new(
    const struct inventory *v, const struct conf *conf)
{
	struct watched_names *n = calloc(1, sizeof *n);

	if (n == NULL)
		return NULL;
	n->conf = conf;
	n->cas = watch_cas_ref(v->cas);
	n->points = watch_points_ref(v->points);
	n->certificates = calloc(v->cas->n + 1, sizeof *n->certificates);
	n->by_number = calloc(v->points->n + 1, sizeof *n->by_number);
	if (n->certificates != NULL && n->by_number != NULL)
		return n;
	watched_names_free(n);
	return NULL;
}

void watched_names_free(struct watched_names *n)
{
	if (n == NULL)
		return;
	watch_cas_unref(n->cas);
	watch_points_unref(n->points);
	free(n->certificates);
	free(n->by_number);
	free(n);
}

/* Rows. */

static const char *url_of(const struct watched_rows *r, const struct watched_row *row)
{
	return watch_points_url(r->names->points, (uint16_t)row->number);
}

static int by_issuer(const void *a, const void *b)
{
	const struct watched_row *x = a, *y = b;

	if (x->issuer != y->issuer)
		return (uintptr_t)x->issuer < (uintptr_t)y->issuer ? -1 : 1;
	return (x->number > y->number) - (x->number < y->number);
}

static void rows_free(struct watched_rows *r)
{
	watched_names_free(r->names);
	free(r->row);
	*r = (struct watched_rows){0};
}

/* n is r's; false: out of memory, and it is the caller's. */
static bool rows_make(
    struct watched_rows *r, struct watched_names *n, const struct issuers *is)
{
	const struct issuer *issuer = NULL;
	uint32_t last = 0;

	*r = (struct watched_rows){.row = calloc(n->points->used + 1, sizeof *r->row)};
	if (r->row == NULL)
		return false;
	r->names = n;
	for (uint32_t k = 1; k <= n->points->n; k++) {
		const struct watch_point *p = &n->points->at[k - 1];
		const struct watch_ca *ca;

		if (p->url == NULL ||
		    n->by_number[k].verified + n->by_number[k].hinted == 0)
			continue;
		if (p->ca != last) {
			last = p->ca;
			ca = watch_cas_at(n->cas, p->ca);
			issuer = ca != NULL ? issuers_named(is, ca->issuer) : NULL;
		}
		if (issuer == NULL)
			continue;
		assert(r->n < n->points->used);
		r->row[r->n++] = (struct watched_row){issuer, k};
	}
	qsort(r->row, r->n, sizeof *r->row, by_issuer);
	return true;
}

/* The issuer's: *n of them. */
static const struct watched_row *rows_of(
    const struct watched_rows *r, const struct issuer *i, size_t *n)
{
	size_t low = 0, high = r->n, end;

	while (low < high) {
		size_t middle = low + (high - low) / 2;

		if ((uintptr_t)r->row[middle].issuer < (uintptr_t)i)
			low = middle + 1;
		else
			high = middle;
	}
	for (end = low; end < r->n && r->row[end].issuer == i;)
		end++;
	*n = end - low;
	return r->row + low;
}

static bool are_same(
    const struct watched_rows *a, const struct watched_rows *b, const struct issuer *i)
{
	size_t a_n, b_n;
	const struct watched_row *x = rows_of(a, i, &a_n), *y = rows_of(b, i, &b_n);

	for (size_t k = 0; a_n == b_n && k < a_n; k++)
		if (x[k].number != y[k].number ||
		    strcmp(url_of(a, &x[k]), url_of(b, &y[k])) != 0)
			return false;
	return a_n == b_n;
}

/* What is said. */

/* The issuer's URLs, each once though two CAs of it name it; NULL: out of memory. */
static const char **urls_of(
    const struct watched_rows *r, const struct issuer *i, size_t *n)
{
	const struct watched_row *row = rows_of(r, i, n);
	const char **url = calloc(*n + 1, sizeof *url);
	size_t once = 0;

	for (size_t k = 0; url != NULL && k < *n; k++)
		url[k] = url_of(r, &row[k]);
	if (url == NULL)
		return NULL;
	qsort(url, *n, sizeof *url, by_text);
	for (size_t k = 0; k < *n; k++)
		if (once == 0 || strcmp(url[once - 1], url[k]) != 0)
			url[once++] = url[k];
	*n = once;
	return url;
}

static bool learn(struct crl_feed *f, const char *issuer, const char **url, size_t n)
{
	struct learnt_list *l = calloc(n + 1, sizeof *l);
	bool taken = l != NULL;

	for (size_t k = 0; taken && k < n; k++)
		l[k] = (struct learnt_list){&url[k], 1};
	taken = taken && crl_feed_learn(f, issuer, LEARNT_CERTIFICATES, l, n);
	free(l);
	return taken;
}

static bool say(struct watched_source *s, const struct issuer *i)
{
	size_t n;
	const char **url = urls_of(&s->now, i, &n);
	bool taken = url != NULL;

	if (taken && i->rules.need_watched)
		taken = crl_feed_need(s->feed, i->name, url, n);
	if (taken && i->rules.learns[LEARNT_CERTIFICATES])
		taken = learn(s->feed, i->name, url, n);
	free(url);
	return taken;
}

/* before: what was said of who has the same now; NULL: nothing was. */
static void say_all(struct watched_source *s, const struct watched_rows *before)
{
	const struct issuers *is = shared_conf(s->context->shared)->issuers;

	s->said = true;
	for (size_t n = 0; n < issuers_count(is); n++) {
		const struct issuer *i = issuers_at(is, n);

		if (!i->rules.need_watched && !i->rules.learns[LEARNT_CERTIFICATES])
			continue;
		if (before == NULL || !are_same(before, &s->now, i))
			s->said = say(s, i) && s->said;
	}
}

/* Alarms. */

static void raise_uncovered(const struct watched_rows *r, const struct watched_row *row)
{
	const struct inventory_named *n = &r->names->by_number[row->number];
	char detail[100];

	snprintf(detail, sizeof detail,
	    "watched certificates that name it: %u, verified: %u",
	    n->verified + n->hinted, n->verified);
	if (alarm_raise(ALARM_UNCOVERED, row->issuer->name, url_of(r, row), detail))
		log_warn("uncovered",
		    "issuer=%s url=%.500s certificates=%u verified=%u effect=%s "
		    "remedy=%s",
		    row->issuer->name, url_of(r, row), n->verified + n->hinted,
		    n->verified, alarm_row(ALARM_UNCOVERED)->meaning,
		    alarm_row(ALARM_UNCOVERED)->remedy);
}

static bool look_at(struct watched_source *s, const struct watched_row *row, size_t n)
{
	const char **url = calloc(n, sizeof *url);
	bool *has = calloc(n, sizeof *has);
	bool known = url != NULL && has != NULL;
	size_t raised = 0;

	for (size_t k = 0; known && k < n; k++)
		url[k] = url_of(&s->now, &row[k]);
	known = known && crl_feed_has(s->feed, row->issuer->name, url, n, has);
	for (size_t k = 0; known && k < n && raised < WATCHED_URLS_MAX; k++)
		if (!has[k]) {
			raise_uncovered(&s->now, &row[k]);
			raised++;
		}
	free(url);
	free(has);
	return known;
}

static void look_for_uncovered(struct watched_source *s)
{
	size_t n;
	bool known = true;

	alarms_round_begin(ALARM_UNCOVERED);
	for (size_t k = 0; k < s->now.n; k += n) {
		const struct watched_row *row = &s->now.row[k];

		rows_of(&s->now, row->issuer, &n);
		if (issuer_has_lists(row->issuer))
			known = look_at(s, row, n) && known;
	}
	if (known)
		alarms_round_end(ALARM_UNCOVERED, NULL, NULL);
	s->unlooked = !known;
}

/* A CA that is none of ours. */
struct watched_stranger {
	char subject[ALARM_SUBJECT_MAX];
	uint32_t certificates;
};

static void name_stranger(struct watched_stranger *w, const struct watch_ca *ca)
{
	char hex[2 * WATCH_AKI_MAX + 1] = "";

	hex_encode(ca->aki, ca->aki_n, hex);
	snprintf(w->subject, sizeof w->subject, "%s",
	    ca->dn[0] != '\0' ? ca->dn
	    : ca->aki_n > 0   ? hex
			      : ca->issuer);
}

static int by_subject(const void *a, const void *b)
{
	return strcmp(((const struct watched_stranger *)a)->subject,
	    ((const struct watched_stranger *)b)->subject);
}

static void raise_not_configured(const struct watched_stranger *w)
{
	char detail[64];

	snprintf(detail, sizeof detail, "watched certificates: %u", w->certificates);
	if (alarm_raise(ALARM_NOT_CONFIGURED, "", w->subject, detail))
		log_warn("not_configured",
		    "ca=%.500s certificates=%u effect=%s remedy=%s", w->subject,
		    w->certificates, alarm_row(ALARM_NOT_CONFIGURED)->meaning,
		    alarm_row(ALARM_NOT_CONFIGURED)->remedy);
}

static size_t find_strangers(const struct watched_names *names, const struct issuers *is,
    struct watched_stranger *out)
{
	size_t n = 0;

	for (size_t k = 0; k < names->cas->n && n < WATCHED_CAS_MAX; k++) {
		const struct watch_ca *ca = &names->cas->ca[k];

		if (names->certificates[k] == 0 || issuers_named(is, ca->issuer) != NULL)
			continue;
		name_stranger(&out[n], ca);
		out[n++].certificates = names->certificates[k];
	}
	return n;
}

/* CAs of one DN, with different keys, are one subject. */
static void look_for_strangers(const struct watched_source *s)
{
	const struct watched_names *names = s->now.names;
	size_t room = names->cas->n < WATCHED_CAS_MAX ? names->cas->n : WATCHED_CAS_MAX;
	struct watched_stranger *all = calloc(room + 1, sizeof *all);
	size_t n;

	if (all == NULL)
		return;
	n = find_strangers(names, shared_conf(s->context->shared)->issuers, all);
	qsort(all, n, sizeof *all, by_subject);
	alarms_round_begin(ALARM_NOT_CONFIGURED);
	for (size_t k = 0; k < n; k++)
		if (k + 1 < n && strcmp(all[k].subject, all[k + 1].subject) == 0)
			all[k + 1].certificates += all[k].certificates;
		else
			raise_not_configured(&all[k]);
	alarms_round_end(ALARM_NOT_CONFIGURED, NULL, NULL);
	free(all);
}

static void look(struct watched_source *s)
{
	if (s->now.names == NULL || !s->unlooked)
		return;
	/* which names a list has it says itself */
	if (crl_feed_tried_all(s->feed))
		look_for_uncovered(s);
}

/* Being told. */

void watched_source_hear(struct watched_source *s, struct watched_names *n)
{
	const struct conf *c = shared_conf(s->context->shared);
	struct watched_rows before = s->now;

	if (n->conf != c || !rows_make(&s->now, n, c->issuers)) {
		watched_names_free(n);
		s->now = before; /* until the next one */
		return;
	}
	say_all(s, before.names != NULL && s->said ? &before : NULL);
	rows_free(&before);
	look_for_strangers(s);
	s->unlooked = true;
	look(s);
}

void watched_source_tick(struct watched_source *s)
{
	if (s->now.names == NULL)
		return;
	if (!s->said)
		say_all(s, NULL);
	if (++s->ticks % WATCHED_LOOK_S == 0)
		s->unlooked = true;
	look(s);
}

void watched_source_reload(struct watched_source *s)
{
	rows_free(&s->now); /* its rows name issuers that go */
}

/* Life. */

struct watched_source *watched_source_new(
    const struct context *context, struct crl_feed *feed)
{
	struct watched_source *s = calloc(1, sizeof *s);

	if (s == NULL)
		return NULL;
	s->context = context;
	s->feed = feed;
	return s;
}

void watched_source_start(struct watched_source *s)
{
	crl_feed_expect(s->feed, LEARNT_CERTIFICATES);
}

void watched_source_free(struct watched_source *s)
{
	if (s == NULL)
		return;
	rows_free(&s->now);
	free(s);
}
