#include "cache/store/store.h"

#include <errno.h>
#include <event2/event.h>
#include <hiredis/hiredis.h>
#include <limits.h>
#include <netinet/in.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "cache/redis/redis_link.h"
#include "cache/redis/redis_url.h"
#include "tests/lib/child.h"
#include "tests/lib/real_redis.h"
#include "tests/lib/store_kit.h"

#define THIS    INT64_C(1700000000)
#define NEXT    INT64_C(4000000000) /* Redis judges by the real clock */
#define MAX     65536
#define TIMEOUT 3000 /* of commands; a busy machine is no fault */
#define SHORT   300  /* where the timeout is what is tested */

static struct event_base *base;
static char *dir;
static char url[4400];
static struct store *store, *other; /* two nodes */
static struct store_config config;
static pid_t fake;

/* What the hooks told. */
static int ups, downs, all_changes, changes, evicts, settles;
static struct key changed_key;
static char events[4096];

static void on_event(void *arg, bool warn, const char *event, const char *text)
{
	size_t n = strlen(events);

	(void)arg;
	/* all but what is well again */
	assert_int_equal(
	    warn, strcmp(event, "store_up") != 0 && strcmp(event, "store_well") != 0);
	ups += strcmp(event, "store_up") == 0;
	downs += strcmp(event, "store_down") == 0;
	evicts += strcmp(event, "store_evicts") == 0;
	snprintf(events + n, sizeof events - n, "%s %s\n", event, text);
}

static void on_changed(void *arg, const struct key *k)
{
	(void)arg;
	changes++;
	changed_key = *k;
}

static void on_settled(void *arg)
{
	(void)arg;
	settles++;
}

static void on_all_changed(void *arg)
{
	(void)arg;
	all_changes++;
}

/* Turn the loop until *what reaches at_least, for ms at most. */
static bool wait_for(const int *what, int at_least, int ms)
{
	for (int t = 0; t < ms && *what < at_least; t++) {
		event_base_loop(base, EVLOOP_NONBLOCK);
		usleep(1000);
	}
	return *what >= at_least;
}

static void turn(int ms)
{
	static const int never = 0;

	wait_for(&never, 1, ms);
}

/* The real server. */

static void start_redis(const char *const extra[])
{
	assert_true(real_redis_start(dir, extra));
}

static redisContext *direct(void)
{
	char path[4300];
	redisContext *c;

	snprintf(path, sizeof path, "%s/redis", dir);
	c = redisConnectUnix(path);
	assert_non_null(c);
	assert_int_equal(c->err, 0);
	return c;
}

/* One command by the shortest way; returns an integer reply, or 0. */
static long long command(const char *format, ...)
{
	redisContext *c = direct();
	redisReply *r;
	long long v;
	va_list ap;

	va_start(ap, format);
	r = redisvCommand(c, format, ap);
	va_end(ap);
	assert_non_null(r);
	v = r->type == REDIS_REPLY_INTEGER ? r->integer : 0;
	freeReplyObject(r);
	redisFree(c);
	return v;
}

static struct store *open_node(void)
{
	struct store *s;
	char why[256];

	assert_int_equal(store_open(&s, &config, why, sizeof why), ERR_OK);
	return s;
}

static int setup(void **state)
{
	(void)state;
	dir = kit_directory();
	base = event_base_new();
	snprintf(url, sizeof url, "redis+unix://%s/redis", dir);
	config = (struct store_config){.url = url,
	    .prefix = "t[e]st*:",
	    .timeout_ms = TIMEOUT,
	    .connect_timeout_ms = TIMEOUT,
	    .backoff_max_ms = 400,
	    .max_value = MAX,
	    .base = base,
	    .hooks = {.event = on_event,
		.changed = on_changed,
		.all_changed = on_all_changed,
		.settled = on_settled}};
	ups = downs = all_changes = changes = evicts = settles = 0;
	events[0] = '\0';
	return 0;
}

static void stop_fake(void)
{
	if (fake <= 0)
		return;
	kill(-fake, SIGKILL);
	waitpid(fake, NULL, 0);
	fake = 0;
}

static int teardown(void **state)
{
	(void)state;
	stop_fake();
	store_close(store);
	store_close(other);
	store = other = NULL;
	real_redis_stop();
	event_base_free(base);
	kit_remove(dir);
	return 0;
}

/* A server and a node that is connected and hears of changes. */
static void start(void)
{
	if (!real_redis_is_installed())
		skip();
	start_redis(NULL);
	store = open_node();
	assert_true(wait_for(&all_changes, 1, 3000));
	assert_int_equal(ups, 1);
}

static void start_two(void)
{
	start();
	other = open_node();
	assert_true(wait_for(&all_changes, 2, 3000));
	changes = 0;
}

/* Results. */

static struct {
	int calls;
	enum err e;
	char der[MAX];
	size_t n;
} got;
static int done_calls;
static enum err done_e;
static int lease_calls;
static enum lease lease_is;
static int64_t lease_ms;

static void on_got(void *arg, enum err e, struct bytes value)
{
	struct record r;

	got.calls++;
	got.e = e;
	got.n = 0;
	if (e == ERR_OK && arg != NULL) {
		assert_int_equal(record_decode(&r, value, arg, NULL), ERR_OK);
		memcpy(got.der, r.der.p, r.der.n);
		got.n = r.der.n;
	}
}

static void on_done(void *arg, enum err e)
{
	(void)arg;
	done_calls++;
	done_e = e;
}

static void on_lease(void *arg, enum lease l, int64_t retry_ms)
{
	(void)arg;
	lease_calls++;
	lease_is = l;
	lease_ms = retry_ms;
}

static struct key one(uint32_t n)
{
	return kit_key(1, CERTID_SHA1, n);
}

static enum err get(struct store *s, struct key k)
{
	int calls = got.calls + 1;

	store_get(s, &k, on_got, &k);
	assert_true(wait_for(&got.calls, calls, 5000));
	assert_int_equal(got.calls, calls);
	return got.e;
}

static void expect(struct store *s, struct key k, const char *text)
{
	assert_int_equal(get(s, k), text != NULL ? ERR_OK : ERR_NOT_FOUND);
	if (text != NULL) {
		assert_int_equal(got.n, 2 + strlen(text));
		assert_memory_equal(got.der + 2, text, strlen(text));
	}
}

static enum err put_at(struct store *s, struct key k, int64_t this_update, int64_t next,
    const char *text, bool force)
{
	uint8_t der[130] = {0x30, (uint8_t)strlen(text)};
	struct facts f = kit_facts(this_update, next);
	int calls = done_calls + 1;

	memcpy(der + 2, text, strlen(text));
	store_put(s, &k, &f, bytes_of(der, 2 + strlen(text)), force, on_done, NULL);
	assert_true(wait_for(&done_calls, calls, 5000));
	assert_int_equal(done_calls, calls);
	return done_e;
}

static enum err put(
    struct store *s, struct key k, int64_t this_update, const char *text, bool force)
{
	return put_at(s, k, this_update, NEXT, text, force);
}

static enum lease lease_seen(
    struct store *s, struct key k, const struct store_seen *seen, int ms)
{
	int calls = lease_calls + 1;

	store_lease(s, &k, seen, ms, on_lease, NULL);
	assert_true(wait_for(&lease_calls, calls, 5000));
	assert_int_equal(lease_calls, calls);
	return lease_is;
}

static enum lease lease(struct store *s, struct key k, int ms)
{
	return lease_seen(s, k, NULL, ms);
}

