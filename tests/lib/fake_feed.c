/* fake_feed.c - crl_feed.h and teller.h as far as answers need them: a test puts a list
 * in force, and what is told is kept.
 *
 * The functions are weak, so that a scenario that brings the real modules gets those. */
#include "proxy/lists/crl_feed.h"

#include "proxy/base/clock.h"
#include "proxy/tell/teller.h"
#include "tests/lib/small_set.h"
#include "tests/lib/world.h"

struct fake_told fake_told;
static struct crl_slot slot;
static uint64_t generation;
static struct crl_wait *waits[16];
static size_t waits_n;

static void need(bool ok)
{
	if (!ok)
		abort();
}

__attribute__((weak)) struct crl_slot *crl_feed_slot(
    struct crl_feed *f, const char *issuer)
{
	(void)f, (void)issuer;
	return &slot;
}

__attribute__((weak)) const struct crl_set *crl_feed_set(
    struct crl_feed *f, const char *issuer)
{
	(void)f, (void)issuer;
	return atomic_load(&slot.set);
}

__attribute__((weak)) bool crl_feed_wait(
    struct crl_feed *f, const char *issuer, struct crl_wait *w, int ms)
{
	(void)f, (void)issuer, (void)ms;
	if (!atomic_load(&slot.set)->unopened)
		return false;
	need(waits_n < sizeof waits / sizeof waits[0]);
	w->_list = (struct crl_waits *)&slot;
	waits[waits_n++] = w;
	return true;
}

__attribute__((weak)) size_t crl_feed_waiting(
    const struct crl_feed *f, const char *issuer)
{
	(void)f, (void)issuer;
	return waits_n;
}

__attribute__((weak)) void crl_feed_wait_end(struct crl_wait *w)
{
	for (size_t i = 0; i < waits_n; i++)
		if (waits[i] == w)
			waits[i] = waits[--waits_n];
	w->_list = NULL;
}

__attribute__((weak)) void teller_single(struct teller *t, const struct single_change *c)
{
	(void)t;
	need(fake_told.n < sizeof fake_told.change / sizeof fake_told.change[0]);
	fake_told.latch[fake_told.n] = c->latch != NULL;
	fake_told.untold[fake_told.n] = c->latch != NULL && c->latch->untold;
	fake_told.change[fake_told.n++] = *c;
}

static void put_in_force(const struct crl_set *s)
{
	crl_set_unref(atomic_exchange(&slot.set, s)); /* nobody reads it in between */
}

void fake_list(int64_t from, int64_t to, const struct fake_entry *e, size_t n)
{
	struct small_entry entry[16];
	int64_t now = clock_now();

	need(n <= sizeof entry / sizeof entry[0]);
	for (size_t i = 0; i < n; i++) {
		world_serial(e[i].serial, &entry[i].serial);
		entry[i].reason = e[i].reason == 0 ? REASON_NONE : e[i].reason;
		entry[i].at = now - 60;
	}
	put_in_force(small_set(entry, n, now + from, now + to, ++generation));
}

void fake_list_unopened(void)
{
	put_in_force(crl_set_ref(&crl_set_unopened));
}

void fake_list_absent(void)
{
	put_in_force(crl_set_ref(&crl_set_none));
}

void fake_lists_opened(void)
{
	while (waits_n > 0) {
		struct crl_wait *w = waits[0];

		crl_feed_wait_end(w);
		w->done(w, ERR_OK);
	}
}

void fake_feed_reset(void)
{
	put_in_force(crl_set_ref(&crl_set_none));
	need(waits_n == 0);
	fake_told = (struct fake_told){0};
}
