/* watch.c - one loop over the stream (libcurl's multi), the signals and the commands.
 *
 * A stream that ends, fails or is silent is opened again from the last id that came, with
 * back-off; so is one that is refused by who may think otherwise later (a proxy's 408 and
 * 429, any 5xx).  While too much waits for its command nothing is read, but of a
 * snapshot: the server may cut us off then, and we resume where we were.
 */
#include "proxy/ctl/watch.h"

#include <curl/curl.h>
#include <errno.h>
#include <limits.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/signalfd.h>
#include <time.h>
#include <unistd.h>

#include "cache/base/backoff.h"
#include "proxy/ctl/jobs.h"
#include "proxy/ctl/place.h"
#include "proxy/ctl/sse.h"

#define BACKOFF_FIRST_MS 500
#define BACKOFF_MAX_MS   30000
#define TURN_MS          1000
#define SILENT_MS        2000 /* then it is told that nothing has come */
/* Of a Retry-After: who watches wants to know within a second, a server or a proxy that
 * says more may be wrong. */
#define RETRY_AFTER_MAX_MS 300000

struct watching {
	struct client *client;
	const struct args *args;
	const struct show *show;
	struct place place;
	struct jobs *jobs; /* NULL: print */
	struct sse sse;
	CURLM *multi;
	CURL *stream; /* NULL between two */
	int signals;
	char last_id[PLACE_MAX]; /* that came */
	bool snapshot; /* the next stream begins with one; until its end has come */
	bool paused;
	bool connected; /* once at least */
	bool heard;     /* of this stream, anything */
	bool told_wait; /* why it is silent */
	int64_t opened_ms;
	bool ending, failed;
	bool lost; /* something that came was passed over */
	int code;
	int failures; /* since a block came */
	int64_t again_at_ms;
};

