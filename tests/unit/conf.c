#include "conf/conf.h"

#include <openssl/pem.h>
#include <openssl/x509v3.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "conf/address.h"
#include "conf/option.h"
#include "conf/values.h"

/* Where the tests' files are; "DIR" in a configuration is it. */
static char dir[] = "/tmp/ocspcached-conf-XXXXXX";

static struct conf_errors errors;
static struct conf *conf;

/* Files. */

static char *in_dir(const char *name)
{
	static char path[4][256];
	static unsigned turn;
	char *p = path[turn++ % 4];

	snprintf(p, sizeof path[0], "%s/%s", dir, name);
	return p;
}

static void write_file(const char *name, const char *text)
{
	FILE *f = fopen(in_dir(name), "w");

	assert_non_null(f);
	assert_int_equal(fputs(text, f) >= 0, 1);
	assert_int_equal(fclose(f), 0);
}

/* A self-signed certificate; bc and ku are extensions as openssl.cnf spells them, or
 * NULL. */
static X509 *make_certificate(
    const char *cn, const char *bc, const char *ku, long from, long to)
{
	EVP_PKEY *key = EVP_EC_gen("P-256");
	X509 *x = X509_new();
	const struct {
		int nid;
		const char *value;
	} ext[] = {{NID_basic_constraints, bc}, {NID_key_usage, ku}};

	assert_non_null(key);
	X509_set_version(x, X509_VERSION_3);
	ASN1_INTEGER_set(X509_get_serialNumber(x), 1);
	X509_gmtime_adj(X509_getm_notBefore(x), from);
	X509_gmtime_adj(X509_getm_notAfter(x), to);
	X509_NAME_add_entry_by_txt(X509_get_subject_name(x), "CN", MBSTRING_ASC,
	    (const unsigned char *)cn, -1, -1, 0);
	X509_set_issuer_name(x, X509_get_subject_name(x));
	X509_set_pubkey(x, key);
	for (size_t i = 0; i < 2; i++)
		if (ext[i].value != NULL) {
			X509_EXTENSION *e =
			    X509V3_EXT_conf_nid(NULL, NULL, ext[i].nid, ext[i].value);

			assert_non_null(e);
			X509_add_ext(x, e, -1);
			X509_EXTENSION_free(e);
		}
	assert_true(X509_sign(x, key, EVP_sha256()) > 0);
	EVP_PKEY_free(key);
	return x;
}

static void add_pem(const char *name, const char *mode, X509 *x)
{
	FILE *f = fopen(in_dir(name), mode);

	assert_non_null(f);
	assert_true(PEM_write_X509(f, x));
	assert_int_equal(fclose(f), 0);
}

static void write_ca(const char *name, const char *bc, const char *ku, long from, long to)
{
	X509 *x = make_certificate(name, bc, ku, from, to);

	add_pem(name, "w", x);
	X509_free(x);
}

#define DAY 86400

static int make_files(void **state)
{
	(void)state;
	if (mkdtemp(dir) == NULL)
		return -1;
	write_ca("ca.pem", "critical,CA:TRUE", "critical,keyCertSign,cRLSign", -DAY, DAY);
	write_ca("other.pem", "CA:TRUE", NULL, -DAY, DAY);
	return 0;
}

static int remove_files(void **state)
{
	char command[300];

	(void)state;
	snprintf(command, sizeof command, "rm -rf %s", dir);
	return system(command);
}

/* Loading. */

static int forget(void **state)
{
	(void)state;
	conf_free(conf);
	conf_errors_free(&errors);
	conf = NULL;
	return 0;
}

static bool load(const char *text)
{
	forget(NULL);
	conf = conf_load(in_dir("test.conf"), text, &errors);
	assert_int_equal(conf == NULL, errors.n > 0);
	return conf != NULL;
}

static bool load_file(const char *name)
{
	forget(NULL);
	conf = conf_load(in_dir(name), NULL, &errors);
	assert_int_equal(conf == NULL, errors.n > 0);
	return conf != NULL;
}

#define ISSUER                                                                           \
	"issuer \"demo\" { certificate = \"ca.pem\" ocsp = \"http://ocsp.test/\" }\n"
/* another CA, with room for more options */
#define SECOND "issuer \"two\" { certificate = other.pem ocsp = \"http://x\" "

static void print_errors(void)
{
	for (size_t i = 0; i < errors.n; i++)
		print_message("E %s\n", errors.line[i]);
	for (size_t i = 0; i < errors.warning_n; i++)
		print_message("W %s\n", errors.warning[i]);
}

static bool contains(char **line, size_t n, const char *part)
{
	for (size_t i = 0; i < n; i++)
		if (strstr(line[i], part) != NULL)
			return true;
	return false;
}

static void must_say(const char *part)
{
	if (!contains(errors.line, errors.n, part)) {
		print_errors();
		fail_msg("no error says: %s", part);
	}
}

static void must_warn(const char *part)
{
	if (!contains(errors.warning, errors.warning_n, part)) {
		print_errors();
		fail_msg("no warning says: %s", part);
	}
}

/* The text is refused with exactly one error, that starts with FILE:LINE: option: and
 * holds each part. */
static void refused_line(const char *text, int line, const char *option, const char *part)
{
	char start[400];

	assert_false(load(text));
	snprintf(start, sizeof start, "%s:%d: %s%s", in_dir("test.conf"), line, option,
	    *option != '\0' ? ": " : "");
	if (errors.n != 1 || strncmp(errors.line[0], start, strlen(start)) != 0 ||
	    strstr(errors.line[0], part) == NULL) {
		print_errors();
		fail_msg("expected %s...%s", start, part);
	}
}

/* One global line in front of a good issuer. */
static void refused(const char *line, const char *option, const char *part)
{
	char text[4096];

	snprintf(text, sizeof text, "%s\n%s", line, ISSUER);
	refused_line(text, 1, option, part);
}

static void refused_in_issuer(const char *line, const char *option, const char *part)
{
	char text[4096];

	snprintf(text, sizeof text, SECOND "\n%s\n}", line);
	refused_line(text, 2, option, part);
}

static void taken(const char *line)
{
	char text[4096];

	snprintf(text, sizeof text, "%s\n%s", line, ISSUER);
	if (!load(text)) {
		print_errors();
		fail_msg("refused: %s", line);
	}
}

static char *printed(void)
{
	char *text = NULL;
	size_t n;
	FILE *f = open_memstream(&text, &n);

	assert_non_null(conf);
	conf_print(conf, f);
	fclose(f);
	return text;
}

/* What is taken. */

static void an_issuer_is_enough_and_the_rest_has_defaults(void **state)
{
	(void)state;
	taken("");
	assert_int_equal(errors.warning_n, 0);
	assert_int_equal(conf->listen_n, 1);
	assert_string_equal(conf->listen[0], "127.0.0.1:8080");
	assert_int_equal(conf->api_listen_n, 1);
	assert_string_equal(conf->api_listen[0], "127.0.0.1:8081");
	assert_int_equal(conf->ocsp_path_n, 2);
	assert_int_equal(conf->workers, 0);
	assert_int_equal(conf->hot_cache, 268435456);
	assert_string_equal(conf->store, "lmdb:/var/lib/ocspcached");
	assert_int_equal(conf->upstream_timeout_ms, 10000);
	assert_int_equal(conf->answer_timeout_ms, 8000);
	assert_int_equal(conf->clock_skew_ms, 300000);
	assert_int_equal(conf->max_age_cap_ms, 3600000);
	assert_int_equal(conf->max_connections, 100000);
	assert_int_equal(conf->log_format, LOG_FORMAT_LOGFMT);
	assert_int_equal(conf->log_level, LEVEL_INFO);
	assert_int_equal(conf->issuer_n, 1);
	assert_string_equal(conf->issuer[0].name, "demo");
	assert_int_equal(conf->issuer[0].line, 2);
	assert_int_equal(conf->issuer[0].unknown_ttl_ms, 60000);
	assert_false(conf->issuer[0].allow_sha1_signatures);
	assert_null(conf->mac_keys);
}

static void values_are_taken_with_and_without_quotes(void **state)
{
	(void)state;
	taken(
	    "workers = 2 hot-cache = 0 max-age-cap = 1h store-timeout = '700ms'\n"
	    "linger-size=\"3M\"store-size = 2G response-max-size = 15360 log-format=json "
	    "latch-keep = 40d\tidle-timeout = 2m # end");
	assert_int_equal(conf->workers, 2);
	assert_int_equal(conf->hot_cache, 0);
	assert_int_equal(conf->max_age_cap_ms, 3600000);
	assert_int_equal(conf->store_timeout_ms, 700);
	assert_int_equal(conf->linger_size, 3 << 20);
	assert_int_equal(conf->store_size, INT64_C(2) << 30);
	assert_int_equal(conf->response_max_size, 15360);
	assert_int_equal(conf->log_format, LOG_FORMAT_JSON);
	assert_int_equal(conf->latch_keep_ms, INT64_C(40) * 86400000);
	assert_int_equal(conf->idle_timeout_ms, 120000);
}

/* A file from Windows: a byte order mark, and CRLF. */
static void a_file_may_begin_with_a_byte_order_mark(void **state)
{
	(void)state;
	assert_true(
	    load("\xef\xbb\xbfhot-cache = 5M\r\nissuer 'x' { certificate = ca.pem "
		 "ocsp = 'http://x/' }\r\n"));
	assert_int_equal(conf->hot_cache, 5 << 20);
}

static void comments_stand_anywhere_and_a_list_may_end_with_a_comma(void **state)
{
	(void)state;
	taken("/* a { \" */ listen = { # one }\n \"127.0.0.1:1\", // two {\n/* } */ "
	      "'[::1]:2',\n}\r\nocsp-path = {} ### x\nlog-level = \"debug\" /* \n\n */");
	assert_int_equal(conf->listen_n, 2);
	assert_string_equal(conf->listen[1], "[::1]:2");
	assert_int_equal(conf->ocsp_path_n, 0);
	assert_int_equal(conf->log_level, LEVEL_DEBUG);
	assert_int_equal(conf->issuer[0].line, 9);
}

static void strings_have_escapes_and_variables(void **state)
{
	(void)state;
	setenv("OCSPCACHED_TEST", "it\"s }", 1);
	taken("store = \"lmdb:/a\\\"b\\\\c${OCSPCACHED_TEST}\\${x}${OCSPCACHED_NONE:-d "
	      "e}\"");
	assert_string_equal(conf->store, "lmdb:/a\"b\\cit\"s }${x}d e");
	taken("store = 'lmdb:/a\\'b\\\\c${x}\"'");
	assert_string_equal(conf->store, "lmdb:/a'b\\c${x}\"");
	unsetenv("OCSPCACHED_TEST");
	refused("store-prefix = \"${OCSPCACHED_TEST}\"", "store-prefix",
	    "environment variable OCSPCACHED_TEST is not set; set it");
	refused("store-prefix = \"${a b\"", "store-prefix", "write \\${");
	refused(
	    "store-prefix = \"a\\n\"", "store-prefix", "\\n is no escape; write \\\\");
}

/* Redis Cluster takes what stands between the first { and the first } behind it for all
 * of a name. */
static void a_prefix_of_keys_has_no_braces(void **state)
{
	(void)state;
	refused("store-prefix = \"a{b}:\"", "store-prefix",
	    "\"a{b}:\" has a brace, and what stands in braces says in which slot of a "
	    "Redis "
	    "Cluster a key is; leave { and } out");
	refused("store-prefix = \"{\"", "store-prefix", "leave { and } out");
	refused("store = \"redis://h\" store-prefix = 'a}'", "store-prefix",
	    "leave { and } out");
	taken("store-prefix = \"a[b](c)<d>*?:\"");
	taken("store-prefix = \"\"");
}

