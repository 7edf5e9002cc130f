/* logins.c - a table of addresses, looked through whole: a thousand of 40 bytes, and only
 * when a token is refused. */
#include "proxy/api/logins.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct login_place {
	uint8_t key[9];  /* family, and what of the address counts */
	int64_t last_ms; /* 0: empty */
	int64_t told_ms;
	int64_t free_ms; /* when all that it did is forgiven */
	unsigned untold;
};

struct logins {
	struct login_place of[LOGINS_MAX];
};

struct logins *logins_new(void)
{
	return calloc(1, sizeof(struct logins));
}

void logins_free(struct logins *l)
{
	free(l);
}

void login_from(const struct sockaddr_storage *a, char out[LOGIN_FROM_MAX])
{
	const struct sockaddr_in *v4 = (const struct sockaddr_in *)a;
	const struct sockaddr_in6 *v6 = (const struct sockaddr_in6 *)a;

	snprintf(out, LOGIN_FROM_MAX, "unix");
	if (a->ss_family == AF_INET)
		inet_ntop(AF_INET, &v4->sin_addr, out, LOGIN_FROM_MAX);
	else if (a->ss_family == AF_INET6)
		inet_ntop(AF_INET6, &v6->sin6_addr, out, LOGIN_FROM_MAX);
}

static void key_of(const struct sockaddr_storage *a, uint8_t key[9])
{
	memset(key, 0, 9);
	key[0] = (uint8_t)a->ss_family;
	if (a->ss_family == AF_INET)
		memcpy(key + 1, &((const struct sockaddr_in *)a)->sin_addr, 4);
	else if (a->ss_family == AF_INET6)
		memcpy(key + 1, &((const struct sockaddr_in6 *)a)->sin6_addr, 8);
}

static struct login_place *place_of(struct logins *l, const uint8_t key[9])
{
	struct login_place *oldest = &l->of[0];

	for (size_t i = 0; i < LOGINS_MAX; i++) {
		if (l->of[i].last_ms != 0 && memcmp(l->of[i].key, key, 9) == 0)
			return &l->of[i];
		if (l->of[i].last_ms < oldest->last_ms)
			oldest = &l->of[i];
	}
	*oldest = (struct login_place){.told_ms = INT64_MIN / 2};
	memcpy(oldest->key, key, 9);
	return oldest;
}

bool logins_failed(
    struct logins *l, const struct sockaddr_storage *from, int64_t now_ms, unsigned *tell)
{
	uint8_t key[9];
	struct login_place *p;

	key_of(from, key);
	p = place_of(l, key);
	p->last_ms = now_ms > 0 ? now_ms : 1;
	p->untold++;
	*tell = 0;
	if (now_ms - p->told_ms >= LOGINS_TELL_MS) {
		*tell = p->untold;
		p->told_ms = now_ms;
		p->untold = 0;
	}
	if (p->free_ms < now_ms)
		p->free_ms = now_ms;
	if (p->free_ms - now_ms >= LOGINS_BURST * LOGINS_PAUSE_MS)
		return true;
	p->free_ms += LOGINS_PAUSE_MS;
	return false;
}
