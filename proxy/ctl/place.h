/* place.h - how far a watcher has come, in a file that survives it.
 *
 * The file holds one line, the id of the last event that is done with.  It is replaced by
 * a rename after an fsync.  FILE.lock is locked meanwhile: two watchers with one place
 * would each do half of the work.
 */
#ifndef PROXY_CTL_PLACE_H
#define PROXY_CTL_PLACE_H

#include <stdbool.h>
#include <stddef.h>

#define PLACE_MAX 128

struct place {
	char *path; /* NULL: kept nowhere */
	int lock_fd;
	char id[PLACE_MAX]; /* "" where there is none yet */
};

/* Open; missing directories are made.  path NULL: the default below $STATE_DIRECTORY
 * (systemd), $XDG_STATE_HOME or ~/.local/state.  -1 with a line in why. */
int place_open(struct place *p, const char *path, char *why, size_t why_n);
void place_close(struct place *p);
/* Durable when it returns.  -1 with a line in why. */
int place_set(struct place *p, const char *id, char *why, size_t why_n);

#endif
