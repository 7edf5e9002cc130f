/* api_tls.c - certificate, key and client CA of the API as one context for its
 * handshakes.
 *
 * TLS 1.2 with ciphers that have forward secrecy and authenticate what they encrypt, and
 * 1.3.  No renegotiation, no compression, and no resumption, neither by tickets nor by
 * session: a ticket's key would have to be changed in time to keep forward secrecy, and
 * who subscribes shakes hands once in hours.
 */
#include <errno.h>
#include <openssl/err.h>
#include <openssl/ssl.h>

#include "conf/address.h"
#include "conf/fault.h"

#define CIPHERS                                                                          \
	"ECDHE-ECDSA-AES256-GCM-SHA384:ECDHE-RSA-AES256-GCM-SHA384:"                     \
	"ECDHE-ECDSA-CHACHA20-POLY1305:ECDHE-RSA-CHACHA20-POLY1305:"                     \
	"ECDHE-ECDSA-AES128-GCM-SHA256:ECDHE-RSA-AES128-GCM-SHA256"

/* Why OpenSSL did not do it; its queue is empty then. */
static const char *reason(void)
{
	unsigned long e = ERR_peek_error();
	const char *text = ERR_GET_LIB(e) == ERR_LIB_SYS ? strerror(ERR_GET_REASON(e))
							 : ERR_reason_error_string(e);

	ERR_clear_error();
	return text != NULL ? text : "it cannot be read";
}

static void complain(const struct draft *d, enum option_id id, const char *path)
{
	fault(d, &d->settings->global, id, 0,
	    "%s: %s; name a file of PEM that the daemon's user can read", path, reason());
}

/* HTTP/1.1 and nothing else, where a client says what it speaks (RFC 7301). */
static int choose_protocol(SSL *ssl, const unsigned char **out, unsigned char *out_n,
    const unsigned char *in, unsigned in_n, void *arg)
{
	static const unsigned char http[] = "\x08http/1.1";
	unsigned char *chosen;

	(void)ssl, (void)arg;
	if (SSL_select_next_proto(&chosen, out_n, http, sizeof http - 1, in, in_n) !=
	    OPENSSL_NPN_NEGOTIATED)
		return SSL_TLSEXT_ERR_ALERT_FATAL;
	*out = chosen;
	return SSL_TLSEXT_ERR_OK;
}

static bool set_rules(SSL_CTX *x)
{
	SSL_CTX_set_options(x, SSL_OP_NO_RENEGOTIATION | SSL_OP_NO_COMPRESSION |
				   SSL_OP_NO_TICKET | SSL_OP_CIPHER_SERVER_PREFERENCE);
	SSL_CTX_set_mode(x, SSL_MODE_RELEASE_BUFFERS | SSL_MODE_ENABLE_PARTIAL_WRITE |
				SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
	SSL_CTX_set_session_cache_mode(x, SSL_SESS_CACHE_OFF);
	SSL_CTX_set_alpn_select_cb(x, choose_protocol, NULL);
	return SSL_CTX_set_num_tickets(x, 0) == 1 &&
	       SSL_CTX_set_min_proto_version(x, TLS1_2_VERSION) == 1 &&
	       SSL_CTX_set_cipher_list(x, CIPHERS) == 1;
}

static void load_client_ca(const struct draft *d, SSL_CTX *x)
{
	const char *path = d->conf->api_tls_client_ca;
	STACK_OF(X509_NAME) * names;

	if (*path == '\0' || is_refused(&d->settings->global, OPTION_api_tls_client_ca))
		return;
	names = SSL_load_client_CA_file(path);
	if (names == NULL || SSL_CTX_load_verify_file(x, path) != 1) {
		sk_X509_NAME_pop_free(names, X509_NAME_free);
		complain(d, OPTION_api_tls_client_ca, path);
		return;
	}
	SSL_CTX_set_client_CA_list(x, names);
	SSL_CTX_set_verify(x, SSL_VERIFY_PEER, NULL); /* who has none has a token */
}

static void load_pair(const struct draft *d, SSL_CTX *x)
{
	const struct conf *c = d->conf;

	if (SSL_CTX_use_certificate_chain_file(x, c->api_tls_certificate) != 1)
		complain(d, OPTION_api_tls_certificate, c->api_tls_certificate);
	else if (SSL_CTX_use_PrivateKey_file(
		     x, c->api_tls_private_key, SSL_FILETYPE_PEM) != 1)
		complain(d, OPTION_api_tls_private_key, c->api_tls_private_key);
}

/* An address that only TLS and a token open. */
static void check_outside(const struct draft *d)
{
	const struct group *g = &d->settings->global;
	const struct conf *c = d->conf;

	for (size_t i = 0; i < c->api_listen_n && !is_refused(g, OPTION_api_listen);
	     i++) {
		if (!conf_api_is_outside(c->api_listen[i]))
			continue;
		if (*c->api_tls_certificate == '\0')
			fault_value(d, g, OPTION_api_listen, i, c->api_listen[i],
			    "is not on loopback and needs TLS; write "
			    "api-tls-certificate and api-tls-private-key, or "
			    "127.0.0.1:PORT, "
			    "[::1]:PORT or unix:PATH");
		else if (c->token_n == 0)
			fault_value(d, g, OPTION_api_listen, i, c->api_listen[i],
			    "is not on loopback and needs a token; make one with "
			    "\"ocspctl token NAME\"");
	}
}

static void check_together(const struct draft *d)
{
	const struct group *g = &d->settings->global;
	const struct conf *c = d->conf;
	bool certificate = *c->api_tls_certificate != '\0',
	     key = *c->api_tls_private_key != '\0';

	if (certificate != key)
		fault(d, g,
		    certificate ? OPTION_api_tls_certificate : OPTION_api_tls_private_key,
		    0,
		    "stands alone; write both api-tls-certificate and "
		    "api-tls-private-key");
	for (size_t i = 0; i < c->token_n && *c->api_tls_client_ca == '\0'; i++)
		if (*c->token[i].client_certificate != '\0' &&
		    *c->token[i].sha256 == '\0')
			fault(d, d->settings->token[i], OPTION_client_certificate, 0,
			    "is never asked for; write api-tls-client-ca");
}

bool conf_api_is_outside(const char *listen)
{
	struct address a;

	return address_parse(listen, &a) == NULL && address_is_numeric(&a) &&
	       !address_is_loopback(&a);
}

bool draft_check_api_tls(struct draft *d)
{
	const struct group *g = &d->settings->global;
	struct conf *c = d->conf;
	SSL_CTX *x;

	check_together(d);
	check_outside(d);
	if (*c->api_tls_certificate == '\0' || *c->api_tls_private_key == '\0' ||
	    is_refused(g, OPTION_api_tls_certificate) ||
	    is_refused(g, OPTION_api_tls_private_key))
		return true;
	ERR_clear_error();
	x = SSL_CTX_new(TLS_server_method());
	if (x == NULL || !set_rules(x)) {
		SSL_CTX_free(x);
		ERR_clear_error();
		return false;
	}
	load_pair(d, x);
	load_client_ca(d, x);
	c->api_tls = x;
	return true;
}
