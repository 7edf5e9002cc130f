/* watch_house.h - what the modules of the inventory thread work with, for tests of them:
 * a keeper (in memory, but for its state directory) with an issuer "house", whose list
 * revokes the serials WATCH_HOUSE_REVOKED and holds WATCH_HOUSE_HELD; a ledger; and the
 * test in the place of the thread.
 *
 * One house at a time; what is wrong in it ends the test program.
 */
#ifndef TESTS_LIB_WATCH_HOUSE_H
#define TESTS_LIB_WATCH_HOUSE_H

#include "cache/watch/watch_draft.h"
#include "proxy/keeper/keeper.h"
#include "proxy/watch/ledger.h"
#include "proxy/watch/watch_context.h"

#define WATCH_HOUSE_REVOKED 2
#define WATCH_HOUSE_HELD    3

struct watch_house {
	char *dir;
	struct shared shared;
	struct keeper *keeper;
	struct watch_context context;
	uint8_t aki[20]; /* of its issuer, as certificates of it say */
};

/* size: of watch.mdb; its list is in force when this returns. */
void watch_house_begin(struct watch_house *h, size_t size);
void watch_house_end(struct watch_house *h);
/* The ledger is closed, and opened again on what it left. */
void watch_house_again(struct watch_house *h, size_t size);
/* Turns of the loop until *flag. */
void watch_house_turn(struct watch_house *h, const bool *flag);
/* A list of the house's serials [from, from + n), or of nobody's CA with `foreign`, and
 * its job done: what came of it.  Each ends at serial * 1000, and is called
 * "sSERIAL.example". */
enum err watch_house_put(struct watch_house *h, enum ledger_what what, const char *name,
    unsigned from, unsigned n, bool foreign);
/* A list of these and no others. */
struct watch_house_cert {
	unsigned serial;
	int64_t from, to; /* from 0: in 2023 */
	const char *name; /* NULL: none */
	bool foreign;
};
void watch_house_put_certs(struct watch_house *h, const char *name,
    const struct watch_house_cert *certs, size_t n);
struct serial watch_house_serial(unsigned n);
/* An incident of this name with the serials [from, from + n), of whatever CA. */
void watch_house_announce(
    struct watch_house *h, const char *name, unsigned from, unsigned n);
/* A job with this name and issuer. */
struct ledger_job watch_house_job(struct watch_house *h, struct ledger_job job);

#endif
