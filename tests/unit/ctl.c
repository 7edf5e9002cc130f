/* ocspctl's pure parts: the command line, and what an answer of the API looks like and
 * means.  Exit codes are those of ocspctl(1).  The client is no part of the library, so
 * its files are compiled in here. */
#include "proxy/ctl/args.c"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "proxy/ctl/elements.c"
#include "proxy/ctl/progress.c"
#include "proxy/ctl/show.c"
#include "proxy/ctl/table.c"

/* The command line. */

static char said[8192]; /* to out and err together */

static int read_args(struct args *a, const char *text)
{
	static char copy[512];
	static char *argv[16]; /* what is read borrows from it */
	int argc = 0, code = -1;
	FILE *f = fmemopen(said, sizeof said, "w");

	snprintf(copy, sizeof copy, "%s", text);
	for (char *word = strtok(copy, " "); word != NULL; word = strtok(NULL, " "))
		argv[argc++] = word;
	argv[argc] = NULL;
	memset(said, 0, sizeof said);
	if (args_read(a, argc, argv, f, f, &code))
		code = -1;
	fclose(f);
	return code;
}

static void a_webhook_has_verbs_and_options_of_its_own(void **state)
{
	static const char *const bad[] = {"ocspctl webhook", "ocspctl webhook put",
	    "ocspctl webhook show x", "ocspctl webhook replay x", "ocspctl webhook rm",
	    "ocspctl webhook put x y.json --format slack",
	    "ocspctl webhook put x y.json --watchlist w",
	    "ocspctl webhook list --types x", "ocspctl status --issuer x",
	    "ocspctl webhook rm x --since 1"};
	struct args a;

	(void)state;
	for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
		assert_int_equal(read_args(&a, bad[i]), 64);
	assert_int_equal(read_args(&a, "ocspctl webhook put x https://y/ --format slack "
				       "--types alarms --issuer demo --watchlist w"),
	    -1);
	assert_string_equal(a.format, "slack");
	assert_string_equal(a.types, "alarms");
	assert_string_equal(a.of_issuer, "demo");
	assert_string_equal(a.watchlist, "w");
	assert_int_equal(read_args(&a, "ocspctl webhook replay x --since 1"), -1);
	assert_string_equal(a.since, "1");
}

static void notices_and_alarms_go_with_watch(void **state)
{
	struct args a;

	(void)state;
	assert_int_equal(read_args(&a, "ocspctl watch --notices --alarms --json"), -1);
	assert_true(a.notices && a.alarms);
	assert_int_equal(read_args(&a, "ocspctl watch --notices --exec x"), -1);
	assert_true(a.notices && !a.alarms);
	assert_int_equal(read_args(&a, "ocspctl status --notices"), EXIT_USAGE);
	assert_int_equal(read_args(&a, "ocspctl find x --alarms"), EXIT_USAGE);
	assert_int_equal(read_args(&a, "ocspctl watch --alarms --exec x"), EXIT_USAGE);
	assert_non_null(strstr(said, "no command is run for alarms"));
}

static void discover_has_options_of_its_own(void **state)
{
	struct args a;

	(void)state;
	assert_int_equal(
	    read_args(&a, "ocspctl discover --fetch --allow-address 10.0.0.0/8 "
			  "--allow-address [fd00::]/8:443 --write d a.pem b:443"),
	    -1);
	assert_int_equal(a.command, COMMAND_DISCOVER);
	assert_true(a.fetch);
	assert_string_equal(a.write, "d");
	assert_int_equal(a.rest_n, 2);
	assert_int_equal(a.allow_n, 2);
	assert_int_equal(a.allow[1].first.port, 443);
	assert_int_equal(read_args(&a, "ocspctl discover"), EXIT_USAGE);
	assert_int_equal(read_args(&a, "ocspctl status --fetch"), EXIT_USAGE);
	assert_int_equal(read_args(&a, "ocspctl discover x --snapshot"), EXIT_USAGE);
	assert_int_equal(
	    read_args(&a, "ocspctl discover x --allow-address 10.0.0.0/8"), EXIT_USAGE);
	assert_int_equal(
	    read_args(&a, "ocspctl discover x --fetch --allow-address 10.1.0.0/8"),
	    EXIT_USAGE);
	assert_non_null(strstr(said, "has bits behind its prefix"));
}

