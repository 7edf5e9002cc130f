/* alarms_table.h - the table's inside, for the files that are the module:
 *
 * alarms_table.c  the table, and what of each alarm the change log's readers are owed
 * alarms.c        what stands
 * alarms_news.c   what is owed is told
 *
 * Nobody else includes it.  Everything under the mutex.
 *
 * One that is over stays in the table while something is owed of it, or while it has been
 * told so often that the next time has to wait.
 */
#ifndef PROXY_BASE_ALARMS_TABLE_H
#define PROXY_BASE_ALARMS_TABLE_H

#include <pthread.h>
#include <sys/queue.h>

#include "proxy/base/alarms.h"

#define ALARMS_BUCKETS 1024 /* ten alarms in each where ALARMS_MAX stand */

struct standing {
	struct standing *next; /* of the same hash */
	enum alarm alarm;
	bool stands;            /* else it is over */
	bool fresh;             /* raised in the round that is under way */
	int64_t since, last_ms; /* wall clock, s; monotonic, when it was last raised */
	char issuer[ALARM_ISSUER_MAX];
	char subject[ALARM_SUBJECT_MAX];
	char detail[ALARM_DETAIL_MAX];
	/* They are owed a raise (owes), where there was one that they do not know; and a
	 * clear, where it is over and they know it as raised, or will. */
	struct {
		TAILQ_ENTRY(standing) link; /* queued */
		bool queued;                /* something is owed, and it is not taken */
		bool taken;                 /* being told; then it is not freed */
		bool knows;                 /* they have it as raised */
		bool owes;
		bool took_raise, took_clear; /* taken: which of both */
		char *elsewhere;  /* owned: the name by which they know it, where this
				     node had another; NULL: this one */
		int64_t grace_ms; /* monotonic: they know it of an earlier life, and no
				     clear is owed until then; 0: no */
		int64_t next_ms;  /* monotonic: as if it had last been told then */
	} told;
};

TAILQ_HEAD(standing_queue, standing);
struct alarms_table {
	pthread_mutex_t mutex;
	struct standing *bucket[ALARMS_BUCKETS];
	size_t all_n, standing_n, left_out;
	bool followed; /* it is told: else nothing is owed */
	struct standing_queue news;
};
extern struct alarms_table alarms_table;

/* As much of text as fits, never half a character; what is no UTF-8 becomes '?'. */
void alarms_text(char *out, size_t room, const char *text);
/* Where it is, or would be; subject as alarms_text() has it. */
struct standing **alarms_place(enum alarm a, const char *issuer, const char *subject);
/* One that is over, at its place; NULL: no room, or no memory. */
struct standing *alarms_add(
    struct standing **at, enum alarm a, const char *issuer, const char *subject);
void alarms_remove(struct standing **at);

/* It stands, or stands on. */
void alarms_stand(struct standing *s, bool is_news);
/* It is over, and removed where nothing keeps it.  True: *at is the next one. */
bool alarms_end(struct standing **at);
/* The same of one that is over already. */
bool alarms_let_go(struct standing **at);
/* What is owed has changed: is it in the queue where it has to be? */
void alarms_queue(struct standing *s);
/* Those of a moment whose time is up are over. */
bool alarms_is_up(const struct standing *s, int64_t now_ms);
void alarms_expire(void);

#endif
