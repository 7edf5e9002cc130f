/* world.c - made, run until nothing is due, taken down. */
#include "tests/lib/world.h"

#include <event2/event.h>
#include <openssl/pem.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "cache/held/latch_file.h"
#include "proxy/base/clock.h"
#include "proxy/base/inbox.h"
#include "proxy/base/log.h"
#include "proxy/source/upstream.h"
#include "tests/lib/forge.h"

#define ASKED_MAX  2048
#define SIGNED_MAX 256

struct flights *world_flights;
struct shared world_shared;
struct forwards *world_forwards;
struct refreshes *world_refreshes;
struct latches *world_latches;
struct schedule *world_schedule;

static struct event_base *base;
static struct inbox *inbox;
static struct keeper_parts parts;
static char directory[64];
static EVP_PKEY *ca_key, *delegate_key;
static X509 *ca, *delegate;
static int64_t now_ms, mono_ms;
static struct world_asked *asked;
static size_t asked_n;

static void need(bool ok, const char *what)
{
	if (ok)
		return;
	fprintf(stderr, "world: %s\n", what);
	abort();
}

static void make_delegate(const struct forge_cert *by)
{
	struct forge_cert c = *by;

	c.subject = "World OCSP";
	c.issuer = ca;
	c.usage = "critical,digitalSignature";
	c.ext_usage = "OCSPSigning";
	c.ca = false;
	c.nocheck = true;
	delegate_key = c.key = forge_key("P-256");
	delegate = forge_cert(&c);
}

static void make_ca(void)
{
	struct forge_cert c = {.subject = "World CA",
	    .from = WORLD_START - 1000000,
	    .to = WORLD_START + INT64_C(1000000000),
	    .usage = "critical,keyCertSign,cRLSign",
	    .ca = true};
	char path[128];
	FILE *f;

	ca_key = c.key = c.issuer_key = forge_key("P-256");
	ca = forge_cert(&c);
	make_delegate(&c);
	snprintf(path, sizeof path, "%s/ca.pem", directory);
	f = fopen(path, "w");
	need(f != NULL && PEM_write_X509(f, ca) == 1, "cannot write the CA");
	fclose(f);
}

static struct conf *make_conf(const char *global, const char *issuer)
{
	struct conf_errors errors = {0};
	char text[4096], path[128];
	struct conf *c;

	snprintf(path, sizeof path, "%s/world.conf", directory);
	snprintf(text, sizeof text,
	    "store = \"memory:\"\nstate-directory = \"%s\"\nrefresh-jitter = 0\n%s\n"
	    "issuer \"world\" {\n\tcertificate = \"ca.pem\"\n\t%s\n\t%s\n}\n",
	    directory, global,
	    strstr(issuer, "ocsp ") != NULL ? "" : "ocsp = \"" WORLD_FIRST "\"", issuer);
	c = conf_load(path, text, &errors);
	for (size_t i = 0; i < errors.n; i++)
		fprintf(stderr, "%s\n", errors.line[i]);
	need(c != NULL, "bad configuration");
	conf_errors_free(&errors);
	return c;
}

static void make_flights(const struct conf *c)
{
	struct upstream_config u = {(int)c->upstream_timeout_ms,
	    (size_t)c->response_max_size, (unsigned)c->host_max_in_flight,
	    {c->backoff_initial_ms, c->backoff_max_ms, (int)c->backoff_doublings}};
	char why[256] = "";

	base = event_base_new();
	inbox = inbox_new(base, NULL);
	world_shared = (struct shared){.hot = hot_new((size_t)c->hot_cache, 1)};
	atomic_store(&world_shared.conf, c);
	world_schedule = schedule_new(1);
	parts = (struct keeper_parts){.context = {.base = base,
					  .shared = &world_shared,
					  .counters = metrics_thread(),
					  .schedule = world_schedule},
	    .admit = admit_new(),
	    .teller = (struct teller *)&fake_told, /* the fakes never look */
	    .crl_feed = (struct crl_feed *)&fake_told};
	parts.inbox = inbox;
	parts.source = upstream_new(base, NULL, &u, parts.context.counters);
	need(latch_file_open(
		 &parts.latches, &parts.latch_file, directory, why, sizeof why) == ERR_OK,
	    why);
	world_latches = parts.latches;
	need(keeper_parts_make(&parts), "out of memory");
	world_flights = parts.flights;
	world_forwards = parts.forwards;
	world_refreshes = parts.refreshes;
}

