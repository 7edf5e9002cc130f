/* secret.h - what of a URL that somebody wrote for us may be shown.
 *
 * Errors quote what is refused, and a URL that is refused may hold a user and a password
 * all the same, also one that is no URL for want of a slash or a quote.  So all before
 * its last '@' is "***", be it in a path: better too much than a password in a log.  A
 * URL that was taken is shown as it is: none with a user is.  Pure, any thread.
 */
#ifndef CACHE_BASE_SECRET_H
#define CACHE_BASE_SECRET_H

#include <stdio.h>
#include <string.h>

/* text as it may be shown, cut to n octets with NUL. */
static inline const char *url_shown(const char *text, char *out, size_t n)
{
	const char *scheme = strstr(text, "://"), *at = strrchr(text, '@');
	int kept = scheme != NULL && scheme < at ? (int)(scheme + 3 - text) : 0;

	if (at == NULL)
		snprintf(out, n, "%s", text);
	else
		snprintf(out, n, "%.*s***%s", kept, text, at);
	return out;
}

#endif
