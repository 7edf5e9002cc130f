/* discover.c - gather, propose, fetch what is missing, propose again; print or write. */
#include "proxy/ctl/discover.h"

#include <errno.h>
#include <openssl/x509v3.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "proxy/ctl/block.h"
#include "proxy/ctl/ca_fetch.h"
#include "proxy/ctl/gather.h"
#include "proxy/ctl/issuer_files.h"
#include "proxy/ctl/progress.h"

/* URLs that one run asks: each may take its whole time. */
#define FETCHES_MAX 64

struct discovery {
	const struct run *run;
	struct found found;
	struct proposals all;
	struct progress progress;
	char *folder; /* of --write, without links; or NULL */
	size_t undetermined;
	char *asked[FETCHES_MAX];
	size_t asked_n;
	json_t *issuers; /* --json */
};

/* What could not be found. */

struct first {
	char url[FOUND_NAME_MAX];
};

static void keep_first(void *arg, const char *url)
{
	struct first *f = arg;

	if (f->url[0] == '\0')
		snprintf(f->url, sizeof f->url, "%s", url);
}

static void note_missing(struct discovery *d, const struct orphan *o)
{
	struct first first = {""};
	char ca[FOUND_NAME_MAX];
	X509 *x = o->cert->x;

	found_access(x, NID_ad_ca_issuers, keep_first, &first);
	found_name(X509_get_issuer_name(x), ca);
	if (first.url[0] == '\0')
		found_note(&d->found,
		    "the certificate of %s, which issued %s, is not there, and no URL "
		    "says where it is: name its file too",
		    ca, o->cert->place);
	else
		found_note(&d->found,
		    "the certificate of %s, which issued %s, is not there: %s %s", ca,
		    o->cert->place, first.url,
		    d->run->args->fetch ? "did not help, name its file too"
					: "has it, and --fetch gets it from there");
}

/* Of each CA that is missing, once: they are sorted. */
static void note_orphans(struct discovery *d)
{
	for (size_t i = 0; i < d->all.orphans_n; i++) {
		const struct orphan *o = &d->all.orphan[i];

		if (o->self_issued ||
		    (i > 0 && !o[-1].self_issued &&
			X509_NAME_cmp(X509_get_issuer_name(o[-1].cert->x),
			    X509_get_issuer_name(o->cert->x)) == 0))
			continue;
		note_missing(d, o);
	}
	if (d->all.leaves == 0)
		found_note(&d->found,
		    d->found.n == 0 ? "no certificate was found"
				    : "only certificates of CAs were found: name one "
				      "that they issued");
	else if (d->all.leaves == d->all.expired)
		found_note(&d->found,
		    "all certificates that were found have expired: name one that is in "
		    "use");
	if (d->found.left_out > 0)
		found_note(&d->found,
		    "%zu certificates are over the %d of one run: name fewer folders at "
		    "a time",
		    d->found.left_out, FOUND_MAX);
}

/* Fetching. */

struct fetching {
	struct discovery *d;
	struct ca_fetch *fetch;
	bool nomem;
};

static void on_ca_url(void *arg, const char *url)
{
	struct fetching *g = arg;
	struct discovery *d = g->d;

	for (size_t i = 0; i < d->asked_n; i++)
		if (strcmp(d->asked[i], url) == 0)
			return;
	if (d->asked_n == FETCHES_MAX) {
		found_note(
		    &d->found, "%s: is not asked, after %d others", url, FETCHES_MAX);
		return;
	}
	d->asked[d->asked_n] = strdup(url);
	g->nomem = d->asked[d->asked_n] == NULL;
	if (g->nomem)
		return;
	d->asked_n++;
	progress_draw(&d->progress, -1, -1, true);
	g->nomem = !ca_fetch(g->fetch, url, &d->found);
}

static bool fetch_missing(struct discovery *d)
{
	const struct args *a = d->run->args;
	struct fetching g = {d, ca_fetch_open(a->allow, a->allow_n), false};

	d->progress.what = "fetching";
	for (size_t i = 0; g.fetch != NULL && i < d->all.orphans_n && !g.nomem; i++)
		if (!d->all.orphan[i].self_issued)
			found_access(
			    d->all.orphan[i].cert->x, NID_ad_ca_issuers, on_ca_url, &g);
	progress_clear(&d->progress);
	g.nomem = g.nomem || g.fetch == NULL;
	ca_fetch_close(g.fetch);
	return !g.nomem;
}

