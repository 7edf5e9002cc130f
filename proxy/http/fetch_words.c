/* fetch_words.c - a server's words made harmless, and a sentence for each end of a fetch.
 */
#include "proxy/http/fetch_words.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

void fetch_quote(char out[FETCH_QUOTE_MAX], const char *text, size_t n)
{
	size_t used = 0;

	for (size_t i = 0; i < n; i++) {
		unsigned char c = (unsigned char)text[i];

		if (used + 3 + sizeof "..." > FETCH_QUOTE_MAX) {
			memcpy(out + used, "...", 3);
			used += 3;
			break;
		}
		if (c > ' ' && c < 0x7f && c != '"')
			out[used++] = (char)c;
		else
			used += (size_t)sprintf(out + used, "%%%02X", c);
	}
	out[used] = '\0';
}

void fetch_quote_url(char out[FETCH_QUOTE_MAX], const char *url)
{
	char masked[4 * FETCH_QUOTE_MAX];
	const char *p = strstr(url, "//"), *at;

	p = p == NULL ? url : p + 2;
	at = p == url ? NULL : memrchr(p, '@', strcspn(p, "/?#"));
	if (at == NULL) {
		fetch_quote(out, url, strlen(url));
		return;
	}
	snprintf(masked, sizeof masked, "%.*s***%s", (int)(p - url), url, at);
	fetch_quote(out, masked, strlen(masked));
}

__attribute__((format(printf, 2, 3))) static void say(char *out, const char *format, ...)
{
	size_t n = strlen(out);
	va_list ap;

	va_start(ap, format);
	vsnprintf(out + n, FETCH_WORDS_MAX - n, format, ap);
	va_end(ap);
}

/* What to do about a status that is no redirect; "" where nobody knows. */
static const char *status_remedy(int status)
{
	switch (status) {
	case 401:
	case 403:
		return "; whoever runs it has to let this machine in";
	case 404:
	case 410:
		return "; compare the URL with the one in the CA's certificates";
	case 429:
		return "; ask less often: fetch-rate, crl-interval";
	default:
		return status / 100 == 5 ? "; the fault is there: tell whoever runs it"
					 : "";
	}
}

static void say_status(char *out, const struct fetch_end *e)
{
	char place[FETCH_QUOTE_MAX];

	say(out, "HTTP status %d%s", e->status, status_remedy(e->status));
	if (e->status / 100 != 3 || e->location[0] == '\0')
		return;
	fetch_quote_url(place, e->location);
	say(out,
	    ", which leads to %s; redirects are not followed: if that is right, write "
	    "that "
	    "URL",
	    place);
}

void fetch_words(char out[FETCH_WORDS_MAX], const struct fetch_end *e)
{
	out[0] = '\0';
	if (e->status != 0)
		say_status(out, e);
	else
		say(out, "%s%s%s", e->cause, e->remedy[0] != '\0' ? "; " : "", e->remedy);
	if (e->untrusted)
		say(out, "; if its CA is a private one, name that with upstream-tls-ca");
	if (e->proxy[0] != '\0')
		say(out, " (by upstream-proxy %s)", e->proxy);
}
