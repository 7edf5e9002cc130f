/* 65-places: a list that is to be had at several places. */
#include "tests/lib/faults.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>

#include <cmocka.h>

#include "proxy/base/clock.h"
#include "proxy/keeper/evidence.h"
#include "proxy/lists/crl_state.h"
#include "tests/lib/feed_world.h"

/* The teller is the test. */
bool teller_list(struct teller *t, const struct list_change *l)
{
	return feed_told(t, l);
}

#define ALTERNATES "certificate = \"ca.pem\" crl = { \"" A " | " B "\" } "

/* Answer the fetch of this URL with a list and a validator. */
static void answer_tagged(const char *url, struct bytes b, const char *etag)
{
	assert_true(is_asked_for(url));
	fake_fetch_reply(place_of(url),
	    &(struct fake_reply){.status = b.n > 0 ? 200 : 304, .body = b, .etag = etag});
	feed_turn();
}

static const char *condition_of(const char *url)
{
	const char *etag;

	assert_true(is_asked_for(url));
	etag = fake_fetch_if_none_match(place_of(url));
	return etag != NULL ? etag : "";
}

/* The next place is asked at once; the list is the same one, whichever it came from. */
static void the_next_place_is_asked_at_once_when_one_fails(void **state)
{
	(void)state;
	live("", ALTERNATES);
	assert_int_equal(fake_fetches_waiting(), 1);
	fail_url(A);
	assert_int_equal(fake_fetches_waiting(), 1);
	answer_url(B, LIST(.number = "01", .serials = "A"));
	assert_true(listed('A'));
	assert_int_equal(set()->shards_n, 1);
	assert_string_equal(field(0, "url"), A);
	assert_string_equal(field(0, "from"), B);
	assert_string_equal(field(0, "last_error"), "");
	assert_int_equal(fake_fetches_waiting(), 0); /* and there is no back-off */
	refresh();                                   /* the first is asked first again */
	answer_url(A, LIST(.number = "02", .serials = "AB"));
	assert_true(listed('B'));
	assert_string_equal(field(0, "from"), A);
	assert_int_equal(told_n, 2);
	assert_false(told[1].c.baseline); /* told on from where it was */
	assert_int_equal(told[1].added, 1);
}

/* R95, R111: what is refused at one place is no reason to have none. */
static void a_place_that_sends_what_is_refused_has_failed(void **state)
{
	(void)state;
	live("", ALTERNATES);
	answer_url(A, bytes_of("<html>", 6));
	answer_url(B, LIST(.number = "02", .serials = "A"));
	assert_true(listed('A'));
	refresh();
	overhear();
	answer_url(A, LIST(.number = "01", .serials = "Z")); /* a mirror that is behind */
	answer_url(B, LIST(.number = "03", .serials = "AB"));
	assert_int_equal(times(heard(), "event=crl_refused issuer=demo url=" A " "), 1);
	assert_true(listed('B') && !listed('Z'));
	assert_string_equal(field(0, "last_error"), "");
}

/* When all have failed the list has, and the error names the place. */
static void a_list_fails_when_all_of_its_places_do(void **state)
{
	char text[1024];

	(void)state;
	live("", ALTERNATES);
	fail_url(A);
	overhear();
	fail_url(B);
	assert_non_null(strstr(heard(), "url=" B " err=upstream_connect"));
	assert_string_equal(
	    field(0, "last_error"), "upstream_connect: " B ": as the test says");
	assert_int_equal(crl_feed_failing(feed, text, sizeof text), 1);
	assert_int_equal(fake_fetches_waiting(), 0);
	feed_elapse(2000); /* back-off */
	fail_url(A);       /* whose pause ends first */
	answer_url(B, LIST(.number = "01", .serials = "A"));
	assert_string_equal(field(0, "last_error"), "");
	assert_int_equal(crl_feed_failing(feed, text, sizeof text), 0);
}

