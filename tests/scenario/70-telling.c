/* 70-telling: know, then tell; everything, once, and in order.
 *
 * A node is a real telling on a real loop with virtual time.  Between it and the log
 * stands a gate that holds calls back, fails them, or loses their answers; the log behind
 * the gates is one, as Redis is for several nodes.
 */
#include "tests/lib/world.h"

#include "cache/held/latch_file.h"
#include "proxy/base/clock.h"
#include "proxy/base/log.h"
#include "proxy/tell/teller.h"
#include "tests/lib/forge.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/queue.h>
#include <unistd.h>

#include <cmocka.h>
#include <event2/event.h>
#include <openssl/pem.h>

#define SERIALS 1200000
#define NODES   2
#define NEWS    4096

/* The gate. */

enum call_what { CALL_TOLD, CALL_APPEND, CALL_READ, CALL_EPOCH };

struct call {
	TAILQ_ENTRY(call) link;
	enum call_what what;
	struct change_batch *batch;
	bool scoped;
	uint8_t scope[CHANGE_SCOPE_N];
	struct change_told expect, next;
	struct change_pos from;
	size_t max_bytes;
	void *done, *arg;
};

struct gate {
	struct change_log log;
	struct change_log *behind;
	TAILQ_HEAD(, call) calls;
	bool slow;        /* calls wait for gate_pass() */
	bool shared;      /* what health says */
	enum err down;    /* every call fails with this */
	bool deaf;        /* what is done is reported as ERR_STORE_TIMEOUT */
	int fail_next;    /* so many appends fail before they work */
	bool fail_scoped; /* every append of a list fails */
	bool epoch_late;  /* the word of a new epoch waits for gate_word() */
	struct change_pos epoch_end;
	change_log_done_fn *epoch_done;
	void *epoch_arg;
	int told, appends, reads, epochs, trims; /* calls that came */
	int64_t trimmed_before;
	int64_t append_at[64]; /* when, monotonic */
};

static struct gate *gate_of(struct change_log *l)
{
	return (struct gate *)l;
}

/* What the log behind says, on its way. */
struct answer_to {
	struct gate *gate;
	struct call *call;
};

static void call_free(struct call *c)
{
	change_batch_unref(c->batch);
	free(c);
}

static void told_back(void *arg, enum err e, const struct change_told *t)
{
	struct answer_to *a = arg;
	change_log_told_fn *done = (change_log_told_fn *)a->call->done;

	done(a->call->arg, e, t);
}

static void done_back(void *arg, enum err e, const struct change_pos *end)
{
	struct answer_to *a = arg;
	change_log_done_fn *done = (change_log_done_fn *)a->call->done;

	done(a->call->arg, a->gate->deaf ? ERR_STORE_TIMEOUT : e, end);
}

static void page_back(void *arg, enum err e, const struct change_log_page *p)
{
	struct answer_to *a = arg;
	change_log_page_fn *done = (change_log_page_fn *)a->call->done;

	done(a->call->arg, e, p);
}

static void word_waits(void *arg, enum err e, const struct change_pos *end)
{
	struct answer_to *a = arg;

	assert_int_equal(e, ERR_OK);
	a->gate->epoch_end = *end;
	a->gate->epoch_done = (change_log_done_fn *)a->call->done;
	a->gate->epoch_arg = a->call->arg;
}

static void gate_word(struct gate *g)
{
	g->epoch_done(g->epoch_arg, ERR_OK, &g->epoch_end);
}

static void refuse(struct call *c, enum err e)
{
	static const struct change_told nothing;
	static const struct change_pos nowhere;
	static const struct change_log_page empty;

	if (c->what == CALL_TOLD)
		((change_log_told_fn *)c->done)(c->arg, e, &nothing);
	else if (c->what == CALL_READ)
		((change_log_page_fn *)c->done)(c->arg, e, &empty);
	else
		((change_log_done_fn *)c->done)(c->arg, e, &nowhere);
}

static void call_run(struct gate *g, struct call *c)
{
	struct answer_to a = {g, c};

	if (g->down != ERR_OK || (c->what == CALL_APPEND && g->fail_next > 0) ||
	    (c->what == CALL_APPEND && c->scoped && g->fail_scoped)) {
		if (c->what == CALL_APPEND && g->fail_next > 0)
			g->fail_next--;
		refuse(c, g->down != ERR_OK ? g->down : ERR_STORE);
	} else if (c->what == CALL_TOLD) {
		change_log_told(g->behind, c->scope, told_back, &a);
	} else if (c->what == CALL_APPEND) {
		change_log_append(g->behind, c->batch, c->scoped ? c->scope : NULL,
		    &c->expect, &c->next, done_back, &a);
	} else if (c->what == CALL_READ) {
		change_log_read(g->behind, &c->from, c->max_bytes, page_back, &a);
	} else {
		change_log_new_epoch(
		    g->behind, g->epoch_late ? word_waits : done_back, &a);
	}
	call_free(c);
}

static void call_come(struct gate *g, struct call *c)
{
	if (g->slow)
		TAILQ_INSERT_TAIL(&g->calls, c, link);
	else
		call_run(g, c);
}

/* The oldest call is done; false when there is none. */
static bool gate_pass(struct gate *g)
{
	struct call *c = TAILQ_FIRST(&g->calls);

	if (c == NULL)
		return false;
	TAILQ_REMOVE(&g->calls, c, link);
	call_run(g, c);
	return true;
}

static struct call *call_new(enum call_what what, void *done, void *arg)
{
	struct call *c = calloc(1, sizeof *c);

	c->what = what;
	c->done = done;
	c->arg = arg;
	return c;
}

static void gate_close(struct change_log *l)
{
	struct gate *g = gate_of(l);
	struct call *c;

	while ((c = TAILQ_FIRST(&g->calls)) != NULL) {
		TAILQ_REMOVE(&g->calls, c, link);
		call_free(c);
	}
	free(g);
}

static void gate_told(
    struct change_log *l, const uint8_t *scope, change_log_told_fn *done, void *arg)
{
	struct call *c = call_new(CALL_TOLD, (void *)done, arg);

	gate_of(l)->told++;
	memcpy(c->scope, scope, sizeof c->scope);
	call_come(gate_of(l), c);
}

static void gate_append(struct change_log *l, struct change_batch *b,
    const uint8_t *scope, const struct change_told *expect,
    const struct change_told *next, change_log_done_fn *done, void *arg)
{
	struct gate *g = gate_of(l);
	struct call *c = call_new(CALL_APPEND, (void *)done, arg);

	if (g->appends < 64)
		g->append_at[g->appends] = clock_mono_ms();
	g->appends++;
	c->batch = b != NULL ? change_batch_ref(b) : NULL;
	c->scoped = scope != NULL;
	if (scope != NULL) {
		memcpy(c->scope, scope, sizeof c->scope);
		c->expect = *expect;
		c->next = *next;
	}
	call_come(g, c);
}

static void gate_read(struct change_log *l, const struct change_pos *from,
    size_t max_bytes, change_log_page_fn *done, void *arg)
{
	struct call *c = call_new(CALL_READ, (void *)done, arg);

	gate_of(l)->reads++;
	c->from = *from;
	c->max_bytes = max_bytes;
	call_come(gate_of(l), c);
}

static void gate_epoch(struct change_log *l, change_log_done_fn *done, void *arg)
{
	gate_of(l)->epochs++;
	call_come(gate_of(l), call_new(CALL_EPOCH, (void *)done, arg));
}

static void gate_trim(struct change_log *l, int64_t before)
{
	gate_of(l)->trims++;
	gate_of(l)->trimmed_before = before;
}

static void gate_health(const struct change_log *l, struct change_log_health *out)
{
	const struct gate *g = (const struct gate *)l;

	change_log_health(g->behind, out);
	out->shared = g->shared;
	out->up = g->down == ERR_OK;
}

static const struct change_log_ops gate_ops = {
    .close = gate_close,
    .told = gate_told,
    .append = gate_append,
    .read = gate_read,
    .new_epoch = gate_epoch,
    .trim = gate_trim,
    .health = gate_health,
};

static struct gate *gate_new(struct change_log *behind)
{
	struct gate *g = calloc(1, sizeof *g);

	g->log.ops = &gate_ops;
	g->behind = behind;
	TAILQ_INIT(&g->calls);
	return g;
}

/* Nodes. */

struct node {
	struct shared shared;
	struct inbox *api;
	struct barrier *barrier;
	struct context context;
	struct latches *latches;
	struct latch_file *latch_file;
	struct telling *telling;
	struct gate *gate; /* until the telling is freed */
	char dir[32];
	/* what the API's thread was told: */
	struct telling_news *kept[NEWS];
	struct {
		struct change_pos end;
		bool gap;
		uint32_t n;
	} news[NEWS];
	size_t news_n, kept_n;
	bool keep; /* it does not give news back */
	/* of lists: */
	int done;
	enum err outcome;
	bool inside; /* telling_list() is on the stack */
};

