/* redis_url.h - a Redis store's URL, taken apart.
 *
 *   redis://[user:password@]host[:port][/db]      port 6379, db 0 when absent
 *   redis+unix://[user:password@]/path/to/socket
 *
 * An IPv6 address stands in brackets.  User and password may be percent-encoded.  A plain
 * value; the passwords in it are the caller's to wipe.
 */
#ifndef CACHE_REDIS_REDIS_URL_H
#define CACHE_REDIS_REDIS_URL_H

#include <stdbool.h>

struct redis_url {
	bool unix_socket;
	char host[256]; /* name or numeric address, without brackets; or the path */
	char port[6];
	char user[256], password[256]; /* "" where absent */
	int db;
};

/* NULL, or what is wrong with url (static text that never repeats the URL: it may hold a
 * password). */
const char *redis_url_parse(struct redis_url *out, const char *url);

#endif
