/* What stands in a shared store for a watchlist, with a good MAC, so that what is behind
 * it is reached: a head (first octet 3 n), a chunk (3 n + 1), or a piece of what clients
 * asked for (3 n + 2).  It is refused, or all of it can be read, inside its bounds; and a
 * head or a piece that is read is one that we write in just these octets. */
#include "cache/watch/watch_asked.h"

#include <stdlib.h>

#include "cache/watch/watch_chunk.h"
#include "cache/watch/watch_record.h"

#define MUST(x)                                                                          \
	do {                                                                             \
		if (!(x))                                                                \
			abort();                                                         \
	} while (0)

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

static const uint8_t key[1][MAC_KEY_SIZE] = {{1}};
static const uint8_t revision[WATCH_REVISION_N];
static struct mac_keys *keys;

static bool on_entry(void *arg, const struct watch_draft_ca *ca, const struct serial *s,
    struct bytes row, enum err *e)
{
	const struct bytes *value = arg;
	struct watch_record r;

	MUST(row.p > value->p && row.p + row.n <= value->p + value->n);
	MUST(watch_record_decode(&r, row) == ERR_OK);
	MUST(s->n >= 1 && s->n <= SERIAL_MAX && ca->aki_n <= WATCH_AKI_MAX);
	MUST(strlen(ca->dn) <= WATCH_DN_MAX);
	MUST(ca->aki_n > 0 || ca->issuer[0] != '\0' || ca->dn[0] != '\0');
	*e = ERR_OK;
	return true;
}

static void chunk(struct bytes value)
{
	struct watch_chunk_place place = {"web", revision, 0};
	enum err e = watch_chunk_decode(value, &place, keys, on_entry, &value);

	MUST(e == ERR_OK || e == ERR_RECORD);
}

static void head(struct bytes value)
{
	uint8_t again[WATCH_STORED_N];
	struct watch_stored s;
	enum err e = watch_stored_decode(&s, "web", keys, value);

	MUST(e == ERR_OK || e == ERR_RECORD);
	if (e != ERR_OK)
		return;
	MUST(watch_stored_encode(&s, "web", keys, again));
	MUST(value.n == sizeof again && memcmp(again, value.p, sizeof again) == 0);
}

static void piece(struct bytes value)
{
	static struct watch_asked rows[WATCH_ASKED_ROWS];
	static uint8_t again[WATCH_ASKED_MAX];
	size_t n;
	enum err e = watch_asked_decode(value, keys, rows, &n);

	MUST(e == ERR_OK || e == ERR_RECORD);
	if (e != ERR_OK)
		return;
	MUST(watch_asked_encode(rows, n, keys, again) == value.n);
	MUST(memcmp(again, value.p, value.n) == 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	static const struct {
		const char *name;
		void (*read)(struct bytes value);
	} kinds[] = {{"head:web", head},
	    {"chunk:web:00000000000000000000000000000000:0", chunk}, {"asked", piece}};
	const char *name;
	unsigned kind;
	uint8_t *value;

	if (n == 0)
		return 0;
	if (keys == NULL)
		keys = mac_keys_new(key, 1);
	kind = data[0] % 3;
	name = kinds[kind].name;
	value = malloc(n - 1 + MAC_SIZE);
	MUST(keys != NULL && value != NULL);
	memcpy(value, data + 1, n - 1);
	MUST(mac_make(
	    keys, bytes_of(name, strlen(name)), bytes_of(value, n - 1), value + n - 1));
	kinds[kind].read(bytes_of(value, n - 1 + MAC_SIZE));
	free(value);
	return 0;
}
