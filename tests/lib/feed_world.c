/* feed_world.c - lives of a feed, lists that are signed when they are asked for, and what
 * of it all can be seen from outside. */
#include "tests/lib/feed_world.h"

#include <dirent.h>
#include <event2/event.h>
#include <fcntl.h>
#include <jansson.h>
#include <openssl/pem.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "proxy/base/clock.h"
#include "proxy/base/log.h"
#include "proxy/lists/crl_state.h"
#include "tests/lib/forge.h"

char directory[64], folder[80];
struct shared shared;
struct context context;
static struct event_base *base;
static struct inbox *own;
struct crl_feed *feed;
EVP_PKEY *ca_key, *other_key;
X509 *ca, *other;
int64_t feed_now_ms, feed_mono_ms;
struct telling_told told[TELLINGS_MAX];
size_t told_n;
bool tell_at_once;
bool tell_later;
const struct inventory *feed_watched;
bool tell_nothing;
bool feed_expects[LEARNT_COUNT];

bool feed_told(struct teller *t, const struct list_change *l)
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

void tell_done(size_t i, enum err e)
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

void write_file(const char *name, struct bytes b)
{
	char path[160];
	int fd;

	snprintf(path, sizeof path, "%s/%s", directory, name);
	fd = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0600);
	assert_true(fd >= 0);
	assert_int_equal(write(fd, b.p, b.n), b.n);
	close(fd);
}

void make_ca(const char *file, X509 *x)
{
	BIO *b = BIO_new(BIO_s_mem());
	char *p;
	long n;

	PEM_write_bio_X509(b, x);
	n = BIO_get_mem_data(b, &p);
	write_file(file, bytes_of(p, (size_t)n));
	BIO_free(b);
}

struct conf *load(const char *global, const char *issuer)
{
	struct conf_errors errors = {0};
	char text[32768], path[160];
	struct conf *c;

