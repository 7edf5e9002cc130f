/* crl_joins.c - there are few: looked through one by one. */
#include "cache/crl/crl_joins.h"

#include <stdlib.h>
#include <string.h>

static bool add(struct crl_joins *j, const char *scope, const char *with)
{
	struct crl_join *to = &j->join[j->n++];

	to->scope = strdup(scope);
	to->with = strdup(with);
	return to->scope != NULL && to->with != NULL;
}

struct crl_joins *crl_joins_new(
    const struct crl_joins *old, const char *scope, const char *with)
{
	size_t n = old != NULL ? old->n : 0;
	struct crl_joins *j = calloc(1, sizeof *j + (n + 1) * sizeof j->join[0]);
	bool ok = j != NULL;

	if (j == NULL)
		return NULL;
	atomic_init(&j->refs, 1);
	for (size_t k = 0; ok && k < n; k++)
		if (strcmp(old->join[k].scope, scope) != 0)
			ok = add(j, old->join[k].scope, old->join[k].with);
	if (ok && with != NULL)
		ok = add(j, scope, with);
	if (ok)
		return j;
	crl_joins_unref(j);
	return NULL;
}

struct crl_joins *crl_joins_ref(struct crl_joins *j)
{
	if (j != NULL)
		atomic_fetch_add_explicit(&j->refs, 1, memory_order_relaxed);
	return j;
}

void crl_joins_unref(struct crl_joins *j)
{
	if (j == NULL || atomic_fetch_sub_explicit(&j->refs, 1, memory_order_acq_rel) > 1)
		return;
	for (size_t k = 0; k < j->n; k++) {
		free(j->join[k].scope);
		free(j->join[k].with);
	}
	free(j);
}

const char *crl_joins_name(const struct crl_joins *j, const char *scope)
{
	for (size_t k = 0; j != NULL && k < j->n; k++)
		if (strcmp(j->join[k].scope, scope) == 0)
			return j->join[k].with;
	return scope;
}
