/* 66-state: what the state directory has, and who waits until it was looked at. */
#include "tests/lib/faults.h"

#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "proxy/base/log.h"
#include "tests/lib/feed_world.h"

/* The teller is the test. */
bool teller_list(struct teller *t, const struct list_change *l)
{
	return feed_told(t, l);
}

/* What an unsafe validator was not kept of, the next life does not know either. */
static void a_validator_is_on_disk_only_where_it_is_safe(void **state)
{
	struct fake_reply r = {200, LIST(.number = "01", .serials = "A"), "\"one\"",
	    "Sun, 15 Jun 2025 15:06:40 GMT", "Sun, 15 Jun 2025 15:06:40 GMT", NULL};

	(void)state;
	live("", DEMO);
	fake_fetch_reply(0, &r);
	feed_turn();
	die();
	live("", DEMO);
	assert_true(listed('A'));
	assert_null(fake_fetch_if_none_match(0));
	assert_null(fake_fetch_if_modified_since(0));
}

/* A state directory that cannot be read as the daemon starts is no state directory that
 * has nothing: what was told before is looked at when it can be read. */
static void a_state_that_cannot_be_read_yet_is_no_baseline(void **state)
{
	char lists[120], away[120];
	uint8_t one[32];
	int fd;

	(void)state;
	begin_with("01", "A");
	memcpy(one, told[0].c.to, 32);
	die();
	snprintf(lists, sizeof lists, "%s/crl", folder);
	snprintf(away, sizeof away, "%s/away", folder);
	assert_int_equal(rename(lists, away), 0);
	fd = open(lists, O_WRONLY | O_CREAT, 0600);
	close(fd);
	live("", DEMO);
	feed_elapse(20000);
	assert_true(refused_with("store"));
	assert_int_equal(told_n, 0);
	assert_int_equal(unlink(lists), 0);
	assert_int_equal(rename(away, lists), 0);
	refresh();
	assert_int_equal(fake_fetches_waiting(), 1);
	feed_elapse(6000);
	assert_true(listed('A'));
	answer(0, LIST(.number = "02", .serials = "AB"));
	assert_true(listed('B'));
	assert_false(told[told_n - 1].c.baseline);
	assert_int_equal(told[told_n - 1].added, 1);
	assert_memory_equal(told[told_n - 1].c.from, one, 32);
	assert_true(same_files("current", "told"));
}

/* T23: its state is to be looked at as a list comes into force: that waits until the list
 * is durable, and is not forgotten. */
static void a_state_is_looked_at_after_what_came_meanwhile(void **state)
{
	char lists[120], away[120];
	uint8_t one[32];

	(void)state;
	begin_with("01", "A");
	memcpy(one, told[0].c.to, 32);
	die();
	snprintf(lists, sizeof lists, "%s/crl", folder);
	snprintf(away, sizeof away, "%s/away", folder);
	assert_int_equal(rename(lists, away), 0);
	close(open(lists, O_WRONLY | O_CREAT, 0600));
	live("", DEMO);
	assert_int_equal(unlink(lists), 0);
	assert_int_equal(rename(away, lists), 0);
	refresh();
	fake_disk_hold(true);
	fake_fetch_answer(0, 200, LIST(.number = "02", .serials = "AB"));
	jump(6000); /* the state is looked at again, behind the fetched list */
	assert_true(fake_disk_step());
	assert_true(listed('B'));
	assert_int_equal(told_n, 0);
	fake_disk_hold(false);
	feed_turn();
	assert_int_equal(told_n, 1);
	assert_false(told[0].c.baseline);
	assert_int_equal(told[0].added, 1);
	assert_memory_equal(told[0].c.from, one, 32);
	assert_true(same_files("current", "told"));
}

/* What one server calls a list, another is not asked by. */
static void validators_stay_with_their_url(void **state)
{
	struct fake_reply r = {.status = 200, .etag = "\"one\""};

	(void)state;
	live("", DEMO "crl-scope = { \"" A "\" }");
	r.body = LIST(.number = "01", .serials = "A");
	fake_disk_hold(true);
	fake_fetch_reply(0, &r);
	reload(
	    "", "certificate = \"ca.pem\" crl = { \"" B "\" } crl-scope = { \"" A "\" }");
	fake_disk_hold(false);
	feed_turn();
	assert_true(listed('A'));
	assert_int_equal(fake_fetches_waiting(), 1);
	assert_string_equal(fake_fetch_url(0), B);
	assert_null(fake_fetch_if_none_match(0));
}