static bool propose(struct discovery *d)
{
	const struct proposal_namer namer = {
	    issuer_files_is_its, issuer_files_is_taken, d->folder};
	const struct proposal_namer *known = d->folder != NULL ? &namer : NULL;

	if (!proposals_make(&d->all, &d->found, known, d->run->show.now))
		return false;
	if (!d->run->args->fetch || d->all.orphans_n == 0)
		return true;
	if (!fetch_missing(d))
		return false;
	proposals_free(&d->all);
	return proposals_make(&d->all, &d->found, known, d->run->show.now);
}

/* Printing. */

/* The files of its certificates; NULL where one has none of its own. */
static const char **files_of(const struct proposal *p, size_t *n)
{
	const char **file = calloc(p->ca_n, sizeof *file);

	*n = 0;
	for (size_t i = 0; file != NULL && i < p->ca_n; i++) {
		bool there = false;

		for (size_t k = 0; k < *n && p->ca[i]->file != NULL; k++)
			there = there || strcmp(file[k], p->ca[i]->file) == 0;
		if (p->ca[i]->file != NULL && !there)
			file[(*n)++] = p->ca[i]->file;
	}
	return file;
}

/* The section; NULL: out of memory. */
static char *section(const struct proposal *p, const char *const *file, size_t n)
{
	size_t size;
	char *text = NULL;
	FILE *out = open_memstream(&text, &size);

	if (out == NULL)
		return NULL;
	block_write(out, p, file, n);
	if (fclose(out) == 0)
		return text;
	free(text);
	return NULL;
}

/* A section that cannot be used as it is, line by line, and why. */
static void print_idle(FILE *out, const char *text, const char *why)
{
	block_comment(out, "NOT READY: %s", why);
	for (const char *at = text; *at != '\0'; at++) {
		bool begins = at == text || at[-1] == '\n';

		if (begins && *at != '#')
			fputc('#', out);
		fputc(
		    (*at >= ' ' && *at < 0x7f) || *at == '\t' || *at == '\n' ? *at : '?',
		    out);
	}
}

/* Why the section would not be taken: owned; NULL with *ok: it is. */
static char *why_not(const struct proposal *p, size_t files_n, const char *text, bool *ok)
{
	char *why = NULL;

	*ok = false;
	if (!block_is_whole(p))
		return strdup("its certificates name neither a responder nor a list; "
			      "for a public CA write crl = \"ccadb\"");
	if (files_n == 0)
		return strdup("the certificate stands in no file of its own; --write "
			      "FOLDER makes one");
	*ok = issuer_text_loads("/discover", text, &why);
	return why;
}

/* On standard error too, where what is printed goes to a file. */
static void say_aside(const struct discovery *d, const char *text)
{
	if (d->folder == NULL && d->run->show.terminal)
		return;
	fputs("ocspctl: ", stderr);
	show_text(stderr, text);
	fputc('\n', stderr);
}

static bool print_one(struct discovery *d, const struct proposal *p)
{
	FILE *out = d->run->show.out;
	char own[PROPOSAL_NAME_MAX + 4], *text, *why;
	size_t n;
	bool ok;
	const char **file = files_of(p, &n);

	snprintf(own, sizeof own, "%s.pem", p->name);
	if (n == 0 && file != NULL)
		file[0] = own;
	text = file != NULL ? section(p, file, n > 0 ? n : 1) : NULL;
	why = text != NULL ? why_not(p, n, text, &ok) : NULL;
	if (text != NULL && ok)
		fputs(text, out);
	else if (text != NULL && why != NULL) {
		print_idle(out, text, why);
		say_aside(d, why);
	}
	d->undetermined += text != NULL && !ok;
	fputc('\n', out);
	ok = text != NULL && (ok || why != NULL);
	free(text);
	free(why);
	free(file);
	return ok;
}

/* False: it was not written; there is a note. */
static bool write_one(struct discovery *d, const struct proposal *p, const char **state)
{
	static const char *const words[] = {"unchanged", "written", "refused"};
	enum issuer_file r = ISSUER_FILE_REFUSED;

	if (block_is_whole(p))
		r = issuer_files_put(d->folder, p, &d->found);
	else
		found_note(&d->found,
		    "%s: its certificates name neither a responder nor a list; for a "
		    "public CA write an issuer with crl = \"ccadb\"",
		    p->name);
	*state = words[r];
	if (!d->run->args->json && r != ISSUER_FILE_REFUSED)
		fprintf(d->run->show.out, "%s/%s.conf  %s\n", d->folder, p->name, *state);
	return r != ISSUER_FILE_REFUSED;
}

