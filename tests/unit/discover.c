/* ocspctl discover's pure parts: who issued what, what CAs are called, and the text that
 * is written.  The client is no part of the library, so its files are compiled in here.
 */
#include <netinet/in.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "conf/conf.h"
#include "proxy/ctl/block.c"
#include "proxy/ctl/crt_list.c"
#include "proxy/ctl/found.c"
#include "proxy/ctl/proposal.c"
#include "proxy/ctl/tls_chain.c"
#include "tests/lib/forge.h"

#define DAY INT64_C(86400)

static void names_are_made_of_plain_characters(void **state)
{
	static const struct {
		const char *cn, *name;
	} cases[] = {{"R11", "r11"}, {"Let's Encrypt  R11", "let-s-encrypt-r11"},
	    {"", "ca"}, {"\xc3\x9c", "ca"}, {"...", "ca"}, {"..", "ca"}, {"-x-", "x"},
	    {"../../etc/passwd", "etc-passwd"}, {"a_b.c", "a_b.c"}, {"a\"b", "a-b"},
	    {"a\n}\nissuer \"b\" {", "a-issuer-b"}, {"${HOME}", "home"},
	    {"Sectigo RSA/DV (2018)", "sectigo-rsa-dv-2018"}};
	char name[PROPOSAL_NAME_MAX], longest[1001];

	(void)state;
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		proposal_plain_name(
		    bytes_of((const uint8_t *)cases[i].cn, strlen(cases[i].cn)), name);
		assert_string_equal(name, cases[i].name);
	}
	memset(longest, 'X', sizeof longest);
	proposal_plain_name(bytes_of((const uint8_t *)longest, sizeof longest), name);
	assert_true(name_is_plain(bytes_of((const uint8_t *)name, strlen(name))));
	assert_true(strlen(name) + 33 < PROPOSAL_NAME_MAX);
}

static const char *path_in(const char *text)
{
	static char path[PATH_MAX];

	return crt_list_path(bytes_of((const uint8_t *)text, strlen(text)), path) ? path
										  : NULL;
}

/* As HAProxy 2.6's management guide and its reader have it. */
static void the_first_word_of_a_crt_list_is_a_path(void **state)
{
	char longest[PATH_MAX + 2];

	(void)state;
	assert_string_equal(path_in("/a/b.pem"), "/a/b.pem");
	assert_string_equal(path_in(" \t/a/b.pem\r"), "/a/b.pem");
	assert_string_equal(path_in("b.pem [alpn h2] *.x !y.x"), "b.pem");
	assert_string_equal(path_in("b.pem[alpn h2]"), "b.pem");
	assert_string_equal(path_in("b.pem\t*.x"), "b.pem");
	assert_string_equal(path_in("a\\ b\\\\.pem x"), "a b\\.pem");
	assert_null(path_in(""));
	assert_null(path_in("  "));
	assert_null(path_in("# a.pem"));
	assert_null(path_in("[alpn h2] a.pem"));
	assert_false(crt_list_path(bytes_of((const uint8_t *)"a\0b", 3), longest));
	memset(longest, 'x', sizeof longest - 1);
	longest[sizeof longest - 1] = '\0';
	assert_null(path_in(longest));
	longest[PATH_MAX - 1] = '\0';
	assert_non_null(path_in(longest));
}

/* A world of three CAs, two of one name. */

struct world {
	EVP_PKEY *key[3], *leaf;
	X509 *ca[3];
	struct found found;
	struct proposals all;
};

static X509 *make(const char *name, EVP_PKEY *key, X509 *issuer, EVP_PKEY *by, bool ca)
{
	return forge_cert(&(struct forge_cert){.subject = name,
	    .key = key,
	    .issuer = issuer,
	    .issuer_key = by,
	    .from = time(NULL) - DAY,
	    .to = time(NULL) + 100 * DAY,
	    .ca = ca});
}

static void find(struct found *f, X509 *x)
{
	unsigned char *der = NULL;
	int n = i2d_X509(x, &der);

	assert_true(n > 0);
	assert_true(found_add(f, bytes_of(der, (size_t)n)));
	OPENSSL_free(der);
}

static int begin(void **state)
{
	static const char *const name[] = {"One", "Same", "Same"};
	struct world *w = calloc(1, sizeof *w);

	w->leaf = forge_key("P-256");
	for (int i = 0; i < 3; i++) {
		w->key[i] = forge_key("P-256");
		w->ca[i] = make(name[i], w->key[i], NULL, w->key[i], true);
	}
	assert_true(found_open(&w->found) && found_begin(&w->found, "/here"));
	*state = w;
	return 0;
}

static int end(void **state)
{
	struct world *w = *state;

	proposals_free(&w->all);
	found_close(&w->found);
	for (int i = 0; i < 3; i++) {
		X509_free(w->ca[i]);
		EVP_PKEY_free(w->key[i]);
	}
	EVP_PKEY_free(w->leaf);
	free(w);
	return 0;
}

static void issue(struct world *w, const char *name, int ca)
{
	X509 *x = make(name, w->leaf, w->ca[ca], w->key[ca], false);

	find(&w->found, x);
	X509_free(x);
}

