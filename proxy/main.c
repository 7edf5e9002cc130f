/* main.c - the daemon: command line, configuration, threads, signals, orderly stop.
 *
 * The main thread owns the process: it makes all other threads, hears the signals and the
 * watchdog, and takes everything down again in the order in which its parts need each
 * other: listeners, connections, flights, workers, keeper.
 */
#include "conf/conf.h"

#include <assert.h>
#include <curl/curl.h>
#include <errno.h>
#include <event2/event.h>
#include <getopt.h>
#include <hiredis/hiredis.h>
#include <jansson.h>
#include <lmdb.h>
#include <openssl/crypto.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include "proxy/api/api.h"
#include "proxy/base/alarms.h"
#include "proxy/base/announce.h"
#include "proxy/base/clock.h"
#include "proxy/base/folder_lock.h"
#include "proxy/base/log.h"
#include "proxy/base/metrics.h"
#include "proxy/base/seed.h"
#include "proxy/base/systemd.h"
#include "proxy/base/timer.h"
#include "proxy/base/version.h"
#include "proxy/front/worker.h"
#include "proxy/http/listener.h"
#include "proxy/keeper/keeper.h"
#include "proxy/push/hooks.h"
#include "proxy/tell/teller.h"
#include "proxy/watch/ari.h"
#include "proxy/watch/watcher.h"

#define CONF_DEFAULT  "/etc/ocspcached/ocspcached.conf"
#define WHY_MAX       1024
#define BEAT_LATE_MS  5000 /* without a barrier for so long, we are not alive */
#define TICK_MS       1000 /* the log's repeats are told, and the watchdog hears us */
#define DRAIN_LOOK_MS 20   /* how often a drain looks whether all connections are gone */

enum { EXIT_CLEAN = 0, EXIT_RUN = 1, EXIT_USAGE_OR_CONF = 2 };

struct daemon {
	const char *conf_path;
	struct event_base *base;
	struct event *signals[3], *tick, *drain_look;
	struct shared shared;
	/* What the keeper was given last.  The main thread is in no barrier and may read
	 * no other: this one lives until it gives the next. */
	const struct conf *latest;
	struct keeper *keeper;
	struct worker **workers;
	unsigned workers_n;
	struct api *api;
	struct watcher *watcher;
	struct ari *ari;
	struct hooks *hooks;
	struct counters *counters;
	struct folder_locks locks;
	int unix_fd[CONF_LISTEN_MAX]; /* of all workers together */
	size_t unix_n;
	int64_t drain_until_ms;
	bool stopping;
};

/* The command line. */

static void usage(FILE *out)
{
	fputs("usage: ocspcached [-c FILE] [-t | -p | -V | -h]\n"
	      "  -c FILE  configuration (default " CONF_DEFAULT ")\n"
	      "  -t       test the configuration and exit\n"
	      "  -p       print the effective configuration with every default and exit\n"
	      "  -V       print versions and exit\n"
	      "  -h       print this and exit\n"
	      "Runs in the foreground and logs to stderr.  See ocspcached(8).\n",
	    out);
}

static void versions(void)
{
	int major, minor, patch;

	mdb_version(&major, &minor, &patch);
	printf("ocspcached %s\n%s\nlibevent %s\n%s\nhiredis %d.%d.%d\nlmdb "
	       "%d.%d.%d\njansson %s\n",
	    OCSPCACHED_VERSION, OpenSSL_version(OPENSSL_VERSION), event_get_version(),
	    curl_version(), HIREDIS_MAJOR, HIREDIS_MINOR, HIREDIS_PATCH, major, minor,
	    patch, JANSSON_VERSION);
}

static int fail(const char *what, const char *why)
{
	log_each(LOG_ERROR, "start_failed", "what=%s why=%s", what, why);
	return EXIT_RUN;
}

/* Load, and say everything that is wrong, as the log has it. */
static struct conf *load(const char *path)
{
	struct conf_errors errors = {0};
	struct conf *c = conf_load(path, NULL, &errors);
	char why[64];

	log_setup(c != NULL ? c->log_level : LEVEL_INFO, errors.log_format, 0);
	announce_mistakes(&errors);
	snprintf(why, sizeof why, "%zu error%s in the configuration", errors.n,
	    errors.n == 1 ? "" : "s");
	if (c == NULL)
		fail(path, why);
	conf_errors_free(&errors);
	return c;
}

/* Resources. */

