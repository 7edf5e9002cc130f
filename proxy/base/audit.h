/* audit.h - one line in the log for each call that changes something: who, what, from
 * where, with which outcome.
 *
 * Never a secret: a token goes by its name, and what of a request is written is its
 * method and path, which have none.  A value that goes with the call to whichever thread
 * knows how it ended.
 */
#ifndef PROXY_BASE_AUDIT_H
#define PROXY_BASE_AUDIT_H

struct audit {
	char token[64]; /* "": no token is configured */
	char from[64];  /* an address without its port; "unix" */
	char call[256]; /* "PUT /v1/watchlists/web"; "": it is not to be told */
};

/* status: of HTTP, as it was answered; 0: it was cut off before. */
void audit_tell(const struct audit *a, int status);

#endif
