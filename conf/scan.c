/* Statement by statement over the lexer's tokens (token.h).  After a mistake it goes on
 * at the next statement, where each may be found by itself. */
#include "conf/scan.h"

#include <ctype.h>
#include <stdarg.h>
#include <stdlib.h>

#include "conf/token.h"

struct scanner {
	struct lexer l;
	struct scan *out;
	int sections[SCOPE_COUNT]; /* so far */
	bool nomem;
};

/* Reports the first mistake of a statement only: the others would follow from it. */
static void complain(struct scanner *s, struct statement *st, int line,
    const char *format, ...) __attribute__((format(printf, 4, 5)));
static void complain(
    struct scanner *s, struct statement *st, int line, const char *format, ...)
{
	char text[512];
	va_list ap;

	if (st != NULL && st->refused)
		return;
	va_start(ap, format);
	vsnprintf(text, sizeof text, format, ap);
	va_end(ap);
	report_error(s->l.report, s->l.file, line,
	    *s->l.subject != '\0' ? s->l.subject : NULL, "%s", text);
	if (st != NULL)
		st->refused = true;
}

void scan_blank(char *text, const struct statement *st)
{
	text_blank(text, st->from, st->to);
}

/* The kind of section that a word opens; SCOPE_GLOBAL: none. */
static enum option_scope section_called(const char *word)
{
	for (int i = SCOPE_GLOBAL + 1; i < SCOPE_COUNT; i++)
		if (strcmp(scope_word(i), word) == 0)
			return (enum option_scope)i;
	return SCOPE_GLOBAL;
}

static bool opens_section(const struct scanner *s)
{
	for (int i = SCOPE_GLOBAL + 1; i < SCOPE_COUNT; i++)
		if (token_is_word(&s->l, scope_word(i)))
			return true;
	return false;
}

/* The token is a value, and not the name that starts the next statement. */
static bool is_value(const struct scanner *s)
{
	return token_is_text(&s->l) && !token_is_before(&s->l, '=') &&
	       !opens_section(s) && !token_is_word(&s->l, "include");
}

static void parse_statements(struct scanner *s, enum option_scope scope, int section);

static void push(struct scanner *s, const struct statement *st)
{
	struct statement *grown =
	    realloc(s->out->statement, (s->out->n + 1) * sizeof *grown);

	if (grown == NULL) {
		s->nomem = true;
		free(st->text);
		free(st->value_line);
		return;
	}
	s->out->statement = grown;
	grown[s->out->n++] = *st;
}

static void add_value(struct scanner *s, struct statement *st)
{
	int *grown = realloc(st->value_line, (st->value_n + 1) * sizeof *grown);

	st->refused = st->refused || s->l.token.bad;
	if (grown == NULL) {
		s->nomem = true;
		st->refused = true;
		return;
	}
	st->value_line = grown;
	grown[st->value_n++] = s->l.token.line;
}

/* After nonsense, the next line is where sense is likeliest; braces always count. */
static void skip_line(struct scanner *s, int line)
{
	while (s->l.token.kind != TOKEN_END && s->l.token.line == line &&
	       s->l.token.kind != TOKEN_CLOSE)
		token_next(&s->l);
}

static void refuse_stray(struct scanner *s)
{
	size_t from = s->l.token.from;
	int line = s->l.token.line;

	s->l.subject[0] = '\0';
	if (s->l.token.kind == TOKEN_CLOSE) {
		complain(s, NULL, s->l.token.line,
		    "this '}' closes nothing; take it out, or add the '{' that it "
		    "belongs to");
		token_next(&s->l);
	} else {
		complain(s, NULL, s->l.token.line,
		    "\"%.*s\" where an option should start; write NAME = VALUE",
		    (int)(s->l.token.to - from), s->l.text + from);
		token_next(&s->l);
		skip_line(s, line);
	}
	text_blank(s->l.text, from, s->l.end);
}

