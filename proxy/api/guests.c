/* guests.c - a connection with a past. */
#include "proxy/api/guests.h"

#include <openssl/x509v3.h>
#include <stdlib.h>
#include <strings.h>
#include <unistd.h>

#include "conf/address.h"

static void on_guest_gone(void *arg)
{
	struct tls_guest *g = arg;
	_Atomic int *count = g->owner;

	atomic_fetch_sub(count, 1);
	free(g);
}

void guest_open(struct conn_loop *l, struct tls_guest *g, _Atomic int *count)
{
	if (atomic_load(count) >= GUESTS_MAX) {
		close(g->fd);
		free(g);
		return;
	}
	g->owner = count;
	if (conn_new(l, g->fd, on_guest_gone, g) == NULL)
		free(g);
	else
		atomic_fetch_add(count, 1);
}

void guest_from(const struct conn *c, struct gate_from *from)
{
	const struct tls_guest *g = conn_owner(c, on_guest_gone);

	*from = (struct gate_from){.outside = g != NULL};
	if (g == NULL) {
		conn_peer(c, &from->peer);
		return;
	}
	from->peer = g->peer;
	from->certificate = g->has_certificate ? g->certificate : NULL;
}

/* Without port and brackets. */
static bool bare_host(struct bytes host, char out[HOST_MAX])
{
	const uint8_t *end;
	bool v6 = host.n > 0 && host.p[0] == '[';

	if (v6)
		host = bytes_of(host.p + 1, host.n - 1);
	end = host.n > 0 ? memchr(host.p, v6 ? ']' : ':', host.n) : NULL;
	if (end != NULL)
		host.n = (size_t)(end - host.p);
	if (host.n == 0 || host.n >= HOST_MAX)
		return false;
	memcpy(out, host.p, host.n);
	out[host.n] = '\0';
	return strlen(out) == host.n;
}

bool guest_host_is_ours(const struct conf *c, struct bytes host)
{
	X509 *x = c->api_tls != NULL ? SSL_CTX_get0_certificate(c->api_tls) : NULL;
	char text[HOST_MAX];

	if (!bare_host(host, text))
		return false;
	for (size_t i = 0; i < c->api_host_n; i++)
		if (strcasecmp(c->api_host[i], text) == 0)
			return true;
	return x != NULL && (X509_check_host(x, text, 0, 0, NULL) == 1 ||
				X509_check_ip_asc(x, text, 0) == 1);
}
