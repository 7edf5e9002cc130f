/* show.h - the API's JSON as text for people, and the exit code that it means.
 *
 * On a terminal tables have a heading and a status is coloured; in a pipe the same lines
 * come without either, so that grep and awk see only data.  Every value is printed
 * without control characters: some of it comes from responders.
 *
 * Each returns an exit code of args.h, or -1 when the JSON has not the shape of the
 * API's.
 */
#ifndef PROXY_CTL_SHOW_H
#define PROXY_CTL_SHOW_H

#include "proxy/ctl/table.h"

int show_status(const struct show *s, const json_t *status);
/* One line: issuer, serial, what it is now and was, when and why. */
void show_change(const struct show *s, const json_t *data, const json_t *change);
/* The same of a notice: issuer, serial, announced or withdrawn, the incident or ari, by
 * when it is to be replaced, the URL; listed: its first name and label. */
void show_notice(
    const struct show *s, const json_t *data, const json_t *notice, bool listed);
/* The same of an alarm: issuer, alarm, raised or cleared, since when, subject, node,
 * detail. */
void show_alarm(const struct show *s, const json_t *alarm, bool cleared);
int show_explain(const struct show *s, const json_t *explain);
/* issuers and ready: the answers of /v1/issuers and /readyz.  A line for each responder,
 * one for each list. */
int show_overview(const struct show *s, const json_t *issuers, const json_t *ready);

/* A row for each element of /v1/alarms. */
int show_alarms(const struct show *s, const json_t *alarms);

/* A row of ocspctl latches for each element of /v1/latches, as they come. */
struct show_latches {
	const struct show *show;
	struct table_feed table;
};
void show_latch(struct show_latches *l, const json_t *latch);
void show_latches_end(struct show_latches *l); /* the last ones; frees */

/* The exit codes alone, for --json. */
int code_status(const json_t *status);
int code_explain(const json_t *explain);
int code_ready(const json_t *ready);
int code_alarms(const json_t *alarms); /* one that stands: EXIT_UNDETERMINED */

#endif
