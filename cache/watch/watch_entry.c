/* watch_entry.c - a line of NDJSON or a row of CSV becomes a certificate. */
#include "cache/watch/watch_entry.h"

#include "cache/base/issuer.h"
#include "cache/base/time_text.h"
#include "cache/watch/watch_issuer.h"

/* One look-up for all lines of an issuer that follow each other. */
static bool find_issuer(
    struct watch_entry_room *r, struct bytes name, struct watch_out *out)
{
	const struct watch_issuers *all = out->want->issuers;
	char shown[WATCH_SHOWN_MAX];

	if (!name_is_plain(name))
		return watch_refuse(&out->error, WATCH_BAD_ISSUER,
		    "the issuer \"%s\" is no name of an issuer ([a-z0-9._-], at most "
		    "63); "
		    "issuer_key names one by its key",
		    watch_shown(name, shown));
	if (r->configured != NULL && r->issuer[name.n] == '\0' &&
	    memcmp(r->issuer, name.p, name.n) == 0)
		return true;
	memcpy(r->issuer, name.p, name.n);
	r->issuer[name.n] = '\0';
	r->configured = all != NULL ? watch_issuers_named(all, name) : NULL;
	return all == NULL || r->configured != NULL ||
	       watch_refuse(&out->error, WATCH_BAD_ISSUER,
		   "no issuer \"%s\" is configured; issuer_key names one that is not",
		   r->issuer);
}

static bool take_key(struct watch_entry_room *r, struct bytes text, struct watch_cert *c,
    struct watch_out *out)
{
	const struct watch_issuers *all = out->want->issuers;
	char shown[WATCH_SHOWN_MAX];
	size_t n;

	if (!watch_aki_from_hex(text, r->aki, &n))
		return watch_refuse(&out->error, WATCH_BAD_ISSUER,
		    "the issuer_key \"%s\" is not 1 to %d octets in hexadecimal",
		    watch_shown(text, shown), WATCH_AKI_MAX);
	c->aki = bytes_of(r->aki, n);
	c->configured = all != NULL ? watch_issuers_with_key(all, c->aki) : NULL;
	c->issuer = c->configured != NULL ? c->configured->name : NULL;
	return true;
}

static bool take_issuer(struct watch_entry_room *r, const struct watch_entry *e,
    struct watch_cert *c, struct watch_out *out)
{
	bool named = e->issuer.p != NULL;

	if (named && e->issuer_key.p != NULL)
		return watch_refuse(&out->error, WATCH_BAD_FIELD,
		    "issuer and issuer_key are both there; one of them says it");
	if (!named && e->issuer_key.p == NULL)
		return out->want->issuer_optional ||
		       watch_refuse(&out->error, WATCH_BAD_FIELD,
			   "there is neither issuer nor issuer_key");
	if (!named)
		return take_key(r, e->issuer_key, c, out);
	if (!find_issuer(r, e->issuer, out))
		return false;
	c->issuer = r->issuer;
	c->configured = r->configured;
	return true;
}

static bool take_date(
    struct bytes text, const char *field, int64_t *at, struct watch_out *out)
{
	char shown[WATCH_SHOWN_MAX];

	*at = WATCH_TIME_NONE;
	return text.p == NULL || time_from_text(text, at) ||
	       watch_refuse(&out->error, WATCH_BAD_TIME,
		   "%s \"%s\" is no time (2026-11-22T10:13:48Z, RFC 3339)", field,
		   watch_shown(text, shown));
}

bool watch_entry_out(struct watch_entry_room *r, const struct watch_entry *e,
    uint64_t line, struct watch_out *out)
{
	struct watch_cert c = {.line = line};

	if (e->serial.p == NULL)
		return watch_refuse(&out->error, WATCH_BAD_FIELD, "there is no serial");
	if (!take_issuer(r, e, &c, out) ||
	    !take_date(e->not_before, "not_before", &c.not_before, out) ||
	    !take_date(e->not_after, "not_after", &c.not_after, out) ||
	    !watch_serial_read(&out->serials, e->serial, line, &c.serial, &out->error))
		return false;
	watch_texts_end(&r->texts, &c);
	return watch_out_cert(out, &c);
}
