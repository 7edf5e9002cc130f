/* sockets.h - libcurl's sockets on a libevent loop.
 *
 * When a transfer ends, libcurl waits for its socket no longer, and when the next one
 * uses the connection it waits for it again.  Taken off the loop and put back, that would
 * be two system calls and four allocations for each fetch.  So a socket that nobody waits
 * for stays on the loop until something comes of it, or it is closed.
 *
 * That is only right where we hear of the closing before its number is given to something
 * else: for those that sockets_open() has opened, which libcurl closes by
 * sockets_close(). What libcurl opens for itself (its resolver does) leaves the loop at
 * once.
 *
 * The thread of the loop.
 */
#ifndef PROXY_HTTP_SOCKETS_H
#define PROXY_HTTP_SOCKETS_H

#include <curl/curl.h>

struct event_base;
struct sockets;

/* What was waited for has come; flags: CURL_CSELECT_*. */
typedef void sockets_ready_fn(void *arg, curl_socket_t fd, int flags);

/* NULL when out of memory. */
struct sockets *sockets_new(struct event_base *base, sockets_ready_fn *ready, void *arg);
void sockets_free(struct sockets *s); /* after sockets_clear() */

/* CURL_SOCKET_BAD with errno. */
curl_socket_t sockets_open(struct sockets *s, const struct curl_sockaddr *to);
/* CURLOPT_CLOSESOCKETFUNCTION, of the same handles; s: a struct sockets, which has to
 * outlive the multi handle. */
int sockets_close(void *s, curl_socket_t fd);
/* CURLMOPT_SOCKETFUNCTION; s as above.  Out of memory is no error here: libcurl would
 * give up all its transfers.  The one whose socket is not watched ends by its deadline.
 */
int sockets_watch(CURL *easy, curl_socket_t fd, int what, void *s, void *unused);

/* The multi handle is gone: so is all that it had open. */
void sockets_clear(struct sockets *s);

#endif
