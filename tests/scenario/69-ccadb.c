/* 69-ccadb: what the CCADB says of a CA, by places that fail, come and go. */
#include "tests/lib/faults.h"

#include <dirent.h>
#include <openssl/evp.h>
#include <openssl/x509.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>

#include <cmocka.h>

#include "proxy/base/alarms.h"
#include "proxy/lists/ccadb_source.h"
#include "tests/lib/feed_world.h"

/* The teller is the test. */
bool teller_list(struct teller *t, const struct list_change *l)
{
	return feed_told(t, l);
}

#define CCADB  "certificate = \"ca.pem\" crl = { \"ccadb\" } "
#define NO_ONE "certificate = \"ca.pem\" crl = { \"" A "\" } "
#define P1     "http://ccadb.example/one.csv"
#define P2     "http://ccadb.example/two.csv"
#define ONE    "ccadb = { \"" P1 "\" }\n"
#define TWO    "ccadb = { \"" P1 "\", \"" P2 "\" }\n"
#define MIXED  "ccadb = { \"" P1 "\", \"records.csv\" }\n"
#define L1     "http://learnt.example/1.crl"
#define L2     "http://learnt.example/2.crl"
#define HEADER                                                                           \
	"Certificate Name,Subject Key Identifier,Full CRL Issued By This CA,"            \
	"JSON Array of Partitioned CRLs\n"
#define CUT HEADER "\"Feed CA"

static struct ccadb_source *source;

/* A file with one record of the CA; parts as JSON. */
static struct bytes record(const char *full, const char *parts)
{
	static char text[4][2000];
	static unsigned next;
	char *out = text[next++ % 4];
	uint8_t id[20];
	char key[40];
	unsigned n = sizeof id;

	assert_int_equal(X509_pubkey_digest(ca, EVP_sha1(), id, &n), 1);
	EVP_EncodeBlock((unsigned char *)key, id, (int)n);
	snprintf(out, sizeof text[0], HEADER "Feed CA,%s,%s,%s\n", key, full, parts);
	return bytes_of(out, strlen(out));
}

static struct bytes plain(const char *text)
{
	return bytes_of(text, strlen(text));
}

static void start(const char *global, const char *issuer)
{
	feed_expects[LEARNT_CCADB] = true;
	live(global, issuer);
	source = ccadb_source_new(&context, feed, NULL, NULL);
	assert_non_null(source);
	ccadb_source_start(source, shared_conf(&shared));
	feed_turn();
}

static void stop(void)
{
	ccadb_source_cancel(source);
	fake_disk_hold(false);
	ccadb_source_free(source);
	source = NULL;
	die();
}

static void change(const char *global, const char *issuer)
{
	struct conf *old = (struct conf *)(uintptr_t)shared_conf(&shared);
	const struct conf *c = load(global, issuer);

	crl_feed_reload(feed, c);
	ccadb_source_reload(source, c);
	atomic_store(&shared.conf, c);
	conf_free(old);
	feed_turn();
}

static void reply(const char *url, int status, struct bytes body, const char *etag)
{
	assert_true(is_asked_for(url));
	fake_fetch_reply(place_of(url),
	    &(struct fake_reply){.status = status, .body = body, .etag = etag});
	feed_turn();
}

/* Until it is asked for, an hour at a time. */
static void wait_for(const char *url)
{
	for (int n = 0; n < 60 && !is_asked_for(url); n++)
		jump(3600000);
	assert_true(is_asked_for(url));
}

static const char *etag_asked(const char *url)
{
	const char *etag = fake_fetch_if_none_match(place_of(url));

	return etag != NULL ? etag : "";
}

/* Files of ccadb/ID whose names begin so; remove: they are lost. */
static size_t kept_files(const char *begin, bool remove)
{
	char path[200], name[800];
	struct dirent *e, *f;
	size_t n = 0;
	DIR *d, *in;

	snprintf(path, sizeof path, "%s/ccadb", folder);
	d = opendir(path);
	while (d != NULL && (e = readdir(d)) != NULL) {
		snprintf(name, sizeof name, "%s/%s", path, e->d_name);
		in = e->d_name[0] != '.' ? opendir(name) : NULL;
		while (in != NULL && (f = readdir(in)) != NULL) {
			if (strncmp(f->d_name, begin, strlen(begin)) != 0)
				continue;
			n++;
			if (remove)
				unlinkat(dirfd(in), f->d_name, 0);
		}
		if (in != NULL)
			closedir(in);
	}
	if (d != NULL)
		closedir(d);
	return n;
}

static size_t descriptors(void)
{
	DIR *d = opendir("/proc/self/fd");
	size_t n = 0;

	while (d != NULL && readdir(d) != NULL)
		n++;
	if (d != NULL)
		closedir(d);
	return n;
}

static void take_list(const char *url, const char *serials)
{
	answer_url(url, LIST(.number = "01", .serials = serials));
	assert_true(listed(serials[0]));
}

/* One that is under way when a round of reading begins is of the next round: neither its
 * file nor its descriptor is lost, and its validators are not those of another. */
