/* The API's calls on a keeper that is made up here: a real hot table, latches, schedule,
 * issuers and lists in force; flights, store, upstream, door, feed and disk are replaced,
 * so that each case says what they answer and when. */
#include "proxy/api/calls.h"

#include <event2/event.h>
#include <openssl/evp.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include <cmocka.h>

#include "cache/held/latch_file.h"
#include "proxy/api/call_latches.h"
#include "proxy/base/clock.h"
#include "proxy/keeper/answers.h"
#include "proxy/keeper/keeper.h"
#include "proxy/keeper/memo.h"
#include "proxy/keeper/refresh.h"
#include "proxy/keeper/revoke.h"
#include "proxy/lists/ccadb_source.h"
#include "proxy/lists/crl_feed.h"
#include "proxy/push/hooks.h"
#include "proxy/tell/teller.h"
#include "proxy/watch/ari.h"
#include "proxy/watch/watcher.h"
#include "tests/lib/small_set.h"

#define NOW INT64_C(1790000000) /* 2026-09-21T14:13:20Z by date(1) */

struct keeper {
	struct keeper_parts d;
	struct event_base *base;
	struct inbox *replies;
	struct conf conf;
	struct shared shared;
	struct hot *hot;
	char dir[64];
	struct calls *calls;
};
static struct keeper k;
static struct serial serial;

/* What the replaced modules do, and what was asked of them. */
static struct {
	struct { /* flights_go */
		struct key key;
		enum flight_why why;
		flight_done_fn *done;
		void *arg;
	} flight[16];
	size_t flight_n;
	struct { /* store */
		struct key key;
		store_got_fn *got;
		store_done_fn *done;
		void *arg;
	} store[32];
	size_t store_n;
	bool store_waits; /* answers when the case says so, not at once */
	enum err store_error;
	struct bytes store_value; /* what is held under sha1 */
	bool purged_issuer;
	/* upstream */
	source_judge_fn *judge;
	source_done_fn *asked;
	void *ask_arg;
	struct key ask_key;
	bool ask_known;
	enum err ask_at_once; /* ERR_OK: it is under way */
	unsigned cancels, retries, forgets, told_n;
	enum change_status told;
	/* the door */
	enum err verdict;
	bool revoked_proved;
	unsigned admitted, latched;
	struct { /* what was told of */
		enum err e;
		enum metric counter;
		const char *from;
	} refusal[8];
	size_t refusal_n;
	/* disk */
	void (*disk_done)(void *arg);
	void *disk_arg;
	/* lists */
	bool has_lists;              /* there are some to tell of */
	const struct crl_set *lists; /* of "demo" */
	bool untried;
	size_t held_back;
	size_t failing;
	size_t disk_refuses;
	struct crl_wait *wait; /* for them to be opened */
	int wait_ms;
	const char *mistake;     /* of the last reload */
	const char *watch_full;  /* of watch.mdb */
	const char *never_asked; /* part of a responder's URL */
	unsigned list_refreshes;
	bool accepts_number;
	struct facts refused; /* a good that is remembered */
} did;

const struct keeper_parts *keeper_parts(struct keeper *x)
{
	return &x->d;
}
const struct conf *keeper_conf(struct keeper *x)
{
	return &x->conf;
}
void watcher_gauges(struct watcher *w, struct metrics_text *t)
{
	(void)w, (void)t;
	fail_msg("nobody watches here");
}
void hooks_gauges(const struct hooks *h, struct metrics_text *t)
{
	(void)h, (void)t;
	fail_msg("nobody is told here");
}
void ari_gauges(struct ari *a, struct metrics_text *t)
{
	(void)a, (void)t;
	fail_msg("nobody is asked here");
}
struct inbox *ari_inbox(struct ari *a)
{
	(void)a;
	fail_msg("nobody is asked here");
	return NULL;
}
void ari_tell(void *inbox_arg, struct msg *m)
{
	(void)inbox_arg, (void)m;
	fail_msg("nobody is asked here");
}
bool watcher_can_write(struct watcher *w, char *why, size_t why_n)
{
	assert_ptr_equal(w, &k);
	snprintf(why, why_n, "%s", did.watch_full != NULL ? did.watch_full : "");
	return did.watch_full == NULL;
}
const char *keeper_mistake(struct keeper *x)
{
	(void)x;
	return did.mistake;
}
enum err flights_go(struct flights *f, const struct key *key, enum flight_why why,
    flight_done_fn *done, void *arg)
{
	(void)f;
	did.flight[did.flight_n].key = *key;
	did.flight[did.flight_n].why = why;
	did.flight[did.flight_n].done = done;
	did.flight[did.flight_n++].arg = arg;
	return ERR_OK;
}
void answers_question(struct answers *h, const struct issuer *i, const struct key *key,
    struct admit_question *q, struct facts *held)
{
	(void)h;
	memset(held, 0, sizeof *held);
	*q = (struct admit_question){
	    .issuer = i, .key = key, .now = clock_now(), .held = held};
}
const struct answer *answers_take(struct answers *d, const struct issuer *i,
    const struct key *key, const struct facts *facts, struct bytes der, bool aside,
    bool force)
{
	static struct answer taken;

	(void)d, (void)i, (void)key, (void)facts, (void)der, (void)aside, (void)force;
	did.admitted++;
	return &taken;
}
const struct answer *answers_install(struct answers *d, const struct issuer *i,
    const struct key *key, const struct facts *facts, struct bytes der, bool aside)
{
	(void)d, (void)i, (void)key, (void)facts, (void)der, (void)aside;
	fail_msg("an explanation installs nothing");
	return NULL;
}
void answers_refused(struct answers *h, const struct issuer *i, const struct key *key,
    enum err e, const struct admit_verdict *v, enum metric refused, const char *from)
{
	(void)h, (void)i, (void)key, (void)v;
	did.refusal[did.refusal_n].e = e;
	did.refusal[did.refusal_n].counter = refused;
	did.refusal[did.refusal_n++].from = from;
}
const struct answer *answers_in_date(const struct answers *h, const struct key *key)
{
	(void)h, (void)key;
	return NULL;
}
void revoke_latch(struct revoker *r, const struct issuer *i, const struct key *key,
    const struct admit_verdict *v, bool untold)
{
	(void)r, (void)i, (void)key, (void)untold;
	did.latched += v->revoked_proved;
}
bool answers_know(const struct answers *h, const struct key *key)
{
	const struct answer *a = hot_find(k.hot, key_der(key));

	(void)h;
	return a != NULL && a->facts.status == STATUS_GOOD;
}
size_t revoke_unlatch(struct revoker *r, const struct issuer *i, const struct serial *s,
    bool listed, struct latch *removed)
{
	(void)r, (void)listed;
	return latches_remove(k.d.latches, i, s, removed);
}
void flights_forget(struct flights *f, const struct issuer *i, const struct serial *s)
{
	(void)f, (void)i, (void)s;
	did.forgets++;
}
bool memos_recall(const struct memos *m, const struct issuer *i, const struct serial *s,
    enum memo_kind kind, struct facts *f)
{
	(void)m, (void)i, (void)s;
	*f = did.refused;
	return kind == MEMO_REFUSED && f->status == STATUS_GOOD;
}
void memos_forget(struct memos *m, const struct issuer *i, const struct serial *s)
{
	(void)m, (void)i, (void)s;
	memset(&did.refused, 0, sizeof did.refused);
}
const struct crl_set *crl_feed_set(struct crl_feed *f, const char *issuer)
{
	(void)f;
	return strcmp(issuer, "demo") == 0 && did.lists != NULL ? did.lists
								: &crl_set_none;
}
bool crl_feed_wait(struct crl_feed *f, const char *issuer, struct crl_wait *w, int ms)
{
	if (!crl_feed_set(f, issuer)->unopened)
		return false;
	assert_null(did.wait);
	w->_list = (struct crl_waits *)&did;
	did.wait = w;
	did.wait_ms = ms;
	return true;
}
void crl_feed_wait_end(struct crl_wait *w)
{
	assert_ptr_equal(did.wait, w);
	w->_list = NULL;
	did.wait = NULL;
}
json_t *crl_feed_json(struct crl_feed *f, const struct issuer *i)
{
	(void)f, (void)i;
	return did.has_lists ? json_pack("[s]", "as the feed says") : json_array();
}
void crl_feed_refresh(struct crl_feed *f, const struct issuer *i, bool accept_number)
{
	(void)f, (void)i;
	did.list_refreshes++;
	did.accepts_number = accept_number;
}
size_t crl_feed_held_back(const struct crl_feed *f, char *text, size_t n)
{
	(void)f;
	snprintf(text, n, "%s", did.held_back > 0 ? "issuer demo: list x: why" : "");
	return did.held_back;
}
size_t crl_feed_failing(const struct crl_feed *f, char *text, size_t n)
{
	(void)f;
	snprintf(text, n, "%s", did.failing > 0 ? "issuer demo: list x: err: why" : "");
	return did.failing;
}
bool crl_feed_tried_all(const struct crl_feed *f)
{
	(void)f;
	return !did.untried;
}
static struct teller_health telling_is;