static struct event_base *base;
static struct inbox *inbox; /* the keeper's, of both nodes */
static struct change_log *memory;
static struct conf *conf;
static struct node node[NODES];
static char directory[32];
static int64_t now_ms, mono_ms;

static void set_time(void)
{
	fake_time_set(now_ms, mono_ms);
}

static void turn(void)
{
	for (int i = 0; i < 4; i++)
		event_base_loop(base, EVLOOP_NONBLOCK);
}

static void elapse(int64_t ms)
{
	int64_t end = mono_ms + ms, by;

	turn();
	for (; mono_ms < end; mono_ms += by, now_ms += by, set_time(), turn())
		by = end - mono_ms < 10 ? end - mono_ms : 10;
}

static void make_conf(void)
{
	struct forge_cert c = {.subject = "CA",
	    .from = WORLD_START - 1000,
	    .to = WORLD_START + 100000000,
	    .usage = "critical,keyCertSign,cRLSign",
	    .ca = true};
	struct conf_errors errors = {0};
	char path[64], text[512];
	X509 *ca;
	FILE *f;

	c.key = c.issuer_key = forge_key("P-256");
	ca = forge_cert(&c);
	snprintf(path, sizeof path, "%s/ca.pem", directory);
	f = fopen(path, "w");
	assert_non_null(f);
	assert_int_equal(PEM_write_X509(f, ca), 1);
	fclose(f);
	X509_free(ca);
	EVP_PKEY_free(c.key);
	snprintf(path, sizeof path, "%s/x.conf", directory);
	snprintf(text, sizeof text,
	    "store = \"memory:\"\nstate-directory = \"%s\"\nevents-keep = 1h\n"
	    "issuer \"demo\" { certificate = \"ca.pem\" ocsp = \"http://a.example/\" }\n",
	    directory);
	conf = conf_load(path, text, &errors);
	assert_non_null(conf);
	conf_errors_free(&errors);
}

static const struct issuer *demo(void)
{
	return issuers_at(conf->issuers, 0);
}

static void on_news(void *arg, struct msg *m)
{
	struct node *n = arg;
	struct telling_news *news = (struct telling_news *)m;

	assert_true(news->durable_at_us > 0);
	if (n->news_n == NEWS) { /* no case looks at so many */
		telling_news_done(news);
		return;
	}
	n->news[n->news_n].end = news->end;
	n->news[n->news_n].gap = news->batch == NULL;
	n->news[n->news_n++].n = news->batch != NULL ? news->batch->n : 0;
	if (n->keep)
		n->kept[n->kept_n++] = news;
	else
		telling_news_done(news);
}

static void give_back(struct node *n)
{
	for (size_t i = 0; i < n->kept_n; i++)
		telling_news_done(n->kept[i]);
	n->kept_n = 0;
}

static void life_begin(struct node *n)
{
	char why[256] = "";

	assert_int_equal(
	    latch_file_open(&n->latches, &n->latch_file, n->dir, why, sizeof why),
	    ERR_OK);
	n->barrier = barrier_new(&n->shared, inbox);
	n->context.barrier = n->barrier;
	n->api = inbox_new(base, n);
	n->gate = gate_new(memory);
	n->telling = telling_new(&n->context, n->latches, n->latch_file, &n->gate->log);
	assert_non_null(n->telling);
	telling_listen(n->telling, n->api, on_news);
	n->done = 0;
	n->news_n = 0;
	n->keep = false;
}

/* As kill -9 does, for the log and the disk: nothing more is written. */
static void life_end(struct node *n)
{
	if (n->telling == NULL)
		return;
	give_back(n);
	telling_free(n->telling);
	n->telling = NULL;
	n->gate = NULL;
	inbox_free(n->api);
	barrier_free(n->barrier);
	latches_free(n->latches);
	latch_file_close(n->latch_file);
}

static void again(struct node *n)
{
	life_end(n);
	life_begin(n);
}

static int begin(void **state)
{
	struct store_config store = {.url = "memory:"};
	struct change_log_config c = {
	    .store = &store, .size = (size_t)1 << 30, .now = WORLD_START};
	char why[256];

	(void)state;
	now_ms = WORLD_START * 1000;
	mono_ms = 1000000;
	set_time();
	log_setup(LEVEL_ERROR, LOG_FORMAT_LOGFMT, 0);
	strcpy(directory, "/tmp/telling.XXXXXX");
	assert_non_null(mkdtemp(directory));
	make_conf();
	base = event_base_new();
	inbox = inbox_new(base, NULL);
	assert_int_equal(change_log_memory_open(&memory, &c, why, sizeof why), ERR_OK);
	memset(node, 0, sizeof node);
	for (int i = 0; i < NODES; i++) {
		struct node *n = &node[i];

		strcpy(n->dir, "/tmp/telling.XXXXXX");
		assert_non_null(mkdtemp(n->dir));
		atomic_store(&n->shared.conf, conf);
		n->shared.hot = hot_new(1 << 20, 1);
		n->shared.keeper = inbox;
		n->context.base = base;
		n->context.shared = &n->shared;
		n->context.counters = metrics_thread();
		n->context.schedule = schedule_new((uint64_t)i + 1);
		life_begin(n);
	}
	return 0;
}

static void remove_dir(const char *dir)
{
	static const char *const names[] = {
	    "ca.pem", "latches.mdb", "latches.mdb-lock", "latches.mdb.mark"};
	char path[64];

	for (int i = 0; i < 4; i++) {
		snprintf(path, sizeof path, "%s/%s", dir, names[i]);
		unlink(path);
	}
	rmdir(dir);
}

static int end(void **state)
{
	(void)state;
	for (int i = 0; i < NODES; i++) {
		life_end(&node[i]);
		hot_free(node[i].shared.hot);
		schedule_free(node[i].context.schedule);
		remove_dir(node[i].dir);
	}
	change_log_close(memory);
	inbox_free(inbox);
	event_base_free(base);
	conf_free(conf);
	remove_dir(directory);
	metrics_reset();
	forge_reset();
	return 0;
}

/* What is told. */

static struct serial serial_of(uint32_t i)
{
	return (struct serial){
	    4, {0x11, (uint8_t)(i >> 16), (uint8_t)(i >> 8), (uint8_t)i}};
}

static uint32_t number_of(const struct change *c)
{
	struct serial s;

	crl_entry_serial(&c->entry, &s);
	assert_int_equal(s.n, 4);
	return (uint32_t)s.octets[1] << 16 | (uint32_t)s.octets[2] << 8 | s.octets[3];
}

/* A new latch, as the door makes it. */
static const struct latch *latch(struct node *n, uint32_t i, bool untold)
{
	struct latch l = {.serial = serial_of(i),
	    .reason = 1,
	    .revoked_at = now_ms / 1000 - 60,
	    .set_at = now_ms / 1000,
	    .untold = untold};

	memcpy(l.ca_id, demo()->ca[0].id, sizeof l.ca_id);
	assert_int_equal(latches_add(n->latches, &l, NULL), ERR_OK);
	assert_int_equal(latch_file_put(n->latch_file, &l, 1), ERR_OK);
	return latches_find(n->latches, demo(), &l.serial);
}

static void tell_revoked(struct node *n, uint32_t i, bool latched)
{
	struct single_change c = {.issuer = demo(),
	    .serial = serial_of(i),
	    .now = CHANGE_REVOKED,
	    .before = CHANGE_GOOD,
	    .revoked_at = now_ms / 1000 - 60,
	    .reason = latched ? 1 : REASON_CERTIFICATE_HOLD,
	    .this_update = now_ms / 1000 - 5,
	    .latch = latched ? latch(n, i, true) : NULL};

	telling_single(n->telling, &c);
}

static void tell_released(struct node *n, uint32_t i)
{
	struct single_change c = {.issuer = demo(),
	    .serial = serial_of(i),
	    .now = CHANGE_GOOD,
	    .before = CHANGE_REVOKED,
	    .reason = REASON_CERTIFICATE_HOLD,
	    .this_update = now_ms / 1000};

	telling_single(n->telling, &c);
}

/* The list `name`: certificates [from, to), all with this reason. */
struct crl {
	char name;
	uint32_t from, to;
	int reason;
};

static struct crl_entry *entries_of(const struct crl *l, size_t *n, size_t *mapped)
{
	struct crl_entry *e;

	*n = l != NULL ? l->to - l->from : 0;
	*mapped = 0;
	if (*n == 0)
		return NULL;
	e = crl_entries_new(*n, mapped);
	assert_non_null(e);
	for (size_t i = 0; i < *n; i++) {
		struct serial s = serial_of(l->from + (uint32_t)i);

		crl_entry_set_serial(&e[i], &s);
		crl_entry_set_at(&e[i], WORLD_START - 100);
		e[i].reason = (uint8_t)l->reason;
	}
	assert_int_equal(crl_entries_sort(e, *n), *n);
	return e;
}

