/* The operator's word first. */
#include "proxy/http/guard.h"

bool guard_allows(const struct guard *g, const struct ip_address *p)
{
	if (g->never != NULL && g->never(g->never_arg, p))
		return false;
	for (size_t i = 0; i < g->allow_n; i++)
		if (network_has(&g->allow[i], p))
			return true;
	return ip_address_is_public(p) &&
	       (g->any_port || p->port == 80 || p->port == 443);
}

bool guard_allows_address(const struct guard *g, const struct sockaddr *sa)
{
	struct ip_address p;

	return ip_address_of(sa, &p) && guard_allows(g, &p);
}
