/* metrics.c - the list of all threads' counters, and two text formats.
 *
 * Text 0.0.4 is what Prometheus has always read; OpenMetrics 1.0 differs where we care in
 * three things: a counter's TYPE and HELP name it without "_total", bounds are written as
 * floats, and the text ends with "# EOF".
 */
#include "proxy/base/metrics.h"

#include <ctype.h>
#include <dirent.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/time.h>
#include <unistd.h>

#include "proxy/base/version.h"

#define CACHE_LINE     64 /* so that no two threads' counters share one */
#define NAME_MAX_BYTES 96 /* of a metric; the longest of ours has 45 */

/* Upper bounds in microseconds, without +Inf. */
struct bounds {
	const int64_t *us;
	unsigned n;
	int64_t sum_unit_us; /* what one of sum is */
};

#define S INT64_C(1000000)
#define H (3600 * S)
#define D (24 * H)
/* From a hit in memory (tens of us) to a hanging CA (the longest timeouts). */
static const int64_t duration_us[] = {10, 25, 50, 100, 250, 500, 1000, 2500, 5000, 10000,
    25000, 50000, 100000, 250000, 500000, 1 * S, 5 * S / 2, 5 * S, 10 * S, 30 * S,
    60 * S};
/* From short-lived answers to lists of a month; 84 h is what Let's Encrypt watched. */
static const int64_t age_us[] = {1 * S, 10 * S, 60 * S, 300 * S, 900 * S, H / 2, 1 * H,
    2 * H, 4 * H, 8 * H, 12 * H, 1 * D, 2 * D, 3 * D, 84 * H, 4 * D, 5 * D, 7 * D, 10 * D,
    14 * D, 30 * D};
#define COUNT(a) (sizeof a / sizeof a[0])
_Static_assert(COUNT(duration_us) < HISTOGRAM_BUCKETS, "room for +Inf");
_Static_assert(COUNT(age_us) < HISTOGRAM_BUCKETS, "room for +Inf");

static const struct bounds durations = {duration_us, COUNT(duration_us), 1};
/* In microseconds a busy day of ages would wrap 64 bits. */
static const struct bounds ages = {age_us, COUNT(age_us), S};

static const struct bounds *bounds_of(enum histogram h)
{
	return h == H_AGE || h == H_PUBLISHED_SEEN ? &ages : &durations;
}

struct row {
	const char *family, *labels, *help;
};
static const struct row counter_row[] = {
#define COUNTER(id, family, labels, help) [id] = {family, labels, help},
#define HISTOGRAM(id, family, labels, help)
#include "proxy/base/metrics.def"
#undef COUNTER
#undef HISTOGRAM
};
static const struct row histogram_row[] = {
#define COUNTER(id, family, labels, help)
#define HISTOGRAM(id, family, labels, help) [id] = {family, labels, help},
#include "proxy/base/metrics.def"
#undef COUNTER
#undef HISTOGRAM
};

struct set {
	struct counters counters; /* first: its address is the set's */
	struct set *next;
};
static pthread_mutex_t sets_lock = PTHREAD_MUTEX_INITIALIZER;
static struct set *sets;

struct counters *metrics_thread(void)
{
	size_t n = (sizeof(struct set) + CACHE_LINE - 1) / CACHE_LINE * CACHE_LINE;
	struct set *s = aligned_alloc(CACHE_LINE, n);

	if (s == NULL)
		return NULL;
	memset(s, 0, n);
	pthread_mutex_lock(&sets_lock);
	s->next = sets;
	sets = s;
	pthread_mutex_unlock(&sets_lock);
	return &s->counters;
}

void metrics_reset(void)
{
	pthread_mutex_lock(&sets_lock);
	while (sets != NULL) {
		struct set *next = sets->next;

		free(sets);
		sets = next;
	}
	pthread_mutex_unlock(&sets_lock);
}

static uint64_t load(const _Atomic uint64_t *v)
{
	return atomic_load_explicit(v, memory_order_relaxed);
}

static void add(_Atomic uint64_t *v, uint64_t n)
{
	atomic_store_explicit(v, load(v) + n, memory_order_relaxed);
}

void metrics_observe_us(struct counters *c, enum histogram h, int64_t us)
{
	const struct bounds *b = bounds_of(h);
	unsigned i = 0;

	if (us < 0) /* a clock was set back between two looks at it */
		us = 0;
	while (i < b->n && us > b->us[i])
		i++;
	add(&c->histogram[h].bucket[i], 1);
	add(&c->histogram[h].sum, (uint64_t)(us / b->sum_unit_us));
}

uint64_t metrics_sum(enum metric m)
{
	uint64_t sum = 0;

	pthread_mutex_lock(&sets_lock);
	for (const struct set *s = sets; s != NULL; s = s->next)
		sum += load(&s->counters.value[m]);
	pthread_mutex_unlock(&sets_lock);
	return sum;
}

