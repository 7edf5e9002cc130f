/* tls_chain.c - a socket that does not block, and one deadline. */
#include "proxy/ctl/tls_chain.h"

#include <errno.h>
#include <fcntl.h>
#include <netdb.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

static int64_t now_ms(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

/* False, with errno: the deadline has passed. */
static bool wait_for(int fd, short events, int64_t deadline_ms)
{
	struct pollfd p = {.fd = fd, .events = events};
	int n;

	do {
		int64_t left = deadline_ms - now_ms();

		n = poll(&p, 1, left > 0 ? (int)left : 0);
	} while (n < 0 && errno == EINTR);
	if (n == 0)
		errno = ETIMEDOUT;
	return n > 0;
}

/* -1 with errno. */
static int connect_to(const struct addrinfo *to, int64_t deadline_ms)
{
	int fd = socket(
	    to->ai_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, to->ai_protocol);
	socklen_t n = sizeof(int);
	int e = 0;

	if (fd < 0)
		return -1;
	if (connect(fd, to->ai_addr, to->ai_addrlen) != 0)
		e = errno;
	if (e == EINPROGRESS) {
		e = wait_for(fd, POLLOUT, deadline_ms) ? 0 : errno;
		if (e == 0)
			getsockopt(fd, SOL_SOCKET, SO_ERROR, &e, &n);
	}
	if (e == 0)
		return fd;
	close(fd);
	errno = e;
	return -1;
}

static int connect_any(
    const struct address *at, int64_t deadline_ms, char *why, size_t why_n)
{
	const struct addrinfo hints = {.ai_socktype = SOCK_STREAM};
	struct addrinfo *all;
	char port[8];
	int fd = -1, e;

	snprintf(port, sizeof port, "%d", at->port);
	e = getaddrinfo(at->host, port, &hints, &all);
	if (e != 0) {
		snprintf(why, why_n, "%s", gai_strerror(e));
		return -1;
	}
	for (const struct addrinfo *to = all; to != NULL && fd < 0; to = to->ai_next)
		fd = connect_to(to, deadline_ms);
	if (fd < 0)
		snprintf(why, why_n, "%s", strerror(errno));
	freeaddrinfo(all);
	return fd;
}

/* Whether or not the handshake ends well (a server may want a certificate of ours), what
 * the server showed until then is there. */
static void shake_hands(SSL *tls, int64_t deadline_ms)
{
	int n, wants;

	while ((n = SSL_connect(tls)) != 1) {
		wants = SSL_get_error(tls, n);
		if ((wants != SSL_ERROR_WANT_READ && wants != SSL_ERROR_WANT_WRITE) ||
		    !wait_for(SSL_get_fd(tls),
			wants == SSL_ERROR_WANT_READ ? POLLIN : POLLOUT, deadline_ms))
			return;
	}
}

static SSL *tls_new(SSL_CTX **context, const struct address *at, int fd)
{
	bool is_name = !address_is_numeric(at) || strcmp(at->host, "localhost") == 0;
	SSL *tls;

	*context = SSL_CTX_new(TLS_client_method());
	if (*context == NULL)
		return NULL;
	SSL_CTX_set_verify(*context, SSL_VERIFY_NONE, NULL);
	SSL_CTX_set_security_level(*context, 0);
	SSL_CTX_set_min_proto_version(*context, TLS1_VERSION);
	tls = SSL_new(*context);
	if (tls != NULL &&
	    (SSL_set_fd(tls, fd) != 1 ||
		(is_name && SSL_set_tlsext_host_name(tls, at->host) != 1))) {
		SSL_free(tls);
		return NULL;
	}
	return tls;
}

static int each_of_chain(SSL *tls, void (*fn)(void *arg, struct bytes der), void *arg)
{
	STACK_OF(X509) *chain = SSL_get_peer_cert_chain(tls);

	for (int i = 0; i < sk_X509_num(chain); i++) {
		unsigned char *der = NULL;
		int n = i2d_X509(sk_X509_value(chain, i), &der);

		if (n > 0)
			fn(arg, bytes_of(der, (size_t)n));
		OPENSSL_free(der);
	}
	return sk_X509_num(chain);
}

bool tls_chain(const struct address *at, int timeout_ms,
    void (*fn)(void *arg, struct bytes der), void *arg, char *why, size_t why_n)
{
	int64_t deadline_ms = now_ms() + timeout_ms;
	int fd = connect_any(at, deadline_ms, why, why_n), n = 0;
	SSL_CTX *context = NULL;
	SSL *tls = fd < 0 ? NULL : tls_new(&context, at, fd);

	if (tls != NULL) {
		shake_hands(tls, deadline_ms);
		n = each_of_chain(tls, fn, arg);
	}
	if (fd >= 0 && n <= 0)
		snprintf(why, why_n,
		    "shows no certificate; is this a server of TLS? (STARTTLS is not "
		    "spoken)");
	SSL_free(tls);
	SSL_CTX_free(context);
	if (fd >= 0)
		close(fd);
	ERR_clear_error();
	return n > 0;
}
