/* log.c - one line: parse the format, print each value, escape it, write once.
 *
 * The format is parsed here and not left to vsnprintf(), because what a peer says must be
 * told from what we say: only a value that is known as a value can be quoted.
 */
#include "proxy/base/log.h"

#include <assert.h>
#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "cache/base/utf8.h"
#include "proxy/base/clock.h"

#define LINE_MAX_BYTES  2048 /* under PIPE_BUF, so that lines in a pipe never mix */
#define LINE_END_BYTES  64   /* of these: for repeated=, truncated= and the end */
#define VALUE_MAX_BYTES 512
#define SEEN_MAX        256 /* subjects of all events; we have a few dozen events */
#define SUBJECTS_MAX    32  /* of one event, so that no flood of names takes all places */
#define SUBJECT_BYTES   256

enum { FORMAT_LOGFMT, FORMAT_JSON };

static _Atomic int level_max = 2;
static _Atomic int format = FORMAT_LOGFMT;
static _Atomic int64_t repeat_ms = 10000;

/* The pairs that say whom an event concerns, and no count or time; never what a client
 * sends (a serial is one that its CA has signed something about). */
static const char *const SUBJECT_KEYS[] = {
    "issuer", "serial", "url", "from", "option", "file", "what", "path", "err"};

/* As they are written in the line, one behind the other. */
struct subject {
	size_t n;
	char p[SUBJECT_BYTES];
};

/* What was logged of a subject, and how often since its last line. */
struct seen {
	const char *event;
	int level;
	int64_t line_at_ms; /* monotonic; INT64_MIN: none yet */
	uint64_t repeated;
	bool json; /* how the subject is written */
	struct subject subject;
};
static pthread_mutex_t seen_lock = PTHREAD_MUTEX_INITIALIZER;
static struct seen seen[SEEN_MAX];
static unsigned seen_n;

struct line {
	size_t n;
	bool json, full;
	struct subject subject;
	char p[LINE_MAX_BYTES];
};

/* A value as it is printed, before escaping. */
struct value {
	size_t n;
	bool number; /* one decimal conversion and nothing else */
	bool cut;
	char p[VALUE_MAX_BYTES];
};

/* Where we are in the format and its arguments. */
struct cursor {
	const char *p;
	va_list ap;
};

void log_setup(int level, int fmt, int64_t ms)
{
	atomic_store_explicit(&level_max, level, memory_order_relaxed);
	atomic_store_explicit(&format, fmt, memory_order_relaxed);
	atomic_store_explicit(&repeat_ms, ms, memory_order_relaxed);
}

bool log_enabled(int level)
{
	return level <= atomic_load_explicit(&level_max, memory_order_relaxed);
}

static void put(struct line *l, const char *p, size_t n)
{
	if (n <= sizeof l->p - l->n) {
		memcpy(l->p + l->n, p, n);
		l->n += n;
	}
}

static void puts_line(struct line *l, const char *s)
{
	put(l, s, strlen(s));
}

/* One character (or one byte that is none) at p as it is written inside quotes.  Returns
 * how many bytes of p it was; out: NUL-terminated. */
static size_t escape_one(const unsigned char *p, size_t n, char out[8])
{
	unsigned code = 0;
	size_t len = utf8_length(p, n, &code);

	if (len == 0) {
		snprintf(out, 8, "\\\\x%02x", p[0]);
		return 1;
	}
	if (code == '"' || code == '\\')
		snprintf(out, 8, "\\%c", (int)code);
	else if (code == '\n' || code == '\r' || code == '\t')
		snprintf(out, 8, "\\%c", code == '\n' ? 'n' : code == '\r' ? 'r' : 't');
	else if (utf8_is_control(code))
		snprintf(out, 8, "\\u%04x", code & 0xffff);
	else {
		memcpy(out, p, len);
		out[len] = '\0';
	}
	return len;
}

static bool needs_quotes(const struct value *v)
{
	if (v->n == 0 || v->cut)
		return true;
	for (size_t i = 0; i < v->n; i++) {
		unsigned char c = (unsigned char)v->p[i];

		if (c <= ' ' || c >= 0x7f || c == '"' || c == '=' || c == '\\')
			return true;
	}
	return false;
}

