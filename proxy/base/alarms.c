/* alarms.c - a table by hash, behind one mutex. */
#include "proxy/base/alarms.h"

#include <assert.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cache/base/utf8.h"
#include "proxy/base/clock.h"
#include "proxy/base/log.h"
#include "proxy/base/metrics.h"

#define BUCKETS    1024 /* ten alarms in each where ALARMS_MAX stand */
#define ISSUER_MAX 64

static const struct alarm_row row[ALARM_COUNT] = {
#define ALARM(id, name, event, level, stands_s, subject, meaning, remedy)                \
	[id] = {name, event, subject, meaning, remedy, level, stands_s},
#include "proxy/base/alarms.def"
#undef ALARM
};

struct standing {
	struct standing *next; /* of the same hash */
	enum alarm alarm;
	bool fresh;             /* raised in the round that is under way */
	int64_t since, last_ms; /* wall clock, s; monotonic, when it was last raised */
	char issuer[ISSUER_MAX];
	char subject[ALARM_SUBJECT_MAX];
	char detail[ALARM_DETAIL_MAX];
};

static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
static struct standing *bucket[BUCKETS];
static size_t standing_n, left_out;

const struct alarm_row *alarm_row(enum alarm a)
{
	assert(a < ALARM_COUNT);
	return &row[a];
}

/* FNV-1a: who chooses subjects (a CA, who puts watchlists) gains nothing by collisions
 * in a table of ten thousand that is looked at now and then. */
static unsigned slot_of(enum alarm a, const char *issuer, const char *subject)
{
	uint32_t h = 2166136261u ^ (uint32_t)a;

	for (; *issuer != '\0'; issuer++)
		h = (h ^ (uint8_t)*issuer) * 16777619u;
	h = (h ^ '/') * 16777619u;
	for (; *subject != '\0'; subject++)
		h = (h ^ (uint8_t)*subject) * 16777619u;
	return h % BUCKETS;
}

/* As much of text as fits, never half a character; what is no UTF-8 becomes '?'. */
static void copy(char *out, size_t room, const char *text)
{
	size_t n = strlen(text), at = 0;
	unsigned code;

	for (size_t i = 0, len; i < n; i += len) {
		len = utf8_length((const uint8_t *)text + i, n - i, &code);
		if (at + (len > 0 ? len : 1) >= room)
			break;
		if (len > 0)
			memcpy(out + at, text + i, len);
		else
			out[at] = '?';
		len = len > 0 ? len : 1;
		at += len;
	}
	out[at] = '\0';
}

static struct standing **place_of(enum alarm a, const char *issuer, const char *subject)
{
	struct standing **at = &bucket[slot_of(a, issuer, subject)];

	while (*at != NULL && ((*at)->alarm != a || strcmp((*at)->issuer, issuer) != 0 ||
				  strcmp((*at)->subject, subject) != 0))
		at = &(*at)->next;
	return at;
}

static void take_out(struct standing **at)
{
	struct standing *s = *at;

	*at = s->next;
	free(s);
	standing_n--;
}

static bool is_over(const struct standing *s, int64_t now_ms)
{
	int64_t stands_s = row[s->alarm].stands_s;

	return stands_s > 0 && now_ms - s->last_ms >= stands_s * 1000;
}

/* Those of a moment whose time is up go. */
static void expire(void)
{
	int64_t now = clock_mono_ms();

	for (size_t i = 0; i < BUCKETS; i++)
		for (struct standing **at = &bucket[i]; *at != NULL;)
			if (is_over(*at, now))
				take_out(at);
			else
				at = &(*at)->next;
}

static struct standing *stand(
    struct standing **at, enum alarm a, const char *issuer, const char *subject)
{
	struct standing *s = standing_n < ALARMS_MAX ? calloc(1, sizeof *s) : NULL;

	if (s == NULL) {
		left_out++;
		return NULL;
	}
	s->alarm = a;
	s->since = clock_now();
	copy(s->issuer, sizeof s->issuer, issuer);
	copy(s->subject, sizeof s->subject, subject);
	*at = s;
	standing_n++;
	return s;
}