/* Clients may use all descriptors but the reserved ones. */
static void fit_descriptors(struct daemon *d, const struct conf *c)
{
	struct rlimit rl;
	int64_t room;

	if (getrlimit(RLIMIT_NOFILE, &rl) != 0)
		return;
	rl.rlim_cur = rl.rlim_max;
	setrlimit(RLIMIT_NOFILE, &rl);
	getrlimit(RLIMIT_NOFILE, &rl);
	room = (int64_t)(rl.rlim_cur > 10000000 ? 10000000 : rl.rlim_cur) -
	       c->reserved_descriptors;
	if (room <
	    16) /* a limit this small is a test or a mistake; serve a few at a time */
		room = (int64_t)rl.rlim_cur / 2;
	d->shared.max_connections = (int)room;
	d->shared.max_subscribers = (int)(room / 4 * 3);
	if (room < c->max_connections)
		log_info("max_connections_lowered",
		    "configured=%lld now=%lld nofile=%llu", (long long)c->max_connections,
		    (long long)room, (unsigned long long)rl.rlim_cur);
}

/* One folder may be both. */
static int take_locks(struct daemon *d, const struct conf *c)
{
	char why[WHY_MAX];

	if (!folder_lock_take(&d->locks, c->state_directory, why, sizeof why))
		return fail("state-directory", why);
	if (strncmp(c->store, "lmdb:", 5) == 0 &&
	    !folder_lock_take(&d->locks, c->store + 5, why, sizeof why))
		return fail("store", why);
	return EXIT_CLEAN;
}

static bool is_unix(const char *address)
{
	return strncmp(address, "unix:", 5) == 0;
}

static int add_worker(struct daemon *d, const struct conf *c, int *unix_fd)
{
	char why[WHY_MAX] = "";
	int fds[CONF_LISTEN_MAX];
	bool shared_fd[CONF_LISTEN_MAX];
	struct worker *w;

	for (size_t i = 0; i < c->listen_n; i++) {
		shared_fd[i] = is_unix(c->listen[i]);
		fds[i] = shared_fd[i] ? unix_fd[i] : -1;
		if (fds[i] < 0)
			fds[i] = listener_open(c->listen[i], (int)c->listen_backlog,
			    !shared_fd[i], d->workers_n == 0, why, sizeof why);
		if (fds[i] < 0)
			return fail("listen", why);
		if (shared_fd[i] && unix_fd[i] < 0)
			d->unix_fd[d->unix_n++] = unix_fd[i] = fds[i];
	}
	w = worker_new(
	    &d->shared, d->workers_n, fds, shared_fd, c->listen_n, why, sizeof why);
	if (w == NULL)
		return fail("worker", why);
	assert(d->shared.readers_n < SHARED_READERS_MAX);
	d->workers[d->workers_n++] = w;
	d->shared.readers[d->shared.readers_n++] = worker_inbox(w);
	return EXIT_CLEAN;
}

static int add_workers(struct daemon *d, const struct conf *c)
{
	long cores = sysconf(_SC_NPROCESSORS_ONLN);
	unsigned n = c->workers > 0 ? (unsigned)c->workers
		     : cores > 0    ? (unsigned)cores
				    : 1;
	int unix_fd[CONF_LISTEN_MAX], e = EXIT_CLEAN;

	if (n > SHARED_READERS_MAX - 4)
		n = SHARED_READERS_MAX - 4;
	d->workers = calloc(n, sizeof(struct worker *));
	if (d->workers == NULL)
		return fail("workers", strerror(ENOMEM));
	for (size_t i = 0; i < c->listen_n; i++)
		unix_fd[i] = -1;
	for (unsigned i = 0; i < n && e == EXIT_CLEAN; i++)
		e = add_worker(d, c, unix_fd);
	return e;
}

static int add_api(struct daemon *d, const struct conf *c)
{
	char why[WHY_MAX] = "";
	int plain[CONF_API_LISTEN_MAX], outside[CONF_API_LISTEN_MAX];
	size_t plain_n = 0, outside_n = 0;

	if (c->api_listen_n == 0)
		return EXIT_CLEAN;
	for (size_t i = 0; i < c->api_listen_n; i++) {
		int fd = listener_open(c->api_listen[i], (int)c->listen_backlog, false,
		    true, why, sizeof why);

		if (fd < 0)
			return fail("api-listen", why);
		if (conf_api_is_outside(c->api_listen[i]))
			outside[outside_n++] = fd;
		else
			plain[plain_n++] = fd;
	}
	if (outside_n > 0) /* of a stream over TLS three descriptors, of others one */
		d->shared.max_subscribers /= 3;
	d->api = api_new(&d->shared, plain, plain_n, why, sizeof why);
	if (d->api == NULL)
		return fail("api-listen", why);
	if (outside_n > 0 && !api_open(d->api, outside, outside_n))
		return fail("api-listen", "TLS: out of memory");
	assert(d->shared.readers_n < SHARED_READERS_MAX);
	d->shared.readers[d->shared.readers_n++] = api_inbox(d->api);
	return EXIT_CLEAN;
}

