/* watch_name.c - DNS, addresses, mailboxes and URIs in one spelling; punycode. */
#include "cache/watch/watch_name.h"

#include <arpa/inet.h>

#include "cache/base/utf8.h"

/* A label is 63 octets in ASCII; one with more characters is none, and is left alone. */
#define LABEL_MAX 63

struct spelling {
	char *p;
	size_t n, room;
	bool full;
};

static void put(struct spelling *s, const void *p, size_t n)
{
	if (n > s->room - s->n) {
		s->full = true;
		return;
	}
	memcpy(s->p + s->n, p, n);
	s->n += n;
}

static char lower(uint8_t c)
{
	return (char)(c >= 'A' && c <= 'Z' ? c | 0x20 : c);
}

static void put_lower(struct spelling *s, struct bytes text)
{
	if (text.n > s->room - s->n) {
		s->full = true;
		return;
	}
	for (size_t i = 0; i < text.n; i++)
		s->p[s->n++] = lower(text.p[i]);
}

/* The characters of a label in lower case; 0: too many. */
static size_t code_points(struct bytes label, unsigned out[LABEL_MAX])
{
	size_t n = 0, len;

	for (size_t i = 0; i < label.n; i += len, n++) {
		if (n == LABEL_MAX)
			return 0;
		len = utf8_length(label.p + i, label.n - i, &out[n]);
		if (len == 0)
			return 0;
		if (len == 1)
			out[n] = (uint8_t)lower(label.p[i]);
	}
	return n;
}

/* RFC 3492 section 6.1. */
static unsigned adapt(unsigned delta, unsigned points, bool first)
{
	unsigned k = 0;

	delta = first ? delta / 700 : delta / 2;
	delta += delta / points;
	for (; delta > 455; k += 36)
		delta /= 35;
	return k + 36 * delta / (delta + 38);
}

/* A variable-length integer (section 3.3). */
static void put_delta(struct spelling *s, unsigned q, unsigned bias)
{
	static const char digit[] = "abcdefghijklmnopqrstuvwxyz0123456789";

	for (unsigned k = 36;; k += 36) {
		unsigned t = k <= bias ? 1 : k >= bias + 26 ? 26 : k - bias;

		if (q < t)
			break;
		put(s, &digit[t + (q - t) % (36 - t)], 1);
		q = (q - t) / (36 - t);
	}
	put(s, &digit[q], 1);
}

static unsigned least_above(const unsigned *code, size_t n, unsigned at)
{
	unsigned least = 0x110000;

	for (size_t i = 0; i < n; i++)
		if (code[i] >= at && code[i] < least)
			least = code[i];
	return least;
}

/* Section 6.3.  63 characters cannot overflow 32 bits: 64 * 0x10ffff is 2^26. */
static void put_punycode(struct spelling *s, const unsigned *code, size_t n)
{
	unsigned at = 0x80, delta = 0, bias = 72;
	size_t basic = 0, done;

	for (size_t i = 0; i < n; i++)
		if (code[i] < 0x80) {
			char c = (char)code[i];

			put(s, &c, 1);
			basic++;
		}
	if (basic > 0)
		put(s, "-", 1);
	for (done = basic; done < n; delta++, at++) {
		unsigned next = least_above(code, n, at);

		delta += (next - at) * (unsigned)(done + 1);
		at = next;
		for (size_t i = 0; i < n; i++) {
			if (code[i] < at)
				delta++;
			if (code[i] != at)
				continue;
			put_delta(s, delta, bias);
			bias = adapt(delta, (unsigned)done + 1, done == basic);
			delta = 0;
			done++;
		}
	}
}

static bool is_ascii(struct bytes text)
{
	for (size_t i = 0; i < text.n; i++)
		if (text.p[i] >= 0x80)
			return false;
	return true;
}

/* What stands between dots. */
static void put_label(struct spelling *s, struct bytes label)
{
	unsigned code[LABEL_MAX];
	size_t n = is_ascii(label) ? 0 : code_points(label, code);

	if (n == 0) {
		put_lower(s, label);
		return;
	}
	put(s, "xn--", 4);
	put_punycode(s, code, n);
}

/* Of ASCII only what a name of DNS may have (and '_' and '*', which are met in it), and
 * no U+FFFD: that is what could not be read. */
static bool is_dns(struct bytes text)
{
	if (memmem(text.p, text.n, "\xef\xbf\xbd", 3) != NULL)
		return false;
	for (size_t i = 0; i < text.n; i++) {
		uint8_t c = text.p[i];

		if (c < 0x80 && !(c >= '0' && c <= '9') &&
		    !((c | 0x20) >= 'a' && (c | 0x20) <= 'z') && c != '-' && c != '.' &&
		    c != '_' && c != '*')
			return false;
	}
	return true;
}

