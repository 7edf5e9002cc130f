/* client.c - a curl handle, the token's header line and the answer's bytes. */
#include "proxy/ctl/client.h"

#include <assert.h>
#include <curl/curl.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cache/base/secret.h"
#include "proxy/base/version.h"

/* A call may wait as long as the server's longest answer-timeout, which is 300s. */
#define CALL_TIMEOUT_S    310L
#define CONNECT_TIMEOUT_S 5L
/* The server tells a position every 15 s unless it is told otherwise. */
#define SILENT_S 120L
/* Against a server that is none of ours; a list of 100,000 issuers is smaller. */
#define ANSWER_MAX (64u << 20)
#define TOKEN_MAX  4096

struct client {
	CURL *curl;
	char *url;       /* without a '/' at its end */
	char shown[256]; /* what was given as --url, without user and password */
	char *token;     /* "Authorization: Bearer ...", or NULL */
	char *answer;
	size_t answer_n;
	struct curl_slist *fields;                        /* of a stream */
	bool (*sink)(void *arg, const char *p, size_t n); /* of a long answer; or NULL */
	void *sink_arg;
	char error[CURL_ERROR_SIZE];
};

/* The token: printable ASCII without spaces, so that it cannot end its header line. */
static char *token_read(const char *path, char *why, size_t why_n)
{
	static const char field[] = "Authorization: Bearer ";
	char line[TOKEN_MAX], *header = NULL;
	FILE *f = fopen(path, "r");
	size_t n;

	if (f == NULL) {
		snprintf(why, why_n, "%s: %s", path, strerror(errno));
		return NULL;
	}
	if (fgets(line, sizeof line, f) == NULL)
		line[0] = '\0';
	fclose(f);
	n = strcspn(line, "\r\n");
	line[n] = '\0';
	for (size_t i = 0; i < n; i++)
		if (line[i] <= ' ' || line[i] >= 0x7f)
			n = 0;
	if (n == 0) {
		snprintf(why, why_n, "%s: its first line is not a token", path);
		return NULL;
	}
	header = malloc(sizeof field + n);
	if (header == NULL)
		snprintf(why, why_n, "%s", strerror(ENOMEM));
	else
		sprintf(header, "%s%s", field, line);
	return header;
}

/* Where to connect to, and what URLs begin with. */
static int set_address(struct client *c, const char *url, char *why, size_t why_n)
{
	const char *base = url;
	size_t n;

	url_shown(url, c->shown, sizeof c->shown);
	if (strncmp(url, "unix:", 5) == 0) {
		curl_easy_setopt(c->curl, CURLOPT_UNIX_SOCKET_PATH, url + 5);
		base = "http://localhost";
	} else if (strncmp(url, "http://", 7) != 0 && strncmp(url, "https://", 8) != 0) {
		snprintf(why, why_n,
		    "\"%s\" is no server; --url (or OCSPCTL_URL) is http(s)://HOST:PORT "
		    "or "
		    "unix:/PATH",
		    c->shown);
		return -1;
	}
	c->url = strdup(base);
	if (c->url == NULL) {
		snprintf(why, why_n, "%s", strerror(ENOMEM));
		return -1;
	}
	for (n = strlen(c->url); n > 0 && c->url[n - 1] == '/'; n--)
		c->url[n - 1] = '\0';
	return 0;
}

bool client_keep(struct client *c, const char *p, size_t n)
{
	char *bigger;

	assert(c->answer_n <= ANSWER_MAX);
	if (n > ANSWER_MAX - c->answer_n)
		return false;
	bigger = realloc(c->answer, c->answer_n + n + 1);
	if (bigger == NULL)
		return false;
	c->answer = bigger;
	memcpy(c->answer + c->answer_n, p, n);
	c->answer_n += n;
	return true;
}

static size_t on_bytes(char *p, size_t one, size_t n, void *arg)
{
	struct client *c = arg;
	long status = 0;

	curl_easy_getinfo(c->curl, CURLINFO_RESPONSE_CODE, &status);
	if (c->sink != NULL && status == 200)
		return c->sink(c->sink_arg, p, n * one) ? n * one : 0;
	return client_keep(arg, p, n * one) ? n * one : 0;
}

/* The same for every call.  The API is asked directly, whatever proxy the environment
 * names. */
