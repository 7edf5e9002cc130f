/* hook_send.c - a POST, and what its receiver said. */
#include <stdio.h>
#include <stdlib.h>

#include "proxy/base/clock.h"
#include "proxy/push/hook_format.h"
#include "proxy/push/hook_sign.h"
#include "proxy/push/hooks_core.h"

#define ANSWER_MAX 16384 /* octets of its body that are read, and dropped */
#define TESTS_MAX  8     /* at a time */
#define HEADER_MAX (64 + HOOK_SIGNATURES_MAX)

/* Sending. */

static struct fetch *post(struct hooks *h, const struct webhook *w, const char *id,
    const struct json_line *body, fetch_done_fn *done, void *arg)
{
	struct hook_signed what = {id, clock_now(), bytes_of(body->p, body->n)};
	char signature[HOOK_SIGNATURES_MAX], line[3][HEADER_MAX];
	const char *const headers[] = {line[0], line[1], line[2], NULL};
	const struct fetch_request r = {.url = w->url,
	    .content_type = hook_format_content_type(w->format),
	    .body = what.body,
	    .headers = headers,
	    .learnt = true,
	    .fresh = true,
	    .timeout_ms = h->timeout_ms,
	    .max_size = ANSWER_MAX};

	if (!hook_sign(w->secret, w->secrets_n, &what, signature))
		return NULL;
	snprintf(line[0], sizeof line[0], "webhook-id: %s", id);
	snprintf(line[1], sizeof line[1], "webhook-timestamp: %lld", (long long)what.at);
	snprintf(line[2], sizeof line[2], "webhook-signature: %s", signature);
	return fetch_start(h->fetcher, &r, done, arg);
}

/* Words about a try that failed: never what the receiver wrote, and of an address that is
 * not allowed the same whoever is there (T7). */
static void words_of(const struct fetch_result *r, char out[WEBHOOK_ERROR_MAX])
{
	switch (r->error) {
	case ERR_OK:
	case ERR_UP_SIZE:
		if (r->status == 0) {
			snprintf(
			    out, WEBHOOK_ERROR_MAX, "the head of its answer is too long");
			break;
		}
		snprintf(out, WEBHOOK_ERROR_MAX, "HTTP status %d%s", r->status,
		    r->status / 100 == 3 ? "; redirects are not followed: name the URL "
					   "that it leads to"
					 : "");
		break;
	case ERR_UP_TIMEOUT:
		snprintf(out, WEBHOOK_ERROR_MAX, "no answer within webhook-timeout");
		break;
	case ERR_UP_ADDRESS:
		snprintf(out, WEBHOOK_ERROR_MAX,
		    "the URL leads to an address that is not public, or to ourselves; if "
		    "that is right, name it with webhook-allow-address");
		break;
	case ERR_UP_CONNECT:
		snprintf(
		    out, WEBHOOK_ERROR_MAX, "%.*s", WEBHOOK_ERROR_MAX - 1, r->detail);
		break;
	case ERR_UP_TRUNCATED:
		snprintf(out, WEBHOOK_ERROR_MAX, "its answer ended early");
		break;
	case ERR_UP_HTTP:
		snprintf(out, WEBHOOK_ERROR_MAX,
		    "what came is no HTTP/1.1, or coded as nobody asked for");
		break;
	default:
		snprintf(out, WEBHOOK_ERROR_MAX, "%s", err_text(r->error));
	}
}

/* A head that came whole counts, also where its body was too long for us. */
static struct hook_answer answer_of(const struct fetch_result *r)
{
	bool whole = r->error == ERR_OK || r->error == ERR_UP_SIZE;
	const char *after = r->retry_after;

	return hook_answer_read(
	    whole ? r->status : 0, bytes_of(after, strlen(after)), clock_now());
}

/* Its place is free again.  A stop waits for those that are quick, and for no other. */
static void seat_back(struct hook *k)
{
	if (k->seat.kind == SEAT_QUICK)
		atomic_fetch_sub(&k->hooks->busy, 1);
	hook_seat_give(&k->hooks->seats, &k->seat);
}

