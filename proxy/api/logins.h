/* logins.h - tokens that were refused: counted, told once for each address, slowed.
 *
 * A token has 256 bits, and nobody guesses one: what is slowed is the noise, of a script
 * with an old token as of somebody who tries.  Each address may fail LOGINS_BURST times
 * at once and then once in LOGINS_PAUSE_MS; in between it is told to come back later, and
 * its connection ends.  Who has a good token is never slowed: many stand behind one
 * address, and on loopback all do.
 *
 * Bounded: LOGINS_MAX addresses are told apart at a time; a new one takes the place of
 * the one that failed longest ago.  An IPv6 address counts with its /64.
 *
 * One thread.
 */
#ifndef PROXY_API_LOGINS_H
#define PROXY_API_LOGINS_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/socket.h>

#define LOGINS_MAX      1024
#define LOGINS_BURST    10
#define LOGINS_PAUSE_MS 1000
#define LOGINS_TELL_MS                                                                   \
	60000 /* of an address that goes on failing, one line in so long                 \
	       */

#define LOGIN_FROM_MAX 64
/* Who this is, as text without a port: "192.0.2.1", "2001:db8::1", "unix". */
void login_from(const struct sockaddr_storage *a, char out[LOGIN_FROM_MAX]);

struct logins;
struct logins *logins_new(void); /* NULL when out of memory */
void logins_free(struct logins *l);

/* A bad token came from there.  True: it has failed too often, answer 429; *tell: say so
 * in the log, with how often it has failed since that was last said. */
bool logins_failed(struct logins *l, const struct sockaddr_storage *from, int64_t now_ms,
    unsigned *tell);

#endif
