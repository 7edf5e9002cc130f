/* Tokens (access.h), and who fails with them (logins.h). */
#include "proxy/base/access.h"

#include <arpa/inet.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>

#include <cmocka.h>

#include "proxy/api/logins.h"

static struct bytes text(const char *t)
{
	return bytes_of(t, strlen(t));
}

/* RFC 6750 section 2.1 has this token. */
static void a_bearer_token_is_read(void **state)
{
	struct bytes token;
	char longest[ACCESS_TOKEN_MAX + 9];

	(void)state;
	assert_true(access_bearer(text("Bearer mF_9.B5f-4.1JqM"), &token));
	assert_int_equal(token.n, 15);
	assert_memory_equal(token.p, "mF_9.B5f-4.1JqM", 15);
	assert_true(access_bearer(text("bEARER   a+/~=="), &token));
	assert_int_equal(token.n, 6);
	assert_false(access_bearer(text(""), &token));
	assert_false(access_bearer(text("Bearer"), &token));
	assert_false(access_bearer(text("Bearer "), &token));
	assert_false(access_bearer(text("Bearer\ta"), &token));
	assert_false(access_bearer(text("Basic a"), &token));
	assert_false(access_bearer(text("Bearer a b"), &token));
	assert_false(access_bearer(text("Bearer a,b"), &token));
	assert_false(access_bearer(bytes_of("Bearer a\0b", 10), &token));
	memset(longest, 'x', sizeof longest);
	memcpy(longest, "Bearer ", 7);
	assert_true(access_bearer(bytes_of(longest, ACCESS_TOKEN_MAX + 7), &token));
	assert_false(access_bearer(bytes_of(longest, ACCESS_TOKEN_MAX + 8), &token));
}

/* SHA-256 of "abc" and of "" as FIPS 180-2 and everybody has them. */
#define ABC        "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
#define OF_NOTHING "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"

static struct conf_token token_of(const char *name, const char *hash, unsigned rights)
{
	struct conf_token t = {.name = (char *)(uintptr_t)name, .rights_set = rights};

	assert_true(hex_decode(hash, 32, t.hash));
	t.token_max_streams = t.token_max_uploads = 2;
	return t;
}

static void a_token_is_found_by_its_hash(void **state)
{
	struct conf_token t[] = {
	    token_of("nothing", OF_NOTHING, 1), token_of("abc", ABC, 2)};
	struct conf c = {.token = t, .token_n = 2};
	struct access_set s = {0};

	(void)state;
	assert_true(access_set_load(&s, &c));
	assert_string_equal(access_set_find(&s, text("abc"))->name, "abc");
	assert_null(access_set_find(&s, text("abd")));
	assert_null(access_set_find(&s, text("ABC")));
	assert_null(access_set_find(&s, text(ABC))); /* the hash is no token */
	access_set_clear(&s);
}

static void what_a_reload_leaves_alone_is_the_same_object(void **state)
{
	struct conf_token t[] = {
	    token_of("nothing", OF_NOTHING, 1), token_of("abc", ABC, 2)};
	struct conf c = {.token = t, .token_n = 2};
	struct access_set s = {0};
	struct access *abc, *nothing;

	(void)state;
	assert_true(access_set_load(&s, &c));
	abc = access_ref(access_set_find(&s, text("abc")));
	nothing = access_ref(access_set_find(&s, text("")));
	t[0].rights_set = 3;
	assert_true(access_set_load(&s, &c));
	assert_ptr_equal(access_set_find(&s, text("abc")), abc);
	assert_ptr_not_equal(access_set_find(&s, text("")), nothing);
	assert_true(access_set_has(&s, abc));
	assert_false(access_set_has(&s, nothing));
	c.token_n = 1;
	assert_true(access_set_load(&s, &c));
	assert_null(access_set_find(&s, text("abc")));
	assert_string_equal(abc->name, "abc"); /* who has it keeps it */
	access_unref(abc);
	access_unref(nothing);
	access_set_clear(&s);
}

static void uploads_are_counted(void **state)
{
	struct conf_token t = token_of("abc", ABC, 2);
	struct conf c = {.token = &t, .token_n = 1};
	struct access_set s = {0};
	struct access *a;

	(void)state;
	assert_true(access_set_load(&s, &c));
	a = s.of[0];
	assert_true(access_upload_begin(a) && access_upload_begin(a));
	assert_false(access_upload_begin(a));
	access_upload_end(a);
	assert_true(access_upload_begin(a));
	assert_true(access_upload_begin(NULL));
	access_upload_end(NULL);
	access_upload_end(a);
	access_upload_end(a);
	access_set_clear(&s);
}