void crl_feed_gauges(struct crl_feed *f, struct metrics_text *t)
{
	(void)f;
	metrics_line(t, "crl_entries", "gauge", "Of the feed.", "", 1);
}
void teller_single(struct teller *t, const struct single_change *c)
{
	(void)t;
	did.told = c->now;
	did.told_n++;
}
void ccadb_source_gauges(const struct ccadb_source *s, struct metrics_text *t)
{
	(void)s;
	metrics_line(t, "ccadb_age_seconds", "gauge", "Of records.", "", 1);
}
void teller_gauges(struct teller *f, struct metrics_text *t)
{
	(void)f;
	metrics_line(t, "changes_waiting", "gauge", "Of telling.", "", 2);
}
void teller_health(const struct teller *t, struct teller_health *out)
{
	(void)t;
	*out = telling_is;
}
size_t crl_feed_refused_by_disk(
    const struct crl_feed *f, const char **issuer, const char **why)
{
	(void)f;
	*issuer = "demo";
	*why = "No space left on device";
	return did.disk_refuses;
}
size_t flights_count(const struct flights *f)
{
	(void)f;
	return 3;
}
void polls_state(const struct polls *u, const char *issuer, struct poll_state *out)
{
	(void)u, (void)issuer;
	*out = (struct poll_state){0};
}
int64_t refreshes_overdue_s(const struct refreshes *u)
{
	(void)u;
	return 0;
}
enum err admit_der(struct admit *ad, const struct admit_question *q, struct bytes der,
    struct admit_verdict *v, const struct admit_trace *trace)
{
	(void)ad, (void)q, (void)der;
	memset(v, 0, sizeof *v);
	trace->note(trace->arg, "signature", ERR_OK, "delegate CN=\xff");
	trace->note(trace->arg, "times", did.verdict, "");
	v->revoked_proved = did.revoked_proved;
	return did.verdict;
}
enum err admit_record(struct admit *ad, const struct admit_question *q,
    struct bytes value, const struct mac_keys *keys, struct bytes *der,
    struct admit_verdict *v, const struct admit_trace *trace)
{
	(void)keys;
	*der = value;
	return admit_der(ad, q, value, v, trace);
}
void upstream_health(const struct source *s, const char *url, struct upstream_health *out)
{
	(void)s;
	*out = (struct upstream_health){
	    .asked = did.never_asked == NULL || strstr(url, did.never_asked) == NULL,
	    .healthy = strstr(url, "bad") == NULL,
	    .last_error = strstr(url, "bad") == NULL ? "" : "upstream_http",
	    .fetches = 7};
}
void upstream_load(const struct source *s, const char *issuer, struct upstream_load *out)
{
	(void)s, (void)issuer;
	*out = (struct upstream_load){1, 2};
}
void upstream_retry_now(struct source *s, const struct issuer *i)
{
	(void)s, (void)i;
	did.retries++;
}
void executor_run(
    struct executor *d, void (*work)(void *arg), void (*done)(void *arg), void *arg)
{
	(void)d;
	work(arg);
	did.disk_done = done;
	did.disk_arg = arg;
}

/* A store and a source of our own. */

static void store_answer(size_t n)
{
	enum err e = did.store_error;

	if (did.store[n].got != NULL) {
		bool held = did.store[n].key.hash == CERTID_SHA1 && did.store_value.n > 0;

		did.store[n].got(did.store[n].arg,
		    e != ERR_OK ? e
		    : held      ? ERR_OK
				: ERR_NOT_FOUND,
		    held ? did.store_value : bytes_of(NULL, 0));
	} else if (did.store[n].done != NULL) {
		did.store[n].done(did.store[n].arg, e);
	}
}
static void store_asked(
    const struct key *key, store_got_fn *got, store_done_fn *done, void *arg)
{
	size_t n = did.store_n++;

	if (key != NULL)
		did.store[n].key = *key;
	did.store[n].got = got;
	did.store[n].done = done;
	did.store[n].arg = arg;
	if (!did.store_waits)
		store_answer(n);
}
static void my_get(struct store *s, const struct key *key, store_got_fn *done, void *arg)
{
	(void)s;
	store_asked(key, done, NULL, arg);
}
static void my_del(struct store *s, const struct key *key, store_done_fn *done, void *arg)
{
	(void)s;
	store_asked(key, NULL, done, arg);
}
static void my_purge(
    struct store *s, const struct issuer *i, store_done_fn *done, void *arg)
{
	(void)s, (void)i;
	did.purged_issuer = true;
	store_asked(NULL, NULL, done, arg);
}
static bool store_is_up, store_refuses;
static char state_directory[] = "/state";
static void my_health(const struct store *s, struct store_health *out)
{
	(void)s;
	*out = (struct store_health){.kind = "redis",
	    .up = store_is_up,
	    .refuses = store_refuses,
	    .error = store_is_up ? "" : "gone",
	    .remedy = store_refuses ? "give it back" : ""};
}
static const struct store_ops my_store_ops = {
    .get = my_get, .del = my_del, .purge = my_purge, .health = my_health};
static struct store my_store = {&my_store_ops};

static enum err my_ask(struct source *s, const struct source_question *q,
    source_judge_fn *judge, source_done_fn *done, void *arg, struct source_ask **ask)
{
	assert_int_equal(q->nonce.n, 0);
	assert_int_equal(q->wait_ms, 8000);
	did.ask_key = *q->key;
	did.ask_known = q->known;
	did.judge = judge;
	did.asked = done;
	did.ask_arg = arg;
	*ask = did.ask_at_once == ERR_OK ? (struct source_ask *)s : NULL;
	return did.ask_at_once;
}
static void my_cancel(struct source *s, struct source_ask *a)
{
	assert_ptr_equal(s, a);
	did.cancels++;
}
static const struct source_ops my_source_ops = {my_ask, my_cancel};
static struct source my_source = {&my_source_ops};

/* The world. */

static X509 *ca_new(const char *cn)
{
	EVP_PKEY *key = EVP_EC_gen("P-256");
	X509 *x = X509_new();
	X509_NAME *name = X509_get_subject_name(x);

	X509_set_version(x, X509_VERSION_3);
	ASN1_INTEGER_set(X509_get_serialNumber(x), 1);
	X509_NAME_add_entry_by_txt(
	    name, "CN", MBSTRING_ASC, (const unsigned char *)cn, -1, -1, 0);
	X509_set_issuer_name(x, name);
	X509_gmtime_adj(X509_getm_notBefore(x), 0);
	X509_gmtime_adj(X509_getm_notAfter(x), 86400);
	X509_set_pubkey(x, key);
	X509_sign(x, key, EVP_sha256());
	EVP_PKEY_free(key);
	return x;
}

static int setup(void **state)
{
	char url[] = "http://good/", bad[] = "http://bad\"/", crl[] = "file:///crl";
	char *urls[] = {url, bad}, *place[] = {crl};
	struct issuer_list crls[] = {{.place = place, .place_n = 1, .scope = crl}};
	X509 *demo[2] = {ca_new("demo"), ca_new("demo 2")}, *other = ca_new("other");
	struct issuer_spec spec[] = {
	    {.name = "demo",
		.certificates = demo,
		.certificates_n = 2,
		.ocsp = urls,
		.ocsp_n = 2,
		.crl = crls,
		.crl_n = 1},
	    {.name = "other", .certificates = &other, .certificates_n = 1},
	};
	size_t clash[2];
	char why[256];

	(void)state;
	memset(&did, 0, sizeof did);
	memset(&k, 0, sizeof k);
	did.ask_at_once = ERR_OK;
	k.conf.state_directory = state_directory;
	store_is_up = true;
	store_refuses = false;
	clock_set(NOW, 1000);
	assert_int_equal(issuers_new(&k.conf.issuers, spec, 2, clash), ERR_OK);
	X509_free(demo[0]);
	X509_free(demo[1]);
	X509_free(other);
	k.conf.answer_timeout_ms = 8000;
	k.base = event_base_new();
	k.replies = inbox_new(k.base, &k);
	k.d.inbox = k.replies;
	k.d.crl_feed = (struct crl_feed *)&did; /* the stubs never look */
	k.d.teller = (struct teller *)&did;
	telling_is = (struct teller_health){
	    .log = {.up = true, .error = "", .remedy = "", .damage = ""}};
	k.hot = hot_new(1 << 20, 1);
	k.shared.hot = k.hot;
	k.shared.started_at = NOW;
	k.shared.conf = &k.conf;
	k.d.context.shared = &k.shared;
	k.d.context.counters = metrics_thread();
	k.d.store = &my_store;
	k.d.source = &my_source;
	k.d.context.schedule = schedule_new(1);
	strcpy(k.dir, "/tmp/ocspcached-calls-XXXXXX");
	assert_non_null(mkdtemp(k.dir));
	assert_int_equal(
	    latch_file_open(&k.d.latches, &k.d.latch_file, k.dir, why, sizeof why),
	    ERR_OK);
	k.d.evidence = (struct evidence_sources){
	    .hot = k.hot, .polled = polled_new(1), .latches = k.d.latches};
	k.d.door = (struct door){.context = &k.d.context, .evidence = &k.d.evidence};
	k.calls = calls_new();
	assert_int_equal(serial_from_hex(&serial, "1000"), ERR_OK);
	return 0;
}

