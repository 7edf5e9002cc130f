/* 60-crl-feed: a list from its URL into force, onto the disk and into the log.
 *
 * Its own small world: the real feed, sets, files and barrier, one reader; fetches, disk,
 * clock and telling do as the test says. */
#include "tests/lib/faults.h"

#include "proxy/base/clock.h"
#include "proxy/base/log.h"
#include "proxy/lists/crl_feed.h"
#include "proxy/lists/crl_state.h"
#include "proxy/tell/teller.h"
#include "tests/lib/forge_crl.h"
#include "tests/lib/world.h"

#include <dirent.h>
#include <event2/event.h>
#include <fcntl.h>
#include <openssl/pem.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#define A   "http://crl.example/a.crl"
#define B   "http://crl.example/b.crl"
#define C   "http://crl.example/c.crl"
#define DAY 86400

static char directory[64], folder[80];
static struct shared shared;
static struct context context;
static struct event_base *base;
static struct inbox *own;
static struct crl_feed *feed;
static EVP_PKEY *ca_key, *other_key;
static X509 *ca, *other;
static int64_t now_ms, mono_ms;

/* ---- telling ---- */

#define TELLINGS_MAX 64

static struct telling_told {
	struct list_change c; /* diff: freed */
	size_t added, released, removed;
	size_t all; /* with those that are moot */
	struct change first;
	bool open;
	bool kept; /* the log has it */
} told[TELLINGS_MAX];
static size_t told_n;
static bool tell_at_once; /* done follows with the next turn */
static bool tell_nothing; /* for want of memory */

bool telling_list(struct telling *t, const struct list_change *l)
{
	struct telling_told *n = &told[told_n++];

	(void)t;
	assert_true(told_n <= TELLINGS_MAX);
	for (size_t i = 0; i + 1 < told_n; i++) /* one at a time for a scope */
		assert_false(told[i].open &&
			     memcmp(told[i].c.scope, l->scope, sizeof l->scope) == 0);
	*n = (struct telling_told){.c = *l, .open = !tell_nothing};
	if (l->diff == NULL)
		return !tell_nothing;
	n->added = l->diff->added;
	n->released = l->diff->released;
	n->removed = l->diff->removed;
	if (l->diff->n > 0)
		n->first = l->diff->changes[0];
	n->all = l->diff->n;
	if (!tell_nothing)
		crl_diff_free(l->diff);
	n->c.diff = NULL;
	return !tell_nothing;
}

static void tell_done(size_t i, enum err e)
{
	assert_true(told[i].open);
	told[i].open = false;
	told[i].kept = e == ERR_OK;
	told[i].c.done(told[i].c.arg, e);
}

static void tell_all(enum err e)
{
	for (size_t i = 0; i < told_n; i++)
		if (told[i].open)
			tell_done(i, e);
}

/* ---- the world ---- */

static void write_file(const char *name, struct bytes b)
{
	char path[160];
	int fd;

	snprintf(path, sizeof path, "%s/%s", directory, name);
	fd = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0600);
	assert_true(fd >= 0);
	assert_int_equal(write(fd, b.p, b.n), b.n);
	close(fd);
}

static void make_ca(const char *file, X509 *x)
{
	BIO *b = BIO_new(BIO_s_mem());
	char *p;
	long n;

	PEM_write_bio_X509(b, x);
	n = BIO_get_mem_data(b, &p);
	write_file(file, bytes_of(p, (size_t)n));
	BIO_free(b);
}

static struct conf *load(const char *global, const char *issuer)
{
	struct conf_errors errors = {0};
	char text[32768], path[160];
	struct conf *c;

	snprintf(path, sizeof path, "%s/feed.conf", directory);
	snprintf(text, sizeof text,
	    "store = \"memory:\"\nstate-directory = \"%s\"\n%s\n%s%s%s", folder, global,
	    issuer[0] != '\0' ? "issuer \"demo\" {\n" : "", issuer,
	    issuer[0] != '\0' ? "\n}\n"
			      : "issuer \"else\" { certificate = \"other.pem\" "
				"ocsp = \"http://x.example/\" }\n");
	c = conf_load(path, text, &errors);
	for (size_t i = 0; i < errors.n; i++)
		fprintf(stderr, "%s\n", errors.line[i]);
	assert_non_null(c);
	conf_errors_free(&errors);
	return c;
}

static void turn(void)
{
	for (int i = 0; i < 8; i++) {
		event_base_loop(base, EVLOOP_NONBLOCK);
		if (tell_at_once)
			tell_all(ERR_OK);
	}
}

static void elapse(int64_t ms)
{
	int64_t end = mono_ms + ms, step = ms > 40000 ? ms / 2000 : 20;

	turn();
	while (mono_ms < end) {
		int64_t by = end - mono_ms < step ? end - mono_ms : step;

		mono_ms += by;
		now_ms += by;
		fake_time_set(now_ms, mono_ms);
		turn();
	}
}

/* The same at once, so that what is due in between is late. */
static void jump(int64_t ms)
{
	mono_ms += ms;
	now_ms += ms;
	fake_time_set(now_ms, mono_ms);
	turn();
}

/* The daemon begins, on whatever is in the state directory. */
static void live(const char *global, const char *issuer)
{
	told_n = 0;
	tell_at_once = true;
	fake_fetch_reset();
	memset(&shared, 0, sizeof shared);
	base = event_base_new();
	own = inbox_new(base, NULL);
	shared.readers[0] = inbox_new(base, NULL);
	shared.readers_n = 1;
	atomic_store(&shared.conf, load(global, issuer));
	context = (struct context){.base = base,
	    .shared = &shared,
	    .barrier = barrier_new(&shared, own),
	    .schedule = schedule_new(1)};
	feed = crl_feed_new(&context, NULL, NULL, NULL);
	assert_non_null(feed);
	assert_non_null(crl_feed_slot(feed, "demo"));
	crl_feed_start(feed);
	turn();
}

/* It ends; what is under way is lost, as with kill -9. */
static void die(void)
{
	crl_feed_cancel(feed);
	fake_disk_hold(false);
	tell_at_once = false;
	tell_all(ERR_CANCELLED);
	inbox_free(shared.readers[0]);
	shared.readers_n = 0;
	inbox_free(own);
	barrier_free(context.barrier);
	schedule_free(context.schedule);
	crl_feed_free(feed);
	assert_int_equal(fake_fetches_waiting(), 0);
	conf_free((struct conf *)(uintptr_t)shared_conf(&shared));
	event_base_free(base);
	feed = NULL;
}

static void reload(const char *global, const char *issuer)
{
	struct conf *old = (struct conf *)(uintptr_t)shared_conf(&shared);

	const struct conf *c = load(global, issuer);

	crl_feed_reload(feed, c);
	atomic_store(&shared.conf, c);
	conf_free(old); /* jobs must not need it */
	turn();
}

static void remove_tree(const char *path)
{
	DIR *d = opendir(path);
	struct dirent *e;
	char name[600];

	while (d != NULL && (e = readdir(d)) != NULL) {
		if (strcmp(e->d_name, ".") == 0 || strcmp(e->d_name, "..") == 0)
			continue;
		snprintf(name, sizeof name, "%s/%s", path, e->d_name);
		if (unlink(name) != 0)
			remove_tree(name);
	}
	if (d != NULL)
		closedir(d);
	rmdir(path);
}