	snprintf(path, sizeof path, "%s/feed.conf", directory);
	snprintf(text, sizeof text,
	    "store = \"memory:\"\nstate-directory = \"%s\"\n%s%s\n%s%s%s", folder,
	    strstr(issuer, "ccadb") != NULL && strstr(global, "ccadb") == NULL
		? "ccadb = \"records.csv\"\n"
		: "",
	    global, issuer[0] != '\0' ? "issuer \"demo\" {\n" : "", issuer,
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

void feed_turn(void)
{
	for (int i = 0; i < 8; i++) {
		event_base_loop(base, EVLOOP_NONBLOCK);
		if (tell_at_once)
			tell_all(ERR_OK);
	}
}

void feed_elapse(int64_t ms)
{
	int64_t end = feed_mono_ms + ms, step = ms > 40000 ? ms / 2000 : 20;

	feed_turn();
	while (feed_mono_ms < end) {
		int64_t by = end - feed_mono_ms < step ? end - feed_mono_ms : step;

		feed_mono_ms += by;
		feed_now_ms += by;
		fake_time_set(feed_now_ms, feed_mono_ms);
		feed_turn();
	}
}

void jump(int64_t ms)
{
	feed_mono_ms += ms;
	feed_now_ms += ms;
	fake_time_set(feed_now_ms, feed_mono_ms);
	feed_turn();
}

void live(const char *global, const char *issuer)
{
	told_n = 0;
	tell_at_once = !tell_later;
	fake_fetch_reset();
	memset(&shared, 0, sizeof shared);
	base = event_base_new();
	own = inbox_new(base, NULL);
	shared.readers[0] = inbox_new(base, NULL);
	shared.readers_n = 1;
	atomic_store(&shared.inventory, feed_watched);
	atomic_store(&shared.conf, load(global, issuer));
	context = (struct context){.base = base,
	    .shared = &shared,
	    .barrier = barrier_new(&shared, own),
	    .schedule = schedule_new(1)};
	feed = crl_feed_new(&context, NULL, NULL, NULL);
	assert_non_null(feed);
	for (int from = 0; from < LEARNT_COUNT; from++)
		if (feed_expects[from])
			crl_feed_expect(feed, (enum learnt)from);
	assert_non_null(crl_feed_slot(feed, "demo"));
	crl_feed_start(feed);
	feed_turn();
}

void die(void)
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

void reload(const char *global, const char *issuer)
{
	struct conf *old = (struct conf *)(uintptr_t)shared_conf(&shared);

	const struct conf *c = load(global, issuer);

	crl_feed_reload(feed, c);
	atomic_store(&shared.conf, c);
	conf_free(old); /* jobs must not need it */
	feed_turn();
}

void remove_tree(const char *path)
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

X509 *certificate(const char *name, EVP_PKEY *key)
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

int feed_begin(void **state)
{
	(void)state;
	feed_now_ms = WORLD_START * 1000;
	feed_mono_ms = 1000000;
	fake_time_set(feed_now_ms, feed_mono_ms);
	log_setup(
	    getenv("DEBUG_LOG") != NULL ? LEVEL_INFO : LEVEL_ERROR, LOG_FORMAT_LOGFMT, 0);
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

int feed_end(void **state)
{
	(void)state;
	memset(feed_expects, 0, sizeof feed_expects);
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

struct bytes list(const struct says *s)
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

void answer(size_t i, struct bytes b)
{
	fake_fetch_answer(i, 200, b);
	feed_turn();
}

size_t place_of(const char *url)
{
	size_t i = 0;

	while (i < fake_fetches_waiting() && strcmp(fake_fetch_url(i), url) != 0)
		i++;
	return i;
}

bool is_asked_for(const char *url)
{
	return place_of(url) < fake_fetches_waiting();
}

void answer_url(const char *url, struct bytes b)
{
	assert_true(is_asked_for(url));
	answer(place_of(url), b);
}

void fail_url(const char *url)
{
	assert_true(is_asked_for(url));
	fake_fetch_fail(place_of(url), ERR_UP_CONNECT);
	feed_turn();
}

const struct crl_set *set(void)
{
	return crl_feed_set(feed, "demo");
}

bool listed(char letter)
{
	struct serial s = {2, {0x10, (uint8_t)letter}};
	struct crl_finding found;

	return crl_set_find(set(), &s, &found);
}

enum crl_absence absence(void)
{
	const struct issuer *i = issuers_named(shared_conf(&shared)->issuers, "demo");

	return crl_set_absence(set(), i->rules.absent, clock_now(), NULL);
}

const char *field(size_t n, const char *name)
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

bool refused_with(const char *label)
{
	const char *e = field(0, "last_error");

	return strncmp(e, label, strlen(label)) == 0 && e[strlen(label)] == ':';
}

void refresh_as(bool accept_number)
{
	crl_feed_refresh(
	    feed, issuers_named(shared_conf(&shared)->issuers, "demo"), accept_number);
	feed_turn();
}

void refresh(void)
{
	refresh_as(false);
}

double gauge(const char *family)
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

void begin_with(const char *number, const char *serials)
{
	live("", DEMO);
	assert_int_equal(fake_fetches_waiting(), 1);
	answer(0, LIST(.number = number, .serials = serials));
}

void file_of(const char *url, const char *name, char path[400])
{
	uint8_t id[CHANGE_SCOPE_N];
	char dir[300];

	crl_scope_id("demo", url, id);
	crl_state_path(folder, id, dir, sizeof dir);
	snprintf(path, 400, "%s/%s", dir, name);
}

bool same_files(const char *a, const char *b)
{
	char one[400], two[400];
	struct stat s, t;

	file_of(A, a, one);
	file_of(A, b, two);
	return stat(one, &s) == 0 && stat(two, &t) == 0 && s.st_ino == t.st_ino;
}

bool there_is(const char *name)
{
	char path[400];

	file_of(A, name, path);
	return access(path, F_OK) == 0;
}

enum crl_verdict verdict(char letter)
{
	struct facts f = {.status = STATUS_GOOD, .this_update = clock_now() + 1};
	struct serial s = {2, {0x10, (uint8_t)letter}};

	return crl_set_judge(set(), &s, &f, NULL);
}

struct waiting waiting[4];

static void waited(struct crl_wait *w, enum err e)
{
	struct waiting *x = (struct waiting *)w;

	x->calls++;
	x->error = e;
}

bool waits(size_t n, const char *issuer, int ms)
{
	waiting[n] = (struct waiting){.wait.done = waited};
	return crl_feed_wait(feed, issuer, &waiting[n].wait, ms);
}

size_t state_files(void)
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

bool gauge_is(const char *line)
{
	struct metrics_text t = {0};
	bool found;

	crl_feed_gauges(feed, &t);
	found = t.p != NULL && strstr(t.p, line) != NULL;
	free(t.p);
	return found;
}

size_t held_back(const char *words)
{
	char text[1200];
	size_t n = crl_feed_held_back(feed, text, sizeof text);

	assert_true((n == 0) == (text[0] == '\0'));
	assert_int_equal(gauge_is("ocspcached_crl_held_back{issuer=\"demo\",list=\"0\"} "
				  "1\n"),
	    n > 0);
	return strstr(text, words) != NULL ? n : 0;
}

/* What the log has from overhear() to heard(). */
static int log_fd, true_stderr;

void overhear(void)
{
	char path[160];

	snprintf(path, sizeof path, "%s/log", directory);
	fflush(stderr);
	true_stderr = dup(2);
	log_fd = open(path, O_RDWR | O_CREAT | O_TRUNC, 0600);
	assert_true(log_fd >= 0 && true_stderr >= 0 && dup2(log_fd, 2) == 2);
	log_setup(LEVEL_INFO, LOG_FORMAT_LOGFMT, 0);
}

const char *heard(void)
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

int times(const char *text, const char *word)
{
	int n = 0;

	for (; (text = strstr(text, word)) != NULL; text++)
		n++;
	return n;
}