static const char *name_of(char kind, struct key k)
{
	static char name[64 + KEY_NAME_MAX];
	int n = snprintf(name, sizeof name, "%s%c:{", config.prefix, kind);

	strcpy(name + n + key_name(&k, name + n), "}");
	return name;
}

/* With a real server. */

static void an_answer_of_one_node_is_found_by_the_other(void **state)
{
	struct store_health h;

	(void)state;
	start_two();
	expect(store, one(1), NULL);
	assert_int_equal(put(store, one(1), THIS, "first", false), ERR_OK);
	expect(other, one(1), "first");
	expect(other, kit_key(2, CERTID_SHA1, 1), NULL);
	expect(other, kit_key(1, CERTID_SHA256, 1), NULL);
	store_health(store, &h);
	assert_string_equal(h.kind, "redis");
	assert_true(h.up && h.shared);
	assert_string_equal(h.error, "");
}

/* R68 */
static void an_older_answer_replaces_a_newer_one_only_by_force(void **state)
{
	(void)state;
	start();
	put(store, one(1), THIS, "new", false);
	assert_int_equal(put(store, one(1), THIS - 1, "old", false), ERR_OK);
	expect(store, one(1), "new");
	put(store, one(1), THIS + 255, "newer", false);
	expect(store, one(1), "newer");
	/* Octets over 127 and a carry: not as strings of some locale. */
	put(store, one(1), THIS + 256, "carry", false);
	expect(store, one(1), "carry");
	put(store, one(1), THIS + 255, "old", false);
	expect(store, one(1), "carry");
	put(store, one(1), THIS - 1, "forced", true);
	expect(store, one(1), "forced");
}

static void a_key_lives_until_its_next_update(void **state)
{
	struct facts f = kit_facts(THIS, NEXT);
	struct key k = one(2);
	int calls;

	(void)state;
	start();
	put(store, one(1), THIS, "x", false);
	assert_int_equal(command("EXPIRETIME %s", name_of('a', one(1))), NEXT);
	/* The delegate's certificate ends sooner (R73). */
	f.signer_not_after = NEXT - 1000;
	calls = done_calls + 1;
	store_put(store, &k, &f, bytes_of("\x30\x01x", 3), false, on_done, NULL);
	assert_true(wait_for(&done_calls, calls, 3000));
	assert_int_equal(command("EXPIRETIME %s", name_of('a', k)), NEXT - 1000);
	/* Expired already: not there. */
	put_at(store, one(3), THIS, THIS + 5, "x", false);
	expect(store, one(3), NULL);
}

static void a_node_hears_what_another_wrote_and_what_vanished(void **state)
{
	struct key k = kit_key(3, CERTID_SHA384, 99);
	char bare[KEY_NAME_MAX];

	(void)state;
	start();
	changes = 0;
	command("SET %s x", name_of('a', k));
	assert_true(wait_for(&changes, 1, 3000));
	assert_true(key_equal(&changed_key, &k));
	command("DEL %s", name_of('a', k));
	assert_true(wait_for(&changes, 2, 3000));
	/* Not ours: leases, other prefixes, names that are no key. */
	command("SET %s x", name_of('l', k));
	command("SET elsewhere x");
	command("SET %sa:nonsense x", config.prefix);
	command("SET %sa: x", config.prefix);
	command("SET %sa:{} x", config.prefix);
	command("SET %sa:{nonsense} x", config.prefix);
	key_name(&k, bare); /* as a version before had it, and as nobody does */
	command("SET %sa:%s x", config.prefix, bare);
	command("SET %sa:{%s x", config.prefix, bare);
	command("SET %sa:{%s}} x", config.prefix, bare);
	turn(50);
	assert_int_equal(changes, 2);
	all_changes = 0;
	command("FLUSHALL");
	assert_true(wait_for(&all_changes, 1, 3000));
}

static void deleting_and_purging_take_exactly_what_was_named(void **state)
{
	struct issuer_ca ca[2];
	struct issuer i = {.ca = ca, .ca_n = 2};
	struct key k = one(0);
	char bare[KEY_NAME_MAX];
	int calls;

	(void)state;
	start();
	kit_ca(&ca[0], 1);
	kit_ca(&ca[1], 3);
	for (uint32_t n = 0; n < 200; n++)
		put(store, kit_key(1, (enum certid_hash)(n % 4), n), THIS, "x", false);
	put(store, kit_key(3, CERTID_SHA512, 1), THIS, "x", false);
	put(store, kit_key(2, CERTID_SHA1, 0), THIS, "other", false);
	command("SET test*:a:{sha1:x y"); /* what an unescaped prefix would match */
	command("SET teste:a:%s y", name_of('a', one(0)) + strlen(config.prefix) + 2);
	key_name(&k, bare); /* of a version before, which may still run */
	command("SET %sa:%s y", config.prefix, bare);
	calls = done_calls;
	store_delete(store, &k, on_done, NULL);
	assert_true(wait_for(&done_calls, calls + 1, 3000));
	assert_int_equal(done_e, ERR_OK);
	expect(store, one(0), NULL);
	store_purge(store, &i, on_done, NULL);
	assert_true(wait_for(&done_calls, calls + 2, 5000));
	assert_int_equal(done_e, ERR_OK);
	expect(store, kit_key(2, CERTID_SHA1, 0), "other");
	assert_int_equal(command("DBSIZE"), 4);
}

/* T15 */
static void one_node_at_a_time_has_the_lease(void **state)
{
	struct key k = one(1);

	(void)state;
	start_two();
	assert_int_equal(lease(store, k, 5000), LEASE_YOURS);
	assert_int_equal(lease(other, k, 5000), LEASE_TAKEN);
	assert_true(lease_ms > 0 && lease_ms <= 5000);
	assert_int_equal(lease(other, one(2), 5000), LEASE_YOURS);
	/* Ours again: a reply that was lost must not lock us out of our own lease. */
	assert_int_equal(lease(store, k, 5000), LEASE_YOURS);
	store_release(other, &k, 0); /* not its own: nothing happens */
	assert_int_equal(lease(other, k, 5000), LEASE_TAKEN);
	store_release(store, &k, 0);
	turn(20);
	assert_int_equal(lease(other, k, 5000), LEASE_YOURS);
}

static void on_seen(void *arg, enum err e, struct bytes value)
{
	assert_true(e == ERR_OK || e == ERR_NOT_FOUND);
	*(struct store_seen *)arg = store_seen_of(value);
	got.calls++;
}

static struct store_seen look(struct store *s, struct key k)
{
	int calls = got.calls + 1;
	struct store_seen seen = {0};

	store_get(s, &k, on_seen, &seen);
	assert_true(wait_for(&got.calls, calls, 5000));
	return seen;
}

/* T15: one node has looked and found nothing, the other one fetches, stores and gives its
 * lease back; then the first asks for the lease. */
