/* token.h - the words, strings and marks of a configuration file.
 *
 * What is wrong with a token is reported here, under the name of the statement that it
 * stands in; the token is then marked bad.  Comments become spaces on the way
 * (scan.h says why). */
#ifndef CONF_TOKEN_H
#define CONF_TOKEN_H

#include "conf/report.h"

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

struct lexer {
	struct report *report;
	const char *file;
	char *text; /* without zero bytes */
	size_t at, n;
	int line;
	char subject[48]; /* the statement's name, for messages; "" for none */
	struct token token;
	size_t end;    /* of the token before this one */
	bool unclosed; /* a comment never ends */
};

/* Read the next token. */
void token_next(struct lexer *l);

/* A word or a string. */
bool token_is_text(const struct lexer *l);
bool token_is_word(const struct lexer *l, const char *word);
/* What comes after the token, on the same or a later line, is c. */
bool token_is_before(const struct lexer *l, char c);

/* Overwrite with spaces; lines stay where they are. */
void text_blank(char *text, size_t from, size_t to);

#endif