void world_begin(const char *global, const char *issuer)
{
	now_ms = WORLD_START * 1000;
	mono_ms = 1000000;
	fake_time_set(now_ms, mono_ms);
	fake_store_reset();
	fake_fetch_reset();
	fake_feed_reset();
	log_setup(LEVEL_ERROR, LOG_FORMAT_LOGFMT, 0);
	snprintf(directory, sizeof directory, "/tmp/world.XXXXXX");
	need(mkdtemp(directory) != NULL, "no directory");
	make_ca();
	make_flights(make_conf(global, issuer));
	asked = calloc(ASKED_MAX, sizeof *asked);
	asked_n = 0;
}

/* As the keeper does; what is held stays. */
void world_reload(const char *global, const char *issuer)
{
	struct conf *old = (struct conf *)(uintptr_t)shared_conf(&world_shared);
	struct conf *new = make_conf(global, issuer);

	atomic_store(&world_shared.conf, new);
	polls_reload(parts.polls, old->issuers, new->issuers);
	conf_free(old);
}

static void remove_file(const char *name)
{
	char path[128];

	snprintf(path, sizeof path, "%s/%s", directory, name);
	unlink(path);
}

void world_end(void)
{
	forwards_cancel(world_forwards);
	flights_cancel(world_flights);
	event_base_loop(base, EVLOOP_NONBLOCK);
	upstream_free(parts.source);
	keeper_parts_free(&parts);
	fake_fetch_reset();
	fake_store_reset();
	hot_free(world_shared.hot);
	fake_feed_reset();
	conf_free((struct conf *)(uintptr_t)shared_conf(&world_shared));
	latches_free(parts.latches);
	latch_file_close(parts.latch_file);
	schedule_free(parts.context.schedule);
	admit_free(parts.admit);
	inbox_free(inbox);
	event_base_free(base);
	metrics_reset();
	forge_reset();
	X509_free(ca);
	EVP_PKEY_free(ca_key);
	X509_free(delegate);
	EVP_PKEY_free(delegate_key);
	free(asked);
	remove_file("ca.pem");
	remove_file("latches.mdb");
	remove_file("latches.mdb-lock");
	remove_file("latches.mdb.mark");
	rmdir(directory);
}

static void tick(void)
{
	static int64_t last_ms;

	if (mono_ms < last_ms + 1000 && mono_ms >= last_ms)
		return;
	last_ms = mono_ms;
	polls_tick(parts.polls);
}

static void turn(void)
{
	tick();
	for (int i = 0; i < 3; i++) {
		refreshes_due(world_refreshes);
		event_base_loop(base, EVLOOP_NONBLOCK);
	}
	hot_garbage_free(hot_garbage(world_shared.hot));
}

void world_elapse(int64_t ms)
{
	int64_t end = mono_ms + ms, step = ms > 600000 ? ms / 5000 : 20;

	turn();
	while (mono_ms < end) {
		int64_t by = end - mono_ms < step ? end - mono_ms : step;

		mono_ms += by;
		now_ms += by;
		fake_time_set(now_ms, mono_ms);
		turn();
	}
}

const struct issuer *world_issuer(void)
{
	return issuers_at(shared_conf(&world_shared)->issuers, 0);
}

const struct keeper_parts *world_parts(void)
{
	return &parts;
}

void world_serial(unsigned number, struct serial *s)
{
	*s = (struct serial){3, {0x10, (uint8_t)(number >> 8), (uint8_t)number}};
}