static void paths_are_seen_from_the_file_that_names_them(void **state)
{
	char expected[300];

	(void)state;
	taken("state-directory = ./state store = \"lmdb:db\" listen = \"unix:run/s\" "
	      "api-listen = \"unix:/run/api\"");
	snprintf(expected, sizeof expected, "%s/state", dir);
	assert_string_equal(conf->state_directory, expected);
	snprintf(expected, sizeof expected, "lmdb:%s/db", dir);
	assert_string_equal(conf->store, expected);
	snprintf(expected, sizeof expected, "unix:%s/run/s", dir);
	assert_string_equal(conf->listen[0], expected);
	assert_string_equal(conf->api_listen[0], "unix:/run/api");
	taken("store = \"redis+unix://r.sock\"");
	snprintf(expected, sizeof expected, "redis+unix://%s/r.sock", dir);
	assert_string_equal(conf->store, expected);
	taken("store = \"redis+unix://u:p@r.sock\"");
	snprintf(expected, sizeof expected, "redis+unix://u:p@%s/r.sock", dir);
	assert_string_equal(conf->store, expected);
	taken("store = \"redis+unix://u:p@/r@s\"");
	assert_string_equal(conf->store, "redis+unix://u:p@/r@s");
	snprintf(expected, sizeof expected, "%s/ca.pem", dir);
	assert_string_equal(conf->issuer[0].certificate[0], expected);
}

/* R32: absolute-form requests may go where configured URLs point; and the paths of OCSP.
 */
static void paths_and_authorities_come_from_the_urls(void **state)
{
	(void)state;
	assert_true(load("ocsp-path = { \"/a%2fb/\", \"/%78\" }"
			 "issuer demo { certificate = ca.pem ocsp = { "
			 "\"http://OCSP.Test/ocsp/v1/\", \"https://ocsp.test/x\", "
			 "\"http://ocsp.test:80/x//\", \"http://[::1]:81\" } }"));
	assert_int_equal(conf->path_n, 4);
	assert_string_equal(conf->path[0], "/ocsp/v1");
	assert_string_equal(conf->path[1], "/a%2Fb"); /* RFC 3986 section 6.2.2 */
	assert_string_equal(conf->path[2], "/x");
	assert_string_equal(conf->path[3], "/");
	assert_int_equal(conf->authority_n, 3);
	assert_string_equal(conf->authority[0].host, "ocsp.test");
	assert_int_equal(conf->authority[0].port, 80);
	assert_int_equal(conf->authority[1].port, 443);
	assert_string_equal(conf->authority[2].host, "::1");
	assert_int_equal(conf->authority[2].port, 81);
}

static void the_rules_of_an_issuer_come_from_its_options(void **state)
{
	const struct issuer *i;

	(void)state;
	assert_true(load(ISSUER SECOND "unknown-ttl = 90s without-next-update = 2h "
				       "allow-sha1-signatures = true max-in-flight = 3 "
				       "max-waiting = 4 fetch-rate = 5 }"));
	assert_int_equal(issuers_count(conf->issuers), 2);
	i = issuers_named(conf->issuers, "demo");
	assert_non_null(i);
	assert_int_equal(i->rules.without_next_update_s, 0);
	i = issuers_named(conf->issuers, "two");
	assert_non_null(i);
	assert_int_equal(i->rules.profile, PROFILE_PRIVATE);
	assert_true(i->rules.allow_sha1);
	assert_int_equal(i->rules.unknown_ttl_s, 90);
	assert_int_equal(i->rules.without_next_update_s, 7200);
	assert_int_equal(i->rules.max_in_flight, 3);
	assert_int_equal(i->rules.max_waiting, 4);
	assert_int_equal(i->rules.fetch_rate, 5);
	assert_int_equal(i->ocsp_n, 1);
	assert_true(load(SECOND "profile = public }"));
	i = issuers_at(conf->issuers, 0);
	assert_int_equal(i->rules.profile, PROFILE_PUBLIC);
	assert_false(i->rules.allow_sha1);
}

/* Form. */

static void an_unknown_option_is_named_with_the_one_that_was_meant(void **state)
{
	(void)state;
	refused("hot_cache = 1M", "hot_cache", "did you mean \"hot-cache\"?");
	refused("worker = 1", "worker", "did you mean \"workers\"?");
	refused("hot-cahce = 1M", "hot-cahce", "did you mean \"hot-cache\"?");
	refused("Listen = 'a:1'", "Listen", "did you mean \"listen\"?");
	refused("gargantua = { a, b }", "gargantua", "unknown option; take it out");
	refused("gargantua { a = b }", "gargantua", "unknown section");
	refused("gargantua 'x' { a { b = c } }", "gargantua", "unknown section");
	refused_in_issuer(
	    "certficate = x", "certficate", "did you mean \"certificate\"?");
}

static void an_option_in_the_wrong_scope_is_told_where_it_belongs(void **state)
{
	(void)state;
	refused("max-waiting = 1", "max-waiting", "belongs to an issuer; move it");
	refused_in_issuer("workers = 1", "workers", "belongs to no issuer; move it");
	refused_in_issuer("include(\"x\")", "include", "only outside of an issuer");
}

static void every_option_of_later_work_is_refused_with_its_reason(void **state)
{
	char text[200];

	(void)state;
	for (size_t i = 0; i < later_count; i++) {
		snprintf(text, sizeof text, "%s = \"5m\"", later_table[i].name);
		if (later_table[i].scope == SCOPE_GLOBAL)
			refused(text, later_table[i].name, later_table[i].reason);
		else
			refused_in_issuer(
			    text, later_table[i].name, later_table[i].reason);
	}
	refused_in_issuer("source = crl", "source",
	    "\"crl\": answers from CRLs come in a later version; write \"ocsp\"");
	refused_in_issuer("source = \"ocsp-then-crl\"", "source", "later version");
	refused_in_issuer(
	    "nonce = echo", "nonce", "later version; write \"ignore\" or \"forward\"");
	refused_in_issuer("nonce = echo", "nonce", "later version");
}

static void a_duplicate_is_named_with_both_places(void **state)
{
	char part[300];

	(void)state;
	snprintf(part, sizeof part, "is given twice, first at %s:1; take one",
	    in_dir("test.conf"));
	refused_line("workers = 1\n\nworkers = 1\n" ISSUER, 3, "workers", part);
	refused_line("workers = 1\nworkers = 1\n" ISSUER, 2, "workers", part);
	snprintf(part, sizeof part, "first at %s:1", in_dir("test.conf"));
	refused_line(SECOND "\nocsp = 'http://y' }", 2, "ocsp", part);
	refused_line(ISSUER "issuer demo { certificate = other.pem ocsp = 'http://x' }",
	    2, "issuer", "\"demo\" is the name of another one, at ");
	assert_true(load("max-connections = 1 " ISSUER SECOND "fetch-rate = 1 }"));
}

static void what_is_not_closed_is_named_where_it_opens(void **state)
{
	(void)state;
	refused("store-prefix = \"abc", "store-prefix",
	    "quote that opens here is not closed");
	refused("store-prefix = 'abc", "store-prefix", "add the missing '");
	refused("store-prefix = \"abc\\", "store-prefix", "not closed");
	refused("listen = { \"127.0.0.1:1\", \n workers = 1", "listen",
	    "list that opens with '{' here is not closed");
	refused("listen = {", "listen", "is not closed");
	refused_line("\n\nissuer a { certificate = ca.pem ocsp = 'http://x'\n", 3,
	    "issuer", "never closed; add the missing '}'");
	refused_line("issuer a { certificate = other.pem\nocsp = 'http://x'\n" ISSUER, 1,
	    "issuer", "not closed before the next one in line 3");
	refused_line(ISSUER "}\n", 2, "", "this '}' closes nothing");
	refused_line(ISSUER "/* never", 2, "", "never closed; add */");
	assert_false(load(ISSUER "foo {\n { }\n"));
	must_say(":2: foo: unknown section");
	must_say(":2: foo: this '{' is never closed");
	refused_line("issuer \"x {\ncertificate = ca.pem ocsp = 'http://x' }", 1,
	    "issuer", "quote that opens here is not closed");
}

static void other_slips_of_form_have_their_remedy(void **state)
{
	(void)state;
	refused("workers 4", "workers", "'=' is missing; write workers = VALUE");
	refused("workers", "workers", "'=' is missing");
	refused("workers =", "workers", "has no value");
	refused("workers = \n log-level = info", "workers", "has no value");
	refused("workers = { 4 }", "workers", "takes one value and not a list");
	refused("workers = 4;", "", "nothing ends with ';' here; take it out");
	refused("listen += 'a:1'", "listen", "write '=' and the whole list");
	refused("listen = { 'a:1' 'b:1' }", "listen", "no ',' between them");
	refused(
	    "listen = a*b:1", "listen", "cannot stand without quotes; write \"a*b:1\"");
	refused("store = redis://h:1", "store", "cannot stand without quotes");
	refused("\"workers\" = 4", "workers", "a name stands without quotes");
	refused(", x", "", "where an option should start");
	refused("include \"x\"", "include", "write include(\"FILE\")");
	refused("include(\"x\"", "include", "')' is missing");
	refused("store-prefix = \"a\tb\"", "store-prefix", "control character");
	refused_line("issuer { certificate = ca.pem ocsp = 'http://x' }", 1, "issuer",
	    "has no name; write issuer \"NAME\" { }");
}

static void names_of_issuers_are_checked(void **state)
{
	static const char *const bad[] = {"", "A", "a b", "a/b", "..", "a\\\"b",
	    "0123456789012345678901234567890123456789012345678901234567890123"};
	char text[300];

	(void)state;
	for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
		snprintf(text, sizeof text,
		    "issuer \"%s\" { certificate = ca.pem ocsp = 'http://x' }", bad[i]);
		refused_line(text, 1, "issuer", "write");
	}
	assert_true(load("issuer a.b_c-9 { certificate = ca.pem ocsp = 'http://x' }"));
}

/* One line in a watchlist behind a good issuer. */
static void refused_in_watchlist(const char *line, const char *option, const char *part)
{
	char text[8192];

	snprintf(text, sizeof text, "%s watchlist web {\n%s\n}", ISSUER, line);
	refused_line(text, 3, option, part);
}

static void watchlists_of_files_are_read(void **state)
{
	(void)state;
	write_file("more.conf", "watchlist three { certificates = '/d/*.pem' }\n");
	taken("include('more.conf') watchlist \"web\" { certificates = { "
	      "'/etc/x/*/cert.pem', certs/ } labels = { 'owner=web team', b } } "
	      "watchlist two { certificates = '/c' }");
	assert_int_equal(conf->issuer_n, 1);
	assert_int_equal(conf->watchlist_n, 3);
	assert_string_equal(conf->watchlist[0].name, "web");
	assert_int_equal(conf->watchlist[0].certificates_n, 2);
	assert_string_equal(conf->watchlist[0].certificates[0], "/etc/x/*/cert.pem");
	assert_string_equal(conf->watchlist[0].certificates[1], in_dir("certs/"));
	assert_int_equal(conf->watchlist[0].labels_n, 2);
	assert_string_equal(conf->watchlist[0].labels[0], "owner=web team");
	assert_int_equal(conf->watchlist[1].labels_n, 0);
	assert_ptr_equal(conf_watchlist_named(conf, "three"), &conf->watchlist[2]);
	assert_string_equal(conf->watchlist[2].certificates[0], "/d/*.pem");
	assert_null(conf_watchlist_named(conf, "four"));
	taken("");
	assert_int_equal(conf->watchlist_n, 0);
}

/* Of "abc" and of nothing (FIPS 180-2). */
#define HASH_A "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
#define HASH_B "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"

static void refused_in_token(const char *line, const char *option, const char *part)
{
	char text[8192];

	snprintf(text, sizeof text, "%s token web {\n%s\n}", ISSUER, line);
	refused_line(text, 3, option, part);
}

