/* A number and its unit; words of an enum; lists.  The range is the option's row. */
#include "conf/values.h"

#include <assert.h>
#include <inttypes.h>
#include <stdlib.h>

struct unit {
	const char *name;
	int64_t factor;
};

/* The largest first. */
static const struct unit durations[] = {
    {"d", 86400000}, {"h", 3600000}, {"m", 60000}, {"s", 1000}, {"ms", 1}, {NULL, 0}};
static const struct unit sizes[] = {{"G", INT64_C(1) << 30}, {"M", INT64_C(1) << 20},
    {"K", INT64_C(1) << 10}, {"", 1}, {NULL, 0}};
static const struct unit plain[] = {{"", 1}, {NULL, 0}};

static const struct unit *units_of(enum option_type type)
{
	return type == TYPE_DURATION ? durations : type == TYPE_SIZE ? sizes : plain;
}

const char *value_text(enum option_type type, int64_t value, char out[VALUE_TEXT_MAX])
{
	const struct unit *u = units_of(type);

	if (value == 0)
		return type == TYPE_DURATION ? "0s" : "0";
	while (value % u->factor != 0)
		u++;
	snprintf(out, VALUE_TEXT_MAX, "%" PRId64 "%s", value / u->factor, u->name);
	return out;
}

/* "${" would be a variable. */
void value_quote(FILE *out, const char *text, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		if (strchr("\"\\", text[i]) != NULL ||
		    (text[i] == '$' && text[i + 1] == '{'))
			fputc('\\', out);
		fputc(text[i], out);
	}
}

static const char *form_of(enum option_type type)
{
	switch (type) {
	case TYPE_DURATION:
		return "a number and one of ms, s, m, h, d, like 90s";
	case TYPE_SIZE:
		return "a number of bytes, or one with K, M or G, like 64M";
	default:
		return "a whole number";
	}
}

/* Read digits and a unit. */
static bool parse(
    enum option_type type, const char *text, int64_t *out, char *why, size_t n)
{
	const struct unit *u = units_of(type);
	int64_t number = 0;
	const char *c = text;

	for (; *c >= '0' && *c <= '9'; c++)
		if (__builtin_mul_overflow(number, 10, &number) ||
		    __builtin_add_overflow(number, *c - '0', &number))
			goto large;
	if (c == text || c - text > 19)
		goto form;
	if (type == TYPE_DURATION && *c == '\0') {
		snprintf(why, n,
		    "\"%s\" has no unit; write %ss for seconds, or ms, m, h, d", text,
		    text);
		return false;
	}
	while (u->name != NULL && strcmp(u->name, c) != 0)
		u++;
	if (u->name == NULL)
		goto form;
	if (__builtin_mul_overflow(number, u->factor, out))
		goto large;
	return true;
form:
	snprintf(why, n, "\"%s\" is not understood; write %s", text, form_of(type));
	return false;
large:
	snprintf(why, n, "\"%s\" is too large; write %s", text, form_of(type));
	return false;
}

bool value_duration(const char *text, int64_t *ms, char *why, size_t why_n)
{
	return parse(TYPE_DURATION, text, ms, why, why_n);
}

bool value_number(
    const struct option *o, const char *text, int64_t *out, char *why, size_t why_n)
{
	char least[VALUE_TEXT_MAX], most[VALUE_TEXT_MAX];
	int64_t value;

	if (!parse(o->type, text, &value, why, why_n))
		return false;
	if (value < o->min || value > o->max) {
		snprintf(why, why_n, "%s is out of range; write %s to %s", text,
		    value_text(o->type, o->min, least),
		    value_text(o->type, o->max, most));
		return false;
	}
	*out = value;
	return true;
}

/* Words. */

/* Words of later work: known, so that nobody looks for a slip of the pen. */
static const struct {
	const char *option, *word, *reason;
} later_words[] = {
    {"source", "crl", "answers from CRLs come in a later version"},
    {"source", "ocsp-then-crl", "answers from CRLs come in a later version"},
    {"nonce", "echo", "answers that we sign come in a later version"},
};

/* Index of a word in "one|two", or -1; a word may be empty. */
static int word_index(const char *words, const char *word)
{
	size_t n = strlen(word);

	for (int i = 0;; i++) {
		size_t m = strcspn(words, "|");

		if (m == n && memcmp(words, word, n) == 0)
			return i;
		if (words[m] == '\0')
			break;
		words += m + 1;
	}
	return -1;
}

static void quote_words(const char *words, char *out, size_t n)
{
	size_t used = 0;

	while (used < n) {
		size_t m = strcspn(words, "|");

		used += (size_t)snprintf(out + used, n - used, "%s\"%.*s\"",
		    used ? " or " : "", (int)m, words);
		if (words[m] == '\0')
			return;
		words += m + 1;
	}
}

static bool parse_enum(
    const struct option *o, const char *text, int *out, char *why, size_t why_n)
{
	char words[128];

	*out = word_index(o->words, text);
	if (*out >= 0)
		return true;
	*out = 0;
	quote_words(o->words, words, sizeof words);
	for (size_t i = 0; i < sizeof later_words / sizeof *later_words; i++)
		if (strcmp(later_words[i].option, o->name) == 0 &&
		    strcmp(later_words[i].word, text) == 0) {
			snprintf(why, why_n, "\"%s\": %s; write %s", text,
			    later_words[i].reason, words);
			return false;
		}
	snprintf(why, why_n, "\"%s\" is not one of its words; write %s", text, words);
	return false;
}

