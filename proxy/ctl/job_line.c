/* job_line.c - one table: variable and field. */
#include "proxy/ctl/job_line.h"

#include <stdio.h>
#include <string.h>

#include "cache/base/utf8.h"

static const char *const variable[JOB_VARIABLES][2] = {
    {"ISSUER", "issuer"},
    {"SERIAL", "serial"},
    {"STATUS", "status"},
    {"PREVIOUS", "previous"},
    {"REVOKED_AT", "revoked_at"},
    {"REASON", "reason"},
    {"EVIDENCE", "evidence"},
    {"SOURCE", "source"},
    {"INCIDENT", "incident"},
    {"DEADLINE", "deadline"},
    {"URL", "url"},
};

static const char *text_of(const json_t *object, const char *field)
{
	const char *text = json_string_value(json_object_get(object, field));

	return text != NULL ? text : "";
}

const json_t *job_items(const json_t *data)
{
	const json_t *changes = json_object_get(data, "changes");

	return changes != NULL ? changes : json_object_get(data, "notices");
}

/* null where nothing was said. */
static bool copy(json_t *line, const json_t *data, const char *field)
{
	json_t *value = json_object_get(data, field);

	return json_object_set_new(
		   line, field, value != NULL ? json_deep_copy(value) : json_null()) == 0;
}

static bool set_notice(json_t *line, const json_t *data, const json_t *item)
{
	bool withdrawn = json_is_true(json_object_get(item, "withdrawn"));

	return copy(line, data, "source") && copy(line, data, "incident") &&
	       copy(line, data, "deadline") && copy(line, data, "url") &&
	       json_object_set_new(line, "status",
		   json_string(withdrawn ? "withdrawn" : "announced")) == 0;
}

json_t *job_line(const json_t *data, const json_t *item)
{
	json_t *line = json_object();
	bool ok = json_object_set_new(
		      line, "issuer", json_string(text_of(data, "issuer"))) == 0;

	if (json_object_get(data, "changes") != NULL)
		ok = ok && json_object_set_new(line, "evidence",
			       json_string(text_of(data, "evidence"))) == 0;
	else
		ok = ok && set_notice(line, data, item);
	if (ok)
		json_object_update(line, (json_t *)(uintptr_t)item);
	if (ok)
		return line;
	json_decref(line);
	return NULL;
}

const char *job_line_too_long(const json_t *line, size_t *bytes)
{
	for (size_t i = 0; i < JOB_VARIABLES; i++) {
		*bytes = json_string_length(json_object_get(line, variable[i][1]));
		if (*bytes > JOB_FIELD_MAX)
			return variable[i][1];
	}
	return NULL;
}

/* In place; what is there is valid UTF-8, or stays as it is. */
static void without_controls(char *text)
{
	const uint8_t *at = (const uint8_t *)text;
	size_t left = strlen(text);
	unsigned code = 0;

	while (left > 0) {
		size_t n = utf8_length(at, left, &code);

		if (n == 0 || utf8_is_control(code))
			*text++ = '?';
		else
			memmove(text, at, n), text += n;
		n += n == 0;
		at += n;
		left -= n;
	}
	*text = '\0';
}

bool job_variables(const json_t *line, char *own[JOB_VARIABLES])
{
	memset(own, 0, JOB_VARIABLES * sizeof own[0]);
	for (size_t i = 0; i < JOB_VARIABLES; i++) {
		if (asprintf(&own[i], "OCSP_%s=%s", variable[i][0],
			text_of(line, variable[i][1])) < 0) {
			own[i] = NULL;
			return false;
		}
		without_controls(own[i]);
	}
	return true;
}
