/* print.c - a configuration as text that loads again. */
#include "conf/conf.h"

#include <stdlib.h>

#include "conf/address.h"
#include "conf/option.h"
#include "conf/values.h"

/* What is printed is only read from, and the table's accessors serve writers too. */
static void *fields_of(const void *holder)
{
	return (void *)(uintptr_t)holder;
}

static void print_string(FILE *out, const struct option *o, const char *text)
{
	unsigned long secret_n = 0;
	const char *secret = text;

	if (o == &option_table[OPTION_store])
		secret = store_url_password(text, &secret_n);
	fputc('"', out);
	value_quote(out, text, (size_t)(secret - text));
	if (secret_n > 0)
		fputs("***", out);
	value_quote(out, secret + secret_n, strlen(secret + secret_n));
	fputc('"', out);
}

static void print_list(FILE *out, const struct option *o, void *holder)
{
	size_t *n;
	char **list = *option_list(o, holder, &n);

	fputc('{', out);
	for (size_t i = 0; i < *n; i++) {
		fputs(i ? ", " : " ", out);
		print_string(out, o, list[i]);
	}
	fputs(*n ? " }" : "}", out);
}

static void print_word(FILE *out, const struct option *o, int index)
{
	const char *word = o->words;

	for (; index > 0; index--)
		word += strcspn(word, "|") + 1;
	fprintf(out, "\"%.*s\"", (int)strcspn(word, "|"), word);
}

static void print_value(FILE *out, const struct option *o, void *holder)
{
	char text[VALUE_TEXT_MAX];

	switch (o->type) {
	case TYPE_INT:
	case TYPE_DURATION:
	case TYPE_SIZE:
		fputs(value_text(o->type, *option_number(o, holder), text), out);
		break;
	case TYPE_BOOL:
		fputs(*option_bool(o, holder) ? "true" : "false", out);
		break;
	case TYPE_STRING:
	case TYPE_PATH:
		print_string(out, o, *option_string(o, holder));
		break;
	case TYPE_LIST:
	case TYPE_PATHS:
		print_list(out, o, holder);
		break;
	case TYPE_ENUM:
		print_word(out, o, *option_enum(o, holder));
		break;
	}
}

static void print_scope(FILE *out, enum option_scope scope, void *holder)
{
	for (int i = 0; i < OPTION_COUNT; i++) {
		const struct option *o = &option_table[i];

		if (o->scope != scope)
			continue;
		fprintf(out, "%s%s = ", scope == SCOPE_GLOBAL ? "" : "\t", o->name);
		print_value(out, o, holder);
		fputc('\n', out);
	}
}

void conf_print(const struct conf *c, FILE *out)
{
	print_scope(out, SCOPE_GLOBAL, fields_of(c));
	for (size_t i = 0; i < c->issuer_n; i++) {
		fprintf(out, "issuer \"%s\" {\n", c->issuer[i].name);
		print_scope(out, SCOPE_ISSUER, fields_of(&c->issuer[i]));
		fputs("}\n", out);
	}
	for (size_t i = 0; i < c->watchlist_n; i++) {
		fprintf(out, "watchlist \"%s\" {\n", c->watchlist[i].name);
		print_scope(out, SCOPE_WATCHLIST, fields_of(&c->watchlist[i]));
		fputs("}\n", out);
	}
	for (size_t i = 0; i < c->token_n; i++) {
		fprintf(out, "token \"%s\" {\n", c->token[i].name);
		print_scope(out, SCOPE_TOKEN, fields_of(&c->token[i]));
		fputs("}\n", out);
	}
}