static void tokens_are_read(void **state)
{
	(void)state;
	taken("token \"fleet-a\" { sha256 = " HASH_A " rights = { read, \"manage\" } "
	      "watchlists = { web } } token b { sha256 = " HASH_B " rights = operate }");
	assert_int_equal(conf->token_n, 2);
	assert_string_equal(conf->token[0].name, "fleet-a");
	assert_int_equal(conf->token[0].hash[0], 0xba);
	assert_int_equal(conf->token[0].hash[31], 0xad);
	assert_int_equal(conf->token[0].rights_set, RIGHT_READ | RIGHT_MANAGE);
	assert_int_equal(conf->token[0].watchlists_n, 1);
	assert_int_equal(conf->token[0].issuers_n, 0);
	assert_int_equal(conf->token[1].rights_set, RIGHT_OPERATE);
	assert_int_equal(conf->token[1].token_max_uploads, 4);
}

/* What somebody put there instead of a hash may be the token: it is not repeated. */
static void tokens_are_checked(void **state)
{
	(void)state;
	refused(
	    "token 'A b' { sha256 = " HASH_A " rights = read }", "token", "is no name");
	refused("token a { sha256 = " HASH_A " rights = read } token a { sha256 = " HASH_B
		" rights = read }",
	    "token", "is the name of another one");
	refused("token a { sha256 = " HASH_A " rights = read } token b { sha256 = " HASH_A
		" rights = read }",
	    "sha256", "is that of another token");
	refused("token a { rights = read }", "sha256", "is what a token is known by");
	refused("token a { sha256 = " HASH_A " }", "rights", "");
	refused_in_token(
	    "sha256 = secret rights = read", "sha256", "is not 64 hexadecimal digits");
	refused_in_token("sha256 = " HASH_A " client-certificate = " HASH_B
			 " rights = read",
	    "sha256", "is what a token is known by");
	refused_in_token("client-certificate = " HASH_A " rights = read",
	    "client-certificate", "write api-tls-client-ca");
	refused_in_token("sha256 = " HASH_A " rights = {}", "rights", "are none");
	refused_in_token("sha256 = " HASH_A " rights = write", "rights", "is no right");
	refused_in_token("sha256 = " HASH_A " rights = read issuers = nobody", "issuers",
	    "is no issuer that is configured");
	refused_in_token("sha256 = " HASH_A " rights = read watchlists = 'A b'",
	    "watchlists", "is no name of a watchlist");
	refused_in_token("workers = 2 sha256 = " HASH_A " rights = read", "workers",
	    "belongs to no token");
}

static void watchlists_of_files_are_checked(void **state)
{
	static const char w[] = "watchlist web { certificates = /c }\n";
	char text[8192];

	(void)state;
	refused("watchlist 'A b' { certificates = /c }", "watchlist", "is no name");
	refused("watchlist { certificates = /c }", "watchlist",
	    "has no name; write watchlist \"NAME\" { }");
	refused("watchlist web { }", "certificates", "watchlist \"web\" has none");
	refused("watchlist web { certificates = {} }", "certificates", "has none");
	refused("certificates = /c", "certificates",
	    "belongs to a watchlist; move it between the braces of watchlist");
	refused_in_watchlist("workers = 2 certificates = /c", "workers",
	    "belongs to no watchlist; move it out of the braces");
	refused_in_watchlist(
	    "certificates = /c crl = 'http://x/'", "crl", "belongs to an issuer");
	refused_in_watchlist("certificates = /c label = x", "label", "\"labels\"");
	refused_in_watchlist("certificates = { /c, /d, /c }", "certificates", "twice");
	refused_in_watchlist("certificates = /c labels = {a, ''}", "labels", "empty");
	refused_in_watchlist("certificates = /c labels = '\xff'", "labels", "UTF-8");
	refused_in_watchlist(
	    "certificates = /c certificates = /d", "certificates", "is given twice");
	snprintf(text, sizeof text, "%s%s%s", ISSUER, w, w);
	refused_line(text, 3, "watchlist", "is the name of another one");
	snprintf(text, sizeof text, "%s watchlist web { certificates = /c\n", ISSUER);
	refused_line(text, 2, "watchlist", "this watchlist is never closed");
	snprintf(text, sizeof text, "watchlist web { certificates = /c\n%s", ISSUER);
	refused_line(text, 1, "watchlist", "is not closed before the next one");
}

static void all_mistakes_are_said_in_one_load_and_in_order(void **state)
{
	static const char *const expected[] = {":1: worker: ", ":2: workers: 300 ",
	    ":3: hot-cache: ", ":4: upstream-timeout: ", ":6: issuer: ",
	    ":7: certificate: cannot read", ":8: ocsp: ", ":9: issuer: \"B\" "};

	(void)state;
	assert_false(load("worker = 1\nworkers = 300\nhot-cache = 1Q\nupstream-timeout = "
			  "\"1s\n\nissuer a {\ncertificate = none.pem\nocsp = 'x'\n"
			  "issuer B { certificate = ca.pem ocsp = 'http://x' }"));
	if (errors.n != 8)
		print_errors();
	assert_int_equal(errors.n, 8);
	for (size_t i = 0; i < 8; i++)
		if (strstr(errors.line[i], expected[i]) == NULL)
			fail_msg("%s is not %s", errors.line[i], expected[i]);
}

static void a_line_of_the_report_has_no_control_characters(void **state)
{
	(void)state;
	assert_false(load("a\033[2Jb = \"x\"\n\001" ISSUER));
	for (size_t i = 0; i < errors.n; i++)
		for (const char *c = errors.line[i]; *c != '\0'; c++)
			assert_true((unsigned char)*c >= ' ');
}

static void mistakes_without_end_are_cut_off(void **state)
{
	char *text = malloc(100001);

	(void)state;
	memset(text, '}', 100000);
	text[100000] = '\0';
	assert_false(load(text));
	assert_in_range(errors.n, 100, 1000);
	free(text);
}

/* Values. */

static void numbers_have_units_and_ranges(void **state)
{
	(void)state;
	refused("header-timeout = 8", "header-timeout", "has no unit; write 8s");
	refused("header-timeout = 0", "header-timeout", "has no unit");
	refused(
	    "header-timeout = 8S", "header-timeout", "write a number and one of ms, s");
	refused("header-timeout = 1h30m", "header-timeout", "is not understood");
	refused("header-timeout = -1s", "header-timeout", "is not understood");
	refused("header-timeout = '1 s'", "header-timeout", "is not understood");
	refused("header-timeout = s", "header-timeout", "is not understood");
	refused(
	    "header-timeout = 10ms", "header-timeout", "out of range; write 50ms to 10m");
	refused("header-timeout = 11m", "header-timeout", "out of range");
	refused("header-timeout = 9223372036854775807d", "header-timeout", "too large");
	refused("header-timeout = 99999999999999999999s", "header-timeout", "too large");
	refused("hot-cache = 256MB", "hot-cache", "one with K, M or G");
	refused("hot-cache = 1m", "hot-cache", "one with K, M or G");
	refused("hot-cache = 1T", "hot-cache", "is not understood");
	refused("hot-cache = 1025G", "hot-cache", "out of range; write 0 to 1024G");
	refused("workers = 257", "workers", "out of range; write 0 to 256");
	refused("workers = four", "workers", "write a whole number");
	refused("workers = 1.5", "workers", "write a whole number");
	refused("workers = 0x10", "workers", "write a whole number");
	refused("workers = ''", "workers", "write a whole number");
	refused("log-level = trace", "log-level",
	    "write \"error\" or \"warn\" or \"info\" or \"debug\"");
	refused("log-level = ''", "log-level", "is not one of its words");
	refused("log-format = logfmt|json", "log-format", "without quotes");
	refused("log-format = 'logfmt|json'", "log-format", "is not one of its words");
	refused_in_issuer("allow-sha1-signatures = yes", "allow-sha1-signatures",
	    "write true or false");
	refused_in_issuer("unknown-ttl = 16m", "unknown-ttl", "write 1s to 15m");
	refused_in_issuer("without-next-update = 9", "without-next-update", "no unit");
	refused_in_issuer(
	    "without-next-update = 0s", "without-next-update", "\"refuse\"");
	refused_in_issuer("without-next-update = 11d", "without-next-update", "to 10d");
	refused_in_issuer(
	    "without-next-update = no", "without-next-update", "understood");
}

/* R34: max-target-size has no value below 2,048; R39: unknown-ttl none over 15 min */
static void every_range_is_closed_and_every_default_inside(void **state)
{
	char text[VALUE_TEXT_MAX], why[256];
	int64_t n;

	(void)state;
	for (int i = 0; i < OPTION_COUNT; i++) {
		const struct option *o = &option_table[i];

		if (o->type > TYPE_SIZE)
			continue;
		assert_true(value_number(
		    o, value_text(o->type, o->min, text), &n, why, sizeof why));
		assert_int_equal(n, o->min);
		assert_true(value_number(
		    o, value_text(o->type, o->max, text), &n, why, sizeof why));
		assert_int_equal(n, o->max);
		assert_false(value_number(
		    o, value_text(o->type, o->max + 1, text), &n, why, sizeof why));
		assert_true(value_number(o, o->dflt, &n, why, sizeof why));
	}
}

static void listeners_are_checked(void **state)
{
	static const char *const bad[] = {"8080", "*:80", ":80", "127.0.0.1",
	    "127.0.0.1:0", "127.0.0.1:65536", "127.0.0.1:x", "127.0.0.1:", "::1:80",
	    "[::1]", "[::1]80", "[::1:80", "[1.2.3.4]:80", "300.1.1.1:80", "1.2.3:80",
	    "a b:80", "http://x:80", "/run/x", "unix:", "unix:/run/x/", "-a:80",
	    "a-b.c_d:80"};
	static const char *const good[] = {"0.0.0.0:1", "[::]:65535", "localhost:80",
	    "LocalHost:80", "unix:/run/x", "[fe80::1]:80"};
	char text[4000] = "listen = { \"0.0.0.0:1\"";
	size_t n = strlen(text);

	for (int i = 1; i <= 64; i++)
		n += (size_t)sprintf(text + n, ", \"127.0.0.1:%d\"", i);
	strcpy(text + n, " }");
	refused(text, "listen", "more than 64");

	(void)state;
	for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
		snprintf(text, sizeof text, "listen = \"%s\"", bad[i]);
		refused(text, "listen", ";");
	}
	for (size_t i = 0; i < sizeof good / sizeof *good; i++) {
		snprintf(text, sizeof text, "listen = \"%s\"", good[i]);
		taken(text);
	}
	refused("listen = {}", "listen", "names no address");
	refused("listen = { 'a:1', '' }", "listen", "is empty");
	refused("listen = { '[::1]:1', '[::1]:2', '[::1]:1' }", "listen", "named twice");
	refused("listen = 'ca.example:80'", "listen", "names a host");
	snprintf(text, sizeof text, "listen = \"unix:/%0120d\"", 1);
	refused(text, "listen", "longer than the 107");
}