static void who_looked_before_another_node_stored_gets_no_lease(void **state)
{
	struct key k = one(1);
	struct store_seen nothing, first;

	(void)state;
	start_two();
	nothing = look(store, k);
	assert_int_equal(nothing.n, 0);
	assert_int_equal(lease_seen(other, k, &nothing, 5000), LEASE_YOURS);
	assert_int_equal(lease_seen(store, k, &nothing, 5000), LEASE_TAKEN);
	put(other, k, 1000, "an answer", false);
	store_release(other, &k, 300); /* and a mark would not hide it */
	assert_int_equal(lease_seen(store, k, &nothing, 5000), LEASE_CHANGED);
	first = look(store, k);
	assert_int_equal(first.n, STORE_SEEN_MAX);
	turn(320);
	assert_int_equal(lease_seen(store, k, &first, 5000), LEASE_YOURS);
	put(store, k, 2000, "a newer one", false);
	store_release(store, &k, 0);
	assert_int_equal(lease_seen(other, k, &first, 5000), LEASE_CHANGED);
	assert_int_equal(lease(other, k, 5000), LEASE_YOURS); /* whatever there is */
	/* another type there is nothing that could be seen */
	command("DEL %s", name_of('a', one(2)));
	command("RPUSH %s x", name_of('a', one(2)));
	assert_int_equal(lease_seen(store, one(2), &nothing, 5000), LEASE_YOURS);
}

static void a_lease_ends_by_itself(void **state)
{
	(void)state;
	start_two();
	assert_int_equal(lease(store, one(1), 50), LEASE_YOURS);
	turn(80);
	assert_int_equal(lease(other, one(1), 5000), LEASE_YOURS);
}

static void a_failure_keeps_the_others_from_trying(void **state)
{
	struct key k = one(1);

	(void)state;
	start_two();
	lease(store, k, 5000);
	store_release(store, &k, 300);
	turn(20);
	assert_int_equal(lease(other, k, 5000), LEASE_FAILED);
	assert_true(lease_ms > 0 && lease_ms <= 300);
	turn(320);
	assert_int_equal(lease(other, k, 5000), LEASE_YOURS);
	/* Marks and leases without an end, or with an absurd one, are nobody's of us. */
	command("SET %s 1", name_of('f', one(2)));
	command("SET %s 1", name_of('l', one(2)));
	assert_int_equal(lease(store, one(2), 5000), LEASE_YOURS);
	command("SET %s 1 PX 99999999999", name_of('f', one(3)));
	assert_int_equal(lease(store, one(3), 5000), LEASE_FAILED);
	assert_true(lease_ms <= 60000);
}

/* Prefix, hash and serial of the most octets, the longest wait, what was seen and a MAC:
 * there is room for each call that has them. */
static void the_longest_of_all_has_room(void **state)
{
	static const uint8_t hash[CERTID_HASH_MAX] = {0xff}, secret[1][32] = {{1}};
	static uint8_t der[MAX - RECORD_OVERHEAD] = {0x30};
	struct serial serial = {SERIAL_MAX, {0x7f}};
	struct facts f = kit_facts(THIS, INT64_C(253402300799)); /* 9999 */
	struct store_seen seen = {.n = STORE_SEEN_MAX};
	struct mac_keys *keys = mac_keys_new(secret, 1);
	char prefix[REDIS_PREFIX_MAX + 1] = "";
	struct issuer_ca ca;
	struct issuer i = {.ca = &ca, .ca_n = 1};
	struct key k;
	int calls = done_calls;

	(void)state;
	memset(prefix, '[', REDIS_PREFIX_MAX); /* to be escaped when all are looked for */
	config.prefix = prefix;
	config.keys = keys;
	memset(ca.name_hash, 0xff, sizeof ca.name_hash);
	memset(ca.key_hash, 0xff, sizeof ca.key_hash);
	memcpy(ca.name_hash[CERTID_SHA512], hash, sizeof hash);
	memcpy(ca.key_hash[CERTID_SHA512], hash, sizeof hash);
	key_make(&k, CERTID_SHA512, hash, hash, &serial);
	start();
	assert_int_equal(lease_seen(store, k, &seen, INT_MAX), LEASE_CHANGED);
	assert_int_equal(lease(store, k, INT_MAX), LEASE_YOURS);
	store_put(store, &k, &f, bytes_of(der, sizeof der), true, on_done, NULL);
	assert_true(wait_for(&done_calls, calls + 1, 5000));
	assert_int_equal(done_e, ERR_OK);
	assert_int_equal(get(store, k), ERR_OK);
	store_release(store, &k, INT_MAX);
	turn(20);
	assert_int_equal(lease(store, k, INT_MAX), LEASE_FAILED);
	store_purge(store, &i, on_done, NULL);
	assert_true(wait_for(&done_calls, calls + 2, 5000));
	assert_int_equal(get(store, k), ERR_NOT_FOUND);
	store_delete(store, &k, on_done, NULL);
	assert_true(wait_for(&done_calls, calls + 3, 5000));
	assert_int_equal(done_e, ERR_OK);
	store_close(store);
	store = NULL;
	mac_keys_free(keys);
}

/* T16: whatever lies under our names is a miss, never an error of another kind. */
static void values_of_other_programs_are_misses(void **state)
{
	char big[MAX + 100];

	(void)state;
	start();
	command("LPUSH %s x", name_of('a', one(1)));
	expect(store, one(1), NULL);
	assert_int_equal(put(store, one(1), THIS, "over a list", false), ERR_OK);
	expect(store, one(1), "over a list");
	memset(big, 0, sizeof big);
	big[1] = 0x7f; /* "newer" than anything */
	command("SET %s %b", name_of('a', one(2)), big, sizeof big);
	expect(store, one(2), NULL);
	assert_int_equal(put(store, one(2), THIS, "over the giant", false), ERR_OK);
	expect(store, one(2), "over the giant");
	command("SET %s %b", name_of('a', one(3)), "", (size_t)0);
	expect(store, one(3), NULL);
	command("LPUSH %s x", name_of('l', one(4)));
	command("LPUSH %s x", name_of('f', one(4)));
	assert_int_equal(lease(store, one(4), 1000), LEASE_YOURS);
	assert_int_equal(downs, 0);
}

static void a_bare_value_is_handed_out_as_it_is(void **state)
{
	struct key k = one(1);
	int calls = got.calls + 1;

	(void)state;
	start();
	command("SET %s %s", name_of('a', k), "0\003\n\001\006");
	store_get(store, &k, on_got, NULL);
	assert_true(wait_for(&got.calls, calls, 3000));
	assert_int_equal(got.e, ERR_OK);
}

static void scripts_that_the_server_forgot_are_sent_again(void **state)
{
	(void)state;
	start();
	command("SCRIPT FLUSH");
	assert_int_equal(put(store, one(1), THIS, "x", false), ERR_OK);
	expect(store, one(1), "x");
	command("SCRIPT FLUSH");
	assert_int_equal(lease(store, one(1), 1000), LEASE_YOURS);
}

static void thousands_of_commands_share_the_connection(void **state)
{
	enum { N = 5000 };
	static struct key k[N];
	int calls = got.calls;

	(void)state;
	start();
	put(store, one(7), THIS, "x", false);
	for (uint32_t n = 0; n < N; n++) {
		k[n] = one(n % 10);
		store_get(store, &k[n], on_got, &k[n]);
	}
	assert_true(wait_for(&got.calls, calls + N, 10000));
	assert_int_equal(got.calls, calls + N);
	assert_int_equal(downs, 0);
}