/* Skips what stands between braces, from the '{' on. */
static void skip_braces(struct scanner *s, struct statement *st)
{
	int line = s->l.token.line, depth = 0;

	do {
		if (s->l.token.kind == TOKEN_END) {
			st->refused = false;
			complain(
			    s, st, line, "this '{' is never closed; add the missing '}'");
			s->out->whole = false;
			return;
		}
		depth +=
		    (s->l.token.kind == TOKEN_OPEN) - (s->l.token.kind == TOKEN_CLOSE);
		token_next(&s->l);
	} while (depth > 0);
}

static void parse_list(struct scanner *s, struct statement *st)
{
	int line = s->l.token.line;

	token_next(&s->l);
	while (s->l.token.kind != TOKEN_CLOSE) {
		if (!is_value(s)) {
			st->refused = false;
			complain(s, st, line,
			    "the list that opens with '{' here is not closed; write { "
			    "\"ONE\", \"TWO\" }");
			return;
		}
		add_value(s, st);
		token_next(&s->l);
		if (s->l.token.kind == TOKEN_COMMA)
			token_next(&s->l);
		else if (is_value(s))
			complain(s, st, s->l.token.line,
			    "two values of the list have no ',' between them; add it");
	}
	token_next(&s->l);
}

static void parse_value(struct scanner *s, struct statement *st)
{
	bool list = option_is_list(&option_table[st->id % OPTION_COUNT]);

	if (s->l.token.kind == TOKEN_OPEN) {
		if (st->id < OPTION_COUNT && !list)
			complain(s, st, s->l.token.line,
			    "takes one value and not a list; write %s = VALUE",
			    s->l.subject);
		parse_list(s, st);
	} else if (is_value(s)) {
		add_value(s, st);
		token_next(&s->l);
	} else {
		complain(s, st, st->line, "has no value; write %s = VALUE", s->l.subject);
	}
}

/* True when a value follows. */
static bool parse_equal(struct scanner *s, struct statement *st)
{
	if (s->l.token.kind == TOKEN_EQUAL) {
		token_next(&s->l);
		return true;
	}
	if (s->l.token.kind == TOKEN_APPEND) {
		complain(s, st, s->l.token.line,
		    "nothing is appended with '+='; write '=' and the whole list");
		token_next(&s->l);
		return true;
	}
	complain(s, st, st->line, "'=' is missing; write %s = VALUE", s->l.subject);
	return (token_is_text(&s->l) && s->l.token.line == st->line) ||
	       s->l.token.kind == TOKEN_OPEN;
}

/* The kind of place where an option of this name may stand; SCOPE_COUNT: nowhere. */
static enum option_scope home_of(const char *name)
{
	int i = SCOPE_GLOBAL;

	while (i < SCOPE_COUNT && option_find(i, name) == OPTION_COUNT)
		i++;
	return (enum option_scope)i;
}

static void refuse_place(struct scanner *s, struct statement *st, enum option_scope home)
{
	if (home == SCOPE_GLOBAL)
		complain(s, st, st->line,
		    "belongs to no %s; move it out of the braces, or close those that "
		    "were forgotten before it",
		    scope_word(st->scope));
	else
		complain(s, st, st->line,
		    "belongs to %s %s; move it between the braces of %s \"NAME\" { }",
		    home == SCOPE_ISSUER ? "an" : "a", scope_word(home),
		    scope_word(home));
}

static void refuse_unknown(struct scanner *s, struct statement *st)
{
	enum option_scope home = home_of(s->l.subject);
	const char *reason = later_reason(s->l.subject);
	const char *nearest = option_nearest(st->scope, s->l.subject);

	if (reason != NULL)
		complain(s, st, st->line, "%s; take it out", reason);
	else if (home < SCOPE_COUNT)
		refuse_place(s, st, home);
	else if (nearest != NULL)
		complain(
		    s, st, st->line, "unknown option; did you mean \"%s\"?", nearest);
	else
		complain(s, st, st->line,
		    "unknown option; take it out, or look for its name in "
		    "ocspcached.conf(5)");
}

/* foo { ... } and foo "bar" { ... } */
static bool is_unknown_section(const struct scanner *s)
{
	return s->l.token.kind == TOKEN_OPEN ||
	       (token_is_text(&s->l) && token_is_before(&s->l, '{') &&
		   !token_is_before(&s->l, '='));
}

