/* conf.h - one configuration: the options as plain values, and what is made from them
 * once.
 *
 * A struct conf is immutable from conf_load() to conf_free(): every thread may read it
 * without a lock.  A reload loads a new one, publishes its pointer and frees the old one
 * after every reader has passed a barrier (proxy/base/barrier.h): keeper_reload().
 *
 * libconfuse does the parsing; a scan of our own comes first, because libconfuse takes an
 * unclosed section or quote at the end of a file and lets a duplicate win silently.  Its
 * lexer is global: one thread loads at a time (the main thread).
 */
#ifndef CONF_CONF_H
#define CONF_CONF_H

#include <stdio.h>
#include <string.h>

#include "cache/base/issuer.h"
#include "cache/ocsp/record.h"
#include "conf/network.h"

#define CONF_FIELD_INT(f)      int64_t f;
#define CONF_FIELD_DURATION(f) int64_t f##_ms;
#define CONF_FIELD_SIZE(f)     int64_t f;
#define CONF_FIELD_BOOL(f)     bool f;
#define CONF_FIELD_STRING(f)   char *f;
#define CONF_FIELD_PATH(f)     char *f;
#define CONF_FIELD_LIST(f)                                                               \
	char **f;                                                                        \
	size_t f##_n;
#define CONF_FIELD_PATHS(f)         CONF_FIELD_LIST(f)
#define CONF_FIELD_ENUM(f)          int f;
#define CONF_GLOBAL_GLOBAL(type, f) CONF_FIELD_##type(f)
#define CONF_GLOBAL_ISSUER(type, f)
#define CONF_GLOBAL_WATCHLIST(type, f)
#define CONF_GLOBAL_TOKEN(type, f)
#define CONF_ISSUER_GLOBAL(type, f)
#define CONF_ISSUER_ISSUER(type, f) CONF_FIELD_##type(f)
#define CONF_ISSUER_WATCHLIST(type, f)
#define CONF_ISSUER_TOKEN(type, f)
#define CONF_WATCHLIST_GLOBAL(type, f)
#define CONF_WATCHLIST_ISSUER(type, f)
#define CONF_WATCHLIST_WATCHLIST(type, f) CONF_FIELD_##type(f)
#define CONF_WATCHLIST_TOKEN(type, f)
#define CONF_TOKEN_GLOBAL(type, f)
#define CONF_TOKEN_ISSUER(type, f)
#define CONF_TOKEN_WATCHLIST(type, f)
#define CONF_TOKEN_TOKEN(type, f) CONF_FIELD_##type(f)

enum { NONCE_IGNORE, NONCE_FORWARD };                      /* conf_issuer.nonce */
enum { CRL_NEED_ALL, CRL_NEED_WATCHED };                   /* conf_issuer.crl_need */
enum { LOG_FORMAT_LOGFMT, LOG_FORMAT_JSON };               /* conf.log_format */
enum { LEVEL_ERROR, LEVEL_WARN, LEVEL_INFO, LEVEL_DEBUG }; /* conf.log_level */

struct conf_issuer {
	char *name;
	char *file; /* where it is configured */
	int line;
#define OPTION(scope, type, field, name, dflt, min, max, when, text)                     \
	CONF_ISSUER_##scope(type, field)
#define LATER(scope, name, reason)
#include "conf/options.def"
#undef OPTION
#undef LATER
};

/* A watchlist that is read from files of this machine. */
struct conf_watchlist {
	char *name;
#define OPTION(scope, type, field, name, dflt, min, max, when, text)                     \
	CONF_WATCHLIST_##scope(type, field)
#define LATER(scope, name, reason)
#include "conf/options.def"
#undef OPTION
#undef LATER
};

/* What a token may do; none contains another. */
enum right {
	RIGHT_READ = 1 << 0,
	RIGHT_SUBSCRIBE = 1 << 1,
	RIGHT_MANAGE = 1 << 2,
	RIGHT_OPERATE = 1 << 3
};
/* "read", ...; 0: there is no such right. */
enum right conf_right(const char *word);

/* Who may call the API: whoever has the token that has this SHA-256. */
struct conf_token {
	char *name;
#define OPTION(scope, type, field, name, dflt, min, max, when, text)                     \
	CONF_TOKEN_##scope(type, field)
#define LATER(scope, name, reason)
#include "conf/options.def"
#undef OPTION
#undef LATER
	uint8_t hash[32]; /* of sha256, or of the certificate */
	bool by_certificate;
	unsigned rights_set; /* of rights: enum right */
};

