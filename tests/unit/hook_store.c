#include "proxy/push/hook_store.h"

#include <event2/event.h>
#include <hiredis/hiredis.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "cache/base/mac.h"
#include "tests/lib/real_redis.h"
#include "tests/lib/store_kit.h"

/* What each node has, and what it was told. */
struct node {
	struct hook_store *store;
	struct conf conf;
	char store_url[4400], state[4400];
	int puts, drops, settles;
	char last[WEBHOOK_NAME_MAX];
};

static struct event_base *base;
static char *dir;
static struct mac_keys *keys, *other_keys;
static struct node a, b;
static bool shared; /* the cases run on both kinds */

static void on_put(void *arg, const struct webhook *w, const struct webhook *before)
{
	struct node *n = arg;

	assert_true(before == NULL || strcmp(before->name, w->name) == 0);
	n->puts++;
	strcpy(n->last, w->name);
}

static void on_dropped(void *arg, const struct webhook *w)
{
	struct node *n = arg;

	n->drops++;
	strcpy(n->last, w->name);
}

static void on_settled(void *arg)
{
	((struct node *)arg)->settles++;
}

/* Turn the loop until it is so. */
#define UNTIL(what)                                                                      \
	do {                                                                             \
		for (int turns = 0; turns < 20000 && !(what); turns++) {                 \
			event_base_loop(base, EVLOOP_NONBLOCK);                          \
			usleep(1000);                                                    \
		}                                                                        \
		assert_true(what);                                                       \
	} while (0)

static void node_open(struct node *n, const char *name)
{
	char why[512] = "";
	struct hook_store_config c = {.conf = &n->conf,
	    .base = base,
	    .put = on_put,
	    .dropped = on_dropped,
	    .settled = on_settled,
	    .arg = n};

	snprintf(n->state, sizeof n->state, "%s/%s", dir, name);
	mkdir(n->state, 0700);
	snprintf(n->store_url, sizeof n->store_url,
	    shared ? "redis+unix://%s/redis" : "lmdb:%s", shared ? dir : n->state);
	n->conf.store = n->store_url;
	n->conf.store_prefix = (char *)(uintptr_t) "t:";
	n->conf.state_directory = n->state;
	if (n->conf.mac_keys == NULL)
		n->conf.mac_keys = keys;
	n->conf.store_timeout_ms = 5000;
	n->conf.store_backoff_max_ms = 200;
	n->puts = n->drops = n->settles = 0;
	assert_null(hook_store_refusal(&n->conf));
	if (hook_store_open(&n->store, &c, why, sizeof why) != ERR_OK)
		fail_msg("%s", why);
}

static void node_up(struct node *n, const char *name)
{
	node_open(n, name);
	UNTIL(n->settles == 1);
}

static void node_down(struct node *n)
{
	hook_store_close(n->store);
	n->store = NULL;
}

static int set_up(bool redis)
{
	uint8_t octets[1][MAC_KEY_SIZE] = {{7}};

	shared = redis;
	base = event_base_new();
	dir = kit_directory();
	keys = mac_keys_new((const uint8_t(*)[MAC_KEY_SIZE])octets, 1);
	octets[0][0] = 8;
	other_keys = mac_keys_new((const uint8_t(*)[MAC_KEY_SIZE])octets, 1);
	a = b = (struct node){.store = NULL};
	if (redis)
		assert_true(real_redis_start(dir, NULL));
	node_up(&a, "a");
	return 0;
}

static int file_setup(void **state)
{
	(void)state;
	return set_up(false);
}

static int redis_setup(void **state)
{
	(void)state;
	return set_up(true);
}

static int teardown(void **state)
{
	(void)state;
	node_down(&a);
	node_down(&b);
	if (shared)
		real_redis_stop();
	mac_keys_free(keys);
	mac_keys_free(other_keys);
	event_base_free(base);
	kit_remove(dir);
	return 0;
}

/* Calls, and their outcome. */

#define PENDING ERR_COUNT
static enum err outcome;
static bool has_state;
static struct webhook_state got;

