/* world.h - a small world around the flights: one CA, its responders, a store, and a
 * clock that moves only when it is told to.
 *
 * The real flights, schedule, upstream source, admission, latches and hot table run on a
 * real event loop; fetch.h, store.h and executor.h are replaced at link time
 * (tests/lib/fake_*.c), and clock_gettime too, so that hours pass in milliseconds, for
 * libevent as for us. One world at a time; what is wrong in the world itself ends the
 * test program.
 */
#ifndef TESTS_LIB_WORLD_H
#define TESTS_LIB_WORLD_H

#include "proxy/keeper/keeper_parts.h"

#define WORLD_START  INT64_C(1750000000) /* wall clock, s: 2025-06-15 */
#define WORLD_FIRST  "http://first.example/"
#define WORLD_SECOND "http://second.example/"

/* global: further global options, issuer: further options of the issuer; both may be "".
 */
void world_begin(const char *global, const char *issuer);
void world_end(void);
void world_reload(const char *global, const char *issuer);
void world_elapse(int64_t ms); /* time passes, and what is due happens */

extern struct flights *world_flights;
extern struct shared world_shared;
extern struct forwards *world_forwards;
extern struct refreshes *world_refreshes;
extern struct latches *world_latches;
extern struct schedule *world_schedule;
const struct issuer *world_issuer(void);
const struct keeper_parts *world_parts(void);
void world_serial(unsigned number, struct serial *s);
void world_key(unsigned serial, enum certid_hash h, struct key *k);

/* A client's question and what became of it. */
struct world_asked {
	struct ask ask;
	int answers; /* how often it was answered: must become 1 */
	enum err error;
	enum tier tier;
	enum status status;
	int64_t obtained_at;
	int64_t this_update;
	size_t body_n;
	uint8_t body[4096];
};
struct world_asked *world_ask(unsigned serial, enum certid_hash h);
struct world_asked *world_ask_cached(
    unsigned serial, enum certid_hash h); /* only-if-cached */
struct world_asked *world_ask_anew(unsigned serial, enum certid_hash h); /* no-cache */

struct world_asked *world_ask_nonce(unsigned serial, enum certid_hash h); /* 16 octets */

/* What the CA signs; times in seconds from now. */
struct world_says {
	unsigned serial;
	enum certid_hash hash;
	enum status status;
	int reason; /* 0: none; REASON_CERTIFICATE_HOLD or another: of a revocation */
	int64_t from, to;
	bool forged;      /* signature broken */
	bool delegated;   /* by a delegate, whose certificate it carries */
	enum status also; /* a second SingleResponse for the same certificate */
};
struct bytes world_sign(const struct world_says *s); /* until world_end */

/* tests/lib/fake_fetch.c: fetches that wait for their answer, oldest first. */
size_t fake_fetches(void); /* since the world began */
size_t fake_fetches_waiting(void);
const char *fake_fetch_url(size_t i); /* of the waiting ones */
void fake_fetch_answer(size_t i, int http_status, struct bytes body);
void fake_fetch_fail(size_t i, enum err e);
/* Of a waiting one: a header of it, NULL for none. */
const char *fake_fetch_if_none_match(size_t i);
const char *fake_fetch_if_modified_since(size_t i);
bool fake_fetch_learnt(size_t i); /* its URL is a stranger's word */
struct fake_reply {
	int status;
	struct bytes body; /* goes to the sink where there is one */
	const char *etag, *last_modified, *date, *retry_after;
};
void fake_fetch_reply(size_t i, const struct fake_reply *reply);
void fake_fetch_reset(void);

/* tests/lib/fake_store.c: a store in memory that does as it is told. */
extern struct fake_store {
	bool down;                  /* every call fails */
	bool shared;                /* leases count */
	enum lease lease;           /* what store_lease says, when shared */
	bool silent;                /* reads get no answer until fake_store_speak() */
	void (*before_lease)(void); /* what others do just then */
	unsigned gets, puts, forced, deletes, leases, releases, failed_marks;
} fake_store;
void fake_store_put(const struct key *k, struct bytes value); /* as somebody else would */
bool fake_store_get(const struct key *k, struct bytes *value);
void fake_store_drop(const struct key *k);
void fake_store_speak(void);
void fake_store_reset(void);

/* tests/lib/fake_feed.c: the one list of the issuer, and what was told. */
struct fake_entry {
	unsigned serial;
	int reason; /* 0: none */
};
/* Put a list in force; times in seconds from now. */
void fake_list(int64_t from, int64_t to, const struct fake_entry *e, size_t n);
/* None is in force: it has not been opened, or there is none. */
void fake_list_unopened(void);
void fake_list_absent(void);
void fake_lists_opened(void); /* who waits is told so */
extern struct fake_told {
	size_t n;
	struct single_change change[64]; /* what it points to may be gone */
	bool latch[64], untold[64];      /* there was one; it was marked */
} fake_told;
void fake_feed_reset(void); /* no list, nothing told */

/* tests/lib/fake_disk.c: jobs are done at once, but while they are held. */
void fake_disk_hold(bool hold); /* false: what was held is done, too */
bool fake_disk_step(void);      /* do the next; false: there is none */

/* tests/lib/fake_time.c */
void fake_time_set(int64_t now_ms, int64_t mono_ms);

#endif
