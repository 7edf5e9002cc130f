/* watch_key.c - the keys of the file's rows and of its two indices. */
#include <arpa/inet.h>

#include "cache/watch/watch_db_file.h"

#define NO_DNS 1 /* before a name of another kind */

size_t watch_record_key(
    uint8_t *key, uint32_t generation, uint32_t ca, const struct serial *s)
{
	uint8_t *p = put_be(put_be(key, generation, 4), ca, 4);

	for (size_t i = s->n; i-- > 0;)
		*p++ = s->octets[i];
	return (size_t)(p - key);
}

size_t watch_serial_key(
    uint8_t *key, uint32_t generation, uint32_t ca, const struct serial *s)
{
	uint8_t *p = put_be(put_be(key, generation, 4), ca, 4);

	*p++ = s->n;
	memcpy(p, s->octets, s->n);
	return (size_t)(p - key) + s->n;
}

static bool read_serial(const uint8_t *p, size_t n, struct serial *s)
{
	if (n < 1 || n > SERIAL_MAX)
		return false;
	s->n = (uint8_t)n;
	memcpy(s->octets, p, n);
	return true;
}

bool watch_record_key_read(MDB_val k, uint32_t *ca, struct serial *s)
{
	const uint8_t *p = k.mv_data;
	struct serial turned;

	if (k.mv_size < 8 || !read_serial(p + 8, k.mv_size - 8, &turned))
		return false;
	*ca = (uint32_t)get_be(p + 4, 4);
	s->n = turned.n;
	for (size_t i = 0; i < s->n; i++)
		s->octets[i] = turned.octets[s->n - 1 - i];
	return true;
}

bool watch_serial_key_read(MDB_val k, uint32_t *ca, struct serial *s)
{
	const uint8_t *p = k.mv_data;

	if (k.mv_size < 9 || !read_serial(p + 9, k.mv_size - 9, s) || p[8] != s->n)
		return false;
	*ca = (uint32_t)get_be(p + 4, 4);
	return true;
}

bool watch_name_key_read(MDB_val k, uint32_t *ca, struct serial *s)
{
	const uint8_t *p = k.mv_data, *end = p + k.mv_size, *zero;

	if (k.mv_size < 5 || (zero = memchr(p + 4, 0, k.mv_size - 4)) == NULL ||
	    end - zero < 5 || !read_serial(zero + 5, (size_t)(end - zero) - 5, s))
		return false;
	*ca = (uint32_t)get_be(zero + 1, 4);
	return true;
}

static bool is_address(struct bytes name)
{
	bool six = memchr(name.p, ':', name.n) != NULL;
	char text[INET6_ADDRSTRLEN];
	uint8_t address[16];

	/* nearly every name is none: that is seen at once */
	if (name.n >= sizeof text ||
	    (!six && (name.p[name.n - 1] < '0' || name.p[name.n - 1] > '9')))
		return false;
	memcpy(text, name.p, name.n);
	text[name.n] = '\0';
	return inet_pton(six ? AF_INET6 : AF_INET, text, address) == 1;
}

bool watch_name_is_dns(struct bytes name)
{
	return name.n > 0 && memchr(name.p, '@', name.n) == NULL &&
	       memmem(name.p, name.n, "://", 3) == NULL && !is_address(name);
}

size_t watch_name_key(uint8_t *key, struct bytes name)
{
	size_t n = 0, end = name.n;

	if (name.n == 0)
		return 0;
	if (!watch_name_is_dns(name)) {
		n = name.n < WATCH_NAME_KEY_MAX ? name.n : WATCH_NAME_KEY_MAX - 1;
		key[0] = NO_DNS;
		memcpy(key + 1, name.p, n);
		return n + 1;
	}
	for (;;) { /* the label that ends at end */
		const uint8_t *dot = memrchr(name.p, '.', end);
		size_t from = dot != NULL ? (size_t)(dot - name.p) + 1 : 0;
		size_t label = end - from;

		if (n + label + 1 > WATCH_NAME_KEY_MAX)
			label = WATCH_NAME_KEY_MAX - n - 1;
		memcpy(key + n, name.p + from, label);
		n += label;
		key[n++] = '.';
		if (dot == NULL || n == WATCH_NAME_KEY_MAX)
			return n;
		end = from - 1;
	}
}

size_t watch_name_row_key(uint8_t *key, uint32_t generation, struct bytes name,
    uint32_t ca, const struct serial *s)
{
	uint8_t *p = put_be(key, generation, 4);

	p += watch_name_key(p, name);
	*p++ = 0;
	p = put_be(p, ca, 4);
	memcpy(p, s->octets, s->n);
	return (size_t)(p - key) + s->n;
}
