/* incident.c - where a serial is among millions is told by the first bits of its order,
 * as in watch_match.c; what they do not tell, halves do. */
#include "cache/watch/incident.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>

#include "cache/base/name.h"
#include "cache/watch/watch_draft.h"

#define FEW     16 /* entries, one after the other */
#define EACH    4  /* entries of a bucket, where they are spread evenly */
#define BUCKETS (UINT32_C(1) << 20) /* 4 MiB at most */
#define LABELS  5

/* Of one range: how many of its entries are before those with these first bits. */
struct incident_index {
	uint64_t first, span; /* first words of the order */
	unsigned shift;
	uint32_t *before; /* (span >> shift) + 2 */
};

/* What is said of all. */

/* A row is a certificate's: this one's CA is nobody. */
static const struct serial about_serial = {1, {0}};
#define ABOUT_DN "*about"

static struct bytes text_of(const char *s)
{
	return bytes_of(s, strlen(s));
}

enum err incident_say(struct watch_draft *d, const struct incident_about *about)
{
	char id[2 * INCIDENT_ID_N + 1], deadline[24];
	struct bytes label[LABELS];
	struct watch_cert c = {.serial = about_serial,
	    .issuer_name = text_of(ABOUT_DN),
	    .not_before = WATCH_TIME_NONE,
	    .not_after = WATCH_TIME_NONE,
	    .labels = label,
	    .labels_n = LABELS};

	hex_encode(about->id, INCIDENT_ID_N, id);
	snprintf(deadline, sizeof deadline, "%lld", (long long)about->deadline);
	label[0] = text_of(id);
	label[1] = text_of(about->name);
	label[2] = text_of(deadline);
	label[3] = text_of(about->issuer);
	label[4] = text_of(about->url);
	return watch_draft_add(d, &c);
}

static bool take_text(struct bytes *run, char *out, size_t max)
{
	struct bytes text;

	if (!watch_run_next(run, &text) || text.n >= max ||
	    (text.n > 0 && memchr(text.p, 0, text.n) != NULL))
		return false;
	if (text.n > 0)
		memcpy(out, text.p, text.n);
	out[text.n] = '\0';
	return true;
}

static bool read_about(struct incident_about *out, struct bytes labels)
{
	char id[2 * INCIDENT_ID_N + 1] = "", deadline[24] = "", *end;

	if (!take_text(&labels, id, sizeof id) || strlen(id) != sizeof id - 1 ||
	    !hex_decode(id, INCIDENT_ID_N, out->id) ||
	    !take_text(&labels, out->name, sizeof out->name) ||
	    !name_is_plain(text_of(out->name)) ||
	    !take_text(&labels, deadline, sizeof deadline) ||
	    !take_text(&labels, out->issuer, sizeof out->issuer) ||
	    !take_text(&labels, out->url, sizeof out->url) || labels.n != 0)
		return false;
	out->deadline = strtoll(deadline, &end, 10);
	return end != deadline && *end == '\0';
}

enum err incident_hear(struct watch_list *l, const struct watch_record *row)
{
	if (row->labels.n == 0 || l->said != NULL)
		return ERR_OK;
	l->said = calloc(1, sizeof *l->said);
	if (l->said == NULL)
		return ERR_NOMEM;
	return read_about(l->said, row->labels) ? ERR_OK : ERR_RECORD;
}

void incident_key(char key[WATCH_NAME_MAX], const char *name)
{
	snprintf(key, WATCH_NAME_MAX, "!%s", name);
}

void incident_withdrawn_key(char key[WATCH_NAME_MAX], uint32_t generation)
{
	snprintf(key, WATCH_NAME_MAX, "~%08x", generation);
}

/* One. */

static bool index_make(
    struct incident_index *x, const struct watched *e, const struct watch_range *r)
{
	uint32_t most = r->n / EACH < BUCKETS ? r->n / EACH + 1 : BUCKETS;
	size_t bucket = 0, buckets;

