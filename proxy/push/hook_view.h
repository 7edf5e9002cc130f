/* hook_view.h - a webhook as GET shows it: what it is and how far, and never a secret.
 *
 * Of its URL there are scheme and host, of its secrets how many.  Pure, any thread.
 */
#ifndef PROXY_PUSH_HOOK_VIEW_H
#define PROXY_PUSH_HOOK_VIEW_H

#include "cache/watch/webhook.h"
#include "proxy/base/access.h"
#include "proxy/base/json_line.h"

/* Is it there for who asks (NULL: nobody is asked)?  It tells nothing but what he may
 * see. */
bool hook_is_seen(const struct access *a, const struct webhook *w);

/* An object; state NULL: not known.  end: of the log, epoch 0 where it is not known; lag
 * is in records of it.  secret: shown besides, this once, or NULL. */
void hook_view(struct json_line *out, const struct webhook *w,
    const struct webhook_state *state, const struct change_pos *end, const char *secret);

#endif
