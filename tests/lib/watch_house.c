/* watch_house.c - a CA, its list in a file, a keeper, a ledger. */
#include "tests/lib/watch_house.h"

#include <event2/event.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>
#include <stdio.h>
#include <stdlib.h>

#include "cache/crl/crl_set.h"
#include "cache/watch/incident.h"
#include "proxy/base/clock.h"
#include "proxy/base/executor.h"
#include "proxy/base/log.h"
#include "proxy/watch/known.h"
#include "tests/lib/forge_crl.h"
#include "tests/lib/inventory_kit.h"
#include "tests/lib/store_kit.h"

#define PATIENCE_MS 20000

#define MUST(x)                                                                          \
	do {                                                                             \
		if (!(x)) {                                                              \
			fprintf(stderr, "watch_house: %s\n", #x);                        \
			abort();                                                         \
		}                                                                        \
	} while (0)

static void write_file(const struct watch_house *h, const char *name, struct bytes b)
{
	char path[4200];
	FILE *f;

	snprintf(path, sizeof path, "%s/%s", h->dir, name);
	f = fopen(path, "w");
	MUST(f != NULL && fwrite(b.p, 1, b.n, f) == b.n && fclose(f) == 0);
}

static void make_list(struct watch_house *h, X509 *ca, EVP_PKEY *key)
{
	static const uint8_t revoked[] = {WATCH_HOUSE_REVOKED},
			     held[] = {WATCH_HOUSE_HELD};
	int64_t now = clock_now();
	struct forge_crl_entry e[] = {
	    {.serial = {revoked, 1}, .at = forge_time(now - 3600) + 2, .reason = 1},
	    {.serial = {held, 1}, .at = forge_time(now - 3600) + 2, .reason = 6}};
	struct forge_crl f = {.issuer = ca,
	    .key = key,
	    .entry = e,
	    .entries_n = 2,
	    .number = "01",
	    .signature = FORGE_ECDSA_SHA256,
	    .this_update = forge_time(now - 60) + 2,
	    .next_update = forge_time(now + 86400) + 2};

	write_file(h, "list.crl", forge_crl(&f));
	forge_crl_reset();
	forge_reset();
}

static void make_ca(struct watch_house *h)
{
	struct forge_cert c = {.subject = "House CA",
	    .from = clock_now() - 86400,
	    .to = clock_now() + 10 * 86400,
	    .usage = "critical,keyCertSign,cRLSign",
	    .ca = true};
	BIO *pem = BIO_new(BIO_s_mem());
	unsigned n = sizeof h->aki;
	X509 *ca;
	char *text;
	long text_n;

	c.key = c.issuer_key = forge_key("P-256");
	ca = forge_cert(&c);
	MUST(PEM_write_bio_X509(pem, ca) == 1);
	text_n = BIO_get_mem_data(pem, &text);
	write_file(h, "ca.pem", bytes_of(text, (size_t)text_n));
	BIO_free(pem);
	make_list(h, ca, c.key);
	MUST(X509_pubkey_digest(ca, EVP_sha1(), h->aki, &n) == 1 && n == sizeof h->aki);
	X509_free(ca);
	EVP_PKEY_free(c.key);
}

static struct conf *make_conf(const struct watch_house *h)
{
	struct conf_errors errors = {0};
	char text[16384], path[4200];
	struct conf *c;

	snprintf(path, sizeof path, "%s/conf", h->dir);
	snprintf(text, sizeof text,
	    "store = \"memory:\"\nstate-directory = \"%s/state\"\nlog-level = \"error\"\n"
	    "issuer \"house\" {\n\tcertificate = \"ca.pem\"\n\tcrl = "
	    "\"file:%s/list.crl\"\n"
	    "}\n",
	    h->dir, h->dir);
	c = conf_load(path, text, &errors);
	for (size_t i = 0; i < errors.n && c == NULL; i++)
		fprintf(stderr, "%s\n", errors.line[i]);
	MUST(c != NULL);
	conf_errors_free(&errors);
	return c;
}

static void open_ledger(struct watch_house *h, size_t size)
{
	char why[512];

	h->context.ledger =
	    ledger_new(&h->shared, h->context.inbox, h->dir, size, why, sizeof why);
	if (h->context.ledger == NULL)
		fprintf(stderr, "%s\n", why);
	MUST(h->context.ledger != NULL);
}

static bool list_is_in_force(const struct watch_house *h)
{
	static const struct serial revoked = {1, {WATCH_HOUSE_REVOKED}};
	const struct issuer *i = issuers_named(shared_conf(&h->shared)->issuers, "house");
	struct crl_finding found;

	return i->slot != NULL &&
	       crl_set_find(atomic_load_explicit(&i->slot->set, memory_order_acquire),
		   &revoked, &found);
}

static void turn(struct watch_house *h, int64_t until)
{
	static const struct timeval soon = {0, 2000};

	MUST(clock_mono_ms() < until);
	event_base_loopexit(h->context.base, &soon);
	event_base_loop(h->context.base, EVLOOP_ONCE);
}

void watch_house_begin(struct watch_house *h, size_t size)
{
	int64_t until = clock_mono_ms() + PATIENCE_MS;
	struct watch_context *x = &h->context;
	char why[512];

	memset(h, 0, sizeof *h);
	log_setup(LEVEL_ERROR, LOG_FORMAT_LOGFMT, 3600000);
	h->dir = kit_directory();
	make_ca(h);
	atomic_store(&h->shared.conf, make_conf(h));
	MUST(conf_make_directory(shared_conf(&h->shared)->state_directory) == 0);
	h->shared.started_at = clock_now();
	h->shared.hot = hot_new(1 << 20, 7);
	x->shared = &h->shared;
	x->base = event_base_new();
	x->inbox = inbox_new(x->base, h);
	x->counters = metrics_thread();
	x->known = known_new(shared_conf(&h->shared)->issuers);
	x->search = executor_start(x->inbox, "search", 0);
	MUST(h->shared.hot != NULL && x->inbox != NULL && x->known != NULL &&
	     x->search != NULL);
	h->shared.readers[h->shared.readers_n++] = x->inbox;
	open_ledger(h, size);
	h->keeper = keeper_new(&h->shared, why, sizeof why);
	MUST(h->keeper != NULL && keeper_start(h->keeper) == 0);
	while (!list_is_in_force(h))
		turn(h, until);
}

void watch_house_turn(struct watch_house *h, const bool *flag)
{
	int64_t until = clock_mono_ms() + PATIENCE_MS;

	while (!*flag)
		turn(h, until);
}

/* What its thread has done comes back first. */
static void close_ledger(struct watch_house *h)
{
	ledger_stop(h->context.ledger);
	event_base_loop(h->context.base, EVLOOP_NONBLOCK);
	ledger_free(h->context.ledger);
}

void watch_house_again(struct watch_house *h, size_t size)
{
	close_ledger(h);
	open_ledger(h, size);
}

void watch_house_end(struct watch_house *h)
{
	keeper_cancel(h->keeper);
	keeper_stop(h->keeper);
	keeper_join(h->keeper);
	ledger_stop(h->context.ledger);
	executor_stop(h->context.search);
	inbox_free(h->context.inbox);
	executor_free(h->context.search);
	ledger_free(h->context.ledger);
	known_unref(h->context.known);
	keeper_free(h->keeper);
	hot_free(h->shared.hot);
	conf_free((struct conf *)(uintptr_t)shared_conf(&h->shared));
	event_base_free(h->context.base);
	metrics_reset();
	kit_remove(h->dir);
}

/* Jobs. */

struct doing {
	struct ledger_job job;
	bool done;
};

static void on_done(void *arg, struct ledger_job *j)
{
	struct doing *d = arg;

	MUST(&d->job == j && !d->done);
	d->done = true;
}

struct ledger_job watch_house_job(struct watch_house *h, struct ledger_job job)
{
	struct doing d = {.job = job};

	d.job.done = on_done;
	d.job.arg = &d;
	ledger_do(h->context.ledger, &d.job);
	watch_house_turn(h, &d.done);
	return d.job;
}

struct serial watch_house_serial(unsigned n)
{
	struct serial s = {.n = 4};

	put_be(s.octets, n, 4);
	while (s.n > 1 && s.octets[0] == 0)
		memmove(s.octets, s.octets + 1, --s.n);
	if ((s.octets[0] & 0x80) != 0) {
		memmove(s.octets + 1, s.octets, s.n++);
		s.octets[0] = 0;
	}
	return s;
}

static void add(
    struct watch_house *h, struct watch_draft *d, const struct watch_house_cert *w)
{
	struct kit_cert c;

	kit_cert(&c, 1, watch_house_serial(w->serial));
	if (w->name != NULL)
		kit_name(&c, w->name);
	if (w->from != 0)
		c.cert.not_before = w->from;
	c.cert.not_after = w->to;
	if (!w->foreign) {
		c.cert.aki = bytes_of(h->aki, sizeof h->aki);
		c.cert.configured = issuers_named(h->context.known->issuers, "house");
		c.cert.issuer = "house";
		c.cert.issuer_name = bytes_of("CN=House CA", 11);
	}
	MUST(watch_draft_add(d, &c.cert) == ERR_OK);
}

static struct ledger_job put(
    struct watch_house *h, struct ledger_job job, const char *name)
{
	strcpy(job.name, name);
	return watch_house_job(h, job);
}

void watch_house_put_certs(struct watch_house *h, const char *name,
    const struct watch_house_cert *certs, size_t n)
{
	struct ledger_job job = {.what = LEDGER_PUT, .draft = watch_draft_new(h->dir)};

	MUST(job.draft != NULL);
	for (size_t i = 0; i < n; i++)
		add(h, job.draft, &certs[i]);
	job = put(h, job, name);
	MUST(job.error == ERR_OK && job.certificates == n);
}

void watch_house_announce(
    struct watch_house *h, const char *name, unsigned from, unsigned n)
{
	struct ledger_job job = {.what = LEDGER_PUT,
	    .source = WATCH_INCIDENT,
	    .draft = watch_draft_new(h->dir)};
	struct incident_about about = {.id = {1}, .deadline = WATCH_TIME_NONE};
	char key[WATCH_NAME_MAX];

	strcpy(about.name, name);
	MUST(job.draft != NULL && incident_say(job.draft, &about) == ERR_OK);
	for (unsigned i = from; i < from + n; i++) {
		struct watch_cert c = {.serial = watch_house_serial(i),
		    .issuer_name = bytes_of(INCIDENT_ANYBODY, 1),
		    .not_before = WATCH_TIME_NONE,
		    .not_after = WATCH_TIME_NONE};

		MUST(watch_draft_add(job.draft, &c) == ERR_OK);
	}
	incident_key(key, name);
	MUST(put(h, job, key).error == ERR_OK);
}

enum err watch_house_put(struct watch_house *h, enum ledger_what what, const char *name,
    unsigned from, unsigned n, bool foreign)
{
	struct ledger_job job = {.what = what, .draft = watch_draft_new(h->dir)};

	MUST(job.draft != NULL);
	for (unsigned i = from; i < from + n; i++) {
		char host[64];

		snprintf(host, sizeof host, "s%u.example", i);
		add(h, job.draft,
		    &(struct watch_house_cert){.serial = i,
			.to = (int64_t)i * 1000,
			.name = host,
			.foreign = foreign});
	}
	job = put(h, job, name);
	MUST(job.error != ERR_OK || job.foreign || what == LEDGER_ADD ||
	     job.certificates == n);
	return job.foreign ? ERR_CANCELLED : job.error;
}