static void on_list_done(void *arg, enum err e)
{
	struct node *n = arg;

	assert_false(n->inside);
	n->done++;
	n->outcome = e;
}

static const uint8_t scope[CHANGE_SCOPE_N] = {9};

/* The list's thisUpdate goes by its name; old NULL: a baseline. */
static size_t moot; /* the first changes of a list, as the issuer's other lists say */
static bool lost;   /* of a baseline: the node has told lists before */

static unsigned list_warnings; /* of the next lists */

static void tell_list(struct node *n, const struct crl *old, const struct crl *new)
{
	struct crl_diff_rules rules = {.covered = true};
	struct list_change c = {.issuer = "demo",
	    .baseline = old == NULL,
	    .lost = lost,
	    .seen_at_ms = now_ms,
	    .untold_since_ms = now_ms - 5000, /* the log was away */
	    .done = on_list_done,
	    .arg = n};
	struct crl_entry *a, *b;
	size_t a_n, b_n, a_mapped, b_mapped;

	memcpy(c.scope, scope, sizeof scope);
	memset(c.to, new->name, 32);
	if (old != NULL) {
		memset(c.from, old->name, 32);
		a = entries_of(old, &a_n, &a_mapped);
		b = entries_of(new, &b_n, &b_mapped);
		assert_int_equal(crl_diff_make(&c.diff, a, a_n, b, b_n, &rules), ERR_OK);
		for (size_t i = 0; i < c.diff->n && i < moot; i++)
			c.diff->changes[i].entry.shard[1] = 1;
		crl_entries_free(a, a_mapped);
		crl_entries_free(b, b_mapped);
	}
	c.facts.this_update = WORLD_START - 1000 + new->name;
	c.facts.warnings = list_warnings;
	c.facts.has_number = true;
	c.facts.number[CRL_NUMBER_MAX - 1] = (uint8_t) new->name;
	n->inside = true;
	assert_true(telling_list(n->telling, &c));
	n->inside = false;
}

/* What the log holds. */

struct held {
	struct change_batch **batch;
	size_t n;
	struct change_pos oldest, newest;
};
static struct held held;
static uint8_t *count; /* how often each certificate became revoked */

static void on_page(void *arg, enum err e, const struct change_log_page *p)
{
	(void)arg;
	assert_int_equal(e, ERR_OK);
	held.oldest = p->oldest;
	held.newest = p->newest;
	held.batch = calloc(p->n + 1, sizeof(struct change_batch *));
	for (held.n = 0; held.n < p->n; held.n++)
		held.batch[held.n] = change_batch_ref(p->batches[held.n]);
}

static void forget(void)
{
	for (size_t i = 0; i < held.n; i++)
		change_batch_unref(held.batch[i]);
	free(held.batch);
	free(count);
	memset(&held, 0, sizeof held);
	count = NULL;
}

static size_t look(void)
{
	struct change_pos start = {0};

	forget();
	count = calloc(SERIALS, 1);
	change_log_read(memory, &start, SIZE_MAX, on_page, NULL);
	for (size_t i = 0; i < held.n; i++)
		for (uint32_t c = 0; c < held.batch[i]->n; c++)
			if (change_now(&held.batch[i]->change[c]) == CHANGE_REVOKED)
				count[number_of(&held.batch[i]->change[c])]++;
	return held.n;
}

/* Each of [from, to) is in the log so often. */
static void expect_count(uint32_t from, uint32_t to, int times)
{
	for (uint32_t i = from; i < to; i++)
		if (count[i] != times)
			fail_msg("%u is in the log %d times", i, count[i]);
}

static struct change_told pointer;

static void on_pointer(void *arg, enum err e, const struct change_told *t)
{
	(void)arg, (void)e;
	pointer = *t;
}

static void expect_told(char name, uint32_t done, uint32_t total)
{
	uint8_t to[32];

	memset(to, name, sizeof to);
	change_log_told(memory, scope, on_pointer, NULL);
	assert_true(pointer.known);
	assert_memory_equal(pointer.to, to, 32);
	assert_int_equal(pointer.done, done);
	assert_int_equal(pointer.total, total);
}

static void ignore_end(void *arg, enum err e, const struct change_pos *p)
{
	(void)p;
	*(enum err *)arg = e;
}

/* As a node that has died left it. */
static void set_told(char from, char to, uint32_t done, uint32_t total)
{
	struct change_told next = {.known = true,
	    .this_update = WORLD_START - 1000 + to,
	    .done = done,
	    .total = total};
	enum err e;

	memset(next.from, from, 32);
	memset(next.to, to, 32);
	change_log_told(memory, scope, on_pointer, NULL);
	change_log_append(memory, NULL, scope, &pointer, &next, ignore_end, &e);
	assert_int_equal(e, ERR_OK);
}

/* Something that another node appends. */
static void append_foreign(uint32_t i)
{
	struct change_batch *b = change_batch_new(1);
	struct serial s = serial_of(i);
	enum err e;

	strcpy(b->issuer, "demo");
	b->n = 1;
	b->seen_at_ms = now_ms;
	crl_entry_set_serial(&b->change[0].entry, &s);
	b->change[0].entry.spare[0] = CHANGE_REVOKED;
	change_log_append(memory, b, NULL, NULL, NULL, ignore_end, &e);
	assert_int_equal(e, ERR_OK);
	change_batch_unref(b);
}

/* P37: the news follow one another, and each gap says so. */
static void expect_news_whole(const struct node *n)
{
	for (size_t i = 1; i < n->news_n; i++) {
		const struct change_pos *p = &n->news[i - 1].end, *q = &n->news[i].end;

		assert_true(change_pos_cmp(p, q) < 0);
		if (!n->news[i].gap)
			assert_true(q->epoch == p->epoch && q->seq == p->seq + 1);
	}
}

static const struct crl A = {'A', 0, 10, 1};
static const struct crl B = {'B', 0, 30010, 1}; /* three batches more */

/* Single changes. */

/* R72 */
static void a_single_change_is_in_the_log_as_the_answer_said(void **state)
{
	const struct change_batch *b;

	(void)state;
	tell_revoked(&node[0], 7, true);
	assert_int_equal(look(), 1);
	b = held.batch[0];
	assert_string_equal(b->issuer, "demo");
	assert_int_equal(b->evidence, CHANGE_OCSP);
	assert_false(b->has_number);
	assert_int_equal(b->seen_at_ms, now_ms);
	assert_int_equal(b->published_at, now_ms / 1000 - 5);
	assert_int_equal(b->n, 1);
	assert_int_equal(number_of(&b->change[0]), 7);
	assert_int_equal(change_now(&b->change[0]), CHANGE_REVOKED);
	assert_int_equal(change_before(&b->change[0]), CHANGE_GOOD);
	assert_int_equal(crl_entry_at(&b->change[0].entry), now_ms / 1000 - 60);
	assert_int_equal(crl_entry_reason(&b->change[0].entry), 1);
	assert_int_equal(metrics_sum(M_CHANGES_OCSP), 1);
	forget();
}

/* Second law: a reader that has not turned may still serve the old status. */
static void nothing_is_told_before_every_reader_has_turned(void **state)
{
	struct event_base *other = event_base_new();
	struct inbox *reader = inbox_new(other, NULL);

	(void)state;
	node[0].shared.readers[0] = reader;
	node[0].shared.readers_n = 1;
	tell_revoked(&node[0], 1, true);
	tell_list(&node[0], &A, &B);
	tell_revoked(&node[0], 2, true);
	tell_revoked(&node[0], 3, true);
	elapse(1000);
	assert_int_equal(look(), 0);
	event_base_loop(other, EVLOOP_NONBLOCK);
	elapse(10);
	assert_int_equal(look(), 1); /* all others are for the next rounds */
	for (int i = 0; i < 2; i++) {
		event_base_loop(other, EVLOOP_NONBLOCK);
		elapse(10);
	}
	assert_int_equal(look(), 6);
	assert_int_equal(count[2], 1);
	assert_int_equal(count[3], 1);
	forget();
	node[0].shared.readers_n = 0;
	inbox_free(reader);
	event_base_free(other);
}

/* T23: held back, tried again with back-off, and in the end all there. */
static void a_log_that_is_away_holds_changes_back_and_drops_none(void **state)
{
	struct node *n = &node[0];

	(void)state;
	n->gate->down = ERR_STORE;
	for (uint32_t i = 0; i < 300; i++)
		tell_revoked(n, i, i % 2 == 0);
	elapse(60000);
	assert_int_equal(look(), 0);
	/* 100 ms, 200 ms, ... 5 s and then about fourteen times a minute at most twice
	 * as often by chance; 64 a time */
	assert_in_range(n->gate->appends, 10, 30 * 64);
	n->gate->down = ERR_OK;
	elapse(5000);
	assert_int_equal(look(), 300);
	expect_count(0, 300, 1);
	for (size_t i = 0; i < 300; i++)
		assert_int_equal(number_of(&held.batch[i]->change[0]), i);
	forget();
}

