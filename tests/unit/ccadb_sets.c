#include "cache/watch/ccadb_sets.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "tests/lib/forge.h"

#define YEAR (INT64_C(365) * 86400)
#define AT   1795328880 /* 2026-11-22T06:28:00Z, by date -u */

static struct issuers *issuers;
static X509 *certificate[3];
static EVP_PKEY *key[2];

/* One, renewed with the same key under another name; and another CA. */
static int begin(void **state)
{
	static const char *const name[] = {"First CA", "First CA 2027", "Second CA"};
	size_t clash[2];
	struct issuer_spec spec[2] = {{.name = "first", .certificates_n = 2},
	    {.name = "second", .certificates_n = 1}};

	(void)state;
	key[0] = forge_key("P-256");
	key[1] = forge_key("P-256");
	for (int i = 0; i < 3; i++) {
		struct forge_cert c = {.subject = name[i],
		    .key = key[i / 2],
		    .issuer_key = key[i / 2],
		    .from = AT - YEAR,
		    .to = AT + YEAR,
		    .ca = true};

		certificate[i] = forge_cert(&c);
	}
	spec[0].certificates = certificate;
	spec[1].certificates = certificate + 2;
	return issuers_new(&issuers, spec, 2, clash) != ERR_OK;
}

static int end(void **state)
{
	(void)state;
	issuers_free(issuers);
	for (int i = 0; i < 3; i++)
		X509_free(certificate[i]);
	EVP_PKEY_free(key[0]);
	EVP_PKEY_free(key[1]);
	forge_reset();
	return 0;
}

static struct ccadb_sets *sets_of_both(void)
{
	const struct issuer *list[] = {
	    issuers_named(issuers, "first"), issuers_named(issuers, "second")};
	struct ccadb_sets *s = ccadb_sets_new(list, 2);

	assert_non_null(s);
	return s;
}

static struct bytes text(const char *t)
{
	return bytes_of(t, strlen(t));
}

/* SHA-1 of the key, as OpenSSL digests it. */
static struct bytes key_id(int certificate_n)
{
	static uint8_t id[20];
	unsigned n = sizeof id;

	assert_int_equal(
	    X509_pubkey_digest(certificate[certificate_n], EVP_sha1(), id, &n), 1);
	return bytes_of(id, n);
}

static void take(struct ccadb_sets *s, const char *name, struct bytes id,
    const char *full, const char *part, bool malformed)
{
	struct bytes f = text(full), p = text(part);
	struct ccadb_record r = {.name = text(name),
	    .key = id,
	    .full = &f,
	    .full_n = f.n > 0,
	    .part = &p,
	    .part_n = p.n > 0,
	    .malformed = malformed};

	assert_true(ccadb_sets_take(s, &r));
}

static void expect(const struct ccadb_sets *s, size_t i, const char *wanted)
{
	char found[1024] = "";
	struct ccadb_set set;

	ccadb_sets_of(s, i, &set);
	for (size_t l = 0; l < set.n; l++)
		for (size_t p = 0; p < set.list[l].n; p++) {
			strcat(found, p > 0 ? "|" : l > 0 ? " " : "");
			strcat(found, set.list[l].place[p]);
		}
	snprintf(found + strlen(found), 64, " %zu%s", set.records,
	    set.malformed ? " malformed" : "");
	assert_string_equal(found, wanted);
}

static void full_lists_are_places_and_parts_are_lists(void **state)
{
	struct ccadb_sets *s = sets_of_both();

	(void)state;
	take(s, "First CA", key_id(0), "http://b/f.crl", "http://b/2.crl", false);
	take(s, "First CA 2027", key_id(1), "http://a/f.crl", "http://b/1.crl", false);
	take(s, "First CA", key_id(0), "http://b/f.crl", "http://b/1.crl", false);
	take(s, "Second CA", key_id(2), "", "http://a/f.crl", false);
	assert_true(ccadb_sets_sort(s));
	expect(s, 0, "http://a/f.crl|http://b/f.crl http://b/1.crl http://b/2.crl 3");
	expect(s, 1, "http://a/f.crl 1");
	ccadb_sets_free(s);
}

static void key_and_name_both_have_to_be_its(void **state)
{
	struct ccadb_sets *s = sets_of_both();

	(void)state;
	take(s, "Second CA", key_id(0), "http://a/", "", false);
	take(s, "Third CA", key_id(2), "http://b/", "", false);
	take(s, "Second", key_id(2), "http://c/", "", false);
	take(s, "", key_id(2), "http://d/", "", false);
	take(s, "Second CA", bytes_of("\1\2", 2), "http://e/", "", false);
	assert_true(ccadb_sets_sort(s));
	expect(s, 0, " 0");
	expect(s, 1, " 0");
	ccadb_sets_free(s);
}

static void a_fingerprint_is_enough(void **state)
{
	struct ccadb_sets *s = sets_of_both();
	struct bytes url = text("http://a/");
	struct ccadb_record r = {.name = text("called otherwise"),
	    .has_fingerprint = true,
	    .key = key_id(2),
	    .part = &url,
	    .part_n = 1};
	unsigned n = sizeof r.sha256;

	(void)state;
	assert_int_equal(X509_digest(certificate[2], EVP_sha256(), r.sha256, &n), 1);
	assert_true(ccadb_sets_take(s, &r));
	r.name = text("Second CA"); /* by both: once */
	assert_true(ccadb_sets_take(s, &r));
	assert_true(ccadb_sets_sort(s));
	expect(s, 0, " 0");
	expect(s, 1, "http://a/ 2");
	ccadb_sets_free(s);
}

static void what_could_not_be_read_is_known_to_be_missing(void **state)
{
	struct ccadb_sets *s = sets_of_both();

	(void)state;
	take(s, "Second CA", key_id(2), "", "http://a/", true);
	take(s, "Second CA", key_id(2), "", "", false);
	assert_true(ccadb_sets_sort(s));
	expect(s, 1, "http://a/ 2 malformed");
	ccadb_sets_free(s);
}

static void a_part_that_is_full_elsewhere_is_the_full_list(void **state)
{
	struct ccadb_sets *s = sets_of_both();

	(void)state;
	take(s, "Second CA", key_id(2), "http://a/", "http://b/", false);
	take(s, "Second CA", key_id(2), "http://b/", "http://c/", false);
	assert_true(ccadb_sets_sort(s));
	expect(s, 1, "http://a/|http://b/ http://c/ 2");
	ccadb_sets_free(s);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(full_lists_are_places_and_parts_are_lists),
	    cmocka_unit_test(key_and_name_both_have_to_be_its),
	    cmocka_unit_test(a_fingerprint_is_enough),
	    cmocka_unit_test(what_could_not_be_read_is_known_to_be_missing),
	    cmocka_unit_test(a_part_that_is_full_elsewhere_is_the_full_list),
	};

	return cmocka_run_group_tests(tests, begin, end);
}
