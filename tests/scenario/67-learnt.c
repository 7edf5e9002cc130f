/* 67-learnt: lists that others name, and lists that nobody needs. */
#include "tests/lib/faults.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>

#include <cmocka.h>

#include "proxy/base/alarms.h"
#include "proxy/lists/crl_state.h"
#include "tests/lib/feed_world.h"

/* The teller is the test. */
bool teller_list(struct teller *t, const struct list_change *l)
{
	return feed_told(t, l);
}

#define CCADB "certificate = \"ca.pem\" crl = { \"ccadb\" } "
#define L1    "http://learnt.example/1.crl"
#define L2    "http://learnt.example/2.crl"
#define L3    "http://learnt.example/3.crl"

/* Lists in a line: places between spaces, lists between ';'. */
static bool learn_from(enum learnt from, const char *text)
{
	static char copy[8][2048];
	static unsigned next;
	const char *url[64];
	struct learnt_list l[32];
	size_t n = 0, urls = 0;
	char *at, *p = copy[next++ % 8];
	bool taken;

	snprintf(p, sizeof copy[0], "%s", text);
	for (char *list = strtok_r(p, ";", &at); list != NULL;
	     list = strtok_r(NULL, ";", &at)) {
		char *inner;

		l[n] = (struct learnt_list){.url = url + urls};
		for (char *u = strtok_r(list, " ", &inner); u != NULL;
		     u = strtok_r(NULL, " ", &inner)) {
			url[urls++] = u;
			l[n].n++;
		}
		n++;
	}
	taken = crl_feed_learn(feed, "demo", from, l, n);
	feed_turn();
	return taken;
}

static void learn(const char *text)
{
	assert_true(learn_from(LEARNT_CCADB, text));
}

static void learn_nothing(void)
{
	assert_true(crl_feed_learn(feed, "demo", LEARNT_CCADB, NULL, 0));
	feed_turn();
}

/* T19: while it is not known which lists there are, who asks waits; a source that has
 * nothing yet lets them ask the responder, and nothing is good by absence. */
static void nothing_is_good_before_the_lists_are_known(void **state)
{
	(void)state;
	feed_expects[LEARNT_CCADB] = true;
	live("", CCADB);
	assert_int_equal(verdict('A'), CRL_NOT_YET);
	assert_true(waits(0, "demo", -1));
	assert_true(waits(1, NULL, -1));
	feed_elapse(60000);
	assert_int_equal(waiting[0].calls + waiting[1].calls, 0);
	learn_nothing();
	assert_int_equal(waiting[0].calls, 1);
	assert_int_equal(waiting[1].calls, 1);
	assert_int_equal(waiting[0].error, ERR_OK);
	assert_int_equal(verdict('A'), CRL_FITS);
	assert_int_not_equal(absence(), CRL_ABSENT_GOOD);
	learn(L1 ";" L2);
	answer_url(L1, LIST(.number = "01", .serials = "A", .idp = "fullname:URI:" L1));
	assert_int_equal(absence(), CRL_ABSENT_MISSING);
	answer_url(L2, LIST(.number = "01", .serials = "B", .idp = "fullname:URI:" L2));
	assert_int_equal(absence(), CRL_ABSENT_GOOD); /* ccadb says that these are all */
	assert_true(listed('A') && listed('B'));
	learn_nothing(); /* what was known is better */
	assert_int_equal(absence(), CRL_ABSENT_GOOD);
	die();
	live("", CCADB); /* at a start: what they revoke is in force when it is known */
	assert_int_equal(verdict('A'), CRL_NOT_YET);
	assert_false(listed('A'));
	fake_disk_hold(true);
	learn(L1 ";" L2);
	assert_int_equal(verdict('A'), CRL_NOT_YET);
	fake_disk_hold(false);
	feed_turn();
	assert_int_equal(verdict('A'), CRL_DISAGREES);
	assert_int_equal(verdict('B'), CRL_DISAGREES);
	assert_true(listed('A') && listed('B'));
}

/* Without a source, as with one that knows nothing: open, and nothing good by absence,
 * also where a configured list is all by itself. */