/* R96: number and thisUpdate outlive the process; R95 holds in the next life too. */
static void a_restart_forgets_neither_number_nor_list(void **state)
{
	struct fake_reply r = {.status = 200, .etag = "\"one\""};

	(void)state;
	live("", DEMO);
	r.body = LIST(.number = "10", .serials = "A");
	fake_fetch_reply(0, &r);
	feed_turn();
	die();
	live("", DEMO);
	assert_true(listed('A')); /* before anything was fetched */
	assert_string_equal(field(0, "crl_number"), "16");
	assert_string_not_equal(field(0, "fetched_at"), "");
	assert_int_equal(told_n, 1); /* the place alone, for a log that has lost it */
	assert_false(told[0].c.baseline);
	assert_memory_equal(told[0].c.from, told[0].c.to, 32);
	assert_string_equal(fake_fetch_if_none_match(0), "\"one\"");
	answer(0, LIST(.number = "0f", .serials = "B"));
	assert_true(refused_with("crl_rollback"));
	refresh();
	answer(0, LIST(.number = "11", .from = -10, .serials = "B"));
	assert_true(refused_with("crl_rollback"));
	assert_true(listed('A'));
	refresh();
	answer(0, LIST(.number = "11", .serials = "AB"));
	assert_int_equal(told_n, 2);
	assert_int_equal(told[1].added, 1);
}

/* T23: killed while its changes were being told, and again before those of the next. */
static void what_a_killed_life_did_not_tell_the_next_one_tells(void **state)
{
	uint8_t one[32], two[32], three[32];

	(void)state;
	begin_with("01", "A");
	memcpy(one, told[0].c.to, 32);
	tell_at_once = false;
	feed_elapse(400000);
	answer(0, LIST(.number = "02", .serials = "AB"));
	assert_int_equal(told_n, 2);
	memcpy(two, told[1].c.to, 32);
	feed_elapse(400000);
	answer(0, LIST(.number = "03", .serials = "ABCD"));
	assert_true(listed('D')); /* at once, though 2 is still being told */
	assert_int_equal(told_n, 2);
	memcpy(three, set()->shard[0].facts.sha256, 32);
	die();
	assert_true(there_is("next"));

	live("", DEMO);
	assert_true(listed('D'));
	assert_int_equal(told_n, 2);
	assert_memory_equal(told[0].c.from, one, 32);
	assert_memory_equal(told[0].c.to, two, 32);
	assert_int_equal(told[0].added, 1);
	assert_int_equal(change_before(&told[0].first), CHANGE_GOOD);
	assert_memory_equal(told[1].c.from, two, 32);
	assert_memory_equal(told[1].c.to, three, 32);
	assert_int_equal(told[1].added, 2);
	assert_false(there_is("next"));
	assert_true(same_files("told", "current"));
	die();
	live("", DEMO);
	assert_int_equal(told_n, 1);
	assert_memory_equal(told[0].c.from, three, 32);
	assert_memory_equal(told[0].c.to, three, 32);
}

/* A current that was broken on disk is refused by its signature, and no word is believed
 * of it. */
static void a_state_that_was_tampered_with_is_not_used(void **state)
{
	struct bytes b;
	char path[400];
	int fd;

	(void)state;
	begin_with("01", "A");
	die();
	b = LIST(.number = "7f", .serials = "Z", .forged = true);
	file_of(A, "current", path);
	fd = open(path, O_WRONLY | O_TRUNC); /* and told, which is the same file */
	assert_int_equal(write(fd, b.p, b.n), b.n);
	close(fd);
	live("", DEMO);
	assert_int_equal(set()->shards_n, 0);
	assert_int_equal(told_n, 0);
	assert_true(set()->unopened); /* but what it revoked may be revoked */
	feed_elapse(12000);
	assert_true(set()->unopened);
	answer(0, LIST(.number = "02", .serials = "AB"));
	assert_true(listed('B') && !listed('Z'));
	assert_false(set()->unopened);
	assert_int_equal(told_n, 1);
	assert_true(told[0].c.baseline);
}

/* The first list of a scope, also after its files were lost. */
static void lost_files_make_a_baseline(void **state)
{
	(void)state;
	begin_with("01", "A");
	die();
	remove_tree(folder);
	live("", DEMO);
	assert_int_equal(set()->shards_n, 0);
	answer(0, LIST(.number = "01", .serials = "AB"));
	assert_int_equal(told_n, 1);
	assert_true(told[0].c.baseline);
}

static void revive(const char *global, const char *issuer)
{
	die();
	fake_disk_hold(true);
	live(global, issuer);
}

