/* watch_ca.c - a table of few; whoever is looked for is looked for one after the other.
 */
#include "cache/watch/watch_ca.h"

#include <stdlib.h>

struct watch_cas watch_cas_none = {.refs = 1};

const struct watch_cas *watch_cas_ref(const struct watch_cas *t)
{
	struct watch_cas *w = (struct watch_cas *)(uintptr_t)t;

	atomic_fetch_add_explicit(&w->refs, 1, memory_order_relaxed);
	return t;
}

void watch_cas_unref(const struct watch_cas *t)
{
	struct watch_cas *w = (struct watch_cas *)(uintptr_t)t;

	if (w == NULL || atomic_fetch_sub_explicit(&w->refs, 1, memory_order_acq_rel) > 1)
		return;
	for (size_t i = 0; i < w->n; i++) {
		free((char *)(uintptr_t)w->ca[i].issuer);
		free((char *)(uintptr_t)w->ca[i].dn);
	}
	free(w);
}

static bool ca_copy(struct watch_ca *to, const struct watch_ca *from)
{
	*to = *from;
	to->issuer = strdup(from->issuer);
	to->dn = strdup(from->dn);
	return to->issuer != NULL && to->dn != NULL;
}

const struct watch_cas *watch_cas_with(
    const struct watch_cas *t, const struct watch_ca *ca)
{
	struct watch_cas *w = calloc(1, sizeof *w + (t->n + 1) * sizeof w->ca[0]);
	bool ok = w != NULL, placed = false;

	if (!ok)
		return NULL;
	atomic_init(&w->refs, 1);
	for (size_t i = 0; ok && (i < t->n || !placed);) {
		const struct watch_ca *next = i < t->n ? &t->ca[i] : NULL;

		if (!placed && (next == NULL || next->id >= ca->id)) {
			i += next != NULL && next->id == ca->id;
			next = ca;
			placed = true;
		} else {
			i++;
		}
		ok = ca_copy(&w->ca[w->n++], next);
	}
	if (ok)
		return w;
	watch_cas_unref(w);
	return NULL;
}

const struct watch_ca *watch_cas_at(const struct watch_cas *t, uint32_t id)
{
	size_t low = 0, high = t->n;

	while (low < high) {
		size_t middle = low + (high - low) / 2;

		if (t->ca[middle].id < id)
			low = middle + 1;
		else
			high = middle;
	}
	return low < t->n && t->ca[low].id == id ? &t->ca[low] : NULL;
}

static bool has_aki(const struct watch_ca *ca, struct bytes aki)
{
	return aki.n > 0 && bytes_equal(bytes_of(ca->aki, ca->aki_n), aki);
}

/* By the strongest that is said: what is weaker does not count then. */
static bool is_same(
    const struct watch_ca *ca, const char *issuer, struct bytes aki, const char *dn)
{
	if (issuer[0] != '\0')
		return strcmp(ca->issuer, issuer) == 0;
	if (aki.n > 0)
		return has_aki(ca, aki);
	return dn[0] != '\0' && strcmp(ca->dn, dn) == 0;
}

const struct watch_ca *watch_cas_find(
    const struct watch_cas *t, const char *issuer, struct bytes aki, const char *dn)
{
	for (size_t i = 0; i < t->n; i++)
		if (is_same(&t->ca[i], issuer, aki, dn))
			return &t->ca[i];
	return NULL;
}

const struct watch_ca *watch_cas_called(
    const struct watch_cas *t, const char *issuer_or_aki, const struct watch_ca *after)
{
	uint8_t aki[WATCH_AKI_MAX];
	size_t n = strlen(issuer_or_aki) / 2;
	bool hex = n > 0 && n <= sizeof aki && issuer_or_aki[2 * n] == '\0' &&
		   hex_decode(issuer_or_aki, n, aki);

	for (size_t i = after != NULL ? (size_t)(after - t->ca) + 1 : 0; i < t->n; i++)
		if ((issuer_or_aki[0] != '\0' &&
			strcmp(t->ca[i].issuer, issuer_or_aki) == 0) ||
		    (hex && has_aki(&t->ca[i], bytes_of(aki, n))))
			return &t->ca[i];
	return NULL;
}