static void a_server_that_comes_back_is_used_again(void **state)
{
	struct store_health h;
	struct key k = one(1);

	(void)state;
	start();
	real_redis_stop();
	assert_true(wait_for(&downs, 1, 3000));
	assert_int_equal(get(store, k), ERR_STORE);
	assert_int_equal(put(store, k, THIS, "x", false), ERR_STORE);
	assert_int_equal(lease(store, k, 1000), LEASE_ALONE);
	store_health(store, &h);
	assert_false(h.up);
	assert_true(h.error[0] != '\0');
	turn(300); /* several refused attempts */
	assert_int_equal(downs, 1);
	all_changes = 0;
	start_redis(NULL);
	assert_true(wait_for(&ups, 2, 3000));
	assert_true(wait_for(&all_changes, 1, 3000));
	assert_int_equal(put(store, k, THIS, "x", false), ERR_OK);
	expect(store, k, "x");
	changes = 0;
	command("SET %s y", name_of('a', k));
	assert_true(wait_for(&changes, 1, 3000)); /* hears again */
	store_health(store, &h);
	assert_int_equal(h.reconnects, 1);
	assert_int_equal(settles, 1); /* whatever came after */
}

static void a_server_that_is_away_at_the_start_is_no_error(void **state)
{
	(void)state;
	if (!real_redis_is_installed())
		skip();
	store = open_node();
	assert_int_equal(settles, 0); /* nobody knows yet */
	assert_true(wait_for(&downs, 1, 3000));
	assert_int_equal(settles, 1);
	assert_int_equal(get(store, one(1)), ERR_STORE);
	start_redis(NULL);
	assert_true(wait_for(&ups, 1, 3000));
	assert_int_equal(settles, 1);
	expect(store, one(1), NULL);
}

/* When the subscriber dies, the other connection is told nothing. */
static void a_lost_subscription_is_made_again_and_everything_compared(void **state)
{
	(void)state;
	start();
	all_changes = changes = 0;
	command("CLIENT KILL TYPE pubsub");
	assert_true(wait_for(&all_changes, 1, 5000));
	assert_non_null(strstr(events, "store_tracking_lost"));
	command("SET %s y", name_of('a', one(1)));
	assert_true(wait_for(&changes, 1, 3000));
	assert_int_equal(downs, 0);
}

static void a_stopped_server_costs_one_timeout_and_each_callback_comes_once(void **state)
{
	enum { N = 20 };
	static struct key k[N];
	int calls = got.calls;

	(void)state;
	config.timeout_ms = SHORT;
	start();
	real_redis_pause(true);
	for (uint32_t n = 0; n < N; n++) {
		k[n] = one(n);
		store_get(store, &k[n], on_got, &k[n]);
	}
	assert_true(wait_for(&got.calls, calls + N, 2000));
	assert_int_equal(got.e, ERR_STORE_TIMEOUT);
	assert_int_equal(downs, 1);
	assert_int_equal(get(store, one(1)), ERR_STORE);
	real_redis_pause(false);
	assert_true(wait_for(&ups, 2, 5000));
	expect(store, one(1), NULL);
	turn(50);
	assert_int_equal(got.calls, calls + N + 2);
}

static void closing_calls_nobody(void **state)
{
	struct key k = one(1);
	struct facts f = kit_facts(THIS, NEXT);
	struct issuer_ca ca;
	struct issuer i = {.ca = &ca, .ca_n = 1};
	int gets, dones, leases;

	(void)state;
	start();
	kit_ca(&ca, 1);
	gets = got.calls, dones = done_calls, leases = lease_calls;
	store_get(store, &k, on_got, &k);
	store_put(store, &k, &f, bytes_of("\x30\x01x", 3), false, on_done, NULL);
	store_lease(store, &k, NULL, 1000, on_lease, NULL);
	store_purge(store, &i, on_done, NULL);
	store_delete(store, &k, on_done, NULL);
	store_close(store);
	store = NULL;
	turn(20);
	assert_int_equal(got.calls, gets);
	assert_int_equal(done_calls, dones);
	assert_int_equal(lease_calls, leases);
}

static void a_password_is_needed_and_used(void **state)
{
	const char *const extra[] = {"--requirepass", "s3:cr/t", NULL};

	(void)state;
	if (!real_redis_is_installed())
		skip();
	start_redis(extra);
	store = open_node();
	assert_true(wait_for(&downs, 1, 3000));
	assert_non_null(strstr(events, "NOAUTH"));
	store_close(store);
	snprintf(url, sizeof url, "redis+unix://:wrong@%s/redis", dir);
	store = open_node();
	assert_true(wait_for(&downs, 2, 3000));
	assert_non_null(strstr(events, "WRONGPASS"));
	assert_null(strstr(events, "wrong@"));
	store_close(store);
	snprintf(url, sizeof url, "redis+unix://:s3%%3Acr%%2ft@%s/redis", dir);
	store = open_node(); /* without a user: AUTH with one word */
	assert_true(wait_for(&ups, 1, 3000));
	store_close(store);
	ups = all_changes = 0;
	snprintf(url, sizeof url, "redis+unix://default:s3%%3Acr%%2ft@%s/redis", dir);
	store = open_node();
	assert_true(wait_for(&ups, 1, 3000));
	assert_true(wait_for(&all_changes, 1, 3000));
	expect(store, one(1), NULL);
}

/* A user who may not ask for CONFIG, CLIENT or SCRIPT still shares answers. */
static void a_user_with_few_rights_still_shares_answers(void **state)
{
	const char *const extra[] = {"--user", "few", "on", ">pw", "~*", "&*", "-@all",
	    "+getrange", "+get", "+set", "+strlen", "+del", "+unlink", "+scan", "+pttl",
	    "+eval", "+evalsha", "+ping", "+auth", NULL};

	(void)state;
	if (!real_redis_is_installed())
		skip();
	config.timeout_ms = SHORT; /* several heartbeats */
	start_redis(extra);
	snprintf(url, sizeof url, "redis+unix://few:pw@%s/redis", dir);
	store = open_node();
	assert_true(wait_for(&ups, 1, 3000));
	assert_int_equal(put(store, one(1), THIS, "x", false), ERR_OK);
	expect(store, one(1), "x");
	turn(2500);
	assert_null(strstr(events, "no reply in time"));
	assert_int_equal(all_changes, 1);
	assert_non_null(strstr(events, "store_tracking_refused"));
}

/* The one that the recipe advises. */
static void recipes_policy(char policy[32])
{
	FILE *f = fopen("conf/recipes/redis-shared.conf", "r");
	char line[200];

	*policy = '\0';
	if (f == NULL) {
		print_message("run this in the root of the repository\n");
		skip();
	}
	while (fgets(line, sizeof line, f) != NULL)
		sscanf(line, "# maxmemory-policy %31s", policy);
	fclose(f);
	assert_true(*policy != '\0');
}

static void a_policy_that_may_evict_anything_is_told(void **state)
{
	const char *const extra[] = {"--maxmemory-policy", "allkeys-lru", NULL};
	char policy[32];

	(void)state;
	if (!real_redis_is_installed())
		skip();
	start_redis(extra);
	store = open_node();
	assert_true(wait_for(&evicts, 1, 3000));
	recipes_policy(policy);
	assert_non_null(strstr(events, policy));
	/* Redis knows it, and it spares keys without a TTL */
	assert_memory_equal(policy, "volatile-", 9);
	snprintf(events, sizeof events, "CONFIG SET maxmemory-policy %s", policy);
	command(events);
}

static struct store_health health(void)
{
	struct store_health h;

	store_health(store, &h);
	return h;
}

static bool wait_well(bool up, int ms)
{
	for (int t = 0; t < ms && health().up != up; t++)
		turn(1);
	return health().up == up;
}

