/* 64-reload: lists and certificates that come and go while it runs. */
#include "tests/lib/faults.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

#include "proxy/base/alarms.h"
#include "proxy/lists/crl_state.h"
#include "tests/lib/feed_world.h"

/* The teller is the test. */
bool teller_list(struct teller *t, const struct list_change *l)
{
	return feed_told(t, l);
}

/* T19: an issuer or a list that a reload brings is not opened when the reload returns,
 * and so before anybody knows of it; what is in force stays so. */
static void what_a_reload_brings_is_not_opened(void **state)
{
	(void)state;
	begin_with("01", "A");
	fake_disk_hold(true);
	crl_feed_reload(feed, shared_conf(&shared));
	assert_int_equal(verdict('B'), CRL_FITS); /* nothing has changed */
	reload("", BOTH);
	assert_int_equal(verdict('A'), CRL_DISAGREES);
	assert_int_equal(verdict('B'), CRL_NOT_YET);
	fake_disk_hold(false);
	feed_turn();
	assert_int_equal(verdict('A'), CRL_DISAGREES);
	assert_int_equal(verdict('B'), CRL_FITS);
	reload("", "");
	assert_int_equal(verdict('A'), CRL_FITS);
	fake_disk_hold(true);
	reload("", DEMO);
	assert_int_equal(verdict('A'), CRL_NOT_YET);
	reload("", ""); /* before it was opened */
	assert_int_equal(verdict('A'), CRL_FITS);
	reload("", DEMO);
	assert_int_equal(verdict('A'), CRL_NOT_YET);
	fake_disk_hold(false);
	feed_turn();
	assert_int_equal(verdict('A'), CRL_DISAGREES);
	assert_int_equal(verdict('B'), CRL_FITS);
}

/* Without lists there is nothing to open. */
static void an_issuer_without_lists_is_open(void **state)
{
	(void)state;
	fake_disk_hold(true);
	live("", "certificate = \"ca.pem\" ocsp = \"http://o.example/\"");
	assert_int_equal(verdict('A'), CRL_FITS);
	assert_false(waits(0, "demo", -1));
	assert_false(waits(0, NULL, -1));
	assert_ptr_equal(crl_feed_set(feed, "nobody"), &crl_set_none);
	assert_false(waits(0, "nobody", -1));
}

/* What is found of a list that is gone by then, or not in force any more, is no alarm:
 * nobody would end it. */
static void no_alarm_outlives_its_list(void **state)
{
	(void)state;
	begin_with("01", "A");
	refresh();
	fake_disk_hold(true);
	answer(0, LIST(.number = "02", .forged = true));
	reload("", "certificate = \"ca.pem\" crl = { \"" B "\" }");
	fake_disk_hold(false);
	feed_turn();
	assert_false(alarm_clear(ALARM_CRL_REFUSED, "demo", A));
	answer(0, LIST(.number = "01", .to = 60));
	feed_elapse(120000);
	assert_false(alarm_raise(ALARM_CRL_OVERDUE, "demo", B, "still"));
	make_ca("ca.pem", other);
	reload("", "certificate = \"ca.pem\" crl = { \"" B "\" }");
	feed_elapse(600000);
	assert_false(alarm_clear(ALARM_CRL_OVERDUE, "demo", B));
}

/* T19: a list that is taken out of the configuration takes its entries along, with a
 * word in the log; the others stay. */
static void a_list_that_is_configured_no_more_goes_alone(void **state)
{
	(void)state;
	live("", BOTH);
	answer(0, LIST(.number = "01", .serials = "A"));
	answer(0, LIST(.number = "02", .serials = "BC"));
	refresh();
	reload("", "certificate = \"ca.pem\" crl = { \"" B "\" }");
	assert_int_equal(fake_fetches_waiting(), 1); /* that of A was cancelled */
	assert_true(listed('B') && !listed('A'));
	assert_int_equal(set()->shards_n, 1);
	assert_int_equal(absence(), CRL_ABSENT_GOOD);
	assert_string_equal(field(0, "url"), B);
	answer(0, LIST(.number = "03", .serials = "BCD"));
	assert_true(listed('D'));
	/* back again, in another order: from the state directory, at once */
	reload("", "certificate = \"ca.pem\" crl = { \"" B "\", \"" A "\" }");
	assert_true(listed('A') && listed('D'));
	assert_string_equal(field(1, "crl_number"), "1");
	assert_string_equal(field(0, "crl_number"), "3");
	assert_int_equal(fake_fetches_waiting(), 1);
	answer(0, LIST(.number = "00", .serials = "Z")); /* R96 */
	assert_false(listed('Z'));
	reload("", "");
	assert_int_equal(set()->shards_n, 0);
	assert_int_equal(fake_fetches_waiting(), 0);
	reload("", BOTH);
	assert_true(listed('A') && listed('D'));
	assert_string_equal(field(0, "crl_number"), "1");
}