static void what_it_reaches(void **state)
{
	char one[] = "one", web[] = "web";
	char *issuers[] = {one}, *lists[] = {web};
	struct access a = {.issuers = issuers, .issuers_n = 1};

	(void)state;
	assert_true(access_issuer(NULL, "x") && access_issuer(NULL, ""));
	assert_true(access_issuer(&a, "one"));
	assert_false(access_issuer(&a, "two"));
	assert_false(access_issuer(&a, "")); /* a CA that is not configured */
	assert_true(access_list(&a, "web") && access_list(&a, "any"));
	a.lists = lists;
	a.lists_n = 1;
	assert_true(access_list(&a, "web"));
	assert_false(access_list(&a, "any"));
	assert_true(access_is_narrow(&a));
	assert_false(access_is_narrow(NULL));
}

static struct sockaddr_storage at(const char *address)
{
	struct sockaddr_storage a = {.ss_family = AF_UNIX};
	struct in6_addr v6;
	struct in_addr v4;

	if (inet_pton(AF_INET, address, &v4) == 1) {
		a.ss_family = AF_INET;
		((struct sockaddr_in *)&a)->sin_addr = v4;
	} else if (inet_pton(AF_INET6, address, &v6) == 1) {
		a.ss_family = AF_INET6;
		((struct sockaddr_in6 *)&a)->sin6_addr = v6;
	}
	return a;
}

static bool fails(struct logins *l, const char *address, int64_t now, unsigned *tell)
{
	struct sockaddr_storage a = at(address);

	return logins_failed(l, &a, now, tell);
}

static void an_address_is_slowed_and_others_are_not(void **state)
{
	struct logins *l = logins_new();
	unsigned tell;
	int64_t now = 1000000;

	(void)state;
	for (int i = 0; i < LOGINS_BURST; i++) {
		assert_false(fails(l, "192.0.2.1", now, &tell));
		assert_int_equal(tell, i == 0 ? 1 : 0);
	}
	assert_true(fails(l, "192.0.2.1", now, &tell));
	assert_false(fails(l, "192.0.2.2", now, &tell));
	assert_int_equal(tell, 1);
	/* once in a pause; a token of its own in ten of them */
	assert_false(fails(l, "192.0.2.1", now + LOGINS_PAUSE_MS, &tell));
	assert_true(fails(l, "192.0.2.1", now + LOGINS_PAUSE_MS, &tell));
	/* told again, with what was not */
	assert_false(fails(l, "192.0.2.1", now + LOGINS_TELL_MS, &tell));
	assert_int_equal(tell, LOGINS_BURST + 3);
	logins_free(l);
}

/* RFC 4291 section 2.5.1: an interface has 64 bits, and whoever has it has all of them.
 */
static void an_interface_is_one(void **state)
{
	struct logins *l = logins_new();
	unsigned tell;
	char address[64];

	(void)state;
	for (int i = 0; i < LOGINS_BURST; i++) {
		snprintf(address, sizeof address, "2001:db8::%x", i + 1);
		assert_false(fails(l, address, 5, &tell));
	}
	assert_true(fails(l, "2001:db8::ffff", 5, &tell));
	assert_false(fails(l, "2001:db8:0:1::1", 5, &tell));
	logins_free(l);
}

static void the_table_is_bounded(void **state)
{
	struct logins *l = logins_new();
	unsigned tell;
	char address[64];

	(void)state;
	for (int i = 0; i < 3 * LOGINS_MAX; i++) {
		snprintf(address, sizeof address, "10.0.%d.%d", i / 256, i % 256);
		assert_false(fails(l, address, 10 + i, &tell));
		assert_int_equal(tell, 1);
	}
	logins_free(l);
}

static void where_it_came_from(void **state)
{
	char from[LOGIN_FROM_MAX];
	struct sockaddr_storage a;

	(void)state;
	a = at("192.0.2.1");
	login_from(&a, from);
	assert_string_equal(from, "192.0.2.1");
	a = at("2001:db8::1");
	login_from(&a, from);
	assert_string_equal(from, "2001:db8::1");
	a = at("");
	login_from(&a, from);
	assert_string_equal(from, "unix");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(a_bearer_token_is_read),
	    cmocka_unit_test(a_token_is_found_by_its_hash),
	    cmocka_unit_test(what_a_reload_leaves_alone_is_the_same_object),
	    cmocka_unit_test(uploads_are_counted),
	    cmocka_unit_test(what_it_reaches),
	    cmocka_unit_test(an_address_is_slowed_and_others_are_not),
	    cmocka_unit_test(an_interface_is_one),
	    cmocka_unit_test(the_table_is_bounded),
	    cmocka_unit_test(where_it_came_from),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