static int teardown(void **state)
{
	char path[128];

	(void)state;
	calls_free(k.calls);
	crl_set_unref(did.lists);
	inbox_free(k.replies);
	event_base_free(k.base);
	polled_free(k.d.evidence.polled);
	latches_free(k.d.latches);
	latch_file_close(k.d.latch_file);
	schedule_free(k.d.context.schedule);
	hot_free(k.hot);
	issuers_free(k.conf.issuers);
	for (int i = 0; i < 3; i++) {
		static const char *const of[] = {"", "-lock", ".mark"};

		snprintf(path, sizeof path, "%s/latches.mdb%s", k.dir, of[i]);
		unlink(path);
	}
	assert_int_equal(rmdir(k.dir), 0);
	metrics_reset();
	return 0;
}

static const struct issuer *demo(void)
{
	return issuers_named(k.conf.issuers, "demo");
}

static void hold(const char *issuer, unsigned ca, enum certid_hash h, struct facts f,
    enum err error, int64_t expiry)
{
	const struct issuer *i = issuers_named(k.conf.issuers, issuer);
	struct answer *a;
	struct key key;

	issuer_key(i, ca, h, &serial, &key);
	f.next_update = expiry;
	a = answer_new(&key, &f, bytes_of("h", 1), bytes_of("b", 1));
	a->error = error;
	a->expiry = expiry;
	assert_int_equal(hot_put(k.hot, a), ERR_OK);
	assert_int_equal(schedule_set(k.d.context.schedule, &key, 5), ERR_OK);
}

static void hold_status(enum certid_hash h, enum status status, int reason, int64_t at)
{
	hold("demo", 0, h,
	    (struct facts){.status = status,
		.reason = reason,
		.revoked_at = status == STATUS_REVOKED ? NOW - 500 : 0,
		.this_update = at,
		.signer_not_after = INT64_MAX},
	    ERR_OK, NOW + 100);
}

/* From now on there is a feed; ours is in its list, or another where reason is
 * REASON_NONE; times from now. */
static void lists(int reason, int64_t from, int64_t to)
{
	struct small_entry e = {serial, reason, NOW - 900};

	if (reason == REASON_NONE)
		e.serial.octets[0]++;
	did.has_lists = true;
	crl_set_unref(did.lists);
	did.lists = small_set(&e, 1, NOW + from, NOW + to, 1);
}

static void latch(int64_t revoked_at)
{
	struct latch l = {
	    .serial = serial, .reason = 1, .revoked_at = revoked_at, .set_at = NOW};

	memcpy(l.ca_id, demo()->ca[0].id, sizeof l.ca_id);
	assert_int_equal(latches_add(k.d.latches, &l, NULL), ERR_OK);
	assert_int_equal(latch_file_put(k.d.latch_file, &l, 1), ERR_OK);
}

/* A call, and its answer when it has come. */

static struct call call;
static bool came;

static void on_done(void *arg, struct question *q)
{
	assert_ptr_equal(arg, &k);
	assert_false(came && q == &call.question);
	came = came || q == &call.question;
}

static bool replied(void)
{
	event_base_loop(k.base, EVLOOP_NONBLOCK);
	return came;
}

static void post(struct call *c, enum call_what what, const char *issuer, bool has_serial)
{
	memset(c, 0, sizeof *c);
	c->what = what;
	c->calls = k.calls;
	c->question.reply_to = k.replies;
	c->question.done = on_done;
	c->has_serial = has_serial;
	c->serial = serial;
	snprintf(c->issuer, sizeof c->issuer, "%s", issuer);
	if (c == &call)
		came = false;
	call_take(&k, &c->question.msg);
}

static void run(enum call_what what, const char *issuer, bool has_serial)
{
	post(&call, what, issuer, has_serial);
}

static void stop(void)
{
	struct call halt;

	post(&halt, CALL_STOP, "", false);
	event_base_loop(k.base, EVLOOP_NONBLOCK);
	assert_int_equal(halt.http_status, 204);
}

/* The answer has this status and is this JSON (its quotes written as '). */
static void expect(int status, const char *text)
{
	char want[4096], *got;
	size_t n = 0;

	assert_true(replied());
	assert_int_equal(call.http_status, status);
	if (text == NULL) {
		assert_null(call.body);
		return;
	}
	for (; text[n] != '\0'; n++)
		want[n] = text[n] == '\'' ? '"' : text[n];
	want[n] = '\0';
	got = json_dumps(call.body, JSON_COMPACT);
	assert_string_equal(got, want);
	free(got);
	json_decref(call.body);
	call.body = NULL;
}

static void expect_error(int status, const char *code)
{
	assert_true(replied());
	assert_int_equal(call.http_status, status);
	assert_string_equal(json_string_value(json_object_get(
				json_object_get(call.body, "error"), "code")),
	    code);
	json_decref(call.body);
}

#define STATUS(status, rest)                                                             \
	"{'issuer':'demo','serial':'1000','status':'" status "'," rest "}"
#define GOOD_EVIDENCE                                                                    \
	"{'kind':'ocsp','status':'good','this_update':'2026-09-21T14:11:40Z',"           \
	"'next_update':'2026-09-21T14:15:00Z','crl_number':null}"
#define LATCH_EVIDENCE                                                                   \
	"{'kind':'latch','status':'revoked','this_update':null,'next_update':null,"      \
	"'crl_number':null}"

#define LIST_EVIDENCE(status)                                                            \
	"{'kind':'crl','status':'" status "','this_update':'2026-09-21T14:11:40Z',"      \
	"'next_update':'2026-09-21T14:15:00Z','crl_number':'7'}"

/* GET /v1/issuers. */

static void issuers_are_listed_in_the_contracts_shape(void **state)
{
	(void)state;
	run(CALL_ISSUERS, "", false);
	expect(200,
	    "[{'name':'demo','source':'ocsp','responders':[{'url':'http://good/',"
	    "'healthy':true,'last_error':null},{'url':'http://bad\\'/','healthy':false,"
	    "'last_error':'upstream_http'}],'crls':[],'signer_expires':null},"
	    "{'name':'other','source':'ocsp','responders':[],'crls':[],"
	    "'signer_expires':null}]");
}

static void lists_are_told_by_the_feed(void **state)
{
	(void)state;
	lists(1, -100, 100);
	run(CALL_ISSUERS, "", false);
	assert_true(replied());
	assert_string_equal(
	    json_string_value(
		json_array_get(json_object_get(json_array_get(call.body, 0), "crls"), 0)),
	    "as the feed says");
	json_decref(call.body);
}

/* GET /v1/status. */

static void a_held_answer_is_told_without_a_fetch(void **state)
{
	(void)state;
	hold_status(CERTID_SHA256, STATUS_GOOD, REASON_NONE, NOW - 100);
	run(CALL_STATUS, "demo", true);
	expect(200, STATUS("good", "'revoked_at':null,'reason':null,'disagree':false,"
				   "'evidence':[" GOOD_EVIDENCE "]"));
	assert_int_equal(did.flight_n, 0);
}

static void the_same_answer_under_two_hashes_is_one_evidence(void **state)
{
	(void)state;
	hold_status(CERTID_SHA1, STATUS_GOOD, REASON_NONE, NOW - 100);
	hold_status(CERTID_SHA256, STATUS_GOOD, REASON_NONE, NOW - 100);
	run(CALL_STATUS, "demo", true);
	expect(200, STATUS("good", "'revoked_at':null,'reason':null,'disagree':false,"
				   "'evidence':[" GOOD_EVIDENCE "]"));
}

static void of_answers_that_agree_the_newest_is_told(void **state)
{
	static const enum certid_hash order[] = {
	    CERTID_SHA1, CERTID_SHA256, CERTID_SHA1, CERTID_SHA256};

	(void)state;
	for (size_t n = 0; n < 2; n++) {
		hold_status(order[n], STATUS_GOOD, REASON_NONE, NOW - 100);
		hold_status(order[n + 1], STATUS_GOOD, REASON_NONE, NOW - 120);
		run(CALL_STATUS, "demo", true);
		expect(200,
		    STATUS("good", "'revoked_at':null,'reason':null,'disagree':false,"
				   "'evidence':[" GOOD_EVIDENCE "]"));
	}
}

