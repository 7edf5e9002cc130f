/* A lexer of libconfuse's language, stricter than its own: strings end on their line, and
 * what it would read in its own way is refused. */
#include "conf/token.h"

#include <ctype.h>
#include <stdlib.h>

void text_blank(char *text, size_t from, size_t to)
{
	for (size_t i = from; i < to; i++)
		if (text[i] != '\n')
			text[i] = ' ';
}

static bool is_at(const struct lexer *l, size_t at, const char *what)
{
	size_t n = strlen(what);

	return l->n - at >= n && memcmp(l->text + at, what, n) == 0;
}

static size_t line_end(const struct lexer *l, size_t at)
{
	const char *nl = memchr(l->text + at, '\n', l->n - at);

	return nl != NULL ? (size_t)(nl - l->text) : l->n;
}

static void skip_block_comment(struct lexer *l)
{
	size_t from = l->at;
	int line = l->line;

	for (l->at += 2; l->at < l->n && !is_at(l, l->at, "*/"); l->at++)
		l->line += l->text[l->at] == '\n';
	if (l->at >= l->n) {
		report_error(l->report, l->file, line, NULL,
		    "the comment that opens here is never closed; add */ where it ends");
		l->unclosed = true;
	} else {
		l->at += 2;
	}
	text_blank(l->text, from, l->at);
}

static void skip_space_and_comments(struct lexer *l)
{
	while (l->at < l->n) {
		char c = l->text[l->at];

		if (c == '\n') {
			l->line++;
			l->at++;
		} else if (c == ' ' || c == '\t' || c == '\r') {
			l->at++;
		} else if (c == '#' || is_at(l, l->at, "//")) {
			size_t end = line_end(l, l->at);

			text_blank(l->text, l->at, end);
			l->at = end;
		} else if (is_at(l, l->at, "/*")) {
			skip_block_comment(l);
		} else if (c == ';') {
			report_error(l->report, l->file, l->line, NULL,
			    "nothing ends with ';' here; take it out");
			text_blank(l->text, l->at, l->at + 1);
			l->at++;
		} else {
			return;
		}
	}
}

/* The '}' that closes a ${VARIABLE} or ${VARIABLE:-default} at `at`, or 0. */
static size_t variable_end(const struct lexer *l, size_t at, size_t limit)
{
	size_t i = at + 2;

	while (i < limit && (isalnum((unsigned char)l->text[i]) || l->text[i] == '_'))
		i++;
	if (i == at + 2 || i >= limit)
		return 0;
	if (l->text[i] == '}')
		return i;
	if (!is_at(l, i, ":-"))
		return 0;
	while (i < limit && l->text[i] != '}' && l->text[i] != '"' && l->text[i] != '\\')
		i++;
	return i < limit && l->text[i] == '}' ? i : 0;
}

/* libconfuse would put nothing for a variable that is not set. */
static size_t check_variable(struct lexer *l, size_t limit)
{
	size_t end = variable_end(l, l->at, limit);
	char name[64];
	size_t n;

	if (end == 0) {
		report_error(l->report, l->file, l->line,
		    *l->subject != '\0' ? l->subject : NULL,
		    "\"${\" starts an environment variable and this is none; write \\${ "
		    "for these two characters");
		l->token.bad = true;
		return l->at + 2;
	}
	n = end - l->at - 2;
	if (n < sizeof name) {
		memcpy(name, l->text + l->at + 2, n);
		name[n] = '\0';
		if (strchr(name, ':') == NULL && getenv(name) == NULL) {
			report_error(l->report, l->file, l->line,
			    *l->subject != '\0' ? l->subject : NULL,
			    "environment variable %s is not set; set it, or write "
			    "${%s:-DEFAULT}",
			    name, name);
			l->token.bad = true;
		}
	}
	return end + 1;
}

static void check_escape(struct lexer *l, char quote)
{
	char c = l->text[l->at + 1];

	if (quote == '\'' || c == '\\' || c == '"' || c == '$' || c == '\'')
		return;
	report_error(l->report, l->file, l->line, *l->subject != '\0' ? l->subject : NULL,
	    "\\%c is no escape; write \\\\ for a backslash", c);
	l->token.bad = true;
}

