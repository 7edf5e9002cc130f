/* audit.c - the line. */
#include "proxy/base/audit.h"

#include "proxy/base/log.h"

void audit_tell(const struct audit *a, int status)
{
	const char *outcome = status == 0 ? "cut" : status < 400 ? "done" : "refused";

	if (a->call[0] == '\0')
		return;
	log_each(LOG_INFO, "audit", "token=%s call=%s from=%s outcome=%s status=%d",
	    a->token[0] != '\0' ? a->token : "-", a->call, a->from, outcome, status);
}
