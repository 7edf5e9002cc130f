/* redis_word.h - what Redis' error words say of Redis itself: one table.
 *
 * An error reply begins with a word ("-READONLY You can't write against a read only
 * replica.").  Most words are about one call (WRONGTYPE, NOSCRIPT, ERR) and say nothing
 * here.  The others are of two kinds:
 *   leave   this server is not, or not now, the one to ask: a replica, one that is
 *           loading, one that does not let us in.  The connection ends, the name is
 *           looked up again, with back-off (redis_link.h).
 *   stay    it is the right server, but refuses a part of what we need until a person
 *           mends it: the connection stays, and the link is degraded until a trial of
 *           everything that is needed went well.
 *
 * Redis before 7 puts the word of a command that a script has called in the middle of
 * "ERR Error running script"; it is found there too.
 */
#ifndef CACHE_REDIS_REDIS_WORD_H
#define CACHE_REDIS_REDIS_WORD_H

#include <hiredis/hiredis.h>
#include <stdbool.h>

#include "cache/base/err.h"

struct redis_word {
	const char *word;   /* or what such an error begins with */
	bool leave;         /* else: stay */
	enum err err;       /* of a call that was refused so */
	const char *remedy; /* for people; no quotes in it */
};

/* The row of an error's text; NULL where it says nothing of the server. */
const struct redis_word *redis_word_in(const char *text);
/* The same of a reply; NULL also where it is no error. */
const struct redis_word *redis_word_of(const redisReply *r);
/* The err of a reply that is an error: its row's, else ERR_STORE. */
enum err redis_word_err(const redisReply *r);
/* Make a stranger's text fit for a quoted value of a log line, in place. */
void redis_word_clean(char *text);
/* "" without a row. */
const char *redis_word_remedy(const struct redis_word *w);

#endif
