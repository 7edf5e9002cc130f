/* http1.c - one pass from the first byte to the last, and an error is found at its byte:
 * what a prefix of a head is refused with, the whole head is refused with too, so that it
 * does not matter in which pieces a head arrives (the fuzz target holds us to that).
 *
 * This is on the path of every hit.  Targets and values are scanned eight bytes at a
 * time; a GET of 240 bytes with four headers costs about 100 ns.
 */
#include "proxy/http/http1.h"

#include <assert.h>
#include <time.h>

#define MORE (-1)

/* Classes of octets. */
#define TOKEN 1u /* tchar, RFC 9110 section 5.6.2 */
#define HOST  2u /* of a reg-name, RFC 3986 section 3.2.2; also '%' */
#define BAD   4u /* never in a header's value: controls but HTAB */
#define WILD  8u /* never in a target: controls, space, '#', all that is not ASCII */
#define DIGIT 16u
#define HEX   32u

static const uint8_t class[256] = {
    [0 ... 8] = BAD | WILD,
    ['\t'] = WILD,
    [10 ... 31] = BAD | WILD,
    [' '] = WILD,
    ['!'] = TOKEN | HOST,
    ['#'] = TOKEN | WILD,
    ['$'] = TOKEN | HOST,
    ['%'] = TOKEN | HOST,
    ['&'] = TOKEN | HOST,
    ['\''] = TOKEN | HOST,
    ['('] = HOST,
    [')'] = HOST,
    ['*'] = TOKEN | HOST,
    ['+'] = TOKEN | HOST,
    [','] = HOST,
    ['-'] = TOKEN | HOST,
    ['.'] = TOKEN | HOST,
    ['0' ... '9'] = TOKEN | HOST | DIGIT | HEX,
    [';'] = HOST,
    ['='] = HOST,
    ['A' ... 'F'] = TOKEN | HOST | HEX,
    ['G' ... 'Z'] = TOKEN | HOST,
    ['^'] = TOKEN,
    ['_'] = TOKEN | HOST,
    ['`'] = TOKEN,
    ['a' ... 'f'] = TOKEN | HOST | HEX,
    ['g' ... 'z'] = TOKEN | HOST,
    ['|'] = TOKEN,
    ['~'] = TOKEN | HOST,
    [127] = BAD | WILD,
    [128 ... 255] = WILD,
};

static bool is(char c, unsigned classes)
{
	return class[(uint8_t)c] & classes;
}

/* Eight octets at a time; each test gives nonzero when there is such an octet. */
#define ONES  UINT64_C(0x0101010101010101)
#define HIGHS (ONES * 0x80)

static inline uint64_t load(const char *p)
{
	uint64_t w;

	memcpy(&w, p, sizeof w);
	return w;
}

static inline uint64_t has_below(uint64_t w, uint8_t n)
{
	return (w - ONES * n) & ~w & HIGHS;
}

static inline uint64_t has(uint64_t w, char c)
{
	return has_below(w ^ ONES * (uint8_t)c, 1);
}

/* The first octet that no value may have, or end. */
static const char *scan_value(const char *p, const char *end)
{
	while (p < end) {
		const char *stop;

		while (end - p >= 8 && !(has_below(load(p), ' ') | has(load(p), 127)))
			p += 8;
		/* Here is one, or a HTAB, or the end is near. */
		for (stop = end - p < 8 ? end : p + 8; p < stop; p++) {
			if (is(*p, BAD))
				return p;
		}
	}
	return p;
}

static inline uint64_t has_wild(uint64_t w)
{
	return has_below(w, ' ' + 1) | has(w, 127) | has(w, '#') | (w & HIGHS);
}

/* The first octet that no target may have, or end. */
static const char *scan_target(const char *p, const char *end)
{
	while (end - p >= 8 && !has_wild(load(p)))
		p += 8;
	while (p < end && !is(*p, WILD))
		p++;
	return p;
}

static const char *scan_token(const char *p, const char *end)
{
	while (p < end && is(*p, TOKEN))
		p++;
	return p;
}

static struct bytes between(const char *p, const char *end)
{
	return bytes_of(p, (size_t)(end - p));
}

