/* network.h - addresses of machines: "10.0.0.0/8", "127.0.0.0/8:9081", "[fd00::]/8:443".
 *
 * An IPv4 address is one thing however it is carried: as ::ffff:10.0.0.1 and as
 * 64:ff9b::10.0.0.1 (NAT64, RFC 6052) it leads where 10.0.0.1 does, and is that here.
 * Pure.
 */
#ifndef CONF_NETWORK_H
#define CONF_NETWORK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/socket.h>

struct ip_address {
	bool v6;
	uint8_t octet[16]; /* 4 of them for IPv4 */
	int port;          /* 0..65535 */
};

struct network {
	struct ip_address first; /* port 0: any */
	int bits;                /* of the prefix: 0..32, or 0..128 */
};

/* False for what is neither IPv4 nor IPv6. */
bool ip_address_of(const struct sockaddr *sa, struct ip_address *out);
/* An address as text, without brackets; false for what is none (names, and "fe80::1%eth0"
 * too, whose zone is one of this machine's alone). */
bool ip_address_parse(const char *text, int port, struct ip_address *out);

/* An address without "/BITS" is a network of one.  Returns NULL for what is right, else
 * "what is wrong; remedy", static. */
const char *network_parse(const char *text, struct network *out);
bool network_has(const struct network *n, const struct ip_address *p);

/* Can it be reached over the Internet?  By IANA's registries of special-purpose addresses
 * (RFC 6890) as of November 2026: what is private, shared, loopback, link-local,
 * multicast, reserved, for documentation or a protocol's own is not, nor is what leads
 * through a translator (6to4, Teredo), nor what nobody has been given yet (IPv6 but
 * 2000::/3). */
bool ip_address_is_public(const struct ip_address *p);

#endif