/* P25 */
static void a_full_server_is_an_error_of_the_write_alone(void **state)
{
	(void)state;
	config.timeout_ms = SHORT;
	start();
	assert_int_equal(command("DBSIZE"), 0); /* the trial's key is gone */
	put(store, one(1), THIS, "x", false);
	command("CONFIG SET maxmemory 1");
	assert_int_equal(put(store, one(2), THIS, "y", false), ERR_STORE_FULL);
	expect(store, one(1), "x");
	assert_true(health().refuses && !health().up);
	assert_non_null(strstr(health().error, "OOM command not allowed"));
	assert_non_null(
	    strstr(events, "store_refuses store=redis error=\"OOM command not"));
	assert_non_null(strstr(events, "remedy=\"raise maxmemory"));
	turn(5 * SHORT); /* a heartbeat tries, and is refused */
	assert_true(health().refuses);
	command("CONFIG SET maxmemory 0");
	assert_true(wait_well(true, 5000));
	assert_non_null(strstr(events, "store_well store=redis"));
	assert_int_equal(downs, 0);
	assert_int_equal(command("DBSIZE"), 1);
}

/* A planned failover: the connection stays, and every write is refused. */
static void a_master_that_becomes_a_replica_is_left_and_asked_again(void **state)
{
	(void)state;
	start();
	command("REPLICAOF 127.0.0.1 1");
	assert_int_equal(put(store, one(1), THIS, "x", false), ERR_STORE);
	assert_true(wait_for(&downs, 1, 5000));
	assert_non_null(
	    strstr(events, "store_down store=redis error=\"READONLY You can't "
			   "write against a read only replica."));
	assert_non_null(strstr(events, "remedy=\"let the name of the store lead to the"));
	turn(300); /* it is tried again, and does not count as up */
	assert_int_equal(ups, 1);
	assert_int_equal(downs, 1);
	assert_false(health().up || health().refuses);
	command("REPLICAOF NO ONE");
	assert_true(wait_for(&ups, 2, 5000));
	assert_true(health().up);
	assert_int_equal(put(store, one(1), THIS, "x", false), ERR_OK);
}

/* One that takes writes is what its operator wants. */
static void a_replica_that_takes_none_is_left_by_the_heartbeat_too(void **state)
{
	(void)state;
	config.timeout_ms = SHORT;
	start();
	command("CONFIG SET replica-read-only no");
	command("REPLICAOF 127.0.0.1 1");
	turn(5 * SHORT); /* a heartbeat is four */
	assert_int_equal(put(store, one(1), THIS, "x", false), ERR_OK);
	assert_int_equal(downs, 0);
	command("CONFIG SET replica-read-only yes");
	assert_true(wait_for(&downs, 1, 5000));
	assert_non_null(strstr(events, "error=\"READONLY by INFO replication"));
}

/* Before anything is written: the command is named. */
static void a_right_that_is_missing_is_told_at_once_until_it_is_given(void **state)
{
	const char *const extra[] = {
	    "--user", "few", "on", ">pw", "~*", "&*", "+@all", "-strlen", NULL};

	(void)state;
	if (!real_redis_is_installed())
		skip();
	config.timeout_ms = SHORT;
	start_redis(extra);
	snprintf(url, sizeof url, "redis+unix://few:pw@%s/redis", dir);
	store = open_node();
	assert_true(wait_for(&ups, 1, 3000));
	assert_true(health().refuses);
	assert_non_null(strstr(health().error, "(STRLEN)"));
	assert_string_equal(
	    health().remedy, "give its user the rights that ocspcached(8) lists");
	expect(store, one(1), NULL);
	command("ACL SETUSER few +strlen");
	assert_true(wait_well(true, 5000));
}

