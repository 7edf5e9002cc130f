/* fake_store.c - store.h in memory: values are kept as records, and calls can be made to
 * fail. */
#include "cache/store/store.h"

#include <stdlib.h>

#include "tests/lib/world.h"

#define VALUES_MAX 1024

static struct {
	struct key key;
	uint8_t *value;
	size_t n;
} values[VALUES_MAX];
static size_t values_n;

static struct {
	struct key key;
	store_got_fn *done;
	void *arg;
} unanswered[VALUES_MAX];
static size_t unanswered_n;

struct fake_store fake_store;

static size_t find(const struct key *k)
{
	size_t i = 0;

	while (i < values_n && !key_equal(&values[i].key, k))
		i++;
	return i;
}

void fake_store_put(const struct key *k, struct bytes value)
{
	size_t i = find(k);

	if (i == VALUES_MAX)
		abort();
	if (i == values_n)
		values_n++;
	else
		free(values[i].value);
	values[i].key = *k;
	values[i].n = value.n;
	values[i].value = malloc(value.n + 1);
	memcpy(values[i].value, value.p, value.n);
}

bool fake_store_get(const struct key *k, struct bytes *value)
{
	size_t i = find(k);

	if (i == values_n)
		return false;
	*value = bytes_of(values[i].value, values[i].n);
	return true;
}

void fake_store_drop(const struct key *k)
{
	size_t i = find(k);

	if (i == values_n)
		return;
	free(values[i].value);
	values[i] = values[--values_n];
}

void fake_store_speak(void)
{
	size_t n = unanswered_n;

	unanswered_n = 0;
	for (size_t i = 0; i < n; i++) {
		struct bytes value = {NULL, 0};
		bool found = fake_store_get(&unanswered[i].key, &value);

		unanswered[i].done(
		    unanswered[i].arg, found ? ERR_OK : ERR_NOT_FOUND, value);
	}
}

void fake_store_reset(void)
{
	while (values_n > 0)
		free(values[--values_n].value);
	unanswered_n = 0;
	memset(&fake_store, 0, sizeof fake_store);
}

void store_get(struct store *s, const struct key *k, store_got_fn *done, void *arg)
{
	struct bytes value;

	(void)s;
	fake_store.gets++;
	if (fake_store.silent && unanswered_n < VALUES_MAX) {
		unanswered[unanswered_n].key = *k;
		unanswered[unanswered_n].done = done;
		unanswered[unanswered_n++].arg = arg;
	} else if (fake_store.down) {
		done(arg, ERR_STORE, bytes_of(NULL, 0));
	} else if (fake_store_get(k, &value)) {
		done(arg, ERR_OK, value);
	} else {
		done(arg, ERR_NOT_FOUND, bytes_of(NULL, 0));
	}
}

void store_put(struct store *s, const struct key *k, const struct facts *f,
    struct bytes der, bool force, store_done_fn *done, void *arg)
{
	uint8_t *value = malloc(der.n + RECORD_OVERHEAD);
	size_t n = record_encode(value, k, f, der, NULL);

	(void)s;
	if (!fake_store.down)
		fake_store_put(k, bytes_of(value, n));
	free(value);
	fake_store.puts++;
	fake_store.forced += force;
	if (done != NULL)
		done(arg, fake_store.down ? ERR_STORE : ERR_OK);
}

void store_delete(struct store *s, const struct key *k, store_done_fn *done, void *arg)
{
	(void)s;
	if (!fake_store.down)
		fake_store_drop(k);
	fake_store.deletes++;
	if (done != NULL)
		done(arg, fake_store.down ? ERR_STORE : ERR_OK);
}

struct store_seen store_seen_of(struct bytes value)
{
	struct store_seen seen = {.n = (uint8_t)(value.n < 17 ? value.n : 17)};

	memcpy(seen.octets, value.n > 0 ? value.p : seen.octets, seen.n);
	return seen;
}

static bool is_what_was_seen(const struct key *k, const struct store_seen *seen)
{
	struct bytes value = {NULL, 0};
	struct store_seen now;

	fake_store_get(k, &value);
	now = store_seen_of(value);
	return bytes_equal(bytes_of(now.octets, now.n), bytes_of(seen->octets, seen->n));
}

void store_lease(struct store *s, const struct key *k, const struct store_seen *seen,
    int lease_ms, store_lease_fn *done, void *arg)
{
	enum lease l = fake_store.lease;

	(void)s, (void)lease_ms;
	fake_store.leases++;
	if (fake_store.before_lease != NULL)
		fake_store.before_lease();
	if (!fake_store.shared || fake_store.down)
		l = LEASE_ALONE;
	else if (seen != NULL && !is_what_was_seen(k, seen))
		l = LEASE_CHANGED;
	done(arg, l, 1000);
}

void store_release(struct store *s, const struct key *k, int failed_ms)
{
	(void)s, (void)k;
	fake_store.releases++;
	fake_store.failed_marks += failed_ms > 0;
}