static void on_done(void *arg, enum err e)
{
	(void)arg;
	outcome = e;
}

static void on_state(void *arg, enum err e, const struct webhook_state *state)
{
	(void)arg;
	outcome = e;
	has_state = state != NULL;
	if (state != NULL)
		got = *state;
}

static enum err ended(void)
{
	UNTIL(outcome != PENDING);
	return outcome;
}

#define SECRET "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"

static struct webhook *made(const char *name, uint64_t start)
{
	struct webhook *w = webhook_new(0);

	strcpy(w->name, name);
	strcpy(w->url, "https://hooks.example/T000/SECRETPATH");
	webhook_secret_parse(&w->secret[0], bytes_of(SECRET, strlen(SECRET)));
	w->secrets_n = 1;
	w->types = WEBHOOK_CHANGES;
	w->revision = 1;
	w->start = start;
	w->from = (struct change_pos){7, start, 1};
	return w;
}

static enum err put(struct node *n, const char *name, uint64_t start)
{
	struct webhook *w = made(name, start);

	outcome = PENDING;
	hook_store_put(n->store, w, hook_store_find(n->store, name), on_done, NULL);
	webhook_unref(w);
	return ended();
}

static enum err drop(struct node *n, const char *name)
{
	outcome = PENDING;
	hook_store_drop(n->store, hook_store_find(n->store, name), on_done, NULL);
	return ended();
}

static enum err take(struct node *n, const char *name)
{
	outcome = PENDING;
	hook_store_take(n->store, name, on_state, NULL);
	return ended();
}

static enum err state_of(struct node *n, const char *name)
{
	outcome = PENDING;
	hook_store_state(n->store, name, on_state, NULL);
	return ended();
}

static enum err save(struct node *n, const char *name, uint64_t seq)
{
	struct webhook_state s = {
	    .start = 1, .position = {7, seq, 1}, .last_error = "it was refused"};

	outcome = PENDING;
	hook_store_save(n->store, name, &s, on_done, NULL);
	return ended();
}

/* Both kinds. */

static void what_is_put_is_told_and_outlives_us(void **state)
{
	(void)state;
	assert_int_equal(hook_store_count(a.store), 0);
	assert_int_equal(put(&a, "chat", 1), ERR_OK);
	assert_int_equal(a.puts, 1);
	assert_int_equal(put(&a, "another", 2), ERR_OK);
	assert_string_equal(hook_store_at(a.store, 0)->name, "another");
	assert_string_equal(hook_store_at(a.store, 1)->name, "chat");
	node_down(&a);
	node_up(&a, "a");
	assert_int_equal(a.puts, 2);
	assert_int_equal(hook_store_count(a.store), 2);
	assert_string_equal(hook_store_find(a.store, "chat")->url,
	    "https://hooks.example/T000/SECRETPATH");
	assert_null(hook_store_find(a.store, "none"));
}

/* T23 */
static void a_position_is_there_again_after_an_end(void **state)
{
	(void)state;
	assert_int_equal(put(&a, "chat", 1), ERR_OK);
	assert_int_equal(take(&a, "chat"), ERR_OK);
	assert_false(has_state);
	assert_true(hook_store_holds(a.store, "chat"));
	assert_int_equal(save(&a, "chat", 44), ERR_OK);
	assert_int_equal(state_of(&a, "chat"), ERR_OK);
	assert_int_equal(got.position.seq, 44);
	node_down(&a); /* with the lease: what a kill leaves */
	node_up(&a, "a");
	assert_int_equal(take(&a, "chat"), ERR_OK);
	assert_true(has_state);
	assert_int_equal(got.position.seq, 44);
	assert_string_equal(got.last_error, "it was refused");
}

static void who_changes_what_is_not_there_any_more_is_told(void **state)
{
	struct webhook *w;

	(void)state;
	assert_int_equal(put(&a, "chat", 1), ERR_OK);
	w = made("chat", 2);
	outcome = PENDING;
	hook_store_put(a.store, w, NULL, on_done, NULL); /* as new */
	assert_int_equal(ended(), ERR_CONFLICT);
	webhook_unref(w);
	assert_int_equal(hook_store_find(a.store, "chat")->start, 1);
}

