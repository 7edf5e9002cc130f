#include "tests/lib/faults.h"

#include <fcntl.h>
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "cache/watch/watch_db.h"
#include "cache/watch/watch_db_file.h"
#include "cache/watch/watch_rows.h"
#include "tests/lib/child.h"
#include "tests/lib/inventory_kit.h"
#include "tests/lib/store_kit.h"

#define SIZE ((size_t)256 << 20)

static char *dir;
static struct watch_db *db;
static char why[8192];

static enum err open_db(size_t size)
{
	return watch_db_open(&db, dir, size, why, sizeof why);
}

static int setup(void **state)
{
	(void)state;
	dir = kit_directory();
	return open_db(SIZE);
}

static int teardown(void **state)
{
	(void)state;
	watch_db_close(db);
	kit_remove(dir);
	return 0;
}

static void reopen(void)
{
	watch_db_close(db);
	assert_int_equal(open_db(SIZE), ERR_OK);
}

static const struct watch_list *put(
    const char *name, bool add, struct watch_draft *d, const struct watch_list *old)
{
	const struct watch_list *l;

	assert_int_equal(kit_put(db, name, add, d, old, &l), ERR_OK);
	return l;
}

/* n certificates of CA number ca from serial number `from` on. */
static struct watch_draft *draft(unsigned ca, uint64_t from, size_t n, const char *label)
{
	struct watch_draft *d = watch_draft_new(dir);

	assert_int_equal(kit_fill(d, ca, from, n, label), ERR_OK);
	return d;
}

static const struct inventory *load(void)
{
	const struct inventory *v;
	uint64_t left_out;

	assert_int_equal(watch_db_load(db, &v, &left_out), ERR_OK);
	return v;
}

static size_t count(int dbi)
{
	MDB_txn *txn;
	MDB_stat st;

	assert_int_equal(mdb_txn_begin(db->env, NULL, MDB_RDONLY, &txn), 0);
	assert_int_equal(mdb_stat(txn, db->dbi[dbi], &st), 0);
	mdb_txn_abort(txn);
	return st.ms_entries;
}

static void sweep(void)
{
	bool more = true;

	while (more)
		assert_int_equal(watch_db_sweep(db, &more), ERR_OK);
}

/* What stands in the file is what lists have, and nothing else. */
static void check_tidy(size_t lists, size_t certificates, size_t names)
{
	sweep();
	assert_int_equal(count(DBI_LISTS), lists);
	assert_int_equal(count(DBI_GENS), lists);
	assert_int_equal(count(DBI_ROWS), certificates);
	assert_int_equal(count(DBI_SERIALS), certificates);
	assert_int_equal(count(DBI_NAMES), names);
}

struct label {
	char text[16];
	size_t rows, gone;
};

static void on_row(void *arg, size_t i, const struct watch_record *row)
{
	struct label *l = arg;
	struct bytes run, text;

	(void)i;
	if (row == NULL) {
		l->gone++;
		return;
	}
	l->rows++;
	run = row->labels;
	assert_true(watch_run_next(&run, &text));
	if (l->text[0] == '\0')
		memcpy(l->text, text.p, text.n);
	assert_true(bytes_equal(text, bytes_of(l->text, strlen(l->text))));
}

/* What a list of this generation says of n certificates. */
static enum err ask(uint32_t generation, uint32_t ca, const struct crl_entry *const *at,
    size_t n, struct label *label)
{
	struct watch_record row;
	struct watch_rows *r;
	enum err e = watch_rows_open(&r, db);

	for (size_t i = 0; e == ERR_OK && i < n; i++) {
		e = watch_rows_find(r, generation, ca, at[i], &row);
		if (e != ERR_OK && e != ERR_NOT_FOUND)
			break;
		on_row(label, i, e == ERR_OK ? &row : NULL);
		e = ERR_OK;
	}
	watch_rows_close(r);
	return e;
}

/* All rows of a list have one label; returns how many. */
static size_t label_of(const struct watch_list *l, char text[16])
{
	struct label label = {0};

	for (size_t r = 0; r < l->ranges_n; r++)
		for (size_t i = 0; i < l->ranges[r].n; i++) {
			struct crl_entry e = {0};
			const struct crl_entry *one = &e;
			struct serial s;

			watched_serial(&l->entries[l->ranges[r].first + i], &s);
			crl_entry_set_serial(&e, &s);
			assert_int_equal(
			    ask(l->generation, l->ranges[r].ca, &one, 1, &label), ERR_OK);
		}
	assert_int_equal(label.gone, 0);
	memcpy(text, label.text, sizeof label.text);
	return label.rows;
}

