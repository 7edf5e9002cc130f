#include "conf/conf_scan.h"

#include <ctype.h>
#include <stdarg.h>
#include <stdlib.h>

enum token_kind {
	TOKEN_END,
	TOKEN_WORD,
	TOKEN_STRING,
	TOKEN_EQUAL,
	TOKEN_APPEND, /* += */
	TOKEN_COMMA,
	TOKEN_OPEN,
	TOKEN_CLOSE,
	TOKEN_PAREN,
	TOKEN_PAREN_CLOSE
};

struct token {
	enum token_kind kind;
	size_t from, to;
	int line;
	bool bad; /* reported already: what holds it is refused */
};

struct scanner {
	struct scan *out;
	struct report *report;
	const char *file;
	char *text;
	size_t at, n;
	int line;
	char subject[48]; /* the statement's name, for messages */
	struct token token;
	size_t end; /* of the token before this one */
	int sections;
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

	if (st && st->refused)
		return;
	va_start(ap, format);
	vsnprintf(text, sizeof text, format, ap);
	va_end(ap);
	report_error(
	    s->report, s->file, line, *s->subject ? s->subject : NULL, "%s", text);
	if (st)
		st->refused = true;
}

static void blank(char *text, size_t from, size_t to)
{
	for (size_t i = from; i < to; i++)
		if (text[i] != '\n')
			text[i] = ' ';
}

void scan_blank(char *text, const struct statement *st)
{
	blank(text, st->from, st->to);
}

/* ---- from bytes to tokens ---- */

static bool is_at(const struct scanner *s, size_t at, const char *what)
{
	size_t n = strlen(what);

	return s->n - at >= n && !memcmp(s->text + at, what, n);
}

static size_t line_end(const struct scanner *s, size_t at)
{
	const char *nl = memchr(s->text + at, '\n', s->n - at);

	return nl ? (size_t)(nl - s->text) : s->n;
}

static void skip_block_comment(struct scanner *s)
{
	size_t from = s->at;
	int line = s->line;

	for (s->at += 2; s->at < s->n && !is_at(s, s->at, "*/"); s->at++)
		s->line += s->text[s->at] == '\n';
	if (s->at >= s->n) {
		report_error(s->report, s->file, line, NULL,
		    "the comment that opens here is never closed; add */ where it ends");
		s->out->whole = false;
	} else {
		s->at += 2;
	}
	blank(s->text, from, s->at);
}

static void skip_space_and_comments(struct scanner *s)
{
	while (s->at < s->n) {
		char c = s->text[s->at];

		if (c == '\n') {
			s->line++;
			s->at++;
		} else if (c == ' ' || c == '\t' || c == '\r') {
			s->at++;
		} else if (c == '#' || is_at(s, s->at, "//")) {
			size_t end = line_end(s, s->at);

			blank(s->text, s->at, end);
			s->at = end;
		} else if (is_at(s, s->at, "/*")) {
			skip_block_comment(s);
		} else if (c == ';') {
			report_error(s->report, s->file, s->line, NULL,
			    "nothing ends with ';' here; take it out");
			blank(s->text, s->at, s->at + 1);
			s->at++;
		} else {
			return;
		}
	}
}

/* The '}' that closes a ${VARIABLE} or ${VARIABLE:-default} at `at`, or 0. */
static size_t variable_end(const struct scanner *s, size_t at, size_t limit)
{
	size_t i = at + 2;

	while (i < limit && (isalnum((unsigned char)s->text[i]) || s->text[i] == '_'))
		i++;
	if (i == at + 2 || i >= limit)
		return 0;
	if (s->text[i] == '}')
		return i;
	if (!is_at(s, i, ":-"))
		return 0;
	while (i < limit && s->text[i] != '}' && s->text[i] != '"' && s->text[i] != '\\')
		i++;
	return i < limit && s->text[i] == '}' ? i : 0;
}

