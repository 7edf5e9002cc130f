/* log_of_before.h - what ocspcached wrote into Redis and LMDB before the names had hash
 * tags and the batches kinds: bytes as that program left them in a redis-server, for the
 * issuer "demo".
 *
 * A list revoked 2 and 3 (certificateHold); an OCSP answer revoked 300; a list
 * released 3.
 */
#ifndef TESTS_LIB_LOG_OF_BEFORE_H
#define TESTS_LIB_LOG_OF_BEFORE_H

#define BEFORE_EPOCH   1796050409
#define BEFORE_SEEN    1796050409 /* seconds: t of each entry */
#define BEFORE_BATCHES 3

static const struct {
	const char *hex; /* b */
	unsigned n;
} before_batch[BEFORE_BATCHES] = {
    {"01010401000001a22cf25912000000006b0d82330000000264656d6f02000000000000000000000000"
     "0000000000000000020100695735a5ff00000100000000000000000000000000000000000000000003"
     "0100695735a50600000100",
	2},
    {"01000400000001a22cf25930000000006b0d8de90000000164656d6f00000000000000000000000000"
     "000000000000012c02006b0d7fd9ff00000100",
	1},
    {"01010401000001a22cf25942000000006b0d82340000000164656d6f03000000000000000000000000"
     "0000000000000000030100695735a50600000001",
	1},
};

#define BEFORE_SCOPE "78fde0111f00b2b0747f501eb40d54dd36151c8a1055954ae723a00302e61067"
/* All of the list of thisUpdate 6b0d8234 is told. */
#define BEFORE_TOLD                                                                      \
	"01738269e136b7a568598144c3900875fe5a8be7b50ea665c42af3d825554bdf8538453d3408ee" \
	"34"                                                                             \
	"bd2abce196b0a4001bd94ef23062bd8d5bc38c424226ab068e000000006b0d8234000000010000" \
	"00"                                                                             \
	"01"
#define BEFORE_ONE  "bf12c020a43b1d92d01bd31b42922286"
#define BEFORE_LEFT "2a97516c354b68848cdbd8f54a226a0a"
/* The values of these two, for 30 days each. */
#define BEFORE_ONE_IS  "revoked 1796046809 1796050409 2"
#define BEFORE_LEFT_IS "1796050409 3"

#endif
