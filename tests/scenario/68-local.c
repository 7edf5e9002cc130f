/* 68-local: lists that are files, as DER, PEM, and bundles. */
#include "proxy/base/log.h"

#include <fcntl.h>
#include <openssl/pem.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "tests/lib/feed_world.h"

/* The teller is the test. */
bool teller_list(struct teller *t, const struct list_change *l)
{
	return feed_told(t, l);
}

/* No test can set a file's ctime: here it is what its mtime is. */
int fstat(int fd, struct stat *s)
{
	int r = fstatat(fd, "", s, AT_EMPTY_PATH);

	s->st_ctim = s->st_mtim;
	return r;
}

static void put(const char *name, struct bytes b, int64_t mtime, long ns)
{
	char path[160];
	struct timespec t[2] = {{mtime, ns}, {mtime, ns}};

	snprintf(path, sizeof path, "%s/%s", directory, name);
	write_file(name, b);
	assert_int_equal(utimensat(AT_FDCWD, path, t, 0), 0);
}

/* R113: a local list is read when device, inode, size or a time is another, DER or PEM; a
 * file that was refused is not read again until then, or until somebody asks. */
/* T19: a file that did not change is read again where other options may take it, and
 * where what came of it is gone. */
static void a_local_list_is_read_again_when_it_may_count(void **state)
{
	char issuer[300], path[400], url[200];

	(void)state;
	snprintf(url, sizeof url, "file://%s/local.crl", directory);
	snprintf(issuer, sizeof issuer,
	    "certificate = \"ca.pem\" crl = { \"%s\" } crl-interval = \"1s\"", url);
	put("local.crl", LIST(.number = "01", .serials = "abcdefghijklmnopqrstuvwxyz"),
	    WORLD_START, 1);
	live("crl-max-size = 1K", issuer);
	assert_true(refused_with("crl_large"));
	reload("crl-max-size = 1M", issuer);
	feed_elapse(120000);
	assert_true(listed('A'));

	tell_at_once = false; /* the list is remembered as long as it is told */
	put("local.crl", LIST(.number = "02", .serials = "A"), WORLD_START, 2);
	refresh();
	reload("", "");
	assert_int_equal(set()->shards_n, 0);
	file_of(url, "current", path);
	assert_int_equal(unlink(path), 0);
	reload("", issuer);
	feed_elapse(120000);
	assert_true(listed('A'));
}

/* R113 */
static void a_local_list_is_read_when_its_file_changes(void **state)
{
	char issuer[300], *text;
	X509_CRL *x;
	BIO *pem = BIO_new(BIO_s_mem());
	const unsigned char *p;
	struct bytes b, c;

	(void)state;
	snprintf(issuer, sizeof issuer,
	    "certificate = \"ca.pem\" crl = { \"file://%s/local.crl\" } crl-interval = "
	    "\"1s\"",
	    directory);
	live("", issuer);
	assert_true(refused_with("not_found"));
	assert_non_null(strstr(field(0, "last_error"), "/local.crl: No such file"));
	b = LIST(.number = "01", .serials = "A");
	put("local.crl", b, WORLD_START, 1);
	feed_elapse(2000);
	assert_true(listed('A'));
	assert_int_equal(fake_fetches(), 0);
	feed_elapse(2000);
	assert_int_equal(told_n, 1);

	/* as many octets, all of it a nanosecond later */
	c = LIST(.number = "02", .serials = "B");
	while (c.n != b.n) /* ECDSA's length varies */
		c = LIST(.number = "02", .serials = "B");
	put("local.crl", c, WORLD_START, 1);
	feed_elapse(2000);
	put("local.crl", c, WORLD_START, 2);
	feed_elapse(2000);
	assert_true(listed('B') && !listed('A'));

	/* refused once, not at every look; on request again */
	put("local.crl", b, WORLD_START, 3);
	feed_elapse(2000);
	assert_true(refused_with("crl_rollback"));
	assert_true(listed('B'));
	{
		struct metrics_text t = {0};

		feed_elapse(5000);
		refresh();
		crl_feed_gauges(feed, &t);
		assert_non_null(strstr(t.p,
		    "ocspcached_crl_refused_total{issuer=\"demo\",reason=\"crl_"
		    "rollback\"} 2\n"));
		free(t.p);
	}

	b = LIST(.number = "03", .serials = "BC");
	p = b.p;
	x = d2i_X509_CRL(NULL, &p, (long)b.n);
	PEM_write_bio_X509_CRL(pem, x);
	b.n = (size_t)BIO_get_mem_data(pem, &text);
	put("local.crl", bytes_of(text, b.n), WORLD_START, 4);
	X509_CRL_free(x);
	feed_elapse(2000);
	assert_true(listed('C'));
	assert_string_equal(field(0, "last_error"), "");
	BIO_free(pem);
	assert_int_equal(state_files(), 4); /* current, told, hints, pace */

	put("local.crl", bytes_of("-----BEGIN X509 CRL-----\n", 25), WORLD_START, 5);
	feed_elapse(2000);
	assert_true(refused_with("crl_der"));
	assert_true(listed('C'));
	assert_int_equal(state_files(), 4);
}

