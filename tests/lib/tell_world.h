/* tell_world.h - know, then tell; everything, once, and in order.
 *
 * A node is a real telling on a real loop with virtual time.  Between it and the log
 * stands a gate that holds calls back, fails them, or loses their answers; the log behind
 * the gates is one, as Redis is for several nodes. */
#ifndef TESTS_LIB_TELL_WORLD_H
#define TESTS_LIB_TELL_WORLD_H

#include <sys/queue.h>

#include "proxy/tell/teller.h"
#include "tests/lib/world.h"

#define SERIALS 1200000
#define NODES   2
#define NEWS    4096

struct gate {
	struct change_log log;
	struct change_log *behind;
	TAILQ_HEAD(, call) calls;
	bool slow;        /* calls wait for gate_pass() */
	bool shared;      /* what health says */
	enum err down;    /* every call fails with this */
	bool deaf;        /* what is done is reported as ERR_STORE_TIMEOUT */
	int fail_next;    /* so many appends fail before they work */
	bool fail_scoped; /* every append of a list fails */
	bool epoch_late;  /* the word of a new epoch waits for gate_word() */
	struct change_pos epoch_end;
	change_log_done_fn *epoch_done;
	void *epoch_arg;
	int told, appends, reads, epochs, trims; /* calls that came */
	int64_t trimmed_before;
	int64_t append_at[64]; /* when, monotonic */
};

void gate_word(struct gate *g);

/* The oldest call is done; false when there is none. */
bool gate_pass(struct gate *g);
struct gate *gate_new(struct change_log *behind);

/* Nodes. */
struct node {
	struct shared shared;
	struct inbox *api;
	struct barrier *barrier;
	struct context context;
	struct latches *latches;
	struct latch_file *latch_file;
	struct teller *teller;
	struct gate *gate; /* until the telling is freed */
	char dir[32];
	/* what the API's thread was told: */
	struct teller_news *kept[NEWS];
	struct {
		struct change_pos end;
		bool gap;
		uint32_t n;
	} news[NEWS];
	size_t news_n, kept_n;
	bool keep; /* it does not give news back */
	/* of lists: */
	int done;
	enum err outcome;
	bool inside; /* teller_list() is on the stack */
};

extern struct inbox *inbox; /* the keeper's, of both nodes */
extern struct change_log *memory;
extern struct node node[NODES];
extern int64_t tell_now_ms, tell_mono_ms;

void set_time(void);
void tell_turn(void);
void tell_elapse(int64_t ms);
const struct issuer *demo(void);
void give_back(struct node *n);
void again(struct node *n);
int tell_begin(void **state);
int tell_end(void **state);

/* What is told. */
struct serial serial_of(uint32_t i);
uint32_t number_of(const struct change *c);

/* A new latch, as the door makes it. */
const struct latch *latch(struct node *n, uint32_t i, bool untold);
void tell_revoked(struct node *n, uint32_t i, bool latched);
void tell_released(struct node *n, uint32_t i);

/* The list `name`: certificates [from, to), all with this reason. */
struct crl {
	char name;
	uint32_t from, to;
	int reason;
};

/* The list's thisUpdate goes by its name; old NULL: a baseline. */
extern size_t moot; /* the first changes of a list, as the issuer's other lists say */
extern bool lost;   /* of a baseline: the node has told lists before */
extern unsigned list_warnings; /* of the next lists */
extern uint32_t watched_every; /* of a baseline: certificates whose number it divides are
				  watched; 0: none is */

void tell_list(struct node *n, const struct crl *old, const struct crl *new);

/* What the log holds. */
struct held {
	struct change_batch **batch;
	size_t n;
	struct change_pos oldest, newest;
};

extern struct held held;
extern uint8_t *count; /* how often each certificate became revoked */

void forget(void);
size_t look(void);

/* Each of [from, to) is in the log so often. */
void expect_count(uint32_t from, uint32_t to, int times);
void expect_told(char name, uint32_t done, uint32_t total);
void ignore_end(void *arg, enum err e, const struct change_pos *p);

/* As a node that has died left it. */
void set_told(char from, char to, uint32_t done, uint32_t total);

/* Something that another node appends. */
void append_foreign(uint32_t i);

/* P37: the news follow one another, and each gap says so. */
void expect_news_whole(const struct node *n);

extern const struct crl A;
extern const struct crl B;

void log_begin(void);
char *log_end(void);
int occurrences(const char *text, const char *of);

#define CASE(name) cmocka_unit_test_setup_teardown(name, tell_begin, tell_end)

#endif