static bool make_room(struct metrics_text *t, size_t n)
{
	size_t room = t->room == 0 ? 16384 : t->room;
	char *p;

	if (t->failed)
		return false;
	while (room - t->n <= n)
		room *= 2;
	if (room == t->room)
		return true;
	p = realloc(t->p, room);
	if (p == NULL) {
		t->failed = 1;
		return false;
	}
	t->p = p;
	t->room = room;
	return true;
}

static void append(struct metrics_text *t, const char *s)
{
	size_t n = strlen(s);

	if (!make_room(t, n))
		return;
	memcpy(t->p + t->n, s, n + 1);
	t->n += n;
}

static void append_each(struct metrics_text *t, const char *const *s)
{
	while (*s != NULL)
		append(t, *s++);
}
#define APPEND(t, ...) append_each(t, (const char *const[]){__VA_ARGS__, NULL})

/* The shortest text that reads back as the same number; whole numbers as such. */
static void format_value(double v, char out[32])
{
	if (v >= -1e15 && v <= 1e15 && v == (double)(int64_t)v) {
		snprintf(out, 32, "%.0f", v);
		return;
	}
	snprintf(out, 32, "%.15g", v);
	if (strtod(out, NULL) != v)
		snprintf(out, 32, "%.17g", v);
}

/* A bound as Go and Python write a float: OpenMetrics compares them as text. */
static void format_bound(int64_t us, bool openmetrics, char out[32])
{
	snprintf(out, 32, "%g", (double)us / 1e6);
	if (openmetrics && strpbrk(out, ".e") == NULL)
		strcat(out, ".0");
}

void metrics_escape(const char *in, char *out, size_t room)
{
	size_t n = 0;

	for (; *in != '\0'; in++) {
		char c = *in == '\n' ? 'n' : *in;
		bool escape = *in == '\n' || *in == '\\' || *in == '"';

		if (n + escape + 2 > room)
			break;
		if (escape)
			out[n++] = '\\';
		out[n++] = c;
	}
	if (room > 0)
		out[n] = '\0';
}

/* HELP and TYPE of a family; name without "_total" where OpenMetrics wants it so. */
static void append_family(
    struct metrics_text *t, const char *name, const char *type, const char *help)
{
	static const char total[] = "_total";
	char family[NAME_MAX_BYTES];
	size_t n;

	snprintf(family, sizeof family, "%s", name);
	n = strlen(family);
	if (t->openmetrics && strcmp(type, "counter") == 0 && n > sizeof total &&
	    strcmp(family + n - (sizeof total - 1), total) == 0)
		family[n - (sizeof total - 1)] = '\0';
	APPEND(t, "# HELP ", family, " ", help, "\n# TYPE ", family, " ", type, "\n");
}

static void append_sample(
    struct metrics_text *t, const char *name, const char *labels, const char *value)
{
	APPEND(t, name, labels[0] == '\0' ? "" : "{", labels,
	    labels[0] == '\0' ? "" : "}", " ", value, "\n");
}

static void append_metric(struct metrics_text *t, const char *name, const char *type,
    const char *help, const char *labels, double value)
{
	char text[32];

	format_value(value, text);
	if (help != NULL)
		append_family(t, name, type, help);
	append_sample(t, name, labels, text);
}

void metrics_line(struct metrics_text *t, const char *family, const char *type,
    const char *help, const char *labels, double value)
{
	char name[NAME_MAX_BYTES];

	snprintf(name, sizeof name, "ocspcached_%s", family);
	append_metric(t, name, type, help, labels, value);
}

static void append_counters(struct metrics_text *t)
{
	for (unsigned m = 0; m < METRIC_COUNT; m++) {
		const struct row *r = &counter_row[m];
		bool first = m == 0 || strcmp(r->family, r[-1].family) != 0;
		char name[NAME_MAX_BYTES], value[32];

		snprintf(name, sizeof name, "ocspcached_%s", r->family);
		snprintf(
		    value, sizeof value, "%ju", (uintmax_t)metrics_sum((enum metric)m));
		if (first)
			append_family(t, name, "counter", r->help);
		append_sample(t, name, r->labels, value);
	}
}

/* All threads' buckets and sum of one histogram. */
static void sum_histogram(enum histogram h, uint64_t bucket[], uint64_t *sum)
{
	unsigned n = bounds_of(h)->n;

	memset(bucket, 0, (n + 1) * sizeof bucket[0]);
	*sum = 0;
	pthread_mutex_lock(&sets_lock);
	for (const struct set *s = sets; s != NULL; s = s->next) {
		for (unsigned i = 0; i <= n; i++)
			bucket[i] += load(&s->counters.histogram[h].bucket[i]);
		*sum += load(&s->counters.histogram[h].sum);
	}
	pthread_mutex_unlock(&sets_lock);
}

