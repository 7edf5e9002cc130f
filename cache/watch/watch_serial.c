/* watch_serial.c - hexadecimal or decimal: said, or judged by the whole body. */
#include "cache/watch/watch_serial.h"

/* More are no counter of a small CA any more. */
#define DIGITS_MAX 10

bool watch_base_of(const char *text, enum watch_base *base)
{
	if (strcmp(text, "hex") == 0)
		*base = WATCH_BASE_HEX;
	else if (strcmp(text, "dec") == 0)
		*base = WATCH_BASE_DEC;
	else if (text[0] == '\0')
		*base = WATCH_BASE_UNSAID;
	else
		return false;
	return true;
}

static bool is_digits(struct bytes text)
{
	for (size_t i = 0; i < text.n; i++)
		if (text.p[i] < '0' || text.p[i] > '9')
			return false;
	return true;
}

bool watch_serial_read(struct watch_serials *w, struct bytes text, uint64_t line,
    struct serial *s, struct watch_error *e)
{
	bool decimal = w->base == WATCH_BASE_DEC;
	char shown[WATCH_SHOWN_MAX];

	if ((decimal ? serial_from_decimal(s, text) : serial_from_hex_text(s, text)) !=
	    ERR_OK)
		return watch_refuse(e, WATCH_BAD_SERIAL,
		    "the serial \"%s\" is not %s, or longer than any certificate's",
		    watch_shown(text, shown), decimal ? "decimal" : "hexadecimal");
	if (w->base != WATCH_BASE_UNSAID || w->letters)
		return true;
	if (!is_digits(text))
		w->letters = true;
	else if (text.n > DIGITS_MAX && w->long_line == 0)
		w->long_line = line;
	return true;
}

bool watch_serials_end(const struct watch_serials *w, struct watch_error *e)
{
	if (w->base != WATCH_BASE_UNSAID || w->letters || w->long_line == 0)
		return true;
	e->line = w->long_line;
	return watch_refuse(e, WATCH_BAD_BASE,
	    "all serials are digits, and this one has more than ten: say whether they "
	    "are "
	    "hexadecimal or decimal (serial=hex, serial=dec)");
}