/* The file knows of each certificate which lists it names, and memory the first one. */
static void lists_that_are_named_are_known_after_a_restart(void **state)
{
	static const char *const url[] = {"http://a.example/1", "http://b.example/2"};
	const struct inventory *v;

	(void)state;
	for (unsigned l = 0; l < 2; l++) { /* the other way round in the second one */
		struct watch_draft *d = watch_draft_new(dir);
		const struct watch_list *list;

		for (unsigned i = 0; i < 300; i++) {
			struct bytes named[2];
			struct kit_cert c;

			kit_cert(&c, i % 2, kit_wide_serial(i));
			for (unsigned k = 0; k < 2; k++)
				named[k] = bytes_of(url[(i + k + l) % 2], 18);
			c.cert.crl = named;
			c.cert.crl_n = i < 200 ? 2 : 0;
			assert_int_equal(watch_draft_add(d, &c.cert), ERR_OK);
		}
		list = put(l == 0 ? "one" : "two", false, d, NULL);
		watch_list_unref(list);
	}
	reopen();
	v = load();
	assert_int_equal(v->points->used, 4); /* two of each CA */
	for (unsigned l = 0; l < 2; l++)
		for (unsigned i = 0; i < 300; i++) {
			struct serial s = kit_wide_serial(i);
			const struct watched *e =
			    watch_list_find(v->list[l], 1 + i % 2, &s);
			const char *is = watch_points_url(v->points, watched_point(e));

			assert_int_equal(is != NULL, i < 200);
			if (is != NULL)
				assert_string_equal(is, url[(i + l) % 2]);
		}
	inventory_unref(v);
}

static void a_list_is_there_after_a_restart(void **state)
{
	const struct watch_list *web, *mail;
	const struct inventory *v;
	struct watch_draft *d = draft(1, 0, 500, "web");
	char text[16];

	(void)state;
	assert_int_equal(kit_fill(d, 0, 100, 700, "web"), ERR_OK);
	web = put("web", false, d, NULL);
	mail = put("mail", false, draft(1, 400, 300, "mail"), NULL);
	assert_int_equal(web->n, 1200);
	reopen();
	v = load();
	assert_int_equal(v->n, 2);
	assert_true(kit_same(inventory_list(v, "web"), web));
	assert_true(kit_same(inventory_list(v, "mail"), mail));
	assert_int_equal(v->cas->n, 2);
	assert_string_equal(v->cas->ca[0].dn, "CN=CA 1,O=Test");
	assert_int_equal(label_of(web, text), 1200);
	assert_string_equal(text, "web");
	check_tidy(2, 1500, 1500);
	inventory_unref(v);
	watch_list_unref(web);
	watch_list_unref(mail);
}

static void a_put_replaces(void **state)
{
	const struct watch_list *old = put("web", false, draft(0, 0, 900, "old"), NULL);
	const struct watch_list *new = put("web", false, draft(0, 500, 800, "new"), old);
	const struct inventory *v;
	char text[16];

	(void)state;
	assert_int_equal(new->n, 800);
	assert_int_not_equal(new->generation, old->generation);
	v = load();
	assert_true(kit_same(inventory_list(v, "web"), new));
	assert_int_equal(label_of(new, text), 800);
	assert_string_equal(text, "new");
	/* who walks through the old one has its names until it is swept */
	assert_int_equal(label_of(old, text), 900);
	assert_string_equal(text, "old");
	check_tidy(1, 800, 800);
	inventory_unref(v);
	watch_list_unref(old);
	watch_list_unref(new);
}

static bool is_untold(const char *name)
{
	bool untold;

	assert_int_equal(watch_db_is_untold(db, name, &untold), ERR_OK);
	return untold;
}

static void told(const struct watch_list *l)
{
	assert_int_equal(watch_db_told(db, l->name, l->generation, l->version), ERR_OK);
}

/* T23: from the step on that makes it the list until it is told up to there. */
static void what_a_list_has_gained_is_marked_until_it_is_told(void **state)
{
	const struct watch_list *one, *few, *many;

	(void)state;
	assert_false(is_untold("web"));
	one = put("web", false, draft(0, 0, 100, "a"), NULL);
	assert_true(is_untold("web"));
	assert_false(is_untold("we"));
	reopen();
	assert_true(is_untold("web"));
	few = put("web", true, draft(0, 100, 5, "a"), one);
	told(one); /* what came since is not */
	assert_true(is_untold("web"));
	told(few);
	assert_false(is_untold("web"));
	many = put("web", true, draft(0, 200, 9000, "a"), few);
	told(few);
	assert_true(is_untold("web"));
	reopen();
	told(many);
	assert_false(is_untold("web"));
	told(many); /* nothing is marked */
	watch_list_unref(one);
	watch_list_unref(few);
	watch_list_unref(many);
}

/* And not before: a put that is given up marks nothing; a list that is dropped takes its
 * mark with it. */
static void a_mark_comes_and_goes_with_its_list(void **state)
{
	struct watch_put *p;
	bool done;

	(void)state;
	assert_int_equal(
	    watch_put_new(&p, db, "web", WATCH_API, false, draft(0, 0, 30000, "a")),
	    ERR_OK);
	assert_int_equal(watch_put_step(p, &done), ERR_OK);
	assert_int_equal(watch_put_step(p, &done), ERR_OK);
	assert_false(done);
	watch_put_free(p);
	assert_false(is_untold("web"));
	watch_list_unref(put("web", false, draft(0, 0, 10, "a"), NULL));
	assert_true(is_untold("web"));
	assert_int_equal(watch_db_drop(db, "web"), ERR_OK);
	assert_false(is_untold("web"));
	assert_int_equal(count(DBI_META), 2); /* the format, the next generation */
}

