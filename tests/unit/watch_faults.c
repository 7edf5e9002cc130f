/* Bodies are read while memory fails, once at each place: what comes of it is the whole
 * body, or an error that says so, and never less than is there. */
#include "tests/lib/faults.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "cache/watch/watch_body.h"
#include "tests/lib/watch_kit.h"
#include "tests/lib/watch_vectors.h"

static const struct watch_issuers *issuers;
static uint64_t certificates, names, verified, keys;

static int set_up(void **state)
{
	static const struct watch_kit_issuer a[] = {{"a", PEM_CA_A, false}, {NULL}};

	(void)state;
	issuers = watch_kit_issuers(a);
	return 0;
}

static bool each(void *arg, const struct watch_cert *c)
{
	(void)arg;
	certificates++;
	names += c->names_n;
	verified += c->verified;
	keys += c->aki.n > 0;
	return true;
}

/* An error's code. */
static enum watch_bad read_body(enum watch_format format, const char *text, size_t piece)
{
	struct watch_want want = {.format = format,
	    .issuers = issuers,
	    .map = format == WATCH_CSV ? "serial=S,issuer=I,names=N" : NULL,
	    .each = each};
	struct watch_body *b = watch_body_new(&want);
	size_t n = strlen(text);
	enum watch_bad code = WATCH_FINE;
	bool good = true;

	certificates = names = verified = keys = 0;
	if (b == NULL)
		return WATCH_NOMEM;
	for (size_t i = 0; good && i < n; i += piece)
		good =
		    watch_body_feed(b, bytes_of(text + i, n - i < piece ? n - i : piece));
	if (!good || !watch_body_end(b))
		code = watch_body_error(b)->code;
	watch_body_free(b);
	return code;
}

static void at_each_allocation(enum watch_format format, const char *text, size_t piece,
    uint64_t all, uint64_t all_names)
{
	long failed = 0, calls, n = 0;

	assert_int_equal(read_body(format, text, piece), WATCH_FINE);
	assert_int_equal(certificates, all);
	assert_int_equal(names, all_names);
	do {
		enum watch_bad code;

		n++;
		faults_arm(FAULT_MEMORY, n, 1);
		code = read_body(format, text, piece);
		calls = faults_disarm();
		failed += code == WATCH_NOMEM;
		if (code == WATCH_FINE) {
			assert_int_equal(certificates, all);
			assert_int_equal(names, all_names);
		} else if (code != WATCH_NOMEM) {
			fail_msg("%ld: %s", n, watch_bad_label(code));
		}
	} while (calls >= n);
	assert_true(failed > 2);
	assert_int_equal(read_body(format, text, piece), WATCH_FINE);
	assert_int_equal(certificates, all);
}

static void a_bundle_without_memory_is_no_bad_bundle(void **state)
{
	(void)state;
	at_each_allocation(
	    WATCH_PEM, PEM_KEY PEM_FULL PEM_NO_AKI_B PEM_CA_B PEM_CN, 100, 3, 9 + 1 + 1);
}

static void lines_without_memory_are_no_bad_lines(void **state)
{
	(void)state;
	at_each_allocation(WATCH_NDJSON,
	    "{\"issuer\":\"a\",\"serial\":\"1f\",\"names\":[\"x\\u0061.example\",\"b\"]}"
	    "\n"
	    "{\"issuer_key\":\"ab\",\"serial\":\"2\"}",
	    20, 2, 2);
}

static void rows_without_memory_are_no_bad_rows(void **state)
{
	(void)state;
	at_each_allocation(WATCH_CSV, "S,I,N\n1f,a,x;y\n2,a,\"z\"\n", 5, 2, 3);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(a_bundle_without_memory_is_no_bad_bundle),
	    cmocka_unit_test(lines_without_memory_are_no_bad_lines),
	    cmocka_unit_test(rows_without_memory_are_no_bad_rows),
	};

	return cmocka_run_group_tests(tests, set_up, NULL);
}
