/* announcer.c - incidents in force, by name; then pages, by a hash. */
#include "proxy/push/announcer.h"

#include <stdio.h>
#include <string.h>

static void set_incident(struct announcer *a, const struct incident *i)
{
	snprintf(a->key, sizeof a->key, "%s", i->about.name);
	a->ari = NULL;
	a->head = (struct notices_head){.source = CHANGE_INCIDENT,
	    .incident = i->about.name,
	    .url = i->about.url,
	    .deadline = i->about.deadline != WATCH_TIME_NONE ? i->about.deadline : 0};
}

/* '~' stands behind all that names may have.  The number of a page changes with the
 * board, its hash does not. */
static void page_key(char key[ANNOUNCER_KEY_MAX], const char *url)
{
	snprintf(key, ANNOUNCER_KEY_MAX, "~%016llx", (unsigned long long)ari_page(url));
}

static bool is_behind(const char *key, const char *than, bool behind)
{
	int order = strcmp(key, than);

	return order > 0 || (order == 0 && !behind);
}

static bool next_incident(struct announcer *a, const struct inventory *v, uint32_t ca,
    const char *key, bool behind)
{
	const struct incidents *all = v->incidents;

	for (size_t n = 0; n < all->in_force; n++)
		if (is_behind(all->item[n]->about.name, key, behind) &&
		    incident_of(&a->of, all->item[n], v->cas, ca)) {
			set_incident(a, all->item[n]);
			return true;
		}
	return false;
}

/* The page with the first key; certificates of other CAs may have it, too. */
static bool next_page(struct announcer *a, const struct ari_noticed *ari, uint32_t ca,
    const char *key, bool behind)
{
	char page[ANNOUNCER_KEY_MAX];
	size_t n;

	a->key[0] = '\0';
	if (ari_noticed_of(ari, ca, &n) == NULL)
		return false;
	for (size_t i = 0; i < ari->urls_n; i++) {
		page_key(page, ari->url[i]);
		if (!is_behind(page, key, behind) ||
		    (a->key[0] != '\0' && strcmp(page, a->key) > 0))
			continue;
		strcpy(a->key, page);
		a->url = (uint32_t)i;
	}
	if (a->key[0] == '\0')
		return false;
	a->ari = ari;
	a->ca = ca;
	a->head = (struct notices_head){
	    .source = CHANGE_ARI, .incident = "", .url = ari->url[a->url]};
	return true;
}

bool announcer_next(struct announcer *a, const struct inventory *v,
    const struct ari_noticed *ari, uint32_t ca, const char *key, bool behind)
{
	return next_incident(a, v, ca, key, behind) || next_page(a, ari, ca, key, behind);
}

bool announcer_has(
    const struct announcer *a, const void *entry, struct change_window *window)
{
	const struct ari_notice *n;

	*window = (struct change_window){0};
	if (a->ari == NULL)
		return incident_has(&a->of, entry, NULL);
	n = ari_noticed_find(a->ari, a->ca, entry);
	if (n == NULL || n->url != a->url)
		return false;
	*window = (struct change_window){n->start, n->end};
	return true;
}