static void options_stand_before_and_after_the_command(void **state)
{
	static const char *const lines[] = {
	    "ocspctl --json --url http://[::1]:1 --token-file /t status demo 1000",
	    "ocspctl status demo 1000 --json --url http://[::1]:1 --token-file /t",
	    "ocspctl --json status --url=http://[::1]:1 demo --token-file=/t 1000",
	    "ocspctl --json --url http://[::1]:1 --token-file /t -- status demo 1000",
	};
	struct args a;

	(void)state;
	for (size_t i = 0; i < sizeof lines / sizeof lines[0]; i++) {
		assert_int_equal(read_args(&a, lines[i]), -1);
		assert_int_equal(a.command, COMMAND_STATUS);
		assert_string_equal(a.issuer, "demo");
		assert_string_equal(a.serial, "1000");
		assert_string_equal(a.url, "http://[::1]:1");
		assert_string_equal(a.token_file, "/t");
		assert_true(a.json);
	}
}

/* It asks of all that is known, not of a certificate. */
static void strict_goes_with_the_status_of_all(void **state)
{
	struct args a;

	(void)state;
	assert_int_equal(read_args(&a, "ocspctl status --strict"), -1);
	assert_true(a.strict);
	assert_int_equal(read_args(&a, "ocspctl status"), -1);
	assert_false(a.strict);
	assert_int_equal(read_args(&a, "ocspctl status --strict demo 1000"), 64);
	assert_int_equal(read_args(&a, "ocspctl watch --strict"), 64);
	assert_non_null(strstr(said, "--strict"));
}

static void arguments_that_may_be_left_out_are_null(void **state)
{
	struct args a;

	(void)state;
	assert_int_equal(read_args(&a, "ocspctl status"), -1);
	assert_null(a.issuer);
	assert_null(a.token_file);
	assert_false(a.json);
	assert_string_equal(a.url, "http://127.0.0.1:8081");
	assert_int_equal(read_args(&a, "ocspctl watch"), -1);
	assert_int_equal(a.command, COMMAND_WATCH);
	assert_null(a.exec);
	assert_int_equal(a.jobs, 1);
	assert_int_equal(
	    read_args(&a,
		"ocspctl watch demo --exec x --jobs 8 --batch --place p --since s "
		"--snapshot"),
	    -1);
	assert_string_equal(a.issuer, "demo");
	assert_string_equal(a.exec, "x");
	assert_int_equal(a.jobs, 8);
	assert_true(a.batch && a.snapshot);
	assert_string_equal(a.place, "p");
	assert_string_equal(a.since, "s");
	assert_null(a.watchlist);
	assert_int_equal(read_args(&a, "ocspctl watch --watchlist web"), -1);
	assert_string_equal(a.watchlist, "web");
	assert_null(a.issuer);
	assert_int_equal(read_args(&a, "ocspctl refresh demo"), -1);
	assert_false(a.accept_number);
	assert_int_equal(read_args(&a, "ocspctl refresh --accept-number demo"), -1);
	assert_int_equal(a.command, COMMAND_REFRESH);
	assert_true(a.accept_number);
	assert_int_equal(read_args(&a, "ocspctl purge demo"), -1);
	assert_int_equal(a.command, COMMAND_PURGE);
	assert_string_equal(a.issuer, "demo");
	assert_null(a.serial);
	assert_int_equal(read_args(&a, "ocspctl explain demo -- -1f"), -1);
	assert_string_equal(a.serial, "-1f");
}

/* Where an operator sets the place once; what stands on the line wins. */
static void the_environment_says_where_the_server_is(void **state)
{
	struct args a;

	(void)state;
	setenv("OCSPCTL_URL", "unix:/run/x", 1);
	assert_int_equal(read_args(&a, "ocspctl status"), -1);
	assert_string_equal(a.url, "unix:/run/x");
	assert_int_equal(read_args(&a, "ocspctl status --url http://h:1"), -1);
	assert_string_equal(a.url, "http://h:1");
	setenv("OCSPCTL_URL", "", 1);
	assert_int_equal(read_args(&a, "ocspctl status"), -1);
	assert_string_equal(a.url, "http://127.0.0.1:8081");
	unsetenv("OCSPCTL_URL");
}

