#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "cache/change/change.h"
#include "tests/lib/unhex.h"

#define TWO_SERIALS                                                                      \
	"000000000000000000000000000000000000000080 02 0000000000000000 00 00"           \
	"00ffffffffffffffffffffffffffffffffffffffff 15 0000000000000000 01 00"

/* Written by hand from the layout at the top of change_notices.c: of an incident, for who
 * has the list fleet, the second one withdrawn; and by ARI, with windows. */
static const char incident_hex[] = "02 03 0000 00000002 0000018bcfe56800"
				   "00 04 04 05 000000006553f0ff 0008 00 00"
				   "64656d6f 6d617373 666c656574" /* demo mass fleet */
				   "68747470733a2f78"             /* https:/x */
    TWO_SERIALS;
static const char ari_hex[] = "02 03 0000 00000002 0000018bcfe56800"
			      "01 04 00 00 0000000000000000 0000 01 00"
			      "64656d6f" TWO_SERIALS "000000006553f100 000000006553f200"
			      "0000000000000000 0000000000000000";

static struct change_batch *golden(bool ari)
{
	struct change_batch *b = change_notices_new(2, ari ? "" : "https:/x", ari);

	assert_non_null(b);
	strcpy(b->issuer, "demo");
	b->seen_at_ms = INT64_C(1700000000000);
	b->n = 2;
	b->change[0].entry = (struct crl_entry){.octets = {[20] = 0x80}, .n = 2};
	memset(b->change[1].entry.octets + 1, 0xff, 20);
	b->change[1].entry.n = 21;
	change_set_withdrawn(&b->change[1], true);
	b->source = ari ? CHANGE_ARI : CHANGE_INCIDENT;
	if (ari) {
		b->window[0] = (struct change_window){0x6553f100, 0x6553f200};
		return b;
	}
	strcpy(b->incident, "mass");
	strcpy(b->watchlist, "fleet");
	b->deadline = 0x6553f0ff;
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

static void assert_notices_equal(
    const struct change_batch *a, const struct change_batch *b)
{
	assert_int_equal(a->kind, b->kind);
	assert_int_equal(a->source, b->source);
	assert_string_equal(a->issuer, b->issuer);
	assert_string_equal(a->incident, b->incident);
	assert_string_equal(a->watchlist, b->watchlist);
	assert_string_equal(a->url, b->url);
	assert_int_equal(a->deadline, b->deadline);
	assert_int_equal(a->seen_at_ms, b->seen_at_ms);
	assert_int_equal(a->n, b->n);
	assert_memory_equal(a->change, b->change, a->n * sizeof a->change[0]);
	assert_int_equal(a->window != NULL, b->window != NULL);
	if (a->window != NULL)
		assert_memory_equal(a->window, b->window, a->n * sizeof a->window[0]);
}

static void notices_are_written_in_the_layout_that_is_documented(void **state)
{
	(void)state;
	for (int ari = 0; ari < 2; ari++) {
		struct change_batch *b = golden(ari != 0), *read;
		uint8_t want[256], got[256];
		size_t n = unhex(ari ? ari_hex : incident_hex, want, sizeof want);

		assert_int_equal(b->kind, CHANGE_NOTICES);
		assert_int_equal(change_batch_size(b), n);
		assert_int_equal(change_batch_encode(b, got), n);
		assert_memory_equal(got, want, n);
		assert_int_equal(decode(&read, want, n), ERR_OK);
		assert_notices_equal(read, b);
		assert_true(change_is_withdrawn(&read->change[1]));
		assert_false(change_is_withdrawn(&read->change[0]));
		change_batch_unref(read);
		for (size_t i = 0; i < n; i++)
			assert_true(is_refused(want, i));
		want[n] = 0;
		assert_true(is_refused(want, n + 1));
		change_batch_unref(b);
	}
}

/* The longest record there is, and short ones. */
static void notices_of_any_size_are_read_as_they_were_written(void **state)
{
	static const uint32_t sizes[] = {1, 2, CHANGE_BATCH_MAX};
	char url[CHANGE_URL_MAX + 1];

	(void)state;
	for (size_t i = 0; i < 6; i++) {
		size_t url_n = i % 2 ? CHANGE_URL_MAX : 1, name = i % 2 ? 63 : 1;
		struct change_batch *b, *read;
		uint8_t *bytes;

		memset(url, 0xff, sizeof url); /* whatever it is */
		url[url_n] = '\0';
		b = change_notices_new(sizes[i / 2], url, i % 2 != 0);
		assert_true(b->memory >= sizeof *b + 32 * (size_t)sizes[i / 2] + url_n);
		b->n = sizes[i / 2];
		b->source = i == 5 ? CHANGE_ARI : CHANGE_INCIDENT;
		memset(b->issuer, 'z', name);
		memset(b->incident, '9', i == 5 ? 0 : name);
		memset(b->watchlist, '_', name);
		b->deadline = INT64_MIN;
		for (uint32_t k = 0; k < b->n; k++) {
			b->change[k].entry.n = 3;
			b->change[k].entry.octets[18] = 1;
			b->change[k].entry.octets[19] = (uint8_t)(k >> 8);
			b->change[k].entry.octets[20] = (uint8_t)k;
			change_set_withdrawn(&b->change[k], k % 2);
			if (b->window != NULL)
				b->window[k] =
				    (struct change_window){INT64_MIN + k, INT64_MAX};
		}
		assert_true(change_batch_size(b) <= CHANGE_RECORD_MAX);
		bytes = malloc(change_batch_size(b));
		assert_int_equal(change_batch_encode(b, bytes), change_batch_size(b));
		assert_int_equal(decode(&read, bytes, change_batch_size(b)), ERR_OK);
		assert_notices_equal(read, b);
		free(bytes);
		change_batch_unref(read);
		change_batch_unref(b);
	}
}

/* Offsets in the two golden records. */
#define NAMES_AT   32
#define URL_AT     45
#define FIRST_AT   53
#define SECOND_AT  85
#define ARI_AT     36
#define WINDOWS_AT 100

/* T16 */
static void a_field_with_a_value_that_nobody_writes_is_refused(void **state)
{
	static const struct {
		bool ari;
		size_t at;
		uint8_t value;
	} row[] = {
	    {false, 1, 1},                 /* changes */
	    {false, 1, 2},                 /* */
	    {false, 1, 4},                 /* alarms */
	    {false, 2, 1},                 /* zero */
	    {false, 3, 1},                 /* */
	    {false, 4, 0xff},              /* 4 billion */
	    {false, 7, 0},                 /* none */
	    {false, 7, 1},                 /* one too few */
	    {false, 7, 3},                 /* one too many */
	    {false, 16, 1},                /* ARI has no incidents */
	    {false, 16, 2},                /* no source */
	    {false, 17, 0},                /* lengths that do not fit */
	    {false, 17, 64},               /* */
	    {false, 18, 0},                /* */
	    {false, 18, 0xff},             /* */
	    {false, 19, 6},                /* */
	    {false, 28, 0xff},             /* */
	    {false, 29, 7},                /* */
	    {false, 30, 1},                /* windows that are not there */
	    {false, 30, 2},                /* */
	    {false, 31, 1},                /* zero */
	    {false, NAMES_AT, 'D'},        /* no name of ours */
	    {false, NAMES_AT + 4, '/'},    /* */
	    {false, NAMES_AT + 8, 0},      /* */
	    {false, URL_AT + 7, 0},        /* a NUL */
	    {false, FIRST_AT, 1},          /* padding before the serial */
	    {false, FIRST_AT + 21, 0},     /* no octets */
	    {false, FIRST_AT + 21, 22},    /* */
	    {false, FIRST_AT + 22, 1},     /* a date */
	    {false, FIRST_AT + 27, 1},     /* a reason */
	    {false, FIRST_AT + 28, 1},     /* */
	    {false, FIRST_AT + 29, 1},     /* */
	    {false, FIRST_AT + 30, 2},     /* neither announced nor withdrawn */
	    {false, FIRST_AT + 31, 1},     /* */
	    {false, SECOND_AT + 31, 4},    /* */
	    {true, 16, 0},                 /* an incident without a name */
	    {true, 18, 4},                 /* ARI with one */
	    {true, 30, 0},                 /* windows that should not be there */
	    {true, ARI_AT + 31, 1},        /* */
	    {true, WINDOWS_AT + 8, 0x80},  /* before what it is after */
	    {true, WINDOWS_AT + 14, 0xf0}, /* */
	    {true, WINDOWS_AT + 31 - 8, 1} /* */
	};

	(void)state;
	for (size_t i = 0; i < sizeof row / sizeof row[0]; i++) {
		uint8_t bytes[256];
		size_t n =
		    unhex(row[i].ari ? ari_hex : incident_hex, bytes, sizeof bytes);

		assert_false(is_refused(bytes, n));
		assert_int_not_equal(bytes[row[i].at], row[i].value);
		bytes[row[i].at] = row[i].value;
		if (!is_refused(bytes, n))
			fail_msg("row %zu", i);
	}
}

/* One longer than the longest, and all else as it should be. */
static void a_url_that_is_too_long_is_refused(void **state)
{
	size_t n = 32 + 2 + CHANGE_URL_MAX + 32;
	uint8_t *bytes = calloc(1, n + 1);

	(void)state;
	bytes[0] = 2;
	bytes[1] = 3;
	bytes[7] = bytes[17] = bytes[18] = 1;
	memset(bytes + 32, 'a', 2 + CHANGE_URL_MAX + 1);
	bytes[28] = CHANGE_URL_MAX >> 8;
	bytes[n - 32 + 21] = 1;
	bytes[n - 32] = 0;
	assert_false(is_refused(bytes, n));
	bytes[29] = 1;
	bytes[n - 32] = 'a';
	bytes[n - 32 + 21] = 0;
	bytes[n - 32 + 22] = 1;
	assert_true(is_refused(bytes, n + 1));
	free(bytes);
}

/* Any octet changed: refused, or another batch that encodes to just these bytes. */
static void what_is_read_is_written_as_the_same_bytes(void **state)
{
	(void)state;
	for (int ari = 0; ari < 2; ari++) {
		uint8_t bytes[256], again[256];
		size_t n = unhex(ari ? ari_hex : incident_hex, bytes, sizeof bytes),
		       read = 0;
		struct change_batch *b;

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
}

static void notices_are_for_whom_changes_would_be_for(void **state)
{
	struct change_batch *b = golden(false);

	(void)state;
	assert_false(change_batch_is_changes(b));
	assert_true(change_batch_is_for(b, "", "fleet"));
	assert_true(change_batch_is_for(b, "demo", "fleet"));
	assert_false(change_batch_is_for(b, "other", "fleet"));
	assert_false(change_batch_is_for(b, "", ""));
	assert_false(change_batch_is_for(b, "", "web"));
	b->watchlist[0] = '\0';
	assert_true(change_batch_is_for(b, "", ""));
	assert_true(change_batch_is_for(b, "", "web"));
	assert_false(change_batch_is_for(b, "other", ""));
	change_batch_unref(b);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(notices_are_written_in_the_layout_that_is_documented),
	    cmocka_unit_test(notices_of_any_size_are_read_as_they_were_written),
	    cmocka_unit_test(a_field_with_a_value_that_nobody_writes_is_refused),
	    cmocka_unit_test(a_url_that_is_too_long_is_refused),
	    cmocka_unit_test(what_is_read_is_written_as_the_same_bytes),
	    cmocka_unit_test(notices_are_for_whom_changes_would_be_for),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
