#include "conf/network.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#define N(list) (sizeof list / sizeof *list)

static void taken(const char *text, bool v6, int bits, int port)
{
	struct network n;

	assert_null(network_parse(text, &n));
	assert_int_equal(n.first.v6, v6);
	assert_int_equal(n.bits, bits);
	assert_int_equal(n.first.port, port);
}

static void refused(const char *text, const char *part)
{
	struct network n;
	const char *why = network_parse(text, &n);

	if (why == NULL || strstr(why, part) == NULL)
		fail_msg("%s: %s, and not %s", text, why == NULL ? "taken" : why, part);
}

static void networks_are_read_in_each_form(void **state)
{
	(void)state;
	taken("10.0.0.0/8", false, 8, 0);
	taken("127.0.0.0/8:9081", false, 8, 9081);
	taken("10.1.2.3", false, 32, 0);
	taken("10.1.2.3:65535", false, 32, 65535);
	taken("0.0.0.0/0", false, 0, 0);
	taken("[fd00::]/8:443", true, 8, 443);
	taken("[fd00::]/8", true, 8, 0);
	taken("fd00::/8", true, 8, 0);
	taken("fd00::/8:443", true, 8, 443);
	taken("[::1]:80", true, 128, 80);
	taken("::1", true, 128, 0);
	taken("[2001:db8::]/33", true, 33, 0);
}

static void what_is_no_network_is_told_with_what_to_write(void **state)
{
	static const char *const bits[] = {"10.0.0.0/", "10.0.0.0/x", "10.0.0.0/33",
	    "10.0.0.0/-1", "[fd00::]/129", "10.0.0.0/999999999999"};
	static const char *const port[] = {"10.0.0.0/8:", "10.0.0.0/8:0",
	    "10.0.0.0/8:65536", "10.0.0.0/8:80x", "10.0.0.0/8/8", "10.0.0.0/8 ",
	    "[fd00::]x", "10.0.0.1:80:80/8"};
	static const char *const name[] = {"", "example.com", "localhost:80", "10.0.0/8",
	    "010.0.0.0/8", "10.0.0.0.0/8", " 10.0.0.0/8", "[10.0.0]", "[fe80::1%lo]/64",
	    "1111:2222:3333:4444:5555:6666:7777:8888:9999:aaaa:bbbb:cccc/8"};

	(void)state;
	for (size_t i = 0; i < N(bits); i++)
		refused(bits[i], "number of bits");
	for (size_t i = 0; i + 1 < N(port); i++)
		refused(port[i], "no port from 1");
	refused(port[N(port) - 1], "is no address");
	for (size_t i = 0; i < N(name); i++)
		refused(name[i], "is no address");
	refused("[fd00::/8", "its ']' is missing");
	refused("10.0.0.1/8", "bits behind its prefix");
	refused("[fd00::1]/64", "bits behind its prefix");
	refused("[2001:db8:c000::]/33", "bits behind its prefix");
	refused("[::ffff:10.0.0.0]/104", "IPv4 inside IPv6");
	refused("64:ff9b::/96", "IPv4 inside IPv6");
}

static struct ip_address at(const char *text, int port)
{
	struct ip_address a;

	assert_true(ip_address_parse(text, port, &a));
	return a;
}

static bool has(const char *network, const char *text, int port)
{
	struct ip_address a = at(text, port);
	struct network n;

	assert_null(network_parse(network, &n));
	return network_has(&n, &a);
}

static void a_network_has_its_addresses_and_ports(void **state)
{
	(void)state;
	assert_true(has("10.0.0.0/8", "10.255.255.255", 1));
	assert_false(has("10.0.0.0/8", "11.0.0.0", 1));
	assert_true(has("172.16.0.0/12", "172.31.255.255", 80));
	assert_false(has("172.16.0.0/12", "172.32.0.0", 80));
	assert_true(has("127.0.0.0/8:9081", "127.0.0.1", 9081));
	assert_false(has("127.0.0.0/8:9081", "127.0.0.1", 9082));
	assert_true(has("0.0.0.0/0", "255.255.255.255", 80));
	assert_false(has("0.0.0.0/0", "::1", 80));
	assert_true(has("::/0", "::1", 80));
	assert_false(has("::/0", "127.0.0.1", 80));
	assert_true(has("fd00::/8", "fdff::1", 80));
	assert_false(has("fd00::/8", "fc00::1", 80));
	/* one thing, however it is carried */
	assert_true(has("10.0.0.0/8", "::ffff:10.0.0.1", 80));
	assert_true(has("10.0.0.0/8", "64:ff9b::a00:1", 80));
	assert_false(has("::/0", "::ffff:10.0.0.1", 80));
}

