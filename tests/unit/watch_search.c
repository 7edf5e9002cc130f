#include "tests/lib/faults.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

#include "cache/watch/watch_search.h"
#include "tests/lib/inventory_kit.h"
#include "tests/lib/store_kit.h"

#define LISTS 6
#define CAS   4
#define MOST  400 /* certificates of a list */

static char *dir;
static struct watch_db *db;
static const struct inventory *inventory;

/* The model: what each list says, one after the other. */
struct said {
	bool there;
	unsigned ca;
	uint64_t number;
	char name[3][48];
	size_t names_n;
	int64_t not_after;
};
static struct said said[LISTS][MOST];
static char list_name[LISTS][16];

static int setup(void **state)
{
	char why[8192];

	(void)state;
	dir = kit_directory();
	memset(said, 0, sizeof said);
	inventory = inventory_ref(&inventory_none);
	for (size_t l = 0; l < LISTS; l++)
		snprintf(list_name[l], sizeof list_name[l], "list%zu", l);
	return watch_db_open(&db, dir, (size_t)256 << 20, why, sizeof why);
}

static int teardown(void **state)
{
	(void)state;
	inventory_unref(inventory);
	watch_db_close(db);
	kit_remove(dir);
	return 0;
}

/* Names out of few, so that many fit: hosts, wildcards, names that only end alike. */
static void make_name(char out[48])
{
	static const char *const host[] = {"www.", "*.", "", "mail.eu.", "*.eu.", "not"};
	static const char *const zone[] = {
	    "shop.example", "example", "shop.example.net", "workshop.example"};

	switch (kit_random() % 12) {
	case 0:
		snprintf(out, 48, "10.0.0.%u", (unsigned)(kit_random() % 3));
		break;
	case 1:
		snprintf(out, 48, "2001:db8::%u", (unsigned)(kit_random() % 3));
		break;
	case 2:
		snprintf(out, 48, "a@shop.example");
		break;
	case 3:
		snprintf(out, 48, "https://shop.example/");
		break;
	default:
		snprintf(out, 48, "%s%s", host[kit_random() % 6], zone[kit_random() % 4]);
	}
}

static struct serial serial_of(uint64_t number)
{
	struct serial s = kit_wide_serial(number);

	/* of one to sixteen octets, some with a sign pad */
	s.n = (uint8_t)(1 + number % 16);
	if (number % 5 == 0)
		s.octets[0] = 0;
	put_be(s.octets + s.n, number, 2);
	s.n = (uint8_t)(s.n + 2);
	return s;
}

/* A list of other certificates in the place of what it was. */
static void put_list(size_t l)
{
	struct watch_draft *d = watch_draft_new(dir);
	size_t n = kit_random() % MOST;
	const struct inventory *more;
	const struct watch_list *list;
	const struct watch_cas *cas;

	memset(said[l], 0, sizeof said[l]);
	for (size_t i = 0; i < n; i++) {
		struct said *s = &said[l][kit_random() % MOST];
		struct kit_cert c;

		/* a certificate has its place in every list, so that none is there twice
		 */
		*s = (struct said){.there = true,
		    .ca = (unsigned)((size_t)(s - said[l]) % CAS),
		    .number = (uint64_t)(s - said[l]),
		    .names_n = kit_random() % 4,
		    .not_after = kit_random() % 5 == 0
				     ? WATCH_TIME_NONE
				     : 1000 + (int64_t)(kit_random() % 100)};
		kit_cert(&c, s->ca, serial_of(s->number));
		for (size_t k = 0; k < s->names_n; k++) {
			make_name(s->name[k]);
			kit_name(&c, s->name[k]);
		}
		c.cert.not_after = s->not_after;
		assert_int_equal(watch_draft_add(d, &c.cert), ERR_OK);
	}
	assert_int_equal(kit_put(db, list_name[l], false, d, NULL, &list), ERR_OK);
	assert_int_equal(watch_db_cas(db, &cas), ERR_OK);
	more = inventory_with(inventory, list, cas, &watch_points_none);
	inventory_unref(inventory);
	inventory = more;
	watch_list_unref(list);
	watch_cas_unref(cas);
}

/* RFC 1034's tree, as the API tells it: the name, what lies below it, the wildcard that
 * covers it; another kind of name is itself. */
