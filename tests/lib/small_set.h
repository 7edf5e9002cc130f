/* small_set.h - lists in force of a few entries, made without a signature. */
#ifndef TESTS_LIB_SMALL_SET_H
#define TESTS_LIB_SMALL_SET_H

#include "cache/base/facts.h"
#include "cache/base/key.h"

struct crl_set;

struct small_entry {
	struct serial serial;
	int reason; /* REASON_NONE: none */
	int64_t at; /* revocationDate */
};

/* A set of one list, number 7.  One reference. */
const struct crl_set *small_set(const struct small_entry *e, size_t n,
    int64_t this_update, int64_t next_update, uint64_t generation);
/* crl_set_unref(), for who cannot include crl_read.h beside OpenSSL's x509v3.h. */
void small_set_unref(const struct crl_set *s);

#endif
