#include "proxy/http/guard.h"

#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

static bool allows(const char *const *nets, size_t n, const char *text, int port)
{
	struct network allow[4];
	struct guard g = {.allow = allow, .allow_n = n};
	struct ip_address a;

	for (size_t i = 0; i < n; i++)
		assert_null(network_parse(nets[i], &allow[i]));
	assert_true(ip_address_parse(text, port, &a));
	return guard_allows(&g, &a);
}

/* T7 */
static void learnt_urls_lead_to_public_addresses_on_two_ports(void **state)
{
	(void)state;
	assert_true(allows(NULL, 0, "93.184.216.34", 80));
	assert_true(allows(NULL, 0, "2606:2800:220:1::1", 443));
	assert_false(allows(NULL, 0, "93.184.216.34", 6379));
	assert_false(allows(NULL, 0, "2606:2800:220:1::1", 0));
	assert_false(allows(NULL, 0, "127.0.0.1", 80));
	assert_false(allows(NULL, 0, "::1", 80));
	assert_false(allows(NULL, 0, "169.254.169.254", 80));
}

static void the_operator_allows_others_on_all_ports_or_one(void **state)
{
	static const char *const nets[] = {
	    "10.0.0.0/8", "127.0.0.0/8:9081", "[fd00::]/8:443", "93.184.216.34:8080"};

	(void)state;
	assert_true(allows(nets, 4, "10.1.2.3", 1));
	assert_true(allows(nets, 4, "::ffff:10.1.2.3", 1));
	assert_true(allows(nets, 4, "127.0.0.1", 9081));
	assert_false(allows(nets, 4, "127.0.0.1", 80));
	assert_true(allows(nets, 4, "fd00::1", 443));
	assert_false(allows(nets, 4, "fd00::1", 80));
	assert_true(allows(nets, 4, "93.184.216.34", 8080));
	assert_true(allows(nets, 4, "93.184.216.34", 80));
	assert_false(allows(nets, 4, "11.0.0.1", 8080));
	assert_false(guard_allows_address(
	    &(struct guard){0}, &(const struct sockaddr){.sa_family = AF_UNIX}));
}

/* T7: an operator names a webhook's port; what is not public stays out of reach. */
static void webhooks_lead_to_public_addresses_on_any_port(void **state)
{
	const struct guard g = {.any_port = true};
	struct ip_address a;

	(void)state;
	assert_true(ip_address_parse("93.184.216.34", 8443, &a));
	assert_true(guard_allows(&g, &a));
	assert_true(ip_address_parse("127.0.0.1", 8443, &a));
	assert_false(guard_allows(&g, &a));
}

static bool is_nine(const void *arg, const struct ip_address *p)
{
	return p->port == *(const int *)arg;
}

/* T7 */
static void some_are_refused_whatever_is_allowed(void **state)
{
	static const int nine = 9;
	struct network all[1];
	struct guard g = {.allow = all,
	    .allow_n = 1,
	    .any_port = true,
	    .never = is_nine,
	    .never_arg = &nine};
	struct ip_address a;

	(void)state;
	assert_null(network_parse("127.0.0.0/8", &all[0]));
	assert_true(ip_address_parse("127.0.0.1", 8, &a) && guard_allows(&g, &a));
	assert_true(ip_address_parse("127.0.0.1", 9, &a) && !guard_allows(&g, &a));
	assert_true(ip_address_parse("93.184.216.34", 6379, &a) && guard_allows(&g, &a));
	assert_true(ip_address_parse("93.184.216.34", 9, &a) && !guard_allows(&g, &a));
	assert_true(ip_address_parse("10.0.0.1", 6379, &a) && !guard_allows(&g, &a));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(some_are_refused_whatever_is_allowed),
	    cmocka_unit_test(learnt_urls_lead_to_public_addresses_on_two_ports),
	    cmocka_unit_test(the_operator_allows_others_on_all_ports_or_one),
	    cmocka_unit_test(webhooks_lead_to_public_addresses_on_any_port),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