static bool name_fits(const char *name, const char *asked)
{
	size_t n = strlen(name), a = strlen(asked);
	const char *parent = strchr(asked, '.');

	if (strcmp(name, asked) == 0)
		return true;
	if (strpbrk(asked, "@:/") != NULL || (asked[0] >= '0' && asked[0] <= '9') ||
	    strpbrk(name, "@:/") != NULL)
		return false;
	if (n > a && strcmp(name + n - a, asked) == 0 && name[n - a - 1] == '.')
		return true;
	return parent != NULL && name[0] == '*' && strcmp(name + 1, parent) == 0;
}

struct ask {
	const char *name;
	int ca, list; /* -1: any */
	int64_t before;
};

static bool fits(const struct said *s, const struct ask *q)
{
	bool named = q->name[0] == '\0';

	for (size_t k = 0; k < s->names_n; k++)
		named |= name_fits(s->name[k], q->name);
	return named;
}

/* Is number n found, by all that the lists say together? */
static bool expected(size_t n, const struct ask *q)
{
	bool there = false, named = false;
	int64_t not_after = WATCH_TIME_NONE;

	for (size_t l = 0; l < LISTS; l++) {
		const struct said *s = &said[l][n];

		if (!s->there)
			continue;
		there |= q->list < 0 || (size_t)q->list == l;
		named |= fits(s, q);
		if (not_after == WATCH_TIME_NONE ||
		    (s->not_after != WATCH_TIME_NONE && s->not_after < not_after))
			not_after = s->not_after;
	}
	return there && named && (q->ca < 0 || (unsigned)q->ca == n % CAS) &&
	       (q->before == INT64_MAX ||
		   (not_after != WATCH_TIME_NONE && not_after < q->before));
}

static int64_t value_of(const struct serial *s, size_t from)
{
	return (int64_t)get_be(s->octets + from, s->n - from < 8 ? s->n - from : 8);
}

/* By DN, by the number that the serial is. */
static bool is_before(
    const char *dn_a, const struct serial *a, const char *dn_b, const struct serial *b)
{
	int order = strcmp(dn_a, dn_b);
	struct serial x = *a, y = *b;

	if (order != 0)
		return order < 0;
	if (x.n != y.n)
		return x.n < y.n;
	for (size_t i = 0; i < x.n; i += 8)
		if (value_of(&x, i) != value_of(&y, i))
			return (uint64_t)value_of(&x, i) < (uint64_t)value_of(&y, i);
	return false;
}

struct found {
	bool number[MOST];
	size_t n, odd; /* odd: every other one is passed over */
	bool any;
	char dn[64]; /* of the last one, as the next */
	struct serial serial;
};

static void check_row(const struct watch_found *f, size_t n)
{
	size_t lists = 0;

	for (size_t l = 0; l < LISTS; l++) {
		struct bytes run, text;

		if (!said[l][n].there)
			continue;
		assert_true(lists < f->lists_n);
		assert_string_equal(f->on[lists].list, list_name[l]);
		run = f->on[lists].row.names;
		for (size_t k = 0; k < said[l][n].names_n; k++) {
			assert_true(watch_run_next(&run, &text));
			assert_true(bytes_equal(text,
			    bytes_of(said[l][n].name[k], strlen(said[l][n].name[k]))));
		}
		assert_false(watch_run_next(&run, &text));
		lists++;
	}
	assert_int_equal(lists, f->lists_n);
}

static bool on_found(void *arg, const struct watch_found *f)
{
	struct found *found = arg;
	size_t n = (size_t)get_be(f->serial.octets + f->serial.n - 2, 2);

	assert_true(n < MOST);
	assert_false(found->number[n]); /* nothing twice */
	assert_true(
	    !found->any || is_before(found->dn, &found->serial, f->ca->dn, &f->serial));
	found->any = true;
	snprintf(found->dn, sizeof found->dn, "%s", f->ca->dn);
	found->serial = f->serial;
	check_row(f, n);
	found->number[n] = true;
	found->n++;
	return found->odd == 0 || n % 2 == 0;
}

static struct watch_query query_of(
    const struct ask *q, char issuer[2 * WATCH_AKI_MAX + 1])
{
	uint8_t aki[20];

	memset(aki, q->ca + 1, sizeof aki);
	hex_encode(aki, sizeof aki, issuer);
	return (struct watch_query){.name = bytes_of(q->name, strlen(q->name)),
	    .issuer = q->ca < 0 ? NULL : issuer,
	    .list = q->list < 0 ? NULL : list_name[q->list],
	    .expires_before = q->before,
	    .inventory = kit_random() % 2 == 0 ? inventory : NULL};
}

