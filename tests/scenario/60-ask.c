/* 60-ask: a list is asked for, and what comes of it. */
#include "proxy/base/log.h"

#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <unistd.h>

#include <cmocka.h>

#include "proxy/lists/crl_state.h"
#include "tests/lib/feed_world.h"

/* The teller is the test. */
bool teller_list(struct teller *t, const struct list_change *l)
{
	return feed_told(t, l);
}

/* Does b leave what is in force, and is it refused with this label? */
static void is_refused(struct bytes b, const char *label)
{
	const struct crl_set *before = set();
	size_t fetches = fake_fetches();

	refresh();
	assert_int_equal(fake_fetches_waiting(), 1);
	answer(0, b);
	if (!refused_with(label))
		fprintf(stderr, "%s, wanted %s\n", field(0, "last_error"), label);
	assert_true(refused_with(label));
	assert_ptr_equal(set(), before);
	assert_true(listed('A'));
	assert_int_equal(told_n, 1);
	assert_string_equal(field(0, "crl_number"), "16");
	assert_int_equal(fake_fetches(), fetches + 1);
	assert_true(same_files("current", "told"));
}

/* R95, R96, R111, T18, P32: what is older, cut, of somebody else or no list at all
 * replaces nothing.  R113: nor does PEM that is none. */
static void what_is_refused_leaves_the_old_list_in_force(void **state)
{
	struct bytes good, html = bytes_of("<html>Not Found</html>", 22);
	struct bytes pem = bytes_of("-----BEGIN X509 CRL-----\nMIIB\n", 30);

	(void)state;
	begin_with("10", "A");
	feed_elapse(5000);
	good = LIST(.number = "11", .serials = "B");
	is_refused(LIST(.number = "0f", .serials = "B"), "crl_rollback");
	is_refused(LIST(.number = "11", .from = -3600, .serials = "B"), "crl_rollback");
	is_refused(
	    LIST(.number = "11", .from = 3600, .serials = "B"), "crl_this_update_future");
	is_refused(html, "crl_der");
	is_refused(pem, "crl_der");
	is_refused(bytes_of("", 0), "crl_truncated");
	is_refused(bytes_of(good.p, good.n - 1), "crl_truncated");
	is_refused(forge_append(good, "x", 1), "crl_trailing");
	is_refused(LIST(.number = "11", .forged = true), "crl_signature");
	is_refused(LIST(.number = "11", .another = true), "crl_issuer");
	is_refused(LIST(.number = "11", .idp = "fullname:URI:" B), "crl_scope");
	answer((refresh(), 0), good);
	assert_true(listed('B') && !listed('A'));
	assert_string_equal(field(0, "last_error"), "");
	assert_int_equal(told_n, 2);
	assert_int_equal(told[1].added, 1);
}

/* R111: nor does a fetch that did not end well. */
static void a_fetch_that_fails_leaves_the_old_list_in_force(void **state)
{
	static const enum err errors[] = {ERR_UP_TRUNCATED, ERR_UP_TIMEOUT, ERR_UP_SIZE};
	static const char *const labels[] = {
	    "upstream_truncated", "upstream_timeout", "crl_large"};
	char text[1024];

	(void)state;
	begin_with("10", "A");
	for (size_t i = 0; i < 3; i++) {
		refresh();
		fake_fetch_fail(0, errors[i]);
		feed_turn();
		assert_true(refused_with(labels[i]));
		assert_true(listed('A'));
	}
	refresh();
	fake_fetch_answer(0, 404, LIST(.number = "11", .serials = "B"));
	feed_turn();
	assert_string_equal(field(0, "last_error"),
	    "upstream_http: HTTP status 404; compare the URL "
	    "with the one in the CA's certificates");
	assert_int_equal(crl_feed_failing(feed, text, sizeof text), 1);
	assert_string_equal(text,
	    "issuer demo: list " A ": upstream_http: HTTP status 404; compare the URL "
	    "with the one in the CA's certificates");
	refresh();
	fake_fetch_answer(0, 304, bytes_of("", 0)); /* that we did not ask for */
	feed_turn();
	assert_true(refused_with("upstream_http"));
	assert_true(listed('A') && !listed('B'));
	refresh();
	fake_fetch_answer(0, 200, LIST(.number = "12", .serials = "A"));
	feed_turn();
	assert_int_equal(crl_feed_failing(feed, text, sizeof text), 0);
	assert_string_equal(field(0, "entries"), "1");
}