static void a_serial_may_be_as_openssl_prints_it(void **state)
{
	struct args a;

	(void)state;
	assert_int_equal(read_args(&a, "ocspctl status demo serial=1001"), -1);
	assert_string_equal(a.serial, "1001");
	assert_int_equal(read_args(&a, "ocspctl refresh demo 10:01"), -1);
	assert_string_equal(a.serial, "10:01");
}

static void certificates_are_named_by_file_list_or_name(void **state)
{
	struct args a;

	(void)state;
	assert_int_equal(read_args(&a, "ocspctl status cert.pem"), -1);
	assert_int_equal(a.command, COMMAND_STATUS);
	assert_null(a.serial);
	assert_string_equal(a.rest[0], "cert.pem");
	assert_int_equal(read_args(&a, "ocspctl check"), -1);
	assert_int_equal(a.rest_n, 0);
	assert_int_equal(read_args(&a, "ocspctl check a b --serial dec c"), -1);
	assert_int_equal(a.rest_n, 3);
	assert_string_equal(a.base, "dec");
	assert_int_equal(
	    read_args(&a, "ocspctl watchlist put web --map serial=No a.csv"), -1);
	assert_string_equal(a.rest[0], "put");
	assert_string_equal(a.rest[2], "a.csv");
	assert_string_equal(a.map, "serial=No");
	assert_int_equal(read_args(&a, "ocspctl watchlist rm web demo 1f"), -1);
	assert_int_equal(a.rest_n, 4);
	assert_int_equal(read_args(&a, "ocspctl find shop.example"), -1);
	assert_string_equal(a.rest[0], "shop.example");
}

static void a_bar_is_as_long_as_it_says(void **state)
{
	char bar[13];

	(void)state;
	progress_bar(bar, 10, 0, 10);
	assert_string_equal(bar, "[          ]");
	progress_bar(bar, 10, 5, 10);
	assert_string_equal(bar, "[#####     ]");
	progress_bar(bar, 10, 20, 10);
	assert_string_equal(bar, "[##########]");
	progress_bar(bar, 10, 1, 0);
	assert_string_equal(bar, "[          ]");
	progress_bar(bar, 10, INT64_MAX / 2, INT64_MAX);
	assert_string_equal(bar, "[#####     ]");
}

static void a_wrong_command_line_ends_with_64_and_a_hint(void **state)
{
	static const char *const lines[] = {"ocspctl", "ocspctl frobnicate",
	    "ocspctl --frob status", "ocspctl status a b c", "ocspctl find",
	    "ocspctl find a b", "ocspctl watchlist", "ocspctl watchlist frob",
	    "ocspctl watchlist show", "ocspctl watchlist list a",
	    "ocspctl watchlist rm a b", "ocspctl watchlist rm a b c d",
	    "ocspctl watchlist show a --map serial=x", "ocspctl check --map a=b",
	    "ocspctl find a --serial hex", "ocspctl status a --strict", "ocspctl explain",
	    "ocspctl refresh", "ocspctl purge", "ocspctl purge a b c",
	    "ocspctl status --url", "ocspctl -x status", "ocspctl watch a b",
	    "ocspctl watch --jobs 0 --exec x", "ocspctl watch --jobs 9x --exec x",
	    "ocspctl watch --batch", "ocspctl status --exec x",
	    "ocspctl purge demo --accept-number", "ocspctl watch --jobs 1001 --exec x",
	    "ocspctl incident demo", "ocspctl incident put", "ocspctl incident list x",
	    "ocspctl incident rm a --deadline b", "ocspctl find a --incident b"};
	struct args a;

	(void)state;
	for (size_t i = 0; i < sizeof lines / sizeof lines[0]; i++) {
		assert_int_equal(read_args(&a, lines[i]), 64);
		assert_non_null(strstr(said, "ocspctl"));
	}
	assert_int_equal(read_args(&a, "ocspctl --help"), 0);
	assert_non_null(strstr(said, "usage:"));
	assert_int_equal(read_args(&a, "ocspctl status --version"), 0);
	assert_non_null(strstr(said, OCSPCACHED_VERSION));
}

