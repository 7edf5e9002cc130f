/* counts.c - the last count of each kind, and who waits for the one under way. */
#include "proxy/watch/counts.h"

#include <assert.h>
#include <stdlib.h>

#include "proxy/base/clock.h"
#include "proxy/base/json_line.h"
#include "proxy/watch/count.h"
#include "proxy/watch/known.h"
#include "proxy/watch/ledger.h"
#include "proxy/watch/watch_reply.h"

/* One kind of count. */
struct counting {
	struct watch_context *context;
	struct count *(*begin)(const struct count_want *want, const struct inventory *v);
	void (*put)(const struct watch_context *context, const struct count *c,
	    struct json_line *l);
	struct count *kept, *running; /* NULL: none */
	int64_t began_ms, kept_until_ms;
	struct watch_ask *waiting[64]; /* more than the API has connections */
	size_t waiting_n;
};

struct counts {
	struct watch_context *context;
	struct counting lists, all;
};

/* A count of its own: of a single list, or for who does not see all. */
struct counting_one {
	struct watch_context *context;
	struct watch_ask *ask;
	struct count *count;
	size_t list;
	void (*put)(const struct watch_context *context, const struct count *c,
	    struct json_line *l); /* NULL: of the list */
};

/* Text. */

static void put_number_of(struct json_line *l, const char *text, uint64_t n)
{
	json_put(l, text);
	json_put_number(l, n);
}

static void put_list(struct json_line *l, const struct count *c, size_t place)
{
	const struct watch_list *list = count_inventory(c)->list[place];
	const struct count_list *n = count_list(c, place);

	json_put(l, "{\"name\":");
	json_put_text(l, list->name);
	json_put(l,
	    list->source == WATCH_API ? ",\"source\":\"api\"" : ",\"source\":\"files\"");
	put_number_of(l, ",\"certificates\":", count_entries(c, place));
	put_number_of(l, ",\"revoked\":", n->revoked);
	put_number_of(l, ",\"announced\":", n->announced);
	put_number_of(l, ",\"replaced\":", n->replaced);
	put_number_of(l, ",\"in_use\":", n->in_use);
	put_number_of(l, ",\"not_covered\":", n->not_covered);
	json_put(l, "}");
}

static void put_lists(
    const struct watch_context *context, const struct count *c, struct json_line *l)
{
	const struct inventory *v = count_inventory(c);

	(void)context;
	json_put(l, "[");
	for (size_t n = 0; n < v->n; n++) {
		json_put(l, n > 0 ? ",\n" : "");
		put_list(l, c, n);
	}
	json_put(l, "]\n");
}

static void put_ca(
    const struct watch_context *context, struct json_line *l, const struct watch_ca *ca)
{
	const struct issuers *is = shared_conf(context->shared)->issuers;
	const struct issuer *i = issuers_named(is, ca->issuer);
	const char *dn = ca->dn;

	if (dn[0] == '\0' && i != NULL)
		dn = known_dn(context->known, i->name);
	json_put(l, "{\"issuer\":");
	json_put_text(l, i != NULL ? i->name : NULL);
	json_put(l, ",\"issuer_name\":");
	json_put_text(l, dn[0] != '\0' ? dn : NULL);
}

static void put_cas(
    const struct watch_context *context, const struct count *c, struct json_line *l)
{
	const struct watch_cas *cas = count_inventory(c)->cas;
	const char *comma = "";

	for (size_t n = 0; n < cas->n; n++) {
		if (count_of_ca(c, n) == 0)
			continue;
		json_put(l, comma);
		put_ca(context, l, &cas->ca[n]);
		put_number_of(l, ",\"certificates\":", count_of_ca(c, n));
		json_put(l, "}");
		comma = ",";
	}
}

static void put_summary(
    const struct watch_context *context, const struct count *c, struct json_line *l)
{
	const struct inventory *v = count_inventory(c);
	const struct count_status *s = count_status(c);
	const struct watch_expiry *x = count_expiry(c);

	put_number_of(l, "{\"certificates\":", s->good + s->revoked + s->unknown);
	json_put(l, ",\"issuers\":[");
	put_cas(context, c, l);
	put_number_of(l, "],\"status\":{\"good\":", s->good);
	put_number_of(l, ",\"revoked\":", s->revoked);
	put_number_of(l, ",\"unknown\":", s->unknown);
	json_put(l, "},\"watchlists\":[");
	for (size_t n = 0; n < v->n; n++) {
		json_put(l, n > 0 ? ",{\"name\":" : "{\"name\":");
		json_put_text(l, v->list[n]->name);
		put_number_of(l, ",\"certificates\":", count_entries(c, n));
		json_put(l, "}");
	}
	put_number_of(l, "],\"expiry\":{\"expired\":", x->expired);
	put_number_of(l, ",\"7\":", x->in_7);
	put_number_of(l, ",\"30\":", x->in_30);
	put_number_of(l, ",\"90\":", x->in_90);
	put_number_of(l, ",\"more\":", x->more);
	json_put(l, "}}\n");
}

/* Counting. */

