/* watch_use.h - what clients do with watchlists, for a life in which something fails
 * (faults.c): a PUT of each format, a POST, both kinds of DELETE, pages, search, summary,
 * bulk status, events by list; and what has to hold whatever fails.
 *
 * A list is what it was or what was sent, never a mixture: of each call it is known how
 * many certificates the list may have behind it.  A 2xx leaves one number; an answer that
 * did not come leaves two; another one leaves the old, but where memory was short at the
 * very end (500), the file may have the new one, which the next life shows (ledger.h).
 * Nobody is told good of what the issuer's list revokes.
 */
#ifndef TESTS_LIB_WATCH_USE_H
#define TESTS_LIB_WATCH_USE_H

#include <stdbool.h>
#include <stddef.h>

struct watch_use {
	/* One call of HTTP/1.0; its status, and what came of the body, with a NUL; 0:
	 * nothing came. */
	int (*call)(void *arg, const char *request, char *body, size_t room);
	/* What does not hold: does not return. */
	void (*wrong)(const char *what);
	void *arg;
	const char
	    *issuer;     /* its name, with the serials 1001 (good) and 1002 (revoked) */
	const char *pem; /* a certificate of it, serial 1 */
	unsigned now, later; /* bit n: list "web" may have n certificates (0: be none), in
				this life and in the next */
};

/* Nothing is there yet. */
void watch_use_begin(struct watch_use *u);
/* All calls, while something fails. */
void watch_use_all(struct watch_use *u);
/* A new life has opened what the last one left. */
void watch_use_again(struct watch_use *u);
/* Nothing fails: does all of it work, and has list "files" its one certificate?  False:
 * not yet. */
bool watch_use_is_well(struct watch_use *u);

#endif
