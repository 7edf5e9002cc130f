/* crl_lists.c - items, one by one; then what they are to each other, by sorting: there
 * may be thousands. */
#include "conf/crl_lists.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/stat.h>

#include "conf/address.h"
#include "conf/crl_url.h"
#include "conf/fault.h"

/* Lists as they are made of items. */
struct making {
	const struct draft *d;
	const struct group *g;
	struct conf_issuer *is;
	struct crl_lists *out;
	size_t *item; /* of each list: where it was written */
	size_t room;
	bool wrong; /* something of crl was refused */
};

void crl_lists_free(struct crl_lists *l)
{
	for (size_t k = 0; k < l->n; k++)
		issuer_list_clear(&l->list[k]);
	free(l->list);
}

static void refuse(struct making *m, size_t item, const char *value, const char *why)
{
	fault_value(m->d, m->g, OPTION_crl, item, value, why);
	m->wrong = true;
}

/* One place. */

/* "file:PATH" and "file:///PATH" as "file:///PATH", absolute; others as they are.  NULL:
 * out of memory. */
static char *normal_place(const struct making *m, struct bytes text)
{
	char *from = strndup((const char *)text.p, text.n), *absolute, *made = NULL;
	const char *path = from != NULL ? from + 5 : NULL;

	if (from == NULL || strncmp(from, "file:", 5) != 0 || *path == '\0' ||
	    (strncmp(path, "//", 2) == 0 && path[2] != '/')) /* a host: told later */
		return from;
	if (strncmp(path, "//", 2) == 0)
		path += 2;
	absolute = *path == '/' ? strdup(path)
				: path_beside(setting_of(m->g, OPTION_crl)->file, path);
	if (absolute != NULL && asprintf(&made, "file://%s", absolute) < 0)
		made = NULL;
	free(absolute);
	free(from);
	return made;
}

static const char *check_list_url(const char *text)
{
	struct url u;

	if (strncmp(text, "file://", 7) == 0)
		return text[7] == '/' && text[8] != '\0'
			   ? NULL
			   : "has no path from the root; write file:///PATH, or "
			     "file:PATH for one beside this file";
	if (strncmp(text, "file:", 5) == 0)
		return "names no file; write file:///PATH";
	if (strncmp(text, "ldap", 4) == 0)
		return "is LDAP, which is not spoken; write the http URL or file of the "
		       "same list";
	if (strstr(text, "://") == NULL)
		return "is no URL; write http://HOST[:PORT]/PATH, or file:PATH for a "
		       "file";
	return url_parse(text, &u);
}

/* One that is missing may come later, and is read then. */
static void check_list_file(const struct making *m, size_t item, const char *url)
{
	const char *why = NULL, *file;
	struct stat st;
	int line;

	if (strncmp(url, "file://", 7) != 0)
		return;
	if (stat(url + 7, &st) != 0)
		why = strerror(errno);
	else if (!S_ISREG(st.st_mode))
		why = "it is no regular file";
	if (why == NULL)
		return;
	file = place(m->g, OPTION_crl, item, &line);
	report_warning(m->d->report, file, line, option_table[OPTION_crl].name,
	    "\"%s\" cannot be read now: %s", url, why);
}

/* One item. */

/* What was written, with absolute paths: a configuration that is printed is read from
 * another folder. */
static bool make_places_absolute(struct making *m, size_t item, const struct crl_item *i)
{
	char *all = NULL;

	for (size_t p = 0; p < i->places_n; p++) {
		const struct crl_pattern *at = &i->place[p];
		size_t tail = at->ranged
				  ? (size_t)(at->after.p + at->after.n - at->before.p)
				  : at->before.n;
		char *one = normal_place(m, bytes_of(at->before.p, tail)), *more = NULL;

		if (one == NULL || asprintf(&more, "%s%s%s", all != NULL ? all : "",
				       all != NULL ? " | " : "", one) < 0)
			more = NULL;
		free(one);
		free(all);
		all = more;
		if (all == NULL)
			return false;
	}
	free(m->is->crl[item]);
	m->is->crl[item] = all;
	return true;
}