static void answer_all(struct counting *k, enum err e)
{
	for (size_t n = 0; n < k->waiting_n; n++) {
		struct json_line l = {0};

		if (e == ERR_OK)
			k->put(k->context, k->kept, &l);
		if (e == ERR_OK)
			watch_reply(k->waiting[n], &l);
		else
			watch_reply_fail(k->waiting[n], k->context, e);
		free(l.p);
	}
	k->waiting_n = 0;
}

static bool is_fresh(const struct counting *k)
{
	return k->kept != NULL && clock_mono_ms() < k->kept_until_ms &&
	       count_inventory(k->kept) == ledger_inventory(k->context->shared);
}

static void on_counted(void *arg, enum err e)
{
	struct counting *k = arg;
	int64_t now = clock_mono_ms();

	count_free(k->kept);
	k->kept = NULL;
	if (e == ERR_OK)
		k->kept = k->running;
	else
		count_free(k->running);
	k->running = NULL;
	k->kept_until_ms = now + COUNTS_KEEP * (now - k->began_ms);
	answer_all(k, e);
	if (!is_fresh(k)) {
		count_free(k->kept);
		k->kept = NULL;
	}
}

static void ask(struct counting *k, struct watch_ask *a)
{
	struct count_want want = {k->context, NULL, on_counted, k};

	if (k->waiting_n == sizeof k->waiting / sizeof k->waiting[0]) {
		watch_reply_fail(a, k->context, ERR_NOMEM);
		return;
	}
	k->waiting[k->waiting_n++] = a;
	if (k->running != NULL)
		return;
	if (is_fresh(k)) {
		answer_all(k, ERR_OK);
		return;
	}
	k->began_ms = clock_mono_ms();
	k->running = k->begin(&want, ledger_inventory(k->context->shared));
	if (k->running == NULL)
		answer_all(k, ERR_NOMEM);
}

void counts_forget(struct counts *c)
{
	count_free(c->lists.kept);
	count_free(c->all.kept);
	c->lists.kept = c->all.kept = NULL;
}

static void on_counted_one(void *arg, enum err e)
{
	struct counting_one *o = arg;
	struct json_line l = {0};

	if (e == ERR_OK && o->put != NULL) {
		o->put(o->context, o->count, &l);
	} else if (e == ERR_OK) {
		put_list(&l, o->count, o->list);
		json_put(&l, "\n");
	}
	if (e == ERR_OK)
		watch_reply(o->ask, &l);
	else
		watch_reply_fail(o->ask, o->context, e);
	free(l.p);
	count_free(o->count);
	free(o);
}

/* What was counted for all says too much to who sees less: counted for him alone, of what
 * he sees.  Nobody who may see that little has many of them. */
static void ask_narrow(struct counting *k, struct watch_ask *a)
{
	const struct inventory *v =
	    access_inventory(a->access, ledger_inventory(k->context->shared));
	struct counting_one *o = calloc(1, sizeof *o);

	if (o != NULL && v != NULL) {
		struct count_want want = {k->context, a->access, on_counted_one, o};

		*o =
		    (struct counting_one){.context = k->context, .ask = a, .put = k->put};
		o->count = k->begin(&want, v);
	}
	inventory_unref(v);
	if (o == NULL || o->count == NULL) {
		free(o);
		watch_reply_fail(a, k->context, ERR_NOMEM);
	}
}

void counts_lists(struct counts *c, struct watch_ask *a)
{
	if (access_is_narrow(a->access))
		ask_narrow(&c->lists, a);
	else
		ask(&c->lists, a);
}

void counts_summary(struct counts *c, struct watch_ask *a)
{
	if (access_is_narrow(a->access))
		ask_narrow(&c->all, a);
	else
		ask(&c->all, a);
}

void counts_list(struct counts *c, struct watch_ask *a)
{
	const struct inventory *v = ledger_inventory(c->context->shared);
	size_t list = inventory_place(v, a->name);
	struct counting_one *o;
	struct refusal r;

	if (list == v->n) {
		refusal_of_list(&r, c->context);
		watch_reply_refuse(a, &r);
		return;
	}
	o = calloc(1, sizeof *o);
	if (o != NULL) {
		struct count_want want = {c->context, a->access, on_counted_one, o};

		*o = (struct counting_one){.context = c->context, .ask = a, .list = list};
		o->count = count_of_lists(&want, v, list, list + 1);
	}
	if (o == NULL || o->count == NULL) {
		free(o);
		watch_reply_fail(a, c->context, ERR_NOMEM);
	}
}

static struct count *begin_lists(const struct count_want *want, const struct inventory *v)
{
	return count_of_lists(want, v, 0, v->n);
}

struct counts *counts_new(struct watch_context *context)
{
	struct counts *c = calloc(1, sizeof *c);

	if (c == NULL)
		return NULL;
	c->context = context;
	c->lists =
	    (struct counting){.context = context, .begin = begin_lists, .put = put_lists};
	c->all = (struct counting){
	    .context = context, .begin = count_of_all, .put = put_summary};
	return c;
}

void counts_free(struct counts *c)
{
	if (c == NULL)
		return;
	assert(c->lists.running == NULL && c->all.running == NULL);
	count_free(c->lists.kept);
	count_free(c->all.kept);
	free(c);
}