/* Page after page, each of another length. */
static size_t check(const struct ask *q, size_t odd)
{
	char issuer[2 * WATCH_AKI_MAX + 1];
	struct watch_query query = query_of(q, issuer);
	struct found found = {.odd = odd};

	for (;;) {
		struct watch_place next;
		size_t before = found.n, pages = 0;

		query.limit = 1 + kit_random() % 50;
		assert_int_equal(
		    watch_search(db, &query, on_found, &found, &next), ERR_OK);
		assert_true(odd != 0 || found.n - before <= query.limit);
		if (next.ca == 0)
			break;
		assert_true(found.n > before || ++pages < 10);
		query.from = next;
	}
	for (size_t n = 0; n < MOST; n++)
		assert_int_equal(found.number[n], expected(n, q));
	return found.n;
}

static const char *const names[] = {"", "", "shop.example", "www.shop.example", "example",
    "eu.shop.example", "mail.eu.shop.example", "*.shop.example", "net", "hop.example",
    "10.0.0.1", "2001:db8::2", "a@shop.example", "https://shop.example/", "absent"};

/* Every filter and their mixtures, against looking at everything. */
static void pages_have_what_is_looked_for(void **state)
{
	size_t all = 0;

	(void)state;
	for (size_t l = 0; l < LISTS; l++)
		put_list(l);
	for (size_t i = 0; i < 400; i++) {
		struct ask q = {.name = names[i % (sizeof names / sizeof names[0])],
		    .ca = kit_random() % 2 == 0 ? -1 : (int)(kit_random() % (CAS + 1)),
		    .list = kit_random() % 2 == 0 ? -1 : (int)(kit_random() % LISTS),
		    .before = kit_random() % 2 == 0
				  ? INT64_MAX
				  : 1000 + (int64_t)(kit_random() % 100)};

		all += check(&q, kit_random() % 3 == 0);
	}
	assert_true(all > 5000);
}

/* What stays the same while lists change is told once, whatever comes and goes. */
static void pages_stay_right_while_lists_change(void **state)
{
	(void)state;
	for (size_t i = 0; i < 20; i++) {
		struct watch_query q = {.name = bytes_of("example", i % 2 == 0 ? 0 : 7),
		    .expires_before = INT64_MAX,
		    .limit = 7};
		bool always[MOST], told[MOST] = {false};
		struct found found;

		for (size_t l = 0; l < LISTS; l++)
			put_list(l);
		for (size_t n = 0; n < MOST; n++) /* on the list that stays */
			always[n] =
			    said[0][n].there &&
			    fits(&said[0][n],
				&(struct ask){.name = i % 2 == 0 ? "" : "example"});
		do {
			struct watch_place next;

			memset(&found, 0, sizeof found);
			assert_int_equal(
			    watch_search(db, &q, on_found, &found, &next), ERR_OK);
			for (size_t n = 0; n < MOST; n++) {
				assert_false(found.number[n] && told[n]);
				told[n] |= found.number[n];
			}
			q.from = next;
			if (kit_random() % 4 == 0)
				put_list(1 + kit_random() % (LISTS - 1));
		} while (q.from.ca != 0);
		for (size_t n = 0; n < MOST; n++)
			assert_true(!always[n] || told[n]);
	}
}

static bool count_found(void *arg, const struct watch_found *f)
{
	(void)f;
	++*(size_t *)arg;
	return true;
}

/* A page that looks in vain ends all the same, and is gone on from. */
static bool on_none(void *arg, const struct watch_found *f)
{
	(void)f;
	++*(size_t *)arg;
	return false;
}

/* So many names fit that the index of serials serves; then the order and the places are
 * the same. */
static void a_name_that_nearly_all_have_is_found_by_serial(void **state)
{
	struct watch_draft *d = watch_draft_new(dir);
	struct watch_query q = {.name = bytes_of("shop.example", 12),
	    .expires_before = INT64_MAX,
	    .limit = 10};
	const struct watch_list *l;
	struct watch_place next;
	/* with so many, more keys are looked at than a page may take */
	size_t all = getenv("TEST_ALL") != NULL ? 300000 : 20000, n = 0, pages = 0;

	(void)state;
	assert_int_equal(kit_fill(d, 0, 0, all, "x"), ERR_OK);
	assert_int_equal(kit_put(db, "web", false, d, NULL, &l), ERR_OK);
	watch_list_unref(l);
	do {
		size_t before = n;

		assert_int_equal(watch_search(db, &q, count_found, &n, &next), ERR_OK);
		assert_true(n - before <= q.limit);
		q.from = next;
		q.limit = 999;
		assert_true(++pages < 1000); /* each gets on */
	} while (next.ca != 0);
	assert_int_equal(n, all);
	q = (struct watch_query){.expires_before = INT64_MAX, .limit = 1000};
	for (n = pages = 0, next.ca = 1; next.ca != 0; pages++) {
		assert_int_equal(watch_search(db, &q, on_none, &n, &next), ERR_OK);
		q.from = next;
	}
	assert_int_equal(n, all);
}