static void put_host(struct spelling *s, struct bytes host)
{
	if (is_ascii(host) || !is_dns(host)) {
		put_lower(s, host);
	} else {
		for (;;) {
			const uint8_t *dot = memchr(host.p, '.', host.n);
			size_t n = dot != NULL ? (size_t)(dot - host.p) : host.n;

			put_label(s, bytes_of(host.p, n));
			if (dot == NULL)
				break;
			put(s, ".", 1);
			host = bytes_of(dot + 1, host.n - n - 1);
		}
	}
	if (s->n > 1 && s->p[s->n - 1] == '.')
		s->n--;
}

/* Behind the last '@', all before it as it is. */
static void put_address(struct spelling *s, struct bytes text)
{
	const uint8_t *at = memrchr(text.p, '@', text.n);
	size_t n = (size_t)(at - text.p) + 1;

	put(s, text.p, n);
	put_host(s, bytes_of(text.p + n, text.n - n));
}

static size_t until(struct bytes text, const char *any)
{
	size_t n = 0;

	while (n < text.n && (text.p[n] == 0 || strchr(any, text.p[n]) == NULL))
		n++;
	return n;
}

/* scheme://[user@]host[:port][/...] */
static void put_uri(struct spelling *s, struct bytes text, size_t scheme)
{
	struct bytes rest = bytes_of(text.p + scheme + 3, text.n - scheme - 3);
	size_t n = until(rest, "/?#"), host;
	struct bytes authority = bytes_of(rest.p, n);
	const uint8_t *at = n > 0 ? memrchr(rest.p, '@', n) : NULL;

	put_lower(s, bytes_of(text.p, scheme + 3));
	if (at != NULL) {
		size_t user = (size_t)(at - rest.p) + 1;

		put(s, rest.p, user);
		authority = bytes_of(at + 1, n - user);
	}
	host = authority.n > 0 && authority.p[0] == '[' ? authority.n
							: until(authority, ":");
	put_host(s, bytes_of(authority.p, host));
	put(s, authority.p + host, authority.n - host);
	put(s, rest.p + n, rest.n - n);
}

/* Length of the scheme where text is an URI, else 0 (RFC 3986 section 3.1). */
static size_t scheme_of(struct bytes text)
{
	const uint8_t *at = memmem(text.p, text.n, "://", 3);
	size_t n = at != NULL ? (size_t)(at - text.p) : 0;

	for (size_t i = 0; i < n; i++) {
		uint8_t c = text.p[i];

		if (!((c | 0x20) >= 'a' && (c | 0x20) <= 'z') &&
		    (i == 0 ||
			!((c >= '0' && c <= '9') || c == '+' || c == '-' || c == '.')))
			return 0;
	}
	return n;
}

static bool put_ip(struct spelling *s, struct bytes text)
{
	char in[INET6_ADDRSTRLEN], out[INET6_ADDRSTRLEN];
	uint8_t octets[16];
	int family = memchr(text.p, ':', text.n) != NULL ? AF_INET6 : AF_INET;

	if (text.n >= sizeof in || memchr(text.p, 0, text.n) != NULL)
		return false;
	memcpy(in, text.p, text.n);
	in[text.n] = '\0';
	if (inet_pton(family, in, octets) != 1 ||
	    inet_ntop(family, octets, out, sizeof out) == NULL)
		return false;
	put(s, out, strlen(out));
	return true;
}

/* Plain small letters, digits and dots, as nearly all names are: one pass. */
static bool put_plain(struct spelling *s, struct bytes text)
{
	uint8_t odd = 0, letters = 0;

	if (text.n > s->room)
		return false;
	for (size_t i = 0; i < text.n; i++) {
		uint8_t c = text.p[i];

		odd |= (uint8_t)(c >= 0x80 || c == ':' || c == '@');
		letters |= c & 0x40;
		s->p[i] = lower(c);
	}
	if (odd || !letters || text.p[text.n - 1] == '.')
		return false;
	s->n = text.n;
	return true;
}

size_t watch_name(struct bytes text, char *out, size_t room)
{
	struct spelling s = {.p = out, .room = room};
	size_t scheme;

	if (text.n == 0)
		return 0;
	if (put_plain(&s, text) || put_ip(&s, text))
		return s.full ? 0 : s.n;
	scheme = scheme_of(text);
	if (scheme > 0)
		put_uri(&s, text, scheme);
	else if (memchr(text.p, '@', text.n) != NULL)
		put_address(&s, text);
	else
		put_host(&s, text);
	return s.full ? 0 : s.n;
}
