/* One walk over the text for each form; getaddrinfo() is not asked, since a load waits
 * for no network. */
#include "conf/address.h"

#include <arpa/inet.h>
#include <ctype.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "cache/base/bytes.h"

#define DIGITS     "0123456789"
#define REDIS_PORT 6379 /* where the URL names none */

static bool starts(const char *text, const char *with)
{
	return strncasecmp(text, with, strlen(with)) == 0;
}

/* Schemes of stores and "unix:" are ours, and in one spelling. */
static bool begins(const char *text, const char *with)
{
	return strncmp(text, with, strlen(with)) == 0;
}

static bool is_name(const char *host)
{
	if (*host == '\0' || *host == '.' || *host == '-')
		return false;
	for (; *host != '\0'; host++)
		if (!isalnum((unsigned char)*host) && strchr(".-_", *host) == NULL)
			return false;
	return true;
}

static int parse_port(const char *text, size_t n)
{
	int port = 0;

	if (n == 0 || n > 5 || strspn(text, DIGITS) < n)
		return -1;
	for (size_t i = 0; i < n; i++)
		port = port * 10 + (text[i] - '0');
	return port >= 1 && port <= 65535 ? port : -1;
}

static const char *take_host(
    const char *from, size_t n, bool brackets, struct address *out)
{
	struct in6_addr v6;
	struct in_addr v4;

	if (n == 0)
		return "names no host; write HOST:PORT";
	if (n >= sizeof out->host)
		return "its host is longer than any DNS name; write a shorter one";
	for (size_t i = 0; i < n; i++)
		out->host[i] = (char)tolower((unsigned char)from[i]);
	out->host[n] = '\0';
	if (brackets)
		return inet_pton(AF_INET6, out->host, &v6) == 1
			   ? NULL
			   : "what stands in brackets is no IPv6 address; write "
			     "[ADDRESS]:PORT";
	if (strchr(out->host, ':') != NULL)
		return "an IPv6 address stands in brackets; write [ADDRESS]:PORT";
	if (!is_name(out->host))
		return "its host is neither a name nor an address; write HOST:PORT, or "
		       "[ADDRESS]:PORT for IPv6";
	/* 1.2.3 and 300.1.1.1 are names for nobody */
	if (out->host[strspn(out->host, DIGITS ".")] == '\0' &&
	    inet_pton(AF_INET, out->host, &v4) != 1)
		return "its host is no IPv4 address; write four numbers from 0 to 255";
	return NULL;
}

/* An authority of n octets; dflt: its port where it has none, 0: has to be there. */
static const char *take_authority(
    const char *from, size_t n, int dflt, struct address *out)
{
	const char *end = from + n, *colon, *host = from;
	size_t host_n;

	if (n && *from == '[') {
		const char *close = memchr(from, ']', n);

		if (close == NULL)
			return "its ']' is missing; write [ADDRESS]:PORT";
		host = from + 1;
		host_n = (size_t)(close - host);
		colon = close + 1;
		if (colon < end && *colon != ':')
			return "something stands between ']' and ':'; write "
			       "[ADDRESS]:PORT";
	} else {
		colon = memrchr(from, ':', n);
		colon = colon != NULL ? colon : end;
		host_n = (size_t)(colon - from);
	}
	out->port = dflt;
	if (colon < end)
		out->port = parse_port(colon + 1, (size_t)(end - colon - 1));
	if (out->port == 0)
		return "has no port; write HOST:PORT";
	if (out->port < 0)
		return "its port is no number from 1 to 65535; write HOST:PORT";
	return take_host(host, host_n, host != from, out);
}

const char *address_parse(const char *text, struct address *out)
{
	if (*text == '*')
		return "\"*\" is no address; write 0.0.0.0:PORT, and [::]:PORT for IPv6";
	if (*text != '\0' && text[strspn(text, DIGITS)] == '\0')
		return "is a port without a host; write 127.0.0.1:PORT, or 0.0.0.0:PORT "
		       "for all addresses";
	if (strstr(text, "://") != NULL)
		return "is a URL; write HOST:PORT";
	if (*text == '/')
		return "is a path; write unix:PATH for a socket";
	return take_authority(text, strlen(text), 0, out);
}

bool address_is_loopback(const struct address *a)
{
	struct in_addr v4;
	struct in6_addr v6;

	if (inet_pton(AF_INET, a->host, &v4) == 1)
		return (ntohl(v4.s_addr) >> 24) == 127;
	if (inet_pton(AF_INET6, a->host, &v6) == 1)
		return IN6_IS_ADDR_LOOPBACK(&v6);
	return strcmp(a->host, "localhost") == 0;
}