/* R69: revoked stays revoked. */
static void a_latch_outweighs_a_good_answer(void **state)
{
	(void)state;
	hold_status(CERTID_SHA1, STATUS_GOOD, REASON_NONE, NOW - 100);
	latch(NOW - 500);
	run(CALL_STATUS, "demo", true);
	expect(200,
	    STATUS("revoked",
		"'revoked_at':'2026-09-21T14:05:00Z','reason':'keyCompromise',"
		"'disagree':false,'evidence':[" LATCH_EVIDENCE "," GOOD_EVIDENCE "]"));
}

static void a_revoked_answer_outweighs_a_newer_good_one(void **state)
{
	(void)state;
	hold_status(CERTID_SHA1, STATUS_GOOD, REASON_NONE, NOW - 1);
	hold_status(CERTID_SHA512, STATUS_REVOKED, REASON_NONE, NOW - 100);
	run(CALL_STATUS, "demo", true);
	assert_true(replied());
	assert_string_equal(
	    json_string_value(json_object_get(call.body, "status")), "revoked");
	assert_true(json_is_null(json_object_get(call.body, "reason")));
	json_decref(call.body);
}

static void a_hold_ends_with_a_newer_good_answer_only(void **state)
{
	(void)state;
	hold_status(CERTID_SHA1, STATUS_REVOKED, REASON_CERTIFICATE_HOLD, NOW - 50);
	hold_status(CERTID_SHA256, STATUS_GOOD, REASON_NONE, NOW - 100);
	run(CALL_STATUS, "demo", true);
	assert_true(replied());
	assert_string_equal(
	    json_string_value(json_object_get(call.body, "status")), "revoked");
	assert_string_equal(
	    json_string_value(json_object_get(call.body, "reason")), "certificateHold");
	json_decref(call.body);
	hold_status(CERTID_SHA256, STATUS_GOOD, REASON_NONE, NOW - 10);
	run(CALL_STATUS, "demo", true);
	assert_true(replied());
	assert_string_equal(
	    json_string_value(json_object_get(call.body, "status")), "good");
	json_decref(call.body);
}

static void an_expired_or_error_answer_is_no_evidence(void **state)
{
	struct facts good = {.status = STATUS_GOOD, .signer_not_after = INT64_MAX};
	struct facts none = {.status = STATUS_NONE};

	(void)state;
	hold("demo", 0, CERTID_SHA1, good, ERR_OK, NOW);
	hold("demo", 1, CERTID_SHA1, none, ERR_UP_HTTP, NOW + 100);
	run(CALL_STATUS, "demo", true);
	assert_false(replied()); /* it fetches, for the first CA's SHA-1 key */
	assert_int_equal(did.flight_n, 1);
	assert_int_equal(did.flight[0].why, FLIGHT_CLIENT);
	assert_int_equal(did.flight[0].key.hash, CERTID_SHA1);
	did.flight[0].done(did.flight[0].arg, NULL, ERR_UP_HTTP, TIER_NONE);
	expect(200, STATUS("unknown",
			"'revoked_at':null,'reason':null,'disagree':false,'evidence':[],"
			"'missing':'no list is in force'"));
}

/* R71, T13: what the lists settle is told without a fetch, so that a flood of
 * serials does not reach the responder. */
static void a_list_alone_gives_a_status(void **state)
{
	(void)state;
	lists(1, -100, 100);
	run(CALL_STATUS, "demo", true);
	expect(200, STATUS("revoked",
			"'revoked_at':'2026-09-21T13:58:20Z','reason':'keyCompromise',"
			"'disagree':false,'evidence':[" LIST_EVIDENCE("revoked") "]"));
	lists(REASON_NONE, -100, 100);
	run(CALL_STATUS, "demo", true);
	expect(200, STATUS("good", "'revoked_at':null,'reason':null,'disagree':false,"
				   "'evidence':[" LIST_EVIDENCE("good") "]"));
	assert_int_equal(did.flight_n, 0);
}

/* T19: past its nextUpdate a list counts for what it has, and for nothing else. */
static void an_expired_list_is_no_proof_of_good(void **state)
{
	(void)state;
	lists(1, -100, 0);
	run(CALL_STATUS, "demo", true);
	assert_true(replied());
	assert_string_equal(
	    json_string_value(json_object_get(call.body, "status")), "revoked");
	json_decref(call.body);
	lists(REASON_NONE, -100, 0);
	run(CALL_STATUS, "demo", true);
	assert_false(replied()); /* it fetches */
	did.flight[0].done(did.flight[0].arg, NULL, ERR_UP_HTTP, TIER_NONE);
	expect(200,
	    STATUS("unknown",
		"'revoked_at':null,'reason':null,'disagree':false,'evidence':[{'kind':'"
		"crl','status':'unknown','this_update':'2026-09-21T14:11:40Z','next_"
		"update':'2026-09-21T14:13:20Z','crl_number':'7'}],"
		"'missing':'a list is past its nextUpdate: file:///crl'"));
}

/* A list that is configured and was never had says nothing. */
static void a_list_that_is_not_in_force_is_no_evidence(void **state)
{
	(void)state;
	did.has_lists = true;
	did.lists = crl_set_new(2, 1);
	run(CALL_STATUS, "demo", true);
	assert_false(replied()); /* it fetches */
	did.flight[0].done(did.flight[0].arg, NULL, ERR_UP_HTTP, TIER_NONE);
	expect(200, STATUS("unknown",
			"'revoked_at':null,'reason':null,'disagree':false,'evidence':[],"
			"'missing':'a configured list is not in force: file:///crl'"));
}

/* R71: a newer good that was refused is shown beside the list that it contradicts. */
static void what_disagrees_is_told_as_evidence(void **state)
{
	(void)state;
	did.refused = (struct facts){.status = STATUS_GOOD,
	    .this_update = NOW - 100,
	    .next_update = NOW + 100,
	    .signer_not_after = INT64_MAX};
	lists(1, -101, 100);
	run(CALL_STATUS, "demo", true);
	expect(200,
	    STATUS("revoked",
		"'revoked_at':'2026-09-21T13:58:20Z','reason':'keyCompromise',"
		"'disagree':true,'evidence':[" GOOD_EVIDENCE
		",{'kind':'crl','status':'revoked','this_update':'2026-09-21T14:11:39Z',"
		"'next_update':'2026-09-21T14:15:00Z','crl_number':'7'}]"));
}

/* R151: a signed unknown is repeated, here as to clients; a list that knows outweighs it.
 */
static void a_held_unknown_is_told_without_a_fetch(void **state)
{
	(void)state;
	hold_status(CERTID_SHA1, STATUS_UNKNOWN, REASON_NONE, NOW - 100);
	run(CALL_STATUS, "demo", true);
	assert_true(replied());
	assert_string_equal(
	    json_string_value(json_object_get(call.body, "status")), "unknown");
	json_decref(call.body);
	lists(REASON_NONE, -100, 100);
	run(CALL_STATUS, "demo", true);
	assert_true(replied());
	assert_string_equal(
	    json_string_value(json_object_get(call.body, "status")), "good");
	json_decref(call.body);
	assert_int_equal(did.flight_n, 0);
}

/* With hot-cache = 0 the table keeps nothing. */
static void the_answer_of_a_flight_counts_though_it_is_not_held(void **state)
{
	struct facts f = {.status = STATUS_GOOD,
	    .this_update = NOW - 100,
	    .next_update = NOW + 100,
	    .signer_not_after = INT64_MAX};
	struct answer *a;
	struct key key;

	(void)state;
	run(CALL_STATUS, "demo", true);
	issuer_key(demo(), 0, CERTID_SHA1, &serial, &key);
	a = answer_new(&key, &f, bytes_of("h", 1), bytes_of("b", 1));
	did.flight[0].done(did.flight[0].arg, a, ERR_OK, TIER_UPSTREAM);
	answer_free(a);
	expect(200, STATUS("good", "'revoked_at':null,'reason':null,'disagree':false,"
				   "'evidence':[" GOOD_EVIDENCE "]"));
}

static void an_unknown_issuer_is_404_for_every_call(void **state)
{
	static const enum call_what each[] = {
	    CALL_STATUS, CALL_EXPLAIN, CALL_REFRESH, CALL_PURGE, CALL_LATCH_DELETE};

	(void)state;
	for (size_t n = 0; n < sizeof each / sizeof each[0]; n++) {
		run(each[n], "nobody", true);
		expect_error(404, "not_found");
	}
	assert_int_equal(did.store_n + did.flight_n + did.retries, 0);
}