static int ends[ERR_COUNT];

static void on_counted(void *arg, enum err e)
{
	(void)arg;
	ends[e]++;
}

static void of_two_changes_at_once_one_is_done(void **state)
{
	struct webhook *w = made("chat", 1), *x = made("chat", 2);

	(void)state;
	memset(ends, 0, sizeof ends);
	hook_store_put(a.store, w, NULL, on_counted, NULL);
	hook_store_put(a.store, x, NULL, on_counted, NULL);
	UNTIL(ends[ERR_OK] == 1 && ends[ERR_CONFLICT] == 1);
	assert_int_equal(hook_store_find(a.store, "chat")->start, 1);
	webhook_unref(w);
	webhook_unref(x);
}

static void what_is_dropped_takes_its_state_along(void **state)
{
	(void)state;
	assert_int_equal(put(&a, "chat", 1), ERR_OK);
	assert_int_equal(take(&a, "chat"), ERR_OK);
	assert_int_equal(save(&a, "chat", 44), ERR_OK);
	assert_int_equal(drop(&a, "chat"), ERR_OK);
	assert_int_equal(a.drops, 1);
	assert_null(hook_store_find(a.store, "chat"));
	assert_true(save(&a, "chat", 45) != ERR_OK);
	assert_int_equal(put(&a, "chat", 2), ERR_OK);
	assert_int_equal(take(&a, "chat"), ERR_OK);
	assert_false(has_state);
	node_down(&a);
	node_up(&a, "a");
	assert_int_equal(hook_store_count(a.store), 1);
}

static void a_change_keeps_the_position(void **state)
{
	(void)state;
	assert_int_equal(put(&a, "chat", 1), ERR_OK);
	assert_int_equal(take(&a, "chat"), ERR_OK);
	assert_int_equal(save(&a, "chat", 44), ERR_OK);
	assert_int_equal(put(&a, "chat", 3), ERR_OK);
	assert_int_equal(a.puts, 2);
	assert_int_equal(save(&a, "chat", 45), ERR_OK);
	assert_int_equal(state_of(&a, "chat"), ERR_OK);
	assert_int_equal(got.position.seq, 45);
}

static int saves_left;

static void on_saved(void *arg, enum err e)
{
	(void)arg;
	assert_int_equal(e, ERR_OK);
	saves_left--;
}

/* Deliveries that end together. */
static void many_positions_are_saved_at_once(void **state)
{
	enum { N = 200 };
	struct webhook_state s = {.start = 1, .position = {7, 9, 1}};
	char name[WEBHOOK_NAME_MAX];

	(void)state;
	for (int i = 0; i < N; i++) {
		snprintf(name, sizeof name, "hook-%d", i);
		assert_int_equal(put(&a, name, 1), ERR_OK);
		assert_int_equal(take(&a, name), ERR_OK);
	}
	saves_left = N;
	for (int i = 0; i < N; i++) {
		snprintf(name, sizeof name, "hook-%d", i);
		hook_store_save(a.store, name, &s, on_saved, NULL);
	}
	UNTIL(saves_left == 0);
	node_down(&a);
	node_up(&a, "a");
	assert_int_equal(hook_store_count(a.store), N);
	assert_int_equal(state_of(&a, "hook-77"), ERR_OK);
	assert_int_equal(got.position.seq, 9);
}

/* One file. */

static void the_file_is_its_users_alone(void **state)
{
	char path[4500];
	struct stat st;

	(void)state;
	snprintf(path, sizeof path, "%s/hooks.mdb", a.state);
	assert_int_equal(stat(path, &st), 0);
	assert_int_equal(st.st_mode & 0777, 0600);
}