static void set_options(struct client *c)
{
	curl_easy_setopt(c->curl, CURLOPT_PROTOCOLS_STR, "http,https");
	curl_easy_setopt(c->curl, CURLOPT_PROXY, "");
	curl_easy_setopt(c->curl, CURLOPT_NOSIGNAL, 1L);
	curl_easy_setopt(c->curl, CURLOPT_TIMEOUT, CALL_TIMEOUT_S);
	curl_easy_setopt(c->curl, CURLOPT_CONNECTTIMEOUT, CONNECT_TIMEOUT_S);
	curl_easy_setopt(c->curl, CURLOPT_USERAGENT, "ocspctl/" OCSPCACHED_VERSION);
	curl_easy_setopt(c->curl, CURLOPT_ERRORBUFFER, c->error);
	curl_easy_setopt(c->curl, CURLOPT_WRITEFUNCTION, on_bytes);
	curl_easy_setopt(c->curl, CURLOPT_WRITEDATA, c);
}

struct client *client_open(
    const char *url, const char *token_file, const char *ca, char *why, size_t why_n)
{
	struct client *c = calloc(1, sizeof *c);

	if (c == NULL || (c->curl = curl_easy_init()) == NULL) {
		snprintf(why, why_n, "%s", strerror(ENOMEM));
		goto fail;
	}
	set_options(c);
	if (set_address(c, url, why, why_n) != 0)
		goto fail;
	if (ca != NULL)
		curl_easy_setopt(c->curl, CURLOPT_CAINFO, ca);
	if (token_file != NULL) {
		c->token = token_read(token_file, why, why_n);
		if (c->token == NULL)
			goto fail;
	}
	return c;

fail:
	client_close(c);
	return NULL;
}

void client_close(struct client *c)
{
	if (c == NULL)
		return;
	if (c->curl != NULL)
		curl_easy_cleanup(c->curl);
	free(c->url);
	free(c->token);
	free(c->answer);
	free(c);
}

/* What libcurl says, with what it does not know: the socket's path, and what to do. */
static void explain(struct client *c, CURLcode e, char *why, size_t why_n)
{
	const char *words = c->error[0] != '\0' ? c->error : curl_easy_strerror(e);
	long number = 0;

	curl_easy_getinfo(c->curl, CURLINFO_OS_ERRNO, &number);
	if (e != CURLE_COULDNT_CONNECT)
		snprintf(why, why_n, "%s: %s", c->shown, words);
	else
		snprintf(why, why_n,
		    "%s: %s; is ocspcached running, and is this its api-listen?",
		    c->shown, number != 0 ? strerror((int)number) : words);
}

/* Send what was set up. */
static int perform(struct client *c, struct reply *r, char *why, size_t why_n)
{
	CURLcode e;

	c->answer_n = 0;
	c->error[0] = '\0';
	e = curl_easy_perform(c->curl);
	if (e != CURLE_OK) {
		explain(c, e, why, why_n);
		return -1;
	}
	curl_easy_getinfo(c->curl, CURLINFO_RESPONSE_CODE, &r->status);
	r->body = c->answer_n > 0 ? json_loadb(c->answer, c->answer_n, 0, NULL) : NULL;
	return 0;
}

int client_call(struct client *c, const char *method, const char *path,
    const json_t *body, struct reply *r, char *why, size_t why_n)
{
	struct curl_slist *fields = curl_slist_append(NULL, "Accept: application/json");
	char *text = body != NULL ? json_dumps(body, JSON_COMPACT) : NULL;
	char *url = malloc(strlen(c->url) + strlen(path) + 1);
	int e = -1;

	memset(r, 0, sizeof *r);
	if (url == NULL || fields == NULL || (body != NULL && text == NULL)) {
		snprintf(why, why_n, "%s", strerror(ENOMEM));
		goto out;
	}
	sprintf(url, "%s%s", c->url, path);
	/* appending to a list that is not empty keeps its head, or gives NULL and keeps
	 * the list */
	if (text != NULL)
		curl_slist_append(fields, "Content-Type: application/json");
	if (c->token != NULL)
		curl_slist_append(fields, c->token);
	curl_easy_setopt(c->curl, CURLOPT_URL, url);
	curl_easy_setopt(c->curl, CURLOPT_HTTPHEADER, fields);
	if (text != NULL)
		curl_easy_setopt(c->curl, CURLOPT_POSTFIELDS, text);
	else
		curl_easy_setopt(c->curl, CURLOPT_HTTPGET, 1L);
	curl_easy_setopt(c->curl, CURLOPT_CUSTOMREQUEST, method);
	e = perform(c, r, why, why_n);
	curl_easy_setopt(c->curl, CURLOPT_HTTPHEADER, NULL);
out:
	curl_slist_free_all(fields);
	free(text);
	free(url);
	return e;
}