	x->first = crl_order_word(&e[0]);
	x->span = crl_order_word(&e[r->n - 1]) - x->first;
	while (x->span >> x->shift > most)
		x->shift++;
	buckets = (size_t)(x->span >> x->shift) + 1;
	x->before = malloc((buckets + 1) * sizeof x->before[0]);
	if (x->before == NULL)
		return false;
	for (uint32_t i = 0; i < r->n; i++)
		while (bucket <= (crl_order_word(&e[i]) - x->first) >> x->shift)
			x->before[bucket++] = i;
	while (bucket <= buckets)
		x->before[bucket++] = r->n;
	return true;
}

const struct incident *incident_new(const char *key, const struct watch_list *list)
{
	struct incident *i = calloc(1, sizeof *i);

	if (i == NULL)
		return NULL;
	atomic_init(&i->refs, 1);
	snprintf(i->key, sizeof i->key, "%s", key);
	i->withdrawn = key[0] == '~';
	i->list = watch_list_ref(list);
	i->about = (struct incident_about){.deadline = WATCH_TIME_NONE};
	i->serials = list->n;
	if (list->said != NULL) {
		i->about = *list->said;
		i->serials--;
	}
	i->index = calloc(list->ranges_n + 1, sizeof i->index[0]);
	for (size_t n = 0; i->index != NULL && n < list->ranges_n; n++)
		if (!index_make(&i->index[n], list->entries + list->ranges[n].first,
			&list->ranges[n])) {
			incident_unref(i);
			return NULL;
		}
	if (i->index != NULL)
		return i;
	incident_unref(i);
	return NULL;
}

const struct incident *incident_ref(const struct incident *i)
{
	struct incident *w = (struct incident *)(uintptr_t)i;

	atomic_fetch_add_explicit(&w->refs, 1, memory_order_relaxed);
	return i;
}

void incident_unref(const struct incident *i)
{
	struct incident *w = (struct incident *)(uintptr_t)i;

	if (w == NULL || atomic_fetch_sub_explicit(&w->refs, 1, memory_order_acq_rel) > 1)
		return;
	for (size_t n = 0; w->index != NULL && n < w->list->ranges_n; n++)
		free(w->index[n].before);
	free(w->index);
	watch_list_unref(w->list);
	free(w);
}

/* All of them. */

struct incidents incidents_none = {.refs = 1};

const struct incidents *incidents_ref(const struct incidents *s)
{
	struct incidents *w = (struct incidents *)(uintptr_t)s;

	atomic_fetch_add_explicit(&w->refs, 1, memory_order_relaxed);
	return s;
}

void incidents_unref(const struct incidents *s)
{
	struct incidents *w = (struct incidents *)(uintptr_t)s;

	if (w == NULL || atomic_fetch_sub_explicit(&w->refs, 1, memory_order_acq_rel) > 1)
		return;
	for (size_t n = 0; n < w->n; n++)
		incident_unref(w->item[n]);
	free(w);
}

static void append(struct incidents *s, const struct incident *i)
{
	s->item[s->n++] = incident_ref(i);
	s->in_force += !i->withdrawn;
}

/* i NULL: nothing comes in the place of what goes. */
static const struct incidents *change(
    const struct incidents *s, const char *key, const struct incident *i)
{
	struct incidents *w = calloc(1, sizeof *w + (s->n + 1) * sizeof w->item[0]);
	size_t n = 0;

	if (w == NULL)
		return NULL;
	atomic_init(&w->refs, 1);
	while (n < s->n && strcmp(s->item[n]->key, key) < 0)
		append(w, s->item[n++]);
	if (i != NULL)
		append(w, i);
	if (n < s->n && strcmp(s->item[n]->key, key) == 0)
		n++;
	while (n < s->n)
		append(w, s->item[n++]);
	return w;
}

const struct incidents *incidents_plus(
    const struct incidents *s, const struct incident *i)
{
	return change(s, i->key, i);
}

const struct incidents *incidents_minus(const struct incidents *s, const char *key)
{
	return change(s, key, NULL);
}

const struct incident *incidents_at(const struct incidents *s, const char *key)
{
	for (size_t n = 0; n < s->n; n++)
		if (strcmp(s->item[n]->key, key) == 0)
			return s->item[n];
	return NULL;
}

const struct incident *incidents_named(const struct incidents *s, const char *name)
{
	char key[WATCH_NAME_MAX];

	incident_key(key, name);
	return incidents_at(s, key);
}

/* Which certificates. */