/* Compare without case; text is lower case, without '@' and the like. */
static bool same(struct bytes b, const char *text)
{
	size_t n = strlen(text);

	if (b.n != n)
		return false;
	for (size_t i = 0; i < n; i++) {
		uint8_t c = b.p[i];

		if ((c >= 'A' && c <= 'Z' ? c | 0x20 : c) != (uint8_t)text[i])
			return false;
	}
	return true;
}

static bool is_space(uint8_t c)
{
	return c == ' ' || c == '\t';
}

static struct bytes trim(struct bytes b)
{
	while (b.n > 0 && is_space(b.p[0])) {
		b.p++;
		b.n--;
	}
	while (b.n > 0 && is_space(b.p[b.n - 1]))
		b.n--;
	return b;
}

/* Take the next element off a comma-separated list; false at its end. */
static bool list_next(struct bytes *list, struct bytes *element)
{
	const uint8_t *comma;

	if (list->n == 0)
		return false;
	comma = memchr(list->p, ',', list->n);
	if (comma == NULL) {
		*element = trim(*list);
		list->n = 0;
		return true;
	}
	*element = trim(bytes_of(list->p, (size_t)(comma - list->p)));
	list->n -= (size_t)(comma + 1 - list->p);
	list->p = comma + 1;
	return true;
}

static bool port_is_valid(const char *p, const char *end)
{
	unsigned port = 0;

	for (; p < end; p++) {
		if (!is(*p, DIGIT))
			return false;
		port = 10 * port + (unsigned)(*p - '0');
		if (port > 65535)
			return false;
	}
	return true;
}

/* The end of an IPv6 literal, after its ']'; NULL for none. */
static const char *skip_literal(const char *p, const char *end)
{
	for (p++; p < end && (is(*p, HEX) || *p == ':' || *p == '.'); p++)
		;
	return p < end && *p == ']' ? p + 1 : NULL;
}

static const char *skip_name(const char *p, const char *end)
{
	for (; p < end && is(*p, HOST); p++) {
		if (*p == '%' && (end - p < 3 || !is(p[1], HEX) || !is(p[2], HEX)))
			return NULL;
	}
	return p;
}

/* host[:port], no userinfo; a port may be empty (RFC 3986 section 3.2.3), a host not. */
static bool authority_is_valid(struct bytes b)
{
	const char *begin = (const char *)b.p, *end = begin + b.n, *p;

	if (b.n == 0)
		return false;
	p = *begin == '[' ? skip_literal(begin, end) : skip_name(begin, end);
	if (p == NULL || p == begin)
		return false;
	return p == end || (*p == ':' && port_is_valid(p + 1, end));
}

static void set_path(struct http1_request *r, const char *p, const char *end)
{
	const char *mark = memchr(p, '?', (size_t)(end - p));

	r->path = between(p, mark != NULL ? mark : end);
	if (mark != NULL)
		r->query = between(mark + 1, end);
}

/* http://authority[/path][?query].  https is taken as well: the router knows who may ask
 * for it, and sees it in the target. */
static int parse_absolute(struct http1_request *r, const char *p, const char *end)
{
	const char *slashes = memchr(p, ':', (size_t)(end - p)), *authority;
	struct bytes scheme;

	if (slashes == NULL || end - slashes < 3 || memcmp(slashes, "://", 3) != 0)
		return 400;
	scheme = between(p, slashes);
	if (!same(scheme, "http") && !same(scheme, "https"))
		return 400;
	p = authority = slashes + 3;
	while (p < end && *p != '/' && *p != '?')
		p++;
	r->authority = between(authority, p);
	if (!authority_is_valid(r->authority))
		return 400;
	set_path(r, p, end);
	/* Without a path it is "/" (RFC 9110 section 4.2.3): that of the scheme will do.
	 */
	if (r->path.n == 0)
		r->path = bytes_of(slashes + 1, 1);
	return 0;
}

/* The four forms of RFC 9112 section 3.2; asterisk and authority only where they belong.
 */
