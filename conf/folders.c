/* folders.c - the folders of state and store, as a start will find them. */
#include "conf/check.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "conf/address.h"

struct folder {
	const struct draft *d;
	enum option_id id;
	const char *path;
	const char *const *files; /* ours in it, if they are there; NULL at the end */
};

static void fault(const struct folder *f, const char *what, int error, const char *remedy)
{
	const struct setting *set = &f->d->settings->global.setting[f->id];
	const char *file = set->line > 0 ? set->file : f->d->settings->global.file;

	report_error(f->d->report, file, set->line, option_table[f->id].name,
	    "%s: %s; %s", what, strerror(error), remedy);
}

/* Who may write there may take a latch away, or hand us a list's file. */
static void look_at_mode(const struct folder *f)
{
	const struct setting *set = &f->d->settings->global.setting[f->id];
	struct stat st;

	if (stat(f->path, &st) == 0 && S_ISDIR(st.st_mode) && st.st_mode & S_IWOTH)
		report_warning(f->d->report,
		    set->line > 0 ? set->file : f->d->settings->global.file, set->line,
		    option_table[f->id].name,
		    "every user of this machine may write to %s, and so make what is "
		    "revoked good; take that away with chmod 0700",
		    f->path);
}

static void try_files(const struct folder *f)
{
	for (const char *const *name = f->files; *name != NULL; name++) {
		char *path;

		if (asprintf(&path, "%s/%s", f->path, *name) < 0) {
			f->d->report->nomem = true;
			return;
		}
		if (access(path, R_OK | W_OK) != 0 && errno != ENOENT)
			fault(f, path, errno,
			    "it has to be a file of the user that ocspcached runs as");
		free(path);
	}
}

/* What there is of the path: cut after its last part that exists. */
static void cut_missing(char *path)
{
	struct stat st;
	char *slash;

	while (stat(path, &st) != 0 && (errno == ENOENT || errno == ENOTDIR) &&
	       (slash = strrchr(path, '/')) != NULL)
		slash[slash == path] = '\0';
}

/* Could it be made, or is it there and ours to write to?  As the user who asks. */
static void try_folder(const struct folder *f)
{
	char *there = strdup(f->path);
	struct stat st;
	int error;

	if (there == NULL) {
		f->d->report->nomem = true;
		return;
	}
	cut_missing(there);
	error = stat(there, &st) != 0        ? errno
		: !S_ISDIR(st.st_mode)       ? ENOTDIR
		: access(there, W_OK | X_OK) ? errno
					     : 0;
	if (error == ENOTDIR)
		fault(f, there, error, "name a directory");
	else if (error && strcmp(there, f->path) == 0)
		fault(f, there, error,
		    "let the user that ocspcached runs as write to it, and test as that "
		    "user");
	else if (error)
		fault(f, f->path, error,
		    "make it, and let the user that ocspcached runs as write to it");
	else
		try_files(f);
	free(there);
}

static bool is_named(const struct draft *d, enum option_id id, const char *path)
{
	return path != NULL && *path == '/' && !d->settings->global.setting[id].refused;
}

void draft_check_folders(const struct draft *d)
{
	static const char *const states[] = {"lock", "latches.mdb", "crl", NULL};
	static const char *const stores[] = {"lock", "answers.mdb", "events.mdb", NULL};
	const struct conf *c = d->conf;
	const char *dir =
	    strncmp(c->store, "lmdb:", 5) != 0 ? NULL : embedded_path(c->store);
	struct folder state = {d, OPTION_state_directory, c->state_directory, states};
	struct folder store = {d, OPTION_store, dir, stores};

	if (is_named(d, state.id, state.path)) {
		look_at_mode(&state);
		if (d->trial)
			try_folder(&state);
	}
	if (!is_named(d, store.id, store.path))
		return;
	if (strcmp(store.path, state.path) != 0) {
		look_at_mode(&store);
		if (d->trial)
			try_folder(&store);
	} else if (d->trial) { /* one folder, one lock */
		store.files++;
		try_files(&store);
	}
}
