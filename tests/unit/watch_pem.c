#include "cache/watch/watch_pem.h"

#include <openssl/pem.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "tests/lib/watch_vectors.h"

#define BLOCK_MAX 4096

static struct {
	char text[8192];
	size_t n;
	bool go_on, stop;
} got;

static bool each(void *arg, uint64_t line, struct bytes der, bool trusted)
{
	(void)arg;
	got.n += (size_t)sprintf(
	    got.text + got.n, "%d %zu%s\n", (int)line, der.n, trusted ? " trusted" : "");
	return !got.stop;
}

static bool bad(void *arg, struct watch_error *e)
{
	(void)arg;
	got.n += (size_t)sprintf(got.text + got.n, "%d! %s: %s\n", (int)e->line,
	    watch_bad_label(e->code), e->why);
	return got.go_on;
}

static bool read_pieces(const char *text, size_t n, size_t step)
{
	struct watch_pem *p = watch_pem_new(BLOCK_MAX, each, bad, NULL);
	bool good = true;

	assert_non_null(p);
	got.n = 0;
	got.text[0] = '\0';
	for (size_t i = 0; good && i < n; i += step) {
		size_t m = n - i < step ? n - i : step;
		uint8_t *piece = malloc(m);

		memcpy(piece, text + i, m);
		good = watch_pem_feed(p, bytes_of(piece, m));
		free(piece);
	}
	good = good && watch_pem_end(p);
	watch_pem_free(p);
	return good;
}

static void expect(const char *text, const char *told)
{
	static const size_t steps[] = {1, 2, 3, 64, 100000};

	for (size_t i = 0; i < sizeof steps / sizeof steps[0]; i++) {
		read_pieces(text, strlen(text), steps[i]);
		assert_string_equal(got.text, told);
	}
}

#define BEGIN "-----BEGIN CERTIFICATE-----\n"
#define END   "-----END CERTIFICATE-----\n"

static void certificates_are_read_and_the_rest_is_passed_over(void **state)
{
	(void)state;
	expect(
	    "subject=x\n" BEGIN "AAEC\n" END "text -----\n--- -----\n\n"
	    "-----BEGIN X509 CERTIFICATE-----\nAAECAw==\n-----END X509 CERTIFICATE-----\n"
	    "-----BEGIN PRIVATE KEY-----\nAAEC\n-----END PRIVATE KEY-----\n"
	    "-----BEGIN TRUSTED CERTIFICATE-----\nAAE=\n-----END TRUSTED "
	    "CERTIFICATE-----",
	    "2 3\n8 4\n14 2 trusted\n");
	expect("", "");
	expect(" \n\r\n", "");
}

static void lines_may_end_with_cr_lf_and_have_blanks(void **state)
{
	(void)state;
	expect("\xef\xbb\xbf-----BEGIN CERTIFICATE-----\r\nAA EC\r\n\r\n\tAwQF \r\n"
	       "-----END CERTIFICATE----- \r\n",
	    "1 6\n");
}

/* RFC 7468 section 2; the length of what a block of openssl's holds is openssl's. */
static void blocks_hold_what_openssl_finds_in_them(void **state)
{
	static const char text[] = PEM_KEY PEM_FULL PEM_CA_A PEM_EC_KEY PEM_TRUSTED;
	BIO *b = BIO_new_mem_buf(text, -1);
	char told[256], *p = told, *name, *header;
	unsigned char *data;
	long n;

	(void)state;
	while (PEM_read_bio(b, &name, &header, &data, &n) == 1) {
		if (strstr(name, "CERTIFICATE") != NULL)
			p += sprintf(p, " %ld%s\n", n,
			    strstr(name, "TRUSTED") != NULL ? " trusted" : "");
		OPENSSL_free(name);
		OPENSSL_free(header);
		OPENSSL_free(data);
	}
	BIO_free(b);
	assert_true(read_pieces(text, strlen(text), 50));
	p = told;
	for (char *line = strtok(got.text, "\n"); line != NULL;
	     line = strtok(NULL, "\n")) {
		size_t all = strlen(strchr(line, ' '));

		assert_memory_equal(strchr(line, ' '), p, all);
		p += all + 1;
	}
	assert_int_equal(*p, '\0');
}