#define ONLY(url) "certificate = \"ca.pem\" crl = { \"" url "\" } "

/* T19: a list whose URL has changed is another list; the old one is in force until the
 * new one is, however long its place is away and whatever comes from there. */
static void a_list_stays_until_the_one_in_its_place_is_in_force(void **state)
{
	(void)state;
	begin_with("01", "A");
	fake_disk_hold(true);
	reload("", ONLY(B));
	assert_int_equal(verdict('A'), CRL_DISAGREES);
	assert_int_equal(verdict('B'), CRL_NOT_YET);
	fake_disk_hold(false);
	feed_turn();
	assert_int_equal(verdict('A'), CRL_DISAGREES);
	assert_int_equal(verdict('B'), CRL_FITS);
	assert_int_equal(absence(), CRL_ABSENT_MISSING);
	assert_string_equal(field(0, "url"), "");
	fake_fetch_fail(place_of(B), ERR_UP_CONNECT);
	feed_turn();
	assert_true(listed('A'));
	assert_string_equal(field(0, "url"), B);
	assert_string_equal(field(0, "entries"), "");
	feed_elapse((int64_t)2 * DAY * 1000); /* past its nextUpdate */
	assert_true(listed('A'));
	answer_url(B, LIST(.number = "02", .serials = "C", .another = true));
	assert_true(refused_with("crl_issuer") && listed('A'));
	reload("", ONLY(B)); /* with nothing new in it */
	assert_true(listed('A'));
	feed_elapse(400000);
	answer_url(B, LIST(.number = "01", .serials = "B")); /* a count of its own */
	assert_true(listed('B') && !listed('A'));
	assert_int_equal(set()->shards_n, 1);
	assert_int_equal(absence(), CRL_ABSENT_GOOD);
}

static bool same_as_b(size_t n)
{
	uint8_t id[CHANGE_SCOPE_N];

	return crl_scope_id("demo", B, id) && memcmp(told[n].c.scope, id, sizeof id) == 0;
}

/* What was revoked between the last list from the old place and the first from the new
 * one is told; what the old one had was told before, unless it was not. */
static void what_the_list_in_its_place_has_more_is_told(void **state)
{
	uint8_t first[32];

	(void)state;
	for (int untold = 0; untold < 2; untold++) {
		begin_with("01", "A");
		if (untold) {
			tell_at_once = false;
			refresh();
			answer_url(A, LIST(.number = "02", .serials = "AC"));
		}
		reload("", ONLY(B));
		tell_at_once = true;
		feed_turn();
		answer_url(B, LIST(.number = "07", .serials = "ABC"));
		assert_true(same_as_b(told_n - 1));
		assert_false(told[told_n - 1].c.baseline);
		assert_int_equal(told[told_n - 1].added, untold ? 3 : 2);
		assert_int_equal(told[told_n - 1].removed, 0);
		memcpy(first, told[told_n - 1].c.to, sizeof first);
		refresh(); /* and goes on from there */
		answer_url(B, LIST(.number = "08", .serials = "ABCD"));
		assert_int_equal(told[told_n - 1].added, 1);
		assert_memory_equal(told[told_n - 1].c.from, first, sizeof first);
		die();
		live("", ONLY(B));
		assert_int_equal(told_n, 1); /* the place alone */
		assert_int_equal(told[0].added, 0);
		die();
		remove_tree(folder);
	}
}

/* What the disk has of the one that comes back is older than what it relieves. */
static void what_is_on_disk_relieves_nothing(void **state)
{
	(void)state;
	begin_with("01", "A");
	reload("", ONLY(B));
	answer_url(B, LIST(.number = "01", .serials = "AB"));
	assert_true(listed('B'));
	reload("", DEMO);
	assert_string_equal(field(0, "entries"), "1");
	assert_true(listed('A') && listed('B'));
	fake_fetch_fail(place_of(A), ERR_UP_CONNECT);
	feed_turn();
	assert_true(listed('B'));
	refresh();
	answer_url(A, LIST(.number = "02", .serials = "AC"));
	assert_true(listed('A') && listed('C') && !listed('B'));
	assert_int_equal(set()->shards_n, 1);
}

