/* watch_walk.c - part by part of the pattern, then folder by folder. */
#include "proxy/watch/watch_walk.h"

#include <dirent.h>
#include <errno.h>
#include <fnmatch.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct walk {
	const struct watch_walk *w;
	char *root;    /* without links */
	char *archive; /* certbot's; or NULL */
	bool nomem;
};

/* Where the walk is: rest is what of the pattern is still to be met. */
struct spot {
	const char *path, *rest;
	int depth; /* below what the pattern met */
};

static void visit(struct walk *k, const struct spot *p);

/* Roots. */

static bool is_below(const char *path, const char *root)
{
	size_t n = root != NULL ? strlen(root) : 0;

	return n > 0 && strncmp(path, root, n) == 0 &&
	       (path[n] == '/' || path[n] == '\0' || root[n - 1] == '/');
}

/* /etc/letsencrypt/live/shop.example: /etc/letsencrypt/archive.  False: out of memory. */
static bool find_archive(struct walk *k)
{
	const char *live = NULL;

	for (const char *at = k->root; (at = strstr(at, "/live")) != NULL; at += 5)
		if (at[5] == '/' || at[5] == '\0')
			live = at;
	return live == NULL ||
	       asprintf(&k->archive, "%.*s/archive", (int)(live - k->root), k->root) >= 0;
}

/* Octets of the part of the pattern that is the root; the rest is met in it. */
static size_t root_length(const char *pattern)
{
	size_t n = strcspn(pattern, "*?[");
	struct stat st;

	if (pattern[n] == '\0' && stat(pattern, &st) == 0 && S_ISDIR(st.st_mode))
		return n;
	while (n > 1 && pattern[n - 1] == '/' && pattern[n] == '\0')
		n--;
	while (n > 1 && pattern[n - 1] != '/')
		n--;
	return n;
}

/* Folders. */

static void visit_child(
    struct walk *k, const struct spot *in, const char *name, const char *rest, int depth)
{
	bool slash = in->path[strlen(in->path) - 1] == '/';
	char *path;

	if (asprintf(&path, "%s%s%s", in->path, slash ? "" : "/", name) < 0) {
		k->nomem = true;
		return;
	}
	visit(k, &(struct spot){path, rest, depth});
	free(path);
}

static void meet(struct walk *k, const struct spot *in, const char *name)
{
	size_t n = strcspn(in->rest, "/");
	char part[256];

	if (n == 0 && name[0] != '.')
		visit_child(k, in, name, "", in->depth + 1);
	if (n == 0 || n >= sizeof part)
		return;
	memcpy(part, in->rest, n);
	part[n] = '\0';
	if (fnmatch(part, name, FNM_PERIOD) == 0)
		visit_child(k, in, name, in->rest + n + strspn(in->rest + n, "/"), 0);
}

static void visit_folder(struct walk *k, const struct spot *p)
{
	const struct dirent *entry;
	DIR *dir;

	if (p->depth > WATCH_WALK_DEPTH)
		return;
	k->w->folder(k->w->arg, p->path);
	dir = opendir(p->path);
	if (dir == NULL) {
		if (errno != ENOENT && errno != ENOTDIR)
			k->w->failed(k->w->arg, p->path, errno);
		return;
	}
	while ((entry = readdir(dir)) != NULL && !k->nomem)
		if (strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0)
			meet(k, p, entry->d_name);
	closedir(dir);
}

/* Places. */

/* *target: owned, where it leads to, or NULL: no link.  0, or errno. */
static int look(const struct walk *k, const char *path, struct stat *st, char **target)
{
	*target = NULL;
	if (lstat(path, st) != 0)
		return errno;
	if (!S_ISLNK(st->st_mode))
		return 0;
	*target = realpath(path, NULL);
	if (*target == NULL)
		return errno;
	if (!is_below(*target, k->root) && !is_below(*target, k->archive))
		return EXDEV;
	return lstat(*target, st) != 0 ? errno : 0;
}

static void visit(struct walk *k, const struct spot *p)
{
	const struct watch_walk *w = k->w;
	char *target;
	struct stat st;
	int e = look(k, p->path, &st, &target);

	if (e == 0 && S_ISDIR(st.st_mode))
		visit_folder(k, p);
	else if (e == 0 && S_ISREG(st.st_mode) && *p->rest == '\0')
		w->file(w->arg, p->path, target != NULL ? target : p->path, &st);
	else if (e != 0 && e != ENOENT && e != ENOTDIR)
		w->failed(w->arg, p->path, e);
	free(target);
}

static void walk_from(struct walk *k, char *root, const char *rest)
{
	k->root = realpath(root, NULL);
	if (k->root == NULL) {
		if (errno != ENOENT && errno != ENOTDIR)
			k->w->failed(k->w->arg, root, errno);
		return;
	}
	if (!find_archive(k)) {
		k->archive = NULL;
		k->nomem = true;
	}
	if (!k->nomem)
		visit_folder(k, &(struct spot){root, rest, 0});
}

bool watch_walk(const struct watch_walk *w, const char *pattern)
{
	struct walk k = {.w = w};
	size_t n = root_length(pattern);
	char *root = strndup(pattern, n);

	if (root == NULL)
		return false;
	while (n > 1 && root[n - 1] == '/')
		root[--n] = '\0';
	walk_from(&k, root, pattern + n + strspn(pattern + n, "/"));
	free(root);
	free(k.root);
	free(k.archive);
	return !k.nomem;
}