static bool add_list(struct making *m, size_t item, const struct crl_item *i, size_t list)
{
	struct issuer_list *l = &m->out->list[m->out->n];
	const char *why;

	*l = (struct issuer_list){.place = calloc(i->places_n, sizeof *l->place)};
	m->item[m->out->n++] = item;
	for (size_t p = 0; l->place != NULL && p < i->places_n; p++) {
		l->place[p] = crl_item_url(i, list, p);
		if (l->place[p] == NULL)
			return false;
		l->place_n++;
		why = check_list_url(l->place[p]);
		if (why == NULL)
			check_list_file(m, item, l->place[p]);
		else if (!m->wrong) /* the others of a range have the same mistake */
			refuse(m, item, l->place[p], why);
	}
	return l->place != NULL;
}

static bool make_room(struct making *m, size_t more)
{
	size_t room = 2 * m->room > m->out->n + more ? 2 * m->room : m->out->n + more;
	struct issuer_list *list;
	size_t *item;

	if (m->out->n + more <= m->room)
		return true;
	list = realloc(m->out->list, room * sizeof *list);
	if (list != NULL)
		m->out->list = list;
	item = realloc(m->item, room * sizeof *item);
	if (item != NULL)
		m->item = item;
	if (list == NULL || item == NULL)
		return false;
	m->room = room;
	return true;
}

/* NULL, or what is wrong with the item.  *ok: false when out of memory. */
static const char *read_item(struct making *m, size_t item, struct crl_item *i, bool *ok)
{
	const char *why = crl_item_parse(m->is->crl[item], i);

	if (why != NULL)
		return why;
	*ok = make_places_absolute(m, item, i);
	return *ok ? crl_item_parse(m->is->crl[item], i) : NULL;
}

static bool add_lists(struct making *m, size_t item)
{
	struct crl_item i;
	size_t most = (size_t)m->d->conf->crl_max_lists;
	bool wrong = m->wrong, ok = true;
	const char *why = read_item(m, item, &i, &ok);

	if (why != NULL)
		refuse(m, item, m->is->crl[item], why);
	if (why != NULL || !ok)
		return ok;
	if (i.lists_n > most - m->out->n) {
		fault(m->d, m->g, OPTION_crl, item,
		    "makes it more than %zu lists, which crl-max-lists allows; write "
		    "fewer, or raise that",
		    most);
		m->wrong = true;
		return true;
	}
	m->out->all |= i.ranged;
	ok = make_room(m, i.lists_n);
	m->wrong = false;
	for (size_t list = 0; ok && !m->wrong && list < i.lists_n; list++)
		ok = add_list(m, item, &i, list);
	m->wrong |= wrong;
	return ok;
}

static bool take_item(struct making *m, size_t item)
{
	static const char *const word[LEARNT_COUNT] = {"ccadb", "certificates"};

	for (int w = 0; w < LEARNT_COUNT; w++) {
		if (strcmp(m->is->crl[item], word[w]) != 0)
			continue;
		if (m->out->learns[w])
			refuse(m, item, word[w], TWICE);
		m->out->learns[w] = true;
		m->out->all |= w == LEARNT_CCADB;
		return true;
	}
	return add_lists(m, item);
}

/* What they are to each other. */

struct named {
	const char *name;
	size_t list;
	bool scope; /* the name of the list; else one of its places */
};

static int by_name(const void *a, const void *b)
{
	const struct named *x = a, *y = b;
	int order = strcmp(x->name, y->name);

	return order != 0             ? order
	       : x->scope != y->scope ? (x->scope ? -1 : 1)
				      : (x->list > y->list) - (x->list < y->list);
}

/* Places and, where wanted, scopes, sorted; NULL when out of memory. */
static struct named *sorted(const struct crl_lists *l, bool scopes, size_t *n)
{
	struct named *all;
	size_t most = scopes ? l->n : 0;

	for (size_t k = 0; k < l->n; k++)
		most += l->list[k].place_n;
	all = calloc(most + 1, sizeof *all);
	*n = 0;
	for (size_t k = 0; all != NULL && k < l->n; k++) {
		if (scopes)
			all[(*n)++] = (struct named){l->list[k].scope, k, true};
		for (size_t p = 0; p < l->list[k].place_n; p++)
			all[(*n)++] = (struct named){l->list[k].place[p], k, false};
	}
	if (all != NULL)
		qsort(all, *n, sizeof *all, by_name);
	return all;
}

