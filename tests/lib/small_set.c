/* small_set.c - entries sorted, and a set around them. */
#include "tests/lib/small_set.h"

#include <stdlib.h>

#include "cache/crl/crl_set.h"

const struct crl_set *small_set(const struct small_entry *e, size_t n,
    int64_t this_update, int64_t next_update, uint64_t generation)
{
	struct crl_list l = {.facts = {.has_number = true,
				 .this_update = this_update,
				 .next_update = next_update,
				 .entries = n}};
	struct crl_set *s;

	l.facts.number[CRL_NUMBER_MAX - 1] = 7;
	if (n > 0 && (l.entries = crl_entries_new(n, &l.mapped)) == NULL)
		abort();
	for (size_t i = 0; i < n; i++) {
		crl_entry_set_serial(&l.entries[i], &e[i].serial);
		crl_entry_set_at(&l.entries[i], e[i].at);
		l.entries[i].reason =
		    e[i].reason == REASON_NONE ? CRL_NO_REASON : (uint8_t)e[i].reason;
	}
	l.n = n > 0 ? crl_entries_sort(l.entries, n) : 0;
	if (crl_set_replace(&s, NULL, 1, 0, &l, NULL, generation) != ERR_OK)
		abort();
	return s;
}

void small_set_unref(const struct crl_set *s)
{
	crl_set_unref(s);
}
