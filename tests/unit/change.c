#include "cache/change/change.h"

#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "tests/lib/log_of_before.h"
#include "tests/lib/unhex.h"

#define TWO_CHANGES                                                                      \
	"000000000000000000000000000000000000000080 02"                                  \
	"006553f100 01 0000 01 00" /* 0080: 128; revoked */                              \
	"00ffffffffffffffffffffffffffffffffffffffff 15"                                  \
	"ff00000000 ff 0000 03 01" /* long; removed */

/* Written by hand from the layout at the top of change.c. */
static const char golden_hex[] = "02 01 0000 00000002" /* version, kind, two changes */
				 "0000018bcfe56800"    /* 1700000000000 ms */
				 "01 04 02 00"         /* list, lengths */
				 "000000006553f0ff"    /* 1699999999 s */
				 "64656d6f 0102"       /* demo; 258 */
    TWO_CHANGES;
/* The same in version 1. */
static const char first_hex[] = "01 01 04 02 0000018bcfe56800 000000006553f0ff 00000002"
				"64656d6f 0102" TWO_CHANGES;

static struct change_batch *golden(uint8_t *bytes, size_t *n)
{
	struct change_batch *b = change_batch_new(2);

	*n = unhex(golden_hex, bytes, 256);
	assert_non_null(b);
	strcpy(b->issuer, "demo");
	b->evidence = CHANGE_CRL;
	b->has_number = true;
	b->number[18] = 1;
	b->number[19] = 2;
	b->seen_at_ms = INT64_C(1700000000000);
	b->published_at = 1699999999;
	b->n = 2;
	b->change[0].entry = (struct crl_entry){.octets = {[20] = 0x80},
	    .n = 2,
	    .at = {0x00, 0x65, 0x53, 0xf1, 0x00},
	    .reason = 1,
	    .spare = {CHANGE_REVOKED, CHANGE_GOOD}};
	memset(b->change[1].entry.octets + 1, 0xff, 20);
	b->change[1].entry.n = 21;
	b->change[1].entry.at[0] = 0xff;
	b->change[1].entry.reason = CRL_NO_REASON;
	b->change[1].entry.spare[0] = CHANGE_REMOVED;
	b->change[1].entry.spare[1] = CHANGE_REVOKED;
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
	return e == ERR_RECORD;
}

static void assert_batch_equal(const struct change_batch *a, const struct change_batch *b)
{
	assert_int_equal(a->kind, b->kind);
	assert_string_equal(a->watchlist, b->watchlist);
	assert_string_equal(a->issuer, b->issuer);
	assert_int_equal(a->evidence, b->evidence);
	assert_int_equal(a->has_number, b->has_number);
	assert_memory_equal(a->number, b->number, sizeof a->number);
	assert_int_equal(a->seen_at_ms, b->seen_at_ms);
	assert_int_equal(a->published_at, b->published_at);
	assert_int_equal(a->n, b->n);
	assert_memory_equal(a->change, b->change, a->n * sizeof a->change[0]);
}

static void a_batch_is_written_in_the_layout_that_is_documented(void **state)
{
	uint8_t want[256], got[256];
	struct change_batch *b, *read;
	size_t n;

	(void)state;
	b = golden(want, &n);
	assert_int_equal(n, 28 + 4 + 2 + 64);
	assert_int_equal(change_batch_size(b), n);
	assert_int_equal(change_batch_encode(b, got), n);
	assert_memory_equal(got, want, n);
	assert_int_equal(decode(&read, want, n), ERR_OK);
	assert_batch_equal(read, b);
	assert_int_equal(read->epoch, 0);
	assert_int_equal(read->seq, 0);
	change_batch_unref(read);
	change_batch_unref(b);
}