/* Off loopback the API needs TLS and a token, which come later. */
static void the_api_stays_on_loopback(void **state)
{
	static const char *const off[] = {
	    "0.0.0.0:1", "[::]:1", "10.0.0.1:1", "128.0.0.1:1", "[::ffff:127.0.0.1]:1"};
	static const char *const on[] = {
	    "", "127.0.0.1:1", "127.9.9.9:1", "[::1]:1", "localhost:1", "unix:/run/x"};
	char text[300];

	(void)state;
	for (size_t i = 0; i < sizeof off / sizeof *off; i++) {
		snprintf(text, sizeof text, "api-listen = \"%s\"", off[i]);
		refused(text, "api-listen", "needs TLS");
	}
	for (size_t i = 0; i < sizeof on / sizeof *on; i++) {
		snprintf(text, sizeof text, "api-listen = \"%s\"", on[i]);
		taken(text);
	}
	refused("api-listen = 'api.example.com:1'", "api-listen", "names a host");
	refused("api-listen = 'localhost.x:1'", "api-listen", "names a host");
	refused("api-tls-certificate = 'x'", "api-tls-certificate", "stands alone");
	refused("api-tls-private-key = 'x'", "api-tls-private-key", "stands alone");
	refused("api-tls-certificate = 'no' api-tls-private-key = 'no'",
	    "api-tls-certificate", "No such file");
	refused("api-listen = '127.0.0.1:8080'", "api-listen", "address of listen too");
	refused("api-listen = { '127.0.0.1:1', '127.0.0.1:1' }", "api-listen", "twice");
	taken("api-listen = { '127.0.0.1:1', 'unix:/run/x' }");
	assert_int_equal(conf->api_listen_n, 2);
	taken("api-listen = {}");
	assert_int_equal(conf->api_listen_n, 0);
}

static void ocsp_paths_are_checked(void **state)
{
	(void)state;
	refused("ocsp-path = ocsp", "ocsp-path", "does not start with '/'");
	refused("ocsp-path = '/a b'", "ocsp-path", "percent-encode");
	refused("ocsp-path = '/a%2'", "ocsp-path", "two hexadecimal digits");
	refused("ocsp-path = '/a%00'", "ocsp-path", "zero byte");
	refused("ocsp-path = '/a?b'", "ocsp-path", "query");
	refused("ocsp-path = { '/a', '/a' }", "ocsp-path", "twice");
}

static void stores_are_checked_and_their_passwords_never_repeated(void **state)
{
	static const char *const bad[] = {"", "lmdb:", "file:x", "redis://",
	    "redis://h:0", "redis://geheim@h:1", "redis://u:@h:1",
	    "redis://u:geheim@h:1/x", "redis://u:geheim@h:1?x=1", "redis://u:ge heim@h:1",
	    "redis+unix://", "redis+unix://geheim@/r", "redis+unix://u:@/r",
	    "redis+unix://u:geheim@", "redis+unix://u:geheim@/", "REDIS://h:1",
	    "memory:x"};
	static const char *const later[] = {"rediss://u:geheim@h:1",
	    "redis+sentinel://u:geheim@h:1", "redis+cluster://u:geheim@h:1"};
	static const char *const good[] = {"memory:", "lmdb:/x", "redis://h:1",
	    "redis://h", "redis://h:1/0", "redis://u:p@h:1/15", "redis://:p%40@[::1]:1",
	    "redis+unix:///run/r", "redis+unix://u:p@/run/r",
	    "redis+unix://:p%2f@/run/a@b"};
	char text[300];

	(void)state;
	for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
		snprintf(text, sizeof text, "store = \"%s\"", bad[i]);
		refused(text, "store", ";");
		assert_null(strstr(errors.line[0], "geheim"));
	}
	for (size_t i = 0; i < sizeof later / sizeof *later; i++) {
		snprintf(text, sizeof text, "store = \"%s\"", later[i]);
		refused(text, "store", "comes in a later version");
		assert_null(strstr(errors.line[0], "geheim"));
	}
	for (size_t i = 0; i < sizeof good / sizeof *good; i++) {
		snprintf(text, sizeof text, "store = \"%s\"", good[i]);
		taken(text);
	}
}

/* T7, T8 */
static void responders_are_checked(void **state)
{
	static const char *const bad[] = {"ocsp.test", "ftp://x", "http://", "http:///p",
	    "http://u@h/", "http://u:p@h/", "http://h/#f", "http://h?q", "http://h:0/",
	    "http://h:99999/", "http://h:/", "http://h /", "http://h/\xc3\xa9",
	    "http://h/%zz", "http://h/%00", "http://[::g]/", "http://::1/", "http://h/\"",
	    "file:///x", "http://1.2.3/", "http://redis:6379/\\r\\nSET x y"};
	char text[300];

	(void)state;
	for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
		snprintf(text, sizeof text,
		    "issuer a { certificate = ca.pem\nocsp = '%s' }", bad[i]);
		refused_line(text, 2, "ocsp", ";");
	}
	refused_line(
	    "issuer a { certificate = ca.pem ocsp = { 'http://x',\n'http://x' } }", 2,
	    "ocsp", "named twice");
	refused_line("issuer a {\ncertificate = ca.pem ocsp = {} }", 2, "ocsp",
	    "has no way to get an answer");
	refused_line("issuer a {\ncertificate = ca.pem }", 1, "ocsp",
	    "has no way to get an answer");
	assert_true(load("issuer a { certificate = ca.pem ocsp = 'HTTPS://h:1/a%20b' }"));
	/* clients may or may not repeat the query: it is no part of the path */
	assert_true(load("issuer a { certificate = ca.pem ocsp = { "
			 "'http://h/status/?ca=1', 'http://h/status?ca=2' } }"));
	assert_string_equal(
	    issuers_at(conf->issuers, 0)->ocsp[1], "http://h/status?ca=2");
	assert_string_equal(conf->path[0], "/status");
}

/* RFC 9773 section 4: the directory is asked by https. */
static void the_directory_for_renewal_information_is_a_url(void **state)
{
	(void)state;
	refused_in_issuer("ari = 'acme.example'", "ari", "http://HOST");
	refused_in_issuer("ari = 'file:///d'", "ari", "http://HOST");
	refused("ari-interval-min = 2h ari-interval-max = 1h", "ari-interval-min",
	    "is 2h and ari-interval-max is 1h");
	assert_true(load("issuer demo { certificate = ca.pem ocsp = 'http://h/' "
			 "ari = 'https://acme.example/directory' }"));
	assert_string_equal(conf->issuer[0].ari, "https://acme.example/directory");
	assert_int_equal(errors.warning_n, 0);
	assert_true(load("issuer demo { certificate = ca.pem ocsp = 'http://h/' "
			 "ari = 'http://acme.example/directory' }"));
	must_warn("write https");
}

/* R104: each list has one name of its own, its URL unless crl-scope says another. */
static void lists_are_checked_and_have_their_names(void **state)
{
	const struct issuer *i;

	(void)state;
	refused_in_issuer("crl = \"ldap://x/cn=a\"", "crl", "LDAP");
	refused_in_issuer("crl = \"file:\"", "crl", "names no file");
	refused_in_issuer("crl = \"file://x\"", "crl", "no path from");
	refused_in_issuer("crl = \"x.crl\"", "crl", "file:PATH for a file");
	refused_in_issuer("crl = \"ftp://x/a\"", "crl", "http://HOST");
	refused_in_issuer("crl = { \"http://x/a\", \"http://x/a\" }", "crl", "twice");
	refused_in_issuer("crl = \"http://x/a\" crl-scope = { \"a\", \"b\" }",
	    "crl-scope", "more scopes");
	refused_in_issuer("crl = \"http://x?a\"", "crl", "no path");
	assert_true(load("issuer demo { certificate = ca.pem crl = { \"file:a.crl\", "
			 "\"HTTP://C.test/b.crl?x=1\", \"file:///c\" } "
			 "crl-scope = { \"http://ca.test/a.crl\", \"\" } }"));
	i = issuers_named(conf->issuers, "demo");
	assert_int_equal(i->crl_n, 3);
	must_warn("/a.crl\" cannot be read now: No such file");
	assert_int_equal(i->ocsp_n, 0); /* lists are a way to answer, but not OCSP */
	assert_true(errors.warning_n > 0);
	assert_non_null(strstr(errors.warning[0], "OCSP requests get tryLater"));
	assert_string_equal(
	    i->crl[0].place[0] + strlen(i->crl[0].place[0]) - 6, "/a.crl");
	assert_memory_equal(i->crl[0].place[0], "file:///", 8);
	assert_string_equal(i->crl[0].scope, "http://ca.test/a.crl");
	assert_string_equal(i->crl[1].scope, "HTTP://C.test/b.crl?x=1");
	assert_string_equal(i->crl[2].scope, "file:///c");
	assert_int_equal(conf->mirror_n, 2);
	assert_string_equal(conf->mirror[0].host, "ca.test");
	assert_string_equal(conf->mirror[0].target, "/a.crl");
	assert_int_equal(conf->mirror[0].list, 0);
	assert_string_equal(conf->mirror[1].host, "c.test");
	assert_int_equal(conf->mirror[1].port, 80);
	assert_string_equal(conf->mirror[1].target, "/b.crl?x=1");
	assert_int_equal(conf->mirror[1].list, 1);
}

static void records_are_urls_or_files(void **state)
{
	char wanted[512];

	(void)state;
	assert_true(load("ccadb = { 'https://c.example/a.csv', b.csv, /c.csv }"
			 " issuer demo { certificate = ca.pem crl = ccadb }"));
	assert_int_equal(conf->ccadb_n, 3);
	assert_string_equal(conf->ccadb[0], "https://c.example/a.csv");
	snprintf(wanted, sizeof wanted, "%s/b.csv", dir);
	assert_string_equal(conf->ccadb[1], wanted);
	assert_string_equal(conf->ccadb[2], "/c.csv");
	assert_false(load("ccadb = 'ftp://c.example/a.csv'"
			  " issuer demo { certificate = ca.pem crl = ccadb }"));
	must_say("ccadb: \"ftp://c.example/a.csv\" is no http");
	assert_false(load("issuer demo { certificate = ca.pem crl = ccadb }"));
	must_say("crl: \"ccadb\" needs to be told where its records are");
}

/* The lists of the only issuer in short: scope and places of each. */
static const char *lists_are(const char *options)
{
	static char out[2048];
	char text[1024];
	const struct issuer *i;
	size_t n = 0;

	snprintf(text, sizeof text, "%s issuer demo { certificate = ca.pem %s }",
	    strstr(options, "ccadb") != NULL ? "ccadb = records.csv" : "", options);
	assert_true(load(text));
	i = issuers_named(conf->issuers, "demo");
	out[0] = '\0';
	for (size_t k = 0; k < i->crl_n; k++) {
		n += (size_t)snprintf(out + n, sizeof out - n,
		    "%s%s%s:", k > 0 ? "; " : "", i->crl[k].scope,
		    i->crl[k].strict ? "!" : "");
		for (size_t p = 0; p < i->crl[k].place_n; p++)
			n += (size_t)snprintf(
			    out + n, sizeof out - n, " %s", i->crl[k].place[p]);
	}
	return out;
}

/* One line for many lists, and several places for one. */
static void ranges_and_alternates_are_lists_with_places(void **state)
{
	const struct issuer *i;

	(void)state;
	assert_string_equal(lists_are("crl = 'http://x/{9..10}.crl'"),
	    "http://x/9.crl: http://x/9.crl; http://x/10.crl: http://x/10.crl");
	assert_string_equal(
	    lists_are("crl = { 'http://a/{1..2} | http://b/{01..02}', 'http://c/' }"),
	    "http://a/1: http://a/1 http://b/01; http://a/2: http://a/2 http://b/02; "
	    "http://c/: http://c/");
	/* Host and path of every place; the number is that of the list */
	assert_int_equal(conf->mirror_n, 5);
	assert_string_equal(conf->mirror[3].host, "b");
	assert_string_equal(conf->mirror[3].target, "/02");
	assert_int_equal(conf->mirror[3].list, 1);
	assert_int_equal(conf->mirror[4].list, 2);
	assert_int_equal(conf->authority_n, 3);
	/* what was written stays, with paths that are absolute */
	assert_string_equal(
	    conf->issuer[0].crl[0], "http://a/{1..2} | http://b/{01..02}");
	assert_true(load("issuer demo { certificate = ca.pem "
			 "crl = 'file:x{1..2}.crl |  http://b/{1..2}' }"));
	i = issuers_named(conf->issuers, "demo");
	assert_memory_equal(i->crl[1].place[0], "file:///", 8);
	assert_non_null(strstr(i->crl[1].place[0], "/x2.crl"));
	assert_memory_equal(conf->issuer[0].crl[0], "file:///", 8);
	assert_non_null(strstr(conf->issuer[0].crl[0], "/x{1..2}.crl | http://b/{1..2}"));
	refused_in_issuer("crl = 'http://x/{2..1}'", "crl", "counts down");
	refused_in_issuer("crl = 'http://x/a | ldap://y'", "crl", "is LDAP");
	refused_in_issuer("crl = 'http://x:6553{5..6}/'", "crl", "its port is no number");
	refused_in_issuer("crl = 'http://x/a | http://x/a'", "crl", "twice");
	refused_in_issuer(
	    "crl = { 'http://x/{1..3}', 'http://y/ | http://x/2' }", "crl", "twice");
	refused_in_issuer("crl = 'http://a|http://b'", "crl", "no URL has");
}