/* What fails is passed over for a time that doubles, and asked first when it is over. */
static void a_place_that_fails_is_passed_over_for_a_growing_time(void **state)
{
	int asks = 0, first = 0;
	struct bytes same;

	(void)state;
	live("", ALTERNATES "crl-interval = \"1m\"");
	same = LIST(.number = "01", .to = DAY, .serials = "A");
	for (int ask = 0; ask < 170; ask++) { /* each comes within its jitter */
		while (is_asked_for(A)) {
			first++;
			fail_url(A);
		}
		if (is_asked_for(B)) {
			asks++;
			answer_url(B, same);
		}
		feed_elapse(66100);
	}
	/* at 1, 2, 4, 8, 16, 32 and 60 minutes after the one before */
	assert_in_range(asks, 168, 170);
	assert_in_range(first, 8, 9);
	while (!is_asked_for(A)) {
		if (is_asked_for(B))
			answer_url(B, same);
		feed_elapse(66100);
	}
	same = LIST(.number = "02", .serials = "AB");
	answer_url(A, same);
	assert_true(listed('B'));
	for (int ask = 0; ask < 5; ask++) {
		feed_elapse(66100);
		answer_url(A, same);
		assert_string_equal(field(0, "from"), A);
	}
}

/* R115: a validator is of one place, and goes nowhere else; nor is it used when what is
 * held came from elsewhere. */
static void validators_are_each_places_own(void **state)
{
	struct bytes one, two;

	(void)state;
	live("", ALTERNATES);
	one = LIST(.number = "01", .serials = "A");
	answer_tagged(A, one, "\"a1\"");
	refresh();
	assert_string_equal(condition_of(A), "\"a1\"");
	fail_url(A);
	assert_string_equal(condition_of(B), "");
	answer_tagged(B, one, "\"b1\""); /* the same bytes */
	refresh();
	assert_string_equal(condition_of(A), "\"a1\"");
	fail_url(A);
	assert_string_equal(condition_of(B), "\"b1\"");
	answer_tagged(B, bytes_of(NULL, 0), "\"b1\""); /* 304 */
	assert_string_equal(field(0, "from"), B);
	assert_string_equal(field(0, "last_error"), "");
	refresh();
	fail_url(A);
	feed_elapse(1000);
	two = LIST(.number = "02", .serials = "AB");
	answer_tagged(B, two, "\"b2\"");
	refresh();
	assert_string_equal(condition_of(A), ""); /* a1 is not what is held */
	answer_tagged(A, two, "\"a2\"");
	die();
	live("", ALTERNATES); /* R96: hints are of the place that the list came from */
	assert_true(listed('B'));
	assert_string_equal(field(0, "from"), B);
	assert_string_equal(condition_of(A), "");
	fail_url(A);
	assert_string_equal(condition_of(B), "\"b2\"");
}

/* R104: a list may be called by any of its places, and by crl-scope; by nothing else. */
static void a_list_has_the_name_of_any_of_its_places(void **state)
{
	(void)state;
	live("", ALTERNATES "absent = \"good\"");
	answer_url(A, LIST(.number = "01", .serials = "A", .idp = "fullname:URI:" B));
	assert_true(listed('A'));
	refresh();
	answer_url(A, LIST(.number = "02", .serials = "B", .idp = "fullname:URI:" A));
	assert_true(listed('B'));
	refresh();
	answer_url(A, LIST(.number = "03", .serials = "C", .idp = "fullname:URI:" C));
	answer_url(B, LIST(.number = "03", .serials = "C", .idp = "fullname:URI:" C));
	assert_true(refused_with("crl_scope") && listed('B'));
	die();
	live("", ALTERNATES "crl-scope = \"" C "\"");
	answer_url(A, LIST(.number = "03", .serials = "C", .idp = "fullname:URI:" C));
	assert_true(listed('C'));
	refresh();
	answer_url(A, LIST(.number = "04", .serials = "D", .idp = "fullname:URI:" B));
	assert_true(listed('D'));
	die();
	/* T18: but not where that is another list's name */
	live("", BOTH "crl-scope = { \"" C "\", \"" A "\" }");
	answer_url(A, LIST(.number = "05", .serials = "E", .idp = "fullname:URI:" A));
	assert_false(listed('E'));
	answer_url(B, LIST(.number = "05", .serials = "E", .idp = "fullname:URI:" A));
	assert_true(listed('E'));
}