/* P37: the moves of one certificate are in the log in their order, whatever fails. */
static void the_moves_of_a_certificate_keep_their_order(void **state)
{
	struct node *n = &node[0];

	(void)state;
	n->gate->slow = true;
	for (int round = 0; round < 20; round++) {
		tell_revoked(n, 1, false);
		tell_revoked(n, 2, false);
		tell_released(n, 1);
	}
	for (int i = 0; i < 2000; i++) {
		if (i < 500 && i % 3 == 0)
			n->gate->fail_next = 1;
		gate_pass(n->gate);
		elapse(50);
	}
	assert_int_equal(look(), 60);
	for (size_t i = 0, last = CHANGE_GOOD; i < held.n; i++) {
		const struct change *c = &held.batch[i]->change[0];

		if (number_of(c) != 1)
			continue;
		assert_int_not_equal(change_now(c), last);
		last = change_now(c);
	}
	assert_int_equal(count[2], 20);
	forget();
}

/* T23: killed between the latch and the log, the next life tells it, once. */
static void latches_that_were_not_told_are_told_at_the_start(void **state)
{
	struct node *n = &node[0];

	(void)state;
	n->gate->slow = true;
	tell_revoked(n, 5, true);
	latch(n, 6, false); /* was told long ago */
	again(n);
	assert_int_equal(look(), 0);
	telling_start(n->telling);
	turn();
	assert_int_equal(look(), 1);
	assert_int_equal(count[5], 1);
	again(n);
	telling_start(n->telling);
	turn();
	assert_int_equal(look(), 1);
	forget();
}

/* Redis compares each with what another node has told. */
static void on_a_shared_log_each_latch_is_told_alone(void **state)
{
	struct node *n = &node[0];

	(void)state;
	n->gate->slow = true;
	for (uint32_t i = 0; i < 1000; i++)
		tell_revoked(n, i, true);
	again(n);
	n->gate->shared = true;
	telling_start(n->telling);
	elapse(100);
	assert_int_equal(look(), 1000);
	expect_count(0, 1000, 1);
	forget();
}

static void many_latches_share_batches(void **state)
{
	struct node *n = &node[0];
	struct latch *l = calloc(25000, sizeof *l);

	(void)state;
	for (uint32_t i = 0; i < 25000; i++) {
		l[i] = (struct latch){.serial = serial_of(i),
		    .reason = 1,
		    .set_at = now_ms / 1000,
		    .untold = true};
		memcpy(l[i].ca_id, demo()->ca[0].id, 32);
	}
	l[24999].ca_id[0] ^= 1; /* of a CA that is not configured any more */
	assert_int_equal(latch_file_put(n->latch_file, l, 25000), ERR_OK);
	again(n);
	telling_start(n->telling);
	turn();
	assert_int_equal(look(), 3);
	expect_count(0, 24999, 1);
	for (uint32_t i = 1; i < held.batch[0]->n; i++)
		assert_true(crl_entry_cmp(&held.batch[0]->change[i - 1].entry,
				&held.batch[0]->change[i].entry) < 0);
	again(n);
	assert_true(latches_find(n->latches, demo(), &l[0].serial) != NULL);
	assert_false(latches_find(n->latches, demo(), &l[0].serial)->untold);
	telling_start(n->telling);
	turn();
	assert_int_equal(look(), 3);
	forget();
	free(l);
}

/* Lists. */

/* R72 */
static void the_changes_of_a_list_are_in_the_log_batch_by_batch(void **state)
{
	struct node *n = &node[0];
	uint32_t before = 0;

	(void)state;
	tell_list(n, NULL, &A);
	turn();
	assert_int_equal(n->done, 1);
	assert_int_equal(look(), 0); /* a baseline makes no changes */
	expect_told('A', 0, 0);
	tell_list(n, &A, &B);
	assert_int_equal(n->done, 1); /* done comes from the loop */
	turn();
	assert_int_equal(n->done, 2);
	assert_int_equal(n->outcome, ERR_OK);
	expect_told('B', 3, 3);
	assert_int_equal(look(), 3);
	expect_count(10, 30010, 1);
	for (size_t i = 0; i < 3; i++) {
		assert_int_equal(held.batch[i]->n, 10000);
		assert_int_equal(held.batch[i]->evidence, CHANGE_CRL);
		assert_true(held.batch[i]->has_number);
		assert_int_equal(held.batch[i]->number[CRL_NUMBER_MAX - 1], 'B');
		assert_int_equal(held.batch[i]->published_at, WORLD_START - 1000 + 'B');
		before += held.batch[i]->n;
	}
	assert_int_equal(metrics_sum(M_CHANGES_CRL), before);
	tell_list(n, &B, &B); /* again, as after a restart */
	turn();
	assert_int_equal(n->done, 3);
	assert_int_equal(look(), 3);
	forget();
}

/* A list without changes moves the pointer alone. */
static void a_list_that_says_nothing_new_is_told_by_the_pointer(void **state)
{
	struct crl same = {'C', 0, 10, 1};

	(void)state;
	tell_list(&node[0], NULL, &A);
	turn();
	tell_list(&node[0], &A, &same);
	turn();
	assert_int_equal(node[0].done, 2);
	expect_told('C', 0, 0);
	assert_int_equal(look(), 0);
	forget();
}

/* T23: kill -9 behind the k-th call, done or not: each batch is in the log once. */
static void killed_anywhere_a_list_is_told_once(void **state)
{
	struct node *n = &node[0];

	for (int k = 0; k < 8; k++) {
		for (int heard = 0; heard < 2; heard++) {
			if (k + heard > 0) {
				end(state);
				begin(state);
			}
			set_told('0', 'A', 0, 0);
			n->gate->slow = true;
			tell_list(n, &A, &B);
			for (int i = 0; i < k; i++) {
				turn();
				gate_pass(n->gate);
			}
			turn();
			if (!heard) { /* done, and then nobody hears of it */
				n->gate->deaf = true;
				gate_pass(n->gate);
			}
			again(n);
			tell_list(n, &A, &B);
			elapse(3000);
			assert_int_equal(n->done, 1);
			expect_told('B', 3, 3);
			assert_int_equal(look(), 3);
			expect_count(10, 30010, 1);
		}
	}
	forget();
}

/* A store that did it and answered too late. */
static void an_append_that_timed_out_is_not_repeated(void **state)
{
	struct node *n = &node[0];

	(void)state;
	set_told('0', 'A', 0, 0);
	n->gate->shared = true;
	n->gate->deaf = true;
	tell_list(n, &A, &B);
	elapse(60);
	n->gate->deaf = false;
	elapse(1000);
	assert_int_equal(n->done, 1);
	assert_int_equal(look(), 3);
	expect_count(10, 30010, 1);
	/* the API has them all the same */
	telling_grown(n->telling);
	turn();
	assert_int_equal(n->news_n, 3);
	expect_news_whole(n);
	forget();
}

/* Two nodes, one log, calls in any order, and now and then one of them is killed. */
static void two_nodes_tell_a_list_once(void **state)
{
	unsigned seed = 1;

	for (int round = 0; round < 60; round++) {
		bool killed = false;

		end(state);
		begin(state);
		set_told('0', 'A', 0, 0);
		for (int i = 0; i < NODES; i++) {
			node[i].gate->slow = node[i].gate->shared = true;
			tell_list(&node[i], &A, &B);
		}
		for (int i = 0; i < 200 && node[0].done + node[1].done < 2; i++) {
			struct node *n = &node[rand_r(&seed) % NODES];
			unsigned dice = (unsigned)rand_r(&seed) % 100;

			gate_pass(n->gate);
			elapse(dice < 20 ? 300 : 0);
			if (dice != 99 || killed || n->done > 0)
				continue;
			killed = true;
			again(n);
			n->gate->slow = n->gate->shared = true;
			tell_list(n, &A, &B);
		}
		for (int i = 0; i < 100; i++) {
			while (gate_pass(node[0].gate) || gate_pass(node[1].gate))
				turn();
			elapse(100);
		}
		for (int i = 0; i < NODES; i++) {
			assert_int_equal(node[i].done, 1);
			assert_int_equal(node[i].outcome, ERR_OK);
		}
		assert_int_equal(look(), 3);
		expect_count(10, 30010, 1);
		expect_told('B', 3, 3);
	}
	forget();
}

static void a_node_goes_on_where_another_died(void **state)
{
	struct node *n = &node[0];

	(void)state;
	set_told('A', 'B', 1, 3); /* one batch was told */
	n->gate->shared = true;
	tell_list(n, &A, &B);
	elapse(1900);
	assert_int_equal(look(), 0); /* it may still be at it */
	elapse(400);
	assert_int_equal(n->done, 1);
	assert_int_equal(look(), 2);
	expect_told('B', 3, 3);
	forget();
}