static void a_source_that_is_not_there_is_not_waited_for(void **state)
{
	(void)state;
	live("", "certificate = \"ca.pem\" crl = { \"" A "\", \"ccadb\" }");
	assert_int_equal(verdict('A'), CRL_FITS);
	answer_url(A, LIST(.number = "01", .serials = "A"));
	assert_int_equal(absence(), CRL_ABSENT_UNLEARNT);
	assert_non_null(crl_absence_text(CRL_ABSENT_UNLEARNT));
	learn(""); /* it knows that there are none */
	assert_int_equal(absence(), CRL_ABSENT_GOOD);
	reload("", "certificate = \"ca.pem\" crl = { \"" A "\", \"certificates\" }");
	assert_int_equal(absence(), CRL_ABSENT_UNLEARNT);
	learn(L1); /* which is not asked any more */
	assert_int_equal(set()->shards_n, 1);
	assert_true(learn_from(LEARNT_CERTIFICATES, L1));
	assert_int_equal(set()->shards_n, 2);
}

/* They come, go, and are in force until those that came are, as with a reload. */
static void learnt_lists_come_and_go(void **state)
{
	(void)state;
	live("", "certificate = \"ca.pem\" crl = { \"" A "\", \"ccadb\" }");
	answer_url(A, LIST(.number = "01", .serials = "A"));
	learn(L1);
	assert_true(fake_fetch_learnt(place_of(L1)));
	answer_url(L1, LIST(.number = "07", .serials = "B"));
	assert_true(listed('A') && listed('B'));
	assert_string_equal(field(0, "learnt"), "");
	assert_string_equal(field(1, "learnt"), "ccadb");
	assert_string_equal(field(1, "url"), L1);
	assert_string_equal(field(1, "from"), L1);
	refresh();
	assert_false(fake_fetch_learnt(place_of(A)));
	answer_url(A, LIST(.number = "02", .serials = "A"));
	answer_url(L1, LIST(.number = "08", .serials = "BC"));
	assert_int_equal(told[told_n - 1].added, 1);
	learn(L1); /* the same again changes nothing */
	assert_int_equal(fake_fetches_waiting(), 0);
	reload("", "certificate = \"ca.pem\" crl = { \"" A "\", \"ccadb\" }");
	assert_true(listed('B'));
	learn(L2);
	assert_true(listed('B')); /* until L2 is in force */
	answer_url(L2, LIST(.number = "01", .serials = "D"));
	assert_true(listed('D') && !listed('B'));
	assert_int_equal(set()->shards_n, 2);
	learn("");
	assert_false(listed('D')); /* goes alone */
	assert_true(listed('A'));
	learn(L1);
	assert_true(listed('C')); /* from the state directory */
	reload("", DEMO);
	assert_false(listed('C'));
	assert_int_equal(set()->shards_n, 1);
}

/* Places are as with configured ones; the order in which they are named makes no other
 * list of it, now or after a restart. */
static void a_learnt_list_may_have_several_places(void **state)
{
	(void)state;
	live("", CCADB);
	learn(L2 " " L1);
	fail_url(L2);
	assert_true(fake_fetch_learnt(place_of(L1)));
	answer_url(L1, LIST(.number = "01", .serials = "A", .idp = "fullname:URI:" L2));
	assert_true(listed('A'));
	learn(L1 " " L2);
	assert_int_equal(set()->shards_n, 1);
	assert_true(listed('A'));
	answer_url(L1, LIST(.number = "02", .serials = "AB"));
	assert_int_equal(told[told_n - 1].added, 1);
	learn(L3 " " L2 " " L1);
	assert_true(listed('B'));
	die();
	live("", CCADB);
	learn(L3 " " L2 " " L1);
	assert_true(listed('B'));
	/* two that have a place in common are one */
	learn(L1 " " L2 ";" L2 " " L3);
	assert_int_equal(set()->shards_n, 1);
}