static void who_issued_is_who_verifies(void **state)
{
	struct world *w = *state;

	for (int i = 0; i < 3; i++)
		find(&w->found, w->ca[i]);
	find(&w->found, w->ca[0]); /* once more, and it is one */
	assert_int_equal(w->found.n, 3);
	issue(w, "a", 1);
	issue(w, "b", 1);
	issue(w, "c", 2);
	assert_true(proposals_make(&w->all, &w->found, NULL, time(NULL)));
	assert_int_equal(w->all.n, 2);
	assert_int_equal(w->all.leaves, 3);
	assert_int_equal(w->all.orphans_n, 0);
	assert_int_equal(w->all.one[0].issued, 2);
	assert_int_equal(X509_cmp(w->all.one[0].ca[0]->x, w->ca[1]), 0);
	assert_int_equal(X509_cmp(w->all.one[1].ca[0]->x, w->ca[2]), 0);
	assert_string_equal(w->all.one[0].plain, "same");
	assert_int_equal(strlen(w->all.one[0].name), strlen("same-01234567"));
	assert_string_not_equal(w->all.one[0].name, w->all.one[1].name);
}

static void a_renewed_ca_is_one_issuer(void **state)
{
	struct world *w = *state;
	X509 *again = make("One", w->key[0], w->ca[1], w->key[1], true);

	find(&w->found, w->ca[0]);
	find(&w->found, again);
	issue(w, "a", 0);
	assert_true(proposals_make(&w->all, &w->found, NULL, time(NULL)));
	assert_int_equal(w->all.n, 1);
	assert_int_equal(w->all.one[0].ca_n, 2);
	assert_string_equal(w->all.one[0].name, "one");
	X509_free(again);
}

static void a_name_alone_issues_nothing(void **state)
{
	struct world *w = *state;

	find(&w->found, w->ca[1]);
	issue(w, "a", 2);
	issue(w, "b", 0);
	assert_true(proposals_make(&w->all, &w->found, NULL, time(NULL)));
	assert_int_equal(w->all.n, 0);
	assert_int_equal(w->all.orphans_n, 2);
}

static void what_has_expired_needs_no_issuer(void **state)
{
	struct world *w = *state;

	find(&w->found, w->ca[0]);
	issue(w, "a", 0);
	assert_true(proposals_make(&w->all, &w->found, NULL, time(NULL) + 101 * DAY));
	assert_int_equal(w->all.n + w->all.orphans_n, 0);
	assert_int_equal(w->all.expired, 1);
}

static void a_file_of_one_ca_may_be_named_and_no_other(void **state)
{
	struct world *w = *state;

	find(&w->found, w->ca[0]);
	find(&w->found, w->ca[1]);
	found_end(&w->found, true);
	assert_null(w->found.cert[0].file);
	assert_true(found_begin(&w->found, "/alone"));
	find(&w->found, w->ca[0]);
	found_end(&w->found, true);
	assert_string_equal(w->found.cert[0].file, "/alone");
	assert_string_equal(w->found.cert[0].place, "/here");
	assert_true(found_begin(&w->found, "host:443"));
	find(&w->found, w->ca[1]);
	found_end(&w->found, false);
	assert_null(w->found.cert[1].file);
}

static void a_comment_is_one_line_of_ascii(void **state)
{
	char *text = NULL, longest[3000];
	size_t n;
	FILE *out = open_memstream(&text, &n);

	(void)state;
	memset(longest, 'x', sizeof longest - 1);
	longest[sizeof longest - 1] = '\0';
	block_comment(out, "%s", "a\nworkers = 7\r\t\x1b[2J \xc2\x85\xe2\x80\xae*/");
	block_comment(out, "%s", longest);
	assert_int_equal(fclose(out), 0);
	assert_memory_equal(text, "# a?workers = 7???[2J ?????*/\n", 30);
	assert_int_equal(n, 30 + 2 + BLOCK_COMMENT_MAX + 1);
	free(text);
}

/* It accepts, by the kernel's word, and says nothing. */
static void a_server_that_says_nothing_is_left(void **state)
{
	struct sockaddr_in a = {.sin_family = AF_INET};
	struct address at = {.host = "127.0.0.1"};
	socklen_t n = sizeof a;
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	int64_t before = now_ms();
	char why[200] = "";

	(void)state;
	a.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	assert_int_equal(bind(fd, (const struct sockaddr *)&a, sizeof a), 0);
	assert_int_equal(listen(fd, 1), 0);
	assert_int_equal(getsockname(fd, (struct sockaddr *)&a, &n), 0);
	at.port = ntohs(a.sin_port);
	assert_false(tls_chain(&at, 100, NULL, NULL, why, sizeof why));
	assert_true(now_ms() - before >= 100);
	assert_non_null(strstr(why, "shows no certificate"));
	close(fd);
	assert_false(tls_chain(&at, 100, NULL, NULL, why, sizeof why));
	assert_string_equal(why, "Connection refused");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(names_are_made_of_plain_characters),
	    cmocka_unit_test(the_first_word_of_a_crt_list_is_a_path),
	    cmocka_unit_test_setup_teardown(who_issued_is_who_verifies, begin, end),
	    cmocka_unit_test_setup_teardown(a_renewed_ca_is_one_issuer, begin, end),
	    cmocka_unit_test_setup_teardown(what_has_expired_needs_no_issuer, begin, end),
	    cmocka_unit_test_setup_teardown(a_name_alone_issues_nothing, begin, end),
	    cmocka_unit_test_setup_teardown(
		a_file_of_one_ca_may_be_named_and_no_other, begin, end),
	    cmocka_unit_test(a_server_that_says_nothing_is_left),
	    cmocka_unit_test(a_comment_is_one_line_of_ascii),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