static int count_lines(const char *text)
{
	int n = 0;

	for (; *text != '\0'; text++)
		n += *text == '\n';
	return n;
}

static void a_bad_block_is_told_with_the_line_where_it_begins(void **state)
{
	static const struct {
		const char *text, *told;
	} row[] = {
	    {BEGIN "AAE\n" END, "2! bad_pem: its base64 is not whole\n"},
	    {BEGIN END, "2! bad_pem: its base64 is not whole\n"},
	    {BEGIN "A=EC\n" END,
		"2! bad_pem: there is something else in it than base64\n"},
	    {BEGIN "A===\n" END,
		"2! bad_pem: there is something else in it than base64\n"},
	    {BEGIN "AA?C\n" END,
		"2! bad_pem: there is something else in it than base64\n"},
	    {BEGIN "Proc-Type: 4\n\nAAEC\n" END,
		"2! bad_pem: there is something else in it than base64\n"},
	    {BEGIN "-A\nAAEC\n" END,
		"2! bad_pem: there is something else in it than base64\n"},
	    {BEGIN "AAEC-----END CERTIFICATE-----\n" END,
		"2! bad_pem: there is something else in it than base64\n"},
	    {BEGIN "AAEC\n-----END PRIVATE KEY-----\n",
		"2! bad_pem: its end is that of another block\n"},
	    {END, "2! bad_pem: the end of a certificate that has no begin\n"},
	};
	char text[512], told[512];

	(void)state;
	for (size_t i = 0; i < sizeof row / sizeof row[0]; i++) {
		snprintf(text, sizeof text, "\n%s" BEGIN "AAEC\n" END, row[i].text);
		got.go_on = false;
		expect(text, row[i].told);
		snprintf(told, sizeof told, "%s%d 3\n", row[i].told,
		    2 + count_lines(row[i].text));
		got.go_on = true;
		expect(text, told);
	}
	got.go_on = false;
}

static void a_block_without_end_is_told(void **state)
{
	(void)state;
	expect(BEGIN "AAEC\n", "1! bad_pem: it has no end\n");
	expect("-----BEGIN PRIVATE KEY-----\nAAEC\n", "1! bad_pem: it has no end\n");
	expect(BEGIN "AAEC\n-----END CERTIFICATE----",
	    "1! bad_pem: there is something else "
	    "in it than base64\n");
	got.go_on = true;
	expect(BEGIN "AAEC\n" BEGIN "AAEC\n" END, "1! bad_pem: it has no end\n3 3\n");
	expect("-----BEGIN PRIVATE KEY-----\nAAEC\n" BEGIN "AAEC\n" END, "3 3\n");
	expect(BEGIN "?\n", "1! bad_pem: there is something else in it than base64\n");
	got.go_on = false;
}

static void text_without_a_block_is_told(void **state)
{
	(void)state;
	expect("\n\nhello\n", "1! no_certificate: there is no block of PEM in it\n");
	expect("-----BEGIN CERTIFICATE",
	    "1! no_certificate: there is no block of PEM in it\n");
	expect("-----BEGIN PRIVATE KEY-----\nAAEC\n-----END PRIVATE KEY-----\n", "");
}

static void a_block_has_a_bound(void **state)
{
	char text[BLOCK_MAX + 200];

	(void)state;
	for (size_t more = 0; more <= 4; more += 4) {
		size_t n = (size_t)sprintf(text, BEGIN);

		memset(text + n, 'A', BLOCK_MAX + more);
		sprintf(text + n + BLOCK_MAX + more, "\n" END BEGIN "AAEC\n" END);
		got.go_on = true;
		expect(text, more ? "1! too_long: more than 4096 octets of base64 are no "
				    "certificate\n4 3\n"
				  : "1 3072\n4 3\n");
	}
	got.go_on = false;
}

static void a_stop_ends_it(void **state)
{
	(void)state;
	got.stop = true;
	assert_false(read_pieces(BEGIN "AAEC\n" END BEGIN "AAEC\n" END, 98 + 10, 7));
	assert_string_equal(got.text, "1 3\n");
	got.stop = false;
}

/* No key in memory. */

/* echo -n secret-secret-secret-123 | base64; neither is in memory that can be written. */
#define SECRET "c2VjcmV0LXNlY3JldC1zZWNyZXQtMTIz"
static const char base64[] = SECRET, plain[] = "secret-secret-secret-123";

