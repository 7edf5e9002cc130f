/* watch_stored.c - a head, all integers big endian:
 *
 *   offset  bytes
 *        0      1  version, 0x01
 *        1      1  kind: 1 a list of the API, 2 a part of one from files, 3 deleted
 *        2      8  number: counts the changes
 *       10     16  revision, random
 *       26      8  when it was written, a part last seen, a list deleted: seconds since
 * 1970 34      4  chunks of the revision 38      8  certificates 46     16  id of the
 * node that wrote it 62     32  MAC: of the name "head:FIELD" and all before it
 */
#include "cache/watch/watch_stored.h"

#include <assert.h>
#include <stdio.h>

#include "cache/base/name.h"

#define VERSION 0x01
#define BODY_N  (WATCH_STORED_N - MAC_SIZE)

struct mac_keys *watch_stored_keys(const struct mac_keys *keys)
{
	return mac_keys_derive(keys, "ocspcached watchlists 1");
}

void watch_field_put(char field[WATCH_FIELD_MAX], const char *name, const uint8_t *node)
{
	size_t n = (size_t)snprintf(field, WATCH_FIELD_MAX, "%s", name);

	assert(n > 0 && n < WATCH_NAME_MAX);
	if (node == NULL)
		return;
	field[n] = '/';
	hex_encode(node, WATCH_NODE_N, field + n + 1);
}

bool watch_field_read(
    struct bytes field, char name[WATCH_NAME_MAX], uint8_t node[WATCH_NODE_N], bool *part)
{
	const uint8_t *slash = field.n > 0 ? memchr(field.p, '/', field.n) : NULL;
	size_t n = slash != NULL ? (size_t)(slash - field.p) : field.n;
	char again[2 * WATCH_NODE_N + 1];

	size_t key = n > 0 && field.p[0] == '!'; /* of an incident */

	if (!name_is_plain(bytes_of(field.p + key, n - key)) || (key && slash != NULL))
		return false;
	memcpy(name, field.p, n);
	name[n] = '\0';
	*part = slash != NULL;
	if (!*part)
		return true;
	if (field.n - n - 1 != 2 * WATCH_NODE_N ||
	    !hex_decode((const char *)slash + 1, WATCH_NODE_N, node))
		return false;
	hex_encode(node, WATCH_NODE_N, again); /* capital letters are not ours */
	return memcmp(again, slash + 1, 2 * WATCH_NODE_N) == 0;
}

static struct bytes mac_name(const char *field, char name[8 + WATCH_FIELD_MAX])
{
	int n = snprintf(name, 8 + WATCH_FIELD_MAX, "head:%s", field);

	return bytes_of(name, (size_t)n);
}

bool watch_stored_encode(const struct watch_stored *s, const char *field,
    const struct mac_keys *keys, uint8_t out[WATCH_STORED_N])
{
	char name[8 + WATCH_FIELD_MAX];
	uint8_t *p = out;

	*p++ = VERSION;
	*p++ = (uint8_t)s->kind;
	p = put_be(p, s->mark.number, 8);
	memcpy(p, s->mark.revision, WATCH_REVISION_N);
	p = put_be(p + WATCH_REVISION_N, (uint64_t)s->at, 8);
	p = put_be(p, s->chunks, 4);
	p = put_be(p, s->certificates, 8);
	memcpy(p, s->node, WATCH_NODE_N);
	return mac_make(
	    keys, mac_name(field, name), bytes_of(out, BODY_N), p + WATCH_NODE_N);
}

static void read_body(struct watch_stored *s, const uint8_t *p)
{
	s->kind = (enum watch_stored_kind)p[1];
	s->mark.number = get_be(p + 2, 8);
	memcpy(s->mark.revision, p + 10, WATCH_REVISION_N);
	s->at = (int64_t)get_be(p + 26, 8);
	s->chunks = (uint32_t)get_be(p + 34, 4);
	s->certificates = get_be(p + 38, 8);
	memcpy(s->node, p + 46, WATCH_NODE_N);
}

/* A list is one where a part cannot be, and the other way round; what is gone has no
 * chunks. */
static bool fits(const struct watch_stored *s, const char *field)
{
	bool part = strchr(field, '/') != NULL;

	return (s->kind == STORED_GONE && s->chunks == 0 && s->certificates == 0) ||
	       (s->kind == STORED_LIST && !part) || (s->kind == STORED_PART && part);
}

enum err watch_stored_decode(struct watch_stored *s, const char *field,
    const struct mac_keys *keys, struct bytes value)
{
	char name[8 + WATCH_FIELD_MAX];

	*s = (struct watch_stored){0};
	if (value.n != WATCH_STORED_N || value.p[0] != VERSION)
		return ERR_RECORD;
	read_body(s, value.p);
	if (!fits(s, field) || s->certificates > UINT32_MAX)
		return ERR_RECORD;
	return mac_is_good(keys, mac_name(field, name), bytes_of(value.p, BODY_N),
		   value.p + BODY_N)
		   ? ERR_OK
		   : ERR_RECORD_KEY;
}
