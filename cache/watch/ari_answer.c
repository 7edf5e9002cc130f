/* ari_answer.c - JSON by jansson, times by time_text.h, and the rule what is a notice. */
#include "cache/watch/ari_answer.h"

#include <jansson.h>
#include <string.h>
#include <strings.h>
#include <xxhash.h>

#include "cache/base/time_text.h"

static bool time_of(json_t *window, const char *name, int64_t *out)
{
	json_t *text = json_object_get(window, name);

	return json_is_string(text) &&
	       time_from_text(
		   bytes_of(json_string_value(text), json_string_length(text)), out) &&
	       *out <= ARI_TIME_MAX;
}

/* Where there is a page that people can be sent to. */
static void take_page(struct ari_answer *out, json_t *page)
{
	const char *url = json_string_value(page);
	size_t n = json_string_length(page), scheme;

	out->url[0] = '\0';
	if (url == NULL || n > WATCH_URL_MAX || strlen(url) != n)
		return;
	scheme = strncasecmp(url, "https://", 8) == 0  ? 8
		 : strncasecmp(url, "http://", 7) == 0 ? 7
						       : n;
	if (scheme == n)
		return;
	for (size_t i = 0; i < n; i++)
		if (url[i] <= ' ' || url[i] > '~')
			return;
	memcpy(out->url, url, n + 1);
}

static const char *read_object(struct ari_answer *out, json_t *all)
{
	json_t *window = json_object_get(all, "suggestedWindow");

	if (!json_is_object(window))
		return "it has no suggestedWindow";
	if (!time_of(window, "start", &out->start))
		return "suggestedWindow.start is no time (RFC 3339)";
	if (!time_of(window, "end", &out->end))
		return "suggestedWindow.end is no time (RFC 3339)";
	if (out->end <= out->start)
		return "suggestedWindow ends before it starts";
	take_page(out, json_object_get(all, "explanationURL"));
	return NULL;
}

const char *ari_answer_read(struct ari_answer *out, struct bytes body)
{
	json_error_t error;
	const char *why;
	json_t *all;

	if (body.n > ARI_BODY_MAX)
		return "it is longer than 8 KiB";
	all = json_loadb((const char *)body.p, body.n, JSON_REJECT_DUPLICATES, &error);
	if (!json_is_object(all)) {
		json_decref(all);
		return "it is no JSON object";
	}
	why = read_object(out, all);
	json_decref(all);
	return why;
}

uint64_t ari_page(const char *url)
{
	uint64_t hash;

	if (url[0] == '\0')
		return 0;
	hash = XXH3_64bits(url, strlen(url));
	return hash != 0 ? hash : 1;
}

/* Does the window alone say that something is wrong? */
static bool is_early(const struct ari_known *k, const struct ari_answer *a,
    int64_t not_before, int64_t not_after)
{
	int64_t life;

	if (not_before == WATCH_TIME_NONE || not_after == WATCH_TIME_NONE ||
	    not_after <= not_before)
		return false;
	life = not_after - not_before;
	if (k->seen && k->ordinary)
		return k->start - a->start > life / 10;
	return a->end < not_before + life / 2;
}

enum ari_word ari_judge(struct ari_known *k, const struct ari_answer *a,
    int64_t not_before, int64_t not_after)
{
	uint64_t page = ari_page(a->url);
	bool other_page = page != 0 && page != k->page;
	/* a page that was named in ordinary times says nothing by staying */
	bool wrong = is_early(k, a, not_before, not_after) || other_page ||
		     (k->noticed && page != 0);
	enum ari_word word = !wrong ? (k->noticed ? ARI_WITHDRAWN : ARI_ORDINARY)
			     : !k->noticed || other_page ? ARI_NOTICE
							 : ARI_STANDS;

	k->seen = true;
	k->page = page;
	k->noticed = wrong;
	if (!wrong) {
		k->ordinary = true;
		k->start = a->start;
	}
	return word;
}