static int add_watcher(struct daemon *d)
{
	char why[WHY_MAX] = "";

	d->watcher = watcher_new(&d->shared, why, sizeof why);
	if (d->watcher == NULL)
		return fail("watchlists", why);
	assert(d->shared.readers_n < SHARED_READERS_MAX);
	d->shared.readers[d->shared.readers_n++] = watcher_inbox(d->watcher);
	return EXIT_CLEAN;
}

static int add_ari(struct daemon *d)
{
	char why[WHY_MAX] = "";

	d->ari = ari_new(&d->shared, why, sizeof why);
	if (d->ari == NULL)
		return fail("ari", why);
	assert(d->shared.readers_n < SHARED_READERS_MAX);
	d->shared.readers[d->shared.readers_n++] = ari_inbox(d->ari);
	return EXIT_CLEAN;
}

static int add_hooks(struct daemon *d)
{
	char why[WHY_MAX] = "";

	d->hooks = hooks_new(&d->shared, why, sizeof why);
	if (d->hooks == NULL)
		return fail("webhooks", why);
	d->shared.hooks = d->hooks;
	assert(d->shared.readers_n < SHARED_READERS_MAX);
	d->shared.readers[d->shared.readers_n++] = hooks_inbox(d->hooks);
	return EXIT_CLEAN;
}

static int make_parts(struct daemon *d, struct conf *c)
{
	char why[WHY_MAX] = "";
	int e;

	atomic_store(&d->shared.conf, c);
	d->latest = c;
	d->shared.started_at = clock_now();
	atomic_store(&d->shared.beat_ms, clock_mono_ms());
	d->shared.watched = systemd_watchdog_ms() > 0;
	fit_descriptors(d, c);
	e = take_locks(d, c);
	if (e != EXIT_CLEAN)
		return e;
	d->counters = metrics_thread();
	d->shared.hot = hot_new((size_t)c->hot_cache, seed_new());
	if (d->counters == NULL || d->shared.hot == NULL)
		return fail("hot-cache", strerror(ENOMEM));
	/* Listeners before the store: who finds his address taken has opened no database.
	 * The API's first: whoever sees that clients are let in may ask it about them. */
	e = add_api(d, c);
	if (e == EXIT_CLEAN)
		e = add_workers(d, c);
	if (e == EXIT_CLEAN)
		e = add_watcher(d);
	if (e == EXIT_CLEAN)
		e = add_ari(d);
	if (e == EXIT_CLEAN)
		e = add_hooks(d);
	if (e != EXIT_CLEAN)
		return e;
	d->keeper = keeper_new(&d->shared, why, sizeof why);
	if (d->keeper == NULL)
		return fail("keeper", why);
	if (d->api != NULL)
		teller_listen(d->shared.teller, api_inbox(d->api), api_news);
	hooks_listen(d->hooks);
	return EXIT_CLEAN;
}

/* Signals that wait: those that we hear are blocked from the first line of main() until
 * the loop runs, but that TERM and INT end at once what has made nothing yet.  So a HUP
 * that comes while we start, by default our end, is a reload behind it. */

static void mask(int how, int sig)
{
	sigset_t one;

	sigemptyset(&one);
	sigaddset(&one, sig);
	sigprocmask(how, &one, NULL);
}

static void terms_mask(int how)
{
	mask(how, SIGTERM);
	mask(how, SIGINT);
}

static void signals_hold(void)
{
	mask(SIG_BLOCK, SIGHUP);
	terms_mask(SIG_BLOCK);
	signal(SIGPIPE, SIG_IGN);
	signal(SIGXFSZ, SIG_IGN); /* a file at its limit is an error like a full disk */
	/* what other daemons open their logs anew for: a habit must not end us */
	signal(SIGUSR1, SIG_IGN);
	signal(SIGUSR2, SIG_IGN);
}