int client_get(struct client *c, const char *path,
    bool (*fn)(void *arg, const char *p, size_t n), void *arg, struct reply *r, char *why,
    size_t why_n)
{
	int e;

	c->sink = fn;
	c->sink_arg = arg;
	e = client_call(c, "GET", path, NULL, r, why, why_n);
	c->sink = NULL;
	return e;
}

/* As long as it takes; a silence of ten minutes is an end: a list of 15 million is
 * written in one. */
#define WRITING_S 600L

struct sending {
	const struct client_body *body;
	bool aborted;
};

static size_t on_read(char *p, size_t one, size_t n, void *arg)
{
	struct sending *s = arg;
	size_t got = s->body->read(s->body->arg, p, one * n);

	s->aborted = got == CLIENT_ABORT;
	return s->aborted ? CURL_READFUNC_ABORT : got;
}

static struct curl_slist *fields_of_body(const struct client *c, const char *type)
{
	struct curl_slist *fields = curl_slist_append(NULL, "Accept: application/json");
	char text[128];

	snprintf(text, sizeof text, "Content-Type: %s", type);
	if (fields != NULL)
		curl_slist_append(fields, text);
	if (fields != NULL && c->token != NULL)
		curl_slist_append(fields, c->token);
	return fields;
}

/* What a call of another kind must find as it was. */
static void reset_sending(struct client *c)
{
	curl_easy_setopt(c->curl, CURLOPT_UPLOAD, 0L);
	curl_easy_setopt(c->curl, CURLOPT_READFUNCTION, NULL);
	curl_easy_setopt(c->curl, CURLOPT_READDATA, NULL);
	curl_easy_setopt(c->curl, CURLOPT_HTTPHEADER, NULL);
	curl_easy_setopt(c->curl, CURLOPT_TIMEOUT, CALL_TIMEOUT_S);
	curl_easy_setopt(c->curl, CURLOPT_LOW_SPEED_TIME, 0L);
}

int client_send(struct client *c, const char *method, const char *path,
    const struct client_body *body, bool (*fn)(void *arg, const char *p, size_t n),
    void *arg, struct reply *r, char *why, size_t why_n)
{
	struct curl_slist *fields = fields_of_body(c, body->type);
	struct sending sending = {body, false};
	char *url = NULL;
	int e = -1;

	memset(r, 0, sizeof *r);
	if (fields == NULL || asprintf(&url, "%s%s", c->url, path) < 0) {
		curl_slist_free_all(fields);
		snprintf(why, why_n, "%s", strerror(ENOMEM));
		return -1;
	}
	c->sink = fn;
	c->sink_arg = arg;
	curl_easy_setopt(c->curl, CURLOPT_URL, url);
	curl_easy_setopt(c->curl, CURLOPT_HTTPHEADER, fields);
	curl_easy_setopt(c->curl, CURLOPT_UPLOAD, 1L);
	curl_easy_setopt(c->curl, CURLOPT_INFILESIZE_LARGE, (curl_off_t)-1);
	curl_easy_setopt(c->curl, CURLOPT_CUSTOMREQUEST, method);
	curl_easy_setopt(c->curl, CURLOPT_READFUNCTION, on_read);
	curl_easy_setopt(c->curl, CURLOPT_READDATA, &sending);
	curl_easy_setopt(c->curl, CURLOPT_TIMEOUT, 0L);
	curl_easy_setopt(c->curl, CURLOPT_LOW_SPEED_LIMIT, 1L);
	curl_easy_setopt(c->curl, CURLOPT_LOW_SPEED_TIME, WRITING_S);
	e = perform(c, r, why, why_n);
	if (sending.aborted)
		snprintf(why, why_n, "given up: nothing has changed");
	reset_sending(c);
	c->sink = NULL;
	curl_slist_free_all(fields);
	free(url);
	return e;
}