/* The end: nothing outlives the keeper. */

static void ask_while_unopened(enum call_what what)
{
	did.has_lists = true;
	crl_set_unref(did.lists);
	did.lists = crl_set_ref(&crl_set_unopened);
	run(what, "demo", true);
	assert_false(replied());
	assert_non_null(did.wait);
	assert_int_equal(did.wait_ms, keeper_conf(&k)->answer_timeout_ms);
	assert_int_equal(did.flight_n + did.store_n, 0);
}

static void waited(enum err e)
{
	struct crl_wait *w = did.wait;

	crl_feed_wait_end(w);
	w->done(w, e);
}

/* T19: a status of before the lists are opened would be a guess: it waits for them, as
 * long as a client would. */
static void a_status_waits_for_the_lists(void **state)
{
	(void)state;
	hold_status(CERTID_SHA1, STATUS_GOOD, REASON_NONE, NOW - 200);
	ask_while_unopened(CALL_STATUS);
	lists(1, -100, 100);
	waited(ERR_OK);
	assert_true(replied());
	assert_string_equal(
	    json_string_value(json_object_get(call.body, "status")), "revoked");
	json_decref(call.body);
	ask_while_unopened(CALL_STATUS);
	waited(ERR_RESP_LISTS);
	expect_error(503, "lists_not_opened");
	ask_while_unopened(CALL_STATUS);
	waited(ERR_CANCELLED);
	expect_error(503, "unavailable");
}

static void an_explanation_waits_for_the_lists(void **state)
{
	(void)state;
	ask_while_unopened(CALL_EXPLAIN);
	lists(1, -100, 100);
	did.ask_at_once = ERR_UP_TIMEOUT;
	waited(ERR_OK);
	assert_true(replied());
	assert_int_equal(call.http_status, 200);
	json_decref(call.body);
}

static void a_stopping_keeper_answers_who_waits_for_lists(void **state)
{
	(void)state;
	ask_while_unopened(CALL_EXPLAIN);
	stop();
	expect_error(503, "unavailable");
	assert_null(did.wait);
}

static void a_stopping_keeper_answers_a_waiting_status_with_503(void **state)
{
	(void)state;
	run(CALL_STATUS, "demo", true);
	did.flight[0].done(did.flight[0].arg, NULL, ERR_CANCELLED, TIER_NONE);
	expect_error(503, "unavailable");
	run(CALL_STATUS, "demo", true);
	stop();
	expect_error(503, "unavailable");
	/* the flight ends later, and finds nobody */
	did.flight[1].done(did.flight[1].arg, NULL, ERR_CANCELLED, TIER_NONE);
	run(CALL_ISSUERS, "", false);
	expect_error(503, "unavailable");
}

static void a_stop_ends_an_explain_wherever_it_is(void **state)
{
	(void)state;
	run(CALL_EXPLAIN, "demo", true);
	assert_false(replied());
	stop();
	assert_int_equal(did.cancels, 1);
	expect_error(503, "unavailable");
	calls_free(k.calls);
	k.calls = calls_new();
	did.store_waits = true;
	did.store_n = 0;
	run(CALL_EXPLAIN, "demo", true);
	stop();
	assert_false(replied());
	for (size_t n = 0; n < did.store_n; n++)
		store_answer(n);
	expect_error(503, "unavailable");
}

/* GET /v1/explain. */

#define CHECKS(times, code)                                                              \
	"{'check':'signature','ok':true,'code':'ok','detail':'delegate CN=?'},"          \
	"{'check':'times','ok':" times ",'code':'" code "','detail':''}]}"
#define EXPLAIN(answers)                                                                 \
	"{'issuer':'demo','serial':'1000','answers':[" answers "],'ari':null}"

static void an_explanation_goes_from_memory_to_store_to_upstream(void **state)
{
	(void)state;
	hold_status(CERTID_SHA256, STATUS_GOOD, REASON_NONE, NOW - 100);
	did.store_value = bytes_of("v", 1);
	run(CALL_EXPLAIN, "demo", true);
	assert_false(replied());
	assert_int_equal(did.store_n, 8);                  /* two CAs, four hashes */
	assert_int_equal(did.ask_key.hash, CERTID_SHA256); /* the one that is held */
	assert_true(did.ask_known);
	assert_int_equal(did.retries, 1);
	did.verdict = ERR_RESP_EXPIRED;
	assert_int_equal(
	    did.judge(did.ask_arg, bytes_of("d", 1), "http://good/"), ERR_RESP_EXPIRED);
	did.verdict = ERR_OK;
	assert_int_equal(did.judge(did.ask_arg, bytes_of("d", 1), "http://bad/"), ERR_OK);
	did.asked(did.ask_arg, ERR_OK);
	assert_int_equal(did.admitted, 1);
	assert_int_equal(did.latched, 0);
	expect(200,
	    EXPLAIN(
		"{'from':'memory','hash':'sha256','admitted':true,"
		"'checks':[" CHECKS("true",
		    "ok") ","
			  "{'from':'store','hash':'sha1','admitted':true,'checks':"
			  "[" CHECKS("true",
			      "ok") ","
				    "{'from':'store','hash':'sha1','admitted':true,'"
				    "checks':[" CHECKS("true",
					"ok") ","
					      "{'from':'upstream','hash':'sha256','"
					      "admitted':false,'checks':["
					      "{'check':'fetch','ok':true,'code':'ok','"
					      "detail':'http://good/'}," CHECKS("false",
						  "expired") ","
							     "{'from':'upstream','hash':'"
							     "sha256','admitted':true,'"
							     "checks':["
							     "{'check':'fetch','ok':true,"
							     "'code':'ok','detail':'http:"
							     "//bad/'}," CHECKS(
								 "true", "ok")));
}

static void an_upstream_that_brings_nothing_is_explained_too(void **state)
{
	(void)state;
	did.ask_at_once = ERR_UP_CONNECT;
	did.store_error = ERR_STORE_TIMEOUT;
	run(CALL_EXPLAIN, "demo", true);
	expect(200, EXPLAIN("{'from':'store','hash':'sha1','admitted':false,'checks':["
			    "{'check':'read','ok':false,'code':'store_timeout',"
			    "'detail':'store gave no answer in time'}]},"
			    "{'from':'upstream','hash':'sha1','admitted':false,'checks':["
			    "{'check':'fetch','ok':false,'code':'upstream_connect',"
			    "'detail':'no connection to the upstream; http://bad\\'/: "
			    "upstream_http'}]}"));
}

/* R53: a validly signed revocation latches, whether its answer is admitted or not. */
static void a_proved_revocation_latches_though_it_is_refused(void **state)
{
	(void)state;
	run(CALL_EXPLAIN, "demo", true);
	did.verdict = ERR_RESP_CONTRADICT;
	did.revoked_proved = true;
	did.judge(did.ask_arg, bytes_of("d", 1), "http://good/");
	assert_int_equal(did.latched, 1);
	assert_int_equal(did.admitted, 0);
	did.asked(did.ask_arg, ERR_RESP_CONTRADICT); /* told once, by the judge */
	assert_true(replied());
	assert_int_equal(json_array_size(json_object_get(call.body, "answers")), 1);
	json_decref(call.body);
}

/* What it refuses is counted, told and remembered as a flight's would be, but for what
 * has just reached the end of its life in the store. */
static void what_an_explanation_refuses_is_told_as_elsewhere(void **state)
{
	static const enum err refused[] = {
	    ERR_RESP_LATCH, ERR_RESP_EXPIRED, ERR_RESP_OLDER};

	(void)state;
	for (size_t n = 0; n < 3; n++) {
		did.refusal_n = 0;
		did.store_n = 0;
		did.store_value = bytes_of("v", 1);
		did.verdict = refused[n];
		run(CALL_EXPLAIN, "demo", true);
		assert_int_equal(did.refusal_n, n == 0 ? 2 : 0); /* of two CAs */
		if (n == 0) {
			assert_int_equal(did.refusal[0].e, ERR_RESP_LATCH);
			assert_int_equal(did.refusal[0].counter, M_REFUSED_STORE);
			assert_string_equal(did.refusal[0].from, "store");
		}
		did.refusal_n = 0;
		did.judge(did.ask_arg, bytes_of("d", 1), "http://good/");
		assert_int_equal(did.refusal_n, 1);
		assert_int_equal(did.refusal[0].e, refused[n]);
		assert_int_equal(did.refusal[0].counter, M_REFUSED_UPSTREAM);
		assert_string_equal(did.refusal[0].from, "http://good/");
		assert_int_equal(did.admitted, 0);
		did.asked(did.ask_arg, refused[n]);
		assert_true(replied());
		json_decref(call.body);
	}
}

