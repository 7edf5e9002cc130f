/* alarms.c - what stands, and who asks for it. */
#include "proxy/base/alarms_table.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "proxy/base/clock.h"
#include "proxy/base/log.h"
#include "proxy/base/metrics.h"

static struct alarms_table *const table = &alarms_table;

/* NULL: there is no room. */
static struct standing *find_or_add(enum alarm a, const char *issuer, const char *subject)
{
	struct standing **at;

	if (table->standing_n >= ALARMS_MAX)
		alarms_expire();
	at = alarms_place(a, issuer, subject);
	if (*at != NULL && alarms_is_up(*at, clock_mono_ms()) && alarms_end(at))
		at = alarms_place(a, issuer, subject);
	if ((*at == NULL || !(*at)->stands) && table->standing_n >= ALARMS_MAX)
		return NULL;
	return *at != NULL ? *at : alarms_add(at, a, issuer, subject);
}

/* True: it did not stand. */
static bool raise_it(
    enum alarm a, const char *issuer, const char *subject, const char *detail, bool again)
{
	char key[ALARM_SUBJECT_MAX];
	struct standing *s;
	bool fresh;

	assert(a < ALARM_COUNT && strlen(issuer) < ALARM_ISSUER_MAX);
	alarms_text(key, sizeof key, subject);
	pthread_mutex_lock(&table->mutex);
	s = find_or_add(a, issuer, key);
	fresh = s == NULL || !s->stands;
	if (s != NULL) {
		s->fresh = true;
		s->last_ms = clock_mono_ms();
		alarms_text(s->detail, sizeof s->detail, detail);
		alarms_stand(s, fresh || again);
	} else {
		table->left_out++;
	}
	pthread_mutex_unlock(&table->mutex);
	return fresh;
}

bool alarm_raise(
    enum alarm a, const char *issuer, const char *subject, const char *detail)
{
	return raise_it(a, issuer, subject, detail, false);
}

bool alarm_raise_again(
    enum alarm a, const char *issuer, const char *subject, const char *detail)
{
	return raise_it(a, issuer, subject, detail, true);
}

bool alarm_clear(enum alarm a, const char *issuer, const char *subject)
{
	char key[ALARM_SUBJECT_MAX];
	struct standing **at;
	bool stood;

	assert(a < ALARM_COUNT);
	alarms_text(key, sizeof key, subject);
	pthread_mutex_lock(&table->mutex);
	at = alarms_place(a, issuer, key);
	stood = *at != NULL && (*at)->stands;
	if (stood)
		alarms_end(at);
	pthread_mutex_unlock(&table->mutex);
	return stood;
}

struct subject_of {
	enum alarm alarm;
	char subject[ALARM_SUBJECT_MAX];
};

static bool is_another(void *arg, const struct alarm_seen *s)
{
	const struct subject_of *o = arg;

	return s->alarm != o->alarm || strcmp(s->subject, o->subject) != 0;
}

void alarm_clear_all(enum alarm a, const char *subject)
{
	struct subject_of o = {.alarm = a};

	alarms_text(o.subject, sizeof o.subject, subject);
	alarms_keep(is_another, &o);
}

bool alarm_set(
    enum alarm a, bool is_so, const char *issuer, const char *subject, const char *detail)
{
	return is_so ? alarm_raise(a, issuer, subject, detail)
		     : alarm_clear(a, issuer, subject);
}

static struct alarm_seen seen(const struct standing *s)
{
	return (struct alarm_seen){s->alarm, s->issuer, s->subject, s->detail, s->since};
}

void alarms_keep(bool (*keep)(void *arg, const struct alarm_seen *s), void *arg)
{
	pthread_mutex_lock(&table->mutex);
	for (size_t i = 0; i < ALARMS_BUCKETS; i++)
		for (struct standing **at = &table->bucket[i]; *at != NULL;) {
			struct alarm_seen s = seen(*at);

			if (!(*at)->stands || keep(arg, &s) || !alarms_end(at))
				at = &(*at)->next;
		}
	pthread_mutex_unlock(&table->mutex);
}

void alarms_round_begin(enum alarm a)
{
	pthread_mutex_lock(&table->mutex);
	for (size_t i = 0; i < ALARMS_BUCKETS; i++)
		for (struct standing *s = table->bucket[i]; s != NULL; s = s->next)
			if (s->alarm == a)
				s->fresh = false;
	pthread_mutex_unlock(&table->mutex);
}

