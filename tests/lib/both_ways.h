/* both_ways.h - a door that remembers delegates against one that has none: the code, the
 * verdict, and every line of the trace are the same.
 *
 * Aborts where they differ: fuzz targets have no test that could fail.
 */
#ifndef TESTS_LIB_BOTH_WAYS_H
#define TESTS_LIB_BOTH_WAYS_H

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "cache/ocsp/admit.h"

struct transcript {
	size_t n;
	char text[16384];
};

static inline void transcript_note(
    void *arg, const char *check, enum err e, const char *detail)
{
	struct transcript *t = arg;

	t->n += (size_t)snprintf(t->text + t->n, sizeof t->text - t->n, "%s=%s %s\n",
	    check, err_label(e), detail);
	if (t->n >= sizeof t->text)
		abort();
}

static inline enum err transcript_take(struct transcript *t, struct admit *ad,
    const struct admit_question *q, struct bytes der)
{
	const struct admit_trace trace = {transcript_note, t};
	struct admit_verdict v;
	const struct facts *f = &v.facts;
	enum err e;
	char hex[65], line[400];

	t->n = 0;
	e = admit_der(ad, q, der, &v, &trace);
	hex_encode(f->issuer_sha256, 32, hex);
	snprintf(line, sizeof line,
	    "%s %s reason %d times %" PRId64 " %" PRId64 " %" PRId64 " %" PRId64
	    " signer %" PRId64 " proved %d %" PRId64 " %d warnings %u crl %d",
	    hex, status_name(f->status), f->reason, f->revoked_at, f->this_update,
	    f->next_update, f->produced_at, f->signer_not_after, v.revoked_proved,
	    v.revoked_at, v.reason, v.warnings, v.crl_disagrees);
	transcript_note(t, "verdict", e, line);
	return e;
}

/* remembers has seen what it shall, and sees this twice. */
static inline enum err both_ways(
    struct admit *remembers, const struct admit_question *q, struct bytes der)
{
	static struct transcript with, without;
	struct admit *fresh = admit_new();
	enum err e;

	if (fresh == NULL)
		abort();
	e = transcript_take(&without, fresh, q, der);
	for (int i = 0; i < 2; i++) {
		(void)transcript_take(&with, remembers, q, der);
		if (with.n != without.n || memcmp(with.text, without.text, with.n) != 0) {
			fprintf(stderr, "without memory:\n%swith it:\n%s", without.text,
			    with.text);
			abort();
		}
	}
	admit_free(fresh);
	return e;
}

#endif