/* POST /v1/refresh. */

static void a_refresh_asks_for_every_key_that_is_held(void **state)
{
	(void)state;
	hold_status(CERTID_SHA1, STATUS_GOOD, REASON_NONE, NOW - 100);
	hold_status(CERTID_SHA256, STATUS_GOOD, REASON_NONE, NOW - 100);
	run(CALL_REFRESH, "demo", true);
	expect(202, NULL);
	assert_int_equal(did.retries, 1);
	assert_int_equal(did.flight_n, 2);
	assert_int_equal(did.flight[0].why, FLIGHT_FORCE);
	assert_int_equal(did.flight[1].key.hash, CERTID_SHA256);
}

static void a_refresh_of_what_is_not_held_asks_by_sha1(void **state)
{
	(void)state;
	run(CALL_REFRESH, "demo", true);
	expect(202, NULL);
	assert_int_equal(did.flight_n, 1);
	assert_int_equal(did.flight[0].key.hash, CERTID_SHA1);
}

static void a_refresh_of_an_issuer_drops_its_errors_and_fetches_nothing(void **state)
{
	struct facts none = {.status = STATUS_NONE};
	struct hot_stats stats;

	(void)state;
	hold_status(CERTID_SHA1, STATUS_GOOD, REASON_NONE, NOW - 100);
	hold("demo", 0, CERTID_SHA256, none, ERR_UP_HTTP, NOW + 100);
	hold("other", 0, CERTID_SHA256, none, ERR_UP_HTTP, NOW + 100);
	run(CALL_REFRESH, "demo", false);
	expect(202, NULL);
	hot_stats(k.hot, &stats);
	assert_int_equal(stats.errors, 1);
	assert_int_equal(did.flight_n, 0);
	assert_int_equal(did.retries, 1);
}

static void a_refresh_asks_for_the_lists_too(void **state)
{
	(void)state;
	lists(1, -100, 100);
	run(CALL_REFRESH, "demo", false);
	expect(202, NULL);
	run(CALL_REFRESH, "demo", true);
	expect(202, NULL);
	assert_int_equal(did.list_refreshes, 2);
	assert_false(did.accepts_number);
}

/* POST /v1/purge. */

static bool held(const char *issuer, unsigned ca, enum certid_hash h)
{
	struct key key;

	issuer_key(issuers_named(k.conf.issuers, issuer), ca, h, &serial, &key);
	return hot_find(k.hot, key_der(&key)) != NULL;
}

static void poll_one(const char *issuer, const struct serial *s, const struct facts *f)
{
	assert_true(polled_put(k.d.evidence.polled, issuer, s, f, NOW + 100, NOW));
}

static bool is_polled(const char *issuer, const struct serial *s)
{
	struct polled_word word;

	return polled_find(k.d.evidence.polled, issuer, s, &word);
}

static void a_purge_waits_for_the_store_before_it_drops_memory(void **state)
{
	struct facts f = {.status = STATUS_GOOD, .signer_not_after = INT64_MAX};
	struct serial another = {2, {0x10, 0x01}};

	(void)state;
	poll_one("demo", &serial, &f);
	poll_one("demo", &another, &f);
	did.store_waits = true;
	hold("demo", 1, CERTID_SHA384, f, ERR_OK, NOW + 100);
	hold("other", 0, CERTID_SHA1, f, ERR_OK, NOW + 100);
	run(CALL_PURGE, "demo", true);
	assert_int_equal(did.store_n, 8);
	for (size_t n = 0; n < 8; n++) {
		assert_false(replied());
		assert_true(held("demo", 1, CERTID_SHA384));
		store_answer(n);
	}
	expect(204, NULL);
	assert_false(held("demo", 1, CERTID_SHA384));
	assert_true(held("other", 0, CERTID_SHA1));
	assert_int_equal(schedule_count(k.d.context.schedule), 1);
	assert_false(is_polled("demo", &serial));
	assert_true(is_polled("demo", &another));
}

static void a_purge_of_an_issuer_leaves_the_others_and_the_latches(void **state)
{
	struct facts f = {.status = STATUS_GOOD, .signer_not_after = INT64_MAX};

	(void)state;
	poll_one("demo", &serial, &f);
	poll_one("other", &serial, &f);
	latch(NOW - 500);
	hold("demo", 0, CERTID_SHA1, f, ERR_OK, NOW + 100);
	hold("demo", 1, CERTID_SHA384, f, ERR_OK, NOW + 100);
	hold("other", 0, CERTID_SHA1, f, ERR_OK, NOW + 100);
	run(CALL_PURGE, "demo", false);
	expect(204, NULL);
	assert_true(did.purged_issuer);
	assert_false(held("demo", 0, CERTID_SHA1));
	assert_false(held("demo", 1, CERTID_SHA384));
	assert_true(held("other", 0, CERTID_SHA1));
	assert_int_equal(latches_count(k.d.latches), 1);
	assert_int_equal(schedule_count(k.d.context.schedule), 1);
	assert_false(is_polled("demo", &serial));
	assert_true(is_polled("other", &serial));
}

/* P27 */
static void a_purge_that_the_store_did_not_take_says_so(void **state)
{
	(void)state;
	hold_status(CERTID_SHA1, STATUS_GOOD, REASON_NONE, NOW - 100);
	did.store_error = ERR_STORE;
	run(CALL_PURGE, "demo", true);
	expect_error(503, "store");
	assert_false(held("demo", 0, CERTID_SHA1));
}

/* GET /v1/latches. */

/* The text of a list that was made; the asker's reference stays. */
static char *text_of_file(struct shared_file *f)
{
	char *text = malloc(f->size + 1);

	assert_int_equal(pread(f->fd, text, f->size, 0), f->size);
	text[f->size] = '\0';
	return text;
}

static void expect_latches(const char *issuer, const char *want)
{
	char *text;

	run(CALL_LATCHES, issuer, false);
	assert_false(replied());
	did.disk_done(did.disk_arg);
	assert_true(replied());
	assert_int_equal(call.http_status, 200);
	assert_null(call.body);
	text = text_of_file(call.file);
	assert_string_equal(text, want);
	free(text);
	shared_file_unref(call.file);
}

static void latch_of(const struct issuer *i, unsigned ca, const char *hex, int reason,
    int64_t revoked_at, int64_t set_at)
{
	struct latch l = {.reason = reason, .revoked_at = revoked_at, .set_at = set_at};

	assert_int_equal(serial_from_hex(&l.serial, hex), ERR_OK);
	memcpy(l.ca_id, i->ca[ca].id, sizeof l.ca_id);
	assert_int_equal(latches_add(k.d.latches, &l, NULL), ERR_OK);
}

#define LATCH(issuer, serial, at, reason, since)                                         \
	"{\"issuer\":\"" issuer "\",\"serial\":\"" serial                                \
	"\",\"status\":\"revoked\",\"revoked_at\":\"" at "\",\"reason\":" reason         \
	",\"since\":\"" since "\"}"

/* One line for each certificate, whichever of its CA's certificates. */
static void latches_are_listed_in_the_contracts_shape(void **state)
{
	const struct issuer *other = issuers_named(k.conf.issuers, "other");
	struct latch stranger = {.set_at = NOW};

	(void)state;
	expect_latches("", "[\n]\n");
	latch_of(other, 0, "1000", 1, NOW - 500, NOW);
	latch_of(demo(), 1, "1000", REASON_NONE, NOW - 500, NOW);
	latch_of(demo(), 0, "1000", REASON_NONE, NOW - 500, NOW + 5);
	latch_of(demo(), 0, "ff", 4, NOW, NOW + 1);
	memset(
	    stranger.ca_id, 7, sizeof stranger.ca_id); /* a CA that is not configured */
	stranger.serial = serial;
	assert_int_equal(latches_add(k.d.latches, &stranger, NULL), ERR_OK);
	expect_latches(
	    "", "[\n" LATCH("demo", "ff", "2026-09-21T14:13:20Z", "\"superseded\"",
		    "2026-09-21T14:13:21Z") ",\n" LATCH("demo", "1000",
		    "2026-09-21T14:05:00Z", "null",
		    "2026-09-21T14:13:20Z") ",\n" LATCH("other", "1000",
		    "2026-09-21T14:05:00Z", "\"keyCompromise\"",
		    "2026-09-21T14:13:20Z") "\n]\n");
	expect_latches("other", "[\n" LATCH("other", "1000", "2026-09-21T14:05:00Z",
				    "\"keyCompromise\"", "2026-09-21T14:13:20Z") "\n]\n");
	run(CALL_LATCHES, "nobody", false);
	expect_error(404, "not_found");
}