/* JSON. */

static json_t *texts_of(const struct proposal_urls *u)
{
	json_t *list = json_array();

	for (size_t i = 0; i < u->n; i++)
		json_array_append_new(list, json_string(u->url[i].text));
	return list;
}

static void add_json(struct discovery *d, const struct proposal *p, const char *state)
{
	char subject[FOUND_NAME_MAX];
	json_t *places = json_array(), *one;

	found_name(X509_get_subject_name(p->ca[0]->x), subject);
	for (size_t i = 0; i < p->places_n; i++)
		json_array_append_new(places, json_string(p->place[i]));
	one = json_pack("{s:s, s:s, s:i, s:o, s:o, s:o, s:s*}", "name", p->name,
	    "subject", subject, "certificates", (int)p->issued, "found_in", places,
	    "ocsp", texts_of(&p->ocsp), "crl", texts_of(&p->crl), "state", state);
	/* a path that is no UTF-8 is left out */
	json_object_set_new(one, "certificate_from", json_string(p->ca[0]->place));
	if (p->ca[0]->file != NULL)
		json_object_set_new(one, "certificate_file", json_string(p->ca[0]->file));
	json_array_append_new(d->issuers, one);
}

static int print_json(struct discovery *d)
{
	json_t *notes = json_array(), *all;

	for (size_t i = 0; i < d->found.notes_n; i++)
		json_array_append_new(notes, json_string(d->found.note[i]));
	all = json_pack("{s:O, s:o}", "issuers", d->issuers, "problems", notes);
	if (all == NULL)
		return -1;
	run_print_json(d->run, all);
	json_decref(all);
	return 0;
}

/* The end. */

static void print_notes(const struct discovery *d)
{
	for (size_t i = 0; i < d->found.notes_n; i++) {
		if (d->folder == NULL)
			block_comment(d->run->show.out, "%s", d->found.note[i]);
		say_aside(d, d->found.note[i]);
	}
	if (d->found.notes_more > 0)
		fprintf(stderr, "ocspctl: %zu lines more are left out\n",
		    d->found.notes_more);
}

static bool give(struct discovery *d)
{
	bool well = true, any = false;

	for (size_t i = 0; i < d->all.n && well; i++) {
		const struct proposal *p = &d->all.one[i];
		const char *state = NULL;

		if (d->folder != NULL)
			any = write_one(d, p, &state) || any;
		else if (!d->run->args->json)
			well = print_one(d, p);
		if (d->run->args->json)
			add_json(d, p, state);
	}
	if (any)
		issuer_files_check(d->folder, &d->found);
	return well;
}

static int end(struct discovery *d)
{
	note_orphans(d);
	if (!give(d) || (d->run->args->json && print_json(d) != 0))
		return run_no_memory();
	if (!d->run->args->json)
		print_notes(d);
	return d->found.notes_n + d->found.notes_more + d->undetermined > 0
		   ? EXIT_UNDETERMINED
		   : EXIT_WELL;
}

static bool open_folder(struct discovery *d)
{
	const char *folder = d->run->args->write;

	if (folder == NULL)
		return true;
	if (!issuer_files_open(folder, &d->found))
		return false;
	d->folder = realpath(folder, NULL);
	if (d->folder == NULL)
		found_note(&d->found, "%s: %s", folder, strerror(errno));
	return d->folder != NULL;
}

static void discovery_close(struct discovery *d)
{
	for (size_t i = 0; i < d->asked_n; i++)
		free(d->asked[i]);
	json_decref(d->issuers);
	proposals_free(&d->all);
	found_close(&d->found);
	free(d->folder);
}

int discover(const struct run *run)
{
	struct discovery d = {
	    .run = run, .progress = {.what = "reading", .shown = isatty(STDERR_FILENO)}};
	struct gather g = {.found = &d.found, .progress = &d.progress};
	int code = EXIT_UNDETERMINED;

	signal(SIGPIPE, SIG_IGN); /* a server that goes away is a line of text */
	d.issuers = json_array();
	g.nomem = d.issuers == NULL || !found_open(&d.found);
	if (!g.nomem && !open_folder(&d)) {
		print_notes(&d);
		discovery_close(&d);
		return EXIT_UNDETERMINED;
	}
	for (int i = 0; i < run->args->rest_n && !g.nomem; i++)
		gather(&g, run->args->rest[i]);
	progress_clear(&d.progress);
	code = g.nomem || !propose(&d) ? run_no_memory() : end(&d);
	discovery_close(&d);
	return code;
}