/* The value between quotes; false when it does not fit into n bytes of out. */
static bool quote(const struct value *v, char *out, size_t room, size_t *n)
{
	char c[8];

	*n = 0;
	out[(*n)++] = '"';
	for (size_t i = 0; i < v->n;) {
		size_t len;

		i += escape_one((const unsigned char *)v->p + i, v->n - i, c);
		len = strlen(c);
		if (*n + len + 1 > room)
			return false;
		memcpy(out + *n, c, len);
		*n += len;
	}
	out[(*n)++] = '"';
	return true;
}

static void put_key(struct line *l, const char *key, size_t key_n)
{
	if (l->json) {
		puts_line(l, l->n == 0 ? "{\"" : ",\"");
		put(l, key, key_n);
		puts_line(l, "\":");
	} else {
		if (l->n > 0)
			puts_line(l, " ");
		put(l, key, key_n);
		puts_line(l, "=");
	}
}

/* A pair goes in whole or, with all that follow it, not at all. */
static void put_pair(struct line *l, const char *key, size_t key_n, const struct value *v)
{
	char quoted[6 * VALUE_MAX_BYTES + 8];
	const char *p = v->p;
	size_t n = v->n;

	if (l->json ? !v->number : needs_quotes(v)) {
		if (!quote(v, quoted, sizeof quoted, &n))
			return;
		p = quoted;
	}
	if (l->full || l->n + key_n + n + 4 > sizeof l->p - LINE_END_BYTES) {
		l->full = true;
		return;
	}
	put_key(l, key, key_n);
	put(l, p, n);
}

static bool is_subject_key(const char *key, size_t key_n)
{
	for (size_t i = 0; i < sizeof SUBJECT_KEYS / sizeof SUBJECT_KEYS[0]; i++)
		if (strlen(SUBJECT_KEYS[i]) == key_n &&
		    memcmp(SUBJECT_KEYS[i], key, key_n) == 0)
			return true;
	return false;
}

/* What was written behind `from` is part of whom the line concerns.  One that does not
 * fit is left out. */
static void note_subject(struct line *l, size_t from)
{
	struct subject *s = &l->subject;
	size_t n = l->n - from;

	if (n > sizeof s->p - s->n)
		return;
	memcpy(s->p + s->n, l->p + from, n);
	s->n += n;
}

static void put_text(struct line *l, const char *key, const char *text)
{
	struct value v = {.n = strlen(text)};

	if (v.n > sizeof v.p)
		v.n = sizeof v.p;
	memcpy(v.p, text, v.n);
	put_pair(l, key, strlen(key), &v);
}

static void value_add(struct value *v, const char *p, size_t n)
{
	static const char mark[] = "...";
	size_t room = sizeof v->p - (sizeof mark - 1);

	if (v->cut)
		return;
	if (n > room - v->n) {
		n = room - v->n;
		v->cut = true;
		/* not in the middle of a character */
		while (n > 0 && ((unsigned char)p[n] & 0xc0) == 0x80)
			n--;
	}
	memcpy(v->p + v->n, p, n);
	v->n += n;
	if (v->cut) {
		memcpy(v->p + v->n, mark, sizeof mark - 1);
		v->n += sizeof mark - 1;
	}
}

static intmax_t take_signed(struct cursor *c, const char *length)
{
	if (strcmp(length, "ll") == 0)
		return va_arg(c->ap, long long);
	switch (length[0]) {
	case 'l':
		return va_arg(c->ap, long);
	case 'z':
		return va_arg(c->ap, ssize_t);
	case 'j':
		return va_arg(c->ap, intmax_t);
	case 't':
		return va_arg(c->ap, ptrdiff_t);
	}
	return va_arg(c->ap, int);
}

static uintmax_t take_unsigned(struct cursor *c, const char *length)
{
	if (strcmp(length, "ll") == 0)
		return va_arg(c->ap, unsigned long long);
	switch (length[0]) {
	case 'l':
		return va_arg(c->ap, unsigned long);
	case 'z':
		return va_arg(c->ap, size_t);
	case 'j':
		return va_arg(c->ap, uintmax_t);
	}
	return va_arg(c->ap, unsigned int);
}

/* Flags, width, precision and length of a conversion, up to its letter.  Returns the
 * precision, -1 for none. */
