/* jobs.h - commands that are run for changes and notices, until each has succeeded.
 *
 * Events come in order, each with its changes, or notices, which are all the same here;
 * what is done is told in order too: the id of an event is reached when its commands and
 * those of all events before it have ended with 0.  A command that fails is tried again,
 * after 1 s, doubling up to 5 min, and holds nobody else up but those for the same
 * certificate.
 *
 * A change of which a field is more than a command can be given (job_line.h) would be
 * tried for ever: it is told and passed over.  A batch is a file's lines and takes all.
 *
 * No thread, no clock of its own: the caller calls jobs_turn() when a child has ended
 * (SIGCHLD) or jobs_wait_ms() have passed.
 */
#ifndef PROXY_CTL_JOBS_H
#define PROXY_CTL_JOBS_H

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

/* Changes that wait, 300 bytes each; beyond it no more are taken from the server for now,
 * but for a snapshot, which would begin anew. */
#define JOBS_WAITING_MAX 20000

struct jobs;

struct jobs_config {
	const char *command; /* for sh -c; borrowed for life */
	unsigned at_once;    /* 1.. */
	bool batch;          /* one command for an event, not for each change */
	FILE *err;           /* failures are told there */
};

struct jobs *jobs_new(const struct jobs_config *c); /* NULL when out of memory */
/* Children that run are not waited for. */
void jobs_free(struct jobs *j);

/* An event: data as the API sends it, or NULL for a position.  id NULL: of a snapshot,
 * whose end is the next id.  false: out of memory. */
bool jobs_add(struct jobs *j, const char *id, const json_t *data);

/* Take in who has ended, start what may start.  now_ms: monotonic. */
void jobs_turn(struct jobs *j, int64_t now_ms);
/* The same without starting anything. */
void jobs_finish(struct jobs *j, int64_t now_ms);
/* Until something is to be tried again, or -1. */
int64_t jobs_wait_ms(const struct jobs *j, int64_t now_ms);
/* The id that has been reached since the last call, or NULL; borrowed until the next. */
const char *jobs_reached(struct jobs *j);
/* Changes whose commands have not yet succeeded, the running included. */
size_t jobs_waiting(const struct jobs *j);
size_t jobs_running(const struct jobs *j);
/* Changes that were passed over, since the beginning. */
size_t jobs_refused(const struct jobs *j);

#endif
