/* alarms.h - what is wrong now: GET /v1/alarms, ocspcached_alarm.
 *
 * An alarm is told apart by its row in alarms.def, its issuer and its subject.  It is
 * raised once, however often it is found, and cleared once.  Whoever finds it logs it, by
 * the row's event and with what he knows besides; here is kept only that it stands, since
 * when, and what was said last.
 *
 * One table for the process, as the log and the counters are, behind one mutex: alarms
 * are rare, and nobody who serves hits raises one.  Any thread.
 *
 * What the change log's readers are told of it: alarms_news.h.
 *
 * Bounded: at most ALARMS_MAX stand at a time; those beyond are counted (left out), as
 * are those for which there is no memory, and kept when they are raised again and there
 * is room.
 *
 * Weak point: a state that nobody looks at any more (its list or responder has left the
 * configuration) is cleared by whoever drops it, with alarms_keep().
 */
#ifndef PROXY_BASE_ALARMS_H
#define PROXY_BASE_ALARMS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define ALARMS_MAX        10000
#define ALARM_SUBJECT_MAX 512 /* bytes; a longer URL is cut */
#define ALARM_DETAIL_MAX  512
#define ALARM_ISSUER_MAX  64
#define ALARM_NODE_MAX    256

enum alarm {
#define ALARM(id, name, event, level, stands_s, subject, meaning, remedy) id,
#include "proxy/base/alarms.def"
#undef ALARM
	ALARM_COUNT
};

struct alarm_row {
	const char *name, *event, *subject, *meaning, *remedy;
	int level;        /* LOG_* of the event */
	int64_t stands_s; /* 0: until it is cleared */
};
const struct alarm_row *alarm_row(enum alarm a);

/* It is so.  issuer: "" for none, at most 63 bytes.  detail: UTF-8 for people (of
 * strangers, too: whoever prints it escapes it).  True: it was not, until now. */
bool alarm_raise(
    enum alarm a, const char *issuer, const char *subject, const char *detail);
/* The same, and it is news also where it stood: it has become worse.  True: it stood not,
 * until now. */
bool alarm_raise_again(
    enum alarm a, const char *issuer, const char *subject, const char *detail);
/* It is so no more.  True: it was. */
bool alarm_clear(enum alarm a, const char *issuer, const char *subject);
/* The same of whichever issuer: who shares a subject with others cannot know under whose
 * it was found. */
void alarm_clear_all(enum alarm a, const char *subject);
/* One or the other. */
bool alarm_set(enum alarm a, bool is_so, const char *issuer, const char *subject,
    const char *detail);

/* What stands is cleared unless keep says so. */
struct alarm_seen {
	enum alarm alarm;
	const char *issuer, *subject, *detail;
	int64_t since; /* seconds since 1970 */
};
void alarms_keep(bool (*keep)(void *arg, const struct alarm_seen *s), void *arg);

/* A round that finds out anew all that is so of one row: those that it does not raise
 * between the two are cleared, and cleared (may be NULL) is called for each. */
void alarms_round_begin(enum alarm a);
void alarms_round_end(
    enum alarm a, void (*cleared)(void *arg, const struct alarm_seen *s), void *arg);

/* All that stand, by row, issuer and subject; see is called under the mutex, and calls
 * nothing of this module.  False: out of memory. */
bool alarms_each(void (*see)(void *arg, const struct alarm_seen *s), void *arg);
size_t alarms_left_out(void); /* how often, since the start */

/* Which of many nodes has found it: this machine, as gethostname() has it. */
void alarms_node(char out[ALARM_NODE_MAX]);

struct metrics_text;
/* ocspcached_alarm{alarm,issuer}: how many stand; ocspcached_alarms_left_out_total. */
void alarms_gauges(struct metrics_text *t);
void alarms_reset(void); /* at the very end, and between tests */

#endif
