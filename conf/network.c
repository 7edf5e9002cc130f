/* Prefixes are compared bit by bit; what is not public is a table of them. */
#include "conf/network.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>

static bool begins(const uint8_t *octet, const uint8_t *with, int bits)
{
	int whole = bits / 8, rest = bits % 8;

	return memcmp(octet, with, (size_t)whole) == 0 &&
	       (rest == 0 || (octet[whole] ^ with[whole]) >> (8 - rest) == 0);
}

/* How IPv4 is carried in IPv6: the 96 bits before it. */
static const uint8_t carriers[][12] = {
    {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff}, /* ::ffff:0:0/96 */
    {0, 0x64, 0xff, 0x9b},                      /* 64:ff9b::/96 */
};

static void set_v6(const uint8_t octet[16], struct ip_address *out)
{
	for (size_t i = 0; i < sizeof carriers / sizeof *carriers; i++)
		if (memcmp(octet, carriers[i], sizeof carriers[i]) == 0) {
			memcpy(out->octet, octet + 12, 4);
			return;
		}
	out->v6 = true;
	memcpy(out->octet, octet, 16);
}

bool ip_address_of(const struct sockaddr *sa, struct ip_address *out)
{
	const struct sockaddr_in *v4 = (const void *)sa;
	const struct sockaddr_in6 *v6 = (const void *)sa;

	memset(out, 0, sizeof *out);
	if (sa->sa_family == AF_INET) {
		memcpy(out->octet, &v4->sin_addr, 4);
		out->port = ntohs(v4->sin_port);
		return true;
	}
	if (sa->sa_family != AF_INET6)
		return false;
	set_v6(v6->sin6_addr.s6_addr, out);
	out->port = ntohs(v6->sin6_port);
	return true;
}

bool ip_address_parse(const char *text, int port, struct ip_address *out)
{
	struct in6_addr v6;

	memset(out, 0, sizeof *out);
	out->port = port;
	if (inet_pton(AF_INET, text, out->octet) == 1)
		return true;
	if (inet_pton(AF_INET6, text, &v6) != 1)
		return false;
	set_v6(v6.s6_addr, out);
	return true;
}

/* Reading. */

/* Digits up to most, and where they end; -1 for what is no such number. */
static int number(const char *from, int most, const char **end)
{
	int n = 0;

	*end = from;
	while (**end >= '0' && **end <= '9' && *end - from < 5)
		n = n * 10 + (*(*end)++ - '0');
	return *end == from || n > most ? -1 : n;
}

/* The address at the start of text; *after: what follows it. */
static const char *take_address(const char *text, struct network *n, const char **after)
{
	char name[INET6_ADDRSTRLEN];
	bool brackets = *text == '[', bare_v6;
	const char *from = text + brackets, *end;

	bare_v6 = !brackets && strchr(text, ':') != strrchr(text, ':');
	end = from + strcspn(from, brackets ? "]" : bare_v6 ? "/" : "/:");
	if (brackets && *end == '\0')
		return "its ']' is missing; write [ADDRESS]/BITS or [ADDRESS]/BITS:PORT";
	if ((size_t)(end - from) >= sizeof name)
		return "is no address; write 10.0.0.0/8 or [fd00::]/8";
	memcpy(name, from, (size_t)(end - from));
	name[end - from] = '\0';
	*after = end + brackets;
	if (!ip_address_parse(name, 0, &n->first))
		return "is no address; write 10.0.0.0/8 or [fd00::]/8, and numbers, "
		       "since names lead elsewhere tomorrow";
	if (!n->first.v6 && strchr(name, ':') != NULL)
		return "is IPv4 inside IPv6, and stands for the IPv4 address; write that";
	n->bits = n->first.v6 ? 128 : 32;
	return NULL;
}

/* Bits behind the prefix would say that something else was meant. */
static bool is_first(const struct network *n)
{
	for (int bit = n->bits; bit < (n->first.v6 ? 128 : 32); bit++)
		if ((n->first.octet[bit / 8] >> (7 - bit % 8) & 1) != 0)
			return false;
	return true;
}

const char *network_parse(const char *text, struct network *out)
{
	const char *at, *why;

	memset(out, 0, sizeof *out);
	why = take_address(text, out, &at);
	if (why != NULL)
		return why;
	if (*at == '/')
		out->bits = number(at + 1, out->bits, &at);
	if (out->bits < 0)
		return "has no number of bits after '/'; write /8, to /32 for IPv4 and "
		       "/128 for IPv6";
	if (*at == ':' && (out->first.port = number(at + 1, 65535, &at)) == 0)
		out->first.port = -1;
	if (out->first.port < 0 || *at != '\0')
		return "has no port from 1 to 65535 at its end; write ADDRESS/BITS:PORT, "
		       "or no ':'";
	return is_first(out) ? NULL
			     : "has bits behind its prefix; write the network's first "
			       "address, or a longer prefix";
}

bool network_has(const struct network *n, const struct ip_address *p)
{
	return n->first.v6 == p->v6 && begins(p->octet, n->first.octet, n->bits) &&
	       (n->first.port == 0 || n->first.port == p->port);
}

/* Public. */

struct special {
	uint8_t octet[16], bits;
};

static const struct special not_public_v4[] = {
    {{0}, 8},               /* this network */
    {{10}, 8},              /* private */
    {{100, 64}, 10},        /* shared by carriers' customers (RFC 6598) */
    {{127}, 8},             /* loopback */
    {{169, 254}, 16},       /* link-local; clouds keep their machines' keys there */
    {{172, 16}, 12},        /* private */
    {{192, 0, 0}, 24},      /* of protocols */
    {{192, 0, 2}, 24},      /* documentation */
    {{192, 88, 99}, 24},    /* relays of 6to4 (RFC 7526) */
    {{192, 168}, 16},       /* private */
    {{198, 18}, 15},        /* benchmarks */
    {{198, 51, 100}, 24},   /* documentation */
    {{203, 0, 113}, 24},    /* documentation */
    {{224}, 4}, {{240}, 4}, /* multicast; reserved and broadcast */
};

static const struct special global_v6 = {{0x20}, 3};

/* Of that. */
static const struct special not_public_v6[] = {
    {{0x20, 0x01}, 23},             /* of protocols: Teredo, ORCHID, benchmarks */
    {{0x20, 0x01, 0x0d, 0xb8}, 32}, /* documentation */
    {{0x20, 0x02}, 16},             /* 6to4 */
    {{0x3f, 0xff}, 20},             /* documentation (RFC 9637) */
};

static bool is_among(const struct special *list, size_t n, const struct ip_address *p)
{
	for (size_t i = 0; i < n; i++)
		if (begins(p->octet, list[i].octet, list[i].bits))
			return true;
	return false;
}

bool ip_address_is_public(const struct ip_address *p)
{
	if (!p->v6)
		return !is_among(
		    not_public_v4, sizeof not_public_v4 / sizeof *not_public_v4, p);
	return is_among(&global_v6, 1, p) &&
	       !is_among(not_public_v6, sizeof not_public_v6 / sizeof *not_public_v6, p);
}
