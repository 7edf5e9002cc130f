/* watch_ask.h - what the API asks about watchlists, but for what is streamed
 * (watch_upload.h): a message to the inventory thread, its answer as text.
 *
 * Searches, counts and pages are made on that thread, changes on the ledger's; in both
 * the asker waits and nobody else.  Answered exactly once; when we stop, with 503 at
 * once.
 */
#ifndef PROXY_WATCH_WATCH_ASK_H
#define PROXY_WATCH_WATCH_ASK_H

#include "cache/base/facts.h"
#include "cache/watch/watch_list.h"
#include "cache/watch/watch_search.h"
#include "proxy/base/access.h"
#include "proxy/base/audit.h"
#include "proxy/watch/refusal.h"

enum watch_ask_what {
	WATCH_LISTS,        /* GET /v1/watchlists */
	WATCH_LIST,         /* GET /v1/watchlists/{name} */
	WATCH_DROP,         /* DELETE /v1/watchlists/{name} */
	WATCH_REMOVE,       /* DELETE /v1/watchlists/{name}/{issuer}/{serial} */
	WATCH_CERTIFICATES, /* GET /v1/certificates */
	WATCH_SUMMARY,      /* GET /v1/summary */
	WATCH_INCIDENTS,    /* GET /v1/incidents */
	WATCH_INCIDENT_ONE, /* GET /v1/incidents/{name} */
	WATCH_INCIDENT_DROP /* DELETE /v1/incidents/{name} */
};

#define WATCH_ISSUER_MAX     (2 * WATCH_AKI_MAX + 1) /* a name or a hexadecimal AKI */
#define WATCH_QUERY_NAME_MAX 1024

enum watch_covered { WATCH_COVERED_OR_NOT, WATCH_COVERED, WATCH_NOT_COVERED };

/* By whom is it under a notice? */
enum watch_noticed { WATCH_NOTICED_OR_NOT, WATCH_NOTICED_INCIDENT, WATCH_NOTICED_ARI };

/* GET /v1/certificates; "" and zeroes: not asked for. */
struct watch_filter {
	char name[WATCH_QUERY_NAME_MAX]; /* as watch_name() writes it */
	char issuer[WATCH_ISSUER_MAX];
	char list[WATCH_NAME_MAX];
	char incident[WATCH_NAME_MAX]; /* under a notice by this one */
	enum watch_noticed noticed;
	enum status status;
	enum watch_covered covered;
	int64_t expires_before; /* INT64_MAX: not asked for */
	size_t limit;           /* 1..WATCH_PAGE_MAX */
	struct watch_place from;
};

struct watch_ask {
	struct question question; /* to shared->watcher's inbox, with watch_ask_take */
	enum watch_ask_what what;
	struct access *access;         /* who asks: a reference of the asker, or NULL */
	struct audit audit;            /* the asker's */
	char name[WATCH_NAME_MAX];     /* LIST, DROP, REMOVE; of an incident */
	char issuer[WATCH_ISSUER_MAX]; /* REMOVE */
	struct serial serial;          /* REMOVE */
	struct watch_filter filter;    /* CERTIFICATES */
	/* outcome: */
	int status;             /* 200, 204; else refusal says more */
	struct refusal refusal; /* status 0 where it was not refused */
	char *body;             /* JSON and a line end; the asker's to free */
	size_t body_n;
};

/* The run of it, for the inventory thread's inbox, whose arg is the watcher. */
void watch_ask_take(void *watcher, struct msg *m);

#endif