static int parse_target(struct http1_request *r)
{
	const char *p = (const char *)r->target.p, *end = p + r->target.n;

	if (bytes_equal(r->method_text, bytes_of("CONNECT", 7)))
		return authority_is_valid(r->target) ? 0 : 400;
	if (*p == '/') {
		set_path(r, p, end);
		return 0;
	}
	if (end - p == 1 && *p == '*') {
		r->path = r->target;
		return bytes_equal(r->method_text, bytes_of("OPTIONS", 7)) ? 0 : 400;
	}
	return parse_absolute(r, p, end);
}

static enum http1_method method_of(struct bytes text)
{
	static const struct {
		const char *name;
		enum http1_method method;
	} row[] = {{"GET", HTTP1_GET}, {"POST", HTTP1_POST}, {"HEAD", HTTP1_HEAD},
	    {"PUT", HTTP1_PUT}, {"DELETE", HTTP1_DELETE}};

	for (size_t i = 0; i < sizeof row / sizeof row[0]; i++) {
		if (bytes_equal(text, bytes_of(row[i].name, strlen(row[i].name))))
			return row[i].method;
	}
	return HTTP1_OTHER;
}

static int parse_version(struct http1_request *r, const char **at, const char *end)
{
	static const char form[] = "HTTP/1.1\r\n";
	const char *p = *at;

	for (int i = 0; form[i] != '\0'; i++, p++) {
		if (p == end)
			return MORE;
		if (*p == form[i])
			continue;
		if (i == 5 && is(*p, DIGIT))
			return 505;
		/* A minor version that we do not know is spoken to as 1.1 (RFC 9110
		 * section 2.5). */
		if (i != 7 || !is(*p, DIGIT))
			return 400;
	}
	r->minor = p[-3] == '0' ? 0 : 1;
	*at = p;
	return 0;
}

static int parse_line(
    struct http1_request *r, const char **at, const char *end, size_t target_max)
{
	const char *p = *at, *stop = scan_token(p, end);
	int status;

	if (stop == end)
		return MORE;
	if (stop == p || *stop != ' ')
		return 400;
	r->method_text = between(p, stop);
	r->method = method_of(r->method_text);

	p = stop + 1;
	stop = scan_target(p, (size_t)(end - p) > target_max ? p + target_max + 1 : end);
	if ((size_t)(stop - p) > target_max)
		return 414;
	if (stop == end)
		return MORE;
	if (stop == p || *stop != ' ')
		return 400;
	r->target = between(p, stop);
	status = parse_target(r);
	*at = stop + 1;
	return status != 0 ? status : parse_version(r, at, end);
}

/* What has to be known of the headers until the last of them. */
struct fields {
	bool host, coding, authorization;
	bool close, keep_alive;
};

/* An empty value is valid: a client sends it when its URI has no authority (RFC 9112
 * section 3.2), and nothing here depends on Host. */
static int take_host(struct http1_request *r, struct fields *seen, struct bytes value)
{
	if (seen->host || (value.n > 0 && !authority_is_valid(value)))
		return 400;
	seen->host = true;
	r->host = value;
	return 0;
}

static int take_length(struct http1_request *r, struct bytes value)
{
	bool over = false;

	if (r->has_length || value.n == 0)
		return 400;
	for (size_t i = 0; i < value.n; i++) {
		if (!is((char)value.p[i], DIGIT))
			return 400;
		over = over || r->length > (UINT64_MAX - 9) / 10;
		r->length = 10 * r->length + (uint64_t)(value.p[i] - '0');
	}
	r->has_length = true;
	return over ? 413 : 0;
}

static int take_coding(struct http1_request *r, struct fields *seen, struct bytes value)
{
	/* HTTP/1.0 has no transfer codings: a proxy of that age may have passed it on
	 * without knowing where the body ends (RFC 9112 section 6.1). */
	if (seen->coding || value.n == 0 || r->minor == 0)
		return 400;
	seen->coding = true;
	r->chunked = same(value, "chunked");
	return r->chunked ? 0 : 501;
}

static int take_authorization(
    struct http1_request *r, struct fields *seen, struct bytes value)
{
	if (seen->authorization)
		return 400;
	seen->authorization = true;
	r->authorization = value;
	return 0;
}

/* The list may be empty (RFC 9110 section 10.1.1), and HTTP/1.0 knows no 100. */
static int take_expect(struct http1_request *r, struct bytes value)
{
	if (value.n == 0)
		return 0;
	if (!same(value, "100-continue"))
		return 417;
	r->expect_continue = r->minor == 1;
	return 0;
}