static void put_named(const char *name, size_t n, size_t every, size_t named)
{
	struct watch_draft *d = watch_draft_new(dir);
	const struct watch_list *l;

	for (size_t i = 0; i < n; i += every) {
		struct kit_cert c;
		char host[64];

		kit_cert(&c, 0, kit_wide_serial(i));
		snprintf(host, sizeof host, "h%zu.%s.example", i,
		    named > 0 && i % named == 0 ? "some" : "other");
		kit_name(&c, host);
		assert_int_equal(watch_draft_add(d, &c.cert), ERR_OK);
	}
	assert_int_equal(kit_put(db, name, false, d, NULL, &l), ERR_OK);
	watch_list_unref(l);
}

struct ordered {
	size_t n;
	struct serial last;
};

static bool on_ordered(void *arg, const struct watch_found *f)
{
	struct ordered *o = arg;

	assert_true(o->n++ == 0 || o->last.n < f->serial.n ||
		    memcmp(o->last.octets, f->serial.octets, f->serial.n) < 0);
	o->last = f->serial;
	return true;
}

/* One in two, three, twelve has the name, by one list or by another: found by serial, by
 * name when some were tried, by name at once; the same rows, each once, in one order. */
static void a_name_that_some_have_is_found_in_each_way(void **state)
{
	static const size_t share[] = {2, 3, 12};
	const size_t all = 20000;

	(void)state;
	for (size_t i = 0; i < sizeof share / sizeof share[0]; i++) {
		struct watch_query q = {.name = bytes_of("some.example", 12),
		    .expires_before = INT64_MAX,
		    .limit = 100};
		struct ordered o = {0};
		struct watch_place next;

		put_named("a", all, 2, 0);
		put_named("b", all, 1, share[i]);
		put_named("c", all, 4, share[i]);
		do {
			assert_int_equal(
			    watch_search(db, &q, on_ordered, &o, &next), ERR_OK);
			q.from = next;
			q.limit = 900;
		} while (next.ca != 0);
		assert_int_equal(o.n, (all + share[i] - 1) / share[i]);
	}
}

/* Two numbers of one CA: it was watched before it was configured, and lists name it in
 * two ways. */
static void a_ca_with_two_numbers_is_one(void **state)
{
	struct watch_query q = {
	    .expires_before = INT64_MAX, .limit = 10, .issuer = "demo"};
	struct watch_draft *d = watch_draft_new(dir);
	const struct watch_list *l;
	struct watch_place next;
	struct kit_cert c;
	size_t n = 0;

	(void)state;
	kit_cert(&c, 0, kit_wide_serial(1));
	c.cert.aki.n = 0; /* by its DN, which is all that is known */
	assert_int_equal(watch_draft_add(d, &c.cert), ERR_OK);
	assert_int_equal(kit_put(db, "list0", false, d, NULL, &l), ERR_OK);
	watch_list_unref(l);
	d = watch_draft_new(dir);
	kit_cert(&c, 0, kit_wide_serial(1));
	c.cert.issuer = "demo";
	assert_int_equal(watch_draft_add(d, &c.cert), ERR_OK);
	assert_int_equal(kit_put(db, "list1", false, d, NULL, &l), ERR_OK);
	watch_list_unref(l);
	q.issuer = NULL;
	assert_int_equal(watch_search(db, &q, count_found, &n, &next), ERR_OK);
	assert_int_equal(n, 2); /* nobody knows yet */
	assert_int_equal(watch_db_name_ca(db, 1, "demo"), ERR_OK);
	q.issuer = "demo";
	n = 0;
	assert_int_equal(watch_search(db, &q, count_found, &n, &next), ERR_OK);
	assert_int_equal(n, 1);
	assert_int_equal(next.ca, 0);
	q.issuer = "nobody";
	n = 0;
	assert_int_equal(watch_search(db, &q, count_found, &n, &next), ERR_OK);
	assert_int_equal(n, 0);
	q.list = "nothing";
	assert_int_equal(watch_search(db, &q, count_found, &n, &next), ERR_NOT_FOUND);
}