static void a_damaged_file_is_refused_with_the_remedy(void **state)
{
	struct hook_store_config c = {.conf = &a.conf, .base = base};
	char path[4500], why[512] = "";

	(void)state;
	node_down(&a);
	snprintf(path, sizeof path, "%s/hooks.mdb", a.state);
	assert_int_equal(truncate(path, 5000), 0);
	assert_int_equal(hook_store_open(&a.store, &c, why, sizeof why), ERR_STORE);
	assert_non_null(strstr(why, "hooks.mdb"));
	assert_non_null(strstr(why, "put the webhooks again"));
}

/* Shared. */

static redisContext *direct(void)
{
	char path[4500];
	redisContext *c;

	snprintf(path, sizeof path, "%s/redis", dir);
	c = redisConnectUnix(path);
	assert_true(c != NULL && c->err == 0);
	return c;
}

/* An integer that it answers, or 0. */
static long long command(const char *format, ...)
{
	redisContext *c = direct();
	long long v = 0;
	redisReply *r;
	va_list ap;

	va_start(ap, format);
	r = redisvCommand(c, format, ap);
	va_end(ap);
	assert_non_null(r);
	if (r->type == REDIS_REPLY_INTEGER)
		v = r->integer;
	freeReplyObject(r);
	redisFree(c);
	return v;
}

static void all_nodes_have_the_same(void **state)
{
	(void)state;
	node_up(&b, "b");
	assert_int_equal(put(&a, "chat", 1), ERR_OK);
	UNTIL(hook_store_find(b.store, "chat") != NULL);
	assert_int_equal(put(&b, "chat", 2), ERR_OK);
	UNTIL(hook_store_find(a.store, "chat")->start == 2);
	assert_int_equal(drop(&a, "chat"), ERR_OK);
	UNTIL(hook_store_count(b.store) == 0);
	assert_int_equal(b.drops, 1);
}

/* T23: who lost the lease saves nothing over what his successor has. */
static void one_node_delivers_and_another_goes_on(void **state)
{
	(void)state;
	assert_int_equal(put(&a, "chat", 1), ERR_OK);
	node_up(&b, "b");
	assert_int_equal(take(&a, "chat"), ERR_OK);
	assert_int_equal(take(&b, "chat"), ERR_CONFLICT);
	assert_false(hook_store_holds(b.store, "chat"));
	assert_int_equal(save(&b, "chat", 50), ERR_CONFLICT);
	assert_int_equal(save(&a, "chat", 44), ERR_OK);
	assert_int_equal(command("DEL t:{h}:l:chat"), 1); /* as if its time were over */
	assert_int_equal(take(&b, "chat"), ERR_OK);
	assert_int_equal(got.position.seq, 44);
	assert_int_equal(save(&a, "chat", 45), ERR_CONFLICT);
	assert_false(hook_store_holds(a.store, "chat"));
	assert_int_equal(state_of(&a, "chat"), ERR_OK);
	assert_int_equal(got.position.seq, 44);
	outcome = PENDING;
	hook_store_keep(a.store, "chat", on_done, NULL);
	assert_int_equal(ended(), ERR_CONFLICT);
	outcome = PENDING;
	hook_store_keep(b.store, "chat", on_done, NULL);
	assert_int_equal(ended(), ERR_OK);
	hook_store_leave(b.store, "chat");
	assert_false(hook_store_holds(b.store, "chat"));
	UNTIL(command("EXISTS t:{h}:l:chat") == 0);
	assert_int_equal(take(&a, "chat"), ERR_OK);
}

static void a_lease_ends_by_itself_and_lasts_anew(void **state)
{
	(void)state;
	assert_int_equal(put(&a, "chat", 1), ERR_OK);
	assert_int_equal(take(&a, "chat"), ERR_OK);
	assert_in_range(command("PTTL t:{h}:l:chat"), 1, HOOK_LEASE_MS);
	command("PEXPIRE t:{h}:l:chat 100000");
	assert_int_equal(save(&a, "chat", 44), ERR_OK);
	assert_in_range(command("PTTL t:{h}:l:chat"), 1, HOOK_LEASE_MS);
	command("PEXPIRE t:{h}:l:chat 100000");
	outcome = PENDING;
	hook_store_keep(a.store, "chat", on_done, NULL);
	assert_int_equal(ended(), ERR_OK);
	assert_in_range(command("PTTL t:{h}:l:chat"), 1, HOOK_LEASE_MS);
}