static void take_connection(struct fields *seen, struct bytes value)
{
	struct bytes option;

	while (list_next(&value, &option)) {
		if (same(option, "close"))
			seen->close = true;
		else if (same(option, "keep-alive"))
			seen->keep_alive = true;
	}
}

static void take_cache_control(struct http1_request *r, struct bytes value)
{
	struct bytes directive;

	while (list_next(&value, &directive)) {
		if (same(directive, "no-cache") || same(directive, "max-age=0"))
			r->no_cache = true;
		else if (same(directive, "only-if-cached"))
			r->only_if_cached = true;
	}
}

/* Of a header that may come once only and means nothing for framing, the first counts. */
static void take_first(struct bytes *field, struct bytes value)
{
	if (field->p == NULL)
		*field = value;
}

/* By length first: most headers of most clients are none of these. */
static int take_header(
    struct http1_request *r, struct fields *seen, struct bytes name, struct bytes value)
{
	switch (name.n) {
	case 4:
		return same(name, "host") ? take_host(r, seen, value) : 0;
	case 6:
		if (same(name, "accept"))
			take_first(&r->accept, value);
		else if (same(name, "expect"))
			return take_expect(r, value);
		else if (same(name, "pragma"))
			r->no_cache = r->no_cache || same(value, "no-cache");
		return 0;
	case 10:
		if (same(name, "connection"))
			take_connection(seen, value);
		return 0;
	case 12:
		if (same(name, "content-type"))
			take_first(&r->content_type, value);
		return 0;
	case 13:
		if (same(name, "cache-control"))
			take_cache_control(r, value);
		else if (same(name, "if-none-match"))
			take_first(&r->if_none_match, value);
		else if (same(name, "authorization"))
			return take_authorization(r, seen, value);
		else if (same(name, "last-event-id"))
			take_first(&r->last_event_id, value);
		return 0;
	case 14:
		return same(name, "content-length") ? take_length(r, value) : 0;
	case 17:
		if (same(name, "transfer-encoding"))
			return take_coding(r, seen, value);
		if (same(name, "if-modified-since"))
			take_first(&r->if_modified_since, value);
		return 0;
	default:
		return 0;
	}
}

/* One line "name: value" CR LF.  A line that begins with a space continues the one before
 * (obs-fold), and a space before the colon hides a name: neither begins with a token that
 * ends in a colon. */
static int parse_header(
    struct http1_request *r, struct fields *seen, const char **at, const char *end)
{
	const char *p = *at, *colon = scan_token(p, end), *stop;

	if (colon == end)
		return MORE;
	if (colon == p || *colon != ':')
		return 400;
	stop = scan_value(colon + 1, end);
	if (stop == end)
		return MORE;
	if (*stop != '\r')
		return 400;
	if (stop + 1 == end)
		return MORE;
	if (stop[1] != '\n')
		return 400;
	*at = stop + 2;
	return take_header(r, seen, between(p, colon), trim(between(colon + 1, stop)));
}

/* CR LF at *at: 0; MORE; another octet than CR: 1; CR without LF: 400. */
static int parse_empty(const char **at, const char *end)
{
	if (*at == end)
		return MORE;
	if (**at != '\r')
		return 1;
	if (*at + 1 == end)
		return MORE;
	if ((*at)[1] != '\n')
		return 400;
	*at += 2;
	return 0;
}

static int check_head(struct http1_request *r, const struct fields *seen)
{
	/* R35 */
	if (r->minor == 1 && !seen->host)
		return 400;
	/* One of the two is a lie (RFC 9112 section 6.3), and we do not guess which. */
	if (r->chunked && r->has_length)
		return 400;
	r->keep_alive = !seen->close && (r->minor == 1 || seen->keep_alive);
	return 0;
}

static int parse_head(
    struct http1_request *r, const char *buf, const char *end, size_t target_max)
{
	struct fields seen = {0};
	const char *p = buf;
	int status = parse_empty(&p, end);