static void an_incident_has_verbs_and_options_of_its_own(void **state)
{
	struct args a;

	(void)state;
	assert_int_equal(
	    read_args(&a, "ocspctl incident put i f --deadline t --link u --issuer r "
			  "--serial dec --map serial=S"),
	    -1);
	assert_int_equal(a.command, COMMAND_INCIDENT);
	assert_string_equal(a.deadline, "t");
	assert_string_equal(a.link, "u");
	assert_string_equal(a.of_issuer, "r");
	assert_int_equal(read_args(&a, "ocspctl check --incident l a b"), -1);
	assert_string_equal(a.incident, "l");
	assert_int_equal(a.rest_n, 2);
	assert_int_equal(read_args(&a, "ocspctl incident list"), -1);
}

/* What is shown. */

static char shown[8192];

static int show(
    int (*fn)(const struct show *, const json_t *), const char *text, bool terminal)
{
	json_t *value = json_loads(text, 0, NULL);
	struct show s = {.terminal = terminal, .now = 1795260000}; /* 2026-11-21 11:20 */
	int code;

	assert_non_null(value);
	memset(shown, 0, sizeof shown);
	s.out = fmemopen(shown, sizeof shown, "w");
	code = fn(&s, value);
	fclose(s.out);
	json_decref(value);
	return code;
}

static const char revoked[] =
    "{\"issuer\":\"demo\",\"serial\":\"1000\",\"status\":\"revoked\","
    "\"revoked_at\":\"2026-11-22T06:28:00Z\",\"reason\":\"keyCompromise\","
    "\"disagree\":false,\"evidence\":[{\"kind\":\"latch\",\"status\":\"revoked\","
    "\"this_update\":null,\"next_update\":null,\"crl_number\":null},"
    "{\"kind\":\"ocsp\",\"status\":\"revoked\",\"this_update\":\"2026-11-22T06:28:00Z\","
    "\"next_update\":\"2026-11-23T06:28:00Z\",\"crl_number\":null}]}";

static void a_pipe_gets_lines_without_heading_tab_or_colour(void **state)
{
	(void)state;
	assert_int_equal(show(show_status, revoked, false), 1);
	assert_string_equal(shown,
	    "issuer      demo\n"
	    "serial      1000\n"
	    "status      revoked\n"
	    "revoked_at  2026-11-22T06:28:00Z\n"
	    "reason      keyCompromise\n"
	    "evidence  latch  revoked  -                     -                     -\n"
	    "evidence  ocsp   revoked  2026-11-22T06:28:00Z  2026-11-23T06:28:00Z  -\n");
	assert_int_equal(show(show_status, revoked, true), 1);
	assert_non_null(strstr(shown, "THIS UPDATE"));
}

static void the_exit_code_is_the_status(void **state)
{
	(void)state;
	assert_int_equal(show(show_status, "{\"status\":\"good\"}", false), 0);
	assert_int_equal(show(show_status, "{\"status\":\"revoked\"}", false), 1);
	assert_int_equal(show(show_status, "{\"status\":\"unknown\"}", false), 2);
	assert_int_equal(show(show_status, "{\"status\":\"no such\"}", false), 2);
	assert_int_equal(show(show_status, "{\"status\":1}", false), -1);
	assert_int_equal(show(show_status, "[]", false), -1);
}