/* T19: from its first moment on, a life knows what it does not know yet. */
static void nothing_is_good_until_the_state_was_looked_at(void **state)
{
	(void)state;
	fake_disk_hold(true);
	live("", DEMO);
	assert_true(set()->unopened);
	assert_int_equal(verdict('A'), CRL_NOT_YET);
	assert_true(fake_disk_step());
	feed_turn();
	assert_false(set()->unopened); /* the first start: there is none */
	assert_int_equal(verdict('A'), CRL_FITS);
	fake_disk_hold(false);
	answer(0, LIST(.number = "01", .serials = "A"));
	assert_int_equal(verdict('A'), CRL_DISAGREES);
	revive("", DEMO);
	assert_int_equal(verdict('A'), CRL_NOT_YET);
	assert_int_equal(verdict('B'), CRL_NOT_YET);
	assert_int_equal(fake_fetches_waiting(), 0);
	assert_true(fake_disk_step());
	assert_int_equal(verdict('A'), CRL_DISAGREES);
	assert_int_equal(verdict('B'), CRL_FITS);
}

/* One of two is not enough. */
static void each_list_has_to_be_opened(void **state)
{
	(void)state;
	begin_with("01", "A");
	revive("", BOTH);
	assert_true(fake_disk_step());
	feed_turn();
	assert_true(listed('A'));
	assert_int_equal(verdict('A'), CRL_DISAGREES);
	assert_int_equal(verdict('B'), CRL_NOT_YET);
	while (set()->unopened)
		assert_true(fake_disk_step());
	assert_int_equal(verdict('B'), CRL_FITS);
	assert_int_equal(absence(), CRL_ABSENT_MISSING); /* B was never had */
}

/* T19: a list that is there and cannot be read is not absent: nothing is good until it
 * can be, or until another one is here. */
static void a_list_that_cannot_be_read_is_not_absent(void **state)
{
	char path[400];

	(void)state;
	begin_with("01", "A");
	die();
	file_of(A, "", path);
	path[strlen(path) - 1] = '\0';
	remove_tree(path);
	write_file("in the way", bytes_of("x", 1));
	{
		char from[200];

		snprintf(from, sizeof from, "%s/in the way", directory);
		assert_int_equal(rename(from, path), 0);
	}
	live("", DEMO);
	assert_int_equal(verdict('A'), CRL_NOT_YET);
	assert_int_equal(fake_fetches_waiting(), 0); /* no file to fetch it to */
	assert_true(crl_feed_tried_all(feed));
	feed_elapse(20000);
	assert_int_equal(verdict('B'), CRL_NOT_YET);
	assert_true(waits(0, "demo", -1));
	assert_int_equal(unlink(path), 0);
	feed_elapse(20000);
	assert_int_equal(waiting[0].calls, 1);
	assert_int_equal(verdict('B'), CRL_FITS);
}

/* Memory that is short as it is opened is no absence either. */
static void memory_that_is_short_is_no_absence(void **state)
{
	unsigned long n = 0, calls;

	(void)state;
	begin_with("01", "A");
	do {
		n++;
		revive("", DEMO);
		faults_arm(FAULT_MEMORY, n, 1);
		fake_disk_step();
		calls = faults_disarm();
		feed_turn();
		assert_int_not_equal(verdict('A'), CRL_FITS);
		fake_disk_hold(false);
		feed_elapse(12000);
		assert_int_equal(verdict('A'), CRL_DISAGREES);
		assert_int_equal(verdict('B'), CRL_FITS);
	} while (n <= calls);
}

static void who_waits_is_called_when_all_is_opened(void **state)
{
	(void)state;
	begin_with("01", "A");
	assert_false(waits(0, "demo", -1));
	revive("", BOTH);
	assert_true(waits(0, "demo", -1));
	assert_true(waits(1, NULL, -1));
	assert_true(waits(2, "demo", 500));
	assert_true(waits(3, "demo", 500));
	crl_feed_wait_end(&waiting[3].wait);
	crl_feed_wait_end(&waiting[3].wait); /* it does not wait any more */
	feed_elapse(480);
	assert_int_equal(waiting[2].calls, 0);
	feed_elapse(20);
	assert_int_equal(waiting[2].calls, 1);
	assert_int_equal(waiting[2].error, ERR_RESP_LISTS);
	assert_true(waits(3, "demo", 500));
	assert_true(fake_disk_step());
	feed_turn();
	assert_int_equal(waiting[0].calls + waiting[1].calls, 0);
	while (set()->unopened)
		assert_true(fake_disk_step());
	feed_turn();
	for (size_t i = 0; i < 4; i++)
		assert_int_equal(waiting[i].calls, 1);
	assert_int_equal(waiting[0].error, ERR_OK);
	assert_int_equal(waiting[1].error, ERR_OK);
	assert_int_equal(waiting[3].error, ERR_OK);
	feed_elapse(1000);
	assert_int_equal(waiting[3].calls, 1);
}