	if (status == MORE || status == 400)
		return status;
	status = parse_line(r, &p, end, target_max);
	if (status != 0)
		return status;
	while ((status = parse_empty(&p, end)) == 1) {
		status = parse_header(r, &seen, &p, end);
		if (status != 0)
			return status;
	}
	if (status != 0)
		return status;
	r->head_n = (size_t)(p - buf);
	return check_head(r, &seen);
}

int http1_parse(
    struct http1_request *r, const char *buf, size_t n, const struct http1_limits *limits)
{
	size_t seen = n < limits->head ? n : limits->head;
	int status;

	assert(buf != NULL || n == 0);
	*r = (struct http1_request){0};
	status = parse_head(r, buf, buf + seen, limits->target);
	return status == MORE && n > limits->head ? 431 : status;
}

enum {
	CHUNK_SIZE_FIRST, /* at least one digit */
	CHUNK_SIZE,
	CHUNK_EXTENSION,
	CHUNK_SIZE_LF,
	CHUNK_DATA,
	CHUNK_DATA_CR,
	CHUNK_DATA_LF,
	TRAILER_FIRST,
	TRAILER_NAME,
	TRAILER_VALUE,
	TRAILER_LF,
	CHUNKED_LF,
	CHUNKED_END
};

/* A size needs 16 digits; what else is on the line nobody asked for. */
#define CHUNK_LINE_MAX 200
/* As for a head: trailers are dropped, but they are read. */
#define TRAILERS_MAX 8192

void http1_chunked_start(struct http1_chunked *c)
{
	*c = (struct http1_chunked){.state = CHUNK_SIZE_FIRST};
}

static int take_digit(struct http1_chunked *c, char octet)
{
	if (c->left >> 60 != 0)
		return 400;
	c->left = c->left << 4 | (uint64_t)hex_value((unsigned char)octet);
	c->state = CHUNK_SIZE;
	return 0;
}

/* RFC 9112 section 7.1 lets spaces come before an extension; hardly anybody sends them,
 * and servers read them differently: refused. */
static int take_size(struct http1_chunked *c, char octet)
{
	if (c->line_n++ >= CHUNK_LINE_MAX)
		return 400;
	if (c->state != CHUNK_EXTENSION && is(octet, HEX))
		return take_digit(c, octet);
	if (c->state == CHUNK_SIZE_FIRST)
		return 400;
	if (octet == '\r')
		c->state = CHUNK_SIZE_LF;
	else if (c->state == CHUNK_SIZE && octet == ';')
		c->state = CHUNK_EXTENSION;
	else if (c->state == CHUNK_SIZE || is(octet, BAD))
		return 400;
	return 0;
}

static int take_lf(struct http1_chunked *c, char octet, uint8_t next)
{
	if (octet != '\n')
		return 400;
	c->state = next;
	c->line_n = 0;
	return 0;
}

static int take_trailer(struct http1_chunked *c, char octet)
{
	if (++c->trailer_n > TRAILERS_MAX)
		return 431;
	if (c->state == TRAILER_FIRST && octet == '\r')
		c->state = CHUNKED_LF;
	else if (c->state == TRAILER_VALUE && octet == '\r')
		c->state = TRAILER_LF;
	else if (c->state == TRAILER_VALUE)
		return is(octet, BAD) ? 400 : 0;
	else if (is(octet, TOKEN))
		c->state = TRAILER_NAME;
	else if (c->state == TRAILER_NAME && octet == ':')
		c->state = TRAILER_VALUE;
	else
		return 400;
	return 0;
}

static int take_octet(struct http1_chunked *c, char octet)
{
	switch (c->state) {
	case CHUNK_SIZE_LF:
		return take_lf(c, octet, c->left > 0 ? CHUNK_DATA : TRAILER_FIRST);
	case CHUNK_DATA_CR:
		c->state = CHUNK_DATA_LF;
		return octet == '\r' ? 0 : 400;
	case CHUNK_DATA_LF:
		return take_lf(c, octet, CHUNK_SIZE_FIRST);
	case TRAILER_FIRST:
	case TRAILER_NAME:
	case TRAILER_VALUE:
		return take_trailer(c, octet);
	case TRAILER_LF:
		return take_lf(c, octet, TRAILER_FIRST);
	case CHUNKED_LF:
		return take_lf(c, octet, CHUNKED_END);
	default:
		return take_size(c, octet);
	}
}

