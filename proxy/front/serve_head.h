/* serve_head.h - the heads of the front's answers, written without printf.
 *
 * One for each worker.  What a function returns stays until the next one is called;
 * conn_send() copies it.  Each ends with the empty line, and the Connection line that the
 * current request of c needs is in it.
 */
#ifndef PROXY_FRONT_SERVE_HEAD_H
#define PROXY_FRONT_SERVE_HEAD_H

#include "cache/held/answer.h"
#include "proxy/http/conn.h"
#include "proxy/keeper/ask.h"

struct serve_head {
	struct conn_loop *loop;
	/* The start of a 200's, made anew each second: */
	int64_t start_at;
	size_t start_n;
	char start[128];
	char text[CONN_HEAD_MAX];
};

void serve_head_init(struct serve_head *h, struct conn_loop *l);

/* 200 with a, up to where answer_head() or answer_wire() goes on.  tier: where it is from
 * (Cache-Status, RFC 9211); one to a client's own nonce is for nobody else (R86). */
struct bytes serve_head_answer(struct serve_head *h, const struct conn *c,
    const struct answer *a, int64_t now, enum tier tier);
/* 304: the client has a. */
struct bytes serve_head_not_modified(
    struct serve_head *h, const struct conn *c, const struct answer *a, int64_t now);
/* 200 with a short body that may not be kept; it is behind the head, but in the answer to
 * a HEAD.  type: a Content-Type.  All of it has to fit into CONN_HEAD_MAX. */
struct bytes serve_head_with(
    struct serve_head *h, const struct conn *c, const char *type, struct bytes body);

#endif
