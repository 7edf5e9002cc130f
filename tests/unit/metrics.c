#include "proxy/base/metrics.h"

#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#include "proxy/base/version.h"

static int end(void **state)
{
	(void)state;
	metrics_reset();
	return 0;
}

static char *print(int openmetrics)
{
	struct metrics_text t = {.openmetrics = openmetrics};
	char label[64];

	metrics_print(&t);
	metrics_escape("http://h/\"x\\", label, sizeof label);
	char labels[100];
	snprintf(labels, sizeof labels, "url=\"%s\"", label);
	metrics_line(&t, "upstream_healthy", "gauge", "1: may be asked.", labels, 1);
	metrics_line(&t, "upstream_healthy", "gauge", NULL, "url=\"b\"", 0.5);
	metrics_line(&t, "upstream_fetches_total", "counter", "Fetches.", "", 3);
	metrics_end(&t);
	assert_int_equal(t.failed, 0);
	assert_int_equal(strlen(t.p), t.n);
	return t.p;
}

static double value_of(const char *text, const char *series)
{
	size_t n = strlen(series);

	for (const char *p = strstr(text, series); p != NULL; p = strstr(p + 1, series))
		if ((p == text || p[-1] == '\n') && p[n] == ' ')
			return strtod(p + n, NULL);
	fail_msg("no series %s", series);
	return -1;
}

static void counters_of_all_threads_are_summed(void **state)
{
	struct counters *a = metrics_thread(), *b = metrics_thread();
	char *text;

	(void)state;
	metrics_count(a, M_REQ_HIT_MEMORY);
	metrics_add(b, M_REQ_HIT_MEMORY, 41);
	assert_int_equal(metrics_sum(M_REQ_HIT_MEMORY), 42);
	assert_int_equal((uintptr_t)a % 64, 0);
	text = print(0);
	assert_true(
	    value_of(text,
		"ocspcached_requests_total{tier=\"memory\",outcome=\"answered\"}") == 42);
	free(text);
}

static void a_histogram_is_cumulative_and_its_bounds_are_inclusive(void **state)
{
	struct counters *c = metrics_thread();
	char *text;

	(void)state;
	metrics_observe_us(c, H_FETCH, -5); /* a step of the clock */
	metrics_observe_us(c, H_FETCH, 10);
	metrics_observe_us(c, H_FETCH, 11);
	metrics_observe_us(c, H_FETCH, 60000000);
	metrics_observe_us(c, H_FETCH, 60000001);
	text = print(0);
#define BUCKET(le)                                                                       \
	value_of(text, "ocspcached_upstream_duration_seconds_bucket{le=\"" le "\"}")
	assert_true(BUCKET("1e-05") == 2);
	assert_true(BUCKET("2.5e-05") == 3);
	assert_true(BUCKET("30") == 3);
	assert_true(BUCKET("60") == 4);
	assert_true(BUCKET("+Inf") == 5);
	assert_true(value_of(text, "ocspcached_upstream_duration_seconds_count") == 5);
	assert_true(
	    value_of(text, "ocspcached_upstream_duration_seconds_sum") == 120.000022);
	free(text);
}

static void ages_have_bounds_of_their_own(void **state)
{
	struct counters *c = metrics_thread();
	char *text;

	(void)state;
	metrics_observe_us(c, H_AGE, INT64_C(84) * 3600 * 1000000);
	metrics_observe_us(c, H_AGE, INT64_C(400) * 86400 * 1000000);
	text = print(1);
	assert_true(
	    value_of(text, "ocspcached_answer_age_seconds_bucket{le=\"1.0\"}") == 0);
	assert_true(
	    value_of(text, "ocspcached_answer_age_seconds_bucket{le=\"302400.0\"}") == 1);
	assert_true(value_of(text,
			"ocspcached_answer_age_seconds_bucket{le=\"2.592e+06\"}") == 1);
	assert_true(
	    value_of(text, "ocspcached_answer_age_seconds_bucket{le=\"+Inf\"}") == 2);
	assert_true(value_of(text, "ocspcached_answer_age_seconds_sum") ==
		    84 * 3600 + 400.0 * 86400);
	free(text);
}