/* All that came have to be in force; which stands for which is not asked. */
static void lists_stay_until_all_in_their_places_are_in_force(void **state)
{
	(void)state;
	live("", BOTH);
	answer_url(A, LIST(.number = "01", .serials = "A"));
	answer_url(B, LIST(.number = "01", .serials = "B"));
	reload("", "certificate = \"ca.pem\" crl = { \"" C "\", \"" A "2\" }");
	answer_url(A "2", LIST(.number = "01", .serials = "Z"));
	assert_true(listed('A') && listed('B') && listed('Z'));
	refresh();
	answer_url(A "2", LIST(.number = "02", .serials = "YZ"));
	assert_true(listed('A') && listed('B') && listed('Y'));
	answer_url(C, LIST(.number = "01", .serials = "X"));
	assert_true(listed('X') && listed('Y') && listed('Z'));
	assert_false(listed('A') || listed('B'));
	assert_int_equal(set()->shards_n, 2);
	assert_string_equal(set()->shard[0].file->scope, C);
}

/* Another change before the first was through: what is in force stays for it too; what
 * comes back is in force, and a removal is a removal. */
static void a_list_that_stays_may_come_back_or_be_removed(void **state)
{
	(void)state;
	begin_with("01", "A");
	reload("", ONLY(B));
	reload("", ONLY(C));
	assert_true(listed('A') && is_asked_for(C) && !is_asked_for(B));
	reload("", DEMO);
	assert_true(listed('A'));
	assert_int_equal(set()->shards_n, 1);
	assert_int_equal(absence(), CRL_ABSENT_GOOD);
	answer_url(A, LIST(.number = "02", .serials = "AB"));
	assert_true(listed('B'));
	assert_false(told[told_n - 1].c.baseline);
	reload("", BOTH);
	reload("", ONLY(B)); /* A goes, and nothing comes with that */
	assert_false(listed('A'));
	reload("", DEMO);
	reload("", ONLY(B));
	assert_true(listed('A'));
	reload("", "certificate = \"ca.pem\" ocsp = \"http://o.example/\"");
	assert_false(listed('A'));
	assert_int_equal(set()->shards_n, 0);
}

/* Reloads to the lists B and C, with the n-th allocation failing; how many there were. */
static unsigned long reload_without_memory(unsigned long n)
{
	struct conf *old = (struct conf *)(uintptr_t)shared_conf(&shared);

	atomic_store(&shared.conf,
	    load("", "certificate = \"ca.pem\" crl = { \"" B "\", \"" C "\" }"));
	faults_arm(FAULT_MEMORY, n, 1);
	crl_feed_reload(feed, shared_conf(&shared));
	n = faults_disarm();
	conf_free(old);
	feed_turn();
	return n;
}

/* T19: a reload that runs out of memory, wherever, takes no list out of force that is
 * still configured, and is made up for when there is memory again. */
static void a_reload_without_memory_is_made_up_for(void **state)
{
	unsigned long n = 0, calls;

	(void)state;
	do {
		n++;
		live("", BOTH);
		answer(0, LIST(.number = "01", .serials = "A"));
		answer(0, LIST(.number = "02", .serials = "B"));
		calls = reload_without_memory(n);
		assert_true(listed('B'));
		for (int k = 0; k < 3; k++) {
			jump(5001);
			assert_true(listed('B'));
		}
		assert_true(listed('A')); /* until C is there */
		assert_int_equal(set()->shards_n, 3);
		assert_string_equal(set()->shard[0].file->scope, B);
		for (int k = 0; k < 60 && !is_asked_for(C); k++)
			feed_elapse(1000); /* its fetch may have failed too */
		answer_url(C, LIST(.number = "03", .serials = "C"));
		assert_true(listed('B') && listed('C') && !listed('A'));
		assert_int_equal(set()->shards_n, 2);
		die();
		remove_tree(folder);
	} while (calls >= n);
}

