/* hook_body.c - one member after the other. */
#include "proxy/push/hook_body.h"

#include <jansson.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "cache/base/name.h"
#include "conf/address.h"

struct body_reading {
	struct hook_body *out;
	char *why;
	size_t why_n;
};

static bool bad(struct body_reading *g, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

static bool bad(struct body_reading *g, const char *format, ...)
{
	va_list ap;

	va_start(ap, format);
	vsnprintf(g->why, g->why_n, format, ap);
	va_end(ap);
	return false;
}

/* jansson refuses NUL in strings, so that each ends where it says. */
static bool take_text(struct body_reading *g, const char *field, const json_t *value,
    char *out, size_t room)
{
	if (!json_is_string(value))
		return bad(g, "%s: not a string", field);
	if (json_string_length(value) >= room)
		return bad(g, "%s: longer than %zu octets", field, room - 1);
	strcpy(out, json_string_value(value));
	return true;
}

static bool take_url(struct body_reading *g, const char *field, const json_t *value)
{
	const char *wrong;
	struct url u;

	if (!take_text(g, field, value, g->out->url, sizeof g->out->url))
		return false;
	wrong = url_parse(g->out->url, &u);
	return wrong == NULL || bad(g, "url: %s", wrong);
}

/* "" or null: of all. */
static bool take_name(
    struct body_reading *g, const char *field, const json_t *value, char *out)
{
	if (json_is_null(value))
		return true;
	if (!take_text(g, field, value, out, 64))
		return false;
	return out[0] == '\0' || name_is_plain(bytes_of(out, strlen(out))) ||
	       bad(g, "%s: no name; a name is of a-z, 0-9, '.', '_' and '-'", field);
}

static bool take_secret(struct body_reading *g, const char *field, const json_t *value)
{
	struct hook_body *b = g->out;
	const char *wrong;

	if (!json_is_string(value))
		return bad(g, "%s: not a string", field);
	if (b->secrets_n == WEBHOOK_SECRETS)
		return bad(g, "%s: more than %d", field, WEBHOOK_SECRETS);
	wrong = webhook_secret_parse(&b->secret[b->secrets_n++],
	    bytes_of(json_string_value(value), json_string_length(value)));
	return wrong == NULL || bad(g, "%s: %s", field, wrong);
}

static bool take_secrets(struct body_reading *g, const char *field, const json_t *value)
{
	size_t i;
	const json_t *each;

	if (!json_is_array(value) || json_array_size(value) == 0)
		return bad(g, "%s: not an array of one or two strings", field);
	json_array_foreach(value, i, each)
		if (!take_secret(g, field, each))
			return false;
	return true;
}

static bool take_type(struct body_reading *g, const json_t *value)
{
	for (int i = 0; json_is_string(value) && i < WEBHOOK_TYPES; i++)
		if (strcmp(json_string_value(value),
			webhook_type_name((enum webhook_type)(1 << i))) == 0) {
			g->out->types |= 1u << i;
			return true;
		}
	return bad(g, "types: there are \"changes\", \"notices\" and \"alarms\"");
}

static bool take_types(struct body_reading *g, const char *field, const json_t *value)
{
	size_t i;
	const json_t *each;

	if (!json_is_array(value) || json_array_size(value) == 0)
		return bad(g, "%s: not an array of one type or more", field);
	json_array_foreach(value, i, each)
		if (!take_type(g, each))
			return false;
	return true;
}

static bool take_format(struct body_reading *g, const json_t *value)
{
	for (int i = 0; json_is_string(value) && i < WEBHOOK_FORMATS; i++)
		if (strcmp(json_string_value(value),
			webhook_format_name((enum webhook_format)i)) == 0) {
			g->out->format = (enum webhook_format)i;
			return true;
		}
	return bad(g, "format: there are \"standard\", \"slack\", \"alertmanager\", "
		      "\"pagerduty\" and \"cloudevents\"");
}

static bool take_disabled(struct body_reading *g, const json_t *value)
{
	if (!json_is_boolean(value))
		return bad(g, "disabled: neither true nor false");
	g->out->has_disabled = true;
	g->out->disabled = json_is_true(value);
	return true;
}

static bool take_member(struct body_reading *g, const char *field, const json_t *value)
{
	struct hook_body *b = g->out;

	if (strcmp(field, "url") == 0)
		return take_url(g, field, value);
	if (strcmp(field, "secret") == 0)
		return take_secret(g, field, value);
	if (strcmp(field, "secrets") == 0)
		return take_secrets(g, field, value);
	if (strcmp(field, "issuer") == 0)
		return take_name(g, field, value, b->issuer);
	if (strcmp(field, "watchlist") == 0)
		return take_name(g, field, value, b->watchlist);
	if (strcmp(field, "types") == 0)
		return take_types(g, field, value);
	if (strcmp(field, "format") == 0)
		return take_format(g, value);
	if (strcmp(field, "routing_key") == 0)
		return take_text(g, field, value, b->routing_key, sizeof b->routing_key);
	if (strcmp(field, "disabled") == 0)
		return take_disabled(g, value);
	return bad(g, "unknown field \"%.60s\"", field);
}

static bool take_all(struct body_reading *g, const json_t *root)
{
	struct hook_body *b = g->out;
	const char *field;
	json_t *value;

	if (!json_is_object(root))
		return bad(g, "body: not a JSON object");
	if (json_object_get(root, "secret") != NULL &&
	    json_object_get(root, "secrets") != NULL)
		return bad(g, "secret: is short for secrets; give one of them");
	json_object_foreach((json_t *)(uintptr_t)root, field, value)
		if (!take_member(g, field, value))
			return false;
	if (b->url[0] == '\0')
		return bad(g, "url: missing");
	if (b->routing_key[0] != '\0' && b->format != WEBHOOK_PAGERDUTY)
		return bad(g, "routing_key: is for format \"pagerduty\"");
	if (b->types == 0)
		b->types = WEBHOOK_CHANGES;
	return true;
}

bool hook_body_read(struct hook_body *out, struct bytes json, char *why, size_t why_n)
{
	struct body_reading g = {out, why, why_n};
	json_error_t error;
	json_t *root =
	    json_loadb((const char *)json.p, json.n, JSON_REJECT_DUPLICATES, &error);
	bool ok;

	memset(out, 0, sizeof *out);
	if (root == NULL) /* its text may quote the body, and so a secret */
		return bad(
		    &g, "body: not JSON: line %d, column %d", error.line, error.column);
	ok = take_all(&g, root);
	json_decref(root);
	return ok;
}