static bool check_twice(struct making *m)
{
	size_t n;
	struct named *all = sorted(m->out, false, &n);

	for (size_t k = 1; all != NULL && k < n; k++)
		if (strcmp(all[k - 1].name, all[k].name) == 0)
			refuse(m, m->item[all[k].list], all[k].name, TWICE);
	free(all);
	return all != NULL;
}

static bool set_scopes(struct making *m)
{
	struct conf_issuer *is = m->is;

	if (is->crl_scope_n > m->out->n && !is_refused(m->g, OPTION_crl_scope)) {
		fault(m->d, m->g, OPTION_crl_scope, m->out->n,
		    "names more scopes than crl has lists; write one for each list, in "
		    "the same order");
		m->wrong = true;
	}
	for (size_t k = 0; k < m->out->n; k++) {
		struct issuer_list *l = &m->out->list[k];
		bool named = k < is->crl_scope_n && *is->crl_scope[k] != '\0';

		l->scope = strdup(named ? is->crl_scope[k] : l->place[0]);
		if (l->scope == NULL)
			return false;
	}
	return true;
}

/* The places of list b become those of a, behind its own. */
static bool join(struct making *m, size_t a, size_t b)
{
	struct issuer_list *to = &m->out->list[a], *from = &m->out->list[b];
	char **grown;
	const char *file;
	int line;

	file = place(m->g, OPTION_crl, m->item[b], &line);
	report_warning(m->d->report, file, line, option_table[OPTION_crl].name,
	    "\"%s\" and \"%s\" are of one name in crl-scope, and taken for one list that "
	    "is to be had at both; write \"%s | %s\"",
	    to->place[0], from->place[0], to->place[0], from->place[0]);
	if (to->place_n + from->place_n > CRL_PLACES_MAX) {
		refuse(m, m->item[b], from->place[0],
		    "is one place more than the 16 that a list may have; write fewer");
		return true;
	}
	grown = realloc(to->place, (to->place_n + from->place_n) * sizeof *grown);
	if (grown == NULL)
		return false;
	to->place = grown;
	memcpy(grown + to->place_n, from->place, from->place_n * sizeof *grown);
	to->place_n += from->place_n;
	from->place_n = 0;
	return true;
}

static void close_gaps(struct crl_lists *l)
{
	size_t n = 0;

	for (size_t k = 0; k < l->n; k++)
		if (l->list[k].place_n > 0)
			l->list[n++] = l->list[k];
		else
			issuer_list_clear(&l->list[k]);
	l->n = n;
}

/* Of each name: the first list that it is the scope of has the others' places; whoever
 * has it as a place only is not called so. */
static bool join_scopes(struct making *m)
{
	size_t n, first = 0;
	struct named *all = sorted(m->out, true, &n);
	bool ok = all != NULL;

	for (size_t k = 1; ok && k < n; k++) {
		bool same = strcmp(all[k].name, all[first].name) == 0;

		if (!same || !all[first].scope)
			first = k;
		else if (all[k].scope)
			ok = join(m, all[first].list, all[k].list);
		else if (all[k].list != all[first].list)
			m->out->list[all[k].list].strict = true;
	}
	free(all);
	if (ok)
		close_gaps(m->out);
	return ok;
}

static void check_absent(const struct making *m)
{
	bool watched = m->is->crl_need == CRL_NEED_WATCHED;

	if (m->is->absent == ABSENT_GOOD &&
	    (watched ||
		(m->out->n == 0 && m->out->learns[LEARNT_CERTIFICATES] && !m->out->all)))
		advise(m->d, m->g, OPTION_absent,
		    "is \"good\", and only lists that watched certificates name are "
		    "fetched: who is in none of them is not known to be good for that; "
		    "take it out");
}

bool draft_check_lists(struct draft *d, size_t i)
{
	struct making m = {.d = d,
	    .g = d->settings->issuer[i],
	    .is = &d->conf->issuer[i],
	    .out = &d->lists[i]};
	bool ok = true;

	if (is_refused(m.g, OPTION_crl) || d->conf->crl_max_lists == 0)
		return true;
	for (size_t k = 0; ok && k < m.is->crl_n; k++)
		ok = take_item(&m, k);
	if (ok && !m.wrong)
		ok = check_twice(&m);
	if (ok && !m.wrong)
		ok = set_scopes(&m);
	if (ok && !m.wrong && m.is->crl_scope_n > 0)
		ok = join_scopes(&m);
	check_absent(&m);
	free(m.item);
	return ok;
}
