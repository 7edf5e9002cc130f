/* hook_desk.c - a question is a struct errand until it is answered: first the end of the
 * log where it takes that, then states, or a change of the store. */
#include "proxy/push/hook_desk.h"

#include <assert.h>
#include <openssl/crypto.h>
#include <openssl/rand.h>
#include <stdio.h>
#include <stdlib.h>

#include "proxy/base/clock.h"
#include "proxy/base/json_line.h"
#include "proxy/push/hook_made.h"
#include "proxy/push/hook_view.h"
#include "proxy/tell/teller.h"

struct hook_desk {
	struct hook_desk_config config;
	size_t asked; /* questions that are not answered */
	bool stopping;
};

struct errand {
	struct teller_ask end; /* first: it comes back as this */
	struct hook_desk *desk;
	struct hook_ask *ask;
	const struct webhook *before, *w; /* references, or NULL: of a change */
	char secret[WEBHOOK_SECRET_TEXT]; /* that was made; or "" */
	char test[32];                    /* the id of a test */
	size_t waiting;                   /* states to come */
	size_t n;
	struct seen {
		struct errand *errand;
		const struct webhook *w; /* a reference */
		bool known;
		struct webhook_state state;
	} * seen;
};

/* Answers. */

static void errand_free(struct errand *x)
{
	for (size_t i = 0; i < x->n; i++)
		webhook_unref(x->seen[i].w);
	free(x->seen);
	webhook_unref(x->before);
	webhook_unref(x->w);
	OPENSSL_cleanse(x->secret, sizeof x->secret);
	free(x);
}

static void finish(struct errand *x, int status)
{
	struct hook_ask *a = x->ask;

	a->status = status;
	x->desk->asked--;
	errand_free(x);
	question_answer(&a->question);
}

static void refuse(struct errand *x, int status, const char *code, const char *message)
{
	x->ask->code = code;
	snprintf(x->ask->message, sizeof x->ask->message, "%s", message);
	finish(x, status);
}

static void refuse_unknown(struct errand *x)
{
	refuse(x, 404, "not_found", "no webhook has this name");
}

static void refuse_stopping(struct errand *x)
{
	refuse(x, 503, "unavailable", "ocspcached is stopping");
}

static void refuse_err(struct errand *x, enum err e)
{
	char why[256] = "", text[384];

	if (e == ERR_NOMEM) {
		refuse(x, 500, "internal", err_text(e));
	} else if (e == ERR_CONFLICT || e == ERR_NOT_FOUND) {
		refuse(x, 409, "conflict",
		    "somebody else has changed it at the same time; try again");
	} else if (e == ERR_CANCELLED) {
		refuse_stopping(x);
	} else if (e == ERR_STORE_FULL) {
		snprintf(text, sizeof text,
		    "there is no room for it: at most %d webhooks, and what the store "
		    "has",
		    HOOKS_MAX);
		refuse(x, 507, "insufficient_storage", text);
	} else {
		hook_store_is_up(x->desk->config.store, why, sizeof why);
		snprintf(text, sizeof text, "webhooks cannot be changed now%s%s",
		    why[0] != '\0' ? ": " : "", why);
		refuse(x, 503, "unavailable", text);
	}
}

/* text is handed over. */
static void finish_text(struct errand *x, int status, struct json_line *text)
{
	json_put(text, "\n");
	if (text->failed) {
		free(text->p);
		refuse_err(x, ERR_NOMEM);
		return;
	}
	x->ask->text = text->p;
	x->ask->text_n = text->n;
	finish(x, status);
}

static const struct webhook *found(struct errand *x)
{
	const struct webhook *w = hook_store_find(x->desk->config.store, x->ask->name);

	return w != NULL && hook_is_seen(x->ask->access, w) ? w : NULL;
}

/* GET: each with its state. */

static void show_all(struct errand *x)
{
	struct json_line out = {0};

	if (x->ask->what == HOOK_LIST)
		json_put(&out, "[");
	for (size_t i = 0; i < x->n; i++) {
		const struct seen *s = &x->seen[i];

		if (x->ask->what == HOOK_LIST)
			json_put(&out, i == 0 ? "\n" : ",\n");
		hook_view(&out, s->w, s->known ? &s->state : NULL, &x->end.newest, NULL);
	}
	if (x->ask->what == HOOK_LIST)
		json_put(&out, x->n == 0 ? "]" : "\n]");
	finish_text(x, 200, &out);
}