static void the_process_reports_itself(void **state)
{
	char *text = print(0);
	double start = value_of(text, "process_start_time_seconds");
	double rss = value_of(text, "process_resident_memory_bytes");

	(void)state;
	assert_true(start > (double)time(NULL) - 600 && start < (double)time(NULL) + 2);
	assert_true(rss > 1e6 && value_of(text, "process_virtual_memory_bytes") >= rss);
	assert_true(value_of(text, "process_open_fds") >= 3);
	assert_true(value_of(text, "process_max_fds") == (double)sysconf(_SC_OPEN_MAX));
	assert_true(value_of(text, "process_cpu_seconds_total") >= 0);
	assert_non_null(strstr(
	    text, "\nocspcached_build_info{version=\"" OCSPCACHED_VERSION "\"} 1\n"));
	free(text);
}

static void a_label_value_is_escaped_and_cut_between_characters(void **state)
{
	char out[8];

	(void)state;
	metrics_escape("a\"b\\\n", out, sizeof out);
	assert_string_equal(out, "a\\\"b\\\\");
	metrics_escape("abcdef\"", out, sizeof out);
	assert_string_equal(out, "abcdef");
	metrics_escape("", out, 1);
	assert_string_equal(out, "");
}

/* OpenMetrics 1.0, "Counter": MetricFamily name without _total, samples with it. */
static void openmetrics_names_counters_without_total_and_ends_with_eof(void **state)
{
	char *text = print(1);

	(void)state;
	assert_non_null(strstr(text, "# TYPE ocspcached_requests counter\n"));
	assert_non_null(strstr(text, "# HELP ocspcached_upstream_fetches Fetches.\n"));
	assert_non_null(strstr(text, "\nocspcached_upstream_fetches_total 3\n"));
	assert_non_null(strstr(text, "# TYPE process_cpu_seconds counter\n"));
	assert_null(strstr(text, "_total counter\n"));
	assert_string_equal(text + strlen(text) - 6, "# EOF\n");
	free(text);
	text = print(0);
	assert_non_null(strstr(text, "# TYPE ocspcached_requests_total counter\n"));
	assert_null(strstr(text, "# EOF"));
	free(text);
}

/* The oracle is Prometheus's own tool. */
static void promtool_finds_nothing_to_say(void **state)
{
	char *text, out[1000];
	FILE *f;
	size_t n;

	(void)state;
	if (system("command -v promtool >/dev/null 2>&1") != 0) {
		print_message("promtool (package prometheus) is not installed\n");
		skip();
	}
	char path[] = "/tmp/metrics.XXXXXX", command[100];
	int fd = mkstemp(path);
	text = print(0);
	assert_int_equal(write(fd, text, strlen(text)), (ssize_t)strlen(text));
	close(fd);
	free(text);
	snprintf(command, sizeof command, "promtool check metrics <%s 2>&1", path);
	f = popen(command, "re");
	n = fread(out, 1, sizeof out - 1, f);
	out[n] = '\0';
	assert_int_equal(pclose(f), 0);
	unlink(path);
	assert_string_equal(out, "");
}

static void *count_many(void *arg)
{
	struct counters *c = metrics_thread();

	(void)arg;
	for (int i = 0; i < 20000; i++) {
		metrics_count(c, M_PARSED);
		metrics_observe_us(c, H_WAIT, i);
	}
	return NULL;
}

static void counting_and_printing_at_once_is_safe(void **state)
{
	pthread_t t[2];

	(void)state;
	for (int i = 0; i < 2; i++)
		assert_int_equal(pthread_create(&t[i], NULL, count_many, NULL), 0);
	for (int i = 0; i < 20; i++)
		free(print(0));
	for (int i = 0; i < 2; i++)
		pthread_join(t[i], NULL);
	assert_int_equal(metrics_sum(M_PARSED), 40000);
}

int main(void)
{
	const struct CMUnitTest cases[] = {
	    cmocka_unit_test(counters_of_all_threads_are_summed),
	    cmocka_unit_test(a_histogram_is_cumulative_and_its_bounds_are_inclusive),
	    cmocka_unit_test(ages_have_bounds_of_their_own),
	    cmocka_unit_test(the_process_reports_itself),
	    cmocka_unit_test(a_label_value_is_escaped_and_cut_between_characters),
	    cmocka_unit_test(openmetrics_names_counters_without_total_and_ends_with_eof),
	    cmocka_unit_test(promtool_finds_nothing_to_say),
	    cmocka_unit_test(counting_and_printing_at_once_is_safe),
	};

	return cmocka_run_group_tests(cases, NULL, end);
}