static void a_batch_of_any_size_is_read_as_it_was_written(void **state)
{
	static const uint32_t sizes[] = {1, 2, 9999, CHANGE_BATCH_MAX};
	static const size_t numbers[] = {0, 1, 2, 20};

	(void)state;
	for (size_t i = 0; i < 4; i++) {
		struct change_batch *b = change_batch_new(sizes[i]), *read;
		uint8_t *bytes;

		assert_int_equal(b->n, 0);
		b->n = sizes[i];
		b->evidence = i % 2 ? CHANGE_CRL : CHANGE_OCSP;
		memset(b->issuer, 'a' + (int)i, i == 3 ? 63 : i + 1);
		b->has_number = numbers[i] > 0;
		memset(b->number + 20 - numbers[i], 0x7f, numbers[i]);
		b->seen_at_ms = INT64_MIN + (int64_t)i;
		b->published_at = INT64_MAX - (int64_t)i;
		for (uint32_t k = 0; k < b->n; k++) {
			b->change[k].entry.n = 3;
			b->change[k].entry.octets[18] = 1;
			b->change[k].entry.octets[19] = (uint8_t)(k >> 8);
			b->change[k].entry.octets[20] = (uint8_t)k;
			b->change[k].entry.spare[0] = k % 4;
		}
		bytes = malloc(change_batch_size(b));
		assert_int_equal(change_batch_encode(b, bytes), change_batch_size(b));
		assert_int_equal(change_batch_size(b),
		    28 + strlen(b->issuer) + numbers[i] + 32 * (size_t)b->n);
		assert_int_equal(decode(&read, bytes, change_batch_size(b)), ERR_OK);
		assert_batch_equal(read, b);
		free(bytes);
		change_batch_unref(read);
		change_batch_unref(b);
	}
}

/* A number of zero is one octet, and not none. */
static void the_number_zero_is_a_number(void **state)
{
	uint8_t bytes[256];
	struct change_batch *b, *read;
	size_t n;

	(void)state;
	b = golden(bytes, &n);
	memset(b->number, 0, sizeof b->number);
	n = change_batch_encode(b, bytes);
	assert_int_equal(bytes[18], 1);
	assert_int_equal(decode(&read, bytes, n), ERR_OK);
	assert_true(read->has_number);
	change_batch_unref(read);
	b->has_number = false;
	n = change_batch_encode(b, bytes);
	assert_int_equal(bytes[18], 0);
	assert_int_equal(decode(&read, bytes, n), ERR_OK);
	assert_false(read->has_number);
	change_batch_unref(read);
	change_batch_unref(b);
}

static void a_batch_that_is_cut_or_longer_is_refused(void **state)
{
	uint8_t bytes[300] = {0};
	size_t n;

	(void)state;
	change_batch_unref(golden(bytes, &n));
	assert_false(is_refused(bytes, n));
	for (size_t i = 0; i < sizeof bytes; i++)
		assert_int_equal(is_refused(bytes, i), i != n);
}

/* Offsets in the golden batch. */
#define NAME_AT   28
#define NUMBER_AT 32
#define FIRST_AT  34
#define SECOND_AT 66

