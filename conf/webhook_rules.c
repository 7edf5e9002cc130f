/* webhook_rules.c - how webhooks are tried again, and the URL of the API that they name.
 */
#include <stdlib.h>

#include "conf/address.h"
#include "conf/check.h"
#include "conf/fault.h"
#include "conf/values.h"

#define PAUSES_MAX   32 /* who wants more means one that repeats */
#define PAUSE_MIN_MS INT64_C(1000)
#define PAUSE_MAX_MS INT64_C(86400000) /* 120 h of failures are five tries at least */

static void check_pause(const struct draft *d, size_t i)
{
	const struct group *g = &d->settings->global;
	const char *text = d->conf->webhook_retry[i];
	int64_t *ms = &d->conf->webhook_retry_ms[i];
	char why[256];

	if (!value_duration(text, ms, why, sizeof why))
		fault_value(d, g, OPTION_webhook_retry, i, text, why);
	else if (*ms < PAUSE_MIN_MS || *ms > PAUSE_MAX_MS)
		fault_value(d, g, OPTION_webhook_retry, i, text,
		    "is out of range; write 1s to 1d");
}

static bool check_pauses(const struct draft *d)
{
	const struct group *g = &d->settings->global;
	struct conf *c = d->conf;

	c->webhook_retry_ms = calloc(c->webhook_retry_n + 1, sizeof *c->webhook_retry_ms);
	if (c->webhook_retry_ms == NULL)
		return false;
	if (is_refused(g, OPTION_webhook_retry))
		return true;
	if (c->webhook_retry_n == 0 || c->webhook_retry_n > PAUSES_MAX)
		fault(d, g, OPTION_webhook_retry, 0,
		    "has %zu pauses; write 1 to %d, the last one repeats",
		    c->webhook_retry_n, PAUSES_MAX);
	for (size_t i = 0; i < c->webhook_retry_n; i++)
		check_pause(d, i);
	return true;
}

/* Calls of the API are written behind it. */
static void check_api_url(const struct draft *d)
{
	const struct group *g = &d->settings->global;
	const char *text = d->conf->api_url, *why;
	struct url u;

	if (is_refused(g, OPTION_api_url) || *text == '\0')
		return;
	why = url_parse(text, &u);
	if (why == NULL && strpbrk(u.path, "?#") != NULL)
		why = "has a query or a fragment; write https://host:port";
	if (why == NULL && text[strlen(text) - 1] == '/')
		why = "ends with a slash; leave it out: paths begin with one";
	if (why != NULL)
		fault_value(d, g, OPTION_api_url, 0, text, why);
}

bool draft_check_webhooks(const struct draft *d)
{
	check_api_url(d);
	return check_pauses(d);
}