/* A list that was never had: in the API with nothing but its error, and tried. */
static void a_list_that_cannot_be_had_is_tried_and_told(void **state)
{
	(void)state;
	live("", DEMO);
	fake_fetch_fail(0, ERR_UP_CONNECT);
	assert_true(crl_feed_tried_all(feed));
	assert_int_equal(set()->shards_n, 0);
	assert_string_equal(field(0, "url"), A);
	assert_string_equal(field(0, "crl_number"), "");
	assert_string_equal(field(0, "entries"), "");
	assert_string_equal(field(0, "fetched_at"), "");
	assert_string_equal(field(0, "last_error"), "upstream_connect: as the test says");
	refresh();
	fake_fetch_fail(0, ERR_STORE); /* a full disk: the file is named too */
	assert_true(refused_with("store"));
	assert_non_null(strstr(field(0, "last_error"), "/new."));
	assert_non_null(strstr(field(0, "last_error"), ": as the test says"));
}

/* P17: only the list itself says whether it is another. */
static void a_list_issued_again_with_the_same_next_update_is_taken(void **state)
{
	struct says s = {.number = "01", .serials = "A", .to = 7200};

	(void)state;
	live("", DEMO);
	answer(0, list(&s));
	feed_elapse(400000);
	s = (struct says){.number = "02", .serials = "AB", .to = 7200 - 400};
	answer(0, list(&s));
	assert_true(listed('B'));
	assert_int_equal(told[1].added, 1);
}

/* R95: the same number with other content is taken, and noticed. */
static void a_number_that_is_used_twice_is_noticed(void **state)
{
	(void)state;
	begin_with("05", "A");
	assert_int_equal(set()->shard[0].facts.warnings & CRL_WARN_REUSED, 0);
	feed_elapse(400000);
	answer(0, LIST(.number = "05", .serials = "AB"));
	assert_true(listed('B'));
	assert_int_not_equal(set()->shard[0].facts.warnings & CRL_WARN_REUSED, 0);
}

/* R95: a new key, whose certificate stands beside the old one, counts by itself; what the
 * old one signed before is no rollback that works, in this life or in the next. */
static void a_renewed_key_counts_from_the_start(void **state)
{
	static const char both[] =
	    "certificate = { \"ca.pem\", \"young.pem\" } crl = { \"" A "\" }";
	X509 *young = certificate("Feed CA", other_key);
	struct bytes old;

	(void)state;
	make_ca("young.pem", young);
	X509_free(young);
	live("", both);
	old = LIST(.number = "1267", .serials = "A");
	answer(0, old);
	feed_elapse(60000);
	refresh();
	answer(0, LIST(.number = "01", .serials = "AB", .young = true));
	assert_true(listed('B'));
	assert_int_equal(told_n, 2);
	assert_int_equal(told[1].added, 1);
	assert_true(gauge("crl_number_back") == 0);
	die();
	live("", both);
	assert_string_equal(field(0, "crl_number"), "1");
	answer(0, old);
	assert_true(refused_with("crl_rollback"));
	refresh();
	answer(0, LIST(.number = "00", .serials = "A", .young = true));
	assert_true(refused_with("crl_rollback"));
	assert_true(gauge("crl_number_back") == 1);
	refresh();
	answer(0, LIST(.number = "02", .serials = "ABC", .young = true));
	assert_true(listed('C'));
	assert_int_equal(told_n, 2); /* the place, as this life began; and C */
	assert_true(gauge("crl_number_back") == 0);
}

/* R95, R96: an expired list keeps no later one away, whatever its number. */
static void a_number_goes_back_when_the_list_has_expired(void **state)
{
	struct bytes lower;

	(void)state;
	live("crl-backoff-max = 1m", DEMO);
	answer(0, LIST(.number = "1267", .to = 600, .serials = "A"));
	feed_elapse(60000);
	lower = LIST(.number = "01", .serials = "AB");
	refresh();
	answer(0, lower);
	assert_true(refused_with("crl_rollback"));
	assert_true(gauge("crl_number_back") == 1);
	die();
	live("", DEMO); /* nor does a restart help */
	answer(0, lower);
	assert_true(refused_with("crl_rollback"));
	feed_elapse(600000);
	assert_int_equal(fake_fetches_waiting(), 1); /* it is asked for all the time */
	answer(0, lower);
	assert_true(listed('B'));
	assert_string_equal(field(0, "crl_number"), "1");
	assert_int_equal(told[told_n - 1].added, 1);
	assert_true(gauge("crl_number_back") == 1); /* until one goes on */
	refresh();
	answer(0, LIST(.number = "02", .serials = "AB"));
	assert_true(gauge("crl_number_back") == 0);
}

