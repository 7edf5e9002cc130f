/* check.h - what the table cannot say: forms, files, and options against each other.
 *
 * Everything is checked, also after a mistake, and each mistake goes to the report with
 * its place and its remedy.  A setting that was refused already is not looked at again.
 * Reads files and waits for no network; the main thread.
 */
#ifndef CONF_CHECK_H
#define CONF_CHECK_H

#include "conf/certificates.h"
#include "conf/crl_lists.h"
#include "conf/settings.h"

/* A configuration on its way from settings to struct conf. */
struct draft {
	struct conf *conf;
	struct settings *settings; /* where each value was written; issuers as in conf */
	struct report *report;
	struct certificates *ca, *responder; /* of each issuer */
	struct crl_lists *lists;             /* of each issuer */
	bool trial; /* try also what a start does besides reading the configuration */
};

/* Check all, make relative paths within values absolute, load keys and certificates.
 * False when memory ran out. */
bool draft_check(struct draft *d);

/* The folders of state and store: who may write to them (a warning); in a trial also
 * whether we could make and use them.  Makes nothing. */
void draft_check_folders(const struct draft *d);

/* The URLs of issuer i's crl, and crl-scope: into d->lists[i].  False when memory ran
 * out. */
bool draft_check_lists(struct draft *d, size_t i);
/* Certificate, key and client CA of the API, and what they are for.  False: no memory. */
bool draft_check_api_tls(struct draft *d);

/* Networks that URLs may lead to.  False: no memory, as in the next. */
bool draft_check_allowed(const struct draft *d);
/* Pauses of webhooks, and the URL of the API. */
bool draft_check_webhooks(const struct draft *d);

/* Names, hashes, rights and reach of tokens; fills in hash and rights_set. */
void draft_check_tokens(const struct draft *d);

/* May the responders that issuer i names sign for it?  is: what was made of it. */
void draft_check_responders(const struct draft *d, size_t i, const struct issuer *is);

/* Life in seconds of an answer without nextUpdate: 0 for "refuse".  False with why when
 * it is neither that nor a duration in range. */
bool without_next_update_parse(const char *text, int64_t *s, char *why, size_t why_n);

#endif
