/* jobs.c - two lists: events in order, and the jobs of all of them in order. */
#include "proxy/ctl/jobs.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <spawn.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "proxy/ctl/job_line.h"
#include "proxy/ctl/table.h"

#define RETRY_FIRST_MS 1000
#define RETRY_MAX_MS   300000
#define ID_MAX         128

extern char **environ;

struct event {
	struct event *next;
	size_t left; /* jobs that have not succeeded */
	bool has_id;
	char id[ID_MAX];
};

struct ctl_job {
	struct ctl_job *next;
	struct event *event;
	char *certificate; /* "issuer serial"; NULL: of a batch */
	char *input;       /* for its standard input: lines of JSON */
	size_t changes;
	pid_t pid; /* 0: waits */
	int64_t not_before_ms;
	int64_t pause_ms;
};

struct jobs {
	struct jobs_config config;
	struct event *first_event, *last_event;
	struct ctl_job *first, **last;
	size_t waiting, running, refused;
	char reached[ID_MAX];
	bool has_reached;
};

struct jobs *jobs_new(const struct jobs_config *c)
{
	struct jobs *j = calloc(1, sizeof *j);

	if (j == NULL)
		return NULL;
	j->config = *c;
	j->last = &j->first;
	return j;
}

static void job_free(struct ctl_job *b)
{
	free(b->certificate);
	free(b->input);
	free(b);
}

void jobs_free(struct jobs *j)
{
	if (j == NULL)
		return;
	for (struct ctl_job *b = j->first, *next; b != NULL; b = next) {
		next = b->next;
		job_free(b);
	}
	for (struct event *e = j->first_event, *next; e != NULL; e = next) {
		next = e->next;
		free(e);
	}
	free(j);
}

/* Making jobs. */

/* A line of JSON, appended to *text; false: no memory. */
static bool add_line(char **text, size_t *n, const json_t *line)
{
	char *dump = json_dumps(line, JSON_COMPACT), *bigger;
	size_t m;

	if (dump == NULL)
		return false;
	m = strlen(dump);
	bigger = realloc(*text, *n + m + 2);
	if (bigger != NULL) {
		*text = bigger;
		memcpy(bigger + *n, dump, m);
		bigger[*n + m] = '\n';
		bigger[*n + m + 1] = '\0';
		*n += m + 1;
	}
	free(dump);
	return bigger != NULL;
}

static bool set_certificate(struct ctl_job *b, const json_t *line)
{
	const char *issuer = table_text(line, "issuer"),
		   *serial = table_text(line, "serial");

	if (asprintf(&b->certificate, "%s %s", issuer != NULL ? issuer : "",
		serial != NULL ? serial : "") >= 0)
		return true;
	b->certificate = NULL;
	return false;
}

static void queue(struct jobs *j, struct event *e, struct ctl_job *b)
{
	b->event = e;
	*j->last = b;
	j->last = &b->next;
	e->left++;
	j->waiting += b->changes;
}

/* Of one change or notice. */
static bool add_job(struct jobs *j, struct event *e, const json_t *line)
{
	struct ctl_job *b = calloc(1, sizeof *b);
	size_t n = 0;

	if (b == NULL)
		return false;
	b->changes = 1;
	if (!add_line(&b->input, &n, line) || !set_certificate(b, line)) {
		job_free(b);
		return false;
	}
	queue(j, e, b);
	return true;
}

/* Of all of an event. */
static bool add_batch(struct jobs *j, struct event *e, const json_t *data)
{
	const json_t *items = job_items(data);
	struct ctl_job *b = calloc(1, sizeof *b);
	size_t n = 0;
	bool ok = b != NULL;

	for (size_t i = 0; ok && i < json_array_size(items); i++) {
		json_t *line = job_line(data, json_array_get(items, i));

		ok = line != NULL && add_line(&b->input, &n, line);
		json_decref(line);
	}
	if (ok) {
		b->changes = json_array_size(items);
		queue(j, e, b);
	} else if (b != NULL) {
		job_free(b);
	}
	return ok;
}

/* Can no command be given this?  Told, once. */
static bool is_refused(
    struct jobs *j, const char *id, const json_t *data, const json_t *line)
{
	size_t n;
	const char *field = job_line_too_long(line, &n);

	if (field == NULL)
		return false;
	j->refused++;
	fputs("ocspctl: watch: event ", j->config.err);
	show_text(j->config.err, id != NULL ? id : "of a snapshot");
	fprintf(j->config.err, ": a %s whose %s has %zu bytes was passed over\n",
	    json_object_get(data, "changes") != NULL ? "change" : "notice", field, n);
	return true;
}