/* R95: the operator's word is for the next list of another content, for an hour and this
 * life. */
static void a_new_count_is_taken_by_the_operators_word(void **state)
{
	struct bytes first;

	(void)state;
	begin_with("1267", "A");
	feed_elapse(60000);
	first = LIST(.number = "01", .from = -3600, .serials = "AB");
	refresh();
	answer(0, first);
	assert_true(refused_with("crl_rollback"));
	refresh_as(true);
	fake_fetch_answer(0, 500, bytes_of("", 0)); /* the CA is not ready */
	feed_turn();
	feed_elapse(400000);
	answer(0, first);
	assert_true(listed('B'));
	assert_int_equal(told_n, 2);
	assert_int_equal(told[1].added, 1);
	assert_true((told[1].c.facts.warnings & CRL_WARN_ACCEPTED) != 0);
	refresh(); /* one, and not the next one too */
	answer(0, LIST(.number = "00", .serials = "C"));
	assert_true(refused_with("crl_rollback"));
	refresh();
	answer(0, LIST(.number = "02", .from = -1800, .serials = "AB"));
	assert_string_equal(field(0, "crl_number"), "2");

	refresh_as(true);
	for (int64_t ms = 0; ms <= 3600000; ms += 60000) { /* an hour is over */
		while (fake_fetches_waiting() > 0)
			fake_fetch_fail(0, ERR_UP_TIMEOUT);
		feed_elapse(60000);
	}
	refresh();
	answer(0, LIST(.number = "01", .serials = "C"));
	assert_true(refused_with("crl_rollback"));
	refresh_as(true);
	fake_fetch_fail(0, ERR_UP_TIMEOUT);
	die(); /* so is this life */
	live("", DEMO);
	answer(0, LIST(.number = "01", .serials = "C"));
	assert_true(refused_with("crl_rollback"));
}

/* R115: asked for only if it has changed; 304 is news too. */
static void a_list_in_force_is_asked_for_with_its_validators(void **state)
{
	struct fake_reply r = {200, {NULL, 0}, "\"one\"", "Sun, 15 Jun 2025 15:06:40 GMT",
	    "Sun, 15 Jun 2025 15:06:42 GMT", NULL};
	const struct crl_set *before;

	(void)state;
	live("", DEMO);
	r.body = LIST(.number = "01", .serials = "A");
	fake_fetch_reply(0, &r);
	feed_turn();
	before = set();
	feed_elapse(400000);
	assert_string_equal(fake_fetch_if_none_match(0), "\"one\"");
	assert_string_equal(
	    fake_fetch_if_modified_since(0), "Sun, 15 Jun 2025 15:06:40 GMT");
	fake_fetch_answer(0, 304, bytes_of("", 0));
	feed_turn();
	assert_ptr_equal(set(), before);
	assert_string_not_equal(field(0, "fetched_at"), "2025-06-15T15:06:40Z");
	assert_string_equal(field(0, "last_error"), "");

	refresh(); /* a list that is refused leaves the validators of the one in force */
	r.etag = "\"bad\"";
	r.body = bytes_of("x", 1);
	fake_fetch_reply(0, &r);
	refresh();
	assert_string_equal(fake_fetch_if_none_match(0), "\"one\"");
	r = (struct fake_reply){
	    .status = 200, .body = LIST(.number = "02", .serials = "A")};
	fake_fetch_reply(0, &r);
	refresh(); /* without them, without */
	assert_null(fake_fetch_if_none_match(0));
	assert_null(fake_fetch_if_modified_since(0));
}

/* R115, RFC 9110 section 8.8.2.2: a list may follow within the second of Last-Modified,
 * with the same ETag where that is made of it.  The next question is without conditions,
 * the timer's and the operator's alike, and once more until the second was over. */
