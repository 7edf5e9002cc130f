/* fetch.h - HTTP fetches by libcurl's multi interface on a libevent loop.
 *
 * Only http and https, no redirects, no proxy but the one of the policy (the environment
 * is not read, nor a list of hosts to leave it out for), no cookies, no signals; the
 * whole fetch has one deadline, the body a cap that is counted as it comes, the head one
 * of 64 KiB.  A URL that is not from the configuration is "learnt", and leads to nothing
 * but what the policy's guard allows: looked at is the address that is connected to, also
 * when a connection is used again.  Where there is a proxy, which looks names up itself,
 * such a name is looked up here too before, and refused if one of its addresses is; one
 * that only the proxy knows is left to the proxy, on ports 80 and 443.  Names are
 * resolved by threads of libcurl's; one that hangs neither blocks the loop nor outlives
 * the fetch's deadline.  Accept-Encoding is identity; a body that comes in gzip or
 * deflate all the same is decoded, and max_size counts its decoded bytes.  Another
 * coding, or one inside another, is refused.  A coded body that was cut off inside is as
 * long as what could be decoded: DER tells, who fetches other things has to see to it.
 * Decoding is done here, on the loop: a bomb costs what writing max_size costs, once.
 * Connections are kept alive and used again.  The server of an https URL is verified by
 * the system's CAs and those of the policy.  A proxy is asked for http URLs in
 * absolute-form, and by CONNECT for a tunnel to https ones. Keeper's thread.
 *
 * The process must ignore SIGPIPE: OpenSSL's writes to a closed connection raise it.
 */
#ifndef PROXY_HTTP_FETCH_H
#define PROXY_HTTP_FETCH_H

#include "cache/base/bytes.h"
#include "cache/base/err.h"
#include "proxy/http/guard.h"

struct event_base;
struct fetcher;
struct fetch;

struct fetch_request {
	const char *url;            /* copied */
	const char *content_type;   /* of body; copied; with POST */
	const char *accept;         /* or NULL */
	struct bytes body;          /* copied; n > 0 makes it a POST */
	const char *const *headers; /* more of them, "Name: value", the last one NULL;
				       or NULL; copied */
	bool learnt;                /* the URL is a stranger's word (T7) */
	bool fresh;      /* its name is looked up, and a connection made, for it alone */
	int timeout_ms;  /* 1.. */
	size_t max_size; /* of the response body, as it comes and decoded */
	const char *if_none_match;     /* entity tag as it came, or NULL; copied */
	const char *if_modified_since; /* Last-Modified as it came, or NULL; copied */
	/* true: the body of a 200 goes to sink_fd as it comes, and not to memory; other
	 * bodies are dropped.  The descriptor stays the caller's, and open until done or
	 * cancel.  Writing blocks this thread no longer than the page cache does. */
	bool sink;
	int sink_fd;
};

struct fetch_result {
	enum err error; /* ERR_OK: a whole response with any status; else ERR_UP_TIMEOUT,
			   ERR_UP_CONNECT (also: name, TLS), ERR_UP_ADDRESS (a
			   learnt URL leads where it may not), ERR_UP_SIZE,
			   ERR_UP_TRUNCATED, ERR_UP_HTTP (what came is no HTTP, or coded
			   as we do not know),
			   ERR_NOMEM, ERR_STORE (the sink could not be written) */
	bool reached;   /* a server took the request, or part of it: what went wrong then
			   may be for this request alone */
	int status;     /* HTTP status, 0 for none, or of a head that is too long */
	const char
	    *content_type; /* "" for none; borrowed for the call, as the next four */
	const char *etag, *last_modified, *date; /* as they came; "" for none */
	const char *retry_after;                 /* the same */
	struct bytes body;                       /* decoded; empty with a sink */
	uint64_t body_n;                         /* bytes of the body, also with a sink */
	/* words for people: "" where it is of use (200, or 304 to a condition); else what
	 * came of it, and what to do (fetch_words.h); of ERR_STORE what write said */
	const char *detail;
	int64_t us; /* duration */
};
typedef void fetch_done_fn(void *arg, const struct fetch_result *r);

struct fetch_policy {
	const char *proxy; /* "http://host:port"; "" for none */
	struct bytes
	    tls_ca;         /* PEM: CAs of https servers besides the system's; or empty */
	struct guard guard; /* of learnt URLs */
};

struct fetcher *fetcher_new(struct event_base *base, const char *user_agent);
/* For what starts from now on; a new fetcher has neither proxy nor CAs.  What p points to
 * is borrowed until the next call or fetcher_free(). */
void fetcher_configure(struct fetcher *f, const struct fetch_policy *p);
void fetcher_free(struct fetcher *f); /* cancels what is under way; never from done */

/* Start.  done is called exactly once, from the loop and never before this returns; never
 * after fetch_cancel.  done may start other fetches and cancel any but its own.  NULL
 * when out of memory (done is not called). */
struct fetch *fetch_start(
    struct fetcher *f, const struct fetch_request *r, fetch_done_fn *done, void *arg);
void fetch_cancel(struct fetch *f);

#endif
