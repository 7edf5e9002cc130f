/* ccadb_place.h - one place of `ccadb`: what is fetched of it, and when.
 *
 * It lives as long as the configuration names it, or a round reads it.  A file that was
 * fetched has one owner: the place, until a round is given it, and again where the round
 * could not read it.  Keeper's thread.
 */
#ifndef PROXY_LISTS_CCADB_PLACE_H
#define PROXY_LISTS_CCADB_PLACE_H

#include "proxy/lists/ccadb_file.h"

struct ccadb_source;

struct ccadb_place {
	unsigned refs;
	char *name;
	struct ccadb_source *source; /* NULL: not in the configuration any more */
	struct ccadb_file file; /* fresh: it is fetched, or was since the last round */
	struct fetch *fetch;
	int64_t due_ms;  /* monotonic */
	int64_t read_at; /* wall clock: last time that all was well; 0: never */
	uint64_t failed;
	int failures; /* in a row */
};

/* Due at once; one reference.  NULL: out of memory, or the path of its folder is too
 * long. */
struct ccadb_place *ccadb_place_new(
    struct ccadb_source *s, const char *name, const char *state_directory);
void ccadb_place_unref(struct ccadb_place *p); /* NULL is allowed */
/* Out of the configuration: a reference, and its fetch. */
void ccadb_place_gone(struct ccadb_place *p);
/* What became of it in a round.  What could not be read for want of memory is the place's
 * again; what is fetched since the round began is, all the time. */
void ccadb_place_take_back(struct ccadb_place *p, struct ccadb_file *f);

#endif