/* T23 */
static void what_a_flush_took_is_written_again(void **state)
{
	(void)state;
	node_up(&b, "b"); /* which has it, and no state */
	assert_int_equal(put(&a, "chat", 1), ERR_OK);
	UNTIL(hook_store_count(b.store) == 1);
	assert_int_equal(take(&a, "chat"), ERR_OK);
	assert_int_equal(save(&a, "chat", 44), ERR_OK);
	real_redis_flush();
	UNTIL(command("HEXISTS t:{h}:h:hooks chat") == 1);
	assert_int_equal(hook_store_count(a.store), 1);
	assert_int_equal(a.drops + b.drops, 0);
	assert_int_equal(take(&b, "chat"), ERR_OK);
	assert_true(has_state);
	assert_int_equal(got.position.seq, 44);
}

/* T23 */
static void what_nobody_delivers_is_written_again_by_anybody(void **state)
{
	(void)state;
	assert_int_equal(put(&a, "chat", 1), ERR_OK);
	real_redis_flush();
	UNTIL(command("HEXISTS t:{h}:h:hooks chat") == 1);
	assert_int_equal(a.drops, 0);
}

/* T21 */
static void nothing_secret_stands_there_in_plain(void **state)
{
	redisContext *c = direct();
	redisReply *r;

	(void)state;
	assert_int_equal(put(&a, "chat", 1), ERR_OK);
	r = redisCommand(c, "HGET t:{h}:h:hooks chat");
	assert_non_null(r);
	assert_int_equal(r->type, REDIS_REPLY_STRING);
	assert_null(memmem(r->str, r->len, "hooks.example", 13));
	assert_null(memmem(r->str, r->len, "SECRETPATH", 10));
	assert_null(
	    memmem(r->str, r->len, hook_store_at(a.store, 0)->secret[0].octets, 24));
	freeReplyObject(r);
	redisFree(c);
}

static void what_is_not_under_the_key_is_not_believed(void **state)
{
	(void)state;
	b.conf.mac_keys = other_keys;
	node_up(&b, "b");
	assert_int_equal(put(&b, "forged", 1), ERR_OK);
	assert_int_equal(put(&a, "chat", 1), ERR_OK);
	UNTIL(a.puts == 1 && b.puts == 1);
	assert_int_equal(hook_store_count(a.store), 1);
	assert_int_equal(hook_store_count(b.store), 1);
	/* copied to another name it is none, either */
	command("EVAL %s 1 t:{h}:h:hooks",
	    "redis.call('HSET', KEYS[1], 'copy', redis.call('HGET', KEYS[1], 'chat')) "
	    "return 1");
	assert_int_equal(put(&a, "later", 1), ERR_OK);
	assert_null(hook_store_find(a.store, "copy"));
	/* nor is a state */
	assert_int_equal(take(&a, "chat"), ERR_OK);
	command("HSET t:{h}:s chat forged");
	assert_int_equal(state_of(&a, "chat"), ERR_OK);
	assert_false(has_state);
}

static void there_is_an_end_to_how_many(void **state)
{
	(void)state;
	command("EVAL %s 1 t:{h}:h:hooks",
	    "for i = 1, 4096 do redis.call('HSET', KEYS[1], 'junk' .. i, '') end "
	    "return 1");
	assert_int_equal(HOOKS_MAX, 4096);
	assert_int_equal(put(&a, "one-more", 1), ERR_STORE_FULL);
	assert_int_equal(hook_store_count(a.store), 0);
}