static int64_t mono_ms(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

static void warn(const char *text)
{
	fputs("ocspctl: watch: ", stderr);
	show_text(stderr, text);
	fputc('\n', stderr);
}

/* Printing. */

static void move_place(struct watching *w, const char *id)
{
	char why[512];

	if (place_set(&w->place, id, why, sizeof why) != 0)
		warn(why);
}

static void print_rows(const struct watching *w, const json_t *data)
{
	size_t n;
	json_t *e;

	json_array_foreach(json_object_get(data, "changes"), n, e)
		show_change(w->show, data, e);
	json_array_foreach(json_object_get(data, "notices"), n, e)
		show_notice(w->show, data, e, w->args->watchlist != NULL);
	json_array_foreach(json_object_get(data, "raised"), n, e)
		show_alarm(w->show, e, false);
	json_array_foreach(json_object_get(data, "cleared"), n, e)
		show_alarm(w->show, e, true);
}

static void print_event(struct watching *w, const json_t *data)
{
	if (w->args->json) {
		json_dumpf(data, w->show->out,
		    JSON_COMPACT | (w->show->terminal ? JSON_ENSURE_ASCII : 0));
		fputc('\n', w->show->out);
	} else {
		print_rows(w, data);
	}
	if (fflush(w->show->out) != 0) { /* nobody reads it any more */
		w->code = EXIT_UNDETERMINED;
		w->ending = true;
	}
}

/* What comes. */

static void on_gap(struct watching *w, const struct sse_block *b)
{
	char text[512];

	snprintf(text, sizeof text, "gap: changes before this were lost to us: %.200s%s",
	    b->data != NULL ? b->data : "",
	    w->jobs != NULL ? "; asking for all that is revoked" : "");
	warn(text);
	if (w->jobs == NULL || w->snapshot)
		return;
	w->snapshot = true;
	w->failed = true; /* another stream, with a snapshot */
}

static void on_position(struct watching *w, const char *id)
{
	if (w->jobs == NULL)
		move_place(w, id);
	else if (!jobs_add(w->jobs, id, NULL))
		w->failed = true;
}

/* Nobody's command of today acts on a hint, also where a snapshot has it. */
static bool is_wanted(const struct watching *w, const char *event, const json_t *data)
{
	if (strcmp(event, "alarms") == 0)
		return w->args->alarms;
	return w->args->notices || json_object_get(data, "notices") == NULL;
}

static void on_data(struct watching *w, const struct sse_block *b)
{
	json_t *data = json_loadb(b->data, b->data_n, 0, NULL);

	if (!json_is_object(data)) {
		warn("an event that is no JSON was skipped");
		w->lost = true;
	} else if (!is_wanted(w, b->event, data)) {
		if (b->id != NULL)
			on_position(w, b->id);
	} else if (w->jobs == NULL) {
		print_event(w, data);
		if (b->id != NULL && !w->ending)
			move_place(w, b->id);
	} else if (!jobs_add(w->jobs, b->id, data)) {
		warn(strerror(ENOMEM));
		w->failed = true; /* it comes again */
	}
	json_decref(data);
}

/* Ours sends none.  The place goes on: else it would come again for ever. */
static void on_too_large(struct watching *w, const struct sse_block *b)
{
	char text[256];

	snprintf(text, sizeof text, "an event of more than %zu MiB was passed over: %s",
	    SSE_MAX >> 20, b->id != NULL ? b->id : "it has no id");
	warn(text);
	w->lost = true;
	if (b->id != NULL)
		on_position(w, b->id);
}

/* The server says what it waits for: once, until something else has come. */
static void on_comment(struct watching *w, const char *comment)
{
	char text[256];

	if (w->told_wait || strncmp(comment, "waiting", 7) != 0)
		return;
	snprintf(text, sizeof text, "the server is %.200s", comment);
	warn(text);
	w->told_wait = true;
}

static bool is_told(const char *event)
{
	return strcmp(event, "changes") == 0 || strcmp(event, "snapshot") == 0 ||
	       strcmp(event, "notices") == 0 || strcmp(event, "alarms") == 0;
}

static void on_block(void *arg, const struct sse_block *b)
{
	struct watching *w = arg;

	if (w->failed || w->ending)
		return;
	w->failures = 0;
	if (b->comment != NULL) {
		on_comment(w, b->comment);
		return;
	}
	w->told_wait = false;
	if (b->too_large)
		on_too_large(w, b);
	else if (strcmp(b->event, "gap") == 0)
		on_gap(w, b);
	else if (b->data != NULL && is_told(b->event))
		on_data(w, b);
	else if (b->id != NULL && b->data == NULL)
		on_position(w, b->id);
	if (w->failed || b->id == NULL || strcmp(b->event, "gap") == 0)
		return;
	/* The first id ends a snapshot. */
	w->snapshot = false;
	snprintf(w->last_id, sizeof w->last_id, "%s", b->id);
}

static size_t on_bytes(char *p, size_t one, size_t n, void *arg)
{
	struct watching *w = arg;

	n *= one;
	if (!client_is_stream(w->client))
		return client_keep(w->client, p, n) ? n : 0;
	/* A snapshot is taken whole, or the server cuts us off and it begins anew. */
	if (w->jobs != NULL && !w->snapshot && jobs_waiting(w->jobs) > JOBS_WAITING_MAX) {
		w->paused = true;
		return CURL_WRITEFUNC_PAUSE;
	}
	w->connected = w->heard = true;
	if (!sse_feed(&w->sse, p, n, on_block, w)) {
		warn(errno == EFBIG ? "an event does not end" : strerror(ENOMEM));
		return 0;
	}
	return w->failed || w->ending ? 0 : n;
}

/* The stream. */

static char *path_of(const struct watching *w)
{
	char *issuer =
	    w->args->issuer != NULL ? curl_easy_escape(NULL, w->args->issuer, 0) : NULL;
	char *list = w->args->watchlist != NULL
			 ? curl_easy_escape(NULL, w->args->watchlist, 0)
			 : NULL;
	char *since =
	    w->last_id[0] != '\0' ? curl_easy_escape(NULL, w->last_id, 0) : NULL;
	char *path = NULL;

	if (asprintf(&path, "/v1/events?%s%s%s%s%s%s%s%s",
		issuer != NULL ? "issuer=" : "", issuer != NULL ? issuer : "",
		issuer != NULL ? "&" : "", list != NULL ? "watchlist=" : "",
		list != NULL ? list : "", list != NULL ? "&" : "",
		w->snapshot     ? "snapshot=1"
		: since != NULL ? "since="
				: "",
		!w->snapshot && since != NULL ? since : "") < 0)
		path = NULL;
	curl_free(issuer);
	curl_free(list);
	curl_free(since);
	if (path != NULL &&
	    (path[strlen(path) - 1] == '?' || path[strlen(path) - 1] == '&'))
		path[strlen(path) - 1] = '\0';
	return path;
}

static void stream_open(struct watching *w)
{
	char *path = path_of(w);

	w->failed = w->paused = w->heard = w->told_wait = false;
	w->opened_ms = mono_ms();
	sse_reset(&w->sse);
	if (path != NULL)
		w->stream = client_stream(w->client, path, on_bytes, w);
	free(path);
	if (w->stream == NULL || curl_multi_add_handle(w->multi, w->stream) != CURLM_OK) {
		warn(strerror(ENOMEM));
		w->stream = NULL;
		w->again_at_ms = mono_ms() + BACKOFF_MAX_MS;
	}
}

/* Some back-off with jitter, so that a fleet does not come back in one wave; after what
 * the server asked for (not negative). */
static void open_again_later(struct watching *w, int64_t asked_ms)
{
	static const struct backoff b = {BACKOFF_FIRST_MS, BACKOFF_MAX_MS, INT_MAX};

	if (asked_ms > RETRY_AFTER_MAX_MS)
		asked_ms = RETRY_AFTER_MAX_MS;
	w->again_at_ms =
	    mono_ms() + asked_ms + backoff_ms(&b, ++w->failures, (unsigned)rand());
}

/* Does the status say that the same request may be answered later (RFC 9110 sections
 * 15.5.9 and 15.6, RFC 6585 section 4, RFC 8470 section 5.2)? */
static bool is_for_later(long status)
{
	return status == 408 || status == 425 || status == 429 || status >= 500;
}

/* Retry-After, a number of seconds or a date, in ms; 0 where there is none. */
static int64_t retry_after_ms(CURL *stream)
{
	curl_off_t seconds = 0;

	curl_easy_getinfo(stream, CURLINFO_RETRY_AFTER, &seconds);
	return seconds > RETRY_AFTER_MAX_MS / 1000 ? RETRY_AFTER_MAX_MS
						   : (int64_t)seconds * 1000;
}

static void end_with(struct watching *w, const char *why, int code)
{
	warn(why);
	w->code = code;
	w->ending = true;
}

/* A refusal that will not go away: say it and end.  Else tell why and try again. */
static void stream_ended(struct watching *w, CURLcode e)
{
	char why[512], again[sizeof why + 16];
	int64_t asked_ms = retry_after_ms(w->stream);
	long status = 0;

	curl_easy_getinfo(w->stream, CURLINFO_RESPONSE_CODE, &status);
	curl_multi_remove_handle(w->multi, w->stream);
	client_stream_end(w->client, status, e, why, sizeof why);
	w->stream = NULL;
	if (w->ending)
		return;
	if (status >= 400 && !is_for_later(status)) {
		end_with(w, why, EXIT_USAGE);
		return;
	}
	if (status < 400 && !w->connected && w->jobs == NULL) {
		end_with(w, why, EXIT_UNREACHABLE);
		return;
	}
	if (!w->failed) {
		snprintf(again, sizeof again, "%s; trying again", why);
		warn(again);
	}
	open_again_later(w, asked_ms);
}

static void look_at_stream(struct watching *w)
{
	CURLMsg *m;
	int left, running;

	curl_multi_perform(w->multi, &running);
	while ((m = curl_multi_info_read(w->multi, &left)) != NULL)
		if (m->msg == CURLMSG_DONE)
			stream_ended(w, m->data.result);
	if (w->stream != NULL && !w->heard && !w->told_wait &&
	    mono_ms() - w->opened_ms >= SILENT_MS) {
		warn("no answer yet; waiting for the server");
		w->told_wait = true;
	}
	if (w->paused && w->stream != NULL &&
	    jobs_waiting(w->jobs) < JOBS_WAITING_MAX / 2) {
		w->paused = false;
		curl_easy_pause(w->stream, CURLPAUSE_CONT);
	}
}

/* The loop. */

static void look_at_signals(struct watching *w)
{
	struct signalfd_siginfo s;

	while (read(w->signals, &s, sizeof s) == sizeof s) {
		if (s.ssi_signo == SIGCHLD)
			continue;
		if (w->ending)
			w->code = 128 + (int)s.ssi_signo; /* a second one: at once */
		w->ending = true;
	}
}

static void look_at_jobs(struct watching *w)
{
	const char *id;

	if (w->jobs == NULL)
		return;
	if (!w->ending)
		jobs_turn(w->jobs, mono_ms());
	else
		jobs_finish(w->jobs, mono_ms());
	id = jobs_reached(w->jobs);
	if (id != NULL)
		move_place(w, id);
}

static int wait_ms(const struct watching *w)
{
	int64_t now = mono_ms(), ms = TURN_MS, until;

	if (w->stream == NULL && w->again_at_ms - now < ms)
		ms = w->again_at_ms - now;
	until = w->jobs != NULL ? jobs_wait_ms(w->jobs, now) : -1;
	if (until >= 0 && until < ms)
		ms = until;
	return ms > 0 ? (int)ms : 0;
}

static void run(struct watching *w)
{
	struct curl_waitfd extra = {.fd = w->signals, .events = CURL_WAIT_POLLIN};

	while (!w->ending ||
	       (w->jobs != NULL && jobs_running(w->jobs) > 0 && w->code < 128)) {
		if (!w->ending && w->stream == NULL && mono_ms() >= w->again_at_ms)
			stream_open(w);
		look_at_stream(w);
		look_at_jobs(w);
		if (!w->ending || (w->jobs != NULL && jobs_running(w->jobs) > 0))
			curl_multi_poll(w->multi, &extra, 1, wait_ms(w), NULL);
		look_at_signals(w);
	}
	look_at_jobs(w);
	if (w->stream != NULL)
		stream_ended(w, CURLE_OK);
}

static int signals_open(void)
{
	sigset_t set;

	sigemptyset(&set);
	sigaddset(&set, SIGINT);
	sigaddset(&set, SIGTERM);
	sigaddset(&set, SIGCHLD);
	sigprocmask(SIG_BLOCK, &set, NULL);
	return signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
}

static bool prepare(struct watching *w)
{
	struct jobs_config c = {.command = w->args->exec,
	    .at_once = w->args->jobs,
	    .batch = w->args->batch,
	    .err = stderr};
	char why[512];

	srand((unsigned)mono_ms() ^ (unsigned)getpid());
	w->multi = curl_multi_init();
	w->signals = signals_open();
	if (w->args->exec != NULL)
		w->jobs = jobs_new(&c);
	if (w->multi == NULL || w->signals < 0 ||
	    (w->args->exec != NULL && w->jobs == NULL)) {
		warn(strerror(ENOMEM));
		return false;
	}
	/* Who only looks keeps no place unless he says where. */
	if ((w->args->exec != NULL || w->args->place != NULL) &&
	    place_open(&w->place, w->args->place, why, sizeof why) != 0) {
		warn(why);
		return false;
	}
	snprintf(w->last_id, sizeof w->last_id, "%s",
	    w->place.id[0] != '\0'   ? w->place.id
	    : w->args->since != NULL ? w->args->since
				     : "");
	w->snapshot = w->args->snapshot && w->place.id[0] == '\0';
	return true;
}

int watch(struct client *client, const struct args *args, const struct show *show)
{
	struct watching w = {.client = client,
	    .args = args,
	    .show = show,
	    .signals = -1,
	    .place = {.lock_fd = -1},
	    .code = EXIT_WELL};

	if (prepare(&w))
		run(&w);
	else
		w.code = EXIT_UNDETERMINED;
	if (w.code == EXIT_WELL &&
	    (w.lost || (w.jobs != NULL && jobs_refused(w.jobs) > 0)))
		w.code = EXIT_UNDETERMINED;
	jobs_free(w.jobs);
	sse_reset(&w.sse);
	place_close(&w.place);
	if (w.multi != NULL)
		curl_multi_cleanup(w.multi);
	if (w.signals >= 0)
		close(w.signals);
	return w.code;
}