/* One that is configured is that one, whoever names it; so is one of two sources. */
static void what_is_configured_too_is_the_configured_one(void **state)
{
	(void)state;
	live("", "certificate = \"ca.pem\" crl = { \"" A " | " B
		 "\", \"ccadb\", \"certificates\" }");
	learn(B ";" L1);
	assert_int_equal(fake_fetches_waiting(), 2);
	answer_url(A, LIST(.number = "01", .serials = "A"));
	answer_url(L1, LIST(.number = "01", .serials = "B"));
	assert_true(learn_from(LEARNT_CERTIFICATES, A ";" L1 ";" L2));
	answer_url(L2, LIST(.number = "01", .serials = "C"));
	assert_int_equal(set()->shards_n, 3);
	assert_string_equal(field(1, "learnt"), "ccadb");
	assert_string_equal(field(2, "learnt"), "certificates");
	learn(""); /* the other source still names it */
	assert_int_equal(set()->shards_n, 3);
	assert_string_equal(field(1, "learnt"), "certificates");
	assert_true(listed('B'));
	reload("",
	    "certificate = \"ca.pem\" crl = { \"" A "\", \"" L1 "\", \"certificates\" }");
	assert_true(listed('B'));
	assert_string_equal(field(1, "url"), L1);
	assert_string_equal(field(1, "learnt"), "");
}

/* T7: strangers' URLs are literal, and those that are none are left out. */
static void what_is_no_url_is_not_learnt(void **state)
{
	char text[4000];

	(void)state;
	live("", CCADB);
	overhear();
	learn(
	    "ldap://x/cn=a;file:///etc/passwd;http://x/{1..3}.crl;http://u:p@x/;ftp://x/;"
	    "ldap://x " L1 ";http://x/a#b;http:///x;http://x:99999/;\x01");
	assert_int_equal(times(heard(), "event=crl_learnt_refused"), 10);
	assert_int_equal(fake_fetches_waiting(), 1);
	assert_true(is_asked_for(L1));
	answer_url(L1, LIST(.number = "01", .serials = "A"));
	assert_int_equal(absence(), CRL_ABSENT_UNLEARNT); /* others are not known */
	learn("ldap://x " L1);
	assert_int_equal(absence(), CRL_ABSENT_GOOD);
	snprintf(text, sizeof text, "http://x/%01500d", 0);
	learn(text);
	assert_true(is_asked_for(text));
	snprintf(text, sizeof text, "http://x/%02500d", 0);
	assert_true(crl_feed_learn(feed, "demo", LEARNT_CCADB,
	    &(struct learnt_list){.url = &(const char *){text}, .n = 1}, 1));
	assert_false(is_asked_for(text));
	assert_true(crl_feed_learn(feed, "nobody", LEARNT_CCADB, NULL, 0));
}

/* R104: of lists that are known not to be all nothing is good by absence; a source that
 * knows nothing does not take them away. */
static void a_part_of_the_lists(void **state)
{
	const struct learnt_list part = {.url = (const char *const[]){L1}, .n = 1};

	(void)state;
	live("", CCADB);
	assert_true(crl_feed_learn_part(feed, "demo", LEARNT_CCADB, &part, 1));
	feed_turn();
	answer_url(L1, LIST(.number = "01", .serials = "A"));
	assert_int_equal(absence(), CRL_ABSENT_UNLEARNT);
	learn_nothing();
	assert_true(listed('A'));
	learn(L1);
	assert_int_equal(absence(), CRL_ABSENT_GOOD);
}

/* Beyond crl-max-lists: what is here stays, the surplus is told once, and what it may
 * revoke is not good. */
static void learnt_lists_are_bounded(void **state)
{
	const char *text;

	(void)state;
	live("crl-max-lists = 3",
	    "certificate = \"ca.pem\" crl = { \"" A "\", \"ccadb\" }");
	answer_url(A, LIST(.number = "01", .serials = "A"));
	learn(L2 ";" L3);
	answer_url(L2, LIST(.number = "01", .serials = "B"));
	answer_url(L3, LIST(.number = "01", .serials = "C"));
	assert_int_equal(absence(), CRL_ABSENT_GOOD);
	overhear();
	learn(L1 ";" L2 ";" L3);
	learn(L1 ";" L2 ";" L3);
	text = heard();
	assert_int_equal(times(text, "event=crl_learnt_surplus issuer=demo from=ccadb "
				     "left_out=1"),
	    1);
	assert_true(listed('B') && listed('C'));
	assert_false(is_asked_for(L1));
	assert_int_equal(absence(), CRL_ABSENT_UNLEARNT);
	learn(L1 ";" L3); /* now there is room */
	assert_true(listed('B') && is_asked_for(L1));
	answer_url(L1, LIST(.number = "01", .serials = "D"));
	assert_true(listed('D') && !listed('B'));
	assert_int_equal(absence(), CRL_ABSENT_GOOD);
}