static void a_validator_that_two_lists_may_share_is_not_asked_with(void **state)
{
	struct fake_reply r = {200, LIST(.number = "01", .serials = "A"), "\"one\"",
	    "Sun, 15 Jun 2025 15:06:40 GMT", "Sun, 15 Jun 2025 15:06:41 GMT", NULL};

	(void)state;
	live("", DEMO);
	fake_fetch_reply(0, &r);
	refresh();
	assert_null(fake_fetch_if_none_match(0));
	assert_null(fake_fetch_if_modified_since(0));
	fake_fetch_reply(0, &r);
	feed_elapse(400000);
	assert_null(fake_fetch_if_none_match(0));
	assert_null(fake_fetch_if_modified_since(0));
	r.body = LIST(.number = "02", .serials = "AB"); /* with the same validators */
	r.date = "Sun, 15 Jun 2025 15:06:42 GMT";
	fake_fetch_reply(0, &r);
	feed_turn();
	assert_true(listed('B'));
	assert_int_equal(told_n, 2);
	refresh();
	assert_string_equal(fake_fetch_if_none_match(0), "\"one\"");
	assert_non_null(fake_fetch_if_modified_since(0));
	fake_fetch_answer(0, 304, bytes_of("", 0));
}

static int64_t before_of_file(void)
{
	return set()->shard[0].file->before;
}

/* R112: what the mirror must know to say that a copy of this date is the list. */
static void a_list_knows_what_was_dated_before_it(void **state)
{
	char path[400];
	int64_t first;

	(void)state;
	live("", DEMO);
	answer(0, LIST(.number = "01", .serials = "A"));
	first = set()->shard[0].facts.this_update;
	assert_true(before_of_file() == CRL_BEFORE_NONE);
	refresh();
	answer(0, LIST(.number = "02", .serials = "AB")); /* within the same second */
	assert_int_equal(set()->shard[0].facts.this_update, first);
	assert_int_equal(before_of_file(), first);
	die();
	live("", DEMO);
	assert_int_equal(before_of_file(), first);
	feed_elapse(60000);
	answer(0, LIST(.number = "03", .serials = "A"));
	assert_int_equal(before_of_file(), first);
	assert_true(set()->shard[0].facts.this_update > first);
	die();
	file_of(A, "hints", path);
	assert_int_equal(unlink(path), 0);
	live("", DEMO); /* what is not known may be anything */
	assert_true(before_of_file() == CRL_BEFORE_UNKNOWN);
}

static void the_same_list_again_changes_nothing(void **state)
{
	struct bytes b;
	const struct crl_set *before;

	(void)state;
	live("", DEMO);
	b = LIST(.number = "01", .serials = "A");
	answer(0, b);
	before = set();
	feed_elapse(400000);
	answer(0, b);
	assert_ptr_equal(set(), before);
	assert_int_equal(told_n, 1);
	assert_string_equal(field(0, "last_error"), "");
	assert_false(there_is("next"));
}

/* Fails all fetches for so long; how many there were. */
static size_t fail_for(int64_t ms, enum err e)
{
	size_t before = fake_fetches();
	int64_t until = feed_mono_ms + ms;

	while (feed_mono_ms < until) {
		while (fake_fetches_waiting() > 0)
			fake_fetch_fail(0, e);
		feed_elapse(20);
	}
	return fake_fetches() - before;
}

/* P12: doubling with jitter, to a cap that is never passed, however many fail. */
static void the_pause_after_failures_doubles_to_its_cap(void **state)
{
	size_t first, later;

	(void)state;
	live("backoff-initial = \"500ms\" crl-backoff-max = \"4s\"", DEMO);
	first = fail_for(4000, ERR_UP_TIMEOUT);
	assert_in_range(first, 1, 6); /* 0.25..0.75, 0.5..1.5, 1..3, 2..4 */
	for (int i = 0; i < 5; i++) {
		later = fail_for(40000, ERR_UP_TIMEOUT);
		assert_in_range(later, 9, 20); /* 2..4 s each */
	}
	refresh(); /* the operator does not wait */
	assert_int_equal(fake_fetches_waiting(), 1);
	answer(0, LIST(.number = "01"));
	feed_elapse(250000); /* all is well: the interval again */
	assert_int_equal(fake_fetches_waiting(), 0);
	assert_int_equal(fail_for(1000, ERR_UP_TIMEOUT), 0);
}