static X509 *certificate(const char *name, EVP_PKEY *key)
{
	struct forge_cert c = {.subject = name,
	    .key = key,
	    .issuer_key = key,
	    .from = WORLD_START - 1000000,
	    .to = WORLD_START + INT64_C(1000000000),
	    .usage = "critical,keyCertSign,cRLSign",
	    .ca = true};

	return forge_cert(&c);
}

static int begin(void **state)
{
	(void)state;
	now_ms = WORLD_START * 1000;
	mono_ms = 1000000;
	fake_time_set(now_ms, mono_ms);
	log_setup(getenv("DEBUG_LOG") ? LEVEL_INFO : LEVEL_ERROR, LOG_FORMAT_LOGFMT, 0);
	strcpy(directory, "/tmp/crl_feed.XXXXXX");
	assert_non_null(mkdtemp(directory));
	snprintf(folder, sizeof folder, "%s/state", directory);
	ca_key = forge_key("P-256");
	other_key = forge_key("P-256");
	ca = certificate("Feed CA", ca_key);
	other = certificate("Other CA", other_key);
	make_ca("ca.pem", ca);
	make_ca("other.pem", other);
	return 0;
}

static int end(void **state)
{
	(void)state;
	if (feed != NULL)
		die();
	remove_tree(directory);
	X509_free(ca);
	X509_free(other);
	EVP_PKEY_free(ca_key);
	EVP_PKEY_free(other_key);
	forge_reset();
	forge_crl_reset();
	return 0;
}

/* ---- lists ---- */

struct says {
	const char *number;   /* hex */
	int64_t from, to;     /* seconds from now; to 0: a day */
	const char *serials;  /* a letter each; lower case: on hold */
	const char *idp;      /* OpenSSL's words */
	bool forged, another; /* broken signature; another CA's list */
	bool young;           /* by the other key, in our CA's name */
};

static struct bytes list(const struct says *s)
{
	struct forge_crl_entry e[26];
	size_t n = s->serials != NULL ? strlen(s->serials) : 0;
	uint8_t serial[26][2];
	int64_t now = clock_now();
	struct forge_crl f = {.issuer = s->another ? other : ca,
	    .key = s->another || s->young ? other_key : ca_key,
	    .this_update = forge_time(now + s->from) + 2,
	    .next_update = forge_time(now + (s->to != 0 ? s->to : DAY)) + 2,
	    .entry = e,
	    .entries_n = n,
	    .number = s->number,
	    .signature = FORGE_ECDSA_SHA256,
	    .break_signature = s->forged};

	for (size_t i = 0; i < n; i++) {
		bool hold = s->serials[i] >= 'a';

		serial[i][0] = 0x10;
		serial[i][1] = (uint8_t)(hold ? s->serials[i] - 32 : s->serials[i]);
		e[i] = (struct forge_crl_entry){.serial = bytes_of(serial[i], 2),
		    .at = "250601000000Z",
		    .reason = hold ? 6 : -1};
	}
	if (s->idp != NULL)
		f.extensions = forge_idp(s->idp);
	return forge_crl(&f);
}

#define LIST(...) list(&(struct says){__VA_ARGS__})

static void answer(size_t i, struct bytes b)
{
	fake_fetch_answer(i, 200, b);
	turn();
}

static const struct crl_set *set(void)
{
	return crl_feed_set(feed, "demo");
}

static bool listed(char letter)
{
	struct serial s = {2, {0x10, (uint8_t)letter}};
	struct crl_finding found;

	return crl_set_find(set(), &s, &found);
}

/* What it means here that no list has a serial. */
static enum crl_absence absence(void)
{
	const struct issuer *i = issuers_named(shared_conf(&shared)->issuers, "demo");

	return crl_set_absence(set(), i->rules.absent, clock_now(), NULL);
}

/* One field of the n-th list as the API has it; "" for null. */
static const char *field(size_t n, const char *name)
{
	static char text[8][300];
	static unsigned next;
	const struct issuer *i = issuers_named(shared_conf(&shared)->issuers, "demo");
	json_t *all = crl_feed_json(feed, i);
	const json_t *v = json_object_get(json_array_get(all, n), name);
	char *out = text[next++ % 8];

	if (json_is_integer(v))
		snprintf(out, 300, "%lld", (long long)json_integer_value(v));
	else
		snprintf(out, 300, "%s", json_is_string(v) ? json_string_value(v) : "");
	json_decref(all);
	return out;
}

static bool refused_with(const char *label)
{
	const char *e = field(0, "last_error");

	return strncmp(e, label, strlen(label)) == 0 && e[strlen(label)] == ':';
}

static void refresh_as(bool accept_number)
{
	crl_feed_refresh(
	    feed, issuers_named(shared_conf(&shared)->issuers, "demo"), accept_number);
	turn();
}

static void refresh(void)
{
	refresh_as(false);
}

static double gauge(const char *family)
{
	struct metrics_text t = {0};
	char name[100];
	double value = -1;
	const char *p;

	crl_feed_gauges(feed, &t);
	snprintf(
	    name, sizeof name, "\nocspcached_%s{issuer=\"demo\",list=\"0\"} ", family);
	p = t.p != NULL ? strstr(t.p, name) : NULL;
	if (p != NULL)
		value = strtod(p + strlen(name), NULL);
	free(t.p);
	return value;
}

#define DEMO "certificate = \"ca.pem\" crl = { \"" A "\" } "
#define BOTH "certificate = \"ca.pem\" crl = { \"" A "\", \"" B "\" } "

static void begin_with(const char *number, const char *serials)
{
	live("", DEMO);
	assert_int_equal(fake_fetches_waiting(), 1);
	answer(0, LIST(.number = number, .serials = serials));
}

static void file_of(const char *url, const char *name, char path[400])
{
	uint8_t id[CHANGE_SCOPE_N];
	char dir[300];

	crl_scope_id("demo", url, id);
	crl_state_path(folder, id, dir, sizeof dir);
	snprintf(path, 400, "%s/%s", dir, name);
}

static bool same_files(const char *a, const char *b)
{
	char one[400], two[400];
	struct stat s, t;

	file_of(A, a, one);
	file_of(A, b, two);
	return stat(one, &s) == 0 && stat(two, &t) == 0 && s.st_ino == t.st_ino;
}

static bool there_is(const char *name)
{
	char path[400];

	file_of(A, name, path);
	return access(path, F_OK) == 0;
}

/* ---- cases ---- */

