/* hook_format.h - a webhook's body, in the form that its receiver reads.
 *
 * All are made of one thing: type, id, time, and the data that a stream's event of that
 * type has.  `standard` and `cloudevents` carry the data as it is; the others are what
 * Slack (and what speaks as it does: Mattermost, Rocket.Chat), Alertmanager and PagerDuty
 * take, and are written by parsing it again: bodies are short, and the formats need know
 * nothing of the log.  One row and one function each; ocspcached(8) has an example of
 * each.
 *
 * What strangers wrote (names, labels, URLs) is escaped as the form asks for.  A chat's
 * text is cut after HOOK_LINES changes, and says how many more there are.
 *
 * Pure, any thread.
 */
#ifndef PROXY_PUSH_HOOK_FORMAT_H
#define PROXY_PUSH_HOOK_FORMAT_H

#include "cache/watch/webhook.h"
#include "proxy/base/json_line.h"

#define HOOK_LINES 20

struct hook_message {
	const char
	    *type; /* changes, notices, alarms, gap, test, changes.many, notices.many */
	const char *id;
	int64_t at;              /* seconds: when it was seen, the same in every try */
	struct bytes data;       /* a JSON object */
	const char *routing_key; /* PagerDuty's; "" for none */
	const char *source;      /* api-url; "" for none */
};

/* Of alarms that are raised and cleared in one event this form takes one in a body. */
bool hook_format_is_single(enum webhook_format f);
const char *hook_format_content_type(enum webhook_format f);
/* At the end of out, which has failed where there was no memory.  False: data is no JSON
 * object. */
bool hook_format_write(
    enum webhook_format f, const struct hook_message *m, struct json_line *out);

#endif
