/* inventory.c - what watchlists cost: `inventory [LISTS [CERTIFICATES]]`, 1,000 lists of
 * 15,000 by default, in a folder of its own under $TMPDIR that goes with it.
 *
 * Prints a line for each figure: putting the lists (without reading their text), memory
 * of an entry, loading them at a start, matching a list of 3,048,289 revocations with
 * all of them, names of the matches, an incident of as many serials, a search by name, a
 * page, a sweep.
 */
#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "cache/watch/incident_hits.h"
#include "cache/watch/watch_match.h"
#include "cache/watch/watch_put.h"
#include "cache/watch/watch_rows.h"
#include "cache/watch/watch_search.h"

#define CHANGES 3048289
#define SHARE   5 /* every fifth of a list is revoked */
#define SIZE    ((size_t)16 << 30)

static uint64_t state = UINT64_C(88172645463325252);

static uint64_t next_random(void)
{
	state ^= state << 13;
	state ^= state >> 7;
	state ^= state << 17;
	return state;
}

static double seconds(clockid_t clock)
{
	struct timespec t;

	clock_gettime(clock, &t);
	return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static double wall, cpu;

static void begin(void)
{
	wall = seconds(CLOCK_MONOTONIC);
	cpu = seconds(CLOCK_PROCESS_CPUTIME_ID);
}

static void tell(const char *what, double n, const char *unit)
{
	double w = seconds(CLOCK_MONOTONIC) - wall;
	double c = seconds(CLOCK_PROCESS_CPUTIME_ID) - cpu;

	printf("%-44s %8.3f s, %8.3f s of CPU", what, w, c);
	if (n > 0)
		printf(", %.3f us a %s", c / n * 1e6, unit);
	printf("\n");
}

static void must(enum err e)
{
	if (e != ERR_OK) {
		fprintf(stderr, "inventory: %s\n", err_text(e));
		exit(1);
	}
}

static long anon_kib(void)
{
	char line[256];
	long kib = 0;
	FILE *f = fopen("/proc/self/status", "r");

	while (f != NULL && fgets(line, sizeof line, f) != NULL)
		(void)sscanf(line, "RssAnon: %ld", &kib);
	if (f != NULL)
		fclose(f);
	return kib;
}

/* Number i of list l: every fifth is a revoked one, whose serial follows from a number.
 */
static struct serial serial_of(uint64_t i)
{
	struct serial s = {.n = 16};
	uint64_t a = (i + 1) * UINT64_C(0x9e3779b97f4a7c15), b = a;

	b ^= b >> 31;
	b *= UINT64_C(0xbf58476d1ce4e5b9);
	b ^= b >> 27;
	put_be(s.octets, a, 8);
	put_be(s.octets + 8, b, 8);
	s.octets[0] = (uint8_t)((s.octets[0] & 0x7f) | 1);
	return s;
}

static uint64_t number_of(size_t l, size_t i, size_t n)
{
	return i % SHARE == 0 ? next_random() % CHANGES : CHANGES + l * n + i;
}

static void add(struct watch_draft *d, size_t l, size_t i, uint64_t number)
{
	static uint8_t aki[20] = {7};
	static const char dn[] = "CN=Bench CA,O=Bench";
	char name[80], label[] = "owner=web team";
	struct bytes names[1], labels[1] = {bytes_of(label, sizeof label - 1)};
	struct watch_cert c = {.serial = serial_of(number),
	    .aki = bytes_of(aki, sizeof aki),
	    .issuer_name = bytes_of(dn, sizeof dn - 1),
	    .not_before = 1700000000,
	    .not_after = 1707776000 + (int64_t)(number % 100) * 86400,
	    .names = names,
	    .names_n = 1,
	    .labels = labels,
	    .labels_n = 1};

	names[0] = bytes_of(
	    name, (size_t)snprintf(name, sizeof name,
		      "h%zu.l%zu.four%zu.eight%zu.shop.example", i, l, l / 4, l / 8));
	must(watch_draft_add(d, &c));
}

static struct watch_db *db;
static const struct inventory *in_memory;
static char dir[4096];

static const struct inventory *put_all(size_t lists, size_t n)
{
	const struct inventory *v = inventory_ref(&inventory_none);
	double drafts = 0;

	begin();
	for (size_t l = 0; l < lists; l++) {
		struct watch_draft *d = watch_draft_new(dir);
		struct watch_point_draft *points;
		const struct watch_points *table;
		const struct watch_cas *cas;
		const struct watch_list *list;
		const struct inventory *more;
		struct watch_put *p;
		char name[32];
		double from = seconds(CLOCK_PROCESS_CPUTIME_ID);
		bool done = false;

		for (size_t i = 0; i < n; i++)
			add(d, l, i, number_of(l, i, n));
		drafts += seconds(CLOCK_PROCESS_CPUTIME_ID) - from;
		snprintf(name, sizeof name, "list%04zu", l);
		must(watch_put_new(&p, db, name, WATCH_API, false, d));
		while (!done)
			must(watch_put_step(p, &done));
		points = watch_point_draft_new(v->points, NULL);
		must(points != NULL ? watch_put_list(p, NULL, points, &list) : ERR_NOMEM);
		table = watch_point_draft_end(points);
		watch_point_draft_free(points);
		watch_put_free(p);
		must(watch_db_cas(db, &cas));
		more = inventory_with(v, list, cas, table);
		watch_points_unref(table);
		inventory_unref(v);
		watch_list_unref(list);
		watch_cas_unref(cas);
		v = more;
	}
	tell("put all lists", (double)(lists * n), "certificate");
	printf("%-44s %8.3f s of CPU, %.3f us a certificate\n",
	    "  of which adding to drafts", drafts, drafts / (double)(lists * n) * 1e6);
	return v;
}

static const struct inventory *load_all(size_t entries)
{
	const struct inventory *v;
	uint64_t left_out;
	long before = anon_kib();

	begin();
	must(watch_db_load(db, &v, &left_out));
	tell("load all lists at a start", (double)entries, "certificate");
	printf("%-44s %8.2f bytes an entry, %ld KiB\n", "memory of the inventory",
	    (double)(anon_kib() - before) * 1024 / (double)entries, anon_kib() - before);
	return v;
}

/* How many of these certificates have names. */
static size_t names_of(
    uint32_t generation, uint32_t ca, const struct crl_entry *const *found, size_t n)
{
	struct watch_record row;
	struct watch_rows *r;
	size_t named = 0;

	must(watch_rows_open(&r, db));
	for (size_t i = 0; i < n; i++) {
		must(watch_rows_find(r, generation, ca, found[i], &row));
		named += row.names.n > 0;
	}
	watch_rows_close(r);
	return named;
}

/* Batches of the diff, each with all lists, as subscribers meet it. */
static void match_all(const struct inventory *v, bool names)
{
	static struct watch_index index;
	size_t mapped, hits = 0;
	struct crl_entry *e = crl_entries_new(CHANGES, &mapped);
	const struct watched **at = calloc(v->n, sizeof *at);
	uint32_t ca = v->cas->ca[0].id;
	size_t n, changes, named = 0;

	for (uint64_t i = 0; i < CHANGES; i++) {
		struct serial s = serial_of(i);

		crl_entry_set_serial(&e[i], &s);
	}
	changes = crl_entries_sort(e, CHANGES);
	for (size_t l = 0; l < v->n; l++)
		at[l] = watch_list_of(v->list[l], ca, &n);
	begin();
	for (size_t b = 0; b < changes; b += CHANGE_BATCH_MAX) {
		const struct change *c = (const struct change *)(e + b);

		n = changes - b < CHANGE_BATCH_MAX ? changes - b : CHANGE_BATCH_MAX;
		watch_index_make(&index, c, n);
		for (size_t l = 0; l < v->n; l++) {
			const struct crl_entry *found[1000];
			struct watch_match m;
			size_t all, i, k = 0;
			const struct watched *first = watch_list_of(v->list[l], ca, &all);

			watch_match_start(&m, &index, 0, at[l], first + all);
			while (k < 1000 && (i = watch_match_next(&m, NULL)) < n)
				found[k++] = &c[i].entry;
			at[l] = m.entry;
			hits += k;
			if (names)
				named += names_of(v->list[l]->generation, ca, found, k);
		}
	}
	tell(names ? "match, with the names of each" : "match 3,048,289 changes",
	    (double)hits, "match");
	printf("  %zu matches, %zu with names\n", hits, named);
	free(at);
	crl_entries_free(e, mapped);
}

/* The same serials as an incident of anybody's: kept, loaded, and matched with all lists.
 */
static void announce_all(const struct inventory *v)
{
	struct incident_about about = {.name = "bench", .deadline = 1583280000};
	struct watch_draft *d = watch_draft_new(dir);
	struct incident_hits_want want = {.inventory = v};
	struct incident_hits hits;
	struct watch_point_draft *points = watch_point_draft_new(v->points, NULL);
	const struct watch_list *list;
	const struct watch_cas *cas;
	const struct inventory *more;
	struct watch_put *p;
	bool done = false;

	begin();
	must(incident_say(d, &about));
	for (uint64_t i = 0; i < CHANGES; i++) {
		struct watch_cert c = {.serial = serial_of(i),
		    .issuer_name = bytes_of(INCIDENT_ANYBODY, 1),
		    .not_before = WATCH_TIME_NONE,
		    .not_after = WATCH_TIME_NONE};

		must(watch_draft_add(d, &c));
	}
	must(watch_put_new(&p, db, "!bench", WATCH_INCIDENT, false, d));
	while (!done)
		must(watch_put_step(p, &done));
	must(points != NULL ? watch_put_list(p, NULL, points, &list) : ERR_NOMEM);
	watch_point_draft_free(points);
	watch_put_free(p);
	must(watch_db_cas(db, &cas));
	more = inventory_with(v, list, cas, v->points);
	must(more != NULL ? ERR_OK : ERR_NOMEM);
	tell("put an incident of 3,048,289", CHANGES, "serial");
	want.inventory = more;
	want.incident = incidents_named(more->incidents, "bench");
	begin();
	must(incident_hits_find(&hits, &want) ? ERR_OK : ERR_NOMEM);
	tell("match it with all lists", (double)more->entries, "entry");
	printf("  %zu certificates are on it\n", hits.n);
	incident_hits_clear(&hits);
	watch_list_unref(list);
	watch_cas_unref(cas);
	inventory_unref(more);
}

static bool on_found(void *arg, const struct watch_found *f)
{
	(void)f;
	++*(size_t *)arg;
	return true;
}

static void search(const char *what, const char *name, size_t rounds, size_t limit)
{
	struct watch_query q = {.name = bytes_of(name, strlen(name)),
	    .expires_before = INT64_MAX,
	    .limit = limit,
	    .inventory = in_memory};
	size_t found = 0;

	begin();
	for (size_t i = 0; i < rounds; i++) {
		must(watch_search(db, &q, on_found, &found, &q.from));
		if (name[0] != '\0')
			q.from = (struct watch_place){0};
	}
	tell(what, (double)rounds, "page");
	printf("  %zu found\n", found / rounds);
}

static void count_all(const struct inventory *v)
{
	struct watch_expiry x = {0};
	struct watched e;
	struct inventory_walk *w = inventory_walk_new(v, v->cas->ca[0].id, NULL);
	size_t n = 0;

	begin();
	for (; inventory_walk_next(w, &e); n++)
		watch_expiry_add(&x, watched_not_after(&e), 1710000000);
	tell("walk all certificates, count their ends", (double)n, "certificate");
	printf("  %zu certificates, %zu expired\n", n, x.expired);
	inventory_walk_free(w);
}

/* Whether it is watched and what of it was verified, by its number: in every list. */
static void find_one(const struct inventory *v, size_t n)
{
	size_t found = 0;

	begin();
	for (size_t i = 0; i < 10000; i++) {
		struct serial s = serial_of(number_of(i % v->n, i % n, n));
		struct watched e;

		found += inventory_find(v, v->cas->ca[0].id, &s, &e);
	}
	tell("look one up in all lists", 10000, "certificate");
	printf("  %zu found\n", found);
}

static int on_file(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
	(void)st, (void)type, (void)ftw;
	return remove(path);
}

int main(int argc, char **argv)
{
	size_t lists = argc > 1 ? strtoul(argv[1], NULL, 10) : 1000;
	size_t n = argc > 2 ? strtoul(argv[2], NULL, 10) : 15000;
	const char *top = getenv("TMPDIR");
	const struct inventory *v;
	uint64_t used, limit;
	char why[8192];
	bool more = true;
	size_t rounds = 0;

	snprintf(dir, sizeof dir, "%s/inventory-XXXXXX", top != NULL ? top : "/tmp");
	if (mkdtemp(dir) == NULL || lists == 0 || n == 0)
		return 64;
	if (watch_db_open(&db, dir, SIZE, why, sizeof why) != ERR_OK) {
		fprintf(stderr, "inventory: %s\n", why);
		return 1;
	}
	v = put_all(lists, n);
	inventory_unref(v);
	must(watch_db_used(db, &used, &limit));
	printf("%-44s %8.1f bytes a certificate, %.0f MB\n", "the file",
	    (double)used / (double)(lists * n), (double)used / 1e6);
	v = in_memory = load_all(lists * n);
	match_all(v, false);
	match_all(v, true);
	announce_all(v);
	count_all(v);
	find_one(v, n);
	search("find one host by name", "h7.l0.four0.eight0.shop.example", 20, 100);
	search("find one list by name", "l0.four0.eight0.shop.example", 20, 100);
	search("find four lists by name", "four0.eight0.shop.example", 20, 100);
	search("find eight lists by name", "eight0.shop.example", 20, 100);
	search("find all by name", "shop.example", 20, 100);
	search("page after page", "", 20, 100);
	begin();
	must(watch_db_drop(db, "list0000"));
	for (; more; rounds++)
		must(watch_db_sweep(db, &more));
	tell("drop and sweep one list", (double)n, "certificate");
	inventory_unref(v);
	watch_db_close(db);
	return nftw(dir, on_file, 16, FTW_DEPTH | FTW_PHYS) == 0 ? 0 : 1;
}