int http1_chunked_feed(
    struct http1_chunked *c, const char *in, size_t n, size_t *used, struct bytes *data)
{
	int status = 0;

	*used = 0;
	*data = bytes_of(NULL, 0);
	while (status == 0 && *used < n && c->state != CHUNKED_END) {
		if (c->state == CHUNK_DATA) {
			size_t room = n - *used;

			*data =
			    bytes_of(in + *used, c->left < room ? (size_t)c->left : room);
			*used += data->n;
			c->left -= data->n;
			if (c->left == 0)
				c->state = CHUNK_DATA_CR;
			return 0;
		}
		status = take_octet(c, in[(*used)++]);
	}
	return status == 0 && c->state == CHUNKED_END ? 1 : status;
}

const char *http1_reason(int status)
{
	static const struct {
		int status;
		const char *reason;
	} row[] = {{100, "Continue"}, {200, "OK"}, {201, "Created"}, {202, "Accepted"},
	    {204, "No Content"}, {304, "Not Modified"}, {400, "Bad Request"},
	    {401, "Unauthorized"}, {403, "Forbidden"}, {404, "Not Found"},
	    {405, "Method Not Allowed"}, {408, "Request Timeout"}, {409, "Conflict"},
	    {411, "Length Required"}, {413, "Content Too Large"}, {414, "URI Too Long"},
	    {415, "Unsupported Media Type"}, {417, "Expectation Failed"},
	    {422, "Unprocessable Content"}, {429, "Too Many Requests"},
	    {431, "Request Header Fields Too Large"}, {500, "Internal Server Error"},
	    {501, "Not Implemented"}, {502, "Bad Gateway"}, {503, "Service Unavailable"},
	    {504, "Gateway Timeout"}, {505, "HTTP Version Not Supported"},
	    {507, "Insufficient Storage"}};

	for (size_t i = 0; i < sizeof row / sizeof row[0]; i++) {
		if (row[i].status == status)
			return row[i].reason;
	}
	return "Unknown";
}

static const char weekdays[7][10] = {
    "Sunday", "Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday"};
static const char months[12][4] = {
    "Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"};

/* 0000-01-01 and 9999-12-31T23:59:59: the form has four digits for the year. */
#define DATE_FIRST INT64_C(-62167219200)
#define DATE_LAST  INT64_C(253402300799)

static void put_digits(char *out, int n, int value)
{
	while (n-- > 0) {
		out[n] = (char)('0' + value % 10);
		value /= 10;
	}
}

void http1_date(int64_t at, char out[HTTP1_DATE_MAX])
{
	time_t t = at < DATE_FIRST ? DATE_FIRST : at > DATE_LAST ? DATE_LAST : at;
	struct tm tm;

	gmtime_r(&t, &tm);
	memcpy(out, "Sun, 06 Nov 1994 08:49:37 GMT", HTTP1_DATE_MAX);
	memcpy(out, weekdays[tm.tm_wday], 3);
	put_digits(out + 5, 2, tm.tm_mday);
	memcpy(out + 8, months[tm.tm_mon], 3);
	put_digits(out + 12, 4, tm.tm_year + 1900);
	put_digits(out + 17, 2, tm.tm_hour);
	put_digits(out + 20, 2, tm.tm_min);
	put_digits(out + 23, 2, tm.tm_sec);
}

/* n digits at p, or -1. */
static int read_digits(const char *p, int n)
{
	int value = 0;

	for (; n-- > 0; p++) {
		if (!is(*p, DIGIT))
			return -1;
		value = 10 * value + (*p - '0');
	}
	return value;
}

static int read_month(const char *p)
{
	for (int i = 0; i < 12; i++) {
		if (memcmp(p, months[i], 3) == 0)
			return i;
	}
	return -1;
}

/* Does it begin with a weekday: 3 letters, or all of them (long_form)?  Its length, or 0.
 */
static size_t skip_weekday(const char *p, size_t n, bool long_form)
{
	for (int i = 0; i < 7; i++) {
		size_t length = long_form ? strlen(weekdays[i]) : 3;

		if (n > length && memcmp(p, weekdays[i], length) == 0)
			return length;
	}
	return 0;
}