static void an_empty_list_is_one(void **state)
{
	const struct watch_list *l = put("web", false, watch_draft_new(dir), NULL);
	const struct inventory *v = load();

	(void)state;
	assert_int_equal(l->n, 0);
	assert_int_equal(inventory_list(v, "web")->n, 0);
	inventory_unref(v);
	watch_list_unref(l);
	check_tidy(1, 0, 0);
}

/* A few go into the list as it is, many make a new one of all. */
static void a_post_adds(void **state)
{
	const struct watch_list *old = put("web", false, draft(0, 0, 1000, "a"), NULL);
	const struct watch_list *few = put("web", true, draft(0, 900, 200, "a"), old);
	const struct watch_list *many = put("web", true, draft(0, 1050, 9000, "a"), few);
	const struct inventory *v = load();
	char text[16];

	(void)state;
	assert_int_equal(few->n, 1100);
	assert_int_equal(few->generation, old->generation);
	assert_int_not_equal(few->version, old->version);
	assert_int_equal(many->n, 10050);
	assert_int_not_equal(many->generation, old->generation);
	assert_true(kit_same(inventory_list(v, "web"), many));
	assert_int_equal(label_of(many, text), 10050);
	check_tidy(1, 10050, 10050);
	inventory_unref(v);
	watch_list_unref(old);
	watch_list_unref(few);
	watch_list_unref(many);
}

/* 16 KiB of names each: what is written in one transaction is bounded by bytes too. */
static void large_rows_take_more_steps(void **state)
{
	static char name[4][4000];
	struct watch_put *p;
	bool done = false;
	int steps = 0;

	(void)state;
	watch_list_unref(put("web", false, draft(0, 0, 10, "a"), NULL));
	for (int add = 0; add < 2; add++) {
		struct watch_draft *d = watch_draft_new(dir);
		const struct inventory *v;

		for (uint64_t i = 0; i < 2000; i++) {
			struct kit_cert c;

			kit_cert(&c, 0, kit_wide_serial(i));
			for (size_t k = 0; k < 4; k++) {
				memset(name[k], 'a' + (int)k, sizeof name[k]);
				c.name[k] = bytes_of(name[k], sizeof name[k]);
			}
			c.cert.names_n = 4;
			assert_int_equal(watch_draft_add(d, &c.cert), ERR_OK);
		}
		assert_int_equal(watch_put_new(&p, db, "web", WATCH_API, add, d), ERR_OK);
		for (steps = 0, done = false; !done; steps++)
			assert_int_equal(watch_put_step(p, &done), ERR_OK);
		assert_true(steps >= 3 + add);
		watch_put_free(p);
		v = load();
		assert_int_equal(inventory_list(v, "web")->n, 2000);
		inventory_unref(v);
		check_tidy(1, 2000, 8000);
	}
}

/* Names that it had before go with them. */
static void what_a_post_says_anew_counts(void **state)
{
	const struct watch_list *old = put("web", false, draft(0, 0, 100, "a"), NULL);
	struct watch_draft *d = watch_draft_new(dir);
	const struct watch_list *new;
	struct kit_cert c;
	char text[16];

	(void)state;
	for (uint64_t i = 0; i < 100; i++) {
		kit_cert(&c, 0, kit_wide_serial(i));
		kit_label(&c, "b");
		assert_int_equal(watch_draft_add(d, &c.cert), ERR_OK);
	}
	new = put("web", true, d, old);
	assert_int_equal(label_of(new, text), 100);
	assert_string_equal(text, "b");
	check_tidy(1, 100, 0);
	watch_list_unref(old);
	watch_list_unref(new);
}

static void one_certificate_is_taken_off(void **state)
{
	const struct watch_list *old = put("web", false, draft(0, 0, 50, "a"), NULL),
				*new;
	const struct inventory *v;
	struct serial s = kit_wide_serial(7);
	uint32_t ca = old->ranges[0].ca;

	(void)state;
	assert_int_equal(watch_db_remove(db, old, ca, &s, &new), ERR_OK);
	assert_int_equal(new->n, 49);
	assert_null(watch_list_find(new, ca, &s));
	v = load();
	assert_true(kit_same(inventory_list(v, "web"), new));
	inventory_unref(v);
	check_tidy(1, 49, 49);
	watch_list_unref(old);
	assert_int_equal(watch_db_remove(db, new, ca, &s, &old), ERR_NOT_FOUND);
	assert_int_equal(watch_db_remove(db, new, ca + 1, &s, &old), ERR_NOT_FOUND);
	watch_list_unref(new);
}