static void a_field_with_a_value_that_nobody_writes_is_refused(void **state)
{
	static const struct {
		size_t at;
		uint8_t value;
	} row[] = {
	    {0, 0x00},              /* version */
	    {0, 0x01},              /* ... of before, which has another head */
	    {0, 0x03},              /* ... of the future */
	    {0, 0x30},              /* DER */
	    {1, 0},                 /* kind */
	    {1, 2},                 /* ... whose changes have moved nowhere */
	    {1, 0xff},              /* */
	    {2, 1},                 /* zero */
	    {3, 1},                 /* */
	    {19, 1},                /* */
	    {16, 2},                /* evidence */
	    {17, 0},                /* no name */
	    {17, 5},                /* a longer one: the total does not fit */
	    {17, 0xff},             /* longer than any */
	    {18, 3},                /* number, the same */
	    {18, 21},               /* */
	    {4, 0xff},              /* 4 billion changes */
	    {7, 0},                 /* none */
	    {7, 1},                 /* one too few */
	    {7, 3},                 /* one too many */
	    {NAME_AT, 'D'},         /* the configuration has no such name */
	    {NAME_AT + 1, 0},       /* a NUL inside */
	    {NAME_AT + 1, ' '},     /* */
	    {NAME_AT + 1, '/'},     /* */
	    {NAME_AT + 1, 0xc3},    /* */
	    {NUMBER_AT, 0},         /* leading zero */
	    {FIRST_AT, 1},          /* padding before the serial */
	    {FIRST_AT + 18, 1},     /* */
	    {FIRST_AT + 20, 0x7f},  /* 007f is 7f */
	    {FIRST_AT + 21, 0},     /* no octets */
	    {FIRST_AT + 21, 3},     /* 000080 is 0080 */
	    {FIRST_AT + 21, 22},    /* longer than any serial */
	    {FIRST_AT + 21, 0xff},  /* */
	    {FIRST_AT + 27, 7},     /* CRLReason 7 is not used */
	    {FIRST_AT + 27, 11},    /* the first that is not assigned */
	    {FIRST_AT + 27, 0xfe},  /* */
	    {FIRST_AT + 28, 1},     /* shard */
	    {FIRST_AT + 29, 1},     /* */
	    {FIRST_AT + 30, 4},     /* status now */
	    {FIRST_AT + 31, 4},     /* status before */
	    {SECOND_AT, 0xff},      /* ffff... is shorter */
	    {SECOND_AT + 1, 0x7f},  /* 007f... too */
	    {SECOND_AT + 31, 0xff}, /* the last octet */
	};
	uint8_t bytes[256];
	size_t n;

	(void)state;
	change_batch_unref(golden(bytes, &n));
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

/* By hand from the same layout: of a watchlist, and of none. */
static const char watched_hex[] = "02 02 0000 00000002" /* kind 2 */
				  "0000018bcfe56800"
				  "01 04 02 05"
				  "000000006553f0ff"
				  "64656d6f 0102 666c656574" /* fleet */
				  "000000000000000000000000000000000000000080 02"
				  "006553f100 01 0000 01 04"
				  "00ffffffffffffffffffffffffffffffffffffffff 15"
				  "ff00000000 ff 0000 01 04";

static struct change_batch *watched(const char *list, uint8_t *bytes, size_t *n)
{
	struct change_batch *b = golden(bytes, n);

	b->kind = CHANGE_WATCHED;
	strcpy(b->watchlist, list);
	for (uint32_t i = 0; i < b->n; i++) {
		b->change[i].entry.spare[0] = CHANGE_REVOKED;
		b->change[i].entry.spare[1] = CHANGE_NONE;
	}
	*n = unhex(watched_hex, bytes, 256);
	return b;
}

static void what_is_revoked_already_is_written_in_its_layout(void **state)
{
	static const char *const lists[] = {"fleet", "",
	    "a-z0-9._-a-z0-9._-a-z0-9._-a-z0-9._-a-z0-9._-a-z0-9._-abcdefghi"};
	uint8_t want[256], got[512];
	struct change_batch *b, *read;
	size_t n;

	(void)state;
	b = watched("fleet", want, &n);
	assert_int_equal(change_batch_encode(b, got), n);
	assert_memory_equal(got, want, n);
	assert_false(change_batch_is_newer(bytes_of(want, n)));
	change_batch_unref(b);
	for (size_t i = 0; i < 3; i++) {
		b = watched(lists[i], want, &n);
		n = change_batch_encode(b, got);
		assert_int_equal(n, 28 + 4 + 2 + strlen(lists[i]) + 64);
		assert_int_equal(change_batch_size(b), n);
		assert_int_equal(decode(&read, got, n), ERR_OK);
		assert_batch_equal(read, b);
		change_batch_unref(read);
		change_batch_unref(b);
		for (size_t k = 0; k < n; k++)
			assert_true(is_refused(got, k));
	}
}

static void what_is_revoked_already_has_no_other_status(void **state)
{
	static const struct {
		size_t at;
		uint8_t value;
	} row[] = {
	    {1, 1},                     /* moves are nobody's alone */
	    {1, 3},                     /* another kind */
	    {2, 1},                     /* zero */
	    {19, 4},                    /* a shorter name, a longer one: the total */
	    {19, 64},                   /* longer than any */
	    {19, 0xff},                 /* */
	    {NUMBER_AT + 2, 'F'},       /* no name of a watchlist */
	    {NUMBER_AT + 3, 0},         /* */
	    {NUMBER_AT + 6, '/'},       /* */
	    {FIRST_AT + 5 + 30, 0},     /* not revoked */
	    {FIRST_AT + 5 + 30, 2},     /* */
	    {FIRST_AT + 5 + 30, 3},     /* */
	    {FIRST_AT + 5 + 30, 4},     /* */
	    {FIRST_AT + 5 + 31, 0},     /* something before */
	    {FIRST_AT + 5 + 31, 1},     /* */
	    {SECOND_AT + 5 + 31, 3},    /* */
	    {SECOND_AT + 5 + 31, 5},    /* */
	    {SECOND_AT + 5 + 31, 0xff}, /* */
	};
	uint8_t bytes[256];
	size_t n;

	(void)state;
	change_batch_unref(watched("fleet", bytes, &n));
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

static void a_batch_of_a_watchlist_is_for_those_who_have_it(void **state)
{
	uint8_t bytes[256];
	struct change_batch *b;
	size_t n;

	(void)state;
	b = watched("fleet", bytes, &n);
	assert_true(change_batch_is_for(b, "", "fleet"));
	assert_true(change_batch_is_for(b, "demo", "fleet"));
	assert_false(change_batch_is_for(b, "other", "fleet"));
	assert_false(change_batch_is_for(b, "", ""));
	assert_false(change_batch_is_for(b, "demo", ""));
	assert_false(change_batch_is_for(b, "", "flee"));
	change_batch_unref(b);
	b = watched("", bytes, &n);
	assert_true(change_batch_is_for(b, "", ""));
	assert_true(change_batch_is_for(b, "demo", "fleet"));
	assert_false(change_batch_is_for(b, "other", ""));
	change_batch_unref(b);
}

/* Alone, whatever is where the octets of a shorter and a longer one would end. */
static void a_serial_has_1_to_21_octets(void **state)
{
	static const uint8_t first[] = {0x00, 0x01, 0x7f, 0x80, 0xff};
	uint8_t bytes[256], *entry = bytes + SECOND_AT;
	size_t n;

	(void)state;
	for (size_t i = 0; i < sizeof first; i++) {
		change_batch_unref(golden(bytes, &n));
		entry[0] = first[i];
		entry[21] = 22;
		assert_true(is_refused(bytes, n));
		memset(entry, 0, 22);
		entry[22] = first[i]; /* of the date */
		assert_true(is_refused(bytes, n));
		entry[20] = first[i];
		entry[21] = 1;
		assert_false(is_refused(bytes, n));
	}
}

static void more_changes_than_a_batch_has_are_refused(void **state)
{
	size_t n = 28 + 1 + 32 * (size_t)(CHANGE_BATCH_MAX + 1);
	uint8_t *bytes = calloc(1, n);

	(void)state;
	bytes[0] = 2;
	bytes[1] = bytes[17] = 1;
	bytes[28] = 'a';
	for (size_t i = 29; i < n; i += 32)
		bytes[i + 21] = 1;
	bytes[6] = CHANGE_BATCH_MAX >> 8;
	bytes[7] = CHANGE_BATCH_MAX & 255;
	assert_false(is_refused(bytes, n - 32));
	bytes[6] = (CHANGE_BATCH_MAX + 1) >> 8;
	bytes[7] = (CHANGE_BATCH_MAX + 1) & 255;
	assert_true(is_refused(bytes, n));
	free(bytes);
}

/* What is in the logs of before: by hand, and as that program wrote it. */
static void batches_of_version_1_are_read(void **state)
{
	uint8_t bytes[256], ignored[256];
	struct change_batch *b, *read;
	size_t n, m;

	(void)state;
	b = golden(ignored, &m);
	n = unhex(first_hex, bytes, sizeof bytes);
	assert_int_equal(decode(&read, bytes, n), ERR_OK);
	assert_batch_equal(read, b);
	assert_int_equal(change_batch_size(read), n + 4); /* as it would be written now */
	change_batch_unref(read);
	for (size_t i = 0; i < n; i++)
		assert_true(is_refused(bytes, i));
	bytes[1] = 2; /* evidence: it had no kinds */
	assert_true(is_refused(bytes, n));
	change_batch_unref(b);
	for (int i = 0; i < BEFORE_BATCHES; i++) {
		n = unhex(before_batch[i].hex, bytes, sizeof bytes);
		assert_int_equal(decode(&read, bytes, n), ERR_OK);
		assert_string_equal(read->issuer, "demo");
		assert_int_equal(read->n, before_batch[i].n);
		assert_int_equal(read->seen_at_ms / 1000, BEFORE_SEEN);
		assert_int_equal(read->evidence, i == 1 ? CHANGE_OCSP : CHANGE_CRL);
		assert_int_equal(read->has_number, i != 1);
		assert_int_equal(read->number[19], i == 0 ? 2 : i == 1 ? 0 : 3);
		change_batch_unref(read);
	}
}

static bool is_newer(const uint8_t *p, size_t n)
{
	return is_refused(p, n) && change_batch_is_newer(bytes_of(p, n));
}

/* By its first 16 octets, whatever follows; and what is only damaged is not. */
static void a_record_of_another_kind_or_a_newer_version_is_known_as_that(void **state)
{
	static const struct {
		size_t at;
		uint8_t value;
		bool newer;
	} row[] = {
	    {1, 2, false},
	    {1, 3, false},
	    {1, 4, false},
	    {1, 5, true},
	    {1, 0xff, true},
	    {0, 3, true},
	    {0, 0xff, true},
	    {0, 0, false},
	    {0, 1, false},
	    {1, 0, false},
	    {2, 1, false},
	    {7, 0, false},
	    {NAME_AT, 'D', false},
	    {FIRST_AT + 30, 4, false},
	};
	uint8_t bytes[256];
	size_t n;

	(void)state;
	for (size_t i = 0; i < sizeof row / sizeof row[0]; i++) {
		change_batch_unref(golden(bytes, &n));
		bytes[row[i].at] = row[i].value;
		assert_true(is_refused(bytes, n));
		assert_int_equal(is_newer(bytes, n), row[i].newer);
		assert_int_equal(is_newer(bytes, 16), row[i].newer);
		assert_false(is_newer(bytes, 15));
		bytes[2] = 1; /* not the head that all have */
		assert_false(is_newer(bytes, n));
		bytes[2] = 0;
		bytes[6] = 0x27; /* more than a place can count: 10,001 */
		bytes[7] = 0x11;
		assert_false(is_newer(bytes, n));
	}
	assert_false(change_batch_is_newer(bytes_of("", 0)));
}

/* Any octet changed: refused, or another batch that encodes to just these bytes. */
static void what_is_read_is_written_as_the_same_bytes(void **state)
{
	uint8_t bytes[256], again[256];
	struct change_batch *b;
	size_t n, read = 0;

	(void)state;
	change_batch_unref(golden(bytes, &n));
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

static void a_place_is_written_in_a_fixed_form(void **state)
{
	static const struct {
		struct change_pos pos;
		const char *text;
	} row[] = {
	    {{0x67409c1a, 42, 3}, "67409c1a-00000000002a-00003"},
	    {{0, 0, 0}, "00000000-000000000000-00000"},
	    {{0xffffffff, UINT64_C(0xffffffffffff), CHANGE_BATCH_MAX},
		"ffffffff-ffffffffffff-02710"},
	};

	(void)state;
	for (size_t i = 0; i < 3; i++) {
		char text[CHANGE_POS_TEXT_MAX];
		struct change_pos p;

		change_pos_text(&row[i].pos, text);
		assert_string_equal(text, row[i].text);
		assert_true(change_pos_parse(&p, text, strlen(text)));
		assert_int_equal(change_pos_cmp(&p, &row[i].pos), 0);
	}
}

static void a_place_in_any_other_form_is_refused(void **state)
{
	static const char good[] = "67409c1a-00000000002a-00003";
	static const char *const bad[] = {"", "0", "-", "67409C1A-00000000002a-00003",
	    "67409c1a-00000000002A-00003", "67409c1a-00000000002a-00003 ",
	    " 67409c1a-00000000002a-0000", "67409c1a-00000000002a-0003",
	    "67409c1a-00000000002a-000003", "67409c1a_00000000002a-00003",
	    "67409c1a-00000000002a_00003", "67409c1a--0000000002a-00003",
	    "+7409c1a-00000000002a-00003", "0x409c1a-00000000002a-00003",
	    "67409c1a-00000000002a-02711", "67409c1a-00000000002a-fffff",
	    "67409c1a-00000000002a-0000g", "67409c1a-00000000002a-0000\n"};
	struct change_pos p = {1, 2, 3};

	(void)state;
	for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
		assert_false(change_pos_parse(&p, bad[i], strlen(bad[i])));
	for (size_t n = 0; n < strlen(good); n++)
		assert_false(change_pos_parse(&p, good, n));
	for (size_t i = 0; i < strlen(good); i++) {
		char text[sizeof good];

		memcpy(text, good, sizeof good);
		for (int c = 0; c < 256; c++) {
			char again[CHANGE_POS_TEXT_MAX];
			struct change_pos read;

			text[i] = (char)c;
			if (!change_pos_parse(&read, text, strlen(good)))
				continue;
			change_pos_text(&read, again);
			assert_string_equal(again, text);
		}
	}
	assert_int_equal(p.epoch + p.seq + p.index, 6); /* untouched */
}

/* Subscribers compare ids as strings. */
static void places_sort_as_their_texts_do(void **state)
{
	static const uint32_t epoch[] = {0, 1, 9, 10, 0x7fffffff, 0x80000000, 0xffffffff};
	static const uint64_t seq[] = {0, 1, 15, 16, 255, UINT64_C(1) << 47};
	static const uint32_t index[] = {0, 1, 9, 10, 4096, CHANGE_BATCH_MAX};
	struct change_pos all[7 * 6 * 6], *p = all;

	(void)state;
	for (size_t i = 0; i < 7; i++)
		for (size_t k = 0; k < 6; k++)
			for (size_t l = 0; l < 6; l++)
				*p++ = (struct change_pos){epoch[i], seq[k], index[l]};
	for (int i = 0; i < 7 * 6 * 6; i++) {
		for (int k = 0; k < 7 * 6 * 6; k++) {
			char a[CHANGE_POS_TEXT_MAX], b[CHANGE_POS_TEXT_MAX];
			int order = change_pos_cmp(&all[i], &all[k]), texts;

			change_pos_text(&all[i], a);
			change_pos_text(&all[k], b);
			texts = strcmp(a, b);
			assert_int_equal((order > 0) - (order < 0), (i > k) - (i < k));
			assert_int_equal((texts > 0) - (texts < 0), (i > k) - (i < k));
		}
	}
}

/* The API's words (ocspcached(8)). */
static void each_status_has_its_word(void **state)
{
	(void)state;
	assert_string_equal(change_status_name(CHANGE_GOOD), "good");
	assert_string_equal(change_status_name(CHANGE_REVOKED), "revoked");
	assert_string_equal(change_status_name(CHANGE_UNKNOWN), "unknown");
	assert_string_equal(change_status_name(CHANGE_REMOVED), "removed");
	assert_null(change_status_name(CHANGE_NONE));
}

static void *ref_and_unref(void *batch)
{
	struct change_batch *b = batch;

	for (int i = 0; i < 50000; i++)
		change_batch_unref(change_batch_ref(b));
	change_batch_unref(b);
	return NULL;
}

static void two_threads_may_hold_a_batch(void **state)
{
	struct change_batch *b = change_batch_new(1);
	pthread_t t[2];

	(void)state;
	assert_ptr_equal(change_batch_ref(b), b);
	for (int i = 0; i < 2; i++)
		assert_int_equal(pthread_create(&t[i], NULL, ref_and_unref, b), 0);
	for (int i = 0; i < 2; i++)
		pthread_join(t[i], NULL);
	change_batch_unref(NULL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(a_batch_is_written_in_the_layout_that_is_documented),
	    cmocka_unit_test(a_batch_of_any_size_is_read_as_it_was_written),
	    cmocka_unit_test(the_number_zero_is_a_number),
	    cmocka_unit_test(a_batch_that_is_cut_or_longer_is_refused),
	    cmocka_unit_test(a_field_with_a_value_that_nobody_writes_is_refused),
	    cmocka_unit_test(what_is_revoked_already_is_written_in_its_layout),
	    cmocka_unit_test(what_is_revoked_already_has_no_other_status),
	    cmocka_unit_test(a_batch_of_a_watchlist_is_for_those_who_have_it),
	    cmocka_unit_test(a_serial_has_1_to_21_octets),
	    cmocka_unit_test(more_changes_than_a_batch_has_are_refused),
	    cmocka_unit_test(batches_of_version_1_are_read),
	    cmocka_unit_test(
		a_record_of_another_kind_or_a_newer_version_is_known_as_that),
	    cmocka_unit_test(what_is_read_is_written_as_the_same_bytes),
	    cmocka_unit_test(a_place_is_written_in_a_fixed_form),
	    cmocka_unit_test(a_place_in_any_other_form_is_refused),
	    cmocka_unit_test(places_sort_as_their_texts_do),
	    cmocka_unit_test(each_status_has_its_word),
	    cmocka_unit_test(two_threads_may_hold_a_batch),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
