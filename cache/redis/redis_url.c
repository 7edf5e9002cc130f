/* redis_url.c - strict: whatever is not in the grammar of the header is refused. */
#include "cache/redis/redis_url.h"

#include <string.h>

#include "cache/base/bytes.h"

#define DB_MAX 1000000 /* Redis' own limit is its `databases` setting; this is sanity */

/* Copy n characters with percent-escapes decoded; false when they do not fit, an escape
 * is broken, or a control character is among them. */
static bool decode(char *out, size_t room, const char *in, size_t n)
{
	size_t used = 0;

	for (size_t i = 0; i < n; i++) {
		int c = (unsigned char)in[i];

		if (c == '%') {
			if (n - i < 3 || hex_value(in[i + 1]) < 0 ||
			    hex_value(in[i + 2]) < 0)
				return false;
			c = hex_value(in[i + 1]) << 4 | hex_value(in[i + 2]);
			i += 2;
		}
		if (c < ' ' || c == 127 || used + 1 >= room)
			return false;
		out[used++] = (char)c;
	}
	out[used] = '\0';
	return true;
}

/* A host name, numeric address or path as it stands. */
static bool copy(char *out, size_t room, const char *in, size_t n)
{
	if (n == 0 || n >= room)
		return false;
	for (size_t i = 0; i < n; i++)
		if (in[i] <= ' ' || in[i] == 127)
			return false;
	memcpy(out, in, n);
	out[n] = '\0';
	return true;
}

/* A decimal number of 0..max that is the whole of in. */
static bool number(const char *in, size_t n, int max, int *out)
{
	*out = 0;
	if (n == 0 || n > 7)
		return false;
	for (size_t i = 0; i < n; i++) {
		if (in[i] < '0' || in[i] > '9')
			return false;
		*out = *out * 10 + (in[i] - '0');
	}
	return *out <= max;
}

static const char *parse_user(struct redis_url *u, const char **p, size_t authority_n)
{
	const char *at = memrchr(*p, '@', authority_n), *colon;

	if (at == NULL)
		return NULL;
	colon = memchr(*p, ':', (size_t)(at - *p));
	if (colon == NULL)
		return "before the @ stands user:password, or :password";
	if (!decode(u->user, sizeof u->user, *p, (size_t)(colon - *p)) ||
	    !decode(u->password, sizeof u->password, colon + 1, (size_t)(at - colon - 1)))
		return "user or password is too long or has a broken escape";
	if (u->password[0] == '\0')
		return "the password is empty";
	*p = at + 1;
	return NULL;
}

static const char *parse_port(struct redis_url *u, const char *p, size_t n)
{
	int port = 6379;

	if (n != 0 && (p[0] != ':' || !number(p + 1, n - 1, 65535, &port) || port == 0))
		return "the port is not a number of 1 to 65535";
	if (n == 0)
		strcpy(u->port, "6379");
	else
		copy(u->port, sizeof u->port, p + 1, n - 1);
	return NULL;
}

static const char *parse_host(struct redis_url *u, const char *p, size_t n)
{
	const char *end;

	if (n > 0 && p[0] == '[') {
		end = memchr(p, ']', n);
		if (end == NULL)
			return "the [ of an IPv6 address is not closed";
		if (!copy(u->host, sizeof u->host, p + 1, (size_t)(end - p - 1)))
			return "the address is empty or too long";
		end++;
	} else {
		end = memchr(p, ':', n);
		if (end == NULL)
			end = p + n;
		if (!copy(u->host, sizeof u->host, p, (size_t)(end - p)))
			return "the host is empty or too long";
	}
	return parse_port(u, end, (size_t)(p + n - end));
}

static const char *parse_db(struct redis_url *u, const char *slash)
{
	if (slash[0] == '\0' || slash[1] == '\0')
		return NULL;
	if (!number(slash + 1, strlen(slash + 1), DB_MAX, &u->db))
		return "what follows the host is not the number of a database";
	return NULL;
}

const char *redis_url_parse(struct redis_url *out, const char *url)
{
	const char *p = strstr(url, "://"), *wrong;
	size_t n;

	memset(out, 0, sizeof *out);
	if (p == NULL)
		return "it has no ://";
	out->unix_socket = strncmp(url, "redis+unix:", 11) == 0;
	if (!out->unix_socket && strncmp(url, "redis:", 6) != 0)
		return "it is neither redis:// nor redis+unix://";
	p += 3;
	n = strcspn(p, "/");
	if ((wrong = parse_user(out, &p, n)) != NULL)
		return wrong;
	n = strcspn(p, "/");
	if (!out->unix_socket) {
		wrong = parse_host(out, p, n);
		return wrong != NULL ? wrong : parse_db(out, p + n);
	}
	if (n != 0)
		return "a socket's path begins with / (redis+unix:///path)";
	/* sun_path has room for 107 characters. */
	return copy(out->host, 108, p, strlen(p)) ? NULL
						  : "the path is empty or too long";
}