static void a_list_is_dropped(void **state)
{
	(void)state;
	watch_list_unref(put("web", false, draft(0, 0, 3000, "a"), NULL));
	watch_list_unref(put("mail", false, draft(0, 0, 10, "a"), NULL));
	assert_int_equal(watch_db_drop(db, "web"), ERR_OK);
	assert_int_equal(watch_db_drop(db, "web"), ERR_NOT_FOUND);
	check_tidy(1, 10, 10);
	assert_int_equal(watch_db_drop(db, "mail"), ERR_OK);
	check_tidy(0, 0, 0);
}

/* More rows than one transaction writes. */
static void a_put_that_is_given_up_leaves_the_old_list(void **state)
{
	const struct watch_list *old = put("web", false, draft(0, 0, 100, "old"), NULL);
	const struct inventory *v;
	struct watch_put *p;
	bool done = false, more = true;

	(void)state;
	assert_int_equal(
	    watch_put_new(&p, db, "web", WATCH_API, false, draft(0, 0, 70000, "new")),
	    ERR_OK);
	for (int i = 0; i < 3; i++)
		assert_int_equal(watch_put_step(p, &done), ERR_OK);
	assert_false(done);
	assert_int_equal(count(DBI_GENS), 2);
	while (more) /* a sweep leaves what is being written */
		assert_int_equal(watch_db_sweep(db, &more), ERR_OK);
	assert_int_equal(count(DBI_GENS), 2);
	assert_true(count(DBI_ROWS) > 60000);
	v = load();
	assert_true(kit_same(inventory_list(v, "web"), old));
	inventory_unref(v);
	watch_put_free(p);
	check_tidy(1, 100, 100);
	watch_list_unref(old);
}

/* Two at once, each in its own slices. */
static void two_puts_do_not_mix(void **state)
{
	static const char *const name[2] = {"web", "mail"};
	struct watch_put *p[2];
	const struct watch_list *l[2];
	const struct inventory *v;
	bool done[2] = {false, false};
	char text[16];

	(void)state;
	for (int i = 0; i < 2; i++)
		assert_int_equal(watch_put_new(&p[i], db, name[i], WATCH_API, false,
				     draft(0, 1000u * (unsigned)i, 50000, name[i])),
		    ERR_OK);
	while (!done[0] || !done[1])
		for (int i = 0; i < 2; i++)
			if (!done[i])
				assert_int_equal(watch_put_step(p[i], &done[i]), ERR_OK);
	v = load();
	for (int i = 0; i < 2; i++) {
		struct watch_point_draft *points =
		    watch_point_draft_new(&watch_points_none, NULL);

		assert_int_equal(watch_put_list(p[i], NULL, points, &l[i]), ERR_OK);
		watch_point_draft_free(points);
		watch_put_free(p[i]);
		assert_true(kit_same(inventory_list(v, name[i]), l[i]));
		assert_int_equal(label_of(l[i], text), 50000);
		assert_string_equal(text, name[i]);
		watch_list_unref(l[i]);
	}
	inventory_unref(v);
	check_tidy(2, 100000, 100000);
}

static void rows_are_read_in_the_order_of_changes(void **state)
{
	const struct watch_list *l = put("web", false, draft(0, 0, 1000, "web"), NULL);
	static struct crl_entry e[1200];
	const struct crl_entry *at[1200];
	struct label label = {0};
	size_t n;

	(void)state;
	for (uint64_t i = 0; i < 1200; i++) { /* 200 of them are on no list */
		struct serial s = kit_wide_serial(i);

		crl_entry_set_serial(&e[i], &s);
	}
	n = crl_entries_sort(e, 1200);
	assert_int_equal(n, 1200);
	for (size_t i = 0; i < n; i++)
		at[i] = &e[i];
	assert_int_equal(ask(l->generation, l->ranges[0].ca, at, n, &label), ERR_OK);
	assert_int_equal(label.rows, 1000);
	assert_int_equal(label.gone, 200);
	label = (struct label){0};
	assert_int_equal(ask(l->generation + 1, l->ranges[0].ca, at, n, &label), ERR_OK);
	assert_int_equal(label.gone, 1200); /* swept, or another list */
	watch_list_unref(l);
}

/* Numbers stay, names come and go. */
static void a_ca_keeps_its_number(void **state)
{
	const struct watch_list *l = put("web", false, draft(0, 0, 5, "a"), NULL), *m;
	struct watch_draft *d = watch_draft_new(dir);
	const struct watch_cas *cas;
	struct kit_cert c;

	(void)state;
	/* it is configured now: the same key by an issuer's name */
	kit_cert(&c, 0, kit_wide_serial(9));
	c.cert.issuer = "demo";
	assert_int_equal(watch_draft_add(d, &c.cert), ERR_OK);
	/* and its key alone, in the same list */
	kit_cert(&c, 0, kit_wide_serial(9));
	assert_int_equal(watch_draft_add(d, &c.cert), ERR_OK);
	m = put("mail", false, d, NULL);
	assert_int_equal(m->n, 1);
	assert_int_equal(m->ranges[0].ca, l->ranges[0].ca);
	assert_int_equal(watch_db_cas(db, &cas), ERR_OK);
	assert_int_equal(cas->n, 1);
	assert_string_equal(cas->ca[0].issuer, "demo");
	watch_cas_unref(cas);
	assert_int_equal(watch_db_name_ca(db, l->ranges[0].ca, ""), ERR_OK);
	assert_int_equal(watch_db_name_ca(db, 77, "demo"), ERR_NOT_FOUND);
	reopen();
	assert_int_equal(watch_db_cas(db, &cas), ERR_OK);
	assert_string_equal(cas->ca[0].issuer, "");
	assert_int_equal(cas->ca[0].aki_n, 20);
	assert_string_equal(cas->ca[0].dn, "CN=CA 0,O=Test");
	watch_cas_unref(cas);
	watch_list_unref(l);
	watch_list_unref(m);
}

