/* watch_use.c - the calls, and what is known after each. */
#include "tests/lib/watch_use.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define NONE   1u /* there is no list */
#define NDJSON "application/x-ndjson"
#define CSV    "text/csv"
#define PEM    "application/x-pem-file"

static char said[65536]; /* the last answer's body */

static int call(struct watch_use *u, const char *what, const char *type, const char *body)
{
	char request[8192];
	int n;

	if (type == NULL)
		n = snprintf(request, sizeof request,
		    "%s HTTP/1.0\r\nAccept: application/json\r\n\r\n", what);
	else
		n = snprintf(request, sizeof request,
		    "%s HTTP/1.0\r\nContent-Type: %s\r\nContent-Length: %zu\r\n\r\n%s",
		    what, type, strlen(body), body);
	if (n < 0 || (size_t)n >= sizeof request)
		u->wrong("a request has its room");
	said[0] = '\0';
	return u->call(u->arg, request, said, sizeof said);
}

static bool is_done(int status)
{
	return status / 100 == 2;
}

/* A change was asked for: what the list may be now. */
static void changed(struct watch_use *u, int status, unsigned now, unsigned later)
{
	if (is_done(status)) {
		u->now = now;
		u->later = later;
	} else if (status == 0) {
		u->now |= now;
		u->later |= later;
	} else if (status == 500) {
		u->later |= later;
	}
}

static void look(struct watch_use *u)
{
	int status = call(u, "GET /v1/watchlists/web", NULL, NULL);
	const char *count = strstr(said, "\"certificates\":");
	int n = count != NULL ? atoi(count + strlen("\"certificates\":")) : -1;

	if (status == 404 && (u->now & NONE) == 0)
		u->wrong("a list that was put is there");
	if (status == 200 && (n < 1 || n > 8 || (u->now & 1u << n) == 0))
		u->wrong("a list is the old one or the new one");
	if (status == 404)
		u->now = NONE;
	else if (status == 200)
		u->now = 1u << n;
}

/* Nobody is told that it is good. */
static void revoked_is_not_good(struct watch_use *u)
{
	for (const char *at = said; (at = strstr(at, "\"serial\":\"1002\"")) != NULL;
	     at++) {
		const char *status = strstr(at, "\"status\":\""),
			   *next = strstr(at + 1, "\"serial\":");

		if (status != NULL && (next == NULL || status < next) &&
		    strncmp(status, "\"status\":\"good\"", 15) == 0)
			u->wrong("what is revoked is never good");
	}
}

/* Changes. */

static int put(struct watch_use *u, const char *type, const char *query, const char *body,
    unsigned n)
{
	char what[256];
	int status;

	snprintf(what, sizeof what, "PUT /v1/watchlists/web%s", query);
	status = call(u, what, type, body);
	changed(u, status, 1u << n, 1u << n);
	return status;
}

static int put_three(struct watch_use *u)
{
	char body[1024];

	snprintf(body, sizeof body,
	    "{\"issuer\":\"%s\",\"serial\":\"1001\",\"names\":[\"a.example\"],"
	    "\"labels\":[\"owner=x\"]}\n"
	    "{\"issuer\":\"%s\",\"serial\":\"1002\",\"names\":[\"*.a.example\"]}\n"
	    "{\"issuer_key\":\"abcd\",\"serial\":\"9\",\"not_after\":"
	    "\"2030-01-01T00:00:00Z\"}\n",
	    u->issuer, u->issuer);
	return put(u, NDJSON, "", body, 3);
}

static void put_two(struct watch_use *u)
{
	char body[256];

	snprintf(body, sizeof body, "S,I,N\n1001,%s,x.example;y.example\n1002,%s,\"z\"\n",
	    u->issuer, u->issuer);
	put(u, CSV, "?map=serial=S,issuer=I,names=N", body, 2);
}

static void add_one(struct watch_use *u)
{
	unsigned now = (u->now & ~NONE) << 1, later = (u->later & ~NONE) << 1;
	int status = call(u, "POST /v1/watchlists/web", PEM, u->pem);

	if (is_done(status) && now == 0)
		u->wrong("nothing is added to a list that is none");
	changed(u, status, now, later);
}

static void remove_one(struct watch_use *u)
{
	char what[256];

	snprintf(what, sizeof what, "DELETE /v1/watchlists/web/%s/1001", u->issuer);
	/* a list with nothing on it is a list: bit 0 is another thing */
	changed(u, call(u, what, NULL, NULL), u->now >> 1 & ~NONE, u->later >> 1 & ~NONE);
}

static void delete_it(struct watch_use *u)
{
	changed(u, call(u, "DELETE /v1/watchlists/web", NULL, NULL), NONE, NONE);
}

/* Questions. */

static void ask_bulk(struct watch_use *u)
{
	char body[512];

	snprintf(body, sizeof body,
	    "{\"issuer\":\"%s\",\"serial\":\"1001\"}\n{\"issuer\":\"%s\",\"serial\":"
	    "\"1002\"}\n{\n",
	    u->issuer, u->issuer);
	call(u, "POST /v1/status", NDJSON, body);
	revoked_is_not_good(u);
	call(u, "POST /v1/status", PEM, u->pem);
}

static void ask_all(struct watch_use *u)
{
	static const char *const each[] = {"GET /v1/watchlists",
	    "GET /v1/certificates?watchlist=web&limit=2",
	    "GET /v1/certificates?name=a.example", "GET /v1/certificates?status=revoked",
	    "GET /v1/certificates?expires_before=2031-01-01T00:00:00Z", "GET /v1/summary",
	    "GET /v1/events?watchlist=web", "GET /v1/events?watchlist=web&snapshot=1",
	    "GET /metrics", "GET /readyz"};

	for (size_t i = 0; i < sizeof each / sizeof each[0]; i++) {
		call(u, each[i], NULL, NULL);
		revoked_is_not_good(u);
	}
}

void watch_use_begin(struct watch_use *u)
{
	u->now = u->later = NONE;
}

void watch_use_all(struct watch_use *u)
{
	static void (*const each[])(struct watch_use * u) = {
	    add_one, ask_all, ask_bulk, put_two, remove_one, delete_it};

	put_three(u);
	look(u);
	for (size_t i = 0; i < sizeof each / sizeof each[0]; i++) {
		each[i](u);
		look(u);
	}
	put_three(u);
	look(u);
}

void watch_use_again(struct watch_use *u)
{
	u->now = u->later;
	look(u);
	u->later = u->now;
}

bool watch_use_is_well(struct watch_use *u)
{
	int status = put_three(u);

	if (status == 409) /* this store takes none */
		return true;
	if (!is_done(status))
		return false;
	look(u);
	add_one(u);
	look(u);
	if (u->now != 1u << 4)
		return false;
	ask_bulk(u);
	if (call(u, "GET /v1/certificates?watchlist=web&status=revoked", NULL, NULL) !=
		200 ||
	    strstr(said, "\"serial\":\"1002\"") == NULL)
		return false;
	return call(u, "GET /v1/watchlists/files", NULL, NULL) == 200 &&
	       strstr(said, "\"certificates\":1,") != NULL;
}