/* A reload while a job runs: its outcome is judged by what is configured then. */
static void a_reload_during_a_job_counts(void **state)
{
	(void)state;
	live("", BOTH);
	fake_disk_hold(true);
	fake_fetch_answer(0, 200, LIST(.number = "01", .serials = "A"));
	fake_fetch_answer(0, 200, LIST(.number = "02", .serials = "B"));
	reload("", "certificate = \"ca.pem\" crl = { \"" B "\" }");
	fake_disk_hold(false);
	feed_turn();
	assert_true(listed('B') && !listed('A'));
	assert_int_equal(set()->shards_n, 1);

	refresh();
	fake_disk_hold(true);
	fake_fetch_answer(0, 200, LIST(.number = "03", .serials = "BC"));
	reload("", BOTH);
	fake_disk_hold(false);
	feed_turn();
	assert_int_equal(set()->shards_n, 2);
	assert_true(listed('C'));
	assert_string_equal(field(0, "url"), B); /* A has nothing yet, and no error */
	answer(0, LIST(.number = "02", .serials = "AD"));
	assert_true(listed('D') && listed('C'));
	assert_string_equal(field(1, "url"), B);
}

/* Other certificates of the issuer: what they do not vouch for goes; what they do, stays
 * in force all the time. */
static void a_list_is_verified_again_when_the_certificates_change(void **state)
{
	X509 *young = certificate("Feed CA", other_key);

	(void)state;
	make_ca("young.pem", young);
	X509_free(young);
	begin_with("01", "A");
	reload("", "certificate = { \"ca.pem\", \"young.pem\" } crl = { \"" A "\" }");
	assert_true(listed('A'));
	assert_int_equal(fake_fetches_waiting(), 1);
	fake_fetch_fail(0, ERR_UP_TIMEOUT);
	fake_disk_hold(true);
	reload("", "certificate = \"other.pem\" crl = { \"" A "\" }");
	assert_true(listed('A')); /* until it is known */
	fake_disk_hold(false);
	feed_turn();
	assert_false(listed('A'));
	assert_int_equal(fake_fetches_waiting(), 1);
	assert_null(fake_fetch_if_none_match(0));
	answer(0, LIST(.number = "02", .serials = "B"));
	assert_true(refused_with("crl_issuer"));
	refresh();
	answer(0, LIST(.number = "02", .serials = "B", .another = true));
	assert_true(listed('B'));
}

/* What is read while the certificates change was verified by those that were: it comes
 * into force by nobody's word, and is had again. */
static void a_list_that_was_read_as_the_certificates_changed_is_had_again(void **state)
{
	(void)state;
	begin_with("01", "A");
	refresh();
	fake_disk_hold(true);
	fake_fetch_answer(0, 200, LIST(.number = "02", .serials = "AB"));
	reload("", "certificate = \"other.pem\" crl = { \"" A "\" }");
	assert_true(fake_disk_step()); /* it was read */
	assert_false(listed('B'));
	assert_int_equal(fake_fetches_waiting(), 1);
	fake_disk_hold(false);
	feed_turn();
	assert_false(listed('A') || listed('B'));
	assert_int_equal(fake_fetches_waiting(), 1);
	assert_null(fake_fetch_if_none_match(0));
	answer(0, LIST(.number = "02", .serials = "C", .another = true));
	assert_true(listed('C'));
	assert_string_equal(field(0, "last_error"), "");
}

int main(void)
{
	const struct CMUnitTest cases[] = {
	    CASE(what_a_reload_brings_is_not_opened),
	    CASE(an_issuer_without_lists_is_open),
	    CASE(no_alarm_outlives_its_list),
	    CASE(a_list_that_is_configured_no_more_goes_alone),
	    CASE(a_list_stays_until_the_one_in_its_place_is_in_force),
	    CASE(what_the_list_in_its_place_has_more_is_told),
	    CASE(what_is_on_disk_relieves_nothing),
	    CASE(lists_stay_until_all_in_their_places_are_in_force),
	    CASE(a_list_that_stays_may_come_back_or_be_removed),
	    CASE(a_reload_without_memory_is_made_up_for),
	    CASE(a_reload_during_a_job_counts),
	    CASE(a_list_is_verified_again_when_the_certificates_change),
	    CASE(a_list_that_was_read_as_the_certificates_changed_is_had_again),
	};

	return cmocka_run_group_tests(cases, NULL, NULL);
}