static void one_less(struct errand *x)
{
	assert(x->waiting > 0);
	if (--x->waiting == 0)
		show_all(x);
}

/* Of a Redis that is away nothing is known; the rest is shown all the same. */
static void on_state(void *arg, enum err e, const struct webhook_state *state)
{
	struct seen *s = arg;

	s->known = e == ERR_OK && state != NULL;
	if (s->known)
		s->state = *state;
	one_less(s->errand);
}

static void ask_states(struct errand *x)
{
	const struct hook_desk_config *c = &x->desk->config;

	x->waiting = 1; /* answers may come before all are asked for */
	for (size_t i = 0; i < x->n; i++) {
		struct seen *s = &x->seen[i];

		x->waiting++;
		s->known = c->live(c->arg, s->w->name, &s->state);
		if (s->known)
			one_less(x);
		else
			hook_store_state(c->store, s->w->name, on_state, s);
	}
	one_less(x);
}

static void see(struct errand *x, const struct webhook *w)
{
	x->seen[x->n++] = (struct seen){.errand = x, .w = webhook_ref(w)};
}

static void collect(struct errand *x)
{
	struct hook_store *s = x->desk->config.store;
	size_t n = x->ask->what == HOOK_LIST ? hook_store_count(s) : 1;
	const struct webhook *w;

	x->seen = calloc(n + 1, sizeof *x->seen);
	if (x->seen == NULL) {
		refuse_err(x, ERR_NOMEM);
		return;
	}
	for (size_t i = 0; x->ask->what == HOOK_LIST && i < n; i++)
		if (hook_is_seen(x->ask->access, hook_store_at(s, i)))
			see(x, hook_store_at(s, i));
	if (x->ask->what == HOOK_SHOW) {
		w = found(x);
		if (w == NULL) {
			refuse_unknown(x);
			return;
		}
		see(x, w);
	}
	ask_states(x);
}

/* Changes. */

static void show_put(struct errand *x)
{
	struct json_line out = {0};

	hook_view(
	    &out, x->w, NULL, &x->end.newest, x->secret[0] != '\0' ? x->secret : NULL);
	finish_text(x, x->before == NULL ? 201 : 200, &out);
}

static void on_changed(void *arg, enum err e)
{
	struct errand *x = arg;

	if (e != ERR_OK)
		refuse_err(x, e);
	else if (x->ask->what == HOOK_PUT)
		show_put(x);
	else
		finish(x, x->ask->what == HOOK_DROP ? 204 : 202);
}

static void write_it(struct errand *x)
{
	if (x->w == NULL)
		refuse_err(x, ERR_NOMEM);
	else
		hook_store_put(x->desk->config.store, x->w, x->before, on_changed, x);
}

static void put(struct errand *x)
{
	const struct hook_ask *a = x->ask;

	if (hook_lacks_key(a->body, x->before)) {
		refuse(x, 400, "bad_request",
		    "routing_key: missing; format \"pagerduty\" needs one");
		return;
	}
	x->w = hook_made(&(struct hook_making){.name = a->name,
			     .body = a->body,
			     .access = a->access,
			     .before = x->before,
			     .end = x->end.newest,
			     .now = clock_now()},
	    x->secret);
	write_it(x);
}

static void replay(struct errand *x)
{
	x->w = hook_moved(x->before, &x->ask->since, clock_now());
	write_it(x);
}

static void on_tested(void *arg, const char *error)
{
	struct errand *x = arg;
	struct json_line out = {0};

	if (error != NULL) {
		refuse(x, 502, "not_delivered", error);
		return;
	}
	json_put(&out, "{\"id\":");
	json_put_text(&out, x->test);
	json_put(&out, "}");
	finish_text(x, 202, &out);
}

static void test(struct errand *x)
{
	const struct hook_desk_config *c = &x->desk->config;
	uint8_t octets[12];
	char hex[2 * sizeof octets + 1];

	if (RAND_bytes(octets, sizeof octets) != 1) {
		refuse_err(x, ERR_NOMEM);
		return;
	}
	hex_encode(octets, sizeof octets, hex);
	snprintf(x->test, sizeof x->test, "test-%s", hex);
	c->test(c->arg, x->before, x->test, on_tested, x);
}

/* The end of the log. */