static void lists_of_an_issuer_are_bounded(void **state)
{
	(void)state;
	refused_in_issuer("crl = 'http://x/{1..4097}'", "crl", "more than 4096 lists");
	refused_in_issuer(
	    "crl = 'http://x/{1..999999999}'", "crl", "more than 4096 lists");
	refused_line("crl-max-lists = 3\nissuer a { certificate = ca.pem crl = {\n"
		     "'http://x/{1..2}',\n'http://y/{1..2}' } }",
	    4, "crl", "more than 3 lists");
	refused("crl-max-lists = 0", "crl-max-lists", "out of range");
	assert_true(load("crl-max-lists = 5000 issuer a { certificate = ca.pem "
			 "crl = 'http://x/{1..5000}' }"));
	assert_int_equal(issuers_at(conf->issuers, 0)->crl_n, 5000);
}

/* A range is the operator's word that these are all; so is "ccadb", and not what
 * watched certificates happen to name. */
static void words_of_crl_name_who_knows_lists(void **state)
{
	static const struct {
		const char *options;
		bool ccadb, certificates;
		enum absent absent;
	} rows[] = {{"crl = 'http://x/'", false, false, ABSENT_UNSAID},
	    {"crl = 'http://x/{1..2}'", false, false, ABSENT_GOOD},
	    {"crl = 'http://x/{1..2}' absent = unknown", false, false, ABSENT_UNKNOWN},
	    {"crl = 'http://x/{1..2}' crl-need = watched", false, false, ABSENT_UNSAID},
	    {"crl = ccadb", true, false, ABSENT_GOOD},
	    {"crl = certificates", false, true, ABSENT_UNSAID},
	    {"crl = certificates absent = good", false, true, ABSENT_UNSAID},
	    {"crl = { certificates, 'http://x/' } absent = good", false, true,
		ABSENT_GOOD},
	    {"crl = { certificates, ccadb, 'http://x/' }", true, true, ABSENT_GOOD}};

	(void)state;
	for (size_t n = 0; n < sizeof rows / sizeof *rows; n++) {
		const struct issuer_rules *r;

		(void)lists_are(rows[n].options);
		r = &issuers_at(conf->issuers, 0)->rules;
		assert_int_equal(r->learns[LEARNT_CCADB], rows[n].ccadb);
		assert_int_equal(r->learns[LEARNT_CERTIFICATES], rows[n].certificates);
		assert_int_equal(r->absent, rows[n].absent);
		assert_int_equal(
		    r->need_watched, strstr(rows[n].options, "watched") != NULL);
	}
	(void)lists_are("crl = certificates absent = good");
	must_warn("take it out");
	refused_in_issuer("crl = { certificates, certificates }", "crl", "twice");
	refused_in_issuer("crl = 'ccadb | http://x/'", "crl", "no URL");
	refused_in_issuer("crl = 'http://x/' crl-need = some", "crl-need", "watched");
}

/* R104: number and time of a list are kept by its name: of two lists with one name each
 * would take the other's for its own. */
static void lists_of_one_name_are_one_list(void **state)
{
	(void)state;
#define TWO "crl = { 'http://x/a', 'http://x/b' } "
	assert_string_equal(
	    lists_are(TWO "crl-scope = { 'dirName:CN=a', 'dirName:CN=a' }"),
	    "dirName:CN=a: http://x/a http://x/b");
	must_warn("\"http://x/a\" and \"http://x/b\" are of one name");
	must_warn("write \"http://x/a | http://x/b\"");
	assert_string_equal(lists_are(TWO "crl-scope = 'http://x/b'"),
	    "http://x/b: http://x/a http://x/b");
	assert_string_equal(lists_are(TWO "crl-scope = { '', 'http://x/a' }"),
	    "http://x/a: http://x/a http://x/b");
	/* each has its own: then where one is to be had is the name of the other only */
	assert_string_equal(lists_are(TWO "crl-scope = { 'http://x/b', 'http://y' }"),
	    "http://x/b: http://x/a; http://y!: http://x/b");
	assert_string_equal(lists_are("crl = 'http://x/{1..3}' "
				      "crl-scope = { '', 'http://x/3' }"),
	    "http://x/1: http://x/1; http://x/3: http://x/2 http://x/3");
	refused_in_issuer("crl = 'http://x/{1..2}' crl-scope = { a, b, c }", "crl-scope",
	    "more scopes");
}

static void options_are_checked_against_each_other(void **state)
{
	(void)state;
	refused("refresh-min = 1h refresh-max = 1m", "refresh-min", "may not be larger");
	refused("backoff-max = 100ms", "backoff-max", "backoff-initial is 500ms");
	refused_in_issuer("profile = public allow-sha1-signatures = true",
	    "allow-sha1-signatures", "profile \"public\" refuses SHA-1");
	taken("answer-timeout = 30s");
	assert_int_equal(errors.warning_n, 0);
	taken("lease-time = 10s store = 'redis://h:1'");
	must_warn(":1: lease-time: lease-time is not longer than upstream-timeout");
}

/* Files. */

static void certificates_are_checked(void **state)
{
	(void)state;
	write_ca("leaf.pem", "CA:FALSE", NULL, -DAY, DAY);
	write_ca("sign.pem", "CA:TRUE", "digitalSignature", -DAY, DAY);
	write_ca("crl.pem", "CA:TRUE", "cRLSign", -DAY, DAY);
	write_ca("bare.pem", NULL, NULL, -DAY, DAY);
	write_ca("expired.pem", "CA:TRUE", NULL, -2 * DAY, -DAY);
	write_ca("future.pem", "CA:TRUE", NULL, DAY, 2 * DAY);
	write_file("text.pem", "hello\n");
	write_file("empty.pem", "");
	write_file(
	    "key.pem", "-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n");
	write_file("broken.pem",
	    "-----BEGIN CERTIFICATE-----\nMIIB\n-----END CERTIFICATE-----\n");
	write_file("secret.pem",
	    "-----BEGIN CERTIFICATE-----\nProc-Type: 4,ENCRYPTED\nDEK-Info: "
	    "AES-128-CBC,00000000000000000000000000000000\n\nAAAA\n-----END "
	    "CERTIFICATE-----\n");
#define WITH(name) "issuer a { ocsp = 'http://x'\ncertificate = " name " }"
	refused_line(
	    WITH("leaf.pem"), 2, "certificate", "CA:FALSE); name the certificate");
	refused_line(WITH("sign.pem"), 2, "certificate", "keyUsage without keyCertSign");
	refused_line(WITH("none.pem"), 2, "certificate", "No such file");
	refused_line(WITH("text.pem"), 2, "certificate", "is not a certificate");
	refused_line(WITH("empty.pem"), 2, "certificate", "is not a certificate");
	refused_line(WITH("key.pem"), 2, "certificate", "holds no certificate");
	refused_line(WITH("broken.pem"), 2, "certificate", "cannot be read");
	refused_line(WITH("secret.pem"), 2, "certificate", "cannot be read");
	refused_line(WITH("'.'"), 2, "certificate", "Is a directory");
	refused_line(WITH("/dev/null"), 2, "certificate", "no regular file");
	refused_line("\nissuer a { ocsp = 'http://x' }", 2, "certificate", "has none");
	assert_true(load(WITH("crl.pem")));
	assert_int_equal(errors.warning_n, 0);
	assert_true(load(WITH("bare.pem")));
	must_warn(":2: certificate: ");
	must_warn("does not say that it is a CA's");
	assert_true(load(WITH("expired.pem")));
	must_warn("has expired");
	assert_true(load(WITH("future.pem")));
	must_warn("is not valid yet");
}

static void the_proxy_is_an_http_url_of_a_host_and_a_port(void **state)
{
	static const char *const good[] = {"", "http://p:3128", "HTTP://P.example:1/",
	    "http://[::1]:8888", "http://127.0.0.1:3128"};
	static const struct {
		const char *url, *part;
	} bad[] = {{"p:3128", "is no http URL; write http://HOST:PORT"},
	    {"http://p", "has no port"}, {"http://p:0", "its port is no number"},
	    {"https://p:3128", "is no HTTP proxy"},
	    {"socks5://p:1080", "is no HTTP proxy"},
	    {"http://u:geheim@p:1", "\"http://***@p:1\" has a user name"},
	    {"http://p:1/x", "has a path"}, {"http://p:1?x", "has a path"},
	    {"http://:1", "names no host"}, {"http://a b:1", "has a space"},
	    {"http://127.0.0.1:8080", "is where we listen ourselves"}};
	char text[300];

	(void)state;
	for (size_t i = 0; i < sizeof good / sizeof *good; i++) {
		snprintf(text, sizeof text, "upstream-proxy = '%s'", good[i]);
		taken(text);
		assert_string_equal(conf->upstream_proxy, good[i]);
	}
	for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
		snprintf(text, sizeof text, "upstream-proxy = '%s'", bad[i].url);
		refused(text, "upstream-proxy", bad[i].part);
	}
}

/* T7 */
static void allowed_addresses_are_networks(void **state)
{
	(void)state;
	taken("");
	assert_int_equal(conf->allow_address_n, 0);
	taken("allow-address = { '10.0.0.0/8', '[fd00::]/8:443' }");
	assert_int_equal(conf->allow_address_n, 2);
	assert_int_equal(conf->allowed[0].bits, 8);
	assert_int_equal(conf->allowed[1].first.port, 443);
	refused("allow-address = { '10.0.0.0/8', 'example.com' }", "allow-address",
	    "\"example.com\" is no address; write 10.0.0.0/8");
}

/* T7 */
static void webhooks_have_addresses_pauses_and_an_url_to_tell(void **state)
{
	(void)state;
	taken("");
	assert_int_equal(conf->webhook_timeout_ms, 20000);
	assert_int_equal(conf->webhook_retry_n, 6);
	assert_int_equal(conf->webhook_retry_ms[0], 5000);
	assert_int_equal(conf->webhook_retry_ms[5], 36000000);
	taken("webhook-allow-address = { '10.0.0.0/8:9093' }\nwebhook-retry = '1s'\n"
	      "api-url = 'https://api.example:8443/ocsp'");
	assert_int_equal(conf->webhook_allowed[0].first.port, 9093);
	assert_int_equal(conf->webhook_retry_ms[0], 1000);
	refused("webhook-allow-address = 'example.com'", "webhook-allow-address",
	    "\"example.com\" is no address");
	refused("webhook-retry = { '5s', '999ms' }", "webhook-retry", "write 1s to 1d");
	refused("webhook-retry = '2d'", "webhook-retry", "write 1s to 1d");
	refused("webhook-retry = 'often'", "webhook-retry", "often");
	refused("webhook-retry = {}", "webhook-retry", "write 1 to 32");
	refused("api-url = 'https://api.example/'", "api-url", "ends with a slash");
	refused("api-url = 'https://api.example?a=b'", "api-url", "query");
	refused("api-url = 'api.example'", "api-url", "http");
}

