/* watch_candidate.h - the order in which certificates are found, and a batch of them;
 * for watch_search.c, watch_by_name.c and watch_by_serial.c only.
 *
 * By the DN of the CA, by the number of the serial, and where two CAs of one DN have one
 * serial, by the CA.  CAs of one DN that go by one issuer's name are one: it was watched
 * before it was configured.
 */
#ifndef CACHE_WATCH_WATCH_CANDIDATE_H
#define CACHE_WATCH_WATCH_CANDIDATE_H

#include "cache/watch/watch_db_file.h"
#include "cache/watch/watch_search.h"

struct watch_candidate {
	uint32_t dn;  /* rank among all DNs, from 0 */
	uint32_t who; /* the first id of those that are one CA */
	struct serial serial;
};
int watch_candidate_cmp(const void *a, const void *b);

/* Of each CA of a table, by its place there. */
struct watch_rank {
	uint32_t dn, who;
	bool wanted; /* watch_query.issuer */
};

struct watch_live {
	char name[WATCH_NAME_MAX];
	struct watch_head head;
	const struct watch_list *memory; /* the same, or NULL */
};

/* One page being looked for, in one transaction. */
struct watch_page {
	struct watch_db *db;
	const struct watch_query *query;
	MDB_txn *txn;
	const struct watch_cas *cas;
	struct watch_rank *rank;
	uint32_t dns;
	struct watch_live *live;   /* all lists, by name */
	size_t live_n, first, end; /* those that are searched */

	/* The next candidates after `after`, sorted, each once. */
	bool begun; /* `after` is one */
	struct watch_candidate after;
	struct watch_candidate *batch;  /* room for 2 * (limit + 1) */
	size_t batch_n, keep;           /* keep: limit + 1 */
	bool more;                      /* there may be more than these */
	struct watch_candidate reached; /* by serial: the last one that was looked at */
	size_t looked;                  /* keys looked at, of all batches */
	size_t certificates;            /* on the lists that are searched */
	size_t keys;                    /* by name: looked at for this batch */
	bool unsure; /* by name: a few certificates are to be tried; the batch is nothing
		      */
	bool tried;  /* they were, or cannot be */
	bool many;   /* no name, or so many that it is to be done by serial */
};

/* Fill p->rank and p->dns, by p->cas; false: out of memory.  Then p->rank[].wanted, by
 * the query. */
bool watch_ranks_make(struct watch_page *p);
void watch_ranks_choose(struct watch_page *p);
/* The candidate of a key's certificate; false: it is not wanted, or is not after
 * page->after.  *e is set where the CA is not known: the file is damaged. */
bool watch_candidate_make(const struct watch_page *p, uint32_t ca, const struct serial *s,
    struct watch_candidate *out, int *e);

/* Fill the batch: by the index of names (or say that they are many), by that of serials,
 * looking at so many keys at most.  0 or what LMDB says. */
int watch_by_name(struct watch_page *p);
int watch_by_serial(struct watch_page *p, size_t look);
/* Are so many of n certificates that fit so many that those of all lists are tried, one
 * after the other? */
bool watch_are_many(const struct watch_page *p, size_t fit, size_t n);
/* Does this name of a certificate fit what is asked for?  One of these names? */
bool watch_name_fits(struct bytes name, struct bytes asked);
bool watch_row_fits(const struct watch_record *row, struct bytes asked);

#endif
