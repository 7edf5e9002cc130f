/* watch_kit.h - what the tests of watchlists share: a body is read, and what comes of it
 * is text, a line for each certificate and each bad line.
 */
#ifndef TESTS_LIB_WATCH_KIT_H
#define TESTS_LIB_WATCH_KIT_H

#include "cache/watch/watch_body.h"

struct watch_kit {
	struct watch_want want; /* but for each, bad and arg */
	bool go_on;             /* behind bad lines */
	size_t piece;           /* octets of each; 0: all at once */
	size_t stop_at;         /* the certificate at which to stop; 0: none */
	/* "LINE ISSUER[*] SERIAL[ key=HEX][ FROM..TO][ names=A;B[+N]][ labels=...]
	 * [ crl=...][ verified]\n", ISSUER "-" for none, '*' where it is configured;
	 * "LINE! LABEL: WHY\n" for a bad line, "LINE!! ..." for the one that ended it. */
	char text[64 * 1024];
	size_t n;
	struct watch_count count;
	char issuer_text[WATCH_DN_MAX + 1]; /* the DN of the last certificate */
};

/* Each byte of the body lies in memory of its own piece's size.  True: it was read whole.
 */
bool watch_kit_read(struct watch_kit *k, const void *body, size_t n);

/* Issuers with these names and PEM certificates (NULL ends them; an issuer that is named
 * twice has several), and their index.  The same until the program ends. */
struct watch_kit_issuer {
	const char *name, *pem;
	bool allow_sha1;
};
const struct watch_issuers *watch_kit_issuers(const struct watch_kit_issuer *list);

#endif