static void on_answer(void *arg, const struct fetch_result *r)
{
	struct hook *k = arg;
	struct hook_answer a = answer_of(r);
	char why[WEBHOOK_ERROR_MAX] = "";

	k->fetch = NULL;
	seat_back(k);
	if (a.verdict != HOOK_TAKEN)
		words_of(r, why);
	k->hooks->ended(k, &a, why);
}

/* Who failed last, or has taken nothing yet, is doubted. */
static bool is_doubted(const struct hook *k)
{
	return !k->proven || k->state.tries > 0;
}

bool hook_send(struct hook *k)
{
	struct hooks *h = k->hooks;

	if (!hook_seat_take(&h->seats, &k->seat, is_doubted(k))) {
		k->wait = FOR_SEAT;
		return false;
	}
	k->fetch = post(h, k->w, k->cut.id, &k->cut.body, on_answer, k);
	if (k->fetch == NULL) {
		hook_seat_give(&h->seats, &k->seat);
		k->wait = FOR_TIME;
		return false;
	}
	atomic_fetch_add(&h->busy, 1);
	k->phase = HOOK_SENDING;
	k->sent_ms = clock_mono_ms();
	k->sent_start = k->w->start;
	return true;
}

void hook_send_slow(struct hook *k, int64_t now_ms)
{
	if (k->fetch == NULL || now_ms - k->sent_ms < HOOK_QUICK_MS ||
	    k->seat.kind != SEAT_QUICK)
		return;
	hook_seat_slow(&k->hooks->seats, &k->seat);
	if (k->seat.kind == SEAT_SLOW)
		atomic_fetch_sub(&k->hooks->busy, 1);
}

void hook_send_cancel(struct hook *k)
{
	if (k->fetch == NULL)
		return;
	fetch_cancel(k->fetch);
	k->fetch = NULL;
	seat_back(k);
}

/* Tests. */

static void test_ended(struct hook_test *t, const char *error)
{
	struct hooks *h = t->hooks;
	hook_tested_fn *done = t->done;
	void *arg = t->arg;

	LIST_REMOVE(t, link);
	h->tests_n--;
	free(t);
	done(arg, error);
}

static void on_tested(void *arg, const struct fetch_result *r)
{
	struct hook_test *t = arg;
	char why[WEBHOOK_ERROR_MAX];

	t->fetch = NULL;
	words_of(r, why);
	test_ended(t, answer_of(r).verdict == HOOK_TAKEN ? NULL : why);
}

static const char *test_start(
    struct hook_test *t, const struct webhook *w, const char *id)
{
	struct hooks *h = t->hooks;
	struct json_line body = {0};

	if (h->cancelled)
		return "we stop";
	if (h->tests_n > TESTS_MAX)
		return "too many tests at once: try again";
	if (hook_test_body(&h->maker, w, id, clock_now(), &body))
		t->fetch = post(h, w, id, &body, on_tested, t);
	free(body.p);
	return t->fetch != NULL ? NULL : err_text(ERR_NOMEM);
}

/* What cannot begin is told before this returns. */
void hook_test(void *hooks, const struct webhook *w, const char *id, hook_tested_fn *done,
    void *done_arg)
{
	struct hooks *h = hooks;
	struct hook_test *t = calloc(1, sizeof *t);
	const char *error;

	if (t == NULL) {
		done(done_arg, err_text(ERR_NOMEM));
		return;
	}
	*t = (struct hook_test){.hooks = h, .done = done, .arg = done_arg};
	LIST_INSERT_HEAD(&h->tests, t, link);
	h->tests_n++;
	error = test_start(t, w, id);
	if (error != NULL)
		test_ended(t, error);
}

void hook_tests_cancel(struct hooks *h)
{
	struct hook_test *t;

	while ((t = LIST_FIRST(&h->tests)) != NULL) {
		if (t->fetch != NULL)
			fetch_cancel(t->fetch);
		test_ended(t, "we stop");
	}
}
