/* hook_own.c - our listeners, and whether an address leads to one of them. */
#include "proxy/push/hook_own.h"

#include <netinet/in.h>
#include <string.h>
#include <unistd.h>

#include "conf/address.h"

static bool is_unspecified(const struct ip_address *p)
{
	static const uint8_t zero[16];

	return memcmp(p->octet, zero, p->v6 ? 16 : 4) == 0;
}

static bool may_bind(const struct ip_address *p)
{
	struct sockaddr_in v4 = {.sin_family = AF_INET};
	struct sockaddr_in6 v6 = {.sin6_family = AF_INET6};
	int fd = socket(p->v6 ? AF_INET6 : AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	bool ok;

	if (fd < 0)
		return true; /* rather refused than called */
	memcpy(&v4.sin_addr, p->octet, 4);
	memcpy(&v6.sin6_addr, p->octet, 16);
	ok = p->v6 ? bind(fd, (const struct sockaddr *)&v6, sizeof v6) == 0
		   : bind(fd, (const struct sockaddr *)&v4, sizeof v4) == 0;
	close(fd);
	return ok;
}

static bool leads_to(const struct ip_address *listener, const struct ip_address *p)
{
	if (listener->port != p->port)
		return false;
	if (is_unspecified(listener) || is_unspecified(p))
		return may_bind(p);
	return listener->v6 == p->v6 &&
	       memcmp(listener->octet, p->octet, p->v6 ? 16 : 4) == 0;
}

bool hook_own_is(const void *own, const struct ip_address *p)
{
	const struct hook_own *o = own;

	for (size_t i = 0; i < o->n; i++)
		if (leads_to(&o->at[i], p))
			return true;
	return false;
}

static void add(struct hook_own *o, const char *host, int port)
{
	if (ip_address_parse(host, port, &o->at[o->n]))
		o->n++;
}

/* Sockets of the file system are no place for a URL.  localhost, the one name that may
 * stand there, is the two addresses that it has. */
static void add_all(struct hook_own *o, char *const *listen, size_t n)
{
	struct address a;

	for (size_t i = 0; i < n; i++) {
		if (address_parse(listen[i], &a) != NULL)
			continue;
		if (strcmp(a.host, "localhost") == 0) {
			add(o, "127.0.0.1", a.port);
			add(o, "::1", a.port);
		} else {
			add(o, a.host, a.port);
		}
	}
}

void hook_own_load(struct hook_own *o, const struct conf *c)
{
	o->n = 0;
	add_all(o, c->listen, c->listen_n);
	add_all(o, c->api_listen, c->api_listen_n);
}