static void a_number_in_the_url_selects_the_database(void **state)
{
	static char port[16];
	const char *const extra[] = {"--port", port, "--bind", "127.0.0.1", NULL};
	struct sockaddr_in in = {
	    .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	socklen_t n = sizeof in;
	int fd = socket(AF_INET, SOCK_STREAM, 0);

	(void)state;
	if (!real_redis_is_installed())
		skip();
	assert_int_equal(bind(fd, (struct sockaddr *)&in, sizeof in), 0);
	getsockname(fd, (struct sockaddr *)&in, &n);
	close(fd);
	snprintf(port, sizeof port, "%d", ntohs(in.sin_port));
	start_redis(extra);
	/* A name: localhost may be ::1 first, where nobody listens. */
	snprintf(url, sizeof url, "redis://localhost:%s/3", port);
	store = open_node();
	assert_true(wait_for(&all_changes, 1, 3000));
	put(store, one(1), THIS, "x", false);
	expect(store, one(1), "x");
	assert_int_equal(command("DBSIZE"), 0);
	snprintf(url, sizeof url, "redis://127.0.0.1:%s/3", port);
	other = open_node();
	assert_true(wait_for(&all_changes, 2, 3000));
	expect(other, one(1), "x");
}

/* The hostile server: a child that answers a node's whole greeting properly and what
 * comes then with the bytes of the case. */

static void say(int fd, const char *text, size_t n)
{
	while (n > 0) {
		ssize_t w = send(fd, text, n, MSG_NOSIGNAL);

		if (w <= 0)
			_exit(0);
		text += w;
		n -= (size_t)w;
	}
}

static bool saw(char *buffer, size_t *n, int fd, const char *word)
{
	for (;;) {
		ssize_t r;

		if (memmem(buffer, *n, word, strlen(word)) != NULL)
			return true;
		if (*n > 60000)
			*n = 0;
		r = read(fd, buffer + *n, 65536 - *n);
		if (r <= 0)
			return false;
		*n += (size_t)r;
	}
}

/* One connection of the node: greet, then wait for the word and answer with the bytes,
 * over and over when `endless`, then do nothing or half-close. */
static void fake_connection(
    int fd, const char *bytes, size_t n, bool endless, bool half_close, const char *word)
{
	static const char welcome[] =
	    "+OK\r\n+x\r\n+x\r\n+x\r\n-NOPERM\r\n:1\r\n+PONG\r\n";
	static char buffer[65536];
	size_t have = 0;

	if (!saw(buffer, &have, fd, "SETNAME"))
		_exit(0);
	/* The subscriber sends CLIENT ID and is left in silence. */
	if (!saw(buffer, &have, fd, "PING"))
		_exit(0);
	say(fd, welcome, sizeof welcome - 1);
	have = 0;
	if (!saw(buffer, &have, fd, word))
		_exit(0);
	do
		say(fd, bytes, n);
	while (endless);
	if (half_close)
		shutdown(fd, SHUT_WR);
	while (read(fd, buffer, sizeof buffer) > 0)
		;
	_exit(0);
}

static int listen_fake(void)
{
	struct sockaddr_un un = {.sun_family = AF_UNIX};
	int fd = socket(AF_UNIX, SOCK_STREAM, 0);

	snprintf(un.sun_path, sizeof un.sun_path, "%s/redis", dir);
	unlink(un.sun_path);
	assert_int_equal(bind(fd, (struct sockaddr *)&un, sizeof un), 0);
	assert_int_equal(listen(fd, 64), 0);
	return fd;
}

static void start_fake(
    const char *bytes, size_t n, bool endless, bool half_close, const char *word)
{
	int fd = listen_fake();

	fake = child_fork();
	if (fake == 0) {
		signal(SIGCHLD, SIG_IGN);
		setpgid(0, 0);
		for (;;) {
			int c = accept(fd, NULL, NULL);

			if (c >= 0 && child_fork() == 0)
				fake_connection(c, bytes, n, endless, half_close, word);
			close(c);
		}
	}
	setpgid(fake, fake);
	close(fd);
}

static long resident_kib(void)
{
	long pages = 0, ignored;
	FILE *f = fopen("/proc/self/statm", "r");

	if (f == NULL || fscanf(f, "%ld %ld", &ignored, &pages) != 2)
		pages = 0;
	if (f != NULL)
		fclose(f);
	return pages * (sysconf(_SC_PAGESIZE) / 1024);
}

/* One get against the fake; its result.  It always ends, once, without much memory. */
static enum err fake_get(const char *bytes, size_t n, bool endless, bool half_close)
{
	int calls = got.calls;
	struct key k = one(1);
	long before;

	ups = 0;
	config.timeout_ms = SHORT;
	start_fake(bytes, n, endless, half_close, "GETRANGE");
	store = open_node();
	assert_true(wait_for(&ups, 1, 3000));
	before = resident_kib();
	store_get(store, &k, on_got, NULL);
	assert_true(wait_for(&got.calls, calls + 1, 4000));
	turn(10);
	assert_int_equal(got.calls, calls + 1);
	assert_true(resident_kib() - before < 64 * 1024);
	store_close(store);
	store = NULL;
	stop_fake();
	return got.e;
}

#define FAKE_GET(text) fake_get(text, sizeof text - 1, false, false)

/* T16, hiredis #1357: one header can ask for 34 GB. */
static void headers_of_giants_allocate_nothing(void **state)
{
	(void)state;
	assert_int_equal(FAKE_GET("*4294967295\r\n"), ERR_STORE);
	assert_int_equal(FAKE_GET("*2147483647\r\n"), ERR_STORE);
	assert_int_equal(FAKE_GET("*1000000\r\n"), ERR_STORE);
	assert_int_equal(FAKE_GET("*-7\r\n"), ERR_STORE);
	assert_int_equal(FAKE_GET("$2147483647\r\n"), ERR_STORE_TIMEOUT);
	assert_int_equal(FAKE_GET("$99999999999999999999\r\nx"), ERR_STORE);
	assert_int_equal(FAKE_GET("$-5\r\n"), ERR_STORE);
}

static void nested_arrays_are_counted_as_a_whole(void **state)
{
	(void)state;
	assert_int_equal(FAKE_GET("*60000\r\n*60000\r\n*60000\r\n*60000\r\n"), ERR_STORE);
	assert_int_equal(
	    FAKE_GET("*1\r\n*1\r\n*1\r\n*1\r\n*1\r\n*1\r\n*1\r\n*1\r\n*1\r\n*1\r\n"
		     "*1\r\n"),
	    ERR_STORE);
}

static void replies_of_other_types_are_misses(void **state)
{
	(void)state;
	assert_int_equal(FAKE_GET(":7\r\n"), ERR_NOT_FOUND);
	assert_int_equal(FAKE_GET("+OK\r\n"), ERR_NOT_FOUND);
	assert_int_equal(FAKE_GET("$-1\r\n"), ERR_NOT_FOUND);
	assert_int_equal(FAKE_GET("*-1\r\n"), ERR_NOT_FOUND);
	assert_int_equal(FAKE_GET("*0\r\n"), ERR_NOT_FOUND);
	assert_int_equal(FAKE_GET("*2\r\n$1\r\nx\r\n:1\r\n"), ERR_NOT_FOUND);
	assert_int_equal(FAKE_GET("-WRONGTYPE no\r\n"), ERR_NOT_FOUND);
	assert_int_equal(FAKE_GET("-ERR no\r\n"), ERR_STORE);
	assert_int_equal(FAKE_GET("-LOADING\r\n"), ERR_STORE);
}

static void what_is_no_protocol_ends_the_connection(void **state)
{
	(void)state;
	assert_int_equal(FAKE_GET("HTTP/1.1 200 OK\r\n\r\n"), ERR_STORE);
	assert_int_equal(FAKE_GET("\0\0\0\0"), ERR_STORE);
	assert_int_equal(FAKE_GET("$x\r\n"), ERR_STORE);
}

static void a_reply_that_stops_in_the_middle_is_a_timeout_or_a_closed_connection(
    void **state)
{
	(void)state;
	assert_int_equal(FAKE_GET("$100\r\nabc"), ERR_STORE_TIMEOUT);
	assert_int_equal(FAKE_GET("$"), ERR_STORE_TIMEOUT);
	assert_int_equal(FAKE_GET(""), ERR_STORE_TIMEOUT);
	assert_int_equal(fake_get("$100\r\nabc", 9, false, true), ERR_STORE);
	assert_int_equal(fake_get("", 0, false, true), ERR_STORE);
}

/* T16 */
static void data_without_end_is_cut_off(void **state)
{
	static char line[100000];

	(void)state;
	memset(line, 'x', sizeof line);
	line[0] = '+';
	assert_int_equal(fake_get(line, sizeof line, true, false), ERR_STORE);
	line[0] = '$';
	memcpy(line, "$2147483647\r\n", 13);
	assert_int_equal(fake_get(line, sizeof line, true, false), ERR_STORE);
	/* Well-formed replies without end: the first is ours, the second nobody's. */
	fake_get("$1\r\nx\r\n", 7, true, false);
	/* One array whose elements never end. */
	assert_int_equal(fake_get("*65000\r\n*65000\r\n", 16, true, false), ERR_STORE);
}

/* hiredis' asynchronous API would abort() here (assert in async.c). */
static void replies_that_nobody_asked_for_end_the_connection_and_not_the_process(
    void **state)
{
	(void)state;
	assert_int_equal(FAKE_GET("$1\r\nx\r\n:1\r\n:2\r\n"), ERR_OK);
	assert_int_equal(
	    FAKE_GET("$1\r\nx\r\n*3\r\n$7\r\nmessage\r\n:1\r\n$-1\r\n"), ERR_OK);
	assert_int_equal(FAKE_GET("$1\r\nx\r\n*1\r\n+subscribe\r\n-ERR\r\n"), ERR_OK);
}

/* The same for leases and writes: whatever comes, the node fetches. */
static void nonsense_for_a_lease_leaves_the_node_alone(void **state)
{
	static const char *const nonsense[] = {":1\r\n", "+OK\r\n", "*2\r\n:1\r\n:-5\r\n",
	    "*2\r\n:9\r\n:5\r\n", "*2\r\n$1\r\n0\r\n:0\r\n", "*3\r\n:0\r\n:0\r\n:0\r\n",
	    "*0\r\n", "$-1\r\n", "-ERR\r\n", "-NOSCRIPT\r\n-NOSCRIPT\r\n"};

	(void)state;
	for (size_t i = 0; i < sizeof nonsense / sizeof nonsense[0]; i++) {
		ups = 0;
		start_fake(nonsense[i], strlen(nonsense[i]), false, false, "EVALSHA");
		store = open_node();
		assert_true(wait_for(&ups, 1, 3000));
		assert_int_equal(lease(store, one(1), 1000), LEASE_ALONE);
		store_close(store);
		store = NULL;
		stop_fake();
	}
}

/* What Redis 7.0 (and 6.2 inside a script) says, by its own sources. */
static const struct said {
	const char *text;
	bool leave;
	const char *remedy;
} said[] = {
    {"-READONLY You can't write against a read only replica.", true, "the master"},
    {"-LOADING Redis is loading the dataset in memory", true, "wait"},
    {"-MASTERDOWN Link with MASTER is down and replica-serve-stale-data is set to 'no'.",
	true, "the master"},
    {"-CLUSTERDOWN The cluster is down", true, "cluster"},
    {"-NOAUTH Authentication required.", true, "password"},
    {"-WRONGPASS invalid username-password pair or user is disabled.", true, "password"},
    {"-DENIED Redis is running in protected mode because protected mode is enabled", true,
	"password"},
    {"-ERR max number of clients reached", true, "maxclients"},
    {"-MISCONF Redis is configured to save RDB snapshots, but it's currently unable to "
     "persist to disk.",
	false, "make room"},
    {"-OOM command not allowed when used memory > 'maxmemory'.", false, "maxmemory"},
    {"-ERR Error running script (call to f_4ca238f611c9d0ae4e9a75a5dbac22aedc1e4882): "
     "@user_script:1: @user_script: 1: -OOM command not allowed when used memory > "
     "'maxmemory'.",
	false, "maxmemory"},
    {"-ERR Error running script (call to f_4ca238f611c9d0ae4e9a75a5dbac22aedc1e4882): "
     "@user_script:1: @user_script: 1: -READONLY You can't write against a read only "
     "replica.",
	true, "the master"},
    {"-NOREPLICAS Not enough good replicas to write.", false, "replicas"},
    /* to the digest, and to the text */
    {"-NOPERM this user has no permissions to run the 'xadd' command\r\n"
     "-NOPERM this user has no permissions to run the 'xadd' command",
	false, "rights"},
    {"-ERR The user executing the script can't run this command or subcommand script: "
     "3be9, on @user_script:1.",
	false, "rights"},
    {"-BUSY Redis is busy running a script. You can only call SCRIPT KILL or SHUTDOWN "
     "NOSAVE.",
	false, "SCRIPT KILL"},
    {"-MOVED 3999 127.0.0.1:6381", false, "cluster"},
    {"-ASK 3999 127.0.0.1:6381", false, "cluster"},
    {"-CROSSSLOT Keys in request don't hash to the same slot", false, "cluster"},
    {"-TRYAGAIN Multiple keys request during rehashing of slot", false, "cluster"},
    /* of that call alone */
    {"-WRONGTYPE Operation against a key holding the wrong kind of value", false, NULL},
    {"-ERR unknown command 'OOM'", false, NULL},
    {"-OOMPH", false, NULL},
};

static void a_word_of(const struct said *s)
{
	struct store_health h;
	char line[256];
	int n = snprintf(line, sizeof line, "%s\r\n", s->text);
	size_t shown = strcspn(s->text + 1, "\r") < 60 ? strcspn(s->text + 1, "\r") : 60;

	ups = downs = 0;
	events[0] = '\0';
	start_fake(line, (size_t)n, false, false, "EVALSHA");
	store = open_node();
	assert_true(wait_for(&ups, 1, 3000));
	assert_int_equal(lease(store, one(1), 1000), LEASE_ALONE);
	if (s->leave)
		assert_true(wait_for(&downs, 1, 3000));
	h = health();
	if (h.up != (s->remedy == NULL) || h.refuses != (s->remedy != NULL && !s->leave))
		fail_msg("up %d, refuses %d: %s", h.up, h.refuses, s->text);
	if (s->remedy != NULL &&
	    (strstr(h.remedy, s->remedy) == NULL || strstr(events, h.remedy) == NULL ||
		strncmp(h.error, s->text + 1, shown) != 0))
		fail_msg("%s: %s, %s", s->text, h.remedy, events);
	assert_int_equal(downs, s->leave);
	store_close(store);
	store = NULL;
	stop_fake();
}

/* P9 */
static void each_word_of_redis_is_heeded_with_its_remedy(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof said / sizeof said[0]; i++)
		a_word_of(&said[i]);
}

