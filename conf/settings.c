/* Files are read whole, and known by device and inode: one that includes itself, by
 * whatever name, is found. */
#include "conf/settings.h"

#include <confuse.h>
#include <errno.h>
#include <fcntl.h>
#include <glob.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "conf/scan.h"

struct settings_file {
	char *name;
	dev_t device;
	ino_t inode;
	bool on_disk;          /* device and inode are known */
	const char *from_file; /* which include() named it */
	int from_line;
};

struct settings_reader {
	struct settings *out;
	struct report *report;
	int depth;
	bool nomem;
};

static bool read_file(struct settings_reader *rd, const char *path, const char *base_text,
    const char *from_file, int from_line);

char *read_regular_file(const char *path, size_t max, size_t *n)
{
	/* O_NONBLOCK: opening a FIFO must not wait for its writer */
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	struct stat st;
	char *text = NULL;
	ssize_t got = 1;
	int e;

	if (fd < 0)
		return NULL;
	if (fstat(fd, &st) < 0)
		goto fail;
	errno = S_ISDIR(st.st_mode) ? EISDIR : EINVAL;
	if (!S_ISREG(st.st_mode))
		goto fail;
	errno = EFBIG;
	if ((uintmax_t)st.st_size > max)
		goto fail;
	text = malloc((size_t)st.st_size + 1);
	if (text == NULL)
		goto fail;
	for (*n = 0; *n < (size_t)st.st_size && got > 0; *n += (size_t)got) {
		got = read(fd, text + *n, (size_t)st.st_size - *n);
		if (got < 0)
			goto fail;
	}
	text[*n] = '\0';
	close(fd);
	return text;
fail:
	e = errno;
	free(text);
	close(fd);
	errno = e;
	return NULL;
}

char *path_beside(const char *file, const char *path)
{
	const char *slash = strrchr(file, '/');
	char *cwd = NULL, *made = NULL;

	if (*path == '/')
		return strdup(path);
	while (strncmp(path, "./", 2) == 0)
		path += 2;
	if (*file != '/') {
		cwd = getcwd(NULL, 0);
		if (cwd == NULL)
			return NULL;
	}
	if (asprintf(&made, "%s%s%.*s/%s", cwd != NULL ? cwd : "",
		cwd != NULL && slash != NULL ? "/" : "",
		slash != NULL ? (int)(slash - file) : 0, file, path) < 0)
		made = NULL;
	free(cwd);
	return made;
}

/* ---- what libconfuse reads: every option is text, values.c makes of it what it is
 */

static cfg_t *parser_of(cfg_errfunc_t on_error)
{
#define FORM_INT(name)         CFG_STR(name, NULL, CFGF_NODEFAULT)
#define FORM_DURATION(name)    CFG_STR(name, NULL, CFGF_NODEFAULT)
#define FORM_SIZE(name)        CFG_STR(name, NULL, CFGF_NODEFAULT)
#define FORM_BOOL(name)        CFG_STR(name, NULL, CFGF_NODEFAULT)
#define FORM_STRING(name)      CFG_STR(name, NULL, CFGF_NODEFAULT)
#define FORM_PATH(name)        CFG_STR(name, NULL, CFGF_NODEFAULT)
#define FORM_ENUM(name)        CFG_STR(name, NULL, CFGF_NODEFAULT)
#define FORM_LIST(name)        CFG_STR_LIST(name, NULL, CFGF_NODEFAULT)
#define FORM_PATHS(name)       CFG_STR_LIST(name, NULL, CFGF_NODEFAULT)
#define IN_GLOBAL_GLOBAL(form) form,
#define IN_GLOBAL_ISSUER(form)
#define IN_GLOBAL_WATCHLIST(form)
#define IN_GLOBAL_TOKEN(form)
#define IN_ISSUER_GLOBAL(form)
#define IN_ISSUER_ISSUER(form) form,
#define IN_ISSUER_WATCHLIST(form)
#define IN_ISSUER_TOKEN(form)
#define IN_WATCHLIST_GLOBAL(form)
#define IN_WATCHLIST_ISSUER(form)
#define IN_WATCHLIST_WATCHLIST(form) form,
#define IN_WATCHLIST_TOKEN(form)
#define IN_TOKEN_GLOBAL(form)
#define IN_TOKEN_ISSUER(form)
#define IN_TOKEN_WATCHLIST(form)
#define IN_TOKEN_TOKEN(form) form,
#define LATER(scope, name, reason)
	cfg_opt_t issuer[] = {
#define OPTION(scope, type, field, name, dflt, min, max, when, text)                     \
	IN_ISSUER_##scope(FORM_##type(name))
#include "conf/options.def"
#undef OPTION
	    CFG_END()};
	cfg_opt_t watchlist[] = {
#define OPTION(scope, type, field, name, dflt, min, max, when, text)                     \
	IN_WATCHLIST_##scope(FORM_##type(name))
#include "conf/options.def"
#undef OPTION
	    CFG_END()};
	cfg_opt_t token[] = {
#define OPTION(scope, type, field, name, dflt, min, max, when, text)                     \
	IN_TOKEN_##scope(FORM_##type(name))
#include "conf/options.def"
#undef OPTION
	    CFG_END()};
	cfg_opt_t global[] = {
#define OPTION(scope, type, field, name, dflt, min, max, when, text)                     \
	IN_GLOBAL_##scope(FORM_##type(name))
#include "conf/options.def"
#undef OPTION
#undef LATER
	    CFG_SEC("issuer", issuer, CFGF_MULTI),
	    CFG_SEC("watchlist", watchlist, CFGF_MULTI),
	    CFG_SEC("token", token, CFGF_MULTI), CFG_END()};
	cfg_t *parser = cfg_init(global, CFGF_NONE);

	if (parser != NULL)
		cfg_set_error_function(parser, on_error);
	return parser;
}