static void cas_of_servers_are_read_when_they_are_loaded(void **state)
{
	X509 *second = make_certificate("second", NULL, NULL, -DAY, DAY);
	BIO *bio;
	X509 *x;
	int n = 0;

	(void)state;
	taken("");
	assert_null(conf->server_cas);
	write_ca("web.pem", "CA:TRUE", NULL, -DAY, DAY);
	add_pem("web.pem", "a", second);
	X509_free(second);
	taken("upstream-tls-ca = web.pem");
	bio = BIO_new_mem_buf(conf->server_cas, (int)conf->server_cas_n);
	while ((x = PEM_read_bio_X509(bio, NULL, NULL, NULL)) != NULL) {
		X509_free(x);
		n++;
	}
	BIO_free(bio);
	assert_int_equal(n, 2);
	write_file("plain.pem", "hello\n");
	refused("upstream-tls-ca = plain.pem", "upstream-tls-ca",
	    "is not a certificate; name a PEM or DER file of a CA's certificate");
	refused("upstream-tls-ca = gone.pem", "upstream-tls-ca", "No such file");
	write_ca("past.pem", "CA:TRUE", NULL, -2 * DAY, -DAY);
	taken("upstream-tls-ca = past.pem");
	must_warn("has expired; no server's certificate is good by it");
}

/* R44 (c) */
static void named_responders_are_checked(void **state)
{
	EVP_PKEY *weak = EVP_RSA_gen(1024);
	X509 *x = make_certificate("weak", NULL, NULL, -DAY, DAY);
	const struct issuer *i;

	(void)state;
	X509_set_pubkey(x, weak);
	assert_true(X509_sign(x, weak, EVP_sha256()) > 0);
	add_pem("weak.pem", "w", x);
	X509_free(x);
	EVP_PKEY_free(weak);
	write_ca("resp.pem", "CA:FALSE", "digitalSignature", -DAY, DAY);
	write_ca("late.pem", NULL, NULL, -2 * DAY, -DAY);
#define NAMES(responder) WITH("ca.pem\nresponder-certificate = " responder "\n#") "\n}"
	assert_true(load(NAMES("{ resp.pem, other.pem }")));
	assert_int_equal(errors.warning_n, 0);
	i = issuers_at(conf->issuers, 0);
	assert_int_equal(i->responder_n, 2);
	assert_true(issuer_vouches(i, i->responder[1].sha256));
	assert_true(load(NAMES("late.pem")));
	must_warn(":3: responder-certificate: ");
	must_warn("has expired; what it signs is refused");
	assert_true(load(NAMES("ca.pem")));
	must_warn("is the CA itself");
	refused_line(NAMES("weak.pem"), 3, "responder-certificate",
	    "/CN=weak cannot be used (signature algorithm is not allowed): RSA needs");
	refused_line(NAMES("gone.pem"), 3, "responder-certificate", "No such file");
	write_file("plain.pem", "hello\n");
	refused_line(NAMES("plain.pem"), 3, "responder-certificate",
	    "DER file of the responder's certificate");
	refused_line(NAMES("resp.pem\nprofile = public"), 3, "responder-certificate",
	    "delegate was not issued directly by this issuer): profile \"public\"");
	/* each is told where it is named */
	refused_line(
	    NAMES("{ resp.pem,\nweak.pem }"), 4, "responder-certificate", "weak");
}

/* R89, RFC 5280 section 4.1.2.2: serials are a CA's own, so what one says is not to be
 * taken for another's. */
static void cas_of_one_issuer_have_one_name(void **state)
{
	X509 *renewed = make_certificate("ca.pem", "CA:TRUE", NULL, -DAY, DAY);

	(void)state;
	add_pem("renewed.pem", "w", renewed);
	X509_free(renewed);
	assert_true(load(WITH("{ ca.pem, renewed.pem } crl = 'http://x/a'")));
	assert_int_equal(errors.warning_n, 0);
	refused_line(WITH("{ ca.pem, other.pem }"), 2, "certificate",
	    "names CAs of different names");
	refused_line(WITH("{ ca.pem, renewed.pem, other.pem } crl = 'http://x/a'"), 2,
	    "certificate", "write an issuer section for each CA");
}

static void a_file_may_hold_several_certificates_or_one_in_der(void **state)
{
	X509 *x = make_certificate("ca.pem", "CA:TRUE", NULL, -DAY, DAY);
	X509 *renewed = make_certificate("ca.pem", "CA:TRUE", NULL, -DAY, DAY);
	unsigned char *der = NULL;
	int n = i2d_X509(x, &der);
	FILE *f = fopen(in_dir("new.der"), "w");

	(void)state;
	assert_true(n > 0 && f && fwrite(der, 1, (size_t)n, f) == (size_t)n);
	fclose(f);
	f = fopen(in_dir("long.der"), "w");
	assert_true(f && fwrite(der, 1, (size_t)n, f) == (size_t)n && fputc(0, f) == 0);
	fclose(f);
	add_pem("both.pem", "w", renewed);
	add_pem("both.pem", "a", x);
	X509_free(renewed);
	assert_true(load(WITH("both.pem")));
	assert_int_equal(issuers_at(conf->issuers, 0)->ca_n, 2);
	assert_true(load(WITH("{ new.der, ca.pem }")));
	assert_int_equal(issuers_at(conf->issuers, 0)->ca_n, 2);
	refused_line(WITH("long.der"), 2, "certificate", "is not a certificate");
	X509_free(x);
	OPENSSL_free(der);
}

static void two_issuers_alike_are_named_with_both_places(void **state)
{
	char part[300];

	(void)state;
	snprintf(part, sizeof part,
	    "issuer \"b\" is the same CA as issuer \"demo\" at %s:1",
	    in_dir("test.conf"));
	refused_line(ISSUER "\nissuer b { certificate = ca.pem ocsp = 'http://y' }", 3,
	    "certificate", part);
}

static void the_key_file_is_loaded_and_guarded(void **state)
{
	(void)state;
	write_file("mac.key",
	    "# new\n"
	    "00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff\n");
	chmod(in_dir("mac.key"), 0600);
	taken("store-key-file = mac.key");
	assert_non_null(conf->mac_keys);
	assert_int_equal(errors.warning_n, 0);
	chmod(in_dir("mac.key"), 0644);
	taken("store-key-file = mac.key");
	must_warn(":1: store-key-file: is open to every user");
	write_file("short.key", "0011\n");
	refused("store-key-file = short.key", "store-key-file", "64 hexadecimal digits");
	refused("store-key-file = none.key", "store-key-file", ";");
	refused("store-key-file = /dev/null", "store-key-file", "no regular file");
}

static void includes_are_relative_nested_and_globbed(void **state)
{
	(void)state;
	mkdir(in_dir("sub"), 0700);
	write_file("main.conf", "include(\"sub/*.conf\")\ninclude('empty.d/*.conf')\n");
	write_file("sub/a.conf", "include('deeper.inc')\nworkers = 3\n");
	write_file("sub/b.conf", "state-directory = here\n");
	write_file(
	    "sub/deeper.inc", "issuer i { certificate = ../ca.pem ocsp = 'http://x' }");
	if (!load_file("main.conf"))
		print_errors();
	assert_non_null(conf);
	assert_int_equal(conf->workers, 3);
	assert_string_equal(conf->state_directory, in_dir("sub/here"));
	assert_string_equal(conf->issuer[0].file, in_dir("sub/deeper.inc"));
	/* a duplicate over two files */
	write_file("sub/b.conf", "\nworkers = 4\n");
	assert_false(load_file("main.conf"));
	must_say("sub/b.conf:2: workers: is given twice, first at ");
	must_say("sub/a.conf:2; take one of them out");
	/* a missing plain file, and mistakes of both files in one load */
	write_file("sub/b.conf", "wrkers = 4\ninclude(\"none.conf\")\n");
	write_file("sub/a.conf", "hot-cache = x\n");
	assert_false(load_file("main.conf"));
	must_say("sub/a.conf:1: hot-cache: ");
	must_say("sub/b.conf:1: wrkers: unknown option; did you mean \"workers\"?");
	must_say("sub/b.conf:2: include: cannot read ");
}

static void includes_do_not_turn_in_circles(void **state)
{
	char name[40], text[80];

	(void)state;
	write_file("ring.conf", "include('ring2.conf')\n" ISSUER);
	write_file("ring2.conf", "include('ring.conf')\n");
	assert_false(load_file("ring.conf"));
	must_say("ring2.conf:1: include: ");
	must_say("is the file that all started with");
	write_file("ring.conf", "include('ring3.conf')\ninclude('ring3.conf')\n" ISSUER);
	write_file("ring3.conf", "");
	assert_false(load_file("ring.conf"));
	must_say("ring.conf:2: include: ");
	must_say("is included already, at ");
	for (int i = 0; i < 30; i++) {
		snprintf(name, sizeof name, "deep%d.conf", i);
		snprintf(text, sizeof text, "include('deep%d.conf')\n", i + 1);
		write_file(name, text);
	}
	assert_false(load_file("deep0.conf"));
	must_say("deep15.conf:1: include: goes deeper than 16 files");
}

static void a_file_that_is_none_is_refused(void **state)
{
	FILE *f;

	(void)state;
	assert_false(load_file("nothing.conf"));
	must_say("nothing.conf: cannot read ");
	must_say("No such file or directory");
	assert_int_equal(errors.n, 1);
	assert_false(load_file("."));
	must_say("Is a directory");
	f = fopen(in_dir("zero.conf"), "w");
	fwrite("workers = 1\0", 1, 12, f);
	fclose(f);
	assert_false(load_file("zero.conf"));
	must_say("zero byte");
	assert_int_equal(truncate(in_dir("zero.conf"), 3 << 20), 0);
	assert_false(load_file("zero.conf"));
	must_say("larger than");
	mkfifo(in_dir("fifo"), 0600);
	assert_false(load_file("fifo"));
	must_say("no regular file");
}

static void a_mistake_leaves_nothing_behind_for_the_next_load(void **state)
{
	(void)state;
	for (int i = 0; i < 3; i++) {
		assert_false(load("workers = \"1\nlisten = { 'a" ISSUER));
		assert_false(load(ISSUER "store-prefix = 'abc"));
		taken("workers = 1");
	}
}

/* Printing and comparing. */

static void what_is_printed_loads_to_the_same(void **state)
{
	char *first, *second;

	(void)state;
	taken("listen = { '0.0.0.0:1', \"unix:s\" } workers = 7 hot-cache = 1025 "
	      "store = 'lmdb:a\"b${x}' store-prefix = '\\'\"\\\\$' ocsp-path = {} "
	      "clock-skew = 90s refresh-min = 1500ms log-format = json " SECOND
	      "without-next-update = 36h allow-sha1-signatures = true } "
	      "watchlist web { certificates = { '/a/*.pem', /b } labels = 'o=\"x\"' }");
	first = printed();
	if (!load(first)) {
		print_errors();
		fail();
	}
	second = printed();
	assert_string_equal(first, second);
	assert_string_equal(conf->store_prefix, "'\"\\$");
	assert_non_null(strstr(conf->store, "/a\"b${x}"));
	assert_int_equal(conf->ocsp_path_n, 0);
	assert_int_equal(conf->hot_cache, 1025);
	assert_int_equal(conf->issuer_n, 2);
	assert_string_equal(conf->watchlist[0].labels[0], "o=\"x\"");
	assert_non_null(strstr(first, "\nclock-skew = 90s\n"));
	assert_non_null(strstr(first, "\nrefresh-min = 1500ms\n"));
	free(first);
	free(second);
}