static void an_explanation_is_well_only_when_all_answers_are_admitted(void **state)
{
	static const char one[] =
	    "{\"answers\":[{\"from\":\"memory\",\"hash\":\"sha1\",\"admitted\":true,"
	    "\"checks\":[{\"check\":\"signature\",\"ok\":true,\"code\":\"ok\",\"detail\":"
	    "\"\"}]}]}";
	static const char two[] =
	    "{\"answers\":[{\"from\":\"memory\",\"hash\":\"sha1\",\"admitted\":true,"
	    "\"checks\":[]},{\"from\":\"upstream\",\"hash\":\"sha1\",\"admitted\":false,"
	    "\"checks\":[{\"check\":\"times\",\"ok\":false,\"code\":\"expired\","
	    "\"detail\":\"nextUpdate \\u001b[2J was\"}]}]}";

	(void)state;
	assert_int_equal(show(show_explain, one, false), 0);
	assert_string_equal(shown, "memory  sha1  admitted  signature  ok  ok  -\n");
	assert_int_equal(show(show_explain, two, false), 2);
	/* a responder's text cannot clear the screen */
	assert_string_equal(shown,
	    "upstream  sha1  refused  times  FAILED  expired  nextUpdate ?[2J was\n");
	assert_int_equal(show(show_explain, "{\"answers\":[]}", false), 2);
	assert_int_equal(show(show_explain, "{}", false), -1);
}

static int overview_of(const struct show *s, const json_t *both)
{
	return show_overview(
	    s, json_object_get(both, "issuers"), json_object_get(both, "ready"));
}

static void an_overview_has_a_line_for_each_responder_and_reason(void **state)
{
	static const char text[] =
	    "{\"issuers\":[{\"name\":\"demo\",\"source\":\"ocsp\",\"responders\":["
	    "{\"url\":\"http://a/\",\"healthy\":true,\"last_error\":null},"
	    "{\"url\":\"http://bb/"
	    "\",\"healthy\":false,\"last_error\":\"upstream_http\"},"
	    "{\"url\":\"http://c/\",\"healthy\":null,\"last_error\":null}],"
	    "\"crls\":[],\"signer_expires\":null},{\"name\":\"x\",\"source\":\"ocsp\","
	    "\"responders\":[]}],\"ready\":{\"ready\":false,\"reasons\":[\"draining\"],"
	    "\"degraded\":[\"store redis is away: x\"]}}";

	(void)state;
	assert_int_equal(show(overview_of, text, false), 2);
	assert_string_equal(shown,
	    "demo  ocsp  http://a/   healthy        -\n"
	    "demo  ocsp  http://bb/  failing        upstream_http\n"
	    "demo  ocsp  http://c/   not asked yet  -\n"
	    "x     ocsp  -           -              -\n"
	    "ready       no\n"
	    "reason      draining\n"
	    "degraded    store redis is away: x\n");
	assert_int_equal(
	    show(overview_of, "{\"issuers\":[],\"ready\":{\"ready\":true}}", false), 0);
	assert_int_equal(show(overview_of, "{\"issuers\":[],\"ready\":{}}", false), -1);
	assert_int_equal(
	    show(overview_of, "{\"issuers\":{},\"ready\":{\"ready\":true}}", false), -1);
}

/* A list that never came, one in force, one that its CA has not replaced in time. */
static void an_overview_has_a_line_for_each_list(void **state)
{
	static const char text[] =
	    "{\"issuers\":[{\"name\":\"demo\",\"source\":\"ocsp\",\"responders\":[],"
	    "\"crls\":["
	    "{\"url\":\"http://a/0\",\"crl_number\":null,\"this_update\":null,"
	    "\"next_update\":null,\"entries\":0,\"fetched_at\":null,"
	    "\"last_error\":\"crl_signature\"},"
	    "{\"url\":\"http://a/1\",\"crl_number\":\"4097\","
	    "\"this_update\":\"2026-11-21T11:18:30Z\","
	    "\"next_update\":\"2026-11-22T11:18:30Z\",\"entries\":3048289,"
	    "\"fetched_at\":\"2026-11-21T11:18:31Z\",\"last_error\":null},"
	    "{\"url\":\"http://a/2\",\"crl_number\":\"9\","
	    "\"this_update\":\"2026-11-18T11:00:00Z\","
	    "\"next_update\":\"2026-11-19T11:00:00Z\",\"entries\":1,"
	    "\"fetched_at\":\"2026-11-18T11:00:00Z\",\"last_error\":\"up\"}],"
	    "\"signer_expires\":null}],\"ready\":{\"ready\":true}}";

	(void)state;
	assert_int_equal(show(overview_of, text, false), 0);
	assert_string_equal(shown,
	    "demo  ocsp  -  -  -\n"
	    "demo  list  http://a/0  none      -              0        -    "
	    "crl_signature\n"
	    "demo  list  http://a/1  in force  4097 (0x1001)  3048289  90s  -\n"
	    "demo  list  http://a/2  overdue   9 (0x09)       1        3d   up\n"
	    "ready       yes\n");
	assert_int_equal(show(overview_of, text, true), 0);
	assert_non_null(strstr(shown, "AGE"));
}

