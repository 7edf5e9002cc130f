/* tell_world.c - the gate before the log, the lives of nodes, what they are given to
 * tell, and what the log has of it. */
#include "tests/lib/tell_world.h"

#include <event2/event.h>
#include <fcntl.h>
#include <openssl/pem.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/queue.h>
#include <unistd.h>

#include <cmocka.h>

#include "cache/held/latch_file.h"
#include "proxy/base/clock.h"
#include "proxy/base/log.h"
#include "tests/lib/forge.h"

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

void gate_word(struct gate *g)
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

bool gate_pass(struct gate *g)
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

struct gate *gate_new(struct change_log *behind)
{
	struct gate *g = calloc(1, sizeof *g);

	g->log.ops = &gate_ops;
	g->behind = behind;
	TAILQ_INIT(&g->calls);
	return g;
}

static struct event_base *base;
struct inbox *inbox;
struct change_log *memory;
static struct conf *conf;
struct node node[NODES];
static char directory[32];
int64_t tell_now_ms, tell_mono_ms;

void set_time(void)
{
	fake_time_set(tell_now_ms, tell_mono_ms);
}

void tell_turn(void)
{
	for (int i = 0; i < 4; i++)
		event_base_loop(base, EVLOOP_NONBLOCK);
}

void tell_elapse(int64_t ms)
{
	int64_t end = tell_mono_ms + ms, by;

	tell_turn();
	for (; tell_mono_ms < end;
	     tell_mono_ms += by, tell_now_ms += by, set_time(), tell_turn())
		by = end - tell_mono_ms < 10 ? end - tell_mono_ms : 10;
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

const struct issuer *demo(void)
{
	return issuers_at(conf->issuers, 0);
}

static void on_news(void *arg, struct msg *m)
{
	struct node *n = arg;
	struct teller_news *news = (struct teller_news *)m;

	assert_true(news->durable_at_us > 0);
	if (n->news_n == NEWS) { /* no case looks at so many */
		teller_news_done(news);
		return;
	}
	n->news[n->news_n].end = news->end;
	n->news[n->news_n].gap = news->batch == NULL;
	n->news[n->news_n++].n = news->batch != NULL ? news->batch->n : 0;
	if (n->keep)
		n->kept[n->kept_n++] = news;
	else
		teller_news_done(news);
}

void give_back(struct node *n)
{
	for (size_t i = 0; i < n->kept_n; i++)
		teller_news_done(n->kept[i]);
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
	n->teller = teller_new(&n->context, n->latches, n->latch_file, &n->gate->log);
	assert_non_null(n->teller);
	teller_listen(n->teller, n->api, on_news);
	n->done = 0;
	n->news_n = 0;
	n->keep = false;
}

/* As kill -9 does, for the log and the disk: nothing more is written. */
static void life_end(struct node *n)
{
	if (n->teller == NULL)
		return;
	give_back(n);
	teller_free(n->teller);
	n->teller = NULL;
	n->gate = NULL;
	inbox_free(n->api);
	barrier_free(n->barrier);
	latches_free(n->latches);
	latch_file_close(n->latch_file);
}

void again(struct node *n)
{
	life_end(n);
	life_begin(n);
}

int tell_begin(void **state)
{
	struct store_config store = {.url = "memory:"};
	struct change_log_config c = {
	    .store = &store, .size = (size_t)1 << 30, .now = WORLD_START};
	char why[256];

	(void)state;
	tell_now_ms = WORLD_START * 1000;
	tell_mono_ms = 1000000;
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

int tell_end(void **state)
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

struct serial serial_of(uint32_t i)
{
	return (struct serial){
	    4, {0x11, (uint8_t)(i >> 16), (uint8_t)(i >> 8), (uint8_t)i}};
}

uint32_t number_of(const struct change *c)
{
	struct serial s;

	crl_entry_serial(&c->entry, &s);
	assert_int_equal(s.n, 4);
	return (uint32_t)s.octets[1] << 16 | (uint32_t)s.octets[2] << 8 | s.octets[3];
}

const struct latch *latch(struct node *n, uint32_t i, bool untold)
{
	struct latch l = {.serial = serial_of(i),
	    .reason = 1,
	    .revoked_at = tell_now_ms / 1000 - 60,
	    .set_at = tell_now_ms / 1000,
	    .untold = untold};

	memcpy(l.ca_id, demo()->ca[0].id, sizeof l.ca_id);
	assert_int_equal(latches_add(n->latches, &l, NULL), ERR_OK);
	assert_int_equal(latch_file_put(n->latch_file, &l, 1), ERR_OK);
	return latches_find(n->latches, demo(), &l.serial);
}

void tell_revoked(struct node *n, uint32_t i, bool latched)
{
	struct single_change c = {.issuer = demo(),
	    .serial = serial_of(i),
	    .now = CHANGE_REVOKED,
	    .before = CHANGE_GOOD,
	    .revoked_at = tell_now_ms / 1000 - 60,
	    .reason = latched ? 1 : REASON_CERTIFICATE_HOLD,
	    .this_update = tell_now_ms / 1000 - 5,
	    .latch = latched ? latch(n, i, true) : NULL};

	teller_single(n->teller, &c);
}

void tell_released(struct node *n, uint32_t i)
{
	struct single_change c = {.issuer = demo(),
	    .serial = serial_of(i),
	    .now = CHANGE_GOOD,
	    .before = CHANGE_REVOKED,
	    .reason = REASON_CERTIFICATE_HOLD,
	    .this_update = tell_now_ms / 1000};

	teller_single(n->teller, &c);
}

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
size_t moot;
bool lost;
unsigned list_warnings;
uint32_t watched_every;

static struct crl_diff *first_of(const struct crl *l)
{
	struct crl_diff_rules rules = {.covered = true};
	uint32_t *places = malloc((l->to - l->from + 1) * sizeof *places);
	struct crl_diff *d;
	struct crl_entry *e;
	size_t n, mapped, picked = 0;

	e = entries_of(l, &n, &mapped);
	for (size_t i = 0; i < n; i++) {
		struct change c = {.entry = e[i]};

		if (number_of(&c) % watched_every == 0)
			places[picked++] = (uint32_t)i;
	}
	assert_int_equal(crl_diff_first(&d, e, n, places, picked, &rules), ERR_OK);
	crl_entries_free(e, mapped);
	return d;
}

void tell_list(struct node *n, const struct crl *old, const struct crl *new)
{
	struct crl_diff_rules rules = {.covered = true};
	struct list_change c = {.issuer = "demo",
	    .baseline = old == NULL,
	    .lost = lost,
	    .seen_at_ms = tell_now_ms,
	    .untold_since_ms = tell_now_ms - 5000, /* the log was away */
	    .done = on_list_done,
	    .arg = n};
	struct crl_entry *a, *b;
	size_t a_n, b_n, a_mapped, b_mapped;

	memcpy(c.scope, scope, sizeof scope);
	memset(c.to, new->name, 32);
	if (old == NULL && watched_every > 0)
		c.diff = first_of(new);
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
	assert_true(teller_list(n->teller, &c));
	n->inside = false;
}

struct held held;
uint8_t *count;

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

void forget(void)
{
	for (size_t i = 0; i < held.n; i++)
		change_batch_unref(held.batch[i]);
	free(held.batch);
	free(count);
	memset(&held, 0, sizeof held);
	count = NULL;
}

size_t look(void)
{
	struct change_pos start = {0};

	forget();
	count = calloc(SERIALS, 1);
	change_log_read(memory, &start, SIZE_MAX, on_page, NULL);
	for (size_t i = 0; i < held.n; i++)
		for (uint32_t c = 0; c < held.batch[i]->n; c++)
			if (change_batch_is_changes(held.batch[i]) &&
			    change_now(&held.batch[i]->change[c]) == CHANGE_REVOKED)
				count[number_of(&held.batch[i]->change[c])]++;
	return held.n;
}

void expect_count(uint32_t from, uint32_t to, int times)
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

void expect_told(char name, uint32_t done, uint32_t total)
{
	uint8_t to[32];

	memset(to, name, sizeof to);
	change_log_told(memory, scope, on_pointer, NULL);
	assert_true(pointer.known);
	assert_memory_equal(pointer.to, to, 32);
	assert_int_equal(pointer.done, done);
	assert_int_equal(pointer.total, total);
}

void ignore_end(void *arg, enum err e, const struct change_pos *p)
{
	(void)p;
	*(enum err *)arg = e;
}

void set_told(char from, char to, uint32_t done, uint32_t total)
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

void append_foreign(uint32_t i)
{
	struct change_batch *b = change_batch_new(1);
	struct serial s = serial_of(i);
	enum err e;

	strcpy(b->issuer, "demo");
	b->n = 1;
	b->seen_at_ms = tell_now_ms;
	crl_entry_set_serial(&b->change[0].entry, &s);
	b->change[0].entry.spare[0] = CHANGE_REVOKED;
	change_log_append(memory, b, NULL, NULL, NULL, ignore_end, &e);
	assert_int_equal(e, ERR_OK);
	change_batch_unref(b);
}

void expect_news_whole(const struct node *n)
{
	for (size_t i = 1; i < n->news_n; i++) {
		const struct change_pos *p = &n->news[i - 1].end, *q = &n->news[i].end;

		assert_true(change_pos_cmp(p, q) < 0);
		if (!n->news[i].gap)
			assert_true(q->epoch == p->epoch && q->seq == p->seq + 1);
	}
}

const struct crl A = {'A', 0, 10, 1};
const struct crl B = {'B', 0, 30010, 1};

/* What is logged from begin to end; to be freed. */
static FILE *log_file;
static int real_stderr;

void log_begin(void)
{
	log_file = tmpfile();
	real_stderr = dup(STDERR_FILENO);
	assert_true(log_file != NULL && dup2(fileno(log_file), STDERR_FILENO) >= 0);
	log_setup(LEVEL_INFO, LOG_FORMAT_LOGFMT, 0);
}

char *log_end(void)
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

int occurrences(const char *text, const char *of)
{
	int n = 0;

	for (; (text = strstr(text, of)) != NULL; text += strlen(of))
		n++;
	return n;
}
