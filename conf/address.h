/* address.h - forms of what the configuration names: addresses, URLs, paths.
 *
 * Pure functions.  Those that return text return NULL for what is right, else "what is
 * wrong; remedy": static, in words for the operator.
 */
#ifndef CONF_ADDRESS_H
#define CONF_ADDRESS_H

#include "cache/base/bytes.h"

#define HOST_MAX      254 /* octets of a DNS name as text (RFC 1035), and a NUL */
#define UNIX_PATH_MAX 107 /* octets of sockaddr_un.sun_path before its NUL */

struct address {
	char host[HOST_MAX]; /* lower case, without brackets */
	int port;            /* 1..65535 */
};

/* "host:port", "[::1]:port" */
const char *address_parse(const char *text, struct address *out);
/* 127.0.0.0/8, ::1, localhost */
bool address_is_loopback(const struct address *a);
/* An address that can be listened on without asking anybody; localhost is one. */
bool address_is_numeric(const struct address *a);

struct url {
	struct address at; /* the scheme's port where the URL has none */
	const char *path;  /* with the query, borrowed from the text; "" for none */
};

/* An http or https URL of a responder or of a list. */
const char *url_parse(const char *text, struct url *out);

/* "http://host:port" of a proxy */
const char *proxy_url_parse(const char *text, struct address *out);

/* "memory:", "lmdb:DIR", "redis://[user:pass@]host:port[/db]", and
 * "redis+unix://[user:pass@]PATH" */
const char *store_url_check(const char *text);
/* The path of a socket. */
const char *socket_path_check(const char *path);
/* Where the path of a store or a "unix:" address starts, or NULL. */
const char *embedded_path(const char *text);
/* Where the password of a redis URL is: *n octets, 0 without. */
const char *store_url_password(const char *text, unsigned long *n);

/* One step through a path or a query in RFC 3986's normal form (sections 6.2.2.1 and
 * 6.2.2.2): an octet, or the escape of one that has a meaning, in capitals.  Escapes of
 * letters, digits, '-', '.', '_' and '~' are these.  Returns how many octets of out it
 * is, 1 or 3, and moves *p, which is before end. */
size_t url_step(const uint8_t **p, const uint8_t *end, uint8_t out[3]);
/* Does text begin with prefix, however each of them is spelt?  *n: octets of text that
 * spell it. */
bool url_begins(struct bytes text, struct bytes prefix, size_t *n);

/* The path of a URL, or of ocsp-path, in that normal form, without '/' at its end. Owned;
 * NULL with *why set, or NULL there when memory ran out. */
char *path_normal(const char *path, const char **why);
/* The same of a URL, without its query: clients may or may not repeat that. */
char *url_path_normal(const struct url *u, const char **why);

#endif
