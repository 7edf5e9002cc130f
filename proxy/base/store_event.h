/* store_event.h - what stores and logs tell of themselves (store_hooks.event) goes into
 * the log.  Any thread.
 */
#ifndef PROXY_BASE_STORE_EVENT_H
#define PROXY_BASE_STORE_EVENT_H

#include <stdbool.h>

/* event: a literal.  arg is not looked at. */
void store_event_log(void *arg, bool warn, const char *event, const char *text);

#endif