bool address_is_numeric(const struct address *a)
{
	struct in6_addr any; /* room for either */

	return inet_pton(AF_INET, a->host, &any) == 1 ||
	       inet_pton(AF_INET6, a->host, &any) == 1 ||
	       strcmp(a->host, "localhost") == 0;
}

/* What RFC 3986 has no place for. */
static const char *check_characters(const char *text)
{
	for (; *text != '\0'; text++) {
		unsigned char c = (unsigned char)*text;

		if (c <= ' ' || c >= 0x7f || strchr("\"<>\\^`{|}", c) != NULL)
			return "has a space or a character that no URL has; "
			       "percent-encode it";
		if (c == '%' && (hex_value((unsigned char)text[1]) < 0 ||
				    hex_value((unsigned char)text[2]) < 0))
			return "has a '%' without two hexadecimal digits; write %25 for "
			       "it";
	}
	return NULL;
}

const char *url_parse(const char *text, struct url *out)
{
	bool https = starts(text, "https://");
	const char *from = text + (https ? 8 : 7), *why;
	size_t n;

	if (!https && !starts(text, "http://"))
		return "is no http or https URL; write http://HOST[:PORT]/PATH";
	why = check_characters(text);
	if (why != NULL)
		return why;
	n = strcspn(from, "/?#");
	if (memchr(from, '@', n) != NULL)
		return "has a user name; none is asked for, take it out";
	if (strchr(from, '#') != NULL)
		return "has a fragment; take out '#' and what follows";
	if (from[n] == '?')
		return "has a query and no path; write http://HOST/?QUERY";
	out->path = from + n;
	return take_authority(from, n, https ? 443 : 80, &out->at);
}

const char *proxy_url_parse(const char *text, struct address *out)
{
	const char *from = text + strlen("http://");
	size_t n;

	if (starts(text, "https://") || starts(text, "socks"))
		return "is no HTTP proxy, and others are not spoken to; write "
		       "http://HOST:PORT";
	if (!starts(text, "http://"))
		return "is no http URL; write http://HOST:PORT";
	n = strcspn(from, "/?#");
	if (strchr(from, '@') != NULL)
		return "has a user name, and none is sent to a proxy; take it out, and "
		       "let "
		       "the proxy know us by our address";
	if (check_characters(text) != NULL)
		return check_characters(text);
	if (from[n] != '\0' && strcmp(from + n, "/") != 0)
		return "has a path; write http://HOST:PORT";
	return take_authority(from, n, 0, out);
}

/* Stores. */

#define REDIS_UNIX "redis+unix://"

static const char *check_database(const char *db)
{
	size_t n = strlen(db);

	if (n > 6 || strspn(db, DIGITS) < n)
		return "what follows the port is no number of a database; write "
		       "redis://HOST:PORT/0";
	return NULL;
}

/* What follows "user:password@", or from. */
static const char *after_login(const char *from)
{
	const char *at = memrchr(from, '@', strcspn(from, "/"));

	return at != NULL ? at + 1 : from;
}

static const char *check_login(const char *from, const char *after)
{
	const char *at = after - 1;

	if (after == from)
		return NULL;
	if (memchr(from, ':', (size_t)(at - from)) == NULL)
		return "has a user without a password; write USER:PASS before the '@'";
	return at[-1] == ':' ? "has an empty password; write USER:PASS before the '@', "
			       "or no '@'"
			     : NULL;
}

static const char *check_redis(const char *text)
{
	const char *from = text + strlen("redis://"), *slash, *why;
	struct address a;
	size_t n;

	if (check_characters(text) != NULL)
		return "has a space or a character that no URL has; percent-encode it in "
		       "the password";
	slash = strchr(from, '/');
	n = slash != NULL ? (size_t)(slash - from) : strlen(from);
	why = check_login(from, after_login(from));
	if (why != NULL)
		return why;
	n -= (size_t)(after_login(from) - from);
	from = after_login(from);
	if (strcspn(from, "?#") < strlen(from))
		return "has a query or a fragment; write "
		       "redis://[USER:PASS@]HOST:PORT[/DB]";
	if (slash != NULL && check_database(slash + 1) != NULL)
		return check_database(slash + 1);
	return take_authority(from, n, REDIS_PORT, &a);
}

const char *socket_path_check(const char *path)
{
	if (*path == '\0')
		return "names no path; write one after it";
	if (path[strlen(path) - 1] == '/')
		return "its path is a directory; name the socket";
	return strlen(path) > UNIX_PATH_MAX ? "its path is longer than the 107 octets "
					      "that a socket's may have; move it"
					    : NULL;
}

static const char *check_redis_unix(const char *from)
{
	const char *path = after_login(from), *why = check_login(from, path);

	return why != NULL ? why : socket_path_check(path);
}