static int take_modifiers(struct cursor *c, char length[3])
{
	int precision = -1;
	size_t n = 0;

	while (*c->p != '\0' && strchr("-+ #0123456789*", *c->p) != NULL)
		if (*c->p++ == '*')
			(void)va_arg(c->ap, int);
	if (*c->p == '.') {
		c->p++;
		precision = 0;
		if (*c->p == '*') {
			c->p++;
			precision = va_arg(c->ap, int);
		} else {
			while (*c->p >= '0' && *c->p <= '9' && precision < 100000)
				precision = 10 * precision + (*c->p++ - '0');
		}
	}
	while (*c->p != '\0' && strchr("hlzjt", *c->p) != NULL) {
		if (n < 2)
			length[n++] = *c->p;
		c->p++;
	}
	length[n] = '\0';
	return precision;
}

static void take_string(struct cursor *c, int precision, struct value *v)
{
	const char *s = va_arg(c->ap, const char *);

	if (s != NULL)
		value_add(
		    v, s, precision < 0 ? strlen(s) : strnlen(s, (size_t)precision));
}

/* The conversion at c->p, behind its '%'.  Returns whether it printed a number. */
static bool take_conversion(struct cursor *c, struct value *v)
{
	char length[3], text[400] = ""; /* %f of the largest double has 309 digits */
	int precision = take_modifiers(c, length);
	bool number = true;
	double d;

	switch (*c->p) {
	case 'd':
	case 'i':
		snprintf(text, sizeof text, "%jd", take_signed(c, length));
		break;
	case 'u':
		snprintf(text, sizeof text, "%ju", take_unsigned(c, length));
		break;
	case 'x':
	case 'X':
		snprintf(text, sizeof text, *c->p == 'x' ? "%jx" : "%jX",
		    take_unsigned(c, length));
		number = false;
		break;
	case 'f':
	case 'g':
		d = va_arg(c->ap, double);
		precision = precision < 0 ? 6 : precision > 15 ? 15 : precision;
		snprintf(text, sizeof text, *c->p == 'f' ? "%.*f" : "%.*g", precision, d);
		number = d - d == 0; /* neither NaN nor an infinity: JSON has none */
		break;
	case 'c':
		text[0] = (char)va_arg(c->ap, int);
		c->p++;
		value_add(v, text, 1);
		return false;
	case 's':
		c->p++;
		take_string(c, precision, v);
		return false;
	case '%':
		c->p++;
		value_add(v, "%", 1);
		return false;
	default: /* not in the list of log.h: what follows cannot be read any more */
		c->p += strlen(c->p);
		return false;
	}
	c->p++;
	value_add(v, text, strlen(text));
	return number;
}

/* "key=value" at c->p up to the next space of the format. */
static void take_pair(struct cursor *c, struct line *l)
{
	const char *key = c->p;
	size_t key_n = strcspn(key, "= "), pieces = 0, from = l->n;
	struct value v = {.n = 0};

	c->p += key_n;
	if (*c->p == '=')
		c->p++;
	while (*c->p != '\0' && *c->p != ' ') {
		size_t n = strcspn(c->p, "% ");

		pieces++;
		if (n > 0) {
			value_add(&v, c->p, n);
			c->p += n;
			v.number = false;
		} else {
			c->p++;
			v.number = take_conversion(c, &v) && pieces == 1;
		}
	}
	put_pair(l, key, key_n, &v);
	if (is_subject_key(key, key_n))
		note_subject(l, from);
}

static void put_time(struct line *l)
{
	int64_t ms = clock_now_ms();
	time_t at = (time_t)(ms / 1000);
	struct tm tm;
	char text[64];

	if (gmtime_r(&at, &tm) == NULL)
		return;
	snprintf(text, sizeof text, "%04d-%02d-%02dT%02d:%02d:%02d.%03dZ",
	    tm.tm_year + 1900, tm.tm_mon + 1, tm.tm_mday, tm.tm_hour, tm.tm_min,
	    tm.tm_sec, (int)(ms % 1000));
	put_text(l, "ts", text);
}

