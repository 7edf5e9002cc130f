/* ari_id.c - base64url (RFC 4648 section 5), and a dot. */
#include "cache/watch/ari_id.h"

#include <assert.h>

/* RFC 4648 section 5, without '='. */
static char *put_base64url(char *out, struct bytes in)
{
	static const char digit[] =
	    "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
	unsigned held = 0, bits = 0;

	for (size_t i = 0; i < in.n; i++) {
		held = (held << 8 | in.p[i]) & 0xffff;
		for (bits += 8; bits >= 6; bits -= 6)
			*out++ = digit[held >> (bits - 6) & 63];
	}
	if (bits > 0)
		*out++ = digit[held << (6 - bits) & 63];
	return out;
}

size_t ari_id(struct bytes aki, const struct serial *s, char out[ARI_ID_MAX])
{
	char *p;

	assert(aki.n > 0 && aki.n <= WATCH_AKI_MAX);
	p = put_base64url(out, aki);
	*p++ = '.';
	p = put_base64url(p, bytes_of(s->octets, s->n));
	*p = '\0';
	return (size_t)(p - out);
}