static void parse_option(struct scanner *s, struct statement *st, bool bad_name)
{
	st->id = option_find(st->scope, s->l.subject);
	st->refused = bad_name;
	if (st->id == OPTION_COUNT && is_unknown_section(s)) {
		complain(s, st, st->line,
		    "unknown section; there are issuer \"NAME\" { }, watchlist "
		    "\"NAME\" { } and token \"NAME\" { }");
		if (token_is_text(&s->l))
			token_next(&s->l);
		skip_braces(s, st);
	} else {
		if (st->id == OPTION_COUNT)
			refuse_unknown(s, st);
		if (parse_equal(s, st))
			parse_value(s, st);
	}
	st->to = s->l.end;
	if (st->refused)
		text_blank(s->l.text, st->from, st->to);
	if (st->id < OPTION_COUNT) {
		push(s, st);
	} else {
		free(st->value_line);
	}
}

/* The text of a token without its quotes; NULL when it has escapes, which neither names
 * nor patterns need. */
static char *plain_text(struct scanner *s)
{
	size_t quotes = s->l.token.kind == TOKEN_STRING;
	size_t from = s->l.token.from + quotes,
	       n = s->l.token.to - s->l.token.from - 2 * quotes;
	char *copy;

	if (s->l.token.bad || memchr(s->l.text + from, '\\', n) != NULL ||
	    memchr(s->l.text + from, '$', n) != NULL)
		return NULL;
	copy = strndup(s->l.text + from, n);
	s->nomem = s->nomem || copy == NULL;
	return copy;
}

static void parse_include(struct scanner *s, struct statement *st)
{
	st->kind = STATEMENT_INCLUDE;
	if (st->section >= 0)
		complain(s, st, st->line,
		    "is taken only outside of an issuer, a watchlist or a token; move it "
		    "out of the braces");
	if (s->l.token.kind == TOKEN_PAREN) {
		token_next(&s->l);
		if (token_is_text(&s->l)) {
			st->text = plain_text(s);
			token_next(&s->l);
		}
		if (s->l.token.kind != TOKEN_PAREN_CLOSE)
			complain(
			    s, st, st->line, "')' is missing; write include(\"FILE\")");
		else
			token_next(&s->l);
	}
	if (st->text == NULL || *st->text == '\0')
		complain(s, st, st->line,
		    "names no file; write include(\"FILE\") without \\ and $");
	if (st->refused)
		skip_line(s, st->line);
	st->to = s->l.end;
	text_blank(s->l.text, st->from, st->to);
	push(s, st);
}

/* Put the '}' that was forgotten where only space stands, so that libconfuse can still
 * read the values and their mistakes are said in the same load. */
static bool mend_brace(struct scanner *s)
{
	size_t at = s->l.token.from;

	if (at <= s->l.end || !isspace((unsigned char)s->l.text[at - 1]))
		return false;
	s->l.text[at - 1] = '}';
	return true;
}

static void close_section(struct scanner *s, const struct statement *st)
{
	if (s->l.token.kind == TOKEN_CLOSE) {
		token_next(&s->l);
		return;
	}
	snprintf(s->l.subject, sizeof s->l.subject, "%s", scope_word(st->scope));
	if (s->l.token.kind == TOKEN_END)
		complain(s, NULL, st->line,
		    "the '{' of this %s is never closed; add the missing '}'",
		    scope_word(st->scope));
	else
		complain(s, NULL, st->line,
		    "the '{' of this %s is not closed before the next one in line %d; "
		    "add the missing '}'",
		    scope_word(st->scope), s->l.token.line);
	if (!mend_brace(s))
		s->out->whole = false;
}