static void line_begin(struct line *l, int level, const char *event)
{
	static const char *const name[] = {"error", "warn", "info", "debug"};

	l->n = 0;
	l->full = false;
	l->subject.n = 0;
	l->json = atomic_load_explicit(&format, memory_order_relaxed) == FORMAT_JSON;
	put_time(l);
	put_text(l, "level", name[level < 0 ? 0 : level > 3 ? 3 : level]);
	put_text(l, "event", event);
}

static _Atomic uint64_t dropped; /* lines that stderr had no room for */
/* From the look whether there is room to the write: held for no longer than that. */
static pthread_mutex_t write_lock = PTHREAD_MUTEX_INITIALIZER;

/* A reader of our stderr that has stopped reading must not stop those who serve: a line
 * is shorter than PIPE_BUF, so what poll() calls writable takes it without blocking. */
static bool has_room(void)
{
	struct pollfd p = {.fd = STDERR_FILENO, .events = POLLOUT};

	return poll(&p, 1, 0) != 0;
}

static void line_write(struct line *l, uint64_t repeated)
{
	char text[32];
	size_t done = 0;

	assert(l->n > 0 && l->n <= sizeof l->p);
	if (l->full)
		puts_line(l, l->json ? ",\"truncated\":true" : " truncated=true");
	if (repeated > 0) {
		snprintf(text, sizeof text, "%ju", (uintmax_t)repeated);
		put_key(l, "repeated", 8);
		puts_line(l, text);
	}
	puts_line(l, l->json ? "}\n" : "\n");
	pthread_mutex_lock(&write_lock);
	if (!has_room()) {
		atomic_fetch_add_explicit(&dropped, 1, memory_order_relaxed);
		done = l->n;
	}
	while (done < l->n) {
		ssize_t n = write(STDERR_FILENO, l->p + done, l->n - done);

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			break; /* nobody is there to be told */
		done += (size_t)n;
	}
	pthread_mutex_unlock(&write_lock);
}

static bool is_due(const struct seen *s, int64_t now)
{
	return s->line_at_ms == INT64_MIN ||
	       now - s->line_at_ms >=
		   atomic_load_explicit(&repeat_ms, memory_order_relaxed);
}

static bool is_of(const struct seen *s, const char *event, const struct subject *subject)
{
	return strcmp(s->event, event) == 0 && s->subject.n == subject->n &&
	       memcmp(s->subject.p, subject->p, subject->n) == 0;
}

/* A place for what has none: one whose log-repeat has passed and that owes no count. NULL
 * when the table is full. */
static struct seen *place(int64_t now)
{
	assert(seen_n <= SEEN_MAX);
	for (unsigned i = 0; i < seen_n; i++)
		if (seen[i].repeated == 0 && is_due(&seen[i], now))
			return &seen[i];
	return seen_n < SEEN_MAX ? &seen[seen_n++] : NULL;
}

/* Under the lock.  The entry of this subject, or of the event as a whole where it has too
 * many; NULL when the table is full. */
static struct seen *find(const char *event, const struct line *l, int64_t now)
{
	static const struct subject whole = {.n = 0};
	const struct subject *subject = &l->subject;
	unsigned subjects = 0;
	struct seen *s;

	for (unsigned i = 0; i < seen_n; i++) {
		if (is_of(&seen[i], event, subject))
			return &seen[i];
		subjects += !is_due(&seen[i], now) && strcmp(seen[i].event, event) == 0;
	}
	if (subjects >= SUBJECTS_MAX) {
		subject = &whole;
		for (unsigned i = 0; i < seen_n; i++)
			if (is_of(&seen[i], event, subject))
				return &seen[i];
	}
	s = place(now);
	if (s == NULL)
		return NULL;
	*s = (struct seen){.event = event, .line_at_ms = INT64_MIN, .json = l->json};
	s->subject = *subject;
	return s;
}

/* May this line be written now?  *repeated: how many were not since the last one. */
static bool admit_line(
    int level, const char *event, const struct line *l, uint64_t *repeated)
{
	int64_t now = clock_mono_ms();
	bool line = true;
	struct seen *s;

	*repeated = 0;
	pthread_mutex_lock(&seen_lock);
	s = find(event, l, now);
	if (s != NULL) {
		s->level = level;
		line = is_due(s, now);
		if (line) {
			s->line_at_ms = now;
			*repeated = s->repeated;
			s->repeated = 0;
		} else {
			s->repeated++;
		}
	}
	pthread_mutex_unlock(&seen_lock);
	return line;
}

