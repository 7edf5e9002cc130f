#include "proxy/fetch_words.h"

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