/* What a small file has no room for is refused; what it holds stays, and can go. */
static void a_full_file_refuses_and_drops_nothing(void **state)
{
	const struct watch_list *l, *first;
	const struct inventory *v;
	uint64_t used, limit;
	size_t lists = 0;
	enum err e;

	(void)state;
	watch_db_close(db);
	assert_int_equal(open_db((size_t)4 << 20), ERR_OK);
	first = put("list0", false, draft(0, 0, 1000, "a"), NULL);
	do {
		char name[16];

		snprintf(name, sizeof name, "list%zu", ++lists);
		e = kit_put(db, name, false, draft(0, 1000 * lists, 1000, "a"), NULL, &l);
		watch_list_unref(l);
		sweep();
	} while (e == ERR_OK);
	assert_int_equal(e, ERR_STORE_FULL);
	watch_db_why(db, why, sizeof why);
	assert_non_null(strstr(why, "watch.mdb: it is full; raise watch-size"));
	assert_int_equal(watch_db_used(db, &used, &limit), ERR_OK);
	assert_true(used <= limit && used > limit / 2);
	v = load();
	assert_int_equal(v->n, lists);
	assert_true(kit_same(inventory_list(v, "list0"), first));
	inventory_unref(v);
	watch_list_unref(first);
	check_tidy(lists, 1000 * lists, 1000 * lists);
	/* room is made by dropping, also of all that was there */
	for (size_t i = 0; i < lists; i++) {
		char name[32];

		snprintf(name, sizeof name, "list%zu", i);
		assert_int_equal(watch_db_drop(db, name), ERR_OK);
	}
	check_tidy(0, 0, 0);
	watch_list_unref(put("again", false, draft(0, 0, 5000, "a"), NULL));
}

/* A disk that is full: the file system says no through RLIMIT_FSIZE. */
static void a_full_disk_is_told_and_the_old_list_stays(void **state)
{
	pid_t pid;
	int status;

	(void)state;
	watch_list_unref(put("web", false, draft(0, 0, 1000, "old"), NULL));
	watch_db_close(db);
	db = NULL;
	pid = child_fork();
	if (pid == 0) {
		struct rlimit limit = {1 << 20, RLIM_INFINITY};
		const struct watch_list *l;
		struct watch_draft *d;

		signal(SIGXFSZ, SIG_IGN);
		if (open_db(SIZE) != ERR_OK)
			_exit(1);
		d = draft(0, 0, 30000, "new");
		setrlimit(RLIMIT_FSIZE, &limit);
		if (kit_put(db, "web", false, d, NULL, &l) == ERR_OK)
			_exit(2);
		watch_db_why(db, why, sizeof why);
		_exit(strstr(why, "watch.mdb: ") != NULL ? 0 : 3);
	}
	waitpid(pid, &status, 0);
	assert_true(WIFEXITED(status));
	assert_int_equal(WEXITSTATUS(status), 0);
	assert_int_equal(open_db(SIZE), ERR_OK);
	check_tidy(1, 1000, 1000);
}

static void write_at(off_t at, const void *p, size_t n)
{
	char path[4200];
	int fd;

	snprintf(path, sizeof path, "%s/watch.mdb", dir);
	fd = open(path, O_WRONLY);
	assert_true(fd >= 0);
	assert_int_equal(pwrite(fd, p, n, at), (ssize_t)n);
	close(fd);
}

static void expect_refused(const char *cause)
{
	db = NULL;
	assert_int_equal(open_db(SIZE), ERR_STORE);
	assert_non_null(strstr(why, "/watch.mdb: "));
	assert_non_null(strstr(why, cause));
}

static void damage_is_refused_with_the_remedy(void **state)
{
	char path[4200], zero[8192] = {0};

	(void)state;
	snprintf(path, sizeof path, "%s/watch.mdb", dir);
	watch_list_unref(put("web", false, draft(0, 0, 1000, "a"), NULL));
	watch_db_close(db);
	assert_int_equal(truncate(path, 3 * 4096), 0);
	expect_refused("put the watchlists again");
	write_at(0, zero, sizeof zero);
	expect_refused("put the watchlists again");
	assert_int_equal(truncate(path, 0), 0);
	expect_refused("put the watchlists again");
	assert_int_equal(unlink(path), 0);
	assert_int_equal(open_db(SIZE), ERR_OK); /* what the remedy says helps */
	check_tidy(0, 0, 0);
}