static void a_node_that_moves_is_not_overtaken(void **state)
{
	struct node *n = &node[0];

	(void)state;
	n->gate->shared = true;
	set_told('A', 'B', 0, 3);
	tell_list(n, &A, &B);
	for (uint32_t i = 1; i <= 3; i++) {
		elapse(1500);
		assert_int_equal(n->done, 0);
		set_told('A', 'B', i, 3);
	}
	elapse(300);
	assert_int_equal(n->done, 1);
	assert_int_equal(n->gate->appends, 0);
}

/* Another list is under way: it ends, or its node was killed.  A newer one is not
 * believed before it is complete. */
static void another_list_is_waited_for_and_overtaken_when_it_stands_still(void **state)
{
	struct node *n = &node[0];

	(void)state;
	n->gate->shared = true;
	set_told('A', 'Z', 1, 5); /* newer */
	tell_list(n, &A, &B);
	elapse(4000);
	assert_int_equal(n->done, 0);
	set_told('A', 'Z', 5, 5);
	elapse(300);
	assert_int_equal(n->done, 1);
	assert_int_equal(n->outcome, ERR_OK);
	expect_told('Z', 5, 5);
	assert_int_equal(look(), 0);

	set_told('A', 'Z', 1, 5);
	tell_list(n, &A, &B);
	elapse(4900);
	assert_int_equal(n->done, 1);
	elapse(500);
	assert_int_equal(n->done, 2);
	expect_told('B', 3, 3);
	assert_int_equal(look(), 3);
	expect_count(10, 30010, 1);
	forget();
}

static void alone_nobody_is_waited_for(void **state)
{
	struct node *n = &node[0];

	(void)state;
	set_told('A', 'Z', 1, 5);
	tell_list(n, &A, &B);
	turn();
	assert_int_equal(n->done, 1);
	expect_told('B', 3, 3);
	assert_int_equal(look(), 3);
	forget();
}

/* Older than what was told last, by a node that slept: what it has is in what was. */
static void a_list_that_is_behind_is_told_already(void **state)
{
	struct node *n = &node[0];

	(void)state;
	set_told('A', 'Z', 5, 5);
	tell_list(n, &A, &B);
	turn();
	assert_int_equal(n->done, 1);
	expect_told('Z', 5, 5);
	assert_int_equal(look(), 0);
	forget();
}

/* R95, T23: a list that begins a new count is dated before what others have told, which
 * holds nothing of it; and what follows it goes on from there. */
static void a_new_count_is_told_whatever_was_told_before(void **state)
{
	struct node *n = &node[0];
	struct crl c = {'C', 0, 20010, 1};

	(void)state;
	n->gate->shared = true;
	set_told('A', 'Z', 5, 5);
	list_warnings = CRL_WARN_ACCEPTED;
	tell_list(n, &A, &B);
	list_warnings = 0;
	turn();
	assert_int_equal(n->done, 1);
	expect_told('B', 3, 3);
	assert_int_equal(look(), 3);
	forget();
	tell_list(n, &B, &c);
	turn();
	assert_int_equal(n->done, 2);
	expect_told('C', 1, 1);
}

/* The pointer stands at a list that we never saw, older than ours: from our own base. */
static void from_an_older_base_more_is_told_than_needed(void **state)
{
	struct node *n = &node[0];
	struct crl d = {'D', 0, 20010, 1};

	(void)state;
	set_told('A', 'B', 3, 3); /* not ours */
	tell_list(n, &A, &d);
	turn();
	assert_int_equal(n->done, 1);
	expect_told('D', 2, 2);
	assert_int_equal(look(), 2);
	forget();
}

static void without_a_base_another_node_is_waited_for(void **state)
{
	struct node *n = &node[0];

	(void)state;
	n->gate->shared = true;
	set_told('0', 'A', 0, 0);
	tell_list(n, NULL, &B);
	elapse(5000);
	assert_int_equal(n->done, 0);
	set_told('A', 'B', 3, 3);
	elapse(600);
	assert_int_equal(n->done, 1);
	assert_int_equal(n->gate->epochs, 0);

	set_told('0', 'A', 0, 0);
	tell_list(n, NULL, &B);
	elapse(9900);
	assert_int_equal(n->done, 1);
	elapse(700);
	assert_int_equal(n->done, 2);
	assert_int_equal(n->gate->epochs, 1);
	expect_told('B', 0, 0);
}

/* A node that has told all it has, and starts while another tells a newer list, has
 * nothing to add, however long that takes: no gap. */
static void who_has_told_its_list_leaves_a_newer_one_to_others(void **state)
{
	struct node *n = &node[0];

	(void)state;
	n->gate->shared = true;
	set_told('A', 'B', 1, 3);
	tell_list(n, &A, &A);
	elapse(30000);
	assert_int_equal(n->done, 1);
	assert_int_equal(n->gate->epochs, 0);
	expect_told('B', 1, 3);
}

/* The files of the state directory are gone, the log is not: a gap, and it is told. */
static void without_a_base_and_alone_there_is_a_gap(void **state)
{
	struct node *n = &node[0];
	uint32_t epoch;

	(void)state;
	tell_revoked(n, 1, true);
	turn();
	assert_int_equal(n->news_n, 1);
	epoch = n->news[0].end.epoch;
	set_told('0', 'A', 0, 0);
	tell_list(n, NULL, &B);
	turn();
	assert_int_equal(n->done, 1);
	expect_told('B', 0, 0);
	assert_int_equal(n->news_n, 2);
	assert_true(n->news[1].gap);
	assert_true(n->news[1].end.epoch > epoch);
	tell_list(n, NULL, &B); /* lost again: there is nothing to be told */
	turn();
	assert_int_equal(n->done, 2);
	assert_int_equal(n->gate->epochs, 1);
}

/* T23: a node that has lost what it told does not believe that nothing was. */
static void what_was_told_and_is_lost_is_a_gap(void **state)
{
	struct metrics_text t = {0};
	struct node *n = &node[0];

	(void)state;
	lost = true;
	tell_list(n, NULL, &A); /* the log knows nothing of the scope */
	turn();
	assert_int_equal(n->done, 1);
	assert_int_equal(n->gate->epochs, 1);
	expect_told('A', 0, 0);
	n->gate->down = ERR_STORE;
	tell_list(n, NULL, &B);
	turn();
	n->gate->down = ERR_OK;
	n->gate->shared = true;
	elapse(6000);
	telling_gauges(n->telling, &t);
	assert_non_null(strstr(t.p, "\nocspcached_changes_waiting 1\n")); /* the gap */
	free(t.p);
	elapse(6000);
	assert_int_equal(n->gate->epochs, 2);
	expect_told('B', 0, 0);
	tell_list(n, NULL, &B); /* all of it is told */
	turn();
	assert_int_equal(n->gate->epochs, 2);
	assert_int_equal(n->done, 3);
	lost = false;
}

/* What is logged from begin to end; to be freed. */
static FILE *log_file;
static int real_stderr;

static void log_begin(void)
{
	log_file = tmpfile();
	real_stderr = dup(STDERR_FILENO);
	assert_true(log_file != NULL && dup2(fileno(log_file), STDERR_FILENO) >= 0);
	log_setup(LEVEL_INFO, LOG_FORMAT_LOGFMT, 0);
}

static char *log_end(void)
{
	char *text = calloc(1, 1 << 16);

	log_setup(LEVEL_ERROR, LOG_FORMAT_LOGFMT, 0);
	dup2(real_stderr, STDERR_FILENO);
	close(real_stderr);
	rewind(log_file);
	assert_true(fread(text, 1, (1 << 16) - 1, log_file) > 0);
	fclose(log_file);
	return text;
}

static int occurrences(const char *text, const char *of)
{
	int n = 0;

	for (; (text = strstr(text, of)) != NULL; text += strlen(of))
		n++;
	return n;
}

/* A log that takes the one and not the other is not up again with every one that it
 * takes: both are told, and each until it is over. */
static void a_list_that_the_log_does_not_take_is_told_of(void **state)
{
	struct node *n = &node[0];
	char *text;

	(void)state;
	n->gate->fail_scoped = true;
	log_begin();
	tell_list(n, &A, &B);
	turn();
	for (uint32_t i = 1; i < 61; i++) {
		tell_revoked(n, i, true);
		elapse(1000);
	}
	n->gate->fail_scoped = false;
	elapse(6000);
	text = log_end();
	assert_int_equal(occurrences(text, "event=changes_held_back"), 1);
	assert_int_equal(
	    occurrences(text, "event=changes_not_told of=demo err=store"), 1);
	assert_int_equal(occurrences(text, "event=changes_flow_again"), 1);
	free(text);
	assert_int_equal(n->done, 1);
}

static void a_list_waits_for_a_log_that_is_away(void **state)
{
	struct node *n = &node[0];

	(void)state;
	set_told('0', 'A', 0, 0);
	n->gate->down = ERR_STORE;
	tell_list(n, &A, &B);
	elapse(60000);
	assert_int_equal(n->done, 0);
	assert_in_range(n->gate->told, 10, 40);
	n->gate->down = ERR_OK;
	n->gate->fail_next = 3;
	elapse(20000);
	assert_int_equal(n->done, 1);
	assert_int_equal(look(), 3);
	expect_count(10, 30010, 1);
	forget();
}