/* The keeper serves others in between: it looks at some 2,000 in a turn. */
static void a_hundred_thousand_latches_are_listed_in_slices(void **state)
{
	struct latch l = {.reason = 1, .revoked_at = NOW, .set_at = NOW};
	unsigned turns = 0;
	json_t *list;
	char *text;

	(void)state;
	memcpy(l.ca_id, demo()->ca[0].id, sizeof l.ca_id);
	for (uint32_t i = 0; i < 100000; i++) {
		l.serial = (struct serial){
		    4, {1, (uint8_t)(i >> 16), (uint8_t)(i >> 8), (uint8_t)i}};
		assert_int_equal(latches_add(k.d.latches, &l, NULL), ERR_OK);
	}
	k.shared.keeper = k.replies;
	did.disk_done = NULL;
	run(CALL_LATCHES, "demo", false);
	for (; did.disk_done == NULL; turns++)
		event_base_loop(k.base, EVLOOP_ONCE | EVLOOP_NONBLOCK);
	assert_in_range(turns, 49, 120);
	did.disk_done(did.disk_arg);
	assert_true(replied());
	text = text_of_file(call.file);
	list = json_loads(text, 0, NULL);
	assert_int_equal(json_array_size(list), 100000);
	assert_string_equal(
	    json_string_value(json_object_get(json_array_get(list, 99999), "serial")),
	    "101869f");
	json_decref(list);
	free(text);
	shared_file_unref(call.file);
}

/* Whoever reads slowly does not fill memory with lists, and a stop waits for none. */
static void four_lists_of_latches_are_read_at_a_time(void **state)
{
	struct shared_file *held[LATCH_LISTS_MAX];

	(void)state;
	for (size_t i = 0; i < LATCH_LISTS_MAX; i++) {
		run(CALL_LATCHES, "", false);
		assert_false(replied());
		did.disk_done(did.disk_arg);
		assert_true(replied());
		held[i] = call.file;
	}
	run(CALL_LATCHES, "", false);
	expect_error(503, "unavailable");
	shared_file_unref(held[2]);
	expect_latches("", "[\n]\n");
	stop();
	for (size_t i = 0; i < LATCH_LISTS_MAX; i++)
		if (i != 2)
			shared_file_unref(held[i]);
}

/* DELETE /v1/latches. */

/* R69: the operator may. */
static void a_latch_is_gone_from_memory_and_disk(void **state)
{
	struct latches *again;
	char why[256];

	(void)state;
	run(CALL_LATCH_DELETE, "demo", true);
	expect_error(404, "not_found");
	latch(NOW - 500);
	run(CALL_LATCH_DELETE, "demo", true);
	assert_false(replied()); /* not before the disk has it */
	/* what the store has would set it again: two CAs, four hashes */
	assert_int_equal(did.store_n, 8);
	assert_int_equal(did.forgets, 1);
	assert_int_equal(did.flight_n, 0);
	did.disk_done(did.disk_arg);
	expect(204, NULL);
	assert_int_equal(latches_count(k.d.latches), 0);
	assert_int_equal(did.flight_n, 1); /* asked for anew at once */
	assert_int_equal(did.flight[0].why, FLIGHT_FORCE);
	did.flight[0].done(did.flight[0].arg, NULL, ERR_CANCELLED, TIER_NONE);
	latches_free(k.d.latches);
	latch_file_close(k.d.latch_file);
	assert_int_equal(
	    latch_file_open(&again, &k.d.latch_file, k.dir, why, sizeof why), ERR_OK);
	k.d.latches = k.d.evidence.latches = again;
	assert_int_equal(latches_count(again), 0);
}

static void a_latch_is_gone_but_the_store_was_away(void **state)
{
	(void)state;
	latch(NOW - 500);
	did.store_error = ERR_STORE;
	run(CALL_LATCH_DELETE, "demo", true);
	assert_false(replied());
	did.disk_done(did.disk_arg);
	expect_error(503, "store");
	assert_int_equal(latches_count(k.d.latches), 0);
	did.flight[0].done(did.flight[0].arg, NULL, ERR_CANCELLED, TIER_NONE);
}

/* GET /readyz. */

static void ready_names_what_is_degraded_and_why_not(void **state)
{
	(void)state;
	lists(1, -100, 100);
	run(CALL_READY, "", false);
	expect(503,
	    "{'ready':false,'reasons':['issuer other: no way to answer: it has no "
	    "responder'],'degraded':[]}");
	store_is_up = false;
	k.shared.draining = true;
	run(CALL_READY, "", false);
	expect(503, "{'ready':false,'reasons':['draining','issuer other: no way to "
		    "answer: it has no responder'],'degraded':['store redis is away: "
		    "gone']}");
}

static void ready_tells_what_redis_refuses_and_what_helps(void **state)
{
	(void)state;
	lists(1, -100, 100);
	store_is_up = false;
	store_refuses = true;
	run(CALL_READY, "", false);
	expect(503,
	    "{'ready':false,'reasons':['issuer other: no way to answer: it has no "
	    "responder'],'degraded':['store redis refuses: gone; remedy: give it "
	    "back']}");
}

/* Changes that wait a moment are no news; that wait longer, are told late. */
static void ready_tells_of_the_change_log_and_of_changes_that_wait(void **state)
{
	static const char reasons[] = "'ready':false,'reasons':['issuer other: no way to "
				      "answer: it has no responder']";
	char want[512];

	(void)state;
	lists(1, -100, 100);
	telling_is = (struct teller_health){
	    .log = {.up = true, .error = "", .remedy = "", .damage = ""},
	    .waiting = 3,
	    .waiting_ms = 1999};
	snprintf(want, sizeof want, "{%s,'degraded':[]}", reasons);
	run(CALL_READY, "", false);
	expect(503, want);
	telling_is.waiting_ms = 12345;
	telling_is.why = ERR_STORE_FULL;
	telling_is.log.up = false;
	telling_is.log.refuses = true;
	telling_is.log.error = "OOM";
	telling_is.log.remedy = "raise it";
	snprintf(want, sizeof want,
	    "{%s,'degraded':['change log refuses: OOM; remedy: raise it',"
	    "'changes wait to be told (3, for 12 s): store is full']}",
	    reasons);
	run(CALL_READY, "", false);
	expect(503, want);
	telling_is.log.up = true;
	telling_is.log.damage = "/x: a batch";
	telling_is.waiting = 0;
	snprintf(want, sizeof want,
	    "{%s,'degraded':['change log is damaged: /x: a batch']}", reasons);
	run(CALL_READY, "", false);
	expect(503, want);
	telling_is.log.damage = "";
	telling_is.waiting = 3;
	telling_is.why = ERR_OK;
	snprintf(want, sizeof want,
	    "{%s,'degraded':['changes wait to be told (3, for 12 s): not in the change "
	    "log "
	    "yet']}",
	    reasons);
	run(CALL_READY, "", false);
	expect(503, want);
}

static void ready_tells_of_watchlists_that_cannot_be_changed(void **state)
{
	(void)state;
	lists(1, -100, 100);
	k.shared.watcher = (struct watcher *)&k;
	run(CALL_READY, "", false);
	expect(503, "{'ready':false,'reasons':['issuer other: no way to answer: it has "
		    "no responder'],'degraded':[]}");
	did.watch_full = "/d/watch.mdb: it is full; raise watch-size";
	run(CALL_READY, "", false);
	expect(503, "{'ready':false,'reasons':['issuer other: no way to answer: it has "
		    "no responder'],'degraded':['watchlists cannot be changed: "
		    "/d/watch.mdb: it is full; raise watch-size']}");
}

static void ready_tells_a_reload_that_failed(void **state)
{
	(void)state;
	lists(1, -100, 100);
	did.mistake = "/etc/o.conf:3: listn: no such option (and 2 more)";
	run(CALL_READY, "", false);
	expect(503, "{'ready':false,'reasons':['issuer other: no way to answer: it has "
		    "no "
		    "responder'],'degraded':['the last reload failed, the configuration "
		    "before it is in force: /etc/o.conf:3: listn: no such option (and 2 "
		    "more)']}");
}

/* It revokes still, and says nothing new (R96). */
static void ready_names_a_list_past_its_next_update(void **state)
{
	(void)state;
	lists(1, -100, 0);
	run(CALL_READY, "", false);
	expect(503, "{'ready':false,'reasons':['issuer other: no way to answer: it has "
		    "no "
		    "responder'],'degraded':['issuer demo: list  is past its nextUpdate, "
		    "2026-09-21T14:13:20Z']}");
}

/* What was not asked yet is neither healthy nor the contrary, and no reason to be
 * degraded. */