/* Change one value behind the back of the file. */
static void spoil(int dbi, MDB_val k, MDB_val v)
{
	MDB_txn *txn;

	assert_int_equal(mdb_txn_begin(db->env, NULL, 0, &txn), 0);
	assert_int_equal(mdb_put(txn, db->dbi[dbi], &k, &v, 0), 0);
	assert_int_equal(mdb_txn_commit(txn), 0);
}

/* Whatever the row is, the list is told once more, and then it is one of ours. */
static void an_odd_mark_is_one(void **state)
{
	const struct watch_list *l = put("web", false, draft(0, 0, 10, "a"), NULL);

	(void)state;
	spoil(DBI_META, watch_val("untold web", 10), watch_val("abc", 3));
	assert_true(is_untold("web"));
	told(l);
	assert_false(is_untold("web"));
	watch_list_unref(l);
}

static void an_unreadable_row_is_told(void **state)
{
	const struct watch_list *l = put("web", false, draft(0, 0, 100, "a"), NULL);
	const struct inventory *v;
	uint64_t left_out;
	struct serial s = kit_wide_serial(50);
	uint8_t key[WATCH_KEY_MAX];
	char bad[] = "no row";
	MDB_val k = {watch_record_key(key, l->generation, l->ranges[0].ca, &s), key};

	(void)state;
	spoil(DBI_ROWS, k, (MDB_val){6, bad});
	assert_int_equal(watch_db_load(db, &v, &left_out), ERR_RECORD);
	assert_null(v);
	watch_db_why(db, why, sizeof why);
	assert_non_null(strstr(why, "unreadable row; restore it from a copy, or remove"));
	watch_list_unref(l);
}

static void a_list_that_lacks_a_row_is_told(void **state)
{
	const struct watch_list *l = put("web", false, draft(0, 0, 100, "a"), NULL);
	struct watch_head h = {.generation = l->generation, .n = 101};
	const struct inventory *v;
	uint64_t left_out;
	MDB_txn *txn;

	(void)state;
	assert_int_equal(mdb_txn_begin(db->env, NULL, 0, &txn), 0);
	assert_int_equal(watch_db_head_put(db, txn, "web", &h), 0);
	assert_int_equal(mdb_txn_commit(txn), 0);
	assert_int_equal(watch_db_load(db, &v, &left_out), ERR_RECORD);
	watch_list_unref(l);
}

static void a_file_of_another_version_is_refused(void **state)
{
	char format[] = "format", other[] = "ocspcached watch 9";

	(void)state;
	spoil(DBI_META, (MDB_val){6, format}, (MDB_val){strlen(other), other});
	watch_db_close(db);
	expect_refused("written by another version of ocspcached");
	assert_non_null(strstr(why, "run that version"));
}

static _Atomic bool over;

/* Every list that is seen is whole. */
static void *read_on(void *arg)
{
	size_t *seen = arg;

	while (!over) {
		const struct inventory *v;
		uint64_t left_out;
		const struct watch_list *l;
		struct label label = {0};

		if (watch_db_load(db, &v, &left_out) != ERR_OK)
			return NULL;
		l = inventory_list(v, "web");
		for (size_t i = 0; i < l->n; i += 100) {
			struct crl_entry e = {0};
			const struct crl_entry *one = &e;
			struct serial s;

			watched_serial(&l->entries[i], &s);
			crl_entry_set_serial(&e, &s);
			if (ask(l->generation, l->ranges[0].ca, &one, 1, &label) !=
			    ERR_OK)
				return NULL;
		}
		++*seen;
		inventory_unref(v);
	}
	return arg;
}

static void any_thread_reads_while_one_writes(void **state)
{
	size_t seen = 0;
	void *result;
	pthread_t thread;

	(void)state;
	watch_list_unref(put("web", false, draft(0, 0, 2000, "a"), NULL));
	over = false;
	assert_int_equal(pthread_create(&thread, NULL, read_on, &seen), 0);
	for (unsigned i = 0; i < 20; i++) {
		watch_list_unref(put("web", false,
		    draft(0, 0, 2000 + 100 * (i % 2), i % 2 != 0 ? "a" : "b"), NULL));
		if (i % 4 == 0)
			sweep();
	}
	over = true;
	assert_int_equal(pthread_join(thread, &result), 0);
	assert_ptr_equal(result, &seen);
	assert_true(seen > 0);
}

static void the_file_is_for_its_owner_alone(void **state)
{
	char path[4200];
	struct stat st;

	(void)state;
	snprintf(path, sizeof path, "%s/watch.mdb", dir);
	assert_int_equal(stat(path, &st), 0);
	assert_int_equal(st.st_mode & 077, 0);
}

/* What the faults meet: a body that is read, a PUT or a POST, a certificate that is taken
 * off, a sweep, a start. */
static enum err everything(bool add, size_t n)
{
	struct watch_draft *d = watch_draft_new(dir);
	const struct watch_list *l = NULL, *rest = NULL;
	const struct inventory *v = NULL;
	uint64_t left_out;
	bool more = true;
	enum err e = d != NULL ? kit_fill(d, 1, 1000, n, "new") : ERR_NOMEM;

