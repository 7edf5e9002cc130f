/* A head, and the chunked body after it, are read the same way whole and octet by octet.
 */
#include "proxy/http/http1.h"

#include <stdlib.h>

#define MUST(x)                                                                          \
	do {                                                                             \
		if (!(x))                                                                \
			abort();                                                         \
	} while (0)

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

static bool within(struct bytes b, const char *buf, size_t n)
{
	return b.n == 0 ||
	       ((const char *)b.p >= buf && (const char *)b.p + b.n <= buf + n);
}

static void check_fields(const struct http1_request *r, const char *buf, size_t n)
{
	const struct bytes field[] = {r->method_text, r->target, r->authority, r->path,
	    r->query, r->host, r->if_none_match, r->if_modified_since, r->content_type,
	    r->accept, r->authorization, r->last_event_id};
	int64_t at;

	MUST(r->head_n <= n && r->target.n > 0 && (r->minor == 0 || r->minor == 1));
	MUST(!(r->chunked && (r->has_length || r->minor == 0)));
	for (size_t i = 0; i < sizeof field / sizeof field[0]; i++) {
		MUST(within(field[i], buf, r->head_n));
		MUST(field[i].n == 0 || memchr(field[i].p, '\n', field[i].n) == NULL);
	}
	if (r->if_modified_since.n > 0 && http1_date_parse(r->if_modified_since, &at)) {
		char text[HTTP1_DATE_MAX];
		int64_t back;

		http1_date(at, text);
		MUST(http1_date_parse(bytes_of(text, HTTP1_DATE_MAX - 1), &back));
	}
	(void)http1_etag_match(r->if_none_match, bytes_of("\"tag\"", 5));
}

/* The digest of a body: its length and an FNV-1a hash. */
struct body {
	int status;
	size_t used, n;
	uint32_t hash;
};

static struct body read_chunked(const char *in, size_t n, size_t piece)
{
	struct body b = {.hash = 2166136261u};
	struct http1_chunked c;

	http1_chunked_start(&c);
	while (b.status == 0 && b.used < n) {
		size_t room = n - b.used < piece ? n - b.used : piece, used;
		struct bytes data;

		b.status = http1_chunked_feed(&c, in + b.used, room, &used, &data);
		MUST(used > 0 && used <= room && within(data, in + b.used, used));
		b.used += used;
		b.n += data.n;
		for (size_t i = 0; i < data.n; i++)
			b.hash = (b.hash ^ data.p[i]) * 16777619u;
	}
	MUST(b.status == 0 || b.status == 1 || b.status == 400 || b.status == 431);
	return b;
}

static void check_chunked(const char *in, size_t n)
{
	struct body whole = read_chunked(in, n, n), octets = read_chunked(in, n, 1);

	MUST(whole.status == octets.status && whole.used == octets.used);
	MUST(whole.n == octets.n && whole.hash == octets.hash);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	const struct http1_limits limits = {.head = 600, .target = 200};
	const char *buf = (const char *)data;
	struct http1_request whole, part;
	int status = http1_parse(&whole, buf, n, &limits), first = -1;
	size_t i = 0;

	while (first == -1 && i <= n)
		first = http1_parse(&part, buf, i++, &limits);
	MUST(first == status);
	MUST(status == -1 || status == 0 || (status >= 400 && status <= 505));
	MUST(status != -1 || n <= limits.head);
	if (status == 0) {
		MUST(whole.head_n == part.head_n && whole.head_n == i - 1);
		check_fields(&whole, buf, n);
		check_chunked(buf + whole.head_n, n - whole.head_n);
	}
	check_chunked(buf, n);
	return 0;
}