/* Of two lists of one name, as they were configured before there were alternates, one is
 * read, and has the places of both. */
static void two_lists_of_one_name_are_one_with_two_places(void **state)
{
	(void)state;
	live("", BOTH "crl-scope = { \"\", \"" A "\" }");
	assert_int_equal(fake_fetches_waiting(), 1);
	fail_url(A);
	answer_url(B, LIST(.number = "01", .serials = "A"));
	assert_int_equal(set()->shards_n, 1);
	assert_int_equal(told_n, 1);
	assert_string_equal(field(0, "from"), B);
	assert_string_equal(field(1, "url"), "");
}

/* A reload that gives a list other places, the first as it was, leaves it in force and
 * goes on from there. */
static void places_come_and_go_with_a_reload(void **state)
{
	(void)state;
	begin_with("01", "A");
	reload("", ALTERNATES);
	assert_true(listed('A'));
	assert_int_equal(fake_fetches_waiting(), 0); /* it is known, and from there */
	refresh();
	fail_url(A);
	answer_tagged(B, LIST(.number = "02", .serials = "AB"), "\"b\"");
	assert_int_equal(told[told_n - 1].added, 1);
	reload("", "certificate = \"ca.pem\" crl = { \"" A " | " C " | " B "\" }");
	refresh();
	fail_url(A);
	assert_string_equal(condition_of(C), "");
	fail_url(C);
	assert_string_equal(condition_of(B), "\"b\"");
	answer_tagged(B, bytes_of(NULL, 0), "\"b\"");
	assert_string_equal(field(0, "from"), B);
	reload("", DEMO); /* while nothing is asked: where it came from is gone */
	assert_string_equal(field(0, "from"), "");
	assert_true(listed('B'));
	answer_url(A, LIST(.number = "03", .serials = "ABC"));
	assert_true(listed('C'));
	assert_string_equal(field(0, "from"), A);
	assert_int_equal(set()->shards_n, 1);
}

/* A file beside a URL: the file that is not read again, because it is the one that was
 * read last, is not the list in force when that came from elsewhere. */
static void one_of_the_places_may_be_a_file(void **state)
{
	char url[200], issuer[600];
	struct bytes old;

	(void)state;
	snprintf(url, sizeof url, "file://%s/local.crl", directory);
	snprintf(issuer, sizeof issuer,
	    "certificate = \"ca.pem\" crl = { \"" A " | %s\" }", url);
	old = LIST(.number = "01", .serials = "A");
	write_file("local.crl", old);
	live("", issuer);
	fail_url(A);
	assert_true(listed('A'));
	assert_string_equal(field(0, "from"), url);
	refresh();
	answer_url(A, LIST(.number = "02", .serials = "AB"));
	assert_true(listed('B'));
	refresh();
	fail_url(A);
	assert_true(refused_with("crl_rollback"));
	assert_true(listed('B'));
	for (int k = 0; k < 3; k++) { /* refused as it was, and not read again */
		refresh();
		fail_url(A);
		assert_true(refused_with("crl_rollback"));
	}
	refresh();
	answer_url(A, LIST(.number = "03", .serials = "ABC"));
	assert_true(listed('C'));
	assert_string_equal(field(0, "last_error"), "");
}

/* Our own disk and memory are at fault at every place. */
static void a_full_disk_is_not_the_places_fault(void **state)
{
	(void)state;
	live("", ALTERNATES);
	fake_fetch_fail(0, ERR_STORE);
	feed_turn();
	assert_int_equal(fake_fetches_waiting(), 0);
	assert_true(refused_with("store"));
}

/* A reload whose n-th allocation fails leaves lists and places as they were, and is made
 * up for. */