	if (e != ERR_OK) {
		watch_draft_free(d);
		return e;
	}
	e = kit_put(db, "web", add, d, NULL, &l);
	while (e == ERR_OK && more)
		e = watch_db_sweep(db, &more);
	if (e == ERR_OK) {
		struct serial s = kit_wide_serial(1000);

		e = watch_db_remove(db, l, l->ranges[l->ranges_n - 1].ca, &s, &rest);
	}
	if (e == ERR_OK)
		e = watch_db_load(db, &v, &left_out);
	watch_list_unref(l);
	watch_list_unref(rest);
	inventory_unref(v);
	return e;
}

/* False: there were fewer such calls. */
static bool survives(enum fault kind, unsigned long nth, bool add, size_t n)
{
	size_t base = add ? 10 : 0;
	const struct inventory *v;
	const struct watch_list *l;
	unsigned long calls;
	enum err e;

	watch_list_unref(put("web", false, draft(0, 0, 10, "old"), NULL));
	sweep();
	faults_arm(kind, nth, 1);
	e = everything(add, n);
	calls = faults_disarm();
	if (calls < nth)
		assert_int_equal(e, ERR_OK);
	else if (kind == FAULT_MEMORY)
		assert_true(
		    e == ERR_NOMEM || (n > 24 && e == ERR_OK)); /* a sort is slower */
	else
		assert_true(e == ERR_STORE || e == ERR_STORE_FULL);
	reopen(); /* LMDB may want that after a head that could not be written */
	v = load();
	l = inventory_list(v, "web");
	assert_true(l->n == 10 || l->n == base + n || l->n == base + n - 1);
	assert_true(e != ERR_OK || l->n == base + n - 1);
	check_tidy(1, l->n, l->n);
	inventory_unref(v);
	return calls >= nth;
}

/* The n-th allocation or write that fails is told, and leaves what was or what is to be.
 */
static void what_fails_is_told_and_mixes_nothing(void **state)
{
	static const enum fault kinds[] = {
	    FAULT_MEMORY, FAULT_DISK_FULL, FAULT_DISK_ERROR};
	bool all = getenv("TEST_ALL") != NULL;

	(void)state;
	for (size_t k = 0; k < sizeof kinds / sizeof *kinds; k++)
		for (int add = 0; add < 2; add++) {
			unsigned long n = 1;

			while (survives(kinds[k], n, add, 20))
				n += all ? 1 : 1 + n / 3;
			assert_true(n > 1); /* it has such calls */
			for (n = all ? 400 : 0; n > 0; n -= 10)
				survives(kinds[k], n, true, 5001); /* in a new list */
		}
}

static void assert_mark(const char *name, const struct watch_mark *mark)
{
	const struct inventory *v = load();

	assert_true(watch_mark_equal(&inventory_list(v, name)->mark, mark));
	inventory_unref(v);
}

/* Of a copy of what a shared store has: until it is another. */
static void a_list_keeps_its_mark_until_it_changes(void **state)
{
	const struct watch_mark mark = {{1, 2, 3}, 7}, none = {{0}, 0};
	const struct watch_list *list = NULL, *more = NULL;

	(void)state;
	for (int i = 0; i < 2; i++) {
		struct watch_point_draft *points =
		    watch_point_draft_new(&watch_points_none, NULL);
		struct watch_put *p;
		struct serial s = kit_wide_serial(1);

		assert_int_equal(
		    watch_put_new(&p, db, "a", WATCH_API, false, draft(1, 0, 10, "x")),
		    ERR_OK);
		watch_put_mark(p, &mark);
		for (bool done = false; !done;)
			assert_int_equal(watch_put_step(p, &done), ERR_OK);
		assert_int_equal(watch_put_list(p, NULL, points, &list), ERR_OK);
		watch_put_free(p);
		watch_point_draft_free(points);
		assert_true(watch_mark_equal(&list->mark, &mark));
		assert_mark("a", &mark);
		if (i == 0)
			more = put("a", true, draft(1, 50, 1, "x"), list);
		else
			assert_int_equal(watch_db_remove(db, list, 1, &s, &more), ERR_OK);
		assert_false(watch_mark_is_set(&more->mark));
		assert_mark("a", &none);
		watch_list_unref(list);
		watch_list_unref(more);
	}
}

/* A copy that is added to: where a part of it is lost in the shared store, what is left
 * there comes to what the copy has. */