/* Wherever memory ends, the lists are what they were, and it can be said again. */
static void what_is_learnt_needs_memory(void **state)
{
	unsigned long n = 0, calls;
	bool taken;

	(void)state;
	do {
		n++;
		live("", CCADB);
		learn(L1);
		answer_url(L1, LIST(.number = "01", .serials = "A"));
		faults_arm(FAULT_MEMORY, n, 1);
		taken = crl_feed_learn(feed, "demo", LEARNT_CCADB,
		    &(struct learnt_list){.url = (const char *const[]){L1, L3}, .n = 2},
		    1);
		calls = faults_disarm();
		feed_turn();
		assert_true(listed('A'));
		if (!taken)
			learn(L1 " " L3);
		feed_elapse(6000);
		refresh();
		for (int k = 0; k < 60 && !is_asked_for(L1); k++)
			feed_elapse(1000);
		fail_url(L1);
		for (int k = 0; k < 60 && !is_asked_for(L3); k++) {
			if (is_asked_for(L1))
				fail_url(L1);
			feed_elapse(1000);
		}
		answer_url(L3, LIST(.number = "02", .serials = "AB"));
		assert_true(listed('B'));
		die();
		remove_tree(folder);
	} while (calls >= n);
}

/* Needed. */

#define WATCHED "crl-need = \"watched\" "

static void need(const char *one, const char *two)
{
	const char *url[] = {one, two};

	assert_true(crl_feed_need(feed, "demo", url, (one != NULL) + (two != NULL)));
	feed_turn();
}

/* Neither asked for nor missed: no error, no alarm, nobody waits. */
static void a_list_that_nobody_needs_is_parked(void **state)
{
	char text[1024];

	(void)state;
	live("", BOTH WATCHED);
	assert_int_equal(fake_fetches_waiting(), 0);
	assert_false(waits(0, "demo", -1));
	assert_true(crl_feed_tried_all(feed));
	assert_string_equal(field(0, "url"), A);
	assert_int_equal(absence(), CRL_ABSENT_NO_LIST);
	feed_elapse(1000000);
	refresh();
	assert_int_equal(fake_fetches_waiting(), 0);
	need(B, NULL);
	assert_int_equal(fake_fetches_waiting(), 1);
	answer_url(B, LIST(.number = "01", .to = 7200, .serials = "B"));
	assert_true(listed('B'));
	assert_int_equal(absence(), CRL_ABSENT_MISSING); /* of A nothing is known */
	need(A, B);
	fail_url(A);
	assert_int_equal(crl_feed_failing(feed, text, sizeof text), 1);
	feed_elapse(400000);
	fail_url(A);
	feed_elapse(800000);
	fake_disk_hold(true); /* it is read as the last who needs it goes */
	answer_url(A, LIST(.number = "01", .forged = true));
	need(NULL, NULL); /* what is in force revokes */
	fake_disk_hold(false);
	feed_turn();
	assert_false(alarm_clear(ALARM_CRL_REFUSED, "demo", A));
	assert_true(listed('B'));
	assert_int_equal(crl_feed_failing(feed, text, sizeof text), 0);
	assert_int_equal(fake_fetches_waiting(), 0);
	overhear();
	feed_elapse((int64_t)2 * 7200 * 1000);
	assert_int_equal(times(heard(), "crl_overdue"), 0);
	assert_true(listed('B'));
	assert_int_equal(fake_fetches_waiting(), 0);
	die();
	live("", BOTH WATCHED); /* also after a restart */
	assert_true(listed('B'));
	assert_int_equal(fake_fetches_waiting(), 0);
	reload("", BOTH);
	assert_true(is_asked_for(A) && is_asked_for(B));
	reload("", BOTH WATCHED);
	assert_int_equal(fake_fetches_waiting(), 0);
}

