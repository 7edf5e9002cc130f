/* crl_job.h - what the bulk thread does for the feed: one list read, checked, merged
 * and compared at a time.
 *
 * A job is filled in by the keeper's thread, is the bulk thread's while it runs, and
 * carries its outcome back.  What it points to outlives it; no job of one issuer runs
 * beside another.
 */
#ifndef PROXY_LISTS_CRL_JOB_H
#define PROXY_LISTS_CRL_JOB_H

#include <limits.h>
#include <sys/stat.h>

#include "cache/change/crl_diff.h"
#include "cache/watch/inventory.h"
#include "proxy/lists/crl_pace.h"
#include "proxy/lists/crl_state.h"

enum crl_job_kind {
	CRL_JOB_OPEN,    /* what an earlier life left: current into a set, told, next */
	CRL_JOB_READ,    /* what was fetched, or a local file, into a set */
	CRL_JOB_ARRANGE, /* the set for other configured lists */
	CRL_JOB_DIFF     /* told and what is to be told, compared */
};

/* By which a local file is known again.  What is written to it within the grain of its
 * times, and leaves its size, does not show: so it is known only by times that were over
 * by STAMP_SETTLED_MS when it was looked at, before it was read.  ctime shows what has
 * set mtime back (cp -p, rsync --inplace). */
struct crl_stamp {
	bool known;
	/* What was in it was refused, and is read again from `until` (seconds) on: then
	 * what was in force has ended, and it may be taken. */
	bool refused;
	int64_t until;
	dev_t device;
	ino_t inode;
	off_t size;
	struct timespec mtime, ctime;
};
#define STAMP_SETTLED_MS 2000 /* the coarsest grain, FAT's */

struct crl_job {
	enum crl_job_kind kind; /* says which of the structs below counts */
	/* Given: */
	const struct issuer *issuer;
	const char *scope, *dir;
	char *const *urls; /* the sites of the list; names that it may have, too */
	size_t urls_n;
	bool strict;               /* it may have none of them, but scope */
	const char *url;           /* READ: the site that it is read from */
	const struct crl_set *old; /* a reference; the set in force, or NULL */
	size_t shards_n;
	int shard;           /* the list's place in old; -1 (only DIFF): none */
	uint64_t generation; /* of the set that is made */
	int64_t now, skew_s;
	enum absent absent; /* the issuer's option */
	uint64_t max_size;
	const _Atomic bool *stop;
	bool compare; /* OPEN, READ: the list in force is the one that was told */
	/* What is told: CRL_NEXT, or CRL_CURRENT, the list in force; of a first list
	 * CRL_CURRENT, or CRL_TOLD where it stands for told already. */
	enum crl_state_name to;
	struct crl_hints hints; /* OPEN: as they were; READ: to be kept with the list */
	struct crl_pace pace;   /* as they are */

	union {
		struct {
			bool first; /* nothing of this life is in the folder */
			/* Outcome: */
			char *same;         /* the list that this one was; owned */
			size_t site;        /* whose hints are there; urls_n: none's */
			int64_t written_at; /* when current was */
			bool has_told;      /* a list was told, be it readable or not */
			bool told_is_current;
			bool next_left;  /* there is another that was being told */
			bool first_left; /* told is a first list that was being told */
		} open;
		struct {
			bool local, anew;   /* a local file; to be read whatever it is */
			bool accept_number; /* as in struct crl_want */
			/* the first list of a scope that came in the place of others,
			 * which old has still: compared with none, and what they say is
			 * moot */
			bool succeeds;
			bool others_untold; /* succeeds: they were not all told */
			bool
			    *peer; /* of each place: it may have a twin; owned, or NULL */
			struct crl_stamp stamp; /* local: of the file read last; then of
						   this one */
			/* The list's file in the state directory, new.*; path "" when it
			 * is not ours (any more).  fd -1: none. */
			int fd;
			char path[PATH_MAX];
			/* Outcome: */
			enum {
				CRL_READ_NEW,       /* `error` says what came of it */
				CRL_READ_UNCHANGED, /* it is the list in force */
				CRL_READ_REFUSED,   /* the file that was refused before */
				CRL_READ_TWIN       /* it is that of an earlier place */
			} found;
			/* Place of the list in force that has the same bytes, where it is
			 * complete; -1: none.  One of a later place does not keep this
			 * one from coming into force. */
			int twin;
			bool number_back; /* ERR_CRL_ROLLBACK: its number is lower */
		} read;
		struct {
			int *map; /* crl_set_rearrange()'s, owned */
		} arrange;
		struct {
			int64_t seen_at; /* when the list in force came, seconds */
			bool give_up;    /* when told cannot be read now, or not be
					    compared, it is as if it never could */
			/* The first list of its scope, which is compared with none: what
			 * is watched, a reference; else NULL. */
			const struct inventory *watched;
			uint8_t told[32];   /* its crl_facts.sha256, with CRL_TOLD */
			bool others_untold; /* the issuer's other lists were not all
					       told */
		} diff;
	};

	/* Outcome: */
	enum err error;
	char why[512];
	struct crl_facts facts; /* of the list that was read, also where it is refused
				   with ERR_CRL_ROLLBACK; DIFF: of `to`, with
				   CRL_WARN_ACCEPTED where it is dated before `from` */
	struct crl_set *set;    /* OPEN, READ, ARRANGE: a reference */
	bool baseline;    /* what was told cannot be compared any more, or never was */
	uint8_t from[32]; /* OPEN, READ, DIFF: the list that diff_made begins at */
	struct crl_diff *diff_made; /* NULL where none was asked for */
	int64_t us, diff_us;        /* of all of it; of the comparison alone */
};

/* On the bulk thread. */
void crl_job_work(struct crl_job *j);
/* Give back all that it holds; its file is deleted.  Unmapping a large list takes long:
 * the bulk thread's work too. */
void crl_job_clear(struct crl_job *j);

#endif