/* Latches, which may be hundreds of thousands. */

static void add_element(void *arg, const json_t *element)
{
	char *all = arg, *text = json_dumps(element, JSON_COMPACT | JSON_ENCODE_ANY);

	strcat(strcat(all, text), ";");
	free(text);
}

/* Whole, and cut in two at every place. */
static void expect_elements(const char *text, const char *want)
{
	size_t n = strlen(text);

	for (size_t i = 0; i <= n; i++) {
		struct elements e = {0};
		char all[512] = "";

		assert_true(elements_feed(&e, text, i, add_element, all));
		assert_true(elements_feed(&e, text + i, n - i, add_element, all));
		assert_true(elements_end(&e));
		assert_string_equal(all, want);
	}
}

static void an_array_is_cut_into_its_elements(void **state)
{
	static const char *const bad[] = {
	    "{}", "[1,]", "[,1]", "[1]x", "[1 2]", "[{]}", "[\"\\x\"]", "x[]"};
	static const char *const cut_off[] = {"", "[", "[1", "[1,", "[\"]", "[{\"a\":1}"};

	(void)state;
	expect_elements("[]", "");
	expect_elements(" [\n]\n", "");
	expect_elements("[\n{\"a\":[1,2]},\n{\"b\":\"],}\\\\\\\"\"}\n]\n",
	    "{\"a\":[1,2]};{\"b\":\"],}\\\\\\\"\"};");
	expect_elements("[1, null ,\"x\"]", "1;null;\"x\";");
	for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
		struct elements e = {0};
		char all[512] = "";

		assert_false(elements_feed(&e, bad[i], strlen(bad[i]), add_element, all));
		elements_end(&e);
	}
	for (size_t i = 0; i < sizeof cut_off / sizeof cut_off[0]; i++) {
		struct elements e = {0};
		char all[512] = "";

		assert_true(
		    elements_feed(&e, cut_off[i], strlen(cut_off[i]), add_element, all));
		assert_false(elements_end(&e));
	}
}

static void an_element_without_an_end_is_not_kept(void **state)
{
	struct elements e = {0};
	char all[8] = "";
	size_t n = 0;

	(void)state;
	assert_true(elements_feed(&e, "[\"", 2, add_element, all));
	while (elements_feed(&e, "x", 1, add_element, all))
		n++;
	assert_true(n <= ELEMENT_MAX);
	assert_false(elements_end(&e));
}

static int latches_of(const struct show *s, const json_t *list)
{
	struct show_latches l = {.show = s};
	size_t n;
	json_t *latch;

	json_array_foreach(list, n, latch)
		show_latch(&l, latch);
	show_latches_end(&l);
	return 0;
}

static void latches_are_lines_in_a_pipe_and_a_table_on_a_terminal(void **state)
{
	static const char text[] =
	    "[{\"issuer\":\"demo\",\"serial\":\"ff\",\"status\":\"revoked\","
	    "\"revoked_at\":\"2026-11-21T10:00:00Z\",\"reason\":\"superseded\","
	    "\"since\":\"2026-11-21T11:00:00Z\"},"
	    "{\"issuer\":\"x\",\"serial\":\"1000\",\"status\":\"revoked\","
	    "\"revoked_at\":null,\"reason\":null,\"since\":\"2026-11-21T11:00:00Z\"}]";

	(void)state;
	show(latches_of, text, false);
	assert_string_equal(shown,
	    "demo  ff  2026-11-21T10:00:00Z  superseded  2026-11-21T11:00:00Z\n"
	    "x  1000  -  -  2026-11-21T11:00:00Z\n");
	show(latches_of, text, true);
	assert_string_equal(shown,
	    "ISSUER  SERIAL  REVOKED AT            REASON      SEEN SINCE\n"
	    "demo    ff      2026-11-21T10:00:00Z  superseded  2026-11-21T11:00:00Z\n"
	    "x       1000    -                     -           2026-11-21T11:00:00Z\n");
	show(latches_of, "[]", true);
	assert_string_equal(shown, "");
}

