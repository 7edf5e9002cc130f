#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "cache/change/change.h"
#include "tests/lib/unhex.h"

/* Written by hand from the layout at the top of change_alarms.c. */
static const char golden_hex[] =
    "02 04 0000 00000002 0000018bcfe56800"
    "04 05 0000 64656d6f 6e6f64652e" /* demo, node. */
    "00 08 0003 0002 000000006553f0ff 63726c5f6c617465 753a31 3568"
    "01 08 0000 0000 000000006553f100 6c6f675f646f776e"; /* log_down */

static const struct change_alarm two[] = {
    {"crl_late", "u:1", "5h", 0x6553f0ff, false},
    {"log_down", "", "", 0x6553f100, true},
};

static struct change_batch *golden(void)
{
	struct change_batch *b = change_alarms_new("node.", two, 2);

	assert_non_null(b);
	strcpy(b->issuer, "demo");
	b->seen_at_ms = INT64_C(1700000000000);
	return b;
}

/* The allocation ends where the bytes end, so that a sanitizer sees every read beyond. */
static enum err decode(struct change_batch **out, const uint8_t *p, size_t n)
{
	uint8_t *copy = malloc(n ? n : 1);
	enum err e;

	memcpy(copy, p, n);
	e = change_batch_decode(out, bytes_of(copy, n));
	free(copy);
	assert_true((e == ERR_OK) == (*out != NULL));
	return e;
}

static bool is_refused(const uint8_t *p, size_t n)
{
	struct change_batch *b;
	enum err e = decode(&b, p, n);

	change_batch_unref(b);
	assert_false(change_batch_is_newer(bytes_of(p, n)));
	return e == ERR_RECORD;
}

static void assert_alarms_equal(
    const struct change_batch *a, const struct change_batch *b)
{
	assert_int_equal(a->kind, b->kind);
	assert_string_equal(a->issuer, b->issuer);
	assert_string_equal(a->watchlist, b->watchlist);
	assert_string_equal(a->node, b->node);
	assert_int_equal(a->seen_at_ms, b->seen_at_ms);
	assert_int_equal(a->n, b->n);
	for (uint32_t i = 0; i < a->n; i++) {
		assert_string_equal(a->alarm[i].alarm, b->alarm[i].alarm);
		assert_string_equal(a->alarm[i].subject, b->alarm[i].subject);
		assert_string_equal(a->alarm[i].detail, b->alarm[i].detail);
		assert_int_equal(a->alarm[i].since, b->alarm[i].since);
		assert_int_equal(a->alarm[i].cleared, b->alarm[i].cleared);
	}
}

static void alarms_are_written_in_the_layout_that_is_documented(void **state)
{
	struct change_batch *b = golden(), *read;
	uint8_t want[256], got[256];
	size_t n = unhex(golden_hex, want, sizeof want);

	(void)state;
	assert_int_equal(b->kind, CHANGE_ALARMS);
	assert_ptr_not_equal(b->alarm[0].subject, two[0].subject); /* copied */
	assert_int_equal(change_batch_size(b), n);
	assert_int_equal(change_batch_encode(b, got), n);
	assert_memory_equal(got, want, n);
	assert_int_equal(decode(&read, want, n), ERR_OK);
	assert_alarms_equal(read, b);
	change_batch_unref(read);
	for (size_t i = 0; i < n; i++)
		assert_true(is_refused(want, i));
	want[n] = 0;
	assert_true(is_refused(want, n + 1));
	change_batch_unref(b);
}

static void alarms_of_any_size_are_read_as_they_were_written(void **state)
{
	char longest[CHANGE_ALARM_TEXT_MAX + 1] = "", name[64] = "",
					     node[CHANGE_NODE_MAX + 1] = "";
	struct change_alarm many[CHANGE_ALARMS_MAX];

	(void)state;
	memset(longest, 0xff, CHANGE_ALARM_TEXT_MAX); /* whatever it is */
	memset(name, '_', 63);
	memset(node, 'N', CHANGE_NODE_MAX);
	for (size_t i = 0; i < CHANGE_ALARMS_MAX; i++)
		many[i] = (struct change_alarm){i % 2 ? name : "a", i % 3 ? longest : "",
		    i % 5 ? longest : "\n", INT64_MIN + (int64_t)i, i % 7 == 0};
	for (size_t n = 1; n <= CHANGE_ALARMS_MAX; n++) {
		struct change_batch *b = change_alarms_new(n % 2 ? node : "n", many, n),
				    *read;
		uint8_t *bytes;

		if (n % 3 == 0)
			memcpy(b->issuer, name, sizeof name);
		assert_true(b->memory >= sizeof *b + n * sizeof many[0]);
		assert_true(change_batch_size(b) <= CHANGE_RECORD_MAX);
		bytes = malloc(change_batch_size(b));
		assert_int_equal(change_batch_encode(b, bytes), change_batch_size(b));
		assert_int_equal(decode(&read, bytes, change_batch_size(b)), ERR_OK);
		assert_alarms_equal(read, b);
		free(bytes);
		change_batch_unref(read);
		change_batch_unref(b);
	}
}

/* Offsets in the golden record. */
#define FIRST_AT  29
#define SECOND_AT 56