static void a_round_takes_no_fetch_that_is_under_way(void **state)
{
	size_t before;

	(void)state;
	start(ONE, CCADB);
	before = descriptors();
	change(ONE, CCADB);
	assert_int_equal(fake_fetches_waiting(), 1);
	reply(P1, 200, record(L1, ""), "\"1\"");
	take_list(L1, "A");
	assert_true(descriptors() < before + 3); /* one is the list's */
	assert_int_equal(kept_files("new.", false), 0);
	wait_for(P1);
	assert_string_equal(etag_asked(P1), "\"1\"");
	fake_disk_hold(true); /* it ends while a round runs */
	change(ONE, CCADB);
	reply(P1, 200, record(L2, ""), "\"2\"");
	fake_disk_hold(false);
	feed_turn();
	take_list(L2, "B");
	assert_int_equal(kept_files("new.", false), 0);
	stop();
}

/* T19: a local file is read with the fetch of another place under way. */
static void a_local_place_beside_one_that_is_fetched(void **state)
{
	(void)state;
	write_file("records.csv", record("", "\"[\"\"" L2 "\"\"]\""));
	start(MIXED, CCADB);
	take_list(L2, "B"); /* while the other place is not known, these are a part */
	assert_int_equal(absence(), CRL_ABSENT_UNLEARNT);
	reply(P1, 200, record(L1, ""), NULL);
	take_list(L1, "A");
	assert_int_equal(absence(), CRL_ABSENT_GOOD);
	assert_int_equal(fake_fetches(), 3);
	assert_false(alarm_clear(ALARM_LISTS_CHANGED, "demo", "ccadb"));
	stop();
}

/* The validators of a file that was not taken would have 304 mean it. */
static void what_is_not_taken_is_asked_for_again(void **state)
{
	(void)state;
	start(ONE, CCADB);
	reply(P1, 200, record(L1, ""), "\"1\"");
	take_list(L1, "A");
	wait_for(P1);
	reply(P1, 200, plain(CUT), "\"2\"");
	wait_for(P1);
	assert_string_equal(etag_asked(P1), "\"1\"");
	reply(P1, 304, plain(""), NULL);
	assert_true(listed('A'));
	stop();
	start(ONE, CCADB); /* and in the next life */
	assert_string_equal(etag_asked(P1), "\"1\"");
	kept_files("current", true); /* what was kept is lost */
	change(ONE, CCADB);
	reply(P1, 304, plain(""), NULL);
	wait_for(P1);
	assert_string_equal(etag_asked(P1), "");
	reply(P1, 200, record(L1, ""), "\"1\"");
	assert_int_equal(kept_files("current", false), 1);
	stop();
}

/* Cut off between two rows it would look whole, and the next life would know nothing. */
static void a_file_that_shrinks(void **state)
{
	char text[2000];

	(void)state;
	start(ONE, CCADB);
	snprintf(text, sizeof text, "%s%s", HEADER "A,AAAA,,\nB,AAAA,,\nC,AAAA,,\n",
	    (const char *)record(L1, "").p + strlen(HEADER));
	reply(P1, 200, plain(text), "\"1\"");
	take_list(L1, "A");
	wait_for(P1);
	reply(P1, 200, plain(HEADER "A,AAAA,,\n"), "\"2\"");
	wait_for(P1);
	assert_string_equal(etag_asked(P1), "\"1\"");
	reply(P1, 200, plain(HEADER "A,AAAA,,\nB,AAAA,,\n"), "\"3\"");
	assert_true(listed('A')); /* what it does not know stays */
	stop();
	write_file("records.csv", plain(text));
	start("", CCADB);
	take_list(L1, "A");
	write_file("records.csv", record(L2, "")); /* his own is the operator's word */
	change("", CCADB);
	take_list(L2, "B");
	stop();
}

/* The folder cannot be made at first, and is lost later. */
static void the_folder_is_made_when_it_can_be(void **state)
{
	char path[200];

	(void)state;
	snprintf(path, sizeof path, "%s/ccadb", folder);
	mkdir(folder, 0700);
	close(open(path, O_CREAT | O_WRONLY, 0600));
	start(ONE, CCADB);
	assert_int_equal(fake_fetches_waiting(), 0);
	unlink(path);
	wait_for(P1);
	reply(P1, 200, record(L1, ""), NULL);
	take_list(L1, "A");
	remove_tree(path);
	wait_for(P1);
	stop();
}

/* R104: of a record that cannot be read whole, what can be is fetched, and nothing is
 * good by absence; once all was known it counts on. */
