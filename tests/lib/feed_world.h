/* feed_world.h - a small world of its own for the feed of lists: the real feed, sets,
 * files and barrier, one reader; fetches, disk, clock and telling do as the test says. */
#ifndef TESTS_LIB_FEED_WORLD_H
#define TESTS_LIB_FEED_WORLD_H

#include "proxy/lists/crl_feed.h"
#include "proxy/tell/teller.h"
#include "tests/lib/forge_crl.h"
#include "tests/lib/world.h"

#define A   "http://crl.example/a.crl"
#define B   "http://crl.example/b.crl"
#define C   "http://crl.example/c.crl"
#define DAY 86400
extern char directory[64], folder[80];
extern struct shared shared;
extern struct context context;
extern struct crl_feed *feed;
extern EVP_PKEY *ca_key, *other_key;
extern X509 *ca, *other;
extern int64_t feed_now_ms, feed_mono_ms;

#define TELLINGS_MAX 64
extern struct telling_told {
	struct list_change c; /* diff: freed */
	size_t added, released, removed;
	size_t all; /* with those that are moot */
	struct change first;
	bool open;
	bool kept; /* the log has it */
} told[TELLINGS_MAX];

extern size_t told_n;
extern bool tell_at_once;                    /* done follows with the next turn */
extern bool tell_later;                      /* not in the lives to come */
extern bool tell_nothing;                    /* for want of memory */
extern const struct inventory *feed_watched; /* in the lives to come; NULL: none */

bool feed_told(struct teller *t, const struct list_change *l);
void tell_done(size_t i, enum err e);
void write_file(const char *name, struct bytes b);
void make_ca(const char *file, X509 *x);
struct conf *load(const char *global, const char *issuer);
void feed_turn(void);
void feed_elapse(int64_t ms);

/* The same at once, so that what is due in between is late. */
void jump(int64_t ms);

/* Sources of lists that the next life has. */
extern bool feed_expects[LEARNT_COUNT];

/* The daemon begins, on whatever is in the state directory. */
void live(const char *global, const char *issuer);

/* It ends; what is under way is lost, as with kill -9. */
void die(void);
void reload(const char *global, const char *issuer);
void remove_tree(const char *path);
X509 *certificate(const char *name, EVP_PKEY *key);
int feed_begin(void **state);
int feed_end(void **state);

struct says {
	const char *number;   /* hex */
	int64_t from, to;     /* seconds from now; to 0: a day */
	const char *serials;  /* a letter each; lower case: on hold */
	const char *idp;      /* OpenSSL's words */
	bool forged, another; /* broken signature; another CA's list */
	bool young;           /* by the other key, in our CA's name */
};

struct bytes list(const struct says *s);

void answer(size_t i, struct bytes b);
/* Its place among the fetches that wait; their number when it is not asked for. */
size_t place_of(const char *url);
bool is_asked_for(const char *url);
void answer_url(const char *url, struct bytes b);
void fail_url(const char *url);
#define LIST(...) list(&(struct says){__VA_ARGS__})

const struct crl_set *set(void);
bool listed(char letter);

/* What it means here that no list has a serial. */
enum crl_absence absence(void);

/* One field of the n-th list as the API has it; "" for null. */
const char *field(size_t n, const char *name);
bool refused_with(const char *label);
void refresh_as(bool accept_number);
void refresh(void);
double gauge(const char *family);

void begin_with(const char *number, const char *serials);
#define DEMO "certificate = \"ca.pem\" crl = { \"" A "\" } "
#define BOTH "certificate = \"ca.pem\" crl = { \"" A "\", \"" B "\" } "

void file_of(const char *url, const char *name, char path[400]);
bool same_files(const char *a, const char *b);
bool there_is(const char *name);

/* What the lists say to a good that is a second newer than any of them. */
enum crl_verdict verdict(char letter);

extern struct waiting {
	struct crl_wait wait;
	int calls;
	enum err error;
} waiting[4];

bool waits(size_t n, const char *issuer, int ms);
size_t state_files(void);
bool gauge_is(const char *line);

/* How many lists are held back, with these words; gauge and words agree. */
size_t held_back(const char *words);
void overhear(void);
const char *heard(void);
int times(const char *text, const char *word);

#define CASE(name) cmocka_unit_test_setup_teardown(name, feed_begin, feed_end)

#endif
