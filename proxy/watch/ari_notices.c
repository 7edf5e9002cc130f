/* ari_notices.c - elements by what they say, a batch of each, an answer from the log. */
#include "proxy/watch/ari_notices.h"

#include <assert.h>
#include <stdlib.h>

#include "proxy/base/clock.h"
#include "proxy/base/log.h"
#include "proxy/tell/teller.h"

struct notice {
	struct notice *next;
	struct ari_who who;
	struct crl_entry entry;
	struct change_window window;
	bool withdrawn;
	char url[];
};

struct ari_notices {
	struct ari_core *core;
	char issuer[64];
	void (*told)(void *arg, const struct ari_who *w, size_t n);
	void *arg;
	struct notice *first, **end; /* not sent yet */
	size_t n;
	struct batch *out; /* at the teller */
};

struct batch {
	struct teller_batch ask; /* first: what comes back is this */
	struct batch *next, **at;
	struct ari_notices *notices; /* NULL: it was freed */
	struct ari_core *core;
	size_t n;
	struct ari_who who[];
};

struct ari_notices *ari_notices_new(struct ari_core *core, const char *issuer,
    void (*told)(void *arg, const struct ari_who *w, size_t n), void *arg)
{
	struct ari_notices *n = calloc(1, sizeof *n);

	if (n == NULL)
		return NULL;
	n->core = core;
	snprintf(n->issuer, sizeof n->issuer, "%s", issuer);
	n->told = told;
	n->arg = arg;
	n->end = &n->first;
	return n;
}

void ari_notices_free(struct ari_notices *n)
{
	if (n == NULL)
		return;
	for (struct batch *b = n->out; b != NULL; b = b->next)
		b->notices = NULL;
	for (struct notice *e = n->first, *next; e != NULL; e = next) {
		next = e->next;
		free(e);
	}
	free(n);
}

bool ari_notices_add(
    struct ari_notices *n, const struct ari_who *w, const struct ari_state *s)
{
	struct notice *e = calloc(1, sizeof *e + strlen(s->url) + 1);

	if (e == NULL)
		return false;
	e->who = *w;
	crl_entry_set_serial(&e->entry, &w->serial);
	e->window = (struct change_window){s->start, s->end};
	e->withdrawn = !s->known.noticed;
	strcpy(e->url, s->url);
	*n->end = e;
	n->end = &e->next;
	n->n++;
	return true;
}

bool ari_notices_has(const struct ari_notices *n, const struct ari_who *w)
{
	for (const struct notice *e = n->first; e != NULL; e = e->next)
		if (ari_who_equal(&e->who, w))
			return true;
	for (const struct batch *b = n->out; b != NULL; b = b->next)
		for (size_t i = 0; i < b->n; i++)
			if (ari_who_equal(&b->who[i], w))
				return true;
	return false;
}

/* Sending. */

static void on_answer(void *inbox_arg, struct question *q)
{
	struct batch *b = (struct batch *)q;

	(void)inbox_arg;
	assert(b->core->away > 0);
	b->core->away--;
	if (b->notices != NULL) {
		*b->at = b->next;
		if (b->next != NULL)
			b->next->at = b->at;
		/* one that was cancelled is told by the next start */
		if (b->ask.error == ERR_OK)
			b->notices->told(b->notices->arg, b->who, b->n);
	}
	change_batch_unref(b->ask.batch);
	free(b);
}

static int by_serial(const void *a, const void *b)
{
	const struct notice *const *x = a, *const *y = b;

	return crl_order(&(*x)->entry, &(*y)->entry);
}

/* These n say the same.  False: out of memory. */
static bool send_batch(struct ari_notices *n, struct notice *const *e, size_t count)
{
	struct change_batch *c = change_notices_new(count, e[0]->url, true);
	struct batch *b = calloc(1, sizeof *b + count * sizeof b->who[0]);

	if (c == NULL || b == NULL) {
		change_batch_unref(c);
		free(b);
		return false;
	}
	*b = (struct batch){.ask = {.teller = n->core->shared->teller, .batch = c},
	    .next = n->out,
	    .at = &n->out,
	    .notices = n,
	    .core = n->core,
	    .n = count};
	snprintf(c->issuer, sizeof c->issuer, "%s", n->issuer);
	c->source = CHANGE_ARI;
	c->seen_at_ms = clock_now_ms();
	c->n = (uint32_t)count;
	for (size_t i = 0; i < count; i++) {
		c->change[i].entry = e[i]->entry;
		change_set_withdrawn(&c->change[i], e[i]->withdrawn);
		c->window[i] = e[i]->window;
		b->who[i] = e[i]->who;
	}
	b->ask.question.reply_to = n->core->inbox;
	b->ask.question.done = on_answer;
	if (n->out != NULL)
		n->out->at = &b->next;
	n->out = b;
	n->core->away++;
	question_ask(&b->ask.question, n->core->shared->keeper, teller_append);
	return true;
}

static bool says_the_same(const struct notice *a, const struct notice *b)
{
	return a->withdrawn == b->withdrawn && strcmp(a->url, b->url) == 0;
}

/* Those that say what the first one says, taken out of the list: at most max. */
static size_t take_alike(struct ari_notices *n, struct notice **out, size_t max)
{
	struct notice **at = &n->first, *e;
	size_t count = 0;

	while ((e = *at) != NULL) {
		if (count < max && (count == 0 || says_the_same(out[0], e))) {
			out[count++] = e;
			*at = e->next;
		} else {
			at = &e->next;
		}
	}
	n->end = at;
	n->n -= count;
	return count;
}

void ari_notices_send(struct ari_notices *n)
{
	struct notice *alike[64];
	size_t count;

	while (n->first != NULL) {
		count = take_alike(n, alike, sizeof alike / sizeof alike[0]);
		qsort(alike, count, sizeof alike[0], by_serial);
		if (!send_batch(n, alike, count))
			log_error("notices_not_told",
			    "issuer=%s certificates=%zu err=%s "
			    "effect=%s",
			    n->issuer, count, err_label(ERR_NOMEM),
			    "told at the next start");
		while (count > 0)
			free(alike[--count]);
	}
}