static void a_pause_is_never_longer_than_the_interval(void **state)
{
	(void)state;
	live("backoff-initial = \"10s\" crl-backoff-max = \"1h\"",
	    DEMO "crl-interval = \"1s\"");
	assert_in_range(fail_for(20000, ERR_UP_TIMEOUT), 20, 41);
}

/* R115: not the interval alone: the CA has said when the next one comes. */
static void a_list_is_asked_for_when_its_successor_is_due(void **state)
{
	(void)state;
	live("", DEMO "crl-interval = \"1h\"");
	answer(0, LIST(.number = "01", .to = 600));
	feed_elapse(599000);
	assert_int_equal(fake_fetches_waiting(), 0);
	feed_elapse(12000);
	assert_int_equal(fake_fetches_waiting(), 1);
	answer(0, LIST(.number = "02", .to = 600));
	feed_elapse(500000);
	assert_int_equal(fake_fetches_waiting(), 0);
}

/* P17: past its end a list stays in force for what it lists, and its successor is looked
 * for with pauses, not in a tight loop. */
static void a_list_past_its_end_stays_and_is_asked_for_with_pauses(void **state)
{
	struct fake_reply r = {.status = 200, .etag = "\"one\""};
	size_t before;

	(void)state;
	live("backoff-initial = \"500ms\" crl-backoff-max = \"10s\"", DEMO);
	r.body = LIST(.number = "01", .serials = "A", .to = 60);
	fake_fetch_reply(0, &r);
	feed_elapse(75000);
	assert_int_equal(fake_fetches_waiting(), 1);
	before = fake_fetches();
	for (int i = 0; i < 3000; i++) {
		while (fake_fetches_waiting() > 0)
			fake_fetch_answer(0, 304, bytes_of("", 0));
		feed_elapse(20);
	}
	assert_in_range(fake_fetches() - before, 5, 18);
	assert_true(listed('A'));
	assert_int_equal(absence(), CRL_ABSENT_OVERDUE);
	assert_string_equal(field(0, "last_error"), "");
}

/* One that comes during a fetch may have come after the list was published. */
static void a_refresh_during_a_fetch_starts_another(void **state)
{
	(void)state;
	live("", DEMO);
	refresh();
	refresh();
	assert_int_equal(fake_fetches_waiting(), 1);
	answer(0, LIST(.number = "01"));
	assert_int_equal(fake_fetches_waiting(), 1);
	answer(0, LIST(.number = "02"));
	assert_int_equal(fake_fetches_waiting(), 0);
	assert_string_equal(field(0, "crl_number"), "2");
	/* while it is read, too */
	refresh();
	fake_disk_hold(true);
	fake_fetch_answer(0, 200, LIST(.number = "03"));
	refresh();
	assert_int_equal(fake_fetches_waiting(), 0);
	fake_disk_hold(false);
	feed_turn();
	assert_int_equal(fake_fetches_waiting(), 1);
	fake_fetch_fail(0, ERR_UP_TIMEOUT);
	assert_int_equal(fake_fetches_waiting(), 0);
}

/* T18: the list of one shard at the place of another. */
static void shards_that_are_swapped_are_refused(void **state)
{
	struct bytes a, b;

	(void)state;
	live("", BOTH);
	a = LIST(.number = "01", .serials = "A", .idp = "fullname:URI:" A);
	b = LIST(.number = "01", .serials = "B", .idp = "fullname:URI:" B);
	assert_int_equal(fake_fetches_waiting(), 2);
	assert_string_equal(fake_fetch_url(1), B);
	answer(1, a);
	answer(0, b);
	assert_int_equal(set()->shards_n, 0);
	assert_true(refused_with("crl_scope"));
	assert_string_equal(field(1, "url"), B);
	refresh();
	answer(0, a);
	assert_true(listed('A') && !listed('B'));
	assert_int_equal(absence(), CRL_ABSENT_MISSING); /* B may have it */
	answer(0, b);
	assert_true(listed('A') && listed('B'));
	assert_int_equal(absence(), CRL_ABSENT_PART); /* there may be a C */
	assert_string_equal(field(1, "entries"), "1");
	/* each scope has its own line of numbers */
	refresh();
	answer(0, LIST(.number = "07", .serials = "A", .idp = "fullname:URI:" A));
	answer(0, LIST(.number = "02", .serials = "BC", .idp = "fullname:URI:" B));
	assert_true(listed('C'));
	assert_string_equal(field(1, "last_error"), "");
}

