/* client.h - one HTTP client of the API: libcurl without proxies, redirects or surprises.
 */
#ifndef PROXY_CTL_CLIENT_H
#define PROXY_CTL_CLIENT_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct client;

struct reply {
	long status;  /* HTTP status */
	json_t *body; /* NULL where there was none or it was not JSON; owned by the asker
		       */
};

/* url: http://, https:// or unix:/path.  token_file: NULL, or a file whose first line is
 * sent as a bearer token.  ca: NULL, or a
 * file of the CAs of https servers.  NULL with a line in why. */
struct client *client_open(
    const char *url, const char *token_file, const char *ca, char *why, size_t why_n);
void client_close(struct client *c);

/* Call method on path, which is "/v1/..." and made of client_escape()d parts.  body
 * (borrowed, may be NULL) is sent as JSON.  0, or -1 with a line in why when no HTTP
 * answer came. */
int client_call(struct client *c, const char *method, const char *path,
    const json_t *body, struct reply *r, char *why, size_t why_n);

/* GET path, whose answer may be long: where the status is 200 its bytes go to fn piece by
 * piece, and r->body stays NULL; fn ends it by false (-1).  Else as client_call(). */
int client_get(struct client *c, const char *path,
    bool (*fn)(void *arg, const char *p, size_t n), void *arg, struct reply *r, char *why,
    size_t why_n);

/* A long body, as it is read: read() fills p with at most room bytes and returns how
 * many; 0 is its end, CLIENT_ABORT gives up what was sent (-1). */
#define CLIENT_ABORT SIZE_MAX
struct client_body {
	const char *type; /* Content-Type */
	size_t (*read)(void *arg, char *p, size_t room);
	void *arg;
};
/* Send it to path while the answer comes: its bytes go to fn (may be NULL) as in
 * client_get().  It may take any time as long as something moves. */
int client_send(struct client *c, const char *method, const char *path,
    const struct client_body *body, bool (*fn)(void *arg, const char *p, size_t n),
    void *arg, struct reply *r, char *why, size_t why_n);

/* A stream: GET path, whose answer goes to fn piece by piece (libcurl's write callback),
 * for a multi handle of the caller's.  It ends when nothing comes for two minutes.
 * Returns the CURL handle, borrowed until client_stream_end(); NULL when out of memory.
 */
void *client_stream(struct client *c, const char *path,
    size_t (*fn)(char *p, size_t one, size_t n, void *arg), void *arg);
/* Is what comes a stream of events, and neither an error nor another server's page? */
bool client_is_stream(struct client *c);
/* Keep a piece of an error's body for client_stream_end(); false when it is too long. */
bool client_keep(struct client *c, const char *p, size_t n);
/* It has ended, and was taken out of the multi handle: why gets a line about it.  e: a
 * CURLcode. */
void client_stream_end(struct client *c, long status, int e, char *why, size_t why_n);

/* "/v1/{what}/{issuer}/{serial}", percent-encoded; owned by the caller.  NULL when out of
 * memory. */
char *client_path(const char *what, const char *issuer, const char *serial);
/* The same for "/v1/{what}?{name}={value}", or "/v1/{what}" where value is NULL. */
char *client_query(const char *what, const char *name, const char *value);
/* Append "?name=value", or "&name=value" where *path has a query already; NULL as value
 * appends nothing.  False when out of memory: *path is NULL. */
bool client_add_query(char **path, const char *name, const char *value);
/* "/v1/{what}/{name}", or "/v1/{what}/{name}/{issuer}/{serial}" where issuer is given. */
char *client_name_path(
    const char *what, const char *name, const char *issuer, const char *serial);

#endif