/* More is nobody's heap but AddressSanitizer's own. */
#define MAPPING_MAX (16ul << 20)

struct found {
	size_t base64, elsewhere, plain; /* elsewhere: not in the octets that were fed */
};

__attribute__((no_sanitize("address", "thread"))) static bool stands(
    const char *p, const char *what)
{
	size_t i = 0;

	while (what[i] != '\0' && p[i] == what[i])
		i++;
	return what[i] == '\0';
}

/* In all that this process could have written. */
__attribute__((no_sanitize("address", "thread"))) static struct found look_in_memory(
    const char *fed, size_t fed_n)
{
	FILE *maps = fopen("/proc/self/maps", "r");
	struct found f = {0};
	char line[512];

	assert_non_null(maps);
	while (fgets(line, sizeof line, maps) != NULL) {
		unsigned long begin, end;
		char mode[5];

		if (sscanf(line, "%lx-%lx %4s", &begin, &end, mode) != 3 ||
		    strncmp(mode, "rw", 2) != 0 || end - begin > MAPPING_MAX)
			continue;
		for (const char *p = (const char *)begin;
		     p + sizeof base64 <= (const char *)end; p++) {
			if (*p == base64[0] && stands(p, base64)) {
				f.base64++;
				f.elsewhere += p < fed || p >= fed + fed_n;
			}
			f.plain += *p == plain[0] && stands(p, plain);
		}
	}
	fclose(maps);
	return f;
}

/* Keys in blocks of their own, in blocks of a wrong name, with and without their end, in
 * text, and where line ends were lost. */
static void a_key_is_nowhere_afterwards(void **state)
{
	static const struct {
		const char *text;
		bool held; /* up to the end of the text, as what may be a certificate */
	} row[] = {
	    {PEM_FULL "-----BEGIN PRIVATE KEY-----\n" SECRET
		      "\n-----END PRIVATE KEY-----\n",
		false},
	    {"-----BEGIN EC PRIVATE KEY-----\n" SECRET "\n", false},
	    {"-----BEGIN EC PRIVATE KEY-----\n" SECRET, false},
	    {SECRET, false},
	    {BEGIN SECRET "\n" END, false},
	    {BEGIN SECRET "\n-----END PRIVATE KEY-----\n", false},
	    {BEGIN SECRET "?\n" END, false},
	    {BEGIN SECRET "\n", true},
	    {SECRET "\n", false},
	    {"-----BEGIN PRIVATE KEY-----" SECRET "-----END PRIVATE KEY-----\n", false},
	    {"-----\n-----" SECRET "\n", false},
	};

	(void)state;
	got.go_on = true;
	for (size_t i = 0; i < sizeof row / sizeof row[0]; i++) {
		size_t n = strlen(row[i].text);
		char *text = malloc(n);
		struct watch_pem *p = watch_pem_new(BLOCK_MAX, each, bad, NULL);
		struct found f;

		assert_non_null(text);
		memcpy(text, row[i].text, n);
		got.n = 0;
		for (size_t at = 0; at < n; at += 7)
			watch_pem_feed(p, bytes_of(text + at, n - at < 7 ? n - at : 7));
		f = look_in_memory(text, n);
		assert_int_equal(f.base64, 1 + row[i].held); /* it is found */
		assert_int_equal(f.elsewhere, row[i].held);
		watch_pem_end(p);
		f = look_in_memory(text, n);
		assert_int_equal(f.elsewhere, 0);
		assert_int_equal(f.plain, 0);
		watch_pem_free(p);
		OPENSSL_cleanse(text, n);
		free(text);
	}
	got.go_on = false;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(certificates_are_read_and_the_rest_is_passed_over),
	    cmocka_unit_test(lines_may_end_with_cr_lf_and_have_blanks),
	    cmocka_unit_test(blocks_hold_what_openssl_finds_in_them),
	    cmocka_unit_test(a_bad_block_is_told_with_the_line_where_it_begins),
	    cmocka_unit_test(a_block_without_end_is_told),
	    cmocka_unit_test(text_without_a_block_is_told),
	    cmocka_unit_test(a_block_has_a_bound),
	    cmocka_unit_test(a_stop_ends_it),
	    cmocka_unit_test(a_key_is_nowhere_afterwards),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