static void a_cancelled_list_ends_once(void **state)
{
	struct node *n = &node[0];

	(void)state;
	n->gate->slow = true;
	tell_list(n, &A, &B);
	turn();
	gate_pass(n->gate);
	turn();
	gate_pass(n->gate);
	telling_cancel(n->telling);
	assert_int_equal(n->done, 1);
	assert_int_equal(n->outcome, ERR_CANCELLED);
	while (gate_pass(n->gate))
		turn();
	assert_int_equal(n->done, 1);
	tell_list(n, &A, &B);
	turn();
	assert_int_equal(n->done, 2);
	assert_int_equal(n->outcome, ERR_CANCELLED);
	tell_revoked(n, 1, true); /* singles still go */
	turn();
	gate_pass(n->gate);
	look();
	assert_int_equal(count[1], 1);
	forget();
}

/* Freed while the barrier still has it, in either order. */
static void it_may_end_inside_a_barrier(void **state)
{
	struct event_base *other = event_base_new();
	struct inbox *reader = inbox_new(other, NULL);
	struct node *n = &node[0];

	(void)state;
	n->shared.readers[0] = reader;
	n->shared.readers_n = 1;
	tell_revoked(n, 1, true);
	tell_list(n, &A, &B);
	turn();
	telling_cancel(n->telling);
	assert_int_equal(n->outcome, ERR_CANCELLED);
	telling_free(n->telling);
	event_base_loop(other, EVLOOP_NONBLOCK);
	turn();
	n->gate = gate_new(memory);
	n->telling = telling_new(&n->context, n->latches, n->latch_file, &n->gate->log);
	tell_revoked(n, 2, true);
	tell_list(n, &A, &B);
	n->shared.readers_n = 0;
	inbox_free(reader); /* the probe comes back, and what waits is done */
	turn();
	assert_int_equal(look(), 4);
	forget();
	event_base_free(other);
}

/* The filter. */

static void hold_in_memory(struct node *n, uint32_t i, int64_t obtained_at)
{
	struct facts f = {.status = STATUS_REVOKED,
	    .reason = REASON_CERTIFICATE_HOLD,
	    .next_update = now_ms / 1000 + 1000,
	    .signer_not_after = INT64_MAX};
	struct serial s = serial_of(i);
	struct answer *a;
	struct key k;

	issuer_key(demo(), 0, CERTID_SHA256, &s, &k);
	a = answer_new(&k, &f, bytes_of("h", 1), bytes_of("b", 1));
	a->expiry = facts_expiry(&f);
	a->obtained_at = obtained_at;
	assert_int_equal(hot_put(n->shared.hot, a), ERR_OK);
}

/* R72: a second evidence for the same status is no change. */
static void what_was_told_before_is_not_told_by_the_list(void **state)
{
	struct crl holds = {'B', 0, 100, REASON_CERTIFICATE_HOLD};
	struct node *n = &node[0];
	struct latch listed;

	(void)state;
	set_told('0', 'A', 0, 0);
	latch(n, 20, false);           /* told */
	latch(n, 21, true);            /* not yet */
	listed = *latch(n, 22, false); /* left to the list */
	((struct latch *)(uintptr_t)latches_find(n->latches, demo(), &listed.serial))
	    ->listed = true;
	hold_in_memory(n, 30, now_ms / 1000 - 10); /* told when it came */
	hold_in_memory(n, 31, now_ms / 1000 - 4);  /* came when a list said so */
	tell_list(n, &A, &holds);
	turn();
	assert_int_equal(n->done, 1);
	look();
	assert_int_equal(count[20], 0);
	assert_int_equal(count[21], 1);
	assert_int_equal(count[22], 1);
	assert_int_equal(count[30], 0);
	assert_int_equal(count[31], 1);
	expect_count(32, 100, 1);
	again(n); /* and the mark is gone from the disk */
	telling_start(n->telling);
	turn();
	look();
	assert_int_equal(count[21], 1);
	forget();
}

/* A latch whose change waits in memory is told by the list, and not by both. */
static void a_latch_that_waits_is_told_by_who_comes_first(void **state)
{
	struct node *n = &node[0];

	(void)state;
	set_told('0', 'A', 0, 0);
	n->gate->down = ERR_STORE;
	tell_revoked(n, 50, true);
	elapse(10000); /* begun: it stays with the single change */
	n->gate->down = ERR_OK;
	tell_list(n, &A, &B);
	elapse(10000);
	assert_int_equal(n->done, 1);
	look();
	assert_int_equal(count[50], 1);

	n->gate->slow = true;
	for (uint32_t i = 0; i < 64; i++) /* all that may be in flight */
		tell_revoked(n, 40000 + i, false);
	tell_revoked(n, 30500, true); /* waits behind them */
	n->gate->slow = false;
	tell_list(n, &B, &(struct crl){'C', 0, 31000, 1});
	turn();
	assert_int_equal(n->done, 2);
	while (gate_pass(n->gate))
		turn();
	look();
	assert_int_equal(count[30500], 1);
	expect_count(40000, 40064, 1);
	forget();
}

/* What an append took and could not tell is in the next one, whoever moved meanwhile. */
static void what_a_failed_append_took_is_not_lost(void **state)
{
	struct node *n = &node[0];
	struct latch listed;

	(void)state;
	set_told('0', 'A', 0, 0);
	latch(n, 21, true);
	listed = *latch(n, 22, false);
	((struct latch *)(uintptr_t)latches_find(n->latches, demo(), &listed.serial))
	    ->listed = true;
	n->gate->fail_next = 1;
	tell_list(n, &A, &B);
	elapse(10000);
	assert_int_equal(n->done, 1);
	look();
	expect_count(10, 30010, 1);
	forget();
}

/* While a latch or an answer says revoked, leaving the list is no move. */
static void who_is_revoked_elsewhere_is_not_released(void **state)
{
	struct crl holds = {'A', 0, 100, REASON_CERTIFICATE_HOLD};
	struct crl none = {'B', 0, 0, 0};
	struct node *n = &node[0];
	bool released[100] = {0};

	(void)state;
	set_told('0', 'A', 0, 0);
	latch(n, 20, false);
	hold_in_memory(n, 30, now_ms / 1000 + 1);
	tell_list(n, &holds, &none);
	turn();
	assert_int_equal(look(), 1);
	for (uint32_t i = 0; i < held.batch[0]->n; i++) {
		assert_int_equal(change_now(&held.batch[0]->change[i]), CHANGE_GOOD);
		released[number_of(&held.batch[0]->change[i])] = true;
	}
	for (int i = 0; i < 100; i++)
		assert_int_equal(released[i], i != 20 && i != 30);
	forget();
}

/* R72: what another list of the issuer says already is nobody's news, and moves no
 * boundary. */
static void what_another_list_says_is_not_told(void **state)
{
	struct node *n = &node[0];

	(void)state;
	set_told('0', 'A', 0, 0);
	moot = 12000;
	tell_list(n, &A, &B);
	moot = 0;
	turn();
	assert_int_equal(n->done, 1);
	expect_told('B', 3, 3);
	assert_int_equal(look(), 2);
	assert_int_equal(held.batch[0]->n, 8000);
	for (uint32_t i = 0; i < held.batch[0]->n; i++)
		assert_int_equal(crl_entry_shard(&held.batch[0]->change[i].entry), 0);
	forget();
}

/* Another node goes on by the diff: an emptied batch still moves the pointer. */
static void the_filter_moves_no_boundary(void **state)
{
	struct node *n = &node[0];
	struct crl old = {'A', 0, 0, 1}, new = {'B', 0, 25000, 1};
	struct latch *l = calloc(25000, sizeof *l);

	(void)state;
	set_told('0', 'A', 0, 0);
	for (uint32_t i = 0; i < 25000; i++) {
		l[i] = (struct latch){.serial = serial_of(i), .reason = 1};
		memcpy(l[i].ca_id, demo()->ca[0].id, 32);
		assert_int_equal(latches_add(n->latches, &l[i], NULL), ERR_OK);
	}
	free(l);
	tell_list(n, &old, &new);
	turn();
	assert_int_equal(n->done, 1);
	expect_told('B', 3, 3);
	assert_int_equal(look(), 0);
	forget();
}

/* News. */

