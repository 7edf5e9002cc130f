/* hook_format.c - one function a form. */
#include "proxy/push/hook_format.h"

#include <assert.h>
#include <jansson.h>
#include <openssl/sha.h>
#include <stdio.h>

#define TEXTS_MAX   8   /* names, or labels, of one certificate in a summary */
#define SUBJECT_MAX 100 /* of PagerDuty's dedup_key, which may have 255 octets */

/* Writing. */

static void put_key(struct json_line *l, const char *key)
{
	json_put_text(l, key);
	json_put(l, ":");
}

static void put_pair(
    struct json_line *l, const char *before, const char *key, const char *v)
{
	json_put(l, before);
	put_key(l, key);
	json_put_text(l, v);
}

static void put_time(struct json_line *l, const char *before, const char *key, int64_t at)
{
	json_put(l, before);
	put_key(l, key);
	json_put_time(l, at);
}

/* A string of an object; "" where it has none. */
static const char *text_of(const json_t *of, const char *key)
{
	const char *s = json_string_value(json_object_get(of, key));

	return s != NULL ? s : "";
}

/* Words about one element of an event, as ocspctl watch has them: no quotes around, and
 * escaped where they stand. */
struct words {
	struct json_line *out;
	void (*put)(struct json_line *out, const char *text); /* inside of a string */
};

static void say(const struct words *w, const char *text)
{
	w->put(w->out, text);
}

static void say_also(const struct words *w, const char *before, const char *text)
{
	if (text[0] == '\0')
		return;
	say(w, before);
	say(w, text);
}

/* The first few: a summary is no list. */
static void say_all(const struct words *w, const char *before, const json_t *texts)
{
	const json_t *one;
	size_t i;

	json_array_foreach(texts, i, one) {
		if (i == TEXTS_MAX) {
			say(w, ", ...");
			return;
		}
		say_also(w, i == 0 ? before : ", ", json_string_value(one));
	}
}

/* The inside of a JSON string. */
static void put_inside(struct json_line *out, const char *text)
{
	size_t from = out->n;

	json_put_text(out, text);
	if (out->failed)
		return;
	/* without the quotes that it came with */
	memmove(out->p + from, out->p + from + 1, out->n - from - 2);
	out->n -= 2;
}

/* Slack's: three characters are its own. */
static void put_slack(struct json_line *out, const char *text)
{
	for (; *text != '\0' && !out->failed; text++) {
		size_t plain = strcspn(text, "&<>");
		char run[128];

		if (plain == 0) {
			json_put(out, *text == '&'   ? "&amp;"
				      : *text == '<' ? "&lt;"
						     : "&gt;");
			continue;
		}
		if (plain > sizeof run - 1)
			plain = sizeof run - 1;
		/* not in the middle of a character */
		while (plain > 1 && ((unsigned char)text[plain] & 0xc0) == 0x80)
			plain--;
		snprintf(run, sizeof run, "%.*s", (int)plain, text);
		put_inside(out, run);
		text += plain - 1;
	}
}

static void say_number(const struct words *w, const json_t *data, const char *key)
{
	char text[32];

	snprintf(text, sizeof text, "%lld",
	    (long long)json_integer_value(json_object_get(data, key)));
	say(w, text);
}

/* What each type has to say. */

static void say_change(const struct words *w, const json_t *data, const json_t *c)
{
	say(w, text_of(data, "issuer"));
	say(w, " ");
	say(w, text_of(c, "serial"));
	say(w, " ");
	say(w, text_of(c, "status"));
	say_also(w, ", ", text_of(c, "reason"));
	say_also(w, ", ", text_of(c, "revoked_at"));
	say_all(w, ": ", json_object_get(c, "names"));
	say_all(w, "; ", json_object_get(c, "labels"));
}

