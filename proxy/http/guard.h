/* guard.h - where URLs that were learnt may lead (T7).
 *
 * A URL out of the configuration leads where the operator says.  One out of a list, a
 * certificate or a table of the CA's is a stranger's, and who wrote it may want to see
 * our network through our eyes: it leads to public addresses on ports 80 and 443, and to
 * what allow-address names.  What is judged is the address that is connected to, not the
 * name, which may lead elsewhere a moment later.  Pure, but for what `never` looks at.
 */
#ifndef PROXY_HTTP_GUARD_H
#define PROXY_HTTP_GUARD_H

#include "conf/network.h"

struct guard {
	const struct network *allow; /* borrowed */
	size_t allow_n;
	bool any_port; /* of public addresses: a webhook's URL is an operator's word */
	/* Refused whatever is allowed (NULL: nothing is); arg borrowed. */
	bool (*never)(const void *arg, const struct ip_address *p);
	const void *never_arg;
};

/* What people are told of each place that is refused: one text, so that it tells nothing
 * about who answers there. */
#define GUARD_WORDS                                                                      \
	"the URL is not from the configuration, and leads to an address that is not "    \
	"public or to another port than 80 and 443"
#define GUARD_REMEDY "if that is right, name the address with allow-address"

bool guard_allows(const struct guard *g, const struct ip_address *p);
/* The same of an address of the system's. */
bool guard_allows_address(const struct guard *g, const struct sockaddr *sa);

#endif