static void a_part_is_a_part(void **state)
{
	(void)state;
	start(ONE, CCADB);
	reply(P1, 200, record(L1, "\"[\"\"" L2 "\"\",\""), NULL);
	take_list(L1, "A");
	assert_int_equal(absence(), CRL_ABSENT_UNLEARNT);
	wait_for(P1);
	reply(P1, 200, plain(HEADER "Other,AAAA,,\n"), NULL);
	assert_true(listed('A'));
	wait_for(P1);
	answer_url(L1, LIST(.number = "02", .serials = "A"));
	reply(P1, 200, record(L1, ""), NULL);
	assert_int_equal(absence(), CRL_ABSENT_GOOD);
	wait_for(P1);
	answer_url(L1, LIST(.number = "03", .serials = "A"));
	reply(P1, 200, record(L2, "\"["),
	    NULL); /* malformed: takes nothing, adds nothing */
	assert_false(is_asked_for(L2));
	assert_int_equal(absence(), CRL_ABSENT_GOOD);
	stop();
}

/* Who asks no more has no alarm. */
static void an_alarm_goes_with_who_has_it(void **state)
{
	(void)state;
	start(ONE, CCADB);
	reply(P1, 200, record(L1, ""), NULL);
	take_list(L1, "A");
	wait_for(P1);
	reply(P1, 200, record(L2, ""), NULL);
	assert_false(alarm_raise(ALARM_LISTS_CHANGED, "demo", "ccadb", "again"));
	change("", NO_ONE);
	assert_false(alarm_clear(ALARM_LISTS_CHANGED, "demo", "ccadb"));
	stop();
}

/* What is under way when it ends leaves nothing behind. */
static void it_stops_at_any_time(void **state)
{
	(void)state;
	start(ONE, CCADB);
	assert_int_equal(fake_fetches_waiting(), 1);
	stop();
	start(ONE, CCADB);
	fake_disk_hold(true);
	reply(P1, 200, record(L1, ""), "\"1\"");
	change(TWO, CCADB);
	change("", NO_ONE);
	stop();
	assert_int_equal(kept_files("new.", false), 0);
	start(TWO, CCADB); /* a place goes and comes back in a round */
	fake_disk_hold(true);
	reply(P1, 200, record(L1, ""), "\"1\"");
	reply(P2, 200, record("", "[]"), NULL);
	change("ccadb = \"" P2 "\"\n", CCADB);
	change(TWO, CCADB);
	fake_disk_hold(false);
	feed_turn();
	wait_for(P1);
	stop();
}

/* Each allocation fails in turn while a place comes; all is made up for. */
static void a_reload_without_memory(void **state)
{
	unsigned long n = 0, calls;

	(void)state;
	do {
		const struct conf *c;
		struct conf *old;

		n++;
		start(ONE, CCADB);
		reply(P1, 200, record(L1, ""), NULL);
		take_list(L1, "A");
		c = load(TWO, CCADB);
		old = (struct conf *)(uintptr_t)shared_conf(&shared);
		crl_feed_reload(feed, c);
		faults_arm(FAULT_MEMORY, n, 1);
		ccadb_source_reload(source, c);
		calls = faults_disarm();
		atomic_store(&shared.conf, c);
		conf_free(old);
		feed_turn();
		jump(5000);
		reply(P2, 200, record("", "\"[\"\"" L2 "\"\"]\""), NULL);
		take_list(L2, "B");
		assert_true(listed('A'));
		stop();
		remove_tree(folder);
	} while (calls >= n);
}

/* The same as what was fetched is read. */
static void a_round_without_memory(void **state)
{
	unsigned long n = 0, calls;

	(void)state;
	do {
		n++;
		start(TWO, CCADB);
		fake_disk_hold(true);
		reply(P1, 200, record(L1, ""), "\"1\"");
		reply(P2, 200, record("", "\"[\"\"" L2 "\"\"]\""), NULL);
		faults_arm(FAULT_MEMORY, n, 1);
		fake_disk_hold(false);
		calls = faults_disarm();
		feed_turn();
		for (int k = 0; k < 100 && !(is_asked_for(L1) && is_asked_for(L2)); k++) {
			if (is_asked_for(P1))
				reply(P1, 200, record(L1, ""), "\"1\"");
			if (is_asked_for(P2))
				reply(P2, 200, record("", "\"[\"\"" L2 "\"\"]\""), NULL);
			jump(5000);
		}
		take_list(L1, "A");
		take_list(L2, "B");
		stop();
		remove_tree(folder);
	} while (calls >= n);
}

static int end(void **state)
{
	if (source != NULL) {
		ccadb_source_cancel(source);
		fake_disk_hold(false);
		ccadb_source_free(source);
		source = NULL;
	}
	alarms_reset();
	return feed_end(state);
}

#define OWN(name) cmocka_unit_test_setup_teardown(name, feed_begin, end)

int main(void)
{
	const struct CMUnitTest cases[] = {
	    OWN(a_round_takes_no_fetch_that_is_under_way),
	    OWN(a_local_place_beside_one_that_is_fetched),
	    OWN(what_is_not_taken_is_asked_for_again),
	    OWN(a_file_that_shrinks),
	    OWN(the_folder_is_made_when_it_can_be),
	    OWN(a_part_is_a_part),
	    OWN(an_alarm_goes_with_who_has_it),
	    OWN(it_stops_at_any_time),
	    OWN(a_reload_without_memory),
	    OWN(a_round_without_memory),
	};

	return cmocka_run_group_tests(cases, NULL, NULL);
}