static struct bytes pem_of(struct bytes der)
{
	const unsigned char *p = der.p;
	X509_CRL *x = d2i_X509_CRL(NULL, &p, (long)der.n);
	BIO *b = BIO_new(BIO_s_mem());
	struct bytes out;
	char *text;
	long n;

	assert_non_null(x);
	PEM_write_bio_X509_CRL(b, x);
	n = BIO_get_mem_data(b, &text);
	out = forge_join(bytes_of(text, (size_t)n), (struct bytes){0}); /* a copy */
	BIO_free(b);
	X509_CRL_free(x);
	return out;
}

static struct bytes bundle(struct bytes a, struct bytes b, struct bytes c)
{
	return forge_join(pem_of(a),
	    forge_join(bytes_of("text\r\n", 6), forge_join(pem_of(b), pem_of(c))));
}

/* R113: from a bundle the issuer's list is taken, over HTTP as from a file, and what is
 * kept and told is that list's DER; none is guessed. */
static void the_issuers_list_is_taken_out_of_a_bundle(void **state)
{
	struct bytes ours, of_b, others, der, two;
	uint8_t kept[2000];
	char path[400];
	ssize_t n;
	int fd;

	(void)state;
	live("", DEMO);
	others = LIST(.number = "63", .serials = "Z", .another = true);
	of_b = LIST(.number = "64", .serials = "Y", .idp = "fullname:URI:" B);
	ours = LIST(.number = "01", .serials = "A");
	answer(0, bundle(others, ours, of_b));
	assert_string_equal(field(0, "last_error"), "");
	assert_true(listed('A') && !listed('Z') && !listed('Y'));
	assert_int_equal(told_n, 1);
	assert_int_equal(state_files(), 4); /* current, told, hints, pace */
	file_of(A, "current", path);
	fd = open(path, O_RDONLY);
	n = read(fd, kept, sizeof kept);
	close(fd);
	assert_true(bytes_equal(bytes_of(kept, (size_t)n), ours));

	refresh(); /* first, last, alone, twice the same */
	answer(0, bundle(ours, others, of_b));
	assert_string_equal(field(0, "last_error"), "");
	refresh();
	answer(0, bundle(of_b, ours, ours));
	assert_string_equal(field(0, "last_error"), "");
	refresh();
	der = LIST(.number = "02", .serials = "AB");
	answer(0, pem_of(der));
	assert_true(listed('B'));
	assert_int_equal(told_n, 2);

	refresh();
	two = LIST(.number = "03", .serials = "ABC");
	answer(0, bundle(two, others, LIST(.number = "04", .serials = "ABD")));
	assert_true(refused_with("crl_bundle"));
	assert_non_null(strstr(field(0, "last_error"), "2 of the 3"));
	refresh();
	answer(0, bundle(others, of_b, others));
	assert_true(refused_with("crl_bundle"));
	assert_non_null(strstr(field(0, "last_error"), "none of the 3"));
	refresh(); /* one in our name and not in order is told as itself */
	answer(0, bundle(others, LIST(.number = "05", .forged = true), of_b));
	assert_true(refused_with("crl_signature"));
	refresh();
	answer(0, bundle(others, ours, of_b));
	assert_true(refused_with("crl_rollback"));
	refresh();
	answer(0, bundle(LIST(.number = "05", .forged = true), two, of_b));
	assert_true(listed('C'));
	refresh();
	answer(0, forge_join(pem_of(two), bytes_of("-----BEGIN X509 CRL-----\nMI", 27)));
	assert_true(refused_with("crl_der"));
	refresh();
	answer(0, pem_of(others));
	assert_true(refused_with("crl_issuer"));
	assert_true(listed('C'));
	assert_int_equal(state_files(), 4);
}