static void signals_come(void)
{
	mask(SIG_UNBLOCK, SIGHUP);
	terms_mask(SIG_UNBLOCK);
}

static void leave(int sig)
{
	(void)sig;
	_exit(EXIT_CLEAN);
}

/* While the configuration is read, which may take its time. */
static void terms_leave(void)
{
	signal(SIGTERM, leave);
	signal(SIGINT, leave);
	terms_mask(SIG_UNBLOCK);
}

/* From here on there is something to take down. */
static void terms_wait(void)
{
	terms_mask(SIG_BLOCK);
	signal(SIGTERM, SIG_DFL);
	signal(SIGINT, SIG_DFL);
}

static bool is_told_to_stop(void)
{
	sigset_t waiting;

	return sigpending(&waiting) == 0 && (sigismember(&waiting, SIGTERM) == 1 ||
						sigismember(&waiting, SIGINT) == 1);
}

/* Clients wait in the backlog until the store is there, so that the first of them after a
 * restart is a hit; a store that does not come holds nobody for long. */
static void await_store(const struct daemon *d)
{
	int64_t until = clock_mono_ms() + d->latest->store_timeout_ms;
	struct timespec pause = {0, 2000000};

	while (!atomic_load(&d->shared.store_settled) && clock_mono_ms() < until &&
	       !is_told_to_stop())
		nanosleep(&pause, NULL);
}

static int start_threads(struct daemon *d)
{
	int e = keeper_start(d->keeper);

	if (e == 0)
		await_store(d);

	if (e == 0)
		e = watcher_start(d->watcher);
	if (e == 0)
		e = ari_start(d->ari);
	if (e == 0)
		e = hooks_start(d->hooks);
	for (unsigned i = 0; i < d->workers_n && e == 0; i++)
		e = worker_start(d->workers[i]);
	if (d->api != NULL && e == 0)
		e = api_start(d->api);
	return e == 0 ? EXIT_CLEAN : fail("threads", strerror(e));
}

/* Signals. */

static void stop(struct daemon *d)
{
	event_base_loopbreak(d->base);
}

/* The API answers until the last client is done: readyz says why we are not ready. */
static void on_drain_look(evutil_socket_t fd, short what, void *arg)
{
	struct daemon *d = arg;
	bool idle = true;

	(void)fd, (void)what;
	assert(d->stopping);
	for (unsigned i = 0; i < d->workers_n; i++)
		idle = idle && worker_idle(d->workers[i]);
	if (idle && d->api != NULL) {
		api_close(d->api);
		idle = api_idle(d->api) && watcher_is_idle(d->watcher);
	}
	idle = idle && hooks_is_idle(d->hooks);
	if (idle || clock_mono_ms() >= d->drain_until_ms)
		stop(d);
}

static void on_term(evutil_socket_t sig, short what, void *arg)
{
	struct daemon *d = arg;
	const struct conf *c = d->latest;

	(void)what;
	if (d->stopping) {
		log_each(LOG_INFO, "stop_now", "signal=%d", (int)sig);
		stop(d);
		return;
	}
	d->stopping = true;
	atomic_store(&d->shared.draining, true);
	log_each(LOG_INFO, "draining", "signal=%d ms=%lld", (int)sig,
	    (long long)c->drain_timeout_ms);
	systemd_notify("STOPPING=1\nSTATUS=draining");
	d->drain_until_ms = clock_mono_ms() + c->drain_timeout_ms;
	/* Nobody owns these alone: a worker that is drained only stops listening. */
	for (size_t i = 0; i < d->unix_n; i++)
		shutdown(d->unix_fd[i], SHUT_RDWR);
	for (unsigned i = 0; i < d->workers_n; i++)
		worker_drain(d->workers[i]);
	if (d->api != NULL)
		api_drain(d->api);
	watcher_drain(d->watcher);
	hooks_drain(d->hooks);
	timer_arm(d->drain_look, DRAIN_LOOK_MS);
}

static void needs_restart(void *arg, const char *option)
{
	(void)arg;
	log_each(LOG_WARN, "reload_needs_restart", "option=%s", option);
}

/* The keeper's thread: the new configuration is in force. */
static void on_published(void *arg, const struct conf *old, const struct conf *new)
{
	struct daemon *d = arg;

	for (unsigned i = 0; i < d->workers_n; i++)
		worker_reload(d->workers[i]);
	if (d->api != NULL)
		api_reload(d->api);
	watcher_reload(d->watcher);
	ari_reload(d->ari);
	hooks_reload(d->hooks);
	systemd_notify("READY=1");
	announce_reloaded(old, new, d->conf_path);
}