/* libconfuse would put nothing for a variable that is not set. */
static size_t check_variable(struct scanner *s, size_t limit)
{
	size_t end = variable_end(s, s->at, limit);
	char name[64];
	size_t n;

	if (end == 0) {
		report_error(s->report, s->file, s->line, *s->subject ? s->subject : NULL,
		    "\"${\" starts an environment variable and this is none; write \\${ "
		    "for these two characters");
		s->token.bad = true;
		return s->at + 2;
	}
	n = end - s->at - 2;
	if (n < sizeof name) {
		memcpy(name, s->text + s->at + 2, n);
		name[n] = '\0';
		if (!strchr(name, ':') && !getenv(name)) {
			report_error(s->report, s->file, s->line,
			    *s->subject ? s->subject : NULL,
			    "environment variable %s is not set; set it, or write "
			    "${%s:-DEFAULT}",
			    name, name);
			s->token.bad = true;
		}
	}
	return end + 1;
}

static void check_escape(struct scanner *s, char quote)
{
	char c = s->text[s->at + 1];

	if (quote == '\'' || c == '\\' || c == '"' || c == '$' || c == '\'')
		return;
	report_error(s->report, s->file, s->line, *s->subject ? s->subject : NULL,
	    "\\%c is no escape; write \\\\ for a backslash", c);
	s->token.bad = true;
}

static void take_string(struct scanner *s)
{
	char quote = s->text[s->at];
	size_t limit = line_end(s, s->at);

	s->token.kind = TOKEN_STRING;
	s->at++;
	while (s->at < limit && s->text[s->at] != quote) {
		if (s->text[s->at] == '\\' && s->at + 1 < limit) {
			check_escape(s, quote);
			s->at += 2;
		} else if (quote == '"' && is_at(s, s->at, "${")) {
			s->at = check_variable(s, limit);
		} else {
			s->at++;
		}
	}
	if (s->at < limit) {
		s->at++;
		return;
	}
	report_error(s->report, s->file, s->line, *s->subject ? s->subject : NULL,
	    "the quote that opens here is not closed on its line; add the missing %c",
	    quote);
	s->at = limit;
	s->token.bad = true;
}

static bool is_word_character(char c)
{
	return isalnum((unsigned char)c) || (c && strchr("._:/@%-", c));
}

static void take_word(struct scanner *s)
{
	size_t from = s->at;
	bool plain = true;

	while (s->at < s->n && !strchr(" \t\r\n={}(),\"'#;", s->text[s->at])) {
		if (s->text[s->at] == '+' && is_at(s, s->at, "+="))
			break;
		plain = plain && is_word_character(s->text[s->at]) &&
			!is_at(s, s->at, "//") && !is_at(s, s->at, "/*");
		s->at++;
	}
	s->token.kind = TOKEN_WORD;
	if (plain)
		return;
	report_error(s->report, s->file, s->line, *s->subject ? s->subject : NULL,
	    "%.*s cannot stand without quotes; write \"%.*s\"", (int)(s->at - from),
	    s->text + from, (int)(s->at - from), s->text + from);
	s->token.bad = true;
}

static void take_mark(struct scanner *s)
{
	static const char mark[] = "={}(),";
	static const enum token_kind kind[] = {TOKEN_EQUAL, TOKEN_OPEN, TOKEN_CLOSE,
	    TOKEN_PAREN, TOKEN_PAREN_CLOSE, TOKEN_COMMA};

	s->token.kind = kind[strchr(mark, s->text[s->at]) - mark];
	s->at++;
}

static void advance(struct scanner *s)
{
	s->end = s->token.to;
	skip_space_and_comments(s);
	s->token = (struct token){.from = s->at, .line = s->line};
	if (s->at >= s->n) {
		s->token.kind = TOKEN_END;
	} else if (s->text[s->at] == '"' || s->text[s->at] == '\'') {
		take_string(s);
	} else if (strchr("={}(),", s->text[s->at])) {
		take_mark(s);
	} else if (is_at(s, s->at, "+=")) {
		s->token.kind = TOKEN_APPEND;
		s->at += 2;
	} else {
		take_word(s);
	}
	s->token.to = s->at;
}

