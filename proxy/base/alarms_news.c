/* alarms_news.c - what is owed is taken, and told. */
#include "proxy/base/alarms_news.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "proxy/base/alarms_table.h"
#include "proxy/base/clock.h"
#include "proxy/base/json_line.h"

static struct alarms_table *const table = &alarms_table;

void alarms_follow(void)
{
	pthread_mutex_lock(&table->mutex);
	table->followed = true;
	for (size_t i = 0; i < ALARMS_BUCKETS; i++)
		for (struct standing *s = table->bucket[i]; s != NULL; s = s->next)
			alarms_stand(s, true);
	pthread_mutex_unlock(&table->mutex);
}

/* It may stand already: found while this life began. */
static bool inherit(struct standing *s, int64_t since, const char *elsewhere)
{
	s->told.knows = true;
	if (!s->stands || elsewhere == NULL)
		s->since = since;
	if (elsewhere != NULL) {
		free(s->told.elsewhere);
		s->told.elsewhere = strdup(elsewhere);
	} else if (s->stands) {
		s->told.owes = false;
	} else {
		s->told.grace_ms = clock_mono_ms() + ALARMS_GRACE_MS;
	}
	alarms_queue(s);
	return elsewhere == NULL || s->told.elsewhere != NULL;
}

bool alarms_inherit(enum alarm a, const char *issuer, const char *subject, int64_t since,
    const char *node)
{
	char ours[ALARM_NODE_MAX], key[ALARM_SUBJECT_MAX];
	struct standing **at, *s;
	bool ok = false;

	assert(table->followed && strlen(issuer) < ALARM_ISSUER_MAX);
	alarms_node(ours);
	alarms_text(key, sizeof key, subject);
	pthread_mutex_lock(&table->mutex);
	at = alarms_place(a, issuer, key);
	s = *at != NULL ? *at : alarms_add(at, a, issuer, key);
	if (s != NULL)
		ok = inherit(s, since, strcmp(node, ours) != 0 ? node : NULL);
	pthread_mutex_unlock(&table->mutex);
	return ok;
}

/* Taken. */

static bool may_be_told(const struct standing *s, int64_t now)
{
	return s->told.next_ms - now <= (ALARMS_NEWS_BURST - 1) * ALARMS_NEWS_PAUSE_MS;
}

static void take(struct standing *s, int64_t now)
{
	s->told.taken = true;
	s->told.took_raise = s->told.owes && s->told.elsewhere == NULL;
	s->told.took_clear = !s->stands || s->told.elsewhere != NULL;
	if (s->told.took_raise)
		s->told.owes = false;
	s->told.next_ms =
	    (s->told.next_ms > now ? s->told.next_ms : now) + ALARMS_NEWS_PAUSE_MS;
	alarms_queue(s);
}

static int by_node(const char *a, const char *b)
{
	if (a == NULL || b == NULL)
		return (a != NULL) - (b != NULL);
	return strcmp(a, b);
}

static int by_batch(const void *a, const void *b)
{
	const struct standing *x = *(struct standing *const *)a;
	const struct standing *y = *(struct standing *const *)b;
	int d = by_node(x->told.elsewhere, y->told.elsewhere);

	if (d == 0)
		d = strcmp(x->issuer, y->issuer);
	if (d == 0)
		d = (x->alarm > y->alarm) - (x->alarm < y->alarm);
	return d != 0 ? d : strcmp(x->subject, y->subject);
}

static struct alarms_news *news_of(size_t n)
{
	return malloc(sizeof(struct alarms_news) + n * sizeof(struct standing *));
}

struct alarms_news *alarms_news_take(void)
{
	int64_t now = clock_mono_ms();
	struct standing *s, *next;
	struct alarms_news *news = NULL;

	pthread_mutex_lock(&table->mutex);
	if (!TAILQ_EMPTY(&table->news) && (news = news_of(table->all_n)) != NULL) {
		news->n = 0;
		for (s = TAILQ_FIRST(&table->news); s != NULL; s = next) {
			next = TAILQ_NEXT(s, told.link);
			if (!may_be_told(s, now))
				continue;
			take(s, now);
			news->of[news->n++] = s;
		}
		qsort(news->of, news->n, sizeof news->of[0], by_batch);
	}
	pthread_mutex_unlock(&table->mutex);
	if (news != NULL && news->n == 0) {
		free(news);
		news = NULL;
	}
	return news;
}

