/* log.h - events on stderr, as logfmt or JSON lines.
 *
 * log_warn("upstream_failed", "issuer=%s err=%s ms=%d", ...): an event name that can be
 * grepped and alerted on, then key=value pairs.  A value with a space, a quote or a
 * control character is quoted and escaped by the logger; %s values from peers may hold
 * anything (T25).  The names of all events are in ocspcached(8).
 *
 * Any thread; one write(2) a line.  Repeats of an event about the same subject within
 * log-repeat become one line with their count ("repeated=212").  The subject is the event
 * with those of its pairs that say whom it concerns (SUBJECT_KEYS in log.c): a second
 * issuer's failure has a line of its own.  What goes through log_each() is never
 * collapsed: mistakes in a configuration, requests, and states that change, of which a
 * line that is missing or late would tell the contrary of what is.  For the same reason
 * log_settled(), of what has ended well, is preceded by the counts that are owed of its
 * subject, and what fails of it afterwards has its whole line at once.
 *
 * Levels: error: a person must act; warn: degraded but answering; info: state changed;
 * debug: each fetch.  cache/ never logs: it returns errors.
 *
 * Weak points: of one event at most SUBJECTS_MAX subjects are told apart at a time, so
 * that 10,000 issuers that fail together are a few lines and a number (the metrics and
 * GET /v1/issuers name each).  Standard error that nobody reads blocks the thread that
 * logs, as it does everybody.
 */
#ifndef PROXY_BASE_LOG_H
#define PROXY_BASE_LOG_H

#include <stdbool.h>
#include <stdint.h>

/* level and format as in conf/conf.h (LEVEL_*, LOG_FORMAT_*).  Any thread, any time. */
void log_setup(int level, int format, int64_t repeat_ms);

/* event: a literal (its address is kept).  fmt: "key=%s key2=%d ...", also a literal: a
 * value ends at the next space of fmt, not of what is printed.  Conversions: s (NULL is
 * empty), c, d i u x with any length, f g with a precision; a width is ignored.  A value
 * that is one decimal conversion is a number in JSON, all else a string.  Bytes that are
 * no UTF-8 are written as \xHH, controls as \u00HH.  A value ends at 512 bytes and a line
 * at 2 KiB, "..." marking a value that was cut and "truncated=true" a line. */
void log_event(int level, const char *event, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));
/* The same, and never collapsed. */
void log_each(int level, const char *event, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));
/* The same, of the end of what others told of its subject: that of each begins with the
 * pairs of this one. */
void log_settled(int level, const char *event, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));
bool log_enabled(int level);

#define LOG_ERROR      0
#define LOG_WARN       1
#define LOG_INFO       2
#define log_error(...) log_event(LOG_ERROR, __VA_ARGS__)
#define log_warn(...)  log_event(LOG_WARN, __VA_ARGS__)
#define log_info(...)  log_event(LOG_INFO, __VA_ARGS__)
#define log_debug(...)                                                                   \
	do {                                                                             \
		if (log_enabled(3))                                                      \
			log_event(3, __VA_ARGS__);                                       \
	} while (0)

/* Write out the counts of repeats that are still being collapsed: those whose log-repeat
 * has passed (from a timer), and all of them (at the end). */
void log_flush_due(void);
void log_flush(void);

#endif