static bool is_text(const struct scanner *s)
{
	return s->token.kind == TOKEN_WORD || s->token.kind == TOKEN_STRING;
}

/* What comes after the token, on the same or a later line. */
static bool is_followed_by(const struct scanner *s, char c)
{
	size_t at = s->at;

	while (at < s->n && isspace((unsigned char)s->text[at]))
		at++;
	return at < s->n && s->text[at] == c;
}

static bool is_word(const struct scanner *s, const char *word)
{
	return s->token.kind == TOKEN_WORD &&
	       s->token.to - s->token.from == strlen(word) &&
	       is_at(s, s->token.from, word);
}

/* The token is a value, and not the name that starts the next statement. */
static bool is_value(const struct scanner *s)
{
	return is_text(s) && !is_followed_by(s, '=') && !is_word(s, "issuer") &&
	       !is_word(s, "include");
}

/* ---- from tokens to statements ---- */

static void parse_statements(struct scanner *s, int section);

static void push(struct scanner *s, const struct statement *st)
{
	struct statement *grown =
	    realloc(s->out->statement, (s->out->n + 1) * sizeof *grown);

	if (!grown) {
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

	st->refused = st->refused || s->token.bad;
	if (!grown) {
		s->nomem = true;
		st->refused = true;
		return;
	}
	st->value_line = grown;
	grown[st->value_n++] = s->token.line;
}

/* After nonsense, the next line is where sense is likeliest; braces always count. */
static void skip_line(struct scanner *s, int line)
{
	while (s->token.kind != TOKEN_END && s->token.line == line &&
	       s->token.kind != TOKEN_CLOSE)
		advance(s);
}

static void refuse_stray(struct scanner *s)
{
	size_t from = s->token.from;
	int line = s->token.line;

	s->subject[0] = '\0';
	if (s->token.kind == TOKEN_CLOSE) {
		complain(s, NULL, s->token.line,
		    "this '}' closes nothing; take it out, or add the '{' that it "
		    "belongs to");
		advance(s);
	} else {
		complain(s, NULL, s->token.line,
		    "\"%.*s\" where an option should start; write NAME = VALUE",
		    (int)(s->token.to - from), s->text + from);
		advance(s);
		skip_line(s, line);
	}
	blank(s->text, from, s->end);
}

/* Skips what stands between braces, from the '{' on. */
static void skip_braces(struct scanner *s, struct statement *st)
{
	int line = s->token.line, depth = 0;

	do {
		if (s->token.kind == TOKEN_END) {
			st->refused = false;
			complain(
			    s, st, line, "this '{' is never closed; add the missing '}'");
			s->out->whole = false;
			return;
		}
		depth += (s->token.kind == TOKEN_OPEN) - (s->token.kind == TOKEN_CLOSE);
		advance(s);
	} while (depth > 0);
}

static void parse_list(struct scanner *s, struct statement *st)
{
	int line = s->token.line;

	advance(s);
	while (s->token.kind != TOKEN_CLOSE) {
		if (!is_value(s)) {
			st->refused = false;
			complain(s, st, line,
			    "the list that opens with '{' here is not closed; write { "
			    "\"ONE\", \"TWO\" }");
			return;
		}
		add_value(s, st);
		advance(s);
		if (s->token.kind == TOKEN_COMMA)
			advance(s);
		else if (is_value(s))
			complain(s, st, s->token.line,
			    "two values of the list have no ',' between them; add it");
	}
	advance(s);
}

static void parse_value(struct scanner *s, struct statement *st)
{
	bool list = option_is_list(&option_table[st->id % OPTION_COUNT]);

	if (s->token.kind == TOKEN_OPEN) {
		if (st->id < OPTION_COUNT && !list)
			complain(s, st, s->token.line,
			    "takes one value and not a list; write %s = VALUE",
			    s->subject);
		parse_list(s, st);
	} else if (is_value(s)) {
		add_value(s, st);
		advance(s);
	} else {
		complain(s, st, st->line, "has no value; write %s = VALUE", s->subject);
	}
}

/* True when a value follows. */
static bool parse_equal(struct scanner *s, struct statement *st)
{
	if (s->token.kind == TOKEN_EQUAL) {
		advance(s);
		return true;
	}
	if (s->token.kind == TOKEN_APPEND) {
		complain(s, st, s->token.line,
		    "nothing is appended with '+='; write '=' and the whole list");
		advance(s);
		return true;
	}
	complain(s, st, st->line, "'=' is missing; write %s = VALUE", s->subject);
	return (is_text(s) && s->token.line == st->line) || s->token.kind == TOKEN_OPEN;
}

static void refuse_unknown(struct scanner *s, struct statement *st)
{
	enum option_scope scope = st->section < 0 ? SCOPE_GLOBAL : SCOPE_ISSUER;
	enum option_scope other = st->section < 0 ? SCOPE_ISSUER : SCOPE_GLOBAL;
	const char *reason = later_reason(s->subject);
	const char *nearest = option_nearest(scope, s->subject);

	if (reason)
		complain(s, st, st->line, "%s; take it out", reason);
	else if (option_find(other, s->subject) < OPTION_COUNT)
		complain(s, st, st->line, "%s",
		    scope == SCOPE_GLOBAL
			? "belongs to an issuer; move it between the braces of issuer "
			  "\"NAME\" { }"
			: "belongs to no issuer; move it out of the braces, or close "
			  "those "
			  "that were forgotten before it");
	else if (nearest)
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
	return s->token.kind == TOKEN_OPEN ||
	       (is_text(s) && is_followed_by(s, '{') && !is_followed_by(s, '='));
}

static void parse_option(struct scanner *s, struct statement *st, bool bad_name)
{
	st->id = option_find(st->section < 0 ? SCOPE_GLOBAL : SCOPE_ISSUER, s->subject);
	st->refused = bad_name;
	if (st->id == OPTION_COUNT && is_unknown_section(s)) {
		complain(s, st, st->line,
		    "unknown section; the only one is issuer \"NAME\" { }");
		if (is_text(s))
			advance(s);
		skip_braces(s, st);
	} else {
		if (st->id == OPTION_COUNT)
			refuse_unknown(s, st);
		if (parse_equal(s, st))
			parse_value(s, st);
	}
	st->to = s->end;
	if (st->refused)
		blank(s->text, st->from, st->to);
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
	size_t quotes = s->token.kind == TOKEN_STRING;
	size_t from = s->token.from + quotes,
	       n = s->token.to - s->token.from - 2 * quotes;
	char *copy;

	if (s->token.bad || memchr(s->text + from, '\\', n) ||
	    memchr(s->text + from, '$', n))
		return NULL;
	copy = strndup(s->text + from, n);
	s->nomem = s->nomem || !copy;
	return copy;
}

static void parse_include(struct scanner *s, struct statement *st)
{
	st->kind = STATEMENT_INCLUDE;
	if (st->section >= 0)
		complain(s, st, st->line,
		    "is taken only outside of an issuer; move it out of the braces");
	if (s->token.kind == TOKEN_PAREN) {
		advance(s);
		if (is_text(s)) {
			st->text = plain_text(s);
			advance(s);
		}
		if (s->token.kind != TOKEN_PAREN_CLOSE)
			complain(
			    s, st, st->line, "')' is missing; write include(\"FILE\")");
		else
			advance(s);
	}
	if (!st->text || !*st->text)
		complain(s, st, st->line,
		    "names no file; write include(\"FILE\") without \\ and $");
	if (st->refused)
		skip_line(s, st->line);
	st->to = s->end;
	blank(s->text, st->from, st->to);
	push(s, st);
}

/* Put the '}' that was forgotten where only space stands, so that libconfuse can still
 * read the values and their mistakes are said in the same load. */
static bool mend_brace(struct scanner *s)
{
	size_t at = s->token.from;

	if (at <= s->end || !isspace((unsigned char)s->text[at - 1]))
		return false;
	s->text[at - 1] = '}';
	return true;
}

static void close_issuer(struct scanner *s, const struct statement *st)
{
	if (s->token.kind == TOKEN_CLOSE) {
		advance(s);
		return;
	}
	snprintf(s->subject, sizeof s->subject, "issuer");
	if (s->token.kind == TOKEN_END)
		complain(s, NULL, st->line,
		    "the '{' of this issuer is never closed; add the missing '}'");
	else
		complain(s, NULL, st->line,
		    "the '{' of this issuer is not closed before the next one in line "
		    "%d; "
		    "add the missing '}'",
		    s->token.line);
	if (!mend_brace(s))
		s->out->whole = false;
}

static void parse_issuer(struct scanner *s, struct statement *st)
{
	struct statement own = *st;

	st->kind = STATEMENT_ISSUER;
	if (is_text(s)) {
		bool unclosed = s->token.bad;
		size_t name = s->token.from;

		st->text = plain_text(s);
		st->refused = s->token.bad;
		if (!st->text)
			complain(s, st, st->line,
			    "a name has neither \\ nor $; write letters a-z, digits, "
			    "'.', '_' "
			    "and '-'");
		blank(s->text, s->token.from, s->token.to);
		advance(s);
		/* a lost quote swallows the brace after the name: put it back */
		if (unclosed && s->token.kind != TOKEN_OPEN)
			s->text[name] = '{';
		else if (s->token.kind != TOKEN_OPEN)
			goto refuse;
	} else {
		complain(s, st, st->line, "has no name; write issuer \"NAME\" { }");
		if (s->token.kind != TOKEN_OPEN)
			goto refuse;
	}
	if (s->token.kind == TOKEN_OPEN)
		advance(s);
	st->section = s->sections++;
	st->to = s->end;
	own = *st;
	push(s, st);
	parse_statements(s, own.section);
	close_issuer(s, &own);
	return;
refuse:
	complain(s, st, st->line, "'{' is missing; write issuer \"NAME\" { }");
	s->out->whole = false;
	skip_line(s, st->line);
	blank(s->text, st->from, s->end);
	free(st->text);
}

static void parse_statement(struct scanner *s, int section)
{
	struct statement st = {.kind = STATEMENT_OPTION,
	    .id = OPTION_COUNT,
	    .from = s->token.from,
	    .line = s->token.line,
	    .section = section};
	size_t quote = s->token.kind == TOKEN_STRING;
	bool bad = s->token.bad;

	snprintf(s->subject, sizeof s->subject, "%.*s",
	    (int)(s->token.to - s->token.from - quote), s->text + s->token.from + quote);
	if (quote && !bad) {
		s->subject[strcspn(s->subject, "\"'")] = '\0';
		complain(s, &st, st.line, "a name stands without quotes; take them off");
		bad = true;
	}
	advance(s);
	if (!strcmp(s->subject, "issuer") && s->token.kind != TOKEN_EQUAL)
		parse_issuer(s, &st);
	else if (!strcmp(s->subject, "include") && s->token.kind != TOKEN_EQUAL)
		parse_include(s, &st);
	else
		parse_option(s, &st, bad);
	s->subject[0] = '\0';
}

/* Until the end of the text, or the end of the issuer: a '}', or another issuer. */
static void parse_statements(struct scanner *s, int section)
{
	while (s->token.kind != TOKEN_END && !s->nomem) {
		bool in_issuer = section >= 0;

		if (in_issuer && s->token.kind == TOKEN_CLOSE)
			return;
		if (in_issuer && is_word(s, "issuer"))
			return;
		if (is_text(s))
			parse_statement(s, section);
		else
			refuse_stray(s);
	}
}

bool scan_text(
    struct scan *out, char *text, size_t n, const char *file, struct report *report)
{
	struct scanner s = {
	    .out = out, .report = report, .file = file, .text = text, .n = n, .line = 1};

	*out = (struct scan){.whole = true};
	advance(&s);
	parse_statements(&s, -1);
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