static void append_histogram(struct metrics_text *t, enum histogram h)
{
	const struct row *r = &histogram_row[h];
	const struct bounds *b = bounds_of(h);
	const char *comma = r->labels[0] == '\0' ? "" : ",";
	uint64_t bucket[HISTOGRAM_BUCKETS], sum, count = 0;
	char name[NAME_MAX_BYTES], series[NAME_MAX_BYTES + 8], labels[256], value[32];

	sum_histogram(h, bucket, &sum);
	snprintf(name, sizeof name, "ocspcached_%s", r->family);
	if (h == 0 || strcmp(r->family, r[-1].family) != 0)
		append_family(t, name, "histogram", r->help);
	snprintf(series, sizeof series, "%s_bucket", name);
	for (unsigned i = 0; i <= b->n; i++) {
		char bound[32] = "+Inf";

		if (i < b->n)
			format_bound(b->us[i], t->openmetrics, bound);
		snprintf(labels, sizeof labels, "%s%sle=\"%s\"", r->labels, comma, bound);
		count += bucket[i];
		snprintf(value, sizeof value, "%ju", (uintmax_t)count);
		append_sample(t, series, labels, value);
	}
	snprintf(series, sizeof series, "%s_sum", name);
	format_value((double)sum * (double)b->sum_unit_us / 1e6, value);
	append_sample(t, series, r->labels, value);
	snprintf(series, sizeof series, "%s_count", name);
	snprintf(value, sizeof value, "%ju", (uintmax_t)count);
	append_sample(t, series, r->labels, value);
}

/* A small file of /proc; "" when it cannot be read. */
static void read_small(const char *path, char *out, size_t room)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	ssize_t n = fd < 0 ? -1 : read(fd, out, room - 1);

	out[n < 0 ? 0 : n] = '\0';
	if (fd >= 0)
		close(fd);
}

/* Field n of /proc/self/stat as proc(5) counts them, from 3 on; behind the name, which
 * may hold anything. */
static double stat_field(const char *stat, int n)
{
	const char *p = strrchr(stat, ')');

	for (int i = 2; p != NULL && i < n; i++)
		p = strchr(p + 1, ' ');
	return p == NULL ? 0 : strtod(p, NULL);
}

/* Seconds since 1970 when the machine started; btime stands behind the interrupts' line,
 * which has no bound. */
static double boot_time(void)
{
	FILE *f = fopen("/proc/stat", "re");
	char *line = NULL;
	size_t room = 0;
	double at = 0;

	while (f != NULL && getline(&line, &room, f) > 0)
		if (strncmp(line, "btime ", 6) == 0) {
			at = strtod(line + 6, NULL);
			break;
		}
	free(line);
	if (f != NULL)
		fclose(f);
	return at;
}

/* Linux 6.2 and later know the number; before that they have to be counted. */
static double open_descriptors(void)
{
	struct stat st;
	unsigned n = 0;
	DIR *d;

	if (stat("/proc/self/fd", &st) == 0 && st.st_size > 0)
		return (double)st.st_size;
	d = opendir("/proc/self/fd");
	if (d == NULL)
		return 0;
	for (const struct dirent *e = readdir(d); e != NULL; e = readdir(d))
		n += isdigit((unsigned char)e->d_name[0]) != 0;
	closedir(d);
	return n - 1; /* but for the directory itself */
}

static double cpu_seconds(void)
{
	struct rusage u;

	if (getrusage(RUSAGE_SELF, &u) != 0)
		return 0;
	return (double)(u.ru_utime.tv_sec + u.ru_stime.tv_sec) +
	       (double)(u.ru_utime.tv_usec + u.ru_stime.tv_usec) / 1e6;
}

static double max_descriptors(void)
{
	struct rlimit l;

	return getrlimit(RLIMIT_NOFILE, &l) == 0 ? (double)l.rlim_cur : 0;
}

/* The set that every Prometheus client library reports, under its usual names. */
static void append_process(struct metrics_text *t)
{
	char stat[1024];

	read_small("/proc/self/stat", stat, sizeof stat);
	append_metric(t, "process_cpu_seconds_total", "counter",
	    "Total user and system CPU time spent in seconds.", "", cpu_seconds());
	append_metric(t, "process_resident_memory_bytes", "gauge",
	    "Resident memory size in bytes.", "",
	    stat_field(stat, 24) * (double)sysconf(_SC_PAGESIZE));
	append_metric(t, "process_virtual_memory_bytes", "gauge",
	    "Virtual memory size in bytes.", "", stat_field(stat, 23));
	append_metric(t, "process_open_fds", "gauge", "Number of open file descriptors.",
	    "", open_descriptors());
	append_metric(t, "process_max_fds", "gauge",
	    "Maximum number of open file descriptors.", "", max_descriptors());
	append_metric(t, "process_start_time_seconds", "gauge",
	    "Start time of the process since unix epoch in seconds.", "",
	    boot_time() + stat_field(stat, 22) / (double)sysconf(_SC_CLK_TCK));
}

void metrics_print(struct metrics_text *t)
{
	append_counters(t);
	for (unsigned h = 0; h < HISTOGRAM_COUNT; h++)
		append_histogram(t, (enum histogram)h);
	metrics_line(t, "build_info", "gauge", "A constant 1, labelled with the version.",
	    "version=\"" OCSPCACHED_VERSION "\"", 1);
	append_process(t);
}

void metrics_end(struct metrics_text *t)
{
	append(t, t->openmetrics ? "# EOF\n" : "");
}