static void parse_section(struct scanner *s, struct statement *st)
{
	struct statement own = *st;

	st->kind = STATEMENT_SECTION;
	if (token_is_text(&s->l)) {
		bool unclosed = s->l.token.bad;
		size_t name = s->l.token.from;

		st->text = plain_text(s);
		st->refused = s->l.token.bad;
		if (st->text == NULL)
			complain(s, st, st->line,
			    "a name has neither \\ nor $; write letters a-z, digits, "
			    "'.', '_' and '-'");
		text_blank(s->l.text, s->l.token.from, s->l.token.to);
		token_next(&s->l);
		/* a lost quote swallows the brace after the name: put it back */
		if (unclosed && s->l.token.kind != TOKEN_OPEN)
			s->l.text[name] = '{';
		else if (s->l.token.kind != TOKEN_OPEN)
			goto refuse;
	} else {
		complain(s, st, st->line, "has no name; write %s \"NAME\" { }",
		    scope_word(st->scope));
		if (s->l.token.kind != TOKEN_OPEN)
			goto refuse;
	}
	if (s->l.token.kind == TOKEN_OPEN)
		token_next(&s->l);
	st->section = s->sections[st->scope]++;
	st->to = s->l.end;
	own = *st;
	push(s, st);
	parse_statements(s, own.scope, own.section);
	close_section(s, &own);
	return;
refuse:
	complain(s, st, st->line, "'{' is missing; write %s \"NAME\" { }",
	    scope_word(st->scope));
	s->out->whole = false;
	skip_line(s, st->line);
	text_blank(s->l.text, st->from, s->l.end);
	free(st->text);
}

static void parse_statement(struct scanner *s, enum option_scope scope, int section)
{
	struct statement st = {.kind = STATEMENT_OPTION,
	    .id = OPTION_COUNT,
	    .from = s->l.token.from,
	    .line = s->l.token.line,
	    .scope = scope,
	    .section = section};
	size_t quote = s->l.token.kind == TOKEN_STRING;
	bool bad = s->l.token.bad;
	enum option_scope opened;
	char *scheme;

	snprintf(s->l.subject, sizeof s->l.subject, "%.*s",
	    (int)(s->l.token.to - s->l.token.from - quote),
	    s->l.text + s->l.token.from + quote);
	scheme = strstr(s->l.subject, "://");
	if (scheme != NULL) /* a value in the wrong place, with a password perhaps */
		scheme[3] = '\0';
	if (quote && !bad) {
		s->l.subject[strcspn(s->l.subject, "\"'")] = '\0';
		complain(s, &st, st.line, "a name stands without quotes; take them off");
		bad = true;
	}
	token_next(&s->l);
	opened = section_called(s->l.subject);
	if (opened != SCOPE_GLOBAL && s->l.token.kind != TOKEN_EQUAL) {
		st.scope = opened;
		parse_section(s, &st);
	} else if (strcmp(s->l.subject, "include") == 0 && s->l.token.kind != TOKEN_EQUAL)
		parse_include(s, &st);
	else
		parse_option(s, &st, bad);
	s->l.subject[0] = '\0';
}

/* Until the end of the text, or the end of the section: a '}', or another section. */
static void parse_statements(struct scanner *s, enum option_scope scope, int section)
{
	while (s->l.token.kind != TOKEN_END && !s->nomem) {
		bool inside = section >= 0;

		if (inside && s->l.token.kind == TOKEN_CLOSE)
			return;
		if (inside && opens_section(s))
			return;
		if (token_is_text(&s->l))
			parse_statement(s, scope, section);
		else
			refuse_stray(s);
	}
}

bool scan_text(
    struct scan *out, char *text, size_t n, const char *file, struct report *report)
{
	struct scanner s = {
	    .l = {.report = report, .file = file, .text = text, .n = n, .line = 1},
	    .out = out};

	*out = (struct scan){.whole = true};
	/* editors of other systems begin UTF-8 with a mark that is no text */
	if (n >= 3 && memcmp(text, "\xef\xbb\xbf", 3) == 0)
		memset(text, ' ', 3);
	token_next(&s.l);
	parse_statements(&s, SCOPE_GLOBAL, -1);
	out->whole = out->whole && !s.l.unclosed;
	return !s.nomem;
}

void scan_free(struct scan *s)
{
	for (size_t i = 0; i < s->n; i++) {
		free(s->statement[i].text);
		free(s->statement[i].value_line);
	}
	free(s->statement);
	*s = (struct scan){0};
}