struct round {
	enum alarm alarm;
	void (*cleared)(void *arg, const struct alarm_seen *s);
	void *arg;
};

static bool was_raised(void *arg, const struct alarm_seen *s)
{
	const struct round *r = arg;

	if (s->alarm != r->alarm ||
	    (*alarms_place(s->alarm, s->issuer, s->subject))->fresh)
		return true;
	if (r->cleared != NULL)
		r->cleared(r->arg, s);
	return false;
}

void alarms_round_end(
    enum alarm a, void (*cleared)(void *arg, const struct alarm_seen *s), void *arg)
{
	struct round r = {a, cleared, arg};

	alarms_keep(was_raised, &r);
}

static int by_name(const void *a, const void *b)
{
	const struct standing *x = *(struct standing *const *)a;
	const struct standing *y = *(struct standing *const *)b;
	int d = (x->alarm > y->alarm) - (x->alarm < y->alarm);

	if (d == 0)
		d = strcmp(x->issuer, y->issuer);
	return d != 0 ? d : strcmp(x->subject, y->subject);
}

bool alarms_each(void (*see)(void *arg, const struct alarm_seen *s), void *arg)
{
	struct standing **all;
	size_t n = 0;

	pthread_mutex_lock(&table->mutex);
	alarms_expire();
	all = malloc((table->standing_n + 1) * sizeof *all);
	if (all != NULL) {
		for (size_t i = 0; i < ALARMS_BUCKETS; i++)
			for (struct standing *s = table->bucket[i]; s != NULL;
			     s = s->next)
				if (s->stands)
					all[n++] = s;
		qsort(all, n, sizeof *all, by_name);
		for (size_t i = 0; i < n; i++) {
			struct alarm_seen s = seen(all[i]);

			see(arg, &s);
		}
	}
	pthread_mutex_unlock(&table->mutex);
	free(all);
	return all != NULL;
}

void alarms_node(char out[ALARM_NODE_MAX])
{
	if (gethostname(out, ALARM_NODE_MAX) != 0 || out[0] == '\0')
		strcpy(out, "unknown");
	out[ALARM_NODE_MAX - 1] = '\0';
}

size_t alarms_left_out(void)
{
	size_t n;

	pthread_mutex_lock(&table->mutex);
	n = table->left_out;
	pthread_mutex_unlock(&table->mutex);
	return n;
}

/* Those of one row and issuer follow each other. */
struct alarm_count {
	struct metrics_text *text;
	const char *help;
	enum alarm alarm;
	char issuer[ALARM_ISSUER_MAX];
	size_t n;
};

static void print_count(struct alarm_count *c)
{
	char labels[2 * ALARM_ISSUER_MAX + 32];

	if (c->n == 0)
		return;
	snprintf(labels, sizeof labels, "alarm=\"%s\",issuer=\"%s\"",
	    alarm_row(c->alarm)->name, c->issuer);
	metrics_line(c->text, "alarm", "gauge", c->help, labels, (double)c->n);
	c->help = NULL;
	c->n = 0;
}

static void count(void *arg, const struct alarm_seen *s)
{
	struct alarm_count *c = arg;

	if (c->alarm != s->alarm || strcmp(c->issuer, s->issuer) != 0)
		print_count(c);
	c->alarm = s->alarm;
	alarms_text(c->issuer, sizeof c->issuer, s->issuer);
	c->n++;
}

void alarms_gauges(struct metrics_text *t)
{
	struct alarm_count c = {.text = t,
	    .help = "Alarms that stand (GET /v1/alarms), by alarm and issuer."};

	if (!alarms_each(count, &c))
		t->failed = 1;
	print_count(&c);
	metrics_line(t, "alarms_left_out_total", "counter",
	    "Times that an alarm had no room among those that stand.", "",
	    (double)alarms_left_out());
}

void alarms_reset(void)
{
	pthread_mutex_lock(&table->mutex);
	for (size_t i = 0; i < ALARMS_BUCKETS; i++)
		while (table->bucket[i] != NULL) {
			table->bucket[i]->told.taken = false;
			alarms_remove(&table->bucket[i]);
		}
	table->left_out = 0;
	table->followed = false;
	pthread_mutex_unlock(&table->mutex);
}