void *client_stream(struct client *c, const char *path,
    size_t (*fn)(char *p, size_t one, size_t n, void *arg), void *arg)
{
	char *url = NULL;

	c->fields = curl_slist_append(NULL, "Accept: text/event-stream");
	if (c->fields == NULL || asprintf(&url, "%s%s", c->url, path) < 0) {
		curl_slist_free_all(c->fields);
		c->fields = NULL;
		return NULL;
	}
	if (c->token != NULL)
		curl_slist_append(c->fields, c->token);
	c->answer_n = 0;
	c->error[0] = '\0';
	curl_easy_setopt(c->curl, CURLOPT_URL, url);
	curl_easy_setopt(c->curl, CURLOPT_HTTPHEADER, c->fields);
	curl_easy_setopt(c->curl, CURLOPT_HTTPGET, 1L);
	curl_easy_setopt(c->curl, CURLOPT_TIMEOUT, 0L);
	curl_easy_setopt(c->curl, CURLOPT_LOW_SPEED_LIMIT, 1L);
	curl_easy_setopt(c->curl, CURLOPT_LOW_SPEED_TIME, SILENT_S);
	curl_easy_setopt(c->curl, CURLOPT_TCP_KEEPALIVE, 1L);
	curl_easy_setopt(c->curl, CURLOPT_WRITEFUNCTION, fn);
	curl_easy_setopt(c->curl, CURLOPT_WRITEDATA, arg);
	free(url);
	return c->curl;
}

bool client_is_stream(struct client *c)
{
	static const char stream[] = "text/event-stream";
	const char *type = NULL;
	long status = 0;

	curl_easy_getinfo(c->curl, CURLINFO_RESPONSE_CODE, &status);
	curl_easy_getinfo(c->curl, CURLINFO_CONTENT_TYPE, &type);
	return status == 200 && type != NULL &&
	       strncasecmp(type, stream, sizeof stream - 1) == 0;
}

void client_stream_end(struct client *c, long status, int e, char *why, size_t why_n)
{
	json_t *body =
	    c->answer_n > 0 ? json_loadb(c->answer, c->answer_n, 0, NULL) : NULL;
	const char *message =
	    json_string_value(json_object_get(json_object_get(body, "error"), "message"));

	if (status != 0 && !client_is_stream(c))
		snprintf(why, why_n, "%s: %s (HTTP %ld)", c->shown,
		    message != NULL ? message : "this is no answer of ocspcached",
		    status);
	else if (e == CURLE_OK)
		snprintf(why, why_n, "%s: the stream has ended", c->shown);
	else
		explain(c, (CURLcode)e, why, why_n);
	json_decref(body);
	curl_easy_setopt(c->curl, CURLOPT_HTTPHEADER, NULL);
	curl_slist_free_all(c->fields);
	c->fields = NULL;
}

char *client_path(const char *what, const char *issuer, const char *serial)
{
	char *i = curl_easy_escape(NULL, issuer, 0),
	     *s = curl_easy_escape(NULL, serial, 0);
	size_t n;
	char *path = NULL;

	if (i != NULL && s != NULL) {
		n = sizeof "/v1///" + strlen(what) + strlen(i) + strlen(s);
		path = malloc(n);
		if (path != NULL)
			snprintf(path, n, "/v1/%s/%s/%s", what, i, s);
	}
	curl_free(i);
	curl_free(s);
	return path;
}

char *client_query(const char *what, const char *name, const char *value)
{
	char *v = value != NULL ? curl_easy_escape(NULL, value, 0) : NULL, *path = NULL;

	if (value != NULL && v == NULL)
		return NULL;
	if (asprintf(&path, "/v1/%s%s%s%s%s", what, v != NULL ? "?" : "",
		v != NULL ? name : "", v != NULL ? "=" : "", v != NULL ? v : "") < 0)
		path = NULL;
	curl_free(v);
	return path;
}

bool client_add_query(char **path, const char *name, const char *value)
{
	char *v =
	    value != NULL && *path != NULL ? curl_easy_escape(NULL, value, 0) : NULL;
	char *out = NULL;

	if (value == NULL || *path == NULL)
		return *path != NULL;
	if (v == NULL || asprintf(&out, "%s%s%s=%s", *path,
			     strchr(*path, '?') != NULL ? "&" : "?", name, v) < 0)
		out = NULL;
	curl_free(v);
	free(*path);
	*path = out;
	return out != NULL;
}

char *client_name_path(
    const char *what, const char *name, const char *issuer, const char *serial)
{
	char *n = curl_easy_escape(NULL, name, 0), *under = NULL, *path = NULL;

	if (issuer != NULL)
		under = client_path("", issuer, serial); /* "/v1//ISSUER/SERIAL" */
	if (n == NULL || (issuer != NULL && under == NULL) ||
	    asprintf(&path, "/v1/%s/%s%s", what, n, under != NULL ? under + 4 : "") < 0)
		path = NULL;
	curl_free(n);
	free(under);
	return path;
}