static void a_password_is_never_printed(void **state)
{
	char *text;

	(void)state;
	taken("store = 'redis://u:ge%20heim@h:1/2'");
	text = printed();
	assert_null(strstr(text, "heim"));
	assert_non_null(strstr(text, "store = \"redis://u:***@h:1/2\"\n"));
	free(text);
	taken("store = 'redis+unix://u:ge%20heim@/r@s'");
	text = printed();
	assert_null(strstr(text, "heim"));
	assert_non_null(strstr(text, "store = \"redis+unix://u:***@/r@s\"\n"));
	free(text);
}

/* Wherever a URL with a password is written by mistake, the mistake is named without it.
 */
static void a_password_in_what_is_refused_is_never_repeated(void **state)
{
	static const char *const bad[] = {
	    "issuer a { certificate = ca.pem ocsp = 'http://u:geheim@h/' }",
	    "issuer a { certificate = ca.pem ocsp = 'http://u:ge/ geheim \\'geheim@h/' }",
	    "issuer a { certificate = ca.pem ocsp = 'u:geheim@h/' }",
	    "issuer a { certificate = ca.pem crl = 'https://u:geheim@h/x.crl' }",
	    "issuer a { certificate = ca.pem crl = { 'http://h/x', 'ftp://u:geheim@h/x' "
	    "} }",
	    "issuer a { certificate = ca.pem crl = 'https://u:geheim@h/{2..1}' }",
	    "issuer 'http://u:geheim@h' { certificate = ca.pem ocsp = 'http://h/' }",
	    "issuer a { certificate = 'http://u:geheim@h' ocsp = 'http://h/' }",
	    "listen = 'http://u:geheim@h'", "api-listen = 'http://u:geheim@h'",
	    "ocsp-path = 'http://u:geheim@h'", "store = redis://u:geheim@h:1",
	    "store = redis://u:geheim(@h:1", "store = 'redis://u:geheim@h:1/x'",
	    "'redis://u:geheim@h:1'", "redis://u:geheim@h:1 = 3", "redis://geheim_@h",
	    "store-size = 'redis://u:geheim@h:1'", "workers = 'redis://u:geheim@h:1'",
	    "log-format = 'redis://u:geheim@h:1'", "include('redis://u:geheim@h:1')",
	    "without-next-update = 'redis://u:geheim@h:1'",
	    "listen = {'redis://u:geheim@h:1', 'redis://u:geheim@h:1'}"};

	(void)state;
	for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
		assert_false(load(bad[i]));
		for (size_t k = 0; k < errors.n; k++)
			if (strstr(errors.line[k], "geheim") != NULL)
				fail_msg("%s: %s", bad[i], errors.line[k]);
	}
	refused_line(bad[0], 1, "ocsp", "\"http://***@h/\" has a user name");
	refused("store = 'redis://u@h:1'", "store", "write USER:PASS before the '@'");
}

static void remember(void *arg, const char *option)
{
	strcat(arg, option);
	strcat(arg, " ");
}

static void what_needs_a_restart_is_named(void **state)
{
	char names[200] = "";
	struct conf *old;

	(void)state;
	taken("workers = 1 log-level = info store = 'memory:'");
	old = conf;
	conf = NULL;
	taken("workers = 2 log-level = debug listen = { '127.0.0.1:8080', '[::1]:1' }");
	conf_restart_needed(old, conf, remember, names);
	assert_string_equal(names, "listen workers store ");
	*names = '\0';
	conf_restart_needed(conf, conf, remember, names);
	assert_string_equal(names, "");
	conf_free(old);
}

static void what_a_reload_changes_is_named(void **state)
{
	char names[200] = "";
	struct conf *old;
	X509 *x;

	(void)state;
	write_ca("web.pem", "CA:TRUE", NULL, -DAY, DAY);
	taken("workers = 1 log-level = info upstream-tls-ca = 'web.pem'");
	old = conf;
	conf = NULL;
	taken("workers = 2 log-level = debug hot-cache = 2M upstream-tls-ca = 'web.pem'");
	conf_changed(old, conf, remember, names);
	assert_string_equal(
	    names, "hot-cache log-level "); /* in the order of the table */
	*names = '\0';
	conf_changed(conf, conf, remember, names);
	assert_string_equal(names, "");
	/* the same name, another file */
	x = make_certificate("web2", "CA:TRUE", NULL, -DAY, DAY);
	add_pem("web.pem", "a", x);
	X509_free(x);
	conf_free(old);
	old = conf;
	conf = NULL;
	taken("workers = 2 log-level = debug hot-cache = 2M upstream-tls-ca = 'web.pem'");
	conf_changed(old, conf, remember, names);
	assert_string_equal(names, "upstream-tls-ca ");
	conf_free(old);
}

static void remember_issuer(void *arg, enum conf_change what, const char *name)
{
	char *to = arg;

	sprintf(to + strlen(to), "%c%s ",
	    what == CONF_ADDED     ? '+'
	    : what == CONF_REMOVED ? '-'
				   : '~',
	    name);
}

#define CA(name, ca, more)                                                               \
	"issuer '" name "' { certificate = '" ca "' ocsp = 'http://a/' " more "}\n"

static const char *issuers_from(const char *before, const char *after)
{
	static char names[200];
	struct conf *old;

	assert_true(load(before));
	old = conf;
	conf = NULL;
	assert_true(load(after));
	*names = '\0';
	conf_issuers_changed(old, conf, remember_issuer, names);
	conf_free(old);
	return names;
}

static void issuers_that_a_reload_changes_are_named(void **state)
{
	(void)state;
	write_ca("third.pem", "CA:TRUE", NULL, -DAY, DAY);
	assert_string_equal(issuers_from(CA("a", "ca.pem", "") CA("b", "other.pem", "")
					     CA("c", "third.pem", ""),
				CA("c", "third.pem", "") CA("n", "ca.pem", "")
				    CA("b", "other.pem", "nonce = forward ")),
	    "+n ~b -a ");
	assert_string_equal(issuers_from(CA("a", "ca.pem", "") CA("b", "other.pem", ""),
				CA("b", "other.pem", "") CA("a", "ca.pem", "")),
	    "");
	assert_true(load(CA("a", "third.pem", "")));
	struct conf *old = conf;
	char names[50] = "";

	conf = NULL;
	write_ca("third.pem", "CA:TRUE", NULL, -DAY, DAY); /* renewed in its place */
	assert_true(load(CA("a", "third.pem", "")));
	conf_issuers_changed(old, conf, remember_issuer, names);
	assert_string_equal(names, "~a ");
	conf_free(old);
}

/* -t tries what a start would do, and makes nothing. */
static void try_with(const char *options)
{
	char text[4096];

	forget(NULL);
	snprintf(text, sizeof text, "%s\n%s", options, ISSUER);
	write_file("try.conf", text);
	conf = conf_try(in_dir("try.conf"), &errors);
	assert_int_equal(conf == NULL, errors.n > 0);
}

static const char *only_error(void)
{
	assert_int_equal(errors.n, 1);
	return strchr(errors.line[0], ':') + 1; /* LINE: option: text */
}

static void folders_are_tried_without_being_made(void **state)
{
	struct stat st;

	(void)state;
	try_with("state-directory = 'deep/state' store = 'lmdb:deep/store'");
	assert_int_equal(errors.n + errors.warning_n, 0);
	assert_int_equal(stat(in_dir("deep"), &st), -1);
	write_file("file", "");
	try_with("\nstate-directory = 'file/state' store = 'memory:'");
	assert_non_null(strstr(only_error(), "2: state-directory: "));
	assert_non_null(strstr(errors.line[0], "/file: Not a directory; name"));
	try_with("state-directory = 'state' store = 'lmdb:file'");
	assert_non_null(strstr(only_error(), "1: store: "));
	/* a start finds it itself */
	forget(NULL);
	conf = conf_load(in_dir("try.conf"), NULL, &errors);
	assert_non_null(conf);
}

/* As a user who may not do all: access(2) goes by the real one. */
static void try_as_nobody(const char *options)
{
	uid_t us = getuid();

	if (us == 0)
		assert_int_equal(setreuid(65534, 0), 0);
	try_with(options);
	if (us == 0)
		assert_int_equal(setreuid(0, 0), 0);
}

static void folders_of_others_are_named_with_the_remedy(void **state)
{
	(void)state;
	chmod(dir, 0711);
	mkdir(in_dir("locked"), 0500);
	try_as_nobody("state-directory = 'locked/state' store = 'lmdb:locked'");
	assert_int_equal(errors.n, 2);
	assert_non_null(
	    strstr(errors.line[0], "locked/state: Permission denied; make it"));
	assert_non_null(
	    strstr(errors.line[1], "locked: Permission denied; let the user"));
	mkdir(in_dir("mine"), 0700);
	chmod(in_dir("mine"), 0777);
	write_file("mine/lock", "");
	chmod(in_dir("mine/lock"), 0);
	try_as_nobody("state-directory = 'mine' store = 'lmdb:mine'");
	assert_non_null(strstr(only_error(), "mine/lock: Permission denied; it has to"));
	unlink(in_dir("mine/lock"));
	write_file("mine/answers.mdb", "");
	chmod(in_dir("mine/answers.mdb"), 0444);
	try_as_nobody("state-directory = 'mine' store = 'lmdb:mine'");
	assert_non_null(strstr(only_error(), "1: store: "));
}

/* Also at a start and a reload: whoever may write there can take latches away. */
static void a_folder_that_is_open_to_all_is_told(void **state)
{
	(void)state;
	mkdir(in_dir("open"), 0700);
	chmod(in_dir("open"), 0777);
	taken("state-directory = 'open' store = 'lmdb:open'");
	assert_int_equal(errors.warning_n, 1);
	assert_non_null(strstr(errors.warning[0], "1: state-directory: every user"));
	assert_non_null(strstr(errors.warning[0], "chmod 0700"));
	taken("state-directory = 'state' store = 'lmdb:open'");
	assert_non_null(strstr(errors.warning[0], "1: store: every user"));
	chmod(in_dir("open"), 0775);
	taken("state-directory = 'open' store = 'lmdb:open'");
	assert_int_equal(errors.warning_n, 0);
}

/* Also of a configuration that is refused, as far as it could be read. */
static void who_tells_the_mistakes_knows_the_format(void **state)
{
	(void)state;
	load("log-format = json workers = none");
	assert_null(conf);
	assert_int_equal(errors.log_format, LOG_FORMAT_JSON);
	load("workers = none log-format = json issuer 'x' {");
	assert_int_equal(errors.log_format, LOG_FORMAT_LOGFMT); /* it is not closed */
	load("log-format = xml");
	assert_int_equal(errors.log_format, LOG_FORMAT_LOGFMT);
	load_file("no.conf");
	assert_int_equal(errors.log_format, LOG_FORMAT_LOGFMT);
	taken("log-format = json");
	assert_int_equal(errors.log_format, LOG_FORMAT_JSON);
}

static void directories_are_made_with_their_parents(void **state)
{
	struct stat st;

	(void)state;
	assert_int_equal(conf_make_directory(in_dir("x/y/z/")), 0);
	assert_int_equal(stat(in_dir("x/y"), &st), 0);
	assert_int_equal(st.st_mode & 0777, 0700);
	assert_int_equal(conf_make_directory(in_dir("x/y")), 0);
	assert_int_equal(conf_make_directory(in_dir("ca.pem")), -1);
	assert_int_equal(conf_make_directory(in_dir("ca.pem/x")), -1);
	assert_int_equal(conf_make_directory(""), -1);
}

/* The documents. */

static char *slurp(const char *path)
{
	char *text = NULL;
	size_t n = 0;
	FILE *f = fopen(path, "r");

	if (f == NULL) {
		print_message(
		    "%s: not there, run this in the root of the repository\n", path);
		skip();
	}
	assert_true(getdelim(&text, &n, '\0', f) > 0);
	fclose(f);
	return text;
}

