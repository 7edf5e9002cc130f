/* outlet.h - from the log to the API's thread: news as they come, pages when they
 * are asked for.
 *
 * The outlet knows the place up to which news were posted.  A batch that this node
 * appended and that follows that place directly is posted as it is; in every other case
 * (somebody else has appended in between, the connection was lost, the API was slow) the
 * log is read from there, so that order and completeness are the log's.
 *
 * Keeper's thread, but for teller_news_done().
 */
#ifndef PROXY_TELL_OUTLET_H
#define PROXY_TELL_OUTLET_H

#include "proxy/tell/teller.h"

struct outlet;

struct outlet *outlet_new(struct event_base *base, struct change_log *log);
void outlet_listen(
    struct outlet *o, struct inbox *inbox, void (*run)(void *inbox_arg, struct msg *m));
/* As teller_grows(). */
void outlet_grows(struct outlet *o, struct order *order, struct inbox *inbox);
void outlet_appended(struct outlet *o, struct change_batch *b);    /* by this node */
void outlet_epoch(struct outlet *o, const struct change_pos *end); /* begun by us */
void outlet_grown(struct outlet *o);
void outlet_end(const struct outlet *o, struct change_pos *end);

void outlet_read(struct outlet *o, struct teller_ask *a);
/* No more news, and questions are answered with ERR_CANCELLED. */
void outlet_cancel(struct outlet *o);
/* After the log was closed. */
void outlet_free(struct outlet *o);

#endif
