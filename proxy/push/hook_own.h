/* hook_own.h - is an address one at which we listen ourselves?
 *
 * A webhook never leads there, whatever webhook-allow-address allows: it would be a way
 * for who may only manage webhooks to call what he may not.  An address that is listened
 * on as a whole (0.0.0.0, [::]) is every one that this machine has: 127.0.0.2 as well as
 * those of its interfaces, which come and go; so the kernel is asked each time whether it
 * would let us bind to it.  The unspecified address is that of this machine, too.
 *
 * Weak point: where the kernel lets us bind to what is not ours (ip_nonlocal_bind), all
 * addresses are refused on the ports of such listeners.
 *
 * Any thread.
 */
#ifndef PROXY_PUSH_HOOK_OWN_H
#define PROXY_PUSH_HOOK_OWN_H

#include "conf/conf.h"
#include "conf/network.h"

struct hook_own {
	struct ip_address
	    at[2 * (CONF_LISTEN_MAX + CONF_API_LISTEN_MAX)]; /* localhost: two */
	size_t n;
};

void hook_own_load(struct hook_own *o, const struct conf *c);
/* own: a struct hook_own. */
bool hook_own_is(const void *own, const struct ip_address *p);

#endif