static void what_is_added_to_has_the_new_mark(void **state)
{
	const struct watch_mark mark = {{1, 2, 3}, 7};
	const struct watch_list *list = put("a", false, draft(1, 0, 10, "x"), NULL),
				*more = NULL;
	struct watch_point_draft *points =
	    watch_point_draft_new(&watch_points_none, NULL);
	struct watch_put *p;

	(void)state;
	assert_int_equal(
	    watch_put_new(&p, db, "a", WATCH_API, true, draft(1, 50, 1, "x")), ERR_OK);
	watch_put_mark(p, &mark);
	for (bool done = false; !done;)
		assert_int_equal(watch_put_step(p, &done), ERR_OK);
	assert_int_equal(watch_put_list(p, list, points, &more), ERR_OK);
	watch_put_free(p);
	watch_point_draft_free(points);
	assert_int_equal(more->n, 11);
	assert_mark("a", &mark);
	assert_true(watch_mark_equal(&more->mark, &mark));
	watch_list_unref(list);
	watch_list_unref(more);
}

/* PUTs of lists of n and of 1.5 n certificates, in turn, until it is killed; what is done
 * is told by an octet. */
static void put_until_killed(int fd, size_t n, bool odd)
{
	bool more = true;

	if (open_db(SIZE) != ERR_OK)
		_exit(1);
	for (;; odd = !odd) {
		const struct watch_list *l;
		struct watch_draft *d = draft(0, 0, odd ? n + n / 2 : n, odd ? "b" : "a");

		if (kit_put(db, "web", false, d, NULL, &l) != ERR_OK)
			_exit(2);
		watch_list_unref(l);
		while (more)
			if (watch_db_sweep(db, &more) != ERR_OK)
				_exit(3);
		more = true;
		if (write(fd, "", 1) != 1)
			_exit(4);
	}
}

/* kill -9 at any moment of a PUT of 100,000: the old list or the new one. */
static void no_kill_mixes_the_old_list_with_the_new_one(void **state)
{
	int rounds = getenv("TEST_ALL") != NULL ? 20 : 3;
	size_t n = getenv("TEST_ALL") != NULL ? 100000 : 40000, seen[2] = {0};
	bool is_a = true; /* which list is there; the other one is put first */

	(void)state;
	watch_list_unref(put("web", false, draft(0, 0, n, "a"), NULL));
	watch_db_close(db);
	db = NULL;
	srand(7);
	for (int round = 0; round < rounds; round++) {
		const struct inventory *v;
		const struct watch_list *l;
		int fds[2], status;
		char text[16], c;
		pid_t pid;

		assert_int_equal(pipe(fds), 0);
		pid = child_fork();
		if (pid == 0)
			put_until_killed(fds[1], n, is_a);
		close(fds[1]);
		/* within the first list, or the one after it */
		if (rand() % 2 == 0)
			assert_int_equal(read(fds[0], &c, 1), 1);
		usleep((useconds_t)(rand() % 400000));
		kill(pid, SIGKILL);
		close(fds[0]);
		waitpid(pid, &status, 0);
		assert_true(WIFSIGNALED(status));
		assert_int_equal(open_db(SIZE), ERR_OK);
		v = load();
		l = inventory_list(v, "web");
		assert_non_null(l);
		assert_int_equal(label_of(l, text), l->n);
		assert_true(l->n == n || l->n == n + n / 2);
		assert_string_equal(text, l->n == n ? "a" : "b");
		is_a = l->n == n;
		seen[is_a]++;
		check_tidy(1, l->n, l->n); /* what was half written is swept */
		inventory_unref(v);
		watch_db_close(db);
		db = NULL;
	}
	assert_int_equal(open_db(SIZE), ERR_OK);
	if (rounds == 20)
		assert_true(seen[0] > 0 && seen[1] > 0);
}

#define CASE(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
	    CASE(a_list_is_there_after_a_restart),
	    CASE(lists_that_are_named_are_known_after_a_restart),
	    CASE(a_put_replaces),
	    CASE(what_a_list_has_gained_is_marked_until_it_is_told),
	    CASE(a_mark_comes_and_goes_with_its_list),
	    CASE(an_odd_mark_is_one),
	    CASE(an_empty_list_is_one),
	    CASE(a_post_adds),
	    CASE(large_rows_take_more_steps),
	    CASE(what_a_post_says_anew_counts),
	    CASE(one_certificate_is_taken_off),
	    CASE(a_list_is_dropped),
	    CASE(a_put_that_is_given_up_leaves_the_old_list),
	    CASE(two_puts_do_not_mix),
	    CASE(rows_are_read_in_the_order_of_changes),
	    CASE(a_ca_keeps_its_number),
	    CASE(a_full_file_refuses_and_drops_nothing),
	    CASE(a_full_disk_is_told_and_the_old_list_stays),
	    CASE(damage_is_refused_with_the_remedy),
	    CASE(an_unreadable_row_is_told),
	    CASE(a_list_that_lacks_a_row_is_told),
	    CASE(a_file_of_another_version_is_refused),
	    CASE(any_thread_reads_while_one_writes),
	    CASE(the_file_is_for_its_owner_alone),
	    CASE(what_fails_is_told_and_mixes_nothing),
	    CASE(a_list_keeps_its_mark_until_it_changes),
	    CASE(what_is_added_to_has_the_new_mark),
	    CASE(no_kill_mixes_the_old_list_with_the_new_one),
	};

	return cmocka_run_group_tests_name("watch_db", tests, NULL, NULL);
}
