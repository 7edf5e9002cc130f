/* call_status.c - evidence as JSON. */
#include "proxy/api/call_status.h"

#include <stdio.h>

#include "proxy/base/clock.h"
#include "proxy/http/api_reply.h"

static json_t *json_time(int64_t at)
{
	char text[CLOCK_TEXT_MAX];

	return clock_text(at, text) ? json_string(text) : json_null();
}

static json_t *latch_evidence(void)
{
	return json_pack("{s:s, s:s, s:n, s:n, s:n}", "kind", "latch", "status",
	    "revoked", "this_update", "next_update", "crl_number");
}

static json_t *ocsp_evidence(const struct facts *f)
{
	return json_pack("{s:s, s:s, s:o, s:o, s:n}", "kind", "ocsp", "status",
	    status_name(f->status), "this_update", json_time(f->this_update),
	    "next_update", json_time(f->next_update), "crl_number");
}

/* Is it good by the list that it names? */
static bool is_named_good(const struct evidence *st)
{
	return st->named.watch.verified && st->named.url != NULL &&
	       st->named.absence == CRL_ABSENT_GOOD;
}

/* The list that says what all of them together say, or what it is good by; NULL where
 * none is in force. */
static json_t *crl_evidence(const struct issuer *i, const struct evidence *st)
{
	char number[CRL_NUMBER_TEXT_MAX];
	bool good = st->lists.absence == CRL_ABSENT_GOOD || is_named_good(st);
	enum status status = st->crl.listed ? STATUS_REVOKED
			     : good         ? STATUS_GOOD
					    : STATUS_UNKNOWN;
	const struct crl_facts *f;
	size_t n = st->crl.listed ? st->crl.shard : crl_set_oldest(st->lists.set);

	if (is_named_good(st))
		crl_set_absence_at(st->lists.set, i, st->named.url, st->lists.now, &n);
	if (n >= st->lists.set->shards_n || !st->lists.set->shard[n].in_force)
		return NULL;
	f = &st->lists.set->shard[n].facts;
	crl_number_text(f, number);
	return json_pack("{s:s, s:s, s:o, s:o, s:s?}", "kind", "crl", "status",
	    status_name(status), "this_update", json_time(f->this_update), "next_update",
	    json_time(f->next_update), "crl_number", number[0] != '\0' ? number : NULL);
}

static json_t *evidence_json(const struct issuer *i, const struct evidence *st)
{
	const struct evidence_answer *each[] = {
	    &st->revoked, &st->good, &st->kept.refused, &st->unknown};
	json_t *list = json_array();

	if (st->kept.latched)
		json_array_append_new(list, latch_evidence());
	for (size_t n = 0; n < sizeof each / sizeof each[0]; n++)
		if (each[n]->found)
			json_array_append_new(list, ocsp_evidence(&each[n]->facts));
	json_array_append_new(list, crl_evidence(i, st)); /* NULL adds nothing */
	return list;
}

/* Why a watched one is not good by the list that it names. */
static void put_named(char *text, size_t n, const struct evidence_named *named)
{
	if (!named->watch.watched)
		text[0] = '\0';
	else if (!named->watch.verified)
		snprintf(text, n,
		    "; it is watched, but its signature was not verified: "
		    "put it as PEM");
	else if (named->url == NULL)
		snprintf(
		    text, n, "; it is watched, but which list it names is not known");
	else
		snprintf(text, n, "; it is watched, but the list that it names (%s) %s",
		    named->url, crl_absence_text_at(named->absence));
}

/* Of an unknown one: why it is not good by its absence from the lists.  NULL: nothing. */
static json_t *missing_json(const struct issuer *i, const struct evidence *st)
{
	const char *why = crl_absence_text(st->lists.absence), *of = "";
	bool of_one = st->lists.absence == CRL_ABSENT_MISSING ||
		      st->lists.absence == CRL_ABSENT_OVERDUE ||
		      st->lists.absence == CRL_ABSENT_REASONS;
	char text[1024 + WATCH_URL_MAX + 256], named[WATCH_URL_MAX + 128];

	if (st->status != STATUS_UNKNOWN || !issuer_has_lists(i) || why == NULL)
		return NULL;
	/* where each configured list has its place */
	if (of_one && st->lists.absence_list < i->crl_n && st->lists.set->joins == NULL)
		of = i->crl[st->lists.absence_list].place[0];
	put_named(named, sizeof named, &st->named);
	snprintf(text, sizeof text, "%s%s%.1024s%s", why, of[0] != '\0' ? ": " : "", of,
	    named);
	return json_text(text);
}

json_t *status_json(
    const struct issuer *i, const struct serial *s, const struct evidence *st)
{
	bool revoked = st->status == STATUS_REVOKED;
	char serial[SERIAL_HEX_MAX];

	serial_to_hex(s, serial);
	return json_pack("{s:s, s:s, s:s, s:o, s:s?, s:b, s:o, s:o*}", "issuer", i->name,
	    "serial", serial, "status", status_name(st->status), "revoked_at",
	    revoked ? json_time(st->revoked_at) : json_null(), "reason",
	    revoked ? reason_name(st->reason) : NULL, "disagree", st->disagree,
	    "evidence", evidence_json(i, st), "missing", missing_json(i, st));
}
