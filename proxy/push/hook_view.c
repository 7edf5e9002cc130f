/* hook_view.c - member after member. */
#include "proxy/push/hook_view.h"

static bool sees_issuers(const struct access *a, const struct webhook *w)
{
	if (w->issuer[0] != '\0')
		return access_issuer(a, w->issuer);
	for (size_t i = 0; i < w->issuers_n; i++)
		if (!access_issuer(a, w->issuers[i]))
			return false;
	return w->issuers_n > 0;
}

bool hook_is_seen(const struct access *a, const struct webhook *w)
{
	if (!access_is_narrow(a))
		return true;
	if (a->issuers_n > 0 && !sees_issuers(a, w))
		return false;
	return a->lists_n == 0 ||
	       (w->watchlist[0] != '\0' && access_list(a, w->watchlist));
}

static void put_name(struct json_line *l, const char *member, const char *name)
{
	json_put(l, member);
	json_put_text(l, name != NULL && name[0] != '\0' ? name : NULL);
}

/* 0: null. */
static void put_time(struct json_line *l, const char *member, int64_t at)
{
	json_put(l, member);
	if (at == 0)
		json_put(l, "null");
	else
		json_put_time(l, at);
}

static void put_types(struct json_line *l, unsigned types)
{
	bool first = true;

	json_put(l, ",\"types\":[");
	for (int i = 0; i < WEBHOOK_TYPES; i++) {
		if ((types & 1u << i) == 0)
			continue;
		json_put(l, first ? "" : ",");
		json_put_text(l, webhook_type_name((enum webhook_type)(1 << i)));
		first = false;
	}
	json_put(l, "]");
}

static void put_disabled(
    struct json_line *l, const struct webhook *w, const struct webhook_state *s)
{
	bool disabled = webhook_is_disabled(w, s);
	const char *why = "";

	if (w->disabled)
		why = "by an operator";
	else if (disabled)
		why = s->gone_why;
	json_put(l, ",\"disabled\":");
	json_put(l, disabled ? "true" : "false");
	put_name(l, ",\"why\":", why);
	put_time(l, ",\"disabled_at\":",
	    w->disabled ? w->changed_at
	    : disabled  ? s->gone_at
			: 0);
}

/* Records between them; false: they are not of one epoch. */
static bool lag_of(
    const struct change_pos *at, const struct change_pos *end, uint64_t *lag)
{
	if (end->epoch == 0 || at->epoch != end->epoch)
		return false;
	*lag = at->seq >= end->seq ? 0 : end->seq - at->seq;
	return true;
}

static void put_position(struct json_line *l, const struct webhook *w,
    const struct webhook_state *s, const struct change_pos *end)
{
	const struct change_pos *at = webhook_position(w, s);
	char text[CHANGE_POS_TEXT_MAX];
	uint64_t lag;

	change_pos_text(at, text);
	put_name(l, ",\"position\":", text);
	json_put(l, ",\"lag\":");
	if (lag_of(at, end, &lag))
		json_put_number(l, lag);
	else
		json_put(l, "null");
}

void hook_view(struct json_line *out, const struct webhook *w,
    const struct webhook_state *state, const struct change_pos *end, const char *secret)
{
	static const struct webhook_state none;
	const struct webhook_state *s = state != NULL ? state : &none;
	char shown[WEBHOOK_SHOWN_MAX];

	webhook_shown(w, shown);
	put_name(out, "{\"name\":", w->name);
	put_name(out, ",\"url\":", shown);
	put_name(out, ",\"issuer\":", w->issuer);
	put_name(out, ",\"watchlist\":", w->watchlist);
	put_types(out, w->types);
	put_name(out, ",\"format\":", webhook_format_name(w->format));
	json_put(out, ",\"secrets\":");
	json_put_number(out, w->secrets_n);
	put_disabled(out, w, state);
	put_position(out, w, state, end);
	put_time(out, ",\"last_success\":", s->last_success);
	put_name(out, ",\"last_error\":", s->last_error);
	put_time(out, ",\"last_error_at\":", s->last_error_at);
	put_time(out, ",\"failing_since\":", s->failing_since);
	put_time(out, ",\"next_try\":", s->next_try);
	if (secret != NULL)
		put_name(out, ",\"secret\":", secret);
	json_put(out, "}");
}