/* A child that says this to whoever connects, and hangs up. */
static void start_porter(const char *text)
{
	int fd = listen_fake();

	fake = child_fork();
	if (fake == 0) {
		setpgid(0, 0);
		for (;;) {
			int c = accept(fd, NULL, NULL);

			say(c, text, strlen(text));
			close(c);
		}
	}
	setpgid(fake, fake);
	close(fd);
}

static void words_at_the_door_are_told(void **state)
{
	(void)state;
	start_porter("-ERR max number of clients reached\r\n");
	store = open_node();
	assert_true(wait_for(&downs, 1, 3000));
	assert_non_null(
	    strstr(events, "store_down store=redis error=\"ERR max number of clients "
			   "reached ("));
	assert_non_null(strstr(events, "/redis)\" remedy=\"raise maxclients of Redis\""));
	turn(300);
	assert_int_equal(downs, 1);
	stop_fake();
	/* it is another one's fault now */
	start_porter("-LOADING Redis is loading the dataset in memory\r\n");
	assert_true(wait_for(&downs, 2, 3000));
	assert_non_null(strstr(events, "error=\"LOADING Redis is loading"));
	stop_fake();
}

/* Redis refuses PING, too, while it cannot write to its disk. */
static void a_greeting_that_is_refused_for_a_full_disk_is_up_and_told(void **state)
{
	static const char greeting[] =
	    "+OK\r\n+x\r\n+x\r\n+x\r\n*0\r\n"
	    "-MISCONF Errors writing to the AOF file: No space left on device\r\n"
	    "-MISCONF Errors writing to the AOF file: No space left on device\r\n";
	int fd = listen_fake();

	(void)state;
	fake = child_fork();
	if (fake == 0) {
		char buffer[4096];
		int c = accept(fd, NULL, NULL);

		setpgid(0, 0);
		say(c, greeting, sizeof greeting - 1);
		while (read(c, buffer, sizeof buffer) > 0)
			;
		_exit(0);
	}
	setpgid(fake, fake);
	close(fd);
	store = open_node();
	assert_true(wait_for(&ups, 1, 3000));
	assert_true(health().refuses);
	assert_non_null(strstr(events, "store_refuses store=redis error=\"MISCONF Errors "
				       "writing to the AOF file: No space left on dev"));
	stop_fake();
}

static void a_server_that_never_accepts_the_greeting_is_down(void **state)
{
	int fd = socket(AF_UNIX, SOCK_STREAM, 0);
	struct sockaddr_un un = {.sun_family = AF_UNIX};

	(void)state;
	snprintf(un.sun_path, sizeof un.sun_path, "%s/redis", dir);
	assert_int_equal(bind(fd, (struct sockaddr *)&un, sizeof un), 0);
	assert_int_equal(listen(fd, 64), 0); /* and nobody answers */
	config.timeout_ms = SHORT;
	store = open_node();
	assert_true(wait_for(&downs, 1, 3000));
	assert_non_null(strstr(events, "no reply in time"));
	assert_int_equal(get(store, one(1)), ERR_STORE);
	close(fd);
}

/* A server that speaks well enough to be tracked with, until it does not. */

static const char tracked[] = "*4\r\n$5\r\nflags\r\n*2\r\n$2\r\non\r\n$5\r\nbcast\r\n"
			      "$8\r\nredirect\r\n:5\r\n";
static const char untracked[] = "*4\r\n$5\r\nflags\r\n*1\r\n$3\r\noff\r\n"
				"$8\r\nredirect\r\n:-1\r\n";

static const char *reply_to(const char *verb, const char *noun, bool *subscribed,
    const char *tracking_info, bool mute)
{
	if (strcmp(verb, "PING") == 0)
		return !*subscribed ? "+PONG\r\n"
		       : mute       ? ""
				    : "*2\r\n$4\r\npong\r\n$0\r\n\r\n";
	if (strcmp(verb, "SUBSCRIBE") == 0) {
		*subscribed = true;
		return "*3\r\n$9\r\nsubscribe\r\n$1\r\nx\r\n:1\r\n";
	}
	if (strcmp(noun, "ID") == 0)
		return ":5\r\n";
	if (strcmp(noun, "TRACKINGINFO") == 0)
		return tracking_info;
	return "+OK\r\n";
}

