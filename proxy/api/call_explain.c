/* call_explain.c - memory, then the store, then upstream, each through admit() with a
 * trace. */
#include "proxy/api/call_explain.h"

#include <assert.h>
#include <stdlib.h>

#include "proxy/http/api_reply.h"
#include "proxy/keeper/door.h"

struct explain_key { /* one of the certificate */
	struct explain *explain;
	struct key key;
};

struct explain {
	struct msg ended;
	struct keeper *keeper;
	struct key ask_key; /* what upstream is asked for */
	json_t *answers;
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
	json_t *answers = e->answers;

	(void)keeper;
	assert(e->over && e->waiting == 0);
	if (e->stopping) {
		json_decref(answers);
		answers = NULL;
	}
	e->done(e->arg, answers);
	free(e);
}

static void finish(struct explain *e)
{
	assert(!e->over);
	e->over = true;
	inbox_post(keeper_parts(e->keeper)->inbox, &e->ended);
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
	finish(e);
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
	if (e->over || e->ask == NULL)
		return;
	s->ops->cancel(s, e->ask);
	finish(e);
}
