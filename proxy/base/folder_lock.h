/* folder_lock.h - one daemon for each folder that it writes to.
 *
 * FOLDER/lock is held (flock) from the start on: of the state directory, and of the
 * folder of an embedded store, since two daemons in one store lose each other's changes
 * without a word.  A folder that is held already, by this or another of its names, is
 * taken once: one for both is what the default is.
 *
 * The file has the process id of who holds it, for people; that it is held is the
 * kernel's to know, so one that is left over binds nobody.  A network file system may
 * not tell other machines, and LMDB must not be on one (ocspcached(8)).
 *
 * The main thread.  The locks go with the process, however it ends.
 */
#ifndef PROXY_BASE_FOLDER_LOCK_H
#define PROXY_BASE_FOLDER_LOCK_H

#include <stdbool.h>
#include <stddef.h>

#define FOLDER_LOCKS_MAX 2

struct folder_locks {
	int fd[FOLDER_LOCKS_MAX];
	size_t n;
};

/* Make the folder where there is none, and take it, without waiting.  False: why says
 * which file, what is the matter and what helps. */
bool folder_lock_take(
    struct folder_locks *l, const char *folder, char *why, size_t why_n);
void folder_locks_drop(struct folder_locks *l);

#endif
