/* options.def, expanded once; and which name was probably meant. */
#include "conf/option.h"

#include <assert.h>
#include <ctype.h>

#define MEMBER_INT(f)      f
#define MEMBER_DURATION(f) f##_ms
#define MEMBER_SIZE(f)     f
#define MEMBER_BOOL(f)     f
#define MEMBER_STRING(f)   f
#define MEMBER_PATH(f)     f
#define MEMBER_LIST(f)     f
#define MEMBER_PATHS(f)    f
#define MEMBER_ENUM(f)     f
#define HOLDER_GLOBAL      struct conf
#define HOLDER_ISSUER      struct conf_issuer
#define HOLDER_WATCHLIST   struct conf_watchlist
#define HOLDER_TOKEN       struct conf_token

/* Only lists have a count, only words have words: the others' are empty. */
#define COUNT_INT(holder, f)      0
#define COUNT_DURATION(holder, f) 0
#define COUNT_SIZE(holder, f)     0
#define COUNT_BOOL(holder, f)     0
#define COUNT_STRING(holder, f)   0
#define COUNT_PATH(holder, f)     0
#define COUNT_LIST(holder, f)     offsetof(holder, f##_n)
#define COUNT_PATHS(holder, f)    offsetof(holder, f##_n)
#define COUNT_ENUM(holder, f)     0
#define LEAST_INT(min)            min, NULL
#define LEAST_DURATION(min)       min, NULL
#define LEAST_SIZE(min)           min, NULL
#define LEAST_BOOL(min)           0, NULL
#define LEAST_STRING(min)         0, NULL
#define LEAST_PATH(min)           0, NULL
#define LEAST_LIST(min)           0, NULL
#define LEAST_PATHS(min)          0, NULL
#define LEAST_ENUM(min)           0, min
#define WHEN_LIVE                 false
#define WHEN_RESTART              true

/* clang-format off */
#define ROW(scope_, type_, field, name_, dflt_, least, words_, max_, when, text_)          \
	[OPTION_##field] = { .scope = SCOPE_##scope_, .type = TYPE_##type_, .name = name_, \
	    .dflt = dflt_, .min = least, .max = max_, .words = words_,                     \
	    .restart = WHEN_##when, .text = text_,                                         \
	    .offset = offsetof(HOLDER_##scope_, MEMBER_##type_(field)),                    \
	    .n_offset = COUNT_##type_(HOLDER_##scope_, field) },
/* one more step, so that LEAST_...() is two arguments before ROW is looked at */
#define EXPAND(macro, ...) macro(__VA_ARGS__)
const struct option option_table[OPTION_COUNT] = {
#define OPTION(scope, type, field, name, dflt, min, max, when, text) \
	EXPAND(ROW, scope, type, field, name, dflt, LEAST_##type(min), max, when, text)
#define LATER(scope, name, reason)
#include "conf/options.def"
#undef OPTION
#undef LATER
};

const struct later later_table[] = {
#define OPTION(scope, type, field, name, dflt, min, max, when, text)
#define LATER(scope, name, reason) {SCOPE_##scope, name, reason},
#include "conf/options.def"
#undef OPTION
#undef LATER
};
/* clang-format on */
const size_t later_count = sizeof later_table / sizeof *later_table;

const char *scope_word(enum option_scope scope)
{
	static const char *const words[SCOPE_COUNT] = {
	    "", "issuer", "watchlist", "token"};

	return words[scope];
}

enum option_id option_find(enum option_scope scope, const char *name)
{
	for (int i = 0; i < OPTION_COUNT; i++)
		if (option_table[i].scope == scope &&
		    strcmp(option_table[i].name, name) == 0)
			return (enum option_id)i;
	return OPTION_COUNT;
}

const char *later_reason(const char *name)
{
	for (size_t i = 0; i < later_count; i++)
		if (strcmp(later_table[i].name, name) == 0)
			return later_table[i].reason;
	return NULL;
}

#define NAME_MAX_LENGTH 40 /* longer than any option's name */

static unsigned least3(unsigned a, unsigned b, unsigned c)
{
	unsigned least = a < b ? a : b;

	return least < c ? least : c;
}

/* Insertions, deletions, replacements and swaps of neighbours that make a into b.  Case,
 * and '_' for '-', count for nothing: they are the commonest slips. */
static unsigned edit_distance(const char *a, const char *b)
{
	unsigned d[NAME_MAX_LENGTH + 1][NAME_MAX_LENGTH + 1];
	size_t n = strlen(a), m = strlen(b);

	assert(n <= NAME_MAX_LENGTH && m <= NAME_MAX_LENGTH);
	for (size_t i = 0; i <= n; i++)
		d[i][0] = (unsigned)i;
	for (size_t j = 0; j <= m; j++)
		d[0][j] = (unsigned)j;
	for (size_t i = 1; i <= n; i++)
		for (size_t j = 1; j <= m; j++) {
			bool same = a[i - 1] == b[j - 1];

			d[i][j] = least3(
			    d[i - 1][j] + 1, d[i][j - 1] + 1, d[i - 1][j - 1] + !same);
			if (i > 1 && j > 1 && a[i - 1] == b[j - 2] &&
			    a[i - 2] == b[j - 1] && d[i - 2][j - 2] + 1 < d[i][j])
				d[i][j] = d[i - 2][j - 2] + 1;
		}
	return d[n][m];
}

const char *option_nearest(enum option_scope scope, const char *name)
{
	char plain[NAME_MAX_LENGTH + 1];
	size_t n = strlen(name);
	unsigned best = n < 5 ? 2 : 3; /* what is further off is another word */
	const char *found = NULL;

	if (n > NAME_MAX_LENGTH)
		return NULL;
	for (size_t i = 0; i <= n; i++)
		plain[i] = name[i] == '_' ? '-' : (char)tolower((unsigned char)name[i]);
	/* this scope's names first: the others have to be nearer */
	for (int pass = 0; pass < 2; pass++)
		for (int i = 0; i < OPTION_COUNT; i++) {
			unsigned d;

			if ((option_table[i].scope == scope) != (pass == 0))
				continue;
			d = edit_distance(plain, option_table[i].name);
			if (d < best) {
				best = d;
				found = option_table[i].name;
			}
		}
	return found;
}

static void *at(void *holder, size_t offset)
{
	return (char *)holder + offset;
}

int64_t *option_number(const struct option *o, void *holder)
{
	assert(o->type <= TYPE_SIZE);
	return at(holder, o->offset);
}

char **option_string(const struct option *o, void *holder)
{
	assert(o->type == TYPE_STRING || o->type == TYPE_PATH);
	return at(holder, o->offset);
}

char ***option_list(const struct option *o, void *holder, size_t **n)
{
	assert(option_is_list(o));
	*n = at(holder, o->n_offset);
	return at(holder, o->offset);
}

bool *option_bool(const struct option *o, void *holder)
{
	assert(o->type == TYPE_BOOL);
	return at(holder, o->offset);
}

int *option_enum(const struct option *o, void *holder)
{
	assert(o->type == TYPE_ENUM);
	return at(holder, o->offset);
}
