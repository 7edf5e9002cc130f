/* rights.h - which right each call needs, and what of it there is for who asks.
 *
 * The table goes by what the router has read and not by paths, so that a path has one
 * reading: what would be done is what is asked for.  A call without a row here is refused
 * for every token.
 *
 * Right first, then reach.  What a token does not reach is answered as what is not there
 * (404); where a call would touch more than it reaches, it is refused with 403 and the
 * remedy.  A call that names no issuer or list is narrowed to the only one that a token
 * has.
 *
 * a NULL: nobody is asked, everything may be done.  Pure functions, any thread that may
 * borrow the inventory v.
 */
#ifndef PROXY_API_RIGHTS_H
#define PROXY_API_RIGHTS_H

#include "proxy/api/api_upload.h"
#include "proxy/api/calls.h"
#include "proxy/push/events.h"
#include "proxy/push/hook_desk.h"
#include "proxy/watch/watch_ask.h"

/* 0: none, nobody has it; CALL_READY needs none and is made brief. */
enum right right_of_call(enum call_what what);
enum right right_of_ask(enum watch_ask_what what);
enum right right_of_upload(enum upload_call call);
enum right right_of_hook(enum hook_ask_what what);

/* False: *e says why not. */
bool rights_call(const struct access *a, const struct inventory *v, struct call *c,
    struct api_error *e);
bool rights_ask(const struct access *a, const struct inventory *v, struct watch_ask *ask,
    struct api_error *e);
bool rights_upload(const struct access *a, const struct upload *u, struct api_error *e);
bool rights_events(const struct access *a, struct events_query *q, struct api_error *e);
/* A PUT is narrowed to what the token has; which webhooks are there for it is the desk's
 * to say. */
bool rights_hook(const struct access *a, struct hook_ask *ask, struct api_error *e);
bool rights_alarms(const struct access *a, struct api_error *e);

/* Does a call with this right change something, so that it is told in the log? */
static inline bool right_is_told(enum right right)
{
	return right == RIGHT_MANAGE || right == RIGHT_OPERATE;
}

#endif
