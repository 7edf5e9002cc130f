/* crt_list.c - the first word of a line. */
#include "proxy/ctl/crt_list.h"

static bool is_blank(uint8_t c)
{
	return c == ' ' || c == '\t' || c == '\r';
}

bool crt_list_path(struct bytes line, char out[PATH_MAX])
{
	size_t at = 0, n = 0;

	while (at < line.n && is_blank(line.p[at]))
		at++;
	if (at == line.n || line.p[at] == '#' || line.p[at] == '[')
		return false;
	for (; at < line.n && !is_blank(line.p[at]) && line.p[at] != '['; at++) {
		if (line.p[at] == '\\' && at + 1 < line.n)
			at++;
		if (line.p[at] == '\0' || n + 1 == PATH_MAX)
			return false;
		out[n++] = (char)line.p[at];
	}
	out[n] = '\0';
	return n > 0;
}