/* T16 */
static void a_field_with_a_value_that_nobody_writes_is_refused(void **state)
{
	static const struct {
		size_t at;
		uint8_t value;
	} row[] = {
	    {1, 1},                /* changes */
	    {1, 3},                /* notices */
	    {2, 1},                /* zero */
	    {3, 1},                /* */
	    {4, 1},                /* 16 million */
	    {7, 0},                /* none */
	    {7, 1},                /* one too few */
	    {7, 3},                /* one too many */
	    {16, 3},               /* lengths that do not fit */
	    {16, 64},              /* */
	    {17, 0},               /* nobody has found them */
	    {17, 0xff},            /* */
	    {18, 1},               /* zero */
	    {19, 1},               /* */
	    {20, 'D'},             /* no name of an issuer */
	    {24, 0},               /* a NUL */
	    {FIRST_AT, 2},         /* neither raised nor cleared */
	    {FIRST_AT + 1, 0},     /* no name */
	    {FIRST_AT + 1, 64},    /* */
	    {FIRST_AT + 2, 2},     /* longer than a subject is */
	    {FIRST_AT + 3, 2},     /* */
	    {FIRST_AT + 5, 3},     /* */
	    {FIRST_AT + 14, 'C'},  /* no name of an alarm */
	    {FIRST_AT + 22, 0},    /* a NUL */
	    {FIRST_AT + 26, 0},    /* */
	    {SECOND_AT, 0xff},     /* */
	    {SECOND_AT + 3, 1},    /* */
	    {SECOND_AT + 21, '/'}, /* */
	};
	uint8_t bytes[256];
	size_t n = unhex(golden_hex, bytes, sizeof bytes);

	(void)state;
	for (size_t i = 0; i < sizeof row / sizeof row[0]; i++) {
		uint8_t before = bytes[row[i].at];

		assert_int_not_equal(before, row[i].value);
		bytes[row[i].at] = row[i].value;
		if (!is_refused(bytes, n))
			fail_msg("row %zu", i);
		bytes[row[i].at] = before;
	}
	assert_false(is_refused(bytes, n));
}

static void a_text_or_a_batch_that_is_too_long_is_refused(void **state)
{
	size_t one = 14 + 1 + CHANGE_ALARM_TEXT_MAX;
	uint8_t *bytes = calloc(1, 21 + 21 * one + 1);

	(void)state;
	bytes[0] = 2;
	bytes[1] = 4;
	bytes[17] = 1;
	bytes[20] = 'n';
	for (uint8_t *p = bytes + 21; p < bytes + 21 + 21 * one; p += one) {
		memset(p + 14, 'a', one - 14);
		p[1] = 1;
		p[2] = CHANGE_ALARM_TEXT_MAX >> 8;
		p[3] = CHANGE_ALARM_TEXT_MAX & 255;
	}
	bytes[7] = 20;
	assert_false(is_refused(bytes, 21 + 20 * one));
	bytes[7] = 21;
	assert_true(is_refused(bytes, 21 + 21 * one));
	bytes[7] = 1;
	assert_false(is_refused(bytes, 21 + one));
	bytes[21 + 2] = 2; /* 512 */
	bytes[21 + 3] = 0;
	bytes[21 + one] = 'a';
	assert_true(is_refused(bytes, 21 + one + 1));
	free(bytes);
}

/* Any octet changed: refused, or another batch that encodes to just these bytes. */
static void what_is_read_is_written_as_the_same_bytes(void **state)
{
	uint8_t bytes[256], again[256];
	size_t n = unhex(golden_hex, bytes, sizeof bytes), read = 0;
	struct change_batch *b;

	(void)state;
	for (size_t i = 0; i < n; i++) {
		uint8_t before = bytes[i];

		for (int v = 0; v < 256; v++) {
			bytes[i] = (uint8_t)v;
			if (decode(&b, bytes, n) != ERR_OK)
				continue;
			read++;
			assert_int_equal(change_batch_encode(b, again), n);
			assert_memory_equal(again, bytes, n);
			change_batch_unref(b);
		}
		bytes[i] = before;
	}
	assert_true(read > n && read < 256 * n);
}

/* Of no issuer: only for who wants everything. */
static void alarms_are_for_who_wants_their_issuer(void **state)
{
	struct change_batch *b = golden();

	(void)state;
	assert_false(change_batch_is_changes(b));
	assert_true(change_batch_is_for(b, "", ""));
	assert_true(change_batch_is_for(b, "demo", ""));
	assert_false(change_batch_is_for(b, "other", ""));
	assert_true(change_batch_is_for(b, "", "fleet"));
	b->issuer[0] = '\0';
	assert_true(change_batch_is_for(b, "", ""));
	assert_false(change_batch_is_for(b, "demo", ""));
	assert_false(change_batch_is_for(b, "", "fleet"));
	change_batch_unref(b);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(alarms_are_written_in_the_layout_that_is_documented),
	    cmocka_unit_test(alarms_of_any_size_are_read_as_they_were_written),
	    cmocka_unit_test(a_field_with_a_value_that_nobody_writes_is_refused),
	    cmocka_unit_test(a_text_or_a_batch_that_is_too_long_is_refused),
	    cmocka_unit_test(what_is_read_is_written_as_the_same_bytes),
	    cmocka_unit_test(alarms_are_for_who_wants_their_issuer),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