/* URIs may be longer than a key. */
static void a_long_name_is_found_by_all_of_it(void **state)
{
	static char name[3][700];
	struct watch_draft *d = watch_draft_new(dir);
	struct watch_query q = {.expires_before = INT64_MAX, .limit = 10};
	const struct watch_list *l;
	struct watch_place next;
	struct kit_cert c;
	size_t n = 0;

	(void)state;
	for (int i = 0; i < 3; i++) {
		memset(name[i], 'a', 600);
		memcpy(name[i], i == 2 ? "x" : "urn://", i == 2 ? 1 : 6);
		name[i][599] = (char)('0' + i);
		kit_cert(&c, 0, kit_wide_serial((uint64_t)i));
		c.name[0] = bytes_of(name[i], 600);
		c.cert.names_n = 1;
		assert_int_equal(watch_draft_add(d, &c.cert), ERR_OK);
	}
	assert_int_equal(kit_put(db, "web", false, d, NULL, &l), ERR_OK);
	for (int i = 0; i < 3; i++) {
		q.name = bytes_of(name[i], 600);
		n = 0;
		assert_int_equal(watch_search(db, &q, count_found, &n, &next), ERR_OK);
		assert_int_equal(n, 1);
		q.name.n = 500; /* a beginning is another name */
		n = 0;
		assert_int_equal(watch_search(db, &q, count_found, &n, &next), ERR_OK);
		assert_int_equal(n, 0);
	}
	watch_list_unref(l);
}

/* The n-th allocation that fails: a page, or a word that there is none. */
static void without_memory_a_page_is_refused(void **state)
{
	static const char *const asked[] = {"", "example"};
	unsigned long calls, n = 1, refused = 0;

	(void)state;
	for (size_t l = 0; l < LISTS; l++)
		put_list(l);
	do {
		enum err e = ERR_OK;

		faults_arm(FAULT_MEMORY, n, 1);
		for (size_t i = 0; i < 2 && e == ERR_OK; i++) {
			struct watch_query q = {
			    .name = bytes_of(asked[i], strlen(asked[i])),
			    .expires_before = INT64_MAX,
			    .limit = 20,
			    .inventory = inventory};
			struct watch_place next;
			size_t found = 0;

			e = watch_search(db, &q, count_found, &found, &next);
			assert_true(e != ERR_OK || found == 20);
		}
		if (e == ERR_OK) {
			struct inventory_walk *w = inventory_walk_new(inventory, 1, NULL);

			e = w != NULL ? ERR_OK : ERR_NOMEM;
			inventory_walk_free(w);
		}
		calls = faults_disarm();
		/* qsort() does without */
		assert_true(e == ERR_OK || (calls >= n && e == ERR_NOMEM));
		refused += e != ERR_OK;
		n++;
	} while (calls >= n - 1);
	assert_true(refused > 20);
}

static void a_place_is_read_as_it_was_written(void **state)
{
	static const char *const wrong[] = {"", "00000001", "0000000101 ", "000000010g",
	    "0000000001", "00000001FF", "000000010", "zz",
	    "00000001aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"};
	struct watch_place p = {.ca = 77, .serial = {3, {0, 0xff, 1}}}, back;
	char text[WATCH_PLACE_TEXT_MAX];

	(void)state;
	watch_place_text(&p, text);
	assert_true(watch_place_parse(&back, text));
	assert_int_equal(back.ca, 77);
	assert_true(serial_equal(&back.serial, &p.serial));
	for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++)
		assert_false(watch_place_parse(&back, wrong[i]));
}

#define CASE(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
	    CASE(pages_have_what_is_looked_for),
	    CASE(pages_stay_right_while_lists_change),
	    CASE(a_name_that_nearly_all_have_is_found_by_serial),
	    CASE(a_name_that_some_have_is_found_in_each_way),
	    CASE(a_ca_with_two_numbers_is_one),
	    CASE(a_long_name_is_found_by_all_of_it),
	    CASE(without_memory_a_page_is_refused),
	    CASE(a_place_is_read_as_it_was_written),
	};

	return cmocka_run_group_tests_name("watch_search", tests, NULL, NULL);
}