static void reload_failed(const struct daemon *d, const char *why)
{
	keeper_reload_failed(d->keeper, why);
	alarm_raise(ALARM_RELOAD_FAILED, "", d->conf_path, why);
}

/* For readyz: where to look first. */
static void tell_mistakes(const struct daemon *d, const struct conf_errors *errors)
{
	char text[1024], more[64] = "";

	if (errors->n > 1)
		snprintf(more, sizeof more, " (and %zu more: ocspcached -t names all)",
		    errors->n - 1);
	snprintf(text, sizeof text, "%.900s%s",
	    errors->n > 0 ? errors->line[0] : d->conf_path, more);
	reload_failed(d, text);
}

static void on_hup(evutil_socket_t sig, short what, void *arg)
{
	struct daemon *d = arg;
	struct conf_errors errors = {0};
	char ready[64];
	struct conf *c;

	(void)sig, (void)what;
	if (d->stopping)
		return;
	snprintf(ready, sizeof ready, "RELOADING=1\nMONOTONIC_USEC=%lld",
	    (long long)clock_mono_us());
	systemd_notify(ready);
	c = conf_load(d->conf_path, NULL, &errors);
	announce_mistakes(&errors);
	if (c == NULL)
		tell_mistakes(d, &errors);
	conf_errors_free(&errors);
	if (c != NULL) {
		conf_restart_needed(d->latest, c, needs_restart, NULL);
		if (!keeper_reload(d->keeper, c, on_published, d)) {
			reload_failed(d, err_text(ERR_NOMEM));
			c = NULL;
		}
	}
	if (c == NULL) {
		metrics_count(d->counters, M_RELOADS_BAD);
		log_each(LOG_ERROR, "reload_failed", "file=%s now=%s", d->conf_path,
		    "the old configuration stays in force");
	} else {
		metrics_count(d->counters, M_RELOADS_OK);
		d->latest = c;
	}
	if (c != NULL)
		alarm_clear(ALARM_RELOAD_FAILED, "", d->conf_path);
	atomic_store(&d->shared.reload_failed, c == NULL);
	if (c == NULL) /* else on_published() says so */
		systemd_notify("READY=1");
}

static void on_tick(evutil_socket_t fd, short what, void *arg)
{
	struct daemon *d = arg;

	(void)fd, (void)what;
	log_flush_due();
	/* alive is who lets a barrier through: the keeper and every reader */
	if (clock_mono_ms() - atomic_load(&d->shared.beat_ms) < BEAT_LATE_MS)
		systemd_notify("WATCHDOG=1");
}

static bool hear(struct daemon *d)
{
	static const int term[] = {SIGTERM, SIGINT};

	for (size_t i = 0; i < 2; i++)
		d->signals[i] = evsignal_new(d->base, term[i], on_term, d);
	d->signals[2] = evsignal_new(d->base, SIGHUP, on_hup, d);
	d->tick = event_new(d->base, -1, EV_PERSIST, on_tick, d);
	d->drain_look = event_new(d->base, -1, EV_PERSIST, on_drain_look, d);
	for (size_t i = 0; i < 3; i++) {
		if (d->signals[i] == NULL || event_add(d->signals[i], NULL) != 0)
			return false;
	}
	return d->tick != NULL && d->drain_look != NULL && timer_arm(d->tick, TICK_MS);
}

/* The stop: first everybody who waits is let go, then the threads that asked, then who
 * was asked: the watcher, which asks the keeper, and the keeper. */
static void take_down(struct daemon *d)
{
	if (d->keeper != NULL)
		keeper_cancel(d->keeper);
	if (d->ari != NULL)
		ari_cancel(d->ari);
	if (d->watcher != NULL)
		watcher_cancel(d->watcher);
	if (d->hooks != NULL)
		hooks_cancel(d->hooks);
	for (unsigned i = 0; i < d->workers_n; i++)
		worker_stop(d->workers[i]);
	if (d->api != NULL)
		api_stop(d->api);
	for (unsigned i = 0; i < d->workers_n; i++)
		worker_join(d->workers[i]);
	if (d->api != NULL)
		api_join(d->api);
	if (d->ari != NULL)
		ari_join(d->ari);
	if (d->hooks != NULL) {
		hooks_stop(d->hooks);
		hooks_join(d->hooks);
	}
	if (d->watcher != NULL) {
		watcher_stop(d->watcher);
		watcher_join(d->watcher);
	}
	if (d->keeper != NULL) {
		keeper_stop(d->keeper);
		keeper_join(d->keeper);
	}
}