/* R95: a file that was refused for the list in force is looked into again when that has
 * ended. */
static void a_refused_file_may_be_taken_when_the_list_has_expired(void **state)
{
	char issuer[300];

	(void)state;
	snprintf(issuer, sizeof issuer,
	    "certificate = \"ca.pem\" crl = { \"file://%s/local.crl\" } crl-interval = "
	    "\"1s\"",
	    directory);
	put("local.crl", LIST(.number = "1267", .to = 600, .serials = "A"), WORLD_START,
	    0);
	live("", issuer);
	feed_elapse(60000);
	put("local.crl", LIST(.number = "01", .serials = "AB"), WORLD_START, 1);
	feed_elapse(60000);
	assert_true(refused_with("crl_rollback"));
	feed_elapse(600000);
	assert_true(listed('B'));
	assert_string_equal(field(0, "last_error"), "");
}

/* As many octets, written in place within the grain of the file's times: what has a time
 * of the last two seconds is read again, whoever asks. */
static void a_file_written_twice_within_its_times_grain_is_read_again(void **state)
{
	char issuer[300];
	struct bytes b, c, d;

	(void)state;
	snprintf(issuer, sizeof issuer,
	    "certificate = \"ca.pem\" crl = { \"file://%s/local.crl\" } crl-interval = "
	    "\"1s\"",
	    directory);
	b = LIST(.number = "01", .serials = "A");
	do
		c = LIST(.number = "02", .serials = "B");
	while (c.n != b.n);
	do
		d = LIST(.number = "03", .serials = "C");
	while (d.n != b.n);
	put("local.crl", b, WORLD_START, 0);
	live("", issuer);
	assert_true(listed('A'));
	put("local.crl", c, WORLD_START, 0);
	feed_elapse(2200); /* at START + 1 s or so it is read again */
	assert_true(listed('B'));
	feed_elapse(2200); /* and once more, when the two seconds are over */
	put("local.crl", d, WORLD_START, 0);
	feed_elapse(3000);
	assert_false(listed('C'));
	refresh(); /* the operator asks for the file itself */
	assert_true(listed('C'));
}

/* A file that was refused is not read again while it is the same. */
static void a_file_that_stays_refused_is_told_as_it_lasts(void **state)
{
	const struct timespec written[2] = {
	    {WORLD_START - 100, 0}, {WORLD_START - 100, 0}};
	char path[160], issuer[400];
	const char *text;

	(void)state;
	snprintf(path, sizeof path, "%s/list.crl", directory);
	write_file("list.crl", bytes_of("none", 4));
	assert_int_equal(utimensat(AT_FDCWD, path, written, 0), 0);
	snprintf(issuer, sizeof issuer, "certificate = \"ca.pem\" crl = { \"file:%s\" }",
	    path);
	overhear();
	live("", issuer);
	log_setup(LEVEL_INFO, LOG_FORMAT_LOGFMT, 0);
	assert_true(refused_with("crl_der"));
	feed_elapse(12 * 60000);
	/* at once, then after 1, 2 and 4 minutes, at the look that follows */
	text = heard();
	assert_int_equal(times(text, "event=crl_refused"), 4);
	assert_int_equal(times(text, " failures=1\n"), 1);
}

int main(void)
{
	const struct CMUnitTest cases[] = {
	    CASE(a_local_list_is_read_again_when_it_may_count),
	    CASE(a_local_list_is_read_when_its_file_changes),
	    CASE(the_issuers_list_is_taken_out_of_a_bundle),
	    CASE(a_refused_file_may_be_taken_when_the_list_has_expired),
	    CASE(a_file_written_twice_within_its_times_grain_is_read_again),
	    CASE(a_file_that_stays_refused_is_told_as_it_lasts),
	};

	return cmocka_run_group_tests(cases, NULL, NULL);
}
