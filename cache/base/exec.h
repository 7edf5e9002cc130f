/* exec.h - a thread for what may wait for a disk, as cache/ is given one.
 *
 * cache/ starts no thread: who opens a store or a log hands in an executor
 * (proxy/base/executor.h is ours), or one whose run is NULL, and the work is done at once
 * on the caller's thread.
 */
#ifndef CACHE_BASE_EXEC_H
#define CACHE_BASE_EXEC_H

/* run: work(arg) on another thread, one at a time and in order, then done(arg) on the
 * keeper's. */
struct exec {
	void (*run)(
	    void *ctx, void (*work)(void *arg), void (*done)(void *arg), void *arg);
	void *ctx;
};

#endif
