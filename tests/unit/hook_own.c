/* T7: webhooks never lead to our own listeners. */
#include "proxy/push/hook_own.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

static bool is_own(const char *const *listen, size_t n, const char *address, int port)
{
	char *text[4];
	const struct conf c = {.listen = text, .listen_n = n};
	struct hook_own own;
	struct ip_address p;

	for (size_t i = 0; i < n; i++)
		text[i] = strdup(listen[i]);
	hook_own_load(&own, &c);
	for (size_t i = 0; i < n; i++)
		free(text[i]);
	assert_true(ip_address_parse(address, port, &p));
	return hook_own_is(&own, &p);
}

/* T7 */
static void an_address_is_itself(void **state)
{
	static const char *const at[] = {
	    "127.0.0.1:8080", "[::1]:8081", "unix:/run/a.sock", "localhost:9000"};

	(void)state;
	assert_true(is_own(at, 4, "127.0.0.1", 8080));
	assert_true(is_own(at, 4, "::ffff:127.0.0.1", 8080));
	assert_true(is_own(at, 4, "0.0.0.0", 8080));
	assert_true(is_own(at, 4, "::1", 8081));
	assert_true(is_own(at, 4, "127.0.0.1", 9000));
	assert_true(is_own(at, 4, "::1", 9000));
	assert_false(is_own(at, 4, "127.0.0.1", 8081));
	assert_false(is_own(at, 4, "127.0.0.2", 8080));
	assert_false(is_own(at, 4, "93.184.216.34", 8080));
}

/* T7 */
static void all_addresses_are_those_of_this_machine(void **state)
{
	static const char *const at[] = {"0.0.0.0:8080", "[::]:8081"};

	(void)state;
	assert_true(is_own(at, 2, "127.0.0.1", 8080));
	assert_true(is_own(at, 2, "127.255.3.4", 8080));
	assert_true(is_own(at, 2, "127.0.0.1", 8081)); /* [::] may take it too */
	assert_true(is_own(at, 2, "::1", 8081));
	assert_false(is_own(at, 2, "93.184.216.34", 8080));
	assert_false(is_own(at, 2, "127.0.0.1", 8082));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(an_address_is_itself),
	    cmocka_unit_test(all_addresses_are_those_of_this_machine),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