static bool parse_bool(const char *text, bool *out, char *why, size_t why_n)
{
	*out = strcmp(text, "true") == 0;
	if (*out || strcmp(text, "false") == 0)
		return true;
	snprintf(why, why_n, "\"%s\" is neither; write true or false", text);
	return false;
}

/* Fields. */

struct target {
	void *holder;
	const struct option *o;
	struct setting *set; /* NULL for the default */
	struct report *report;
};

static void refuse(const struct target *t, size_t i, const char *why)
{
	assert(t->set); /* a default is right: a test loads each */
	report_error(
	    t->report, t->set->file, t->set->value_line[i], t->o->name, "%s", why);
	t->set->refused = true;
}

static bool has_control(const char *text)
{
	for (; *text != '\0'; text++)
		if ((unsigned char)*text < ' ' || *text == 0x7f)
			return true;
	return false;
}

static void set_scalar(const struct target *t, const char *text)
{
	char why[256] = "";
	bool ok = true;

	switch (t->o->type) {
	case TYPE_INT:
	case TYPE_DURATION:
	case TYPE_SIZE:
		ok = value_number(
		    t->o, text, option_number(t->o, t->holder), why, sizeof why);
		break;
	case TYPE_BOOL:
		ok = parse_bool(text, option_bool(t->o, t->holder), why, sizeof why);
		break;
	default:
		ok =
		    parse_enum(t->o, text, option_enum(t->o, t->holder), why, sizeof why);
		break;
	}
	if (!ok)
		refuse(t, 0, why);
}

static char *copy_of(const struct target *t, const char *text)
{
	bool path = t->o->type == TYPE_PATH || t->o->type == TYPE_PATHS;

	return path && t->set != NULL && *text != '\0' ? path_beside(t->set->file, text)
						       : strdup(text);
}

static bool set_string(const struct target *t, const char *text)
{
	char **field = option_string(t->o, t->holder);

	free(*field);
	*field = copy_of(t, text);
	return *field != NULL;
}

static bool add_item(const struct target *t, const char *text)
{
	size_t *n;
	char ***field = option_list(t->o, t->holder, &n);
	char **grown = realloc(*field, (*n + 1) * sizeof *grown);

	if (grown == NULL)
		return false;
	*field = grown;
	grown[*n] = copy_of(t, text);
	if (grown[*n] == NULL)
		return false;
	(*n)++;
	return true;
}

/* Words between spaces. */
static bool set_default_list(const struct target *t, const char *words)
{
	bool ok = true;

	while (ok && *words != '\0') {
		size_t n = strcspn(words, " ");
		char *word = strndup(words, n);

		ok = word != NULL && add_item(t, word);
		free(word);
		words += n + (words[n] == ' ');
	}
	return ok;
}

static bool set_default(const struct target *t)
{
	if (option_is_list(t->o))
		return set_default_list(t, t->o->dflt != NULL ? t->o->dflt : "");
	if (t->o->type == TYPE_STRING || t->o->type == TYPE_PATH)
		return set_string(t, t->o->dflt != NULL ? t->o->dflt : "");
	set_scalar(t, t->o->dflt);
	return true;
}

static bool set_list(const struct target *t)
{
	bool ok = true;

	for (size_t i = 0; ok && i < t->set->n; i++) {
		const char *text = t->set->value[i];

		/* crl-scope goes with crl by place: "" is the list's URL there */
		if (*text != '\0' || t->o == &option_table[OPTION_crl_scope])
			ok = add_item(t, text);
		else if (t->set->n > 1)
			refuse(t, i, "one of its values is empty; take it out");
	}
	return ok;
}

static bool set_field(const struct target *t)
{
	struct target dflt = {t->holder, t->o, NULL, t->report};

	for (size_t i = 0; !t->set->refused && i < t->set->n; i++)
		if (has_control(t->set->value[i]))
			refuse(t, i, "holds a control character; take it out");
	if (t->set->line > 0 && !t->set->refused && option_is_list(t->o))
		return set_list(t);
	if (!set_default(&dflt))
		return false;
	if (t->set->line == 0 || t->set->refused)
		return true;
	if (t->o->type == TYPE_STRING || t->o->type == TYPE_PATH)
		return set_string(t, t->set->value[0]);
	set_scalar(t, t->set->value[0]);
	return true;
}

bool values_apply(
    void *holder, enum option_scope scope, struct group *g, struct report *r)
{
	for (int i = 0; i < OPTION_COUNT; i++) {
		struct target t = {holder, &option_table[i], &g->setting[i], r};

		if (t.o->scope == scope && !set_field(&t))
			return false;
	}
	return true;
}

void values_free(void *holder, enum option_scope scope)
{
	for (int i = 0; i < OPTION_COUNT; i++) {
		const struct option *o = &option_table[i];

		if (o->scope != scope)
			continue;
		if (o->type == TYPE_STRING || o->type == TYPE_PATH) {
			free(*option_string(o, holder));
		} else if (option_is_list(o)) {
			size_t *n;
			char ***list = option_list(o, holder, &n);

			for (size_t k = 0; k < *n; k++)
				free((*list)[k]);
			free(*list);
		}
	}
}