/* At the start every list is fetched at once; the first of a scope tells nothing. */
static void the_first_list_is_a_baseline(void **state)
{
	(void)state;
	live("", DEMO);
	assert_int_equal(fake_fetches_waiting(), 1);
	assert_string_equal(fake_fetch_url(0), A);
	assert_null(fake_fetch_if_none_match(0));
	assert_false(crl_feed_tried_all(feed));
	assert_int_equal(set()->shards_n, 0);
	answer(0, LIST(.number = "01", .serials = "AB"));
	assert_true(crl_feed_tried_all(feed));
	assert_true(listed('A') && listed('B') && !listed('C'));
	assert_int_equal(told_n, 1);
	assert_true(told[0].c.baseline);
	assert_int_equal(told[0].added, 0);
	assert_string_equal(told[0].c.issuer, "demo");
	assert_true(same_files("current", "told"));
	assert_false(there_is("next"));
	assert_string_equal(field(0, "url"), A);
	assert_string_equal(field(0, "crl_number"), "1");
	assert_string_equal(field(0, "this_update"), "2025-06-15T15:06:40Z");
	assert_string_equal(field(0, "next_update"), "2025-06-16T15:06:40Z");
	assert_string_equal(field(0, "entries"), "2");
	assert_string_equal(field(0, "fetched_at"), "2025-06-15T15:06:40Z");
	assert_string_equal(field(0, "last_error"), "");
}

/* R152, R115: what the next poll brings is in force and told. */
static void a_later_list_tells_what_moved(void **state)
{
	uint64_t generation;

	(void)state;
	begin_with("01", "ABh");
	generation = set()->generation;
	elapse(260000);
	assert_int_equal(fake_fetches_waiting(), 0);
	elapse(80000); /* crl-interval is 5 minutes, give or take a tenth */
	assert_int_equal(fake_fetches_waiting(), 1);
	answer(0, LIST(.number = "02", .serials = "BCDE"));
	assert_true(listed('C') && !listed('A'));
	assert_true(set()->generation > generation);
	assert_int_equal(told_n, 2);
	assert_false(told[1].c.baseline);
	assert_int_equal(told[1].added, 3);
	assert_int_equal(told[1].removed, 1);
	assert_int_equal(told[1].released, 1);
	assert_memory_equal(told[1].c.from, told[0].c.to, 32);
	assert_memory_equal(told[1].c.to, set()->shard[0].facts.sha256, 32);
	assert_int_equal(told[1].c.seen_at_ms, now_ms);
	assert_true(same_files("current", "told"));
	assert_false(there_is("next"));
}

/* Know, then tell: in force at once, told when no reader can have the old one and the new
 * one is on disk. */
static void nothing_is_told_before_it_is_durable_and_every_reader_has_turned(void **state)
{
	(void)state;
	begin_with("01", "A");
	elapse(400000);
	fake_disk_hold(true);
	fake_fetch_answer(0, 200, LIST(.number = "02", .serials = "AB"));
	assert_false(listed('B'));
	assert_true(fake_disk_step()); /* bulk: read */
	assert_true(listed('B'));
	assert_int_equal(told_n, 1);
	turn(); /* the barrier passes */
	assert_int_equal(told_n, 1);
	assert_true(fake_disk_step()); /* disk: current */
	while (fake_disk_step())
		;
	assert_int_equal(told_n, 2);
	fake_disk_hold(false);
	turn();

	elapse(400000);
	fake_fetch_answer(0, 200, LIST(.number = "03", .serials = "ABC"));
	assert_true(listed('C'));
	assert_int_equal(told_n, 2); /* durable, but the reader has not turned */
	turn();
	assert_int_equal(told_n, 3);
	assert_int_equal(told[2].added, 1);
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
	elapse(5000);
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

	(void)state;
	begin_with("10", "A");
	for (size_t i = 0; i < 3; i++) {
		refresh();
		fake_fetch_fail(0, errors[i]);
		turn();
		assert_true(refused_with(labels[i]));
		assert_true(listed('A'));
	}
	refresh();
	fake_fetch_answer(0, 404, LIST(.number = "11", .serials = "B"));
	turn();
	assert_string_equal(field(0, "last_error"), "upstream_http: HTTP status 404");
	refresh();
	fake_fetch_answer(0, 304, bytes_of("", 0)); /* that we did not ask for */
	turn();
	assert_true(refused_with("upstream_http"));
	assert_true(listed('A') && !listed('B'));
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
	elapse(400000);
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
	elapse(400000);
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
	elapse(60000);
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
	elapse(60000);
	lower = LIST(.number = "01", .serials = "AB");
	refresh();
	answer(0, lower);
	assert_true(refused_with("crl_rollback"));
	assert_true(gauge("crl_number_back") == 1);
	die();
	live("", DEMO); /* nor does a restart help */
	answer(0, lower);
	assert_true(refused_with("crl_rollback"));
	elapse(600000);
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
	elapse(60000);
	first = LIST(.number = "01", .from = -3600, .serials = "AB");
	refresh();
	answer(0, first);
	assert_true(refused_with("crl_rollback"));
	refresh_as(true);
	fake_fetch_answer(0, 500, bytes_of("", 0)); /* the CA is not ready */
	turn();
	elapse(400000);
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
		elapse(60000);
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

/* T23: killed between the list of a new count and its telling: the next life knows by the
 * dates that it is one. */
static void a_new_count_that_was_not_told_is_told_as_one(void **state)
{
	(void)state;
	begin_with("1267", "A");
	elapse(60000);
	tell_at_once = false;
	refresh_as(true);
	answer(0, LIST(.number = "01", .from = -3600, .serials = "AB"));
	assert_int_equal(told_n, 2);
	die();
	live("", DEMO);
	assert_true(listed('B'));
	assert_int_equal(told[0].added, 1);
	assert_false(told[0].c.baseline);
	assert_true((told[0].c.facts.warnings & CRL_WARN_ACCEPTED) != 0);
}

/* R115: asked for only if it has changed; 304 is news too. */
static void a_list_in_force_is_asked_for_with_its_validators(void **state)
{
	struct fake_reply r = {200, {NULL, 0}, "\"one\"", "Sun, 15 Jun 2025 15:06:40 GMT",
	    "Sun, 15 Jun 2025 15:06:42 GMT"};
	const struct crl_set *before;

	(void)state;
	live("", DEMO);
	r.body = LIST(.number = "01", .serials = "A");
	fake_fetch_reply(0, &r);
	turn();
	before = set();
	elapse(400000);
	assert_string_equal(fake_fetch_if_none_match(0), "\"one\"");
	assert_string_equal(
	    fake_fetch_if_modified_since(0), "Sun, 15 Jun 2025 15:06:40 GMT");
	fake_fetch_answer(0, 304, bytes_of("", 0));
	turn();
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
	    "Sun, 15 Jun 2025 15:06:40 GMT", "Sun, 15 Jun 2025 15:06:41 GMT"};

	(void)state;
	live("", DEMO);
	fake_fetch_reply(0, &r);
	refresh();
	assert_null(fake_fetch_if_none_match(0));
	assert_null(fake_fetch_if_modified_since(0));
	fake_fetch_reply(0, &r);
	elapse(400000);
	assert_null(fake_fetch_if_none_match(0));
	assert_null(fake_fetch_if_modified_since(0));
	r.body = LIST(.number = "02", .serials = "AB"); /* with the same validators */
	r.date = "Sun, 15 Jun 2025 15:06:42 GMT";
	fake_fetch_reply(0, &r);
	turn();
	assert_true(listed('B'));
	assert_int_equal(told_n, 2);
	refresh();
	assert_string_equal(fake_fetch_if_none_match(0), "\"one\"");
	assert_non_null(fake_fetch_if_modified_since(0));
	fake_fetch_answer(0, 304, bytes_of("", 0));
}

