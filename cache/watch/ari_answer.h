/* ari_answer.h - a CA's suggestion when to renew a certificate (RFC 9773 section 4.2),
 * and whether it says that something is wrong with it.
 *
 * A CA that is going to revoke moves the window of all certificates that are hit, and
 * names a page that says why.  No field says "incident"; what does is a window that is
 * far earlier than the one before, one that is over where half of the certificate's life
 * is not, or a page that was not named before.  Drifting within a tenth of its life is no
 * news: CAs spread their load by that.
 *
 * Pure, any thread.
 */
#ifndef CACHE_WATCH_ARI_ANSWER_H
#define CACHE_WATCH_ARI_ANSWER_H

#include "cache/watch/watch_cert.h"

#define ARI_BODY_MAX 8192
/* A window cannot be told by a window of centuries. */
#define ARI_TIME_MAX INT64_C(253402300799) /* the last second of the year 9999 */

struct ari_answer {
	int64_t start, end;          /* seconds since 1970; start < end */
	char url[WATCH_URL_MAX + 1]; /* explanationURL: http or https; "" for none */
};

/* NULL: it is read.  Else what is wrong, for people.  A page that is no http or https
 * URL, is too long, or has blanks or controls, counts as none: the window is what
 * counts. */
const char *ari_answer_read(struct ari_answer *out, struct bytes body);

/* What is known of a certificate's windows: the last ordinary one, and whether a notice
 * stands. */
struct ari_known {
	bool seen;     /* there was an answer before */
	bool ordinary; /* start is that of an ordinary window; false: the first one was
			  none already */
	bool noticed;  /* a notice by ARI is in force */
	int64_t start; /* of the last ordinary window */
	uint64_t page; /* ari_page() of the last answer's url; 0: it had none */
};
/* A page by its hash, 0 for "". */
uint64_t ari_page(const char *url);

enum ari_word {
	ARI_ORDINARY,  /* nothing to tell */
	ARI_NOTICE,    /* told now: it was not, or the page is another */
	ARI_STANDS,    /* told already, and still so */
	ARI_WITHDRAWN, /* taken back */
};
/* What an answer says after what is known, which moves on.  not_before and not_after: of
 * the certificate, or WATCH_TIME_NONE; where its life is not known, only a page is news.
 */
enum ari_word ari_judge(struct ari_known *known, const struct ari_answer *a,
    int64_t not_before, int64_t not_after);

#endif
