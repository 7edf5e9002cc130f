/* diff.c - what differs between two configurations. */
#include "conf/conf.h"

#include "conf/option.h"

/* What is compared is only read from, and the table's accessors serve writers too. */
static void *fields_of(const void *holder)
{
	return (void *)(uintptr_t)holder;
}

static bool lists_differ(const struct option *o, void *a, void *b)
{
	size_t *n, *m;
	char **x = *option_list(o, a, &n), **y = *option_list(o, b, &m);

	if (*n != *m)
		return true;
	for (size_t i = 0; i < *n; i++)
		if (strcmp(x[i], y[i]) != 0)
			return true;
	return false;
}

static bool differs(const struct option *o, void *a, void *b)
{
	switch (o->type) {
	case TYPE_INT:
	case TYPE_DURATION:
	case TYPE_SIZE:
		return *option_number(o, a) != *option_number(o, b);
	case TYPE_BOOL:
		return *option_bool(o, a) != *option_bool(o, b);
	case TYPE_STRING:
	case TYPE_PATH:
		return strcmp(*option_string(o, a), *option_string(o, b)) != 0;
	case TYPE_LIST:
	case TYPE_PATHS:
		return lists_differ(o, a, b);
	case TYPE_ENUM:
		return *option_enum(o, a) != *option_enum(o, b);
	}
	return false;
}

/* Of the global options those that a reload changes, or those that it does not. */
static void each_change(const struct conf *old, const struct conf *new, bool restart,
    void (*fn)(void *arg, const char *option), void *arg)
{
	for (int i = 0; i < OPTION_COUNT; i++) {
		const struct option *o = &option_table[i];

		if (o->restart == restart && o->scope == SCOPE_GLOBAL &&
		    differs(o, fields_of(old), fields_of(new)))
			fn(arg, o->name);
	}
}

void conf_restart_needed(const struct conf *old, const struct conf *new,
    void (*fn)(void *arg, const char *option), void *arg)
{
	each_change(old, new, true, fn, arg);
}

static bool same_cas(const struct conf *a, const struct conf *b)
{
	return a->server_cas_n == b->server_cas_n &&
	       (a->server_cas_n == 0 ||
		   memcmp(a->server_cas, b->server_cas, a->server_cas_n) == 0);
}

void conf_changed(const struct conf *old, const struct conf *new,
    void (*fn)(void *arg, const char *option), void *arg)
{
	const struct option *cas = &option_table[OPTION_upstream_tls_ca];

	each_change(old, new, false, fn, arg);
	/* the same file with other certificates */
	if (!differs(cas, fields_of(old), fields_of(new)) && !same_cas(old, new))
		fn(arg, cas->name);
}

/* Issuers. */

static bool same_certificates(const struct issuer *a, const struct issuer *b)
{
	if (a->ca_n != b->ca_n || a->responder_n != b->responder_n)
		return false;
	for (size_t i = 0; i < a->ca_n; i++)
		if (memcmp(a->ca[i].sha256, b->ca[i].sha256, 32) != 0)
			return false;
	for (size_t i = 0; i < a->responder_n; i++)
		if (memcmp(a->responder[i].sha256, b->responder[i].sha256, 32) != 0)
			return false;
	return true;
}

static bool same_options(const struct conf_issuer *a, const struct conf_issuer *b)
{
	for (int i = 0; i < OPTION_COUNT; i++)
		if (option_table[i].scope == SCOPE_ISSUER &&
		    differs(&option_table[i], fields_of(a), fields_of(b)))
			return false;
	return true;
}

bool conf_tokens_differ(const struct conf *old, const struct conf *new)
{
	if (old->token_n != new->token_n)
		return true;
	for (size_t t = 0; t < old->token_n; t++) {
		if (strcmp(old->token[t].name, new->token[t].name) != 0)
			return true;
		for (int i = 0; i < OPTION_COUNT; i++)
			if (option_table[i].scope == SCOPE_TOKEN &&
			    differs(&option_table[i], fields_of(&old->token[t]),
				fields_of(&new->token[t])))
				return true;
	}
	return false;
}

/* The number of the issuer of this name, or that of all.  Two configurations have most of
 * theirs in one order: looked for from *from on, so that 10,000 are found in one walk. */
static size_t find(const struct conf *c, const char *name, size_t *from)
{
	for (size_t i = 0; i < c->issuer_n; i++) {
		size_t at = (*from + i) % c->issuer_n;

		if (strcmp(c->issuer[at].name, name) != 0)
			continue;
		*from = at + 1;
		return at;
	}
	return c->issuer_n;
}

/* A configuration that was loaded has its issuers in one order. */
static bool same_issuer(
    const struct conf *old, size_t o, const struct conf *new, size_t n)
{
	return same_options(&old->issuer[o], &new->issuer[n]) &&
	       same_certificates(
		   issuers_at(old->issuers, o), issuers_at(new->issuers, n));
}

void conf_issuers_changed(const struct conf *old, const struct conf *new,
    void (*fn)(void *arg, enum conf_change what, const char *issuer), void *arg)
{
	size_t from = 0;

	for (size_t n = 0; n < new->issuer_n; n++) {
		const char *name = new->issuer[n].name;
		size_t o = find(old, name, &from);

		if (o == old->issuer_n)
			fn(arg, CONF_ADDED, name);
		else if (!same_issuer(old, o, new, n))
			fn(arg, CONF_CHANGED, name);
	}
	from = 0;
	for (size_t o = 0; o < old->issuer_n; o++)
		if (find(new, old->issuer[o].name, &from) == new->issuer_n)
			fn(arg, CONF_REMOVED, old->issuer[o].name);
}
