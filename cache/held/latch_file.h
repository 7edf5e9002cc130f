/* latch_file.h - the latches on disk, whatever the store is.
 *
 * latch_file_open() reads the file once, into the table.  From then on it is only written
 * to, on the disk thread: any one thread, not two at once.  What is told of its failures
 * may be asked for on any.
 */
#ifndef CACHE_HELD_LATCH_FILE_H
#define CACHE_HELD_LATCH_FILE_H

#include "cache/held/latch.h"

struct latch_file;

/* Open or create DIR/latches.mdb (directory must exist; created only where there never
 * was one: else it is refused, as it is when damaged, with the remedy in why) and read
 * all latches, however old they are: the clock of this moment may be wrong, and only a
 * sweep removes (T20). ERR_STORE with a line in why (why_n bytes) that names the file and
 * the cause. */
enum err latch_file_open(struct latches **table, struct latch_file **file,
    const char *dir, char *why, size_t why_n);
void latch_file_close(struct latch_file *f); /* NULL is allowed */

/* Durable (fsync) when they return. */
enum err latch_file_put(struct latch_file *f, const struct latch *l, size_t n);
/* The marks untold and listed of n latches are cleared. */
enum err latch_file_told(struct latch_file *f, const struct latch *l, size_t n);
enum err latch_file_delete(struct latch_file *f, const struct latch *l, size_t n);
enum err latch_file_sweep(struct latch_file *f, int64_t before);
/* The file, and what was wrong when one of these failed last: a line for people.  Any
 * thread. */
void latch_file_why(const struct latch_file *f, char *why, size_t why_n);
/* Any thread: did the last write fail?  Then the file, what was wrong, and the remedy
 * where one is known, are in why. */
bool latch_file_failed(const struct latch_file *f, char *why, size_t why_n);

#endif