/* P37 */
static void news_are_the_log_whoever_wrote_it(void **state)
{
	struct node *n = &node[0];
	struct change_pos at;

	(void)state;
	for (uint32_t i = 0; i < 50; i++) {
		if (i % 7 == 3)
			append_foreign(1000 + i);
		if (i % 11 == 5)
			n->gate->slow = !n->gate->slow;
		tell_revoked(n, i, true);
		turn();
		if (i % 5 == 4)
			while (gate_pass(n->gate))
				turn();
	}
	n->gate->slow = false;
	while (gate_pass(n->gate))
		turn();
	append_foreign(2000);
	telling_grown(n->telling);
	telling_grown(n->telling);
	turn();
	assert_int_equal(n->news_n, look());
	expect_news_whole(n);
	telling_end(n->telling, &at);
	assert_int_equal(change_pos_cmp(&at, &held.newest), 0);
	/* after a snapshot: what others told may be news to this node, on a shared log */
	telling_known_from(n->telling, &at);
	assert_int_equal(change_pos_cmp(&at, &held.newest), 0);
	n->gate->shared = true;
	telling_known_from(n->telling, &at);
	assert_int_equal(change_pos_cmp(&at, &held.oldest), 0);
	n->gate->shared = false;
	/* its own need no reading when nobody is in between */
	n->gate->reads = 0;
	tell_revoked(n, 500, true);
	turn();
	assert_int_equal(n->gate->reads, 0);
	assert_int_equal(n->news_n, look());
	forget();
}

/* Asked for before an append, answered behind it. */
static void a_page_that_comes_late_repeats_nothing(void **state)
{
	struct node *n = &node[0];

	(void)state;
	n->gate->slow = true;
	tell_revoked(n, 1, true);
	append_foreign(2);
	telling_grown(n->telling);
	turn();
	gate_pass(n->gate); /* the append, not the next of what the API knows */
	tell_revoked(n, 3, true);
	turn();
	while (gate_pass(n->gate))
		turn();
	assert_int_equal(look(), 3);
	assert_int_equal(n->news_n, 3);
	tell_revoked(n, 4, true);
	telling_grown(n->telling);
	turn();
	while (gate_pass(n->gate))
		turn();
	assert_int_equal(n->news_n, 4);
	expect_news_whole(n);
	forget();
}

static void a_new_epoch_is_a_gap(void **state)
{
	struct node *n = &node[0];
	enum err e;

	(void)state;
	tell_revoked(n, 1, true);
	turn();
	change_log_new_epoch(memory, ignore_end, &e); /* another node */
	append_foreign(2);
	telling_grown(n->telling);
	turn();
	tell_revoked(n, 3, true);
	turn();
	assert_int_equal(n->news_n, 3);
	assert_true(n->news[1].gap);
	assert_false(n->news[2].gap);
	assert_int_equal(n->news[2].end.seq, 2);
	expect_news_whole(n);
}

/* P37: what another node appended behind it comes before the word that our epoch has
 * begun: nobody is sent back. */
static void a_page_of_our_epoch_may_come_before_its_word(void **state)
{
	struct node *n = &node[0];

	(void)state;
	tell_revoked(n, 1, true);
	turn();
	set_told('0', 'A', 0, 0);
	n->gate->epoch_late = true;
	tell_list(n, NULL, &B);
	turn();
	assert_int_equal(n->gate->epochs, 1);
	append_foreign(2);
	telling_grown(n->telling);
	turn();
	append_foreign(3);
	telling_grown(n->telling);
	turn();
	assert_int_equal(n->news_n, 3);
	assert_true(n->news[1].gap);
	gate_word(n->gate);
	turn();
	assert_int_equal(n->done, 1);
	expect_told('B', 0, 0);
	assert_int_equal(n->news_n, 3);
	expect_news_whole(n);
}

/* A million changes never pile up with an API that is slow. */
static void news_have_a_bound(void **state)
{
	struct node *n = &node[0];
	struct crl all = {'B', 0, SERIALS, 1};
	size_t bytes = 0, most = TELLING_NEWS_MAX + CHANGE_BATCH_MAX * 32 + 4096;
	uint64_t changes = 0;

	(void)state;
	set_told('0', 'A', 0, 0);
	n->keep = true;
	tell_list(n, &A, &all);
	elapse(2000);
	assert_int_equal(n->done, 1);
	for (int i = 0; i < 10; i++) {
		bytes = 0;
		for (size_t k = 0; k < n->kept_n; k++)
			bytes += n->kept[k]->batch->n * 32u;
		if (changes == 0)
			assert_true(bytes > TELLING_NEWS_MAX - 400000);
		assert_true(bytes < most);
		changes += bytes / 32;
		give_back(n);
		elapse(20);
	}
	assert_int_equal(changes, SERIALS - 10);
	expect_news_whole(n);
	assert_int_equal(look(), 120);
	expect_count(10, SERIALS, 1);
	forget();
}

static void without_a_listener_nothing_is_read(void **state)
{
	struct node *n = &node[0];

	(void)state;
	telling_free(n->telling);
	n->gate = gate_new(memory);
	n->telling = telling_new(&n->context, n->latches, n->latch_file, &n->gate->log);
	tell_revoked(n, 1, true);
	append_foreign(2);
	telling_grown(n->telling);
	turn();
	assert_int_equal(n->gate->reads, 0);
	assert_int_equal(n->news_n, 0);
}

/* News that the API still has when the keeper is gone. */
static void news_outlive_the_telling(void **state)
{
	struct node *n = &node[0];

	(void)state;
	n->keep = true;
	tell_revoked(n, 1, true);
	turn();
	telling_free(n->telling);
	assert_int_equal(n->kept_n, 1);
	assert_int_equal(number_of(&n->kept[0]->batch->change[0]), 1);
	give_back(n);
	n->gate = gate_new(memory);
	n->telling = telling_new(&n->context, n->latches, n->latch_file, &n->gate->log);
}

/* Questions. */

static int answers;

static void on_answer(void *inbox_arg, struct question *q)
{
	assert_ptr_equal(inbox_arg, q->owner);
	answers++;
}

static void ask(struct node *n, struct telling_ask *a, size_t max_bytes)
{
	struct change_pos from = a->from;

	*a = (struct telling_ask){
	    .question = {.reply_to = n->api, .done = on_answer, .owner = n},
	    .telling = n->telling,
	    .from = from,
	    .max_bytes = max_bytes};
	question_ask(&a->question, inbox, telling_read);
}

static void drop_pages(struct telling_ask *a)
{
	for (size_t i = 0; i < a->n; i++)
		change_batch_unref(a->batches[i]);
	free(a->batches);
}

static void what_was_before_can_be_asked_for(void **state)
{
	struct node *n = &node[0];
	struct telling_ask a = {0};

	(void)state;
	answers = 0;
	for (uint32_t i = 0; i < 10; i++)
		tell_revoked(n, i, true);
	ask(n, &a, SIZE_MAX);
	turn();
	assert_int_equal(answers, 1);
	assert_int_equal(a.error, ERR_OK);
	assert_int_equal(a.n, 10);
	assert_false(a.gap);
	assert_int_equal(number_of(&a.batches[9]->change[0]), 9);
	a.from = a.oldest;
	a.from.epoch++;
	drop_pages(&a);
	ask(n, &a, SIZE_MAX);
	turn();
	assert_int_equal(answers, 2);
	assert_true(a.gap);
	assert_int_equal(a.n, 0);
	n->gate->down = ERR_STORE;
	ask(n, &a, SIZE_MAX);
	turn();
	assert_int_equal(a.error, ERR_STORE);
}

static void a_stop_answers_every_question(void **state)
{
	struct node *n = &node[0];
	struct telling_ask a = {0}, b = {0};

	(void)state;
	answers = 0;
	tell_revoked(n, 1, true);
	n->gate->slow = true;
	ask(n, &a, SIZE_MAX);
	append_foreign(3);
	telling_grown(n->telling); /* a page of news is under way too */
	turn();
	telling_cancel(n->telling);
	turn();
	assert_int_equal(answers, 1);
	assert_int_equal(a.error, ERR_CANCELLED);
	ask(n, &b, SIZE_MAX);
	turn();
	assert_int_equal(answers, 2);
	assert_int_equal(b.error, ERR_CANCELLED);
	assert_int_equal(n->news_n, 1);
	telling_cancel(n->telling); /* again, as it is freed */
	tell_revoked(n, 2, true);   /* the log gets it, the API nothing more */
	telling_grown(n->telling);
	turn();
	while (gate_pass(n->gate)) /* the log answers when nobody asks any more */
		turn();
	assert_int_equal(answers, 2);
	assert_int_equal(n->news_n, 1);
	assert_int_equal(look(), 3);
	forget();
}

/* Upkeep. */

#define DAY_MS 86400000

/* Time passes by the minute, as far as timers of minutes go. */
static void minutes(int64_t ms)
{
	for (int64_t end = mono_ms + ms; mono_ms < end;) {
		mono_ms += 60000;
		now_ms += 60000;
		set_time();
		turn();
	}
}

static void step(int64_t ms)
{
	now_ms += ms;
	set_time();
}