static void while_redis_is_away_what_is_loaded_stays(void **state)
{
	char why[512] = "";

	(void)state;
	assert_int_equal(put(&a, "chat", 1), ERR_OK);
	real_redis_stop();
	UNTIL(!hook_store_is_up(a.store, why, sizeof why));
	assert_non_null(strstr(why, "Redis"));
	assert_int_equal(put(&a, "other", 1), ERR_STORE);
	assert_int_equal(state_of(&a, "chat"), ERR_STORE);
	assert_int_equal(take(&a, "chat"), ERR_STORE);
	assert_int_equal(save(&a, "chat", 3), ERR_STORE);
	assert_int_equal(hook_store_count(a.store), 1);
	node_open(&b, "b");
	assert_false(hook_store_has_settled(b.store));
	assert_true(real_redis_start(dir, NULL)); /* and has nothing */
	UNTIL(b.settles == 1);
	UNTIL(hook_store_find(b.store, "chat") != NULL);
}

static void who_closes_tells_everybody_who_waits(void **state)
{
	struct webhook *w = made("chat", 1);

	(void)state;
	outcome = PENDING;
	hook_store_put(a.store, w, NULL, on_done, NULL);
	if (outcome == PENDING) {
		node_down(&a);
		assert_int_equal(outcome, ERR_CANCELLED);
	}
	webhook_unref(w);
}

static void some_stores_have_none(void **state)
{
	struct conf c = {.store = (char *)(uintptr_t) "memory:"};

	(void)state;
	assert_non_null(strstr(hook_store_refusal(&c), "memory:"));
	c.store = (char *)(uintptr_t) "redis://127.0.0.1:6379";
	assert_non_null(strstr(hook_store_refusal(&c), "store-key-file"));
}

#define ON_FILE(f)  cmocka_unit_test_setup_teardown(f, file_setup, teardown)
#define ON_REDIS(f) cmocka_unit_test_setup_teardown(f, redis_setup, teardown)

int main(void)
{
	const struct CMUnitTest on_file[] = {
	    cmocka_unit_test(some_stores_have_none),
	    ON_FILE(what_is_put_is_told_and_outlives_us),
	    ON_FILE(a_position_is_there_again_after_an_end),
	    ON_FILE(who_changes_what_is_not_there_any_more_is_told),
	    ON_FILE(of_two_changes_at_once_one_is_done),
	    ON_FILE(what_is_dropped_takes_its_state_along),
	    ON_FILE(a_change_keeps_the_position),
	    ON_FILE(many_positions_are_saved_at_once),
	    ON_FILE(the_file_is_its_users_alone),
	    ON_FILE(a_damaged_file_is_refused_with_the_remedy),
	};
	const struct CMUnitTest on_redis[] = {
	    ON_REDIS(what_is_put_is_told_and_outlives_us),
	    ON_REDIS(a_position_is_there_again_after_an_end),
	    ON_REDIS(who_changes_what_is_not_there_any_more_is_told),
	    ON_REDIS(of_two_changes_at_once_one_is_done),
	    ON_REDIS(what_is_dropped_takes_its_state_along),
	    ON_REDIS(a_change_keeps_the_position),
	    ON_REDIS(many_positions_are_saved_at_once),
	    ON_REDIS(there_is_an_end_to_how_many),
	    ON_REDIS(all_nodes_have_the_same),
	    ON_REDIS(one_node_delivers_and_another_goes_on),
	    ON_REDIS(a_lease_ends_by_itself_and_lasts_anew),
	    ON_REDIS(what_a_flush_took_is_written_again),
	    ON_REDIS(what_nobody_delivers_is_written_again_by_anybody),
	    ON_REDIS(nothing_secret_stands_there_in_plain),
	    ON_REDIS(what_is_not_under_the_key_is_not_believed),
	    ON_REDIS(while_redis_is_away_what_is_loaded_stays),
	    ON_REDIS(who_closes_tells_everybody_who_waits),
	};
	int failed = cmocka_run_group_tests_name("hook_file", on_file, NULL, NULL);

	return real_redis_is_installed()
		   ? failed +
			 cmocka_run_group_tests_name("hook_redis", on_redis, NULL, NULL)
		   : failed;
}