static void on_end(void *inbox_arg, struct question *q)
{
	struct errand *x = (struct errand *)q;

	(void)inbox_arg;
	for (size_t i = 0; i < x->end.n; i++)
		change_batch_unref(x->end.batches[i]);
	free(x->end.batches);
	if (x->ask->what != HOOK_PUT)
		collect(x); /* without it the lag is not known */
	else if (x->end.error == ERR_CANCELLED)
		refuse_stopping(x);
	else if (x->end.error != ERR_OK || x->end.newest.epoch == 0)
		refuse(x, 503, "unavailable",
		    "the change log cannot be read now, at whose end a webhook begins; "
		    "try again");
	else
		put(x);
}

static void ask_end(struct errand *x)
{
	struct shared *s = x->desk->config.shared;

	/* a place that there is not: nothing but the end comes back */
	x->end = (struct teller_ask){
	    .teller = s->teller, .from = {.epoch = UINT32_MAX}, .max_bytes = 1};
	x->end.question.reply_to = x->desk->config.inbox;
	x->end.question.done = on_end;
	question_ask(&x->end.question, s->keeper, teller_read);
}

/* In. */

static void change(struct errand *x)
{
	struct hook_store *s = x->desk->config.store;
	const struct webhook *old = hook_store_find(s, x->ask->name);

	if (old == NULL && x->ask->what == HOOK_PUT) {
		ask_end(x);
		return;
	}
	if (old != NULL && x->ask->what == HOOK_PUT && found(x) == NULL) {
		refuse(x, 403, "forbidden", "this token's webhooks have other names");
		return;
	}
	if (found(x) == NULL) {
		refuse_unknown(x);
		return;
	}
	x->before = webhook_ref(old);
	if (x->ask->what == HOOK_PUT)
		put(x);
	else if (x->ask->what == HOOK_DROP)
		hook_store_drop(s, old, on_changed, x);
	else if (x->ask->what == HOOK_REPLAY)
		replay(x);
	else
		test(x);
}

/* Without a store there are none, and can be none. */
static void refuse_store(struct errand *x)
{
	struct json_line out = {0};

	if (x->ask->what == HOOK_LIST) {
		json_put(&out, "[]");
		finish_text(x, 200, &out);
	} else if (x->ask->what == HOOK_PUT) {
		refuse(x, 409, "conflict",
		    hook_store_refusal(shared_conf(x->desk->config.shared)));
	} else {
		refuse_unknown(x);
	}
}

static void begin(struct errand *x)
{
	const struct hook_desk *d = x->desk;

	if (d->stopping)
		refuse_stopping(x);
	else if (d->config.store == NULL)
		refuse_store(x);
	else if (!hook_store_has_settled(d->config.store))
		refuse(x, 503, "unavailable",
		    "the webhooks have not been read from Redis yet; try again");
	else if (x->ask->what == HOOK_LIST || x->ask->what == HOOK_SHOW)
		ask_end(x);
	else
		change(x);
}

static void on_ask(void *inbox_arg, struct msg *m)
{
	struct hook_ask *a = (struct hook_ask *)m;
	struct errand *x = calloc(1, sizeof *x);

	(void)inbox_arg;
	if (x == NULL) {
		a->status = 500;
		a->code = "internal";
		snprintf(a->message, sizeof a->message, "%s", err_text(ERR_NOMEM));
		question_answer(&a->question);
		return;
	}
	x->desk = a->_desk;
	x->ask = a;
	x->desk->asked++;
	begin(x);
}

void hook_desk_post(struct hook_desk *d, struct hook_ask *a)
{
	a->_desk = d;
	question_ask(&a->question, d->config.inbox, on_ask);
}

/* Life. */

struct hook_desk *hook_desk_new(const struct hook_desk_config *c)
{
	struct hook_desk *d = calloc(1, sizeof *d);

	if (d == NULL)
		return NULL;
	d->config = *c;
	c->shared->hook_desk = d;
	return d;
}

void hook_desk_cancel(struct hook_desk *d)
{
	d->stopping = true;
}

bool hook_desk_is_idle(const struct hook_desk *d)
{
	return d->asked == 0;
}

void hook_desk_free(struct hook_desk *d)
{
	if (d == NULL)
		return;
	assert(d->asked == 0);
	d->config.shared->hook_desk = NULL;
	free(d);
}
