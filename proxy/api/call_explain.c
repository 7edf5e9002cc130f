/* call_explain.c - memory, then the store, then upstream, each through admit() with a
 * trace. */
#include "proxy/api/call_explain.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>

#include "proxy/base/clock.h"
#include "proxy/http/api_reply.h"
#include "proxy/keeper/door.h"
#include "proxy/watch/ari.h"

struct explain_key { /* one of the certificate */
	struct explain *explain;
	struct key key;
};

struct explain {
	struct msg ended;
	struct keeper *keeper;
	struct key ask_key; /* what upstream is asked for */
	char issuer[64];
	struct serial serial;
	json_t *answers, *ari;
	struct ari_ask *ari_ask; /* while the thread "ari" has it */
	explain_done_fn *done;
	void *arg;
	struct source_ask *ask; /* while upstream is asked */
	size_t waiting;         /* reads of the store under way */
	bool stopping;
	bool store_told; /* a store that fails is told once, not for each key */
	bool judged;     /* upstream brought something */
	enum err verdict;
	bool over; /* `ended` is on its way */
	size_t each_n;
	struct explain_key each[];
};

static void note(void *arg, const char *check, enum err e, const char *detail)
{
	json_array_append_new(
	    arg, json_pack("{s:s, s:b, s:s, s:o}", "check", check, "ok", e == ERR_OK,
		     "code", err_label(e), "detail", json_text(detail)));
}

/* Add an entry; checks is handed over. */
static void add(struct explain *e, const char *from, const struct key *k, bool admitted,
    json_t *checks)
{
	json_array_append_new(
	    e->answers, json_pack("{s:s, s:s, s:b, s:o}", "from", from, "hash",
			    certid_hash_name((enum certid_hash)k->hash), "admitted",
			    admitted, "checks", checks));
}

/* An entry that never came to the door. */
static void add_failure(struct explain *e, const char *from, const struct key *k,
    const char *check, enum err why, const char *detail)
{
	json_t *checks = json_array();

	note(checks, check, why, detail);
	add(e, from, k, false, checks);
}

static const struct issuer *issuer_of(const struct explain *e)
{
	return issuers_find(keeper_conf(e->keeper)->issuers, &e->ask_key, NULL);
}

static void end(void *keeper, struct msg *m)
{
	struct explain *e = (struct explain *)m; /* ended is its first member */
	json_t *answers = e->answers, *ari = e->ari != NULL ? e->ari : json_null();

	(void)keeper;
	assert(e->over && e->waiting == 0);
	if (e->stopping) {
		json_decref(answers);
		json_decref(ari);
		answers = ari = NULL;
	}
	e->done(e->arg, answers, ari);
	free(e);
}

static void finish(struct explain *e)
{
	assert(!e->over);
	e->over = true;
	inbox_post(keeper_parts(e->keeper)->inbox, &e->ended);
}

/* Renewal information. */

static json_t *time_or_null(int64_t at)
{
	char text[CLOCK_TEXT_MAX];

	return at != 0 && clock_text(at, text) ? json_string(text) : json_null();
}

static json_t *text_or_null(const char *text)
{
	return text[0] != '\0' ? json_text(text) : json_null();
}

static void on_ari(void *inbox_arg, struct question *q)
{
	struct ari_ask *a = (struct ari_ask *)q;
	struct explain *e = q->owner;
	const struct ari_state *s = &a->state;

	(void)inbox_arg;
	if (e != NULL && a->found)
		e->ari = json_pack("{s:o, s:o, s:o, s:o, s:o, s:o}", "window_start",
		    time_or_null(s->start), "window_end", time_or_null(s->end),
		    "explanation_url", text_or_null(s->url), "asked_at",
		    time_or_null(s->asked_at), "next_ask_at", time_or_null(s->next_at),
		    "last_error", text_or_null(s->error));
	free(a);
	if (e == NULL)
		return;
	e->ari_ask = NULL;
	finish(e);
}

/* The last step. */
static void ask_ari(struct explain *e)
{
	struct shared *shared = keeper_parts(e->keeper)->context.shared;
	struct ari_ask *a = shared->ari != NULL ? calloc(1, sizeof *a) : NULL;

	if (a == NULL) {
		finish(e);
		return;
	}
	e->ari_ask = a;
	memcpy(a->issuer, e->issuer, sizeof a->issuer);
	a->serial = e->serial;
	a->question.reply_to = keeper_parts(e->keeper)->inbox;
	a->question.done = on_ari;
	a->question.owner = e;
	question_ask(&a->question, ari_inbox(shared->ari), ari_tell);
}

static enum err on_answer(void *arg, struct bytes der, const char *from)
{
	struct explain *e = arg;
	struct admit_trace trace = {note, json_array()};
	struct door_visit x = {.key = &e->ask_key, .from = from, .trace = &trace};
	const struct answer *a;

	e->judged = true;
	note(trace.arg, "fetch", ERR_OK, from);
	e->verdict = door_take(&keeper_parts(e->keeper)->door, &x, der, false, &a);
	if (e->verdict == ERR_REQ_ISSUER) /* a reload took it away */
		note(trace.arg, "issuer", e->verdict, err_text(e->verdict));
	add(e, "upstream", &e->ask_key, e->verdict == ERR_OK, trace.arg);
	return e->verdict;
}