static void say_notice(const struct words *w, const json_t *data, const json_t *n)
{
	bool withdrawn = json_is_true(json_object_get(n, "withdrawn"));

	say(w, text_of(data, "issuer"));
	say(w, " ");
	say(w, text_of(n, "serial"));
	say(w, withdrawn ? " need not be replaced any more" : " has to be replaced");
	say_also(w, " until ", text_of(data, "deadline"));
	say_also(w, " until ", text_of(n, "replace_before"));
	say_also(w, ", ", text_of(data, "incident"));
	say_also(w, ", ", text_of(data, "url"));
	say_all(w, ": ", json_object_get(n, "names"));
	say_all(w, "; ", json_object_get(n, "labels"));
}

static void say_alarm(const struct words *w, const json_t *data, const json_t *a)
{
	say(w, text_of(a, "alarm"));
	say_also(w, " ", text_of(a, "issuer"));
	say_also(w, " ", text_of(a, "subject"));
	say_also(w, ": ", text_of(a, "detail"));
	say_also(w, " on ", text_of(data, "node"));
}

static void say_gap(const struct words *w, const json_t *data, const json_t *none)
{
	(void)none;
	say(w, "what followed ");
	say(w, text_of(data, "since"));
	say(w, " is no longer kept; the oldest is ");
	say(w, text_of(data, "oldest"));
}

static void say_many(const struct words *w, const json_t *data, const json_t *none)
{
	(void)none;
	say_number(w, data, "count");
	say(w, " certificates at once, from ");
	say(w, text_of(data, "first"));
	say(w, " to ");
	say(w, text_of(data, "last"));
	say_also(w, ": ", text_of(data, "url"));
}

static void say_test(const struct words *w, const json_t *data, const json_t *none)
{
	(void)data, (void)none;
	say(w, "this is a test");
}

/* A type: what its event has in arrays, and what PagerDuty and Alertmanager make of it.
 */
static const struct kind {
	const char *type, *array[2]; /* the second one: what is over */
	void (*say)(const struct words *w, const json_t *data, const json_t *item);
	const char *alert;    /* alertname; NULL: each has its own */
	const char *severity; /* PagerDuty's */
} kinds[] = {
    {"changes", {"changes", NULL}, say_change, "ocspcached_change", "critical"},
    {"notices", {"notices", NULL}, say_notice, "ocspcached_notice", "warning"},
    {"alarms", {"raised", "cleared"}, say_alarm, NULL, "error"},
    {"gap", {NULL, NULL}, say_gap, "ocspcached_gap", "error"},
    {"changes.many", {NULL, NULL}, say_many, "ocspcached_changes_many", "critical"},
    {"notices.many", {NULL, NULL}, say_many, "ocspcached_notices_many", "warning"},
    {"test", {NULL, NULL}, say_test, "ocspcached_test", "info"},
};

static const struct kind *kind_of(const char *type)
{
	for (size_t i = 0; i < sizeof kinds / sizeof kinds[0]; i++)
		if (strcmp(type, kinds[i].type) == 0)
			return &kinds[i];
	assert(!"a type that is none");
	return NULL;
}

/* Every element of an event, and whether it is over; an event without any is one. */
struct hook_part {
	const struct hook_message *m;
	const struct kind *kind;
	const json_t *data, *item;
	bool over;
	size_t at; /* which of them it is */
};
typedef void part_fn(const struct hook_part *p, struct json_line *out);

static bool is_over(const struct kind *k, size_t array, const json_t *item)
{
	const char *status = text_of(item, "status");

	return array == 1 || json_is_true(json_object_get(item, "withdrawn")) ||
	       (k->say == say_change && strcmp(status, "revoked") != 0);
}

static size_t each_part(
    const struct hook_message *m, const json_t *data, part_fn *put, struct json_line *out)
{
	struct hook_part p = {.m = m, .kind = kind_of(m->type), .data = data};

	if (p.kind->array[0] == NULL) {
		put(&p, out);
		return 1;
	}
	for (size_t a = 0; a < 2 && p.kind->array[a] != NULL; a++) {
		const json_t *items = json_object_get(data, p.kind->array[a]);
		size_t i;

		json_array_foreach(items, i, p.item) {
			p.over = is_over(p.kind, a, p.item);
			put(&p, out);
			p.at++;
		}
	}
	return p.at;
}

