/* watch_error.c - labels, and words without anything of a stranger's in them. */
#include "cache/watch/watch_error.h"

#include <assert.h>
#include <stdarg.h>
#include <stdio.h>

#include "cache/base/utf8.h"

const char *watch_bad_label(enum watch_bad code)
{
	static const char *const label[] = {
#define X(code, text) [code] = text,
	    WATCH_BAD_TABLE(X)
#undef X
	};

	assert(code < WATCH_BAD_COUNT);
	return label[code];
}

bool watch_refuse(struct watch_error *e, enum watch_bad code, const char *format, ...)
{
	va_list ap;

	e->code = code;
	va_start(ap, format);
	vsnprintf(e->why, sizeof e->why, format, ap);
	va_end(ap);
	return false;
}

const char *watch_shown(struct bytes text, char out[WATCH_SHOWN_MAX])
{
	size_t n = 0, len;

	for (size_t i = 0; i < text.n; i += len) {
		unsigned code = 0;

		len = utf8_length(text.p + i, text.n - i, &code);
		if (n + (len > 1 ? len : 1) > 40) {
			memcpy(out + n, "...", 3);
			n += 3;
			break;
		}
		if (len == 0 || utf8_is_control(code)) {
			out[n++] = '?';
			len += len == 0;
		} else {
			memcpy(out + n, text.p + i, len);
			n += len;
		}
	}
	out[n] = '\0';
	return out;
}