/* Openings go to the bulk thread in batches; the next one begins with what somebody waits
 * for. */
static void what_is_waited_for_is_opened_first(void **state)
{
	enum { MANY = 4 * 32 };
	char issuers[MANY * 100], name[32], file[32], *p = issuers;
	int opened = 0;

	(void)state;
	p += sprintf(p, "certificate = \"ca.pem\" ocsp = \"http://o.example/\"");
	for (int i = 0; i < MANY; i++) {
		X509 *x;

		snprintf(name, sizeof name, "Many CA %d", i);
		snprintf(file, sizeof file, "m%d.pem", i);
		x = certificate(name, ca_key);
		make_ca(file, x);
		X509_free(x);
		p += sprintf(p,
		    "}\nissuer \"m%d\" { certificate = \"%s\" crl = { \"" A "?%d\" }", i,
		    file, i);
	}
	fake_disk_hold(true);
	live("", issuers);
	assert_true(waits(0, "m99", -1));
	assert_true(waits(1, NULL, -1));
	while (waiting[0].calls == 0) {
		assert_true(fake_disk_step());
		feed_turn();
	}
	assert_int_equal(waiting[1].calls, 0);
	for (int i = 0; i < MANY; i++) {
		snprintf(name, sizeof name, "m%d", i);
		opened += !crl_feed_set(feed, name)->unopened;
	}
	assert_in_range(opened, 1, 34); /* two were on their way, and a batch */
	while (waiting[1].calls == 0) {
		assert_true(fake_disk_step());
		feed_turn();
	}
	assert_int_equal(fake_fetches_waiting(), MANY);
}

static void who_waits_when_we_stop_is_told(void **state)
{
	(void)state;
	fake_disk_hold(true);
	live("", DEMO);
	assert_true(waits(0, "demo", -1));
	assert_true(waits(1, NULL, 500));
	crl_feed_cancel(feed);
	assert_int_equal(waiting[0].error, ERR_CANCELLED);
	assert_int_equal(waiting[1].error, ERR_CANCELLED);
	assert_true(waits(2, "demo", -1));
	assert_int_equal(waiting[2].calls, 0); /* from the loop, as everybody is */
	feed_turn();
	assert_int_equal(waiting[2].calls, 1);
	assert_int_equal(waiting[2].error, ERR_CANCELLED);
	feed_elapse(1000);
	assert_int_equal(waiting[1].calls, 1);
}

/* What stands where a file should be is never waited for: a FIFO has no writer. */
static void no_file_of_the_state_is_waited_for(void **state)
{
	static const char *const names[] = {
	    "current", "told", "next", "hints", "new.hints", "new.link", "new.x"};

	(void)state;
	log_setup(-1, LOG_FORMAT_LOGFMT, 0);
	for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
		char path[400];

		begin_with("01", "A");
		die();
		file_of(A, names[i], path);
		unlink(path);
		assert_int_equal(mkfifo(path, 0600), 0);
		live("", DEMO);
		assert_int_equal(fake_fetches_waiting(), 1);
		answer(0, LIST(.number = "02", .serials = "AB"));
		assert_true(listed('B'));
		for (int n = 0; n < 8; n++)
			jump(61000);
		assert_true(same_files("told", "current"));
		assert_int_equal(held_back(""), 0);
		die();
		remove_tree(folder);
	}
}

int main(void)
{
	const struct CMUnitTest cases[] = {
	    CASE(a_validator_is_on_disk_only_where_it_is_safe),
	    CASE(validators_stay_with_their_url),
	    CASE(a_restart_forgets_neither_number_nor_list),
	    CASE(a_state_that_cannot_be_read_yet_is_no_baseline),
	    CASE(a_state_is_looked_at_after_what_came_meanwhile),
	    CASE(what_a_killed_life_did_not_tell_the_next_one_tells),
	    CASE(a_state_that_was_tampered_with_is_not_used),
	    CASE(lost_files_make_a_baseline),
	    CASE(nothing_is_good_until_the_state_was_looked_at),
	    CASE(each_list_has_to_be_opened),
	    CASE(a_list_that_cannot_be_read_is_not_absent),
	    CASE(memory_that_is_short_is_no_absence),
	    CASE(who_waits_is_called_when_all_is_opened),
	    CASE(what_is_waited_for_is_opened_first),
	    CASE(who_waits_when_we_stop_is_told),
	    CASE(no_file_of_the_state_is_waited_for),
	};

	return cmocka_run_group_tests(cases, NULL, NULL);
}