static void take_string(struct lexer *l)
{
	char quote = l->text[l->at];
	size_t limit = line_end(l, l->at);

	l->token.kind = TOKEN_STRING;
	l->at++;
	while (l->at < limit && l->text[l->at] != quote) {
		if (l->text[l->at] == '\\' && l->at + 1 < limit) {
			check_escape(l, quote);
			l->at += 2;
		} else if (quote == '"' && is_at(l, l->at, "${")) {
			l->at = check_variable(l, limit);
		} else {
			l->at++;
		}
	}
	if (l->at < limit) {
		l->at++;
		return;
	}
	report_error(l->report, l->file, l->line, *l->subject != '\0' ? l->subject : NULL,
	    "the quote that opens here is not closed on its line; add the missing %c",
	    quote);
	l->at = limit;
	l->token.bad = true;
}

static bool is_word_character(char c)
{
	return isalnum((unsigned char)c) || (c != '\0' && strchr("._:/@%-", c) != NULL);
}

static void take_word(struct lexer *l)
{
	size_t from = l->at;
	const char *scheme;
	bool plain = true;
	int n;

	while (l->at < l->n && strchr(" \t\r\n={}(),\"'#;", l->text[l->at]) == NULL) {
		if (l->text[l->at] == '+' && is_at(l, l->at, "+="))
			break;
		plain = plain && is_word_character(l->text[l->at]) &&
			!is_at(l, l->at, "//") && !is_at(l, l->at, "/*");
		l->at++;
	}
	l->token.kind = TOKEN_WORD;
	if (plain)
		return;
	l->token.bad = true;
	scheme = memmem(l->text + from, l->at - from, "://", 3);
	/* of a URL no more: its '@' may stand behind a character that ends words */
	n = (int)((scheme != NULL ? (size_t)(scheme + 3 - l->text) : l->at) - from);
	report_error(l->report, l->file, l->line, *l->subject != '\0' ? l->subject : NULL,
	    "%.*s%s cannot stand without quotes; write \"%.*s%s\"", n, l->text + from,
	    scheme != NULL ? "..." : "", n, l->text + from, scheme != NULL ? "..." : "");
}

static void take_mark(struct lexer *l)
{
	static const char mark[] = "={}(),";
	static const enum token_kind kind[] = {TOKEN_EQUAL, TOKEN_OPEN, TOKEN_CLOSE,
	    TOKEN_PAREN, TOKEN_PAREN_CLOSE, TOKEN_COMMA};

	l->token.kind = kind[strchr(mark, l->text[l->at]) - mark];
	l->at++;
}

void token_next(struct lexer *l)
{
	l->end = l->token.to;
	skip_space_and_comments(l);
	l->token = (struct token){.from = l->at, .line = l->line};
	if (l->at >= l->n) {
		l->token.kind = TOKEN_END;
	} else if (l->text[l->at] == '"' || l->text[l->at] == '\'') {
		take_string(l);
	} else if (strchr("={}(),", l->text[l->at]) != NULL) {
		take_mark(l);
	} else if (is_at(l, l->at, "+=")) {
		l->token.kind = TOKEN_APPEND;
		l->at += 2;
	} else {
		take_word(l);
	}
	l->token.to = l->at;
}

bool token_is_text(const struct lexer *l)
{
	return l->token.kind == TOKEN_WORD || l->token.kind == TOKEN_STRING;
}

bool token_is_before(const struct lexer *l, char c)
{
	size_t at = l->at;

	while (at < l->n && isspace((unsigned char)l->text[at]))
		at++;
	return at < l->n && l->text[at] == c;
}

bool token_is_word(const struct lexer *l, const char *word)
{
	return l->token.kind == TOKEN_WORD &&
	       l->token.to - l->token.from == strlen(word) &&
	       is_at(l, l->token.from, word);
}
