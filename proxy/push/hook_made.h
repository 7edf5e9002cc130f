/* hook_made.h - a webhook as it becomes by what an operator says: of a body, and of what
 * was there before.  Any thread; chance comes from OpenSSL.
 */
#ifndef PROXY_PUSH_HOOK_MADE_H
#define PROXY_PUSH_HOOK_MADE_H

#include "proxy/base/access.h"
#include "proxy/push/hook_body.h"

struct hook_making {
	const char *name;
	const struct hook_body *body;
	const struct access *access;  /* who says it; NULL: nobody was asked */
	const struct webhook *before; /* NULL: it is new */
	struct change_pos end;        /* of the log, where one that is new begins */
	int64_t now;
};

/* Would it be one of PagerDuty without a routing key? */
bool hook_lacks_key(const struct hook_body *b, const struct webhook *before);
/* A reference.  Secrets and routing key that are not given are those that it had, and so
 * is whether it is disabled; without any a secret is made, whose text is in secret then,
 * else "".  NULL: no memory, or no chance. */
struct webhook *hook_made(const struct hook_making *m, char secret[WEBHOOK_SECRET_TEXT]);
/* The same webhook, that goes on behind this place. */
struct webhook *hook_moved(
    const struct webhook *w, const struct change_pos *since, int64_t now);

#endif
