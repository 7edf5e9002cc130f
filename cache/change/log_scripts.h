/* log_scripts.h - what the change log has Redis do in one step each.
 *
 * APPEND, READ and TRIM begin with the log's ends and answer {0} where these, or the
 * stream, are not there or not what they were: the log has to be checked again.  Else
 * their answer, and that of CHECK, is {status, epoch, seq, n, cut, cut_n}, and what the
 * script's comment adds.
 *
 * The keys that one of them touches are declared and have one hash tag, so that they are
 * of one slot in a cluster; LOG_TAKE_OVER alone is about names that a cluster cannot
 * have.
 *
 * They are replicated by their effects (the default since Redis 5), need Redis 6.2
 * (XTRIM MINID) and write nothing before the last thing that can fail.
 */
#ifndef CACHE_CHANGE_LOG_SCRIPTS_H
#define CACHE_CHANGE_LOG_SCRIPTS_H

enum log_script {
	/* KEYS: state, log.  ARGV: run id, "1" when nothing acknowledged is lost with
	 * Redis, epoch and seq that the caller has seen, smallest epoch to begin, "1" to
	 * begin one whatever there is.  Status: enum log_checked.  Adds: durable, 0 or 1,
	 * since this run of Redis began. */
	LOG_CHECK,
	/* KEYS: state, log, told or one, left.  ARGV: "list", "single" or "plain", batch
	 * ("" for none), its time, its number of changes, then
	 *   list: told as expected, told as it becomes, "1" when something is no longer
	 *   revoked, seconds to keep left;
	 *   single: what is said of the certificate, "", "", seconds to keep one;
	 *   plain: "", "", "", any: the batch alone, and neither of the last two keys.
	 * Status: enum log_appended. */
	LOG_APPEND,
	/* KEYS: state, log.  ARGV: epoch, seq and index of a place (epoch 0: the oldest),
	 * bytes of batches at most, longest batch, index that covers any batch.  Adds:
	 * id, batch, id, batch...: from the one of seq on, unless it is covered.  A batch
	 * that is too long is "". */
	LOG_READ,
	/* KEYS: state, log.  ARGV: seconds: what is older goes.  Adds: how many went; as
	 * long as some did there may be more. */
	LOG_TRIM,
	/* KEYS: state, log; of the version before: state, log.  ARGV: cursor of SCAN,
	 * what the old names begin with, what ours do.  One slice of log_takeover.h. With
	 * a cursor: small keys are moved, the answer is the next cursor, "0" at the end.
	 * With
	 * "": batches are, the answer is 1, or 0 when nothing is left that can be. */
	LOG_TAKE_OVER,
	LOG_SCRIPTS
};

enum log_checked {
	LOG_KEPT = 1,
	LOG_ABSENT,    /* there was none: begun */
	LOG_ASKED_FOR, /* begun, since the caller wants it */
	LOG_RESTARTED, /* begun: a Redis that may lose its tail was started again */
	LOG_BROKEN     /* begun: state, stream and what was seen do not fit */
};
enum log_appended { LOG_DONE = 1, LOG_CONFLICT, LOG_SAME };

/* LOG_SCRIPTS texts and a NULL. */
extern const char *const log_scripts[];
/* Does once what they do (redis_link_use). */
extern const char log_trial[];

#endif