/* A default as it is written in a configuration; "" where there is none. */
static void default_text(const struct option *o, char *out, size_t n)
{
	char words[200];
	size_t used;

	if (o->dflt == NULL) {
		*out = '\0';
	} else if (o->type <= TYPE_BOOL) {
		snprintf(out, n, "%s", o->dflt);
	} else if (!option_is_list(o)) {
		snprintf(out, n, "\"%s\"", o->dflt);
	} else {
		snprintf(words, sizeof words, "%s", o->dflt);
		used = (size_t)snprintf(out, n, "{");
		for (char *save, *w = strtok_r(words, " ", &save); w != NULL;
		     w = strtok_r(NULL, " ", &save))
			used += (size_t)snprintf(
			    out + used, n - used, "%s \"%s\"", used > 1 ? "," : "", w);
		snprintf(out + used, n - used, used > 1 ? " }" : "}");
	}
}

/* How many items a text has that begin so, and that no option is meant by. */
static int strangers(const char *text, const char *begin, const char *end)
{
	char name[64];
	int n = 0;

	for (const char *p = text; (p = strstr(p, begin)) != NULL;) {
		size_t len =
		    strspn(p += strlen(begin), "abcdefghijklmnopqrstuvwxyz-0123456789");

		if (len == 0 || len >= sizeof name ||
		    strncmp(p + len, end, strlen(end)) != 0)
			continue;
		snprintf(name, sizeof name, "%.*s", (int)len, p);
		if (option_find(SCOPE_GLOBAL, name) == OPTION_COUNT &&
		    option_find(SCOPE_ISSUER, name) == OPTION_COUNT &&
		    option_find(SCOPE_WATCHLIST, name) == OPTION_COUNT &&
		    option_find(SCOPE_TOKEN, name) == OPTION_COUNT) {
			print_message("no option: %s\n", name);
			n++;
		}
	}
	return n;
}

/* The example has every option in a line of its own with its default, or, for the two
 * that an issuer needs, with a value; a watchlist of files and a token are shown in
 * comments. */
static void the_example_names_every_option_with_its_default(void **state)
{
	char *text = slurp("conf/ocspcached.conf");
	char dflt[200], line[300];

	(void)state;
	for (int i = 0; i < OPTION_COUNT; i++) {
		const struct option *o = &option_table[i];
		const char *indent = o->scope == SCOPE_ISSUER ? "\t" : "";

		default_text(o, dflt, sizeof dflt);
		if (o->scope == SCOPE_WATCHLIST || o->scope == SCOPE_TOKEN)
			snprintf(line, sizeof line, "\n#     %s = ", o->name);
		else if (i == OPTION_certificate || i == OPTION_ocsp)
			snprintf(line, sizeof line, "\n%s%s = ", indent, o->name);
		else
			snprintf(
			    line, sizeof line, "\n%s#%s = %s\n", indent, o->name, dflt);
		if (strstr(text, line) == NULL)
			fail_msg("conf/ocspcached.conf has no line: %s", line + 1);
	}
	assert_int_equal(strangers(text, "\n#", " = "), 0);
	assert_int_equal(strangers(text, "\n\t#", " = "), 0);
	free(text);
}

static void the_example_loads_also_with_every_option_taken_in(void **state)
{
	char *text = slurp("conf/ocspcached.conf"), *first, *second;

	(void)state;
	if (!load(text)) {
		print_errors();
		fail();
	}
	assert_int_equal(errors.warning_n, 0);
	first = printed();
	/* comments have a space after '#', options have none */
	for (char *c = text; (c = strchr(c, '#')) != NULL; c++)
		if (c[1] != ' ' && c[1] != '\n')
			*c = ' ';
	if (!load(text)) {
		print_errors();
		fail();
	}
	second = printed();
	assert_string_equal(first, second);
	free(first);
	free(second);
	free(text);
}

static void the_recipe_for_several_nodes_loads(void **state)
{
	char *text = slurp("conf/recipes/redis-shared.conf");

	(void)state;
	write_file("mac.key",
	    "00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff\n");
	chmod(in_dir("mac.key"), 0600);
	if (!load(text)) {
		print_errors();
		fail();
	}
	assert_int_equal(errors.warning_n, 0);
	free(text);
}

static void the_man_page_has_every_option_with_its_default(void **state)
{
	char *text = slurp("conf/ocspcached.conf.5");
	char dflt[200], line[300];

	(void)state;
	for (int i = 0; i < OPTION_COUNT; i++) {
		const struct option *o = &option_table[i];
		char *item, *end;

		snprintf(line, sizeof line, "\n.It Cm %s = ", o->name);
		item = strstr(text, line);
		if (item == NULL) {
			fail_msg("ocspcached.conf.5 has no item: %s", line + 1);
			return; /* gcc does not know that this is the end */
		}
		end = strstr(item + 1, "\n.It");
		end = end != NULL ? end : strstr(item, "\n.El");
		assert_non_null(end);
		*end = '\0';
		default_text(o, dflt, sizeof dflt);
		snprintf(line, sizeof line,
		    *dflt != '\0' ? "\nDefault: %s." : "\nIt has to be given.", dflt);
		if (strstr(item, line) == NULL)
			fail_msg(
			    "ocspcached.conf.5: %s does not say: %s", o->name, line + 1);
		if ((strstr(item, "\nNeeds a restart.") == NULL) == o->restart)
			fail_msg("ocspcached.conf.5: %s: restart is wrong", o->name);
		*end = '\n';
	}
	assert_int_equal(strangers(text, "\n.It Cm ", " = Ar "), 0);
	assert_int_equal(strangers("\n.It Cm no-such = Ar ", "\n.It Cm ", " = Ar "), 1);
	free(text);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test_teardown(
		an_issuer_is_enough_and_the_rest_has_defaults, forget),
	    cmocka_unit_test_teardown(values_are_taken_with_and_without_quotes, forget),
	    cmocka_unit_test_teardown(a_file_may_begin_with_a_byte_order_mark, forget),
	    cmocka_unit_test_teardown(
		comments_stand_anywhere_and_a_list_may_end_with_a_comma, forget),
	    cmocka_unit_test_teardown(strings_have_escapes_and_variables, forget),
	    cmocka_unit_test_teardown(a_prefix_of_keys_has_no_braces, forget),
	    cmocka_unit_test_teardown(
		paths_are_seen_from_the_file_that_names_them, forget),
	    cmocka_unit_test_teardown(paths_and_authorities_come_from_the_urls, forget),
	    cmocka_unit_test_teardown(
		the_rules_of_an_issuer_come_from_its_options, forget),
	    cmocka_unit_test_teardown(
		an_unknown_option_is_named_with_the_one_that_was_meant, forget),
	    cmocka_unit_test_teardown(
		an_option_in_the_wrong_scope_is_told_where_it_belongs, forget),
	    cmocka_unit_test_teardown(
		every_option_of_later_work_is_refused_with_its_reason, forget),
	    cmocka_unit_test_teardown(a_duplicate_is_named_with_both_places, forget),
	    cmocka_unit_test_teardown(what_is_not_closed_is_named_where_it_opens, forget),
	    cmocka_unit_test_teardown(other_slips_of_form_have_their_remedy, forget),
	    cmocka_unit_test_teardown(names_of_issuers_are_checked, forget),
	    cmocka_unit_test_teardown(watchlists_of_files_are_read, forget),
	    cmocka_unit_test_teardown(tokens_are_read, forget),
	    cmocka_unit_test_teardown(tokens_are_checked, forget),
	    cmocka_unit_test_teardown(watchlists_of_files_are_checked, forget),
	    cmocka_unit_test_teardown(
		all_mistakes_are_said_in_one_load_and_in_order, forget),
	    cmocka_unit_test_teardown(
		a_line_of_the_report_has_no_control_characters, forget),
	    cmocka_unit_test_teardown(mistakes_without_end_are_cut_off, forget),
	    cmocka_unit_test_teardown(numbers_have_units_and_ranges, forget),
	    cmocka_unit_test_teardown(
		every_range_is_closed_and_every_default_inside, forget),
	    cmocka_unit_test_teardown(listeners_are_checked, forget),
	    cmocka_unit_test_teardown(the_api_stays_on_loopback, forget),
	    cmocka_unit_test_teardown(ocsp_paths_are_checked, forget),
	    cmocka_unit_test_teardown(
		stores_are_checked_and_their_passwords_never_repeated, forget),
	    cmocka_unit_test_teardown(responders_are_checked, forget),
	    cmocka_unit_test_teardown(lists_are_checked_and_have_their_names, forget),
	    cmocka_unit_test_teardown(
		ranges_and_alternates_are_lists_with_places, forget),
	    cmocka_unit_test_teardown(lists_of_an_issuer_are_bounded, forget),
	    cmocka_unit_test_teardown(words_of_crl_name_who_knows_lists, forget),
	    cmocka_unit_test_teardown(records_are_urls_or_files, forget),
	    cmocka_unit_test_teardown(lists_of_one_name_are_one_list, forget),
	    cmocka_unit_test_teardown(options_are_checked_against_each_other, forget),
	    cmocka_unit_test_teardown(certificates_are_checked, forget),
	    cmocka_unit_test_teardown(
		the_proxy_is_an_http_url_of_a_host_and_a_port, forget),
	    cmocka_unit_test_teardown(allowed_addresses_are_networks, forget),
	    cmocka_unit_test_teardown(
		webhooks_have_addresses_pauses_and_an_url_to_tell, forget),
	    cmocka_unit_test_teardown(
		cas_of_servers_are_read_when_they_are_loaded, forget),
	    cmocka_unit_test_teardown(named_responders_are_checked, forget),
	    cmocka_unit_test_teardown(cas_of_one_issuer_have_one_name, forget),
	    cmocka_unit_test_teardown(
		a_file_may_hold_several_certificates_or_one_in_der, forget),
	    cmocka_unit_test_teardown(
		two_issuers_alike_are_named_with_both_places, forget),
	    cmocka_unit_test_teardown(the_key_file_is_loaded_and_guarded, forget),
	    cmocka_unit_test_teardown(includes_are_relative_nested_and_globbed, forget),
	    cmocka_unit_test_teardown(includes_do_not_turn_in_circles, forget),
	    cmocka_unit_test_teardown(a_file_that_is_none_is_refused, forget),
	    cmocka_unit_test_teardown(
		a_mistake_leaves_nothing_behind_for_the_next_load, forget),
	    cmocka_unit_test_teardown(what_is_printed_loads_to_the_same, forget),
	    cmocka_unit_test_teardown(a_password_is_never_printed, forget),
	    cmocka_unit_test_teardown(
		a_password_in_what_is_refused_is_never_repeated, forget),
	    cmocka_unit_test_teardown(what_needs_a_restart_is_named, forget),
	    cmocka_unit_test_teardown(what_a_reload_changes_is_named, forget),
	    cmocka_unit_test_teardown(issuers_that_a_reload_changes_are_named, forget),
	    cmocka_unit_test_teardown(who_tells_the_mistakes_knows_the_format, forget),
	    cmocka_unit_test_teardown(folders_are_tried_without_being_made, forget),
	    cmocka_unit_test_teardown(
		folders_of_others_are_named_with_the_remedy, forget),
	    cmocka_unit_test_teardown(a_folder_that_is_open_to_all_is_told, forget),
	    cmocka_unit_test_teardown(directories_are_made_with_their_parents, forget),
	    cmocka_unit_test_teardown(
		the_example_names_every_option_with_its_default, forget),
	    cmocka_unit_test_teardown(
		the_example_loads_also_with_every_option_taken_in, forget),
	    cmocka_unit_test_teardown(
		the_directory_for_renewal_information_is_a_url, forget),
	    cmocka_unit_test_teardown(the_recipe_for_several_nodes_loads, forget),
	    cmocka_unit_test_teardown(
		the_man_page_has_every_option_with_its_default, forget),
	};

	return cmocka_run_group_tests(tests, make_files, remove_files);
}