/* crl-scope: fetched from elsewhere, it is still the list that it says. */
static void a_list_may_be_fetched_from_elsewhere_than_its_name(void **state)
{
	(void)state;
	live("", DEMO "crl-scope = { \"" B "\" }");
	answer(0, LIST(.number = "01", .serials = "A", .idp = "fullname:URI:" B));
	assert_true(listed('A'));
	/* another URL for the same list: it stays in force and is fetched there */
	reload("", "certificate = \"ca.pem\" crl = { \"http://mirror.example/\" } "
		   "crl-scope = { \"" B "\" }");
	feed_elapse(20);
	assert_true(listed('A'));
	assert_string_equal(fake_fetch_url(0), "http://mirror.example/");
	assert_null(fake_fetch_if_none_match(0));
	answer(0, LIST(.number = "02", .serials = "AB", .idp = "fullname:URI:" B));
	assert_int_equal(told_n, 2);
	assert_false(told[1].c.baseline);
}

/* R114: a list that its CA does not renew raises an alarm. */
static void the_age_of_each_list_is_watched(void **state)
{
	(void)state;
	live("", DEMO "crl-age-alarm = \"1h\"");
	answer(0, LIST(.number = "01", .serials = "AB", .from = -60, .to = 36000));
	assert_true(gauge_is("ocspcached_crl_entries{issuer=\"demo\",list=\"0\"} 2\n"));
	assert_true(
	    gauge_is("ocspcached_crl_age_seconds{issuer=\"demo\",list=\"0\"} 60\n"));
	assert_true(gauge_is(
	    "ocspcached_crl_next_update_seconds{issuer=\"demo\",list=\"0\"} 36000\n"));
	assert_true(gauge_is(
	    "ocspcached_crl_fetched_age_seconds{issuer=\"demo\",list=\"0\"} 0\n"));
	assert_true(gauge_is("ocspcached_crl_age_alarm{issuer=\"demo\",list=\"0\"} 0\n"));
	log_setup(-1, LOG_FORMAT_LOGFMT, 0);
	feed_elapse(3600000);
	assert_true(gauge_is("ocspcached_crl_age_alarm{issuer=\"demo\",list=\"0\"} 1\n"));
	fake_fetch_fail(0, ERR_UP_TIMEOUT);
	assert_true(gauge_is("ocspcached_crl_fetch_failures_total{issuer=\"demo\",reason="
			     "\"upstream_timeout\"} 1\n"));
}

/* R114: a CA that publishes no successor fails nothing: its server says 304 for ever.
 * That is told at nextUpdate, and then less and less. */
static void a_list_past_its_end_is_told_as_it_lasts(void **state)
{
	struct fake_reply r = {.status = 200, .etag = "\"one\""};
	const char *text;

	(void)state;
	live("", DEMO "crl-interval = \"1h\"");
	r.body = LIST(.number = "01", .serials = "A", .to = 60);
	fake_fetch_reply(0, &r);
	overhear();
	feed_elapse(59000);
	assert_true(gauge_is("ocspcached_crl_overdue{issuer=\"demo\",list=\"0\"} 0\n"));
	assert_string_equal(heard(), "");
	overhear();
	feed_elapse(1000);
	text = heard();
	assert_int_equal(times(text, "event=crl_overdue"), 1);
	assert_non_null(strstr(text, " level=warn "));
	assert_non_null(strstr(text, " url=" A " next_update="));
	assert_non_null(strstr(text, "detail=\"the server has no newer one\""));
	assert_non_null(strstr(text, " remedy=\""));
	assert_true(gauge_is("ocspcached_crl_overdue{issuer=\"demo\",list=\"0\"} 1\n"));
	overhear();
	for (int i = 0; i < 24; i++) { /* a day */
		while (fake_fetches_waiting() > 0)
			fake_fetch_answer(0, 304, bytes_of("", 0));
		feed_elapse(3600000);
	}
	text = heard();
	/* after 1, 3, 7, ... 1023 minutes */
	assert_int_equal(times(text, "event=crl_overdue"), 10);
	while (strstr(text + 1, " looks=") != NULL) /* the last of them */
		text = strstr(text + 1, " looks=");
	assert_in_range(atoi(text + 7), 15, 18);
	/* the next one ends it, and its own end is told at once again */
	overhear();
	while (fake_fetches_waiting() == 0)
		feed_elapse(1000);
	answer(0, LIST(.number = "02", .serials = "A", .to = 60));
	assert_true(gauge_is("ocspcached_crl_overdue{issuer=\"demo\",list=\"0\"} 0\n"));
	feed_elapse(61000);
	assert_int_equal(times(heard(), "event=crl_overdue"), 1);
	/* after a restart nobody has been asked yet */
	die();
	overhear();
	live("", DEMO "crl-interval = \"1h\"");
	text = heard();
	assert_int_equal(times(text, "event=crl_overdue"), 1);
	assert_non_null(strstr(text, "detail=\"not asked for a newer one yet\""));
}