const char *store_url_check(const char *text)
{
	if (strcmp(text, "memory:") == 0)
		return NULL;
	if (begins(text, "lmdb:"))
		return text[5] != '\0' ? NULL
				       : "names no directory; write lmdb:DIRECTORY";
	if (begins(text, REDIS_UNIX))
		return check_redis_unix(text + strlen(REDIS_UNIX));
	if (begins(text, "redis://"))
		return check_redis(text);
	if (begins(text, "rediss:"))
		return "TLS to Redis comes in a later version; write redis://HOST:PORT "
		       "or redis+unix://PATH";
	if (begins(text, "redis+sentinel:") || begins(text, "sentinel:") ||
	    begins(text, "redis-sentinel:"))
		return "Redis Sentinel comes in a later version; write redis://HOST:PORT";
	if (begins(text, "redis+cluster:") || begins(text, "cluster:") ||
	    begins(text, "redis-cluster:"))
		return "Redis Cluster comes in a later version; write redis://HOST:PORT";
	return "is no store; write \"lmdb:DIRECTORY\", \"redis://HOST:PORT\", "
	       "\"redis+unix://PATH\" or \"memory:\"";
}

const char *embedded_path(const char *text)
{
	static const char *const before[] = {"unix:", "lmdb:"};

	for (size_t i = 0; i < sizeof before / sizeof *before; i++)
		if (begins(text, before[i]))
			return text + strlen(before[i]);
	return begins(text, REDIS_UNIX) ? after_login(text + strlen(REDIS_UNIX)) : NULL;
}

const char *store_url_password(const char *text, unsigned long *n)
{
	bool by_path = begins(text, REDIS_UNIX);
	const char *from = text + strlen(by_path ? REDIS_UNIX : "redis://"), *at, *colon;

	*n = 0;
	if (!by_path && !begins(text, "redis://"))
		return text;
	at = after_login(from) - 1;
	colon = at > from ? memchr(from, ':', (size_t)(at - from)) : NULL;
	if (colon == NULL)
		return text;
	*n = (unsigned long)(at - colon - 1);
	return colon + 1;
}

/* Paths of requests. */

static bool is_unreserved(int c)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
	       (c >= '0' && c <= '9') || c == '-' || c == '.' || c == '_' || c == '~';
}

size_t url_step(const uint8_t **p, const uint8_t *end, uint8_t out[3])
{
	static const char digit[] = "0123456789ABCDEF";
	const uint8_t *at = *p;
	int high = end - at > 2 ? hex_value(at[1]) : -1;
	int low = end - at > 2 ? hex_value(at[2]) : -1;

	out[0] = at[0];
	*p = at + 1;
	if (at[0] != '%' || high < 0 || low < 0)
		return 1;
	*p = at + 3;
	out[0] = (uint8_t)(high << 4 | low);
	if (is_unreserved(out[0]))
		return 1;
	out[0] = '%';
	out[1] = (uint8_t)digit[high];
	out[2] = (uint8_t)digit[low];
	return 3;
}

bool url_begins(struct bytes text, struct bytes prefix, size_t *n)
{
	const uint8_t *t = text.p, *t_end = text.p + text.n;
	const uint8_t *p = prefix.p, *p_end = prefix.p + prefix.n;
	uint8_t a[3], b[3];

	while (p < p_end) {
		size_t k = url_step(&p, p_end, b);

		if (t == t_end || url_step(&t, t_end, a) != k || memcmp(a, b, k) != 0)
			return false;
	}
	*n = (size_t)(t - text.p);
	return true;
}

static bool has_zero(const char *path)
{
	for (; (path = strchr(path, '%')) != NULL; path++)
		if (path[1] == '0' && path[2] == '0')
			return true;
	return false;
}

char *path_normal(const char *path, const char **why)
{
	const uint8_t *p = (const uint8_t *)path, *end = p + strlen(path);
	char *out, *to;

	*why = NULL;
	if (*path != '\0' && *path != '/')
		*why = "does not start with '/'; write /PATH";
	else if (strpbrk(path, "?#") != NULL)
		*why = "has a query or a fragment; take out '?' or '#' and what follows";
	else
		*why = check_characters(path);
	if (*why == NULL && has_zero(path))
		*why = "has a zero byte (%00), which no request may have; take it out";
	if (*why != NULL)
		return NULL;
	out = malloc(strlen(path) + 2);
	if (out == NULL)
		return NULL;
	for (to = out; p < end;)
		to += url_step(&p, end, (uint8_t *)to);
	while (to > out + 1 && to[-1] == '/')
		to--;
	if (to == out)
		*to++ = '/';
	*to = '\0';
	return out;
}

char *url_path_normal(const struct url *u, const char **why)
{
	char *path = strndup(u->path, strcspn(u->path, "?")), *out = NULL;

	*why = NULL;
	if (path != NULL)
		out = path_normal(path, why);
	free(path);
	return out;
}
