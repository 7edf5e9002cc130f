/* api_core.h - what the files of the API's thread share; nobody else includes it.
 *
 *	api_serve.c   a request: who asks, may he, who answers; and the answer's way back
 *	api.c         the thread: its listeners, orders of other threads, its end
 *
 * The second calls the first.
 */
#ifndef PROXY_API_API_CORE_H
#define PROXY_API_API_CORE_H

#include <pthread.h>

#include "proxy/api/api.h"
#include "proxy/api/calls.h"
#include "proxy/api/gate.h"
#include "proxy/api/guests.h"
#include "proxy/base/thread.h"
#include "proxy/http/listener.h"
#include "proxy/push/events.h"

struct api {
	struct shared *shared;
	struct event_base *base;
	struct inbox *inbox;
	struct conn_loop *loop;
	struct listener *listener[CONF_API_LISTEN_MAX];
	size_t listeners;
	bool closed;         /* they are */
	struct calls *calls; /* the keeper's thread uses it */
	struct events *events;
	struct gate *gate;
	struct tls *tls; /* NULL: nobody off loopback */
	_Atomic int guests;
	_Atomic int connections;
	bool stopping;
	size_t parked;    /* calls that are at the keeper, asks that are at the watcher */
	struct call halt; /* the CALL_STOP */
	struct order reload, drain, close, stop;
	pthread_t thread;
	bool started;
};

/* Of the loop; its arg is the struct api. */
extern const struct conn_handler api_serve_handler;
/* The keeper answers call, which is back then. */
void api_serve_post(struct api *a, struct call *call);
/* When the API stops: the loop ends as soon as all that is asked has come back. */
void api_serve_leave(struct api *a);

#endif
