/* api.h - the API's thread: http1 and conn with another router, JSON in and out.
 *
 * It answers nothing by itself but errors, /healthz and event streams
 * (proxy/push/events.h): each call goes to the keeper as a struct call
 * (proxy/api/calls.h) and its connection is parked meanwhile.
 *
 * The keeper's thread has to run until api_join() has returned: api_stop() waits for the
 * calls that are there, and cuts short those that wait for a responder.
 */
#ifndef PROXY_API_API_H
#define PROXY_API_API_H

#include "proxy/base/shared.h"

struct api;

/* fds: n, at most CONF_API_LISTEN_MAX, bound and listening, handed over also on failure.
 * NULL with a line in why. */
struct api *api_new(
    struct shared *shared, const int *fds, size_t n, char *why, size_t why_n);
/* Listen there with TLS, too: addresses off loopback.  Before api_start(), where conf has
 * api_tls; fds as above.  False: out of memory. */
bool api_open(struct api *a, const int *fds, size_t n);
struct inbox *api_inbox(struct api *a); /* one of shared->readers */
/* The run of news for api_inbox(): teller_listen(telling, api_inbox(a), api_news). */
void api_news(void *inbox_arg, struct msg *m);
int api_start(struct api *a); /* 0 or errno */

/* Any thread, also again before the first was heard: */
void api_reload(struct api *a); /* conf in force has changed: limits */
/* The front drains: close all event streams, and open no more.  Other calls are answered
 * until api_close(), so that /readyz can say so. */
void api_drain(struct api *a);
void api_close(struct api *a);      /* stop listening, close idle connections */
bool api_idle(const struct api *a); /* no connection and no event stream is left */
void api_stop(struct api *a);       /* leave the loop when the last parked call is back */

/* After api_stop(): wait for the thread, then free all. */
void api_join(struct api *a);
void api_free(struct api *a);

#endif