static bool is_said_not_needed(size_t n)
{
	const struct issuer *i = issuers_named(shared_conf(&shared)->issuers, "demo");
	json_t *all = crl_feed_json(feed, i);
	bool said = json_is_false(json_object_get(json_array_get(all, n), "needed"));

	json_decref(all);
	return said;
}

/* By any of its names; what is said counts for lists that come later, too. */
static void a_list_is_needed_by_any_of_its_names(void **state)
{
	(void)state;
	live("", "certificate = \"ca.pem\" crl = { \"http://x/{1..128}.crl\" } " WATCHED);
	need("http://x/7.crl", "http://x/100.crl");
	assert_int_equal(fake_fetches_waiting(), 2);
	assert_true(is_said_not_needed(0) && is_said_not_needed(125));
	assert_int_equal(set()->shards_n, 0);
	answer_url("http://x/7.crl", LIST(.number = "01", .serials = "A"));
	assert_false(is_said_not_needed(6));
	assert_true(is_said_not_needed(7));
	assert_int_equal(set()->shards_n, 128);
	need("http://y/", C);
	reload("", "certificate = \"ca.pem\" crl = { \"" A " | http://y/\", \"" B
		   "\", \"ccadb\" } crl-scope = { \"\", \"" C "\" } " WATCHED);
	assert_int_equal(fake_fetches_waiting(), 2);
	assert_true(is_asked_for(A) && is_asked_for(B));
	need(L1, NULL);
	assert_int_equal(fake_fetches_waiting(), 0);
	learn(L1 ";" L2);
	assert_int_equal(fake_fetches_waiting(), 1);
	assert_true(is_asked_for(L1));
}

/* What is kept for lists that came waits for those only that are needed. */
static void a_parked_list_relieves_at_once(void **state)
{
	(void)state;
	begin_with("01", "A");
	reload("", "certificate = \"ca.pem\" crl = { \"" B "\", \"" C "\" } " WATCHED);
	assert_false(listed('A')); /* nobody needs any of them */
	die();
	remove_tree(folder);
	begin_with("01", "A");
	need(B, NULL);
	reload("", "certificate = \"ca.pem\" crl = { \"" B "\", \"" C "\" } " WATCHED);
	assert_true(listed('A'));
	answer_url(B, LIST(.number = "01", .serials = "B"));
	assert_true(listed('B') && !listed('A'));
}

static void what_is_needed_needs_memory(void **state)
{
	const char *url[] = {A, B};
	unsigned long n = 0, calls;
	bool taken;

	(void)state;
	live("", BOTH WATCHED);
	do {
		n++;
		need(NULL, NULL);
		assert_int_equal(fake_fetches_waiting(), 0);
		faults_arm(FAULT_MEMORY, n, 1);
		taken = crl_feed_need(feed, "demo", url, 2);
		calls = faults_disarm();
		feed_elapse(20);
		assert_true(taken || fake_fetches_waiting() == 0);
		need(A, B);
		for (int k = 0; k < 60 && fake_fetches_waiting() < 2; k++)
			feed_elapse(100);
		assert_int_equal(fake_fetches_waiting(), 2);
	} while (calls >= n);
}

int main(void)
{
	const struct CMUnitTest cases[] = {
	    CASE(nothing_is_good_before_the_lists_are_known),
	    CASE(a_source_that_is_not_there_is_not_waited_for),
	    CASE(learnt_lists_come_and_go),
	    CASE(a_learnt_list_may_have_several_places),
	    CASE(what_is_configured_too_is_the_configured_one),
	    CASE(what_is_no_url_is_not_learnt),
	    CASE(a_part_of_the_lists),
	    CASE(learnt_lists_are_bounded),
	    CASE(what_is_learnt_needs_memory),
	    CASE(a_list_that_nobody_needs_is_parked),
	    CASE(a_list_is_needed_by_any_of_its_names),
	    CASE(a_parked_list_relieves_at_once),
	    CASE(what_is_needed_needs_memory),
	};

	return cmocka_run_group_tests(cases, NULL, NULL);
}