/* The decimal of the API, and what openssl crl -crlnumber prints. */
static void a_lists_number_is_shown_as_openssl_shows_it_too(void **state)
{
	static const char *const shown_as[][2] = {
	    {"0", "0 (0x00)"},
	    {"255", "255 (0xFF)"},
	    {"256", "256 (0x0100)"},
	    {"365375409332725729550921208179070754913983135744",
		"365375409332725729550921208179070754913983135744 "
		"(0x4000000000000000000000000000000000000000)"},
	    /* 2^160 - 1, and what no list has */
	    {"1461501637330902918203684832716283019655932542975",
		"1461501637330902918203684832716283019655932542975 "
		"(0xFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFF)"},
	    {"1461501637330902918203684832716283019655932542976",
		"1461501637330902918203684832716283019655932542976\n"},
	    {"12a", "12a\n"},
	    {"-1", "-1\n"},
	};

	(void)state;
	for (size_t i = 0; i < sizeof shown_as / sizeof shown_as[0]; i++) {
		char text[400];

		snprintf(text, sizeof text,
		    "{\"status\":\"good\",\"evidence\":[{\"kind\":\"crl\",\"crl_number\":"
		    "\"%s\"}]}",
		    shown_as[i][0]);
		assert_int_equal(show(show_status, text, false), 0);
		assert_non_null(strstr(shown, shown_as[i][1]));
	}
}

static void no_text_moves_the_cursor(void **state)
{
	(void)state;
	memset(shown, 0, sizeof shown);
	FILE *out = fmemopen(shown, sizeof shown, "w");
	/* ESC, DEL, CSI as one character (U+009B), and an e with an acute */
	show_text(out, "a\033[2J\177\302\233x\303\251\302\240\302");
	fclose(out);
	assert_string_equal(shown, "a?[2J??x\303\251\302\240\302");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(options_stand_before_and_after_the_command),
	    cmocka_unit_test(a_webhook_has_verbs_and_options_of_its_own),
	    cmocka_unit_test(an_incident_has_verbs_and_options_of_its_own),
	    cmocka_unit_test(notices_and_alarms_go_with_watch),
	    cmocka_unit_test(discover_has_options_of_its_own),
	    cmocka_unit_test(strict_goes_with_the_status_of_all),
	    cmocka_unit_test(an_array_is_cut_into_its_elements),
	    cmocka_unit_test(an_element_without_an_end_is_not_kept),
	    cmocka_unit_test(latches_are_lines_in_a_pipe_and_a_table_on_a_terminal),
	    cmocka_unit_test(arguments_that_may_be_left_out_are_null),
	    cmocka_unit_test(the_environment_says_where_the_server_is),
	    cmocka_unit_test(a_serial_may_be_as_openssl_prints_it),
	    cmocka_unit_test(certificates_are_named_by_file_list_or_name),
	    cmocka_unit_test(a_bar_is_as_long_as_it_says),
	    cmocka_unit_test(a_wrong_command_line_ends_with_64_and_a_hint),
	    cmocka_unit_test(a_pipe_gets_lines_without_heading_tab_or_colour),
	    cmocka_unit_test(the_exit_code_is_the_status),
	    cmocka_unit_test(an_explanation_is_well_only_when_all_answers_are_admitted),
	    cmocka_unit_test(an_overview_has_a_line_for_each_responder_and_reason),
	    cmocka_unit_test(an_overview_has_a_line_for_each_list),
	    cmocka_unit_test(a_lists_number_is_shown_as_openssl_shows_it_too),
	    cmocka_unit_test(no_text_moves_the_cursor),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