static void places_need_memory(void **state)
{
	unsigned long n = 0, calls;

	(void)state;
	do {
		struct conf *old;

		n++;
		begin_with("01", "A");
		old = (struct conf *)(uintptr_t)shared_conf(&shared);
		atomic_store(&shared.conf, load("", ALTERNATES));
		faults_arm(FAULT_MEMORY, n, 1);
		crl_feed_reload(feed, shared_conf(&shared));
		calls = faults_disarm();
		conf_free(old);
		feed_elapse(6000);
		refresh();
		for (int k = 0; k < 60 && !is_asked_for(A); k++)
			feed_elapse(1000);
		fail_url(A);
		for (int k = 0; k < 60 && !is_asked_for(B); k++) {
			if (is_asked_for(A))
				fail_url(A);
			feed_elapse(1000);
		}
		answer_url(B, LIST(.number = "02", .serials = "AB"));
		assert_true(listed('B'));
		die();
		remove_tree(folder);
	} while (calls >= n);
}

/* What the mirror and a certificate's status find by the name of each configured list. */
static bool is_mirrored(size_t n)
{
	const struct issuer *i = issuers_named(shared_conf(&shared)->issuers, "demo");

	return crl_set_file(set(), n, i->crl[n].scope) != NULL;
}

static enum crl_absence evidence_absence(void)
{
	const struct issuer *i = issuers_named(shared_conf(&shared)->issuers, "demo");
	struct evidence_lists lists;

	evidence_list(set(), i, NULL, clock_now(), &lists);
	return lists.absence;
}

/* A complete list under two URLs, which is known when it has come from both: fetched,
 * indexed and told once from then on, from the other place when the first fails. */
static void one_list_under_two_urls_is_one(void **state)
{
	struct bytes one;
	const char *text;

	(void)state;
	live("", BOTH);
	one = LIST(.number = "01", .serials = "ABC");
	answer_url(A, one);
	overhear();
	answer_url(B, one);
	text = heard();
	assert_int_equal(
	    times(text, "event=crl_twice issuer=demo url=" B " same_as=" A), 1);
	assert_non_null(strstr(text, A " | " B));
	assert_int_equal(set()->shards_n, 1);
	assert_int_equal(set()->n, 3);
	assert_int_equal(told_n, 1);
	assert_string_equal(field(0, "url"), A);
	assert_string_equal(field(1, "url"), "");
	assert_int_equal(evidence_absence(), CRL_ABSENT_GOOD);
	assert_true(is_mirrored(0) && is_mirrored(1));
	for (int k = 0; k < 2; k++) { /* also after a reload */
		refresh();
		assert_int_equal(fake_fetches_waiting(), 1);
		fail_url(A);
		answer_url(B, k == 0 ? LIST(.number = "02", .serials = "ABCD")
				     : LIST(.number = "03", .serials = "ABCDE"));
		assert_int_equal(told[told_n - 1].added, 1);
		assert_string_equal(field(0, "from"), B);
		reload("", BOTH);
		assert_int_equal(set()->shards_n, 1);
		assert_int_equal(fake_fetches_waiting(), 0);
	}
	die();
	live("", BOTH); /* and in the next life */
	assert_int_equal(fake_fetches_waiting(), 1);
	assert_true(listed('E'));
	assert_int_equal(evidence_absence(), CRL_ABSENT_GOOD);
	fail_url(A);
	answer_url(B, LIST(.number = "04", .serials = "ABCDEF"));
	assert_false(told[told_n - 1].c.baseline);
	assert_int_equal(told[told_n - 1].added, 1);
	assert_true(is_mirrored(1));
}

/* When the one that it was goes, it is its own again, and nothing is good meanwhile that
 * was revoked, nor told twice or not at all. */
static void a_list_that_was_another_is_its_own_again(void **state)
{
	struct bytes one;

	(void)state;
	live("", BOTH);
	one = LIST(.number = "01", .serials = "A");
	answer_url(A, one);
	answer_url(B, one);
	assert_int_equal(set()->shards_n, 1);
	reload("", "certificate = \"ca.pem\" crl = { \"" B "\" }");
	assert_true(listed('A'));
	answer_url(B, LIST(.number = "02", .serials = "AB"));
	assert_true(listed('B'));
	assert_int_equal(told[told_n - 1].added, 1);
	assert_int_equal(set()->shards_n, 1);
	die();
	live("", BOTH); /* it has a list of its own by now */
	assert_int_equal(fake_fetches_waiting(), 2);
	assert_true(listed('B'));
	assert_int_equal(set()->shards_n, 2);
}