static void take_pairs(struct cursor *c, struct line *l)
{
	for (;;) {
		while (*c->p == ' ')
			c->p++;
		if (*c->p == '\0')
			return;
		take_pair(c, l);
	}
}

void log_event(int level, const char *event, const char *fmt, ...)
{
	struct cursor c = {.p = fmt};
	uint64_t repeated;
	struct line l;
	int e = errno; /* a caller may log before it looks at errno */

	if (!log_enabled(level))
		return;
	line_begin(&l, level, event);
	va_start(c.ap, fmt);
	take_pairs(&c, &l);
	va_end(c.ap);
	if (admit_line(level, event, &l, &repeated))
		line_write(&l, repeated);
	errno = e;
}

void log_each(int level, const char *event, const char *fmt, ...)
{
	struct cursor c = {.p = fmt};
	struct line l;
	int e = errno;

	if (!log_enabled(level))
		return;
	line_begin(&l, level, event);
	va_start(c.ap, fmt);
	take_pairs(&c, &l);
	va_end(c.ap);
	line_write(&l, 0);
	errno = e;
}

/* Tell how many lines are missing, now that there is room again. */
static void tell_dropped(void)
{
	uint64_t n = atomic_load_explicit(&dropped, memory_order_relaxed);

	if (n == 0 || !has_room())
		return;
	atomic_fetch_sub_explicit(&dropped, n, memory_order_relaxed);
	log_warn("log_dropped", "lines=%llu", (unsigned long long)n);
}

/* The count that entry i owes, taken from it; false: none, or not yet. */
static bool take_count(unsigned i, bool all, int64_t now, struct seen *out)
{
	bool owes;

	pthread_mutex_lock(&seen_lock);
	owes = i < seen_n && seen[i].repeated > 0 && (all || is_due(&seen[i], now));
	if (owes) {
		*out = seen[i];
		seen[i].repeated = 0;
		seen[i].line_at_ms = now;
	}
	pthread_mutex_unlock(&seen_lock);
	return owes;
}

static void write_count(const struct seen *s)
{
	struct line l;

	line_begin(&l, s->level, s->event);
	if (s->json == l.json) /* else a reload has changed how lines are written */
		put(&l, s->subject.p, s->subject.n);
	line_write(&l, s->repeated);
}

static void flush(bool all)
{
	int64_t now = clock_mono_ms();
	struct seen s;

	tell_dropped();
	for (unsigned i = 0; i < SEEN_MAX; i++)
		if (take_count(i, all, now, &s))
			write_count(&s);
}

/* Is s about whom `of` is about, or about a part of that? */
static bool is_about(const struct subject *s, const struct subject *of)
{
	return of->n > 0 && s->n >= of->n && memcmp(s->p, of->p, of->n) == 0 &&
	       (s->n == of->n || s->p[of->n] == ' ' || s->p[of->n] == ',');
}

/* The count that entry i owes of this subject, which begins anew; false: none. */
static bool settle_count(unsigned i, const struct subject *of, struct seen *out)
{
	bool owes = false;

	pthread_mutex_lock(&seen_lock);
	if (i < seen_n && is_about(&seen[i].subject, of)) {
		owes = seen[i].repeated > 0;
		*out = seen[i];
		seen[i].repeated = 0;
		seen[i].line_at_ms = INT64_MIN;
	}
	pthread_mutex_unlock(&seen_lock);
	return owes;
}

void log_settled(int level, const char *event, const char *fmt, ...)
{
	struct cursor c = {.p = fmt};
	struct seen s;
	struct line l;
	int e = errno;

	line_begin(&l, level, event);
	va_start(c.ap, fmt);
	take_pairs(&c, &l);
	va_end(c.ap);
	for (unsigned i = 0; i < SEEN_MAX; i++)
		if (settle_count(i, &l.subject, &s))
			write_count(&s);
	if (log_enabled(level))
		line_write(&l, 0);
	errno = e;
}

void log_flush_due(void)
{
	flush(false);
}

void log_flush(void)
{
	flush(true);
}