/* Why nothing came: the outcome, and what each responder said last. */
static void add_unanswered(struct explain *e, enum err why)
{
	const struct issuer *i = issuer_of(e);
	char detail[4096];
	int n = snprintf(detail, sizeof detail, "%s", err_text(why));

	for (size_t u = 0; i != NULL && u < i->ocsp_n; u++) {
		struct upstream_health h;

		upstream_health(keeper_parts(e->keeper)->source, i->ocsp[u], &h);
		if (h.last_error[0] != '\0' && n < (int)sizeof detail)
			n += snprintf(detail + n, sizeof detail - (size_t)n, "; %s: %s",
			    i->ocsp[u], h.last_error);
	}
	add_failure(e, "upstream", &e->ask_key, "fetch", why, detail);
}

static void on_asked(void *arg, enum err why)
{
	struct explain *e = arg;

	e->ask = NULL;
	if (why != ERR_OK && !(e->judged && why == e->verdict))
		add_unanswered(e, why);
	ask_ari(e);
}

/* The operator asked for one question to upstream, so back-off does not stand in its way.
 */
static void ask_upstream(struct explain *e)
{
	const struct issuer *i = issuer_of(e);
	struct source *s = keeper_parts(e->keeper)->source;
	enum err why;

	if (i == NULL) {
		finish(e);
		return;
	}
	upstream_retry_now(s, i);
	why = s->ops->ask(s,
	    &(struct source_question){.issuer = i,
		.key = &e->ask_key,
		.known = answers_know(keeper_parts(e->keeper)->answers, &e->ask_key),
		.wait_ms = (int)keeper_conf(e->keeper)->answer_timeout_ms},
	    on_answer, on_asked, e, &e->ask);
	if (why != ERR_OK)
		on_asked(e, why);
}

static void store_back(struct explain *e)
{
	assert(e->waiting > 0);
	if (--e->waiting > 0)
		return;
	if (e->stopping)
		finish(e);
	else
		ask_upstream(e);
}

static void judge_stored(struct explain *e, const struct key *k, struct bytes value)
{
	struct admit_trace trace = {note, json_array()};
	struct door_visit x = {.key = k, .trace = &trace};
	enum err why = door_take_stored(&keeper_parts(e->keeper)->door, &x, value, NULL);

	if (why == ERR_REQ_ISSUER) { /* the fetch will say so */
		json_decref(trace.arg);
		return;
	}
	if (json_array_size(trace.arg) == 0)
		note(trace.arg, "record", why, err_text(why));
	add(e, "store", k, why == ERR_OK, trace.arg);
}

static void on_stored(void *arg, enum err why, struct bytes value)
{
	struct explain_key *one = arg;
	struct explain *e = one->explain;

	if (e->stopping || why == ERR_NOT_FOUND) {
		/* nothing to tell */
	} else if (why == ERR_OK) {
		judge_stored(e, &one->key, value);
	} else if (!e->store_told) {
		e->store_told = true;
		add_failure(e, "store", &one->key, "read", why, err_text(why));
	}
	store_back(e);
}

static void judge_held(struct explain *e, const struct key *k, const struct answer *a)
{
	struct admit_trace trace = {note, NULL};
	enum err why;

	if (a->error != ERR_OK) {
		add_failure(e, "memory", k, "error", (enum err)a->error,
		    "an error answer, repeated until error-ttl or unknown-ttl has "
		    "passed");
		return;
	}
	trace.arg = json_array();
	why = door_look(&keeper_parts(e->keeper)->door, k, answer_body(a), &trace);
	add(e, "memory", k, why == ERR_OK, trace.arg);
}

static void look_in_memory(struct explain *e)
{
	const struct hot *hot = keeper_parts(e->keeper)->context.shared->hot;
	bool found = false;

	e->ask_key = e->each[0].key;
	for (size_t n = 0; n < e->each_n; n++) {
		const struct key *k = &e->each[n].key;
		const struct answer *a = hot_find(hot, key_der(k));

		if (a == NULL)
			continue;
		judge_held(e, k, a);
		if (!found && a->error == ERR_OK) {
			e->ask_key = *k;
			found = true;
		}
	}
}

struct explain *explain_start(struct keeper *k, const struct issuer *i,
    const struct serial *s, explain_done_fn *done, void *arg)
{
	size_t n = issuer_keys_n(i);
	struct explain *e = calloc(1, sizeof *e + n * sizeof e->each[0]);

	if (e == NULL || (e->answers = json_array()) == NULL) {
		free(e);
		return NULL;
	}
	e->ended.run = end;
	e->keeper = k;
	e->done = done;
	e->arg = arg;
	snprintf(e->issuer, sizeof e->issuer, "%s", i->name);
	e->serial = *s;
	e->each_n = n;
	for (n = 0; n < e->each_n; n++) {
		e->each[n].explain = e;
		issuer_key_at(i, n, s, &e->each[n].key);
	}
	look_in_memory(e);

	e->waiting = e->each_n + 1; /* one is ours: they are read below */
	for (n = 0; n < e->each_n; n++)
		store_get(
		    keeper_parts(k)->store, &e->each[n].key, on_stored, &e->each[n]);
	store_back(e);
	return e;
}

void explain_stop(struct explain *e)
{
	struct source *s = keeper_parts(e->keeper)->source;

	assert(!e->stopping);
	e->stopping = true;
	if (e->ari_ask != NULL) { /* it comes back to nobody */
		e->ari_ask->question.owner = NULL;
		e->ari_ask = NULL;
		finish(e);
		return;
	}
	if (e->over || e->ask == NULL)
		return;
	s->ops->cancel(s, e->ask);
	finish(e);
}