/* "08:49:37" */
static bool read_clock(const char *p, struct tm *tm)
{
	tm->tm_hour = read_digits(p, 2);
	tm->tm_min = read_digits(p + 3, 2);
	tm->tm_sec = read_digits(p + 6, 2);
	return p[2] == ':' && p[5] == ':' && tm->tm_hour >= 0 && tm->tm_hour < 24 &&
	       tm->tm_min >= 0 && tm->tm_min < 60 && tm->tm_sec >= 0 && tm->tm_sec <= 60;
}

/* "06 Nov 1994 08:49:37 GMT", or with '-' and a year of two digits. */
static bool read_day_first(
    const char *p, char between_them, int year_digits, struct tm *tm)
{
	const char *after = p + 7 + year_digits;

	tm->tm_mday = read_digits(p, 2);
	tm->tm_mon = read_month(p + 3);
	tm->tm_year = read_digits(p + 7, year_digits);
	/* No clock here to tell which century is meant: as strptime() does it. */
	if (year_digits == 2 && tm->tm_year >= 0)
		tm->tm_year += tm->tm_year < 70 ? 2000 : 1900;
	return p[2] == between_them && p[6] == between_them && after[0] == ' ' &&
	       read_clock(after + 1, tm) && memcmp(after + 9, " GMT", 4) == 0;
}

/* "Nov  6 08:49:37 1994" */
static bool read_asctime(const char *p, struct tm *tm)
{
	tm->tm_mon = read_month(p);
	tm->tm_mday = p[4] == ' ' ? read_digits(p + 5, 1) : read_digits(p + 4, 2);
	tm->tm_year = read_digits(p + 16, 4);
	return p[3] == ' ' && p[6] == ' ' && p[15] == ' ' && read_clock(p + 7, tm);
}

static bool read_date(const char *p, size_t n, struct tm *tm)
{
	size_t day = skip_weekday(p, n, true);

	if (day > 0 && n - day == 24 && memcmp(p + day, ", ", 2) == 0)
		return read_day_first(p + day + 2, '-', 2, tm);
	day = skip_weekday(p, n, false);
	if (day > 0 && n == 29 && memcmp(p + day, ", ", 2) == 0)
		return read_day_first(p + day + 2, ' ', 4, tm);
	return day > 0 && n == 24 && p[day] == ' ' && read_asctime(p + day + 1, tm);
}

bool http1_date_parse(struct bytes in, int64_t *at)
{
	struct tm tm = {0}, again;
	int second;

	if (in.n == 0 || !read_date((const char *)in.p, in.n, &tm))
		return false;
	if (tm.tm_mon < 0 || tm.tm_mday < 1 || tm.tm_year < 0)
		return false;
	/* A leap second is the first one of the next minute; a 31 November is nothing. */
	second = tm.tm_sec;
	tm.tm_sec = 0;
	tm.tm_year -= 1900;
	again = tm;
	*at = (int64_t)timegm(&again) + second;
	return again.tm_mday == tm.tm_mday && again.tm_mon == tm.tm_mon;
}

static struct bytes strong(struct bytes etag)
{
	if (etag.n >= 2 && memcmp(etag.p, "W/", 2) == 0)
		return bytes_of(etag.p + 2, etag.n - 2);
	return etag;
}

/* Tags may have commas within their quotes, so this is not list_next(). */
bool http1_etag_match(struct bytes list, struct bytes etag)
{
	const uint8_t *quote;
	size_t n;

	etag = strong(etag);
	list = trim(list);
	if (bytes_equal(list, bytes_of("*", 1)))
		return true;
	while (list.n > 0) {
		if (is_space(list.p[0]) || list.p[0] == ',') {
			list = bytes_of(list.p + 1, list.n - 1);
			continue;
		}
		list = strong(list);
		if (list.n < 2 || list.p[0] != '"')
			return false;
		quote = memchr(list.p + 1, '"', list.n - 1);
		if (quote == NULL)
			return false;
		n = (size_t)(quote + 1 - list.p);
		if (bytes_equal(bytes_of(list.p, n), etag))
			return true;
		list = bytes_of(list.p + n, list.n - n);
		if (list.n > 0 && !is_space(list.p[0]) && list.p[0] != ',')
			return false;
	}
	return false;
}