void world_key(unsigned serial, enum certid_hash h, struct key *k)
{
	struct serial s;

	world_serial(serial, &s);
	issuer_key(world_issuer(), 0, h, &s, k);
}

static void answered(void *inbox_arg, struct question *q)
{
	struct world_asked *w = (struct world_asked *)q;
	const struct ask *a = &w->ask;

	(void)inbox_arg;
	w->answers++;
	w->error = a->error;
	w->tier = a->tier;
	if (a->answer == NULL)
		return;
	w->status = a->answer->facts.status;
	if (w->status == STATUS_NONE)
		w->error = a->answer->error;
	w->obtained_at = a->answer->obtained_at;
	w->this_update = a->answer->facts.this_update;
	w->body_n = answer_body(a->answer).n;
	need(w->body_n <= sizeof w->body, "answer too large");
	memcpy(w->body, answer_body(a->answer).p, w->body_n);
}

static struct world_asked *ask(
    unsigned serial, enum certid_hash h, bool cached, bool anew)
{
	struct world_asked *w = &asked[asked_n++];

	need(asked_n <= ASKED_MAX, "too many asks");
	world_key(serial, h, &w->ask.key);
	w->ask.question.reply_to = inbox;
	w->ask.asked_at_ms = clock_mono_ms();
	w->ask.question.done = answered;
	w->ask.only_if_cached = cached;
	w->ask.revalidate = anew;
	flights_ask(world_flights, &w->ask);
	turn();
	return w;
}

struct world_asked *world_ask_nonce(unsigned serial, enum certid_hash h)
{
	struct world_asked *w = &asked[asked_n++];

	need(asked_n <= ASKED_MAX, "too many asks");
	world_key(serial, h, &w->ask.key);
	w->ask.question.reply_to = inbox;
	w->ask.asked_at_ms = clock_mono_ms();
	w->ask.question.done = answered;
	w->ask.nonce_n = 16;
	memset(w->ask.nonce, 'n', 16);
	forwards_ask(world_forwards, &w->ask);
	turn();
	return w;
}

struct world_asked *world_ask(unsigned serial, enum certid_hash h)
{
	return ask(serial, h, false, false);
}

struct world_asked *world_ask_cached(unsigned serial, enum certid_hash h)
{
	return ask(serial, h, true, false);
}

struct world_asked *world_ask_anew(unsigned serial, enum certid_hash h)
{
	return ask(serial, h, false, true);
}

static struct forge_single single_of(
    const struct world_says *s, enum status status, struct serial *serial)
{
	int64_t now = clock_now();

	world_serial(s->serial, serial);
	return (struct forge_single){.hash = s->hash,
	    .issuer = ca,
	    .serial = bytes_of(serial->octets, serial->n),
	    .status = status == STATUS_GOOD      ? FORGE_GOOD
		      : status == STATUS_REVOKED ? FORGE_REVOKED
						 : FORGE_UNKNOWN,
	    .reason = s->reason == 0 ? -1 : s->reason,
	    .revoked_at = forge_time(now - 60),
	    .this_update = forge_time(now + s->from),
	    .next_update = forge_time(now + s->to)};
}

struct bytes world_sign(const struct world_says *s)
{
	struct serial serial[2];
	struct forge_response r = {.id = s->delegated ? delegate : ca,
	    .certs = {delegate},
	    .certs_n = s->delegated ? 1 : 0,
	    .produced_at = forge_time(clock_now() + (s->from < 0 ? s->from : 0)),
	    .signature = FORGE_ECDSA_SHA256,
	    .key = s->delegated ? delegate_key : ca_key,
	    .break_signature = s->forged,
	    .singles_n = 1};

	r.single[0] = single_of(s, s->status, &serial[0]);
	if (s->also != STATUS_NONE)
		r.single[r.singles_n++] = single_of(s, s->also, &serial[1]);
	return forge_response(&r);
}
