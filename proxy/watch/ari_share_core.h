/* ari_share_core.h - what the parts of asking together (ari_share.h) have in common:
 * leases (ari_share.c), what is read (ari_share_core.c), states that are saved
 * (ari_share_save.c), notices that are in force (ari_share_notices.c).
 *
 * The thread "ari".
 */
#ifndef PROXY_WATCH_ARI_SHARE_CORE_H
#define PROXY_WATCH_ARI_SHARE_CORE_H

#include "cache/watch/ari_redis.h"
#include "proxy/watch/ari_share.h"

/* States that were read, on their way into ari.mdb where they are newer. */
struct ari_merge {
	struct ari_core *core;
	bool failed;
	size_t n;
	struct ari_row row[ARI_SAVE_MAX];
	struct ari_state state[ARI_SAVE_MAX];
};
void ari_merge_one(
    struct ari_merge *m, const struct ari_who *w, const struct ari_state *state);
/* What is left of them.  False: of those since the last end, something was not read or
 * written here. */
bool ari_merge_end(struct ari_merge *m);

enum ari_seat_is {
	SEAT_FREE,    /* another node's, or nobody's, or it is not known */
	SEAT_READING, /* ours; what others know is being read */
	SEAT_HELD
};

/* A directory's lease.  It lives as long as the share. */
struct ari_seat {
	struct ari_seat *next;
	struct ari_share *share;
	char *directory;
	bool wanted;
	enum ari_seat_is is;
	int64_t sent_ms, until_ms; /* monotonic: it was asked for; it is sure */
	bool taking;               /* that is under way */
	bool reading, again;       /* a page is; from the start */
	bool vanished;
	uint64_t from;
};
struct ari_seat *ari_share_seat(const struct ari_share *s, const char *directory);

struct ari_share {
	struct ari_core *core;
	struct ari_share_use use;
	/* What came of a save: what it was told.  made: the version of notices that it
	 * has made; 0: none. */
	void (*saved)(struct ari_seat *seat, enum err e, int64_t sent_ms, uint64_t before,
	    uint64_t made);
	struct ari_redis *redis;
	struct event *timer;
	struct ari_seat *seats;
	struct ari_saver *savers;
	struct ari_merge
	    merge;           /* of a page at a time: filled and empty in one callback */
	bool settled;        /* Redis is up, or was found away */
	bool waits, refused; /* told */
	struct {
		uint64_t version; /* that ari.mdb has */
		bool reading;
		uint64_t reads; /* this version */
		int64_t began_ms, not_before_ms;
		struct ari_who after; /* of those that are compared */
		struct ari_who who[ARI_SAVE_MAX];
	} notices;
};

/* ari_share_save.c */
void ari_savers_go(struct ari_share *s);
bool ari_savers_are_full(const struct ari_seat *seat);

/* ari_share_notices.c: the version that Redis has; our save has made a new one. */
void ari_notices_seen(struct ari_share *s, uint64_t version);
void ari_notices_made(struct ari_share *s, uint64_t before, uint64_t made);

#endif
