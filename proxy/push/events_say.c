/* events_say.c - bytes into one subscriber's socket, and what comes before its events. */
#include "proxy/push/events_say.h"

#include <assert.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>

#define PREFIX_MAX 1024

ssize_t say_push(struct sub *s, struct iovec *iov, size_t n)
{
	struct msghdr m = {.msg_iov = iov, .msg_iovlen = n};
	struct events *e = s->events;
	ssize_t taken;

	assert(s->skip < iov[0].iov_len);
	iov[0].iov_base = (char *)iov[0].iov_base + s->skip;
	iov[0].iov_len -= s->skip;
	do
		taken = sendmsg(event_get_fd(&s->ev), &m, MSG_NOSIGNAL | MSG_DONTWAIT);
	while (taken < 0 && errno == EINTR);
	if (taken < 0)
		return errno == EAGAIN || errno == ENOBUFS || errno == ENOMEM
			   ? (ssize_t)s->skip
			   : -1;
	pace_gave(&s->pace, (size_t)taken);
	e->turn_bytes += (size_t)taken;
	metrics_add(e->counters, M_BYTES_OUT, (uint64_t)taken);
	return taken + (ssize_t)s->skip;
}

enum step say_frame(struct sub *s, char *text, size_t n)
{
	struct iovec iov = {text, n};
	ssize_t taken = say_push(s, &iov, 1);

	if (taken < 0)
		return STEP_GONE;
	s->skip = (size_t)taken < n ? (uint32_t)taken : 0;
	return s->skip == 0 && (size_t)taken == n ? STEP_MORE : STEP_FULL;
}

/* What was made for one alone. */

static void count(struct sub *s, uint32_t events, uint32_t changes)
{
	struct counters *counters = s->events->counters;

	s->said_ms = s->events->now_ms;
	metrics_add(counters, M_EVENTS_SENT, events);
	metrics_add(counters, M_CHANGES_SENT, changes);
}

enum step say_rest(struct sub *s)
{
	enum step step = say_frame(s, s->rest->p, s->rest->n);

	if (step != STEP_MORE)
		return step;
	count(s, s->rest->events, s->rest->changes);
	free(s->rest);
	s->rest = NULL;
	return STEP_MORE;
}

/* Who has half an event that we have no memory to keep is let go: it comes back to that
 * event's beginning. */
enum step say_gathered(
    struct sub *s, const struct json_line *out, uint32_t events, uint32_t changes)
{
	struct iovec iov = {out->p, out->n};
	ssize_t taken;
	size_t left;

	assert(s->skip == 0 && s->rest == NULL && out->n > 0);
	taken = say_push(s, &iov, 1);
	if (taken < 0)
		return STEP_GONE;
	left = out->n - (size_t)taken;
	if (left == 0) {
		count(s, events, changes);
		return STEP_MORE;
	}
	s->rest = malloc(sizeof *s->rest + left);
	if (s->rest == NULL)
		return STEP_GONE;
	*s->rest = (struct sub_rest){left, events, changes};
	memcpy(s->rest->p, out->p + taken, left);
	return STEP_FULL;
}

/* What comes before the events. */

static size_t head_text(const struct sub *s, char *out)
{
	char date[HTTP1_DATE_MAX];

	http1_date(s->joined_at, date);
	return (size_t)snprintf(out, PREFIX_MAX,
	    "HTTP/1.1 200 OK\r\nDate: %s\r\nContent-Type: text/event-stream\r\n"
	    "Cache-Control: no-store\r\nX-Content-Type-Options: nosniff\r\n"
	    "X-Accel-Buffering: no\r\nConnection: close\r\n\r\n",
	    date);
}

enum step say_prefix(struct sub *s)
{
	char text[PREFIX_MAX + 2 * EVENTS_FRAME_TEXT];
	bool wait = s->say_wait, gap = s->say_gap, position = s->say_position;
	enum step step;
	size_t n = 0;

	assert(s->say_head || wait || gap || position);
	if (s->say_head)
		n += head_text(s, text);
	if (wait)
		n += events_text_wait(s->wait_for, text + n);
	if (gap)
		n += events_text_gap(s->since, &s->pos, text + n);
	if (position)
		n += events_text_position(&s->pos, text + n);
	step = say_frame(s, text, n);
	if (step != STEP_MORE)
		return step;
	s->say_head = s->say_wait = s->say_gap = s->say_position = false;
	s->told_wait = wait || (s->told_wait && !position);
	if (position || wait)
		s->said_ms = s->events->now_ms;
	return STEP_MORE;
}

bool events_say_wait(struct sub *s, enum events_wait what)
{
	struct events *e = s->events;
	bool again = e->now_ms - s->said_ms >= e->position_ms;

	/* not in the middle of something else */
	if (s->skip > 0 || (s->told_wait && !again))
		return true;
	s->say_wait = true;
	s->wait_for = what;
	if (say_prefix(s) != STEP_GONE)
		return true;
	sub_close(s);
	return false;
}
