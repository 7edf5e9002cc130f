/* store_event.c - which of them are states. */
#include "proxy/base/store_event.h"

#include <string.h>

#include "proxy/base/alarms.h"
#include "proxy/base/log.h"

/* A state is told each time that it changes; what happens often is counted together. */
static bool is_state(const char *event)
{
	return strcmp(event, "store_up") == 0 || strcmp(event, "store_down") == 0 ||
	       strcmp(event, "store_refuses") == 0 || strcmp(event, "store_well") == 0;
}

/* Whose connection it is. */
static const char *subject(const char *text)
{
	return strncmp(text, "watchlists=", 11) == 0 ? "watchlists" : "store";
}

void store_event_log(void *arg, bool warn, const char *event, const char *text)
{
	(void)arg;
	if (is_state(event)) {
		log_each(warn ? LOG_WARN : LOG_INFO, event, "detail=%s", text);
		if (strncmp(text, "log=", 4) == 0)
			alarm_set(ALARM_LOG_DOWN, warn, "", "change log", text);
		else
			alarm_set(ALARM_STORE_DOWN, warn, "", subject(text), text);
	} else
		log_event(warn ? LOG_WARN : LOG_INFO, event, "detail=%s", text);
}