static bool add_single(struct jobs *j, struct event *e, const char *id,
    const json_t *data, const json_t *item)
{
	json_t *line = job_line(data, item);
	bool ok = line != NULL && (is_refused(j, id, data, line) || add_job(j, e, line));

	json_decref(line);
	return ok;
}

static void reach(struct jobs *j)
{
	struct event *e;

	while ((e = j->first_event) != NULL && e->left == 0) {
		if (e->has_id) {
			memcpy(j->reached, e->id, sizeof j->reached);
			j->has_reached = true;
		}
		j->first_event = e->next;
		if (e->next == NULL)
			j->last_event = NULL;
		free(e);
	}
}

bool jobs_add(struct jobs *j, const char *id, const json_t *data)
{
	const json_t *items = job_items(data);
	size_t n = json_array_size(items);
	struct event *e = j->last_event;
	bool ok;

	/* Positions that come while the same command is waited for are one. */
	if (n == 0 && id != NULL && e != NULL && e->left == 0) {
		e->has_id = true;
		snprintf(e->id, sizeof e->id, "%s", id);
		return true;
	}
	e = calloc(1, sizeof *e);
	ok = e != NULL;
	if (!ok)
		return false;
	if (id != NULL) {
		e->has_id = true;
		snprintf(e->id, sizeof e->id, "%s", id);
	}
	if (j->last_event != NULL)
		j->last_event->next = e;
	else
		j->first_event = e;
	j->last_event = e;
	e->left++; /* ours, until all are queued */
	if (n > 0 && j->config.batch)
		ok = add_batch(j, e, data);
	for (size_t i = 0; ok && !j->config.batch && i < n; i++)
		ok = add_single(j, e, id, data, json_array_get(items, i));
	if (ok) /* else it is never reached: the place stays before it */
		e->left--;
	reach(j);
	return ok;
}

/* Running them. */

/* The input as a descriptor that can be read from its start; -1 with errno. */
static int input_fd(const struct ctl_job *b)
{
	size_t n = strlen(b->input), at = 0;
	int fd = memfd_create("changes", MFD_CLOEXEC);

	while (fd >= 0 && at < n) {
		ssize_t m = write(fd, b->input + at, n - at);

		if (m <= 0) {
			close(fd);
			return -1;
		}
		at += (size_t)m;
	}
	if (fd >= 0)
		lseek(fd, 0, SEEK_SET);
	return fd;
}

/* What is about the change, from its line.  The variables are the caller's, also on
 * failure. */
static bool own_variables(const struct ctl_job *b, char *own[JOB_VARIABLES])
{
	json_t *line = b->certificate != NULL ? json_loads(b->input, 0, NULL) : NULL;
	bool ok = b->certificate == NULL || (line != NULL && job_variables(line, own));

	json_decref(line);
	return ok;
}

/* Our environment, with what is about the change in front.  Not deep: free() it. */
static char **environment(char *own[JOB_VARIABLES])
{
	size_t n = 0, at = 0;
	char **env;

	while (environ[n] != NULL)
		n++;
	env = calloc(n + JOB_VARIABLES + 1, sizeof *env);
	if (env == NULL)
		return NULL;
	for (size_t i = 0; i < JOB_VARIABLES; i++)
		if (own[i] != NULL)
			env[at++] = own[i];
	for (size_t i = 0; i < n; i++)
		if (strncmp(environ[i], "OCSP_", 5) != 0)
			env[at++] = environ[i];
	return env;
}

static int spawn(struct jobs *j, struct ctl_job *b)
{
	char *argv[] = {(char *)(uintptr_t) "sh", (char *)(uintptr_t) "-c",
	    (char *)(uintptr_t)j->config.command, NULL};
	posix_spawn_file_actions_t actions;
	posix_spawnattr_t attr;
	sigset_t none;
	char *own[JOB_VARIABLES] = {NULL};
	char **env = own_variables(b, own) ? environment(own) : NULL;
	int fd = input_fd(b), e = fd < 0 || env == NULL ? ENOMEM : 0;

	assert(b->pid == 0);
	posix_spawn_file_actions_init(&actions);
	posix_spawnattr_init(&attr);
	sigemptyset(&none); /* ours are blocked and read from a descriptor */
	posix_spawnattr_setsigmask(&attr, &none);
	posix_spawnattr_setflags(&attr, POSIX_SPAWN_SETSIGMASK);
	if (e == 0)
		e = posix_spawn_file_actions_adddup2(&actions, fd, STDIN_FILENO);
	/* libcurl's sockets: a command that stays would keep the stream open */
	if (e == 0)
		e = posix_spawn_file_actions_addclosefrom_np(&actions, STDERR_FILENO + 1);
	if (e == 0)
		e = posix_spawn(&b->pid, "/bin/sh", &actions, &attr, argv, env);
	posix_spawnattr_destroy(&attr);
	posix_spawn_file_actions_destroy(&actions);
	if (fd >= 0)
		close(fd);
	free(env);
	for (size_t i = 0; i < JOB_VARIABLES; i++)
		free(own[i]);
	return e;
}