static void a_responder_that_was_never_asked_is_not_called_healthy(void **state)
{
	const char *text;

	(void)state;
	did.never_asked = "http://";
	run(CALL_ISSUERS, "", false);
	expect(200, "[{'name':'demo','source':'ocsp','responders':[{'url':'http://good/',"
		    "'healthy':null,'last_error':null},{'url':'http://bad\\'/"
		    "','healthy':null,"
		    "'last_error':'upstream_http'}],'crls':[],'signer_expires':null},"
		    "{'name':'other','source':'ocsp','responders':[],'crls':[],"
		    "'signer_expires':null}]");
	lists(1, -100, 100);
	run(CALL_READY, "", false);
	assert_true(replied());
	assert_int_equal(json_array_size(json_object_get(call.body, "degraded")), 0);
	json_decref(call.body);
	did.never_asked = "good";
	metrics_thread();
	run(CALL_METRICS, "", false);
	assert_true(replied());
	text = json_string_value(call.body);
	assert_null(strstr(text, "responder_healthy{issuer=\"demo\",url=\"http://good/"));
	assert_non_null(
	    strstr(text, "responder_failures{issuer=\"demo\",url=\"http://good/"));
	assert_non_null(strstr(text, "# HELP ocspcached_responder_healthy"));
	assert_non_null(
	    strstr(text, "responder_healthy{issuer=\"demo\",url=\"http://bad"));
	json_decref(call.body);
}

/* Each list is asked for before we say that we are ready; one that could not be
 * had makes us degraded, and an issuer with nothing but lists can answer
 * /v1/status. */
static void ready_waits_until_the_lists_were_tried(void **state)
{
	char crl[] = "file:///crl", *place[] = {crl};
	struct issuer_list crls[] = {{.place = place, .place_n = 1, .scope = crl}};
	X509 *only = ca_new("lists only");
	struct issuer_spec spec = {.name = "demo",
	    .certificates = &only,
	    .certificates_n = 1,
	    .crl = crls,
	    .crl_n = 1};
	size_t clash[2];

	(void)state;
	issuers_free(k.conf.issuers);
	assert_int_equal(issuers_new(&k.conf.issuers, &spec, 1, clash), ERR_OK);
	X509_free(only);
	did.has_lists = true;
	did.untried = true;
	run(CALL_READY, "", false);
	expect(503, "{'ready':false,'reasons':['lists have not been tried yet'],"
		    "'degraded':['issuer demo: no list is in force']}");
	did.untried = false;
	did.lists = crl_set_ref(&crl_set_unopened); /* it cannot be read */
	run(CALL_READY, "", false);
	expect(200, "{'ready':true,'reasons':[],'degraded':['issuer demo: nothing is "
		    "good: a list has not been opened']}");
	crl_set_unref(did.lists);
	did.lists = NULL;
	run(CALL_READY, "", false);
	expect(200, "{'ready':true,'reasons':[],'degraded':['issuer demo: no list is in "
		    "force']}");
	lists(1, -100, 100);
	run(CALL_READY, "", false);
	expect(200, "{'ready':true,'reasons':[],'degraded':[]}");
	did.failing = 2; /* the one in force counts on, and says nothing new */
	run(CALL_READY, "", false);
	expect(200, "{'ready':true,'reasons':[],'degraded':['issuer demo: list x: err: "
		    "why (and 1 more)']}");
	did.failing = 0;
	did.held_back = 1;
	run(CALL_READY, "", false);
	expect(200, "{'ready':true,'reasons':[],'degraded':['issuer demo: list "
		    "x: why']}");
	did.held_back = 3;
	run(CALL_READY, "", false);
	expect(200, "{'ready':true,'reasons':[],'degraded':['issuer demo: list x: why "
		    "(and 2 more)']}");
	did.held_back = 0;
	/* a full disk: it goes on, but a restart would have the list of before */
	did.disk_refuses = 2;
	run(CALL_READY, "", false);
	expect(200, "{'ready':true,'reasons':[],'degraded':['lists cannot be written to "
		    "/state, or read (2; one of issuer demo): No space left on "
		    "device']}");
	did.disk_refuses = 0;
}

/* Which responder, and why: a monitor may read no more than this line. */
static void ready_names_a_responder_that_is_away(void **state)
{
	char bad[] = "http://bad.example/", worse[] = "http://bad.example/2";
	char *urls[] = {bad, worse};
	X509 *only = ca_new("one responder");
	struct issuer_spec spec = {.name = "demo",
	    .certificates = &only,
	    .certificates_n = 1,
	    .ocsp = urls,
	    .ocsp_n = 2};
	size_t clash[2];

	(void)state;
	issuers_free(k.conf.issuers);
	assert_int_equal(issuers_new(&k.conf.issuers, &spec, 1, clash), ERR_OK);
	X509_free(only);
	run(CALL_READY, "", false);
	expect(200, "{'ready':true,'reasons':[],'degraded':['issuer demo: no responder "
		    "is healthy: http://bad.example/: upstream_http']}");
}

/* GET /metrics: promtool is the judge where it is installed. */
static void metrics_pass_promtool(void **state)
{
	FILE *f;

	(void)state;
	if (system("command -v promtool >/dev/null") != 0) {
		print_message("promtool (package prometheus) is not installed\n");
		skip();
	}
	metrics_thread();
	lists(1, -100, 100);
	run(CALL_METRICS, "", false);
	assert_true(replied());
	assert_int_equal(call.http_status, 200);
	assert_non_null(
	    strstr(json_string_value(call.body), "\nocspcached_crl_entries 1\n"));
	assert_non_null(
	    strstr(json_string_value(call.body), "\nocspcached_changes_waiting 2\n"));
	assert_non_null(
	    strstr(json_string_value(call.body), "\nocspcached_responder_healthy{issuer="
						 "\"demo\",url=\"http://bad\\\"/\"} 0"));
	f = popen("promtool check metrics", "w");
	fputs(json_string_value(call.body), f);
	assert_int_equal(pclose(f), 0);
	json_decref(call.body);
	post(&call, CALL_METRICS, "", false);
	assert_true(replied());
	json_decref(call.body);
}

#define test(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
	    test(issuers_are_listed_in_the_contracts_shape),
	    test(lists_are_told_by_the_feed),
	    test(a_held_answer_is_told_without_a_fetch),
	    test(a_list_alone_gives_a_status),
	    test(an_expired_list_is_no_proof_of_good),
	    test(a_list_that_is_not_in_force_is_no_evidence),
	    test(what_disagrees_is_told_as_evidence),
	    test(a_held_unknown_is_told_without_a_fetch),
	    test(the_same_answer_under_two_hashes_is_one_evidence),
	    test(of_answers_that_agree_the_newest_is_told),
	    test(a_latch_outweighs_a_good_answer),
	    test(a_revoked_answer_outweighs_a_newer_good_one),
	    test(a_hold_ends_with_a_newer_good_answer_only),
	    test(an_expired_or_error_answer_is_no_evidence),
	    test(the_answer_of_a_flight_counts_though_it_is_not_held),
	    test(an_unknown_issuer_is_404_for_every_call),
	    test(a_status_waits_for_the_lists),
	    test(an_explanation_waits_for_the_lists),
	    test(a_stopping_keeper_answers_who_waits_for_lists),
	    test(a_stopping_keeper_answers_a_waiting_status_with_503),
	    test(a_stop_ends_an_explain_wherever_it_is),
	    test(an_explanation_goes_from_memory_to_store_to_upstream),
	    test(an_upstream_that_brings_nothing_is_explained_too),
	    test(a_proved_revocation_latches_though_it_is_refused),
	    test(what_an_explanation_refuses_is_told_as_elsewhere),
	    test(a_refresh_asks_for_every_key_that_is_held),
	    test(a_refresh_of_what_is_not_held_asks_by_sha1),
	    test(a_refresh_of_an_issuer_drops_its_errors_and_fetches_nothing),
	    test(a_refresh_asks_for_the_lists_too),
	    test(a_purge_waits_for_the_store_before_it_drops_memory),
	    test(a_purge_of_an_issuer_leaves_the_others_and_the_latches),
	    test(a_purge_that_the_store_did_not_take_says_so),
	    test(latches_are_listed_in_the_contracts_shape),
	    test(a_hundred_thousand_latches_are_listed_in_slices),
	    test(four_lists_of_latches_are_read_at_a_time),
	    test(a_latch_is_gone_from_memory_and_disk),
	    test(a_latch_is_gone_but_the_store_was_away),
	    test(ready_names_what_is_degraded_and_why_not),
	    test(ready_tells_what_redis_refuses_and_what_helps),
	    test(ready_tells_of_the_change_log_and_of_changes_that_wait),
	    test(ready_tells_of_watchlists_that_cannot_be_changed),
	    test(ready_tells_a_reload_that_failed),
	    test(ready_names_a_list_past_its_next_update),
	    test(a_responder_that_was_never_asked_is_not_called_healthy),
	    test(ready_waits_until_the_lists_were_tried),
	    test(ready_names_a_responder_that_is_away),
	    test(metrics_pass_promtool),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