/* libconfuse gives its error function no argument of ours.  One thread loads at a time.
 */
static struct {
	struct report *report;
	const char *file;
} parsing;

static void on_parser_error(cfg_t *parser, const char *format, va_list ap)
    __attribute__((format(printf, 2, 0)));
static void on_parser_error(cfg_t *parser, const char *format, va_list ap)
{
	char text[512];

	vsnprintf(text, sizeof text, format, ap);
	report_error(parsing.report, parsing.file, parser != NULL ? parser->line : 0,
	    NULL, "%s", text);
}

/* From statements to settings. */

/* The sections of a kind, as they stand in *s. */
struct section_list {
	struct group ***all;
	size_t *n;
};
static struct section_list sections_of(struct settings *s, enum option_scope scope)
{
	if (scope == SCOPE_ISSUER)
		return (struct section_list){&s->issuer, &s->issuer_n};
	if (scope == SCOPE_WATCHLIST)
		return (struct section_list){&s->watchlist, &s->watchlist_n};
	return (struct section_list){&s->token, &s->token_n};
}

/* How many sections of each kind the files before had. */
struct sections {
	size_t n[SCOPE_COUNT];
};

static struct setting *setting_of(
    struct settings *s, const struct sections *before, const struct statement *st)
{
	size_t n = (size_t)st->section;
	struct group *g = &s->global;

	if (st->section >= 0)
		g = (*sections_of(s, st->scope).all)[before->n[st->scope] + n];
	return &g->setting[st->id];
}

static bool add_section(
    struct settings_reader *rd, const char *file, struct statement *st)
{
	struct section_list list = sections_of(rd->out, st->scope);
	struct group ***all = list.all;
	size_t *n = list.n;
	struct group **grown = realloc(*all, (*n + 1) * sizeof(struct group *));
	struct group *g = calloc(1, sizeof *g);

	if (grown != NULL)
		*all = grown;
	if (grown == NULL || g == NULL) {
		free(g);
		return false;
	}
	g->file = file;
	g->line = st->line;
	g->name = st->text;
	st->text = NULL;
	grown[(*n)++] = g;
	return true;
}

/* The first of two settings stands; the other one is reported, and hidden from
 * libconfuse. */
static void claim(struct settings_reader *rd, const char *file, char *text,
    const struct sections *before, struct statement *st)
{
	struct setting *set = setting_of(rd->out, before, st);

	if (set->line > 0) {
		report_error(rd->report, file, st->line, option_table[st->id].name,
		    "is given twice, first at %s:%d; take one of them out", set->file,
		    set->line);
		scan_blank(text, st);
		st->refused = true;
		return;
	}
	*set = (struct setting){.file = file,
	    .line = st->line,
	    .refused = st->refused,
	    .value_line = st->value_line};
	st->value_line = NULL;
}

static bool take_values(struct setting *set, cfg_opt_t *from, size_t expected)
{
	size_t n = from != NULL ? cfg_opt_size(from) : 0;

	/* The scan and libconfuse read one grammar; what they read apart is not used. */
	if (n != expected) {
		set->refused = true;
		report_error(parsing.report, set->file, set->line,
		    from != NULL ? from->name : NULL,
		    "is not understood; write it on one line and in quotes");
		return true;
	}
	set->value = calloc(n ? n : 1, sizeof *set->value);
	if (set->value == NULL)
		return false;
	for (; set->n < n; set->n++) {
		set->value[set->n] = strdup(cfg_opt_getnstr(from, (unsigned)set->n));
		if (set->value[set->n] == NULL)
			return false;
	}
	return true;
}

