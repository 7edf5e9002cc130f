/* alarm_file.c - a file of JSON, replaced as a whole. */
#include "proxy/tell/alarm_file.h"

#include <errno.h>
#include <fcntl.h>
#include <jansson.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "cache/base/write_all.h"
#include "proxy/base/alarms_news.h"

/* 0, or errno. */
static int sync_folder(int folder)
{
	return fsync(folder) == 0 ? 0 : errno;
}

static int write_draft(int folder, const char *draft, struct bytes text)
{
	int e, fd = openat(folder, draft, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);

	if (fd < 0)
		return errno;
	e = write_all(fd, text.p, text.n) && fsync(fd) == 0 ? 0 : errno;
	if (close(fd) != 0 && e == 0)
		e = errno;
	return e;
}

int alarm_file_write(const char *state_directory, struct bytes text)
{
	static const char draft[] = ALARM_FILE_NAME ".new";
	int e, folder = open(state_directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	if (folder < 0)
		return errno;
	e = write_draft(folder, draft, text);
	if (e == 0 && renameat(folder, draft, folder, ALARM_FILE_NAME) != 0)
		e = errno;
	if (e == 0)
		e = sync_folder(folder);
	close(folder);
	return e;
}

static enum alarm alarm_named(const char *name)
{
	enum alarm a = 0;

	while (a < ALARM_COUNT && strcmp(alarm_row(a)->name, name) != 0)
		a++;
	return a;
}

/* False: it is none of ours. */
static bool inherit(json_t *row)
{
	const char *alarm, *issuer, *subject, *node;
	json_int_t since;
	enum alarm a;

	if (json_unpack(row, "{s:s, s:s, s:s, s:I, s:s}", "alarm", &alarm, "issuer",
		&issuer, "subject", &subject, "since", &since, "node", &node) != 0 ||
	    strlen(issuer) >= ALARM_ISSUER_MAX || node[0] == '\0' ||
	    strlen(node) >= ALARM_NODE_MAX)
		return false;
	a = alarm_named(alarm);
	return a == ALARM_COUNT || alarms_inherit(a, issuer, subject, since, node);
}

static bool inherit_all(const json_t *raised)
{
	size_t n;
	json_t *row;
	bool ok = json_is_array(raised);

	json_array_foreach(raised, n, row)
		ok = inherit(row) && ok;
	return ok;
}

/* Whatever stands there: a FIFO has no JSON, and nobody waits for one who writes it. */
bool alarm_file_read(const char *state_directory, char *why, size_t why_n)
{
	char path[PATH_MAX];
	json_error_t error;
	json_t *all;
	bool ok;
	int fd;

	if (snprintf(path, sizeof path, "%s/" ALARM_FILE_NAME, state_directory) >=
	    (int)sizeof path) {
		snprintf(why, why_n, "%.200s...: its path is too long", path);
		return false;
	}
	fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	if (fd < 0) {
		snprintf(why, why_n, "%s: %s", path, strerror(errno));
		return errno == ENOENT;
	}
	all = json_loadfd(fd, 0, &error);
	close(fd);
	ok = inherit_all(json_object_get(all, "raised"));
	if (!ok)
		snprintf(why, why_n, "%s: %s", path,
		    all == NULL ? error.text : "not what was written there");
	json_decref(all);
	return ok;
}