/* The data as it is. */

static void put_data(
    const struct hook_message *m, const json_t *data, struct json_line *out)
{
	(void)data;
	put_key(out, "data");
	json_put_bytes(out, m->data.p, m->data.n);
	json_put(out, "}");
}

static void write_standard(
    const struct hook_message *m, const json_t *data, struct json_line *out)
{
	put_pair(out, "{", "type", m->type);
	put_time(out, ",", "timestamp", m->at);
	json_put(out, ",");
	put_data(m, data, out);
}

/* CloudEvents 1.0, structured mode. */
static void write_cloudevents(
    const struct hook_message *m, const json_t *data, struct json_line *out)
{
	put_pair(out, "{", "specversion", "1.0");
	put_pair(out, ",", "id", m->id);
	put_pair(out, ",", "source", m->source[0] != '\0' ? m->source : "ocspcached");
	json_put(out, ",\"type\":\"ocspcached.");
	put_inside(out, m->type);
	json_put(out, "\"");
	put_time(out, ",", "time", m->at);
	put_pair(out, ",", "datacontenttype", "application/json");
	json_put(out, ",");
	put_data(m, data, out);
}

/* Slack: a line each. */

static void slack_part(const struct hook_part *p, struct json_line *out)
{
	const struct words w = {out, put_slack};

	if (p->at >= HOOK_LINES)
		return;
	json_put(out, p->at > 0 ? "\\n" : "");
	if (p->over && p->kind->alert == NULL)
		say(&w, "over: ");
	p->kind->say(&w, p->data, p->item);
}

static void write_slack(
    const struct hook_message *m, const json_t *data, struct json_line *out)
{
	char more[64];
	size_t n;

	json_put(out, "{\"text\":\"ocspcached: ");
	n = each_part(m, data, slack_part, out);
	snprintf(more, sizeof more, "\\n%zu more", n > HOOK_LINES ? n - HOOK_LINES : 0);
	json_put(out, n > HOOK_LINES ? more : "");
	json_put(out, "\"}");
}

/* Alertmanager: POST /api/v2/alerts takes an array of alerts, each told apart by its
 * labels. */

static const char *alert_of(const struct hook_part *p)
{
	return p->kind->alert != NULL ? p->kind->alert : text_of(p->item, "alarm");
}

static void put_label(
    struct json_line *out, const char *key, const char *value, const char *or_else)
{
	if (value[0] == '\0')
		value = or_else;
	if (value[0] != '\0')
		put_pair(out, ",", key, value);
}

static void alert_part(const struct hook_part *p, struct json_line *out)
{
	const struct words w = {out, put_inside};

	json_put(out, p->at > 0 ? ",{\"labels\":{" : "{\"labels\":{");
	put_pair(out, "", "alertname", alert_of(p));
	put_label(out, "issuer", text_of(p->item, "issuer"), text_of(p->data, "issuer"));
	put_label(out, "serial", text_of(p->item, "serial"), "");
	put_label(out, "subject", text_of(p->item, "subject"), "");
	put_label(out, "incident", text_of(p->data, "incident"), "");
	put_label(out, "node", text_of(p->item, "node"), text_of(p->data, "node"));
	put_pair(out, ",", "severity", p->kind->severity);
	json_put(out, "},\"annotations\":{\"summary\":\"");
	p->kind->say(&w, p->data, p->item);
	json_put(out, "\"}");
	put_time(out, ",", p->over ? "endsAt" : "startsAt", p->m->at);
	json_put(out, "}");
}

static void write_alertmanager(
    const struct hook_message *m, const json_t *data, struct json_line *out)
{
	json_put(out, "[");
	each_part(m, data, alert_part, out);
	json_put(out, "]");
}

/* PagerDuty, Events API v2: one event a body.  An alarm that is over resolves what it
 * triggered, by its key; everything else is an incident of its own, by the body's id. */