static void refuse_all(
    struct settings_reader *rd, const struct scan *scan, const struct sections *before)
{
	for (size_t i = 0; i < scan->n; i++)
		if (scan->statement[i].kind == STATEMENT_OPTION)
			setting_of(rd->out, before, &scan->statement[i])->refused = true;
}

static bool parse_values(struct settings_reader *rd, const char *file, const char *text,
    const struct scan *scan, const struct sections *before)
{
	cfg_t *parser = parser_of(on_parser_error);
	size_t errors = rd->report->errors->n;
	bool ok = parser != NULL;

	parsing.report = rd->report;
	parsing.file = file;
	if (ok && cfg_parse_buf(parser, text) != CFG_SUCCESS) {
		refuse_all(rd, scan, before);
		ok = rd->report->errors->n > errors; /* silent only without memory */
		goto out;
	}
	for (size_t i = 0; ok && i < scan->n; i++) {
		const struct statement *st = &scan->statement[i];
		cfg_t *from = parser;

		if (st->kind != STATEMENT_OPTION || st->refused)
			continue;
		if (st->section >= 0)
			from = cfg_getnsec(
			    parser, scope_word(st->scope), (unsigned)st->section);
		ok = take_values(setting_of(rd->out, before, st),
		    from != NULL ? cfg_getopt(from, option_table[st->id].name) : NULL,
		    st->value_n);
	}
out:
	if (parser != NULL)
		cfg_free(parser);
	return ok;
}

/* Include. */

static void include_file(struct settings_reader *rd, const char *path, const char *file,
    const struct statement *st)
{
	if (rd->out->file_n >= INCLUDE_FILES_MAX) {
		report_error(rd->report, file, st->line, "include",
		    "there are more than %d files; put several issuers into one",
		    INCLUDE_FILES_MAX);
		return;
	}
	if (!read_file(rd, path, NULL, file, st->line))
		rd->nomem = true;
}

static bool has_glob(const char *pattern)
{
	return strpbrk(pattern, "*?[") != NULL;
}

/* A directory that is not there has no matches, and that is fine. */
static int on_glob_error(const char *path, int e)
{
	(void)path;
	return e != ENOENT && e != ENOTDIR;
}

static void include_matches(struct settings_reader *rd, const char *pattern,
    const char *file, const struct statement *st)
{
	glob_t found;
	int rc = glob(pattern, 0, on_glob_error, &found);

	if (rc == GLOB_NOSPACE)
		rd->nomem = true;
	else if (rc == GLOB_ABORTED)
		report_error(rd->report, file, st->line, "include",
		    "%s: a directory cannot be read; make it readable", pattern);
	for (size_t i = 0; rc == 0 && i < found.gl_pathc; i++)
		include_file(rd, found.gl_pathv[i], file, st);
	globfree(&found);
}

static void include(
    struct settings_reader *rd, const char *file, const struct statement *st)
{
	const char *slash = strrchr(file, '/');
	size_t errors = rd->report->errors->n;
	char *path = NULL;

	/* Like the file's own name, so that messages look the same. */
	if (*st->text == '/' || slash == NULL)
		path = strdup(st->text);
	else if (asprintf(&path, "%.*s/%s", (int)(slash - file), file, st->text) < 0)
		path = NULL;
	if (path == NULL)
		rd->nomem = true;
	else if (rd->depth >= INCLUDE_DEPTH_MAX)
		report_error(rd->report, file, st->line, "include",
		    "goes deeper than %d files; include from fewer levels",
		    INCLUDE_DEPTH_MAX);
	else if (has_glob(st->text))
		include_matches(rd, path, file, st);
	else
		include_file(rd, path, file, st);
	if (rd->report->errors->n > errors)
		rd->out->incomplete = true;
	free(path);
}

/* One file. */

/* A glob that fits its own file, or two that fit one, would give every option twice. */
static bool is_new_file(struct settings_reader *rd, struct settings_file *f)
{
	struct stat st;

	if (stat(f->name, &st) < 0)
		return true;
	f->on_disk = true;
	f->device = st.st_dev;
	f->inode = st.st_ino;
	for (size_t i = 0; i < rd->out->file_n; i++) {
		const struct settings_file *o = &rd->out->files[i];

		if (!o->on_disk || o->device != f->device || o->inode != f->inode)
			continue;
		if (o->from_line > 0)
			report_error(rd->report, f->from_file, f->from_line, "include",
			    "%s is included already, at %s:%d; take one of them out",
			    f->name, o->from_file, o->from_line);
		else
			report_error(rd->report, f->from_file, f->from_line, "include",
			    "%s is the file that all started with; take this out",
			    f->name);
		return false;
	}
	return true;
}

