/* ccadb_file.h - one place of the CCADB's records: what is kept of it, and reading it.
 *
 *	STATE/ccadb/ID/current   the last that could be read to its end
 *	STATE/ccadb/ID/hints     its validators (crl_state.h)
 *	STATE/ccadb/ID/new.*     under way; deleted at start
 *
 * ID is the SHA-256 of the place's URL or path.  A new one becomes current only when it
 * was read whole: columns that are missing, a row without end, a file without a record
 * leave the last one, so that no half of a file takes lists from anybody.  So does one
 * that was fetched and has less than half the records: a body that is cut off between two
 * rows looks whole (fetch.h).
 *
 * The functions block: bulk thread.
 */
#ifndef PROXY_LISTS_CCADB_FILE_H
#define PROXY_LISTS_CCADB_FILE_H

#include <limits.h>
#include <stdatomic.h>

#include "cache/watch/ccadb_sets.h"
#include "proxy/lists/crl_state.h"

struct ccadb_file {
	const char *name; /* URL, or path of a local one */
	char dir[PATH_MAX];
	bool local;
	bool look; /* the folder is to be made, or looked at for what an earlier life left
		    */
	/* What was fetched, or is copied of a local one; "" for none.  fd is open then,
	 * or -1, and closed when it was read. */
	char fresh[PATH_MAX];
	int fd;
	struct crl_hints asked; /* of fresh: of no account where it is not taken */
	struct crl_hints hints; /* of current */
	/* Outcome. */
	bool taken; /* fresh was read, and is current */
	bool known; /* one was read: fresh, or the one before */
	uint64_t records, bad;
	struct watch_error first; /* of the rows that are bad */
	char why[512];            /* of fresh, where it was not taken */
};

/* Its folder.  False: the path is too long. */
bool ccadb_file_place(struct ccadb_file *f, const char *state_directory);

/* What was fetched is not wanted, or has another name by now. */
void ccadb_file_drop(struct ccadb_file *f);

/* All of them, into the sets of the issuers that want them. */
struct ccadb_job {
	struct ccadb_file *file;
	size_t n;
	size_t max_size;          /* of a local file; bytes */
	const _Atomic bool *stop; /* set: it ends early, with sets of no use */
	struct ccadb_sets *sets;  /* out: sorted; NULL: out of memory */
};
void ccadb_job_run(void *job);

#endif
