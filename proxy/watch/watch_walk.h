/* watch_walk.h - the files that a path, a folder or a pattern of the shell leads to.
 *
 * A folder stands for the files in it and in its folders, WATCH_WALK_DEPTH deep.  Names
 * that begin with a dot are met by nothing that does not begin so: that is where programs
 * keep what is not ready.  A symbolic link is followed where its target lies below the
 * root, that is, what stands before the first pattern (of a file: its folder), or, since
 * certbot's live/ has links only, below archive/ beside the live/ that the root is or is
 * in: who may write to one folder does not lead us to another.  (Who may swap folders
 * while they are walked through could: only certificates are ever kept.)
 *
 * Blocks; any thread, one walk at a time for each `arg`.
 */
#ifndef PROXY_WATCH_WATCH_WALK_H
#define PROXY_WATCH_WATCH_WALK_H

#include <stdbool.h>
#include <sys/stat.h>

#define WATCH_WALK_DEPTH 8

/* What is given is borrowed for the call. */
struct watch_walk {
	/* A regular file.  target: where it is opened without following a link. */
	void (*file)(
	    void *arg, const char *path, const char *target, const struct stat *st);
	/* A folder, before it is read: what comes later in it is an event for who watches
	 * it from now on. */
	void (*folder)(void *arg, const char *path);
	/* What cannot be looked at, with errno; EXDEV: a link that leads elsewhere.  What
	 * is not there is nothing. */
	void (*failed)(void *arg, const char *path, int error);
	void *arg;
};

/* pattern: from the root on.  False: out of memory. */
bool watch_walk(const struct watch_walk *w, const char *pattern);

#endif