/* host (lower case, no brackets) and port of a configured ocsp or crl URL: where an
 * absolute-form request may point to (R32) */
struct conf_authority {
	char *host;
	int port;
};

/* A list that is mirrored under its own URL: Host (or absolute-form authority) and target
 * of a request for it. */
struct conf_mirror {
	char *host; /* lower case, no brackets */
	int port;
	const char *target;  /* path and query, "/" where the URL has none; borrowed from
			      * the issuer's crl */
	size_t issuer, list; /* of conf.issuers */
};

#define CONF_LISTEN_MAX     64 /* addresses; each worker has a socket for each */
#define CONF_API_LISTEN_MAX 8

struct conf {
#define OPTION(scope, type, field, name, dflt, min, max, when, text)                     \
	CONF_GLOBAL_##scope(type, field)
#define LATER(scope, name, reason)
#include "conf/options.def"
#undef OPTION
#undef LATER
	struct conf_issuer *issuer;
	size_t issuer_n;
	struct conf_watchlist *watchlist;
	size_t watchlist_n;
	struct conf_token *token;
	size_t token_n;

	/* made from the above: */
	struct issuers *issuers;
	struct mac_keys *mac_keys;  /* NULL without store-key-file */
	struct ssl_ctx_st *api_tls; /* of handshakes; NULL without */
	char *server_cas;           /* upstream-tls-ca as PEM; NULL without */
	size_t server_cas_n;        /* octets */
	struct network *allowed;    /* allow-address, allow_address_n of them */
	/* webhook-allow-address and webhook-retry, as many as these have */
	struct network *webhook_allowed;
	int64_t *webhook_retry_ms;
	char **path; /* every OCSP path: starts with '/', no '/' at its end but for "/"
		      * itself, in normal form, no duplicates, longest first */
	size_t path_n;
	struct conf_authority *authority;
	size_t authority_n;
	struct conf_mirror *mirror;
	size_t mirror_n;
};

/* Errors and warnings of one load, each a whole line: "FILE:LINE: option: what is wrong;
 * remedy". */
struct conf_errors {
	char **line;
	size_t n;
	char **warning;
	size_t warning_n;
	int log_format; /* for who tells them: log-format where it was in order, also of a
			 * configuration that was not */
};
void conf_errors_free(struct conf_errors *e); /* the contents */

/* Load FILE.  Every mistake that can be found is collected in *errors (owned by the
 * caller, filled also on success: warnings).  Returns NULL when there is at least one
 * error. base_text: NULL, or the configuration itself instead of the file's contents
 * (tests and fuzzing), path then only names it.  Creates nothing on disk. */
struct conf *conf_load(
    const char *path, const char *base_text, struct conf_errors *errors);
/* The same, and what a start does with folders: are those of state and store there, or
 * can they be made, and may this user write to them and to what is in them?  Addresses
 * are not tried: the daemon that runs has them. */
struct conf *conf_try(const char *path, struct conf_errors *errors);
void conf_free(struct conf *c);

/* Print the effective configuration with every default, in a form that conf_load takes;
 * secrets (the password in store) are masked. */
void conf_print(const struct conf *c, FILE *out);

/* Names of options that differ between two configurations and need a restart: calls fn
 * for each. */
void conf_restart_needed(const struct conf *old, const struct conf *new,
    void (*fn)(void *arg, const char *option), void *arg);
/* Names of the other global options that differ, by value or by what the file that they
 * name holds. */
void conf_changed(const struct conf *old, const struct conf *new,
    void (*fn)(void *arg, const char *option), void *arg);
/* Issuers that came, went, or have other options or certificates. */
enum conf_change { CONF_ADDED, CONF_REMOVED, CONF_CHANGED };
void conf_issuers_changed(const struct conf *old, const struct conf *new,
    void (*fn)(void *arg, enum conf_change what, const char *issuer), void *arg);

/* Where what outlives us is kept beside the state: the store's folder with lmdb:, else
 * state-directory. */
static inline const char *conf_data_folder(const struct conf *c)
{
	return strncmp(c->store, "lmdb:", 5) == 0 ? c->store + 5 : c->state_directory;
}

/* Is it off loopback, where only TLS and a token open it? */
bool conf_api_is_outside(const char *listen);
/* Do tokens differ, in anything? */
bool conf_tokens_differ(const struct conf *old, const struct conf *new);

/* The watchlist of files of this name; NULL: there is none. */
const struct conf_watchlist *conf_watchlist_named(const struct conf *c, const char *name);

/* Make a directory and its missing parents, mode 0700.  0, or -1 with errno. */
int conf_make_directory(const char *path);

#endif
