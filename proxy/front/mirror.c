/* mirror.c - the head, its validators, and the file behind it. */
#include "proxy/front/mirror.h"

#include <assert.h>
#include <stdio.h>

#include "cache/crl/crl_set.h"
#include "proxy/http/ocsp_http.h"

/* Until nextUpdate, and never longer than max-age-cap: a list may be replaced early, and
 * that is when it matters. */
static int64_t max_age(const struct crl_file *f, const struct conf *conf, int64_t now)
{
	int64_t left = f->next_update > now ? f->next_update - now : 0;
	int64_t cap = conf->max_age_cap_ms / 1000;

	return left < cap ? left : cap;
}

/* What 200 and 304 have in common, with the empty line. */
static size_t validators(char *out, size_t room, struct conn *c, const struct crl_file *f,
    const struct conf *conf, int64_t now, const char *etag)
{
	char modified[HTTP1_DATE_MAX], expires[HTTP1_DATE_MAX];
	int n;

	http1_date(f->this_update, modified);
	http1_date(f->next_update, expires);
	n = snprintf(out, room,
	    "Last-Modified: %s\r\nExpires: %s\r\nETag: %s\r\n"
	    "Cache-Control: max-age=%lld, public, no-transform, "
	    "must-revalidate\r\n%s\r\n",
	    modified, expires, etag, (long long)max_age(f, conf, now),
	    conn_connection(c, conn_will_close(c)));
	assert(n > 0 && (size_t)n < room);
	return (size_t)n;
}

static struct crl_file *file_of(const struct issuer *i, size_t list)
{
	if (i->slot == NULL)
		return NULL;
	return crl_set_file(atomic_load_explicit(&i->slot->set, memory_order_acquire),
	    list, i->crl[list].scope);
}

int mirror_reply(struct conn_loop *l, struct conn *c, const struct http1_request *r,
    const struct conf *conf, const struct issuer *i, size_t list)
{
	struct crl_file *f = file_of(i, list);
	struct bytes date = conn_loop_date(l);
	char head[CONN_HEAD_MAX], etag[2 + 64 + 1] = "\"";
	bool same;
	int n;

	if (f == NULL) {
		conn_error(c, 503, NULL, false);
		return 503;
	}
	hex_encode(f->sha256, sizeof f->sha256, etag + 1);
	etag[65] = '"';
	etag[66] = '\0';
	same = ocsp_http_has_copy(r, bytes_of(etag, 66),
	    f->before < f->this_update ? f->this_update : HTTP_DATE_OF_SEVERAL);
	n = snprintf(head, sizeof head, "HTTP/1.1 %s\r\n%.*s",
	    same ? "304 Not Modified" : "200 OK", (int)date.n, date.p);
	if (!same)
		n += snprintf(head + n, sizeof head - (size_t)n,
		    "Content-Type: application/pkix-crl\r\nContent-Length: %llu\r\n",
		    (unsigned long long)f->shared->size);
	n += (int)validators(
	    head + n, sizeof head - (size_t)n, c, f, conf, conn_loop_now(l), etag);
	conn_send_file(c, bytes_of(head, (size_t)n), f->shared, 0,
	    same || conn_is_head(c) ? 0 : f->shared->size, conn_will_close(c));
	return same ? 304 : 200;
}