static void free_parts(struct daemon *d)
{
	for (unsigned i = 0; i < d->workers_n; i++)
		worker_free(d->workers[i]);
	free(d->workers);
	api_free(d->api);
	ari_free(d->ari);
	watcher_free(d->watcher);
	keeper_free(d->keeper);
	hooks_free(d->hooks); /* the log told it that it grew */
	hot_free(d->shared.hot);
	conf_free((struct conf *)(uintptr_t)shared_conf(&d->shared));
	for (size_t i = 0; i < 3; i++) {
		if (d->signals[i] != NULL)
			event_free(d->signals[i]);
	}
	if (d->tick != NULL)
		event_free(d->tick);
	if (d->drain_look != NULL)
		event_free(d->drain_look);
	if (d->base != NULL)
		event_base_free(d->base);
	for (size_t i = 0; i < d->unix_n; i++)
		close(d->unix_fd[i]);
	folder_locks_drop(&d->locks);
	metrics_reset();
}

static int serve(struct daemon *d, struct conf *c)
{
	int e;

	log_setup(c->log_level, c->log_format, c->log_repeat_ms);
	curl_global_init(CURL_GLOBAL_DEFAULT);
	d->base = event_base_new();
	if (d->base == NULL)
		return fail("event loop", strerror(errno));
	e = make_parts(d, c);
	if (e == EXIT_CLEAN && !hear(d))
		e = fail("signals", strerror(errno));
	if (e == EXIT_CLEAN)
		e = start_threads(d);
	if (e == EXIT_CLEAN) {
		announce_started(c, d->conf_path, d->workers_n);
		systemd_notify("READY=1\nSTATUS=serving");
		signals_come();
		event_base_dispatch(d->base);
	}
	/* From here on a second signal has its default effect: it ends us at once.  A
	 * HUP has none any more. */
	mask(SIG_BLOCK, SIGHUP);
	for (size_t i = 0; i < 2; i++) {
		if (d->signals[i] != NULL)
			event_del(d->signals[i]);
	}
	take_down(d);
	if (e == EXIT_CLEAN)
		log_each(LOG_INFO, "stopped", "clean=true");
	return e;
}

/* -t and -p.  People read it: plain text. */
static int show(const char *path, bool test, bool print)
{
	struct conf_errors errors = {0};
	struct conf *c = test ? conf_try(path, &errors) : conf_load(path, NULL, &errors);

	announce_mistakes_plainly(&errors, path);
	conf_errors_free(&errors);
	if (c == NULL)
		return EXIT_USAGE_OR_CONF;
	if (print)
		conf_print(c, stdout);
	if (test)
		fprintf(stderr, "ocspcached: %s: configuration is fine\n", path);
	conf_free(c);
	return EXIT_CLEAN;
}

int main(int argc, char **argv)
{
	struct daemon d = {.conf_path = CONF_DEFAULT};
	bool test = false, print = false;
	struct conf *c;
	int opt, e;

	signals_hold();
	while ((opt = getopt(argc, argv, "c:tpVh")) != -1) {
		switch (opt) {
		case 'c':
			d.conf_path = optarg;
			break;
		case 't':
			test = true;
			break;
		case 'p':
			print = true;
			break;
		case 'V':
			versions();
			return EXIT_CLEAN;
		case 'h':
			usage(stdout);
			return EXIT_CLEAN;
		default:
			usage(stderr);
			return EXIT_USAGE_OR_CONF;
		}
	}
	if (optind < argc) {
		fprintf(stderr,
		    "ocspcached: what is \"%s\"? the configuration is given with -c\n",
		    argv[optind]);
		usage(stderr);
		return EXIT_USAGE_OR_CONF;
	}
	if (test || print) {
		signals_come(); /* a command like others */
		return show(d.conf_path, test, print);
	}
	terms_leave();
	c = load(d.conf_path);
	if (c == NULL)
		return EXIT_USAGE_OR_CONF;
	terms_wait();
	e = serve(&d, c);
	free_parts(&d);
	curl_global_cleanup();
	log_flush();
	return e;
}