bool alarm_raise(
    enum alarm a, const char *issuer, const char *subject, const char *detail)
{
	char key[ALARM_SUBJECT_MAX];
	struct standing **at;
	bool fresh;

	assert(a < ALARM_COUNT && strlen(issuer) < ISSUER_MAX);
	copy(key, sizeof key, subject);
	pthread_mutex_lock(&mutex);
	if (standing_n >= ALARMS_MAX)
		expire();
	at = place_of(a, issuer, key);
	if (*at != NULL && is_over(*at, clock_mono_ms())) {
		take_out(at);
		at = place_of(a, issuer, key);
	}
	fresh = *at == NULL;
	if (!fresh || stand(at, a, issuer, key) != NULL) {
		struct standing *s = *at;

		s->fresh = true;
		s->last_ms = clock_mono_ms();
		copy(s->detail, sizeof s->detail, detail);
	}
	pthread_mutex_unlock(&mutex);
	return fresh;
}

bool alarm_clear(enum alarm a, const char *issuer, const char *subject)
{
	char key[ALARM_SUBJECT_MAX];
	struct standing **at;
	bool stood;

	assert(a < ALARM_COUNT);
	copy(key, sizeof key, subject);
	pthread_mutex_lock(&mutex);
	at = place_of(a, issuer, key);
	stood = *at != NULL;
	if (stood)
		take_out(at);
	pthread_mutex_unlock(&mutex);
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

	copy(o.subject, sizeof o.subject, subject);
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
	pthread_mutex_lock(&mutex);
	for (size_t i = 0; i < BUCKETS; i++)
		for (struct standing **at = &bucket[i]; *at != NULL;) {
			struct alarm_seen s = seen(*at);

			if (keep(arg, &s))
				at = &(*at)->next;
			else
				take_out(at);
		}
	pthread_mutex_unlock(&mutex);
}

void alarms_round_begin(enum alarm a)
{
	pthread_mutex_lock(&mutex);
	for (size_t i = 0; i < BUCKETS; i++)
		for (struct standing *s = bucket[i]; s != NULL; s = s->next)
			if (s->alarm == a)
				s->fresh = false;
	pthread_mutex_unlock(&mutex);
}

struct round {
	enum alarm alarm;
	void (*cleared)(void *arg, const struct alarm_seen *s);
	void *arg;
};

static bool was_raised(void *arg, const struct alarm_seen *s)
{
	const struct round *r = arg;

	if (s->alarm != r->alarm || (*place_of(s->alarm, s->issuer, s->subject))->fresh)
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

	pthread_mutex_lock(&mutex);
	expire();
	all = malloc((standing_n + 1) * sizeof *all);
	if (all != NULL) {
		for (size_t i = 0; i < BUCKETS; i++)
			for (struct standing *s = bucket[i]; s != NULL; s = s->next)
				all[n++] = s;
		qsort(all, n, sizeof *all, by_name);
		for (size_t i = 0; i < n; i++) {
			struct alarm_seen s = seen(all[i]);

			see(arg, &s);
		}
	}
	pthread_mutex_unlock(&mutex);
	free(all);
	return all != NULL;
}

size_t alarms_left_out(void)
{
	size_t n;

	pthread_mutex_lock(&mutex);
	n = left_out;
	pthread_mutex_unlock(&mutex);
	return n;
}

/* Those of one row and issuer follow each other. */
struct alarm_count {
	struct metrics_text *text;
	const char *help;
	enum alarm alarm;
	char issuer[ISSUER_MAX];
	size_t n;
};

static void print_count(struct alarm_count *c)
{
	char labels[2 * ISSUER_MAX + 32];

	if (c->n == 0)
		return;
	snprintf(labels, sizeof labels, "alarm=\"%s\",issuer=\"%s\"", row[c->alarm].name,
	    c->issuer);
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
	copy(c->issuer, sizeof c->issuer, s->issuer);
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
	pthread_mutex_lock(&mutex);
	for (size_t i = 0; i < BUCKETS; i++)
		while (bucket[i] != NULL)
			take_out(&bucket[i]);
	left_out = 0;
	pthread_mutex_unlock(&mutex);
}
