/* option.h - conf/options.def as data: a row for each option.
 *
 * Fields of struct conf and struct conf_issuer are reached through their row, so that
 * what reads, prints and compares options knows none by name.  Constant, any thread.
 */
#ifndef CONF_OPTION_H
#define CONF_OPTION_H

#include "conf/conf.h"

/* Outside of sections, and each kind of section. */
enum option_scope {
	SCOPE_GLOBAL,
	SCOPE_ISSUER,
	SCOPE_WATCHLIST,
	SCOPE_TOKEN,
	SCOPE_COUNT
};

enum option_type {
	TYPE_INT,
	TYPE_DURATION,
	TYPE_SIZE,
	TYPE_BOOL,
	TYPE_STRING,
	TYPE_PATH,
	TYPE_LIST,
	TYPE_PATHS,
	TYPE_ENUM
};

/* OPTION_listen, OPTION_ocsp_path, ...: the row of a field */
enum option_id {
#define OPTION(scope, type, field, name, dflt, min, max, when, text) OPTION_##field,
#define LATER(scope, name, reason)
#include "conf/options.def"
#undef OPTION
#undef LATER
	OPTION_COUNT
};

struct option {
	enum option_scope scope;
	enum option_type type;
	const char *name;
	const char *dflt; /* NULL: has to be given */
	int64_t min, max;
	const char *words; /* ENUM: "one|two" */
	bool restart;
	const char *text;
	size_t offset;   /* of the field in struct conf, conf_issuer, ... */
	size_t n_offset; /* LIST, PATHS: of its count */
};

struct later {
	enum option_scope scope;
	const char *name, *reason;
};

extern const struct option option_table[OPTION_COUNT];
extern const struct later later_table[];
extern const size_t later_count;

static inline bool option_is_list(const struct option *o)
{
	return o->type == TYPE_LIST || o->type == TYPE_PATHS;
}

/* The row of this name in this scope, or OPTION_COUNT. */
enum option_id option_find(enum option_scope scope, const char *name);
/* The reason why an option of later work is refused, or NULL. */
const char *later_reason(const char *name);
/* The name that was probably meant, one of this scope if possible, or NULL. */
const char *option_nearest(enum option_scope scope, const char *name);

/* The word that opens a section of this kind. */
const char *scope_word(enum option_scope scope);

/* A field of the struct of its row's scope, whatever its type. */
int64_t *option_number(const struct option *o, void *holder);
char **option_string(const struct option *o, void *holder);
char ***option_list(const struct option *o, void *holder, size_t **n);
bool *option_bool(const struct option *o, void *holder);
int *option_enum(const struct option *o, void *holder);

#endif