/* One or both, raised first. */
static size_t words_of(const struct standing *s, struct change_alarm *out)
{
	struct change_alarm a = {
	    alarm_row(s->alarm)->name, s->subject, s->detail, s->since, false};
	size_t n = 0;

	if (s->told.took_raise)
		out[n++] = a;
	a.cleared = true;
	if (s->told.took_clear)
		out[n++] = a;
	return n;
}

struct change_batch *alarms_news_batch(
    const struct alarms_news *news, size_t from, size_t *n)
{
	const struct standing *first = news->of[from];
	struct change_alarm word[CHANGE_ALARMS_MAX];
	char node[ALARM_NODE_MAX];
	struct change_batch *b;
	size_t at = from, words = 0;

	alarms_node(node);
	pthread_mutex_lock(&table->mutex);
	for (; at < news->n && words + 2 <= CHANGE_ALARMS_MAX; at++) {
		const struct standing *s = news->of[at];

		if (strcmp(s->issuer, first->issuer) != 0 ||
		    by_node(s->told.elsewhere, first->told.elsewhere) != 0)
			break;
		words += words_of(s, word + words);
	}
	b = change_alarms_new(
	    first->told.elsewhere != NULL ? first->told.elsewhere : node, word, words);
	if (b != NULL) {
		b->seen_at_ms = clock_now_ms();
		memcpy(b->issuer, first->issuer, strlen(first->issuer) + 1);
	}
	pthread_mutex_unlock(&table->mutex);
	*n = at - from;
	return b;
}

static void told_one(struct standing *s, bool told)
{
	s->told.taken = false;
	if (!told) {
		s->told.owes |= s->told.took_raise;
		s->told.next_ms -= ALARMS_NEWS_PAUSE_MS;
	} else {
		s->told.knows = !s->told.took_clear;
		free(s->told.elsewhere);
		s->told.elsewhere = NULL;
	}
	s->told.took_raise = s->told.took_clear = false;
	alarms_queue(s);
	if (!s->stands)
		alarms_let_go(alarms_place(s->alarm, s->issuer, s->subject));
}

void alarms_news_told(const struct alarms_news *news, size_t from, size_t n, bool told)
{
	pthread_mutex_lock(&table->mutex);
	for (size_t i = from; i < from + n; i++) {
		assert(news->of[i]->told.taken);
		told_one(news->of[i], told);
	}
	pthread_mutex_unlock(&table->mutex);
}

/* Known. */

static void put(struct json_line *out, const char *name, const char *text)
{
	json_put(out, name);
	json_put_text(out, text);
}

void alarms_news_known(struct json_line *out)
{
	char node[ALARM_NODE_MAX];
	size_t n = 0;

	alarms_node(node);
	json_put(out, "{\"raised\":[");
	pthread_mutex_lock(&table->mutex);
	for (size_t i = 0; i < ALARMS_BUCKETS; i++)
		for (const struct standing *s = table->bucket[i]; s != NULL;
		     s = s->next) {
			if (!s->told.knows && !s->told.took_raise)
				continue;
			put(out, n++ == 0 ? "\n{\"alarm\":" : ",\n{\"alarm\":",
			    alarm_row(s->alarm)->name);
			put(out, ",\"issuer\":", s->issuer);
			put(out, ",\"subject\":", s->subject);
			json_put(out, ",\"since\":");
			json_put_number(out, (uint64_t)s->since);
			put(out, ",\"node\":",
			    s->told.elsewhere != NULL ? s->told.elsewhere : node);
			json_put(out, "}");
		}
	pthread_mutex_unlock(&table->mutex);
	json_put(out, "]}\n");
}

void alarms_news_tick(void)
{
	int64_t now = clock_mono_ms();

	pthread_mutex_lock(&table->mutex);
	if (table->all_n > 0)
		alarms_expire();
	for (size_t i = 0; table->all_n > 0 && i < ALARMS_BUCKETS; i++)
		for (struct standing **at = &table->bucket[i]; *at != NULL;) {
			struct standing *s = *at;

			if (s->told.grace_ms > 0 && now >= s->told.grace_ms) {
				s->told.grace_ms = 0;
				alarms_queue(s);
			}
			if (s->stands || !alarms_let_go(at))
				at = &s->next;
		}
	pthread_mutex_unlock(&table->mutex);
}