static void retry_later(
    struct jobs *j, struct ctl_job *b, int64_t now_ms, const char *how)
{
	b->pid = 0;
	b->pause_ms = b->pause_ms == 0 ? RETRY_FIRST_MS : 2 * b->pause_ms;
	if (b->pause_ms > RETRY_MAX_MS)
		b->pause_ms = RETRY_MAX_MS;
	b->not_before_ms = now_ms + b->pause_ms;
	fputs("ocspctl: watch: ", j->config.err);
	show_text(j->config.err, b->certificate != NULL ? b->certificate : "a batch");
	fprintf(j->config.err, ": the command %s; again in %lld s\n", how,
	    (long long)b->pause_ms / 1000);
}

static struct ctl_job **job_of(struct jobs *j, pid_t pid)
{
	struct ctl_job **b = &j->first;

	while (*b != NULL && (*b)->pid != pid)
		b = &(*b)->next;
	return b;
}

static void succeeded(struct jobs *j, struct ctl_job **at)
{
	struct ctl_job *b = *at;

	*at = b->next;
	if (j->last == &b->next)
		j->last = at;
	assert(b->event->left > 0 && j->waiting >= b->changes);
	b->event->left--;
	j->waiting -= b->changes;
	job_free(b);
}

static void take_in(struct jobs *j, int64_t now_ms)
{
	char how[64];
	int status;
	pid_t pid;

	while (j->running > 0 && (pid = waitpid(-1, &status, WNOHANG)) > 0) {
		struct ctl_job **at = job_of(j, pid);

		if (*at == NULL)
			continue;
		j->running--;
		if (WIFEXITED(status) && WEXITSTATUS(status) == 0) {
			succeeded(j, at);
			continue;
		}
		if (WIFEXITED(status))
			snprintf(how, sizeof how, "ended with %d", WEXITSTATUS(status));
		else
			snprintf(
			    how, sizeof how, "was ended by signal %d", WTERMSIG(status));
		retry_later(j, *at, now_ms, how);
	}
}

/* Changes of one certificate are done in their order. */
static bool is_behind(const struct jobs *j, const struct ctl_job *b)
{
	for (const struct ctl_job *o = j->first; o != b; o = o->next)
		if (o->certificate == NULL || b->certificate == NULL ||
		    strcmp(o->certificate, b->certificate) == 0)
			return true;
	return false;
}

void jobs_finish(struct jobs *j, int64_t now_ms)
{
	take_in(j, now_ms);
	reach(j);
}

void jobs_turn(struct jobs *j, int64_t now_ms)
{
	jobs_finish(j, now_ms);
	for (struct ctl_job *b = j->first; b != NULL && j->running < j->config.at_once;
	     b = b->next) {
		int e;

		if (b->pid != 0 || b->not_before_ms > now_ms ||
		    (!j->config.batch && is_behind(j, b)))
			continue;
		/* Batches may hold the same certificate: one after the other. */
		if (j->config.batch && b != j->first)
			break;
		e = spawn(j, b);
		if (e == 0)
			j->running++;
		else
			retry_later(j, b, now_ms, strerror(e));
	}
}

int64_t jobs_wait_ms(const struct jobs *j, int64_t now_ms)
{
	int64_t wait = -1;

	if (j->running >= j->config.at_once)
		return -1;
	for (const struct ctl_job *b = j->first; b != NULL; b = b->next) {
		int64_t ms = b->not_before_ms - now_ms;

		if (b->pid == 0 && b->not_before_ms > 0 && (wait < 0 || ms < wait))
			wait = ms > 0 ? ms : 0;
	}
	return wait;
}

const char *jobs_reached(struct jobs *j)
{
	if (!j->has_reached)
		return NULL;
	j->has_reached = false;
	return j->reached;
}

size_t jobs_waiting(const struct jobs *j)
{
	return j->waiting;
}

size_t jobs_running(const struct jobs *j)
{
	return j->running;
}

size_t jobs_refused(const struct jobs *j)
{
	return j->refused;
}
