/* alarms_table.c - a table by hash, and a queue of those of which something is owed. */
#include "proxy/base/alarms_table.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "cache/base/utf8.h"
#include "proxy/base/clock.h"
#include "proxy/base/log.h"

struct alarms_table alarms_table = {.mutex = PTHREAD_MUTEX_INITIALIZER,
    .news = TAILQ_HEAD_INITIALIZER(alarms_table.news)};

static const struct alarm_row row[ALARM_COUNT] = {
#define ALARM(id, name, event, level, stands_s, subject, meaning, remedy)                \
	[id] = {name, event, subject, meaning, remedy, level, stands_s},
#include "proxy/base/alarms.def"
#undef ALARM
};

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
	return h % ALARMS_BUCKETS;
}

void alarms_text(char *out, size_t room, const char *text)
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

struct standing **alarms_place(enum alarm a, const char *issuer, const char *subject)
{
	struct standing **at = &alarms_table.bucket[slot_of(a, issuer, subject)];

	while (*at != NULL && ((*at)->alarm != a || strcmp((*at)->issuer, issuer) != 0 ||
				  strcmp((*at)->subject, subject) != 0))
		at = &(*at)->next;
	return at;
}

struct standing *alarms_add(
    struct standing **at, enum alarm a, const char *issuer, const char *subject)
{
	struct standing *s =
	    alarms_table.all_n < (size_t)2 * ALARMS_MAX ? calloc(1, sizeof *s) : NULL;

	if (s == NULL)
		return NULL;
	s->alarm = a;
	alarms_text(s->issuer, sizeof s->issuer, issuer);
	alarms_text(s->subject, sizeof s->subject, subject);
	*at = s;
	alarms_table.all_n++;
	return s;
}

void alarms_remove(struct standing **at)
{
	struct standing *s = *at;

	assert(!s->told.taken);
	*at = s->next;
	if (s->told.queued)
		TAILQ_REMOVE(&alarms_table.news, s, told.link);
	alarms_table.standing_n -= s->stands;
	alarms_table.all_n--;
	free(s->told.elsewhere);
	free(s);
}

/* What is owed. */

static bool owes_something(const struct standing *s)
{
	return s->told.owes || s->told.elsewhere != NULL ||
	       (!s->stands && s->told.knows && s->told.grace_ms == 0);
}

void alarms_queue(struct standing *s)
{
	bool queued = alarms_table.followed && !s->told.taken && owes_something(s);

	if (queued && !s->told.queued)
		TAILQ_INSERT_TAIL(&alarms_table.news, s, told.link);
	else if (!queued && s->told.queued)
		TAILQ_REMOVE(&alarms_table.news, s, told.link);
	s->told.queued = queued;
}

void alarms_stand(struct standing *s, bool is_news)
{
	bool known = s->told.grace_ms > 0; /* of an earlier life: it stood all the time */

	if (!s->stands) {
		alarms_table.standing_n++;
		if (!known)
			s->since = clock_now();
	}
	s->stands = true;
	s->told.grace_ms = 0;
	s->told.owes |= is_news && !known && alarms_table.followed;
	alarms_queue(s);
}

bool alarms_let_go(struct standing **at)
{
	const struct standing *s = *at;

	assert(!s->stands);
	if (alarms_table.followed &&
	    (s->told.taken || s->told.grace_ms > 0 || owes_something(s) ||
		s->told.next_ms > clock_mono_ms()))
		return false;
	alarms_remove(at);
	return true;
}

bool alarms_end(struct standing **at)
{
	struct standing *s = *at;

	assert(s->stands);
	s->stands = false;
	alarms_table.standing_n--;
	alarms_queue(s);
	return alarms_let_go(at);
}

bool alarms_is_up(const struct standing *s, int64_t now_ms)
{
	int64_t stands_s = alarm_row(s->alarm)->stands_s;

	return s->stands && stands_s > 0 && now_ms - s->last_ms >= stands_s * 1000;
}

void alarms_expire(void)
{
	int64_t now = clock_mono_ms();

	for (size_t i = 0; i < ALARMS_BUCKETS; i++)
		for (struct standing **at = &alarms_table.bucket[i]; *at != NULL;)
			if (!alarms_is_up(*at, now) || !alarms_end(at))
				at = &(*at)->next;
}
