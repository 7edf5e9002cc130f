/* metrics.h - counters and histograms of the rows in metrics.def, and their text form.
 *
 * Each thread has a struct counters of its own and is its only writer: an increment is a
 * relaxed load and store, no locked instruction, nothing shared.  Whoever prints sums
 * over all threads.
 */
#ifndef PROXY_BASE_METRICS_H
#define PROXY_BASE_METRICS_H

#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>

enum metric {
#define COUNTER(id, family, labels, help) id,
#define HISTOGRAM(id, family, labels, help)
#include "proxy/base/metrics.def"
#undef COUNTER
#undef HISTOGRAM
	METRIC_COUNT
};
enum histogram {
#define COUNTER(id, family, labels, help)
#define HISTOGRAM(id, family, labels, help) id,
#include "proxy/base/metrics.def"
#undef COUNTER
#undef HISTOGRAM
	HISTOGRAM_COUNT
};

#define HISTOGRAM_BUCKETS                                                                \
	32 /* at most; upper bounds are in metrics.c, the last is +Inf */

struct counters {
	_Atomic uint64_t value[METRIC_COUNT];
	struct {
		_Atomic uint64_t bucket[HISTOGRAM_BUCKETS];
		_Atomic uint64_t sum; /* us; seconds where values are days (metrics.c) */
	} histogram[HISTOGRAM_COUNT];
};

static inline void metrics_add(struct counters *c, enum metric m, uint64_t n)
{
	atomic_store_explicit(&c->value[m],
	    atomic_load_explicit(&c->value[m], memory_order_relaxed) + n,
	    memory_order_relaxed);
}
static inline void metrics_count(struct counters *c, enum metric m)
{
	metrics_add(c, m, 1);
}
void metrics_observe_us(struct counters *c, enum histogram h, int64_t us);

/* A set of counters in the process-wide list, zeroed, aligned to a cache line; never
 * freed before metrics_reset().  NULL when out of memory. Any thread. */
struct counters *metrics_thread(void);
void metrics_reset(void); /* at the very end, when no other thread is left */

uint64_t metrics_sum(enum metric m);

/* A text that grows: "ocspcached_" + family and so on; NUL-terminated.  Starts as zeros
 * but for openmetrics; p is the caller's to free.  Gauges that the caller knows are added
 * with metrics_line before metrics_end. */
struct metrics_text {
	char *p;
	size_t n, room;
	int openmetrics; /* OpenMetrics 1.0 instead of text 0.0.4 */
	int failed;      /* out of memory: the text is not whole */
};
/* type: "gauge" or "counter" (its family ends in "_total"); help is printed when it is
 * not NULL (first row of a family). labels: "" or name="value",... already escaped
 * (metrics_escape). */
void metrics_line(struct metrics_text *t, const char *family, const char *type,
    const char *help, const char *labels, double value);
/* in as a label value; cut where it does not fit, never inside an escape. */
void metrics_escape(const char *in, char *out, size_t room);
void metrics_print(
    struct metrics_text *t); /* all rows of metrics.def, process_*, build_info */
void metrics_end(struct metrics_text *t); /* "# EOF" where OpenMetrics wants it */

#endif