/* Room for one more file; its name, or NULL. */
static const char *add_file(struct settings_reader *rd, struct settings_file *f)
{
	struct settings_file *grown =
	    realloc(rd->out->files, (rd->out->file_n + 1) * sizeof *grown);

	if (grown == NULL) {
		free(f->name);
		rd->nomem = true;
		return NULL;
	}
	rd->out->files = grown;
	grown[rd->out->file_n++] = *f;
	return f->name;
}

static char *text_of(struct settings_reader *rd, const struct settings_file *f,
    const char *base_text, size_t *n)
{
	const char *at = f->from_line > 0 ? f->from_file : f->name;
	const char *option = f->from_line > 0 ? "include" : NULL;
	char *text;

	if (base_text != NULL) {
		*n = strlen(base_text);
		text = strdup(base_text);
		rd->nomem = rd->nomem || text == NULL;
		return text;
	}
	text = read_regular_file(f->name, CONF_FILE_MAX, n);
	if (text == NULL && errno == ENOMEM)
		rd->nomem = true;
	else if (text == NULL && errno == EFBIG)
		report_error(rd->report, at, f->from_line, option,
		    "%s is larger than %d bytes; divide it with include()", f->name,
		    CONF_FILE_MAX);
	else if (text == NULL && errno == EINVAL)
		report_error(rd->report, at, f->from_line, option,
		    "%s is no regular file; name one that is", f->name);
	else if (text == NULL)
		report_error(rd->report, at, f->from_line, option,
		    "cannot read %s: %s; check its name and permissions", f->name,
		    strerror(errno));
	else if (memchr(text, '\0', *n) != NULL) {
		report_error(rd->report, at, f->from_line, option,
		    "%s holds a zero byte and is no text; name the right file", f->name);
		free(text);
		text = NULL;
	}
	return text;
}

static bool take_text(struct settings_reader *rd, const char *file, char *text, size_t n)
{
	struct scan scan;
	const struct sections before = {.n = {[SCOPE_ISSUER] = rd->out->issuer_n,
					    [SCOPE_WATCHLIST] = rd->out->watchlist_n,
					    [SCOPE_TOKEN] = rd->out->token_n}};
	bool ok = scan_text(&scan, text, n, file, rd->report);

	rd->out->incomplete = rd->out->incomplete || !scan.whole;
	for (size_t i = 0; ok && i < scan.n; i++) {
		struct statement *st = &scan.statement[i];

		if (st->kind == STATEMENT_SECTION)
			ok = add_section(rd, file, st);
		else if (st->kind == STATEMENT_OPTION)
			claim(rd, file, text, &before, st);
	}
	if (ok && scan.whole)
		ok = parse_values(rd, file, text, &scan, &before);
	else if (ok)
		refuse_all(rd, &scan, &before);
	rd->depth++;
	for (size_t i = 0; ok && !rd->nomem && i < scan.n; i++)
		if (scan.statement[i].kind == STATEMENT_INCLUDE &&
		    !scan.statement[i].refused)
			include(rd, file, &scan.statement[i]);
	rd->depth--;
	scan_free(&scan);
	return ok && !rd->nomem;
}

static bool read_file(struct settings_reader *rd, const char *path, const char *base_text,
    const char *from_file, int from_line)
{
	struct settings_file f = {
	    .name = strdup(path), .from_file = from_file, .from_line = from_line};
	const char *name;
	char *text;
	size_t n;
	bool ok;

	if (f.name == NULL)
		return false;
	if (!is_new_file(rd, &f)) {
		free(f.name);
		return true;
	}
	name = add_file(rd, &f);
	if (name == NULL)
		return false;
	if (rd->out->global.file == NULL)
		rd->out->global.file = name;
	text = text_of(rd, &f, base_text, &n);
	if (text == NULL) {
		rd->out->incomplete = true;
		return !rd->nomem;
	}
	ok = take_text(rd, name, text, n);
	free(text);
	return ok;
}

bool settings_read(
    struct settings *s, const char *path, const char *base_text, struct report *report)
{
	struct settings_reader rd = {.out = s, .report = report};

	*s = (struct settings){0};
	return read_file(&rd, path, base_text, NULL, 0) && !rd.nomem;
}

static void group_free(struct group *g)
{
	for (int i = 0; i < OPTION_COUNT; i++) {
		struct setting *set = &g->setting[i];

		for (size_t k = 0; k < set->n; k++)
			free(set->value[k]);
		free(set->value);
		free(set->value_line);
	}
	free(g->name);
}

static void groups_free(struct group **all, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		group_free(all[i]);
		free(all[i]);
	}
	free(all);
}

void settings_free(struct settings *s)
{
	group_free(&s->global);
	groups_free(s->issuer, s->issuer_n);
	groups_free(s->watchlist, s->watchlist_n);
	groups_free(s->token, s->token_n);
	for (size_t i = 0; i < s->file_n; i++)
		free(s->files[i].name);
	free(s->files);
	*s = (struct settings){0};
}