/* Each minute, once the clock has been right for a day, as two looks found it (T20). */
static void what_is_older_than_events_keep_goes(void **state)
{
	struct node *n = &node[0];

	(void)state;
	telling_start(n->telling);
	minutes(DAY_MS - 60000);
	assert_int_equal(n->gate->trims, 0);
	minutes(60000);
	assert_int_equal(n->gate->trims, 1);
	assert_in_range(
	    n->gate->trimmed_before, now_ms / 1000 - 3662, now_ms / 1000 - 3658);
	minutes(60000);
	assert_int_equal(n->gate->trims, 2);
}

/* T20: for a second at the start, and ten days ahead for a minute. */
static void a_clock_that_is_ahead_for_a_while_trims_nothing(void **state)
{
	struct node *n = &node[0];

	(void)state;
	step(500 * (int64_t)DAY_MS);
	telling_start(n->telling);
	elapse(1000);
	step(-500 * (int64_t)DAY_MS);
	minutes(DAY_MS);
	assert_int_equal(n->gate->trims, 0);
	minutes(120000);
	assert_in_range(n->gate->trims, 1, 3);
	assert_true(n->gate->trimmed_before <= now_ms / 1000 - 3600);
	n->gate->trims = 0;
	step(10 * (int64_t)DAY_MS);
	minutes(60000);
	step(-10 * (int64_t)DAY_MS);
	minutes(DAY_MS - 60000);
	assert_int_equal(n->gate->trims, 0);
	minutes(180000);
	assert_in_range(n->gate->trims, 1, 4);
	assert_true(n->gate->trimmed_before <= now_ms / 1000 - 3600);
}

static void the_gauges_say_what_waits(void **state)
{
	struct metrics_text t = {0};
	struct node *n = &node[0];

	(void)state;
	n->gate->down = ERR_STORE;
	tell_revoked(n, 1, true);
	tell_list(n, &A, &B);
	elapse(1000);
	telling_gauges(n->telling, &t);
	assert_non_null(strstr(t.p, "\nocspcached_changes_waiting 30001\n"));
	assert_non_null(strstr(t.p, "\nocspcached_events_log_up 0\n"));
	free(t.p);
	t = (struct metrics_text){0};
	n->gate->down = ERR_OK;
	elapse(10000);
	telling_gauges(n->telling, &t);
	assert_non_null(strstr(t.p, "\nocspcached_changes_waiting 0\n"));
	assert_non_null(strstr(t.p, "\nocspcached_events_log_up 1\n"));
	free(t.p);
}

/* A second of the keeper's ticks. */
static void tick(struct node *n, int seconds)
{
	for (int i = 0; i < seconds; i++) {
		elapse(1000);
		telling_tick(n->telling);
	}
}

static void the_health_says_for_how_long_nothing_moved_and_why(void **state)
{
	struct node *n = &node[0];
	struct telling_health h;

	(void)state;
	tick(n, 3);
	telling_health(n->telling, &h);
	assert_true(h.log.up && h.waiting == 0 && h.waiting_ms == 0);
	n->gate->down = ERR_STORE_FULL;
	tell_revoked(n, 1, true);
	tick(n, 10);
	telling_health(n->telling, &h);
	assert_false(h.log.up);
	assert_int_equal(h.waiting, 1);
	assert_in_range(h.waiting_ms, 10000, 11000);
	assert_int_equal(h.why, ERR_STORE_FULL);
	n->gate->down = ERR_OK;
	tick(n, 10);
	telling_health(n->telling, &h);
	assert_true(h.log.up && h.waiting == 0 && h.waiting_ms == 0 && h.why == ERR_OK);
	/* there is always one that waits, but not the same: they get there */
	for (uint32_t i = 2; i < 12; i++) {
		n->gate->down = ERR_STORE;
		tell_revoked(n, i, true);
		tick(n, 1);
		telling_health(n->telling, &h);
		assert_int_equal(h.waiting, 1);
		assert_in_range(h.waiting_ms, 0, 2000);
		n->gate->down = ERR_OK;
		tick(n, 2);
	}
}

/* Certificates 1 to `to` are revoked, for good. */
static void tell_latched(struct node *n, uint32_t to)
{
	struct latch l = {.untold = true};
	struct single_change c = {
	    .issuer = demo(), .now = CHANGE_REVOKED, .before = CHANGE_GOOD, .latch = &l};

	memcpy(l.ca_id, demo()->ca[0].id, sizeof l.ca_id);
	for (uint32_t i = 1; i <= to; i++) {
		c.serial = serial_of(i);
		telling_single(n->telling, &c);
	}
}

/* T23: memory has a bound, the disk keeps what is over it; a person is told, each time
 * that it comes to that, and once. */
static void a_million_waiting_changes_leave_the_oldest_to_the_disk(void **state)
{
	struct node *n = &node[0];
	char *text;

	(void)state;
	n->gate->shared = true; /* one goes into the log, others wait: that is not it */
	tell_revoked(n, 1000002, false);
	tell_revoked(n, 1000003, false);
	turn();
	n->gate->shared = false;
	n->gate->down = ERR_STORE;
	log_begin();
	tell_released(n, 0); /* no latch keeps this one */
	latch(n, 1, true);
	tell_latched(n, 1000001);
	n->gate->down = ERR_OK;
	elapse(60000);
	text = log_end();
	assert_int_equal(occurrences(text, "event=changes_over_limit"), 1);
	assert_non_null(strstr(text, "event=changes_over_limit waiting=1000000 "));
	free(text);
	look();
	assert_int_equal(change_now(&held.batch[2]->change[0]), CHANGE_GOOD);
	expect_count(1, 3, 0);
	expect_count(3, 1000004, 1);
	forget();
	n->gate->down = ERR_STORE;
	log_begin();
	tell_latched(n, 1000001);
	text = log_end();
	assert_int_equal(occurrences(text, "event=changes_over_limit"), 1);
	free(text);
	again(n);
	telling_start(n->telling);
	turn();
	look();
	assert_int_equal(count[1], 1);
	forget();
}

#define CASE(f) cmocka_unit_test_setup_teardown(f, begin, end)

int main(void)
{
	const struct CMUnitTest tests[] = {
	    CASE(a_single_change_is_in_the_log_as_the_answer_said),
	    CASE(nothing_is_told_before_every_reader_has_turned),
	    CASE(a_log_that_is_away_holds_changes_back_and_drops_none),
	    CASE(the_moves_of_a_certificate_keep_their_order),
	    CASE(latches_that_were_not_told_are_told_at_the_start),
	    CASE(on_a_shared_log_each_latch_is_told_alone),
	    CASE(many_latches_share_batches),
	    CASE(the_changes_of_a_list_are_in_the_log_batch_by_batch),
	    CASE(a_list_that_says_nothing_new_is_told_by_the_pointer),
	    CASE(killed_anywhere_a_list_is_told_once),
	    CASE(an_append_that_timed_out_is_not_repeated),
	    CASE(two_nodes_tell_a_list_once),
	    CASE(a_node_goes_on_where_another_died),
	    CASE(a_node_that_moves_is_not_overtaken),
	    CASE(another_list_is_waited_for_and_overtaken_when_it_stands_still),
	    CASE(alone_nobody_is_waited_for),
	    CASE(a_list_that_is_behind_is_told_already),
	    CASE(a_new_count_is_told_whatever_was_told_before),
	    CASE(from_an_older_base_more_is_told_than_needed),
	    CASE(without_a_base_another_node_is_waited_for),
	    CASE(who_has_told_its_list_leaves_a_newer_one_to_others),
	    CASE(without_a_base_and_alone_there_is_a_gap),
	    CASE(what_was_told_and_is_lost_is_a_gap),
	    CASE(a_list_that_the_log_does_not_take_is_told_of),
	    CASE(a_list_waits_for_a_log_that_is_away),
	    CASE(a_cancelled_list_ends_once),
	    CASE(it_may_end_inside_a_barrier),
	    CASE(what_was_told_before_is_not_told_by_the_list),
	    CASE(a_latch_that_waits_is_told_by_who_comes_first),
	    CASE(what_a_failed_append_took_is_not_lost),
	    CASE(who_is_revoked_elsewhere_is_not_released),
	    CASE(what_another_list_says_is_not_told),
	    CASE(the_filter_moves_no_boundary),
	    CASE(news_are_the_log_whoever_wrote_it),
	    CASE(a_page_that_comes_late_repeats_nothing),
	    CASE(a_new_epoch_is_a_gap),
	    CASE(a_page_of_our_epoch_may_come_before_its_word),
	    CASE(news_have_a_bound),
	    CASE(without_a_listener_nothing_is_read),
	    CASE(news_outlive_the_telling),
	    CASE(what_was_before_can_be_asked_for),
	    CASE(a_stop_answers_every_question),
	    CASE(what_is_older_than_events_keep_goes),
	    CASE(a_clock_that_is_ahead_for_a_while_trims_nothing),
	    CASE(the_gauges_say_what_waits),
	    CASE(the_health_says_for_how_long_nothing_moved_and_why),
	    CASE(a_million_waiting_changes_leave_the_oldest_to_the_disk),
	};

	return cmocka_run_group_tests_name("telling", tests, NULL, NULL);
}