/* A long subject (a URL) by its hash: a key that is cut would be another's too. */
static void put_subject(struct json_line *out, const char *subject)
{
	uint8_t hash[SHA256_DIGEST_LENGTH];
	char text[2 * sizeof hash + 1];
	size_t n = strlen(subject);

	if (n > SUBJECT_MAX) {
		SHA256((const uint8_t *)subject, n, hash);
		hex_encode(hash, sizeof hash, text);
		subject = text;
	}
	put_inside(out, subject);
}

static void put_dedup_key(
    const struct hook_message *m, const json_t *alarm, struct json_line *out)
{
	if (alarm == NULL) {
		put_pair(out, ",", "dedup_key", m->id);
		return;
	}
	json_put(out, ",\"dedup_key\":\"");
	put_inside(out, text_of(alarm, "alarm"));
	json_put(out, "/");
	put_inside(out, text_of(alarm, "issuer"));
	json_put(out, "/");
	put_subject(out, text_of(alarm, "subject"));
	json_put(out, "\"");
}

static void summary_part(const struct hook_part *p, struct json_line *out)
{
	const struct words w = {out, put_inside};

	if (p->at == 0)
		p->kind->say(&w, p->data, p->item);
}

/* The one alarm of the event, or NULL. */
static const json_t *alarm_of(const struct kind *k, const json_t *data, bool *over)
{
	const json_t *raised, *cleared;

	*over = false;
	if (k->say != say_alarm)
		return NULL;
	raised = json_array_get(json_object_get(data, "raised"), 0);
	cleared = json_array_get(json_object_get(data, "cleared"), 0);
	*over = raised == NULL;
	return raised != NULL ? raised : cleared;
}

static void write_pagerduty(
    const struct hook_message *m, const json_t *data, struct json_line *out)
{
	const struct kind *k = kind_of(m->type);
	bool over;
	const json_t *alarm = alarm_of(k, data, &over);
	size_t n;
	char more[64];

	put_pair(out, "{", "routing_key", m->routing_key);
	put_pair(out, ",", "event_action", over ? "resolve" : "trigger");
	put_dedup_key(m, alarm, out);
	json_put(out, ",\"payload\":{\"summary\":\"");
	n = each_part(m, data, summary_part, out);
	if (n > 1) {
		snprintf(more, sizeof more, " (and %zu more)", n - 1);
		json_put(out, more);
	}
	json_put(out, "\"");
	put_pair(out, ",", "source", m->source[0] != '\0' ? m->source : "ocspcached");
	put_pair(out, ",", "severity", k->severity);
	put_time(out, ",", "timestamp", m->at);
	json_put(out, ",\"custom_details\":");
	json_put_bytes(out, m->data.p, m->data.n);
	json_put(out, "}}");
}

static const struct form {
	const char *content_type;
	void (*write)(
	    const struct hook_message *m, const json_t *data, struct json_line *out);
	bool single;
} forms[WEBHOOK_FORMATS] = {
    [WEBHOOK_STANDARD] = {"application/json", write_standard, false},
    [WEBHOOK_SLACK] = {"application/json", write_slack, false},
    [WEBHOOK_ALERTMANAGER] = {"application/json", write_alertmanager, false},
    [WEBHOOK_PAGERDUTY] = {"application/json", write_pagerduty, true},
    [WEBHOOK_CLOUDEVENTS] = {"application/cloudevents+json", write_cloudevents, false},
};

bool hook_format_is_single(enum webhook_format f)
{
	return forms[f].single;
}

const char *hook_format_content_type(enum webhook_format f)
{
	return forms[f].content_type;
}

bool hook_format_write(
    enum webhook_format f, const struct hook_message *m, struct json_line *out)
{
	json_t *data = json_loadb((const char *)m->data.p, m->data.n, 0, NULL);
	bool ok = json_is_object(data);

	if (ok)
		forms[f].write(m, data, out);
	json_decref(data);
	return ok;
}