static void polite_connection(int fd, const char *tracking_info, bool mute)
{
	redisReader *reader = redisReaderCreate();
	bool subscribed = false;
	char buffer[4096];
	ssize_t n;

	while ((n = read(fd, buffer, sizeof buffer)) > 0) {
		redisReply *r;

		redisReaderFeed(reader, buffer, (size_t)n);
		while (
		    redisReaderGetReply(reader, (void **)&r) == REDIS_OK && r != NULL) {
			const char *text = reply_to(r->element[0]->str,
			    r->elements > 1 ? r->element[1]->str : "", &subscribed,
			    tracking_info, mute);

			say(fd, text, strlen(text));
			freeReplyObject(r);
		}
	}
	_exit(0);
}

static void heartbeat_finds(const char *tracking_info, bool mute, const char *event)
{
	int fd = listen_fake();

	config.timeout_ms = SHORT;
	fake = child_fork();
	if (fake == 0) {
		signal(SIGCHLD, SIG_IGN);
		setpgid(0, 0);
		for (;;) {
			int c = accept(fd, NULL, NULL);

			if (c >= 0 && child_fork() == 0)
				polite_connection(c, tracking_info, mute);
			close(c);
		}
	}
	setpgid(fake, fake);
	close(fd);
	store = open_node();
	assert_true(wait_for(&all_changes, 1, 3000));
	if (event == NULL)
		turn(4 * SHORT * 2);
	else /* tracking is made anew, and everything compared */
		assert_true(wait_for(&all_changes, 2, 8 * SHORT * 2));
	stop_fake();
	assert_int_equal(strstr(events, "store_tracking_lost") != NULL, event != NULL);
	if (event != NULL)
		assert_non_null(strstr(events, event));
}

static void a_server_that_no_longer_tracks_is_noticed_by_the_heartbeat(void **state)
{
	(void)state;
	heartbeat_finds(tracked, false, NULL);
	store_close(store);
	all_changes = 0;
	heartbeat_finds(untracked, false, "no longer tracks");
}

static void a_subscription_that_fell_silent_is_noticed_by_the_heartbeat(void **state)
{
	(void)state;
	heartbeat_finds(tracked, true, "no reply in time");
}

/* URLs. */

static void urls_are_taken_apart(void **state)
{
	struct redis_url u;

	(void)state;
	assert_null(redis_url_parse(&u, "redis://h"));
	assert_string_equal(u.host, "h");
	assert_string_equal(u.port, "6379");
	assert_int_equal(u.db, 0);
	assert_null(redis_url_parse(&u, "redis://us%40er:p%3a%2fw@[::1]:7000/15"));
	assert_string_equal(u.user, "us@er");
	assert_string_equal(u.password, "p:/w");
	assert_string_equal(u.host, "::1");
	assert_string_equal(u.port, "7000");
	assert_int_equal(u.db, 15);
	assert_null(redis_url_parse(&u, "redis://:pw@10.0.0.1:1/"));
	assert_string_equal(u.user, "");
	assert_null(redis_url_parse(&u, "redis+unix:///run/redis.sock"));
	assert_true(u.unix_socket);
	assert_string_equal(u.host, "/run/redis.sock");
}

static void other_urls_are_refused_without_telling_the_password(void **state)
{
	static const char *const wrong[] = {"redis://", "redis://:6379", "redis://h:0",
	    "redis://h:65536", "redis://h:12x", "redis://h:", "redis://h/x",
	    "redis://h/1/2", "redis://secret@h", "redis://u:@h", "redis://u:secret%zz@h",
	    "redis://u:%00secret@h", "redis://u:secret%4@h", "redis://[::1",
	    "redis://h h", "redis://h\r\n", "redis+unix://x", "redis+unix://",
	    "rediss://h", "redis"};
	struct redis_url u;

	(void)state;
	for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
		const char *why = redis_url_parse(&u, wrong[i]);

		if (why == NULL)
			fail_msg("%s was taken", wrong[i]);
		assert_null(strstr(why, "secret"));
	}
}

#define CASE(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
	    CASE(an_answer_of_one_node_is_found_by_the_other),
	    CASE(an_older_answer_replaces_a_newer_one_only_by_force),
	    CASE(a_key_lives_until_its_next_update),
	    CASE(a_node_hears_what_another_wrote_and_what_vanished),
	    CASE(deleting_and_purging_take_exactly_what_was_named),
	    CASE(one_node_at_a_time_has_the_lease),
	    CASE(who_looked_before_another_node_stored_gets_no_lease),
	    CASE(a_lease_ends_by_itself),
	    CASE(a_failure_keeps_the_others_from_trying),
	    CASE(the_longest_of_all_has_room),
	    CASE(values_of_other_programs_are_misses),
	    CASE(a_bare_value_is_handed_out_as_it_is),
	    CASE(scripts_that_the_server_forgot_are_sent_again),
	    CASE(thousands_of_commands_share_the_connection),
	    CASE(a_server_that_comes_back_is_used_again),
	    CASE(a_server_that_is_away_at_the_start_is_no_error),
	    CASE(a_lost_subscription_is_made_again_and_everything_compared),
	    CASE(a_stopped_server_costs_one_timeout_and_each_callback_comes_once),
	    CASE(closing_calls_nobody),
	    CASE(a_password_is_needed_and_used),
	    CASE(a_user_with_few_rights_still_shares_answers),
	    CASE(a_policy_that_may_evict_anything_is_told),
	    CASE(a_full_server_is_an_error_of_the_write_alone),
	    CASE(a_master_that_becomes_a_replica_is_left_and_asked_again),
	    CASE(a_replica_that_takes_none_is_left_by_the_heartbeat_too),
	    CASE(a_right_that_is_missing_is_told_at_once_until_it_is_given),
	    CASE(a_number_in_the_url_selects_the_database),
	    CASE(headers_of_giants_allocate_nothing),
	    CASE(nested_arrays_are_counted_as_a_whole),
	    CASE(replies_of_other_types_are_misses),
	    CASE(what_is_no_protocol_ends_the_connection),
	    CASE(a_reply_that_stops_in_the_middle_is_a_timeout_or_a_closed_connection),
	    CASE(data_without_end_is_cut_off),
	    CASE(replies_that_nobody_asked_for_end_the_connection_and_not_the_process),
	    CASE(nonsense_for_a_lease_leaves_the_node_alone),
	    CASE(a_server_that_no_longer_tracks_is_noticed_by_the_heartbeat),
	    CASE(a_subscription_that_fell_silent_is_noticed_by_the_heartbeat),
	    CASE(a_server_that_never_accepts_the_greeting_is_down),
	    CASE(each_word_of_redis_is_heeded_with_its_remedy),
	    CASE(words_at_the_door_are_told),
	    CASE(a_greeting_that_is_refused_for_a_full_disk_is_up_and_told),
	    cmocka_unit_test(urls_are_taken_apart),
	    cmocka_unit_test(other_urls_are_refused_without_telling_the_password),
	};
	int failed;

	if (!real_redis_is_installed())
		print_message("redis-server is not installed: its cases are skipped\n");
	failed = cmocka_run_group_tests_name("store_redis", tests, NULL, NULL);
	libevent_global_shutdown();
	return failed;
}