/* What an unsafe validator was not kept of, the next life does not know either. */
static void a_validator_is_on_disk_only_where_it_is_safe(void **state)
{
	struct fake_reply r = {200, LIST(.number = "01", .serials = "A"), "\"one\"",
	    "Sun, 15 Jun 2025 15:06:40 GMT", "Sun, 15 Jun 2025 15:06:40 GMT"};

	(void)state;
	live("", DEMO);
	fake_fetch_reply(0, &r);
	turn();
	die();
	live("", DEMO);
	assert_true(listed('A'));
	assert_null(fake_fetch_if_none_match(0));
	assert_null(fake_fetch_if_modified_since(0));
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
	elapse(60000);
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
	elapse(400000);
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
	int64_t until = mono_ms + ms;

	while (mono_ms < until) {
		while (fake_fetches_waiting() > 0)
			fake_fetch_fail(0, e);
		elapse(20);
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
	elapse(250000); /* all is well: the interval again */
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
	elapse(599000);
	assert_int_equal(fake_fetches_waiting(), 0);
	elapse(12000);
	assert_int_equal(fake_fetches_waiting(), 1);
	answer(0, LIST(.number = "02", .to = 600));
	elapse(500000);
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
	elapse(75000);
	assert_int_equal(fake_fetches_waiting(), 1);
	before = fake_fetches();
	for (int i = 0; i < 3000; i++) {
		while (fake_fetches_waiting() > 0)
			fake_fetch_answer(0, 304, bytes_of("", 0));
		elapse(20);
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
	turn();
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

/* R104: what a certificate was before it was revoked is known where the lists are all:
 * one that names a distribution point of its own may be a part, until the operator says
 * that there is no other.  Of a list that was told in an earlier life, too. */
static void what_a_part_did_not_list_was_unknown(void **state)
{
	(void)state;
	live("", DEMO);
	answer(0, LIST(.number = "01", .serials = "A", .idp = "fullname:URI:" A));
	assert_int_equal(absence(), CRL_ABSENT_PART);
	refresh();
	answer(0, LIST(.number = "02", .serials = "AB", .idp = "fullname:URI:" A));
	assert_int_equal(told_n, 2);
	assert_int_equal(change_before(&told[1].first), CHANGE_UNKNOWN);
	reload("", DEMO "absent = good");
	assert_int_equal(absence(), CRL_ABSENT_GOOD);
	refresh();
	answer(0, LIST(.number = "03", .serials = "ABC", .idp = "fullname:URI:" A));
	assert_int_equal(change_before(&told[2].first), CHANGE_GOOD);
	reload("", DEMO "absent = unknown");
	assert_int_equal(absence(), CRL_ABSENT_BY_OPTION);
	refresh();
	answer(0, LIST(.number = "04", .serials = "ABCD"));
	assert_int_equal(change_before(&told[3].first), CHANGE_UNKNOWN);
	/* 04 is all of them; 03, a part, was told before */
	reload("", DEMO);
	assert_int_equal(absence(), CRL_ABSENT_GOOD);
	tell_at_once = false;
	refresh();
	answer(0, LIST(.number = "05", .serials = "ABCDE", .idp = "fullname:URI:" A));
	assert_int_equal(change_before(&told[4].first), CHANGE_GOOD);
	refresh();
	answer(0, LIST(.number = "06", .serials = "ABCDEF"));
	assert_int_equal(told_n, 5); /* 05 is still being told */
	tell_done(4, ERR_OK);
	turn();
	assert_int_equal(told_n, 6);
	assert_int_equal(change_before(&told[5].first), CHANGE_UNKNOWN);
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
	elapse(20);
	assert_true(listed('A'));
	assert_string_equal(fake_fetch_url(0), "http://mirror.example/");
	assert_null(fake_fetch_if_none_match(0));
	answer(0, LIST(.number = "02", .serials = "AB", .idp = "fullname:URI:" B));
	assert_int_equal(told_n, 2);
	assert_false(told[1].c.baseline);
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
	elapse(20000);
	assert_true(refused_with("store"));
	assert_int_equal(told_n, 0);
	assert_int_equal(unlink(lists), 0);
	assert_int_equal(rename(away, lists), 0);
	refresh();
	assert_int_equal(fake_fetches_waiting(), 1);
	elapse(6000);
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
	turn();
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
	turn();
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
	turn();
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
	elapse(400000);
	answer(0, LIST(.number = "02", .serials = "AB"));
	assert_int_equal(told_n, 2);
	memcpy(two, told[1].c.to, 32);
	elapse(400000);
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

static void lists_that_come_while_one_is_told_are_told_as_one(void **state)
{
	(void)state;
	begin_with("01", "A");
	tell_at_once = false;
	for (int i = 2; i < 6; i++) {
		char number[3], serials[8] = "ABCDEFG";

		snprintf(number, sizeof number, "%02x", i);
		serials[i] = '\0';
		refresh();
		answer(0, LIST(.number = number, .serials = serials));
	}
	assert_true(listed('E'));
	assert_int_equal(told_n, 2);
	tell_nothing = true; /* nothing is begun: again, later */
	tell_done(1, ERR_OK);
	turn();
	assert_int_equal(told_n, 3);
	assert_int_equal(told[2].added, 3);
	assert_memory_equal(told[2].c.from, told[1].c.to, 32);
	assert_memory_equal(told[2].c.to, set()->shard[0].facts.sha256, 32);
	elapse(4000);
	assert_int_equal(told_n, 3);
	tell_nothing = false;
	elapse(2000);
	assert_int_equal(told_n, 4);
	assert_int_equal(told[3].added, 3);
	assert_memory_equal(told[3].c.from, told[1].c.to, 32);
	tell_done(3, ERR_OK);
	elapse(10000);
	assert_int_equal(told_n, 4);
	assert_true(same_files("told", "current"));
}

static void passed(struct barrier_want *w)
{
	(void)w;
}

/* A reader that turns late lets several lists through the barrier at once: they are told
 * to the last one, and what is told is the file that is current. */
static void lists_that_wait_for_one_reader_are_told_to_the_last(void **state)
{
	struct barrier_want before = {.done = passed};
	const struct issuer *i;

	(void)state;
	begin_with("01", "A");
	i = issuers_named(shared_conf(&shared)->issuers, "demo");
	barrier_pass(context.barrier, &before);
	crl_feed_refresh(feed, i, false);
	fake_fetch_answer(0, 200, LIST(.number = "02", .serials = "AB"));
	crl_feed_refresh(feed, i, false);
	fake_fetch_answer(0, 200, LIST(.number = "03", .serials = "ABC"));
	assert_true(listed('C'));
	assert_int_equal(told_n, 1);
	turn();
	assert_memory_equal(told[told_n - 1].c.to, set()->shard[0].facts.sha256, 32);
	assert_memory_equal(told[1].c.from, told[0].c.to, 32);
	assert_true(same_files("current", "told"));
}

/* R72: a certificate that goes from one list of its issuer to another has not
 * moved, nor has one that a second list brings. */
static void what_another_list_says_is_no_change(void **state)
{
	(void)state;
	live("", BOTH);
	answer(0, LIST(.number = "01", .serials = "AB"));
	answer(0, LIST(.number = "01", .serials = "C"));
	refresh();
	answer(1, LIST(.number = "02", .serials = "BCD"));
	assert_int_equal(told_n, 3);
	assert_int_equal(told[2].all, 2);
	assert_int_equal(told[2].added, 1); /* D; B was revoked before */
	answer(0, LIST(.number = "02", .serials = "A"));
	assert_int_equal(told_n, 4);
	assert_int_equal(told[3].all, 1);
	assert_int_equal(told[3].removed, 0); /* B still is */
	assert_true(listed('B'));
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
	elapse(12000);
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

/* ---- before lists are opened ---- */

/* What the lists say to a good that is a second newer than any of them. */
static enum crl_verdict verdict(char letter)
{
	struct facts f = {.status = STATUS_GOOD, .this_update = clock_now() + 1};
	struct serial s = {2, {0x10, (uint8_t)letter}};

	return crl_set_judge(set(), &s, &f, NULL);
}

static struct waiting {
	struct crl_wait wait;
	int calls;
	enum err error;
} waiting[4];

static void waited(struct crl_wait *w, enum err e)
{
	struct waiting *x = (struct waiting *)w;

	x->calls++;
	x->error = e;
}

static bool waits(size_t n, const char *issuer, int ms)
{
	waiting[n] = (struct waiting){.wait.done = waited};
	return crl_feed_wait(feed, issuer, &waiting[n].wait, ms);
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
	turn();
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
	turn();
	assert_true(listed('A'));
	assert_int_equal(verdict('A'), CRL_DISAGREES);
	assert_int_equal(verdict('B'), CRL_NOT_YET);
	while (set()->unopened)
		assert_true(fake_disk_step());
	assert_int_equal(verdict('B'), CRL_FITS);
	assert_int_equal(absence(), CRL_ABSENT_MISSING); /* B was never had */
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
	turn();
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
	turn();
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
	elapse(20000);
	assert_int_equal(verdict('B'), CRL_NOT_YET);
	assert_true(waits(0, "demo", -1));
	assert_int_equal(unlink(path), 0);
	elapse(20000);
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
		turn();
		assert_int_not_equal(verdict('A'), CRL_FITS);
		fake_disk_hold(false);
		elapse(12000);
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
	elapse(480);
	assert_int_equal(waiting[2].calls, 0);
	elapse(20);
	assert_int_equal(waiting[2].calls, 1);
	assert_int_equal(waiting[2].error, ERR_RESP_LISTS);
	assert_true(waits(3, "demo", 500));
	assert_true(fake_disk_step());
	turn();
	assert_int_equal(waiting[0].calls + waiting[1].calls, 0);
	while (set()->unopened)
		assert_true(fake_disk_step());
	turn();
	for (size_t i = 0; i < 4; i++)
		assert_int_equal(waiting[i].calls, 1);
	assert_int_equal(waiting[0].error, ERR_OK);
	assert_int_equal(waiting[1].error, ERR_OK);
	assert_int_equal(waiting[3].error, ERR_OK);
	elapse(1000);
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
		turn();
	}
	assert_int_equal(waiting[1].calls, 0);
	for (int i = 0; i < MANY; i++) {
		snprintf(name, sizeof name, "m%d", i);
		opened += !crl_feed_set(feed, name)->unopened;
	}
	assert_in_range(opened, 1, 34); /* two were on their way, and a batch */
	while (waiting[1].calls == 0) {
		assert_true(fake_disk_step());
		turn();
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
	assert_int_equal(waiting[2].calls, 1);
	assert_int_equal(waiting[2].error, ERR_CANCELLED);
	elapse(1000);
	assert_int_equal(waiting[1].calls, 1);
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

/* Its place among the fetches that wait; their number when it is not asked for. */
static size_t place_of(const char *url)
{
	size_t i = 0;

	while (i < fake_fetches_waiting() && strcmp(fake_fetch_url(i), url) != 0)
		i++;
	return i;
}

static bool is_asked_for(const char *url)
{
	return place_of(url) < fake_fetches_waiting();
}

static void answer_url(const char *url, struct bytes b)
{
	assert_true(is_asked_for(url));
	answer(place_of(url), b);
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
	turn();
	assert_int_equal(verdict('A'), CRL_DISAGREES);
	assert_int_equal(verdict('B'), CRL_FITS);
	assert_int_equal(absence(), CRL_ABSENT_MISSING);
	assert_string_equal(field(0, "url"), "");
	fake_fetch_fail(place_of(B), ERR_UP_CONNECT);
	turn();
	assert_true(listed('A'));
	assert_string_equal(field(0, "url"), B);
	assert_string_equal(field(0, "entries"), "");
	elapse((int64_t)2 * DAY * 1000); /* past its nextUpdate */
	assert_true(listed('A'));
	answer_url(B, LIST(.number = "02", .serials = "C", .another = true));
	assert_true(refused_with("crl_issuer") && listed('A'));
	reload("", ONLY(B)); /* with nothing new in it */
	assert_true(listed('A'));
	elapse(400000);
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
		turn();
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
	turn();
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
	turn();
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
			elapse(1000); /* its fetch may have failed too */
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
	turn();
	assert_true(listed('B') && !listed('A'));
	assert_int_equal(set()->shards_n, 1);

	refresh();
	fake_disk_hold(true);
	fake_fetch_answer(0, 200, LIST(.number = "03", .serials = "BC"));
	reload("", BOTH);
	fake_disk_hold(false);
	turn();
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
	turn();
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
	turn();
	assert_false(listed('A') || listed('B'));
	assert_int_equal(fake_fetches_waiting(), 1);
	assert_null(fake_fetch_if_none_match(0));
	answer(0, LIST(.number = "02", .serials = "C", .another = true));
	assert_true(listed('C'));
	assert_string_equal(field(0, "last_error"), "");
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

static size_t state_files(void)
{
	char path[400];
	DIR *d;
	size_t n = 0;

	snprintf(path, sizeof path, "%s/crl", folder);
	d = opendir(path);
	for (struct dirent *e = readdir(d); e != NULL; e = readdir(d)) {
		char one[700];
		DIR *in;

		if (e->d_name[0] == '.')
			continue;
		snprintf(one, sizeof one, "%s/%s", path, e->d_name);
		in = opendir(one);
		for (struct dirent *f = readdir(in); f != NULL; f = readdir(in))
			n += f->d_name[0] != '.';
		closedir(in);
	}
	closedir(d);
	return n;
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
	elapse(120000);
	assert_true(listed('A'));

	tell_at_once = false; /* the list is remembered as long as it is told */
	put("local.crl", LIST(.number = "02", .serials = "A"), WORLD_START, 2);
	refresh();
	reload("", "");
	assert_int_equal(set()->shards_n, 0);
	file_of(url, "current", path);
	assert_int_equal(unlink(path), 0);
	reload("", issuer);
	elapse(120000);
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
	elapse(2000);
	assert_true(listed('A'));
	assert_int_equal(fake_fetches(), 0);
	elapse(2000);
	assert_int_equal(told_n, 1);

	/* as many octets, all of it a nanosecond later */
	c = LIST(.number = "02", .serials = "B");
	while (c.n != b.n) /* ECDSA's length varies */
		c = LIST(.number = "02", .serials = "B");
	put("local.crl", c, WORLD_START, 1);
	elapse(2000);
	put("local.crl", c, WORLD_START, 2);
	elapse(2000);
	assert_true(listed('B') && !listed('A'));

	/* refused once, not at every look; on request again */
	put("local.crl", b, WORLD_START, 3);
	elapse(2000);
	assert_true(refused_with("crl_rollback"));
	assert_true(listed('B'));
	{
		struct metrics_text t = {0};

		elapse(5000);
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
	elapse(2000);
	assert_true(listed('C'));
	assert_string_equal(field(0, "last_error"), "");
	BIO_free(pem);
	assert_int_equal(state_files(), 3); /* current, told, hints */

	put("local.crl", bytes_of("-----BEGIN X509 CRL-----\n", 25), WORLD_START, 5);
	elapse(2000);
	assert_true(refused_with("crl_der"));
	assert_true(listed('C'));
	assert_int_equal(state_files(), 3);
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
	assert_int_equal(state_files(), 3); /* current, told, hints */
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
	assert_int_equal(state_files(), 3);
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
	elapse(60000);
	put("local.crl", LIST(.number = "01", .serials = "AB"), WORLD_START, 1);
	elapse(60000);
	assert_true(refused_with("crl_rollback"));
	elapse(600000);
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
	elapse(2200); /* at START + 1 s or so it is read again */
	assert_true(listed('B'));
	elapse(2200); /* and once more, when the two seconds are over */
	put("local.crl", d, WORLD_START, 0);
	elapse(3000);
	assert_false(listed('C'));
	refresh(); /* the operator asks for the file itself */
	assert_true(listed('C'));
}

static bool gauge_is(const char *line)
{
	struct metrics_text t = {0};
	bool found;

	crl_feed_gauges(feed, &t);
	found = t.p != NULL && strstr(t.p, line) != NULL;
	free(t.p);
	return found;
}

/* How many lists are held back, with these words; gauge and words agree. */
static size_t held_back(const char *words)
{
	char text[1200];
	size_t n = crl_feed_held_back(feed, text, sizeof text);

	assert_true((n == 0) == (text[0] == '\0'));
	assert_int_equal(gauge_is("ocspcached_crl_held_back{issuer=\"demo\",list=\"0\"} "
				  "1\n"),
	    n > 0);
	return strstr(text, words) != NULL ? n : 0;
}

/* A folder where a file of the list should be: it can be neither read nor replaced. */
static void obstruct(const char *name)
{
	char path[400];

	file_of(A, name, path);
	unlink(path);
	assert_int_equal(mkdir(path, 0700), 0);
}

static void clear_away(const char *name)
{
	char path[400];

	file_of(A, name, path);
	assert_int_equal(rmdir(path), 0);
}

/* T23: a list that was told and cannot be read is an error that is seen; then a gap, so
 * that nobody waits for what will not be told, and the scope goes on from what is in
 * force. */
static void what_was_told_and_cannot_be_read_ends_in_a_gap(void **state)
{
	(void)state;
	log_setup(-1, LOG_FORMAT_LOGFMT, 0);
	begin_with("01", "A");
	die();
	obstruct("told");
	live("", DEMO);
	assert_true(listed('A'));
	assert_int_equal(held_back("/told: not a regular file"), 1);
	answer(0, LIST(.number = "02", .serials = "AB"));
	assert_true(listed('B'));
	elapse(120000);
	assert_int_equal(told_n, 0);
	assert_int_equal(held_back("compare: "), 1);
	elapse(60000);
	assert_int_equal(told_n, 1);
	assert_true(told[0].c.baseline && told[0].c.lost);
	assert_memory_equal(told[0].c.to, set()->shard[0].facts.sha256, 32);
	/* what follows is told, though told cannot be replaced */
	assert_int_equal(held_back("told: "), 1);
	refresh();
	answer(0, LIST(.number = "03", .serials = "ABC"));
	assert_int_equal(told_n, 2);
	assert_false(told[1].c.baseline);
	assert_int_equal(told[1].added, 1);
	clear_away("told");
	elapse(61000);
	assert_int_equal(held_back(""), 0);
	assert_int_equal(told_n, 2);
	assert_true(same_files("told", "current"));
}

/* T23: a first list that cannot be written is where changes start from all the same: what
 * the next one changes is told, or there is a gap. */
static void a_first_list_that_is_never_durable_is_a_gap(void **state)
{
	(void)state;
	log_setup(-1, LOG_FORMAT_LOGFMT, 0);
	for (int lists = 1; lists <= 2; lists++) {
		live("", DEMO);
		obstruct("current");
		answer(0, LIST(.number = "01", .serials = "A"));
		assert_true(listed('A'));
		assert_int_equal(held_back("install: "), 1);
		if (lists == 2) {
			refresh();
			answer(0, LIST(.number = "02", .serials = "AB"));
			assert_true(listed('B'));
		}
		assert_int_equal(told_n, 0);
		clear_away("current");
		elapse(61000);
		assert_int_equal(held_back(""), 0);
		assert_int_equal(told_n, 1);
		assert_true(told[0].c.baseline);
		assert_int_equal(told[0].c.lost, lists == 2);
		assert_memory_equal(told[0].c.to, set()->shard[0].facts.sha256, 32);
		assert_true(same_files("told", "current"));
		die();
		remove_tree(folder);
	}
}

/* T23: without descriptors for a moment, wherever, a first list is told soon after, by
 * itself. */
static void a_first_list_without_descriptors_is_made_up_for(void **state)
{
	unsigned long n = 0, calls;

	(void)state;
	log_setup(-1, LOG_FORMAT_LOGFMT, 0);
	do {
		live("", DEMO);
		faults_arm(FAULT_DESCRIPTORS, ++n, 1);
		answer(0, LIST(.number = "01", .serials = "A"));
		calls = faults_disarm();
		jump(5001);
		if (!listed('A')) { /* it could not be read: it is asked for again */
			jump(61000);
			answer(0, LIST(.number = "01", .serials = "A"));
		}
		assert_true(listed('A'));
		assert_int_equal(held_back(""), 0);
		assert_int_equal(told_n, 1);
		assert_true(told[0].c.baseline && !told[0].c.lost);
		assert_true(same_files("told", "current"));
		die();
		remove_tree(folder);
	} while (calls >= n);
	assert_true(n > 2);
}

/* T23: one that can be read again in time is compared, and nothing is missing. */
static void what_was_told_and_can_be_read_again_is_compared(void **state)
{
	char path[400], away[400];
	uint8_t one[32];

	(void)state;
	log_setup(-1, LOG_FORMAT_LOGFMT, 0);
	begin_with("01", "A");
	memcpy(one, told[0].c.to, 32);
	die();
	file_of(A, "told", path);
	file_of(A, "away", away);
	assert_int_equal(rename(path, away), 0);
	assert_int_equal(mkfifo(path, 0600), 0);
	live("", DEMO);
	answer(0, LIST(.number = "02", .serials = "AB"));
	elapse(60000);
	assert_int_equal(told_n, 0);
	assert_int_equal(held_back("not a regular file"), 1);
	assert_int_equal(rename(away, path), 0);
	elapse(61000);
	assert_int_equal(told_n, 1);
	assert_false(told[0].c.baseline);
	assert_memory_equal(told[0].c.from, one, 32);
	assert_int_equal(told[0].added, 1);
	assert_int_equal(held_back(""), 0);
}

/* T23: without memory or descriptors for a moment, wherever, all is told soon after. */
static void a_comparison_without_memory_is_made_up_for(void **state)
{
	static const enum fault kinds[] = {FAULT_MEMORY, FAULT_DESCRIPTORS};

	(void)state;
	log_setup(-1, LOG_FORMAT_LOGFMT, 0);
	for (size_t k = 0; k < 2; k++) {
		unsigned long n = 0, calls;

		do {
			n++;
			begin_with("01", "A");
			tell_at_once = false;
			refresh();
			answer(0, LIST(.number = "02", .serials = "AB"));
			refresh();
			answer(0, LIST(.number = "03", .serials = "ABC"));
			faults_arm(kinds[k], n, 1);
			tell_done(1, ERR_OK); /* now 3 has to be compared with 2 */
			calls = faults_disarm();
			jump(5001);
			assert_int_equal(told_n, 3);
			assert_false(told[2].c.baseline);
			assert_memory_equal(told[2].c.from, told[1].c.to, 32);
			assert_int_equal(told[2].added, 1);
			tell_done(2, ERR_OK);
			assert_int_equal(held_back(""), 0);
			die();
			remove_tree(folder);
		} while (calls >= n);
		assert_true(n > 2);
	}
}

/* T23: nor is anything told while the name cannot be made by which it would be gone on
 * with. */
static void without_the_link_nothing_is_told_and_it_is_seen(void **state)
{
	char path[400];

	(void)state;
	log_setup(-1, LOG_FORMAT_LOGFMT, 0);
	begin_with("01", "A");
	file_of(A, "new.link", path);
	assert_int_equal(mkdir(path, 0700), 0);
	refresh();
	answer(0, LIST(.number = "02", .serials = "AB"));
	assert_true(listed('B'));
	elapse(20000);
	assert_int_equal(told_n, 1);
	assert_int_equal(held_back("/next: Is a directory"), 1);
	assert_int_equal(rmdir(path), 0);
	refresh(); /* who has mended it says so */
	elapse(20);
	assert_int_equal(told_n, 2);
	assert_int_equal(told[1].added, 1);
	assert_int_equal(held_back(""), 0);
}

/* T23: from told to what is in force, where nobody can read what was in between. */
static void a_next_that_cannot_be_read_is_told_with_what_follows(void **state)
{
	uint8_t one[32];

	(void)state;
	log_setup(-1, LOG_FORMAT_LOGFMT, 0);
	begin_with("01", "A");
	memcpy(one, told[0].c.to, 32);
	tell_at_once = false;
	refresh();
	answer(0, LIST(.number = "02", .serials = "AB"));
	die();
	obstruct("next");
	live("", DEMO);
	assert_int_equal(told_n, 0);
	assert_int_equal(held_back("next: "), 1); /* which cannot be made either */
	clear_away("next");
	elapse(61000);
	assert_int_equal(told_n, 1);
	assert_memory_equal(told[0].c.from, one, 32);
	assert_int_equal(told[0].added, 1);
	assert_int_equal(held_back(""), 0);
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

/* A disk that cannot take the list: in force all the same, and told when it is durable.
 */
static void what_cannot_be_made_durable_is_in_force_and_told_later(void **state)
{
	char path[400];

	(void)state;
	begin_with("01", "A");
	file_of(A, "current", path);
	unlink(path);
	mkdir(path, 0700); /* nothing can be renamed to it */
	log_setup(-1, LOG_FORMAT_LOGFMT, 0);
	elapse(400000);
	answer(0, LIST(.number = "02", .serials = "AB"));
	assert_true(listed('B'));
	assert_int_equal(told_n, 1);
	elapse(20000);
	assert_int_equal(told_n, 1);
	refresh();
	answer(0, LIST(.number = "03", .serials = "ABC"));
	assert_true(listed('C'));
	assert_int_equal(told_n, 1);
	assert_int_equal(held_back("install: "), 1);
	rmdir(path);
	elapse(61000);
	assert_int_equal(held_back(""), 0);
	assert_int_equal(told_n, 2);
	assert_int_equal(told[1].added, 2);
	assert_true(same_files("told", "current"));
	assert_int_equal(state_files(), 3);
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
	elapse(3600000);
	assert_true(gauge_is("ocspcached_crl_age_alarm{issuer=\"demo\",list=\"0\"} 1\n"));
	fake_fetch_fail(0, ERR_UP_TIMEOUT);
	assert_true(gauge_is("ocspcached_crl_fetch_failures_total{issuer=\"demo\",reason="
			     "\"upstream_timeout\"} 1\n"));
}

/* What the log has from overhear() to heard(). */
static int log_fd, true_stderr;

static void overhear(void)
{
	char path[160];

	snprintf(path, sizeof path, "%s/log", directory);
	fflush(stderr);
	true_stderr = dup(2);
	log_fd = open(path, O_RDWR | O_CREAT | O_TRUNC, 0600);
	assert_true(log_fd >= 0 && true_stderr >= 0 && dup2(log_fd, 2) == 2);
	log_setup(LEVEL_INFO, LOG_FORMAT_LOGFMT, 0);
}

static const char *heard(void)
{
	static char text[65536];
	ssize_t n;

	dup2(true_stderr, 2);
	close(true_stderr);
	log_setup(LEVEL_ERROR, LOG_FORMAT_LOGFMT, 0);
	n = pread(log_fd, text, sizeof text - 1, 0);
	assert_true(n >= 0);
	text[n] = '\0';
	close(log_fd);
	return text;
}

static int times(const char *text, const char *word)
{
	int n = 0;

	for (; (text = strstr(text, word)) != NULL; text++)
		n++;
	return n;
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
	elapse(59000);
	assert_true(gauge_is("ocspcached_crl_overdue{issuer=\"demo\",list=\"0\"} 0\n"));
	assert_string_equal(heard(), "");
	overhear();
	elapse(1000);
	text = heard();
	assert_int_equal(times(text, "event=crl_overdue"), 1);
	assert_non_null(strstr(text, " level=warn "));
	assert_non_null(strstr(text, " url=" A " next_update="));
	assert_non_null(strstr(text, "detail=\"the server has no newer one\""));
	assert_true(gauge_is("ocspcached_crl_overdue{issuer=\"demo\",list=\"0\"} 1\n"));
	overhear();
	for (int i = 0; i < 24; i++) { /* a day */
		while (fake_fetches_waiting() > 0)
			fake_fetch_answer(0, 304, bytes_of("", 0));
		elapse(3600000);
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
		elapse(1000);
	answer(0, LIST(.number = "02", .serials = "A", .to = 60));
	assert_true(gauge_is("ocspcached_crl_overdue{issuer=\"demo\",list=\"0\"} 0\n"));
	elapse(61000);
	assert_int_equal(times(heard(), "event=crl_overdue"), 1);
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
	elapse(12 * 60000);
	/* at once, then after 1, 2 and 4 minutes, at the look that follows */
	text = heard();
	assert_int_equal(times(text, "event=crl_refused"), 4);
	assert_int_equal(times(text, " failures=1\n"), 1);
}

/* Was B told by this life, and was that kept? */
static bool has_told(void)
{
	for (size_t i = 0; i < told_n; i++)
		if (told[i].kept && told[i].added == 1)
			return true;
	return false;
}

/* A life that is to end after so many steps of the second list's way. */
static void live_for(int steps, bool barrier, struct bytes two)
{
	begin_with("01", "A");
	tell_at_once = steps % 2 == 0;
	refresh();
	fake_disk_hold(true);
	fake_fetch_answer(0, 200, two);
	for (int i = 0; i < steps; i++) {
		fake_disk_step();
		if (barrier)
			turn();
	}
}

/* The life after it.  Did the second list outlive the first one? */
static bool live_on(bool has_told_b, struct bytes two)
{
	bool was_current;

	live("", DEMO);
	was_current = listed('B');
	assert_true(listed('A'));
	assert_int_equal(fake_fetches_waiting(), 1);
	answer(0, two);
	assert_true(listed('A') && listed('B'));
	assert_true(has_told_b || has_told());
	for (size_t i = 0; i < told_n; i++)
		assert_false(told[i].c.baseline);
	assert_true(same_files("told", "current"));
	assert_false(there_is("next"));
	die();
	remove_tree(folder);
	return was_current;
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

/* T23: stopped after each step of a list's way nothing is lost, nothing is leaked. */
static void it_may_be_stopped_at_any_step(void **state)
{
	int current = 0, told_before = 0;

	(void)state;
	for (int steps = 0; steps < 12; steps++) {
		struct bytes two = LIST(.number = "02", .serials = "AB");
		bool has_told_b;

		live_for(steps, true, two);
		has_told_b = has_told();
		die();
		told_before += has_told_b;
		current += live_on(has_told_b, two);
	}
	/* each of them was met: fetched only, durable, told */
	assert_in_range(current, 1, 11);
	assert_in_range(told_before, 1, current);
}

/* The same where no reader turns before the issuer goes, and then the process. */
static void it_may_be_stopped_when_its_issuer_has_gone(void **state)
{
	int current = 0;

	(void)state;
	for (int steps = 0; steps < 6; steps++) {
		struct bytes two = LIST(.number = "02", .serials = "AB");

		live_for(steps, false, two);
		assert_int_equal(listed('B'), steps > 0);
		reload("", "");
		/* its lists go at once, or when the job that is under way is back */
		assert_int_equal(set()->shards_n, steps > 0 ? 0 : 1);
		assert_false(has_told());
		die();
		current += live_on(false, two);
	}
	assert_in_range(current, 1, 5);
}

int main(void)
{
#define CASE(name) cmocka_unit_test_setup_teardown(name, begin, end)
	const struct CMUnitTest cases[] = {
	    CASE(the_first_list_is_a_baseline),
	    CASE(a_later_list_tells_what_moved),
	    CASE(nothing_is_told_before_it_is_durable_and_every_reader_has_turned),
	    CASE(what_is_refused_leaves_the_old_list_in_force),
	    CASE(a_fetch_that_fails_leaves_the_old_list_in_force),
	    CASE(a_list_that_cannot_be_had_is_tried_and_told),
	    CASE(a_list_issued_again_with_the_same_next_update_is_taken),
	    CASE(a_number_that_is_used_twice_is_noticed),
	    CASE(a_renewed_key_counts_from_the_start),
	    CASE(a_number_goes_back_when_the_list_has_expired),
	    CASE(a_new_count_is_taken_by_the_operators_word),
	    CASE(a_new_count_that_was_not_told_is_told_as_one),
	    CASE(a_list_in_force_is_asked_for_with_its_validators),
	    CASE(a_validator_that_two_lists_may_share_is_not_asked_with),
	    CASE(a_validator_is_on_disk_only_where_it_is_safe),
	    CASE(a_list_knows_what_was_dated_before_it),
	    CASE(the_same_list_again_changes_nothing),
	    CASE(the_pause_after_failures_doubles_to_its_cap),
	    CASE(a_pause_is_never_longer_than_the_interval),
	    CASE(a_list_is_asked_for_when_its_successor_is_due),
	    CASE(a_list_past_its_end_stays_and_is_asked_for_with_pauses),
	    CASE(a_refresh_during_a_fetch_starts_another),
	    CASE(shards_that_are_swapped_are_refused),
	    CASE(what_a_part_did_not_list_was_unknown),
	    CASE(a_list_may_be_fetched_from_elsewhere_than_its_name),
	    CASE(validators_stay_with_their_url),
	    CASE(a_restart_forgets_neither_number_nor_list),
	    CASE(a_state_that_cannot_be_read_yet_is_no_baseline),
	    CASE(a_state_is_looked_at_after_what_came_meanwhile),
	    CASE(what_a_killed_life_did_not_tell_the_next_one_tells),
	    CASE(lists_that_come_while_one_is_told_are_told_as_one),
	    CASE(lists_that_wait_for_one_reader_are_told_to_the_last),
	    CASE(what_another_list_says_is_no_change),
	    CASE(a_state_that_was_tampered_with_is_not_used),
	    CASE(lost_files_make_a_baseline),
	    CASE(nothing_is_good_until_the_state_was_looked_at),
	    CASE(each_list_has_to_be_opened),
	    CASE(what_a_reload_brings_is_not_opened),
	    CASE(an_issuer_without_lists_is_open),
	    CASE(a_list_that_cannot_be_read_is_not_absent),
	    CASE(memory_that_is_short_is_no_absence),
	    CASE(who_waits_is_called_when_all_is_opened),
	    CASE(what_is_waited_for_is_opened_first),
	    CASE(who_waits_when_we_stop_is_told),
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
	    CASE(a_local_list_is_read_again_when_it_may_count),
	    CASE(a_local_list_is_read_when_its_file_changes),
	    CASE(the_issuers_list_is_taken_out_of_a_bundle),
	    CASE(a_refused_file_may_be_taken_when_the_list_has_expired),
	    CASE(a_file_written_twice_within_its_times_grain_is_read_again),
	    CASE(what_was_told_and_cannot_be_read_ends_in_a_gap),
	    CASE(what_was_told_and_can_be_read_again_is_compared),
	    CASE(a_first_list_that_is_never_durable_is_a_gap),
	    CASE(a_first_list_without_descriptors_is_made_up_for),
	    CASE(a_comparison_without_memory_is_made_up_for),
	    CASE(without_the_link_nothing_is_told_and_it_is_seen),
	    CASE(a_next_that_cannot_be_read_is_told_with_what_follows),
	    CASE(no_file_of_the_state_is_waited_for),
	    CASE(what_cannot_be_made_durable_is_in_force_and_told_later),
	    CASE(the_age_of_each_list_is_watched),
	    CASE(a_list_past_its_end_is_told_as_it_lasts),
	    CASE(a_file_that_stays_refused_is_told_as_it_lasts),
	    CASE(an_age_is_an_alarm_by_the_rules_of_the_issuer),
	    CASE(it_may_be_stopped_at_any_step),
	    CASE(it_may_be_stopped_when_its_issuer_has_gone),
	};

	return cmocka_run_group_tests(cases, NULL, NULL);
}