/* Two versions of it, then the same one: the place of both is the first's. */
static void the_later_place_goes_whichever_is_read_first(void **state)
{
	struct bytes two;

	(void)state;
	live("", BOTH);
	answer_url(B, LIST(.number = "01", .serials = "A"));
	answer_url(A, LIST(.number = "01", .serials = "A"));
	assert_int_equal(set()->shards_n, 2); /* two signatures, two lists */
	refresh();
	two = LIST(.number = "02", .serials = "AB");
	answer_url(B, two);
	answer_url(A, two);
	assert_int_equal(set()->shards_n, 1);
	assert_string_equal(field(0, "url"), A);
	assert_true(listed('A') && listed('B'));
	refresh();
	assert_int_equal(fake_fetches_waiting(), 1);
}

/* R104, T18: what names a distribution point is the list of that alone; nor is one that
 * crl-scope names another. */
static void a_part_is_no_other_list(void **state)
{
	struct bytes one;

	(void)state;
	live("", BOTH "crl-scope = { \"\", \"" C "\" }");
	one = LIST(.number = "01", .serials = "A");
	answer_url(A, one);
	answer_url(B, one);
	assert_int_equal(set()->shards_n, 2);
	assert_string_equal(field(1, "url"), B);
	assert_int_equal(evidence_absence(), CRL_ABSENT_GOOD);
	die();
	remove_tree(folder);
	live("", BOTH);
	one = LIST(.number = "01", .serials = "A", .idp = "fullname:URI:" A);
	answer_url(A, one);
	answer_url(B, one);
	assert_int_equal(set()->shards_n, 2);
}

/* Wherever memory ends, nothing that is revoked is good, and in the end it is one. */
static void joining_needs_memory(void **state)
{
	unsigned long n = 0, calls;

	(void)state;
	do {
		struct bytes one;

		n++;
		live("", BOTH);
		one = LIST(.number = "01", .serials = "A");
		answer_url(A, one);
		fake_disk_hold(true);
		fake_fetch_answer(0, 200, one);
		assert_true(fake_disk_step()); /* it was read */
		faults_arm(FAULT_MEMORY, n, 1);
		fake_disk_hold(false);
		feed_turn();
		calls = faults_disarm();
		assert_true(listed('A'));
		feed_elapse(11000);
		assert_true(listed('A'));
		die();
		live("", BOTH);
		assert_true(listed('A'));
		refresh();
		one = LIST(.number = "02", .serials = "AB");
		answer_url(A, one);
		if (is_asked_for(B))
			answer_url(B, one);
		feed_elapse(11000);
		assert_int_equal(set()->shards_n, 1);
		assert_true(listed('B'));
		die();
		remove_tree(folder);
	} while (calls >= n);
}

int main(void)
{
	const struct CMUnitTest cases[] = {
	    CASE(the_next_place_is_asked_at_once_when_one_fails),
	    CASE(a_place_that_sends_what_is_refused_has_failed),
	    CASE(a_list_fails_when_all_of_its_places_do),
	    CASE(a_place_that_fails_is_passed_over_for_a_growing_time),
	    CASE(validators_are_each_places_own),
	    CASE(a_list_has_the_name_of_any_of_its_places),
	    CASE(two_lists_of_one_name_are_one_with_two_places),
	    CASE(places_come_and_go_with_a_reload),
	    CASE(one_of_the_places_may_be_a_file),
	    CASE(a_full_disk_is_not_the_places_fault),
	    CASE(places_need_memory),
	    CASE(one_list_under_two_urls_is_one),
	    CASE(a_list_that_was_another_is_its_own_again),
	    CASE(the_later_place_goes_whichever_is_read_first),
	    CASE(a_part_is_no_other_list),
	    CASE(joining_needs_memory),
	};

	return cmocka_run_group_tests(cases, NULL, NULL);
}