/* It has no name but this DN. */
static bool is_called(
    const struct watch_cas *cas, const struct watch_range *r, const char *dn)
{
	const struct watch_ca *ca = watch_cas_at(cas, r->ca);

	return ca != NULL && ca->issuer[0] == '\0' && ca->aki_n == 0 &&
	       strcmp(ca->dn, dn) == 0;
}

bool incident_is_about(const struct watch_cas *cas, const struct watch_range *r)
{
	return is_called(cas, r, ABOUT_DN);
}

bool incident_is_anybodys(const struct watch_cas *cas, const struct watch_range *r)
{
	return is_called(cas, r, INCIDENT_ANYBODY);
}

static bool is_range_of(
    const struct watch_cas *cas, const struct watch_range *r, uint32_t ca)
{
	const struct watch_ca *named = watch_cas_at(cas, r->ca);
	const struct watch_ca *asked = watch_cas_at(cas, ca);

	if (r->ca == ca)
		return true;
	if (named == NULL || asked == NULL)
		return false;
	if (named->issuer[0] != '\0')
		return strcmp(named->issuer, asked->issuer) == 0;
	return incident_is_anybodys(cas, r);
}

bool incident_of(struct incident_of *out, const struct incident *i,
    const struct watch_cas *cas, uint32_t ca)
{
	*out = (struct incident_of){.incident = i, .cas = cas, .ca = ca};
	for (size_t n = 0; n < i->list->ranges_n; n++) {
		if (!is_range_of(cas, &i->list->ranges[n], ca))
			continue;
		if (out->n < INCIDENT_OF_MAX)
			out->range[out->n] = (uint32_t)n;
		out->n++;
	}
	return out->n > 0;
}

static bool range_has(
    const struct incident *i, size_t range, const void *entry, uint32_t *at)
{
	const struct incident_index *x = &i->index[range];
	const struct watch_range *r = &i->list->ranges[range];
	const struct watched *e = i->list->entries + r->first;
	uint64_t way = crl_order_word(entry) - x->first;
	uint32_t low, high;

	if (way > x->span) /* also where it is before the first one */
		return false;
	low = x->before[way >> x->shift];
	high = x->before[(way >> x->shift) + 1];
	if (high - low > FEW)
		low += (uint32_t)watched_from(e + low, high - low, entry);
	while (low < high && crl_order(&e[low], entry) < 0)
		low++;
	if (low == high || crl_order(&e[low], entry) != 0)
		return false;
	if (at != NULL)
		*at = r->first + low;
	return true;
}

void incident_ahead(const struct incident_of *of, const void *entry, bool again)
{
	const struct watch_list *l = of->incident->list;
	const struct incident_index *x = &of->incident->index[of->range[0]];
	uint64_t way = crl_order_word(entry) - x->first;
	const uint32_t *before;

	if (of->n == 0 || way > x->span)
		return;
	before = &x->before[way >> x->shift];
	if (!again)
		__builtin_prefetch(before);
	else
		__builtin_prefetch(&l->entries[l->ranges[of->range[0]].first + *before]);
}

bool incident_has(const struct incident_of *of, const void *entry, uint32_t *at)
{
	const struct watch_list *l = of->incident->list;

	for (size_t n = 0; n < of->n && n < INCIDENT_OF_MAX; n++)
		if (range_has(of->incident, of->range[n], entry, at))
			return true;
	if (of->n <= INCIDENT_OF_MAX)
		return false;
	for (size_t n = of->range[INCIDENT_OF_MAX - 1] + 1; n < l->ranges_n; n++)
		if (is_range_of(of->cas, &l->ranges[n], of->ca) &&
		    range_has(of->incident, n, entry, at))
			return true;
	return false;
}

size_t incidents_with(const struct incidents *s, const struct watch_cas *cas, uint32_t ca,
    const struct serial *serial, const struct incident **out, size_t max)
{
	struct watched key;
	size_t found = 0;

	watched_set(&key, serial, WATCH_TIME_NONE, false);
	for (size_t n = 0; n < s->in_force; n++) {
		struct incident_of of;

		if (!incident_of(&of, s->item[n], cas, ca) ||
		    !incident_has(&of, &key, NULL))
			continue;
		if (out != NULL && found < max)
			out[found] = s->item[n];
		found++;
	}
	return found;
}