static void an_address_of_the_system_is_what_its_text_is(void **state)
{
	struct sockaddr_in v4 = {.sin_family = AF_INET, .sin_port = htons(80)};
	struct sockaddr_in6 v6 = {.sin6_family = AF_INET6, .sin6_port = htons(443)};
	struct ip_address a, b = at("192.0.2.1", 80);

	(void)state;
	assert_int_equal(inet_pton(AF_INET, "192.0.2.1", &v4.sin_addr), 1);
	assert_true(ip_address_of((const struct sockaddr *)&v4, &a));
	assert_memory_equal(&a, &b, sizeof a);
	assert_int_equal(inet_pton(AF_INET6, "::ffff:192.0.2.1", &v6.sin6_addr), 1);
	assert_true(ip_address_of((const struct sockaddr *)&v6, &a));
	b.port = 443;
	assert_memory_equal(&a, &b, sizeof a);
	assert_false(ip_address_of(&(const struct sockaddr){.sa_family = AF_UNIX}, &a));
	assert_false(ip_address_parse("fe80::1%lo", 80, &a));
	assert_false(ip_address_parse("localhost", 80, &a));
	assert_false(ip_address_parse("127.1", 80, &a));
}

/* T7: first and last of each row of IANA's registries of special-purpose addresses that
 * is not globally reachable, and what lies beside it. */
static void special_addresses_are_not_public(void **state)
{
	static const char *const special[] = {"0.0.0.0", "0.255.255.255", "10.0.0.0",
	    "10.255.255.255", "100.64.0.0", "100.127.255.255", "127.0.0.0", "127.0.0.1",
	    "127.255.255.255", "169.254.0.0", "169.254.169.254", "172.16.0.0",
	    "172.31.255.255", "192.0.0.0", "192.0.0.170", "192.0.2.0", "192.88.99.1",
	    "192.168.0.0", "192.168.255.255", "198.18.0.0", "198.19.255.255",
	    "198.51.100.7", "203.0.113.255", "224.0.0.1", "239.255.255.255", "240.0.0.0",
	    "255.255.255.255", "::", "::1", "::127.0.0.1", "::ffff:127.0.0.1",
	    "::ffff:10.0.0.1", "::ffff:0:127.0.0.1", "64:ff9b::127.0.0.1",
	    "64:ff9b::169.254.169.254", "64:ff9b:1::1", "100::1", "2001::1",
	    "2001:0:7f00:1::", "2001:2::1", "2001:10::1", "2001:20::1", "2001:db8::1",
	    "2002:7f00:1::1", "2002:5db8:d822::1", "3fff::1", "5f00::1", "fc00::1",
	    "fdff::1", "fe80::1", "febf::1", "fec0::1", "ff02::1", "ff0e::1"};
	static const char *const global[] = {"1.0.0.0", "9.255.255.255", "11.0.0.0",
	    "93.184.216.34", "100.63.255.255", "100.128.0.0", "126.255.255.255",
	    "128.0.0.0", "169.253.255.255", "169.255.0.0", "172.15.255.255", "172.32.0.0",
	    "192.0.1.0", "192.0.3.0", "192.167.255.255", "192.169.0.0", "198.17.255.255",
	    "198.20.0.0", "203.0.112.255", "203.0.114.0", "223.255.255.255",
	    "::ffff:93.184.216.34", "64:ff9b::93.184.216.34", "2001:200::1",
	    "2001:db7:ffff::1", "2001:db9::1", "2003::1", "2606:2800:220:1::1",
	    "3fff:1000::1"};

	(void)state;
	for (size_t i = 0; i < N(special); i++) {
		struct ip_address a = at(special[i], 80);

		if (ip_address_is_public(&a))
			fail_msg("%s is public", special[i]);
	}
	for (size_t i = 0; i < N(global); i++) {
		struct ip_address a = at(global[i], 80);

		if (!ip_address_is_public(&a))
			fail_msg("%s is not public", global[i]);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(networks_are_read_in_each_form),
	    cmocka_unit_test(what_is_no_network_is_told_with_what_to_write),
	    cmocka_unit_test(a_network_has_its_addresses_and_ports),
	    cmocka_unit_test(an_address_of_the_system_is_what_its_text_is),
	    cmocka_unit_test(special_addresses_are_not_public),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
