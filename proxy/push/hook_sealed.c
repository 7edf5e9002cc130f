/* hook_sealed.c - a version, what is sealed; what is said, its MAC. */
#include "proxy/push/hook_sealed.h"

#include <openssl/crypto.h>
#include <stdio.h>

#define VERSION 0x01

static struct bytes label(
    const char *what, const char *name, char out[8 + WEBHOOK_NAME_MAX])
{
	int n = snprintf(out, 8 + WEBHOOK_NAME_MAX, "%s:%s", what, name);

	return bytes_of(out, (size_t)n);
}

size_t hook_sealed_make(
    const struct hook_seals *k, const struct webhook *w, uint8_t out[HOOK_SEALED_N])
{
	uint8_t plain[WEBHOOK_BINARY_MAX];
	size_t n = webhook_encode(w, plain);
	char name[8 + WEBHOOK_NAME_MAX];
	bool ok;

	out[0] = VERSION;
	ok = seal_close(
	    k->seals, label("hook", w->name, name), bytes_of(plain, n), out + 1);
	OPENSSL_cleanse(plain, sizeof plain);
	return ok ? 1 + n + SEAL_OVERHEAD : 0;
}

enum err hook_sealed_open(const struct hook_seals *k, const char *name,
    struct bytes value, struct webhook **out)
{
	uint8_t plain[WEBHOOK_BINARY_MAX];
	char place[8 + WEBHOOK_NAME_MAX];
	enum err e;
	size_t n;

	*out = NULL;
	if (value.n < 1 || value.n > HOOK_SEALED_N || value.p[0] != VERSION)
		return ERR_RECORD;
	e = seal_open(k->seals, label("hook", name, place),
	    bytes_of(value.p + 1, value.n - 1), plain, &n);
	if (e == ERR_OK)
		e = webhook_decode(out, name, bytes_of(plain, n));
	OPENSSL_cleanse(plain, sizeof plain);
	return e;
}

/* The MAC behind n octets of p, which has room for it. */
static bool add_mac(
    const struct hook_seals *k, const char *what, const char *name, uint8_t *p, size_t n)
{
	char place[8 + WEBHOOK_NAME_MAX];

	return mac_make(k->macs, label(what, name, place), bytes_of(p, n), p + n);
}

static bool has_mac(
    const struct hook_seals *k, const char *what, const char *name, struct bytes v)
{
	char place[8 + WEBHOOK_NAME_MAX];

	return v.n > MAC_SIZE && mac_is_good(k->macs, label(what, name, place),
				     bytes_of(v.p, v.n - MAC_SIZE), v.p + v.n - MAC_SIZE);
}

bool hook_saved_open(const struct hook_seals *k, const char *name, struct bytes v,
    struct webhook_state *out)
{
	return has_mac(k, "state", name, v) &&
	       webhook_state_decode(out, bytes_of(v.p, v.n - MAC_SIZE)) == ERR_OK;
}

size_t hook_saved_make(const struct hook_seals *k, const char *name,
    const struct webhook_state *state, uint8_t out[HOOK_SAVED_N])
{
	size_t n = webhook_state_encode(state, out);

	return add_mac(k, "state", name, out, n) ? n + MAC_SIZE : 0;
}

bool hook_tomb_make(
    const struct hook_seals *k, const char *name, int64_t at, uint8_t out[HOOK_TOMB_N])
{
	out[0] = VERSION;
	put_be(out + 1, (uint64_t)at, 8);
	return add_mac(k, "gone", name, out, 1 + 8);
}

bool hook_tomb_is_good(const struct hook_seals *k, const char *name, struct bytes v)
{
	return v.n == HOOK_TOMB_N && v.p[0] == VERSION && has_mac(k, "gone", name, v);
}

int64_t hook_tomb_at(struct bytes v)
{
	return v.n == HOOK_TOMB_N ? (int64_t)get_be(v.p + 1, 8) : INT64_MAX;
}

bool hook_seals_init(struct hook_seals *k, const struct mac_keys *keys)
{
	k->seals = seal_keys_new(keys, "ocspcached webhooks 1");
	k->macs = mac_keys_derive(keys, "ocspcached webhooks state 1");
	return k->seals != NULL && k->macs != NULL;
}

void hook_seals_clear(struct hook_seals *k)
{
	seal_keys_free(k->seals);
	mac_keys_free(k->macs);
}