/* The alarm's gauge while a list of that age is in force. */
static double alarm_at_age(const char *options, int64_t age)
{
	double alarm;

	live("", options);
	answer(0, LIST(.number = "01", .serials = "A", .from = -age));
	assert_true(listed('A'));
	alarm = gauge("crl_age_alarm");
	die();
	remove_tree(folder);
	return alarm;
}

/* R114: CA/B BR 4.9.7 is for public CAs: 7 days where they have responders, else 4.  How
 * often a private CA issues lists is its own affair, until the operator says so. */
static void an_age_is_an_alarm_by_the_rules_of_the_issuer(void **state)
{
#define PUBLIC "profile = \"public\" "
#define OCSP   "ocsp = \"http://ocsp.example/\" "
	static const struct {
		const char *options;
		int64_t limit; /* seconds; 0: none */
	} rows[] = {
	    {DEMO, 0},
	    {DEMO OCSP, 0},
	    {DEMO "crl-age-alarm = \"0s\"", 0},
	    {DEMO PUBLIC, 4 * DAY},
	    {DEMO PUBLIC OCSP, 7 * DAY},
	    {DEMO PUBLIC OCSP "crl-age-alarm = \"5d\"", 5 * DAY},
	    {DEMO OCSP "crl-age-alarm = \"8d\"", 8 * DAY},
	};

	(void)state;
	log_setup(-1, LOG_FORMAT_LOGFMT, 0);
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		int64_t limit = rows[i].limit;

		if (limit > 0)
			assert_true(alarm_at_age(rows[i].options, limit) == 0);
		assert_true(alarm_at_age(rows[i].options,
				limit > 0 ? limit + 1 : 11 * DAY) == (limit > 0));
	}
}

int main(void)
{
	const struct CMUnitTest cases[] = {
	    CASE(what_is_refused_leaves_the_old_list_in_force),
	    CASE(a_fetch_that_fails_leaves_the_old_list_in_force),
	    CASE(a_list_that_cannot_be_had_is_tried_and_told),
	    CASE(a_list_issued_again_with_the_same_next_update_is_taken),
	    CASE(a_number_that_is_used_twice_is_noticed),
	    CASE(a_renewed_key_counts_from_the_start),
	    CASE(a_number_goes_back_when_the_list_has_expired),
	    CASE(a_new_count_is_taken_by_the_operators_word),
	    CASE(a_list_in_force_is_asked_for_with_its_validators),
	    CASE(a_validator_that_two_lists_may_share_is_not_asked_with),
	    CASE(a_list_knows_what_was_dated_before_it),
	    CASE(the_same_list_again_changes_nothing),
	    CASE(the_pause_after_failures_doubles_to_its_cap),
	    CASE(a_pause_is_never_longer_than_the_interval),
	    CASE(a_list_is_asked_for_when_its_successor_is_due),
	    CASE(a_list_past_its_end_stays_and_is_asked_for_with_pauses),
	    CASE(a_refresh_during_a_fetch_starts_another),
	    CASE(shards_that_are_swapped_are_refused),
	    CASE(a_list_may_be_fetched_from_elsewhere_than_its_name),
	    CASE(the_age_of_each_list_is_watched),
	    CASE(a_list_past_its_end_is_told_as_it_lasts),
	    CASE(an_age_is_an_alarm_by_the_rules_of_the_issuer),
	};

	return cmocka_run_group_tests(cases, NULL, NULL);
}
